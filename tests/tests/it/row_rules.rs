//! Row conditions of grants on related rows: they apply to every read and write, and reveal nothing about the tables
//! that they use.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Code, Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, error, object, rows};
use serde_json::{Value, json};

use crate::program::{Ended, file, program, run};

const FIXTURE: &str = "
    CREATE TABLE firm_zq (id integer PRIMARY KEY, tenant integer);
    CREATE TABLE client (id integer PRIMARY KEY, name text, firm_id integer REFERENCES firm_zq);
    CREATE TABLE note (id integer PRIMARY KEY, client_id integer REFERENCES client, body text);
    INSERT INTO firm_zq VALUES (1, 1), (2, 2);
    INSERT INTO client VALUES (1, 'Ada', 1), (2, 'Bea', 2);
    INSERT INTO note VALUES (1, 1, 'mine'), (2, 2, 'theirs'), (3, NULL, 'nobody''s');";

async fn engine(database: &Database) -> Engine {
    let grant = |table: &str, rule: Value| Grant {
        tables: vec![table.to_owned()],
        actions: Action::ALL.into_iter().collect(),
        rows: Some(object(rule)),
        ..Grant::default()
    };
    let mut client = grant("public.client", json!({"firm_zq": {"tenant": "claim:tenant"}}));
    client.columns.exclude = vec!["firm_id".to_owned()];
    let note = grant("public.note", json!({"client": {"firm_zq": {"tenant": "claim:tenant"}}}));
    let reader = Grant {
        rows: Some(object(json!({"note": {"some": {"body": "mine"}}}))),
        actions: [Action::Select].into_iter().collect(),
        ..client.clone()
    };
    let role = |name: &str, grants| Role { name: name.to_owned(), grants, ..Role::default() };
    let mut settings = Settings {
        roles: vec![role("agent", vec![client, note]), role("reader", vec![reader])],
        default_role: "agent".to_owned(),
        ..Settings::default()
    };
    settings.archive.allow_hard_delete = true;
    database.engine_with(settings).await
}

#[tokio::test]
async fn a_claim_that_does_not_fit_is_its_callers_fault() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    for claim in [json!("x"), json!({"gte": 0}), json!([1, "x"])] {
        let caller = Principal::new("x", "agent").claim("tenant", claim.clone());
        for (tool, arguments) in [
            ("select", json!({"table": "note"})),
            ("update", json!({"table": "note", "where": {"id": 1}, "updates": {"body": "x"}})),
        ] {
            let refused = call_as(&engine, &caller, tool, arguments).await.unwrap_err();
            assert_eq!(refused.code(), Code::Forbidden, "{claim}");
            assert_eq!(
                refused.message(),
                "a claim of the caller does not fit what its role may see"
            );
            let told = serde_json::to_string(&refused).unwrap();
            assert!(!told.contains("tenant") && !told.contains("firm"), "{told}");
        }
    }
}

