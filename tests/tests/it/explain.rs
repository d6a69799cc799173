//! explain: who may use it, and its hints.

use mcp_pg_core::Engine;
use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role, RoleLimits};
use mcp_pg_tests::{Database, call, error, grant, object, readable, refused};
use serde_json::{Value, json};

const SALES: &str = "
    CREATE TABLE buyer (buyer_id integer PRIMARY KEY, name text);
    CREATE TABLE sale (sale_id integer PRIMARY KEY, buyer_id integer REFERENCES buyer, total integer, kind text);
    CREATE INDEX ON sale (kind);
    INSERT INTO buyer SELECT i, 'n' || i FROM generate_series(1, 2000) i;
    INSERT INTO sale SELECT i, 1 + i % 2000, i % 100, 'k' || i % 500 FROM generate_series(1, 20000) i;
    ANALYZE;";

async fn hints(engine: &Engine, arguments: Value) -> Value {
    let mut arguments = arguments;
    arguments["operation"] = json!("select");
    call(engine, "analyst", "explain", arguments).await.unwrap()["hints"].clone()
}

#[tokio::test]
async fn a_missing_index_is_named() {
    let engine = Database::of(SALES).await.engine().await;
    let whole = "the filter reads the whole table";
    assert_eq!(
        hints(&engine, json!({"table": "sale", "where": {"total": 5}})).await,
        json!([format!("no index on sale.total: {whole}")])
    );
    assert_eq!(hints(&engine, json!({"table": "sale", "where": {"kind": "k5"}})).await, json!([]));
    assert_eq!(hints(&engine, json!({"table": "sale", "where": {"sale_id": 5}})).await, json!([]));
    // Included rows are looked for once for each row.
    let included = json!({"table": "buyer", "where": {"buyer_id": 7}, "include": {"sale": true}});
    assert_eq!(
        hints(&engine, included).await,
        json!([format!("no index on sale.buyer_id: {whole}")])
    );
    let plan = call(
        &engine,
        "analyst",
        "explain",
        json!({"operation": "aggregate", "table": "sale",
        "measures": {"n": {"count": "*"}}, "where": {"total": {"gt": 90}}, "group_by": ["kind"]}),
    )
    .await
    .unwrap();
    assert_eq!(plan["hints"], json!([format!("no index on sale.total: {whole}")]));
    assert!(plan["text"].as_str().unwrap().contains("Seq Scan on sale"), "{plan}");
    assert!(plan["estimated_rows"].as_u64().unwrap() > 100, "{plan}");
}

/// A condition on rows that an index finds reads no table; an index of some rows does not help with all.
#[tokio::test]
async fn explain_notices_indexes_that_are_used_and_partial_ones_that_do_not_help() {
    let partial = "CREATE INDEX small ON sale (total) WHERE kind = 'k1'; CREATE INDEX ON sale (buyer_id); ANALYZE;";
    let engine = Database::of(&format!("{SALES}{partial}")).await.engine().await;
    let whole = "the filter reads the whole table";
    let sought = json!({"table": "sale", "where": {"total": {"gt": 90}}});
    assert_eq!(
        hints(&engine, sought).await,
        json!([format!("no index on all of sale.total, small has some rows alone: {whole}")])
    );
    let included = json!({"table": "buyer", "where": {"buyer_id": 7},
        "include": {"sale": {"where": {"total": 5}}}});
    assert_eq!(hints(&engine, included).await, json!([]));
    let among = json!({"table": "sale", "where": {"kind": {"in": ["k1", "k2", "k3"]}, "sale_id": {"ne": 4}, "total": 1}});
    assert_eq!(hints(&engine, among).await, json!([]));
}

/// One index serves a key of several columns.
#[tokio::test]
async fn a_key_of_several_columns_has_one_hint() {
    let orders = "
        CREATE TABLE purchase (shop integer, number integer, PRIMARY KEY (shop, number));
        CREATE TABLE line (id integer PRIMARY KEY, shop integer, number integer,
            FOREIGN KEY (shop, number) REFERENCES purchase);
        INSERT INTO purchase SELECT i % 10, i FROM generate_series(1, 2000) i;
        INSERT INTO line SELECT i, i % 10, i FROM generate_series(1, 2000) i;
        ANALYZE;";
    let engine = Database::of(orders).await.engine().await;
    let included = json!({"table": "purchase", "include": {"line": {"limit": 3}}});
    assert_eq!(
        hints(&engine, included).await,
        json!(["no index on line.(shop, number): the filter reads the whole table"])
    );
}

/// What the role's own condition compares is the operator's.
#[tokio::test]
async fn a_condition_of_the_role_is_not_told() {
    let mut role = Role::everywhere("analyst", [Action::Select]);
    role.grants[0].rows = Some(object(json!({"or": [{"total": 5}, {"total": 6}]})));
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = Database::of(SALES).await.engine_with(settings).await;
    assert_eq!(hints(&engine, json!({"table": "sale"})).await, json!([]));
    let asked = hints(&engine, json!({"table": "sale", "where": {"total": 5}})).await;
    assert!(asked[0].as_str().unwrap().contains("sale.total"), "{asked}");
}

