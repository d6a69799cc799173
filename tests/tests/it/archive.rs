//! archive and restore.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::json;

#[tokio::test]
async fn a_row_is_set_aside_and_brought_back() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let one = json!({"table": "users", "where": {"user_id": 1}});
    let reply = call(&engine, "operator", "archive", one.clone()).await.unwrap();
    assert_eq!(reply["row_count"], 1);
    assert!(rows(&reply)[0]["archived_at"].is_string());
    assert_eq!(rows(&reply)[0]["version"], 2);
    // It is gone from reads and writes.
    let gone = call(&engine, "operator", "select", one.clone()).await.unwrap();
    assert_eq!(gone["row_count"], 0);
    let again = call(&engine, "operator", "archive", one.clone()).await.unwrap();
    assert_eq!(again["row_count"], 0);
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
    assert_eq!(call(&engine, "operator", "update", update).await.unwrap()["row_count"], 0);
    let delete = call(&engine, "admin", "delete", one.clone()).await.unwrap();
    assert_eq!(delete["row_count"], 0);

    let reply = call(&engine, "operator", "restore", one.clone()).await.unwrap();
    assert_eq!(rows(&reply)[0]["archived_at"], json!(null));
    assert_eq!(rows(&reply)[0]["version"], 3);
    assert_eq!(call(&engine, "operator", "restore", one.clone()).await.unwrap()["row_count"], 0);
    assert_eq!(call(&engine, "operator", "select", one).await.unwrap()["row_count"], 1);
}

#[tokio::test]
async fn a_dry_run_sets_nothing_aside() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let reply = call(
        &engine,
        "operator",
        "archive",
        json!({"table": "users", "where": {"status": "active"}, "max_rows": 20, "dry_run": true,
               "returning": ["archived_at"]}),
    )
    .await
    .unwrap();
    assert_eq!(reply["row_count"], 7);
    assert_eq!(reply["before"][6], json!({"archived_at": null}));
    assert!(reply["after"][6]["archived_at"].is_string());
    let archived = "SELECT count(*)::text FROM users WHERE archived_at IS NOT NULL";
    assert_eq!(database.value(archived).await.unwrap(), "1");
}

#[tokio::test]
async fn only_archivable_tables_and_few_rows() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    for tool in ["archive", "restore"] {
        let arguments = json!({"table": "payments", "where": {"amount": {"gt": 0}}});
        let found = refused(&engine, tool, arguments).await;
        assert_eq!(found, ("not_archivable".into(), "/table".into()), "{tool}");
    }
    let many = json!({"table": "orders", "where": {"status": "pending"}});
    let reply = error(&engine, "operator", "archive", many).await;
    assert_eq!((&reply["code"], &reply["row_count"]), (&json!("too_many_rows"), &json!(5)));
    let archived = "SELECT count(*)::text FROM orders WHERE archived_at IS NOT NULL";
    assert_eq!(database.value(archived).await.unwrap(), "6");
    let updates = json!({"table": "users", "where": {"user_id": 1}, "updates": {}});
    assert_eq!(
        refused(&engine, "archive", updates).await,
        ("unknown_argument".into(), "/updates".into())
    );
}

#[tokio::test]
async fn each_role_has_its_actions() {
    let engine = Database::shop().await.engine().await;
    let one = json!({"table": "users", "where": {"user_id": 1}});
    for tool in ["archive", "restore", "delete"] {
        let reply = error(&engine, "analyst", tool, one.clone()).await;
        assert_eq!(reply["code"], "forbidden", "{tool}");
        assert_eq!(reply["allowed"], json!(["select"]), "{tool}");
    }
    for (tool, arguments) in [
        ("insert", json!({"table": "payments", "data": {}})),
        ("update", json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}})),
    ] {
        assert_eq!(error(&engine, "analyst", tool, arguments).await["code"], "forbidden", "{tool}");
    }
    assert_eq!(error(&engine, "operator", "delete", one.clone()).await["code"], "forbidden");
    assert_eq!(error(&engine, "nobody", "select", one).await["code"], "forbidden");

    let described = json!({"table": "users"});
    for (role, actions) in [
        ("analyst", json!(["select"])),
        ("operator", json!(["select", "insert", "update", "archive", "restore"])),
        ("admin", json!(["select", "insert", "update", "archive", "restore", "delete"])),
    ] {
        let reply = call(&engine, role, "describe_table", described.clone()).await.unwrap();
        assert_eq!(reply["actions"], actions, "{role}");
    }
}

#[tokio::test]
async fn a_condition_on_the_archive_column_gets_a_hint() {
    let engine = Database::shop().await.engine().await;
    let archived = json!({"archived_at": {"is_null": false}});
    for (tool, arguments) in [
        ("select", json!({"table": "users", "where": archived})),
        (
            "aggregate",
            json!({"table": "users", "where": archived, "measures": {"n": {"count": "*"}}}),
        ),
        ("update", json!({"table": "users", "where": archived, "updates": {"name": "X"}})),
    ] {
        let reply = call(&engine, "operator", tool, arguments).await.unwrap();
        let note = reply["notes"][0].as_str().unwrap();
        assert!(note.contains("\"archived\": \"only\""), "{tool}: {note}");
    }
    for arguments in [
        json!({"table": "users", "where": archived, "archived": "include"}),
        json!({"table": "users", "where": {"archived_at": null}}),
    ] {
        let reply = call(&engine, "operator", "select", arguments).await.unwrap();
        assert!(reply["row_count"].as_u64() > Some(0) && reply.get("notes").is_none(), "{reply}");
    }
}

