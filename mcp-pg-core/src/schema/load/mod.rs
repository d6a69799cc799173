//! Reads the catalogue: runs the queries and builds a [`Schema`] from their rows.
//!
//! The query of each kind of object is a file in `sql/`, whose comments say why it leaves rows out. The rows of each
//! kind are read by a file here. Rows are matched to tables by OID and to columns by number, never by name.

mod columns;
mod database_id;
mod keys;
mod routines;
mod signature;
mod tables;
mod target_list;
mod text;
mod types;
mod views;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::try_join;
use tokio_postgres::error::{Error as PgError, SqlState};
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, IsolationLevel, Row, Transaction};

pub use self::database_id::DatabaseId;
pub use self::signature::{Polled, SessionCode, Signature, Snapshot, Watch};
use self::text::Texts as _;
use self::types::Types;
use self::views::{Beneath, Rules};
use super::directive::split;
use super::{
    ColumnOrigin, DataType, Directive, Function, Language, ReadOnly, Routine, Schema, Subject,
    Table, clean,
};
use crate::error::{Code, Error, Result};
use crate::name::TableName;

/// How many times [`Schema::load`] tries.
const ATTEMPTS: usize = 4;

/// The tables being read, by OID.
type Tables = BTreeMap<u32, Table>;

impl Schema {
    /// Reads what the login sees of these schemas, in a read-only transaction of its own.
    ///
    /// A client from a pool works too, through its `DerefMut`. A schema that does not exist, or that the login may
    /// not use, has no tables.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use mcp_pg_core::schema::Schema;
    ///
    /// let (mut client, connection) =
    ///     tokio_postgres::connect("host=localhost user=reader", tokio_postgres::NoTls).await?;
    /// tokio::spawn(connection);
    /// let schema = Schema::load(&mut client, &["public".to_owned()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn load(client: &mut Client, schemas: &[String]) -> Result<Self> {
        for _ in 1..ATTEMPTS {
            match load_once(client, schemas).await {
                // PostgreSQL prints types and expressions from the current catalogue, not from the snapshot, and
                // fails if an object was dropped in between. The next attempt has a newer snapshot.
                Err(error) if error.get_sqlstate() == Some(SqlState::INTERNAL_ERROR.code()) => {}
                outcome => return outcome,
            }
        }
        load_once(client, schemas).await
    }

    /// Reads what the current role sees of these schemas, in a transaction that the caller has opened as REPEATABLE
    /// READ READ ONLY, optionally under `SET LOCAL ROLE`.
    ///
    /// Leaves the transaction with an empty `search_path`, so that types and expressions are printed with their
    /// schemas, and with `jit` off.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`. The SQLSTATE `XX000` means that an object was dropped meanwhile: try
    /// again in a new transaction.
    pub async fn read(transaction: &Transaction<'_>, schemas: &[String]) -> Result<Self> {
        read(transaction, schemas).await.map_err(unreadable)
    }
}

impl Schema {
    /// Resolves the types with these OIDs. For the transaction, see [`Schema::read`].
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn types(
        transaction: &Transaction<'_>,
        oids: &[u32],
    ) -> Result<HashMap<u32, Arc<DataType>>> {
        let parameters: &[(&(dyn ToSql + Sync), Type)] =
            &[(&Vec::<u32>::new(), Type::OID_ARRAY), (&oids, Type::OID_ARRAY)];
        let read = async {
            transaction.query_typed(include_str!("../sql/settings.sql"), &[]).await?;
            let rows =
                transaction.query_typed(include_str!("../sql/types.sql"), parameters).await?;
            Types::read(&rows)
        };
        let mut types = read.await.map_err(unreadable)?;
        Ok(oids.iter().map(|oid| (*oid, types.get(*oid))).collect())
    }

    /// The names of columns, given by their tables' OIDs and their numbers, and whether each is part of a primary
    /// key. For the transaction, see [`Schema::read`].
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn origins(
        transaction: &Transaction<'_>,
        columns: &[(u32, i16)],
    ) -> Result<HashMap<(u32, i16), (ColumnOrigin, bool)>> {
        let (oids, numbers): (Vec<u32>, Vec<i16>) = columns.iter().copied().unzip();
        let parameters: &[(&(dyn ToSql + Sync), Type)] =
            &[(&oids, Type::OID_ARRAY), (&numbers, Type::INT2_ARRAY)];
        let read = async {
            let query = include_str!("../sql/shown_columns.sql");
            let rows = transaction.query_typed(query, parameters).await?;
            let origin = |row: &Row| {
                let (column, defaulted) = (row.text("column_name")?, row.try_get("defaulted")?);
                let (table, ancestors) = (name(row)?, Vec::new());
                let origin = ColumnOrigin { table, column, defaulted, ancestors };
                let shown = (row.try_get("oid")?, row.try_get("number")?);
                Ok((shown, (origin, row.try_get("in_key")?)))
            };
            rows.iter().map(origin).collect::<std::result::Result<_, PgError>>()
        };
        read.await.map_err(unreadable)
    }

