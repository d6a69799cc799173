//! The bounds of ranges: as columns, in conditions, sort keys, groups and measures.

use mcp_pg_tests::{Database, call, error, ids, paged, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE DOMAIN slot AS tstzrange;
CREATE TABLE room (id integer PRIMARY KEY, opened daterange);
INSERT INTO room VALUES (1, '[2025-01-01,2025-02-01)'), (2, '[2024-01-01,)');
CREATE TABLE booking (id integer PRIMARY KEY, room_id integer REFERENCES room, during tstzrange, seats int4range, price numrange,
  slot slot, made timestamptz, spans int4multirange, note text);
INSERT INTO booking SELECT n, 1 + n % 2, tstzrange(t, t + (1 + n % 3) * interval '45 minutes'), int4range(n, n + 5),
  numrange(n, n * 1.5), tstzrange(t, t + interval '1 hour'), t - interval '2 days', '{[1,3)}', 'n' FROM generate_series(1, 40) n,
  LATERAL (SELECT '2025-01-01 00:00+00'::timestamptz + n * interval '13 hours' AS t) o;
INSERT INTO booking VALUES (41, 1, '[2025-03-01 00:00+00,)', '(,5)', 'empty', NULL, '2025-03-01'), (42, 1, 'empty', NULL, NULL, NULL, NULL),
  (43, 2, '(,2025-01-02 00:00+00)', 'empty', '[1,2]', '[-infinity,infinity]', '-infinity');";

#[tokio::test]
async fn conditions_hold_for_an_end() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (condition, sql) in [
        (
            json!({"during": {"path": ["lower"], "gte": "2025-01-15T00:00:00Z"}}),
            "lower(during) >= '2025-01-15 00:00+00'",
        ),
        (
            json!({"during": {"path": ["upper"], "lt": "2025-01-03T12:00:00Z"}}),
            "upper(during) < '2025-01-03 12:00+00'",
        ),
        (json!({"during": {"path": ["upper"], "is_null": true}}), "upper(during) IS NULL"),
        (json!({"during": {"path": ["lower"], "ne": null}}), "lower(during) IS NOT NULL"),
        (
            json!({"seats": {"path": ["lower"], "in": [3, 7, null]}}),
            "coalesce(lower(seats), 3) IN (3, 7)",
        ),
        (json!({"seats": {"path": ["upper"], "gt": 10, "lte": 12}}), "upper(seats) IN (11, 12)"),
        (json!({"price": {"path": ["upper"], "eq": 4.5}}), "upper(price) = 4.5"),
        (
            json!({"slot": {"path": ["lower"], "lt": "2025-01-02"}}),
            "lower(slot) < '2025-01-02 00:00+00'",
        ),
        (json!({"during": {"path": ["lower"], "gt": {"$column": "made"}}}), "lower(during) > made"),
        (
            json!({"not": {"during": {"path": ["lower"], "gte": "2025-01-15"}}}),
            "NOT lower(during) >= '2025-01-15 00:00+00'",
        ),
        (json!({"room": {"opened": {"path": ["upper"], "is_null": false}}}), "room_id = 1"),
    ] {
        let by_hand = format!("SELECT json_agg(id ORDER BY id)::text FROM booking WHERE {sql}");
        let expected: Vec<i64> =
            serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
        assert_eq!(ids(&engine, "booking", &condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn ends_are_shown_sorted_and_paged_by() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let shown = json!({"table": "booking", "where": {"id": {"in": [1, 41, 42, 43]}}, "columns": ["id",
        {"column": "during", "path": ["lower"]}, {"column": "seats", "path": ["upper"], "as": "last"},
        {"column": "price", "path": ["upper"]}, {"column": "room.opened", "path": ["lower"], "as": "opened"},
        {"subtract": [{"column": "during", "path": ["upper"]}, {"column": "during", "path": ["lower"]}], "unit": "minutes", "as": "took"}]});
    let reply = call(&engine, "analyst", "select", shown).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"id": 1, "during.lower": "2025-01-01T13:00:00Z", "last": 6, "price.upper": 1.5, "opened": "2024-01-01", "took": 90}),
            json!({"id": 41, "during.lower": "2025-03-01T00:00:00Z", "last": 5, "price.upper": null, "opened": "2025-01-01", "took": null}),
            json!({"id": 42, "during.lower": null, "last": null, "price.upper": null, "opened": "2025-01-01", "took": null}),
            json!({"id": 43, "during.lower": null, "last": null, "price.upper": 2, "opened": "2024-01-01", "took": null}),
        ]
    );
    for (order, sql) in [
        (
            json!([{"column": "during", "path": ["upper"], "direction": "desc", "nulls": "last"}]),
            "upper(during) DESC NULLS LAST, id DESC",
        ),
        (
            json!([{"column": "seats", "path": ["lower"]}, {"column": "seats", "path": ["upper"], "direction": "desc"}]),
            "lower(seats), upper(seats) DESC, id DESC",
        ),
        (
            json!([{"column": "slot", "path": ["upper"], "direction": "desc"}, "during"]),
            "upper(slot) DESC, during, id",
        ),
        (json!([{"column": "room.opened", "path": ["upper"]}, "-id"]), "room_id <> 1, id DESC"),
    ] {
        let arguments = json!({"table": "booking", "columns": ["id", {"column": "slot", "path": ["upper"], "as": "end"}], "order_by": order});
        let by_hand = format!("SELECT json_agg(id ORDER BY {sql})::text FROM booking");
        let expected: Vec<i64> =
            serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
        assert_eq!(paged(&engine, arguments, "id", 7).await, expected, "{order}");
    }
    let distinct = json!({"table": "booking", "distinct": true, "columns": [{"column": "room.opened", "path": ["lower"], "as": "it"}], "order_by": ["it"]});
    let reply = call(&engine, "analyst", "select", distinct).await.unwrap();
    assert_eq!(rows(&reply), [json!({"it": "2024-01-01"}), json!({"it": "2025-01-01"})]);
}

