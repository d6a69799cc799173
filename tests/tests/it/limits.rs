//! Limits on callers and on requests.

use std::time::Duration;

use mcp_pg_core::policy::{Action, Role, RoleLimits, Setting};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::auth_api_key::key;
use crate::mcp_stdio::{SLOW, until_slow};
use crate::program::{Era, Served, file};

/// The structured answer of a call with this key.
async fn ask(server: &Served, key: &str, tool: &str, arguments: Value) -> Value {
    let header = format!("Bearer {key}");
    let request = json!({"name": tool, "arguments": arguments});
    let (status, answer) =
        server.request(Era::Initialize, "tools/call", request, &[("Authorization", &header)]).await;
    assert_eq!(status, 200, "{answer}");
    answer["result"]["structuredContent"].clone()
}

#[tokio::test]
async fn calls_are_counted_for_each_caller_and_refused_ones_count_too() {
    let database = Database::shop().await;
    let keys = [key().await, key().await, key().await];
    let log = file("");
    let entries: String = keys
        .iter()
        .zip(["analyst", "analyst", "batch"])
        .enumerate()
        .map(|(number, ((_, hash), role))| {
            format!("[[auth.api_keys]]\nname = \"caller-{number}\"\nhash = \"{hash}\"\nrole = {role:?}\n")
        })
        .collect();
    let grant =
        |role: &str| format!("[[roles.{role}.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n");
    let config = file(&format!(
        "default_role = \"analyst\"\n[limits]\nrequests_per_minute = 4\n[audit]\nfile = {log:?}\n{}{}\
         [roles.batch.limits]\nrequests_per_minute = 6\n{entries}",
        grant("analyst"),
        grant("batch"),
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let select = json!({"table": "users", "columns": ["user_id"], "limit": 1});
    let first = &keys[0].0;
    assert_eq!(ask(&server, first, "select", select.clone()).await["row_count"], 1);
    let forbidden = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "x"}});
    assert_eq!(ask(&server, first, "update", forbidden).await["error"]["code"], "forbidden");
    let unknown = json!({"table": "nowhere"});
    assert_eq!(ask(&server, first, "select", unknown).await["error"]["code"], "unknown_table");
    let header = format!("Bearer {first}");
    let no_tool = json!({"name": "no_such_tool", "arguments": {}});
    server.request(Era::Initialize, "tools/call", no_tool, &[("Authorization", &header)]).await;
    // Nor does the name of a tool lead past the bound.
    let guess = json!({});
    let guessed = ask(&server, first, "another_guess", guess).await;
    assert_eq!(guessed["error"]["code"], "rate_limited", "{guessed}");
    let refused = ask(&server, first, "select", select.clone()).await;
    let error = &refused["error"];
    assert_eq!((&error["code"], &error["retryable"]), (&json!("rate_limited"), &json!(true)));
    let seconds: u32 = error["hint"]
        .as_str()
        .and_then(|hint| hint.strip_prefix("call again in ")?.strip_suffix(" s")?.parse().ok())
        .unwrap_or_else(|| panic!("{error}"));
    assert!((1..=15).contains(&seconds), "{error}");

    // The others have counts of their own, and a role may have another bound.
    let mut admitted = [0, 0];
    let began = std::time::Instant::now();
    for (count, (key, _)) in admitted.iter_mut().zip(&keys[1..]) {
        for _ in 0..8 {
            let answer = ask(&server, key, "select", select.clone()).await;
            *count += usize::from(answer["row_count"] == 1);
        }
    }
    // One more for each quarter, and each tenth, of a minute that this took.
    for (admitted, per_minute) in admitted.into_iter().zip([4, 6]) {
        let more = began.elapsed().as_secs() as usize * per_minute / 60;
        assert!((per_minute..=per_minute + more).contains(&admitted), "{admitted} of {per_minute}");
    }

    server.stop().await;
    let record = std::fs::read_to_string(&log).unwrap();
    let limited = record.lines().filter(|line| line.contains("\"code\":\"rate_limited\"")).count();
    assert_eq!(limited, 2 + 4 + 2, "{record}");
}

/// The configuration's entries of callers who may read, with these keys and hashes.
fn analysts(keys: &[(String, String)]) -> String {
    let entry = |(number, (_, hash)): (usize, &(String, String))| {
        format!(
            "[[auth.api_keys]]\nname = \"caller-{number}\"\nhash = \"{hash}\"\nrole = \"analyst\"\n"
        )
    };
    keys.iter().enumerate().map(entry).collect()
}

