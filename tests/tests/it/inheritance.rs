//! Tables from which others inherit: rows of both are read together, but keys cover only the table's own.

use std::collections::BTreeSet;

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error, pages, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE place (id integer PRIMARY KEY, name text);
    CREATE TABLE capital (since integer) INHERITS (place);
    CREATE TABLE stay (id integer PRIMARY KEY, place_id integer REFERENCES place);
    INSERT INTO place VALUES (1, 'Bonn'), (2, 'Lyon');
    INSERT INTO capital VALUES (1, 'Berlin', 1990);
    INSERT INTO stay VALUES (10, 1), (11, 2);";

async fn answer(engine: &Engine, tool: &str, arguments: Value) -> Value {
    call(engine, "admin", tool, arguments.clone())
        .await
        .unwrap_or_else(|error| panic!("{arguments}: {error}"))
}

#[tokio::test]
async fn rows_with_the_same_key_are_all_read_and_none_twice() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let by_id = json!({"table": "place", "columns": ["name"], "order_by": ["id", "name"]});
    let names = ["Berlin", "Bonn", "Lyon"].map(|name| json!({"name": name}));
    assert_eq!(pages(&engine, "select", by_id, 1).await, names);
    let one = json!({"table": "place", "where": {"id": 1}, "order_by": ["-name"]});
    let reply = answer(&engine, "select", one).await;
    let found: Vec<&Value> = rows(&reply).iter().map(|row| &row["name"]).collect();
    assert_eq!(found, ["Bonn", "Berlin"]);

    // A row that refers to one of them is one row, whichever stands for it.
    let stays = json!({"table": "stay", "order_by": ["place.name"], "columns": ["id"], "include": {"place": true}});
    let reply = answer(&engine, "select", stays).await;
    let ids: Vec<i64> = rows(&reply).iter().map(|row| row["id"].as_i64().unwrap()).collect();
    assert_eq!(ids, [10, 11]);
    let group =
        json!({"table": "stay", "measures": {"n": {"count": "*"}}, "group_by": ["place.name"]});
    let reply = answer(&engine, "aggregate", group).await;
    let count: i64 = rows(&reply).iter().map(|row| row["n"].as_i64().unwrap()).sum();
    assert_eq!(count, 2);
}

#[tokio::test]
async fn a_key_with_child_tables_identifies_no_row_but_still_conflicts() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let updates = json!({"table": "place", "updates": [{"id": 1, "name": "x"}], "where": {}});
    assert_eq!(
        refused(&engine, "update", updates).await,
        ("invalid_value".into(), "/updates".into())
    );
    let upsert = json!({"table": "place", "data": [{"id": 1, "name": "Bonn am Rhein"}, {"id": 3, "name": "Graz"}],
        "on_conflict": {"columns": ["id"], "do": "update"}, "returning": ["name"]});
    let reply = answer(&engine, "insert", upsert).await;
    assert_eq!(reply["rows"], json!([{"name": "Bonn am Rhein"}, {"name": "Graz"}]));
    let described = answer(&engine, "describe_table", json!({"table": "place"})).await;
    assert_eq!(described["primary_key"], json!(["id"]));
    // An heir has no key of its own, and an ordinary table keeps its.
    let names: BTreeSet<String> =
        ["Bonn am Rhein", "Berlin", "Lyon", "Graz"].map(str::to_owned).into();
    let reply = answer(&engine, "select", json!({"table": "place"})).await;
    let read = rows(&reply).iter().map(|row| row["name"].as_str().unwrap().to_owned());
    assert_eq!(read.collect::<BTreeSet<String>>(), names);
    let stays = json!({"table": "stay", "where": {}, "updates": [{"id": 10, "place_id": 2}]});
    assert_eq!(answer(&engine, "update", stays).await["row_count"], 1);
}

#[tokio::test]
async fn an_heir_is_noticed() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let updates = json!({"table": "stay", "updates": [{"id": 10, "place_id": 2}], "where": {}});
    answer(&engine, "update", updates.clone()).await;
    for (ddl, fits) in [
        ("CREATE SCHEMA aside; CREATE TABLE aside.long_stay () INHERITS (stay)", false),
        ("ALTER TABLE aside.long_stay NO INHERIT stay", true),
    ] {
        database.sql(ddl).await;
        assert!(engine.reload().await.unwrap(), "{ddl}");
        let done = call(&engine, "admin", "update", updates.clone()).await;
        assert_eq!(done.is_ok(), fits, "{ddl}");
    }
}

#[tokio::test]
async fn a_foreign_key_refers_to_rows_of_the_table_alone() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE TABLE guest (id integer PRIMARY KEY);
             CREATE TABLE visit (guest_id integer REFERENCES guest, place_id integer REFERENCES place,
                 PRIMARY KEY (guest_id, place_id));
             INSERT INTO guest VALUES (7); INSERT INTO visit VALUES (7, 1);",
        )
        .await;
    let engine = database.engine().await;
    let stays = json!({"table": "stay", "include": {"place": {"columns": ["name"]}}, "order_by": ["place.name"]});
    let reply = answer(&engine, "select", stays).await;
    let named: Vec<&Value> = rows(&reply).iter().map(|row| &row["place"]["name"]).collect();
    assert_eq!(named, ["Bonn", "Lyon"]);
    for (name, ids) in [("Bonn", json!([{"id": 10}])), ("Berlin", json!([]))] {
        let stays = json!({"table": "stay", "columns": ["id"], "where": {"place": {"name": name}}});
        assert_eq!(answer(&engine, "select", stays).await["rows"], ids, "{name}");
    }
    let guests = json!({"table": "guest", "include": {"place": {"columns": ["name"]}}});
    let reply = answer(&engine, "select", guests).await;
    assert_eq!(rows(&reply)[0]["place"], json!([{"name": "Bonn"}]));
    let updates = json!({"table": "place", "updates": [{"id": 1, "name": "x"}], "where": {}});
    let told = error(&engine, "admin", "update", updates).await;
    assert!(told["message"].as_str().unwrap().contains("tables that inherit"), "{told}");
}
