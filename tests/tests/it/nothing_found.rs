//! Notes in replies without rows, and on writes that may not be what was meant.

use mcp_pg_core::policy::Settings;
use mcp_pg_tests::{Database, call};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text);
    CREATE TABLE orders (order_id integer PRIMARY KEY, customer_id integer REFERENCES customer, total integer,
        note text, placed timestamptz, details jsonb, words tsvector,
        label text COLLATE any_case);";

/// What is said where nothing was found, since the condition may not say what was meant.
#[tokio::test]
async fn a_condition_that_finds_nothing() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let cases = [
        (json!({"note": "%x%"}), Some("{\"ilike\": \"%x%\"}")),
        (json!({"note": {"like": "x"}}), Some("{\"like\": \"%x%\"}")),
        (json!({"placed": "2024-01-31"}), Some("\"gte\": \"2024-01-31\"")),
        (json!({"details": {"eq": {"a": 1}}}), Some("\"contains\"")),
        (json!({"customer": {"name": "A%"}}), Some("ilike")),
        (json!({"words": "fresh fish"}), Some("{\"search\": \"fresh fish\"}")),
        (json!({"words": {"search": "fish"}}), None),
        (json!({"words": {"search": "riv:*"}}), Some("search takes whole words")),
        (json!({"note": {"search": "fish & chips"}}), Some("search takes whole words")),
        (json!({"note": "ilike.*fish*"}), Some("{\"note\": {\"ilike\":\"%fish%\"}}")),
        (json!({"note": "!=new"}), Some("{\"note\": {\"ne\": \"new\"}}")),
        (json!({"note": ">= b"}), Some("{\"note\": {\"gte\": \"b\"}}")),
        (json!({"details": "x"}), Some("\"path\": [\"key\"]")),
        (json!({"details": {"path": ["n"], "eq": 3}}), Some("\"3\" in quotes")),
        (json!({"details": {"path": ["n"], "eq": true}}), Some("\"true\" in quotes")),
        (json!({"note": "null"}), Some("{\"note\": null}, without quotes")),
        (json!({"details": {"path": ["n"], "eq": "3"}}), Some("without quotes")),
        (json!({"details": {"path": ["n"], "in": ["3", "4"]}}), Some("without quotes")),
        (json!({"details": {"path": ["n"], "ne": "true"}}), Some("without quotes")),
        (json!({"details": {"path": ["n"], "eq": "three"}}), None),
        (
            json!({"details": {"path": ["items", "sku"], "eq": "K"}}),
            Some("{\"details\": {\"contains\": {\"items\": [{\"sku\": \"K\"}]}}}"),
        ),
        (
            json!({"details": {"path": ["items", "n"], "gt": 1}}),
            Some("\"path\": [\"items\", 0, \"n\"]"),
        ),
        (json!({"details": {"path": ["items", 0], "eq": "K"}}), None),
        (json!({"note": {"ne": "x"}}), Some("{\"is_distinct_from\": …}")),
        (json!({"total": {"not_in": [1, 2]}}), Some("{\"total\": null}")),
        (json!({"not": {"note": "x"}}), Some("where note is null")),
        (json!({"customer": {"not": {"or": [{"name": "x"}]}}}), Some("where name is null")),
        (json!({"order_id": {"ne": 1}}), None),
        (json!({"not": {"order_id": {"in": [1]}}}), None),
        (json!({"not": {"note": null}}), None),
        (json!({"note": {"is_distinct_from": "x"}}), None),
        (json!({"note": "x_1"}), Some("{\"note\": {\"ilike\": \"x\\\\_1\"}}")),
        (json!({"note": {"contains": "Ä"}}), Some("{\"ilike\": \"%Ä%\"}")),
        (json!({"note": "14"}), None),
        (json!({"note": "x".repeat(3_000)}), None),
        (json!({"note": {"ilike": "x%"}}), None),
        (json!({"label": "x"}), None),
        (json!({"details": {"path": ["n"], "eq": 1}}), Some("\"1\" in quotes")),
        (json!({"placed": "2024-01-31T10:00:00Z"}), None),
    ];
    for (condition, suggested) in cases {
        let select = json!({"table": "orders", "where": condition});
        let mut count = select.clone();
        count["measures"] = json!({"n": {"count": "*"}, "most": {"max": "total"}});
        let mut update = select.clone();
        update["updates"] = json!({"total": 1});
        for (tool, arguments) in [("select", &select), ("aggregate", &count), ("update", &update)] {
            let told = call(&engine, "admin", tool, arguments.clone()).await.unwrap();
            let note = told.pointer("/notes/0").and_then(Value::as_str);
            // Of a write it is always said.
            let suggested = suggested.or((tool == "update").then_some("no row matches where"));
            assert_eq!(note.is_some(), suggested.is_some(), "{arguments}: {told}");
            assert!(note.unwrap_or_default().contains(suggested.unwrap_or_default()), "{told}");
        }
    }
}

