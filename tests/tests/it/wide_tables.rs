//! Tables of very many columns.

use std::time::Duration;

use mcp_pg_core::Principal;
use mcp_pg_tests::{Database, call};
use serde_json::json;

/// Definitions of columns `c0`, `c1`, …
fn columns(count: usize, name: &str) -> String {
    let columns: Vec<String> = (0..count).map(|n| format!("{name}{n} integer")).collect();
    columns.join(", ")
}

#[tokio::test]
async fn very_many_columns_are_cut() {
    let database = Database::of(&format!(
        "CREATE TABLE wide ({}, id integer PRIMARY KEY); CREATE TABLE widest ({});",
        columns(600, "c"),
        columns(1_500, "a_column_with_a_long_name_")
    ))
    .await;
    let engine = database.engine().await;
    let described = async |table: &str| {
        let told = call(&engine, "admin", "describe_table", json!({"table": table})).await.unwrap();
        told["columns"].as_array().unwrap().clone()
    };
    // The later ones with their most important members alone.
    let columns = described("wide").await;
    assert_eq!(columns.len(), 602);
    assert!(columns[100].get("operators").is_some());
    assert_eq!(
        columns[200],
        json!({"name": "c200", "type": "integer", "nullable": true, "writable": true})
    );
    assert_eq!(
        columns[600],
        json!({"name": "id", "type": "integer", "nullable": false, "primary_key": true, "writable": true})
    );
    let shortened =
        columns.iter().filter(|column| column.is_object() && column.get("operators").is_none());
    let shortened = shortened.count();
    let mark = format!("… {shortened} without operators and comments; see the table's resource");
    assert_eq!(columns[601], json!(mark));
    let columns = described("widest").await;
    let mark = columns.last().unwrap().as_str().unwrap();
    assert_eq!(mark, format!("… {} more; see the table's resource", 1_501 - columns.len()));

    let view = engine.view(&Principal::new("admin", "admin")).unwrap();
    let whole = view.describe_whole(view.table("wide").unwrap());
    let columns = whole["columns"].as_array().unwrap();
    assert_eq!(columns.len(), 601);
    assert!(columns.iter().all(|column| column.get("operators").is_some()));
}

#[tokio::test]
async fn the_first_rows_with_a_type_of_its_own_arrive_however_many() {
    let filled: Vec<String> = (0..500).map(|n| format!("c{n}")).collect();
    let database = Database::of(&format!(
        "CREATE TYPE colour AS ENUM ('red', 'blue'); CREATE TABLE painted (id integer PRIMARY KEY, colour colour, {});
         INSERT INTO painted (id, colour, {}) SELECT n, 'red', {} FROM generate_series(1, 100) n;",
        columns(500, "c"),
        filled.join(", "),
        vec!["1234567"; 500].join(", ")
    ))
    .await;
    for limit in [5, 100] {
        // A session that does not know the type yet.
        let engine = database.engine().await;
        let request = json!({"table": "painted", "limit": limit});
        let reply = call(&engine, "analyst", "select", request);
        let reply = tokio::time::timeout(Duration::from_secs(60), reply).await.expect("an answer");
        assert!(reply.unwrap()["row_count"].as_u64() > Some(4));
    }
}
