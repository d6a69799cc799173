//! Conditions: every operator on every family of types, relations, logic, and their bounds; each against
//! the same condition in SQL.

use mcp_pg_core::policy::Limits;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::{Value, json};

const FIXTURE: &str = r#"
CREATE TYPE mood AS ENUM ('sad', 'fine', 'glad');
CREATE DOMAIN name_tag AS text;
CREATE TYPE spot AS (x integer, y integer);
CREATE TABLE "values" (
  id integer PRIMARY KEY, number integer, amount numeric, ratio float8, flag boolean, words text, tag name_tag,
  code char(4), letter "char", label varchar(20), day date, moment timestamptz, length interval, key uuid,
  bytes bytea, mood mood, spot spot, doc jsonb, plain json, list integer[], texts text[], moods mood[],
  matrix integer[], span int4range, spans int4multirange, days daterange, host inet, net cidr, search tsvector,
  dot point, square box, squares box[], markup xml, "or" integer, "column" text, "eq" integer
);
INSERT INTO "values" VALUES
 (1, 1, 1.5, 0.5, true, 'Alpha_beta', 'a%b', 'ab', 'x', 'one', '2024-01-01', '2024-01-01 00:00+00', '1 day',
  '00000000-0000-0000-0000-000000000001', '\x01', 'sad', '(1,2)', '{"a": 1, "b": {"c": ["x", "y"]}, "n": null}',
  '{"a": {"b": 1}}', '{1,2,3}', '{a,b}', '{sad,glad}', '{{1,2},{3,4}}', '[1,10)', '{[1,3),[5,8)}', '[2024-01-01,2024-02-01)',
  '10.0.0.1', '10.0.0.0/8', to_tsvector('the quick fox'), '(1,2)', '(1,1),(0,0)', '{(1,1),(0,0)}', '<a/>', 1, 'x', 1),
 (2, 2, 2.5, 'NaN', false, 'beta%gamma', 'a_b', 'abcd', 'y', 'two', '2024-06-01', '2024-06-01 12:00+00', '2 days',
  '00000000-0000-0000-0000-000000000002', '\x02ff', 'glad', '(3,4)', '{"a": "text", "b": {"c": "z"}}', '{"a": {"b": 2}}',
  '{3,4}', '{b,c}', '{fine}', '{{5,6}}', '[5,20)', '{[2,6)}', '[2024-06-01,)', '192.168.0.7/24', '192.168.0.0/16',
  to_tsvector('lazy dogs and a fox'), '(3,4)', '(2,2),(1,1)', '{(3,3),(2,2);(1,1),(0,0)}', '<b/>', 2, 'y', 2),
 (4, -3, 9007199254740993, 'Infinity', true, 'back\slash', 'ALPHA', 'zz', 'z', '', 'infinity', '-infinity', '-1 mon',
  '00000000-0000-0000-0000-000000000004', '', 'fine', '(,)', '[1, "a", {"k": true}]', '[1]', '{}', '{NULL,""}', '{}',
  '{}', 'empty', '{}', '(,2023-01-01)', '::1', '::/0', to_tsvector(''), '(0,0)', '(9,9),(8,8)', '{}', '<c/>', 3, 'z', 3);
INSERT INTO "values" (id) VALUES (3);
CREATE TABLE country (code text PRIMARY KEY, name text);
CREATE TABLE customer (customer_id integer PRIMARY KEY, name text, country_code text REFERENCES country,
                       archived_at timestamptz, "not" text);
CREATE TABLE orders (order_id integer PRIMARY KEY, customer_id integer REFERENCES customer, total numeric,
                     archived_at timestamptz);
CREATE TABLE tag (tag_id integer PRIMARY KEY, word text);
CREATE TABLE order_tag (order_id integer REFERENCES orders, tag_id integer REFERENCES tag, PRIMARY KEY (order_id, tag_id));
CREATE TABLE "not" (not_id integer PRIMARY KEY, customer_id integer REFERENCES customer, text text);
CREATE TABLE bottle (bottle_id integer PRIMARY KEY, or_id integer REFERENCES customer);
INSERT INTO country VALUES ('FR', 'France'), ('DE', NULL);
INSERT INTO customer VALUES (1, 'Ada', 'FR', NULL), (2, 'Bo', 'DE', NULL), (3, 'Cy', NULL, NULL), (4, 'Di', 'FR', now());
INSERT INTO orders VALUES (1, 1, 10, NULL), (2, 1, 200, NULL), (3, 2, 150, NULL), (4, NULL, 5, NULL), (5, 2, NULL, NULL),
                          (6, 3, 300, now()), (7, 4, 1, NULL);
