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

#[tokio::test]
async fn a_share_is_one_of_all_groups() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let by_hand = "SELECT json_agg(g ORDER BY part DESC NULLS LAST, doctor_id DESC)::text FROM (SELECT doctor_id,
      round(sum(price) / sum(sum(price)) OVER (), 12)::float8 AS part,
      round(100 * count(*) FILTER (WHERE missed) / sum(count(*) FILTER (WHERE missed)) OVER (), 12)::float8 AS percent,
      round((sum(price) - count(*)) / sum(sum(price) - count(*)) OVER (), 12)::float8 AS net FROM visit GROUP BY doctor_id) g";
    let expected: Value = serde_json::from_str(&database.value(by_hand).await.unwrap()).unwrap();
    let request = json!({"table": "visit", "group_by": ["doctor_id"], "measures": {
        "percent": {"multiply": [100, "of_missed"]}, "of_missed": {"share": "missed"}, "part": {"share": "price"},
        "earned": {"subtract": ["price", "n"]}, "net": {"share": "earned"},
        "n": {"count": "*"}, "missed": {"count": "*", "where": {"missed": true}}, "price": {"sum": "price"}},
        "order_by": [{"column": "part", "direction": "desc", "nulls": "last"}]});
    let number = |value: &Value| match value {
        Value::String(text) => text.parse::<f64>().ok(),
        other => other.as_f64(),
    };
    let expected = expected.as_array().unwrap();
    // By pages, and where `having` leaves out groups: the whole stays the same.
    let mut few = request.clone();
    few["having"] = json!({"doctor_id": {"in": [1, 4]}});
    for (request, wanted) in [(&request, [1, 2, 3, 4, 5].as_slice()), (&few, &[1, 4])] {
        let found = pages(&engine, "aggregate", request.clone(), 1).await;
        let kept = |row: &&Value| {
            wanted.len() == 5 || wanted.iter().any(|wanted| row["doctor_id"] == *wanted)
        };
        let expected: Vec<&Value> = expected.iter().filter(kept).collect();
        assert_eq!(found.len(), expected.len());
        for (row, expected) in found.iter().zip(expected) {
            assert_eq!(row["doctor_id"], expected["doctor_id"]);
            for name in ["part", "percent", "net"] {
                match (number(&row[name]), number(&expected[name])) {
                    (Some(a), Some(b)) => assert!((a - b).abs() < 1e-9, "{name}: {row} {expected}"),
                    (a, b) => assert_eq!(a, b, "{name}: {row} {expected}"),
                }
            }
        }
    }
    // Of nothing there is no part.
    let none = json!({"table": "visit", "group_by": ["doctor_id"], "where": {"missed": true}, "limit": 1,
        "measures": {"n": {"count": "*", "where": {"id": 0}}, "part": {"share": "n"}}});
    assert!(rows(&call(&engine, "analyst", "aggregate", none).await.unwrap())[0]["part"].is_null());
}

#[tokio::test]
async fn what_does_not_add_up_has_no_shares() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let measures = json!({"n": {"count": "*"}, "price": {"sum": "price"}, "mean": {"avg": "price"}, "doctors": {"count_distinct": "doctor_id"},
        "last": {"max": "began"}, "rate": {"divide": ["price", "n"]}, "plus": {"add": ["n", 1]}, "half": {"divide": ["n", 2]}, "of_n": {"share": "n"}});
    for (share, code, at) in [
        (json!({"share": "mean"}), "invalid_value", "/part/share"),
        (json!({"share": "doctors"}), "invalid_value", "/part/share"),
        (json!({"share": "last"}), "invalid_value", "/part/share"),
        (json!({"share": "rate"}), "invalid_value", "/part/share"),
        (json!({"share": "plus"}), "invalid_value", "/part/share"),
        (json!({"share": "of_n"}), "invalid_value", "/part/share"),
        (json!({"share": "minutes"}), "unknown_column", "/part/share"),
        (json!({"share": "doctor_id"}), "invalid_value", "/part/share"),
        (json!({"share": "part"}), "invalid_value", "/part"),
        (json!({"share": {"sum": "price"}}), "invalid_value", "/part/share"),
        (json!({"share": "n", "add": ["n", 1]}), "unknown_argument", "/part/add"),
        (json!({"share": "n", "where": {"id": 1}}), "unknown_argument", "/part/where"),
    ] {
        let mut measures = measures.clone();
        measures["part"] = share.clone();
        let arguments = json!({"table": "visit", "group_by": ["doctor_id"], "measures": measures});
        let told = error(&engine, "analyst", "aggregate", arguments).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!(code), &json!(format!("/measures{at}"))),
            "{share}: {told}"
        );
    }
    let nameless = json!({"table": "visit", "measures": {"part": {"share": {"sum": "price"}}}});
    let told = error(&engine, "analyst", "aggregate", nameless).await;
    assert!(
        told["hint"]
            .as_str()
            .unwrap()
            .contains("{\"m1\":{\"sum\":\"price\"},\"part\":{\"share\":\"m1\"}}"),
        "{told}"
    );
    let half = json!({"table": "visit", "measures": {"n": {"count": "*"}, "half": {"divide": ["n", 2]}, "part": {"share": "half"}}});
    assert_eq!(rows(&call(&engine, "analyst", "aggregate", half).await.unwrap())[0]["part"], 1);
    // Sorting and `having` come after the groups: there is nothing to have a share of.
    let sorted = json!({"table": "visit", "group_by": ["doctor_id"], "measures": {"n": {"count": "*"}}, "order_by": [{"share": "n"}]});
    assert_eq!(refused(&engine, "aggregate", sorted).await.0, "unknown_argument");
}
