//! Functions and operators that someone has put where PostgreSQL looks for its own.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_tests::{Database, call, rows};
use serde_json::json;

#[tokio::test]
async fn functions_in_public_do_not_replace_those_that_the_server_calls() {
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, word varchar(20), at date);
         INSERT INTO entry VALUES (1, 'one', '2026-01-15'), (2, 'two', '2026-02-15');
         CREATE TABLE caught (what text);
         GRANT CREATE ON SCHEMA public TO PUBLIC",
    )
    .await;
    // Each fits the server's arguments better than PostgreSQL's own, or stands there for good measure.
    for (name, arguments, returns) in [
        ("lower", "name", "text"),
        ("concat", "text, text", "text"),
        ("concat", "text, name, text", "text"),
        ("concat_ws", "text, oid, boolean, boolean, boolean", "text"),
        ("concat_ws", "text, bigint, numeric, numeric, text", "text"),
        ("unnest", "text[]", "SETOF text"),
        ("to_tsvector", "varchar", "tsvector"),
        ("websearch_to_tsquery", "varchar", "tsquery"),
        ("date_trunc", "text, date", "timestamp"),
    ] {
        database
            .sql(&format!(
                "CREATE FUNCTION public.{name}({arguments}) RETURNS {returns} LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'a stranger''s {name} ran'; END $$"
            ))
            .await;
    }
    let role = Role::everywhere("clerk", [Action::Select, Action::Insert, Action::Update]);
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    engine.reload().await.unwrap();
    let updates = json!([{"id": 1, "word": "eins"}, {"id": 2, "word": "zwei"}]);
    call(&engine, "clerk", "update", json!({"table": "entry", "updates": updates})).await.unwrap();
    let data = json!([{"id": 3, "word": "drei"}, {"id": 4, "word": "vier"}]);
    call(&engine, "clerk", "insert", json!({"table": "entry", "data": data})).await.unwrap();
    let found = json!({"table": "entry", "columns": ["id"], "where": {"word": {"search": "zwei"}}});
    let found = call(&engine, "clerk", "select", found).await.unwrap();
    assert_eq!(rows(&found), [json!({"id": 2})]);
    let months = json!({"table": "entry", "where": {"at": {"is_null": false}}, "order_by": ["month"],
        "group_by": [{"column": "at", "bucket": "month", "as": "month"}], "measures": {"n": {"count": "*"}}});
    let months = call(&engine, "clerk", "aggregate", months).await.unwrap();
    assert_eq!(rows(&months).len(), 2, "{months}");
}

#[tokio::test]
async fn operators_in_public_do_not_replace_those_of_the_same_types() {
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, word text, n bigint, data jsonb);
         INSERT INTO entry VALUES (1, 'one', 10, '{\"k\": 1}'), (2, 'two', 20, '{\"k\": 2}');
         GRANT CREATE ON SCHEMA public TO PUBLIC",
    )
    .await;
    let operators = [
        ("=", "text", "text", "boolean"),
        ("=", "integer", "integer", "boolean"),
        ("=", "bigint", "bigint", "boolean"),
        ("<>", "text", "text", "boolean"),
        (">", "integer", "integer", "boolean"),
        (">", "bigint", "bigint", "boolean"),
        ("<", "text", "text", "boolean"),
        ("~~", "text", "text", "boolean"),
        ("@>", "jsonb", "jsonb", "boolean"),
        ("||", "jsonb", "jsonb", "jsonb"),
        ("+", "bigint", "bigint", "bigint"),
    ];
    for (number, (operator, left, right, returns)) in operators.into_iter().enumerate() {
        database
            .sql(&format!(
                "CREATE FUNCTION public.strange_{number}(l {left}, r {right}) RETURNS {returns} LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'a stranger''s operator ran'; END $$;
                 CREATE OPERATOR public.{operator} (LEFTARG = {left}, RIGHTARG = {right}, FUNCTION = public.strange_{number})"
            ))
            .await;
    }
    let role = Role::everywhere("clerk", [Action::Select, Action::Insert, Action::Update]);
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    for condition in [
        json!({"id": 1}),
        json!({"id": {"in": [1, 3]}}),
        json!({"word": "one"}),
        json!({"word": {"ne": "two"}}),
        json!({"word": {"starts_with": "on"}}),
        json!({"word": {"like": "on%"}}),
        json!({"n": {"lt": 15, "gte": 10}}),
        json!({"data": {"contains": {"k": 1}}}),
        json!({"data": {"path": ["k"], "eq": 1}}),
    ] {
        let one = json!({"table": "entry", "columns": ["id"], "where": condition});
        let found = call(&engine, "clerk", "select", one).await;
        let found = found.unwrap_or_else(|error| panic!("{condition}: {error}"));
        assert_eq!(rows(&found), [json!({"id": 1})], "{condition}");
    }
    let mut page = json!({"table": "entry", "columns": ["id"], "order_by": ["-word"], "limit": 1});
    let first = call(&engine, "clerk", "select", page.clone()).await.unwrap();
    page["cursor"] = first["next_cursor"].clone();
    let second = call(&engine, "clerk", "select", page).await.unwrap();
    assert_eq!([rows(&first), rows(&second)], [[json!({"id": 2})], [json!({"id": 1})]]);
    let updates = json!({"n": {"$increment": 1}, "data": {"$merge": {"l": 2}}});
    let update = json!({"table": "entry", "where": {"id": 1}, "updates": updates});
    let updated = call(&engine, "clerk", "update", update).await.unwrap();
    assert_eq!(
        rows(&updated),
        [json!({"id": 1, "word": "one", "n": 11, "data": {"k": 1, "l": 2}})]
    );
}
