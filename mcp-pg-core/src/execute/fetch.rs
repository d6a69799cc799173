//! A statement's parameters and rows.

use std::borrow::Cow;

use deadpool_postgres::Object;
use futures_util::{StreamExt, pin_mut};
use serde_json::Value;
use tokio_postgres::{Column, Row};

use super::refusal::{CHANGED, Failure};
use crate::error::{Code, Error, Result};
use crate::plan::{Operand, Source, WIRE_MOST};
use crate::statement::{Output, Reader, Statement};
use crate::value::{self, Raw, Text};

/// How many rows of a result are kept; the rest is only counted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// Rows.
    pub(crate) rows: u64,
    /// Bytes of their JSON.
    pub(crate) bytes: usize,
    /// Whether nobody asks how many the rest are: if they are long, the statement is given up.
    pub(super) part: bool,
}

impl Keep {
    /// Keeps so many rows and bytes, and counts all rows.
    pub(crate) const fn new(rows: u64, bytes: usize) -> Self {
        Self { rows, bytes, part: false }
    }
}

/// How many bytes are read of rows that nobody takes, before their statement is given up: to read them takes about as long as to
/// open another connection, which then takes the place of this one.
const REST_MOST: usize = 4 << 20;

/// The rows of a statement.
#[derive(Debug, Default)]
pub(crate) struct Fetched {
    /// The kept rows, with a value for each output.
    pub(crate) rows: Vec<Vec<Value>>,
    /// How many rows there were, or how many were read before the statement was given up.
    pub(crate) count: u64,
    /// Where related rows were truncated: the positions of the row and of the output.
    pub(crate) cut: Vec<(usize, usize)>,
    /// Bytes of the kept rows' JSON.
    pub(crate) bytes: usize,
    /// The first row that was too large to be kept.
    pub(crate) too_large: Option<TooLarge>,
    /// The number of rows that the statement read or wrote, as PostgreSQL reports it.
    pub(crate) affected: Option<u64>,
    /// The size of the largest row as PostgreSQL sent it, in bytes.
    pub(super) received: usize,
    /// Whether the statement was given up while PostgreSQL sent further rows.
    pub(super) given_up: bool,
}

/// A row that is too large.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooLarge {
    /// Its size, in bytes.
    pub(crate) bytes: usize,
    /// The position of its largest output.
    pub(crate) largest: usize,
}

/// The most bytes that a statement may take from earlier operations: a value that is put into itself again and again doubles
/// each time.
const TAKEN_MOST: usize = 1 << 20;

/// The parameters as texts. `results` are the rows of earlier operations, by column name, for references.
///
/// # Errors
///
/// `invalid_value` if a reference leads to no row, or to a value that does not fit; `limit_exceeded` if the values have too many
/// bytes.
pub(crate) fn texts<'o>(
    operands: &'o [Operand],
    results: &[Vec<serde_json::Map<String, Value>>],
) -> Result<Vec<Text<'o>>> {
    let mut room = TAKEN_MOST;
    let each = operands.iter().map(|operand| {
        let text = text(operand, results)?;
        if takes(&operand.source) {
            let left = room.checked_sub(text.as_ref().map_or(0, |text| text.len()));
            room = left.ok_or_else(|| {
                let message = format!("the values of $ref have more than {TAKEN_MOST} bytes");
                Error::new(Code::LimitExceeded, message)
                    .at(operand.place().unwrap_or_default())
                    .hint("write long values as they are, or in transactions of their own")
            })?;
        }
        Ok(Text(text))
    });
    each.collect()
}

/// Whether it is a value of an earlier operation, or a list that contains one.
fn takes(source: &Source) -> bool {
    match source {
        Source::Text(_) => false,
        Source::Reference { .. } => true,
        Source::List(values) => values.iter().any(|value| takes(&value.source)),
    }
}

