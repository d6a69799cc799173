//! Masked values.

use mcp_pg_core::policy::{Action, Mask, MaskKey, Role, View};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, call_as, rows};
use serde_json::{Value, json};

use super::{FIXTURE, ada, engine};

#[tokio::test]
async fn masked_values_are_shown_and_no_more() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let caller = ada();
    let select =
        json!({"table": "person", "columns": ["email", "phone"], "order_by": ["person_id"]});
    let reply = call_as(&engine, &caller, "select", select).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"email": "a***@example.com", "phone": "***5678"}),
            json!({"email": "b***@example.com", "phone": null}),
        ]
    );
    for arguments in [
        json!({"table": "person", "where": {"email": "ada@example.com"}}),
        json!({"table": "person", "where": {"email": null}}),
        json!({"table": "person", "order_by": ["-phone"]}),
        json!({"table": "note", "where": {"person": {"email": {"like": "a%"}}}}),
        json!({"table": "note", "order_by": ["person.phone"]}),
    ] {
        let error = call_as(&engine, &caller, "select", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{arguments}");
    }
    for arguments in [
        json!({"table": "person", "measures": {"n": {"max": "email"}}}),
        json!({"table": "person", "measures": {"n": {"count_distinct": "email"}}}),
        json!({"table": "person", "measures": {"n": {"count": "*"}}, "group_by": ["phone"]}),
    ] {
        let error = call_as(&engine, &caller, "aggregate", arguments.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{arguments}");
    }
    let included = json!({"table": "note", "columns": ["note_id"], "include": {"person": {"columns": ["email"]}}});
    let reply = call_as(&engine, &caller, "select", included).await.unwrap();
    assert_eq!(rows(&reply)[0]["person"], json!({"email": "a***@example.com"}));
    let update = json!({"table": "person", "where": {"person_id": 1}, "updates": {"name": "Ada"}, "returning": ["email"]});
    let reply = call_as(&engine, &caller, "update", update).await.unwrap();
    assert_eq!(rows(&reply), [json!({"email": "a***@example.com"})]);
}

#[tokio::test]
async fn a_hash_tells_equal_values_and_cannot_be_tried_out() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, ssn text);
         INSERT INTO person VALUES (1, '078-05-1120'), (2, '078-05-1121'), (3, '078-05-1120'), (4, NULL)",
    )
    .await;
    let mut role = Role::everywhere("clerk", [Action::Select]);
    role.grants[0].columns.mask.insert("ssn".into(), Mask::Hash);
    let shown = async |password: Option<&str>| -> Vec<Value> {
        let mut config = database.config.clone();
        if let Some(password) = password {
            config.password(password);
        }
        let settings = || Settings { roles: vec![role.clone()], ..Settings::default() };
        let engine = Engine::connect(config, settings()).await.unwrap();
        let select = json!({"table": "person", "columns": ["ssn"], "order_by": ["id"]});
        let before = call(&engine, "clerk", "select", select.clone()).await.unwrap();
        // The same after settings that were read anew.
        engine.reconfigure(settings()).await.unwrap();
        let after = call(&engine, "clerk", "select", select).await.unwrap();
        assert_eq!(before["rows"], after["rows"]);
        rows(&after).iter().map(|row| row["ssn"].clone()).collect()
    };
    let first = shown(Some("one secret")).await;
    assert_eq!(first[0], first[2]);
    assert_ne!(first[0], first[1]);
    assert_eq!(first[3], Value::Null);
    let hash = first[0].as_str().unwrap();
    assert!(hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hash}");
    // Whoever tries all numbers has to know the login's password too.
    let plain = "SELECT encode(sha256('078-05-1120'), 'hex')";
    assert_ne!(database.value(plain).await.as_deref(), Some(hash));
    assert_eq!(shown(Some("one secret")).await, first);
    let other = shown(Some("another")).await;
    assert_ne!(other[0], first[0]);
    // What everyone knows of a login makes no key: each start has one of its own.
    let (none, again) = (shown(None).await, shown(Some("")).await);
    assert_eq!(none[0], none[2]);
    for hash in [&none[0], &again[0]] {
        assert_eq!(hash.as_str().unwrap().len(), 64);
        assert!(![&first[0], &other[0]].contains(&hash));
    }
    assert_ne!(none[0], again[0]);
}

