//! The pool of connections, and whether it gets any.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::QueueMode;
use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, PoolError, RecyclingMethod, Runtime,
};
use rustls::ClientConfig;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::presence::Presence;
use super::session::{Kept, SessionSettings};
use super::unconnected::SHARED;
use crate::error::{Code, Error, Result};
use crate::policy::Settings;

/// How long a call waits before it looks again whether a connection is idle, where PostgreSQL accepts no more.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Connections that are read-only sessions, at most so many.
#[derive(Debug, Clone)]
pub(in crate::execute) struct Pool {
    connections: deadpool_postgres::Pool,
    /// None where the log is told of it by others.
    presence: Option<Arc<Presence>>,
    /// How long a call waits for one.
    patience: Duration,
}

/// What is done with the connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// Whether the database was there when a connection was last asked for.
    pub up: bool,
    /// How many are on loan.
    pub used: usize,
    /// How many are open, and nobody's.
    pub idle: usize,
    /// How many calls wait for one.
    pub waiting: usize,
    /// How many there may be.
    pub most: usize,
}

impl Pool {
    /// Connects when it is first used.
    ///
    /// # Errors
    ///
    /// `internal` if there is no Tokio runtime.
    pub(in crate::execute) fn new(
        config: Config,
        tls: ClientConfig,
        session: Arc<SessionSettings>,
        settings: &Settings,
    ) -> Result<Self> {
        let timeouts = settings.timeouts;
        let manager = Manager::from_config(
            config,
            MakeRustlsConnect::new(tls),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(settings.limits.max_connections)
            .wait_timeout(Some(timeouts.pool))
            .create_timeout(Some(timeouts.connect))
            .runtime(Runtime::Tokio1)
            .post_create(begin(session, timeouts.connect))
            // The one that was used last has the statements prepared, and PostgreSQL's process for it is warm.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| {
                Error::new(Code::Internal, "the connection pool cannot be built").caused_by(error)
            })?;
        Ok(Self { connections, presence: Some(Arc::default()), patience: timeouts.pool })
    }

    /// The same where others tell the log that the database is away.
    pub(in crate::execute) fn quiet(self) -> Self {
        Self { presence: None, ..self }
    }

    /// A connection on loan.
    ///
    /// # Errors
    ///
    /// None can be made, or all are on loan for too long.
    pub(in crate::execute) async fn get(&self) -> Result<Object, PoolError> {
        let until = Instant::now() + self.patience;
        let mut got = self.connections.get().await;
        while is_crowded(&got) && self.is_idle_before(until).await {
            got = self.connections.get().await;
        }
        if let Some(presence) = &self.presence {
            match &got {
                Ok(_) => presence.found(),
                Err(error) => presence.missed(error),
            }
        }
        got
    }

    /// Whether one of the connections that there are becomes idle in time.
    async fn is_idle_before(&self, until: Instant) -> bool {
        loop {
            if self.connections.status().size == 0 || Instant::now() >= until {
                return false;
            }
            sleep(LOOK_AGAIN).await;
            if self.connections.status().available > 0 {
                return true;
            }
        }
    }

    pub(in crate::execute) fn connections(&self) -> Connections {
        let status = self.connections.status();
        let used = status.size.saturating_sub(status.available);
        Connections {
            up: self.presence.as_ref().is_some_and(|presence| presence.is_there()),
            used,
            idle: status.size - used,
            waiting: status.waiting,
            most: status.max_size,
        }
    }

    /// Forgets all prepared statements.
    pub(in crate::execute) fn forget_statements(&self) {
        self.connections.manager().statement_caches.clear();
    }
}

/// Whether PostgreSQL accepts no more connections.
fn is_crowded(got: &Result<Object, PoolError>) -> bool {
    let Err(PoolError::Backend(error)) = got else { return false };
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// Begins the session of a new connection.
fn begin(session: Arc<SessionSettings>, patience: Duration) -> Hook {
    Hook::async_fn(move |client, _| {
        let session = session.clone();
        Box::pin(async move {
            // A pooler takes a connection at once, and may have no session for it for long.
            match timeout(patience, session.begin(client)).await {
                Ok(Ok(Kept::Own)) => Ok(()),
                Ok(Ok(Kept::Shared)) => Err(HookError::message(SHARED)),
                Ok(Err(error)) => Err(HookError::Backend(error)),
                Err(elapsed) => Err(HookError::message(elapsed.to_string())),
            }
        })
    })
}
