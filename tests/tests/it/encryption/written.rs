//! What is written is sealed, whichever way it is written.

use mcp_pg_core::Principal;
use mcp_pg_tests::{Database, call, call_as, error, rows};
use serde_json::{Value, json};

use super::{FIXTURE, SSN, add, settings, stored};

#[tokio::test]
async fn every_way_of_writing_encrypts() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(settings(&["a", "index"])).await;
    for (id, ssn) in [(1, "one"), (2, "two"), (3, "three")] {
        add(&engine, "clerk", id, ssn).await;
    }
    let found = async |ssn: &str| -> Value {
        let select = json!({"table": "person", "columns": ["id", "ssn"], "where": {"ssn": ssn}});
        json!(rows(&call(&engine, "clerk", "select", select).await.unwrap()))
    };
    // With a space, which no encoding of a ciphertext has, so that it is not found there by chance.
    for (tool, arguments, id, ssn) in [
        (
            "update",
            json!({"table": "person", "where": {"id": 1}, "updates": {"ssn": "uno uno"}}),
            1,
            "uno uno",
        ),
        (
            "update",
            json!({"table": "person", "where": {"ssn": "uno uno"}, "updates": {"ssn": {"$literal": "un un"}}}),
            1,
            "un un",
        ),
        (
            "update",
            json!({"table": "person", "updates": [{"id": 1, "ssn": "eins eins"}, {"id": 2, "ssn": "zwei zwei"}], "where": {}}),
            2,
            "zwei zwei",
        ),
        (
            "insert",
            json!({"table": "person", "data": {"id": 1, "ssn": "upserted upserted"}, "on_conflict": {"columns": ["id"], "do": "update"}}),
            1,
            "upserted upserted",
        ),
        (
            "insert",
            json!({"table": "person", "data": [{"id": 3, "ssn": "tre tre"}, {"id": 4, "name": "Bo", "ssn": null}],
            "on_conflict": {"columns": ["id"], "do": "update", "update": ["ssn"]}}),
            3,
            "tre tre",
        ),
        (
            "insert",
            json!({"table": "person", "data": {"id": 2, "name": "Cy"},
            "on_conflict": {"columns": ["id"], "do": "update", "update": {"ssn": "dos dos"}}}),
            2,
            "dos dos",
        ),
        (
            "insert",
            json!({"table": "person", "data": [{"id": 5, "ssn": "cinque cinque"}, {"id": 6}]}),
            5,
            "cinque cinque",
        ),
        (
            "transaction",
            json!({"operations": [
                {"operation": "insert", "table": "person", "data": {"id": 7, "ssn": "seven seven"}},
                {"operation": "update", "table": "person", "where": {"ssn": "seven seven"}, "updates": {"ssn": "sette sette"}},
            ]}),
            7,
            "sette sette",
        ),
    ] {
        call(&engine, "clerk", tool, arguments.clone())
            .await
            .unwrap_or_else(|e| panic!("{arguments}: {e}"));
        assert_eq!(found(ssn).await, json!([{"id": id, "ssn": ssn}]), "{arguments}");
        assert!(!stored(&database).await.contains(ssn), "{arguments}");
    }
    let sub = Principal::new("sub", "preset").claim("ssn", "preset-ssn");
    call_as(&engine, &sub, "insert", json!({"table": "person", "data": {"id": 8}})).await.unwrap();
    assert_eq!(found("preset-ssn").await, json!([{"id": 8, "ssn": "preset-ssn"}]));
    assert!(!stored(&database).await.contains("preset-ssn"));

    // A row condition on an encrypted column is a test of equality, too.
    let owner = Principal::new("owner", "owner").claim("ssn", "preset-ssn");
    let own = call_as(&engine, &owner, "select", json!({"table": "person"})).await.unwrap();
    assert_eq!((rows(&own).len(), &rows(&own)[0]["id"]), (1, &json!(8)));
    let none =
        call_as(&engine, &Principal::new("x", "owner"), "select", json!({"table": "person"})).await;
    assert_eq!(none.unwrap()["row_count"], 0);

    let before = stored(&database).await;
    for updates in [
        json!({"ssn": {"$append": "x"}}),
        json!({"ssn": {"$default": true}}),
        json!({"ssn": {"$ref": "0.ssn"}}),
        json!({"photo": "not base64"}),
    ] {
        let update = json!({"table": "person", "where": {"id": 1}, "updates": updates});
        assert_eq!(
            error(&engine, "clerk", "update", update).await["code"],
            "invalid_value",
            "{updates}"
        );
    }
    assert_eq!(stored(&database).await, before);
    // What a note says of nulls does not name the index.
    let nobody = json!({"table": "person", "where": {"not": {"ssn": {"in": ["x"]}}, "id": 0}});
    let told = call(&engine, "clerk", "select", nobody).await.unwrap();
    assert!(!told.to_string().contains("ssn_index"), "{told}");
    // Where the index is unique, the refusal says no more than that.
    database.sql("CREATE UNIQUE INDEX ON person (ssn_index)").await;
    let twice = json!({"table": "person", "data": {"id": 99, "ssn": "tre tre"}});
    let refused = error(&engine, "clerk", "insert", twice).await;
    assert_eq!(refused["code"], "unique_violation");
    assert!(!refused.to_string().contains("ssn_index"), "{refused}");
}

