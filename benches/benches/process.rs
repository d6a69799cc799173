//! The program from outside: its start, its tool list, its memory, and a call over standard input.

use std::path::PathBuf;
use std::process::Command;

use criterion::Criterion;
use mcp_pg_benches::film::{Fault, Films, connect, database};
use mcp_pg_benches::report::{Comparison, awaited, computed};
use mcp_pg_benches::server::Server;
use mcp_pg_benches::wide::{TABLES, schema_sql};
use serde_json::json;

fn main() -> Result<(), Fault> {
    let mut criterion = Criterion::default().configure_from_args().sample_size(20);
    let program = program()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;

    for tables in [20, TABLES] {
        let (cluster, config) = database()?;
        for text in [schema_sql(tables).as_str(), "VACUUM ANALYZE"] {
            runtime.block_on(connect(&config, text))?;
        }
        let url = cluster.url("postgres");
        let list = || Server::start(&program, &url)?.ask("tools/list", &json!({}));
        report(&program, &url, tables)?;
        let name = if tables == TABLES { "start, 1,000 tables" } else { "start, 20 tables" };
        let group = Comparison::new(&mut criterion, name, "to tools/list", computed(list));
        group.finish();
    }

    let films = Films::start()?;
    let raw = films.runtime.block_on(
        films.client.prepare("SELECT row_to_json(t)::text FROM film t WHERE film_id = $1"),
    )?;
    let mut server = Server::start(&program, &films.url())?;
    let call = json!({"name": "select", "arguments": {"table": "film", "where": {"film_id": 10}}});
    server.ask("tools/call", &call)?;
    let mut group = Comparison::new(
        &mut criterion,
        "select by key over stdio",
        "raw",
        awaited(&films.runtime, || async { films.client.query_one(&raw, &[&10_i32]).await }),
    );
    group.measure("tools/call", computed(|| server.ask("tools/call", &call)));
    group.finish();
    criterion.final_summary();
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a benchmark is for")]
fn report(program: &std::path::Path, url: &str, tables: usize) -> Result<(), Fault> {
    let mut server = Server::start(program, url)?;
    let size = server.ask("tools/list", &json!({}))?.len();
    let peak = server.peak_memory()? as f64 / 1e6;
    println!("{tables} tables: tools/list has {size} bytes, the server {peak:.1} MB at most");
    Ok(())
}

/// The server's program, built as this benchmark was.
fn program() -> Result<PathBuf, Fault> {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "-p", "mcp-pg-server"])
        .status()?;
    if !built.success() {
        return Err("the server cannot be built".into());
    }
    let own = std::env::current_exe()?;
    let directory = own.ancestors().nth(2).ok_or("no target directory")?;
    Ok(directory.join("mcp-pg-server"))
}