fn text<'o, 'r>(
    operand: &'o Operand,
    results: &'r [Vec<serde_json::Map<String, Value>>],
) -> Result<Option<Cow<'o, str>>> {
    match &operand.source {
        Source::Text(text) => Ok(text.as_deref().map(Cow::Borrowed)),
        Source::Reference { reference, data_type, type_name } => {
            let rows = results.get(reference.operation).map_or(&[][..], Vec::as_slice);
            let of = |row: &'r serde_json::Map<String, Value>| row.get(&reference.column);
            let row = usize::try_from(reference.row.unwrap_or_default()).unwrap_or(usize::MAX);
            let value = rows.get(row).and_then(of);
            let doubtful =
                reference.row.is_none() && rows.iter().skip(1).any(|row| of(row) != value);
            let Some(value) = value.filter(|_| !doubtful) else {
                let (name, column) = (&reference.called, &reference.column);
                let error = Error::new(
                    Code::InvalidValue,
                    format!("operation {name} gave {} rows", rows.len()),
                )
                .at(operand.place().unwrap_or_default());
                return Err(match doubtful {
                    true => error.hint(format!("say which one, counting from 0: \"{name}.0.{column}\"")),
                    false if rows.is_empty() => {
                        error.hint("no row matched its condition, none was written, or they were too large to be kept, so there is nothing to refer to")
                    }
                    false => error,
                });
            };
            let text = value::encode(data_type, type_name, value);
            text.map(|text| text.map(Cow::Owned))
                .map_err(|error| error.at(operand.place().unwrap_or_default()))
        }
        Source::List(values) => {
            let values: Vec<Option<Cow<'_, str>>> =
                values.iter().map(|value| text(value, results)).collect::<Result<_>>()?;
            Ok(Some(value::text_array(values.iter().map(Option::as_deref)).into()))
        }
    }
}

/// The maximum number of prepared statements per connection: requests can take many shapes, and each statement takes a hundred
/// times the size of its text in PostgreSQL's memory.
const PREPARED_MOST: usize = 256;

/// The maximum size of the text of a prepared statement, in bytes. Longer ones take longer to run than to plan.
const PREPARED_LONGEST: usize = 4096;

/// The maximum number of tables in a prepared statement. Each join takes far more of PostgreSQL's memory than its text.
const PREPARED_TABLES: usize = 12;

/// Whether a statement is worth keeping prepared.
fn is_kept(statement: &Statement<'_>) -> bool {
    /// The size of a text that may have too many tables.
    const SHORT: usize = 512;
    let sql = &*statement.sql;
    let tables = || sql.matches(" FROM ").count() + sql.matches(" JOIN ").count();
    statement.recurring
        && sql.len() <= PREPARED_LONGEST
        && (sql.len() <= SHORT || tables() <= PREPARED_TABLES)
}

/// Prepares a statement. It is kept prepared if its text is likely to recur.
///
/// All are prepared, also those that are used once: a statement that is sent unprepared hangs if a column has a type that the driver
/// does not know, and the rows are many. The driver asks for the type then, but the answer comes after the rows, which
/// nobody takes.
pub(super) async fn prepare(
    client: &Object,
    statement: &Statement<'_>,
) -> Result<tokio_postgres::Statement, Failure> {
    let prepared = if is_kept(statement) {
        if client.statement_cache.size() >= PREPARED_MOST {
            client.statement_cache.clear();
        }
        client.prepare_cached(&statement.sql).await
    } else {
        client.prepare(&statement.sql).await
    };
    let prepared = prepared.map_err(Failure::Database)?;
    if statement.named && !has_names(&prepared, &statement.outputs) {
        return Err(Failure::Own(changed()));
    }
    Ok(prepared)
}

