//! The run that the user agreed to does the same as the one that led to the question.

use ElicitationAction::{Accept, Decline};
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Code, Engine, Origin, Principal, Settings};
use mcp_pg_tests::{Database, call_as, object};
use rmcp::model::ElicitationAction;
use serde_json::{Value, json};

use super::same_rows::asked;
use super::{Asking, User, config};
use crate::program::ERAS;

/// A trigger that takes a new number in each run, whatever is given: first 21, then 22.
pub(super) const ANEW: &str = "ALTER SEQUENCE tick_n_seq RESTART 20; CREATE FUNCTION anew() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN new.n := nextval('tick_n_seq'); RETURN new; END $$;
    CREATE TRIGGER anew BEFORE INSERT ON tick FOR EACH ROW EXECUTE FUNCTION anew();";

/// An engine whose role must confirm these actions.
pub(super) async fn engine(database: &Database, confirm: &[Action]) -> Engine {
    let mut role = Role::everywhere("careful", Action::ALL);
    role.confirm = confirm.iter().copied().collect();
    let mut settings = Settings { roles: vec![role], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    database.engine_with(settings).await
}

/// The rows of all tables.
async fn contents(database: &Database) -> Vec<String> {
    let tables =
        "SELECT string_agg(oid::regclass::text, ' ' ORDER BY oid::regclass::text) FROM pg_class
        WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace";
    let tables = database.value(tables).await.unwrap();
    let mut all = Vec::new();
    for table in tables.split(' ') {
        let rows = format!("SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM {table} AS t");
        all.push(format!("{table} {}", database.value(&rows).await.unwrap_or_default()));
    }
    all
}

/// The answer to the first question must not be one to the second.
pub(super) async fn is_asked_again(sql: &str, operations: &Value) {
    let database = Database::of(sql).await;
    let engine = engine(&database, &Action::ALL).await;
    let (_, agreed) = asked(&engine, "transaction", operations, None).await.expect("a question");
    let before = contents(&database).await;
    let again = asked(&engine, "transaction", operations, Some(&agreed)).await;
    assert!(again.is_some(), "{operations}: done to another row");
    assert_eq!(contents(&database).await, before);
}

/// With the answer, the rows must become those that they become at once in a copy of the database, where nobody is
/// asked.
pub(super) async fn is_done_as_asked(sql: &str, operations: &Value) {
    let (database, copy) = (Database::of(sql).await, Database::of(sql).await);
    let careful = engine(&database, &[Action::Update, Action::Delete]).await;
    let question = asked(&careful, "transaction", operations, None).await;
    let (_, agreed) = question.unwrap_or_else(|| panic!("{operations}: no question"));
    let again = asked(&careful, "transaction", operations, Some(&agreed)).await;
    assert!(again.is_none(), "{operations}: asked again: {again:?}");
    let caller = Principal::new("ann", "careful");
    let done = call_as(&engine(&copy, &[]).await, &caller, "transaction", operations.clone()).await;
    done.unwrap_or_else(|error| panic!("{operations}: {error}"));
    assert_eq!(contents(&database).await, contents(&copy).await, "{operations}");
}

/// Keys that are generated from other columns, that a trigger sets, or that follow rows of the same table.
#[tokio::test]
async fn the_transactions_of_attackers_do_what_was_asked() {
    let tick = "CREATE TABLE tick (id serial PRIMARY KEY, n serial); ALTER SEQUENCE tick_n_seq RESTART 21;";
    let new = json!({"operation": "insert", "as": "t", "table": "tick", "data": {}});
    let key = json!({"$ref": "t.n"});
    let columns = "(a integer, alt integer, code text, v text, id integer";
    let generated =
        format!("CREATE TABLE ga {columns} GENERATED ALWAYS AS (a) STORED PRIMARY KEY);");
    let filled = format!(
        "CREATE TABLE ga {columns} PRIMARY KEY);
         CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.id := new.a; RETURN new; END $$;
         CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON ga FOR EACH ROW EXECUTE FUNCTION fill();"
    );
    let shifted = json!({"operations": [
        new,
        {"operation": "insert", "table": "ga", "data": {"a": key, "alt": 21, "code": "dd"}},
        {"operation": "update", "table": "ga", "where": {"code": "E"}, "updates": {"v": "z"}},
        {"operation": "update", "table": "ga", "where": {"code": {"in": ["dd", "E"]}},
            "updates": {"a": {"$column": "alt"}}, "max_rows": 2},
        {"operation": "delete", "table": "ga", "where": {"id": key}},
    ]});
    for table in [generated, filled] {
        let sql = format!("{tick}{table} INSERT INTO ga (a, alt, code) VALUES (50, 22, 'E');");
        is_asked_again(&format!("{sql}{ANEW}"), &shifted).await;
        is_done_as_asked(&sql, &shifted).await;
    }
    let follows = format!(
        "{tick} CREATE TABLE nd (code text UNIQUE, num integer UNIQUE, pa text REFERENCES nd (code) ON UPDATE CASCADE,
             pb integer REFERENCES nd (num) ON UPDATE CASCADE, PRIMARY KEY (pa, pb));
         INSERT INTO nd VALUES ('Z', 1, 'Z', 1), ('A', 2, 'Z', 2), ('n21', 21, 'Z', 21), ('n22', 22, 'Z', 22),
             ('n30', 30, 'Z', 30), ('E', 500, 'A', 30);"
    );
    let cascade = json!({"operations": [
        new,
        {"operation": "insert", "table": "nd", "data": {"pa": "A", "pb": key, "code": "dd", "num": 9999}},
        {"operation": "update", "table": "nd", "where": {"code": "n22"}, "updates": {"num": 40}},
        {"operation": "update", "table": "nd", "where": {"code": "n30"}, "updates": {"num": 22}},
        {"operation": "delete", "table": "nd", "where": {"pa": "A", "pb": key}},
    ]});
    is_asked_again(&format!("{follows}{ANEW}"), &cascade).await;
    is_done_as_asked(&follows, &cascade).await;
}

