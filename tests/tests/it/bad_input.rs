//! Every kind of bad input and every refusal of PostgreSQL: its code and place, nothing half written, and
//! the next good call works.

use std::time::Duration;

use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

const RULES: &str = "
    CREATE DOMAIN percent AS integer CONSTRAINT up_to_100 CHECK (VALUE BETWEEN 0 AND 100);
    CREATE DOMAIN named AS text NOT NULL;
    CREATE TYPE mood AS ENUM ('glad', 'sad');
    CREATE TYPE pair AS (a integer, b text);
    CREATE TABLE owners (id integer PRIMARY KEY, name text);
    CREATE TABLE rules (
        id integer PRIMARY KEY,
        code varchar(5) UNIQUE,
        a integer, b integer, CONSTRAINT a_and_b UNIQUE (a, b),
        owner_id integer CONSTRAINT owned REFERENCES owners,
        share percent, other_share percent,
        low integer CONSTRAINT positive CHECK (low > 0),
        high integer, CONSTRAINT in_order CHECK (low < high),
        during daterange, CONSTRAINT no_overlap EXCLUDE USING gist (during WITH &&),
        mood mood, pair pair, amount numeric(5,2), tags text[], meta jsonb,
        at timestamptz, key uuid, flag boolean, bits bytea, address inet, full_name text,
        double integer GENERATED ALWAYS AS (a * 2) STORED,
        filled text NOT NULL, lower_code text
    );
    CREATE UNIQUE INDEX lower_code_key ON rules (lower(lower_code));
    CREATE FUNCTION fill() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.full_name = 'refused' THEN
            RAISE EXCEPTION 'names such as % are not wanted', NEW.full_name;
        ELSIF NEW.full_name = 'coded' THEN
            RAISE EXCEPTION 'no more seats' USING ERRCODE = '45000';
        ELSIF NEW.full_name = 'checked' THEN
            RAISE EXCEPTION 'the office is closed' USING ERRCODE = 'check_violation';
        ELSIF NEW.full_name = 'broken' THEN
            PERFORM 1 FROM secret_schema.hidden_table;
        END IF;
        IF NEW.full_name IS DISTINCT FROM 'unfilled' THEN NEW.filled := 'by trigger'; END IF;
        IF NEW.full_name = 'skipped' THEN RETURN NULL; END IF;
        RETURN NEW;
    END $$;
    CREATE TRIGGER fill BEFORE INSERT OR UPDATE ON rules FOR EACH ROW EXECUTE FUNCTION fill();
    INSERT INTO owners VALUES (1, 'one');
    INSERT INTO rules (id, code, a, b, during, lower_code) VALUES (1, 'first', 1, 1, '[2020-01-01,2020-12-31]', 'low');";

/// Tries each bad row in an insert and in an update, and a good one afterwards.
async fn check(database: &Database, engine: &Engine, cases: &[(Value, &str, &str)]) {
    let before =
        database.value("SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM rules r").await;
    for (row, code, column) in cases {
        let mut data = row.clone();
        if data.get("id").is_none() {
            data["id"] = json!(2);
        }
        let reply = error(engine, "admin", "insert", json!({"table": "rules", "data": data})).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(format!("/data{column}"))),
            "{row} {reply}"
        );
        assert!(!reply.to_string().contains("INSERT INTO"), "{reply}");
        let list = json!({"table": "rules", "data": [{"id": 3}, data]});
        let reply = error(engine, "admin", "insert", list).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(format!("/data/1{column}"))),
            "{row} {reply}"
        );
    }
    let after =
        database.value("SELECT md5(string_agg(r::text, ',' ORDER BY id)) FROM rules r").await;
    assert_eq!(before, after);
    let good = json!({"table": "rules", "data": {"id": 2}});
    call(engine, "admin", "insert", good).await.unwrap();
}

