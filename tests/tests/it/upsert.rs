//! Inserts with `on_conflict`.

use mcp_pg_core::error::Code;
use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, object, refused};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE member (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text NOT NULL UNIQUE, tenant integer,
        name text NOT NULL DEFAULT 'nobody', city text, archived_at timestamptz);
    INSERT INTO member (email, tenant, name, city, archived_at) VALUES
        ('a@x', 1, 'Ada', 'Bonn', NULL), ('b@x', 2, 'Bea', 'Lyon', NULL), ('c@x', 1, 'Cid', 'Oslo', '2025-01-01');";

fn upsert(data: Value) -> Value {
    json!({"table": "member", "data": data, "on_conflict": {"columns": ["email"], "do": "update"},
        "returning": ["email", "name"]})
}

async fn state(database: &Database) -> Option<String> {
    database.value("SELECT string_agg(m::text, ';' ORDER BY id) FROM member m").await
}

#[tokio::test]
async fn rows_that_the_caller_may_not_read_are_left_as_they_are() {
    let database = Database::of(FIXTURE).await;
    let grant = |actions: &[Action], rows: Option<Value>| Grant {
        tables: vec!["public.member".to_owned()],
        actions: actions.iter().copied().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    // The row condition stands with reading only.
    let grants = vec![
        grant(&[Action::Select], Some(json!({"tenant": "claim:tenant"}))),
        grant(&[Action::Insert, Action::Update], None),
    ];
    let roles = vec![Role { name: "clerk".to_owned(), grants, ..Role::default() }];
    let settings = Settings { roles, default_role: "clerk".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("x", "clerk").claim("tenant", 1);
    let before = state(&database).await;
    let mut dry = upsert(json!({"email": "b@x", "name": "mine"}));
    for dry_run in [true, false] {
        dry["dry_run"] = json!(dry_run);
        let reply = call_as(&engine, &clerk, "insert", dry.clone()).await.unwrap();
        assert_eq!((&reply["row_count"], &reply["rows"]), (&json!(0), &json!([])), "{reply}");
        assert!(!reply.to_string().contains("Bea"), "{reply}");
        assert!(reply["notes"][0].as_str().unwrap().ends_with("reach: 1"), "{reply}");
    }
    assert_eq!(state(&database).await, before);
    let own = upsert(json!({"email": "a@x", "name": "Ann"}));
    let reply = call_as(&engine, &clerk, "insert", own).await.unwrap();
    assert_eq!(reply["rows"], json!([{"email": "a@x", "name": "Ann"}]));
}

#[tokio::test]
async fn archived_rows_are_left_as_they_are() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let data = json!([{"email": "c@x", "name": "Cyd"}, {"email": "d@x", "name": "Dan"}]);
    let reply = call(&engine, "operator", "insert", upsert(data)).await.unwrap();
    assert_eq!(reply["rows"], json!([{"email": "d@x", "name": "Dan"}]));
    assert!(reply["notes"][0].as_str().unwrap().contains("archived"), "{reply}");
    let name = database.value("SELECT name FROM member WHERE email = 'c@x'").await;
    assert_eq!(name.as_deref(), Some("Cid"));
}

#[tokio::test]
async fn columns_that_a_row_does_not_give_are_not_overwritten() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let data =
        json!([{"email": "a@x", "name": "Ann"}, {"email": "b@x", "name": "Bob", "city": "Rome"}]);
    let before = state(&database).await;
    let told = error(&engine, "operator", "insert", upsert(data.clone())).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("missing_value"), &json!("/data/0/city")));
    assert_eq!(state(&database).await, before);
    // Only what all rows give is wanted of them; new rows get all.
    let mut named = upsert(data);
    named["on_conflict"]["update"] = json!(["name"]);
    let reply = call(&engine, "operator", "insert", named).await.unwrap();
    assert_eq!(reply["row_count"], 2);
    let cities = database.value("SELECT string_agg(city, ',' ORDER BY id) FROM member").await;
    assert_eq!(cities.as_deref(), Some("Bonn,Lyon,Oslo"));
}

