//! Rights to write, combined with masks, row conditions and presets of other grants; and which existing rows a write
//! may touch.

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role};
use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, object, paged, refused, rows};
use serde_json::{Value, json};

use crate::program::{Ended, file, program};

pub(crate) const STAFF: &str = "
CREATE TABLE staff (
  id integer PRIMARY KEY, tenant integer, name text, salary integer, ssn text UNIQUE, note text,
  archived_at timestamptz, archived_by text);
INSERT INTO staff VALUES (1, 1, 'Ada', 51234, '111', 'a'), (2, 2, 'Bob', 60000, '222', 'b'), (3, NULL, 'Eve', 1, '333', 'c');";

pub(crate) fn grant(actions: &[Action]) -> Grant {
    Grant {
        tables: vec!["public.*".to_owned()],
        actions: actions.iter().copied().collect(),
        ..Grant::default()
    }
}

pub(crate) async fn engine(database: &Database, grants: Vec<Grant>, confirm: &[Action]) -> Engine {
    let role = Role {
        name: "clerk".to_owned(),
        grants,
        confirm: confirm.iter().copied().collect(),
        ..Role::default()
    };
    let settings =
        Settings { roles: vec![role], default_role: "clerk".to_owned(), ..Settings::default() };
    database.engine_with(settings).await
}

async fn code(engine: &Engine, tool: &str, arguments: Value) -> String {
    let clerk = Principal::new("someone", "clerk").claim("sub", "someone");
    match call_as(engine, &clerk, tool, arguments).await {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.code().as_str().to_owned(),
    }
}

#[tokio::test]
async fn a_hidden_column_is_not_computed_with() {
    let database = Database::of(STAFF).await;
    let reads = Grant {
        columns: ColumnRules { exclude: vec!["salary".to_owned()], ..ColumnRules::default() },
        ..grant(&[Action::Select])
    };
    let engine = engine(&database, vec![reads, grant(&[Action::Update])], &[]).await;
    let set = |value: Value| json!({"table": "staff", "where": {"id": 1}, "updates": {"salary": value}, "dry_run": true});
    for add in [1, 2_147_432_413, 2_147_432_414] {
        assert_eq!(code(&engine, "update", set(json!({"$increment": add}))).await, "forbidden");
    }
    assert_eq!(code(&engine, "update", set(json!(5))).await, "ok");
}

#[tokio::test]
async fn a_key_that_is_masked_or_hidden_in_reads_is_not_written() {
    let database = Database::of(STAFF).await;
    let masked =
        ColumnRules { mask: [("ssn".to_owned(), Mask::Last4)].into(), ..ColumnRules::default() };
    let hidden = ColumnRules { exclude: vec!["ssn".to_owned()], ..ColumnRules::default() };
    for columns in [masked, hidden] {
        let reads = Grant { columns, ..grant(&[Action::Select]) };
        let engine = engine(&database, vec![reads, grant(&[Action::Update])], &[]).await;
        let mut codes = Vec::new();
        for ssn in ["222", "999"] {
            let set = json!({"table": "staff", "where": {"id": 1}, "updates": {"ssn": ssn}, "dry_run": true});
            codes.push(code(&engine, "update", set).await);
        }
        assert_eq!(codes[0], codes[1]);
        assert_ne!(codes[0], "ok");
    }
}

#[tokio::test]
async fn only_archive_sets_the_archive_column_if_it_has_its_own_rules() {
    let database = Database::of(STAFF).await;
    let archives = Grant {
        rows: Some(object(json!({"tenant": 2}))),
        preset: [("archived_by".to_owned(), json!("claim:sub"))].into(),
        ..grant(&[Action::Archive, Action::Restore])
    };
    let writes = grant(&[Action::Select, Action::Update, Action::Insert]);
    let ruled = engine(&database, vec![archives, writes.clone()], &[]).await;
    let all =
        grant(&[Action::Select, Action::Update, Action::Insert, Action::Archive, Action::Restore]);
    let asking = engine(&database, vec![all.clone()], &[Action::Archive]).await;
    for engine in [&ruled, &asking] {
        for (tool, arguments) in [
            ("update", json!({"where": {"id": 1}, "updates": {"archived_at": {"$now": true}}})),
            ("insert", json!({"data": {"id": 9, "archived_at": "2025-01-01T00:00:00Z"}})),
            (
                "insert",
                json!({"data": {"id": 1, "archived_at": "2025-01-01T00:00:00Z"},
                    "on_conflict": {"columns": ["id"], "do": "update"}}),
            ),
        ] {
            let mut arguments = arguments;
            arguments["table"] = json!("staff");
            assert_eq!(
                code(engine, tool, arguments.clone()).await,
                "read_only_column",
                "{arguments}"
            );
        }
    }
    // The same grant without more to it: whoever may archive may say since when.
    let free = engine(&database, vec![all], &[]).await;
    let since = json!({"table": "staff", "where": {"id": 1}, "updates": {"archived_at": "2025-01-01T00:00:00Z"}});
    assert_eq!(code(&free, "update", since).await, "ok");
}

