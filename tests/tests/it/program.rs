//! Runs the program: a process with arguments, an environment and pipes.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::RunningService;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, RoleClient, ServiceError};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PROGRAM: &str = env!("CARGO_BIN_EXE_mcp-pg-server-under-test");

/// The program with nothing around it that could change what it does: no variable, no configuration file.
pub(crate) fn program(arguments: &[&str]) -> Command {
    alone(Command::new(PROGRAM), arguments)
}

/// The same, started by a shell after this command, for instance `ulimit -n 100`.
pub(crate) fn program_after(command: &str, arguments: &[&str]) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{command} && exec \"$0\" \"$@\""), PROGRAM]);
    alone(shell, arguments)
}

fn alone(mut command: Command, arguments: &[&str]) -> Command {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PG") || text.starts_with("MCP_PG__") || text == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.env_remove("RUST_LOG").args(arguments).current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

/// What a process said, and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ended {
    pub(crate) async fn of(command: &mut Command) -> Self {
        let output = command.output().await.unwrap();
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the program to its end.
pub(crate) async fn run(arguments: &[&str]) -> Ended {
    Ended::of(&mut program(arguments)).await
}

/// A file that no other test has.
pub(crate) fn file(text: &str) -> PathBuf {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::File::create(&path).unwrap().write_all(text.as_bytes()).unwrap();
    path
}

/// How a client meets the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    /// `initialize`, up to revision 2025-11-25.
    Initialize,
    /// `server/discover`, from revision 2026-07-28 on.
    Discover,
}

pub(crate) const ERAS: [Era; 2] = [Era::Initialize, Era::Discover];

/// rmcp's client at the pipes of a program that serves MCP.
pub(crate) struct Session<H: ClientHandler = ()> {
    pub(crate) client: RunningService<RoleClient, H>,
    pub(crate) server: Child,
}

impl Session {
    pub(crate) async fn open(arguments: &[&str], era: Era) -> Self {
        Self::open_with((), arguments, era).await
    }
}

impl<H: ClientHandler> Session<H> {
    /// A session whose client does with notifications what `handler` does.
    pub(crate) async fn open_with(handler: H, arguments: &[&str], era: Era) -> Self {
        let mut server = program(arguments).stdin(Stdio::piped()).spawn().unwrap();
        let pipes = (server.stdout.take().unwrap(), server.stdin.take().unwrap());
        let lifecycle = match era {
            Era::Initialize => ClientLifecycleMode::Initialize,
            Era::Discover => ClientLifecycleMode::Discover {
                preferred_versions: vec![ProtocolVersion::V_2026_07_28],
            },
        };
        let client = handler.serve_with_lifecycle(pipes, lifecycle).await.unwrap();
        Self { client, server }
    }

    /// The structured content of a tool's result, which its text must repeat.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Result<Value, ServiceError> {
        let result = self.client.call_tool(params(tool, arguments)).await?;
        let structured = result.structured_content.expect("structured content");
        let [text] = result.content.as_slice() else {
            panic!("one block, not {:?}", result.content)
        };
        let text: Value = serde_json::from_str(&text.as_text().unwrap().text).unwrap();
        assert_eq!(text, structured);
        assert_eq!(result.is_error == Some(true), structured.get("error").is_some());
        Ok(structured)
    }
}

pub(crate) fn params(tool: &str, arguments: Value) -> CallToolRequestParams {
    let Value::Object(arguments) = arguments else { panic!("arguments are an object") };
    CallToolRequestParams::new(tool.to_owned()).with_arguments(arguments)
}

/// The program serving HTTP, on a port of its own.
pub(crate) struct Served {
    pub(crate) address: String,
    pub(crate) server: Child,
    log: UnboundedReceiver<String>,
}

impl Served {
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        Self::listen("127.0.0.1:0", arguments).await
    }

    pub(crate) async fn listen(address: &str, arguments: &[&str]) -> Self {
        Self::of(program(&["http", "--listen", address]).args(arguments)).await
    }

    /// The program that `command` runs.
    pub(crate) async fn of(command: &mut Command) -> Self {
        let mut server = command.spawn().unwrap();
        let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
        let (sender, log) = unbounded_channel();
        let address = loop {
            let line = lines.next_line().await.unwrap().expect("the address");
            let _ = sender.send(line.clone());
            if let Some((_, url)) = line.split_once("listening on ") {
                let (_, address) = url.split_once("://").expect("a URL");
                break address.trim_end_matches("/mcp").to_owned();
            }
        };
        // Whoever stops reading would stop the server at its next log line.
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                let _ = sender.send(line);
            }
        });
        Self { address, server, log }
    }

    /// Waits until a line of its log says this, and gives it.
    pub(crate) async fn logged(&mut self, text: &str) -> String {
        let wait = async {
            loop {
                let line = self.log.recv().await.expect("a log");
                if line.contains(text) {
                    return line;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(20), wait).await.expect(text)
    }

    /// What it has logged since it was last waited for.
    pub(crate) fn said(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.log.try_recv().ok()).collect()
    }

    /// Waits until the page for Prometheus has these lines.
    pub(crate) async fn counts(&self, lines: &[&str]) {
        for attempt in 0.. {
            let (_, page) = self.get("/metrics").await;
            if lines.iter().all(|line| page.lines().any(|have| have == *line)) {
                break;
            }
            assert!(attempt < 500, "no {lines:?} in\n{page}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Ends it gently: its audit is complete then.
    pub(crate) async fn stop(mut self) {
        let id = self.server.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").arg(&id).status().unwrap().success());
        assert!(self.server.wait().await.unwrap().success());
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        self.send("GET", path, &[], "").await
    }

    /// One request on a connection of its own: status and body of the answer.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, String) {
        let (head, body) = self.exchange(method, path, headers, body).await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// One request on a connection of its own: head and body of the answer.
    pub(crate) async fn exchange(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (String, String) {
        let mut connection = TcpStream::connect(&self.address).await.unwrap();
        // HTTP/1.0: the body ends where the connection does.
        let mut request = format!("{method} {path} HTTP/1.0\r\nContent-Length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        request.push_str(body);
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        (head.to_owned(), body.to_owned())
    }

    /// One MCP request; status and message of the answer.
    pub(crate) async fn request(
        &self,
        era: Era,
        method: &str,
        mut params: Value,
        more: &[(&str, &str)],
    ) -> (u16, Value) {
        let name = params.get("name").or(params.get("uri")).and_then(Value::as_str);
        let name = name.unwrap_or_default().to_owned();
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Accept", "application/json, text/event-stream"),
        ];
        match era {
            Era::Initialize => headers.push(("MCP-Protocol-Version", "2025-11-25")),
            Era::Discover => {
                params["_meta"] = serde_json::json!({
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": {"name": "it", "version": "1"},
                    "io.modelcontextprotocol/clientCapabilities": {},
                });
                headers.extend([("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", method)]);
                if !name.is_empty() {
                    headers.push(("Mcp-Name", &name));
                }
            }
        }
        headers.extend_from_slice(more);
        let body =
            serde_json::json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let (status, body) = self.send("POST", "/mcp", &headers, &body.to_string()).await;
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }
}
