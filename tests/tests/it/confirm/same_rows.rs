//! What was agreed to is done to the rows that it was asked about, and with the values that they had.

use mcp_pg_core::policy::{Action, Mask, Role};
use mcp_pg_core::{Agreement, Engine, Origin, Principal, Settings};
use mcp_pg_tests::{Database, object};
use serde_json::{Value, json};

use crate::canned::directory;

pub(super) const FIXTURE: &str = r#"
    CREATE TABLE tag (id integer PRIMARY KEY, name text, at timestamptz DEFAULT clock_timestamp(), rate integer DEFAULT 3);
    CREATE TABLE mail (id integer PRIMARY KEY, email text, active boolean, body text);
    CREATE UNIQUE INDEX ON mail (email) WHERE active;
    CREATE TABLE day (id integer, of date DEFAULT '2026-01-01', body text, PRIMARY KEY (id, of)) PARTITION BY RANGE (of);
    CREATE TABLE days PARTITION OF day DEFAULT;
    CREATE TABLE post (id serial PRIMARY KEY, slug text UNIQUE, code uuid DEFAULT gen_random_uuid(), title text);
    CREATE TABLE line (post_id integer REFERENCES post, of serial, body text, PRIMARY KEY (post_id, of));
    INSERT INTO post (id, slug, title) VALUES (900, 'old', 'same'), (901, 'other', NULL);
    INSERT INTO line VALUES (900, 1, 'b'), (901, 2, 'c');
    INSERT INTO tag VALUES (1, 'one'), (2, 'two'), (50, 'fifty'), (51, 'other');
    INSERT INTO mail VALUES (1, 'e1', true, 'b1'), (3, 'e1', false, 'b3');
    CREATE TABLE deal (id integer PRIMARY KEY, tag_id integer REFERENCES tag ON DELETE SET NULL, total integer);
    INSERT INTO deal VALUES (1, 1, 0);
    INSERT INTO day VALUES (1, '2026-01-01', 'd1');
    CREATE TABLE item (id serial PRIMARY KEY, kind text, price integer, spare integer GENERATED ALWAYS AS (price + 1) STORED);
    CREATE FUNCTION priced() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN new.price := (SELECT rate FROM tag WHERE name = new.kind); RETURN new; END $$;
    CREATE TRIGGER priced BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION priced();
    CREATE TABLE loose (name text, doc json, secret text);
    INSERT INTO loose VALUES ('a', '{"k": 1}', 's1'), ('b', '{"k": 2}', 's2');
    CREATE TABLE bare (doc json);
    INSERT INTO bare VALUES ('{"k": 1}');
    CREATE TABLE stay (id serial PRIMARY KEY, span tstzrange, of tstzrange);
    INSERT INTO stay (id) VALUES (900);"#;

