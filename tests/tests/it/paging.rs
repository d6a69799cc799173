//! Pages: order, cursors, limits, counts and formats.

use mcp_pg_core::policy::{Limits, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TYPE spot AS (x integer, y integer);
CREATE TABLE item (
  id integer PRIMARY KEY, kind text, size integer, weight numeric, at timestamptz NOT NULL, spot spot, ratio float8,
  list integer[], big bigint, path point);
INSERT INTO item SELECT n, CASE n % 4 WHEN 0 THEN NULL ELSE 'kind ' || n % 4 END, CASE WHEN n % 3 = 0 THEN NULL ELSE n % 5 END,
  CASE n % 7 WHEN 0 THEN NULL WHEN 1 THEN 'NaN' WHEN 2 THEN 'Infinity' ELSE n / 7.0 END,
  timestamptz '2024-01-01 00:00+00' + n % 6 * interval '1 microsecond', CASE WHEN n % 2 = 0 THEN ROW(n % 3, NULL)::spot END,
  CASE n % 5 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' WHEN 2 THEN -0.0 ELSE n END, ARRAY[n % 3, NULL],
  9007199254740992 + n, '(1,2)'
FROM generate_series(1, 60) n;
CREATE TABLE log (line text, n integer);
INSERT INTO log SELECT 'line ' || n, n FROM generate_series(1, 10) n;
CREATE VIEW seen AS SELECT id, kind FROM item;
CREATE TABLE two (a integer NOT NULL, b integer NOT NULL, c text, UNIQUE (a, b));
INSERT INTO two SELECT n / 5, n % 5, 'c' FROM generate_series(0, 24) n;";

/// With these, pages after a row are sought instead of filtered.
const INDEXES: &str = "
CREATE INDEX ON item (kind, size);
CREATE INDEX ON item (size);
CREATE INDEX ON item (weight);
CREATE INDEX ON item (ratio DESC);
CREATE INDEX ON item (at);
CREATE INDEX ON item (spot);
CREATE INDEX ON item (list, kind);";

/// All rows of a query, page by page.
async fn paged(engine: &Engine, mut arguments: Value, limit: u64) -> Vec<Value> {
    arguments["limit"] = json!(limit);
    let mut all = Vec::new();
    for _ in 0..1_000 {
        let reply = call(engine, "analyst", "select", arguments.clone())
            .await
            .unwrap_or_else(|error| panic!("{arguments}: {error}"));
        assert_eq!(reply["row_count"], rows(&reply).len());
        assert_eq!(reply["truncated"], !reply["next_cursor"].is_null());
        all.extend(rows(&reply).to_vec());
        match &reply["next_cursor"] {
            Value::Null => return all,
            cursor => arguments["cursor"] = cursor.clone(),
        }
    }
    panic!("{arguments} has no end");
}

#[tokio::test]
async fn pages_follow_each_other_in_every_order() {
    let sought = Database::of(&format!("{FIXTURE}{INDEXES}")).await.engine().await;
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let client = database.client().await;
    for (order_by, sql) in [
        (json!([]), "id"),
        (json!(["kind"]), "kind, id"),
        (json!(["-kind"]), "kind DESC, id DESC"),
        (json!([{"column": "kind", "nulls": "first"}]), "kind NULLS FIRST, id"),
        (
            json!([{"column": "kind", "direction": "desc", "nulls": "last"}]),
            "kind DESC NULLS LAST, id DESC",
        ),
        (json!(["kind", "-size"]), "kind, size DESC, id DESC"),
        (json!(["-kind", "size"]), "kind DESC, size, id"),
        (
            json!([{"column": "size", "nulls": "first"}, "-kind", "id"]),
            "size NULLS FIRST, kind DESC, id",
        ),
        (json!(["weight"]), "weight, id"),
        (json!(["-ratio", "weight"]), "ratio DESC, weight, id"),
        (json!(["-at"]), "at DESC, id DESC"),
        (json!(["at", "-id"]), "at, id DESC"),
        (json!(["-id", "at"]), "id DESC, at"),
        (json!(["spot"]), "spot, id"),
        (json!(["-spot", "kind"]), "spot DESC, kind, id"),
        (json!(["list"]), "list, id"),
        (json!(["-big"]), "big DESC, id DESC"),
        (json!(["kind", "-kind"]), "kind, id"),
    ] {
        let query = format!("SELECT id FROM item ORDER BY {sql}");
        let expected = client.query(&query, &[]).await.unwrap();
        let expected: Vec<Value> =
            expected.iter().map(|row| json!({"id": row.get::<_, i32>(0)})).collect();
        for limit in [1, 7, 60] {
            let select = json!({"table": "item", "columns": ["id"], "order_by": order_by});
            for engine in [&engine, &sought] {
                let rows = paged(engine, select.clone(), limit).await;
                assert_eq!(rows, expected, "{order_by} by {limit}");
            }
        }
    }
    let two =
        json!({"table": "two", "columns": ["a", "b"], "order_by": ["-b"], "where": {"c": "c"}});
    let all = paged(&engine, two.clone(), 100).await;
    assert_eq!(all.len(), 25);
    assert_eq!(paged(&engine, two, 4).await, all);
    let unordered = json!({"table": "item", "order_by": ["path"]});
    let place = ("invalid_value".to_owned(), "/order_by/0".to_owned());
    assert_eq!(refused(&engine, "select", unordered).await, place);
    for (order_by, code, at) in [
        (json!(["nothing"]), "unknown_column", "/order_by/0"),
        (json!([{"column": "id", "direction": "up"}]), "invalid_value", "/order_by/0/direction"),
        (json!([{"column": "id", "null": "last"}]), "unknown_argument", "/order_by/0/null"),
        (json!([1]), "invalid_value", "/order_by/0"),
    ] {
        let select = json!({"table": "item", "order_by": order_by});
        assert_eq!(refused(&engine, "select", select).await, (code.to_owned(), at.to_owned()));
    }
}

#[tokio::test]
async fn a_sought_page_has_all_that_another_has() {
    const TREE: &str = "
        CREATE TABLE node (id integer PRIMARY KEY, parent_id integer REFERENCES node, kind text NOT NULL, size integer, note text);
        INSERT INTO node SELECT n, NULLIF(n / 3, 0), 'kind ' || n % 3, NULLIF(n % 5, 0), 'note' FROM generate_series(1, 40) n;";
    let filtered = Database::of(TREE).await;
    let sought = Database::of(&format!(
        "{TREE} CREATE INDEX ON node (kind, size); CREATE INDEX ON node (size);"
    ))
    .await;
    for (order_by, condition) in [
        (json!(["size"]), json!({"kind": "kind 1"})),
        (json!(["kind", "-size"]), json!({"parent": {"size": {"gt": 1}}})),
        (json!(["-kind", "size"]), json!({"note": "note", "node_by_parent": {"some": {}}})),
    ] {
        let select = json!({
            "table": "node", "columns": ["id"], "where": condition, "order_by": order_by, "with_version": true,
            "include": {"parent": {"columns": ["kind"]}, "node_by_parent": {"columns": ["id"], "limit": 1}},
        });
        let mut both = Vec::new();
        for database in [&filtered, &sought] {
            let mut rows = paged(&database.engine().await, select.clone(), 3).await;
            assert!(rows.len() > 3, "{select}");
            for row in &mut rows {
                let version = row.as_object_mut().unwrap().shift_remove("_version").unwrap();
                assert!(version.is_string(), "{version}");
            }
            both.push(rows);
        }
        assert_eq!(both[0], both[1], "{select}");
    }
}

#[tokio::test]
async fn pages_are_steady_while_rows_come_and_go() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let mut select = json!({"table": "item", "columns": ["id"], "order_by": ["kind"], "limit": 5});
    let before = paged(&engine, select.clone(), 60).await;
    let mut seen = Vec::new();
    for page in 0..100 {
        let reply = call(&engine, "analyst", "select", select.clone()).await.unwrap();
        seen.extend(rows(&reply).to_vec());
        select["cursor"] = reply["next_cursor"].clone();
        if select["cursor"].is_null() {
            break;
        }
        // Before the cursor rows come, and the row that it stands on goes.
        let last = rows(&reply).last().unwrap()["id"].clone();
        database
            .sql(&format!(
                "INSERT INTO item (id, kind, at) VALUES ({}, 'a', now()); DELETE FROM item WHERE id = {last};",
                1000 + page
            ))
            .await;
    }
    assert_eq!(seen, before);
}

