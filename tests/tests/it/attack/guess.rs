//! Values that are shown masked: is a guess right?

use mcp_pg_tests::Database;
use serde_json::json;

use super::{FIXTURE, answer, assert_silent, caller, dump, start};

#[tokio::test]
async fn a_guess_at_a_masked_or_encrypted_value_is_answered_like_any_other() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let caller = caller("agent");
    let mut calls = 0;
    for (column, right, wrong) in [
        ("email", "ada-QZ@a.test", "bob-XX@b.test"),
        ("phone", "12345QZ6789", "00000XX0000"),
        ("ssn", "QZ-ssn-1", "XX-xxx-0"),
    ] {
        let asked = |guess: &str| {
            let mut all = Vec::new();
            for operator in [
                "eq",
                "ne",
                "gt",
                "lt",
                "in",
                "like",
                "ilike",
                "starts_with",
                "contains",
                "matches",
                "search",
                "is_null",
                "is_distinct_from",
            ] {
                let operand = match operator {
                    "in" => json!([guess]),
                    "is_null" => json!(false),
                    _ => json!(guess),
                };
                let test = json!({column: {operator: operand}});
                all.push(("select", json!({"table": "client", "where": test, "count": "exact"})));
                all.push(("select", json!({"table": "note", "where": {"client": test}})));
                all.push(("select", json!({"table": "client", "where": {"not": test}})));
                all.push((
                    "aggregate",
                    json!({"table": "client", "measures": {"n": {"count": "*", "where": test}}}),
                ));
                all.push((
                    "aggregate",
                    json!({"table": "client", "measures": {"n": {"count": "*"}}, "where": test}),
                ));
                all.push((
                    "explain",
                    json!({"operation": "select", "table": "client", "where": test}),
                ));
                all.push(("update", json!({"table": "client", "where": test, "updates": {"name": "x"}, "dry_run": true})));
                all.push(("archive", json!({"table": "client", "where": test, "dry_run": true})));
                all.push((
                    "select",
                    json!({"table": "note", "include": {"client": {"where": test}}}),
                ));
            }
            all.push((
                "insert",
                json!({"table": "client", "data": {"id": 9, column: guess},
                "on_conflict": {"columns": [column], "do": "nothing"}, "dry_run": true}),
            ));
            all.push(("update", json!({"table": "client", "updates": [{column: guess, "name": "x"}], "where": {}, "dry_run": true})));
            all
        };
        for (hit, miss) in asked(right).into_iter().zip(asked(wrong)) {
            let told = answer(&engine, &caller, hit.0, hit.1.clone()).await;
            let twin = answer(&engine, &caller, miss.0, miss.1).await;
            assert_eq!(told.replace(right, wrong), twin, "{} {}", hit.0, hit.1);
            assert_silent(&told.replace(right, ""), &hit.1.to_string());
            calls += 1;
        }
        for arguments in [
            json!({"table": "client", "order_by": [column]}),
            json!({"table": "client", "distinct": true, "columns": [column]}),
            json!({"table": "note", "order_by": [format!("client.{column}")]}),
        ] {
            let told = answer(&engine, &caller, "select", arguments.clone()).await;
            assert!(told.contains("\"code\":\"forbidden\""), "{arguments} {told}");
        }
    }
    // What nothing keeps from being read is shown masked, and only so.
    let told =
        answer(&engine, &caller, "select", json!({"table": "client", "include": {"note": true}}))
            .await;
    assert_silent(&told, "select");
    assert!(told.contains("Ada") && told.contains("***"), "{told}");
    assert_eq!(dump(&database).await, before);
    assert!(calls > 300, "{calls} calls");
}
