//! `Engine` selects beside prepared tokio-postgres queries that let PostgreSQL make the JSON.

use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, Films, UUID, by_key, by_uuid, caller, many};
use mcp_pg_benches::report::{Comparison, awaited, computed};
use mcp_pg_core::audit::FileSink;
use mcp_pg_core::value::Raw;
use mcp_pg_core::{Engine, Principal, Reply, Request};
use serde_json::Value;
use tokio_postgres::Row;

const BY_KEY: &str = "SELECT row_to_json(t)::text FROM film t WHERE film_id = $1";
const BY_UUID: &str = "SELECT row_to_json(t)::text FROM film_by_uuid t WHERE id = $1::text::uuid";
const MANY: &str = "SELECT row_to_json(t)::text FROM film t ORDER BY film_id LIMIT $1";
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const BECOME_READER: &str = "SELECT set_config('app.kind', $1, true), set_config('app.tenant', $2, true), \
    set_config('role', $3, true)";
const BINARY: &str = "SELECT film_id, title, description, release_year, language_id, \
    original_language_id, rental_duration, rental_rate, length, replacement_cost, rating, \
    last_update, special_features, attributes FROM film ORDER BY film_id LIMIT $1";

/// The databases, engines and callers that are compared.
struct Setup {
    engine: Engine,
    /// The same, with an audit file.
    audited: Engine,
    analyst: Principal,
    /// A caller with a database role of its own.
    viewer: Principal,
    films: Films,
}

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let films = Films::start()?;
    let log = std::env::temp_dir().join(format!("mcp-pg-bench-{}.jsonl", std::process::id()));
    let setup = Setup {
        engine: films.engine()?,
        audited: films.engine()?.audited(Arc::new(FileSink::open(&log)?)),
        analyst: caller("analyst"),
        viewer: caller("viewer"),
        films,
    };
    let Setup { engine, analyst, viewer, .. } = &setup;
    setup.films.runtime.block_on(async {
        expect(engine, analyst, by_key(10), 1).await?;
        expect(engine, viewer, by_key(10), 1).await?;
        expect(engine, analyst, by_uuid(), 1).await?;
        expect(engine, analyst, many(1_000), 1_000).await
    })?;

    row_by_key(&mut criterion, &setup)?;
    row_as_database_role(&mut criterion, &setup)?;
    row_over_a_network(&mut criterion, &setup)?;
    row_by_uuid(&mut criterion, &setup)?;
    many_rows(&mut criterion, &setup)?;
    decoded_rows(&mut criterion, &setup)?;

    criterion.final_summary();
    drop(setup);
    std::fs::remove_file(log)?;
    Ok(())
}

/// One row by its key.
fn row_by_key(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films: Films { runtime, client, .. }, engine, audited, analyst, .. } = setup;
    let raw = runtime.block_on(client.prepare(BY_KEY))?;
    let mut group = Comparison::new(
        criterion,
        "select by key",
        "raw",
        awaited(runtime, || async {
            client.query_one(&raw, &[&10_i32]).await.map(|row| row.get::<_, String>(0))
        }),
    );
    group.measure(
        "raw and parsed",
        awaited(runtime, || async {
            client.query_one(&raw, &[&10_i32]).await.map(|row| parsed(&row))
        }),
    );
    group.measure("engine", awaited(runtime, || engine.handle(analyst, by_key(10))));
    group.measure(
        "engine with file audit",
        awaited(runtime, || audited.handle(analyst, by_key(10))),
    );
    group.finish();
    Ok(())
}

/// One row by its key, in a transaction as a database role.
fn row_as_database_role(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films: Films { runtime, client, .. }, engine, viewer, .. } = setup;
    let raw = runtime.block_on(client.prepare(BY_KEY))?;
    let [begin, empty, become_reader, commit] =
        [BEGIN, "SELECT", BECOME_READER, "COMMIT"].map(|sql| runtime.block_on(client.prepare(sql)));
    let (begin, empty, become_reader, commit) = (begin?, empty?, become_reader?, commit?);
    let mut group = Comparison::new(
        criterion,
        "select by key as database role",
        "raw in a transaction",
        awaited(runtime, || async {
            let (_, row, _) = tokio::join!(
                biased;
                client.execute(&begin, &[]),
                client.query_one(&raw, &[&10_i32]),
                client.execute(&commit, &[]),
            );
            row.map(|row| parsed(&row))
        }),
    );
    // A statement more costs as much, whatever it does.
    group.measure(
        "raw with an empty statement",
        awaited(runtime, || async {
            let (_, _, row, _) = tokio::join!(
                biased;
                client.execute(&begin, &[]),
                client.execute(&empty, &[]),
                client.query_one(&raw, &[&10_i32]),
                client.execute(&commit, &[]),
            );
            row.map(|row| parsed(&row))
        }),
    );
    group.measure(
        "raw as database role",
        awaited(runtime, || async {
            let (_, _, row, _) = tokio::join!(
                biased;
                client.execute(&begin, &[]),
                client.execute(&become_reader, &[&"reader", &"42", &"film_reader"]),
                client.query_one(&raw, &[&10_i32]),
                client.execute(&commit, &[]),
            );
            row.map(|row| parsed(&row))
        }),
    );
    group.measure("engine", awaited(runtime, || engine.handle(viewer, by_key(10))));
    group.finish();
    Ok(())
}

