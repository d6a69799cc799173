//! Values that a new row gives, computes or leaves out.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::json;

use super::{ITEMS, insert};

#[tokio::test]
async fn one_row_and_many_get_defaults_for_what_they_leave_out() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let one = insert(&engine, json!({"table": "items", "data": {"code": "b"}})).await;
    assert_eq!(one["row_count"], 1);
    assert_eq!(one["table"], "public.items");
    assert_eq!(
        rows(&one)[0],
        json!({"id": 2, "code": "b", "label": "none", "area": null, "shelf": null,
               "made_on": "2020-01-01", "double": null, "details": null, "version": 1})
    );
    let many = insert(
        &engine,
        json!({"table": "items", "returning": ["id", "label", "double"],
               "data": [{"label": "x"}, {"shelf": 4, "area": 9}, {}]}),
    )
    .await;
    assert_eq!(
        many["rows"],
        json!([{"id": 3, "label": "x", "double": null}, {"id": 4, "label": "none", "double": 8},
               {"id": 5, "label": "none", "double": null}])
    );
}

#[tokio::test]
async fn a_row_may_be_empty() {
    let engine = Database::of(ITEMS).await.engine().await;
    let one = insert(&engine, json!({"table": "plain", "data": {}})).await;
    assert!(rows(&one)[0]["at"].is_string());
    let three = insert(&engine, json!({"table": "numbered", "data": [{}, {}, {}]})).await;
    assert_eq!(
        three["rows"],
        json!([{"id": 1, "name": null}, {"id": 2, "name": null}, {"id": 3, "name": null}])
    );
}

#[tokio::test]
async fn an_empty_returning_returns_nothing() {
    let engine = Database::of(ITEMS).await.engine().await;
    let reply =
        insert(&engine, json!({"table": "numbered", "data": [{}, {}], "returning": []})).await;
    assert_eq!(reply["row_count"], 2);
    assert_eq!(reply["truncated"], false);
    assert_eq!(reply["rows"], json!([]));
}

#[tokio::test]
async fn data_sent_as_text_is_understood() {
    let engine = Database::of(ITEMS).await.engine().await;
    let one = insert(&engine, json!({"table": "items", "data": "{\"code\": \"t\"}"})).await;
    assert_eq!(rows(&one)[0]["code"], "t");
    let two = insert(
        &engine,
        json!({"table": "items", "data": "[{\"code\": \"u\"}, {\"code\": \"v\"}]"}),
    )
    .await;
    assert_eq!(two["row_count"], 2);
    for data in [json!("nonsense"), json!("\"text\""), json!(5), json!(null), json!(true)] {
        let (code, at) = refused(&engine, "insert", json!({"table": "items", "data": data})).await;
        assert_eq!((code.as_str(), at.as_str()), ("invalid_value", "/data"), "{data}");
    }
    let list = json!({"table": "items", "data": [{}, 7]});
    assert_eq!(refused(&engine, "insert", list).await, ("invalid_value".into(), "/data/1".into()));
    let empty = json!({"table": "items", "data": []});
    assert_eq!(refused(&engine, "insert", empty).await, ("missing_value".into(), "/data".into()));
}

#[tokio::test]
async fn values_can_be_computed() {
    let engine = Database::of(ITEMS).await.engine().await;
    let reply = insert(
        &engine,
        json!({"table": "items", "data": {
            "made_on": {"$now": true}, "label": {"$default": true},
            "details": {"$literal": {"$increment": 1}}, "shelf": {"$literal": 3}}}),
    )
    .await;
    let row = &rows(&reply)[0];
    assert!(row["made_on"].as_str().unwrap() > "2025", "{row}");
    assert_eq!(row["label"], "none");
    assert_eq!(row["details"], json!({"$increment": 1}));
    assert_eq!(row["shelf"], 3);
}

