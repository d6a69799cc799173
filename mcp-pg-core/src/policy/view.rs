//! The schema as one role sees it.
//!
//! A View is a reduced schema: it does not contain tables and columns that the role may not see, nor keys, relations and
//! checks that mention them. Everything that a caller is told comes from a View.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

use super::reduce::{Extra, reduce};
use super::table_view::TableView;
use super::{Actions, Limits, Marks, Role, Settings, Texts, Unfit};
use crate::error::{Code, Error, Result};
use crate::name::{TableName, nearest, shown};
use crate::schema::{Language, ReadOnly, Relation, Schema, Table};

/// The tables, columns and relations that exist for a role.
#[derive(Debug, Clone)]
pub struct View {
    /// The role.
    pub role: Role,
    /// The limits that apply to it.
    pub limits: Limits,
    /// The fingerprint of the tables as the role sees them: cursors hold as long as that is the same.
    pub fingerprint: u64,
    /// A digest of what the role sees: it changes whenever that changes.
    pub digest: u64,
    schemas: Vec<String>,
    tables: Vec<TableView>,
    actions: Actions,
    by_name: HashMap<TableName, usize>,
    by_bare_name: HashMap<String, usize>,
    masked_names: HashSet<String>,
    sensitive_names: HashSet<String>,
    /// The columns of the whole schema that are marked.
    marked: HashMap<TableName, Vec<(String, Marks)>>,
    confirms: bool,
    encrypted_names: HashSet<String>,
    /// All tables with all their columns, for the row conditions of grants, which the operator writes.
    whole: Option<Arc<View>>,
    languages: Vec<Arc<Language>>,
    read_only: Option<ReadOnly>,
    texts: Arc<Texts>,
    /// The names of all columns, collected on first use.
    column_names: OnceLock<HashSet<String>>,
    /// The names of all relations, collected on first use.
    relation_names: OnceLock<HashSet<String>>,
}

impl View {
    /// The schema as `role` sees it.
    pub fn new(schema: &Schema, role: &Role, settings: &Settings) -> Self {
        Self::sharing(&OnceLock::new(), schema, role, settings, &Unfit::default())
    }

    /// Like [`View::new`], but without the actions of `unfit` grants, and sharing the view of `everything` that row conditions
    /// refer to. That is made for the first role that has such conditions.
    pub(crate) fn sharing(
        everything: &OnceLock<Arc<View>>,
        schema: &Schema,
        role: &Role,
        settings: &Settings,
        unfit: &Unfit,
    ) -> Self {
        let reduce = |table| {
            let table = match schema.read_only {
                Some(_) => Cow::Owned(Table::without_writes(table)),
                None => Cow::Borrowed(table),
            };
            reduce(&table, role, settings, unfit)
        };
        let (tables, extras): (Vec<Table>, Vec<Extra>) =
            schema.tables.iter().filter_map(reduce).unzip();
        // A schema of the reduced tables has only the relations that can be told from them.
        let reduced = Schema::in_order(schema.names.clone(), HashMap::new(), tables);
        let mut view = Self::empty(schema, role.clone(), settings);
        let closed = |extra: &Extra| extra.exposures.iter().map(|shown| shown.closed).collect();
        let closed: Vec<Vec<bool>> = extras.iter().map(closed).collect();
        view.fingerprint = reduced.fingerprint;
        let mut digest = DefaultHasher::new();
        reduced.fingerprint.hash(&mut digest);
        let tables = reduced.tables.into_iter().zip(reduced.relations).zip(extras);
        for (position, ((table, mut relations), extra)) in tables.enumerate() {
            relations.retain(|relation| !by_closed(relation, position, &closed));
            // What a description tells of a table besides the table itself.
            format!("{:?}", (extra.actions, &extra.exposures)).hash(&mut digest);
            view.actions = view.actions.union(extra.actions);
            view.confirms |= extra.rules.values().any(|rules| rules.confirm);
            view.by_name.insert(table.name.clone(), position);
            // Tables are sorted by schema in the configured order: the first one keeps the bare name.
            view.by_bare_name.entry(table.name.name.clone()).or_insert(position);
            view.encrypted_names.extend(extra.sealed.keys().map(|name| name.to_lowercase()));
            let columns = table.columns.iter().zip(&extra.exposures);
            let masked = columns.filter(|(_, exposure)| exposure.mask.is_some());
            view.masked_names.extend(masked.map(|(column, _)| column.name.to_lowercase()));
            let mut table = TableView::new(table, relations, extra);
            table.read_only = schema.read_only;
            view.tables.push(table);
        }
        view.digest = digest.finish();
        if view.tables.iter().any(TableView::is_ruled) {
            let whole = everything.get_or_init(|| Arc::new(Self::everything(schema, settings)));
            view.whole = Some(Arc::clone(whole));
        }
        view
    }

