//! Members of JSON among the columns of a select or of related rows.

use std::sync::Arc;

use mcp_pg_core::Settings;
use mcp_pg_core::audit::FileSink;
use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_tests::{Database, call, call_as, error, refused, rows, selected};
use serde_json::{Value, json};

use crate::json_members::reader;

const DOCUMENTS: &str = r#"
CREATE TABLE owners (id integer PRIMARY KEY, settings json);
INSERT INTO owners VALUES (1, '{"level": 2}'), (2, '{"level": 10}'), (3, NULL);
CREATE TABLE documents (id integer PRIMARY KEY, meta jsonb, owner_id integer REFERENCES owners, "meta.kind" text);
INSERT INTO documents VALUES
  (1, '{"kind": "a", "list": [{"n": 9007199254740993}, 2], "address": {"zip": "75001"}}', 1, 'x'),
  (2, '{"kind": null, "list": []}', 1, 'y'),
  (3, '{"kind": "a"}', 2, NULL),
  (4, NULL, 2, NULL),
  (5, '["a"]', NULL, NULL);"#;

fn kind() -> Value {
    json!({"column": "meta", "path": ["kind"], "as": "kind"})
}

#[tokio::test]
async fn members_are_shown_and_null_where_absent() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let columns = json!([
        {"column": "meta", "path": ["address", "zip"]}, "id", {"column": "meta", "path": ["list", 0, "n"], "as": "n"},
        {"column": "meta", "path": ["list"]}, kind(), "id", kind(), {"column": "meta", "path": [0]}
    ]);
    let found = selected(&engine, json!({"table": "documents", "columns": columns})).await;
    let row = |id, zip: Value, n: Value, list: Value, kind: Value, first: Value| json!({"meta.address.zip": zip, "id": id, "n": n, "meta.list": list, "kind": kind, "meta.0": first});
    let null = Value::Null;
    let number = json!(9_007_199_254_740_993_i64);
    assert_eq!(
        found,
        [
            row(
                1,
                json!("75001"),
                number.clone(),
                json!([{"n": number}, 2]),
                json!("a"),
                null.clone()
            ),
            row(2, null.clone(), null.clone(), json!([]), null.clone(), null.clone()),
            row(3, null.clone(), null.clone(), null.clone(), json!("a"), null.clone()),
            row(4, null.clone(), null.clone(), null.clone(), null.clone(), null.clone()),
            row(5, null.clone(), null.clone(), null.clone(), null, json!("a")),
        ]
    );
    let two = json!({"table": "documents", "columns": [kind(), "id"], "limit": 1});
    for (format, member, expected) in [
        ("columns", "columns", json!(["kind", "id"])),
        ("columns", "rows", json!([["a", 1]])),
        ("text", "text", json!("kind | id\na | 1")),
    ] {
        let mut arguments = two.clone();
        arguments["format"] = json!(format);
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        assert_eq!(reply[member], expected, "{reply}");
    }
    let with_all =
        json!({"table": "owners", "columns": ["*", {"column": "settings", "path": ["level"]}]});
    let first = selected(&engine, with_all).await.swap_remove(0);
    assert_eq!(first, json!({"id": 1, "settings": {"level": 2}, "settings.level": 2}));
}

#[tokio::test]
async fn related_rows_have_them_those_of_written_rows_too() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let level = json!({"column": "settings", "path": ["level"], "as": "level"});
    let arguments = json!({
        "table": "owners", "columns": ["id", level], "where": {"id": 2},
        "include": {"documents": {"columns": [kind()], "order_by": ["-id"],
            "include": {"owner": {"columns": [level]}}}}});
    let expected = json!({"id": 2, "level": 10, "documents": [
        {"kind": null, "owner": {"level": 10}}, {"kind": "a", "owner": {"level": 10}}]});
    assert_eq!(selected(&engine, arguments).await, [expected]);
    let arguments = json!({"table": "owners", "where": {"id": 1}, "updates": {"settings": {}}, "returning": ["id"],
        "include": {"documents": {"columns": [kind()]}}});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "documents": [{"kind": "a"}, {"kind": null}]})]);
}