#[tokio::test]
async fn a_path_does_not_lead_into_the_elements_of_a_list() {
    let database = Database::of(
        "CREATE TABLE event (id integer PRIMARY KEY, payload jsonb);
         INSERT INTO event VALUES (1, '{\"items\": [{\"sku\": \"K\"}]}')",
    )
    .await;
    let engine = database.engine().await;
    let by = |path: Value| {
        json!({"table": "event", "measures": {"n": {"count": "*"}},
        "group_by": [{"column": "payload", "path": path, "each": true}]})
    };
    let told = call(&engine, "admin", "aggregate", by(json!(["items", "sku"]))).await.unwrap();
    let note = told["notes"][0].as_str().unwrap_or_default();
    let list = r#"{"column": "payload", "path": ["items"], "each": true}"#;
    assert!(note.contains(list), "{told}");
    let told = call(&engine, "admin", "aggregate", by(json!(["items"]))).await.unwrap();
    assert_eq!((&told["row_count"], told.get("notes")), (&json!(1), None), "{told}");
    let condition = json!({"payload": {"contains": {"items": [{"sku": "K"}]}}});
    let found = call(&engine, "admin", "select", json!({"table": "event", "where": condition}));
    assert_eq!(found.await.unwrap()["row_count"], 1);
}

/// Archived rows are not looked at: whoever finds nothing is told so.
#[tokio::test]
async fn rows_may_be_archived() {
    let engine = Database::of(
        "CREATE TABLE patients (id integer PRIMARY KEY, mrn text, archived_at timestamptz);
         CREATE TABLE admissions (id integer PRIMARY KEY, patient_id integer NOT NULL REFERENCES patients);
         INSERT INTO patients VALUES (1, 'A', now()), (2, 'B', NULL);
         INSERT INTO admissions VALUES (1, 1), (2, 2);",
    )
    .await
    .engine()
    .await;
    let note = async |tool: &str, arguments: Value| {
        let told = call(&engine, "admin", tool, arguments).await.unwrap();
        told.pointer("/notes/0").and_then(Value::as_str).map(str::to_owned)
    };
    let select = |condition: Value| json!({"table": "patients", "where": condition});
    let told = note("select", select(json!({"mrn": "A"}))).await.unwrap();
    assert!(told.contains("archived rows were left out"), "{told}");
    let mut count = select(json!({"mrn": "A"}));
    count["measures"] = json!({"n": {"count": "*"}});
    assert_eq!(note("aggregate", count).await.unwrap(), told);
    assert_eq!(note("select", select(json!({"mrn": "B"}))).await, None);
    let mut whole = select(json!({"mrn": "3"}));
    whole["archived"] = json!("include");
    assert_eq!(note("select", whole).await, None);
    let of_patient = |mrn: &str| json!({"table": "admissions", "where": {"patient": {"mrn": mrn}}});
    let told = call(&engine, "admin", "select", of_patient("A")).await.unwrap().to_string();
    assert!(told.contains("rows whose patient is archived are left out"), "{told}");
    let admitted = |mrn: &str| json!({"admissions": {"some": {"patient": {"mrn": mrn}}}});
    let told = note("select", select(admitted("A"))).await.unwrap();
    assert!(told.contains("archived rows were left out"), "{told}");

    let admissions =
        |patient: Value| json!({"table": "admissions", "include": {"patient": patient}});
    let told = note("select", admissions(json!(true))).await.unwrap();
    assert!(told.starts_with("patient is null if"), "{told}");
    assert_eq!(note("select", admissions(json!({"archived": "include"}))).await, None);
    let told = note("select", admissions(json!({"where": {"mrn": "B"}}))).await.unwrap();
    assert!(told.contains("if it does not meet its where"), "{told}");
    let mut second = admissions(json!(true));
    second["where"] = json!({"id": 2});
    assert_eq!(note("select", second).await, None);
}

