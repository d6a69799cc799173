//! The version column, which callers compare but do not write.

use mcp_pg_core::policy::{Action, Concurrency, Mask, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

async fn version(engine: &Engine, table: &str) -> Value {
    let read = json!({"table": table, "where": {"id": 1}, "with_version": true});
    rows(&call(engine, "admin", "select", read).await.unwrap())[0]["_version"].clone()
}

async fn update(engine: &Engine, table: &str, version: &Value) -> Result<Value, String> {
    let change = json!({"table": table, "where": {"id": 1}, "updates": {"name": "new"}, "if_version": version});
    call(engine, "admin", "update", change).await.map_err(|error| error.code().to_string())
}

#[tokio::test]
async fn callers_do_not_write_it() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let key = json!({"user_id": 1});
    for (tool, arguments, at) in [
        (
            "update",
            json!({"where": key, "updates": {"name": "N", "version": 1}}),
            "/updates/version",
        ),
        (
            "update",
            json!({"where": key, "updates": {"version": {"$default": true}}}),
            "/updates/version",
        ),
        (
            "update",
            json!({"where": {}, "updates": [{"user_id": 1, "version": 1}]}),
            "/updates/0/version",
        ),
        ("insert", json!({"data": {"name": "N", "email": "n@n", "version": 1}}), "/data/version"),
        (
            "insert",
            json!({"data": [{"name": "N", "email": "n@n", "country": "DE"}],
                   "on_conflict": {"columns": ["email"], "do": "update", "update": ["version"]}}),
            "/on_conflict/update/0",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("users");
        let error = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(
            (&error["code"], &error["at"]),
            (&json!("read_only_column"), &json!(at)),
            "{arguments}: {error}"
        );
        assert!(error["message"].as_str().unwrap().contains("the server counts"), "{error}");
    }
    let described = call(&engine, "admin", "describe_table", json!({"table": "users"})).await;
    let described = described.unwrap();
    let columns = described["columns"].as_array().unwrap();
    let column = columns.iter().find(|column| column["name"] == "version").unwrap();
    assert_eq!(column["writable"], false);
    assert_eq!(described["version_column"], "version");
}

#[tokio::test]
async fn a_new_row_has_the_first_where_one_is_required() {
    let engine = Database::of(
        "CREATE TABLE numbered (id integer PRIMARY KEY, name text, version bigint NOT NULL);
         CREATE TABLE dated (id integer PRIMARY KEY, name text, version timestamptz NOT NULL);
         CREATE TABLE defaulted (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 10);",
    )
    .await
    .engine()
    .await;
    for table in ["numbered", "dated", "defaulted"] {
        let data = json!([{"id": 1, "name": "a"}, {"id": 2}]);
        call(&engine, "admin", "insert", json!({"table": table, "data": data})).await.unwrap();
        let first = version(&engine, table).await;
        update(&engine, table, &first).await.unwrap();
        assert_eq!(update(&engine, table, &first).await, Err("conflict".to_owned()), "{table}");
        let second = version(&engine, table).await;
        match table {
            "numbered" => assert_eq!((first, second), (json!("1"), json!("2"))),
            "defaulted" => assert_eq!((first, second), (json!("10"), json!("11"))),
            _ => assert_ne!(first, second),
        }
        // As the column shows it.
        let read = json!({"table": table, "where": {"id": 1}});
        let shown = rows(&call(&engine, "admin", "select", read).await.unwrap())[0].clone();
        update(&engine, table, &shown["version"]).await.unwrap();
    }
}

#[tokio::test]
async fn a_column_of_that_name_may_be_something_else() {
    let engine = Database::of(
        "CREATE TABLE part (id integer, version integer, name text, PRIMARY KEY (id, version));
         CREATE TABLE program (id integer PRIMARY KEY, name text, version numeric(4,1));
         INSERT INTO part VALUES (1, 7, 'a'); INSERT INTO program VALUES (1, 'a', 2.1);",
    )
    .await
    .engine()
    .await;
    for (table, written) in [("part", json!(8)), ("program", json!(2.2))] {
        let first = version(&engine, table).await;
        update(&engine, table, &first).await.unwrap();
        assert_eq!(update(&engine, table, &first).await, Err("conflict".to_owned()), "{table}");
        let set = json!({"table": table, "where": {"id": 1}, "updates": {"version": written}});
        let reply = call(&engine, "admin", "update", set).await.unwrap();
        assert_eq!(rows(&reply)[0]["version"], written, "{table}");
    }
}

/// Where the application numbers something else, and says so by no default, rows have its numbers from the beginning.
#[tokio::test]
async fn a_number_that_the_database_asks_for_is_given_by_inserts() {
    let database = Database::of(
        "CREATE TABLE release (id integer PRIMARY KEY, name text, version integer NOT NULL);",
    )
    .await;
    let engine = database.engine().await;
    let data = json!([{"id": 1, "version": 73}, {"id": 2}, {"id": 3, "version": 5}]);
    call(&engine, "admin", "insert", json!({"table": "release", "data": data})).await.unwrap();
    let all = "SELECT string_agg(version::text, ' ' ORDER BY id) FROM release";
    assert_eq!(database.value(all).await.as_deref(), Some("73 1 5"));
    let first = version(&engine, "release").await;
    assert_eq!(first, "73");
    update(&engine, "release", &first).await.unwrap();
    let key = json!({"columns": ["id"], "do": "update"});
    let again = json!({"table": "release", "data": {"id": 2, "version": 9, "name": "b"}, "on_conflict": key});
    call(&engine, "admin", "insert", again).await.unwrap();
    assert_eq!(database.value(all).await.as_deref(), Some("74 2 5"));
    let set = json!({"table": "release", "where": {"id": 1}, "updates": {"version": 80}});
    assert_eq!(refused(&engine, "update", set).await.0, "read_only_column");
    let described = call(&engine, "admin", "describe_table", json!({"table": "release"})).await;
    assert_eq!(described.unwrap()["version_column"], "version");
}

#[tokio::test]
async fn a_number_that_rows_may_lack_is_counted_in_where_the_configuration_says_so() {
    let database = Database::of(
        "CREATE TABLE document (id integer PRIMARY KEY, name text, version integer);
         CREATE TABLE page (id integer PRIMARY KEY, name text, version integer DEFAULT 0);
         CREATE VIEW documents AS SELECT * FROM document; CREATE VIEW pages AS SELECT * FROM page;
         INSERT INTO document VALUES (1, 'a', 7); INSERT INTO page VALUES (1, 'a', 7);",
    )
    .await;
    let configured = |name: Option<&str>| Settings {
        concurrency: Concurrency {
            version_column: name.map(str::to_owned),
            ..Concurrency::default()
        },
        ..Settings::default()
    };
    for (name, documents, pages) in
        [(None, "7", "9"), (Some("version"), "9", "11"), (Some(""), "9", "11")]
    {
        let engine = database.engine_with(configured(name)).await;
        for table in ["document", "documents", "page", "pages"] {
            let change = json!({"table": table, "where": {"id": 1}, "updates": {"name": "b"}});
            call(&engine, "admin", "update", change).await.unwrap();
        }
        let read = |table: &str| format!("SELECT version::text FROM {table}");
        assert_eq!(database.value(&read("document")).await.as_deref(), Some(documents), "{name:?}");
        assert_eq!(database.value(&read("page")).await.as_deref(), Some(pages), "{name:?}");
    }
}

#[tokio::test]
async fn a_view_counts_in_it_under_another_name() {
    let engine = Database::of(
        "CREATE TABLE thing (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 1);
         INSERT INTO thing VALUES (1, 'a');
         CREATE VIEW shown AS SELECT id, name, version AS edition FROM thing;",
    )
    .await
    .engine()
    .await;
    let first = version(&engine, "thing").await;
    update(&engine, "shown", &first).await.unwrap();
    assert_eq!(update(&engine, "thing", &first).await, Err("conflict".to_owned()));
    let set = json!({"table": "shown", "where": {"id": 1}, "updates": {"edition": 1}});
    let found = refused(&engine, "update", set).await;
    assert_eq!(found, ("read_only_column".to_owned(), "/updates/edition".to_owned()));
}

#[tokio::test]
async fn a_version_column_that_the_database_role_may_not_write_is_not_used() {
    let database = Database::of(
        "CREATE TABLE thing (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 1);
         INSERT INTO thing VALUES (1, 'a');
         DO $$ BEGIN CREATE ROLE version_clerk; EXCEPTION WHEN duplicate_object THEN END $$;
         GRANT SELECT, INSERT, UPDATE (name) ON thing TO version_clerk;",
    )
    .await;
    let actions = [Action::Select, Action::Insert, Action::Update];
    let clerk =
        Role { database_role: Some("version_clerk".into()), ..Role::everywhere("admin", actions) };
    let settings =
        Settings { roles: vec![clerk], default_role: "admin".into(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let first = version(&engine, "thing").await;
    update(&engine, "thing", &first).await.unwrap();
    assert_eq!(update(&engine, "thing", &first).await, Err("conflict".to_owned()));
    assert_eq!(database.value("SELECT version::text FROM thing").await.unwrap(), "1");
}

#[tokio::test]
async fn a_masked_version_is_compared_all_the_same() {
    let database = Database::of(
        "CREATE TABLE thing (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 1);
         INSERT INTO thing VALUES (1, 'a');",
    )
    .await;
    let mut role = Role::everywhere("admin", Action::ALL);
    role.grants[0].columns.mask.insert("version".into(), Mask::Full);
    let settings =
        Settings { roles: vec![role], default_role: "admin".into(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let first = version(&engine, "thing").await;
    assert_eq!(update(&engine, "thing", &json!("***")).await, Err("conflict".to_owned()));
    update(&engine, "thing", &first).await.unwrap();
}

#[tokio::test]
async fn a_conflict_shows_no_more_than_a_reply_has_room_for() {
    let database = Database::of(
        "CREATE TABLE thing (id integer PRIMARY KEY, name text, body text);
         INSERT INTO thing VALUES (1, 'a', repeat('x', 400000));",
    )
    .await;
    let engine = database.engine().await;
    let mut stale =
        json!({"table": "thing", "where": {"id": 1}, "updates": {"name": "b"}, "if_version": "1"});
    let told = error(&engine, "admin", "update", stale.clone()).await;
    let current = told["current"].as_object().unwrap();
    assert_eq!(current.keys().collect::<Vec<_>>(), ["id", "_version"], "{told}");
    assert!(told["hint"].as_str().unwrap().contains("too large to show"), "{told}");
    stale["returning"] = json!(["name"]);
    let told = error(&engine, "admin", "update", stale).await;
    let current = told["current"].as_object().unwrap();
    assert_eq!(current.keys().collect::<Vec<_>>(), ["name", "_version"], "{told}");
}

#[tokio::test]
async fn a_hidden_or_masked_version_column_is_not_revealed() {
    let fixture = "CREATE TABLE thing (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 1);
         INSERT INTO thing VALUES (1, 'a', 424242);";
    let mut hidden = Role::everywhere("admin", Action::ALL);
    hidden.grants[0].columns.exclude = vec!["version".into()];
    let mut masked = Role::everywhere("admin", Action::ALL);
    masked.grants[0].columns.mask.insert("version".into(), Mask::Full);
    for role in [hidden, masked] {
        let database = Database::of(fixture).await;
        let settings =
            Settings { roles: vec![role], default_role: "admin".into(), ..Settings::default() };
        let engine = database.engine_with(settings).await;
        let first = version(&engine, "thing").await;
        assert_ne!(first, "424242");
        update(&engine, "thing", &first).await.unwrap();
        let stale = json!({"table": "thing", "where": {"id": 1}, "updates": {"name": "b"}, "if_version": first});
        let told = error(&engine, "admin", "update", stale).await;
        assert_eq!(told["code"], "conflict");
        assert!(!told.to_string().contains("42424"), "{told}");
        // It is counted all the same.
        let counted = database.value("SELECT version::text FROM thing").await;
        assert_eq!(counted.as_deref(), Some("424243"));
    }
}
