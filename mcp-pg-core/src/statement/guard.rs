//! What a caller's value could make PostgreSQL refuse only once it meets a row: it is tried before any row is read.
//! So no refusal tells whether there is a row that the caller does not see.
//!
//! A condition without columns is tested once, ahead of all rows, whatever plan PostgreSQL has for the statement: a
//! One-Time Filter. It must stand in the outermost query, for others may not be run at all.

use sea_query::extension::postgres::PgBinOper;
use sea_query::{Expr, ExprTrait, Func};

use super::predicate::Conditions;
use crate::plan::Operand;

/// A value to try.
#[derive(Debug, Clone)]
pub(super) enum Guard {
    /// A regular expression, which is read when a text is there to be matched; as the operator reads it.
    Pattern(PgBinOper, Operand),
    /// A time zone, which is looked up when a time is there to be moved.
    Zone(Operand),
}

impl Guard {
    fn operand(&self) -> &Operand {
        match self {
            Guard::Pattern(_, operand) | Guard::Zone(operand) => operand,
        }
    }

    /// Whether the other tries the same value in the same way.
    fn same(&self, other: &Self) -> bool {
        let same_way = match (self, other) {
            (Guard::Pattern(one, _), Guard::Pattern(other, _)) => one == other,
            (Guard::Zone(_), Guard::Zone(_)) => true,
            _ => false,
        };
        same_way && self.operand().source == other.operand().source
    }
}

impl Conditions {
    /// Has the value tried before any row is read.
    pub(super) fn guard(&mut self, guard: Guard) {
        if !self.guards.iter().any(|known| known.same(&guard)) {
            self.guards.push(guard);
        }
    }

    /// The conditions of the outermost query that try the values: true, unless PostgreSQL refuses one.
    pub(super) fn guarded(&mut self) -> Vec<Expr> {
        let guards = std::mem::take(&mut self.guards);
        guards.iter().map(|guard| self.tried(guard)).collect()
    }

    fn tried(&mut self, guard: &Guard) -> Expr {
        // Faults are told at the place of the value itself. As no operand of the plan it also keeps the text from being
        // taken for other values, some of which may be alike: those are tried once.
        let operand = Operand { source: guard.operand().source.clone(), at: String::new() };
        let value = self.parameters.add(&operand);
        let tried = match guard {
            Guard::Pattern(operator, _) => Expr::Constant("".into()).binary(*operator, value),
            Guard::Zone(_) => {
                let moment = Expr::Constant("epoch".into()).cast_as("timestamptz");
                Func::cust("pg_catalog.timezone").args([value.cast_as("text"), moment]).into()
            }
        };
        tried.is_not_null()
    }
}
