//! Keys of views that follow from their tables: pages, upserts, errors.

use mcp_pg_core::policy::Comments;
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE SCHEMA base;
    CREATE TABLE base.client (id integer PRIMARY KEY);
    CREATE TABLE base.project (
        id integer PRIMARY KEY, code text UNIQUE, name text, client_id integer CONSTRAINT client REFERENCES base.client);
    INSERT INTO base.client VALUES (1);
    INSERT INTO base.project SELECT n, 'c' || n, 'same', 1 FROM generate_series(1, 9) n;
    CREATE TABLE base.parent (id integer PRIMARY KEY, name text);
    CREATE TABLE base.child () INHERITS (base.parent);
    INSERT INTO base.parent VALUES (1, 'own');
    INSERT INTO base.child VALUES (1, 'heir');
    CREATE VIEW plain AS SELECT id AS t_id, name, client_id AS t_client_id, code FROM base.project;
    CREATE VIEW upon AS SELECT t_id AS number, name FROM plain;
    CREATE VIEW fewer AS SELECT t_id AS number, name FROM plain WHERE t_id > 0;
    CREATE VIEW upon_fewer AS SELECT number AS id, name FROM fewer;
    CREATE VIEW ruled AS SELECT id, name FROM base.project;
    CREATE RULE silent AS ON INSERT TO ruled WHERE new.id < 0 DO ALSO SELECT 1;
    CREATE MATERIALIZED VIEW kept AS SELECT id, name FROM base.project;
    CREATE VIEW joined AS SELECT p.id, p.name FROM base.project p JOIN base.client c ON true;
    CREATE VIEW listed AS SELECT p.id FROM base.project p, base.client c;
    CREATE VIEW grouped AS SELECT id, count(*) FROM base.project GROUP BY GROUPING SETS ((id), (id, name));
    CREATE VIEW united AS SELECT id FROM base.project UNION ALL SELECT id FROM base.project;
    CREATE VIEW nested AS SELECT id FROM (SELECT id FROM base.project UNION ALL SELECT id FROM base.project) both_of_it;
    CREATE VIEW doubled AS SELECT id, generate_series(1, 2) AS n FROM base.project;
    CREATE VIEW computed AS SELECT id + 0 AS id, name FROM base.project;
    CREATE VIEW inherited AS SELECT id, name FROM base.parent;
    CREATE VIEW alone AS SELECT id, name FROM ONLY base.parent;";

#[tokio::test]
async fn a_declaration_names_the_relation_that_a_view_has_from_its_table() {
    let database = Database::of(FIXTURE).await;
    let relations = vec![DeclaredRelation {
        table: "plain".into(),
        columns: vec!["t_client_id".into()],
        to: "base.client".into(),
        name: Some("payer".into()),
        inverse: Some("orders".into()),
        ..DeclaredRelation::default()
    }];
    let schemas = vec!["public".to_owned(), "base".to_owned()];
    let settings = Settings { relations: relations.clone(), schemas, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let (_, faults) = engine.schema().as_ref().clone().declaring(&relations);
    assert_eq!(faults, Vec::<String>::new());
    let one =
        json!({"table": "plain", "columns": ["t_id"], "limit": 1, "include": {"payer": true}});
    let reply = call(&engine, "analyst", "select", one).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"t_id": 1, "payer": {"id": 1}}));
    let many = json!({"table": "base.client", "include": {"orders": {"count": true}}});
    let reply = call(&engine, "analyst", "select", many).await.unwrap();
    assert_eq!(rows(&reply)[0]["orders"], 9);
}

async fn key(engine: &Engine, table: &str) -> Value {
    let described = call(engine, "admin", "describe_table", json!({"table": table})).await.unwrap();
    described["primary_key"].clone()
}

