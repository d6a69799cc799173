//! Errors of PostgreSQL are understood in every language of its messages.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, error};
use serde_json::{Value, json};

const TABLES: &str = "
    CREATE TABLE people (id integer PRIMARY KEY, up integer REFERENCES people, email text UNIQUE,
        numbers integer[], born timestamptz, age integer);
    INSERT INTO people VALUES (1, NULL, 'ada', '{}', '2000-01-01', 5), (2, 1, 'bob', '{}', '2000-01-01', 5);
    CREATE TABLE walled (id integer PRIMARY KEY, up integer REFERENCES walled, owner text DEFAULT 'me');
    INSERT INTO walled VALUES (1, NULL), (2, 1);
    ALTER TABLE walled ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON walled USING (true) WITH CHECK (owner = 'me');
    CREATE TABLE parted (id integer, at date) PARTITION BY RANGE (at);
    CREATE TABLE part PARTITION OF parted FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
    CREATE TABLE parent (id integer PRIMARY KEY);
    CREATE TABLE child (parent_id integer REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
    INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1);";

/// An engine for a login of its own, whom row-level security binds, to a PostgreSQL that speaks this language; `None` if
/// it does not.
async fn speaking(language: &str) -> Option<Engine> {
    let database = Database::of(TABLES).await;
    let name = database.config.get_dbname().unwrap();
    let speak = format!("ALTER DATABASE {name} SET lc_messages = '{language}'");
    database.client().await.execute(&speak, &[]).await.ok()?;
    let login = format!("speaker_{name}");
    database
        .sql(&format!(
            "CREATE ROLE {login} LOGIN;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {login}"
        ))
        .await;
    let mut config = database.config.clone();
    config.user(&login);
    Some(Database { config, url: database.url }.engine().await)
}

#[tokio::test]
async fn refusals_are_told_alike_in_any_language() {
    let insert = |table: &str, data: Value| ("insert", json!({"table": table, "data": data}));
    let update = |table: &str, updates: Value| {
        ("update", json!({"table": table, "where": {"id": 1}, "updates": updates}))
    };
    let missing = "up must be the id of a row of people, and there is no such row";
    let day = json!([{"column": "born", "bucket": "day", "time_zone": "Mars"}]);
    let born = json!({"table": "people", "measures": {"n": {"count": "*"}}, "group_by": day});
    let orphan = json!([{"operation": "insert", "table": "parent", "data": {"id": 3}},
        {"operation": "insert", "table": "child", "data": {"parent_id": 9}}]);
    let left = json!([{"operation": "delete", "table": "parent", "where": {"id": 1}},
        {"operation": "insert", "table": "child", "data": {"parent_id": 2}}]);
    let cases = [
        (insert("people", json!({"id": 3, "up": 99})), "/data/up", Some(missing)),
        (update("people", json!({"up": 99})), "/updates/up", Some(missing)),
        (update("people", json!({"id": 9})), "/updates", Some("rows of people refer to this row")),
        (insert("walled", json!({"id": 3, "up": 99})), "/data/up", None),
        (update("walled", json!({"up": 99})), "/updates/up", None),
        (update("walled", json!({"id": 9})), "/updates", Some("rows of walled refer to this row")),
        (
            insert("walled", json!({"id": 3, "owner": "you"})),
            "/data",
            Some("row-level security does not allow such a row"),
        ),
        (
            insert("people", json!({"id": 3, "email": "ada"})),
            "/data/email",
            Some("a row with (email)=(ada) exists"),
        ),
        (insert("people", json!({"id": 3, "numbers": "{1,x}"})), "/data/numbers", None),
        (
            insert("parted", json!({"id": 1, "at": "2025-01-01"})),
            "/data/at",
            Some("no partition of the table takes such a row, by its at"),
        ),
        (("aggregate", born), "/group_by/0/time_zone", Some("PostgreSQL knows no such time zone")),
        (
            ("transaction", json!({"operations": orphan})),
            "/operations/1/data/parent_id",
            Some("parent_id must be the id of a row of parent, and there is no such row"),
        ),
        (
            ("transaction", json!({"operations": left})),
            "/operations/0/where",
            Some("rows of child refer to this row"),
        ),
    ];
    for language in ["C", "de_DE.UTF-8", "fr_FR.UTF-8", "ja_JP.UTF-8", "ru_RU.UTF-8"] {
        // It is not asked in those for which the machine has no locale.
        let Some(engine) = speaking(language).await else { continue };
        for ((tool, arguments), at, message) in &cases {
            let told = error(&engine, "admin", tool, arguments.clone()).await;
            assert_eq!(told["at"], *at, "{language}: {arguments}: {told}");
            if let Some(message) = message {
                assert_eq!(told["message"], *message, "{language}: {arguments}");
            }
        }
        let (_, most) = update("people", json!({"age": {"$increment": 2_147_483_647}}));
        let told = error(&engine, "admin", "update", most).await;
        assert_eq!(told["at"], "/updates/age/$increment", "{language}: {told}");
    }
}
