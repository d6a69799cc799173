//! A schema that changes while the engine runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mcp_pg_core::schema::{Signature, Watch};
use mcp_pg_core::{Change, Engine};
use mcp_pg_tests::{Database, call, rows};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;

use crate::program::run;

const ITEMS: &str = "CREATE TABLE items (id integer PRIMARY KEY, n integer NOT NULL);
    INSERT INTO items SELECT i, i FROM generate_series(1, 50) i;";

/// The triggers that `setup-sql` prints, without the login.
pub(crate) async fn triggers(arguments: &[&str]) -> String {
    let printed = run(&[&["setup-sql"], arguments].concat()).await.out;
    let (_, triggers) = printed.split_once("\n-- Tells").expect("triggers");
    format!("-- Tells{triggers}")
}

/// An engine that follows its database, and what it tells.
async fn followed(database: &Database, poll: Duration) -> (Arc<Engine>, Receiver<Change>) {
    let engine = Arc::new(database.engine().await);
    let changes = engine.changes();
    let follower = engine.clone();
    tokio::spawn(async move { follower.follow(poll).await });
    // It follows once it listens.
    let listening = "SELECT (count(*) > 0)::text FROM pg_stat_activity
        WHERE datname = current_database() AND application_name LIKE '%listener'
        AND state = 'idle' AND query NOT LIKE 'LISTEN%'";
    database.until(listening, "true").await;
    (engine, changes)
}

async fn next(changes: &mut Receiver<Change>) -> Change {
    let change = tokio::time::timeout(Duration::from_secs(30), changes.recv()).await;
    change.expect("a change within 30 seconds").unwrap()
}

async fn names(engine: &Engine) -> Value {
    call(engine, "analyst", "list_tables", json!({"detail": "names"})).await.unwrap()["tables"]
        .clone()
}

#[tokio::test]
async fn a_new_table_is_seen_without_a_call_that_fails() {
    let an_hour = Duration::from_secs(3_600);
    for (poll, sql) in [(Duration::from_millis(50), String::new()), (an_hour, triggers(&[]).await)]
    {
        let database = Database::of(ITEMS).await;
        database.sql(&sql).await;
        let (engine, mut changes) = followed(&database, poll).await;
        for (ddl, tables) in [
            ("CREATE TABLE added (id integer)", json!(["added", "items"])),
            ("ALTER TABLE added RENAME TO renamed", json!(["items", "renamed"])),
            ("DROP TABLE renamed", json!(["items"])),
        ] {
            database.sql(ddl).await;
            assert_eq!(next(&mut changes).await, Change::Catalogue, "{ddl}");
            assert_eq!(names(&engine).await, tables, "{ddl}");
        }
        database.sql("CREATE TEMPORARY TABLE nobody_elses (id integer)").await;
        database.sql("COMMENT ON COLUMN items.n IS 'How many'").await;
        assert_eq!(next(&mut changes).await, Change::Catalogue);
        let described = call(&engine, "analyst", "describe_table", json!({"table": "items"})).await;
        assert_eq!(described.unwrap()["columns"][1]["comment"], "How many");
        assert!(changes.try_recv().is_err(), "nothing else has changed");
    }
}