#[tokio::test]
async fn without_a_key_pages_are_told_by_their_offset() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for table in ["log", "seen"] {
        let first = json!({"table": table, "limit": 3, "order_by": ["-1"]});
        assert_eq!(refused(&engine, "select", first).await.0, "unknown_column");
    }
    let select = json!({"table": "log", "columns": ["n"], "order_by": ["-n"]});
    let all = paged(&engine, select.clone(), 4).await;
    assert_eq!(all, (1..=10).rev().map(|n| json!({"n": n})).collect::<Vec<_>>());
    let reply =
        call(&engine, "analyst", "select", json!({"table": "log", "limit": 4})).await.unwrap();
    assert!(reply["notes"][0].as_str().unwrap().contains("no key"), "{reply}");
    let reply =
        call(&engine, "analyst", "select", json!({"table": "item", "limit": 4})).await.unwrap();
    assert_eq!(reply.get("notes"), None);
    let offset = json!({"table": "log", "columns": ["n"], "order_by": ["n"], "offset": 8});
    let reply = call(&engine, "analyst", "select", offset).await.unwrap();
    assert_eq!(rows(&reply), [json!({"n": 9}), json!({"n": 10})]);
    let offset = json!({"table": "item", "columns": ["id"], "offset": 10, "limit": 2});
    let reply = call(&engine, "analyst", "select", offset).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 11}), json!({"id": 12})]);
    let beyond = json!({"table": "item", "offset": u64::MAX});
    assert_eq!(refused(&engine, "select", beyond).await.0, "invalid_value");
}

