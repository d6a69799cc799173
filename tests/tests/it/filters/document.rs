//! Values with parts: JSON, arrays, ranges, networks.

use mcp_pg_tests::{Database, call, error, rows};
use serde_json::json;

use super::check;

#[tokio::test]
async fn trees_and_pairs_of_extensions() {
    let engine = Database::of(
        "CREATE EXTENSION ltree; CREATE EXTENSION hstore;
         CREATE TABLE node (id integer PRIMARY KEY, path ltree, paths ltree[], attributes hstore, doc jsonb);
         INSERT INTO node VALUES (1, 'top', '{top}', 'a=>1', '{}'), (2, 'top.left', '{}', 'a=>1, b=>2', '{}'),
             (3, 'top.left.leaf', NULL, 'c=>NULL', '{}'), (4, 'other', NULL, NULL, '{}');",
    )
    .await
    .engine()
    .await;
    for (filter, expected) in [
        (json!({"path": {"contained_by": "top.left"}}), vec![2, 3]),
        (json!({"path": {"contains": "top.left"}}), vec![1, 2]),
        (json!({"path": "other"}), vec![4]),
        (json!({"paths": {"contains": ["top"]}}), vec![1]),
        (json!({"attributes": {"has_key": "a"}}), vec![1, 2]),
        (json!({"attributes": {"has_key": ["a", "b"]}}), vec![2]),
        (json!({"attributes": {"contains": "a=>1"}}), vec![1, 2]),
        (json!({"attributes": {"contains": {"a": "1"}}}), vec![1, 2]),
        (json!({"attributes": {"contains": {"c": null}}}), vec![3]),
        (json!({"attributes": {"contains": {"a": 1, "b": 2}}}), vec![2]),
        (json!({"attributes": {"contained_by": "a=>1, c=>NULL"}}), vec![1, 3]),
    ] {
        let arguments = json!({"table": "node", "columns": ["id"], "where": filter});
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        let ids: Vec<i64> = rows(&reply).iter().map(|row| row["id"].as_i64().unwrap()).collect();
        assert_eq!(ids, expected, "{filter}");
    }
    let written = json!({"table": "node", "where": {"id": 4}, "updates": {"attributes": {"k \"": "\\", "l": null}}});
    let written = call(&engine, "operator", "update", written).await.unwrap();
    assert_eq!(rows(&written)[0]["attributes"], r#""l"=>NULL, "k \""=>"\\""#);
    let nested = json!({"table": "node", "where": {"attributes": {"contains": {"a": ["1"]}}}});
    let refused = error(&engine, "analyst", "select", nested).await;
    assert!(refused["hint"].as_str().unwrap().contains("a=>1"), "{refused}");
    for text in ["deep", "=>", "a=>1 b", "\"a"] {
        let malformed = json!({"table": "node", "where": {"attributes": {"contains": text}}});
        let refused = error(&engine, "analyst", "select", malformed).await;
        assert_eq!(refused["message"], "invalid input syntax for type hstore", "{refused}");
        assert_eq!(refused["at"], "/where/attributes/contains", "{refused}");
        assert!(refused["hint"].as_str().unwrap().starts_with("{\"a\": \"1\""), "{refused}");
    }
    let arguments = json!({"table": "node", "where": {"doc": {"path": ["a"], "search": "x"}}});
    let error = error(&engine, "analyst", "select", arguments).await;
    assert_eq!(error["code"], "unknown_operator");
    let allowed = error["allowed"].as_array().unwrap();
    assert!(
        allowed.contains(&json!("starts_with")) && allowed.contains(&json!("has_key")),
        "{error}"
    );
}

#[tokio::test]
async fn documents() {
    check(
        "values",
        "id",
        &[
            (json!({"doc": {"path": ["a"], "eq": 1}}), "doc #> '{a}' = '1'"),
            (json!({"doc": {"path": ["a"], "eq": "text"}}), "doc #> '{a}' = '\"text\"'"),
            (json!({"doc": {"path": ["b", "c", 1], "eq": "y"}}), "doc #>> '{b,c,1}' = 'y'"),
            (json!({"doc": {"path": ["b", "c"], "like": "z%"}}), "doc #>> '{b,c}' LIKE 'z%'"),
            (json!({"doc": {"path": ["b", "c"], "starts_with": "z"}}), "doc #>> '{b,c}' LIKE 'z%'"),
            (json!({"doc": {"path": ["a"], "ends_with": "ext"}}), "doc #>> '{a}' LIKE '%ext'"),
            (json!({"doc": {"path": ["a"], "ends_with": "%"}}), "false"),
            (
                json!({"doc": {"path": ["a"], "in": [1, "text"]}}),
                "doc #> '{a}' IN ('1', '\"text\"')",
            ),
            (json!({"doc": {"path": ["a"], "not_in": [1]}}), "doc #> '{a}' NOT IN ('1')"),
            // By PostgreSQL's order of JSON, any text is less than every number.
            (json!({"doc": {"path": ["a"], "gt": 0}}), "id = 1"),
            (json!({"doc": {"path": ["a"], "lt": 9}}), "id = 1"),
            (json!({"doc": {"path": ["a"], "gte": "s"}}), "id = 2"),
            (json!({"doc": {"path": ["a"], "lte": "0"}}), "false"),
            // A text is neither more nor less than a number: it is not known which.
            (json!({"not": {"doc": {"path": ["a"], "gt": 0}}}), "false"),
            (json!({"doc": {"path": ["b"], "has_key": "c"}}), "doc #> '{b}' ? 'c'"),
            (json!({"doc": {"path": ["a"], "is_null": true}}), "doc #>> '{a}' IS NULL"),
            (json!({"doc": {"path": ["n"], "eq": null}}), "doc #>> '{n}' IS NULL"),
            (json!({"doc": {"path": ["n"], "ne": null}}), "doc #>> '{n}' IS NOT NULL"),
            (json!({"doc": {"path": ["n"], "in": [1, null]}}), "doc #>> '{n}' IS NULL"),
            (
                json!({"doc": {"path": ["n"], "is_distinct_from": null}}),
                "doc #>> '{n}' IS NOT NULL",
            ),
            (json!({"doc": {"path": ["a"], "is_distinct_from": null}}), "doc #> '{a}' IS NOT NULL"),
            (json!({"doc": {"path": ["a"], "is_distinct_from": 1}}), "id <> 1"),
            (json!({"doc": {"is_distinct_from": null}}), "doc IS NOT NULL"),
            (
                json!({"doc": {"path": ["a"], "in": [{"$literal": 1}, {"$literal": "text"}]}}),
                "id IN (1, 2)",
            ),
            (json!({"doc": {"in": [{"$literal": {"a": "text", "b": {"c": "z"}}}, 5]}}), "id = 2"),
            (json!({"doc": {"not_in": [{"$literal": [1, "a", {"k": true}]}]}}), "id IN (1, 2)"),
            (
                json!({"doc": {"path": ["b", "c"], "contains": ["x"]}}),
                "doc #> '{b,c}' @> '[\"x\"]'",
            ),
            (json!({"doc": {"contains": {"a": 1}}}), "doc @> '{\"a\": 1}'"),
            (json!({"doc": {"contains": [1]}}), "doc @> '[1]'"),
            (json!({"doc": {"contained_by": {"a": "text", "b": {"c": "z"}, "d": 1}}}), "id = 2"),
            (json!({"doc": {"has_key": "n"}}), "doc ? 'n'"),
            (json!({"doc": {"has_key": ["a", "b"]}}), "doc ?& '{a,b}'"),
            (json!({"doc": {"eq": {"a": "text", "b": {"c": "z"}}}}), "id = 2"),
            (json!({"doc": [1, "a", {"k": true}]}), "id = 4"),
            (json!({"doc": {"$literal": {"eq": 1}}}), "false"),
            (json!({"plain": {"path": ["a", "b"], "eq": 2}}), "plain #>> '{a,b}' = '2'"),
            (json!({"plain": {"path": ["a"], "contains": {"b": 1}}}), "id = 1"),
            (json!({"plain": {"is_null": true}}), "plain IS NULL"),
        ],
    )
    .await;
}

#[tokio::test]
async fn arrays_ranges_and_networks() {
    check(
        "values",
        "id",
        &[
            (json!({"list": [1, 2, 3]}), "list = '{1,2,3}'"),
            (json!({"list": {"contains": [3]}}), "list @> '{3}'"),
            (json!({"list": {"contains": 3}}), "list @> '{3}'"),
            (json!({"list": {"contained_by": [1, 2, 3, 4]}}), "list <@ '{1,2,3,4}'"),
            (json!({"list": {"overlaps": [4, 9]}}), "list && '{4,9}'"),
            (json!({"list": {"gt": [1]}}), "list > '{1}'"),
            (json!({"texts": {"contains": "b"}}), "texts @> '{b}'"),
            (json!({"texts": {"contains": ["{x}"]}}), "false"),
            (json!({"moods": {"contains": ["glad"]}}), "moods @> '{glad}'"),
            (json!({"moods": {"overlaps": "fine"}}), "moods && '{fine}'"),
            (json!({"span": {"contains": 7}}), "span @> 7"),
            (json!({"square": {"contains": [1.5, 1.5]}}), "square @> point '(1.5,1.5)'"),
            (json!({"square": {"contains": "(0.5,0.5),(0,0)"}}), "square @> box '(0.5,0.5),(0,0)'"),
            (json!({"square": {"contains": {"x": 0.5, "y": 1}}}), "square @> point '(0.5,1)'"),
            (json!({"not": {"square": {"contains": "(9,9)"}}}), "NOT square @> point '(9,9)'"),
            (json!({"dot": {"contained_by": "(2,3),(0,0)"}}), "dot <@ box '(2,3),(0,0)'"),
            (json!({"dot": {"contained_by": "<(1,2),0.5>"}}), "dot <@ circle '<(1,2),0.5>'"),
            (
                json!({"dot": {"contained_by": "((0,0),(0,9),(9,9))"}}),
                "dot <@ polygon '((0,0),(0,9),(9,9))'",
            ),
            (
                json!({"not": {"dot": {"contained_by": "(2,3),(0,0)"}}}),
                "NOT dot <@ box '(2,3),(0,0)'",
            ),
            (json!({"span": {"contains": {"lower": 5, "upper": 9}}}), "span @> '[5,9)'::int4range"),
            (json!({"span": {"contains": "[5,9)"}}), "span @> '[5,9)'::int4range"),
            (
                json!({"span": {"contained_by": {"lower": 0, "upper": 100}}}),
                "span <@ '[0,100)'::int4range",
            ),
            (json!({"span": {"overlaps": {"lower": 15}}}), "span && '[15,)'::int4range"),
            (json!({"span": {"lower": 1, "upper": 10}}), "span = '[1,10)'"),
            (json!({"span": {"gt": {"lower": 1, "upper": 10}}}), "span > '[1,10)'"),
            (
                json!({"spans": {"overlaps": [{"lower": 6, "upper": 7}]}}),
                "spans && '{[6,7)}'::int4multirange",
            ),
            (json!({"spans": {"contains": 5}}), "spans @> 5"),
            (
                json!({"spans": {"contains": {"lower": 2, "upper": 3}}}),
                "spans @> '[2,3)'::int4range",
            ),
            (
                json!({"spans": {"contains": [{"lower": 5, "upper": 6}]}}),
                "spans @> '{[5,6)}'::int4multirange",
            ),
            (
                json!({"spans": {"contained_by": [{"lower": 0, "upper": 9}]}}),
                "spans <@ '{[0,9)}'::int4multirange",
            ),
            (json!({"spans": [{"lower": 2, "upper": 6}]}), "id = 2"),
            (json!({"days": {"contains": "2024-01-15"}}), "days @> '2024-01-15'::date"),
            (json!({"host": {"contained_by": "10.0.0.0/8"}}), "host <<= '10.0.0.0/8'"),
            (json!({"net": {"contains": "192.168.1.1"}}), "net >>= '192.168.1.1'"),
            (json!({"host": {"overlaps": "192.168.0.0/16"}}), "host && '192.168.0.0/16'"),
            (json!({"net": {"gt": "10.0.0.0/8"}}), "net > '10.0.0.0/8'"),
        ],
    )
    .await;
}