#[tokio::test]
async fn a_view_shows_what_is_encrypted_and_writes_none_of_it() {
    let database = Database::of(FIXTURE).await;
    database
        .sql("CREATE VIEW people AS SELECT id, name, ssn, ssn_index, iban AS account FROM person")
        .await;
    let mut settings = settings(&["a", "index"]);
    settings.roles[0].grants[0].columns.decrypt.push("account".into());
    let engine = database.engine_with(settings).await;
    add(&engine, "guest", 1, SSN).await;
    let of = async |role: &str| {
        rows(&call(&engine, role, "select", json!({"table": "people"})).await.unwrap())[0].clone()
    };
    assert_eq!(of("clerk").await, json!({"id": 1, "name": "Ada", "ssn": SSN, "account": "GB33"}));
    assert_eq!(of("guest").await, json!({"id": 1, "name": "Ada", "ssn": "***", "account": "***"}));
    for role in ["clerk", "guest"] {
        for column in ["ssn", "account"] {
            let update =
                json!({"table": "people", "where": {"id": 1}, "updates": {column: "plain"}});
            let told = error(&engine, role, "update", update).await;
            assert_eq!(told["code"], "read_only_column", "{told}");
            let guess = json!({"table": "people", "where": {column: {"like": "mcp1%"}}});
            let told = error(&engine, role, "select", guess).await;
            assert_ne!(told["code"], "internal", "{told}");
        }
        let index = json!({"table": "people", "columns": ["ssn_index"]});
        assert_eq!(error(&engine, role, "select", index).await["code"], "unknown_column");
    }
    let held = stored(&database).await;
    assert!(!held.contains("plain") && !held.contains(SSN), "{held}");
    let update = json!({"table": "people", "where": {"id": 1}, "updates": {"name": "Bob"}});
    call(&engine, "guest", "update", update).await.unwrap();
}

/// Rows of child tables and partitions are rows of their parent, too.
#[tokio::test]
async fn inherited_columns_are_encrypted_like_the_parents() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE TABLE minor (guardian text) INHERITS (person);
             CREATE TABLE infant (PRIMARY KEY (id)) INHERITS (minor);
             CREATE VIEW infants AS SELECT id, ssn, ssn_index FROM infant;",
        )
        .await;
    let engine = database.engine_with(settings(&["a", "index"])).await;
    let insert = json!({"table": "infant", "data": {"id": 1, "ssn": SSN}});
    call(&engine, "guest", "insert", insert).await.unwrap();
    let held = database.value("SELECT ssn || ssn_index FROM infant").await.unwrap();
    assert!(held.starts_with("mcp1:") && !held.contains(SSN), "{held}");
    for table in ["infant", "minor", "person", "infants"] {
        for (role, ssn) in [("clerk", SSN), ("guest", "***")] {
            let select = json!({"table": table, "columns": ["id", "ssn"]});
            let reply = call(&engine, role, "select", select).await.unwrap();
            assert_eq!(rows(&reply)[0], json!({"id": 1, "ssn": ssn}), "{table} {role}");
        }
        let index = json!({"table": table, "columns": ["ssn_index"]});
        assert_eq!(error(&engine, "clerk", "select", index).await["code"], "unknown_column");
    }
    for table in ["infant", "minor", "person"] {
        let select = json!({"table": table, "columns": ["id"], "where": {"ssn": SSN}});
        let found = call(&engine, "clerk", "select", select).await.unwrap();
        assert_eq!(found["row_count"], 1, "{table}");
    }
    // What keeps a child's column from being encrypted is told.
    let told = || engine.findings().iter().any(|told| told.contains("infant.ssn has a default"));
    assert!(!told());
    database.sql("ALTER TABLE infant ALTER ssn SET DEFAULT 'none'").await;
    engine.reload().await.unwrap();
    assert!(told());
}
