//! Conditions that are written as elsewhere.

use mcp_pg_tests::{Database, error};
use serde_json::{Value, json};

use super::{FIXTURE, check};

#[tokio::test]
async fn a_condition() {
    let at = |condition: Value| json!({"where": condition});
    check(
        "select",
        &[
            (at(json!("total > 100")), "/where", "{\"total\":{\"gt\":100}}"),
            (at(json!("total > 100 or 1")), "/where", "{\"status\": \"active\""),
            (at(json!([{"total": 1}])), "/where", "{\"and\":[{\"total\":1}]}"),
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
            (
                at(json!({"customer": "Ada"})),
                "/where/customer",
                "{\"customer\": {\"name\": \"Ada\"}}",
            ),
            (at(json!({"customer": 4})), "/where/customer", "{\"customer_id\": 4}"),
            (at(json!({"customer": "4"})), "/where/customer", "{\"customer_id\": \"4\"}"),
            (
                at(json!({"placed": {"gte": "2025-01-01", "part": "hour", "eq": 3}})),
                "/where/placed/gte",
                "beside part, a number is compared with the part",
            ),
            (
                at(json!({"customer_id": {"name": "Ada"}})),
                "/where/customer_id/name",
                "{\"customer\": {\"name\": …}}",
            ),
            (at(json!({"$and": [{"total": 1}]})), "/where/$and", "and"),
            (at(json!({"key": "total", "op": "=", "value": 1})), "/where/key", "are keys"),
            (at(json!({"not": [{"total": 1}]})), "/where/not", "{\"not\": {"),
            (
                at(json!({"details.color": "red"})),
                "/where/details.color",
                "{\"details\": {\"path\": [\"color\"], \"eq\": …}}",
            ),
            (at(json!({"details->>'a'": 1})), "/where/details->>'a'", "\"path\": [\"a\"]"),
            (
                at(json!({"billing_country": "FR"})),
                "/where/billing_country",
                "{\"customer\": {\"billing_country\": …}}",
            ),
            (
                at(json!({"total": {"gt": {"column": "order_id"}}})),
                "/where/total/gt",
                "{\"$column\": \"order_id\"}",
            ),
            (at(json!({"tags": {"any": "x"}})), "/where/tags/any", "contains"),
            (at(json!({"lower(note)": "x"})), "/where/lower(note)", "ilike"),
            (at(json!({"total": ">5"})), "/where/total", "{\"gt\": 5}"),
            (at(json!({"total": "null"})), "/where/total", "without quotes"),
            (at(json!({"total": {"in": "1,2"}})), "/where/total/in", "[1,2]"),
            (at(json!({"note": {"not_in": "a, b"}})), "/where/note/not_in", r#"["a","b"]"#),
            (at(json!({"total": {"is": null}})), "/where/total/is", "is_null"),
            (
                at(json!({"total": {"is_not_null": true}})),
                "/where/total/is_not_null",
                "{\"is_null\": false}",
            ),
            (
                at(json!({"total": {"or": [{"eq": 1}]}})),
                "/where/total/or",
                "{\"or\": [{\"total\": {…}}",
            ),
            (at(json!({"total": {"not": 1}})), "/where/total/not", "{\"ne\": value}"),
            (at(json!({"note": {"icontains": "x"}})), "/where/note/icontains", "{\"ilike\""),
            (
                at(json!({"tags": {"in": ["x", "y"]}})),
                "/where/tags/in/0",
                "{\"overlaps\": [\"x\",\"y\"]}",
            ),
            (at(json!({"tags": {"ilike": "x%"}})), "/where/tags/ilike", "{\"contains\": [\"x\"]}"),
            (at(json!({"tags": "sale"})), "/where/tags", "{\"contains\": \"sale\"}"),
            (at(json!({"placed": {"year": 2024}})), "/where/placed/year", "\"lt\": \"2025-01-01\""),
            (at(json!({"placed": {"gte": "2024-01"}})), "/where/placed/gte", "2024-01-31"),
            (at(json!({"placed": {"gte": "now()"}})), "/where/placed/gte", "2024-01-31"),
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
async fn a_condition_on_rows_that_are_related() {
    let of = |table: &str, condition: Value| json!({"table": table, "where": condition});
    let total = "{\"orders\": {\"some\": {\"total\": …}}}";
    check(
        "select",
        &[
            (of("customer", json!({"orders.total": 1})), "/where/orders.total", total),
            (of("customer", json!({"orders": {"total": 1}})), "/where/orders/total", total),
            (
                of("customer", json!({"orders": {"exists": true}})),
                "/where/orders/exists",
                "{\"orders\": {\"some\": {}}}",
            ),
            (
                of("customer", json!({"orders": {"clerk": 1}})),
                "/where/orders/clerk",
                "{\"orders\": {\"some\": {\"note\": …}}}",
            ),
            (
                of("customer", json!({"orders": {"all": {"total": 1}}})),
                "/where/orders/all",
                "{\"orders\": {\"every\": {\"total\":1}}}",
            ),
            (
                of("customer", json!({"orders": {"any": {"total": 1}}})),
                "/where/orders/any",
                "{\"orders\": {\"some\": {\"total\":1}}}",
            ),
            (
                of("customer", json!({"orders": {"is_null": true}})),
                "/where/orders/is_null",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": null})),
                "/where/orders",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": []})),
                "/where/orders",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": {"none": true}})),
                "/where/orders/none",
                "{\"none\": {}}",
            ),
            (
                of("orders", json!({"clerk": {"is_null": true}})),
                "/where/clerk/is_null",
                "{\"clerk\": null}",
            ),
            (
                of("orders", json!({"is_null": "note"})),
                "/where/is_null",
                "{\"shipped_at\": {\"is_null\": true}}",
            ),
            (
                of("clerk", json!({"orders.customer.name": 1})),
                "/where/orders.customer.name",
                "{\"orders\": {\"some\": {\"customer\": {\"name\": …}}}}",
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
async fn a_condition_in_sql_is_told_as_json() {
    let engine = Database::shop().await.engine().await;
    for (tool, mut arguments) in [
        ("select", json!({"table": "users"})),
        ("aggregate", json!({"table": "users", "measures": {"n": {"count": "*"}}})),
        ("update", json!({"table": "users", "updates": {"name": "x"}})),
        ("archive", json!({"table": "users"})),
    ] {
        for (text, meant) in [
            ("user_id = 1", r#""where": {"user_id":1}"#),
            (
                "status = 'active' AND user_id > 3",
                r#""where": {"status":"active","user_id":{"gt":3}}"#,
            ),
            ("user_id = 1 OR 1 = 1", "Conditions"),
        ] {
            arguments["where"] = json!(text);
            let told = error(&engine, "operator", tool, arguments.clone()).await;
            assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!("/where")));
            assert!(told["hint"].as_str().unwrap().contains(meant), "{tool} {text}: {told}");
        }
    }
}

#[tokio::test]
async fn a_relation_is_no_column() {
    let of = |table: &str, condition: Value| json!({"table": table, "where": condition});
    check(
        "select",
        &[
            (
                of("orders", json!({"customer": {"in": [1, 2]}})),
                "/where/customer/in",
                "{\"customer_id\": {\"in\": …}}",
            ),
            (
                of("orders", json!({"customer_id": "Ada"})),
                "/where/customer_id",
                "{\"customer\": {\"name\": \"Ada\"}}",
            ),
            (
                of("customer", json!({"customer_id": {"in": {"table": "orders"}}})),
                "/where/customer_id/in",
                "{\"orders\": {\"some\": {…}}}",
            ),
            (
                of("orders", json!({"customer": {"ne": null}})),
                "/where/customer/ne",
                "{\"not\": {\"customer\": null}}",
            ),
            (
                of("customer", json!({"orders": {"_aggregate": {"count": {"gt": 1}}}})),
                "/where/orders/_aggregate",
                "{\"orders\": {\"count\": {\"gte\": 3}}}",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_list_as_a_text() {
    let fixture = "CREATE TYPE kind AS ENUM ('asset', 'debt'); CREATE TABLE orders (id integer PRIMARY KEY, kind kind);";
    let condition = json!({"where": {"kind": {"in": "asset, debt"}}});
    super::check_on(
        fixture,
        "select",
        &[
            (condition, "/where/kind/in", "a list: [\"asset\",\"debt\"]"),
            (
                json!({"where": {"id": {"in": "[1, 2]"}}}),
                "/where/id/in",
                "a list, not its text: [1,2]",
            ),
        ],
    )
    .await;
}