#[tokio::test]
async fn invalid_computations_in_a_new_row_are_refused() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    for (data, code, at) in [
        (json!({"shelf": {"$increment": 1}}), "invalid_value", "/data/shelf/$increment"),
        (json!({"label": {"$append": "x"}}), "invalid_value", "/data/label/$append"),
        (json!({"details": {"$merge": {}}}), "invalid_value", "/data/details/$merge"),
        (json!({"label": {"$now": true}}), "invalid_value", "/data/label/$now"),
        (json!({"made_on": {"$now": 1}}), "invalid_value", "/data/made_on/$now"),
        (json!({"label": {"$default": false}}), "invalid_value", "/data/label/$default"),
        (json!({"shelf": {"$incremnt": 1}}), "unknown_operator", "/data/shelf/$incremnt"),
        (json!({"shelf": {"$ref": "a.id"}}), "invalid_value", "/data/shelf/$ref"),
        (json!({"shelf": {"$ref": 0}}), "invalid_value", "/data/shelf/$ref"),
        (json!({"shelf": {"$literal": "x"}}), "invalid_value", "/data/shelf/$literal"),
    ] {
        let found = refused(&engine, "insert", json!({"table": "items", "data": data})).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{data}");
    }
    let typo = error(
        &engine,
        "operator",
        "insert",
        json!({"table": "items", "data": {"shelf": {"$incremnt": 1}}}),
    )
    .await;
    assert_eq!(typo["did_you_mean"], "$increment");
    assert_eq!(database.value("SELECT count(*)::text FROM items").await.unwrap(), "1");
}

#[tokio::test]
async fn columns_that_postgresql_fills_are_read_only() {
    let engine = Database::of(ITEMS).await.engine().await;
    for (table, data, at) in [
        ("items", json!({"double": 2}), "/data/double"),
        ("items", json!([{"code": "x"}, {"double": 2}]), "/data/1/double"),
        ("numbered", json!({"id": 7}), "/data/id"),
        ("numbered", json!({"id": null}), "/data/id"),
        ("numbered", json!({"id": {"$default": true}}), "/data/id"),
    ] {
        let found = refused(&engine, "insert", json!({"table": table, "data": data})).await;
        assert_eq!(found, ("read_only_column".into(), at.into()), "{data}");
    }
    // An identity that a caller may supply.
    let given = insert(&engine, json!({"table": "items", "data": {"id": 77}})).await;
    assert_eq!(rows(&given)[0]["id"], 77);
}

#[tokio::test]
async fn a_missing_column_is_named_before_anything_is_written() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let row = json!({"email": "x@example.com", "name": "X", "country": "DE"});
    let reply = error(
        &engine,
        "operator",
        "insert",
        json!({"table": "users", "data": [row, {"email": "y@example.com", "country": "DE"}]}),
    )
    .await;
    assert_eq!(reply["code"], "missing_value");
    assert_eq!(reply["at"], "/data/1/name");
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
}

#[tokio::test]
async fn a_column_has_the_default_of_its_domain() {
    let database = Database::of(
        "CREATE DOMAIN percent AS numeric(5,2) DEFAULT 5 NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
         CREATE DOMAIN rate AS percent;
         CREATE TABLE kinds (f text, p percent, r rate, own percent DEFAULT 7);",
    )
    .await;
    let engine = database.engine().await;
    let insert = json!({"table": "kinds", "data": {"f": "blue"}});
    let reply = call(&engine, "operator", "insert", insert).await.unwrap();
    assert_eq!(reply["rows"], json!([{"f": "blue", "p": 5, "r": 5, "own": 7}]));
    let told =
        call(&engine, "operator", "describe_table", json!({"table": "kinds"})).await.unwrap();
    let defaults: Vec<_> =
        told["columns"].as_array().unwrap().iter().map(|c| &c["default"]).collect();
    assert_eq!(defaults[1..], [&json!("5"), &json!("5"), &json!("7")], "{told}");
}

#[tokio::test]
async fn a_view_that_leaves_out_a_required_column_is_blamed() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY, name text, hired date NOT NULL);
         CREATE VIEW named AS SELECT id, name FROM person;",
    )
    .await;
    let engine = database.engine().await;
    let insert = json!({"table": "named", "data": {"id": 1, "name": "Ada"}});
    let refused = error(&engine, "operator", "insert", insert).await;
    assert_eq!(refused["code"], "not_null_violation", "{refused}");
    assert!(refused["hint"].as_str().unwrap().starts_with("the view leaves out"), "{refused}");
}
