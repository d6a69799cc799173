//! update: which rows, what becomes of them, versions.

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
async fn numbers_are_incremented() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"small": {"$increment": -3}, "big": {"$increment": 2}, "amount": {"$increment": "0.25"},
               "ratio": {"$increment": 0.25}}),
    )
    .await;
    assert_eq!(row["small"], 4);
    assert_eq!(row["big"], "9007199254740995");
    assert_eq!(row["amount"], 10.75);
    assert_eq!(row["ratio"], 0.75);
    // Nothing plus something is still unknown.
    assert_eq!(thing(&engine, 2, json!({"small": {"$increment": 1}})).await["small"], Value::Null);
    for (updates, code, at) in [
        (json!({"small": {"$increment": 40_000}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": "x"}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": 1.5}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": null}}), "invalid_value", "/updates/small/$increment"),
        (json!({"name": {"$increment": 1}}), "invalid_value", "/updates/name/$increment"),
        (json!({"small": {"$increment": 32_767}}), "invalid_value", "/updates"),
    ] {
        let arguments = json!({"table": "things", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{updates}");
    }
}

#[tokio::test]
async fn lists_texts_and_json_grow() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"tags": {"$append": ["b", "c"]}, "counts": {"$append": 3}, "name": {"$append": "!"},
               "meta": {"$merge": {"k": {"y": 2}, "m": null}}}),
    )
    .await;
    assert_eq!(row["tags"], json!(["a", "b", "c"]));
    assert_eq!(row["counts"], json!([1, 2, 3]));
    assert_eq!(row["name"], "one!");
    assert_eq!(row["meta"], json!({"k": {"y": 2}, "l": [1], "m": null}));
    // What is added to nothing is all there is.
    let row = thing(
        &engine,
        2,
        json!({"tags": {"$append": "{x}"}, "counts": {"$append": [1]}, "name": {"$append": "new"},
               "meta": {"$merge": {"a": 1}}}),
    )
    .await;
    assert_eq!(row["tags"], json!(["{x}"]));
    assert_eq!(row["counts"], json!([1]));
    assert_eq!(row["name"], "new");
    assert_eq!(row["meta"], json!({"a": 1}));
    assert_eq!(
        thing(&engine, 3, json!({"meta": {"$append": [2, 3]}})).await["meta"],
        json!([1, 2, 3])
    );
    // What is no list is an element of one, and takes nothing away.
    for (old, added, expected) in [
        (json!([1]), json!({"a": 2}), json!([1, {"a": 2}])),
        (json!({"a": 1}), json!({"a": 2}), json!([{"a": 1}, {"a": 2}])),
        (json!(null), json!({"a": 2}), json!([{"a": 2}])),
        (json!([]), json!("x"), json!(["x"])),
        (json!([1]), json!({"$literal": [2]}), json!([1, 2])),
    ] {
        thing(&engine, 3, json!({"meta": {"$literal": old}})).await;
        let row = thing(&engine, 3, json!({"meta": {"$append": added}})).await;
        assert_eq!(row["meta"], expected, "{old} and {added}");
    }
    // What is no object has no members.
    for old in [json!([1]), json!("x"), json!(7), json!(false)] {
        thing(&engine, 3, json!({"meta": {"$literal": old}})).await;
        let merge = json!({"meta": {"$merge": {"a": 1}}});
        for (updates, at) in [
            (merge.clone(), "/updates/meta/$merge"),
            (
                json!([{"id": 1, "meta": {"$merge": {}}}, {"id": 3, "meta": merge["meta"]}]),
                "/updates/1/meta/$merge",
            ),
        ] {
            let by_key = updates.is_array();
            let filter = if by_key { json!({}) } else { json!({"id": {"gte": 3}}) };
            let arguments =
                json!({"table": "things", "where": filter, "updates": updates, "max_rows": 9});
            let told = error(&engine, "operator", "update", arguments).await;
            assert_eq!(
                (&told["code"], &told["at"]),
                (&json!("invalid_value"), &json!(at)),
                "{told}"
            );
            assert!(told["message"].as_str().unwrap().contains("meta is "), "{told}");
        }
        assert_eq!(thing(&engine, 3, json!({"name": "n"})).await["meta"], old);
    }
    for (updates, at) in [
        (json!({"small": {"$append": 1}}), "/updates/small/$append"),
        (json!({"plain": {"$append": 1}}), "/updates/plain/$append"),
        (json!({"plain": {"$merge": {}}}), "/updates/plain/$merge"),
        (json!({"meta": {"$merge": [1]}}), "/updates/meta/$merge"),
        (json!({"tags": {"$append": null}}), "/updates/tags/$append"),
        (json!({"counts": {"$append": ["x"]}}), "/updates/counts/$append/0"),
        (json!({"tags": {"$merge": {}}}), "/updates/tags/$merge"),
    ] {
        let arguments = json!({"table": "things", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, ("invalid_value".into(), at.into()), "{updates}");
    }
}

#[tokio::test]
async fn now_default_literal_and_null() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"day": {"$default": true}, "at": {"$now": true}, "hour": {"$now": true},
               "name": {"$default": true}, "tags": null, "meta": {"$literal": {"$now": true}}}),
    )
    .await;
    assert_eq!(row["day"], "2020-02-02");
    assert!(row["at"].as_str().unwrap() > "2025", "{row}");
    assert!(row["hour"].is_string());
    assert_eq!((&row["name"], &row["tags"]), (&Value::Null, &Value::Null));
    assert_eq!(row["meta"], json!({"$now": true}));
    // An object with other members is a value.
    assert_eq!(thing(&engine, 1, json!({"meta": {"a": 1}})).await["meta"], json!({"a": 1}));
}

