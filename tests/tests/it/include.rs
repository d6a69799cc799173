//! include, and sort keys and conditions on related rows.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

#[tokio::test]
async fn related_rows_come_with_each_row_to_any_depth() {
    let engine = Database::shop().await.engine().await;
    let reply = call(
        &engine,
        "analyst",
        "select",
        json!({
            "table": "orders",
            "columns": ["order_id", "status"],
            "where": {"user": {"name": {"ne": ""}}, "order_items": {"some": {"quantity": {"gte": 1}}}},
            "include": {
                "user": {"columns": ["email"]},
                "order_items": {
                    "columns": ["quantity"],
                    "limit": 1,
                    "include": {"product": {"columns": ["sku", "price", "tags"]}},
                },
                "payments": {"count": true},
            },
            "order_by": ["-user.name", "order_id"],
            "limit": 3,
        }),
    )
    .await
    .unwrap();
    let first = &rows(&reply)[0];
    assert!(first["user"]["email"].is_string(), "{first}");
    assert!(first["order_items"][0]["product"]["sku"].is_string(), "{first}");
    assert!(first["payments"].is_number(), "{first}");
    assert_eq!(
        refused(&engine, "select", json!({"table": "orders", "include": {"buyers": true}})).await,
        ("unknown_relation".into(), "/include/buyers".into())
    );
}

#[tokio::test]
async fn a_to_one_relation_may_be_named_by_its_table_if_that_is_unambiguous() {
    let engine = Database::shop().await.engine().await;
    let by_key =
        json!({"table": "orders", "include": {"user": true}, "where": {"user": {"country": "DE"}}});
    let by_table = json!({"table": "orders", "include": {"users": true}, "where": {"users": {"country": "DE"}}});
    let by_key = call(&engine, "analyst", "select", by_key).await.unwrap();
    let by_table = call(&engine, "analyst", "select", by_table).await.unwrap();
    assert!(!rows(&by_key).is_empty());
    for (one, other) in rows(&by_key).iter().zip(rows(&by_table)) {
        assert_eq!((&one["order_id"], &one["user"]), (&other["order_id"], &other["users"]));
    }
    assert_eq!(by_key["row_count"], by_table["row_count"]);

    let engine = Database::of(
        "CREATE TABLE town (id integer PRIMARY KEY);
         CREATE TABLE trip (id integer PRIMARY KEY, start_id integer REFERENCES town, goal_id integer REFERENCES town);",
    )
    .await
    .engine()
    .await;
    let error =
        call(&engine, "analyst", "select", json!({"table": "trip", "include": {"town": true}}))
            .await;
    assert_eq!(error.unwrap_err().code().as_str(), "ambiguous_relation");
    // What may stand in where: columns and relations.
    let error = call(&engine, "analyst", "select", json!({"table": "trip", "where": {"nil": 1}}))
        .await
        .unwrap_err();
    let error = serde_json::to_value(&error).unwrap();
    assert_eq!(error["allowed"], json!(["id", "start_id", "goal_id", "start", "goal"]));
}

#[tokio::test]
async fn a_relation_never_takes_the_place_of_a_column() {
    let engine = Database::of(
        "CREATE TABLE town (id integer PRIMARY KEY, name text);
         CREATE TABLE trip (id integer PRIMARY KEY, goal integer REFERENCES town, town text, _version integer);
         INSERT INTO town VALUES (1, 'Lyon'); INSERT INTO trip VALUES (7, 1, 'by hand', 3);",
    )
    .await
    .engine()
    .await;
    let include = json!({"town": {"columns": ["name"]}});
    let error =
        error(&engine, "admin", "select", json!({"table": "trip", "include": include})).await;
    assert_eq!(
        (&error["code"], &error["at"]),
        (&json!("ambiguous_relation"), &json!("/include/town"))
    );
    let other = error["allowed"][0].as_str().unwrap();
    let both = json!({"table": "trip", "include": {other: {"columns": ["name"]}}});
    let reply = call(&engine, "admin", "select", both).await.unwrap();
    assert_eq!(
        rows(&reply)[0],
        json!({"id": 7, "goal": 1, "town": "by hand", "_version": 3, other: {"name": "Lyon"}})
    );
    // Nothing is lost where the column is not asked for.
    let one = json!({"table": "trip", "columns": ["id"], "include": include, "with_version": true});
    let reply = call(&engine, "admin", "select", one).await.unwrap();
    assert_eq!(rows(&reply)[0]["town"], json!({"name": "Lyon"}));
    assert!(rows(&reply)[0]["_version"].is_string(), "{reply}");
    let version = json!({"table": "trip", "with_version": true});
    let found = refused(&engine, "select", version).await;
    assert_eq!(found, ("invalid_value".into(), "/with_version".into()));
}

