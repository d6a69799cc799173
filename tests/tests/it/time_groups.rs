//! Groups by time: periods in a time zone, and fields such as the weekday.

use mcp_pg_tests::{Database, call, error, pages, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TABLE scan (id integer PRIMARY KEY, at timestamptz, day date, stamp timestamp, clock time, word text);
INSERT INTO scan SELECT n, '2025-10-20 00:00+00'::timestamptz + n * interval '7 hours', '2025-01-01'::date + 3 * n,
  '2025-03-01'::timestamp + n * interval '5 hours', '00:00'::time + n * interval '13 minutes', 'w' FROM generate_series(1, 60) n;
INSERT INTO scan (id, at, day, stamp) VALUES (100, 'infinity', 'infinity', '-infinity'), (101, NULL, NULL, NULL),
  (102, '1883-06-01 12:00+00', '0044-03-15 BC', '0044-03-15 BC'), (103, '294276-12-31 23:30+00', NULL, NULL),
  (104, '4713-01-01 00:00+00 BC', NULL, NULL);";

fn by(cut: Value) -> Value {
    json!({"table": "scan", "group_by": [cut], "measures": {"n": {"count": "*"}}, "order_by": ["it"]})
}

#[tokio::test]
async fn a_time_bucket_is_shown_in_its_zone_and_accepted_in_conditions() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (zone, bucket) in [
        ("Asia/Tokyo", "day"),
        ("Europe/Berlin", "month"),
        ("America/St_Johns", "week"),
        ("UTC", "year"),
    ] {
        let by_hand = format!("SELECT json_agg(json_build_array(it, n) ORDER BY it)::text FROM (SELECT date_trunc('{bucket}', at, '{zone}') AS it,
            count(*) AS n FROM scan WHERE id < 100 GROUP BY 1) g");
        let client = database.client().await;
        client.execute(&format!("SET TIME ZONE '{zone}'"), &[]).await.unwrap();
        let expected: String = client.query_one(&by_hand, &[]).await.unwrap().get(0);
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let mut arguments =
            by(json!({"column": "at", "bucket": bucket, "time_zone": zone, "as": "it"}));
        arguments["where"] = json!({"id": {"lt": 100}});
        // A row a page: the cursor holds what the reply told.
        let paged = pages(&engine, "aggregate", arguments.clone(), 1).await;
        let utc = |row: &Value| row["it"].as_str().unwrap().replace('Z', "+00:00");
        let found: Vec<Value> = paged.iter().map(|row| json!([utc(row), row["n"]])).collect();
        assert_eq!(Value::from(found), expected, "{zone}");
        let reply = call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap();
        let row = rows(&reply)[0].clone();
        arguments["having"] = json!({"it": row["it"]});
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        assert_eq!(rows(&reply), std::slice::from_ref(&row));
        let first = json!({"table": "scan", "columns": ["id"], "where": {"at": {"gte": row["it"]}, "id": {"lt": 100}}, "count": "exact"});
        let reply = call(&engine, "analyst", "select", first).await.unwrap();
        assert_eq!(reply["count"], 60);
    }
}

/// An offset is that of ISO 8601: east of UTC where it is positive. PostgreSQL counts them west.
#[tokio::test]
async fn an_offset_is_ahead_of_utc() {
    let engine = Database::of("CREATE TABLE tick (id integer PRIMARY KEY, at timestamptz); INSERT INTO tick VALUES (1, '2024-05-01T20:10:00Z')")
        .await
        .engine()
        .await;
    for (zone, hour) in [
        ("+05:30", "2024-05-02T01:00:00+05:30"),
        ("+0530", "2024-05-02T01:00:00+05:30"),
        ("-3", "2024-05-01T17:00:00-03:00"),
        ("Etc/GMT+3", "2024-05-01T17:00:00-03:00"),
    ] {
        let group = json!({"column": "at", "bucket": "hour", "time_zone": zone, "as": "it"});
        let of = json!({"table": "tick", "group_by": [group], "measures": {"n": {"count": "*"}}});
        let reply = call(&engine, "analyst", "aggregate", of).await.unwrap();
        assert_eq!(rows(&reply)[0]["it"], hour, "{zone}");
    }
    let hour = json!({"at": {"part": "hour", "time_zone": "+05:30", "eq": 1}});
    let found = call(&engine, "analyst", "select", json!({"table": "tick", "where": hour})).await;
    assert_eq!(found.unwrap()["row_count"], 1);
}

