//! Existing rows to which a value leads that the same transaction makes.

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Code, Principal, Settings};
use mcp_pg_tests::{Database, call_as};
use serde_json::{Value, json};

use super::replay::{self, ANEW, is_asked_again, is_done_as_asked};
use super::same_rows::{FIXTURE, asked, engine};

/// A key may be taken from elsewhere by a trigger: an existing row that it meets is another one then.
#[tokio::test]
async fn an_existing_row_is_known_by_its_key_though_that_of_a_new_row_leads_to_it() {
    let database = Database::of(FIXTURE).await;
    let more = "CREATE TABLE pick (n integer); INSERT INTO pick VALUES (1); CREATE TABLE ticket (k integer PRIMARY KEY, note text);
         CREATE TABLE old (k integer, n integer, PRIMARY KEY (k, n)); INSERT INTO old VALUES (1, 1), (2, 1);
         ALTER TABLE old ADD FOREIGN KEY (k) REFERENCES ticket NOT VALID;
         CREATE FUNCTION picked() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.k := (SELECT n FROM pick); RETURN new; END $$;
         CREATE TRIGGER picked BEFORE INSERT ON ticket FOR EACH ROW EXECUTE FUNCTION picked(); ALTER TABLE ticket DISABLE TRIGGER ALL, ENABLE TRIGGER picked;";
    database.sql(more).await;
    let engine = engine(&database).await;
    let ticket =
        json!({"operation": "insert", "as": "t", "table": "ticket", "data": {"note": "x"}});
    let key = json!({"$ref": "t.k"});
    for met in [
        json!({"operation": "delete", "table": "tag", "where": {"id": key}}),
        json!({"operation": "delete", "table": "old", "where": {"k": key}}),
        json!({"operation": "insert", "table": "tag", "data": {"id": key, "name": "over"},
            "on_conflict": {"columns": ["id"], "do": "update", "update": ["name"]}}),
    ] {
        database.sql("UPDATE pick SET n = 1; DELETE FROM ticket").await;
        let operations = json!({"operations": [ticket, met]});
        let (_, agreed) =
            asked(&engine, "transaction", &operations, None).await.expect("a question");
        database.sql("UPDATE pick SET n = 2").await;
        let again = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        let (_, agreed) = again.unwrap_or_else(|| panic!("{operations}: done to another row"));
        assert!(asked(&engine, "transaction", &operations, Some(&agreed)).await.is_none());
        database.sql("INSERT INTO tag VALUES (2, 'two') ON CONFLICT DO NOTHING").await;
    }
}

/// A key that has a number of a sequence in it leads to the row of the question, or is asked about again.
#[tokio::test]
async fn an_existing_row_is_known_by_its_whole_key() {
    let more = "CREATE TABLE own (n serial, x integer, v text, PRIMARY KEY (n, x));
         INSERT INTO own SELECT n, 2, 'old' FROM generate_series(1, 20) n;";
    let anew = "CREATE FUNCTION anew() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.n := nextval('own_n_seq'); RETURN new; END $$;
         CREATE TRIGGER anew BEFORE INSERT ON own FOR EACH ROW WHEN (new.x = 1) EXECUTE FUNCTION anew();";
    let new = json!({"operation": "insert", "as": "t", "table": "own", "data": {"x": 1}});
    let key = json!({"$ref": "t.n"});
    for met in [
        json!({"operation": "delete", "table": "own", "where": {"n": key, "x": 2}}),
        json!({"operation": "update", "table": "own", "where": {"n": key, "x": 2}, "updates": {"v": "new"}}),
        json!({"operation": "insert", "table": "own", "data": {"n": key, "x": 2, "v": "over"},
            "on_conflict": {"columns": ["n", "x"], "do": "update", "update": ["v"]}}),
    ] {
        let operations = json!({"operations": [new, met]});
        if !met.to_string().contains("over") {
            is_asked_again(&format!("{more}{anew}"), &operations).await;
        }
        is_done_as_asked(more, &operations).await;
    }
}

/// The same for a number of a sequence that another operation was given, too.
#[tokio::test]
async fn an_existing_row_is_not_known_by_a_value_that_another_operation_was_given() {
    let more = "CREATE TABLE tick (id serial PRIMARY KEY, n serial);
         CREATE TABLE acct (id integer PRIMARY KEY, code text UNIQUE, v text);
         INSERT INTO acct SELECT n, 'c' || n, 'old' FROM generate_series(1, 60) n;";
    let new = json!({"operation": "insert", "as": "t", "table": "tick", "data": {}});
    let key = json!({"$ref": "t.n"});
    for given in [
        json!({"operation": "update", "table": "acct", "where": {"code": "nosuch"}, "updates": {"id": key}}),
        json!({"operation": "insert", "table": "acct", "data": {"id": key, "code": "c60"},
            "on_conflict": {"columns": ["code"], "do": "nothing"}}),
    ] {
        for met in [
            json!({"operation": "delete", "table": "acct", "where": {"id": key}}),
            json!({"operation": "update", "table": "acct", "where": {"id": key}, "updates": {"v": "new"}}),
        ] {
            let operations = json!({"operations": [new, given, met]});
            is_asked_again(&format!("{more}{ANEW}"), &operations).await;
            is_done_as_asked(more, &operations).await;
        }
    }
}

