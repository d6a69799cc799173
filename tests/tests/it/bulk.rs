//! update with a list: different values for different rows, identified by a key.

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

const STOCK: &str = "
    CREATE TABLE places (place text, shelf integer, held integer CHECK (held >= 0), note varchar(20),
        tags text[], meta jsonb, price numeric(8,2), at timestamptz DEFAULT '2020-01-01 00:00:00Z',
        mood mood, version integer NOT NULL DEFAULT 1, label text UNIQUE, PRIMARY KEY (place, shelf));
    INSERT INTO places (place, shelf, held, note, tags, meta, price, mood, label)
        SELECT p, n, 10 * n, 'old', '{a}', '{\"k\": 1}', 1.50, 'calm', p || n
        FROM unnest('{a,b}'::text[]) p, generate_series(1, 3) n;
    CREATE TABLE loose (a integer);";

async fn stock() -> (Database, Engine) {
    let database =
        Database::of(&format!("CREATE TYPE mood AS ENUM ('calm', 'loud');{STOCK}")).await;
    let engine = database.engine().await;
    (database, engine)
}

#[tokio::test]
async fn rows_get_values_of_their_own_in_one_call() {
    let (database, engine) = stock().await;
    let reply = call(
        &engine,
        "operator",
        "update",
        json!({
            "table": "places",
            "where": {},
            "updates": [
                {"shelf": 2, "place": "b", "held": 7, "note": "x"},
                {"place": "a", "shelf": 1, "held": {"$increment": 5}, "note": null},
                {"place": "a", "shelf": 3, "held": {"$increment": -30}, "note": {"$literal": "y"}},
                {"place": "a", "shelf": 2, "tags": ["b", "c\"d,{}"], "meta": {"$merge": {"l": [2]}},
                 "price": "7.25", "mood": "loud"},
                {"place": "b", "shelf": 1, "tags": {"$append": ["z"]}, "at": {"$default": true}},
                {"place": "b", "shelf": 3, "at": {"$now": true}},
            ],
            "returning": ["place", "shelf", "held", "note", "tags", "meta", "price", "mood", "version"],
        }),
    )
    .await
    .unwrap();
    assert_eq!(reply["row_count"], 6);
    let row = |place: &str, shelf: i32, held: i32, note: Value| {
        json!({"place": place, "shelf": shelf, "held": held, "note": note, "tags": ["a"],
               "meta": {"k": 1}, "price": 1.5, "mood": "calm", "version": 2})
    };
    let mut fourth = row("a", 2, 20, json!("old"));
    fourth["tags"] = json!(["b", "c\"d,{}"]);
    fourth["meta"] = json!({"k": 1, "l": [2]});
    fourth["price"] = json!(7.25);
    fourth["mood"] = json!("loud");
    let mut fifth = row("b", 1, 10, json!("old"));
    fifth["tags"] = json!(["a", "z"]);
    // In the order in which they were named.
    assert_eq!(
        rows(&reply),
        [
            row("b", 2, 7, json!("x")),
            row("a", 1, 15, Value::Null),
            row("a", 3, 0, json!("y")),
            fourth,
            fifth,
            row("b", 3, 30, json!("old")),
        ]
    );
    let now = "SELECT count(*)::text FROM places WHERE at > '2020-01-02'";
    assert_eq!(database.value(now).await.unwrap(), "1");
}