/// Groups are made of rows.
#[tokio::test]
async fn no_group_is_empty() {
    let engine = Database::of(
        "CREATE TABLE visits (id integer PRIMARY KEY, place text);
         INSERT INTO visits VALUES (1, 'here');",
    )
    .await
    .engine()
    .await;
    for (having, noted) in [
        (json!({"n": 0}), true),
        (json!({"n": {"lt": 1}}), true),
        (json!({"n": {"lte": 0}}), true),
        (json!({"or": [{"n": 0}, {"n": {"gt": 5}}]}), true),
        (json!({"n": 2}), false),
        (json!({"n": {"gt": 1}}), false),
        (json!({"ids": 0}), false),
        // The number of rows with a value: a group may have others.
        (json!({"ids_given": 0}), false),
        (json!({"not": {"n": {"gt": 0}}}), false),
    ] {
        let arguments = json!({"table": "visits", "group_by": ["place"], "having": having,
            "measures": {"n": {"count": "*"}, "ids": {"sum": "id"}, "ids_given": {"count": "id"}}});
        let told = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
        assert_eq!(told["rows"], json!([]), "{having}");
        let note = told["notes"][0].as_str().unwrap_or_default();
        assert_eq!(note.contains("at least one row"), noted, "{having}: {told}");
    }
}

const NOTHING: [Value; 0] = [];

/// A measure without values says nothing about the rows that match.
#[tokio::test]
async fn a_measure_of_nothing_is_not_that_no_row_matches() {
    let engine = Database::of(
        "CREATE TABLE people (id integer PRIMARY KEY, name text, score integer, vip boolean, archived_at timestamptz);
         INSERT INTO people VALUES (1, 'Ann', NULL, false, NULL);",
    )
    .await
    .engine()
    .await;
    let notes = async |condition: Value, measure: Value, more: Value| {
        let mut arguments =
            json!({"table": "people", "where": condition, "measures": {"n": measure}});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let told = call(&engine, "admin", "aggregate", arguments).await.unwrap();
        told["notes"].as_array().cloned().unwrap_or_default()
    };
    let none = json!({});
    for measure in [
        json!({"count": "score"}),
        json!({"count_distinct": "score"}),
        json!({"sum": "score"}),
        json!({"min": "score"}),
        json!({"count": "*", "where": {"vip": true}}),
    ] {
        assert_eq!(
            notes(json!({"id": 1}), measure.clone(), none.clone()).await,
            NOTHING,
            "{measure}"
        );
    }
    let having = json!({"group_by": ["vip"], "having": {"n": {"gt": 5}}});
    assert_eq!(notes(json!({"id": 1}), json!({"count": "*"}), having).await, NOTHING);
    let told = notes(json!({"name": "ann"}), json!({"count": "*"}), none.clone()).await;
    let told: Vec<&str> = told.iter().filter_map(Value::as_str).collect();
    let [archived, case] = told.as_slice() else { panic!("{told:?}") };
    assert!(archived.contains("archived rows were left out"), "{archived}");
    assert!(case.contains("case-sensitively"), "{case}");
    let told = notes(json!({"name": "ann"}), json!({"sum": "score"}), none).await;
    assert!(told[0].as_str().unwrap().contains("case-sensitively"), "{told:?}");
}

