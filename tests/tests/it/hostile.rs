//! Almost valid requests: each is answered or refused with an error about the request, and nothing is changed.

use mcp_pg_core::{Code, Engine};
use mcp_pg_tests::{Database, SHOP, call};
use proptest::test_runner::TestCaseError;
use serde_json::{Map, Value, json};

use crate::property::choices::Choices;
use crate::property::runner;

/// Calls that are valid, of every tool and with every argument.
fn calls() -> Vec<(&'static str, Value)> {
    vec![
        (
            "list_tables",
            json!({"schema": "public", "search": "order", "detail": "names", "cursor": null}),
        ),
        ("describe_table", json!({"table": "orders"})),
        (
            "select",
            json!({
                "table": "orders", "columns": ["order_id", "total"], "limit": 5, "offset": 1, "count": "exact",
                "where": {"status": {"in": ["paid", "pending"]}, "total": {"gte": 10, "lt": "500.5"}, "user": {"country": "DE"},
                    "or": [{"note": null}, {"not": {"created_at": {"gt": "2025-01-01T00:00:00Z"}}}]},
                "order_by": ["-total", {"column": "user.name", "direction": "desc", "nulls": "last"}], "archived": "include",
                "with_version": true, "format": "columns",
            }),
        ),
        (
            "select",
            json!({
                "table": "users", "where": {"orders": {"some": {"order_items": {"every": {"quantity": {"gt": 1}}}}, "none": {"status": "cancelled"}}},
                "include": {"orders": {"columns": ["total"], "where": {"total": {"gt": 1}}, "order_by": ["-total"], "limit": 2,
                    "include": {"order_items": {"count": true}, "payments": true}}, "user_preferences": {}},
            }),
        ),
        (
            "select",
            json!({
                "table": "user_preferences", "where": {"settings": {"path": ["notify", "sms"], "eq": true}, "and": [
                    {"settings": {"has_key": "theme"}}, {"settings": {"contains": {"theme": "dark"}}}, {"language": {"matches": "^e.$"}}]},
                "columns": ["user_id", {"column": "settings", "path": ["notify", "sms"], "as": "sms"}], "order_by": [{"column": "settings", "path": ["theme"]}],
            }),
        ),
        (
            "select",
            json!({
                "table": "users", "where": {"orders": {"count": {"gte": 1}, "where": {"total": {"gt": {"$column": "order_id"}}}}},
                "order_by": [{"count": "orders", "where": {"status": "paid"}, "direction": "desc"}, "name"], "limit": 2,
            }),
        ),
        (
            "select",
            json!({
                "table": "products", "where": {"tags": {"overlaps": ["coffee", "tea"]}, "description": {"search": "roast -dark"},
                    "name": {"ilike": "%coffee%"}, "sku": {"starts_with": "C"}, "price": {"is_distinct_from": null}},
            }),
        ),
        (
            "aggregate",
            json!({
                "table": "orders", "measures": {"n": {"count": "*"}, "sum": {"sum": "total", "where": {"status": "paid"}}, "who": {"count_distinct": "user_id"},
                    "last": {"max": "created_at"}, "mean": {"avg": "total"}},
                "group_by": ["status", {"column": "created_at", "bucket": "month", "time_zone": "Europe/Berlin", "as": "month"}, "user.country"],
                "having": {"n": {"gte": 1}, "or": [{"month": {"gt": "2025-01-01"}}, {"user.country": "DE"}]}, "order_by": ["-sum", "month"], "limit": 3, "offset": 0,
            }),
        ),
        (
            "insert",
            json!({
                "table": "products", "data": [{"sku": "NEW-001", "name": "New", "price": "9.95", "tags": ["a", "b"]}, {"sku": "NEW-002", "name": "Newer", "price": 1, "created_at": {"$now": true}}],
                "on_conflict": {"columns": ["sku"], "do": "update", "update": ["price"]}, "returning": ["product_id", "price"],
            }),
        ),
        (
            "insert",
            json!({"table": "user_preferences", "data": {"user_id": 4, "newsletter": true, "settings": {"theme": "dark"}}}),
        ),
        (
            "update",
            json!({
                "table": "orders", "where": {"status": "pending", "user": {"name": {"like": "%a%"}}}, "max_rows": 10, "returning": ["order_id"], "archived": "exclude",
                "updates": {"total": {"$increment": 1.5}, "note": {"$append": "!"}, "status": "paid", "created_at": {"$default": true}},
            }),
        ),
        (
            "update",
            json!({"table": "user_preferences", "where": {"user_id": 1}, "if_version": "1", "updates": {"settings": {"$merge": {"a": 1}}, "language": {"$literal": "fr"}}}),
        ),
        (
            "archive",
            json!({"table": "products", "where": {"product_id": {"in": [1, 2]}}, "max_rows": 2, "if_version": 1}),
        ),
        ("restore", json!({"table": "users", "where": {"user_id": 10}, "returning": ["email"]})),
        (
            "delete",
            json!({"table": "reviews", "where": {"rating": {"lte": 2}}, "max_rows": 3, "archived": "include"}),
        ),
        (
            "transaction",
            json!({
                "operations": [
                    {"operation": "insert", "as": "user", "table": "users", "data": {"email": "new@example.com", "name": "New", "country": "FR"}},
                    {"operation": "insert", "as": "order", "table": "orders", "data": {"user_id": {"$ref": "user.user_id"}}},
                    {"operation": "insert", "table": "order_items", "data": [{"order_id": {"$ref": "order.order_id"}, "product_id": 1, "unit_price": 5}]},
                    {"operation": "select", "table": "orders", "where": {"order_id": {"$ref": "1.order_id"}}},
                    {"operation": "update", "table": "inventory", "where": {"product_id": 1}, "updates": {"reserved": {"$increment": 1}}}],
                "isolation": "serializable",
            }),
        ),
        (
            "explain",
            json!({"operation": "select", "table": "orders", "where": {"user_id": 1}, "analyze": true}),
        ),
    ]
}

