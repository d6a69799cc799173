//! Unusual catalogues: whatever is listed can be described and read, with any login.

use mcp_pg_core::{Engine, Principal, Settings};
use mcp_pg_tests::{Database, call, refused, rows};
use serde_json::{Value, json};

const TORTURE: &str = include_str!("../../fixtures/torture.sql");
const EXTENSIONS: &str = include_str!("../../fixtures/extensions.sql");

/// Most bytes that one description may have.
const DESCRIPTION_MOST: usize = 64 * 1024;

async fn torture() -> Database {
    let logins = "ALTER ROLE torture_reader LOGIN; ALTER ROLE torture_owner LOGIN;";
    Database::of(&format!("{TORTURE}{logins}")).await
}

fn schemas() -> Settings {
    Settings { schemas: vec!["public".into(), "Odd Schéma.1".into()], ..Settings::default() }
}

/// An engine whose login is another role of the database.
async fn engine_as(database: &Database, login: &str) -> Engine {
    let mut config = database.config.clone();
    config.user(login);
    Engine::connect(config, schemas()).await.unwrap()
}

/// Names of all tables, as `list_tables` gives them.
async fn listed(engine: &Engine, role: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut arguments = json!({"detail": "names"});
    loop {
        assert!(names.len() < 100_000, "the list has no end");
        let reply = call(engine, role, "list_tables", arguments.clone()).await.unwrap();
        names.extend(
            reply["tables"].as_array().unwrap().iter().map(|n| n.as_str().unwrap().to_owned()),
        );
        match &reply["next_cursor"] {
            Value::Null => return names,
            cursor => arguments["cursor"] = cursor.clone(),
        }
    }
}

/// Describes and reads every table; gives the names of those that could not be read, each with its error.
async fn unreadable(engine: &Engine, role: &str) -> Vec<(String, mcp_pg_core::Error)> {
    let mut failed = Vec::new();
    for name in listed(engine, role).await {
        let table = json!({"table": name});
        let described = call(engine, role, "describe_table", table.clone()).await.unwrap();
        let size = described.to_string().len();
        assert!(size < DESCRIPTION_MOST, "{name} is described in {size} bytes");
        assert_eq!(described["table"], json!(name));
        if described["actions"].as_array().unwrap().contains(&json!("select"))
            && let Err(error) = call(engine, role, "select", table).await
        {
            failed.push((name, error));
        }
    }
    failed
}

#[tokio::test]
async fn a_superuser_reads_everything_that_postgresql_can() {
    let database = torture().await;
    let engine = database.engine_with(schemas()).await;
    let failed = unreadable(&engine, "admin").await;
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["far_away", "never_refreshed", "recursive_view"], "{failed:?}");
    for (name, error) in &failed {
        assert_eq!(error.code().as_str(), "database_error", "{name}: {error}");
    }
    // The failing one fails when there is a row to divide by.
    database
        .sql("INSERT INTO language VALUES (1); INSERT INTO film (id, language_id) VALUES (1, 1)")
        .await;
    let error =
        call(&engine, "admin", "select", json!({"table": "failing_view"})).await.unwrap_err();
    let told = (error.code().as_str(), error.get_sqlstate());
    assert_eq!(told, ("database_error", Some("22012")), "{error}");
    let reply = call(&engine, "admin", "select", json!({"table": "film"})).await.unwrap();
    assert_eq!(rows(&reply).len(), 1);
}