#[tokio::test]
async fn lists_of_columns_and_searches_are_bounded() {
    let engine = Database::of(STAFF).await.engine().await;
    let star = vec!["*"; 900];
    assert_eq!(paged(&engine, json!({"table": "staff"}), "id", 2).await, [1, 2, 3]);
    let reply =
        call(&engine, "analyst", "select", json!({"table": "staff", "columns": star})).await;
    assert_eq!(rows(&reply.unwrap())[0].as_object().unwrap().len(), 8);
    let many = json!({"table": "staff", "columns": vec!["id"; 1_001]});
    let refusal = ("limit_exceeded".to_owned(), "/columns".to_owned());
    assert_eq!(refused(&engine, "select", many).await, refusal);
    let search = json!({"search": "id ".repeat(1_000)});
    let refusal = ("limit_exceeded".to_owned(), "/search".to_owned());
    assert_eq!(refused(&engine, "list_tables", search).await, refusal);
}

#[tokio::test]
async fn only_rows_that_were_locked_first_are_written() {
    let database = Database::of(STAFF).await;
    let engine = database.engine().await;
    let mut other = database.client().await;
    let held = other.transaction().await.unwrap();
    held.execute("SELECT FROM staff WHERE id = 2 FOR UPDATE", &[]).await.unwrap();
    let change = json!({"isolation": "read_committed", "operations": [
        {"operation": "update", "table": "staff", "where": {"note": "b"}, "updates": {"name": "changed"},
         "max_rows": 5}]});
    let new_row = async {
        database.until_blocked(1).await;
        held.execute("INSERT INTO staff (id, name, note) VALUES (200, 'new', 'b')", &[])
            .await
            .unwrap();
        held.commit().await.unwrap();
    };
    let (reply, ()) = tokio::join!(call(&engine, "operator", "transaction", change), new_row);
    let reply = reply.unwrap();
    let names = "SELECT string_agg(name, ',' ORDER BY id) FROM staff WHERE note = 'b'";
    assert_eq!(database.value(names).await.unwrap(), "changed,new", "{reply}");
    assert_eq!(reply["results"][0]["row_count"], 1);
}

#[tokio::test]
async fn an_upsert_changes_no_row_that_was_not_looked_at() {
    let database = Database::of(
        "CREATE TABLE entry (tenant integer NOT NULL DEFAULT 1, code text NOT NULL, val text, UNIQUE (tenant, code));
         INSERT INTO entry VALUES (1, 'A', 'old');
         CREATE TABLE address (email text PRIMARY KEY, val text);
         INSERT INTO address VALUES ('a@x.org', 'old');
         CREATE FUNCTION lowered() RETURNS trigger LANGUAGE plpgsql AS
           'BEGIN new.email := lower(new.email); RETURN new; END';
         CREATE TRIGGER lowered BEFORE INSERT ON address FOR EACH ROW EXECUTE FUNCTION lowered();",
    )
    .await;
    let engine = database.engine().await;
    let entry = |data: Value| {
        json!({"table": "entry", "data": data, "dry_run": true,
            "on_conflict": {"columns": ["tenant", "code"], "do": "update", "update": ["val"]}})
    };
    let address = |data: Value| {
        json!({"table": "address", "data": data, "dry_run": true,
            "on_conflict": {"columns": ["email"], "do": "update"}})
    };
    let refusal = ("conflict".to_owned(), "/on_conflict".to_owned());
    let unseen = entry(json!({"code": "A", "val": "new"}));
    assert_eq!(refused(&engine, "insert", unseen).await, refusal);
    let unseen =
        address(json!([{"email": "b@x.org", "val": "new"}, {"email": "A@X.org", "val": "new"}]));
    assert_eq!(refused(&engine, "insert", unseen).await, refusal);
    for seen in [
        entry(json!({"tenant": 1, "code": "A", "val": "new"})),
        address(json!([{"email": "B@x.org", "val": "new"}, {"email": "a@x.org", "val": "new"}])),
    ] {
        let reply = call(&engine, "operator", "insert", seen).await.unwrap();
        assert_eq!(reply["before"].as_array().unwrap().len(), 1, "{reply}");
        assert_eq!(reply["before"][0]["val"], "old");
    }
    let fresh = entry(json!([{"code": "B", "val": "new"}, {"code": "C", "val": "new"}]));
    assert_eq!(call(&engine, "operator", "insert", fresh).await.unwrap()["row_count"], 2);
}

