//! Servers that are killed at any time, several at once on one database, audit table and audit file: no write is
//! committed without its record.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::process::Stdio;
use std::time::Duration;

use mcp_pg_core::audit::{AuditTable, verify_file};
use mcp_pg_core::{TableName, verify_table};
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use crate::program::{file, program, run};

/// Servers that run at the same time, and how often each is killed.
const SERVERS: usize = 4;
const KILLS: usize = 60;

/// Writes that a server gets at once.
const WRITES: usize = 12;

/// A server's input: a session, and writes that nobody waits for.
fn messages(server: usize) -> String {
    let client = json!({"name": "killer", "version": "1"});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client});
    let mut lines = vec![
        json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
    ];
    lines.extend((1..=WRITES).map(|write| {
        let data = json!({"id": server * WRITES + write});
        let arguments = json!({"table": "items", "data": data});
        let params = json!({"name": "insert", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": write, "method": "tools/call", "params": params})
    }));
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Kills a server at its work. One that ends by itself, as on a machine too busy for its time limits, is
/// started again; not for ever.
async fn kill_one(config: &str, server: usize) {
    let mut reasons = Vec::new();
    while reasons.len() < 3 {
        match killed(config, server).await {
            Ok(()) => return,
            Err(reason) => reasons.push(reason),
        }
    }
    panic!("server {server} ended by itself, each time: {reasons:#?}");
}

/// Starts a server, gives it all its work, and kills it a moment after one of its answers; or says why it
/// ended before.
async fn killed(config: &str, server: usize) -> Result<(), String> {
    let mut child = program(&["stdio", "--role", "operator", "--config", config])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // What it does not read, it does not answer.
    let _ = input.write_all(messages(server).as_bytes()).await;
    let mut answers = BufReader::new(child.stdout.take().unwrap()).lines();
    let chance = RandomState::new().hash_one(server);
    // The first one answers `initialize`.
    for _ in 0..=chance % WRITES as u64 {
        if answers.next_line().await.unwrap().is_none() {
            let output = child.wait_with_output().await.unwrap();
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
    }
    tokio::time::sleep(Duration::from_micros(chance / 1_000 % 3_000)).await;
    child.start_kill().unwrap();
    child.wait().await.unwrap();
    Ok(())
}

/// The ids of the rows that the writes with this phase and outcome tell of, each once.
fn written<'a>(records: impl Iterator<Item = &'a Value>, phase: &str) -> HashSet<i64> {
    let mut ids = HashSet::new();
    let told = records.filter(|record| {
        record["tool"] == "insert" && record["phase"] == phase && record.get("code").is_none()
    });
    for record in told.filter(|record| record.get("after").is_some()) {
        let id = record["after"][0]["id"].as_i64().unwrap();
        assert!(ids.insert(id), "{id} is told of twice: {record}");
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn no_kill_leaves_a_committed_write_without_its_record() {
    let table = TableName::new("mcp_audit", "log");
    let database = Database::of("CREATE TABLE items (id bigint PRIMARY KEY)").await;
    database.sql(&AuditTable::new(&table).definition()).await;
    let log = file("");
    // A few rotations, too.
    let config = format!(
        "[database]\nurl = {:?}\nmax_connections = 6\n\
         [audit]\nfile = {log:?}\nmax_file_bytes = 1000000\ntable = \"mcp_audit.log\"\n",
        database.url
    );
    let config = file(&config).to_str().unwrap().to_owned();
    let lanes = (0..SERVERS).map(|lane| {
        let config = config.clone();
        tokio::spawn(async move {
            for kill in 0..KILLS {
                kill_one(&config, lane * KILLS + kill).await;
            }
        })
    });
    for lane in lanes.collect::<Vec<_>>() {
        lane.await.unwrap();
    }

    // What the last ones had sent may still be under way.
    let busy = "SELECT count(*)::text FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name = 'mcp-pg'";
    database.until(busy, "0").await;
    // A new server takes both logs as they are, and cuts off a line that was torn by the last kill.
    let call = ["call", "list_tables", "--config", &config];
    assert_eq!(run(&call).await.status, Some(0));

    let text = |query: &'static str| {
        let database = database.clone();
        async move { serde_json::from_str::<Value>(&database.value(query).await.unwrap()).unwrap() }
    };
    let rows = text("SELECT coalesce(json_agg(id), '[]')::text FROM items").await;
    let rows: HashSet<i64> = rows.as_array().unwrap().iter().filter_map(Value::as_i64).collect();
    assert!(rows.len() > SERVERS * KILLS / 2, "only {} writes were committed", rows.len());

    let records = text("SELECT json_agg(record)::text FROM mcp_audit.log").await;
    assert_eq!(written(records.as_array().unwrap().iter(), "outcome"), rows);
    verify_table(database.config.clone(), mcp_pg_core::policy::Tls::default(), &table)
        .await
        .unwrap()
        .unwrap();

    let parts = std::fs::read_dir(log.parent().unwrap()).unwrap().map(|part| part.unwrap().path());
    let name = log.to_str().unwrap();
    let is_part = |path: &str| {
        let rest = path.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let parts: Vec<_> = parts.filter(|part| is_part(part.to_str().unwrap())).collect();
    let lines: String = parts.iter().map(|part| std::fs::read_to_string(part).unwrap()).collect();
    let records: Vec<Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let intended = written(records.iter(), "intent");
    assert!(rows.is_subset(&intended), "{:?}", rows.difference(&intended));
    // Who was told that it is done, was told the truth.
    let done = written(records.iter(), "outcome");
    assert!(done.is_subset(&rows), "{:?}", done.difference(&rows));
    verify_file(&log).unwrap().unwrap();
    for part in parts {
        std::fs::remove_file(part).unwrap();
    }
}