#[tokio::test]
async fn a_view_of_one_table_has_its_keys() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (view, expected) in [
        ("plain", json!(["t_id"])),
        ("upon", json!(["number"])),
        ("fewer", json!(["number"])),
        ("upon_fewer", json!(["id"])),
        ("ruled", json!(["id"])),
        ("kept", json!(["id"])),
        ("alone", json!(["id"])),
        ("joined", json!([])),
        ("listed", json!([])),
        ("grouped", json!([])),
        ("united", json!([])),
        ("nested", json!([])),
        ("doubled", json!([])),
        ("computed", json!([])),
        ("inherited", json!([])),
    ] {
        assert_eq!(key(&engine, view).await, expected, "{view}");
    }
    let described = call(&engine, "admin", "describe_table", json!({"table": "plain"})).await;
    assert!(!described.unwrap().to_string().contains("project_code_key"));
    let page = json!({"table": "upon", "order_by": ["-name"], "limit": 4});
    let reply = call(&engine, "admin", "select", page).await.unwrap();
    assert_eq!(rows(&reply)[0]["number"], 9);
    assert_eq!(reply.get("notes"), None);
}

#[tokio::test]
async fn a_declared_key_goes_before_that_of_the_table() {
    let declared = format!(
        "{FIXTURE} COMMENT ON VIEW plain IS '@mcp {{\"key\": [\"code\"]}}';
         COMMENT ON VIEW upon IS '@mcp {{\"key\": [\"number\"]}}';"
    );
    let database = Database::of(&declared).await;
    let comments = Comments { owners: vec!["postgres".to_owned()] };
    let engine = database.engine_with(Settings { comments, ..Settings::default() }).await;
    assert_eq!(key(&engine, "plain").await, json!(["code"]));
    let upsert = json!({"table": "upon", "data": {"number": 1, "name": "new"},
        "on_conflict": {"columns": ["number"], "do": "update"}});
    let reply = call(&engine, "admin", "insert", upsert).await.unwrap();
    assert_eq!(reply["rows"], json!([{"number": 1, "name": "new"}]));
}

#[tokio::test]
async fn upserts_go_through_views_that_postgresql_inserts_through() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (table, key) in [("plain", "t_id"), ("upon", "number")] {
        let upsert = json!({"table": table, "data": [{key: 1, "name": "new"}, {key: 30, "name": table}],
            "on_conflict": {"columns": [key], "do": "update"}, "returning": [key, "name"]});
        let reply = call(&engine, "admin", "insert", upsert).await.unwrap();
        assert_eq!(reply["rows"], json!([{key: 1, "name": "new"}, {key: 30, "name": table}]));
    }
    let skipped = json!({"table": "plain", "data": {"t_id": 1, "name": "x"}, "on_conflict": {"do": "nothing"}});
    assert_eq!(call(&engine, "admin", "insert", skipped).await.unwrap()["row_count"], 0);
    let several = json!({"table": "plain", "updates": [{"t_id": 2, "name": "two"}, {"t_id": 3, "name": "three"}],
        "max_rows": 2});
    assert_eq!(call(&engine, "admin", "update", several).await.unwrap()["row_count"], 2);
    for (table, key) in [("ruled", "id"), ("fewer", "number"), ("upon_fewer", "id")] {
        let upsert = json!({"table": table, "data": {key: 1, "name": "x"},
            "on_conflict": {"columns": [key], "do": "update"}});
        let refused = error(&engine, "admin", "insert", upsert).await;
        assert_eq!(
            (&refused["code"], &refused["at"], refused.get("allowed")),
            (&json!("invalid_value"), &json!("/on_conflict/columns"), None),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn refusals_of_the_table_are_told_at_the_view() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (data, code, at, message) in [
        (json!({"t_id": 1}), "unique_violation", "/data/t_id", "a row with the same t_id exists"),
        (
            json!({"t_id": 50, "code": "c1"}),
            "unique_violation",
            "/data/code",
            "a row with the same code exists",
        ),
        (
            json!({"t_id": 50, "t_client_id": 99}),
            "foreign_key_violation",
            "/data/t_client_id",
            "t_client_id refers to a row that does not exist",
        ),
    ] {
        let refused =
            error(&engine, "admin", "insert", json!({"table": "plain", "data": data})).await;
        let told = (&refused["code"], &refused["at"], &refused["message"]);
        assert_eq!(told, (&json!(code), &json!(at), &json!(message)));
        assert!(!refused.to_string().contains("project"), "{refused}");
    }
}
