//! Lists and JSON that lose members, or are changed inside.

use mcp_pg_tests::{Database, call, error, refused, rows};
use serde_json::{Value, json};

use super::{FIXTURE, changed};

#[tokio::test]
async fn lists_and_json_lose_members() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let row = changed(
        &engine,
        1,
        json!({"tags": {"$remove": "a"}, "labels": {"$remove": ["x", "z"]}, "counts": {"$remove": [2]}, "moods": {"$remove": "sad"},
               "grid": {"$remove": 1}, "docs": {"$remove": {}}, "meta": {"$remove": ["a", "list", "no"]}}),
    )
    .await;
    assert_eq!(row["tags"], json!(["b", null]));
    assert_eq!(
        (&row["labels"], &row["counts"], &row["moods"]),
        (&json!(["y"]), &json!([1, 1]), &json!(["fine"]))
    );
    assert_eq!((&row["grid"], &row["docs"]), (&json!([[1, 2], [1, 1]]), &json!([1])));
    assert_eq!(row["meta"], json!({"limits": {"users": 5, "own": null}}));
    let row = changed(
        &engine,
        2,
        json!({"tags": {"$remove": "a"}, "counts": {"$remove": 1}, "meta": {"$remove": "a"}}),
    )
    .await;
    assert_eq!(
        (&row["tags"], &row["counts"], &row["meta"]),
        (&Value::Null, &json!([]), &Value::Null)
    );
    let arguments = json!({"table": "thing", "where": {}, "returning": ["tags", "meta"], "updates": [
        {"id": 1, "tags": {"$remove": "b"}, "meta": {"$remove": "limits"}}, {"id": 2, "tags": {"$remove": ["b"]}, "meta": {"$remove": ["x", "y"]}}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"tags": [null], "meta": {}}));
    changed(&engine, 2, json!({"meta": {"$literal": null}})).await;
    assert_eq!(changed(&engine, 2, json!({"meta": {"$remove": "a"}})).await["meta"], Value::Null);
    changed(&engine, 2, json!({"meta": ["a", "b", 1, {"a": 1}]})).await;
    let row = changed(&engine, 2, json!({"meta": {"$remove": "a"}})).await;
    assert_eq!(row["meta"], json!(["b", 1, {"a": 1}]));
    for (id, updates, at) in [
        (1, json!({"tags": {"$remove": null}}), "/tags/$remove"),
        (1, json!({"tags": {"$remove": ["a", null]}}), "/tags/$remove"),
        (1, json!({"counts": {"$remove": "x"}}), "/counts/$remove/0"),
        (1, json!({"meta": {"$remove": 1}}), "/meta/$remove"),
        (1, json!({"plain": {"$remove": "a"}}), "/plain/$remove"),
        (1, json!({"name": {"$remove": "a"}}), "/name/$remove"),
        (3, json!({"meta": {"$remove": "a"}}), "/meta/$remove"),
    ] {
        let arguments = json!({"table": "thing", "where": {"id": id}, "updates": updates});
        assert_eq!(
            refused(&engine, "update", arguments).await,
            ("invalid_value".into(), format!("/updates{at}")),
            "{updates}"
        );
    }
}

