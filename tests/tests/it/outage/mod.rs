//! A database that is unavailable, comes back, or changes while the engine runs.

mod pooler;
mod schema;
mod session;

use std::time::{Duration, Instant};

use crate::canned::directory;
use mcp_pg_core::policy::Action;
use mcp_pg_core::{Change, Engine, Principal, Settings};
use mcp_pg_server::embedded::Cluster;
use mcp_pg_tests::{Database, call, error, refused, rows, until};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixStream};
use tokio::sync::broadcast::Receiver;
use tokio_postgres::NoTls;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

const ITEMS: &str = "CREATE TABLE items (id integer PRIMARY KEY, n integer NOT NULL);
    INSERT INTO items VALUES (1, 1), (2, 2);";

#[tokio::test]
async fn a_database_that_is_down_at_the_start() {
    let mut config = tokio_postgres::Config::new();
    config.host_path("/nowhere/at/all").user("postgres").password("open sesame").dbname("shop");
    let error = Engine::connect(config, Settings::default()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "database_unavailable");
    assert!(error.is_retryable());
    assert!(!format!("{error}").contains("sesame"));
}

#[tokio::test]
async fn a_database_that_does_not_exist() {
    let mut config = Database::empty().await.config;
    config.dbname("no such database");
    let error = Engine::connect(config, Settings::default()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "database_unavailable");
}

#[tokio::test]
async fn a_database_that_is_set_to_be_read_only() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let update = json!({"table": "items", "where": {"id": 1}, "updates": {"n": 2}});
    call(&engine, "operator", "update", update.clone()).await.unwrap();
    let name = database.value("SELECT current_database()::text").await.unwrap();
    database
        .sql(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"))
        .await;
    // Sessions keep what they began with.
    let mut settings = Settings::default();
    settings.queries.directory = Some(directory([
        ("touch.sql", "-- @writes\n-- @roles operator\nUPDATE items SET n = n + 1"),
        ("look.sql", "-- @roles operator\nSELECT n FROM items"),
    ]));
    let engine = database.engine_with(settings).await;
    let queries = engine.queries(&Principal::new("", "operator")).unwrap();
    assert_eq!(queries.iter().map(|query| &*query.name).collect::<Vec<_>>(), ["look"]);
    let refused = error(&engine, "operator", "update", update.clone()).await;
    assert_eq!(refused["code"], "forbidden");
    assert!(refused["hint"].as_str().unwrap().contains("default_transaction_read_only"));
    assert_only_reads(&engine);
    let read = call(&engine, "operator", "select", json!({"table": "items", "where": {"id": 1}}));
    assert_eq!(rows(&read.await.unwrap())[0]["n"], 2);
    let select = json!({"operation": "select", "table": "items", "where": {"id": 1}});
    let together = json!({"operations": [&select, &select]});
    let refused = error(&engine, "operator", "transaction", together).await;
    assert!(refused["hint"].as_str().unwrap().contains("default_transaction_read_only"));
}

/// As a standby is before it is promoted.
#[tokio::test]
async fn a_server_that_is_not_read_write_yet_is_worth_another_try() {
    let database = Database::of(ITEMS).await;
    let mut config = database.config.clone();
    config.target_session_attrs(TargetSessionAttrs::ReadWrite);
    let engine = Engine::connect(config, Settings::default()).await.unwrap();
    let select = json!({"table": "items", "where": {"id": 1}});
    call(&engine, "analyst", "select", select.clone()).await.unwrap();
    let name = database.value("SELECT current_database()::text").await.unwrap();
    let others = "SELECT count(pg_terminate_backend(pid))::text FROM pg_stat_activity \
                  WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database
        .sql(&format!("ALTER DATABASE \"{name}\" SET default_transaction_read_only = on"))
        .await;
    database.value(others).await.unwrap();
    let mut told = error(&engine, "analyst", "select", select.clone()).await;
    // The first call may have met the end of its session.
    while !told["message"].as_str().unwrap().contains("target_session_attrs") {
        told = error(&engine, "analyst", "select", select.clone()).await;
    }
    assert_eq!((&told["code"], &told["retryable"]), (&"database_unavailable".into(), &true.into()));
    database
        .sql(&format!(
            "BEGIN READ WRITE; ALTER DATABASE \"{name}\" RESET default_transaction_read_only; COMMIT"
        ))
        .await;
    call(&engine, "analyst", "select", select).await.unwrap();
}

