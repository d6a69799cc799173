//! transaction: several operations, all or nothing.

mod commit;
mod reference;

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role};
use mcp_pg_core::request::{Insert, Step, Transaction, Update};
use mcp_pg_core::{Engine, Principal, Request, Settings};
use mcp_pg_tests::{Database, call, error, object, refused, rows};
use serde_json::{Value, json};

async fn transact(engine: &Engine, operations: Value) -> Value {
    call(engine, "admin", "transaction", json!({"operations": operations})).await.unwrap()
}

#[tokio::test]
async fn a_user_and_its_preferences_are_created_together_archived_and_restored() {
    let engine = Database::shop().await.engine().await;
    let reply = call(
        &engine,
        "operator",
        "transaction",
        json!({"operations": [
            {"operation": "insert", "as": "user", "table": "users",
             "data": {"email": "new.user@example.com", "name": "Ada", "country": "GB"}},
            {"operation": "insert", "table": "user_preferences",
             "data": {"user_id": {"$ref": "user.user_id"}}},
        ]}),
    )
    .await
    .unwrap();
    assert_eq!(reply["committed"], true, "{reply}");
    let id = reply["results"][0]["rows"][0]["user_id"].clone();
    assert_eq!(reply["results"][1]["rows"][0]["user_id"], id);

    let one = json!({"table": "users", "where": {"user_id": id}});
    call(&engine, "operator", "archive", one.clone()).await.unwrap();
    let gone = call(&engine, "operator", "select", one.clone()).await.unwrap();
    assert!(rows(&gone).is_empty());
    call(&engine, "operator", "restore", one.clone()).await.unwrap();
    let back = call(&engine, "operator", "select", one).await.unwrap();
    assert_eq!(rows(&back).len(), 1);
}

