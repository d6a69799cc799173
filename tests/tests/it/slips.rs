//! What a model gets wrong, and what it is told: the word that it meant, or the form that is right.

use mcp_pg_core::policy::Settings;
use mcp_pg_tests::{Database, call, error};
use serde_json::{Value, json};

const FIXTURE: &str = "
    CREATE TABLE customer (customer_id integer PRIMARY KEY, name text, billing_country text);
    CREATE TABLE clerk (clerk_id integer PRIMARY KEY);
    CREATE TABLE orders (order_id integer PRIMARY KEY, placed_by integer REFERENCES clerk,
        customer_id integer REFERENCES customer, total integer, tags text[], words tsvector,
        note text, placed timestamptz, details jsonb);";

/// Each call, the place of its error, and what the error suggests: a word, or a hint with these words.
async fn check(tool: &str, cases: &[(Value, &str, &str)]) {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (arguments, at, suggested) in cases {
        let mut arguments = arguments.clone();
        if arguments.get("table").is_none() && tool != "transaction" {
            arguments["table"] = json!("orders");
        }
        let told = error(&engine, "admin", tool, arguments.clone()).await;
        assert_eq!(told["at"], *at, "{arguments}: {told}");
        let hint = told["hint"].as_str().unwrap_or_default();
        let meant = told["did_you_mean"].as_str().unwrap_or_default();
        assert!(meant == *suggested || hint.contains(suggested), "{arguments}: {told}");
        // Nobody knows what Rust calls a type.
        let message = told["message"].as_str().unwrap();
        for word in ["struct", "a map", "sequence", "u64", "variant", "field"] {
            assert!(!message.contains(word), "{told}");
        }
    }
}