/// The question shows what the request has, and no more.
#[tokio::test]
async fn an_upsert_is_shown_as_it_was_sent() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let upsert = |update: Value| {
        let mut on_conflict = json!({"columns": ["id"], "do": "update"});
        if !update.is_null() {
            on_conflict["update"] = update;
        }
        json!({"table": "tag", "data": {"id": 1, "name": "over"}, "on_conflict": on_conflict})
    };
    let arguments = upsert(Value::Null);
    let (text, _) = asked(&engine, "insert", &arguments, None).await.expect("a question");
    assert!(text.contains(r#""on_conflict":{"columns":["id"],"do":"update"}"#), "{text}");
    let arguments = upsert(json!({"name": "other"}));
    let (text, agreed) = asked(&engine, "insert", &arguments, None).await.expect("a question");
    assert!(text.contains(r#""update":{"name":"other"}"#), "{text}");
    let other = upsert(json!({"name": "third"}));
    assert!(asked(&engine, "insert", &other, Some(&agreed)).await.is_some(), "another value");
    assert!(asked(&engine, "insert", &arguments, Some(&agreed)).await.is_none());
}

/// Keys that rows take from each other lead to the rows of the question, though a sequence goes on.
#[tokio::test]
async fn an_existing_row_is_not_known_by_a_key_that_another_row_had() {
    let update = |code: &str, id: Value| json!({"operation": "update", "table": "acct", "where": {"code": code}, "updates": {"id": id}});
    let through = |table: &str, code: &str, id: Value| {
        let mut change = update(code, id);
        change["table"] = json!(table);
        change
    };
    let key = json!({"$ref": "t.n"});
    let new = json!({"operation": "insert", "as": "t", "table": "tick", "data": {}});
    let add = json!({"operation": "insert", "table": "acct", "data": {"id": key, "code": "dummy", "v": 21}});
    let over = json!({"operation": "insert", "table": "acct", "data": {"id": 22, "code": "c1002"},
        "on_conflict": {"columns": ["code"], "do": "update", "update": ["id"]}});
    let both = json!({"operation": "update", "table": "acct", "where": {"code": {"in": ["dummy", "c1002"]}},
        "updates": {"id": {"$compute": {"subtract": ["v", 0]}}}, "max_rows": 2});
    let back = |table: &str, code: &str| {
        vec![through(table, code, json!(5000)), through(table, code, json!(21))]
    };
    let added = [vec![add.clone()], back("acct", "dummy")].concat();
    let child = json!({"operation": "insert", "table": "part", "data": {"acct_id": key}});
    let more = "CREATE TABLE tick (id serial PRIMARY KEY, n serial); ALTER SEQUENCE tick_n_seq RESTART 21;
         CREATE TABLE acct (id integer PRIMARY KEY, code text UNIQUE, v integer);
         CREATE TABLE part (acct_id integer PRIMARY KEY REFERENCES acct ON UPDATE CASCADE ON DELETE CASCADE, v integer);
         CREATE VIEW shown AS SELECT * FROM acct;
         INSERT INTO acct SELECT n, 'c' || n, 22 FROM generate_series(1000, 1010) n; INSERT INTO part VALUES (1002);";
    let exchanged = [back("acct", "dummy"), vec![update("c1002", json!(22))]].concat();
    for (steps, table, column) in [
        ([added.clone(), vec![update("c1002", json!(22))]].concat(), "acct", "id"),
        ([added, vec![over]].concat(), "acct", "id"),
        (
            [
                vec![update("c1001", key.clone())],
                back("acct", "c1001"),
                vec![update("c1002", json!(22))],
            ]
            .concat(),
            "acct",
            "id",
        ),
        (vec![add.clone(), update("dummy", json!(5000)), both], "acct", "id"),
        // The same rows under another name, and others that get the keys of those to which they refer.
        (
            [vec![add.clone()], back("shown", "dummy"), vec![through("shown", "c1002", json!(22))]]
                .concat(),
            "acct",
            "id",
        ),
        ([vec![add, child], exchanged].concat(), "part", "acct_id"),
    ] {
        for last in [
            json!({"operation": "delete", "table": table, "where": {column: key}}),
            json!({"operation": "update", "table": table, "where": {column: key}, "updates": {"v": 1}}),
        ] {
            let operations = [vec![new.clone()], steps.clone(), vec![last]].concat();
            let operations = json!({"operations": operations});
            is_asked_again(&format!("{more}{ANEW}"), &operations).await;
            is_done_as_asked(more, &operations).await;
        }
    }
}

/// A row that got another key is the same one.
#[tokio::test]
async fn a_row_is_known_by_the_key_that_it_had() {
    let database = Database::of(FIXTURE).await;
    let engine = engine(&database).await;
    let new = json!({"operation": "insert", "as": "p", "table": "post", "data": {"title": "t"}});
    let moved = json!({"operation": "update", "table": "line", "where": {"post_id": 900}, "updates": {"post_id": {"$ref": "p.id"}}, "max_rows": 9});
    let lines = json!({"operation": "update", "table": "line", "where": {"post_id": {"$ref": "p.id"}}, "updates": {"body": "x"}, "max_rows": 9});
    let gone = json!({"operation": "delete", "table": "post", "where": {"id": 900}});
    database.sql("INSERT INTO line VALUES (900, 7, 'b'), (900, 8, 'b')").await;
    let operations = json!({"operations": [new, moved, lines, gone]});
    let (_, agreed) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    let again = asked(&engine, "transaction", &operations, Some(&agreed)).await;
    assert!(again.is_none(), "asked again: {again:?}");
}

/// Two databases may have the same rows, and their servers the same key.
#[tokio::test]
async fn an_answer_is_about_one_database() {
    let (database, other) = (Database::of(FIXTURE).await, Database::of(FIXTURE).await);
    let (first, second) = (engine(&database).await, engine(&other).await);
    let arguments = json!({"table": "tag", "where": {"id": 1}});
    let (_, agreed) = asked(&first, "delete", &arguments, None).await.expect("a question");
    let again = asked(&second, "delete", &arguments, Some(&agreed)).await;
    assert!(again.is_some(), "deleted in the other database");
    assert_eq!(other.value("SELECT count(*)::text FROM tag WHERE id = 1").await.unwrap(), "1");
    let same = engine(&database).await;
    assert!(asked(&same, "delete", &arguments, Some(&agreed)).await.is_none());
}

/// Whoever must confirm deletes writes like others where nothing is deleted: nobody needs to know which row it was.
#[tokio::test]
async fn a_write_that_needs_no_agreement_needs_no_known_rows() {
    let database = Database::of(
        "CREATE TABLE tag (code text PRIMARY KEY, v integer); INSERT INTO tag VALUES ('a', 1);
         CREATE FUNCTION small() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.code := lower(new.code); RETURN new; END $$;
         CREATE TRIGGER small BEFORE INSERT ON tag FOR EACH ROW EXECUTE FUNCTION small();",
    )
    .await;
    let upsert = json!({"table": "tag", "data": {"code": "A", "v": 2},
        "on_conflict": {"columns": ["code"], "do": "update", "update": ["v"]}});
    let caller = Principal::new("ann", "careful");
    for (confirm, written) in [([Action::Delete], true), ([Action::Update], false)] {
        let engine = replay::engine(&database, &confirm).await;
        let operations = json!({"operations": [{"operation": "insert", "table": "tag",
            "data": upsert["data"], "on_conflict": upsert["on_conflict"]}]});
        for (tool, arguments) in [("insert", &upsert), ("transaction", &operations)] {
            let reply = call_as(&engine, &caller, tool, arguments.clone()).await;
            let code = reply.map_err(|error| error.code()).map(drop);
            assert_eq!(code, if written { Ok(()) } else { Err(Code::Conflict) }, "{tool}");
        }
    }
}

/// What is only told to the server tells rows apart, too.
#[tokio::test]
async fn rows_are_known_by_a_key_that_the_role_does_not_see() {
    for again in [false, true] {
        let database = Database::of(
            "CREATE TABLE hidden (id serial PRIMARY KEY, v text, amount integer);
             INSERT INTO hidden (v, amount) VALUES ('x', 5), ('y', 5);",
        )
        .await;
        let mut role = Role::everywhere("careful", Action::ALL);
        role.confirm = Action::ALL.iter().copied().collect();
        role.grants[0].columns.exclude = vec!["id".into()];
        let mut settings = Settings { roles: vec![role], ..Settings::default() };
        settings.archive.allow_hard_delete = true;
        let engine = database.engine_with(settings).await;
        for (tool, arguments) in [
            ("update", json!({"table": "hidden", "where": {"v": "x"}, "updates": {"amount": 6}})),
            ("delete", json!({"table": "hidden", "where": {"v": "x"}})),
        ] {
            let question = asked(&engine, tool, &arguments, None).await;
            let (_, agreed) = question.expect("a question");
            if again {
                database.sql("UPDATE hidden SET v = CASE v WHEN 'x' THEN 'y' ELSE 'x' END").await;
            }
            let asked = asked(&engine, tool, &arguments, Some(&agreed)).await;
            assert_eq!(asked.is_some(), again, "{arguments}");
        }
    }
}
