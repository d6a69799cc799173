//! A configuration that changes while the server runs.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_tests::{Database, until};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout};

use crate::auth_api_key::key;
use crate::canned::directory;
use crate::issuer;
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
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect(text);
}

#[tokio::test]
async fn a_changed_file_is_read_and_a_faulty_one_is_not_taken() {
    let database = Database::shop().await;
    let config = file(&grants("\"select\""));
    let (session, mut log) = session(&database.url, &config).await;
    assert!(!tools(&session).await.contains(&"insert".to_owned()));

    let changed =
        "[database]\nmax_connections = 3\nallow_unsafe_login = true\n[audit]\ntable = \"a.log\"";
    std::fs::write(&config, grants("\"select\", \"insert\"") + changed).unwrap();
    let later =
        "after a restart: database.max_connections, database.allow_unsafe_login, audit.table";
    logged(&mut log, later).await;
    // The client may keep the list for a second, unless it is told of another.
    for attempt in 0.. {
        if tools(&session).await.contains(&"insert".to_owned()) {
            break;
        }
        assert!(attempt < 500, "the old tools are listed");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    std::fs::write(&config, grants("\"selekt\"")).unwrap();
    logged(&mut log, "the previous one stays in use").await;
    assert!(tools(&session).await.contains(&"insert".to_owned()));

    // A file that is gone is no configuration without rules.
    std::fs::remove_file(&config).unwrap();
    logged(&mut log, "the previous one stays in use").await;
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
    logged(&mut log, "the previous one stays in use").await;
    // That was said of the change; now nothing changes.
    assert!(hang_up().success());
    logged(&mut log, "the previous one stays in use").await;
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
async fn the_last_key_is_revoked_like_any_other() {
    let database = Database::shop().await;
    let (key, hash) = key().await;
    let keys = format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"\n");
    let limits = "[limits]\nmax_rows = 500\n";
    let jwt = issuer::jwt(&format!("public_key_file = {:?}", file(&issuer::SIGNERS[1].pem)));
    let token = issuer::SIGNERS[1].sign(None, &issuer::claims(json!({})));
    for (credentials, bearer) in [(&keys, &key), (&jwt, &token)] {
        for none in ["", "[auth]\napi_keys = []\n", "[auth]\n"] {
            let config = file(&format!("{limits}{credentials}"));
            let path = config.to_str().unwrap();
            let mut server =
                Served::start(&["--database-url", &database.url, "--config", path]).await;
            let bearer = format!("Bearer {bearer}");
            let list = async |server: &Served| -> u16 {
                let header = [("Authorization", bearer.as_str())];
                server.request(Era::Discover, "tools/list", json!({}), &header).await.0
            };
            assert_eq!(list(&server).await, 200);
            std::fs::write(&config, format!("{limits}{none}")).unwrap();
            server.logged("the configuration names no credentials").await;
            assert_eq!(list(&server).await, 401, "{none:?}");
            let anonymous = server.request(Era::Discover, "tools/list", json!({}), &[]).await.0;
            assert_eq!(anonymous, 401, "{none:?}");
            std::fs::write(&config, format!("{limits}{credentials}")).unwrap();
            until("the key is accepted again", async || list(&server).await == 200).await;
        }
    }
}

#[tokio::test]
async fn an_encrypted_table_that_is_gone_is_told() {
    let database = Database::of("CREATE TABLE person (id serial PRIMARY KEY, ssn text)").await;
    let keys = file(&format!("one:{}\n", STANDARD.encode([1; 32])));
    let encryption = format!("columns = [\"public.person.ssn\"]\nkey_file = {keys:?}\n");
    let config = file(&format!("{}[encryption]\n{encryption}", grants("\"select\"")));
    let (session, mut log) = session(&database.url, &config).await;
    assert_eq!(tools(&session).await.len(), 5);
    database.sql("ALTER TABLE person RENAME TO people").await;
    let told = "encryption.columns: there is no table of public.person.ssn";
    logged(&mut log, told).await;
    let checked =
        run(&["check", "--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    assert!(checked.out.contains(told), "{checked:?}");
}

#[tokio::test]
async fn a_key_that_is_revoked_during_an_outage_is_gone_at_once() {
    let database = Database::shop().await;
    let ((key, hash), (new, other)) = (key().await, key().await);
    let keys = |hash: &str| {
        format!("[[auth.api_keys]]\nname = \"bot\"\nhash = {hash:?}\nrole = \"analyst\"\n")
    };
    let config = file(&keys(&hash));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    let list = async |server: &Served, key: &str| -> u16 {
        let bearer = format!("Bearer {key}");
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    let name = database.config.get_dbname().unwrap();
    let mut admin = database.config.clone();
    admin.dbname("postgres");
    let admin = Database { config: admin, url: String::new() };
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let away = format!(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
    );
    admin.sql(&away).await;
    std::fs::write(&config, keys(&other)).unwrap();
    server.logged("the configuration cannot be used; the previous one stays in use").await;
    // To refuse a key needs no database; to accept another does.
    assert_eq!(list(&server, &key).await, 401);
    assert_eq!(list(&server, &new).await, 401);
    // Nobody touches the file again.
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    until("the new key is accepted", async || list(&server, &new).await == 200).await;
    assert_eq!(list(&server, &key).await, 401);
}

#[tokio::test]
async fn a_database_role_that_is_missing_is_taken_once_it_is_there() {
    let database = Database::shop().await;
    let [old, new] = [issuer::ec(), issuer::ec()];
    let ((kept, kept_hash), (gone, gone_hash)) = (key().await, key().await);
    let (kept, gone) = (format!("Bearer {kept}"), format!("Bearer {gone}"));
    let bearer = |signer: &issuer::Signer| {
        let claims = issuer::claims(json!({"app": {"role": "clerk"}}));
        format!("Bearer {}", signer.sign(None, &claims))
    };
    let signing = file(&old.pem);
    let jwt = issuer::jwt(&format!("public_key_file = {signing:?}"));
    let text = |keys: &[&String], role: &str, actions: &str| {
        let key = |(n, hash): (usize, &&String)| {
            format!("[[auth.api_keys]]\nname = \"bot{n}\"\nhash = {hash:?}\nrole = \"clerk\"\n")
        };
        let keys: String = keys.iter().enumerate().map(key).collect();
        let grants = format!("[[roles.clerk.grants]]\ntables = [\"*\"]\nactions = [{actions}]\n");
        format!("default_role = \"clerk\"\n[roles.clerk]\n{role}{grants}{keys}{jwt}")
    };
    let before = text(&[&kept_hash, &gone_hash], "", "\"select\", \"insert\"");
    let config = file(&before);
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let mut server = Served::start(&arguments).await;
    let list = async |server: &Served, bearer: &str| {
        let header = [("Authorization", bearer)];
        let (status, list) = server.request(Era::Discover, "tools/list", json!({}), &header).await;
        let tools = list["result"]["tools"].as_array().map(Vec::len);
        (status, tools.unwrap_or_default())
    };
    let all = list(&server, &kept).await.1;
    assert!(all > 4);
    for known in [&kept, &gone, &bearer(&old)] {
        assert_eq!(list(&server, known).await, (200, all));
    }

    let role = format!("later_{}", database.config.get_dbname().unwrap());
    std::fs::write(&signing, &new.pem).unwrap();
    let database_role = format!("database_role = {role:?}\n");
    std::fs::write(&config, text(&[&kept_hash], &database_role, "\"select\"")).unwrap();
    server.logged("roles.clerk.database_role: the login cannot become").await;
    assert_eq!(list(&server, &gone).await.0, 401);
    assert_eq!(list(&server, &bearer(&old)).await.0, 401, "the issuer's key is gone, too");
    for known in [&kept, &bearer(&new)] {
        assert_eq!(list(&server, known).await.1, 0);
        let select = json!({"name": "select", "arguments": {"table": "users"}});
        let header = [("Authorization", known.as_str())];
        let (status, reply) = server.request(Era::Discover, "tools/call", select, &header).await;
        let error = &reply["result"]["structuredContent"]["error"];
        assert_eq!((status, &error["code"]), (200, &json!("forbidden")), "{reply}");
        assert!(!reply.to_string().contains(&role), "{reply}");
    }
    // Nobody touches the file again.
    database
        .sql(&format!("CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"))
        .await;
    until("the role is the new one", async || (1..all).contains(&list(&server, &kept).await.1))
        .await;
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_key_is_refused_while_another_reload_waits() {
    let database = Database::shop().await;
    let ((kept, kept_hash), (gone, gone_hash)) = (key().await, key().await);
    let (kept, gone) = (format!("Bearer {kept}"), format!("Bearer {gone}"));
    let text = |keys: &[&String], calls: u32| {
        let key = |(n, hash): (usize, &&String)| {
            format!("[[auth.api_keys]]\nname = \"bot{n}\"\nhash = {hash:?}\nrole = \"analyst\"\n")
        };
        let keys: String = keys.iter().enumerate().map(key).collect();
        format!(
            "[database]\nlock_timeout = \"100s\"\nstatement_timeout = \"120s\"\n[limits]\nmax_rows = {calls}\n{keys}"
        )
    };
    let both = [&kept_hash, &gone_hash];
    let config = file(&text(&both, 500));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let status = async |bearer: &str| {
        let header = [("Authorization", bearer)];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    let client = database.client().await;
    for command in ["BEGIN", "LOCK pg_attrdef"] {
        client.execute(command, &[]).await.unwrap();
    }
    std::fs::write(&config, text(&both, 400)).unwrap();
    database.until_blocked(1).await;
    std::fs::write(&config, text(&[&kept_hash], 300)).unwrap();
    until("the key is refused", async || status(&gone).await == 401).await;
    // Nothing has been read yet.
    assert_eq!(database.value("SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").await.unwrap(), "1");
    assert_eq!(status(&kept).await, 200);
    client.execute("COMMIT", &[]).await.unwrap();
    let role = async || {
        let read = json!({"uri": "postgresql://role"});
        let header = [("Authorization", kept.as_str())];
        server.request(Era::Discover, "resources/read", read, &header).await.1.to_string()
    };
    until("the last configuration is taken", async || role().await.contains("300")).await;
    assert_eq!(status(&gone).await, 401);
}

#[tokio::test]
async fn keys_of_tokens_and_limits_are_taken() {
    let database = Database::shop().await;
    let [old, new] = [issuer::ec(), issuer::ec()];
    let key = file(&old.pem);
    let text = |calls: u32| {
        let jwt = issuer::jwt(&format!("public_key_file = {key:?}"));
        format!("[limits]\nrequests_per_minute = {calls}\n{jwt}")
    };
    let config = file(&text(1));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let bearer = |signer: &issuer::Signer| {
        format!("Bearer {}", signer.sign(None, &issuer::claims(json!({}))))
    };
    let (old, new) = (bearer(&old), (bearer(&new), new));
    let call = async |bearer: &str| {
        let select = json!({"name": "select", "arguments": {"table": "users", "limit": 1}});
        let header = [("Authorization", bearer)];
        let (status, answer) = server.request(Era::Discover, "tools/call", select, &header).await;
        (status, answer["result"]["structuredContent"]["row_count"] == 1)
    };
    assert_eq!(call(&old).await, (200, true));
    assert_eq!(call(&old).await, (200, false), "the minute's call is spent");

    std::fs::write(&key, &new.1.pem).unwrap();
    for attempt in 0.. {
        if call(&new.0).await.0 == 200 {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(call(&old).await.0, 401);
    assert_eq!(call(&new.0).await, (200, false), "counting went on");

    std::fs::write(&config, text(1000)).unwrap();
    for attempt in 0.. {
        if call(&new.0).await.1 {
            break;
        }
        assert!(attempt < 500, "the new limit is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_faulty_file_of_token_keys_is_not_taken() {
    let database = Database::shop().await;
    let [old, new] = [issuer::ec(), issuer::ec()];
    let key = file(&old.pem);
    let config = file(&issuer::jwt(&format!("public_key_file = {key:?}")));
    let config = config.to_str().unwrap();
    let mut server = Served::start(&["--database-url", &database.url, "--config", config]).await;
    let list = async |server: &Served, signer: &issuer::Signer| {
        let bearer = format!("Bearer {}", signer.sign(None, &issuer::claims(json!({}))));
        let header = [("Authorization", bearer.as_str())];
        server.request(Era::Discover, "tools/list", json!({}), &header).await.0
    };
    std::fs::write(&key, "no PEM").unwrap();
    server.logged("the previous one stays in use").await;
    assert_eq!(list(&server, &old).await, 200);
    std::fs::write(&key, &new.pem).unwrap();
    for attempt in 0.. {
        if list(&server, &new).await == 200 {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(list(&server, &old).await, 401);
}

#[tokio::test]
async fn the_file_of_encryption_keys_is_read_again_and_a_faulty_one_is_not_taken() {
    let database = Database::of("CREATE TABLE person (id serial PRIMARY KEY, ssn text)").await;
    let key = |id: &str| format!("{id}:{}\n", STANDARD.encode([id.as_bytes()[0]; 32]));
    let keys = file(&key("old"));
    let config = file(&format!(
        "default_role = \"clerk\"\n[encryption]\ncolumns = [\"public.person.ssn\"]\nkey_file = {keys:?}\n\
         [[roles.clerk.grants]]\ntables = [\"*\"]\nactions = [\"select\", \"insert\"]\n\
         columns = {{ decrypt = [\"ssn\"] }}\n"
    ));
    let (session, mut log) = session(&database.url, &config).await;
    // The key that a new row is written with.
    let written = async || {
        let row = json!({"table": "person", "data": {"ssn": "078-05-1120"}});
        session.call("insert", row).await.unwrap();
        let last = "SELECT split_part(ssn, ':', 2) FROM person ORDER BY id DESC LIMIT 1";
        database.value(last).await.unwrap()
    };
    assert_eq!(written().await, "old");
    std::fs::write(&keys, "new:nonsense").unwrap();
    logged(&mut log, "the previous one stays in use").await;
    assert_eq!(written().await, "old");
    std::fs::remove_file(&keys).unwrap();
    logged(&mut log, "the previous one stays in use").await;
    assert_eq!(written().await, "old");
    std::fs::write(&keys, key("old") + &key("new")).unwrap();
    for attempt in 0.. {
        if written().await == "new" {
            break;
        }
        assert!(attempt < 500, "the new key is not taken");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let read = session.call("select", json!({"table": "person"})).await.unwrap();
    let rows = read["rows"].as_array().unwrap();
    assert!(rows.len() > 3 && rows.iter().all(|row| row["ssn"] == "078-05-1120"), "{read}");
}

/// A server on standard input and output whose session has begun, and what it says from then on.
async fn begun(url: &str, config: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut server = program(&["stdio", "--database-url", url, "--config", config])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let input = server.stdin.as_mut().unwrap();
    let mut lines = BufReader::new(server.stdout.take().unwrap()).lines();
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
    ] {
        input.write_all(format!("{message}\n").as_bytes()).await.unwrap();
    }
    for _ in 0..2 {
        lines.next_line().await.unwrap().expect("an answer");
    }
    (server, lines)
}

/// The method of the next thing that the server says.
async fn told(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line()).await;
    let told: Value = serde_json::from_str(&line.unwrap().unwrap().unwrap()).unwrap();
    told["method"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_session_is_told_that_its_tools_are_others() {
    let database = Database::shop().await;
    let config = file(&grants("\"select\""));
    let (_server, mut lines) = begun(&database.url, config.to_str().unwrap()).await;
    std::fs::write(&config, grants("\"select\", \"update\"")).unwrap();
    assert_eq!(told(&mut lines).await, "notifications/tools/list_changed");
}

#[tokio::test]
async fn changed_queries_are_read_also_while_the_configuration_is_faulty() {
    let database = Database::shop().await;
    let queries = directory([("ids.sql", "SELECT user_id FROM users LIMIT 1")]);
    let config = file(&format!("[queries]\ndirectory = {queries:?}"));
    let (session, mut log) = session(&database.url, &config).await;
    std::fs::write(&config, "nonsense").unwrap();
    logged(&mut log, "the previous one stays in use").await;
    std::fs::write(queries.join("names.sql"), "SELECT name FROM users LIMIT 1").unwrap();
    for attempt in 0.. {
        if tools(&session).await.contains(&"names".to_owned()) {
            break;
        }
        assert!(attempt < 500, "the new query is not there");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn changed_queries_are_read_and_a_broken_one_keeps_its_last_good_form() {
    let database = Database::shop().await;
    let queries = directory([("ids.sql", "SELECT user_id FROM users ORDER BY 1 LIMIT 2")]);
    let config = file(&format!("[queries]\ndirectory = {queries:?}"));
    let (mut server, mut lines) = begun(&database.url, config.to_str().unwrap()).await;
    let mut log = BufReader::new(server.stderr.take().unwrap()).lines();

    let two = "SELECT user_id, name\nFROM users ORDER BY 1 LIMIT 1";
    std::fs::write(queries.join("names.sql"), two).unwrap();
    for list in ["tools", "resources"] {
        assert_eq!(told(&mut lines).await, format!("notifications/{list}/list_changed"));
    }

    std::fs::write(queries.join("names.sql"), "SELECT user_id,\n  nmae FROM users").unwrap();
    std::fs::write(queries.join("ids.sql"), "SELECT user_id AS id FROM users").unwrap();
    logged(&mut log, "names.sql:2:3: column \"nmae\" does not exist").await;
    for list in ["tools", "resources"] {
        assert_eq!(told(&mut lines).await, format!("notifications/{list}/list_changed"));
    }
    let call = json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": {"name": "names", "arguments": {}}});
    let input = server.stdin.as_mut().unwrap();
    input.write_all(format!("{call}\n").as_bytes()).await.unwrap();
    let reply: Value =
        serde_json::from_str(&lines.next_line().await.unwrap().expect("a reply")).unwrap();
    let rows = &reply["result"]["structuredContent"]["rows"];
    assert_eq!(rows, &json!([{"user_id": 1, "name": "Ada Marsh"}]), "{reply}");

    std::fs::remove_file(queries.join("names.sql")).unwrap();
    assert_eq!(told(&mut lines).await, "notifications/tools/list_changed");
}
