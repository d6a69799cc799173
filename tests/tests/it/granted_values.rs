//! The values of row conditions and presets: they come from the role, and have no place in the arguments.

use std::sync::OnceLock;

use mcp_pg_core::plan::{Assign, CursorKey, InsertPlan, Operand, Scope, SelectPlan};
use mcp_pg_core::policy::{Action, Grant, Role, Texts};
use mcp_pg_core::{Code, Principal, Request, Settings, statement};
use mcp_pg_tests::{Database, call_as, object, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE place (id integer PRIMARY KEY, name text, size numeric, at timestamptz, made date,
                        stay tstzrange, meta jsonb, tags text[]);
    CREATE TABLE visit (id integer PRIMARY KEY, place_id integer REFERENCES place, cost numeric, note text);";

/// Row conditions that contain each kind of value.
fn rules() -> Vec<Value> {
    vec![
        json!({"name": "claim:name"}),
        json!({"name": {"like": "claim:name", "ne": "x"}}),
        json!({"name": {"starts_with": "claim:name"}}),
        json!({"name": {"search": "claim:name", "language": "english"}}),
        json!({"name": {"in": ["claim:name", "y"]}}),
        json!({"size": {"gt": 1.5}}),
        json!({"at": {"gt": {"$now": "-1 day"}}}),
        json!({"at": {"part": "hour", "time_zone": "Europe/Berlin", "lt": 9}}),
        json!({"stay": {"contains": "claim:stay"}}),
        json!({"stay": {"overlaps": {"lower": {"$now": "-1 day"}, "upper": "2030-01-01T00:00:00Z"}}}),
        json!({"meta": {"path": ["a", 1], "eq": "claim:name"}}),
        json!({"meta": {"contains": {"a": 1}}}),
        json!({"meta": {"has_key": "x"}}),
        json!({"tags": {"contains": ["x"]}}),
        json!({"compute": {"subtract": [{"$now": true}, "at"], "gt": 3}}),
        json!({"compute": {"add": ["at", {"interval": "1 day"}], "gt": {"$now": true}}}),
        json!({"compute": {"multiply": ["size", 3], "gt": "claim:least"}}),
        json!({"compute": {"sum": "visit.cost", "where": {"note": "claim:name"}, "gt": 3}}),
        json!({"visit": {"some": {"note": {"contains": "claim:name"}}}}),
        json!({"visit": {"count": {"gt": 2}, "where": {"cost": {"gt": 1}}}}),
    ]
}

fn caller() -> Principal {
    let caller = Principal::new("x", "agent").claim("name", "n").claim("least", 2);
    caller.claim("stay", "[2024-01-01T00:00:00Z,2025-01-01T00:00:00Z)")
}

fn settings(rows: Option<Value>, preset: Value) -> Settings {
    let grant = |table: &str| Grant {
        tables: vec![table.to_owned()],
        actions: Action::ALL.into_iter().collect(),
        ..Grant::default()
    };
    let preset = object(preset).into_iter().collect();
    let place = Grant { rows: rows.map(object), preset, ..grant("public.place") };
    let grants = vec![place, grant("public.visit")];
    let role = Role { name: "agent".to_owned(), grants, ..Role::default() };
    Settings { roles: vec![role], default_role: "agent".to_owned(), ..Settings::default() }
}

fn request(tool: &str, arguments: Value) -> Request {
    Request::parse(tool, object(arguments)).unwrap()
}

#[tokio::test]
async fn values_of_a_row_condition_have_no_place() {
    let database = Database::of(FIXTURE).await;
    for rule in rules() {
        let engine = database.engine_with(settings(Some(rule.clone()), json!({}))).await;
        let (caller, settings) = (caller(), engine.settings());
        let view = engine.view(&caller).unwrap();
        let scope = Scope::new(&view, &settings, &caller);
        let select = request("select", json!({"table": "place", "where": {"id": {"gt": 5}}}));
        let Request::Select(select) = &select else { unreachable!() };
        let derived = OnceLock::new();
        let plan = SelectPlan::new(&scope, select, &CursorKey::new(b"secret"), &derived);
        let plan = plan.unwrap_or_else(|error| panic!("{rule}: {error}"));
        let parameters = statement::select(&plan, &Texts::default()).parameters;
        let (own, granted): (Vec<_>, Vec<_>) =
            parameters.iter().partition(|operand| operand.place().is_some());
        let own: Vec<_> = own.into_iter().filter_map(Operand::place).collect();
        assert_eq!(own, ["/where/id/gt"], "{rule}");
        assert!(!granted.is_empty(), "{rule}");
    }
}

#[tokio::test]
async fn values_of_a_preset_have_no_place() {
    let database = Database::of(FIXTURE).await;
    let preset = json!({
        "name": "claim:name", "size": 3, "at": {"$now": "-1 day"}, "tags": ["x"], "meta": {"$literal": {"a": 1}},
        "stay": "claim:stay",
    });
    let engine = database.engine_with(settings(None, preset)).await;
    let (caller, settings) = (caller(), engine.settings());
    let view = engine.view(&caller).unwrap();
    let scope = Scope::new(&view, &settings, &caller);
    let insert = request("insert", json!({"table": "place", "data": {"id": 1}}));
    let Request::Insert(insert) = &insert else { unreachable!() };
    let plan = InsertPlan::new(&scope, insert).unwrap();
    let operands: Vec<_> = plan.rows.iter().flatten().filter_map(Assign::operand).collect();
    let own: Vec<_> = operands.iter().filter_map(|operand| operand.place()).collect();
    assert_eq!((operands.len(), own), (7, vec!["/data/id"]));
}

/// Presets are planned once for a list, after its first row: what is wrong with that is said first.
#[tokio::test]
async fn a_list_of_updates_has_the_presets_in_each_row() {
    let database = Database::of(FIXTURE).await;
    database.sql("INSERT INTO place (id, name) VALUES (1, 'a'), (2, 'b')").await;
    let engine = database.engine_with(settings(None, json!({"name": "claim:name"}))).await;
    let update = |sizes: [Value; 2]| {
        let rows = [json!({"id": 1, "size": sizes[0]}), json!({"id": 2, "size": sizes[1]})];
        json!({"table": "place", "updates": rows, "returning": ["id", "size", "name"]})
    };
    let nobody = Principal::new("x", "agent");
    for (caller, sizes, expected) in [
        (&nobody, [json!("x"), json!(2)], Code::InvalidValue),
        (&nobody, [json!(1), json!("x")], Code::Forbidden),
        (&caller(), [json!(1), json!("x")], Code::InvalidValue),
    ] {
        let refused = call_as(&engine, caller, "update", update(sizes)).await.unwrap_err();
        assert_eq!(refused.code(), expected, "{refused}");
    }
    let reply = call_as(&engine, &caller(), "update", update([json!(1), json!(2)])).await.unwrap();
    assert_eq!(
        rows(&reply),
        [json!({"id": 1, "size": 1, "name": "n"}), json!({"id": 2, "size": 2, "name": "n"})]
    );
}