#[tokio::test]
async fn a_cursor_is_good_for_its_own_query_alone() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let select = json!({"table": "item", "order_by": ["kind"], "where": {"size": 1}, "limit": 2});
    let reply = call(&engine, "admin", "select", select.clone()).await.unwrap();
    let cursor = reply["next_cursor"].as_str().unwrap().to_owned();
    let with = |member: &str, value: Value| {
        let mut select = select.clone();
        select["cursor"] = json!(cursor);
        select[member] = value;
        select
    };
    // What does not change which rows there are, and in which order, may change.
    for (member, value) in
        [("limit", json!(1)), ("columns", json!(["id"])), ("format", json!("text"))]
    {
        call(&engine, "admin", "select", with(member, value)).await.unwrap();
    }
    // Nor does what is the same in other words.
    for (first, again) in [
        (json!({"table": "item"}), json!({"table": "public.item"})),
        (
            json!({"table": "item", "where": {"size": {"gt": 0, "lt": 9}, "id": {"lt": 50}}}),
            json!({"table": "item", "where": {"id": {"lt": 50}, "size": {"lt": 9, "gt": 0}}}),
        ),
        (
            json!({"table": "item", "order_by": [{"column": "kind", "direction": "desc"}], "where": {}}),
            json!({"table": "item", "order_by": [{"direction": "desc", "column": "kind"}]}),
        ),
    ] {
        let [mut first, mut again] = [first, again];
        first["limit"] = json!(2);
        let reply = call(&engine, "admin", "select", first).await.unwrap();
        again["cursor"] = reply["next_cursor"].clone();
        call(&engine, "admin", "select", again).await.unwrap();
    }
    let (half, rest) = cursor.split_at(cursor.len() / 2);
    for (member, value) in [
        ("where", json!({"size": 2})),
        ("order_by", json!(["-kind"])),
        ("archived", json!("include")),
        ("cursor", json!("")),
        ("cursor", json!("é")),
        ("cursor", json!(half)),
        ("cursor", json!(format!("{rest}{half}"))),
        ("cursor", json!(format!("{cursor}A"))),
        ("cursor", json!(format!("A{}", &cursor[1..]))),
    ] {
        let answer = refused(&engine, "select", with(member, value.clone())).await;
        assert_eq!(answer, ("invalid_cursor".to_owned(), "/cursor".to_owned()), "{member} {value}");
    }
    let foreign = json!({"table": "log", "cursor": cursor});
    assert_eq!(refused(&engine, "select", foreign).await.0, "invalid_cursor");
    let other = call(&engine, "analyst", "select", with("limit", json!(1))).await.unwrap_err();
    assert_eq!(other.code().as_str(), "invalid_cursor");
    // Another process that serves the same database takes it.
    call(&database.engine().await, "admin", "select", with("limit", json!(1))).await.unwrap();
}

