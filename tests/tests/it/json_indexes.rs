//! Indexes on the text of JSON members: they do not change the result, and explain advises them where they are
//! missing.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, selected};
use serde_json::{Value, json};

const PAGES: &str = r#"
    CREATE DOMAIN details AS jsonb;
    CREATE TABLE page (id integer PRIMARY KEY, meta jsonb, old json, own details, title text COLLATE "und-x-icu", slug text COLLATE "und-x-icu");
    INSERT INTO page SELECT n, CASE n % 7
        WHEN 0 THEN jsonb_build_object('s', 'v' || n, '0', 'zero', 'a', jsonb_build_object('b', 'w' || n % 50))
        WHEN 1 THEN jsonb_build_object('s', n, 'a', jsonb_build_array('w' || n % 50))
        WHEN 2 THEN jsonb_build_array('v' || n)
        WHEN 3 THEN '{"s": null}' WHEN 4 THEN '{"s": ["v77"]}' WHEN 5 THEN '"v77"' END, 
        format('{"s": "z", "s": "\u0076%s", "a": {"b": 1}, "a": {"b": "w%s"}, "n": %s}', n, n, n)::json,
        jsonb_build_object('s', 'v' || n), 't' || n, 's' || n
    FROM generate_series(1, 5000) n;
    CREATE INDEX ON page (title); CREATE INDEX ON page (slug text_pattern_ops); ANALYZE;"#;

/// Forms in which people write such indexes.
const INDEXES: &str = "
    CREATE INDEX by_s ON page ((meta ->> 's')); CREATE INDEX by_b ON page ((meta -> 'a' ->> 'b'));
    CREATE INDEX by_zero ON page ((meta #>> '{0}')); CREATE INDEX by_place ON page ((meta ->> 0));
    CREATE INDEX old_s ON page ((old ->> 's')); CREATE INDEX old_b ON page ((old -> 'a' ->> 'b'));
    CREATE INDEX own_s ON page ((own ->> 's')); ANALYZE;";

async fn explain(engine: &Engine, condition: &Value) -> Value {
    let arguments = json!({"operation": "select", "table": "page", "where": condition});
    call(engine, "admin", "explain", arguments).await.unwrap()
}

#[tokio::test]
async fn rows_are_the_same_and_found_by_it() {
    let plain = Database::of(PAGES).await.engine().await;
    let indexed = Database::of(&format!("{PAGES}{INDEXES}")).await.engine().await;
    for (condition, index, n) in [
        (json!({"meta": {"path": ["s"], "eq": "v77"}}), Some("by_s"), 1),
        (json!({"meta": {"path": ["s"], "in": ["v77", "v84", "no"]}}), Some("by_s"), 2),
        (json!({"meta": {"path": ["a", "b"], "eq": "w0"}, "id": {"lt": 1000}}), Some("by_b"), 2),
        // An object has a member of that name, a list an element at that place.
        (json!({"meta": {"path": [0], "eq": "v9"}}), Some("by_zero"), 1),
        (json!({"meta": {"path": ["0"], "eq": "zero"}, "id": {"lt": 20}}), None, 2),
        // Of members with the same key, both types take the last.
        (json!({"old": {"path": ["s"], "eq": "v77"}}), Some("old_s"), 1),
        (json!({"old": {"path": ["s"], "in": ["v77", "v78", "z"]}}), Some("old_s"), 2),
        (json!({"old": {"path": ["a", "b"], "eq": "w9"}}), Some("old_b"), 1),
        (json!({"old": {"path": ["n"], "eq": 8}}), None, 1),
        (json!({"own": {"path": ["s"], "eq": "v77"}}), Some("own_s"), 1),
        // The text of the digits is another value than the number.
        (json!({"meta": {"path": ["s"], "eq": "8"}}), Some("by_s"), 0),
        (json!({"meta": {"path": ["s"], "eq": 8}}), None, 1),
        (json!({"meta": {"path": ["s"], "in": ["v77", 8]}}), None, 2),
        (json!({"meta": {"path": ["s"], "in": ["v77", null]}, "id": {"lt": 10}}), None, 5),
        (json!({"not": {"meta": {"path": ["s"], "eq": "v7"}}, "id": {"lt": 15}}), None, 7),
        (json!({"not": {"meta": {"path": ["s"], "eq": "8"}}, "id": {"lt": 15}}), None, 8),
    ] {
        let select = json!({"table": "page", "columns": ["id"], "where": condition, "limit": 1000});
        let expected = selected(&plain, select.clone()).await;
        assert_eq!(expected.len(), n, "{condition}");
        // Another path has another text, also where it is kept.
        for _ in 0..2 {
            assert_eq!(selected(&indexed, select.clone()).await, expected, "{condition}");
        }
        if let Some(index) = index {
            let told = explain(&indexed, &condition).await;
            let used = told["plan"].to_string().contains(index);
            assert!(used && told["hints"] == json!([]), "{condition}: {told}");
        }
    }
}

#[tokio::test]
async fn explain_says_what_index_is_missing() {
    let engine = Database::of(PAGES).await.engine().await;
    for (condition, hint) in [
        (
            json!({"meta": {"path": ["s"], "eq": "v77"}}),
            "no index on s within page.meta: the filter reads the whole table; an index on ((meta ->> 's')) would avoid that",
        ),
        (
            json!({"meta": {"path": ["a", "b"], "in": ["w1", "w2"]}}),
            "no index on a.b within page.meta: the filter reads the whole table; an index on ((meta #>> '{a,b}')) would avoid that",
        ),
        (
            json!({"meta": {"path": ["s"], "eq": 8}}),
            "no index on s within page.meta: the filter reads the whole table; contains finds it by a GIN index on (meta jsonb_path_ops)",
        ),
        (
            json!({"meta": {"path": ["s"], "gt": 8}}),
            "no index on s within page.meta: the filter reads the whole table",
        ),
        (
            json!({"old": {"path": ["s"], "eq": "v77"}}),
            "no index on s within page.old: the filter reads the whole table; an index on ((old ->> 's')) would avoid that",
        ),
        // No index serves other JSON in a `json` column.
        (
            json!({"old": {"path": ["n"], "eq": 8}}),
            "no index on n within page.old: the filter reads the whole table",
        ),
        (
            json!({"title": {"starts_with": "t499"}}),
            "page_title_idx does not serve prefixes of page.title: the filter reads the whole table; an index on (title text_pattern_ops) would avoid that",
        ),
    ] {
        assert_eq!(explain(&engine, &condition).await["hints"], json!([hint]), "{condition}");
    }
    for condition in [
        json!({"title": "t5"}),
        json!({"slug": {"starts_with": "s499"}}),
        json!({"title": {"like": "%9"}}),
    ] {
        assert_eq!(explain(&engine, &condition).await["hints"], json!([]), "{condition}");
    }
}
