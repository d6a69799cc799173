//! Dates and timestamps plus an interval: `{"add": ["due", {"interval": "14 days"}]}`.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_tests::{Database, call, error, ids, paged, selected};
use serde_json::{Value, json};

const LOANS: &str = "
    CREATE TABLE reader (id integer PRIMARY KEY, joined date);
    CREATE TABLE loan (id integer PRIMARY KEY, reader_id integer REFERENCES reader, lent date NOT NULL, due timestamptz,
        back timestamp, n integer);
    INSERT INTO reader VALUES (1, '2020-02-29'), (2, '2024-01-31');
    INSERT INTO loan SELECT i, 1 + i % 2, date '2024-01-25' + i, timestamptz '2024-01-31 12:00+00' + i * interval '1 hour',
        CASE WHEN i % 3 > 0 THEN timestamp '2024-03-01' - i * interval '1 minute' END, i FROM generate_series(1, 20) i;
    INSERT INTO loan VALUES (21, NULL, 'infinity', '-infinity', '294276-12-31 23:00', 21),
        (22, NULL, '5874897-12-31', '4713-01-01 00:00+00 BC', '4713-01-02 BC', 22);";

fn later(column: &str, by: &str) -> Value {
    json!({"add": [column, {"interval": by}]})
}

#[tokio::test]
async fn conditions() {
    let database = Database::of(LOANS).await;
    let engine = database.engine().await;
    let with = |value: Value, operator: &str, operand: Value| {
        let mut value = value;
        value[operator] = operand;
        json!({"compute": value})
    };
    // What PostgreSQL refuses at the last two rows is no value there.
    let near = "id < 21 AND ";
    for (condition, sql) in [
        (
            with(later("lent", "1 month"), "eq", json!("2024-02-29")),
            "lent + interval '1 month' = '2024-02-29'",
        ),
        (
            with(later("lent", "2 weeks"), "in", json!(["2024-02-10", "2024-02-11"])),
            "lent + 14 IN ('2024-02-10', '2024-02-11')",
        ),
        (
            with(
                json!({"subtract": ["due", {"interval": "1 day 3 hours"}]}),
                "lt",
                json!("2024-01-30T15:00:00Z"),
            ),
            "due - interval '1 day 3 hours' < '2024-01-30 15:00+00'",
        ),
        (
            with(
                json!({"add": [{"interval": "-1 year"}, "back"]}),
                "gte",
                json!("2023-02-28T23:50:00"),
            ),
            "back - interval '1 year' >= '2023-02-28 23:50'",
        ),
        (
            with(later("reader.joined", "4 years"), "gte", json!({"$column": "lent"})),
            "(SELECT joined FROM reader r WHERE r.id = reader_id) + interval '4 years' >= lent",
        ),
        (with(later("lent", "3 days"), "lt", json!({"$now": true})), "lent + 3 < current_date"),
        (with(later("back", "1 day"), "is_null", json!(true)), "back IS NULL"),
        (
            json!({"compute": {"subtract": [later("lent", "7 days"), "due"], "gt": 15}}),
            "extract(epoch FROM lent + interval '7 days') - extract(epoch FROM due) > 15 * 86400",
        ),
        (
            json!({"compute": {"subtract": [{"$now": true}, later("lent", "7 days")], "gt": 10}}),
            "lent < current_date - 17",
        ),
    ] {
        let query =
            format!("SELECT string_agg(id::text, ',' ORDER BY id) FROM loan WHERE {near} {sql}");
        let expected = database.value(&query).await.unwrap_or_default();
        let found: Vec<String> = ids(&engine, "loan", &condition)
            .await
            .iter()
            .filter(|id| **id < 21)
            .map(ToString::to_string)
            .collect();
        assert_eq!(found.join(","), expected, "{condition}");
    }
}

#[tokio::test]
async fn results_out_of_range_are_null() {
    let database = Database::of(LOANS).await;
    let engine = database.engine().await;
    let columns = json!(["id", {"add": ["lent", {"interval": "4000 years"}], "as": "l"}, {"subtract": ["due", {"interval": "1 hour"}], "as": "d"},
        {"add": ["back", {"interval": "2 hours"}], "as": "b"}]);
    let rows = selected(
        &engine,
        json!({"table": "loan", "columns": columns, "where": {"id": {"gt": 20}}}),
    )
    .await;
    assert_eq!(
        rows,
        [
            json!({"id": 21, "l": "infinity", "d": "-infinity", "b": null}),
            json!({"id": 22, "l": null, "d": null, "b": "4713-01-02T02:00:00 BC"}),
        ]
    );
    // Nor does a page that is asked for by many fail at one, or a row that the role does not see.
    let mut role = Role::everywhere("clerk", [Action::Select]);
    role.grants[0].rows = Some(mcp_pg_tests::object(json!({"n": {"lt": 21}})));
    let ruled = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    for n in 0..8 {
        let condition = json!({"compute": {"add": ["lent", {"interval": format!("{n} days")}], "gt": "2024-02-01"}});
        let arguments =
            json!({"table": "loan", "where": condition, "order_by": [later("back", "4000 years")]});
        assert!(call(&ruled, "clerk", "select", arguments).await.is_ok());
    }
}