/// The same over a network: identity and settings must cost no further round trips.
fn row_over_a_network(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films, analyst, viewer, .. } = setup;
    let runtime = &films.runtime;
    let engine_away = films.engine_away(Duration::from_millis(1))?;
    runtime.block_on(async {
        expect(&engine_away, analyst, by_key(10), 1).await?;
        expect(&engine_away, viewer, by_key(10), 1).await
    })?;
    let mut group = Comparison::new(
        criterion,
        "select by key over a network",
        "engine",
        awaited(runtime, || engine_away.handle(analyst, by_key(10))),
    );
    group.measure(
        "engine as database role",
        awaited(runtime, || engine_away.handle(viewer, by_key(10))),
    );
    group.finish();
    Ok(())
}

/// One row by a UUID.
fn row_by_uuid(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films: Films { runtime, client, .. }, engine, analyst, .. } = setup;
    let raw = runtime.block_on(client.prepare(BY_UUID))?;
    let mut group = Comparison::new(
        criterion,
        "select by uuid",
        "raw",
        awaited(runtime, || async {
            client.query_one(&raw, &[&UUID]).await.map(|row| row.get::<_, String>(0))
        }),
    );
    group.measure("engine", awaited(runtime, || engine.handle(analyst, by_uuid())));
    group.finish();
    Ok(())
}

/// A hundred rows, and a thousand.
fn many_rows(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films: Films { runtime, client, .. }, engine, analyst, .. } = setup;
    let raw = runtime.block_on(client.prepare(MANY))?;
    let binary = runtime.block_on(client.prepare(BINARY))?;
    for (name, count) in [("100 rows", 100), ("1,000 rows", 1_000)] {
        let limit = i64::try_from(count)?;
        let mut group = Comparison::new(
            criterion,
            name,
            "raw",
            awaited(runtime, || async {
                let rows = client.query(&raw, &[&limit]).await;
                rows.map(|rows| rows.iter().map(|row| row.get(0)).collect::<Vec<String>>())
            }),
        );
        group.measure(
            "raw and parsed",
            awaited(runtime, || async {
                let rows = client.query(&raw, &[&limit]).await;
                rows.map(|rows| rows.iter().map(parsed).collect::<Vec<Value>>())
            }),
        );
        group.measure(
            "raw binary, unread",
            awaited(runtime, || async { client.query(&binary, &[&limit]).await }),
        );
        group.measure("engine", awaited(runtime, || engine.handle(analyst, many(count))));
        group.finish();
    }
    Ok(())
}

/// The time that decoding takes of that.
fn decoded_rows(criterion: &mut Criterion, setup: &Setup) -> Result<(), Fault> {
    let Setup { films: Films { runtime, client, .. }, engine, analyst, .. } = setup;
    let binary = runtime.block_on(client.prepare(BINARY))?;
    let rows = runtime.block_on(client.query(&binary, &[&1_000_i64]))?;
    let view = engine.view(analyst)?;
    let film = view.table("film")?;
    let group = Comparison::new(
        criterion,
        "1,000 rows from bytes to values",
        "decoders",
        computed(|| {
            rows.iter()
                .map(|row| {
                    (0..row.len())
                        .map(|column| {
                            film.decoder(column)
                                .decode(row.try_get::<_, Raw<'_>>(column)?.0)
                                .map_err(Fault::from)
                        })
                        .collect::<Result<Vec<Value>, Fault>>()
                })
                .collect::<Result<Vec<_>, Fault>>()
        }),
    );
    group.finish();
    Ok(())
}

fn parsed(row: &Row) -> Value {
    serde_json::from_str(row.get(0)).unwrap_or_default()
}

/// Fails unless the engine answers with so many rows: an error would be fast.
async fn expect(
    engine: &Engine,
    caller: &Principal,
    request: Request,
    count: usize,
) -> Result<(), Fault> {
    match engine.handle(caller, request).await? {
        Reply::Rows(set) if set.rows.as_ref().is_some_and(|rows| rows.len() == count) => Ok(()),
        other => Err(format!("not {count} rows: {other:?}").into()),
    }
}
