//! Confirmations over HTTP, where any server may get the answer.

use mcp_pg_core::audit::AuditTable;
use mcp_pg_core::policy::Tls;
use mcp_pg_core::{TableName, verify_table};
use mcp_pg_tests::Database;
use serde_json::{Value, json};

use super::{RULES, delete, reviews};
use crate::auth_api_key::key;
use crate::program::{Era, Served, file, run};

/// The answer of an HTTP server to `delete`, sent with an answer to its question if there is one.
async fn delete_over_http(server: &Served, key: &str, state: Option<&str>) -> Value {
    let mut call = json!({"name": "delete", "arguments": delete(2)});
    if let Some(state) = state {
        call["requestState"] = json!(state);
        call["inputResponses"] = json!({"confirm": {"action": "accept", "content": {}}});
    }
    let bearer = format!("Bearer {key}");
    call["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    let headers = [
        ("Content-Type", "application/json"),
        ("Accept", "application/json, text/event-stream"),
        ("MCP-Protocol-Version", "2026-07-28"),
        ("Mcp-Method", "tools/call"),
        ("Mcp-Name", "delete"),
        ("Authorization", &bearer),
    ];
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call});
    let (status, answer) = server.send("POST", "/mcp", &headers, &body.to_string()).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str::<Value>(&answer).unwrap()["result"].clone()
}

#[tokio::test]
async fn servers_that_share_a_key_take_each_others_answers() {
    let database = Database::shop().await;
    database.sql("CREATE TABLE kept AS SELECT * FROM reviews WHERE review_id <= 2").await;
    let ((ann, ann_hash), (bob, bob_hash)) = (key().await, key().await);
    let entry = |name: &str, hash: &str| {
        format!("[[auth.api_keys]]\nname = {name:?}\nhash = {hash:?}\nrole = \"admin\"\n")
    };
    let keys = format!("{RULES}{}{}", entry("ann", &ann_hash), entry("bob", &bob_hash));
    let secret = file("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n");
    let shared = file(&format!("{keys}[server]\nstate_key_file = {secret:?}"));
    let alone = file(&keys);
    let start = async |config: &std::path::Path| {
        let config = config.to_str().unwrap();
        Served::start(&["--database-url", &database.url, "--config", config]).await
    };
    let (first, second, other) = (start(&shared).await, start(&shared).await, start(&alone).await);
    let state = |answer: Value| match answer["requestState"].as_str() {
        Some(state) => state.to_owned(),
        None => panic!("no question: {answer}"),
    };
    let asked = state(delete_over_http(&first, &ann, None).await);
    // So far, nothing is done.
    let counted = "mcp_pg_calls_total{tool=\"delete\",code=\"forbidden\"} 1";
    assert!(first.get("/metrics").await.1.contains(counted));
    // It is of no use to another caller, nor where the key is another.
    state(delete_over_http(&second, &bob, Some(&asked)).await);
    state(delete_over_http(&other, &ann, Some(&asked)).await);
    assert_eq!(reviews(&database).await, 14);
    let done = delete_over_http(&second, &ann, Some(&asked)).await;
    assert_eq!(done["structuredContent"]["row_count"], 2, "{done}");
    assert_eq!(reviews(&database).await, 12);
    // Each remembers for itself what is spent, which check says.
    let shared = shared.to_str().unwrap();
    let told = run(&["check", "--database-url", &database.url, "--config", shared]).await.out;
    assert!(told.contains("note: processes that share the state key"), "{told}");
    // It is spent: with the rows back as they were, the same write is asked about again.
    database.sql("INSERT INTO reviews OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
    state(delete_over_http(&second, &ann, Some(&asked)).await);
    assert_eq!(reviews(&database).await, 14);
}

#[tokio::test]
async fn servers_with_one_audit_table_use_a_confirmation_once() {
    let database = Database::shop().await;
    let table = AuditTable::new(&TableName::new("mcp_audit", "log"));
    database.sql(&table.definition()).await;
    // Who sets the table up again changes nothing.
    database.sql(&table.definition()).await;
    database.sql("CREATE TABLE kept AS SELECT * FROM reviews WHERE review_id <= 2").await;
    let (ann, hash) = key().await;
    let secret = file("q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=\n");
    let config = file(&format!(
        "{RULES}[audit]\ntable = \"mcp_audit.log\"\n[server]\nstate_key_file = {secret:?}\n\
         [[auth.api_keys]]\nname = \"ann\"\nhash = {hash:?}\nrole = \"admin\"\n"
    ));
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let (first, second) = (Served::start(&arguments).await, Served::start(&arguments).await);
    let asked = delete_over_http(&first, &ann, None).await;
    let state = asked["requestState"].as_str().unwrap();
    let done = delete_over_http(&first, &ann, Some(state)).await;
    assert_eq!(done["structuredContent"]["row_count"], 2, "{done}");
    database.sql("INSERT INTO reviews OVERRIDING SYSTEM VALUE SELECT * FROM kept").await;
    // The same rows, the same request, the same caller; but it was used.
    let refused = delete_over_http(&second, &ann, Some(state)).await;
    let error = &refused["structuredContent"]["error"];
    assert_eq!(error["code"], "forbidden", "{refused}");
    assert_eq!(error["message"], "the user's agreement was already used");
    assert_eq!(reviews(&database).await, 14);

    // Both at once: one of them.
    let asked = delete_over_http(&second, &ann, None).await;
    let state = asked["requestState"].as_str().unwrap();
    let (here, there) = tokio::join!(
        delete_over_http(&first, &ann, Some(state)),
        delete_over_http(&second, &ann, Some(state)),
    );
    let done = [&here, &there].map(|answer| answer["structuredContent"]["row_count"] == 2);
    assert!(done[0] != done[1], "{here}\n{there}");
    assert_eq!(reviews(&database).await, 12);

    first.stop().await;
    second.stop().await;
    let told = run(&[&["check"], &arguments[..]].concat()).await.out;
    assert!(!told.contains("state key"), "{told}");
    let kept = "SELECT string_agg(record ->> 'outcome', ' ' ORDER BY position) FROM mcp_audit.log \
                WHERE record ->> 'confirmation' IS NOT NULL";
    assert_eq!(database.value(kept).await.as_deref(), Some("ok ok"));
    let name = TableName::new("mcp_audit", "log");
    verify_table(database.config.clone(), Tls::default(), &name).await.unwrap().unwrap();
}

/// Such a client declares what it can in another request, of which the server keeps nothing.
#[tokio::test]
async fn a_client_of_an_older_revision_is_told_that_this_is_the_reason() {
    let database = Database::shop().await;
    let config = file(&format!("default_role = \"admin\"\n{RULES}"));
    let config = config.to_str().unwrap();
    let server = Served::start(&["--database-url", &database.url, "--config", config]).await;
    for (era, reason) in [(Era::Initialize, "2026-07-28"), (Era::Discover, "can ask its user")] {
        let call = json!({"name": "delete", "arguments": delete(2)});
        let (_, answer) = server.request(era, "tools/call", call, &[]).await;
        let error = &answer["result"]["structuredContent"]["error"];
        assert_eq!(error["code"], "forbidden", "{answer}");
        assert!(error["hint"].as_str().unwrap().contains(reason), "{error}");
    }
    assert_eq!(reviews(&database).await, 14);
}
