//! JSON values at a path, as sort keys, groups and measures.

use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, paged, pages, refused, rows};
use serde_json::{Value, json};

const DOCUMENTS: &str = r#"
CREATE TABLE owners (id integer PRIMARY KEY, settings json);
INSERT INTO owners VALUES (1, '{"level": 2}'), (2, '{"level": 10}'), (3, NULL);
CREATE TABLE documents (id integer PRIMARY KEY, meta jsonb, old json, owner_id integer REFERENCES owners);
INSERT INTO documents VALUES
  (1, '{"rank": 10, "kind": "a", "list": [{"n": 1}]}', '{"rank": 3}', 1),
  (2, '{"rank": 9, "kind": "a", "list": [{"n": 1.5}]}', '{"rank": "x"}', 1),
  (3, '{"rank": "9", "kind": "b", "list": []}', '{"rank": null}', 2),
  (4, '{"rank": null, "kind": null}', NULL, 2),
  (5, '{"rank": true, "kind": "b", "list": [{"n": null}]}', '{}', 3),
  (6, '{"rank": [1, 2]}', '[]', NULL),
  (7, NULL, '1', 3),
  (8, '{"rank": {"x": 1}, "kind": "it''s \"quoted\""}', '{"rank": 1.50}', 1),
  (9, '{"rank": 10.0, "kind": {"deep": 1}, "list": [{"n": 2}]}', '{"rank": 3.0}', 2);"#;

/// An engine whose caller does not see this column, and `meta` masked.
pub(crate) async fn reader(database: &Database, hidden: &str) -> (Engine, Principal) {
    let mut role = Role::everywhere("reader", [Action::Select]);
    role.grants[0].columns.exclude = vec![hidden.to_owned()];
    role.grants[0].columns.mask.insert("meta".to_owned(), Mask::Full);
    let settings = Settings { roles: vec![role], ..Settings::default() };
    (database.engine_with(settings).await, Principal::new("someone", "reader"))
}

async fn ids(engine: &Engine, mut arguments: Value) -> Vec<i64> {
    arguments["table"] = json!("documents");
    paged(engine, arguments, "id", 2).await
}

#[tokio::test]
async fn rows_are_sorted_and_paged_by_them() {
    let database = Database::of(DOCUMENTS).await;
    let engine = database.engine().await;
    let client = database.client().await;
    for (keys, sql) in [
        (json!([{"column": "meta", "path": ["rank"]}]), "NULLIF(meta #> '{rank}', 'null'), id"),
        (
            json!([{"column": "meta", "path": ["rank"], "direction": "desc"}]),
            "NULLIF(meta #> '{rank}', 'null') DESC, id DESC",
        ),
        (
            json!([{"column": "meta", "path": ["rank"], "direction": "desc", "nulls": "last"}, "id"]),
            "NULLIF(meta #> '{rank}', 'null') DESC NULLS LAST, id",
        ),
        (
            json!([{"column": "meta", "path": ["kind"], "nulls": "first"}, {"column": "old", "path": ["rank"]}]),
            "NULLIF(meta #> '{kind}', 'null') NULLS FIRST, NULLIF(old::jsonb #> '{rank}', 'null'), id",
        ),
        (
            json!([{"column": "meta", "path": ["list", 0, "n"]}, "-id"]),
            "NULLIF(meta #> '{list,0,n}', 'null'), id DESC",
        ),
        (
            json!([{"column": "owner.settings", "path": ["level"], "direction": "desc"}, "id"]),
            "(SELECT NULLIF(settings::jsonb #> '{level}', 'null') FROM owners o WHERE o.id = owner_id) DESC, id",
        ),
    ] {
        let sorted = client
            .query(&format!("SELECT id::int8 FROM documents ORDER BY {sql}"), &[])
            .await
            .unwrap();
        let sorted: Vec<i64> = sorted.iter().map(|row| row.get(0)).collect();
        assert_eq!(ids(&engine, json!({"order_by": keys})).await, sorted, "{sql}");
    }
}

#[tokio::test]
async fn members_make_groups() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let by_kind = json!({
        "table": "documents", "group_by": [{"column": "meta", "path": ["kind"]}],
        "measures": {"n": {"count": "*"}}, "order_by": ["-n", "meta.kind"],
    });
    let found = pages(&engine, "aggregate", by_kind.clone(), 2).await;
    // What is missing and JSON's null are one.
    let expected = [
        json!({"meta.kind": null, "n": 3}),
        json!({"meta.kind": "a", "n": 2}),
        json!({"meta.kind": "b", "n": 2}),
        json!({"meta.kind": "it's \"quoted\"", "n": 1}),
        json!({"meta.kind": {"deep": 1}, "n": 1}),
    ];
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for group in &expected {
        assert!(found.contains(group), "{group} is not among {found:?}");
    }

    let reply = call(
        &engine,
        "analyst",
        "aggregate",
        json!({
            "table": "documents", "measures": {"n": {"count": "*"}}, "having": {"level": {"gt": 2}},
            "group_by": [{"column": "owner.settings", "path": ["level"], "as": "level"}],
        }),
    )
    .await
    .unwrap();
    assert_eq!(*rows(&reply), [json!({"level": 10, "n": 3})]);
}

