//! Rows do not come in the order of an index on a column that the caller does not see.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_tests::{Database, call};
use serde_json::{Value, json};

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
        // They stand in the order of their key, also where nothing is shown but what it becomes.
        let sorted = after.is_sorted_by_key(|row| row[key].as_i64());
        assert!(sorted || key != "id", "{after:?}");
    }
}

/// The place alone tells which row a renumbered one was.
#[tokio::test]
async fn rows_before_and_after_a_write_stand_in_the_same_order() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, name text);
         INSERT INTO person SELECT n, 'name ' || 9 - n FROM generate_series(1, 6) n",
    )
    .await;
    let mut settings = Settings::default();
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let columns = |reply: &Value, rows: &str, column: &str| -> Vec<Value> {
        reply[rows].as_array().unwrap().iter().map(|row| row[column].clone()).collect()
    };
    let delete = json!({"table": "person", "where": {"id": {"gt": 0}}, "max_rows": 9, "dry_run": true, "returning": ["name"]});
    let reply = call(&engine, "admin", "delete", delete).await.unwrap();
    assert_eq!(columns(&reply, "rows", "name"), columns(&reply, "before", "name"));
    let renumber = json!({"table": "person", "where": {"id": {"gt": 0}}, "max_rows": 9, "dry_run": true,
        "updates": {"id": {"$compute": {"subtract": [100, "id"]}}}});
    let reply = call(&engine, "admin", "update", renumber).await.unwrap();
    assert_eq!(columns(&reply, "before", "id").len(), 6);
    assert_eq!(columns(&reply, "before", "name"), columns(&reply, "after", "name"));
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
    // So do those of a view of it, and of a table by whose partitions the column is told.
    database
        .sql(
            "CREATE VIEW staff AS SELECT * FROM person;
             CREATE TABLE spread (id integer, secret integer) PARTITION BY LIST (secret);
             CREATE TABLE spread_0 PARTITION OF spread FOR VALUES IN (0); CREATE TABLE spread_1 PARTITION OF spread FOR VALUES IN (1);
             INSERT INTO spread SELECT n, n % 2 FROM generate_series(1, 20) n",
        )
        .await;
    let mut role = Role::everywhere("clerk", Action::ALL);
    role.grants[0].columns.exclude = vec!["pay".into(), "secret".into()];
    let settings = Settings {
        roles: vec![role, Role::everywhere("payer", Action::ALL)],
        ..Settings::default()
    };
    let engine_settings = settings.clone();
    let engine = database.engine_with(settings).await;
    let staff =
        json!({"table": "staff", "columns": ["id"], "where": {"place": "place 7"}, "limit": 100});
    let spread = json!({"table": "spread", "limit": 10});
    for (request, expected) in
        [(staff, (0..100).map(|n| 7 + n * 50).collect::<Vec<i64>>()), (spread, (1..=10).collect())]
    {
        let reply = call(&engine, "clerk", "select", request).await.unwrap();
        let rows = reply["rows"].as_array().unwrap().iter();
        assert_eq!(Vec::from_iter(rows.filter_map(|row| row["id"].as_i64())), expected);
    }
    // So do rows that refer to those which PostgreSQL finds in that order.
    database
        .sql(
            "ALTER TABLE person ADD UNIQUE (id);
             CREATE TABLE note (person_id integer REFERENCES person (id), text text);
             INSERT INTO note SELECT id, 'x' FROM person; CREATE INDEX ON note (person_id); ANALYZE;",
        )
        .await;
    let engine = database.engine_with(engine_settings).await;
    let notes = json!({"table": "note", "columns": ["person_id"], "where": {"person": {"place": "place 7"}}, "limit": 100});
    let reply = call(&engine, "clerk", "select", notes).await.unwrap();
    let rows = reply["rows"].as_array().unwrap().iter();
    let found = Vec::from_iter(rows.filter_map(|row| row["person_id"].as_i64()));
    assert_eq!(found, (0..100).map(|n| 7 + n * 50).collect::<Vec<i64>>());
    // Whoever sees the column waits for no order.
    let plan = json!({"operation": "select", "table": "person", "where": {"place": "place 7"}});
    let plan = call(&engine, "payer", "explain", plan).await.unwrap();
    assert!(!plan.to_string().contains("Sort"), "{plan}");
}
