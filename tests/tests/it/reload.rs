//! A configuration that changes while the server runs.

use std::time::Duration;

use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::ChildStderr;

use crate::program::{Era, Served, Session, file, program, run};

fn grants(actions: &str) -> String {
    format!(
        "default_role = \"clerk\"\n[[roles.clerk.grants]]\ntables = [\"*\"]\nactions = [{actions}]\n"
    )
}

async fn tools(session: &Session) -> Vec<String> {
    let tools = session.client.list_all_tools().await.unwrap();
    tools.into_iter().map(|tool| tool.name.to_string()).collect()
}

/// A session, and what its server logs.
async fn session(url: &str, config: &std::path::Path) -> (Session, Lines<BufReader<ChildStderr>>) {
    let config = config.to_str().unwrap();
    let arguments = ["stdio", "--database-url", url, "--config", config];
    let mut session = Session::open(&arguments, Era::Initialize).await;
    let log = BufReader::new(session.server.stderr.take().unwrap()).lines();
    (session, log)
}

async fn logged(log: &mut Lines<BufReader<ChildStderr>>, text: &str) {
    let wait = async { while !log.next_line().await.unwrap().expect("a log").contains(text) {} };
    tokio::time::timeout(Duration::from_secs(20), wait).await.expect(text);
}

#[tokio::test]
async fn a_changed_file_is_read_and_a_faulty_one_is_not_taken() {
    let database = Database::shop().await;
    let config = file(&grants("\"select\""));
    let (session, mut log) = session(&database.url, &config).await;
    assert!(!tools(&session).await.contains(&"insert".to_owned()));

    std::fs::write(&config, grants("\"select\", \"insert\"") + "[database]\nmax_connections = 3")
        .unwrap();
    logged(&mut log, "started again: database.max_connections").await;
    assert!(tools(&session).await.contains(&"insert".to_owned()));

    std::fs::write(&config, grants("\"selekt\"")).unwrap();
    logged(&mut log, "the one before it stays").await;
    assert!(tools(&session).await.contains(&"insert".to_owned()));

    // A file that is gone is no configuration without rules.
    std::fs::remove_file(&config).unwrap();
    logged(&mut log, "the one before it stays").await;
    assert!(tools(&session).await.contains(&"insert".to_owned()));
}

#[cfg(unix)]
#[tokio::test]
async fn a_hang_up_reads_it_again() {
    let database = Database::shop().await;
    let config = file(&grants("\"select\""));
    let (session, mut log) = session(&database.url, &config).await;
    let id = session.server.id().unwrap().to_string();
    let hang_up = || std::process::Command::new("kill").args(["-HUP", &id]).status().unwrap();
    std::fs::write(&config, "nonsense").unwrap();
    assert!(hang_up().success());
    logged(&mut log, "the one before it stays").await;
    assert_eq!(tools(&session).await.len(), 5);
}

#[tokio::test]
async fn a_revoked_key_is_refused_from_then_on() {
    let database = Database::shop().await;
    let made = run(&["hash-key"]).await.out;
    let part = |name: &str| {
        let line = made.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("{made}")).trim().to_owned()
    };
    let (key, hash) = (part("key:"), part("hash:"));
    let other = run(&["hash-key"]).await.out;
    let other = other.lines().find_map(|line| line.strip_prefix("hash:")).unwrap().trim();
    let keys = |hash: &str| {
        format!("[[auth.api_keys]]\nname = \"bot\"\nhash = \"{hash}\"\nrole = \"analyst\"\n")
    };
    let config = file(&keys(&hash));
    let config_path = config.to_str().unwrap();
    let server = Served::start(&["--database-url", &database.url, "--config", config_path]).await;
    let bearer = format!("Bearer {key}");
    let list = async || -> u16 {
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    assert_eq!(list().await, 200);
    std::fs::write(&config, keys(other)).unwrap();
    for attempt in 0.. {
        if list().await == 401 {
            break;
        }
        assert!(attempt < 500, "the key is still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_session_is_told_that_its_tools_are_others() {
    let database = Database::shop().await;
    let config = file(&grants("\"select\""));
    let path = config.to_str().unwrap();
    let mut server = program(&["stdio", "--database-url", &database.url, "--config", path])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ] {
        use tokio::io::AsyncWriteExt as _;
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }
    for _ in 0..2 {
        lines.next_line().await.unwrap().expect("an answer");
    }
    std::fs::write(&config, grants("\"select\", \"update\"")).unwrap();
    let wait = tokio::time::timeout(Duration::from_secs(20), lines.next_line());
    let told: Value = serde_json::from_str(&wait.await.unwrap().unwrap().unwrap()).unwrap();
    assert_eq!(told["method"], "notifications/tools/list_changed");
}
