//! The schema as resources, which a client can attach without a tool call.

use std::sync::Arc;

use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::{TableView, View};
use mcp_pg_core::reply::TableSummary;
use mcp_pg_core::{Code, Error};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::ErrorData;
use rmcp::model::{
    ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use crate::diagram::Diagram;
use crate::{reply, tools};

const SCHEMA: &str = "postgresql://schema";
const DIAGRAM: &str = "postgresql://diagram";
pub(crate) const ROLE: &str = "postgresql://role";

/// The resource of one table.
pub(crate) const TEMPLATE: &str = "postgresql://schema/{table}";

/// The tables on a page of the list.
const PAGE: usize = 100;

const JSON: &str = "application/json";
const MERMAID: &str = "text/vnd.mermaid";

/// The characters that are escaped in a segment of a URI: all but the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of resources after `cursor`: the schema, the diagram and the role, then each table.
///
/// The cursor is the URI of the last table on the previous page.
pub(crate) fn list(view: &View, cursor: Option<String>) -> Result<ListResourcesResult, ErrorData> {
    let tables = view.tables();
    let (mut resources, start) = match cursor {
        None => (fixed(), 0),
        Some(cursor) => {
            let last = table_name(&cursor)
                .and_then(|name| tables.iter().position(|table| view.display(table) == name));
            let last = last.ok_or_else(reply::stale_cursor)?;
            (Vec::new(), last + 1)
        }
    };
    let rest = tables.get(start..).unwrap_or_default();
    let page = rest.get(..PAGE).unwrap_or(rest);
    resources.extend(page.iter().map(|table| {
        let name = view.display(table);
        let resource = Resource::new(table_uri(&name), name).with_mime_type(JSON);
        match &table.table.comment {
            Some(comment) => resource.with_description(comment),
            None => resource,
        }
    }));
    let next = page.last().filter(|_| rest.len() > page.len());
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = next.map(|table| table_uri(&view.display(table)));
    Ok(result)
}

/// The resources that do not depend on the tables.
fn fixed() -> Vec<Resource> {
    vec![
        Resource::new(SCHEMA, "schema")
            .with_title("All tables")
            .with_description("The visible tables, each with a line about it.")
            .with_mime_type(JSON),
        Resource::new(DIAGRAM, "diagram")
            .with_title("Diagram")
            .with_description("Tables and foreign keys as a Mermaid entity-relationship diagram.")
            .with_mime_type(MERMAID),
        Resource::new(ROLE, "role")
            .with_title("Your role")
            .with_description("What you may do to which tables, and the limits.")
            .with_mime_type(JSON),
    ]
}

/// The template of the tables' URIs.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(TEMPLATE, "table")
        .with_title("One table")
        .with_description(
            "Columns, keys, relations and rules of a table, as describe_table gives them.",
        )
        .with_mime_type(JSON)
}

/// The resource at `uri`.
pub(crate) fn read(
    view: &View,
    queries: &[Arc<Query>],
    uri: &str,
) -> Result<ReadResourceResult, Error> {
    let (text, mime_type) = match uri {
        SCHEMA => (schema(view).to_string(), JSON),
        ROLE => (role(view, queries).to_string(), JSON),
        DIAGRAM => (Diagram::whole(view).mermaid(view.limits.max_reply_bytes), MERMAID),
        _ => (Value::Object(view.describe_within_reply(table(view, uri)?)).to_string(), JSON),
    };
    Ok(ReadResourceResult::new(vec![ResourceContents::text(text, uri).with_mime_type(mime_type)]))
}

/// The error of a resource, in the protocol's form.
pub(crate) fn protocol_error(uri: &str, error: &Error) -> ErrorData {
    match error.code() {
        Code::UnknownTable => ErrorData::resource_not_found(
            error.to_string(),
            Some(json!({"uri": uri, "error": error})),
        ),
        _ => reply::protocol_error(error),
    }
}

/// Whether the URI is that of a resource that does not depend on the tables.
pub(crate) fn is_fixed(uri: &str) -> bool {
    [SCHEMA, DIAGRAM, ROLE].contains(&uri)
}

/// Whether the URI has the form of a table's.
pub(crate) fn is_table(uri: &str) -> bool {
    table_name(uri).is_some()
}

/// The table with this URI.
pub(crate) fn table<'v>(view: &'v View, uri: &str) -> Result<&'v TableView, Error> {
    let name = table_name(uri);
    let name = name
        .ok_or_else(|| Error::new(Code::UnknownTable, format!("there is no resource {uri:?}")))?;
    view.table(&name)
}

fn table_uri(name: &str) -> String {
    format!("{SCHEMA}/{}", utf8_percent_encode(name, SEGMENT))
}

/// The table's name in a URI.
fn table_name(uri: &str) -> Option<String> {
    let name = uri.strip_prefix(SCHEMA)?.strip_prefix('/')?;
    Some(percent_decode_str(name).decode_utf8().ok()?.into_owned())
}

fn schema(view: &View) -> Value {
    let (tables, more) = lines(view, |table| json!(TableSummary::new(view, table)));
    let mut schema = json!({ "tables": tables });
    mark_cut(&mut schema, more);
    schema
}

pub(crate) fn role(view: &View, queries: &[Arc<Query>]) -> Value {
    let limits = &view.limits;
    let own = queries.iter().map(|query| query.name.as_str());
    let tools: Vec<&str> =
        tools::names(view.actions()).map(|name| name as &str).chain(own).collect();
    let (tables, more) = lines(view, |table| {
        json!({
            "table": view.display(table),
            "actions": table.actions.iter().collect::<Vec<_>>(),
        })
    });
    let mut role = json!({
        "role": view.role.name,
        "tools": tools,
        "limits": {
            "default_rows": limits.default_rows,
            "max_rows": limits.max_rows,
            "max_reply_bytes": limits.max_reply_bytes,
            "max_write_rows": limits.max_write_rows,
        },
        "tables": tables,
    });
    mark_cut(&mut role, more);
    role
}

/// A line for each table, up to the maximum size of a reply, and the number of omitted tables.
fn lines(view: &View, line: impl Fn(&TableView) -> Value) -> (Vec<Value>, usize) {
    let (mut lines, mut bytes) = (Vec::new(), 0);
    for table in view.tables() {
        let line = line(table);
        bytes += line.to_string().len();
        if bytes > view.limits.max_reply_bytes {
            break;
        }
        lines.push(line);
    }
    let more = view.tables().len() - lines.len();
    (lines, more)
}

fn mark_cut(reply: &mut Value, more: usize) {
    if let (1.., Value::Object(reply)) = (more, reply) {
        reply.insert("cut".into(), format!("{more} more: list_tables gives them by page").into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_survive_the_uri() {
        let uri = table_uri("sales.Order Lines/é%");
        assert_eq!(uri, "postgresql://schema/sales.Order%20Lines%2F%C3%A9%25");
        assert_eq!(table_name(&uri).unwrap(), "sales.Order Lines/é%");
        assert_eq!(table_name("postgresql://schema"), None);
        assert_eq!(table_name("postgresql://schema/%ff"), None);
    }
}
