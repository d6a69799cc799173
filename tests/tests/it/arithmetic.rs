//! Values computed from columns: as measures, groups, columns and sort keys.

use mcp_pg_core::policy::{ColumnMarks, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, pages, readable, refused, rows, selected};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TABLE product (id integer PRIMARY KEY, name text, list_price numeric(10,2), meta jsonb, tenant integer, archived_at timestamptz);
INSERT INTO product VALUES (1, 'pen', 2.50, '{"kilos": 0.1}', 1, NULL), (2, 'ink', 4, '{"kilos": "x"}', 1, NULL),
  (3, 'old', 9, '{}', 1, now()), (4, 'secret', 7, '{"kilos": 8}', 2, NULL);
CREATE TABLE line (id integer PRIMARY KEY, product_id integer REFERENCES product, price real, quantity smallint, discount double precision,
  paid money, big bigint, ordered timestamptz, shipped timestamptz, due date, word text);
INSERT INTO line VALUES
  (1, 1, 14.4, 10, 0.15, '2.00', 9223372036854775807, '2025-01-01 00:00+00', '2025-01-03 12:00+00', '2025-01-02', 'a'),
  (2, 2, 1234567.8, 2, 0, '3.50', 9223372036854775807, '2025-01-01 00:00+00', NULL, '2025-02-01', 'b'),
  (3, 3, 'Infinity', 0, 'NaN', NULL, 2, 'infinity', '-infinity', 'infinity', 'c'),
  (4, 4, 3e38, 32767, 1e308, '1.00', -9223372036854775808, '4713-01-01 00:00+00 BC', '294276-12-31 00:00+00', '4713-01-01 BC', 'd');"#;

async fn measured(engine: &Engine, arguments: Value) -> Value {
    let reply = call(engine, "analyst", "aggregate", arguments.clone()).await;
    rows(&reply.unwrap_or_else(|error| panic!("{arguments}: {error}")))[0].clone()
}

/// A column of all rows, a row a page.
async fn paged(engine: &Engine, arguments: Value, column: &str) -> Vec<i64> {
    let rows = pages(engine, "select", arguments, 1).await;
    rows.iter().map(|row| row[column].as_i64().unwrap()).collect()
}

/// A number as JSON has it, however many zeros PostgreSQL has put at its end.
fn plain(value: &Value) -> Value {
    match value.as_str().filter(|text| text.contains('.')).map(|text| text.trim_end_matches('0')) {
        Some(text) => serde_json::from_str(text.trim_end_matches('.')).unwrap(),
        None => value.clone(),
    }
}

fn value(of: Value) -> Value {
    let mut computed = of;
    computed["as"] = json!("it");
    computed
}

#[tokio::test]
async fn numbers_of_every_type_are_computed_with_exactly() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (of, expected) in [
        (
            json!({"multiply": ["price", "quantity", {"subtract": [1, "discount"]}]}),
            json!([122.4, 2_469_135.6]),
        ),
        (json!({"add": ["quantity", 0.1, 0.2]}), json!([10.3, 2.3])),
        (json!({"multiply": ["paid", 2]}), json!([4, 7])),
        (json!({"multiply": ["big", 2]}), json!(["18446744073709551614", "18446744073709551614"])),
        (json!({"divide": ["quantity", 4]}), json!([2.5, 0.5])),
        (json!({"divide": ["quantity", {"subtract": ["quantity", 2]}]}), json!([1.25, null])),
        (json!({"subtract": ["quantity", {"subtract": ["quantity", 1]}]}), json!([1, 1])),
        (json!({"divide": [1, {"divide": [1, "quantity"]}]}), json!([10, 2])),
        (json!({"multiply": [{"add": ["quantity", 1]}, 2]}), json!([22, 6])),
        (json!({"add": [{"multiply": ["quantity", 2]}, 1]}), json!([21, 5])),
        (json!({"subtract": ["quantity", "product.list_price"]}), json!([7.5, -2])),
        (json!({"add": [{"column": "product.meta", "path": ["kilos"]}, 1]}), json!([1.1, null])),
        (json!({"subtract": ["shipped", "ordered"]}), json!([2.5, null])),
        (json!({"subtract": ["due", "due"]}), json!([0, 0])),
        (json!({"divide": [{"subtract": ["shipped", "ordered"]}, 2]}), json!([1.25, null])),
    ] {
        let arguments = json!({"table": "line", "columns": [value(of.clone())], "where": {"id": {"lte": 2}}, "order_by": ["id"]});
        let found: Vec<Value> =
            selected(&engine, arguments).await.iter().map(|row| row["it"].clone()).collect();
        let found: Value = found.iter().map(plain).collect();
        assert_eq!(found, expected, "{of}");
    }
    let totals = measured(&engine, json!({"table": "line", "where": {"id": {"lte": 2}}, "measures": {
        "revenue": {"sum": {"multiply": ["price", "quantity", {"subtract": [1, "discount"]}]}},
        "days": {"avg": {"subtract": ["shipped", "ordered"]}},
        "most": {"max": {"multiply": ["quantity", "product.list_price"]}, "where": {"id": 1}},
        "kinds": {"count_distinct": {"subtract": ["quantity", "quantity"]}}, "n": {"count": {"divide": [1, {"subtract": ["quantity", 2]}]}}}})).await;
    let totals: Value = totals
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, total)| (name.clone(), plain(total)))
        .collect();
    assert_eq!(totals, json!({"revenue": 2_469_258, "days": 2.5, "most": 25, "kinds": 1, "n": 1}));
}

