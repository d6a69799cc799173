//! Requests that are too deep, or too much.

use mcp_pg_core::policy::{Limits, Mask, Role};
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, readable};
use serde_json::{Value, json};

use super::{FIXTURE, answer, assert_silent, caller, dump, start};

#[tokio::test]
async fn requests_that_are_too_deep_or_too_large_are_refused() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let caller = caller("agent");
    let nested = |depth: usize, make: fn(Value) -> Value| {
        (0..depth).fold(json!({"id": 1}), |inner, _| make(inner))
    };
    let many = |count: usize| (0..count).map(|i| json!({"id": i})).collect::<Vec<_>>();
    for (tool, arguments) in [
        ("select", json!({"table": "client", "where": nested(250, |inner| json!({"not": inner}))})),
        (
            "select",
            json!({"table": "client", "where": nested(100, |inner| json!({"and": [inner]}))}),
        ),
        ("select", json!({"table": "client", "where": {"or": many(5_000)}})),
        (
            "select",
            json!({"table": "client", "where": {"id": {"in": (0..200_000).collect::<Vec<_>>()}}}),
        ),
        ("select", json!({"table": "client", "where": {"name": {"like": "%a".repeat(10_000)}}})),
        (
            "select",
            json!({"table": "client", "where": {"name": {"matches": "(a+)+".repeat(2_000)}}}),
        ),
        (
            "select",
            json!({"table": "client", "where": {"meta": {"contains": nested(250, |inner| json!([inner]))}}}),
        ),
        (
            "select",
            json!({"table": "client", "include": nested(60, |inner| json!({"note": {"include": {"client": {"include": inner}}}}))}),
        ),
        ("insert", json!({"table": "client", "data": many(50_000), "dry_run": true})),
        (
            "insert",
            json!({"table": "client", "data": {"id": 9, "meta": nested(250, |inner| json!([inner]))}, "dry_run": true}),
        ),
        (
            "transaction",
            json!({"dry_run": true, "operations":
            vec![json!({"operation": "select", "table": "client"}); 5_000]}),
        ),
    ] {
        let told = answer(&engine, &caller, tool, arguments).await;
        assert!(told.contains("\"code\":\"limit_exceeded\""), "{tool}: {told}");
        assert_silent(&told, tool);
    }
    assert_eq!(dump(&database).await, before);
}