/// Values that are wrong nearly everywhere.
fn wrong_value(choices: &mut Choices<'_>) -> Value {
    let values = [
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1e308),
        json!(0.1),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(""),
        json!(" "),
        json!("*"),
        json!("-"),
        json!("--"),
        json!("x'; DROP TABLE users; --"),
        json!("\" OR 1=1"),
        json!("\u{0}"),
        json!("a\u{0}b"),
        json!("🦀é"),
        json!("(((["),
        json!("\\"),
        json!("%\\"),
        json!("$1"),
        json!("NaN"),
        json!("-infinity"),
        json!("99999999999999999999999999"),
        json!("pg_catalog.pg_authid"),
        json!("public.orders"),
        json!("user.orders.total"),
        json!("order_items.quantity"),
        json!("2025-02-30"),
        json!("{}"),
        json!("{1,2}"),
        json!("[1,"),
        json!([]),
        json!([[]]),
        json!([null]),
        json!([[1], [2, 3]]),
        json!({}),
        json!({"": {}}),
        json!({"eq": null}),
        json!({"in": "x"}),
        json!({"path": [], "eq": 1}),
        json!({"column": "or", "eq": 1}),
        json!({"$ref": "0.x"}),
        json!({"$ref": 7}),
        json!({"$increment": "x"}),
        json!({"$now": false}),
        json!({"$append": null}),
        json!({"$nothing": 1}),
        json!({"some": {}, "none": {}}),
        json!({"every": {"x": 1}}),
        json!({"and": []}),
        json!({"not": []}),
        json!("x".repeat(2_000)),
        deep(30),
        deep(300),
        json!({"lower": 1, "upper": 0, "bounds": "[]"}),
        json!((0..1_100).collect::<Vec<_>>()),
    ];
    choices.pick(&values).clone()
}

fn deep(levels: usize) -> Value {
    (0..levels).fold(
        json!(1),
        |inner, level| if level % 2 == 0 { json!({"not": inner}) } else { json!([inner]) },
    )
}

const KEYS: [&str; 30] = [
    "",
    "user_id",
    "USERS",
    "user ",
    "total",
    "orders",
    "order_items",
    "products",
    "and",
    "or",
    "not",
    "column",
    "path",
    "eq",
    "in",
    "search",
    "some",
    "every",
    "$ref",
    "$now",
    "$increment",
    "where",
    "include",
    "limit",
    "count",
    "cursor",
    "table",
    "\"",
    "a\u{0}",
    "xmin",
];

