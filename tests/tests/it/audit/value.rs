//! Which values a record holds.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, AuditDetail, AuditValues, Mask, Role};
use mcp_pg_tests::{Database, call};
use serde_json::{Value, json};

use super::Log;

fn masking() -> Role {
    let mut role = Role::everywhere("support", Action::ALL);
    role.grants[0].columns.mask.insert("email".into(), Mask::Email);
    role
}

#[tokio::test]
async fn masked_values_are_not_kept() {
    for values in [AuditValues::Redacted, AuditValues::Full] {
        masked_values_are_not_kept_by(values).await;
    }
}

async fn masked_values_are_not_kept_by(values: AuditValues) {
    let database = Database::shop().await;
    let log = Log::new();
    let audit = AuditDetail { values, ..AuditDetail::default() };
    let settings = Settings { roles: vec![masking()], audit, ..Settings::default() };
    let engine = log.engine(&database, settings).await;
    let secret = "ada@example.com";
    for (tool, arguments) in [
        ("select", json!({"table": "users", "where": {"user_id": 1}})),
        ("select", json!({"table": "users", "where": {"email": secret}})),
        ("select", json!({"table": "users", "where": {"or": [{"column": "email", "eq": secret}]}})),
        ("select", json!({"table": "users", "where": format!("{{\"email\": \"{secret}\"}}")})),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"email": secret}}),
        ),
        ("insert", json!({"table": "users", "data": format!("[{{\"email\": \"{secret}\"}}]")})),
        ("update", json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}})),
    ] {
        let _ = call(&engine, "support", tool, arguments).await;
    }
    let records = log.records(&engine).await;
    assert_eq!(records.len(), 8);
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains(secret), "{text}");
    assert_eq!(records[1]["arguments"]["where"]["email"], "[redacted]");
    assert_eq!(records[4]["arguments"]["updates"], json!({"email": "[redacted]"}));
    assert_eq!(records[7]["before"][0]["email"], "[redacted]");
    assert_eq!(records[7]["after"][0]["name"], "X");
}

#[tokio::test]
async fn reads_of_sensitive_columns_are_flagged() {
    let database = Database::shop().await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.users.email".into(), "public.orders.total".into()];
    let engine = log.engine(&database, settings).await;
    let rename = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}, "returning": ["email"]});
    for (tool, arguments, flagged) in [
        ("select", json!({"table": "users", "limit": 1}), json!(["email"])),
        ("select", json!({"table": "users", "columns": ["name"], "limit": 1}), Value::Null),
        (
            "select",
            json!({"table": "orders", "columns": ["order_id"], "include": {"user": true}, "limit": 1}),
            json!(["user.email"]),
        ),
        ("update", rename, json!(["email"])),
        // One row a group: what is summed up is its value.
        (
            "aggregate",
            json!({"table": "users", "group_by": ["user_id"],
                "measures": {"s": {"max": "email"}, "n": {"count": "email"}, "d": {"count_distinct": "email"}}}),
            json!(["s (email)"]),
        ),
        (
            "aggregate",
            json!({"table": "orders", "group_by": ["user.email"], "measures": {"n": {"count": "*"}}}),
            json!(["user.email"]),
        ),
        (
            "aggregate",
            json!({"table": "orders", "group_by": ["order_id"], "measures": {"s": {"sum": "total"},
                "m": {"avg": {"add": ["total", 0]}}}}),
            json!(["s (total)", "m (total)"]),
        ),
        (
            "select",
            json!({"table": "orders", "columns": ["order_id", {"multiply": ["total", 1], "as": "x"}], "limit": 1}),
            json!(["x (total)"]),
        ),
        // What is refused shows a row, too.
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "Y"}, "if_version": "999"}),
            json!(["email"]),
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "Y"}, "if_version": "999",
                "returning": ["user_id"]}),
            Value::Null,
        ),
        (
            "transaction",
            json!({"operations": [{"operation": "select", "table": "orders", "limit": 1},
                {"operation": "update", "table": "users", "updates": [{"user_id": 1, "name": "Y", "_version": "999"}],
                    "returning": ["email"]}]}),
            json!(["email"]),
        ),
        ("select", json!({"table": "users", "columns": ["email", "nam"]}), Value::Null),
    ] {
        let _ = call(&engine, "admin", tool, arguments.clone()).await;
        let records = log.records(&engine).await;
        let last = records.last().unwrap();
        assert_eq!(
            last.get("sensitive").cloned().unwrap_or_default(),
            flagged,
            "{arguments} {last}"
        );
    }
}

