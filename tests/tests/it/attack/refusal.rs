//! What PostgreSQL quotes when it refuses: a value of the caller's, never one of a row.

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, names, object};
use serde_json::json;

use super::answer;

/// A role that reads and updates all columns but these.
fn agent(hidden: &[&str]) -> Role {
    let mut role = Role::everywhere("agent", [Action::Select, Action::Update]);
    role.grants[0].columns.exclude = names(hidden);
    role
}

#[tokio::test]
async fn a_failed_cast_quotes_no_row() {
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, tenant integer, name text, pin text, raw text);
         INSERT INTO entry VALUES (1, 1, 'mine', 'SECRET-pin', '12'), (2, 2, 'SECRET-name', 'x', 'SECRET-raw');
         CREATE VIEW counted AS SELECT id, tenant, raw::integer AS count FROM entry;
         CREATE FUNCTION pinned() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM OLD.pin::integer; RETURN NEW; END $$;
         CREATE TRIGGER pinned BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION pinned();",
    )
    .await;
    let mut role = agent(&["pin", "raw"]);
    role.grants[0].rows = Some(object(json!({"tenant": {"gte": 1}, "name": {"ne": "x"}})));
    let mut view = role.clone();
    view.grants[0].rows = None;
    view.name = "reader".into();
    let settings = Settings { roles: vec![role, view], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for (role, tool, arguments) in [
        ("reader", "select", json!({"table": "counted"})),
        ("reader", "select", json!({"table": "counted", "where": {"count": 12}})),
        (
            "reader",
            "select",
            json!({"table": "counted", "where": {"count": {"gt": 1}, "id": {"lt": 9}}}),
        ),
        ("reader", "select", json!({"table": "counted", "order_by": ["count"], "columns": ["id"]})),
        ("reader", "aggregate", json!({"table": "counted", "measures": {"n": {"sum": "count"}}})),
        (
            "agent",
            "update",
            json!({"table": "entry", "where": {"id": 1}, "updates": {"name": "y"}}),
        ),
        (
            "reader",
            "transaction",
            json!({"operations": [{"operation": "select", "table": "counted"}]}),
        ),
    ] {
        let caller = Principal::new("mallory", role);
        let told = answer(&engine, &caller, tool, arguments.clone()).await;
        assert!(told.contains("\"code\":\"invalid_value\""), "{tool} {arguments}: {told}");
        assert!(!told.contains("SECRET"), "{tool} {arguments}: {told}");
    }
}

/// The only value of a statement may be one of the role's own condition.
#[tokio::test]
async fn the_place_of_an_error_is_none_of_the_roles_condition() {
    let database = Database::of(
        "CREATE TABLE team (id integer PRIMARY KEY, plan text);
         CREATE TABLE entry (id integer PRIMARY KEY, team_id integer REFERENCES team, name text);
         INSERT INTO team VALUES (1, 'basic');
         INSERT INTO entry VALUES (1, 1, 'x');
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN RAISE numeric_value_out_of_range; END $$;
         CREATE TRIGGER refuse BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION refuse();",
    )
    .await;
    let mut role = Role::everywhere("agent", [Action::Select, Action::Update]);
    role.grants[0].tables = vec!["public.entry".into()];
    role.grants[0].rows = Some(object(json!({"team": {"plan": "basic"}})));
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let caller = Principal::new("mallory", "agent");
    let update =
        json!({"table": "entry", "where": {"id": {"is_null": false}}, "updates": {"name": null}});
    let told = answer(&engine, &caller, "update", update).await;
    assert!(told.contains("\"code\":\"invalid_value\""), "{told}");
    assert!(!told.contains("team") && !told.contains("plan"), "{told}");
}

#[tokio::test]
async fn a_number_that_a_trigger_reads_is_not_told_where_another_is_added() {
    let database = Database::of(
        "CREATE TABLE entry (id integer PRIMARY KEY, k integer, pin text);
         INSERT INTO entry VALUES (1, 1, '4111111111111111');
         CREATE FUNCTION pinned() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM OLD.pin::integer; RETURN NEW; END $$;
         CREATE TRIGGER pinned BEFORE UPDATE ON entry FOR EACH ROW EXECUTE FUNCTION pinned();",
    )
    .await;
    let mut role = Role::everywhere("agent", [Action::Select, Action::Update]);
    role.grants[0].columns.exclude = vec!["pin".into()];
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for updates in [json!({"k": {"$increment": 1}}), json!({"k": 5})] {
        let update = json!({"table": "entry", "where": {"id": 1}, "updates": updates});
        let told = answer(&engine, &Principal::new("x", "agent"), "update", update).await;
        assert!(told.contains("invalid_value") && !told.contains("4111"), "{told}");
    }
}

