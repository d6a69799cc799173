//! Columns of rows several relations away, as sort keys, groups and measures.

use mcp_pg_core::Settings;
use mcp_pg_core::policy::{Action, Actions, ColumnRules, Grant, Limits, Role};
use mcp_pg_tests::{Database, call, error, paged, rows};
use serde_json::{Value, json};

const SHOP: &str = "
    CREATE TABLE artist (artist_id integer PRIMARY KEY, name text);
    CREATE TABLE album (album_id integer PRIMARY KEY, title text, artist_id integer REFERENCES artist);
    CREATE TABLE track (track_id integer PRIMARY KEY, name text, album_id integer REFERENCES album);
    CREATE TABLE sale (sale_id integer PRIMARY KEY, track_id integer REFERENCES track, amount numeric);
    CREATE VIEW listed AS SELECT album_id, title, artist_id FROM album WHERE album_id <> 3;
    INSERT INTO artist VALUES (1, 'Bessie'), (2, 'Ada');
    INSERT INTO album VALUES (1, 'Blues', 1), (2, 'Engines', 2), (3, 'Lost', NULL);
    INSERT INTO track VALUES (1, 'Empty Bed', 1), (2, 'Notes', 2), (3, 'Silence', 3), (4, 'Single', NULL);
    INSERT INTO sale SELECT n, 1 + n % 5 % 4, n FROM generate_series(1, 20) n;
    INSERT INTO sale VALUES (21, NULL, 100);";

#[tokio::test]
async fn a_relation_with_dots_in_its_name_is_found() {
    let engine = Database::of(
        r#"CREATE TABLE "a.b" ("c.d" integer PRIMARY KEY);
           CREATE TABLE leaf (id integer PRIMARY KEY, "a.b_id" integer REFERENCES "a.b");
           INSERT INTO "a.b" VALUES (1), (2); INSERT INTO leaf VALUES (1, 1), (2, 2), (3, 1);"#,
    )
    .await
    .engine()
    .await;
    let sorted = json!({"table": "leaf", "columns": ["id"], "order_by": ["-a.b.c.d", "id"]});
    let reply = call(&engine, "analyst", "select", sorted).await.unwrap();
    assert_eq!(rows(&reply), &[json!({"id": 2}), json!({"id": 1}), json!({"id": 3})]);
    let grouped =
        json!({"table": "leaf", "group_by": ["a.b.c.d"], "measures": {"n": {"count": "*"}}});
    let reply = call(&engine, "analyst", "aggregate", grouped).await.unwrap();
    assert_eq!(rows(&reply), &[json!({"a.b.c.d": 1, "n": 2}), json!({"a.b.c.d": 2, "n": 1})]);
    let lost = json!({"table": "leaf", "order_by": ["b.c"]});
    assert_eq!(error(&engine, "analyst", "select", lost).await["code"], "unknown_relation");
}

#[tokio::test]
async fn rows_are_sorted_by_columns_far_away() {
    let database = Database::of(SHOP).await;
    let engine = database.engine().await;
    for (order, sql) in [
        (json!(["track.album.artist.name"]), "artist.name, sale_id"),
        (
            json!(["-track.album.artist.name", "track.album.title", "-track.name"]),
            "artist.name DESC, title, track.name DESC, sale_id DESC",
        ),
        (
            json!([{"column": "track.album.artist.name", "direction": "desc", "nulls": "last"}]),
            "artist.name DESC NULLS LAST, sale_id DESC",
        ),
    ] {
        let expected = database
            .value(&format!(
                "SELECT string_agg(sale_id::text, ',' ORDER BY {sql}) FROM sale
                 LEFT JOIN track USING (track_id) LEFT JOIN album USING (album_id)
                 LEFT JOIN artist USING (artist_id)"
            ))
            .await;
        let found: Vec<String> =
            paged(&engine, json!({"table": "sale", "order_by": order}), "sale_id", 4)
                .await
                .iter()
                .map(i64::to_string)
                .collect();
        assert_eq!(Some(found.join(",")), expected, "{order}");
    }
}

#[tokio::test]
async fn groups_and_measures_are_far_away() {
    let engine = Database::of(SHOP).await.engine().await;
    let reply = call(
        &engine,
        "analyst",
        "aggregate",
        json!({"table": "sale", "group_by": ["track.album.artist.name"], "order_by": ["-total"],
            "measures": {"total": {"sum": "amount"}, "titles": {"count_distinct": "track.album.title"}}}),
    )
    .await
    .unwrap();
    let expected = json!([
        {"track.album.artist.name": null, "total": 180, "titles": 1},
        {"track.album.artist.name": "Bessie", "total": 96, "titles": 1},
        {"track.album.artist.name": "Ada", "total": 34, "titles": 1}
    ]);
    assert_eq!(reply["rows"], expected);
}