#[tokio::test]
async fn json_is_changed_inside() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let set = |path: Value, value: Value| json!({"meta": {"$set": {"path": path, "value": value}}});
    for (path, value, expected) in [
        (
            json!(["limits", "users"]),
            json!(50),
            json!({"a": 1, "limits": {"users": 50, "own": null}, "list": [1, {"k": 1}]}),
        ),
        (
            json!(["limits", "own", "deep"]),
            json!([1]),
            json!({"a": 1, "limits": {"users": 50, "own": {"deep": [1]}}, "list": [1, {"k": 1}]}),
        ),
        (
            json!(["list", 1, "k"]),
            json!(null),
            json!({"a": 1, "limits": {"users": 50, "own": {"deep": [1]}}, "list": [1, {"k": null}]}),
        ),
        (
            json!(["list", 2]),
            json!("end"),
            json!({"a": 1, "limits": {"users": 50, "own": {"deep": [1]}}, "list": [1, {"k": null}, "end"]}),
        ),
        (
            json!(["limits"]),
            json!({}),
            json!({"a": 1, "limits": {}, "list": [1, {"k": null}, "end"]}),
        ),
    ] {
        assert_eq!(changed(&engine, 1, set(path.clone(), value)).await["meta"], expected, "{path}");
    }
    assert_eq!(
        changed(&engine, 2, set(json!(["a", "b", "c"]), json!({"d": 1}))).await["meta"],
        json!({"a": {"b": {"c": {"d": 1}}}})
    );
    let arguments = json!({"table": "thing", "where": {}, "returning": ["meta"], "updates": [
        {"id": 1, "meta": {"$set": {"path": ["a"], "value": 2}}}, {"id": 2, "meta": {"$set": {"path": ["a"], "value": 3}}}]});
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"meta": {"a": 2, "limits": {}, "list": [1, {"k": null}, "end"]}}),
            json!({"meta": {"a": 3}})
        ]
    );
    let mixed = json!({"table": "thing", "where": {}, "returning": ["meta"], "updates": [
        {"id": 1, "meta": {"$set": {"path": ["list"], "value": 2}}}, {"id": 2, "meta": {"$set": {"path": ["b"], "value": 3}}}]});
    let reply = call(&engine, "operator", "update", mixed).await.unwrap();
    assert_eq!(
        rows(&reply),
        [json!({"meta": {"a": 2, "limits": {}, "list": 2}}), json!({"meta": {"a": 3, "b": 3}})]
    );
    changed(&engine, 1, json!({"meta": {"list": [1], "a": {"b": 1}}})).await;
    for (id, path, at) in [
        (1, json!(["a", "b", "c"]), "$set"),
        (1, json!(["list", 2]), "$set"),
        (1, json!(["list", "x"]), "$set"),
        (1, json!(["list", 1, "x"]), "$set"),
        (3, json!(["a"]), "$set"),
        (1, json!([]), "$set/path"),
        (1, json!("a"), "$set/path"),
        (1, Value::from(vec!["a"; 200]), "$set/path"),
    ] {
        let arguments =
            json!({"table": "thing", "where": {"id": id}, "updates": set(path.clone(), json!(1))});
        let (_, place) = refused(&engine, "update", arguments).await;
        assert_eq!(place, format!("/updates/meta/{at}"), "{path}");
    }
    for (updates, at, hint) in [
        (json!({"meta": {"$set": {"a": 1}}}), "/updates/meta/$set", "\"path\""),
        (json!({"name": {"$set": "x"}}), "/updates/name/$set", "the value itself"),
        (
            json!({"meta": {"path": ["a"], "value": 7}}),
            "/updates/meta",
            "{\"$set\": {\"path\": [\"a\"], \"value\": 7}}",
        ),
        (
            json!({"meta": {"path": ["a"], "eq": 7}}),
            "/updates/meta",
            "{\"$set\": {\"path\": [\"a\"], \"value\": 7}}",
        ),
        (json!({"meta.a.b": 7}), "/updates/meta.a.b", "{\"$set\": {\"path\": [\"a\", \"b\"]"),
        (json!({"meta": {"$unset": "a"}}), "/updates/meta/$unset", ""),
    ] {
        let told = error(
            &engine,
            "operator",
            "update",
            json!({"table": "thing", "where": {"id": 1}, "updates": updates}),
        )
        .await;
        assert_eq!(told["at"], at, "{told}");
        assert!(told["hint"].as_str().unwrap_or_default().contains(hint), "{told}");
    }
    let literal = json!({"meta": {"$literal": {"path": ["a"], "value": 7}}});
    assert_eq!(changed(&engine, 1, literal).await["meta"], json!({"path": ["a"], "value": 7}));
    let new = json!({"table": "thing", "data": {"id": 9, "meta": {"path": ["a"], "value": 7}}});
    assert_eq!(
        refused(&engine, "insert", new).await,
        ("invalid_value".into(), "/data/meta".into())
    );
    // A parent's key inside a child's JSON.
    let operations = json!({"operations": [
        {"operation": "insert", "as": "maker", "table": "maker", "data": {"id": 7}},
        {"operation": "update", "table": "thing", "where": {"id": 1}, "updates": {"meta": {"$set": {"path": ["by"], "value": {"$ref": "maker.id"}}}}}]});
    let reply = call(&engine, "operator", "transaction", operations).await.unwrap();
    assert_eq!(reply["results"][1]["rows"][0]["meta"]["by"], 7);
}
