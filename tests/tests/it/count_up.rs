//! Upserts that insert a row or increment a counter in the existing one.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE visit (id integer PRIMARY KEY, page text, n smallint NOT NULL DEFAULT 10, spent interval, day date, paid money);
    INSERT INTO visit VALUES (1, 'a', 5, '1 hour', '2025-01-01', '1.50'), (2, 'b', 32767, NULL, NULL, NULL);";

fn visits(data: Value) -> Value {
    json!({"table": "visit", "data": data, "on_conflict": {"columns": ["id"], "do": "update"}})
}

async fn state(database: &Database) -> Option<String> {
    database.value("SELECT string_agg(v::text, ' ' ORDER BY id) FROM visit v").await
}

#[tokio::test]
async fn new_rows_get_the_amount_and_existing_ones_more() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let add = |id: i64, n: i64| json!({"id": id, "n": {"$increment": n}});
    let mut dry = visits(json!([add(1, 2), add(3, 4)]));
    dry["dry_run"] = json!(true);
    let before = state(&database).await;
    let reply = call(&engine, "operator", "insert", dry.clone()).await.unwrap();
    assert_eq!(reply["before"][0]["n"], 5, "{reply}");
    assert_eq!(
        (&reply["after"][0]["n"], &reply["after"][1]["n"]),
        (&json!(7), &json!(4)),
        "{reply}"
    );
    assert_eq!(state(&database).await, before);
    dry["dry_run"] = json!(false);
    call(&engine, "operator", "insert", dry).await.unwrap();
    let one = json!({"id": 1, "page": "z", "n": {"$increment": -1}, "spent": {"$increment": "30 minutes"}, "paid": {"$increment": "2"}});
    let reply = call(&engine, "operator", "insert", visits(one)).await.unwrap();
    assert_eq!(
        (&reply["rows"][0]["n"], &reply["rows"][0]["page"]),
        (&json!(6), &json!("z")),
        "{reply}"
    );
    // Of those that are named, others stay as they are.
    let mut named = visits(json!({"id": 1, "page": "y", "n": {"$increment": 1}}));
    named["on_conflict"]["update"] = json!(["n"]);
    call(&engine, "operator", "insert", named).await.unwrap();
    let expected = "(1,z,7,01:30:00,2025-01-01,$3.50) (2,b,32767,,,) (3,,4,,,)";
    assert_eq!(state(&database).await.as_deref(), Some(expected));
}

#[tokio::test]
async fn amounts_added_to_null_are_noted() {
    let database = Database::of(
        "CREATE TABLE stock (sku text PRIMARY KEY, qty integer, lasts interval);
         INSERT INTO stock VALUES ('AB', NULL, NULL), ('CD', 1, '1 day')",
    )
    .await;
    let engine = database.engine().await;
    let number =
        json!("qty stays null where it was null: $increment adds to a number, so set it to one");
    let add = |sku: &str| json!({"sku": sku, "qty": {"$increment": 3}});
    let conflict = json!({"columns": ["sku"], "do": "update"});
    let mut upsert = json!({"table": "stock", "data": add("AB"), "on_conflict": conflict});
    let reply = call(&engine, "operator", "insert", upsert.clone()).await.unwrap();
    assert_eq!((&reply["rows"][0]["qty"], &reply["notes"]), (&Value::Null, &json!([number])));
    // Also where the reply does not show it, among several, and in a dry run.
    upsert["returning"] = json!([]);
    upsert["data"] = json!([add("CD"), add("AB"), add("EF")]);
    let reply = call(&engine, "operator", "insert", upsert.clone()).await.unwrap();
    assert_eq!((&reply["rows"], &reply["notes"]), (&json!([]), &json!([number])), "{reply}");
    upsert["dry_run"] = json!(true);
    let reply = call(&engine, "operator", "insert", upsert.clone()).await.unwrap();
    assert_eq!(reply["notes"], json!([number]), "{reply}");
    // None was null.
    upsert["data"] = json!([add("CD"), add("GH")]);
    let reply = call(&engine, "operator", "insert", upsert).await.unwrap();
    assert_eq!(reply.get("notes"), None, "{reply}");

    let own =
        json!({"columns": ["sku"], "do": "update", "update": {"lasts": {"$increment": "1 hour"}}});
    let own =
        json!({"table": "stock", "data": {"sku": "AB"}, "on_conflict": own, "returning": ["sku"]});
    let reply = call(&engine, "operator", "insert", own).await.unwrap();
    assert_eq!(reply["rows"], json!([{"sku": "AB"}]));
    assert!(reply["notes"][0].as_str().unwrap().starts_with("lasts stays null"), "{reply}");
    let each = json!({"table": "stock", "where": {}, "updates": [add("AB"), add("CD")], "returning": ["sku"]});
    let reply = call(&engine, "operator", "update", each).await.unwrap();
    assert_eq!((reply["row_count"].as_u64(), &reply["notes"]), (Some(2), &json!([number])));
}

