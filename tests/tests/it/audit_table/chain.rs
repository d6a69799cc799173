//! The chains of the audit table: whole among many writers, and whoever changes a record is found out.

use mcp_pg_core::audit::Reason;
use mcp_pg_tests::{Database, call};
use serde_json::json;

use super::{check, records, rename, settings, shop};
use crate::program::{file, run};

#[tokio::test]
async fn every_call_leaves_one_record_and_calls_in_turn_are_one_chain() {
    let database = shop().await;
    let engine = database.engine_with(settings()).await;
    let product =
        json!({"table": "products", "data": {"sku": "NEW-001", "name": "New", "price": 1}});
    let calls = [
        ("analyst", "select", json!({"table": "users", "limit": 1}), "ok"),
        ("operator", "insert", product.clone(), "ok"),
        ("operator", "insert", product.clone(), "error"),
        ("analyst", "insert", product, "denied"),
        ("admin", "select", json!({"table": "userz\u{0}"}), "error"),
        ("admin", "transaction", json!({"operations": [], "dry_run": true}), "error"),
        ("admin", "delete", json!({"table": "reviews", "where": {"review_id": 1}}), "ok"),
    ];
    for (role, tool, arguments, _) in &calls {
        let _ = call(&engine, role, tool, arguments.clone()).await;
        engine.flush().await.unwrap();
    }
    let records = records(&database, &engine).await;
    assert_eq!(records.len(), calls.len());
    for (place, (record, (_, tool, _, outcome))) in records.iter().zip(&calls).enumerate() {
        assert_eq!((&record["tool"], &record["outcome"]), (&json!(tool), &json!(outcome)));
        assert_eq!(record["seq"], json!(place + 1), "{record}");
        assert_eq!(record["chain"], records[0]["chain"], "{record}");
    }
    // Every record can be taken apart, whatever the caller sent.
    let tables = "SELECT string_agg(record #>> '{arguments,table}', ' ') FROM mcp_audit.log";
    assert!(database.value(tables).await.unwrap().contains("userz"));
}

#[tokio::test]
async fn concurrent_and_failed_writes_of_several_servers_leave_the_chains_whole() {
    let database = shop().await;
    let engines = [database.engine_with(settings()).await, database.engine_with(settings()).await];
    let add = |n: usize| {
        let increment =
            json!({"quantity": {"$increment": if n.is_multiple_of(5) { -9_999 } else { 1 }}});
        let arguments =
            json!({"table": "inventory", "where": {"product_id": 1 + n % 4}, "updates": increment});
        let engine = &engines[n % 2];
        async move {
            call(engine, "analyst", "select", json!({"table": "users", "limit": 1})).await.unwrap();
            call(engine, "admin", "update", arguments).await
        }
    };
    let before = "SELECT sum(quantity)::text FROM inventory";
    let sum = async || database.value(before).await.unwrap().parse::<i64>().unwrap();
    let begun = sum().await;
    let replies = futures_util::future::join_all((0..60).map(add)).await;
    let done = replies.iter().filter(|reply| reply.is_ok()).count();
    assert!(done > 0 && done < 60, "{done}");
    engines[1].flush().await.unwrap();
    let records = records(&database, &engines[0]).await;
    assert_eq!(records.len(), 120);
    let committed = records.iter().filter(|r| r["tool"] == "update" && r["outcome"] == "ok");
    assert_eq!(committed.count(), done);
    assert_eq!(sum().await - begun, done as i64);
}

/// The record as it was before its last change, back in its place.
async fn put_back(database: &Database, position: &str, record: &str) {
    let client = database.client().await;
    let insert = "INSERT INTO mcp_audit.log OVERRIDING SYSTEM VALUE \
        VALUES (($1::text)::bigint, ($2::text)::json) \
        ON CONFLICT (position) DO UPDATE SET record = excluded.record";
    client.execute(insert, &[&position, &record]).await.unwrap();
}

#[tokio::test]
async fn any_changed_or_removed_record_is_found() {
    let database = shop().await;
    for _ in 0..2 {
        let engine = database.engine_with(settings()).await;
        let calls = (1..=6).map(|user| call(&engine, "admin", "update", rename(user)));
        for reply in futures_util::future::join_all(calls).await {
            reply.unwrap();
        }
        // What ties the ends of the chains together.
        for user in 7..9 {
            call(&engine, "admin", "update", rename(user)).await.unwrap();
        }
        records(&database, &engine).await;
    }
    let client = database.client().await;
    let all = "SELECT position::text, record::text FROM mcp_audit.log ORDER BY log.position";
    let rows = client.query(all, &[]).await.unwrap();
    assert_eq!(rows.len(), 16);
    for (place, row) in rows.iter().enumerate() {
        let (position, record): (&str, &str) = (row.get(0), row.get(1));
        let forged = record.replace("\"X\"", "\"Y\"");
        assert_ne!(forged, record);
        put_back(&database, position, &forged).await;
        let fault = check(&database).await.unwrap_err();
        assert_eq!((fault.line.to_string(), fault.reason), (position.into(), Reason::Altered));

        database.sql(&format!("DELETE FROM mcp_audit.log WHERE position = {position}")).await;
        let found = check(&database).await;
        // From the end, a record can be taken without a trace in the table alone.
        assert_eq!(found.is_err(), place + 1 < rows.len(), "{position}: {found:?}");
        put_back(&database, position, record).await;
        check(&database).await.unwrap();
    }
}

#[tokio::test]
async fn the_command_line_verifies_both_logs_and_names_the_broken_record() {
    let database = shop().await;
    let log = file("");
    let log = log.to_str().unwrap();
    let mut config = format!("[audit]\nfile = {log:?}\ntable = \"mcp_audit.log\"\n");
    config.push_str(&format!("[database]\nurl = {:?}\n", database.url));
    let config = file(&config);
    let config = config.to_str().unwrap();
    for user in 1..=3 {
        let update = rename(user).to_string();
        let done = run(&["call", "update", &update, "--role", "admin", "--config", config]).await;
        assert_eq!(done.status, Some(0), "{done:?}");
    }
    let verify = ["audit", "verify", "--config", config];
    let whole = run(&verify).await;
    assert_eq!(whole.status, Some(0), "{whole:?}");
    assert!(whole.out.contains(&format!("{log}: 6 records, unbroken")), "{whole:?}");
    assert!(whole.out.contains("table mcp_audit.log: 3 records, unbroken"), "{whole:?}");

    // Each process has a chain of its own, tied to those before.
    database.sql("DELETE FROM mcp_audit.log WHERE position = 2").await;
    let broken = run(&verify).await;
    assert_eq!(broken.status, Some(1), "{broken:?}");
    assert!(broken.out.contains("table mcp_audit.log: broken at position 3"), "{broken:?}");
    database.sql("ALTER TABLE mcp_audit.log RENAME TO moved").await;
    let gone = run(&verify).await;
    assert_eq!(gone.status, Some(2), "{gone:?}");
    assert!(gone.err.contains("the audit table mcp_audit.log cannot be read"), "{gone:?}");
    let alone = run(&["audit", "verify", log, "--config", config]).await;
    assert_eq!(alone.status, Some(0), "{alone:?}");
    let elsewhere = run(&[
        "audit",
        "verify",
        "--config",
        config,
        "--database-url",
        "postgres://nobody@127.0.0.1:1/x",
    ])
    .await;
    assert_eq!(elsewhere.status, Some(3), "{elsewhere:?}");
}
