//! Compares the reply and the effect of a call with those of hand-written SQL.

use mcp_pg_benches::guide::Example;
use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, rows};
use serde_json::{Map, Value};
use tokio_postgres::Client;

/// Runs the statements, takes them back, makes the call, and compares the rows of both and what the
/// tables then hold.
pub(crate) async fn check(example: &Example, database: &Database, engine: &Engine) {
    let client = database.client().await;
    execute(&client, "SET TIME ZONE 'UTC'").await;
    let numbers = Numbers::read(&client).await;
    execute(&client, "BEGIN").await;
    let mut expected = Vec::new();
    for statement in &example.sql {
        expected.push(by_hand(example, &client, statement).await);
    }
    let before = stored(example, &client).await;
    execute(&client, "ROLLBACK").await;
    numbers.restore(&client).await;

    let answers = answers(example, engine).await;
    assert_eq!(answers.len(), expected.len(), "{}: statements", example.title);
    for (answer, expected) in answers.iter().zip(&expected) {
        let agree =
            if example.reads() { same(answer, expected) } else { same_rows(answer, expected) };
        assert!(
            agree,
            "{}\n{}\nanswers {answer:#}\nby hand {expected:#}",
            example.title, example.arguments
        );
    }
    let after = stored(example, &client).await;
    assert_eq!(after, before, "{}: other rows are stored than by hand", example.title);
}

/// The rows of a statement.
async fn by_hand(example: &Example, client: &Client, statement: &str) -> Value {
    let json = format!("WITH answer AS ({statement}) SELECT to_json(answer)::text FROM answer");
    let rows = client.query(&json, &[]).await;
    let rows = rows.unwrap_or_else(|error| panic!("{}: {error:?}\n{statement}", example.title));
    assert!(!rows.is_empty(), "{}: nothing is found by {statement}", example.title);
    rows.iter().map(|row| serde_json::from_str::<Value>(row.get(0)).unwrap()).collect()
}

/// The rows of the call, those of all pages if it sets no limit; of a transaction, those of each operation.
async fn answers(example: &Example, engine: &Engine) -> Vec<Value> {
    let mut arguments = example.arguments.clone();
    let mut all = Vec::new();
    loop {
        let reply = call(engine, "admin", &example.tool, arguments.clone()).await;
        let reply = reply.unwrap_or_else(|error| panic!("{}: {error:?}", example.title));
        if example.tool == "transaction" {
            let results = reply["results"].as_array().unwrap().iter();
            return results.map(|result| result["rows"].clone()).collect();
        }
        all.extend(rows(&reply).to_vec());
        assert!(all.len() < 100_000, "{} has no end", example.title);
        if reply["next_cursor"].is_null() || example.arguments.get("limit").is_some() {
            return vec![Value::Array(all)];
        }
        arguments["cursor"] = reply["next_cursor"].clone();
    }
}

/// All rows of the tables that the call writes, without what a clock writes there.
async fn stored(example: &Example, client: &Client) -> Vec<String> {
    let operations = match &example.arguments["operations"] {
        Value::Array(operations) => operations.as_slice(),
        _ if example.reads() => return Vec::new(),
        _ => std::slice::from_ref(&example.arguments),
    };
    let mut stored = Vec::new();
    for operation in operations {
        let table = operation["table"].as_str().unwrap();
        let rows = format!(
            "SELECT (to_jsonb(t) - '{{last_update,updated_at,created_at,archived_at}}'::text[])::text \
             FROM {table} t ORDER BY 1"
        );
        let rows = client.query(&rows, &[]).await.expect("rows");
        stored.extend(rows.iter().map(|row| row.get::<_, String>(0)));
    }
    stored
}

/// How far each sequence has counted, which no rollback takes back.
struct Numbers(Vec<(String, Option<i64>)>);

impl Numbers {
    async fn read(client: &Client) -> Self {
        let all = "SELECT format('%I.%I', schemaname, sequencename), last_value FROM pg_sequences";
        let rows = client.query(all, &[]).await.expect("sequences");
        Self(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    async fn restore(&self, client: &Client) {
        for (sequence, last) in &self.0 {
            let set = "SELECT setval($1::text::regclass, coalesce($2::bigint, 1), $2 IS NOT NULL)";
            client.execute(set, &[sequence, last]).await.expect("a sequence");
        }
    }
}

async fn execute(client: &Client, statement: &str) {
    client.execute(statement, &[]).await.expect(statement);
}

/// Whether two JSON values say the same: numbers may be written as text, and a point in time in any zone.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => same_members(a, b),
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            let whole = !text.contains('.');
            let close = |text: f64| near(text, number.as_f64().unwrap_or(f64::NAN));
            if whole { *text == number.to_string() } else { text.parse().is_ok_and(close) }
        }
        (Value::Number(a), Value::Number(b)) => {
            a == b || near(a.as_f64().unwrap_or(f64::NAN), b.as_f64().unwrap_or(f64::NAN))
        }
        (Value::String(a), Value::String(b)) => a == b || moment(a) == moment(b),
        (a, b) => a == b,
    }
}

/// The same for written rows, which RETURNING gives in any order.
fn same_rows(a: &Value, b: &Value) -> bool {
    let (Some(a), Some(mut b)) = (a.as_array(), b.as_array().cloned()) else { return same(a, b) };
    a.len() == b.len()
        && a.iter().all(|row| {
            let found = b.iter().position(|other| same(row, other));
            found.map(|found| b.swap_remove(found)).is_some()
        })
}

fn same_members(a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    a.len() == b.len()
        && a.iter().all(|(name, value)| b.get(name).is_some_and(|other| same(value, other)))
}

/// A sum of floating-point numbers depends on their order, and a mean has no end.
fn near(a: f64, b: f64) -> bool {
    a == b || ((a - b) / a).abs() < 1e-12
}

/// A point in time in UTC; any other text as it is.
fn moment(text: &str) -> String {
    let moment = text.parse::<jiff::Timestamp>();
    moment.map_or_else(|_| text.to_owned(), |moment| moment.to_string())
}
