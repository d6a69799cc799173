//! Rows that the server itself adds and reads: always as the login, whoever the transaction's caller is.
//!
//! Knows how they get into a transaction; not what they mean.

use deadpool_postgres::Object;
use tokio_postgres::Statement;
use tokio_postgres::error::DbError;
use tokio_postgres::types::{ToSql, Type};

use super::connection::unavailable;
use super::database::{Database, snapshot};
use super::refusal::Failure;
use super::transaction::{BECOME, Identity};
use crate::error::{Code, Error, Result};
use crate::request::Isolation;

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
            // Only the login may know the table: what is not prepared yet waits until the role is left.
            let insert = client.prepare_typed_cached(self.append.sql, &[Type::TEXT_ARRAY]).await;
            let insert = insert.map_err(|error| self.append.failure(error))?;
            let rows: [&(dyn ToSql + Sync); 1] = [&self.append.rows];
            let (added, back, committed) = tokio::join!(
                biased;
                client.execute(&insert, &rows),
                // What is checked at the commit is checked as the caller.
                set(None),
                client.execute(&self.commit, &[]),
            );
            // After a failure COMMIT rolls back, and says nothing of it.
            added.map_err(|error| self.append.failure(error))?;
            back.and(committed).map(drop).map_err(Failure::Database)
        };
        let (left, added) = tokio::join!(biased; set(Some("none")), add);
        left.map_err(Failure::Database)?;
        added
    }
}

impl Append<'_> {
    /// The error if the rows cannot be added; unless the transaction has to be retried, or it is unknown whether it was committed.
    fn failure(&self, error: tokio_postgres::Error) -> Failure {
        let again = |state: &str| state.starts_with("40");
        match error.as_db_error().map(|answer| again(answer.code().code())) {
            Some(false) => Failure::Own((self.refused)(error)),
            _ => Failure::Database(error),
        }
    }
}

impl Failure {
    /// The constraint or index that the server's own rows violate.
    pub(crate) fn violated(&self) -> Option<&str> {
        self.of_own_rows()?.constraint()
    }

    /// Whether something in the server's own rows kept them out: others may be taken.
    pub(crate) fn is_of_the_rows(&self) -> bool {
        let of_data = |state: &str| state.starts_with("22") || state.starts_with("23");
        self.of_own_rows().is_some_and(|answer| of_data(answer.code().code()))
    }

    /// What PostgreSQL answered to the server's own rows.
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
    /// The rows' own; the connection's.
    pub(crate) async fn append(&self, append: &Append<'_>) -> Result<(), Failure> {
        let transaction = self.begin(Identity::default(), Some(Isolation::ReadCommitted)).await?;
        transaction.commit(Some(append)).await
    }

    /// The only column of a query of the server's own.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or PostgreSQL's refusal as its cause.
    pub(crate) async fn column(&self, sql: &str) -> Result<Vec<String>> {
        let mut lease = self.lease().await?;
        let rows = lease.client()?.query_typed(sql, &[]).await;
        lease.done();
        let rows = rows.map_err(|error| {
            let refused = |_: &DbError| Error::new(Code::DatabaseError, "PostgreSQL refused it");
            Failure::Database(error).told(refused)
        })?;
        rows.iter().map(|row| row.try_get(0).map_err(unavailable)).collect()
    }

    /// The numbered texts of a query of the server's own, page by page in one snapshot, until `each` fails.
    /// Its only parameter is the number to go on after.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or PostgreSQL's refusal as its cause; inside, the first failure of `each`.
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
            let rows = rows.map_err(unavailable)?;
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