    fn empty(schema: &Schema, role: Role, settings: &Settings) -> Self {
        // The column's name in `schema.table.column`, where that is one: whoever may not see it may still write it down.
        let named = |patterns: &[String]| -> HashSet<String> {
            let names = patterns.iter().filter_map(|pattern| pattern.rsplit('.').next());
            names.filter(|name| !name.contains('*')).map(str::to_lowercase).collect()
        };
        // Of tables that the role does not see, too: canned queries may show them.
        let marked: HashMap<TableName, Vec<(String, Marks)>> = settings
            .columns
            .within(schema)
            .fold(HashMap::new(), |mut all, ((table, column), marks)| {
                all.entry(table.clone()).or_insert_with(Vec::new).push((column.to_owned(), marks));
                all
            });
        let sensitive = marked.values().flatten().filter(|(_, marks)| marks.sensitive);
        let mut sensitive_names: HashSet<String> =
            sensitive.map(|(column, _)| column.to_lowercase()).collect();
        sensitive_names.extend(named(&settings.columns.sensitive));
        let masked = role.grants.iter().flat_map(|grant| grant.columns.mask.keys());
        let masked = masked.map(|name| name.to_lowercase()).collect();
        Self {
            limits: role.limits.over(&settings.limits),
            role,
            fingerprint: 0,
            digest: 0,
            schemas: schema.names.clone(),
            tables: Vec::with_capacity(schema.tables.len()),
            actions: Actions::NONE,
            by_name: HashMap::new(),
            by_bare_name: HashMap::new(),
            masked_names: masked,
            sensitive_names,
            marked,
            confirms: false,
            encrypted_names: named(&settings.encryption.columns),
            whole: None,
            languages: schema.languages.clone(),
            read_only: schema.read_only,
            texts: Arc::default(),
            column_names: OnceLock::new(),
            relation_names: OnceLock::new(),
        }
    }

    /// The schema with all its columns and relations, and no rules: what row conditions of grants refer to.
    pub fn everything(schema: &Schema, settings: &Settings) -> Self {
        let mut view = Self::empty(schema, Role::default(), settings);
        // The bounds are for callers; a claim may hold any number of values.
        view.limits.max_list = usize::MAX;
        for (position, (table, relations)) in
            schema.tables.iter().zip(&schema.relations).enumerate()
        {
            view.by_name.insert(table.name.clone(), position);
            view.tables.push(TableView::unruled(table, relations.clone(), settings));
        }
        view
    }

    /// The tables, sorted by schema in the configured order, and name.
    pub fn tables(&self) -> &[TableView] {
        &self.tables
    }

    /// The languages in which texts can be searched.
    pub fn languages(&self) -> &[Arc<Language>] {
        &self.languages
    }

    /// The actions that the role may do on at least one table.
    pub fn actions(&self) -> Actions {
        self.actions
    }

    /// Why nothing can be written at the moment, whatever the role may do.
    pub fn read_only(&self) -> Option<ReadOnly> {
        self.read_only
    }

    /// Whether some action may need the user's confirmation.
    pub fn may_ask(&self) -> bool {
        self.confirms || self.role.confirm_after_untrusted
    }

    /// The lower-case names of columns that are masked in some table.
    pub(crate) fn masked_names(&self) -> &HashSet<String> {
        &self.masked_names
    }

    /// Whether some table has a column of this name.
    pub(crate) fn has_column(&self, name: &str) -> bool {
        let columns = || self.tables.iter().flat_map(|table| &table.table.columns);
        let names = || columns().map(|column| column.name.clone()).collect();
        self.column_names.get_or_init(names).contains(name)
    }

    /// Whether some table has a relation of this name.
    pub(crate) fn has_relation(&self, name: &str) -> bool {
        let relations = || self.tables.iter().flat_map(|table| &table.relations);
        let names = || relations().flat_map(Relation::names).map(str::to_owned).collect();
        self.relation_names.get_or_init(names).contains(name)
    }

