//! Rows that exist already.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::json;

use super::{ITEMS, insert};

#[tokio::test]
async fn an_existing_row_can_be_updated_instead() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let reply = insert(
        &engine,
        json!({"table": "items", "returning": ["id", "code", "label", "version"],
               "data": [{"code": "a", "label": "changed"}, {"code": "n", "label": "new"}],
               "on_conflict": {"columns": ["code"], "do": "update"}}),
    )
    .await;
    assert_eq!(rows(&reply)[0], json!({"id": 1, "code": "a", "label": "changed", "version": 2}));
    assert_eq!(rows(&reply)[1]["label"], "new");
    assert_eq!(rows(&reply)[1]["version"], 1);

    // A dry run tells what existing rows were; which a new row is, only it can tell.
    let tried = json!({"table": "items", "dry_run": true, "returning": ["label", "version"],
        "data": [{"code": "o", "label": "fresh"}, {"code": "a", "label": "tried"}], "on_conflict": {"columns": ["code"], "do": "update"}});
    let reply = insert(&engine, tried).await;
    assert_eq!(reply["before"], json!([{"label": "changed", "version": 2}]));
    assert_eq!(reply["after"][1], json!({"label": "tried", "version": 3}));

    // Only the columns that are named, by a key of two columns in any order.
    let reply = insert(
        &engine,
        json!({"table": "items", "returning": ["id", "label", "code"],
               "data": {"shelf": 1, "area": 1, "label": "twice", "code": "zzz"},
               "on_conflict": {"columns": ["shelf", "area"], "do": "update", "update": ["label"]}}),
    )
    .await;
    assert_eq!(reply["rows"], json!([{"id": 1, "label": "twice", "code": "a"}]));
}

#[tokio::test]
async fn an_existing_row_can_be_left_alone() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let reply = insert(
        &engine,
        json!({"table": "items", "returning": ["code"],
               "data": [{"code": "a", "label": "changed"}, {"code": "n"}],
               "on_conflict": {"columns": ["code"], "do": "nothing"}}),
    )
    .await;
    assert_eq!((&reply["rows"], &reply["row_count"]), (&json!([{"code": "n"}]), &json!(1)));
    let label = database.value("SELECT label FROM items WHERE code = 'a'").await.unwrap();
    assert_eq!(label, "first");
    // Whatever key it has.
    let reply = insert(
        &engine,
        json!({"table": "items", "returning": ["code"], "on_conflict": {"do": "nothing"},
               "data": [{"code": "a"}, {"code": "o"}]}),
    )
    .await;
    assert_eq!(reply["rows"], json!([{"code": "o"}]));
    let unnamed = json!({"table": "items", "data": {"code": "a"}, "on_conflict": {"do": "update"}});
    let error = error(&engine, "admin", "insert", unnamed).await;
    assert_eq!(
        (&error["code"], &error["at"]),
        (&json!("missing_value"), &json!("/on_conflict/columns"))
    );
    assert!(error["allowed"].as_array().unwrap().contains(&json!(r#"["code"]"#)), "{error}");
}

#[tokio::test]
async fn a_conflict_needs_a_key_and_rights() {
    let database = Database::of(ITEMS).await;
    let mut settings = Settings::default();
    settings.roles.push(Role::everywhere("clerk", [Action::Select, Action::Insert]));
    let engine = database.engine_with(settings).await;
    for (on_conflict, code, at) in [
        (json!({"columns": ["label"], "do": "nothing"}), "invalid_value", "/on_conflict/columns"),
        (json!({"columns": [], "do": "nothing"}), "invalid_value", "/on_conflict/columns"),
        (json!({"columns": ["area"], "do": "update"}), "invalid_value", "/on_conflict/columns"),
        (json!({"columns": ["cod"], "do": "update"}), "unknown_column", "/on_conflict/columns/0"),
        (json!({"columns": ["code"], "do": "replace"}), "invalid_value", "/on_conflict/do"),
        (json!({"columns": ["code"]}), "missing_value", "/on_conflict/do"),
        (
            json!({"columns": ["code"], "do": "update", "update": ["lable"]}),
            "unknown_column",
            "/on_conflict/update/0",
        ),
        (
            json!({"columns": ["code"], "do": "update", "update": ["double"]}),
            "read_only_column",
            "/on_conflict/update/0",
        ),
        (
            json!({"columns": ["code"], "do": "update", "update": ["made_on"]}),
            "missing_value",
            "/on_conflict/update/0",
        ),
    ] {
        let arguments = json!({"table": "items", "data": {"code": "a", "label": "x"}, "on_conflict": on_conflict});
        let found = refused(&engine, "insert", arguments).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{on_conflict}");
    }
    let mut arguments = json!({"table": "items", "data": {"code": "a", "label": "x"},
        "on_conflict": {"columns": ["code"], "do": "update"}});
    let reply = error(&engine, "clerk", "insert", arguments.clone()).await;
    assert_eq!((&reply["code"], &reply["at"]), (&json!("forbidden"), &json!("/on_conflict/do")));
    arguments["on_conflict"]["do"] = json!("nothing");
    let reply = call(&engine, "clerk", "insert", arguments).await.unwrap();
    assert_eq!(reply["row_count"], 0);
    let label = database.value("SELECT label FROM items WHERE code = 'a'").await.unwrap();
    assert_eq!(label, "first");
}

#[tokio::test]
async fn two_rows_of_one_insert_cannot_update_the_same_row() {
    let engine = Database::of(ITEMS).await.engine().await;
    let reply = error(
        &engine,
        "operator",
        "insert",
        json!({"table": "items", "data": [{"code": "a", "label": "x"}, {"code": "a", "label": "y"}],
               "on_conflict": {"columns": ["code"], "do": "update"}}),
    )
    .await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("invalid_value"), &json!("/data")),
        "{reply}"
    );
}

