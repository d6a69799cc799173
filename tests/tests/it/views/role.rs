//! The built-in roles, and the database's own.

use std::collections::BTreeMap;

use mcp_pg_core::policy::{Action, Role, Setting};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, rows};
use serde_json::{Value, json};

use super::{FIXTURE, engine};

#[tokio::test]
async fn the_built_in_roles() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    for (role, actions) in [
        ("analyst", json!(["select"])),
        ("operator", json!(["select", "insert", "update", "archive", "restore"])),
        // Hard deletion is not allowed here.
        ("admin", json!(["select", "insert", "update", "archive", "restore"])),
    ] {
        let described =
            call(&engine, role, "describe_table", json!({"table": "person"})).await.unwrap();
        assert_eq!(described["actions"], actions);
        let data = json!({"table": "note", "data": {"note_id": 9}});
        let inserted =
            call(&engine, role, "insert", data).await.map(drop).map_err(|error| error.code());
        let expected = if role == "analyst" { Err(mcp_pg_core::Code::Forbidden) } else { Ok(()) };
        if role != "admin" {
            assert_eq!(inserted, expected);
        }
    }
    let error = call(&engine, "nobody", "list_tables", json!({})).await.unwrap_err();
    assert_eq!(error.code().as_str(), "forbidden");
}

#[tokio::test]
async fn the_database_itself_tells_callers_apart() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE views_app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE doc (doc_id integer PRIMARY KEY, tenant text, kind text, secret text);
         ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON doc TO views_app USING (tenant = current_setting('app.tenant', true)
           AND kind = ANY (coalesce(nullif(current_setting('app.kinds', true), ''), '{}')::text[]));
         CREATE TABLE closed (id integer PRIMARY KEY);
         GRANT SELECT (doc_id, tenant, kind), INSERT (doc_id, tenant, kind) ON doc TO views_app;
         INSERT INTO doc VALUES (1, 'a', 'x', 's'), (2, 'a', 'y \"z\"', 's'), (3, 'b', 'x', 's'), (4, NULL, 'x', 's');",
    )
    .await;
    let mut role = Role::everywhere("app", [Action::Select, Action::Insert]);
    role.database_role = Some("views_app".into());
    role.session = BTreeMap::from([
        ("app.tenant".to_owned(), Setting::Claim("tenant".into())),
        ("app.kinds".to_owned(), Setting::Claim("kinds".into())),
    ]);
    let mut roles = Role::built_in();
    roles.push(role);
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    let caller = |tenant: &str, kinds: Value| {
        Principal::new("x", "app").claim("tenant", tenant).claim("kinds", kinds)
    };
    let ids = async |caller: Principal| {
        let select = json!({"table": "doc", "columns": ["doc_id"], "count": "exact"});
        let reply = call_as(&engine, &caller, "select", select).await.unwrap();
        assert_eq!(reply["count"], rows(&reply).len());
        rows(&reply).iter().map(|row| row["doc_id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(ids(caller("a", json!(["x", "y \"z\""]))).await, [1, 2]);
    assert_eq!(ids(caller("b", json!(["x"]))).await, [3]);
    // A setting of a caller before on the same connection is gone, and stays so.
    assert_eq!(ids(Principal::new("x", "app")).await, [0; 0]);
    assert_eq!(ids(caller("a", json!([]))).await, [0; 0]);
    assert_eq!(ids(caller("a' OR 'a'='a", json!(["x"]))).await, [0; 0]);
    // What a policy cannot read is the fault of no value of the call.
    let broken = caller("a", json!("{x"));
    let read = json!({"table": "doc", "where": {"doc_id": 1}, "columns": ["doc_id"]});
    let told = call_as(&engine, &broken, "select", read).await.unwrap_err();
    assert_eq!((told.code().as_str(), told.get_at()), ("invalid_value", None));
    assert!(told.to_string().contains("a claim of the caller"), "{told}");
    let described =
        call_as(&engine, &caller("a", json!([])), "describe_table", json!({"table": "doc"}))
            .await
            .unwrap();
    assert_eq!(described["columns"].as_array().unwrap().len(), 3);
    assert_eq!(
        described["row_security"],
        json!({"enabled": true, "forced": false, "applies": true})
    );
    let listed =
        call_as(&engine, &caller("a", json!([])), "list_tables", json!({"detail": "names"}))
            .await
            .unwrap();
    assert_eq!(listed["tables"], json!(["doc"]));
    let insert = |tenant: &str| json!({"table": "doc", "data": {"doc_id": 9, "tenant": tenant, "kind": "x"}});
    let error =
        call_as(&engine, &caller("a", json!(["x"])), "insert", insert("b")).await.unwrap_err();
    assert_eq!(error.code().as_str(), "forbidden");
    call_as(&engine, &caller("a", json!(["x"])), "insert", insert("a")).await.unwrap();
    // The login, a superuser, sees all.
    let reply = call(&engine, "analyst", "select", json!({"table": "doc"})).await.unwrap();
    assert_eq!(rows(&reply).len(), 5);
}

#[tokio::test]
async fn relations_of_extensions_are_seen_where_a_grant_names_them() {
    let database =
        Database::of("CREATE EXTENSION pg_buffercache; CREATE TABLE page (id integer PRIMARY KEY)")
            .await;
    let tables = async |grant: &str| {
        let mut role = Role::everywhere("reader", [Action::Select]);
        role.grants[0].tables.push(grant.into());
        let settings = Settings { roles: vec![role], ..Settings::default() };
        let engine = database.engine_with(settings).await;
        let listed = json!({"detail": "names"});
        call(&engine, "reader", "list_tables", listed).await.unwrap()["tables"].clone()
    };
    assert_eq!(tables("public.pg_*").await, json!(["page"]));
    assert_eq!(tables("public.pg_buffercache").await, json!(["page", "pg_buffercache"]));
}
