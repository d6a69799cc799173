//! Totals of related rows as values of a row.

use mcp_pg_core::policy::{Action, ColumnRules, Grant, Mask, Role, Settings};
use mcp_pg_tests::{Database, call, error, pages, rows};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE account (id integer PRIMARY KEY, name text, region text);
    CREATE TABLE bill (id integer PRIMARY KEY, account_id integer NOT NULL REFERENCES account, amount numeric, rate double precision,
      due date, at timestamptz, note text, secret integer, archived_at timestamptz);
    CREATE TABLE line (id integer PRIMARY KEY, bill_id integer NOT NULL REFERENCES bill, pieces integer, price numeric(10,2));
    CREATE TABLE tag (id integer PRIMARY KEY, word text);
    CREATE TABLE account_tag (account_id integer REFERENCES account, tag_id integer REFERENCES tag, PRIMARY KEY (account_id, tag_id));
    INSERT INTO account SELECT n, 'account ' || n, CASE WHEN n % 2 = 0 THEN 'north' ELSE 'south' END FROM generate_series(1, 12) n;
    INSERT INTO bill SELECT n, 1 + n % 9, n * 1.25, n / 7.0, date '2025-01-01' + n, timestamptz '2025-01-01 12:00+00' + n * interval '1 hour',
      'note ' || n % 3, n * 1000, CASE WHEN n % 10 = 0 THEN now() END FROM generate_series(1, 60) n;
    INSERT INTO line SELECT n, 1 + n % 60, n % 5, n * 0.5 FROM generate_series(1, 200) n;
    INSERT INTO tag SELECT n, 'word ' || n FROM generate_series(1, 4) n;
    INSERT INTO account_tag SELECT a, t FROM generate_series(1, 12) a, generate_series(1, 4) t WHERE a % t = 0;";

/// All that can be done with a table.
fn granted(table: &str) -> Grant {
    Grant { tables: vec![table.into()], ..Role::everywhere("", Action::ALL).grants.remove(0) }
}

/// What of a bill there is for callers.
const LIVE: &str = "b.account_id = a.id AND b.archived_at IS NULL";

