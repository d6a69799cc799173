//! The client settings in the README and in docs/clients.md start the server.

use std::process::Stdio;

use mcp_pg_tests::Database;
use rmcp::ServiceExt;
use serde_json::Value;

use crate::program::program;

const README: &str = include_str!("../../../README.md");
const CLIENTS: &str = include_str!("../../../docs/clients.md");

/// How a client is told to start the server: arguments, and where it says the database's URL is.
fn settings() -> Vec<(Vec<String>, String)> {
    let blocks = [README, CLIENTS].into_iter().flat_map(|document| {
        document.split("```json\n").skip(1).filter_map(|rest| rest.split("\n```").next())
    });
    let mut found: Vec<_> = blocks
        .map(|block| {
            serde_json::from_str::<Value>(block).unwrap_or_else(|e| panic!("{e}: {block}"))
        })
        .filter_map(|block| block.get("mcpServers").or(block.get("servers")).cloned())
        .map(|servers| {
            let server = &servers["postgres"];
            assert_eq!(server["command"], "mcp-pg-server");
            let arguments = serde_json::from_value(server["args"].clone()).unwrap();
            (arguments, server["env"]["DATABASE_URL"].as_str().unwrap().to_owned())
        })
        .collect();
    let line = CLIENTS.lines().find(|line| line.contains(" -- mcp-pg-server ")).unwrap();
    let (told, run) = line.split_once(" -- mcp-pg-server ").unwrap();
    let url = told.split_once("--env DATABASE_URL=").unwrap().1;
    found.push((run.split(' ').map(str::to_owned).collect(), url.to_owned()));
    found
}

#[tokio::test]
async fn clients_that_are_set_up_as_the_documents_say_find_the_tools() {
    let settings = settings();
    assert_eq!(settings.len(), 3);
    let database = Database::shop().await;
    for (arguments, url) in settings {
        assert!(
            url == "${input:database}" || url.parse::<tokio_postgres::Config>().is_ok(),
            "{url}"
        );
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut server = program(&arguments)
            .env("DATABASE_URL", &database.url)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let client = ().serve(pipes).await.unwrap();
        let tools = client.list_all_tools().await.unwrap();
        // What an operator may do.
        let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
        assert!(names.contains(&"select") && names.contains(&"update"), "{names:?}");
    }
}
