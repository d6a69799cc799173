//! Reloads the configuration on SIGHUP, and when one of its files has changed.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use mcp_pg_core::{Code, Engine, Error, Posture, Settings};
use tokio::task::spawn_blocking;

use super::posture;
use super::watched::Watched;
use crate::cli::Common;
use crate::config::{Auth, Config, ConfigError, DEFAULT_FILE, Environment, known_role};
use crate::metrics::Metrics;

/// The delay before a configuration is tried again that is valid, but could not be used with the database as it was.
const PAUSE: Duration = Duration::from_secs(2);

/// The longest such delay; while the database is unavailable, it stays the shortest.
const PAUSE_MOST: Duration = Duration::from_secs(30);

/// Reads the configuration that the command line names, to start with it.
pub(super) fn load(common: &Common, environment: &Environment) -> Result<Config, ConfigError> {
    let config = read(common.config.as_deref(), &common.schemas, environment)?;
    config.auth.as_ref().map_or(Ok(()), Auth::check)?;
    Ok(config)
}

/// Reads the configuration. `schemas`, if there are any, replace its own.
fn read(
    file: Option<&Path>,
    schemas: &[String],
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let mut config = Config::load(file, environment)?;
    if !schemas.is_empty() {
        config.settings.schemas = schemas.to_vec();
    }
    config.settings.qualify_grants();
    Ok(config)
}

/// The source of the running configuration, and its state at the start.
pub(super) struct Source {
    files: Files,
    started_with: Config,
    /// Whether to refuse a configuration under which the login would be dangerous.
    bound_login: bool,
    metrics: Arc<Metrics>,
    hang_ups: HangUps,
}

/// What the configuration is read from.
#[derive(Clone)]
struct Files {
    /// Of the command line.
    schemas: Vec<String>,
    environment: Environment,
    /// A removed file is not a reason to continue without its rules.
    watched: Watched,
    /// The roles that the file has defined since the start. None of them may fall back to a built-in role.
    configured_roles: BTreeSet<String>,
}

impl Source {
    pub(super) fn new(common: &Common, environment: &Environment, config: &Config) -> Self {
        let default = || Path::new(DEFAULT_FILE).exists().then(|| DEFAULT_FILE.into());
        let file = common.config.clone().or_else(default);
        let files = Files {
            schemas: common.schemas.clone(),
            environment: environment.clone(),
            watched: Watched::new(file, config),
            configured_roles: config.configured_roles.clone(),
        };
        Self {
            files,
            started_with: config.clone(),
            bound_login: false,
            metrics: Arc::default(),
            hang_ups: HangUps::new(),
        }
    }

    /// For a server that the network can reach: refuses a configuration under which the login would be dangerous.
    pub(super) fn with_bound_login(self) -> Self {
        Self { bound_login: true, ..self }
    }

    /// Counts the results of reloading in `metrics`.
    pub(super) fn told_in(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    /// Reloads the engine when the files change, for as long as this is polled. A faulty configuration is logged,
    /// and the previous one stays in use. A valid one that the database keeps from being used is tried again.
    pub(super) async fn follow<T: TakeOver>(
        mut self,
        engine: &Engine,
        prepare: impl Prepare<T>,
    ) -> Infallible {
        let mut again: Option<Duration> = None;
        loop {
            tokio::select! {
                () = self.hang_ups.next() => again = None,
                () = self.files.watched.changed() => again = None,
                () = tokio::time::sleep(again.unwrap_or_default()), if again.is_some() => {}
            }
            again = match self.reload(engine, &prepare).await {
                None => None,
                Some(Code::DatabaseUnavailable) => Some(PAUSE),
                Some(_) => Some(again.map_or(PAUSE, |last| PAUSE_MOST.min(last * 2))),
            };
        }
    }

    /// Returns what the database kept it from, to be called again: a narrowed role must not stay wide because the
    /// catalogue could not be read at that moment.
    async fn reload<T: TakeOver>(
        &mut self,
        engine: &Engine,
        prepare: &impl Prepare<T>,
    ) -> Option<Code> {
        let Some(mut prepared) = self.prepare(prepare).await else {
            // The configuration is not at fault if the queries cannot be read.
            if let Err(error) = engine.reload().await {
                tracing::error!("the queries cannot be read again: {error}");
            }
            return None;
        };
        let bound_login = self.bound_login;
        let taken = loop {
            let (config, _) = &prepared;
            let taking = take(engine, config.settings.clone(), bound_login);
            let mut taking = pin!(taking);
            let newer = loop {
                tokio::select! {
                    taken = &mut taking => break Err(taken),
                    // Reading the catalogue may take long, and what is gone from the files must be refused at once.
                    () = self.files.watched.changed() => {
                        // Whoever waits for the catalogue must not wait for the disk.
                        let preparing = pin!(self.prepare(prepare));
                        match select(&mut taking, preparing).await {
                            Either::Left((taken, preparing)) => break preparing.await.ok_or(taken),
                            Either::Right((Some(newer), _)) => break Ok(newer),
                            Either::Right((None, _)) => {}
                        }
                    }
                }
            };
            match newer {
                Ok(newer) => prepared = newer,
                Err(taken) => break taken,
            }
        };
        self.metrics.configured(taken.is_ok());
        if let Err(error) = taken {
            tracing::error!(
                "the configuration cannot be used; the previous one stays in use: {error}"
            );
            return Some(error.code());
        }
        let (config, take_over) = prepared;
        take_over();
        self.files.configured_roles.extend(config.configured_roles.iter().cloned());
        tracing::info!("the configuration was read again");
        let later = only_at_the_start(&self.started_with, &config);
        if !later.is_empty() {
            tracing::warn!("takes effect after a restart: {}", later.join(", "));
        }
        None
    }

    /// Reads the configuration, and has refused what is gone from it; `None` if it is faulty.
    async fn prepare<T: TakeOver>(&mut self, prepare: &impl Prepare<T>) -> Option<(Config, T)> {
        let (mut files, prepare) = (self.files.clone(), prepare.clone());
        // On a disk that does not answer, this waits, and calls must not.
        let reading = spawn_blocking(move || {
            let read = files.read(&prepare);
            (files, read)
        });
        let prepared = match reading.await {
            Ok((files, read)) => {
                self.files = files;
                read
            }
            Err(fault) => Err(ConfigError::new(format!("it could not be read: {fault}"))),
        };
        prepared
            .inspect_err(|error| {
                self.metrics.configured(false);
                tracing::error!(
                    "the configuration is faulty; the previous one stays in use: {error}"
                );
            })
            .ok()
    }
}

impl Files {
    fn read<T: TakeOver>(&mut self, prepare: &impl Prepare<T>) -> Result<(Config, T), ConfigError> {
        self.watched.note();
        let config = read(self.watched.file(), &self.schemas, &self.environment)?;
        self.check_whole(&config)?;
        self.watched.name(&config);
        let take_over = prepare(&config)?;
        Ok((config, take_over))
    }