/// Nothing that PostgreSQL would refuse is offered.
fn assert_only_reads(engine: &Engine) {
    let view = engine.view(&Principal::new("", "operator")).unwrap();
    assert_eq!(view.actions().iter().collect::<Vec<_>>(), [Action::Select]);
}

/// What a pooler in transaction mode does: a new client gets a session that another one has begun.
#[tokio::test]
async fn a_session_that_another_client_has_begun() {
    let database = Database::of(ITEMS).await;
    database.engine().await;
    let name = database.value("SELECT current_database()::text").await.unwrap();
    database.sql(&format!("ALTER DATABASE \"{name}\" SET mcp_pg.begun = on")).await;
    let error = Engine::connect(database.config.clone(), Settings::default()).await.unwrap_err();
    assert_eq!(error.code().as_str(), "database_unavailable");
    assert!(!error.is_retryable());
    assert!(error.to_string().contains("pooler"), "{error}");
}

/// What a pooler does that has no session left: it takes a connection, and answers nothing on it.
#[tokio::test]
async fn a_connection_without_a_session_is_not_waited_for() {
    let cluster = Cluster::start().unwrap();
    let backend = cluster.config("postgres");
    let [Host::Unix(directory)] = backend.get_hosts() else { panic!("{backend:?}") };
    let socket = directory.join(format!(".s.PGSQL.{}", backend.get_ports()[0]));
    let front = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = front.local_addr().unwrap().port();
    tokio::spawn(async move {
        loop {
            let (client, _) = front.accept().await.unwrap();
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) =
                UnixStream::connect(&socket).await.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
            tokio::spawn(async move {
                let length = from_client.read_u32().await.unwrap();
                let mut greeting = vec![0; length as usize - 4];
                from_client.read_exact(&mut greeting).await.unwrap();
                to_server.write_u32(length).await.unwrap();
                to_server.write_all(&greeting).await.unwrap();
                std::future::pending::<()>().await;
            });
        }
    });
    let mut config = tokio_postgres::Config::new();
    config.host("127.0.0.1").port(port).ssl_mode(SslMode::Disable);
    config.user(backend.get_user().unwrap()).dbname("postgres");
    if let Some(password) = backend.get_password() {
        config.password(password);
    }
    let mut settings = Settings::default();
    settings.timeouts.connect = Duration::from_millis(500);
    let error = Engine::connect(config, settings).await.unwrap_err();
    assert_eq!(error.code().as_str(), "database_unavailable");
    assert!(error.is_retryable());
}

/// Runs a statement on a connection of its own; it may end with it.
async fn run(cluster: &Cluster, sql: &str) -> Result<u64, tokio_postgres::Error> {
    let (client, connection) = cluster.config("postgres").connect(NoTls).await?;
    tokio::spawn(connection);
    client.execute(sql, &[]).await
}

/// Waits until the engine has read a changed schema.
async fn changed(changes: &mut Receiver<Change>) {
    let read = async { while changes.recv().await.unwrap() != Change::Catalogue {} };
    tokio::time::timeout(Duration::from_secs(60), read).await.expect("a changed schema");
}

