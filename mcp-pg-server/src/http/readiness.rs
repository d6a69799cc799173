//! The readiness check. However many clients ask, it uses one database connection.

use std::sync::Arc;
use std::time::Instant;

use mcp_pg_core::Engine;
use tokio::sync::Mutex;

/// Asks the database on behalf of all waiting clients.
#[derive(Clone)]
pub(super) struct Readiness {
    engine: Arc<Engine>,
    /// The last answer, and its time.
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

impl Readiness {
    pub(super) fn of(engine: Arc<Engine>) -> Self {
        Self { engine, last: Arc::default() }
    }

    /// Whether the database answers now.
    pub(super) async fn ask(&self) -> bool {
        let asked = Instant::now();
        let mut last = self.last.clone().lock_owned().await;
        // Another client's question was answered while this one waited.
        if let Some((came, answer)) = *last
            && came > asked
        {
            return answer;
        }
        let engine = self.engine.clone();
        // In its own task, so that a client that disconnects neither breaks the connection nor starts a second
        // question.
        let answer = tokio::spawn(async move {
            let answer = engine.ready().await.is_ok();
            *last = Some((Instant::now(), answer));
            answer
        });
        answer.await.unwrap_or(false)
    }
}
