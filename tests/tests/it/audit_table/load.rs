//! Many callers, and those who leave: whose records wait for their place.

use std::sync::Arc;

use mcp_pg_core::audit::FileSink;
use mcp_pg_core::policy::OnFailure;
use mcp_pg_core::{Origin, Principal};
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

use super::{lines, records, rename, settings, shop};
use crate::program::file;

/// A session that lets nobody write to the audit table.
async fn locked(database: &Database) -> tokio_postgres::Client {
    let client = database.client().await;
    client.execute("BEGIN", &[]).await.unwrap();
    client.execute("LOCK TABLE mcp_audit.log IN SHARE MODE", &[]).await.unwrap();
    client
}

#[tokio::test]
async fn a_call_that_leaves_while_its_record_is_kept_is_in_every_log() {
    let database = shop().await;
    let log = file("");
    let sink = Arc::new(FileSink::open(&log).unwrap());
    let mut settings = settings();
    settings.audit.on_failure = OnFailure::Refuse;
    let engine = database.engine_with(settings).await.audited(sink);
    let client = locked(&database).await;
    tokio::select! {
        reply = call(&engine, "admin", "select", json!({"table": "users", "limit": 1})) => panic!("{reply:?}"),
        () = database.until_blocked(1) => {}
    }
    client.execute("ROLLBACK", &[]).await.unwrap();
    let table = records(&database, &engine).await;
    let lines = lines(&log);
    assert_eq!((table.len(), lines.len()), (1, 1), "{table:?} {lines:?}");
    assert_eq!((&table[0]["outcome"], &table[0]["id"]), (&json!("ok"), &lines[0]["id"]));
}

#[tokio::test]
async fn a_write_whose_caller_leaves_during_the_commit_is_recorded() {
    for with_file in [false, true] {
        let database = shop().await;
        let log = file("");
        let mut engine = database.engine_with(settings()).await;
        if with_file {
            engine = engine.audited(Arc::new(FileSink::open(&log).unwrap()));
        }
        let client = locked(&database).await;
        tokio::select! {
            reply = call(&engine, "admin", "update", rename(1)) => panic!("{reply:?}"),
            () = database.until_blocked(1) => {}
        }
        // Until the write is rolled back, its row is locked.
        database.sql("SELECT FROM users WHERE user_id = 1 FOR UPDATE").await;
        client.execute("ROLLBACK", &[]).await.unwrap();
        let table = records(&database, &engine).await;
        let own: Vec<&Value> = table.iter().filter(|record| record["outcome"] == "error").collect();
        let [abandoned] = own.as_slice() else { panic!("{table:?}") };
        assert_eq!((abandoned.get("code"), abandoned.get("rows")), (None, None), "{abandoned}");
        assert_eq!(table.len(), 1, "{table:?}");
        let name = database.value("SELECT name FROM users WHERE user_id = 1").await;
        assert_eq!(name.as_deref(), Some("Ada Marsh"));
        // The file has an intent without an outcome.
        let phases: Vec<Value> = lines(&log).iter().map(|line| line["phase"].clone()).collect();
        assert_eq!(phases, vec![json!("intent"); usize::from(with_file)]);
    }
}

#[tokio::test]
async fn callers_that_hold_all_connections_keep_no_record_out() {
    let database = shop().await;
    let mut settings = settings();
    settings.limits.max_connections = 1;
    settings.timeouts.pool = std::time::Duration::from_millis(100);
    settings.timeouts.lock = std::time::Duration::from_secs(600);
    settings.timeouts.statement = std::time::Duration::from_secs(600);
    settings.timeouts.transaction = std::time::Duration::from_secs(600);
    let engine = database.engine_with(settings).await;
    let mut holder = database.client().await;
    let held = holder.transaction().await.unwrap();
    held.execute_typed("SELECT 1 FROM users WHERE user_id = 1 FOR UPDATE", &[]).await.unwrap();
    let looking = async {
        database.until_blocked(1).await;
        let busy = error(&engine, "analyst", "select", json!({"table": "users"})).await;
        assert_eq!(busy["code"], "database_unavailable", "{busy}");
        call(&engine, "analyst", "list_tables", json!({})).await.unwrap();
        let told = records(&database, &engine).await;
        let tools: Vec<&Value> = told.iter().map(|record| &record["tool"]).collect();
        assert_eq!(tools, ["select", "list_tables"]);
        held.rollback().await.unwrap();
    };
    let (renamed, ()) = tokio::join!(call(&engine, "admin", "update", rename(1)), looking);
    renamed.unwrap();
}

#[tokio::test]
async fn a_flood_of_refusals_loses_no_record() {
    let database = shop().await;
    let file = file("");
    let sink = Arc::new(FileSink::open(&file).unwrap());
    let engine = database.engine_with(settings()).await.audited(sink);
    let unknown = mcp_pg_core::Error::new(mcp_pg_core::Code::Unauthenticated, "who are you?");
    let (nobody, origin) = (Principal::unknown("bearer"), Origin::default());
    let refuse =
        || engine.refuse(&nobody, &origin, "authenticate", serde_json::Map::new(), &unknown);
    let read = || call(&engine, "admin", "list_tables", json!({}));
    let flood = futures_util::future::join_all((0..4_000).map(|_| refuse()));
    let reads = futures_util::future::join_all((0..20).map(|_| read()));
    let (_, answers) = tokio::join!(flood, reads);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(records(&database, &engine).await.len(), 4_020);
    assert_eq!(std::fs::read_to_string(&file).unwrap().lines().count(), 4_020);
    assert_eq!(engine.health().lost_records, 0);
}

#[tokio::test]
async fn calls_that_are_hung_up_on_during_a_flood_leave_their_records() {
    let database = shop().await;
    let engine = database.engine_with(settings()).await;
    let mut other = database.client().await;
    let held = other.transaction().await.unwrap();
    held.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE", &[]).await.unwrap();
    let unknown = mcp_pg_core::Error::new(mcp_pg_core::Code::Unauthenticated, "who are you?");
    let (nobody, origin) = (Principal::unknown("bearer"), Origin::default());
    let refuse =
        || engine.refuse(&nobody, &origin, "authenticate", serde_json::Map::new(), &unknown);
    let flood = futures_util::future::join_all((0..4_000).map(|_| refuse()));
    let leave = async {
        for _ in 0..300 {
            let read = call(&engine, "admin", "select", json!({"table": "users"}));
            tokio::time::timeout(std::time::Duration::from_millis(1), read).await.unwrap_err();
        }
    };
    tokio::join!(flood, leave);
    held.rollback().await.unwrap();
    assert_eq!(records(&database, &engine).await.len(), 4_300);
    assert_eq!(engine.health().lost_records, 0);
}