#[tokio::test]
async fn values_and_images_are_kept_as_configured() {
    let database = Database::shop().await;
    let update =
        json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "Xanthippe"}});

    let log = Log::new();
    let mut settings = Settings::default();
    settings.audit.values = AuditValues::None;
    let engine = log.engine(&database, settings).await;
    call(&engine, "admin", "update", update.clone()).await.unwrap();
    let records = log.records(&engine).await;
    assert_eq!(records[1]["arguments"]["updates"], json!({"name": "[omitted]"}));
    assert!(!serde_json::to_string(&records).unwrap().contains("Xanthippe"));

    let log = Log::new();
    let mut settings = Settings::default();
    settings.audit.images = false;
    let engine = log.engine(&database, settings).await;
    call(&engine, "admin", "update", update).await.unwrap();
    let records = log.records(&engine).await;
    assert_eq!(records[1]["arguments"]["updates"]["name"], "Xanthippe");
    assert!(
        records
            .iter()
            .all(|record| record.get("before").is_none() && record.get("after").is_none())
    );
}

#[tokio::test]
async fn a_call_is_redacted_although_its_role_was_removed_meanwhile() {
    let database = Database::shop().await;
    let log = Log::new();
    let settings = Settings { roles: vec![masking()], ..Settings::default() };
    let engine = log.engine(&database, settings.clone()).await;
    let client = database.client().await;
    client.execute("BEGIN", &[]).await.unwrap();
    client.execute("SELECT FROM users WHERE user_id = 1 FOR UPDATE", &[]).await.unwrap();
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}});
    let renamed = Role { name: "other".into(), ..masking() };
    let (reply, ()) = tokio::join!(call(&engine, "support", "update", update), async {
        database.until_blocked(1).await;
        let without = Settings { roles: vec![renamed], ..settings };
        engine.reconfigure(without).await.unwrap();
        client.execute("ROLLBACK", &[]).await.unwrap();
    });
    reply.unwrap();
    let records = log.records(&engine).await;
    assert_eq!(records.len(), 2);
    let text = serde_json::to_string(&records).unwrap();
    assert!(!text.contains("ada@example.com"), "{text}");
    for record in &records {
        assert_eq!(record["before"][0]["email"], "[redacted]");
        assert_eq!(record["after"][0]["name"], "X");
    }
}

#[tokio::test]
async fn images_that_no_record_holds_are_told_by_their_size() {
    let database = Database::of(
        "CREATE TABLE big (id integer PRIMARY KEY, n integer NOT NULL DEFAULT 0, t text);
         INSERT INTO big SELECT i, 0, repeat('x', 4000000) FROM generate_series(1, 6) i;
         INSERT INTO big SELECT i, 0, 'y' FROM generate_series(7, 8) i;",
    )
    .await;
    let log = Log::new();
    let engine = log.engine(&database, Settings::default()).await;
    let update = |above: Value| {
        json!({"table": "big", "where": {"id": above}, "updates": {"n": {"$increment": 1}},
               "max_rows": 10, "returning": ["id"]})
    };
    let of = |id: i64, n: i64| json!({"id": id, "n": n, "t": if id < 7 { "x".repeat(4_000_000) } else { "y".into() }});
    // Each too large for a record; then all of them too large to be held.
    for (rows, before) in [
        (json!({"in": [6, 7]}), json!([of(6, 0), of(7, 0)])),
        (json!(8), json!([of(8, 0)])),
        (json!({"gte": 1}), Value::Null),
    ] {
        call(&engine, "operator", "update", update(rows)).await.unwrap();
        let records = log.records(&engine).await;
        let kept = &records.last().unwrap()["before"];
        match before.to_string().len() {
            4 => {
                let told = kept["omitted"].as_str().unwrap();
                assert!(told.starts_with("more than "), "{told}");
            }
            small @ ..1000 => assert_eq!(*kept, before, "{small}"),
            bytes => assert_eq!(kept["omitted"], format!("{bytes} bytes")),
        }
    }
    assert_eq!(database.value("SELECT sum(n)::text FROM big").await.as_deref(), Some("11"));
}

