//! Reads: the returned values, the included relations, and the page.

mod cursor;
mod include;
pub(super) mod joins;
mod room;
pub(super) mod select;
pub(super) mod shown;
mod start;

pub use cursor::{Cursor, CursorKey};
pub use include::Include;
pub use room::Room;
pub(crate) use room::WIRE_MOST;
pub use select::{Query, SelectPlan};
pub use shown::{Computed, Shown};
pub use start::{After, Start};
