//! transaction: several operations, all or nothing.

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role};
use mcp_pg_core::{Engine, Settings};
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
async fn later_operations_refer_to_rows_of_earlier_ones() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let user = |email: &str| json!({"email": email, "name": "N", "country": "DE"});
    let reply = transact(
        &engine,
        json!([
            {"operation": "insert", "as": "people", "table": "users", "returning": ["email"],
             "data": [user("a@x.de"), user("b@x.de")]},
            {"operation": "select", "table": "products", "where": {"sku": "OFF-001"}, "columns": ["price", "product_id"]},
            {"operation": "insert", "as": "order", "table": "orders",
             "data": {"user_id": {"$ref": "people.1.user_id"}, "total": {"$ref": "1.price"}}},
            {"operation": "insert", "table": "order_items",
             "data": {"order_id": {"$ref": "order.order_id"}, "product_id": {"$ref": "1.product_id"},
                      "unit_price": {"$ref": "1.0.price"}}},
            {"operation": "update", "table": "inventory", "where": {"product_id": {"$ref": "1.product_id"}},
             "updates": {"reserved": {"$increment": 1}}, "returning": ["available"]},
            {"operation": "archive", "table": "users", "where": {"user_id": {"eq": {"$ref": "0.0.user_id"}}},
             "returning": ["email"]},
            {"operation": "select", "table": "orders", "where": {"user_id": {"$ref": "people.1.user_id"}},
             "columns": ["total"]},
        ]),
    )
    .await;
    assert_eq!(reply["committed"], true);
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results.len(), 7);
    assert_eq!(results[0]["rows"], json!([{"email": "a@x.de"}, {"email": "b@x.de"}]));
    assert_eq!(results[3]["rows"][0]["unit_price"], 9.8);
    assert_eq!(results[4]["rows"], json!([{"available": 75}]));
    assert_eq!(results[5]["rows"], json!([{"email": "a@x.de"}]));
    assert_eq!(results[6]["rows"], json!([{"total": 9.8}]));
}

/// It would be written as it stands.
#[tokio::test]
async fn a_reference_within_json_is_refused() {
    let database = Database::of(
        "CREATE TABLE notes (id serial PRIMARY KEY, doc jsonb, plain json, body text)",
    )
    .await;
    let engine = database.engine().await;
    let after = |data: Value| {
        json!({"operations": [
            {"operation": "insert", "as": "a", "table": "notes", "data": {"body": "x"}},
            {"operation": "insert", "table": "notes", "data": data},
        ]})
    };
    for (data, at) in [
        (json!({"doc": {"of": [{"$ref": "a.id"}]}}), "/doc/of/0/$ref"),
        (json!({"plain": [{"$ref": "0.body"}]}), "/plain/0/$ref"),
    ] {
        let told = refused(&engine, "transaction", after(data.clone())).await;
        assert_eq!(told, ("invalid_value".into(), format!("/operations/1/data{at}")), "{data}");
    }
    // JSON Schema has references of its own.
    for data in [
        json!({"doc": {"items": {"$ref": "#/definitions/a.id"}}}),
        json!({"doc": {"$literal": {"of": {"$ref": "a.id"}}}}),
        json!({"doc": {"$ref": "a.doc"}}),
    ] {
        assert_eq!(transact(&engine, after(data)["operations"].clone()).await["committed"], true);
    }
}

#[tokio::test]
async fn a_list_may_hold_references() {
    let engine = Database::of(
        "CREATE TABLE item (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text);
         INSERT INTO item (name) VALUES ('old'), ('older')",
    )
    .await
    .engine()
    .await;
    let insert = |name: &str| json!({"operation": "insert", "as": name, "table": "item", "data": {"name": name}});
    let reference = |name: &str| json!({"$ref": format!("{name}.id")});
    let select = |filter: Value| json!({"operation": "select", "table": "item", "columns": ["name"], "where": filter});
    let operations = json!([
        insert("a"),
        insert("b"),
        select(json!({"id": {"in": [reference("b"), 1]}})),
        select(json!({"id": {"not_in": [reference("a"), reference("b"), 2]}})),
    ]);
    let reply =
        call(&engine, "admin", "transaction", json!({"operations": operations})).await.unwrap();
    assert_eq!(reply["results"][2]["rows"], json!([{"name": "old"}, {"name": "b"}]));
    assert_eq!(reply["results"][3]["rows"], json!([{"name": "old"}]));
}

