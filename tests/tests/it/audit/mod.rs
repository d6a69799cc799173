//! The audit log: what is recorded of each call, and that no write is committed without its record.

mod member;
mod sink;
mod value;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_pg_core::audit::{FileSink, snapshot, verify};
use mcp_pg_core::policy::OnFailure;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, until};
use serde_json::{Value, json};

/// An audit file that goes with the test.
struct Log(PathBuf);

impl Log {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("audit-{}-{count}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Self(directory.join("audit.jsonl"))
    }

    async fn engine(&self, database: &Database, settings: Settings) -> Engine {
        let sink = Arc::new(FileSink::open(&self.0).unwrap());
        database.engine_with(settings).await.audited(sink)
    }

    /// The records that the engine has made so far, whose chain is whole.
    async fn records(&self, engine: &Engine) -> Vec<Value> {
        engine.flush().await.unwrap();
        verify(snapshot(&self.0).unwrap()).unwrap();
        let text = std::fs::read_to_string(&self.0).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[tokio::test]
async fn every_call_leaves_one_outcome() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let calls = [
        (
            "analyst",
            "select",
            json!({"table": "users", "columns": ["name"], "limit": 2}),
            "ok",
            Value::Null,
        ),
        ("analyst", "list_tables", json!({}), "ok", Value::Null),
        ("analyst", "describe_table", json!({"table": "users"}), "ok", Value::Null),
        (
            "analyst",
            "aggregate",
            json!({"table": "users", "measures": {"n": {"count": "*"}}}),
            "ok",
            Value::Null,
        ),
        (
            "analyst",
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}}),
            "denied",
            json!("forbidden"),
        ),
        ("nobody", "select", json!({"table": "users"}), "denied", json!("forbidden")),
        ("admin", "select", json!({"table": "userz"}), "error", json!("unknown_table")),
        ("admin", "select", json!({"tabel": "users"}), "error", json!("unknown_argument")),
        ("admin", "selekt", json!({"table": "users"}), "error", json!("unknown_argument")),
        (
            "admin",
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"nam": 1}}),
            "error",
            json!("unknown_column"),
        ),
        (
            "admin",
            "update",
            json!({"table": "users", "where": {"user_id": {"lt": 4}}, "updates": {"name": "X"}}),
            "error",
            json!("too_many_rows"),
        ),
        (
            "admin",
            "insert",
            json!({"table": "users", "data": {"email": "ada@example.com", "name": "A", "country": "GB"}}),
            "error",
            json!("unique_violation"),
        ),
        (
            "admin",
            "transaction",
            json!({"operations": [{"operation": "select", "table": "users"}]}),
            "ok",
            Value::Null,
        ),
    ];
    for (role, tool, arguments, ..) in &calls {
        let _ = call(&engine, role, tool, arguments.clone()).await;
    }
    let records = log.records(&engine).await;
    assert_eq!(records.len(), calls.len());
    for (record, (role, tool, arguments, outcome, code)) in records.iter().zip(&calls) {
        assert_eq!(record["phase"], "outcome");
        assert_eq!(
            record["actor"],
            json!({"subject": "tester", "role": role, "method": "library"})
        );
        assert_eq!(&record["tool"], tool);
        // Of a role that there is not, nothing tells what is to be hidden.
        match *role {
            "nobody" => assert_eq!(record["arguments"], json!({"table": "[omitted]"})),
            _ => assert_eq!(&record["arguments"], arguments),
        }
        assert_eq!(&record["outcome"], outcome, "{record}");
        assert_eq!(record.get("code").cloned().unwrap_or_default(), *code, "{record}");
        assert!(record["duration_ms"].as_f64().unwrap() > 0.0);
        assert!(record.get("before").is_none() && record.get("after").is_none(), "{record}");
        let known = arguments["table"] == "users" && *role != "nobody" && *tool != "selekt";
        assert_eq!(record.get("table").is_some(), known, "{record}");
    }
    assert_eq!(records[0]["table"], "public.users");
    assert_eq!(records[0]["rows"], 2);
    assert!(records[0]["sql"][0].as_str().unwrap().starts_with("SELECT"), "{}", records[0]);
    // A call that changed nothing has no rows to tell of.
    assert!(records[10].get("rows").is_none());
}