/// As after an import that brought the numbers along.
#[tokio::test]
async fn a_sequence_that_is_behind_leads_nobody_to_overwrite_a_row() {
    let database = Database::of(&format!(
        "{ITEMS} CREATE TABLE serial (id serial PRIMARY KEY, name text);
         INSERT INTO items (id, code, label) VALUES (2, 'b', 'second'); INSERT INTO serial VALUES (1, 'first');
         CREATE SEQUENCE own_numbers;
         CREATE FUNCTION next_number() RETURNS integer LANGUAGE sql AS $$ SELECT nextval('own_numbers')::integer $$;
         CREATE DOMAIN own_number AS integer DEFAULT nextval('own_numbers');
         CREATE TABLE called (id integer PRIMARY KEY DEFAULT next_number(), name text);
         CREATE TABLE summed (id integer PRIMARY KEY DEFAULT nextval('own_numbers') + 0, name text);
         CREATE TABLE spelled (id text PRIMARY KEY DEFAULT 'A' || nextval('own_numbers'), name text);
         CREATE TABLE typed (id own_number PRIMARY KEY, name text);
         CREATE TABLE fixed (id text PRIMARY KEY DEFAULT 'only', name text);"
    ))
    .await;
    let engine = database.engine().await;
    for (table, data, key) in [
        ("items", json!({"code": "x", "label": "third"}), "items_pkey"),
        ("serial", json!({"name": "second"}), "serial_pkey"),
    ] {
        let told =
            error(&engine, "operator", "insert", json!({"table": table, "data": data})).await;
        assert_eq!(
            (&told["code"], &told["at"], &told["constraint"]),
            (&json!("unique_violation"), &json!("/data"), &json!(key)),
            "{told}"
        );
        let hint = told["hint"].as_str().unwrap();
        assert!(hint.contains("sequence") && !hint.contains("on_conflict"), "{told}");
        let mut default = data.clone();
        default["id"] = json!({"$default": true});
        for data in [data.clone(), json!([data, {"id": 1}]), default] {
            let arguments = json!({"table": table, "data": data,
                "on_conflict": {"columns": ["id"], "do": "update"}});
            let told = error(&engine, "operator", "insert", arguments).await;
            assert_eq!(told["code"], "missing_value", "{told}");
            assert!(told["at"].as_str().unwrap().ends_with("/id"), "{told}");
        }
    }
    for table in ["called", "summed", "spelled", "typed"] {
        let data = json!({"id": {"$default": true}, "name": "over"});
        let arguments = json!({"table": table, "data": data, "on_conflict": {"columns": ["id"], "do": "update"}});
        let told = error(&engine, "operator", "insert", arguments).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!("missing_value"), &json!("/data/id")),
            "{told}"
        );
    }
    let fixed = json!({"table": "fixed", "data": {"name": "new"}, "on_conflict": {"columns": ["id"], "do": "update"}});
    assert_eq!(call(&engine, "operator", "insert", fixed).await.unwrap()["row_count"], 1);
    let labels = "SELECT string_agg(label, ' ' ORDER BY id) FROM items";
    assert_eq!(database.value(labels).await.unwrap(), "first second");
    // Whoever names the row means it.
    let named = json!({"table": "items", "data": {"id": 2, "label": "other"}, "on_conflict": {"columns": ["id"], "do": "update"}});
    assert_eq!(call(&engine, "operator", "insert", named).await.unwrap()["row_count"], 1);
    assert_eq!(database.value(labels).await.unwrap(), "first other");
}

#[tokio::test]
async fn an_exclusion_constraint_is_not_called_a_key() {
    let database = Database::of(
        "CREATE TABLE booked (id integer PRIMARY KEY, p daterange, EXCLUDE USING gist (p WITH &&));
         INSERT INTO booked VALUES (1, '[2025-01-01,2025-02-01)');",
    )
    .await;
    let engine = database.engine().await;
    let new = json!({"table": "booked", "data": [{"id": 2, "p": "[2025-01-15,2025-01-20)"}], "on_conflict": {"do": "nothing"}});
    let reply = call(&engine, "operator", "insert", new).await.unwrap();
    assert!(reply["notes"][0].as_str().unwrap().contains("an exclusion constraint"), "{reply}");
}
