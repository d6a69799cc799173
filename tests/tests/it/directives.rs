//! Directives in comments: applied if the configuration trusts the owner, and never shown.

use mcp_pg_core::policy::{Action, ColumnRules, Comments, Grant, Role};
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
    DO $$ BEGIN CREATE ROLE directive_owner; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
    CREATE TABLE person (id integer PRIMARY KEY, name text, notes text, salary numeric, settings jsonb);
    CREATE TABLE book (
        id integer PRIMARY KEY, title text,
        writer_id integer CONSTRAINT written REFERENCES person, editor_id integer CONSTRAINT edited REFERENCES person);
    CREATE VIEW shelf AS SELECT id, title FROM book UNION ALL SELECT id, title FROM book WHERE false;
    COMMENT ON TABLE person IS E'People.\n@mcp {"key": ["name"]}';
    COMMENT ON COLUMN person.name IS E'Full name.\n@mcp {"examples": ["Ada Lovelace", 7], "untrusted": true}';
    COMMENT ON COLUMN person.notes IS E'Private.\n@mcp {"hidden": true}';
    COMMENT ON COLUMN person.salary IS E'A year.\n@mcp {"unit": "EUR", "sensitive": true}';
    COMMENT ON COLUMN person.settings IS '@mcp {"examples": [{"theme": "dark"}, ["a"]]}';
    COMMENT ON COLUMN book.title IS E'The title.\n@mcp {"hiden": true}';
    COMMENT ON CONSTRAINT written ON book IS E'Who wrote it.\n@mcp {"relation": "author", "inverse": "works"}';
    COMMENT ON CONSTRAINT edited ON book IS '@mcp {"relation": "a.b"}';
    COMMENT ON CONSTRAINT book_pkey ON book IS E'The key.\n@mcp {"any": "thing"}';
    COMMENT ON VIEW shelf IS E'What stands there.\n@mcp {"key": ["id"]}';
    ALTER TABLE person OWNER TO directive_owner;
    ALTER TABLE book OWNER TO directive_owner;
    ALTER VIEW shelf OWNER TO directive_owner;
    INSERT INTO person VALUES (1, 'Ada', 'x', 10), (2, 'Bo', 'y', 20);
    INSERT INTO book VALUES (1, 'One', 1, 2), (2, 'Two', 1, NULL);"#;

async fn engine(owners: &[&str]) -> Engine {
    engine_declaring(owners, Vec::new()).await
}

async fn engine_declaring(owners: &[&str], relations: Vec<DeclaredRelation>) -> Engine {
    let mut roles = Role::built_in();
    roles.push(Role {
        name: "keeper".into(),
        grants: vec![Grant {
            tables: vec!["*".into()],
            actions: [Action::Select].into_iter().collect(),
            columns: ColumnRules {
                include: Some(vec!["id".into(), "notes".into()]),
                ..ColumnRules::default()
            },
            ..Grant::default()
        }],
        ..Role::default()
    });
    let comments = Comments { owners: owners.iter().map(|owner| (*owner).to_owned()).collect() };
    let settings = Settings { roles, comments, relations, ..Settings::default() };
    Database::of(FIXTURE).await.engine_with(settings).await
}

async fn described(engine: &Engine, role: &str, table: &str) -> Value {
    call(engine, role, "describe_table", json!({"table": table})).await.unwrap()
}

fn column<'a>(table: &'a Value, name: &str) -> &'a Value {
    let columns = table["columns"].as_array().unwrap();
    columns.iter().find(|column| column["name"] == name).unwrap_or(&Value::Null)
}

#[tokio::test]
async fn directives_are_never_shown() {
    for owners in [&[][..], &["postgres"], &["directive_owner"]] {
        let engine = engine(owners).await;
        for table in ["person", "book", "shelf"] {
            let told = described(&engine, "analyst", table).await;
            assert!(!told.to_string().contains("@mcp"), "{told}");
        }
        let person = described(&engine, "analyst", "person").await;
        assert_eq!(person["comment"], "People.");
        assert_eq!(column(&person, "salary")["comment"], "A year.");
        let listed = call(&engine, "analyst", "list_tables", json!({})).await.unwrap();
        assert!(!listed.to_string().contains("@mcp"), "{listed}");
    }
}

#[tokio::test]
async fn directives_of_other_owners_have_no_effect() {
    for owners in [&[][..], &["someone_else"]] {
        let engine = engine(owners).await;
        let person = described(&engine, "analyst", "person").await;
        assert!(column(&person, "notes").is_object(), "{person}");
        assert!(column(&person, "salary").get("sensitive").is_none(), "{person}");
        assert!(column(&person, "salary").get("unit").is_none(), "{person}");
        let shelf = described(&engine, "analyst", "shelf").await;
        assert_eq!(shelf["primary_key"], json!([]));
        let include = json!({"table": "book", "include": {"author": true}});
        assert_eq!(error(&engine, "analyst", "select", include).await["code"], "unknown_relation");
        assert_eq!(engine.schema().directives.distrusted, ["directive_owner"]);
        assert!(engine.schema().directives.faults.is_empty());
    }
}

