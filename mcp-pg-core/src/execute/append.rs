//! Rows that the server itself adds and reads, always as the login, whatever the transaction's role.
//!
//! Knows how they get into a transaction, but not what they mean.

use deadpool_postgres::Object;
use tokio_postgres::Statement;
use tokio_postgres::error::DbError;
use tokio_postgres::types::{ToSql, Type};

use super::connection::unavailable;
use super::database::{Database, snapshot};
use super::identity::{BECOME, Identity};
use super::refusal::Failure;
use super::transaction::{Isolation, Mode};
use crate::error::{Code, Error, Result};

/// Rows to be added by a statement whose only parameter is a text array.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Append<'a> {
    /// The statement.
    pub(crate) sql: &'a str,
    /// The array, with one element per row.
    pub(crate) rows: &'a [String],
    /// The error if PostgreSQL refuses them.
    pub(crate) refused: fn(tokio_postgres::Error) -> Error,
}

/// The messages that add the rows and end the transaction, sent without waiting for answers in between.
pub(super) struct Ending<'a> {
    append: &'a Append<'a>,
    commit: Statement,
    /// The caller's role, and the statement that sets one.
    role: Option<(&'a str, Statement)>,
}

impl<'a> Ending<'a> {
    pub(super) async fn prepare(
        client: &Object,
        append: &'a Append<'a>,
        role: Option<&'a str>,
    ) -> Result<Self, Failure> {
        let role = match role {
            Some(role) => {
                let set = client.prepare_typed_cached(BECOME, &[Type::TEXT]).await;
                Some((role, set.map_err(Failure::Database)?))
            }
            None => None,
        };
        let commit = client.prepare_cached("COMMIT").await.map_err(Failure::Database)?;
        Ok(Self { append, commit, role })
    }

    /// Adds the rows and commits.
    pub(super) async fn send(self, client: &Object) -> Result<(), Failure> {
        let set = async |name: Option<&str>| match &self.role {
            Some((caller, set)) => client.execute(set, &[&name.unwrap_or(caller)]).await,
            None => Ok(0),
        };
        let add = async {
            // Only the login may use the table, so a statement that is not prepared yet is prepared after RESET ROLE.
            let insert = client.prepare_typed_cached(self.append.sql, &[Type::TEXT_ARRAY]).await;
            let insert = insert.map_err(|error| self.append.failure(error))?;
            let rows: [&(dyn ToSql + Sync); 1] = [&self.append.rows];
            let (added, back, committed) = tokio::join!(
                biased;
                client.execute(&insert, &rows),
                // Deferred constraints are checked as the caller's role.
                set(None),
                client.execute(&self.commit, &[]),
            );
            // After a failure, COMMIT rolls back without an error.
            added.map_err(|error| self.append.failure(error))?;
            back.and(committed).map(drop).map_err(Failure::Database)
        };
        let (left, added) = tokio::join!(biased; set(Some("none")), add);
        left.map_err(Failure::Database)?;
        added
    }
}

impl Append<'_> {
    /// The error if the rows cannot be added, unless the transaction must be retried or its outcome is unknown.
    fn failure(&self, error: tokio_postgres::Error) -> Failure {
        let again = |state: &str| state.starts_with("40");
        match error.as_db_error().map(|answer| again(answer.code().code())) {
            Some(false) => Failure::Own((self.refused)(error)),
            _ => Failure::Database(error),
        }
    }
}

impl Failure {
    /// The constraint or index that the server's rows violate.
    pub(crate) fn violated(&self) -> Option<&str> {
        self.of_own_rows()?.constraint()
    }

    /// Whether PostgreSQL refused the rows themselves, so that others may be accepted.
    pub(crate) fn is_of_the_rows(&self) -> bool {
        let of_data = |state: &str| state.starts_with("22") || state.starts_with("23");
        self.of_own_rows().is_some_and(|answer| of_data(answer.code().code()))
    }

    /// PostgreSQL's answer to the server's rows.
    fn of_own_rows(&self) -> Option<&DbError> {
        let Failure::Own(error) = self else { return None };
        let cause = std::error::Error::source(error)?.downcast_ref::<tokio_postgres::Error>()?;
        cause.as_db_error()
    }
}

impl Database {
    /// Adds the rows in a transaction of their own.
    ///
    /// # Errors
    ///
    /// Those of the rows or of the connection.
    pub(crate) async fn append(&self, append: &Append<'_>) -> Result<(), Failure> {
        let transaction =
            self.begin(Identity::default(), Mode::Write(Isolation::ReadCommitted)).await?;
        transaction.commit(Some(append)).await
    }

    /// The only column of one of the server's own queries.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or an error with PostgreSQL's as its cause.
    pub(crate) async fn column(&self, sql: &str) -> Result<Vec<String>> {
        let mut lease = self.lease().await?;
        let rows = lease.client()?.query_typed(sql, &[]).await;
        lease.done();
        rows.map_err(refused)?.iter().map(|row| row.try_get(0).map_err(unavailable)).collect()
    }

    /// Reads the numbered texts of one of the server's own queries, page by page in one snapshot, until `each` fails.
    /// The query's only parameter is the last number read.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or an error with PostgreSQL's as its cause. The inner result is the first failure of
    /// `each`.
    pub(crate) async fn pages<E>(
        &self,
        sql: &str,
        mut each: impl FnMut(i64, &str) -> Result<(), E>,
    ) -> Result<Result<(), E>> {
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let transaction = snapshot(client).await?;
        let mut last = i64::MIN;
        loop {
            let rows = transaction.query_typed(sql, &[(&last, Type::INT8)]).await;
            let rows = rows.map_err(refused)?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                last = row.try_get(0).map_err(unavailable)?;
                if let Err(error) = each(last, row.try_get(1).map_err(unavailable)?) {
                    return Ok(Err(error));
                }
            }
        }
        transaction.commit().await.map_err(unavailable)?;
        lease.done();
        Ok(Ok(()))
    }
}

/// The error of one of the server's own queries.
fn refused(error: tokio_postgres::Error) -> Error {
    let refused = |_: &DbError| Error::new(Code::DatabaseError, "PostgreSQL refused it");
    Failure::Database(error).told(refused)
}
