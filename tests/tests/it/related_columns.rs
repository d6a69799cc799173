//! Columns of to-one related rows, and names of relations that need not be complete.

use mcp_pg_core::policy::{Action, ColumnMarks, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, pages, refused, rows, selected};
use serde_json::{Value, json};

const FIXTURE: &str = "
CREATE TABLE place (id integer PRIMARY KEY, name text, open daterange, meta jsonb, secret text, mail text, phone text, archived_at timestamptz);
INSERT INTO place VALUES (1, 'Rome', '[2025-01-01,2026-01-01)', '{\"zip\": \"00100\"}', 's1', 'rome@example.com', '111222333'),
  (2, 'Oslo', '[2025-02-01,)', '{}', 's2', 'oslo@example.com', '444555666'), (3, 'Bonn', NULL, NULL, 's3', NULL, NULL);
INSERT INTO place VALUES (4, 'Gone', NULL, NULL, NULL, NULL, NULL, now());
CREATE TABLE route (id integer PRIMARY KEY, \"from\" integer REFERENCES place, \"to\" integer REFERENCES place);
INSERT INTO route VALUES (1, 1, 2), (2, 2, 3), (3, 3, 4);
CREATE TABLE shipment (id integer PRIMARY KEY, route_id integer REFERENCES route, origin integer REFERENCES place, kilos numeric);
INSERT INTO shipment VALUES (1, 1, 1, 5), (2, 2, 2, 7), (3, 3, 4, 9), (4, NULL, NULL, 1);
CREATE TABLE stop (shipment_id integer REFERENCES shipment, place_id integer REFERENCES place, PRIMARY KEY (shipment_id, place_id));
INSERT INTO stop VALUES (1, 2), (1, 3), (2, 1);";

#[tokio::test]
async fn columns_of_related_rows_are_columns() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let arguments = json!({"table": "shipment", "order_by": ["-route.to.name", "id"],
        "columns": ["id", "route.from.name", "origin.open", "route.to.name", {"column": "origin.meta", "path": ["zip"], "as": "zip"}]});
    let expected = [
        json!({"id": 3, "route.from.name": "Bonn", "origin.open": null, "route.to.name": null, "zip": null}),
        json!({"id": 4, "route.from.name": null, "origin.open": null, "route.to.name": null, "zip": null}),
        json!({"id": 1, "route.from.name": "Rome", "origin.open": {"lower": "2025-01-01", "upper": "2026-01-01", "bounds": "[)"},
            "route.to.name": "Oslo", "zip": "00100"}),
        json!({"id": 2, "route.from.name": "Oslo", "origin.open": {"lower": "2025-02-01", "upper": null, "bounds": "[)"},
            "route.to.name": "Bonn", "zip": null}),
    ];
    assert_eq!(selected(&engine, arguments.clone()).await, expected);
    // Page by page, also sought after a cursor.
    assert_eq!(pages(&engine, "select", arguments, 1).await, expected);
    let archived = json!({"table": "shipment", "columns": ["origin.name"], "where": {"id": 3}, "archived": "include"});
    assert_eq!(selected(&engine, archived).await, [json!({"origin.name": "Gone"})]);
    let nested = json!({"table": "place", "columns": ["id"], "where": {"id": 2}, "include": {"shipment_by_origin": {"columns": ["id", "route.to.name"]}}});
    assert_eq!(
        selected(&engine, nested).await,
        [json!({"id": 2, "shipment_by_origin": [{"id": 2, "route.to.name": "Bonn"}]})]
    );
    let distinct = json!({"table": "shipment", "columns": ["route.to.name"], "distinct": true, "order_by": ["route.to.name"], "where": {"id": {"lt": 3}}});
    assert_eq!(
        selected(&engine, distinct).await,
        [json!({"route.to.name": "Bonn"}), json!({"route.to.name": "Oslo"})]
    );
    let all = json!({"table": "shipment", "columns": ["*", "origin.name"], "format": "columns", "limit": 1});
    let reply = call(&engine, "analyst", "select", all).await.unwrap();
    assert_eq!(reply["columns"], json!(["id", "route_id", "origin", "kilos", "origin.name"]));
}