#[tokio::test]
async fn no_moment_is_too_far_away_to_be_told() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin"] {
        for cut in [json!({"bucket": "day"}), json!({"part": "hour"}), json!({"part": "year"})] {
            let mut cut = cut;
            (cut["column"], cut["time_zone"], cut["as"]) = (json!("at"), json!(zone), json!("it"));
            let mut arguments = by(cut);
            arguments["where"] = json!({"id": {"gte": 100}});
            let reply = call(&engine, "analyst", "aggregate", arguments).await;
            reply.unwrap_or_else(|error| panic!("{zone}: {error}"));
        }
    }
    let mut arguments =
        by(json!({"column": "at", "bucket": "day", "time_zone": "Europe/Berlin", "as": "it"}));
    arguments["where"] = json!({"id": {"in": [100, 101, 102]}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let told: Vec<&Value> = rows(&reply).iter().map(|row| &row["it"]).collect();
    // Before there was a zone, Berlin's clocks were 53 minutes and 28 seconds ahead.
    assert_eq!(told, [&json!("1883-06-01T00:00:00+00:53:28"), &json!("infinity"), &Value::Null]);
}

#[tokio::test]
async fn a_part_is_the_number_that_postgresql_extracts() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (column, part, zone, sql) in [
        ("at", "weekday", Some("Asia/Tokyo"), "extract(isodow FROM at AT TIME ZONE 'Asia/Tokyo')"),
        ("at", "hour", Some("Europe/Berlin"), "extract(hour FROM at AT TIME ZONE 'Europe/Berlin')"),
        ("at", "hour", None, "extract(hour FROM at)"),
        ("at", "week", None, "extract(week FROM at)"),
        ("day", "weekday", None, "extract(isodow FROM day)"),
        ("day", "month", None, "extract(month FROM day)"),
        ("day", "quarter", None, "extract(quarter FROM day)"),
        ("day", "year", None, "extract(year FROM day)"),
        ("stamp", "day", None, "extract(day FROM stamp)"),
        ("stamp", "minute", None, "extract(minute FROM stamp)"),
        ("clock", "hour", None, "extract(hour FROM clock)"),
    ] {
        let by_hand = format!("SELECT json_agg(json_build_array(it, n) ORDER BY it)::text FROM (SELECT {sql}::integer AS it,
            count(*) AS n FROM scan WHERE id < 100 GROUP BY 1) g");
        let client = database.client().await;
        client.execute("SET TIME ZONE 'UTC'", &[]).await.unwrap();
        let expected: String = client.query_one(&by_hand, &[]).await.unwrap().get(0);
        let mut cut = json!({"column": column, "part": part, "as": "it"});
        if let Some(zone) = zone {
            cut["time_zone"] = json!(zone);
        }
        let mut arguments = by(cut);
        arguments["where"] = json!({"id": {"lt": 100}});
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        let found: Value = rows(&reply).iter().map(|row| json!([row["it"], row["n"]])).collect();
        assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap(), "{column} {part}");
    }
    let mut arguments = by(json!({"column": "day", "part": "weekday", "as": "it"}));
    arguments["having"] = json!({"it": {"in": [6, 7]}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!(rows(&reply).len(), 2, "{reply}");
}

#[tokio::test]
async fn several_units_are_counted_from_midnight() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (column, bucket, seconds) in [
        ("at", "15 minutes", 900),
        ("at", "6 hours", 21_600),
        ("stamp", "8 hours", 28_800),
        ("stamp", "30 seconds", 30),
        ("at", "1 hour", 3_600),
    ] {
        let by_hand = format!(
            "SELECT json_agg(json_build_array(extract(epoch FROM it), n) ORDER BY it)::text FROM (
                SELECT to_timestamp(floor(extract(epoch FROM {column}) / {seconds}) * {seconds}) AS it, count(*) AS n
                FROM scan WHERE isfinite({column}) AND id < 103 GROUP BY 1) g"
        );
        let expected = database.value(&by_hand).await.unwrap();
        let mut arguments = by(json!({"column": column, "bucket": bucket, "as": "it"}));
        arguments["where"] =
            json!({"id": {"lt": 103}, (column): {"gt": "-infinity", "lt": "infinity"}});
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        let client = database.client().await;
        let mut found = Vec::new();
        for row in rows(&reply) {
            let it = row["it"].as_str().unwrap();
            let epoch = format!("SELECT extract(epoch FROM '{it}'::timestamptz)::bigint");
            let epoch: i64 = client.query_one(&epoch, &[]).await.unwrap().get(0);
            found.push(json!([epoch, row["n"]]));
        }
        let expected: Vec<(f64, i64)> = serde_json::from_str(&expected).unwrap();
        let expected: Vec<Value> =
            expected.into_iter().map(|(epoch, n)| json!([epoch as i64, n])).collect();
        assert_eq!(found, expected, "{column} {bucket}");
    }
    // Neither the ends of all time nor what lies beyond them are refused.
    let reply = call(
        &engine,
        "analyst",
        "aggregate",
        by(json!({"column": "at", "bucket": "15 minutes", "as": "it"})),
    )
    .await;
    assert!(reply.is_ok(), "{reply:?}");
}