#[tokio::test]
async fn numbers_among_them_are_measured() {
    let database = Database::of(DOCUMENTS).await;
    let engine = database.engine().await;
    let rank = json!({"column": "meta", "path": ["rank"]});
    let reply = call(
        &engine,
        "analyst",
        "aggregate",
        json!({"table": "documents", "measures": {
            "known": {"count": rank}, "different": {"count_distinct": rank}, "total": {"sum": rank},
            "mean": {"avg": rank}, "least": {"min": rank}, "most": {"max": rank},
            "old": {"sum": {"column": "old", "path": ["rank"]}},
            "of_a": {"sum": rank, "where": {"meta": {"path": ["kind"], "eq": "a"}}},
            "level": {"max": {"column": "owner.settings", "path": ["level"]}},
            "whole": {"count": {"column": "meta"}}}}),
    )
    .await
    .unwrap();
    let mean = database
        .value("SELECT trim_scale(avg(n))::text FROM (VALUES (10::numeric), (9), (10.0)) t(n)")
        .await
        .unwrap();
    let row = &rows(&reply)[0];
    for (name, expected) in [
        ("known", json!(7)),
        ("different", json!(6)),
        ("total", json!(29.0)),
        ("least", json!(9)),
        ("of_a", json!(19)),
        ("level", json!(10)),
        ("whole", json!(8)),
    ] {
        assert_eq!(row[name].as_f64(), expected.as_f64(), "{name}: {row}");
    }
    assert_eq!(row["most"].as_f64(), Some(10.0), "{row}");
    assert_eq!(row["old"].as_f64(), Some(7.5), "{row}");
    let shown = row["mean"].as_str().map_or_else(|| row["mean"].to_string(), str::to_owned);
    assert!(mean.starts_with(&shown[..6]), "{shown} is not {mean}");
}

#[tokio::test]
async fn invalid_paths_are_refused() {
    let engine = Database::of(DOCUMENTS).await.engine().await;
    let many: Vec<String> = (0..2_000).map(|n| n.to_string()).collect();
    for (key, code, at) in [
        (json!({"column": "id", "path": ["a"]}), "invalid_value", "/path"),
        (json!({"column": "meta", "path": []}), "invalid_value", "/path"),
        (json!({"column": "meta", "path": "kind"}), "invalid_value", "/path"),
        (json!({"column": "meta", "path": [["a"]]}), "invalid_value", "/path"),
        (json!({"column": "meta", "path": ["a\0b"]}), "invalid_value", "/path"),
        (json!({"column": "meta", "path": many}), "limit_exceeded", "/path"),
        (json!({"column": "nothing", "path": ["a"]}), "unknown_column", "/column"),
        (json!({"column": "meta", "paths": ["a"]}), "unknown_argument", "/paths"),
    ] {
        for (tool, mut arguments, place) in [
            ("select", json!({"order_by": [key]}), "/order_by/0"),
            (
                "aggregate",
                json!({"measures": {"n": {"count": "*"}}, "group_by": [key]}),
                "/group_by/0",
            ),
            ("aggregate", json!({"measures": {"n": {"max": key}}}), "/measures/n/max"),
        ] {
            arguments["table"] = json!("documents");
            let (found, pointer) = refused(&engine, tool, arguments.clone()).await;
            assert_eq!(found, code, "{arguments}");
            assert!(pointer.starts_with(&format!("{place}{at}")), "{arguments}: at {pointer}");
        }
    }
    // A path is a value like any other.
    let odd = json!({"column": "meta", "path": ["'}') ; DROP TABLE documents; --", "{,}\"\\"]});
    let reply =
        call(&engine, "analyst", "select", json!({"table": "documents", "order_by": [odd]}));
    assert_eq!(reply.await.unwrap()["row_count"], 9);
}

#[tokio::test]
async fn a_column_that_is_hidden_or_masked_has_none() {
    let database = Database::of(DOCUMENTS).await;
    let (engine, reader) = reader(&database, "old").await;
    for (column, code) in [("old", "unknown_column"), ("meta", "forbidden")] {
        let key = json!({"column": column, "path": ["rank"]});
        for (tool, arguments) in [
            ("select", json!({"table": "documents", "order_by": [key]})),
            (
                "aggregate",
                json!({"table": "documents", "measures": {"n": {"count": "*"}}, "group_by": [key]}),
            ),
            ("aggregate", json!({"table": "documents", "measures": {"n": {"max": key}}})),
        ] {
            let error = call_as(&engine, &reader, tool, arguments.clone()).await.unwrap_err();
            assert_eq!(error.code().as_str(), code, "{arguments}: {error}");
        }
    }
}
