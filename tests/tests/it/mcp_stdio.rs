//! MCP on standard input and output, through rmcp's client and by hand.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use mcp_pg_tests::Database;
use rmcp::model::{
    ArgumentInfo, CallToolRequest, ClientRequest, CompleteRequestParams, GetPromptRequestParams,
    ReadResourceRequestParams, Reference, ResourceContents,
};
use rmcp::service::{PeerRequestOptions, RequestHandle, RoleClient};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::program::{ERAS, Era, Session, file, params, program};
use crate::transcript;

#[tokio::test]
async fn the_transcripts_of_the_documents_hold() {
    for (name, document, least) in [
        ("README.md", include_str!("../../../README.md"), 2),
        ("docs/errors.md", include_str!("../../../docs/errors.md"), 1),
        ("examples/shop/README.md", include_str!("../../../examples/shop/README.md"), 10),
    ] {
        let exchanges = transcript::read(document);
        assert!(exchanges.len() >= least, "{name}: {} exchanges", exchanges.len());
        for era in ERAS {
            let session = Session::open(&["stdio", "--demo=shop", "--role", "operator"], era).await;
            for shown in &exchanges {
                let real = session.call(&shown.tool, shown.arguments.clone()).await.unwrap();
                assert!(
                    transcript::matches(&shown.reply, &real),
                    "{name}, {era:?}: {}({}) now answers\n{real:#}",
                    shown.tool,
                    shown.arguments
                );
            }
        }
    }
}

/// Everything that the server writes while it may log all it likes.
#[tokio::test]
async fn standard_output_carries_the_protocol_alone() {
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "by hand", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {
            "name": "select", "arguments": {"table": "users", "limit": 1}}}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {
            "name": "select", "arguments": {"table": "nowhere"}}}),
        json!({"jsonrpc": "2.0", "id": 5, "method": "tools/call", "params": {"name": "nothing"}}),
        json!({"jsonrpc": "2.0", "id": 6, "method": "no/such/method"}),
    ];
    let database = Database::shop().await;
    let mut server = program(&["stdio", "--database-url", &database.url])
        .env("RUST_LOG", "trace")
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = server.stdin.take().unwrap();
    let output = tokio::spawn(server.wait_with_output());
    for (number, message) in messages.iter().enumerate() {
        // Small programs leave out the end of the last line.
        let end = if number + 1 < messages.len() { "\n" } else { "" };
        input.write_all(format!("{message}{end}").as_bytes()).await.unwrap();
    }
    // What was asked before the end of the input is answered.
    drop(input);
    let output = output.await.unwrap().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let mut ids: Vec<u64> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| {
            let message: Value =
                serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
            assert_eq!(message["jsonrpc"], "2.0", "{line}");
            message["id"].as_u64().unwrap_or_else(|| panic!("unasked: {line}"))
        })
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, [1, 2, 3, 4, 5, 6]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert!(!log.contains("ada@example.com"), "rows are logged");
}

