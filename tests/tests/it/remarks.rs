//! Notes on conditions that leave out rows without a value, and on values that no row can have. They do not depend on what is
//! found.

use mcp_pg_tests::{Database, call};
use serde_json::{Value, json};

const PAYMENTS: &str = "
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text,
        state varchar(20) CHECK (state IN ('draft', 'it''s', 'Sale')), kind text CHECK (kind = 'x') CHECK (kind <> ''),
        code char(3) CHECK (code IN ('A', 'BCD')), free text CHECK (free IN ('a') OR free IS NULL));
    CREATE TABLE payment (id integer PRIMARY KEY, customer_id integer REFERENCES customer, failure text, amount integer,
        meta jsonb, at timestamptz);
    CREATE TABLE refund (id integer PRIMARY KEY, payment_id integer REFERENCES payment);
    INSERT INTO customer VALUES (1, 'Ada', 'draft', NULL, 'A', NULL), (2, NULL, NULL, 'x', NULL, 'a');
    INSERT INTO payment (id, customer_id, failure, amount, meta) VALUES (1, 1, 'declined', 5, '{\"a\": 1}'), (2, 2, NULL, 6, NULL), (3, 1, 'lost', NULL, NULL);";

async fn notes(tool: &str, arguments: Value) -> Vec<String> {
    let engine = Database::of(PAYMENTS).await.engine().await;
    let reply = call(&engine, "admin", tool, arguments.clone()).await.unwrap();
    let notes = reply["notes"].as_array().cloned().unwrap_or_default();
    notes.iter().map(|note| note.as_str().unwrap().to_owned()).collect()
}

/// What is computed from a column without a value has none.
#[tokio::test]
async fn rows_without_a_value_count_for_nothing() {
    let net = json!({"multiply": ["customer_id", {"subtract": [10, "amount"]}]});
    let measured = |more: Value| {
        let mut request = json!({"table": "payment", "measures": {"net": {"sum": net}}});
        request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        request
    };
    let measure = |name: &str| {
        format!(
            "rows where {name} is null are left out of net: a measure with \"where\": {{\"{name}\": null}} is about them"
        )
    };
    let condition = json!({"compute": {"add": ["id", "amount"], "gt": 0}});
    let select = |condition: &Value| json!({"table": "payment", "where": condition});
    let total =
        json!({"table": "customer", "columns": ["name", {"sum": "payment.amount", "as": "one"}]});
    for (tool, request, expected) in [
        ("aggregate", measured(json!({})), vec![measure("customer_id"), measure("amount")]),
        // Whoever tests the column knows it.
        ("aggregate", measured(json!({"where": {"amount": {"gt": 0}}})), vec![measure("customer_id")]),
        ("aggregate", json!({"table": "payment", "measures": {"n": {"sum": {"multiply": ["amount", 2]}}}}), Vec::new()),
        ("aggregate", json!({"table": "payment", "measures": {"n": {"sum": "amount"}}}), Vec::new()),
        (
            "select",
            select(&condition),
            vec!["rows where amount is null are left out: {\"or\": [{…}, {\"amount\": null}]} takes them, too".to_owned()],
        ),
        ("select", select(&json!({"or": [condition, {"amount": null}]})), Vec::new()),
        ("select", json!({"table": "payment", "columns": ["id", {"add": ["id", "amount"], "as": "x"}]}), Vec::new()),
        ("select", total, Vec::new()),
    ] {
        assert_eq!(notes(tool, request.clone()).await, expected, "{tool} {request}");
    }
}

