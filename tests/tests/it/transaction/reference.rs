//! `$ref`: rows of earlier operations in later ones.

use mcp_pg_core::Settings;
use mcp_pg_tests::{Database, call, error, refused};
use serde_json::{Value, json};

use super::transact;

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
            {"operation": "insert", "as": "people.order", "table": "orders",
             "data": {"user_id": {"$ref": "people.1.user_id"}, "total": {"$ref": "1.price"}}},
            {"operation": "insert", "table": "order_items",
             "data": {"order_id": {"$ref": "people.order.order_id"}, "product_id": {"$ref": "1.product_id"},
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

#[tokio::test]
async fn an_aggregate_sees_what_was_written_and_gives_its_totals() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let line = |product: i64, quantity: i64| json!({"order_id": {"$ref": "order.order_id"}, "product_id": product, "quantity": quantity, "unit_price": 1.25 * product as f64});
    let reply = transact(
        &engine,
        json!([
            {"operation": "insert", "as": "order", "table": "orders", "data": {"user_id": 1, "total": 0}},
            {"operation": "insert", "table": "order_items", "data": [line(1, 2), line(3, 1)]},
            {"operation": "aggregate", "as": "items", "table": "order_items", "where": {"order_id": {"$ref": "order.order_id"}},
             "measures": {"sum": {"sum": {"multiply": ["unit_price", "quantity"]}}, "lines": {"count": "*"}}},
            {"operation": "aggregate", "as": "each", "table": "order_items", "where": {"order_id": {"$ref": "order.order_id"}},
             "group_by": ["product.sku"], "measures": {"n": {"sum": "quantity"}}, "having": {"n": {"gt": 1}}},
            {"operation": "update", "table": "orders", "where": {"order_id": {"$ref": "order.order_id"}, "version": {"lte": {"$ref": "items.lines"}}},
             "updates": {"total": {"$ref": "items.sum"}, "note": {"$ref": "each.0.product.sku"}}, "returning": ["total", "note"]},
        ]),
    )
    .await;
    let results = reply["results"].as_array().unwrap();
    assert_eq!(results[2]["rows"], json!([{"sum": 6.25, "lines": 2}]), "{reply}");
    let sku = database.value("SELECT sku FROM products WHERE product_id = 1").await;
    assert_eq!(results[3]["rows"], json!([{"product.sku": sku, "n": 2}]), "{reply}");
    assert_eq!(results[4]["rows"], json!([{"total": 6.25, "note": sku}]), "{reply}");
    let total = "SELECT total::text FROM orders ORDER BY order_id DESC LIMIT 1";
    assert_eq!(database.value(total).await.as_deref(), Some("6.25"));

    let totals = json!({"operation": "aggregate", "as": "t", "table": "orders", "measures": {"n": {"count": "*"}}});
    let after = |of: &str| json!({"operations": [totals, {"operation": "update", "table": "orders", "where": {"order_id": 1}, "updates": {"note": {"$ref": of}}}]});
    let told = error(&engine, "admin", "transaction", after("t.total")).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("unknown_column"), &json!("/operations/1/updates/note/$ref"))
    );
    assert_eq!(told["allowed"], json!(["n"]), "{told}");
    let unmeasured = json!({"operations": [{"operation": "aggregate", "table": "orders", "measures": {"n": {"sum": "status"}}}]});
    let told = refused(&engine, "transaction", unmeasured).await;
    assert_eq!(told, ("invalid_value".into(), "/operations/0/measures/n/sum".into()));
}