#[tokio::test]
async fn one_failure_undoes_all() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let before = json!({"operation": "update", "table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
    for (operation, code, at) in [
        (
            json!({"operation": "insert", "table": "users",
                   "data": [{"email": "n@x.de", "name": "N", "country": "DE"},
                            {"email": "ada@example.com", "name": "N", "country": "DE"}]}),
            "unique_violation",
            "/operations/1/data/1/email",
        ),
        (
            json!({"operation": "insert", "table": "reviews", "data": {"product_id": 999, "user_id": 1, "rating": 5}}),
            "foreign_key_violation",
            "/operations/1/data/product_id",
        ),
        (
            json!({"operation": "update", "table": "users", "where": {"status": "active"}, "updates": {"name": "Y"}}),
            "too_many_rows",
            "/operations/1/where",
        ),
        (
            json!({"operation": "update", "table": "users", "where": {"user_id": 2}, "updates": {"nam": "Y"}}),
            "unknown_column",
            "/operations/1/updates/nam",
        ),
        (
            json!({"operation": "update", "table": "users", "where": {"user_id": 2}, "updates": {"name": "Y"}, "if_version": 9}),
            "conflict",
            "/operations/1/if_version",
        ),
        (
            json!({"operation": "delete", "table": "users", "where": {}}),
            "where_required",
            "/operations/1/where",
        ),
        (
            json!({"operation": "archive", "table": "payments", "where": {"amount": 1}}),
            "not_archivable",
            "/operations/1/table",
        ),
        (
            json!({"operation": "delete", "table": "userz", "where": {"user_id": 1}}),
            "unknown_table",
            "/operations/1/table",
        ),
        (
            json!({"operation": "upsert", "table": "users"}),
            "invalid_value",
            "/operations/1/operation",
        ),
        (
            json!({"operation": "transaction", "operations": []}),
            "invalid_value",
            "/operations/1/operation",
        ),
        (json!({"operation": "insert", "data": {}}), "missing_value", "/operations/1/table"),
        (json!({"table": "users", "data": {}}), "missing_value", "/operations/1/operation"),
        (
            json!({"operation": "insert", "table": "users", "data": {}, "dry_run": true}),
            "unknown_argument",
            "/operations/1/dry_run",
        ),
        (
            json!({"operation": "insert", "table": "users", "rows": []}),
            "unknown_argument",
            "/operations/1/rows",
        ),
        (json!("insert"), "invalid_value", "/operations/1"),
    ] {
        let arguments = json!({"operations": [before, operation]});
        let found = refused(&engine, "transaction", arguments).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{operation}");
    }
    let twice = json!([
        {"operation": "select", "as": "a", "table": "users"}, {"operation": "select", "as": "a", "table": "users"}]);
    let found = refused(&engine, "transaction", json!({"operations": twice})).await;
    assert_eq!(found, ("invalid_value".into(), "/operations/1/as".into()));
    assert_eq!(
        database.value("SELECT count(*)::text FROM users WHERE version > 1").await.unwrap(),
        "0"
    );
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
    // And the next good one works.
    assert_eq!(transact(&engine, json!([before])).await["committed"], true);
}

#[tokio::test]
async fn rights_hold_inside() {
    let grant = |table: &str, actions: &[Action]| Grant {
        tables: vec![table.to_owned()],
        actions: actions.iter().copied().collect(),
        ..Grant::default()
    };
    let users = Grant {
        columns: ColumnRules {
            exclude: vec!["email".into()],
            writable: Some(vec!["name".into()]),
            mask: [("country".to_owned(), Mask::Full)].into(),
            ..ColumnRules::default()
        },
        rows: Some(object(json!({"user_id": {"lt": 3}}))),
        ..grant("public.users", &[Action::Select, Action::Update])
    };
    let clerk = Role {
        name: "clerk".into(),
        grants: vec![users, grant("public.reviews", &[Action::Select])],
        ..Role::default()
    };
    let database = Database::shop().await;
    let engine = database.engine_with(Settings { roles: vec![clerk], ..Settings::default() }).await;
    let first = json!({"operation": "update", "as": "u", "table": "users", "where": {"user_id": 1},
        "updates": {"name": "X"}});
    let update = |condition: Value, updates: Value| json!({"operation": "update", "table": "users", "where": condition, "updates": updates});
    let own = || json!({"user_id": 1});
    for (second, code) in [
        (json!({"operation": "delete", "table": "users", "where": {"user_id": 1}}), "forbidden"),
        (
            json!({"operation": "update", "table": "reviews", "where": {"review_id": 1}, "updates": {"rating": 1}}),
            "forbidden",
        ),
        (json!({"operation": "select", "table": "orders"}), "unknown_table"),
        (json!({"operation": "select", "table": "users", "where": {"country": "GB"}}), "forbidden"),
        (update(own(), json!({"email": "x@example.com"})), "unknown_column"),
        (update(own(), json!({"status": "active"})), "read_only_column"),
        (update(own(), json!({"name": {"$ref": "u.email"}})), "unknown_column"),
        (update(json!({"email": {"like": "a%"}}), json!({"name": "Y"})), "unknown_column"),
    ] {
        let operations = json!({"operations": [first, second]});
        let told = error(&engine, "clerk", "transaction", operations).await;
        assert_eq!(told["code"], code, "{second}: {told}");
        assert!(told["at"].as_str().unwrap().starts_with("/operations/1"), "{second}: {told}");
    }
    // Rows of others are not there, and what is masked stays so.
    let names = "SELECT string_agg(name, ', ' ORDER BY user_id) FROM users WHERE user_id <= 3";
    let before = database.value(names).await.unwrap();
    assert!(!before.starts_with('X'), "{before}");
    let others = json!({"operations": [
        first, update(json!({"user_id": 3}), json!({"name": "Y"})),
        update(json!({"user_id": 2}), json!({"name": {"$ref": "u.country"}}))]});
    let told = error(&engine, "clerk", "transaction", others).await;
    let place = "/operations/2/updates/name/$ref";
    assert_eq!((&told["code"], &told["at"]), (&json!("forbidden"), &json!(place)), "{told}");
    let others =
        json!({"operations": [first, update(json!({"user_id": 3}), json!({"name": "Y"}))]});
    let reply = call(&engine, "clerk", "transaction", others).await.unwrap();
    assert_eq!(reply["results"][1]["row_count"], 0, "{reply}");
    let after = database.value(names).await.unwrap();
    assert_eq!(after, format!("X, {}", before.split_once(", ").unwrap().1));
}

#[tokio::test]
async fn a_transaction_has_bounds() {
    let engine = Database::shop().await.engine().await;
    let one = json!({"operation": "select", "table": "users", "limit": 1});
    let many: Vec<Value> = vec![one; 101];
    for (arguments, code, at) in [
        (json!({"operations": []}), "missing_value", "/operations"),
        (json!({"operations": many}), "limit_exceeded", "/operations"),
        (json!({}), "missing_value", "/operations"),
        (json!({"operations": 5}), "invalid_value", "/operations"),
        (
            json!({"operations": [{"operation": "select", "table": "users"}], "isolation": "chaos"}),
            "invalid_value",
            "/isolation",
        ),
        (json!({"operation": "insert"}), "unknown_argument", "/operation"),
    ] {
        let found = refused(&engine, "transaction", arguments.clone()).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{arguments}");
    }
}

#[tokio::test]
async fn a_dry_run_reports_each_operation_and_keeps_nothing() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = call(
        &engine,
        "admin",
        "transaction",
        json!({"dry_run": true, "operations": [
            {"operation": "insert", "as": "user", "table": "users", "returning": ["email"],
             "data": {"email": "a@x.de", "name": "N", "country": "DE"}},
            {"operation": "update", "table": "users", "where": {"user_id": {"$ref": "user.user_id"}},
             "updates": {"name": "M"}, "returning": ["name"]},
            {"operation": "insert", "table": "users", "returning": ["name"],
             "data": {"email": "a@x.de", "name": "L", "country": "DE"},
             "on_conflict": {"columns": ["email"], "do": "update"}},
            {"operation": "delete", "table": "users", "where": {"email": "a@x.de"}, "returning": ["name"]},
        ]}),
    )
    .await
    .unwrap();
    assert_eq!((&reply["committed"], &reply["dry_run"]), (&json!(false), &json!(true)));
    assert_eq!(reply["results"][0]["after"], json!([{"email": "a@x.de"}]));
    assert_eq!(reply["results"][1]["before"], json!([{"name": "N"}]));
    assert_eq!(reply["results"][1]["after"], json!([{"name": "M"}]));
    assert_eq!(reply["results"][2]["before"], json!([{"name": "M"}]));
    assert_eq!(reply["results"][2]["after"], json!([{"name": "L"}]));
    assert_eq!(reply["results"][3]["before"], json!([{"name": "L"}]));
    assert_eq!(reply["results"][3]["after"], json!([]));
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
}

