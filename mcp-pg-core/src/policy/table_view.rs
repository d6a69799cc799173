//! A table as one role sees it.
//!
//! Only a [`View`](super::View) makes one, from what [`reduce`](super::reduce) leaves of the table; a query can make a
//! [`derived`](super::derived) one for itself. Knows the table's columns and how each is shown; not the other tables.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::reduce::Extra;
use super::rights::{Exposure, Rules};
use super::{Action, Actions, Marks, Mask, MaskKey, Sealed, Settings};
use crate::error::{Code, Error, Result};
use crate::name::{TableName, shown};
use crate::schema::{Column, Found, ReadOnly, Relation, Table, TableKind};
use crate::value::Decoder;

/// A table as a role sees it.
#[derive(Debug, Clone)]
pub struct TableView {
    /// The table with only the columns, keys and checks that exist for the role, and with the role's rights instead of the
    /// login's.
    pub table: Table,
    /// What the role may do.
    pub actions: Actions,
    /// The actions in the role's grants, whether or not the table or PostgreSQL allows them.
    granted: Actions,
    /// Relations to tables that exist for the role.
    pub relations: Vec<Relation>,
    /// The column with the time at which a row was archived. It need not be visible.
    pub archive: Option<Column>,
    /// The column that counts changes of a row. It need not be visible.
    pub version: Option<Column>,
    /// The columns of the primary key that are hidden from the role, but not from its database role.
    pub(super) hidden_key: Vec<Column>,
    /// Whether PostgreSQL may find rows in the order of a column that the role does not see, or sees masked.
    pub(crate) found_by_hidden: bool,
    /// Positions of the columns that may be read.
    readable: Vec<usize>,
    decoders: Vec<Decoder>,
    /// SQL text that only `statement` makes and reads.
    column_list: OnceLock<String>,
    column_names: OnceLock<Arc<[String]>>,
    /// What checks allow each column to hold.
    choices: OnceLock<Vec<Option<Vec<String>>>>,
    /// How each column is shown, in the order of the columns.
    pub(super) exposures: Vec<Exposure>,
    mask_key: Option<MaskKey>,
    sealed: BTreeMap<String, Arc<Sealed>>,
    rules: BTreeMap<Action, Rules>,
    /// Whether it belongs to one query only.
    pub(super) derived: bool,
    /// Why nothing can be written, whatever the role may do, if so.
    pub(super) read_only: Option<ReadOnly>,
}

impl TableView {
    /// What is left of the table for the role.
    pub(super) fn new(table: Table, relations: Vec<Relation>, extra: Extra) -> Self {
        Self {
            relations,
            actions: extra.actions,
            granted: extra.granted,
            archive: extra.archive,
            version: extra.version,
            hidden_key: extra.hidden_key,
            found_by_hidden: extra.found_by_hidden,
            exposures: extra.exposures,
            mask_key: extra.mask_key,
            sealed: extra.sealed,
            rules: extra.rules,
            ..Self::whole(table)
        }
    }

    /// The table with all its columns and relations, and no rules: no role sees it like this.
    pub(super) fn unruled(table: &Table, relations: Vec<Relation>, settings: &Settings) -> Self {
        let actions = [Action::Select].into_iter().collect();
        Self { relations, actions, ..Self::whole(table.clone()).with_sealed(settings) }
    }

    /// Whether a grant has a condition on its rows.
    pub(super) fn is_ruled(&self) -> bool {
        self.rules.values().any(|rules| rules.rows.is_some())
    }

    /// The table with all its columns and no rights.
    pub(super) fn whole(table: Table) -> Self {
        Self {
            readable: readable(&table),
            decoders: decoders(&table),
            column_list: OnceLock::new(),
            column_names: OnceLock::new(),
            choices: OnceLock::new(),
            exposures: vec![Exposure::default(); table.columns.len()],
            mask_key: None,
            sealed: BTreeMap::new(),
            table,
            actions: Actions::NONE,
            granted: Actions::NONE,
            relations: Vec::new(),
            archive: None,
            version: None,
            hidden_key: Vec::new(),
            found_by_hidden: false,
            rules: BTreeMap::new(),
            derived: false,
            read_only: None,
        }
    }

    /// Adds the ciphers of encrypted columns, for tests of equality.
    fn with_sealed(mut self, settings: &Settings) -> Self {
        for (position, column) in self.table.columns.iter().enumerate() {
            if settings.encryption.names(&self.table, column) {
                self.exposures[position].closed = true;
                if let Some(sealed) = settings.encryption.sealed(&self.table, column, true) {
                    self.sealed.insert(column.name.clone(), Arc::new(sealed));
                }
            }
        }
        self
    }

    /// The table's full name.
    pub fn name(&self) -> &TableName {
        &self.table.name
    }

