//! The program itself, spoken to over its standard input and output.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use crate::film::Fault;

/// A running `mcp-pg-server stdio`.
#[derive(Debug)]
pub struct Server {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
    last: u64,
}

impl Server {
    /// Starts the program on a database, and shakes hands.
    ///
    /// # Errors
    ///
    /// It does not start, or does not answer.
    pub fn start(program: &Path, database: &str) -> Result<Self, Fault> {
        let mut child = Command::new(program)
            .args(["stdio", "--database-url", database])
            .env("MCP_PG__LIMITS__REQUESTS_PER_MINUTE", "1000000000")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipes".into());
        };
        let mut server = Self { child, input, output: BufReader::new(output).lines(), last: 0 };
        let client = json!({"name": "bench", "version": "0"});
        server.ask(
            "initialize",
            &json!({"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": client}),
        )?;
        server.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}))?;
        Ok(server)
    }

    /// Sends a request, and waits for the line that answers it.
    ///
    /// # Errors
    ///
    /// The program has ended, or refuses.
    pub fn ask(&mut self, method: &str, parameters: &Value) -> Result<String, Fault> {
        self.last += 1;
        let id = self.last;
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": parameters});
        self.send(&request)?;
        let mark = format!("\"id\":{id},");
        for line in &mut self.output {
            let line = line?;
            if line.contains(&mark) {
                let refused = line.contains("\"isError\":true") || !line.contains("\"result\"");
                return if refused { Err(line.into()) } else { Ok(line) };
            }
        }
        Err("the server has ended".into())
    }

    /// The most memory that it ever had resident, in bytes.
    ///
    /// # Errors
    ///
    /// This is not Linux.
    pub fn peak_memory(&self) -> Result<u64, Fault> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes * 1024)
    }

    fn send(&mut self, message: &Value) -> Result<(), Fault> {
        writeln!(self.input, "{message}")?;
        Ok(self.input.flush()?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
