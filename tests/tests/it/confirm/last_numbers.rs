//! Defaults and triggers that take a new row's number over by `currval` or `lastval`.

use mcp_pg_core::policy::Action;
use mcp_pg_core::{Code, Principal};
use mcp_pg_tests::{Database, call_as};
use serde_json::{Value, json};

use super::replay::engine;
use super::same_rows::asked;

/// Rows whose other columns are made of their keys, or of those of their parents.
const DEFAULTS: &str =
    "CREATE TABLE root (id serial PRIMARY KEY, root_id integer DEFAULT currval('root_id_seq'), v text);
     CREATE TABLE bill (id serial PRIMARY KEY, no text DEFAULT 'N-' || lastval(), v text);
     CREATE TABLE par (id serial PRIMARY KEY, v text);
     CREATE TABLE chi (id serial PRIMARY KEY, par_id integer NOT NULL DEFAULT currval('par_id_seq') REFERENCES par, v text);";

/// While the user thinks, another caller inserts, too.
async fn inserts(database: &Database, tool: &str, arguments: &Value) -> bool {
    let (careful, other) = (engine(database, &[Action::Insert]).await, engine(database, &[]).await);
    let caller = Principal::new("bob", "careful");
    let (_, agreed) = asked(&careful, tool, arguments, None).await.expect("a question");
    let mut theirs = arguments.clone();
    for name in ["data", "operations"] {
        if let Some(data) = theirs.get(name) {
            theirs[name] =
                serde_json::from_str(&data.to_string().replace("mine", "theirs")).unwrap();
        }
    }
    // In the session that the agreed run uses, too: it is the only one.
    for engine in [&other, &careful] {
        let _ = call_as(engine, &caller, tool, theirs.clone()).await;
    }
    asked(&careful, tool, arguments, Some(&agreed)).await.is_none()
}

#[tokio::test]
async fn new_rows_take_over_their_own_numbers() {
    let trigger = "CREATE TABLE aud (of integer);
         CREATE FUNCTION aud() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO aud VALUES (currval('root_id_seq')); RETURN new; END $$;
         CREATE TRIGGER aud AFTER INSERT ON root FOR EACH ROW EXECUTE FUNCTION aud();";
    let family = json!({"operations": [
        {"operation": "insert", "table": "par", "data": {"v": "mine"}},
        {"operation": "insert", "table": "chi", "data": {"v": "mine"}},
    ]});
    let one = |table: &str| json!({"table": table, "data": {"v": "mine"}});
    for code in ["", trigger] {
        for (tool, arguments, mixed) in [
            ("insert", one("root"), "root WHERE root_id <> id"),
            ("insert", one("bill"), "bill WHERE no <> 'N-' || id"),
            ("transaction", family.clone(), "par JOIN chi ON par.id = par_id WHERE par.v <> chi.v"),
        ] {
            let database = Database::of(&format!("{DEFAULTS}{code}")).await;
            assert!(inserts(&database, tool, &arguments).await, "{arguments}: asked again");
            let mixed = format!("SELECT count(*)::text FROM {mixed}");
            assert_eq!(database.value(&mixed).await.unwrap(), "0", "{arguments}");
        }
    }
    let database =
        Database::of(&format!("CREATE TABLE root (id serial PRIMARY KEY, v text); {trigger}"))
            .await;
    assert!(inserts(&database, "insert", &one("root")).await);
    let mixed =
        "SELECT count(*)::text FROM root FULL JOIN aud ON of = id WHERE id IS NULL OR of IS NULL";
    assert_eq!(database.value(mixed).await.unwrap(), "0");
}

/// A function in standard SQL has no text.
#[tokio::test]
async fn code_that_reads_last_numbers_is_found() {
    for body in [
        "LANGUAGE sql AS $$ SELECT currval('root_id_seq') $$",
        "LANGUAGE sql RETURN currval('root_id_seq')",
        "LANGUAGE sql STABLE BEGIN ATOMIC SELECT lastval(); END",
        "LANGUAGE sql AS $$ SELECT last_value FROM root_id_seq $$",
    ] {
        let database = Database::of(&format!(
            "CREATE TABLE root (id serial PRIMARY KEY, of integer, v text);
             CREATE FUNCTION latest() RETURNS bigint {body};
             CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN new.of := latest(); RETURN new; END $$;
             CREATE TRIGGER fill BEFORE INSERT ON root FOR EACH ROW EXECUTE FUNCTION fill();"
        ))
        .await;
        let arguments = json!({"table": "root", "data": {"v": "mine"}});
        assert!(inserts(&database, "insert", &arguments).await, "{body}: asked again");
        let mixed = "SELECT count(*)::text FROM root WHERE of <> id";
        assert_eq!(database.value(mixed).await.unwrap(), "0", "{body}");
    }
}