#[tokio::test]
async fn numbers_of_many_digits_are_operands_as_texts() {
    let database = Database::of(
        "CREATE TABLE account (id integer PRIMARY KEY, balance numeric, \"7\" integer);
         INSERT INTO account VALUES (1, 1, 100);",
    )
    .await;
    let engine = database.engine().await;
    for (of, expected) in [
        (json!({"add": ["balance", "12345678901234567.12345678"]}), "12345678901234568.12345678"),
        (json!({"subtract": ["balance", "-0.00000001"]}), "1.00000001"),
        (
            json!({"add": ["balance", {"$literal": "12345678901234567"}, {"$literal": 1}]}),
            "12345678901234569",
        ),
        // A column of that name is meant before the number.
        (json!({"add": ["balance", "7"]}), "101"),
        (json!({"add": ["balance", {"$literal": "7"}]}), "8"),
    ] {
        let arguments = json!({"table": "account", "columns": [value(of.clone())]});
        let found = selected(&engine, arguments).await[0]["it"].clone();
        let found = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
        assert_eq!(found, expected, "{of}");
    }
    let combined = json!({"table": "account", "measures": {"5": {"sum": "balance"}, "n": {"count": "*"},
        "more": {"multiply": ["n", "12345678901234567890"]}, "own": {"add": ["5", "6"]}}});
    let totals = measured(&engine, combined).await;
    assert_eq!(totals["more"], "12345678901234567890");
    assert_eq!(totals["own"], 7);
    let updates = json!({"balance": {"$compute": {"add": ["balance", "12345678901234567"]}}});
    let update = json!({"table": "account", "where": {"id": 1}, "updates": updates, "returning": ["balance"]});
    let written = call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!(rows(&written)[0]["balance"], "12345678901234568");
    for of in [json!("1e400"), json!("9".repeat(501)), json!({"$literal": "x"}), json!("8.x")] {
        let asked =
            json!({"table": "account", "columns": [value(json!({"add": ["balance", of]}))]});
        assert!(call(&engine, "admin", "select", asked).await.is_err(), "{of}");
    }
}

