//! The command line's options. What the commands do is in [`crate::command`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde_json::{Map, Value};

use crate::json;
use crate::sample::Sample;

/// PostgreSQL over the Model Context Protocol: typed, role-checked reads and writes, no SQL.
///
/// Exit status: 0 done, 1 a finding or a failed call, 2 wrong usage or configuration, 3 no database.
#[derive(Debug, Parser)]
#[command(name = "mcp-pg-server", version, propagate_version = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// Where and how.
    #[command(flatten)]
    pub common: Common,
}

/// Options of every command.
#[derive(Debug, Args)]
pub struct Common {
    /// Configuration file [default: mcp-pg.toml in the working directory, if there]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Database [default: the configuration's, then DATABASE_URL, then PGHOST, PGUSER, …]
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// Use a temporary PostgreSQL with sample data: movies or shop [default: movies]
    #[arg(
        long,
        global = true,
        value_name = "SAMPLE",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "movies",
        conflicts_with = "database_url"
    )]
    pub demo: Option<Sample>,
    /// A schema to serve; may be given several times [default: public]
    #[arg(long = "schema", global = true, value_name = "NAME")]
    pub schemas: Vec<String>,
}

/// Who calls, for commands that act for one caller.
#[derive(Debug, Args)]
pub struct Caller {
    /// The caller's role [env: MCP_PG_ROLE] [default: the configuration's default_role]
    #[arg(long, value_name = "NAME")]
    pub role: Option<String>,
    /// The caller's claims, for row filters, presets and session settings [env: MCP_PG_CLAIMS]
    #[arg(long, value_name = "JSON", value_parser = object)]
    pub claims: Option<Map<String, Value>>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP on standard input and output
    Stdio {
        /// Who calls.
        #[command(flatten)]
        caller: Caller,
    },
    /// Serve MCP at /mcp, with /healthz, /readyz and /metrics
    Http {
        /// Address and port; port 0 takes a free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: String,
    },
    /// Report what the database login could do beyond its task, and mistakes in the configuration
    Check,
    /// Print the schema as the role sees it
    Describe {
        /// One table; all if absent.
        table: Option<String>,
        /// As JSON
        #[arg(long)]
        json: bool,
        /// Who asks.
        #[command(flatten)]
        caller: Caller,
    },
    /// Call one tool and print its result
    Call {
        /// The tool's name.
        tool: String,
        /// Its arguments, a JSON object.
        #[arg(value_name = "JSON", value_parser = object, default_value = "{}")]
        arguments: Map<String, Value>,
        /// Agree to a write that needs the user's confirmation
        #[arg(long)]
        yes: bool,
        /// Who calls.
        #[command(flatten)]
        caller: Caller,
    },
    /// Print SQL that creates a login with the rights that the configured roles need, and triggers that report
    /// changes
    SetupSql {
        /// Notify subscribers when rows of this table change; may be given several times
        #[arg(long, value_name = "TABLE")]
        notify: Vec<String>,
    },
    /// Make an API key and its hash: the key for the caller, the hash for the configuration
    HashKey {
        /// Read the key from standard input instead of making one
        #[arg(long)]
        stdin: bool,
    },
    /// Work with the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Draw the visible tables and their references
    Diagram {
        /// The format of the drawing
        #[arg(long, value_enum, default_value = "mermaid")]
        format: DiagramFormat,
        /// Only this table and those near it
        #[arg(long, value_name = "TABLE")]
        around: Option<String>,
        /// How many references away they may be
        #[arg(long, value_name = "N", default_value_t = 1, requires = "around")]
        depth: usize,
        /// Who asks.
        #[command(flatten)]
        caller: Caller,
    },
}

/// What can be done with an audit log.
#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Check the hash chain and name the first broken record
    Verify {
        /// The log [default: the configuration's audit.file and audit.table]
        file: Option<PathBuf>,
        /// The hash of the last record that was moved away, if older parts of the file were
        #[arg(long, value_name = "HASH", value_parser = hash)]
        after: Option<String>,
    },
}

/// Languages of a diagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DiagramFormat {
    /// Mermaid's erDiagram.
    Mermaid,
    /// A picture.
    Svg,
}

/// A JSON object in which each name stands once.
pub(crate) fn object(text: &str) -> Result<Map<String, Value>, String> {
    json::check(text.as_bytes(), usize::MAX)
        .and_then(|()| serde_json::from_str(text))
        .map_err(|error| format!("not a JSON object: {error}"))
}

fn hash(text: &str) -> Result<String, &'static str> {
    match text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err("not 64 hex digits"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(std::iter::once("mcp-pg-server").chain(line.split(' ')))
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn options_may_stand_before_or_after_the_command() {
        for line in ["--schema a --schema b stdio --role x", "stdio --schema a --role x --schema b"]
        {
            let cli = parse(line).unwrap();
            assert_eq!(cli.common.schemas, ["a", "b"]);
            let Command::Stdio { caller } = cli.command else { panic!("{line}") };
            assert_eq!(caller.role.as_deref(), Some("x"));
        }
    }

    #[test]
    fn demo_takes_its_sample_only_after_an_equals_sign() {
        assert_eq!(parse("check --demo").unwrap().common.demo, Some(Sample::Movies));
        assert_eq!(parse("check --demo=shop").unwrap().common.demo, Some(Sample::Shop));
        let cli = parse("describe --demo titles").unwrap();
        let Command::Describe { table, .. } = cli.command else { panic!() };
        assert_eq!(table.as_deref(), Some("titles"));
        parse("check --demo --database-url x").unwrap_err();
    }

    #[test]
    fn a_wrong_option_names_the_nearest() {
        let error = parse("stdio --databse-url x").unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("--database-url"), "{error}");
        let error = parse("call select [1]").unwrap_err().to_string();
        assert!(error.contains("not a JSON object"), "{error}");
        for line in
            [r#"call select {"where":{"id":1,"id":{"gt":0}}}"#, r#"stdio --claims {"a":1,"a":2}"#]
        {
            let error = parse(line).unwrap_err().to_string();
            assert!(error.contains("appears twice"), "{error}");
        }
    }
}
