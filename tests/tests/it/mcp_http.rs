//! MCP over HTTP, and the server's other pages.

use std::time::Duration;

use futures_util::future::join_all;
use mcp_pg_server::embedded::Cluster;
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::mcp_stdio::{SLOW, until_slow};
use crate::program::{ERAS, Era, Served, file};
use crate::transcript;

pub(crate) fn call(tool: &str, arguments: Value) -> Value {
    json!({"name": tool, "arguments": arguments})
}

#[tokio::test]
async fn the_transcripts_of_readme_and_errors_hold_over_http() {
    let config = file("default_role = \"operator\"");
    let documents = [include_str!("../../../README.md"), include_str!("../../../docs/errors.md")];
    for era in ERAS {
        let server = Served::start(&["--demo=shop", "--config", config.to_str().unwrap()]).await;
        for shown in documents.into_iter().flat_map(transcript::read) {
            let request = call(&shown.tool, shown.arguments);
            let (status, answer) = server.request(era, "tools/call", request.clone(), &[]).await;
            assert_eq!(status, 200, "{answer}");
            let real = &answer["result"]["structuredContent"];
            assert!(
                transcript::matches(&shown.reply, real),
                "{era:?}: {request} answers {answer:#}"
            );
        }
    }
}

#[tokio::test]
async fn both_eras_are_greeted() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "it", "version": "1"}});
    let (_, greeted) = server.request(Era::Initialize, "initialize", hello, &[]).await;
    assert_eq!(greeted["result"]["protocolVersion"], "2025-11-25", "{greeted}");
    assert_eq!(greeted["result"]["serverInfo"]["name"], "mcp-pg");
    let (_, greeted) = server.request(Era::Discover, "server/discover", json!({}), &[]).await;
    let versions = greeted["result"]["supportedVersions"].as_array().expect("versions");
    assert!(versions.contains(&"2026-07-28".into()), "{greeted}");
    for era in ERAS {
        let (status, list) = server.request(era, "tools/list", json!({}), &[]).await;
        assert_eq!(status, 200);
        assert!(list["result"]["tools"].as_array().is_some_and(|t| t.len() >= 3), "{list}");
        if era == Era::Discover {
            assert_eq!(list["result"]["cacheScope"], "private", "a list depends on the role");
        }
        let none = call("nothing", json!({}));
        let (_, refused) = server.request(era, "tools/call", none, &[]).await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
    }
}

#[tokio::test]
async fn foreign_pages_and_names_are_shut_out() {
    let database = Database::shop().await;
    let config = file(
        "[server]\nallowed_hosts = [\"mcp.example.com\"]\nallowed_origins = [\"https://app.example.com\"]",
    );
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let local = format!("http://{}", server.address);
    for (name, value, expected) in [
        ("Origin", local.as_str(), 200),
        ("Origin", "http://localhost:3000", 200),
        ("Origin", "https://app.example.com", 200),
        ("Origin", "https://app.example.com:8443", 403),
        ("Origin", "https://app.example.com.evil.example", 403),
        ("Origin", "http://app.example.com", 403),
        ("Origin", "https://evil.example", 403),
        ("Origin", "null", 403),
        ("Host", "mcp.example.com", 200),
        ("Host", "localhost", 200),
        ("Host", "evil.example", 403),
        ("Host", "127.0.0.1.evil.example", 403),
    ] {
        for era in ERAS {
            let (status, answer) =
                server.request(era, "tools/list", json!({}), &[(name, value)]).await;
            assert_eq!(status, expected, "{name}: {value}, {era:?}: {answer}");
        }
    }
}

#[tokio::test]
async fn a_slash_at_the_end_leads_to_the_same() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    let headers = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-11-25")];
    let (status, tools) = server.send("POST", "/mcp/", &headers, &list).await;
    assert!(status == 200 && tools.contains("describe_table"), "{status} {tools}");
}