#[tokio::test]
async fn statements_are_compiled_only_for_roles_that_ask_for_it() {
    let database =
        Database::of("CREATE VIEW compiling AS SELECT current_setting('jit') AS jit").await;
    let session = [("jit".to_owned(), Setting::Fixed("on".into()))].into();
    let settings = Settings {
        roles: vec![
            Role::everywhere("clerk", Action::ALL),
            Role { session, ..Role::everywhere("reporter", Action::ALL) },
        ],
        ..Settings::default()
    };
    let mut config = database.config.clone();
    config.options("-c jit=on");
    let engine = mcp_pg_core::Engine::connect(config, settings).await.unwrap();
    for (role, jit) in [("clerk", "off"), ("reporter", "on"), ("clerk", "off")] {
        let reply = call(&engine, role, "select", json!({"table": "compiling"})).await.unwrap();
        assert_eq!(reply["rows"][0]["jit"], jit, "{role}");
    }
}

#[tokio::test]
async fn a_caller_that_goes_on_beyond_its_bound_is_not_read_any_more() {
    let database = Database::shop().await;
    let keys = [key().await, key().await];
    let log = file("");
    let entries = analysts(&keys);
    let config =
        file(&format!("[limits]\nrequests_per_minute = 1\n[audit]\nfile = {log:?}\n{entries}"));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let bearers = keys.map(|(key, _)| format!("Bearer {key}"));
    let list = async |bearer: &str| {
        let header = [("Authorization", bearer)];
        server.request(Era::Initialize, "tools/list", json!({}), &header).await
    };
    // The lists, which are no calls, have a bound, too.
    let mut listed = 0;
    let (status, answer) = loop {
        let (status, answer) = list(&bearers[0]).await;
        if status != 200 {
            break (status, answer);
        }
        listed += 1;
        assert!(listed < 1_000);
    };
    assert!(listed >= 100, "{listed}");
    assert_eq!((status, &answer["error"]["code"]), (429, &json!("rate_limited")), "{answer}");
    assert_eq!(list(&bearers[1]).await.0, 200);

    // The answer comes though the body does not. Time gives a caller room again: it is used up before each try.
    let mut answers = Vec::new();
    for _ in 0..5 {
        let used_up = async { while list(&bearers[0]).await.0 == 200 {} };
        tokio::time::timeout(Duration::from_secs(60), used_up).await.expect("a refused list");
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.0\r\nHost: localhost\r\nAuthorization: {}\r\nContent-Length: 1000000\r\n\r\n",
            bearers[0]
        );
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        let read = tokio::time::timeout(Duration::from_secs(3), read).await;
        answers.push((read.is_ok_and(|read| read.is_ok()), answer.to_lowercase()));
        if answers.last().is_some_and(|(whole, _)| *whole) {
            break;
        }
    }
    let (_, answer) = answers.iter().find(|(whole, _)| *whole).expect("an answer");
    assert!(answer.starts_with("http/1.0 429") && answer.contains("\nretry-after: "), "{answer}");

    server.stop().await;
    let record = std::fs::read_to_string(&log).unwrap();
    let limited = record.lines().filter(|line| line.contains("\"code\":\"rate_limited\"")).count();
    assert!(limited >= 2, "{record}");
}

