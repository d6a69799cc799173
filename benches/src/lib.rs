//! What the benchmarks measure against, and how they print what they found.

/// As in the program: both sides of each comparison allocate with it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod film;
pub mod guide;
pub mod network;
pub mod report;
pub mod sales;
pub mod server;
pub mod wide;