/// JSON's null is a value, and SQL's is none: a reply shows both as null.
#[tokio::test]
async fn the_null_of_json() {
    let database = Database::of(
        "CREATE TABLE things (id integer PRIMARY KEY, doc jsonb NOT NULL, plain json);
         INSERT INTO things VALUES (1, '{}', NULL)",
    )
    .await;
    let engine = database.engine().await;
    let literal = json!({"$literal": null});
    let row = thing(&engine, 1, json!({"doc": literal, "plain": literal})).await;
    assert_eq!(row, json!({"id": 1, "doc": null, "plain": null}));
    let told = database.value("SELECT doc::text || coalesce(plain::text, '-') FROM things").await;
    assert_eq!(told.unwrap(), "nullnull");
    let reset = json!({"table": "things", "where": {"id": 1}, "updates": {"doc": Value::Null}});
    let told = error(&engine, "operator", "update", reset).await;
    assert_eq!(told["code"], "not_null_violation");
    assert!(told["hint"].as_str().unwrap().contains("$literal"), "{told}");
}

#[tokio::test]
async fn a_version_guards_against_lost_updates() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let seen = call(
        &engine,
        "operator",
        "select",
        json!({"table": "users", "where": {"user_id": 2}, "with_version": true}),
    )
    .await
    .unwrap();
    let version = rows(&seen)[0]["_version"].clone();
    assert_eq!(version, "1");
    let change = |version: &Value, name: &str| json!({"table": "users", "where": {"user_id": 2}, "updates": {"name": name}, "if_version": version});
    let first = update(&engine, change(&version, "First")).await;
    assert_eq!(rows(&first)[0]["version"], 2);
    let reply = error(&engine, "operator", "update", change(&version, "Second")).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("conflict"), &json!("/if_version")));
    assert_eq!(reply["retryable"], false);
    assert_eq!(reply["current"]["name"], "First");
    assert_eq!(reply["current"]["_version"], "2");
    // A number is as good as its digits.
    update(&engine, change(&json!(2), "Second")).await;
    for tool in ["archive", "delete"] {
        let arguments = json!({"table": "users", "where": {"user_id": 2}, "if_version": version});
        assert_eq!(refused(&engine, tool, arguments).await.0, "conflict", "{tool}");
    }
    // A row that is gone is a conflict, too.
    let mut gone = change(&json!("3"), "Third");
    gone["where"] = json!({"user_id": 2_000});
    assert_eq!(refused(&engine, "update", gone).await, ("conflict".into(), "/if_version".into()));
    let odd = json!({"table": "users", "where": {"user_id": 2}, "updates": {"name": "X"}, "if_version": [1]});
    assert_eq!(
        refused(&engine, "update", odd).await,
        ("invalid_value".into(), "/if_version".into())
    );
}

#[tokio::test]
async fn a_table_without_a_version_column_has_one_all_the_same() {
    let database = Database::of(THINGS).await;
    let engine = database.engine().await;
    let seen = json!({"table": "things", "where": {"id": 1}, "with_version": true});
    let version = call(&engine, "operator", "select", seen.clone()).await.unwrap();
    let version = rows(&version)[0]["_version"].clone();
    let change = json!({"table": "things", "where": {"id": 1}, "updates": {"name": "x"}, "if_version": version});
    update(&engine, change.clone()).await;
    let reply = error(&engine, "operator", "update", change.clone()).await;
    assert_eq!(reply["code"], "conflict");
    let mut change = change;
    change["if_version"] = reply["current"]["_version"].clone();
    update(&engine, change).await;
    database.sql("CREATE VIEW v AS SELECT id, name FROM things").await;
    engine.reload().await.unwrap();
    let view =
        json!({"table": "v", "where": {"id": 1}, "updates": {"name": "x"}, "if_version": "1"});
    assert_eq!(
        refused(&engine, "update", view).await,
        ("invalid_value".into(), "/if_version".into())
    );
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

#[tokio::test]
async fn every_change_has_a_version_whatever_the_column_called_version_holds() {
    let engine = Database::of(
        "CREATE TABLE app (id integer PRIMARY KEY, name text, version text);
         CREATE TABLE doc (id integer PRIMARY KEY, name text, version integer);
         INSERT INTO app VALUES (1, 'a', 'v1'); INSERT INTO doc VALUES (1, 'a', NULL);",
    )
    .await
    .engine()
    .await;
    for (table, version) in [("app", json!("v1")), ("doc", json!(1))] {
        let read = json!({"table": table, "with_version": true});
        let read = call(&engine, "admin", "select", read).await.unwrap();
        let update = json!({"table": table, "where": {"id": 1}, "updates": {"name": "b"},
            "if_version": rows(&read)[0]["_version"], "returning": ["version"]});
        let reply = call(&engine, "admin", "update", update.clone()).await.unwrap();
        assert_eq!(rows(&reply)[0]["version"], version, "{table}");
        let again = refused(&engine, "update", update).await;
        assert_eq!(again, ("conflict".into(), "/if_version".into()), "{table}");
    }
}