#[tokio::test]
async fn one_callers_slow_calls_leave_the_others_room() {
    let database = Database::of(&format!("{SLOW}; CREATE TABLE t (id int PRIMARY KEY)")).await;
    let keys = [key().await, key().await];
    let entries = analysts(&keys);
    let config = file(&format!("[limits]\nconcurrency = 1\n{entries}"));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let one = json!({"table": "t"});
    {
        let slow = ask(&server, &keys[0].0, "select", json!({"table": "slow"}));
        tokio::pin!(slow);
        tokio::select! {
            answer = &mut slow => panic!("{answer}"),
            () = until_slow(&database, true) => {}
        }
        let refused = ask(&server, &keys[0].0, "select", one.clone()).await;
        assert_eq!(refused["error"]["code"], "rate_limited", "{refused}");
        assert_eq!(ask(&server, &keys[1].0, "select", one.clone()).await["row_count"], 0);
    }
    // The caller went away: that ends the call, and makes room.
    until_slow(&database, false).await;
    let mut answer = json!(null);
    for _ in 0..100 {
        answer = ask(&server, &keys[0].0, "select", one.clone()).await;
        if answer["row_count"] == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{answer}");
}

#[tokio::test]
async fn a_role_may_have_bounds_of_its_own() {
    let database = Database::of(&format!(
        "{SLOW}; CREATE TABLE t AS SELECT n AS id, repeat('x', 100) AS text FROM generate_series(1, 50) n"
    ))
    .await;
    let with = |name: &str, limits: RoleLimits| Role {
        limits,
        ..Role::everywhere(name, [Action::Select])
    };
    let second = Duration::from_secs(1);
    let roles = vec![
        with("few", RoleLimits { max_rows: Some(3), ..RoleLimits::default() }),
        with("small", RoleLimits { max_reply_bytes: Some(1_000), ..RoleLimits::default() }),
        with("hasty", RoleLimits { statement_timeout: Some(second / 10), ..RoleLimits::default() }),
        with("plain", RoleLimits::default()),
    ];
    let engine = database
        .engine_with(Settings { roles, default_role: "plain".into(), ..Settings::default() })
        .await;
    let all = json!({"table": "t", "limit": 50});
    let few = call(&engine, "few", "select", all.clone()).await.unwrap();
    assert_eq!((&few["row_count"], &few["truncated"]), (&json!(3), &json!(true)));
    let small = call(&engine, "small", "select", all.clone()).await.unwrap();
    assert!(small["row_count"].as_u64().unwrap() < 10 && small["truncated"] == true, "{small}");
    assert_eq!(call(&engine, "plain", "select", all).await.unwrap()["row_count"], 50);
    let slow = error(&engine, "hasty", "select", json!({"table": "slow"})).await;
    assert_eq!(slow["code"], "timeout", "{slow}");
    // The bound is the transaction's, not the connection's.
    let soon = Principal::new("tester", "plain");
    let quick = call_as(&engine, &soon, "select", json!({"table": "t", "limit": 1})).await.unwrap();
    assert_eq!(quick["row_count"], 1);
}

#[tokio::test]
async fn a_canned_query_obeys_the_bound_of_each_role() {
    let database = Database::empty().await;
    let files = crate::canned::directory([(
        "numbers.sql",
        "-- @roles few, plain, many\nSELECT n FROM generate_series(1, 2000) n",
    )]);
    let with = |name: &str, most: Option<u64>| Role {
        limits: RoleLimits { max_rows: most, ..RoleLimits::default() },
        ..Role::everywhere(name, [Action::Select])
    };
    let roles = vec![with("few", Some(3)), with("plain", None), with("many", Some(1_500))];
    let settings =
        Settings { roles, default_role: "plain".into(), ..crate::canned::settings(files) };
    let engine = database.engine_with(settings).await;
    for (role, rows) in [("few", 3), ("plain", 1_000), ("many", 1_500)] {
        let reply = call(&engine, role, "numbers", json!({})).await.unwrap();
        assert_eq!(
            (&reply["row_count"], &reply["truncated"]),
            (&json!(rows), &json!(true)),
            "{role}"
        );
    }
}

#[tokio::test]
async fn a_reply_is_as_small_as_its_bound_whatever_it_holds() {
    let database = Database::of(
        "CREATE TABLE t AS SELECT n AS id, repeat(E'\\x01', 200) AS text, repeat('\"', 10) AS quotes,
         1234567890123 AS number FROM generate_series(1, 50) n",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_reply_bytes = 8_000;
    let engine = database.engine_with(settings).await;
    let reply = call(&engine, "analyst", "select", json!({"table": "t"})).await.unwrap();
    let bytes = reply["rows"].to_string().len();
    assert!((6_000..=8_000).contains(&bytes) && reply["truncated"] == true, "{bytes}");
    // Nested rows are bounded before they are looked at.
    database
        .sql("CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY, a_id integer REFERENCES a);
              INSERT INTO a VALUES (1); INSERT INTO b SELECT n, 1 FROM generate_series(1, 1000) n; ANALYZE")
        .await;
    engine.reload().await.unwrap();
    let wide = json!({"table": "a", "include": {"b": {"limit": 1000}}});
    let told = mcp_pg_tests::error(&engine, "analyst", "select", wide).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!("/include/b")));
}

#[tokio::test]
async fn a_request_is_bounded_in_bytes_and_depth() {
    let database = Database::shop().await;
    let config = file("[limits]\nmax_request_bytes = 100000");
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let long = json!({"name": "select", "arguments": {"table": "x".repeat(100_000)}});
    assert_eq!(server.request(Era::Initialize, "tools/call", long, &[]).await.0, 413);
    let depth = 2_000;
    let deep = format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"select\",\
         \"arguments\":{{\"table\":\"users\",\"where\":{}{{}}{}}}}}}}",
        "{\"not\":".repeat(depth),
        "}".repeat(depth)
    );
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2025-11-25"),
    ];
    let (status, answer) = server.send("POST", "/mcp", &headers, &deep).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"code\":\"limit_exceeded\""), "{answer}");
    let sound = json!({"name": "select", "arguments": {"table": "users", "limit": 1}});
    assert_eq!(server.request(Era::Initialize, "tools/call", sound, &[]).await.0, 200);
}

