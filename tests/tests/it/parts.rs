//! Fields of composites and elements of arrays: as columns, in conditions, sort keys, groups and measures.

use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, ids, paged, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TYPE spot AS (lat numeric, lon numeric);
CREATE TYPE addr AS (street text, no integer, zip varchar(10), \"Ort \"\"x\"\"\" text COLLATE \"C\", spot spot, extra jsonb, stay daterange, lines text[]);
CREATE DOMAIN home AS addr;
CREATE DOMAIN labels AS text[];
CREATE TABLE customer (id integer PRIMARY KEY, name text, parent_id integer REFERENCES customer, address addr, home home,
  tags text[], labels labels, grid integer[], scores integer[], docs jsonb[], places addr[], since date);
INSERT INTO customer SELECT n, 'c' || n, nullif(n / 2, 0), a, a, ARRAY['t' || n % 3, 'all', 'u' || n % 2], ARRAY['l' || n % 4], '{{1,2},{3,4}}',
    ('[5:7]={' || n || ',' || n * 2 || ',7}')::integer[], ARRAY[jsonb_build_object('k', n)], ARRAY[a], '2025-01-15'
  FROM generate_series(1, 30) n, LATERAL (SELECT ROW('Way ' || n, n % 7, '100' || n % 5, chr(65 + n % 3), ROW(n, n * 1.5),
    jsonb_build_object('floor', n % 4), daterange('2025-01-01', '2025-01-01'::date + n), ARRAY['a' || n, 'b'])::addr AS a) o
  ORDER BY n;
INSERT INTO customer (id, name, parent_id) VALUES (31, 'none', 1);
INSERT INTO customer VALUES (32, 'empty', 1, ROW(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), NULL, '{}', '{}', '{}', '{}', '{}', '{}'),
  (33, 'nulls', 31, ROW('x', NULL, NULL, NULL, ROW(1, NULL), 'null', 'empty', '{}'), NULL, '{NULL}', '{NULL}', NULL, '{1}', '{NULL}', '{NULL}');";

#[tokio::test]
async fn conditions_hold_for_a_part() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (condition, sql) in [
        (json!({"address": {"path": ["zip"], "eq": "1003"}}), "(address).zip = '1003'"),
        (
            json!({"address": {"path": ["zip"], "starts_with": "100", "ne": "1001"}}),
            "(address).zip <> '1001'",
        ),
        (json!({"home": {"path": ["no"], "gte": 5}}), "(home).no >= 5"),
        (
            json!({"address": {"path": ["no"], "in": [1, 2, null]}}),
            "coalesce((address).no, 1) IN (1, 2)",
        ),
        (
            json!({"address": {"path": ["Ort \"x\""], "gt": "A"}}),
            "(address).\"Ort \"\"x\"\"\" > 'A'",
        ),
        (
            json!({"address": {"path": ["street"], "ilike": "way 1%"}}),
            "(address).street ILIKE 'way 1%'",
        ),
        (json!({"address": {"path": ["street"], "matches": "y .$"}}), "(address).street ~ 'y .$'"),
        (
            json!({"address": {"path": ["street"], "search": "way -12"}}),
            "(address).street LIKE 'Way%' AND id <> 12",
        ),
        (json!({"address": {"path": ["spot", "lat"], "lt": 4}}), "((address).spot).lat < 4"),
        (
            json!({"address": {"path": ["spot"], "eq": {"lat": 2, "lon": 3}}}),
            "(address).spot = ROW(2, 3)::spot",
        ),
        (
            json!({"address": {"path": ["spot"], "is_null": true}}),
            "(address).spot IS NOT DISTINCT FROM NULL",
        ),
        (
            json!({"address": {"path": ["extra", "floor"], "eq": 3}}),
            "(address).extra -> 'floor' = '3'",
        ),
        (
            json!({"address": {"path": ["stay", "upper"], "gt": "2025-01-20"}}),
            "upper((address).stay) > '2025-01-20'",
        ),
        (
            json!({"address": {"path": ["stay", "upper"], "lte": {"$column": "since"}}}),
            "upper((address).stay) <= since",
        ),
        (
            json!({"address": {"path": ["stay", "upper"], "part": "weekday", "eq": 1}}),
            "extract(isodow FROM upper((address).stay)) = 1",
        ),
        (
            json!({"address": {"path": ["stay"], "contains": "2025-01-12"}}),
            "(address).stay @> '2025-01-12'::date",
        ),
        (json!({"address": {"path": ["lines"], "contains": ["a3"]}}), "(address).lines @> '{a3}'"),
        (json!({"address": {"path": ["lines", 0], "eq": "a4"}}), "(address).lines[1] = 'a4'"),
        (json!({"tags": {"path": [0], "eq": "t1"}}), "tags[1] = 't1'"),
        (json!({"tags": {"path": ["-1"], "in": ["u0", "x"]}}), "tags[3] = 'u0'"),
        (json!({"tags": {"path": [-3], "like": "%2"}}), "tags[1] = 't2'"),
        (json!({"tags": {"path": [-4], "is_null": false}}), "false"),
        (json!({"tags": {"path": [3], "is_null": true}}), "true"),
        (json!({"tags": {"path": [i32::MAX], "is_null": false}}), "false"),
        (json!({"tags": {"path": [i32::MIN], "is_null": false}}), "false"),
        (json!({"labels": {"path": [0], "ne": "l1"}}), "labels[1] <> 'l1'"),
        // As a reply lists them: of whatever bounds the array is.
        (json!({"scores": {"path": [1], "gt": 50}}), "scores[6] > 50"),
        (json!({"scores": {"path": [-3], "lt": 3}}), "scores[5] < 3"),
        (json!({"grid": {"path": [0], "is_null": false}}), "false"),
        (json!({"docs": {"path": [0, "k"], "lt": 5}}), "docs[1] ->> 'k' IN ('1', '2', '3', '4')"),
        (json!({"places": {"path": [0, "spot", "lon"], "eq": 4.5}}), "id = 3"),
        (json!({"parent": {"address": {"path": ["no"], "eq": 3}}}), "parent_id IN (3, 10, 17, 24)"),
        (json!({"not": {"address": {"path": ["no"], "gt": 1}}}), "NOT (address).no > 1"),
        (json!({"column": "address", "path": ["no"], "eq": 1}), "(address).no = 1"),
    ] {
        let by_hand = format!(
            "SELECT coalesce(json_agg(id ORDER BY id), '[]')::text FROM customer WHERE {sql}"
        );
        let expected: Vec<i64> =
            serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
        assert_eq!(ids(&engine, "customer", &condition).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn parts_are_shown_sorted_and_paged_by() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let columns = json!(["id", {"column": "address", "path": ["zip"]}, {"column": "home", "path": ["spot"], "as": "spot"},
        {"column": "address", "path": ["extra", "floor"]}, {"column": "tags", "path": [-1]}, {"column": "scores", "path": [0], "as": "first"},
        {"column": "docs", "path": [0]}, {"column": "parent.address", "path": ["spot", "lat"], "as": "of_parent"},
        {"add": [{"column": "address", "path": ["no"]}, {"column": "scores", "path": [1]}], "as": "sum"}]);
    let shown =
        json!({"table": "customer", "where": {"id": {"in": [4, 32, 33]}}, "columns": columns});
    let reply = call(&engine, "analyst", "select", shown).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"id": 4, "address.zip": "1004", "spot": {"lat": 4, "lon": 6}, "address.extra.floor": 0, "tags.-1": "u0", "first": 4,
                "docs.0": {"k": 4}, "of_parent": 2, "sum": 12}),
            json!({"id": 32, "address.zip": null, "spot": null, "address.extra.floor": null, "tags.-1": null, "first": null,
                "docs.0": null, "of_parent": 1, "sum": null}),
            json!({"id": 33, "address.zip": null, "spot": null, "address.extra.floor": null, "tags.-1": null, "first": 1,
                "docs.0": null, "of_parent": null, "sum": null}),
        ]
    );
    for (order, sql) in [
        (
            json!([{"column": "address", "path": ["no"], "direction": "desc", "nulls": "last"}]),
            "(address).no DESC NULLS LAST, id DESC",
        ),
        (
            json!([{"column": "address", "path": ["zip"]}, {"column": "tags", "path": [0], "direction": "desc"}, "id"]),
            "(address).zip, tags[1] DESC, id",
        ),
        (
            json!([{"column": "address", "path": ["spot", "lon"], "direction": "desc"}]),
            "((address).spot).lon DESC, id DESC",
        ),
        (json!([{"column": "address", "path": ["spot"]}]), "(address).spot, id"),
        (
            json!([{"column": "parent.address", "path": ["street"]}]),
            "(SELECT (address).street FROM customer p WHERE p.id = c.parent_id), id",
        ),
        (json!([{"column": "home", "path": ["extra", "floor"]}]), "(home).extra -> 'floor', id"),
    ] {
        let arguments = json!({"table": "customer", "columns": ["id"], "order_by": order});
        let by_hand = format!("SELECT json_agg(id ORDER BY {sql})::text FROM customer c");
        let expected: Vec<i64> =
            serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
        assert_eq!(paged(&engine, arguments, "id", 7).await, expected, "{order}");
    }
}

