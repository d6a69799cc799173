//! Numbers, moments, texts, lists of them, and null.

use mcp_pg_tests::{Database, call, paged, rows};
use serde_json::{Value, json};

use super::check;

#[tokio::test]
async fn equality_order_and_null() {
    check(
        "values",
        "id",
        &[
            (json!({}), "true"),
            (json!({"number": 1}), "number = 1"),
            (json!({"number": null}), "number IS NULL"),
            (json!({"number": {"eq": null}}), "number IS NULL"),
            (json!({"number": {"ne": null}}), "number IS NOT NULL"),
            (json!({"number": {"ne": 1}}), "number <> 1"),
            (json!({"number": {"is_distinct_from": 1}}), "number IS DISTINCT FROM 1"),
            (json!({"number": {"is_distinct_from": null}}), "number IS DISTINCT FROM NULL"),
            (json!({"number": {"is_null": true}}), "number IS NULL"),
            (json!({"number": {"is_null": false}}), "number IS NOT NULL"),
            (json!({"number": {"gt": 1}}), "number > 1"),
            (json!({"number": {"gte": 1, "lt": 2}}), "number >= 1 AND number < 2"),
            (json!({"number": {"lte": "1"}}), "number <= 1"),
            (json!({"number": [1, 2]}), "number IN (1, 2)"),
            (json!({"amount": "9007199254740993"}), "amount = 9007199254740993"),
            (json!({"amount": {"gt": 1.5}}), "amount > 1.5"),
            (json!({"ratio": "NaN"}), "ratio = 'NaN'"),
            (json!({"ratio": {"gte": "Infinity"}}), "ratio >= 'Infinity'"),
            (json!({"flag": true}), "flag"),
            (json!({"flag": {"ne": true}}), "NOT flag"),
            (json!({"words": {"gt": "b"}}), "words > 'b'"),
            (json!({"tag": "a%b"}), "tag = 'a%b'"),
            (json!({"code": "ab"}), "code = 'ab'"),
            (json!({"code": {"in": ["ab", "zz"]}}), "code IN ('ab', 'zz')"),
            (json!({"letter": "x"}), "letter = 'x'"),
            (json!({"letter": {"in": ["x", "y"]}}), "letter IN ('x', 'y')"),
            (json!({"label": {"in": ["one", ""]}}), "label IN ('one', '')"),
            (json!({"day": {"gt": "2024-01-01"}}), "day > '2024-01-01'"),
            (json!({"day": "infinity"}), "day = 'infinity'"),
            (
                json!({"moment": {"lt": "2024-01-01T01:00:00+01:00"}}),
                "moment < '2024-01-01 01:00+01'",
            ),
            (json!({"length": {"gt": "1 day"}}), "length > '1 day'"),
            (json!({"key": {"in": ["00000000-0000-0000-0000-000000000001"]}}), "id = 1"),
            (json!({"bytes": "Av8="}), "bytes = '\\x02ff'"),
            (json!({"bytes": "\\x02Ff"}), "bytes = '\\x02ff'"),
            (json!({"bytes": {"in": ["AQ==", ""]}}), "bytes IN ('\\x01', '')"),
            (json!({"mood": "glad"}), "mood = 'glad'"),
            (json!({"mood": {"gte": "fine"}}), "mood >= 'fine'"),
            (json!({"mood": {"in": ["sad", null]}}), "mood = 'sad' OR mood IS NULL"),
            (json!({"spot": {"x": 1, "y": 2}}), "spot = '(1,2)'::spot"),
            (json!({"spot": {"in": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}}), "id IN (1, 2)"),
            (json!({"spot": {"gt": {"x": 1, "y": 2}}}), "spot > '(1,2)'::spot"),
            // A row of nulls is a value.
            (json!({"spot": null}), "id = 3"),
            (json!({"spot": {"is_null": false}}), "id <> 3"),
            (json!({"host": "10.0.0.1"}), "host = '10.0.0.1'"),
            (json!({"net": {"in": ["10.0.0.0/8"]}}), "net = '10.0.0.0/8'"),
            (json!({"square": null}), "square IS NULL"),
            (json!({"dot": {"is_null": false}}), "dot IS NOT NULL"),
            (json!({"markup": {"is_null": false}}), "markup IS NOT NULL"),
        ],
    )
    .await;
}

