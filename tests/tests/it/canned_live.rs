//! Canned queries whose files, functions or tables change while the engine runs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_tests::{Database, call, error, until};
use serde_json::json;

use crate::canned::{directory, faults, names, settings};

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_form() {
    let database = Database::of("CREATE TABLE t (id integer); INSERT INTO t VALUES (1)").await;
    let files = directory([("ids.sql", "SELECT id FROM t"), ("gone.sql", "SELECT 1 AS one")]);
    let engine = database.engine_with(settings(files.clone())).await;
    assert_eq!(names(&engine, "analyst"), ["gone", "ids"]);
    assert!(!engine.reload().await.unwrap(), "nothing has changed");

    std::fs::write(files.join("ids.sql"), "SELECT di FROM t").unwrap();
    std::fs::write(files.join("new.sql"), "SELECT id + 1 AS next FROM t").unwrap();
    std::fs::remove_file(files.join("gone.sql")).unwrap();
    assert!(engine.reload().await.unwrap());
    assert_eq!(names(&engine, "analyst"), ["ids", "new"]);
    let faults = engine.faults();
    assert!(faults[0].served && faults[0].to_string().contains("ids.sql:1:8: column \"di\""));
    let reply = call(&engine, "analyst", "ids", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 1}]));

    std::fs::write(files.join("ids.sql"), "SELECT id AS key FROM t").unwrap();
    engine.reload().await.unwrap();
    let reply = call(&engine, "analyst", "ids", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"key": 1}]));
    assert!(engine.faults().is_empty());

    // The table changes under the query: it is described anew.
    database.sql("ALTER TABLE t ALTER id TYPE text").await;
    let reply = call(&engine, "analyst", "ids", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"key": "1"}]));
}

/// As during a migration.
#[tokio::test]
async fn a_query_whose_table_is_locked_is_there_once_it_is_free() {
    let database = Database::of("CREATE TABLE t (id integer)").await;
    let mut settings = settings(directory([("ids.sql", "SELECT id FROM t")]));
    settings.timeouts.lock = Duration::from_millis(100);
    let holder = database.client().await;
    for command in ["BEGIN", "LOCK TABLE t"] {
        holder.execute(command, &[]).await.unwrap();
    }
    let engine = Arc::new(database.engine_with(settings).await);
    assert_eq!(names(&engine, "analyst"), [""; 0]);
    let followed = engine.clone();
    let following = tokio::spawn(async move { followed.follow(Duration::from_millis(100)).await });
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(faults(&engine)[0].contains("lock timeout"), "{:?}", faults(&engine));
    holder.execute("COMMIT", &[]).await.unwrap();
    until("the query is there", async || names(&engine, "analyst") == ["ids"]).await;
    assert!(engine.faults().is_empty());
    following.abort();
}

