//! The audit table: its definition, and the SQL of its statements.
//!
//! Knows the SQL of this table, but not who runs it.

use crate::name::{TableName, quoted};

/// The table of audit records.
///
/// ```
/// use mcp_pg_core::TableName;
/// use mcp_pg_core::audit::AuditTable;
///
/// let table = AuditTable::new(&TableName::new("mcp_audit", "log"));
/// assert!(table.definition().contains("CREATE TABLE IF NOT EXISTS \"mcp_audit\".\"log\""));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTable {
    schema: String,
    table: String,
    /// The unique index that prevents a confirmation from being used twice.
    once: String,
}

impl AuditTable {
    /// The table with this name.
    pub fn new(name: &TableName) -> Self {
        let schema = quoted(&name.schema);
        let table = format!("{schema}.{}", quoted(&name.name));
        // Names have at most 63 bytes. If PostgreSQL cut this one, it could equal the table's.
        let once = format!("{}_confirmation", cut(&name.name, 40));
        Self { schema, table, once }
    }

    /// The SQL that creates the table, and lets `login`, which must exist, insert and read records but not change or
    /// delete them. The `roles` that the login can become get no rights on the table, even if they have rights on all
    /// tables of its schema.
    pub fn definition_for(&self, login: &str, roles: &[&str]) -> String {
        let Self { schema, table, .. } = self;
        let others: String = roles.iter().map(|role| format!(", {}", quoted(role))).collect();
        let login = quoted(login);
        format!(
            "{}REVOKE ALL ON {table} FROM PUBLIC, {login}{others};\n\
             GRANT USAGE ON SCHEMA {schema} TO {login};\n\
             GRANT SELECT, INSERT ON {table} TO {login};\n",
            self.definition()
        )
    }

    /// The SQL that creates the table.
    pub fn definition(&self) -> String {
        let Self { schema, table, once } = self;
        let once = quoted(once);
        format!(
            "CREATE SCHEMA IF NOT EXISTS {schema};\n\
             CREATE TABLE IF NOT EXISTS {table} (\n  \
               position bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n  \
               record json NOT NULL\n\
             );\n\
             CREATE UNIQUE INDEX IF NOT EXISTS {once} ON {table} ((record ->> 'confirmation'))\n  \
               WHERE record ->> 'confirmation' IS NOT NULL;\n\
             COMMENT ON TABLE {table} IS 'Audit records of mcp-pg-server, hash-chained: add only.';\n"
        )
    }

    /// Inserts the records of a text array, in order. If a trigger or rule suppresses a record, the statement fails
    /// with a division by zero, and so does the transaction.
    pub(crate) fn insert(&self) -> String {
        format!(
            "WITH added AS (\
               INSERT INTO {} (record) SELECT line::pg_catalog.json FROM pg_catalog.unnest($1::text[]) \
               WITH ORDINALITY AS r(line, place) ORDER BY place RETURNING 1) \
             SELECT 1 / (pg_catalog.count(*) = pg_catalog.cardinality($1::text[]))::pg_catalog.int4 FROM added",
            self.table
        )
    }

    /// The name of the unique index on confirmations, which is in the table's schema.
    pub fn once(&self) -> &str {
        &self.once
    }

    /// The newest records, in any order.
    pub(crate) fn newest(&self) -> String {
        format!("SELECT record::text FROM {} ORDER BY position DESC LIMIT 64", self.table)
    }

    /// The encoding of the table's database.
    pub(crate) fn encoding(&self) -> &'static str {
        "SELECT pg_catalog.current_setting('server_encoding')"
    }

    /// The records after a position, in order, with their positions.
    pub(crate) fn page(&self) -> String {
        format!(
            "SELECT position, record::text FROM {} WHERE position > $1 ORDER BY position LIMIT 500",
            self.table
        )
    }
}

/// The beginning of a name, of at most `most` bytes.
fn cut(name: &str, most: usize) -> &str {
    name.get(..name.floor_char_boundary(most)).unwrap_or(name)
}