#[tokio::test]
async fn a_preset_is_a_claim_that_fits() {
    let database = Database::of(STAFF).await;
    let actions = [Action::Select, Action::Insert, Action::Update];
    let preset = [("tenant".to_owned(), json!("claim:tenant"))].into();
    let engine = engine(&database, vec![Grant { preset, ..grant(&actions) }], &[]).await;
    for (claim, expected) in [
        (json!(7), "ok"),
        (json!("8"), "ok"),
        (json!("seven"), "forbidden"),
        (json!(1.5), "forbidden"),
        (json!(3_000_000_000_u64), "forbidden"),
        (json!({"$literal": 1}), "forbidden"),
        (json!([1]), "forbidden"),
        (Value::Null, "forbidden"),
    ] {
        let clerk = Principal::new("someone", "clerk").claim("tenant", claim.clone());
        for (tool, arguments) in [
            ("insert", json!({"table": "staff", "data": {"id": 9}, "dry_run": true})),
            (
                "insert",
                json!({"table": "staff", "data": {"id": 1, "name": "x"}, "dry_run": true,
                       "on_conflict": {"columns": ["id"], "do": "update"}}),
            ),
            (
                "update",
                json!({"table": "staff", "where": {"id": 1}, "updates": {"name": "x"}, "dry_run": true}),
            ),
        ] {
            let code = match call_as(&engine, &clerk, tool, arguments).await {
                Ok(_) => "ok",
                Err(error) => {
                    assert!(!error.to_string().contains("seven"), "{error}");
                    error.code().as_str()
                }
            };
            assert_eq!(code, expected, "{tool} {claim}");
        }
    }
}

#[tokio::test]
async fn inserts_that_cannot_give_a_required_column_are_not_offered() {
    let database = Database::of(
        "CREATE TABLE users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL, name text);
         CREATE TABLE members (id serial PRIMARY KEY, email text NOT NULL DEFAULT '', version integer NOT NULL);
         CREATE TABLE filled (id integer PRIMARY KEY, email text NOT NULL);
         CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.email := 'x'; RETURN NEW; END $$;
         CREATE TRIGGER fill BEFORE INSERT ON filled FOR EACH ROW EXECUTE FUNCTION fill()",
    )
    .await;
    let mask = || ColumnRules {
        mask: [("email".to_owned(), Mask::Email)].into(),
        ..ColumnRules::default()
    };
    let both = [Action::Select, Action::Insert];
    let masked = || Grant { columns: mask(), ..grant(&both) };
    let listed = Grant {
        columns: ColumnRules {
            writable: Some(vec!["email".to_owned(), "id".to_owned()]),
            ..mask()
        },
        ..grant(&both)
    };
    let preset = Grant { preset: [("email".to_owned(), json!("claim:sub"))].into(), ..masked() };
    let insert = |table: &str, data: Value| json!({"table": table, "data": data});
    for (grant, users) in [(masked(), "forbidden"), (listed, "ok"), (preset, "ok")] {
        let engine = engine(&database, vec![grant.clone()], &[]).await;
        let data = match grant.columns.writable {
            Some(_) => json!({"email": "a@example.com"}),
            None => json!({"name": "a"}),
        };
        assert_eq!(code(&engine, "insert", insert("users", data)).await, users, "{grant:?}");
        let view = engine.view(&Principal::new("x", "clerk")).unwrap();
        let offered = |table: &str| view.table(table).unwrap().actions.contains(Action::Insert);
        assert_eq!(offered("users"), users == "ok", "{grant:?}");
        assert!(offered("members") && offered("filled"), "{grant:?}");
    }
    let engine = engine(&database, vec![masked()], &[]).await;
    assert_eq!(code(&engine, "insert", insert("members", json!({"id": 1}))).await, "ok");
    assert_eq!(code(&engine, "insert", insert("filled", json!({"id": 1}))).await, "ok");

    let config = file(
        "default_role = \"a\"\n[roles.a]\n[[roles.a.grants]]\ntables = [\"public.*\"]\n\
         actions = [\"select\", \"insert\"]\ncolumns = { mask = { email = \"email\" } }",
    );
    let arguments =
        ["check", "--config", config.to_str().unwrap(), "--database-url", &database.url];
    let ended = Ended::of(&mut program(&arguments)).await;
    let told = "note: roles.a.grants[0]: inserts into public.users are impossible, and not offered: email does not accept null";
    assert_eq!(ended.out.matches("inserts into").count(), 1, "{}", ended.out);
    assert!(ended.out.contains(told), "{}", ended.out);
}

