//! Encrypted columns: plain text is seen by no role without the right, and is neither in the database nor in the
//! audit log.

mod written;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_core::audit::FileSink;
use mcp_pg_core::cipher::KeyRing;
use mcp_pg_core::policy::{
    Action, AuditDetail, AuditValues, ColumnRules, Encryption, Grant, Mask, Role,
};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, object, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE person (
        id integer PRIMARY KEY, name text, ssn text, ssn_index text, photo bytea, photo_index bytea, iban text,
        version integer NOT NULL DEFAULT 1);
    CREATE TABLE visit (id integer PRIMARY KEY, person_id integer REFERENCES person, note text);
    INSERT INTO visit VALUES (1, NULL, 'x');";

const SSN: &str = "078-05-1120";

fn keys(ids: &[&str]) -> Arc<KeyRing> {
    let key =
        |id: &&str| format!("{id}:{}", STANDARD.encode([id.len() as u8 + id.as_bytes()[0]; 32]));
    Arc::new(KeyRing::parse(&ids.iter().map(key).collect::<Vec<_>>().join("\n")).unwrap())
}

fn encryption(ids: &[&str]) -> Encryption {
    let name = |column: &str| format!("public.person.{column}");
    Encryption {
        columns: ["ssn", "photo", "iban"].map(name).into(),
        blind_index: BTreeMap::from([
            (name("ssn"), "ssn_index".to_owned()),
            (name("photo"), "photo_index".to_owned()),
        ]),
        keys: Some(keys(ids)),
    }
}

fn role(name: &str, columns: ColumnRules) -> Role {
    let grant = Grant {
        tables: vec!["*".into()],
        actions: Action::ALL.into_iter().filter(|action| *action != Action::Delete).collect(),
        columns,
        ..Grant::default()
    };
    Role { name: name.into(), grants: vec![grant], ..Role::default() }
}

fn settings(ids: &[&str]) -> Settings {
    let decrypt = || vec!["ssn".to_owned(), "photo".to_owned(), "iban".to_owned()];
    let mut preset = role("preset", ColumnRules { decrypt: decrypt(), ..ColumnRules::default() });
    preset.grants[0].preset = BTreeMap::from([("ssn".to_owned(), json!("claim:ssn"))]);
    let mut owner = role("owner", ColumnRules { decrypt: decrypt(), ..ColumnRules::default() });
    owner.grants[0].tables = vec!["public.person".into()];
    owner.grants[0].rows = Some(object(json!({"ssn": "claim:ssn"})));
    Settings {
        roles: vec![
            role("clerk", ColumnRules { decrypt: decrypt(), ..ColumnRules::default() }),
            role("guest", ColumnRules::default()),
            role(
                "phone",
                ColumnRules {
                    decrypt: decrypt(),
                    mask: BTreeMap::from([("ssn".to_owned(), Mask::Last4)]),
                    ..ColumnRules::default()
                },
            ),
            preset,
            owner,
        ],
        default_role: "guest".into(),
        encryption: encryption(ids),
        ..Settings::default()
    }
}

async fn add(engine: &Engine, role: &str, id: u32, ssn: &str) {
    let photo = STANDARD.encode(format!("photo of {ssn}"));
    let data = json!({"id": id, "name": "Ada", "ssn": ssn, "photo": photo, "iban": "GB33"});
    call(engine, role, "insert", json!({"table": "person", "data": data})).await.unwrap();
}

async fn one(engine: &Engine, role: &str, id: u32) -> Value {
    let select = json!({"table": "person", "where": {"id": id}});
    rows(&call(engine, role, "select", select).await.unwrap())[0].clone()
}

/// Everything in the table, as PostgreSQL holds it.
async fn stored(database: &Database) -> String {
    let all = "SELECT string_agg(p::text || convert_from(coalesce(photo, ''), 'UTF8'), E'\\n') FROM person p";
    database.value(all).await.unwrap_or_default()
}

