//! Hostile calls by the hundred, over every tool and argument, as several roles, against a schema full of
//! secrets: nothing leaks, and nothing changes.
//!
//! Every secret name holds `zq`, every secret value `QZ`, and no hostile text holds either: so an answer
//! that holds one of them has leaked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use mcp_pg_core::cipher::KeyRing;
use mcp_pg_core::policy::{Action, ColumnRules, Encryption, Grant, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, object};
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

fn grant(tables: &[&str], actions: &[Action]) -> Grant {
    Grant {
        tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        actions: actions.iter().copied().collect(),
        ..Grant::default()
    }
}

fn names(all: &[&str]) -> Vec<String> {
    all.iter().map(|name| (*name).to_owned()).collect()
}

fn roles() -> Vec<Role> {
    let secret = names(&["pin_zq", "ssn_zq", "code_zq", "made_zq", "aside_zq", "mail", "tenant"]);
    let all = [Action::Select, Action::Insert, Action::Update, Action::Archive, Action::Restore];
    let restricted = |actions: &[Action]| -> Vec<Grant> {
        let mut client = grant(&["public.client"], actions);
        client.columns = ColumnRules {
            exclude: secret.clone(),
            mask: BTreeMap::from([("email".into(), Mask::Full), ("phone".into(), Mask::Full)]),
            ..ColumnRules::default()
        };
        client.rows = Some(object(json!({"tenant": "claim:tenant"})));
        client.preset = BTreeMap::from([("tenant".to_owned(), json!("claim:tenant"))]);
        let mut note = grant(&["public.note"], actions);
        note.columns.exclude = secret.clone();
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

/// What a call answers: the reply or the error, as clients get it.
async fn answer(engine: &Engine, caller: &Principal, tool: &str, arguments: Value) -> String {
    match call_as(engine, caller, tool, arguments).await {
        Ok(reply) => reply.to_string(),
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

/// Texts that have broken other servers, and a few that look like names.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "'; DROP TABLE client; --",
        "\"; DROP TABLE client; --",
        "\\'; DROP TABLE client; --",
        "COMMIT; DROP SCHEMA public CASCADE",
        "$$; DELETE FROM client; $$",
        "1 OR 1=1",
        "id) FROM client; DELETE FROM note --",
        "(SELECT passwd FROM pg_shadow LIMIT 1)",
        "pg_read_file('/etc/passwd')",
        "pg_catalog.pg_authid",
        "information_schema.tables",
        "client; SELECT pg_sleep(60)",
        "client\" CROSS JOIN pg_shadow --",
        "name::text",
        "$1",
        "{{7*7}}",
        "../../etc/passwd",
        "*",
        "client.*",
        "xmin",
        "ctid",
        "tableoid",
        "c0",
        "t0",
        "CLIENT",
        "\"client\"",
        "public.\"client\"",
        "ｃlient",
        "cli\u{0435}nt",
        "client\u{200b}",
        "\u{202e}tneilc",
        "client\0",
        "",
        " ",
        "-",
        ".",
        "..",
        "-.",
        "id.",
        "\u{1F600}",
        "\\u0000",
        "%",
        "_",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(100_000));
    texts.push("(".repeat(5_000));
    texts
}

/// Every place of an argument, with the hostile text in it. Nothing that could be written is kept.
fn places(text: &str) -> Vec<(&'static str, Value)> {
    let key = |value: Value| json!({text: value});
    let select = |member: &str, value: Value| {
        let mut arguments = json!({"table": "client"});
        arguments[member] = value;
        ("select", arguments)
    };
    let write = |tool: &'static str, member: &str, value: Value| {
        let mut arguments = json!({"table": "client", "dry_run": true});
        match tool {
            "insert" => arguments["data"] = json!({"id": 9, "name": "x"}),
            "update" => {
                arguments["where"] = json!({"id": 1});
                arguments["updates"] = json!({"name": "x"});
            }
            _ => arguments["where"] = json!({"id": 1}),
        }
        arguments[member] = value;
        (tool, arguments)
    };
    let mut all = vec![
        ("list_tables", json!({"schema": text})),
        ("list_tables", json!({"search": text})),
        ("list_tables", json!({"cursor": text})),
        ("list_tables", json!({"detail": text})),
        ("describe_table", json!({"table": text})),
        ("describe_table", json!({"table": "client", text: 1})),
        select("columns", json!([text])),
        select("columns", json!(text)),
        select("where", json!(text)),
        select("where", key(json!(1))),
        select("where", json!({"name": text})),
        select("where", json!({"id": text})),
        select("where", json!({"born": text})),
        select("where", json!({"name": key(json!("x"))})),
        select("where", json!({"name": {"like": text}})),
        select("where", json!({"name": {"matches": text}})),
        select("where", json!({"name": {"search": text}})),
        select("where", json!({"name": {"in": [text]}})),
        select("where", json!({"column": text, "eq": 1})),
        select("where", json!({"meta": {"path": [text], "eq": text}})),
        select("where", json!({"meta": {"has_key": text}})),
        select("where", json!({"meta": {"contains": key(json!(1))}})),
        select("where", json!({"tags": {"contains": [text]}})),
        select("where", json!({"tags": text})),
        select("where", json!({"note": key(json!({}))})),
        select("where", json!({"note": {"some": key(json!(1))}})),
        select("where", json!({"or": [key(json!(null))]})),
        select("include", key(json!(true))),
        select("include", json!({"note": {"columns": [text]}})),
        select("include", json!({"note": {"where": key(json!(1))}})),
        select("include", json!({"note": {"order_by": [text]}})),
        select("include", json!({"note": {"include": key(json!(true))}})),
        select("include", json!({"note": key(json!(1))})),
        select("order_by", json!([text])),
        select("order_by", json!([{"column": text}])),
        select("order_by", json!([{"column": "id", "direction": text}])),
        select("order_by", json!([format!("-{text}")])),
        select("order_by", json!([format!("note.{text}")])),
        select("order_by", json!([{"column": "name", "rank": text}])),
        select("order_by", json!([{"column": "name", "distance": text}])),
        select("limit", json!(text)),
        select("offset", json!(text)),
        select("cursor", json!(text)),
        select("count", json!(text)),
        select("archived", json!(text)),
        select("format", json!(text)),
        ("aggregate", json!({"table": "client", "measures": key(json!({"count": "*"}))})),
        ("aggregate", json!({"table": "client", "measures": {"n": key(json!("id"))}})),
        ("aggregate", json!({"table": "client", "measures": {"n": {"max": text}}})),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*", "where": key(json!(1))}}}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "group_by": [text]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}},
            "group_by": [{"column": "born", "bucket": text}]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}},
            "group_by": [{"column": "born", "bucket": "month", "as": text}]}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "having": key(json!(1))}),
        ),
        (
            "aggregate",
            json!({"table": "client", "measures": {"n": {"count": "*"}}, "order_by": [text]}),
        ),
        write("insert", "data", json!({"id": 9, "name": text})),
        write("insert", "data", json!({"id": 9, text: 1})),
        write("insert", "data", json!({"id": text})),
        write("insert", "data", json!({"id": 9, "name": {format!("${text}"): 1}})),
        write("insert", "data", json!({"id": 9, "tags": [text], "meta": {text: text}})),
        write("insert", "data", json!(text)),
        write("insert", "on_conflict", json!({"columns": [text], "do": "nothing"})),
        write("insert", "on_conflict", json!({"columns": ["id"], "do": text})),
        write(
            "insert",
            "on_conflict",
            json!({"columns": ["id"], "do": "update", "update": [text]}),
        ),
        write("insert", "returning", json!([text])),
        write("update", "updates", json!({"name": text})),
        write("update", "updates", key(json!(1))),
        write("update", "updates", json!([key(json!(1))])),
        write("update", "updates", json!({"meta": {"$merge": {text: text}}})),
        write("update", "updates", json!({"name": {"$ref": text}})),
        write("update", "if_version", json!(text)),
        write("update", "max_rows", json!(text)),
        write("update", "where", key(json!(1))),
        write("update", "returning", json!([text])),
        write("archive", "where", json!({"name": text})),
        write("restore", "where", key(json!(1))),
        write("delete", "where", key(json!(1))),
        ("transaction", json!({"operations": [{"operation": text, "table": "client"}]})),
        (
            "transaction",
            json!({"dry_run": true, "isolation": text, "operations": [{"operation": "select", "table": "client"}]}),
        ),
        (
            "transaction",
            json!({"dry_run": true, "operations": [
                {"operation": "select", "table": "client", "as": text},
                {"operation": "select", "table": "note", "where": {"client_id": {"$ref": format!("{text}.id")}}},
            ]}),
        ),
        ("explain", json!({"operation": text, "table": "client"})),
        ("explain", json!({"operation": "select", "table": "client", "where": {"name": text}})),
        ("explain", json!({"operation": "select", "table": text})),
    ];
    for tool in ["select", "aggregate", "insert", "update", "archive", "restore", "delete"] {
        let (_, mut arguments) =
            write(if tool == "select" { "archive" } else { tool }, "table", json!(text));
        if tool == "select" || tool == "aggregate" {
            arguments = json!({"table": text, "measures": {"n": {"count": "*"}}});
        }
        all.push((tool, arguments));
    }
    all
}