#[tokio::test]
async fn operands_of_computed_sensitive_values_are_redacted() {
    let database = Database::shop().await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.orders.total".into()];
    let engine = log.engine(&database, settings).await;
    let hidden = "4711";
    for condition in [
        json!({"compute": {"add": ["total", 0], "eq": 4711}}),
        json!({"compute": {"subtract": ["total", 4711], "eq": 0}}),
        json!({"or": [{"compute": {"multiply": [{"add": ["order_id", {"divide": ["total", 1]}]}, 1], "in": [1, 4711]}}]}),
        json!({"user": {"orders": {"some": {"compute": {"add": [{"column": "total"}, 0], "eq": 4711}}}}}),
        json!({"total": {"in": [{"$column": "order_id"}, 4711]}}),
        // These are refused.
        json!({"add": ["total", 0], "eq": 4711}),
        json!({"compute": {"add": ["total", 4711]}}),
    ] {
        let _ =
            call(&engine, "admin", "select", json!({"table": "orders", "where": condition})).await;
        let records = log.records(&engine).await;
        // Times and hashes may hold the digits by chance.
        let last = records.last().unwrap();
        let text = format!("{} {}", last["arguments"], last["sql"]);
        assert!(!text.contains(hidden) && text.contains("[redacted]"), "{condition}: {text}");
    }
    let kept =
        json!({"table": "orders", "where": {"compute": {"add": ["order_id", 0], "eq": 4711}}});
    call(&engine, "admin", "select", kept).await.unwrap();
    let records = log.records(&engine).await;
    assert!(records.last().unwrap()["arguments"].to_string().contains(hidden));
}

#[tokio::test]
async fn what_totals_of_sensitive_columns_are_compared_with_is_not_kept() {
    let database = Database::shop().await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.orders.total".into()];
    let engine = log.engine(&database, settings).await;
    let spent = json!({"sum": {"sum": "orders.total"}});
    for (tool, mut arguments) in [
        ("select", json!({"where": {"compute": {"sum": "orders.total", "gt": 4711}}})),
        (
            "select",
            json!({"where": {"compute": {"count": "orders", "where": {"total": 4711}, "gt": 0}}}),
        ),
        (
            "select",
            json!({"columns": [{"count": "orders", "where": {"or": [{"total": 4711}]}, "as": "n"}]}),
        ),
        (
            "select",
            json!({"order_by": [{"count": "orders", "where": {"column": "total", "eq": 4711}}]}),
        ),
        (
            "select",
            json!({"where": {"compute": {"divide": [{"max": "orders.total"}, 2], "lt": 4711}}}),
        ),
        (
            "aggregate",
            json!({"measures": {"n": spent}, "group_by": ["country"], "having": {"n": {"gt": 4711}}}),
        ),
        // This one is refused.
        ("select", json!({"where": {"orders": {"sum": {"total": {"gt": 4711}}}}})),
    ] {
        arguments["table"] = json!("users");
        let _ = call(&engine, "admin", tool, arguments.clone()).await;
        let records = log.records(&engine).await;
        // Times and hashes may hold the digits by chance.
        let last = records.last().unwrap();
        let text = format!("{} {}", last["arguments"], last["sql"]);
        assert!(!text.contains("4711") && text.contains("[redacted]"), "{arguments}: {text}");
    }
}