#[tokio::test]
async fn without_a_key_there_is_no_hash() {
    let database = Database::of("CREATE TABLE person (id integer, ssn text)").await;
    let engine = database.engine().await;
    let mut role = Role::everywhere("clerk", [Action::Select]);
    role.grants[0].columns.mask.insert("ssn".into(), Mask::Hash);
    let shown = |mask_key| {
        let settings = Settings { roles: vec![role.clone()], mask_key, ..Settings::default() };
        let view = View::new(&engine.schema(), &role, &settings);
        let person = view.table("person").unwrap();
        let (mask, key) = person.masking(1).unwrap();
        mask.apply(&json!("078-05-1120"), key)
    };
    assert_eq!(shown(None), "***");
    assert_eq!(shown(Some(MaskKey::new(b"a secret"))).as_str().unwrap().len(), 64);
}

#[tokio::test]
async fn a_masked_column_is_written_blindly_where_it_is_listed() {
    let database = Database::of(
        "CREATE TABLE staff (id integer PRIMARY KEY, phone text, salary integer, tags text[], code text UNIQUE,
             badge text, EXCLUDE USING btree (badge WITH =));
         INSERT INTO staff VALUES (1, '555 1234', 100, '{a}', 'x', 'b')",
    )
    .await;
    let role = |name: &str, listed: bool| {
        let mut grant =
            super::grant(&["public.staff"], &[Action::Select, Action::Insert, Action::Update]);
        let masked = ["phone", "salary", "tags", "code", "badge"];
        grant.columns.mask = masked.map(|name| (name.to_owned(), Mask::Full)).into();
        grant.columns.writable =
            listed.then(|| super::names(&["id", "phone", "salary", "tags", "code", "badge"]));
        Role { name: name.to_owned(), grants: vec![grant], ..Role::default() }
    };
    let roles = vec![role("clerk", true), role("reader", false)];
    let settings = Settings { roles, default_role: "reader".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let update = |updates: Value| json!({"table": "staff", "where": {"id": 1}, "updates": updates});
    let written = update(json!({"phone": "555 9999", "salary": 7, "tags": ["b"]}));
    let reply = call(&engine, "clerk", "update", written).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"id": 1, "phone": "***", "salary": "***", "tags": "***", "code": "***", "badge": "***"})
        ]
    );
    let stored = database.value("SELECT staff::text FROM staff").await;
    assert_eq!(stored.as_deref(), Some("(1,\"555 9999\",7,{b},x,b)"));
    // What is there, or in other rows, is not told by what a write does.
    for (role, updates, code) in [
        ("clerk", json!({"salary": {"$increment": 2_147_483_640}}), "forbidden"),
        ("clerk", json!({"tags": {"$append": ["c"]}}), "forbidden"),
        ("clerk", json!({"salary": {"$compute": {"add": ["id", 1]}}}), "forbidden"),
        // What was read, written back.
        ("clerk", json!({"phone": "***"}), "invalid_value"),
        ("clerk", json!({"phone": {"$literal": "***"}}), "invalid_value"),
        ("clerk", json!({"code": "x"}), "read_only_column"),
        ("clerk", json!({"badge": "b"}), "read_only_column"),
        ("reader", json!({"phone": "1"}), "read_only_column"),
    ] {
        let told = mcp_pg_tests::error(&engine, role, "update", update(updates.clone())).await;
        assert_eq!(told["code"], code, "{updates}: {told}");
    }
    let read = json!({"operation": "select", "table": "staff", "as": "s"});
    for of in ["s.phone", "0.0.phone"] {
        let write = json!({"operation": "update", "table": "staff", "where": {"id": 1}, "updates": {"phone": {"$ref": of}}});
        let copy = json!({"operations": [read, write]});
        let told = mcp_pg_tests::error(&engine, "clerk", "transaction", copy).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!("forbidden"), &json!("/operations/1/updates/phone/$ref"))
        );
    }
    let insert = json!({"table": "staff", "data": {"id": 2, "code": "x"}});
    let told = mcp_pg_tests::error(&engine, "clerk", "insert", insert).await;
    assert_eq!(told["code"], "read_only_column", "{told}");
    assert_eq!(database.value("SELECT staff::text FROM staff").await, stored);
}

