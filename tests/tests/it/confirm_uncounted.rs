//! Confirmations of writes whose rows PostgreSQL does not count.

use mcp_pg_tests::Database;
use rmcp::model::ElicitationAction;
use serde_json::json;

use crate::canned::directory;
use crate::confirm::{Asking, User};
use crate::program::{Era, file};

/// Triggers that do something else than what PostgreSQL counts: a row is marked instead of deleted, one is
/// changed elsewhere, one is put into another table.
const INSTEAD: &str = "
    CREATE TABLE paper (id integer PRIMARY KEY, text text, gone boolean NOT NULL DEFAULT false);
    INSERT INTO paper SELECT number, 'x' FROM generate_series(1, 3) AS number;
    CREATE TABLE inbox (id integer, text text);
    CREATE VIEW leaf AS SELECT id, text || '!' AS text FROM paper;
    CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF pg_trigger_depth() > 1 THEN RETURN coalesce(NEW, OLD); END IF;
      IF TG_OP = 'INSERT' THEN INSERT INTO inbox VALUES (NEW.id, NEW.text);
      ELSIF TG_OP = 'UPDATE' THEN INSERT INTO inbox VALUES (NEW.id, NEW.text);
      ELSE UPDATE paper SET gone = true WHERE id = OLD.id; END IF;
      RETURN NULL;
    END $$;
    CREATE TRIGGER instead BEFORE INSERT OR UPDATE OR DELETE ON paper FOR EACH ROW EXECUTE FUNCTION instead();
    CREATE TRIGGER instead INSTEAD OF DELETE ON leaf FOR EACH ROW EXECUTE FUNCTION instead();";

#[tokio::test]
async fn writes_that_triggers_do_instead_are_confirmed_too() {
    let database = Database::shop().await;
    database.sql(INSTEAD).await;
    let queries = directory([
        ("shred.sql", "-- @writes\nDELETE FROM paper WHERE id = :id"),
        ("file.sql", "-- @writes\nINSERT INTO paper VALUES (:id, 'x')"),
    ]);
    let config = file(&format!(
        "confirm = [\"insert\", \"update\", \"delete\"]\n[archive]\nallow_hard_delete = true\n\
         [queries]\ndirectory = {queries:?}\n[database]\nurl = {:?}\n",
        database.url
    ));
    let user = User::default();
    let session = Asking::open(config.to_str().unwrap(), user.clone(), Era::Initialize).await;
    let done = "SELECT (SELECT count(*) FROM paper WHERE gone) + (SELECT count(*) FROM inbox)";
    let done = format!("SELECT ({done})::text");
    let row = json!({"id": 1});
    let upsert = json!({"table": "paper", "data": {"id": 9, "text": "y"},
        "on_conflict": {"columns": ["id"], "do": "nothing"}});
    let writes = [
        ("delete", json!({"table": "paper", "where": row}), "delete 1 row of paper"),
        ("delete", json!({"table": "leaf", "where": row}), "delete 1 row of leaf"),
        (
            "update",
            json!({"table": "paper", "where": {"id": 2}, "updates": {"text": "y"}}),
            "update 1 row of paper",
        ),
        (
            "insert",
            json!({"table": "paper", "data": {"id": 9, "text": "y"}}),
            "insert 1 row of paper",
        ),
        ("insert", upsert, "insert 1 row of paper"),
        ("shred", json!({"id": 3}), "Allow this: shred?"),
        ("file", json!({"id": 8}), "Allow this: file?"),
    ];
    for (before, (tool, arguments, asked)) in writes.into_iter().enumerate() {
        let answers = [ElicitationAction::Decline, ElicitationAction::Accept];
        user.answers.lock().unwrap().extend(answers);
        let declined = session.call(tool, arguments.clone()).await;
        assert_eq!(declined["error"]["message"], "the user declined", "{asked} {declined}");
        // The second row that is deleted is the first one, again.
        let before = if before > 1 { before - 1 } else { before };
        assert_eq!(database.value(&done).await, Some(before.to_string()), "{asked}");
        session.call(tool, arguments).await;
        let questions = user.asked();
        assert_eq!(questions.len(), 2, "{asked}");
        assert!(questions.iter().all(|question| question.contains(asked)), "{questions:?}");
    }
    assert_eq!(database.value(&done).await.as_deref(), Some("6"));
    // What meets no row is no write.
    let nothing = json!({"table": "paper", "where": {"id": 77}});
    assert_eq!(session.call("delete", nothing).await["row_count"], 0);
    assert_eq!(session.call("shred", json!({"id": 77})).await["row_count"], 0);
    assert_eq!(user.asked(), [] as [&str; 0]);
}

/// What its functions do is neither counted nor, perhaps, undone.
#[tokio::test]
async fn a_query_that_begins_with_with_is_asked_about_before_it_runs() {
    let database = Database::shop().await;
    database
        .sql(
            "CREATE TABLE heap (id integer); INSERT INTO heap SELECT generate_series(1, 9);
              CREATE SEQUENCE runs;
              CREATE FUNCTION wipe() RETURNS bigint LANGUAGE plpgsql AS
              $$ BEGIN TRUNCATE heap; RETURN nextval('runs'); END $$;",
        )
        .await;
    let queries = directory([(
        "clean.sql",
        "-- @writes\n-- @confirm\nWITH run AS (SELECT wipe() AS run) SELECT run FROM run",
    )]);
    let config = file(&format!(
        "[queries]\ndirectory = {queries:?}\n[database]\nurl = {:?}\n",
        database.url
    ));
    let user = User::will([
        ElicitationAction::Decline,
        ElicitationAction::Decline,
        ElicitationAction::Accept,
    ]);
    let session = Asking::open(config.to_str().unwrap(), user.clone(), Era::Discover).await;
    let state = "SELECT (SELECT count(*) FROM heap) || ' ' || (SELECT is_called FROM runs)";
    for arguments in [json!({}), json!({"dry_run": true})] {
        let declined = session.call("clean", arguments).await;
        assert_eq!(declined["error"]["message"], "the user declined", "{declined}");
        assert_eq!(database.value(state).await.as_deref(), Some("9 false"));
    }
    assert_eq!(session.call("clean", json!({})).await["rows"], json!([{"run": 1}]));
    assert_eq!(database.value(state).await.as_deref(), Some("0 true"));
    assert_eq!(user.asked().len(), 3);
}
