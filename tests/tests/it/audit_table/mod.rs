//! The audit table: a write is committed together with its record, and the chains of records stay complete.

mod chain;
mod load;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_pg_core::audit::{AuditTable, Client, Fault, FileSink, Verified};
use mcp_pg_core::policy::{Action, OnFailure, Role, Tls};
use mcp_pg_core::{Engine, Origin, Principal, Settings, TableName, verify_table};
use mcp_pg_tests::{Database, call, error, until};
use serde_json::{Value, json};

use crate::canned::directory;
use crate::program::file;

fn name() -> TableName {
    TableName::new("mcp_audit", "log")
}

fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.audit.table = Some(name());
    settings
}

/// The sample shop with an audit table.
async fn shop() -> Database {
    let database = Database::shop().await;
    database.sql(&AuditTable::new(&name()).definition()).await;
    database
}

async fn check(database: &Database) -> Result<Verified, Fault> {
    verify_table(database.config.clone(), Tls::default(), &name()).await.unwrap()
}

/// The records so far, whose chains are whole.
async fn records(database: &Database, engine: &Engine) -> Vec<Value> {
    engine.flush().await.unwrap();
    check(database).await.unwrap();
    let all = "SELECT coalesce(json_agg(record ORDER BY position), '[]')::text FROM mcp_audit.log";
    serde_json::from_str(&database.value(all).await.unwrap()).unwrap()
}

fn rename(user: i64) -> Value {
    json!({"table": "users", "where": {"user_id": user}, "updates": {"name": "X"}})
}

#[tokio::test]
async fn a_writes_record_is_committed_with_it() {
    let database = shop().await;
    let engine = database.engine_with(settings()).await;
    call(&engine, "admin", "update", rename(1)).await.unwrap();
    let same = "SELECT (l.xmin = u.xmin)::text FROM users u, mcp_audit.log l WHERE user_id = 1";
    assert_eq!(database.value(same).await.as_deref(), Some("true"));
    let records = records(&database, &engine).await;
    let [record] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["seq"], &record["phase"]), (&json!(1), &json!("outcome")));
    assert_eq!((&record["outcome"], &record["rows"]), (&json!("ok"), &json!(1)));
    assert_eq!((&record["tool"], &record["table"]), (&json!("update"), &json!("public.users")));
    assert_eq!(record["before"][0]["name"], "Ada Marsh");
    assert_eq!(record["after"][0]["name"], "X");
}

#[test]
fn an_engine_outlives_the_runtime_that_made_it() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let select = || json!({"table": "users", "limit": 1});
    let first = runtime();
    let (database, engine) = first.block_on(async {
        let database = shop().await;
        let engine = database.engine_with(settings()).await;
        call(&engine, "analyst", "select", select()).await.unwrap();
        engine.flush().await.unwrap();
        (database, engine)
    });
    drop(first);
    runtime().block_on(async {
        for _ in 0..5 {
            call(&engine, "analyst", "select", select()).await.unwrap();
        }
        call(&engine, "admin", "update", rename(1)).await.unwrap();
        until("the records are kept", async || engine.flush().await.is_ok()).await;
        assert_eq!(records(&database, &engine).await.len(), 7);
    });
}

#[tokio::test]
async fn the_record_of_a_canned_write_is_committed_with_it() {
    let database = shop().await;
    let mut settings = settings();
    let text = "-- @writes\nUPDATE users SET name = :name WHERE user_id = :id RETURNING name";
    settings.queries.directory = Some(directory([("rename.sql", text)]));
    let engine = database.engine_with(settings).await;
    let arguments = json!({"id": 1, "name": "X"});
    call(&engine, "admin", "rename", arguments).await.unwrap();
    let same = "SELECT (l.xmin = u.xmin)::text FROM users u, mcp_audit.log l WHERE user_id = 1";
    assert_eq!(database.value(same).await.as_deref(), Some("true"));
    let tried = json!({"id": 1, "name": "Y", "dry_run": true});
    call(&engine, "admin", "rename", tried).await.unwrap();
    let records = records(&database, &engine).await;
    let [record, tried] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&record["tool"], &record["operation"]), (&json!("rename"), &json!("canned")));
    assert_eq!((&record["outcome"], &record["after"][0]["name"]), (&json!("ok"), &json!("X")));
    assert_eq!(tried.get("after"), None, "{tried}");

    database.sql("ALTER TABLE mcp_audit.log ADD CHECK (position < 3)").await;
    let lost = error(&engine, "admin", "rename", json!({"id": 1, "name": "Z"})).await;
    assert_eq!(lost["code"], "audit_unavailable");
    let name = database.value("SELECT name FROM users WHERE user_id = 1").await;
    assert_eq!(name.as_deref(), Some("X"));
}

