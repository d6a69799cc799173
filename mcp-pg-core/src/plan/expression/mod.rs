//! Values of a row: of its columns, of related ones, of members of JSON, and what is computed of such.

pub(super) mod arithmetic;
pub(super) mod cut;
pub(super) mod elapsed;
pub(super) mod moved;
pub(super) mod now;
pub(super) mod period;
pub(super) mod reached;
pub(super) mod slot;
pub(super) mod unit;

pub use arithmetic::{ARITHMETIC_MOST, Arithmetic, Expression};
pub use cut::Cut;
pub use elapsed::Point;
pub use moved::Moved;
pub use now::{Clock, Now};
pub use period::{End, Period};
pub use reached::Reached;
pub use slot::Slot;
pub use unit::Unit;