#[tokio::test]
async fn numbers_are_grouped_by_steps() {
    let database = Database::of(
        "CREATE TABLE item (id integer PRIMARY KEY, price numeric(10,2), weight float8, qty integer, cost money, doc jsonb, name text);
         INSERT INTO item SELECT n, n * 1.37 - 20, n * 0.1, n - 15, n::numeric::money, jsonb_build_object('p', n), 'x' FROM generate_series(1, 40) n;
         INSERT INTO item VALUES (41, NULL, 'NaN', NULL, NULL, '{\"p\": \"x\"}'), (42, 9.99, '-infinity', NULL, NULL, NULL), (43, 10, 1e300, 0, NULL, NULL)",
    )
    .await;
    let engine = database.engine().await;
    for (group, sql) in [
        (json!({"column": "price", "bucket": 10}), "floor(price / 10) * 10"),
        (json!({"column": "price", "bucket": 2.5}), "floor(price / 2.5) * 2.5"),
        (json!({"column": "price", "bucket": "0.25"}), "floor(price / 0.25) * 0.25"),
        (json!({"column": "qty", "bucket": 7}), "floor(qty::numeric / 7) * 7"),
        (json!({"column": "cost", "bucket": 20}), "floor(cost::numeric / 20) * 20"),
        (
            json!({"column": "doc", "path": ["p"], "bucket": 5}),
            "floor(CASE WHEN jsonb_typeof(doc -> 'p') = 'number' THEN (doc -> 'p')::numeric END / 5) * 5",
        ),
    ] {
        let by_hand = format!(
            "SELECT json_agg(json_build_array(it, n) ORDER BY it)::text FROM (SELECT ({sql})::float8 AS it, count(*) AS n FROM item GROUP BY 1) g"
        );
        let expected = database.value(&by_hand).await.unwrap();
        let expected: Vec<(Option<f64>, i64)> = serde_json::from_str(&expected).unwrap();
        let mut group = group;
        group["as"] = json!("it");
        let arguments = json!({"table": "item", "group_by": [group], "measures": {"n": {"count": "*"}}, "order_by": ["it"]});
        let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        let found: Vec<(Option<f64>, i64)> = rows(&reply)
            .iter()
            .map(|row| (row["it"].as_f64(), row["n"].as_i64().unwrap()))
            .collect();
        assert_eq!(found, expected, "{sql}");
    }
    let floats = json!({"table": "item", "group_by": [{"column": "weight", "bucket": 0.5, "as": "it"}], "measures": {"n": {"count": "*"}}, "having": {"it": {"lt": 1}}, "order_by": ["it"]});
    let reply = call(&engine, "analyst", "aggregate", floats).await.unwrap();
    let found: Vec<Value> = rows(&reply).iter().map(|row| json!([row["it"], row["n"]])).collect();
    assert!(found.contains(&json!([0, 4])) && found.contains(&json!([0.5, 5])), "{reply}");
    assert_eq!(found[0], json!(["-Infinity", 1]), "{reply}");
    for (group, at) in [
        (json!({"column": "price", "bucket": 0}), "/group_by/0/bucket"),
        (json!({"column": "price", "bucket": -1}), "/group_by/0/bucket"),
        (json!({"column": "name", "bucket": 1}), "/group_by/0/bucket"),
        (json!({"column": "price", "bucket": "ten"}), "/group_by/0/bucket"),
        (json!({"column": "price", "bucket": "-1"}), "/group_by/0/bucket"),
        (json!({"column": "name", "bucket": "10"}), "/group_by/0/bucket"),
        (json!({"column": "price", "bucket": 10, "part": "month"}), "/group_by/0/part"),
        (json!({"column": "price", "bucket": 10, "time_zone": "UTC"}), "/group_by/0/time_zone"),
    ] {
        let arguments =
            json!({"table": "item", "group_by": [group], "measures": {"n": {"count": "*"}}});
        assert_eq!(
            refused(&engine, "aggregate", arguments).await,
            ("invalid_value".into(), at.into()),
            "{group}"
        );
    }
}

