//! The planner's estimates: they are made from all rows, those of others too.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call_as, object};
use serde_json::{Value, json};

#[tokio::test]
async fn no_estimate_tells_of_rows_that_conditions_hide() {
    // Half of all rows, none of them of the caller's tenant, have one value.
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, tenant integer, word text);
         INSERT INTO entry SELECT n, n % 2, CASE n % 2 WHEN 0 THEN 'merger' ELSE 'w' || n END
         FROM generate_series(1, 4000) n;
         CREATE TABLE guarded AS SELECT * FROM entry;
         ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON guarded USING (tenant = 1);
         DO $$ BEGIN CREATE ROLE attack_estimated;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         GRANT SELECT ON guarded TO attack_estimated;
         CREATE TABLE remark (id integer PRIMARY KEY, entry_id integer REFERENCES entry);
         INSERT INTO remark SELECT n, n FROM generate_series(1, 4000) n;
         ANALYZE",
    )
    .await;
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: [Action::Select].into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let role = Role {
        name: "tenant".into(),
        grants: vec![
            grant("public.entry", Some(json!({"tenant": 1}))),
            grant("public.remark", None),
        ],
        ..Role::default()
    };
    let bound = Role {
        database_role: Some("attack_estimated".into()),
        ..Role::everywhere("bound", [Action::Select])
    };
    let roles = vec![role, bound];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    let told = async |tool: &str, table: &str, filter: Value| {
        let role = if table == "guarded" { "bound" } else { "tenant" };
        let caller = Principal::new("mallory", role);
        let arguments = match tool {
            "explain" => json!({"operation": "select", "table": table, "where": filter}),
            _ => json!({"table": table, "where": filter, "count": "estimated", "columns": ["id"]}),
        };
        let mut reply = call_as(&engine, &caller, tool, arguments).await.unwrap();
        // Notes speak of the condition, in its words.
        reply.as_object_mut().unwrap().remove("notes");
        reply
    };
    for (table, of) in [
        ("entry", (|word: &str| json!({"word": word})) as fn(&str) -> Value),
        ("remark", |word| json!({"entry": {"word": word}})),
        ("guarded", |word| json!({"word": word})),
    ] {
        for tool in ["explain", "select"] {
            let hidden = told(tool, table, of("merger")).await;
            let absent = told(tool, table, of("nowhere")).await;
            if tool == "select" {
                assert_eq!(hidden, absent, "{table}");
                assert_eq!(hidden["count"], 0, "{hidden}");
            } else {
                for (what, value) in
                    [("rows", &hidden["estimated_rows"]), ("cost", &hidden["estimated_cost"])]
                {
                    assert!(value.is_null(), "{table} {what}: {hidden}");
                }
                assert!(!hidden.to_string().contains("cost "), "{hidden}");
                assert!(hidden["plan"].get("rows").is_none(), "{hidden}");
            }
        }
    }
}

#[tokio::test]
async fn no_step_of_a_plan_that_ran_tells_of_rows_that_are_hidden() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE attack_estimate;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE client (id integer PRIMARY KEY, tenant integer);
         INSERT INTO client VALUES (1, 1), (2, 2);
         CREATE TABLE ticket (id integer PRIMARY KEY, client_id integer REFERENCES client, body text);
         INSERT INTO ticket VALUES (1, 1, 'help'), (2, 2, 'the pin is 4711'), (3, 2, 'thanks');
         CREATE INDEX ON ticket (body text_pattern_ops);
         CREATE TABLE note (id integer PRIMARY KEY, body text);
         INSERT INTO note SELECT id, body FROM ticket;
         CREATE INDEX ON note (body);
         ALTER TABLE note ENABLE ROW LEVEL SECURITY;
         CREATE POLICY few ON note USING (id = 1);
         CREATE VIEW helped AS SELECT t.id, t.body FROM ticket t JOIN client c ON c.id = client_id WHERE tenant = 1;
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO attack_estimate",
    )
    .await;
    let mut ruled = Role { analyze: true, ..Role::everywhere("ruled", [Action::Select]) };
    ruled.grants[0].rows = None;
    ruled.grants.insert(
        0,
        Grant {
            tables: vec!["public.ticket".into()],
            actions: [Action::Select].into_iter().collect(),
            rows: Some(object(json!({"client": {"tenant": 1}}))),
            ..Grant::default()
        },
    );
    let plain = Role {
        analyze: true,
        database_role: Some("attack_estimate".into()),
        ..Role::everywhere("plain", [Action::Select])
    };
    let roles = vec![ruled, plain];
    let engine = database.engine_with(Settings { roles, ..Settings::default() }).await;
    for (role, table, open) in [
        ("ruled", "ticket", false),
        ("plain", "note", false),
        ("plain", "helped", false),
        ("plain", "ticket", true),
    ] {
        let run = async |word: &str| {
            let arguments = json!({"operation": "select", "table": table, "analyze": true,
                "where": {"body": {"starts_with": word}}, "columns": ["id"]});
            let told =
                call_as(&engine, &Principal::new("mallory", role), "explain", arguments).await;
            let told = told.unwrap();
            (told["plan"]["actual_rows"].as_f64(), told["plan"]["inputs"].to_string())
        };
        // The number of rows is that of the reply; a step before it would tell whether the guess was right.
        let ((rows, hidden), (none, absent)) =
            (run("the pin is 4").await, run("the pin is 5").await);
        let found = if open { 1.0 } else { 0.0 };
        assert_eq!((rows, none), (Some(found), Some(0.0)), "{role} {table}");
        for steps in [&hidden, &absent] {
            assert_eq!(steps.contains("actual_rows"), open, "{role} {table}: {steps}");
            assert_eq!(steps.contains("milliseconds"), open, "{role} {table}: {steps}");
        }
    }
}

