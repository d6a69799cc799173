//! Languages of full-text search.

/// A text search configuration.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Language {
    /// The name that callers use: `french`; with the schema, unless that is `pg_catalog`.
    pub name: String,
    /// The name with its schema, quoted where necessary: `pg_catalog.french`.
    pub identifier: String,
}