INSERT INTO tag VALUES (1, 'new'), (2, 'gift');
INSERT INTO order_tag VALUES (1, 1), (2, 1), (2, 2), (3, 2);
INSERT INTO "not" VALUES (1, 1, 'a'), (2, 2, 'b');
INSERT INTO bottle VALUES (1, 1), (2, 2), (3, NULL);
"#;

/// The first column of the rows that meet the condition, in order.
async fn found(engine: &Engine, table: &str, condition: &Value) -> Vec<i64> {
    let arguments = json!({"table": table, "where": condition});
    let reply = call(engine, "analyst", "select", arguments)
        .await
        .unwrap_or_else(|error| panic!("{table} {condition}: {error}"));
    let mut ids: Vec<i64> = rows(&reply)
        .iter()
        .map(|row| row.as_object().unwrap().values().next().unwrap().as_i64().unwrap())
        .collect();
    ids.sort_unstable();
    ids
}

/// Every condition finds the rows that its SQL finds.
async fn check(table: &str, key: &str, cases: &[(Value, &str)]) {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let client = database.client().await;
    for (condition, sql) in cases {
        let query = format!("SELECT {key} FROM \"{table}\" t WHERE {sql} ORDER BY 1");
        let expected = client.query(&query, &[]).await.unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let expected: Vec<i64> = expected.iter().map(|row| row.get::<_, i32>(0).into()).collect();
        assert_eq!(found(&engine, table, condition).await, expected, "{condition} is not {sql}");
    }
}

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
async fn documents() {
    check(
        "values",
        "id",
        &[
            (json!({"doc": {"path": ["a"], "eq": 1}}), "doc #> '{a}' = '1'"),
            (json!({"doc": {"path": ["a"], "eq": "text"}}), "doc #> '{a}' = '\"text\"'"),
            (json!({"doc": {"path": ["b", "c", 1], "eq": "y"}}), "doc #>> '{b,c,1}' = 'y'"),
            (json!({"doc": {"path": ["b", "c"], "like": "z%"}}), "doc #>> '{b,c}' LIKE 'z%'"),
            (
                json!({"doc": {"path": ["a"], "in": [1, "text"]}}),
                "doc #> '{a}' IN ('1', '\"text\"')",
            ),
            (json!({"doc": {"path": ["a"], "not_in": [1]}}), "doc #> '{a}' NOT IN ('1')"),
            (json!({"doc": {"path": ["a"], "gt": 0}}), "doc #> '{a}' > '0'"),
            (json!({"doc": {"path": ["b"], "has_key": "c"}}), "doc #> '{b}' ? 'c'"),
            (json!({"doc": {"path": ["a"], "is_null": true}}), "doc #> '{a}' IS NULL"),
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
            (json!({"doc": {"a": "text", "b": {"c": "z"}}}), "id = 2"),
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

#[tokio::test]
async fn logic_and_odd_names() {
    check(
        "values",
        "id",
        &[
            (json!({"or": [{"number": 1}, {"number": null}]}), "number = 1 OR number IS NULL"),
            (json!({"or": {"number": 1}}), "number = 1"),
            (json!({"and": [{"flag": true}, {"number": {"lt": 0}}]}), "flag AND number < 0"),
            (json!({"not": {"number": 1}}), "NOT (number = 1)"),
            (json!({"not": {}}), "false"),
            (json!({"or": [{}, {"number": 1}]}), "true"),
            (
                json!({"not": {"or": [{"number": 1}, {"not": {"flag": true}}]}}),
                "NOT (number = 1 OR NOT flag)",
            ),
            (
                json!({"flag": true, "or": [{"number": 1}, {"number": 2}]}),
                "flag AND number IN (1, 2)",
            ),
            (json!({"column": "or", "eq": 2}), "\"or\" = 2"),
            (json!({"column": "or", "gt": 1, "lt": 3}), "\"or\" = 2"),
            (
                json!({"and": [{"column": "or", "in": [1, 3]}, {"flag": true}]}),
                "\"or\" IN (1, 3) AND flag",
            ),
            (json!({"column": "y"}), "\"column\" = 'y'"),
            (json!({"column": {"in": ["x", "z"]}}), "\"column\" IN ('x', 'z')"),
            (json!({"column": "column", "eq": "x"}), "\"column\" = 'x'"),
            (json!({"eq": 2}), "eq = 2"),
        ],
    )
    .await;
}

#[tokio::test]
async fn relations() {
    check(
        "orders",
        "order_id",
        &[
            (json!({"customer": {"name": "Ada"}}), "customer_id = 1 AND archived_at IS NULL"),
            (json!({"customer": {"country": {"name": "France"}}}), "customer_id = 1"),
            (json!({"customer": {"country": null}}), "false"),
            (json!({"customer": null}), "order_id IN (4, 7)"),
            (json!({"not": {"customer": {"name": "Ada"}}}), "order_id IN (3, 4, 5, 7)"),
            (json!({"tag": {"some": {"word": "gift"}}}), "order_id IN (2, 3)"),
            (json!({"tag": {"none": {"word": "gift"}}}), "order_id IN (1, 4, 5, 7)"),
            (json!({"tag": {"none": {}}}), "order_id IN (4, 5, 7)"),
            (json!({"tag": {"every": {"word": "new"}}}), "order_id IN (1, 4, 5, 7)"),
            (json!({"tag_via_order_tag": {"some": {}}}), "order_id IN (1, 2, 3)"),
            (json!({"order_tag": {"some": {"tag": {"word": "new"}}}}), "order_id IN (1, 2)"),
        ],
    )
    .await;
    check(
        "customer",
        "customer_id",
        &[
            (json!({"orders": {"some": {"total": {"gt": 100}}}}), "customer_id IN (1, 2)"),
            // An archived order is no order, and an order whose total is unknown is not above ten.
            (json!({"orders": {"every": {"total": {"gte": 10}}}}), "customer_id IN (1, 3)"),
            (json!({"orders": {"none": {"total": {"gt": 100}}}}), "customer_id = 3"),
            (
                json!({"orders": {"some": {"total": {"gt": 100}}, "none": {"total": null}}}),
                "customer_id = 1",
            ),
            (
                json!({"orders_by_customer": {"some": {"tag": {"every": {"word": "new"}}}}}),
                "customer_id IN (1, 2)",
            ),
            (json!({"country": {"customer": {"some": {"name": "Ada"}}}}), "customer_id = 1"),
            (json!({"column": "not", "eq": null}), "archived_at IS NULL"),
            (json!({"not_by_customer": {"some": {"text": "a"}}}), "customer_id = 1"),
        ],
    )
    .await;
    check(
        "bottle",
        "bottle_id",
        &[
            (json!({"column": "or", "name": "Ada"}), "or_id = 1"),
            (
                json!({"or": [{"column": "or", "name": "Bo"}, {"or_id": null}]}),
                "or_id = 2 OR or_id IS NULL",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_a_condition_cannot_say_is_told() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (table, condition, code, at) in [
        ("values", json!({"nubmer": 1}), "unknown_column", "/where/nubmer"),
        ("values", json!({"number": {"equals": 1}}), "unknown_operator", "/where/number/equals"),
        ("values", json!({"number": {"like": "1%"}}), "unknown_operator", "/where/number/like"),
        ("values", json!({"dot": {"eq": "(1,2)"}}), "unknown_operator", "/where/dot/eq"),
        ("values", json!({"dot": "(1,2)"}), "unknown_operator", "/where/dot"),
        ("values", json!({"plain": {"a": 1}}), "unknown_operator", "/where/plain/a"),
        ("values", json!({"markup": {"gt": "<a/>"}}), "unknown_operator", "/where/markup/gt"),
        (
            "values",
            json!({"words": {"path": ["a"], "eq": 1}}),
            "unknown_operator",
            "/where/words/path",
        ),
        ("values", json!({"doc": {"path": [], "eq": 1}}), "invalid_value", "/where/doc/path"),
        ("values", json!({"doc": {"path": ["a"]}}), "invalid_value", "/where/doc"),
        (
            "values",
            json!({"doc": {"path": ["a"], "search": "x"}}),
            "unknown_operator",
            "/where/doc/search",
        ),
        ("values", json!({"number": {}}), "invalid_value", "/where/number"),
        ("values", json!({"number": {"gt": null}}), "invalid_value", "/where/number/gt"),
        ("values", json!({"number": {"in": [1, "x"]}}), "invalid_value", "/where/number/in/1"),
        ("values", json!({"number": {"in": [null, "x"]}}), "invalid_value", "/where/number/in/1"),
        ("values", json!({"number": {"is_null": "no"}}), "invalid_value", "/where/number/is_null"),
        ("values", json!({"mood": {"in": ["mad"]}}), "invalid_value", "/where/mood/in/0"),
        ("values", json!({"words": {"matches": "("}}), "invalid_value", "/where/words/matches"),
        ("values", json!({"words": {"like": 5}}), "ok", ""),
        ("values", json!({"words": {"like": "%\\"}}), "invalid_value", "/where/words/like"),
        ("values", json!({"words": {"contains": ["a"]}}), "invalid_value", "/where/words/contains"),
        ("values", json!({"or": []}), "invalid_value", "/where/or"),
        ("values", json!({"or": 1}), "invalid_value", "/where/or"),
        ("values", json!({"or": [{"number": 1}, 2]}), "invalid_value", "/where/or/1"),
        ("values", json!({"not": [1]}), "invalid_value", "/where/not"),
        ("orders", json!({"customer": {"nam": 1}}), "unknown_column", "/where/customer/nam"),
        ("orders", json!({"customer": 1}), "invalid_value", "/where/customer"),
        ("orders", json!({"tag": {"word": "x"}}), "unknown_operator", "/where/tag/word"),
        ("orders", json!({"tag": {}}), "invalid_value", "/where/tag"),
        ("orders", json!({"tag": {"some": 1}}), "invalid_value", "/where/tag/some"),
        ("orders", json!({"customers": {"name": "x"}}), "unknown_column", "/where/customers"),
    ] {
        let arguments = json!({"table": table, "where": condition});
        if code == "ok" {
            call(&engine, "analyst", "select", arguments).await.unwrap();
            continue;
        }
        let answer = refused(&engine, "select", arguments).await;
        assert_eq!(answer, (code.to_owned(), at.to_owned()), "{condition}");
    }
    let wrong = json!({"table": "values", "where": {"number": {"eqq": 1}}});
    let error = call(&engine, "analyst", "select", wrong).await.unwrap_err();
    let error = serde_json::to_value(&error).unwrap();
    assert_eq!(error["did_you_mean"], "eq");
    assert_eq!(
        error["allowed"],
        json!([
            "eq",
            "ne",
            "gt",
            "gte",
            "lt",
            "lte",
            "in",
            "not_in",
            "is_null",
            "is_distinct_from"
        ])
    );
}

#[tokio::test]
async fn conditions_are_bounded() {
    let limits =
        Limits { max_depth: 4, max_nodes: 20, max_list: 5, max_pattern: 8, ..Limits::default() };
    let database = Database::of(FIXTURE).await;
    let engine = database.engine_with(Settings { limits, ..Settings::default() }).await;
    let nested =
        |depth: usize| (0..depth).fold(json!({"number": 1}), |inner, _| json!({"not": inner}));
    let parts =
        |count: i32| json!({"or": (0..count).map(|n| json!({"number": n})).collect::<Vec<_>>()});
    for (condition, fits) in [
        (nested(4), true),
        (nested(5), false),
        (parts(9), true),
        (parts(20), false),
        (json!({"number": {"in": [1, 2, 3, 4, 5]}}), true),
        (json!({"number": {"in": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"doc": {"path": ["a"], "in": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"number": [1, 2, 3, 4, 5, 6]}), false),
        (json!({"words": {"like": "12345678"}}), true),
        (json!({"words": {"like": "123456789"}}), false),
        (json!({"words": {"contains": "123456789"}}), false),
        (json!({"words": {"search": "123456789"}}), false),
        (json!({"doc": {"path": ["a"], "imatches": "123456789"}}), false),
        (json!({"doc": {"path": ["a", "b", "c", "d", "e", "f"], "eq": 1}}), false),
        (json!({"list": {"overlaps": [1, 2, 3, 4, 5, 6]}}), false),
        (json!({"doc": {"has_key": ["1", "2", "3", "4", "5", "6"]}}), false),
    ] {
        let arguments = json!({"table": "values", "where": condition});
        match call(&engine, "analyst", "select", arguments).await {
            Ok(_) => assert!(fits, "{condition}"),
            Err(error) => {
                assert_eq!(error.code().as_str(), "limit_exceeded", "{condition}: {error}");
                assert!(!fits, "{condition}");
            }
        }
    }
}

/// Conditions that reuse what another operator would: each operator that a type offers is accepted.
#[tokio::test]
async fn every_operator_that_is_described_works() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let described =
        call(&engine, "analyst", "describe_table", json!({"table": "values"})).await.unwrap();
    let reply = call(&engine, "analyst", "select", json!({"table": "values"})).await.unwrap();
    for column in described["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        for row in rows(&reply).iter().filter(|row| !row[name].is_null()) {
            for operator in column["operators"].as_array().unwrap() {
                let operator = operator.as_str().unwrap();
                let value = match operator {
                    "is_null" => json!(true),
                    "in" | "not_in" => json!([row[name], null]),
                    "has_key" => json!("a"),
                    "search" => json!("word"),
                    _ => row[name].clone(),
                };
                let same = matches!(operator, "eq" | "in" | "gte" | "lte");
                // A name that is an operator's is a column where it stands alone.
                let condition = json!({"column": name, operator: value});
                let patterns = matches!(operator, "like" | "matches" | "imatches" | "ilike");
                if patterns && row[name].as_str().unwrap().contains('\\') {
                    continue;
                }
                let ids = found(&engine, "values", &condition).await;
                assert!(!same || ids.contains(&row["id"].as_i64().unwrap()), "{condition}");
            }
        }
    }
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
