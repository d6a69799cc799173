//! Marks go along where values are computed from marked columns, or taken from them.

use std::sync::Arc;

use mcp_pg_core::Settings;
use mcp_pg_core::audit::FileSink;
use mcp_pg_core::policy::{Action, ColumnMarks, Role};
use mcp_pg_tests::{Database, call};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
    CREATE TABLE person (id integer PRIMARY KEY, pay numeric, bonus numeric, rating integer, v numeric, note text,
        said text, data jsonb, span int4range);
    CREATE TABLE deal (id integer PRIMARY KEY, person_id integer REFERENCES person, total numeric, j jsonb);
    CREATE TABLE entry (id integer PRIMARY KEY, value text, path text, j text);
    INSERT INTO person VALUES (1, 4711001, 4711002, 5, 0, 'note-4711003', 'said', '{"pin": 4711004}', '[4711005,4711009)');
    INSERT INTO deal VALUES (1, 1, 0, '{}'), (2, 1, 0, '{}');"#;

fn settings() -> Settings {
    let columns =
        |names: &[&str]| names.iter().map(|name| format!("public.person.{name}")).collect();
    Settings {
        columns: ColumnMarks {
            sensitive: columns(&["pay", "bonus", "note", "data", "span"]),
            untrusted: columns(&["rating", "said"]),
        },
        ..Settings::default()
    }
}

/// Calls a tool, and compares the labels of its reply and of its record: the sensitive and the untrusted columns.
async fn marks(tool: &str, arguments: Value, sensitive: Value, untrusted: Value) {
    let database = Database::of(FIXTURE).await;
    let file = crate::program::file("");
    let engine = database.engine_with(settings()).await;
    let engine = engine.audited(Arc::new(FileSink::open(&file).unwrap()));
    let reply = call(&engine, "operator", tool, arguments.clone()).await.unwrap();
    let last = reply["results"].as_array().and_then(|results| results.last()).unwrap_or(&reply);
    let label = last.get("untrusted").cloned().unwrap_or_default();
    assert_eq!(label, untrusted, "{arguments}: {reply}");
    engine.flush().await.unwrap();
    let kept = std::fs::read_to_string(&file).unwrap();
    let record: Value = serde_json::from_str(kept.lines().last().unwrap()).unwrap();
    let noted = record.get("sensitive").cloned().unwrap_or_default();
    assert_eq!(noted, sensitive, "{arguments}: {record}");
    assert!(record.get("after").is_some() && !kept.contains("471100"), "{arguments}: {kept}");
}

#[tokio::test]
async fn marks_go_along_with_what_is_computed() {
    let compute = |of: Value| json!({"$compute": {"add": [of, 0]}});
    let person = |updates: Value, returning: Value| json!({"table": "person", "where": {"id": 1}, "updates": updates, "returning": returning});
    let deal = |updates: Value| json!({"table": "deal", "where": {"id": 1}, "updates": updates});
    for (arguments, sensitive, untrusted) in [
        (
            person(json!({"v": compute(json!("pay"))}), json!(["id", "v"])),
            json!(["v (pay)"]),
            json!(null),
        ),
        (
            person(json!({"v": compute(json!("pay"))}), json!(["id"])),
            json!(["v (pay)"]),
            json!(null),
        ),
        (
            json!({"table": "person", "updates": [{"id": 1, "v": compute(json!("pay"))}], "returning": ["v"]}),
            json!(["v (pay)"]),
            json!(null),
        ),
        (
            person(json!({"v": {"$compute": {"add": ["rating", "bonus"]}}}), json!(["v"])),
            json!(["v (bonus, rating)"]),
            json!(["v"]),
        ),
        (person(json!({"bonus": compute(json!("pay"))}), json!(["id"])), json!(null), json!(null)),
        (person(json!({"v": compute(json!("v"))}), json!(["v"])), json!(null), json!(null)),
        (
            person(json!({"v": compute(json!({"column": "data", "path": ["pin"]}))}), json!(["v"])),
            json!(["v (data)"]),
            json!(null),
        ),
        (
            person(
                json!({"v": compute(json!({"column": "span", "path": ["lower"]}))}),
                json!(["v"]),
            ),
            json!(["v (span)"]),
            json!(null),
        ),
        (
            deal(json!({"total": compute(json!("person.pay"))})),
            json!(["total (person.pay)"]),
            json!(null),
        ),
        (
            deal(json!({"total": {"$column": "person.pay"}})),
            json!(["total (person.pay)"]),
            json!(null),
        ),
        (deal(json!({"total": compute(json!("person.rating"))})), json!(null), json!(["total"])),
    ] {
        marks("update", arguments, sensitive, untrusted).await;
    }
}

#[tokio::test]
async fn marks_go_along_with_what_an_operation_takes_from_another() {
    let paid = json!({"table": "person", "where": {"id": 1}, "updates": {"v": {"$compute": {"add": ["pay", 0]}}}, "returning": ["id"]});
    let deal = |updates: Value| json!({"table": "deal", "where": {"id": 1}, "updates": updates});
    let within = |tool: &str, name: &str, mut arguments: Value| {
        arguments["operation"] = json!(tool);
        arguments["as"] = json!(name);
        arguments
    };
    let read = json!({"operation": "select", "as": "p", "table": "person", "columns": ["id", "note", "said"]});
    let put = |column: &str| json!({"j": {"$set": {"path": ["y"], "value": {"$ref": format!("p.{column}")}}}});
    for (arguments, sensitive, untrusted) in [
        (
            json!({"operations": [
                within("update", "p", paid),
                within("update", "d", deal(json!({"total": {"$ref": "p.v"}}))),
            ]}),
            json!(["v (pay)", "total (pay, v)"]),
            json!(null),
        ),
        // Names within a value are none of columns, whatever other tables have.
        (
            json!({"operations": [read, within("update", "d", deal(put("note")))]}),
            json!(["note", "j (note)"]),
            json!(null),
        ),
        (
            json!({"operations": [read, within("update", "d", deal(put("said")))]}),
            json!(["note"]),
            json!(["j"]),
        ),
        (
            json!({"operations": [
                {"operation": "aggregate", "as": "t", "table": "person", "measures": {"top": {"max": "pay"}, "n": {"count": "pay"}}},
                within("update", "d", deal(json!({"total": {"$ref": "t.top"}, "j": {"$ref": "t.n"}}))),
            ]}),
            json!(["top (pay)", "total (pay, top)"]),
            json!(null),
        ),
    ] {
        marks("transaction", arguments, sensitive, untrusted).await;
    }
}

#[tokio::test]
async fn values_computed_from_untrusted_columns_count_as_read() {
    let database = Database::of(FIXTURE).await;
    let mut settings = settings();
    let careful = Role::everywhere("careful", Action::ALL);
    settings.roles.push(Role { confirm_after_untrusted: true, ..careful });
    let engine = database.engine_with(settings).await;
    let first = |of: &str| json!({"operation": "update", "table": "deal", "where": {"id": 1}, "updates": {"total": {"$compute": {"add": [of, 0]}}}});
    let then = json!({"operation": "update", "table": "deal", "where": {"id": 2}, "updates": {"total": 1}});
    let led = json!({"operations": [first("person.rating"), then]});
    let error = mcp_pg_tests::error(&engine, "careful", "transaction", led).await;
    assert!(error["message"].as_str().unwrap().contains("after reading untrusted data"), "{error}");
    let free = json!({"operations": [first("person.pay"), then]});
    call(&engine, "careful", "transaction", free).await.unwrap();
}
