//! A connection taken from the pool, and its cleanup when it is dropped.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::session::SessionSettings;
use crate::error::{Code, Error, Result};

/// The size of a row, in bytes, from which on the connection that received it is closed after use: its buffer keeps that size.
const RECEIVED_MOST: usize = 16 << 20;

/// A connection taken from the pool. If it is dropped during a statement, the statement is cancelled and the
/// connection is not used again. If it is dropped in a transaction, that is rolled back. The session is reset before
/// its next use if statements may have changed it.
#[derive(Debug)]
pub(in crate::execute) struct Lease {
    object: Option<Object>,
    state: State,
    /// Whether code of the database may have changed the session.
    changed: bool,
    /// Whether its buffer has become too large to be kept.
    swollen: bool,
    /// For the connection of a cancellation.
    tls: Arc<ClientConfig>,
    session: Arc<SessionSettings>,
    /// Registers the connection as in use until it is cleaned up.
    under_way: TaskTrackerToken,
}

/// The state of a connection.
#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Transaction,
    Statement,
}

impl Lease {
    pub(in crate::execute) fn new(
        object: Object,
        tls: Arc<ClientConfig>,
        session: Arc<SessionSettings>,
        under_way: TaskTrackerToken,
    ) -> Self {
        let (state, changed, swollen) = (State::Idle, false, false);
        Self { object: Some(object), state, changed, swollen, tls, session, under_way }
    }

    /// The connection, which is then counted as running a statement.
    pub(in crate::execute) fn client(&mut self) -> Result<&mut Object> {
        self.state = State::Statement;
        self.object
            .as_mut()
            .ok_or_else(|| Error::new(Code::Internal, "a connection was used after its return"))
    }

    /// The statement has ended. A transaction may be open.
    pub(in crate::execute) fn open(&mut self) {
        self.state = State::Transaction;
    }

    /// The statement and the transaction have ended.
    pub(in crate::execute) fn done(&mut self) {
        self.state = State::Idle;
    }

    /// Notes the size of a row that was received, in bytes.
    pub(in crate::execute) fn received(&mut self, bytes: usize) {
        self.swollen |= bytes > RECEIVED_MOST;
    }

    /// Code is about to run that may change the session, which a rollback does not undo.
    pub(in crate::execute) fn change(&mut self) {
        self.changed = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(object) = self.object.take() else { return };
        if self.swollen && !matches!(self.state, State::Statement) {
            drop(Object::take(object));
            return;
        }
        let changed = self.changed.then(|| self.session.clone());
        let open = match (self.state, &changed) {
            (State::Idle, None) => return,
            (State::Idle, Some(_)) => Some(false),
            (State::Transaction, _) => Some(true),
            (State::Statement, _) => None,
        };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(object));
            return;
        };
        let under_way = self.under_way.clone();
        if let Some(open) = open {
            runtime.spawn(async move {
                let clean = async {
                    if open {
                        object.execute_typed("ROLLBACK", &[]).await?;
                    }
                    match changed {
                        Some(session) => session.restore(&object).await,
                        None => Ok(()),
                    }
                };
                if !matches!(tokio::time::timeout(PATIENCE, clean).await, Ok(Ok(()))) {
                    drop(Object::take(object));
                }
                drop(under_way);
            });
            return;
        }
        let client = Object::take(object);
        let token = client.cancel_token();
        let tls = MakeRustlsConnect::new(ClientConfig::clone(&self.tls));
        runtime.spawn(async move {
            // Closing the connection alone would not stop the statement.
            if !client.is_closed() {
                let cancelled = tokio::time::timeout(PATIENCE, token.cancel_query(tls)).await;
                tracing::debug!(?cancelled, "cancelled the statement of an abandoned call");
            }
            drop(client);
            drop(under_way);
        });
    }
}
