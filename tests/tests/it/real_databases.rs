//! Well-known databases: everything in them can be described, read and written. These tests do nothing if the
//! database's dump is not on this machine.

use std::time::Duration;

use mcp_pg_core::{Code, Engine, Settings};
use mcp_pg_tests::{Database, call, rows};
use serde_json::{Map, Value, json};

async fn ok(engine: &Engine, tool: &str, arguments: Value) -> Value {
    let reply = call(engine, "admin", tool, arguments.clone()).await;
    reply.unwrap_or_else(|error| panic!("{tool} {arguments}: {error:?}"))
}

/// What a table's columns and its first rows are.
struct Seen {
    table: String,
    described: Value,
    rows: Vec<Value>,
}

impl Seen {
    async fn new(engine: &Engine, table: &str) -> Self {
        let described = ok(engine, "describe_table", json!({"table": table})).await;
        let reply = ok(engine, "select", json!({"table": table, "count": "exact"})).await;
        let counted = json!({"table": table, "measures": {"n": {"count": "*"}}});
        let counted = ok(engine, "aggregate", counted).await;
        assert_eq!(reply["count"], rows(&counted)[0]["n"], "{table}");
        Self { table: table.to_owned(), described, rows: rows(&reply).to_vec() }
    }

    fn columns(&self) -> impl Iterator<Item = (&str, &Value)> {
        let columns = self.described["columns"].as_array().unwrap();
        columns.iter().map(|column| (column["name"].as_str().unwrap(), column))
    }

    fn may(&self, action: &str) -> bool {
        self.described["actions"].as_array().unwrap().contains(&json!(action))
    }

    /// The condition that finds the row by its primary key.
    fn key(&self, row: &Value) -> Option<Value> {
        let names = self.described["primary_key"].as_array().unwrap();
        let key = names.iter().map(|name| {
            let name = name.as_str().unwrap();
            (name.to_owned(), row[name].clone())
        });
        (!names.is_empty()).then(|| Value::Object(key.collect()))
    }

    /// The members of a row that may be written.
    fn writable(&self, row: &Value) -> Map<String, Value> {
        self.columns()
            .filter(|(_, column)| column["writable"] == true)
            .map(|(name, _)| (name.to_owned(), row[name].clone()))
            .collect()
    }
}

/// Conditions and orders of every column.
async fn read(engine: &Engine, seen: &Seen) {
    let table = &seen.table;
    let stored = seen.described["kind"] != "view";
    for (name, column) in seen.columns() {
        let operators = column["operators"].as_array().unwrap();
        let Some(row) = seen.rows.iter().find(|row| !row[name].is_null()) else { continue };
        if operators.contains(&json!("eq")) {
            let select =
                json!({"table": table, "where": {name: {"eq": row[name]}}, "count": "exact"});
            let count = &ok(engine, "select", select).await["count"];
            // A view may list things in another order each time.
            assert!(*count != 0 || !stored, "{table} {name} {}", row[name]);
            let select = json!({"table": table, "columns": [name], "where": {name: {"in": [row[name], null]}}});
            let count = &ok(engine, "select", select).await["row_count"];
            assert!(*count != 0 || !stored, "{table} {name}");
        }
        if operators.contains(&json!("gt")) {
            let mut select = json!({"table": table, "columns": [name], "order_by": [{"column": name, "direction": "desc"}], "limit": 3});
            let first = ok(engine, "select", select.clone()).await;
            if first["next_cursor"].is_string() {
                select["cursor"] = first["next_cursor"].clone();
                ok(engine, "select", select).await;
            }
        }
    }
    for relation in seen.described["relations"].as_array().into_iter().flatten() {
        let Some(name) = relation["name"].as_str() else { continue };
        let (condition, include) = match relation["kind"].as_str() {
            Some("to_one") => (json!({}), json!(true)),
            _ => (json!({"some": {}}), json!({"limit": 2})),
        };
        let select = json!({
            "table": table, "where": {name: condition}, "include": {name: include}, "limit": 3,
        });
        ok(engine, "select", select).await;
    }
}

/// A row is written as it was read, and again as a new one, if only to see what is refused.
async fn write(engine: &Engine, seen: &Seen) {
    let table = &seen.table;
    let Some((row, key)) = seen.rows.first().and_then(|row| Some((row, seen.key(row)?))) else {
        return;
    };
    let values = seen.writable(row);
    if seen.may("update") && !values.is_empty() {
        let update = json!({"table": table, "where": key, "updates": values});
        let reply = ok(engine, "update", update).await;
        assert_eq!(reply["row_count"], 1, "{table}");
        for (name, value) in &values {
            // A trigger may have noted the time.
            if name != "last_update" {
                assert_eq!(&rows(&reply)[0][name], value, "{table} {name}");
            }
        }
    }
    if seen.may("insert") {
        let insert = json!({"table": table, "data": values, "dry_run": true});
        if let Err(error) = call(engine, "admin", "insert", insert.clone()).await {
            assert_eq!(error.code(), Code::UniqueViolation, "{insert}: {error:?}");
        }
    }
    if seen.may("delete") {
        let delete = json!({"table": table, "where": key, "dry_run": true});
        match call(engine, "admin", "delete", delete.clone()).await {
            Ok(reply) => assert_eq!(reply["row_count"], 1, "{table}"),
            Err(error) => {
                assert_eq!(error.code(), Code::ForeignKeyViolation, "{delete}: {error:?}")
            }
        }
    }
}

async fn check(name: &str, tables: usize) {
    let Some(database) = Database::real(name).await else { return };
    if name == "pagila" {
        // Its dump leaves it without data.
        database.sql("REFRESH MATERIALIZED VIEW rental_by_category; ANALYZE;").await;
    }
    // Some views take seconds, longer where everything runs at once.
    let mut settings = Settings::default();
    settings.timeouts.statement = Duration::from_secs(120);
    let engine = database.engine_with(settings).await;
    let listed = ok(&engine, "list_tables", json!({"detail": "names"})).await;
    let listed = listed["tables"].as_array().unwrap();
    assert!(listed.len() >= tables, "{listed:?}");
    for table in listed.iter().filter_map(Value::as_str) {
        if table == "actor_info" {
            // Each question to this view takes PostgreSQL seconds, unless it is about one actor.
            let one = json!({"table": table, "where": {"actor_id": 1}});
            assert_eq!(ok(&engine, "select", one).await["row_count"], 1);
            continue;
        }
        let seen = Seen::new(&engine, table).await;
        read(&engine, &seen).await;
        write(&engine, &seen).await;
    }
}

#[tokio::test]
async fn pagila() {
    check("pagila", 21).await;
}

#[tokio::test]
async fn chinook() {
    check("chinook", 11).await;
}

#[tokio::test]
async fn chinook_with_serial_keys() {
    check("chinook_serial", 11).await;
}

#[tokio::test]
async fn northwind() {
    check("northwind", 14).await;
}
