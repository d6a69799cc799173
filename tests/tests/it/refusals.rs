//! However a request is refused, it leaves exactly one record.

pub(crate) mod stdio;

use mcp_pg_core::audit::{AuditSink, Event};
use mcp_pg_core::{Error, Origin, Principal};
use mcp_pg_tests::{Database, object};
use serde_json::{Value, json};

use crate::auth_api_key::key;
use crate::issuer::{SIGNERS, claims, jwt};
use crate::mcp_stdio::{SLOW, until_slow};
use crate::program::{Served, file};

/// A record as a test looks at it: what was asked for, how it ended, with what code.
type Outcome = (String, String, Option<String>);

fn outcome(tool: &str, outcome: &str, code: Option<&str>) -> Outcome {
    (tool.to_owned(), outcome.to_owned(), code.map(str::to_owned))
}

fn outcomes(log: &std::path::Path) -> Vec<Outcome> {
    let text = std::fs::read_to_string(log).unwrap();
    let text_of = |record: &Value, member: &str| record[member].as_str().map(str::to_owned);
    text.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|record| record["phase"] == "outcome")
        .map(|record| {
            let text = |member| text_of(&record, member);
            (text("tool").unwrap(), text("outcome").unwrap(), text("code"))
        })
        .collect()
}

/// One request over HTTP, and what its record must say.
struct Case {
    /// Of the caller; none has no credentials.
    token: Option<String>,
    headers: Vec<(&'static str, String)>,
    body: String,
    status: u16,
    outcome: Outcome,
}

fn message(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
}

fn nested(depth: usize) -> String {
    let wrong = format!("{}{{}}{}", "{\"not\":".repeat(depth), "}".repeat(depth));
    let arguments = format!("{{\"table\":\"users\",\"where\":{wrong}}}");
    let params = format!("{{\"name\":\"select\",\"arguments\":{arguments}}}");
    format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{params}}}")
}