#[tokio::test]
async fn the_columns_to_overwrite_may_repeat_but_not_be_none() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let mut named = upsert(json!({"email": "a@x", "name": "Ann", "city": "Rome"}));
    named["on_conflict"]["update"] = json!(["name", "name"]);
    let reply = call(&engine, "operator", "insert", named.clone()).await.unwrap();
    assert_eq!(reply["rows"], json!([{"email": "a@x", "name": "Ann"}]));
    named["on_conflict"]["update"] = json!([]);
    let told = error(&engine, "operator", "insert", named).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("missing_value"), &json!("/on_conflict/update"))
    );
}

#[tokio::test]
async fn the_condition_of_updates_is_for_rows_that_are_updated() {
    let parted = "
        CREATE TABLE parted (email text PRIMARY KEY, name text) PARTITION BY HASH (email);
        CREATE TABLE parted_all PARTITION OF parted FOR VALUES WITH (MODULUS 1, REMAINDER 0);
        INSERT INTO parted VALUES ('a@x', 'Ada')";
    // Nor does a row of which the login may read some columns only.
    let some = "CREATE TABLE partly (LIKE parted INCLUDING ALL); INSERT INTO partly SELECT * FROM parted;
        DO $$ BEGIN CREATE ROLE upsert_clerk; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
        GRANT ALL ON member, parted TO upsert_clerk; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO upsert_clerk;
        GRANT SELECT (email, name), INSERT (email, name), UPDATE (name) ON partly TO upsert_clerk";
    let database = Database::of(&format!("{FIXTURE}{parted};{some}")).await;
    let grant = |actions: &[Action], rows: Option<Value>| Grant {
        tables: vec!["public.*".to_owned()],
        actions: actions.iter().copied().collect(),
        rows: rows.map(object),
        ..Grant::default()
    };
    let grants = vec![
        grant(&[Action::Select, Action::Insert], None),
        grant(&[Action::Update], Some(json!({"name": {"starts_with": "A"}}))),
    ];
    let database_role = Some("upsert_clerk".to_owned());
    let roles = vec![Role { name: "clerk".to_owned(), grants, database_role, ..Role::default() }];
    let settings = Settings { roles, default_role: "clerk".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("x", "clerk");
    let version = json!({"table": "partly", "with_version": true});
    let told = call_as(&engine, &clerk, "select", version).await.unwrap_err();
    assert_eq!((told.code().as_str(), told.get_at()), ("invalid_value", Some("/with_version")));
    let rows = |names: [&str; 2]| json!([{"email": "a@x", "name": names[0]}, {"email": "n@x", "name": names[1]}]);
    for (table, names, how, code) in [
        // The new row may be called anything, the existing one must still begin so.
        ("member", ["Ann", "Zoe"], "update", Ok(2)),
        ("member", ["Zoe", "Ann"], "update", Err("forbidden")),
        ("member", ["Zoe", "Zoe"], "nothing", Ok(1)),
        // Rows of a partitioned table do not tell which they are.
        ("parted", ["Ann", "Zoe"], "update", Err("forbidden")),
        ("parted", ["Ann", "Amy"], "update", Ok(2)),
        ("parted", ["Zoe", "Zoe"], "nothing", Ok(1)),
        ("partly", ["Ann", "Zoe"], "update", Err("forbidden")),
        ("partly", ["Ann", "Amy"], "update", Ok(2)),
        ("partly", ["Zoe", "Zoe"], "nothing", Ok(1)),
    ] {
        let arguments = json!({"table": table, "data": rows(names), "dry_run": true,
            "on_conflict": {"columns": ["email"], "do": how}});
        let told = call_as(&engine, &clerk, "insert", arguments.clone()).await;
        let told = told.map(|reply| reply["row_count"].as_i64().unwrap());
        assert_eq!(
            told.as_ref().map_err(|error| error.code().as_str()),
            code.as_ref().map_err(|c| *c),
            "{arguments}"
        );
    }
}

/// Keys of some rows, of which one speaks of a column that roles may not see.
const PARTIAL: &str = r#"
    CREATE SCHEMA aside; CREATE FUNCTION aside.folded(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)';
    CREATE TYPE mood AS ENUM ('well', 'ill');
    CREATE TABLE person (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, email text, name text, k0 integer, "Odd ""name" mood,
        secret boolean DEFAULT false, archived_at timestamptz);
    CREATE UNIQUE INDEX ON person (email) WHERE archived_at IS NULL;
    CREATE UNIQUE INDEX ON person (k0, name) INCLUDE (email) WHERE "Odd ""name" = 'well' AND aside.folded(name) <> 'a"b?$1';
    CREATE UNIQUE INDEX ON person (k0) WHERE NOT secret;
    CREATE UNIQUE INDEX ON person (name) WHERE k0 > 1; CREATE UNIQUE INDEX ON person (name) WHERE k0 < 1;
    CREATE UNIQUE INDEX ON person (id, email) WHERE person IS NOT NULL;
    INSERT INTO person (email, name, k0, "Odd ""name", archived_at) VALUES
        ('a@x', 'Old', 1, 'ill', '2025-01-01'), ('a@x', 'Ada', 2, 'well', NULL), ('b@x', 'Gone', 3, 'well', '2025-01-01');"#;

#[tokio::test]
async fn a_key_of_some_rows_is_met_by_those() {
    let database = Database::of(PARTIAL).await;
    let engine = database.engine().await;
    let people = "SELECT string_agg(concat_ws(' ', id, email, name), ', ' ORDER BY id) FROM person";
    let upsert = |data: Value, columns: Value, how: &str| json!({"table": "person", "data": data, "on_conflict": {"columns": columns, "do": how}, "returning": ["email", "name"]});
    let both = json!([{"email": "a@x", "name": "Ann"}, {"email": "b@x", "name": "Bob"}]);
    let mut dry = upsert(both.clone(), json!(["email"]), "update");
    dry["dry_run"] = json!(true);
    let reply = call(&engine, "operator", "insert", dry).await.unwrap();
    assert_eq!(reply["before"], json!([{"email": "a@x", "name": "Ada"}]), "{reply}");
    assert_eq!(reply["after"], both, "{reply}");
    let reply =
        call(&engine, "operator", "insert", upsert(both.clone(), json!(["email"]), "update")).await;
    assert_eq!(reply.unwrap()["rows"], both);
    let found = database.value(people).await.unwrap();
    assert!(
        found.starts_with("1 a@x Old, 2 a@x Ann, 3 b@x Gone, ") && found.ends_with("b@x Bob"),
        "{found}"
    );
    let reply = call(&engine, "operator", "insert", upsert(both, json!(["email"]), "nothing"))
        .await
        .unwrap();
    assert_eq!(reply["row_count"], 0, "{reply}");
    let odd = json!({"k0": 2, "name": "Ann", "Odd \"name": "well", "email": "c@x"});
    let mut odd = upsert(odd, json!(["name", "k0"]), "update");
    for dry_run in [true, false] {
        odd["dry_run"] = json!(dry_run);
        let reply = call(&engine, "operator", "insert", odd.clone()).await.unwrap();
        assert_eq!(reply["rows"], json!([{"email": "c@x", "name": "Ann"}]), "{reply}");
    }
    for (columns, hint) in [(json!(["name"]), ""), (json!(["id", "email"]), "over an expression")] {
        let arguments = upsert(json!({"name": "x", "email": "y"}), columns, "nothing");
        let told = error(&engine, "operator", "insert", arguments).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!("invalid_value"), &json!("/on_conflict/columns")),
            "{told}"
        );
        assert!(told["hint"].as_str().unwrap_or_default().contains(hint), "{told}");
    }
}