    /// Whether it belongs to one query only: the groups and measures of an aggregate.
    pub(crate) fn is_derived(&self) -> bool {
        self.derived
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
        if let Some(read_only) = self.read_only.filter(|_| granted && action != Action::Select) {
            return Err(read_only.refusal().at("/table"));
        }
        let settable = |column: &Column| column.generated.is_none();
        if granted
            && matches!(action, Action::Archive | Action::Restore)
            && !self.archive.as_ref().is_some_and(settable)
        {
            let computed =
                self.archive.as_ref().filter(|archive| self.column(&archive.name).is_some());
            let why = match computed {
                Some(archive) => format!("PostgreSQL computes {} of {}", archive.name, self.name()),
                None => format!("{} has no archive column", self.name()),
            };
            return Err(Error::new(
                Code::NotArchivable,
                format!("{why}, so its rows cannot be archived"),
            )
            .at("/table")
            .allowed(self.actions.iter().map(Action::as_str)));
        }
        let message = match self.table.kind {
            TableKind::MaterializedView => {
                format!("{} is a materialized view, in which nobody can {action}", self.name())
            }
            _ => format!("the caller's role may not {action} in {}", self.name()),
        };
        let error = Error::new(Code::Forbidden, message)
            .at("/table")
            .allowed(self.actions.iter().map(Action::as_str));
        Err(if action == Action::Delete && self.actions.contains(Action::Archive) {
            error.hint("archive sets rows aside, and restore brings them back")
        } else if granted && self.table.kind == TableKind::View && !self.is_written() {
            error.hint("views that join, group or compute cannot be written: use the table beneath")
        } else {
            error
        })
    }

    fn is_written(&self) -> bool {
        [Action::Insert, Action::Update, Action::Delete]
            .into_iter()
            .any(|action| self.actions.contains(action))
    }

    /// A column that may be read, by its exact name.
    pub fn column(&self, name: &str) -> Option<(usize, &Column)> {
        self.table.column(name).filter(|(_, column)| column.can_select)
    }

    /// The names of readable columns that are `wanted`.
    pub(crate) fn names_of(&self, wanted: impl Fn(&Column) -> bool) -> impl Iterator<Item = &str> {
        let columns = self.readable_columns().map(|position| &self.table.columns[position]);
        columns.filter(move |column| wanted(column)).map(|column| column.name.as_str())
    }

    /// The position of a column that may be read, by its exact name.
    ///
    /// # Errors
    ///
    /// `unknown_column`, with the nearest visible name; `forbidden` if it can only be written.
    pub fn readable(&self, name: &str) -> Result<usize> {
        match self.column(name) {
            Some((position, _)) => Ok(position),
            None => Err(self.unreadable(name)),
        }
    }

    /// The error for a name that is not that of a readable column.
    pub(crate) fn unreadable(&self, name: &str) -> Error {
        if !self.is_write_only(name) {
            return self.unknown_column(name, |column| column.can_select);
        }
        let message = format!("{} of {} can be written, but not read", shown(name), self.name());
        Error::new(Code::Forbidden, message).allowed(self.names_of(|_| true))
    }

    /// Whether there is a column of this name that can be written, but not read.
    pub(crate) fn is_write_only(&self, name: &str) -> bool {
        self.table.column(name).is_some_and(|(_, column)| !column.can_select)
    }

    /// The position of a column that conditions and sort keys may use: readable, and neither masked nor
    /// encrypted.
    ///
    /// # Errors
    ///
    /// `unknown_column`, or `forbidden` for such a column.
    pub fn usable(&self, name: &str) -> Result<usize> {
        let position = self.readable(name)?;
        let how = match self.exposures[position] {
            Exposure { mask: Some(_), .. } => "masked",
            Exposure { closed: true, .. } => "encrypted",
            _ => return Ok(position),
        };
        let message = format!("{} is {how}: it can only be read", shown(name));
        Err(Error::new(Code::Forbidden, message))
    }

    /// `unknown_column` for a name, with the nearest of the columns that `wanted` keeps.
    pub fn unknown_column(&self, name: &str, wanted: impl Fn(&Column) -> bool) -> Error {
        let names = || self.table.columns.iter().filter(|c| wanted(c)).map(|c| c.name.as_str());
        let (table, name_shown) = (self.name(), shown(name));
        let message = match self.derived {
            // The table that it is made from may well have that column.
            true => format!("the reply has no column {name_shown}"),
            false => format!("{table} has no column {name_shown}"),
        };
        // As SQL quotes it.
        let own = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
        Error::new(Code::UnknownColumn, message).nearest(own, names()).allowed(names())
    }

