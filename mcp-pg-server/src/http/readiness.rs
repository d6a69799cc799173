//! Whether the database answers, for anyone who asks: however many do, one connection is used for it.

use std::sync::Arc;
use std::time::Instant;

use mcp_pg_core::Engine;
use tokio::sync::Mutex;

/// Asks the database on behalf of all who wait.
#[derive(Clone)]
pub(super) struct Readiness {
    engine: Arc<Engine>,
    /// The last answer, and when it came.
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
        // It came for another one who asked, while this one waited.
        if let Some((came, answer)) = *last
            && came > asked
        {
            return answer;
        }
        let engine = self.engine.clone();
        // By itself, so that whoever goes away neither breaks the connection nor has the next one begin beside it.
        let answer = tokio::spawn(async move {
            let answer = engine.ready().await.is_ok();
            *last = Some((Instant::now(), answer));
            answer
        });
        answer.await.unwrap_or(false)
    }
}