#[tokio::test]
async fn time_is_told_in_units_and_exactly() {
    let database = Database::of(
        "CREATE TABLE shift (id integer PRIMARY KEY, clock_in timestamptz, clock_out timestamptz, rate numeric);
         INSERT INTO shift SELECT n, '2025-01-01 06:00+00'::timestamptz + n * interval '1 day',
           '2025-01-01 14:00+00'::timestamptz + n * interval '1 day', 12.5 FROM generate_series(1, 62) n;",
    )
    .await;
    let engine = database.engine().await;
    let elapsed = |unit: &str| json!({"subtract": ["clock_out", "clock_in"], "unit": unit});
    let days = json!({"subtract": ["clock_out", "clock_in"]});
    for (measure, expected) in [
        (json!({"sum": elapsed("hours")}), json!(496)),
        (json!({"sum": {"multiply": [days, 24]}}), json!(496)),
        (json!({"sum": {"multiply": [elapsed("hours"), "rate"]}}), json!(6200)),
        (json!({"avg": elapsed("minutes")}), json!(480)),
        (json!({"max": elapsed("seconds")}), json!(28_800)),
        (json!({"median": elapsed("hours")}), json!(8)),
        (
            json!({"sum": {"add": [elapsed("hours"), {"multiply": [elapsed("minutes"), 2]}, 1]}}),
            json!(60_078),
        ),
        (json!({"sum": {"divide": [elapsed("days"), elapsed("hours")]}}), json!(62.0 / 24.0)),
        (json!({"count_distinct": elapsed("hours")}), json!(1)),
        (
            json!({"sum": {"subtract": [elapsed("hours"), elapsed("days")]}}),
            json!(496.0 - 62.0 / 3.0),
        ),
    ] {
        let arguments =
            json!({"table": "shift", "measures": {"it": measure}, "having": {"it": {"gte": 0}}});
        let found = measured(&engine, arguments).await;
        let found = plain(&found["it"]);
        let near = (found.as_f64().unwrap() - expected.as_f64().unwrap()).abs();
        assert!(
            near < 1e-9 && (expected.is_f64() || found.as_f64().unwrap().fract() == 0.0),
            "{measure}: {found}"
        );
    }
    let hours = json!({"table": "shift", "measures": {"it": {"sum": elapsed("hours")}}, "having": {"it": 496}});
    assert_eq!(measured(&engine, hours).await, json!({"it": 496}));
    let mut shown = elapsed("hours");
    shown["as"] = json!("hours");
    let arguments = json!({"table": "shift", "columns": [shown], "limit": 1,
        "order_by": [{"subtract": ["clock_out", "clock_in"], "unit": "minutes", "direction": "desc"}, "id"]});
    assert_eq!(selected(&engine, arguments).await, [json!({"hours": 8})]);
    for (of, at) in [
        (json!({"subtract": ["clock_out", "clock_in"], "unit": "months"}), "/measures/it/sum/unit"),
        (json!({"subtract": ["rate", "id"], "unit": "hours"}), "/measures/it/sum/unit"),
    ] {
        let arguments = json!({"table": "shift", "measures": {"it": {"sum": of}}});
        assert_eq!(
            refused(&engine, "aggregate", arguments).await,
            ("invalid_value".into(), at.into())
        );
    }
}

#[tokio::test]
async fn no_value_of_a_row_makes_arithmetic_fail() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let numbers = ["price", "quantity", "discount", "paid", "big", "product.list_price"];
    for operator in ["add", "subtract", "multiply", "divide"] {
        for left in numbers {
            for right in numbers {
                let of = json!({operator: [left, right]});
                let by = json!([of.clone(), {"column": "it", "direction": "desc"}]);
                let arguments =
                    json!({"table": "line", "columns": ["id", value(of.clone())], "order_by": by});
                let found = paged(&engine, arguments, "id").await;
                assert_eq!(found.len(), 4, "{of}");
                measured(&engine, json!({"table": "line", "measures": {"it": {"sum": of}}})).await;
            }
        }
    }
    let most = (0..100).map(|_| json!("discount")).collect::<Vec<_>>();
    measured(&engine, json!({"table": "line", "measures": {"it": {"max": {"multiply": most}}}}))
        .await;
    for ends in [["shipped", "ordered"], ["ordered", "shipped"], ["due", "due"]] {
        let of = value(json!({"subtract": ends}));
        assert_eq!(selected(&engine, json!({"table": "line", "columns": [of]})).await.len(), 4);
    }
}

