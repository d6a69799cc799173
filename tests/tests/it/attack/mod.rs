//! Hundreds of hostile calls, of every tool and argument and as several roles, against a schema full of secrets:
//! nothing leaks, and nothing changes.
//!
//! The name of everything secret contains `zq`, every secret value contains `QZ`, and no hostile call contains
//! either. So a reply that contains one of them is a leak.

mod cache;
mod claim;
mod cursor;
mod estimate;
mod guess;
mod hidden;
mod late_code;
mod list;
mod oracle;
mod place;
mod refusal;
mod search_path;
mod session;
mod size;
mod text;
mod token;
mod upsert;
mod written_order;

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_core::cipher::KeyRing;
use mcp_pg_core::policy::{Action, ColumnRules, Encryption, Grant, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, grant, names, object};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE SCHEMA inner_zq;
    CREATE TABLE inner_zq.codes (id integer PRIMARY KEY, code text);
    CREATE TABLE client (
        id integer PRIMARY KEY, tenant integer, name text, email text UNIQUE, phone text, born date, score integer,
        pin_zq text CONSTRAINT pin_zq_key UNIQUE, ssn text, ssn_zq text, code_zq integer REFERENCES inner_zq.codes,
        made_zq integer GENERATED ALWAYS AS (score * 7) STORED, meta jsonb, tags text[], archived_at timestamptz,
        CONSTRAINT limit_zq CHECK (pin_zq <> 'QZ-none'));
    CREATE TABLE pay_zq (id integer PRIMARY KEY, client_id integer REFERENCES client, amount numeric);
    CREATE TABLE note (
        id integer PRIMARY KEY, client_id integer CONSTRAINT note_of REFERENCES client, body text,
        mail text CONSTRAINT mail_zq REFERENCES client (email), aside_zq text, hits integer);
    CREATE INDEX index_zq ON client (lower(pin_zq));
    CREATE VIEW open_zq AS SELECT * FROM client;
    COMMENT ON COLUMN client.pin_zq IS 'QZ about the pin';
    COMMENT ON TABLE pay_zq IS 'QZ about the pay';
    INSERT INTO inner_zq.codes VALUES (1, 'QZ-code');
    INSERT INTO client (id, tenant, name, email, phone, born, score, pin_zq, ssn, code_zq, meta, tags) VALUES
        (1, 1, 'Ada', 'ada-QZ@a.test', '12345QZ6789', '1980-01-01', 3, 'QZ-pin-1', NULL, 1, '{\"a\": 1}', '{a}'),
        (2, 1, 'Bea', 'bea-QZ@a.test', '12345QZ6780', '1981-01-01', 4, 'QZ-pin-2', NULL, 1, '{\"a\": 2}', '{b}'),
        (3, 2, 'QZ-Cid', 'cid-QZ@a.test', 'QZ', '1982-01-01', 5, 'QZ-pin-3', NULL, NULL, '{\"a\": \"QZ\"}', '{QZ}');
    INSERT INTO note VALUES (1, 1, 'one', 'ada-QZ@a.test', 'QZ-aside', 1), (2, 2, 'two', NULL, 'QZ-aside', 2),
        (3, 3, 'QZ of another', NULL, 'QZ', 3);
    INSERT INTO pay_zq VALUES (1, 1, 5000);
    ANALYZE;";

const ROLES: [&str; 3] = ["agent", "reader", "nothing"];

fn roles() -> Vec<Role> {
    let all = [Action::Select, Action::Insert, Action::Update, Action::Archive, Action::Restore];
    let restricted = |actions: &[Action]| -> Vec<Grant> {
        let mut client = grant(&["public.client"], actions);
        client.columns = ColumnRules {
            exclude: names(&["pin_zq", "ssn_zq", "code_zq", "made_zq", "tenant"]),
            mask: BTreeMap::from([("email".into(), Mask::Full), ("phone".into(), Mask::Full)]),
            ..ColumnRules::default()
        };
        client.rows = Some(object(json!({"tenant": "claim:tenant"})));
        client.preset = BTreeMap::from([("tenant".to_owned(), json!("claim:tenant"))]);
        let mut note = grant(&["public.note"], actions);
        note.columns.exclude = names(&["aside_zq", "mail"]);
        note.rows = Some(object(json!({"client_id": {"in": [1, 2]}})));
        vec![client, note]
    };
    let role =
        |name: &str, grants: Vec<Grant>| Role { name: name.into(), grants, ..Role::default() };
    let mut roles = Role::built_in();
    roles.push(role("agent", restricted(&all)));
    roles.push(role("reader", restricted(&[Action::Select])));
    roles.push(role("nothing", Vec::new()));
    roles
}

async fn start(database: &Database) -> Engine {
    let ring = KeyRing::parse(&format!(
        "a:{} index:{}",
        STANDARD.encode([1; 32]),
        STANDARD.encode([2; 32])
    ));
    let ssn = "public.client.ssn".to_owned();
    let encryption = Encryption {
        columns: vec![ssn.clone()],
        blind_index: BTreeMap::from([(ssn, "ssn_zq".to_owned())]),
        keys: Some(Arc::new(ring.unwrap())),
    };
    let engine =
        database.engine_with(Settings { roles: roles(), encryption, ..Settings::default() }).await;
    let set = json!({"table": "client", "where": {"id": 1}, "updates": {"ssn": "QZ-ssn-1"}});
    call_as(&engine, &Principal::new("setup", "admin"), "update", set).await.unwrap();
    engine
}

fn caller(role: &str) -> Principal {
    Principal::new("mallory", role).claim("tenant", 1)
}

/// What a call answers, as clients get it: the reply without its cursor, in whose letters chance may spell
/// anything, or the error.
async fn answer(engine: &Engine, caller: &Principal, tool: &str, arguments: Value) -> String {
    match call_as(engine, caller, tool, arguments).await {
        Ok(mut reply) => {
            reply.as_object_mut().unwrap().remove("next_cursor");
            reply.to_string()
        }
        Err(error) => serde_json::to_string(&error).unwrap(),
    }
}

/// Everything in the database, as PostgreSQL holds it. Roles belong to the cluster, where other tests make some.
async fn dump(database: &Database) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for table in ["client", "note", "pay_zq", "inner_zq.codes"] {
        let rows = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM {table} t");
        all.push(database.value(&rows).await);
    }
    let objects = "SELECT string_agg(relname || relkind::text, ',' ORDER BY oid) FROM pg_class";
    all.push(database.value(objects).await);
    all
}

fn assert_silent(told: &str, what: &str) {
    let lower = told.to_lowercase();
    assert!(!lower.contains("zq") && !lower.contains("qz"), "{what}\ntells {told}");
    for word in
        ["SELECT ", "INSERT INTO", "UPDATE \"", "inner_", "mcp1:", "postgres://", "panicked"]
    {
        assert!(!told.contains(word), "{what}\ntells {word}: {told}");
    }
}
