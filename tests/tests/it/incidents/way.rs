//! Ways in: the same rules on each, and none on which a caller says who it is.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::FIXTURE;
use crate::auth_api_key::key;
use crate::program::{ERAS, Era, Served, Session, file, run};

/// The role reads tickets without the column `ssn`, and no more.
async fn config() -> (String, String) {
    let (key, hash) = key().await;
    let text = format!(
        "default_role = \"reader\"\n[[roles.reader.grants]]\ntables = [\"public.ticket\"]\n\
         actions = [\"select\"]\ncolumns = {{ exclude = [\"ssn\"] }}\n\
         [[roles.owner.grants]]\ntables = [\"*\"]\nactions = [\"select\", \"update\", \"delete\"]\n\
         [[auth.api_keys]]\nname = \"ann\"\nhash = {hash:?}\nrole = \"reader\"\n"
    );
    (file(&text).to_str().unwrap().to_owned(), key)
}

/// What the role may not do, and how it is refused.
fn refused() -> [(&'static str, Value, &'static str); 5] {
    [
        ("select", json!({"table": "account"}), "unknown_table"),
        ("select", json!({"table": "ticket", "columns": ["ssn"]}), "unknown_column"),
        ("select", json!({"table": "ticket", "where": {"ssn": "1"}}), "unknown_column"),
        (
            "update",
            json!({"table": "ticket", "where": {"id": 1}, "updates": {"state": "x"}}),
            "forbidden",
        ),
        ("delete", json!({"table": "ticket", "where": {"id": 1}}), "forbidden"),
    ]
}

#[tokio::test]
async fn roles_hold_on_every_way_in() {
    let database = Database::of(FIXTURE).await;
    let (config, key) = config().await;
    let options = ["--database-url", &database.url, "--config", &config];
    let server = Served::start(&options).await;
    let bearer = format!("Bearer {key}");
    let header = [("Authorization", bearer.as_str())];
    for (tool, arguments, code) in refused() {
        for era in ERAS {
            let call = json!({"name": tool, "arguments": arguments});
            let (_, answer) = server.request(era, "tools/call", call, &header).await;
            let told = &answer["result"]["structuredContent"]["error"]["code"];
            assert_eq!(told, code, "http {era:?} {tool} {arguments}: {answer}");
            let session = Session::open(&[&["stdio"], &options[..]].concat(), era).await;
            let answer = session.call(tool, arguments.clone()).await.unwrap();
            assert_eq!(answer["error"]["code"], code, "stdio {era:?} {tool} {arguments}");
        }
        let line = ["call", tool, &arguments.to_string()];
        let answer = run(&[&line[..], &options].concat()).await.json();
        assert_eq!(answer["error"]["code"], code, "command line {tool} {arguments}");
    }
}

#[tokio::test]
async fn a_caller_chooses_neither_role_nor_database() {
    let database = Database::of(FIXTURE).await;
    let (config, key) = config().await;
    let server = Served::start(&["--database-url", &database.url, "--config", &config]).await;
    let bearer = format!("Bearer {key}");
    let account = json!({"table": "account"});
    let call = |arguments: Value| json!({"name": "select", "arguments": arguments});
    // Beside the arguments, wherever other servers look.
    let mut told = call(account.clone());
    for (member, value) in [("role", "owner"), ("database_url", "postgres://other")] {
        told[member] = json!(value);
        told["_meta"][member] = json!(value);
    }
    let headers = [
        ("Authorization", bearer.as_str()),
        ("X-MS-API-ROLE", "owner"),
        ("X-Hasura-Role", "owner"),
        ("X-Role", "owner"),
        ("Accept-Profile", "other"),
        ("Role", "owner"),
    ];
    for era in ERAS {
        for request in [call(account.clone()), told.clone()] {
            let (_, answer) = server.request(era, "tools/call", request, &headers).await;
            let code = &answer["result"]["structuredContent"]["error"]["code"];
            assert_eq!(code, "unknown_table", "{era:?}: {answer}");
        }
        // Among them, there is nothing of the kind.
        for name in ["role", "claims", "database_role", "database_url", "connection", "schema"] {
            let mut arguments = json!({"table": "ticket"});
            arguments[name] = json!("owner");
            let (_, answer) = server.request(era, "tools/call", call(arguments), &headers).await;
            let error = &answer["result"]["structuredContent"]["error"];
            assert_eq!(error["code"], "unknown_argument", "{era:?} {name}: {answer}");
        }
    }
    let path = "/mcp?role=owner&database_url=postgres://other";
    let accept =
        [("Content-Type", "application/json"), ("Accept", "application/json, text/event-stream")];
    let request =
        json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call(account)});
    let headers = [&headers[..], &accept, &[("MCP-Protocol-Version", "2025-11-25")]].concat();
    let (_, answer) = server.send("POST", path, &headers, &request.to_string()).await;
    assert!(answer.contains("unknown_table"), "{answer}");
    let (_, answer) = server
        .request(
            Era::Discover,
            "resources/read",
            json!({"uri": "postgresql://role"}),
            &headers[..1],
        )
        .await;
    assert!(
        answer.to_string().contains("reader") && !answer.to_string().contains("owner"),
        "{answer}"
    );
}