#[tokio::test]
async fn plain_text_is_seen_by_the_server_and_permitted_roles_only() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(settings(&["a", "index"])).await;
    add(&engine, "guest", 1, SSN).await;
    let held = stored(&database).await;
    assert!(!held.contains(SSN) && !held.contains("photo of") && !held.contains("GB33"), "{held}");
    assert_eq!(held.matches("mcp1:a:").count(), 3, "{held}");

    let clerk = one(&engine, "clerk", 1).await;
    assert_eq!(clerk["ssn"], SSN);
    assert_eq!(clerk["photo"], STANDARD.encode(format!("photo of {SSN}")));
    assert!(clerk.get("ssn_index").is_none(), "{clerk}");
    let guest = one(&engine, "guest", 1).await;
    assert_eq!(
        (&guest["ssn"], &guest["photo"], &guest["iban"]),
        (&json!("***"), &json!("***"), &json!("***"))
    );
    assert_eq!(one(&engine, "phone", 1).await["ssn"], "***1120");

    let described =
        call(&engine, "clerk", "describe_table", json!({"table": "person"})).await.unwrap();
    assert!(!described.to_string().contains("_index"), "{described}");
    let column = |name: &str| {
        let columns = described["columns"].as_array().unwrap();
        columns.iter().find(|column| column["name"] == name).unwrap().clone()
    };
    assert_eq!(column("ssn")["operators"], json!(["eq", "in", "is_null"]));
    assert_eq!(column("iban")["encrypted"], true);
    assert!(column("iban").get("operators").is_none());
    let described =
        call(&engine, "guest", "describe_table", json!({"table": "person"})).await.unwrap();
    assert!(!described.to_string().contains("_index"), "{described}");
}

#[tokio::test]
async fn no_refused_write_tells_an_encrypted_value() {
    let database = Database::of(FIXTURE).await;
    database
        .sql(
            "CREATE UNIQUE INDEX ON person (ssn_index);
             ALTER TABLE person ADD told text GENERATED ALWAYS AS (lower(ssn_index)) STORED",
        )
        .await;
    let engine = database.engine_with(settings(&["a", "index"])).await;
    add(&engine, "clerk", 1, SSN).await;
    let shown = one(&engine, "guest", 1).await;
    assert!(shown.get("told").is_none(), "{shown}");
    for role in ["guest", "phone"] {
        for ssn in [SSN, "078-05-1121"] {
            let data = json!({"id": 2, "ssn": ssn});
            let add = json!({"table": "person", "data": data, "dry_run": true});
            let refused = error(&engine, role, "insert", add).await;
            assert_eq!(
                (&refused["code"], &refused["at"]),
                (&json!("read_only_column"), &json!("/data/ssn")),
                "{role} {refused}"
            );
            let change = json!({"table": "person", "where": {"id": 1}, "updates": {"ssn": ssn}, "dry_run": true});
            assert_eq!(
                error(&engine, role, "update", change).await["code"],
                "read_only_column",
                "{role}"
            );
        }
        let other = json!({"table": "person", "data": {"id": 3, "iban": "GB33"}, "dry_run": true});
        call(&engine, role, "insert", other).await.unwrap();
    }
    let again = json!({"table": "person", "data": {"id": 2, "ssn": SSN}});
    assert_eq!(error(&engine, "clerk", "insert", again).await["code"], "unique_violation");
}

