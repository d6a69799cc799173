//! What every session of the pool is set to, at its beginning and after code that may have changed it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio_postgres::Client;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::types::{ToSql, Type};

use crate::policy::Timeouts;

/// Settings of every session; transactions that write say so themselves. The first row still tells what was set for
/// the login or the database, and whether somebody has begun the session before.
const SET: &str = "SELECT pg_catalog.current_setting('default_transaction_read_only'), \
     pg_catalog.current_setting('mcp_pg.begun', true), \
     pg_catalog.set_config(name, value, false) \
     FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s(name, value)";

/// Whose a new session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) enum Kept {
    /// Its client's alone.
    Own,
    /// It was begun before, by another client: a pooler passes it on.
    Shared,
}

/// The settings by name.
#[derive(Debug)]
pub(in crate::execute) struct SessionSettings {
    names: Vec<&'static str>,
    values: Vec<String>,
    /// Whether the newest session was read-only before anything was set: the login is not meant to write.
    read_only: AtomicBool,
}

impl SessionSettings {
    pub(in crate::execute) fn new(timeouts: &Timeouts) -> Self {
        let milliseconds = |duration: Duration| duration.as_millis().to_string();
        let (names, values) = [
            ("statement_timeout", milliseconds(timeouts.statement)),
            ("lock_timeout", milliseconds(timeouts.lock)),
            ("idle_in_transaction_session_timeout", milliseconds(timeouts.idle_in_transaction)),
            ("default_transaction_read_only", "on".into()),
            // The forms in which values are read.
            ("TimeZone", "UTC".into()),
            ("DateStyle", "ISO".into()),
            ("IntervalStyle", "postgres".into()),
            ("bytea_output", "hex".into()),
            ("extra_float_digits", "1".into()),
            // Those of the names of types.
            ("quote_all_identifiers", "off".into()),
            // The forms in which they are written.
            ("array_nulls", "on".into()),
            ("xmloption", "content".into()),
            // Off, it refuses all that policies are about.
            ("row_security", "on".into()),
            // Last, since the first row is to tell how it was.
            ("mcp_pg.begun", "on".into()),
        ]
        .into_iter()
        .unzip();
        Self { names, values, read_only: AtomicBool::new(false) }
    }

    /// Makes the settings, in a session that is new.
    pub(in crate::execute) async fn begin(&self, client: &Client) -> Result<Kept, PgError> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.names, Type::TEXT_ARRAY), (&self.values, Type::TEXT_ARRAY)];
        let rows = client.query_typed(SET, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(Kept::Own) };
        if row.try_get::<_, Option<&str>>(1)?.is_some_and(|begun| !begun.is_empty()) {
            return Ok(Kept::Shared);
        }
        self.read_only.store(row.try_get::<_, &str>(0)? == "on", Ordering::Relaxed);
        Ok(Kept::Own)
    }

    /// Whether somebody has set the login or the database to be read-only.
    pub(in crate::execute) fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Takes back what triggers and functions have left in the session: its role and settings, cursors, temporary
    /// tables, locks, the last values of sequences. Prepared statements stay: most of them are the driver's.
    pub(in crate::execute) async fn restore(&self, client: &Client) -> Result<(), PgError> {
        // The role first: what comes after it is done as the login.
        const LEFT: [&str; 7] = [
            "SET SESSION AUTHORIZATION DEFAULT",
            "CLOSE ALL",
            "UNLISTEN *",
            "DISCARD TEMP",
            "DISCARD SEQUENCES",
            "SELECT pg_catalog.pg_advisory_unlock_all()",
            "RESET ALL",
        ];
        let commands = LEFT.map(|command| client.execute_typed(command, &[]));
        // Sent together, in this order.
        let (taken_back, begun) = tokio::join!(biased; try_join_all(commands), self.begin(client));
        taken_back.and(begun).map(drop)
    }
}
