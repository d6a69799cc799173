//! Tells whether the catalogue has changed, without reading it.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Statement};

use super::unreadable;
use crate::error::Result;

/// The state of the catalogue at one moment. Two signatures that count from the same transaction are equal if nothing
/// has changed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    since: String,
    written: String,
}

/// Which transactions had ended at one moment. Between two equal snapshots no transaction ended, so nothing has
/// changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    /// The current snapshot; `None` from a standby, whose snapshots do not name the running transactions.
    ///
    /// Takes no measurable time.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn read(client: &Client) -> Result<Option<Self>> {
        const SNAPSHOT: &str = "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text \
             WHERE NOT pg_catalog.pg_is_in_recovery()";
        let rows = client.query_typed(SNAPSHOT, &[]).await.map_err(unreadable)?;
        rows.first().map(|row| row.try_get(0).map(Self).map_err(unreadable)).transpose()
    }
}

/// A [`Signature`], and what is read in the same query.
#[derive(Debug)]
pub struct Polled {
    /// The signature.
    pub signature: Signature,
    /// Whether an event trigger notifies the server of changes to the schema.
    pub notifies: bool,
}

/// Whether the database has code that may change the session in which it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCode {
    /// Code that runs in reads: functions in policies and views.
    pub reads: bool,
    /// Code that runs in writes: the same, functions in defaults and checks, and triggers other than this server's.
    pub writes: bool,
    /// Code that reads the last number of a sequence: `currval`, `lastval`.
    pub last_numbers: bool,
}

impl SessionCode {
    /// Reads it from the catalogue. It stays true as long as the signature does not change.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn read(client: &mut Client) -> Result<Self> {
        let read = async {
            let transaction = client.build_transaction().read_only(true).start().await?;
            // `settings.sql` turns JIT off. The planner's estimate for this query can be high enough for JIT
            // compilation, which takes ten times as long as the query.
            transaction.query_typed(include_str!("../sql/settings.sql"), &[]).await?;
            let query = include_str!("../sql/session_code.sql");
            let rows = transaction.query_typed(query, &[]).await?;
            transaction.commit().await?;
            Ok(rows)
        };
        let rows: Vec<Row> = read.await.map_err(unreadable)?;
        let found = |column| match rows.first() {
            Some(row) => row.try_get(column).map_err(unreadable),
            None => Ok(true),
        };
        let (reads, writes) = (found("reads")?, found("writes")?);
        Ok(Self { reads, writes, last_numbers: found("last_numbers")? })
    }
}

/// The prepared query of a [`Signature`]. Planning it takes as long as running it, so a connection that polls
/// prepares it once.
#[derive(Debug)]
pub struct Watch(Statement);

impl Watch {
    /// Prepares the query.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn prepare(client: &Client) -> Result<Self> {
        let query = include_str!("../sql/signature.sql");
        let prepared = client.prepare_typed(query, &[Type::TEXT_ARRAY, Type::TEXT]).await;
        prepared.map(Self).map_err(unreadable)
    }

    /// The current signature of these schemas, comparable with the `earlier` one if given. `client` must be the
    /// connection on which the query was prepared.
    ///
    /// Takes some milliseconds for a thousand tables.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn poll(
        &self,
        client: &Client,
        schemas: &[String],
        earlier: Option<&Signature>,
    ) -> Result<Polled> {
        let since = earlier.map(|earlier| &earlier.since);
        let row = client.query_one(&self.0, &[&schemas, &since]).await.map_err(unreadable)?;
        let read = || {
            Ok(Polled {
                signature: Signature {
                    since: row.try_get("since")?,
                    written: row.try_get("written")?,
                },
                notifies: row.try_get("notifies")?,
            })
        };
        read().map_err(unreadable)
    }
}
