//! Columns that are to be encrypted, and are renamed while the server runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_pg_core::cipher::KeyRing;
use mcp_pg_core::policy::{Action, Encryption, Mask, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, grant, names};
use serde_json::{Value, json};

/// The first row of `customers` and of its view, as the role sees them; what it cannot use is null.
async fn seen(engine: &Engine, role: &str) -> [Value; 3] {
    let read = async |table: &str| {
        let reply = call(engine, role, "select", json!({"table": table})).await;
        reply.map_or(Value::Null, |reply| reply["rows"][0].clone())
    };
    [read("customers").await, read("shown").await, read("orders").await]
}

#[tokio::test]
async fn an_encrypted_column_is_not_open_under_another_name() {
    let database = Database::of(
        "CREATE TABLE customers (id integer PRIMARY KEY, secret text, email text, ssn text);
         CREATE TABLE orders (id integer PRIMARY KEY);
         CREATE VIEW shown AS SELECT id, ssn FROM customers;
         INSERT INTO customers VALUES (1, 's', 'ada@example.com', NULL);
         INSERT INTO orders VALUES (1);
         DO $$ BEGIN CREATE ROLE renamed_clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT SELECT (id, email) ON customers TO renamed_clerk;",
    )
    .await;
    let role = |name: &str, tables: &[&str]| {
        let mut grant = grant(tables, &[Action::Select, Action::Update]);
        grant.columns.exclude = names(&["secret"]);
        grant.columns.mask = BTreeMap::from([("email".to_owned(), Mask::Email)]);
        Role { name: name.into(), grants: vec![grant], ..Role::default() }
    };
    let mut named = role("named", &["public.customers"]);
    named.grants.push(grant(&["*"], &[Action::Select]));
    // What PostgreSQL keeps from it is not gone.
    let mut granted = role("granted", &["public.customers"]);
    granted.database_role = Some("renamed_clerk".into());
    let ring = KeyRing::parse("one:QUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUE=").unwrap();
    let settings = Settings {
        roles: vec![named, role("pattern", &["*"]), granted],
        encryption: Encryption {
            columns: names(&["public.customers.ssn"]),
            keys: Some(Arc::new(ring)),
            ..Encryption::default()
        },
        ..Settings::default()
    };
    let engine = database.engine_with(settings).await;
    let row = json!({"id": 1, "email": "a***@example.com", "ssn": null});
    let (view, order) = (json!({"id": 1, "ssn": null}), json!({"id": 1}));
    let all = [row.clone(), view.clone(), order.clone()];
    for role in ["named", "pattern"] {
        assert_eq!(seen(&engine, role).await, all, "{role}");
    }
    let little = json!({"id": 1, "email": "a***@example.com"});
    assert_eq!(seen(&engine, "granted").await, [little, Value::Null, Value::Null]);

    let rename = async |from: &str, to: &str| {
        database.sql(&format!("ALTER TABLE customers RENAME {from} TO {to}")).await;
        engine.reload().await.unwrap();
    };
    rename("ssn", "other").await;
    for role in ["named", "pattern"] {
        assert_eq!(seen(&engine, role).await, [Value::Null, Value::Null, order.clone()], "{role}");
    }
    let update = json!({"table": "customers", "where": {"id": 1}, "updates": {"other": "plain"}});
    call(&engine, "pattern", "update", update).await.unwrap_err();
    rename("other", "ssn").await;
    assert_eq!(seen(&engine, "pattern").await, all);
}
