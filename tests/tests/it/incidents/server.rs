//! Ways into the server, and what its configuration lets in.

use mcp_pg_tests::{Database, error};
use serde_json::{Value, json};

use super::{FIXTURE, counted, start};
use crate::program::{Era, Served, file, run};

#[tokio::test]
async fn a_web_page_that_rebinds_its_name_is_shut_out() {
    let database = Database::of(FIXTURE).await;
    let server = Served::start(&["--database-url", &database.url]).await;
    for (header, value) in [
        ("Host", "evil.example"),
        ("Host", "evil.example:8080"),
        ("Origin", "http://evil.example"),
        ("Origin", "null"),
    ] {
        for era in [Era::Initialize, Era::Discover] {
            let (status, answer) =
                server.request(era, "tools/list", json!({}), &[(header, value)]).await;
            assert_eq!(status, 403, "{header}: {value} {answer}");
        }
    }
    let (status, _) = server.request(Era::Discover, "tools/list", json!({}), &[]).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_misspelt_setting_does_not_fail_open() {
    for (text, named) in [
        ("[archive]\nallow_hard_delte = false", "allow_hard_delete"),
        ("[limits]\nmax_write_row = 1", "max_write_rows"),
        ("[colums]\nsensitive = [\"*\"]", "columns"),
        (
            "default_role = \"a\"\n[[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"select\"]\ncolumns = { exlude = [\"ssn\"] }",
            "exclude",
        ),
        (
            "default_role = \"a\"\n[[roles.a.grants]]\ntables = [\"*\"]\nactions = [\"selekt\"]",
            "select",
        ),
        ("[encryption]\ncolums = [\"public.account.ssn\"]", "columns"),
    ] {
        let config = file(text);
        let ended = run(&["check", "--config", config.to_str().unwrap()]).await;
        assert_eq!(ended.status, Some(2), "{text}: {ended:?}");
        assert!(ended.err.contains(named), "{text}: {}", ended.err);
    }
    // Where nothing is said, nothing is written.
    let database = Database::of(FIXTURE).await;
    for (tool, arguments) in [
        ("insert", json!({"table": "account", "data": {"id": 9}})),
        ("update", json!({"table": "account", "where": {"id": 1}, "updates": {"name": "X"}})),
        ("delete", json!({"table": "account", "where": {"id": 1}})),
    ] {
        let line = ["call", tool, &arguments.to_string(), "--database-url", &database.url];
        assert_eq!(run(&line).await.json()["error"]["code"], "forbidden", "{tool}");
    }
    assert_eq!(counted(&database).await.as_deref(), Some("2 1 1"));
}

#[tokio::test]
async fn a_request_cannot_grow_beyond_its_bounds() {
    let database = Database::of(FIXTURE).await;
    let engine = start(&database).await;
    let deep = (0..100).fold(json!({"id": 1}), |inner, _| json!({"not": inner}));
    for (arguments, at) in [
        (
            json!({"table": "ticket", "where": {"body": {"matches": "(a+)+".repeat(1_000)}}}),
            "/where/body/matches",
        ),
        (
            json!({"table": "ticket", "where": {"id": {"in": (0..100_000).collect::<Vec<_>>()}}}),
            "/where/id/in",
        ),
        (json!({"table": "ticket", "where": {"or": vec![json!({"id": 1}); 10_000]}}), "/where/or"),
        (json!({"table": "ticket", "where": deep}), "/where/not"),
    ] {
        let refused = error(&engine, "admin", "select", arguments).await;
        assert_eq!(refused["code"], "limit_exceeded", "{refused}");
        assert!(refused["at"].as_str().unwrap().starts_with(at), "{refused}");
    }
}

#[tokio::test]
async fn an_edited_configuration_gives_no_more_than_the_login_has() {
    let database = Database::of(FIXTURE).await;
    database
        .sql("CREATE ROLE incident_reader LOGIN; GRANT SELECT (id, name) ON account TO incident_reader")
        .await;
    let url = database.url.replace("postgres://postgres@", "postgres://incident_reader@");
    // What an agent would write that got hold of the file.
    let config = file(
        "default_role = \"all\"\n[archive]\nallow_hard_delete = true\n[[roles.all.grants]]\ntables = [\"*\"]\n\
         actions = [\"select\", \"insert\", \"update\", \"archive\", \"restore\", \"delete\"]",
    );
    let told = async |tool: &str, arguments: Value| {
        let line = ["call", tool, &arguments.to_string(), "--database-url", &url];
        run(&[&line[..], &["--config", config.to_str().unwrap()]].concat()).await.json()
    };
    for (tool, arguments, code) in [
        (
            "update",
            json!({"table": "account", "where": {"id": 1}, "updates": {"name": "X"}}),
            "forbidden",
        ),
        ("insert", json!({"table": "account", "data": {"id": 9}}), "forbidden"),
        ("delete", json!({"table": "account", "where": {"id": 1}}), "forbidden"),
        ("select", json!({"table": "access_token"}), "unknown_table"),
        ("select", json!({"table": "account", "columns": ["ssn"]}), "unknown_column"),
    ] {
        assert_eq!(told(tool, arguments).await["error"]["code"], code, "{tool}");
    }
    let seen = told("select", json!({"table": "account", "where": {"id": 1}})).await;
    assert_eq!(seen["rows"], json!([{"id": 1, "name": "Ada"}]), "{seen}");
    assert_eq!(counted(&database).await.as_deref(), Some("2 1 1"));
}

#[tokio::test]
async fn an_address_is_that_of_the_connection() {
    let database = Database::of(FIXTURE).await;
    let log = file("");
    let config = file(&format!(
        "[limits]\nfailed_authentications_per_minute = 2\n[audit]\nfile = {log:?}\n\
         [[auth.api_keys]]\nname = \"a\"\nhash = \"{}\"\nrole = \"analyst\"",
        crate::auth_api_key::key().await.1
    ));
    let server =
        Served::start(&["--database-url", &database.url, "--config", config.to_str().unwrap()])
            .await;
    let mut statuses = Vec::new();
    for guess in ["a", "b", "c", "d"] {
        let (bearer, address) = (format!("Bearer {guess}"), format!("192.0.2.{}", statuses.len()));
        let forwarded = format!("for={address}");
        let headers = [
            ("Authorization", bearer.as_str()),
            ("X-Forwarded-For", &address),
            ("X-Real-IP", &address),
            ("Forwarded", &forwarded),
        ];
        statuses.push(server.request(Era::Discover, "tools/list", json!({}), &headers).await.0);
    }
    assert_eq!(statuses, [401, 401, 429, 429]);
    server.stop().await;
    let records = std::fs::read_to_string(&log).unwrap();
    for record in records.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let address = record["client"]["address"].as_str().unwrap();
        assert!(address.starts_with("127.0.0.1:"), "{record}");
    }
    assert_eq!(records.lines().count(), 4);
}
