//! Canned queries that write: their limits, confirmations and audit records.

use std::sync::Arc;

use mcp_pg_core::audit::{FileSink, verify};
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

use crate::canned::{directory, faults, input, settings};
use crate::program::file;

#[tokio::test]
async fn a_write_is_guarded_and_recorded() {
    let database = Database::of(
        "CREATE TABLE item (id integer PRIMARY KEY, price integer CHECK (price > 0), wait interval);
         INSERT INTO item SELECT n, n FROM generate_series(1, 5) n",
    )
    .await;
    let log = file("");
    let files = directory([
        (
            "raise.sql",
            "-- @writes\n-- @param ids integer[]\nUPDATE item SET price = price + 1 WHERE id = ANY (:ids)",
        ),
        (
            "add.sql",
            "-- @writes\n-- @additive\nINSERT INTO item VALUES (:id, :price, '1 day') RETURNING id, wait",
        ),
        (
            "trim.sql",
            "-- @writes\n-- @max_rows 2\nDELETE FROM item WHERE price > :price RETURNING id",
        ),
        (
            "hide.sql",
            "-- @writes\nWITH gone AS (DELETE FROM item WHERE id >= :id RETURNING id) SELECT count(*) AS n FROM gone",
        ),
    ]);
    let engine = database.engine_with(settings(files)).await;
    let engine = engine.audited(Arc::new(FileSink::open(&log).unwrap()));
    assert_eq!(faults(&engine), [] as [&str; 0]);
    let properties = input(&engine, "raise")["properties"].clone();
    assert!(properties["dry_run"].is_object() && properties["max_rows"].is_object());
    assert!(input(&engine, "trim")["properties"].get("max_rows").is_none());

    let one = call(&engine, "admin", "raise", json!({"ids": [1]})).await.unwrap();
    assert_eq!((&one["row_count"], &one["rows"]), (&json!(1), &json!([])));
    for (tool, arguments, rows) in [
        ("raise", json!({"ids": [1, 2]}), 2),
        ("trim", json!({"price": 1}), 5),
        ("hide", json!({"id": 4}), 2),
    ] {
        let many = error(&engine, "admin", tool, arguments).await;
        assert_eq!(many["code"], "too_many_rows", "{tool}");
        assert_eq!(many["row_count"], rows, "{tool}");
    }
    let two = call(&engine, "admin", "raise", json!({"ids": [1, 2], "max_rows": 2})).await.unwrap();
    assert_eq!(two["row_count"], 2);
    let hidden = json!({"id": 5, "dry_run": true});
    let hidden = call(&engine, "admin", "hide", hidden).await.unwrap();
    assert_eq!((&hidden["rows"], &hidden["dry_run"]), (&json!([{"n": 1}]), &json!(true)));
    let added = call(&engine, "admin", "add", json!({"id": 9, "price": 1})).await.unwrap();
    assert_eq!(added["rows"], json!([{"id": 9, "wait": "1 day"}]));
    for (arguments, code) in [
        (json!({"id": 9, "price": 1}), "unique_violation"),
        (json!({"id": 10, "price": 0}), "check_violation"),
    ] {
        let refused = error(&engine, "admin", "add", arguments).await;
        assert_eq!(refused["code"], code);
        assert!(refused["constraint"].is_string());
    }
    let prices = "SELECT string_agg(id || ':' || price, ' ' ORDER BY id) FROM item";
    assert_eq!(database.value(prices).await.as_deref(), Some("1:3 2:3 3:3 4:4 5:5 9:1"));
    call(&engine, "admin", "trim", json!({"price": 4})).await.unwrap();

    engine.flush().await.unwrap();
    let text = std::fs::read_to_string(&log).unwrap();
    verify(text.as_bytes()).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let added: Vec<&Value> = records
        .iter()
        .filter(|record| record["tool"] == "add" && record["arguments"]["id"] == 9)
        .collect();
    assert_eq!(added[0]["phase"], "intent");
    assert_eq!(added[1]["outcome"], "ok");
    assert_eq!(added[1]["operation"], "canned");
    assert_eq!(added[1]["rows"], 1);
    assert_eq!(added[1]["after"], json!([{"id": 9, "wait": "1 day"}]));
    assert_eq!(added[2]["outcome"], "error", "the refused one has no intent");
    let trimmed = records.last().unwrap();
    assert_eq!((&trimmed["before"], trimmed.get("after")), (&json!([{"id": 5}]), None));
}

#[tokio::test]
async fn a_write_is_on_record_before_it_is_committed() {
    // COMMIT waits for a lock that the test has.
    let database = Database::of(
        "CREATE TABLE item (id integer);
         CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql
           AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
         CREATE CONSTRAINT TRIGGER hold AFTER INSERT ON item DEFERRABLE INITIALLY DEFERRED
           FOR EACH ROW EXECUTE FUNCTION hold()",
    )
    .await;
    let log = file("");
    let files = directory([("add.sql", "-- @writes\nINSERT INTO item VALUES (:id)")]);
    let engine = database.engine_with(settings(files)).await;
    let engine = engine.audited(Arc::new(FileSink::open(&log).unwrap()));
    let holder = database.client().await;
    holder.query_typed("SELECT pg_advisory_lock(7)", &[]).await.unwrap();
    let adding = call(&engine, "admin", "add", json!({"id": 1}));
    let looking = async {
        database.until_blocked(1).await;
        let kept = std::fs::read_to_string(&log).unwrap();
        let record: Value = serde_json::from_str(kept.trim_end()).unwrap();
        assert_eq!((&record["tool"], &record["phase"]), (&json!("add"), &json!("intent")));
        let rows = database.value("SELECT count(*)::text FROM item").await;
        assert_eq!(rows.as_deref(), Some("0"));
        holder.query_typed("SELECT pg_advisory_unlock(7)", &[]).await.unwrap();
    };
    let (added, ()) = tokio::join!(adding, looking);
    assert_eq!(added.unwrap()["row_count"], 1);
}

#[tokio::test]
async fn a_write_that_postgresql_does_not_count_is_refused() {
    let database = Database::of("CREATE TABLE item (id integer PRIMARY KEY)").await;
    let name = database.config.get_dbname().unwrap();
    database.sql(&format!("ALTER DATABASE {name} SET track_counts = off")).await;
    let add = "INSERT INTO item VALUES (:id) RETURNING id";
    let files = directory([
        ("add.sql", format!("-- @writes\n{add}").as_str()),
        ("put.sql", format!("-- @writes\nWITH put AS ({add}) TABLE put").as_str()),
    ]);
    let engine = database.engine_with(settings(files)).await;
    let refused = error(&engine, "admin", "put", json!({"id": 1})).await;
    assert_eq!(refused["code"], "database_error", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("track_counts"), "{refused}");
    let added = call(&engine, "admin", "add", json!({"id": 2})).await.unwrap();
    assert_eq!(added["rows"], json!([{"id": 2}]));
    let all = "SELECT string_agg(id::text, ' ') FROM item";
    assert_eq!(database.value(all).await.as_deref(), Some("2"));
}
