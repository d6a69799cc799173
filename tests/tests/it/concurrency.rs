//! Concurrent callers: lost updates, retries, locks, abandoned calls, timeouts.

use std::pin::pin;
use std::time::Duration;

use futures_util::future::join_all;
use mcp_pg_core::Settings;
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::{Value, json};

const ACCOUNTS: &str = "
    CREATE TABLE accounts (id integer PRIMARY KEY, owner text NOT NULL, balance integer NOT NULL);
    INSERT INTO accounts VALUES (1, 'ada', 100), (2, 'ada', 100), (3, 'bob', 0);
    CREATE VIEW slow AS SELECT id, pg_sleep(60)::text AS nothing FROM accounts;
    CREATE TABLE slow_writes (id integer PRIMARY KEY);
    CREATE FUNCTION sleep() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(60); RETURN NEW; END';
    CREATE TRIGGER sleep BEFORE INSERT ON slow_writes FOR EACH ROW EXECUTE FUNCTION sleep();";

#[tokio::test]
async fn increments_of_many_callers_all_count() {
    let one =
        json!({"table": "accounts", "where": {"id": 3}, "updates": {"balance": {"$increment": 1}}});
    increments_count(one).await;
    // The same of rows that are named one by one.
    let rows: Vec<Value> =
        (1..=3).map(|id| json!({"id": id, "balance": {"$increment": 1}})).collect();
    increments_count(json!({"table": "accounts", "updates": rows, "max_rows": 3})).await;
}

/// Adds one to the balance of account 3 for many callers at once.
async fn increments_count(update: Value) {
    let database = Database::of(ACCOUNTS).await;
    let engine = database.engine().await;
    let add = || call(&engine, "operator", "update", update.clone());
    for reply in join_all((0..60).map(|_| add())).await {
        reply.unwrap();
    }
    let balance = database.value("SELECT balance::text FROM accounts WHERE id = 3").await.unwrap();
    assert_eq!(balance, "60");
}

#[tokio::test]
async fn without_retries_a_collision_is_told() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    settings.concurrency.retries = 0;
    let engine = database.engine_with(settings).await;
    let update =
        json!({"table": "accounts", "where": {"id": 3}, "updates": {"balance": {"$increment": 1}}});
    let replies =
        join_all((0..40).map(|_| call(&engine, "operator", "update", update.clone()))).await;
    let done = replies.iter().filter(|reply| reply.is_ok()).count();
    for error in replies.iter().filter_map(|reply| reply.as_ref().err()) {
        assert_eq!(error.code().as_str(), "serialization_failure", "{error}");
        assert!(error.is_retryable());
    }
    let balance = database.value("SELECT balance::text FROM accounts WHERE id = 3").await.unwrap();
    assert_eq!(balance, done.to_string());
}

#[tokio::test]
async fn of_two_writers_with_one_version_one_wins() {
    let database = Database::shop().await;
    let (first, second) = (database.engine().await, database.engine().await);
    for round in 1..=5 {
        let change = |name: &str| json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": name}, "if_version": round});
        let (one, two) = tokio::join!(
            call(&first, "operator", "update", change("one")),
            call(&second, "operator", "update", change("two")),
        );
        let (won, lost) = match (one, two) {
            (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
            other => panic!("{other:?}"),
        };
        assert_eq!(lost.code().as_str(), "conflict", "{lost}");
        assert_eq!(rows(&won)[0]["version"], round + 1);
    }
}

#[tokio::test]
async fn write_skew_is_refused_and_retried() {
    // Each may take from one account as long as both together hold enough: a rule that only
    // serializable transactions keep.
    let database = Database::of(ACCOUNTS).await;
    let (first, second) = (database.engine().await, database.engine().await);
    let take = |id: i32| {
        json!({"operations": [
            {"operation": "select", "table": "accounts", "where": {"owner": "ada"}},
            {"operation": "update", "table": "accounts", "where": {"id": id}, "updates": {"balance": {"$increment": -50}}},
        ]})
    };
    for _ in 0..5 {
        let (one, two) = tokio::join!(
            call(&first, "operator", "transaction", take(1)),
            call(&second, "operator", "transaction", take(2)),
        );
        for reply in [one, two] {
            match reply {
                Ok(reply) => {
                    // Whoever came second has seen what the first one did.
                    assert_eq!(reply["committed"], true);
                }
                Err(error) => assert_eq!(error.code().as_str(), "serialization_failure"),
            }
        }
    }
}

#[tokio::test]
async fn a_held_lock_is_waited_for_and_given_up() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    settings.timeouts.lock = Duration::from_millis(150);
    let engine = database.engine_with(settings).await;
    let mut other = database.client().await;
    let held = other.transaction().await.unwrap();
    held.execute("UPDATE accounts SET balance = 1 WHERE id = 1", &[]).await.unwrap();
    let change = json!({"table": "accounts", "where": {"id": 1}, "updates": {"balance": 5}});
    let reply = error(&engine, "operator", "update", change.clone()).await;
    assert_eq!((&reply["code"], &reply["sqlstate"]), (&json!("timeout"), &json!("55P03")));
    assert_eq!(reply["retryable"], true);
    // Other rows are free.
    let other_row = json!({"table": "accounts", "where": {"id": 2}, "updates": {"balance": 5}});
    call(&engine, "operator", "update", other_row).await.unwrap();
    held.rollback().await.unwrap();
    call(&engine, "operator", "update", change).await.unwrap();
}

