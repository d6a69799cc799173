//! The schema as resources: what a client can attach without a tool call.

use mcp_pg_core::reply::{TableEntry, TableList, TableSummary};
use mcp_pg_core::request::{Detail, ListTables};
use mcp_pg_core::{Code, Engine, Error, Principal, Reply, Request};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rmcp::ErrorData;
use rmcp::model::{
    ListResourcesResult, ReadResourceResult, Resource, ResourceContents, ResourceTemplate,
};
use serde_json::{Value, json};

use crate::{diagram, reply, tools};

const SCHEMA: &str = "postgresql://schema";
const DIAGRAM: &str = "postgresql://diagram";
const ROLE: &str = "postgresql://role";

/// The resource of one table.
pub(crate) const TEMPLATE: &str = "postgresql://schema/{table}";

const JSON: &str = "application/json";
const MERMAID: &str = "text/vnd.mermaid";

/// What a URI's segment must not hold unencoded (RFC 3986, unreserved characters stay).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The page of resources at `cursor`: first the whole schema, the diagram and the role, then each table.
pub(crate) async fn list(
    engine: &Engine,
    caller: &Principal,
    cursor: Option<String>,
) -> Result<ListResourcesResult, ErrorData> {
    let first = cursor.is_none();
    let page = page(engine, caller, cursor).await.map_err(|error| reply::protocol_error(&error))?;
    let mut resources = Vec::new();
    if first {
        resources.push(
            Resource::new(SCHEMA, "schema")
                .with_title("All tables")
                .with_description("The visible tables, each with a line about it.")
                .with_mime_type(JSON),
        );
        resources.push(
            Resource::new(DIAGRAM, "diagram")
                .with_title("Diagram")
                .with_description(
                    "Tables and foreign keys as a Mermaid entity-relationship diagram.",
                )
                .with_mime_type(MERMAID),
        );
        resources.push(
            Resource::new(ROLE, "role")
                .with_title("Your role")
                .with_description("What you may do to which tables, and the limits.")
                .with_mime_type(JSON),
        );
    }
    resources.extend(page.tables.into_iter().filter_map(summary).map(|table| {
        let resource = Resource::new(table_uri(&table.table), table.table).with_mime_type(JSON);
        match table.comment {
            Some(comment) => resource.with_description(comment),
            None => resource,
        }
    }));
    let mut result = ListResourcesResult::with_all_items(resources);
    result.next_cursor = page.next_cursor;
    Ok(result)
}

/// The one template.
pub(crate) fn template() -> ResourceTemplate {
    ResourceTemplate::new(TEMPLATE, "table")
        .with_title("One table")
        .with_description(
            "Columns, keys, relations and rules of a table, as describe_table gives them.",
        )
        .with_mime_type(JSON)
}

/// The resource at `uri`.
pub(crate) async fn read(
    engine: &Engine,
    caller: &Principal,
    uri: &str,
) -> Result<ReadResourceResult, ErrorData> {
    let found = match uri {
        SCHEMA => schema(engine, caller).await.map(|schema| (schema.to_string(), JSON)),
        ROLE => role(engine, caller).await.map(|role| (role.to_string(), JSON)),
        DIAGRAM => engine.view(caller).map(|view| {
            let bytes = engine.settings().limits.max_reply_bytes;
            (diagram::mermaid(&view, bytes), MERMAID)
        }),
        _ => table(engine, caller, uri).map(|table| (table.to_string(), JSON)),
    };
    match found {
        Ok((text, mime_type)) => Ok(ReadResourceResult::new(vec![
            ResourceContents::text(text, uri).with_mime_type(mime_type),
        ])),
        Err(error) if error.code() == Code::UnknownTable => Err(ErrorData::resource_not_found(
            error.to_string(),
            Some(json!({"uri": uri, "error": error})),
        )),
        Err(error) => Err(reply::protocol_error(&error)),
    }
}

fn table_uri(name: &str) -> String {
    format!("{SCHEMA}/{}", utf8_percent_encode(name, SEGMENT))
}

fn table(engine: &Engine, caller: &Principal, uri: &str) -> Result<Value, Error> {
    let unknown = || Error::new(Code::UnknownTable, format!("there is no resource {uri:?}"));
    let name =
        uri.strip_prefix(SCHEMA).and_then(|rest| rest.strip_prefix('/')).ok_or_else(unknown)?;
    let name = percent_decode_str(name).decode_utf8().map_err(|_| unknown())?;
    let view = engine.view(caller)?;
    Ok(Value::Object(view.describe(view.table(&name)?)))
}

async fn schema(engine: &Engine, caller: &Principal) -> Result<Value, Error> {
    let (tables, more) = all_tables(engine, caller).await?;
    let mut schema = json!({ "tables": tables });
    mark_cut(&mut schema, more);
    Ok(schema)
}

async fn role(engine: &Engine, caller: &Principal) -> Result<Value, Error> {
    let (tables, more) = all_tables(engine, caller).await?;
    let settings = engine.settings();
    let tables: Vec<Value> = tables
        .into_iter()
        .map(|table| json!({"table": table.table, "actions": table.actions}))
        .collect();
    let mut role = json!({
        "role": caller.role,
        "tools": tools::names(engine.view(caller)?.actions()).collect::<Vec<_>>(),
        "limits": {
            "default_rows": settings.limits.default_rows,
            "max_rows": settings.limits.max_rows,
            "max_reply_bytes": settings.limits.max_reply_bytes,
            "max_write_rows": settings.limits.max_write_rows,
        },
        "tables": tables,
    });
    mark_cut(&mut role, more);
    Ok(role)
}

fn mark_cut(reply: &mut Value, more: bool) {
    if let (true, Value::Object(reply)) = (more, reply) {
        reply.insert("truncated".into(), "list_tables gives the rest, page by page".into());
    }
}

/// The summaries of the visible tables, up to the bytes that a reply may have; whether there are more.
async fn all_tables(
    engine: &Engine,
    caller: &Principal,
) -> Result<(Vec<TableSummary>, bool), Error> {
    let most = engine.settings().limits.max_reply_bytes;
    let (mut all, mut bytes, mut cursor) = (Vec::new(), 0, None);
    loop {
        let page = page(engine, caller, cursor).await?;
        for table in page.tables.into_iter().filter_map(summary) {
            bytes += serde_json::to_string(&table).map_or(0, |text| text.len());
            if bytes > most {
                return Ok((all, true));
            }
            all.push(table);
        }
        match page.next_cursor {
            Some(next) => cursor = Some(next),
            None => return Ok((all, false)),
        }
    }
}

async fn page(
    engine: &Engine,
    caller: &Principal,
    cursor: Option<String>,
) -> Result<TableList, Error> {
    let request = ListTables { detail: Some(Detail::Summary), cursor, ..ListTables::default() };
    match engine.handle(caller, Request::ListTables(request)).await? {
        Reply::Tables(page) => Ok(page),
        _ => Err(Error::new(Code::Internal, "a list of tables was expected")),
    }
}

fn summary(entry: TableEntry) -> Option<TableSummary> {
    match entry {
        TableEntry::Summary(summary) => Some(summary),
        TableEntry::Name(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_survive_the_uri() {
        let uri = table_uri("sales.Order Lines/é%");
        assert_eq!(uri, "postgresql://schema/sales.Order%20Lines%2F%C3%A9%25");
        let segment = uri.rsplit('/').next().unwrap();
        assert_eq!(percent_decode_str(segment).decode_utf8().unwrap(), "sales.Order Lines/é%");
    }
}
