//! Canned queries beside the same statements prepared in tokio-postgres.

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, Films, caller};
use mcp_pg_benches::report::{Comparison, awaited};
use mcp_pg_core::{Engine, Origin, Principal, Reply, Settings};
use serde_json::{Map, Value, json};

/// Each with its parameter, the same in the file and for the driver.
const BY_KEY: &str = "SELECT film_id, title, description, release_year, rental_rate, length, rating::text AS rating, \
    last_update, special_features FROM film WHERE film_id = ";
const BY_YEAR: &str = "SELECT film_id, title, length FROM film WHERE release_year = ";

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let films = Films::start()?;
    let runtime = &films.runtime;
    let client = &films.client;
    let directory = std::env::temp_dir().join(format!("mcp-pg-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    std::fs::write(directory.join("film.sql"), format!("{BY_KEY} :key"))?;
    std::fs::write(directory.join("films_of.sql"), format!("{BY_YEAR} :year"))?;
    let mut settings = Settings::default();
    settings.queries.directory = Some(directory.clone());
    let engine = films.engine_with(settings)?;
    std::fs::remove_dir_all(directory)?;
    let (analyst, viewer) = (caller("analyst"), caller("viewer"));

    for (name, tool, argument, value, text, count) in [
        ("canned, 1 row", "film", "key", 10_i32, BY_KEY, 1),
        ("canned, 67 rows", "films_of", "year", 2_000, BY_YEAR, 67),
    ] {
        let mut arguments = Map::new();
        arguments.insert(argument.to_owned(), json!(value));
        for caller in [&analyst, &viewer] {
            runtime.block_on(expect(&engine, caller, tool, &arguments, count))?;
        }
        let raw = runtime.block_on(client.prepare(&format!("{text} $1")))?;
        let mut group = Comparison::new(
            &mut criterion,
            name,
            "prepared",
            awaited(runtime, || async { client.query(&raw, &[&value]).await }),
        );
        let json = format!("SELECT row_to_json(q)::text FROM ({text} $1) q");
        let json = runtime.block_on(client.prepare(&json))?;
        group.measure(
            "prepared, as JSON",
            awaited(runtime, || async {
                let rows = client.query(&json, &[&value]).await?;
                let rows = rows.iter().map(|row| serde_json::from_str(row.get(0)));
                rows.collect::<Result<Vec<Value>, _>>().map_err(Fault::from)
            }),
        );
        let call = |caller| {
            let (engine, arguments) = (&engine, arguments.clone());
            async move { engine.call(caller, &Origin::default(), tool, arguments).await }
        };
        group.measure("canned", awaited(runtime, || call(&analyst)));
        group.measure("canned as database role", awaited(runtime, || call(&viewer)));
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}

/// Fails unless the query answers with so many rows: an error would be fast.
async fn expect(
    engine: &Engine,
    caller: &Principal,
    tool: &str,
    arguments: &Map<String, Value>,
    count: u64,
) -> Result<(), Fault> {
    match engine.call(caller, &Origin::default(), tool, arguments.clone()).await? {
        Reply::Query(result) if result.row_count == count => Ok(()),
        other => Err(format!("not {count} rows: {other:?}").into()),
    }
}
