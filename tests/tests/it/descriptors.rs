//! File descriptors: the connections of clients do not take those of the database.

use std::time::Duration;

use mcp_pg_tests::Database;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::program::{Served, program_after};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// A server that is started after this command of the shell.
async fn server_after(command: &str, database: &Database) -> Served {
    let arguments = ["http", "--listen", "127.0.0.1:0", "--database-url", &database.url];
    Served::of(&mut program_after(command, &arguments)).await
}

/// Sends the request on all of these connections, and returns whether each is answered with success.
async fn answered(connections: &mut [TcpStream], request: &str) -> bool {
    for connection in connections.iter_mut() {
        connection.write_all(request.as_bytes()).await.unwrap();
    }
    for connection in connections {
        let mut answer = vec![0; 4_096];
        let wait = Duration::from_secs(20);
        let length = tokio::time::timeout(wait, connection.read(&mut answer)).await;
        let Ok(Ok(length)) = length else { return false };
        let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
        if !answer.starts_with("HTTP/1.1 200") || answer.contains("isError\":true") {
            return false;
        }
    }
    true
}

async fn connections(server: &Served, number: usize) -> Vec<TcpStream> {
    let mut connections = Vec::new();
    for _ in 0..number {
        connections.push(TcpStream::connect(&server.address).await.unwrap());
    }
    connections
}

#[tokio::test]
async fn the_limit_is_raised_as_far_as_it_may() {
    let database = Database::shop().await;
    let mut server = server_after("ulimit -Sn 128", &database).await;
    assert!(answered(&mut connections(&server, 200).await, HEALTH).await);
    let said = server.said();
    assert!(!said.iter().any(|line| line.contains("can be accepted")), "{said:?}");
}

#[tokio::test]
async fn as_many_connections_are_accepted_as_leave_room_for_the_database() {
    let database = Database::of(
        "CREATE TABLE note (id integer PRIMARY KEY);
         CREATE VIEW slow AS SELECT note.id, pg_sleep(0.5)::text AS waited FROM note;
         INSERT INTO note VALUES (1)",
    )
    .await;
    let mut server = server_after("ulimit -n 128", &database).await;
    server.logged("server.max_connections = 1000, but no more than 64 connections").await;
    let mut all = connections(&server, 110).await;
    let (first, _later) = all.split_at_mut(64);
    assert!(answered(first, HEALTH).await);
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        {"name": "select", "arguments": {"table": "slow"}}})
    .to_string();
    let request = format!(
        "POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n\
         Content-Length: {}\r\n\r\n{call}",
        call.len()
    );
    assert!(answered(&mut first[..32], &request).await);
    let said = server.said();
    assert!(!said.iter().any(|line| line.contains("Too many open files")), "{said:?}");
}

/// `prlimit` of Linux changes the limit of a process that runs.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn that_none_can_be_accepted_is_told_once_in_a_while() {
    let database = Database::shop().await;
    let mut server = server_after("ulimit -Sn 128", &database).await;
    let id = server.server.id().unwrap().to_string();
    let limit = |most: &str| {
        let limit = format!("--nofile={most}");
        let mut command = std::process::Command::new("prlimit");
        assert!(command.args(["--pid", &id, &limit]).status().unwrap().success());
    };
    limit("4:");
    let mut waiting = connections(&server, 1).await;
    server.logged("no connection can be accepted").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let said = server.said();
    assert!(!said.iter().any(|line| line.contains("can be accepted")), "{said:?}");
    limit("128:");
    assert!(answered(&mut waiting, HEALTH).await);
}