#[tokio::test]
async fn a_reference_must_lead_to_an_earlier_row() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    for (reference, code) in [
        (json!("user"), "invalid_value"),
        (json!("nobody.user_id"), "invalid_value"),
        (json!("7.user_id"), "invalid_value"),
        // Its own, and a later one.
        (json!("1.user_id"), "invalid_value"),
        (json!("2.user_id"), "invalid_value"),
        (json!("user.userid"), "unknown_column"),
        (json!("user.3.user_id"), "invalid_value"),
        (json!(5), "invalid_value"),
        (json!(null), "invalid_value"),
        // A value of another type.
        (json!("user.email"), "invalid_value"),
    ] {
        let operations = json!([
            {"operation": "insert", "as": "user", "table": "users",
             "data": {"email": "a@x.de", "name": "N", "country": "DE"}},
            {"operation": "insert", "as": "preferences", "table": "user_preferences",
             "data": {"user_id": {"$ref": reference}}},
            {"operation": "select", "table": "users", "where": {"user_id": 1}},
        ]);
        let found = refused(&engine, "transaction", json!({"operations": operations})).await;
        assert_eq!(found, (code.into(), "/operations/1/data/user_id/$ref".into()), "{reference}");
    }
    // A column that the operation does not return.
    for (columns, found) in [
        (json!(["email"]), Some(("unknown_column", json!(["email"])))),
        (json!([]), Some(("unknown_column", json!(null)))),
        (json!(["email", "user_id"]), None),
        (json!(["*"]), None),
    ] {
        let operations = json!([
            {"operation": "select", "as": "user", "table": "users", "where": {"user_id": 1}, "columns": columns},
            {"operation": "select", "table": "orders", "where": {"user_id": {"$ref": "user.user_id"}}},
        ]);
        let reply = call(&engine, "admin", "transaction", json!({"operations": operations})).await;
        let told = reply.err().map(|error| serde_json::to_value(&error).unwrap());
        let expected = found.map(|(code, allowed)| {
            (json!(code), json!("/operations/1/where/user_id/$ref"), allowed)
        });
        let told =
            told.map(|told| (told["code"].clone(), told["at"].clone(), told["allowed"].clone()));
        assert_eq!(told, expected, "{columns}");
    }
    // An operation that gave no row.
    let operations = json!([
        {"operation": "select", "as": "user", "table": "users", "where": {"user_id": 999}},
        {"operation": "insert", "table": "user_preferences", "data": {"user_id": {"$ref": "user.user_id"}}},
    ]);
    let found = refused(&engine, "transaction", json!({"operations": operations})).await;
    assert_eq!(found, ("invalid_value".into(), "/operations/1/data/user_id/$ref".into()));
    // One that gave several: which is meant is not guessed, unless all have the same value.
    let operations = |column: &str| {
        json!([
            {"operation": "select", "as": "paid", "table": "orders", "where": {"user_id": 1}, "limit": 3},
            {"operation": "select", "table": "users", "where": {"user_id": {"$ref": format!("paid.{column}")}}},
        ])
    };
    let found =
        refused(&engine, "transaction", json!({"operations": operations("order_id")})).await;
    assert_eq!(found, ("invalid_value".into(), "/operations/1/where/user_id/$ref".into()));
    let reply = transact(&engine, operations("user_id")).await;
    assert_eq!(reply["results"][1]["row_count"], 1);
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
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
    let reply = call(&engine, "clerk", "transaction", others).await.unwrap();
    assert_eq!(reply["results"][1]["row_count"], 0, "{reply}");
    let after = database.value(names).await.unwrap();
    assert_eq!(after, format!("X, ***, {}", before.rsplit(", ").next().unwrap()));
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
        (json!({"operations": 5}), "invalid_value", "/operations/0"),
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

const CIRCLE: &str = "
    CREATE TABLE departments (id integer PRIMARY KEY, head integer NOT NULL);
    CREATE TABLE people (id integer PRIMARY KEY, department integer NOT NULL
        CONSTRAINT works_in REFERENCES departments DEFERRABLE INITIALLY IMMEDIATE);
    ALTER TABLE departments ADD CONSTRAINT headed_by FOREIGN KEY (head) REFERENCES people
        DEFERRABLE INITIALLY DEFERRED;
    CREATE TABLE places (id integer PRIMARY KEY, rank integer CONSTRAINT one_rank UNIQUE DEFERRABLE);
    INSERT INTO places VALUES (1, 1), (2, 2);";