#[tokio::test]
async fn every_kind_of_change_is_noticed() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    database
        .sql(
            "CREATE TYPE mood AS ENUM ('sad'); CREATE DOMAIN zip AS text;
             CREATE TABLE other (id integer PRIMARY KEY, mood mood, zip zip);
             CREATE SCHEMA apart; CREATE TYPE apart.address AS (street text);
             ALTER TABLE other ADD address apart.address;
             CREATE VIEW shown AS SELECT id FROM items; CREATE ROLE live_reader",
        )
        .await;
    assert!(engine.reload().await.unwrap());
    for ddl in [
        "ALTER TABLE items ALTER n DROP NOT NULL",
        "ALTER TABLE items ALTER n SET DEFAULT 1",
        "ALTER TABLE items ALTER n SET DEFAULT 2",
        "ALTER TABLE items ADD CONSTRAINT positive CHECK (n > 0)",
        "ALTER TABLE other ADD FOREIGN KEY (id) REFERENCES items",
        "CREATE UNIQUE INDEX CONCURRENTLY ON items (n)",
        "ALTER TYPE mood ADD VALUE 'glad'",
        "ALTER TYPE apart.address ADD ATTRIBUTE zip text",
        "ALTER TYPE apart.address RENAME ATTRIBUTE zip TO code",
        "ALTER DOMAIN zip ADD CHECK (VALUE <> '')",
        "COMMENT ON SCHEMA public IS 'What it is all about'",
        "COMMENT ON COLUMN items.n IS 'How many'",
        "CREATE OR REPLACE VIEW shown AS SELECT DISTINCT id FROM items",
        "ALTER TABLE items ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE items RENAME n TO number",
        "CREATE TABLE apart.more () INHERITS (items)",
        "ALTER TABLE apart.more NO INHERIT items",
        "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE TRIGGER same BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION same()",
        // What is taken away leaves no row that tells.
        "ALTER TABLE other DROP CONSTRAINT other_id_fkey",
        "ALTER DOMAIN zip DROP CONSTRAINT zip_check",
        "ALTER TABLE other DROP mood",
        "ALTER TYPE apart.address DROP ATTRIBUTE code",
        "COMMENT ON COLUMN items.number IS NULL",
        "DROP TRIGGER same ON items",
        "DROP VIEW shown",
    ] {
        assert!(!engine.reload().await.unwrap(), "before {ddl}");
        let before = signature(&database, None).await;
        database.sql(ddl).await;
        assert_ne!(signature(&database, Some(&before)).await, before, "{ddl}");
        assert!(engine.reload().await.unwrap(), "{ddl}");
    }
    for statement in [
        "INSERT INTO items SELECT 1 + max(id), 1000 + max(id) FROM items",
        "ANALYZE",
        "VACUUM",
        "DROP ROLE IF EXISTS live_reader",
        "CREATE SCHEMA nobody_asked; CREATE TABLE nobody_asked.about (id integer PRIMARY KEY);
         DROP SCHEMA nobody_asked CASCADE",
    ] {
        // Roles are the whole cluster's: other tests may change some meanwhile.
        let mut undisturbed = false;
        for _ in 0..20 {
            let before = signature(&database, None).await;
            database.sql(statement).await;
            undisturbed |= signature(&database, Some(&before)).await == before;
        }
        assert!(undisturbed, "{statement}");
    }
}

#[tokio::test]
async fn rights_and_functions_are_noticed_too() {
    let database = Database::of(ITEMS).await;
    database.sql("CREATE ROLE live_login; CREATE ROLE live_team").await;
    for change in [
        "GRANT SELECT (id) ON items TO live_team",
        "GRANT live_team TO live_login",
        "ALTER ROLE live_login BYPASSRLS",
        "ALTER ROLE live_login NOBYPASSRLS NOINHERIT",
        "GRANT USAGE ON SCHEMA public TO live_team",
        "REVOKE SELECT (id) ON items FROM live_team",
        "REVOKE live_team FROM live_login",
        "CREATE FUNCTION one() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "COMMENT ON FUNCTION one() IS '@tool'",
        "COMMENT ON FUNCTION one() IS NULL",
        "DROP FUNCTION one",
        "CREATE POLICY few ON items USING (id > 1)",
        "ALTER POLICY few ON items USING (id > 2)",
        "DROP POLICY few ON items",
    ] {
        let before = signature(&database, None).await;
        database.sql(change).await;
        assert_ne!(signature(&database, Some(&before)).await, before, "{change}");
    }
}

