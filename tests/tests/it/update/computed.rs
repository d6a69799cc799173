//! Values that depend on those that are there, and those that stand for others.

use mcp_pg_tests::{Database, call, error, refused};
use serde_json::{Value, json};

use super::{THINGS, thing};

#[tokio::test]
async fn numbers_are_incremented() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"small": {"$increment": -3}, "big": {"$increment": 2}, "amount": {"$increment": "0.25"},
               "ratio": {"$increment": 0.25}}),
    )
    .await;
    assert_eq!(row["small"], 4);
    assert_eq!(row["big"], "9007199254740995");
    assert_eq!(row["amount"], 10.75);
    assert_eq!(row["ratio"], 0.75);
    // Nothing plus something is still unknown.
    assert_eq!(thing(&engine, 2, json!({"small": {"$increment": 1}})).await["small"], Value::Null);
    for (updates, code, at) in [
        (json!({"small": {"$increment": 40_000}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": "x"}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": 1.5}}), "invalid_value", "/updates/small/$increment"),
        (json!({"small": {"$increment": null}}), "invalid_value", "/updates/small/$increment"),
        (json!({"name": {"$increment": 1}}), "invalid_value", "/updates/name/$increment"),
        (json!({"small": {"$increment": 32_767}}), "invalid_value", "/updates/small/$increment"),
    ] {
        let arguments = json!({"table": "things", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!((found.0.as_str(), found.1.as_str()), (code, at), "{updates}");
    }
}

#[tokio::test]
async fn an_expression_of_sql_in_a_text_is_a_text() {
    let database = Database::of(
        "CREATE TABLE client (id integer PRIMARY KEY, city text, notes text, secret text); INSERT INTO client VALUES (1, 'x', 'y', 'z')",
    )
    .await;
    let engine = database.engine().await;
    for (updates, noted) in [
        (json!({"notes": "notes || ' called'"}), true),
        (json!({"city": "UPPER(city)"}), true),
        (json!({"city": "x", "notes": "concat(city, ' ', notes)"}), true),
        (json!({"notes": "Note: call (city)"}), false),
        (json!({"notes": "in the city"}), false),
        (json!({"notes": "a || b"}), false),
        (json!({"notes": {"$append": " notes || city"}}), false),
    ] {
        let arguments = json!({"table": "client", "where": {"id": 1}, "updates": updates});
        let reply = call(&engine, "operator", "update", arguments).await.unwrap();
        let notes = reply.get("notes").map(Value::to_string).unwrap_or_default();
        assert_eq!(notes.contains("SQL is not computed"), noted, "{updates} {notes}");
    }
}

#[tokio::test]
async fn lists_texts_and_json_grow() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"tags": {"$append": ["b", "c"]}, "counts": {"$append": 3}, "name": {"$append": "!"},
               "meta": {"$merge": {"k": {"y": 2}, "m": null}}}),
    )
    .await;
    assert_eq!(row["tags"], json!(["a", "b", "c"]));
    assert_eq!(row["counts"], json!([1, 2, 3]));
    assert_eq!(row["name"], "one!");
    assert_eq!(row["meta"], json!({"k": {"y": 2}, "l": [1], "m": null}));
    // What is added to nothing is all there is.
    let row = thing(
        &engine,
        2,
        json!({"tags": {"$append": "{x}"}, "counts": {"$append": [1]}, "name": {"$append": "new"},
               "meta": {"$merge": {"a": 1}}}),
    )
    .await;
    assert_eq!(row["tags"], json!(["{x}"]));
    assert_eq!(row["counts"], json!([1]));
    assert_eq!(row["name"], "new");
    assert_eq!(row["meta"], json!({"a": 1}));
    assert_eq!(
        thing(&engine, 3, json!({"meta": {"$append": [2, 3]}})).await["meta"],
        json!([1, 2, 3])
    );
    // What is no list is an element of one, and takes nothing away.
    for (old, added, expected) in [
        (json!([1]), json!({"a": 2}), json!([1, {"a": 2}])),
        (json!(null), json!({"a": 2}), json!([{"a": 2}])),
        (json!([]), json!("x"), json!(["x"])),
        (json!([1]), json!({"$literal": [2]}), json!([1, 2])),
    ] {
        thing(&engine, 3, json!({"meta": {"$literal": old}})).await;
        let row = thing(&engine, 3, json!({"meta": {"$append": added}})).await;
        assert_eq!(row["meta"], expected, "{old} and {added}");
    }
    // What is no object has no members, and what is no list has no end.
    for (old, operator) in [
        (json!([1]), "$merge"),
        (json!({"a": 1}), "$append"),
        (json!("x"), "$merge"),
        (json!("x"), "$append"),
        (json!(7), "$merge"),
        (json!(false), "$merge"),
    ] {
        thing(&engine, 3, json!({"meta": {"$literal": old}})).await;
        let added = json!({"meta": {operator: {"a": 1}}});
        let fitting = if operator == "$merge" { json!({}) } else { json!([]) };
        thing(&engine, 1, json!({"meta": {"$literal": fitting}})).await;
        for (updates, at) in [
            (added.clone(), format!("/updates/meta/{operator}")),
            (
                json!([{"id": 1, "meta": added["meta"]}, {"id": 3, "meta": added["meta"]}]),
                format!("/updates/1/meta/{operator}"),
            ),
        ] {
            let by_key = updates.is_array();
            let filter = if by_key { json!({}) } else { json!({"id": {"gte": 3}}) };
            let arguments =
                json!({"table": "things", "where": filter, "updates": updates, "max_rows": 9});
            let told = error(&engine, "operator", "update", arguments).await;
            assert_eq!(
                (&told["code"], &told["at"]),
                (&json!("invalid_value"), &json!(at)),
                "{told}"
            );
            assert!(told["message"].as_str().unwrap().contains("meta is "), "{told}");
        }
        assert_eq!(thing(&engine, 3, json!({"name": "n"})).await["meta"], old);
    }
    for (updates, at) in [
        (json!({"small": {"$append": 1}}), "/updates/small/$append"),
        (json!({"plain": {"$append": 1}}), "/updates/plain/$append"),
        (json!({"plain": {"$merge": {}}}), "/updates/plain/$merge"),
        (json!({"meta": {"$merge": [1]}}), "/updates/meta/$merge"),
        (json!({"tags": {"$append": null}}), "/updates/tags/$append"),
        (json!({"counts": {"$append": ["x"]}}), "/updates/counts/$append/0"),
        (json!({"tags": {"$merge": {}}}), "/updates/tags/$merge"),
    ] {
        let arguments = json!({"table": "things", "where": {"id": 1}, "updates": updates});
        let found = refused(&engine, "update", arguments).await;
        assert_eq!(found, ("invalid_value".into(), at.into()), "{updates}");
    }
}