#[tokio::test]
async fn a_row_condition_on_related_rows_holds_everywhere() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let agent = Principal::new("x", "agent").claim("tenant", 1);
    let read = async |caller: &Principal, arguments: Value| {
        let reply = call_as(&engine, caller, "select", arguments).await.unwrap();
        rows(&reply).iter().map(|row| row["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(read(&agent, json!({"table": "note"})).await, [json!(1)]);
    assert_eq!(read(&agent, json!({"table": "client"})).await, [json!(1)]);
    let absent = json!({"table": "note", "where": {"client": null}});
    assert!(read(&agent, absent).await.is_empty());
    assert!(read(&Principal::new("x", "agent"), json!({"table": "note"})).await.is_empty());
    let reader = Principal::new("x", "reader");
    assert_eq!(read(&reader, json!({"table": "client"})).await, [json!(1)]);
    let count = json!({"table": "note", "measures": {"n": {"count": "*"}}});
    let counted = call_as(&engine, &agent, "aggregate", count).await.unwrap();
    assert_eq!(rows(&counted)[0]["n"], 1);

    // That only some rows are seen and written is told, and not which.
    let told =
        call_as(&engine, &reader, "describe_table", json!({"table": "client"})).await.unwrap();
    assert_eq!(told["row_security"], json!({"some_rows_only": ["select"]}));
    assert!(!told.to_string().contains("mine"), "{told}");

    let before = database.value("SELECT string_agg(n::text, ';' ORDER BY id) FROM note n").await;
    // Rows out of view are not touched, and none is moved there.
    for (tool, arguments) in [
        ("insert", json!({"table": "note", "data": {"id": 9, "client_id": 2}})),
        ("insert", json!({"table": "note", "data": {"id": 9}})),
        ("update", json!({"table": "note", "where": {"id": 1}, "updates": {"client_id": 2}})),
        (
            "update",
            json!({"table": "note", "where": {}, "updates": [{"id": 1, "client_id": null}]}),
        ),
        (
            "insert",
            json!({"table": "note", "data": {"id": 1, "client_id": 2},
                "on_conflict": {"columns": ["id"], "do": "update"}}),
        ),
    ] {
        let error = call_as(&engine, &agent, tool, arguments.clone()).await.unwrap_err();
        assert_eq!(error.code().as_str(), "forbidden", "{arguments}: {error}");
    }
    for (tool, arguments) in [
        ("update", json!({"table": "note", "where": {"id": 2}, "updates": {"body": "x"}})),
        ("update", json!({"table": "note", "where": {}, "updates": [{"id": 2, "body": "x"}]})),
        ("delete", json!({"table": "note", "where": {"id": {"gt": 1}}, "max_rows": 9})),
        (
            "insert",
            json!({"table": "note", "data": {"id": 2, "client_id": 1, "body": "x"},
                "on_conflict": {"columns": ["id"], "do": "update"}}),
        ),
    ] {
        let reply = call_as(&engine, &agent, tool, arguments.clone()).await.unwrap();
        assert_eq!(reply["row_count"], 0, "{arguments}: {reply}");
    }
    let after = database.value("SELECT string_agg(n::text, ';' ORDER BY id) FROM note n").await;
    assert_eq!(before, after);

    let added = json!({"table": "note", "data": {"id": 9, "client_id": 1}});
    assert_eq!(call_as(&engine, &agent, "insert", added).await.unwrap()["row_count"], 1);
    let gone = json!({"table": "note", "where": {"id": 9}});
    assert_eq!(call_as(&engine, &agent, "delete", gone).await.unwrap()["row_count"], 1);
}

#[tokio::test]
async fn a_table_that_only_row_conditions_go_through_stays_hidden() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let agent = Principal::new("x", "agent").claim("tenant", 1);
    for (tool, arguments) in [
        ("list_tables", json!({})),
        ("describe_table", json!({"table": "client"})),
        ("select", json!({"table": "client", "where": {"firm": {"tenant": 1}}})),
        ("select", json!({"table": "note", "include": {"client": {"include": {"firm": true}}}})),
        ("explain", json!({"operation": "select", "table": "note"})),
        ("explain", json!({"operation": "select", "table": "client", "include": {"note": true}})),
        ("insert", json!({"table": "client", "data": {"id": 8, "name": "x"}})),
    ] {
        let told = match call_as(&engine, &agent, tool, arguments.clone()).await {
            Ok(reply) => reply.to_string(),
            Err(error) => serde_json::to_string(&error).unwrap(),
        };
        for word in ["firm_", "tenant"] {
            assert!(!told.contains(word), "{tool} {arguments} tells {word}: {told}");
        }
    }
}

#[tokio::test]
async fn archived_related_rows_count_unless_the_condition_says_otherwise() {
    let database = Database::of(
        "CREATE TABLE folder (id integer PRIMARY KEY);
         CREATE TABLE member (id integer PRIMARY KEY, folder_id integer REFERENCES folder, name text,
             archived_at timestamptz);
         INSERT INTO folder VALUES (1), (2);
         INSERT INTO member VALUES (1, 1, 'ann', NULL), (2, 2, 'ann', now());",
    )
    .await;
    let role = |name: &str, rule: Value| Role {
        name: name.to_owned(),
        grants: vec![Grant {
            tables: vec!["public.folder".to_owned()],
            actions: [Action::Select].into_iter().collect(),
            rows: Some(object(json!({"member": {"some": rule}}))),
            ..Grant::default()
        }],
        ..Role::default()
    };
    let roles = vec![
        role("ever", json!({"name": "claim:sub"})),
        role("now", json!({"name": "claim:sub", "archived_at": {"is_null": true}})),
    ];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (role, expected) in [("ever", json!([1, 2])), ("now", json!([1]))] {
        let caller = Principal::new("x", role).claim("sub", "ann");
        let reply = call_as(&engine, &caller, "select", json!({"table": "folder"})).await.unwrap();
        let ids: Value = rows(&reply).iter().map(|row| row["id"].clone()).collect();
        assert_eq!(ids, expected, "{role}");
    }
}

#[tokio::test]
async fn a_claim_may_be_any_list_and_stays_a_value() {
    let database = Database::of(FIXTURE).await;
    let grant = Grant {
        tables: vec!["public.note".to_owned()],
        actions: [Action::Select].into_iter().collect(),
        rows: Some(object(json!({"client_id": {"in": "claim:clients"}}))),
        ..Grant::default()
    };
    let roles = vec![Role { name: "agent".to_owned(), grants: vec![grant], ..Role::default() }];
    let mut settings = Settings { roles, default_role: "agent".to_owned(), ..Settings::default() };
    settings.limits.max_list = 3;
    let engine = database.engine_with(settings).await;
    let read = async |clients: Value| {
        let agent = Principal::new("x", "agent").claim("clients", clients);
        let reply = call_as(&engine, &agent, "select", json!({"table": "note"})).await;
        reply.map(|reply| rows(&reply).len()).map_err(|error| error.code().as_str())
    };
    // What bounds callers does not bound their claims.
    assert_eq!(read((1..=1_000).filter(|n| *n != 2).collect()).await, Ok(1));
    assert_eq!(read(json!([])).await, Ok(0));
    // No object in a list becomes a condition, or a reference.
    for odd in [json!([1, {"$ref": "0.id"}]), json!([{"gt": 0}]), json!({"gt": 0})] {
        assert_eq!(read(odd.clone()).await, Err("forbidden"), "{odd}");
    }
}

/// As what PostgreSQL always refuses is not offered, neither is what the configuration does.
#[tokio::test]
async fn tables_that_a_condition_or_preset_does_not_fit_are_not_offered() {
    let database = Database::of(FIXTURE).await;
    let grant = |actions: &[Action], rows: Value, preset: Value| Grant {
        tables: vec!["public.*".to_owned()],
        actions: actions.iter().copied().collect(),
        rows: Some(object(rows)),
        preset: object(preset).into_iter().collect(),
        ..Grant::default()
    };
    let role = |name: &str, grants| Role { name: name.to_owned(), grants, ..Role::default() };
    let (select, insert) = ([Action::Select], [Action::Insert]);
    let none = || json!({});
    let named = json!({"or": [{"tenant": "claim:tenant"}, {"tenant": null}]});
    let typed = json!({"id": {"gt": "claim:least", "lt": 9}});
    let vain = json!({"id": {"gt": "x"}});
    let whole = || grant(&[Action::Select, Action::Insert], none(), none());
    let roles = vec![
        // A later grant for more rows does not take the place of the first.
        role("named", vec![grant(&select, named.clone(), none()), whole()]),
        role("typed", vec![grant(&select, typed, none())]),
        role("vain", vec![grant(&select, vain, none())]),
        role("adds", vec![whole()]),
        role("presets", vec![grant(&insert, none(), json!({"id": "x"})), whole()]),
    ];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    let all = |actions: &str| {
        ["client", "firm_zq", "note"].map(|table| format!("{table} {actions}")).to_vec()
    };
    for (role, expected) in [
        (
            "named",
            vec![
                "client insert".to_owned(),
                "firm_zq select insert".to_owned(),
                "note insert".to_owned(),
            ],
        ),
        ("typed", all("select")),
        ("vain", vec![]),
        ("adds", all("select insert")),
        ("presets", all("select")),
    ] {
        let view = engine.view(&Principal::new("x", role)).unwrap();
        let found = view.tables().iter().map(|table| {
            let actions: Vec<&str> = table.actions.iter().map(Action::as_str).collect();
            format!("{} {}", view.display(table), actions.join(" "))
        });
        assert_eq!(found.collect::<Vec<_>>(), expected, "{role}");
    }
    let caller = Principal::new("x", "named").claim("tenant", 1);
    let reply = call_as(&engine, &caller, "select", json!({"table": "firm_zq"})).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "tenant": 1})]);
    let select = json!({"table": "client"});
    let refused = call_as(&engine, &caller, "select", select).await.unwrap_err();
    assert_eq!(refused.code(), Code::Forbidden);
}

