//! Values that a constraint, a type, a trigger or a view refuses.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_tests::{Database, call, error, grant, refused, rows};
use serde_json::{Value, json};

use super::{RULES, check};

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
            (json!({"full_name": "unfilled", "filled": null}), "not_null_violation", "/filled"),
            (json!({"low": 0}), "check_violation", "/low"),
            (json!({"low": 5, "high": 4}), "check_violation", ""),
            (json!({"other_share": 101}), "check_violation", "/other_share"),
            (json!({"share": -1}), "check_violation", "/share"),
            (json!({"during": "[2020-06-01,2020-07-01)"}), "exclusion_violation", "/during"),
        ],
    )
    .await;
    let null = json!({"table": "rules", "where": {"id": 1}, "updates": {"full_name": "unfilled", "filled": null}});
    // A null that never reaches PostgreSQL has the same code as one that it refuses.
    assert_eq!(error(&engine, "admin", "update", null).await["sqlstate"], "23502");
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
async fn triggers_fill_refuse_and_skip() {
    let database = Database::of(RULES).await;
    let engine = database.engine().await;
    let insert = |name: &str| json!({"table": "rules", "data": {"id": 5, "full_name": name}});
    for (name, code, state, message) in [
        ("refused", "database_error", "P0001", "names such as refused are not wanted"),
        ("coded", "database_error", "45000", "no more seats"),
        ("checked", "check_violation", "23514", "the office is closed"),
        ("told", "database_error", "P0001", "it is too late (we close at six)"),
        ("asserted", "database_error", "P0004", "nobody has such a name"),
    ] {
        let reply = error(&engine, "admin", "insert", insert(name)).await;
        assert_eq!((&reply["code"], &reply["sqlstate"]), (&json!(code), &json!(state)));
        assert_eq!((&reply["message"], &reply["at"]), (&json!(message), &json!("/data")));
        let hint = (name == "checked").then_some("come on Monday");
        assert_eq!(reply.get("hint").and_then(Value::as_str), hint, "{reply}");
    }
    let share = json!({"table": "rules", "data": {"id": 5, "share": 101}});
    let reply = error(&engine, "admin", "insert", share).await;
    let rule = "the rules of public.percent: CHECK (VALUE >= 0 AND VALUE <= 100)";
    assert!(reply["message"].as_str().unwrap().contains(rule), "{reply}");
    let broken = error(&engine, "admin", "insert", insert("broken")).await;
    assert_eq!((&broken["code"], &broken["sqlstate"]), (&json!("database_error"), &json!("42P01")));
    assert!(
        !broken.to_string().contains("hidden") && !broken.to_string().contains("secret"),
        "{broken}"
    );
    let skipped = call(&engine, "admin", "insert", insert("skipped")).await.unwrap();
    assert_eq!((&skipped["row_count"], &skipped["rows"]), (&json!(0), &json!([])));
    let list = json!([{"id": 70, "filled": "x"}, {"id": 71, "full_name": "unfilled"}]);
    let left = error(&engine, "admin", "insert", json!({"table": "rules", "data": list})).await;
    assert_eq!(
        (&left["code"], &left["at"]),
        (&json!("missing_value"), &json!("/data/1/filled")),
        "{left}"
    );
    let filled = call(&engine, "admin", "insert", insert("kept")).await.unwrap();
    assert_eq!(rows(&filled)[0]["filled"], "by trigger");
}