#[tokio::test]
async fn a_partial_key_whose_predicate_uses_a_hidden_column_is_not_offered() {
    let database = Database::of(PARTIAL).await;
    let mut grant = Grant {
        tables: vec!["public.person".to_owned()],
        actions: [Action::Select, Action::Insert, Action::Update].into_iter().collect(),
        ..Grant::default()
    };
    grant.columns.exclude = vec!["secret".to_owned()];
    let roles = vec![Role { name: "clerk".to_owned(), grants: vec![grant], ..Role::default() }];
    let settings = Settings { roles, default_role: "clerk".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let clerk = Principal::new("x", "clerk");
    let arguments = json!({"table": "person", "data": {"name": "x"}, "on_conflict": {"columns": ["k0"], "do": "nothing"}});
    let told = call_as(&engine, &clerk, "insert", arguments).await.unwrap_err();
    assert_eq!(
        (told.code().as_str(), told.get_at()),
        ("invalid_value", Some("/on_conflict/columns"))
    );
    assert_eq!(
        told.get_allowed(),
        [r#"["id"]"#, r#"["email"]"#, r#"["name"]"#, r#"["k0","name"]"#]
    );
}

#[tokio::test]
async fn a_null_meets_a_null_where_the_key_says_so() {
    let database = Database::of(
        "CREATE TABLE slot (id integer PRIMARY KEY, room integer, day integer, UNIQUE NULLS NOT DISTINCT (room, day));
         CREATE TABLE loose (id integer PRIMARY KEY, room integer, day integer, UNIQUE (room, day));
         INSERT INTO slot VALUES (1, NULL, 1), (2, 5, 1); INSERT INTO loose SELECT * FROM slot;",
    )
    .await;
    let engine = database.engine().await;
    let upsert = |table: &str, dry_run: bool| {
        json!({"table": table, "data": [{"id": 8, "room": null, "day": 1}, {"id": 9, "room": 5, "day": 1}],
               "on_conflict": {"columns": ["room", "day"], "do": "update", "update": ["id"]}, "dry_run": dry_run})
    };
    let tried = call(&engine, "operator", "insert", upsert("slot", true)).await.unwrap();
    let before = json!([{"id": 1, "room": null, "day": 1}, {"id": 2, "room": 5, "day": 1}]);
    assert_eq!(tried["before"], before);
    call(&engine, "operator", "insert", upsert("slot", false)).await.unwrap();
    let ids = "SELECT string_agg(id::text, ',' ORDER BY id) FROM ";
    assert_eq!(database.value(&format!("{ids}slot")).await.unwrap(), "8,9");
    let tried = call(&engine, "operator", "insert", upsert("loose", true)).await.unwrap();
    assert_eq!(tried["before"], json!([{"id": 2, "room": 5, "day": 1}]));
    call(&engine, "operator", "insert", upsert("loose", false)).await.unwrap();
    assert_eq!(database.value(&format!("{ids}loose")).await.unwrap(), "1,8,9");
}

#[tokio::test]
async fn a_key_that_is_computed_is_not_a_place_in_the_arguments() {
    let database = Database::of(
        "CREATE TABLE label (id integer PRIMARY KEY, name text, slug text GENERATED ALWAYS AS (lower(name)) STORED UNIQUE);
         INSERT INTO label (id, name) VALUES (1, 'Tea'), (2, 'Cup');",
    )
    .await;
    let engine = database.engine().await;
    for (tool, arguments, at) in [
        ("insert", json!({"table": "label", "data": {"id": 3, "name": "TEA"}}), "/data"),
        (
            "update",
            json!({"table": "label", "where": {"id": 2}, "updates": {"name": "TEA"}}),
            "/updates",
        ),
    ] {
        let told = error(&engine, "operator", tool, arguments).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("unique_violation"), &json!(at)));
        let hint = told["hint"].as_str().unwrap();
        assert!(hint.contains("from other columns") && !hint.contains("on_conflict"), "{hint}");
    }
}

