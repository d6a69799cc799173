//! `Engine` writes beside raw transactions.

use std::sync::Arc;

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, Films, caller};
use mcp_pg_benches::report::{Comparison, awaited};
use mcp_pg_core::audit::{AuditTable, FileSink};
use mcp_pg_core::{Request, Settings, TableName};
use serde_json::{Map, Value, json};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

const INSERT: &str = "INSERT INTO film AS t (title, language_id, length) VALUES ($1, $2, $3) \
    RETURNING row_to_json(t)::text";
const UPDATE: &str =
    "UPDATE film AS t SET length = $2 WHERE film_id = $1 RETURNING row_to_json(t)::text";

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args();
    let films = Films::start()?;
    let runtime = &films.runtime;
    let client = &films.client;
    let engine = films.engine()?;
    let log = std::env::temp_dir().join(format!("mcp-pg-bench-{}.jsonl", std::process::id()));
    let audited = films.engine()?.audited(Arc::new(FileSink::open(&log)?));
    let name = TableName::new("mcp_audit", "log");
    films.run(&AuditTable::new(&name).definition())?;
    let mut settings = Settings::default();
    settings.audit.table = Some(name);
    let journaled = films.engine_with(settings)?;
    let operator = caller("operator");
    let insert = request(
        "insert",
        json!({"table": "film", "data": {"title": "New", "language_id": 1, "length": 90}}),
    )?;
    let update = request(
        "update",
        json!({"table": "film", "where": {"film_id": 7}, "updates": {"length": 91}}),
    )?;
    for request in [&insert, &update] {
        runtime.block_on(engine.handle(&operator, request.clone()))?;
    }

    let raw = runtime.block_on(client.prepare(INSERT))?;
    let mut group = Comparison::new(
        &mut criterion,
        "insert of a row",
        "raw transaction",
        awaited(runtime, || transaction(client, &raw, &[&"New", &1_i16, &90_i16])),
    );
    group.measure("engine", awaited(runtime, || engine.handle(&operator, insert.clone())));
    group.measure(
        "engine with table audit",
        awaited(runtime, || journaled.handle(&operator, insert.clone())),
    );
    group.measure(
        "engine with file audit",
        awaited(runtime, || audited.handle(&operator, insert.clone())),
    );
    group.finish();

    let raw = runtime.block_on(client.prepare(UPDATE))?;
    let mut group = Comparison::new(
        &mut criterion,
        "update of a row by key",
        "raw transaction",
        awaited(runtime, || transaction(client, &raw, &[&8_i32, &91_i16])),
    );
    group.measure("engine", awaited(runtime, || engine.handle(&operator, update.clone())));
    group.measure(
        "engine with table audit",
        awaited(runtime, || journaled.handle(&operator, update.clone())),
    );
    group.measure(
        "engine with file audit",
        awaited(runtime, || audited.handle(&operator, update.clone())),
    );
    group.finish();

    criterion.final_summary();
    drop(audited);
    std::fs::remove_file(log)?;
    Ok(())
}

fn request(tool: &str, arguments: Value) -> Result<Request, Fault> {
    let arguments = arguments.as_object().cloned().unwrap_or_else(Map::new);
    Ok(Request::parse(tool, arguments)?)
}

/// BEGIN, the statement, COMMIT: one after another, as tokio-postgres's own transactions go.
async fn transaction(
    client: &Client,
    statement: &Statement,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Row, tokio_postgres::Error> {
    client.execute_typed("BEGIN", &[]).await?;
    let row = client.query_one(statement, parameters).await?;
    client.execute_typed("COMMIT", &[]).await?;
    Ok(row)
}