#[tokio::test]
async fn unknown_members_of_a_refused_call_are_redacted() {
    let database = Database::shop().await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.orders.total".into()];
    let engine = log.engine(&database, settings).await;
    let place = |condition: Value| json!({"table": "orders", "where": condition});
    for (tool, arguments) in [
        ("select", place(json!({"compute": {"add": ["total", 0]}, "eq": 4711}))),
        ("select", place(json!({"total__gt": 4711}))),
        // Columns of other tables: `name` is one of users, and of products.
        ("select", place(json!({"name": 4711}))),
        ("select", place(json!({"or": [{"name": {"gt": 4711}}]}))),
        ("select", place(json!({"user": {"note": 4711}}))),
        ("select", place(json!({"user.note": 4711}))),
        ("update", json!({"table": "orders", "where": {"order_id": 1}, "updates": {"name": 4711}})),
        ("insert", json!({"table": "orders", "data": [{"name": 4711}]})),
        (
            "transaction",
            json!({"operations": [{"operation": "insert", "table": "orders", "data": {"name": 4711}}]}),
        ),
        ("select", place(json!({"user__orders__total__gt": 4711}))),
        ("select", place(json!({"$expr": {"$eq": ["$total", 4711]}}))),
        ("select", place(json!({"ttal": 4711}))),
        ("select", place(json!({"count": {"compute": {"add": "total", "eq": 4711}}}))),
        ("select", place(json!({"count": ["total", ">", 4711]}))),
        ("select", place(json!({"column": "ttal", "eq": 4711}))),
        ("select", place(json!({"or": [{"eq": 4711}]}))),
        ("select", place(json!(["total__gt", 4711]))),
        ("select", place(json!("total__gt=4711"))),
        ("select", json!({"table": "orders", "filters": {"ttal": {"gt": 4711}}})),
        ("select", json!({"table": "orders", "ttal": 4711})),
        ("select", json!({"table": "users", "include": {"orders": {"filters": {"ttal": 4711}}}})),
        ("aggregate", json!({"table": "orders", "measures": {"m": {"sum": "total", "gt": 4711}}})),
        (
            "select",
            json!({"table": "users", "columns": [{"count": "orders", "where": {"ttal": 4711}, "as": "n"}]}),
        ),
        (
            "select",
            json!({"table": "users", "order_by": [{"count": "orders", "where": ["total", "=", 4711]}]}),
        ),
        (
            "aggregate",
            json!({"table": "users", "measures": {"n": {"count": "*"}},
                "group_by": [{"count": "orders", "where": {"field": "total", "value": 4711}, "as": "g"}]}),
        ),
        (
            "select",
            json!({"table": "orders", "include": {"user": {"columns":
                [{"count": "orders", "filter": {"ttal": {"equals": 4711}}, "as": "n"}]}}}),
        ),
        (
            "insert",
            json!({"table": "orders", "data": {"columns": ["order_id", "total"], "rows": [[1, 4711]]}}),
        ),
        ("insert", json!({"table": "orders", "data": [[1, 4711]]})),
        (
            "insert",
            json!({"table": "orders", "data": {"order_id": 1}, "on_conflict":
                {"columns": ["order_id"], "do": "update", "update": {"ttal": 4711}}}),
        ),
        (
            "update",
            json!({"table": "orders", "where": {"order_id": 1}, "updates": {"$inc": {"ttal": 4711}}}),
        ),
        (
            "transaction",
            json!({"operations": [{"operation": "select", "table": "orders", "where": {"ttal": 4711}}]}),
        ),
        // Beside what a sort key, a measure, a group or an include may have.
        ("select", json!({"table": "orders", "order_by": [{"rank": "total", "search": 4711}]})),
        ("select", json!({"table": "orders", "order_by": [{"column": "order_id", "foo": 4711}]})),
        ("select", json!({"table": "orders", "columns": [{"column": "order_id", "foo": [4711]}]})),
        ("select", json!({"table": "users", "include": {"orders": {"foo": 4711}}})),
        ("aggregate", json!({"table": "orders", "measures": {"m": {"max": "total", "foo": 4711}}})),
        (
            "aggregate",
            json!({"table": "orders", "measures": {"n": {"count": "*"}}, "group_by": [{"column": "order_id", "foo": 4711}]}),
        ),
        (
            "insert",
            json!({"table": "orders", "data": {"order_id": 1}, "on_conflict": {"do": "update", "set": 4711}}),
        ),
    ] {
        assert!(call(&engine, "admin", tool, arguments.clone()).await.is_err(), "{arguments}");
        let records = log.records(&engine).await;
        let text = records.last().unwrap()["arguments"].to_string();
        assert!(!text.contains("4711") && text.contains("[redacted]"), "{arguments}: {text}");
    }
    // What is known stays readable.
    for (tool, arguments) in [
        (
            "select",
            json!({"table": "users", "columns": ["name", {"count": "orders", "where": {"order_id": 1}, "as": "n"}],
                "order_by": [{"column": "name", "direction": "desc", "nulls": "last"}, {"sum": "orders.order_id"}],
                "include": {"orders": {"columns": ["order_id"], "order_by": ["-order_id"], "limit": 2}}, "limit": 0.5}),
        ),
        (
            "aggregate",
            json!({"table": "orders", "measures": {"m": {"percentile": "order_id", "fraction": 0.5}, "v": {"stddev": "order_id"}},
                "group_by": [{"column": "created_at", "bucket": "day", "time_zone": "UTC", "as": "d"}], "limit": 0.5}),
        ),
    ] {
        assert!(call(&engine, "admin", tool, arguments.clone()).await.is_err(), "{arguments}");
        let records = log.records(&engine).await;
        let text = &records.last().unwrap()["arguments"];
        assert!(!text.to_string().contains("[redacted]"), "{text}");
    }
    // Under the name of another column they are that one's.
    for condition in [
        json!({"order_id": {"equals": 4711}}),
        json!({"user": {"user_id": {"equals": 4711}}}),
        json!({"compute": {"add": ["order_id", 4711]}}),
    ] {
        assert!(call(&engine, "admin", "select", place(condition.clone())).await.is_err());
        let records = log.records(&engine).await;
        let text = records.last().unwrap()["arguments"].to_string();
        assert!(text.contains("4711"), "{condition}: {text}");
    }
}