/// Each try waits for the lock, and nothing else is noticed meanwhile.
#[tokio::test]
async fn a_query_whose_table_stays_locked_is_not_tried_at_each_poll() {
    let database = Database::of("CREATE TABLE t (id integer)").await;
    let mut settings = settings(directory([("ids.sql", "SELECT id FROM t")]));
    settings.timeouts.lock = Duration::from_millis(300);
    let holder = database.client().await;
    for command in ["BEGIN", "LOCK TABLE t"] {
        holder.execute(command, &[]).await.unwrap();
    }
    let engine = Arc::new(database.engine_with(settings).await);
    let following = tokio::spawn(async move { engine.follow(Duration::from_millis(50)).await });
    let waiting = "SELECT min(query_start)::text FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let mut tries = BTreeSet::new();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(4) {
        tries.extend(database.value(waiting).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((1..=2).contains(&tries.len()), "{tries:?}");
    following.abort();
}

#[tokio::test]
async fn a_call_ends_on_the_file_that_it_began_with() {
    let database = Database::empty().await;
    let waits = "SELECT pg_advisory_xact_lock_shared(7)::text AS held, 'old' AS text";
    let files = directory([("gone.sql", waits), ("other.sql", waits)]);
    let engine = database.engine_with(settings(files.clone())).await;
    for (name, text) in [("gone", None), ("other", Some("SELECT 'new' AS text"))] {
        let holder = database.client().await;
        holder.execute("SELECT pg_advisory_lock(7)", &[]).await.unwrap();
        let changing = async {
            database.until_blocked(1).await;
            let file = files.join(format!("{name}.sql"));
            match text {
                None => std::fs::remove_file(file).unwrap(),
                Some(text) => std::fs::write(file, text).unwrap(),
            }
            assert!(engine.reload().await.unwrap());
            drop(holder);
        };
        let (reply, ()) = tokio::join!(call(&engine, "analyst", name, json!({})), changing);
        assert_eq!(reply.unwrap()["rows"], json!([{"held": "", "text": "old"}]));
    }

    let gone = error(&engine, "analyst", "gone", json!({})).await;
    assert_eq!(gone["code"], "unknown_argument");
    assert!(!gone["allowed"].as_array().unwrap().contains(&json!("gone")));
    let other = call(&engine, "analyst", "other", json!({})).await.unwrap();
    assert_eq!(other["rows"], json!([{"text": "new"}]));
}

#[tokio::test]
async fn a_query_that_the_schema_has_left_is_told_and_costs_no_reading_of_the_schema() {
    let database = Database::of("CREATE TABLE t (id integer, n integer)").await;
    let files = directory([("ns.sql", "SELECT n FROM t")]);
    let engine = database.engine_with(settings(files.clone())).await;
    database.sql("ALTER TABLE t RENAME n TO number").await;
    for name in ["first", "second"] {
        let refused = error(&engine, "analyst", "ns", json!({})).await;
        assert_eq!(refused["code"], "database_error");
        assert_eq!(refused["message"], "the query no longer fits the database");
        // A file that is new would be found by a reading.
        std::fs::write(files.join(format!("{name}.sql")), "SELECT 1 AS one").unwrap();
    }
    assert_eq!(names(&engine, "analyst"), ["ns"]);
    database.sql("ALTER TABLE t RENAME number TO n").await;
    call(&engine, "analyst", "ns", json!({})).await.unwrap();
    std::fs::write(files.join("ns.sql"), "SELECT number FROM t").unwrap();
    database.sql("ALTER TABLE t RENAME n TO number").await;
    call(&engine, "analyst", "ns", json!({})).await.unwrap();
    assert_eq!(names(&engine, "analyst"), ["first", "ns", "second"]);
}

/// `*` means other columns then, and the statement is not prepared anew for each call.
#[tokio::test]
async fn values_keep_their_columns_names_when_the_table_changes() {
    const SCHEMA: &str = "
CREATE TABLE t (id integer PRIMARY KEY, salary integer, q integer, wait interval);
INSERT INTO t VALUES (1, 5000, 10, '1 day');
CREATE VIEW shown AS SELECT id, salary, q FROM t;
CREATE FUNCTION read() RETURNS SETOF t LANGUAGE plpgsql STABLE AS 'BEGIN RETURN QUERY TABLE t; END';
CREATE FUNCTION wrote() RETURNS SETOF t LANGUAGE plpgsql AS 'BEGIN RETURN QUERY TABLE t; END';
COMMENT ON FUNCTION read IS '@tool';
COMMENT ON FUNCTION wrote IS '@tool';
";
    let files = directory([
        ("all.sql", "SELECT * FROM t"),
        ("whole.sql", "WITH a AS (TABLE t) SELECT a.* FROM a"),
        ("two.sql", "SELECT * FROM t JOIN (VALUES (1, 2)) AS v (one, other) ON one = id"),
        ("view.sql", "TABLE shown"),
        ("change.sql", "-- @writes\nUPDATE t SET id = id RETURNING *"),
        ("plain.sql", "-- @writes\nUPDATE t SET id = id RETURNING id, t.salary, q"),
        ("part.sql", "-- @writes\nWITH a AS (UPDATE t SET id = id RETURNING *) SELECT * FROM a"),
    ]);
    for tool in ["all", "whole", "two", "view", "change", "plain", "part", "read", "wrote"] {
        for before in [0, 1, 3] {
            let database = Database::of(SCHEMA).await;
            if ["change", "part"].contains(&tool) {
                // With an interval, which is read as a text, the statement would be put into another.
                database.sql("ALTER TABLE t DROP wait").await;
            }
            let mut settings = settings(files.clone());
            settings.queries.functions = vec!["public".into()];
            let engine = database.engine_with(settings).await;
            for _ in 0..before {
                let reply = call(&engine, "admin", tool, json!({})).await.unwrap();
                assert_eq!(reply["rows"][0]["salary"], 5000, "{tool}");
            }
            let anew = "DROP VIEW shown; ALTER TABLE t DROP salary;
                ALTER TABLE t ADD salary integer DEFAULT 777; CREATE VIEW shown AS SELECT salary, q, id FROM t";
            database.sql(anew).await;
            let reply = call(&engine, "admin", tool, json!({})).await.unwrap();
            let row = &reply["rows"][0];
            assert_eq!((&row["salary"], &row["q"]), (&json!(777), &json!(10)), "{tool}: {reply}");
            if !["plain", "two"].contains(&tool) {
                database.sql("DROP VIEW shown; ALTER TABLE t DROP q").await;
                let reply = call(&engine, "admin", tool, json!({})).await;
                match tool {
                    "view" => assert_eq!(reply.unwrap_err().code().as_str(), "database_error"),
                    _ => {
                        let reply = reply.unwrap();
                        assert_eq!(reply["rows"][0].get("q"), None, "{tool}: {reply}");
                        assert_eq!(reply["rows"][0]["salary"], 777, "{tool}: {reply}");
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_file_cannot_take_a_built_in_tools_name_at_run_time() {
    let database = Database::of("CREATE TABLE t (id integer); INSERT INTO t VALUES (1)").await;
    let files = directory([("ids.sql", "SELECT 'canned' AS id")]);
    let engine = database.engine_with(settings(files.clone())).await;
    std::fs::rename(files.join("ids.sql"), files.join("select.sql")).unwrap();
    engine.reload().await.unwrap();
    assert_eq!(names(&engine, "analyst"), [] as [&str; 0]);
    assert!(faults(&engine)[0].starts_with("select.sql"), "{:?}", faults(&engine));
    let reply = call(&engine, "analyst", "select", json!({"table": "t"})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 1}]));
}

#[tokio::test]
async fn a_function_goes_with_the_right_to_execute_it() {
    const FUNCTION: &str = "
CREATE FUNCTION answer() RETURNS integer LANGUAGE sql STABLE AS 'SELECT 42';
COMMENT ON FUNCTION answer IS '@tool
@roles clerk';
DO $$ BEGIN CREATE ROLE canned_clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN END $$;
REVOKE EXECUTE ON FUNCTION answer FROM PUBLIC;
GRANT EXECUTE ON FUNCTION answer TO canned_clerk;
";
    let database = Database::of(FUNCTION).await;
    let mut settings = Settings::default();
    settings.queries.functions = vec!["public".into()];
    let mut clerk = Role::everywhere("clerk", [Action::Select]);
    clerk.database_role = Some("canned_clerk".into());
    settings.roles.push(clerk);
    let engine = database.engine_with(settings).await;
    assert_eq!(names(&engine, "clerk"), ["answer"]);
    let reply = call(&engine, "clerk", "answer", json!({})).await.unwrap();
    assert_eq!(reply["rows"], json!([{"answer": 42}]));

    database.sql("REVOKE EXECUTE ON FUNCTION answer FROM canned_clerk").await;
    // Before anyone has looked: PostgreSQL itself refuses.
    let refused = error(&engine, "clerk", "answer", json!({})).await;
    assert!(refused["code"] == "forbidden" || refused["code"] == "unknown_argument", "{refused}");
    assert!(engine.reload().await.unwrap() || names(&engine, "clerk").is_empty());
    assert_eq!(names(&engine, "clerk"), [] as [&str; 0]);
}

#[tokio::test]
async fn a_character_that_the_database_lacks_is_a_fault_of_its_file() {
    let database = Database::encoded("LATIN1", "CREATE TABLE t (id integer)").await;
    let files = [("arrow.sql", "SELECT '→' AS x"), ("plain.sql", "SELECT 'é' AS x")];
    let engine = database.engine_with(settings(directory(files))).await;
    assert_eq!(call(&engine, "admin", "plain", json!({})).await.unwrap()["rows"][0]["x"], "é");
    let faults = engine.faults();
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert!(fault.place.ends_with("arrow.sql") && fault.message.contains("LATIN1"), "{fault}");
}