/// Whether the rows have the columns that the outputs are decoded from. Outputs may leave out all of them.
fn has_names(prepared: &tokio_postgres::Statement, outputs: &[Output<'_>]) -> bool {
    let names = prepared.columns().iter().map(Column::name);
    outputs.is_empty() || names.eq(outputs.iter().map(|output| output.name))
}

fn changed() -> Error {
    Error::new(Code::Internal, "the rows no longer have the columns that were described")
        .hint("the schema may have changed since it was read: try again")
        .sqlstate(CHANGED)
}

/// Whether PostgreSQL may still run the statement of this result, so that its connection must not be used again.
pub(super) fn is_abandoned(fetched: &Result<Fetched, Failure>) -> bool {
    match fetched {
        Ok(fetched) => fetched.given_up,
        Err(failure) => matches!(failure, Failure::Own(_)),
    }
}

/// Sends a prepared statement and reads its rows.
pub(super) async fn fetch(
    client: &Object,
    prepared: tokio_postgres::Statement,
    statement: &Statement<'_>,
    parameters: &[Text<'_>],
    keep: Keep,
) -> Result<Fetched, Failure> {
    let rows = client.query_raw(&prepared, parameters).await.map_err(Failure::Database)?;
    pin_mut!(rows);
    let mut fetched = Fetched::default();
    let mut rest = 0;
    while let Some(row) = rows.next().await {
        let row = row.map_err(Failure::Database)?;
        fetched.count += 1;
        fetched.received = fetched.received.max(row.raw_size_bytes());
        if fetched.count > keep.rows || fetched.too_large.is_some() {
            rest += row.raw_size_bytes();
            if keep.part && rest > REST_MOST {
                fetched.given_up = true;
                return Ok(fetched);
            }
            continue;
        }
        fetched.add(&row, &statement.outputs, keep.bytes)?;
    }
    fetched.affected = rows.rows_affected();
    Ok(fetched)
}

impl Fetched {
    /// Drops the rows that a smaller limit would not have kept.
    pub(crate) fn narrow(&mut self, keep: Keep, outputs: &[Output<'_>]) {
        self.bytes = 0;
        let most = usize::try_from(keep.rows).unwrap_or(usize::MAX);
        for row in std::mem::take(&mut self.rows).into_iter().take(most) {
            if self.too_large.is_none() {
                self.keep(row, outputs, keep.bytes);
            }
        }
    }

    /// Decodes a row, and keeps it if `most` bytes have room for it, too.
    fn add(&mut self, row: &Row, outputs: &[Output<'_>], most: usize) -> Result<(), Failure> {
        if row.raw_size_bytes() / WIRE_MOST > most {
            let size = |(place, output): (usize, &Output<'_>)| {
                let raw = row.try_get(place).map(|Raw(raw)| raw).unwrap_or_default();
                raw.map_or(0, |raw| output.weight(raw))
            };
            let sizes = || places(outputs).map(size);
            let bytes = sizes().sum();
            // Not decoded, because as JSON it would take several times this memory.
            if bytes / WIRE_MOST > most {
                self.too_large = Some(TooLarge { bytes, largest: largest(sizes()) });
                return Ok(());
            }
        }
        let mut values = Vec::with_capacity(outputs.len());
        for (index, (place, output)) in places(outputs).enumerate() {
            match read(row, place, output) {
                Ok((value, cut)) => {
                    values.push(value);
                    if cut {
                        self.cut.push((self.rows.len(), index));
                    }
                }
                // The page ends before a row whose related rows are too long, as before any that is too large.
                Err(Failure::Own(error))
                    if error.code() == Code::LimitExceeded && !self.rows.is_empty() =>
                {
                    let bytes = most.saturating_add(1);
                    self.too_large = Some(TooLarge { bytes, largest: index });
                    return Ok(());
                }
                Err(failure) => return Err(failure),
            }
        }
        self.keep(values, outputs, most);
        Ok(())
    }

    /// Keeps a row if `most` bytes have room for it, too.
    fn keep(&mut self, row: Vec<Value>, outputs: &[Output<'_>], most: usize) {
        let sizes = || row.iter().map(json_size);
        let names = outputs.iter().map(|output| output.name.len() + 4);
        let size = 2 + names.sum::<usize>() + sizes().sum::<usize>();
        if self.bytes + size > most {
            self.too_large = Some(TooLarge { bytes: size, largest: largest(sizes()) });
            return;
        }
        self.bytes += size;
        self.rows.push(row);
    }
}

/// The outputs, each with the position of its first column.
fn places<'o, 'v>(outputs: &'o [Output<'v>]) -> impl Iterator<Item = (usize, &'o Output<'v>)> {
    outputs.iter().scan(0, |next, output| {
        let place = *next;
        *next += output.width();
        Some((place, output))
    })
}

/// The JSON of an output, and whether related rows were left out.
fn read(row: &Row, place: usize, output: &Output<'_>) -> Result<(Value, bool), Failure> {
    let raw = |place| row.try_get(place).map(|Raw(raw)| raw).map_err(Failure::Database);
    let first = raw(place)?;
    Ok(match output.reader {
        Reader::Local => (value::local(first, raw(place + 1)?)?, false),
        _ => output.read(row.columns()[place].type_().oid(), first)?,
    })
}

/// The position of the largest of these sizes.
fn largest(sizes: impl Iterator<Item = usize>) -> usize {
    sizes.enumerate().max_by_key(|(_, size)| *size).map_or(0, |(position, _)| position)
}

/// The size of a value's JSON, or a little more.
fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(number) => match number.as_i64() {
            Some(integer) => 2 + integer.unsigned_abs().checked_ilog10().unwrap_or(0) as usize,
            None => 24,
        },
        Value::String(text) => text_size(text),
        Value::Array(items) => 2 + items.iter().map(|item| json_size(item) + 1).sum::<usize>(),
        Value::Object(members) => {
            let size = |(key, item): (&String, &Value)| text_size(key) + 2 + json_size(item);
            2 + members.iter().map(size).sum::<usize>()
        }
    }
}

fn text_size(text: &str) -> usize {
    text.len() + 2 + text.bytes().map(|byte| usize::from(ESCAPE[usize::from(byte)])).sum::<usize>()
}

/// The additional bytes that each byte takes in a JSON string.
const ESCAPE: [u8; 256] = {
    let mut more = [0; 256];
    let mut byte = 0;
    while byte < 0x20 {
        more[byte] = 5;
        byte += 1;
    }
    more[b'"' as usize] = 1;
    more[b'\\' as usize] = 1;
    more
};
