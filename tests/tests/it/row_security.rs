//! Writes under row-level security: everything that the policies allow is possible.

use mcp_pg_core::audit::FileSink;
use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error};
use serde_json::{Value, json};

/// PostgreSQL asks the policies for UPDATE, too, for rows that are locked.
#[tokio::test]
async fn the_policies_for_delete_decide_what_is_deleted() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE liker LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE liked (id integer PRIMARY KEY, person text, post integer);
         INSERT INTO liked SELECT n, CASE n % 3 WHEN 0 THEN 'ada' ELSE 'bob' END, n % 2 FROM generate_series(1, 12) n;
         CREATE TABLE held (id integer PRIMARY KEY); INSERT INTO held VALUES (1), (2);
         ALTER TABLE liked ENABLE ROW LEVEL SECURITY; ALTER TABLE held ENABLE ROW LEVEL SECURITY;
         CREATE POLICY all_are_seen ON liked FOR SELECT USING (true);
         CREATE POLICY own_go ON liked FOR DELETE USING (person = 'ada');
         CREATE POLICY all_are_seen ON held FOR SELECT USING (true);
         CREATE POLICY all_change ON held FOR UPDATE USING (true);
         CREATE POLICY none_goes ON held FOR DELETE USING (false);
         GRANT ALL ON liked, held TO liker;",
    )
    .await;
    let mut settings =
        Settings { roles: vec![Role::everywhere("liker", Action::ALL)], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let mut config = database.config.clone();
    config.user("liker");
    let engine = Engine::connect(config, settings).await.unwrap();
    let delete = async |mut arguments: Value, rest: Value| {
        let rest = rest.as_object().unwrap().clone();
        arguments.as_object_mut().unwrap().extend(rest);
        call_as(&engine, &Principal::new("x", "liker"), "delete", arguments).await
    };
    let refused = async |arguments: Value, rest: Value| {
        serde_json::to_value(delete(arguments, rest).await.unwrap_err()).unwrap()
    };

    // Of six rows of the post two are ada's.
    let post = json!({"table": "liked", "where": {"post": 0}});
    let many = refused(post.clone(), json!({})).await;
    assert_eq!((&many["code"], &many["row_count"]), (&json!("too_many_rows"), &json!(2)));
    let few = refused(post.clone(), json!({"max_rows": 4, "min_rows": 3})).await;
    assert_eq!((&few["code"], &few["at"]), (&json!("conflict"), &json!("/where")));
    let tried = delete(post.clone(), json!({"max_rows": 2, "dry_run": true})).await.unwrap();
    let ids: Vec<i64> =
        tried["before"].as_array().unwrap().iter().filter_map(|row| row["id"].as_i64()).collect();
    assert_eq!((ids, &tried["after"]), (vec![6, 12], &json!([])));
    let left = "SELECT count(*)::text FROM liked";
    assert_eq!(database.value(left).await.unwrap(), "12");

    let one = json!({"table": "liked", "where": {"id": 6}});
    let stale = refused(one.clone(), json!({"if_version": "1"})).await;
    assert_eq!((&stale["code"], &stale["current"]["person"]), (&json!("conflict"), &json!("ada")));
    let version = json!({"if_version": stale["current"]["_version"]});
    assert_eq!(delete(one.clone(), version.clone()).await.unwrap()["row_count"], 1);
    assert_eq!(refused(one.clone(), version).await["code"], "conflict");
    let gone = delete(post, json!({"returning": ["id", "person"]})).await.unwrap();
    assert_eq!(gone["rows"], json!([{"id": 12, "person": "ada"}]));
    assert_eq!(database.value(left).await.unwrap(), "10");

    // What may be changed may not be deleted for that.
    for (table, id) in [("liked", 4), ("held", 1)] {
        let none = json!({"table": table, "where": {"id": id}});
        let none = delete(none, json!({})).await.unwrap();
        assert_eq!(none["row_count"], 0);
        assert!(none["notes"].to_string().contains("row-level security"), "{none}");
    }
    assert_eq!(database.value("SELECT count(*)::text FROM held").await.unwrap(), "2");
}

