//! Totals of related rows that no index finds: computed for all rows at once, with the same result.

use mcp_pg_tests::{Database, call, pages};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE shop (region text, no integer, name text, PRIMARY KEY (region, no));
    CREATE TABLE customer (id integer PRIMARY KEY, name text, counted integer);
    CREATE TABLE purchase (id integer PRIMARY KEY, customer_id integer REFERENCES customer, region text, shop_no integer,
      amount numeric, state text, at timestamptz, archived_at timestamptz, FOREIGN KEY (region, shop_no) REFERENCES shop);
    CREATE TABLE piece (id integer PRIMARY KEY, purchase_id integer REFERENCES purchase, count integer);
    INSERT INTO shop SELECT r, n, r || n FROM unnest('{north,south}'::text[]) r, generate_series(1, 5) n;
    INSERT INTO customer SELECT n, 'customer ' || n, n % 4 FROM generate_series(1, 400) n;
    INSERT INTO purchase SELECT n, nullif(1 + n * 7 % 390, 13), CASE WHEN n % 3 = 0 THEN 'north' WHEN n % 3 = 1 THEN 'south' END, 1 + n % 4,
      CASE WHEN n % 11 > 0 THEN n * 1.25 END, 'state ' || n % 4, timestamptz '2025-01-01Z' + n * interval '1 hour',
      CASE WHEN n % 10 = 0 THEN now() END FROM generate_series(1, 2000) n;
    INSERT INTO piece SELECT n, 1 + n * 3 % 2000, n % 5 FROM generate_series(1, 3000) n;
    ANALYZE;";

/// What finds the related rows.
const INDEXES: &str =
    "CREATE INDEX ON purchase (customer_id); CREATE INDEX ON purchase (region, shop_no);
    CREATE INDEX ON piece (purchase_id);";

/// Requests with totals in every place where one may stand.
fn requests() -> Vec<(&'static str, Value)> {
    let spent = json!({"sum": "purchase.amount", "as": "spent"});
    let busy = json!({"sum": {"sum": "purchase.piece.count"}, "as": "pieces"});
    vec![
        (
            "select",
            json!({"table": "customer", "columns": ["id", spent, {"count": "purchase", "as": "n"},
            {"avg": "purchase.amount", "as": "mean"}, {"max": "purchase.at", "as": "last"}], "limit": 500}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id", {"count": "purchase", "where": {"state": "state 1"}, "as": "n"},
            {"divide": [{"sum": "purchase.amount"}, {"count": "purchase"}], "as": "ratio"}], "order_by": ["-n", "id"], "limit": 20}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "order_by": [{"sum": "purchase.amount", "direction": "desc"}, "id"], "limit": 9,
            "where": {"id": {"lt": 50}}}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id", busy], "order_by": ["-pieces", "id"], "limit": 30}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"purchase": {"count": {"gte": 5}}}, "limit": 500}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"purchase": {"count": {"lt": 5}}}, "limit": 500}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"not": {"purchase": {"count": {"in": [0, 4]}, "where": {"state": "state 2"}}}}}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"compute": {"sum": "purchase.amount", "gt": 100, "lt": 5000}}, "limit": 500}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"compute": {"sum": "purchase.amount", "eq": 0}}}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "where": {"not": {"compute": {"avg": "purchase.amount", "gt": 1200}}}, "limit": 500}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id", "counted"], "count": "exact",
            "where": {"compute": {"subtract": ["counted", {"count": "purchase"}], "gt": 0}}}),
        ),
        (
            "select",
            json!({"table": "shop", "columns": ["region", "no", {"sum": "purchase.amount", "as": "sold"}, {"count": "purchase", "as": "n"}],
            "order_by": ["-sold", "region", "no"]}),
        ),
        (
            "select",
            json!({"table": "shop", "columns": ["name"], "where": {"purchase": {"count": {"eq": 0}}}, "order_by": ["name"]}),
        ),
        (
            "select",
            json!({"table": "purchase", "columns": ["id"], "where": {"customer": {"purchase": {"count": {"gt": 5}}}}, "limit": 20}),
        ),
        (
            "select",
            json!({"table": "shop", "columns": ["name"], "order_by": ["name"], "include": {"purchase": {"columns": ["id",
            {"sum": "piece.count", "as": "pieces"}], "order_by": ["-pieces", "id"], "limit": 3}}}),
        ),
        (
            "aggregate",
            json!({"table": "customer", "measures": {"n": {"count": "*"}, "all": {"sum": {"sum": "purchase.amount"}}},
            "group_by": [{"count": "purchase", "as": "purchases"}], "order_by": ["purchases"]}),
        ),
        (
            "aggregate",
            json!({"table": "customer", "measures": {"n": {"count": "*", "where": {"purchase": {"count": {"gt": 5}}}}}}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id", {"sum": "purchase.amount", "as": "spent"}, {"count": "purchase", "as": "n"}],
            "where": {"or": [{"name": {"like": "%7"}}, {"id": {"in": [13, 20]}}], "not": {"counted": 2}}, "order_by": ["-spent", "id"]}),
        ),
        (
            "select",
            json!({"table": "shop", "columns": ["name", {"sum": "purchase.amount", "as": "sold"}],
            "where": {"region": "north", "purchase": {"some": {"state": "state 1"}}}, "order_by": ["-sold"]}),
        ),
        (
            "select",
            json!({"table": "customer", "columns": ["id"], "count": "exact", "limit": 3,
            "where": {"name": {"matches": "9$"}, "compute": {"subtract": [{"count": "purchase"}, "counted"], "gte": 3}}}),
        ),
        (
            "aggregate",
            json!({"table": "customer", "where": {"name": {"ends_with": "3"}},
            "measures": {"spent": {"sum": {"sum": "purchase.amount"}}}, "group_by": ["counted"], "order_by": ["counted"]}),
        ),
    ]
}