#[tokio::test]
async fn a_write_is_announced_before_it_is_committed() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    for (tool, arguments) in [
        (
            "insert",
            json!({"table": "products", "data": {"sku": "NEW-001", "name": "New", "price": 1}}),
        ),
        (
            "update",
            json!({"table": "products", "where": {"sku": "NEW-001"}, "updates": {"price": 2}}),
        ),
        ("archive", json!({"table": "products", "where": {"sku": "NEW-001"}})),
        ("delete", json!({"table": "products", "where": {"sku": "NEW-001"}, "archived": "only"})),
    ] {
        call(&engine, "admin", tool, arguments).await.unwrap();
    }
    let records = log.records(&engine).await;
    assert_eq!(records.len(), 8);
    for (pair, tool) in records.chunks(2).zip(["insert", "update", "archive", "delete"]) {
        let [intent, outcome] = pair else { panic!() };
        assert_eq!((&intent["phase"], &outcome["phase"]), (&json!("intent"), &json!("outcome")));
        assert_eq!(intent["id"], outcome["id"]);
        assert_eq!(outcome["tool"], tool);
        assert_eq!((&outcome["outcome"], &outcome["rows"]), (&json!("ok"), &json!(1)));
        assert!(intent.get("outcome").is_none() && intent.get("duration_ms").is_none());
        for member in ["before", "after", "table", "arguments", "sql", "rows"] {
            assert_eq!(intent[member], outcome[member], "{tool} {member}");
        }
    }
    let images = |index: usize| (&records[index]["before"], &records[index]["after"]);
    assert_eq!(images(0).0, &Value::Null);
    assert_eq!(images(0).1[0]["sku"], "NEW-001");
    assert_eq!((&images(2).0[0]["price"], &images(2).1[0]["price"]), (&json!(1), &json!(2)));
    assert_eq!(images(4).0[0]["archived_at"], Value::Null);
    assert!(images(4).1[0]["archived_at"].is_string());
    assert_eq!(images(6).0[0]["sku"], "NEW-001");
    assert_eq!(images(6).1, &Value::Null);
}

#[tokio::test]
async fn a_row_that_an_insert_changes_has_an_image_of_before() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let email = database.value("SELECT email FROM users WHERE user_id = 1").await.unwrap();
    let name = database.value("SELECT name FROM users WHERE user_id = 1").await.unwrap();
    let arguments = json!({"table": "users", "data": {"email": email, "name": "Renamed", "country": "DE"},
        "on_conflict": {"columns": ["email"], "do": "update", "update": ["name"]}});
    call(&engine, "admin", "insert", arguments).await.unwrap();
    for record in log.records(&engine).await {
        assert_eq!(record["before"][0]["name"], name);
        assert_eq!(record["after"][0]["name"], "Renamed");
    }
}

#[tokio::test]
async fn rolled_back_writes_have_no_intent_and_no_images() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let insert = json!({"operation": "insert", "table": "products", "data": {"sku": "NEW-001", "name": "New", "price": 1}});
    let operations = json!([insert, insert]);
    let failed = call(&engine, "admin", "transaction", json!({"operations": operations})).await;
    assert_eq!(failed.unwrap_err().code().as_str(), "unique_violation");
    let dry = json!({"operations": [insert], "dry_run": true});
    call(&engine, "admin", "transaction", dry).await.unwrap();
    let records = log.records(&engine).await;
    assert_eq!(records.len(), 2);
    assert_eq!(records[0]["outcome"], "error");
    assert_eq!(records[1]["outcome"], "ok");
    for record in &records {
        assert!(record.get("after").is_none(), "{record}");
    }
}

#[tokio::test]
async fn without_a_record_nothing_is_written() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    // The file is gone, and cannot be made again.
    std::fs::remove_file(&log.0).unwrap();
    std::fs::create_dir(&log.0).unwrap();
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
    for (tool, arguments) in [
        ("update", update.clone()),
        (
            "insert",
            json!({"table": "products", "data": {"sku": "NEW-001", "name": "New", "price": 1}}),
        ),
        ("archive", json!({"table": "users", "where": {"user_id": 1}})),
        ("delete", json!({"table": "reviews", "where": {"review_id": 1}})),
        (
            "transaction",
            json!({"operations": [{"operation": "delete", "table": "reviews", "where": {"review_id": 1}}]}),
        ),
    ] {
        let reply = error(&engine, "admin", tool, arguments).await;
        assert_eq!(
            (&reply["code"], &reply["retryable"]),
            (&json!("audit_unavailable"), &json!(true)),
            "{tool}"
        );
        assert!(!reply.to_string().contains("audit.jsonl"), "{reply}");
    }
    for (count, expected) in [
        ("SELECT count(*)::text FROM users WHERE version > 1", "0"),
        ("SELECT count(*)::text FROM products", "20"),
        ("SELECT count(*)::text FROM reviews", "14"),
    ] {
        assert_eq!(database.value(count).await.unwrap(), expected);
    }
    // Reads go on, and a dry run keeps nothing that would need a record.
    let read = json!({"table": "users", "where": {"user_id": 1}});
    assert_eq!(call(&engine, "admin", "select", read).await.unwrap()["row_count"], 1);
    let mut dry = update.clone();
    dry["dry_run"] = json!(true);
    call(&engine, "admin", "update", dry).await.unwrap();

    std::fs::remove_dir(&log.0).unwrap();
    call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!(database.value("SELECT name FROM users WHERE user_id = 1").await.unwrap(), "X");
    log.records(&engine).await;
}