#[tokio::test]
async fn nested_relations_do_not_multiply_without_bound() {
    let database = Database::of(
        "CREATE TABLE client (id integer PRIMARY KEY, boss_id integer REFERENCES client);
         CREATE TABLE task (id integer PRIMARY KEY, client_id integer REFERENCES client);
         CREATE TABLE tag (id integer PRIMARY KEY);
         CREATE TABLE task_tag (task_id integer REFERENCES task, tag_id integer REFERENCES tag,
             PRIMARY KEY (task_id, tag_id));
         INSERT INTO client VALUES (1, NULL);
         INSERT INTO task SELECT n, 1 FROM generate_series(1, 1000) n",
    )
    .await;
    let engine = database.engine().await;
    // The tasks of the client of the tasks of the client …: 1000 times as many on each level.
    let around = |levels: usize, limit: u64| {
        let task = |inner: Value| json!({"task": {"limit": limit, "include": {"client": inner}}});
        (0..levels).fold(json!(true), |inner, _| json!({"include": task(inner)}))["include"].clone()
    };
    let tags = |limit: u64| {
        let tags = |inner: Value| json!({"tag": {"limit": limit, "include": inner}});
        let tasks = |inner: Value| json!({"task": {"limit": limit, "include": inner}});
        tags(tasks(tags(json!({}))))
    };
    let tree = (0..4).fold(json!({}), |inner, _| json!({"client_by_boss": {"include": inner}}));
    for (table, include, fits) in [
        ("client", around(1, 1000), true),
        ("client", around(2, 1000), false),
        ("client", around(2, 300), true),
        ("client", around(3, 100), false),
        ("client", around(3, 46), true),
        ("task", tags(46), true),
        ("task", tags(47), false),
        // What is below a row is below no other: the table bounds it.
        ("client", tree, true),
    ] {
        let arguments = json!({"table": table, "columns": ["id"], "include": include, "limit": 1});
        for tool in ["select", "explain"] {
            let mut arguments = arguments.clone();
            if tool == "explain" {
                arguments["operation"] = json!("select");
            } else if fits {
                // That they run is for other tests; here it would be work.
                continue;
            }
            let told = call(&engine, "admin", tool, arguments).await;
            let code = told.as_ref().map_err(|error| error.code().as_str());
            let expected = if fits { Ok(()) } else { Err("limit_exceeded") };
            assert_eq!(code.map(drop), expected, "{table} {include}: {told:?}");
            if let Err(error) = told {
                assert!(error.to_string().contains("limits.max_related"), "{error}");
                assert!(error.get_at().unwrap().starts_with("/include/"), "{error:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_name_of_any_number_of_parts_is_no_work() {
    let person = "CREATE TABLE person (id integer PRIMARY KEY, parent_id integer REFERENCES person, meta text)";
    let engine = Database::of(person).await.engine().await;
    let dots = ".".repeat(1_000_000);
    let way = format!("{}x", "parent.".repeat(100_000));
    let words = "a ".repeat(500_000);
    let person = |member: &str, value: Value| json!({"table": "person", member: value});
    let count = json!({"n": {"count": "*"}});
    for (tool, arguments, code) in [
        ("select", json!({"table": dots}), "unknown_table"),
        ("select", json!({"table": format!("public{dots}")}), "unknown_table"),
        ("describe_table", json!({"table": dots}), "unknown_table"),
        ("select", person("where", json!({way.as_str(): 1})), "unknown_column"),
        ("select", person("where", json!({dots.as_str(): 1})), "unknown_column"),
        ("select", person("columns", json!([way])), "limit_exceeded"),
        ("select", person("order_by", json!([way])), "limit_exceeded"),
        ("select", person("order_by", json!([dots])), "unknown_relation"),
        ("select", person("order_by", json!([words])), "unknown_column"),
        ("select", person("include", json!({dots.as_str(): true})), "unknown_relation"),
        (
            "aggregate",
            json!({"table": "person", "measures": count, "group_by": [words]}),
            "unknown_column",
        ),
        (
            "aggregate",
            json!({"table": "person", "measures": count, "group_by": [dots]}),
            "unknown_relation",
        ),
        ("aggregate", person("measures", json!({"n": {"max": way}})), "limit_exceeded"),
    ] {
        let told = error(&engine, "admin", tool, arguments).await;
        assert_eq!(told["code"], code, "{tool}");
        for member in ["message", "hint"] {
            let length = told[member].as_str().map_or(0, str::len);
            assert!(length < 1_000, "{tool} {code} {member}: {length}");
        }
    }
}

/// Each total is a query of its own, and so is each one in its condition.
#[tokio::test]
async fn totals_within_totals_share_the_bounds_of_one_request() {
    let engine = Database::of(
        "CREATE TABLE node (id integer PRIMARY KEY, a integer REFERENCES node, b integer REFERENCES node);
         INSERT INTO node VALUES (1, NULL, NULL), (2, 1, 1);",
    )
    .await
    .engine()
    .await;
    let total = |inner: Value| json!({"compute": {"count": "node_by_a", "where": inner, "gte": 0}});
    let nested = |times: usize| (0..times).fold(json!({"id": {"gt": 0}}), |inner, _| total(inner));
    let beside = |times: usize, inner: &Value| json!({"or": vec![total(inner.clone()); times]});
    for (condition, fits) in [
        (nested(4), true),
        (nested(17), false),
        (beside(5, &beside(3, &json!({}))), true),
        (beside(20, &beside(20, &json!({}))), false),
    ] {
        let select = json!({"table": "node", "where": condition});
        match call(&engine, "analyst", "select", select).await {
            Ok(reply) => assert!(fits && reply["row_count"] == 2, "{condition}"),
            Err(error) => assert!(!fits && error.code().as_str() == "limit_exceeded", "{error}"),
        }
    }
}

/// PostgreSQL gathers included rows in its memory, and each level copies them. So it leaves out what no reply has room for.
#[tokio::test]
async fn many_included_rows_are_not_long_ones() {
    let database = Database::of(
        "CREATE TYPE words AS RANGE (subtype = text);
         CREATE TABLE client (id integer PRIMARY KEY, seal text);
         CREATE TABLE file (id integer PRIMARY KEY, client_id integer REFERENCES client, body text, doc jsonb, kind varchar(10),
             span words, place refcursor, bits bit(800000));
         INSERT INTO client VALUES (1, 'short'), (2, repeat('s', 20000)), (3, ''), (4, ''), (5, '');
         INSERT INTO file (id, client_id, body) SELECT n, 1, repeat('x', 300000) FROM generate_series(1, 300) n;
         INSERT INTO file (id, client_id, body, doc, kind) VALUES (301, 2, 'short', jsonb_build_object('k', repeat('y', 100)), 'y'),
             (302, 2, repeat('z', 20000), NULL, NULL);
         INSERT INTO file SELECT n, 3, '', jsonb_build_object('k', repeat('x', 200000)), 'z', words(repeat('a', 100000), NULL),
             repeat('c', 100000)::refcursor, repeat('1', 800000)::bit(800000) FROM generate_series(401, 450) n;
         INSERT INTO file (id, client_id, body) SELECT n, 4, repeat('x', 10000) FROM generate_series(501, 520) n;
         INSERT INTO file (id, client_id, body) VALUES (521, 4, NULL);",
    )
    .await;
    let engine = database.engine().await;
    let only = |column: &str| json!({"columns": [column], "limit": 1000});
    let paths = |count: usize| {
        let path = |n| json!({"column": "doc", "path": ["k"], "as": format!("k{n}")});
        (0..count).map(path).collect::<Vec<_>>()
    };
    let files = "/include/file";
    let deep = json!({"columns": ["id"], "include": {"client": {"columns": ["id"], "include": {"file": {"columns": ["body"]}}}}});
    for (id, options, at) in [
        (1, json!({}), Some(files)),
        (1, json!({"columns": ["id"], "limit": 1000}), None),
        (2, json!({"limit": 1000}), None),
        (
            2,
            json!({"include": {"client": {"include": {"file": {"limit": 300}}}}, "limit": 300}),
            None,
        ),
        // Of so many rows each is short: it is their sum that counts.
        (4, json!({"limit": 1000}), None),
        (4, json!({}), None),
        (4, json!({"limit": 20}), None),
        (3, json!({"columns": paths(16), "limit": 300}), Some(files)),
        (3, json!({"columns": paths(4)}), Some(files)),
        (3, only("doc"), Some(files)),
        (3, only("span"), Some(files)),
        (3, only("place"), Some(files)),
        (3, only("bits"), Some(files)),
        (1, deep, Some(files)),
        (
            4,
            json!({"columns": ["id"], "limit": 5, "include": {"client": {"columns": ["id"]}}}),
            None,
        ),
    ] {
        let arguments = json!({"table": "client", "columns": ["id"], "where": {"id": id}, "include": {"file": options}});
        match call(&engine, "analyst", "select", arguments.clone()).await {
            Ok(_) => assert_eq!(at, None, "{arguments}"),
            Err(error) => {
                assert_eq!(error.get_at(), at, "{arguments}: {error:?}");
                assert_eq!(error.code().as_str(), "limit_exceeded", "{error:?}");
                assert!(error.get_hint().unwrap().contains("smaller limit"), "{error:?}");
            }
        }
    }

    // A page ends before the row whose related rows are too many bytes.
    let all = json!({"table": "client", "columns": ["id"], "order_by": ["-id"], "include": {"file": {"columns": ["body"], "limit": 1000}}});
    let page = call(&engine, "analyst", "select", all.clone()).await.unwrap();
    assert_eq!((&page["row_count"], &page["truncated"]), (&json!(4), &json!(true)), "{page}");
    let mut next = all;
    next["cursor"] = page["next_cursor"].clone();
    let told = error(&engine, "analyst", "select", next).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!(files)));

    // If replies may be longer, so may what is included.
    database.sql("UPDATE file SET body = repeat('b', 100000) WHERE client_id = 4").await;
    let limits = Limits { max_reply_bytes: 4 << 20, ..Limits::default() };
    let larger = database.engine_with(Settings { limits, ..Settings::default() }).await;
    for options in [
        json!({"limit": 20}),
        json!({}),
        json!({"include": {"client": {"include": {"file": {"columns": ["id"]}}}}}),
    ] {
        let select = json!({"table": "client", "where": {"id": 4}, "include": {"file": options}});
        assert!(call(&larger, "analyst", "select", select.clone()).await.is_ok(), "{select}");
        let told = error(&engine, "analyst", "select", select).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!(files)));
    }

    // A few columns inside JSON for each of many relations are many.
    let owner = json!({"columns": paths(40), "limit": 1});
    let twice = json!({"table": "file", "columns": paths(40), "where": {"id": 401}, "include": {"client": {"include": {"file": owner}}}});
    let told = error(&engine, "analyst", "select", twice).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!("/include")));
}

