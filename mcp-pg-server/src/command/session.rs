//! An engine on the database in the options, and the caller in the options.

use std::sync::Arc;
use std::time::Duration;

use mcp_pg_core::audit::FileSink;
use mcp_pg_core::policy::OnFailure;
use mcp_pg_core::{Code, Engine, Error, Principal};
use serde_json::{Map, Value};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{Exit, Failure};
use crate::cli::{Caller, Common, object};
use crate::config::{AuditFile, Config, Database, Environment, known_role};
use crate::embedded::Cluster;
use crate::sample::{self, Sample};

/// The engine, and the temporary cluster of the demo.
pub(super) struct Session {
    pub(super) engine: Arc<Engine>,
    schema_poll: Duration,
    _cluster: Option<Cluster>,
}

impl Session {
    /// Connects, reads the schema, and opens the audit log.
    pub(super) async fn open(
        common: &Common,
        mut config: Config,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let mut named = true;
        let (database, cluster) = match common.demo {
            Some(sample) => {
                let (database, cluster) = demo(sample).await?;
                if sample == Sample::Shop {
                    // It is known what the sample's column means.
                    let concurrency = &mut config.settings.concurrency;
                    concurrency.version_column.get_or_insert_with(|| "version".into());
                }
                (database, Some(cluster))
            }
            None => {
                let url = common.database_url.clone().or(config.database_url.take());
                let database = Database { url };
                named = database.is_named(environment);
                let (database, tls) = database.resolve(environment)?;
                config.settings.tls = tls;
                (database, None)
            }
        };
        let engine = Engine::connect(database, config.settings).await;
        let engine = engine.map_err(|error| unconnected(common, named, error))?;
        let engine = match &config.audit_file {
            Some(AuditFile { path, max_bytes: None }) => {
                engine.audited(Arc::new(FileSink::open(path)?))
            }
            Some(AuditFile { path, max_bytes: Some(bytes) }) => {
                engine.audited(Arc::new(FileSink::rotating(path, *bytes)?))
            }
            None => engine,
        };
        Ok(Self { engine: Arc::new(engine), schema_poll: config.schema_poll, _cluster: cluster })
    }

    /// The session of one caller.
    pub(super) async fn of(
        common: &Common,
        config: Config,
        environment: &Environment,
        caller: Caller,
    ) -> Result<(Self, Principal), Failure> {
        let caller = principal(caller, &config, environment)?;
        let session = Self::open(common, config, environment).await?;
        session.serves(&caller)?;
        Ok((session, caller))
    }

    /// Refuses a caller for whom all calls would be refused.
    pub(super) fn serves(&self, caller: &Principal) -> Result<(), Failure> {
        self.engine.refused_role(&caller.role).map_or(Ok(()), |reason| Err(Failure::usage(reason)))
    }

    /// Follows the database's changes until the handle is dropped. Callers that come afterwards miss none, unless listening
    /// takes long to begin.
    pub(super) async fn follow(&self) -> AbortOnDrop {
        const PATIENCE: Duration = Duration::from_secs(2);
        let (engine, poll) = (self.engine.clone(), self.schema_poll);
        let following = tokio::spawn(async move { match engine.follow(poll).await {} });
        let following = AbortOnDrop(following);
        let _ = timeout(PATIENCE, self.engine.attends()).await;
        following
    }

    /// Waits until the statements of abandoned calls have ended and all audit records are written.
    pub(super) async fn close(self) -> Result<Exit, Failure> {
        let Err(error) = self.engine.close().await else { return Ok(Exit::Done) };
        // The configuration was valid, so this is not a usage error.
        let failure = Failure { exit: Exit::Finding, ..Failure::from(error) };
        if self.engine.settings().audit.on_failure == OnFailure::Refuse {
            return Err(failure);
        }
        tracing::error!(reason = failure.message, "audit records were lost");
        Ok(Exit::Done)
    }
}

/// Why there is no engine. `named` says whether the user said which database is meant.
fn unconnected(common: &Common, named: bool, error: Error) -> Failure {
    let code = error.code();
    let mut failure = Failure::from(error);
    match code {
        Code::DatabaseUnavailable if !named => failure.message.push_str(
            "\nGive --database-url, DATABASE_URL or PGHOST, PGUSER, …; --demo needs no database.",
        ),
        // A setting is wrong. The engine names its key in the configuration.
        Code::InvalidValue => {
            let message = failure.message.trim_start_matches("invalid_value: ");
            let schemas = message.strip_prefix("database.schemas:");
            failure = Failure::usage(match schemas.filter(|_| !common.schemas.is_empty()) {
                Some(rest) => format!("--schema:{rest}"),
                None => message.to_owned(),
            });
        }
        _ => {}
    }
    failure
}

/// A task that is aborted when this is dropped.
pub(super) struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a temporary PostgreSQL with the sample, and a login with only the rights that it needs.
async fn demo(sample: Sample) -> Result<(tokio_postgres::Config, Cluster), Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure {
        exit: Exit::NoDatabase,
        message: format!("the demo database did not start: {error}"),
    };
    let cluster = tokio::task::spawn_blocking(Cluster::start)
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    let database =
        sample::load(cluster.config("postgres"), sample).await.map_err(|error| failed(&error))?;
    Ok((database, cluster))
}

/// The caller of commands: the person or program that started this process.
fn principal(
    caller: Caller,
    config: &Config,
    environment: &Environment,
) -> Result<Principal, Failure> {
    let variable = |name: &str| environment.get(name).map(str::to_owned);
    let role = match caller.role.or_else(|| variable("MCP_PG_ROLE")) {
        Some(role) => role,
        None => default_role(config, "--role")?,
    };
    known_role(&config.settings, &role)
        .map_err(|error| Failure::usage(format!("--role: {error}")))?;
    let claims = match (caller.claims, environment.get("MCP_PG_CLAIMS")) {
        (Some(claims), _) => claims,
        (None, Some(text)) => {
            object(text).map_err(|reason| Failure::usage(format!("MCP_PG_CLAIMS: {reason}")))?
        }
        (None, None) => Map::new(),
    };
    let subject = claims
        .get("sub")
        .and_then(Value::as_str)
        .or_else(|| environment.get("USER"))
        .unwrap_or("local")
        .to_owned();
    Ok(Principal { subject, role, method: "command_line".into(), claims })
}

/// The caller of HTTP requests without `[auth]`.
pub(super) fn anonymous(config: &Config) -> Result<Principal, Failure> {
    let role = default_role(config, "[auth]")?;
    Ok(Principal { method: "loopback".into(), ..Principal::new("anonymous", role) })
}

/// The default role. If there is none, the error says that `otherwise` is missing.
fn default_role(config: &Config, otherwise: &str) -> Result<String, Failure> {
    let settings = &config.settings;
    if !settings.default_role.is_empty() {
        return Ok(settings.default_role.clone());
    }
    let names: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
    let names = names.join(", ");
    Err(Failure::usage(format!(
        "default_role: must be one of the configured roles ({names}), since there is no {otherwise}"
    )))
}