#[tokio::test]
async fn calls_that_are_refused_without_a_record_leave_it_later() {
    let database = Database::shop().await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.audit.on_failure = OnFailure::Refuse;
    let engine = log.engine(&database, settings).await;
    std::fs::remove_file(&log.0).unwrap();
    std::fs::create_dir(&log.0).unwrap();
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
    let calls = [
        ("analyst", "select", json!({"table": "users"}), "audit_unavailable", "error"),
        ("analyst", "select", json!({"table": "userz"}), "unknown_table", "error"),
        ("analyst", "update", update.clone(), "forbidden", "denied"),
        ("admin", "update", update, "audit_unavailable", "error"),
    ];
    for (role, tool, arguments, code, _) in &calls {
        assert_eq!(error(&engine, role, tool, arguments.clone()).await["code"], *code);
    }
    std::fs::remove_dir(&log.0).unwrap();
    until("the records are written", async || engine.flush().await.is_ok()).await;
    let records = log.records(&engine).await;
    assert_eq!((records.len(), engine.health().lost_records), (calls.len(), 0));
    for (record, (role, tool, arguments, code, outcome)) in records.iter().zip(&calls) {
        assert_eq!((&record["actor"]["role"], &record["tool"]), (&json!(role), &json!(tool)));
        assert_eq!(&record["arguments"], arguments);
        assert_eq!((&record["code"], &record["outcome"]), (&json!(code), &json!(outcome)));
        assert!(record.get("rows").is_none(), "{record}");
    }
}

#[tokio::test]
async fn records_that_are_given_up_are_counted() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    std::fs::remove_file(&log.0).unwrap();
    std::fs::create_dir(&log.0).unwrap();
    // More than wait in memory.
    const CALLS: usize = 5_000;
    for _ in 0..CALLS {
        call(&engine, "analyst", "list_tables", json!({})).await.unwrap();
    }
    assert!(engine.health().lost_records > 0);
    std::fs::remove_dir(&log.0).unwrap();
    until("the records are written", async || engine.flush().await.is_ok()).await;
    let kept = log.records(&engine).await.len();
    assert_eq!(kept as u64 + engine.health().lost_records, CALLS as u64);
}

#[tokio::test]
async fn concurrent_calls_leave_the_chain_whole() {
    let database = Database::shop().await;
    let log = Log::new();
    let first = log.engine(&database, Settings::default()).await;
    let second = log.engine(&database, Settings::default()).await;
    let add = |engine, product: i64| {
        call(
            engine,
            "admin",
            "update",
            json!({"table": "inventory", "where": {"product_id": product}, "updates": {"quantity": {"$increment": 1}}}),
        )
    };
    let calls = (1..=12).map(|n| add(if n % 2 == 0 { &first } else { &second }, 1 + n % 3));
    let replies = futures_util::future::join_all(calls).await;
    let done = replies.iter().filter(|reply| reply.is_ok()).count();
    second.flush().await.unwrap();
    let records = log.records(&first).await;
    let outcomes: Vec<&Value> =
        records.iter().filter(|record| record["phase"] == "outcome").collect();
    assert_eq!(outcomes.len(), 12);
    assert_eq!(outcomes.iter().filter(|record| record["outcome"] == "ok").count(), done);
    for outcome in outcomes.iter().filter(|record| record["outcome"] == "ok") {
        let place = |wanted: &Value| {
            records.iter().position(|record| std::ptr::eq(record, wanted)).unwrap()
        };
        let intent = records
            .iter()
            .rfind(|record| record["phase"] == "intent" && record["id"] == outcome["id"]);
        assert!(place(intent.unwrap()) < place(outcome));
    }
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_kept_too() {
    let database = Database::of("CREATE VIEW slow AS SELECT pg_sleep(60)::text AS nothing;").await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    tokio::select! {
        biased;
        reply = call(&engine, "admin", "select", json!({"table": "slow"})) => panic!("{reply:?}"),
        () = tokio::time::sleep(std::time::Duration::from_millis(50)) => {}
    }
    let records = log.records(&engine).await;
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["outcome"], "error");
    assert!(records[0].get("code").is_none());
    assert_eq!(records[0]["table"], "public.slow");
}

#[tokio::test]
async fn a_caller_whose_role_is_gone_leaves_a_record() {
    let database = Database::shop().await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    for tool in ["select", "list_tables", "transaction"] {
        let operations = json!([{"operation": "select", "table": "users"}]);
        let arguments = match tool {
            "select" => json!({"table": "users"}),
            "transaction" => json!({"operations": operations}),
            _ => json!({}),
        };
        let reply = error(&engine, "gone", tool, arguments).await;
        assert_eq!(reply["code"], "forbidden");
        let records = log.records(&engine).await;
        let last = records.last().unwrap();
        assert_eq!((&last["tool"], &last["outcome"]), (&json!(tool), &json!("denied")));
    }
}
