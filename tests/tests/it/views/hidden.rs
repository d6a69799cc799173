//! Hidden tables and columns.

use std::collections::BTreeMap;

use mcp_pg_core::policy::{Action, ColumnRules, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as};
use serde_json::{Value, json};

use super::{FIXTURE, ada, engine, told};

#[tokio::test]
async fn no_reply_reveals_hidden_columns() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let caller = ada();
    let select = |condition: Value| json!({"table": "person", "where": condition});
    let insert = |data: Value| json!({"table": "person", "data": data});
    for (tool, arguments) in [
        ("list_tables", json!({})),
        ("list_tables", json!({"search": "person"})),
        ("describe_table", json!({"table": "person"})),
        ("describe_table", json!({"table": "note"})),
        ("describe_table", json!({"table": "tenant"})),
        ("describe_table", json!({"table": "hus_note"})),
        ("select", json!({"table": "note", "where": {"boddy": 1}})),
        ("select", json!({"table": "person"})),
        ("select", json!({"table": "person", "columns": ["hus_score"]})),
        ("select", json!({"table": "person", "order_by": ["hus_score"]})),
        ("select", select(json!({"hus_score": 1}))),
        ("select", select(json!({"hus_note": {"some": {}}}))),
        ("select", select(json!({"not": {"boss": {"hus_plan": {"label": "x"}}}}))),
        ("select", json!({"table": "person", "include": {"hus_note": true}})),
        ("aggregate", json!({"table": "person", "measures": {"n": {"sum": "hus_score"}}})),
        (
            "aggregate",
            json!({"table": "person", "measures": {"n": {"count": "*"}}, "group_by": ["hus_score"]}),
        ),
        ("explain", json!({"operation": "select", "table": "person", "where": {"name": "Ada"}})),
        ("insert", insert(json!({"name": "Di", "hus_score": 1}))),
        ("insert", insert(json!({"name": ""}))),
        ("insert", insert(json!({"name": null}))),
        ("insert", insert(json!({"person_id": 1, "name": "Di"}))),
        ("insert", insert(json!({"name": "Di", "boss_id": 99}))),
        (
            "insert",
            json!({"table": "person", "data": {"name": "Di"}, "on_conflict": {"columns": ["hus_number"], "do": "nothing"}}),
        ),
        (
            "update",
            json!({"table": "person", "where": {"person_id": 1}, "updates": {"hus_score": 1}}),
        ),
        (
            "update",
            json!({"table": "person", "where": {"person_id": 1}, "updates": {"name": "Bo"}, "dry_run": true}),
        ),
        (
            "update",
            json!({"table": "person", "where": {"person_id": 1}, "updates": {"email": "x"}}),
        ),
        ("archive", json!({"table": "person", "where": {"person_id": 2}, "dry_run": true})),
    ] {
        let told = told(&engine, &caller, tool, arguments.clone()).await;
        // The caller's own misspelt words are shown back.
        for word in ["hush_", "secret", "updated_by", "ada@", "5678\"", "n1"] {
            let shown = told.replace("***5678", "");
            assert!(!shown.contains(word), "{tool} {arguments} tells {word}: {told}");
        }
    }
    // Spelled rightly, a hidden name is as unknown as any other.
    for (hidden, unknown) in
        [("hush_score", "nosuch_one"), ("updated_by", "nosuch_two"), ("tenant_id", "nosuch_000")]
    {
        for (tool, make) in [
            ("select", (|name| json!({"table": "person", "columns": [name]})) as fn(&str) -> Value),
            ("select", |name| json!({"table": "person", "where": {name: 1}})),
            ("select", |name| json!({"table": "person", "order_by": [name]})),
            ("insert", |name| json!({"table": "person", "data": {"name": "x", name: "1"}})),
            (
                "update",
                |name| json!({"table": "person", "where": {"person_id": 1}, "updates": {name: "1"}}),
            ),
            (
                "insert",
                |name| json!({"table": "person", "data": {"name": "x"}, "returning": [name]}),
            ),
            ("aggregate", |name| json!({"table": "person", "measures": {"n": {"max": name}}})),
        ] {
            let first = call_as(&engine, &caller, tool, make(hidden)).await.unwrap_err();
            let second = call_as(&engine, &caller, tool, make(unknown)).await.unwrap_err();
            assert_eq!(first.code().as_str(), "unknown_column", "{tool} {hidden}");
            let strip = |error: &mcp_pg_core::Error, name: &str| {
                let mut error = serde_json::to_value(error).unwrap();
                error.as_object_mut().unwrap().remove("did_you_mean");
                error.to_string().replace(name, "?")
            };
            assert_eq!(strip(&first, hidden), strip(&second, unknown));
        }
    }
    for (hidden, unknown) in [("hush_plan", "nosuch_abc"), ("hush_note", "nosuch_xyz")] {
        for tool in ["select", "describe_table"] {
            let first = told(&engine, &caller, tool, json!({"table": hidden})).await;
            let second = told(&engine, &caller, tool, json!({"table": unknown})).await;
            assert_eq!(first.replace(hidden, "?"), second.replace(unknown, "?"));
            assert!(first.contains("unknown_table"));
        }
    }
}