#[tokio::test]
async fn lists_with_and_without_nulls() {
    check(
        "values",
        "id",
        &[
            (json!({"number": {"in": []}}), "false"),
            (json!({"number": {"not_in": []}}), "true"),
            (json!({"number": {"in": [1, null]}}), "number = 1 OR number IS NULL"),
            (json!({"number": {"in": [null]}}), "number IS NULL"),
            (json!({"number": {"not_in": [1]}}), "number NOT IN (1)"),
            (json!({"number": {"not_in": [1, null]}}), "number <> 1 AND number IS NOT NULL"),
            (json!({"number": {"not_in": [null]}}), "number IS NOT NULL"),
            (json!({"number": {"in": 2}}), "number = 2"),
            (json!({"number": {"in": [{"$literal": 1}, 2]}}), "number IN (1, 2)"),
            (json!({"number": {"in": [{"$literal": null}]}}), "number IS NULL"),
            (json!({"number": {"is_distinct_from": null}}), "number IS NOT NULL"),
            (json!({"spot": {"is_distinct_from": null}}), "spot IS DISTINCT FROM NULL"),
            (json!({"list": {"in": [[3, 4], []]}}), "list IN ('{3,4}', '{}')"),
            (json!({"list": {"in": []}}), "false"),
            (json!({"list": {"not_in": [[3, 4]]}}), "list <> '{3,4}'"),
            (json!({"matrix": {"in": [[[5, 6]]]}}), "matrix = '{{5,6}}'"),
            (json!({"doc": {"in": [{"a": "text", "b": {"c": "z"}}]}}), "id = 2"),
            (json!({"doc": {"in": [[1, "a", {"k": true}]]}}), "id = 4"),
            (
                json!({"span": {"in": [{"lower": 1, "upper": 10}, {"bounds": "empty"}]}}),
                "id IN (1, 4)",
            ),
            (json!({"spans": {"in": [[{"lower": 2, "upper": 6}]]}}), "id = 2"),
            (json!({"spans": {"not_in": [[]]}}), "spans <> '{}'"),
        ],
    )
    .await;
}

#[tokio::test]
async fn text() {
    check(
        "values",
        "id",
        &[
            (json!({"words": {"like": "%beta%"}}), "words LIKE '%beta%'"),
            (json!({"words": {"like": "beta\\%%"}}), "words LIKE 'beta\\%%'"),
            (json!({"words": {"ilike": "ALPHA%"}}), "words ILIKE 'ALPHA%'"),
            (json!({"words": {"starts_with": "beta%"}}), "starts_with(words, 'beta%')"),
            (json!({"words": {"starts_with": "Alpha_"}}), "starts_with(words, 'Alpha_')"),
            (json!({"words": {"ends_with": "\\slash"}}), "right(words, 6) = '\\slash'"),
            (json!({"words": {"contains": "%"}}), "position('%' in words) > 0"),
            (json!({"words": {"contains": "_"}}), "position('_' in words) > 0"),
            (json!({"words": {"contains": "'; DROP TABLE x; --"}}), "false"),
            (json!({"words": {"contains": ""}}), "words IS NOT NULL"),
            (json!({"words": {"matches": "^A.*a$"}}), "words ~ '^A.*a$'"),
            (json!({"words": {"imatches": "^a"}}), "words ~* '^a'"),
            (
                json!({"words": {"search": "alpha_beta"}}),
                "to_tsvector(words) @@ websearch_to_tsquery('alpha_beta')",
            ),
            (json!({"tag": {"starts_with": "a%"}}), "tag LIKE 'a\\%%'"),
            (json!({"tag": {"imatches": "alpha"}}), "tag ~* 'alpha'"),
            (json!({"code": {"like": "ab%"}}), "code LIKE 'ab%'"),
            // The blanks that fill up char(n) count in patterns, and where a blank is looked for at the end.
            (json!({"code": {"like": "%b"}}), "code LIKE '%b'"),
            (json!({"code": {"ends_with": "b"}}), "right(code, 1) = 'b'"),
            (json!({"code": {"ends_with": "b "}}), "code LIKE '%b '"),
            (json!({"code": {"contains": "b "}}), "code LIKE '%b %'"),
            (json!({"code": {"contains": "b"}}), "strpos(code, 'b') > 0"),
            (json!({"code": {"starts_with": "ab "}}), "code LIKE 'ab %'"),
            (json!({"code": {"starts_with": "ab"}}), "starts_with(code, 'ab')"),
            (json!({"letter": {"like": "x"}}), "letter::text LIKE 'x'"),
            (json!({"label": {"ilike": "O%"}}), "label ILIKE 'O%'"),
            (json!({"label": {"search": "two or three"}}), "label = 'two'"),
            (
                json!({"search": {"search": "fox -lazy"}}),
                "search @@ websearch_to_tsquery('fox -lazy')",
            ),
            (json!({"search": {"search": "\"quick fox\" or dog"}}), "id IN (1, 2)"),
            (json!({"search": {"is_null": true}}), "search IS NULL"),
        ],
    )
    .await;
}

