//! Many rows, and a dry run.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

use super::{ITEMS, insert};

#[tokio::test]
async fn an_error_names_the_row() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let user = |email: &str| json!({"email": email, "name": "N", "country": "DE"});
    let data = json!([
        user("p@x.de"),
        user("q@x.de"),
        user("r@x.de"),
        user("ada@example.com"),
        user("s@x.de")
    ]);
    let reply = error(&engine, "operator", "insert", json!({"table": "users", "data": data})).await;
    assert_eq!(reply["code"], "unique_violation");
    assert_eq!(reply["at"], "/data/3/email");
    assert_eq!(reply["constraint"], "users_email_key");
    assert_eq!(reply["sqlstate"], "23505");
    assert_eq!(reply["retryable"], false);

    let data = json!([user("p@x.de"), user("NOT LOWER@x.de")]);
    let reply = error(&engine, "operator", "insert", json!({"table": "users", "data": data})).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("check_violation"), &json!("/data/1/email"))
    );
    let data = json!([user("p@x.de"), user("p@x.de")]);
    let reply = error(&engine, "operator", "insert", json!({"table": "users", "data": data})).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("unique_violation"), &json!("/data/1/email"))
    );
    let lone = json!({"table": "users", "data": [user("ada@example.com")]});
    assert_eq!(refused(&engine, "insert", lone).await.1, "/data/0/email");
    let lone = json!({"table": "users", "data": user("ada@example.com")});
    assert_eq!(refused(&engine, "insert", lone).await.1, "/data/email");
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
}

#[tokio::test]
async fn five_thousand_rows_are_one_transaction() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    // More parameters than one statement can have.
    let row = |n: usize| {
        json!({"code": format!("c{n}"), "label": "l", "area": n, "shelf": 2, "made_on": "2021-02-03",
               "details": {"n": n}, "id": n + 10})
    };
    let mut data: Vec<Value> = (0..5_000).map(row).collect();
    data[4_999]["code"] = json!("c7");
    let arguments = json!({"table": "items", "data": data, "returning": ["id"]});
    assert_eq!(
        refused(&engine, "insert", arguments.clone()).await,
        ("unique_violation".into(), "/data/4999/code".into())
    );
    assert_eq!(database.value("SELECT count(*)::text FROM items").await.unwrap(), "1");

    let mut arguments = arguments;
    arguments["data"][4_999]["code"] = json!("c4999");
    let reply = insert(&engine, arguments).await;
    assert_eq!(reply["row_count"], 5_000);
    assert_eq!(reply["truncated"], true);
    assert_eq!(rows(&reply).len(), 1_000);
    assert_eq!(database.value("SELECT count(*)::text FROM items").await.unwrap(), "5001");
}

#[tokio::test]
async fn an_insert_has_a_largest_size() {
    let engine = Database::of(ITEMS).await.engine().await;
    let data: Vec<Value> = vec![json!({}); 10_001];
    assert_eq!(
        refused(&engine, "insert", json!({"table": "plain", "data": data})).await,
        ("limit_exceeded".into(), "/data".into())
    );
}

#[tokio::test]
async fn a_dry_run_keeps_nothing() {
    let database = Database::of(ITEMS).await;
    let engine = database.engine().await;
    let reply = insert(
        &engine,
        json!({"table": "items", "data": [{"code": "q"}, {"code": "r"}], "dry_run": true,
               "returning": ["code"]}),
    )
    .await;
    assert_eq!(reply["dry_run"], true);
    assert_eq!(reply["before"], json!([]));
    assert_eq!(reply["after"], json!([{"code": "q"}, {"code": "r"}]));
    assert_eq!(reply["row_count"], 2);
    assert_eq!(database.value("SELECT count(*)::text FROM items").await.unwrap(), "1");
    let clash = json!({"table": "items", "data": {"code": "a"}, "dry_run": true});
    assert_eq!(refused(&engine, "insert", clash).await.0, "unique_violation");
}