#[tokio::test]
async fn relations_lead_through_views() {
    let engine = Database::of(SHOP).await.engine().await;
    // Nothing says that the view has an album once: it is asked for one row.
    let described =
        call(&engine, "analyst", "describe_table", json!({"table": "track"})).await.unwrap();
    let relations = described["relations"].as_array().unwrap().clone();
    let through = relations.iter().find(|one| one["table"] == "listed").expect("a relation");
    let name = through["name"].as_str().unwrap();
    let reply = call(
        &engine,
        "analyst",
        "select",
        json!({"table": "track", "columns": ["track_id"],
            "order_by": [format!("{name}.artist.name"), "-track_id"]}),
    )
    .await
    .unwrap();
    let found: Vec<i64> =
        rows(&reply).iter().map(|row| row["track_id"].as_i64().unwrap()).collect();
    assert_eq!(found, [2, 1, 4, 3]);
}

#[tokio::test]
async fn every_hop_obeys_the_role() {
    let database = Database::of(SHOP).await;
    let grant = |tables: &[&str]| Grant {
        tables: tables.iter().map(|table| (*table).to_owned()).collect(),
        actions: Actions::from_iter([Action::Select]),
        ..Grant::default()
    };
    let all = grant(&["public.sale", "public.track", "public.artist"]);
    // No row of an album that the role does not see gives a value, nor does any beyond it.
    let blues =
        Grant { rows: json!({"title": "Blues"}).as_object().cloned(), ..grant(&["public.album"]) };
    let role = |grants| Role { grants, ..Role::everywhere("analyst", []) };
    let seen = Settings { roles: vec![role(vec![all.clone(), blues])], ..Settings::default() };
    let engine = database.engine_with(seen).await;
    let groups = json!({"table": "sale", "group_by": ["track.album.artist.name"], "order_by": ["-n"],
        "measures": {"n": {"count": "*"}}});
    let reply = call(&engine, "analyst", "aggregate", groups.clone()).await.unwrap();
    let expected = json!([
        {"track.album.artist.name": null, "n": 13},
        {"track.album.artist.name": "Bessie", "n": 8}
    ]);
    assert_eq!(reply["rows"], expected);

    let hidden = Settings { roles: vec![role(vec![all.clone()])], ..Settings::default() };
    let engine = database.engine_with(hidden).await;
    let told = error(&engine, "analyst", "aggregate", groups.clone()).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("unknown_relation"), &json!("/group_by/0")),
        "{told}"
    );

    let nameless = Grant {
        columns: ColumnRules { exclude: vec!["name".to_owned()], ..ColumnRules::default() },
        ..grant(&["public.artist"])
    };
    let rest = grant(&["public.sale", "public.track", "public.album"]);
    let hidden = Settings { roles: vec![role(vec![nameless, rest])], ..Settings::default() };
    let engine = database.engine_with(hidden).await;
    let told = error(&engine, "analyst", "aggregate", groups).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("unknown_column"), &json!("/group_by/0")));
}

#[tokio::test]
async fn a_way_is_bounded() {
    let limits = Limits { max_depth: 2, ..Limits::default() };
    let settings = Settings { limits, ..Settings::default() };
    let engine = Database::of(SHOP).await.engine_with(settings).await;
    let by = |column: &str| json!({"table": "sale", "order_by": [column]});
    assert!(call(&engine, "analyst", "select", by("track.album.title")).await.is_ok());
    let told = error(&engine, "analyst", "select", by("track.album.artist.name")).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("limit_exceeded"), &json!("/order_by/0")));
    let told = error(&engine, "analyst", "select", by("track.sale.amount")).await;
    assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!("/order_by/0")));
}