#[tokio::test]
async fn hostile_text_in_every_place_leaks_and_changes_nothing() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let mut calls = 0;
    let mut codes = BTreeSet::new();
    for role in ROLES {
        let caller = caller(role);
        for text in texts() {
            for (tool, arguments) in places(&text) {
                let told = answer(&engine, &caller, tool, arguments.clone()).await;
                let what: String = format!("{role} {tool} {arguments}").chars().take(300).collect();
                assert_silent(&told.replace(&text, "").replace("(SELECT passwd", ""), &what);
                let told: Value = serde_json::from_str(&told).unwrap();
                if let Some(code) = told["code"].as_str() {
                    codes.insert(code.to_owned());
                    assert_ne!(code, "internal", "{what}: {told}");
                }
                calls += 1;
            }
        }
        for text in texts() {
            let told = answer(&engine, &caller, &text, json!({"table": "client"})).await;
            assert_silent(&told.replace(&text, "").replace("(SELECT passwd", ""), &text);
        }
    }
    assert_eq!(dump(&database).await, before);
    assert!(calls > 5_000, "{calls} calls");
    assert!(codes.len() > 10, "{codes:?}");
}

/// Where a name may stand; `{}` stands for the name.
fn with_name(name: &str) -> Vec<(&'static str, Value)> {
    let mut all: Vec<(&'static str, Value)> = places(name)
        .into_iter()
        .filter(|(_, arguments)| arguments.to_string().contains(name))
        .collect();
    all.extend([
        ("select", json!({"table": name})),
        ("select", json!({"table": format!("public.{name}")})),
        ("select", json!({"table": format!("inner_{name}.codes")})),
        ("select", json!({"table": "client", "where": {name: {"some": {"amount": {"gt": 100}}}}})),
        ("select", json!({"table": "note", "where": {"client": {name: "x"}}})),
        ("select", json!({"table": "note", "order_by": [format!("client.{name}")]})),
        ("aggregate", json!({"table": "note", "group_by": [format!("client.{name}")], "measures": {"n": {"count": "*"}}})),
        ("select", json!({"table": "client", "include": {format!("{name}_by_client"): true}})),
        ("select", json!({"table": "client", "include": {format!("codes_via_{name}"): true}})),
    ]);
    all
}

#[tokio::test]
async fn what_is_hidden_is_answered_like_what_is_not_there() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let mut calls = 0;
    for role in ROLES {
        let caller = caller(role);
        for hidden in [
            "pin_zq",
            "ssn_zq",
            "code_zq",
            "made_zq",
            "aside_zq",
            "pay_zq",
            "open_zq",
            "inner_zq",
            "index_zq",
            "limit_zq",
            "pin_zq_key",
            "mail_zq",
        ] {
            // As far from every visible name as the hidden one.
            let absent = hidden.replace("zq", "xw");
            for (spelled, other) in with_name(hidden).into_iter().zip(with_name(&absent)) {
                let told = answer(&engine, &caller, spelled.0, spelled.1.clone()).await;
                let twin = answer(&engine, &caller, other.0, other.1).await;
                assert_eq!(told.replace("zq", "xw"), twin, "{role} {} {}", spelled.0, spelled.1);
                calls += 1;
            }
        }
        // A grave mistake in a row of someone else is like one in a row that is not there.
        for tool in ["update", "archive", "delete", "select"] {
            let of = |id: u32| match tool {
                "select" => json!({"table": "client", "where": {"id": id}}),
                "update" => {
                    json!({"table": "client", "where": {"id": id}, "updates": {"name": "x"}, "if_version": "1"})
                }
                _ => json!({"table": "client", "where": {"id": id}, "if_version": "1"}),
            };
            let others = answer(&engine, &caller, tool, of(3)).await;
            assert_eq!(others, answer(&engine, &caller, tool, of(7)).await, "{role} {tool}");
        }
    }
    assert_eq!(dump(&database).await, before);
    assert!(calls > 2_000, "{calls} calls");
}