#[tokio::test]
async fn a_key_that_is_checked_later_is_told() {
    let engine = Database::of(
        "CREATE TABLE later (col integer UNIQUE DEFERRABLE INITIALLY IMMEDIATE); INSERT INTO later VALUES (1);
         CREATE MATERIALIZED VIEW never AS SELECT 1 AS one WITH NO DATA;",
    )
    .await
    .engine()
    .await;
    let skip = json!({"table": "later", "data": {"col": 1}, "on_conflict": {"do": "nothing"}});
    let reply = error(&engine, "admin", "insert", skip).await;
    assert_eq!(
        (&reply["code"], &reply["at"]),
        (&json!("invalid_value"), &json!("/on_conflict")),
        "{reply}"
    );
    let reply = error(&engine, "admin", "select", json!({"table": "never"})).await;
    assert!(reply["message"].as_str().unwrap().contains("never been refreshed"), "{reply}");
}

/// The default of a key says which row is meant, unless it is another at each call.
#[tokio::test]
async fn a_key_may_be_the_same_default_throughout_the_transaction() {
    let database = Database::of(
        "CREATE TABLE visits (page text, day date DEFAULT CURRENT_DATE, n integer, UNIQUE (page, day));
         CREATE TABLE picked (page text, at timestamptz DEFAULT clock_timestamp(), n integer, UNIQUE (page, at));",
    )
    .await;
    let engine = database.engine().await;
    let count = |table: &str, second: &str| {
        json!({"table": table, "data": {"page": "home", "n": {"$increment": 1}},
            "on_conflict": {"columns": ["page", second], "do": "update"}})
    };
    for n in 1..=2 {
        let reply = call(&engine, "operator", "insert", count("visits", "day")).await.unwrap();
        assert_eq!(reply["rows"][0]["n"], n);
    }
    let refused = refused(&engine, "insert", count("picked", "at")).await;
    assert_eq!(refused, ("missing_value".into(), "/data/at".into()));
}

