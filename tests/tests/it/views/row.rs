//! Others' rows, and what the server sets in one's own.

use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as, rows};
use serde_json::{Value, json};

use super::{FIXTURE, ada, engine, names, support};

#[tokio::test]
async fn rows_of_others_do_not_exist() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let ids = async |caller: &Principal, arguments: Value| {
        let reply = call_as(&engine, caller, "select", arguments).await.unwrap();
        let first =
            |row: &Value| row.as_object().unwrap().values().next().unwrap().as_i64().unwrap();
        rows(&reply).iter().map(first).collect::<Vec<_>>()
    };
    let all = json!({"table": "person"});
    assert_eq!(ids(&ada(), all.clone()).await, [1, 2]);
    let two = Principal::new("cy", "support").claim("tenant", "2");
    assert_eq!(ids(&two, all.clone()).await, [3]);
    // Without the claim, or with null for it, there is nothing.
    assert_eq!(ids(&Principal::new("x", "support"), all.clone()).await, [0; 0]);
    assert_eq!(
        ids(&Principal::new("x", "support").claim("tenant", Value::Null), all.clone()).await,
        [0; 0]
    );
    let counted = json!({"table": "person", "count": "exact"});
    let reply = call_as(&engine, &Principal::new("x", "support"), "select", counted).await.unwrap();
    assert_eq!(reply["count"], 0);
    // Nor through relations: the third person is of the other tenant, and the second one's boss is not of theirs.
    assert_eq!(ids(&ada(), json!({"table": "note", "where": {"person": {}}})).await, [1, 2]);
    assert_eq!(ids(&ada(), json!({"table": "note", "where": {"person": null}})).await, [3, 4]);
    assert_eq!(
        ids(&two, json!({"table": "person", "where": {"boss": {"name": "Ada"}}})).await,
        [0; 0]
    );
    let include = json!({"table": "note", "columns": ["note_id"], "include": {"person": true}});
    let reply = call_as(&engine, &two, "select", include).await.unwrap();
    let related: Vec<bool> = rows(&reply).iter().map(|row| row["person"].is_null()).collect();
    assert_eq!(related, [true, true, false, true]);
    let grouped =
        json!({"table": "note", "measures": {"n": {"count": "*"}}, "group_by": ["person.name"]});
    let reply = call_as(&engine, &two, "aggregate", grouped).await.unwrap();
    assert!(!reply.to_string().contains("Ada"), "{reply}");

    let rename = |id: i32| json!({"table": "person", "where": {"person_id": id}, "updates": {"name": "Zoe"}});
    let reply = call_as(&engine, &ada(), "update", rename(3)).await.unwrap();
    assert_eq!(reply["row_count"], 0);
    call_as(&engine, &ada(), "update", rename(2)).await.unwrap();
    let names =
        "SELECT string_agg(name || coalesce(updated_by, ''), ',' ORDER BY person_id) FROM person";
    assert_eq!(database.value(names).await.unwrap(), "Ada,Zoeada,Cy");
    let archive =
        json!({"table": "person", "where": {"person_id": {"in": [1, 2, 3]}}, "max_rows": 9});
    let reply = call_as(&engine, &ada(), "archive", archive).await.unwrap();
    assert_eq!(reply["row_count"], 2, "{reply}");
}

#[tokio::test]
async fn presets_are_set_and_refused_from_the_caller() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let insert = json!({"table": "person", "data": [{"name": "Di"}], "returning": ["name"]});
    call_as(&engine, &ada(), "insert", insert.clone()).await.unwrap();
    let set =
        "SELECT string_agg(DISTINCT tenant_id || updated_by, ',') FROM person WHERE name = 'Di'";
    assert_eq!(database.value(set).await.unwrap(), "1ada");
    let error =
        call_as(&engine, &Principal::new("x", "support"), "insert", insert).await.unwrap_err();
    assert_eq!(error.code().as_str(), "forbidden");
    let mut role = support();
    role.grants[0].columns.exclude = names(&["hush_score"]);
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for (tool, arguments) in [
        ("insert", json!({"table": "person", "data": {"name": "Fi", "updated_by": "me"}})),
        (
            "update",
            json!({"table": "person", "where": {"person_id": 1}, "updates": {"tenant_id": 2}}),
        ),
    ] {
        let error = call_as(&engine, &ada(), tool, arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), "read_only_column", "{error}");
    }
}

#[tokio::test]
async fn a_preset_whose_column_is_gone_stops_the_writes() {
    let database = Database::of(FIXTURE).await;
    let mut role = support();
    role.grants[0].rows = None;
    role.grants[0].columns.exclude = names(&["hush_score"]);
    let mut pattern = role.clone();
    pattern.name = "pattern".into();
    pattern.grants[0].tables = names(&["public.*"]);
    let settings = Settings { roles: vec![role, pattern], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let insert = json!({"table": "person", "data": {"name": "Di"}});
    let update = json!({"table": "person", "where": {"person_id": 1}, "updates": {"name": "Al"}});
    for tool in [("insert", &insert), ("update", &update)] {
        call_as(&engine, &ada(), tool.0, tool.1.clone()).await.unwrap();
    }
    database.sql("ALTER TABLE person RENAME updated_by TO changed_by").await;
    engine.reload().await.unwrap();
    for tool in [("insert", &insert), ("update", &update)] {
        let error = call_as(&engine, &ada(), tool.0, tool.1.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{error}");
    }
    // A pattern speaks of the tables that have such a column.
    let caller = Principal::new("ada", "pattern").claim("tenant", 1).claim("sub", "ada");
    call_as(&engine, &caller, "insert", insert).await.unwrap();
}