#[tokio::test]
async fn a_guess_at_a_masked_or_encrypted_value_is_answered_like_any_other() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let caller = caller("agent");
    let mut calls = 0;
    for (column, right, wrong) in [
        ("email", "ada-QZ@a.test", "bob-XX@b.test"),
        ("phone", "12345QZ6789", "00000XX0000"),
        ("ssn", "QZ-ssn-1", "XX-xxx-0"),
    ] {
        let asked = |guess: &str| {
            let mut all = Vec::new();
            for operator in [
                "eq",
                "ne",
                "gt",
                "lt",
                "in",
                "like",
                "ilike",
                "starts_with",
                "contains",
                "matches",
                "search",
                "is_null",
                "is_distinct_from",
            ] {
                let operand = match operator {
                    "in" => json!([guess]),
                    "is_null" => json!(false),
                    _ => json!(guess),
                };
                let test = json!({column: {operator: operand}});
                all.push(("select", json!({"table": "client", "where": test, "count": "exact"})));
                all.push(("select", json!({"table": "note", "where": {"client": test}})));
                all.push(("select", json!({"table": "client", "where": {"not": test}})));
                all.push((
                    "aggregate",
                    json!({"table": "client", "measures": {"n": {"count": "*", "where": test}}}),
                ));
                all.push((
                    "aggregate",
                    json!({"table": "client", "measures": {"n": {"count": "*"}}, "where": test}),
                ));
                all.push((
                    "explain",
                    json!({"operation": "select", "table": "client", "where": test}),
                ));
                all.push(("update", json!({"table": "client", "where": test, "updates": {"name": "x"}, "dry_run": true})));
                all.push(("archive", json!({"table": "client", "where": test, "dry_run": true})));
                all.push((
                    "select",
                    json!({"table": "note", "include": {"client": {"where": test}}}),
                ));
            }
            all.push((
                "insert",
                json!({"table": "client", "data": {"id": 9, column: guess},
                "on_conflict": {"columns": [column], "do": "nothing"}, "dry_run": true}),
            ));
            all.push(("update", json!({"table": "client", "updates": [{column: guess, "name": "x"}], "where": {}, "dry_run": true})));
            all
        };
        for (hit, miss) in asked(right).into_iter().zip(asked(wrong)) {
            let told = answer(&engine, &caller, hit.0, hit.1.clone()).await;
            let twin = answer(&engine, &caller, miss.0, miss.1).await;
            assert_eq!(told.replace(right, wrong), twin, "{} {}", hit.0, hit.1);
            assert_silent(&told.replace(right, ""), &hit.1.to_string());
            calls += 1;
        }
        for arguments in [
            json!({"table": "client", "order_by": [column]}),
            json!({"table": "client", "distinct": true, "columns": [column]}),
            json!({"table": "note", "order_by": [format!("client.{column}")]}),
        ] {
            let told = answer(&engine, &caller, "select", arguments.clone()).await;
            assert!(told.contains("\"code\":\"forbidden\""), "{arguments} {told}");
        }
    }
    // What nothing keeps from being read is shown masked, and only so.
    let told =
        answer(&engine, &caller, "select", json!({"table": "client", "include": {"note": true}}))
            .await;
    assert_silent(&told, "select");
    assert!(told.contains("Ada") && told.contains("***"), "{told}");
    assert_eq!(dump(&database).await, before);
    assert!(calls > 300, "{calls} calls");
}

