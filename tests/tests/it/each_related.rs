//! Groups by columns of to-many relations.

use mcp_pg_core::policy::{Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, pages, readable, rows};
use serde_json::{Value, json};

/// A junction with a key of its own pair, one whose pairs repeat, and a table that refers to the rows.
const FIXTURE: &str = "
CREATE TABLE parent (id integer PRIMARY KEY, name text);
CREATE TABLE category (id integer PRIMARY KEY, name text, parent_id integer REFERENCES parent, secret text, archived_at timestamptz);
CREATE TABLE film (id integer PRIMARY KEY, title text);
CREATE TABLE film_category (film_id integer REFERENCES film, category_id integer REFERENCES category, weight integer, PRIMARY KEY (film_id, category_id));
CREATE TABLE licence (film_id integer REFERENCES film, parent_id integer REFERENCES parent, since date, PRIMARY KEY (film_id, parent_id, since));
CREATE TABLE payment (id integer PRIMARY KEY, film_id integer REFERENCES film, amount integer, archived_at timestamptz);
INSERT INTO parent VALUES (1, 'fun'), (2, 'art');
INSERT INTO category VALUES (1, 'action', 1, 's1', NULL), (2, 'comedy', 1, 's2', NULL), (3, 'drama', 2, 's3', NULL), (4, 'old', 2, 's4', now());
INSERT INTO film VALUES (1, 'A'), (2, 'B'), (3, 'C'), (4, 'D');
INSERT INTO film_category VALUES (1, 1, 5), (1, 2, 1), (2, 2, 5), (3, 3, 5), (3, 4, 5);
INSERT INTO licence VALUES (1, 1, '2020-01-01'), (1, 1, '2021-01-01'), (1, 2, '2020-01-01'), (2, 2, '2020-01-01');
INSERT INTO payment SELECT n, film, amount FROM unnest('{1,1,2,3,4,NULL}'::int[], '{1,2,4,8,16,32}'::int[]) WITH ORDINALITY t(film, amount, n);
INSERT INTO payment VALUES (7, 2, 64, now());";

fn by(table: &str, groups: Value) -> Value {
    json!({"table": table, "group_by": groups, "measures": {"n": {"count": "*"}, "sum": {"sum": "amount"}}})
}

#[tokio::test]
async fn a_row_counts_once_for_each_row_that_it_is_related_to() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (groups, from) in [
        (
            json!([{"column": "film.category.name", "each": true, "as": "a"}]),
            "c.name AS a FROM payment p JOIN film f ON f.id = film_id JOIN film_category fc ON fc.film_id = f.id
             JOIN category c ON c.id = category_id AND c.archived_at IS NULL",
        ),
        // Several columns of the rows, one of a row beyond them, and a group of the row itself.
        (
            json!([{"column": "film.category.id", "each": true, "as": "a"}, {"column": "film.category.parent.name", "each": true, "as": "b"}, "film.title"]),
            "c.id AS a, pa.name AS b, f.title AS \"film.title\" FROM payment p JOIN film f ON f.id = film_id JOIN film_category fc ON fc.film_id = f.id
             JOIN category c ON c.id = category_id AND c.archived_at IS NULL LEFT JOIN parent pa ON pa.id = c.parent_id",
        ),
        // A pair that the junction holds twice is one.
        (
            json!([{"column": "film.parent.name", "each": true, "as": "a"}]),
            "pa.name AS a FROM payment p JOIN (SELECT DISTINCT film_id, parent_id FROM licence) l ON l.film_id = p.film_id
             JOIN parent pa ON pa.id = l.parent_id",
        ),
        // The rows of the junction themselves.
        (
            json!([{"column": "film.film_category.weight", "each": true, "as": "a"}]),
            "fc.weight AS a FROM payment p JOIN film_category fc ON fc.film_id = p.film_id",
        ),
    ] {
        let columns = groups.as_array().unwrap().len();
        let keys = (1..=columns).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let by_hand = format!(
            "SELECT json_agg(g ORDER BY {keys})::text FROM (SELECT count(*) AS n, sum(amount) AS sum, {from} WHERE p.archived_at IS NULL
             GROUP BY {}) g",
            (3..3 + columns).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
        );
        let by_hand = by_hand.replace("ORDER BY 1", "ORDER BY a");
        let expected = database.value(&by_hand).await.unwrap();
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let mut arguments = by("payment", groups.clone());
        arguments["order_by"] = json!(["a"]);
        assert_eq!(Value::from(pages(&engine, "aggregate", arguments, 1).await), expected, "{groups}");
    }
    // A condition on the related rows chooses rows, not groups; having chooses those.
    let mut arguments =
        by("payment", json!([{"column": "film.category.name", "each": true, "as": "a"}]));
    arguments["where"] = json!({"film": {"category": {"some": {"name": "action"}}}});
    let found =
        rows(&call(&engine, "analyst", "aggregate", arguments.clone()).await.unwrap()).to_vec();
    assert_eq!(
        json!(found),
        json!([{"a": "action", "n": 2, "sum": 3}, {"a": "comedy", "n": 2, "sum": 3}])
    );
    arguments["having"] = json!({"a": "action"});
    let found = rows(&call(&engine, "analyst", "aggregate", arguments).await.unwrap()).to_vec();
    assert_eq!(json!(found), json!([{"a": "action", "n": 2, "sum": 3}]));
}

