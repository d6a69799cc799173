//! What every session of the pool is set to, at its beginning and after code that may have changed it.

use std::time::Duration;

use tokio_postgres::Client;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::types::{ToSql, Type};

use crate::policy::Timeouts;

/// Settings of every session; transactions that write say so themselves.
const SET: &str = "SELECT pg_catalog.set_config(name, value, false) \
     FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[])) AS s(name, value)";

/// The settings by name.
#[derive(Debug)]
pub(super) struct Session {
    names: Vec<&'static str>,
    values: Vec<String>,
}

impl Session {
    pub(super) fn new(timeouts: &Timeouts) -> Self {
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
        ]
        .into_iter()
        .unzip();
        Self { names, values }
    }

    /// Makes the settings, in a session that is new.
    pub(super) async fn begin(&self, client: &Client) -> Result<(), PgError> {
        let parameters: [(&(dyn ToSql + Sync), Type); 2] =
            [(&self.names, Type::TEXT_ARRAY), (&self.values, Type::TEXT_ARRAY)];
        client.query_typed(SET, &parameters).await.map(drop)
    }

    /// Takes back what triggers and functions have set for the session, its role too.
    pub(super) async fn restore(&self, client: &Client) -> Result<(), PgError> {
        let (login, defaults, begun) = tokio::join!(
            biased;
            client.execute_typed("SET SESSION AUTHORIZATION DEFAULT", &[]),
            client.execute_typed("RESET ALL", &[]),
            self.begin(client),
        );
        login.and(defaults).map(drop).and(begun)
    }
}
