//! Describes statements and functions without running them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio_postgres::Column;
use tokio_postgres::error::{Error as PgError, ErrorPosition, SqlState};
use tokio_postgres::types::{Kind, Type};

use super::connection::unavailable;
use super::database::Database;
use crate::error::Result;
use crate::schema::{ColumnOrigin, DataType, Described, DescribedColumn, Routine, Schema};
use crate::value::Text;

/// PostgreSQL's reason for refusing a statement, for its author.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    /// PostgreSQL's message and hint.
    pub(crate) message: String,
    /// The position of the character that it refers to, from 1.
    pub(crate) position: Option<usize>,
    /// Whether the reason passes without a change of the schema: a lock, a timeout, or a lack of resources.
    pub(crate) passing: bool,
}

impl Refused {
    fn of(error: &PgError) -> Option<Self> {
        let answer = error.as_db_error()?;
        let mut message = answer.message().to_owned();
        for more in [answer.detail(), answer.hint()].into_iter().flatten() {
            message.push_str(". ");
            message.push_str(more.trim_end_matches('.'));
        }
        let position = match answer.position() {
            Some(ErrorPosition::Original(position)) => usize::try_from(*position).ok(),
            _ => None,
        };
        let code = answer.code();
        let passing = [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED].contains(code)
            || ["40", "53"].iter().any(|class| code.code().starts_with(class));
        Some(Self { message, position, passing })
    }
}

impl Database {
    /// Prepares statements. For each, returns its parameters and columns, or PostgreSQL's refusal.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn described(
        &self,
        statements: &[String],
    ) -> Result<Vec<Result<Described, Refused>>> {
        if statements.is_empty() {
            return Ok(Vec::new());
        }
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let mut prepared = Vec::with_capacity(statements.len());
        for statement in statements {
            prepared.push(match client.prepare(statement).await {
                Ok(prepared) => Ok(prepared),
                Err(error) => match Refused::of(&error) {
                    Some(refused) => Err(refused),
                    None => return Err(unavailable(error)),
                },
            });
        }
        let mut oids = Vec::new();
        for statement in prepared.iter().flatten() {
            oids.extend(statement.params().iter().map(|data_type| data_type.oid()));
            oids.extend(statement.columns().iter().map(|column| column.type_().oid()));
        }
        oids.sort_unstable();
        oids.dedup();
        let transaction = client.build_transaction().read_only(true).start();
        let transaction = transaction.await.map_err(unavailable)?;
        let types = Schema::types(&transaction, &oids).await?;
        // The text of a statement that was refused may be one that the database cannot hold.
        let readable = statements.iter().zip(&prepared);
        let readable = readable.map(|(text, prepared)| prepared.as_ref().map_or("", |_| text));
        let coded = Schema::coded(&transaction, &Vec::from_iter(readable)).await?;
        let columns = prepared.iter().flatten().flat_map(|statement| statement.columns());
        let shown = Vec::from_iter(columns.filter_map(shown));
        let origins = Schema::origins(&transaction, &shown).await?;
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        Ok(prepared
            .into_iter()
            .zip(coded)
            .map(|(prepared, coded)| {
                prepared.map(|prepared| described(&prepared, &types, &origins, coded))
            })
            .collect())
    }

    /// Casts texts to types. For each, returns PostgreSQL's refusal, if any.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn tried(
        &self,
        texts: impl IntoIterator<Item = (u32, String)>,
    ) -> Result<Vec<Option<String>>> {
        let mut texts = texts.into_iter().peekable();
        if texts.peek().is_none() {
            return Ok(Vec::new());
        }
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let mut tried = Vec::new();
        for (oid, text) in texts {
            let data_type = Type::new(String::new(), oid, Kind::Simple, String::new());
            let statement = client.prepare_typed("SELECT $1 IS NULL", &[data_type]).await;
            let statement = statement.map_err(unavailable)?;
            tried.push(match client.query(&statement, &[&Text(Some(text.into()))]).await {
                Ok(_) => None,
                Err(error) => match (Refused::of(&error), error.code()) {
                    (Some(refused), Some(code)) if is_of_value(code) => Some(refused.message),
                    // The login may not have the rights to check a domain's constraint.
                    (Some(_), _) => None,
                    (None, _) => return Err(unavailable(error)),
                },
            });
        }
        lease.done();
        Ok(tried)
    }

    /// The functions and procedures whose comments mark them as tools, and the roles that may call each.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or `database_error` if there is no such role.
    pub(crate) async fn routines(
        &self,
        schemas: &[String],
        roles: &[Option<String>],
    ) -> Result<Vec<Routine>> {
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let transaction = client.build_transaction().read_only(true).start();
        let transaction = transaction.await.map_err(unavailable)?;
        let routines = Schema::routines(&transaction, schemas, roles).await?;
        transaction.rollback().await.map_err(unavailable)?;
        lease.done();
        Ok(routines)
    }
}

/// Whether an error is about a value that is not of its type or violates a constraint.
fn is_of_value(code: &SqlState) -> bool {
    ["22", "23"].iter().any(|class| code.code().starts_with(class))
}

/// The column of a table that a result column shows.
fn shown(column: &Column) -> Option<(u32, i16)> {
    column.table_oid().zip(column.column_id())
}

fn described(
    statement: &tokio_postgres::Statement,
    types: &HashMap<u32, Arc<DataType>>,
    origins: &HashMap<(u32, i16), (ColumnOrigin, bool)>,
    coded: bool,
) -> Described {
    let known = |oid: u32| types.get(&oid).cloned().unwrap_or_else(|| Arc::clone(DataType::text()));
    Described {
        parameters: statement.params().iter().map(|data_type| known(data_type.oid())).collect(),
        columns: statement
            .columns()
            .iter()
            .map(|column| {
                let of = shown(column).and_then(|shown| origins.get(&shown));
                DescribedColumn {
                    name: column.name().to_owned(),
                    data_type: known(column.type_().oid()),
                    origin: of.map(|(origin, _)| origin.clone()),
                    in_key: of.is_some_and(|(_, in_key)| *in_key),
                }
            })
            .collect(),
        coded,
    }
}
