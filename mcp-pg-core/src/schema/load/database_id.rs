//! Which database this is.

use tokio_postgres::Client;
use tokio_postgres::error::Error as PgError;

use super::unreadable;
use crate::error::Result;

/// What a database shares with its standbys, also once they are promoted, and with physical copies, but with no other
/// database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DatabaseId(String);

impl DatabaseId {
    /// Reads it: the identifier of the server's data directory, if the login may read that, the database's OID, and a
    /// hash of its name.
    ///
    /// # Errors
    ///
    /// `database_unavailable` or `database_error`.
    pub async fn read(client: &Client) -> Result<Self> {
        const DATABASE: &str = "SELECT oid, pg_catalog.hashtext(datname::pg_catalog.text) AS name, \
             coalesce(pg_catalog.has_function_privilege(\
                 pg_catalog.to_regprocedure('pg_catalog.pg_control_system()'), 'EXECUTE'), false) AS told \
             FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
        // A statement of its own: PostgreSQL checks the right to a function even where it is not called.
        const SYSTEM: &str = "SELECT system_identifier FROM pg_catalog.pg_control_system()";
        let read = async {
            let row = client.query_typed(DATABASE, &[]).await?;
            let Some(row) = row.first() else { return Ok(Self::default()) };
            let (oid, name): (u32, i32) = (row.try_get("oid")?, row.try_get("name")?);
            let system = match row.try_get("told")? {
                true => client.query_typed(SYSTEM, &[]).await.unwrap_or_default(),
                // Services that are not quite PostgreSQL may have none, either.
                false => Vec::new(),
            };
            let system = system.first().map(|row| row.try_get::<_, i64>(0)).transpose()?;
            Ok::<_, PgError>(Self(format!("{} {oid} {name}", system.unwrap_or_default())))
        };
        read.await.map_err(unreadable)
    }

    /// As text, which has no meaning.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