const CONFIG: &str = r#"
default_role = "reader"
[limits]
max_request_bytes = 100000
[roles.reader]
[[roles.reader.grants]]
tables = ["*"]
actions = ["select"]
[roles.cleaner]
confirm = ["archive"]
[[roles.cleaner.grants]]
tables = ["*"]
actions = ["select", "update", "archive"]
[roles.once]
limits = { requests_per_minute = 1 }
[[roles.once.grants]]
tables = ["*"]
actions = ["select"]
[roles.single]
limits = { concurrency = 1 }
[[roles.single.grants]]
tables = ["*"]
actions = ["select"]
"#;

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
    let token = |subject: &str, role: &str| {
        let claims = claims(json!({"sub": subject, "app": {"role": role}}));
        Some(SIGNERS[1].sign(None, &claims))
    };
    let reader = token("ann", "reader");
    let call = |tool: &str, arguments: Value| {
        message("tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let case = |body: String, status: u16, outcome: Outcome| Case {
        token: reader.clone(),
        headers: Vec::new(),
        body,
        status,
        outcome,
    };
    let select = || call("select", json!({"table": "users", "limit": 1}));
    let with = |headers: &[(&'static str, &str)], case: Case| Case {
        headers: headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(),
        ..case
    };
    let by = |token: Option<String>, case: Case| Case { token, ..case };
    let unread = |code: &str| outcome("request", "error", Some(code));
    let error = |tool: &str, code: &str| outcome(tool, "error", Some(code));
    let denied = |tool: &str, code: &str| outcome(tool, "denied", Some(code));
    let archive = json!({"table": "users", "where": {"user_id": 1}});
    let modern = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}}});
    let answered = |tool: &str, state: &str, action: &str| {
        message(
            "tools/call",
            json!({"name": tool, "arguments": archive, "requestState": state, "_meta": modern,
                "inputResponses": {"confirm": {"action": action, "content": {}}}}),
        )
    };
    let era = |tool: &'static str| {
        [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/call"), ("Mcp-Name", tool)]
    };
    let complete = json!({"ref": {"type": "ref/resource", "uri": "postgresql://schema/{table}"},
        "argument": {"name": "table", "value": "us"}});
    let cleaner = || token("eve", "cleaner");
    let cases = [
        // What the tool or its arguments are.
        case(call("no_such_tool", json!({})), 200, error("no_such_tool", "unknown_argument")),
        case(call("select", json!({"tabel": "users"})), 200, error("select", "unknown_argument")),
        case(call("select", json!({"table": "secret"})), 200, error("select", "unknown_table")),
        case(call("archive", archive.clone()), 200, denied("archive", "forbidden")),
        case(
            message("tools/call", json!({"name": "select", "arguments": [1]})),
            200,
            error("tools/call", "invalid_value"),
        ),
        case(message("tools/call", json!({})), 200, error("tools/call", "invalid_value")),
        case(nested(90), 200, error("select", "limit_exceeded")),
        // What is no message of the protocol.
        case(nested(2_000), 400, unread("invalid_value")),
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
        by(token("bob", "nobody"), case(select(), 403, denied("authenticate", "forbidden"))),
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
            message("completion/complete", complete.clone()),
            200,
            outcome("completion/complete", "ok", None),
        ),
        // Too often.
        by(token("dan", "once"), case(select(), 200, outcome("select", "ok", None))),
        by(token("dan", "once"), case(select(), 200, denied("select", "rate_limited"))),
        by(
            token("dan", "once"),
            case(call("no_such_tool", json!({})), 200, denied("no_such_tool", "rate_limited")),
        ),
        by(
            token("dan", "once"),
            case(
                message("resources/read", json!({"uri": "postgresql://schema"})),
                200,
                denied("resources/read", "rate_limited"),
            ),
        ),
        by(
            token("dan", "once"),
            case(
                message("prompts/get", json!({"name": "explore_database"})),
                200,
                denied("prompts/get", "rate_limited"),
            ),
        ),
        by(
            token("dan", "once"),
            case(
                message("completion/complete", complete.clone()),
                200,
                denied("completion/complete", "rate_limited"),
            ),
        ),
        // Not agreed to: the client cannot ask; the answer is forged.
        by(cleaner(), case(call("archive", archive.clone()), 200, denied("archive", "forbidden"))),
        by(
            cleaner(),
            with(
                &era("archive"),
                case(answered("archive", "forged", "accept"), 200, denied("archive", "forbidden")),
            ),
        ),
    ];
    let mut expected = Vec::new();
    for Case { token, headers, body, status, outcome } in cases {
        let bearer = token.map(|token| format!("Bearer {token}"));
        let mut sent = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("MCP-Protocol-Version", "2025-11-25"),
        ];
        sent.retain(|(name, _)| !headers.iter().any(|(other, _)| other == name));
        sent.extend(headers.iter().map(|(name, value)| (*name, value.as_str())));
        sent.extend(bearer.as_deref().map(|bearer| ("Authorization", bearer)));
        let (given, answer) = server.send("POST", "/mcp", &sent, &body).await;
        assert_eq!(given, status, "{outcome:?}: {answer}");
        expected.push(outcome);
    }

    // The user declines.
    let headers = |bearer: &str, tool: &'static str| {
        let mut headers = vec![
            ("Content-Type", "application/json".to_owned()),
            ("Accept", "application/json, text/event-stream".to_owned()),
            ("Authorization", format!("Bearer {bearer}")),
        ];
        headers.extend(era(tool).map(|(name, value)| (name, value.to_owned())));
        headers
    };
    let bearer = cleaner().unwrap();
    let send = async |body: String| -> Value {
        let headers = headers(&bearer, "archive");
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        serde_json::from_str(&server.send("POST", "/mcp", &headers, &body).await.1).unwrap()
    };
    let plain = json!({"name": "archive", "arguments": archive, "_meta": modern});
    let asked = send(message("tools/call", plain)).await;
    let state = asked["result"]["requestState"].as_str().unwrap();
    let declined = send(answered("archive", state, "decline")).await;
    let told = &declined["result"]["structuredContent"]["error"]["message"];
    assert_eq!(told, "the user declined", "{declined}");
    expected.extend([denied("archive", "forbidden"), denied("archive", "forbidden")]);

    // Too many at one time; and a client that does not wait for the answer.
    let bearer = token("joe", "single").unwrap();
    let slow = call("select", json!({"table": "slow"}));
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Authorization", &format!("Bearer {bearer}")),
    ];
    {
        let waiting = server.send("POST", "/mcp", &headers, &slow);
        tokio::pin!(waiting);
        tokio::select! {
            answer = &mut waiting => panic!("{answer:?}"),
            () = until_slow(&database, true) => {}
        }
        let schema = message("resources/read", json!({"uri": "postgresql://schema"}));
        for (body, tool) in [(select(), "select"), (schema, "resources/read")] {
            let (_, answer) = server.send("POST", "/mcp", &headers, &body).await;
            assert!(answer.contains("rate_limited"), "{answer}");
            expected.push(denied(tool, "rate_limited"));
        }
    }
    until_slow(&database, false).await;
    expected.push(outcome("select", "error", None));

    server.stop().await;
    let told = outcomes(&log);
    for (told, expected) in told.iter().zip(&expected) {
        assert_eq!(told, expected, "{expected:#?}");
    }
    assert_eq!(told.len(), expected.len(), "{told:#?}");
}

