//! describe_table and list_tables: every member of their replies.

use mcp_pg_tests::{Database, call, error, refused};
use serde_json::{Value, json};

/// The description of a table must be what is checked in under `snapshots`.
async fn check(table: &str, expected: &str) {
    let engine = Database::shop().await.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": table})).await.unwrap();
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        let file = format!("{}/tests/it/snapshots/{table}.json", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(file, format!("{}\n", serde_json::to_string_pretty(&told).unwrap()))
            .unwrap();
        return;
    }
    let expected: Value = serde_json::from_str(expected).unwrap();
    assert_eq!(told, expected, "{told:#}");
    let order = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(order(&told), order(&expected));
}

#[tokio::test]
async fn users() {
    check("users", include_str!("snapshots/users.json")).await;
}

#[tokio::test]
async fn products() {
    check("products", include_str!("snapshots/products.json")).await;
}

#[tokio::test]
async fn inventory() {
    check("inventory", include_str!("snapshots/inventory.json")).await;
}

#[tokio::test]
async fn order_items() {
    check("order_items", include_str!("snapshots/order_items.json")).await;
}

#[tokio::test]
async fn reviews() {
    check("reviews", include_str!("snapshots/reviews.json")).await;
}

#[tokio::test]
async fn domains_keys_and_relations_between_schemas() {
    let database = Database::of(
        "CREATE SCHEMA sales; CREATE DOMAIN zip AS text CHECK (VALUE ~ '^[0-9]+$');
         CREATE TABLE place (id integer PRIMARY KEY, zip zip, serial serial, identity integer GENERATED ALWAYS AS IDENTITY);
         CREATE TABLE sales.shop (id integer PRIMARY KEY, place_id integer UNIQUE REFERENCES place);
         CREATE TABLE sales.place (id integer PRIMARY KEY);
         CREATE MATERIALIZED VIEW sales.stored AS SELECT 1 AS one;
         CREATE VIEW seen AS SELECT id, zip FROM place;",
    )
    .await;
    let settings = mcp_pg_core::Settings {
        schemas: vec!["public".into(), "sales".into()],
        ..mcp_pg_core::Settings::default()
    };
    let engine = database.engine_with(settings).await;
    let describe = async |table: &str| {
        call(&engine, "admin", "describe_table", json!({"table": table})).await.unwrap()
    };
    let place = describe("place").await;
    let zip = &place["columns"][1];
    assert_eq!(zip["type"], "zip");
    assert_eq!(zip["domain"]["base"], "text");
    assert!(zip["domain"]["checks"][0].as_str().unwrap().contains("^[0-9]+$"), "{zip}");
    assert!(place["columns"][2]["default"].as_str().unwrap().contains("nextval"));
    assert_eq!(place["columns"][3]["identity"], "always");
    assert_eq!(place["columns"][3]["writable"], false);
    assert_eq!(
        place["relations"],
        json!([
            {"name": "shop", "kind": "to_many", "table": "sales.shop", "columns": ["id"], "at_most": 1},
        ])
    );
    let shop = describe("shop").await;
    assert_eq!(shop["table"], "sales.shop");
    assert_eq!(shop["columns"][1]["references"], json!({"table": "place", "column": "id"}));
    assert_eq!(
        shop["foreign_keys"],
        json!([
            {"name": "shop_place_id_fkey", "columns": ["place_id"], "table": "place", "references": ["id"]},
        ])
    );
    assert_eq!(
        shop["unique_keys"],
        json!([{"name": "shop_place_id_key", "columns": ["place_id"]}])
    );
    let stored = describe("sales.stored").await;
    assert_eq!(
        (&stored["kind"], &stored["actions"]),
        (&json!("materialized_view"), &json!(["select"]))
    );
    let seen = describe("seen").await;
    assert_eq!(
        (&seen["kind"], &seen["primary_key"], &seen["estimated_rows"]),
        (&json!("view"), &json!(["id"]), &Value::Null)
    );
    assert_eq!(describe("sales.place").await["table"], "sales.place");
}

