//! Conditions of several, odd names, and related rows.

use serde_json::json;

use super::check;

#[tokio::test]
async fn logic_and_odd_names() {
    check(
        "values",
        "id",
        &[
            (json!({"or": [{"number": 1}, {"number": null}]}), "number = 1 OR number IS NULL"),
            (json!({"or": {"number": 1}}), "number = 1"),
            (json!({"and": [{"flag": true}, {"number": {"lt": 0}}]}), "flag AND number < 0"),
            (json!({"not": {"number": 1}}), "NOT (number = 1)"),
            (json!({"not": {}}), "false"),
            (json!({"or": [{}, {"number": 1}]}), "true"),
            (
                json!({"not": {"or": [{"number": 1}, {"not": {"flag": true}}]}}),
                "NOT (number = 1 OR NOT flag)",
            ),
            (
                json!({"flag": true, "or": [{"number": 1}, {"number": 2}]}),
                "flag AND number IN (1, 2)",
            ),
            (json!({"column": "or", "eq": 2}), "\"or\" = 2"),
            (json!({"column": "or", "gt": 1, "lt": 3}), "\"or\" = 2"),
            (
                json!({"and": [{"column": "or", "in": [1, 3]}, {"flag": true}]}),
                "\"or\" IN (1, 3) AND flag",
            ),
            (json!({"column": "y"}), "\"column\" = 'y'"),
            (json!({"column": {"in": ["x", "z"]}}), "\"column\" IN ('x', 'z')"),
            (json!({"column": "column", "eq": "x"}), "\"column\" = 'x'"),
            (json!({"eq": 2}), "eq = 2"),
        ],
    )
    .await;
}

#[tokio::test]
async fn relations() {
    check(
        "orders",
        "order_id",
        &[
            (json!({"customer": {"name": "Ada"}}), "customer_id = 1 AND archived_at IS NULL"),
            (json!({"customer": {"country": {"name": "France"}}}), "customer_id = 1"),
            (json!({"customer": {"country": null}}), "false"),
            (json!({"customer": {"column": "not", "eq": null}}), "order_id IN (1, 2, 3, 5)"),
            (json!({"customer": null}), "order_id IN (4, 7)"),
            (json!({"not": {"customer": {"name": "Ada"}}}), "order_id IN (3, 4, 5, 7)"),
            (json!({"tag": {"some": {"word": "gift"}}}), "order_id IN (2, 3)"),
            (json!({"tag": {"none": {"word": "gift"}}}), "order_id IN (1, 4, 5, 7)"),
            (json!({"tag": {"none": {}}}), "order_id IN (4, 5, 7)"),
            (json!({"tag": {"every": {"word": "new"}}}), "order_id IN (1, 4, 5, 7)"),
            (json!({"tag_via_order_tag": {"some": {}}}), "order_id IN (1, 2, 3)"),
            (json!({"order_tag": {"some": {"tag": {"word": "new"}}}}), "order_id IN (1, 2)"),
        ],
    )
    .await;
    check(
        "customer",
        "customer_id",
        &[
            (json!({"orders": {"some": {"total": {"gt": 100}}}}), "customer_id IN (1, 2)"),
            // An archived order is no order, and an order whose total is unknown is not above ten.
            (json!({"orders": {"every": {"total": {"gte": 10}}}}), "customer_id IN (1, 3)"),
            (json!({"orders": {"none": {"total": {"gt": 100}}}}), "customer_id = 3"),
            (
                json!({"orders": {"some": {"total": {"gt": 100}}, "none": {"total": null}}}),
                "customer_id = 1",
            ),
            (
                json!({"orders_by_customer": {"some": {"tag": {"every": {"word": "new"}}}}}),
                "customer_id IN (1, 2)",
            ),
            (json!({"country": {"customer": {"some": {"name": "Ada"}}}}), "customer_id = 1"),
            (json!({"column": "not", "eq": null}), "archived_at IS NULL"),
            (json!({"not_by_customer": {"some": {"text": "a"}}}), "customer_id = 1"),
        ],
    )
    .await;
    check(
        "bottle",
        "bottle_id",
        &[
            (json!({"column": "or", "name": "Ada"}), "or_id = 1"),
            (
                json!({"or": [{"column": "or", "name": "Bo"}, {"or_id": null}]}),
                "or_id = 2 OR or_id IS NULL",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_column_that_is_called_like_a_connective_is_told_of() {
    let database = mcp_pg_tests::Database::of("CREATE TABLE odd (\"not\" text)").await;
    let engine = database.engine().await;
    let told = json!({"table": "odd", "where": {"not": "n"}});
    let told = mcp_pg_tests::error(&engine, "admin", "select", told).await;
    assert!(told["hint"].as_str().unwrap().contains("{\"column\": \"not\", \"eq\": …}"), "{told}");
}