/// As Prisma, Hasura and SQL have it: an existing row is set to something else than a new one.
#[tokio::test]
async fn existing_rows_are_set_as_by_an_update() {
    let database = Database::of(
        "CREATE TABLE owner (id integer PRIMARY KEY, name text);
         CREATE TABLE stock (sku text PRIMARY KEY, quantity integer NOT NULL, price numeric, name text, tags text[],
            meta jsonb, seen timestamptz, owner_id integer REFERENCES owner, version integer NOT NULL DEFAULT 1);
         INSERT INTO stock VALUES ('a', 5, 10, 'old', '{x}', '{\"k\": 1}');",
    )
    .await;
    let engine = database.engine().await;
    let upsert = |update: Value| {
        json!({"table": "stock", "data": [{"sku": "a", "quantity": 100}, {"sku": "b", "quantity": 7}],
            "on_conflict": {"columns": ["sku"], "do": "update", "update": update},
            "returning": ["sku", "quantity", "price", "name", "tags", "meta", "version"]})
    };
    let update = json!({"quantity": {"$increment": 3}, "price": {"$compute": {"multiply": ["price", 2]}},
        "name": "x", "tags": {"$append": "y"}, "meta": {"n": [1]}, "seen": {"$now": true}});
    let met = json!({"sku": "a", "quantity": 8, "price": 20, "name": "x", "tags": ["x", "y"], "meta": {"n": [1]}, "version": 2});
    let new = json!({"sku": "b", "quantity": 7, "price": null, "name": null, "tags": null, "meta": null, "version": 1});
    let mut dry = upsert(update.clone());
    dry["dry_run"] = json!(true);
    let reply = call(&engine, "operator", "insert", dry).await.unwrap();
    assert_eq!(reply["after"], json!([met, new]));
    assert_eq!(reply["before"][0]["quantity"], 5);
    let reply = call(&engine, "operator", "insert", upsert(update.clone())).await.unwrap();
    assert_eq!(reply["rows"], json!([met, new]));
    // As text, and with a value of an earlier operation.
    let operations = json!({"operations": [
        {"operation": "select", "as": "b", "table": "stock", "where": {"sku": "b"}},
        {"operation": "insert", "table": "stock", "data": {"sku": "a", "quantity": 0}, "returning": ["quantity"],
         "on_conflict": {"columns": ["sku"], "do": "update", "update": {"quantity": {"$increment": {"$ref": "b.quantity"}}}}}]});
    let reply = call(&engine, "admin", "transaction", operations).await.unwrap();
    assert_eq!(reply["results"][1]["rows"], json!([{"quantity": 15}]));
    let text = call(&engine, "operator", "insert", upsert(json!("{\"quantity\": 1}"))).await;
    assert_eq!(text.unwrap()["rows"][0]["quantity"], 1);

    for (update, code, at) in [
        (json!({}), "missing_value", ""),
        (json!("quantity"), "invalid_value", ""),
        (json!([1]), "invalid_value", "/0"),
        (json!({"nme": 1}), "unknown_column", "/nme"),
        (json!({"version": 1}), "read_only_column", "/version"),
        (json!({"quantity": "many"}), "invalid_value", "/quantity"),
        (json!({"quantity": null}), "not_null_violation", "/quantity"),
        (json!({"quantity": {"$inc": 1}}), "unknown_operator", "/quantity/$inc"),
        (json!({"sku": "c"}), "invalid_value", "/sku"),
        (json!({"meta": {"$merge": {"a": 1}}}), "invalid_value", "/meta"),
        (json!({"name": {"$column": "owner.name"}}), "invalid_value", "/name"),
    ] {
        let found = refused(&engine, "insert", upsert(update.clone())).await;
        assert_eq!(found, (code.to_owned(), format!("/on_conflict/update{at}")), "{update}");
    }
}

