//! What a condition cannot say, and how much.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::Limits;
use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::json;

use super::{FIXTURE, found};

#[tokio::test]
async fn invalid_conditions_are_refused_with_a_hint() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (table, condition, code, at) in [
        ("values", json!({"nubmer": 1}), "unknown_column", "/where/nubmer"),
        ("values", json!({"number": {"equals": 1}}), "unknown_operator", "/where/number/equals"),
        ("values", json!({"number": {"like": "1%"}}), "unknown_operator", "/where/number/like"),
        ("values", json!({"square": {"contains": [1]}}), "invalid_value", "/where/square/contains"),
        ("values", json!({"square": {"contains": "x"}}), "invalid_value", "/where/square/contains"),
        (
            "values",
            json!({"square": {"overlaps": [1, 2]}}),
            "unknown_operator",
            "/where/square/overlaps",
        ),
        ("values", json!({"dot": {"eq": "(1,2)"}}), "unknown_operator", "/where/dot/eq"),
        ("values", json!({"dot": "(1,2)"}), "unknown_operator", "/where/dot"),
        ("values", json!({"plain": {"a": 1}}), "unknown_operator", "/where/plain/a"),
        ("values", json!({"markup": {"gt": "<a/>"}}), "unknown_operator", "/where/markup/gt"),
        (
            "values",
            json!({"words": {"path": ["a"], "eq": 1}}),
            "unknown_operator",
            "/where/words/path",
        ),
        ("values", json!({"doc": {"path": [], "eq": 1}}), "invalid_value", "/where/doc/path"),
        ("values", json!({"doc": {"path": ["a"]}}), "invalid_value", "/where/doc"),
        (
            "values",
            json!({"doc": {"path": ["a"], "search": "x"}}),
            "unknown_operator",
            "/where/doc/search",
        ),
        ("values", json!({"number": {}}), "invalid_value", "/where/number"),
        ("values", json!({"number": {"gt": null}}), "invalid_value", "/where/number/gt"),
        ("values", json!({"number": {"in": [1, "x"]}}), "invalid_value", "/where/number/in/1"),
        ("values", json!({"number": {"in": [null, "x"]}}), "invalid_value", "/where/number/in/1"),
        ("values", json!({"number": {"is_null": "no"}}), "invalid_value", "/where/number/is_null"),
        ("values", json!({"mood": {"in": ["mad"]}}), "invalid_value", "/where/mood/in/0"),
        ("values", json!({"words": {"matches": "("}}), "invalid_value", "/where/words/matches"),
        ("values", json!({"words": {"like": 5}}), "ok", ""),
        ("values", json!({"words": {"like": "%\\"}}), "invalid_value", "/where/words/like"),
        ("values", json!({"words": {"contains": ["a"]}}), "invalid_value", "/where/words/contains"),
        ("values", json!({"or": []}), "invalid_value", "/where/or"),
        ("values", json!({"or": 1}), "invalid_value", "/where/or"),
        ("values", json!({"or": [{"number": 1}, 2]}), "invalid_value", "/where/or/1"),
        ("values", json!({"not": [1]}), "invalid_value", "/where/not"),
        ("orders", json!({"customer": {"nam": 1}}), "unknown_column", "/where/customer/nam"),
        ("orders", json!({"customer": 1}), "invalid_value", "/where/customer"),
        ("orders", json!({"tag": {"word": "x"}}), "unknown_operator", "/where/tag/word"),
        ("orders", json!({"tag": {}}), "invalid_value", "/where/tag"),
        ("orders", json!({"tag": {"some": 1}}), "invalid_value", "/where/tag/some"),
        ("orders", json!({"customers": {"name": "x"}}), "unknown_column", "/where/customers"),
    ] {
        let arguments = json!({"table": table, "where": condition});
        if code == "ok" {
            call(&engine, "analyst", "select", arguments).await.unwrap();
            continue;
        }
        let answer = refused(&engine, "select", arguments).await;
        assert_eq!(answer, (code.to_owned(), at.to_owned()), "{condition}");
    }
    let wrong = json!({"table": "values", "where": {"number": {"eqq": 1}}});
    let error = call(&engine, "analyst", "select", wrong).await.unwrap_err();
    let error = serde_json::to_value(&error).unwrap();
    assert_eq!(error["did_you_mean"], "eq");
    assert_eq!(
        error["allowed"],
        json!([
            "eq",
            "ne",
            "gt",
            "gte",
            "lt",
            "lte",
            "in",
            "not_in",
            "is_null",
            "is_distinct_from"
        ])
    );
}

