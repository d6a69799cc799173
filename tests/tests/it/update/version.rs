//! Versions: whether a row is still as it was read.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

use super::{THINGS, update};

#[tokio::test]
async fn a_version_guards_against_lost_updates() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let seen = call(
        &engine,
        "operator",
        "select",
        json!({"table": "users", "where": {"user_id": 2}, "with_version": true}),
    )
    .await
    .unwrap();
    let version = rows(&seen)[0]["_version"].clone();
    assert_eq!(version, "1");
    let change = |version: &Value, name: &str| json!({"table": "users", "where": {"user_id": 2}, "updates": {"name": name}, "if_version": version});
    let first = update(&engine, change(&version, "First")).await;
    assert_eq!(rows(&first)[0]["version"], 2);
    let reply = error(&engine, "operator", "update", change(&version, "Second")).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("conflict"), &json!("/if_version")));
    assert_eq!(reply["retryable"], false);
    assert_eq!(reply["current"]["name"], "First");
    assert_eq!(reply["current"]["_version"], "2");
    // Whoever asked for related columns alone is told which row it is.
    let dotted = json!({"table": "orders", "where": {"order_id": 1}, "updates": {"note": "x"}, "if_version": "77", "archived": "include", "returning": ["user.name"]});
    let reply = error(&engine, "operator", "update", dotted).await;
    assert_eq!(reply["current"]["order_id"], 1, "{reply}");
    assert!(reply["current"]["_version"].is_string(), "{reply}");
    // A number is as good as its digits.
    update(&engine, change(&json!(2), "Second")).await;
    for tool in ["archive", "delete"] {
        let arguments = json!({"table": "users", "where": {"user_id": 2}, "if_version": version});
        assert_eq!(refused(&engine, tool, arguments).await.0, "conflict", "{tool}");
    }
    // A row that is gone is a conflict, too.
    let mut gone = change(&json!("3"), "Third");
    gone["where"] = json!({"user_id": 2_000});
    assert_eq!(refused(&engine, "update", gone).await, ("conflict".into(), "/if_version".into()));
    let odd = json!({"table": "users", "where": {"user_id": 2}, "updates": {"name": "X"}, "if_version": [1]});
    assert_eq!(
        refused(&engine, "update", odd).await,
        ("invalid_value".into(), "/if_version".into())
    );
}

#[tokio::test]
async fn a_table_without_a_version_column_has_one_all_the_same() {
    let database = Database::of(THINGS).await;
    let engine = database.engine().await;
    let seen = json!({"table": "things", "where": {"id": 1}, "with_version": true});
    let version = call(&engine, "operator", "select", seen.clone()).await.unwrap();
    let version = rows(&version)[0]["_version"].clone();
    let change = json!({"table": "things", "where": {"id": 1}, "updates": {"name": "x"}, "if_version": version});
    update(&engine, change.clone()).await;
    let reply = error(&engine, "operator", "update", change.clone()).await;
    assert_eq!(reply["code"], "conflict");
    let mut change = change;
    change["if_version"] = reply["current"]["_version"].clone();
    update(&engine, change).await;
    database.sql("CREATE VIEW v AS SELECT id, name FROM things").await;
    engine.reload().await.unwrap();
    let view =
        json!({"table": "v", "where": {"id": 1}, "updates": {"name": "x"}, "if_version": "1"});
    assert_eq!(
        refused(&engine, "update", view).await,
        ("invalid_value".into(), "/if_version".into())
    );
}

#[tokio::test]
async fn every_change_has_a_version_whatever_the_column_called_version_holds() {
    let engine = Database::of(
        "CREATE TABLE app (id integer PRIMARY KEY, name text, version text);
         CREATE TABLE doc (id integer PRIMARY KEY, name text, version integer);
         INSERT INTO app VALUES (1, 'a', 'v1'); INSERT INTO doc VALUES (1, 'a', NULL);",
    )
    .await
    .engine()
    .await;
    for (table, version) in [("app", json!("v1")), ("doc", json!(null))] {
        let read = json!({"table": table, "with_version": true});
        let read = call(&engine, "admin", "select", read).await.unwrap();
        let update = json!({"table": table, "where": {"id": 1}, "updates": {"name": "b"},
            "if_version": rows(&read)[0]["_version"], "returning": ["version"]});
        let reply = call(&engine, "admin", "update", update.clone()).await.unwrap();
        assert_eq!(rows(&reply)[0]["version"], version, "{table}");
        let again = refused(&engine, "update", update).await;
        assert_eq!(again, ("conflict".into(), "/if_version".into()), "{table}");
    }
}
