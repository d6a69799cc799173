//! Conditions: every operator on every family of types, relations, logic and limits. Each is compared with the same
//! condition in SQL.

mod bound;
mod columns;
mod document;
mod logic;
mod scalar;

use mcp_pg_core::Engine;
use mcp_pg_tests::{Database, call, rows};
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
