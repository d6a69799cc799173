//! Databases with other encodings than UTF8, and what they hold that is no text.

use mcp_pg_tests::{Database, call, error};
use serde_json::json;

use crate::program::{file, run};

#[tokio::test]
async fn text_that_is_invalid_in_its_encoding_is_reported() {
    let database = Database::encoded(
        "SQL_ASCII",
        "CREATE TABLE old (id integer PRIMARY KEY, name text);
         INSERT INTO old VALUES (1, convert_from('\\xe9', 'SQL_ASCII'))",
    )
    .await;
    let engine = database.engine().await;
    let told = error(&engine, "admin", "select", json!({"table": "old"})).await;
    assert_eq!((&told["code"], &told["sqlstate"]), (&json!("database_error"), &json!("22021")));
    assert!(told["hint"].as_str().unwrap().contains("leave out the column"), "{told}");
    let rest = json!({"table": "old", "columns": ["id"]});
    assert_eq!(call(&engine, "admin", "select", rest).await.unwrap()["row_count"], 1);
}

/// What a client that speaks latin-1 leaves in comments and names keeps nothing else from being served.
#[tokio::test]
async fn names_and_comments_that_are_no_text_keep_nothing_else_from_being_served() {
    let latin = |text: &str| format!("EXECUTE convert_from('{text}', 'SQL_ASCII');");
    let made = [
        "COMMENT ON SCHEMA public IS ''Kom\\351dia''",
        "COMMENT ON TABLE item IS ''Kom\\351dia''",
        "COMMENT ON COLUMN item.id IS ''Kom\\351dia''",
        "ALTER TABLE item ADD \"na\\357ve\" integer",
        "ALTER TABLE item ADD city text CHECK (city <> ''Orl\\351ans'')",
        "ALTER TABLE item ADD town text DEFAULT ''Orl\\351ans''",
        "CREATE UNIQUE INDEX ON item (town) WHERE town <> ''Orl\\351ans''",
        "CREATE TABLE \"pi\\350ce\" (id integer PRIMARY KEY, item_id integer REFERENCES item)",
        "CREATE TYPE \"esp\\350ce\" AS ENUM (''a'')",
        "CREATE TYPE taste AS ENUM (''am\\350re'', ''sweet'')",
        "ALTER TABLE item ADD kind \"esp\\350ce\", ADD taste taste",
        "CREATE VIEW shown AS SELECT id, \"na\\357ve\" AS naive, ''\\351''::text AS e FROM item",
        "CREATE FUNCTION \"\\351\"(\"\\350\" text) RETURNS integer LANGUAGE sql AS ''SELECT 1''",
    ];
    let made: String = made.into_iter().map(latin).collect();
    let database = Database::encoded(
        "SQL_ASCII",
        &format!(
            "CREATE TABLE item (id integer PRIMARY KEY);
             DO $do$ BEGIN {made} END $do$;
             INSERT INTO item (id, taste, town) VALUES (1, 'sweet', 'x')"
        ),
    )
    .await;
    let engine = database.engine().await;
    let described = call(&engine, "admin", "describe_table", json!({"table": "item"})).await;
    assert_eq!(described.unwrap()["comment"], "Kom\u{fffd}dia");
    let reply =
        call(&engine, "admin", "select", json!({"table": "item", "columns": ["id", "taste"]}));
    assert_eq!(reply.await.unwrap()["rows"], json!([{"id": 1, "taste": "sweet"}]));
    let update = json!({"table": "item", "where": {"id": 1}, "updates": {"town": "Orl\u{e9}ans"}});
    call(&engine, "admin", "update", update).await.unwrap();
    let reply =
        call(&engine, "admin", "select", json!({"table": "shown", "columns": ["id", "naive"]}));
    assert_eq!(reply.await.unwrap()["rows"], json!([{"id": 1, "naive": null}]));
    let told = error(&engine, "admin", "select", json!({"table": "pi\u{fffd}ce"})).await;
    assert_eq!(told["code"], "unknown_table");
    let told =
        error(&engine, "admin", "select", json!({"table": "item", "columns": ["kind"]})).await;
    assert_eq!(told["code"], "unknown_column");
    let findings = engine.findings().join("\n");
    for name in ["public.pi\u{fffd}ce", "public.item.na\u{fffd}ve", "public.item.kind"] {
        assert!(findings.contains(&format!("{name}: not served")), "{findings}");
    }
    engine.posture().await.unwrap();
    // And what comes later is taken over.
    database.sql("CREATE TABLE later (id integer)").await;
    call(&engine, "admin", "select", json!({"table": "later"})).await.unwrap();
}

/// A byte without a meaning in the encoding; a character that the encoding lacks is the caller's fault.
#[tokio::test]
async fn text_that_has_no_meaning_in_its_encoding_is_reported() {
    let database = Database::encoded(
        "WIN1252",
        "CREATE TABLE old (id integer PRIMARY KEY, name text);
         INSERT INTO old VALUES (2, convert_from('\\x81', 'WIN1252'))",
    )
    .await;
    let engine = database.engine().await;
    let select = json!({"table": "old", "where": {"id": 2}});
    let told = error(&engine, "admin", "select", select).await;
    assert_eq!((&told["code"], &told["sqlstate"]), (&json!("database_error"), &json!("22P05")));
    assert!(told["hint"].as_str().unwrap().contains("leave out the column"), "{told}");
    for (tool, arguments) in [
        ("select", json!({"table": "old", "columns": ["id"], "where": {"name": "字"}})),
        ("insert", json!({"table": "old", "data": {"id": 3, "name": "字"}})),
    ] {
        let told = error(&engine, "admin", tool, arguments).await;
        assert_eq!(told["code"], "invalid_value", "{told}");
    }
}

#[tokio::test]
async fn a_schema_that_the_encoding_cannot_name_is_a_fault_of_its_option_or_key() {
    let latin = Database::encoded("LATIN1", "CREATE SCHEMA caf\u{e9}").await;
    let ascii = Database::encoded("SQL_ASCII", "CREATE SCHEMA \u{5b57}").await;
    let config = |text: &str| file(text).to_str().unwrap().to_owned();
    let [named, functions] = ["[database]\nschemas", "[queries]\nfunctions"]
        .map(|key| config(&format!("{key} = [\"\u{5b57}\"]\n")));
    let told =
        "there is no schema \"\u{5b57}\": the database's encoding, LATIN1, lacks a character of it";
    for (database, options, fault) in [
        (&latin, ["--schema", "caf\u{e9}"], None),
        (&latin, ["--schema", "\u{5b57}"], Some("--schema")),
        (&latin, ["--config", &named], Some("database.schemas")),
        (&latin, ["--config", &functions], Some("queries.functions")),
        (&ascii, ["--schema", "\u{5b57}"], None),
    ] {
        let command = ["call", "list_tables", "--database-url", &database.url];
        let ended = run(&[&command[..], &options].concat()).await;
        match fault {
            None => assert!(ended.status != Some(2), "{options:?}: {ended:?}"),
            Some(key) => {
                assert_eq!(ended.status, Some(2), "{options:?}: {ended:?}");
                assert!(ended.err.contains(&format!("{key}: {told}")), "{ended:?}");
            }
        }
    }
}