/// The hash of a value that the caller chose would tell whose value it is.
#[tokio::test]
async fn values_are_not_tried_out_by_writing_what_a_hash_masks() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, pin text, mail text,
             low text GENERATED ALWAYS AS (lower(mail)) STORED);
         INSERT INTO person VALUES (1, '1234', 'a')",
    )
    .await;
    let role = |name: &str, actions: &[Action]| {
        let mut grant = super::grant(&["public.person"], actions);
        grant.columns.mask = ["pin", "low"].map(|name| (name.to_owned(), Mask::Hash)).into();
        grant.columns.writable = Some(super::names(&["id", "pin", "mail"]));
        Role { name: name.to_owned(), grants: vec![grant], ..Role::default() }
    };
    let roles = vec![
        role("clerk", &[Action::Select, Action::Insert, Action::Update]),
        role("reader", &[Action::Select]),
    ];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (tool, arguments) in [
        ("insert", json!({"data": {"id": 2, "pin": "1234"}})),
        ("update", json!({"where": {"id": 1}, "updates": {"pin": "1234"}})),
    ] {
        let mut call = json!({"table": "person", "dry_run": true});
        call.as_object_mut().unwrap().extend(arguments.as_object().unwrap().clone());
        let told = mcp_pg_tests::error(&engine, "clerk", tool, call).await;
        assert_eq!(told["code"], "read_only_column", "{told}");
    }
    let shown = async |role: &str, column: &str| {
        let reply = call(&engine, role, "select", json!({"table": "person"})).await.unwrap();
        rows(&reply)[0][column].as_str().unwrap().len()
    };
    assert_eq!((shown("clerk", "pin").await, shown("clerk", "low").await), (64, 3));
    assert_eq!(shown("reader", "low").await, 64);
    let findings = engine.findings();
    let finding = findings.iter().find(|finding| finding.to_string().contains("pin"));
    assert!(finding.unwrap().to_string().contains("the hash of any value"), "{findings:?}");
}

/// Null, read through the mask and sent back, does not take the value away.
#[tokio::test]
async fn a_null_that_is_a_mask_is_not_written() {
    let database = Database::of(
        "CREATE TABLE staff (id integer PRIMARY KEY, phone text, note text);
         INSERT INTO staff VALUES (1, '555', 'x')",
    )
    .await;
    let actions = [Action::Select, Action::Insert, Action::Update];
    let mut grant = super::grant(&["public.staff"], &actions);
    grant.columns.mask = [("phone".to_owned(), Mask::Null)].into();
    grant.columns.writable = Some(super::names(&["id", "phone", "note"]));
    let role = Role { name: "clerk".into(), grants: vec![grant], ..Role::default() };
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let row = json!({"id": 1, "phone": null, "note": "y"});
    let upsert = json!({"columns": ["id"], "do": "update"});
    let stored = async || database.value("SELECT staff::text FROM staff").await.unwrap();
    for (tool, arguments, at) in [
        (
            "update",
            json!({"table": "staff", "where": {"id": 1}, "updates": {"phone": null}}),
            "/updates/phone",
        ),
        (
            "insert",
            json!({"table": "staff", "data": [row], "on_conflict": upsert}),
            "/data/0/phone",
        ),
    ] {
        let told = mcp_pg_tests::error(&engine, "clerk", tool, arguments).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!(at)), "{told}");
        assert!(told["hint"].as_str().unwrap().contains("$literal"), "{told}");
        assert_eq!(stored().await, "(1,555,x)");
    }
    let insert = json!({"table": "staff", "data": row, "on_conflict":
        {"columns": ["id"], "do": "update", "update": ["note"]}});
    call(&engine, "clerk", "insert", insert).await.unwrap();
    assert_eq!(stored().await, "(1,555,y)");
    for cleared in [json!({"$literal": null}), json!({"$default": true})] {
        database.sql("UPDATE staff SET phone = '555'").await;
        let update = json!({"table": "staff", "where": {"id": 1}, "updates": {"phone": cleared}});
        call(&engine, "clerk", "update", update).await.unwrap();
        assert_eq!(stored().await, "(1,,y)");
    }
    let new = json!({"table": "staff", "data": {"id": 2, "phone": null}});
    call(&engine, "clerk", "insert", new).await.unwrap();
}

