//! The SET clause, which assigns values to columns of existing rows.

use sea_query::extension::postgres::{PgBinOper, PgFunc};
use sea_query::{BinOper, CaseStatement, DynIden, Expr, ExprTrait, Func, IntoIden, Query};

use super::column;
use super::include::subquery;
use super::predicate::{Conditions, constant};
use crate::plan::{Assign, Operand, Put};
use crate::schema::{Column, DataType, Family};

/// Returns the expression of an operand: a parameter, or a column of the named rows.
type Value<'a> = &'a dyn Fn(&mut Conditions, &Operand) -> Expr;

impl Conditions {
    /// An operand as a parameter.
    pub(super) fn given(&mut self, operand: &Operand) -> Expr {
        self.parameters.add(operand)
    }

    /// The value assigned to a column of the row under `alias`.
    pub(super) fn assigned(
        &mut self,
        target: &Column,
        assign: &Assign<'_>,
        alias: &DynIden,
        value: Value<'_>,
    ) -> Expr {
        let old = column(alias, target);
        match assign {
            Assign::Value(operand) | Assign::Again(operand) => value(self, operand),
            Assign::Default => Expr::Keyword(sea_query::Keyword::Default),
            Assign::Now => Expr::current_timestamp(),
            Assign::FromNow(offset) => from_now(value(self, offset)),
            Assign::Period(period) => self.period(period),
            Assign::Increment(operand) => old.add(value(self, operand)),
            Assign::Move(by) => old.add(value(self, by).cast_as("interval")),
            Assign::Count(operand) => {
                let more = old.add(value(self, operand));
                Func::coalesce([more, value(self, operand)]).into()
            }
            Assign::Compute(expression) => self.computed(expression, alias),
            Assign::Append(operand) | Assign::Merge(operand) => {
                let old = if is_json(target) { document(old) } else { old };
                let longer = old.binary(PgBinOper::Concatenate, value(self, operand));
                // Appending to null gives the appended value.
                Func::coalesce([longer, value(self, operand)]).into()
            }
            Assign::Remove(names) if is_json(target) => {
                let names = value(self, names).cast_as("text[]");
                let rest = document(old.clone()).binary(BinOper::Custom("-"), names);
                Func::coalesce([rest, old]).into()
            }
            Assign::Remove(elements) => {
                let elements = value(self, elements).cast_as(target.data_type.base().name.clone());
                without(old, elements)
            }
            Assign::Set(put) => self.put(old, put, value),
        }
    }

    /// JSON with a value set at a path. Missing objects on the path are created.
    fn put(&mut self, old: Expr, put: &Put, value: Value<'_>) -> Expr {
        let set = |whole: Expr, way: Expr, value: Expr| -> Expr {
            Func::cust("pg_catalog.jsonb_set").args([whole, way.cast_as("text[]"), value]).into()
        };
        let [ways @ .., all] = put.ways.as_slice() else { return old };
        let mut whole = or_object(document(old.clone()));
        for way in ways {
            let there = old
                .clone()
                .binary(BinOper::Custom("#>"), self.parameters.share(way).cast_as("text[]"));
            whole = set(whole, self.parameters.share(way), or_object(document(there)));
        }
        let value = value(self, &put.value).cast_as("jsonb");
        set(whole, self.parameters.share(all), value)
    }
}

/// The transaction's time plus an offset.
pub(super) fn from_now(offset: Expr) -> Expr {
    Expr::current_timestamp().add(offset.cast_as("interval"))
}

/// The type of an assignment's operand.
pub(super) fn data_type(target: &Column, assign: &Assign<'_>) -> DataType {
    match assign {
        Assign::FromNow(_) | Assign::Move(_) => DataType::clone(DataType::interval()),
        Assign::Remove(_) if is_json(target) => DataType::list_of(DataType::text()),
        _ => DataType::clone(&target.data_type),
    }
}

fn is_json(target: &Column) -> bool {
    target.data_type.family() == Family::Json
}

/// JSON null counts as absent: it is not the first element of a list.
fn document(json: Expr) -> Expr {
    Func::cust("NULLIF").arg(json).arg(Expr::Constant("null".into())).into()
}

fn or_object(json: Expr) -> Expr {
    Func::coalesce([json, Expr::Constant("{}".into()).cast_as("jsonb")]).into()
}

/// An array without the elements of another. An array of several dimensions is unchanged, because its elements are
/// lists.
fn without(array: Expr, elements: Expr) -> Expr {
    let element = "element".into_iden();
    let unnested = Func::cust("pg_catalog.unnest").arg(array.clone());
    let kept = Expr::col(element.clone()).ne(PgFunc::all(elements));
    let mut rest = Query::select();
    rest.expr(Expr::col(element.clone())).from_function(unnested, element);
    // Comparing with null gives null, not true.
    rest.and_where(kept.binary(BinOper::Custom("IS NOT"), constant(false)));
    let rest = Func::cust("ARRAY").arg(subquery(rest));
    let dimensions = Func::cust("pg_catalog.array_ndims").arg(array.clone());
    let plain = Expr::expr(dimensions).eq(Expr::Constant(1.into()));
    CaseStatement::new().case(plain, rest).finally(array).into()
}
