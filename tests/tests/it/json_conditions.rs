//! Conditions on JSON documents: on members, joined by `and`, `or` and `not`, and on wholes. None compares a whole where a
//! member may be meant.

use mcp_pg_tests::{Database, error, ids};
use serde_json::{Value, json};

const OPTIONS: &str = r#"
    CREATE TABLE option (id integer PRIMARY KEY, theme jsonb, old json);
    INSERT INTO option VALUES
      (1, '{"name": "dark", "font": {"size": 18}}', '{"a": 1}'), (2, '{"name": "dark", "font": {"size": 12}}', NULL),
      (3, '{"name": "light"}', NULL), (4, NULL, NULL);"#;

#[tokio::test]
async fn an_object_without_an_operator_is_refused() {
    let engine = Database::of(OPTIONS).await.engine().await;
    let light = json!({"name": "light"});
    let hint = "{\"theme\": {\"path\": [\"name\"], \"eq\": \"light\"}} tests one member, \
        {\"theme\": {\"contains\": {\"name\":\"light\"}}} some members, {\"theme\": {\"eq\": {\"name\":\"light\"}}} the whole";
    for (condition, at, hint) in [
        (json!({"theme": light}), "/where/theme/name", hint),
        (json!({"not": {"theme": light}}), "/where/not/theme/name", hint),
        (json!({"or": [{"id": 1}, {"theme": light}]}), "/where/or/1/theme/name", hint),
        (json!({"theme": {"not": light}}), "/where/theme/not/name", hint),
        (json!({"theme": {"and": [light]}}), "/where/theme/and/0/name", hint),
        (
            json!({"theme": {"name": {"ilike": "d%"}, "id": 1}}),
            "/where/theme/name",
            "{\"path\": [\"name\"], \"ilike\":\"d%\"}",
        ),
        (
            json!({"theme": {"font": {"size": {"gte": 16}}}}),
            "/where/theme/font",
            "{\"path\": [\"font\", \"size\"], \"gte\":16}",
        ),
        (
            json!({"theme": {"font": {"size": {"gte": 16}, "name": "x"}, "name": "dark"}}),
            "/where/theme/font",
            "{\"theme\": {\"and\": [{\"path\": [\"font\", \"size\"], \"gte\":16}, {\"path\": [\"font\", \"name\"], \"eq\": \"x\"}, \
             {\"path\": [\"name\"], \"eq\": \"dark\"}]}}",
        ),
        (
            json!({"old": {"a": {}}}),
            "/where/old/a",
            "{\"old\": {\"path\": [\"a\"], \"eq\": {}}} tests one member",
        ),
    ] {
        let arguments = json!({"table": "option", "where": condition});
        for tool in ["select", "delete"] {
            let told = error(&engine, "admin", tool, arguments.clone()).await;
            assert_eq!((&told["code"], &told["at"]), (&json!("unknown_operator"), &json!(at)));
            assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
        }
    }
    let told = error(
        &engine,
        "admin",
        "select",
        json!({"table": "option", "where": {"theme": {"$eq": 1}}}),
    );
    assert_eq!(told.await["did_you_mean"], "eq");
    for (condition, at) in [
        (json!({}), "/where/theme"),
        (json!([{"path": ["name"], "eq": "dark"}]), "/where/theme"),
        (json!({"and": []}), "/where/theme/and"),
        (json!({"or": {"path": ["name"], "eq": "dark"}}), "/where/theme/or"),
        (json!({"not": "dark"}), "/where/theme/not"),
        (json!({"and": ["dark"]}), "/where/theme/and/0"),
    ] {
        let arguments = json!({"table": "option", "where": {"theme": condition}});
        let told = error(&engine, "admin", "select", arguments).await;
        assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!(at)));
        assert!(told["hint"].is_string(), "{told}");
    }
}

#[tokio::test]
async fn conditions_on_members_are_joined() {
    let engine = Database::of(OPTIONS).await.engine().await;
    let (dark, large) =
        (json!({"path": ["name"], "eq": "dark"}), json!({"path": ["font", "size"], "gte": 16}));
    for (condition, expected) in [
        (json!({"and": [dark, large]}), &[1][..]),
        (json!({"or": [{"path": ["name"], "eq": "light"}, large]}), &[1, 3]),
        (json!({"not": dark}), &[3]),
        (json!({"and": [dark], "not": large}), &[2]),
        (json!({"or": [{"not": dark}, {"and": [dark, large]}]}), &[1, 3]),
        (json!({"or": [{"has_key": "font"}, {"contains": {"name": "light"}}]}), &[1, 2, 3]),
        (json!({"eq": {"name": "light"}}), &[3]),
        (json!({"ne": {"name": "light"}}), &[1, 2]),
        (json!({"in": [{"name": "light"}]}), &[3]),
        (json!({"$literal": {"name": "light"}}), &[3]),
    ] {
        let condition = json!({"theme": condition});
        assert_eq!(ids(&engine, "option", &condition).await, expected, "{condition}");
    }
    for (key, place) in [(json!({"x": 1}), ""), (json!(null), ""), (json!(["a", {"x": 1}]), "/1")] {
        let arguments = json!({"table": "option", "where": {"theme": {"has_key": key}}});
        let told = error(&engine, "admin", "select", arguments).await;
        assert_eq!(told["at"], format!("/where/theme/has_key{place}"), "{told}");
    }
    let deep = (0..20).fold(dark, |inner, _| json!({"not": inner}));
    let arguments: Value = json!({"table": "option", "where": {"theme": deep}});
    assert_eq!(error(&engine, "admin", "select", arguments).await["code"], "limit_exceeded");
}
