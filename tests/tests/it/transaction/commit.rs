//! What is found only at the end of a transaction.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_tests::{Database, call, error, refused};
use serde_json::json;

use super::transact;

const CIRCLE: &str = "
    CREATE TABLE departments (id integer PRIMARY KEY, head integer NOT NULL);
    CREATE TABLE people (id integer PRIMARY KEY, department integer NOT NULL
        CONSTRAINT works_in REFERENCES departments DEFERRABLE INITIALLY IMMEDIATE);
    ALTER TABLE departments ADD CONSTRAINT headed_by FOREIGN KEY (head) REFERENCES people
        DEFERRABLE INITIALLY DEFERRED;
    CREATE TABLE places (id integer PRIMARY KEY, rank integer CONSTRAINT one_rank UNIQUE DEFERRABLE);
    INSERT INTO places VALUES (1, 1), (2, 2);";

#[tokio::test]
async fn rows_may_refer_to_each_other_in_a_circle() {
    let database = Database::of(CIRCLE).await;
    let engine = database.engine().await;
    let reply = transact(
        &engine,
        json!([
            {"operation": "insert", "table": "people", "data": {"id": 1, "department": 1}},
            {"operation": "insert", "table": "departments", "data": {"id": 1, "head": 1}},
            {"operation": "update", "table": "places", "where": {"id": 1}, "updates": {"rank": 2}},
            {"operation": "update", "table": "places", "where": {"id": 2}, "updates": {"rank": 1}},
        ]),
    )
    .await;
    assert_eq!(reply["committed"], true);
}

#[tokio::test]
async fn errors_found_by_the_commit_name_their_operation() {
    let database = Database::of(CIRCLE).await;
    let engine = database.engine().await;
    for dry_run in [false, true] {
        let arguments = json!({"dry_run": dry_run, "operations": [
            {"operation": "insert", "table": "people", "data": {"id": 1, "department": 7}},
            {"operation": "select", "table": "people"},
        ]});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(reply["code"], "foreign_key_violation");
        assert_eq!(reply["at"], "/operations/0/data/department");
        assert_eq!(reply["constraint"], "works_in");
        let arguments = json!({"dry_run": dry_run, "operations": [
            {"operation": "insert", "table": "places", "data": {"id": 3, "rank": 3}},
            {"operation": "update", "table": "places", "where": {"id": 1}, "updates": {"rank": 2}},
        ]});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(
            (&reply["code"], &reply["constraint"]),
            (&json!("unique_violation"), &json!("one_rank"))
        );
        assert_eq!(reply["at"], "/operations/1/updates/rank");
    }
    // Of several writes to one table, PostgreSQL's words tell which.
    let people = |id: i32, department: i32| json!({"operation": "insert", "table": "people", "data": [{"id": id, "department": department}]});
    for (first, second, at) in [(7, 1, 1), (1, 7, 2)] {
        let operations = json!([
            {"operation": "insert", "table": "departments", "data": {"id": 1, "head": 1}},
            people(1, first), people(2, second)
        ]);
        let arguments = json!({"operations": operations});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(reply["at"], format!("/operations/{at}/data/0/department"), "{reply}");
    }
    let rows = json!([{"id": 5, "head": 5}, {"id": 6, "head": 6}]);
    let several = json!({"table": "departments", "data": rows});
    assert_eq!(error(&engine, "admin", "insert", several).await["at"], "/data/0/head");
    // A lone write that is initially deferred.
    let lone = json!({"table": "departments", "data": {"id": 4, "head": 4}});
    let reply = error(&engine, "admin", "insert", lone.clone()).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("foreign_key_violation"), &json!("/data/head"))
    );
    let mut dry = lone;
    dry["dry_run"] = json!(true);
    assert_eq!(
        refused(&engine, "insert", dry).await,
        ("foreign_key_violation".into(), "/data/head".into())
    );
    assert_eq!(database.value("SELECT count(*)::text FROM people").await.unwrap(), "0");
    assert_eq!(database.value("SELECT count(*)::text FROM departments").await.unwrap(), "0");
}

#[tokio::test]
async fn a_reference_that_is_left_is_told_at_the_row_that_went() {
    let engine = Database::of(
        "CREATE TABLE groups (id integer PRIMARY KEY, name text);
         CREATE TABLE members (id integer PRIMARY KEY,
             group_id integer REFERENCES groups DEFERRABLE INITIALLY DEFERRED);
         INSERT INTO groups VALUES (1, 'g'); INSERT INTO members VALUES (1, 1);",
    )
    .await
    .engine()
    .await;
    let update = json!({"operation": "update", "table": "members", "where": {"id": 1}, "updates": {"id": 2}});
    let delete = json!({"operation": "delete", "table": "groups", "where": {"id": 1}});
    let reply =
        error(&engine, "admin", "transaction", json!({"operations": [update, delete]})).await;
    assert_eq!(reply["at"], "/operations/1/where", "{reply}");
    assert_eq!(reply["message"], "rows of members refer to this row");
    assert_eq!(reply["hint"], "delete or change those rows first, perhaps in the same transaction");
}

#[tokio::test]
async fn a_transaction_is_bounded_as_a_whole() {
    let database = Database::of(
        "CREATE TABLE item (id integer PRIMARY KEY, price integer);
         INSERT INTO item VALUES (1, 1);
         CREATE VIEW slow AS SELECT id, pg_sleep(0.5)::text AS slept FROM item",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    settings.timeouts.transaction = std::time::Duration::from_secs(2);
    settings.timeouts.lock = std::time::Duration::from_secs(60);
    let engine = database.engine_with(settings.clone()).await;
    let update = json!({"operation": "update", "table": "item", "where": {"id": 1}, "updates": {"price": 2}});
    let mut operations = vec![update];
    operations.extend(vec![json!({"operation": "select", "table": "slow"}); 90]);
    let written = json!({"operations": operations.clone()});
    let read = json!({"operations": operations[1..].to_vec()});
    for arguments in [written, read] {
        let told = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(
            (&told["code"], &told["retryable"]),
            (&json!("timeout"), &json!(true)),
            "{told}"
        );
    }
    // The only connection is free, the row unlocked and as it was.
    let update = json!({"table": "item", "where": {"id": 1, "price": 1}, "updates": {"price": 3}});
    let reply = call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!(reply["row_count"], 1, "{reply}");

    // Who may take longer over one statement may take as long over all.
    let mut role = Role::everywhere("patient", Action::ALL);
    role.limits.statement_timeout = Some(std::time::Duration::from_secs(300));
    settings.roles = vec![role];
    let engine = database.engine_with(settings).await;
    let arguments = json!({"operations": operations[..6].to_vec()});
    call(&engine, "patient", "transaction", arguments).await.unwrap();
}
