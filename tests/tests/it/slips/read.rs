//! What is wanted of rows and totals, written as elsewhere.

use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

use super::{FIXTURE, check};

#[tokio::test]
async fn columns_and_pages() {
    check(
        "select",
        &[
            (
                json!({"include": {"customer": ["name"]}}),
                "/include/customer",
                "{\"columns\": [\"name\"]}",
            ),
            (json!({"include": ["customers"]}), "/include/customers", "customer"),
            (
                json!({"table": "customer", "include": {"orders.clerk": true}}),
                "/include/orders.clerk",
                "{\"orders\": {\"include\": {\"clerk\": true}}}",
            ),
            (json!({"include": [{"customer": true}]}), "/include", "{\"customer\": true"),
            (
                json!({"table": "customer", "include": {"orders": {"count": true, "limit": 3}}}),
                "/include/orders/limit",
                "leave out count",
            ),
            (json!({"cursor": "x", "offset": 5}), "/offset", "leave out offset"),
            (json!({"include": {"public.customer": true}}), "/include/public.customer", "customer"),
            (json!({"columns": "total,tags"}), "/columns", "[\"id\", \"name\"]"),
            (json!({"columns": ["count(*)"]}), "/columns/0", "the tool aggregate"),
            (json!({"columns": ["total * (1 - 0.2)"]}), "/columns/0", "{\"multiply\""),
            (json!({"columns": ["customer"]}), "/columns/0", "\"include\": {\"customer\": true}"),
            (
                json!({"columns": ["billing_country"]}),
                "/columns/0",
                "{\"columns\": [\"billing_country\"]}",
            ),
            (
                json!({"order_by": ["-billing_country"]}),
                "/order_by/0",
                "\"customer.billing_country\"",
            ),
            (json!({"columns": ["order_id,total,customer(name)"]}), "/columns/0", "one name each"),
            (json!({"columns": ["total as n"]}), "/columns/0", "total"),
            (json!({"columns": ["orders.total"]}), "/columns/0", "total"),
            (json!({"columns": ["custmer.name"]}), "/columns/0", "customer"),
            (json!({"where": {"details": {"has_key": {"x": 1}}}}), "/where/details/has_key", ""),
            (json!({"order_by": ["total desc"]}), "/order_by/0", "-total"),
            (json!({"order_by": "total:DESC"}), "/order_by", "-total"),
            (json!({"order_by": "total.desc.nullslast"}), "/order_by", "-total"),
            (json!({"order_by": ["customer.name asc"]}), "/order_by/0", "customer.name"),
            (json!({"order_by": "total desc, tags"}), "/order_by", "one key each"),
            (json!({"order_by": [{"total": "desc"}]}), "/order_by/0/total", "\"-name\""),
            (json!({"limit": -1}), "/limit", "Most rows"),
            (json!({"count": "exactly"}), "/count", "exact"),
            (json!({"count": true}), "/count", "\"exact\" also counts"),
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
            (
                by(json!({"group_by": ["details.kind"]})),
                "/group_by/0",
                "{\"column\": \"details\", \"path\": [\"kind\"]}",
            ),
            (json!({"measures": {"count": "*"}}), "/measures/count", "{\"n\": {\"count\": \"*\"}}"),
            (
                json!({"measures": {"n": {"fn": "sum"}}}),
                "/measures/n/fn",
                "the function is the key",
            ),
            (json!({"measures": {"n": {"sum": "total*2"}}}), "/measures/n/sum", "{\"multiply\""),
            (
                json!({"measures": {"n": {"sum": "round(total)"}}}),
                "/measures/n/sum",
                "no functions",
            ),
            (
                by(json!({"group_by": ["billing_country"]})),
                "/group_by/0",
                "\"customer.billing_country\"",
            ),
            (json!({"measures": {"n": {"mean": "total"}}}), "/measures/n/mean", "avg"),
            (
                json!({"measures": {"n": {"mode": "total"}}}),
                "/measures/n/mode",
                "order by the count",
            ),
            (json!({"measures": {"n": {"last": "total"}}}), "/measures/n/last", "min and max"),
            (
                by(json!({"group_by": ["date_trunc('month', placed)"]})),
                "/group_by/0",
                "{\"column\": \"placed\", \"bucket\": \"month\"}",
            ),
            (
                by(json!({"group_by": [{"column": "placed", "interval": "day"}]})),
                "/group_by/0/interval",
                "bucket",
            ),
            (by(json!({"measures": {"n": {"sum": "*"}}})), "/measures/n/sum", "{\"count\": \"*\"}"),
            (
                json!({"measures": {"n": {"count": "*", "as": "k"}}}),
                "/measures/n/as",
                "its name is the key",
            ),
            (
                json!({"table": "customer", "measures": {"n": {"count": "orders"}}}),
                "/measures/n/count",
                "\"include\": {\"orders\": {\"count\": true}}",
            ),
            (
                json!({"measures": {"n": {"count": "customer"}}}),
                "/measures/n/count",
                "\"customer.…\"",
            ),
            (by(json!({"group_by": ["customer.country"]})), "/group_by/0", "billing_country"),
            (
                by(json!({"table": "customer", "measures": {"n": {"sum": "orders.total"}}})),
                "/measures/n/sum",
                "{\"sum\": {\"sum\":\"orders.total\"}}",
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

/// Relations of which nothing but the names is said are included whole.
#[tokio::test]
async fn relations_in_a_list() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let select = |include: Value| json!({"table": "customer", "include": include});
    let whole = call(&engine, "admin", "select", select(json!({"orders": true}))).await.unwrap();
    for listed in [json!(["orders"]), json!("orders")] {
        let told = call(&engine, "admin", "select", select(listed)).await.unwrap();
        assert_eq!(told, whole);
    }
    let nested = select(json!({"orders": {"include": ["clerk"]}}));
    call(&engine, "admin", "select", nested).await.unwrap();
    let none = call(&engine, "admin", "select", select(json!([]))).await.unwrap();
    assert_eq!(none, call(&engine, "admin", "select", json!({"table": "customer"})).await.unwrap());
}
