//! The program `mcp-pg-server`.

mod log;

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use mcp_pg_server::cli::{Cli, Command};
use mcp_pg_server::command::{self, Exit};
use mcp_pg_server::config::Environment;
use tracing_subscriber::EnvFilter;

use log::Lines;

/// A call makes many small allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // The server logs warnings; `check` prints them as findings.
    log_to_stderr(if matches!(cli.command, Command::Check) { "error" } else { "warn" });
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.to_string(), Exit::Finding),
    };
    let environment = Environment::of_process();
    let mut out = Output(io::stdout());
    let outcome = runtime.block_on(command::run(cli, &environment, &mut out));
    // A thread that waits for standard input must not delay the end.
    runtime.shutdown_timeout(Duration::from_millis(100));
    match outcome {
        Ok(exit) => ExitCode::from(exit as u8),
        Err(failure) => failed(&failure.message, failure.exit),
    }
}

/// Ignores that the reader of the output has left, as `head` does. The exit status still tells how the command ended.
struct Output<W>(W);

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        unless_left(self.0.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        unless_left(self.0.flush(), ())
    }
}

fn unless_left<T>(outcome: io::Result<T>, done: T) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(done),
        outcome => outcome,
    }
}

fn failed(message: &str, exit: Exit) -> ExitCode {
    // If nobody reads standard error, the exit status still tells.
    let _ = writeln!(io::stderr(), "mcp-pg-server: {message}");
    ExitCode::from(exit as u8)
}

/// Logs to standard error, since standard output belongs to the protocol. `RUST_LOG` may raise the level, but not for
/// modules that log requests with their rows. rmcp logs it as an error if a client disconnects, and the pool logs
/// each connection that it loses; both are turned off.
fn log_to_stderr(least: &str) {
    let mut filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(least));
    for quiet in ["rmcp=warn", "rmcp::service=off", "tokio_postgres=warn", "deadpool=off"] {
        if let Ok(directive) = quiet.parse() {
            filter = filter.add_directive(directive);
        }
    }
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines).with_ansi(false).init();
}
