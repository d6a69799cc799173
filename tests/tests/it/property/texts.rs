//! A statement's text is kept for all plans of a shape: it is the one that each of them would be given anew.

use std::sync::OnceLock;

use mcp_pg_core::plan::{CursorKey, Scope, SelectPlan};
use mcp_pg_core::policy::{Texts, View};
use mcp_pg_core::{Principal, Request, Settings, statement};
use mcp_pg_tests::Database;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use super::aggregate::Aggregate;
use super::choices::Choices;
use super::select::Select;
use super::world::World;
use super::{CHOICES, SHOP, runner, shop_relations};

/// Each value is tried before rows are read, also where it is like another.
#[tokio::test]
async fn kept_sql_texts_tell_equal_values_from_different_ones() {
    let engine = Database::shop().await.engine_with(Settings::default()).await;
    let view = engine.view(&Principal::new("x", "analyst")).unwrap();
    for other in ["a", "b", "(", "a"] {
        let filter = json!({"name": {"matches": "a"}, "email": {"matches": other}});
        let select = json!({"table": "users", "where": filter});
        compare(&view, &engine.settings(), "select", select).unwrap();
    }
}

#[test]
fn a_kept_text_is_the_one_that_would_be_made_anew() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (engine, world) = runtime.block_on(async {
        let database = Database::shop().await;
        let world = World::load(&database, &SHOP, &shop_relations()).await;
        (database.engine_with(Settings::default()).await, world)
    });
    let view = engine.view(&Principal::new("x", "analyst")).unwrap();
    let settings = engine.settings();
    let numbers = proptest::collection::vec(proptest::num::u32::ANY, 0..CHOICES);
    let outcome = runner().run(&numbers, |numbers| {
        let mut choices = Choices(numbers.iter());
        let (tool, arguments) = match choices.chance(35) {
            true => ("aggregate", Aggregate::random(&world, &mut choices).json(&world)),
            false => ("select", Select::random(&world, &mut choices).json(&world)),
        };
        compare(&view, &settings, tool, arguments).map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
}

/// Plans a request, and compares its statement as it is made anew with the one that the view has kept.
fn compare(view: &View, settings: &Settings, tool: &str, arguments: Value) -> Result<(), String> {
    let caller = Principal::new("x", "analyst");
    let scope = Scope::new(view, settings, &caller);
    let cursors = CursorKey::new(b"secret");
    let Value::Object(members) = arguments.clone() else { return Err("no object".into()) };
    let request = Request::parse(tool, members).map_err(|error| error.to_string())?;
    let derived = OnceLock::new();
    let plan = match &request {
        Request::Select(select) => SelectPlan::new(&scope, select, &cursors, &derived),
        Request::Aggregate(aggregate) => {
            SelectPlan::aggregate(&scope, aggregate, &cursors, &derived)
        }
        other => return Err(format!("{other:?} is no read")),
    };
    let plan = plan.map_err(|error| format!("{arguments}: {error}"))?;
    let anew = statement::select(&plan, &Texts::default());
    // The second time at the latest, it is there.
    for _ in 0..2 {
        let kept = statement::select(&plan, view.texts());
        let parts = |statement: &statement::Statement<'_>| {
            format!("{:?}", (&statement.sql, &statement.parameters, statement.recurring))
        };
        if parts(&kept) != parts(&anew) {
            return Err(format!("{arguments}\n{}\n{}", parts(&kept), parts(&anew)));
        }
    }
    Ok(())
}