#[tokio::test]
async fn a_standby_is_read_and_followed_and_written_to_once_it_is_promoted() {
    let cluster = Cluster::start().unwrap();
    run(&cluster, "CREATE TABLE items (id integer PRIMARY KEY)").await.unwrap();
    // After a crash a server with this file is a standby.
    let signal = "DO $$ BEGIN EXECUTE format('COPY (SELECT) TO %L',
        current_setting('data_directory') || '/standby.signal'); END $$";
    run(&cluster, signal).await.unwrap();
    run(&cluster, "CHECKPOINT").await.unwrap();
    run(&cluster, "COPY (SELECT) TO PROGRAM 'kill -9 $PPID'").await.unwrap_err();
    let recovering = "DO $$ BEGIN ASSERT pg_is_in_recovery(); END $$";
    until(recovering, async || run(&cluster, recovering).await.is_ok()).await;

    let engine = Engine::connect(cluster.config("postgres"), Settings::default()).await.unwrap();
    let engine = std::sync::Arc::new(engine);
    assert!(engine.posture().await.unwrap().standby);
    let follower = engine.clone();
    tokio::spawn(async move { follower.follow(Duration::from_millis(20)).await });
    let followed = "DO $$ BEGIN ASSERT EXISTS (SELECT FROM pg_stat_activity
        WHERE application_name LIKE '%listener' AND query LIKE '-- A text that differs after any change%'); END $$";
    until(followed, async || run(&cluster, followed).await.is_ok()).await;
    call(&engine, "operator", "select", json!({"table": "items"})).await.unwrap();
    let insert = json!({"table": "items", "data": {"id": 1}});
    let refused = error(&engine, "operator", "insert", insert.clone()).await;
    assert_eq!(refused["code"], "forbidden");
    assert!(refused["message"].as_str().unwrap().contains("standby"), "{refused}");
    assert_only_reads(&engine);

    let mut changes = engine.changes();
    run(&cluster, "SELECT pg_promote()").await.unwrap();
    // Without a restart.
    changed(&mut changes).await;
    call(&engine, "operator", "insert", insert).await.unwrap();
    let view = engine.view(&Principal::new("", "operator")).unwrap();
    assert!(view.actions().contains(Action::Insert));
    assert!(!engine.posture().await.unwrap().standby);
    run(&cluster, "CREATE TABLE added (id integer)").await.unwrap();
    changed(&mut changes).await;
    call(&engine, "operator", "select", json!({"table": "added"})).await.unwrap();
}

#[tokio::test]
async fn a_database_that_stops_for_good() {
    let cluster = Cluster::start().unwrap();
    let config = cluster.config("postgres");
    let (client, connection) = config.connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.execute("CREATE TABLE items (id integer PRIMARY KEY)", &[]).await.unwrap();
    let engine = Engine::connect(config, Settings::default()).await.unwrap();
    call(&engine, "operator", "insert", json!({"table": "items", "data": {"id": 1}}))
        .await
        .unwrap();
    drop(cluster);
    for (tool, arguments) in [
        ("select", json!({"table": "items"})),
        ("insert", json!({"table": "items", "data": {"id": 2}})),
        ("transaction", json!({"operations": [{"operation": "select", "table": "items"}]})),
    ] {
        let reply = error(&engine, "operator", tool, arguments).await;
        assert_eq!(
            (&reply["code"], &reply["retryable"]),
            (&json!("database_unavailable"), &json!(true)),
            "{tool}"
        );
    }
    assert_eq!(engine.ready().await.unwrap_err().code().as_str(), "database_unavailable");
    // What needs no database is still answered.
    call(&engine, "operator", "describe_table", json!({"table": "items"})).await.unwrap();
    assert_eq!(refused(&engine, "select", json!({"table": "itemz"})).await.0, "unknown_table");
}

