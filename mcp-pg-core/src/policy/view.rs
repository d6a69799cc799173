//! The schema as one role sees it.
//!
//! A View is a smaller schema: tables and columns that the role may not see are not in it, nor keys,
//! relations or checks that speak of them. Everything that a caller is told is read from a View.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::reduce::{Extra, reduce};
use super::{Action, Actions, Limits, Marks, Mask, Role, Sealed, Settings};
use crate::error::{Code, Error, Result};
use crate::name::TableName;
use crate::schema::{
    Column, ColumnHints, DataType, Key, Privileges, Relation, RowSecurity, Schema, Table, TableKind,
};
use crate::value::Decoder;

/// The tables, columns and relations that exist for a role.
#[derive(Debug, Clone)]
pub struct View {
    /// The role.
    pub role: Role,
    /// The bounds that hold for it.
    pub limits: Limits,
    /// The fingerprint of the schema that it was made from.
    pub fingerprint: u64,
    /// A digest of what the role sees: another one means that something of it is new.
    pub digest: u64,
    schemas: Vec<String>,
    tables: Vec<TableView>,
    actions: Actions,
    by_name: HashMap<TableName, usize>,
    by_bare_name: HashMap<String, usize>,
    masked_names: HashSet<String>,
    sensitive_names: HashSet<String>,
    confirms: bool,
    encrypted_names: HashSet<String>,
    /// All tables with all their columns, for the conditions of grants: those are the operator's words.
    whole: Option<Arc<View>>,
}

/// A table as a role sees it.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The table with only the columns, keys and checks that exist for the role, and the role's rights in
    /// place of the login's.
    pub table: Table,
    /// What the role may do.
    pub actions: Actions,
    /// What its grants say, whatever the table or the database's own grants allow.
    granted: Actions,
    /// Relations to tables that exist for the role.
    pub relations: Vec<Relation>,
    /// The column that holds when a row was archived; it need not be among the visible ones.
    pub archive: Option<Column>,
    /// The column that counts changes; it need not be among the visible ones.
    pub version: Option<Column>,
    decoders: Vec<Decoder>,
    column_list: OnceLock<String>,
    column_names: OnceLock<Arc<[String]>>,
    masks: Vec<Option<Mask>>,
    marks: Vec<Marks>,
    closed: Vec<bool>,
    sealed: BTreeMap<String, Arc<Sealed>>,
    rules: BTreeMap<Action, Rules>,
}

/// What a grant adds to an action.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) rows: Option<Map<String, Value>>,
    pub(super) preset: Vec<(Column, Value)>,
    pub(super) confirm: bool,
}

