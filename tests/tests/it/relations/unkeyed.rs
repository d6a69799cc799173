//! Declared relations to tables without a key: the one row that each leads to is found for all rows at once.

use mcp_pg_core::policy::Role;
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, pages, readable};
use serde_json::{Value, json};

/// Several days have the same key, and some facts have a day that does not exist.
const FIXTURE: &str = "
    CREATE TABLE store (store_id integer PRIMARY KEY, region text);
    CREATE TABLE day (day_key smallint, part text, year integer, notes json, mood text, hidden text, store_sk bigint);
    CREATE TABLE fact (id integer PRIMARY KEY, day_key integer, part text, amount integer);
    INSERT INTO store SELECT n, 'region ' || n % 3 FROM generate_series(1, 9) n;
    INSERT INTO day SELECT 1 + n % 97, CASE n % 2 WHEN 0 THEN 'am' ELSE 'pm' END, 2020 + n % 5, '{}', 'mood ' || n % 4, 'no', 1 + n % 9
      FROM generate_series(1, 400) n;
    INSERT INTO fact SELECT n, nullif(1 + n * 7 % 101, 13), CASE n % 3 WHEN 0 THEN 'am' WHEN 1 THEN 'pm' END, n % 50
      FROM generate_series(1, 3000) n;
    CREATE ROLE seller_of_days; GRANT SELECT ON fact, store TO seller_of_days;
    GRANT SELECT (day_key, part, year, store_sk) ON day TO seller_of_days;
    ANALYZE;";

async fn engine(database: &Database) -> Engine {
    let relation = |[table, to]: [&str; 2], pairs: &[[&str; 2]], name: &str| DeclaredRelation {
        table: table.into(),
        to: to.into(),
        columns: pairs.iter().map(|[ours, _]| (*ours).into()).collect(),
        references: pairs.iter().map(|[_, theirs]| (*theirs).into()).collect(),
        name: Some(name.into()),
        inverse: None,
    };
    let half = [["day_key", "day_key"], ["part", "part"]];
    let relations = vec![
        relation(["fact", "day"], &[["day_key", "day_key"]], "date"),
        relation(["fact", "day"], &half, "half"),
        relation(["day", "store"], &[["store_sk", "store_id"]], "store"),
    ];
    let ruled = |name: &str, rows| Role {
        name: name.into(),
        grants: vec![readable("day", Some(rows)), readable("*", None)],
        ..Role::default()
    };
    let late = ruled("late", json!({"year": {"gte": 2023}}));
    let southern = ruled("southern", json!({"store": {"region": "region 1"}}));
    let seller = Role {
        database_role: Some("seller_of_days".into()),
        ..ruled("seller", json!({"year": 2021}))
    };
    let roles = Role::built_in().into_iter().chain([late, southern, seller]).collect();
    database.engine_with(Settings { relations, roles, ..Settings::default() }).await
}

fn requests() -> Vec<(&'static str, Value)> {
    let n = json!({"n": {"count": "*"}, "sum": {"sum": "date.year"}, "of": {"count": "*", "where": {"date": {"year": 2021}}}});
    vec![
        ("aggregate", json!({"table": "fact", "group_by": ["date.year"], "measures": n})),
        (
            "aggregate",
            json!({"table": "fact", "group_by": ["half.year", "date.store.region"], "measures": {"n": {"count": "*"}}}),
        ),
        (
            "aggregate",
            json!({"table": "fact", "where": {"date": {"year": 2021}}, "group_by": ["half.year"], "measures": {"n": {"count": "*"}}}),
        ),
        (
            "aggregate",
            json!({"table": "fact", "measures": {"s": {"sum": {"multiply": ["amount", "half.year"]}}, "n": {"count": "half.year"}},
            "where": {"compute": {"add": ["date.year", "amount"], "gt": 2030}}}),
        ),
        (
            "select",
            json!({"table": "fact", "columns": ["id", "date.year", "half.store.region"], "order_by": ["-half.year", "id"], "limit": 200}),
        ),
        ("select", json!({"table": "fact", "columns": ["id", "date.year"], "where": {"id": 7}})),
        (
            "select",
            json!({"table": "store", "include": {"day": {"columns": ["day_key", "store.region"], "limit": 2}}}),
        ),
        (
            "select",
            json!({"table": "fact", "include": {"half": {"columns": ["year"], "include": {"store": true}}}, "limit": 9}),
        ),
    ]
}

/// An index that is not unique finds the rows of one row, so each is looked up.
#[tokio::test]
async fn the_row_is_the_same_as_with_an_index() {
    let database = Database::of(FIXTURE).await;
    let mut without = Vec::new();
    let one = engine(&database).await;
    for role in ["analyst", "late", "southern", "seller"] {
        for (tool, request) in requests() {
            let reply = call(&one, role, tool, request.clone()).await;
            without.push((
                role,
                tool,
                request,
                reply.unwrap_or_else(|error| panic!("{role} {error:?}")),
            ));
        }
    }
    database.sql("CREATE INDEX ON day (day_key); CREATE INDEX ON day (part)").await;
    let indexed = engine(&database).await;
    for (role, tool, request, reply) in without {
        let expected = call(&indexed, role, tool, request.clone()).await.unwrap();
        assert_eq!(reply["rows"], expected["rows"], "{role} {request}");
        assert!(role != "analyst" || reply["row_count"].as_u64() > Some(0), "{request}");
    }
}

#[tokio::test]
async fn pages_in_the_order_of_such_rows_hold_each_row_once() {
    let engine = engine(&Database::of(FIXTURE).await).await;
    for order in
        [json!(["date.year"]), json!(["-half.part", "date.year"]), json!(["half.year", "-id"])]
    {
        let request = json!({"table": "fact", "columns": ["id"], "where": {"id": {"lte": 60}}, "order_by": order});
        let rows = pages(&engine, "select", request, 7).await;
        let mut ids: Vec<i64> = rows.iter().filter_map(|row| row["id"].as_i64()).collect();
        ids.sort_unstable();
        assert_eq!(ids, (1..=60).collect::<Vec<i64>>(), "{order}");
    }
}

/// How many rows each scan of the table gave at a time.
fn scanned(step: &Value, table: &str, found: &mut Vec<f64>) {
    if step["table"] == table {
        found.extend(step["actual_rows"].as_f64());
    }
    step["inputs"].as_array().into_iter().flatten().for_each(|input| scanned(input, table, found));
}

#[tokio::test]
async fn the_table_is_read_once_and_the_missing_index_is_named() {
    let database = Database::of(FIXTURE).await;
    let request = json!({"operation": "aggregate", "table": "fact", "group_by": ["date.year"], "measures": {"n": {"count": "*"}}, "analyze": true});
    let plan = call(&engine(&database).await, "admin", "explain", request.clone()).await.unwrap();
    let mut found = Vec::new();
    scanned(&plan["plan"], "day", &mut found);
    // A scan for a single fact would give some four rows.
    assert_eq!(found, [400.0], "{plan:#}");
    let hint =
        "no unique index on day (day_key): the whole table is read to find the one related row";
    assert_eq!(plan["hints"], json!([hint]));
    database.sql("CREATE INDEX ON day (day_key)").await;
    let plan = call(&engine(&database).await, "admin", "explain", request).await.unwrap();
    assert_eq!(plan["hints"], json!([]));
}