/// As an Oracle export has it: the trigger gives the key and keeps a date.
#[tokio::test]
async fn a_null_that_a_trigger_may_fill_is_for_postgresql_to_refuse() {
    let database = Database::of(
        "CREATE SEQUENCE numbers START 1200;
         CREATE TABLE job (no numeric(12) PRIMARY KEY, name text NOT NULL, changed date NOT NULL DEFAULT '2020-01-01');
         CREATE FUNCTION numbered() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN
            new.no := coalesce(new.no, nextval('numbers'));
            new.changed := coalesce(new.changed, '2020-02-02');
            RETURN new;
         END $$;
         CREATE TRIGGER numbered BEFORE INSERT ON job FOR EACH ROW EXECUTE FUNCTION numbered();
         CREATE TABLE kept (id integer PRIMARY KEY, changed date NOT NULL);
         INSERT INTO kept VALUES (1, '2020-01-01');
         CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN new.changed := coalesce(new.changed, '2020-02-02'); RETURN new; END $$;
         CREATE TRIGGER keep BEFORE UPDATE ON kept FOR EACH ROW EXECUTE FUNCTION keep();",
    )
    .await;
    let engine = database.engine().await;
    let new = json!({"table": "job", "data": [{"no": null, "name": "a", "changed": null}]});
    let reply = call(&engine, "admin", "insert", new.clone()).await.unwrap();
    assert_eq!(rows(&reply), [json!({"no": 1200, "name": "a", "changed": "2020-02-02"})]);
    let nameless = json!({"table": "job", "data": {"no": null, "name": null}});
    let told = error(&engine, "admin", "insert", nameless).await;
    assert_eq!(
        (&told["code"], &told["at"], &told["sqlstate"]),
        (&json!("not_null_violation"), &json!("/data/name"), &json!("23502"))
    );
    // It does not say which row to update.
    let mut upsert = new;
    upsert["on_conflict"] = json!({"columns": ["no"], "do": "update"});
    let (code, at) = refused(&engine, "insert", upsert).await;
    assert_eq!((code.as_str(), at.as_str()), ("missing_value", "/data/0/no"));

    let change = |table: &str, row: Value| json!({"table": table, "where": row, "updates": {"changed": null}});
    let reply = call(&engine, "admin", "update", change("kept", json!({"id": 1}))).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "changed": "2020-02-02"})]);
    // Its trigger is for new rows alone.
    let told = refused(&engine, "update", change("job", json!({"no": 1200}))).await;
    assert_eq!(told, ("not_null_violation".into(), "/updates/changed".into()));
}