/// The server says at its start what `check` finds, and serves the rest.
#[tokio::test]
async fn a_condition_that_does_not_fit_is_in_the_log() {
    let database = Database::of(FIXTURE).await;
    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"public.*\"]\nactions = [\"select\"]\n\
         rows = { tenant = \"claim:tenant\" }",
    );
    let arguments =
        ["stdio", "--config", config.to_str().unwrap(), "--database-url", &database.url];
    let ended = Ended::of(&mut program(&arguments)).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    for table in ["client", "note"] {
        let told = format!(
            "roles.a.grants[0].rows: public.{table}: unknown_column: public.{table} has no column \"tenant\""
        );
        assert_eq!(ended.err.matches(&told).count(), 1, "{}", ended.err);
    }
    assert!(!ended.err.contains("public.firm_zq:"), "{}", ended.err);
}

/// What a claim is, nobody knows at the start: it may fit.
#[tokio::test]
async fn a_claim_beside_what_is_computed_fits() {
    let database = Database::of(
        "CREATE TABLE work (id integer PRIMARY KEY, a integer, b integer, at timestamptz, meta jsonb);
         CREATE TABLE part (id integer PRIMARY KEY, work_id integer REFERENCES work)",
    )
    .await;
    let rules = [
        "{ compute = { add = [\"a\", 0], lte = \"claim:most\" } }",
        "{ a = 1, compute = { subtract = [\"b\", \"claim:least\"], gt = 0 } }",
        "{ at = { part = \"year\", eq = \"claim:year\" } }",
        "{ at = { gt = { \"$now\" = \"claim:since\" } } }",
        "{ meta = { path = [\"tenant\"], eq = \"claim:tenant\" } }",
        "{ column = \"a\", in = \"claim:several\" }",
        "{ part = { count = { gt = \"claim:least\" } } }",
    ];
    let roles = rules.iter().enumerate().map(|(index, rule)| {
        format!(
            "[roles.r{index}]\n[[roles.r{index}.grants]]\ntables = [\"public.work\"]\n\
             actions = [\"select\"]\nrows = {rule}\n"
        )
    });
    let config = file(&format!("default_role = \"r0\"\n{}", roles.collect::<String>()));
    let arguments =
        ["stdio", "--config", config.to_str().unwrap(), "--database-url", &database.url];
    let ended = Ended::of(&mut program(&arguments)).await;
    assert_eq!(ended.status, Some(0), "{ended:?}");
    assert!(!ended.err.contains(".rows: "), "{}", ended.err);
}