#[tokio::test]
async fn rows_may_refer_to_each_other_in_a_circle() {
    let database = Database::of(CIRCLE).await;
    let engine = database.engine().await;
    let reply = transact(
        &engine,
        json!([
            {"operation": "insert", "table": "people", "data": {"id": 1, "department": 1}},
            {"operation": "insert", "table": "departments", "data": {"id": 1, "head": 1}},
            {"operation": "update", "table": "places", "where": {"id": 1}, "updates": {"rank": 2}},
            {"operation": "update", "table": "places", "where": {"id": 2}, "updates": {"rank": 1}},
        ]),
    )
    .await;
    assert_eq!(reply["committed"], true);
}

#[tokio::test]
async fn what_only_the_commit_finds_names_its_operation() {
    let database = Database::of(CIRCLE).await;
    let engine = database.engine().await;
    for dry_run in [false, true] {
        let arguments = json!({"dry_run": dry_run, "operations": [
            {"operation": "insert", "table": "people", "data": {"id": 1, "department": 7}},
            {"operation": "select", "table": "people"},
        ]});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(reply["code"], "foreign_key_violation");
        assert_eq!(reply["at"], "/operations/0/data/department");
        assert_eq!(reply["constraint"], "works_in");
        let arguments = json!({"dry_run": dry_run, "operations": [
            {"operation": "insert", "table": "places", "data": {"id": 3, "rank": 3}},
            {"operation": "update", "table": "places", "where": {"id": 1}, "updates": {"rank": 2}},
        ]});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(
            (&reply["code"], &reply["constraint"]),
            (&json!("unique_violation"), &json!("one_rank"))
        );
        assert_eq!(reply["at"], "/operations/1/updates/rank");
    }
    // Of several writes to one table, PostgreSQL's words tell which.
    let people = |id: i32, department: i32| json!({"operation": "insert", "table": "people", "data": [{"id": id, "department": department}]});
    for (first, second, at) in [(7, 1, 1), (1, 7, 2)] {
        let operations = json!([
            {"operation": "insert", "table": "departments", "data": {"id": 1, "head": 1}},
            people(1, first), people(2, second)
        ]);
        let arguments = json!({"operations": operations});
        let reply = error(&engine, "admin", "transaction", arguments).await;
        assert_eq!(reply["at"], format!("/operations/{at}/data/0/department"), "{reply}");
    }
    let rows = json!([{"id": 5, "head": 5}, {"id": 6, "head": 6}]);
    let several = json!({"table": "departments", "data": rows});
    assert_eq!(error(&engine, "admin", "insert", several).await["at"], "/data/0/head");
    // A lone write that is initially deferred.
    let lone = json!({"table": "departments", "data": {"id": 4, "head": 4}});
    let reply = error(&engine, "admin", "insert", lone.clone()).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("foreign_key_violation"), &json!("/data/head"))
    );
    let mut dry = lone;
    dry["dry_run"] = json!(true);
    assert_eq!(
        refused(&engine, "insert", dry).await,
        ("foreign_key_violation".into(), "/data/head".into())
    );
    assert_eq!(database.value("SELECT count(*)::text FROM people").await.unwrap(), "0");
    assert_eq!(database.value("SELECT count(*)::text FROM departments").await.unwrap(), "0");
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
async fn rows_that_later_operations_may_refer_to_have_a_bound() {
    let database = Database::of(
        "CREATE TABLE big (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0, t text);
         INSERT INTO big SELECT i, 0, repeat('x', 1000000) FROM generate_series(1, 6) i;",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_reply_bytes = 20_000_000;
    let engine = database.engine_with(settings).await;
    let select = json!({"operation": "select", "table": "big"});
    let update = |id: Value| json!({"operation": "update", "table": "big", "where": {"id": id}, "updates": {"n": 1}});
    let refer = json!([select, select, select, select, update(json!({"$ref": "0.0.id"}))]);
    let found = refused(&engine, "transaction", json!({"operations": refer})).await;
    assert_eq!((found.0.as_str(), found.1.as_str()), ("limit_exceeded", "/operations/3"));
    let refer = json!([select, select, update(json!({"$ref": "1.0.id"}))]);
    assert_eq!(transact(&engine, refer).await["committed"], true);
    // Without a reference nothing is held.
    let reply = transact(&engine, json!([select, select, select, select, update(json!(1))])).await;
    assert_eq!(reply["results"][4]["row_count"], 1);
}

#[tokio::test]
async fn a_role_that_writes_nothing_has_no_transaction() {
    let engine = Database::shop().await.engine().await;
    let operations = json!([{"operation": "select", "table": "users", "limit": 1}]);
    let reply = error(&engine, "analyst", "transaction", json!({"operations": operations})).await;
    assert_eq!(reply["code"], "forbidden");
    assert_eq!(transact(&engine, operations).await["committed"], true);
}
