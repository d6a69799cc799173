//! Values of a row: columns, columns of related rows, members of JSON, and values computed from these.

pub(super) mod arithmetic;
pub(super) mod cut;
pub(super) mod elapsed;
pub(super) mod moved;
pub(super) mod now;
pub(super) mod operation;
pub(super) mod period;
pub(super) mod reached;
pub(super) mod slot;
pub(super) mod total;
pub(super) mod unit;
pub(super) mod value;

pub(in crate::plan) use arithmetic::is_digits;
pub use arithmetic::{ARITHMETIC_MOST, Arithmetic, DIGITS};
pub use cut::Cut;
pub use moved::Moved;
pub use now::{Clock, Now};
pub use period::{End, Period};
pub use reached::Reached;
pub use slot::Slot;
pub use total::Total;
pub use unit::Unit;
pub use value::Expression;
