//! Measures computed from other measures.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::ColumnMarks;
use mcp_pg_tests::{Database, call, error, pages, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TABLE doctor (id integer PRIMARY KEY, name text, salary numeric);
INSERT INTO doctor SELECT n, 'd' || n, 1000 * n FROM generate_series(1, 5) n;
CREATE TABLE visit (id integer PRIMARY KEY, doctor_id integer REFERENCES doctor, missed boolean, minutes integer,
  price numeric(8,2), began timestamptz, ended timestamptz);
INSERT INTO visit SELECT n, 1 + n % 5, n % (2 + n % 5) = 0, n % 40, n * 1.25, '2025-01-01 00:00+00'::timestamptz + n * interval '1 hour',
  '2025-01-01 00:00+00'::timestamptz + n * interval '90 minutes' FROM generate_series(1, 200) n;
INSERT INTO visit VALUES (201, NULL, NULL, NULL, NULL, NULL, NULL);";

const BY_HAND: &str = "SELECT json_agg(g ORDER BY share DESC, name DESC)::text FROM (SELECT d.name,
  count(*) FILTER (WHERE missed) / NULLIF(count(*), 0)::numeric AS share,
  (sum(price) - 2 * count(*)) / NULLIF(sum(minutes), 0)::numeric AS rate
  FROM visit v LEFT JOIN doctor d ON d.id = v.doctor_id GROUP BY d.name) g WHERE share > 0.1";

fn share() -> Value {
    json!({"table": "visit", "group_by": ["doctor.name"], "measures": {
        // Those that it needs may stand behind it.
        "rate": {"divide": ["earned", "minutes"]}, "earned": {"subtract": ["price", {"multiply": [2, "n"]}]},
        "n": {"count": "*"}, "missed": {"count": "*", "where": {"missed": true}}, "price": {"sum": "price"},
        "minutes": {"sum": "minutes"}, "share": {"divide": ["missed", "n"]}},
        "having": {"share": {"gt": 0.1}}, "order_by": ["-share"]})
}

#[tokio::test]
async fn groups_are_ordered_chosen_and_paged_by_them() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let expected: Value = serde_json::from_str(&database.value(BY_HAND).await.unwrap()).unwrap();
    let found = pages(&engine, "aggregate", share(), 1).await;
    let number = |value: &Value| match value {
        Value::String(text) => text.parse::<f64>().unwrap(),
        other => other.as_f64().unwrap_or(f64::NAN),
    };
    assert_eq!(found.len(), expected.as_array().unwrap().len());
    for (row, expected) in found.iter().zip(expected.as_array().unwrap()) {
        assert_eq!(row["doctor.name"], expected["name"]);
        for name in ["share", "rate"] {
            let (a, b) = (number(&row[name]), number(&expected[name]));
            assert!((a - b).abs() < 1e-9, "{name}: {row} {expected}");
        }
    }
}

#[tokio::test]
async fn nothing_by_zero_is_null_and_times_are_told_in_units() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let arguments = json!({"table": "visit", "measures": {
        "none": {"count": "*", "where": {"id": 0}}, "n": {"count": "*"}, "by": {"divide": ["n", "none"]},
        "first": {"min": "began"}, "last": {"max": "ended"}, "middle": {"median": "minutes"},
        "hours": {"subtract": ["last", "first"], "unit": "hours"}, "twice": {"multiply": ["middle", 2]}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let row = &rows(&reply)[0];
    assert_eq!((&row["by"], &row["hours"]), (&Value::Null, &json!(299)), "{row}");
    let middle =
        "SELECT (2 * percentile_cont(0.5) WITHIN GROUP (ORDER BY minutes))::text FROM visit";
    let middle: f64 = database.value(middle).await.unwrap().parse().unwrap();
    assert_eq!(row["twice"].as_f64(), Some(middle));
}

#[tokio::test]
async fn invalid_computations_are_refused_with_their_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (measures, code, at) in [
        (json!({"a": {"divide": ["b", 2]}}), "unknown_column", "/measures/a/divide/0"),
        (json!({"a": {"divide": ["a", 2]}}), "invalid_value", "/measures/a"),
        (json!({"a": {"add": ["b", 2]}, "b": {"add": [1, "a"]}}), "invalid_value", "/measures/a"),
        (
            json!({"a": {"add": ["n", {"multiply": [2, "x"]}]}, "n": {"count": "*"}}),
            "unknown_column",
            "/measures/a/add/1/multiply/1",
        ),
        (
            json!({"a": {"add": ["n", "m"]}, "n": {"count": "*"}, "m": {"max": "began"}}),
            "invalid_value",
            "/measures/a/add/1",
        ),
        (
            json!({"a": {"add": ["n", 1], "where": {}}, "n": {"count": "*"}}),
            "unknown_argument",
            "/measures/a/where",
        ),
        (json!({"a": {"add": [1, 1]}}), "invalid_value", "/measures/a"),
        (
            json!({"a": {"add": ["n", 1], "unit": "hours"}, "n": {"count": "*"}}),
            "invalid_value",
            "/measures/a/unit",
        ),
    ] {
        let arguments = json!({"table": "visit", "measures": measures});
        assert_eq!(
            refused(&engine, "aggregate", arguments).await,
            (code.into(), at.into()),
            "{measures}"
        );
    }
    // Of columns, what is computed is measured.
    let arguments =
        json!({"table": "visit", "measures": {"a": {"multiply": ["price", "minutes"]}}});
    let told = error(&engine, "analyst", "aggregate", arguments).await;
    assert!(told["hint"].as_str().unwrap().contains("{\"sum\": {\"multiply\": […]}}"), "{told}");
    // Written out, each would be twice as long as the one before.
    let mut measures = json!({"m0": {"count": "*"}});
    for index in 1..20 {
        let before = format!("m{}", index - 1);
        measures[format!("m{index}")] = json!({"add": [before, before]});
    }
    let (code, at) =
        refused(&engine, "aggregate", json!({"table": "visit", "measures": measures})).await;
    assert_eq!(code, "limit_exceeded");
    assert!(at.starts_with("/measures/m"), "{at}");
}

#[tokio::test]
async fn computed_measures_keep_the_marks_of_their_columns() {
    let salary = vec!["public.doctor.salary".to_owned()];
    let columns = ColumnMarks { sensitive: salary.clone(), untrusted: salary };
    let settings = Settings { columns, ..Settings::default() };
    let engine = Database::of(FIXTURE).await.engine_with(settings).await;
    let arguments = json!({"table": "doctor", "measures": {"n": {"count": "*"}, "most": {"max": "salary"},
        "half": {"divide": ["most", 2]}, "quarter": {"divide": ["half", 2]}, "more": {"add": ["n", 1]}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!(reply["untrusted"], json!(["most", "half", "quarter"]), "{reply}");
}