#[tokio::test]
async fn names_of_the_catalogue_are_compared_as_names() {
    let database = Database::of(
        "CREATE TABLE t (id int PRIMARY KEY, class regclass, kind regtype, who regrole);
         INSERT INTO t VALUES (1, 'pg_class', 'integer', 'postgres'), (2, 'pg_type', 'text[]', NULL);",
    )
    .await;
    let engine = database.engine().await;
    for (condition, expected) in [
        (json!({"class": "pg_class"}), 1),
        (json!({"class": {"in": ["pg_type", "pg_index"]}}), 2),
        (json!({"kind": {"ne": "integer"}}), 2),
        (json!({"kind": ["integer", "text"]}), 1),
        (json!({"who": {"is_distinct_from": "postgres"}}), 2),
    ] {
        let select = json!({"table": "t", "columns": ["id"], "where": condition});
        let reply = call(&engine, "analyst", "select", select).await.unwrap();
        assert_eq!(rows(&reply), [json!({"id": expected})], "{condition}");
    }
}

#[tokio::test]
async fn a_domain_over_an_enum_is_compared_as_the_enum() {
    let database = Database::of(
        "CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
         CREATE DOMAIN felt AS mood;
         CREATE DOMAIN shown AS felt;
         CREATE TABLE face (mood shown PRIMARY KEY, was felt, tone integer);
         INSERT INTO face VALUES ('glad', 'sad', 1), ('sad', 'fine', 2), ('fine', NULL, 3);",
    )
    .await;
    let engine = database.engine().await;
    let moods = async |arguments: Value| {
        let mut arguments = arguments;
        arguments["table"] = "face".into();
        let reply = call(&engine, "admin", "select", arguments).await.unwrap();
        rows(&reply).iter().map(|row| row["mood"].clone()).collect::<Vec<_>>()
    };
    for (condition, expected) in [
        (json!({"mood": "fine"}), vec!["fine"]),
        (json!({"mood": {"gt": "sad"}}), vec!["fine", "glad"]),
        (json!({"mood": {"in": ["glad", "sad"]}}), vec!["sad", "glad"]),
        (json!({"was": {"not_in": ["sad"]}}), vec!["sad"]),
        (json!({"was": {"is_distinct_from": "sad"}}), vec!["sad", "fine"]),
        (json!({"was": null}), vec!["fine"]),
    ] {
        assert_eq!(moods(json!({"where": condition})).await, expected, "{condition}");
    }
    for order in [json!(["mood"]), json!(["was", "-mood"]), json!(["-was"])] {
        let arguments = json!({"table": "face", "columns": ["tone"], "order_by": order});
        assert_eq!(paged(&engine, arguments, "tone", 1).await.len(), 3);
    }
    for (tool, arguments, pointer, expected) in [
        (
            "aggregate",
            json!({"table": "face", "measures": {"first": {"min": "mood"}, "last": {"max": "was"}},
                "having": {"last": "fine"}}),
            "/rows",
            json!([{"first": "sad", "last": "fine"}]),
        ),
        (
            "aggregate",
            json!({"table": "face", "group_by": ["was"], "measures": {"n": {"count": "*"}},
                "having": {"was": {"gte": "fine"}}}),
            "/rows",
            json!([{"was": "fine", "n": 1}]),
        ),
        (
            "update",
            json!({"table": "face", "where": {"mood": "glad"}, "updates": {"tone": 4}, "returning": ["tone"]}),
            "/rows",
            json!([{"tone": 4}]),
        ),
        (
            "update",
            json!({"table": "face", "updates": [{"mood": "glad", "tone": 5}, {"mood": "sad", "tone": 6}], "max_rows": 2}),
            "/row_count",
            json!(2),
        ),
        (
            "insert",
            json!({"table": "face", "data": {"mood": "glad", "was": "fine", "tone": 7},
                "on_conflict": {"columns": ["mood"], "do": "update"}, "returning": ["tone"]}),
            "/rows",
            json!([{"tone": 7}]),
        ),
    ] {
        let reply = call(&engine, "admin", tool, arguments.clone()).await;
        let reply = reply.unwrap_or_else(|error| panic!("{arguments}: {error}"));
        assert_eq!(reply.pointer(pointer), Some(&expected), "{reply}");
    }
}