impl View {
    /// The schema through the eyes of `role`.
    pub fn new(schema: &Schema, role: &Role, settings: &Settings) -> Self {
        let mut tables = Vec::new();
        let mut extras = Vec::new();
        for table in &schema.tables {
            if let Some((table, extra)) = reduce(table, role, settings) {
                tables.push(table);
                extras.push(extra);
            }
        }
        // A schema of the reduced tables has only the relations that can be told from them.
        let reduced = Schema::new(schema.names.clone(), HashMap::new(), tables);
        let mut view = Self::empty(schema, role.clone(), settings);
        let mut extras: HashMap<TableName, Extra> =
            extras.into_iter().map(|extra| (extra.name.clone(), extra)).collect();
        let closed: Vec<Vec<bool>> = reduced
            .tables
            .iter()
            .map(|table| extras.get(&table.name).map(|extra| extra.closed.clone()))
            .map(Option::unwrap_or_default)
            .collect();
        let mut digest = DefaultHasher::new();
        reduced.fingerprint.hash(&mut digest);
        for (table, mut relations) in reduced.tables.into_iter().zip(reduced.relations) {
            let Some(extra) = extras.remove(&table.name) else { continue };
            let position = view.tables.len();
            relations.retain(|relation| !by_closed(relation, position, &closed));
            // What a description tells of a table besides the table itself.
            format!("{:?}", (extra.actions, &extra.masks, &extra.marks, &extra.closed))
                .hash(&mut digest);
            view.actions = view.actions.union(extra.actions);
            view.confirms |= extra.rules.values().any(|rules| rules.confirm);
            view.by_name.insert(table.name.clone(), position);
            // Tables are sorted by schema in the configured order: the first one keeps the bare name.
            view.by_bare_name.entry(table.name.name.clone()).or_insert(position);
            view.encrypted_names.extend(extra.sealed.keys().cloned());
            let masked = table.columns.iter().zip(&extra.masks).filter(|(_, mask)| mask.is_some());
            view.masked_names.extend(masked.map(|(column, _)| column.name.clone()));
            let sensitive =
                table.columns.iter().zip(&extra.marks).filter(|(_, mark)| mark.sensitive);
            view.sensitive_names.extend(sensitive.map(|(column, _)| column.name.clone()));
            view.tables.push(TableView {
                decoders: decoders(&table),
                column_list: OnceLock::new(),
                column_names: OnceLock::new(),
                table,
                relations,
                actions: extra.actions,
                granted: extra.granted,
                archive: extra.archive,
                version: extra.version,
                masks: extra.masks,
                marks: extra.marks,
                closed: extra.closed,
                sealed: extra.sealed,
                rules: extra.rules,
            });
        }
        view.digest = digest.finish();
        let ruled = |table: &TableView| table.rules.values().any(|rules| rules.rows.is_some());
        if view.tables.iter().any(ruled) {
            view.whole = Some(Arc::new(Self::everything(schema, settings)));
        }
        view
    }

    fn empty(schema: &Schema, role: Role, settings: &Settings) -> Self {
        Self {
            limits: role.limits.over(&settings.limits),
            role,
            fingerprint: schema.fingerprint,
            digest: 0,
            schemas: schema.names.clone(),
            tables: Vec::with_capacity(schema.tables.len()),
            actions: Actions::NONE,
            by_name: HashMap::new(),
            by_bare_name: HashMap::new(),
            masked_names: HashSet::new(),
            sensitive_names: HashSet::new(),
            confirms: false,
            encrypted_names: HashSet::new(),
            whole: None,
        }
    }

    /// The schema with all its columns and relations, and no rules.
    fn everything(schema: &Schema, settings: &Settings) -> Self {
        let mut view = Self::empty(schema, Role::default(), settings);
        for (position, (table, relations)) in
            schema.tables.iter().zip(&schema.relations).enumerate()
        {
            view.by_name.insert(table.name.clone(), position);
            view.tables.push(TableView {
                relations: relations.clone(),
                actions: [Action::Select].into_iter().collect(),
                ..TableView::whole(table).with_sealed(settings)
            });
        }
        view
    }

    /// The tables, sorted by schema in the configured order, and name.
    pub fn tables(&self) -> &[TableView] {
        &self.tables
    }

    /// What the role may do to at least one table.
    pub fn actions(&self) -> Actions {
        self.actions
    }

    /// Whether there is anything that the user must agree to before it is done.
    pub fn confirms(&self) -> bool {
        self.confirms
    }

    /// Names of the columns that are masked in some table.
    pub fn masked_names(&self) -> &HashSet<String> {
        &self.masked_names
    }

    /// Names of the columns that are sensitive in some table.
    pub fn sensitive_names(&self) -> &HashSet<String> {
        &self.sensitive_names
    }

    /// Names of the columns that are encrypted in some table.
    pub fn encrypted_names(&self) -> &HashSet<String> {
        &self.encrypted_names
    }

    /// The configured schemas.
    pub fn schemas(&self) -> &[String] {
        &self.schemas
    }