#[tokio::test]
async fn totals_are_the_same_whether_or_not_an_index_finds_the_rows() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let mut without = Vec::new();
    for (tool, request) in requests() {
        without.push((
            tool,
            request.clone(),
            call(&engine, "analyst", tool, request).await.unwrap(),
        ));
    }
    database.sql(INDEXES).await;
    let engine = database.engine().await;
    for (tool, request, reply) in without {
        let indexed = call(&engine, "analyst", tool, request.clone()).await.unwrap();
        assert_eq!(reply["rows"], indexed["rows"], "{request}");
        assert!(reply["row_count"].as_u64() > Some(0), "{request}");
        assert_eq!(reply["count"], indexed["count"], "{request}");
    }
}

#[tokio::test]
async fn pages_in_an_order_of_such_totals_hold_each_row_once() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for order in [
        json!(["id"]),
        json!(["-n", "name"]),
        json!(["n", "-name"]),
        json!([{"avg": "purchase.amount"}]),
    ] {
        let request = json!({"table": "customer", "columns": ["id", {"count": "purchase", "as": "n"}], "order_by": order,
            "where": {"id": {"lte": 60}, "compute": {"subtract": ["counted", {"count": "purchase"}], "gt": -100}}});
        let mut ids: Vec<i64> = pages(&engine, "select", request, 7)
            .await
            .iter()
            .filter_map(|row| row["id"].as_i64())
            .collect();
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
async fn the_related_rows_are_read_for_all_rows_at_once() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for request in [
        json!({"table": "customer", "columns": ["id", {"count": "purchase", "as": "n"}], "order_by": ["-n"], "limit": 5}),
        json!({"table": "customer", "columns": ["id"], "where": {"purchase": {"count": {"gte": 5}}}}),
        json!({"table": "customer", "columns": ["id"], "where": {"compute": {"sum": "purchase.amount", "gt": 100}}}),
        json!({"table": "customer", "columns": ["id"], "where": {"compute": {"subtract": ["counted", {"count": "purchase"}], "ne": 0}}}),
    ] {
        let mut request = request;
        request["operation"] = json!("select");
        request["analyze"] = json!(true);
        let plan = call(&engine, "admin", "explain", request.clone()).await.unwrap();
        let mut found = Vec::new();
        scanned(&plan["plan"], "purchase", &mut found);
        // A scan for a single customer would give some five rows.
        assert_eq!(found, [1_800.0], "{request} {plan:#}");
    }
}