#[tokio::test]
async fn members_within_a_value_are_not_redacted() {
    let database = Database::of(
        "CREATE TABLE docs (id integer PRIMARY KEY, body text, j json, pay integer);
         INSERT INTO docs VALUES (1, '', '{}', 7)",
    )
    .await;
    let log = Log::new();
    let mut settings = Settings::default();
    settings.columns.sensitive = vec!["public.docs.pay".into()];
    let engine = log.engine(&database, settings).await;
    let body = r#"{"x":  1e2, "x": "keep", "cursor": 5, "having": 1, "measures": {"pay": 1}}"#;
    let document = json!({"cursor": "c", "order_by": {"rank": "pay"}, "compute": {"add": ["pay", 1]}, "pay": "p"});
    for _ in 0..2 {
        let updates = json!({"body": body, "j": document, "pay": 8});
        let update = json!({"table": "docs", "where": {"id": 1}, "updates": updates});
        call(&engine, "operator", "update", update).await.unwrap();
    }
    let records = log.records(&engine).await;
    let last = records.last().unwrap();
    let row = json!([{"id": 1, "body": body, "j": document, "pay": "[redacted]"}]);
    assert_eq!((&last["before"], &last["after"]), (&row, &row));
    let updates = &last["arguments"]["updates"];
    assert_eq!(updates["body"], body);
    assert_eq!((&updates["j"]["cursor"], &updates["pay"]), (&json!("c"), &json!("[redacted]")));
}