    /// The table that `name` means: `name` or `schema.name`, spelled as the catalogue has it.
    ///
    /// # Errors
    ///
    /// `unknown_table`, with the nearest visible name.
    pub fn table(&self, name: &str) -> Result<&TableView> {
        let bare = self.by_bare_name.get(name);
        let position = bare.or_else(|| {
            // Either part may itself contain dots.
            name.match_indices('.').find_map(|(dot, _)| {
                self.by_name.get(&TableName::new(&name[..dot], &name[dot + 1..]))
            })
        });
        position.map(|position| &self.tables[*position]).ok_or_else(|| self.unknown_table(name))
    }

    /// The table of exactly this schema and name.
    pub fn named(&self, name: &TableName) -> Option<&TableView> {
        self.by_name.get(name).map(|position| &self.tables[*position])
    }

    /// What the row conditions of grants speak of: all tables, with all their columns and relations.
    pub fn whole(&self) -> Option<&View> {
        self.whole.as_deref()
    }

    /// The table at a position, as relations give it.
    pub fn at(&self, position: usize) -> Option<&TableView> {
        self.tables.get(position)
    }

    fn unknown_table(&self, name: &str) -> Error {
        let names: Vec<String> = self.tables.iter().map(|table| self.display(table)).collect();
        let full: Vec<String> = match name.contains('.') {
            true => self.tables.iter().map(|table| table.name().to_string()).collect(),
            false => Vec::new(),
        };
        let error = Error::new(Code::UnknownTable, format!("there is no table {}", shown(name)))
            .nearest(name, names.iter().chain(&full).map(String::as_str))
            .hint("list_tables finds tables by words in their names and comments");
        if names.len() <= 50 { error.allowed(names) } else { error }
    }

    /// The shortest name that means the table: `name` in the first configured schema, else `schema.name`.
    pub fn display(&self, table: &TableView) -> String {
        let name = &table.table.name;
        if self.schemas.first() == Some(&name.schema) {
            name.name.clone()
        } else {
            name.to_string()
        }
    }
}

impl TableView {
    /// The table with all its columns and no rights.
    fn whole(table: &Table) -> Self {
        Self {
            decoders: decoders(table),
            column_list: OnceLock::new(),
            column_names: OnceLock::new(),
            masks: vec![None; table.columns.len()],
            marks: vec![Marks::default(); table.columns.len()],
            closed: vec![false; table.columns.len()],
            sealed: BTreeMap::new(),
            table: table.clone(),
            actions: Actions::NONE,
            granted: Actions::NONE,
            relations: Vec::new(),
            archive: None,
            version: None,
            rules: BTreeMap::new(),
        }
    }

    /// The same with its encrypted columns, for tests of equality.
    fn with_sealed(mut self, settings: &Settings) -> Self {
        for (position, column) in self.table.columns.iter().enumerate() {
            if settings.encryption.names(&self.table.name, &column.name) {
                self.closed[position] = true;
                if let Some(sealed) = settings.encryption.sealed(&self.table, column, true) {
                    self.sealed.insert(column.name.clone(), Arc::new(sealed));
                }
            }
        }
        self
    }

    /// A table that only one query has: columns by name, type and marks, of which the first `keys` tell its rows
    /// apart. It goes by the name of the table that it is made from.
    pub fn derived(
        from: &TableView,
        columns: impl IntoIterator<Item = (String, DataType, Marks)>,
        keys: usize,
    ) -> Self {
        let (columns, marks): (Vec<_>, Vec<Marks>) =
            columns.into_iter().map(|(name, data_type, marks)| ((name, data_type), marks)).unzip();
        let column = |(index, (name, data_type)): (usize, (String, DataType))| Column {
            name,
            alias: Some(format!("c{index}")),
            number: 0,
            type_name: data_type.name.clone(),
            data_type: Arc::new(data_type),
            nullable: true,
            default: None,
            identity: None,
            generated: None,
            generated_from: Vec::new(),
            origin: None,
            comment: None,
            hints: ColumnHints::default(),
            can_select: true,
            can_insert: false,
            can_update: false,
        };
        let columns: Vec<Column> = columns.into_iter().enumerate().map(column).collect();
        let key = Key {
            name: String::new(),
            columns: (0..keys).collect(),
            arbiter: false,
            nulls_equal: true,
            comment: None,
        };
        let table = Table {
            name: from.table.name.clone(),
            oid: 0,
            kind: TableKind::View,
            comment: None,
            owner: String::new(),
            directives: Vec::new(),
            estimated_rows: None,
            fills_rows: false,
            primary_key: (keys > 0).then_some(key),
            unique_keys: Vec::new(),
            foreign_keys: Vec::new(),
            logical_keys: Vec::new(),
            checks: Vec::new(),
            indexes: Vec::new(),
            row_security: RowSecurity::default(),
            privileges: Privileges::default(),
            columns,
        };
        Self { marks, ..Self::whole(&table) }
    }