#[tokio::test]
async fn lists() {
    let database = Database::shop().await;
    database.sql("ANALYZE").await;
    let engine = database.engine().await;
    let list =
        async |arguments: Value| call(&engine, "operator", "list_tables", arguments).await.unwrap();
    let names = list(json!({"detail": "names"})).await;
    assert_eq!(
        names,
        json!({
            "tables": ["inventory", "order_items", "orders", "payments", "products", "reviews", "user_preferences", "users"],
            "next_cursor": null,
        })
    );
    let summaries = list(json!({"schema": "public"})).await;
    let users = summaries["tables"].as_array().unwrap().last().unwrap();
    let count: u64 =
        database.value("SELECT count(*)::text FROM users").await.unwrap().parse().unwrap();
    assert_eq!(
        users,
        &json!({
            "table": "users", "kind": "table", "comment": "Customers of the shop.", "estimated_rows": count,
            "primary_key": ["user_id"], "actions": ["select", "insert", "update", "archive", "restore"],
        })
    );
    for (search, found) in [
        ("SHOP", json!(["order_items", "orders", "products", "reviews", "users"])),
        ("stock", json!(["inventory"])),
        ("stars", json!(["reviews"])),
        ("rating excellent", json!(["reviews"])),
        ("nothing at all", json!([])),
        // No table is about all of it: those that are about most of it are meant.
        ("inventory weather", json!(["inventory"])),
        ("inventories", json!(["inventory"])),
        ("*inventory*", json!(["inventory"])),
        ("", names["tables"].clone()),
    ] {
        let reply = list(json!({"search": search, "detail": "names"})).await;
        let found: Vec<&Value> = found.as_array().unwrap().iter().collect();
        let listed: Vec<&Value> = reply["tables"].as_array().unwrap().iter().collect();
        if search == "SHOP" {
            assert!(found.iter().any(|name| listed.contains(name)), "{reply}");
        } else {
            assert_eq!(listed, found, "{search}");
        }
    }
    let unknown = refused(&engine, "list_tables", json!({"schema": "pubic"})).await;
    assert_eq!(unknown, ("invalid_value".to_owned(), "/schema".to_owned()));
    let error =
        call(&engine, "admin", "list_tables", json!({"schema": "pubic"})).await.unwrap_err();
    assert_eq!(serde_json::to_value(&error).unwrap()["did_you_mean"], "public");
    let unknown = refused(&engine, "describe_table", json!({"table": "user"})).await;
    assert_eq!(unknown, ("unknown_table".to_owned(), "/table".to_owned()));
    let cursor = refused(&engine, "list_tables", json!({"cursor": "x"})).await;
    assert_eq!(cursor, ("invalid_cursor".to_owned(), "/cursor".to_owned()));
    let told = call(&engine, "admin", "list_tables", json!({"cursor": "x"})).await.unwrap_err();
    let told = serde_json::to_value(&told).unwrap();
    assert!(told["hint"].as_str().unwrap().contains("the same schema and search"), "{told}");
}

