//! `describe`: the schema for people, or as JSON for programs.

use std::io::{self, Write};

use mcp_pg_core::name::in_a_line;
use mcp_pg_core::policy::View;
use serde_json::{Map, Value, json};

use super::{Failure, print_json};

/// Prints one table, or all of them.
pub(super) fn describe(
    view: &View,
    table: Option<&str>,
    as_json: bool,
    out: &mut (dyn Write + Send),
) -> Result<(), Failure> {
    let tables: Vec<Map<String, Value>> = match table {
        Some(name) => vec![view.describe_whole(view.table(name)?)],
        None => view.tables().iter().map(|table| view.describe_whole(table)).collect(),
    };
    match (as_json, table) {
        (true, Some(_)) => {
            for table in tables {
                print_json(out, &Value::Object(table))?;
            }
        }
        (true, None) => print_json(out, &json!({ "tables": tables }))?,
        (false, Some(_)) => tables.iter().try_for_each(|table| print_table(out, table))?,
        (false, None) => print_list(out, &tables)?,
    }
    Ok(())
}

fn print_list(out: &mut (dyn Write + Send), tables: &[Map<String, Value>]) -> io::Result<()> {
    let rows: Vec<[String; 5]> = tables
        .iter()
        .map(|table| {
            [
                text(table, "table"),
                text(table, "kind"),
                text(table, "estimated_rows"),
                text(table, "actions"),
                comment(table),
            ]
        })
        .collect();
    print_rows(out, ["table", "kind", "rows", "actions", "comment"], &rows)
}

fn print_table(out: &mut (dyn Write + Send), table: &Map<String, Value>) -> io::Result<()> {
    writeln!(out, "{} ({})", text(table, "table"), text(table, "kind"))?;
    for (key, value) in table {
        match (key.as_str(), value) {
            ("table" | "kind" | "columns", _) => {}
            // Lists of objects get one line per object.
            (_, Value::Array(items)) if items.iter().any(Value::is_object) => {
                writeln!(out, "{key}:")?;
                for item in items {
                    writeln!(out, "  {}", line(item))?;
                }
            }
            _ => writeln!(out, "{key}: {}", line(value))?,
        }
    }
    writeln!(out)?;
    let columns: Vec<[String; 4]> = table
        .get("columns")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_object)
        .map(|column| {
            let nullable = column.get("nullable") == Some(&Value::Bool(true));
            let default = text(column, "default");
            let mut rules = Vec::new();
            if !nullable {
                rules.push("not null".to_owned());
            }
            if !default.is_empty() {
                rules.push(format!("default {default}"));
            }
            if let Some(Value::Object(to)) = column.get("references") {
                rules.push(format!("references {} ({})", text(to, "table"), text(to, "column")));
            }
            for key in ["identity", "generated"] {
                let rule = text(column, key);
                if !rule.is_empty() {
                    rules.push(format!("{key} {rule}"));
                }
            }
            [text(column, "name"), text(column, "type"), rules.join(", "), comment(column)]
        })
        .collect();
    print_rows(out, ["column", "type", "rules", "comment"], &columns)
}

/// Prints columns as wide as their widest cell. The last column is not padded.
fn print_rows<const N: usize>(
    out: &mut (dyn Write + Send),
    heading: [&str; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let width = |cell: &str| cell.chars().count();
    let mut widths = heading.map(width);
    for row in rows {
        for (widest, cell) in widths.iter_mut().zip(row) {
            *widest = (*widest).max(width(cell));
        }
    }
    let mut print = |cells: &[String; N]| {
        let mut printed = String::new();
        for (cell, wide) in cells.iter().zip(widths) {
            printed.push_str(&format!("{cell:wide$}  "));
        }
        writeln!(out, "{}", printed.trim_end())
    };
    print(&heading.map(str::to_owned))?;
    rows.iter().try_for_each(print)
}

fn text(object: &Map<String, Value>, key: &str) -> String {
    object.get(key).map(line).unwrap_or_default()
}

/// A value in one line, without JSON punctuation where it is simple.
fn line(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => in_a_line(text),
        Value::Array(items) => items.iter().map(line).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{} {}", in_a_line(key), line(value)))
                .collect();
            members.join("; ")
        }
        Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// The first line of the comment.
fn comment(object: &Map<String, Value>) -> String {
    let comment = object.get("comment").and_then(Value::as_str).unwrap_or_default();
    in_a_line(comment.lines().next().unwrap_or_default())
}
