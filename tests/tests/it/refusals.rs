//! Every refused request leaves exactly one record, whatever refused it.

mod http;
pub(crate) mod stdio;

use mcp_pg_core::audit::{AuditSink, Event};
use mcp_pg_core::{Error, Origin, Principal};
use mcp_pg_tests::{Database, object};
use serde_json::{Value, json};

use crate::auth_api_key::key;
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

/// A browser sends what any page wants without its user's credentials, from the user's address.
#[tokio::test]
async fn pages_shut_out_nobody() {
    let database = Database::shop().await;
    let (valid, hash) = key().await;
    let config = file(&format!(
        "[limits]\nfailed_authentications_per_minute = 3\n\
         [[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"analyst\"\n"
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let list = message("tools/list", json!({}));
    let json = ("Content-Type", "application/json");
    for (method, header) in [
        ("OPTIONS", ("Access-Control-Request-Method", "POST")),
        ("POST", ("Content-Type", "text/plain")),
        ("GET", ("Accept", "image/png")),
    ] {
        for origin in ["http://evil.example", "http://localhost:3000", ""] {
            let origin = Some(("Origin", origin)).filter(|(_, origin)| !origin.is_empty());
            // A browser sends the origin with each POST.
            if method == "POST" && origin.is_none() {
                continue;
            }
            for _ in 0..2 {
                let headers = Vec::from_iter(origin.into_iter().chain([header]));
                let (status, _) = server.send(method, "/mcp", &headers, "x").await;
                assert_eq!(status, 401, "{method} {origin:?}");
            }
        }
    }
    let bearer = format!("Bearer {valid}");
    let headers = [json, ("Authorization", bearer.as_str())];
    assert_eq!(server.send("POST", "/mcp", &headers, &list).await.0, 200);
    // Pages and programs that try a key are counted.
    let statuses = [
        vec![json, ("Authorization", "Basic eDp5")],
        vec![json, ("Origin", "http://localhost:3000"), ("Authorization", "Bearer x")],
    ];
    for headers in statuses.iter().cycle().take(3) {
        assert_eq!(server.send("POST", "/mcp", headers, &list).await.0, 401);
    }
    let guess = [json, ("Authorization", "Bearer y")];
    assert_eq!(server.send("POST", "/mcp", &guess, &list).await.0, 429);
    assert_eq!(server.send("POST", "/mcp", &headers, &list).await.0, 429);
}

#[tokio::test]
async fn a_fault_of_the_server_leaves_one_record_too() {
    #[derive(Default)]
    struct Memory(std::sync::Mutex<Vec<Event>>);
    #[async_trait::async_trait]
    impl AuditSink for Memory {
        async fn write(&self, event: Event) -> Result<(), Error> {
            self.try_enqueue(event)
        }
        fn try_enqueue(&self, event: Event) -> Result<(), Error> {
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
