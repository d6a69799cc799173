//! update: conditions, values, limits and versions.

mod computed;
mod version;

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

const THINGS: &str = "
    CREATE TABLE things (
        id integer PRIMARY KEY, name text, tags text[], counts integer[], meta jsonb, plain json,
        amount numeric(12,2), small smallint, big bigint, ratio double precision,
        day date DEFAULT '2020-02-02', at timestamptz, hour time
    );
    INSERT INTO things VALUES
        (1, 'one', '{a}', '{1,2}', '{\"k\": {\"x\": 1}, \"l\": [1]}', '{}', 10.50, 7, 9007199254740993, 0.5),
        (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
        (3, 'three', '{}', '{}', '[1]', NULL, 0, 0, 0, 0);";

async fn update(engine: &Engine, arguments: Value) -> Value {
    call(engine, "operator", "update", arguments).await.unwrap()
}

/// One row of `things` after an update by its id.
async fn thing(engine: &Engine, id: i32, updates: Value) -> Value {
    let arguments = json!({"table": "things", "where": {"id": id}, "updates": updates});
    rows(&update(engine, arguments).await)[0].clone()
}

#[tokio::test]
async fn a_row_is_changed_and_counted() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = update(
        &engine,
        json!({"table": "users", "where": {"email": "ada@example.com"},
               "updates": {"name": "Ada M.", "status": "suspended"},
               "returning": ["user_id", "name", "status", "version"]}),
    )
    .await;
    assert_eq!(
        reply,
        json!({"table": "public.users", "row_count": 1, "truncated": false, "next_cursor": null,
               "rows": [{"user_id": 1, "name": "Ada M.", "status": "suspended", "version": 2}]})
    );
    let none = update(
        &engine,
        json!({"table": "users", "where": {"user_id": 999}, "updates": {"name": "X"}}),
    )
    .await;
    assert_eq!((&none["row_count"], &none["rows"]), (&json!(0), &json!([])));
}

#[tokio::test]
async fn a_condition_is_required() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    for filter in [
        json!({}),
        json!({"and": [{}]}),
        json!({"or": [{}]}),
        json!({"not": {}}),
        // Every row meets one of these.
        json!({"or": [{"user_id": 1}, {}]}),
        json!({"or": [{"and": [{"user_id": 1}]}, {"and": [{}]}]}),
        json!({"orders": {"every": {}}}),
        json!({"user_id": {"not_in": []}}),
        json!({"name": {"contains": ""}}),
        json!({"name": {"starts_with": ""}, "country": {"ilike": "%%"}}),
        json!({"or": [{"user_id": 1}, {"country": {"not_in": []}}]}),
        json!({"not": {"user_id": {"in": []}}}),
        json!({"not": {"or": [{"user_id": {"in": []}}]}}),
        json!({"orders": {"none": {"user_id": {"in": []}}}}),
        json!({"orders": {"count": {"not_in": []}}}),
        json!({"not": {"orders": {"count": {"in": []}}}}),
        json!({"and": [{"or": [{}, {}]}, {"not": {"and": [{}]}}]}),
        Value::Null,
    ] {
        let arguments =
            json!({"table": "users", "where": filter, "updates": {"name": "X"}, "max_rows": 100});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, ("where_required".into(), "/where".into()), "{filter}");
        let arguments = json!({"table": "users", "where": filter, "max_rows": 100});
        for tool in ["archive", "restore", "delete"] {
            let found = refused(&engine, tool, arguments.clone()).await;
            assert_eq!(found, ("where_required".into(), "/where".into()), "{tool} {filter}");
        }
    }
    let absent = json!({"table": "users", "updates": {"name": "X"}});
    assert_eq!(refused(&engine, "update", absent).await.0, "where_required");
    let nothing = json!({"table": "users", "where": {"user_id": 1}, "updates": {}});
    assert_eq!(
        refused(&engine, "update", nothing).await,
        ("missing_value".into(), "/updates".into())
    );
    let changed = database.value("SELECT count(*)::text FROM users WHERE version > 1").await;
    assert_eq!(changed.unwrap(), "0");
}