/// A related row that is archived is as if it were not there: whoever asks for rows without one is told so.
#[tokio::test]
async fn related_rows_may_be_archived() {
    let engine = Database::of(
        "CREATE TABLE people (id integer PRIMARY KEY, name text, archived_at timestamptz);
         CREATE TABLE tasks (id integer PRIMARY KEY, person_id integer REFERENCES people, archived_at timestamptz);
         CREATE TABLE plain (id integer PRIMARY KEY); CREATE TABLE part (id integer PRIMARY KEY, plain_id integer REFERENCES plain);
         INSERT INTO people VALUES (1, 'A', now()), (2, 'B', NULL);
         INSERT INTO tasks VALUES (1, 1), (2, 2), (3, NULL); INSERT INTO part VALUES (1, NULL);",
    )
    .await
    .engine()
    .await;
    let note = async |tool: &str, arguments: Value| {
        let told = call(&engine, "admin", tool, arguments).await.unwrap();
        told.pointer("/notes/0").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let select = |condition: Value| json!({"table": "tasks", "where": condition});
    let told = note("select", select(json!({"person": null}))).await;
    assert!(told.contains("{\"person_id\": null} tests the key alone"), "{told}");
    let mut counted = select(json!({"or": [{"person": null}, {"id": 2}]}));
    counted["measures"] = json!({"n": {"count": "*"}});
    assert_eq!(note("aggregate", counted).await, told);
    let mut all = select(json!({"person": null}));
    all["archived"] = json!("include");
    assert_eq!(note("select", all).await, "");
    for condition in [
        json!({"person_id": null}),
        json!({"person": {"name": "B"}}),
        json!({"person": null, "id": 2}),
    ] {
        assert!(
            !note("select", select(condition.clone())).await.contains("key alone"),
            "{condition}"
        );
    }
    assert_eq!(note("select", json!({"table": "part", "where": {"plain": null}})).await, "");
    let mut grouped =
        json!({"table": "tasks", "group_by": ["person.name"], "measures": {"n": {"count": "*"}}});
    let told = note("aggregate", grouped.clone()).await;
    assert!(told.starts_with("person.name is also null if person is archived"), "{told}");
    let shown = json!({"table": "tasks", "columns": ["id", "person.name"]});
    assert_eq!(note("select", shown).await, told);
    grouped["where"] = json!({"id": 2});
    assert_eq!(note("aggregate", grouped).await, "");
}

#[tokio::test]
async fn json_that_was_written_as_a_text() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (id, (details, noted)) in
        [(json!("{\"a\": 1}"), true), (json!("[draft]"), false), (json!({"a": "{}"}), false)]
            .into_iter()
            .enumerate()
    {
        let data = json!({"order_id": id, "details": details});
        let told = call(&engine, "admin", "insert", json!({"table": "orders", "data": data}))
            .await
            .unwrap();
        assert_eq!(told.get("notes").is_some(), noted, "{told}");
        assert_eq!(told["rows"][0]["details"], details);
    }
}

/// A model that fills in every argument means no other query by it.
#[tokio::test]
async fn empty_arguments_leave_a_cursor_valid() {
    let engine = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, archived_at timestamptz);
         INSERT INTO notes SELECT generate_series(1, 5)",
    )
    .await
    .engine()
    .await;
    let first =
        call(&engine, "admin", "select", json!({"table": "notes", "limit": 2})).await.unwrap();
    let next = json!({"table": "notes", "limit": 2, "where": {}, "order_by": [], "archived": "exclude",
        "cursor": first["next_cursor"]});
    let second = call(&engine, "admin", "select", next).await.unwrap();
    assert_eq!(second["rows"][0]["id"], 3);
}

#[tokio::test]
async fn additions_to_null_are_noted() {
    let engine = Database::of(
        "CREATE TABLE posts (id integer PRIMARY KEY, views integer, meta jsonb);
         INSERT INTO posts VALUES (1, NULL, 'null'), (2, 4, 'null')",
    )
    .await
    .engine()
    .await;
    let update = async |id: i32, updates: Value| {
        let arguments = json!({"table": "posts", "where": {"id": id}, "updates": updates});
        call(&engine, "admin", "update", arguments).await.unwrap()
    };
    let told = update(1, json!({"views": {"$increment": 1}, "meta": {"$merge": {"a": 1}}})).await;
    assert_eq!(told["rows"][0], json!({"id": 1, "views": null, "meta": {"a": 1}}));
    assert!(told["notes"][0].as_str().unwrap().contains("views was null"), "{told}");
    let told = update(2, json!({"views": {"$increment": 1}, "meta": {"$append": [1]}})).await;
    assert_eq!(told["rows"][0], json!({"id": 2, "views": 5, "meta": [1]}));
    assert_eq!(told.get("notes"), None);
}