#[tokio::test]
async fn tables_whose_names_look_like_others_are_told_apart() {
    let database = Database::of(
        "CREATE SCHEMA sales; CREATE TABLE node (id integer PRIMARY KEY, plain integer);
         CREATE TABLE \"public.node\" (id integer PRIMARY KEY, dotted integer);
         CREATE TABLE \"sales.shop\" (id integer PRIMARY KEY, dotted integer);
         CREATE TABLE sales.shop (id integer PRIMARY KEY, plain integer);
         CREATE TABLE \"a.b\" (id integer PRIMARY KEY, dotted integer);
         CREATE TABLE edge (id integer PRIMARY KEY, plain integer, node_id integer);",
    )
    .await;
    let settings = mcp_pg_core::Settings {
        schemas: vec!["public".into(), "sales".into()],
        ..mcp_pg_core::Settings::default()
    };
    let engine = database.engine_with(settings).await;
    let listed = call(&engine, "admin", "list_tables", json!({"detail": "names"})).await.unwrap();
    assert_eq!(
        listed["tables"],
        json!(["a.b", "edge", "node", "public.public.node", "public.sales.shop", "sales.shop"])
    );
    for name in listed["tables"].as_array().unwrap() {
        let told = call(&engine, "admin", "describe_table", json!({"table": name})).await.unwrap();
        let dotted = ["a.b", "public.public.node", "public.sales.shop"].map(|name| json!(name));
        let column = if dotted.contains(name) { "dotted" } else { "plain" };
        assert_eq!((&told["table"], &told["columns"][1]["name"]), (name, &json!(column)));
    }
    // Those with the word in their own name come first.
    let found = json!({"detail": "names", "search": "NODE"});
    let found = call(&engine, "admin", "list_tables", found).await.unwrap();
    assert_eq!(found["tables"], json!(["node", "public.public.node", "edge"]));
    for name in ["public.node", "public.a.b"] {
        let told = call(&engine, "admin", "describe_table", json!({"table": name})).await.unwrap();
        assert_eq!(told["table"], name.strip_prefix("public.").unwrap());
    }
}

#[tokio::test]
async fn a_domain_over_a_domain_has_the_rules_of_both() {
    let database = Database::of(
        "CREATE DOMAIN code AS text CHECK (VALUE ~ '^[A-Z]'); CREATE DOMAIN icd AS code CHECK (length(VALUE) < 6);
         CREATE TABLE diagnosis (id integer PRIMARY KEY, icd icd, like_id integer REFERENCES diagnosis);
         CREATE TABLE related (diagnosis_id integer REFERENCES diagnosis, other_id integer REFERENCES diagnosis,
           PRIMARY KEY (diagnosis_id, other_id));",
    )
    .await;
    let engine = database.engine().await;
    let told =
        call(&engine, "admin", "describe_table", json!({"table": "diagnosis"})).await.unwrap();
    let domain = &told["columns"][1]["domain"];
    assert_eq!(domain["base"], "public.code");
    assert_eq!(domain["checks"].as_array().unwrap().len(), 2, "{domain}");
    // A table that is related with itself through a junction: the two ways are told, whichever form is asked for.
    let include = json!({"table": "diagnosis", "include": {"diagnosis_via_related": true}});
    let error = error(&engine, "admin", "select", include).await;
    assert_eq!(error["code"], "ambiguous_relation");
    let ways = ["diagnosis", "other"].map(|key| json!(format!("diagnosis_via_related_by_{key}")));
    assert_eq!(error["allowed"], json!(ways));
}

#[tokio::test]
async fn a_search_finds_plurals_beside_the_word_itself() {
    let database = Database::of(
        "CREATE TABLE companies (id integer PRIMARY KEY); CREATE TABLE users (id integer PRIMARY KEY);
         CREATE TABLE memberships (id integer PRIMARY KEY, company_id integer REFERENCES companies);",
    )
    .await;
    let engine = database.engine().await;
    for word in ["company", "companies", "compan"] {
        let search = json!({"search": word, "detail": "names"});
        let found = call(&engine, "analyst", "list_tables", search).await.unwrap();
        assert_eq!(found["tables"][0], "companies", "{word}");
    }
}

#[tokio::test]
async fn types_within_types_have_their_modifiers() {
    let database = Database::of(
        "CREATE TYPE money_of AS (amount numeric(38,18), currency char(3)); CREATE DOMAIN share AS numeric(5,2);
         CREATE TABLE entry (id integer PRIMARY KEY, price money_of, share share);",
    )
    .await;
    let engine = database.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": "entry"})).await.unwrap();
    let fields = &told["columns"][1]["fields"];
    assert_eq!(
        (&fields[0]["type"], &fields[1]["type"]),
        (&json!("numeric(38,18)"), &json!("character(3)"))
    );
    assert_eq!(told["columns"][2]["domain"]["base"], "numeric(5,2)");
}