/// How many rows each step that groups rows gave.
fn grouped(step: &Value, found: &mut Vec<f64>) {
    if step["step"].as_str().is_some_and(|name| name.contains("Aggregate")) {
        found.extend(step["actual_rows"].as_f64());
    }
    step["inputs"].as_array().into_iter().flatten().for_each(|input| grouped(input, found));
}

#[tokio::test]
async fn the_totals_of_other_rows_are_not_computed() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let total = json!({"sum": "purchase.amount", "as": "spent"});
    for condition in
        [json!({"name": "customer 7"}), json!({"or": [{"name": "customer 7"}, {"name": "none"}]})]
    {
        let request = json!({"operation": "select", "table": "customer", "columns": ["id", total], "where": condition, "analyze": true});
        let plan = call(&engine, "admin", "explain", request).await.unwrap();
        let mut found = Vec::new();
        grouped(&plan["plan"], &mut found);
        assert_eq!(found, [1.0], "{plan:#}");
    }
}

/// A small table that says something about a large one, and one of which no number of rows is known.
#[tokio::test]
async fn rows_of_small_and_unknown_tables_are_read_at_once() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE TABLE complaint (id integer PRIMARY KEY, customer_id integer REFERENCES customer);
             INSERT INTO complaint SELECT n, 1 + n % 40 FROM generate_series(1, 90) n;",
        )
        .await;
    for statement in ["SELECT 1", "ANALYZE complaint"] {
        database.sql(statement).await;
        let engine = database.engine().await;
        let request = json!({"operation": "select", "table": "customer", "columns": ["id", {"count": "complaint", "as": "n"}],
            "order_by": ["-n", "id"], "limit": 5, "analyze": true});
        let plan = call(&engine, "admin", "explain", request).await.unwrap();
        let mut found = Vec::new();
        scanned(&plan["plan"], "complaint", &mut found);
        assert_eq!(found, [90.0], "{statement} {plan:#}");
    }
}

/// `=` between types that differ finds rows that are not equal to each other.
#[tokio::test]
async fn keys_of_different_types_are_paired_row_by_row() {
    let database = Database::of(
        "CREATE TABLE padded (id integer PRIMARY KEY, code char(5) UNIQUE);
         CREATE TABLE line (id integer PRIMARY KEY, code varchar(9) REFERENCES padded (code), quantity integer);
         INSERT INTO padded SELECT n, 'k' || n FROM generate_series(1, 9) n;
         INSERT INTO line SELECT n, 'k' || 1 + n % 9 || repeat(' ', n % 3), n % 7 FROM generate_series(1, 2000) n;
         ANALYZE;",
    )
    .await;
    let engine = database.engine().await;
    let totals = json!({"table": "padded", "columns": ["id", {"count": "line", "as": "n"}, {"sum": "line.quantity", "as": "q"}],
        "where": {"id": 2}});
    let reply = call(&engine, "analyst", "select", totals).await.unwrap();
    let sql = "SELECT json_build_object('id', 2, 'n', count(*), 'q', sum(quantity))::text FROM line l JOIN padded p ON p.code = l.code WHERE p.id = 2";
    let expected: Value = serde_json::from_str(&database.value(sql).await.unwrap()).unwrap();
    assert_eq!(reply["rows"], json!([expected]));
    let found =
        json!({"table": "padded", "columns": ["id"], "where": {"line": {"count": {"gt": 200}}}});
    let reply = call(&engine, "analyst", "select", found).await.unwrap();
    assert_eq!(reply["row_count"], 9, "{reply}");
}
