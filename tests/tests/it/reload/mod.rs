//! A configuration that changes while the server runs.

mod credentials;

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
    // The catalogue is replaced shortly after that line.
    until("the role is refused", async || list(&server, &kept).await.1 == 0).await;
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