#[tokio::test]
async fn an_amount_may_be_of_an_earlier_operation() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let mut second = visits(json!({"id": 3, "n": {"$increment": {"$ref": "first.n"}}}));
    second["operation"] = json!("insert");
    let mut first = visits(json!({"id": 1, "n": {"$increment": 1}}));
    first["operation"] = json!("insert");
    first["as"] = json!("first");
    let operations = json!({"operations": [first, second.clone(), second]});
    call(&engine, "operator", "transaction", operations).await.unwrap();
    let told = database.value("SELECT string_agg(n::text, ' ' ORDER BY id) FROM visit").await;
    assert_eq!(told.as_deref(), Some("6 32767 12"));
}

#[tokio::test]
async fn invalid_amounts_are_refused() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let before = state(&database).await;
    let one = json!({"$increment": 1});
    let plain = |data: Value| json!({"table": "visit", "data": data});
    let nothing = |data: Value| json!({"table": "visit", "data": data, "on_conflict": {"columns": ["id"], "do": "nothing"}});
    let mut unnamed = visits(json!({"id": 1, "page": "x", "n": one}));
    unnamed["on_conflict"]["update"] = json!(["page"]);
    for (arguments, hint) in [
        (plain(json!({"id": 1, "n": one})), "\"do\": \"update\""),
        (nothing(json!({"id": 1, "n": one})), "\"do\": \"update\""),
        (unnamed, "name n in on_conflict.update, too"),
    ] {
        let told = error(&engine, "operator", "insert", arguments).await;
        assert_eq!(told["at"], "/data/n/$increment", "{told}");
        assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
    }
    for (data, code, at) in [
        (json!({"id": one, "n": 1}), "invalid_value", "/data/id/$increment"),
        (json!([{"id": 1, "n": one}, {"id": 3, "n": 1}]), "invalid_value", "/data/1/n"),
        (json!([{"id": 1, "n": one}, {"id": 3}]), "invalid_value", "/data/1/n"),
        (json!({"id": 1, "day": {"$increment": "1 day"}}), "invalid_value", "/data/day/$increment"),
        (json!({"id": 1, "page": {"$increment": 1}}), "invalid_value", "/data/page/$increment"),
        (json!({"id": 1, "n": {"$increment": null}}), "invalid_value", "/data/n/$increment"),
        (json!({"id": 1, "n": {"$increment": "x"}}), "invalid_value", "/data/n/$increment"),
        (json!({"id": 2, "n": one}), "invalid_value", "/data/n/$increment"),
        (
            json!([{"id": 3, "n": one}, {"id": 2, "n": one}]),
            "invalid_value",
            "/data/1/n/$increment",
        ),
    ] {
        let told = error(&engine, "operator", "insert", visits(data.clone())).await;
        assert_eq!((&told["code"], &told["at"]), (&json!(code), &json!(at)), "{data}: {told}");
    }
    assert_eq!(state(&database).await, before);
}

/// Whether the sum fits would tell what is there.
#[tokio::test]
async fn masked_columns_cannot_be_counted_up() {
    let actions = [Action::Select, Action::Insert, Action::Update].into_iter().collect();
    let mut grant = Grant { tables: vec!["public.visit".to_owned()], actions, ..Grant::default() };
    grant.columns.mask.insert("n".to_owned(), Mask::Full);
    grant.columns.writable = Some(vec!["id".to_owned(), "n".to_owned()]);
    let role = Role { name: "clerk".to_owned(), grants: vec![grant], ..Role::default() };
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = Database::of(FIXTURE).await.engine_with(settings).await;
    let told =
        error(&engine, "clerk", "insert", visits(json!({"id": 2, "n": {"$increment": 1}}))).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("forbidden"), &json!("/data/n")), "{told}");
}