#[tokio::test]
async fn every_constraint() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    check(
        &database,
        &engine,
        &[
            (json!({"id": 1}), "unique_violation", "/id"),
            (json!({"code": "first"}), "unique_violation", "/code"),
            (json!({"a": 1, "b": 1}), "unique_violation", ""),
            (json!({"lower_code": "LOW"}), "unique_violation", ""),
            (json!({"owner_id": 77}), "foreign_key_violation", "/owner_id"),
            (json!({"id": null}), "not_null_violation", "/id"),
            (json!({"full_name": "unfilled"}), "missing_value", "/filled"),
            (json!({"filled": null}), "not_null_violation", "/filled"),
            (json!({"low": 0}), "check_violation", "/low"),
            (json!({"low": 5, "high": 4}), "check_violation", ""),
            (json!({"other_share": 101}), "check_violation", "/other_share"),
            (json!({"share": -1}), "check_violation", "/share"),
            (json!({"during": "[2020-06-01,2020-07-01)"}), "exclusion_violation", "/during"),
        ],
    )
    .await;
    for (data, constraint) in [
        (json!({"code": "first"}), "rules_code_key"),
        (json!({"a": 1, "b": 1}), "a_and_b"),
        (json!({"owner_id": 77}), "owned"),
        (json!({"low": 0}), "positive"),
        (json!({"share": 101}), "up_to_100"),
        (json!({"during": "[2020-06-01,2020-07-01)"}), "no_overlap"),
    ] {
        let mut data = data;
        data["id"] = json!(4);
        let reply =
            error(&engine, "admin", "insert", json!({"table": "rules", "data": data})).await;
        assert_eq!(reply["constraint"], constraint, "{reply}");
        // The same in an update of another row.
        data.as_object_mut().unwrap().remove("id");
        let update = json!({"table": "rules", "where": {"id": 2}, "updates": data});
        let changed = error(&engine, "admin", "update", update).await;
        assert_eq!(
            (&changed["constraint"], &changed["code"]),
            (&reply["constraint"], &reply["code"])
        );
        let at = reply["at"].as_str().unwrap().replace("/data", "/updates");
        assert_eq!(changed["at"], at);
    }
    let delete = json!({"table": "owners", "where": {"id": 1}});
    let link = json!({"table": "rules", "where": {"id": 2}, "updates": {"owner_id": 1}});
    call(&engine, "admin", "update", link).await.unwrap();
    assert_eq!(
        refused(&engine, "delete", delete).await,
        ("foreign_key_violation".into(), "/where".into())
    );
}

#[tokio::test]
async fn every_type() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    check(
        &database,
        &engine,
        &[
            (json!({"a": "many"}), "invalid_value", "/a"),
            (json!({"a": 1.5}), "invalid_value", "/a"),
            (json!({"a": 3_000_000_000_i64}), "invalid_value", "/a"),
            (json!({"a": true}), "invalid_value", "/a"),
            (json!({"a": {"b": 1}}), "invalid_value", "/a"),
            (json!({"a": [1]}), "invalid_value", "/a"),
            (json!({"code": "longer than five"}), "invalid_value", "/code"),
            (json!({"amount": 1_000}), "invalid_value", "/amount"),
            (json!({"amount": "1,5"}), "invalid_value", "/amount"),
            (json!({"mood": "angry"}), "invalid_value", "/mood"),
            (json!({"pair": {"a": "x"}}), "invalid_value", "/pair/a"),
            (json!({"pair": {"c": 1}}), "invalid_value", "/pair/c"),
            (json!({"during": "tomorrow"}), "invalid_value", "/during"),
            (json!({"at": "soon"}), "invalid_value", "/at"),
            (json!({"at": "2020-02-30T00:00:00Z"}), "invalid_value", "/at"),
            (json!({"key": "123"}), "invalid_value", "/key"),
            (json!({"flag": "perhaps"}), "invalid_value", "/flag"),
            (json!({"bits": "not base64!"}), "invalid_value", "/bits"),
            (json!({"address": "300.1.1.1"}), "invalid_value", "/address"),
            (json!({"full_name": {"a": 1}}), "invalid_value", "/full_name"),
            (json!({"double": 4}), "read_only_column", "/double"),
            (json!({"dubble": 4}), "unknown_column", "/dubble"),
            (json!({"": 4}), "unknown_column", "/"),
            (json!({"a/b~c": 4}), "unknown_column", "/a~1b~0c"),
        ],
    )
    .await;
    let mood = error(
        &engine,
        "admin",
        "insert",
        json!({"table": "rules", "data": {"id": 9, "mood": "gald"}}),
    )
    .await;
    assert_eq!(
        (&mood["allowed"], &mood["did_you_mean"]),
        (&json!(["glad", "sad"]), &json!("glad"))
    );
}

