//! JSON-RPC batches, which only revision 2025-03-26 of the protocol has.

use std::collections::BTreeSet;

use mcp_pg_tests::{Database, until};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::program::{Served, file, run};
use crate::refusals::stdio::Talk;

fn call(id: i32, table: &str) -> Value {
    let params = json!({"name": "select", "arguments": {"table": table, "limit": 1}});
    json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
}

/// Two calls, one of them wrong, a notification, and what is no message.
fn messages() -> Value {
    let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    json!([call(1, "users"), ready, call(2, "nowhere"), {"id": 3}])
}

/// Of each answer its number, and what it says.
fn told(answers: &[Value]) -> BTreeSet<(String, String)> {
    let of = |answer: &Value| {
        let rows = &answer["result"]["structuredContent"]["row_count"];
        let code = &answer["result"]["structuredContent"]["error"]["code"];
        let refused = &answer["error"]["code"];
        (answer["id"].to_string(), format!("{rows} {code} {refused}"))
    };
    answers.iter().map(of).collect()
}

fn expected(no_message: &str) -> BTreeSet<(String, String)> {
    [("1", "1 null null"), ("2", "null \"unknown_table\" null"), (no_message, "null null -32600")]
        .map(|(id, told)| (id.to_owned(), told.to_owned()))
        .into()
}

#[tokio::test]
async fn over_http_each_message_is_answered_in_a_list() {
    let database = Database::shop().await;
    let log = file("");
    let config = file(&format!("[audit]\nfile = {log:?}\n"));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let post = async |revision: Option<&str>, body: &Value| {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend(revision.map(|revision| ("MCP-Protocol-Version", revision)));
        let (status, body) = server.send("POST", "/mcp", &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    };
    for revision in [None, Some("2025-03-26")] {
        let (status, answers) = post(revision, &messages()).await;
        assert_eq!(status, 200, "{answers}");
        assert_eq!(told(answers.as_array().unwrap()), expected("3"), "{answers}");
        let ready = json!([{"jsonrpc": "2.0", "method": "notifications/initialized"}]);
        assert_eq!(post(revision, &ready).await, (202, Value::Null));
        let many: Vec<Value> = (0..51).map(|id| call(id, "users")).collect();
        let (status, answer) = post(revision, &json!(many)).await;
        assert_eq!((status, &answer["error"]["code"]), (413, &json!(-32600)), "{answer}");
        assert_eq!(post(revision, &json!([])).await.0, 400);
    }
    for revision in ["2025-06-18", "2025-11-25", "2026-07-28"] {
        let (status, answer) = post(Some(revision), &messages()).await;
        assert_eq!((status, &answer["error"]["code"]), (400, &json!(-32600)), "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("2025-03-26"), "{answer}");
    }
    // Of a stream there is no end to wait for.
    let listen = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen",
        "params": {"notifications": {"toolsListChanged": true}}});
    let (status, answers) = post(None, &json!([listen])).await;
    assert_eq!((status, answers[0]["error"].is_object()), (200, true), "{answers}");
    server.stop().await;
    let text = std::fs::read_to_string(&log).unwrap();
    assert_eq!(text.matches("\"code\":\"unknown_table\"").count(), 2, "{text}");
}

#[tokio::test]
async fn over_stdio_each_message_is_answered_on_a_line() {
    let database = Database::shop().await;
    let arguments = ["stdio", "--database-url", &database.url];
    let mut talk = Talk::of("2025-03-26", &arguments).await;
    talk.send(&messages().to_string()).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(serde_json::from_str(&talk.answer().await).unwrap());
    }
    assert_eq!(told(&answers), expected("3"), "{answers:?}");
    talk.end().await;
    // Revisions after it have none.
    let mut talk = Talk::of("2025-06-18", &arguments).await;
    let told = talk.ask(&messages().to_string()).await;
    assert_eq!(told["error"]["code"], -32600, "{told}");
    let told = talk.ask(&call(1, "users").to_string()).await;
    assert_eq!(told["id"], 1, "{told}");
    talk.end().await;
}

