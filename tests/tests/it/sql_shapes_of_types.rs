//! The exact SQL of requests about types of extensions, sort keys by likeness, and keys of several columns.

use mcp_pg_core::Principal;
use mcp_pg_tests::Database;
use serde_json::json;

use crate::sql_shapes::sent;

const FIXTURE: &str = "
CREATE EXTENSION pg_trgm; CREATE EXTENSION ltree; CREATE EXTENSION hstore; CREATE EXTENSION citext;
CREATE TABLE place (id integer PRIMARY KEY, name text, words tsvector, topic ltree, tags hstore, email citext, spot point, area box);
CREATE TABLE flat (house integer, number integer, above integer, PRIMARY KEY (house, number), FOREIGN KEY (house, above) REFERENCES flat);
INSERT INTO place VALUES (1, 'Oak', to_tsvector('oak'), 'a.b', 'a=>1', 'X@y.z', '(1,2)', '(2,2),(0,0)');
INSERT INTO flat VALUES (1, 1, NULL), (1, 2, 1);";

#[tokio::test]
async fn types_of_extensions() {
    let database = Database::of(FIXTURE).await;
    let place =
        |condition| ("select", json!({"table": "place", "columns": ["id"], "where": condition}));
    let ordered =
        |order| ("select", json!({"table": "place", "columns": ["id"], "order_by": [order]}));
    let calls = [
        place(
            json!({"topic": {"contained_by": "a"}, "tags": {"contains": {"a": "1"}, "has_key": "a"}}),
        ),
        place(json!({"email": {"eq": "x@Y.z"}})),
        place(json!({"email": {"matches": "^x", "starts_with": "x"}})),
        place(json!({"spot": {"contained_by": "(9,9),(0,0)"}, "area": {"contains": [1, 1]}})),
        ordered(json!({"column": "words", "rank": "oak"})),
        ordered(json!({"column": "name", "rank": "oak", "language": "english"})),
        ordered(json!({"column": "name", "distance": "ok"})),
        ordered(json!({"column": "spot", "distance": [0, 0]})),
    ];
    let caller = Principal::new("test", "admin");
    insta::assert_snapshot!(sent(&database, database.engine().await, &caller, &calls).await);
}

#[tokio::test]
async fn keys_of_several_columns() {
    let database = Database::of(FIXTURE).await;
    let flat =
        |include| ("select", json!({"table": "flat", "columns": ["number"], "include": include}));
    let calls = [
        flat(json!({"flat_by_above": {"columns": ["number"], "limit": 2}})),
        flat(json!({"flat_house_above_fkey": {"columns": ["number"]}})),
        (
            "select",
            json!({"table": "flat", "where": {"flat_by_above": {"some": {"number": {"gt": 1}}}}}),
        ),
        ("select", json!({"table": "flat", "limit": 1, "cursor": "next"})),
        (
            "update",
            json!({"table": "flat", "where": {}, "updates": [{"house": 1, "number": 2, "above": null}]}),
        ),
    ];
    let caller = Principal::new("test", "admin");
    insta::assert_snapshot!(sent(&database, database.engine().await, &caller, &calls).await);
}
