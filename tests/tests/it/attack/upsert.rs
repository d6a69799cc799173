//! Upserts that aim at rows which the caller does not see, or whose former state would be lost.

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, refused};
use serde_json::{Value, json};

use super::grant;

const FIXTURE: &str = "
    CREATE TABLE person (id integer PRIMARY KEY, tenant integer, name text, note text);
    INSERT INTO person VALUES (1, 1, 'Ada', 'n1'), (2, 2, 'QZ-Bea', 'QZ-n2');
    CREATE VIEW own WITH (security_barrier) AS SELECT id, tenant, name, note FROM person WHERE tenant = 1;
    CREATE VIEW checked AS SELECT * FROM person WHERE tenant = 1 WITH CHECK OPTION;
    CREATE VIEW upon AS SELECT id, name, tenant FROM own;
    CREATE TABLE part (
        id integer, day date DEFAULT '2020-05-05', body text, code integer, PRIMARY KEY (id, day), UNIQUE (day, code))
        PARTITION BY RANGE (day);
    CREATE TABLE part_all PARTITION OF part DEFAULT;
    INSERT INTO part VALUES (1, '2020-05-05', 'old', 7);
    CREATE TABLE plain (id integer PRIMARY KEY DEFAULT 1, body text);
    INSERT INTO plain VALUES (1, 'old');
    CREATE VIEW shown AS SELECT id, body FROM plain;
    CREATE FUNCTION moved() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF new.body = 'moved' THEN new.id := 1; END IF; RETURN new; END $$;
    CREATE TABLE partly (id integer PRIMARY KEY, email text DEFAULT 'e5', active boolean DEFAULT true, body text);
    CREATE UNIQUE INDEX ON partly (email) WHERE active;
    INSERT INTO partly VALUES (1, 'e1', true, 'b1'), (5, 'e5', true, 'PRECIOUS');
    CREATE TABLE parent (id integer PRIMARY KEY DEFAULT 9, body text);
    CREATE TABLE heir () INHERITS (parent);
    INSERT INTO heir VALUES (7, 'heir'); INSERT INTO parent VALUES (9, 'PRECIOUS');
    CREATE TRIGGER moved BEFORE INSERT ON part FOR EACH ROW EXECUTE FUNCTION moved();
    CREATE TRIGGER moved BEFORE INSERT ON plain FOR EACH ROW EXECUTE FUNCTION moved();";

async fn state(database: &Database) -> Vec<Option<String>> {
    let mut all = Vec::new();
    for table in ["person", "part", "plain", "partly", "parent"] {
        let rows = format!("SELECT string_agg(t::text, ';' ORDER BY t::text) FROM {table} t");
        all.push(database.value(&rows).await);
    }
    all
}

