//! Messages of clients that cannot be parsed or are not valid calls.

use std::process::Stdio;

use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::program::{Served, file, program};

/// What the server writes over stdio for these lines, until it has read them all.
async fn answered(database: &Database, lines: &[impl std::fmt::Display]) -> String {
    let mut server =
        program(&["stdio", "--database-url", &database.url]).stdin(Stdio::piped()).spawn().unwrap();
    let mut input = server.stdin.take().unwrap();
    let output = tokio::spawn(server.wait_with_output());
    for line in lines {
        input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }
    drop(input);
    String::from_utf8(output.await.unwrap().unwrap().stdout).unwrap()
}

#[tokio::test]
async fn a_line_that_is_no_json_is_answered_where_it_says_to_whom() {
    let database = Database::shop().await;
    let audit = file("");
    let config = file(&format!("[audit]\nfile = {audit:?}\n"));
    let config = config.to_str().unwrap();
    let mut server = program(&["stdio", "--database-url", &database.url, "--config", config])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let output = tokio::spawn(server.wait_with_output());
    let call = |id: u32, condition: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"select","arguments":{{"table":"users","where":{condition}}}}}}}"#
        )
    };
    let begin = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}});
    let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    let deep = ["[".repeat(200), "]".repeat(200)].concat();
    let lines = [
        b"before there is a session {".to_vec(),
        begin.to_string().into_bytes(),
        begun.to_string().into_bytes(),
        call(2, r#"{"user_id": 1e400}"#).into_bytes(),
        call(3, r#"{"name": "\ud800"}"#).into_bytes(),
        call(4, &deep).into_bytes(),
        [call(5, "{}").into_bytes(), vec![0xff]].concat(),
        call(6, "{\"user_id\": 1,}").into_bytes(),
        b"nobody waits for this".to_vec(),
        // JSON, and no message.
        br#"{"jsonrpc":"2.0","id":5.5,"method":"tools/call","params":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":[1],"method":"tools/call","params":{}}"#.to_vec(),
        br#"{"jsonrpc":"1.0","id":11,"method":"tools/call","params":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":8,"id":9,"method":"tools/call","params":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":99999999999999999999,"method":"tools/list"}"#.to_vec(),
        br#"[{"jsonrpc":"2.0","id":8,"method":"tools/list"}]"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":12}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":13,"method":5}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":14,"method":"tools/call","params":[]}"#.to_vec(),
        br#"{"id":15,"method":"ping"}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":16,"method":"ping","params":null}"#.to_vec(),
        br#"{"jsonrpc":"1.0","id":17,"result":{}}"#.to_vec(),
        br#"{"jsonrpc":"2.0","id":null,"method":"tools/list"}"#.to_vec(),
        b" ".to_vec(),
        call(10, r#"{"user_id": 1, "user_id": 2}"#).into_bytes(),
        call(7, "{\"user_id\": 1}").into_bytes(),
    ];
    for line in &lines {
        input.write_all(line).await.unwrap();
        input.write_all(b"\n").await.unwrap();
    }
    drop(input);
    let output = output.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let (mut answers, mut nobody) = (std::collections::BTreeMap::new(), Vec::new());
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let answer: Value = serde_json::from_str(line).unwrap();
        match answer["id"].as_u64() {
            Some(id) => drop(answers.insert(id, answer)),
            None => nobody.push(answer["error"]["code"].clone()),
        }
    }
    assert_eq!(nobody, [-32600; 6]);
    assert_eq!(
        Vec::from_iter(answers.keys().copied()),
        Vec::from_iter((1..=16).filter(|id| *id != 9))
    );
    assert_eq!(
        answers[&4].pointer("/result/structuredContent/error/code"),
        Some(&json!("limit_exceeded"))
    );
    for id in [2, 3, 5, 6, 8, 10] {
        let error = &answers[&id]["error"];
        assert_eq!(error["code"], -32700, "{error}");
        assert!(
            error["message"].as_str().unwrap().starts_with("this cannot be read as JSON: "),
            "{error}"
        );
    }
    for (id, why) in [
        (11, "2.0"),
        (12, "no method"),
        (13, "expected a string"),
        (14, "params must be an object"),
        (15, "missing field `jsonrpc`"),
    ] {
        let error = &answers[&id]["error"];
        assert_eq!(error["code"], -32600, "{error}");
        let message = error["message"].as_str().unwrap();
        assert!(message.starts_with("this is not a JSON-RPC message: "), "{error}");
        assert!(message.contains(why), "{error}");
    }
    assert!(answers[&16]["result"].is_object(), "{}", answers[&16]);
    assert_eq!(answers[&7]["result"]["structuredContent"]["row_count"], 1);
    let records = std::fs::read_to_string(&audit).unwrap();
    let told = records.lines().filter(|line| line.contains("\"tool\":\"request\"")).count();
    assert_eq!(told, 17, "{records}");
    assert_eq!(records.matches("\"code\":\"limit_exceeded\"").count(), 1, "{records}");
}

/// Some clients send the text of the object, as the model wrote it: the model learns of that, not the client alone.
#[tokio::test]
async fn arguments_that_are_no_object_are_an_error_of_the_tool() {
    let database = Database::shop().await;
    for (revision, result_type) in [("2025-11-25", None), ("2026-07-28", Some("complete"))] {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        let mut lines = vec![];
        if result_type.is_none() {
            lines.push(json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
                "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}}));
            lines.push(json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        }
        for arguments in [json!("{\"table\": \"users\"}"), json!([])] {
            lines.push(
                json!({"jsonrpc": "2.0", "id": lines.len(), "method": "tools/call", "params": {
                "name": "select", "arguments": arguments, "_meta": meta}}),
            );
        }
        let output = answered(&database, &lines).await;
        let answers = output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let told: Vec<Value> =
            answers.filter(|answer| answer.pointer("/result/isError").is_some()).collect();
        assert_eq!(told.len(), 2, "{revision}: {output}");
        for answer in told {
            let result = &answer["result"];
            assert_eq!(result["resultType"].as_str(), result_type, "{answer}");
            assert_eq!(result["isError"], true);
            let error = &result["structuredContent"]["error"];
            assert_eq!((&error["code"], &error["at"]), (&json!("invalid_value"), &json!("")));
            assert_eq!(error["message"], "arguments must be an object");
        }
    }
}

/// In the newer protocol, no request is answered without its `_meta`, which cannot be read here.
#[tokio::test]
async fn what_cannot_be_read_is_told_in_both_eras() {
    let database = Database::shop().await;
    for revision in ["2025-11-25", "2026-07-28"] {
        let meta = json!({"io.modelcontextprotocol/protocolVersion": revision,
            "io.modelcontextprotocol/clientInfo": {"name": "by hand", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {}});
        let call = |id: u32, condition: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"select","_meta":{meta},"arguments":{{"table":"users","where":{condition}}}}}}}"#
            )
        };
        let mut lines = vec![];
        if revision == "2025-11-25" {
            let begin = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {
                "protocolVersion": revision, "capabilities": {}, "clientInfo": {"name": "by hand", "version": "1"}}});
            lines.push(begin.to_string());
            let begun = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            lines.push(begun.to_string());
        }
        let deep = ["[".repeat(200), "]".repeat(200)].concat();
        for (id, condition) in [(1, "{\"user_id\": 1}"), (2, "{\"user_id\": 1e400}"), (3, &deep)] {
            lines.push(call(id, condition));
        }
        let output = answered(&database, &lines).await;
        let told = |id: u32, place: &str| {
            let mut answers =
                output.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            answers.find(|answer| answer["id"] == id)?.pointer(place).cloned()
        };
        assert_eq!(told(1, "/result/structuredContent/row_count"), Some(json!(1)), "{output}");
        assert_eq!(told(2, "/error/code"), Some(json!(-32700)), "{revision}: {output}");
        let code = told(3, "/result/structuredContent/error/code");
        assert_eq!(code, Some(json!("limit_exceeded")), "{revision}: {output}");
    }
}

