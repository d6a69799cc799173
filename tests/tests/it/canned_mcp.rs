//! Canned queries through the program: the tool list, its pages, calls, and `check`.

use mcp_pg_core::Principal;
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::canned::{directory, settings};
use crate::program::{ERAS, Session, file, run};

#[tokio::test]
async fn queries_are_among_the_tools_however_many_there_are() {
    let database = Database::shop().await;
    let header = "-- What the shop sold, by day and country, for the person who plans the stock.\n\
                  -- @param since date = 2024-01-01: from then on\n\
                  -- @param country text = null {\"pattern\": \"^[A-Z]{2}$\"}: of customers of this country alone\n";
    let body = "SELECT o.order_id, o.status, o.total, u.name, u.country, u.email, u.created_at \
                FROM orders o JOIN users u USING (user_id) \
                WHERE o.created_at >= :since AND (:country::text IS NULL OR u.country = :country)";
    for (count, pages, whole) in [(1, 1, true), (40, 1, true), (100, 0, false)] {
        let queries = directory([]);
        for number in 0..count {
            let path = queries.join(format!("sold_{number:03}.sql"));
            std::fs::write(path, format!("{header}{body}")).unwrap();
        }
        let config = file(&format!("[queries]\ndirectory = {queries:?}"));
        let config = config.to_str().unwrap();
        for era in ERAS {
            let options = ["stdio", "--role", "operator", "--database-url", &database.url];
            let options: Vec<&str> = options.into_iter().chain(["--config", config]).collect();
            let session = Session::open(&options, era).await;
            let mut cursor = None;
            let mut names = Vec::new();
            let mut read = 0;
            loop {
                let mut request = rmcp::model::PaginatedRequestParams::default();
                request.cursor = cursor;
                let page = session.client.list_tools(Some(request)).await.unwrap();
                let bytes = serde_json::to_string(&page.tools).unwrap().len();
                assert!(bytes < 64_000, "{bytes} bytes");
                names.extend(page.tools.iter().map(|tool| tool.name.to_string()));
                read += 1;
                assert!(read < 100, "the list has no end");
                if read == 1 {
                    let own = page.tools.iter().find(|tool| tool.name == "sold_000").unwrap();
                    let annotations = own.annotations.as_ref().unwrap();
                    assert_eq!(annotations.read_only_hint, Some(true));
                    assert_eq!(own.title.as_deref(), Some("Sold 000"));
                    assert_eq!(own.input_schema["additionalProperties"], false);
                    let output = own.output_schema.as_ref().unwrap();
                    assert_eq!(output["type"], "object");
                    assert_eq!(output.contains_key("properties"), whole, "{count}");
                    let own = |tool: &&rmcp::model::Tool| tool.name.starts_with("sold_");
                    let built_in: Vec<_> = page.tools.iter().filter(|tool| !own(tool)).collect();
                    assert!(serde_json::to_string(&built_in).unwrap().len() < 16_000);
                }
                cursor = page.next_cursor;
                if cursor.is_none() {
                    break;
                }
            }
            assert!(pages == 0 || read == pages, "{read} pages");
            let own = names.iter().filter(|name| name.starts_with("sold_")).count();
            assert_eq!((own, names.len()), (count, count + 10));
            let mut request = rmcp::model::PaginatedRequestParams::default();
            request.cursor = Some("nowhere".into());
            session.client.list_tools(Some(request)).await.unwrap_err();

            let reply = session.call("sold_000", json!({"country": "GB"})).await.unwrap();
            assert_eq!(reply["query"], "sold_000");
            let wrong = session.call("sold_000", json!({"country": "gb"})).await.unwrap();
            assert_eq!(wrong["error"]["at"], "/country");
            let unknown = session.call("sold_00", json!({})).await.unwrap_err().to_string();
            assert!(unknown.contains("there is no tool"), "{unknown}");
        }
    }
}

#[tokio::test]
async fn check_names_each_fault_and_call_calls() {
    let database = Database::shop().await;
    let queries = directory([
        ("good.sql", "-- @param id integer\nSELECT name FROM users WHERE user_id = :id"),
        ("bad.sql", "-- Bad.\nSELECT name\nFROM usres"),
    ]);
    let config = file(&format!("[queries]\ndirectory = {queries:?}"));
    let options = ["--config", config.to_str().unwrap(), "--database-url", &database.url];
    let checked = run(&[&["check"], &options[..]].concat()).await;
    assert_eq!(checked.status, Some(1));
    let place = queries.join("bad.sql");
    let finding = format!("finding: {}:3:6: relation \"usres\" does not exist", place.display());
    assert!(checked.out.contains(&finding), "{}", checked.out);
    assert_eq!(checked.err, "", "each finding once");

    let called = run(&[&["call", "good", r#"{"id": 1}"#], &options[..]].concat()).await;
    assert_eq!(called.status, Some(0), "{called:?}");
    assert_eq!(called.json()["rows"], json!([{"name": "Ada Marsh"}]));
    assert!(called.err.contains("bad.sql:3:6"), "the log names it too: {}", called.err);
    let called = run(&[&["call", "bad"], &options[..]].concat()).await;
    assert_eq!(called.status, Some(1));

    std::fs::remove_file(place).unwrap();
    let missing = file("[queries]\ndirectory = \"no/such/directory\"");
    let options = ["--config", missing.to_str().unwrap(), "--database-url", &database.url];
    let checked = run(&[&["check"], &options[..]].concat()).await;
    assert!(checked.out.contains("no/such/directory: cannot be read"), "{}", checked.out);
}

#[tokio::test]
async fn the_output_schema_gives_the_type_of_each_column() {
    let database = Database::of("CREATE TYPE mood AS ENUM ('glad')").await;
    let text = "SELECT 1 AS whole, 1::bigint AS big, 1.5 AS exact, true AS yes, 'a' AS word, date '2024-01-01' AS day, \
                ARRAY[1] AS list, int4range(1, 2) AS span, 'glad'::mood AS mood, '{}'::jsonb AS json";
    let engine = database.engine_with(settings(directory([("types.sql", text)]))).await;
    let queries = engine.queries(&Principal::new("tester", "analyst")).unwrap();
    let schema = Value::Object(queries[0].output_schema());
    let row = &schema["properties"]["rows"]["items"]["properties"];
    let typed = |types: &[&str]| json!({"type": types});
    let expected = json!({
        "whole": typed(&["integer", "null"]),
        "big": typed(&["integer", "string", "null"]),
        "exact": typed(&["number", "string", "null"]),
        "yes": typed(&["boolean", "null"]),
        "word": typed(&["string", "null"]),
        "day": typed(&["string", "null"]),
        "list": typed(&["array", "string", "null"]),
        "span": typed(&["object", "null"]),
        "mood": typed(&["string", "null"]),
        "json": {},
    });
    assert_eq!(*row, expected);
}