/// What was written by a transaction that began before the first look, and ended after it, is seen.
#[tokio::test]
async fn a_change_that_was_long_under_way_is_noticed() {
    let database = Database::of(ITEMS).await;
    let mut slow = database.client().await;
    let transaction = slow.transaction().await.unwrap();
    transaction.execute("CREATE TABLE extra (id integer)", &[]).await.unwrap();
    // Later transactions end earlier.
    database.sql("ALTER TABLE items ADD early integer").await;
    let before = signature(&database, None).await;
    transaction.commit().await.unwrap();
    assert_ne!(signature(&database, Some(&before)).await, before);
}

async fn signature(database: &Database, earlier: Option<&Signature>) -> Signature {
    let client = database.client().await;
    let schemas = ["public".to_owned()];
    let watch = Watch::prepare(&client).await.unwrap();
    watch.poll(&client, &schemas, earlier).await.unwrap().signature
}

#[tokio::test]
async fn a_lost_connection_is_made_again() {
    let database = Database::of(ITEMS).await;
    database.sql(&triggers(&["--notify", "items"]).await).await;
    let (engine, mut changes) = followed(&database, Duration::from_secs(3_600)).await;
    database
        .sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid();
             CREATE TABLE meanwhile (id integer)",
        )
        .await;
    let mut heard = vec![next(&mut changes).await, next(&mut changes).await];
    heard.sort_by_key(|change| *change == Change::Catalogue);
    assert_eq!(heard, [Change::Missed, Change::Catalogue]);
    assert_eq!(names(&engine).await, json!(["items", "meanwhile"]));
    database.sql("UPDATE items SET n = n + 1").await;
    let Change::Rows(tables) = next(&mut changes).await else { panic!("not rows") };
    assert_eq!(tables.iter().map(ToString::to_string).collect::<Vec<_>>(), ["public.items"]);
}

#[tokio::test]
async fn a_burst_of_changed_rows_is_few_changes_and_junk_is_none() {
    let database = Database::of(ITEMS).await;
    database.sql(&triggers(&["--notify", "public.items"]).await).await;
    let (_engine, mut changes) = followed(&database, Duration::from_secs(3_600)).await;
    let client = database.client().await;
    for junk in ["", "items", "[1]", "[\"public\"]", "{}"] {
        client.execute("SELECT pg_notify('mcp_pg_rows', $1)", &[&junk]).await.unwrap();
    }
    for _ in 0..200 {
        client.execute("UPDATE items SET n = n + 1 WHERE id = 1", &[]).await.unwrap();
    }
    client.execute("CREATE TABLE last (id integer)", &[]).await.unwrap();
    let mut told = 0;
    while let Change::Rows(tables) = next(&mut changes).await {
        assert_eq!(tables.len(), 1);
        told += 1;
    }
    assert!((1..=40).contains(&told), "{told} changes for 200 statements");
}

#[tokio::test]
async fn a_table_that_is_always_written_to_hides_no_change_of_the_schema() {
    let database = Database::of(ITEMS).await;
    database.sql(&triggers(&["--notify", "items"]).await).await;
    // Which only a superuser can make.
    database.sql("DROP EVENT TRIGGER mcp_pg_schema").await;
    let (engine, mut changes) = followed(&database, Duration::from_millis(50)).await;
    let client = database.client().await;
    let writing = tokio::spawn(async move {
        loop {
            client.execute("UPDATE items SET n = n + 1 WHERE id = 1", &[]).await.unwrap();
        }
    });
    while !matches!(next(&mut changes).await, Change::Rows(_)) {}
    database.sql("CREATE TABLE added (id integer)").await;
    let seen = async { while next(&mut changes).await != Change::Catalogue {} };
    tokio::time::timeout(Duration::from_secs(60), seen).await.expect("a changed schema");
    assert_eq!(names(&engine).await, json!(["added", "items"]));
    writing.abort();
}