pub(super) async fn engine(database: &Database) -> Engine {
    let mut role = Role::everywhere("careful", Action::ALL);
    role.confirm = [Action::Update, Action::Delete].into_iter().collect();
    let queries = directory([
        (
            "drop_tags.sql",
            "-- @writes\n-- @limit 1\nDELETE FROM tag WHERE name LIKE :name RETURNING name, id",
        ),
        ("drop_tag.sql", "-- @writes\nDELETE FROM tag WHERE name = :name RETURNING name, id AS it"),
        // It tells a part of the key.
        ("drop_line.sql", "-- @writes\nDELETE FROM line WHERE body = :body RETURNING post_id"),
        (
            "touch.sql",
            "-- @writes\nUPDATE tag SET at = clock_timestamp() WHERE name = :name RETURNING id, at",
        ),
        (
            "add_tag.sql",
            "-- @writes\n-- @confirm\nINSERT INTO tag (id, name) SELECT max(id) + 1 + (random() * 1000000)::integer, 'new' FROM tag
             RETURNING id",
        ),
    ]);
    let mut settings =
        Settings { roles: vec![role], default_role: "careful".into(), ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    settings.queries.directory = Some(queries);
    let engine = database.engine_with(settings).await;
    assert!(engine.faults().is_empty(), "{:?}", engine.faults());
    engine
}

/// The question that the call must ask, and what it is about.
pub(super) async fn asked(
    engine: &Engine,
    tool: &str,
    arguments: &Value,
    agreed: Option<&Agreement>,
) -> Option<(String, Agreement)> {
    let caller = Principal::new("ann", "careful");
    let arguments = object(arguments.clone());
    match engine.call_agreed(&caller, &Origin::default(), tool, arguments, agreed).await {
        Ok(_) => None,
        Err(error) => {
            let question = error.question().unwrap_or_else(|| panic!("{error}")).clone();
            Some((question.text, Agreement { plan: question.plan, number: None }))
        }
    }
}

/// Sends a call that asks `first`. After somebody has changed rows `meanwhile`, the answer does not hold any more: the call
/// asks `second`, and with the answer to that it is done.
async fn asks_again(tool: &str, arguments: Value, first: &str, meanwhile: &str, second: &str) {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let (text, agreed) = asked(&engine, tool, &arguments, None).await.expect("a question");
    assert!(text.contains(first), "{text}");
    let (again, _) = asked(&engine, tool, &arguments, None).await.expect("a question");
    assert_eq!(again, text);
    database.sql(meanwhile).await;
    let (text, agreed) = asked(&engine, tool, &arguments, Some(&agreed))
        .await
        .unwrap_or_else(|| panic!("{arguments}: done to other rows"));
    assert!(text.contains(second), "{text}");
    let done = asked(&engine, tool, &arguments, Some(&agreed)).await;
    assert!(done.is_none(), "{arguments}: asked again about the same");
}

#[tokio::test]
async fn an_answer_is_about_the_rows_that_an_upsert_overwrites() {
    let tags = |data: Value| json!({"table": "tag", "data": data, "on_conflict": {"columns": ["id"], "do": "update", "update": ["name"]}});
    let mail = json!({"table": "mail", "data": [{"id": 9, "email": "e1", "active": true, "body": "over"}],
        "on_conflict": {"columns": ["email"], "do": "update", "update": ["body"]}});
    let day = json!({"table": "day", "data": {"id": 2, "of": "2026-01-01", "body": "over"},
        "on_conflict": {"columns": ["id", "of"], "do": "update"}});
    for (arguments, first, meanwhile, second) in [
        (
            tags(json!({"id": 88, "name": "mine"})),
            "insert 1 row of tag?",
            "INSERT INTO tag VALUES (88, 'PRECIOUS')",
            "insert 1 row of tag, overwriting 1 existing row?",
        ),
        (
            tags(json!([{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 89, "name": "c"}])),
            "insert 3 rows of tag, overwriting 2 existing rows?",
            "INSERT INTO tag VALUES (89, 'PRECIOUS'); DELETE FROM tag WHERE id = 2",
            "insert 3 rows of tag, overwriting 2 existing rows?",
        ),
        (
            mail,
            "insert 1 row of mail, overwriting 1 existing row?",
            "UPDATE mail SET active = false WHERE id = 1; UPDATE mail SET active = true WHERE id = 3",
            "insert 1 row of mail, overwriting 1 existing row?",
        ),
        (
            day,
            "insert 1 row of day?",
            "INSERT INTO day VALUES (2, '2026-01-01', 'PRECIOUS')",
            "insert 1 row of day, overwriting 1 existing row?",
        ),
    ] {
        asks_again("insert", arguments, first, meanwhile, second).await;
    }
}

#[tokio::test]
async fn an_answer_is_about_the_rows_that_a_query_writes() {
    let exchanged =
        "UPDATE tag SET name = 'gone' WHERE id = 50; UPDATE tag SET name = 'fifty' WHERE id = 51";
    for (tool, arguments, first, meanwhile, second) in [
        ("drop_tag", json!({"name": "fifty"}), "writes 1 row?", exchanged, "writes 1 row?"),
        (
            "drop_tags",
            json!({"name": "%t%", "max_rows": 3}),
            "writes 3 rows?",
            "UPDATE tag SET name = 'x' WHERE id = 51; UPDATE tag SET name = 'tango' WHERE id = 1",
            "writes 3 rows?",
        ),
        (
            "drop_line",
            json!({"body": "b", "max_rows": 2}),
            "writes 1 row?",
            "UPDATE line SET body = CASE post_id WHEN 901 THEN 'b' END",
            "writes 1 row?",
        ),
        (
            "drop_line",
            json!({"body": "b", "max_rows": 2}),
            "writes 1 row?",
            "INSERT INTO line VALUES (900, 50, 'b')",
            "writes 2 rows?",
        ),
        ("touch", json!({"name": "fifty"}), "writes 1 row?", exchanged, "writes 1 row?"),
    ] {
        asks_again(tool, arguments, first, meanwhile, second).await;
    }
}

#[tokio::test]
async fn an_answer_is_about_the_values_that_an_update_uses() {
    let computed = json!({"table": "deal", "where": {"id": 1}, "updates": {"total": {"$compute": {"multiply": ["tag.rate", 2]}}}});
    let raised = "UPDATE tag SET rate = 1 WHERE id = 1";
    let question = "update 1 row of deal?";
    asks_again("update", computed, question, raised, question).await;
    // Nothing but its values tells a row of a table without a key.
    let loose = json!({"table": "loose", "where": {"name": "a"}, "updates": {"name": "c"}});
    let changed = "UPDATE loose SET doc = '{\"k\": 3}' WHERE name = 'a'";
    let question = "update 1 row of loose?";
    asks_again("update", loose, question, changed, question).await;
}

#[tokio::test]
async fn an_answer_is_about_the_values_that_an_operation_takes_from_another() {
    let copy = |first: Value| {
        let second = json!({"operation": "update", "table": "mail", "where": {"id": 3}, "updates": {"body": {"$ref": "s.name"}}});
        json!({"operations": [first, second]})
    };
    let read = json!({"operation": "select", "as": "s", "table": "tag", "where": {"id": 1}});
    let over = json!({"operation": "insert", "as": "s", "table": "tag", "data": {"id": 1, "name": "new", "rate": 1},
        "on_conflict": {"columns": ["id"], "do": "update", "update": ["rate"]}});
    let change = json!({"operation": "update", "as": "s", "table": "tag", "where": {"id": 1}, "updates": {"at": {"$now": true}}});
    let item = json!({"operation": "insert", "as": "s", "table": "item", "data": {"kind": "one"}});
    let seen = json!({"operation": "select", "as": "t", "table": "item", "where": {"id": {"$ref": "s.id"}}});
    let take = |from: &str| json!({"operation": "update", "table": "deal", "where": {"id": 1}, "updates": {"total": {"$ref": from}}});
    let renamed = "UPDATE tag SET name = 'changed' WHERE id = 1";
    let raised = "UPDATE tag SET rate = 500 WHERE id = 1";
    for (arguments, question, meanwhile) in [
        (copy(read), "update 1 row of mail?", renamed),
        (copy(over), "update 1 row of mail?", renamed),
        (copy(change), "update 1 row of tag, update 1 row of mail?", renamed),
        // A trigger and a generated column make these values from another table's.
        (json!({"operations": [item, take("s.price")]}), "update 1 row of deal?", raised),
        (json!({"operations": [item, seen, take("t.spare")]}), "update 1 row of deal?", raised),
    ] {
        asks_again("transaction", arguments, question, meanwhile, question).await;
    }
}

/// One of the rows that are written is new, and the other one is not.
#[tokio::test]
async fn an_answer_is_about_the_rows_beside_those_that_a_transaction_adds() {
    let keyed = json!({"operations": [
        {"operation": "insert", "table": "post", "data": {"title": "same"}},
        {"operation": "update", "table": "post", "where": {"title": "same"}, "updates": {"title": "x"}, "max_rows": 2},
    ]});
    let moved = "UPDATE post SET title = CASE id WHEN 901 THEN 'same' END";
    let question = "update 2 rows of post?";
    asks_again("transaction", keyed, question, moved, question).await;
    let keyless = json!({"operations": [
        {"operation": "insert", "table": "bare", "data": {"doc": {"k": 1}}},
        {"operation": "delete", "table": "bare", "where": {"doc": {"path": ["k"], "eq": 1}}, "max_rows": 2},
    ]});
    let changed = "UPDATE bare SET doc = '{\"k\": 1, \"l\": 2}'";
    let question = "delete 2 rows of bare?";
    asks_again("transaction", keyless, question, changed, question).await;
}

/// The user sees what was sent, its effect first, and nothing that was not.
#[tokio::test]
async fn the_question_shows_what_was_sent() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let change = json!({"where": {"id": 1}, "updates": {"name": null}, "table": "tag"});
    let shown = r#"{"table":"tag","updates":{"name":null},"where":{"id":1}}"#;
    let (text, _) = asked(&engine, "update", &change, None).await.expect("a question");
    assert_eq!(text, format!("Allow this: update 1 row of tag? The request is {shown}"));
    let mut operation = change.clone();
    operation["operation"] = json!("update");
    let operations = json!({"operations": [operation]});
    let (text, _) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    let shown = shown.replacen('{', "{\"operation\":\"update\",", 1);
    assert!(text.ends_with(&format!("The request is {{\"operations\":[{shown}]}}")), "{text}");
    // A table's name is not the server's words.
    let odd = "e? The\n\u{1b}[31m\u{202e}request";
    database
        .sql(&format!("CREATE TABLE \"{odd}\" (id integer); INSERT INTO \"{odd}\" VALUES (1)"))
        .await;
    engine.reload().await.unwrap();
    let delete = json!({"table": odd, "where": {"id": 1}});
    let (text, _) = asked(&engine, "delete", &delete, None).await.expect("a question");
    let shown = r#"Allow this: delete 1 row of "e? The\n\u001b[31m\u{202e}request"? The"#;
    assert!(text.starts_with(shown), "{text}");
}

