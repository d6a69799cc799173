//! An application's own sink.

use std::sync::Arc;
use std::time::Duration;

use mcp_pg_core::audit::{AuditSink, Event, FileSink};
use mcp_pg_core::request::Select;
use mcp_pg_core::{Code, Error, Principal, Request, Result};
use mcp_pg_tests::{Database, call, error};
use serde_json::{Map, Value, json};

use crate::program::file;

/// A sink of an application, all of whose methods panic.
struct Broken;

#[async_trait::async_trait]
impl AuditSink for Broken {
    async fn write(&self, _: Event) -> Result<()> {
        panic!("a sink's own fault")
    }

    fn try_enqueue(&self, _: Event) -> Result<()> {
        panic!("a sink's own fault")
    }

    async fn flush(&self) -> Result<()> {
        panic!("a sink's own fault")
    }

    fn lost(&self) -> u64 {
        panic!("a sink's own fault")
    }
}

#[tokio::test]
async fn a_sink_that_panics_is_one_that_cannot_write() {
    let sql = "CREATE TABLE t (id integer PRIMARY KEY); CREATE VIEW slow AS SELECT pg_sleep(60)::text AS nothing;";
    let database = Database::of(sql).await;
    let engine = database.engine().await.audited(Arc::new(Broken));
    let insert = json!({"table": "t", "data": {"id": 1}});
    assert_eq!(error(&engine, "admin", "insert", insert).await["code"], "audit_unavailable");
    assert_eq!(database.value("SELECT count(*)::text FROM t").await.unwrap(), "0");
    let read = call(&engine, "admin", "select", json!({"table": "t"})).await.unwrap();
    assert_eq!(read["row_count"], 0);
    // The record of a call that is dropped, also by a panic.
    tokio::select! {
        biased;
        reply = call(&engine, "admin", "select", json!({"table": "slow"})) => panic!("{reply:?}"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    engine.flush().await.unwrap_err();
}

/// A sink of an application, whose errors name what no caller should know.
struct Talkative;

#[async_trait::async_trait]
impl AuditSink for Talkative {
    async fn write(&self, event: Event) -> Result<()> {
        self.try_enqueue(event)
    }

    fn try_enqueue(&self, _: Event) -> Result<()> {
        Err(Error::new(Code::Forbidden, "kafka at 10.0.0.3 refuses ann").hint("ask bob"))
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn what_a_sink_says_is_not_for_callers() {
    let database = Database::of("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let engine = database.engine().await.audited(Arc::new(Talkative));
    let told = error(&engine, "admin", "insert", json!({"table": "t", "data": {"id": 1}})).await;
    assert_eq!(
        (&told["code"], &told["message"], &told["hint"]),
        (&json!("audit_unavailable"), &json!("the audit record cannot be kept"), &Value::Null),
        "{told}"
    );
}

/// As an application may build it; a parser would refuse it.
#[tokio::test]
async fn a_request_that_is_nested_too_deeply_is_refused_and_recorded() {
    let database = Database::of("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let log = file("");
    let engine = database.engine().await.audited(Arc::new(FileSink::open(&log).unwrap()));
    let caller = Principal::new("app", "admin");
    let nested = |levels| {
        let around = |inner, _| Map::from_iter([("not".to_owned(), Value::Object(inner))]);
        let filter = Some((0..levels).fold(Map::new(), around));
        Request::Select(Select { table: "t".into(), filter, ..Select::default() })
    };
    for levels in [20, 120, 150, 1_000] {
        let refused = engine.handle(&caller, nested(levels)).await.unwrap_err();
        assert_eq!(refused.code(), Code::LimitExceeded, "{levels}: {refused}");
    }
    engine.close().await.unwrap();
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 4);
}

/// A sink that cuts the connections to the database and then refuses.
struct Cutting(Database);

#[async_trait::async_trait]
impl AuditSink for Cutting {
    async fn write(&self, _: Event) -> Result<()> {
        let others =
            "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.0.sql(&format!("SELECT pg_terminate_backend(pid) {others}")).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Err(Error::new(Code::AuditUnavailable, "no room"))
    }

    fn try_enqueue(&self, _: Event) -> Result<()> {
        Ok(())
    }

    async fn flush(&self) -> Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_refusal_is_told_also_if_the_connection_is_lost_then() {
    let database = Database::of("CREATE TABLE t (id integer PRIMARY KEY)").await;
    let engine = database.engine().await.audited(Arc::new(Cutting(database)));
    let insert = json!({"table": "t", "data": {"id": 1}});
    assert_eq!(error(&engine, "admin", "insert", insert).await["code"], "audit_unavailable");
    let read = call(&engine, "admin", "select", json!({"table": "t"})).await.unwrap();
    assert_eq!(read["row_count"], 0);
}
