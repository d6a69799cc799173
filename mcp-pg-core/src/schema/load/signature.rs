//! Whether anything in the catalogue has changed, without reading it.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Row, Statement};

use super::unreadable;
use crate::error::Result;

/// What the catalogue was like at one moment. That of a later one, counted from the same transaction on, is equal
/// if nothing has changed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    since: String,
    written: String,
}

/// Which transactions had ended at one moment: between two equal ones none did, and nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(String);

impl Snapshot {
    /// That of this moment; none from a standby, whose snapshots do not name the transactions under way.
    ///
    /// Costs next to nothing. Fails with `database_unavailable` or `database_error`.
    pub async fn read(client: &Client) -> Result<Option<Self>> {
        const SNAPSHOT: &str = "SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text \
             WHERE NOT pg_catalog.pg_is_in_recovery()";
        let rows = client.query_typed(SNAPSHOT, &[]).await.map_err(unreadable)?;
        rows.first().map(|row| row.try_get(0).map(Self).map_err(unreadable)).transpose()
    }
}

/// What is told along with a [`Signature`].
#[derive(Debug)]
pub struct Sighted {
    /// The signature.
    pub signature: Signature,
    /// Whether an event trigger notifies of changes.
    pub told: bool,
}

/// Whether code of the database may change the session that it runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionCode {
    /// In reads: functions in policies and views.
    pub reads: bool,
    /// In writes: those, functions in defaults and checks, and triggers, besides this server's.
    pub writes: bool,
}

impl SessionCode {
    /// What there is now; while the signature stays the same, that does.
    ///
    /// Fails with `database_unavailable` or `database_error`.
    pub async fn read(client: &mut Client) -> Result<Self> {
        let read = async {
            let transaction = client.build_transaction().read_only(true).start().await?;
            // Where extensions bring operators, the query looks long enough to be compiled, which takes ten times as long.
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
        Ok(Self { reads: found("reads")?, writes: found("writes")? })
    }
}

/// The query of a [`Signature`], prepared on a connection that looks often: planning it takes as long as running it.
#[derive(Debug)]
pub struct Watch(Statement);

impl Watch {
    /// Prepares it. Fails with `database_unavailable` or `database_error`.
    pub async fn prepare(client: &Client) -> Result<Self> {
        let query = include_str!("../sql/signature.sql");
        let prepared = client.prepare_typed(query, &[Type::TEXT_ARRAY, Type::TEXT]).await;
        prepared.map(Self).map_err(unreadable)
    }

    /// The signature of these schemas as they are now, for comparison with that of an `earlier` moment if there is
    /// one, over the connection that it was prepared on.
    ///
    /// Some milliseconds for a thousand tables. Fails with `database_unavailable` or `database_error`.
    pub async fn look(
        &self,
        client: &Client,
        schemas: &[String],
        earlier: Option<&Signature>,
    ) -> Result<Sighted> {
        let since = earlier.map(|earlier| &earlier.since);
        let row = client.query_one(&self.0, &[&schemas, &since]).await.map_err(unreadable)?;
        let read = || {
            Ok(Sighted {
                signature: Signature {
                    since: row.try_get("since")?,
                    written: row.try_get("written")?,
                },
                told: row.try_get("told")?,
            })
        };
        read().map_err(unreadable)
    }
}
