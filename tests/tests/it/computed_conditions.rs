//! Conditions on computed values and on parts of points in time, and `in` with values that are not literals.

use mcp_pg_core::policy::{Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, object, readable, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TABLE maker (id integer PRIMARY KEY, least integer, opened timestamptz, tenant integer, archived_at timestamptz);
INSERT INTO maker VALUES (1, 3, '2025-01-01 00:00+00', 1, NULL), (2, 40, '2025-03-01 12:00+00', 2, NULL), (3, 1, '2024-01-01 00:00+00', 1, now());
CREATE TABLE stock (id integer PRIMARY KEY, maker_id integer REFERENCES maker, quantity smallint, reserved bigint, price real, ratio double precision,
  paid money, made date, at timestamptz, stamp timestamp, clock time, during tstzrange, doc jsonb, word text, version integer NOT NULL DEFAULT 1);
INSERT INTO stock SELECT n, 1 + n % 3, n * 3, n * n, n + 0.1, n / 7.0, n, '2024-05-01'::date + n * 17, '2025-05-03 22:30+00'::timestamptz + n * interval '9 hours',
  '2025-05-03 22:30'::timestamp + n * interval '31 hours', '00:00'::time + n * interval '47 minutes',
  tstzrange(now() - n * interval '1 hour', now() + (8 - n) * interval '1 hour'), jsonb_build_object('n', n), 'w' FROM generate_series(1, 20) n;
INSERT INTO stock VALUES (21, NULL, NULL, 9223372036854775807, 'Infinity', 'NaN', NULL, 'infinity', 'infinity', '-infinity', NULL, 'empty', '{"n": "x"}', 'x'),
  (22, 2, 32767, 0, 3e38, 1e308, '1.00', '4713-01-01 BC', '294276-12-31 23:30+00', 'infinity', '23:59', NULL, NULL, NULL),
  (23, 2, 7, 7, 0, 0, '0', current_date, now(), localtimestamp, '12:00', '[today,tomorrow)', '{}', '');"#;

async fn found(engine: &Engine, condition: &Value) -> Value {
    let arguments =
        json!({"table": "stock", "columns": ["id"], "where": condition, "count": "exact"});
    let reply = call(engine, "operator", "select", arguments).await;
    let reply = reply.unwrap_or_else(|error| panic!("{condition}: {error}"));
    assert_eq!(reply["count"], rows(&reply).len(), "{condition}");
    rows(&reply).iter().map(|row| row["id"].clone()).collect()
}

/// Each condition finds the rows that its SQL finds.
async fn check(cases: &[(Value, &str)]) {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (condition, sql) in cases {
        let sql = format!(
            "SELECT coalesce(json_agg(id ORDER BY id), '[]')::text FROM stock s LEFT JOIN
             (SELECT id AS mid, least, opened FROM maker WHERE archived_at IS NULL) m ON mid = maker_id WHERE {sql}"
        );
        let expected: Value = serde_json::from_str(&database.value(&sql).await.unwrap()).unwrap();
        assert_eq!(found(&engine, condition).await, expected, "{condition}");
        assert_ne!(expected, json!([]), "{condition}: a test that finds nothing tells nothing");
    }
}

#[tokio::test]
async fn arithmetic_stands_on_the_left_of_a_condition() {
    let left = json!({"subtract": ["quantity", "reserved"]});
    let with = |operators: Value| {
        let mut all = left.clone();
        all.as_object_mut().unwrap().extend(object(operators));
        json!({ "compute": all })
    };
    check(&[
        (with(json!({"lt": -5})), "quantity::numeric - reserved < -5"),
        (with(json!({"eq": 0})), "quantity::numeric - reserved = 0"),
        (with(json!({"ne": 2, "gte": -4})), "quantity::numeric - reserved <> 2 AND quantity::numeric - reserved >= -4"),
        (with(json!({"in": [2, "-4", null]})), "quantity::numeric - reserved IN (2, -4) OR quantity IS NULL"),
        (with(json!({"not_in": [2, null]})), "quantity::numeric - reserved <> 2"),
        (with(json!({"is_null": true})), "quantity IS NULL"),
        (with(json!({"eq": null})), "quantity IS NULL"),
        (with(json!({"is_distinct_from": 2})), "quantity::numeric - reserved IS DISTINCT FROM 2"),
        (with(json!({"gt": {"$column": "ratio"}})), "quantity - reserved > ratio::numeric"),
        (with(json!({"gt": {"$column": "maker.least"}})), "quantity - reserved > least"),
        (with(json!({"in": [{"$column": "ratio"}, 2, {"$column": "maker.least"}]})), "quantity - reserved IN (ratio::numeric, 2, least)"),
        (json!({"compute": {"multiply": ["price", "quantity"], "gt": 100}, "word": "w"}), "price * quantity > 100 AND word = 'w'"),
        (json!({"not": {"compute": {"divide": ["reserved", "price"], "gt": 3}}}), "NOT reserved / nullif(price::text::numeric, 0) > 3"),
        (json!({"or": [{"compute": {"add": ["quantity", 0.5], "eq": 6.5}}, {"id": 1}]}), "quantity = 6 OR id = 1"),
        (json!({"compute": {"divide": [1, {"subtract": ["quantity", 7]}], "is_null": true}}), "quantity = 7 OR quantity IS NULL"),
        (json!({"compute": {"subtract": ["quantity", "maker.least"], "lt": 0}}), "quantity < least"),
        (json!({"compute": {"add": [{"column": "doc", "path": ["n"]}, 1], "eq": 5}}), "doc->>'n' = '4'"),
        (json!({"compute": {"subtract": ["at", "maker.opened"], "gt": 100}, "id": {"lt": 21}}), "at - opened > interval '100 days' AND id < 21"),
        (json!({"compute": {"subtract": [{"$now": true}, "at"], "unit": "hours", "lt": 1}}), "at > now() - interval '1 hour'"),
        (json!({"compute": {"multiply": ["paid", 2], "eq": 8}}), "paid = '4.00'"),
        (json!({"maker": {"compute": {"multiply": ["least", 2], "eq": 6}}}), "least = 3"),
        (json!({"maker": {"stock": {"some": {"compute": {"add": ["quantity", "reserved"], "eq": 28}}}}}), "maker_id IN (SELECT maker_id FROM stock
            WHERE quantity + reserved = 28)"),
        (json!({"maker": {"stock": {"count": {"in": [{"$column": "least"}, 9]}}}}), "maker_id IN (SELECT id FROM maker m WHERE archived_at IS NULL
            AND (SELECT count(*) FROM stock WHERE maker_id = m.id) IN (least, 9))"),
    ])
    .await;
}

#[tokio::test]
async fn parts_of_time_stand_on_the_left_of_a_condition() {
    check(&[
        (json!({"made": {"part": "month", "eq": 5}}), "extract(month FROM made) = 5"),
        (json!({"at": {"part": "weekday", "in": [6, 7]}}), "extract(isodow FROM at) IN (6, 7)"),
        (
            json!({"at": {"part": "weekday", "time_zone": "Asia/Tokyo", "eq": 7}, "id": {"lt": 21}}),
            "id < 21 AND extract(isodow FROM at AT TIME ZONE 'Asia/Tokyo') = 7",
        ),
        (
            json!({"at": {"part": "hour", "gte": 9, "lt": 17, "time_zone": "Europe/Berlin"}, "id": {"lt": 21}}),
            "id < 21 AND extract(hour FROM at AT TIME ZONE 'Europe/Berlin') BETWEEN 9 AND 16",
        ),
        (json!({"stamp": {"part": "day", "not_in": [5, 6]}}), "extract(day FROM stamp) NOT IN (5, 6)"),
        (json!({"clock": {"part": "minute", "gt": 40}}), "extract(minute FROM clock) > 40"),
        (json!({"clock": {"part": "hour", "is_null": true}}), "clock IS NULL"),
        (json!({"made": {"part": "year", "eq": {"$now": true}}}), "extract(year FROM made) = extract(year FROM now())"),
        (
            json!({"made": {"part": "month", "in": [{"$now": true}, {"$now": "2 months"}]}}),
            "extract(month FROM made) IN (extract(month FROM now()), extract(month FROM now() + interval '2 months'))",
        ),
        (
            json!({"at": {"part": "hour", "time_zone": "Asia/Tokyo", "eq": {"$now": true}}, "id": 23}),
            "id = 23",
        ),
        (json!({"made": {"part": "day", "lt": {"$column": "quantity"}}}), "extract(day FROM made) < quantity"),
        (json!({"during": {"path": ["lower"], "part": "year", "eq": {"$now": true}}}), "extract(year FROM lower(during)) = extract(year FROM now())"),
        (json!({"maker": {"opened": {"part": "month", "eq": 3}}}), "extract(month FROM opened) = 3"),
        (json!({"not": {"made": {"part": "quarter", "eq": 2}}}), "extract(quarter FROM made) <> 2"),
    ])
    .await;
}

#[tokio::test]
async fn the_present_and_other_columns_stand_in_lists() {
    check(&[
        (
            json!({"made": {"in": [{"$now": true}, "2024-05-18"]}}),
            "made IN (current_date, '2024-05-18')",
        ),
        (
            json!({"made": {"not_in": [{"$now": true}, "2024-05-18", null]}}),
            "made NOT IN (current_date, '2024-05-18')",
        ),
        (json!({"made": {"in": {"$now": true}}}), "made = current_date"),
        (
            json!({"quantity": {"in": [{"$column": "reserved"}, 33], "gt": 0}}),
            "quantity IN (reserved, 33) AND quantity > 0",
        ),
        (
            json!({"quantity": {"not_in": [{"$column": "reserved"}, 33]}}),
            "quantity NOT IN (reserved, 33)",
        ),
    ])
    .await;
}

#[tokio::test]
async fn computed_conditions_are_possible_wherever_conditions_are() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let short = json!({"compute": {"subtract": ["quantity", "reserved"], "lt": 0}});
    let arguments = json!({"table": "stock", "measures": {"n": {"count": "*"}, "short": {"count": "*", "where": short}, "least": {"min": "made"},
        "share": {"divide": ["short", "n"]}}, "where": {"compute": {"add": ["id", 0], "lte": 20}, "at": {"part": "hour", "gte": 0}},
        "group_by": ["maker.least"], "having": {"compute": {"multiply": ["short", 2], "gte": "n"}}});
    // A number is wanted where another measure is: that is $column.
    assert_eq!(refused(&engine, "aggregate", arguments.clone()).await.0, "invalid_value");
    let mut having = arguments;
    having["having"] = json!({"compute": {"multiply": ["short", 2], "gte": {"$column": "n"}}, "least": {"part": "month", "in": [5, 6]}});
    having["order_by"] = json!(["maker.least"]);
    let reply = call(&engine, "analyst", "aggregate", having).await.unwrap();
    let expected = "SELECT json_agg(n ORDER BY least)::text FROM (SELECT least, count(*) AS n FROM stock LEFT JOIN
        (SELECT id AS mid, least FROM maker WHERE archived_at IS NULL) m ON mid = maker_id WHERE id <= 20 GROUP BY 1
        HAVING count(*) FILTER (WHERE quantity < reserved) * 2 >= count(*) AND extract(month FROM min(made)) IN (5, 6)) g";
    let expected: Value = serde_json::from_str(&database.value(expected).await.unwrap()).unwrap();
    assert_eq!(rows(&reply).iter().map(|row| row["n"].clone()).collect::<Value>(), expected);
    let include = json!({"table": "maker", "columns": ["id"], "include": {"stock": {"columns": ["id"], "where": {"compute":
        {"subtract": ["quantity", "maker.least"], "lte": 3}}}}, "order_by": [{"count": "stock", "where": short}]});
    let reply = call(&engine, "analyst", "select", include).await.unwrap();
    let stock = [1, 4, 7, 10, 13, 23].map(|id| json!({ "id": id }));
    let expected = [json!({"id": 1, "stock": []}), json!({"id": 2, "stock": stock})];
    assert_eq!(rows(&reply), expected, "{reply}");
    // A page a row, and writes.
    let mut page = json!({"table": "stock", "columns": ["id"], "where": short, "limit": 9, "order_by": ["-made"]});
    let first = call(&engine, "analyst", "select", page.clone()).await.unwrap();
    page["cursor"] = first["next_cursor"].clone();
    let second = call(&engine, "analyst", "select", page).await.unwrap();
    assert_eq!((rows(&first).len(), rows(&second).len()), (9, 8));
    let update = json!({"table": "stock", "where": {"compute": {"subtract": ["quantity", "maker.least"], "eq": 6}}, "updates": {"word": "changed"},
        "max_rows": 2});
    let reply = call(&engine, "operator", "update", update).await.unwrap();
    assert_eq!(rows(&reply)[0]["id"], 3, "{reply}");
    let delete = json!({"table": "stock", "where": {"made": {"part": "day", "eq": 18}, "compute": {"add": ["id", 1], "eq": 2}}});
    let reply = call(&engine, "admin", "delete", delete).await.unwrap();
    assert_eq!(reply["row_count"], 1, "{reply}");
    let plan = json!({"operation": "select", "table": "stock", "where": short});
    call(&engine, "analyst", "explain", plan).await.unwrap();
    // Other values find the text of the statement that was made for the first.
    for (least, expected) in [(0, 17), (-50, 12), (-1_000_000, 0)] {
        let short = json!({"compute": {"subtract": ["quantity", "reserved"], "lt": least}, "id": {"lt": 100}});
        assert!(found(&engine, &short).await.as_array().unwrap().len() == expected, "{short}");
    }
}