#[tokio::test]
async fn related_columns_keep_the_masks_and_marks_of_their_table() {
    let mut role = Role::everywhere("reader", [Action::Select]);
    role.grants[0].columns.exclude = vec!["secret".into()];
    role.grants[0].columns.mask =
        [("mail".to_owned(), Mask::Email), ("phone".to_owned(), Mask::Last4)].into();
    let untrusted =
        ColumnMarks { untrusted: vec!["public.place.name".into()], ..ColumnMarks::default() };
    let settings = Settings { roles: vec![role], columns: untrusted, ..Settings::default() };
    let engine = Database::of(FIXTURE).await.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    let ask = async |arguments: Value| call_as(&engine, &reader, "select", arguments).await;
    let arguments = json!({"table": "shipment", "columns": ["origin.name", "origin.mail", "origin.phone"], "where": {"id": 1}});
    let reply = ask(arguments).await.unwrap();
    let alone =
        ask(json!({"table": "place", "columns": ["name", "mail", "phone"], "where": {"id": 1}}))
            .await
            .unwrap();
    for column in ["name", "mail", "phone"] {
        assert_eq!(rows(&reply)[0][format!("origin.{column}")], rows(&alone)[0][column]);
    }
    assert_ne!(rows(&reply)[0]["origin.mail"], "rome@example.com");
    assert_eq!(reply["untrusted"], json!(["origin.name"]));
    for (arguments, code, at) in [
        (
            json!({"columns": ["origin.mail"], "order_by": ["origin.mail"]}),
            "forbidden",
            "/order_by/0",
        ),
        (json!({"columns": ["origin.mail"], "distinct": true}), "forbidden", "/columns"),
        (json!({"columns": ["origin.secret"]}), "unknown_column", "/columns/0"),
        (
            json!({"columns": [{"column": "origin.mail", "path": ["a"]}]}),
            "forbidden",
            "/columns/0/column",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("shipment");
        let told = ask(arguments.clone()).await.unwrap_err();
        assert_eq!(
            (told.code().as_str(), told.get_at().unwrap_or_default()),
            (code, at),
            "{arguments}"
        );
    }
}

#[tokio::test]
async fn invalid_related_columns_are_refused_with_their_place() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (columns, code, at) in [
        (json!(["id", "origin.nam"]), "unknown_column", "/columns/1"),
        (json!(["id", "orgin.name"]), "unknown_relation", "/columns/1"),
        (json!(["stop.place_id"]), "unknown_column", "/columns/0"),
        (json!(["origin.*"]), "unknown_column", "/columns/0"),
        (
            json!(["origin.name", {"column": "kilos", "path": ["a"], "as": "origin.name"}]),
            "invalid_value",
            "/columns/1/path",
        ),
        (
            json!(["origin.name", {"add": ["kilos", 1], "as": "origin.name"}]),
            "invalid_value",
            "/columns/1",
        ),
    ] {
        let arguments = json!({"table": "shipment", "columns": columns});
        assert_eq!(
            refused(&engine, "select", arguments).await,
            (code.into(), at.into()),
            "{columns}"
        );
    }
    let told = error(
        &engine,
        "analyst",
        "select",
        json!({"table": "shipment", "columns": ["stop.place_id"]}),
    )
    .await;
    assert_eq!(
        told["hint"],
        "related rows: \"include\": {\"stop\": {\"columns\": [\"place_id\"]}}"
    );
}

#[tokio::test]
async fn a_key_column_names_its_relation_where_no_column_can_stand() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let arguments = json!({"table": "route", "columns": ["id"], "where": {"id": 1},
        "include": {"from": {"columns": ["name"]}, "to": {"columns": ["name"]}}});
    assert_eq!(
        selected(&engine, arguments).await,
        [json!({"id": 1, "from": {"name": "Rome"}, "to": {"name": "Oslo"}})]
    );
    // Where the column is in the row, too, the relation has its other name.
    let arguments =
        json!({"table": "route", "where": {"id": 1}, "include": {"from": {"columns": ["name"]}}});
    assert_eq!(
        selected(&engine, arguments).await,
        [json!({"id": 1, "from": 1, "to": 2, "route_from_fkey": {"name": "Rome"}})]
    );
    let twice = json!({"table": "route", "include": {"from": true, "route_from_fkey": true}});
    assert_eq!(refused(&engine, "select", twice).await.0, "ambiguous_relation");
    let grouped = json!({"table": "shipment", "group_by": ["route.from.name"], "measures": {"n": {"count": "*"}}, "order_by": ["route.from.name"]});
    let reply = call(&engine, "analyst", "aggregate", grouped).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"route.from.name": "Bonn", "n": 1}));
    // In a condition, it is the column.
    let told = error(
        &engine,
        "analyst",
        "select",
        json!({"table": "route", "where": {"from": {"name": "Rome"}}}),
    )
    .await;
    assert_eq!(told["code"], "unknown_operator");
}