#[tokio::test]
async fn requests_built_in_rust_are_operations_and_their_nulls_are_absent() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let user = Insert {
        table: "users".into(),
        data: json!({"email": "a@x.de", "name": "N", "country": "DE"}),
        ..Insert::default()
    };
    let update = Update {
        table: "users".into(),
        filter: object(json!({"user_id": {"$ref": "user.user_id"}})),
        updates: json!({"name": "M"}),
        ..Update::default()
    };
    let operations = vec![
        Step { name: Some("user".into()), ..Step::of(Request::Insert(user)) },
        Step::of(Request::Update(update.clone())),
    ];
    let request = Request::Transaction(Transaction { operations, ..Transaction::default() });
    let reply = engine.handle(&Principal::new("a", "admin"), request).await.unwrap();
    let reply = reply.into_value().unwrap();
    assert_eq!(reply["results"][1]["rows"][0]["name"], "M", "{reply}");

    let mut written = serde_json::to_value(&update).unwrap();
    written["where"] = json!({"email": "a@x.de"});
    written["operation"] = json!("update");
    assert_eq!(written["dry_run"], Value::Null);
    assert_eq!(transact(&engine, json!([written])).await["results"][0]["row_count"], 1);
    written["dry_run"] = json!(false);
    assert_eq!(transact(&engine, json!([written])).await["results"][0]["row_count"], 1);
    written["dry_run"] = json!(true);
    let found = refused(&engine, "transaction", json!({"operations": [written]})).await;
    assert_eq!((found.0.as_str(), found.1.as_str()), ("unknown_argument", "/operations/0/dry_run"));
}

#[tokio::test]
async fn a_role_that_writes_nothing_has_no_transaction() {
    let engine = Database::shop().await.engine().await;
    let operations = json!([{"operation": "select", "table": "users", "limit": 1}]);
    let reply = error(&engine, "analyst", "transaction", json!({"operations": operations})).await;
    assert_eq!(reply["code"], "forbidden");
    assert_eq!(transact(&engine, operations).await["committed"], true);
}