#[tokio::test]
async fn logins_with_few_rights_read_what_they_may() {
    let database = torture().await;
    let engine = engine_as(&database, "torture_reader").await;
    let failed = unreadable(&engine, "admin").await;
    let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["never_refreshed"]);
    let tables = listed(&engine, "admin").await;
    for (name, seen) in [
        ("payroll", true),
        ("insert_only", true),
        ("references_only", false),
        ("secret", false),
        ("no_key", false),
        ("every_type", false),
    ] {
        assert_eq!(tables.contains(&name.to_owned()), seen, "{name}");
    }
    let payroll =
        call(&engine, "admin", "describe_table", json!({"table": "payroll"})).await.unwrap();
    let columns: Vec<&str> = payroll["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| c["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["id", "name", "manager_id", "department"]);
    let text = payroll.to_string();
    assert!(!text.contains("ssn") && !text.contains("salary"), "{text}");
    // What may be inserted only is known, and neither read nor compared.
    assert_eq!(payroll["columns"][2]["readable"], false);
    let reply = call(&engine, "admin", "select", json!({"table": "payroll"})).await.unwrap();
    assert!(rows(&reply).is_empty());
    let compared = json!({"table": "payroll", "where": {"manager_id": 1}});
    let error = call(&engine, "admin", "select", compared).await.unwrap_err();
    assert_eq!(error.code().as_str(), "forbidden");
    let insert = json!({"table": "payroll", "data": {"id": 1, "manager_id": null}});
    let reply = call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(rows(&reply), [json!({"id": 1, "name": null, "department": null})]);
    let insert = json!({"table": "insert_only", "data": {"id": 1, "line": "x"}});
    let reply = call(&engine, "admin", "insert", insert).await.unwrap();
    assert_eq!(reply["row_count"], 1);
    let described =
        call(&engine, "admin", "describe_table", json!({"table": "insert_only"})).await.unwrap();
    assert_eq!(described["actions"], json!(["insert"]));
    let relations =
        call(&engine, "admin", "describe_table", json!({"table": "payslip"})).await.unwrap();
    assert_eq!(relations.get("relations"), None, "its key leads to a column that is not seen");

    let owner = engine_as(&database, "torture_owner").await;
    assert!(unreadable(&owner, "admin").await.is_empty());
    assert_eq!(listed(&owner, "admin").await, ["rls_enabled", "rls_forced"]);
}

#[tokio::test]
async fn row_security_is_told_as_it_is_for_the_login() {
    let database = torture().await;
    database
        .sql("INSERT INTO rls_enabled VALUES (1, 'torture_owner'), (2, 'torture_reader')")
        .await;
    for (login, enabled, forced, seen) in [
        ("postgres", false, false, 2),
        ("torture_owner", false, true, 2),
        ("torture_reader", true, true, 1),
    ] {
        let engine = engine_as(&database, login).await;
        for (table, applies) in [("rls_enabled", enabled), ("rls_forced", forced)] {
            let told =
                call(&engine, "analyst", "describe_table", json!({"table": table})).await.unwrap();
            assert_eq!(told["row_security"]["applies"], applies, "{login} {table}");
            assert_eq!(told["row_security"]["forced"], table == "rls_forced");
        }
        let reply =
            call(&engine, "analyst", "select", json!({"table": "rls_enabled"})).await.unwrap();
        assert_eq!(rows(&reply).len(), seen, "{login}");
    }
}

#[tokio::test]
async fn odd_names_work_wherever_a_name_does() {
    let database = torture().await;
    let engine = database.engine_with(schemas()).await;
    let table = "Odd Schéma.1.Order \"Lines\"; DROP TABLE x";
    let described =
        call(&engine, "admin", "describe_table", json!({"table": table})).await.unwrap();
    let data = json!({
        "Id": 1, "select": "s", "a b@/\\#~_-$;": "odd", "اسم": "name", "'quoted'": "q", "%s $1 :p ?": "f",
        "__proto__": "p", "or": true, "🐘": "so-so",
    });
    let reply =
        call(&engine, "admin", "insert", json!({"table": table, "data": data})).await.unwrap();
    assert_eq!(rows(&reply), std::slice::from_ref(&data));
    for column in described["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        let select = json!({
            "table": table, "columns": [name], "order_by": [{"column": name}], "limit": 1,
            "where": {"and": [{"column": name, "eq": data[name]}, {"column": name, "in": [data[name]]}]},
        });
        let reply = call(&engine, "admin", "select", select).await.unwrap();
        assert_eq!(rows(&reply), [json!({name: data[name]})], "{name}");
        let update = json!({"table": table, "where": {"Id": 1}, "updates": {name: data[name]}});
        let reply = call(&engine, "admin", "update", update).await.unwrap();
        assert_eq!(reply["row_count"], 1, "{name}");
        let groups = json!({"table": table, "measures": {name: {"count": "*"}, "n": {"count": name}}, "group_by": [{"column": name, "as": "g"}]});
        call(&engine, "admin", "aggregate", groups).await.unwrap();
    }
    let wrong = json!({"table": table, "where": {"a b@/\\#~_-$;": {"eq": []}}});
    let error = call(&engine, "admin", "select", wrong).await.unwrap_err();
    assert_eq!(error.get_at(), Some("/where/a b@~1\\#~0_-$;/eq"));
    for name in [
        "table",
        "Odd Schéma.1.table",
        "sixty_three_bytes_of_a_name_that_goes_on_until_it_may_go_no_xxx",
        "Odd Schéma.1.person",
    ] {
        call(&engine, "admin", "select", json!({"table": name})).await.unwrap();
    }
    for name in [
        "Table",
        "\"table\"",
        "odd schéma.1.table",
        "",
        ".",
        "public.",
        "a\0b",
        "public.no_columns ",
    ] {
        let error = call(&engine, "admin", "select", json!({"table": name})).await.unwrap_err();
        assert_eq!(
            (error.code().as_str(), error.get_at()),
            ("unknown_table", Some("/table")),
            "{name}"
        );
    }
}