#[tokio::test]
async fn a_column_of_the_name_is_that_column() {
    let database = Database::of(
        "CREATE TABLE job (id integer PRIMARY KEY, compute text, n integer); INSERT INTO job VALUES (1, 'ec2', 4), (2, NULL, 5)",
    )
    .await;
    let engine = database.engine().await;
    for condition in [
        json!({"compute": "ec2"}),
        json!({"compute": {"starts_with": "ec"}}),
        json!({"compute": {"multiply": ["n", 2], "eq": 8}}),
        json!({"not": {"compute": null}}),
    ] {
        let arguments = json!({"table": "job", "columns": ["id"], "where": condition});
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        assert_eq!(rows(&reply), [json!({"id": 1})], "{condition}");
    }
}

#[tokio::test]
async fn errors_have_the_place_and_the_right_form() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let wide: Vec<Value> = (0..100).map(|_| json!("id")).collect();
    for (condition, code, at) in [
        (json!({"compute": {"subtract": ["quantity", "reserved"]}}), "invalid_value", "/compute"),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"]}, "lt": 5}),
            "invalid_value",
            "/compute",
        ),
        (json!({"compute": 5}), "invalid_value", "/compute"),
        (json!({"compute": {"lt": 5}}), "invalid_value", "/compute"),
        (
            json!({"compute": {"subtract": ["quantity", "word"], "lt": 5}}),
            "invalid_value",
            "/compute/subtract/1",
        ),
        (json!({"compute": {"subtract": [5, 3], "lt": 5}}), "invalid_value", "/compute"),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"], "like": "5"}}),
            "unknown_operator",
            "/compute/like",
        ),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"], "lt": "five"}}),
            "invalid_value",
            "/compute/lt",
        ),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"], "lt": {"$column": "word"}}}),
            "invalid_value",
            "/compute/lt/$column",
        ),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"], "lt": {"$now": true}}}),
            "invalid_value",
            "/compute/lt/$now",
        ),
        (
            json!({"compute": {"subtract": ["quantity", "reserved"], "in": [1, "x"]}}),
            "invalid_value",
            "/compute/in/1",
        ),
        (
            json!({"compute": {"add": wide, "lt": 1, "gt": 0, "ne": 7}}),
            "limit_exceeded",
            "/compute",
        ),
        (json!({"made": {"part": "month"}}), "invalid_value", "/made"),
        (json!({"made": {"part": "hour", "eq": 1}}), "invalid_value", "/made/part"),
        (json!({"made": {"part": "month", "eq": "May"}}), "invalid_value", "/made/eq"),
        (json!({"made": {"part": null, "eq": 1}}), "invalid_value", "/made/part"),
        (
            json!({"made": {"part": "month", "time_zone": "Asia/Tokyo", "eq": 1}}),
            "invalid_value",
            "/made/time_zone",
        ),
        (
            json!({"at": {"part": "month", "time_zone": "Mars/Olympus", "eq": 1}}),
            "invalid_value",
            "/at/time_zone",
        ),
        (
            json!({"clock": {"part": "hour", "eq": {"$now": true}}}),
            "invalid_value",
            "/clock/eq/$now",
        ),
        (json!({"word": {"part": "month", "eq": 1}}), "unknown_operator", "/word/part"),
        (json!({"made": {"in": [{"$now": "soon"}]}}), "invalid_value", "/made/in/0/$now"),
        (
            json!({"made": {"in": ["2024-01-01", {"$now": true}, "x"]}}),
            "invalid_value",
            "/made/in/2",
        ),
        (
            json!({"doc": {"path": ["at"], "in": ["a", {"$now": true}]}}),
            "invalid_value",
            "/doc/in/1",
        ),
    ] {
        let arguments = json!({"table": "stock", "where": condition});
        let (found, place) = refused(&engine, "select", arguments).await;
        assert_eq!((found.as_str(), place), (code, format!("/where{at}")), "{condition}");
    }
    let form = r#"{"compute": {"subtract": ["quantity", "reserved"], "lt": 5}}"#;
    for (condition, hint) in [
        (json!({"subtract": ["quantity", "reserved"], "lt": 5}), form),
        (json!({"compute": {"subtract": ["quantity", "reserved"]}, "lt": 5}), form),
        (json!({"$compute": {"subtract": ["quantity", "reserved"], "lt": 5}}), form),
        (json!({"quantity": {"subtract": "reserved", "lt": 5}}), form),
        (json!({"quantity": {"lt": {"multiply": ["reserved", 2]}}}), form),
        (json!({"quantity - reserved": {"lt": 5}}), form),
        (json!({"made": {"month": 5}}), r#"{"part": "month", "eq": …}"#),
        (json!({"at": {"day_of_week": 5}}), r#"{"part": "weekday", "eq": …}"#),
        (json!({"at": {"bucket": "month", "eq": "2025-01"}}), "gte"),
        (json!({"at": {"time_zone": "Asia/Tokyo", "eq": 5}}), "part"),
        (json!({"compute": {"subtract": ["quantity", "reserved"], "lt": {"$now": true}}}), "$now"),
    ] {
        let told =
            error(&engine, "analyst", "select", json!({"table": "stock", "where": condition}))
                .await;
        assert!(
            told["hint"].as_str().is_some_and(|text| text.contains(hint)),
            "{condition}: {told}"
        );
    }
}

#[tokio::test]
async fn no_row_makes_them_fail_and_none_that_is_hidden_is_told_of() {
    let database = Database::of(FIXTURE).await;
    let mut stock = readable("public.stock", None);
    stock.columns.exclude = vec!["price".to_owned(), "stamp".to_owned()];
    stock.columns.mask.insert("paid".to_owned(), Mask::Full);
    stock.columns.mask.insert("made".to_owned(), Mask::Full);
    let maker = readable(
        "public.maker",
        Some(json!({"tenant": 1, "compute": {"add": ["id", 1], "lt": 3}})),
    );
    let role = Role { name: "reader".to_owned(), grants: vec![stock, maker], ..Role::default() };
    let mut roles = Role::built_in();
    roles.push(role);
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    let reader = Principal::new("someone", "reader");
    for (condition, code) in [
        (json!({"compute": {"add": ["price", 1], "gt": 0}}), "unknown_column"),
        (json!({"compute": {"add": ["paid", 1], "gt": 0}}), "forbidden"),
        (json!({"quantity": {"in": [{"$column": "price"}]}}), "unknown_column"),
        (json!({"made": {"part": "month", "eq": 5}}), "forbidden"),
        (json!({"stamp": {"part": "month", "eq": 5}}), "unknown_column"),
    ] {
        let arguments = json!({"table": "stock", "where": condition});
        let error = call_as(&engine, &reader, "select", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{condition}");
    }
    // The makers out of reach are as if they were not there.
    let condition = json!({"compute": {"subtract": ["quantity", "maker.least"], "is_null": false}});
    let arguments =
        json!({"table": "stock", "columns": ["maker_id"], "distinct": true, "where": condition});
    let reply = call_as(&engine, &reader, "select", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"maker_id": 1})]);
    let numbers = ["price", "quantity", "ratio", "paid", "reserved"];
    for operator in ["add", "subtract", "multiply", "divide"] {
        for (left, right) in numbers.iter().flat_map(|left| numbers.map(|right| (left, right))) {
            found(&engine, &json!({"compute": {operator: [left, right], "gt": 1}})).await;
        }
    }
    for part in ["minute", "hour", "weekday", "day", "week", "month", "quarter", "year"] {
        for zone in [Value::Null, json!("Pacific/Kiritimati"), json!("America/St_Johns")] {
            found(&engine, &json!({"at": {"part": part, "time_zone": zone, "gt": 0}})).await;
        }
        found(&engine, &json!({"stamp": {"part": part, "gt": 0}})).await;
    }
}

/// A double would not hold the number: PostgreSQL would fail at a row, be it one that the caller does not see.
#[tokio::test]
async fn numbers_of_any_size_compare_with_floats() {
    let large = |column: &str| {
        let factors =
            std::iter::once(json!(column)).chain(vec![json!(1_000_000_000_000_000_000_u64); 20]);
        Value::from_iter(factors)
    };
    let sql = |sign: &str, column: &str| {
        format!("quantity * ('1e360'::numeric) {sign} {column}::text::numeric")
    };
    check(&[
        (
            json!({"compute": {"multiply": large("quantity"), "gt": {"$column": "ratio"}}}),
            &sql(">", "ratio"),
        ),
        (
            json!({"compute": {"multiply": large("quantity"), "is_distinct_from": {"$column": "price"}}}),
            &sql("IS DISTINCT FROM", "price"),
        ),
        (json!({"quantity": {"gt": {"$column": "price"}}}), "quantity > price::text::numeric"),
        (json!({"ratio": {"lt": {"$column": "price"}}}), "ratio < price"),
    ])
    .await;
}