#[tokio::test]
async fn a_reply_over_a_limit_is_cut_at_a_row() {
    let database = Database::of(
        "CREATE TABLE wide (id integer PRIMARY KEY, body text);
         INSERT INTO wide SELECT n, repeat(chr(96 + n), n * 100) FROM generate_series(1, 20) n;",
    )
    .await;
    let limits =
        Limits { max_rows: 8, default_rows: 5, max_reply_bytes: 2_500, ..Limits::default() };
    let engine = database.engine_with(Settings { limits, ..Settings::default() }).await;
    let ids = json!({"table": "wide", "columns": ["id"]});
    let reply = call(&engine, "analyst", "select", ids.clone()).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["truncated"]), (5, &json!(true)));
    let mut many = ids.clone();
    many["limit"] = json!(1_000_000);
    let reply = call(&engine, "analyst", "select", many).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["truncated"]), (8, &json!(true)));
    assert_eq!(paged(&engine, ids.clone(), 1_000_000).await.len(), 20);
    let mut none = ids;
    none["limit"] = json!(0);
    none["count"] = json!("exact");
    let reply = call(&engine, "analyst", "select", none).await.unwrap();
    assert_eq!((rows(&reply).len(), &reply["count"]), (0, &json!(20)));

    // Bytes: each row is seen once, and no reply is larger.
    let seen = paged(&engine, json!({"table": "wide"}), 8).await;
    assert_eq!(
        seen.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>(),
        (1..=20).collect::<Vec<_>>()
    );
    let reply =
        call(&engine, "analyst", "select", json!({"table": "wide", "limit": 8})).await.unwrap();
    assert!(reply["rows"].to_string().len() <= 2_500);
    assert!((5..8).contains(&rows(&reply).len()), "{}", rows(&reply).len());
    let text = json!({"table": "wide", "limit": 8, "format": "text"});
    let reply = call(&engine, "analyst", "select", text).await.unwrap();
    assert!(reply["next_cursor"].is_string() && reply["text"].as_str().unwrap().len() < 2_500);

    database.sql("INSERT INTO wide VALUES (0, repeat('x', 3000))").await;
    let error = call(&engine, "analyst", "select", json!({"table": "wide"})).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.get_at()), ("limit_exceeded", Some("/columns")));
    assert!(error.get_hint().is_some());
}

#[tokio::test]
async fn counts() {
    let database = Database::of(FIXTURE).await;
    database.sql("ANALYZE item").await;
    let engine = database.engine().await;
    let count = |how: &str, condition: Value| json!({"table": "item", "limit": 2, "count": how, "where": condition});
    let reply = call(&engine, "analyst", "select", count("exact", json!({"kind": "kind 1"})))
        .await
        .unwrap();
    assert_eq!(
        (&reply["count"], reply.get("count_estimated"), rows(&reply).len()),
        (&json!(15), None, 2)
    );
    let reply = call(&engine, "analyst", "select", count("estimated", json!({}))).await.unwrap();
    assert_eq!((&reply["count"], &reply["count_estimated"]), (&json!(60), &json!(true)));
    let estimated = count("estimated", json!({"kind": {"like": "kind%"}, "size": {"in": [1, 2]}}));
    assert!(call(&engine, "analyst", "select", estimated).await.unwrap()["count"].is_u64());
    // The count is of the whole, whichever page it comes with.
    let mut second = count("exact", json!({}));
    second["cursor"] =
        call(&engine, "analyst", "select", second.clone()).await.unwrap()["next_cursor"].clone();
    let reply = call(&engine, "analyst", "select", second).await.unwrap();
    assert_eq!(reply["count"], 60);
}