/// What is left out depends on no masked value.
#[tokio::test]
async fn the_length_of_masked_values_is_not_told_by_what_is_left_out() {
    let database = Database::of(
        "CREATE TABLE client (id integer PRIMARY KEY);
         CREATE TABLE file (id integer PRIMARY KEY, client_id integer REFERENCES client, body text, seal text);
         CREATE TABLE page (id integer PRIMARY KEY, file_id integer REFERENCES file, seal text);
         INSERT INTO client VALUES (1), (2), (3);
         INSERT INTO file VALUES (1, 1, 'x', repeat('s', 3000000)), (2, 2, repeat('x', 3000000), 's'), (3, 3, 'x', 's');
         INSERT INTO page VALUES (1, 3, repeat('s', 3000000))",
    )
    .await;
    let masks = [Mask::Full, Mask::Null, Mask::Email, Mask::Last4, Mask::Hash];
    let engine =
        engine_that_masks("seal", &masks, &["public.file", "public.page"], &database).await;
    for mask in masks {
        for (id, at) in [(1, None), (2, Some("/include/file")), (3, None)] {
            let select = json!({"table": "client", "where": {"id": id}, "include": {"file": {"include": {"page": true}}}});
            match call(&engine, &format!("{mask:?}"), "select", select).await {
                Ok(reply) => {
                    assert_eq!(at, None, "{id}");
                    let seal = &reply["rows"][0]["file"][0]["seal"];
                    assert_eq!(seal.is_null(), mask == Mask::Null, "{reply}");
                }
                Err(error) => assert_eq!(error.get_at(), at, "{error:?}"),
            }
        }
    }
}

