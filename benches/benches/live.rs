//! A schema of 1,000 tables that changes while callers read: how long a look takes, how soon a change is
//! seen, and what the callers notice of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use mcp_pg_benches::film::{Fault, caller, connect, database};
use mcp_pg_benches::report::quantile;
use mcp_pg_benches::wide::wide_schema_sql;
use mcp_pg_core::request::Select;
use mcp_pg_core::schema::{Snapshot, Watch};
use mcp_pg_core::{Engine, Request, Settings};
use mcp_pg_server::cli::Cli;
use mcp_pg_server::command;
use mcp_pg_server::config::Environment;
use serde_json::json;
use tokio::time::sleep;

/// How many changes are made, each after as long a time without one.
const CHANGES: usize = 20;
/// What is left between two calls of a caller: the machine is busy, not swamped.
const PAUSE: Duration = Duration::from_micros(500);
const CALLERS: usize = 4;

/// What the callers read. The changes are to another table.
const ROWS: &str =
    "INSERT INTO wide_0000 (code) SELECT 'code ' || n FROM generate_series(1, 1000) n";

fn main() -> Result<(), Fault> {
    // Of several threads, as in the program.
    tokio::runtime::Runtime::new()?.block_on(run())
}

#[expect(clippy::print_stdout, reason = "what a benchmark is for")]
async fn run() -> Result<(), Fault> {
    let (_cluster, config) = database()?;
    // Of the catalogue that autovacuum has yet to look at, every plan is a guess.
    for text in [wide_schema_sql().as_str(), ROWS, &triggers().await?, "VACUUM ANALYZE"] {
        connect(&config, text).await?;
    }
    let client = connect(&config, "").await?;
    let settings = Settings::default();
    let watch = Watch::prepare(&client).await?;
    let (mut glances, mut looks) = (Vec::new(), Vec::new());
    let known = watch.poll(&client, &settings.schemas, None).await?.signature;
    for _ in 0..50 {
        let start = Instant::now();
        Snapshot::read(&client).await?;
        glances.push(start.elapsed());
        let start = Instant::now();
        watch.poll(&client, &settings.schemas, Some(&known)).await?;
        looks.push(start.elapsed());
    }
    println!(
        "1,000 tables: a look takes {:.2} ms; {:.2} ms where no transaction has written",
        millis(quantile(&mut looks, 0.5)),
        millis(quantile(&mut glances, 0.5))
    );

    let engine = Arc::new(Engine::connect(config.clone(), settings).await?);
    let follower = engine.clone();
    // An hour: only the trigger tells.
    tokio::spawn(async move { follower.follow(Duration::from_secs(3_600)).await });
    change(&engine, &client, "first").await?;

    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> =
        (0..CALLERS).map(|_| tokio::spawn(read(engine.clone(), done.clone()))).collect();
    let (mut seen, mut changing) = (Vec::new(), Vec::new());
    for number in 0..CHANGES {
        sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        seen.push(change(&engine, &client, &format!("extra_{number}")).await?);
        // Statements are prepared anew after it.
        sleep(Duration::from_millis(100)).await;
        changing.push((start, start.elapsed()));
    }
    done.store(true, Ordering::Relaxed);
    let (mut calm, mut during) = (Vec::new(), Vec::new());
    for caller in callers {
        for (start, took) in caller.await?? {
            let overlaps = |change: &(Instant, Duration)| {
                start < change.0 + change.1 && change.0 < start + took
            };
            if changing.iter().any(overlaps) { &mut during } else { &mut calm }.push(took);
        }
    }
    println!(
        "from a change to its sight: {:.0} ms, at most {:.0} ms",
        millis(quantile(&mut seen, 0.5)),
        millis(quantile(&mut seen, 1.0))
    );
    for (when, took) in [("between changes", &mut calm), ("during changes", &mut during)] {
        println!(
            "a row by key {when}: p50 {:.3} ms, p99 {:.3} ms, at most {:.3} ms ({} calls)",
            millis(quantile(took, 0.5)),
            millis(quantile(took, 0.99)),
            millis(quantile(took, 1.0)),
            took.len()
        );
    }
    let ratio = millis(quantile(&mut during, 0.99)) / millis(quantile(&mut calm, 0.99));
    println!("p99 during/between = {ratio:.2}");
    Ok(())
}

/// The triggers that `setup-sql` prints, without the login.
async fn triggers() -> Result<String, Fault> {
    let mut printed = Vec::new();
    let cli = Cli::try_parse_from(["mcp-pg-server", "setup-sql"])?;
    let ran = command::run(cli, &Environment::default(), &mut printed).await;
    ran.map_err(|failure| failure.message)?;
    let printed = String::from_utf8(printed)?;
    let (_, triggers) = printed.split_once("\n-- Tells").ok_or("no triggers")?;
    Ok(format!("-- Tells{triggers}"))
}

/// Adds a column, and gives the time until the engine knows it.
async fn change(
    engine: &Engine,
    client: &tokio_postgres::Client,
    column: &str,
) -> Result<Duration, Fault> {
    let analyst = caller("analyst");
    client.execute(&format!("ALTER TABLE wide_0999 ADD {column} integer"), &[]).await?;
    let start = Instant::now();
    while engine.view(&analyst)?.table("wide_0999")?.readable(column).is_err() {
        if start.elapsed() > Duration::from_secs(60) {
            return Err("the change is not seen".into());
        }
        sleep(Duration::from_millis(1)).await;
    }
    Ok(start.elapsed())
}

/// Reads rows by key until it is done: when each call began, and how long it took. One that fails ends all.
async fn read(
    engine: Arc<Engine>,
    done: Arc<AtomicBool>,
) -> Result<Vec<(Instant, Duration)>, mcp_pg_core::Error> {
    let analyst = caller("analyst");
    let mut calls = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let filter = json!({"id": 1 + calls.len() % 1_000}).as_object().cloned();
        let request = Select { table: "wide_0000".into(), filter, ..Select::default() };
        let start = Instant::now();
        engine.handle(&analyst, Request::Select(request)).await?;
        calls.push((start, start.elapsed()));
        sleep(PAUSE).await;
    }
    Ok(calls)
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