#[tokio::test]
async fn an_operation_without_rows_fails_only_if_another_depends_on_it() {
    let database = Database::of(
        "CREATE TABLE stock (id integer PRIMARY KEY, n integer NOT NULL);
         CREATE TABLE sales (stock_id integer);
         INSERT INTO stock VALUES (1, 2)",
    );
    let engine = database.await.engine().await;
    let take = json!({"operation": "update", "table": "stock", "where": {"id": 1, "n": {"gte": 5}},
        "updates": {"n": {"$increment": -5}}, "as": "taken"});
    let sale =
        |id: Value| json!({"operation": "insert", "table": "sales", "data": {"stock_id": id}});
    let done = transact(&engine, json!([take, sale(json!(1))])).await;
    let note = done["results"][0]["notes"][1].as_str().unwrap();
    assert!(note.contains("\"min_rows\": 1"), "{note}");
    let depends = json!({"operations": [take, sale(json!({"$ref": "taken.id"}))]});
    let told = error(&engine, "admin", "transaction", depends).await;
    assert_eq!(told["at"], "/operations/1/data/stock_id/$ref", "{told}");
    let alone = transact(&engine, json!([take])).await;
    assert_eq!(alone["results"][0]["notes"], json!(["no row matches where"]));
}

#[tokio::test]
async fn operations_that_the_role_cannot_use_are_not_named() {
    let database =
        Database::of("CREATE TABLE note (id integer PRIMARY KEY); INSERT INTO note VALUES (1)")
            .await;
    let engine = database.engine().await;
    for operation in [json!({"operation": "upsert", "table": "note"}), json!({"table": "note"})] {
        let operations = json!({"operations": [operation]});
        let told = error(&engine, "operator", "transaction", operations).await;
        assert_eq!(told["allowed"], json!(["select", "aggregate", "insert", "update"]), "{told}");
    }
}

#[tokio::test]
async fn reads_alone_run_at_the_isolation_that_was_asked_for() {
    let database = Database::of(
        "CREATE VIEW isolation AS SELECT current_setting('transaction_isolation') AS level,
           current_setting('transaction_read_only') AS read_only;
         CREATE TABLE notes (id integer PRIMARY KEY)",
    )
    .await;
    let engine = database.engine().await;
    let operations = json!([{"operation": "select", "table": "isolation"}]);
    for (isolation, level) in [
        (Value::Null, "serializable"),
        (json!("serializable"), "serializable"),
        (json!("repeatable_read"), "repeatable read"),
        (json!("read_committed"), "repeatable read"),
    ] {
        for dry_run in [false, true] {
            let arguments =
                json!({"operations": operations, "isolation": isolation, "dry_run": dry_run});
            let reply = call(&engine, "admin", "transaction", arguments).await.unwrap();
            let found = &rows(&reply["results"][0])[0];
            assert_eq!(found, &json!({"level": level, "read_only": "on"}), "{reply}");
        }
    }
    // No transaction of the caller's.
    let reply = call(&engine, "admin", "select", json!({"table": "isolation"})).await.unwrap();
    assert_ne!(rows(&reply)[0]["level"], "serializable", "{reply}");
}

#[tokio::test]
async fn a_change_that_meets_fewer_rows_than_min_rows_undoes_all() {
    let database = Database::of(
        "CREATE TABLE account (code text PRIMARY KEY, balance numeric NOT NULL, archived_at timestamptz);
         INSERT INTO account VALUES ('a', 5), ('b', 5), ('c', 5); UPDATE account SET archived_at = now() WHERE code = 'c';",
    )
    .await;
    let engine = database.engine().await;
    let moved = |min_rows: Value| {
        json!({"operations": [
            {"operation": "update", "table": "account", "where": {"code": "b"}, "updates": {"balance": {"$increment": 9}}},
            {"operation": "update", "table": "account", "where": {"code": "a", "balance": {"gte": 9}},
             "updates": {"balance": {"$increment": -9}}, "min_rows": min_rows}]})
    };
    let told = error(&engine, "admin", "transaction", moved(json!(1))).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("conflict"), &json!("/operations/1/where")));
    assert_eq!(told["message"], "update reached 0 rows, fewer than min_rows 1");
    let balances = "SELECT string_agg(balance::text, ',' ORDER BY code) FROM account";
    assert_eq!(database.value(balances).await.unwrap(), "5,5,5");
    let mut dry = moved(json!(1));
    dry["dry_run"] = json!(true);
    assert_eq!(error(&engine, "admin", "transaction", dry).await["code"], "conflict");

    let reply = call(&engine, "admin", "transaction", moved(json!(0))).await.unwrap();
    let notes = reply["results"][1]["notes"].as_array().unwrap();
    let goes_on = "the other operations are done all the same: \"min_rows\": 1 stops them";
    assert_eq!(notes.last(), Some(&json!(goes_on)));
    assert_eq!(database.value(balances).await.unwrap(), "5,14,5");
}