/// More than a gigabyte, of which only `***` is shown, is not gathered.
#[tokio::test]
async fn masked_values_that_are_not_shown_are_not_sent() {
    let database = Database::of(
        "CREATE TABLE client (id integer PRIMARY KEY);
         CREATE TABLE file (id integer PRIMARY KEY, client_id integer REFERENCES client, seal text);
         INSERT INTO client VALUES (1);
         INSERT INTO file SELECT n, 1, repeat('s', 6000000) FROM generate_series(1, 200) n",
    )
    .await;
    let masks = [Mask::Full, Mask::Null];
    let engine = engine_that_masks("seal", &masks, &["public.file"], &database).await;
    for mask in masks {
        let select =
            json!({"table": "client", "include": {"file": {"columns": ["seal"], "limit": 200}}});
        let reply = call(&engine, &format!("{mask:?}"), "select", select).await.unwrap();
        assert_eq!(reply["rows"][0]["file"].as_array().map(Vec::len), Some(200));
    }
}

/// An engine with a role for each mask, named after it, that shows a column of the tables so.
async fn engine_that_masks(
    column: &str,
    masks: &[Mask],
    tables: &[&str],
    database: &Database,
) -> Engine {
    let role = |mask: &Mask| {
        let masked = |table: &&str| {
            let mut grant = readable(table, None);
            grant.columns.mask.insert(column.into(), *mask);
            grant
        };
        let open = readable("public.client", None);
        let grants = tables.iter().map(masked).chain([open]).collect();
        Role { name: format!("{mask:?}"), grants, ..Role::default() }
    };
    let roles = masks.iter().map(role).collect();
    database.engine_with(Settings { roles, ..Settings::default() }).await
}