#[tokio::test]
async fn a_table_that_keeps_a_record_out_keeps_the_write_out() {
    let database = shop().await;
    database
        .sql(
            "CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN IF NEW.record #>> '{arguments,updates,name}' = 'Y' THEN RETURN NULL; END IF;
                 RETURN NEW; END $$;
             CREATE TRIGGER swallow BEFORE INSERT ON mcp_audit.log FOR EACH ROW EXECUTE FUNCTION swallow()",
        )
        .await;
    let engine = database.engine_with(settings()).await;
    let rename =
        |name: &str| json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": name}});
    call(&engine, "admin", "update", rename("X")).await.unwrap();
    let lost = error(&engine, "admin", "update", rename("Y")).await;
    assert_eq!(lost["code"], "audit_unavailable", "{lost}");
    let name = database.value("SELECT name FROM users WHERE user_id = 1").await;
    assert_eq!(name.as_deref(), Some("X"));
    // What the table does not take at all does not hold up what it takes.
    call(&engine, "admin", "update", rename("Z")).await.unwrap();
    let name = database.value("SELECT name FROM users WHERE user_id = 1").await;
    assert_eq!(name.as_deref(), Some("Z"));
}

#[tokio::test]
async fn the_record_is_the_servers_whoever_the_caller_is_to_the_database() {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let role = format!("app_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let database = shop().await;
    // A trigger that is deferred to the commit runs as whoever commits.
    database
        .sql(&format!(
            "CREATE ROLE {role}; GRANT SELECT, UPDATE ON users TO {role};
             CREATE TABLE witness (who text); GRANT INSERT ON witness TO {role};
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
                 $$BEGIN INSERT INTO public.witness VALUES (current_user); RETURN NULL; END$$;
             CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON users
                 DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION note();"
        ))
        .await;
    let support = Role {
        database_role: Some(role.clone()),
        ..Role::everywhere("support", [Action::Select, Action::Update])
    };
    let engine = database.engine_with(Settings { roles: vec![support], ..settings() }).await;
    for user in [1, 2] {
        call(&engine, "support", "update", rename(user)).await.unwrap();
    }
    let who = "SELECT string_agg(DISTINCT who, ' ') FROM witness";
    assert_eq!(database.value(who).await, Some(role.clone()));
    assert_eq!(records(&database, &engine).await.len(), 2);
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role};")).await;
}

