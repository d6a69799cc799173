//! Streams of `subscriptions/listen`: their notifications, limits and ends.

use std::process::Stdio;
use std::time::Duration;

use mcp_pg_tests::{Database, until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::auth_api_key::key;
use crate::canned::directory;
use crate::live::triggers;
use crate::program::{Era, Served, file, program};
use crate::subscribe::{ORDERS, USERS};

/// The stream of `subscriptions/listen` over HTTP.
pub(crate) struct Stream(tokio::io::Lines<BufReader<TcpStream>>);

impl Stream {
    async fn open(server: &Served, filter: Value) -> Self {
        Self::open_by(server, None, filter).await
    }

    /// The same for a caller with a key.
    pub(crate) async fn open_by(server: &Served, key: Option<&str>, filter: Value) -> Self {
        let (stream, body) = Self::ask(server, key, filter).await;
        stream.send(&body).await
    }

    /// Sends all of the request but its body, which the server is waiting for then.
    async fn ask(server: &Served, key: Option<&str>, filter: Value) -> (Self, String) {
        let bearer = key.map_or(String::new(), |key| format!("Authorization: Bearer {key}\r\n"));
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
        "notifications": filter,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        }}})
        .to_string();
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        let request = format!(
            "POST /mcp HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
             Mcp-Method: subscriptions/listen\r\nExpect: 100-continue\r\n{bearer}Content-Length: {}\r\n\r\n",
            server.address,
            body.len()
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut stream = Self(BufReader::new(connection).lines());
        assert_eq!(stream.0.next_line().await.unwrap().unwrap(), "HTTP/1.1 100 Continue");
        (stream, body)
    }

    /// Sends the rest.
    async fn send(mut self, body: &str) -> Self {
        self.0.get_mut().write_all(body.as_bytes()).await.unwrap();
        self
    }

    /// The next message.
    pub(crate) async fn next(&mut self) -> Value {
        self.next_if_any().await.expect("a message")
    }

    /// The next message, unless the stream ends.
    pub(crate) async fn next_if_any(&mut self) -> Option<Value> {
        let message = async {
            // A connection that is reset has ended, too.
            while let Ok(Some(line)) = self.0.next_line().await {
                if let Some(data) = line.strip_prefix("data: ")
                    && !data.is_empty()
                {
                    return Some(serde_json::from_str(data).unwrap());
                }
                // The chunk that ends the answer: the connection may stay.
                if line == "0" {
                    return None;
                }
            }
            None
        };
        tokio::time::timeout(Duration::from_secs(30), message).await.expect("a message, or the end")
    }
}