#[tokio::test]
async fn an_address_with_too_many_failures_is_refused() {
    let database = Database::shop().await;
    let (valid, hash) = key().await;
    let log = file("");
    let config = file(&format!(
        "[limits]\nfailed_authentications_per_minute = 3\n[audit]\nfile = {log:?}\n\
         [[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"analyst\"\n"
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let ask = async |token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
            ("Authorization", bearer.as_str()),
        ];
        server.exchange("POST", "/mcp", &headers, &message("tools/list", json!({}))).await.0
    };
    // Whoever knows a key is not counted.
    for _ in 0..5 {
        assert!(ask(&valid).await.starts_with("HTTP/1.0 200"));
    }
    for guess in ["a", "b", "c"] {
        assert!(ask(guess).await.starts_with("HTTP/1.0 401"));
    }
    // From here on a right guess is worth as little as a wrong one.
    for guess in ["d", "e", &valid] {
        let head = ask(guess).await.to_lowercase();
        assert!(head.starts_with("http/1.0 429"), "{head}");
        let wait = head.lines().find_map(|line| line.strip_prefix("retry-after: ")).unwrap();
        assert!((1..=20).contains(&wait.trim().parse::<u32>().unwrap()), "{head}");
        assert!(!head.contains("www-authenticate"), "{head}");
    }
    server.stop().await;
    let guessed = outcome("authenticate", "denied", Some("unauthenticated"));
    let refused = outcome("authenticate", "denied", Some("rate_limited"));
    let expected: Vec<Outcome> =
        [guessed, refused].iter().flat_map(|one| std::iter::repeat_n(one.clone(), 3)).collect();
    assert_eq!(outcomes(&log), expected);
}

#[tokio::test]
async fn a_fault_of_the_server_leaves_one_record_too() {
    #[derive(Default)]
    struct Memory(std::sync::Mutex<Vec<Event>>);
    #[async_trait::async_trait]
    impl AuditSink for Memory {
        async fn keep(&self, event: Event) -> Result<(), Error> {
            self.post(event)
        }
        fn post(&self, event: Event) -> Result<(), Error> {
            self.0.lock().unwrap().push(event);
            Ok(())
        }
        async fn flush(&self) -> Result<(), Error> {
            Ok(())
        }
    }
    let memory = std::sync::Arc::new(Memory::default());
    let engine = Database::shop().await.engine().await.audited(memory.clone());
    let engine = std::sync::Arc::new(engine);
    let task = tokio::spawn(async move {
        let caller = Principal::new("ann", "analyst");
        let arguments = object(json!({"uri": "postgresql://schema"}));
        let fault = || -> Result<(), Error> { panic!("a fault") };
        let origin = Origin::default();
        engine.recorded(&caller, &origin, "resources/read", arguments, fault).await
    });
    assert!(task.await.unwrap_err().is_panic());
    let events = memory.0.lock().unwrap();
    let [event] = events.as_slice() else { panic!("{events:?}") };
    assert_eq!(event.code.map(|code| code.as_str()), Some("internal"), "{event:?}");
    assert_eq!(event.arguments, Some(json!({"uri": "postgresql://schema"})));
}
