//! The shape of a plan: everything in it except the values of its operands. Plans of the same shape have the same SQL
//! text.

mod parts;
mod values;

use super::{Operand, SelectPlan};

/// The shape of a plan. Within a view, plans with equal keys have the same SQL text, with their operands in the same
/// places.
#[derive(Debug, Default)]
pub struct Shape<'p> {
    /// What the statement depends on.
    pub key: Vec<u8>,
    /// The plan's operands, in the order in which they are found.
    pub operands: Vec<&'p Operand>,
}

impl<'p> Shape<'p> {
    /// The shape of the plan's page.
    pub fn of(plan: &'p SelectPlan<'_>) -> Self {
        let mut shape = Self { key: Vec::with_capacity(512), operands: Vec::new() };
        plan.add_to(&mut shape);
        shape
    }

    fn tag(&mut self, tag: u8) {
        self.key.push(tag);
    }

    fn number(&mut self, number: u64) {
        // Most numbers are small, and short keys are hashed faster.
        match u8::try_from(number) {
            Ok(small) if small < u8::MAX => self.tag(small),
            _ => {
                self.tag(u8::MAX);
                self.key.extend_from_slice(&number.to_le_bytes());
            }
        }
    }
}

/// A part of a plan that its statement depends on.
trait Shaped {
    fn add_to<'p>(&'p self, shape: &mut Shape<'p>);
}
