//! Plans → SQL text and parameters: the only room that knows sea-query, or any SQL.
//!
//! Identifiers come from the plan's catalogue entries and are quoted by sea-query; every value is a
//! parameter.

mod aggregate;
mod change;
mod include;
mod insert;
mod output;
mod parameters;
mod predicate;
mod select;

use sea_query::{DynIden, Expr, ExprTrait, IntoIden, TableRef};

pub use change::{affected, change, lock};
pub use insert::{INSERT_PARAMETERS, insert};
pub use output::{Output, Reader};
pub use select::{counting, explain, select};

use crate::plan::Operand;
use crate::policy::TableView;
use crate::schema::Column;

/// A statement to run, and how to read its rows.
#[derive(Debug, Clone)]
pub struct Statement<'v> {
    /// The text, with `$1`, `$2`, … for the parameters.
    pub sql: String,
    /// The parameters, in order.
    pub parameters: Vec<Operand>,
    /// The columns of its rows, in order.
    pub outputs: Vec<Output<'v>>,
    /// Whether the text will come again: only then it is worth preparing for good.
    pub recurring: bool,
}

/// The alias of the table that a statement is about.
const SUBJECT: &str = "t0";

/// The table under an alias.
fn aliased(table: &TableView, alias: &DynIden) -> TableRef {
    let name = table.name();
    let schema = sea_query::SchemaName(None, name.schema.clone().into_iden());
    let name = sea_query::TableName(Some(schema), name.name.clone().into_iden());
    TableRef::Table(name, Some(alias.clone()))
}

/// A column of the table under an alias.
fn column(alias: &DynIden, column: &Column) -> Expr {
    named(alias, column.identifier())
}

fn named(alias: &DynIden, name: &str) -> Expr {
    Expr::col((alias.clone(), name.to_owned()))
}

/// The columns at these positions, each in the form that its decoder reads.
fn outputs<'v>(
    table: &'v TableView,
    alias: &DynIden,
    positions: impl IntoIterator<Item = usize>,
) -> (Vec<Expr>, Vec<Output<'v>>) {
    positions
        .into_iter()
        .map(|position| {
            let definition = &table.table.columns[position];
            let name = definition.name.as_str();
            let decoder = table.decoder(position);
            let expression = column(alias, definition);
            let expression =
                if decoder.as_text() { expression.cast_as("text") } else { expression };
            (
                expression,
                Output { name, reader: Reader::Value { decoder, mask: table.mask(position) } },
            )
        })
        .unzip()
}

/// The version of a row: its version column, or the transaction that wrote it.
fn version(table: &TableView, alias: &DynIden) -> Expr {
    named(alias, table.version.as_ref().map_or("xmin", |version| &version.name)).cast_as("text")
}