#[tokio::test]
async fn formats_and_versions() {
    let database = Database::of(
        "CREATE TABLE plain (id integer PRIMARY KEY, name text);
         CREATE TABLE counted (id integer PRIMARY KEY, name text, version integer NOT NULL DEFAULT 7);
         CREATE VIEW seen AS SELECT * FROM plain;
         INSERT INTO plain VALUES (1, E'a|b\\nc'), (2, NULL);
         INSERT INTO counted VALUES (1, 'x');",
    )
    .await;
    let engine = database.engine().await;
    let select =
        |table: &str, format: &str| json!({"table": table, "with_version": true, "format": format});
    let reply = call(&engine, "analyst", "select", select("plain", "columns")).await.unwrap();
    assert_eq!(reply["columns"], json!(["id", "name", "_version"]));
    let version = database.value("SELECT xmin::text FROM plain LIMIT 1").await.unwrap();
    assert_eq!(rows(&reply), [json!([1, "a|b\nc", version]), json!([2, null, version])]);
    let reply = call(&engine, "analyst", "select", select("plain", "text")).await.unwrap();
    let expected = format!("id | name | _version\n1 | a\\|b\\nc | {version}\n2 |  | {version}");
    assert_eq!((&reply["text"], reply.get("rows")), (&json!(expected), None));
    // One row a line, and what a column holds never looks like another column, nor null like an empty text.
    database
        .sql("CREATE TABLE odd (\"a|b\" text PRIMARY KEY, list text[]); INSERT INTO odd VALUES (E'\\\\n\\r', '{a|b}'), ('', NULL)")
        .await;
    let other = database.engine().await;
    let arguments = json!({"table": "odd", "format": "text", "order_by": ["-a|b"]});
    let reply = call(&other, "analyst", "select", arguments).await.unwrap();
    assert_eq!(reply["text"], "a\\|b | list\n\\\\n\\r | [\"a\\u007cb\"]\n\"\" | ");
    let reply = call(&engine, "analyst", "select", select("counted", "json")).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "name": "x", "version": 7, "_version": "7"})]);
    let answer = refused(&engine, "select", select("seen", "json")).await;
    assert_eq!(answer, ("invalid_value".to_owned(), "/with_version".to_owned()));
    let twice = json!({"table": "plain", "columns": ["name", "id", "name"], "where": {"id": 1}, "format": "columns"});
    let reply = call(&engine, "analyst", "select", twice).await.unwrap();
    assert_eq!(reply["columns"], json!(["name", "id"]));
}

#[tokio::test]
async fn a_cursor_of_one_caller_tells_nothing_to_another_of_the_role() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role::everywhere("reader", [mcp_pg_core::policy::Action::Select]);
    role.grants[0].rows = json!({"kind": "claim:kind"}).as_object().cloned();
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let one = Principal::new("one", "reader").claim("kind", "kind 1");
    let two = Principal::new("two", "reader").claim("kind", "kind 2");
    let mut select = json!({"table": "seen", "limit": 2});
    let error = call_as(&engine, &one, "select", json!({"table": "log"})).await.unwrap_err();
    assert_eq!(error.code().as_str(), "internal", "the condition does not fit this table: {error}");
    let reply = call_as(&engine, &one, "select", select.clone()).await.unwrap();
    select["cursor"] = reply["next_cursor"].clone();
    let reply = call_as(&engine, &two, "select", select).await.unwrap();
    assert!(rows(&reply).iter().all(|row| row["kind"] == "kind 2"), "{reply}");
}