#[tokio::test]
async fn columns_order_pages_groups_and_measures() {
    let database = Database::of(LOANS).await;
    let engine = database.engine().await;
    let columns = json!(["id", {"add": ["lent", {"interval": "14 days"}], "as": "until"}, {"add": ["due", {"interval": "30 minutes"}], "as": "end"}]);
    let rows = selected(&engine, json!({"table": "loan", "columns": columns, "order_by": ["-until"], "where": {"id": {"lt": 21}}, "limit": 1})).await;
    assert_eq!(rows, [json!({"id": 20, "until": "2024-02-28", "end": "2024-02-01T08:30:00Z"})]);
    for column in ["lent", "due", "back"] {
        for direction in ["asc", "desc"] {
            let mut key = later(column, "1 month 1 day");
            key["direction"] = json!(direction);
            let arguments = json!({"table": "loan", "columns": ["id"], "where": {"id": {"lt": 21}}, "order_by": [key]});
            let sql = format!(
                "SELECT string_agg(id::text, ',' ORDER BY {column} + interval '1 month 1 day' {direction}, id {direction}) FROM loan WHERE id < 21"
            );
            let told: Vec<String> =
                paged(&engine, arguments, "id", 3).await.iter().map(ToString::to_string).collect();
            assert_eq!(Some(told.join(",")), database.value(&sql).await, "{column} {direction}");
        }
    }
    let totals = json!({"table": "loan", "where": {"id": {"lt": 21}}, "group_by": [{"add": ["lent", {"interval": "1 month"}], "as": "month"}],
        "measures": {"n": {"count": "*"}, "last": {"max": later("due", "1 day")}, "days": {"avg": {"subtract": [later("due", "1 day"), "lent"]}}},
        "order_by": ["-n", "month"], "limit": 1});
    let totals = call(&engine, "admin", "aggregate", totals).await.unwrap();
    // The last day of January, and three days before it.
    assert_eq!(totals["rows"][0]["n"], 3, "{totals}");
    assert_eq!(
        (&totals["rows"][0]["month"], &totals["rows"][0]["last"]),
        (&json!("2024-02-29"), &json!("2024-02-01T18:00:00Z")),
        "{totals}"
    );
}

#[tokio::test]
async fn moved_dates_are_written() {
    let database = Database::of(LOANS).await;
    let engine = database.engine().await;
    let updates = json!({"due": {"$compute": later("lent", "14 days")}, "lent": {"$compute": {"subtract": ["due", {"interval": "1 week"}]}}});
    let update = json!({"table": "loan", "where": {"id": 1}, "updates": updates, "returning": ["due", "lent"]});
    let reply = call(&engine, "operator", "update", update).await.unwrap();
    assert_eq!(reply["rows"], json!([{"due": "2024-02-09T00:00:00Z", "lent": "2024-01-24"}]));
    let each = json!({"table": "loan", "where": {}, "updates": [{"id": 2, "due": {"$compute": later("lent", "1 day")}}, {"id": 3, "due": {"$compute": later("lent", "2 days")}}], "returning": ["due"]});
    let reply = call(&engine, "operator", "update", each).await.unwrap();
    assert_eq!(
        reply["rows"],
        json!([{"due": "2024-01-28T00:00:00Z"}, {"due": "2024-01-30T00:00:00Z"}])
    );
    for (updates, at) in [
        (json!({"n": {"$compute": later("lent", "1 day")}}), "/updates/n/$compute"),
        (json!({"due": {"$compute": {"subtract": ["n", 1]}}}), "/updates/due/$compute"),
    ] {
        let arguments = json!({"table": "loan", "where": {"id": 1}, "updates": updates});
        let told = error(&engine, "operator", "update", arguments).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!(at)), "{told}");
    }
}

#[tokio::test]
async fn invalid_moves_are_refused() {
    let engine = Database::of(LOANS).await.engine().await;
    for (value, at) in [
        (json!({"add": ["n", {"interval": "1 day"}]}), "/add/0"),
        (json!({"multiply": ["lent", {"interval": "1 day"}]}), "/multiply/0"),
        (json!({"add": ["lent", {"interval": "1 hour"}]}), "/add/1/interval"),
        (json!({"add": ["lent", {"interval": 14}]}), "/add/1/interval"),
        (json!({"add": ["lent", "14 days"]}), "/add/1"),
        (json!({"add": ["lent", 14]}), "/add/0"),
        (json!({"add": ["lent", {"interval": "1 day"}], "unit": "hours"}), "/unit"),
    ] {
        let arguments = json!({"table": "loan", "columns": [value]});
        let told = error(&engine, "analyst", "select", arguments).await;
        assert_eq!(told["at"], json!(format!("/columns/0{at}")), "{value}: {told}");
        let hint = told["hint"].as_str().unwrap_or_default();
        assert!(hint.contains("{\"interval\": \"14 days\"}") || at == "/unit", "{value}: {told}");
    }
    let combined =
        json!({"table": "loan", "measures": {"a": {"max": "lent"}, "b": later("a", "1 day")}});
    assert_eq!(error(&engine, "analyst", "aggregate", combined).await["at"], "/measures/b");
}