/// As MusicBrainz has it: the table that other keys refer to, too, has the name of one key's column.
#[tokio::test]
async fn a_key_column_goes_before_the_table_of_its_name() {
    let engine = Database::of(
        "CREATE TABLE area (id integer PRIMARY KEY, name text, gender integer);
         CREATE TABLE town (id integer PRIMARY KEY, area integer REFERENCES area);
         CREATE TABLE artist (id integer PRIMARY KEY, begin_area integer REFERENCES area, area integer REFERENCES area,
           end_area integer REFERENCES area);
         INSERT INTO area VALUES (1, 'Rome'), (2, 'Oslo'), (3, 'Bonn'); INSERT INTO artist VALUES (1, 1, 2, 3);",
    )
    .await
    .engine()
    .await;
    let read = json!({"table": "artist", "columns": ["id", "area.name", "end_area.name"], "order_by": ["area.name"],
        "include": {"area": {"columns": ["name"]}, "begin_area": {"columns": ["name"]}}});
    assert_eq!(
        selected(&engine, read).await,
        [json!({"id": 1, "area.name": "Oslo", "end_area.name": "Bonn", "area": {"name": "Oslo"},
            "begin_area": {"name": "Rome"}})]
    );
    let grouped = json!({"table": "artist", "group_by": ["area.name"], "measures": {"last": {"max": "area.name"}}});
    let reply = call(&engine, "analyst", "aggregate", grouped).await.unwrap();
    assert_eq!(rows(&reply), [json!({"area.name": "Oslo", "last": "Oslo"})]);
    // A condition is on the column; what was meant for the row is told, its relations too.
    for (condition, hint) in [
        (json!({"name": "Oslo"}), "{\"artist_area_fkey\": {\"name\": …}}"),
        (json!({"town": {"some": {}}}), "{\"artist_area_fkey\": {\"town\": …}}"),
    ] {
        let read = json!({"table": "artist", "where": {"area": condition}});
        let told = error(&engine, "analyst", "select", read).await;
        assert_eq!(told["hint"], format!("of the row that it refers to: {hint}"));
    }
}

#[tokio::test]
async fn the_to_one_relation_is_meant_where_only_one_row_is_possible() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let both = json!({"table": "shipment", "include": {"place": true}});
    assert_eq!(refused(&engine, "select", both).await.0, "ambiguous_relation");
    let grouped = json!({"table": "shipment", "group_by": ["place.name"], "measures": {"n": {"count": "*"}}, "order_by": ["place.name"]});
    let reply = call(&engine, "analyst", "aggregate", grouped).await.unwrap();
    assert_eq!(rows(&reply)[0], json!({"place.name": "Oslo", "n": 1}));
    let sorted = json!({"table": "shipment", "columns": ["id", "place.name"], "order_by": ["-place.name"], "where": {"id": {"lt": 3}}});
    assert_eq!(
        selected(&engine, sorted).await,
        [json!({"id": 1, "place.name": "Rome"}), json!({"id": 2, "place.name": "Oslo"})]
    );
}

/// As SQL has it, the table's name before a column is the row's own; what refers to the row's parent is the key's name.
#[tokio::test]
async fn the_name_of_the_table_itself_is_no_relation_before_a_column() {
    let engine = Database::of(
        "CREATE TABLE groups (id integer PRIMARY KEY, name text, place integer, parent_group_id integer REFERENCES groups);
         INSERT INTO groups VALUES (1, 'all', 10, NULL), (2, 'some', 20, 1);
         CREATE TABLE member (id integer PRIMARY KEY, group_id integer REFERENCES groups);",
    )
    .await
    .engine()
    .await;
    let own = "groups.place";
    for (tool, arguments) in [
        ("select", json!({"columns": [own]})),
        ("select", json!({"order_by": [own]})),
        ("select", json!({"where": {"place": {"eq": {"$column": own}}}})),
        ("aggregate", json!({"measures": {"n": {"sum": own}}})),
        ("aggregate", json!({"group_by": [own], "measures": {"n": "count"}})),
        (
            "update",
            json!({"where": {"id": 2}, "updates": {"place": {"$compute": {"add": [own, 1]}}}}),
        ),
        ("update", json!({"where": {"id": 2}, "updates": {"place": {"$column": own}}})),
    ] {
        let mut whole = arguments.clone();
        whole["table"] = json!("groups");
        let told = error(&engine, "operator", tool, whole).await;
        assert_eq!(told["code"], "ambiguous_relation", "{arguments}: {told}");
        assert_eq!(told["allowed"], json!(["groups_parent_group_id_fkey"]), "{told}");
        let hint = told["hint"].as_str().unwrap();
        assert!(hint.contains("\"place\" is") && hint.contains("\"parent_group.place\""), "{told}");
    }
    let parents = json!({"table": "groups", "columns": ["place", "parent_group.place"], "order_by": ["groups_parent_group_id_fkey.place"]});
    assert_eq!(selected(&engine, parents).await[0]["parent_group.place"], 10);
    for (tool, arguments) in [
        ("select", json!({"table": "member", "columns": ["member.id"]})),
        ("aggregate", json!({"table": "member", "measures": {"n": {"max": "member.id"}}})),
        (
            "aggregate",
            json!({"table": "member", "group_by": ["member.id"], "measures": {"n": "count"}}),
        ),
    ] {
        let told = error(&engine, "operator", tool, arguments).await;
        assert_eq!(told["did_you_mean"], "id", "{told}");
    }
}