    /// A truncated file may be a valid configuration with fewer rules.
    fn check_whole(&self, config: &Config) -> Result<(), ConfigError> {
        let empty = |file: &Path| std::fs::metadata(file).is_ok_and(|file| file.len() == 0);
        if let Some(file) = self.watched.file().filter(|file| empty(file)) {
            return Err(ConfigError::new(format!("{}: the file is empty", file.display())));
        }
        if config.configured_roles.is_empty() && !self.configured_roles.is_empty() {
            return Err(ConfigError::new(
                "roles: there are none left; restart the server to use the built-in ones",
            ));
        }
        let lost = |name: &&String| {
            !config.configured_roles.contains(*name) && known_role(&config.settings, name).is_ok()
        };
        match self.configured_roles.iter().find(lost) {
            Some(name) => Err(ConfigError::new(format!(
                "roles.{name}: is gone; restart the server to use the built-in role of that name"
            ))),
            None => Ok(()),
        }
    }
}

/// Reads what else is configured, in a thread that may wait for the disk, and refuses credentials that are gone.
pub(super) trait Prepare<T>:
    Fn(&Config) -> Result<T, ConfigError> + Clone + Send + 'static
{
}

impl<T, F: Fn(&Config) -> Result<T, ConfigError> + Clone + Send + 'static> Prepare<T> for F {}

/// Replaces what was read.
pub(super) trait TakeOver: FnOnce() + Send + 'static {}

impl<F: FnOnce() + Send + 'static> TakeOver for F {}

/// Has the engine use these settings.
async fn take(engine: &Engine, settings: Settings, bound_login: bool) -> Result<bool, Error> {
    // An existing danger is no reason to keep a revoked key.
    let known = match bound_login {
        true => Some(posture::dangers(&engine.posture().await?)),
        false => None,
    };
    let accept = |posture: &Posture| posture::accept(posture, known.as_deref());
    engine.reconfigure_if(settings, accept).await
}

/// The changed keys that need a restart.
fn only_at_the_start(old: &Config, new: &Config) -> Vec<&'static str> {
    [
        (
            // Callers with tokens have it at once.
            "default_role, for callers without a token",
            old.settings.default_role != new.settings.default_role,
        ),
        ("database.url", old.database_url != new.database_url),
        (
            "database.max_connections",
            old.settings.limits.max_connections != new.settings.limits.max_connections,
        ),
        ("the timeouts in [database]", old.settings.timeouts != new.settings.timeouts),
        ("database.allow_unsafe_login", old.allow_unsafe_login != new.allow_unsafe_login),
        ("database.schema_poll", old.schema_poll != new.schema_poll),
        ("whether there is [auth]", old.auth.is_some() != new.auth.is_some()),
        ("audit.file", old.audit_file != new.audit_file),
        ("audit.table", old.settings.audit.table != new.settings.audit.table),
        ("[server]", old.server.needs_restart(&new.server)),
        ("limits.max_request_bytes", old.max_request_bytes != new.max_request_bytes),
    ]
    .into_iter()
    .filter_map(|(key, differs)| differs.then_some(key))
    .collect()
}

/// The signal that requests a reload.
struct HangUps {
    #[cfg(unix)]
    signals: Option<tokio::signal::unix::Signal>,
}

impl HangUps {
    fn new() -> Self {
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            Self { signals: signal(SignalKind::hangup()).ok() }
        }
        #[cfg(not(unix))]
        Self {}
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signals) = &mut self.signals
            && signals.recv().await.is_some()
        {
            return;
        }
        std::future::pending().await
    }
}