#[tokio::test]
async fn unknown_names_get_the_nearest() {
    let engine = Database::shop().await.engine().await;
    for (tool, arguments, code, at, meant) in [
        ("select", json!({"table": "usres"}), "unknown_table", "/table", "users"),
        ("select", json!({"table": "public.usres"}), "unknown_table", "/table", "public.users"),
        (
            "select",
            json!({"table": "users", "columns": ["nmae"]}),
            "unknown_column",
            "/columns/0",
            "name",
        ),
        (
            "select",
            json!({"table": "users", "where": {"emial": "x"}}),
            "unknown_column",
            "/where/emial",
            "email",
        ),
        (
            "select",
            json!({"table": "users", "where": {"name": {"ilkie": "x"}}}),
            "unknown_operator",
            "/where/name/ilkie",
            "ilike",
        ),
        (
            "select",
            json!({"table": "users", "ordr_by": ["name"]}),
            "unknown_argument",
            "/ordr_by",
            "order_by",
        ),
        (
            "insert",
            json!({"table": "users", "data": [{"emial": "x"}]}),
            "unknown_column",
            "/data/0/emial",
            "email",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "update": {}}),
            "unknown_argument",
            "/update",
            "updates",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"nmae": 1}}),
            "unknown_column",
            "/updates/nmae",
            "name",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "X"}, "returning": ["nmae"]}),
            "unknown_column",
            "/returning/0",
            "name",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": {"$apend": "X"}}}),
            "unknown_operator",
            "/updates/name/$apend",
            "$append",
        ),
    ] {
        let reply = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(
            (&reply["code"], &reply["at"]),
            (&json!(code), &json!(at)),
            "{arguments} {reply}"
        );
        assert_eq!(reply["did_you_mean"], meant, "{reply}");
    }
    assert_eq!(refused(&engine, "drop_table", json!({})).await.0, "unknown_argument");
}

#[tokio::test]
async fn sql_is_data() {
    let database = Database::shop().await;
    let engine = database.engine().await;
    let evil = "x'); DROP TABLE users; --";
    for (tool, arguments, code) in [
        ("select", json!({"table": "users; DROP TABLE users"}), "unknown_table"),
        ("select", json!({"table": "users\"; DROP TABLE users; --"}), "unknown_table"),
        ("select", json!({"table": "users", "columns": ["name FROM users; --"]}), "unknown_column"),
        ("select", json!({"table": "users", "columns": ["*", "count(*)"]}), "unknown_column"),
        ("select", json!({"table": "users", "where": {"name' OR 1=1 --": 1}}), "unknown_column"),
        (
            "select",
            json!({"table": "users", "where": {"name": {"= '' OR true --": 1}}}),
            "unknown_operator",
        ),
        (
            "select",
            json!({"table": "users", "order_by": ["name; DROP TABLE users"]}),
            "unknown_column",
        ),
        ("select", json!({"table": "users", "limit": "1; DROP TABLE users"}), "invalid_value"),
        (
            "insert",
            json!({"table": "users", "data": {"name) VALUES (1); --": 1}}),
            "unknown_column",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": "1 OR true"}, "updates": {"name": "X"}}),
            "invalid_value",
        ),
        (
            "update",
            json!({"table": "users", "where": {"user_id": 1}, "updates": {"version": {"$increment": "1; DROP"}}}),
            "invalid_value",
        ),
        (
            "delete",
            json!({"table": "users", "where": {"user_id": {"in": ["1) OR (1=1"]}}}),
            "invalid_value",
        ),
    ] {
        assert_eq!(refused(&engine, tool, arguments.clone()).await.0, code, "{arguments}");
    }
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": evil}});
    assert_eq!(rows(&call(&engine, "admin", "update", update).await.unwrap())[0]["name"], evil);
    let found = json!({"table": "users", "where": {"name": {"contains": "'); DROP"}}});
    assert_eq!(call(&engine, "admin", "select", found).await.unwrap()["row_count"], 1);
    let none = json!({"table": "users", "where": {"name": "' OR '1'='1"}});
    assert_eq!(call(&engine, "admin", "select", none).await.unwrap()["row_count"], 0);
    assert_eq!(database.value("SELECT count(*)::text FROM users").await.unwrap(), "10");
}