/// A connection keeps a buffer as large as the largest row that it received.
#[tokio::test]
async fn a_connection_that_received_a_huge_row_is_not_kept() {
    let database =
        Database::of("CREATE TABLE page (id integer PRIMARY KEY, body text); INSERT INTO page VALUES (1, repeat('x', 17 << 20))")
            .await;
    let settings = |session: &str| {
        let mut role = Role::everywhere("reader", [Action::Select]);
        if !session.is_empty() {
            role.session = [("app.x".into(), Setting::Fixed(session.into()))].into();
        }
        Settings { roles: vec![role], ..Settings::default() }
    };
    // Alone, and in a transaction.
    for session in ["", "set"] {
        let engine = database.engine_with(settings(session)).await;
        let small = json!({"table": "page", "columns": ["id"]});
        call(&engine, "reader", "select", small).await.unwrap();
        let idle = engine.health().connections.idle;
        let large = error(&engine, "reader", "select", json!({"table": "page"})).await;
        assert_eq!(large["code"], "limit_exceeded");
        assert_eq!(engine.health().connections.idle, idle - 1, "{session}");
    }
}

/// Rows behind a full page cost as much as those of the page, and nobody sees them.
#[tokio::test]
async fn the_rows_behind_a_full_reply_are_not_waited_for() {
    // All rows take longer than a statement may.
    let database = Database::of(
        "CREATE TABLE t AS SELECT id FROM generate_series(1, 4000) id;
         ALTER TABLE t ADD PRIMARY KEY (id);
         CREATE VIEW slow AS SELECT id, CASE WHEN id > 3 THEN repeat('x', 1 << 20)
             || (SELECT max(md5(n::text)) FROM generate_series(1, 30000 + id) n) END AS body FROM t;
         ANALYZE",
    )
    .await;
    let with = |role: &str, session: &[(&str, &str)]| Role {
        session: session
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Setting::Fixed((*value).to_owned())))
            .collect(),
        ..Role::everywhere(role, [Action::Select])
    };
    let files = crate::canned::directory([(
        "long.sql",
        "-- @limit 1000\n-- @roles alone, set\nSELECT id, body FROM slow ORDER BY id",
    )]);
    let mut settings = Settings {
        roles: vec![with("alone", &[]), with("set", &[("app.x", "y")])],
        default_role: "alone".into(),
        ..crate::canned::settings(files)
    };
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    // Alone, in a transaction, and with a count in its snapshot.
    for (role, count) in [("alone", "none"), ("set", "none"), ("alone", "exact")] {
        let page = |cursor: Option<&Value>| json!({"table": "slow", "limit": 1000, "order_by": ["id"], "count": count, "cursor": cursor});
        let first = call(&engine, role, "select", page(None)).await.unwrap();
        assert_eq!(
            (&first["row_count"], &first["truncated"]),
            (&json!(3), &json!(true)),
            "{first}"
        );
        assert_eq!(first["count"], if count == "exact" { json!(4000) } else { Value::Null });
        let second = error(&engine, role, "select", page(Some(&first["next_cursor"]))).await;
        assert!(second["message"].as_str().unwrap().starts_with("one row has 10486"), "{second}");
    }
    let canned = call(&engine, "set", "long", json!({})).await.unwrap();
    assert_eq!((&canned["row_count"], &canned["truncated"]), (&json!(3), &json!(true)));
    database
        .until("SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()", "0")
        .await;
}