#[tokio::test]
async fn each_role_has_the_tools_that_it_can_use_in_sixteen_kilobytes() {
    let database = Database::shop().await;
    let config = file("[archive]\nallow_hard_delete = true");
    let reads = ["list_tables", "describe_table", "select", "aggregate"];
    let changes = ["insert", "update", "archive", "restore"];
    for era in ERAS {
        for (role, writes) in [
            ("analyst", [].as_slice()),
            ("operator", &["transaction"]),
            ("admin", &["delete", "transaction"]),
        ] {
            let session = Session::open(
                &[
                    "stdio",
                    "--role",
                    role,
                    "--database-url",
                    &database.url,
                    "--config",
                    config.to_str().unwrap(),
                ],
                era,
            )
            .await;
            let tools = session.client.list_all_tools().await.unwrap();
            let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
            let mut expected = reads.to_vec();
            if !writes.is_empty() {
                expected.extend(changes);
            }
            expected.extend(writes);
            expected.push("explain");
            assert_eq!(names, expected, "{role}");
            let bytes = serde_json::to_string(&tools).unwrap().len();
            assert!(bytes < 16_000, "{role}: {bytes} bytes");
            for tool in &tools {
                assert!(tool.title.is_some() && tool.description.is_some(), "{}", tool.name);
                assert_eq!(tool.input_schema["type"], "object", "{}", tool.name);
                assert_eq!(tool.input_schema["additionalProperties"], false, "{}", tool.name);
                assert_eq!(tool.output_schema.as_ref().unwrap()["type"], "object", "{}", tool.name);
                let annotations = tool.annotations.as_ref().unwrap();
                let read_only = reads.contains(&&*tool.name) || tool.name == "explain";
                assert_eq!(annotations.read_only_hint, Some(read_only), "{}", tool.name);
                // Clients hold an error to the tool's output schema, too.
                let wrong = params(&tool.name, json!({"nosuch": 1}));
                let told =
                    session.client.call_tool(wrong).await.unwrap().structured_content.unwrap();
                assert!(told["error"]["code"].is_string(), "{}", tool.name);
                let output = tool.output_schema.as_ref().unwrap();
                let fits = |name: &str| output["properties"].get(name).is_some();
                assert!(told.as_object().unwrap().keys().all(|name| fits(name)), "{}", tool.name);
                let required = output.get("required").and_then(Value::as_array);
                assert!(required.is_none_or(Vec::is_empty), "{}", tool.name);
            }
        }
    }
}

#[tokio::test]
async fn a_tool_of_another_role_is_refused() {
    let database = Database::shop().await;
    let session = Session::open(&["stdio", "--database-url", &database.url], Era::Initialize).await;
    let update = json!({"table": "users", "where": {"user_id": 1}, "updates": {"name": "x"}});
    let refused = session.call("update", update.clone()).await.unwrap();
    assert_eq!(refused["error"]["code"], "forbidden", "{refused}");
    let unknown = session.call("selct", update).await.unwrap_err().to_string();
    assert!(unknown.contains("there is no tool \"selct\""), "{unknown}");
    let name = database.value("SELECT name FROM users WHERE user_id = 1").await;
    assert_eq!(name.as_deref(), Some("Ada Marsh"));
}

#[tokio::test]
async fn resources_templates_completion_and_prompts() {
    let database = Database::shop().await;
    for era in ERAS {
        let session = Session::open(&["stdio", "--database-url", &database.url], era).await;
        let client = &session.client;

        let resources = client.list_all_resources().await.unwrap();
        let uris: Vec<&str> = resources.iter().map(|resource| &*resource.uri).collect();
        for uri in ["schema", "diagram", "role", "schema/users", "schema/order_items"] {
            assert!(uris.contains(&&*format!("postgresql://{uri}")), "{uri} in {uris:?}");
        }
        for uri in uris {
            let read = client.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
            let [ResourceContents::TextResourceContents { text, mime_type, .. }] =
                read.contents.as_slice()
            else {
                panic!("{uri}: {read:?}")
            };
            match mime_type.as_deref() {
                Some("application/json") => {
                    let value: Value = serde_json::from_str(text).unwrap();
                    assert!(value.is_object(), "{uri}: {value}");
                }
                _ => assert!(text.starts_with("erDiagram"), "{uri}: {text}"),
            }
        }
        let absent = ReadResourceRequestParams::new("postgresql://schema/nowhere");
        client.read_resource(absent).await.unwrap_err();

        let templates = client.list_all_resource_templates().await.unwrap();
        assert_eq!(templates.len(), 1);
        let template = templates[0].uri_template.clone();
        assert_eq!(template, "postgresql://schema/{table}");
        let typed = ArgumentInfo::new("table", "user");
        let completed = client
            .complete(CompleteRequestParams::new(Reference::for_resource(template), typed))
            .await
            .unwrap();
        assert_eq!(completed.completion.values, ["user_preferences", "users"]);

        let prompts = client.list_all_prompts().await.unwrap();
        let names: Vec<&str> = prompts.iter().map(|prompt| &*prompt.name).collect();
        assert_eq!(
            names,
            ["explore_database", "answer_question", "check_data_quality", "plan_change"]
        );
        for (name, argument) in [
            ("explore_database", None),
            ("answer_question", Some(("question", "Who ordered most?"))),
            ("check_data_quality", Some(("table", "orders"))),
            ("plan_change", Some(("goal", "close old accounts"))),
        ] {
            let mut request = GetPromptRequestParams::new(name);
            if let Some((name, value)) = argument {
                request = request.with_arguments(
                    json!({ name: value }).as_object().cloned().unwrap_or_default(),
                );
            }
            let prompt = client.get_prompt(request).await.unwrap();
            let text = serde_json::to_string(&prompt.messages).unwrap();
            assert!(argument.is_none_or(|(_, value)| text.contains(value)), "{name}: {text}");
        }
        client.get_prompt(GetPromptRequestParams::new("plan_change")).await.unwrap_err();
    }
}