#[tokio::test]
async fn nul_is_no_text() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    for (tool, arguments, code, at) in [
        ("select", json!({"table": "ru\0les"}), "unknown_table", "/table"),
        ("select", json!({"table": "rules", "columns": ["\0"]}), "unknown_column", "/columns/0"),
        (
            "select",
            json!({"table": "rules", "where": {"code": "a\0"}}),
            "invalid_value",
            "/where/code",
        ),
        (
            "select",
            json!({"table": "rules", "where": {"code": {"contains": "\0"}}}),
            "invalid_value",
            "/where/code/contains",
        ),
        (
            "select",
            json!({"table": "rules", "where": {"code": {"in": ["a", "\0"]}}}),
            "invalid_value",
            "/where/code/in/1",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "full_name": "a\0b"}}),
            "invalid_value",
            "/data/full_name",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "meta": {"k": "a\0b"}}}),
            "invalid_value",
            "/data/meta/k",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "meta": {"k\0": 1}}}),
            "invalid_value",
            "/data/meta",
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "tags": ["a", "\0"]}}),
            "invalid_value",
            "/data/tags/1",
        ),
        (
            "update",
            json!({"table": "rules", "where": {"id": 1}, "updates": {"full_name": "\0"}}),
            "invalid_value",
            "/updates/full_name",
        ),
    ] {
        let found = refused(&engine, tool, arguments.clone()).await;
        assert_eq!(found.0, code, "{arguments} {found:?}");
        assert!(found.1.starts_with(at), "{arguments} {found:?}");
    }
    assert_eq!(database.value("SELECT count(*)::text FROM rules").await.unwrap(), "1");
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!(1), |inner, _| json!([inner]))
}

