//! Relations of views to the tables that they read, and to themselves.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_tests::{Database, call, error, paged};
use serde_json::{Value, json};

use super::first;

#[tokio::test]
async fn views_show_a_key_once_or_again_and_again() {
    let database = Database::of(
        "CREATE TABLE inv (no text PRIMARY KEY, net integer, place text);
         CREATE TABLE pay (id integer PRIMARY KEY, inv_no text REFERENCES inv);
         CREATE VIEW open_inv AS SELECT no, net FROM inv WHERE net > 0;
         CREATE VIEW payments AS SELECT i.no, p.id AS pay FROM inv i JOIN pay p ON p.inv_no = i.no;
         CREATE VIEW paid AS SELECT i.no, count(p.id) AS times FROM inv i LEFT JOIN pay p ON p.inv_no = i.no
           GROUP BY i.no, i.net, i.place;
         CREATE VIEW paid_at AS SELECT i.no, p.id % 2 AS odd FROM inv i JOIN pay p ON p.inv_no = i.no GROUP BY i.no, 2;
         CREATE VIEW unshown AS SELECT i.no, count(*) FROM inv i JOIN pay p ON p.inv_no = i.no GROUP BY i.no, p.id;
         CREATE VIEW twice AS SELECT a.no, b.net FROM inv a JOIN inv b ON true GROUP BY a.no, b.net;
         CREATE VIEW by_place AS SELECT place, min(net) AS least FROM inv GROUP BY place;
         INSERT INTO inv VALUES ('a', 5, 'x'), ('b', 7, NULL), ('c', 0, NULL);
         INSERT INTO pay VALUES (1, 'a'), (2, 'a'), (3, 'b')",
    )
    .await;
    let engine = database.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": "pay"})).await.unwrap();
    let kinds: Vec<(&str, &str)> = told["relations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["table"].as_str().unwrap(), one["kind"].as_str().unwrap()))
        .collect();
    for (view, kind) in [
        ("inv", "to_one"),
        ("open_inv", "to_one"),
        ("paid", "to_one"),
        ("payments", "to_many"),
        ("paid_at", "to_many"),
        ("unshown", "to_many"),
        ("twice", "to_many"),
    ] {
        assert!(kinds.contains(&(view, kind)), "{view}: {kinds:?}");
    }
    let pay = json!({"table": "pay", "where": {"id": 1}, "columns": ["id", "inv_no.net", "paid.times"],
        "include": {"payments": {"columns": ["pay"], "order_by": ["pay"]}, "inv_no": {"columns": ["place"]}}});
    assert_eq!(
        first(&engine, pay).await,
        json!({"id": 1, "inv_no.net": 5, "paid.times": 2, "payments": [{"pay": 1}, {"pay": 2}], "inv_no": {"place": "x"}})
    );
    let told =
        call(&engine, "admin", "describe_table", json!({"table": "by_place"})).await.unwrap();
    assert_eq!(told["unique_keys"], json!([{"columns": ["place"]}]), "{told}");
    let places = json!({"table": "by_place", "order_by": ["least"]});
    assert_eq!(paged(&engine, places, "least", 1).await, [0, 5]);
}

#[tokio::test]
async fn a_view_is_related_to_the_table_by_whose_key_it_groups() {
    let database = Database::of(
        "CREATE TABLE customer (id integer PRIMARY KEY, name text);
         CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer REFERENCES customer, secret text,
           archived_at timestamptz);
         CREATE TABLE line (id integer PRIMARY KEY, order_id integer REFERENCES orders, cents integer);
         CREATE VIEW margin AS SELECT o.id AS order_id, sum(l.cents) AS cents FROM orders o JOIN line l ON l.order_id = o.id
           GROUP BY o.id;
         CREATE VIEW by_customer AS SELECT customer_id, count(*) AS n FROM orders GROUP BY customer_id;
         INSERT INTO customer VALUES (1, 'Ada'), (2, 'Bo');
         INSERT INTO orders VALUES (1, 1, 's', NULL), (2, 2, 't', NULL), (3, 2, 'u', now());
         INSERT INTO line VALUES (1, 1, 5), (2, 1, 6), (3, 2, 7), (4, 3, 9);",
    )
    .await;
    let engine = database.engine().await;
    let by_customer = json!({"table": "margin", "measures": {"cents": {"sum": "cents"}},
        "group_by": ["order.customer.name"], "where": {"orders": {"id": {"gt": 0}}}, "order_by": ["cents"]});
    let told = call(&engine, "analyst", "aggregate", by_customer.clone()).await.unwrap();
    assert_eq!(
        told["rows"],
        json!([{"order.customer.name": "Bo", "cents": 7}, {"order.customer.name": "Ada", "cents": 11}])
    );
    let order = json!({"table": "orders", "columns": ["id", {"sum": "margin.cents", "as": "m"}], "where": {"id": 1},
        "include": {"margin": {"columns": ["cents"]}}});
    assert_eq!(first(&engine, order).await, json!({"id": 1, "m": 11, "margin": [{"cents": 11}]}));
    let told =
        call(&engine, "admin", "describe_table", json!({"table": "by_customer"})).await.unwrap();
    assert!(!told["relations"].to_string().contains("orders"), "{told}");
    // The rows and columns of the table are those that the role sees.
    let rows = json!({"customer_id": 1}).as_object().cloned();
    let mut orders = Grant {
        tables: vec!["public.orders".into()],
        actions: [Action::Select].into_iter().collect(),
        rows,
        ..Grant::default()
    };
    orders.columns.exclude = vec!["secret".to_owned()];
    let margin = Grant {
        tables: vec!["public.margin".into()],
        actions: [Action::Select].into_iter().collect(),
        ..Grant::default()
    };
    let role = |grants: Vec<Grant>| Role { name: "analyst".into(), grants, ..Role::default() };
    let settings =
        Settings { roles: vec![role(vec![orders.clone(), margin.clone()])], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let seen = json!({"table": "margin", "columns": ["cents", "order.customer_id"], "order_by": ["cents"]});
    let told = call(&engine, "analyst", "select", seen).await.unwrap();
    assert_eq!(
        told["rows"],
        json!([{"cents": 7, "order.customer_id": null}, {"cents": 9, "order.customer_id": null},
            {"cents": 11, "order.customer_id": 1}])
    );
    let secret = json!({"table": "margin", "where": {"order": {"secret": "t"}}});
    assert_eq!(error(&engine, "analyst", "select", secret).await["code"], "unknown_column");
    // A key that is hidden or masked leads nowhere.
    orders.columns.mask.insert("id".to_owned(), Mask::Full);
    for grants in [vec![margin.clone()], vec![orders, margin]] {
        let settings = Settings { roles: vec![role(grants)], ..Settings::default() };
        let engine = database.engine_with(settings).await;
        let hidden = json!({"table": "margin", "include": {"order": true}});
        assert_eq!(error(&engine, "analyst", "select", hidden).await["code"], "unknown_relation");
    }
}

#[tokio::test]
async fn a_view_of_a_table_that_refers_to_itself_is_reached_by_the_keys_name() {
    let database = Database::of(
        "CREATE TABLE emp (id integer PRIMARY KEY, name text, boss_id integer REFERENCES emp);
         CREATE VIEW emp_stats AS SELECT e.id, count(*) AS n FROM emp e JOIN emp r ON r.boss_id = e.id GROUP BY e.id;
         INSERT INTO emp VALUES (1, 'boss', NULL), (2, 'ann', 1), (3, 'bob', 2);",
    )
    .await;
    let engine = database.engine().await;
    for (table, name) in [("emp", "emp_stats"), ("emp_stats", "emp")] {
        let select = |name: &str| json!({"table": table, "include": {name: true}});
        let refused = error(&engine, "admin", "select", select(name)).await;
        assert_eq!(refused["code"], "ambiguous_relation", "{table}");
        for of_key in [format!("{name}_by_id"), format!("{name}_by_boss")] {
            let allowed = refused["allowed"].as_array().unwrap();
            assert!(allowed.contains(&json!(of_key)), "{refused}");
            call(&engine, "admin", "select", select(&of_key)).await.unwrap();
        }
    }
    let own = json!({"table": "emp_stats", "where": {"id": 2}, "columns": ["n", "emp_by_id.name"]});
    assert_eq!(first(&engine, own).await, json!({"n": 1, "emp_by_id.name": "ann"}));
}

/// A name that meant the row to which a key refers goes on to mean it.
#[tokio::test]
async fn a_view_that_shows_a_key_to_its_table_is_related_by_that() {
    let database = Database::of(
        "CREATE TABLE emp (id integer PRIMARY KEY, w integer, boss_id integer REFERENCES emp);
         CREATE VIEW emp_stat AS SELECT e.id, e.boss_id, count(*) AS n FROM emp e GROUP BY e.id;
         INSERT INTO emp VALUES (1, 10, NULL), (2, 20, 1);",
    )
    .await;
    let engine = database.engine().await;
    let of_boss = json!({"table": "emp_stat", "where": {"id": 2}, "columns": ["emp.w"]});
    assert_eq!(first(&engine, of_boss).await, json!({"emp.w": 10}));
}

#[tokio::test]
async fn the_name_of_a_tables_own_table_is_ambiguous_on_its_view() {
    let database = Database::of(
        "CREATE TABLE node (id integer PRIMARY KEY, parent_id integer REFERENCES node, next_id integer REFERENCES node);
         CREATE VIEW shown AS SELECT id, parent_id FROM node;
         INSERT INTO node VALUES (1, NULL, NULL), (2, 1, 1);",
    )
    .await;
    let engine = database.engine().await;
    let include = |table: &str, name: &str| json!({"table": table, "order_by": ["-id"], "include": {name: true}});
    for (table, name, allowed) in [
        ("shown", "node", json!(["parent_node", "node_by_parent", "node_by_next"])),
        ("node", "shown", json!(["parent_shown", "shown_by_next", "shown_by_parent_id"])),
    ] {
        let error = error(&engine, "admin", "select", include(table, name)).await;
        assert_eq!(error["code"], "ambiguous_relation", "{error}");
        assert_eq!(error["allowed"], allowed);
    }
    let told = call(&engine, "admin", "describe_table", json!({"table": "shown"})).await.unwrap();
    let names: Vec<&Value> =
        told["relations"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["parent", "node_by_parent", "node_by_next"]);
    for (name, ids) in [("parent", json!(1)), ("node_by_parent", json!([]))] {
        let row = first(&engine, include("shown", name)).await;
        assert!(row[name]["id"] == ids || row[name] == ids, "{row}");
    }
}