#[tokio::test]
async fn thousands_of_rows_are_updated_at_once() {
    let database = Database::of(
        "CREATE TABLE many (id integer PRIMARY KEY, n integer NOT NULL, t text);
         INSERT INTO many SELECT i, 0, 'x' FROM generate_series(1, 6000) i;",
    )
    .await;
    let engine = database.engine().await;
    let updates: Vec<Value> =
        (1..=5000).map(|id| json!({"id": id, "n": id * 2, "t": format!("t{id}")})).collect();
    let arguments = json!({"table": "many", "updates": updates, "returning": ["id"]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(reply["row_count"], 5000);
    let right = "SELECT (count(*) FILTER (WHERE n = id * 2 AND t = 't' || id))::text FROM many";
    assert_eq!(database.value(right).await.unwrap(), "5000");
}

#[tokio::test]
async fn another_key_names_rows_as_well() {
    let (_database, engine) = stock().await;
    let arguments = json!({"table": "places", "where": {"held": {"gte": 20}},
        "updates": [{"label": "a1", "held": 1}, {"label": "a2", "held": 2}, {"label": "zz", "held": 3}],
        "returning": ["label", "held"]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    // The condition narrows: a1 holds 10.
    assert_eq!(rows(&reply), [json!({"label": "a2", "held": 2})]);
    assert_eq!(
        reply["notes"],
        json!(["these updates match no row: /updates/0, /updates/2", "rows were matched by label"])
    );
}

#[tokio::test]
async fn of_several_keys_only_the_primary_key_names_rows() {
    let database = Database::of(
        "CREATE TABLE staff (id integer PRIMARY KEY, login text UNIQUE, email text UNIQUE, pin integer);
         INSERT INTO staff VALUES (1, 'ann', 'ann@x', 1), (2, 'bob', 'bob@x', 2);
         CREATE TABLE product (id integer PRIMARY KEY, code text, barcode text UNIQUE, nick text,
            active boolean DEFAULT true);
         CREATE UNIQUE INDEX ON product (code) WHERE active;
         CREATE UNIQUE INDEX ON product (lower(nick));
         INSERT INTO product VALUES (1, 'a', '1', 'Al'), (2, 'b', '2', 'Bo');",
    )
    .await;
    let engine = database.engine().await;
    for (table, updates) in [
        ("staff", json!([{"login": "zed", "email": "bob@x"}])),
        ("product", json!([{"code": "z", "barcode": "2"}])),
        ("product", json!([{"nick": "z", "barcode": "2"}, {"barcode": "1", "nick": "y"}])),
    ] {
        let arguments = json!({"table": table, "updates": updates});
        let told = error(&engine, "operator", "update", arguments).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("missing_value"), &json!("/updates")));
        let hint =
            "give the primary key (id), or one update for each row, with a where that names it";
        assert_eq!(told["hint"], hint, "{told}");
    }
    let told = json!({"table": "staff", "updates": [{"login": "zed", "email": "bob@x"}]});
    let told = error(&engine, "operator", "update", told).await;
    let message =
        "the updates hold several keys, (login) and (email): which one names the row is not given";
    assert_eq!(told["message"], message);
    assert_eq!(told["allowed"], json!(["id", "email", "login"]));
    // A row without the primary key that others give.
    let arguments = json!({"table": "staff", "updates": [{"id": 1, "email": "a@x"}, {"email": "bob@x", "pin": 9}]});
    assert_eq!(refused(&engine, "update", arguments).await.1, "/updates/1/id");

    let arguments =
        json!({"table": "staff", "updates": [{"id": 1, "login": "zed", "email": "z@x"}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!((&reply["row_count"], &reply["notes"]), (&json!(1), &Value::Null));
    // Only one key is in all rows.
    let arguments = json!({"table": "staff", "updates": [{"login": "zed", "email": "y@x"}, {"login": "bob", "pin": 7}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(reply["notes"], json!(["rows were matched by login"]));
    let all = "SELECT string_agg(concat_ws(' ', login, email, pin), ',' ORDER BY id) FROM staff";
    assert_eq!(database.value(all).await.unwrap(), "zed y@x 1,bob bob@x 7");
}

#[tokio::test]
async fn a_wrong_row_is_named_and_nothing_changes() {
    let (database, engine) = stock().await;
    let good = json!({"place": "a", "shelf": 1, "held": 1});
    for (updates, code, at) in [
        (json!([]), "missing_value", "/updates"),
        (json!("no"), "invalid_value", "/updates"),
        (json!(null), "invalid_value", "/updates"),
        (json!([1]), "invalid_value", "/updates/0"),
        (json!([good, {"place": "a", "held": 1}]), "missing_value", "/updates/1/shelf"),
        (json!([good, {"place": "a", "shelf": 2}]), "missing_value", "/updates/1"),
        (
            json!([good, {"place": "a", "shelf": null, "held": 1}]),
            "invalid_value",
            "/updates/1/shelf",
        ),
        (
            json!([good, {"place": "a", "shelf": 2, "held": "x"}]),
            "invalid_value",
            "/updates/1/held",
        ),
        (json!([good, {"place": "a", "shelf": 2, "hold": 1}]), "unknown_column", "/updates/1/hold"),
        (
            json!([good, {"place": "a", "shelf": 2, "held": -1}]),
            "check_violation",
            "/updates/1/held",
        ),
        (
            json!([good, {"place": "a", "shelf": 2, "held": {"$increment": -21}}]),
            "check_violation",
            "/updates/1/held",
        ),
        (
            json!([good, {"place": "a", "shelf": 2, "label": "b1"}]),
            "unique_violation",
            "/updates/1/label",
        ),
        (json!([good, {"place": "a", "shelf": 1, "held": 2}]), "invalid_value", "/updates/1"),
        (
            json!([good, {"place": "a", "shelf": 2, "held": 1, "_version": 9}]),
            "conflict",
            "/updates/1/_version",
        ),
    ] {
        let arguments = json!({"table": "places", "where": {}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, (code.to_owned(), at.to_owned()), "{updates}");
    }
    let arguments = json!({"table": "loose", "updates": [{"a": 1}]});
    assert_eq!(refused(&engine, "update", arguments).await.0, "invalid_value");
    let arguments = json!({"table": "places", "updates": [good], "if_version": 1});
    assert_eq!(refused(&engine, "update", arguments).await.1, "/if_version");
    let untouched = "SELECT count(*)::text FROM places WHERE version = 1";
    assert_eq!(database.value(untouched).await.unwrap(), "6");
}

#[tokio::test]
async fn no_more_rows_than_max_rows_and_only_read_versions() {
    let (database, engine) = stock().await;
    let updates =
        json!([{"place": "a", "shelf": 1, "held": 1}, {"place": "a", "shelf": 2, "held": 2}]);
    let arguments = json!({"table": "places", "updates": updates, "max_rows": 1});
    let told = error(&engine, "operator", "update", arguments).await;
    assert_eq!((&told["code"], &told["row_count"]), (&json!("too_many_rows"), &json!(2)));
    let dry =
        json!({"table": "places", "updates": updates, "dry_run": true, "returning": ["held"]});
    let reply = call(&engine, "operator", "update", dry).await.unwrap();
    assert_eq!(reply["before"], json!([{"held": 10}, {"held": 20}]));
    assert_eq!(reply["after"], json!([{"held": 1}, {"held": 2}]));
    let versioned = json!([{"place": "a", "shelf": 1, "held": 1, "_version": "1"},
                           {"place": "a", "shelf": 2, "held": 2, "_version": 1}]);
    let arguments = json!({"table": "places", "updates": versioned});
    let reply = call(&engine, "operator", "update", arguments.clone()).await.unwrap();
    assert_eq!(reply["row_count"], 2);
    let told = error(&engine, "operator", "update", arguments).await;
    assert_eq!((&told["code"], &told["current"]["held"]), (&json!("conflict"), &json!(1)));
    assert_eq!(told["current"]["_version"], "2");
    let held = "SELECT sum(held)::text FROM places WHERE place = 'a' AND shelf < 3";
    assert_eq!(database.value(held).await.unwrap(), "3");
}

#[tokio::test]
async fn a_row_of_a_transaction_gives_keys_and_values() {
    let (_database, engine) = stock().await;
    let arguments = json!({"operations": [
        {"operation": "select", "as": "s", "table": "places", "where": {"label": "b3"}},
        {"operation": "update", "table": "places", "where": {}, "returning": ["label", "held"], "updates": [
            {"place": {"$ref": "s.place"}, "shelf": {"$ref": "s.shelf"}, "held": 0},
            {"place": "a", "shelf": 1, "held": {"$ref": "s.held"}},
        ]},
    ]});
    let reply = call(&engine, "operator", "transaction", arguments).await.unwrap();
    assert_eq!(
        reply["results"][1]["rows"],
        json!([{"label": "b3", "held": 0}, {"label": "a1", "held": 30}])
    );
}

#[tokio::test]
async fn related_rows_come_with_written_ones() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let include = json!({
        "user": {"columns": ["email"]},
        "order_items": {"columns": ["quantity"], "limit": 1, "order_by": ["product_id"]},
        "payments": {"count": true},
    });
    let select = json!({"table": "orders", "columns": ["order_id"], "include": include, "limit": 2,
        "where": {"order_items": {"some": {}}}, "order_by": ["order_id"]});
    let expected = call(&engine, "operator", "select", select).await.unwrap();
    let orders: Vec<&Value> = rows(&expected).iter().map(|row| &row["order_id"]).collect();
    let arguments = json!({"table": "orders", "where": {"order_id": {"in": orders}}, "max_rows": 2,
        "updates": {"note": "seen"}, "returning": ["order_id"], "include": include});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    let mut found = rows(&reply).to_vec();
    found.sort_by_key(|row| row["order_id"].as_i64());
    assert_eq!(found, rows(&expected));

    let arguments = json!({"table": "orders", "where": {"order_id": orders[0]}, "returning": ["order_id"],
        "include": {"user": {"columns": ["user_id"]}}});
    for tool in ["archive", "restore"] {
        let reply = call(&engine, "operator", tool, arguments.clone()).await.unwrap();
        assert!(rows(&reply)[0]["user"]["user_id"].is_number(), "{tool}: {reply}");
    }
    // Parent and children in one call, and the parent's new children with a later operation.
    let arguments = json!({"operations": [
        {"operation": "insert", "as": "o", "table": "orders", "data": {"user_id": 1},
         "returning": ["order_id"], "include": {"user": {"columns": ["email"]}, "order_items": true}},
        {"operation": "insert", "table": "order_items", "returning": ["quantity"], "data": [
            {"order_id": {"$ref": "o.order_id"}, "product_id": 1, "quantity": 2, "unit_price": 3},
            {"order_id": {"$ref": "o.order_id"}, "product_id": 2, "quantity": 1, "unit_price": 3},
        ], "include": {"order": {"columns": ["order_id"], "include": {"order_items": {"count": true}}}}},
    ]});
    let reply = call(&engine, "operator", "transaction", arguments).await.unwrap();
    let order = &reply["results"][0]["rows"][0];
    assert_eq!(order["user"], json!({"email": "ada@example.com"}), "{reply}");
    assert_eq!(order["order_items"], json!([]));
    for item in reply["results"][1]["rows"].as_array().unwrap() {
        assert_eq!(item["order"]["order_items"], 2, "{reply}");
        assert_eq!(item["order"]["order_id"], order["order_id"]);
    }
    let arguments = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "A"},
        "include": {"nothing": true}});
    assert_eq!(
        refused(&engine, "update", arguments).await,
        ("unknown_relation".into(), "/include/nothing".into())
    );
}

#[tokio::test]
async fn the_rows_of_a_list_share_the_size_limit_of_a_reply() {
    let database = Database::of(
        "CREATE TABLE note (id integer PRIMARY KEY, body text);
         INSERT INTO note SELECT i, repeat('x', 80) FROM generate_series(1, 60) i;",
    )
    .await;
    let mut settings = mcp_pg_core::Settings::default();
    settings.limits.max_reply_bytes = 2000;
    let engine = database.engine_with(settings).await;
    let all = json!({"table": "note", "where": {"id": {"gt": 0}}, "updates": {"body": "short"},
        "max_rows": 60, "dry_run": true});
    let reply = call(&engine, "admin", "update", all).await.unwrap();
    let count = |member: &str| reply[member].as_array().unwrap().len();
    assert_eq!((count("rows"), count("before")), (count("after"), count("after")));
    assert!(count("before") > 5 && reply.to_string().len() < 2300, "{reply}");
    assert_eq!((&reply["row_count"], &reply["truncated"]), (&json!(60), &json!(true)));
    assert_eq!(
        reply["notes"][0],
        format!("the reply has room for {} of the 60 rows", count("rows"))
    );

    let select = json!({"operation": "select", "table": "note", "limit": 60});
    let last = json!({"operation": "update", "table": "note", "where": {"id": {"$ref": "1.10.id"}},
        "updates": {"body": "y"}});
    let operations = json!({"operations": [&select, &select, &last]});
    let reply = call(&engine, "admin", "transaction", operations).await.unwrap();
    assert!(reply.to_string().len() < 2600, "{reply}");
    let results = reply["results"].as_array().unwrap();
    let shown = results[0]["row_count"].as_u64().unwrap();
    assert!(shown > 10 && results[1]["row_count"].as_u64().unwrap() < 5, "{reply}");
    assert_eq!((&results[1]["truncated"], &results[2]["row_count"]), (&json!(true), &json!(1)));
    // The cursor goes on after what was shown.
    let rest = json!({"table": "note", "limit": 1, "cursor": results[0]["next_cursor"]});
    let rest = call(&engine, "admin", "select", rest).await.unwrap();
    assert_eq!(rows(&rest)[0]["id"], shown + 1);
    let changed = database.value("SELECT id::text FROM note WHERE body = 'y'").await.unwrap();
    assert_eq!(changed, "11");

    // Where nothing is left, nothing is shown, and all of it is done.
    let selects: Vec<Value> = std::iter::repeat_n(select, 8).collect();
    let reply =
        call(&engine, "admin", "transaction", json!({"operations": selects})).await.unwrap();
    let last = &reply["results"][7];
    assert_eq!((&last["rows"], &last["truncated"]), (&json!([]), &json!(true)), "{reply}");
    assert!(last["notes"][0].as_str().unwrap().contains("share the room"), "{reply}");
}

#[tokio::test]
async fn the_row_at_fault_is_named_wherever_it_stands() {
    let database =
        Database::of("CREATE TABLE part (id integer PRIMARY KEY, n integer CHECK (n > 0))").await;
    let engine = database.engine().await;
    for wrong in [0, 1, 499, 500, 501, 998] {
        // What one row does to an earlier one counts, too.
        for (row, code, column) in [
            (json!({"id": wrong, "n": -1}), "check_violation", "n"),
            (json!({"id": 999, "n": 1}), "unique_violation", "id"),
        ] {
            let mut data: Vec<Value> = (0..999).map(|id| json!({"id": id, "n": 1})).collect();
            data.insert(0, json!({"id": 999, "n": 1}));
            data[wrong + 1] = row;
            let insert = json!({"table": "part", "data": data});
            let told = error(&engine, "operator", "insert", insert).await;
            let at = format!("/data/{}/{column}", wrong + 1);
            assert_eq!((&told["code"], &told["at"]), (&json!(code), &json!(at)), "{told}");
        }
    }
    assert_eq!(database.value("SELECT count(*)::text FROM part").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn rows_that_are_left_out_and_values_that_casts_refuse() {
    let database = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, about regclass, archived_at timestamptz);
         INSERT INTO notes VALUES (1, 'notes', NULL), (2, 'notes', now());",
    )
    .await;
    let engine = database.engine().await;
    let updates = json!([{"id": 1, "about": "-"}, {"id": 2, "about": "notes"}]);
    let arguments = json!({"table": "notes", "where": {}, "updates": updates, "max_rows": 2});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply)[0]["about"], "-");
    let note = "these updates match no row: /updates/1; archived ones are left out";
    assert_eq!(reply["notes"], json!([note]));
}