#[tokio::test]
async fn a_mask_shows_nothing_of_what_it_is_not_made_for() {
    let database = Database::of(
        r#"CREATE TABLE person (id integer PRIMARY KEY, mail text, mails text[], card text[], contact jsonb);
         INSERT INTO person VALUES
             (1, 'ada@x.org, SECRET@y.org', '{ada@x.org,bob@y.org}', '{SECRET4111111111,SECRET}', '{"mail": "a@x", "ssn": "SECRET"}'),
             (2, 'ask @bob, the pin is SECRET', '{}', NULL, '["a@x.org"]')"#,
    )
    .await;
    let mut role = Role::everywhere("clerk", [Action::Select]);
    for column in ["mail", "mails", "contact"] {
        role.grants[0].columns.mask.insert(column.into(), Mask::Email);
    }
    role.grants[0].columns.mask.insert("card".into(), Mask::Last4);
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let select = json!({"table": "person", "order_by": ["id"]});
    let reply = call(&engine, "clerk", "select", select).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"id": 1, "mail": "***", "mails": ["a***@x.org", "b***@y.org"], "card": ["***1111", "***"], "contact": "***"}),
            json!({"id": 2, "mail": "***", "mails": [], "card": null, "contact": ["a***@x.org"]}),
        ]
    );
}