#[tokio::test]
async fn labels_are_told_as_far_as_there_is_room() {
    let labels = |count: usize| {
        (0..count).map(|number| format!("'label {number}'")).collect::<Vec<_>>().join(", ")
    };
    let database = Database::of(&format!(
        "CREATE TYPE long AS ENUM ({}); CREATE TYPE longest AS ENUM ({}); CREATE TABLE listed (id integer PRIMARY KEY, long long, longest longest);",
        labels(300),
        labels(1_500)
    ))
    .await;
    let engine = database.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": "listed"})).await.unwrap();
    let labels = |column: usize| told["columns"][column]["enum"].as_array().unwrap();
    assert_eq!((labels(1).len(), &labels(1)[299]), (300, &json!("label 299")));
    let mark = labels(2).last().unwrap().as_str().unwrap();
    assert!(mark.ends_with(" more; see those in use: select with distinct"), "{mark}");
    assert!(labels(2).len() > 700, "{}", labels(2).len());
}

#[tokio::test]
async fn a_relation_tells_that_it_leads_to_one_row_at_most() {
    let database = Database::of(
        "CREATE TABLE person (id integer PRIMARY KEY);
         CREATE TABLE profile (id integer PRIMARY KEY, person_id integer UNIQUE REFERENCES person);
         CREATE TABLE visit (id integer PRIMARY KEY, person_id integer REFERENCES person);",
    )
    .await;
    let engine = database.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": "person"})).await.unwrap();
    assert_eq!(
        told["relations"],
        json!([
            {"name": "profile", "kind": "to_many", "table": "profile", "columns": ["id"], "at_most": 1},
            {"name": "visit", "kind": "to_many", "table": "visit", "columns": ["id"]},
        ])
    );
}

#[tokio::test]
async fn fields_labels_and_domains_are_described() {
    let database = Database::of(
        "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE TYPE spot AS (x integer, mood mood);
         CREATE TYPE trip AS (name text, spots spot[]); CREATE DOMAIN moods AS mood[];
         CREATE TABLE diary (id integer PRIMARY KEY, moods mood[], more moods, trip trip, hidden trip,
             days daterange, EXCLUDE USING gist (days WITH &&) WHERE (id > 0));",
    )
    .await;
    let mut settings = mcp_pg_core::Settings::default();
    let role = settings.roles.iter_mut().find(|role| role.name == "analyst").unwrap();
    role.grants[0].columns.mask.insert("hidden".into(), mcp_pg_core::policy::Mask::Full);
    let engine = database.engine_with(settings).await;
    let told = call(&engine, "analyst", "describe_table", json!({"table": "diary"})).await.unwrap();
    let column = |name: &str| {
        let mut columns = told["columns"].as_array().unwrap().iter();
        columns.find(|column| column["name"] == name).unwrap()
    };
    let labels = json!(["sad", "glad"]);
    assert_eq!((&column("moods")["enum"], &column("more")["enum"]), (&labels, &labels));
    let spots = json!([{"name": "x", "type": "integer"},
        {"name": "mood", "type": "public.mood", "enum": labels}]);
    assert_eq!(
        column("trip")["fields"],
        json!([{"name": "name", "type": "text"},
            {"name": "spots", "type": "public.spot[]", "fields": spots}])
    );
    assert_eq!(column("hidden").get("fields"), None, "it is not read, nor written");
    let indexes = told["indexes"].as_array().unwrap();
    let exclusion = indexes.iter().find_map(|index| index.get("exclusion")).unwrap();
    assert_eq!(*exclusion, "EXCLUDE USING gist (days WITH &&) WHERE (id > 0)");
}
