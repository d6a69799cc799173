//! Checks values before any row is read that PostgreSQL would otherwise refuse only when it reads a row. So no error
//! reveals whether there is a row that the caller does not see.
//!
//! PostgreSQL evaluates a condition without columns once, before reading rows, as a One-Time Filter in every plan.
//! The condition must be in the outermost query, because subqueries may not be executed at all.

use sea_query::extension::postgres::PgBinOper;
use sea_query::{Expr, ExprTrait, Func};

use super::predicate::Conditions;

/// A value to check: an operand of the plan, by its position among the parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Guard {
    /// A regular expression for this operator. PostgreSQL compiles it when there is a text to match.
    Pattern(PgBinOper, usize),
    /// A time zone. PostgreSQL looks it up when there is a time to convert.
    Zone(usize),
}

impl Conditions {
    /// Adds a value to check.
    pub(super) fn guard(&mut self, guard: Guard) {
        if !self.guards.contains(&guard) {
            self.guards.push(guard);
        }
    }

    /// The conditions for the outermost query that check the values. They are true unless PostgreSQL refuses a value.
    pub(super) fn guarded(&mut self) -> Vec<Expr> {
        let guards = std::mem::take(&mut self.guards);
        guards.into_iter().map(|guard| self.tried(guard)).collect()
    }

    fn tried(&mut self, guard: Guard) -> Expr {
        // A separate parameter, whose type may differ from the operand's other one.
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