/// A view whose statements run for half a minute.
pub(crate) const SLOW: &str = "CREATE VIEW slow AS SELECT pg_sleep(30)::text AS waited";

/// Waits until a statement on that view runs, or no longer does.
pub(crate) async fn until_slow(database: &Database, running: bool) {
    let some = "SELECT (count(*) > 0)::text FROM pg_stat_activity WHERE state = 'active' \
        AND datname = current_database() AND query LIKE '%slow%' AND pid <> pg_backend_pid()";
    // Sooner than the statement would end by itself.
    let changed = database.until(some, if running { "true" } else { "false" });
    let changed = tokio::time::timeout(Duration::from_secs(8), changed).await;
    changed.unwrap_or_else(|_| panic!("after 8 seconds still not: running {running}"));
}

/// Sends a call that reads the view, without waiting for its answer.
async fn call_slow(session: &Session) -> RequestHandle<RoleClient> {
    let request = CallToolRequest::new(params("select", json!({"table": "slow"})));
    let request = ClientRequest::CallToolRequest(request);
    let sent = session.client.send_cancellable_request(request, PeerRequestOptions::no_options());
    sent.await.unwrap()
}

#[tokio::test]
async fn a_cancelled_call_stops_its_statement() {
    let database = Database::of(SLOW).await;
    for era in ERAS {
        let session = Session::open(&["stdio", "--database-url", &database.url], era).await;
        let handle = call_slow(&session).await;
        until_slow(&database, true).await;
        handle.cancel(Some("enough".into())).await.unwrap();
        until_slow(&database, false).await;
        // The session goes on.
        assert!(session.call("list_tables", json!({})).await.unwrap()["tables"].is_array());
    }
}

#[tokio::test]
async fn a_signal_stops_the_statement_that_runs() {
    let database = Database::of(SLOW).await;
    let mut session =
        Session::open(&["stdio", "--database-url", &database.url], Era::Initialize).await;
    let _unanswered = call_slow(&session).await;
    until_slow(&database, true).await;
    let id = session.server.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
    let ended = tokio::time::timeout(Duration::from_secs(30), session.server.wait()).await;
    assert_eq!(ended.unwrap().unwrap().code(), Some(0));
    until_slow(&database, false).await;
}

#[tokio::test]
async fn a_demo_leaves_nothing_behind_however_it_ends() {
    for gently in [true, false] {
        let mut session = Session::open(&["stdio", "--demo=shop"], Era::Initialize).await;
        let directory = format!("/tmp/mcp-pg-{}-0", session.server.id().unwrap());
        let directory = Path::new(&directory);
        let lock = std::fs::read_to_string(directory.join("data/postmaster.pid")).unwrap();
        let postgres = lock.lines().next().unwrap().to_owned();
        if gently {
            session.client.close().await.unwrap();
        } else {
            session.server.start_kill().unwrap();
        }
        let status = session.server.wait().await.unwrap();
        assert_eq!(status.code(), gently.then_some(0));
        for attempt in 0.. {
            if !directory.exists() {
                break;
            }
            assert!(attempt < 1_000, "{} is still there", directory.display());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let alive =
            std::process::Command::new("ps").args(["-o", "stat=", "-p", &postgres]).output();
        let state = String::from_utf8(alive.unwrap().stdout).unwrap().trim().to_owned();
        assert!(state.is_empty() || state.starts_with('Z'), "postgres runs on: {state}");
    }
}