#[tokio::test]
async fn two_callers_that_lock_each_other_out_are_told_apart() {
    let database = Database::of(ACCOUNTS).await;
    let engine = database.engine().await;
    let both = |first: i32, second: i32| {
        json!({"isolation": "read_committed", "operations": [
            {"operation": "update", "table": "accounts", "where": {"id": first}, "updates": {"balance": {"$increment": 1}}},
            {"operation": "update", "table": "accounts", "where": {"id": second}, "updates": {"balance": {"$increment": 1}}},
        ]})
    };
    let (one, two) = tokio::join!(
        call(&engine, "operator", "transaction", both(1, 2)),
        call(&engine, "operator", "transaction", both(2, 1)),
    );
    let done = one.is_ok() as i32 + two.is_ok() as i32;
    assert!(done >= 1, "{one:?} {two:?}");
    let balance = database.value("SELECT balance::text FROM accounts WHERE id = 1").await.unwrap();
    assert_eq!(balance, (100 + done).to_string());
}

/// Waits until no statement of the engine runs or waits in the database, and none is left in a transaction.
async fn quiet(database: &Database) {
    let busy = "SELECT count(*)::text FROM pg_stat_activity WHERE datname = current_database() \
                AND pid <> pg_backend_pid() AND state <> 'idle'";
    let quiet = database.until(busy, "0");
    tokio::time::timeout(Duration::from_secs(5), quiet).await.expect("abandoned statements end");
}

#[tokio::test]
async fn an_abandoned_call_is_cancelled_in_the_database() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 2;
    let engine = database.engine_with(settings).await;
    for (tool, arguments) in [
        ("select", json!({"table": "slow"})),
        ("insert", json!({"table": "slow_writes", "data": {"id": 1}})),
        ("insert", json!({"table": "slow_writes", "data": [{"id": 1}, {"id": 2}]})),
        ("transaction", json!({"operations": [{"operation": "select", "table": "slow"}]})),
    ] {
        let sleeping = async {
            let asleep = "SELECT count(*)::text FROM pg_stat_activity \
                          WHERE datname = current_database() AND wait_event = 'PgSleep'";
            database.until(asleep, "1").await;
        };
        tokio::select! {
            reply = call(&engine, "operator", tool, arguments) => panic!("{reply:?}"),
            () = sleeping => {}
        }
        quiet(&database).await;
    }
    // As many good calls as there are connections, and more.
    let good = || call(&engine, "operator", "select", json!({"table": "accounts"}));
    for reply in join_all((0..6).map(|_| good())).await {
        assert_eq!(rows(&reply.unwrap()).len(), 3);
    }
    assert_eq!(database.value("SELECT count(*)::text FROM slow_writes").await.unwrap(), "0");
}

#[tokio::test]
async fn a_slow_statement_is_stopped() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    // Long enough for a busy machine to read the schema.
    settings.timeouts.statement = Duration::from_secs(2);
    let engine = database.engine_with(settings).await;
    for (tool, arguments) in [
        ("select", json!({"table": "slow"})),
        ("insert", json!({"table": "slow_writes", "data": {"id": 1}})),
    ] {
        let reply = error(&engine, "operator", tool, arguments).await;
        assert_eq!(
            (&reply["code"], &reply["retryable"]),
            (&json!("timeout"), &json!(true)),
            "{tool}"
        );
    }
    let good = call(&engine, "operator", "select", json!({"table": "accounts"})).await.unwrap();
    assert_eq!(good["row_count"], 3);
}

#[tokio::test]
async fn a_full_pool_is_told_within_its_wait() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    settings.timeouts.pool = Duration::from_millis(100);
    settings.timeouts.statement = Duration::from_secs(4);
    let engine = database.engine_with(settings).await;
    let mut slow = pin!(call(&engine, "operator", "select", json!({"table": "slow"})));
    let good = || call(&engine, "operator", "select", json!({"table": "accounts"}));
    // The slow call has the only connection by then, since it is polled first.
    let error = tokio::select! {
        biased;
        ended = &mut slow => panic!("{ended:?}"),
        refused = good() => refused.unwrap_err(),
    };
    assert_eq!(error.code().as_str(), "database_unavailable");
    assert!(error.is_retryable());
    assert_eq!(slow.await.unwrap_err().code().as_str(), "timeout");
    good().await.unwrap();
}

#[tokio::test]
async fn a_refused_write_gives_its_connection_back() {
    let database = Database::of(ACCOUNTS).await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    let pid = |reply: Value| reply["rows"][0]["pid"].clone();
    database.sql("CREATE VIEW me AS SELECT pg_backend_pid() AS pid").await;
    engine.reload().await.unwrap();
    let me = || call(&engine, "operator", "select", json!({"table": "me"}));
    let before = pid(me().await.unwrap());
    let twice = json!({"table": "accounts", "data": [{"id": 9, "owner": "x", "balance": 1}, {"id": 1, "owner": "x", "balance": 1}]});
    assert_eq!(error(&engine, "operator", "insert", twice).await["code"], "unique_violation");
    let many = json!({"table": "accounts", "where": {"id": {"gt": 0}}, "updates": {"balance": 0}});
    assert_eq!(error(&engine, "operator", "update", many).await["code"], "too_many_rows");
    assert_eq!(pid(me().await.unwrap()), before);
}
