//! From a request to SQL text and parameters, without a database.

use std::sync::OnceLock;

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, Films, UUID, caller};
use mcp_pg_benches::report::{Comparison, computed};
use mcp_pg_core::plan::{CursorKey, Scope, SelectPlan};
use mcp_pg_core::request::Select;
use mcp_pg_core::statement;
use serde_json::{Value, json};

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let films = Films::start()?;
    let engine = films.engine()?;
    let caller = caller("analyst");
    let view = engine.view(&caller)?;
    let cursors = CursorKey::new(b"secret");
    let settings = engine.settings();
    let scope = Scope::new(&view, &settings, &caller);
    let select = |table: &str, filter: Value| Select {
        table: table.into(),
        filter: filter.as_object().cloned(),
        ..Select::default()
    };
    let by_key = select("film", json!({"film_id": 10}));
    let by_uuid = select("film_by_uuid", json!({"id": UUID}));

    let derived = OnceLock::new();
    let plan = SelectPlan::new(&scope, &by_key, &cursors, &derived)?;
    let mut group = Comparison::new(
        &mut criterion,
        "plan and build of a select by key",
        "both",
        computed(|| {
            SelectPlan::new(&scope, &by_key, &cursors, &derived)
                .map(|plan| statement::select(&plan, view.texts()).sql)
        }),
    );
    group.measure(
        "both by uuid",
        computed(|| {
            SelectPlan::new(&scope, &by_uuid, &cursors, &derived)
                .map(|plan| statement::select(&plan, view.texts()).sql)
        }),
    );
    group
        .measure("plan", computed(|| SelectPlan::new(&scope, &by_key, &cursors, &derived).is_ok()));
    group.measure("build", computed(|| statement::select(&plan, view.texts()).sql));
    group.finish();
    criterion.final_summary();
    Ok(())
}