    /// Whether each of these statements may run code of the database that changes the session. For the transaction,
    /// see [`Schema::read`].
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn coded(transaction: &Transaction<'_>, statements: &[&str]) -> Result<Vec<bool>> {
        let parameters: &[(&(dyn ToSql + Sync), Type)] = &[(&statements, Type::TEXT_ARRAY)];
        let rows = transaction.query_typed(include_str!("../sql/coded.sql"), parameters).await;
        let rows = rows.map_err(unreadable)?;
        rows.iter().map(|row| row.try_get("coded").map_err(unreadable)).collect()
    }

    /// Reads the functions and procedures of some schemas whose comments mark them as tools, and which of the
    /// database roles may call them. For the transaction, see [`Schema::read`].
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub(crate) async fn routines(
        transaction: &Transaction<'_>,
        schemas: &[String],
        roles: &[Option<String>],
    ) -> Result<Vec<Routine>> {
        let roles: Vec<&str> = roles.iter().map(|role| role.as_deref().unwrap_or("")).collect();
        let parameters: &[(&(dyn ToSql + Sync), Type)] =
            &[(&schemas, Type::TEXT_ARRAY), (&roles, Type::TEXT_ARRAY)];
        let read = async {
            transaction.query_typed(include_str!("../sql/settings.sql"), &[]).await?;
            let query = include_str!("../sql/routines.sql");
            let rows = transaction.query_typed(query, parameters).await?;
            rows.iter().map(routines::read).collect::<std::result::Result<_, PgError>>()
        };
        read.await.map_err(unreadable)
    }
}

async fn load_once(client: &mut Client, schemas: &[String]) -> Result<Schema> {
    let transaction = client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(unreadable)?;
    let schema = Schema::read(&transaction, schemas).await?;
    transaction.commit().await.map_err(unreadable)?;
    Ok(schema)
}

async fn read(
    transaction: &Transaction<'_>,
    names: &[String],
) -> std::result::Result<Schema, PgError> {
    let settings = transaction.query_typed(include_str!("../sql/settings.sql"), &[]).await?;
    // Futures that are polled together are sent together: all queries but those about the tables beneath views take
    // two round trips.
    let by_name: &[(&(dyn ToSql + Sync), Type)] = &[(&names, Type::TEXT_ARRAY)];
    let (schemas, functions, languages, tables) = try_join!(
            biased;
        transaction.query_typed(include_str!("../sql/schemas.sql"), by_name),
        transaction.query_typed(include_str!("../sql/functions.sql"), by_name),
        transaction.query_typed(include_str!("../sql/languages.sql"), by_name),
        transaction.query_typed(include_str!("../sql/tables.sql"), by_name),
    )?;
    let mut illegible = Vec::new();
    let mut tables = tables::read(&tables, &mut illegible)?;
    let oids: Vec<u32> = tables.keys().copied().collect();
    let by_oid: &[(&(dyn ToSql + Sync), Type)] = &[(&oids, Type::OID_ARRAY)];
    let of_columns: &[(&(dyn ToSql + Sync), Type)] =
        &[(&oids, Type::OID_ARRAY), (&Vec::<u32>::new(), Type::OID_ARRAY)];
    let (types, columns, indexes, foreign_keys, checks, ancestors, rules) = try_join!(
            biased;
        transaction.query_typed(include_str!("../sql/types.sql"), of_columns),
        transaction.query_typed(include_str!("../sql/columns.sql"), by_oid),
        transaction.query_typed(include_str!("../sql/indexes.sql"), by_oid),
        transaction.query_typed(include_str!("../sql/foreign_keys.sql"), by_oid),
        transaction.query_typed(include_str!("../sql/checks.sql"), by_oid),
        transaction.query_typed(include_str!("../sql/ancestors.sql"), by_oid),
        transaction.query_typed(include_str!("../sql/view_rules.sql"), by_oid),
    )?;
    let first = first_prefix(names, &schemas)?;
    let mut types = Types::read(&types)?;
    illegible.extend(columns::add(&mut tables, &columns, &mut types, &first)?);
    keys::add_indexes(&mut tables, &indexes)?;
    keys::add_foreign_keys(&mut tables, &foreign_keys)?;
    keys::add_checks(&mut tables, &checks)?;
    tables::add_ancestors(&mut tables, &ancestors)?;
    let rules = Rules::read(&rules)?;
    let beneath = rules.tables();
    if !beneath.is_empty() {
        let oids: &[(&(dyn ToSql + Sync), Type)] = &[(&beneath, Type::OID_ARRAY)];
        let (columns, ancestors, foreign_keys, indexes) = try_join!(
            biased;
            transaction.query_typed(include_str!("../sql/origins.sql"), oids),
            transaction.query_typed(include_str!("../sql/ancestors.sql"), oids),
            transaction.query_typed(include_str!("../sql/foreign_keys.sql"), oids),
            transaction.query_typed(include_str!("../sql/indexes.sql"), oids),
        )?;
        let (columns, ancestors) = (&columns, &ancestors);
        let (foreign_keys, indexes) = (&foreign_keys, &indexes);
        let beneath = Beneath { columns, ancestors, foreign_keys, indexes };
        views::add(&mut tables, &rules, &beneath)?;
    }
    let tables = tables.into_values().collect();
    let functions = functions.iter().map(function).collect::<Result<_, PgError>>()?;
    let languages = languages.iter().filter_map(|row| language(row).transpose());
    let languages = languages.collect::<Result<_, PgError>>()?;
    let standby = settings.first().map(|row| row.try_get("standby")).transpose()?;
    let read_only = (standby == Some(true)).then_some(ReadOnly::Standby);
    Ok(Schema {
        functions,
        languages,
        illegible,
        read_only,
        ..Schema::new(names.to_vec(), comments(&schemas)?, tables)
    })
}

