//! The command line: output and exit codes.

mod check;
mod connection;
mod views;

use std::process::{Output, Stdio};

use mcp_pg_tests::Database;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;

use crate::program::{Ended, file, program, run};

/// Nobody listens there.
const NOWHERE: &str = "postgres://someone:very-secret@127.0.0.1:1/nowhere";

/// Status 2, nothing printed, and a sentence with each of the words.
async fn misused(arguments: &[&str], words: &[&str]) {
    let ended = run(arguments).await;
    assert_eq!(ended.status, Some(2), "{arguments:?}: {ended:?}");
    assert_eq!(ended.out, "", "{arguments:?}");
    for word in words {
        assert!(ended.err.contains(word), "{arguments:?}: no {word} in {}", ended.err);
    }
}

#[tokio::test]
async fn a_wrong_option_or_argument_names_the_nearest() {
    misused(&["stdio", "--databse-url", "x"], &["--databse-url", "--database-url"]).await;
    misused(&["stdoi"], &["stdoi", "stdio"]).await;
    misused(&["check", "--demo=shops"], &["shops", "shop"]).await;
    misused(&["call", "select", "[1]"], &["not a JSON object"]).await;
    misused(&["call", "select", "{"], &["not a JSON object"]).await;
    misused(&["check", "--demo", "--database-url", NOWHERE], &["--demo", "--database-url"]).await;
    misused(&["call", "select", "--role", "analist"], &["analist", "analyst"]).await;
    misused(&["describe", "--claims", "7"], &["not a JSON object"]).await;
}

#[tokio::test]
async fn a_wrong_configuration_names_the_key_and_the_nearest() {
    for (text, words) in [
        ("[limits]\nmax_row = 3", ["limits.max_row", "max_rows"]),
        ("[limts]\nmax_rows = 3", ["limts", "limits"]),
        ("[limits]\nmax_rows = \"many\"", ["limits.max_rows", "many"]),
        ("[limits]\nmax_rows = 5\ndefault_rows = 10", ["default_rows", "max_rows"]),
        ("default_role = \"boss\"", ["default_role", "boss"]),
        (
            "[roles.a]\n[[roles.a.grants]]\ntables = [\"t\"]\nactions = [\"reed\"]",
            ["reed", "select"],
        ),
        (
            "[server]\nallowed_hosts = [\"https://a.example\"]",
            ["allowed_hosts", "https://a.example"],
        ),
        ("[server]\nallowed_origins = [\"a.example\"]", ["allowed_origins", "https://"]),
        (
            "[server]\nallowed_origins = [\"https://a.example/x\"]",
            ["allowed_origins", "https://a.example/x"],
        ),
        ("[database]\nurl = \"mysql://h/d\"", ["database URL", "postgres://"]),
        ("[database\n", ["TOML", "1"]),
        (
            "[roles.a]\nsession = { \"DateStyle\" = \"SQL\" }",
            ["roles.a.session.DateStyle", "written"],
        ),
        (
            "[roles.a]\nsession = { TimeZone = \"claim:zone\" }",
            ["roles.a.session.TimeZone", "replies have one form"],
        ),
        ("[roles.a]\ndatabase_role = \"\"", ["roles.a.database_role", "is no role"]),
        ("[roles.a]\ndatabase_role = \"none\"", ["roles.a.database_role", "is no role"]),
        ("[roles.a]\nsession = { role = \"x\" }", ["roles.a.session.role", "database_role"]),
    ] {
        let path = file(text);
        let config = ["--config", path.to_str().unwrap()];
        misused(&[&["describe"], &config[..]].concat(), &words).await;
        let checked = run(&[&["check"], &config[..]].concat()).await;
        assert_eq!(checked.status, Some(2), "{checked:?}");
        assert!(words.iter().all(|word| checked.err.contains(word)), "{checked:?}");
    }
    let broken = file("confirm = []\n[[[");
    let broken = ["describe", "--config", broken.to_str().unwrap()];
    misused(&broken, &["line 2, column 3: unquoted keys"]).await;
    misused(&["describe", "--config", "/nowhere/mcp-pg.toml"], &["/nowhere/mcp-pg.toml"]).await;
    let ended = Ended::of(program(&["check"]).env("MCP_PG__LIMITS__MAX_ROW", "3")).await;
    assert_eq!(ended.status, Some(2), "{ended:?}");
    assert!(ended.err.contains("max_rows"), "{ended:?}");
}

