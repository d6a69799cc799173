//! Relations of views, and declared relations.

mod unkeyed;
mod view;

use mcp_pg_core::policy::{Action, Grant, Role};
use mcp_pg_core::schema::DeclaredRelation;
use mcp_pg_core::{Engine, Settings};
use mcp_pg_tests::{Database, call, error, refused, rows, selected};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE SCHEMA hidden;
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text NOT NULL, country text);
    CREATE TABLE orders (order_id integer PRIMARY KEY, customer_id integer REFERENCES customer, total integer,
        parent_id integer REFERENCES orders);
    CREATE TABLE tag (tag_id integer PRIMARY KEY, label text);
    CREATE TABLE order_tag (order_id integer REFERENCES orders, tag_id integer REFERENCES tag,
        PRIMARY KEY (order_id, tag_id));
    CREATE VIEW french AS SELECT customer_id AS number, name, upper(name) AS loud FROM customer
        WHERE country = 'FR';
    CREATE VIEW open_orders AS
        SELECT o.order_id, o.customer_id, o.total, (SELECT max(t.tag_id) FROM tag t) AS latest
        FROM (SELECT * FROM orders) o JOIN customer c USING (customer_id);
    CREATE VIEW spent AS SELECT customer_id, sum(total) AS spent FROM open_orders GROUP BY customer_id;
    CREATE MATERIALIZED VIEW totals AS SELECT o.order_id AS id, o.total FROM orders o;
    CREATE VIEW pairs AS SELECT a.order_id AS first_id, b.order_id AS second_id, a.customer_id AS buyer,
        b.customer_id AS other_id FROM orders a JOIN orders b ON b.parent_id = a.order_id;
    CREATE TABLE hidden.author (author_id integer PRIMARY KEY, name text);
    CREATE TABLE hidden.book (book_id integer PRIMARY KEY, author_id integer REFERENCES hidden.author, title text);
    CREATE VIEW author AS SELECT author_id, name FROM hidden.author;
    CREATE VIEW book AS SELECT book_id, author_id, title FROM hidden.book;
    CREATE TABLE note (note_id integer PRIMARY KEY, about bigint, body text, label varchar(10));
    INSERT INTO customer VALUES (1, 'Ada', 'FR'), (2, 'Bo', 'SE');
    INSERT INTO orders VALUES (10, 1, 5, NULL), (11, 1, 7, 10), (12, 2, 9, 10);
    INSERT INTO tag VALUES (1, 'new'); INSERT INTO order_tag VALUES (11, 1);
    INSERT INTO hidden.author VALUES (1, 'Ursula'); INSERT INTO hidden.book VALUES (1, 1, 'One'), (2, 1, 'Two');
    INSERT INTO note VALUES (1, 10, 'late', 'new'), (2, 10, 'paid', NULL);
    REFRESH MATERIALIZED VIEW totals;";

async fn first(engine: &Engine, arguments: Value) -> Value {
    rows(&call(engine, "analyst", "select", arguments).await.unwrap())[0].clone()
}

#[tokio::test]
async fn a_view_has_the_relations_of_the_columns_that_it_shows() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let french = json!({"table": "french", "include": {"orders": {"columns": ["order_id"]}}});
    assert_eq!(
        first(&engine, french).await,
        json!({"number": 1, "name": "Ada", "loud": "ADA", "orders": [{"order_id": 10}, {"order_id": 11}]})
    );
    let open = json!({"table": "open_orders", "columns": ["order_id"], "where": {"customer": {"name": "Bo"}},
        "include": {"customer": {"columns": ["name"]}}, "order_by": ["-customer.name"]});
    assert_eq!(first(&engine, open).await, json!({"order_id": 12, "customer": {"name": "Bo"}}));
    // Through a view on a view, grouped.
    let spent = json!({"table": "spent", "order_by": ["customer.name"], "include": {"customer": {"columns": ["name"]}}});
    assert_eq!(
        first(&engine, spent).await,
        json!({"customer_id": 1, "spent": 12, "customer": {"name": "Ada"}})
    );
    let totals = json!({"table": "totals", "where": {"id": 11}, "include": {
        "tag": {"columns": ["label"]}, "order_tag": {"count": true}, "orders_by_parent": {"columns": ["order_id"]}}});
    assert_eq!(
        first(&engine, totals).await,
        json!({"id": 11, "total": 7, "tag": [{"label": "new"}], "order_tag": 1, "orders_by_parent": []})
    );
    // Tables have the views, under the views' names; what they had keeps its names.
    let order = json!({"table": "orders", "columns": ["order_id"], "where": {"order_id": 10}, "include": {
        "customer": {"columns": ["name"]}, "french": {"columns": ["loud"]}, "orders": {"count": true}}});
    assert_eq!(
        first(&engine, order).await,
        json!({"order_id": 10, "customer": {"name": "Ada"}, "french": {"loud": "ADA"}, "orders": 2})
    );
    let customer = json!({"table": "customer", "columns": ["name"], "where": {"spent": {"some": {"spent": {"gt": 10}}}}});
    assert_eq!(first(&engine, customer).await, json!({"name": "Ada"}));
}

