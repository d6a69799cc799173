//! Authentication by API keys.

use std::process::Stdio;

use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::mcp_http::call;
use crate::program::{ERAS, Ended, Era, Served, file, program, run};

/// A key, as `hash-key` prints it, and the line of its hash.
pub(crate) async fn key() -> (String, String) {
    let printed = run(&["hash-key"]).await;
    assert_eq!(printed.status, Some(0), "{printed:?}");
    let line = |name: &str| {
        let found = printed.out.lines().find_map(|line| line.strip_prefix(name));
        found.unwrap_or_else(|| panic!("no {name} in {printed:?}")).to_owned()
    };
    (line("key: "), line("hash: "))
}

/// The names of the tools that the server lists for this token.
pub(crate) async fn tools(server: &Served, token: &str) -> Vec<String> {
    let header = format!("Bearer {token}");
    let (status, list) = server
        .request(Era::Initialize, "tools/list", json!({}), &[("Authorization", &header)])
        .await;
    assert_eq!(status, 200, "{list}");
    let tools = list["result"]["tools"].as_array().expect("tools");
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_is_its_callers_role_and_claims() {
    let database = Database::shop().await;
    let ((clerk, clerk_hash), (reader, reader_hash)) = (key().await, key().await);
    let log = file("");
    let config = file(&format!(
        "default_role = \"nobody\"
         [roles.nobody]
         [roles.clerk]
         [[roles.clerk.grants]]
         tables = [\"public.users\"]
         actions = [\"select\", \"update\"]
         rows = {{ user_id = \"claim:own\" }}
         [roles.reader]
         [[roles.reader.grants]]
         tables = [\"public.products\"]
         actions = [\"select\"]
         [[auth.api_keys]]
         name = \"clerk-1\"
         hash = \"{clerk_hash}\"
         role = \"clerk\"
         claims = {{ own = 1 }}
         [[auth.api_keys]]
         name = \"reader\"
         hash = \"{reader_hash}\"
         role = \"reader\"
         [audit]
         file = {log:?}
         [server]
         public_url = \"https://mcp.example.com/\""
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;

    assert!(tools(&server, &clerk).await.contains(&"update".to_owned()));
    assert!(!tools(&server, &reader).await.contains(&"update".to_owned()));
    for era in ERAS {
        let ask = async |token: &str, table: &str| {
            let header = format!("Bearer {token}");
            let request = call("select", json!({"table": table, "limit": 2}));
            let (status, answer) =
                server.request(era, "tools/call", request, &[("Authorization", &header)]).await;
            assert_eq!(status, 200, "{answer}");
            answer["result"]["structuredContent"].clone()
        };
        let own = ask(&clerk, "users").await;
        assert_eq!(
            (&own["row_count"], &own["rows"][0]["user_id"]),
            (&json!(1), &json!(1)),
            "{own}"
        );
        assert_eq!(ask(&clerk, "products").await["error"]["code"], "unknown_table");
        assert_eq!(ask(&reader, "products").await["row_count"], 2);
        assert_eq!(ask(&reader, "users").await["error"]["code"], "unknown_table");
    }

    server.stop().await;
    let record = std::fs::read_to_string(&log).unwrap();
    let actors: Vec<Value> = record
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["actor"].clone())
        .collect();
    let actor = json!({"subject": "clerk-1", "role": "clerk", "method": "api_key"});
    assert!(actors.contains(&actor), "{actors:?}");
    assert!(!record.contains(&clerk) && !record.contains(&clerk_hash));
}

#[tokio::test]
async fn without_a_valid_key_there_is_no_call() {
    let database = Database::shop().await;
    let ((valid, hash), (other, _)) = (key().await, key().await);
    let log = file("");
    let config = file(&format!(
        "[[auth.api_keys]]\nname = \"a\"\nhash = \"{hash}\"\nrole = \"analyst\"\n\
         [audit]\nfile = {log:?}\n[server]\npublic_url = \"https://mcp.example.com\""
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let metadata = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp";
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": call("select", json!({"table": "users"}))})
    .to_string();
    let wrong = [
        None,
        Some(String::new()),
        Some("Bearer".to_owned()),
        Some(format!("Basic {valid}")),
        Some(format!("Bearer {other}")),
        Some(format!("Bearer {valid}x")),
        Some(format!("Bearer {hash}")),
        Some(format!("Bearer {}", "x".repeat(20_000))),
    ];
    let attempts = wrong.len();
    for authorization in wrong {
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        headers.extend(authorization.as_deref().map(|value| ("Authorization", value)));
        let (head, answer) = server.exchange("POST", "/mcp", &headers, &body).await;
        assert!(head.starts_with("HTTP/1.0 401"), "{authorization:?}: {head}");
        let head = head.to_lowercase();
        let challenge = format!("www-authenticate: bearer resource_metadata=\"{metadata}\"");
        assert!(head.contains(&challenge), "{head}");
        let named = authorization.as_deref().is_some_and(|text| text.starts_with("Bearer "));
        assert_eq!(head.contains("error=\"invalid_token\""), named, "{head}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], "unauthenticated");
        assert!(!answer.to_string().contains("users"), "{answer}");
    }
    for method in ["GET", "DELETE", "OPTIONS"] {
        assert_eq!(server.send(method, "/mcp", &[], "").await.0, 401, "{method}");
    }

    let (status, page) = server.get("/.well-known/oauth-protected-resource/mcp").await;
    assert_eq!(status, 200);
    let page: Value = serde_json::from_str(&page).unwrap();
    assert_eq!(page["resource"], "https://mcp.example.com/mcp", "{page}");
    assert_eq!(server.get("/.well-known/oauth-protected-resource").await.0, 200);
    assert_eq!(server.get("/healthz").await.0, 200);

    let (_, metrics) = server.get("/metrics").await;
    let line = format!(
        "mcp_pg_calls_total{{tool=\"authenticate\",code=\"unauthenticated\"}} {}",
        attempts + 3
    );
    assert!(metrics.contains(&line), "{metrics}");

    server.stop().await;
    let record = std::fs::read_to_string(&log).unwrap();
    let refused: Vec<Value> =
        record.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(refused.len(), attempts + 3, "{record}");
    for line in &refused {
        assert_eq!(
            (&line["outcome"], &line["code"]),
            (&json!("denied"), &json!("unauthenticated"))
        );
        assert!(line["client"]["address"].is_string(), "{line}");
    }
    assert!(!record.contains(&valid) && !record.contains(&other), "no token is kept");
}

#[tokio::test]
async fn hash_key_hashes_a_key_of_ones_own() {
    let hash = async |input: &str| {
        let mut process = program(&["hash-key", "--stdin"]).stdin(Stdio::piped()).spawn().unwrap();
        process.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
        let output = process.wait_with_output().await.unwrap();
        Ended {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    };
    let own = "correct-horse-battery-staple-and-more";
    let printed = hash(&format!("{own}\n")).await;
    assert_eq!(printed.status, Some(0), "{printed:?}");
    assert!(printed.out.starts_with(&format!("key: {own}\nhash: ")), "{printed:?}");
    assert_eq!(printed.err, "");
    // Not the hash of its beginning.
    let long = hash(&"k".repeat(4_097)).await;
    assert_eq!((long.status, long.out.as_str()), (Some(2), ""), "{long:?}");
    assert!(long.err.contains("longer than 4096 bytes"), "{long:?}");
    let short = hash("hunter2").await;
    assert_eq!(short.status, Some(0));
    assert!(short.err.contains("short"), "{short:?}");
    for nothing in ["", "\n", "two words"] {
        assert_eq!(hash(nothing).await.status, Some(2), "{nothing:?}");
    }
}

#[tokio::test]
async fn a_key_is_replaced_without_a_gap() {
    let database = Database::shop().await;
    let ((old, old_hash), (new, new_hash)) = (key().await, key().await);
    let entry = |hash: &str| {
        format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"\n")
    };
    let config = file(&(entry(&old_hash) + &entry(&new_hash)));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    assert_eq!(tools(&server, &old).await, tools(&server, &new).await);
    std::fs::write(&config, entry(&new_hash)).unwrap();
    let header = format!("Bearer {old}");
    for attempt in 0.. {
        let header = [("Authorization", header.as_str())];
        let (status, _) = server.request(ERAS[0], "tools/list", json!({}), &header).await;
        if status == 401 {
            break;
        }
        assert!(attempt < 600, "the old key is still valid");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(tools(&server, &new).await.contains(&"select".to_owned()));
}

#[tokio::test]
async fn a_wrong_auth_section_is_told() {
    let (_, hash) = key().await;
    let keys = |name: &str, hash: &str, role: &str| {
        format!("[[auth.api_keys]]\nname = {name:?}\nhash = {hash:?}\nrole = {role:?}\n")
    };
    for (text, word) in [
        ("[auth]".to_owned(), "accepts no credentials"),
        ("[auth]\napi_keys = []".to_owned(), "accepts no credentials"),
        (keys("a", "secret", "analyst"), "auth.api_keys[0].hash"),
        (keys("a", &hash, "analist"), "did you mean analyst?"),
        (
            keys("a", &hash, "analyst") + &keys("b", &hash, "analyst"),
            "auth.api_keys[1].hash: this is the key of \"a\", too",
        ),
        (keys("", &hash, "analyst"), "auth.api_keys[0].name"),
        (keys("a", &hash, "analyst") + &keys("a", &hash, "admin"), "has another role"),
        (format!("[[auth.api_keys]]\nname = \"a\"\nhash = {hash:?}"), "auth.api_keys[0].role"),
        ("[[auth.api_key]]\nname = \"a\"".to_owned(), "did you mean api_keys?"),
        ("[server]\npublic_url = \"mcp.example.com\"".to_owned(), "server.public_url"),
    ] {
        let config = file(&text);
        let ended = run(&["http", "--config", config.to_str().unwrap()]).await;
        assert_eq!(ended.status, Some(2), "{text}: {ended:?}");
        assert!(ended.err.contains(word), "{text}: no {word} in {}", ended.err);
    }
}
