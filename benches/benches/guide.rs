//! Each example of docs/queries.md that reads, beside the SQL that stands with it there: on the sample shop, whose
//! tables have some ten rows, and on one that is a thousand times as large. Values of conditions are parameters there,
//! too: a statement that is prepared for certain values could be planned for them once and for all.

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, caller, connect, database};
use mcp_pg_benches::guide::{Example, GUIDE, LARGE, VIEW, examples, tabled};
use mcp_pg_benches::report::{Comparison, awaited};
use mcp_pg_core::{Engine, Reply, Request, Settings};
use mcp_pg_server::sample::Sample;
use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut all = tabled()?;
    all.extend(examples(GUIDE)?.into_iter().filter(Example::reads));
    for (name, sample, more) in [
        ("shop", Sample::Shop, VIEW.to_owned()),
        ("large shop", Sample::Shop, format!("{VIEW}; {LARGE}")),
        ("movies", Sample::Movies, String::new()),
    ] {
        let (_cluster, config) = database()?;
        let client = runtime.block_on(connect(&config, &sample.sql()))?;
        runtime.block_on(connect(&config, &format!("{more}; ANALYZE;")))?;
        let engine = runtime.block_on(Engine::connect(config, Settings::default()))?;
        let movies = matches!(sample, Sample::Movies);
        for example in all.iter().filter(|example| example.asks_movies() == movies) {
            compare(&mut criterion, &runtime, &client, &engine, name, example)?;
        }
    }
    criterion.final_summary();
    Ok(())
}

fn compare(
    criterion: &mut Criterion,
    runtime: &Runtime,
    client: &Client,
    engine: &Engine,
    database: &str,
    example: &Example,
) -> Result<(), Fault> {
    let analyst = caller("analyst");
    let arguments: Map<String, Value> = serde_json::from_value(example.arguments.clone())?;
    let request = Request::parse(&example.tool, arguments)?;
    let (sql, parameters) = example.prepared().ok_or("an example without SQL")?;
    // The guide leaves the usual limit out of its SQL.
    let limited = sql.rsplit(')').next().is_some_and(|end| end.contains("LIMIT"));
    let limit = if limited { "" } else { " LIMIT 100" };
    let by_hand = format!("SELECT row_to_json(q)::text FROM ({sql}{limit}) q");
    let by_hand = runtime.block_on(client.prepare(&by_hand))?;
    let parameters: Vec<&(dyn ToSql + Sync)> =
        parameters.iter().map(|text| text as &(dyn ToSql + Sync)).collect();
    let count = runtime.block_on(client.query(&by_hand, &parameters))?.len();
    match runtime.block_on(engine.handle(&analyst, &request))? {
        Reply::Rows(set) if set.row_count == count as u64 => {}
        other => return Err(format!("{}: not {count} rows: {other:?}", example.title).into()),
    }
    let name = match example.title.split_once(' ') {
        Some((_, argument)) if argument.starts_with(['{', '[']) => example.title.clone(),
        _ => format!("{} {}", example.title, example.arguments),
    };
    let name = format!("{database}: {name}");
    let mut group = Comparison::new(
        criterion,
        name,
        "by hand",
        awaited(runtime, || async {
            let rows = client.query(&by_hand, &parameters).await;
            rows.map(|rows| rows.iter().map(|row| row.get(0)).collect::<Vec<String>>())
        }),
    );
    group.measure(
        "by hand, parsed",
        awaited(runtime, || async {
            let rows = client.query(&by_hand, &parameters).await;
            rows.map(|rows| rows.iter().map(parsed).collect::<Vec<Value>>())
        }),
    );
    group.measure("engine", awaited(runtime, || engine.handle(&analyst, &request)));
    group.finish();
    Ok(())
}

fn parsed(row: &Row) -> Value {
    serde_json::from_str(row.get(0)).unwrap_or_default()
}