#[tokio::test]
async fn a_database_that_goes_and_comes_back() {
    let cluster = Cluster::start().unwrap();
    let server = Served::start(&["--database-url", &cluster.url("postgres")]).await;
    let ask = async || {
        let request = call("list_tables", json!({}));
        server.request(Era::Initialize, "tools/call", request.clone(), &[]).await;
        let request =
            call("select", json!({"table": "pg_settings", "columns": ["name"], "limit": 1}));
        server.request(Era::Initialize, "tools/call", request, &[]).await.1
    };
    assert_eq!(ask().await["result"]["isError"], true, "there is no such table");
    assert_eq!(server.get("/readyz").await.0, 200);

    // Connections that the pool holds are cut; the next request makes new ones.
    let (client, connection) =
        cluster.config("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let cut = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    let cut: i64 = client.query_one(cut, &[]).await.unwrap().get(0);
    assert!(cut >= 1);
    for attempt in 0.. {
        if server.get("/readyz").await.0 == 200 {
            break;
        }
        assert!(attempt < 500, "no new connection is made");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    drop((client, cluster));
    assert_eq!(server.get("/readyz").await, (503, "no database\n".into()));
    assert_eq!(server.get("/healthz").await.0, 200, "the process is well");
}

#[tokio::test]
async fn readiness_checks_share_one_connection() {
    let database = Database::shop().await;
    let config = file("[database]\nschema_poll = \"1h\"");
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    assert_eq!(server.get("/readyz").await.0, 200);
    let sessions = "SELECT string_agg(pid::text, ' ' ORDER BY pid) FROM pg_stat_activity
        WHERE application_name = 'mcp-pg' AND datname = current_database()";
    let before = database.value(sessions).await;
    let answers = (0..50).map(|_| server.get("/readyz"));
    assert!(join_all(answers).await.iter().all(|(status, _)| *status == 200));
    // Whoever goes away without waiting breaks nothing.
    for _ in 0..50 {
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        connection.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    }
    assert_eq!(server.get("/readyz").await.0, 200);
    assert_eq!(database.value(sessions).await, before);
}

#[tokio::test]
async fn a_call_without_its_database_says_so_and_recovers() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let ask = async || {
        let request = call("select", json!({"table": "users", "limit": 1}));
        let (_, answer) = server.request(Era::Initialize, "tools/call", request, &[]).await;
        answer["result"]["structuredContent"].clone()
    };
    assert_eq!(ask().await["row_count"], 1);
    let name = database.config.get_dbname().unwrap().to_owned();
    let mut other = database.config.clone();
    let (admin, connection) =
        other.dbname("postgres").connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    let allow = async |yes: bool| {
        let alter = format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {yes}");
        admin.execute(&alter, &[]).await.unwrap();
    };
    allow(false).await;
    let cut = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1";
    admin.query(cut, &[&name]).await.unwrap();
    let refused = ask().await;
    assert_eq!(refused["error"]["code"], "database_unavailable", "{refused}");
    assert_eq!(refused["error"]["retryable"], true);
    assert!(!refused.to_string().contains(&name), "{refused}");
    allow(true).await;
    assert_eq!(ask().await["row_count"], 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_stops_its_statement() {
    let database = Database::of(SLOW).await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let request = call("select", json!({"table": "slow"}));
    tokio::select! {
        answer = server.request(Era::Initialize, "tools/call", request, &[]) => panic!("{answer:?}"),
        // What is not awaited any more hangs up.
        () = until_slow(&database, true) => {}
    }
    until_slow(&database, false).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_call_that_outlasts_the_signal_leaves_its_record_and_no_statement() {
    let database = Database::of(SLOW).await;
    let audit = file("");
    let config =
        file(&format!("[database]\nstatement_timeout = \"60s\"\n[audit]\nfile = {audit:?}\n"));
    let config = config.to_str().unwrap();
    let mut served = Served::start(&["--database-url", &database.url, "--config", config]).await;
    let params = call("select", json!({"table": "slow"}));
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let body = body.to_string();
    let mut client = TcpStream::connect(&served.address).await.unwrap();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Content-Length: {}\r\n\r\n{body}",
        served.address,
        body.len()
    );
    client.write_all(request.as_bytes()).await.unwrap();
    until_slow(&database, true).await;
    let id = served.server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(60), served.server.wait()).await;
    assert_eq!(status.unwrap().unwrap().code(), Some(0));
    until_slow(&database, false).await;
    let records = std::fs::read_to_string(audit).unwrap();
    let records: Vec<Value> =
        records.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["tool"], &record["outcome"]), (&json!("select"), &json!("error")));
}

#[cfg(unix)]
#[tokio::test]
async fn a_signal_ends_it_gently() {
    let database = Database::shop().await;
    let mut served = Served::start(&["--database-url", &database.url]).await;
    let id = served.server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(30), served.server.wait()).await;
    assert_eq!(status.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn a_request_names_one_host_and_one_page() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let host = |host: &'static str| ("Host", host);
    let origin = |page: &'static str| ("Origin", page);
    for (headers, expected) in [
        (vec![host("localhost"), origin("http://localhost")], 200),
        (vec![host("localhost:8080")], 200),
        (vec![host("[::1]:8080")], 200),
        (vec![host("localhost"), host("evil.example")], 400),
        (vec![host("localhost"), host("localhost")], 400),
        (vec![origin("http://localhost"), origin("https://evil.example")], 400),
        (vec![host("evil.example@localhost")], 400),
        (vec![host("localhost:port")], 400),
        (vec![host("localhost/evil.example")], 400),
    ] {
        let (status, answer) =
            server.request(Era::Initialize, "tools/list", json!({}), &headers).await;
        assert_eq!(status, expected, "{headers:?}: {answer}");
    }
    // The target of a request may name the host, too.
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (target, host, expected) in [
        ("http://localhost/mcp", "localhost", 200),
        ("http://LOCALHOST:80/mcp", "localhost:80", 200),
        ("http://evil.example/mcp", "localhost", 400),
        ("http://localhost/mcp", "evil.example", 400),
        ("http://evil.example/mcp", "evil.example", 403),
        ("http://evil.example@localhost/mcp", "localhost", 400),
    ] {
        let headers = [&headers[..], &[("Host", host)]].concat();
        let (status, answer) = server.send("POST", target, &headers, &list).await;
        assert_eq!(status, expected, "{target} {host}: {answer}");
    }
}

