//! Refusals over HTTP.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::{CONFIG, Outcome, message, nested, outcome, outcomes};
use crate::issuer::{SIGNERS, claims, jwt};
use crate::mcp_stdio::{SLOW, until_slow};
use crate::program::{Served, file};

/// One request over HTTP, and what its record must say.
struct Case {
    /// Of the caller; none has no credentials.
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    outcome: Outcome,
}

/// A token of the issuer for this subject and role.
fn token(subject: &str, role: &str) -> String {
    SIGNERS[1].sign(None, &claims(json!({"sub": subject, "app": {"role": role}})))
}

fn call(tool: &str, arguments: Value) -> String {
    message("tools/call", json!({"name": tool, "arguments": arguments}))
}

fn select() -> String {
    call("select", json!({"table": "users", "limit": 1}))
}

/// What role `cleaner` may do only after a confirmation.
fn archive() -> Value {
    json!({"table": "users", "where": {"user_id": 1}})
}

/// `_meta` of a client of revision 2026-07-28 that can ask its user.
fn modern() -> Value {
    json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}})
}

/// Repeats the archive with the user's answer.
fn answered(state: &str, action: &str) -> String {
    message(
        "tools/call",
        json!({"name": "archive", "arguments": archive(), "requestState": state, "_meta": modern(),
            "inputResponses": {"confirm": {"action": action, "content": {}}}}),
    )
}

/// The headers of revision 2026-07-28 for a call of the tool.
fn era(tool: &'static str) -> [(&'static str, &'static str); 3] {
    [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)]
}

fn error(tool: &str, code: &str) -> Outcome {
    outcome(tool, "error", Some(code))
}

fn denied(tool: &str, code: &str) -> Outcome {
    outcome(tool, "denied", Some(code))
}

fn unread(code: &str) -> Outcome {
    error("request", code)
}

/// A request of role `reader`.
fn case(body: String, status: u16, outcome: Outcome) -> Case {
    Case { token: Some(token("ann", "reader")), headers: Vec::new(), body, status, outcome }
}