#[tokio::test]
async fn a_condition() {
    let at = |condition: Value| json!({"where": condition});
    check(
        "select",
        &[
            (at(json!("total > 100")), "/where", "{\"total\":{\"gt\":100}}"),
            (at(json!("total > 100 or 1")), "/where", "{\"status\": \"active\""),
            (at(json!([{"total": 1}])), "/where", "{\"and\":[{\"total\":1}]}"),
            (at(json!({"total": {">=": 1}})), "/where/total/>=", "gte"),
            (at(json!({"total": {"$nin": [1]}})), "/where/total/$nin", "not_in"),
            (at(json!({"words": {"@@": "a"}})), "/where/words/@@", "search"),
            (at(json!({"tags": {"&&": ["a"]}})), "/where/tags/&&", "overlaps"),
            (at(json!({"total": {"null": true}})), "/where/total/null", "is_null"),
            (at(json!({"total": {"between": [1, 2]}})), "/where/total/between", "\"gte\""),
            (
                at(json!({"column": "total", "op": "gt", "value": 1})),
                "/where/op",
                "{\"total\": {\"eq\": value}}",
            ),
            (at(json!({"OR": [{"total": 1}]})), "/where/OR", "or"),
            (at(json!({"or": {"total": 1, "id": 2}})), "/where/or", "[{\"status\""),
            (
                at(json!({"customer.name": "Ada"})),
                "/where/customer.name",
                "{\"customer\": {\"name\"",
            ),
            (
                at(json!({"customer": "Ada"})),
                "/where/customer",
                "{\"customer\": {\"name\": \"Ada\"}}",
            ),
            (at(json!({"customer": 4})), "/where/customer", "{\"customer_id\": 4}"),
            (
                at(json!({"customer_id": {"name": "Ada"}})),
                "/where/customer_id/name",
                "{\"customer\": {\"name\": …}}",
            ),
            (at(json!({"$and": [{"total": 1}]})), "/where/$and", "and"),
            (at(json!({"key": "total", "op": "=", "value": 1})), "/where/key", "are keys"),
            (at(json!({"not": [{"total": 1}]})), "/where/not", "{\"not\": {"),
            (
                at(json!({"details.color": "red"})),
                "/where/details.color",
                "{\"details\": {\"path\": [\"color\"], \"eq\": …}}",
            ),
            (at(json!({"details->>'a'": 1})), "/where/details->>'a'", "\"path\": [\"a\"]"),
            (
                at(json!({"billing_country": "FR"})),
                "/where/billing_country",
                "{\"customer\": {\"billing_country\": …}}",
            ),
            (
                at(json!({"total": {"gt": {"column": "order_id"}}})),
                "/where/total/gt",
                "{\"$column\": \"order_id\"}",
            ),
            (at(json!({"tags": {"any": "x"}})), "/where/tags/any", "contains"),
            (at(json!({"lower(note)": "x"})), "/where/lower(note)", "ilike"),
            (at(json!({"total": ">5"})), "/where/total", "{\"gt\": 5}"),
            (at(json!({"total": "null"})), "/where/total", "without quotes"),
            (at(json!({"total": {"in": "1,2"}})), "/where/total/in", "[1,2]"),
            (at(json!({"total": {"is": null}})), "/where/total/is", "is_null"),
            (
                at(json!({"total": {"is_not_null": true}})),
                "/where/total/is_not_null",
                "{\"is_null\": false}",
            ),
            (
                at(json!({"total": {"or": [{"eq": 1}]}})),
                "/where/total/or",
                "{\"or\": [{\"total\": {…}}",
            ),
            (at(json!({"total": {"not": 1}})), "/where/total/not", "{\"ne\": value}"),
            (at(json!({"note": {"icontains": "x"}})), "/where/note/icontains", "{\"ilike\""),
            (at(json!({"tags": "sale"})), "/where/tags", "{\"contains\": \"sale\"}"),
            (at(json!({"placed": {"year": 2024}})), "/where/placed/year", "\"lt\": \"2025-01-01\""),
            (at(json!({"placed": {"gte": "2024-01"}})), "/where/placed/gte", "2024-01-31"),
            (at(json!({"placed": {"gte": "now()"}})), "/where/placed/gte", "2024-01-31"),
            (
                at(json!({"customer": {"some": {"name": "Ada"}}})),
                "/where/customer/some",
                "takes the condition itself",
            ),
            (
                at(json!({"customer": {"country": "FR"}})),
                "/where/customer/country",
                "billing_country",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_condition_on_rows_that_are_related() {
    let of = |table: &str, condition: Value| json!({"table": table, "where": condition});
    let total = "{\"orders\": {\"some\": {\"total\": …}}}";
    check(
        "select",
        &[
            (of("customer", json!({"orders.total": 1})), "/where/orders.total", total),
            (of("customer", json!({"orders": {"total": 1}})), "/where/orders/total", total),
            (
                of("customer", json!({"orders": {"exists": true}})),
                "/where/orders/exists",
                "{\"orders\": {\"some\": {}}}",
            ),
            (
                of("customer", json!({"orders": {"clerk": 1}})),
                "/where/orders/clerk",
                "{\"orders\": {\"some\": {\"note\": …}}}",
            ),
            (
                of("customer", json!({"orders": {"all": {"total": 1}}})),
                "/where/orders/all",
                "{\"orders\": {\"every\": {\"total\":1}}}",
            ),
            (
                of("customer", json!({"orders": {"any": {"total": 1}}})),
                "/where/orders/any",
                "{\"orders\": {\"some\": {\"total\":1}}}",
            ),
            (
                of("customer", json!({"orders": {"is_null": true}})),
                "/where/orders/is_null",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": null})),
                "/where/orders",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": []})),
                "/where/orders",
                "{\"orders\": {\"none\": {}}}",
            ),
            (
                of("customer", json!({"orders": {"none": true}})),
                "/where/orders/none",
                "{\"none\": {}}",
            ),
            (
                of("orders", json!({"customer": {"is_null": true}})),
                "/where/customer/is_null",
                "{\"customer\": null}",
            ),
            (
                of("clerk", json!({"orders.customer.name": 1})),
                "/where/orders.customer.name",
                "{\"orders\": {\"some\": {\"customer\": {\"name\": …}}}}",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_name_of_an_argument() {
    let with = |member: &str| {
        let mut arguments = json!({"table": "orders"});
        arguments[member] = json!("x");
        arguments
    };
    for (tool, member, meant) in [
        ("select", "filter", "where"),
        ("select", "projection", "columns"),
        ("select", "sort", "order_by"),
        ("select", "page_size", "limit"),
        ("select", "joins", "include"),
        ("select", "group_by", "the tool aggregate"),
        ("select", "sql", "there is no SQL"),
        ("select", "schema", "\"schema.name\""),
        ("aggregate", "metrics", "measures"),
        ("insert", "values", "data"),
        ("update", "set", "updates"),
        ("update", "limit", "max_rows"),
    ] {
        check(tool, &[(with(member), &format!("/{member}"), meant)]).await;
    }
    let engine = Database::of(FIXTURE).await.engine().await;
    let told = error(&engine, "admin", "select", json!({"table_name": "orders"})).await;
    assert_eq!(told["did_you_mean"], "table");
}

#[tokio::test]
async fn a_table_of_another_schema_or_in_quotes() {
    let database =
        Database::of("CREATE SCHEMA crm; CREATE TABLE crm.\"Users\" (id integer);").await;
    let settings = Settings { schemas: vec!["public".into(), "crm".into()], ..Settings::default() };
    let engine = database.engine_with(settings).await;
    for given in ["users", "user", "\"Users\"", "sales.Users"] {
        let told = error(&engine, "admin", "select", json!({"table": given})).await;
        assert_eq!(told["did_you_mean"], "crm.Users", "{told}");
    }
}

#[tokio::test]
async fn an_operator_of_other_types_was_not_mistyped() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let arguments = json!({"table": "orders", "where": {"total": {"like": "1%"}}});
    let told = error(&engine, "admin", "select", arguments).await;
    assert_eq!((&told["code"], told.get("did_you_mean")), (&json!("unknown_operator"), None));
}

#[tokio::test]
async fn what_is_wanted_of_the_rows() {
    check(
        "select",
        &[
            (
                json!({"include": {"customer": ["name"]}}),
                "/include/customer",
                "{\"columns\": [\"name\"]}",
            ),
            (json!({"include": ["customers"]}), "/include/customers", "customer"),
            (
                json!({"table": "customer", "include": {"orders.clerk": true}}),
                "/include/orders.clerk",
                "{\"orders\": {\"include\": {\"clerk\": true}}}",
            ),
            (json!({"include": [{"customer": true}]}), "/include", "{\"customer\": true"),
            (
                json!({"table": "customer", "include": {"orders": {"count": true, "limit": 3}}}),
                "/include/orders/limit",
                "leave out count",
            ),
            (json!({"cursor": "x", "offset": 5}), "/offset", "leave out offset"),
            (json!({"include": {"public.customer": true}}), "/include/public.customer", "customer"),
            (json!({"columns": "total,tags"}), "/columns/0", "[\"id\", \"name\"]"),
            (json!({"columns": ["count(*)"]}), "/columns/0", "the tool aggregate"),
            (json!({"columns": ["total * (1 - 0.2)"]}), "/columns/0", "{\"multiply\""),
            (json!({"columns": ["customer"]}), "/columns/0", "\"include\": {\"customer\": true}"),
            (
                json!({"columns": ["billing_country"]}),
                "/columns/0",
                "{\"columns\": [\"billing_country\"]}",
            ),
            (
                json!({"order_by": ["-billing_country"]}),
                "/order_by/0",
                "\"customer.billing_country\"",
            ),
            (json!({"columns": ["total as n"]}), "/columns/0", "total"),
            (json!({"columns": ["orders.total"]}), "/columns/0", "total"),
            (json!({"order_by": ["total desc"]}), "/order_by/0", "-total"),
            (json!({"order_by": "total:DESC"}), "/order_by/0", "-total"),
            (json!({"order_by": "total.desc.nullslast"}), "/order_by/0", "-total"),
            (json!({"order_by": ["customer.name asc"]}), "/order_by/0", "customer.name"),
            (json!({"order_by": "total desc, tags"}), "/order_by/0", "one key each"),
            (json!({"order_by": [{"total": "desc"}]}), "/order_by/0/total", "\"-name\""),
            (json!({"limit": -1}), "/limit", "Most rows"),
            (json!({"count": "exactly"}), "/count", "exact"),
            (json!({"count": true}), "/count", "\"exact\" also counts"),
        ],
    )
    .await;
}

#[tokio::test]
async fn a_total() {
    let by = |more: Value| {
        let mut arguments =
            json!({"measures": {"sold": {"sum": "total"}}, "group_by": ["customer_id"]});
        arguments.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        arguments
    };
    check(
        "aggregate",
        &[
            (json!({}), "/measures", "{\"n\": {\"count\""),
            (json!({"measures": ["total"]}), "/measures", "{\"n\": {\"count\""),
            (
                by(json!({"group_by": ["details.kind"]})),
                "/group_by/0",
                "{\"column\": \"details\", \"path\": [\"kind\"]}",
            ),
            (json!({"measures": {"count": "*"}}), "/measures/count", "{\"n\": {\"count\": \"*\"}}"),
            (
                json!({"measures": {"n": {"fn": "sum"}}}),
                "/measures/n/fn",
                "the function is the key",
            ),
            (json!({"measures": {"n": {"sum": "total*2"}}}), "/measures/n/sum", "{\"multiply\""),
            (
                json!({"measures": {"n": {"sum": "round(total)"}}}),
                "/measures/n/sum",
                "no functions",
            ),
            (
                by(json!({"group_by": ["billing_country"]})),
                "/group_by/0",
                "\"customer.billing_country\"",
            ),
            (json!({"measures": {"n": {"mean": "total"}}}), "/measures/n/mean", "avg"),
            (
                by(json!({"group_by": ["date_trunc('month', placed)"]})),
                "/group_by/0",
                "{\"column\": \"placed\", \"bucket\": \"month\"}",
            ),
            (
                by(json!({"group_by": [{"column": "placed", "interval": "day"}]})),
                "/group_by/0/interval",
                "bucket",
            ),
            (by(json!({"measures": {"n": {"sum": "*"}}})), "/measures/n/sum", "{\"count\": \"*\"}"),
            (
                json!({"measures": {"n": {"count": "*", "as": "k"}}}),
                "/measures/n/as",
                "its name is the key",
            ),
            (
                json!({"table": "customer", "measures": {"n": {"count": "orders"}}}),
                "/measures/n/count",
                "\"include\": {\"orders\": {\"count\": true}}",
            ),
            (
                json!({"measures": {"n": {"count": "customer"}}}),
                "/measures/n/count",
                "\"customer.…\"",
            ),
            (by(json!({"group_by": ["customer.country"]})), "/group_by/0", "billing_country"),
            (
                by(json!({"table": "customer", "measures": {"n": {"sum": "orders.total"}}})),
                "/measures/n/sum",
                "begin at public.orders",
            ),
        ],
    )
    .await;
    // The table has the column; the groups and measures do not.
    let engine = Database::of(FIXTURE).await.engine().await;
    let mut arguments = by(json!({"having": {"total": {"gt": 1}}}));
    arguments["table"] = json!("orders");
    let told = error(&engine, "admin", "aggregate", arguments).await;
    assert_eq!(told["message"], "the reply has no column \"total\"");
    assert_eq!(told["allowed"], json!(["customer_id", "sold"]));
}

#[tokio::test]
async fn a_write() {
    let row = json!({"order_id": 1});
    check(
        "insert",
        &[
            (json!({"data": row, "on_conflict": "update"}), "/on_conflict", "\"do\": \"update\""),
            (
                json!({"data": row, "on_conflict": {"columns": ["order_id"], "do": "updates"}}),
                "/on_conflict/do",
                "update",
            ),
        ],
    )
    .await;
    check("update", &[(json!({"where": {"order_id": 1}}), "/updates", "{\"$increment\": 1}")])
        .await;
    let inside = json!({"where": {"order_id": 1}, "updates": {"details.ui.dark": true}});
    check("update", &[(inside, "/updates/details.ui.dark", "{\"path\": [\"ui\", \"dark\"]")]).await;
    let children =
        json!({"table": "customer", "data": {"customer_id": 1, "orders": [{"order_id": 1}]}});
    check("insert", &[(children, "/data/orders", "a transaction does both")]).await;
    let change = |updates: Value| json!({"where": {"order_id": 1}, "updates": updates});
    check(
        "update",
        &[
            (change(json!({"total": "total + 1"})), "/updates/total", "{\"$increment\": 1}"),
            (change(json!({"total": {"increment": 1}})), "/updates/total", "{\"$increment\": 1}"),
            (change(json!({"total": {"$inc": 1}})), "/updates/total/$inc", "$increment"),
            (change(json!({"total": {"$decrement": 1}})), "/updates/total/$decrement", "-1"),
            (
                change(json!({"details": {"$merge": {"a": 1}, "x": 1}})),
                "/updates/details",
                "{\"$literal\": {…}}",
            ),
            (change(json!({"tags": {"$push": "x"}})), "/updates/tags/$push", "$append"),
            (change(json!({"$set": {"total": 1}})), "/updates/$set", "columns stand here"),
            (change(json!({"details.a": 1})), "/updates/details.a", "{\"$merge\": {\"a\": …}}"),
        ],
    )
    .await;
}

#[tokio::test]
async fn an_operation() {
    let of = |operation: Value| json!({"operations": [operation]});
    let referring = |reference: Value| {
        json!({"operations": [
            {"operation": "insert", "as": "new", "table": "clerk", "data": {"clerk_id": 1}},
            {"operation": "insert", "table": "orders", "data": {"order_id": 1, "placed_by": reference}}]})
    };
    let place = "/operations/1/data/placed_by";
    let mut cases = vec![
        (of(json!({"operation": "updat", "table": "orders"})), "/operations/0/operation", "update"),
        (of(json!({"op": "insert"})), "/operations/0/operation", "{\"operation\": \"insert\""),
        (
            of(json!({"operation": "insert", "table": "clerk", "data": {}, "id": "x"})),
            "/operations/0/id",
            "as",
        ),
        (of(json!({"operation": "insert", "args": {}})), "/operations/0/args", "stand here"),
        (referring(json!("{{new.clerk_id}}")), place, "{\"$ref\": \"name.column\"}"),
    ];
    let within = format!("{place}/$ref");
    for (given, meant) in [
        ("$new.clerk_id", "new.clerk_id"),
        ("{{new.clerk_id}}", "new.clerk_id"),
        ("operations[0].clerk_id", "0.clerk_id"),
        ("new.rows[0].clerk_id", "new.0.clerk_id"),
    ] {
        cases.push((referring(json!({"$ref": given})), &within, meant));
    }
    check("transaction", &cases).await;
}

#[tokio::test]
async fn a_condition_in_sql_is_told_as_json() {
    let engine = Database::shop().await.engine().await;
    for (tool, mut arguments) in [
        ("select", json!({"table": "users"})),
        ("aggregate", json!({"table": "users", "measures": {"n": {"count": "*"}}})),
        ("update", json!({"table": "users", "updates": {"name": "x"}})),
        ("archive", json!({"table": "users"})),
    ] {
        for (text, meant) in [
            ("user_id = 1", r#""where": {"user_id":1}"#),
            (
                "status = 'active' AND user_id > 3",
                r#""where": {"status":"active","user_id":{"gt":3}}"#,
            ),
            ("user_id = 1 OR 1 = 1", "Conditions"),
        ] {
            arguments["where"] = json!(text);
            let told = error(&engine, "operator", tool, arguments.clone()).await;
            assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!("/where")));
            assert!(told["hint"].as_str().unwrap().contains(meant), "{tool} {text}: {told}");
        }
    }
}

/// Relations of which nothing but the names is said are included whole.
#[tokio::test]
async fn relations_in_a_list() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let select = |include: Value| json!({"table": "customer", "include": include});
    let whole = call(&engine, "admin", "select", select(json!({"orders": true}))).await.unwrap();
    for listed in [json!(["orders"]), json!("orders")] {
        let told = call(&engine, "admin", "select", select(listed)).await.unwrap();
        assert_eq!(told, whole);
    }
    let nested = select(json!({"orders": {"include": ["clerk"]}}));
    call(&engine, "admin", "select", nested).await.unwrap();
    let none = call(&engine, "admin", "select", select(json!([]))).await.unwrap();
    assert_eq!(none, call(&engine, "admin", "select", json!({"table": "customer"})).await.unwrap());
}