#[tokio::test]
async fn invalid_buckets_and_parts_are_refused_with_their_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (cut, at) in [
        (json!({"column": "at", "part": "weekdy"}), "/group_by/0/part"),
        (json!({"column": "at", "part": "month", "bucket": "month"}), "/group_by/0/part"),
        (json!({"column": "day", "part": "hour"}), "/group_by/0/part"),
        (json!({"column": "clock", "part": "month"}), "/group_by/0/part"),
        (json!({"column": "word", "part": "month"}), "/group_by/0/part"),
        (json!({"column": "word", "bucket": "month"}), "/group_by/0/bucket"),
        (json!({"column": "at", "bucket": "7 minutes"}), "/group_by/0/bucket"),
        (json!({"column": "day", "bucket": "15 minutes"}), "/group_by/0/bucket"),
        (json!({"column": "at", "bucket": 15}), "/group_by/0/bucket"),
        (
            json!({"column": "at", "bucket": "6 hours", "time_zone": "Asia/Tokyo"}),
            "/group_by/0/time_zone",
        ),
        (
            json!({"column": "day", "part": "month", "time_zone": "Asia/Tokyo"}),
            "/group_by/0/time_zone",
        ),
        (
            json!({"column": "at", "part": "hour", "time_zone": "Mars/Olympus"}),
            "/group_by/0/time_zone",
        ),
        (json!({"column": "at", "part": "hour", "time_zone": "UTC+2"}), "/group_by/0/time_zone"),
    ] {
        let mut arguments = by(cut.clone());
        arguments["order_by"] = json!(["n"]);
        assert_eq!(
            refused(&engine, "aggregate", arguments).await,
            ("invalid_value".into(), at.into()),
            "{cut}"
        );
    }
    for (cut, member, hint) in [
        (
            json!({"column": "at", "bucket": "weekday"}),
            "hint",
            "a number is a part: {\"part\": \"weekday\"}",
        ),
        (json!({"column": "at", "part": "dow"}), "did_you_mean", "weekday"),
        (json!("extract(dow from at)"), "hint", "{\"column\": \"at\", \"part\": \"weekday\"}"),
        (json!("date_part('hour', at)"), "hint", "{\"column\": \"at\", \"part\": \"hour\"}"),
        (json!("date_trunc('hour', at)"), "hint", "{\"column\": \"at\", \"bucket\": \"hour\"}"),
    ] {
        let told = error(&engine, "analyst", "aggregate", by(cut.clone())).await;
        assert_eq!(told[member], hint, "{cut}: {told}");
    }
}

/// Many programs keep times without a zone, and mean UTC's.
#[tokio::test]
async fn a_time_without_a_zone_is_utcs_in_another_zone() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (zone, cut, sql) in [
        ("Asia/Tokyo", "bucket", "date_trunc('day', stamp AT TIME ZONE 'UTC', 'Asia/Tokyo')"),
        (
            "America/St_Johns",
            "part",
            "extract(day FROM stamp AT TIME ZONE 'UTC' AT TIME ZONE 'America/St_Johns')",
        ),
    ] {
        let by_hand = format!(
            "SELECT json_agg(json_build_array(it, n) ORDER BY it)::text FROM (SELECT {sql} AS it,
            count(*) AS n FROM scan WHERE id < 100 GROUP BY 1) g"
        );
        let client = database.client().await;
        client.execute(&format!("SET TIME ZONE '{zone}'"), &[]).await.unwrap();
        let expected: String = client.query_one(&by_hand, &[]).await.unwrap().get(0);
        let mut arguments =
            by(json!({"column": "stamp", cut: "day", "time_zone": zone, "as": "it"}));
        arguments["where"] = json!({"id": {"lt": 100}});
        let reply = call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap();
        let found: Value = rows(&reply).iter().map(|row| json!([row["it"], row["n"]])).collect();
        assert_eq!(found, serde_json::from_str::<Value>(&expected).unwrap(), "{cut}");
        // What is told is taken back.
        let row = rows(&reply)[1].clone();
        arguments["having"] = json!({"it": row["it"]});
        let reply = call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap();
        assert_eq!(rows(&reply), [row]);
        // The ends of time, too.
        arguments["having"] = json!({});
        arguments["where"] = json!({});
        call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    }
    let third =
        json!({"stamp": {"part": "day", "time_zone": "Asia/Tokyo", "eq": 3}, "id": {"lt": 100}});
    let arguments = json!({"table": "scan", "where": third, "columns": ["id"], "count": "exact"});
    let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
    let by_hand = "SELECT count(*)::text FROM scan WHERE id < 100
        AND extract(day FROM stamp AT TIME ZONE 'UTC' AT TIME ZONE 'Asia/Tokyo') = 3";
    assert_eq!(database.value(by_hand).await, Some(reply["count"].to_string()));
}