/// A view that shows a key leads to one row where the key is still one there.
/// What a view groups by leads to the row of which it tells something, and that row to it.
#[tokio::test]
async fn views_over_tables_that_are_not_offered_are_related() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let author = json!({"table": "author", "include": {"book": {"columns": ["title"]}}});
    assert_eq!(
        first(&engine, author).await,
        json!({"author_id": 1, "name": "Ursula", "book": [{"title": "One"}, {"title": "Two"}]})
    );
    let book = json!({"table": "book", "columns": ["title"], "include": {"author": {"columns": ["name"]}},
        "where": {"author": {"name": "Ursula"}}, "order_by": ["title"]});
    assert_eq!(first(&engine, book).await, json!({"title": "One", "author": {"name": "Ursula"}}));
    let told = call(&engine, "analyst", "describe_table", json!({"table": "book"})).await.unwrap();
    assert_eq!(
        told["relations"],
        json!([{"name": "author", "kind": "to_one", "table": "author", "columns": ["author_id"]}])
    );
    assert!(!told.to_string().contains("hidden") && !told.to_string().contains("fkey"), "{told}");
}

#[tokio::test]
async fn a_table_joined_with_itself_is_told_apart() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let told = error(
        &engine,
        "analyst",
        "select",
        json!({"table": "customer", "include": {"pairs": true}}),
    )
    .await;
    assert_eq!(told["code"], "ambiguous_relation");
    assert_eq!(told["allowed"], json!(["pairs_by_buyer", "pairs_by_other"]));
    let pair = json!({"table": "pairs", "columns": ["first_id"], "where": {"second_id": 12},
        "include": {"customer": {"columns": ["name"]}, "other": {"columns": ["name"]}}});
    assert_eq!(
        first(&engine, pair).await,
        json!({"first_id": 10, "customer": {"name": "Ada"}, "other": {"name": "Bo"}})
    );
}

/// Keys that partitions declare, each for itself, as pagila's payments do.
#[tokio::test]
async fn a_partitioned_table_has_the_relations_of_its_partitions() {
    let database = Database::of(
        "CREATE TABLE customer (customer_id integer PRIMARY KEY, country text);
         CREATE TABLE staff (staff_id integer PRIMARY KEY);
         CREATE TABLE robot (robot_id integer PRIMARY KEY);
         INSERT INTO customer VALUES (1, 'FR'), (2, 'SE');
         CREATE TABLE payment (at date, dropped text, customer_id integer, made_by integer, amount integer)
             PARTITION BY RANGE (at);
         ALTER TABLE payment DROP COLUMN dropped;
         CREATE TABLE payment_1 (made_by integer REFERENCES staff, amount integer, at date,
             customer_id integer REFERENCES customer);
         ALTER TABLE payment ATTACH PARTITION payment_1 FOR VALUES FROM ('2024-01-01') TO ('2024-02-01');
         CREATE TABLE payment_2 PARTITION OF payment (FOREIGN KEY (made_by) REFERENCES robot)
             FOR VALUES FROM ('2024-02-01') TO ('2024-03-01');
         INSERT INTO payment VALUES ('2024-01-31', 1, NULL, 5), ('2024-02-01', 2, NULL, 7), ('2024-02-02', 1, NULL, 9)",
    )
    .await;
    let engine = database.engine().await;
    let table =
        call(&engine, "analyst", "describe_table", json!({"table": "payment"})).await.unwrap();
    assert_eq!(
        table["relations"],
        json!([{"name": "customer", "kind": "to_one", "table": "customer", "columns": ["customer_id"]}])
    );
    let spent = json!({"table": "payment", "measures": {"spent": {"sum": "amount"}},
        "group_by": ["customer.country"], "order_by": ["-spent"]});
    let reply = call(&engine, "analyst", "aggregate", spent).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"customer.country": "FR", "spent": 14}),
            json!({"customer.country": "SE", "spent": 7})
        ]
    );
    let bought = json!({"table": "customer", "where": {"payment": {"some": {"amount": {"gt": 8}}}},
        "include": {"payment": {"columns": ["amount"], "order_by": ["amount"]}}});
    assert_eq!(
        first(&engine, bought).await,
        json!({"customer_id": 1, "country": "FR", "payment": [{"amount": 5}, {"amount": 9}]})
    );
}