#[tokio::test]
async fn an_upsert_through_a_view_meets_no_row_that_the_view_hides() {
    let database = Database::of(FIXTURE).await;
    let views = ["public.own", "public.checked", "public.upon"];
    let all = [Action::Select, Action::Insert, Action::Update];
    let role = Role { name: "clerk".into(), grants: vec![grant(&views, &all)], ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "clerk".into(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("mallory", "clerk");
    let before = state(&database).await;
    for view in ["own", "checked", "upon"] {
        for update in [None, Some(json!(["name"])), Some(json!(["name", "tenant"]))] {
            for dry_run in [true, false] {
                let mut upsert = json!({"table": view, "data": {"id": 2, "tenant": 1, "name": "mine"},
                    "on_conflict": {"columns": ["id"], "do": "update"}, "dry_run": dry_run});
                if let Some(update) = &update {
                    upsert["on_conflict"]["update"] = update.clone();
                }
                let told = call_as(&engine, &clerk, "insert", upsert).await.unwrap_err();
                assert_eq!(told.get_at(), Some("/on_conflict/columns"), "{told}");
                assert!(!told.to_string().contains("QZ"), "{told}");
            }
        }
        // The key still tells rows apart.
        let page = json!({"table": view, "order_by": ["name"], "limit": 1});
        let reply = call_as(&engine, &clerk, "select", page).await.unwrap();
        assert_eq!((&reply["row_count"], reply.get("notes")), (&json!(1), None), "{reply}");
    }
    assert_eq!(state(&database).await, before);
}

#[tokio::test]
async fn no_row_is_overwritten_whose_former_state_nobody_has_seen() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let before = state(&database).await;
    let upsert = |table: &str, data: &Value, key: &[&str]| {
        json!({"table": table, "data": data, "dry_run": true,
            "on_conflict": {"columns": key, "do": "update", "update": ["body"]}})
    };
    let day = "2020-05-05";
    // A default, or a trigger, makes the key.
    for (table, data, key) in [
        ("part", json!({"id": 1, "body": "new"}), vec!["id", "day"]),
        ("part", json!({"id": 1, "day": {"$default": true}, "body": "new"}), vec!["id", "day"]),
        ("part", json!({"id": 5, "day": day, "body": "moved"}), vec!["id", "day"]),
        (
            "part",
            json!([{"id": 5, "day": day, "body": "moved"}, {"id": 6, "day": day, "body": "x"}]),
            vec!["id", "day"],
        ),
        ("part", json!({"id": 8, "code": 7, "body": "new"}), vec!["day", "code"]),
        ("shown", json!({"body": "new"}), vec!["id"]),
        ("shown", json!({"id": 5, "body": "moved"}), vec!["id"]),
        ("plain", json!({"body": "new"}), vec!["id"]),
        ("plain", json!({"id": 5, "body": "moved"}), vec!["id"]),
        ("plain", json!([{"id": 7, "body": "x"}, {"id": 5, "body": "moved"}]), vec!["id"]),
        ("partly", json!({"id": 21, "active": true, "body": "new"}), vec!["email"]),
        (
            "parent",
            json!([{"id": 7, "body": "new"}, {"id": {"$default": true}, "body": "over"}]),
            vec!["id"],
        ),
        // The first row has the key of an existing one, and meets none.
        (
            "partly",
            json!([{"id": 20, "email": "e1", "active": false, "body": "new"}, {"id": 21, "active": true, "body": "over"}]),
            vec!["email"],
        ),
    ] {
        let (code, at) = refused(&engine, "insert", upsert(table, &data, &key)).await;
        let given = key.iter().all(|column| {
            let mut rows = data.as_array().into_iter().flatten().chain([&data]);
            rows.all(|row| {
                row.is_array() || row.get(column).is_some_and(|value| !value.is_object())
            })
        });
        match given {
            true => assert_eq!((&*code, &*at), ("conflict", "/on_conflict"), "{table} {data}"),
            false => {
                assert!(
                    ["missing_value", "conflict"].contains(&&*code),
                    "{table} {data} {code} {at}"
                );
            }
        }
    }
    assert_eq!(state(&database).await, before);
    // Where the key is given whole, or holds a null that meets nothing, all is known.
    for (table, data, key, seen) in [
        ("part", json!({"id": 1, "day": day, "body": "new"}), vec!["id", "day"], 1),
        ("part", json!({"id": 5, "day": day, "body": "new"}), vec!["id", "day"], 0),
        ("part", json!({"id": 8, "day": day, "code": 7, "body": "n"}), vec!["day", "code"], 1),
        ("part", json!({"id": 8, "day": day, "code": null, "body": "n"}), vec!["day", "code"], 0),
        ("shown", json!([{"id": 1, "body": "a"}, {"id": 2, "body": "b"}]), vec!["id"], 1),
        ("plain", json!([{"id": 1, "body": "a"}, {"id": 2, "body": "b"}]), vec!["id"], 1),
        ("parent", json!({"id": 7, "body": "new"}), vec!["id"], 0),
        (
            "partly",
            json!({"id": 20, "email": "e1", "active": false, "body": "n"}),
            vec!["email"],
            0,
        ),
        (
            "partly",
            json!([{"id": 20, "email": "e1", "active": false, "body": "n"}, {"id": 21, "email": "e1", "active": true, "body": "m"},
                {"id": 22, "email": "e5", "active": false, "body": "n"}]),
            vec!["email"],
            1,
        ),
    ] {
        let reply = call(&engine, "admin", "insert", upsert(table, &data, &key)).await.unwrap();
        assert_eq!(reply["before"].as_array().map_or(0, Vec::len), seen, "{reply}");
    }
}
