//! One column of a row beside another.

use mcp_pg_core::policy::{Action, Grant, Mask, Role};
use mcp_pg_core::{Principal, Settings};
use mcp_pg_tests::{Database, call, call_as, error, refused, rows};
use serde_json::json;

use super::{FIXTURE, check};

#[tokio::test]
async fn columns_of_one_type_and_numbers_compare() {
    let other = |name: &str| json!({"$column": name});
    check(
        "values",
        "id",
        &[
            (json!({"id": {"gt": other("number")}}), "id > number"),
            (json!({"id": other("number")}), "id = number"),
            (json!({"id": {"ne": other("number")}}), "id <> number"),
            (json!({"id": {"is_distinct_from": other("number")}}), "id IS DISTINCT FROM number"),
            (
                json!({"id": {"gte": other("number"), "lt": 4, "lte": other("eq")}}),
                "id >= number AND id < 4 AND id <= eq",
            ),
            (json!({"amount": {"gt": other("number")}}), "amount > number"),
            (json!({"amount": {"lte": other("ratio")}}), "amount <= ratio"),
            (json!({"tag": {"lt": other("words")}}), "tag < words"),
            (json!({"column": "column", "gt": other("tag")}), "\"column\" > tag"),
            // Texts of whatever type.
            (json!({"words": {"ne": other("label")}}), "words <> label"),
            (json!({"label": {"lt": other("words")}}), "label < words"),
            (
                json!({"code": {"is_distinct_from": other("label")}}),
                "code::text IS DISTINCT FROM label",
            ),
            (json!({"tag": {"gte": other("code")}}), "tag >= code::text"),
            (json!({"column": other("letter")}), "\"column\" = letter::text"),
            // What ranges and arrays hold.
            (json!({"span": {"contains": other("number")}}), "span @> number"),
            (
                json!({"span": {"contains": other("id"), "overlaps": other("span")}}),
                "span @> id AND span && span",
            ),
            (json!({"spans": {"contains": other("number")}}), "spans @> number"),
            (json!({"spans": {"contains": other("span")}}), "spans @> span"),
            (json!({"days": {"contains": other("day")}}), "days @> day"),
            (json!({"days": {"contained_by": other("days")}}), "days <@ days"),
            (json!({"list": {"contains": other("list")}}), "list @> list"),
            (json!({"spot": other("spot")}), "spot = spot"),
            (json!({"list": {"ne": other("list")}}), "list <> list"),
            (json!({"not": {"id": {"gt": other("number")}}}), "NOT id > number"),
            (
                json!({"or": [{"number": other("id")}, {"mood": other("mood"), "id": 4}]}),
                "number = id OR mood = mood AND id = 4",
            ),
            // JSON may hold such an object.
            (
                json!({"doc": {"eq": {"$literal": {"$column": "plain"}}}}),
                "doc = '{\"$column\": \"plain\"}'",
            ),
        ],
    )
    .await;
    check(
        "customer",
        "customer_id",
        &[(
            json!({"orders": {"some": {"total": {"gt": other("order_id")}}}, "archived_at": null}),
            "archived_at IS NULL AND EXISTS (SELECT FROM orders o WHERE o.customer_id = t.customer_id
             AND o.total > o.order_id AND o.archived_at IS NULL)",
        )],
    )
    .await;
}

#[tokio::test]
async fn measures_compare_too() {
    let engine = Database::of(FIXTURE).await.engine().await;
    let arguments = json!({"table": "orders", "group_by": ["customer_id"], "order_by": ["customer_id"],
        "measures": {"n": {"count": "*"}, "known": {"count": "total"}},
        "having": {"n": {"gt": {"$column": "known"}}}});
    let reply = call(&engine, "analyst", "aggregate", arguments).await.unwrap();
    assert_eq!(rows(&reply), [json!({"customer_id": 2, "n": 2, "known": 1})]);
}