#[tokio::test]
async fn equality_is_all_that_can_be_asked() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(settings(&["a", "index"])).await;
    add(&engine, "clerk", 1, SSN).await;
    add(&engine, "clerk", 2, "078-05-1121").await;
    call(&engine, "clerk", "insert", json!({"table": "person", "data": {"id": 3, "ssn": null}}))
        .await
        .unwrap();
    call(
        &engine,
        "clerk",
        "update",
        json!({"table": "visit", "where": {"id": 1}, "updates": {"person_id": 2}}),
    )
    .await
    .unwrap();
    let photo = STANDARD.encode(format!("photo of {SSN}"));
    let digits = |byte: u8| format!("{byte:02X}");
    let hex = format!("\\x{}", format!("photo of {SSN}").bytes().map(digits).collect::<String>());
    for (condition, expected) in [
        (json!({"ssn": SSN}), json!([1])),
        (json!({"ssn": {"eq": "078-05-1121"}}), json!([2])),
        (json!({"ssn": {"in": [SSN, "x"]}}), json!([1])),
        (json!({"ssn": [SSN, "078-05-1121"]}), json!([1, 2])),
        (json!({"ssn": null}), json!([3])),
        (json!({"ssn": {"is_null": false}}), json!([1, 2])),
        (json!({"not": {"ssn": SSN}, "ssn": {"is_null": false}}), json!([2])),
        (json!({"column": "ssn", "eq": SSN}), json!([1])),
        (json!({"photo": photo}), json!([1])),
        (json!({"photo": hex}), json!([1])),
        (json!({"ssn": "nobody"}), json!([])),
    ] {
        let select =
            json!({"table": "person", "columns": ["id"], "where": condition, "order_by": ["id"]});
        let reply = call(&engine, "clerk", "select", select).await.unwrap();
        let found: Vec<&Value> = rows(&reply).iter().map(|row| &row["id"]).collect();
        assert_eq!(json!(found), expected, "{condition}");
    }
    let others = json!({"table": "person", "columns": ["id"], "where": {"not": {"ssn": SSN}}});
    let reply = call(&engine, "clerk", "select", others).await.unwrap();
    let note = "rows where ssn is null are left out: {\"or\": [{\"not\": {…}}, {\"ssn\": null}]} takes them, too";
    assert_eq!(reply["notes"], json!([note]), "{reply}");
    let visits = json!({"table": "visit", "where": {"person": {"ssn": "078-05-1121"}}});
    assert_eq!(call(&engine, "clerk", "select", visits).await.unwrap()["row_count"], 1);

    for role in ["clerk", "guest", "phone"] {
        for arguments in [
            json!({"table": "person", "where": {"ssn": {"gt": "0"}}}),
            json!({"table": "person", "where": {"ssn": {"like": "078%"}}}),
            json!({"table": "person", "where": {"ssn": {"starts_with": "078"}}}),
            json!({"table": "person", "where": {"iban": "GB33"}}),
            json!({"table": "person", "where": {"iban": null}}),
            json!({"table": "person", "order_by": ["ssn"]}),
            json!({"table": "visit", "order_by": ["person.ssn"]}),
        ] {
            let refused = error(&engine, role, "select", arguments.clone()).await;
            let code = refused["code"].as_str().unwrap();
            assert!(
                matches!(code, "forbidden" | "unknown_operator"),
                "{role} {arguments} {refused}"
            );
            assert!(!refused.to_string().contains("_index"), "{refused}");
        }
        for arguments in [
            json!({"table": "person", "group_by": ["ssn"], "measures": {"n": {"count": "*"}}}),
            json!({"table": "person", "measures": {"n": {"count_distinct": "ssn"}}}),
            json!({"table": "person", "measures": {"n": {"max": "ssn"}}}),
        ] {
            assert_eq!(error(&engine, role, "aggregate", arguments).await["code"], "forbidden");
        }
    }
    // Who may not read may not guess either.
    for role in ["guest", "phone"] {
        for condition in [json!({"ssn": SSN}), json!({"ssn": null}), json!({"ssn": {"in": [SSN]}})]
        {
            let select = json!({"table": "person", "where": condition});
            assert_eq!(error(&engine, role, "select", select).await["code"], "forbidden", "{role}");
        }
    }
    // The index does not exist for anyone.
    for (tool, arguments) in [
        ("select", json!({"table": "person", "columns": ["ssn_index"]})),
        ("select", json!({"table": "person", "where": {"ssn_index": "x"}})),
        ("update", json!({"table": "person", "where": {"id": 1}, "updates": {"ssn_index": "x"}})),
        (
            "insert",
            json!({"table": "person", "data": {"id": 9, "ssn": "x"}, "on_conflict": {"columns": ["ssn_index"], "do": "nothing"}}),
        ),
    ] {
        assert_eq!(error(&engine, "clerk", tool, arguments).await["code"], "unknown_column");
    }
}

#[tokio::test]
async fn keys_rotate_and_values_stay_where_they_were_written() {
    let database = Database::of(FIXTURE).await;
    let old = database.engine_with(settings(&["a", "index"])).await;
    add(&old, "clerk", 1, SSN).await;
    let new = database.engine_with(settings(&["a", "b", "index"])).await;
    assert_eq!(one(&new, "clerk", 1).await["ssn"], SSN);
    add(&new, "clerk", 2, "new").await;
    assert!(stored(&database).await.contains("mcp1:b:"));
    assert_eq!(one(&new, "clerk", 2).await["ssn"], "new");
    assert_eq!(one(&old, "clerk", 2).await["ssn"], "[undecipherable]");
    // A value that someone moves or writes by other means does not pass for one of ours.
    database.sql("UPDATE person SET iban = ssn WHERE id = 1; UPDATE person SET ssn = 'plain' WHERE id = 2").await;
    assert_eq!(one(&new, "clerk", 1).await["iban"], "[undecipherable]");
    assert_eq!(one(&new, "clerk", 2).await["ssn"], "[undecipherable]");
    // Nor is what it reads as written over it.
    let before = stored(&database).await;
    let back =
        json!({"table": "person", "where": {"id": 2}, "updates": {"ssn": "[undecipherable]"}});
    let refused = error(&new, "clerk", "update", back).await;
    assert_eq!(
        (&refused["code"], &refused["at"]),
        (&json!("invalid_value"), &json!("/updates/ssn"))
    );
    let row = json!({"id": 2, "ssn": "[undecipherable]"});
    let on_conflict = json!({"columns": ["id"], "do": "update"});
    let back = json!({"table": "person", "data": row, "on_conflict": on_conflict});
    assert_eq!(error(&new, "clerk", "insert", back).await["at"], "/data/ssn");
    assert_eq!(stored(&database).await, before);
}