#[tokio::test]
async fn bit_strings_have_their_length() {
    let database =
        Database::of("CREATE TABLE flags (id integer, f bit(8), v bit varying(3))").await;
    let engine = database.engine().await;
    for (column, value) in [("f", "101"), ("f", "101010101"), ("v", "1010")] {
        let arguments = json!({"table": "flags", "data": [{"id": 1}, {"id": 2, column: value}]});
        let told = refused(&engine, "insert", arguments).await;
        assert_eq!(told, ("invalid_value".into(), format!("/data/1/{column}")));
    }
    let fitting = json!({"table": "flags", "data": {"f": "10101010", "v": "10"}});
    assert_eq!(call(&engine, "admin", "insert", fitting).await.unwrap()["row_count"], 1);
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
async fn partitions_refuse_under_the_names_of_their_table() {
    let engine = Database::of(
        "CREATE TABLE device (id integer PRIMARY KEY);
         CREATE TABLE reading (device_id integer REFERENCES device, at date, level integer CHECK (level < 9),
           PRIMARY KEY (device_id, at)) PARTITION BY RANGE (at);
         CREATE TABLE reading_2024 PARTITION OF reading FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE alarm (id integer PRIMARY KEY, device_id integer, at date,
           FOREIGN KEY (device_id, at) REFERENCES reading);
         INSERT INTO device VALUES (1); INSERT INTO reading VALUES (1, '2024-01-01');
         INSERT INTO alarm VALUES (1, 1, '2024-01-01');",
    )
    .await
    .engine()
    .await;
    let row = |device: u32, at: &str, level: u32| json!({"table": "reading", "data": {"device_id": device, "at": at, "level": level}});
    let key =
        json!({"table": "reading", "where": {"device_id": 1}, "updates": {"at": "2024-02-02"}});
    for (tool, arguments, code, at, constraint) in [
        (
            "insert",
            row(2, "2024-05-05", 1),
            "foreign_key_violation",
            "/data/device_id",
            "reading_device_id_fkey",
        ),
        ("insert", row(1, "2024-01-01", 1), "unique_violation", "/data", "reading_pkey"),
        (
            "insert",
            row(1, "2024-05-05", 9),
            "check_violation",
            "/data/level",
            "reading_level_check",
        ),
        ("insert", row(1, "2030-05-05", 1), "check_violation", "/data/at", ""),
        ("update", key, "foreign_key_violation", "/updates", "alarm_device_id_at_fkey"),
    ] {
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        let found = [&told["code"], &told["at"], &told["constraint"]].map(|value| value.as_str());
        assert_eq!(
            found.map(Option::unwrap_or_default),
            [code, at, constraint],
            "{arguments}: {told}"
        );
    }
}

#[tokio::test]
async fn an_error_in_a_triggers_table_is_not_reported_as_the_tables() {
    let database = Database::of(
        "CREATE TABLE orders (id integer PRIMARY KEY, amount integer, note text, CONSTRAINT amount_ok CHECK (amount < 100));
         CREATE TABLE ledger (id integer, amount integer, note text NOT NULL, CONSTRAINT amount_ok CHECK (amount > 5));
         CREATE FUNCTION book() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO ledger VALUES (NEW.id, NEW.amount, NEW.note); RETURN NEW; END $$;
         CREATE TRIGGER book AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION book();",
    )
    .await;
    let engine = database.engine().await;
    let tried = async |data: Value| {
        error(&engine, "operator", "insert", json!({"table": "orders", "data": data})).await
    };
    let missing = tried(json!({"id": 1, "amount": 10})).await;
    assert_eq!((&missing["code"], &missing["at"]), (&json!("not_null_violation"), &json!("/data")));
    let other = tried(json!({"id": 1, "amount": 1, "note": "x"})).await;
    assert_eq!((&other["code"], &other["at"]), (&json!("check_violation"), &json!("/data")));
    // It is told of a table whose rows and columns the role sees.
    assert_eq!(other["constraint"], "amount_ok");
    assert_eq!(
        other["message"],
        "a row of ledger, which is written with it, violates CHECK (amount > 5)"
    );
    for (rows, hidden) in [(Some(json!({"id": 7})), vec![]), (None, vec!["amount".to_owned()])] {
        let mut grants: Vec<Grant> = ["public.orders", "public.ledger"]
            .map(|table| grant(&[table], &[Action::Select, Action::Insert]))
            .into();
        grants[1].rows = rows.as_ref().and_then(Value::as_object).cloned();
        grants[1].columns.exclude = hidden;
        let role = Role { name: "clerk".into(), grants, ..Role::default() };
        let engine =
            database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
        let data = json!({"table": "orders", "data": {"id": 1, "amount": 1, "note": "x"}});
        let told = error(&engine, "clerk", "insert", data).await;
        assert_eq!(told["code"], "check_violation");
        assert!(told.get("constraint").is_none_or(Value::is_null), "{told}");
    }
    let own = tried(json!({"id": 1, "amount": 100, "note": "x"})).await;
    assert_eq!((&own["constraint"], &own["at"]), (&json!("amount_ok"), &json!("/data/amount")));
}

/// The row that a trigger writes lacks the row that it refers to, or violates a check: the row itself is not referred to.
#[tokio::test]
async fn what_a_trigger_writes_is_told_by_its_own_table() {
    let database = Database::of(
        "CREATE TABLE customer (id integer PRIMARY KEY);
         CREATE TABLE orders (id integer PRIMARY KEY, x integer);
         CREATE TABLE line (order_id integer REFERENCES orders ON UPDATE CASCADE, customer_id integer CONSTRAINT whose REFERENCES customer,
                            n integer, CONSTRAINT few CHECK (n < 9));
         INSERT INTO customer VALUES (1); INSERT INTO orders VALUES (1, 1), (2, NULL);
         CREATE FUNCTION book() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO line VALUES (NEW.id, NEW.x); RETURN NEW; END $$;
         CREATE TRIGGER book AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION book();
         CREATE VIEW taken AS SELECT order_id * 1 AS id, customer_id * 1 AS customer, n * 1 AS n FROM line;
         CREATE FUNCTION take() RETURNS trigger LANGUAGE plpgsql AS $$
         BEGIN INSERT INTO line VALUES (NEW.id, NEW.customer, NEW.n); RETURN NEW; END $$;
         CREATE TRIGGER take INSTEAD OF INSERT ON taken FOR EACH ROW EXECUTE FUNCTION take();",
    )
    .await;
    let engine = database.engine().await;
    let missing = "customer_id of a row of line, which is written with it, must be the id of a row of customer, and there is no such row";
    let few = "a row of line, which is written with it, violates CHECK (n < 9)";
    for (tool, arguments, at, constraint, message) in [
        (
            "update",
            json!({"table": "orders", "where": {"id": 1}, "updates": {"x": 7}}),
            "/updates",
            "whose",
            missing,
        ),
        (
            "insert",
            json!({"table": "orders", "data": {"id": 3, "x": 7}}),
            "/data",
            "whose",
            missing,
        ),
        (
            "insert",
            json!({"table": "taken", "data": {"id": 1, "customer": 7}}),
            "/data",
            "whose",
            missing,
        ),
        (
            "insert",
            json!({"table": "taken", "data": {"id": 1, "customer": 1, "n": 9}}),
            "/data",
            "few",
            few,
        ),
    ] {
        let told = error(&engine, "operator", tool, arguments.clone()).await;
        let found = [&told["at"], &told["constraint"], &told["message"]];
        assert_eq!(found, [at, constraint, message], "{arguments}: {told}");
        assert!(told.get("hint").is_none_or(Value::is_null), "{told}");
    }
}

#[tokio::test]
async fn a_list_of_values_and_the_row_that_a_key_refers_to_are_told() {
    let database = Database::of(
        "CREATE TABLE country (code char(2) PRIMARY KEY, name text);
         CREATE TABLE employee (id integer PRIMARY KEY, full_name text);
         CREATE TABLE shop (id integer PRIMARY KEY, kind text CHECK (kind IN ('cafe', 'office')),
           country_code char(2) REFERENCES country, rep_id integer REFERENCES employee);
         INSERT INTO shop VALUES (1);",
    )
    .await;
    let engine = database.engine().await;
    let values = |column: &str, value: Value| {
        [
            ("insert", "data", json!({"table": "shop", "data": {"id": 2, column: value}})),
            (
                "insert",
                "data/1",
                json!({"table": "shop", "data": [{"id": 3}, {"id": 2, column: value}]}),
            ),
            (
                "update",
                "updates",
                json!({"table": "shop", "where": {"id": 1}, "updates": {column: value}}),
            ),
        ]
    };
    for (tool, _, arguments) in values("kind", json!("cafee")) {
        let told = error(&engine, "admin", tool, arguments).await;
        assert_eq!(told["code"], "check_violation", "{told}");
        assert_eq!(told["allowed"], json!(["cafe", "office"]), "{told}");
        if tool == "update" {
            assert_eq!(told["did_you_mean"], "cafe", "{told}");
        }
    }
    for (column, value, hint) in [
        (
            "country_code",
            json!("Germany"),
            "country_code is the code of a row of public.country: select it where {\"name\": \"Germany\"}",
        ),
        (
            "rep_id",
            json!({"full_name": "Jo"}),
            "rep_id is the id of a row of public.employee: select it where {\"full_name\":\"Jo\"}",
        ),
        (
            "rep_id",
            json!({"table": "employee", "where": {"full_name": "Jo"}}),
            "select it where {\"full_name\":\"Jo\"}",
        ),
        ("rep_id", json!({"name": "Jo"}), "select it where {…}"),
    ] {
        for (tool, place, arguments) in values(column, value) {
            let told = error(&engine, "admin", tool, arguments).await;
            assert_eq!(told["at"], json!(format!("/{place}/{column}")), "{told}");
            assert!(told["hint"].as_str().is_some_and(|told| told.contains(hint)), "{told}");
        }
    }
}