#[tokio::test]
async fn no_more_rows_than_allowed_are_touched() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let arguments =
        json!({"table": "orders", "where": {"status": "pending"}, "updates": {"status": "paid"}});
    let reply = error(&engine, "operator", "update", arguments.clone()).await;
    assert_eq!(reply["code"], "too_many_rows");
    assert_eq!(reply["at"], "/where");
    assert_eq!(reply["row_count"], 5);
    assert!(reply["message"].as_str().unwrap().contains('5'), "{reply}");
    for most in [0, 4] {
        let mut arguments = arguments.clone();
        arguments["max_rows"] = json!(most);
        let reply = error(&engine, "operator", "update", arguments).await;
        assert_eq!((&reply["code"], &reply["row_count"]), (&json!("too_many_rows"), &json!(5)));
    }
    let pending = "SELECT count(*)::text FROM orders WHERE status = 'pending'";
    assert_eq!(database.value(pending).await.unwrap(), "5");
    for most in [json!(-1), json!("x"), json!(1.5)] {
        let mut arguments = arguments.clone();
        arguments["max_rows"] = most;
        assert_eq!(
            refused(&engine, "update", arguments).await,
            ("invalid_value".into(), "/max_rows".into())
        );
    }
    let mut arguments = arguments;
    arguments["max_rows"] = json!(u64::MAX);
    assert_eq!(update(&engine, arguments).await["row_count"], 5);
    assert_eq!(database.value(pending).await.unwrap(), "0");
}

#[tokio::test]
async fn related_rows_decide() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = update(
        &engine,
        json!({"table": "orders", "where": {"user": {"country": "DE"}, "status": "pending"},
               "updates": {"note": "Hallo"}, "returning": ["order_id", "note"]}),
    )
    .await;
    assert_eq!(reply["rows"], json!([{"order_id": 27, "note": "Hallo"}]));
    let reply = update(
        &engine,
        json!({"table": "users", "where": {"orders": {"some": {"total": {"gt": 480}}}}, "max_rows": 5,
               "updates": {"name": {"$append": " *"}}, "returning": ["user_id"]}),
    )
    .await;
    assert_eq!(reply["rows"], json!([{"user_id": 6}]));
}

#[tokio::test]
async fn a_dry_run_tells_before_and_after() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = update(
        &engine,
        json!({"table": "users", "where": {"user_id": {"in": [1, 2]}}, "updates": {"name": "X"}, "max_rows": 2,
               "returning": ["user_id", "name"], "dry_run": true}),
    )
    .await;
    assert_eq!(reply["dry_run"], true);
    assert_eq!(
        reply["before"],
        json!([{"user_id": 1, "name": "Ada Marsh"}, {"user_id": 2, "name": "Bruno Keller"}])
    );
    assert_eq!(reply["after"], json!([{"user_id": 1, "name": "X"}, {"user_id": 2, "name": "X"}]));
    let names = "SELECT count(*)::text FROM users WHERE name = 'X' OR version > 1";
    assert_eq!(database.value(names).await.unwrap(), "0");
}

#[tokio::test]
async fn archived_rows_are_left_alone_unless_asked_for() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let change = |archived: Option<&str>| {
        let mut arguments = json!({"table": "users", "where": {"country": {"in": ["PL", "GB"]}}, "updates": {"name": "N"}, "max_rows": 9});
        if let Some(archived) = archived {
            arguments["archived"] = json!(archived);
        }
        arguments
    };
    assert_eq!(update(&engine, change(None)).await["row_count"], 1);
    assert_eq!(update(&engine, change(Some("exclude"))).await["row_count"], 1);
    assert_eq!(update(&engine, change(Some("include"))).await["row_count"], 2);
    let only = update(&engine, change(Some("only"))).await;
    assert_eq!((&only["row_count"], &rows(&only)[0]["country"]), (&json!(1), &json!("PL")));
    let wrong = refused(&engine, "update", change(Some("all"))).await;
    assert_eq!(wrong, ("invalid_value".into(), "/archived".into()));
    let unarchived = json!({"table": "payments", "where": {"amount": 1}, "updates": {"amount": 2}, "archived": "only"});
    assert_eq!(
        refused(&engine, "update", unarchived).await,
        ("not_archivable".into(), "/archived".into())
    );
}

/// Which rows are changed is known by then.
#[tokio::test]
async fn computed_values_that_do_not_fit_are_refused_with_their_place() {
    let database = Database::of(
        "CREATE TABLE fits (id integer PRIMARY KEY, few char(2), small smallint, text text, large bigint);
         INSERT INTO fits VALUES (1, 'x', 1, 'long', 70000)",
    )
    .await;
    let engine = database.engine().await;
    for updates in [json!({"few": {"$column": "text"}}), json!({"small": {"$column": "large"}})] {
        let update = json!({"table": "fits", "where": {"id": 1}, "updates": updates});
        let (code, at) = refused(&engine, "update", update).await;
        assert_eq!(code, "invalid_value", "{updates}");
        assert!(at.starts_with("/updates"), "{updates}: {at}");
    }
    let update =
        json!({"table": "fits", "where": {"text": {"matches": "("}}, "updates": {"small": 1}});
    let refusal = ("invalid_value".to_owned(), "/where/text/matches".to_owned());
    assert_eq!(refused(&engine, "update", update).await, refusal);
}
