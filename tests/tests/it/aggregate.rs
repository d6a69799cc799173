//! aggregate and explain.

use mcp_pg_tests::{Database, call, error, pages, refused, rows};
use serde_json::{Value, json};

#[tokio::test]
async fn groups_and_measures_agree_with_hand_written_sql() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = call(
        &engine,
        "analyst",
        "aggregate",
        json!({
            "table": "orders",
            "measures": {
                "orders": {"count": "*"},
                "revenue": {"sum": "total"},
                "buyers": {"count_distinct": "user_id"},
                "big": {"count": "*", "where": {"total": {"gte": 50}}},
                "latest": {"max": "created_at"},
            },
            "group_by": [
                "status",
                {"column": "created_at", "bucket": "year", "time_zone": "Europe/Paris", "as": "year"},
                "user.country",
            ],
            "having": {"orders": {"gte": 1}, "or": [{"revenue": {"gt": 0}}, {"revenue": null}]},
            "order_by": ["-revenue", "status"],
        }),
    )
    .await
    .unwrap();
    let total: f64 = rows(&reply).iter().map(|row| row["revenue"].as_f64().unwrap()).sum();
    let expected = database
        .value("SELECT sum(total)::text FROM orders WHERE archived_at IS NULL")
        .await
        .unwrap();
    assert!((total - expected.parse::<f64>().unwrap()).abs() < 0.001, "{reply:#}");
    let groups = database
        .value(
            "SELECT count(*)::text FROM (SELECT DISTINCT status, \
             date_trunc('year', o.created_at, 'Europe/Paris'), \
             (SELECT country FROM users u WHERE u.user_id = o.user_id AND u.archived_at IS NULL) \
             FROM orders o WHERE archived_at IS NULL) g",
        )
        .await
        .unwrap();
    assert_eq!(reply["row_count"].to_string(), groups);
    assert!(
        rows(&reply)[0]["year"].as_str().unwrap().ends_with("-01-01T00:00:00+01:00"),
        "{reply}"
    );
}

#[tokio::test]
async fn a_condition_on_the_rows_that_groups_come_from_holds() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, name text, country text, archived_at timestamptz);
         CREATE TABLE bill (id integer PRIMARY KEY, person_id integer REFERENCES person, total integer);
         INSERT INTO person VALUES (1, 'Ada', 'FR', NULL), (2, 'Bob', NULL, NULL), (3, 'Cyd', 'FR', now());
         INSERT INTO bill VALUES (1, 1, 10), (2, 2, 20), (3, 3, 30), (4, NULL, 40), (5, 1, 50);",
    )
    .await;
    let engine = database.engine().await;
    let named = json!([{"person.name": "Ada", "sum": 60}, {"person.name": "Bob", "sum": 20}]);
    let unnamed = json!([{"person.name": null, "sum": 70}]);
    for (condition, archived, expected) in [
        (json!({"person": {}}), "exclude", named.clone()),
        (json!({"person": {"country": null}}), "exclude", json!([named[1]])),
        (json!({"person": {"country": "FR"}}), "exclude", json!([named[0]])),
        (json!({"person": null}), "exclude", unnamed.clone()),
        (json!({"not": {"person": {"country": "FR"}}}), "exclude", json!([named[1], unnamed[0]])),
        (
            json!({"or": [{"person": {"country": "FR"}}, {"id": 4}]}),
            "exclude",
            json!([named[0], {"person.name": null, "sum": 40}]),
        ),
        (
            json!({"person": {"country": "FR"}}),
            "include",
            json!([named[0], {"person.name": "Cyd", "sum": 30}]),
        ),
    ] {
        let arguments = json!({
            "table": "bill", "where": condition, "archived": archived,
            "group_by": ["person.name"], "measures": {"sum": {"sum": "total"}},
        });
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        assert_eq!(reply["rows"], expected, "{condition}");
    }
}

#[tokio::test]
async fn pages_of_groups_follow_each_other() {
    let engine = Database::shop().await.engine().await;
    let whole = json!({"table": "orders", "measures": {"n": {"count": "*"}}, "group_by": ["user_id"], "order_by": ["-n"]});
    let all = call(&engine, "analyst", "aggregate", whole.clone()).await.unwrap();
    assert_eq!(pages(&engine, "aggregate", whole, 3).await, rows(&all));
}