#[tokio::test]
async fn no_cursor_but_ones_own_is_taken() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let caller = caller("agent");
    let page = json!({"table": "client", "columns": ["id"], "order_by": ["name"], "limit": 1});
    let first = call_as(&engine, &caller, "select", page.clone()).await.unwrap();
    let cursor = first["next_cursor"].as_str().unwrap().to_owned();
    let with = |cursor: &str| {
        let mut next = page.clone();
        next["cursor"] = json!(cursor);
        next
    };
    call_as(&engine, &caller, "select", with(&cursor)).await.unwrap();
    let mut forged: Vec<String> = (0..cursor.len())
        .map(|place| {
            let mut bytes = cursor.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            String::from_utf8(bytes).unwrap()
        })
        .filter(|forged| *forged != cursor)
        .collect();
    forged.extend((0..cursor.len()).map(|end| cursor[..end].to_owned()));
    forged.push(format!("{cursor}A"));
    forged.push(cursor.repeat(2_000));
    for plain in ["{\"k\":[\"Cid\",3]}", "{\"o\":0}", "null"] {
        forged.push(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(plain));
        let sealed = format!("{plain}0123456789abcdef");
        forged.push(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(sealed));
    }
    for forged in &forged {
        let error = call_as(&engine, &caller, "select", with(forged)).await.unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{forged}");
    }
    // The right one, in the wrong hands or for another question.
    for role in ["reader", "admin", "analyst"] {
        let error = call_as(&engine, &Principal::new("x", role), "select", with(&cursor))
            .await
            .unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{role}");
    }
    for (member, value) in [
        ("table", json!("note")),
        ("where", json!({"id": {"gt": 0}})),
        ("order_by", json!(["-name"])),
        ("archived", json!("include")),
    ] {
        let mut other = with(&cursor);
        other[member] = value;
        if member == "table" {
            other["order_by"] = json!(["body"]);
        }
        let error = call_as(&engine, &caller, "select", other).await.unwrap_err();
        assert_eq!(error.code().as_str(), "invalid_cursor", "{member}");
    }
}