    /// Positions of the columns that may be read.
    pub fn readable_columns(&self) -> impl Iterator<Item = usize> + Clone + '_ {
        self.readable.iter().copied()
    }

    /// The mask of the column at a position, if it has one.
    pub fn mask(&self, position: usize) -> Option<Mask> {
        self.exposures.get(position)?.mask
    }

    /// The mask of the column at a position, with the key of hashes.
    pub fn masking(&self, position: usize) -> Option<(Mask, Option<&MaskKey>)> {
        Some((self.mask(position)?, self.mask_key.as_ref()))
    }

    /// `"masked"` or `"encrypted"` if the values of the column at a position are not shown as they are.
    pub(crate) fn shown_instead(&self, position: usize) -> Option<&'static str> {
        let name = self.table.columns.get(position).map(|column| column.name.as_str());
        match name.and_then(|name| self.sealed(name)) {
            _ if self.mask(position).is_some() => Some("masked"),
            Some(sealed) if !sealed.opened() => Some("encrypted"),
            _ => None,
        }
    }

    /// The marks of the column at a position.
    pub fn marks(&self, position: usize) -> Marks {
        self.exposures.get(position).map(|exposure| exposure.marks).unwrap_or_default()
    }

    /// The cipher of an encrypted column, by its exact name. The column need not be visible.
    pub fn sealed(&self, name: &str) -> Option<&Sealed> {
        self.sealed.get(name).map(Arc::as_ref)
    }

    /// The decoder for the column at a position.
    pub fn decoder(&self, position: usize) -> &Decoder {
        &self.decoders[position]
    }

    /// The readable columns as SQL text, made on first use.
    pub(crate) fn column_list(&self, make: impl FnOnce() -> String) -> &str {
        self.column_list.get_or_init(make)
    }

    /// The only values that a check constraint allows in a column, if it lists them. The constraints are read on first use.
    pub(crate) fn choices(&self, column: &Column) -> Option<&[String]> {
        let columns = &self.table.columns;
        let position = columns.iter().position(|own| std::ptr::eq(own, column))?;
        let read = || (0..columns.len()).map(|position| self.table.choices(position)).collect();
        self.choices.get_or_init(read).get(position)?.as_deref()
    }

    /// The names of the readable columns, shared by all replies.
    pub(crate) fn column_names(&self) -> Arc<[String]> {
        let names = || {
            let columns = self.readable_columns().map(|column| &self.table.columns[column]);
            columns.map(|column| column.name.clone()).collect()
        };
        Arc::clone(self.column_names.get_or_init(names))
    }

    /// The version column, if the role sees its values. Otherwise callers use the row's system version.
    pub(crate) fn told_version(&self) -> Option<&Column> {
        let version = self.version.as_ref()?;
        let (position, column) = self.table.column(&version.name)?;
        (column.can_select && self.mask(position).is_none()).then_some(version)
    }

    /// The condition that the role's grant for `action` has for every row.
    pub fn row_rule(&self, action: Action) -> Option<&Map<String, Value>> {
        self.rules.get(&action)?.rows.as_ref()
    }

    /// Whether the role can read every row: neither its grant nor row-level security hides any.
    pub fn is_open(&self) -> bool {
        self.actions.contains(Action::Select)
            && self.row_rule(Action::Select).is_none()
            && !self.table.row_security.applies()
    }

    /// Whether the action needs the user's confirmation.
    pub fn confirms(&self, action: Action) -> bool {
        self.rules.get(&action).is_some_and(|rules| rules.confirm)
    }

    /// Whether the server sets this column in writes of this kind.
    pub(crate) fn is_preset(&self, name: &str, action: Action) -> bool {
        self.presets(action)
            .is_ok_and(|presets| presets.iter().any(|(column, _)| column.name == name))
    }

    /// The columns that the server sets in every write of this kind, with their values. They need not be visible.
    ///
    /// # Errors
    ///
    /// `forbidden` if the grant presets a column that the table does not have.
    pub fn presets(&self, action: Action) -> Result<&[(Column, Value)]> {
        match self.rules.get(&action) {
            Some(rules) if rules.unfit => {
                Err(Error::new(Code::Forbidden, "a preset of the role does not fit its table")
                    .hint("the server's maintainer has to fix it: the command check says more"))
            }
            rules => Ok(rules.map_or(&[], |rules| &rules.preset)),
        }
    }

    /// What a relation of the table is called where nothing else may be meant.
    pub fn relation_name<'a>(&self, relation: &'a Relation) -> &'a str {
        let is_meant = self.table.column(&relation.name).is_none()
            && matches!(Relation::find(&self.relations, &relation.name), Found::One(one) if one == relation);
        if is_meant { &relation.name } else { &relation.unambiguous }
    }

    /// Relations that `name` may mean, short or unambiguous.
    pub(crate) fn relations_named<'a>(
        &'a self,
        name: &'a str,
    ) -> impl Iterator<Item = &'a Relation> {
        self.relations
            .iter()
            .filter(move |relation| relation.name == name || relation.unambiguous == name)
    }
}

fn readable(table: &Table) -> Vec<usize> {
    let columns = table.columns.iter().enumerate();
    columns.filter(|(_, column)| column.can_select).map(|(position, _)| position).collect()
}

fn decoders(table: &Table) -> Vec<Decoder> {
    table.columns.iter().map(|column| Decoder::for_type(&column.data_type)).collect()
}