/// Which row gets which of the new keys depends on values that others may exchange.
#[tokio::test]
async fn rows_that_get_each_others_keys_are_asked_about_again() {
    let sql = "CREATE TABLE acct (id integer PRIMARY KEY, code text UNIQUE, v integer);
         INSERT INTO acct VALUES (1, 'a', 101), (2, 'b', 102);
         CREATE VIEW shown AS SELECT * FROM acct; CREATE VIEW part AS SELECT code, v, id FROM acct;
         CREATE TABLE kin (id integer PRIMARY KEY, num integer UNIQUE, v integer, of integer REFERENCES kin (num) ON UPDATE CASCADE);
         INSERT INTO kin VALUES (1, 1, 101, 1), (2, 2, 102, 2);
         CREATE TABLE solo (id integer PRIMARY KEY, v integer); INSERT INTO solo VALUES (1, 101), (2, 102);
         CREATE TABLE child (kin integer PRIMARY KEY REFERENCES kin (num) ON UPDATE CASCADE, v text);
         INSERT INTO child VALUES (1, 'one'), (2, 'two');";
    let taken = json!({"$column": "v"});
    let several = |table: &str, column: &str| json!({"operation": "update", "table": table, "where": {"id": {"lte": 2}}, "updates": {column: taken}, "max_rows": 2});
    let each = json!({"operation": "update", "table": "kin",
        "updates": [{"id": 1, "num": taken}, {"id": 2, "num": taken}]});
    let exchanged = |table: &str| format!("UPDATE {table} SET v = 203 - v");
    let gone = |table: &str, column: &str| json!({"operation": "delete", "table": table, "where": {column: 101}});
    let over = json!({"operation": "insert", "table": "acct", "data": [{"code": "a", "id": 101}, {"code": "b", "id": 102}],
        "on_conflict": {"columns": ["code"], "do": "update", "update": ["id"]}});
    let codes = "UPDATE acct SET code = 'x' WHERE id = 1; UPDATE acct SET code = 'a' WHERE id = 2;
         UPDATE acct SET code = 'b' WHERE id = 1";
    for (change, last, meanwhile) in [
        (several("solo", "id"), gone("solo", "id"), exchanged("solo")),
        (several("acct", "id"), gone("acct", "id"), exchanged("acct")),
        (several("shown", "id"), gone("acct", "id"), exchanged("acct")),
        (several("part", "id"), gone("acct", "id"), exchanged("acct")),
        (each, gone("child", "kin"), exchanged("kin")),
        (several("kin", "num"), gone("child", "kin"), exchanged("kin")),
        (over, gone("acct", "id"), codes.to_owned()),
    ] {
        let operations = json!({"operations": [change, last]});
        is_done_as_asked(sql, &operations).await;
        let database = Database::of(sql).await;
        let engine = engine(&database, &[Action::Delete]).await;
        let (_, agreed) =
            asked(&engine, "transaction", &operations, None).await.expect("a question");
        database.sql(&meanwhile).await;
        let again = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        let (_, agreed) = again.unwrap_or_else(|| panic!("{operations}: done to another row"));
        assert!(asked(&engine, "transaction", &operations, Some(&agreed)).await.is_none());
    }
}

