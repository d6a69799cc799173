//! Replaces `embedded` on systems other than Unix, which have no cluster.

/// A running PostgreSQL cluster: never, on this system.
#[derive(Debug)]
pub enum Cluster {}

impl Cluster {
    /// Starts no cluster.
    ///
    /// # Errors
    /// Always.
    pub fn start() -> Result<Cluster, EmbeddedError> {
        Err(EmbeddedError::Unsupported)
    }

    /// Starts no cluster.
    ///
    /// # Errors
    /// Always.
    pub fn start_on(_port: u16) -> Result<Cluster, EmbeddedError> {
        Err(EmbeddedError::Unsupported)
    }

    /// How to connect to a database of the cluster.
    #[must_use]
    pub fn config(&self, _database: &str) -> tokio_postgres::Config {
        match *self {}
    }

    /// The same as a URL, for other programs.
    #[must_use]
    pub fn url(&self, _database: &str) -> String {
        match *self {}
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// The cluster is made of unix sockets and Unix processes.
    #[error("the embedded PostgreSQL runs on Linux and macOS only: give a --database-url")]
    Unsupported,
}