#[tokio::test]
async fn columns_have_other_names() {
    let database = Database::of(
        "CREATE TABLE customer (id integer PRIMARY KEY, name text, secret text, paper json);
         CREATE TABLE bill (id integer PRIMARY KEY, customer_id integer REFERENCES customer, amount integer, secret text);
         INSERT INTO customer VALUES (1, 'Ada', 's1', '{}'), (2, 'Bob', 's2', NULL);
         INSERT INTO bill VALUES (1, 1, 5, 't1'), (2, 2, 4, 't2'), (3, 2, 4, 't3');",
    )
    .await;
    let hidden = |table: &str| {
        let mut grant = mcp_pg_tests::readable(table, None);
        grant.columns.mask.insert("secret".to_owned(), mcp_pg_core::policy::Mask::Full);
        grant
    };
    let role = mcp_pg_core::policy::Role {
        name: "reader".into(),
        grants: vec![hidden("public.customer"), hidden("public.bill")],
        ..Default::default()
    };
    let mut settings = mcp_pg_core::Settings::default();
    settings.roles.push(role);
    let engine = database.engine_with(settings).await;
    let columns = json!(["id", {"column": "amount", "as": "total"}, {"column": "customer.name", "as": "who"}, {"column": "amount"}]);
    let arguments = json!({"table": "bill", "columns": columns, "order_by": ["total", "-who", "id"], "limit": 1});
    let found = mcp_pg_tests::pages(&engine, "select", arguments, 1).await;
    let row = |id, total, who: &str| json!({"id": id, "total": total, "who": who, "amount": total});
    assert_eq!(found, [row(2, 4, "Bob"), row(3, 4, "Bob"), row(1, 5, "Ada")]);
    let distinct = json!({"table": "bill", "columns": [{"column": "customer.name", "as": "who"}], "distinct": true, "order_by": ["who"]});
    assert_eq!(selected(&engine, distinct).await, [json!({"who": "Ada"}), json!({"who": "Bob"})]);
    let masked = json!([{"column": "secret", "as": "a"}, {"column": "customer.secret", "as": "b"}]);
    let arguments = json!({"table": "bill", "columns": masked, "where": {"id": 1}});
    let reply = call(&engine, "reader", "select", arguments).await.unwrap();
    assert!(!reply.to_string().contains("s1") && !reply.to_string().contains("t1"), "{reply}");
    assert_eq!(rows(&reply)[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["a", "b"]);
    // What is masked here is masked in the other row, too.
    let grouped =
        json!({"table": "bill", "group_by": ["secret"], "measures": {"n": {"count": "*"}}});
    let told = mcp_pg_tests::error(&engine, "reader", "aggregate", grouped).await;
    assert!(told["code"] == "forbidden" && !told.to_string().contains("customer"), "{told}");
    let written = json!({"table": "bill", "where": {"id": 1}, "updates": {"amount": 6}, "returning": ["id", {"column": "amount", "as": "now"}]});
    let reply = call(&engine, "operator", "update", written).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "now": 6})]);
    for (role, arguments, code) in [
        ("admin", json!({"columns": [{"column": "amount", "as": "id"}, "id"]}), "invalid_value"),
        ("admin", json!({"columns": [{"column": "nothing", "as": "a"}]}), "unknown_column"),
        (
            "admin",
            json!({"columns": [{"column": "customer.paper", "as": "a"}], "distinct": true}),
            "invalid_value",
        ),
        (
            "reader",
            json!({"columns": [{"column": "secret", "as": "a"}], "distinct": true}),
            "forbidden",
        ),
        (
            "reader",
            json!({"columns": [{"column": "secret", "as": "a"}], "order_by": ["a"]}),
            "unknown_column",
        ),
    ] {
        let mut arguments = arguments;
        arguments["table"] = json!("bill");
        let told = mcp_pg_tests::error(&engine, role, "select", arguments.clone()).await;
        assert_eq!(told["code"], code, "{arguments}: {told}");
    }
}