#[tokio::test]
async fn rows_without_a_value_are_left_out() {
    let is_distinct = "rows where failure is null are left out: {\"failure\": {\"is_distinct_from\": …}} takes them, too";
    let negated = "rows where failure is null are left out: {\"or\": [{\"not\": {…}}, {\"failure\": null}]} takes them, too";
    let member = "rows without this member of meta are left out: {\"meta\": {\"path\": […], \"is_distinct_from\": …}} takes them, too";
    for (condition, expected) in [
        (json!({"failure": {"ne": "declined"}}), Some(is_distinct)),
        (
            json!({"or": [{"failure": {"ne": "declined"}}, {"failure": {"ne": "lost"}}]}),
            Some(is_distinct),
        ),
        (
            json!({"failure": {"not_in": ["lost"]}}),
            Some("{\"failure\": {\"not_in\": […]}}, {\"failure\": null}"),
        ),
        (json!({"not": {"failure": "lost"}}), Some(negated)),
        (json!({"not": {"or": [{"failure": {"like": "l%"}}, {"id": 3}]}}), Some(negated)),
        (json!({"meta": {"path": ["a"], "ne": 2}}), Some(member)),
        (json!({"not": {"meta": {"path": ["a"], "eq": 2}}}), Some("without this member of meta")),
        (json!({"customer": {"name": {"ne": "Bob"}}}), Some("rows where name is null")),
        (json!({"or": [{"failure": {"ne": "lost"}}, {"failure": null}]}), None),
        (json!({"failure": {"ne": "lost", "is_null": false}}), None),
        (json!({"not": {"failure": {"ne": "lost"}}}), None),
        (json!({"not": {"failure": null}}), None),
        (json!({"failure": {"is_distinct_from": "lost"}}), None),
        (json!({"failure": "lost"}), None),
        (json!({"id": {"ne": 7}}), None),
    ] {
        let select = json!({"table": "payment", "where": condition});
        let mut count = select.clone();
        count["measures"] = json!({"n": {"count": "*"}});
        let mut update = select.clone();
        update["updates"] = json!({"amount": 1});
        update["max_rows"] = json!(9);
        let mut delete = select.clone();
        delete["max_rows"] = json!(9);
        for (tool, arguments) in
            [("select", &select), ("aggregate", &count), ("update", &update), ("delete", &delete)]
        {
            let told = notes(tool, arguments.clone()).await;
            assert_eq!(told.len(), usize::from(expected.is_some()), "{arguments}: {told:?}");
            assert!(told.concat().contains(expected.unwrap_or_default()), "{arguments}: {told:?}");
        }
    }
    let measures = json!({"n": {"count": "*", "where": {"failure": {"ne": "x"}}}, "m": {"count": "*", "where": {"amount": {"not_in": [1]}}}});
    let told = notes("aggregate", json!({"table": "payment", "measures": measures})).await;
    assert_eq!(told.len(), 2, "{told:?}");
    let include = json!({"payment": {"where": {"failure": {"ne": "x"}}}});
    let told = notes("select", json!({"table": "customer", "include": include})).await;
    assert_eq!(told, [is_distinct]);
    let page = json!({"table": "payment", "where": {"failure": {"ne": "x"}}, "offset": 1});
    assert_eq!(notes("select", page).await, Vec::<String>::new());
}

#[tokio::test]
async fn conditions_of_totals_are_told_of_wherever_they_stand() {
    let nulls = json!({"failure": {"ne": "x"}});
    let unknown = json!({"state": "confirmed"});
    let day = json!({"at": {"lte": "2024-01-31"}});
    let of_customers = |of: Value, part: &str| match part {
        "columns" => {
            json!({"table": "customer", "columns": ["name", {"count": "payment", "where": of, "as": "n"}]})
        }
        "order_by" => {
            json!({"table": "customer", "order_by": [{"sum": "payment.amount", "where": of}]})
        }
        "where" => {
            json!({"table": "customer", "where": {"compute": {"sum": "payment.amount", "where": of, "gt": 5}}})
        }
        "count" => {
            json!({"table": "customer", "where": {"payment": {"count": {"gt": 0}, "where": of}}})
        }
        "nested" => {
            json!({"table": "customer", "columns": [{"max": {"add": ["payment.amount", {"count": "payment.refund", "where": {"payment": of}}]}, "as": "n"}]})
        }
        "include" => {
            json!({"table": "payment", "include": {"customer": {"columns": [{"divide": [{"count": "payment", "where": of}, 2], "as": "n"}]}}})
        }
        _ => {
            json!({"table": "customer", "group_by": ["kind"], "measures": {"n": {"sum": {"count": "payment", "where": of}}}})
        }
    };
    for part in ["columns", "order_by", "where", "count", "nested", "include", "measures"] {
        let tool = if part == "measures" { "aggregate" } else { "select" };
        for (of, note) in [
            (nulls.clone(), "rows where failure is null are left out"),
            (json!({"customer": unknown}), "state is never \"confirmed\""),
            (day.clone(), "at has a time of day, and was compared with midnight"),
        ] {
            let arguments = of_customers(of, part);
            let told = notes(tool, arguments.clone()).await;
            let fitting = told.iter().filter(|told| told.starts_with(note));
            assert_eq!(fitting.count(), 1, "{arguments}: {told:?}");
        }
    }
    // What is said once is not said again.
    let total = json!({"count": "payment", "where": {"customer": unknown}});
    let mut shown = total.clone();
    shown["as"] = json!("n");
    let told =
        notes("select", json!({"table": "customer", "columns": [shown], "order_by": [total]}))
            .await;
    assert_eq!(told.len(), 1, "{told:?}");
}

