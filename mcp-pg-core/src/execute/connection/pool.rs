//! The connection pool.

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

use super::pooler::Pooler;
use super::presence::Presence;
use super::session::{Kept, SessionSettings};
use super::unconnected::SHARED;
use crate::error::{Code, Error, Result};
use crate::policy::Timeouts;

/// How often a waiting call checks for an idle connection while PostgreSQL accepts no more.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A pool of read-only sessions, of limited size.
#[derive(Debug, Clone)]
pub(in crate::execute) struct Pool {
    connections: deadpool_postgres::Pool,
    /// Logs the database's availability; `None` if others do.
    presence: Option<Arc<Presence>>,
    /// How long a call waits for a connection.
    patience: Duration,
}

/// The state of the pool's connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Whether the database was available at the last attempt to get a connection.
    pub up: bool,
    /// The number of connections in use.
    pub used: usize,
    /// The number of open connections that are not in use.
    pub idle: usize,
    /// The number of calls that wait for a connection.
    pub waiting: usize,
    /// The most connections.
    pub most: usize,
}

impl Pool {
    /// A pool that connects at its first use.
    ///
    /// # Errors
    ///
    /// `internal` if there is no Tokio runtime.
    pub(in crate::execute) fn new(
        config: Config,
        tls: ClientConfig,
        session: Arc<SessionSettings>,
        timeouts: &Timeouts,
        most: usize,
    ) -> Result<Self> {
        let pooler = Arc::new(Pooler::new(config.clone(), tls.clone()));
        let manager = Manager::from_config(
            config,
            MakeRustlsConnect::new(tls),
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let connections = deadpool_postgres::Pool::builder(manager)
            .max_size(most)
            .wait_timeout(Some(timeouts.pool))
            .create_timeout(Some(timeouts.connect))
            .runtime(Runtime::Tokio1)
            .post_create(begin(session.clone(), pooler, timeouts.connect))
            .pre_recycle(clear(session, timeouts.connect))
            // The connection that was used last has prepared statements, and its server process has warm caches.
            .queue_mode(QueueMode::Lifo)
            .build()
            .map_err(|error| {
                Error::new(Code::Internal, "the connection pool cannot be built").caused_by(error)
            })?;
        Ok(Self { connections, presence: Some(Arc::default()), patience: timeouts.pool })
    }

    /// The same without log messages about the database's availability, which others write.
    pub(in crate::execute) fn quiet(self) -> Self {
        Self { presence: None, ..self }
    }

    /// Takes a connection.
    ///
    /// # Errors
    ///
    /// No connection can be made, or none becomes idle in time.
    pub(in crate::execute) async fn get(&self) -> Result<Object, PoolError> {
        let until = Instant::now() + self.patience;
        let mut got = self.connections.get().await;
        while is_crowded(&got) && self.is_idle_before(until).await {
            got = self.connections.get().await;
        }
        match (&got, &self.presence) {
            (Ok(_), _) => self.found(),
            (Err(error), Some(presence)) => presence.missed(error),
            (Err(_), None) => {}
        }
        got
    }

    /// Notes that the database is available.
    pub(in crate::execute) fn found(&self) {
        if let Some(presence) = &self.presence {
            presence.found();
        }
    }

    /// Waits for an existing connection to become idle. Returns false if none does in time.
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

    /// Removes all prepared statements from the cache.
    pub(in crate::execute) fn forget_statements(&self) {
        self.connections.manager().statement_caches.clear();
    }
}

/// Whether PostgreSQL accepts no more connections.
fn is_crowded(got: &Result<Object, PoolError>) -> bool {
    let Err(PoolError::Backend(error)) = got else { return false };
    error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
}

/// Restores a session that may have run code of which nobody knew when it was used.
fn clear(session: Arc<SessionSettings>, patience: Duration) -> Hook {
    Hook::async_fn(move |client, metrics| {
        let session = session.is_doubtful(metrics.last_used()).then(|| session.clone());
        Box::pin(async move {
            let Some(session) = session else { return Ok(()) };
            match timeout(patience, session.restore(client)).await {
                Ok(restored) => restored.map_err(HookError::Backend),
                Err(elapsed) => Err(HookError::message(elapsed.to_string())),
            }
        })
    })
}

/// Sets up the session of a new connection.
fn begin(session: Arc<SessionSettings>, pooler: Arc<Pooler>, patience: Duration) -> Hook {
    Hook::async_fn(move |client, _| {
        let (session, pooler) = (session.clone(), pooler.clone());
        Box::pin(async move {
            if pooler.shares(client).await {
                return Err(HookError::message(SHARED));
            }
            // A pooler accepts a connection at once, but may have no session for it for a long time.
            match timeout(patience, session.begin(client)).await {
                Ok(Ok(Kept::Own)) => Ok(()),
                Ok(Ok(Kept::Shared)) => Err(HookError::message(SHARED)),
                Ok(Err(error)) => Err(HookError::Backend(error)),
                Err(elapsed) => Err(HookError::message(elapsed.to_string())),
            }
        })
    })
}