#[tokio::test]
async fn parts_are_grouped_and_measured() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let arguments = json!({"table": "customer", "where": {"id": {"lte": 30}},
        "group_by": [{"column": "address", "path": ["zip"], "as": "zip"}, {"column": "tags", "path": [0]}], "order_by": ["zip", "tags.0"],
        "measures": {"n": {"count": "*"}, "lat": {"sum": {"column": "home", "path": ["spot", "lat"]}}, "last": {"max": {"column": "address", "path": ["street"]}},
            "ends": {"max": {"column": "address", "path": ["stay", "upper"]}}, "top": {"max": {"column": "scores", "path": [1]}}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    let by_hand = "SELECT json_agg(json_build_object('zip', zip, 'tags.0', tag, 'n', n, 'lat', lat, 'last', last, 'ends', ends, 'top', top) ORDER BY zip, tag)::text
        FROM (SELECT (address).zip, tags[1] AS tag, count(*) AS n, sum(((home).spot).lat) AS lat, max((address).street) AS last,
          max(upper((address).stay)) AS ends, max(scores[6]) AS top FROM customer WHERE id <= 30 GROUP BY 1, 2) g";
    let expected: Value = serde_json::from_str(&database.value(by_hand).await.unwrap()).unwrap();
    assert_eq!(Value::from(rows(&reply).to_vec()), expected);
    let lines = json!({"table": "customer", "group_by": [{"column": "address", "path": ["lines"], "each": true, "as": "line"}],
        "measures": {"n": {"count": "*"}}, "having": {"n": {"gt": 1}}});
    let reply = call(&engine, "analyst", "aggregate", lines).await.unwrap();
    assert_eq!(rows(&reply), [json!({"line": "b", "n": 30})]);
    // A composite that is a group is one still.
    let whole = json!({"table": "customer", "where": {"id": {"lte": 30}}, "group_by": [{"column": "address", "path": ["spot"], "as": "spot"}],
        "measures": {"n": {"count": "*"}}, "having": {"spot": {"path": ["lat"], "gt": 28}}, "order_by": [{"column": "spot", "path": ["lon"], "direction": "desc"}]});
    let reply = call(&engine, "analyst", "aggregate", whole).await.unwrap();
    let lats: Vec<&Value> = rows(&reply).iter().map(|row| &row["spot"]["lat"]).collect();
    assert_eq!(lats, [30, 29]);
    let distinct = json!({"table": "customer", "distinct": true, "columns": [{"column": "tags", "path": [2], "as": "tag"}], "order_by": ["tag"]});
    let reply = call(&engine, "analyst", "select", distinct).await.unwrap();
    assert_eq!(rows(&reply), [json!({"tag": "u0"}), json!({"tag": "u1"}), json!({"tag": null})]);
    let written = json!({"table": "customer", "where": {"id": 3}, "updates": {"name": "x"}, "dry_run": true,
        "returning": [{"column": "address", "path": ["spot", "lon"]}, {"column": "tags", "path": [-1]}]});
    let reply = call(&engine, "operator", "update", written).await.unwrap();
    assert_eq!(reply["after"], json!([{"address.spot.lon": 4.5, "tags.-1": "u1"}]), "{reply}");
}

#[tokio::test]
async fn invalid_parts_are_refused_with_their_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, at) in [
        (json!({"where": {"address": {"path": ["zap"], "eq": "1"}}}), "/where/address/path"),
        (json!({"where": {"address": {"path": "zip", "eq": "1"}}}), "/where/address/path"),
        (json!({"where": {"address": {"path": ["zip", "x"], "eq": "1"}}}), "/where/address/path"),
        (json!({"where": {"address": {"path": [0], "eq": "1"}}}), "/where/address/path"),
        (json!({"where": {"address": {"path": ["no"], "eq": "x"}}}), "/where/address/eq"),
        (json!({"where": {"address": {"path": ["extra", {}], "eq": "x"}}}), "/where/address/path"),
        (json!({"where": {"tags": {"path": ["first"], "eq": "x"}}}), "/where/tags/path"),
        (json!({"where": {"tags": {"path": [0.5], "eq": "x"}}}), "/where/tags/path"),
        (json!({"where": {"tags": {"path": [3_000_000_000_u32], "eq": "x"}}}), "/where/tags/path"),
        (json!({"where": {"grid": {"path": [0, 1], "eq": 1}}}), "/where/grid/path"),
        (json!({"columns": [{"column": "name", "path": ["x"]}]}), "/columns/0/path"),
        (json!({"order_by": [{"column": "tags", "path": []}]}), "/order_by/0/path"),
        (
            json!({"order_by": [{"column": "address", "path": ["extra"], "rank": "x"}]}),
            "/order_by/0/column",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("customer");
        assert_eq!(
            refused(&engine, "select", arguments.clone()).await,
            ("invalid_value".into(), at.into()),
            "{arguments}"
        );
    }
    for (arguments, member, told) in [
        (json!({"where": {"address": {"path": ["zipp"], "eq": "1"}}}), "did_you_mean", "zip"),
        (
            json!({"where": {"address": {"path": ["no"], "like": "1"}}}),
            "message",
            "address.no is integer, which has no operator \"like\"",
        ),
        (
            json!({"where": {"address.zip": "1"}}),
            "hint",
            r#"{"address": {"path": ["zip"], "eq": …}}"#,
        ),
        (json!({"columns": ["tags[0]"]}), "hint", r#"{"column": "tags", "path": [0]}"#),
        (
            json!({"order_by": ["address.spot.lat"]}),
            "hint",
            r#"{"column": "address", "path": ["spot", "lat"]}"#,
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("customer");
        let error = error(&engine, "analyst", "select", arguments).await;
        assert_eq!(error[member], told, "{error}");
    }
    for (condition, note) in [
        (
            json!({"address": {"zip": "1003"}}),
            "as a whole: {\"path\": [\"field\"], \"eq\": …} looks at one field",
        ),
        (
            json!({"address": {"path": ["street"], "eq": "WAY 1"}}),
            r#"{"address": {"path": ["street"], "ilike": "WAY 1"}} takes both"#,
        ),
        (
            json!({"tags": {"path": [0], "eq": "null"}}),
            r#"{"tags": {"path": [0], "is_null": true}}, without quotes"#,
        ),
    ] {
        let arguments = json!({"table": "customer", "where": condition});
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        assert_eq!(rows(&reply), [] as [Value; 0]);
        assert!(reply.to_string().contains(&json!(note).to_string()[1..note.len()]), "{reply}");
    }
}

#[tokio::test]
async fn parts_of_a_masked_or_hidden_column_are_none() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role::everywhere("reader", [Action::Select]);
    role.grants[0].columns.exclude = vec!["address".to_owned()];
    role.grants[0].columns.mask.insert("home".to_owned(), Mask::Full);
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    for (column, code) in [("address", "unknown_column"), ("home", "forbidden")] {
        let of = json!({"column": column, "path": ["zip"]});
        for (tool, arguments) in [
            ("select", json!({"columns": [of]})),
            ("select", json!({"where": {column: {"path": ["zip"], "eq": "1"}}})),
            ("select", json!({"order_by": [of]})),
            ("select", json!({"where": {"name": {"eq": {"$column": format!("{column}.zip")}}}})),
            ("aggregate", json!({"group_by": [of], "measures": {"n": {"count": "*"}}})),
            ("aggregate", json!({"measures": {"n": {"max": of}}})),
        ] {
            let mut arguments = arguments;
            arguments["table"] = json!("customer");
            let error = call_as(&engine, &reader, tool, arguments.clone()).await.unwrap_err();
            let told = error.code().as_str();
            assert!(
                told == code || told == "unknown_column" || told == "unknown_relation",
                "{arguments}: {error:?}"
            );
            assert!(!format!("{error:?}").contains("Way"), "{error:?}");
        }
    }
}