#[tokio::test]
async fn a_batch_is_limited_in_number_and_size() {
    let database = Database::of(
        "CREATE TABLE large (id integer PRIMARY KEY, text text);
         INSERT INTO large VALUES (1, repeat('x', 200000))",
    )
    .await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-03-26")];
    let calls: Value = (0..50).map(|id| call(id, "large")).collect();
    let (status, body) = server.send("POST", "/mcp", &headers, &calls.to_string()).await;
    assert!(status == 200 && body.len() < 6 << 20, "{status}: {} bytes", body.len());
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!(answers.len(), 50);
    assert_eq!(answers[0]["result"]["structuredContent"]["row_count"], 1);
    let last = answers[49]["error"]["message"].as_str().unwrap();
    assert!(last.contains("send this message alone"), "{last}");

    let foreign = [headers[0], headers[1], ("Origin", "http://evil.example")];
    let (status, _) = server.send("POST", "/mcp", &foreign, &messages().to_string()).await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn a_key_revoked_during_a_batch_ends_it() {
    let database = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, text text);
         INSERT INTO notes VALUES (1, ''), (2, '')",
    )
    .await;
    let made = run(&["hash-key"]).await.out;
    let part = |name: &str| made.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim();
    let bearer = format!("Bearer {}", part("key:"));
    let log = file("");
    let keys = |hash: &str| {
        format!(
            "[audit]\nfile = {log:?}\n[[roles.editor.grants]]\ntables = [\"public.*\"]\nactions = [\"select\", \"update\"]\n\
             [[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"editor\"\n"
        )
    };
    let config = file(&keys(part("hash:")));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2025-03-26"),
        ("Authorization", bearer.as_str()),
    ];
    let update = |id: i32| {
        let arguments = json!({"table": "notes", "where": {"id": id}, "updates": {"text": "set"}});
        let params = json!({"name": "update", "arguments": arguments});
        json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params})
    };
    let batch = json!([update(1), update(2), call(3, "notes")]).to_string();
    let mut other = database.client().await;
    let held = other.transaction().await.unwrap();
    held.execute("SELECT FROM notes WHERE id = 1 FOR UPDATE", &[]).await.unwrap();
    let withdrawn = async {
        database.until_blocked(1).await;
        let made = run(&["hash-key"]).await.out;
        let other = made.lines().find_map(|line| line.strip_prefix("hash:")).unwrap().trim();
        std::fs::write(&config, keys(other)).unwrap();
        let single = call(9, "notes").to_string();
        let refused = async || server.send("POST", "/mcp", &headers, &single).await.0 == 401;
        until("the key is refused", refused).await;
        held.commit().await.unwrap();
    };
    let ((status, body), ()) =
        tokio::join!(server.send("POST", "/mcp", &headers, &batch), withdrawn);
    let answers: Vec<Value> = serde_json::from_str(&body).unwrap();
    assert_eq!((status, answers.len()), (200, 3), "{body}");
    assert_eq!(answers[0]["result"]["structuredContent"]["row_count"], 1, "{body}");
    for answer in &answers[1..] {
        assert_eq!(answer["error"]["code"], -32600, "{body}");
    }
    let texts = "SELECT string_agg(text, ',' ORDER BY id) FROM notes";
    assert_eq!(database.value(texts).await.as_deref(), Some("set,"));
    server.stop().await;
    // Each has its record: one that was done, one that was refused, one that was left.
    let records = std::fs::read_to_string(&log).unwrap();
    let left = records.lines().filter(|line| line.contains("\"tool\":\"request\""));
    let left: Vec<&str> = left.collect();
    assert!(left.len() == 1 && left[0].contains("\"code\":\"unauthenticated\""), "{left:?}");
}

/// The most memory that the server has had, in bytes.
fn peak(server: &Served) -> u64 {
    let status = format!("/proc/{}/status", server.server.id().unwrap());
    let status = std::fs::read_to_string(status).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[tokio::test]
async fn answers_that_nobody_takes_are_bounded() {
    const CLIENTS: usize = 8;
    let database = Database::of(
        "CREATE TABLE large (id integer PRIMARY KEY, text text);
         INSERT INTO large VALUES (1, repeat('x', 240000))",
    )
    .await;
    let log = file("");
    let config = file(&format!("[audit]\nfile = {log:?}\n"));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let body: Value = (0..50).map(|id| call(id, "large")).collect();
    let body = body.to_string();
    let before = peak(&server);
    let mut silent = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = TcpStream::connect(&server.address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Accept: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        client.write_all(head.as_bytes()).await.unwrap();
        client.write_all(body.as_bytes()).await.unwrap();
        silent.push(client);
    }
    // Each message leaves a record, be it answered or not.
    let records =
        || std::fs::read_to_string(&log).unwrap().matches("\"phase\":\"outcome\"").count();
    until("every message has its record", async || records() >= CLIENTS * 50).await;
    let each = (peak(&server) - before) >> 20;
    assert!(each < CLIENTS as u64 * 16, "{each} MiB for {CLIENTS} batches");
    drop(silent);
    server.stop().await;
}
