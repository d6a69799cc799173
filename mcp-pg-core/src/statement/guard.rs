//! Tries values that PostgreSQL would otherwise refuse only when it comes to a row, before any row is read: so no error reveals
//! whether there is a row that the caller does not see.
//!
//! PostgreSQL tests a condition without columns once, before all rows, as a One-Time Filter, whatever plan it chooses. The
//! condition has to be in the outermost query, since others may not be run at all.

use sea_query::extension::postgres::PgBinOper;
use sea_query::{Expr, ExprTrait, Func};

use super::predicate::Conditions;

/// A value to try: an operand of the plan, by its place among the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Guard {
    /// A regular expression, which is read when a text is there to be matched; as the operator reads it.
    Pattern(PgBinOper, usize),
    /// A time zone, which is looked up when a time is there to be moved.
    Zone(usize),
}

impl Conditions {
    /// Has the value tried before any row is read.
    pub(super) fn guard(&mut self, guard: Guard) {
        if !self.guards.contains(&guard) {
            self.guards.push(guard);
        }
    }

    /// The conditions of the outermost query that try the values: true, unless PostgreSQL refuses one.
    pub(super) fn guarded(&mut self) -> Vec<Expr> {
        let guards = std::mem::take(&mut self.guards);
        guards.into_iter().map(|guard| self.tried(guard)).collect()
    }

    fn tried(&mut self, guard: Guard) -> Expr {
        // A parameter of its own, whose type need not be that of the value's other one.
        let tried = match guard {
            Guard::Pattern(operator, position) => {
                let value = self.parameters.twin(position);
                Expr::Constant("".into()).binary(operator, value)
            }
            Guard::Zone(position) => {
                let value = self.parameters.twin(position).cast_as("text");
                let moment = Expr::Constant("epoch".into()).cast_as("timestamptz");
                Func::cust("pg_catalog.timezone").args([value, moment]).into()
            }
        };
        tried.is_not_null()
    }
}