#[tokio::test]
async fn rows_that_a_trigger_leaves_unchanged_do_not_count_for_min_rows() {
    let database = Database::of(
        "CREATE TABLE account (code text PRIMARY KEY, balance numeric NOT NULL);
         INSERT INTO account VALUES ('a', 100), ('b', 0);
         CREATE FUNCTION frozen() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN IF TG_OP = 'DELETE' OR NEW.balance < OLD.balance THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER frozen BEFORE UPDATE OR DELETE ON account FOR EACH ROW EXECUTE FUNCTION frozen();",
    )
    .await;
    let engine = database.engine().await;
    let moved = |code: &str, by: i64| {
        json!({"operation": "update", "table": "account", "where": {"code": code},
               "updates": {"balance": {"$increment": by}}, "min_rows": 1})
    };
    let moves = json!({"operations": [moved("b", 50), moved("a", -50)]});
    let told = error(&engine, "admin", "transaction", moves).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("conflict"), &json!("/operations/1/where")));
    assert_eq!(told["message"], "update reached 0 rows, fewer than min_rows 1");
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.starts_with("rows that match where, but that a database trigger left"), "{hint}");
    let delete = json!({"table": "account", "where": {"code": "a"}, "min_rows": 1});
    assert_eq!(refused(&engine, "delete", delete).await, ("conflict".into(), "/where".into()));
    let balances = "SELECT string_agg(balance::text, ',' ORDER BY code) FROM account";
    assert_eq!(database.value(balances).await.unwrap(), "100,0");
}

#[tokio::test]
async fn each_change_takes_min_rows() {
    let database = Database::of(
        "CREATE TABLE account (code text PRIMARY KEY, balance numeric NOT NULL, archived_at timestamptz);
         INSERT INTO account VALUES ('a', 5), ('b', 5), ('c', 5); UPDATE account SET archived_at = now() WHERE code = 'c';",
    )
    .await;
    let engine = database.engine().await;
    let of = |arguments: Value| {
        let mut all = object(json!({"table": "account", "max_rows": 5}));
        all.extend(object(arguments));
        Value::Object(all)
    };
    let conflict = |at: &str| ("conflict".to_owned(), at.to_owned());
    for (tool, arguments, at) in [
        (
            "update",
            json!({"where": {"balance": 5}, "updates": {"balance": 6}, "min_rows": 3}),
            "/where",
        ),
        ("archive", json!({"where": {"balance": 5}, "min_rows": 3}), "/where"),
        ("restore", json!({"where": {"code": "a"}, "min_rows": 1}), "/where"),
        ("delete", json!({"where": {"code": "z"}, "min_rows": 1}), "/where"),
        // All rows of a list together.
        (
            "update",
            json!({"updates": [{"code": "a", "balance": 1}, {"code": "z", "balance": 1}], "min_rows": 2}),
            "/updates",
        ),
    ] {
        assert_eq!(refused(&engine, tool, of(arguments)).await, conflict(at), "{tool}");
    }
    let told = of(json!({"where": {"code": "c"}, "updates": {"balance": 6}, "min_rows": 1}));
    let told = error(&engine, "admin", "update", told).await;
    assert_eq!(
        told["hint"],
        "no row matches where; archived rows were left out; nothing was changed: read the rows as they are now"
    );
    let more = of(json!({"where": {"code": "a"}, "updates": {"balance": 6}, "min_rows": 6}));
    let (code, at) = refused(&engine, "update", more).await;
    assert_eq!((code.as_str(), at.as_str()), ("invalid_value", "/min_rows"));
    let untouched = "SELECT count(*)::text FROM account WHERE balance = 5";
    assert_eq!(database.value(untouched).await.unwrap(), "3");
    let enough = of(json!({"where": {"balance": 5}, "updates": {"balance": 6}, "min_rows": 2}));
    assert_eq!(call(&engine, "admin", "update", enough).await.unwrap()["row_count"], 2);
}
