//! Writes: new rows, and changes to existing ones.

mod arbiter;
pub(super) mod assign;
mod change;
mod computation;
mod count;
pub(super) mod each;
mod insert;
mod joined;
mod rekeyed;
mod returned;
mod sealed;
mod whole;

pub use arbiter::{Arbiter, Overwrite};
pub use assign::{Assign, Put, Written};
pub use change::{ChangePlan, Effect};
pub use each::{Each, NamedRow};
pub use insert::InsertPlan;
pub use returned::{Dotted, Returned};