#[tokio::test]
async fn errors_lead_to_groups_by_many_rows() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let told =
        error(&engine, "analyst", "aggregate", by("payment", json!(["film.category.name"]))).await;
    assert_eq!(told["at"], "/group_by/0", "{told}");
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.starts_with(r#"{"column": "film.category.name", "each": true}"#), "{told}");
    for (groups, at) in [
        // Two relations would multiply the rows.
        (
            json!([{"column": "film.category.name", "each": true}, {"column": "film.parent.name", "each": true}]),
            "/group_by/1/each",
        ),
        // As would two on the way.
        (json!([{"column": "film.category.film.title", "each": true}]), "/group_by/0/column"),
        (json!([{"column": "film.title", "each": true}]), "/group_by/0/each"),
        (
            json!([{"column": "film.category.archived_at", "each": true, "bucket": "month"}]),
            "/group_by/0/bucket",
        ),
    ] {
        let told = error(&engine, "analyst", "aggregate", by("payment", groups.clone())).await;
        assert_eq!(
            (&told["code"], &told["at"]),
            (&json!("invalid_value"), &json!(at)),
            "{groups}: {told}"
        );
    }
}

#[tokio::test]
async fn rows_that_a_role_may_not_see_make_no_groups() {
    let database = Database::of(FIXTURE).await;
    let mut category = readable("public.category", Some(json!({"id": {"lt": 3}})));
    category.columns.mask.insert("secret".to_owned(), Mask::Full);
    category.columns.exclude = vec!["parent_id".to_owned()];
    let junction = readable("public.film_category", Some(json!({"weight": 5})));
    let grants =
        vec![category, junction, readable("public.film", None), readable("public.payment", None)];
    let role = Role { name: "reader".to_owned(), grants, ..Role::default() };
    let engine = database.engine_with(Settings { roles: vec![role], ..Settings::default() }).await;
    let reader = Principal::new("someone", "reader");
    let each = |column: &str| by("payment", json!([{"column": column, "each": true, "as": "a"}]));
    let reply = call_as(&engine, &reader, "aggregate", each("film.category.name")).await.unwrap();
    assert_eq!(
        json!(rows(&reply)),
        json!([{"a": "action", "n": 2, "sum": 3}, {"a": "comedy", "n": 1, "sum": 4}])
    );
    for (column, code) in [
        ("film.category.secret", "forbidden"),
        ("film.category.parent_id", "unknown_column"),
        ("film.category.parent.name", "unknown_relation"),
        ("film.parent.name", "unknown_relation"),
    ] {
        let error = call_as(&engine, &reader, "aggregate", each(column)).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{column}");
    }
}

/// The name that a description gives to the rows that refer to one is theirs in groups, too.
#[tokio::test]
async fn rows_of_the_same_table_make_groups_by_their_relations_name() {
    let engine = Database::of(
        "CREATE TABLE member (id integer PRIMARY KEY, tenant text, manager_id integer REFERENCES member);
         INSERT INTO member VALUES (1, 'a', NULL), (2, 'b', 1), (3, 'b', 1), (4, 'c', 2);",
    )
    .await
    .engine()
    .await;
    let by = |column: &str| json!({"table": "member", "group_by": [{"column": column, "each": true, "as": "t"}], "measures": {"n": {"count": "*"}}});
    let counted = json!([{"t": "b", "n": 2}, {"t": "c", "n": 1}]);
    for name in ["member.tenant", "member_by_manager.tenant"] {
        let reply = call(&engine, "analyst", "aggregate", by(name)).await.unwrap();
        assert_eq!(json!(rows(&reply)), counted, "{name}");
    }
}