#[tokio::test]
async fn a_stream_over_http_tells_of_schema_and_rows() {
    let database = Database::shop().await;
    database.sql(&triggers(&["--notify", "orders"]).await).await;
    let mut server = Served::start(&["--database-url", &database.url]).await;
    let filter =
        json!({"toolsListChanged": true, "resourceSubscriptions": [ORDERS, "file:///etc"]});
    let mut stream = Stream::open(&server, filter).await;
    let accepted = stream.next().await;
    assert_eq!(accepted["method"], "notifications/subscriptions/acknowledged", "{accepted}");
    let granted = &accepted["params"]["notifications"];
    assert_eq!(*granted, json!({"toolsListChanged": true, "resourceSubscriptions": [ORDERS]}));

    database.sql("CREATE TABLE gift (id integer)").await;
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    database.sql("UPDATE orders SET note = 'x'").await;
    let updated = stream.next().await;
    assert_eq!(updated["method"], "notifications/resources/updated");
    assert_eq!(updated["params"]["uri"], ORDERS);
    assert!(!updated.to_string().contains("'x'"));

    // A stream has no end of its own, and holds up no one else's.
    let id = server.server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    let status = tokio::time::timeout(Duration::from_secs(30), server.server.wait()).await;
    assert_eq!(status.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn the_stream_of_a_key_that_is_withdrawn_ends_untold() {
    let database = Database::shop().await;
    database.sql(&triggers(&["--notify", "orders"]).await).await;
    let ((ann, ann_hash), (bob, bob_hash)) = (key().await, key().await);
    let entry = |name: &str, hash: &str| {
        format!("[[auth.api_keys]]\nname = {name:?}\nhash = {hash:?}\nrole = \"analyst\"\n")
    };
    let config = file(&format!("{}{}", entry("ann", &ann_hash), entry("bob", &bob_hash)));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let filter = || json!({"toolsListChanged": true, "resourceSubscriptions": [ORDERS]});
    let mut withdrawn = Stream::open_by(&server, Some(&bob), filter()).await;
    withdrawn.next().await;
    // Her key stays, and so does her stream.
    let mut known = Stream::open_by(&server, Some(&ann), filter()).await;
    known.next().await;
    std::fs::write(&config, entry("ann", &ann_hash)).unwrap();
    let bearer = format!("Bearer {bob}");
    let header = [("Authorization", bearer.as_str())];
    for attempt in 0.. {
        if server.request(Era::Discover, "tools/list", json!({}), &header).await.0 == 401 {
            break;
        }
        assert!(attempt < 500, "the key is still taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    // From now on there is something to tell, to those who are known.
    database.sql("UPDATE orders SET note = 'x'").await;
    assert_eq!(known.next().await["method"], "notifications/resources/updated");
    let mut last = None;
    while let Some(message) = withdrawn.next_if_any().await {
        assert_eq!(message.get("method"), None, "told to a key that is withdrawn: {message}");
        last = Some(message);
    }
    // The answer to its request, or none.
    assert!(last.is_none_or(|answer| answer.get("result").is_some()));
}

#[tokio::test]
async fn a_stream_goes_on_when_other_settings_change() {
    let database = Database::shop().await;
    let (ann, hash) = key().await;
    let queries = directory([("one.sql", "SELECT 1 AS one")]);
    let config = file(&format!(
        "[queries]\ndirectory = {queries:?}\n\
         [[auth.api_keys]]\nname = \"ann\"\nhash = {hash:?}\nrole = \"analyst\"\n"
    ));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let filter = json!({"toolsListChanged": true});
    let mut stream = Stream::open_by(&server, Some(&ann), filter).await;
    stream.next().await;
    for name in ["two", "three"] {
        std::fs::write(queries.join(format!("{name}.sql")), "SELECT 2 AS two").unwrap();
        assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    }
}

#[tokio::test]
async fn streams_of_one_caller_are_bounded() {
    let database = Database::shop().await;
    database.sql(&triggers(&[]).await).await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let filter = || json!({"toolsListChanged": true});
    let mut streams = Vec::new();
    for _ in 0..32 {
        let mut stream = Stream::open(&server, filter()).await;
        stream.next().await;
        streams.push(stream);
    }
    let mut refused = Stream::open(&server, filter()).await;
    let mut last = refused.next().await;
    if last.get("error").is_none() {
        last = refused.next().await;
    }
    assert!(last["error"]["message"].as_str().unwrap().contains("32 streams"), "{last}");
    // A place is free once the server has seen that its stream is closed.
    streams.pop();
    for attempt in 0.. {
        assert!(attempt < 500, "no place became free");
        let mut again = Stream::open(&server, filter()).await;
        again.next().await;
        database.sql(&format!("CREATE TABLE gift_{attempt} (id integer)")).await;
        if again.next().await["method"] == "notifications/tools/list_changed" {
            break;
        }
    }
}

/// Not only from when it is acknowledged, or the server listens.
#[tokio::test]
async fn a_stream_tells_of_what_changes_once_it_is_asked_for() {
    let database = Database::shop().await;
    database.sql(&triggers(&[]).await).await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let filter = json!({"toolsListChanged": true, "resourcesListChanged": true,
        "resourceSubscriptions": [ORDERS, USERS]});
    let (stream, body) = Stream::ask(&server, None, filter).await;
    database.sql("CREATE TABLE gift (id integer); COMMENT ON TABLE orders IS 'New'").await;
    let names = json!({"name": "list_tables", "arguments": {"detail": "names"}});
    until("the new table is listed", async || {
        let (_, listed) = server.request(Era::Discover, "tools/call", names.clone(), &[]).await;
        listed.to_string().contains("gift")
    })
    .await;
    let mut stream = stream.send(&body).await;
    for method in ["subscriptions/acknowledged", "tools/list_changed", "resources/list_changed"] {
        assert_eq!(stream.next().await["method"], format!("notifications/{method}"));
    }
    let updated = stream.next().await;
    assert_eq!(updated["params"]["uri"], ORDERS, "{updated}");
    // It was told once, and of nothing else.
    database.sql("COMMENT ON TABLE users IS 'New'").await;
    for method in ["tools/list_changed", "resources/list_changed"] {
        assert_eq!(stream.next().await["method"], format!("notifications/{method}"));
    }
    assert_eq!(stream.next().await["params"]["uri"], USERS);
}

#[tokio::test]
async fn older_http_clients_are_told_that_there_is_nothing_to_subscribe_to() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "it", "version": "1"}});
    let (_, greeted) = server.request(Era::Initialize, "initialize", hello, &[]).await;
    let capabilities = &greeted["result"]["capabilities"];
    assert_eq!((&capabilities["tools"], &capabilities["resources"]), (&json!({}), &json!({})));
    let request = json!({"uri": USERS});
    let (_, refused) = server.request(Era::Initialize, "resources/subscribe", request, &[]).await;
    let message = refused["error"]["message"].as_str().unwrap();
    assert!(message.contains("subscriptions/listen"), "{refused}");
    let (_, discovered) = server.request(Era::Discover, "server/discover", json!({}), &[]).await;
    assert_eq!(discovered["result"]["capabilities"]["resources"]["subscribe"], true);
}