#[tokio::test]
async fn directives_of_a_trusted_owner_are_obeyed() {
    let engine = engine(&["directive_owner"]).await;
    let person = described(&engine, "analyst", "person").await;
    assert_eq!(column(&person, "name")["examples"], json!(["Ada Lovelace", 7]));
    assert_eq!(column(&person, "settings")["examples"], json!([{"theme": "dark"}, ["a"]]));
    assert_eq!(column(&person, "name")["untrusted"], true);
    assert_eq!(column(&person, "salary")["unit"], "EUR");
    assert_eq!(column(&person, "salary")["sensitive"], true);

    // A hidden column does not exist, but for a role whose grant names it.
    assert!(column(&person, "notes").is_null(), "{person}");
    let hidden = json!({"table": "person", "where": {"notes": "x"}});
    let absent = json!({"table": "person", "where": {"motes": "x"}});
    let refused = error(&engine, "admin", "select", hidden).await;
    let other = error(&engine, "admin", "select", absent).await;
    assert_eq!(refused.to_string().replace("notes", "motes"), other.to_string());
    let kept = described(&engine, "keeper", "person").await;
    assert!(column(&kept, "notes").is_object(), "{kept}");

    // A key makes the pages of a view steady.
    let shelf = described(&engine, "analyst", "shelf").await;
    assert_eq!(shelf["primary_key"], json!(["id"]));
    let page = call(&engine, "analyst", "select", json!({"table": "shelf", "limit": 1})).await;
    let page = page.unwrap();
    assert!(page.get("notes").is_none(), "{page}");
    let cursor = page["next_cursor"].clone();
    let next = json!({"table": "shelf", "limit": 1, "cursor": cursor});
    let next = call(&engine, "analyst", "select", next).await.unwrap();
    assert_eq!(rows(&next), [json!({"id": 2, "title": "Two"})]);

    // Relations go by their given names, and still by the constraint's.
    let include = json!({"table": "book", "columns": ["id"], "limit": 1, "include": {
        "author": {"columns": ["name"]}, "edited": {"columns": ["name"]}}});
    let book = call(&engine, "analyst", "select", include).await.unwrap();
    assert_eq!(
        rows(&book),
        [json!({"id": 1, "author": {"name": "Ada"}, "edited": {"name": "Bo"}})]
    );
    let works = json!({"table": "person", "columns": ["id"], "where": {"works": {"some": {"title": "Two"}}}});
    let works = call(&engine, "analyst", "select", works).await.unwrap();
    assert_eq!(rows(&works), [json!({"id": 1})]);
}

#[tokio::test]
async fn a_relation_name_that_is_taken_is_a_fault() {
    let database = Database::of(
        r#"CREATE TABLE person (id integer PRIMARY KEY, nick text, boss integer CONSTRAINT boss_fk REFERENCES person,
             mentor integer CONSTRAINT mentor_fk REFERENCES person, friend integer CONSTRAINT friend_fk REFERENCES person);
           COMMENT ON CONSTRAINT boss_fk ON person IS '@mcp {"relation": "chief", "inverse": "staff"}';
           COMMENT ON CONSTRAINT mentor_fk ON person IS '@mcp {"relation": "nick", "inverse": "staff"}';
           COMMENT ON CONSTRAINT friend_fk ON person IS '@mcp {"relation": "pal"}';"#,
    )
    .await;
    let comments = Comments { owners: vec!["postgres".into()] };
    let engine = database.engine_with(Settings { comments, ..Settings::default() }).await;
    assert_eq!(
        engine.schema().directives.faults,
        [
            "comment on public.person.boss_fk: @mcp: inverse: public.person has another relation \"staff\"",
            "comment on public.person.mentor_fk: @mcp: relation: public.person has a column \"nick\"",
            "comment on public.person.mentor_fk: @mcp: inverse: public.person has another relation \"staff\"",
        ]
    );
}

#[tokio::test]
async fn a_relation_goes_by_the_configurations_name() {
    let declared = DeclaredRelation {
        table: "book".into(),
        columns: vec!["writer_id".into()],
        to: "person".into(),
        name: Some("scribe".into()),
        ..DeclaredRelation::default()
    };
    let engine = engine_declaring(&["directive_owner"], vec![declared]).await;
    let include = |name: &str| json!({"table": "book", "columns": ["id"], "limit": 1, "include": {name: {"columns": ["name"]}}});
    let book = call(&engine, "analyst", "select", include("scribe")).await.unwrap();
    assert_eq!(rows(&book), [json!({"id": 1, "scribe": {"name": "Ada"}})]);
    let refused = error(&engine, "analyst", "select", include("author")).await;
    assert_eq!(refused["code"], "unknown_relation");
    // It is one relation, and what the configuration does not name goes by the comment's name.
    let book = described(&engine, "analyst", "book").await;
    let to_person = book["relations"].as_array().unwrap().iter();
    assert_eq!(to_person.filter(|relation| relation["table"] == "person").count(), 2, "{book}");
    let works = json!({"table": "person", "columns": ["id"], "where": {"works": {"some": {"title": "Two"}}}});
    let works = call(&engine, "analyst", "select", works).await.unwrap();
    assert_eq!(rows(&works), [json!({"id": 1})]);
}

#[tokio::test]
async fn directives_that_make_no_sense_are_reported() {
    let engine = engine(&["directive_owner"]).await;
    let faults = engine.schema().directives.faults.clone();
    let of = |place: &str| {
        let found: Vec<&String> = faults.iter().filter(|fault| fault.contains(place)).collect();
        assert_eq!(found.len(), 1, "{place}: {faults:?}");
        found[0].clone()
    };
    assert!(of("comment on public.person:").contains("has a primary key"));
    assert!(of("public.book.title").contains("unknown field `hiden`"));
    assert!(of("public.book.edited").contains("no dot"));
    assert_eq!(faults.len(), 3, "{faults:?}");
    let book = described(&engine, "analyst", "book").await;
    assert!(column(&book, "title").is_object());
}
