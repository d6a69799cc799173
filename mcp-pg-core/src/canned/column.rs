//! The columns of a canned query: where they come from, and how its rows are decoded.

use std::sync::Arc;

use super::fault::Fault;
use super::source::Source;
use super::sql::Verb;
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

/// How the rows of a statement are decoded.
pub(super) struct Shown<'q> {
    pub(super) columns: &'q [Column],
    pub(super) verb: Verb,
    pub(super) writes: bool,
    pub(super) limit: u64,
}

impl Shown<'_> {
    /// The statement with its columns in the forms that their decoders read, and with a LIMIT if it only reads.
    pub(super) fn statement(&self, sql: &str) -> Result<String, String> {
        let reads = !self.writes && matches!(self.verb, Verb::Select | Verb::With);
        let as_text = self.columns.iter().find(|column| column.decoder.as_text());
        let Some(column) = as_text.or(self.columns.first()).filter(|_| reads || as_text.is_some())
        else {
            return Ok(sql.to_owned());
        };
        let names: Vec<String> =
            (0..self.columns.len()).map(|number| format!("c{number}")).collect();
        let names = names.join(", ");
        let expressions: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(number, column)| match column.decoder.as_text() {
                true => format!("CAST(c{number} AS text) AS c{number}"),
                false => format!("c{number}"),
            })
            .collect();
        let expressions = expressions.join(", ");
        match (self.verb, reads) {
            (_, true) => {
                let most = self.limit.saturating_add(1);
                Ok(format!("SELECT {expressions} FROM (\n{sql}\n) AS q ({names}) LIMIT {most}"))
            }
            (Verb::Select, false) => {
                Ok(format!("SELECT {expressions} FROM (\n{sql}\n) AS q ({names})"))
            }
            (Verb::Change(_), false) => {
                Ok(format!("WITH q ({names}) AS (\n{sql}\n) SELECT {expressions} FROM q"))
            }
            (Verb::With | Verb::Call, false) => Err(format!(
                "the column {} is of type {}, which cannot be read as it is: cast it to text",
                column.name, column.data_type.name
            )),
        }
    }
}