#[tokio::test]
async fn no_step_tells_of_rows_that_a_related_view_leaves_out() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE attack_related;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE ticket (id integer PRIMARY KEY, tenant integer, body text);
         INSERT INTO ticket VALUES (1, 1, 'help'), (2, 2, 'the pin is 4711');
         CREATE VIEW helped AS SELECT id, body FROM ticket WHERE tenant = 1;
         CREATE TABLE visit (id integer PRIMARY KEY, helped_id integer);
         INSERT INTO visit VALUES (1, 1), (2, 2);
         GRANT SELECT ON ALL TABLES IN SCHEMA public TO attack_related",
    )
    .await;
    let mut role = Role {
        analyze: true,
        database_role: Some("attack_related".into()),
        ..Role::everywhere("plain", [Action::Select])
    };
    role.grants[0].columns.exclude = vec!["tenant".into()];
    let relation = |(table, column): (&str, &str), to: &str, name: &str, inverse: &str| {
        let names = (Some(name.to_owned()), Some(inverse.to_owned()));
        let (columns, references) = (vec![column.to_owned()], vec!["id".to_owned()]);
        let (table, to, (name, inverse)) = (table.to_owned(), to.to_owned(), names);
        DeclaredRelation { table, columns, to, references, name, inverse }
    };
    let relations = vec![
        relation(("visit", "helped_id"), "helped", "helped", "visits"),
        relation(("helped", "id"), "visit", "seen", "helps"),
    ];
    let settings = Settings { roles: vec![role], relations, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("mallory", "plain");
    let body = json!({"body": {"starts_with": "the pin"}});
    let count = json!({"n": {"count": "*"}});
    for (operation, arguments, open) in [
        ("select", json!({"order_by": ["helped_id"]}), true),
        ("select", json!({"order_by": ["helped.body"]}), false),
        ("select", json!({"order_by": [{"count": "helps", "where": body}]}), false),
        ("select", json!({"where": {"helped": body}}), false),
        ("select", json!({"where": {"helps": {"count": 0, "where": body}}}), false),
        ("select", json!({"include": {"helps": {"where": body}}}), false),
        ("aggregate", json!({"group_by": ["helped_id"], "measures": count}), true),
        ("aggregate", json!({"group_by": ["helped.body"], "measures": count}), false),
        ("aggregate", json!({"measures": {"n": {"max": "helped.body"}}}), false),
        ("aggregate", json!({"measures": {"n": {"count": "*", "where": {"helped": body}}}}), false),
    ] {
        let mut arguments = arguments;
        arguments["operation"] = json!(operation);
        arguments["table"] = json!("visit");
        arguments["analyze"] = json!(true);
        let told = call_as(&engine, &caller, "explain", arguments.clone()).await.unwrap();
        let steps = told["plan"]["inputs"].to_string();
        assert_eq!(steps.contains("actual_rows"), open, "{arguments}: {steps}");
    }
}

#[tokio::test]
async fn no_estimate_tells_of_rows_beneath_a_view() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE attack_beneath;
             EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE guarded (id integer PRIMARY KEY, tenant integer, word text);
         INSERT INTO guarded SELECT n, n % 2, CASE n % 2 WHEN 0 THEN 'merger' ELSE 'w' || n END
         FROM generate_series(1, 4000) n;
         ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
         CREATE POLICY own ON guarded USING (tenant = 1);
         CREATE VIEW own AS SELECT id, word FROM guarded WHERE tenant = 1;
         CREATE SCHEMA aside;
         CREATE TABLE aside.guarded (id integer PRIMARY KEY, own_id integer);
         INSERT INTO aside.guarded SELECT n, n FROM generate_series(1, 4000) n;
         GRANT USAGE ON SCHEMA aside TO attack_beneath;
         GRANT SELECT ON own, aside.guarded TO attack_beneath;
         ANALYZE",
    )
    .await;
    let role = Role {
        database_role: Some("attack_beneath".into()),
        ..Role::everywhere("beneath", [Action::Select])
    };
    let schemas = vec!["public".into(), "aside".into()];
    let settings = Settings { roles: vec![role], schemas, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("mallory", "beneath");
    let told = async |word: &str| {
        let filter = json!({"word": word});
        let explain = json!({"operation": "select", "table": "own", "where": filter});
        let plan = call_as(&engine, &caller, "explain", explain).await.unwrap();
        let count = json!({"table": "own", "where": filter, "count": "estimated", "columns": ["id"], "limit": 0});
        (plan, call_as(&engine, &caller, "select", count).await.unwrap())
    };
    let ((plan, hidden), (_, absent)) = (told("merger").await, told("nowhere").await);
    assert!(plan["estimated_rows"].is_null() && plan["estimated_cost"].is_null(), "{plan}");
    assert!(!plan.to_string().contains("cost ") && plan["plan"].get("rows").is_none(), "{plan}");
    // The table of the same name in another schema is no excuse.
    assert!(!plan.to_string().contains("guarded"), "{plan}");
    assert_eq!((&hidden["count"], &absent["count"]), (&json!(0), &json!(0)));
    let explain = json!({"operation": "select", "table": "aside.guarded", "where": {"own_id": 5}});
    let plan = call_as(&engine, &caller, "explain", explain).await.unwrap();
    assert!(plan["estimated_rows"].is_number(), "{plan}");
}
