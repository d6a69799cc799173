//! Tables of very many columns.

use std::time::Duration;

use mcp_pg_core::Principal;
use mcp_pg_core::policy::View;
use mcp_pg_tests::{Database, call};
use serde_json::json;

use crate::program::{Era, Served};

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
async fn a_resource_is_no_larger_than_a_reply() {
    let labels: Vec<String> = (0..2_000).map(|n| format!("'label number {n}'")).collect();
    let columns: Vec<String> = (0..100).map(|n| format!("c{n} many")).collect();
    let (labels, columns) = (labels.join(","), columns.join(","));
    let sql = format!("CREATE TYPE many AS ENUM ({labels}); CREATE TABLE en ({columns});");
    let database = Database::of(&sql).await;
    let engine = database.engine().await;
    let mut view = (*engine.view(&Principal::new("admin", "admin")).unwrap()).clone();
    let size = |view: &View, table: &str| {
        let told = view.describe_within_reply(view.table(table).unwrap());
        (json!(told).to_string().len(), told["columns"].as_array().unwrap().len())
    };
    let whole = json!(view.describe_whole(view.table("en").unwrap())).to_string().len();
    assert!(whole > 3 * view.limits.max_reply_bytes, "{whole}");
    let (bytes, columns) = size(&view, "en");
    assert!(bytes <= view.limits.max_reply_bytes, "{bytes}");
    assert_eq!(columns, 101, "a mark tells that labels are missing");
    let server = Served::start(&["--database-url", &database.url]).await;
    let uri = json!({"uri": "postgresql://schema/en"});
    let (_, answer) = server.request(Era::Initialize, "resources/read", uri, &[]).await;
    let text = answer["result"]["contents"][0]["text"].as_str().unwrap();
    assert!(text.len() <= view.limits.max_reply_bytes, "{}", text.len());
    view.limits.max_reply_bytes = 10_000_000;
    assert_eq!(size(&view, "en"), (whole, 100));
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