#[tokio::test]
async fn values_that_a_check_does_not_list() {
    let states = "it is one of draft, it's, Sale";
    for (condition, expected) in [
        (
            json!({"state": "confirmed"}),
            Some("state is never \"confirmed\": it is one of draft, it's, Sale"),
        ),
        (json!({"state": "sale"}), Some(states)),
        (
            json!({"state": {"in": ["confirmed", "draft", "a,\"b"]}}),
            Some("state is never \"confirmed\" or \"a,\\\"b\""),
        ),
        (json!({"kind": "y"}), Some("it is one of x")),
        (json!({"code": "B"}), Some("it is one of A, BCD")),
        (json!({"or": [{"customer_id": 1}, {"state": "no"}]}), Some(states)),
        (json!({"state": {"in": ["draft", "it's"]}}), None),
        (json!({"code": "A"}), None),
        (json!({"code": "A  "}), None),
        (json!({"state": null}), None),
        (json!({"free": "a"}), None),
        (json!({"customer_id": 1}), None),
    ] {
        let select = json!({"table": "customer", "where": condition});
        let update = json!({"table": "customer", "where": condition, "updates": {"name": "x"}});
        for (tool, arguments) in [("select", &select), ("update", &update)] {
            let mut told = notes(tool, arguments.clone()).await;
            told.retain(|note| {
                note != "no row matches where" && !note.contains("without % matches")
            });
            assert_eq!(told.len(), usize::from(expected.is_some()), "{arguments}: {told:?}");
            assert!(told.concat().contains(expected.unwrap_or_default()), "{arguments}: {told:?}");
        }
    }
    let told =
        notes("select", json!({"table": "customer", "where": {"state": {"ne": "sent"}}})).await;
    assert!(told.len() == 2 && told.concat().contains(states), "{told:?}");
    let told =
        notes("select", json!({"table": "payment", "where": {"customer": {"state": "sent"}}}))
            .await;
    assert!(told.len() == 1 && told.concat().contains(states), "{told:?}");
}

#[tokio::test]
async fn letter_case_is_told_of_where_nothing_else_is_tested() {
    let of_name =
        "name was compared case-sensitively: {\"name\": {\"ilike\": \"ada\"}} ignores case";
    for (condition, expected) in [
        (json!({"name": "ada"}), vec![of_name]),
        (json!({"and": [{"name": "ada"}]}), vec![of_name]),
        (json!({"name": {"in": ["1", "ada", "bob"]}}), vec![of_name]),
        (json!({"name": {"in": ["1"]}}), vec![]),
        (json!({"name": "ada", "customer_id": 1}), vec![]),
        (json!({"or": [{"name": "ada"}, {"customer_id": 7}]}), vec![]),
        (
            json!({"payment": {"some": {"failure": "Lost"}}}),
            vec![
                "failure was compared case-sensitively: {\"failure\": {\"ilike\": \"Lost\"}} ignores case",
            ],
        ),
    ] {
        let select = json!({"table": "customer", "where": condition});
        assert_eq!(notes("select", select).await, expected, "{condition}");
        let update = json!({"table": "customer", "where": condition, "updates": {"kind": "x"}});
        let expected = if expected.is_empty() { vec!["no row matches where"] } else { expected };
        assert_eq!(notes("update", update).await, expected, "{condition}");
    }
}

#[tokio::test]
async fn patterns_match_the_blanks_of_char() {
    let padded = "code is filled up with blanks to its length, which patterns must match: contains and ends_with ignore them";
    for (condition, expected) in [
        (json!({"like": "%Z"}), vec![padded]),
        (json!({"imatches": "z$"}), vec![padded]),
        (
            json!({"like": "Z%"}),
            vec![
                "code was compared case-sensitively: {\"code\": {\"ilike\": \"Z%\"}} ignores case",
            ],
        ),
        (json!({"ends_with": "9"}), vec![]),
    ] {
        let select = json!({"table": "customer", "where": {"code": condition}});
        assert_eq!(notes("select", select).await, expected, "{condition}");
    }
}
