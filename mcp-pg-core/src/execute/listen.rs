//! The connection on which PostgreSQL notifies of changes.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::sync::Notify;
use tokio_postgres::error::SqlState;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Notification};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::unavailable;
use crate::error::{Code, Error, Result};
use crate::name::TableName;
use crate::schema::{Polled, Signature, Snapshot, Watch};

/// The channel on which an event trigger notifies of schema changes.
pub const SCHEMA_CHANNEL: &str = "mcp_pg_schema";
/// The channel on which triggers of tables notify of changed rows: `["schema", "table"]`.
pub const ROWS_CHANNEL: &str = "mcp_pg_rows";

/// The most changed tables that are remembered between two calls of [`Listener::take`].
const TABLES_MOST: usize = 10_000;

/// The timeout of statements on this connection.
const PATIENCE: Duration = Duration::from_secs(30);

/// The notifications since they were last taken.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The schema has changed.
    pub(crate) schema: bool,
    /// Tables whose rows have changed.
    pub(crate) rows: BTreeSet<TableName>,
}

/// A listening session, which ends when it is dropped.
#[derive(Debug)]
pub(crate) struct Listener {
    client: Client,
    watch: Watch,
    inbox: Arc<Inbox>,
    /// Whether there can be notifications: a standby sends none.
    hears: bool,
}

#[derive(Debug, Default)]
struct Inbox {
    heard: Mutex<Heard>,
    arrived: Notify,
}

impl Listener {
    pub(super) async fn connect(config: &Config, tls: &ClientConfig) -> Result<Self> {
        let mut config = config.clone();
        let name = config.get_application_name().unwrap_or("mcp-pg").to_owned();
        config.application_name(format!("{name} listener"));
        let tls = MakeRustlsConnect::new(tls.clone());
        let connecting = async { config.connect(tls).await.map_err(unavailable) };
        let (client, connection) = patiently(connecting).await?;
        let inbox = Arc::new(Inbox::default());
        tokio::spawn(receive(connection, inbox.clone()));
        // Where nothing happens for long, it is idle, and hears all the same.
        let lasting = client.execute_typed("SET idle_session_timeout = 0", &[]);
        patiently(async { lasting.await.map_err(unavailable) }).await?;
        let mut hears = true;
        for channel in [SCHEMA_CHANNEL, ROWS_CHANNEL] {
            let listen = format!("LISTEN {channel}");
            hears &= patiently(async {
                match client.execute_typed(&listen, &[]).await {
                    Ok(_) => Ok(true),
                    // A standby does not allow LISTEN.
                    Err(error) if error.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION) => {
                        Ok(false)
                    }
                    Err(error) => Err(unavailable(error)),
                }
            })
            .await?;
        }
        let watch = patiently(Watch::prepare(&client)).await?;
        Ok(Self { client, watch, inbox, hears })
    }

    /// Which transactions have ended; `None` on a standby, where that is not known.
    ///
    /// # Errors
    ///
    /// `database_unavailable` once the connection is lost, or the database is a standby no more.
    pub(crate) async fn snapshot(&self) -> Result<Option<Snapshot>> {
        let snapshot = patiently(Snapshot::read(&self.client)).await?;
        if snapshot.is_some() && !self.hears {
            return Err(Error::new(Code::DatabaseUnavailable, "the standby was promoted"));
        }
        Ok(snapshot)
    }

    /// The current signature of these schemas, for comparison with an earlier one.
    ///
    /// # Errors
    ///
    /// `database_unavailable` once the connection is lost.
    pub(crate) async fn poll(&self, schemas: &[String], earlier: &Signature) -> Result<Polled> {
        let polled = patiently(self.watch.poll(&self.client, schemas, Some(earlier))).await?;
        Ok(Polled { notifies: polled.notifies && self.hears, ..polled })
    }

    /// Waits for a notification, or until the connection is lost.
    ///
    /// # Errors
    ///
    /// `database_unavailable` once the connection is lost.
    pub(crate) async fn wait(&self) -> Result<()> {
        loop {
            let arrived = self.inbox.arrived.notified();
            if self.client.is_closed() {
                return Err(Error::new(Code::DatabaseUnavailable, "the connection was lost"));
            }
            if self.inbox.lock(|heard| *heard != Heard::default()) {
                return Ok(());
            }
            arrived.await;
        }
    }

    /// Takes the notifications since the last time, without duplicates.
    pub(crate) fn take(&self) -> Heard {
        self.inbox.lock(std::mem::take)
    }
}

impl Inbox {
    fn lock<T>(&self, work: impl FnOnce(&mut Heard) -> T) -> T {
        work(&mut self.heard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, notification: &Notification) {
        self.lock(|heard| match notification.channel() {
            SCHEMA_CHANNEL => heard.schema = true,
            // Everyone who can connect can notify. A payload that is not a table's name is ignored.
            _ => {
                if let Ok((schema, table)) =
                    serde_json::from_str::<(String, String)>(notification.payload())
                    && heard.rows.len() < TABLES_MOST
                {
                    heard.rows.insert(TableName::new(&schema, &table));
                }
            }
        });
    }
}

/// Runs the connection until it ends.
async fn receive<S, T>(mut connection: Connection<S, T>, inbox: Arc<Inbox>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(notification) = message {
            inbox.put(&notification);
            inbox.arrived.notify_waiters();
        }
    }
    drop(connection);
    inbox.arrived.notify_waiters();
}

/// Limits the time of an operation: a connection that does not answer is lost.
async fn patiently<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(result) => result,
        Err(elapsed) => Err(unavailable(elapsed)),
    }
}