/// Fewer rows written than asked for: the reply says why.
#[tokio::test]
async fn rows_that_triggers_and_rules_skip() {
    let database = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, body text);
         INSERT INTO notes VALUES (1, 'old'), (2, 'old');
         CREATE FUNCTION kept() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN IF NEW.body = 'none' THEN RETURN NULL; END IF; RETURN NEW; END $$;
         CREATE TRIGGER kept BEFORE INSERT OR UPDATE ON notes FOR EACH ROW EXECUTE FUNCTION kept();
         CREATE FUNCTION stays() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER stays BEFORE DELETE ON notes FOR EACH ROW EXECUTE FUNCTION stays();
         CREATE TABLE ruled (id integer);
         INSERT INTO ruled VALUES (1);
         CREATE RULE stay AS ON DELETE TO ruled DO INSTEAD UPDATE ruled SET id = 2",
    )
    .await;
    let mut settings = Settings::default();
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let new = json!([{"id": 2, "body": "new"}, {"id": 3, "body": "new"}]);
    let nothing = json!({"do": "nothing"});
    let update =
        |body: &str| json!({"table": "notes", "where": {"id": 1}, "updates": {"body": body}});
    for (tool, arguments, rows, noted) in [
        (
            "insert",
            json!({"table": "notes", "data": new, "on_conflict": nothing}),
            1,
            Some("has the same key"),
        ),
        (
            "insert",
            json!({"table": "notes", "data": {"id": 9, "body": "none"}}),
            0,
            Some("trigger"),
        ),
        ("update", update("none"), 0, Some("trigger")),
        ("delete", json!({"table": "notes", "where": {"id": 1}}), 0, Some("trigger")),
        ("update", update("some"), 1, None),
    ] {
        let told = call(&engine, "admin", tool, arguments.clone()).await.unwrap();
        assert_eq!(told["row_count"], rows, "{arguments}: {told}");
        let note = told.pointer("/notes/0").and_then(Value::as_str);
        assert_eq!(note.is_some(), noted.is_some(), "{arguments}: {told}");
        assert!(note.unwrap_or_default().contains(noted.unwrap_or_default()), "{told}");
    }
    let ruled = json!({"table": "ruled", "where": {"id": 1}});
    let told = mcp_pg_tests::error(&engine, "admin", "delete", ruled).await;
    assert!(told["message"].as_str().unwrap().contains("rule"), "{told}");
}

#[tokio::test]
async fn a_change_of_rows_that_are_archived_or_are_not() {
    let engine = Database::of(
        "CREATE TABLE notes (id integer PRIMARY KEY, body text, archived_at timestamptz);
         INSERT INTO notes VALUES (1, 'old', now()), (2, 'new', NULL)",
    )
    .await
    .engine()
    .await;
    for (tool, mut arguments, noted) in [
        (
            "update",
            json!({"updates": {"body": "x"}, "where": {"id": 1}}),
            "archived rows were left out",
        ),
        ("archive", json!({"where": {"id": 1}}), "archived rows were left out"),
        ("restore", json!({"where": {"id": 2}}), "no archived row matches"),
        ("update", json!({"updates": {"body": "x"}, "where": {"id": 2}}), ""),
    ] {
        arguments["table"] = json!("notes");
        let told = call(&engine, "admin", tool, arguments).await.unwrap();
        let note = told.pointer("/notes/0").and_then(Value::as_str).unwrap_or_default();
        assert!(note.contains(noted) && note.is_empty() == noted.is_empty(), "{tool}: {told}");
    }
}

/// Tables that were never analysed are expected to have rows.
#[tokio::test]
async fn an_estimate_knows_the_rows_that_are_shown() {
    let engine = Database::of("CREATE TABLE bare (id integer)").await.engine().await;
    let arguments = json!({"table": "bare", "count": "estimated"});
    let told = call(&engine, "admin", "select", arguments).await.unwrap();
    assert_eq!((&told["count"], &told["count_estimated"]), (&json!(0), &json!(true)));
}

#[tokio::test]
async fn rows_of_which_nothing_is_asked() {
    let engine = Database::of(
        "CREATE TABLE lists (id integer PRIMARY KEY, name text);
         CREATE TABLE items (id integer PRIMARY KEY, list_id integer REFERENCES lists);
         INSERT INTO lists VALUES (1, 'A'); INSERT INTO items VALUES (1, 1)",
    )
    .await
    .engine()
    .await;
    for (mut arguments, row, noted) in [
        (json!({}), json!({}), true),
        (json!({"include": {"list": true}}), json!({"list": {"id": 1, "name": "A"}}), false),
        (json!({"where": {"id": 2}}), Value::Null, false),
    ] {
        (arguments["table"], arguments["columns"]) = (json!("items"), json!([]));
        let told = call(&engine, "admin", "select", arguments).await.unwrap();
        assert_eq!(told["rows"][0], row);
        let note = told.pointer("/notes/0").and_then(Value::as_str).unwrap_or_default();
        assert_eq!(note.contains("columns is empty"), noted, "{told}");
    }
}

#[tokio::test]
async fn an_empty_cursor_is_none() {
    let engine = Database::of("CREATE TABLE bare (id integer); INSERT INTO bare VALUES (1)")
        .await
        .engine()
        .await;
    let select = json!({"table": "bare", "cursor": ""});
    let told = call(&engine, "admin", "select", select).await.unwrap();
    assert_eq!(told["rows"], json!([{"id": 1}]));
}