#[tokio::test]
async fn a_refused_value_is_told_where_it_stands() {
    let database = Database::of(
        "CREATE TABLE stock (id integer PRIMARY KEY, left_over integer NOT NULL DEFAULT 1 CHECK (left_over >= 0), top integer,
            note text, made integer GENERATED ALWAYS AS IDENTITY UNIQUE);
         INSERT INTO stock VALUES (1, 1, NULL, 'x');
         CREATE VIEW noted AS SELECT id, note FROM stock WHERE note IS NOT NULL;",
    )
    .await;
    let engine = database.engine().await;
    let upsert = |data: Value, update: Value| json!({"table": "stock", "data": data, "on_conflict": {"columns": ["id"], "do": "update", "update": update}});
    let less = json!({"left_over": {"$increment": -2}});
    for (arguments, at, hint) in [
        (upsert(json!({"id": 1}), less.clone()), "/on_conflict/update/left_over", None),
        (
            upsert(json!({"id": 1, "left_over": 5}), less.clone()),
            "/data/left_over",
            Some("or at /on_conflict/update/left_over, if the row exists already"),
        ),
        (upsert(json!({"id": 1, "left_over": -5}), json!(["left_over"])), "/data/left_over", None),
        (
            upsert(json!({"id": 1, "left_over": 5}), json!({"left_over": {"$column": "top"}})),
            "/on_conflict/update/left_over",
            None,
        ),
        (
            upsert(json!({"id": 1, "note": "y", "left_over": {"$increment": 2}}), json!(["note"])),
            "/data/left_over/$increment",
            Some("name left_over in on_conflict.update, too"),
        ),
        (
            json!({"table": "stock", "data": {"id": 1, "left_over": {"$increment": 2}}}),
            "/data/left_over/$increment",
            Some("{\"columns\": [\"id\"], \"do\": \"update\"}"),
        ),
        (
            json!({"table": "stock", "data": {"id": 1}, "on_conflict": {"columns": ["made"], "do": "update", "update": {"note": "z"}}}),
            "/data/made",
            Some("no row can give it: name another key"),
        ),
        (
            json!({"table": "noted", "data": {"id": 1, "note": "y"}, "on_conflict": {"columns": ["id"], "do": "update"}}),
            "/on_conflict/columns",
            Some("only one that shows all rows of its table"),
        ),
    ] {
        let told = error(&engine, "operator", "insert", arguments.clone()).await;
        assert_eq!(told["at"], at, "{arguments}: {told}");
        match hint {
            Some(hint) => assert!(told["hint"].as_str().unwrap().contains(hint), "{told}"),
            None => assert!(told["hint"].is_null(), "{told}"),
        }
    }
}

#[tokio::test]
async fn what_existing_rows_are_set_to_is_for_the_role_to_write() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role::everywhere("clerk", Action::ALL);
    let writable = ["email", "name", "city", "tenant"].map(str::to_owned).to_vec();
    role.grants[0].columns = ColumnRules {
        mask: [("city".to_owned(), Mask::Null)].into(),
        writable: Some(writable),
        ..ColumnRules::default()
    };
    role.grants[0].preset = [("tenant".to_owned(), json!(1))].into();
    role.grants[0].actions = [Action::Select, Action::Insert, Action::Update].into_iter().collect();
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let clerk = Principal::new("ann", "clerk");
    let upsert = |update: Value| {
        let mut all = upsert(json!({"email": "b@x", "name": "new"}));
        all["on_conflict"]["update"] = update;
        call_as(&engine, &clerk, "insert", all)
    };
    for (update, code) in [
        (json!({"tenant": 7}), Code::ReadOnlyColumn),
        (json!({"city": {"$append": "x"}}), Code::Forbidden),
        (json!({"city": null}), Code::InvalidValue),
    ] {
        assert_eq!(upsert(update.clone()).await.unwrap_err().code(), code, "{update}");
    }
    assert_eq!(upsert(json!({"name": {"$append": "!"}})).await.unwrap()["row_count"], 1);
    let row = "SELECT concat_ws(' ', tenant, name, city) FROM member WHERE email = 'b@x'";
    assert_eq!(database.value(row).await.unwrap(), "1 Bea! Lyon");
}