#[tokio::test]
async fn written_rows_have_them() {
    let database = Database::of(DOCUMENTS).await;
    let engine = database.engine().await;
    // Whatever a member is called, the row as it was and is has its own columns.
    let named = json!({"column": "meta", "path": ["list", -1], "as": "owner_id"});
    let returning = json!(["id", kind(), named]);
    let mut arguments = json!({"table": "documents", "where": {"id": 1}, "updates": {"meta": {"$merge": {"kind": "b"}}},
        "returning": returning, "dry_run": true});
    let reply = call(&engine, "operator", "update", arguments.clone()).await.unwrap();
    let row = |kind: &str| json!([{"id": 1, "kind": kind, "owner_id": 2}]);
    assert_eq!((&reply["before"], &reply["after"]), (&row("a"), &row("b")), "{reply}");
    arguments["dry_run"] = json!(false);
    assert_eq!(call(&engine, "operator", "update", arguments).await.unwrap()["rows"], row("b"));
    let level = json!({"column": "settings", "path": ["level"]});
    let arguments = json!({"table": "owners", "data": [{"id": 8, "settings": {"level": 5}}, {"id": 9}], "returning": [level, level]});
    let reply = call(&engine, "operator", "insert", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"settings.level": 5}), json!({"settings.level": null})]);
    let update = |returning: Value| json!({"table": "documents", "where": {"id": 1}, "updates": {"meta": {}}, "returning": returning});
    for (returning, code, at) in [
        (json!([1]), "invalid_value", "/returning/0"),
        (json!(["id", {"column": "id", "path": ["a"]}]), "invalid_value", "/returning/1/path"),
        (
            json!(["meta.kind", {"column": "meta", "path": ["kind"]}]),
            "invalid_value",
            "/returning/1",
        ),
        (json!(["id", {"add": ["id", 1], "as": "next"}]), "invalid_value", "/returning/1"),
        (json!([{"column": "mata", "path": ["kind"]}]), "unknown_column", "/returning/0/column"),
    ] {
        assert_eq!(refused(&engine, "update", update(returning)).await, (code.into(), at.into()));
    }
}

#[tokio::test]
async fn members_are_paged_by_and_distinct() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let by_kind = json!([{"column": "meta", "path": ["kind"], "direction": "desc"}]);
    for (arguments, expected) in [
        (json!({"columns": [kind()], "order_by": by_kind}), json!([null, null, null, "a", "a"])),
        (json!({"columns": [kind()], "order_by": ["-id"]}), json!([null, null, "a", null, "a"])),
        // What is missing and JSON's null are one.
        (json!({"columns": [kind()], "distinct": true, "order_by": ["kind"]}), json!(["a", null])),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("documents");
        arguments["limit"] = json!(1);
        arguments["count"] = json!("exact");
        let mut found = Vec::new();
        loop {
            let reply = call(&engine, "analyst", "select", arguments.clone()).await.unwrap();
            assert_eq!(reply["count"], expected.as_array().unwrap().len());
            found.push(rows(&reply)[0]["kind"].clone());
            assert!(found.len() < 10, "{arguments} has no end");
            match &reply["next_cursor"] {
                Value::Null => break,
                cursor => arguments["cursor"] = cursor.clone(),
            }
        }
        assert_eq!(json!(found), expected, "{arguments}");
    }
    let explained = json!({"operation": "select", "table": "documents", "columns": [kind()]});
    assert!(call(&engine, "analyst", "explain", explained).await.is_ok());
}

