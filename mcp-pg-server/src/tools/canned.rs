//! Canned queries and functions as tools.

use std::sync::Arc;

use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::View;
use rmcp::model::{JsonObject, Tool, ToolAnnotations};

/// The characters of a brief description.
const BRIEF: usize = 160;

/// The tool, with full schemas of its arguments and rows.
pub(super) fn tool(query: &Query, view: &View) -> Tool {
    made(query, view, query.description.clone(), query.output_schema())
}

/// The tool with a shortened description, and without the schema of its rows.
pub(super) fn brief(query: &Query, view: &View) -> Tool {
    let description = query.description.as_ref().map(|text| {
        let line = text.lines().next().unwrap_or_default();
        match line.char_indices().nth(BRIEF) {
            Some((end, _)) => format!("{}…", &line[..end]),
            None => line.to_owned(),
        }
    });
    let output = JsonObject::from_iter([("type".to_owned(), "object".into())]);
    made(query, view, description, output)
}

fn made(query: &Query, view: &View, description: Option<String>, output: JsonObject) -> Tool {
    let annotations = ToolAnnotations::new()
        .read_only(!query.writes)
        .destructive(query.writes && !query.additive)
        .idempotent(query.idempotent);
    let title = query.title.clone().unwrap_or_else(|| title(&query.name));
    let description = description.unwrap_or_else(|| title.clone());
    Tool::new(query.name.clone(), description, Arc::new(query.input_schema(view)))
        .with_title(title)
        .with_raw_output_schema(Arc::new(output))
        .with_annotations(annotations)
}

/// `get_movie_characters` as a title: `Get movie characters`.
fn title(name: &str) -> String {
    let words = name.replace(['_', '-'], " ");
    let mut letters = words.trim().chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => words,
    }
}