#[tokio::test]
async fn a_caller_must_bring_a_role_where_there_is_no_default() {
    let database = Database::shop().await;
    let config = file(
        "[roles.clerk]\n[[roles.clerk.grants]]\ntables = [\"users\", \"order*\"]\nactions = [\"select\"]",
    );
    let options = ["--config", config.to_str().unwrap(), "--database-url", &database.url];
    let names = ["call", "list_tables", r#"{"detail": "names"}"#];
    let clerk = Ended::of(program(&names).args(options).args(["--role", "clerk"])).await;
    assert_eq!(clerk.json()["tables"], json!(["order_items", "orders", "users"]), "{clerk:?}");
    for (arguments, otherwise) in [(&names[..], "--role"), (&["http"], "[auth]")] {
        let ended = Ended::of(program(arguments).args(options)).await;
        assert_eq!(ended.status, Some(2), "{ended:?}");
        for words in ["default_role", "clerk", otherwise] {
            assert!(ended.err.contains(words), "no {words} in {ended:?}");
        }
    }
}

#[tokio::test]
async fn http_listens_on_loopback_alone() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        misused(&["http", "--listen", address, "--database-url", NOWHERE], &["refusing", "[auth]"])
            .await;
    }
    misused(&["http", "--listen", "127.0.0.1:many"], &["127.0.0.1:many"]).await;
}