#[tokio::test]
async fn ends_are_grouped_and_measured() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let begin = json!({"column": "during", "path": ["lower"]});
    let end = json!({"column": "during", "path": ["upper"]});
    let arguments = json!({"table": "booking", "where": {"id": {"lte": 40}}, "order_by": ["month"],
        "group_by": [{"column": "during", "path": ["lower"], "bucket": "month", "time_zone": "Europe/Berlin", "as": "month"}],
        "measures": {"n": {"count": "*"}, "mean": {"avg": {"subtract": [end, begin], "unit": "hours"}}, "last": {"max": end}, "seats": {"sum": {"column": "seats", "path": ["lower"]}}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let by_hand = "SELECT json_agg(json_build_object('n', n, 'last', last, 'seats', seats, 'mean', mean) ORDER BY month)::text FROM (
        SELECT date_trunc('month', lower(during), 'Europe/Berlin') AS month, count(*) AS n, max(upper(during)) AT TIME ZONE 'UTC' AS last,
          sum(lower(seats)) AS seats, avg(extract(epoch FROM upper(during) - lower(during))) / 3600 AS mean
        FROM booking WHERE id <= 40 GROUP BY 1) g";
    let expected: Value = serde_json::from_str(&database.value(by_hand).await.unwrap()).unwrap();
    let number = |value: &Value| value.as_f64().or_else(|| value.as_str()?.parse().ok()).unwrap();
    assert_eq!(rows(&reply).len(), expected.as_array().unwrap().len());
    for (row, expected) in rows(&reply).iter().zip(expected.as_array().unwrap()) {
        assert_eq!((&row["n"], &row["seats"]), (&expected["n"], &expected["seats"]));
        assert_eq!(row["last"], format!("{}Z", expected["last"].as_str().unwrap()));
        assert!((number(&row["mean"]) - number(&expected["mean"])).abs() < 1e-9, "{row}");
    }
    let written = json!({"table": "booking", "where": {"id": 1}, "updates": {"note": "x"}, "returning": [begin], "dry_run": true});
    let reply = call(&engine, "operator", "update", written).await.unwrap();
    assert_eq!(reply["after"], json!([{"during.lower": "2025-01-01T13:00:00Z"}]), "{reply}");
    // A range that is a group is a range still.
    let arguments = json!({"table": "booking", "group_by": ["seats"], "measures": {"n": {"count": "*"}},
        "having": {"seats": {"path": ["lower"], "gte": 39}}, "order_by": [{"column": "seats", "path": ["upper"], "direction": "desc"}]});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let lower: Vec<&Value> = rows(&reply).iter().map(|row| &row["seats"]["lower"]).collect();
    assert_eq!(lower, [40, 39]);
}

#[tokio::test]
async fn invalid_bounds_are_refused_with_their_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, at) in [
        (
            json!({"where": {"during": {"path": ["begin"], "gt": "2025-01-01"}}}),
            "/where/during/path",
        ),
        (json!({"where": {"during": {"path": "lower", "gt": "2025-01-01"}}}), "/where/during/path"),
        (json!({"where": {"during": {"path": ["lower"], "gt": "soon"}}}), "/where/during/gt"),
        (json!({"where": {"during": {"path": ["lower"]}}}), "/where/during"),
        (json!({"columns": [{"column": "during", "path": ["lower", "day"]}]}), "/columns/0/path"),
        (json!({"columns": [{"column": "spans", "path": ["lower"]}]}), "/columns/0/path"),
        (json!({"order_by": [{"column": "during", "path": []}]}), "/order_by/0/path"),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("booking");
        assert_eq!(
            refused(&engine, "select", arguments.clone()).await,
            ("invalid_value".into(), at.into()),
            "{arguments}"
        );
    }
    for (condition, hint) in [
        (json!({"gte": "2025-10-12"}), r#"{"during": {"path": ["lower"], "gte": "2025-10-12"}}"#),
        (json!("2025-10-12"), r#"{"during": {"contains": "2025-10-12"}}"#),
    ] {
        let arguments = json!({"table": "booking", "where": {"during": condition}});
        let told = error(&engine, "analyst", "select", arguments).await;
        assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
    }
}

/// Operators on an end go beside its path; an object of ends is a whole range, with which few rows are equal.
#[tokio::test]
async fn a_range_is_compared_as_a_whole() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let select = |condition: &Value| json!({"table": "booking", "where": condition});
    for (condition, hint) in [
        (
            json!({"during": {"lower": {"gte": "2025-01-01", "lt": "2025-02-01"}}}),
            r#"{"during": {"path":["lower"],"gte":"2025-01-01","lt":"2025-02-01"}}"#,
        ),
        (json!({"seats": {"upper": {"gt": 3}}}), r#"{"seats": {"path":["upper"],"gt":3}}"#),
        (json!({"during": {"between": ["2025-01-01", "2025-02-01"]}}), r#"{"overlaps": {"lower""#),
        // Followed, it must not include the next range.
        (
            json!({"during": {"overlaps": "2025-01-01 10:00 - 11:00"}}),
            r#"for example {"lower": "2024-01-31T13:45:00Z", "upper": "2024-01-31T15:00:00Z"}"#,
        ),
        (json!({"seats": {"overlaps": "3 - 5"}}), r#"for example {"lower": 42, "upper": 50}"#),
    ] {
        let told = error(&engine, "analyst", "select", select(&condition)).await;
        assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
    }
    for (name, meant) in [("&&", Some("overlaps")), ("overlap", Some("overlaps")), ("start", None)]
    {
        let condition = json!({"during": {name: {"lower": "2025-01-01", "upper": "2025-01-02"}}});
        let told = error(&engine, "analyst", "select", select(&condition)).await;
        assert_eq!(told["code"], "unknown_operator", "{told}");
        assert_eq!(told["did_you_mean"].as_str(), meant, "{told}");
        let allowed = told["allowed"].as_array().unwrap();
        assert!(allowed.contains(&json!("overlaps")) && allowed.contains(&json!("path")), "{told}");
    }
    for (condition, noted) in [
        (
            json!({"during": {"lower": "2025-01-01", "upper": "2025-02-01"}}),
            r#", {"path": ["lower"]"#,
        ),
        (json!({"seats": {"upper": 700}}), r#"{"overlaps": …}"#),
        (json!({"spans": [{"lower": 1, "upper": 7}]}), r#"{"overlaps": …}"#),
        (json!({"during": {"overlaps": {"lower": "1999-01-01", "upper": "1999-02-01"}}}), ""),
        (json!({"seats": {"lower": 3, "upper": 8}}), ""),
    ] {
        let told = call(&engine, "analyst", "select", select(&condition)).await.unwrap();
        let note = told["notes"][0].as_str().unwrap_or_default();
        assert!(note.contains(noted) && note.is_empty() == noted.is_empty(), "{condition}: {told}");
    }
}

/// Stays of two days, from nine days ago until nine days from now.
const STAYS: &str = "
    CREATE TABLE stay (id integer PRIMARY KEY, during tstzrange, days daterange, local tsrange, note text);
    INSERT INTO stay SELECT n, tstzrange(now() + n * interval '1 day', now() + (n + 2) * interval '1 day'),
        daterange(current_date + n, current_date + n + 2) FROM generate_series(-9, 9) n;";

#[tokio::test]
async fn conditions_on_ranges_that_begin_or_end_now() {
    let database = Database::of(STAYS).await;
    let engine = database.engine().await;
    for (condition, sql) in [
        (
            json!({"during": {"overlaps": {"lower": {"$now": true}, "upper": {"$now": "7 days"}}}}),
            "during && tstzrange(now(), now() + interval '7 days')",
        ),
        (
            json!({"days": {"contained_by": {"lower": {"$now": "-3 days"}, "upper": null}}}),
            "days <@ daterange(current_date - 3, NULL)",
        ),
        (
            json!({"days": {"contains": {"lower": {"$now": true}, "upper": {"$now": "1 day"}, "bounds": "[]"}}}),
            "days @> daterange(current_date, current_date + 1, '[]')",
        ),
        (
            json!({"days": {"lower": {"$now": "2 days"}, "upper": {"$now": "4 days"}}}),
            "days = daterange(current_date + 2, current_date + 4)",
        ),
        (
            json!({"days": {"gt": {"lower": "2020-01-01", "upper": {"$now": true}}}}),
            "days > daterange('2020-01-01', current_date)",
        ),
        (
            json!({"days": {"in": [{"lower": {"$now": true}, "upper": {"$now": "2 days"}}, "empty"]}}),
            "days = daterange(current_date, current_date + 2)",
        ),
        // One that ends before it begins is none: it is no error, whatever rows there are.
        (
            json!({"days": {"overlaps": {"lower": {"$now": true}, "upper": {"$now": "-7 days"}}}}),
            "false",
        ),
    ] {
        let by_hand =
            format!("SELECT coalesce(json_agg(id ORDER BY id), '[]')::text FROM stay WHERE {sql}");
        let expected = database.value(&by_hand).await.unwrap();
        let arguments =
            json!({"table": "stay", "columns": ["id"], "where": condition, "order_by": ["id"]});
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        let found: Value = rows(&reply).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap(), "{condition}");
    }
}

#[tokio::test]
async fn ranges_that_begin_or_end_now_are_written() {
    let database = Database::of(STAYS).await;
    let engine = database.engine().await;
    let write = |tool: &'static str, arguments: Value| {
        let engine = &engine;
        async move { call(engine, "operator", tool, arguments).await.unwrap() }
    };
    let hours = json!({"lower": {"$now": true}, "upper": {"$now": "2 hours"}});
    let data = json!([{"id": 20, "during": hours, "local": {"lower": "2020-01-01", "upper": {"$now": true}, "bounds": "(]"}}, {"id": 21, "days": {"lower": {"$now": true}}}]);
    write("insert", json!({"table": "stay", "data": data})).await;
    write("update", json!({"table": "stay", "where": {"id": 1}, "updates": {"days": {"lower": "2020-01-01", "upper": {"$now": true}}}})).await;
    let each = json!([{"id": 2, "days": {"lower": null, "upper": {"$now": "1 day"}}}, {"id": 3, "days": {"lower": null, "upper": {"$now": "2 days"}}}]);
    write("update", json!({"table": "stay", "where": {}, "updates": each})).await;
    let upsert = json!({"table": "stay", "data": {"id": 4, "during": hours}, "on_conflict": {"columns": ["id"], "do": "update"}});
    write("insert", upsert).await;
    let right = "SELECT bool_and(CASE id WHEN 20 THEN upper(during) - lower(during) = '2 hours' AND lower(during) <= now() AND lower(local) = '2020-01-01'
          AND NOT lower_inc(local) AND upper_inc(local)
        WHEN 21 THEN days = daterange(current_date, NULL) WHEN 1 THEN days = daterange('2020-01-01', current_date)
        WHEN 2 THEN days = daterange(NULL, current_date + 1) WHEN 3 THEN days = daterange(NULL, current_date + 2)
        WHEN 4 THEN upper(during) - lower(during) = '2 hours' END)::text FROM stay WHERE id IN (20, 21, 1, 2, 3, 4)";
    assert_eq!(database.value(right).await.as_deref(), Some("true"));
}

#[tokio::test]
async fn wrong_ranges_that_begin_or_end_now_are_told_with_their_place() {
    let engine = Database::of(STAYS).await.engine().await;
    for (tool, arguments, code, at) in [
        (
            "update",
            json!({"where": {"id": 1}, "updates": {"days": {"upper": {"$now": true}}}}),
            "missing_value",
            "/updates/days/lower",
        ),
        (
            "update",
            json!({"where": {"id": 1}, "updates": {"days": {"lower": {"$now": "soon"}, "upper": null}}}),
            "invalid_value",
            "/updates/days/lower/$now",
        ),
        (
            "insert",
            json!({"data": {"id": 30, "days": {"lower": {"$now": true}, "until": null}}}),
            "invalid_value",
            "/data/days/until",
        ),
        (
            "insert",
            json!({"data": {"id": 30, "days": {"lower": {"$now": true}, "bounds": "empty"}}}),
            "invalid_value",
            "/data/days/bounds",
        ),
        (
            "insert",
            json!({"data": {"id": 30, "days": {"lower": {"$now": true}, "upper": "soon"}}}),
            "invalid_value",
            "/data/days/upper",
        ),
        (
            "select",
            json!({"where": {"days": {"overlaps": {"lower": {"$now": "x"}}}}}),
            "invalid_value",
            "/where/days/overlaps/lower/$now",
        ),
        (
            "select",
            json!({"where": {"days": {"like": {"lower": {"$now": true}}}}}),
            "unknown_operator",
            "/where/days/like",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("stay");
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!((&told["code"], &told["at"]), (&json!(code), &json!(at)), "{arguments}: {told}");
    }
}
