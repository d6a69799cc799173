//! What a schema loses between two calls.

use std::time::Duration;

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::json;

use super::ITEMS;

#[tokio::test]
async fn a_table_dropped_between_two_calls() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let all = json!({"table": "items"});
    call(&engine, "operator", "select", all.clone()).await.unwrap();
    database.sql("DROP TABLE items").await;
    assert_eq!(
        refused(&engine, "select", all.clone()).await,
        ("unknown_table".into(), "/table".into())
    );
    let insert = json!({"table": "items", "data": {"id": 3, "n": 3}});
    assert_eq!(refused(&engine, "insert", insert.clone()).await.0, "unknown_table");
    database.sql("CREATE TABLE items (id integer PRIMARY KEY, n text)").await;
    engine.reload().await.unwrap();
    let reply = call(&engine, "operator", "insert", insert.clone()).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 3, "n": "3"}]));

    // Dropped and made anew without a word.
    database
        .sql("DROP TABLE items; CREATE TABLE items (id bigint PRIMARY KEY, m text DEFAULT 'x')")
        .await;
    let insert = json!({"table": "items", "data": {"id": 4, "n": "y"}});
    let reply = error(&engine, "operator", "insert", insert).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("unknown_column"), &json!("/data/n")));
    assert_eq!(reply["allowed"], json!(["id", "m"]));
    let insert = json!({"table": "items", "data": {"id": 4}});
    let reply = call(&engine, "operator", "insert", insert).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 4, "m": "x"}]));
}

