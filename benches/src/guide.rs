//! Examples in Markdown: under a heading a call (a block of `json TOOL`) and the SQL that does the same; and those
//! in the tables of `docs/queries.md`, a row each.
//!
//! A call of a `transaction` has a statement for each of its operations.

use mcp_pg_core::value::Text;
use serde_json::{Value, json};

use crate::film::Fault;

/// `docs/queries.md`.
pub const GUIDE: &str = include_str!("../../docs/queries.md");

/// A view that an example of the guide reads.
pub const VIEW: &str = "CREATE VIEW order_totals AS SELECT order_id, user_id, total FROM orders";

/// Makes of the sample shop one with 30,000 orders.
pub const LARGE: &str = include_str!("large_shop.sql");

/// Tables of the sample movies that the guide reads; all others are the shop's.
const MOVIES: [&str; 1] = ["titles"];

/// Members of a condition that name something, or are a constant of the SQL.
const NO_VALUES: [&str; 5] = ["path", "language", "column", "$column", "interval"];

/// Tables of the shop that have nothing to archive.
const NOT_ARCHIVED: [&str; 4] = ["user_preferences", "inventory", "order_items", "payments"];

/// A call and what answers the same by hand.
#[derive(Debug, Clone)]
pub struct Example {
    /// The heading above it.
    pub title: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub arguments: Value,
    /// The statements.
    pub sql: Vec<String>,
}

impl Example {
    /// Whether it asks the sample movies, not the shop.
    pub fn asks_movies(&self) -> bool {
        self.arguments["table"].as_str().is_some_and(|table| MOVIES.contains(&table))
    }

    /// Whether it changes nothing.
    pub fn reads(&self) -> bool {
        matches!(self.tool.as_str(), "select" | "aggregate")
    }

    /// Its only statement, with parameters for those values of the call's conditions that stand in it; and these.
    pub fn prepared(&self) -> Option<(String, Vec<Text<'static>>)> {
        let mut known = Vec::new();
        conditions(&self.arguments, &mut known);
        let (mut sql, mut parameters, mut before) = (String::new(), Vec::new(), "");
        for token in tokens(self.sql.first()?) {
            // Other numbers are places of columns, and limits.
            let number = token.starts_with(|c: char| c.is_ascii_digit());
            let compared = !number || ["=", "<", ">"].contains(&before);
            if compared && known.iter().any(|literal| literal == token) {
                parameters.push(Text(Some(token.trim_matches('\'').to_owned().into())));
                sql.push_str(&format!("${}", parameters.len()));
            } else {
                sql.push_str(token);
            }
            before = if token.trim().is_empty() { before } else { token };
        }
        Some((sql, parameters))
    }
}

/// The values of all conditions in the arguments, as SQL writes them.
fn conditions(arguments: &Value, found: &mut Vec<String>) {
    match arguments {
        Value::Object(members) => {
            for (name, value) in members {
                let condition = ["where", "having"].contains(&name.as_str());
                if condition { literals(value, found) } else { conditions(value, found) }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| conditions(item, found)),
        _ => {}
    }
}

fn literals(condition: &Value, found: &mut Vec<String>) {
    match condition {
        Value::Object(members) => {
            let values = members.iter().filter(|(name, _)| !NO_VALUES.contains(&name.as_str()));
            values.for_each(|(_, value)| literals(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| literals(item, found)),
        Value::String(text) => found.push(format!("'{}'", text.replace('\'', "''"))),
        Value::Number(number) => found.push(number.to_string()),
        _ => {}
    }
}

/// Strings, words and numbers, and whatever else there is, character by character.
fn tokens(sql: &str) -> impl Iterator<Item = &str> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
        let first = rest.chars().next()?;
        let length = match first {
            '\'' => rest[1..].find('\'').map_or(rest.len(), |end| end + 2),
            _ if word(first) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        let (token, after) = rest.split_at(length);
        rest = after;
        Some(token)
    })
}

/// The examples of a text, in order.
///
/// # Errors
///
/// Half an example under a heading, or a call that is no JSON.
pub fn examples(markdown: &str) -> Result<Vec<Example>, Fault> {
    let mut found = Vec::new();
    let (mut title, mut call, mut sql) = (String::new(), None, None);
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if line.starts_with('#') {
            if call.is_some() || sql.is_some() {
                return Err(format!("half an example under {title:?}").into());
            }
            title = line.trim_start_matches('#').trim().to_owned();
        }
        let Some(language) = line.strip_prefix("```").filter(|rest| !rest.is_empty()) else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let block = block.join("\n");
        if language == "sql" {
            sql = Some(block.split(";\n").map(|text| text.trim_end_matches(';').into()).collect());
        } else if let Some(tool) = language.strip_prefix("json ") {
            call = Some((tool.to_owned(), parsed(&block)?));
        }
        match (call.take(), sql.take()) {
            (Some((tool, arguments)), Some(sql)) => {
                found.push(Example { title: title.clone(), tool, arguments, sql });
            }
            half => (call, sql) = half,
        }
    }
    Ok(found)
}

/// The rows of the guide's tables whose last column is an argument of `select`: `table`, PostgREST, SQL, argument.
///
/// # Errors
///
/// An argument that is no JSON, or an unknown one.
pub fn tabled() -> Result<Vec<Example>, Fault> {
    let mut found = Vec::new();
    let mut argument: Option<&str> = None;
    for line in GUIDE.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            // The line of dashes belongs to its table.
            argument = argument.filter(|_| line.starts_with("|---"));
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(|cell| cell.trim_matches('`')).collect();
        match (cells.as_slice(), argument) {
            (["table", "PostgREST", "SQL", name], _) => argument = Some(name),
            ([table, _, sql, ours], Some(name)) => found.push(row(table, sql, name, ours)?),
            _ => {}
        }
    }
    Ok(found)
}

fn row(table: &str, sql: &str, name: &str, ours: &str) -> Result<Example, Fault> {
    let present = if NOT_ARCHIVED.contains(&table) { "true" } else { "archived_at IS NULL" };
    let statement = match name {
        "where" => format!("SELECT * FROM {table} WHERE {present} AND ({sql}) ORDER BY 1"),
        "order_by" => format!("SELECT * FROM {table} WHERE {present} ORDER BY {sql}"),
        other => return Err(format!("the guide has a table of {other:?}").into()),
    };
    Ok(Example {
        title: format!("{table} {ours}"),
        tool: "select".to_owned(),
        arguments: json!({"table": table, name: parsed(ours)?}),
        sql: vec![statement],
    })
}

fn parsed(text: &str) -> Result<Value, Fault> {
    serde_json::from_str(text).map_err(|error| format!("{error}: {text}").into())
}
