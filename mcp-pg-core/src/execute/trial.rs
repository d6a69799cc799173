//! Checks whether PostgreSQL accepts a setting or a statement, in a transaction that is rolled back.

use futures_util::future::try_join_all;
use tokio::join;
use tokio_postgres::error::{Error as PgError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Transaction};

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
        let transaction = begin(lease.client()?).await?;
        let (given, text) = (value.unwrap_or_default(), Type::TEXT);
        let tried = transaction.query_typed(SET, &[(&name, text.clone()), (&given, text)]).await;
        let refused = end(transaction, tried).await?;
        lease.done();
        let Some(answer) = refused.as_ref().and_then(PgError::as_db_error) else { return Ok(None) };
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
        let transaction = begin(lease.client()?).await?;
        let tried = transaction.query_typed(BECOME, &[(&role, Type::TEXT)]).await;
        let refused = end(transaction, tried).await?;
        lease.done();
        let Some(error) = refused else { return Ok(None) };
        match error.as_db_error().filter(|answer| is_of_identity(answer)) {
            Some(answer) => Ok(Some(answer.message().to_owned())),
            None => Err(unavailable(error)),
        }
    }

    /// Whether a database role, or the login, has the rights that each of these EXPLAINs needs: EXPLAIN checks rights. Each comes with
    /// the number of its parameters, which are null. Those behind a lock are not tried.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn rights(
        &self,
        role: Option<&str>,
        explains: &[(String, usize)],
    ) -> Result<Vec<Right>> {
        let mut lease = self.lease_apart().await?;
        // The planner runs functions.
        lease.change();
        let transaction = begin(lease.client()?).await?;
        let tried: Result<Vec<Right>, PgError> = async {
            // Planning locks partitions and indexes, too.
            transaction.query_typed(PATIENCE, &[]).await?;
            if let Some(role) = role {
                transaction.query_typed(BECOME, &[(&role, Type::TEXT)]).await?;
            }
            let mut rights = Vec::with_capacity(explains.len());
            for together in explains.chunks(SENT_TOGETHER) {
                let trials = together.iter().map(|(sql, nulls)| right(&transaction, sql, *nulls));
                rights.extend(try_join_all(trials).await?);
                if rights.contains(&Right::Unknown) {
                    break;
                }
            }
            rights.resize(explains.len(), Right::Unknown);
            Ok(rights)
        }
        .await;
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        match tried {
            Ok(rights) => Ok(rights),
            // The role, which the callers ask about themselves.
            Err(error) if error.as_db_error().is_some() => Ok(vec![Right::Held; explains.len()]),
            Err(error) => Err(unavailable(error)),
        }
    }
}

/// Tries an EXPLAIN, and undoes it. All three statements are sent when this is polled first.
async fn right(transaction: &Transaction<'_>, sql: &str, nulls: usize) -> Result<Right, PgError> {
    // PostgreSQL infers the types of these.
    let nulls = vec![Text(None); nulls];
    let nulls: Vec<(&(dyn ToSql + Sync), Type)> =
        nulls.iter().map(|null| (null as _, Type::UNKNOWN)).collect();
    let (begun, tried, undone) = join!(
        biased;
        transaction.query_typed("SAVEPOINT trial", &[]),
        transaction.query_typed(sql, &nulls),
        transaction.query_typed("ROLLBACK TO trial", &[]),
    );
    begun?;
    undone?;
    let Err(error) = tried else { return Ok(Right::Held) };
    let Some(answer) = error.as_db_error() else { return Err(error) };
    let locked = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED];
    // What is refused within a function may depend on settings and parameters, which are missing here.
    let checked = answer.routine().is_some_and(|routine| routine.starts_with("aclcheck_error"))
        && answer.where_().is_none();
    Ok(if locked.contains(answer.code()) {
        Right::Unknown
    } else if checked && answer.code() == &SqlState::INSUFFICIENT_PRIVILEGE {
        Right::Lacking(answer.message().to_owned())
    } else {
        Right::Held
    })
}

/// Whether a role has the rights that a statement needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Right {
    /// It has, or something else is wrong.
    Held,
    /// It has not, with PostgreSQL's message.
    Lacking(String),
    /// A lock keeps PostgreSQL from saying so.
    Unknown,
}

/// How many trials are sent together. All of them may wait for the same lock, one after the other.
const SENT_TOGETHER: usize = 4;

/// How long a trial waits for locks.
const PATIENCE: &str = "SELECT pg_catalog.set_config('lock_timeout', '100ms', true)";

async fn begin(client: &mut Client) -> Result<Transaction<'_>> {
    client.build_transaction().read_only(true).start().await.map_err(unavailable)
}

/// Undoes what was tried; returns PostgreSQL's error, if it refused that.
async fn end<T>(
    transaction: Transaction<'_>,
    tried: Result<T, PgError>,
) -> Result<Option<PgError>> {
    transaction.rollback().await.map_err(unavailable)?;
    match tried {
        Ok(_) => Ok(None),
        Err(error) if error.as_db_error().is_some() => Ok(Some(error)),
        Err(error) => Err(unavailable(error)),
    }
}