#[tokio::test]
async fn rows_are_sorted_paged_grouped_and_told_apart_by_it() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let half = json!({"multiply": ["id", {"subtract": ["id", 5]}]});
    let labelled = value(half.clone());
    // 1 and 4 give -4, 2 and 3 give -6.
    for (order, expected) in [
        (json!([half.clone()]), [2, 3, 1, 4]),
        (json!(["it", "-id"]), [3, 2, 4, 1]),
        (json!(["-it"]), [4, 1, 3, 2]),
        (json!([{"column": "it", "direction": "desc", "nulls": "last"}, "id"]), [1, 4, 2, 3]),
        (json!([{"subtract": ["product.list_price", "id"], "direction": "desc"}]), [3, 4, 2, 1]),
    ] {
        let arguments = json!({"table": "line", "columns": ["id", labelled], "order_by": order});
        assert_eq!(paged(&engine, arguments, "id").await, expected, "{order}");
    }
    let distinct = json!({"table": "line", "columns": [labelled], "distinct": true, "order_by": ["it"], "count": "exact"});
    assert_eq!(paged(&engine, distinct, "it").await, [-6, -4]);
    let grouped = json!({"table": "line", "group_by": [labelled], "measures": {"n": {"count": "*"}, "most": {"max": "id"}},
        "order_by": [{"divide": ["most", "n"], "direction": "desc"}], "having": {"it": {"lt": 0}}});
    let reply = call(&engine, "analyst", "aggregate", grouped).await.unwrap();
    assert_eq!(
        rows(&reply),
        [json!({"it": -4, "n": 2, "most": 4}), json!({"it": -6, "n": 2, "most": 3})]
    );
    let included = json!({"table": "product", "columns": ["id"], "where": {"id": {"lte": 2}}, "include": {"line": {
        "columns": [value(json!({"multiply": ["quantity", "product.list_price"]}))], "order_by": ["-it"],
        "include": {"product": {"columns": [value(json!({"multiply": ["list_price", 2]}))]}}}}});
    let line = |id: i32, it: i32, twice: i32| json!({"id": id, "line": [{"it": it, "product": {"it": twice}}]});
    assert_eq!(selected(&engine, included).await, [line(1, 25, 5), line(2, 8, 8)]);
    // A cursor is one of the order that it was made in.
    let mut arguments =
        json!({"table": "line", "columns": ["id", labelled], "order_by": ["it"], "limit": 1});
    let first = call(&engine, "analyst", "select", arguments.clone()).await.unwrap();
    arguments["cursor"] = first["next_cursor"].clone();
    arguments["columns"] = json!(["id", value(json!({"multiply": ["id", 2]}))]);
    assert_eq!(refused(&engine, "select", arguments).await.0, "invalid_cursor");
}

