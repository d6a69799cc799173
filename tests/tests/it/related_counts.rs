//! The number of related rows, as a sort key and in conditions.

use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, object, paged, refused, rows};
use serde_json::{Value, json};

const SHELVES: &str = "
CREATE TABLE shelves (id integer PRIMARY KEY, parent_id integer REFERENCES shelves);
INSERT INTO shelves VALUES (1, NULL), (2, 1), (3, 1), (4, 2);
CREATE TABLE books (id integer PRIMARY KEY, shelf_id integer REFERENCES shelves, pages integer, secret text, archived_at timestamptz);
INSERT INTO books VALUES
  (1, 1, 100, 'a', NULL), (2, 2, 200, 'b', NULL), (3, 2, 300, 'c', NULL), (4, 2, 50, 'd', now()), (5, 3, 10, 'e', NULL),
  (6, NULL, 1, 'f', NULL);
CREATE TABLE tags (id integer PRIMARY KEY);
INSERT INTO tags VALUES (1), (2);
CREATE TABLE book_tags (book_id integer REFERENCES books, tag_id integer REFERENCES tags, PRIMARY KEY (book_id, tag_id));
INSERT INTO book_tags VALUES (1, 1), (2, 1), (4, 1), (4, 2), (5, 2);";

async fn ids(engine: &Engine, table: &str, order_by: Value) -> Vec<i64> {
    paged(engine, json!({"table": table, "order_by": order_by}), "id", 1).await
}

#[tokio::test]
async fn rows_are_sorted_and_paged_by_it() {
    let engine = Database::of(SHELVES).await.engine().await;
    let long = json!({"pages": {"gte": 100}});
    for (table, order_by, expected) in [
        ("shelves", json!([{"count": "books", "direction": "desc"}]), vec![2, 3, 1, 4]),
        ("shelves", json!([{"count": "books"}]), vec![4, 1, 3, 2]),
        ("shelves", json!([{"count": "books", "direction": "desc"}, "id"]), vec![2, 1, 3, 4]),
        ("shelves", json!([{"count": "books", "where": long}, "-id"]), vec![4, 3, 1, 2]),
        ("shelves", json!([{"count": "shelves_by_parent"}, {"count": "books"}]), vec![4, 3, 2, 1]),
        // Past a junction, archived rows do not count either.
        ("tags", json!([{"count": "books", "direction": "desc"}]), vec![1, 2]),
        ("books", json!([{"count": "tags", "direction": "desc"}, "id"]), vec![1, 2, 5, 3, 6]),
    ] {
        assert_eq!(ids(&engine, table, order_by.clone()).await, expected, "{table} {order_by}");
    }
    let included = json!({"table": "shelves", "where": {"id": 1}, "columns": [], "include": {"shelves_by_parent": {
        "columns": ["id"], "order_by": [{"count": "books", "where": {"id": {"gt": 3}}, "direction": "desc"}]}}});
    let reply = call(&engine, "analyst", "select", included).await.unwrap();
    assert_eq!(rows(&reply), [json!({"shelves_by_parent": [{"id": 3}, {"id": 2}]})]);
}

#[tokio::test]
async fn rows_are_found_by_it() {
    let engine = Database::of(SHELVES).await.engine().await;
    for (table, condition, expected) in [
        ("shelves", json!({"books": {"count": 0}}), vec![4]),
        ("shelves", json!({"books": {"count": {"gte": 1, "lt": 2}}}), vec![1, 3]),
        ("shelves", json!({"books": {"count": {"in": [0, 2]}}}), vec![2, 4]),
        (
            "shelves",
            json!({"books": {"count": {"gte": 1}, "where": {"pages": {"gt": 100}}}}),
            vec![2],
        ),
        ("shelves", json!({"books": {"count": {"gte": 1}, "some": {"pages": 100}}}), vec![1]),
        ("shelves", json!({"not": {"books": {"count": {"lte": 1}}}}), vec![2]),
        ("books", json!({"shelf": {"books": {"count": 2}}}), vec![2, 3]),
        ("tags", json!({"books": {"count": {"gt": 1}}}), vec![1]),
        (
            "shelves",
            json!({"shelves_by_parent": {"count": 1, "where": {"books": {"count": 0}}}}),
            vec![2],
        ),
    ] {
        let arguments = json!({"table": table, "where": condition, "order_by": ["id"]});
        assert_eq!(paged(&engine, arguments, "id", 1).await, expected, "{table} {condition}");
    }
    let few = json!({"table": "shelves", "where": {"books": {"count": 0}}});
    let mut arguments = few.clone();
    arguments["updates"] = json!({"parent_id": 3});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 4, "parent_id": 3})]);
    for (condition, code, at) in [
        (json!({"books": {"count": {}}}), "invalid_value", "/where/books/count"),
        (json!({"books": {"count": true}}), "invalid_value", "/where/books/count"),
        (json!({"books": {"count": {"like": "1"}}}), "unknown_operator", "/where/books/count/like"),
        (json!({"books": {"count": 1, "where": 1}}), "invalid_value", "/where/books/where"),
        (
            json!({"books": {"count": 1, "where": {"x": 1}}}),
            "unknown_column",
            "/where/books/where/x",
        ),
        (json!({"books": {"where": {"id": 1}}}), "unknown_operator", "/where/books/where"),
        (json!({"parent": {"count": 1}}), "unknown_column", "/where/parent/count"),
    ] {
        let arguments = json!({"table": "shelves", "where": condition});
        let (found, place) = refused(&engine, "select", arguments).await;
        assert_eq!((found.as_str(), place.as_str()), (code, at), "{condition}");
    }
}