/// What is not a column of the table has no type there; an aggregate has it.
#[tokio::test]
async fn a_shown_value_is_referred_to_by_way_of_an_aggregate() {
    let engine = Database::shop().await.engine().await;
    let columns = json!([
        "total",
        "user.name",
        {"column": "note", "as": "remark"},
        {"add": ["total", 1], "as": "more"}
    ]);
    let after = |given: &str| {
        json!({"operations": [
            {"operation": "select", "as": "o", "table": "orders", "where": {"order_id": 1}, "columns": columns},
            {"operation": "update", "table": "orders", "where": {"order_id": 1}, "updates": {"note": {"$ref": given}}},
        ]})
    };
    for (given, suggested) in [
        ("o.more", json!(r#""measures": {"more": {"max": {"add":["total",1]}}}"#)),
        ("o.0.more", json!(r#""measures": {"more": {"max": {"add":["total",1]}}}"#)),
        ("o.user.name", json!(r#""measures": {"name": {"max": "user.name"}}"#)),
        ("o.remark", json!("note")),
    ] {
        let told = error(&engine, "admin", "transaction", after(given)).await;
        let hint = told["hint"].as_str().unwrap_or_default();
        let found = hint.contains(suggested.as_str().unwrap()) || told["did_you_mean"] == suggested;
        assert!(found, "{given}: {told}");
        assert_eq!(told["at"], "/operations/1/updates/note/$ref", "{given}");
    }
}

/// It would be written as it stands.
#[tokio::test]
async fn a_reference_within_json_is_refused() {
    let database = Database::of(
        "CREATE TABLE notes (id serial PRIMARY KEY, doc jsonb, plain json, body text, path bigint[])",
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
        (json!({"path": [1, {"$ref": "a.id"}]}), "/path/1/$ref"),
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
    // In place of a number, which could also be computed.
    for (reference, allowed) in [("nobody.user_id", json!(["user"])), ("user.userid", json!(null))]
    {
        let operations = json!([
            {"operation": "select", "as": "user", "table": "users", "where": {"user_id": 1}},
            {"operation": "update", "table": "orders", "where": {"order_id": 1}, "updates": {"total": {"$ref": reference}}},
        ]);
        let told = error(&engine, "admin", "transaction", json!({"operations": operations})).await;
        assert_eq!(told["at"], "/operations/1/updates/total/$ref", "{told}");
        assert!(!told["hint"].to_string().contains("$increment"), "{told}");
        assert!(allowed.is_null() || told["allowed"] == allowed, "{told}");
    }
    // The only operation is a list of one; its place is that of what was given.
    let alone = json!({"operations": {"operation": "select"}});
    let told = error(&engine, "admin", "transaction", alone).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("missing_value"), &json!("/operations/table"))
    );
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
    let told = error(&engine, "admin", "transaction", json!({"operations": operations})).await;
    assert_eq!(told["at"], "/operations/1/data/user_id/$ref");
    assert_eq!(told["message"], "operation user gave 0 rows");
    assert!(told["hint"].as_str().unwrap().starts_with("no row matched"), "{told}");
    // One that gave several: which is meant is not guessed, unless all have the same value.
    let operations = |column: &str| {
        json!([
            {"operation": "select", "as": "paid", "table": "orders", "where": {"user_id": 1}, "limit": 3},
            {"operation": "select", "table": "users", "where": {"user_id": {"$ref": format!("paid.{column}")}}},
        ])
    };
    let several = json!({"operations": operations("order_id")});
    let told = error(&engine, "admin", "transaction", several).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("invalid_value"), &json!("/operations/1/where/user_id/$ref"))
    );
    assert!(told["hint"].as_str().unwrap().ends_with("\"paid.0.order_id\""), "{told}");
    let reply = transact(&engine, operations("user_id")).await;
    assert_eq!(reply["results"][1]["row_count"], 1);
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

/// What was read can be taken away as well as added.
#[tokio::test]
async fn arithmetic_takes_numbers_and_dates_of_earlier_rows() {
    let database = Database::of(
        "CREATE TABLE account (code text PRIMARY KEY, balance numeric(12,2), opened date, days integer, note text);
         INSERT INTO account VALUES ('a', 100, '2024-01-31', NULL, 'x'), ('b', 7.5, '2024-01-01', NULL, 'y'), ('c', 200, NULL, NULL, NULL);
         CREATE TABLE huge (n numeric);
         INSERT INTO huge VALUES (repeat('9', 600)::numeric);",
    )
    .await;
    let engine = database.engine().await;
    let run = async |updates: Value| {
        let operations = json!({"operations": [
            {"operation": "select", "as": "b", "table": "account", "where": {"code": "b"}},
            {"operation": "select", "as": "all", "table": "account", "order_by": ["code"]},
            {"operation": "select", "as": "h", "table": "huge"},
            {"operation": "update", "table": "account", "where": {"code": "a"}, "updates": updates, "returning": ["balance", "days"]}]});
        call(&engine, "admin", "transaction", operations)
            .await
            .map(|reply| reply["results"][3]["rows"][0].clone())
    };
    let reference = |of: &str| json!({"$ref": of});
    for (updates, expected) in [
        (
            json!({"balance": {"$compute": {"subtract": ["balance", reference("b.balance")]}}}),
            json!({"balance": 92.5, "days": null}),
        ),
        (
            json!({"balance": {"$compute": {"add": ["balance", {"multiply": [reference("all.1.balance"), 2]}]}}}),
            json!({"balance": 107.5, "days": null}),
        ),
        (
            json!({"days": {"$compute": {"subtract": ["opened", reference("b.opened")]}}}),
            json!({"balance": 107.5, "days": 30}),
        ),
        (
            json!({"days": {"$compute": {"divide": ["balance", reference("all.2.days")]}}}),
            json!({"balance": 107.5, "days": null}),
        ),
        // Also alone.
        (
            json!({"days": {"$compute": {"divide": [reference("b.balance"), 2.5]}}}),
            json!({"balance": 107.5, "days": 3}),
        ),
        (
            json!({"days": {"$compute": {"divide": [reference("b.balance"), {"subtract": [reference("b.balance"), 7.5]}]}}}),
            json!({"balance": 107.5, "days": null}),
        ),
        // Too many digits to compute with.
        (
            json!({"days": {"$compute": {"multiply": ["balance", reference("h.n")]}}}),
            json!({"balance": 107.5, "days": null}),
        ),
    ] {
        assert_eq!(run(updates.clone()).await.unwrap(), expected, "{updates}");
    }
    for (compute, at) in [
        (json!({"subtract": ["balance", reference("b.note")]}), "subtract/1/$ref"),
        (json!({"subtract": ["balance", reference("b.opened")]}), "subtract/1"),
        (json!({"subtract": ["balance", reference("b.nothing")]}), "subtract/1/$ref"),
        (json!({"subtract": ["balance", reference("z.balance")]}), "subtract/1/$ref"),
        (json!({"multiply": [3, 2]}), ""),
    ] {
        let at = format!("/operations/3/updates/balance/$compute/{at}");
        let told = run(json!({"balance": {"$compute": compute}})).await.unwrap_err();
        assert_eq!(told.get_at(), Some(at.trim_end_matches('/')), "{told}");
    }
    // So do conditions, and lists of updates.
    let operations = json!({"operations": [
        {"operation": "select", "as": "b", "table": "account", "where": {"code": "b"}},
        {"operation": "select", "table": "account", "columns": ["code"],
         "where": {"compute": {"subtract": ["balance", reference("b.balance")], "gt": 150}}},
        {"operation": "update", "table": "account", "returning": ["code", "balance"], "updates": [
            {"code": "a", "balance": {"$compute": {"subtract": ["balance", reference("b.balance")]}}},
            {"code": "c", "balance": {"$compute": {"subtract": ["balance", reference("b.balance")]}}}]}]});
    let reply = call(&engine, "admin", "transaction", operations).await.unwrap();
    assert_eq!(reply["results"][1]["rows"], json!([{"code": "c"}]));
    let rows = json!([{"code": "a", "balance": 100}, {"code": "c", "balance": 192.5}]);
    assert_eq!(reply["results"][2]["rows"], rows);
}

/// A value that is put into itself doubles with each operation.
#[tokio::test]
async fn values_of_earlier_operations_are_bounded() {
    let database = Database::of(
        "CREATE TABLE account (id integer PRIMARY KEY, meta jsonb);
         INSERT INTO account VALUES (1, '{}')",
    )
    .await;
    let engine = database.engine().await;
    let update = |name: usize, meta: Value| json!({"operation": "update", "as": format!("o{name}"), "table": "account", "where": {"id": 1}, "updates": {"meta": meta}});
    let long = update(0, json!({"a": "x".repeat(20_000)}));
    let doubled = (1..10).map(|name| {
        let taken = json!({"$ref": format!("o{}.meta", name - 1)});
        update(name, json!({"$set": {"path": [format!("k{name}")], "value": taken}}))
    });
    let operations: Vec<Value> = std::iter::once(long).chain(doubled).collect();
    let transaction = json!({"operations": operations});
    let told = call(&engine, "admin", "transaction", transaction).await.unwrap_err();
    assert_eq!(told.code().as_str(), "limit_exceeded", "{told}");
    let at = "/operations/7/updates/meta/$set/value/$ref";
    assert_eq!(told.get_at(), Some(at), "{told}");
    assert_eq!(database.value("SELECT meta::text FROM account").await.unwrap(), "{}");
}