/// A relation is not a column: no claim fits, so it is a fault of the configuration.
#[tokio::test]
async fn a_claim_is_not_compared_with_a_relation() {
    let database = Database::of(
        "CREATE TABLE tenant (id integer PRIMARY KEY);
         CREATE TABLE work (id integer PRIMARY KEY, tenant_id integer REFERENCES tenant);
         INSERT INTO tenant VALUES (1); INSERT INTO work VALUES (1, 1);",
    )
    .await;
    for rows in ["{ tenant = \"claim:t\" }", "{ or = [{ id = 2 }, { tenant = \"claim:t\" }] }"] {
        let config = file(&format!(
            "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"work\"]\n\
             actions = [\"select\"]\nrows = {rows}\n[[roles.a.grants]]\ntables = [\"tenant\"]\nactions = [\"select\"]"
        ));
        let config = config.to_str().unwrap();
        let checked = run(&["check", "--config", config, "--database-url", &database.url]).await;
        let told = "roles.a.grants[0].rows: public.work: unknown_column: tenant is a relation: a claim is compared with a column";
        assert!(checked.out.contains(told), "{}", checked.out);
        // What is not offered is not refused for each claim anew.
        let arguments = [
            "call",
            "list_tables",
            r#"{"detail":"names"}"#,
            "--claims",
            r#"{"t": 1}"#,
            "--config",
            config,
            "--database-url",
            &database.url,
        ];
        let listed = run(&arguments).await;
        assert!(listed.out.contains("tenant") && !listed.out.contains("work"), "{}", listed.out);
    }
}

