//! Slow clients: how long they may keep a connection.

use std::time::Duration;

use mcp_pg_tests::Database;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::program::{Served, file};

const HEADERS: &str = "Host: localhost\r\nContent-Type: application/json\r\n\
    Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2025-11-25\r\n";

/// A server with one place, which nobody keeps for long without need.
async fn server(database: &Database) -> Served {
    serve(database, "max_connections = 1\nrequest_timeout = \"1s\"", &[]).await
}

async fn serve(database: &Database, keys: &str, more: &[&str]) -> Served {
    let config = file(&format!("[limits]\nmax_reply_bytes = 1000000\n[server]\n{keys}\n"));
    let mut arguments = vec!["--database-url", &database.url, "--config", config.to_str().unwrap()];
    arguments.extend_from_slice(more);
    Served::start(&arguments).await
}

/// Waits for one's turn, and for an answer.
async fn answered(server: &Served) {
    let answer = tokio::time::timeout(Duration::from_secs(30), server.get("/healthz")).await;
    assert_eq!(answer.expect("the place is kept").0, 200);
}

/// Sends a byte now and then, until that is no longer possible.
fn trickle(mut to: tokio::net::tcp::OwnedWriteHalf, byte: u8) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while to.write_all(&[byte]).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    })
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_waited_for() {
    let database = Database::shop().await;
    let server = server(&database).await;
    for half in ["", "POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: "] {
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        connection.write_all(half.as_bytes()).await.unwrap();
        answered(&server).await;
        drop(connection);
    }
    let mut connection = TcpStream::connect(&server.address).await.unwrap();
    connection.write_all(b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let (_from, to) = connection.into_split();
    let slow = trickle(to, b'x');
    answered(&server).await;
    slow.abort();
    // What goes on for long is not kept for as long.
    let mut connection = TcpStream::connect(&server.address).await.unwrap();
    let head = format!("POST /mcp HTTP/1.1\r\nHost: localhost\r\nX-Long: {}", "x".repeat(100_000));
    let _ = connection.write_all(head.as_bytes()).await;
    let mut answer = [0; 12];
    connection.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 431");
    drop(connection);
    // One that has been answered and says no more.
    let mut connection = TcpStream::connect(&server.address).await.unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    answered(&server).await;
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn a_body_that_does_not_end_gets_408_and_a_record() {
    let database = Database::shop().await;
    let audit = file("");
    std::fs::remove_file(&audit).unwrap();
    let keys = format!(
        "max_connections = 1\nrequest_timeout = \"1s\"\n[audit]\nfile = {:?}",
        audit.to_str().unwrap()
    );
    let server = serve(&database, &keys, &[]).await;
    let mut connection = TcpStream::connect(&server.address).await.unwrap();
    let head = format!("POST /mcp HTTP/1.1\r\n{HEADERS}Content-Length: 100000\r\n\r\n");
    connection.write_all(head.as_bytes()).await.unwrap();
    let (mut from, to) = connection.into_split();
    let slow = trickle(to, b' ');
    let mut answer = vec![0; 12];
    from.read_exact(&mut answer).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 408");
    answered(&server).await;
    slow.abort();
    server.stop().await;
    let records = std::fs::read_to_string(&audit).unwrap();
    let [record] = records.lines().collect::<Vec<_>>()[..] else { panic!("{records}") };
    let record: Value = serde_json::from_str(record).unwrap();
    assert_eq!((&record["tool"], &record["outcome"]), (&json!("request"), &json!("error")));
}

#[tokio::test]
async fn a_reply_that_is_not_taken_is_not_kept() {
    let database = Database::of(
        "CREATE TABLE note (id integer PRIMARY KEY, text text);
         INSERT INTO note SELECT n, repeat('x', 9000) FROM generate_series(1, 100) AS n",
    )
    .await;
    let server = server(&database).await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut connection = socket.connect(server.address.parse().unwrap()).await.unwrap();
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
        {"name": "select", "arguments": {"table": "note", "limit": 100}}})
    .to_string();
    let length = call.len();
    let request = format!("POST /mcp HTTP/1.1\r\n{HEADERS}Content-Length: {length}\r\n\r\n{call}");
    // More than all buffers on the way hold.
    for _ in 0..30 {
        connection.write_all(request.as_bytes()).await.unwrap();
    }
    answered(&server).await;
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_for_their_turn() {
    const REQUEST: &[u8] = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let database = Database::shop().await;
    let server = serve(&database, "max_connections = 1", &[]).await;
    let mut first = TcpStream::connect(&server.address).await.unwrap();
    let mut second = TcpStream::connect(&server.address).await.unwrap();
    second.write_all(REQUEST).await.unwrap();
    let mut answer = [0; 4_096];
    for _ in 0..20 {
        first.write_all(REQUEST).await.unwrap();
        assert!(first.read(&mut answer).await.unwrap() > 0);
        let early = second.try_read(&mut answer);
        assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }
    drop(first);
    assert!(second.read(&mut answer).await.unwrap() > 0);
    // Nobody who waits is forgotten when the server ends.
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn large_requests_wait_for_room() {
    let database = Database::shop().await;
    let config = file("[limits]\nmax_request_bytes = 100000\n[server]\nrequest_timeout = \"5s\"\n");
    let arguments = ["--database-url", &database.url, "--config", config.to_str().unwrap()];
    let server = Served::start(&arguments).await;
    let request = |size: usize| {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params":
            {"name": "select", "arguments": {"table": "users", "limit": 1}}})
        .to_string();
        let body = call.clone() + &" ".repeat(size - call.len());
        format!("POST /mcp HTTP/1.1\r\n{HEADERS}Content-Length: {size}\r\n\r\n{body}").into_bytes()
    };
    let send = async |bytes: &[u8]| {
        let mut connection = TcpStream::connect(&server.address).await.unwrap();
        connection.write_all(bytes).await.unwrap();
        connection
    };
    let answer = async |connection: &mut TcpStream| {
        let mut answer = vec![0; 12];
        connection.read_exact(&mut answer).await.unwrap();
        String::from_utf8(answer).unwrap()
    };
    let large = request(90_000);
    let (all, last) = large.split_at(large.len() - 1);
    let mut first = send(all).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut second = send(&large).await;
    // A small one does not wait.
    let mut small = send(&request(500)).await;
    assert_eq!(answer(&mut small).await, "HTTP/1.1 200");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let early = second.try_read(&mut [0; 12]);
    assert_eq!(early.unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    first.write_all(last).await.unwrap();
    assert_eq!(answer(&mut first).await, "HTTP/1.1 200");
    assert_eq!(answer(&mut second).await, "HTTP/1.1 200");
}