#[tokio::test]
async fn calls_in_flight_lose_nothing_while_the_schema_changes() {
    let database = Database::of(ITEMS).await;
    database.sql(&triggers(&[]).await).await;
    let (engine, _changes) = followed(&database, Duration::from_secs(3_600)).await;
    let done = Arc::new(AtomicBool::new(false));
    let callers = (0..4).map(|_| {
        let (engine, done) = (engine.clone(), done.clone());
        tokio::spawn(async move {
            let mut calls = 0;
            while !done.load(Ordering::Relaxed) {
                let reply = call(&engine, "operator", "select", json!({"table": "items"})).await;
                assert_eq!(rows(&reply.unwrap()).len(), 50);
                let change = json!({"table": "items", "where": {"id": 1}, "updates": {"n": 7}});
                call(&engine, "operator", "update", change).await.unwrap();
                calls += 2;
            }
            calls
        })
    });
    let callers: Vec<_> = callers.collect();
    for number in 0..10 {
        let kind = if number % 2 == 0 { "bigint" } else { "integer" };
        database
            .sql(&format!(
                "CREATE TABLE t{number} (id integer); ALTER TABLE items ADD extra_{number} text;
                 ALTER TABLE items ALTER n TYPE {kind}; COMMENT ON TABLE items IS '{number}'"
            ))
            .await;
    }
    done.store(true, Ordering::Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
}

#[tokio::test]
async fn errors_unrelated_to_the_schema_do_not_poll_the_catalogue() {
    let database = Database::of(
        "CREATE TABLE named (id integer PRIMARY KEY, of regclass, text text);
         CREATE TABLE guarded (id integer PRIMARY KEY);
         CREATE FUNCTION guard() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO nowhere VALUES (1); RETURN new; END $$;
         CREATE TRIGGER guard BEFORE INSERT ON guarded FOR EACH ROW EXECUTE FUNCTION guard();",
    )
    .await;
    let engine = database.engine().await;
    database.sql("CREATE TABLE added (id integer)").await;
    let guarded = json!({"table": "guarded", "data": {"id": 1}});
    let error = call(&engine, "admin", "insert", guarded).await.unwrap_err();
    assert_eq!(error.get_sqlstate(), Some("42P01"));
    let named = json!({"table": "named", "where": {"of": "nowhere"}});
    let error = call(&engine, "admin", "select", named).await.unwrap_err();
    assert_eq!(error.get_sqlstate(), Some("42P01"));
    assert_eq!(names(&engine).await, json!(["guarded", "named"]));

    // A type that is another now has other operators.
    database.sql("ALTER TABLE named ALTER text TYPE integer USING 1").await;
    let like = json!({"table": "named", "where": {"text": {"like": "a%"}}});
    let error = call(&engine, "admin", "select", like).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unknown_operator");
    assert_eq!(names(&engine).await, json!(["added", "guarded", "named"]));
}

#[tokio::test]
async fn a_table_added_a_moment_ago_is_known_to_the_next_call() {
    let database = Database::of(ITEMS).await;
    // Nobody follows the database: only calls look.
    let engine = database.engine().await;
    database.sql("CREATE TABLE parts (id integer PRIMARY KEY, item_id integer)").await;
    let part = json!({"table": "parts", "data": {"id": 1, "item_id": 1}});
    let order = json!({"table": "parts", "where": {"id": 1}, "updates": {"ordered": 3}});
    let items = json!({"table": "items", "include": {"parts": {}}, "where": {"id": 1}});
    call(&engine, "admin", "insert", part).await.unwrap();
    database.sql("ALTER TABLE parts ADD ordered integer").await;
    call(&engine, "admin", "update", order).await.unwrap();
    database.sql("ALTER TABLE parts ADD FOREIGN KEY (item_id) REFERENCES items").await;
    let reply = call(&engine, "analyst", "select", items).await.unwrap();
    assert_eq!(rows(&reply)[0]["parts"], json!([{"id": 1, "item_id": 1, "ordered": 3}]));

    // What is not there either way is answered with what there is by now.
    database.sql("CREATE TABLE partners (id integer)").await;
    let typed = json!({"table": "partner"});
    let error = call(&engine, "analyst", "select", typed).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unknown_table");
    assert!(error.get_did_you_mean().is_some_and(|near| near.contains("partners")), "{error}");
}
