//! Writes, alone and in transactions, written as elsewhere.

use mcp_pg_tests::{Database, error};
use serde_json::{Value, json};

use super::{check, check_on};

#[tokio::test]
async fn a_write() {
    let row = json!({"order_id": 1});
    check(
        "insert",
        &[
            (json!({"data": row, "on_conflict": "update"}), "/on_conflict", "\"do\": \"update\""),
            (
                json!({"data": row, "on_conflict": {"columns": ["order_id"], "do": "updates"}}),
                "/on_conflict/do",
                "update",
            ),
        ],
    )
    .await;
    check("update", &[(json!({"where": {"order_id": 1}}), "/updates", "{\"$increment\": 1}")])
        .await;
    let inside = json!({"where": {"order_id": 1}, "updates": {"details.ui.dark": true}});
    check("update", &[(inside, "/updates/details.ui.dark", "{\"path\": [\"ui\", \"dark\"]")]).await;
    let children =
        json!({"table": "customer", "data": {"customer_id": 1, "orders": [{"order_id": 1}]}});
    check("insert", &[(children, "/data/orders", "a transaction does both")]).await;
    let parent = json!({"data": {"order_id": 1, "customer": {"name": "Ada"}}});
    check("insert", &[(parent, "/data/customer", "named by its key, customer_id")]).await;
    let nobody = json!({"data": {"order_id": 1, "customer_id": 9}});
    let found = "select the row in customer to find its customer_id";
    check("insert", &[(nobody, "/data/customer_id", found)]).await;
    let by_name = json!({"data": {"order_id": 1, "customer_id": "Ada"}});
    let found = "customer_id is the customer_id of a row of public.customer: select it where {\"name\": \"Ada\"}";
    check("insert", &[(by_name, "/data/customer_id", found)]).await;
    let few = json!({"where": {}, "updates": [{"order_id": 1, "note": "x"}], "min_rows": 3});
    check("update", &[(few, "/min_rows", "a list of 1 changes 1 rows at most")]).await;
    let op = json!({"operations": [{"op": "update", "table": "orders"}]});
    let named = "{\"operation\": \"update\", …}, not \"op\"";
    check("transaction", &[(op, "/operations/0/operation", named)]).await;
    let change = |updates: Value| json!({"where": {"order_id": 1}, "updates": updates});
    check(
        "update",
        &[
            (change(json!({"total": "total + 1"})), "/updates/total", "{\"$increment\": 1}"),
            (change(json!({"total": {"increment": 1}})), "/updates/total", "{\"$increment\": 1}"),
            (change(json!({"total": {"$inc": 1}})), "/updates/total/$inc", "$increment"),
            (change(json!({"total": {"$decrement": 1}})), "/updates/total/$decrement", "-1"),
            (
                change(json!({"details": {"$merge": {"a": 1}, "x": 1}})),
                "/updates/details",
                "{\"$literal\": {…}}",
            ),
            (change(json!({"tags": {"$push": "x"}})), "/updates/tags/$push", "$append"),
            (change(json!({"$set": {"total": 1}})), "/updates/$set", "the keys are columns"),
            (change(json!({"details.a": 1})), "/updates/details.a", "{\"$merge\": {\"a\": …}}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_operation() {
    let of = |operation: Value| json!({"operations": [operation]});
    let referring = |reference: Value| {
        json!({"operations": [
            {"operation": "insert", "as": "new", "table": "clerk", "data": {"clerk_id": 1}},
            {"operation": "insert", "table": "orders", "data": {"order_id": 1, "placed_by": reference}}]})
    };
    let place = "/operations/1/data/placed_by";
    let mut cases = vec![
        (of(json!({"operation": "updat", "table": "orders"})), "/operations/0/operation", "update"),
        (of(json!({"op": "insert"})), "/operations/0/operation", "{\"operation\": \"insert\""),
        (
            of(json!({"operation": "insert", "table": "clerk", "data": {}, "id": "x"})),
            "/operations/0/id",
            "as",
        ),
        (
            of(json!({"operation": "insert", "args": {}})),
            "/operations/0/args",
            "arguments themselves",
        ),
        (referring(json!("{{new.clerk_id}}")), place, "{\"$ref\": \"name.column\"}"),
    ];
    let within = format!("{place}/$ref");
    for (given, meant) in [
        ("$new.clerk_id", "new.clerk_id"),
        ("{{new.clerk_id}}", "new.clerk_id"),
        ("operations[0].clerk_id", "0.clerk_id"),
        ("new.rows[0].clerk_id", "new.0.clerk_id"),
    ] {
        cases.push((referring(json!({"$ref": given})), &within, meant));
    }
    check("transaction", &cases).await;
}

/// What an insert could do is no advice for an update.
#[tokio::test]
async fn a_key_that_exists() {
    let engine = Database::of(
        "CREATE TABLE shelf (id integer PRIMARY KEY, code text UNIQUE, place text, gone boolean NOT NULL DEFAULT false);
         CREATE UNIQUE INDEX one_place ON shelf (place) WHERE NOT gone; INSERT INTO shelf VALUES (1, 'a', 'x'), (2, 'b', 'y');",
    )
    .await
    .engine()
    .await;
    for (tool, arguments, hint) in [
        ("update", json!({"where": {"id": 2}, "updates": {"code": "a"}}), "change the value"),
        ("insert", json!({"data": {"id": 3, "code": "a"}}), "insert with on_conflict on this key"),
        (
            "insert",
            json!({"data": {"id": 3, "place": "x"}}),
            "\"on_conflict\": {\"do\": \"nothing\"}",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("shelf");
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(told["code"], "unique_violation", "{told}");
        let told = told["hint"].as_str().unwrap();
        let of_insert = told.contains("on_conflict");
        assert!(told.contains(hint) && of_insert == (tool == "insert"), "{arguments}: {told}");
    }
}

/// A range is written as a whole, and its ends are values.
#[tokio::test]
async fn a_range_that_moves() {
    let fixture = "CREATE TABLE orders (id integer PRIMARY KEY, during tstzrange)";
    let of = |during: Value| json!({"where": {"id": 1}, "updates": {"during": during}});
    let (day, now) = (json!({"$increment": "1 day"}), json!({"$now": true}));
    let cases = [
        (of(day.clone()), "/updates/during/$increment", "write each range as a whole"),
        (of(json!({"lower": day, "upper": day})), "/updates/during/lower", "for example"),
        (of(json!({"lower": now, "upper": now})), "/updates/during", "\"bounds\": \"[]\""),
    ];
    check_on(fixture, "update", &cases).await;
}