#[tokio::test]
async fn a_partition_goes_by_the_name_of_its_table() {
    let partitioned = "
        CREATE TABLE reading (reading_id integer, taken date, sensor_id integer, value integer)
            PARTITION BY RANGE (taken);
        CREATE TABLE reading_2024 PARTITION OF reading FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        CREATE TABLE reading_2025 PARTITION OF reading FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')
            PARTITION BY LIST (sensor_id);
        CREATE TABLE reading_2025_others PARTITION OF reading_2025 DEFAULT;
        CREATE INDEX ON reading (sensor_id);
        INSERT INTO reading SELECT n, '2024-06-01'::date + n % 500, n % 100, n FROM generate_series(1, 5000) n;
        ANALYZE;";
    let engine = Database::of(&format!("{SALES}{partitioned}")).await.engine().await;
    let explain = async |condition: Value| {
        let arguments = json!({"operation": "select", "table": "reading", "where": condition});
        call(&engine, "analyst", "explain", arguments).await.unwrap()
    };
    let plan = explain(json!({"value": 5})).await;
    let whole = "no index on reading.value: the filter reads whole partitions";
    assert_eq!(plan["hints"], json!([whole]));
    let text = plan["text"].as_str().unwrap();
    assert_eq!(text.matches("Seq Scan on reading (").count(), 2, "{text}");
    assert!(!text.contains("reading_2"), "{text}");
    assert_eq!(explain(json!({"sensor_id": 5})).await["hints"], json!([]));
    // Where a single one is left, no step above it reads the table.
    let alone = explain(json!({"taken": {"lt": "2024-03-01"}, "value": 5})).await;
    let taken = "no index on reading.taken: the filter reads whole partitions";
    assert_eq!(alone["hints"], json!([taken, whole]));
    assert!(alone["estimated_rows"].is_number() && alone["estimated_cost"].is_number(), "{alone}");
    let text = alone["text"].as_str().unwrap();
    assert!(text.contains("Seq Scan on reading (") && !text.contains("reading_2"), "{text}");
}

#[tokio::test]
async fn analyze_needs_the_right_to_it() {
    let database = Database::of(SALES).await;
    let engine = database.engine().await;
    let run =
        json!({"operation": "select", "table": "sale", "where": {"total": 5}, "analyze": true});
    let plan = call(&engine, "admin", "explain", run.clone()).await.unwrap();
    assert!(plan["milliseconds"].is_number() && plan["plan"]["actual_rows"].is_number(), "{plan}");
    for role in ["analyst", "operator"] {
        let told = error(&engine, role, "explain", run.clone()).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("forbidden"), &json!("/analyze")));
    }
    let role = Role { analyze: true, ..Role::everywhere("analyst", [Action::Select]) };
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    assert!(call(&engine, "analyst", "explain", run).await.is_ok());
}

#[tokio::test]
async fn keys_of_a_request_are_bounded() {
    let engine = Database::of(SALES).await.engine().await;
    let many = vec!["total"; 65];
    let measures: serde_json::Map<String, Value> =
        (0..65).map(|n| (format!("m{n}"), json!({"count": "*"}))).collect();
    for (tool, arguments, at) in [
        ("select", json!({"table": "sale", "order_by": many}), "/order_by"),
        (
            "aggregate",
            json!({"table": "sale", "measures": {"n": {"count": "*"}}, "group_by": many}),
            "/group_by",
        ),
        ("aggregate", json!({"table": "sale", "measures": measures}), "/measures"),
    ] {
        assert_eq!(
            refused(&engine, tool, arguments.clone()).await,
            ("limit_exceeded".into(), at.into())
        );
        let told = error(&engine, "admin", tool, arguments).await;
        assert!(told["message"].as_str().unwrap().contains("limits.max_keys"), "{told}");
    }
}

#[tokio::test]
async fn a_plan_that_is_too_long_is_refused() {
    let database = Database::of("CREATE TABLE part (id integer PRIMARY KEY)").await;
    let mut settings = Settings::default();
    settings.limits.max_reply_bytes = 100;
    let engine = database.engine_with(settings).await;
    let explain = json!({"operation": "select", "table": "part"});
    let told = error(&engine, "analyst", "explain", explain).await;
    assert_eq!(told["code"], "limit_exceeded", "{told}");
}

/// Trying again does not help a read that an index is missing for.
#[tokio::test]
async fn a_timeout_for_want_of_an_index_says_so() {
    let database = Database::of(
        "CREATE TABLE post (id integer PRIMARY KEY, title text);
         CREATE TABLE mark (id integer PRIMARY KEY, post_id integer REFERENCES post, kind text);
         CREATE VIEW nap AS SELECT 1 AS id, pg_sleep(5)::text AS slept;
         INSERT INTO post SELECT n, 'p' || n FROM generate_series(1, 100) n;
         INSERT INTO mark SELECT n, 1 + n % 100, 'k' || n FROM generate_series(1, 100000) n;
         ANALYZE;",
    )
    .await;
    let limits = RoleLimits {
        statement_timeout: Some(std::time::Duration::from_millis(50)),
        ..RoleLimits::default()
    };
    // Who can write nothing has no transactions.
    let writable = grant(&["public.post"], &[Action::Select, Action::Insert]);
    let grants = vec![readable("public.mark", None), readable("public.nap", None), writable];
    let role = Role { name: "analyst".into(), grants, limits, ..Role::default() };
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let marks = json!({"columns": ["kind"], "where": {"kind": {"like": "%k1%"}}, "order_by": ["-kind"], "limit": 1});
    let select = json!({"table": "post", "include": {"mark": marks}});
    let within = json!({"operations": [{"operation": "select", "table": "post", "include": {"mark": marks}}]});
    for (tool, arguments) in [("select", &select), ("transaction", &within)] {
        let told = error(&engine, "analyst", tool, arguments.clone()).await;
        assert_eq!(
            (&told["code"], &told["retryable"]),
            (&json!("timeout"), &json!(false)),
            "{told}"
        );
        assert!(told["hint"].as_str().unwrap().starts_with("no index on mark.post_id: "), "{told}");
    }
    let told = error(&engine, "analyst", "select", json!({"table": "nap"})).await;
    assert_eq!((&told["code"], &told["retryable"]), (&json!("timeout"), &json!(true)), "{told}");
}