/// Nor does a refusal, or the end of a page, tell how long the values are.
#[tokio::test]
async fn the_length_of_a_masked_value_is_not_told() {
    let database = Database::of(
        "CREATE TABLE big (id integer PRIMARY KEY, secret text, plain text);
         CREATE TABLE part (id integer PRIMARY KEY, big_id integer REFERENCES big);
         INSERT INTO big VALUES (1, 'x', 'x'), (2, repeat('x', 3000000), 'x'), (3, 'x', repeat('x', 3000000));
         INSERT INTO part VALUES (1, 2);",
    )
    .await;
    let mut role = Role::everywhere("reader", [Action::Select]);
    role.grants[0].columns.mask.insert("secret".to_owned(), Mask::Full);
    let settings =
        Settings { roles: vec![role], default_role: "reader".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let select = json!({"table": "big", "columns": ["id", "secret"]});
    let reply = call(&engine, "reader", "select", select).await.unwrap();
    assert_eq!(reply["row_count"], 3);
    assert_eq!(rows(&reply)[1], json!({"id": 2, "secret": "***"}));
    for (table, include) in [("part", "big"), ("big", "part")] {
        let mut inner = json!({"columns": ["id"]});
        if include == "big" {
            inner["columns"] = json!(["secret"]);
        }
        let columns = if table == "big" { json!(["secret"]) } else { json!(["id"]) };
        let select = json!({"table": table, "columns": columns, "where": {"id": {"lte": 2}}, "include": {include: inner}});
        let reply = call(&engine, "reader", "select", select).await.unwrap();
        assert!(reply.to_string().contains("***"), "{reply}");
    }
    let plain = json!({"table": "big", "where": {"id": 3}});
    let error = call(&engine, "reader", "select", plain).await.unwrap_err();
    assert_eq!(error.code().as_str(), "limit_exceeded");
}

/// Of most values PostgreSQL sends only what the mask needs: that changes no mask.
#[tokio::test]
async fn masks_are_those_of_the_whole_values() {
    let database = Database::of(
        r#"CREATE TYPE mood AS ENUM ('happy', 'sad');
         CREATE TYPE pair AS (a integer, b text);
         CREATE DOMAIN mail AS text;
         CREATE DOMAIN doc AS jsonb;
         CREATE TABLE v (id integer PRIMARY KEY, t text, vc varchar(40), c char(12), n name, e mood, m mail, i integer, b bigint,
             num numeric, f double precision, r real, ok boolean, u uuid, d date, ts timestamptz, iv interval, ip inet, by bytea,
             j json, jb jsonb, jd doc, ta text[], na numeric[], da date[], p pair, rg daterange, mo money, vec tsvector);
         INSERT INTO v VALUES
             (1, 'ada@example.com', '4111111111111111', 'abcdefghi', 'some_name', 'happy', 'x@y.org', 12345678, 9007199254740993,
              1234567890.5, 0.1, 0.1, true, '11111111-2222-3333-4444-555555555555', '2024-02-29', '2024-02-29 10:00:00.5+02',
              '1 day', '10.0.0.1', '\x0102030405060708', '{"a":  1}', '{"b": [1, "x"]}', '["12345678"]', '{ada@example.com,NULL,12345678}',
              '{12345678.5,1}', '{2024-01-01}', (1, 'b'), '[2024-01-01,2024-02-01)', 12.5, 'a b'),
             (2, 'éèêëéèêë', '', ' ', '', 'sad', 'no address', -1, 1, 'NaN', 'Infinity', '-Infinity', false, NULL, '-infinity', 'infinity',
              '-3 months', '::1', '', ' null', 'null', 'null', '{}', '{{1,2},{3,4}}', NULL, (NULL, NULL), 'empty', -1, ''),
             (3, repeat('€', 800), NULL, NULL, NULL, NULL, repeat('m', 700) || '@x.org', NULL, NULL, 1e300, NULL, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
             (4, repeat('x', 5000) || '🦀🦀🦀🦀🦀🦀🦀🦀', NULL, NULL, NULL, NULL, 'tail' || repeat('y', 2000), NULL, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
             (5, repeat('x', 5000) || '🦀🦀🦀🦀🦀🦀🦀🦀', NULL, NULL, NULL, NULL, 'tail' || repeat('y', 2000), NULL, NULL, NULL, NULL, NULL, NULL,
              NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)"#,
    )
    .await;
    let schema = database.engine().await.schema();
    let table = schema.tables.iter().find(|table| table.name.name == "v").unwrap();
    let columns: Vec<String> = table.columns.iter().skip(1).map(|c| c.name.clone()).collect();
    let role = |name: &str, mask: Option<Mask>| {
        let mut role = Role::everywhere(name, [Action::Select]);
        let masked = columns.iter().filter_map(|name| Some((name.clone(), mask?)));
        role.grants[0].columns.mask = masked.collect();
        role
    };
    let masks = [Mask::Full, Mask::Null, Mask::Email, Mask::Last4, Mask::Hash];
    let mut roles = vec![role("open", None)];
    roles.extend(masks.map(|mask| role(&format!("{mask:?}"), Some(mask))));
    let key = MaskKey::new(b"a secret");
    let settings = Settings { roles, mask_key: Some(key.clone()), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let all = json!({"table": "v", "order_by": ["id"]});
    let plain = call(&engine, "open", "select", all.clone()).await.unwrap();
    for mask in masks {
        let shown = call(&engine, &format!("{mask:?}"), "select", all.clone()).await.unwrap();
        for (row, plain) in rows(&shown).iter().zip(rows(&plain)) {
            for column in &columns {
                // Hashed otherwise, see below.
                let long = row["id"].as_i64() > Some(2) && matches!(mask, Mask::Hash);
                let text = plain[column].as_str().is_some_and(|text| text.len() > 1024);
                if !(long && text) {
                    assert_eq!(
                        row[column],
                        mask.apply(&plain[column], Some(&key)),
                        "{mask:?} {column} {}",
                        row["id"]
                    );
                }
            }
        }
    }
    let shown = call(&engine, "Hash", "select", all).await.unwrap();
    let hashes: Vec<&str> =
        rows(&shown)[2..].iter().map(|row| row["t"].as_str().unwrap()).collect();
    assert!(
        hashes[0] != hashes[1] && hashes[1] == hashes[2] && hashes[1].len() == 64,
        "{hashes:?}"
    );
}