    /// The table's full name.
    pub fn name(&self) -> &TableName {
        &self.table.name
    }

    /// Refuses unless the role may do `action`.
    ///
    /// # Errors
    ///
    /// `forbidden`, with the actions that are allowed.
    pub fn require(&self, action: Action) -> Result<()> {
        if self.actions.contains(action) {
            return Ok(());
        }
        let granted = self.granted.contains(action);
        if granted && matches!(action, Action::Archive | Action::Restore) && self.archive.is_none()
        {
            return Err(Error::new(
                Code::NotArchivable,
                format!("{} has no archive column, so its rows cannot be set aside", self.name()),
            )
            .at("/table")
            .allowed(self.actions.iter().map(Action::as_str)));
        }
        let error = Error::new(
            Code::Forbidden,
            format!("the caller's role may not {action} in {}", self.name()),
        )
        .at("/table")
        .allowed(self.actions.iter().map(Action::as_str));
        Err(if action == Action::Delete && self.actions.contains(Action::Archive) {
            error.hint("archive sets rows aside, and restore brings them back")
        } else {
            error
        })
    }

    /// The position of a column that may be read, by its exact name.
    ///
    /// # Errors
    ///
    /// `unknown_column`, with the nearest visible name.
    pub fn readable(&self, name: &str) -> Result<usize> {
        match self.table.column(name) {
            Some((position, column)) if column.can_select => Ok(position),
            _ => Err(self.unknown_column(name, |column| column.can_select)),
        }
    }

    /// The position of a column that conditions and sort keys may use: readable, and neither masked nor
    /// encrypted.
    ///
    /// # Errors
    ///
    /// `unknown_column`, or `forbidden` for such a column.
    pub fn usable(&self, name: &str) -> Result<usize> {
        let position = self.readable(name)?;
        if self.masks[position].is_some() {
            return Err(Error::new(
                Code::Forbidden,
                format!("{} is masked: it can be read, and nothing else", shown(name)),
            ));
        }
        if self.closed[position] {
            return Err(Error::new(
                Code::Forbidden,
                format!("{} is encrypted: it can be read, and nothing else", shown(name)),
            ));
        }
        Ok(position)
    }

    /// `unknown_column` for a name, with the nearest of the columns that `wanted` keeps.
    pub fn unknown_column(&self, name: &str, wanted: impl Fn(&Column) -> bool) -> Error {
        let names = || self.table.columns.iter().filter(|c| wanted(c)).map(|c| c.name.as_str());
        Error::new(Code::UnknownColumn, format!("{} has no column {}", self.name(), shown(name)))
            .nearest(name, names())
            .allowed(names())
    }

    /// Positions of the columns that may be read.
    pub fn readable_columns(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        (0..self.table.columns.len()).filter(|position| self.table.columns[*position].can_select)
    }

    /// How the column at a position is shown, if not as it is.
    pub fn mask(&self, position: usize) -> Option<Mask> {
        self.masks.get(position).copied().flatten()
    }