#[tokio::test]
async fn a_call_prints_its_result_and_its_status_tells() {
    let database = Database::shop().await;
    let url = ["--database-url", &database.url];
    let select = r#"{"table": "users", "columns": ["name"], "where": {"user_id": 1}}"#;
    let done = Ended::of(program(&["call", "select", select]).args(url)).await;
    assert_eq!(done.status, Some(0), "{done:?}");
    assert_eq!(done.json()["rows"], json!([{"name": "Ada Marsh"}]));
    assert_eq!(done.err, "");

    let wrong = Ended::of(program(&["call", "select", r#"{"table": "user"}"#]).args(url)).await;
    assert_eq!(wrong.status, Some(1), "{wrong:?}");
    assert_eq!(wrong.json()["error"]["code"], "unknown_table");
    assert_eq!(wrong.json()["error"]["did_you_mean"], "users");

    let update = r#"{"table": "users", "where": {"user_id": 1}, "updates": {"name": "Eve"}}"#;
    let refused = Ended::of(program(&["call", "update", update]).args(url)).await;
    assert_eq!(refused.status, Some(1), "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "forbidden");
    let allowed =
        Ended::of(program(&["call", "update", update, "--role", "operator"]).args(url)).await;
    assert_eq!(allowed.status, Some(0), "{allowed:?}");
    assert_eq!(allowed.json()["rows"][0]["name"], "Eve");
}

#[tokio::test]
async fn describe_and_diagram_show_the_schema() {
    let database = Database::shop().await;
    let url = ["--database-url", &database.url];
    let all = Ended::of(program(&["describe"]).args(url)).await;
    assert_eq!(all.status, Some(0));
    assert!(all.out.contains("user_preferences") && all.out.contains("Customers of the shop."));
    let one = Ended::of(program(&["describe", "users", "--json"]).args(url)).await;
    let told =
        Ended::of(program(&["call", "describe_table", r#"{"table": "users"}"#]).args(url)).await;
    assert_eq!(one.json(), told.json());
    let none = Ended::of(program(&["describe", "user"]).args(url)).await;
    assert_eq!(none.status, Some(1), "{none:?}");
    assert!(none.err.contains("users"), "{none:?}");
    let drawing = Ended::of(program(&["diagram"]).args(url)).await;
    assert!(drawing.out.starts_with("erDiagram\n"), "{drawing:?}");
}

#[tokio::test]
async fn the_audit_file_is_made_by_what_writes_to_it() {
    let log = file("").with_extension("not_yet");
    let config = file(&format!("[audit]\nfile = {log:?}"));
    let config = config.to_str().unwrap();
    for command in [&["check"][..], &["describe"], &["diagram"]] {
        let ended = run(&[command, &["--demo=shop", "--config", config]].concat()).await;
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!log.exists(), "{command:?}");
    }
    let verified = run(&["audit", "verify", "--config", config]).await;
    assert_eq!(verified.status, Some(1), "{verified:?}");
    assert!(verified.out.contains("there is no such file"), "{verified:?}");
    let ended = run(&["call", "list_tables", "--demo=shop", "--config", config]).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(log.exists());
}

#[tokio::test]
async fn the_audit_file_is_verified_and_a_forged_record_named() {
    let database = Database::shop().await;
    let log = file("");
    std::fs::remove_file(&log).unwrap();
    let log = log.to_str().unwrap();
    let config = file(&format!("[audit]\nfile = {log:?}"));
    for arguments in [r#"{"table": "users", "limit": 1}"#, r#"{"table": "nowhere"}"#, "{}"] {
        Ended::of(
            program(&["call", "select", arguments, "--config", config.to_str().unwrap()])
                .args(["--database-url", &database.url]),
        )
        .await;
    }
    let whole = run(&["audit", "verify", log]).await;
    assert_eq!(whole.status, Some(0), "{whole:?}");
    assert!(whole.out.contains("3 records, unbroken"), "{whole:?}");
    let text = std::fs::read_to_string(log).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let rest = file(rest);
    let rest = rest.to_str().unwrap();
    let headless = run(&["audit", "verify", rest]).await;
    assert_eq!(headless.status, Some(1), "{headless:?}");
    assert!(headless.out.contains("--after HASH"), "{headless:?}");
    let hash = first.rsplit('"').nth(1).unwrap();
    let known = run(&["audit", "verify", rest, "--after", hash]).await;
    assert!(known.status == Some(0) && known.out.contains("2 records, unbroken"), "{known:?}");
    misused(&["audit", "verify", rest, "--after", "28"], &["64 hex digits"]).await;
    let forged = text.replace("unknown_table", "unknown_Table");
    std::fs::write(log, forged).unwrap();
    let broken = run(&["audit", "verify", log]).await;
    assert_eq!(broken.status, Some(1), "{broken:?}");
    assert!(broken.out.contains("broken at line 2 (seq 2)"), "{broken:?}");
    misused(&["audit", "verify", "/nowhere/audit.jsonl"], &["/nowhere/audit.jsonl"]).await;
    misused(&["audit", "verify"], &["audit.file"]).await;
}

#[tokio::test]
async fn role_and_claims_are_found_in_the_environment() {
    let database = Database::shop().await;
    let config = file(
        "default_role = \"nobody\"\n[roles.nobody]\n[roles.customer]\n[[roles.customer.grants]]\n\
         tables = [\"public.users\"]\nactions = [\"select\"]\nrows = { user_id = \"claim:customer\" }",
    );
    let config = config.to_str().unwrap();
    let select = r#"{"table": "users", "columns": ["user_id"]}"#;
    let call = async |claims: &str, more: &[&str]| {
        let database = ["--config", config, "--database-url", &database.url];
        let arguments = [&["call", "select", select], &database[..], more].concat();
        let mut program = program(&arguments);
        Ended::of(program.env("MCP_PG_ROLE", "customer").env("MCP_PG_CLAIMS", claims)).await
    };
    let given = call(r#"{"customer": 2}"#, &[]).await;
    assert_eq!(given.json()["rows"], json!([{"user_id": 2}]), "{given:?}");
    // What the command line says goes before it.
    let given = call(r#"{"customer": 2}"#, &["--claims", r#"{"customer": 3}"#]).await;
    assert_eq!(given.json()["rows"], json!([{"user_id": 3}]), "{given:?}");
    let given = call(r#"{"customer": 2}"#, &["--role", "nobody"]).await;
    assert_eq!((given.status, &given.json()["error"]["code"]), (Some(1), &json!("unknown_table")));
    let given = call(r#"["secret"]"#, &[]).await;
    assert_eq!((given.status, given.out.as_str()), (Some(2), ""), "{given:?}");
    assert!(given.err.contains("MCP_PG_CLAIMS: not a JSON object"), "{given:?}");
    // An empty variable counts as unset.
    let mut unset = program(&["call", "list_tables", "--database-url", &database.url]);
    let unset = Ended::of(unset.env("MCP_PG_ROLE", "").env("MCP_PG_CLAIMS", "")).await;
    assert_eq!(unset.status, Some(0), "{unset:?}");
}

/// How the program ends if it is told this, and nobody reads what it prints.
async fn unread(arguments: &[&str], options: &[&str], input: &str) -> Output {
    let (_, writer) = std::io::pipe().unwrap();
    let mut command = program(arguments);
    let mut running = command.args(options).stdin(Stdio::piped()).stdout(writer).spawn().unwrap();
    let mut pipe = running.stdin.take().unwrap();
    // Most commands read nothing, and may have ended.
    let _ = pipe.write_all(input.as_bytes()).await;
    drop(pipe);
    running.wait_with_output().await.unwrap()
}

#[tokio::test]
async fn a_closed_standard_output_is_no_failure() {
    let database = Database::shop().await;
    let log = file("");
    let config = file(&format!("[audit]\nfile = {log:?}"));
    let options = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    for (arguments, status) in [
        (["describe"].as_slice(), 0),
        (&["diagram"], 0),
        (&["setup-sql"], 0),
        (&["call", "list_tables", "{}"], 0),
        // What the command came to is still told.
        (&["call", "select", r#"{"table": "nowhere"}"#], 1),
        (&["check"], 1),
    ] {
        let ended = unread(arguments, &options, "").await;
        let told = String::from_utf8_lossy(&ended.stderr);
        assert_eq!((ended.status.code(), &*told), (Some(status), ""), "{arguments:?}");
    }
    let records = std::fs::read_to_string(log).unwrap();
    assert_eq!(records.lines().count(), 2, "{records}");

    let hello = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "it", "version": "1"}}});
    let ended = unread(&["stdio"], &options, &format!("{hello}\n")).await;
    let told = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(0), "{told}");
    assert!(!told.contains("mcp-pg-server: "), "{told}");
}
