//! Texts that have broken other servers.

use std::collections::BTreeSet;

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::place::places;
use super::{FIXTURE, ROLES, answer, assert_silent, caller, dump, start};

/// Texts that have broken other servers, and a few that look like names.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> = [
        "'; DROP TABLE client; --",
        "\"; DROP TABLE client; --",
        "\\'; DROP TABLE client; --",
        "COMMIT; DROP SCHEMA public CASCADE",
        "$$; DELETE FROM client; $$",
        "1 OR 1=1",
        "id) FROM client; DELETE FROM note --",
        "(SELECT passwd FROM pg_shadow LIMIT 1)",
        "pg_read_file('/etc/passwd')",
        "pg_catalog.pg_authid",
        "information_schema.tables",
        "client; SELECT pg_sleep(60)",
        "client\" CROSS JOIN pg_shadow --",
        "name::text",
        "$1",
        "{{7*7}}",
        "../../etc/passwd",
        "*",
        "client.*",
        "xmin",
        "ctid",
        "tableoid",
        "c0",
        "t0",
        "CLIENT",
        "\"client\"",
        "public.\"client\"",
        "ｃlient",
        "cli\u{0435}nt",
        "client\u{200b}",
        "\u{202e}tneilc",
        "client\0",
        "",
        " ",
        "-",
        ".",
        "..",
        "-.",
        "id.",
        "\u{1F600}",
        "\\u0000",
        "%",
        "_",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(100_000));
    texts.push("(".repeat(5_000));
    texts
}

/// An answer without the text that it repeats, also as a pattern, in which `_` is escaped.
fn without(told: &str, text: &str) -> String {
    told.replace(text, "").replace("(SELECT passwd", "").replace("; SELECT pg", "")
}

#[tokio::test]
async fn hostile_text_in_every_place_leaks_and_changes_nothing() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let before = dump(&database).await;
    let mut calls = 0;
    let mut codes = BTreeSet::new();
    for role in ROLES {
        let caller = caller(role);
        for text in texts() {
            for (tool, arguments) in places(&text) {
                let told = answer(&engine, &caller, tool, arguments.clone()).await;
                let what: String = format!("{role} {tool} {arguments}").chars().take(300).collect();
                assert_silent(&without(&told, &text), &what);
                let told: Value = serde_json::from_str(&told).unwrap();
                if let Some(code) = told["code"].as_str() {
                    codes.insert(code.to_owned());
                    assert_ne!(code, "internal", "{what}: {told}");
                }
                calls += 1;
            }
        }
        for text in texts() {
            let told = answer(&engine, &caller, &text, json!({"table": "client"})).await;
            assert_silent(&without(&told, &text), &text);
        }
    }
    assert_eq!(dump(&database).await, before);
    assert!(calls > 5_000, "{calls} calls");
    assert!(codes.len() > 10, "{codes:?}");
}