/// Of programs that are no client of MCP's.
#[tokio::test]
async fn plain_http_clients_are_answered() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let plain = [("Content-Type", "application/json"), ("MCP-Protocol-Version", "2025-11-25")];
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    for (accept, expected) in [
        (None, 200),
        (Some("*/*"), 200),
        (Some("text/html, */*;q=0.8"), 200),
        (Some("text/html"), 406),
    ] {
        let accept = accept.map(|accept| ("Accept", accept));
        let headers = Vec::from_iter(plain.into_iter().chain(accept));
        let (status, answer) = server.send("POST", "/mcp", &headers, &list.to_string()).await;
        assert_eq!(status, expected, "{accept:?}: {answer}");
    }
    let unknown = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/lists"});
    let twice = list.to_string().replace("}", ",\"method\":\"x\"}");
    for content_type in ["Application/JSON", " application/json; charset=utf-8"] {
        let headers = [("Content-Type", content_type), plain[1]];
        let (status, answer) = server.send("POST", "/mcp", &headers, &twice).await;
        assert_eq!(status, 400, "{content_type}: {answer}");
    }
    let deep = ["[".repeat(200), "]".repeat(200)].concat();
    for (message, code, words) in [
        ("{\"jsonrpc\": ".to_owned(), -32700, "JSON"),
        (json!([list, list]).to_string(), -32600, "one JSON-RPC 2.0 message"),
        (twice, -32600, "\"method\" appears twice"),
        (
            list.to_string().replace("}", &format!(",\"params\":{}}}", deep)),
            -32700,
            "recursion limit",
        ),
        (list.to_string().replace("}", ",\"params\":1e400}"), -32700, "number out of range"),
        (json!({"id": 1, "method": "tools/list"}).to_string(), -32600, "JSON-RPC 2.0"),
        (list.to_string().replace("}", ",\"params\":[]}"), -32600, "params must be an object"),
        (unknown.to_string(), -32601, "there is no method"),
    ] {
        let headers = Vec::from_iter(plain.into_iter().chain([("Accept", "*/*")]));
        let (_, answer) = server.send("POST", "/mcp", &headers, &message).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], code, "{message}: {answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(words), "{answer}");
        // Whose it is can be told where the message says so, even of what cannot be read.
        assert_eq!(
            answer["id"] == 1,
            message.starts_with('{') && message.contains("\"id\""),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn browsers_are_told_of_named_pages_alone() {
    let database = Database::shop().await;
    let (_, hash) = crate::auth_api_key::key().await;
    let config = file(&format!(
        "[server]\nallowed_origins = [\"https://app.example.com\"]\npublic_url = \"https://mcp.example.com\"\n\
         [[auth.api_keys]]\nname = \"a\"\nhash = {hash:?}\nrole = \"analyst\"",
    ));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let asked = [
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "authorization,content-type,mcp-protocol-version"),
    ];
    let ask = async |method: &str, path: &str, page: &str, more: &[(&str, &str)]| {
        let headers = [&[("Origin", page)], more].concat();
        server.exchange(method, path, &headers, "").await.0.to_lowercase()
    };
    let own = "https://app.example.com";
    let metadata = "/.well-known/oauth-protected-resource";
    for path in ["/mcp", metadata] {
        let head = ask("OPTIONS", path, own, &asked).await;
        assert!(head.starts_with("http/1.0 204"), "{head}");
        for line in [
            "access-control-allow-origin: https://app.example.com",
            "access-control-allow-methods: get, post, delete",
            "vary: origin",
        ] {
            assert!(head.lines().any(|have| have == line), "no {line} in {head}");
        }
        let sent = head.lines().find(|line| line.starts_with("access-control-allow-headers"));
        for name in ["authorization", "mcp-protocol-version", "mcp-method", "last-event-id"] {
            assert!(sent.unwrap().contains(name), "{head}");
        }
        assert!(!head.contains("credentials"), "{head}");
    }
    // Who has no credentials reads why.
    let head = ask("POST", "/mcp", own, &[]).await;
    assert!(head.starts_with("http/1.0 401"), "{head}");
    assert!(head.contains("\naccess-control-allow-origin: https://app.example.com"), "{head}");
    assert!(head.contains("\naccess-control-expose-headers: mcp-session-id, www-authenticate"));
    for page in ["https://evil.example", "http://localhost:6274", "http://app.example.com", "null"]
    {
        for (method, more) in [("OPTIONS", &asked[..]), ("POST", &[])] {
            let head = ask(method, "/mcp", page, more).await;
            assert!(head.starts_with("http/1.0 4"), "{method} {page}: {head}");
            assert!(!head.contains("access-control"), "{method} {page}: {head}");
        }
    }
    let head = ask("OPTIONS", "/metrics", own, &asked).await;
    assert!(!head.contains("access-control"), "{head}");
}