#[tokio::test]
async fn groups_are_counted() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let spent = |limit: u64, count: &str| {
        json!({"table": "orders", "group_by": ["user_id"], "measures": {"spent": {"sum": "total"}},
            "having": {"spent": {"gt": 100}}, "limit": limit, "count": count})
    };
    let buyers = database.value(
        "SELECT count(*)::text FROM (SELECT FROM orders WHERE archived_at IS NULL GROUP BY user_id HAVING sum(total) > 100) g",
    );
    let buyers: u64 = buyers.await.unwrap().parse().unwrap();
    assert!(buyers > 1);
    let counted = call(&engine, "analyst", "aggregate", spent(0, "exact")).await.unwrap();
    assert_eq!((&counted["rows"], &counted["count"]), (&json!([]), &json!(buyers)));
    let page = call(&engine, "analyst", "aggregate", spent(1, "exact")).await.unwrap();
    assert_eq!((&page["row_count"], &page["count"]), (&json!(1), &json!(buyers)));
    let uncounted = call(&engine, "analyst", "aggregate", spent(1, "none")).await.unwrap();
    assert_eq!(uncounted.get("count"), None);

    let total = json!({"table": "orders", "measures": {"n": {"count": "*"}}, "count": "exact"});
    let total = call(&engine, "analyst", "aggregate", total).await.unwrap();
    assert_eq!(total["count"], 1);
    let mut operation = spent(0, "exact");
    operation["operation"] = json!("aggregate");
    let done = json!({"operations": [operation]});
    let done = call(&engine, "operator", "transaction", done).await.unwrap();
    assert_eq!(done["results"][0]["count"], buyers);
}