/// PostgreSQL plans joins in a time and memory that grow with the square of their number, and hears no timeout then.
#[tokio::test]
async fn a_request_joins_a_bounded_number_of_related_rows() {
    let limits = Limits { max_joins: 3, ..Limits::default() };
    let database = Database::of(SHOP).await;
    let mut settings = Settings { limits, ..Settings::default() };
    settings.archive.allow_hard_delete = true;
    let engine = database.engine_with(settings).await;
    let artist = "track.album.artist.name";
    let total = json!({"sum": "sale.amount", "as": "sold"});
    let computed = |columns: &[&str]| json!({"$compute": {"add": columns}});
    let changed = |updates: Value| json!({"table": "sale", "where": {"sale_id": 1}, "updates": updates, "dry_run": true});
    for (tool, arguments, at) in [
        // Columns of the same row count once.
        (
            "select",
            json!({"table": "sale", "columns": [artist, "track.album.title"], "order_by": [artist]}),
            "",
        ),
        (
            "select",
            json!({"table": "sale", "columns": [artist], "include": {"track": {"columns": ["name"]}}}),
            "",
        ),
        (
            "select",
            json!({"table": "sale", "columns": [artist], "include": {"track": {"columns": ["album.title"]}}}),
            "/include",
        ),
        ("select", json!({"table": "track", "columns": ["album.artist.name", total]}), "/columns"),
        (
            "select",
            json!({"table": "track", "columns": ["album.artist.name"], "order_by": [{"count": "sale"}, "track_id"]}),
            "",
        ),
        (
            "select",
            json!({"table": "track", "columns": ["album.artist.name", total], "order_by": [{"count": "sale"}]}),
            "/columns",
        ),
        (
            "select",
            json!({"table": "album", "columns": ["artist.name", {"count": "track", "as": "n"}],
                   "order_by": [{"count": "track"}, {"count": "track", "direction": "desc"}]}),
            "/order_by",
        ),
        (
            "aggregate",
            json!({"table": "sale", "group_by": [artist], "measures": {"n": {"count": "*"}}}),
            "",
        ),
        (
            "aggregate",
            json!({"table": "track", "group_by": ["album.artist.name"], "measures": {"n": {"sum": {"multiply": [
                {"sum": "sale.amount"}, {"count": "sale"}]}}}}),
            "/measures",
        ),
        // Conditions share the bound: also those of includes, measures, totals and comparisons.
        (
            "select",
            json!({"table": "sale", "columns": [artist], "where": {"track": {"name": "Two"}}}),
            "/columns",
        ),
        (
            "select",
            json!({"table": "sale", "where": {"track": {"album": {"artist": {"name": "x"}}}}}),
            "",
        ),
        (
            "select",
            json!({"table": "sale", "where": {"and": vec![json!({"track": {"album": {"title": "x"}}}); 2]}}),
            "/where",
        ),
        (
            "select",
            json!({"table": "artist", "where": {"not": {"album": {"none": {"track": {"some": {"sale": {"some": {"track": {"name": "x"}}}}}}}}}}),
            "/where",
        ),
        (
            "select",
            json!({"table": "track", "include": {"sale": {"where": {"track": {"album": {"artist": {"album": {"some": {"title": "x"}}}}}}}}}),
            "/include",
        ),
        (
            "aggregate",
            json!({"table": "sale", "measures": {"n": {"count": "*", "where": {"track": {"album": {"title": "x"}}}},
                                                 "m": {"count": "*", "where": {"track": {"album": {"title": "y"}}}}}}),
            "/measures",
        ),
        (
            "select",
            json!({"table": "track", "columns": [{"count": "sale", "where": {"track": {"album": {"artist": {"name": "x"}}}}, "as": "n"}]}),
            "/columns",
        ),
        (
            "select",
            json!({"table": "sale", "where": {"or": vec![json!({"amount": {"gt": {"$column": "track.album.album_id"}}}); 2]}}),
            "/where",
        ),
        // So do the values of a write.
        (
            "update",
            changed(json!({"amount": computed(&["track.album.artist.artist_id", "amount"])})),
            "",
        ),
        (
            "update",
            changed(
                json!({"amount": computed(&["track.album.artist.artist_id", "track.track_id"])}),
            ),
            "/updates",
        ),
        (
            "update",
            json!({"table": "sale", "updates": [{"sale_id": 1, "amount": 1},
                {"sale_id": 2, "amount": computed(&["track.album.artist.artist_id", "track.track_id"])}]}),
            "/updates/1",
        ),
        (
            "delete",
            json!({"table": "sale", "where": {"and": vec![json!({"track": {"album": {"title": "x"}}}); 2]}}),
            "/where",
        ),
    ] {
        match call(&engine, "admin", tool, arguments.clone()).await {
            Ok(_) => assert_eq!(at, "", "{arguments}"),
            Err(error) => {
                let error = serde_json::to_value(&error).unwrap();
                let told = (error["code"].as_str(), error["at"].as_str());
                assert_eq!(told, (Some("limit_exceeded"), Some(at)), "{arguments}: {error}");
            }
        }
    }
    // Those of a list of updates have a bound of their own.
    let row = |id| json!({"sale_id": id, "amount": computed(&["track.track_id", "amount"])});
    let rows = |most: i32| json!({"table": "sale", "dry_run": true, "updates": (1..=most).map(row).collect::<Vec<_>>()});
    call(&engine, "admin", "update", rows(48)).await.unwrap();
    let told = call(&engine, "admin", "update", rows(49)).await.unwrap_err();
    assert_eq!(told.message(), "a request may reach at most 48 related rows (limits.max_joins)");
}
