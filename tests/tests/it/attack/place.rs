//! Every place of an argument.

use serde_json::{Value, json};

/// Every place of an argument, with the hostile text in it. Nothing that could be written is kept.
pub(super) fn places(text: &str) -> Vec<(&'static str, Value)> {
    let key = |value: Value| json!({text: value});
    let select = |member: &str, value: Value| {
        let mut arguments = json!({"table": "client"});
        arguments[member] = value;
        ("select", arguments)
    };
    let write = |tool: &'static str, member: &str, value: Value| {
        let mut arguments = json!({"table": "client", "dry_run": true});
        match tool {
            "insert" => arguments["data"] = json!({"id": 9, "name": "x"}),
            "update" => {
                arguments["where"] = json!({"id": 1});
                arguments["updates"] = json!({"name": "x"});
            }
            _ => arguments["where"] = json!({"id": 1}),
        }
        arguments[member] = value;
        (tool, arguments)
    };
    let mut all = vec![
        ("list_tables", json!({"schema": text})),
        ("list_tables", json!({"search": text})),
        ("list_tables", json!({"cursor": text})),
        ("list_tables", json!({"detail": text})),
        ("describe_table", json!({"table": text})),
        ("describe_table", json!({"table": "client", text: 1})),
        select("columns", json!([text])),
        select("columns", json!(text)),
        select("where", json!(text)),
        select("where", key(json!(1))),
        select("where", json!({"name": text})),
        select("where", json!({"id": text})),
        select("where", json!({"born": text})),
        select("where", json!({"name": key(json!("x"))})),
        select("where", json!({"name": {"like": text}})),
        select("where", json!({"name": {"matches": text}})),
        select("where", json!({"name": {"search": text}})),
        select("where", json!({"name": {"in": [text]}})),
        select("where", json!({"column": text, "eq": 1})),
        select("where", json!({"meta": {"path": [text], "eq": text}})),
        select("where", json!({"meta": {"has_key": text}})),
        select("where", json!({"meta": {"contains": key(json!(1))}})),
        select("where", json!({"tags": {"contains": [text]}})),
        select("where", json!({"tags": text})),
        select("where", json!({"note": key(json!({}))})),
        select("where", json!({"note": {"some": key(json!(1))}})),
        select("where", json!({"or": [key(json!(null))]})),
        select("include", key(json!(true))),
        select("include", json!({"note": {"columns": [text]}})),
        select("include", json!({"note": {"where": key(json!(1))}})),
        select("include", json!({"note": {"order_by": [text]}})),
        select("include", json!({"note": {"include": key(json!(true))}})),
        select("include", json!({"note": key(json!(1))})),
        select("order_by", json!([text])),
        select("order_by", json!([{"column": text}])),
        select("order_by", json!([{"column": "id", "direction": text}])),
        select("order_by", json!([format!("-{text}")])),
        select("order_by", json!([format!("note.{text}")])),
        select("order_by", json!([{"column": "name", "rank": text}])),
        select("order_by", json!([{"column": "name", "distance": text}])),
        select("limit", json!(text)),
        select("offset", json!(text)),
        select("cursor", json!(text)),
        select("count", json!(text)),
        select("archived", json!(text)),
        select("format", json!(text)),
        ("aggregate", json!({"table": "client", "measures": key(json!({"count": "*"}))})),
        ("aggregate", json!({"table": "client", "measures": {"n": key(json!("id"))}})),
        ("aggregate", json!({"table": "client", "measures": {"n": {"max": text}}})),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*", "where": key(json!(1))}}}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "group_by": [text]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}},
            "group_by": [{"column": "born", "bucket": text}]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}},
            "group_by": [{"column": "born", "bucket": "month", "as": text}]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "having": key(json!(1))}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "order_by": [text]}),
        ),
        write("insert", "data", json!({"id": 9, "name": text})),
        write("insert", "data", json!({"id": 9, text: 1})),
        write("insert", "data", json!({"id": text})),
        write("insert", "data", json!({"id": 9, "name": {format!("${text}"): 1}})),
        write("insert", "data", json!({"id": 9, "tags": [text], "meta": {text: text}})),
        write("insert", "data", json!(text)),
        write("insert", "on_conflict", json!({"columns": [text], "do": "nothing"})),
        write("insert", "on_conflict", json!({"columns": ["id"], "do": text})),
        write(
            "insert",
            "on_conflict",
            json!({"columns": ["id"], "do": "update", "update": [text]}),
        ),
        write("insert", "returning", json!([text])),
        write("update", "updates", json!({"name": text})),
        write("update", "updates", key(json!(1))),
        write("update", "updates", json!([key(json!(1))])),
        write("update", "updates", json!({"meta": {"$merge": {text: text}}})),
        write("update", "updates", json!({"name": {"$ref": text}})),
        write("update", "if_version", json!(text)),
        write("update", "max_rows", json!(text)),
        write("update", "where", key(json!(1))),
        write("update", "returning", json!([text])),
        write("archive", "where", json!({"name": text})),
        write("restore", "where", key(json!(1))),
        write("delete", "where", key(json!(1))),
        ("transaction", json!({"operations": [{"operation": text, "table": "client"}]})),
        (
            "transaction",
            json!({"dry_run": true, "isolation": text, "operations": [{"operation": "select", "table": "client"}]}),
        ),
        (
            "transaction",
            json!({"dry_run": true, "operations": [
                {"operation": "select", "table": "client", "as": text},
                {"operation": "select", "table": "note", "where": {"client_id": {"$ref": format!("{text}.id")}}},
            ]}),
        ),
        ("explain", json!({"operation": text, "table": "client"})),
        ("explain", json!({"operation": "select", "table": "client", "where": {"name": text}})),
        ("explain", json!({"operation": "select", "table": text})),
    ];
    for tool in ["select", "aggregate", "insert", "update", "archive", "restore", "delete"] {
        let (_, mut arguments) =
            write(if tool == "select" { "archive" } else { tool }, "table", json!(text));
        if tool == "select" || tool == "aggregate" {
            arguments = json!({"table": text, "measures": {"n": {"count": "*"}}});
        }
        all.push((tool, arguments));
    }
    all
}
