//! The visible tables as a Mermaid entity-relationship diagram.

use std::fmt::Write as _;

use mcp_pg_core::policy::View;
use serde_json::{Map, Value};

/// The diagram, cut after `most` bytes with a line that says so.
pub(crate) fn mermaid(view: &View, most: usize) -> String {
    let mut diagram = String::from("erDiagram\n");
    let tables = view.tables();
    for (position, table) in tables.iter().enumerate() {
        let part = entity(&view.describe(table));
        if diagram.len() + part.len() > most {
            let _ = writeln!(diagram, "    %% cut: {} more tables", tables.len() - position);
            break;
        }
        diagram.push_str(&part);
    }
    diagram
}

/// One table with its columns, and a line for each of its references.
fn entity(table: &Map<String, Value>) -> String {
    let name = quoted(text(table, "table"));
    let mut part = format!("    {name} {{\n");
    let primary_key: Vec<&str> =
        list(table, "primary_key").iter().filter_map(Value::as_str).collect();
    let references: Vec<&Map<String, Value>> = list(table, "relations")
        .iter()
        .filter_map(Value::as_object)
        .filter(|relation| text(relation, "kind") == "to_one")
        .collect();
    let mut nullable = Vec::new();
    for column in list(table, "columns").iter().filter_map(Value::as_object) {
        let column_name = text(column, "name");
        if column.get("nullable").and_then(Value::as_bool) == Some(true) {
            nullable.push(column_name);
        }
        let is_reference =
            references.iter().any(|relation| columns(relation).contains(&column_name));
        let key = match (primary_key.contains(&column_name), is_reference) {
            (true, true) => " PK,FK",
            (true, false) => " PK",
            (false, true) => " FK",
            (false, false) => "",
        };
        let (kind, column_name) = (word(text(column, "type")), word(column_name));
        let _ = writeln!(part, "        {kind} {column_name}{key}");
    }
    part.push_str("    }\n");
    for relation in references {
        let optional = columns(relation).iter().any(|column| nullable.contains(column));
        let one = if optional { "o|" } else { "||" };
        let other = quoted(text(relation, "table"));
        let label = quoted(text(relation, "name"));
        let _ = writeln!(part, "    {name} }}o--{one} {other} : {label}");
    }
    part
}

fn text<'a>(object: &'a Map<String, Value>, key: &str) -> &'a str {
    object.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(object: &'a Map<String, Value>, key: &str) -> &'a [Value] {
    object.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn columns(relation: &Map<String, Value>) -> Vec<&str> {
    list(relation, "columns").iter().filter_map(Value::as_str).collect()
}

/// A name as Mermaid takes it: quoted, without what ends a quotation or a line.
fn quoted(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c == '"' || c.is_control() { '_' } else { c }).collect();
    format!("\"{name}\"")
}

/// A word as Mermaid takes it for types and attributes: it begins with a letter and has no spaces.
fn word(name: &str) -> String {
    let mut word: String =
        name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !word.starts_with(|c: char| c.is_alphabetic()) {
        word.insert(0, 'x');
    }
    word
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_table_with_keys_and_references() {
        let table = json!({
            "table": "sales.Order \"Lines\"",
            "columns": [
                {"name": "id", "type": "integer", "nullable": false},
                {"name": "film id", "type": "character varying(10)", "nullable": true},
            ],
            "primary_key": ["id"],
            "relations": [
                {"name": "film", "kind": "to_one", "table": "film", "columns": ["film id"]},
                {"name": "notes", "kind": "to_many", "table": "notes", "columns": ["id"]},
            ],
        });
        assert_eq!(
            entity(table.as_object().unwrap()),
            "    \"sales.Order _Lines_\" {\n\
             \x20       integer id PK\n\
             \x20       character_varying_10_ film_id FK\n\
             \x20   }\n\
             \x20   \"sales.Order _Lines_\" }o--o| \"film\" : \"film\"\n"
        );
    }
}