#[tokio::test]
async fn a_preset_may_be_the_time_of_the_write() {
    let database = Database::of(STAFF).await;
    database.sql("ALTER TABLE staff ADD changed timestamptz").await;
    let actions = [Action::Select, Action::Insert, Action::Update];
    let preset = [("changed".to_owned(), json!({"$now": true}))].into();
    let engine = engine(&database, vec![Grant { preset, ..grant(&actions) }], &[]).await;
    let changed = "SELECT (changed > now() - interval '1 hour')::text FROM staff WHERE id = 4";
    for (tool, arguments) in [
        ("insert", json!({"table": "staff", "data": {"id": 4}})),
        ("update", json!({"table": "staff", "where": {"id": 4}, "updates": {"name": "x"}})),
        (
            "insert",
            json!({"table": "staff", "data": {"id": 4, "name": "y"},
                   "on_conflict": {"columns": ["id"], "do": "update"}}),
        ),
    ] {
        call(&engine, "clerk", tool, arguments).await.unwrap();
        assert_eq!(database.value(changed).await.unwrap(), "true", "{tool}");
        database.sql("UPDATE staff SET changed = '2000-01-01' WHERE id = 4").await;
    }
    let given = json!({"table": "staff", "data": {"id": 5, "changed": "2020-01-01T00:00:00Z"}});
    let told = error(&engine, "clerk", "insert", given).await;
    assert_eq!(told["code"], "read_only_column");
    assert!(
        told["message"].as_str().unwrap().ends_with("the server sets it: leave it out"),
        "{told}"
    );
}

/// describe_table lists such a column, so it is not said to be missing.
#[tokio::test]
async fn a_column_that_can_only_be_written_is_told_from_a_missing_one() {
    let database = Database::of(STAFF).await;
    let reads = Grant {
        columns: ColumnRules { exclude: vec!["salary".to_owned()], ..ColumnRules::default() },
        ..grant(&[Action::Select])
    };
    let engine = engine(&database, vec![reads, grant(&[Action::Insert])], &[]).await;
    let insert = |more: Value| {
        let mut arguments = object(json!({"table": "staff", "data": {"id": 9, "salary": 1}}));
        arguments.extend(object(more));
        ("insert", Value::Object(arguments))
    };
    let calls = [
        (insert(json!({"returning": ["salary"]})), "/returning/0"),
        (
            insert(json!({"on_conflict": {"columns": ["salary"], "do": "nothing"}})),
            "/on_conflict/columns/0",
        ),
        (("select", json!({"table": "staff", "where": {"salary": 1}})), "/where/salary"),
        (("select", json!({"table": "staff", "order_by": ["salary"]})), "/order_by/0"),
        (
            ("aggregate", json!({"table": "staff", "measures": {"most": {"max": "salary"}}})),
            "/measures/most/max",
        ),
    ];
    for ((tool, arguments), at) in calls {
        let error = error(&engine, "clerk", tool, arguments).await;
        assert_eq!(error["code"], "forbidden", "{error}");
        assert_eq!(error["message"], "\"salary\" of public.staff can be written, but not read");
        assert_eq!(error["at"], at);
        assert!(!error["allowed"].as_array().unwrap().contains(&json!("salary")), "{error}");
    }
    let hidden = json!({"table": "staff", "where": {"wage": 1}});
    assert_eq!(code(&engine, "select", hidden).await, "unknown_column");
}