#[tokio::test]
async fn the_audit_never_holds_plain_text() {
    for values in [AuditValues::Redacted, AuditValues::Full, AuditValues::None] {
        let database = Database::of(FIXTURE).await;
        let directory =
            std::env::temp_dir().join(format!("sealed-{}-{values:?}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let file = directory.join("audit.jsonl");
        let settings = Settings {
            audit: AuditDetail { values, ..AuditDetail::default() },
            ..settings(&["a", "index"])
        };
        let sink = Arc::new(FileSink::open(&file).unwrap());
        let engine = database.engine_with(settings).await.audited(sink);
        add(&engine, "clerk", 1, SSN).await;
        for (tool, arguments) in [
            (
                "update",
                json!({"table": "person", "where": {"ssn": SSN}, "updates": {"name": "Bo"}}),
            ),
            ("update", json!({"table": "person", "where": {"id": 1}, "updates": {"ssn": SSN}})),
            ("select", json!({"table": "person", "where": {"or": [{"ssn": {"in": [SSN]}}]}})),
            (
                "transaction",
                json!({"operations": [{"operation": "update", "table": "person", "where": {"ssn": SSN}, "updates": {"name": "Cy"}}]}),
            ),
        ] {
            call(&engine, "clerk", tool, arguments).await.unwrap();
        }
        // Neither what is taken from it, nor what is written in another language.
        let taken = json!({"operations": [
            {"operation": "select", "as": "p", "table": "person", "where": {"id": 1}, "columns": ["ssn"]},
            {"operation": "insert", "table": "visit", "data": {"id": 5, "note": {"$ref": "p.ssn"}}},
        ]});
        let reply = call(&engine, "clerk", "transaction", taken).await.unwrap();
        assert_eq!(reply["results"][1]["rows"][0]["note"], SSN);
        let sought = json!({"operations": [
            {"operation": "select", "as": "p", "table": "person", "where": {"id": 1}, "columns": ["ssn"]},
            {"operation": "select", "table": "person", "where": {"ssn": {"$ref": "p.ssn"}}},
        ]});
        let told = error(&engine, "clerk", "transaction", sought).await;
        assert_eq!(told["message"], "an encrypted column takes a plain value");
        let text = json!({"table": "person", "where": format!("ssn = '{SSN}'")});
        error(&engine, "clerk", "select", text).await;
        engine.flush().await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_dir_all(&directory).unwrap();
        assert!(text.lines().count() >= 5 && !text.contains(SSN), "{values:?} {text}");
        let photo = STANDARD.encode(format!("photo of {SSN}"));
        assert!(!text.contains(&photo), "{values:?} {text}");
    }
}

#[tokio::test]
async fn columns_that_cannot_be_encrypted_are_closed_and_reported() {
    let database = Database::of(
        "CREATE TABLE odd (id integer PRIMARY KEY, n integer, short varchar(5), made text DEFAULT 'x', code text UNIQUE, fine text, doc jsonb);
         INSERT INTO odd VALUES (1, 7, 'abc', 'x', 'c', 'plain', '{\"a\": 1}');",
    )
    .await;
    let columns =
        ["n", "short", "made", "code", "fine", "doc"].map(|column| format!("public.odd.{column}"));
    let encryption =
        Encryption { columns: columns.into(), keys: Some(keys(&["a"])), ..Encryption::default() };
    let engine = database.engine_with(Settings { encryption, ..Settings::default() }).await;
    let schema = engine.schema();
    let table = schema.tables.iter().find(|table| table.name.name == "odd").unwrap();
    let settings = engine.settings();
    for (name, reason) in [
        ("n", "text and bytea can be encrypted"),
        ("short", "text and bytea can be encrypted"),
        ("made", "has a default"),
        ("code", "is in a key or index"),
    ] {
        let (_, column) = table.column(name).unwrap();
        let fault = settings.encryption.check(table, column).unwrap_err();
        assert!(fault.contains(reason), "{fault}");
    }
    settings.encryption.check(table, table.column("fine").unwrap().1).unwrap();
    let shown = call(&engine, "admin", "select", json!({"table": "odd"})).await.unwrap();
    let hidden = json!({"id": 1, "n": "***", "short": "***", "made": "***", "code": "***", "fine": "***", "doc": "***"});
    assert_eq!(rows(&shown), [hidden]);
    let part = json!({"table": "odd", "columns": [{"column": "doc", "path": ["a"]}]});
    assert_eq!(error(&engine, "admin", "select", part).await["code"], "forbidden");
    let write = json!({"table": "odd", "where": {"id": 1}, "updates": {"n": 8}});
    assert_eq!(error(&engine, "admin", "update", write).await["code"], "read_only_column");
}
