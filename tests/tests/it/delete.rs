//! delete, where it is allowed.

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::json;

#[tokio::test]
async fn rows_are_removed_and_shown_for_the_last_time() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = call(
        &engine,
        "admin",
        "delete",
        json!({"table": "reviews", "where": {"product_id": 1}, "max_rows": 2,
               "returning": ["user_id", "rating"], "dry_run": true}),
    )
    .await
    .unwrap();
    assert_eq!(reply["before"], json!([{"user_id": 1, "rating": 5}, {"user_id": 2, "rating": 4}]));
    assert_eq!(reply["after"], json!([]));
    assert_eq!(database.value("SELECT count(*)::text FROM reviews").await.unwrap(), "14");
    let reply = call(
        &engine,
        "admin",
        "delete",
        json!({"table": "reviews", "where": {"product_id": 1, "user_id": 2}}),
    )
    .await
    .unwrap();
    assert_eq!((&reply["row_count"], &rows(&reply)[0]["rating"]), (&json!(1), &json!(4)));
    assert_eq!(database.value("SELECT count(*)::text FROM reviews").await.unwrap(), "13");
}

#[tokio::test]
async fn related_rows_are_read_before() {
    let engine = Database::shop().await.engine().await;
    let included =
        json!({"table": "reviews", "where": {"product_id": 1}, "include": {"user": true}});
    let told = error(&engine, "admin", "delete", included).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("unknown_argument"), &json!("/include")));
    assert_eq!(told["hint"], "related rows are read by a select before it, in one transaction");
}

#[tokio::test]
async fn deletion_must_be_switched_on() {
    let database = Database::shop().await;
    let engine = Engine::connect(database.config.clone(), Settings::default()).await.unwrap();
    let one = json!({"table": "users", "where": {"user_id": 1}});
    let reply = error(&engine, "admin", "delete", one).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("forbidden"), &json!("/table")));
    assert!(reply["hint"].as_str().unwrap().contains("archive"), "{reply}");
    let reply = call(&engine, "admin", "describe_table", json!({"table": "users"})).await.unwrap();
    assert!(!reply["actions"].as_array().unwrap().contains(&json!("delete")));
}

#[tokio::test]
async fn rows_that_others_refer_to_stay() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let one = json!({"table": "orders", "where": {"order_id": 8}});
    let reply = error(&engine, "admin", "delete", one).await;
    assert_eq!(reply["code"], "foreign_key_violation");
    assert_eq!(reply["at"], "/where");
    assert_eq!(reply["constraint"], "payments_order_id_fkey");
    assert!(reply["message"].as_str().unwrap().contains("payments"), "{reply}");
    assert!(reply["hint"].as_str().unwrap().contains("archive"), "{reply}");
    assert_eq!(
        database.value("SELECT count(*)::text FROM order_items WHERE order_id = 8").await.unwrap(),
        "3"
    );
}

#[tokio::test]
async fn a_table_that_is_not_configured_keeps_its_name() {
    let database = Database::of(
        "CREATE TABLE parent (id integer PRIMARY KEY, up integer CONSTRAINT up_key REFERENCES parent);
         CREATE SCHEMA secret_schema;
         CREATE TABLE secret_schema.hidden_child (id integer PRIMARY KEY,
             parent_id integer CONSTRAINT hidden_key REFERENCES parent);
         INSERT INTO parent VALUES (1, NULL), (2, NULL), (3, 2);
         INSERT INTO secret_schema.hidden_child VALUES (1, 1);",
    )
    .await;
    let engine = database.engine().await;
    let one = json!({"table": "parent", "where": {"id": 1}});
    let reply = error(&engine, "admin", "delete", one).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("foreign_key_violation"), &json!("/where")));
    for name in ["hidden", "secret", "DELETE", "delete from"] {
        assert!(!reply.to_string().contains(name), "{reply}");
    }
    let key = json!({"table": "parent", "where": {"id": 1}, "updates": {"id": 9}});
    let reply = error(&engine, "admin", "update", key).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("foreign_key_violation"), &json!("/updates"))
    );
    assert!(!reply.to_string().contains("hidden"), "{reply}");

    // A table that refers to itself fails in both ways.
    let one = json!({"table": "parent", "where": {"id": 2}});
    let reply = error(&engine, "admin", "delete", one).await;
    assert_eq!((&reply["at"], &reply["constraint"]), (&json!("/where"), &json!("up_key")));
    assert!(reply["message"].as_str().unwrap().contains("refer to this row"), "{reply}");
    let up = json!({"table": "parent", "where": {"id": 2}, "updates": {"up": 77}});
    let reply = error(&engine, "admin", "update", up).await;
    assert_eq!((&reply["at"], &reply["constraint"]), (&json!("/updates/up"), &json!("up_key")));
}

#[tokio::test]
async fn the_right_to_delete_is_enough() {
    let database = Database::of(
        "CREATE TABLE log (id integer PRIMARY KEY); INSERT INTO log VALUES (1), (2);
         DO $$ BEGIN CREATE ROLE sweeper LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
         GRANT SELECT, DELETE ON log TO sweeper;",
    )
    .await;
    let mut settings =
        Settings { roles: vec![Role::everywhere("sweeper", Action::ALL)], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let mut config = database.config.clone();
    config.user("sweeper");
    let engine = Engine::connect(config, settings).await.unwrap();
    let one = json!({"table": "log", "where": {"id": 1}});
    assert_eq!(call(&engine, "sweeper", "delete", one).await.unwrap()["row_count"], 1);
    let insert = json!({"table": "log", "data": {"id": 3}});
    assert_eq!(error(&engine, "sweeper", "insert", insert).await["code"], "forbidden");
}

#[tokio::test]
async fn tables_that_lose_rows_by_a_cascade_are_noted() {
    let database = Database::of(
        "CREATE TABLE parent (id integer PRIMARY KEY);
         CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent ON DELETE CASCADE);
         CREATE TABLE other (id integer PRIMARY KEY, parent_id integer REFERENCES parent);
         INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1), (2, 1)",
    )
    .await;
    let mut settings = Settings::default();
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let delete = |dry: bool| json!({"table": "parent", "where": {"id": 1}, "dry_run": dry});
    for dry in [true, false] {
        let told = call(&engine, "admin", "delete", delete(dry)).await.unwrap();
        assert_eq!(told["row_count"], 1);
        assert_eq!(
            told["notes"],
            json!(["rows that refer to these are deleted with them: of child"])
        );
    }
    let none = call(&engine, "admin", "delete", delete(false)).await.unwrap();
    assert_eq!((&none["row_count"], &none["notes"]), (&json!(0), &json!(["no row matches where"])));
}