#[tokio::test]
async fn newer_clients_find_no_method_that_their_revision_took_away() {
    let database = Database::of("CREATE TABLE items (id integer PRIMARY KEY)").await;
    let server = Served::start(&["--database-url", &database.url]).await;
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        // The second has not even what the method took.
        for params in [json!({"uri": USERS}), json!({})] {
            let name = params["uri"].is_null().then_some(("Mcp-Name", USERS));
            let (status, refused) =
                server.request(Era::Discover, method, params.clone(), name.as_slice()).await;
            assert_eq!((status, &refused["error"]["code"]), (404, &json!(-32601)), "{refused}");
        }
    }
    let handshake = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "x", "version": "1"}});
    for params in [handshake, json!({})] {
        let (status, refused) = server.request(Era::Discover, "initialize", params, &[]).await;
        assert_eq!((status, &refused["error"]["code"]), (404, &json!(-32601)), "{refused}");
    }
}

/// The official client for TypeScript sends them so.
#[tokio::test]
async fn a_notification_needs_no_header_for_its_method() {
    let database = Database::of("CREATE TABLE items (id integer PRIMARY KEY)").await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
    ];
    for method in ["notifications/cancelled", "notifications/roots/list_changed"] {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": {"requestId": 1}});
        let (status, answer) = server.send("POST", "/mcp", &headers, &message.to_string()).await;
        assert_eq!(status, 202, "{answer}");
    }
    // Of a request it is required.
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    assert_eq!(server.send("POST", "/mcp", &headers, &request.to_string()).await.0, 400);
}

#[tokio::test]
async fn replies_that_depend_on_the_role_are_private_and_soon_stale() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    for (method, params, scope, ttl) in [
        ("tools/list", json!({}), "private", 1_000),
        ("resources/list", json!({}), "private", 1_000),
        ("resources/read", json!({"uri": USERS}), "private", 1_000),
        ("resources/templates/list", json!({}), "public", 3_600_000),
        ("prompts/list", json!({}), "public", 3_600_000),
    ] {
        let (_, answer) = server.request(Era::Discover, method, params, &[]).await;
        let result = &answer["result"];
        assert_eq!(
            (&result["cacheScope"], &result["ttlMs"]),
            (&json!(scope), &json!(ttl)),
            "{method}"
        );
    }
}

/// Between the greeting and the client's word that it has understood, it may have read lists already.
#[tokio::test]
async fn a_session_tells_of_what_changes_once_it_is_greeted() {
    let database = Database::shop().await;
    database.sql(&triggers(&[]).await).await;
    let mut server =
        program(&["stdio", "--database-url", &database.url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "by hand", "version": "1"}}});
    input.write_all(format!("{hello}\n").as_bytes()).await.unwrap();
    let greeting = lines.next_line().await.unwrap().unwrap();
    assert!(greeting.contains("serverInfo"), "{greeting}");
    let before = database.value("SELECT clock_timestamp()::text").await.unwrap();
    database.sql("CREATE TABLE gift (id integer)").await;
    // Until the schema has been read again, and there was time to take it.
    let reading = format!(
        "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE datname = current_database()
         AND application_name = 'mcp-pg' AND state = 'idle' AND query_start > '{before}'
         AND clock_timestamp() > state_change + interval '300 ms'"
    );
    database.until(&reading, "true").await;
    let understood = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    input.write_all(format!("{understood}\n").as_bytes()).await.unwrap();
    for list in ["tools", "resources"] {
        let told = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        let told: Value = serde_json::from_str(&told.expect(list).unwrap().unwrap()).unwrap();
        assert_eq!(told["method"], format!("notifications/{list}/list_changed"));
    }
}

/// Streams of a client that has left are not waited for, as other answers are.
#[tokio::test]
async fn a_stream_ends_with_the_input() {
    let database = Database::of("CREATE TABLE items (id integer PRIMARY KEY)").await;
    let mut server =
        program(&["stdio", "--database-url", &database.url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let listen = json!({"jsonrpc": "2.0", "id": 7, "method": "subscriptions/listen", "params": {
    "notifications": {"toolsListChanged": true},
    "_meta": {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }}});
    input.write_all(format!("{listen}\n").as_bytes()).await.unwrap();
    let acknowledged = lines.next_line().await.unwrap().unwrap();
    assert!(acknowledged.contains("acknowledged"), "{acknowledged}");
    drop(input);
    // Who has left may miss the answer, and gets nothing else.
    while let Some(line) = lines.next_line().await.unwrap() {
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["id"], 7, "{answer}");
    }
    let ended = server.wait_with_output().await.unwrap();
    assert_eq!(ended.status.code(), Some(0));
    let log = String::from_utf8(ended.stderr).unwrap();
    assert!(!log.contains("timed out"), "{log}");
}

#[tokio::test]
async fn whoever_does_not_say_what_to_listen_to_is_told() {
    let database = Database::of("CREATE TABLE items (id integer PRIMARY KEY)").await;
    let server = Served::start(&["--database-url", &database.url]).await;
    for (params, told) in [
        (json!({}), "\"notifications\" is missing"),
        (json!({"notifications": [1]}), "\"notifications\": invalid"),
    ] {
        let asked = server.request(Era::Discover, "subscriptions/listen", params, &[]);
        let (_, refused) = asked.await;
        assert_eq!(refused["error"]["code"], -32602, "{refused}");
        let message = refused["error"]["message"].as_str().unwrap();
        assert!(message.contains(told) && message.contains("toolsListChanged"), "{message}");
    }
}
