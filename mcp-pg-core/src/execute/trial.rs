//! Checks whether PostgreSQL accepts a setting, in a transaction that is rolled back.

use tokio_postgres::types::Type;

use super::connection::unavailable;
use super::database::Database;
use crate::error::Result;

/// `invalid_parameter_value`: another value may be accepted.
const INVALID_VALUE: &str = "22023";

impl Database {
    /// PostgreSQL's error for this setting, if it refuses it. Without a value: its error if it refuses every value.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn setting_refused(
        &self,
        name: &str,
        value: Option<&str>,
    ) -> Result<Option<String>> {
        const SET: &str = "SELECT pg_catalog.set_config($1, $2, true)";
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let transaction = client.build_transaction().read_only(true).start();
        let transaction = transaction.await.map_err(unavailable)?;
        let (given, text) = (value.unwrap_or_default(), Type::TEXT);
        let tried =
            transaction.query_typed(SET, &[(&name, text.clone()), (&given, text)]).await.map(drop);
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        let Err(error) = tried else { return Ok(None) };
        let Some(answer) = error.as_db_error() else { return Err(unavailable(error)) };
        let invalid = answer.code().code() == INVALID_VALUE;
        Ok((value.is_some() || !invalid).then(|| answer.message().to_owned()))
    }
}
