//! What the server keeps between calls, and for whom: views of roles, prepared statements, PostgreSQL's plans.

use std::collections::BTreeMap;

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Role, Setting};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, error, rows};
use serde_json::{Map, Value, json};

/// Two roles of the database, for whom the same statements mean other rows and columns.
const FIXTURE: &str = "
    DO $$ BEGIN CREATE ROLE attack_cache_a; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    DO $$ BEGIN CREATE ROLE attack_cache_b; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    CREATE TABLE doc (id integer PRIMARY KEY, owner text, body text);
    CREATE TABLE part (id integer PRIMARY KEY, doc_id integer REFERENCES doc, text text);
    INSERT INTO doc VALUES (1, 'a', 'of a'), (2, 'b', 'of b'), (3, 'c', 'of c');
    INSERT INTO part VALUES (1, 1, 'a'), (2, 2, 'b'), (3, 2, 'b'), (4, 3, 'c');
    CREATE VIEW seen WITH (security_invoker) AS SELECT id, body FROM doc;
    ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
    CREATE POLICY a ON doc TO attack_cache_a USING (owner = 'a');
    CREATE POLICY b ON doc TO attack_cache_b USING (owner = 'b' OR owner = current_setting('app.more', true));
    GRANT SELECT, UPDATE ON doc, part, seen TO attack_cache_a, attack_cache_b;";

fn role(name: &str, database_role: &str) -> Role {
    Role {
        database_role: Some(database_role.into()),
        session: BTreeMap::from([("app.more".to_owned(), Setting::Claim("more".into()))]),
        ..Role::everywhere(name, [Action::Select, Action::Update])
    }
}

/// One connection for all: whoever comes next meets the statements and plans of the one before.
async fn engine(database: &Database, roles: Vec<Role>) -> Engine {
    let mut settings = Settings { roles, ..Settings::default() };
    settings.limits.max_connections = 1;
    settings.queries.directory = Some(crate::canned::directory([(
        "bodies.sql",
        "-- @roles a, b\nSELECT body FROM doc ORDER BY id",
    )]));
    database.engine_with(settings).await
}

#[tokio::test]
async fn a_plan_of_one_role_is_not_anothers() {
    let database = Database::of(FIXTURE).await;
    let roles = vec![role("a", "attack_cache_a"), role("b", "attack_cache_b")];
    let engine = engine(&database, roles).await;
    let ask = async |caller: &Principal, tool: &str, arguments: &Value| -> Value {
        let reply = call_as(&engine, caller, tool, arguments.clone()).await;
        reply.unwrap_or_else(|error| panic!("{tool} {arguments}: {error}"))
    };
    let (a, b) = (Principal::new("ann", "a"), Principal::new("bob", "b"));
    let more = Principal::new("bea", "b").claim("more", "c");
    let calls = [
        ("select", json!({"table": "doc", "columns": ["body"], "order_by": ["id"]})),
        (
            "select",
            json!({"table": "doc", "columns": ["body"], "where": {"id": {"gte": 1}}, "order_by": ["id"]}),
        ),
        ("bodies", json!({})),
    ];
    // PostgreSQL keeps a plan for all parameters after five executions.
    for round in 0..8 {
        for (tool, arguments) in &calls {
            let of = async |caller| {
                let reply = ask(caller, tool, arguments).await;
                rows(&reply).iter().map(|row| row["body"].clone()).collect::<Value>()
            };
            assert_eq!(of(&a).await, json!(["of a"]), "{round} {tool}");
            assert_eq!(of(&b).await, json!(["of b"]), "{round} {tool}");
            assert_eq!(of(&more).await, json!(["of b", "of c"]), "{round} {tool}");
            assert_eq!(of(&b).await, json!(["of b"]), "{round} {tool}");
        }
        // Through a relation, in a group, by key, and where a write looks for its rows.
        let parts = json!({"table": "part", "measures": {"n": {"count": "*"}}, "where": {"doc": {"id": {"gte": 1}}}});
        let owned = json!({"table": "part", "include": {"doc": true}, "where": {"id": 4}});
        let by_key = json!({"table": "doc", "where": {"id": 3}});
        let update =
            json!({"table": "doc", "where": {"id": 3}, "updates": {"body": "of c"}, "max_rows": 9});
        for (caller, count, sees) in [(&a, 1, false), (&b, 2, false), (&more, 3, true)] {
            let counted = ask(caller, "aggregate", &parts).await;
            assert_eq!(rows(&counted)[0]["n"], count, "{round} {counted}");
            let included = ask(caller, "select", &owned).await;
            assert_eq!(rows(&included)[0]["doc"].is_object(), sees, "{round} {included}");
            let found = ask(caller, "select", &by_key).await;
            assert_eq!(rows(&found).len(), usize::from(sees), "{round} {found}");
            let changed = ask(caller, "update", &update).await;
            assert_eq!(changed["row_count"], u32::from(sees), "{round} {changed}");
        }
    }
}