#[tokio::test]
async fn a_database_that_goes_away_and_comes_back() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let select = || call(&engine, "operator", "select", json!({"table": "items"}));
    let insert = |id: i32| {
        call(&engine, "operator", "insert", json!({"table": "items", "data": {"id": id, "n": 0}}))
    };
    select().await.unwrap();

    let name = database.config.get_dbname().unwrap();
    let mut admin = database.config.clone();
    admin.dbname("postgres");
    let admin = Database { config: admin, url: String::new() };
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    admin
        .sql(&format!(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        ))
        .await;
    for _ in 0..2 {
        let error = select().await.unwrap_err();
        assert_eq!(error.code().as_str(), "database_unavailable", "{error}");
        let error = insert(8).await.unwrap_err();
        assert_eq!(error.code().as_str(), "database_unavailable", "{error}");
        assert!(error.is_retryable());
    }
    admin.sql(&format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    assert_eq!(select().await.unwrap()["row_count"], 2);
    insert(3).await.unwrap();
    assert_eq!(select().await.unwrap()["row_count"], 3);
}

/// As administrators and poolers do with connections that are idle.
#[tokio::test]
async fn a_read_whose_connection_was_cut_is_sent_again() {
    let database = Database::of(
        "CREATE TABLE doomed (pid integer);
         CREATE VIEW items AS SELECT 1 AS id WHERE pg_backend_pid() NOT IN (SELECT pid FROM doomed)
            OR pg_terminate_backend(pg_backend_pid()) AND pg_sleep(5) IS NULL;",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    let select = || call(&engine, "operator", "select", json!({"table": "items"}));
    select().await.unwrap();
    let doomed = "INSERT INTO doomed SELECT pid FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.sql(doomed).await;
    assert_eq!(select().await.unwrap()["row_count"], 1);
    // What somebody ended while it ran stays ended.
    database
        .sql(
            "CREATE OR REPLACE VIEW items AS SELECT 1 AS id WHERE pg_backend_pid() NOT IN (SELECT pid FROM doomed)
                OR CASE WHEN pg_sleep(1.2) IS NOT NULL THEN pg_terminate_backend(pg_backend_pid()) END AND pg_sleep(5) IS NULL;",
        )
        .await;
    // A connection whose end is not noticed yet fails without a SQLSTATE: then it is asked again.
    let ended = async || {
        for _ in 0..5 {
            database.sql(doomed).await;
            let told = error(&engine, "operator", "select", json!({"table": "items"})).await;
            assert_eq!(told["code"], "database_unavailable", "{told}");
            if told.get("sqlstate").is_some() {
                return told;
            }
        }
        panic!("no SQLSTATE");
    };
    assert_eq!(ended().await["sqlstate"], "57P01");
    assert_eq!(select().await.unwrap()["row_count"], 1);
    // Not for ever.
    database.sql("CREATE OR REPLACE VIEW items AS SELECT 1 AS id WHERE pg_terminate_backend(pg_backend_pid())").await;
    let told = ended().await;
    assert_eq!(told["sqlstate"], "57P01", "{told}");
    assert!(told["message"].as_str().unwrap().contains("ended the connection"), "{told}");
}

/// What code of the database's did before the connection was cut is done: it is not done again.
#[tokio::test]
async fn a_canned_read_that_runs_code_is_not_sent_again() {
    let database = Database::of(
        "CREATE TABLE doomed (pid integer);
         CREATE FUNCTION run() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN
             IF pg_backend_pid() IN (SELECT pid FROM doomed) THEN
                 PERFORM pg_terminate_backend(pg_backend_pid());
             END IF;
             RETURN 1; END $$;",
    )
    .await;
    let plain = "SELECT 1 AS one WHERE CASE WHEN pg_backend_pid() IN (SELECT pid FROM doomed)
        THEN pg_terminate_backend(pg_backend_pid()) ELSE true END";
    let queries = [("coded.sql", "SELECT run() AS one"), ("plain.sql", plain)];
    let mut settings = Settings::default();
    settings.queries.directory = Some(crate::canned::directory(queries));
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    for (tool, again) in [("plain", true), ("coded", false)] {
        let ask = || call(&engine, "operator", tool, json!({}));
        assert_eq!(ask().await.unwrap()["rows"][0]["one"], 1);
        database
            .sql(
                "INSERT INTO doomed SELECT pid FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        match ask().await {
            Ok(reply) => assert!(again && reply["rows"][0]["one"] == 1, "{tool}: {reply}"),
            Err(error) => {
                assert_eq!(
                    (again, error.get_sqlstate()),
                    (false, Some("57P01")),
                    "{tool}: {error}"
                );
            }
        }
        assert_eq!(ask().await.unwrap()["row_count"], 1);
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_in_the_middle_of_a_write() {
    let database = Database::of(
        "CREATE TABLE items (id integer PRIMARY KEY);
         CREATE FUNCTION suicide() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NEW; END';
         CREATE TRIGGER suicide BEFORE INSERT ON items FOR EACH ROW WHEN (NEW.id = 1) EXECUTE FUNCTION suicide();",
    )
    .await;
    let engine = database.engine().await;
    let insert = |id: i32| json!({"table": "items", "data": {"id": id}});
    let reply = error(&engine, "operator", "insert", insert(1)).await;
    assert_eq!(
        (&reply["code"], &reply["retryable"]),
        (&json!("database_unavailable"), &json!(true))
    );
    let operations = json!({"operations": [
        {"operation": "insert", "table": "items", "data": {"id": 5}},
        {"operation": "insert", "table": "items", "data": {"id": 1}},
    ]});
    assert_eq!(
        error(&engine, "operator", "transaction", operations).await["code"],
        "database_unavailable"
    );
    call(&engine, "operator", "insert", insert(2)).await.unwrap();
    assert_eq!(database.value("SELECT string_agg(id::text, ',') FROM items").await.unwrap(), "2");
}

/// A call that gives up on rows that are too large leaves no statement for the next one to wait for.
#[tokio::test]
async fn a_statement_whose_rows_nobody_takes_is_cancelled() {
    let database = Database::of(
        "CREATE TABLE item (id integer PRIMARY KEY, pad text DEFAULT repeat('x', 20000));
         CREATE TABLE doc (id integer PRIMARY KEY REFERENCES item, body text);
         INSERT INTO item SELECT generate_series(1, 9);
         INSERT INTO doc SELECT id, repeat('x', CASE id WHEN 1 THEN 3000000 ELSE 1 END) FROM item;
         CREATE FUNCTION slept(i integer) RETURNS integer STABLE LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(1); RETURN i; END $$;
         CREATE VIEW slow AS SELECT id, body, CASE WHEN id > 1 THEN slept(id) END AS slept FROM doc;",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    let select = json!({"table": "item", "include": {"slow": true}});
    let begun = Instant::now();
    let told = error(&engine, "admin", "select", select).await;
    assert_eq!(told["code"], "limit_exceeded", "{told}");
    call(&engine, "admin", "select", json!({"table": "item", "limit": 1})).await.unwrap();
    assert!(begun.elapsed().as_secs() < 5, "{:?}", begun.elapsed());
}

/// As when a process is stopped, or a network that still answers leads nowhere.
#[tokio::test]
async fn a_read_that_the_database_never_ends_is_given_up() {
    let database = Database::of(ITEMS).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    settings.timeouts.statement = Duration::from_millis(200);
    settings.timeouts.transaction = Duration::from_millis(200);
    let engine = database.engine_with(settings).await;
    let select = || call(&engine, "operator", "select", json!({"table": "items"}));
    select().await.unwrap();
    let processes = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name = 'mcp-pg'";
    let processes = database.value(processes).await.unwrap();
    let signal = |name: &str| {
        let told = std::process::Command::new("kill").arg(name).args(processes.split(' ')).status();
        assert!(told.unwrap().success());
    };
    signal("-STOP");
    let told = select().await;
    signal("-CONT");
    assert_eq!(told.unwrap_err().code().as_str(), "timeout");
    select().await.unwrap();
}
