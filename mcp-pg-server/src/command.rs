//! What each command does, from its options to its exit status.

mod check;
mod describe;
mod hash_key;
mod listen;
mod posture;
mod reload;
mod session;
mod setup_sql;
mod verify;
mod watched;

use std::io::Write;
use std::sync::Arc;

use mcp_pg_core::audit;
use mcp_pg_core::{Agreement, Code, Error, Origin, Reply};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::cli::{Audit, Cli, Command, DiagramFormat};
use crate::config::{Config, ConfigError, Environment};
use crate::diagram::Diagram;
use crate::limits::Limiter;
use crate::{call, reply, stdio};
use session::Session;

/// How a command ended, for the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// A finding or a failed call; already printed.
    Finding = 1,
    /// Wrong usage or configuration.
    Usage = 2,
    /// No database.
    NoDatabase = 3,
}

/// Why a command could not be carried out.
#[derive(Debug)]
pub struct Failure {
    /// The exit status.
    pub exit: Exit,
    /// The sentence for standard error; empty if there is nothing to say.
    pub message: String,
}

impl Failure {
    fn usage(message: impl Into<String>) -> Self {
        Self { exit: Exit::Usage, message: message.into() }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match error.code() {
            Code::DatabaseUnavailable => Exit::NoDatabase,
            Code::AuditUnavailable => Exit::Usage,
            _ => Exit::Finding,
        };
        // The person at the keyboard may see the cause that no reply tells.
        let message = match error.cause() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self { exit, message }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            // Whoever read the output has seen enough.
            std::io::ErrorKind::BrokenPipe => Self { exit: Exit::Done, message: String::new() },
            _ => Self { exit: Exit::Finding, message: error.to_string() },
        }
    }
}

/// Carries out a command; what it prints goes to `out`.
///
/// # Errors
///
/// What keeps it from being carried out; a finding is no error but [`Exit::Finding`].
pub async fn run(
    cli: Cli,
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    if let Command::HashKey { stdin } = cli.command {
        hash_key::print(stdin, out)?;
        return Ok(Exit::Done);
    }
    let mut config = reload::load(&cli.common, environment)?;
    if let Command::Describe { .. } | Command::Diagram { .. } = cli.command {
        // They call nothing that is to be recorded.
        config.audit_file = None;
    }
    match cli.command {
        Command::Audit(Audit::Verify { file }) => {
            verify::verify(&cli.common, config, environment, file, out).await
        }
        Command::HashKey { .. } => Ok(Exit::Done),
        Command::SetupSql { notify } => {
            setup_sql::print(&config.settings, &notify, out)?;
            Ok(Exit::Done)
        }
        Command::Check => check::check(&cli.common, config, environment, out).await,
        Command::Stdio { caller } => {
            let caller = session::principal(caller, &config, environment)?;
            let limiter = Arc::new(Limiter::new(config.request_limits.clone()));
            let source = reload::Source::new(&cli.common, environment, &config);
            let session = Session::open(&cli.common, config, environment).await?;
            let engine = session.engine.clone();
            tokio::spawn(async move { posture::warn(&engine).await });
            let stop = stop_on_signal();
            let _following = session.follow();
            let serving = stdio::serve(session.engine.clone(), caller, limiter.clone(), stop);
            let prepare = |config: &Config| {
                let (limiter, limits) = (&limiter, config.request_limits.clone());
                Ok(move || limiter.replace(limits))
            };
            tokio::select! {
                served = serving => {
                    served.map_err(|message| Failure { exit: Exit::Finding, message })?;
                }
                never = source.follow(&session.engine, prepare) => match never {},
            }
            session.close().await
        }
        Command::Http { listen } => {
            let session = listen::serve(&listen, &cli.common, config, environment).await?;
            session.close().await
        }
        Command::Describe { table, json, caller } => {
            let caller = session::principal(caller, &config, environment)?;
            let session = Session::open(&cli.common, config, environment).await?;
            let view = session.engine.view(&caller)?;
            describe::describe(&view, table.as_deref(), json, out)?;
            session.close().await
        }
        Command::Diagram { format, around, depth, caller } => {
            let caller = session::principal(caller, &config, environment)?;
            let session = Session::open(&cli.common, config, environment).await?;
            let view = session.engine.view(&caller)?;
            let diagram = match &around {
                None => Diagram::whole(&view),
                Some(table) => Diagram::around(&view, table, depth)?,
            };
            let drawing = match format {
                DiagramFormat::Mermaid => diagram.mermaid(usize::MAX),
                DiagramFormat::Svg => diagram.svg().map_err(Failure::usage)?,
            };
            write!(out, "{drawing}")?;
            session.close().await
        }
        Command::Call { tool, arguments, yes, caller } => {
            let caller = session::principal(caller, &config, environment)?;
            let session = Session::open(&cli.common, config, environment).await?;
            let origin = Origin { transport: "cli".into(), client: audit::Client::default() };
            let engine = &session.engine;
            let outcome = match call::find_tool(engine, &caller, &origin, &tool, &arguments) {
                Ok(()) => {
                    let first =
                        call::run(engine, &caller, &origin, &tool, arguments.clone(), None).await;
                    match first.as_ref().err().and_then(Error::question).filter(|_| yes) {
                        None => first,
                        Some(question) => {
                            let agreed = Agreement { plan: question.plan.clone(), number: None };
                            let agreed = Some(&agreed);
                            call::run(engine, &caller, &origin, &tool, arguments, agreed).await
                        }
                    }
                }
                Err(error) => Err(error),
            };
            let (exit, result) = match outcome.and_then(Reply::into_value) {
                Ok(value) => (Exit::Done, value),
                Err(error) => (Exit::Finding, reply::error_object(&error)),
            };
            print_json(out, &result)?;
            session.close().await?;
            Ok(exit)
        }
    }
}

fn print_json(out: &mut (dyn Write + Send), value: &Value) -> std::io::Result<()> {
    writeln!(out, "{value:#}")
}

/// A token that SIGINT or SIGTERM cancels, from now on.
#[cfg(unix)]
fn stop_on_signal() -> CancellationToken {
    use tokio::signal::unix::{SignalKind, signal};
    let stop = CancellationToken::new();
    for kind in [SignalKind::interrupt(), SignalKind::terminate()] {
        // Registered here, not in the task: a signal may come before that first runs.
        match signal(kind) {
            Ok(mut signals) => {
                let cancel = stop.clone();
                tokio::spawn(async move {
                    signals.recv().await;
                    cancel.cancel();
                });
            }
            Err(error) => {
                tracing::warn!(%error, ?kind, "a signal will not end this process gently")
            }
        }
    }
    stop
}

/// A token that Ctrl-C cancels.
#[cfg(not(unix))]
fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let cancel = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        cancel.cancel();
    });
    stop
}