/// Also where nothing else changes the session.
#[tokio::test]
async fn the_last_number_of_a_sequence_is_read_in_other_ways() {
    let family = json!({"operations": [
        {"operation": "insert", "table": "par", "data": {"v": "mine"}},
        {"operation": "insert", "table": "chi", "data": {"v": "mine"}},
    ]});
    let of_function = "LANGUAGE sql STABLE AS $$ SELECT last_value::integer FROM par_id_seq $$";
    for (code, number) in [
        (format!("CREATE FUNCTION last_par() RETURNS integer {of_function};"), "last_par()"),
        (String::new(), "pg_sequence_last_value('par_id_seq')"),
    ] {
        let database = Database::of(&format!(
            "CREATE TABLE par (id serial PRIMARY KEY, v text); {code}
             CREATE TABLE chi (id serial PRIMARY KEY, par_id integer DEFAULT {number}, v text);"
        ))
        .await;
        assert!(inserts(&database, "transaction", &family).await, "{number}: asked again");
        let mixed =
            "SELECT count(*)::text FROM par JOIN chi ON par.id = par_id WHERE par.v <> chi.v";
        assert_eq!(database.value(mixed).await.unwrap(), "0", "{number}");
    }
}

/// The window function of that name reads no sequence.
#[tokio::test]
async fn a_window_function_is_no_last_number() {
    let database = Database::of(
        "CREATE TABLE par (id serial PRIMARY KEY, v text);
         CREATE FUNCTION report() RETURNS bigint LANGUAGE sql AS
             $$ SELECT last_value (id) OVER (ORDER BY id) FROM par $$;",
    )
    .await;
    let engine = engine(&database, &[Action::Insert, Action::Update]).await;
    let operations = json!({"operations": [
        {"operation": "insert", "as": "p", "table": "par", "data": {"v": "a"}},
        {"operation": "update", "table": "par", "where": {"id": {"$ref": "p.id"}}, "updates": {"v": "b"}},
    ]});
    let (_, agreed) = asked(&engine, "transaction", &operations, None).await.expect("a question");
    assert_eq!(asked(&engine, "transaction", &operations, Some(&agreed)).await, None);
}

/// What depends on such a number is asked about again; random keys are given again also there.
#[tokio::test]
async fn other_generated_keys_are_given_again_beside_them() {
    let database = Database::of(&format!(
        "{DEFAULTS} CREATE TABLE random (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), v text);"
    ))
    .await;
    let engine = engine(&database, &[Action::Insert, Action::Update]).await;
    for (table, again) in [("root", true), ("random", false)] {
        let operations = json!({"operations": [
            {"operation": "insert", "as": "t", "table": table, "data": {"v": "a"}},
            {"operation": "update", "table": table, "where": {"id": {"$ref": "t.id"}}, "updates": {"v": "b"}},
        ]});
        let question = asked(&engine, "transaction", &operations, None).await;
        let (_, agreed) = question.expect("a question");
        let asked = asked(&engine, "transaction", &operations, Some(&agreed)).await;
        assert_eq!(asked.is_some(), again, "{table}");
    }
}

/// The pool has no such number for whoever comes next.
#[tokio::test]
async fn nobody_takes_over_the_number_of_another_call() {
    let database = Database::of(DEFAULTS).await;
    let engine = engine(&database, &[]).await;
    let caller = Principal::new("bob", "careful");
    for table in ["par", "chi"] {
        let arguments = json!({"table": table, "data": {"v": "x"}});
        let inserted = call_as(&engine, &caller, "insert", arguments).await;
        let Err(error) = inserted else { continue };
        assert_eq!((table, error.code()), ("chi", Code::DatabaseError));
        assert!(
            error.get_hint().is_some_and(|hint| hint.contains("in one transaction")),
            "{error}"
        );
    }
    assert_eq!(database.value("SELECT count(*)::text FROM chi").await.unwrap(), "0");
}