/// A select of accounts with one computed value, and what SQL says of each, in the order of the key.
async fn agrees(database: &Database, value: Value, sql: &str) {
    let engine = database.engine().await;
    let mut item = value.clone();
    item["as"] = json!("it");
    let request = json!({"table": "account", "columns": ["id", item], "order_by": ["id"]});
    let reply = call(&engine, "analyst", "select", request).await.unwrap();
    let told: Vec<String> = rows(&reply)
        .iter()
        .map(|row| match &row["it"] {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
        .collect();
    let sql = format!(
        "SELECT string_agg(coalesce(to_jsonb(({sql}))#>>'{{}}', 'null'), '|' ORDER BY id) FROM account a"
    );
    let expected = database.value(&sql).await.unwrap();
    let plain = |text: &str| text.replace("+00:00", "Z");
    assert_eq!(told.len(), 12);
    let numbers = |text: &str| text.parse::<f64>().ok();
    for (told, expected) in told.iter().zip(expected.split('|')) {
        match (numbers(told), numbers(expected)) {
            (Some(told), Some(expected)) => {
                assert!((told - expected).abs() < 1e-9, "{value}: {told} {expected}")
            }
            _ => assert_eq!(*told, plain(expected), "{value}"),
        }
    }
}

#[tokio::test]
async fn totals_agree_with_hand_written_sql() {
    let database = Database::of(FIXTURE).await;
    let of = |what: &str| format!("SELECT {what} FROM bill b WHERE {LIVE}");
    agrees(&database, json!({"sum": "bill.amount"}), &of("coalesce(sum(amount), 0)")).await;
    agrees(&database, json!({"count": "bill"}), &of("count(*)")).await;
    agrees(&database, json!({"avg": "bill.secret"}), &of("avg(secret)")).await;
    agrees(&database, json!({"min": "bill.rate"}), &of("min(rate)")).await;
    agrees(&database, json!({"max": "bill.due"}), &of("max(due)")).await;
    agrees(&database, json!({"max": "bill.at"}), &of("max(at)")).await;
    let noted = json!({"sum": "bill.amount", "where": {"note": "note 1", "line": {"some": {"pieces": {"gt": 2}}}}});
    let sql = of("coalesce(sum(amount), 0)")
        + " AND note = 'note 1' AND EXISTS (SELECT FROM line WHERE bill_id = b.id AND pieces > 2)";
    agrees(&database, noted, &sql).await;
    let product = json!({"sum": {"multiply": ["bill.amount", "bill.rate", 2]}});
    agrees(&database, product, &of("coalesce(sum(amount * rate::numeric * 2), 0)")).await;
    let nested = json!({"sum": {"sum": {"multiply": ["bill.line.pieces", "bill.line.price"]}}});
    let sql = of(
        "coalesce(sum((SELECT coalesce(sum(pieces * price), 0) FROM line l WHERE l.bill_id = b.id)), 0)",
    );
    agrees(&database, nested, &sql).await;
    let mean = json!({"divide": [{"sum": "bill.amount"}, {"count": "bill"}]});
    agrees(&database, mean, &of("sum(amount) / nullif(count(*), 0)")).await;
    let many = json!({"count": "tag", "where": {"word": {"ne": "word 2"}}});
    let sql = "SELECT count(*) FROM account_tag JOIN tag t ON t.id = tag_id WHERE account_id = a.id AND word <> 'word 2'";
    agrees(&database, many, sql).await;
    let lasting = json!({"subtract": [{"max": "bill.at"}, {"min": "bill.at"}], "unit": "hours"});
    agrees(&database, lasting, &of("extract(epoch FROM max(at) - min(at)) / 3600")).await;
}

#[tokio::test]
async fn rows_are_found_sorted_and_grouped_by_totals() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    let spent = format!("(SELECT coalesce(sum(amount), 0) FROM bill b WHERE {LIVE})");
    let database = &database;
    let ids = |sql: String| async move { database.value(&sql).await.unwrap() };
    let found = |reply: &Value| {
        let ids: Vec<String> = rows(reply).iter().map(|row| row["id"].to_string()).collect();
        ids.join(",")
    };

    let condition = json!({"table": "account", "columns": ["id"], "count": "exact",
        "where": {"region": "south", "compute": {"sum": "bill.amount", "where": {"due": {"lt": "2025-02-20"}}, "gt": 150}}});
    let reply = call(&engine, "analyst", "select", condition).await.unwrap();
    let sql = format!(
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM account a WHERE region = 'south' AND \
        (SELECT sum(amount) FROM bill b WHERE {LIVE} AND due < '2025-02-20') > 150"
    );
    assert_eq!(found(&reply), ids(sql).await);
    assert_eq!(reply["count"], reply["row_count"]);
    let late = json!({"table": "account", "columns": ["id"],
        "where": {"compute": {"max": "bill.due", "gte": "2025-03-01", "is_null": false}}});
    let reply = call(&engine, "analyst", "select", late).await.unwrap();
    let sql = format!(
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM account a WHERE \
        (SELECT max(due) FROM bill b WHERE {LIVE}) >= '2025-03-01'"
    );
    assert_eq!(found(&reply), ids(sql).await);

    // By its name, or where it stands; page by page.
    for (order, descending) in [
        (json!(["-spent"]), true),
        (json!([{"sum": "bill.amount", "direction": "desc"}]), true),
        (json!([{"column": "spent"}]), false),
    ] {
        let request = json!({"table": "account", "order_by": order,
            "columns": ["id", {"sum": "bill.amount", "as": "spent"}]});
        let all = pages(&engine, "select", request, 5).await;
        let told: Vec<String> = all.iter().map(|row| row["id"].to_string()).collect();
        let way = if descending { "DESC" } else { "ASC" };
        let sql = format!(
            "SELECT string_agg(id::text, ',' ORDER BY {spent} {way}, id {way}) FROM account a"
        );
        assert_eq!(told.join(","), ids(sql).await);
    }
    // Who has no rows has no last one, and comes last.
    let request = json!({"table": "account", "columns": ["id", {"max": "bill.due", "as": "last"}], "order_by": ["-last"]});
    let all = pages(&engine, "select", request, 5).await;
    let told: Vec<String> = all.iter().map(|row| row["id"].to_string()).collect();
    let sql = format!(
        "SELECT string_agg(id::text, ',' ORDER BY (SELECT max(due) FROM bill b WHERE {LIVE}) DESC NULLS LAST, id DESC) FROM account a"
    );
    assert_eq!(told.join(","), ids(sql).await);
    // Nor has it anything that is computed of that.
    for of in [
        json!({"subtract": [{"max": "bill.amount"}, 1]}),
        json!({"divide": [{"sum": "bill.amount"}, {"count": "bill"}]}),
    ] {
        let mut labelled = of.clone();
        labelled["as"] = json!("it");
        let mut key = of;
        key["direction"] = json!("desc");
        for order in [json!(["-it"]), json!([key])] {
            let request =
                json!({"table": "account", "columns": ["id", labelled], "order_by": order});
            let all = pages(&engine, "select", request, 5).await;
            let [first, .., last] = all.as_slice() else { panic!("{all:?}") };
            assert!(first["it"] != json!(null) && last["it"].is_null(), "{all:?}");
        }
    }

    let groups = json!({"table": "account", "group_by": [{"count": "tag", "as": "tags"}], "order_by": ["tags"],
        "measures": {"n": {"count": "*"}, "spent": {"sum": {"sum": "bill.amount"}}}});
    let reply = call(&engine, "analyst", "aggregate", groups).await.unwrap();
    let sql = format!(
        "SELECT json_agg(g)::text FROM (SELECT (SELECT count(*) FROM account_tag t WHERE t.account_id = a.id) AS tags, \
        count(*) AS n, trim_scale(sum({spent})) AS spent FROM account a GROUP BY 1 ORDER BY 1) g"
    );
    let expected: Value = serde_json::from_str(&ids(sql).await).unwrap();
    assert_eq!(reply["rows"], expected);
    // Within an include.
    let included = json!({"table": "tag", "where": {"id": 4}, "columns": ["id"],
        "include": {"account": {"columns": ["id", {"count": "bill", "as": "bills"}], "order_by": ["-bills"]}}});
    let reply = call(&engine, "analyst", "select", included).await.unwrap();
    assert_eq!(rows(&reply)[0]["account"][0]["bills"], 6, "{reply}");
}

#[tokio::test]
async fn a_total_speaks_of_rows_and_columns_that_the_caller_sees_alone() {
    let database = Database::of(FIXTURE).await;
    let bills = |columns: ColumnRules, rows: Value| Grant {
        columns,
        rows: rows.as_object().cloned(),
        ..granted("public.bill")
    };
    let role = |name: &str, grants: Vec<Grant>| Role { grants, ..Role::everywhere(name, []) };
    let settings = Settings {
        roles: vec![
            role(
                "hidden",
                vec![
                    granted("public.account"),
                    bills(
                        ColumnRules { exclude: vec!["secret".into()], ..ColumnRules::default() },
                        json!({"note": "note 1"}),
                    ),
                ],
            ),
            role(
                "masked",
                vec![
                    granted("public.account"),
                    bills(
                        ColumnRules {
                            mask: [("secret".to_owned(), Mask::Full)].into(),
                            ..ColumnRules::default()
                        },
                        Value::Null,
                    ),
                ],
            ),
            role("alone", vec![granted("public.account")]),
        ],
        ..Settings::default()
    };
    let engine = database.engine_with(settings).await;
    let total = |function: &str, column: &str| json!({"table": "account", "where": {"id": 2}, "columns": [{function: format!("bill.{column}"), "as": "it"}]});
    let counted =
        json!({"table": "account", "where": {"id": 2}, "columns": [{"count": "bill", "as": "it"}]});
    let reply = call(&engine, "hidden", "select", counted.clone()).await.unwrap();
    let sql = "SELECT count(*)::text FROM bill WHERE account_id = 2 AND note = 'note 1' AND archived_at IS NULL";
    assert_eq!(rows(&reply)[0]["it"].to_string(), database.value(sql).await.unwrap());
    assert_ne!(rows(&reply)[0]["it"], 0);

    let absent = error(&engine, "hidden", "select", total("max", "nothing")).await;
    let excluded = error(&engine, "hidden", "select", total("max", "secret")).await;
    assert_eq!(excluded["code"], "unknown_column");
    assert_eq!(excluded.to_string(), absent.to_string().replace("nothing", "secret"));
    for request in [
        total("sum", "secret"),
        json!({"table": "account", "where": {"compute": {"sum": "bill.secret", "gt": 5}}}),
        json!({"table": "account", "where": {"compute": {"count": "bill", "where": {"secret": 1000}, "gt": 0}}}),
        json!({"table": "account", "order_by": [{"min": "bill.secret"}]}),
    ] {
        let told = error(&engine, "masked", "select", request).await;
        assert_eq!(told["code"], "forbidden", "{told}");
    }
    let told = error(&engine, "alone", "select", counted).await;
    assert_eq!(told["code"], "unknown_relation");
}

#[tokio::test]
async fn a_wrong_total_is_told_with_its_place() {
    let database = Database::of(FIXTURE).await;
    let engine = database.engine().await;
    for (item, code, at, hint) in [
        (
            json!({"sum": "amount", "as": "x"}),
            "invalid_value",
            "/columns/0/sum",
            "{\"sum\": \"bill.amount\"}",
        ),
        (
            json!({"count": "*", "as": "x"}),
            "invalid_value",
            "/columns/0/count",
            "{\"count\": \"account_tag\"}",
        ),
        (json!({"sum": "bill.amont", "as": "x"}), "unknown_column", "/columns/0/sum", ""),
        (json!({"sum": "bill.note", "as": "x"}), "invalid_value", "/columns/0/sum", ""),
        (json!({"sum": "bills.amount", "as": "x"}), "unknown_relation", "/columns/0/sum", ""),
        (
            json!({"sum": {"multiply": ["bill.amount", "id"]}, "as": "x"}),
            "invalid_value",
            "/columns/0/sum",
            "bill.…",
        ),
        (
            json!({"sum": "bill.amount", "where": 5, "as": "x"}),
            "invalid_value",
            "/columns/0/where",
            "",
        ),
        (
            json!({"sum": "bill.amount", "where": {"noote": "x"}, "as": "x"}),
            "unknown_column",
            "/columns/0/where/noote",
            "",
        ),
        (
            json!({"sum": "bill.amount", "filter": {}, "as": "x"}),
            "unknown_argument",
            "/columns/0/filter",
            "",
        ),
        (json!({"sum": "bill.amount"}), "missing_value", "/columns/0/as", ""),
    ] {
        let told =
            error(&engine, "analyst", "select", json!({"table": "account", "columns": [item]}))
                .await;
        assert_eq!((&told["code"], &told["at"]), (&json!(code), &json!(at)), "{told}");
        assert!(
            hint.is_empty() || told["hint"].as_str().unwrap_or_default().contains(hint),
            "{told}"
        );
    }
    let one = json!({"table": "bill", "columns": [{"sum": "account.id", "as": "x"}]});
    let told = error(&engine, "analyst", "select", one).await;
    assert!(told["hint"].as_str().unwrap().contains("\"account.…\""), "{told}");
    let condition = json!({"table": "account", "where": {"bill": {"sum": {"amount": {"gt": 1}}}}});
    let told = error(&engine, "analyst", "select", condition).await;
    assert!(
        told["hint"].as_str().unwrap().contains("{\"compute\": {\"sum\": \"bill.…\""),
        "{told}"
    );
    let written = json!({"table": "account", "where": {"id": 1}, "updates": {"id": {"$compute": {"count": "bill"}}}});
    let told = error(&engine, "admin", "update", written).await;
    assert_eq!(
        (&told["code"], &told["at"]),
        (&json!("invalid_value"), &json!("/updates/id/$compute"))
    );
}

/// Conditions are evaluated in any order: no total may fail, whatever the values of rows are that the caller does not see.
#[tokio::test]
async fn totals_do_not_fail() {
    let database = Database::of(FIXTURE).await;
    database
        .sql("INSERT INTO bill (id, account_id, amount, rate) VALUES
            (101, 2, ('1' || repeat('0', 131000))::numeric, 1.7e308), (102, 2, ('9' || repeat('0', 131000))::numeric, 1.7e308),
            (103, 2, 'NaN', 'NaN'), (104, 3, 'Infinity', '-Infinity'), (105, 3, '-Infinity', 'Infinity')")
        .await;
    let engine = database.engine().await;
    for function in ["sum", "avg", "min", "max"] {
        for of in [
            json!("bill.amount"),
            json!("bill.rate"),
            json!({"multiply": ["bill.amount", "bill.rate"]}),
        ] {
            let request = json!({"table": "account", "columns": ["id", {function: of, "as": "it"}],
                "where": {"compute": {function: of, "is_null": false}}, "order_by": ["-it"]});
            call(&engine, "analyst", "select", request).await.unwrap();
        }
    }
}

#[tokio::test]
async fn the_first_and_the_last_of_related_texts() {
    let database = Database::of(FIXTURE).await;
    for function in ["min", "max"] {
        let sql = format!("SELECT {function}(note) FROM bill b WHERE {LIVE}");
        agrees(&database, json!({function: "bill.note"}), &sql).await;
    }
    let engine = database.engine().await;
    let last = json!({"max": "bill.note"});
    let mut by_last = last.clone();
    by_last["direction"] = json!("desc");
    let with = |test: Value| {
        let mut condition = last.clone();
        condition.as_object_mut().unwrap().extend(test.as_object().unwrap().clone());
        json!({"table": "account", "columns": ["id"], "where": {"compute": condition}, "order_by": [by_last.clone(), "id"]})
    };
    for (test, count) in [
        (json!({"eq": "note 2"}), 3),
        (json!({"ilike": "NOTE %"}), 9),
        (json!({"lt": "note 2"}), 6),
    ] {
        let found = pages(&engine, "select", with(test.clone()), 2).await;
        assert_eq!(found.len(), count, "{test}");
    }
    let measures = json!({"m": {"max": last}, "n": {"count_distinct": last}});
    let reply =
        call(&engine, "analyst", "aggregate", json!({"table": "account", "measures": measures}))
            .await
            .unwrap();
    assert_eq!(rows(&reply)[0], json!({"m": "note 2", "n": 3}));
    for of in [
        json!({"sum": "bill.note"}),
        json!({"add": [last, 1]}),
        json!({"subtract": [{"$now": true}, last]}),
    ] {
        let mut item = of.clone();
        item["as"] = json!("it");
        let told =
            error(&engine, "analyst", "select", json!({"table": "account", "columns": [item]}))
                .await;
        assert_eq!(told["code"], "invalid_value", "{of}: {told}");
    }
}

#[tokio::test]
async fn related_texts_of_every_type_have_ends() {
    let database = Database::of(
        "CREATE DOMAIN short AS varchar(3);
         CREATE TABLE owner (id integer PRIMARY KEY);
         CREATE TABLE near (id integer PRIMARY KEY, owner_id integer REFERENCES owner, t text, v varchar(5), w varchar, n name, l \"char\", c char(3), s short);
         CREATE TABLE far (LIKE near, FOREIGN KEY (owner_id) REFERENCES owner);
         CREATE INDEX ON near (owner_id);
         INSERT INTO owner VALUES (1), (2), (3);
         INSERT INTO near SELECT i, 1 + i % 2, t, t, t, t, t, t, t FROM generate_series(1, 4) i, chr(96 + i) t;
         INSERT INTO far SELECT * FROM near;",
    )
    .await;
    let engine = database.engine().await;
    for column in ["t", "v", "w", "n", "l", "c", "s"] {
        for relation in ["near", "far"] {
            let last = json!({"max": format!("{relation}.{column}")});
            let (mut item, mut sorted) = (last.clone(), last.clone());
            item["as"] = json!("it");
            sorted["nulls"] = json!("last");
            let select =
                json!({"table": "owner", "columns": ["id", item], "order_by": [sorted, "id"]});
            let found = pages(&engine, "select", select, 1).await;
            let plain = |row: &Value| row["it"].as_str().map(|it| it.trim_end().to_owned());
            let told: Vec<_> = found.iter().map(|row| (row["id"].as_i64(), plain(row))).collect();
            let expected =
                [(Some(2), Some("c".into())), (Some(1), Some("d".into())), (Some(3), None)];
            assert_eq!(told, expected, "{relation} {column}");
            let group = json!({"table": "owner", "group_by": [item], "measures": {"n": {"count": "*"}}, "order_by": ["it"]});
            let reply = call(&engine, "analyst", "aggregate", group).await.unwrap();
            assert_eq!(rows(&reply).iter().filter_map(plain).collect::<Vec<_>>(), ["c", "d"]);
            let distinct = json!({"table": "owner", "columns": [item], "distinct": true});
            let reply = call(&engine, "analyst", "select", distinct).await.unwrap();
            assert_eq!(rows(&reply).len(), 3, "{relation} {column}");
            let mut test = last.clone();
            test["eq"] = json!("c");
            let filter = json!({"table": "owner", "columns": ["id"], "where": {"compute": test}});
            let reply = call(&engine, "analyst", "select", filter).await.unwrap();
            assert_eq!(rows(&reply), [json!({"id": 2})], "{relation} {column}");
        }
    }
}

#[tokio::test]
async fn a_total_that_begins_with_a_to_one_relation_says_where_it_is() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let item = json!({"avg": "bill.line.price", "as": "mean"});
    let told =
        error(&engine, "analyst", "select", json!({"table": "line", "columns": [item]})).await;
    assert_eq!(
        told["message"],
        "a total begins with a to-many relation of public.line, and \"bill\" is a to-one relation"
    );
    assert_eq!(
        told["hint"],
        "a select from public.bill has {\"avg\": \"line.price\"} for each of its rows"
    );
    let item = json!({"avg": "bill.amount", "as": "mean"});
    let told =
        error(&engine, "analyst", "select", json!({"table": "line", "columns": [item]})).await;
    assert_eq!(told["hint"], "the column itself: \"bill.…\"");
}

#[tokio::test]
async fn measures_of_related_rows_show_their_total() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for function in ["sum", "max"] {
        let arguments = json!({"table": "account", "measures": {"m": {function: "bill.amount"}}});
        let told = error(&engine, "analyst", "aggregate", arguments).await;
        let hint = format!("{{\"{function}\": {{\"{function}\":\"bill.amount\"}}}}");
        assert!(told["hint"].as_str().unwrap().contains(&hint), "{told}");
    }
    let share =
        json!({"share": {"divide": [{"sum": "amount"}, {"multiply": [100, {"count": "*"}]}]}});
    let told =
        error(&engine, "analyst", "aggregate", json!({"table": "bill", "measures": share})).await;
    let hint = "\"measures\": {\"m1\":{\"sum\":\"amount\"},\"m2\":{\"count\":\"*\"},\"share\":{\"divide\":[\"m1\",{\"multiply\":[100,\"m2\"]}]}}";
    assert!(told["hint"].as_str().unwrap().contains(hint), "{told}");
}