#[tokio::test]
async fn a_relation_needs_both_ends_to_be_seen() {
    let database = Database::of(FIXTURE).await;
    let mut role = Role { name: "analyst".into(), ..Role::default() };
    role.grants.push(Grant {
        tables: vec!["public.open_orders".into(), "public.french".into()],
        actions: [Action::Select].into_iter().collect(),
        ..Grant::default()
    });
    let settings = Settings { roles: vec![role], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let told =
        call(&engine, "analyst", "describe_table", json!({"table": "open_orders"})).await.unwrap();
    // Without the table, the view leads to the view of it.
    assert_eq!(
        told["relations"],
        json!([{"name": "customer", "kind": "to_one", "table": "french", "columns": ["customer_id"]}])
    );
    let hidden = json!({"table": "french", "include": {"orders": true}});
    assert_eq!(error(&engine, "analyst", "select", hidden).await["code"], "unknown_relation");
}

fn declared(
    columns: &[&str],
    to: &str,
    references: &[&str],
    names: [Option<&str>; 2],
) -> DeclaredRelation {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    DeclaredRelation {
        table: "public.note".into(),
        columns: list(columns),
        to: to.into(),
        references: list(references),
        name: names[0].map(str::to_owned),
        inverse: names[1].map(str::to_owned),
    }
}

#[tokio::test]
async fn declared_relations_are_as_good_as_keys() {
    let database = Database::of(FIXTURE).await;
    let relations = vec![
        declared(&["about"], "orders", &[], [Some("subject"), Some("notes")]),
        declared(&["label"], "tag", &["label"], [None, None]),
    ];
    let engine = database.engine_with(Settings { relations, ..Settings::default() }).await;
    let note = json!({"table": "note", "columns": ["body"], "where": {"note_id": 1}, "include": {
        "subject": {"columns": ["total"], "include": {"notes": {"count": true}}}, "tag": {"columns": ["tag_id"]}}});
    assert_eq!(
        first(&engine, note).await,
        json!({"body": "late", "subject": {"total": 5, "notes": 2}, "tag": {"tag_id": 1}})
    );
    let named = json!({"table": "note", "include": {"orders_by_about": {"columns": ["total"]}}, "columns": []});
    assert_eq!(first(&engine, named).await["orders_by_about"], json!({"total": 5}));
    let none =
        json!({"table": "orders", "where": {"notes": {"none": {}}}, "columns": ["order_id"]});
    assert_eq!(first(&engine, none).await, json!({"order_id": 11}));
}

/// A team's captain is one of its members: `member` names these, and is only another name of the captain.
#[tokio::test]
async fn a_name_means_the_same_wherever_it_stands() {
    let database = Database::of(
        "CREATE TABLE team (id integer PRIMARY KEY, name text, captain_id integer);
         CREATE TABLE member (id integer PRIMARY KEY, name text, team_id integer CONSTRAINT fk REFERENCES team, pts integer);
         ALTER TABLE team ADD CONSTRAINT fk FOREIGN KEY (captain_id) REFERENCES member;
         INSERT INTO team VALUES (1, 'a'), (2, 'b');
         INSERT INTO member VALUES (1, 'Ann', 1, 5), (2, 'Bob', 1, 50), (3, 'Cy', 2, 7);
         UPDATE team SET captain_id = 1 WHERE id = 1; UPDATE team SET captain_id = 3 WHERE id = 2;",
    )
    .await;
    let engine = database.engine().await;
    for (tool, more) in [
        ("aggregate", json!({"measures": {"x": {"max": "member.pts"}}})),
        ("aggregate", json!({"measures": {"x": {"count": "*"}}, "group_by": ["member.name"]})),
        ("select", json!({"columns": ["member.name"]})),
        ("select", json!({"order_by": ["member.name"]})),
        ("select", json!({"columns": [{"add": ["member.pts", 0], "as": "a"}]})),
        ("select", json!({"where": {"compute": {"add": ["member.pts", 0], "gt": 1}}})),
        ("select", json!({"where": {"id": {"lt": {"$column": "member.pts"}}}})),
    ] {
        let mut request = json!({"table": "team"});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let error = error(&engine, "analyst", tool, request).await;
        let told = error.to_string();
        assert!(told.contains("member"), "{more} {told}");
    }
    let each = json!({"table": "team", "measures": {"n": {"count": "*"}}, "order_by": ["p"],
        "group_by": [{"column": "member.pts", "each": true, "as": "p"}]});
    let each = call(&engine, "analyst", "aggregate", each).await.unwrap();
    assert_eq!(each["rows"], json!([{"p": 5, "n": 1}, {"p": 7, "n": 1}, {"p": 50, "n": 1}]));
    let captains = json!({"table": "team", "columns": ["captain.name", {"max": "member.pts", "as": "most"}], "order_by": ["captain.name"]});
    assert_eq!(
        selected(&engine, captains).await,
        [json!({"captain.name": "Ann", "most": 50}), json!({"captain.name": "Cy", "most": 7})]
    );
}

#[tokio::test]
async fn a_declared_relation_of_a_table_to_itself_has_both_names() {
    let database = Database::of(
        "CREATE TABLE person (id integer, boss_id integer);
         INSERT INTO person VALUES (1, NULL), (2, 1), (3, 1);
         CREATE TABLE staff (id integer UNIQUE, boss_id integer);",
    )
    .await;
    let to_itself = |table: &str| DeclaredRelation {
        table: table.into(),
        to: table.into(),
        ..declared(&["boss_id"], table, &["id"], [Some("boss"), Some("team")])
    };
    let relations = vec![to_itself("person"), to_itself("staff")];
    let (_, faults) = database.engine().await.schema().as_ref().clone().declaring(&relations);
    assert!(
        faults.len() == 1 && faults[0].contains("public.person has no key of id"),
        "{faults:?}"
    );
    let engine = database.engine_with(Settings { relations, ..Settings::default() }).await;
    let boss = json!({"table": "person", "where": {"team": {"some": {"id": 3}}}, "columns": ["id"],
        "include": {"team": {"columns": ["id"], "include": {"boss": {"columns": ["id"]}}}}});
    assert_eq!(
        first(&engine, boss).await,
        json!({"id": 1, "team": [{"id": 2, "boss": {"id": 1}}, {"id": 3, "boss": {"id": 1}}]})
    );
}

#[tokio::test]
async fn a_declaration_that_does_not_fit_is_told_and_has_no_effect() {
    let database = Database::of(FIXTURE).await;
    let relations = vec![
        declared(&["about"], "order", &[], [None, None]),
        declared(&["abuot"], "orders", &[], [None, None]),
        declared(&["about"], "pairs", &[], [None, None]),
        declared(&["about"], "tag", &["label"], [None, None]),
        declared(&["about", "label"], "tag", &[], [None, None]),
    ];
    let engine = database
        .engine_with(Settings { relations: relations.clone(), ..Settings::default() })
        .await;
    let (_, faults) = engine.schema().as_ref().clone().declaring(&relations);
    assert_eq!(
        faults,
        [
            "relations[0].to: there is no table \"order\"; did you mean orders?",
            "relations[1].columns: there is no column \"abuot\"; did you mean about?",
            "relations[2].references: public.pairs has no primary key; name columns",
            "relations[3].columns: about is bigint, and label is text",
            "relations[4].columns: there are 2, and 1 that they refer to",
        ]
    );
    let arguments = json!({"table": "note", "include": {"orders": true}});
    assert_eq!(refused(&engine, "select", arguments).await.0, "unknown_relation");
}

#[tokio::test]
async fn a_declared_to_one_relation_always_leads_to_the_same_row() {
    let database = Database::of(
        "CREATE TABLE rate (id integer PRIMARY KEY, code text, value integer);
         CREATE VIEW rates AS SELECT code, value FROM rate;
         CREATE VIEW groups AS SELECT code, id, max(value) AS value FROM rate GROUP BY code, id;
         CREATE TABLE sale (id integer PRIMARY KEY, code text);
         INSERT INTO rate VALUES (3, 'a', 30), (2, 'a', 20), (1, 'a', 10), (4, 'b', 15);
         INSERT INTO sale VALUES (1, 'a'), (2, 'b');",
    )
    .await;
    for (to, value) in [("rate", 10), ("rates", 10), ("groups", 10)] {
        let relations = vec![DeclaredRelation {
            table: "sale".into(),
            columns: vec!["code".into()],
            to: to.into(),
            references: vec!["code".into()],
            name: Some("price".into()),
            inverse: None,
        }];
        let settings = Settings { relations: relations.clone(), ..Settings::default() };
        let engine = database.engine_with(settings).await;
        let (_, faults) = engine.schema().as_ref().clone().declaring(&relations);
        let told = format!("relations[0].references: public.{to} has no key of code");
        // Nothing is known of the other view's keys.
        assert_eq!(
            faults.iter().any(|fault| fault.starts_with(&told)),
            to != "rates",
            "{faults:?}"
        );
        let arguments = json!({"table": "sale", "columns": ["id"], "order_by": ["price.value"],
            "include": {"price": {"columns": ["value"]}}});
        let reply = call(&engine, "analyst", "select", arguments).await.unwrap();
        let expected =
            json!([{"id": 1, "price": {"value": value}}, {"id": 2, "price": {"value": 15}}]);
        assert_eq!(reply["rows"], expected, "{to}");
    }
}

/// PostgreSQL would compare them as floats, which not every number is: a row that the caller does not see would fail the call.
#[tokio::test]
async fn a_key_between_numbers_and_floats_is_no_relation() {
    let database = Database::of(
        "CREATE TABLE measure (f double precision PRIMARY KEY, n numeric UNIQUE);
         CREATE TABLE taken (id integer PRIMARY KEY, n numeric REFERENCES measure, f real REFERENCES measure, same numeric REFERENCES measure (n))",
    )
    .await;
    let engine = database.engine().await;
    let told = call(&engine, "admin", "describe_table", json!({"table": "taken"})).await.unwrap();
    let columns: Vec<&Value> =
        told["relations"].as_array().unwrap().iter().map(|one| &one["columns"]).collect();
    assert_eq!(columns, [&json!(["f"]), &json!(["same"])], "{told}");
}

/// As in databases whose applications know the keys alone.
#[tokio::test]
async fn declared_keys_make_a_junction() {
    let database = Database::of(
        "CREATE TABLE channel (id integer PRIMARY KEY, title text);
         CREATE TABLE person (id integer PRIMARY KEY, name text);
         CREATE TABLE member (channel_id integer, person_id integer, since date, PRIMARY KEY (channel_id, person_id));
         INSERT INTO channel VALUES (1, 'news'); INSERT INTO person VALUES (1, 'Ada'), (2, 'Bob');
         INSERT INTO member VALUES (1, 2)",
    )
    .await;
    let to = |column: &str, to: &str| DeclaredRelation {
        table: "public.member".into(),
        ..declared(&[column], to, &[], [None, None])
    };
    let relations = vec![to("channel_id", "channel"), to("person_id", "person")];
    let engine = database.engine_with(Settings { relations, ..Settings::default() }).await;
    let people = json!({"table": "channel", "columns": ["title"], "include": {"person": {"columns": ["name"]}}});
    assert_eq!(first(&engine, people).await, json!({"title": "news", "person": [{"name": "Bob"}]}));
    let channels = json!({"table": "person", "columns": ["name"], "where": {"channel_via_member": {"some": {"title": "news"}}}});
    assert_eq!(first(&engine, channels).await, json!({"name": "Bob"}));
}

/// The view's own name may mean the view of the same row, or of those that refer to it.
/// A view of a table that refers to itself is related to that table in both directions.
#[tokio::test]
async fn two_schemas_with_a_table_of_one_name_share_its_relations_names() {
    let database = Database::of(
        "CREATE SCHEMA s2; CREATE TABLE cust (id integer PRIMARY KEY);
         CREATE TABLE ord (id integer PRIMARY KEY, cust_id integer REFERENCES cust);
         CREATE TABLE s2.ord (id integer PRIMARY KEY, cust_id integer REFERENCES cust);",
    )
    .await;
    let settings = Settings { schemas: vec!["public".into(), "s2".into()], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for arguments in [
        json!({"table": "cust", "include": {"ord_by_cust": true}}),
        json!({"table": "cust", "where": {"ord_by_cust": {"some": {"id": 1}}}}),
        json!({"table": "cust", "columns": [{"count": "ord_by_cust"}]}),
    ] {
        let error = error(&engine, "admin", "select", arguments).await;
        assert_eq!(error["code"], "ambiguous_relation", "{error}");
        assert_eq!(error["allowed"], json!(["public.ord_by_cust", "s2.ord_by_cust"]));
        assert_eq!(error["did_you_mean"], Value::Null, "{error}");
    }
}

/// A key of several columns has its own column's name, whether or not that ends in `_id`; the name with all of its columns is
/// understood, too.
#[tokio::test]
async fn keys_of_several_columns_are_named_by_their_own() {
    let engine = Database::of(
        "CREATE TABLE org (id integer PRIMARY KEY);
         CREATE TABLE usr (org_id integer REFERENCES org, usr_no integer, boss_no integer, owner_id integer, PRIMARY KEY (org_id, usr_no),
            FOREIGN KEY (org_id, boss_no) REFERENCES usr, FOREIGN KEY (org_id, owner_id) REFERENCES usr);
         CREATE TABLE task (id integer PRIMARY KEY, org_id integer REFERENCES org, checker_no integer, owner_id integer,
            FOREIGN KEY (org_id, checker_no) REFERENCES usr, FOREIGN KEY (org_id, owner_id) REFERENCES usr);
         INSERT INTO org VALUES (1);
         INSERT INTO usr VALUES (1, 1, NULL, NULL), (1, 2, 1, 1);
         INSERT INTO task VALUES (1, 1, 2, 1);",
    )
    .await
    .engine()
    .await;
    let one = |table: &str, name: &str| json!({"table": table, "columns": ["id"], "include": {name: {"columns": ["usr_no"]}}});
    for (name, usr) in [("checker_no", 2), ("owner_id", 1), ("owner", 1)] {
        assert_eq!(first(&engine, one("task", name)).await[name]["usr_no"], json!(usr), "{name}");
    }
    let org = json!({"table": "task", "columns": ["id"], "include": {"org_id": true}});
    assert_eq!(first(&engine, org).await["org_id"]["id"], 1);
    let path = json!({"table": "task", "columns": ["checker_no.boss_no.usr_no"]});
    assert_eq!(first(&engine, path).await, json!({"checker_no.boss_no.usr_no": 1}));
    for (name, n) in [
        ("usr_by_boss_no", 1),
        ("usr_by_org_boss_no", 1),
        ("usr_by_owner", 1),
        ("task_by_checker_no", 0),
        ("task_by_owner", 1),
    ] {
        let arguments = json!({"table": "usr", "where": {"usr_no": 1}, "include": {name: true}});
        let found = first(&engine, arguments).await;
        assert_eq!(found[name].as_array().unwrap().len(), n, "{name}");
    }
}
