//! Whether anything in the catalogue has changed, without reading it.

use tokio_postgres::Client;
use tokio_postgres::types::Type;

use super::unreadable;
use crate::error::{Code, Error, Result};

/// What the catalogue was like at one moment: equal ones mean that nothing has changed in between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(String);

impl Signature {
    /// The signature of these schemas as they are now, and whether an event trigger notifies of changes.
    ///
    /// A few milliseconds for a thousand tables. Fails with `database_unavailable` or `database_error`.
    pub async fn read(client: &Client, schemas: &[String]) -> Result<(Self, bool)> {
        let query = include_str!("../sql/signature.sql");
        let rows = client.query_typed(query, &[(&schemas, Type::TEXT_ARRAY)]).await;
        let rows = rows.map_err(unreadable)?;
        let row = rows.first().ok_or_else(|| Error::new(Code::Internal, "no signature"))?;
        let signature = row.try_get("signature").map_err(unreadable)?;
        Ok((Self(signature), row.try_get("told").map_err(unreadable)?))
    }
}