const KEYS: &str = "CREATE TABLE numbered (id serial PRIMARY KEY, v text);
    CREATE TABLE always (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text);
    CREATE TABLE mostly (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, v text);
    CREATE TABLE random (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), other uuid DEFAULT gen_random_uuid(), v text);
    CREATE TABLE composite (of integer DEFAULT 7, id serial, v text, PRIMARY KEY (of, id));
    CREATE TABLE filled (id integer PRIMARY KEY, v text);
    CREATE SEQUENCE filling;
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.id IS NULL THEN new.id := nextval('filling'); END IF; RETURN new; END $$;
    CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill();
    CREATE TABLE beside (id serial, code text UNIQUE DEFAULT 'c' || (random() * 1000000)::integer, v text);
    CREATE TABLE invoice (id text PRIMARY KEY DEFAULT 'INV-' || nextval('filling'), v text);
    CREATE TABLE acted (id text PRIMARY KEY DEFAULT random() || '-' || pg_current_xact_id()::text, v text);
    CREATE TABLE moment (id timestamptz PRIMARY KEY DEFAULT clock_timestamp(), v text);
    CREATE TABLE split (id serial, v text, PRIMARY KEY (id)) PARTITION BY RANGE (id);
    CREATE TABLE rest PARTITION OF split DEFAULT;
    CREATE VIEW shown AS SELECT id, v FROM always; CREATE VIEW told AS SELECT id, other, v FROM random;";

/// The user agrees to one insert, or to a transaction that goes on with the new rows.
#[tokio::test]
async fn new_rows_get_what_the_database_generated_before() {
    let database = Database::of(KEYS).await;
    let engine = engine(&database, &[Action::Insert, Action::Delete]).await;
    for table in [
        "numbered",
        "always",
        "mostly",
        "random",
        "composite",
        "filled",
        "beside",
        "invoice",
        "acted",
        "moment",
        "split",
        "shown",
        "told",
    ] {
        let data = json!([{"v": "a"}, {"v": "b"}]);
        let alone = json!({"table": table, "data": data});
        let new = json!({"operation": "insert", "as": "t", "table": table, "data": data});
        let id = json!({"id": {"$ref": "t.1.id"}});
        let operations = json!({"operations": [
            new,
            {"operation": "update", "table": table, "where": id, "updates": {"v": "c"}},
            {"operation": "delete", "table": table, "where": {"id": {"in": [{"$ref": "t.0.id"}]}}},
        ]});
        // What a trigger makes, what lies beneath a view, or what tells about the transaction is made anew.
        let anew = ["filled", "acted", "shown", "told"].contains(&table);
        for (tool, arguments) in [("insert", alone), ("transaction", operations)] {
            let (_, agreed) = asked(&engine, tool, &arguments, None).await.expect("a question");
            let again = asked(&engine, tool, &arguments, Some(&agreed)).await;
            let goes_on = tool == "transaction";
            assert_eq!(again.is_some(), anew && goes_on, "{arguments}: {again:?}");
            if anew {
                continue;
            }
            let rows = format!("SELECT string_agg(id::text, ' ') FROM {table} WHERE v <> ''");
            let ids = database.value(&rows).await.expect("new rows");
            if table != "moment" {
                let has = |id: &str| agreed.plan.contains(&format!("\"{id}\""));
                assert!(ids.split(' ').all(has), "{ids} in {}", agreed.plan);
            }
            database.sql(&format!("UPDATE {table} SET v = ''")).await;
        }
    }
    // The sequences went on once for each question.
    for sequence in ["numbered_id_seq", "mostly_id_seq", "composite_id_seq"] {
        let last = database.value(&format!("SELECT last_value::text FROM {sequence}")).await;
        assert_eq!(last.as_deref(), Some("4"), "{sequence}");
    }
}

