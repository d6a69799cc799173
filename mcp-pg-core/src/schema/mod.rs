//! The schema of a database: typed models of its catalogue, read in one snapshot and never changed.
//!
//! A [`Schema`] has [`Table`]s with their [`Column`]s, and [`Relation`]s between them. It is what the login sees; what a role
//! sees of it is a [`View`](crate::policy::View). An [`Engine`](crate::Engine) reads it, and gives it by
//! [`Engine::schema`](crate::Engine::schema).

mod choice;
mod column;
mod comment;
mod data_type;
mod declared;
mod described;
mod directive;
mod fingerprint;
mod function;
mod indexed;
mod key;
mod language;
mod load;
mod naming;
pub(crate) mod oid;
mod operator;
mod part;
mod read_only;
mod relation;
mod routine;
mod table;

use std::collections::HashMap;
use std::sync::Arc;

pub use column::{Column, ColumnOrigin, Identity};
pub use comment::{COMMENT_MOST, clean};
pub use data_type::{Collation, DataType, Field, Kind};
pub use declared::DeclaredRelation;
pub use described::{Described, DescribedColumn};
pub use directive::{ColumnHints, Directive, Directives, RelationNames, Subject};
pub use function::Function;
pub use key::{Check, ForeignKey, Index, Key};
pub use language::Language;
pub use load::{DatabaseId, Polled, SessionCode, Signature, Snapshot, Watch};
pub use operator::{Family, Operator};
pub use part::Part;
pub use read_only::ReadOnly;
pub use relation::{Found, Junction, Relation, RelationKind};
pub use routine::{Argument, ArgumentMode, Routine};
pub use table::{Privileges, RowSecurity, Table, TableKind};

use crate::name::TableName;

/// Everything that the login sees of the configured schemas, at one moment.
///
/// ```no_run
/// # fn example(engine: &mcp_pg_core::Engine) {
/// let schema = engine.schema();
/// for table in &schema.tables {
///     println!("{} has {} columns", table.name, table.columns.len());
/// }
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The configured schemas, in the order in which a bare name is looked up.
    pub names: Vec<String>,
    /// COMMENTs on the schemas.
    pub comments: HashMap<String, String>,
    /// The tables, sorted by schema (in the configured order) and name.
    pub tables: Vec<Table>,
    /// The relations of each table, by the table's position.
    pub relations: Vec<Vec<Relation>>,
    /// Functions and procedures, by schema and name.
    pub functions: Vec<Function>,
    /// The languages of full-text search.
    pub languages: Vec<Arc<Language>>,
    /// Tables and columns that are left out because SQL cannot name them: their names, or those of their types, are not valid
    /// in the database's encoding. What is invalid is shown as U+FFFD.
    pub illegible: Vec<String>,
    /// The result of reading directives, once [`Schema::obeying`] was called.
    pub directives: Directives,
    /// Why the database takes no writes, if so. Privileges do not reflect this: a standby has those of its primary.
    pub read_only: Option<ReadOnly>,
    /// A digest of the tables without the row estimates. Equal fingerprints mean equal tables.
    pub fingerprint: u64,
    by_name: HashMap<TableName, usize>,
}

impl Schema {
    /// A schema of these tables: sorts them, and computes relations and fingerprint.
    pub fn new(
        names: Vec<String>,
        comments: HashMap<String, String>,
        mut tables: Vec<Table>,
    ) -> Self {
        let place = |schema: &str| names.iter().position(|name| name == schema);
        // Tables outside the configured schemas come last.
        tables.sort_by_cached_key(|table| {
            (place(&table.name.schema).unwrap_or(names.len()), table.name.clone())
        });
        Self::in_order(names, comments, tables)
    }

    /// The same of tables that are sorted, or some of them.
    pub(crate) fn in_order(
        names: Vec<String>,
        comments: HashMap<String, String>,
        tables: Vec<Table>,
    ) -> Self {
        let by_name = tables
            .iter()
            .enumerate()
            .map(|(position, table)| (table.name.clone(), position))
            .collect();
        let relations = naming::relations(&tables, &by_name);
        let fingerprint = fingerprint::fingerprint(&names, &comments, &tables);
        Self {
            names,
            comments,
            tables,
            relations,
            functions: Vec::new(),
            languages: Vec::new(),
            illegible: Vec::new(),
            directives: Directives::default(),
            read_only: None,
            fingerprint,
            by_name,
        }
    }

    /// The schema without a table.
    pub fn without(mut self, name: &TableName) -> Self {
        if self.position(name).is_none() {
            return self;
        }
        self.tables.retain(|table| table.name != *name);
        self.renewed()
    }

    /// The schema with relations and fingerprint computed anew.
    fn renewed(self) -> Self {
        let Self { names, comments, tables, .. } = self;
        let Self { functions, languages, illegible, directives, read_only, .. } = self;
        let own = Self::new(names, comments, tables);
        Self { functions, languages, illegible, directives, read_only, ..own }
    }

    /// The table with exactly this name.
    pub fn table(&self, name: &TableName) -> Option<&Table> {
        self.tables.get(self.position(name)?)
    }

    /// The table's position in [`Schema::tables`].
    pub fn position(&self, name: &TableName) -> Option<usize> {
        self.by_name.get(name).copied()
    }
}
