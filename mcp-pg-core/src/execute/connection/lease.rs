//! A connection of the pool on loan: what becomes of it when the borrower goes away.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use rustls::ClientConfig;
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::session::SessionSettings;
use crate::error::{Code, Error, Result};

/// A connection on loan. Dropped in the middle of a statement, that is cancelled in PostgreSQL and the
/// connection is not used again; dropped in a transaction, that is rolled back. What a caller's statements may
/// have left in the session is taken back before the next one gets it.
#[derive(Debug)]
pub(in crate::execute) struct Lease {
    object: Option<Object>,
    state: State,
    /// Whether code of the database's may have changed the session.
    changed: bool,
    /// How to connect for a cancellation.
    tls: Arc<ClientConfig>,
    session: Arc<SessionSettings>,
    /// Tells that it is under way, until it is cleaned up.
    under_way: TaskTrackerToken,
}

/// What a connection is in the middle of.
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
        Self { object: Some(object), state: State::Idle, changed: false, tls, session, under_way }
    }

    /// The connection, from now on in the middle of a statement.
    pub(in crate::execute) fn client(&mut self) -> Result<&mut Object> {
        self.state = State::Statement;
        self.object
            .as_mut()
            .ok_or_else(|| Error::new(Code::Internal, "a connection was used after its return"))
    }

    /// The statement has ended; its transaction may be open.
    pub(in crate::execute) fn open(&mut self) {
        self.state = State::Transaction;
    }

    /// Nothing is under way, and no transaction is open.
    pub(in crate::execute) fn done(&mut self) {
        self.state = State::Idle;
    }

    /// Runs code that may change the session, beyond its transaction and whatever becomes of that.
    pub(in crate::execute) fn change(&mut self) {
        self.changed = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(object) = self.object.take() else { return };
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
            // Closing the connection alone would let the statement run on to its end.
            if !client.is_closed() {
                let cancelled = tokio::time::timeout(PATIENCE, token.cancel_query(tls)).await;
                tracing::debug!(?cancelled, "cancelled the statement of an abandoned call");
            }
            drop(client);
            drop(under_way);
        });
    }
}