#[tokio::test]
async fn invalid_counts_are_refused() {
    let engine = Database::of(SHELVES).await.engine().await;
    let told = error(
        &engine,
        "analyst",
        "select",
        json!({"table": "shelves", "order_by": ["-books.count"]}),
    )
    .await;
    assert_eq!(
        told["hint"],
        json!({"count": "books", "direction": "desc"})
            .to_string()
            .replace("\":", "\": ")
            .replace(',', ", ")
    );
    for (key, code, at) in [
        (json!({"count": "nothing"}), "unknown_relation", "/count"),
        (json!({"count": "parent"}), "invalid_value", "/count"),
        (json!({"count": "*"}), "unknown_relation", "/count"),
        (json!({"count": true}), "invalid_value", "/count"),
        (json!({"count": "books", "nulls": "least"}), "invalid_value", "/nulls"),
        (json!({"count": "books", "column": "id"}), "unknown_argument", "/column"),
        (json!({"count": "books", "direction": "down"}), "invalid_value", "/direction"),
        (json!({"count": "books", "where": []}), "invalid_value", "/where"),
        (json!({"count": "books", "where": {"page": 1}}), "unknown_column", "/where/page"),
        (json!({"count": "books", "where": {"id": {"gt": "x"}}}), "invalid_value", "/where/id/gt"),
    ] {
        for (arguments, before) in [
            (json!({"table": "shelves", "order_by": ["id", key]}), "/order_by/1"),
            (
                json!({"table": "shelves", "include": {"shelves_by_parent": {"order_by": [key]}}}),
                "/include/shelves_by_parent/order_by/0",
            ),
        ] {
            let (found, place) = refused(&engine, "select", arguments.clone()).await;
            assert_eq!((found.as_str(), place), (code, format!("{before}{at}")), "{arguments}");
        }
    }
    let to_one = json!({"table": "books", "order_by": [{"count": "shelf"}]});
    let told = error(&engine, "analyst", "select", to_one).await;
    assert!(told["hint"].as_str().unwrap().contains("\"shelf.…\""), "{told}");
    // Groups have no related rows.
    for (tool, arguments) in [
        ("select", json!({"table": "shelves", "columns": ["id"], "distinct": true})),
        ("aggregate", json!({"table": "shelves", "measures": {"n": {"count": "*"}}})),
    ] {
        let mut arguments = arguments;
        arguments["order_by"] = json!([{"count": "books"}]);
        let (code, at) = refused(&engine, tool, arguments).await;
        assert_eq!((code.as_str(), at.as_str()), ("unknown_argument", "/order_by/0/count"));
    }
}

#[tokio::test]
async fn only_rows_that_the_role_sees_are_counted() {
    let database = Database::of(SHELVES).await;
    let grant = |table: &str| Grant {
        tables: vec![format!("public.{table}")],
        actions: [Action::Select].into_iter().collect(),
        ..Grant::default()
    };
    let mut books = grant("books");
    books.rows = Some(object(json!({"id": {"in": [1, 4, 5, 6]}})));
    books.columns.mask.insert("secret".to_owned(), Mask::Full);
    let role = Role {
        name: "reader".to_owned(),
        grants: vec![books, grant("shelves"), grant("tags")],
        ..Role::default()
    };
    let settings =
        Settings { roles: vec![role], default_role: "reader".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    let sorted = |key: Value| {
        let arguments = json!({"table": "shelves", "columns": ["id"], "order_by": [key, "id"]});
        call_as(&engine, &reader, "select", arguments)
    };
    let reply = sorted(json!({"count": "books", "direction": "desc"})).await.unwrap();
    let expected = [1, 3, 2, 4].map(|id| json!({"id": id}));
    assert_eq!(rows(&reply), expected);
    let two =
        json!({"table": "shelves", "columns": ["id"], "where": {"books": {"count": {"gte": 2}}}});
    let reply = call_as(&engine, &reader, "select", two).await.unwrap();
    assert_eq!(reply["row_count"], 0, "{reply}");
    let masked = json!({"count": "books", "where": {"secret": "a"}});
    assert_eq!(sorted(masked).await.unwrap_err().code().as_str(), "forbidden");
    // A junction that the role does not see leads nowhere.
    let arguments = json!({"table": "tags", "order_by": [{"count": "books"}]});
    let error = call_as(&engine, &reader, "select", arguments).await.unwrap_err();
    assert_eq!(error.code().as_str(), "unknown_relation");
}

#[tokio::test]
async fn explain_tells_the_index_that_counting_lacks() {
    let database = Database::of(SHELVES).await;
    let fill = "INSERT INTO shelves SELECT n FROM generate_series(5, 2000) n;
        INSERT INTO books SELECT n, n FROM generate_series(7, 2000) n; ANALYZE;";
    database.sql(fill).await;
    let engine = database.engine().await;
    let arguments =
        json!({"operation": "select", "table": "shelves", "order_by": [{"count": "books"}]});
    let reply = call(&engine, "analyst", "explain", arguments).await.unwrap();
    let hint = "no index on books.shelf_id: the filter reads the whole table";
    assert_eq!(reply["hints"], json!([hint]), "{reply}");

    // So does a total within a total.
    let leaves = "CREATE TABLE leaf (id integer PRIMARY KEY, book_id integer REFERENCES books, archived_at timestamptz);
        INSERT INTO leaf SELECT n, 7 + n % 1000 FROM generate_series(1, 2000) n; ANALYZE;";
    database.sql(leaves).await;
    let engine = database.engine().await;
    let arguments = json!({"operation": "select", "table": "shelves", "columns": [{"max": {"count": "books.leaf"}, "as": "most"}]});
    let reply = call(&engine, "analyst", "explain", arguments).await.unwrap();
    assert!(reply["hints"].to_string().contains("no index on leaf.book_id"), "{reply}");
}
