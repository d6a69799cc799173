//! Plans → SQL text and parameters: the only module that uses sea-query.
//!
//! Identifiers come from the plan's catalogue entries and are quoted by sea-query. Every value is a parameter.

mod aggregate;
mod assign;
mod change;
mod compared;
mod cut;
mod expression;
mod guard;
mod include;
mod insert;
mod join;
mod local;
mod masked;
mod named;
mod output;
mod parameters;
mod predicate;
mod seek;
mod select;
mod total;
mod touched;

use std::sync::Arc;

use sea_query::{BinOper, DynIden, Expr, ExprTrait, Func, IntoIden, TableRef, Value};

pub use change::{affected, changes, lock, update_each};
pub use insert::{INSERT_PARAMETERS, existing, insert, may_overlook, tells_new};
pub use masked::Masked;
pub use named::related;
pub use output::{Output, Reader};
pub use select::{counting, explain, select};
pub use touched::{touched, written};

use crate::plan::Operand;
use crate::policy::TableView;
use crate::schema::{Column, DataType, Part};
use crate::value::Decoder;

/// A statement to execute, and how to decode its rows.
#[derive(Debug, Clone)]
pub struct Statement<'v> {
    /// The text, with `$1`, `$2`, … for the parameters.
    pub sql: Arc<str>,
    /// The parameters, in order.
    pub parameters: Vec<Operand>,
    /// The columns of its rows, in order.
    pub outputs: Vec<Output<'v>>,
    /// Whether the same text is likely to be used again, so that it is worth keeping prepared.
    pub recurring: bool,
    /// Whether PostgreSQL names its columns, which must have the names of the outputs: the text may have a `*`.
    pub named: bool,
}

/// The alias of a statement's main table.
const SUBJECT: &str = "t0";

/// The next aliases, made in advance. Most statements need no more.
const ALIASES: [&str; 8] = ["t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8"];

/// The table under an alias.
fn aliased(table: &TableView, alias: &DynIden) -> TableRef {
    let name = table.name();
    let schema = sea_query::SchemaName(None, name.schema.clone().into_iden());
    let name = sea_query::TableName(Some(schema), name.name.clone().into_iden());
    TableRef::Table(name, Some(alias.clone()))
}

/// A column of the table under an alias, or a part of a column.
fn column(alias: &DynIden, column: &Column) -> Expr {
    let whole = named(alias, column.identifier());
    column.parts.iter().fold(whole, part)
}

fn part(whole: Expr, part: &Part) -> Expr {
    match part {
        Part::Lower => Func::cust("pg_catalog.lower").arg(whole).into(),
        Part::Upper => Func::cust("pg_catalog.upper").arg(whole).into(),
        Part::Field(name) => {
            Expr::tuple([whole]).binary(BinOper::Custom("."), Expr::col(name.to_owned()))
        }
        Part::Element(place) => element(whole, *place),
        Part::Member(key) => whole.binary(BinOper::Custom("->"), text(key)),
        Part::Text(key) => whole.binary(BinOper::Custom("->>"), text(key)),
        Part::TextAt(path) => {
            whole.binary(BinOper::Custom("#>>"), text(path).cast_as(DataType::texts().name.clone()))
        }
    }
}

/// A text as a literal, never one of a request. For one from the catalogue, an index on the same expression can be used.
fn text(text: &str) -> Expr {
    Expr::Constant(text.to_owned().into())
}

/// What a query selects of which it only matters whether it has rows.
fn one() -> Expr {
    Expr::Constant(Value::Int(Some(1)))
}

/// The element of an array at an index, counted from 0 as in replies; negative from the end.
#[expect(clippy::disallowed_methods, reason = "sea-query has no subscripts; the text is our own")]
fn element(list: Expr, place: i32) -> Expr {
    let number = |number: i64| Expr::Constant(Value::BigInt(Some(number)));
    let (place, length) =
        (i64::from(place), Func::cust("pg_catalog.cardinality").arg(list.clone()));
    let index = match place {
        0.. => number(Ord::min(place + 1, i32::MAX.into())),
        _ => Expr::from(length).sub(number(-1 - place)),
    };
    // A slice is numbered from 1, whatever the array's lower bound.
    let slice = Expr::cust_with_exprs("(($1)[:])", [list]);
    Expr::cust_with_exprs("$1 $2 $3 $4", [slice, Expr::cust("["), index, Expr::cust("]")])
}

/// The same as an argument of an operator or function.
fn operand(alias: &DynIden, taken: &Column) -> Expr {
    predicate::taken(column(alias, taken), &taken.data_type)
}

fn named(alias: &DynIden, name: &str) -> Expr {
    Expr::col((alias.clone(), name.to_owned()))
}

/// The expressions of the columns at these positions, and how to decode them.
fn outputs<'v>(
    table: &'v TableView,
    alias: &DynIden,
    positions: impl Iterator<Item = usize> + Clone,
) -> (Vec<Expr>, Vec<Output<'v>>) {
    let readers = positions.clone().map(|position| reader(table, position)).collect();
    (as_shown(table, alias, positions).collect(), readers)
}

/// The values that identify a row of a table without a key. They are for the server only, and not masked.
fn apart<'v>(table: &'v TableView, alias: &DynIden) -> (Vec<Expr>, Vec<Output<'v>>) {
    let columns = table.apart();
    let output = |position: &usize| Output::value("_apart", table.decoder(*position));
    let outputs = columns.iter().map(output);
    let hidden = table.hidden_key().iter();
    let text = hidden.clone().map(|key| column(alias, key).cast_as("text"));
    let texts = hidden.map(|_| Output::value("_apart", Decoder::plain_text()));
    let others = expressions(table, alias, columns.iter().copied());
    (others.chain(text).collect(), outputs.chain(texts).collect())
}

/// The expressions of columns as they are shown.
fn as_shown(
    table: &TableView,
    alias: &DynIden,
    positions: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Expr> {
    positions
        .map(move |position| masked::masked(expression(table, alias, position), table, position))
}

fn expressions(
    table: &TableView,
    alias: &DynIden,
    positions: impl Iterator<Item = usize>,
) -> impl Iterator<Item = Expr> {
    positions.map(move |position| expression(table, alias, position))
}

fn expression(table: &TableView, alias: &DynIden, position: usize) -> Expr {
    as_read(column(alias, &table.table.columns[position]), table.decoder(position))
}

/// The expression in the form that the decoder reads.
fn as_read(value: Expr, decoder: &Decoder) -> Expr {
    match decoder.as_text() {
        true => value.cast_as("text"),
        false => value,
    }
}

fn reader(table: &TableView, position: usize) -> Output<'_> {
    let name = table.table.columns[position].name.as_str();
    let reader = Reader::Value {
        decoder: table.decoder(position),
        sealed: table.sealed(name).filter(|sealed| sealed.opened()),
        mask: Masked::of(table, position),
    };
    Output { name, reader }
}

/// The version of a row: its version column, or the transaction that wrote it.
fn version(table: &TableView, alias: &DynIden) -> Expr {
    let version = named(alias, version_column(table)).cast_as("text");
    match table.told_version() {
        // A row whose version column is null has a version, too.
        Some(column) if column.may_be_null => Func::coalesce([version, text("")]).into(),
        _ => version,
    }
}

fn version_column(table: &TableView) -> &str {
    table.told_version().map_or("xmin", |version| &version.name)
}