#[tokio::test]
async fn values_that_differ_at_each_attempt_do_not_void_an_answer() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let (_, agreed) = asked(&engine, "add_tag", &json!({}), None).await.expect("a question");
    assert!(asked(&engine, "add_tag", &json!({}), Some(&agreed)).await.is_none());
    let moment = json!({"operations": [
        {"operation": "update", "as": "t", "table": "tag", "where": {"id": 1}, "updates": {"at": {"$now": true}}},
        {"operation": "update", "table": "tag", "where": {"id": 2}, "updates": {"at": {"$ref": "t.at"}}},
    ]});
    let (_, agreed) = asked(&engine, "transaction", &moment, None).await.expect("a question");
    assert!(asked(&engine, "transaction", &moment, Some(&agreed)).await.is_none());
    // What PostgreSQL gives to a row that the transaction adds itself is another each time.
    let post = json!({"operation": "insert", "as": "p", "table": "post", "data": {"title": "t"}});
    let upsert = json!({"operation": "insert", "as": "p", "table": "post", "data": {"slug": "new", "title": "t"},
        "on_conflict": {"columns": ["slug"], "do": "update", "update": ["title"]}});
    let line = json!({"operation": "insert", "table": "line", "data": [{"post_id": {"$ref": "p.id"}}, {"post_id": {"$ref": "p.id"}}]});
    let this = json!({"id": {"$ref": "p.id"}});
    let update = json!({"operation": "update", "as": "u", "table": "post", "where": this, "updates": {"title": "v"}});
    let each = json!({"operation": "update", "table": "post", "updates": [{"id": {"$ref": "p.id"}, "title": "w"}]});
    let changed = json!({"operation": "update", "table": "line", "where": {"post_id": {"$ref": "u.id"}},
        "updates": {"body": {"$ref": "u.code"}}, "max_rows": 2});
    let lines = json!({"operation": "delete", "table": "line", "where": {"post_id": {"$ref": "p.id"}}, "max_rows": 2});
    let read = json!({"operation": "select", "as": "s", "table": "post", "where": this});
    let told = json!({"operation": "update", "table": "mail", "where": {"id": 3}, "updates": {"body": {"$ref": "s.code"}}});
    let gone = json!({"operation": "delete", "table": "post", "where": this});
    let again = json!({"operation": "update", "as": "u", "table": "post", "where": this, "updates": {"id": {"$default": true}}});
    let after = json!({"operation": "update", "table": "post", "where": {"id": {"$ref": "u.id"}}, "updates": {"title": "z"}});
    let other = json!({"operation": "insert", "as": "q", "table": "post", "data": {"title": "q"}});
    let lost = json!({"operation": "delete", "table": "post", "where": {"id": {"$ref": "q.id"}}});
    let exchanged = json!({"operation": "update", "as": "u", "table": "post", "where": this, "updates": {"id": {"$ref": "m.id"}}});
    let number = json!({"operation": "select", "as": "m", "table": "post", "where": {"id": {"$ref": "q.id"}}});
    let of_line = json!({"operation": "select", "as": "l", "table": "line", "where": {"post_id": {"$ref": "p.id"}}, "limit": 1});
    let total = json!({"operation": "update", "table": "deal", "where": {"id": 1}, "updates": {"total": {"$ref": "l.post_id"}}});
    let stay = json!({"operation": "insert", "as": "p", "table": "stay", "data": {"span": {"lower": {"$now": true}}}});
    let stays = json!({"operation": "update", "table": "stay", "where": {"id": 900}, "updates": {"of": {"$ref": "p.span"}}});
    for operations in [
        json!([post, again, after]),
        json!([post, other, number, lost, exchanged, after]),
        json!([post, line, of_line, total]),
        json!([stay, stays]),
        json!([post, update]),
        json!([upsert, update, each]),
        json!([post, line, update, changed, lines, read, told, gone]),
    ] {
        let operations = json!({"operations": operations});
        let question = asked(&engine, "transaction", &operations, None).await;
        let (_, agreed) = question.expect("a question");
        let again = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        assert!(again.is_none(), "{operations}: asked again: {again:?}");
        database.sql("DELETE FROM post WHERE slug = 'new'").await;
    }
}