#[tokio::test]
async fn a_column_that_is_dropped_or_gets_another_type() {
    let database = Database::of(ITEMS).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 4;
    let engine = database.engine_with(settings).await;
    let select =
        || call(&engine, "operator", "select", json!({"table": "items", "order_by": ["id"]}));
    // The same statement is prepared in several connections.
    for reply in futures_util::future::join_all((0..4).map(|_| select())).await {
        reply.unwrap();
    }
    database.sql("ALTER TABLE items ALTER n TYPE real").await;
    for reply in futures_util::future::join_all((0..8).map(|_| select())).await {
        assert_eq!(rows(&reply.unwrap())[1], json!({"id": 2, "n": 2.0}));
    }
    let update = json!({"table": "items", "where": {"id": 1}, "updates": {"n": 1}});
    call(&engine, "operator", "update", update.clone()).await.unwrap();
    database.sql("ALTER TABLE items ALTER n TYPE text").await;
    // In connections that never saw it either.
    database
        .sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
        .await;
    let reply = loop {
        match select().await {
            Ok(reply) => break reply,
            // A connection whose end the pool has not seen yet.
            Err(error) => assert_eq!(error.code().as_str(), "database_unavailable"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(rows(&reply)[1], json!({"id": 2, "n": "2"}));
    let reply = call(&engine, "operator", "update", update).await.unwrap();
    assert_eq!(rows(&reply)[0]["n"], "1");

    database.sql("ALTER TABLE items DROP n").await;
    assert_eq!(rows(&select().await.unwrap())[1], json!({"id": 2}));
    let named = json!({"table": "items", "columns": ["n"]});
    assert_eq!(refused(&engine, "select", named).await.0, "unknown_column");
}

#[tokio::test]
async fn a_right_that_is_taken_away() {
    let database = Database::of(
        "CREATE TABLE items (id integer PRIMARY KEY); INSERT INTO items VALUES (1);
         DO $$ BEGIN CREATE ROLE clerk LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT SELECT, INSERT ON items TO clerk;",
    )
    .await;
    let mut config = database.config.clone();
    config.user("clerk");
    let engine = Engine::connect(config, Settings::default()).await.unwrap();
    let insert = json!({"table": "items", "data": {"id": 2}});
    database.sql("REVOKE INSERT ON items FROM clerk").await;
    let reply = error(&engine, "operator", "insert", insert).await;
    assert_eq!(reply["code"], "forbidden");
    assert!(!reply.to_string().contains("clerk"), "{reply}");
    assert_eq!(
        call(&engine, "operator", "select", json!({"table": "items"})).await.unwrap()["row_count"],
        1
    );
}

#[tokio::test]
async fn a_login_without_a_connection_to_listen_on_finds_new_tables_too() {
    let database = Database::of(ITEMS).await;
    // Roles belong to the cluster, which other tests share.
    let login = format!("alone_{}", database.config.get_dbname().unwrap());
    let make =
        format!("CREATE ROLE {login} LOGIN CONNECTION LIMIT 1; GRANT SELECT ON items TO {login}");
    database.sql(&make).await;
    let mut config = database.config.clone();
    config.user(&login);
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = std::sync::Arc::new(Engine::connect(config, settings).await.unwrap());
    let mut changes = engine.changes();
    let follower = engine.clone();
    let following = tokio::spawn(async move { follower.follow(Duration::from_millis(20)).await });
    database
        .sql(&format!("CREATE TABLE added (id integer); GRANT SELECT ON added TO {login}"))
        .await;
    super::changed(&mut changes).await;
    call(&engine, "operator", "select", json!({"table": "added"})).await.unwrap();
    following.abort();
}

#[tokio::test]
async fn a_database_role_that_is_dropped_is_no_fault_of_the_callers_values() {
    let database = Database::shop().await;
    database.sql("CREATE ROLE outage_gone; GRANT SELECT ON users TO outage_gone").await;
    let mut roles = Role::built_in().into_iter();
    let mut role = roles.find(|role| role.name == "analyst").expect("a role of that name");
    role.database_role = Some("outage_gone".into());
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let select = json!({"table": "users", "where": {"user_id": 1}});
    assert_eq!(call(&engine, "analyst", "select", select.clone()).await.unwrap()["row_count"], 1);
    database.sql("DROP OWNED BY outage_gone; DROP ROLE outage_gone").await;
    let reply = error(&engine, "analyst", "select", select).await;
    assert_eq!((&reply["code"], reply.get("at")), (&json!("forbidden"), None), "{reply}");
}

/// Two roles, of which `lost` has this database role, and the other none.
fn two_roles(database_role: &str) -> Settings {
    let roles = ["kept", "lost"].map(|name| Role::everywhere(name, [Action::Select]));
    let mut settings = Settings { roles: roles.into(), ..Settings::default() };
    settings.roles[1].database_role = Some(database_role.to_owned());
    settings
}

#[tokio::test]
async fn a_database_role_that_is_gone_is_no_fault_of_other_roles() {
    let database = Database::of(ITEMS).await;
    let role = format!("outage_lost_{}", database.config.get_dbname().unwrap());
    let make = format!("CREATE ROLE {role}; GRANT SELECT ON items TO {role}");
    database.sql(&make).await;
    let engine = std::sync::Arc::new(database.engine_with(two_roles(&role)).await);
    let mut changes = engine.changes();
    let follower = engine.clone();
    let following = tokio::spawn(async move { follower.follow(Duration::from_millis(20)).await });
    let select = json!({"table": "items", "limit": 1});
    call(&engine, "lost", "select", select.clone()).await.unwrap();
    database
        .sql(&format!(
            "DROP OWNED BY {role}; DROP ROLE {role}; ALTER TABLE items DROP n, ADD m int"
        ))
        .await;
    super::changed(&mut changes).await;
    let reply = call(&engine, "kept", "select", select.clone()).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"id": 1, "m": null}));
    for tool in ["select", "list_tables"] {
        let arguments = if tool == "select" { select.clone() } else { json!({}) };
        let reply = error(&engine, "lost", tool, arguments).await;
        assert_eq!(reply["code"], "forbidden", "{reply}");
        assert!(!reply.to_string().contains(&role), "{reply}");
    }
    let finding = format!("roles.lost.database_role: the login cannot become {role:?}: ");
    assert!(engine.findings().iter().any(|found| found.starts_with(&finding)));

    database.sql(&make).await;
    super::changed(&mut changes).await;
    assert!(!engine.findings().iter().any(|found| found.starts_with(&finding)));
    call(&engine, "lost", "select", select).await.unwrap();
    following.abort();
    database.sql(&format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn a_database_role_that_is_taken_away_is_no_fault_of_other_roles() {
    let database = Database::of(ITEMS).await;
    let name = database.config.get_dbname().unwrap();
    let [login, role] = ["login", "role"].map(|of| format!("outage_{of}_{name}"));
    let make = format!(
        "CREATE ROLE {role}; CREATE ROLE {login} LOGIN; GRANT SELECT ON items TO {role}, {login}; GRANT {role} TO {login}"
    );
    database.sql(&make).await;
    let mut config = database.config.clone();
    config.user(&login);
    let engine = Engine::connect(config, two_roles(&role)).await.unwrap();
    let select = json!({"table": "items", "columns": ["id", "n"], "limit": 1});
    call(&engine, "lost", "select", select.clone()).await.unwrap();
    database.sql(&format!("REVOKE {role} FROM {login}; ALTER TABLE items DROP n")).await;
    let reply = error(&engine, "kept", "select", select.clone()).await;
    assert_eq!(reply["code"], "unknown_column", "{reply}");
    assert_eq!(error(&engine, "lost", "select", select).await["code"], "forbidden");
    drop(engine);
    database.sql(&format!("DROP OWNED BY {role}, {login}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn busy_connections_do_not_keep_the_schema_from_being_read() {
    let slow = "CREATE VIEW slow AS SELECT id, pg_sleep(3)::text AS nap FROM items";
    let database = Database::of(&format!("{ITEMS} {slow}")).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = std::sync::Arc::new(database.engine_with(settings).await);
    let caller = engine.clone();
    let calling = tokio::spawn(async move {
        call(&caller, "operator", "select", json!({"table": "slow", "limit": 1})).await
    });
    database.until("SELECT count(*)::text FROM pg_stat_activity WHERE query LIKE '%nap%' AND wait_event = 'PgSleep'", "1").await;
    database.sql("CREATE TABLE added ()").await;
    assert!(engine.reload().await.unwrap());
    engine.posture().await.unwrap();
    assert!(!calling.is_finished());
    calling.await.unwrap().unwrap();
}

/// What a pooler does: connections that the login has are shared by who waits, where it gets no more.
#[tokio::test]
async fn calls_share_the_connections_that_postgresql_grants() {
    let database = Database::of(ITEMS).await;
    let login = format!("crowded_{}", database.config.get_dbname().unwrap());
    let make = format!(
        "CREATE ROLE {login} LOGIN CONNECTION LIMIT 2;
         CREATE VIEW slow AS SELECT id, pg_sleep(0.05)::text AS nap FROM items; GRANT SELECT ON items, slow TO {login}"
    );
    database.sql(&make).await;
    let mut config = database.config.clone();
    config.user(&login);
    let mut settings = Settings::default();
    settings.limits.max_connections = 10;
    let engine = std::sync::Arc::new(Engine::connect(config, settings).await.unwrap());
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let engine = engine.clone();
            tokio::spawn(async move {
                call(&engine, "operator", "select", json!({"table": "slow", "limit": 1})).await
            })
        })
        .collect();
    for answer in calls {
        assert_eq!(answer.await.unwrap().unwrap()["row_count"], 1);
    }
}

/// Before the next look at the catalogue: what a request needs is tried again with the new one.
#[tokio::test]
async fn what_changes_between_two_looks() {
    let database = Database::of(
        "CREATE TYPE state AS ENUM ('open');
         CREATE TABLE t (id integer PRIMARY KEY, u integer CONSTRAINT once UNIQUE, s state)",
    )
    .await;
    let engine = database.engine().await;
    let upsert = json!({"table": "t", "data": {"id": 1, "u": 1}, "on_conflict": {"columns": ["u"], "do": "update"}});
    call(&engine, "admin", "insert", upsert.clone()).await.unwrap();
    database.sql("ALTER TABLE t DROP CONSTRAINT once").await;
    let told = error(&engine, "admin", "insert", upsert).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("invalid_value"), &json!("/on_conflict/columns"))
    );

    let closed = json!({"table": "t", "where": {"id": 1}, "updates": {"s": "closed"}});
    assert_eq!(refused(&engine, "update", closed.clone()).await.0, "invalid_value");
    database.sql("ALTER TYPE state ADD VALUE 'closed'").await;
    call(&engine, "admin", "update", closed).await.unwrap();

    let archive = json!({"table": "t", "where": {"id": 1}});
    assert_eq!(refused(&engine, "archive", archive.clone()).await.0, "not_archivable");
    database.sql("ALTER TABLE t ADD archived_at timestamptz").await;
    call(&engine, "admin", "archive", archive).await.unwrap();

    database.sql("ALTER TABLE t ALTER id ADD GENERATED ALWAYS AS IDENTITY").await;
    let insert = json!({"table": "t", "data": {"id": 2, "u": 2}});
    let told = error(&engine, "admin", "insert", insert).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("read_only_column"), &json!("/data/id")));
}

#[tokio::test]
async fn however_many_reloads_are_given_up_one_reads_at_a_time() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let mut client = database.client().await;
    let other = client.transaction().await.unwrap();
    other.execute("LOCK TABLE pg_catalog.pg_description", &[]).await.unwrap();
    for _ in 0..5 {
        tokio::time::timeout(Duration::from_millis(20), engine.reload()).await.unwrap_err();
        database.until_blocked(1).await;
    }
    other.rollback().await.unwrap();
    database.sql("CREATE TABLE further (id integer PRIMARY KEY)").await;
    assert!(engine.reload().await.unwrap());
    call(&engine, "operator", "select", json!({"table": "further"})).await.unwrap();
}
