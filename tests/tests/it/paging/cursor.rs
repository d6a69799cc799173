//! What a cursor is good for, and for whom.

use mcp_pg_core::policy::Role;
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, refused, rows};
use serde_json::{Value, json};

use super::FIXTURE;

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
    let other = if cursor.starts_with('A') { 'B' } else { 'A' };
    for (member, value) in [
        ("where", json!({"size": 2})),
        ("order_by", json!(["-kind"])),
        ("archived", json!("include")),
        ("cursor", json!("é")),
        ("cursor", json!(half)),
        ("cursor", json!(format!("{rest}{half}"))),
        ("cursor", json!(format!("{cursor}A"))),
        ("cursor", json!(format!("{other}{}", &cursor[1..]))),
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
async fn a_cursor_of_one_caller_tells_nothing_to_another_of_the_role() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role::everywhere("reader", [mcp_pg_core::policy::Action::Select]);
    role.grants[0].rows = json!({"kind": "claim:kind"}).as_object().cloned();
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let one = Principal::new("one", "reader").claim("kind", "kind 1");
    let two = Principal::new("two", "reader").claim("kind", "kind 2");
    let mut select = json!({"table": "seen", "limit": 2});
    let reply = call_as(&engine, &one, "select", select.clone()).await.unwrap();
    select["cursor"] = reply["next_cursor"].clone();
    let reply = call_as(&engine, &two, "select", select).await.unwrap();
    assert!(rows(&reply).iter().all(|row| row["kind"] == "kind 2"), "{reply}");
}

#[tokio::test]
async fn a_long_sort_key_makes_no_long_cursor_and_loses_no_row() {
    // Of equal ones several, and short ones between: pages begin behind a row, so many rows further, or both.
    let table = "CREATE TABLE essay (id integer PRIMARY KEY, body text);
        INSERT INTO essay SELECT n, CASE WHEN n % 5 = 0 THEN NULL WHEN n % 5 = 1 THEN 'short ' || n
            ELSE repeat(chr(97 + n % 3), 20000) || n / 7 END FROM generate_series(1, 30) n";
    for index in ["", "; CREATE INDEX ON essay (body)"] {
        let mut settings = Settings::default();
        settings.limits.max_reply_bytes = 50_000;
        let database = Database::of(&format!("{table}{index}")).await;
        let engine = database.engine_with(settings.clone()).await;
        settings.limits.max_reply_bytes = 10_000_000;
        let unbounded = database.engine_with(settings).await;
        for order in [json!(["body"]), json!(["-body", "id"]), json!(["-body", "-id"])] {
            for columns in [json!(["id"]), json!(["id", "body"])] {
                let arguments = json!({"table": "essay", "columns": columns, "order_by": order});
                let mut all = Vec::new();
                let mut page = arguments.clone();
                let mut told = 0;
                page["limit"] = json!(2);
                loop {
                    let reply = call(&engine, "analyst", "select", page.clone()).await.unwrap();
                    assert!(reply.to_string().len() < 56_000, "{}", reply.to_string().len());
                    all.extend(rows(&reply).iter().map(|row| row["id"].clone()));
                    assert!(all.len() < 1_000, "{arguments} has no end");
                    let Value::String(cursor) = &reply["next_cursor"] else { break };
                    let last = rows(&reply).last().unwrap();
                    let long = last
                        .get("body")
                        .is_some_and(|body| body.as_str().is_some_and(|body| body.len() > 10_000));
                    let noted = reply["notes"][0]
                        .as_str()
                        .is_some_and(|note| note.contains("too long for a cursor"));
                    assert!(noted || !long, "{reply}");
                    told += usize::from(noted);
                    page["cursor"] = json!(cursor);
                }
                let mut whole = arguments.clone();
                whole["columns"] = json!(["id"]);
                let whole = call(&unbounded, "analyst", "select", whole).await.unwrap();
                let whole: Vec<Value> = rows(&whole).iter().map(|row| row["id"].clone()).collect();
                assert_eq!((all, told > 3), (whole, true), "{arguments}");
            }
        }
    }
}

/// What a role does not see changes nothing for it; what it sees ends its cursors, and the message says so.
#[tokio::test]
async fn a_cursor_holds_as_long_as_the_role_sees_the_same() {
    let database = Database::of("CREATE TABLE a (id integer PRIMARY KEY); CREATE TABLE b (id integer PRIMARY KEY); INSERT INTO b VALUES (1), (2);").await;
    let role = Role {
        name: "reader".to_owned(),
        grants: vec![mcp_pg_tests::readable("public.b", None)],
        ..Role::default()
    };
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let page = json!({"table": "b", "limit": 1});
    let reply = call(&engine, "reader", "select", page.clone()).await.unwrap();
    let mut next = page;
    next["cursor"] = reply["next_cursor"].clone();
    database
        .sql("ALTER TABLE a ADD COLUMN hidden integer; CREATE TABLE c (id integer PRIMARY KEY)")
        .await;
    engine.reload().await.unwrap();
    let reply = call(&engine, "reader", "select", next.clone()).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 2})]);
    database.sql("ALTER TABLE b ADD COLUMN seen integer").await;
    engine.reload().await.unwrap();
    let told = mcp_pg_tests::error(&engine, "reader", "select", next).await;
    assert_eq!(told["code"], "invalid_cursor");
    assert!(
        told["message"].as_str().unwrap().ends_with("or the tables have changed since"),
        "{told}"
    );
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.ends_with("have changed since, start again without cursor"), "{told}");
}

#[tokio::test]
async fn a_limit_that_is_lowered_is_noted() {
    let database = Database::of(
        "CREATE TABLE b (id integer PRIMARY KEY); INSERT INTO b SELECT generate_series(1, 1001);",
    )
    .await;
    let engine = database.engine().await;
    let note = json!(["a reply has at most 1000 rows: the next page begins at next_cursor"]);
    for (arguments, expected) in [
        (json!({"limit": 2000}), note),
        (json!({"limit": 1000}), Value::Null),
        (json!({"limit": 2000, "where": {"id": {"lt": 9}}}), Value::Null),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("b");
        let reply = call(&engine, "admin", "select", arguments.clone()).await.unwrap();
        assert_eq!(reply.get("notes").cloned().unwrap_or_default(), expected, "{arguments}");
    }
}
