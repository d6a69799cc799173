//! Rows do not come in the order of an index on a column that the caller does not see.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_tests::{Database, call};
use serde_json::json;

/// PostgreSQL finds the people of a place by an index, in the order of their pay.
const FIXTURE: &str = "
    CREATE TABLE person (id integer PRIMARY KEY, place text, name text, pay integer, counted integer);
    INSERT INTO person SELECT n, 'place ' || n % 50, 'name ' || n, n * 7919 % 10007, n * 31 % 5003 FROM generate_series(1, 5000) n;
    CREATE INDEX ON person (place, pay);
    ANALYZE;";

#[tokio::test]
async fn an_index_does_not_tell_the_order_of_hidden_values() {
    let database = Database::of(FIXTURE).await;
    database.sql("ALTER DATABASE postgres SET random_page_cost = 1").await;
    database.sql("ALTER DATABASE postgres SET enable_bitmapscan = off").await;
    let mut role = Role::everywhere("clerk", Action::ALL);
    role.grants[0].columns.mask.insert("pay".into(), Mask::Full);
    let mut settings = Settings { roles: vec![role], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let place = json!({"place": "place 7"});
    let ids: Vec<i64> = (0..100).map(|n| 7 + n * 50).collect();
    for returning in [json!(["id"]), json!(["id", "name"])] {
        for (tool, more) in [("update", json!({"updates": {"name": "x"}})), ("delete", json!({}))] {
            let mut request = json!({"table": "person", "where": place, "max_rows": 500, "dry_run": true, "returning": returning});
            request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let reply = call(&engine, "clerk", tool, request).await.unwrap();
            for rows in ["rows", "before"] {
                let found: Vec<i64> = reply[rows]
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter_map(|row| row["id"].as_i64())
                    .collect();
                assert_eq!(found, ids, "{tool} {rows}");
            }
        }
    }
    // Rows before and after a dry run belong together, also where the key is not returned.
    for key in ["id", "counted"] {
        let request = json!({"table": "person", "where": place, "max_rows": 500, "dry_run": true,
            "returning": [key], "updates": {key: {"$increment": 100_000}}});
        let reply = call(&engine, "clerk", "update", request).await.unwrap();
        let [before, after] = ["before", "after"].map(|rows| reply[rows].as_array().unwrap());
        assert_eq!((before.len(), after.len()), (100, 100));
        for (before, after) in before.iter().zip(after) {
            assert_eq!(before[key].as_i64().map(|value| value + 100_000), after[key].as_i64());
        }
    }
}

#[tokio::test]
async fn rows_without_a_key_come_as_they_lie() {
    let database = Database::of(&FIXTURE.replace("PRIMARY KEY", "")).await;
    database.sql("ALTER DATABASE postgres SET enable_bitmapscan = off").await;
    database.sql("ALTER DATABASE postgres SET enable_seqscan = off").await;
    let mut role = Role::everywhere("clerk", Action::ALL);
    role.grants[0].columns.exclude = vec!["pay".into()];
    let engine = database
        .engine_with(Settings {
            roles: vec![role, Role::everywhere("payer", Action::ALL)],
            ..Settings::default()
        })
        .await;
    let request = |limit| json!({"table": "person", "columns": ["id"], "where": {"place": "place 7"}, "limit": limit});
    for limit in [1, 100] {
        let reply = call(&engine, "clerk", "select", request(limit)).await.unwrap();
        let rows = reply["rows"].as_array().unwrap().iter();
        let found: Vec<i64> = rows.filter_map(|row| row["id"].as_i64()).collect();
        assert_eq!(found, (0..limit).map(|n| 7 + n * 50).collect::<Vec<i64>>());
    }
    // Whoever sees the column waits for no order.
    let plan = json!({"operation": "select", "table": "person", "where": {"place": "place 7"}});
    let plan = call(&engine, "payer", "explain", plan).await.unwrap();
    assert!(!plan.to_string().contains("Sort"), "{plan}");
}