#[tokio::test]
async fn the_visible_rest_is_described() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let described =
        call_as(&engine, &ada(), "describe_table", json!({"table": "person"})).await.unwrap();
    let columns = described["columns"].as_array().unwrap();
    let of = |name: &str| columns.iter().find(|column| column["name"] == name).unwrap();
    let all: Vec<&str> = columns.iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(all, ["person_id", "name", "email", "phone", "boss_id", "archived_at", "initial"]);
    assert_eq!(
        (&of("email")["masked"], &of("email")["writable"]),
        (&json!("email"), &json!(false))
    );
    assert_eq!(of("email").get("operators"), None);
    assert_eq!(of("name")["writable"], true);
    // A masked column is written only where the list of writable ones says so.
    assert_eq!(of("phone")["writable"], true);
    assert!(of("initial")["generated"].as_str().unwrap().contains("name"));
    assert_eq!(described["estimated_rows"], Value::Null);
    assert_eq!(described.get("unique_keys"), None, "{described}");
    assert_eq!(described["checks"].as_array().unwrap().len(), 1);
    assert_eq!(described["indexes"].as_array().unwrap().len(), 2, "{described}");
    let relations: Vec<&str> = described["relations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["name"].as_str().unwrap())
        .collect();
    assert_eq!(relations, ["boss", "note", "person"]);
    assert_eq!(described["actions"], json!(["select", "insert", "update", "archive"]));
    // By the masked e-mail nothing is related, or it could be guessed.
    let described =
        call_as(&engine, &ada(), "describe_table", json!({"table": "note"})).await.unwrap();
    assert_eq!(described["relations"].as_array().unwrap().len(), 1);
    let listed = call_as(&engine, &ada(), "list_tables", json!({"detail": "names"})).await.unwrap();
    assert_eq!(listed["tables"], json!(["note", "person", "tenant"]));
}

#[tokio::test]
async fn rules_over_whole_rows_are_told_to_those_who_see_whole_rows() {
    let database = Database::of(
        "CREATE TABLE person (id integer, name text, pin integer,
             CONSTRAINT of_pin CHECK (pin < 100), CONSTRAINT of_name CHECK (name <> ''));
         CREATE FUNCTION is_sound(person) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT $1.pin > 0';
         CREATE FUNCTION digest(person) RETURNS integer IMMUTABLE LANGUAGE sql AS 'SELECT $1.pin';
         ALTER TABLE person ADD CONSTRAINT of_all CHECK (is_sound(person));
         CREATE INDEX by_name ON person (name);
         CREATE INDEX by_pin ON person ((pin + 1));
         CREATE INDEX by_all ON person (name, digest(person));
         CREATE INDEX where_all ON person (name) WHERE is_sound(person)",
    )
    .await;
    let role = |name: &str, exclude: &[&str], mask: &[&str]| {
        let mut role = Role::everywhere(name, [Action::Select]);
        role.grants[0].columns = ColumnRules {
            exclude: super::names(exclude),
            mask: mask.iter().map(|name| ((*name).to_owned(), Mask::Full)).collect(),
            ..ColumnRules::default()
        };
        role
    };
    let all = (
        ["of_all", "of_name", "of_pin"].as_slice(),
        ["by_all", "by_name", "by_pin", "where_all"].as_slice(),
    );
    let some = (["of_name"].as_slice(), ["by_name"].as_slice());
    let roles =
        vec![role("all", &[], &[]), role("some", &["pin"], &[]), role("less", &[], &["pin"])];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (role, (checks, indexes)) in [("all", all), ("some", some), ("less", some)] {
        let caller = Principal::new("ada", role);
        let person = json!({"table": "person"});
        let told = call_as(&engine, &caller, "describe_table", person).await.unwrap();
        let names = |list: &str| -> Vec<Value> {
            told[list].as_array().unwrap().iter().map(|one| one["name"].clone()).collect()
        };
        assert_eq!(json!([names("checks"), names("indexes")]), json!([checks, indexes]), "{role}");
    }
}

#[tokio::test]
async fn columns_generated_from_a_hidden_one_are_hidden_unless_named() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, mail text, pin integer, name text,
             mail_lower text GENERATED ALWAYS AS (lower(mail)) STORED,
             pin_double integer GENERATED ALWAYS AS (pin * 2) STORED,
             initial text GENERATED ALWAYS AS (left(name, 1)) STORED);
         INSERT INTO person VALUES (1, 'a@x.org', 7, 'Ada')",
    )
    .await;
    let role = |name: &str, columns: ColumnRules| {
        let mut role = Role::everywhere(name, [Action::Select]);
        role.grants[0].columns = columns;
        role
    };
    let rules = ColumnRules {
        exclude: super::names(&["pin"]),
        mask: BTreeMap::from([("mail".to_owned(), Mask::Email)]),
        ..ColumnRules::default()
    };
    let named = ColumnRules {
        include: Some(super::names(&["id", "pin_double"])),
        ..ColumnRules::default()
    };
    let roles = vec![role("clerk", rules), role("clock", named)];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (role, row) in [
        ("clerk", json!({"id": 1, "mail": "a***@x.org", "name": "Ada", "initial": "A"})),
        ("clock", json!({"id": 1, "pin_double": 14})),
    ] {
        let caller = Principal::new("ada", role);
        let found = call_as(&engine, &caller, "select", json!({"table": "person"})).await.unwrap();
        assert_eq!(found["rows"], json!([row]));
    }
    let clock = Principal::new("ada", "clock");
    let described = call_as(&engine, &clock, "describe_table", json!({"table": "person"})).await;
    // From what, is still not told.
    assert_eq!(described.unwrap()["columns"][1]["generated"], "…");
}
