//! Reading a schema of 1,000 tables, and making a role's view of it.

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, connect, database};
use mcp_pg_benches::report::{Comparison, awaited, computed};
use mcp_pg_benches::wide::wide_schema_sql;
use mcp_pg_core::policy::{Role, View};
use mcp_pg_core::schema::Schema;
use mcp_pg_core::{Engine, Settings};

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_cluster, config) = database()?;
    // Of the catalogue that autovacuum has yet to look at, every plan is a guess.
    for statement in [wide_schema_sql().as_str(), "VACUUM ANALYZE"] {
        runtime.block_on(connect(&config, statement))?;
    }
    let settings = Settings::default();
    let engine = runtime.block_on(Engine::connect(config.clone(), settings.clone()))?;
    let schema = engine.schema();
    let analyst = Role::built_in().into_iter().next().ok_or("no role")?;

    let mut group = Comparison::new(
        &mut criterion,
        "1,000 tables",
        "introspection",
        awaited(&runtime, || async {
            let mut client = connect(&config, "").await.map_err(Fault::from)?;
            Schema::load(&mut client, &settings.schemas).await.map_err(Fault::from)
        }),
    );
    group.measure("view", computed(|| View::new(&schema, &analyst, &settings)));
    group.finish();
    criterion.final_summary();
    Ok(())
}