/// A counter in a table goes on only if what makes the number runs in the run that is kept.
#[tokio::test]
async fn what_functions_and_triggers_make_is_made_in_the_run_that_is_kept() {
    let database = Database::of(
        "CREATE TABLE counter (k text PRIMARY KEY, n integer); INSERT INTO counter VALUES ('a', 0), ('b', 0);
         CREATE FUNCTION next_of(name text) RETURNS integer LANGUAGE sql AS
             'UPDATE counter SET n = n + 1 WHERE k = name RETURNING n';
         CREATE TABLE bill (no integer PRIMARY KEY DEFAULT next_of('a'), v text);
         CREATE TABLE note (no integer PRIMARY KEY, state text, v text);
         CREATE FUNCTION number() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF new.no IS NULL THEN new.no := next_of('b'); new.state := 'auto'; END IF; RETURN new; END $$;
         CREATE TRIGGER number BEFORE INSERT ON note FOR EACH ROW EXECUTE FUNCTION number();",
    )
    .await;
    let engine = engine(&database, &[Action::Insert]).await;
    for table in ["bill", "note", "bill", "note"] {
        let arguments = json!({"table": table, "data": {"v": "x"}});
        let (_, agreed) = asked(&engine, "insert", &arguments, None).await.expect("a question");
        assert!(asked(&engine, "insert", &arguments, Some(&agreed)).await.is_none());
    }
    let rows = "SELECT concat((SELECT string_agg(no::text, ',' ORDER BY no) FROM bill), ' ',
        (SELECT string_agg(no || state, ',' ORDER BY no) FROM note), ' ', (SELECT string_agg(n::text, ',') FROM counter))";
    assert_eq!(database.value(rows).await.unwrap(), "1,2 1auto,2auto 2,2");
}

/// Rows that are added, lead to others, and are met again.
#[tokio::test]
async fn transactions_that_go_on_with_new_rows_are_agreed_to_once() {
    let sql = "CREATE TABLE post (id serial PRIMARY KEY, slug text UNIQUE, v integer);
         CREATE TABLE line (post_id integer REFERENCES post ON UPDATE CASCADE, of serial, v text, PRIMARY KEY (post_id, of));
         INSERT INTO post (slug, v) VALUES ('old', 70), ('older', 80);";
    let post = json!({"operation": "insert", "as": "p", "table": "post", "data": {"slug": "new", "v": 60}});
    let lines = json!({"operation": "insert", "as": "l", "table": "line",
        "data": [{"post_id": {"$ref": "p.id"}}, {"post_id": {"$ref": "p.id"}, "of": 9}]});
    let mixed = json!({"operation": "insert", "as": "p", "table": "post",
        "data": [{"slug": "old", "v": 7}, {"slug": "new", "v": 8}, {"slug": "older", "v": 9}],
        "on_conflict": {"columns": ["slug"], "do": "update", "update": ["v"]}});
    let new = json!({"operation": "update", "table": "post", "where": {"id": {"$ref": "p.1.id"}}, "updates": {"v": 5}});
    let moved = json!({"operation": "update", "table": "post", "where": {"slug": {"not_in": ["x"]}},
        "updates": {"id": {"$compute": {"add": ["id", 100]}}}, "max_rows": 9});
    let gone = json!({"operation": "delete", "table": "line", "where": {"post_id": {"gt": 100}}, "max_rows": 9});
    let anew = json!({"operation": "update", "as": "u", "table": "post", "where": {"slug": "old"}, "updates": {"id": {"$default": true}}});
    let after = json!({"operation": "delete", "table": "post", "where": {"id": {"$ref": "u.id"}}});
    let counted = json!({"operation": "aggregate", "as": "m", "table": "post", "measures": {"last": {"max": "id"}}});
    let last = json!({"operation": "delete", "table": "post", "where": {"id": {"$ref": "m.last"}}});
    for operations in [
        json!([post, lines, moved, gone]),
        json!([post, lines, {"operation": "delete", "table": "line", "where": {"of": {"$ref": "l.0.of"}}}]),
        json!([mixed, new]),
        json!([mixed, moved]),
        json!([anew, after]),
        json!([post, counted, last]),
    ] {
        is_done_as_asked(sql, &json!({"operations": operations})).await;
    }
}