#[tokio::test]
async fn invalid_members_are_refused() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let many: Vec<Value> =
        (0..100).map(|n| json!({"column": "meta", "path": ["a"], "as": n.to_string()})).collect();
    for (columns, code, at) in [
        (json!([{"column": "id", "path": ["a"]}]), "invalid_value", "/columns/0/path"),
        (json!(["id", {"column": "meta", "path": []}]), "invalid_value", "/columns/1/path"),
        (json!([{"column": "meta", "path": "kind"}]), "invalid_value", "/columns/0/path"),
        (json!([{"column": "meta", "as": 1}]), "invalid_value", "/columns/0/as"),
        (json!([{"path": ["kind"]}]), "missing_value", "/columns/0/column"),
        (json!([{"column": "nothing", "path": ["a"]}]), "unknown_column", "/columns/0/column"),
        (
            json!([{"column": "owner.nothing", "path": ["a"]}]),
            "unknown_column",
            "/columns/0/column",
        ),
        (json!([{"column": "meta", "paths": ["a"]}]), "unknown_argument", "/columns/0/paths"),
        (json!([{"column": "meta", "path": ["a"], "as": 1}]), "invalid_value", "/columns/0/as"),
        (json!([{"column": "meta", "path": ["a"], "as": "\0"}]), "invalid_value", "/columns/0/as"),
        (json!(["id", 7]), "invalid_value", "/columns/1"),
        (json!([["id"]]), "invalid_value", "/columns/0"),
        (
            json!([kind(), {"column": "meta", "path": ["list"], "as": "kind"}]),
            "invalid_value",
            "/columns/1",
        ),
        (json!([{"column": "meta", "path": ["kind"]}, "*"]), "invalid_value", "/columns/1"),
        (json!(many), "limit_exceeded", "/columns"),
    ] {
        for (arguments, before) in [
            (json!({"table": "documents", "columns": columns}), ""),
            (json!({"table": "documents", "columns": columns, "distinct": true}), ""),
            (
                json!({"table": "owners", "include": {"documents": {"columns": columns}}}),
                "/include/documents",
            ),
        ] {
            let (found, place) = refused(&engine, "select", arguments.clone()).await;
            assert_eq!((found.as_str(), place), (code, format!("{before}{at}")), "{arguments}");
        }
    }
    let taken = json!({"column": "meta", "path": ["a"], "as": "owner"});
    let arguments = json!({"table": "documents", "columns": [taken], "include": {"owner": true}});
    assert_eq!(refused(&engine, "select", arguments).await.0, "ambiguous_relation");
    let version = json!({"column": "meta", "path": ["a"], "as": "_version"});
    let arguments = json!({"table": "documents", "columns": [version], "with_version": true});
    assert_eq!(refused(&engine, "select", arguments).await.1, "/with_version");
    let spelled = json!({"table": "documents", "columns": ["meta->>address"]});
    let told = error(&engine, "analyst", "select", spelled).await;
    assert_eq!(told["hint"], json!(r#"{"column": "meta", "path": ["address"]}"#), "{told}");
    // A path is a value like any other, and a name is no SQL.
    let odd = "'}') ; DROP TABLE documents; --\"";
    let arguments =
        json!({"table": "documents", "columns": [{"column": "meta", "path": [odd], "as": odd}]});
    assert_eq!(selected(&engine, arguments).await[0], json!({odd: null}));
}

#[tokio::test]
async fn later_operations_refer_to_columns_alone() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let transaction = |column: &str| {
        json!({"operations": [
            {"operation": "select", "as": "found", "table": "documents", "columns": ["id", kind()], "where": {"id": 1}},
            {"operation": "update", "table": "documents", "where": {"id": 2},
             "updates": {"meta.kind": {"$ref": format!("found.{column}")}}, "returning": ["meta.kind"]}]})
    };
    let (code, _) = refused(&engine, "transaction", transaction("kind")).await;
    assert_eq!(code, "unknown_column");
    let (code, _) = refused(&engine, "transaction", transaction("meta")).await;
    assert_eq!(code, "unknown_column");
    let reply = call(&engine, "operator", "transaction", transaction("id")).await;
    assert_eq!(reply.unwrap()["results"][0]["rows"], json!([{"id": 1, "kind": "a"}]));
}

#[tokio::test]
async fn a_column_that_is_hidden_or_masked_has_none() {
    let database = Database::of(DOCUMENTS).await;
    let (engine, reader) = reader(&database, "settings").await;
    for (table, column, code) in
        [("owners", "settings", "unknown_column"), ("documents", "meta", "forbidden")]
    {
        let member = json!({"column": column, "path": ["kind"]});
        for arguments in [
            json!({"table": table, "columns": [member]}),
            json!({"table": table, "columns": [member], "distinct": true}),
            match table {
                "owners" => {
                    json!({"table": "documents", "include": {"owner": {"columns": [member]}}})
                }
                _ => json!({"table": "owners", "include": {"documents": {"columns": [member]}}}),
            },
        ] {
            let error = call_as(&engine, &reader, "select", arguments.clone()).await.unwrap_err();
            assert_eq!(error.code().as_str(), code, "{arguments}: {error}");
        }
    }
}

#[tokio::test]
async fn the_marks_of_the_column_are_theirs() {
    let database = Database::of(DOCUMENTS).await;
    let file = crate::program::file("");
    let settings = Settings {
        columns: ColumnMarks {
            sensitive: vec!["*.*.meta".to_owned()],
            untrusted: vec!["*.*.meta".to_owned()],
        },
        ..Settings::default()
    };
    let sink = Arc::new(FileSink::open(&file).unwrap());
    let engine = database.engine_with(settings).await.audited(sink);
    for (arguments, marked) in [
        (json!({"table": "documents", "columns": ["id", kind()]}), json!(["kind"])),
        (json!({"table": "documents", "columns": [kind()], "distinct": true}), json!(["kind"])),
        (
            json!({"table": "owners", "include": {"documents": {"columns": [kind()]}}}),
            json!(["documents.kind"]),
        ),
    ] {
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        assert_eq!(reply["untrusted"], marked, "{reply}");
        engine.flush().await.unwrap();
        let kept = std::fs::read_to_string(&file).unwrap();
        let record: Value = serde_json::from_str(kept.lines().next_back().unwrap()).unwrap();
        // With the column, where it goes by another name.
        let told = match marked[0].as_str() {
            Some("kind") => json!(["kind (meta)"]),
            Some("documents.kind") => json!(["documents.kind (documents.meta)"]),
            _ => marked,
        };
        assert_eq!(record["sensitive"], told, "{record}");
    }
}