#[tokio::test]
async fn a_wrong_measure_is_told_with_its_place() {
    let engine = Database::shop().await.engine().await;
    for (measures, code, at) in [
        (json!({}), "missing_value", "/measures"),
        (json!({"n": {"total": "x"}}), "unknown_operator", "/measures/n/total"),
        (json!({"n": {"sum": "status"}}), "invalid_value", "/measures/n/sum"),
        (json!({"n": {"sum": "totl"}}), "unknown_column", "/measures/n/sum"),
        (json!({"n": "count"}), "invalid_value", "/measures/n"),
    ] {
        let arguments = json!({"table": "orders", "measures": measures});
        assert_eq!(refused(&engine, "aggregate", arguments).await, (code.into(), at.into()));
    }
    let arguments =
        json!({"table": "orders", "measures": {"n\u{0}\"; DROP TABLE orders; --": {"count": "*"}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!(reply["row_count"], 1);
}

#[tokio::test]
async fn percentiles_are_those_of_the_rows_that_count() {
    let database = Database::of(
        "CREATE TABLE t (id int PRIMARY KEY, n int, x numeric, r real, took interval, meta jsonb, word text);
         INSERT INTO t SELECT i, i, i / 10.0, i, make_interval(hours => i), jsonb_build_object('n', i), 'w' FROM generate_series(1, 9) i;
         INSERT INTO t (id, meta) VALUES (10, '{\"n\": \"x\"}');",
    )
    .await;
    let engine = database.engine().await;
    let arguments = json!({"table": "t", "measures": {
        "n": {"median": "n"}, "x": {"median": "x"}, "r": {"percentile": "r", "fraction": 1}, "took": {"median": "took"},
        "low": {"percentile": "n", "fraction": 0.25}, "inner": {"median": {"column": "meta", "path": ["n"]}},
        "even": {"median": "n", "where": {"n": {"lte": 4}}}, "twice": {"median": {"multiply": ["n", 2]}},
        "none": {"median": "n", "where": {"id": 10}}}, "order_by": ["-n"], "having": {"n": {"gt": 4}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let expected = json!({"n": 5.0, "x": 0.5, "r": 9.0, "took": "05:00:00", "low": 3.0, "inner": 5.0, "even": 2.5, "twice": 10.0, "none": null});
    assert_eq!(rows(&reply), [expected]);
    for (measure, code, at) in [
        (json!({"median": "word"}), "invalid_value", "/measures/m/median"),
        (json!({"stddev": "word"}), "invalid_value", "/measures/m/stddev"),
        (json!({"percentile": "n"}), "missing_value", "/measures/m/fraction"),
        (json!({"percentile": "n", "fraction": 90}), "invalid_value", "/measures/m/fraction"),
        (json!({"percentile": "n", "fraction": "0.9"}), "invalid_value", "/measures/m/fraction"),
        (json!({"sum": "n", "fraction": 0.9}), "unknown_argument", "/measures/m/fraction"),
        (json!({"fraction": 0.9}), "invalid_value", "/measures/m"),
    ] {
        let arguments = json!({"table": "t", "measures": {"m": measure}});
        assert_eq!(refused(&engine, "aggregate", arguments).await, (code.into(), at.into()));
    }
}

#[tokio::test]
async fn how_far_values_lie_from_their_mean() {
    let database = Database::of(
        "CREATE TABLE t (id int PRIMARY KEY, n int, x numeric, r double precision, ok boolean, meta jsonb);
         INSERT INTO t SELECT i, i * i, i / 7.0, i * 1.5, i % 2 = 0, jsonb_build_object('n', i) FROM generate_series(1, 9) i",
    )
    .await;
    let engine = database.engine().await;
    let arguments = json!({"table": "t", "measures": {
        "n": {"stddev": "n"}, "x": {"variance": "x"}, "r": {"stddev": "r"},
        "inner": {"variance": {"column": "meta", "path": ["n"]}}, "twice": {"stddev": {"multiply": ["n", 2]}},
        "some": {"stddev": "n", "where": {"ok": true}}, "one": {"stddev": "n", "where": {"id": 1}}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let told = &rows(&reply)[0];
    for (name, sql) in [
        ("n", "stddev(n)"),
        ("x", "variance(x)"),
        ("r", "stddev(r)"),
        ("inner", "variance((meta->>'n')::numeric)"),
        ("twice", "stddev(n * 2)"),
        ("some", "stddev(n) FILTER (WHERE ok)"),
    ] {
        let number = |text: &str| text.trim_matches('"').parse::<f64>().unwrap();
        let expected = database.value(&format!("SELECT ({sql})::text FROM t")).await.unwrap();
        assert_eq!(number(&told[name].to_string()), number(&expected), "{name}: {told}");
    }
    assert_eq!(told["one"], Value::Null);
    let share = json!({"table": "t", "measures": {"share": {"avg": "ok"}}});
    let refused = error(&engine, "analyst", "aggregate", share).await;
    assert!(refused["hint"].as_str().unwrap().contains("\"where\": {\"ok\": true}"), "{refused}");
}

#[tokio::test]
async fn times_between_points_are_measured_in_their_unit() {
    let database = Database::of(
        "CREATE TABLE t (id int PRIMARY KEY, began timestamp, ended timestamp);
         INSERT INTO t SELECT i, '2024-01-01', timestamp '2024-01-01' + i * i * interval '7 hours' FROM generate_series(1, 9) i",
    )
    .await;
    let engine = database.engine().await;
    let elapsed = |unit: &str| json!({"subtract": ["ended", "began"], "unit": unit});
    let seconds = "extract(epoch FROM ended - began)";
    let product = json!({"multiply": [elapsed("days"), elapsed("hours")]});
    let mut values = vec![(product, format!("{seconds} / 86400.0 * {seconds} / 3600.0"))];
    for (unit, length) in [("days", 86_400), ("hours", 3_600), ("minutes", 60), ("seconds", 1)] {
        values.push((elapsed(unit), format!("{seconds} / {length}.0")));
    }
    for (value, sql) in values {
        for function in ["sum", "avg", "min", "max", "stddev", "variance", "median"] {
            let arguments = json!({"table": "t", "measures": {"m": {function: value}}});
            let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
            let told = rows(&reply)[0]["m"].to_string().trim_matches('"').parse::<f64>().unwrap();
            let measured = match function {
                "median" => format!("percentile_cont(0.5) WITHIN GROUP (ORDER BY {sql})"),
                function => format!("{function}({sql})"),
            };
            let expected = database.value(&format!("SELECT ({measured})::text FROM t")).await;
            let expected = expected.unwrap().parse::<f64>().unwrap();
            let off = (told - expected).abs() / expected;
            assert!(off < 1e-9, "{function} of {value}: {told}, not {expected}");
        }
    }
}

#[tokio::test]
async fn a_plan_is_told_without_the_text_of_conditions() {
    let engine = Database::shop().await.engine().await;
    for arguments in [
        json!({"operation": "select", "table": "orders", "where": {"note": "secret words"}}),
        json!({"operation": "aggregate", "table": "orders", "measures": {"n": {"count": "*"}}, "analyze": true}),
    ] {
        let reply = call(&engine, "admin", "explain", arguments).await.unwrap();
        assert!(reply["estimated_cost"].is_number(), "{reply}");
        assert!(reply["text"].as_str().unwrap().contains("orders"), "{reply}");
        assert!(!reply.to_string().contains("secret words"), "{reply}");
    }
    let arguments = json!({"operation": "select", "table": "orders", "measures": {}});
    assert_eq!(refused(&engine, "explain", arguments).await.0, "unknown_argument");
}

#[tokio::test]
async fn the_least_and_greatest_of_every_text_type_is_text() {
    let database = Database::of(
        "CREATE DOMAIN short AS varchar(3);
         CREATE TABLE t (id int PRIMARY KEY, v varchar(5), n name, l \"char\", c char(3), s short);
         INSERT INTO t VALUES (1, 'b', 'b', 'b', 'b', 'b'), (2, 'a', 'a', 'a', 'a', 'a');",
    )
    .await;
    let engine = database.engine().await;
    for column in ["v", "n", "l", "c", "s"] {
        let measures = json!({"least": {"min": column}, "most": {"max": column}});
        let arguments = json!({"table": "t", "measures": measures});
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        let row = &rows(&reply)[0];
        let text = |name: &str| row[name].as_str().unwrap().trim_end().to_owned();
        assert_eq!((text("least"), text("most")), ("a".into(), "b".into()), "{column}");
    }
}

#[tokio::test]
async fn min_and_max_need_an_order() {
    let database =
        Database::of("CREATE TABLE t (id int PRIMARY KEY, docs json[], marks xml[], list int[])")
            .await;
    let engine = database.engine().await;
    for function in ["min", "max"] {
        for column in ["docs", "marks"] {
            let arguments = json!({"table": "t", "measures": {"m": {function: column}}});
            let told = error(&engine, "analyst", "aggregate", arguments).await;
            assert_eq!(told["code"], "invalid_value");
            assert_eq!(told["allowed"], json!(["id", "list"]));
        }
    }
}

#[tokio::test]
async fn an_unknown_name_in_having_is_about_the_reply_not_the_table() {
    let engine = Database::shop().await.engine().await;
    let measures = json!({"n": {"count": "*"}});
    for member in ["order_by", "having"] {
        let mut arguments = json!({"table": "orders", "measures": measures});
        arguments[member] =
            if member == "having" { json!({"status": "new"}) } else { json!(["status"]) };
        let error = error(&engine, "analyst", "aggregate", arguments).await;
        assert_eq!(error["message"], "the reply has no column \"status\"");
        assert_eq!(error["allowed"], json!(["n"]));
    }
}

#[tokio::test]
async fn an_unknown_time_zone_is_told_with_its_place() {
    let engine = Database::shop().await.engine().await;
    let arguments = json!({"table": "orders", "measures": {"n": {"count": "*"}}, "where": {"order_id": {"gt": 0}},
        "group_by": [{"column": "created_at", "bucket": "day", "time_zone": "Mars/Olympus"}]});
    assert_eq!(
        refused(&engine, "aggregate", arguments).await,
        ("invalid_value".into(), "/group_by/0/time_zone".into())
    );
}

#[tokio::test]
async fn types_without_aggregates_of_their_own_have_those_that_postgresql_takes() {
    let database = Database::of(
        "CREATE TABLE t (net cidr, shift time);
         INSERT INTO t VALUES ('10.0.0.0/8', '08:00'), ('192.168.0.0/16', '09:30');",
    )
    .await;
    let engine = database.engine().await;
    let measures = json!({"least": {"min": "net"}, "most": {"max": "net"}, "sum": {"sum": "shift"},
        "mean": {"avg": "shift"}});
    let asked = json!({"table": "t", "measures": measures});
    let reply = call(&engine, "analyst", "aggregate", asked).await.unwrap();
    assert_eq!(
        rows(&reply)[0],
        json!({"least": "10.0.0.0/8", "most": "192.168.0.0/16", "sum": "17:30:00", "mean": "08:45:00"})
    );
}