fn with(headers: &[(&'static str, &str)], case: Case) -> Case {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Case { headers, ..case }
}

fn by(token: Option<String>, case: Case) -> Case {
    Case { token, ..case }
}

/// Requests that are refused, or counted, before anything is asked of the database.
fn cases() -> Vec<Case> {
    let complete = || {
        json!({"ref": {"type": "ref/resource", "uri": "postgresql://schema/{table}"},
            "argument": {"name": "table", "value": "us"}})
    };
    let once = || Some(token("dan", "once"));
    let cleaner = || Some(token("eve", "cleaner"));
    vec![
        // What the tool or its arguments are.
        case(call("no_such_tool", json!({})), 200, error("no_such_tool", "unknown_argument")),
        case(call("select", json!({"tabel": "users"})), 200, error("select", "unknown_argument")),
        case(call("select", json!({"table": "secret"})), 200, error("select", "unknown_table")),
        case(call("archive", archive()), 200, denied("archive", "forbidden")),
        case(
            message("tools/call", json!({"name": "select", "arguments": [1]})),
            200,
            error("tools/call", "invalid_value"),
        ),
        case(message("tools/call", json!({})), 200, error("tools/call", "invalid_value")),
        case(nested(90), 200, error("select", "limit_exceeded")),
        // What is no message of the protocol.
        case(nested(2_000), 200, error("tools/call", "limit_exceeded")),
        case("{\"jsonrpc\": \"2.0\", ".into(), 400, unread("invalid_value")),
        case(nested(1).replace("{\"not\":{}}", "{\"a\":1,\"a\":2}"), 400, unread("invalid_value")),
        case(call("select", json!({"table": "x".repeat(100_000)})), 413, unread("limit_exceeded")),
        with(&[("Content-Type", "text/plain")], case(select(), 415, unread("invalid_value"))),
        with(&[("Accept", "text/html")], case(select(), 406, unread("invalid_value"))),
        with(
            &[("MCP-Protocol-Version", "1999-01-01")],
            case(select(), 400, unread("invalid_value")),
        ),
        with(&era("update"), case(select(), 400, unread("invalid_value"))),
        // From where it comes.
        with(
            &[("Host", "rebound.example.com")],
            case(select(), 403, denied("request", "forbidden")),
        ),
        with(
            &[("Origin", "https://evil.example.com")],
            case(select(), 403, denied("request", "forbidden")),
        ),
        // From whom it comes.
        by(None, case(select(), 401, denied("authenticate", "unauthenticated"))),
        by(Some("x".into()), case(select(), 401, denied("authenticate", "unauthenticated"))),
        by(Some(token("bob", "nobody")), case(select(), 403, denied("authenticate", "forbidden"))),
        // Beside the tools.
        case(
            message("resources/read", json!({"uri": "postgresql://schema/users"})),
            200,
            outcome("resources/read", "ok", None),
        ),
        case(
            message("resources/read", json!({"uri": "postgresql://schema/secret"})),
            200,
            error("resources/read", "unknown_table"),
        ),
        case(message("resources/read", json!({})), 200, error("resources/read", "invalid_value")),
        case(
            message("prompts/get", json!({"name": "check_data_quality"})),
            200,
            error("prompts/get", "missing_value"),
        ),
        case(
            message("prompts/get", json!({"name": "explode"})),
            200,
            error("prompts/get", "unknown_argument"),
        ),
        case(
            message("completion/complete", complete()),
            200,
            outcome("completion/complete", "ok", None),
        ),
        // Too often.
        by(once(), case(select(), 200, outcome("select", "ok", None))),
        by(once(), case(select(), 200, denied("select", "rate_limited"))),
        by(
            once(),
            case(call("no_such_tool", json!({})), 200, denied("no_such_tool", "rate_limited")),
        ),
        by(
            once(),
            case(
                message("resources/read", json!({"uri": "postgresql://schema"})),
                200,
                denied("resources/read", "rate_limited"),
            ),
        ),
        by(
            once(),
            case(
                message("prompts/get", json!({"name": "explore_database"})),
                200,
                denied("prompts/get", "rate_limited"),
            ),
        ),
        by(
            once(),
            case(
                message("completion/complete", complete()),
                200,
                denied("completion/complete", "rate_limited"),
            ),
        ),
        // Not agreed to: the client cannot ask; the answer is forged.
        by(cleaner(), case(call("archive", archive()), 200, denied("archive", "forbidden"))),
        by(
            cleaner(),
            with(
                &era("archive"),
                case(answered("forged", "accept"), 200, denied("archive", "forbidden")),
            ),
        ),
    ]
}

/// Sends a request, which may replace the usual headers.
async fn send(server: &Served, case: &Case) -> (u16, String) {
    let bearer = case.token.as_ref().map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    headers.retain(|(name, _)| !case.headers.iter().any(|(other, _)| other == name));
    headers.extend(case.headers.iter().map(|(name, value)| (*name, value.as_str())));
    headers.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
    server.send("POST", "/mcp", &headers, &case.body).await
}

/// The user is asked, and declines: two records.
async fn decline(server: &Served) -> [Outcome; 2] {
    let ask = async |body: String| -> Value {
        let asked = with(&era("archive"), case(body, 200, denied("archive", "forbidden")));
        let (_, answer) = send(server, &by(Some(token("eve", "cleaner")), asked)).await;
        serde_json::from_str(&answer).unwrap()
    };
    let plain = json!({"name": "archive", "arguments": archive(), "_meta": modern()});
    let asked = ask(message("tools/call", plain)).await;
    let state = asked["result"]["requestState"].as_str().unwrap();
    let declined = ask(answered(state, "decline")).await;
    let told = &declined["result"]["structuredContent"]["error"]["message"];
    assert_eq!(told, "the user declined", "{declined}");
    [denied("archive", "forbidden"), denied("archive", "forbidden")]
}

/// Two requests beside a call that runs, and are too many; then the client of that call hangs up.
async fn crowd(server: &Served, database: &Database) -> [Outcome; 3] {
    let of_joe = |body: String| {
        by(Some(token("joe", "single")), case(body, 200, denied("select", "rate_limited")))
    };
    let slow = of_joe(call("select", json!({"table": "slow"})));
    {
        let waiting = send(server, &slow);
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => panic!("{answer:?}"),
            () = until_slow(database, true) => {}
        }
        let schema = message("resources/read", json!({"uri": "postgresql://schema"}));
        for body in [select(), schema] {
            let (_, answer) = send(server, &of_joe(body)).await;
            assert!(answer.contains("rate_limited"), "{answer}");
        }
    }
    until_slow(database, false).await;
    [
        denied("select", "rate_limited"),
        denied("resources/read", "rate_limited"),
        outcome("select", "error", None),
    ]
}

#[tokio::test]
async fn every_refusal_over_http_leaves_one_record() {
    let database = Database::shop().await;
    database.sql(SLOW).await;
    let log = file("");
    let pem = file(&SIGNERS[1].pem);
    let config = file(&format!(
        "{CONFIG}\n[audit]\nfile = {log:?}\n{}",
        jwt(&format!("public_key_file = {pem:?}"))
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let mut expected = Vec::new();
    for case in cases() {
        let (status, answer) = send(&server, &case).await;
        assert_eq!(status, case.status, "{:?}: {answer}", case.outcome);
        expected.push(case.outcome);
    }
    expected.extend(decline(&server).await);
    expected.extend(crowd(&server, &database).await);

    server.stop().await;
    let told = outcomes(&log);
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected, "{expected:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}