#[tokio::test]
async fn now_default_literal_and_null() {
    let engine = Database::of(THINGS).await.engine().await;
    let row = thing(
        &engine,
        1,
        json!({"day": {"$default": true}, "at": {"$now": true}, "hour": {"$now": true},
               "name": {"$default": true}, "tags": null, "meta": {"$literal": {"$now": true}}}),
    )
    .await;
    assert_eq!(row["day"], "2020-02-02");
    assert!(row["at"].as_str().unwrap() > "2025", "{row}");
    assert!(row["hour"].is_string());
    assert_eq!((&row["name"], &row["tags"]), (&Value::Null, &Value::Null));
    assert_eq!(row["meta"], json!({"$now": true}));
    // An object with other members is a value.
    assert_eq!(thing(&engine, 1, json!({"meta": {"a": 1}})).await["meta"], json!({"a": 1}));
}

/// JSON's null is a value, and SQL's is none: a reply shows both as null.
#[tokio::test]
async fn the_null_of_json() {
    let database = Database::of(
        "CREATE TABLE things (id integer PRIMARY KEY, doc jsonb NOT NULL, plain json);
         INSERT INTO things VALUES (1, '{}', NULL)",
    )
    .await;
    let engine = database.engine().await;
    let literal = json!({"$literal": null});
    let row = thing(&engine, 1, json!({"doc": literal, "plain": literal})).await;
    assert_eq!(row, json!({"id": 1, "doc": null, "plain": null}));
    let told = database.value("SELECT doc::text || coalesce(plain::text, '-') FROM things").await;
    assert_eq!(told.unwrap(), "nullnull");
    let reset = json!({"table": "things", "where": {"id": 1}, "updates": {"doc": Value::Null}});
    let told = error(&engine, "operator", "update", reset).await;
    assert_eq!(told["code"], "not_null_violation");
    assert!(told["hint"].as_str().unwrap().contains("$literal"), "{told}");
}