/// A row that was new must be new: what exists by then is neither overwritten nor deleted.
#[tokio::test]
async fn a_generated_key_that_exists_by_then_is_refused() {
    let sql = "CREATE TABLE post (id serial PRIMARY KEY, slug text UNIQUE, v text); ALTER SEQUENCE post_id_seq RESTART 21;";
    let data = json!({"slug": "new"});
    let new = json!({"operation": "insert", "as": "p", "table": "post", "data": data});
    let upsert = json!({"operation": "insert", "as": "p", "table": "post", "data": data,
        "on_conflict": {"columns": ["slug"], "do": "update", "update": ["slug"]}});
    let skipped = json!({"operation": "insert", "as": "p", "table": "post", "data": data, "on_conflict": {"do": "nothing"}});
    let gone = json!({"operation": "delete", "table": "post", "where": {"id": 21}});
    for (first, code) in [
        (new, Code::UniqueViolation),
        (upsert, Code::UniqueViolation),
        // Skipped, it is not what was asked about.
        (skipped, Code::Forbidden),
    ] {
        let database = Database::of(sql).await;
        let engine = engine(&database, &[Action::Insert, Action::Delete]).await;
        let operations = json!({"operations": [first, gone]});
        let (_, agreed) =
            asked(&engine, "transaction", &operations, None).await.expect("a question");
        database.sql("INSERT INTO post VALUES (21, 'PRECIOUS')").await;
        let caller = Principal::new("ann", "careful");
        let arguments = object(operations.clone());
        let refused = engine
            .call_agreed(&caller, &Origin::default(), "transaction", arguments, Some(&agreed))
            .await;
        let refused = refused.expect_err("refused");
        assert_eq!(refused.code(), code, "{operations}");
        assert_eq!(contents(&database).await, ["post (21,PRECIOUS,)"], "{operations}");
        if code == Code::UniqueViolation {
            assert!(refused.message().ends_with("rows came in between"), "{refused}");
            let at = (refused.is_retryable(), refused.get_at());
            assert_eq!(at, (true, Some("/operations/0")), "{refused}");
            let (_, agreed) =
                asked(&engine, "transaction", &operations, None).await.expect("a question");
            assert!(agreed.plan.contains("\"22\""), "{}", agreed.plan);
        }
    }
}

