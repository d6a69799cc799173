//! Groups by the elements of arrays and of lists in JSON.

use mcp_pg_core::policy::{ColumnMarks, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, pages, readable, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TYPE level AS ENUM ('low', 'high');
CREATE DOMAIN label AS text CHECK (VALUE <> '');
CREATE TABLE owner (id integer PRIMARY KEY, tags text[], tenant integer, archived_at timestamptz);
INSERT INTO owner VALUES (1, '{vip,eu}', 1, NULL), (2, '{}', 1, NULL), (3, '{us}', 2, NULL), (4, '{old}', 1, now());
CREATE TABLE ticket (id integer PRIMARY KEY, owner_id integer REFERENCES owner, hours integer, labels text[], grid integer[], levels level[],
  names label[], doc jsonb, old json, spots point[], hidden text[], secret text[], word text, archived_at timestamptz);
INSERT INTO ticket VALUES
  (1, 1, 1, '{bug,urgent}', '{{1,2},{2,3}}', '{high}', '{a}', '{"tags": ["x", "y", null], "n": 1}', '["p"]', '{}', '{h}', '{s}', 'w', NULL),
  (2, 1, 2, '{bug,bug,NULL}', '{1}', '{high,low}', '{a,b}', '{"tags": ["x", {"k": 1}, 5]}', '{"p": 1}', '{}', '{h}', '{s}', 'w', NULL),
  (3, 2, 4, '{}', NULL, '{}', NULL, '{"tags": "x"}', NULL, '{}', '{h}', '{s}', 'w', NULL),
  (4, 3, 8, NULL, '{}', NULL, '{}', '[1, 2]', '[]', '{}', '{h}', '{s}', 'w', NULL),
  (5, NULL, 16, '{urgent}', '{7}', '{low}', '{b}', NULL, '["p", "q"]', '{}', '{h}', '{s}', 'w', NULL),
  (6, 4, 32, '{gone}', '{9}', '{low}', '{c}', '{"tags": ["z"]}', '["r"]', '{}', '{h}', '{s}', 'w', now());"#;

fn by(group: Value) -> Value {
    json!({"table": "ticket", "group_by": [group], "order_by": ["it"],
        "measures": {"n": {"count": "*"}, "hours": {"sum": "hours"}, "late": {"count": "*", "where": {"hours": {"gt": 1}}}}})
}

#[tokio::test]
async fn each_element_is_a_group_as_unnest_has_it() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let list = |of: &str, path: &str| {
        format!(
            "unnest((SELECT array_agg(nullif(e, 'null')) FROM jsonb_array_elements(CASE WHEN jsonb_typeof({of}::jsonb{path}) = 'array' \
             THEN {of}::jsonb{path} END) e))"
        )
    };
    for (group, elements) in [
        (json!({"column": "labels"}), "unnest(labels)".to_owned()),
        (json!({"column": "grid"}), "unnest(grid)".to_owned()),
        (json!({"column": "levels"}), "unnest(levels)".to_owned()),
        (json!({"column": "names"}), "unnest(names)".to_owned()),
        (json!({"column": "doc", "path": ["tags"]}), list("doc", "->'tags'")),
        (json!({"column": "doc"}), list("doc", "")),
        (json!({"column": "old"}), list("old", "")),
        (
            json!({"column": "owner.tags"}),
            "unnest((SELECT tags FROM owner o WHERE o.id = owner_id AND o.archived_at IS NULL))"
                .to_owned(),
        ),
    ] {
        let by_hand = format!(
            "SELECT json_agg(g ORDER BY it)::text FROM (SELECT it, count(*) AS n, sum(hours) AS hours, count(*) FILTER (WHERE hours > 1) AS late
             FROM ticket, {elements} it WHERE archived_at IS NULL GROUP BY 1) g"
        );
        let expected: Value =
            serde_json::from_str(&database.value(&by_hand).await.unwrap()).unwrap();
        let mut group = group;
        (group["each"], group["as"]) = (json!(true), json!("it"));
        assert_eq!(
            Value::from(pages(&engine, "aggregate", by(group.clone()), 1).await),
            expected,
            "{group}"
        );
    }
    // Other groups beside, conditions on the elements, and the name of the column as that of the group.
    let arguments = json!({"table": "ticket", "where": {"owner": {"tenant": 1}}, "having": {"labels": {"ne": "urgent"}},
        "group_by": [{"column": "labels", "each": true}, "owner.tenant"],
        "measures": {"n": {"count": "*"}}, "order_by": ["-n", "labels"]});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"labels": "bug", "owner.tenant": 1, "n": 3}));
    // Two lists of a row would multiply it.
    let twice = json!({"table": "ticket", "measures": {"n": {"count": "*"}},
        "group_by": [{"column": "labels", "each": true}, {"column": "owner.tags", "each": true}]});
    let told = error(&engine, "analyst", "aggregate", twice).await;
    assert_eq!(told["at"], "/group_by/1/each", "{told}");
    // Whole lists are groups as they were.
    let whole = by(json!({"column": "levels", "each": false, "as": "it"}));
    let reply = call(&engine, "analyst", "aggregate", whole).await.unwrap();
    assert_eq!(rows(&reply)[0]["it"], json!([]));
}