#[tokio::test]
async fn a_value_too_large_is_placed_at_its_column() {
    let engine = Database::of(
        "CREATE DOMAIN code AS varchar(3);
         CREATE TABLE sized (id integer PRIMARY KEY, a varchar(3), b varchar(3), c char(2), n numeric(4,2), k code,
             at integer, UNIQUE (a, at));
         CREATE UNIQUE INDEX ON sized (b) WHERE c IS NULL;
         CREATE TABLE parts (id integer, year integer, label text, PRIMARY KEY (id, year))
             PARTITION BY LIST (year);
         CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
         CREATE TABLE bare ();",
    )
    .await
    .engine()
    .await;
    for (row, at) in [
        (json!({"id": 1, "a": "abc", "b": "abcd", "at": 1}), "/data/b"),
        (json!({"id": 1, "a": "äöü", "c": "abc", "at": 1}), "/data/c"),
        (json!({"id": 1, "n": 123.4, "a": "x"}), "/data/n"),
        (json!({"id": 1, "n": "-0100", "a": "x"}), "/data/n"),
        (json!({"id": 1, "n": "0.1e3", "a": "x"}), "/data/n"),
    ] {
        let found = refused(&engine, "insert", json!({"table": "sized", "data": row})).await;
        assert_eq!(found, ("invalid_value".into(), at.into()), "{row}");
    }
    let fitting =
        json!({"id": 1, "a": "äöü", "b": "ab   ", "c": "x", "n": "0.009999e4", "k": "abc"});
    call(&engine, "operator", "insert", json!({"table": "sized", "data": fitting})).await.unwrap();
    let list = json!([{"id": 2, "a": "x"}, {"id": 3, "a": "long"}]);
    let found = refused(&engine, "insert", json!({"table": "sized", "data": list})).await;
    assert_eq!(found, ("invalid_value".into(), "/data/1/a".into()));
    let update = json!({"table": "sized", "where": {"id": 1}, "updates": {"n": 100, "a": "y"}});
    assert_eq!(
        refused(&engine, "update", update).await,
        ("invalid_value".into(), "/updates/n".into())
    );

    let part = json!({"table": "parts", "data": [{"id": 1, "year": 1}, {"id": 1, "year": 1}]});
    let told = error(&engine, "operator", "insert", part).await;
    assert_eq!(told["code"], "unique_violation");
    assert_eq!(told["constraint"], "parts_pkey");
    assert!(told["message"].as_str().unwrap().contains("id, year"), "{told}");

    let bare = json!({"table": "bare", "data": {}});
    let reply = call(&engine, "operator", "insert", bare).await.unwrap();
    assert_eq!((&reply["row_count"], &reply["rows"]), (&json!(1), &json!([{}])));
}

#[tokio::test]
async fn rows_of_defaults_alone_are_written_at_once() {
    let database = Database::of(
        "CREATE TABLE made (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n integer DEFAULT 3)",
    )
    .await;
    let engine = database.engine().await;
    let data: Vec<Value> = vec![json!({}); 500];
    let reply = call(&engine, "operator", "insert", json!({"table": "made", "data": data})).await;
    let reply = reply.unwrap();
    assert_eq!(
        (&reply["row_count"], &rows(&reply)[99]),
        (&json!(500), &json!({"id": 100, "n": 3}))
    );
    // A subtransaction for each would have a number of its own.
    let writers = "SELECT count(DISTINCT xmin::text)::text FROM made";
    assert_eq!(database.value(writers).await.as_deref(), Some("1"));
}

#[tokio::test]
async fn rows_with_different_columns_do_not_multiply_without_bound() {
    let columns: Vec<String> = (0..400).map(|n| format!("c{n} integer")).collect();
    let wide = format!("CREATE TABLE wide (id integer PRIMARY KEY, {})", columns.join(", "));
    let engine = Database::of(&wide).await.engine().await;
    let row = |n: usize| json!({"id": n, format!("c{}", n % 400): n});
    for (count, fits) in [(2_000, true), (4_000, false)] {
        let data: Vec<Value> = (0..count).map(row).collect();
        let insert = json!({"table": "wide", "data": data, "dry_run": true, "returning": []});
        match call(&engine, "operator", "insert", insert).await {
            Ok(reply) => assert!(fits && reply["row_count"] == count, "{count}"),
            Err(error) => assert!(!fits && error.code().as_str() == "limit_exceeded", "{error}"),
        }
    }
    // Nor do those of several inserts of one transaction.
    let data: Vec<Value> = (0..2_000).map(row).collect();
    let insert = json!({"operation": "insert", "table": "wide", "data": data});
    let twice = json!({"operations": [insert, insert], "dry_run": true});
    let told = error(&engine, "operator", "transaction", twice).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("limit_exceeded"), &json!("/operations/1/data"))
    );
}

#[tokio::test]
async fn the_first_mistake_names_the_places_of_others() {
    let database = Database::of(
        "CREATE TABLE places (place text, shelf integer, held integer, PRIMARY KEY (place, shelf))",
    )
    .await;
    let engine = database.engine().await;
    let refused = async |tool: &str, arguments: Value| {
        let error = error(&engine, "operator", tool, arguments).await;
        (error["at"].clone(), error["message"].as_str().unwrap().to_owned())
    };
    let row = |shelf: i32, held: Value| json!({"place": "c", "shelf": shelf, "held": held});
    let data = json!([row(1, json!(1)), row(2, json!("x")), {"place": "c"}, {"plce": 1}, row(3, json!([]))]);
    let (at, message) = refused("insert", json!({"table": "places", "data": data})).await;
    assert_eq!(at, "/data/3/plce");
    assert!(
        message.ends_with("; also wrong: /data/1/held, /data/2/shelf, /data/4/held"),
        "{message}"
    );
    let updates: Vec<Value> = (1..=9).map(|shelf| row(shelf, json!("x"))).collect();
    let arguments = json!({"table": "places", "where": {}, "updates": updates});
    let (at, message) = refused("update", arguments).await;
    assert_eq!(at, "/updates/0/held");
    assert!(message.ends_with("/updates/4/held, /updates/5/held, …"), "{message}");
    let only = json!({"table": "places", "data": [row(1, json!("x")), row(2, json!(1))]});
    let (_, message) = refused("insert", only).await;
    assert!(!message.contains("also"), "{message}");
}