/// As `columns` of a select names them.
#[tokio::test]
async fn columns_of_to_one_related_rows_are_returned() {
    let database = Database::of(
        "CREATE TABLE country (code text PRIMARY KEY, name text);
         CREATE TABLE partner (id integer PRIMARY KEY, name text, city text, country text REFERENCES country, archived_at timestamptz);
         CREATE TABLE sale (id integer PRIMARY KEY, state text, partner_id integer REFERENCES partner, seller_id integer REFERENCES partner);
         INSERT INTO country VALUES ('FR', 'France');
         INSERT INTO partner VALUES (1, 'Ada', 'Lyon', 'FR'), (2, 'Bea', NULL, NULL);
         INSERT INTO sale VALUES (1, 'draft', 1, NULL), (2, 'draft', 2, 1);",
    )
    .await;
    let engine = database.engine().await;
    let returning = json!(["id", "partner.name", "partner.city", "seller.name", "state"]);
    let arguments = json!({"table": "sale", "where": {"state": "draft"}, "max_rows": 5, "updates": {"state": "sent"}, "returning": returning});
    let mut dry = arguments.clone();
    dry["dry_run"] = json!(true);
    let expected = [
        json!({"id": 1, "state": "sent", "partner.name": "Ada", "partner.city": "Lyon", "seller.name": null}),
        json!({"id": 2, "state": "sent", "partner.name": "Bea", "partner.city": null, "seller.name": "Ada"}),
    ];
    let tried = call(&engine, "operator", "update", dry).await.unwrap();
    assert_eq!(tried["after"], json!(expected));
    let reply = call(&engine, "operator", "update", arguments).await.unwrap();
    assert_eq!(rows(&reply), expected);
    let new = json!({"table": "sale", "data": {"id": 3, "partner_id": 1}, "returning": ["partner.name"],
        "include": {"seller": true}});
    let reply = call(&engine, "operator", "insert", new).await.unwrap();
    assert_eq!(rows(&reply), [json!({"partner.name": "Ada", "seller": null})]);
    // Under other names, also the relation's own, or one with a dot.
    let named = |name: &str| json!({"column": "partner.name", "as": name});
    let named = json!({"table": "sale", "where": {"id": 1}, "updates": {"state": "seen"}, "include": {"seller": true},
        "returning": [named("partner"), named("who"), named("seller.name"), {"column": "partner.city", "as": "city"}]});
    let reply = call(&engine, "operator", "update", named).await.unwrap();
    assert_eq!(
        rows(&reply),
        [
            json!({"seller": null, "partner": "Ada", "who": "Ada", "seller.name": "Ada", "city": "Lyon"})
        ]
    );

    let update = |returning: Value, include: Value| json!({"table": "sale", "where": {"id": 1}, "updates": {"state": "x"}, "returning": returning, "include": include});
    for (tool, arguments, code, at) in [
        ("update", update(json!(["partner.nme"]), json!({})), "unknown_column", "/returning/0"),
        (
            "update",
            update(json!(["id", "partner.country.name"]), json!({})),
            "invalid_value",
            "/returning/1",
        ),
        (
            "update",
            update(json!(["partner.name"]), json!({"partner": true})),
            "invalid_value",
            "/returning",
        ),
        (
            "delete",
            json!({"table": "sale", "where": {"id": 1}, "returning": ["partner.name"]}),
            "invalid_value",
            "/returning",
        ),
        (
            "update",
            update(json!([{"column": "partner.name", "as": "seller"}]), json!({"seller": true})),
            "ambiguous_relation",
            "/include/seller",
        ),
        (
            "update",
            update(json!(["id", {"column": "partner.country.name", "as": "x"}]), json!({})),
            "invalid_value",
            "/returning/1",
        ),
        (
            "update",
            update(json!([{"multiply": ["id", 2], "as": "x"}]), json!({})),
            "invalid_value",
            "/returning/0",
        ),
    ] {
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!((&told["code"], &told["at"]), (&json!(code), &json!(at)), "{told}");
    }
}
