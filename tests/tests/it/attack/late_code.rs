//! Code that gets into the database while the server runs, and what it leaves in a connection of the pool.

use std::sync::Arc;
use std::time::Duration;

use mcp_pg_core::Principal;
use mcp_pg_tests::{Database, call_as};
use serde_json::json;
use tokio::time::sleep;

use super::session::{FIXTURE, engine, films};

/// The settings that the session's code makes are not there for the next caller, even if the code was found while the call that
/// ran it waited for the only connection.
#[tokio::test]
async fn code_that_is_found_while_a_call_waits_leaves_nothing() {
    let database = Database::of(FIXTURE).await;
    let more = "DROP TRIGGER on_loan ON loan;
        CREATE VIEW slow AS SELECT pg_sleep(3)::text AS slept;
        GRANT SELECT ON slow TO attack_session";
    database.sql(more).await;
    let engine = Arc::new(engine(&database).await);
    let follower = engine.clone();
    tokio::spawn(async move { follower.follow(Duration::from_millis(50)).await });
    let caller = || Principal::new("mallory", "movies");
    let spawn = |tool: &'static str, arguments: serde_json::Value| {
        let engine = engine.clone();
        tokio::spawn(async move { call_as(&engine, &caller(), tool, arguments).await })
    };
    sleep(Duration::from_millis(500)).await;
    let reading = spawn("select", json!({"table": "slow"}));
    let sleeping = "SELECT (count(*) > 0)::text FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event = 'PgSleep'";
    database.until(sleeping, "true").await;
    let add = "CREATE TRIGGER on_loan AFTER UPDATE ON loan FOR EACH ROW EXECUTE FUNCTION on_loan()";
    database.sql(add).await;
    // The follower looks, and waits for the connection.
    sleep(Duration::from_millis(700)).await;
    let update = json!({"table": "loan", "where": {"id": 1}, "updates": {"note": "x"}});
    let writing = spawn("update", update);
    reading.await.unwrap().unwrap();
    writing.await.unwrap().unwrap();
    for _ in 0..3 {
        assert_eq!(films(&engine, "unset").await, 0);
    }
}

/// What is written through a view may be a table of a schema that is not served.
#[tokio::test]
async fn code_in_another_schema_leaves_nothing_once_it_is_there() {
    const KEEP: &str = "CREATE FUNCTION keep(text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS
        $$ BEGIN PERFORM public.settle(); RETURN true; END $$;
        CREATE FUNCTION keep() RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM public.settle(); RETURN 'x'; END $$;";
    for place in [
        "ALTER TABLE hid.base ALTER extra SET DEFAULT keep()",
        "ALTER TABLE hid.base ALTER extra SET DEFAULT 'x'; ALTER TABLE hid.base ALTER extra SET DEFAULT keep()",
        "ALTER TABLE hid.base ADD CHECK (keep(extra)) NOT VALID",
        "CREATE INDEX ON hid.base (keep(extra))",
        "CREATE INDEX ON hid.base (id) WHERE keep(extra)",
        "ALTER TABLE hid.base ADD made boolean GENERATED ALWAYS AS (keep(extra)) STORED",
    ] {
        let database = Database::of(FIXTURE).await;
        let more = "DROP TRIGGER on_loan ON loan; CREATE SCHEMA hid;
            CREATE TABLE hid.base (id serial PRIMARY KEY, name text, extra text);
            CREATE VIEW seen AS SELECT id, name FROM hid.base;
            GRANT SELECT, INSERT ON seen TO attack_session; GRANT USAGE ON SCHEMA hid TO attack_session;
            GRANT USAGE ON SEQUENCE hid.base_id_seq TO attack_session";
        database.sql(&format!("{KEEP}{more}")).await;
        let engine = Arc::new(engine(&database).await);
        let follower = engine.clone();
        tokio::spawn(async move { follower.follow(Duration::from_millis(50)).await });
        sleep(Duration::from_millis(300)).await;
        database.sql(place).await;
        sleep(Duration::from_millis(1500)).await;
        let caller = Principal::new("mallory", "movies");
        let insert = json!({"table": "seen", "data": {"name": "x"}});
        call_as(&engine, &caller, "insert", insert).await.unwrap();
        for _ in 0..3 {
            assert_eq!(films(&engine, "unset").await, 0, "{place}");
        }
    }
}
