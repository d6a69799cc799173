//! Sort keys that measure a value: how well a text matches, how far a value is away.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, paged, refused};
use serde_json::{Value, json};

const TEXTS: &str = "
    CREATE TABLE authors (id integer PRIMARY KEY, name text);
    INSERT INTO authors VALUES (1, 'cat cat'), (2, 'dog');
    CREATE TABLE texts (id integer PRIMARY KEY, body text, place point, author_id integer REFERENCES authors,
        words tsvector GENERATED ALWAYS AS (to_tsvector('english', body)) STORED);
    INSERT INTO texts VALUES
        (1, 'a cat and a dog', '(0,0)', 1), (2, 'cat cat cat', '(3,4)', 1), (3, 'no animal', '(1,0)', 2),
        (4, NULL, NULL, NULL), (5, 'cat and dog and cat', '(0,1)', 2), (6, 'cat cat cat', '(9,9)', 2);";

async fn ids(engine: &Engine, mut arguments: Value) -> Vec<i64> {
    arguments["table"] = json!("texts");
    paged(engine, arguments, "id", 2).await
}

#[tokio::test]
async fn the_best_match_comes_first() {
    let engine = Database::of(TEXTS).await.engine().await;
    for column in ["words", "body"] {
        let best = json!({"order_by": [{"column": column, "rank": "cat"}, "id"]});
        assert_eq!(ids(&engine, best).await, [2, 6, 5, 1, 3, 4], "{column}");
        let found = json!({"order_by": [{"column": column, "rank": "cat"}, "-id"],
            "where": {column: {"search": "cat -dog"}}});
        assert_eq!(ids(&engine, found).await, [6, 2]);
    }
    let worst = json!({"order_by": [{"column": "words", "rank": "cat", "direction": "asc"}]});
    assert_eq!(ids(&engine, worst).await, [3, 1, 5, 2, 6, 4]);
    let related = json!({"order_by": [{"column": "author.name", "rank": "cat"}, "id"]});
    assert_eq!(ids(&engine, related).await, [1, 2, 3, 5, 6, 4]);
}

#[tokio::test]
async fn the_nearest_comes_first() {
    let engine = Database::of(TEXTS).await.engine().await;
    let nearest = json!({"order_by": [{"column": "place", "distance": "(0,0.4)"}]});
    assert_eq!(ids(&engine, nearest).await, [1, 5, 3, 2, 6, 4]);
    let farthest = json!({"order_by": [
        {"column": "place", "distance": "(0,0)", "direction": "desc", "nulls": "first"}, "-id"]});
    assert_eq!(ids(&engine, farthest).await, [4, 6, 2, 5, 3, 1]);
}

#[tokio::test]
async fn trigrams_give_text_a_distance() {
    let database = Database::of(&format!("CREATE EXTENSION pg_trgm; {TEXTS}")).await;
    let engine = database.engine().await;
    let nearest = json!({"order_by": [{"column": "body", "distance": "cat and dog and"}, "id"]});
    let expected = database
        .value(
            "SELECT string_agg(id::text, ',' ORDER BY body <-> 'cat and dog and', id) FROM texts",
        )
        .await
        .unwrap();
    let found: Vec<String> = ids(&engine, nearest).await.iter().map(i64::to_string).collect();
    assert_eq!(found.join(","), expected);
}

#[tokio::test]
async fn what_cannot_be_measured_is_refused() {
    let engine = Database::of(TEXTS).await.engine().await;
    for (key, code, at) in [
        (json!({"column": "id", "rank": "cat"}), "invalid_value", "/order_by/0/column"),
        (json!({"column": "id", "distance": 1}), "invalid_value", "/order_by/0/column"),
        (json!({"column": "body", "distance": "cat"}), "invalid_value", "/order_by/0/column"),
        (json!({"column": "body", "rank": {"a": 1}}), "invalid_value", "/order_by/0/rank"),
        (json!({"column": "body", "rank": "x".repeat(5000)}), "limit_exceeded", "/order_by/0/rank"),
        (json!({"column": "place", "distance": "here"}), "invalid_value", "/order_by/0/distance"),
        (
            json!({"column": "place", "rank": "a", "distance": "(0,0)"}),
            "invalid_value",
            "/order_by/0/distance",
        ),
        (json!({"column": "place", "far": "a"}), "unknown_argument", "/order_by/0/far"),
    ] {
        let arguments = json!({"table": "texts", "order_by": [key]});
        let found = refused(&engine, "select", arguments).await;
        assert_eq!(found, (code.into(), at.into()), "{key}");
    }
}
