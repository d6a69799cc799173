//! Rows that a request identifies one by one: a derived table of their keys, and joins with it.

use sea_query::{DynIden, Expr, ExprTrait, Func, IntoIden, Query, SelectStatement, TableRef};

use super::include::included;
use super::parameters::build;
use super::predicate::Conditions;
use super::{Output, SUBJECT, Statement, aliased, operand};
use crate::plan::{Include, Operand};
use crate::policy::TableView;
use crate::schema::{Column, DataType, oid};
use crate::value::Decoder;

/// The alias of the derived table.
const NAMED: &str = "named";
/// The column with the position in the request's list.
const POSITION: &str = "n";

/// Builds the derived table: a column for the position, the columns of a key, and others.
///
/// Each column is one parameter, an array of texts, for any number of rows. A text can be cast to any type, including
/// arrays, which `unnest` would flatten.
pub(super) struct Named(SelectStatement);

impl Named {
    pub(super) fn new<'a>(
        positions: impl IntoIterator<Item = usize>,
        key: &[&Column],
        values: impl IntoIterator<Item = &'a [Operand]> + Clone,
        at: Option<&str>,
        conditions: &mut Conditions,
    ) -> Self {
        let mut named = Self(Query::select());
        let positions = positions.into_iter().map(|n| Operand::own(Some(n.to_string())));
        named.add(DataType::bigint(), POSITION, positions.collect(), at, conditions);
        for (part, column) in key.iter().enumerate() {
            let values = values.clone().into_iter();
            let values = values.filter_map(|values| values.get(part).cloned());
            let name = format!("k{part}");
            named.add(&column.data_type, &name, values.collect(), at, conditions);
        }
        named
    }

    /// Adds a column with these values.
    pub(super) fn add(
        &mut self,
        data_type: &DataType,
        name: &str,
        values: Vec<Operand>,
        at: Option<&str>,
        conditions: &mut Conditions,
    ) {
        let values = unnested(data_type, values, at, conditions);
        self.0.expr_as(values, name.to_owned().into_iden());
    }

    pub(super) fn table(self) -> TableRef {
        TableRef::SubQuery(Box::new(self.0), NAMED.into_iden())
    }
}

/// A set of values of the type, one for each row.
///
/// A single value is a parameter of the type: if PostgreSQL refuses it, it says which parameter that is.
pub(super) fn unnested(
    data_type: &DataType,
    values: Vec<Operand>,
    at: Option<&str>,
    conditions: &mut Conditions,
) -> Expr {
    if let [value] = values.as_slice() {
        return conditions.parameters.add(value).cast_as(data_type.base().name.clone());
    }
    let list = conditions.parameters.add_own(Operand::list(values, at));
    if data_type.base().oid == oid::REGCLASS {
        // The input function of `regclass` accepts more than its cast from text: "-" for none.
        return Func::cust("pg_catalog.unnest").arg(list.cast_as("regclass[]")).into();
    }
    let element: Expr = Func::cust("pg_catalog.unnest").arg(list.cast_as("text[]")).into();
    element.cast_as(data_type.base().name.clone())
}

/// Whether a row of the table under `alias` is the named one, where no part of the key is null.
pub(super) fn is_named(key: &[&Column], alias: &DynIden) -> Expr {
    is_named_or_null(key, &[], alias)
}

/// The same where the parts of the key at the positions `nulls` may be null.
pub(super) fn is_named_or_null(key: &[&Column], nulls: &[usize], alias: &DynIden) -> Expr {
    let parts = key.iter().enumerate().map(|(part, part_of)| {
        let (here, given) = (operand(alias, part_of), member(&format!("k{part}")));
        let same = here.clone().eq(given.clone());
        match nulls.contains(&part) {
            true => same.or(here.is_null().and(given.is_null())),
            false => same,
        }
    });
    // A key has at least one column.
    parts.reduce(Expr::and).unwrap_or_else(|| super::predicate::constant(false))
}

/// A column of the derived table.
pub(super) fn member(name: &str) -> Expr {
    Expr::col((NAMED.into_iden(), name.to_owned()))
}

/// The position in the request's list, and how to decode it.
pub(super) fn position<'v>() -> (Expr, Output<'v>) {
    (member(POSITION), Output::value(POSITION, Decoder::bigint()))
}

/// The statement that reads the rows related to the rows with these values of the key.
///
/// Its rows contain the included relations, and last the position among the values.
pub fn related<'v>(
    table: &'v TableView,
    key: &[&Column],
    values: &[Vec<Operand>],
    includes: &'v [Include<'v>],
) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let lists = values.iter().map(Vec::as_slice);
    let named = Named::new(0..values.len(), key, lists, None, &mut conditions);
    let (position, output) = position();
    let mut expressions = conditions.includes(includes, &alias);
    expressions.push(position.clone());
    let outputs = included(includes).chain([output]).collect();
    let mut query = Query::select();
    query.from(aliased(table, &alias)).from(named.table());
    query.exprs(expressions).and_where(is_named(key, &alias));
    for guard in conditions.guarded() {
        query.and_where(guard);
    }
    query.order_by_expr(position, sea_query::Order::Asc);
    conditions.parameters.finish(build(&query), outputs)
}