#[tokio::test]
async fn columns_that_do_not_compare_are_refused() {
    let engine = Database::of(FIXTURE).await.engine().await;
    for (condition, code, at) in [
        (json!({"id": {"gt": {"$column": "words"}}}), "invalid_value", "/id/gt/$column"),
        (json!({"day": {"gt": {"$column": "words"}}}), "invalid_value", "/day/gt/$column"),
        (json!({"dot": {"$column": "dot"}}), "invalid_value", "/dot/$column"),
        (json!({"id": {"$column": "nothing"}}), "unknown_column", "/id/$column"),
        (json!({"id": {"$column": 1}}), "invalid_value", "/id/$column"),
        (json!({"id": {"$column": "or_id.id"}}), "unknown_relation", "/id/$column"),
        (json!({"words": {"like": {"$column": "tag"}}}), "unknown_operator", "/words/like"),
        (json!({"id": {"in": [{"$column": "words"}]}}), "invalid_value", "/id/in/0/$column"),
        (json!({"host": {"contains": {"$column": "net"}}}), "unknown_operator", "/host/contains"),
        (
            json!({"days": {"contains": {"$column": "moment"}}}),
            "invalid_value",
            "/days/contains/$column",
        ),
        (
            json!({"list": {"contains": {"$column": "id"}}}),
            "invalid_value",
            "/list/contains/$column",
        ),
    ] {
        let arguments = json!({"table": "values", "where": condition});
        let (found, place) = refused(&engine, "select", arguments).await;
        assert_eq!((found.as_str(), place), (code, format!("/where{at}")), "{condition}");
    }
    let told = |condition| {
        let arguments = json!({"table": "values", "where": condition});
        error(&engine, "analyst", "select", arguments)
    };
    let days = told(json!({"words": {"gt": {"$column": "day"}}})).await;
    assert_eq!(days["allowed"], json!(["tag", "code", "letter", "label", "column"]), "{days}");
    let like = told(json!({"words": {"like": {"$column": "tag"}}})).await;
    assert_eq!(like["message"], "like takes a value, and no other column", "{like}");
    let within = told(json!({"day": {"lt": {"$column": "days"}}})).await;
    assert_eq!(within["hint"], r#"{"days": {"contains": {"$column": "day"}}}"#, "{within}");
    let spelled = told(json!({"id": {"gt": {"column": "number"}}})).await;
    assert!(spelled["hint"].as_str().unwrap().contains(r#"{"$column": "number"}"#), "{spelled}");
}

#[tokio::test]
async fn a_column_that_is_hidden_or_masked_does_not_compare() {
    let database = Database::of(FIXTURE).await;
    let mut grant = Grant {
        tables: vec!["*".to_owned()],
        actions: [Action::Select].into_iter().collect(),
        ..Grant::default()
    };
    grant.columns.exclude = vec!["tag".to_owned()];
    grant.columns.mask.insert("column".to_owned(), Mask::Full);
    let role = Role { name: "reader".to_owned(), grants: vec![grant], ..Role::default() };
    let settings =
        Settings { roles: vec![role], default_role: "reader".to_owned(), ..Settings::default() };
    let engine = database.engine_with(settings).await;
    let reader = Principal::new("someone", "reader");
    for (condition, code) in [
        (json!({"words": {"gt": {"$column": "tag"}}}), "unknown_column"),
        (json!({"words": {"gt": {"$column": "column"}}}), "forbidden"),
        (json!({"words": {"gt": {"$column": "day"}}}), "invalid_value"),
    ] {
        let arguments = json!({"table": "values", "where": condition});
        let error = call_as(&engine, &reader, "select", arguments).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{condition}: {error}");
        let allowed = error.get_allowed();
        assert!(!allowed.iter().any(|name| name == "tag"), "{allowed:?}");
        assert!(code != "invalid_value" || !allowed.contains(&"column".to_owned()), "{allowed:?}");
    }
}

/// In SQL the name may be one of the query around; here it is one of the related row.
#[tokio::test]
async fn a_column_of_related_rows_is_not_compared_with_itself() {
    let database = Database::of(
        "CREATE TABLE product (id integer PRIMARY KEY, price numeric);
         CREATE TABLE history (product_id integer REFERENCES product, seller_id integer, price numeric);
         INSERT INTO product VALUES (1, 5), (2, 5); INSERT INTO history VALUES (1, 1, 9), (2, 2, 4);",
    )
    .await;
    let engine = database.engine().await;
    let select = |condition| json!({"table": "product", "where": condition});
    let once_more =
        |price: &str| json!({"history": {"some": {"price": {"gt": {"$column": price}}}}});
    let told = error(&engine, "analyst", "select", select(once_more("price"))).await;
    let at = "/where/history/some/price/gt/$column";
    assert_eq!((&told["code"], &told["at"]), (&json!("invalid_value"), &json!(at)), "{told}");
    assert!(told["hint"].as_str().unwrap().contains("{\"$column\": \"product.price\"}"), "{told}");
    let found = call(&engine, "analyst", "select", select(once_more("product.price"))).await;
    assert_eq!(rows(&found.unwrap()), &[json!({"id": 1, "price": 5})]);
    let itself = json!({"seller_id": {"$column": "seller_id"}});
    let counted = select(json!({"history": {"count": {"gt": 0}, "where": itself}}));
    let told = error(&engine, "analyst", "select", counted).await;
    assert_eq!(told["message"], "seller_id is compared with itself, a column of public.history");
    // No column of another row has the name.
    assert!(told["hint"].as_str().unwrap().contains("cannot be reached here"), "{told}");
    let outer =
        json!({"table": "history", "where": {"product": {"price": {"lt": {"$column": "price"}}}}});
    let told = error(&engine, "analyst", "select", outer).await;
    let hint = "compare them in the outer row: {\"price\": {\"$column\": \"product.price\"}}";
    assert_eq!(told["hint"], hint, "{told}");
    // The outermost row is of the same table, and no way leads to it.
    let price = json!({"some": {"price": {"ne": {"$column": "price"}}}});
    let twice = json!({"table": "history", "where": {"product": {"history": price}}});
    let told = error(&engine, "analyst", "select", twice).await;
    let hint = told["hint"].as_str().unwrap();
    assert!(hint.contains("cannot be reached here") && !hint.contains("product.price"), "{told}");
    let beyond = json!({"seller_id": {"eq": {"$column": "product.history.seller_id"}}});
    let told =
        error(&engine, "analyst", "select", json!({"table": "history", "where": beyond})).await;
    assert!(!told["hint"].as_str().unwrap().contains("begin at"), "{told}");
}