#[tokio::test]
async fn a_login_adds_records_and_changes_none() {
    let database = Database::shop().await;
    let login = format!("auditor_{}", std::process::id());
    let table = AuditTable::new(&name());
    let made = table.definition_for(&login, &[]);
    database
        .sql(&format!(
            "CREATE ROLE {login} LOGIN; GRANT UPDATE, SELECT ON users TO {login}; {made}"
        ))
        .await;
    let mut config = database.config.clone();
    config.user(&login);
    let engine = Engine::connect(config.clone(), settings()).await.unwrap();
    call(&engine, "admin", "update", rename(1)).await.unwrap();
    assert_eq!(records(&database, &engine).await.len(), 1);
    let (client, connection) = config.connect(tokio_postgres::NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in [
        "UPDATE mcp_audit.log SET record = '{}'",
        "DELETE FROM mcp_audit.log",
        "TRUNCATE mcp_audit.log",
        "DROP TABLE mcp_audit.log",
    ] {
        client.execute(statement, &[]).await.unwrap_err();
    }
    database.sql(&format!("DROP OWNED BY {login}; DROP ROLE {login};")).await;
}

#[tokio::test]
async fn without_the_table_nothing_is_written_and_reads_are_answered_as_configured() {
    let database = shop().await;
    let engine = database.engine_with(settings()).await;
    let mut strict = settings();
    strict.audit.on_failure = OnFailure::Refuse;
    let strict = database.engine_with(strict).await;
    let read = json!({"table": "users", "where": {"user_id": 1}});
    call(&strict, "admin", "select", read.clone()).await.unwrap();
    assert_eq!(records(&database, &strict).await.len(), 1);

    database.sql("ALTER TABLE mcp_audit.log RENAME TO away").await;
    for engine in [&engine, &strict] {
        let reply = error(engine, "admin", "update", rename(1)).await;
        assert_eq!(reply["code"], "audit_unavailable", "{reply}");
        assert!(!reply.to_string().contains("mcp_audit"), "{reply}");
    }
    let name = "SELECT name FROM users WHERE user_id = 1";
    assert_eq!(database.value(name).await.as_deref(), Some("Ada Marsh"));
    call(&engine, "admin", "select", read.clone()).await.unwrap();
    let reply = error(&strict, "admin", "select", read.clone()).await;
    assert_eq!((&reply["code"], &reply["retryable"]), (&json!("audit_unavailable"), &json!(true)));

    let unknown = error(&strict, "admin", "select", json!({"table": "nope"})).await;
    assert_eq!(unknown["code"], "unknown_table");

    database.sql("ALTER TABLE mcp_audit.away RENAME TO log").await;
    call(&engine, "admin", "update", rename(1)).await.unwrap();
    call(&strict, "admin", "select", read).await.unwrap();
    strict.flush().await.unwrap();
    let records = records(&database, &engine).await;
    let unknown = records.iter().filter(|record| record["code"] == "unknown_table").count();
    let refused = records.iter().filter(|record| record["code"] == "audit_unavailable").count();
    // A read before and one after, and a write after.
    assert_eq!((unknown, refused, records.len()), (1, 3, 1 + 3 + 1 + 3), "{records:#?}");
}

#[tokio::test]
async fn a_server_does_not_start_without_the_table() {
    let database = Database::shop().await;
    let error = Engine::connect(database.config.clone(), settings()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "audit_unavailable");
    assert!(error.message().contains("setup-sql"), "{error}");
}

#[tokio::test]
async fn the_table_does_not_exist_for_callers() {
    let database = shop().await;
    let mut settings = settings();
    settings.schemas.push("mcp_audit".into());
    let engine = database.engine_with(settings).await;
    for (tool, arguments) in [
        ("select", json!({"table": "mcp_audit.log"})),
        ("describe_table", json!({"table": "log"})),
        ("insert", json!({"table": "mcp_audit.log", "data": {"record": {}}})),
    ] {
        let reply = error(&engine, "admin", tool, arguments).await;
        assert_eq!(reply["code"], "unknown_table", "{reply}");
    }
}

#[tokio::test]
async fn a_file_may_be_kept_besides() {
    let database = shop().await;
    let log = file("");
    let sink = Arc::new(FileSink::open(&log).unwrap());
    let engine = database.engine_with(settings()).await.audited(sink);
    call(&engine, "admin", "update", rename(1)).await.unwrap();
    call(&engine, "admin", "select", json!({"table": "users", "limit": 1})).await.unwrap();
    let table = records(&database, &engine).await;
    let text = std::fs::read_to_string(log).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let ids =
        |records: &[Value]| -> Vec<Value> { records.iter().map(|r| r["id"].clone()).collect() };
    assert_eq!(ids(&table), ids(&lines)[1..]);
    assert_eq!(lines[0]["phase"], "intent");
}

fn lines(log: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_database_of_another_encoding_takes_every_record() {
    let database =
        Database::encoded("LATIN1", "CREATE TABLE users (user_id integer PRIMARY KEY, name text)")
            .await;
    database.sql(&AuditTable::new(&name()).definition()).await;
    let engine = database.engine_with(settings()).await;
    for name in ["→ 😀 é \u{0}", "plain"] {
        let read = json!({"table": "users", "where": {"name": name}});
        let _ = call(&engine, "admin", "select", read).await;
    }
    let insert = json!({"table": "users", "data": {"user_id": 1, "name": "Zoë"}});
    call(&engine, "admin", "insert", insert).await.unwrap();
    let records = records(&database, &engine).await;
    let names: Vec<&Value> = records.iter().map(|r| &r["arguments"]["where"]["name"]).collect();
    assert_eq!(records.len(), 3, "{records:?}");
    assert!(names.contains(&&json!("\\u2192 \\ud83d\\ude00 \\u00e9 \\ufffd")), "{records:?}");
    let written = records.iter().find(|record| record["tool"] == "insert").unwrap();
    assert_eq!(written["after"][0]["name"], "Zo\\u00eb");
}

#[tokio::test]
async fn a_record_that_the_table_refuses_holds_up_no_other() {
    let database = shop().await;
    let rule = "ALTER TABLE mcp_audit.log ADD CHECK (record ->> 'tool' <> 'list_tables')";
    database.sql(rule).await;
    let engine = database.engine_with(settings()).await;
    let read = json!({"table": "users", "limit": 1});
    for (tool, arguments) in [("select", &read), ("list_tables", &json!({})), ("select", &read)] {
        call(&engine, "admin", tool, arguments.clone()).await.unwrap();
    }
    let records = records(&database, &engine).await;
    let tools: Vec<&Value> = records.iter().map(|record| &record["tool"]).collect();
    assert_eq!(tools, ["select", "select"]);
}

#[tokio::test]
async fn names_that_clients_give_are_cut() {
    let database = shop().await;
    let engine = database.engine_with(settings()).await;
    let long = "ö".repeat(100_000);
    let client = Client { name: Some(long.clone()), version: Some(long.clone()), address: None };
    let origin = Origin { transport: "http".into(), client };
    let caller = Principal::new("mallory", "analyst");
    let told = engine.call(&caller, &origin, &long, serde_json::Map::new()).await.unwrap_err();
    assert!(told.message().len() < 5_000, "{}", told.message().len());
    let unknown = mcp_pg_core::Error::new(mcp_pg_core::Code::UnknownArgument, "no such tool");
    engine.refuse(&caller, &origin, &long, serde_json::Map::new(), &unknown).await;
    let cut = format!("{}… (200000 bytes)", "ö".repeat(128));
    for record in records(&database, &engine).await {
        for name in [
            &record["tool"],
            &record["operation"],
            &record["client"]["name"],
            &record["client"]["version"],
        ] {
            assert_eq!(name, &cut);
        }
    }
}