#[tokio::test]
async fn what_is_too_deep_or_too_much_is_refused() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let caller = caller("agent");
    let nested = |depth: usize, make: fn(Value) -> Value| {
        (0..depth).fold(json!({"id": 1}), |inner, _| make(inner))
    };
    let many = |count: usize| (0..count).map(|i| json!({"id": i})).collect::<Vec<_>>();
    for (tool, arguments) in [
        ("select", json!({"table": "client", "where": nested(250, |inner| json!({"not": inner}))})),
        (
            "select",
            json!({"table": "client", "where": nested(100, |inner| json!({"and": [inner]}))}),
        ),
        ("select", json!({"table": "client", "where": {"or": many(5_000)}})),
        (
            "select",
            json!({"table": "client", "where": {"id": {"in": (0..200_000).collect::<Vec<_>>()}}}),
        ),
        ("select", json!({"table": "client", "where": {"name": {"like": "%a".repeat(10_000)}}})),
        (
            "select",
            json!({"table": "client", "where": {"name": {"matches": "(a+)+".repeat(2_000)}}}),
        ),
        (
            "select",
            json!({"table": "client", "where": {"meta": {"contains": nested(250, |inner| json!([inner]))}}}),
        ),
        (
            "select",
            json!({"table": "client", "include": nested(60, |inner| json!({"note": {"include": {"client": {"include": inner}}}}))}),
        ),
        ("insert", json!({"table": "client", "data": many(50_000), "dry_run": true})),
        (
            "insert",
            json!({"table": "client", "data": {"id": 9, "meta": nested(250, |inner| json!([inner]))}, "dry_run": true}),
        ),
        (
            "transaction",
            json!({"dry_run": true, "operations":
            vec![json!({"operation": "select", "table": "client"}); 5_000]}),
        ),
    ] {
        let told = answer(&engine, &caller, tool, arguments).await;
        assert!(told.contains("\"code\":\"limit_exceeded\""), "{tool}: {told}");
        assert_silent(&told, tool);
    }
    assert_eq!(dump(&database).await, before);
}