fn function(row: &Row) -> Result<Function, PgError> {
    Ok(Function {
        schema: row.text("schema")?,
        name: row.text("name")?,
        arguments: row.text("arguments")?,
        result: row.text_or_null("result")?,
        comment: comment(row)?,
    })
}

/// A language, if SQL can name it.
fn language(row: &Row) -> Result<Option<Arc<Language>>, PgError> {
    let (name, identifier) = (row.text("name")?, row.text("identifier")?);
    Ok(row.is_legible("identifier")?.then(|| Arc::new(Language { name, identifier })))
}

/// The prefix of names in the first configured schema: `public.`.
fn first_prefix(names: &[String], schemas: &[Row]) -> std::result::Result<String, PgError> {
    for row in schemas {
        if names.first().map(String::as_str) == Some(row.try_get("name")?) {
            return Ok(format!("{}.", row.try_get::<_, &str>("quoted")?));
        }
    }
    Ok(String::new())
}

fn comments(schemas: &[Row]) -> std::result::Result<HashMap<String, String>, PgError> {
    let mut comments = HashMap::new();
    for row in schemas {
        if let Some(comment) = comment(row)? {
            comments.insert(row.text("name")?, comment);
        }
    }
    Ok(comments)
}

fn comment(row: &Row) -> std::result::Result<Option<String>, PgError> {
    let comment = row.text_or_null("comment")?;
    Ok(comment.and_then(|comment| clean(split(&comment).0)))
}

/// The directive in a row's comment.
fn directive(row: &Row, subject: Subject) -> std::result::Result<Option<Directive>, PgError> {
    let comment = row.text_or_null("comment")?;
    let text = comment.as_deref().and_then(|comment| split(comment).1);
    Ok(text.map(|text| Directive { subject, text: text.to_owned() }))
}

/// The name of the table that a row holds.
fn name(row: &Row) -> std::result::Result<TableName, PgError> {
    Ok(TableName { schema: row.text("schema")?, name: row.text("name")? })
}

/// The table that a row belongs to.
fn owner<'a>(
    tables: &'a mut Tables,
    row: &Row,
) -> std::result::Result<Option<&'a mut Table>, PgError> {
    Ok(tables.get_mut(&row.try_get::<_, u32>("table")?))
}

fn unreadable(error: PgError) -> Error {
    // PostgreSQL opens a table to print the expressions of its columns, checks and indexes.
    if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) {
        let message =
            "the database's catalogue could not be read: another session has locked a table";
        return Error::new(Code::DatabaseUnavailable, message)
            .hint("try again when that has ended: ALTER TABLE, VACUUM FULL, REINDEX and CLUSTER lock tables")
            .sqlstate(SqlState::LOCK_NOT_AVAILABLE.code())
            .caused_by(error);
    }
    let code = if error.is_closed() { Code::DatabaseUnavailable } else { Code::DatabaseError };
    let told = Error::new(code, "the database's catalogue could not be read");
    match error.code().map(|state| state.code().to_owned()) {
        Some(state) => told.sqlstate(state),
        None => told,
    }
    .caused_by(error)
}
