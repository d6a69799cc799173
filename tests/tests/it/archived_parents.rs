//! Rows whose to-one related row is archived: what is written from it, and conditions on it.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, object, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE customer (id integer PRIMARY KEY, kind text, rep_id integer, rate numeric, archived_at timestamptz);
    CREATE TABLE sale (id integer PRIMARY KEY, customer_id integer REFERENCES customer, rep_id integer,
                       cents integer NOT NULL);
    INSERT INTO customer VALUES (1, 'cafe', 6, 2, NULL), (2, 'cafe', 7, 3, now());
    INSERT INTO sale VALUES (1, 1, 10, 100), (2, 2, 11, 100), (3, NULL, 12, 100);";

/// Null over the old value would be lost data.
#[tokio::test]
async fn values_are_taken_from_archived_rows() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let updated = async |more: Value| {
        let mut arguments = object(json!({"table": "sale", "returning": ["rep_id", "cents"]}));
        arguments.extend(object(more));
        let reply = call(&engine, "operator", "update", Value::Object(arguments)).await.unwrap();
        (rows(&reply).to_vec(), reply.get("notes").cloned())
    };
    let set = json!({"rep_id": {"$column": "customer.rep_id"},
                     "cents": {"$compute": {"multiply": ["cents", "customer.rate"]}}});
    let (found, notes) = updated(json!({"where": {"id": 2}, "updates": set})).await;
    assert_eq!((found, notes), (vec![json!({"rep_id": 7, "cents": 300})], None));
    let list = json!([{"id": 1, "rep_id": {"$column": "customer.rep_id"}},
                      {"id": 2, "rep_id": {"$column": "customer.id"}}]);
    let (found, notes) = updated(json!({"where": {}, "updates": list})).await;
    let rep = |rep: i32, cents: i32| json!({"rep_id": rep, "cents": cents});
    assert_eq!((found, notes), (vec![rep(6, 100), rep(2, 300)], None));
    // Of a condition in the same statement, the archived row is still left out.
    let (found, _) = updated(json!({
        "where": {"rep_id": {"lt": {"$column": "customer.rep_id"}}},
        "updates": {"rep_id": {"$column": "customer.rep_id"}}
    }))
    .await;
    assert!(found.is_empty(), "{found:?}");
}

/// A row without a related row that the caller sees.
#[tokio::test]
async fn a_value_of_no_row_is_null_and_told() {
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: Action::ALL.into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let grants =
        vec![grant("public.customer", Some(json!({"id": 1}))), grant("public.sale", None)];
    let role = Role { name: "agent".into(), grants, ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "agent".into(), ..Settings::default() };
    let engine = Database::of(FIXTURE).await.engine_with(settings).await;
    let caller = Principal::new("x", "agent");
    let updated = async |engine: &Engine, id: i32| {
        let arguments = json!({"table": "sale", "where": {"id": id}, "dry_run": true,
                               "updates": {"rep_id": {"$column": "customer.rep_id"}}});
        let reply = call_as(engine, &caller, "update", arguments).await.unwrap();
        (reply["after"][0]["rep_id"].clone(), reply["notes"][0].clone())
    };
    let note = json!("rep_id is null where customer.rep_id is, or where the caller sees no such row");
    assert_eq!(updated(&engine, 1).await, (json!(6), Value::Null));
    // Hidden and missing rows are alike.
    assert_eq!(updated(&engine, 2).await, (Value::Null, note.clone()));
    assert_eq!(updated(&engine, 3).await, (Value::Null, note));
}
