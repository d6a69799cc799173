//! Mistakes that models make, and the errors that suggest the right word or form.

mod condition;
mod read;
mod write;

use mcp_pg_core::policy::Settings;
use mcp_pg_tests::{Database, call, error, object};
use serde_json::{Map, Value, json};

const FIXTURE: &str = "
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text, billing_country text);
    CREATE TABLE clerk (clerk_id integer PRIMARY KEY);
    CREATE TABLE orders (order_id integer PRIMARY KEY, placed_by integer REFERENCES clerk,
        customer_id integer REFERENCES customer, total integer, tags text[], words tsvector,
        note text, placed timestamptz, details jsonb);";

/// Each call, the place of its error, and what the error suggests: a word, or a hint with these words.
async fn check(tool: &str, cases: &[(Value, &str, &str)]) {
    check_on(FIXTURE, tool, cases).await;
}

/// The same on tables that are made so, `orders` among them.
pub(crate) async fn check_on(fixture: &str, tool: &str, cases: &[(Value, &str, &str)]) {
    let engine = Database::of(fixture).await.engine().await;
    for (arguments, at, suggested) in cases {
        let mut arguments = arguments.clone();
        if arguments.get("table").is_none() && !matches!(tool, "transaction" | "list_tables") {
            arguments["table"] = json!("orders");
        }
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(told["at"], *at, "{arguments}: {told}");
        let hint = told["hint"].as_str().unwrap_or_default();
        let meant = told["did_you_mean"].as_str().unwrap_or_default();
        assert!(meant == *suggested || hint.contains(suggested), "{arguments}: {told}");
        // Nobody knows what Rust calls a type.
        let message = told["message"].as_str().unwrap();
        for word in ["struct", "a map", "sequence", "u64", "variant", "field"] {
            assert!(!message.contains(word), "{told}");
        }
    }
}

#[tokio::test]
async fn the_name_of_an_argument() {
    let with = |member: &str| {
        let mut arguments = json!({"table": "orders"});
        arguments[member] = json!("x");
        arguments
    };
    for (tool, member, meant) in [
        ("select", "filter", "where"),
        ("select", "projection", "columns"),
        ("select", "sort", "order_by"),
        ("select", "page_size", "limit"),
        ("select", "joins", "include"),
        ("select", "group_by", "the tool aggregate"),
        ("select", "sql", "SQL is not accepted"),
        ("select", "schema", "\"schema.name\""),
        ("aggregate", "metrics", "measures"),
        ("insert", "values", "data"),
        ("update", "set", "updates"),
        ("update", "limit", "max_rows"),
    ] {
        check(tool, &[(with(member), &format!("/{member}"), meant)]).await;
    }
    let engine = Database::of(FIXTURE).await.engine().await;
    let told = error(&engine, "admin", "select", json!({"table_name": "orders"})).await;
    assert_eq!(told["did_you_mean"], "table");
}

#[tokio::test]
async fn a_table_of_another_schema_or_in_quotes() {
    let database =
        Database::of("CREATE SCHEMA crm; CREATE TABLE crm.\"Users\" (id integer);").await;
    let settings = Settings { schemas: vec!["public".into(), "crm".into()], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for given in ["users", "user", "\"Users\"", "sales.Users"] {
        let told = error(&engine, "admin", "select", json!({"table": given})).await;
        assert_eq!(told["did_you_mean"], "crm.Users", "{told}");
    }
}

/// Clients that must give each argument of the schema give null for what they do not want. The schemas of transaction and explain
/// name the arguments of all operations.
#[tokio::test]
async fn null_is_not_given() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let filled = |given: Value| {
        let names = [
            "columns", "where", "measures", "data", "updates", "archived", "dry_run", "as", "limit",
        ];
        let mut filled: Map<_, _> =
            names.map(|name| (name.to_owned(), Value::Null)).into_iter().collect();
        filled.extend(object(given));
        Value::Object(filled)
    };
    let one = json!({"clerk_id": 1});
    let operations = [
        json!({"operation": "insert", "table": "clerk", "data": one}),
        json!({"operation": "select", "table": "clerk"}),
        json!({"operation": "delete", "table": "clerk", "where": one}),
    ];
    let operations = json!({"operations": operations.map(filled), "dry_run": null});
    let told = call(&engine, "admin", "transaction", operations).await.unwrap();
    assert_eq!(told["results"][1]["row_count"], 1, "{told}");
    for explained in [
        json!({"operation": "select", "table": "clerk"}),
        json!({"operation": "aggregate", "table": "clerk", "measures": {"n": {"count": "*"}}}),
    ] {
        call(&engine, "admin", "explain", filled(explained)).await.unwrap();
    }
    let tables = json!({"schema": "", "search": "", "detail": null, "cursor": ""});
    let tables = call(&engine, "admin", "list_tables", tables).await.unwrap();
    assert_eq!(tables["tables"].as_array().unwrap().len(), 3);
}
