//! What a role cannot see changes no answer: two databases that differ in nothing else answer it alike, whatever is
//! asked.

use std::sync::atomic::{AtomicUsize, Ordering};

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, object};
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

use super::aggregate::Aggregate;
use super::choices::Choices;
use super::select::Select;
use super::world::World;
use super::{CHOICES, SHOP, runner, shop_relations};

/// Everything that the clerk does not see is another, or not there.
const OTHER: &str = "
    SET session_replication_role = replica;
    UPDATE users SET email = 'other' || user_id || '@example.org';
    UPDATE users SET name = 'Other', country = 'ZZ', created_at = '2001-01-01', version = 9,
        status = (enum_range(NULL::user_status))[1], archived_at = CASE WHEN archived_at IS NULL THEN now() END
        WHERE user_id > 6;
    UPDATE products SET price = 1, description = 'other';
    UPDATE inventory SET quantity = 999, reserved = 0;
    UPDATE orders SET note = CASE WHEN note IS NULL THEN 'other' END;
    UPDATE orders SET status = (enum_range(NULL::order_status))[1], total = 1, created_at = '2001-01-01',
        archived_at = CASE WHEN archived_at IS NULL THEN now() END WHERE user_id > 6;
    UPDATE order_items SET quantity = 1, unit_price = 1 WHERE order_id IN (SELECT order_id FROM orders WHERE user_id > 6);
    DELETE FROM payments WHERE order_id IN (SELECT order_id FROM orders WHERE user_id > 6 AND order_id % 2 = 0);
    DELETE FROM reviews WHERE user_id > 6 AND review_id % 2 = 0;
    ANALYZE";

/// Plans are made without the values, as they are after some runs of a statement: what is wrong with a value is not found then.
const GENERIC: &str = "DO $$ BEGIN
    EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database());
    END $$";

fn clerk() -> Role {
    let grant = |table: &str, hidden: &[&str], rows: Option<Value>| Grant {
        tables: vec![format!("public.{table}")],
        actions: [Action::Select, Action::Archive, Action::Restore].into_iter().collect(),
        columns: ColumnRules {
            exclude: hidden.iter().map(|name| (*name).to_owned()).collect(),
            ..ColumnRules::default()
        },
        rows: rows.map(object),
        ..Grant::default()
    };
    let own = || Some(json!({"user_id": {"lte": 6}}));
    let near = || Some(json!({"order": {"user": {"user_id": {"lte": 6}}}}));
    Role {
        name: "clerk".into(),
        grants: vec![
            grant("users", &["email"], own()),
            grant("user_preferences", &[], own()),
            grant("products", &["price", "description"], None),
            grant("orders", &["note"], own()),
            grant("order_items", &[], near()),
            grant("payments", &[], near()),
            grant("reviews", &[], own()),
        ],
        ..Role::default()
    }
}

/// What is asked: a tool with its arguments.
fn asked(world: &World, choices: &mut Choices<'_>) -> (&'static str, Value) {
    let (tool, mut arguments) = match choices.chance(35) {
        true => ("aggregate", Aggregate::random(world, choices).json(world)),
        false => ("select", Select::random(world, choices).json(world)),
    };
    if choices.chance(20) {
        spoil(&mut arguments, choices);
    }
    match choices.below(6) {
        4 => {
            arguments["operation"] = json!(tool);
            ("explain", arguments)
        }
        5 => {
            let table = arguments["table"].clone();
            let filter = arguments.get("where").cloned().unwrap_or(json!({"version": 1}));
            ("archive", json!({"table": table, "where": filter, "dry_run": true, "max_rows": 99}))
        }
        _ => {
            if tool == "select" {
                arguments["count"] = json!("exact");
            }
            (tool, arguments)
        }
    }
}

/// Makes patterns into ones that PostgreSQL refuses.
fn spoil(value: &mut Value, choices: &mut Choices<'_>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                match member {
                    Value::String(pattern)
                        if ["like", "ilike", "matches", "imatches"].contains(&key.as_str()) =>
                    {
                        pattern.push_str(["\\", "(", "%\\"][choices.below(3)]);
                    }
                    member => spoil(member, choices),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| spoil(item, choices)),
        _ => {}
    }
}

/// All pages of the answer, without what is each database's own.
async fn told(engine: &Engine, tool: &str, mut arguments: Value) -> (bool, Vec<Value>) {
    let mut pages = Vec::new();
    for _ in 0..4 {
        let mut page = match call(engine, "clerk", tool, arguments.clone()).await {
            Ok(page) => page,
            Err(error) => {
                pages.push(serde_json::to_value(error).unwrap());
                return (false, pages);
            }
        };
        let members = page.as_object_mut().unwrap();
        let cursor = members.remove("next_cursor");
        // The steps of a plan follow from all rows, as SECURITY.md says.
        members.retain(|name, _| !["plan", "text", "hints", "before"].contains(&name.as_str()));
        if tool == "archive" {
            // Rows that are written come in no order, and bear the time.
            for name in ["rows", "after"] {
                let mut rows = members[name].as_array().unwrap().clone();
                rows.iter_mut().for_each(|row| row["archived_at"] = json!("now"));
                rows.sort_by_key(Value::to_string);
                members[name] = rows.into();
            }
        }
        pages.push(page);
        match cursor {
            Some(cursor @ Value::String(_)) => {
                arguments.as_object_mut().unwrap().remove("offset");
                arguments["cursor"] = cursor;
            }
            _ => break,
        }
    }
    (true, pages)
}

#[test]
fn hidden_rows_and_columns_change_no_answer() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (one, other, world) = runtime.block_on(async {
        let (one, other) = (Database::shop().await, Database::shop().await);
        other.sql(OTHER).await;
        for database in [&one, &other] {
            database.sql(GENERIC).await;
        }
        let settings = || Settings { roles: vec![clerk()], ..Settings::default() };
        // What is compared with is taken from hidden rows and columns too.
        let world = World::load(&one, &SHOP, &shop_relations()).await;
        (one.engine_with(settings()).await, other.engine_with(settings()).await, world)
    });
    let answered = AtomicUsize::new(0);
    let numbers = proptest::collection::vec(proptest::num::u32::ANY, 0..CHOICES);
    let outcome = runner().run(&numbers, |numbers| {
        let (tool, arguments) = asked(&world, &mut Choices(numbers.iter()));
        let (first, second) = runtime.block_on(async {
            (told(&one, tool, arguments.clone()).await, told(&other, tool, arguments.clone()).await)
        });
        answered.fetch_add(usize::from(first.0), Ordering::Relaxed);
        match first == second {
            true => Ok(()),
            false => Err(TestCaseError::fail(format!(
                "{tool} {arguments}\nanswers {:?}\nand     {:?}",
                first.1, second.1
            ))),
        }
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    // Most of what is asked can be answered.
    let answered = answered.into_inner();
    assert!(answered > 100, "{answered}");
}
