//! Sort keys that rank matches of a text search or compute distances.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error, paged, refused};
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
async fn words_are_those_of_a_language() {
    let database = Database::of(
        "CREATE TEXT SEARCH CONFIGURATION public.plain (COPY = simple);
         CREATE TABLE texts (id integer PRIMARY KEY, body text, words tsvector);
         CREATE INDEX ON texts USING gin (to_tsvector('french', body));
         INSERT INTO texts VALUES (1, 'les chats', to_tsvector('french', 'les chats')), (2, 'the cats', to_tsvector('english', 'the cats')),
           (3, 'chat chats', to_tsvector('french', 'chat chats'))",
    )
    .await;
    let engine = database.engine().await;
    for (condition, expected) in [
        (json!({"body": {"search": "chat", "language": "french"}}), vec![1, 3]),
        (json!({"words": {"language": "french", "search": "chats"}}), vec![1, 3]),
        (json!({"body": {"search": "chat", "language": "simple"}}), vec![3]),
        (json!({"body": {"search": "the", "language": "public.plain"}}), vec![2]),
        (json!({"body": {"search": "the", "language": "english"}}), vec![]),
        (json!({"body": {"search": "the", "language": null}}), vec![]),
    ] {
        let found = ids(&engine, json!({"where": condition})).await;
        assert_eq!(found, expected, "{condition}");
    }
    let ranked =
        json!({"order_by": [{"column": "body", "rank": "chat", "language": "french"}, "-id"]});
    assert_eq!(ids(&engine, ranked).await, [3, 1, 2]);
    let explained = json!({"operation": "select", "table": "texts", "where": {"body": {"search": "chat", "language": "french"}}});
    let used = "SET enable_seqscan = off; EXPLAIN SELECT FROM texts WHERE to_tsvector('pg_catalog.french'::regconfig, body) @@ websearch_to_tsquery('x')";
    database.sql(used).await;
    assert!(call(&engine, "analyst", "explain", explained).await.is_ok());
    for (arguments, code, at) in [
        (
            json!({"where": {"body": {"search": "a", "language": "klingon"}}}),
            "invalid_value",
            "/where/body/language",
        ),
        (
            json!({"where": {"body": {"search": "a", "language": 1}}}),
            "invalid_value",
            "/where/body/language",
        ),
        (
            json!({"where": {"body": {"eq": "a", "language": "french"}}}),
            "unknown_operator",
            "/where/body/language",
        ),
        (
            json!({"where": {"id": {"search": "a", "language": "french"}}}),
            "unknown_operator",
            "/where/id/search",
        ),
        (
            json!({"where": {"body": {"search": null, "language": "french"}}}),
            "invalid_value",
            "/where/body/search",
        ),
        (
            json!({"order_by": [{"column": "body", "language": "french"}]}),
            "invalid_value",
            "/order_by/0/language",
        ),
        (
            json!({"order_by": [{"column": "body", "rank": "a", "language": "x"}]}),
            "invalid_value",
            "/order_by/0/language",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("texts");
        assert_eq!(
            refused(&engine, "select", arguments.clone()).await,
            (code.into(), at.into()),
            "{arguments}"
        );
    }
    let arguments =
        json!({"table": "texts", "where": {"body": {"search": "a", "language": "franch"}}});
    let told = error(&engine, "analyst", "select", arguments).await;
    assert_eq!(told["did_you_mean"], "french");
    assert!(told["allowed"].as_array().unwrap().contains(&json!("public.plain")), "{told}");
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
    let long =
        json!({"table": "texts", "order_by": [{"column": "body", "distance": "y ".repeat(600)}]});
    let found = refused(&engine, "select", long).await;
    assert_eq!(found, ("limit_exceeded".into(), "/order_by/0/distance".into()));
}

#[tokio::test]
async fn invalid_ranks_and_distances_are_refused() {
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
