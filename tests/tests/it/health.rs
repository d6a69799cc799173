//! Monitoring: the page for Prometheus, and the log.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use mcp_pg_core::TableName;
use mcp_pg_core::audit::AuditTable;
use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio_postgres::NoTls;

use crate::canned::directory;
use crate::program::{Era, Served, file};

/// Runs a statement in another database of the same cluster.
async fn beside(database: &Database, sql: &str) {
    let mut config = database.config.clone();
    let (client, connection) = config.dbname("postgres").connect(NoTls).await.unwrap();
    tokio::spawn(connection);
    client.execute(sql, &[]).await.unwrap();
}

async fn code(server: &Served, tool: &str, arguments: Value) -> Value {
    let call = json!({"name": tool, "arguments": arguments});
    let (_, answer) = server.request(Era::Discover, "tools/call", call, &[]).await;
    answer["result"]["structuredContent"]["error"]["code"].clone()
}

async fn served(database: &Database, config: &str) -> Served {
    let config = file(config);
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    Served::start(&arguments).await
}

#[tokio::test]
async fn health_readiness_and_metrics_pages() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    assert_eq!(server.get("/healthz").await, (200, "ok\n".into()));
    assert_eq!(server.get("/readyz").await, (200, "ready\n".into()));
    let (status, told) = server.get("/").await;
    assert!(status == 404 && told.contains("/mcp"), "{told}");
    for table in ["users", "nowhere"] {
        let request = json!({"name": "select", "arguments": {"table": table, "limit": 1}});
        server.request(Era::Discover, "tools/call", request, &[]).await;
    }
    let (status, page) = server.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "mcp_pg_calls_total{tool=\"select\",code=\"ok\"} 1",
        "mcp_pg_calls_total{tool=\"select\",code=\"unknown_table\"} 1",
        "mcp_pg_call_duration_seconds_count{tool=\"select\"} 2",
        "mcp_pg_audit_records_lost_total 0",
    ] {
        assert!(page.lines().any(|have| have == line), "no {line} in\n{page}");
    }
    assert!(!page.contains("users"), "names of the schema are not told:\n{page}");
    let (status, _) = server.send("GET", "/metrics", &[("Host", "evil.example")], "").await;
    assert_eq!(status, 403);
}

#[tokio::test]
async fn calls_that_clients_give_up_are_counted() {
    let database = Database::of("CREATE VIEW slow AS SELECT 1 AS one FROM pg_sleep(20)").await;
    let server = served(&database, "").await;
    let call = code(&server, "select", json!({"table": "slow"}));
    tokio::time::timeout(Duration::from_millis(500), call).await.unwrap_err();
    let counted = "mcp_pg_calls_total{tool=\"select\",code=\"cancelled\"} 1";
    let duration = "mcp_pg_call_duration_seconds_bucket{tool=\"select\",le=\"0.1\"} 0";
    server.counts(&[counted, duration]).await;
}

