//! Notes on valid requests that probably mean something else.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::{Value, json};

async fn note(engine: &Engine, tool: &str, arguments: Value) -> String {
    let told = call(engine, "admin", tool, arguments.clone()).await;
    let told = told.unwrap_or_else(|error| panic!("{arguments}: {error}"));
    told.pointer("/notes/0").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A day beside a point in time is its midnight: what happened on it is before or after that.
#[tokio::test]
async fn days_beside_points_in_time() {
    let engine = Database::of(
        "CREATE TABLE member (id integer PRIMARY KEY, born date);
         CREATE TABLE loan (id integer PRIMARY KEY, member_id integer REFERENCES member, lent timestamptz,
           due timestamp, slot tsrange);
         INSERT INTO member VALUES (1, '2000-01-01');
         INSERT INTO loan SELECT n, 1, timestamptz '2025-06-28 10:00Z' + n * interval '1 day' FROM generate_series(1, 4) n",
    )
    .await
    .engine()
    .await;
    let next = "\"2025-07-01\"";
    for (condition, meant) in [
        (
            json!({"lent": {"gte": "2025-06-01", "lte": "2025-06-30"}}),
            format!("{{\"lt\": {next}}}"),
        ),
        (json!({"lent": {"gt": "2025-06-30"}}), format!("{{\"gte\": {next}}}")),
        (json!({"lent": {"in": ["2025-06-30", null]}}), format!("\"lt\": {next}")),
        (json!({"lent": {"not_in": ["2025-06-30"]}}), format!("\"lt\": {next}")),
        (json!({"or": [{"id": 1}, {"not": {"due": {"lte": "2025-06-30"}}}]}), next.to_owned()),
        (json!({"slot": {"path": ["upper"], "lte": "2025-06-30"}}), next.to_owned()),
        (json!({"slot": {"contains": "2025-06-30"}}), format!("\"upper\": {next}")),
        (json!({"slot": {"contains": "2025-06-30T12:00:00"}}), String::new()),
        (json!({"lent": {"gte": "2025-06-01", "lt": "2025-07-01"}}), String::new()),
        (json!({"lent": {"lte": "2025-06-30T12:00:00Z"}}), String::new()),
        (json!({"member": {"born": {"lte": "2025-06-30"}}}), String::new()),
    ] {
        let select = json!({"table": "loan", "where": condition, "limit": 3});
        let mut count = json!({"table": "loan", "measures": {"n": {"count": "*"}}});
        count["where"] = condition.clone();
        let measure =
            json!({"table": "loan", "measures": {"n": {"count": "*", "where": condition}}});
        let include = json!({"table": "member", "include": {"loan": {"where": condition}}});
        let related = json!({"table": "member", "where": {"loan": {"some": condition}}});
        let update =
            json!({"table": "loan", "where": condition, "updates": {"due": null}, "max_rows": 9});
        for (tool, arguments) in [
            ("select", select),
            ("aggregate", count),
            ("aggregate", measure),
            ("select", include),
            ("select", related),
            ("update", update),
        ] {
            let told = note(&engine, tool, arguments.clone()).await;
            assert!(told.contains(&meant), "{tool} {arguments}: {told}");
            assert_eq!(told.contains("midnight"), !meant.is_empty(), "{tool} {arguments}: {told}");
        }
    }
    let having = json!({"table": "loan", "group_by": ["member_id"], "measures": {"last": {"max": "lent"}},
        "having": {"last": {"lte": "2025-06-30"}}});
    assert!(note(&engine, "aggregate", having).await.contains(next));
    let june = json!({"table": "loan", "where": {"lent": {"lte": "2025-06-30"}}});
    let found = call(&engine, "admin", "select", june).await.unwrap();
    assert_eq!(rows(&found).len(), 1, "the rows are those of midnight");
    for (column, hint) in [("lent", "\"lt\": the day after"), ("id", "\"lte\": most")] {
        let between = json!({"table": "loan", "where": {column: {"between": [1, 2]}}});
        let told = error(&engine, "admin", "select", between).await;
        assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
    }
}

/// Of the largest, rows without a value come first, as in PostgreSQL.
#[tokio::test]
async fn rows_without_a_value_lead() {
    let engine = Database::of(
        "CREATE TABLE edition (id integer PRIMARY KEY, work integer, weight integer);
         INSERT INTO edition VALUES (1, 1, NULL), (2, 2, 5), (3, 2, 7)",
    )
    .await
    .engine()
    .await;
    let last = "{\"column\":\"weight\",\"direction\":\"desc\",\"nulls\":\"last\"}";
    let order = |order: Value| json!({"table": "edition", "order_by": [order], "limit": 2});
    let mut few = order(json!("-weight"));
    few["columns"] = json!(["id"]);
    let descending = json!({"column": "weight", "direction": "desc"});
    for arguments in [order(json!("-weight")), order(descending), few] {
        assert!(note(&engine, "select", arguments).await.contains(last));
    }
    let mut first = order(json!({"column": "weight", "direction": "desc", "nulls": "first"}));
    assert_eq!(note(&engine, "select", first.clone()).await, "");
    first["order_by"] = json!([serde_json::from_str::<Value>(last).unwrap()]);
    assert_eq!(note(&engine, "select", first).await, "");
    assert_eq!(note(&engine, "select", order(json!("weight"))).await, "");
    let mut without = order(json!("-weight"));
    without["where"] = json!({"id": {"gt": 1}});
    assert_eq!(note(&engine, "select", without).await, "");
    let whole = json!({"table": "edition", "order_by": ["-weight"]});
    assert_eq!(note(&engine, "select", whole).await, "");
    let heaviest = json!({"table": "edition", "group_by": ["work"], "measures": {"weight": {"max": "weight"}},
        "order_by": ["-weight"], "limit": 1});
    assert!(note(&engine, "aggregate", heaviest).await.contains(last));
}

/// An object that takes the place of another takes its members, too.
#[tokio::test]
async fn objects_that_replace_others() {
    let engine = Database::of(
        "CREATE TABLE member (id integer PRIMARY KEY, prefs jsonb, plain json);
         INSERT INTO member VALUES (1, '{\"lang\": \"de\", \"news\": true}', '{\"a\": 1}'), (2, '{\"lang\": \"de\"}', NULL),
           (3, '[1]', NULL), (4, NULL, NULL)",
    )
    .await
    .engine()
    .await;
    let update = |id: i32, updates: Value| json!({"table": "member", "where": {"id": id}, "updates": updates});
    let lang = json!({"prefs": {"lang": "it"}});
    let mut tried = update(1, lang.clone());
    tried["dry_run"] = json!(true);
    for (arguments, noted) in [
        (tried, true),
        (update(1, json!({"prefs": {"$merge": {"lang": "fr"}}})), false),
        (update(1, json!({"prefs": {"news": false, "lang": "fr", "limit": 1}})), false),
        (update(1, json!({"plain": {"b": 1}})), false),
        (update(2, lang.clone()), false),
        (update(3, lang.clone()), false),
        (update(4, lang.clone()), false),
        (update(1, lang), true),
        (update(1, json!({"prefs": {}})), false),
    ] {
        let told = note(&engine, "update", arguments.clone()).await;
        assert_eq!(told.contains("{\"prefs\": {\"$merge\""), noted, "{arguments}: {told}");
    }
    let each = json!({"table": "member", "updates": [
        {"id": 2, "prefs": {"lang": "it", "news": true}}, {"id": 4, "prefs": {"news": true}}]});
    assert!(note(&engine, "update", each).await.contains("$merge"));

    // What is merged takes the place of the objects within, too.
    let nested = json!({"prefs": {"mail": {"lang": "de", "daily": true}, "push": {"on": true}}});
    note(&engine, "update", update(2, nested)).await;
    for (merged, noted) in [
        (json!({"mail": {"lang": "it", "daily": false}, "lang": "it"}), false),
        (json!({"push": 1, "mail": {}, "new": {"a": 1}}), false),
        (json!({"lang": "it", "mail": {"lang": "it"}}), true),
    ] {
        let mut tried = update(2, json!({"prefs": {"$merge": merged}}));
        tried["dry_run"] = json!(true);
        let told = note(&engine, "update", tried).await;
        let set = "{\"prefs\": {\"$set\": {\"path\": [\"mail\", \"…\"]";
        assert_eq!(told.contains(set), noted, "{merged}: {told}");
    }
}

/// What is null since the related row is archived, and what is left out since its key is an archived row's.
#[tokio::test]
async fn rows_that_are_archived_are_met() {
    let engine = Database::of(
        "CREATE TABLE course (id integer PRIMARY KEY, title text, archived_at timestamptz);
         CREATE TABLE enrol (id integer PRIMARY KEY, course_id integer REFERENCES course);
         INSERT INTO course VALUES (1, 'One', now()), (2, 'Two', NULL);
         INSERT INTO enrol VALUES (1, 1), (2, 2)",
    )
    .await
    .engine()
    .await;
    let count =
        json!({"table": "enrol", "group_by": ["course.title"], "measures": {"n": {"count": "*"}}});
    let mut whole = count.clone();
    whole["archived"] = json!("include");
    let titles = json!({"table": "enrol", "columns": ["id", "course.title"]});
    let mut second = titles.clone();
    second["where"] = json!({"id": 2});
    for (tool, arguments, noted) in [
        ("aggregate", count, true),
        ("aggregate", whole, false),
        ("select", titles, true),
        ("select", second, false),
    ] {
        let told = note(&engine, tool, arguments.clone()).await;
        assert_eq!(told.starts_with("course.title is also null if"), noted, "{arguments}: {told}");
    }
    let again = json!({"table": "course", "data": {"id": 1, "title": "New"}, "on_conflict": {"do": "nothing"}});
    assert!(note(&engine, "insert", again).await.contains("archived or not"));
    let none = json!({"table": "enrol", "where": {"id": 9}, "updates": {"course_id": 2}});
    assert_eq!(note(&engine, "update", none).await, "no row matches where");
}

/// Rows are told apart by numbers that the database gives: nothing that is given can be there already.
#[tokio::test]
async fn conflicts_that_cannot_be() {
    let engine = Database::of(
        "CREATE TABLE language (id serial PRIMARY KEY, name text);
         CREATE TABLE coded (id integer GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, code text UNIQUE, mark text DEFAULT 'x', name text);",
    )
    .await
    .engine()
    .await;
    let nothing = |table: &str, data: Value| json!({"table": table, "data": data, "on_conflict": {"do": "nothing"}});
    for (arguments, noted) in [
        (nothing("language", json!({"name": "Esperanto"})), true),
        (nothing("language", json!([{"name": "Ido"}, {"name": "Volapük"}])), true),
        (nothing("language", json!({"id": 9, "name": "Ido"})), false),
        (nothing("coded", json!({"name": "a", "code": "a"})), false),
        // The default of a column may be another row's value.
        (nothing("coded", json!({"name": "a"})), false),
        (json!({"table": "language", "data": {"name": "Ido"}}), false),
    ] {
        let told = note(&engine, "insert", arguments.clone()).await;
        assert_eq!(
            told.starts_with("on_conflict changes nothing here"),
            noted,
            "{arguments}: {told}"
        );
    }
}

/// A mean that was just returned bounds whole numbers, too.
#[tokio::test]
async fn whole_numbers_beside_fractions() {
    let database = Database::of(
        "CREATE DOMAIN small AS smallint;
         CREATE TABLE film (id integer PRIMARY KEY, length small, size bigint);
         INSERT INTO film SELECT n + 4, n, n FROM generate_series(-3, 3) n",
    )
    .await;
    let engine = database.engine().await;
    for column in ["length", "size"] {
        for bound in ["1.5", "-1.5", "-0.25", "2.9999", "0.0001"] {
            for (operator, sign) in [("gt", ">"), ("gte", ">="), ("lt", "<"), ("lte", "<=")] {
                let query =
                    format!("SELECT count(*)::text FROM film WHERE {column} {sign} {bound}");
                let expected = database.value(&query).await.unwrap();
                for bound in [json!(bound), json!(bound.parse::<f64>().unwrap())] {
                    let select = json!({"table": "film", "where": {column: {operator: bound}}});
                    let reply = call(&engine, "analyst", "select", select).await.unwrap();
                    assert_eq!(rows(&reply).len().to_string(), expected, "{column} {sign} {bound}");
                }
            }
        }
        for operator in ["eq", "ne", "in"] {
            let select = json!({"table": "film", "where": {column: {operator: 1.5}}});
            let told = error(&engine, "analyst", "select", select).await;
            assert_eq!(told["code"], "invalid_value", "{told}");
        }
    }
}
