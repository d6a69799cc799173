//! What the role presets and covers.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, rows};
use serde_json::{Value, json};

#[tokio::test]
async fn the_server_sets_what_the_role_presets() {
    let database = Database::of(
        "CREATE TABLE notes (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body text NOT NULL,
            tenant text NOT NULL, written_by text NOT NULL, read_only text);",
    )
    .await;
    let mut role = Role::everywhere("writer", [Action::Select, Action::Insert]);
    let grant: &mut Grant = &mut role.grants[0];
    grant.preset.insert("written_by".into(), json!("claim:sub"));
    grant.preset.insert("tenant".into(), json!("claim:tenant"));
    grant.columns.writable = Some(vec!["body".into()]);
    grant.rows = json!({"tenant": "claim:tenant"}).as_object().cloned();
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let ada = Principal::new("ada", "writer").claim("sub", "ada").claim("tenant", "t1");
    let insert = async |caller: &Principal, data: Value| {
        call_as(&engine, caller, "insert", json!({"table": "notes", "data": data})).await
    };
    let reply = insert(&ada, json!([{"body": "one"}, {"body": "two"}])).await.unwrap();
    assert_eq!(rows(&reply)[1]["written_by"], "ada");
    assert_eq!(rows(&reply)[1]["tenant"], "t1");
    for (data, at) in [
        (json!({"body": "x", "written_by": "bob"}), "/data/written_by"),
        (json!({"body": "x", "tenant": "t1"}), "/data/tenant"),
        (json!({"body": "x", "read_only": "x"}), "/data/read_only"),
    ] {
        let error = insert(&ada, data).await.unwrap_err();
        assert_eq!((error.code().as_str(), error.get_at()), ("read_only_column", Some(at)));
    }
    // Without the claim nothing can be set.
    let nobody = Principal::new("nobody", "writer");
    let error = insert(&nobody, json!({"body": "x"})).await.unwrap_err();
    assert_eq!(error.code().as_str(), "forbidden");
    assert_eq!(database.value("SELECT count(*)::text FROM notes").await.unwrap(), "2");
}

#[tokio::test]
async fn a_row_outside_the_grant_is_not_added() {
    let database =
        Database::of("CREATE TABLE notes (id integer PRIMARY KEY, tenant text, body text);").await;
    let mut role = Role::everywhere("writer", [Action::Select, Action::Insert, Action::Update]);
    role.grants[0].rows = json!({"tenant": "t1"}).as_object().cloned();
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let insert = async |data: Value| {
        call(&engine, "writer", "insert", json!({"table": "notes", "data": data})).await
    };
    let error = insert(json!({"id": 1, "tenant": "t2"})).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.get_at()), ("forbidden", Some("/data")));
    // However large the row is.
    let large = "x".repeat(9_000_000);
    let error = insert(
        json!([{"id": 1, "tenant": "t1", "body": large}, {"id": 2, "tenant": "t2", "body": large}]),
    )
    .await
    .unwrap_err();
    assert!(["forbidden", "limit_exceeded"].contains(&error.code().as_str()), "{error}");
    assert_eq!(database.value("SELECT count(*)::text FROM notes").await.unwrap(), "0");
    insert(json!({"id": 1, "tenant": "t1"})).await.unwrap();
}
