//! The columns of a canned query: where they come from, and how its rows are decoded.

use std::sync::Arc;

use super::fault::Fault;
use super::source::Source;
use super::sql::Verb;
use crate::name::quoted;
use crate::schema::{ColumnOrigin, DataType, Described, DescribedColumn, oid};
use crate::value::Decoder;

/// A column of its rows.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) data_type: Arc<DataType>,
    /// The column of a table that it shows unchanged.
    pub(super) origin: Option<ColumnOrigin>,
    /// Whether that column is part of its table's primary key.
    pub(super) in_key: bool,
    pub(super) decoder: Decoder,
}

/// The columns that PostgreSQL describes. Each must have a name of its own.
pub(super) fn columns(source: &Source, described: &Described) -> Result<Vec<Column>, Fault> {
    let all = &described.columns;
    let mut columns: Vec<Column> = Vec::with_capacity(all.len());
    for (position, described) in all.iter().enumerate() {
        let DescribedColumn { name, data_type, origin, in_key } = described;
        if data_type.oid == oid::VOID {
            match all.as_slice() {
                [_] => continue,
                _ => return Err(source.fault(format!("the column {name} is void"), None)),
            }
        }
        if columns.iter().any(|known| known.name == *name) {
            let message = format!("two columns are called {name}: rename one with AS");
            return Err(source.fault(message, None));
        }
        let decoder = Decoder::for_type(data_type);
        let origin = origin.clone().or_else(|| source.row_column(position));
        let data_type = Arc::clone(data_type);
        let (name, in_key) = (name.clone(), *in_key);
        columns.push(Column { name, data_type, origin, in_key, decoder });
    }
    Ok(columns)
}

/// The text around a statement: it reads the columns by the names that were described, in the forms of their decoders. So a
/// `*` that PostgreSQL expands anew does not give one column's values under another's name.
#[derive(Debug)]
pub(super) struct Frame {
    before: String,
    after: String,
}

impl Frame {
    /// The frame of a statement, with a LIMIT if it only reads. A statement that writes and cannot stand in another has none.
    pub(super) fn new(
        columns: &[Column],
        verb: Verb,
        writes: bool,
        limit: u64,
    ) -> Result<Option<Self>, String> {
        let as_text = columns.iter().find(|column| column.decoder.as_text());
        let alias = alias(columns);
        let (before, after) = match (verb, writes) {
            _ if columns.is_empty() => return Ok(None),
            (Verb::Select | Verb::With, false) => {
                let most = limit.saturating_add(1);
                let shown = expressions(columns);
                (format!("SELECT {shown} FROM ("), format!(") AS {alias} LIMIT {most}"))
            }
            (Verb::Select, true) => {
                (format!("SELECT {} FROM (", expressions(columns)), format!(") AS {alias}"))
            }
            (Verb::Change(_), _) if as_text.is_some() => {
                let shown = expressions(columns);
                (format!("WITH {alias} AS ("), format!(") SELECT {shown} FROM {alias}"))
            }
            _ => {
                return match as_text {
                    None => Ok(None),
                    Some(column) => Err(format!(
                        "the column {} is of type {}, which cannot be read as it is: cast it to text",
                        column.name, column.data_type.name
                    )),
                };
            }
        };
        Ok(Some(Self { before, after }))
    }

    pub(super) fn around(&self, sql: &str) -> String {
        let Self { before, after } = self;
        format!("{before}\n{sql}\n{after}")
    }
}

/// The columns in the forms that their decoders read. A name with an alias before it could be a function's.
fn expressions(columns: &[Column]) -> String {
    let expression = |column: &Column| {
        let name = quoted(&column.name);
        if column.decoder.as_text() { format!("CAST({name} AS text)") } else { name }
    };
    columns.iter().map(expression).collect::<Vec<_>>().join(", ")
}

/// An alias that no column has: the name of a column that is gone would mean the whole row.
fn alias(columns: &[Column]) -> String {
    let mut alias = "q".to_owned();
    while columns.iter().any(|column| column.name == alias) {
        alias.push('q');
    }
    alias
}