#[tokio::test]
async fn tables_of_every_shape_are_read_and_written() {
    let database = torture().await;
    let engine = database.engine_with(schemas()).await;
    let wide: serde_json::Map<String, Value> =
        (1..=1102).map(|n| (format!("c{n}"), json!(n))).collect();
    call(&engine, "admin", "insert", json!({"table": "very_wide", "data": wide})).await.unwrap();
    let reply = call(&engine, "admin", "select", json!({"table": "very_wide"})).await.unwrap();
    assert_eq!(rows(&reply), [Value::Object(wide)]);
    database.sql("INSERT INTO no_columns DEFAULT VALUES").await;
    let reply = call(&engine, "admin", "select", json!({"table": "no_columns"})).await.unwrap();
    assert_eq!(rows(&reply), [json!({})]);
    // Partitions are read through their table.
    let reply = call(
        &engine,
        "admin",
        "select",
        json!({"table": "measured", "limit": 400, "count": "exact"}),
    )
    .await
    .unwrap();
    assert_eq!((rows(&reply).len(), &reply["count"]), (365, &json!(365)));
    assert!(!listed(&engine, "admin").await.contains(&"measured_2024".to_owned()));
    let data = json!([{"price": "1.50", "quantity": 2, "required": "r"}]);
    let reply =
        call(&engine, "admin", "insert", json!({"table": "columns", "data": data})).await.unwrap();
    assert_eq!(rows(&reply)[0]["total"], 3);
    let always = json!({"table": "columns", "data": {"always": 1, "price": 1, "required": "r"}});
    let error = call(&engine, "admin", "insert", always).await.unwrap_err();
    assert_eq!((error.code().as_str(), error.get_at()), ("read_only_column", Some("/data/always")));
    let reply = call(&engine, "admin", "select", json!({"table": "every_type"})).await.unwrap();
    assert_eq!(rows(&reply)[0]["c_timestamp"], "0044-03-15T12:00:00 BC");
    assert_eq!(rows(&reply)[0]["c_matrix"], json!([[1, 2], [3, 4]]));
}

