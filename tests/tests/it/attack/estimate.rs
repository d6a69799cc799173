//! The planner's estimates: they are made from all rows, those of others too.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as, object};
use serde_json::{Value, json};

#[tokio::test]
async fn no_estimate_tells_of_rows_that_conditions_hide() {
    // Half of all rows, none of them of the caller's tenant, have one value.
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, tenant integer, word text);
         INSERT INTO entry SELECT n, n % 2, CASE n % 2 WHEN 0 THEN 'merger' ELSE 'w' || n END
         FROM generate_series(1, 4000) n;
         CREATE TABLE remark (id integer PRIMARY KEY, entry_id integer REFERENCES entry);
         INSERT INTO remark SELECT n, n FROM generate_series(1, 4000) n;
         ANALYZE",
    )
    .await;
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: [Action::Select].into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let role = Role {
        name: "tenant".into(),
        grants: vec![
            grant("public.entry", Some(json!({"tenant": 1}))),
            grant("public.remark", None),
        ],
        ..Role::default()
    };
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let caller = Principal::new("mallory", "tenant");
    let told = async |tool: &str, table: &str, filter: Value| {
        let arguments = match tool {
            "explain" => json!({"operation": "select", "table": table, "where": filter}),
            _ => json!({"table": table, "where": filter, "count": "estimated", "columns": ["id"]}),
        };
        call_as(&engine, &caller, tool, arguments).await.unwrap()
    };
    for (table, of) in [
        ("entry", (|word: &str| json!({"word": word})) as fn(&str) -> Value),
        ("remark", |word| json!({"entry": {"word": word}})),
    ] {
        for tool in ["explain", "select"] {
            let hidden = told(tool, table, of("merger")).await;
            let absent = told(tool, table, of("nowhere")).await;
            if tool == "select" {
                assert_eq!(hidden, absent, "{table}");
                assert_eq!(hidden["count"], 0, "{hidden}");
            } else {
                for (what, value) in
                    [("rows", &hidden["estimated_rows"]), ("cost", &hidden["estimated_cost"])]
                {
                    assert!(value.is_null(), "{table} {what}: {hidden}");
                }
                assert!(!hidden.to_string().contains("cost "), "{hidden}");
                assert!(hidden["plan"].get("rows").is_none(), "{hidden}");
            }
        }
    }
}
