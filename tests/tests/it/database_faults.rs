//! Errors of the database's own making: no value of the caller's is at fault.

use std::time::Duration;

use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error};
use serde_json::json;

#[tokio::test]
async fn a_sequence_without_numbers_is_told() {
    let database = Database::of(
        "CREATE TABLE ticket (id smallserial PRIMARY KEY, v integer); SELECT setval('ticket_id_seq', 32767);",
    )
    .await;
    let engine = database.engine().await;
    let told =
        error(&engine, "admin", "insert", json!({"table": "ticket", "data": {"v": 1}})).await;
    assert_eq!((&told["code"], told.get("at")), (&json!("database_error"), None), "{told}");
    assert!(told["message"].as_str().unwrap().contains("sequence"), "{told}");
}

#[tokio::test]
async fn what_fails_within_a_trigger_is_not_a_fault_of_the_value_beside_it() {
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, act text);
         CREATE TABLE log (n smallint, note varchar(3));
         INSERT INTO entry VALUES (1, 'none');
         CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           CASE NEW.act WHEN 'range' THEN INSERT INTO log VALUES (99999);
                        WHEN 'length' THEN INSERT INTO log VALUES (1, 'too long');
                        WHEN 'zero' THEN INSERT INTO log VALUES (1 / (NEW.id - NEW.id));
                        ELSE NULL; END CASE;
           RETURN NEW; END $$;
         CREATE TRIGGER logged AFTER UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION logged();",
    )
    .await;
    let engine = database.engine().await;
    for act in ["range", "length", "zero"] {
        let update = json!({"table": "entry", "where": {"id": 1}, "updates": {"act": act}});
        let told = error(&engine, "admin", "update", update).await;
        assert_eq!(told["code"], "invalid_value", "{told}");
        assert_ne!(told["at"], "/updates/act", "{told}");
        assert!(told["message"].as_str().unwrap().contains("trigger"), "{told}");
    }
}

#[tokio::test]
async fn a_locked_table_keeps_the_catalogue_from_being_read_only_if_its_expressions_have_columns() {
    let database = Database::of(
        "CREATE TABLE plain (id serial PRIMARY KEY, n integer DEFAULT 7, at timestamptz DEFAULT now());
         CREATE TABLE ruled (id integer PRIMARY KEY, n integer CHECK (n > 0));",
    )
    .await;
    let mut settings = Settings::default();
    settings.timeouts.lock = Duration::from_millis(200);
    let connect = || Engine::connect(database.config.clone(), settings.clone());
    let other = database.client().await;
    let other = async |text: &str| other.execute(text, &[]).await.unwrap();
    other("BEGIN").await;
    other("LOCK TABLE plain IN ACCESS EXCLUSIVE MODE").await;
    let engine = connect().await.unwrap();
    let described = call(&engine, "admin", "describe_table", json!({"table": "plain"})).await;
    assert_eq!(described.unwrap()["columns"][1]["default"], "7");
    other("LOCK TABLE ruled IN ACCESS EXCLUSIVE MODE").await;
    let refused = connect().await.unwrap_err();
    assert_eq!((refused.code().as_str(), refused.is_retryable()), ("database_unavailable", true));
    assert!(refused.to_string().contains("another session has locked a table"), "{refused}");
    other("ROLLBACK").await;
    connect().await.unwrap();
}
