//! Checks whether PostgreSQL accepts a setting or a statement, in a transaction that is rolled back.

use futures_util::TryStreamExt as _;
use tokio_postgres::RowStream;
use tokio_postgres::error::{Error as PgError, SqlState};
use tokio_postgres::types::Type;

use super::connection::unavailable;
use super::database::Database;
use super::identity::{BECOME, is_of_identity};
use crate::error::Result;
use crate::value::Text;

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

    /// PostgreSQL's error if the login cannot become this database role.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn role_refused(&self, role: &str) -> Result<Option<String>> {
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let transaction = client.build_transaction().read_only(true).start();
        let transaction = transaction.await.map_err(unavailable)?;
        let tried = transaction.query_typed(BECOME, &[(&role, Type::TEXT)]).await;
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        let Err(error) = tried else { return Ok(None) };
        match error.as_db_error().filter(|answer| is_of_identity(answer)) {
            Some(answer) => Ok(Some(answer.message().to_owned())),
            None => Err(unavailable(error)),
        }
    }

    /// What PostgreSQL says if a database role, or the login, lacks a right that a statement needs. The statement is an EXPLAIN, which
    /// checks rights; its parameters are null. `None` if no right is missing, whatever else may be wrong.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn right_refused(
        &self,
        role: Option<&str>,
        explain: &str,
    ) -> Result<Option<String>> {
        let mut lease = self.lease().await?;
        // The planner runs functions.
        lease.change();
        let client = lease.client()?;
        let transaction = client.build_transaction().read_only(true).start();
        let transaction = transaction.await.map_err(unavailable)?;
        let tried: Result<(), PgError> = async {
            if let Some(role) = role {
                transaction.query_typed(BECOME, &[(&role, Type::TEXT)]).await?;
            }
            let statement = transaction.prepare(explain).await?;
            let nulls = statement.params().iter().map(|_| Text(None));
            let plan: RowStream = transaction.query_raw(&statement, nulls).await?;
            plan.try_for_each(|_| async { Ok(()) }).await
        }
        .await;
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        let Err(error) = tried else { return Ok(None) };
        let Some(answer) = error.as_db_error() else { return Err(unavailable(error)) };
        let refused = answer.code() == &SqlState::INSUFFICIENT_PRIVILEGE;
        Ok(refused.then(|| answer.message().to_owned()))
    }
}