#[tokio::test]
async fn a_computed_archive_column_is_nobody_s_to_set() {
    let engine = Database::of(
        "CREATE TABLE lease (id integer PRIMARY KEY, ended timestamptz,
           archived_at timestamptz GENERATED ALWAYS AS (ended) STORED);
         INSERT INTO lease VALUES (1, NULL), (2, '2024-01-01');",
    )
    .await
    .engine()
    .await;
    let one = json!({"table": "lease", "where": {"id": 1}});
    let found = error(&engine, "admin", "archive", one).await;
    assert_eq!((&found["code"], &found["at"]), (&json!("not_archivable"), &json!("/table")));
    let message = "PostgreSQL computes archived_at of public.lease, so its rows cannot be archived";
    assert_eq!(found["message"], message);
    let reply = call(&engine, "operator", "select", json!({"table": "lease"})).await.unwrap();
    assert_eq!(reply["row_count"], 1);
}

#[tokio::test]
async fn related_rows_that_are_archived_are_there_where_they_are_asked_for() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let select = async |arguments: serde_json::Value| {
        rows(&call(&engine, "analyst", "select", arguments).await.unwrap()).to_vec()
    };
    // Order 4 and its user 10 are archived, and so is order 2 of user 1, whose order 5 is, too.
    let order = json!({"table": "orders", "columns": [], "where": {"order_id": 4}});
    let with = |base: &serde_json::Value, more: serde_json::Value| {
        let mut arguments = base.clone();
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    let name = json!({"columns": ["user_id"]});
    for (more, user) in [
        (json!({"archived": "only", "include": {"user": name}}), json!(null)),
        (json!({"archived": "include", "include": {"user": name}}), json!({"user_id": 10})),
        (
            json!({"archived": "only", "include": {"user": {"columns": ["user_id"], "archived": "include"}}}),
            json!({"user_id": 10}),
        ),
        (
            json!({"archived": "include", "include": {"user": {"columns": ["user_id"], "archived": "exclude"}}}),
            json!(null),
        ),
    ] {
        let found = select(with(&order, more.clone())).await;
        assert_eq!(found, [json!({"user": user})], "{more}");
    }

    let user = json!({"table": "users", "columns": [], "where": {"user_id": 1}});
    for (options, expected) in [
        (json!({"count": true}), 2),
        (json!({"count": true, "archived": "include"}), 4),
        (json!({"count": true, "archived": "only"}), 2),
    ] {
        let found = select(with(&user, json!({"include": {"orders": options}}))).await;
        assert_eq!(found, [json!({"orders": expected})], "{options}");
    }
    let only = json!({"include": {"orders": {"columns": ["order_id"], "archived": "only"}}});
    let found = select(with(&user, only)).await;
    assert_eq!(found, [json!({"orders": [{"order_id": 2}, {"order_id": 5}]})]);

    // In conditions, orders and groups it is the request's own word that counts.
    for (archived, expected) in [("exclude", 0), ("include", 2)] {
        let arguments = json!({"table": "orders", "where": {"user": {"user_id": 10}, "archived_at": {"is_null": true}},
                               "archived": archived});
        assert_eq!(select(arguments).await.len(), expected, "{archived}");
    }
    let arguments = json!({"table": "orders", "include": {"payments": {"archived": "only"}}});
    let found = refused(&engine, "select", arguments).await;
    assert_eq!(found, ("not_archivable".into(), "/include/payments/archived".into()));
}

/// A write with `archived: "include"` meets the rows that a select with the same arguments shows.
#[tokio::test]
async fn writes_meet_the_related_rows_that_selects_show() {
    let database = Database::of(
        "CREATE TABLE customer (id integer PRIMARY KEY, name text, archived_at timestamptz);
         CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customer, note text,
           archived_at timestamptz);
         INSERT INTO customer VALUES (1, 'gone', now()), (2, 'here', NULL);
         INSERT INTO orders VALUES (1, 1), (2, 1), (3, 2), (4, NULL);",
    )
    .await;
    let engine = database.engine().await;
    for (condition, archived, count) in [
        (json!({"customer": null}), "include", 1),
        (json!({"customer": null}), "exclude", 3),
        (json!({"id": {"lt": 9}, "not": {"customer": {}}}), "include", 1),
        (json!({"customer": {"name": "gone"}}), "include", 2),
        (json!({"customer": {"name": "gone"}}), "exclude", 0),
    ] {
        let arguments = json!({"table": "orders", "where": condition, "archived": archived});
        let found = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
        assert_eq!(found["row_count"], count, "{arguments}");
        for (tool, more) in [("update", json!({"note": "x"})), ("delete", json!(null))] {
            let mut write = arguments.clone();
            write["max_rows"] = json!(9);
            write["dry_run"] = json!(true);
            if !more.is_null() {
                write["updates"] = more;
            }
            let met = call(&engine, "admin", tool, write).await.unwrap();
            assert_eq!(met["row_count"], count, "{tool} {arguments}");
        }
    }
    let copied = json!({"table": "orders", "where": {"id": 1}, "archived": "include",
        "updates": {"note": {"$column": "customer.name"}}, "include": {"customer": {"columns": ["name"]}},
        "returning": ["note"]});
    let reply = call(&engine, "admin", "update", copied).await.unwrap();
    assert_eq!(rows(&reply), [json!({"note": "gone", "customer": {"name": "gone"}})]);
}
