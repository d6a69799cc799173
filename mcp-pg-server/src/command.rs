//! What each command does, from its options to its exit status.

mod call;
mod check;
mod describe;
mod descriptors;
mod hash_key;
mod listen;
mod posture;
mod reload;
mod session;
mod setup_sql;
mod signal;
mod stdio;
mod verify;
mod watched;

use std::io::Write;
use std::sync::Arc;

use mcp_pg_core::policy::View;
use mcp_pg_core::{Code, Error, Principal};
use serde_json::Value;

use crate::cli::{Caller, Cli, Command, Common, DiagramFormat};
use crate::config::{Config, ConfigError, Environment};
use crate::diagram::Diagram;
use crate::reply;
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

/// Why a command failed.
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
        // The user of the command line may see the cause, which replies do not contain.
        let message = match error.cause() {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        Self { exit, message }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { exit: Exit::Finding, message: error.to_string() }
    }
}

/// Runs a command, which writes its output to `out`.
///
/// # Errors
///
/// Why it cannot be run. A finding is not an error but [`Exit::Finding`].
pub async fn run(
    cli: Cli,
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    // Needs no configuration, so that there is a key to write into one.
    if let Command::HashKey { stdin } = cli.command {
        hash_key::print(stdin, out)?;
        return Ok(Exit::Done);
    }
    let mut config = match reload::load(&cli.common, environment) {
        Err(fault) if matches!(cli.command, Command::Check) => {
            let mut faults = Config::faults(cli.common.config.as_deref(), environment);
            if faults.is_empty() {
                faults.push(fault);
            }
            return check::unusable_configuration(&faults, out);
        }
        loaded => loaded?,
    };
    if let Command::Describe { .. } | Command::Diagram { .. } = cli.command {
        // These commands make no calls to record.
        config.audit_file = None;
    }
    match cli.command {
        Command::Audit(command) => {
            verify::verify(&cli.common, config, environment, command, out).await
        }
        // Done above.
        Command::HashKey { .. } => Ok(Exit::Done),
        Command::SetupSql { notify } => {
            setup_sql::print(&config.settings, &notify, out)?;
            Ok(Exit::Done)
        }
        Command::Check => check::check(&cli.common, config, environment, out).await,
        Command::Stdio { caller } => stdio::serve(&cli.common, config, environment, caller).await,
        Command::Http { listen } => {
            let session = listen::serve(&listen, &cli.common, config, environment).await?;
            session.close().await
        }
        Command::Describe { table, json, caller } => {
            let (session, view) = viewed(&cli.common, config, environment, caller).await?;
            describe::describe(&view, table.as_deref(), json, out)?;
            session.close().await
        }
        Command::Diagram { format, around, depth, caller } => {
            let (session, view) = viewed(&cli.common, config, environment, caller).await?;
            write!(out, "{}", drawing(&view, format, around.as_deref(), depth)?)?;
            session.close().await
        }
        Command::Call { tool, arguments, yes, caller } => {
            let (session, caller) = Session::of(&cli.common, config, environment, caller).await?;
            let outcome = call::answer(&session.engine, &caller, &tool, arguments, yes).await;
            let (exit, result) = match outcome {
                Ok(value) => (Exit::Done, value),
                Err(error) => {
                    if error.code() == Code::Forbidden {
                        seen(&session, &caller).await?;
                    }
                    (Exit::Finding, reply::error_object(&error))
                }
            };
            print_json(out, &result)?;
            session.close().await?;
            Ok(exit)
        }
    }
}

/// A session, and what its caller sees.
async fn viewed(
    common: &Common,
    config: Config,
    environment: &Environment,
    caller: Caller,
) -> Result<(Session, Arc<View>), Failure> {
    let (session, caller) = Session::of(common, config, environment, caller).await?;
    let view = seen(&session, &caller).await?;
    Ok((session, view))
}

/// What a caller sees. Refuses schemas that do not exist, if that is nothing.
async fn seen(session: &Session, caller: &Principal) -> Result<Arc<View>, Failure> {
    let view = session.engine.view(caller)?;
    if view.tables().is_empty()
        && let Some(absent) = posture::unserved(&session.engine.posture().await?).first()
    {
        return Err(Failure::usage(absent.clone()));
    }
    Ok(view)
}

/// The visible tables, or those near one of them, drawn as text.
fn drawing(
    view: &View,
    format: DiagramFormat,
    around: Option<&str>,
    depth: usize,
) -> Result<String, Failure> {
    let diagram = match around {
        None => Diagram::whole(view),
        Some(table) => Diagram::around(view, table, depth)?,
    };
    match format {
        DiagramFormat::Mermaid => Ok(diagram.mermaid(usize::MAX)),
        DiagramFormat::Svg => diagram.svg().map_err(Failure::usage),
    }
}

fn print_json(out: &mut (dyn Write + Send), value: &Value) -> std::io::Result<()> {
    writeln!(out, "{value:#}")
}