#[tokio::test]
async fn archived_related_rows_come_if_they_are_asked_for() {
    let engine = Database::of(
        "CREATE TABLE town (id integer PRIMARY KEY, archived_at timestamptz);
         CREATE TABLE trip (id integer PRIMARY KEY, town_id integer REFERENCES town, archived_at timestamptz);
         CREATE TABLE stop (id integer PRIMARY KEY, town_id integer REFERENCES town);
         INSERT INTO town VALUES (1, NULL), (2, now());
         INSERT INTO trip VALUES (1, 1, NULL), (2, 2, NULL), (3, 1, now());
         INSERT INTO stop VALUES (1, 1)",
    )
    .await
    .engine()
    .await;
    let towns = async |options: serde_json::Value| {
        let trips = json!({"table": "trip", "columns": ["id"], "include": {"town": options}});
        let reply = call(&engine, "analyst", "select", trips).await.unwrap();
        rows(&reply).iter().map(|row| row["town"]["id"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(towns(json!(true)).await, [json!(1), json!(null)]);
    assert_eq!(towns(json!({"archived": "include"})).await, [json!(1), json!(2)]);
    assert_eq!(towns(json!({"archived": "only"})).await, [json!(null), json!(2)]);
    assert_eq!(towns(json!({"archived": "exclude"})).await, [json!(1), json!(null)]);
    for (archived, expected) in [("exclude", 1), ("include", 2), ("only", 1)] {
        let counted = json!({"table": "town", "where": {"id": 1},
            "include": {"trip": {"count": true, "archived": archived}}});
        let reply = call(&engine, "analyst", "select", counted).await.unwrap();
        assert_eq!(rows(&reply)[0]["trip"], expected, "{archived}");
    }
    let wrong = json!({"table": "town", "include": {"stop": {"archived": "only"}}});
    assert_eq!(
        refused(&engine, "select", wrong).await,
        ("not_archivable".into(), "/include/stop/archived".into())
    );
}

#[tokio::test]
async fn a_cut_include_is_marked_in_every_format() {
    let engine = Database::shop().await.engine().await;
    let reply = async |format: &str, limit: u64| {
        let request = json!({"table": "users", "columns": ["user_id"], "where": {"user_id": {"in": [1, 7]}}, "order_by": ["user_id"],
            "include": {"orders": {"columns": [], "limit": limit}}, "format": format});
        call(&engine, "analyst", "select", request).await.unwrap()
    };
    let objects = reply("json", 1).await;
    let marks: Vec<bool> =
        rows(&objects).iter().map(|row| row["orders_truncated"] == true).collect();
    assert_eq!(marks, [true, false], "{objects}");
    let columns = reply("columns", 1).await;
    assert_eq!(columns["columns"], json!(["user_id", "orders", "orders_truncated"]));
    let marked: Vec<&Value> = rows(&columns).iter().map(|row| &row[2]).collect();
    assert_eq!(marked, [true, false]);
    let text = reply("text", 1).await;
    let lines: Vec<&str> = text["text"].as_str().unwrap().lines().collect();
    assert_eq!(lines[0], "user_id | orders | orders_truncated");
    assert!(lines[1].ends_with("| true") && lines[2].ends_with("| false"), "{lines:?}");
    let whole = reply("columns", 100).await;
    assert_eq!(whole["columns"], json!(["user_id", "orders"]));
}

#[tokio::test]
async fn an_include_with_limit_zero_is_not_called_truncated() {
    let engine = Database::shop().await.engine().await;
    let asked = json!({"table": "users", "limit": 1, "include": {"orders": {"limit": 0}}});
    let reply = call(&engine, "analyst", "select", asked).await.unwrap();
    let user = &rows(&reply)[0];
    assert_eq!((&user["orders"], user.get("orders_truncated")), (&json!([]), None));
}

#[tokio::test]
async fn a_cut_relation_tells_how_to_read_on() {
    let engine = Database::shop().await.engine().await;
    let include =
        json!({"orders": {"columns": ["order_id"], "limit": 1, "order_by": ["-order_id"]}});
    let mut arguments = json!({"table": "users", "columns": ["user_id"], "where": {"user_id": 1}, "include": include});
    let reply = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
    let note = reply["notes"][0].as_str().unwrap();
    let begin = note.find('{').unwrap();
    let further = &note[begin..=note.rfind('}').unwrap()];
    let mut further: Value = serde_json::from_str(further).unwrap();
    (further["columns"], further["order_by"]) = (json!(["order_id"]), json!(["-order_id"]));
    let rest = call(&engine, "admin", "select", further).await.unwrap();
    arguments["include"]["orders"]["limit"] = json!(100);
    let whole = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
    let orders = |reply: &Value| rows(reply)[0]["orders"].as_array().unwrap().clone();
    assert_eq!([orders(&reply), rows(&rest).to_vec()].concat(), orders(&whole));
    assert_eq!(whole.get("notes"), None);
    // Where the key is not shown, or the way leads through another table, there is no such call.
    arguments["include"]["orders"]["limit"] = json!(1);
    arguments["columns"] = json!(["name"]);
    let products = json!({"table": "products", "include": {"orders": {"limit": 1}}});
    for arguments in [arguments, products] {
        let reply = call(&engine, "admin", "select", arguments).await.unwrap();
        assert_eq!(reply["notes"], json!(["some rows have more orders than its limit"]));
    }
}

/// A junction whose key has more than the two foreign keys leads to a row again and again, which is there once.
#[tokio::test]
async fn a_junction_with_more_in_its_key() {
    let engine = Database::of(
        "CREATE TABLE book (id integer PRIMARY KEY, title text);
         CREATE TABLE territory (code text PRIMARY KEY, size integer);
         CREATE TABLE licence (book_id integer REFERENCES book, territory text REFERENCES territory, lang text,
           archived_at timestamptz, PRIMARY KEY (book_id, territory, lang));
         CREATE TABLE vote (id integer PRIMARY KEY, book_id integer REFERENCES book, territory text REFERENCES territory, stars integer,
           UNIQUE (book_id, territory));
         INSERT INTO book VALUES (1, 'One'), (2, 'Two'), (3, 'Three');
         INSERT INTO territory VALUES ('at', 1), ('ch', 2);
         INSERT INTO licence VALUES (1, 'at', 'de'), (1, 'ch', 'de'), (1, 'ch', 'fr');
         INSERT INTO licence VALUES (2, 'ch', 'it', now());
         INSERT INTO vote VALUES (1, 1, 'at', 5), (2, 3, 'at', 4), (3, 3, NULL, 3), (4, 3, NULL, 2)",
    )
    .await
    .engine()
    .await;
    let books = json!({"table": "book", "columns": ["id"], "include": {
        "territory_via_licence": {"columns": ["code"], "order_by": ["-size"], "limit": 2},
        "territory_via_vote": {"columns": ["code"]}}});
    let found = call(&engine, "admin", "select", books).await.unwrap();
    assert_eq!(
        rows(&found),
        [
            json!({"id": 1, "territory_via_licence": [{"code": "ch"}, {"code": "at"}], "territory_via_vote": [{"code": "at"}]}),
            json!({"id": 2, "territory_via_licence": [], "territory_via_vote": []}),
            json!({"id": 3, "territory_via_licence": [], "territory_via_vote": [{"code": "at"}]}),
        ]
    );
    for (condition, ids) in [
        (json!({"territory": {"count": 2}}), vec![1]),
        (json!({"territory_via_licence": {"some": {"size": 2}}}), vec![1]),
        (json!({"territory_via_licence": {"none": {}}}), vec![2, 3]),
        (json!({"territory_via_licence": {"every": {"size": 1}}}), vec![2, 3]),
        (json!({"territory_via_vote": {"some": {"size": 1}}}), vec![1, 3]),
    ] {
        let books = json!({"table": "book", "columns": ["id"], "where": condition});
        let found = call(&engine, "admin", "select", books).await.unwrap();
        let found: Vec<i64> = rows(&found).iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(found, ids, "{condition}");
    }
    let most = json!({"table": "territory", "columns": ["code"], "order_by": [{"count": "book_via_licence", "direction": "desc"}, "code"],
        "include": {"book_via_licence": {"count": true}}});
    let found = call(&engine, "admin", "select", most).await.unwrap();
    assert_eq!(
        rows(&found),
        [
            json!({"code": "at", "book_via_licence": 1}),
            json!({"code": "ch", "book_via_licence": 1})
        ]
    );
}