#[tokio::test]
async fn deeply_nested_values() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let deep = nested(1_000);
    for (tool, arguments, at) in [
        ("insert", json!({"table": "rules", "data": {"id": 5, "meta": deep}}), "/data"),
        ("insert", json!({"table": "rules", "data": deep}), "/data"),
        ("select", json!({"table": "rules", "where": {"tags": deep}}), "/where"),
        ("select", json!({"table": deep}), "/table"),
        ("transaction", json!({"operations": deep}), "/operations"),
    ] {
        assert_eq!(refused(&engine, tool, arguments).await, ("limit_exceeded".into(), at.into()));
    }
    let deep = nested(100);
    for (tool, arguments, codes) in [
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "tags": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        (
            "insert",
            json!({"table": "rules", "data": {"id": 5, "a": deep}}),
            ["invalid_value", "invalid_value"],
        ),
        ("insert", json!({"table": "rules", "data": deep}), ["invalid_value", "invalid_value"]),
        (
            "select",
            json!({"table": "rules", "where": {"tags": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        (
            "select",
            json!({"table": "rules", "where": {"and": deep}}),
            ["invalid_value", "limit_exceeded"],
        ),
        ("select", json!({"table": "rules", "order_by": deep}), ["invalid_value", "invalid_value"]),
        ("transaction", json!({"operations": deep}), ["invalid_value", "invalid_value"]),
    ] {
        let (code, at) = refused(&engine, tool, arguments).await;
        assert!(codes.contains(&code.as_str()), "{tool} {code} {at}");
        assert!(at.len() < 300, "{tool} {at}");
    }
    let conditions = (0..100).fold(json!({"id": 1}), |inner, _| json!({"not": inner}));
    let arguments = json!({"table": "rules", "where": conditions});
    assert_eq!(refused(&engine, "select", arguments).await.0, "limit_exceeded");
    let json = json!({"table": "rules", "data": {"id": 5, "meta": deep}, "returning": ["meta"]});
    let reply = call(&engine, "admin", "insert", json).await.unwrap();
    assert_eq!(rows(&reply)[0]["meta"], deep);
}

#[tokio::test]
async fn large_values() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let large = "x".repeat(10_000_000);
    let insert =
        json!({"table": "rules", "data": {"id": 5, "full_name": large}, "returning": ["id"]});
    let reply = call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(reply["rows"], json!([{"id": 5}]));
    let length = database.value("SELECT length(full_name)::text FROM rules WHERE id = 5").await;
    assert_eq!(length.unwrap(), "10000000");
    // It can be asked for, but not sent.
    let read = json!({"table": "rules", "where": {"id": 5}});
    assert_eq!(
        refused(&engine, "select", read).await,
        ("limit_exceeded".into(), "/columns".into())
    );
    let update =
        json!({"table": "rules", "where": {"id": 5}, "updates": {"full_name": {"$append": "y"}}});
    let reply = call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!((&reply["row_count"], &reply["truncated"]), (&json!(1), &json!(true)));
    for (arguments, code) in [
        (json!({"table": "rules", "where": {"full_name": {"like": large}}}), "limit_exceeded"),
        (json!({"table": large}), "unknown_table"),
        (json!({"table": "rules", "columns": [large]}), "unknown_column"),
        (json!({"table": "rules", "where": {"id": {"in": vec![1; 100_000]}}}), "limit_exceeded"),
        (json!({"table": "rules", "where": {"a": large}}), "invalid_value"),
        (json!({"table": "rules", "where": {"mood": large}}), "invalid_value"),
    ] {
        let error = call(&engine, "admin", "select", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code);
        assert!(error.message().len() < 1_000, "{}", error.message().len());
    }
    let delete = json!({"table": "rules", "where": {"id": 5}, "returning": ["id"]});
    assert_eq!(call(&engine, "admin", "delete", delete).await.unwrap()["row_count"], 1);
}

#[tokio::test]
async fn triggers_fill_refuse_and_skip() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let insert = |name: &str| json!({"table": "rules", "data": {"id": 5, "full_name": name}});
    for (name, code, state, message) in [
        ("refused", "database_error", "P0001", "names such as refused are not wanted"),
        ("coded", "database_error", "45000", "no more seats"),
        ("checked", "check_violation", "23514", "the office is closed"),
    ] {
        let reply = error(&engine, "admin", "insert", insert(name)).await;
        assert_eq!((&reply["code"], &reply["sqlstate"]), (&json!(code), &json!(state)));
        assert_eq!(reply["message"], message);
    }
    let broken = error(&engine, "admin", "insert", insert("broken")).await;
    assert_eq!((&broken["code"], &broken["sqlstate"]), (&json!("database_error"), &json!("42P01")));
    assert!(
        !broken.to_string().contains("hidden") && !broken.to_string().contains("secret"),
        "{broken}"
    );
    let skipped = call(&engine, "admin", "insert", insert("skipped")).await.unwrap();
    assert_eq!((&skipped["row_count"], &skipped["rows"]), (&json!(0), &json!([])));
    let filled = call(&engine, "admin", "insert", insert("kept")).await.unwrap();
    assert_eq!(rows(&filled)[0]["filled"], "by trigger");
}

#[tokio::test]
async fn views_are_written_through() {
    let database = Database::of(
        "CREATE TABLE hidden_base (id integer PRIMARY KEY, name text NOT NULL, old boolean NOT NULL DEFAULT false);
         CREATE SCHEMA app;
         CREATE VIEW app.simple AS SELECT id, name FROM hidden_base WHERE NOT old WITH CHECK OPTION;
         CREATE VIEW app.checked AS SELECT id, name, old FROM hidden_base WHERE NOT old WITH CHECK OPTION;
         CREATE VIEW app.shouted AS SELECT id, upper(name) AS loud FROM hidden_base;
         CREATE VIEW app.counted AS SELECT count(*) AS n FROM hidden_base;
         CREATE FUNCTION app.write() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
            IF TG_OP = 'INSERT' THEN
                INSERT INTO public.hidden_base VALUES (NEW.id, lower(NEW.loud)); NEW.loud := upper(NEW.loud); RETURN NEW;
            ELSIF TG_OP = 'UPDATE' THEN
                UPDATE public.hidden_base SET name = lower(NEW.loud) WHERE id = OLD.id; NEW.loud := upper(NEW.loud); RETURN NEW;
            END IF;
            DELETE FROM public.hidden_base WHERE id = OLD.id; RETURN OLD;
         END $$;
         CREATE TRIGGER write INSTEAD OF INSERT OR UPDATE OR DELETE ON app.shouted FOR EACH ROW EXECUTE FUNCTION app.write();",
    )
    .await;
    let engine =
        database.engine_with(Settings { schemas: vec!["app".into()], ..Settings::default() }).await;
    for (table, column) in [("simple", "name"), ("shouted", "loud")] {
        let insert =
            json!({"table": table, "data": [{"id": 1, column: "a"}, {"id": 2, column: "b"}]});
        assert_eq!(
            call(&engine, "admin", "insert", insert).await.unwrap()["row_count"],
            2,
            "{table}"
        );
        let update = json!({"table": table, "where": {"id": 1}, "updates": {column: "c"}});
        let reply = call(&engine, "admin", "update", update).await.unwrap();
        let expected = if table == "simple" { "c" } else { "C" };
        assert_eq!(reply["rows"], json!([{"id": 1, column: expected}]));
        let many = json!({"table": table, "where": {"id": {"gt": 0}}});
        assert_eq!(refused(&engine, "delete", many).await.0, "too_many_rows");
        let twice = error(
            &engine,
            "admin",
            "insert",
            json!({"table": table, "data": {"id": 2, column: "x"}}),
        )
        .await;
        assert_eq!(twice["code"], "unique_violation");
        assert!(!twice.to_string().contains("hidden"), "{twice}");
        let null = json!({"table": table, "data": {"id": 3}});
        let null = error(&engine, "admin", "insert", null).await;
        let codes = ["missing_value", "not_null_violation"];
        assert!(codes.contains(&null["code"].as_str().unwrap()), "{null}");
        assert!(!null.to_string().contains("hidden"), "{null}");
        let delete = json!({"table": table, "where": {"id": {"gt": 0}}, "max_rows": 2});
        assert_eq!(
            call(&engine, "admin", "delete", delete).await.unwrap()["row_count"],
            2,
            "{table}"
        );
    }
    let outside = json!({"table": "checked", "data": {"id": 1, "name": "x", "old": true}});
    let reply = error(&engine, "admin", "insert", outside).await;
    assert_eq!((&reply["code"], &reply["sqlstate"]), (&json!("forbidden"), &json!("44000")));
    let counted =
        error(&engine, "admin", "insert", json!({"table": "counted", "data": {"n": 1}})).await;
    assert_eq!(counted["code"], "forbidden");
    assert_eq!(database.value("SELECT count(*)::text FROM hidden_base").await.unwrap(), "0");
}

#[tokio::test]
async fn an_expensive_pattern_is_stopped() {
    let database = Database::of(
        "CREATE TABLE texts (id integer PRIMARY KEY, body text);
         INSERT INTO texts SELECT n, repeat('a', 5000) || n FROM generate_series(1, 20) n;",
    )
    .await;
    let mut settings = Settings::default();
    settings.timeouts.statement = Duration::from_millis(50);
    let engine = database.engine_with(settings).await;
    let broken = json!({"table": "texts", "where": {"body": {"matches": "(unclosed"}}});
    assert_eq!(
        refused(&engine, "select", broken).await,
        ("invalid_value".into(), "/where/body/matches".into())
    );
    // References back make PostgreSQL try every division of a text: minutes, not milliseconds.
    let pattern = r"^(.*)(.*)(.*)\2\1\3[0-9]y?$";
    let slow = json!({"table": "texts", "where": {"body": {"matches": pattern}}});
    assert_eq!(refused(&engine, "select", slow).await.0, "timeout");
    let good = json!({"table": "texts", "where": {"id": 1}, "columns": ["id"]});
    assert_eq!(call(&engine, "admin", "select", good).await.unwrap()["row_count"], 1);
}