/// What the role's own condition says is not what its callers asked for.
#[tokio::test]
async fn notes_speak_of_the_callers_condition_alone() {
    let database = Database::of(
        "CREATE TABLE doc (id integer PRIMARY KEY, at timestamptz DEFAULT now(), body text, archived_at timestamptz);
         INSERT INTO doc VALUES (1, now(), 'x', NULL), (2, now(), 'x', now());",
    )
    .await;
    let config = "default_role = \"arch\"\n[roles.arch]\n[[roles.arch.grants]]\ntables = [\"*\"]\n\
         actions = [\"select\", \"update\"]\ncolumns = { exclude = [\"archived_at\"] }\n\
         rows = { or = [{ archived_at = { is_null = true } }, { at = { gt = { \"$now\" = \"claim:since\" } } }, \
         { archived_at = { gt = { \"$column\" = \"at\" } } }] }\n";
    let config = file(config);
    let config = config.to_str().unwrap();
    let checked = run(&["check", "--config", config, "--database-url", &database.url]).await;
    assert!(!checked.out.contains("rows:"), "{}", checked.out);
    for (tool, arguments) in [
        ("select", r#"{"table":"doc"}"#),
        ("aggregate", r#"{"table":"doc","measures":{"n":{"count":"*"}}}"#),
        ("update", r#"{"table":"doc","where":{"id":1},"updates":{"body":"y"}}"#),
    ] {
        let arguments = [
            "call",
            tool,
            arguments,
            "--claims",
            r#"{"since":"-1 day"}"#,
            "--config",
            config,
            "--database-url",
            &database.url,
        ];
        let ended = run(&arguments).await;
        assert_eq!(ended.status, Some(0), "{ended:?}");
        assert!(!ended.out.contains("archived"), "{ended:?}");
    }
}

/// A relation of the caller's may have the name that another one has in the condition of its role.
#[tokio::test]
async fn a_condition_is_asked_of_its_own_tables_join() {
    let database = Database::of(
        "CREATE TABLE clients (id integer PRIMARY KEY, ok boolean);
         CREATE TABLE customers (id integer PRIMARY KEY, ok boolean, name text);
         CREATE TABLE jobs (id integer PRIMARY KEY, n integer,
             customer_id integer CONSTRAINT customers_by_customer REFERENCES clients);
         INSERT INTO clients VALUES (1, true), (2, false);
         INSERT INTO customers VALUES (1, true, 'c1'), (2, true, 'c2');
         INSERT INTO jobs VALUES (1, 10, 1), (2, 20, 2);",
    )
    .await;
    let config = "default_role = \"jb\"\n[[relations]]\ntable = \"public.jobs\"\ncolumns = [\"customer_id\"]\n\
         to = \"public.customers\"\nreferences = [\"id\"]\n\
         [roles.jb]\n[[roles.jb.grants]]\ntables = [\"public.jobs\"]\nactions = [\"select\"]\n\
         rows = { customers_by_customer = { ok = true } }\n\
         [[roles.jb.grants]]\ntables = [\"public.customers\"]\nactions = [\"select\"]\n";
    let config = file(config);
    let config = config.to_str().unwrap();
    for (tool, arguments) in [
        (
            "aggregate",
            r#"{"table":"jobs","group_by":["id","customer.name"],"measures":{"s":{"sum":"n"}}}"#,
        ),
        ("select", r#"{"table":"jobs","columns":["id","customer.name"],"distinct":true}"#),
        ("select", r#"{"table":"jobs","columns":["id","customer.name"]}"#),
        ("select", r#"{"table":"jobs","columns":["id"],"order_by":["customer.name"]}"#),
    ] {
        let arguments =
            ["call", tool, arguments, "--config", config, "--database-url", &database.url];
        let ended = run(&arguments).await;
        assert_eq!(ended.status, Some(0), "{ended:?}");
        let reply: Value = serde_json::from_str(&ended.out).unwrap();
        let ids: Vec<&Value> = rows(&reply).iter().map(|row| &row["id"]).collect();
        assert_eq!(ids, [&json!(1)], "{reply}");
    }
}

#[tokio::test]
async fn a_preset_whose_column_is_gone_forbids_the_write() {
    let database = Database::of("CREATE TABLE a (id integer PRIMARY KEY, by_ text)").await;
    let writer = Grant {
        tables: vec!["public.a".into()],
        actions: [Action::Select, Action::Insert].into_iter().collect(),
        preset: object(json!({"by_": "w"})).into_iter().collect(),
        ..Grant::default()
    };
    let role = Role { name: "w".into(), grants: vec![writer], ..Role::default() };
    let settings = Settings { roles: vec![role], default_role: "w".into(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    database.sql("ALTER TABLE a RENAME by_ TO byy").await;
    engine.reload().await.unwrap();
    let insert = json!({"table": "a", "data": {"id": 1}});
    let refused = error(&engine, "w", "insert", insert).await;
    assert_eq!(refused["code"], "forbidden", "{refused}");
    assert!(refused["hint"].as_str().unwrap().contains("check"), "{refused}");
    let finding = "roles.w.grants[0].preset: no such table has a column \"by_\"; did you mean byy?";
    assert!(engine.findings().iter().any(|found| found == finding), "{:?}", engine.findings());
}
