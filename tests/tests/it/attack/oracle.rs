//! Values that PostgreSQL refuses only where a row is there to meet them: whether they are refused must not tell of rows
//! that the caller's conditions leave out.

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call_as, object};
use serde_json::{Value, json};

/// A row of another's, and a table in which every text counts as equal to some others.
const FIXTURE: &str = r#"
    CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE people (id integer PRIMARY KEY, tenant integer, name text, code text COLLATE "C", alias text COLLATE "POSIX",
        loose text COLLATE loose, made timestamptz);
    INSERT INTO people VALUES (1, 2, 'zebra-secret-99', 'c', 'a', 'l', '2020-01-01'), (1000, 1, 'own', 'c', 'a', 'l', '2020-01-01');
    CREATE TABLE visit (id integer PRIMARY KEY, person_id integer REFERENCES people);
    INSERT INTO visit VALUES (1, 1), (2, 1000);
    CREATE TABLE event (id integer PRIMARY KEY, person_id integer REFERENCES people, day date, at timestamp, made timestamptz, sum numeric, meta jsonb,
        spot point DEFAULT '(1,2)', ring circle DEFAULT '<(1,2),3>', plot polygon DEFAULT '((0,0),(1,1),(2,0))', way line DEFAULT '{1,2,3}', span daterange DEFAULT '[2026-01-01,2026-02-01)');
    INSERT INTO event VALUES (1, 1, '5874897-12-31', '4714-11-24 BC', '294276-12-31 23:59:59+00'),
        (2, 1, '4714-11-24 BC', '294276-12-31 23:59:59', '4714-11-24 00:00:00+00 BC'), (3, 1000, 'infinity', '-infinity', 'infinity'),
        (4, 1000, '2026-05-06', '2026-05-06 07:08', '2026-05-06 07:08:00+00'), (5, 1000, '5874897-12-31', NULL, NULL);
    UPDATE event SET sum = 20, meta = '{"n": 20}' WHERE id IN (2, 4);
    UPDATE event SET sum = ('1' || repeat('0', 130000))::numeric, meta = jsonb_build_object('n', sum) WHERE id = 1;
    CREATE VIEW own_people AS SELECT id, name FROM people WHERE tenant = 1;"#;

async fn engine(database: &Database, plans: &str) -> Engine {
    // As after some runs of the same statement on one connection.
    let set = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = {plans}', current_database()); END $$"
    );
    database.sql(&set).await;
    let grant = |table: &str, rows: Option<Value>| Grant {
        tables: vec![table.to_owned()],
        actions: [Action::Select, Action::Update, Action::Delete].into_iter().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let grants = vec![
        grant("public.people", Some(json!({"tenant": 1}))),
        grant("public.visit", None),
        grant("public.own_people", None),
        grant("public.event", Some(json!({"person": {"tenant": 1}}))),
    ];
    let role = Role { name: "tenant".into(), grants, ..Role::default() };
    let mut settings = Settings { roles: vec![role], ..Settings::default() };
    settings.limits.max_connections = 1;
    settings.archive.allow_hard_delete = true;
    database.engine_with(settings).await
}

/// What the caller is told, without what was asked.
async fn told(engine: &Engine, tool: &str, arguments: Value) -> String {
    let caller = Principal::new("mallory", "tenant");
    match call_as(engine, &caller, tool, arguments).await {
        Ok(reply) => reply.to_string(),
        Err(error) => format!("refused: {}", serde_json::to_string(&error).unwrap()),
    }
}