#[tokio::test]
async fn conditions_are_bounded() {
    let limits =
        Limits { max_depth: 4, max_nodes: 20, max_list: 5, max_pattern: 8, ..Limits::default() };
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(Settings { limits, ..Settings::default() }).await;
    let nested =
        |depth: usize| (0..depth).fold(json!({"number": 1}), |inner, _| json!({"not": inner}));
    let parts =
        |count: i32| json!({"or": (0..count).map(|n| json!({"number": n})).collect::<Vec<_>>()});
    for (condition, fits) in [
        (nested(4), true),
        (nested(5), false),
        (parts(9), true),
        (parts(20), false),
        (json!({"number": {"in": [1, 2, 3, 4, 5]}}), true),
        (json!({"number": {"in": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"doc": {"path": ["a"], "in": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"number": [1, 2, 3, 4, 5, 6]}), false),
        (json!({"words": {"like": "12345678"}}), true),
        (json!({"words": {"like": "123456789"}}), false),
        (json!({"words": {"contains": "123456789"}}), false),
        (json!({"words": {"search": "123456789"}}), false),
        (json!({"doc": {"path": ["a"], "imatches": "123456789"}}), false),
        (json!({"doc": {"path": ["a", "b", "c", "d", "e", "f"], "eq": 1}}), false),
        (json!({"list": {"overlaps": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"doc": {"has_key": ["1", "2", "3", "4", "5", "6"]}}), false),
    ] {
        let arguments = json!({"table": "values", "where": condition});
        match call(&engine, "analyst", "select", arguments).await {
            Ok(_) => assert!(fits, "{condition}"),
            Err(error) => {
                assert_eq!(error.code().as_str(), "limit_exceeded", "{condition}: {error}");
                assert!(!fits, "{condition}");
            }
        }
    }
}

/// Conditions that reuse what another operator would: each operator that a type offers is accepted.
#[tokio::test]
async fn every_operator_that_is_described_works() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let described =
        call(&engine, "analyst", "describe_table", json!({"table": "values"})).await.unwrap();
    let reply = call(&engine, "analyst", "select", json!({"table": "values"})).await.unwrap();
    for column in described["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        for row in rows(&reply).iter().filter(|row| !row[name].is_null()) {
            let operators = column["operators"].as_array().unwrap().iter();
            for operator in operators.filter(|operator| *operator != "path") {
                let operator = operator.as_str().unwrap();
                let value = match operator {
                    "is_null" => json!(true),
                    "in" | "not_in" => json!([row[name], null]),
                    "has_key" => json!("a"),
                    "search" => json!("word"),
                    // A point is in areas, not in points.
                    "contained_by" if name == "dot" => json!("(9,9),(0,0)"),
                    _ => row[name].clone(),
                };
                let same = matches!(operator, "eq" | "in" | "gte" | "lte");
                // A name that is an operator's is a column where it stands alone.
                let condition = json!({"column": name, operator: value});
                let patterns = matches!(operator, "like" | "matches" | "imatches" | "ilike");
                if patterns && row[name].as_str().unwrap().contains('\\') {
                    continue;
                }
                let ids = found(&engine, "values", &condition).await;
                assert!(!same || ids.contains(&row["id"].as_i64().unwrap()), "{condition}");
            }
        }
    }
}