#[tokio::test]
async fn arguments_that_are_too_deep_are_an_error_of_the_tool_over_http() {
    let database = Database::shop().await;
    let server = Served::start(&["--database-url", &database.url]).await;
    let headers = [
        ("Content-Type", "application/json"),
        ("MCP-Protocol-Version", "2025-11-25"),
        ("Accept", "*/*"),
    ];
    let deep = ["[".repeat(10_000), "]".repeat(10_000)].concat();
    let call = format!(
        r#"{{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{{"name":"select","arguments":{{"table":"users","where":{deep}}}}}}}"#
    );
    let (status, answer) = server.send("POST", "/mcp", &headers, &call).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["id"]), (200, &json!(3)), "{answer}");
    let told = &answer["result"]["structuredContent"]["error"];
    assert_eq!(told["code"], "limit_exceeded");
    assert!(told["hint"].as_str().unwrap().contains("at most 127 levels"), "{told}");
    // Just as many can be read: four are those of the message, its parameters, the arguments and the condition.
    let within = ["[".repeat(123), "]".repeat(123)].concat();
    let call = call.replace(&deep, &format!("{{\"name\":{within}}}"));
    let (_, answer) = server.send("POST", "/mcp", &headers, &call).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    let told = &answer["result"]["structuredContent"]["error"];
    assert_eq!(told["code"], "invalid_value", "{told}");
}