/// What may be added and not be seen: contact forms, events.
#[tokio::test]
async fn rows_that_row_level_security_does_not_show_are_added_where_none_is_returned() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE visitor LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE feedback (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message text);
         ALTER TABLE feedback ENABLE ROW LEVEL SECURITY;
         CREATE POLICY all_add ON feedback FOR INSERT WITH CHECK (message <> 'spam');
         CREATE TABLE posted (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message text);
         ALTER TABLE posted ENABLE ROW LEVEL SECURITY; CREATE POLICY everything ON posted USING (true);
         GRANT SELECT, INSERT ON feedback, posted TO visitor;",
    )
    .await;
    let settings =
        Settings { roles: vec![Role::everywhere("visitor", Action::ALL)], ..Settings::default() };
    let mut config = database.config.clone();
    config.user("visitor");
    // With the rows as they are in its records, where they may be read.
    let audit = std::env::temp_dir().join(format!("added-unseen-{}.jsonl", std::process::id()));
    let sink = std::sync::Arc::new(FileSink::open(&audit).unwrap());
    let engine = Engine::connect(config, settings).await.unwrap().audited(sink);
    let mut row = json!({"table": "feedback", "data": [{"message": "a"}, {"message": "b"}]});
    let told = error(&engine, "visitor", "insert", row.clone()).await;
    assert_eq!(told["code"], "forbidden");
    assert!(told["hint"].as_str().unwrap().contains("\"returning\": []"), "{told}");
    row["returning"] = json!([]);
    let added = call(&engine, "visitor", "insert", row.clone()).await.unwrap();
    assert_eq!(added["row_count"], 2);
    row["data"] = json!({"message": "spam"});
    assert_eq!(error(&engine, "visitor", "insert", row).await["code"], "forbidden");
    assert_eq!(database.value("SELECT count(*)::text FROM feedback").await.unwrap(), "2");
    // What may be seen is in the record, whatever is returned.
    let seen =
        json!({"table": "posted", "data": [{"message": "a"}, {"message": "b"}], "returning": []});
    assert_eq!(call(&engine, "visitor", "insert", seen).await.unwrap()["row_count"], 2);
    assert_eq!(database.value("SELECT count(*)::text FROM posted").await.unwrap(), "2");
    engine.flush().await.unwrap();
    let records = std::fs::read_to_string(&audit).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    let ids: Vec<&Value> = last["after"].as_array().unwrap().iter().map(|row| &row["id"]).collect();
    assert_eq!(ids, [&json!(1), &json!(2)], "{last}");
    std::fs::remove_file(audit).unwrap();
}

/// Rows are added without their images only where row-level security hides one that the same statement adds.
#[tokio::test]
async fn images_of_added_rows_are_only_missing_if_policies_hide_the_rows() {
    let database = Database::of(
        "DO $$ BEGIN CREATE ROLE sender LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
         CREATE TABLE sent (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, own boolean,
           a integer, b integer, c integer, d integer, e integer, f integer, g integer);
         ALTER TABLE sent ENABLE ROW LEVEL SECURITY;
         CREATE POLICY adds ON sent FOR INSERT WITH CHECK (true);
         CREATE POLICY own ON sent FOR SELECT USING (own);
         CREATE TABLE stumbling (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, message text);
         ALTER TABLE stumbling ENABLE ROW LEVEL SECURITY; CREATE POLICY everything ON stumbling USING (true);
         CREATE SEQUENCE attempts;
         CREATE FUNCTION stumble() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
         BEGIN IF nextval('attempts') = 1 THEN RAISE 'not at once'; END IF; RETURN NEW; END $$;
         CREATE TRIGGER stumble BEFORE INSERT ON stumbling FOR EACH ROW EXECUTE FUNCTION stumble();
         GRANT SELECT, INSERT ON sent, stumbling TO sender;",
    )
    .await;
    let settings =
        Settings { roles: vec![Role::everywhere("sender", Action::ALL)], ..Settings::default() };
    let mut config = database.config.clone();
    config.user("sender");
    let audit = std::env::temp_dir().join(format!("sent-unseen-{}.jsonl", std::process::id()));
    let sink = std::sync::Arc::new(FileSink::open(&audit).unwrap());
    let engine = Engine::connect(config, settings).await.unwrap().audited(sink);
    let stumbling = json!({"table": "stumbling", "data": {"message": "a"}, "returning": []});
    error(&engine, "sender", "insert", stumbling).await;
    assert_eq!(database.value("SELECT count(*)::text FROM stumbling").await.unwrap(), "0");

    // The first of two statements adds a row that is hidden.
    let row =
        |n: usize| json!({"own": n > 0, "a": n, "b": n, "c": n, "d": n, "e": n, "f": n, "g": n});
    let many: Vec<Value> = (0..4_001).map(row).collect();
    let many = json!({"table": "sent", "data": many, "returning": []});
    assert_eq!(call(&engine, "sender", "insert", many).await.unwrap()["row_count"], 4_001);
    engine.flush().await.unwrap();
    let records = std::fs::read_to_string(&audit).unwrap();
    let last: Value = serde_json::from_str(records.lines().last().unwrap()).unwrap();
    let after = last["after"].as_array().unwrap();
    assert_eq!((after.len(), &after[0], &after[4_000]["a"]), (4_001, &json!({}), &json!(4_000)));
    std::fs::remove_file(audit).unwrap();
}