/// A tool, and its arguments with a condition on people.
type Way = (&'static str, fn(Value) -> Value);

#[tokio::test]
async fn no_refused_pattern_or_zone_tells_of_a_hidden_row() {
    let database = Database::of(FIXTURE).await;
    let ways: [Way; 12] = [
        ("select", |filter| json!({"table": "people", "where": filter})),
        ("select", |filter| json!({"table": "people", "where": {"or": [filter, {"id": 5000}]}})),
        (
            "select",
            |filter| json!({"table": "people", "where": {"not": filter}, "columns": ["id"]}),
        ),
        (
            "select",
            |filter| json!({"table": "people", "where": filter, "count": "exact", "limit": 1}),
        ),
        ("select", |filter| json!({"table": "own_people", "where": filter})),
        ("select", |filter| json!({"table": "visit", "where": {"person": filter}})),
        ("select", |filter| {
            json!({"table": "visit", "include": {"person": {"columns": ["id"]}},
            "order_by": ["person.name"], "where": {"or": [{"id": 99}, {"person": filter}]}})
        }),
        (
            "select",
            |filter| json!({"table": "people", "columns": ["id"], "include": {"visit": {"where": {"person": filter}}}}),
        ),
        (
            "aggregate",
            |filter| json!({"table": "people", "measures": {"n": {"count": "*", "where": filter}}}),
        ),
        ("aggregate", |filter| {
            json!({"table": "people", "group_by": ["id", "name"],
            "measures": {"n": {"count": "*"}}, "having": filter})
        }),
        (
            "update",
            |filter| json!({"table": "people", "where": filter, "updates": {"code": "x"}, "dry_run": true, "max_rows": 9}),
        ),
        (
            "delete",
            |filter| json!({"table": "people", "where": filter, "dry_run": true, "max_rows": 9}),
        ),
    ];
    for plans in ["force_generic_plan", "force_custom_plan"] {
        let engine = engine(&database, plans).await;
        for (tool, arguments) in ways {
            for test in [
                json!({"matches": "("}),
                json!({"imatches": "a{2,1}"}),
                json!({"like": "zebra\\"}),
                json!({"ilike": "zebra\\\\\\"}),
            ] {
                let asked = async |from: i32, to: i32| {
                    let filter = json!({"id": {"gte": from, "lte": to}, "name": test});
                    told(&engine, tool, arguments(filter)).await
                };
                let (hidden, absent) = (asked(1, 1).await, asked(2, 2).await);
                assert_eq!(hidden, absent, "{plans} {tool} {test}");
                assert!(hidden.starts_with("refused"), "{plans} {tool} {test}: {hidden}");
                assert!(hidden.contains("invalid_value"), "{plans} {tool} {test}: {hidden}");
            }
        }
        let zone = async |id: i32| {
            let group =
                json!({"column": "made", "bucket": "day", "time_zone": "Nowhere", "as": "day"});
            let arguments = json!({"table": "people", "where": {"id": id}, "group_by": [group],
                "measures": {"n": {"count": "*"}}, "having": {"day": {"gt": "2000-01-01"}}});
            told(&engine, "aggregate", arguments).await
        };
        let (hidden, absent) = (zone(1).await, zone(2).await);
        assert_eq!(hidden, absent, "{plans}");
        assert!(hidden.contains("no such time zone"), "{hidden}");
    }
}

#[tokio::test]
async fn no_moment_that_cannot_be_cut_tells_of_a_hidden_row() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database, "auto").await;
    let cut = async |id: Value, column: &str, bucket: &str, zone: Option<&str>| {
        let group = json!({"column": column, "bucket": bucket, "time_zone": zone, "as": "g"});
        let arguments = json!({"table": "event", "where": {"id": id}, "group_by": [group],
            "measures": {"n": {"count": "*"}}, "having": {"g": {"gt": "-infinity"}}, "order_by": ["g"], "limit": 1});
        told(&engine, "aggregate", arguments).await
    };
    for (column, zone) in [
        ("day", None),
        ("at", None),
        ("made", None),
        ("made", Some("Asia/Tokyo")),
        ("made", Some("-15:59")),
    ] {
        for bucket in ["day", "week", "month", "quarter", "year"] {
            let absent = cut(json!(99), column, bucket, zone).await;
            assert!(absent.contains("\"row_count\":0"), "{absent}");
            for id in [1, 2] {
                let hidden = cut(json!(id), column, bucket, zone).await;
                assert_eq!(hidden, absent, "{column} {bucket} {zone:?}");
            }
        }
    }
    for (id, column, expected) in [
        (4, "day", "2026-05-01"),
        (4, "at", "2026-05-01T00:00:00"),
        (4, "made", "2026-05-01T00:00:00Z"),
        (3, "day", "infinity"),
        (3, "made", "infinity"),
        (5, "day", "5874897-12-31"),
    ] {
        let seen = cut(json!(id), column, "month", None).await;
        assert!(seen.contains(&format!("\"g\":\"{expected}\"")), "{seen}");
    }
}

#[tokio::test]
async fn patterns_are_not_offered_under_nondeterministic_collations() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database, "auto").await;
    for id in [1, 2] {
        for operator in
            ["like", "ilike", "starts_with", "ends_with", "contains", "matches", "imatches"]
        {
            let filter = json!({"id": id, "loose": {operator: "x"}});
            let told = told(&engine, "select", json!({"table": "people", "where": filter})).await;
            assert!(told.contains("unknown_operator"), "{operator}: {told}");
        }
        let filter = json!({"id": id, "code": {"$column": "alias"}});
        let told = told(&engine, "select", json!({"table": "people", "where": filter})).await;
        assert!(told.contains("invalid_value"), "{told}");
    }
    // What is left compares as the collation says.
    for filter in [
        json!({"loose": "L"}),
        json!({"loose": {"in": ["L"]}}),
        json!({"name": {"$column": "code"}, "id": 1}),
    ] {
        let told = told(&engine, "select", json!({"table": "people", "where": filter})).await;
        assert!(told.contains("\"row_count\""), "{told}");
    }
    let described = told(&engine, "describe_table", json!({"table": "people"})).await;
    assert!(described.contains("loose"), "{described}");
}