#[tokio::test]
async fn no_rule_over_hidden_columns_is_named_and_no_row_is_logged() {
    let database = Database::of(
        "CREATE TABLE pay (id integer PRIMARY KEY, salary integer, bonus integer CONSTRAINT small CHECK (bonus < 100),
             pin text, CONSTRAINT secret_cap CHECK (salary <= 5000));
         INSERT INTO pay VALUES (1, 4711, 1, 'SECRET');
         CREATE FUNCTION pinned() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.bonus = 7 THEN PERFORM OLD.pin::integer; END IF;
             IF NEW.bonus = 8 THEN RAISE EXCEPTION 'pin %', OLD.pin; END IF; RETURN NEW; END $$;
         CREATE TRIGGER pinned BEFORE UPDATE ON pay FOR EACH ROW EXECUTE FUNCTION pinned();",
    )
    .await;
    let role = agent(&["salary", "pin"]);
    let queries = crate::canned::directory([
        ("raise.sql", "-- @roles agent\n-- @writes\nUPDATE pay SET salary = :salary"),
        ("reward.sql", "-- @roles agent\n-- @writes\nUPDATE pay SET bonus = :bonus"),
    ]);
    let settings = Settings { roles: vec![role], ..crate::canned::settings(queries) };
    let engine = database.engine_with(settings).await;
    for (tool, arguments, constraint) in
        [("raise", json!({"salary": 6000}), None), ("reward", json!({"bonus": 100}), Some("small"))]
    {
        let told = mcp_pg_tests::error(&engine, "agent", tool, arguments).await;
        assert_eq!(told["code"], "check_violation", "{told}");
        assert_eq!(told.get("constraint").and_then(|name| name.as_str()), constraint, "{told}");
    }
    for (bonus, logged) in [(100, "small"), (7, "22P02"), (8, "P0001")] {
        let update = json!({"table": "pay", "where": {"id": 1}, "updates": {"bonus": bonus}});
        let told = mcp_pg_tests::call(&engine, "agent", "update", update).await.unwrap_err();
        let cause = told.cause().unwrap();
        assert!(cause.contains(logged), "{cause}");
        assert!(!cause.contains("SECRET") && !cause.contains("4711"), "{cause}");
    }
}

/// PostgreSQL names the key that exists twice. A referential action writes it in rows that the caller need not see.
#[tokio::test]
async fn a_key_that_the_database_writes_elsewhere_is_not_told() {
    let database = Database::of(
        "CREATE TABLE folder (
             id integer PRIMARY KEY,
             parent integer NOT NULL DEFAULT 0 REFERENCES folder ON DELETE SET DEFAULT,
             name text NOT NULL, tenant text NOT NULL, UNIQUE (parent, name));
         INSERT INTO folder VALUES (0, 0, 'root', 'a'), (1, 0, 'mine', 'a'), (2, 0, 'SECRET', 'b'), (3, 1, 'SECRET', 'b');",
    )
    .await;
    let mut own = Role::everywhere("own", Action::ALL);
    own.grants[0].rows = Some(object(json!({"tenant": "a"})));
    let mut settings =
        Settings { roles: vec![own, Role::everywhere("all", Action::ALL)], ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let delete = || json!({"table": "folder", "where": {"id": 1}, "dry_run": true});
    let add =
        json!({"table": "folder", "data": {"id": 9, "parent": 0, "name": "root", "tenant": "a"}});
    for (role, tool, arguments, told) in [
        ("own", "delete", delete(), "a row with the same parent, name exists"),
        ("all", "delete", delete(), "a row with (parent, name)=(0, SECRET) exists"),
        // The caller's own values.
        ("own", "insert", add, "a row with (parent, name)=(0, root) exists"),
    ] {
        let caller = Principal::new("test", role);
        let error = answer(&engine, &caller, tool, arguments).await;
        let expected = format!("\"code\":\"unique_violation\",\"message\":\"{told}\"");
        assert!(error.contains(&expected), "{role} {tool}: {error}");
    }
}