#[tokio::test]
async fn a_database_that_is_away_is_a_line_and_one_that_is_back_another() {
    let database = Database::shop().await;
    let mut server = served(&database, "[database]\nschema_poll = \"50ms\"").await;
    let users = json!({"table": "users", "limit": 1});
    assert_eq!(code(&server, "select", users.clone()).await, Value::Null);
    let connections = "mcp_pg_database_connections_";
    let open = [&format!("{connections}used 0"), &format!("{connections}max 16")];
    server.counts(&[open[0], open[1], "mcp_pg_database_up 1"]).await;
    server.said();

    let name = database.value("SELECT current_database()::text").await.unwrap();
    beside(&database, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS false")).await;
    let end = format!(
        "DO $$ BEGIN PERFORM pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'; END $$"
    );
    beside(&database, &end).await;
    for _ in 0..20 {
        let told = code(&server, "select", users.clone()).await;
        assert_eq!(told, "database_unavailable");
    }
    server.counts(&["mcp_pg_database_up 0"]).await;
    beside(&database, &format!("ALTER DATABASE {name} ALLOW_CONNECTIONS true")).await;
    server.counts(&["mcp_pg_database_up 1"]).await;
    assert_eq!(code(&server, "select", users).await, Value::Null);
    let mut said = server.said();
    // The warning about the login may come late.
    said.retain(|line| !line.contains("command::posture"));
    let lines = |text: &str| said.iter().filter(|line| line.contains(text)).count();
    assert_eq!((lines("the database is away"), lines("the database is back")), (1, 1), "{said:?}");
    let why = "is not currently accepting connections";
    assert!(said.iter().any(|line| line.contains("is away") && line.contains(why)), "{said:?}");
    // Besides: that changes are not told for the moment.
    assert!(said.len() <= 3, "{said:?}");
}

#[tokio::test]
async fn connections_that_are_used_and_waited_for_are_counted() {
    let database = Database::of(
        "CREATE VIEW slow AS SELECT (10 * random())::integer AS one FROM pg_sleep(2);
         CREATE TABLE items (id integer PRIMARY KEY);",
    )
    .await;
    let limits = "[database]\nmax_connections = 1\nschema_poll = \"1h\"\n";
    let mut server = served(&database, &format!("{limits}statement_timeout = \"1s\"")).await;
    server.said();
    let late = async {
        let (first, second) = tokio::join!(
            code(&server, "select", json!({"table": "slow"})),
            code(&server, "select", json!({"table": "slow", "where": {"one": 14_711}})),
        );
        assert_eq!((first, second), (json!("timeout"), json!("timeout")));
    };
    let busy = ["used 1", "idle 0", "waiting 1", "max 1"];
    let busy = busy.map(|line| format!("mcp_pg_database_connections_{line}"));
    let busy: Vec<&str> = busy.iter().map(String::as_str).collect();
    tokio::join!(late, server.counts(&busy));
    // What took too long is a line, without the values.
    for _ in 0..2 {
        let line = server.logged("a call took too long").await;
        for part in ["\"select\"", "\"public.slow\"", "\"analyst\"", "ms=", "57014"] {
            assert!(line.contains(part), "{part} in {line}");
        }
        assert!(!line.contains("14711"), "{line}");
    }
}

#[tokio::test]
async fn faulty_configurations_and_queries_and_unread_schemas_are_told() {
    let database = Database::shop().await;
    let role = format!("of_{}", database.value("SELECT current_database()::text").await.unwrap());
    let make = format!("CREATE ROLE {role}; GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}");
    database.sql(&make).await;
    let queries = directory([("ids.sql", "SELECT user_id FROM users LIMIT 2")]);
    let good = format!(
        "default_role = \"clerk\"\n[database]\nschema_poll = \"50ms\"\nlock_timeout = \"100ms\"\n[queries]\ndirectory = {queries:?}\n\
         [roles.clerk]\ndatabase_role = {role:?}\n\
         [[roles.clerk.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\n"
    );
    let config = file(&good);
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let [configured, read] = ["configuration_last_reload", "schema_last_read"]
        .map(|of| format!("mcp_pg_{of}_successful"));
    let [yes, no] = [1, 0].map(|value| [&configured, &read].map(|name| format!("{name} {value}")));
    let sound = "mcp_pg_query_faults_outdated 0";
    server.counts(&[&yes[0], &yes[1], sound, "mcp_pg_audit_failing 0"]).await;

    fs::write(&config, good.replace("schema_poll", "schema_pull")).unwrap();
    server.counts(&[&no[0], &yes[1]]).await;
    fs::write(queries.join("ids.sql"), "SELECT nobody FROM users").unwrap();
    server.counts(&["mcp_pg_query_faults 1", "mcp_pg_query_faults_outdated 1"]).await;
    fs::write(&config, &good).unwrap();
    server.counts(&[&yes[0], &yes[1]]).await;
    fs::write(queries.join("ids.sql"), "SELECT user_id FROM users").unwrap();
    server.counts(&["mcp_pg_query_faults 0", sound]).await;

    let client = database.client().await;
    for command in ["BEGIN", "LOCK pg_attrdef"] {
        client.execute(command, &[]).await.unwrap();
    }
    database.sql("CREATE TABLE new ()").await;
    server.counts(&[&yes[0], &no[1]]).await;
    client.execute("COMMIT", &[]).await.unwrap();
    server.counts(&[&yes[0], &yes[1]]).await;
}

#[tokio::test]
async fn an_audit_that_fails_is_told_until_it_is_mended() {
    let database = Database::shop().await;
    let table = AuditTable::new(&TableName::new("mcp_audit", "log")).definition();
    database.sql(&table).await;
    let server = Arc::new(served(&database, "[audit]\ntable = \"mcp_audit.log\"").await);
    let calling = tokio::spawn({
        let server = server.clone();
        async move {
            loop {
                code(&server, "select", json!({"table": "users", "limit": 1})).await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    });
    server.counts(&["mcp_pg_audit_failing 0"]).await;
    database.sql("DROP SCHEMA mcp_audit CASCADE").await;
    server.counts(&["mcp_pg_audit_failing 1"]).await;
    database.sql(&table).await;
    server.counts(&["mcp_pg_audit_failing 0"]).await;
    calling.abort();
}

#[tokio::test]
async fn the_log_says_why_the_audit_table_cannot_be_written() {
    let database = Database::shop().await;
    database.sql(&AuditTable::new(&TableName::new("mcp_audit", "log")).definition()).await;
    let mut server = served(&database, "[audit]\ntable = \"mcp_audit.log\"").await;
    let users = json!({"table": "users", "limit": 1});
    for (fault, cannot, why, mend) in [
        (
            "ALTER TABLE mcp_audit.log RENAME TO other",
            "the audit table cannot be written",
            ["\"mcp_audit.log\" does not exist", "42P01"],
            "ALTER TABLE mcp_audit.other RENAME TO log",
        ),
        (
            "ALTER TABLE mcp_audit.log ADD CONSTRAINT own CHECK (position < 0) NOT VALID",
            "the audit table refuses a record",
            [" id=\"", "SQLSTATE 23514, own"],
            "ALTER TABLE mcp_audit.log DROP CONSTRAINT own",
        ),
    ] {
        database.sql(fault).await;
        assert_eq!(code(&server, "select", users.clone()).await, Value::Null);
        let line = server.logged(cannot).await;
        for part in why {
            assert!(line.contains(part), "{part} in {line}");
        }
        database.sql(mend).await;
        server.counts(&["mcp_pg_audit_failing 0"]).await;
    }
}