#[tokio::test]
async fn no_product_that_is_no_number_tells_of_a_hidden_row() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database, "auto").await;
    // With twenty for the sum, the power of the group has more digits than there are, and with two it has not.
    let many = |factor: Value, number: usize| json!({"multiply": vec![factor; number]});
    let product = |of: &Value| {
        let mut factors = vec![json!(1_000_000_000_000_000_i64); 86];
        factors.insert(0, of.clone());
        factors.push(json!(700_000));
        json!({"multiply": factors})
    };
    for of in [json!("sum"), json!({"column": "meta", "path": ["n"]})] {
        let mut group = product(&of);
        group["as"] = json!("g");
        let power = many(json!("g"), 100);
        let grouped = |id: i32, rest: Value| {
            let mut asked = json!({"table": "event", "where": {"id": id}, "group_by": [group.clone()],
                "measures": {"n": {"count": "*"}, "m": power}});
            asked.as_object_mut().unwrap().extend(object(rest));
            asked
        };
        let mut computed = many(json!("g"), 100);
        computed["gt"] = json!(0);
        for rest in [json!({"having": {"m": {"gt": 0}}}), json!({"having": {"compute": computed}})]
        {
            let absent = told(&engine, "aggregate", grouped(99, rest.clone())).await;
            assert!(absent.contains("\"row_count\":0"), "{absent}");
            for id in [1, 2] {
                let hidden = told(&engine, "aggregate", grouped(id, rest.clone())).await;
                assert_eq!(hidden, absent, "{of} {rest}");
            }
            let own = told(&engine, "aggregate", grouped(4, rest)).await;
            assert!(own.contains("\"row_count\":"), "{own}");
        }
        let compare = |id: i32| {
            let mut product = many(of.clone(), 3);
            product["gt"] = json!(1);
            json!({"table": "event", "where": {"and": [{"id": id}, {"compute": product}]}, "columns": ["id"]})
        };
        let absent = told(&engine, "select", compare(99)).await;
        assert_eq!(told(&engine, "select", compare(1)).await, absent);
        assert!(told(&engine, "select", compare(4)).await.contains("\"row_count\":1"));
    }
    let parts =
        json!({"table": "event", "columns": ["id", {"multiply": vec!["sum"; 300], "as": "m"}]});
    let refused = told(&engine, "select", parts).await;
    assert!(refused.contains("limit_exceeded") && refused.contains("256"), "{refused}");
}

#[tokio::test]
async fn no_area_and_no_range_that_cannot_be_made_tells_of_a_hidden_row() {
    let database = Database::of(FIXTURE).await;
    for plans in ["force_generic_plan", "force_custom_plan"] {
        let engine = engine(&database, plans).await;
        let ask = async |id: i32, test: &Value| {
            let filter = json!({"and": [{"id": id}, {"or": [{"sum": {"lt": 0}}, test]}]});
            told(&engine, "select", json!({"table": "event", "columns": ["id"], "where": filter}))
                .await
        };
        let far = "1.7e308";
        for test in [
            json!({"spot": {"contained_by": format!("<({far},{far}),5>")}}),
            json!({"spot": {"contained_by": format!("(({far},{far}),(-{far},-{far}),({far},-{far}))")}}),
            json!({"ring": {"contains": format!("({far},{far})")}}),
            json!({"ring": {"contains": [1.7e308, 1.7e308]}}),
            json!({"ring": {"contains": format!("<({far},{far}),5>")}}),
            json!({"ring": {"contains": "<(0x1p1023,0),5>"}}),
            json!({"ring": {"contains": "(Infinity,0)"}}),
            json!({"plot": {"contains": "((5e-324,0),(0,1),(0,0.5))"}}),
            json!({"plot": {"contains": "((0,1e-100),(1,0),(5e-324,1))"}}),
        ] {
            let hidden = ask(2, &test).await;
            assert_eq!(hidden, ask(99, &test).await, "{plans} {test}");
            assert!(hidden.contains("invalid_value"), "{plans} {test}: {hidden}");
        }
        for (column, from) in [
            ("spot", format!("({far},{far})")),
            ("plot", "((5e-324,0),(0,1),(0,0.5))".to_owned()),
            ("way", "{1e15,1e15,1e-15}".to_owned()),
        ] {
            let order =
                json!({"table": "event", "order_by": [{"column": column, "distance": from}]});
            let refused = told(&engine, "select", order).await;
            assert!(refused.contains("invalid_value"), "{column}: {refused}");
        }
        let near = json!({"spot": {"contained_by": "<(1,2),1>"}, "ring": {"contains": [1, 2]}});
        assert!(ask(4, &near).await.contains("\"row_count\":1"));
        for (lower, upper, bounds) in [
            (json!({"$now": true}), json!("5874897-12-31"), "[]"),
            (json!({"$now": true}), json!("5874897-12-31"), "(]"),
            (json!("5874897-12-31"), json!({"$now": true}), "(]"),
            (json!("5874897-12-31"), Value::Null, "(]"),
            (json!({"$now": true}), json!("2020-01-01"), "[]"),
        ] {
            for operator in ["overlaps", "contains", "contained_by", "eq", "is_distinct_from"] {
                let test =
                    json!({"span": {operator: {"lower": lower, "upper": upper, "bounds": bounds}}});
                let hidden = ask(2, &test).await;
                assert_eq!(hidden, ask(99, &test).await, "{plans} {test}");
            }
        }
        let this = json!({"span": {"overlaps": {"lower": "2026-01-31", "upper": {"$now": "100 years"}, "bounds": "[]"}}});
        assert!(ask(4, &this).await.contains("\"row_count\":1"));
    }
}