#[tokio::test]
async fn types_of_extensions_are_read_filtered_and_written_back() {
    let database = Database::of(EXTENSIONS).await;
    let engine = database.engine().await;
    let table = json!({"table": "extension_types"});
    let reply = call(&engine, "admin", "select", table.clone()).await.unwrap();
    let row = rows(&reply)[0].as_object().unwrap().clone();
    assert_eq!(row["name"], "Ärger");
    assert_eq!(row["names"], json!(["a", "B"]));
    assert_eq!(row["attributes"], "\"a\"=>\"1\", \"b c\"=>NULL");
    assert_eq!(row["contact"], json!({"email": "a@b", "attributes": "\"x\"=>\"y\""}));
    let before = database.value("SELECT t::text FROM extension_types t").await;
    let update = json!({"table": "extension_types", "where": {"id": 1}, "updates": row});
    call(&engine, "admin", "update", update).await.unwrap();
    assert_eq!(database.value("SELECT t::text FROM extension_types t").await, before);
    let described = call(&engine, "admin", "describe_table", table.clone()).await.unwrap();
    // Where an operator lies in a schema that is not searched, it is not offered.
    let of = |name: &str| {
        described["columns"].as_array().unwrap().iter().find(|c| c["name"] == name).unwrap()
    };
    assert_eq!(of("attributes")["operators"], json!(["is_null"]));
    assert!(of("contact")["operators"].as_array().unwrap().contains(&json!("path")));
    assert!(of("email")["operators"].as_array().unwrap().contains(&json!("eq")));
    for column in described["columns"].as_array().unwrap() {
        let name = column["name"].as_str().unwrap();
        let operators = column["operators"].as_array().unwrap().iter();
        for operator in operators.filter(|operator| *operator != "path") {
            let operator = operator.as_str().unwrap();
            let value = match operator {
                "is_null" => json!(false),
                "in" | "not_in" => json!([row[name]]),
                _ => row[name].clone(),
            };
            let select = json!({"table": "extension_types", "where": {name: {operator: value}}});
            let reply = call(&engine, "admin", "select", select.clone()).await;
            let reply = reply.unwrap_or_else(|error| panic!("{select}: {error}"));
            if matches!(operator, "eq" | "in") {
                assert_eq!(rows(&reply).len(), 1, "{select}");
            }
        }
    }
    let mut config = database.config.clone();
    config.options("-c search_path=public,extras");
    let searching = Engine::connect(config, Settings::default()).await.unwrap();
    let select = json!({"table": "extension_types", "where": {"path": {"gte": "top"}, "attributes": row["attributes"]}});
    assert_eq!(rows(&call(&searching, "admin", "select", select).await.unwrap()).len(), 1);
    // Its order goes by other names than "<", so there is none to page by.
    let described = call(&searching, "admin", "describe_table", table).await.unwrap();
    let columns = described["columns"].as_array().unwrap();
    let attributes = columns.iter().find(|column| column["name"] == "attributes").unwrap();
    let operators = attributes["operators"].as_array().unwrap();
    assert!(operators.contains(&json!("eq")) && !operators.contains(&json!("gt")), "{operators:?}");
    let select = json!({"table": "extension_types", "order_by": ["attributes"]});
    assert_eq!(refused(&searching, "select", select).await.0, "invalid_value");
    // Without regard to case, as the type is.
    let select =
        json!({"table": "extension_types", "where": {"name": "ÄRGER", "email": {"in": ["a@B.c"]}}});
    let reply = call(&engine, "admin", "select", select).await.unwrap();
    assert_eq!(rows(&reply).len(), 1);
}

#[tokio::test]
async fn a_thousand_tables_with_thousands_of_keys_are_told_in_bounded_pieces() {
    let database = Database::of(&mcp_pg_benches::wide::wide_schema_sql()).await;
    let engine = database.engine().await;
    let names = listed(&engine, "analyst").await;
    assert_eq!(names.len(), mcp_pg_benches::wide::TABLES);
    let view = engine.view(&Principal::new("tester", "analyst")).unwrap();
    let mut most = 0;
    for table in view.tables() {
        let description = serde_json::to_string(&view.describe(table)).unwrap();
        most = most.max(description.len());
    }
    assert!(most < DESCRIPTION_MOST, "{most}");
    let reply = call(&engine, "analyst", "list_tables", json!({})).await.unwrap();
    assert!(reply.to_string().len() < DESCRIPTION_MOST && reply["next_cursor"].is_string());
    let first =
        call(&engine, "analyst", "describe_table", json!({"table": "wide_0000"})).await.unwrap();
    let relations = first["relations"].as_array().unwrap();
    assert!(relations.last().unwrap().as_str().unwrap().contains("more"), "{relations:?}");
    let error = call(&engine, "analyst", "select", json!({"table": "wide_000"})).await.unwrap_err();
    assert!(serde_json::to_string(&error).unwrap().len() < 4_096);
    let condition = json!({"table": "wide_0000", "where": {"wide": {"some": {}}}});
    let error = call(&engine, "analyst", "select", condition).await.unwrap_err();
    assert!(serde_json::to_string(&error).unwrap().len() < 8_192);
}