    /// The marks of a column, whether or not the role sees it.
    pub fn marks_of(&self, table: &TableName, column: &str) -> Marks {
        let mut marked = self.marked.get(table).into_iter().flatten();
        marked.find(|(name, _)| name == column).map(|(_, marks)| *marks).unwrap_or_default()
    }

    /// The lower-case names of columns that are sensitive in some table, visible or not.
    pub(crate) fn sensitive_names(&self) -> &HashSet<String> {
        &self.sensitive_names
    }

    /// The lower-case names of columns that are encrypted in some table, visible or not.
    pub(crate) fn encrypted_names(&self) -> &HashSet<String> {
        &self.encrypted_names
    }

    /// The configured schemas.
    pub fn schemas(&self) -> &[String] {
        &self.schemas
    }

    /// The table called `name` or `schema.name`, spelled as in the catalogue.
    ///
    /// # Errors
    ///
    /// `unknown_table`, with the nearest visible name.
    pub fn table(&self, name: &str) -> Result<&TableView> {
        let position = self.meant(name);
        position.map(|position| &self.tables[position]).ok_or_else(|| self.unknown_table(name))
    }

    /// The position of the table that `name` means. With a schema it means that schema's table, even where
    /// another table's whole name is spelled so: that one has a schema, too.
    fn meant(&self, name: &str) -> Option<usize> {
        // Either part may itself contain dots.
        let full = self.schemas.iter().find_map(|schema| {
            let own = name.strip_prefix(schema.as_str())?.strip_prefix('.')?;
            self.by_name.get(&TableName::new(schema, own))
        });
        full.or_else(|| self.by_bare_name.get(name)).copied()
    }

    /// The table of exactly this schema and name.
    pub fn named(&self, name: &TableName) -> Option<&TableView> {
        self.by_name.get(name).map(|position| &self.tables[*position])
    }

    /// Whether grants have conditions on the rows of some table.
    pub(crate) fn is_ruled(&self) -> bool {
        self.whole.is_some()
    }

    /// Whether rows of some table may be hidden from the role, by row conditions of grants or by row-level security.
    pub(crate) fn hides_rows(&self) -> bool {
        self.is_ruled() || self.tables.iter().any(|table| table.table.row_security.applies())
    }

    /// All tables with all their columns and relations, which the row conditions of grants refer to.
    pub fn whole(&self) -> Option<&View> {
        self.whole.as_deref()
    }

    /// The SQL texts kept for it.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// The table at a position, as in [`Relation::table`].
    pub fn at(&self, position: usize) -> Option<&TableView> {
        self.tables.get(position)
    }

    fn unknown_table(&self, name: &str) -> Error {
        let names: Vec<String> = self.tables.iter().map(|table| self.display(table)).collect();
        let full: Vec<String> = match name.contains('.') {
            true => self.tables.iter().map(|table| table.name().to_string()).collect(),
            false => Vec::new(),
        };
        let error = Error::new(Code::UnknownTable, format!("there is no table {}", shown(name)));
        // With no schema, or another one, the table's own name may still tell which is meant.
        let own = name.rsplit('.').next().unwrap_or(name).replace('"', "");
        let bare = || self.tables.iter().map(|table| table.name().name.as_str());
        let meant = nearest(name, names.iter().chain(&full).map(String::as_str))
            .map(str::to_owned)
            .or_else(|| {
                let near = nearest(&own, bare())?;
                let table = self.tables.iter().find(|table| table.name().name == near)?;
                Some(self.display(table))
            });
        let error = match meant {
            Some(name) => error.did_you_mean(name),
            None => error,
        }
        .hint("list_tables finds tables by words in their names and comments");
        if names.len() <= 50 { error.allowed(names) } else { error }
    }

    /// The shortest unambiguous name of the table: `name` in the first configured schema, else `schema.name`.
    pub fn display(&self, table: &TableView) -> String {
        let name = &table.table.name;
        let first = self.schemas.first() == Some(&name.schema);
        let meant = || self.meant(&name.name) == self.by_name.get(name).copied();
        if first && (!name.name.contains('.') || meant()) {
            name.name.clone()
        } else {
            name.to_string()
        }
    }
}

/// Whether a relation uses a closed column of any table: following it would reveal which values are equal.
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