/// Moments of rows that were there are no more the operation's own than other values.
#[tokio::test]
async fn moments_that_others_change_are_agreed_to_as_they_are() {
    let update = |table: &str, condition: Value, updates: Value| json!({"operation": "update", "table": table, "where": condition, "updates": updates});
    let due = json!({"due": {"$ref": "0.0.due"}});
    let first = update("task", json!({"id": 1}), json!({"v": 5}));
    let later = "UPDATE task SET due = '2030-01-01' WHERE id = 1";
    let exchanged = "UPDATE term SET v = CASE v WHEN 1 THEN 2 WHEN 2 THEN 1 END";
    for (operations, meanwhile) in [
        (json!([first, {"operation": "delete", "table": "term", "where": due}]), later),
        (json!([first, update("task", json!({"id": 2}), due.clone())]), later),
        (
            json!([
                update("term", json!({"v": 1}), json!({"v": 1})),
                {"operation": "delete", "table": "term", "where": {"v": 1}}
            ]),
            exchanged,
        ),
        (json!([update("term", json!({"v": 1}), json!({"v": 7}))]), exchanged),
    ] {
        let database = Database::of(FIXTURE).await;
        let more = "CREATE TABLE task (id integer PRIMARY KEY, due timestamptz, v integer);
             CREATE TABLE term (due timestamptz PRIMARY KEY, v integer);
             INSERT INTO task VALUES (1, '2024-01-01', 1), (2, '2024-01-01', 2);
             INSERT INTO term VALUES ('2024-01-01', 1), ('2030-01-01', 2);";
        database.sql(more).await;
        let engine = engine(&database).await;
        let operations = json!({"operations": operations});
        let (_, agreed) =
            asked(&engine, "transaction", &operations, None).await.expect("a question");
        database.sql(meanwhile).await;
        let again = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        let (_, agreed) = again.unwrap_or_else(|| panic!("{operations}: done to other rows"));
        let done = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        assert!(done.is_none(), "{operations}: asked again about the same");
    }
}

#[tokio::test]
async fn rows_without_a_key_are_told_apart_by_what_a_mask_covers_too() {
    let mut role = Role::everywhere("careful", Action::ALL);
    role.confirm = [Action::Update].into_iter().collect();
    role.grants[0].columns.mask.insert("secret".to_owned(), Mask::Full);
    let settings =
        Settings { roles: vec![role], default_role: "careful".into(), ..Settings::default() };
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(settings).await;
    let update = json!({"table": "loose", "where": {"name": "a"}, "updates": {"name": "c"}});
    let (text, agreed) = asked(&engine, "update", &update, None).await.expect("a question");
    assert!(!text.contains("s1"), "{text}");
    database.sql("UPDATE loose SET secret = 's3' WHERE name = 'a'").await;
    let again = asked(&engine, "update", &update, Some(&agreed)).await;
    let (_, agreed) = again.expect("another question");
    assert!(asked(&engine, "update", &update, Some(&agreed)).await.is_none());
}
