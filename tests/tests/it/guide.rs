//! docs/queries.md: each of its examples answers the same here as in SQL.

use mcp_pg_core::Engine;
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::example::{Example, examples};

const GUIDE: &str = include_str!("../../../docs/queries.md");

/// Tables of the sample movies; all others are the shop's.
const MOVIES: [&str; 1] = ["titles"];

/// A view that an example reads.
const VIEW: &str = "CREATE VIEW order_totals AS SELECT order_id, user_id, total FROM orders";

/// The rows of the tables whose last column is an argument of `select`: `table`, PostgREST, SQL, argument.
fn tabled() -> Vec<Example> {
    let mut found = Vec::new();
    let mut argument: Option<String> = None;
    for line in GUIDE.lines() {
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            // The line of dashes belongs to its table.
            argument = argument.filter(|_| line.starts_with("|---"));
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(|cell| cell.trim_matches('`')).collect();
        match (cells.as_slice(), &argument) {
            (["table", "PostgREST", "SQL", name], _) => argument = Some((*name).to_owned()),
            ([table, _, sql, ours], Some(name)) => found.push(row(table, sql, name, ours)),
            _ => {}
        }
    }
    found
}

fn row(table: &str, sql: &str, name: &str, ours: &str) -> Example {
    let value: Value = serde_json::from_str(ours).unwrap_or_else(|error| panic!("{error}: {ours}"));
    let archived = !matches!(table, "user_preferences" | "inventory" | "order_items" | "payments");
    let present = if archived { "archived_at IS NULL" } else { "true" };
    let statement = match name {
        "where" => format!("SELECT * FROM {table} WHERE {present} AND ({sql}) ORDER BY 1"),
        "order_by" => format!("SELECT * FROM {table} WHERE {present} ORDER BY {sql}"),
        other => panic!("the guide has a table of {other:?}"),
    };
    Example {
        title: ours.to_owned(),
        tool: "select".to_owned(),
        arguments: json!({"table": table, name: value}),
        sql: vec![statement],
    }
}

async fn check(all: &[Example], database: &Database, engine: &Engine, movies: bool) -> usize {
    let mut count = 0;
    for example in all {
        let table = example.arguments["table"].as_str().unwrap_or_default();
        if MOVIES.contains(&table) == movies {
            example.check(database, engine).await;
            count += 1;
        }
    }
    count
}

#[tokio::test]
async fn the_examples_of_the_guide_do_what_their_sql_does() {
    let (shop, movies) = (Database::shop().await, Database::movies().await);
    assert!(GUIDE.contains(VIEW));
    shop.sql(VIEW).await;
    let engines = (shop.engine().await, movies.engine().await);
    let (tabled, blocks) = (tabled(), examples(GUIDE));
    assert!(tabled.len() >= 39 && blocks.len() >= 18, "{} and {}", tabled.len(), blocks.len());
    let mut checked = 0;
    for all in [&tabled, &blocks] {
        checked += check(all, &shop, &engines.0, false).await;
        checked += check(all, &movies, &engines.1, true).await;
    }
    assert_eq!(checked, tabled.len() + blocks.len());
}
