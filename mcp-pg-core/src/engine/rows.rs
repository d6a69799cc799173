//! Rows in the formats of replies: objects, arrays or text.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::plan::Returned;
use crate::policy::TableView;
use crate::reply::Rows;
use crate::request::Format;
use crate::statement::Output;

/// A row as an object of its first `width` values.
pub(super) fn object(
    outputs: &[Output<'_>],
    values: Vec<Value>,
    width: usize,
) -> Map<String, Value> {
    outputs.iter().take(width).map(|output| output.name.to_owned()).zip(values).collect()
}

/// The requested columns of a row, in that order.
pub(super) fn pick(
    row: &Map<String, Value>,
    table: &TableView,
    returning: &[Returned],
) -> Map<String, Value> {
    let asked = returning.iter().filter_map(|returned| {
        let column = table.table.columns.get(returned.position)?;
        Some((returned.name.clone(), returned.within(row.get(&column.name)?)))
    });
    asked.collect()
}

/// Rows in a format: the members `columns`, `rows` and `text` of a reply.
pub(super) type Shaped = (Option<Vec<String>>, Option<Rows>, Option<String>);

/// The names of the outputs.
pub(super) fn names(outputs: &[Output<'_>]) -> Arc<[String]> {
    outputs.iter().map(|output| output.name.to_owned()).collect()
}

/// Formats rows whose first `outputs.len()` values are shown. `cut` marks the rows in which related rows are missing: as a
/// member of these, or as a column.
pub(super) fn shape(
    names: Arc<[String]>,
    outputs: &[Output<'_>],
    rows: Vec<Vec<Value>>,
    cut: &[(usize, usize)],
    format: Format,
) -> Shaped {
    let marks = cut.iter().filter_map(|(row, output)| Some((*row, outputs.get(*output)?.mark()?)));
    if format == Format::Json {
        let marks = marks.map(|(row, mark)| (row, mark.to_owned())).collect();
        return (None, Some(Rows::named(names, rows, marks)), None);
    }
    // Here every row has every member.
    let cut: HashSet<(usize, &str)> = marks.collect();
    let marked = outputs.iter().filter_map(Output::mark);
    let marked: Vec<&str> =
        marked.filter(|mark| cut.iter().any(|(_, other)| other == mark)).collect();
    let names: Vec<String> =
        names.iter().map(String::as_str).chain(marked.iter().copied()).map(Into::into).collect();
    let rows = rows.into_iter().enumerate().map(|(index, mut row)| {
        row.truncate(outputs.len());
        row.extend(marked.iter().map(|mark| Value::from(cut.contains(&(index, mark)))));
        row
    });
    match format {
        Format::Text => (None, None, Some(text(&names, &rows.collect::<Vec<_>>()))),
        _ => (Some(names), Some(rows.map(Value::Array).collect::<Vec<_>>().into()), None),
    }
}

/// One line per row, with columns separated by ` | `, after a line of names. Null is written as nothing, the empty
/// text as `""`.
fn text(names: &[String], rows: &[Vec<Value>]) -> String {
    let cell = |value: &Value| match value {
        Value::Null => String::new(),
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        Value::String(text) => in_a_cell(text),
        // Its JSON has no line breaks, and its backslashes are already escaped.
        other => other.to_string().replace('|', "\\u007c"),
    };
    let mut out = names.iter().map(|name| in_a_cell(name)).collect::<Vec<_>>().join(" | ");
    for row in rows {
        out.push('\n');
        let cells: Vec<String> = row.iter().take(names.len()).map(cell).collect();
        out.push_str(&cells.join(" | "));
    }
    out
}

/// The text with the characters escaped that would end a line or a column.
fn in_a_cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\\' | '|' => out.extend(['\\', letter]),
            _ => out.push(letter),
        }
    }
    out
}
