//! What a model gets wrong, and what it is told: the word that it meant, or the form that is right.

use mcp_pg_tests::{Database, error};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text, billing_country text);
    CREATE TABLE clerk (clerk_id integer PRIMARY KEY);
    CREATE TABLE orders (order_id integer PRIMARY KEY, placed_by integer REFERENCES clerk,
        customer_id integer REFERENCES customer, total integer, tags text[], words tsvector);";

/// Each call, the place of its error, and what the error suggests: a word, or a hint with these words.
async fn check(tool: &str, cases: &[(Value, &str, &str)]) {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, at, suggested) in cases {
        let mut arguments = arguments.clone();
        if arguments.get("table").is_none() && tool != "transaction" {
            arguments["table"] = json!("orders");
        }
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(told["at"], *at, "{arguments}: {told}");
        let hint = told["hint"].as_str().unwrap_or_default();
        let meant = told["did_you_mean"].as_str().unwrap_or_default();
        assert!(meant == *suggested || hint.contains(suggested), "{arguments}: {told}");
        // Nobody knows what Rust calls a type.
        let message = told["message"].as_str().unwrap();
        for word in ["struct", "a map", "sequence", "u64", "variant", "field"] {
            assert!(!message.contains(word), "{told}");
        }
    }
}

#[tokio::test]
async fn a_condition() {
    let at = |condition: Value| json!({"where": condition});
    check(
        "select",
        &[
            (at(json!("total > 100")), "/where", "{\"status\": \"active\""),
            (at(json!([{"total": 1}])), "/where", "{\"status\": \"active\""),
            (at(json!({"total": {">=": 1}})), "/where/total/>=", "gte"),
            (at(json!({"total": {"$nin": [1]}})), "/where/total/$nin", "not_in"),
            (at(json!({"words": {"@@": "a"}})), "/where/words/@@", "search"),
            (at(json!({"tags": {"&&": ["a"]}})), "/where/tags/&&", "overlaps"),
            (at(json!({"total": {"null": true}})), "/where/total/null", "is_null"),
            (at(json!({"total": {"between": [1, 2]}})), "/where/total/between", "\"gte\""),
            (
                at(json!({"column": "total", "op": "gt", "value": 1})),
                "/where/op",
                "{\"total\": {\"eq\": value}}",
            ),
            (at(json!({"OR": [{"total": 1}]})), "/where/OR", "or"),
            (at(json!({"or": {"total": 1, "id": 2}})), "/where/or", "[{\"status\""),
            (
                at(json!({"customer.name": "Ada"})),
                "/where/customer.name",
                "{\"customer\": {\"name\"",
            ),
            (at(json!({"customer": "Ada"})), "/where/customer", "{\"country\": \"FR\"}"),
            (
                at(json!({"customer": {"some": {"name": "Ada"}}})),
                "/where/customer/some",
                "takes the condition itself",
            ),
            (
                at(json!({"customer": {"country": "FR"}})),
                "/where/customer/country",
                "billing_country",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_operator_of_other_types_was_not_mistyped() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let arguments = json!({"table": "orders", "where": {"total": {"like": "1%"}}});
    let told = error(&engine, "admin", "select", arguments).await;
    assert_eq!((&told["code"], told.get("did_you_mean")), (&json!("unknown_operator"), None));
}

#[tokio::test]
async fn what_is_wanted_of_the_rows() {
    check(
        "select",
        &[
            (json!({"include": ["customer"]}), "/include", "{\"customer\": true"),
            (json!({"include": {"customer_id": true}}), "/include/customer_id", "customer"),
            (json!({"include": {"placed_by": true}}), "/include/placed_by", "clerk"),
            (json!({"columns": ["total", "customer.name"]}), "/columns/1", "\"include\""),
            (json!({"order_by": ["total desc"]}), "/order_by/0", "\"-name\""),
            (json!({"order_by": [{"total": "desc"}]}), "/order_by/0/total", "\"-name\""),
            (json!({"limit": -1}), "/limit", "Most rows"),
            (json!({"count": "exactly"}), "/count", "exact"),
            (json!({"count": true}), "/count", "Also count"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_total() {
    let by = |more: Value| {
        let mut arguments =
            json!({"measures": {"sold": {"sum": "total"}}, "group_by": ["customer_id"]});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    check(
        "aggregate",
        &[
            (json!({}), "/measures", "{\"n\": {\"count\""),
            (json!({"measures": ["total"]}), "/measures", "{\"n\": {\"count\""),
            (by(json!({"measures": {"n": {"sum": "*"}}})), "/measures/n/sum", "{\"count\": \"*\"}"),
            (by(json!({"group_by": ["customer.country"]})), "/group_by/0", "billing_country"),
            (
                by(json!({"table": "customer", "measures": {"n": {"sum": "orders.total"}}})),
                "/measures/n/sum",
                "begin at public.orders",
            ),
        ],
    )
    .await;
    // The table has the column; the groups and measures do not.
    let engine = Database::of(FIXTURE).await.engine().await;
    let mut arguments = by(json!({"having": {"total": {"gt": 1}}}));
    arguments["table"] = json!("orders");
    let told = error(&engine, "admin", "aggregate", arguments).await;
    assert_eq!(told["message"], "the reply has no column \"total\"");
    assert_eq!(told["allowed"], json!(["customer_id", "sold"]));
}

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
    let operations = json!({"operations": [{"operation": "updat", "table": "orders"}]});
    check("transaction", &[(operations, "/operations/0/operation", "update")]).await;
}