#[tokio::test]
async fn rights_that_are_taken_away_are_gone_from_what_is_prepared() {
    let database = Database::of(FIXTURE).await;
    let roles = vec![role("a", "attack_cache_a"), role("b", "attack_cache_b")];
    let engine = engine(&database, roles).await;
    let body = json!({"table": "doc", "columns": ["body"]});
    for _ in 0..6 {
        for name in ["a", "b"] {
            let caller = Principal::new("x", name);
            call_as(&engine, &caller, "select", body.clone()).await.unwrap();
        }
    }
    // Between two calls, and before the server has noticed: PostgreSQL asks anew each time.
    database
        .sql("REVOKE SELECT ON doc FROM attack_cache_a; GRANT SELECT (id) ON doc TO attack_cache_a")
        .await;
    let refused = error(&engine, "a", "select", body.clone()).await;
    assert!(
        ["forbidden", "unknown_column"].contains(&refused["code"].as_str().unwrap()),
        "{refused}"
    );
    assert!(!refused.to_string().contains("of a"), "{refused}");
    call_as(&engine, &Principal::new("x", "b"), "select", body.clone()).await.unwrap();
    // Once it has, the column is one that can only be written.
    engine.reload().await.unwrap();
    assert_eq!(error(&engine, "a", "select", body).await["code"], "forbidden");
}

#[tokio::test]
async fn roles_that_exchange_their_grants_exchange_all() {
    let database = Database::of(FIXTURE).await;
    let wide = |name: &str| Role::everywhere(name, [Action::Select]);
    let narrow = |name: &str| {
        let mut role = Role::everywhere(name, [Action::Select]);
        role.grants = vec![Grant {
            rows: Some(Map::from_iter([("owner".to_owned(), json!("claim:sub"))])),
            columns: ColumnRules { exclude: vec!["body".into()], ..ColumnRules::default() },
            ..super::grant(&["public.doc"], &[Action::Select])
        }];
        role
    };
    let engine = engine(&database, vec![wide("x"), narrow("y")]).await;
    let a = |role: &str| Principal::new("a", role).claim("sub", "a");
    let doc = || json!({"table": "doc", "order_by": ["id"]});
    let page = json!({"table": "doc", "order_by": ["-body"], "limit": 1});
    for round in 0..6 {
        let (big, small) = if round % 2 == 0 { ("x", "y") } else { ("y", "x") };
        let all = call_as(&engine, &a(big), "select", doc()).await.unwrap();
        assert_eq!(rows(&all).len(), 3, "{round}");
        assert_eq!(rows(&all)[0]["body"], "of a");
        let own = call_as(&engine, &a(small), "select", doc()).await.unwrap();
        assert_eq!(own["rows"], json!([{"id": 1, "owner": "a"}]), "{round}");
        for (tool, arguments, code) in [
            ("select", json!({"table": "part"}), "unknown_table"),
            ("select", json!({"table": "doc", "columns": ["body"]}), "unknown_column"),
            ("describe_table", json!({"table": "part"}), "unknown_table"),
        ] {
            assert_eq!(error(&engine, small, tool, arguments).await["code"], code, "{round}");
        }
        let told = call_as(&engine, &a(small), "describe_table", json!({"table": "doc"})).await;
        assert!(!told.unwrap().to_string().contains("body"), "{round}");
        let listed = call_as(&engine, &a(small), "list_tables", json!({})).await.unwrap();
        assert!(!listed.to_string().contains("part"), "{listed}");
        // A page that was begun with more rights does not go on with fewer.
        let begun = call_as(&engine, &a(big), "select", page.clone()).await.unwrap();
        let mut next = page.clone();
        next["cursor"] = begun["next_cursor"].clone();
        let (now_big, now_small) = (wide(small), narrow(big));
        let settings = Settings { roles: vec![now_big, now_small], ..(*engine.settings()).clone() };
        engine.reconfigure(settings).await.unwrap();
        let refused = error(&engine, big, "select", next).await;
        assert_eq!(refused["code"], "unknown_column", "{round} {refused}");
    }
}