/// Neither too many values nor those that the login may not give are given again; then no key is agreed to.
#[tokio::test]
async fn what_cannot_be_given_again_is_not() {
    let sql = "DO $$ BEGIN CREATE ROLE replay_app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE post (id serial PRIMARY KEY, v text); CREATE TABLE log (id serial PRIMARY KEY, v text);
         GRANT SELECT, UPDATE, DELETE, INSERT (v) ON post TO replay_app; GRANT SELECT, INSERT, DELETE ON log TO replay_app;
         GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO replay_app; INSERT INTO log (v) VALUES ('old');";
    let database = Database::of(sql).await;
    let mut role = Role::everywhere("careful", Action::ALL);
    role.confirm = Action::ALL.iter().copied().collect();
    role.database_role = Some("replay_app".into());
    let mut settings = Settings { roles: vec![role], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let new = json!({"operation": "insert", "as": "p", "table": "post", "data": {"v": "new"}});
    let gone = json!({"operation": "delete", "table": "post", "where": {"id": {"$ref": "p.id"}}});
    let other = json!({"operation": "delete", "table": "log", "where": {"v": "old"}});
    let rows = |number: usize| json!({"table": "post", "data": vec![json!({"v": "x"}); number]});
    for (tool, arguments, again) in [
        ("insert", json!({"table": "post", "data": {"v": "new"}}), false),
        ("transaction", json!({"operations": [new, gone]}), true),
        // Nothing that follows depends on the key.
        ("transaction", json!({"operations": [new, other]}), false),
        ("insert", rows(1001), false),
    ] {
        let (_, agreed) = asked(&engine, tool, &arguments, None).await.expect("a question");
        assert!(!agreed.plan.contains(' '), "{}", agreed.plan);
        let asked = asked(&engine, tool, &arguments, Some(&agreed)).await;
        assert_eq!(asked.is_some(), again, "{arguments}");
    }
    let kept = |rows: usize| json!({"table": "log", "data": vec![json!({"v": "x"}); rows]});
    for (rows, again) in [(1000, true), (1001, false)] {
        let (_, agreed) = asked(&engine, "insert", &kept(rows), None).await.expect("a question");
        assert_eq!(agreed.plan.contains(' '), again, "{rows} rows");
        assert!(agreed.plan.len() < 17_000, "{}", agreed.plan.len());
        assert!(asked(&engine, "insert", &kept(rows), Some(&agreed)).await.is_none());
    }
}

/// What was generated for one request is not given to another.
#[tokio::test]
async fn what_was_generated_is_for_one_request() {
    let database = Database::of(KEYS).await;
    let engine = engine(&database, &[Action::Insert]).await;
    let insert = |v: &str| json!({"table": "numbered", "data": {"v": v}});
    let (_, first) = asked(&engine, "insert", &insert("a"), None).await.expect("a question");
    let (_, second) =
        asked(&engine, "insert", &insert("b"), Some(&first)).await.expect("a question");
    assert!(second.plan.ends_with("[{\"id\":[\"2\"]}]"), "{}", second.plan);
    let mut forged = second.clone();
    forged.plan = forged.plan.replace("\"2\"", "\"77\"");
    assert!(asked(&engine, "insert", &insert("b"), Some(&forged)).await.is_none());
    assert!(contents(&database).await.contains(&"numbered (3,b)".to_owned()));
}

/// An attempt that PostgreSQL has repeated takes the same values again.
#[tokio::test]
async fn an_attempt_that_is_repeated_takes_the_same_values() {
    let sql = "CREATE TABLE post (id serial PRIMARY KEY, v text); CREATE SEQUENCE tries;
         CREATE FUNCTION collide() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('tries') % 2 = 0 THEN RAISE EXCEPTION 'collided' USING ERRCODE = '40001'; END IF;
             RETURN new; END $$;
         CREATE TRIGGER collide BEFORE INSERT ON post FOR EACH ROW EXECUTE FUNCTION collide();";
    let database = Database::of(sql).await;
    let engine = engine(&database, &[Action::Insert, Action::Delete]).await;
    let new = json!({"operation": "insert", "as": "p", "table": "post", "data": {"v": "new"}});
    let gone = json!({"operation": "update", "table": "post", "where": {"id": {"$ref": "p.id"}}, "updates": {"v": "b"}});
    let operations = json!({"operations": [new, gone]});
    let (_, agreed) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    assert!(asked(&engine, "transaction", &operations, Some(&agreed)).await.is_none());
    assert_eq!(contents(&database).await, ["post (1,b)"]);
    assert_eq!(database.value("SELECT last_value::text FROM tries").await.as_deref(), Some("3"));
}

#[tokio::test]
async fn what_was_generated_comes_back_with_the_answer() {
    for era in ERAS {
        let sql = "CREATE TABLE post (id serial PRIMARY KEY, v text); CREATE TABLE line (id integer PRIMARY KEY);
             INSERT INTO line SELECT generate_series(1, 9);";
        let database = Database::of(sql).await;
        let (config, _) = config(&database);
        let user = User::will([Accept, Decline]);
        let session = Asking::open(&config, user.clone(), era).await;
        let new = json!({"operation": "insert", "as": "p", "table": "post", "data": {"v": "new"}});
        let gone =
            json!({"operation": "delete", "table": "line", "where": {"id": {"$ref": "p.id"}}});
        let done = session.call("transaction", json!({"operations": [new, gone]})).await;
        assert_eq!(done["committed"], true, "{era:?} {done}");
        assert_eq!(user.asked().len(), 1);
        let left = contents(&database).await;
        assert_eq!(left, ["line (2) (3) (4) (5) (6) (7) (8) (9)", "post (1,new)"], "{era:?}");
    }
}

/// A number that a trigger makes anew leads to no existing row if it is only stored in another new one.
#[tokio::test]
async fn a_new_key_that_is_only_stored_is_no_question() {
    let database = Database::of(
        "CREATE TABLE parent (id integer PRIMARY KEY, v text); CREATE SEQUENCE number;
         CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN new.id := nextval('number'); RETURN new; END $$;
         CREATE TRIGGER fill BEFORE INSERT ON parent FOR EACH ROW EXECUTE FUNCTION fill();
         CREATE TABLE child (parent integer REFERENCES parent);",
    )
    .await;
    let engine = engine(&database, &[Action::Insert, Action::Update]).await;
    let parent = json!({"operation": "insert", "as": "p", "table": "parent", "data": {"v": "a"}});
    let child =
        json!({"operation": "insert", "table": "child", "data": {"parent": {"$ref": "p.id"}}});
    let operations = json!({"operations": [parent, child]});
    let (_, agreed) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    assert!(asked(&engine, "transaction", &operations, Some(&agreed)).await.is_none());
    assert_eq!(database.value("SELECT parent::text FROM child").await.unwrap(), "2");
    let change = json!({"operation": "update", "table": "parent", "where": {"id": {"$ref": "p.id"}}, "updates": {"v": "b"}});
    let operations = json!({"operations": [parent, change]});
    let (_, agreed) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    assert!(asked(&engine, "transaction", &operations, Some(&agreed)).await.is_some());
}
