//! The ways to be refused on standard input and output.

use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{CONFIG, message, nested, outcome, outcomes};
use crate::program::{file, program};

/// A conversation by hand with a server on standard input and output.
pub(crate) struct Talk {
    server: tokio::process::Child,
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
}

impl Talk {
    async fn begin(arguments: &[&str]) -> Self {
        Self::of("2025-11-25", arguments).await
    }

    /// One in this revision of the protocol.
    pub(crate) async fn of(revision: &str, arguments: &[&str]) -> Self {
        let mut server = program(arguments).stdin(std::process::Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(server.stdout.take().unwrap()).lines();
        let mut talk = Self { server, lines };
        talk.send(&message(
            "initialize",
            json!({"protocolVersion": revision, "capabilities": {},
                "clientInfo": {"name": "by hand", "version": "1"}}),
        ))
        .await;
        talk.answer().await;
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        talk.send(&ready.to_string()).await;
        talk
    }

    pub(crate) async fn send(&mut self, line: &str) {
        let input = self.server.stdin.as_mut().unwrap();
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    pub(crate) async fn answer(&mut self) -> String {
        self.lines.next_line().await.unwrap().expect("an answer")
    }

    pub(crate) async fn ask(&mut self, line: &str) -> Value {
        self.send(line).await;
        serde_json::from_str(&self.answer().await).unwrap()
    }

    /// Ends it gently: its audit is complete then.
    pub(crate) async fn end(mut self) {
        drop(self.server.stdin.take());
        assert!(self.server.wait().await.unwrap().success());
    }
}

#[tokio::test]
async fn every_refusal_over_stdio_leaves_one_record() {
    let database = Database::shop().await;
    let log = file("");
    let config = file(&format!("{CONFIG}\n[audit]\nfile = {log:?}\n"));
    let call = |tool: &str, arguments: Value| {
        message("tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let error = |tool: &str, code: &str| outcome(tool, "error", Some(code));
    let denied = |tool: &str, code: &str| outcome(tool, "denied", Some(code));
    let ok = |tool: &str| outcome(tool, "ok", None);
    let archive = || call("archive", json!({"table": "users", "where": {"user_id": 1}}));
    let select = || call("select", json!({"table": "users", "limit": 1}));
    let read = |uri: &str| message("resources/read", json!({"uri": uri}));
    let complete = json!({"ref": {"type": "ref/resource", "uri": "postgresql://schema/{table}"},
        "argument": {"name": "table", "value": "us"}});
    let prompt = |name: &str| message("prompts/get", json!({"name": name}));
    let talks = [
        (
            "reader",
            vec![
                (call("no_such_tool", json!({})), error("no_such_tool", "unknown_argument")),
                (call("select", json!({"tabel": "users"})), error("select", "unknown_argument")),
                (call("select", json!({"table": "secret"})), error("select", "unknown_table")),
                (
                    call("select", json!({"table": "users", "limit": -1})),
                    error("select", "invalid_value"),
                ),
                (archive(), denied("archive", "forbidden")),
                (
                    message("tools/call", json!({"name": "select", "arguments": [1]})),
                    error("tools/call", "invalid_value"),
                ),
                (message("tools/call", json!({})), error("tools/call", "invalid_value")),
                (nested(90), error("select", "limit_exceeded")),
                (read("postgresql://schema/users"), ok("resources/read")),
                (read("postgresql://schema/secret"), error("resources/read", "unknown_table")),
                (message("resources/read", json!({})), error("resources/read", "invalid_value")),
                (
                    message("subscriptions/listen", json!({})),
                    error("subscriptions/listen", "invalid_value"),
                ),
                (prompt("check_data_quality"), error("prompts/get", "missing_value")),
                (prompt("explode"), error("prompts/get", "unknown_argument")),
                (message("completion/complete", complete.clone()), ok("completion/complete")),
            ],
        ),
        // Not agreed to: the client cannot ask.
        ("cleaner", vec![(archive(), denied("archive", "forbidden"))]),
        // Too often.
        (
            "once",
            vec![
                (select(), ok("select")),
                (select(), denied("select", "rate_limited")),
                (call("no_such_tool", json!({})), denied("no_such_tool", "rate_limited")),
                (read("postgresql://schema"), denied("resources/read", "rate_limited")),
                (prompt("explore_database"), denied("prompts/get", "rate_limited")),
                (
                    message("completion/complete", complete),
                    denied("completion/complete", "rate_limited"),
                ),
            ],
        ),
    ];
    let mut expected = Vec::new();
    for (role, cases) in talks {
        let config = config.to_str().unwrap();
        let arguments =
            ["stdio", "--database-url", &database.url, "--config", config, "--role", role];
        let mut talk = Talk::begin(&arguments).await;
        for (line, outcome) in cases {
            // What is no message has no answer and no record, and does not disturb what comes after it.
            talk.send("{\"jsonrpc\": \"2.0\", ").await;
            talk.send(&line).await;
            let answer: Value = serde_json::from_str(&talk.answer().await).unwrap();
            assert_eq!(answer["id"], 1, "{line}: {answer}");
            if let Some(code) = &outcome.2 {
                let refused = answer["error"].is_object() || answer["result"]["isError"] == true;
                assert!(refused && answer.to_string().contains(code.as_str()), "{line}: {answer}");
            }
            expected.push(outcome);
        }
        talk.end().await;
    }
    let told = outcomes(&log);
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected, "{expected:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

/// Of what nobody has looked at, a record holds no more than 4 KiB.
#[tokio::test]
async fn the_record_of_a_rate_limited_request_is_small() {
    let database = Database::shop().await;
    let log = file("");
    let config = file(&format!("{CONFIG}\n[audit]\nfile = {log:?}\n"));
    let config = config.to_str().unwrap();
    let arguments =
        ["stdio", "--database-url", &database.url, "--config", config, "--role", "once"];
    let mut talk = Talk::begin(&arguments).await;
    let read = |uri: &str| message("resources/read", json!({"uri": uri}));
    talk.ask(&read("postgresql://role")).await;
    for length in [4_000, 5_000] {
        let told = talk.ask(&read(&"x".repeat(length))).await;
        assert!(told.to_string().contains("rate_limited"), "{told}");
    }
    talk.end().await;
    let text = std::fs::read_to_string(&log).unwrap();
    let records: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [_, small, large] = records.as_slice() else { panic!("{records:#?}") };
    assert_eq!(small["arguments"]["uri"].as_str().unwrap().len(), 4_000);
    assert_eq!(large["arguments"], json!({"omitted": "5010 bytes"}));
}

/// What stands for a line that cannot be read is the server's own word.
#[tokio::test]
async fn a_method_that_is_called_request_is_unknown() {
    let database = Database::shop().await;
    let mut talk = Talk::begin(&["stdio", "--database-url", &database.url]).await;
    let told = talk.ask(&message("request", json!({"message": "made up"}))).await;
    assert_eq!(told["error"]["code"], -32601, "{told}");
    let told = talk
        .ask("{\"jsonrpc\": \"2.0\", \"id\": 2, \"method\": \"ping\", \"params\": [1e999]")
        .await;
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!(2), &json!(-32700)), "{told}");
    assert!(!told.to_string().contains("request/"), "{told}");
    talk.end().await;
}

/// Beyond what the transport reads, a line is not kept, and not left without an answer.
#[tokio::test]
async fn a_line_that_is_too_long_is_answered() {
    let database = Database::shop().await;
    let mut talk = Talk::begin(&["stdio", "--database-url", &database.url]).await;
    let long = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
        "params": {"name": "select", "arguments": {"table": "x".repeat(17 << 20)}}});
    let told = talk.ask(&long.to_string()).await;
    assert_eq!(told["id"], 7, "{told}");
    assert!(told["error"]["message"].as_str().unwrap().contains("too long"), "{told}");
    let told =
        talk.ask(&message("tools/call", json!({"name": "list_tables", "arguments": {}}))).await;
    assert_eq!(told["id"], 1, "{told}");
    talk.end().await;
}