#[tokio::test]
async fn long_or_rare_statements_are_not_kept_prepared() {
    let database = Database::of(
        "CREATE TABLE item (id integer PRIMARY KEY, a numeric, b numeric, c numeric, up_id integer REFERENCES item);
         INSERT INTO item SELECT n, n, n, n FROM generate_series(1, 20) n;
         CREATE VIEW kept AS SELECT statement FROM pg_prepared_statements WHERE NOT from_sql;",
    )
    .await;
    let mut settings = Settings::default();
    settings.limits.max_connections = 1;
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("x", "operator");
    let kept = async || {
        let arguments = json!({"table": "kept", "limit": 500});
        let reply = call_as(&engine, &caller, "select", arguments).await.unwrap();
        let kept = rows(&reply).iter().map(|row| row["statement"].as_str().unwrap().to_owned());
        kept.filter(|text| text.contains("\"item\"")).collect::<Vec<String>>()
    };
    let sum = |parts: usize| {
        let parts: Vec<Value> = (0..parts).map(|part| json!(["a", "b", "c"][part % 3])).collect();
        json!({"as": "s", "add": parts})
    };
    for parts in [3, 200] {
        let select = json!({"table": "item", "columns": ["id", sum(parts)]});
        call_as(&engine, &caller, "select", select).await.unwrap();
    }
    // Joins take more than their text.
    for hops in [3, 14] {
        let path = ["up"].repeat(hops).join(".") + ".a";
        let select = json!({"table": "item", "columns": ["id", path]});
        call_as(&engine, &caller, "select", select).await.unwrap();
    }
    let updates = (1..=20).map(|id| {
        let parts: Vec<Value> = (0..=id).map(|part| json!(["a", "b"][part % 2])).collect();
        json!({"id": id, "c": {"$compute": {"add": parts}}})
    });
    let updates = json!({"table": "item", "where": {}, "updates": updates.collect::<Vec<_>>()});
    call_as(&engine, &caller, "update", updates).await.unwrap();
    let ways = (1..=101).map(|id| {
        let parts: Vec<Value> = (0..=id).map(|_| json!("a")).collect();
        json!({"id": id, "c": {"$compute": {"add": parts}}})
    });
    let ways = json!({"table": "item", "where": {}, "updates": ways.collect::<Vec<_>>()});
    let told = call_as(&engine, &caller, "update", ways).await.unwrap_err();
    assert_eq!(told.get_at(), Some("/updates/100"), "{told}");
    let one =
        json!({"table": "item", "where": {}, "updates": [{"id": 1, "c": 5}, {"id": 2, "c": 6}]});
    call_as(&engine, &caller, "update", one).await.unwrap();
    let kept = kept().await;
    let of = |verb: &str| kept.iter().filter(|text| text.starts_with(verb)).count();
    assert_eq!(of("UPDATE"), 1, "{kept:#?}");
    assert!(kept.iter().all(|text| text.len() <= 4096), "{kept:#?}");
    let joins: Vec<usize> = kept.iter().map(|text| text.matches(" JOIN ").count()).collect();
    assert!(joins.contains(&3) && joins.iter().all(|joins| *joins < 14), "{joins:?}");
    assert!(
        kept.iter().any(
            |text| text.starts_with("SELECT") && text.contains("numeric") || text.contains("+")
        ),
        "{kept:#?}"
    );
}