#[tokio::test]
async fn a_row_named_by_its_key_is_a_page_of_its_own() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, expected) in [
        (
            json!({"table": "item", "where": {"id": 7}, "order_by": ["-kind"], "columns": ["id"]}),
            json!([{"id": 7}]),
        ),
        (json!({"table": "item", "where": {"id": 7, "kind": "none"}}), json!([])),
        (json!({"table": "item", "where": {"id": 7}, "offset": 1}), json!([])),
        (json!({"table": "item", "where": {"id": 7}, "limit": 0}), json!([])),
        (
            json!({"table": "two", "where": {"and": [{"b": 3}, {"a": {"eq": 1}}]}}),
            json!([{"a": 1, "b": 3, "c": "c"}]),
        ),
        // Half a key names no row.
        (
            json!({"table": "two", "where": {"a": 1}, "columns": ["b"], "order_by": ["-b"]}),
            json!([{"b": 4}, {"b": 3}, {"b": 2}, {"b": 1}, {"b": 0}]),
        ),
        (
            json!({"table": "item", "where": {"or": [{"id": 1}, {"id": 2}]}, "columns": ["id"]}),
            json!([{"id": 1}, {"id": 2}]),
        ),
        (
            json!({"table": "item", "where": {"not": {"id": {"gt": 1}}}, "columns": ["id"]}),
            json!([{"id": 1}]),
        ),
    ] {
        let reply = call(&engine, "analyst", "select", arguments.clone()).await.unwrap();
        assert_eq!(reply["rows"], expected, "{arguments}");
        assert_eq!((&reply["truncated"], &reply["next_cursor"]), (&json!(false), &Value::Null));
    }
    let (code, at) = refused(
        &engine,
        "select",
        json!({"table": "item", "where": {"id": 7}, "order_by": ["nil"]}),
    )
    .await;
    assert_eq!((code.as_str(), at.as_str()), ("unknown_column", "/order_by/0"));
}

#[tokio::test]
async fn pages_by_values_that_json_does_not_tell_apart() {
    let engine = Database::of(
        "CREATE TABLE odd (id integer PRIMARY KEY, list integer[], doc jsonb);
         INSERT INTO odd VALUES (1, '[2:3]={1,2}', 'null'), (2, '{1,2}', '12345678901234567890123'),
           (3, '[0:1]={1,2}', '\"x\"'), (4, NULL, NULL), (5, '{}', 'null');",
    )
    .await
    .engine()
    .await;
    for column in ["list", "-list", "doc", "-doc"] {
        let mut arguments = json!({"table": "odd", "order_by": [column], "limit": 1});
        let mut ids = Vec::new();
        while ids.len() < 6 {
            let reply = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
            ids.push(rows(&reply)[0]["id"].as_u64().unwrap());
            if reply["next_cursor"].is_null() {
                break;
            }
            arguments["cursor"] = reply["next_cursor"].clone();
        }
        ids.sort_unstable();
        assert_eq!(ids, [1, 2, 3, 4, 5], "{column}");
    }
}

#[tokio::test]
async fn a_null_that_a_domain_would_refuse_is_on_a_page() {
    let database = Database::of(
        "CREATE DOMAIN label AS text NOT NULL;
         CREATE TABLE tin (id integer PRIMARY KEY, label label);
         CREATE INDEX ON tin (label);
         INSERT INTO tin VALUES (1, 'x'), (2, (SELECT label FROM tin WHERE false)), (3, 'a'),
             (4, (SELECT label FROM tin WHERE false));",
    )
    .await;
    let engine = database.engine().await;
    for (order_by, expected) in [
        (json!(["label"]), [3, 1, 2, 4]),
        (json!(["-label"]), [4, 2, 1, 3]),
        (json!([{"column": "label", "nulls": "first"}]), [2, 4, 3, 1]),
    ] {
        let arguments = json!({"table": "tin", "columns": ["id"], "order_by": order_by});
        let read = paged(&engine, arguments, 1).await;
        let ids: Vec<i64> = read.iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{order_by}");
    }
    // Written, it is refused.
    let null = json!({"table": "tin", "data": {"id": 5, "label": null}});
    assert_eq!(refused(&engine, "insert", null).await.0, "not_null_violation");
}