    /// What is to be known of the values of the column at a position.
    pub fn marks(&self, position: usize) -> Marks {
        self.marks.get(position).copied().unwrap_or_default()
    }

    /// The cipher of an encrypted column, by its exact name; the column need not be a visible one.
    pub fn sealed(&self, name: &str) -> Option<&Sealed> {
        self.sealed.get(name).map(Arc::as_ref)
    }

    /// How values of the column at a position are read.
    pub fn decoder(&self, position: usize) -> &Decoder {
        &self.decoders[position]
    }

    /// The readable columns as a statement lists them, made when they are first asked for.
    pub(crate) fn column_list(&self, make: impl FnOnce() -> String) -> &str {
        self.column_list.get_or_init(make)
    }

    /// The names of the readable columns, held once for all replies.
    pub(crate) fn column_names(&self) -> Arc<[String]> {
        let names = || {
            let columns = self.readable_columns().map(|column| &self.table.columns[column]);
            columns.map(|column| column.name.clone()).collect()
        };
        Arc::clone(self.column_names.get_or_init(names))
    }

    /// The conditions that the role's grant for `action` puts on every row.
    pub fn row_rule(&self, action: Action) -> Option<&Map<String, Value>> {
        self.rules.get(&action)?.rows.as_ref()
    }

    /// Whether the user must agree before the action is done.
    pub fn confirms(&self, action: Action) -> bool {
        self.rules.get(&action).is_some_and(|rules| rules.confirm)
    }

    /// What the server sets in every write of this kind; the columns need not be visible ones.
    pub fn presets(&self, action: Action) -> &[(Column, Value)] {
        self.rules.get(&action).map_or(&[], |rules| &rules.preset)
    }

    /// A key whose columns may all be used, have an order, and are never null: what makes an order total.
    pub fn row_key(&self) -> Option<&[usize]> {
        let table = &self.table;
        table
            .primary_key
            .iter()
            .chain(table.unique_keys.iter().filter(|key| {
                key.columns.iter().all(|position| !table.columns[*position].nullable)
            }))
            .map(|key| key.columns.as_slice())
            .find(|columns| {
                columns.iter().all(|position| {
                    let column = &table.columns[*position];
                    column.can_select && column.data_type.ordering && !self.closed[*position]
                })
            })
    }

    /// What a relation of the table is called where nothing else may be meant.
    pub fn relation_name<'a>(&self, relation: &'a Relation) -> &'a str {
        let shared = self.relations_named(&relation.name).nth(1).is_some()
            || self.table.column(&relation.name).is_some();
        if shared { &relation.unambiguous } else { &relation.name }
    }

    /// Relations that `name` may mean, short or unambiguous.
    pub fn relations_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Relation> {
        self.relations
            .iter()
            .filter(move |relation| relation.name == name || relation.unambiguous == name)
    }
}

/// A name as an error message shows it: quoted, and cut if someone sent a novel.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let mut out: String = name.escape_debug().take(LONGEST).collect();
    if out.len() < name.len() && name.chars().count() > LONGEST {
        out.push('…');
    }
    format!("\"{out}\"")
}

/// Whether rows are related by a closed column of any table: following it would tell equal values.
fn by_closed(relation: &Relation, subject: usize, closed: &[Vec<bool>]) -> bool {
    let hidden = |table: usize, column: usize| {
        closed.get(table).and_then(|closed| closed.get(column)) == Some(&true)
    };
    let far = relation.table;
    let near = relation.junction.as_ref().map_or(far, |junction| junction.table);
    let beyond = relation.junction.iter().flat_map(|junction| &junction.columns);
    relation.columns.iter().any(|(here, there)| hidden(subject, *here) || hidden(near, *there))
        || beyond.into_iter().any(|(here, there)| hidden(near, *here) || hidden(far, *there))
}

fn decoders(table: &Table) -> Vec<Decoder> {
    table.columns.iter().map(|column| Decoder::for_type(&column.data_type)).collect()
}