#[tokio::test]
async fn columns_without_elements_are_refused() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (group, at) in [
        (json!({"column": "word", "each": true}), "/group_by/0/each"),
        (json!({"column": "spots", "each": true}), "/group_by/0/each"),
        (json!({"column": "labels", "each": "yes"}), "/group_by/0/each"),
        (json!({"column": "labels", "each": true, "bucket": "month"}), "/group_by/0/bucket"),
        (json!({"column": "labels", "each": true, "path": ["a"]}), "/group_by/0/path"),
    ] {
        let arguments =
            json!({"table": "ticket", "group_by": [group], "measures": {"n": {"count": "*"}}});
        let found = refused(&engine, "aggregate", arguments).await;
        assert_eq!(found, ("invalid_value".into(), at.into()), "{group}");
    }
    for group in [
        json!({"unnest": "labels"}),
        json!({"column": "labels", "unnest": true}),
        json!({"unwind": "labels"}),
        json!("unnest(labels)"),
    ] {
        let arguments =
            json!({"table": "ticket", "group_by": [group], "measures": {"n": {"count": "*"}}});
        let told = error(&engine, "analyst", "aggregate", arguments).await;
        let hint = told["hint"].as_str().unwrap();
        assert!(hint.contains(r#"{"column": "labels", "each": true}"#), "{group}: {told}");
    }
    let told =
        error(&engine, "analyst", "aggregate", by(json!({"column": "word", "each": true}))).await;
    assert_eq!(
        told["allowed"],
        json!(["labels", "grid", "levels", "names", "doc", "old", "hidden", "secret"])
    );
}

#[tokio::test]
async fn elements_are_hidden_and_marked_as_their_list_is() {
    let database = Database::of(FIXTURE).await;
    let mut ticket = readable("public.ticket", Some(json!({"id": {"lt": 4}})));
    ticket.columns.exclude = vec!["hidden".to_owned()];
    ticket.columns.mask.insert("secret".to_owned(), Mask::Full);
    let owner = readable("public.owner", Some(json!({"tenant": 2})));
    let role = Role { name: "reader".to_owned(), grants: vec![ticket, owner], ..Role::default() };
    let columns = ColumnMarks { untrusted: vec!["*.*.labels".into()], ..ColumnMarks::default() };
    let settings = Settings { roles: vec![role], columns, ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    for (column, code) in [("hidden", "unknown_column"), ("secret", "forbidden")] {
        let arguments = by(json!({"column": column, "each": true, "as": "it"}));
        let error = call_as(&engine, &reader, "aggregate", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{column}");
    }
    let arguments = by(json!({"column": "word", "each": true}));
    let told = call_as(&engine, &reader, "aggregate", arguments).await.unwrap_err();
    for name in ["hidden", "secret"] {
        assert!(!format!("{told:?}").contains(name), "{told:?}");
    }
    let arguments = by(json!({"column": "labels", "each": true, "as": "it"}));
    let reply = call_as(&engine, &reader, "aggregate", arguments).await.unwrap();
    let found: Vec<Value> = rows(&reply).iter().map(|row| json!([row["it"], row["n"]])).collect();
    assert_eq!(json!(found), json!([["bug", 3], ["urgent", 1], [null, 1]]));
    assert_eq!(reply["untrusted"], json!(["it"]));
    // An owner out of reach has no tags.
    let arguments = by(json!({"column": "owner.tags", "each": true, "as": "it"}));
    let reply = call_as(&engine, &reader, "aggregate", arguments).await.unwrap();
    assert_eq!(rows(&reply).len(), 0);
}
