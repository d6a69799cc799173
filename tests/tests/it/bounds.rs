//! Bounds on the shape of requests: each can be configured, is reached but not exceeded, and is named where it is exceeded.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::Limits;
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

/// Requests that just fit, and that do not, with the place of what is too much.
type Case = (&'static str, Limits, &'static str, Value, Value, &'static str);

/// Bounds on conditions.
fn of_conditions() -> Vec<Case> {
    let limits = Limits::default;
    let select = |condition: Value| json!({"table": "products", "where": condition});
    let nested = |depth: usize| {
        select((0..depth).fold(json!({"price": 1}), |inner, _| json!({"not": inner})))
    };
    let parts = |count: usize| {
        select(json!({"or": (0..count).map(|n| json!({"price": n})).collect::<Vec<_>>()}))
    };
    vec![
        (
            "max_depth",
            Limits { max_depth: 3, ..limits() },
            "select",
            nested(3),
            nested(4),
            "/where/not/not/not/not",
        ),
        (
            "max_nodes",
            Limits { max_nodes: 7, ..limits() },
            "select",
            parts(3),
            parts(4),
            "/where/or/3",
        ),
        (
            "max_list",
            Limits { max_list: 2, ..limits() },
            "select",
            select(json!({"price": {"in": [1, 2]}})),
            select(json!({"price": {"in": [1, 2, 3]}})),
            "/where/price/in",
        ),
        (
            "max_pattern",
            Limits { max_pattern: 3, ..limits() },
            "select",
            select(json!({"name": {"like": "abc"}})),
            select(json!({"name": {"like": "abcd"}})),
            "/where/name/like",
        ),
    ]
}

/// Bounds on what is read.
fn of_reads() -> Vec<Case> {
    let limits = Limits::default;
    let orders = |limit: u64| json!({"table": "orders", "columns": ["user.name"], "include": {"user": {"include": {"orders": {"limit": limit}}}}});
    let includes =
        |user: Value| json!({"table": "orders", "include": {"order_items": true, "user": user}});
    let columns = |columns: &[&str]| json!({"table": "orders", "columns": columns});
    let order = |order: Value| json!({"table": "orders", "order_by": order});
    vec![
        (
            "max_includes",
            Limits { max_includes: 2, ..limits() },
            "select",
            includes(json!(true)),
            includes(json!({"include": {"reviews": true}})),
            "/include/user/include/reviews",
        ),
        (
            "max_related",
            Limits { max_related: 20, ..limits() },
            "select",
            orders(20),
            orders(21),
            "/include/user/include/orders",
        ),
        (
            "max_joins",
            Limits { max_joins: 1, ..limits() },
            "select",
            columns(&["order_id", "user.name"]),
            json!({"table": "order_items", "columns": ["order.note", "product.name"]}),
            "/columns",
        ),
        (
            "max_keys",
            Limits { max_keys: 2, ..limits() },
            "select",
            order(json!(["status", "total"])),
            order(json!(["status", "total", "note"])),
            "/order_by",
        ),
    ]
}

/// Bounds on what is written.
fn of_writes() -> Vec<Case> {
    let limits = Limits::default;
    let people = |count: usize| {
        let person =
            |n: usize| json!({"email": format!("b{n}@x.de"), "name": "B", "country": "DE"});
        json!({"table": "users", "data": (0..count).map(person).collect::<Vec<_>>(), "dry_run": true})
    };
    let named = |ids: &[i64]| {
        let named = |id: &i64| json!({"user_id": id, "name": "B"});
        json!({"table": "users", "updates": ids.iter().map(named).collect::<Vec<_>>(), "dry_run": true})
    };
    let operations = |count| json!({"operations": vec![json!({"operation": "select", "table": "users"}); count]});
    vec![
        (
            "max_insert_rows",
            Limits { max_insert_rows: 2, ..limits() },
            "insert",
            people(2),
            people(3),
            "/data",
        ),
        (
            "max_insert_rows",
            Limits { max_insert_rows: 2, ..limits() },
            "update",
            named(&[1, 2]),
            named(&[1, 2, 3]),
            "/updates",
        ),
        (
            "max_operations",
            Limits { max_operations: 2, ..limits() },
            "transaction",
            operations(2),
            operations(3),
            "/operations",
        ),
    ]
}

#[tokio::test]
async fn each_is_named_where_it_is_exceeded() {
    let database = Database::shop().await;
    for (bound, limits, tool, fits, exceeds, at) in
        [of_conditions(), of_reads(), of_writes()].concat()
    {
        let engine = database.engine_with(Settings { limits, ..Settings::default() }).await;
        if let Err(refused) = call(&engine, "admin", tool, fits.clone()).await {
            panic!("{bound}: {fits}: {refused}");
        }
        let told = error(&engine, "admin", tool, exceeds).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!(at)), "{told}");
        let named = format!("(limits.{bound})");
        assert!(told["message"].as_str().unwrap().ends_with(&named), "{bound}: {told}");
    }
}
