//! What an insert does to the rows that it meets.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, object};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE member (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, tenant integer,
        name text NOT NULL DEFAULT 'nobody', city text, archived_at timestamptz);
    INSERT INTO member (email, tenant, name, city, archived_at) VALUES
        ('a@x', 1, 'Ada', 'Bonn', NULL), ('b@x', 2, 'Bea', 'Lyon', NULL), ('c@x', 1, 'Cid', 'Oslo', '2025-01-01');";

fn upsert(data: Value) -> Value {
    json!({"table": "member", "data": data, "on_conflict": {"columns": ["email"], "do": "update"},
        "returning": ["email", "name"]})
}

async fn state(database: &Database) -> Option<String> {
    database.value("SELECT string_agg(m::text, ';' ORDER BY id) FROM member m").await
}

#[tokio::test]
async fn rows_that_the_caller_may_not_read_are_left_as_they_are() {
    let database = Database::of(FIXTURE).await;
    let grant = |actions: &[Action], rows: Option<Value>| Grant {
        tables: vec!["public.member".to_owned()],
        actions: actions.iter().copied().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    // The row condition stands with reading only.
    let grants = vec![
        grant(&[Action::Select], Some(json!({"tenant": "claim:tenant"}))),
        grant(&[Action::Insert, Action::Update], None),
    ];
    let roles = vec![Role { name: "clerk".to_owned(), grants, ..Role::default() }];
    let settings = Settings { roles, default_role: "clerk".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("x", "clerk").claim("tenant", 1);
    let before = state(&database).await;
    let mut dry = upsert(json!({"email": "b@x", "name": "mine"}));
    for dry_run in [true, false] {
        dry["dry_run"] = json!(dry_run);
        let reply = call_as(&engine, &clerk, "insert", dry.clone()).await.unwrap();
        assert_eq!((&reply["row_count"], &reply["rows"]), (&json!(0), &json!([])), "{reply}");
        assert!(!reply.to_string().contains("Bea"), "{reply}");
        assert!(reply["notes"][0].as_str().unwrap().ends_with("reach: 1"), "{reply}");
    }
    assert_eq!(state(&database).await, before);
    let own = upsert(json!({"email": "a@x", "name": "Ann"}));
    let reply = call_as(&engine, &clerk, "insert", own).await.unwrap();
    assert_eq!(reply["rows"], json!([{"email": "a@x", "name": "Ann"}]));
}

#[tokio::test]
async fn archived_rows_are_left_as_they_are() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let data = json!([{"email": "c@x", "name": "Cyd"}, {"email": "d@x", "name": "Dan"}]);
    let reply = call(&engine, "operator", "insert", upsert(data)).await.unwrap();
    assert_eq!(reply["rows"], json!([{"email": "d@x", "name": "Dan"}]));
    assert!(reply["notes"][0].as_str().unwrap().contains("archived"), "{reply}");
    let name = database.value("SELECT name FROM member WHERE email = 'c@x'").await;
    assert_eq!(name.as_deref(), Some("Cid"));
}

#[tokio::test]
async fn what_a_row_does_not_give_is_not_overwritten() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let data =
        json!([{"email": "a@x", "name": "Ann"}, {"email": "b@x", "name": "Bob", "city": "Rome"}]);
    let before = state(&database).await;
    let told = error(&engine, "operator", "insert", upsert(data.clone())).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("missing_value"), &json!("/data/0/city")));
    assert_eq!(state(&database).await, before);
    // Only what all rows give is wanted of them; new rows get all.
    let mut named = upsert(data);
    named["on_conflict"]["update"] = json!(["name"]);
    let reply = call(&engine, "operator", "insert", named).await.unwrap();
    assert_eq!(reply["row_count"], 2);
    let cities = database.value("SELECT string_agg(city, ',' ORDER BY id) FROM member").await;
    assert_eq!(cities.as_deref(), Some("Bonn,Lyon,Oslo"));
}
