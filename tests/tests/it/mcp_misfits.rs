//! HTTP requests that are not what the protocol expects.

use mcp_pg_tests::Database;
use serde_json::{Value, json};

use crate::program::Served;

#[tokio::test]
async fn requests_that_do_not_fit_are_told_why() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let json_type = ("Content-Type", "application/json");
    let accept = ("Accept", "application/json, text/event-stream");
    // Some clients send the same headers with every request, and take 405 as "no stream here".
    for method in ["GET", "DELETE", "PATCH"] {
        let (status, answer) = server.send(method, "/mcp", &[json_type, accept], "").await;
        assert_eq!(status, 405, "{method}: {answer}");
    }
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}).to_string();
    for (kind, expected) in [
        ("application/json-rpc", 415),
        ("application/json ; charset=utf-8", 200),
        ("Application/JSON;charset=utf-8", 200),
    ] {
        let headers = [("Content-Type", kind), accept, ("MCP-Protocol-Version", "2025-11-25")];
        let (status, answer) = server.send("POST", "/mcp", &headers, &list).await;
        assert_eq!(status, expected, "{kind}: {answer}");
    }
    for params in [json!({"protocolVersion": 5}), json!({})] {
        let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
        let headers = [json_type, accept];
        let (_, answer) = server.send("POST", "/mcp", &headers, &message.to_string()).await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let wanted = "the parameters are not those of initialize";
        assert_eq!(answer["error"], json!({"code": -32602, "message": wanted}), "{answer}");
    }
}
