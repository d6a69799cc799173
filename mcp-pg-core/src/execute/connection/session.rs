//! The settings of every session, made when it begins and after code that may have changed them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use tokio_postgres::Client;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::types::{ToSql, Type};

use crate::policy::{Timeouts, milliseconds};

/// Makes the settings; transactions that write override the first. The first row also returns the previous values:
/// whether the login or the database is read-only, and whether the session has begun before.
const SET: &str = "SELECT pg_catalog.current_setting('default_transaction_read_only'), \
     pg_catalog.current_setting('mcp_pg.begun', true), \
     pg_catalog.set_config(name, value, false) \
     FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s(name, value)";

/// Whether a new session is used by this client only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::execute) enum Kept {
    /// It is.
    Own,
    /// Another client has begun it before: a pooler shares it.
    Shared,
}

/// The settings of a session, by name.
#[derive(Debug)]
pub(in crate::execute) struct SessionSettings {
    names: Vec<&'static str>,
    values: Vec<String>,
    /// Whether the newest session was read-only before the settings were made, because the login should not write.
    read_only: AtomicBool,
    /// When the catalogue was last found to be another.
    doubted: Mutex<Option<Instant>>,
}

impl SessionSettings {
    pub(in crate::execute) fn new(timeouts: &Timeouts) -> Self {
        let (names, values) = [
            ("statement_timeout", milliseconds(timeouts.statement)),
            ("lock_timeout", milliseconds(timeouts.lock)),
            ("idle_in_transaction_session_timeout", milliseconds(timeouts.idle_in_transaction)),
            // Connections wait in the pool, and the one that listens for changes always does.
            ("idle_session_timeout", "0".into()),
            ("default_transaction_read_only", "on".into()),
            // Serializable reads would wait for every open write.
            ("default_transaction_deferrable", "off".into()),
            // PostgreSQL compiles for seconds, in which it notices neither a timeout nor a cancellation.
            ("jit", "off".into()),
            // The formats in which values are read.
            ("TimeZone", "UTC".into()),
            ("DateStyle", "ISO".into()),
            ("IntervalStyle", "postgres".into()),
            ("bytea_output", "hex".into()),
            ("extra_float_digits", "1".into()),
            // The format in which the catalogue's expressions are printed.
            ("standard_conforming_strings", "on".into()),
            // The format of type names.
            ("quote_all_identifiers", "off".into()),
            // The formats in which values are written.
            ("array_nulls", "on".into()),
            ("xmloption", "content".into()),
            // If this is off, statements fail to which row-level security applies.
            ("row_security", "on".into()),
            // Last, because the first row returns the previous value.
            ("mcp_pg.begun", "on".into()),
        ]
        .into_iter()
        .unzip();
        Self { names, values, read_only: AtomicBool::new(false), doubted: Mutex::default() }
    }

    /// Makes the settings in a new session.
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

    /// Whether the login or the database is set to be read-only.
    pub(in crate::execute) fn read_only(&self) -> bool {
        self.read_only.load(Ordering::Relaxed)
    }

    /// Notes that the catalogue is another. Sessions that were in use before may have run code that nobody knew of.
    pub(in crate::execute) fn doubt(&self) {
        *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether a session was last taken before that.
    pub(in crate::execute) fn is_doubtful(&self, unused: Duration) -> bool {
        let doubted = self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.is_some_and(|doubted| doubted.elapsed() <= unused)
    }

    /// Resets what triggers and functions may have left in the session: role and settings, cursors, temporary tables,
    /// locks, the last values of sequences. Prepared statements are kept, because most of them are the driver's.
    pub(in crate::execute) async fn restore(&self, client: &Client) -> Result<(), PgError> {
        // The role first, so that everything else is done as the login.
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
