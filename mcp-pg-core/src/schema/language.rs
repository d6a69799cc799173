//! How texts of a language are searched.

/// A text search configuration of PostgreSQL's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Language {
    /// Its name, as callers give it: `french`; with its schema, if it is not PostgreSQL's own.
    pub name: String,
    /// Its name with its schema, quoted where it must be: `pg_catalog.french`.
    pub identifier: String,
}