#[tokio::test]
async fn invalid_arithmetic_is_refused_with_its_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let deep = (0..40).fold(json!("id"), |inner, _| json!({"add": [inner, 1]}));
    let wide: Vec<Value> = (0..400).map(|_| json!("id")).collect();
    for (of, code, at) in [
        (json!({"multiply": ["price"]}), "invalid_value", "/multiply"),
        (json!({"multiply": "price"}), "invalid_value", "/multiply"),
        (json!({"subtract": ["price", 1, 2]}), "invalid_value", "/subtract"),
        (json!({"multiply": ["price", "word"]}), "invalid_value", "/multiply/1"),
        (json!({"multiply": ["price", "prise"]}), "unknown_column", "/multiply/1"),
        (json!({"multiply": ["price", "prodct.list_price"]}), "unknown_relation", "/multiply/1"),
        (json!({"multiply": ["price", null]}), "invalid_value", "/multiply/1"),
        (json!({"multiply": [2, 3]}), "invalid_value", ""),
        (json!({"add": ["price", {"times": ["price", 2]}]}), "unknown_operator", "/add/1/times"),
        (
            json!({"add": ["price", {"column": "word", "path": ["a"]}]}),
            "invalid_value",
            "/add/1/path",
        ),
        (json!({"add": ["due", 1]}), "invalid_value", "/add/0"),
        (json!({"subtract": ["due", "word"]}), "invalid_value", "/subtract"),
        (json!({"subtract": ["due", "id"]}), "invalid_value", "/subtract"),
        (deep, "limit_exceeded", &*("/add/0".repeat(17))),
        (json!({"add": wide}), "limit_exceeded", "/add/255"),
    ] {
        let asked = [
            ("select", json!({"table": "line", "columns": [value(of.clone())]}), "/columns/0"),
            ("select", json!({"table": "line", "order_by": [of.clone()]}), "/order_by/0"),
            (
                "aggregate",
                json!({"table": "line", "measures": {"m": {"sum": of.clone()}}}),
                "/measures/m/sum",
            ),
        ];
        for (tool, arguments, before) in asked {
            let (found, place) = refused(&engine, tool, arguments).await;
            assert_eq!((found.as_str(), place), (code, format!("{before}{at}")), "{tool} {of}");
        }
    }
    for (columns, code, at) in [
        (json!([{"add": ["id", 1]}]), "missing_value", "/columns/0/as"),
        (json!([{"add": ["id", 1], "as": 5}]), "invalid_value", "/columns/0/as"),
        (json!([{"add": ["id", 1], "as": "id"}, "id"]), "invalid_value", "/columns/1"),
        (
            json!([{"add": ["id", 1], "as": "x", "column": "id"}]),
            "unknown_argument",
            "/columns/0/column",
        ),
    ] {
        let arguments = json!({"table": "line", "columns": columns});
        assert_eq!(refused(&engine, "select", arguments).await, (code.into(), at.into()));
    }
    for (measure, member, meant) in [
        (json!({"sum": {"$multiply": ["price", 2]}}), "did_you_mean", "multiply"),
        (json!({"sum": {"-": ["price", 2]}}), "did_you_mean", "subtract"),
        (json!({"sum": "price * quantity"}), "hint", "multiply"),
        (json!({"multiply": ["price", "quantity"]}), "hint", "sum"),
    ] {
        let arguments = json!({"table": "line", "measures": {"m": measure}});
        let told = error(&engine, "analyst", "aggregate", arguments).await;
        assert!(told[member].as_str().is_some_and(|text| text.contains(meant)), "{told}");
    }
}

#[tokio::test]
async fn results_reveal_no_more_than_their_columns() {
    let database = Database::of(FIXTURE).await;
    let mut line = readable("public.line", None);
    line.columns.exclude = vec!["big".to_owned()];
    line.columns.mask.insert("paid".to_owned(), Mask::Full);
    let product = readable("public.product", Some(json!({"tenant": 1})));
    let role = Role { name: "reader".to_owned(), grants: vec![line, product], ..Role::default() };
    let columns =
        ColumnMarks { untrusted: vec!["*.*.list_price".into()], ..ColumnMarks::default() };
    let settings = Settings { roles: vec![role], columns, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    for (column, code) in [("big", "unknown_column"), ("paid", "forbidden")] {
        for (tool, arguments) in [
            ("select", json!({"table": "line", "columns": [{"add": [1, column], "as": "it"}]})),
            ("select", json!({"table": "line", "order_by": [{"add": [1, column]}]})),
            (
                "aggregate",
                json!({"table": "line", "measures": {"m": {"sum": {"add": [1, column]}}}}),
            ),
            (
                "aggregate",
                json!({"table": "line", "measures": {"n": {"count": "*"}}, "group_by": [{"add": [1, column], "as": "it"}]}),
            ),
        ] {
            let error = call_as(&engine, &reader, tool, arguments).await.unwrap_err();
            assert_eq!(error.code().as_str(), code, "{tool} {column}");
        }
    }
    let price = json!({"add": ["product.list_price", 0], "as": "it"});
    let arguments = json!({"table": "line", "columns": ["id", price]});
    let reply = call_as(&engine, &reader, "select", arguments).await.unwrap();
    let shown: Vec<&Value> = rows(&reply).iter().map(|row| &row["it"]).collect();
    // Of what is archived, and what is another's, there is no price.
    assert_eq!(shown, [&json!(2.5), &json!(4), &Value::Null, &Value::Null]);
    assert_eq!(reply["untrusted"], json!(["it"]));
    let measures = json!({"most": {"max": {"add": ["product.list_price", 1]}}});
    let arguments = json!({"table": "line", "measures": measures});
    let reply = call_as(&engine, &reader, "aggregate", arguments).await.unwrap();
    assert_eq!((&rows(&reply)[0]["most"], &reply["untrusted"]), (&json!(5), &json!(["most"])));
}
