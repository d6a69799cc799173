//! Finds out whether a pooler passes sessions from one client to another, before anything is set in a session: other
//! programs would get those settings.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Which server process answers. A number alone may be that of a process on another host.
const PROCESS: &str = "SELECT pg_catalog.concat(a.pid, ' ', a.backend_start) \
     FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a";

/// How long a second connection is waited for. Where there is none, nobody can say.
const PATIENCE: Duration = Duration::from_secs(1);

/// Looks once, with the first connection that is made.
#[derive(Debug)]
pub(super) struct Pooler {
    config: Config,
    tls: ClientConfig,
    absent: AtomicBool,
}

impl Pooler {
    pub(super) fn new(config: Config, tls: ClientConfig) -> Self {
        Self { config, tls, absent: AtomicBool::new(false) }
    }

    /// Whether another client gets the session of this one.
    pub(super) async fn shares(&self, client: &Client) -> bool {
        if self.absent.load(Ordering::Relaxed) {
            return false;
        }
        let shares = timeout(PATIENCE, self.compare(client)).await.ok().flatten();
        self.absent.store(shares != Some(true), Ordering::Relaxed);
        shares == Some(true)
    }

    /// Both clients ask which process answers, each twice and the second one without a pause: whatever the order in which
    /// a pooler gives its sessions away, a client gets another one than before, or that of the other client.
    async fn compare(&self, client: &Client) -> Option<bool> {
        let tls = MakeRustlsConnect::new(self.tls.clone());
        let (other, connection) = self.config.connect(tls).await.ok()?;
        tokio::spawn(connection);
        let first = process(client).await?;
        let others = [process(&other).await?, process(&other).await?];
        let last = process(client).await?;
        Some(first != last || others[0] != others[1] || others.contains(&first))
    }
}

async fn process(client: &Client) -> Option<String> {
    let rows = client.query_typed(PROCESS, &[]).await.ok()?;
    rows.first()?.try_get(0).ok()
}