/// Changes one place of a JSON value.
fn spoil(value: &mut Value, choices: &mut Choices<'_>) {
    let mut places = Vec::new();
    pointers(value, String::new(), &mut places);
    let other = value.pointer(choices.pick::<String>(&places)).cloned().unwrap_or_default();
    let Some(place) = value.pointer_mut(choices.pick::<String>(&places)) else { return };
    let wrong = if choices.chance(20) { other } else { wrong_value(choices) };
    match (place, choices.below(4)) {
        (Value::Object(members), 1) if !members.is_empty() => {
            let key = members.keys().nth(choices.below(members.len())).cloned().unwrap_or_default();
            let removed = members.shift_remove(&key);
            if choices.chance(70) {
                members.insert((*choices.pick(&KEYS)).to_owned(), removed.unwrap_or_default());
            }
        }
        (Value::Object(members), 2) => {
            members.insert((*choices.pick(&KEYS)).to_owned(), wrong);
        }
        (Value::Array(items), 1 | 2) => items.push(wrong),
        (place, _) => *place = wrong,
    }
}

fn pointers(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                pointers(
                    member,
                    format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")),
                    into,
                );
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, format!("{at}/{index}"), into);
            }
        }
        _ => {}
    }
    into.push(at);
}

#[test]
fn hostile_requests_are_refused_in_the_callers_terms_and_change_nothing() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (database, engine) = runtime.block_on(async {
        let database = Database::shop().await;
        let engine = database.engine().await;
        (database, engine)
    });
    let before = runtime.block_on(content(&database));
    let calls = calls();
    for (tool, arguments) in &calls {
        // Whatever is refused below is refused for what was changed.
        runtime
            .block_on(answer(&engine, tool, arguments))
            .unwrap_or_else(|fault| panic!("{fault}"));
    }
    let numbers = proptest::collection::vec(proptest::num::u32::ANY, 8..40);
    let outcome = runner().run(&numbers, |numbers| {
        let mut choices = Choices(numbers.iter());
        let (tool, mut arguments) = choices.pick(&calls).clone();
        for _ in 0..1 + choices.below(3) {
            spoil(&mut arguments, &mut choices);
        }
        runtime.block_on(answer(&engine, tool, &arguments)).map_err(TestCaseError::fail)
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(runtime.block_on(content(&database)), before);
}

/// Makes the call, as someone who may do everything; says what is wrong with the answer.
async fn answer(engine: &Engine, tool: &str, arguments: &Value) -> Result<(), String> {
    let Value::Object(mut arguments) = arguments.clone() else { return Ok(()) };
    let writes = ["insert", "update", "archive", "restore", "delete", "transaction"];
    if writes.contains(&tool) {
        arguments.insert("dry_run".into(), true.into());
    }
    let arguments = Value::Object(arguments);
    let Err(error) = call(engine, "admin", tool, arguments.clone()).await else { return Ok(()) };
    let fault = |what: &str| Err(format!("{tool} {arguments}\n{what}: {error:?}"));
    if matches!(error.code(), Code::Internal | Code::DatabaseError | Code::DatabaseUnavailable) {
        return fault("not the caller's fault");
    }
    let shown: Map<String, Value> = match serde_json::to_value(&error) {
        Ok(Value::Object(shown)) => shown,
        other => return fault(&format!("no JSON: {other:?}")),
    };
    let text = json!(shown["message"]).to_string();
    if text.contains("SELECT") || text.contains("t0.") {
        return fault("SQL is shown");
    }
    if let Some(at) = error.get_at().filter(|at| !at.is_empty()) {
        // What is missing has a place too: in what would hold it. And a lone value stands for a list of one.
        let holder = |at: &str| at.rsplit_once('/').map_or(String::new(), |(at, _)| at.to_owned());
        let lone = at.replace("/0", "");
        let places = [holder(at), holder(&lone), at.to_owned(), lone];
        if !places.iter().any(|at| arguments.pointer(at).is_some()) {
            return fault("the place is not in the arguments");
        }
    }
    Ok(())
}

/// All rows of all tables.
async fn content(database: &Database) -> String {
    let mut all = String::new();
    for table in SHOP {
        let rows = format!("SELECT string_agg(t::text, E'\\n' ORDER BY t::text) FROM {table} t");
        all.push_str(&database.value(&rows).await.unwrap_or_default());
    }
    all
}
