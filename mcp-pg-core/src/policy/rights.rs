//! What a role may do to one table and its columns: the one place where rights are decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::sealed::Sealed;
use super::{Action, Actions, Grant, Marks, Mask, Role, Settings, Unfit};
use crate::schema::{Column, Index, Table, TableKind};

/// The grants that decide on a table: for each action the first that matches, so that grants never add up to more than any
/// one of them allows.
pub(super) struct Rights<'r> {
    table: &'r Table,
    role: &'r Role,
    settings: &'r Settings,
    /// The column with the time at which a row was archived.
    pub(super) archive: Option<&'r Column>,
    /// The column that counts changes of a row.
    pub(super) version: Option<&'r Column>,
    /// What grants and PostgreSQL both allow.
    pub(super) actions: Actions,
    /// A column that every new row needs but callers cannot set, so that inserts are not offered.
    pub(super) lacking: Option<&'r Column>,
}

/// What a grant adds to an action.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) rows: Option<Map<String, Value>>,
    pub(super) preset: Vec<(Column, Value)>,
    /// Whether the grant names the table and presets a column that the table does not have, or that the role may not know: it
    /// was renamed or dropped, or a privilege is missing. A pattern applies its presets only to tables that have the column.
    pub(super) unfit: bool,
    pub(super) confirm: bool,
}

/// A column that exists for the role.
pub(super) struct Visible {
    pub(super) column: Column,
    pub(super) exposure: Exposure,
}

/// How the values of a column are shown to the role.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Exposure {
    pub(super) mask: Option<Mask>,
    pub(super) marks: Marks,
    /// Whether they can only be read, because they are masked or encrypted.
    pub(super) closed: bool,
}

impl<'r> Rights<'r> {
    pub(super) fn new(
        table: &'r Table,
        role: &'r Role,
        settings: &'r Settings,
        unfit: &Unfit,
    ) -> Self {
        let archive = settings.archive.column_of(table).filter(|column| column.can_select);
        let version = settings.concurrency.counts_in(table);
        let actions = Actions::NONE;
        let mut rights = Self { table, role, settings, archive, version, actions, lacking: None };
        let granted = |action| {
            let first = role.deciding(action, &table.name);
            first.is_some_and(|(grant, _)| !unfit.bars(grant, &table.name, action))
        };
        let may = |action| rights.allows(action) && granted(action);
        // PostgreSQL needs SELECT for any write with a condition.
        let reads = may(Action::Select);
        rights.actions = Action::ALL
            .into_iter()
            .filter(|action| may(*action) && (reads || *action == Action::Insert))
            .collect();
        rights.lacking = rights.lacking();
        if rights.lacking.is_some() {
            rights.actions = rights.actions.without(Action::Insert);
        }
        rights
    }

    /// The first column that a new row needs and that neither callers nor the server nor PostgreSQL set.
    fn lacking(&self) -> Option<&'r Column> {
        let grant = self.grant(Action::Insert)?;
        let (table, version) = (self.table, self.version.filter(|version| version.can_insert));
        // A trigger may fill what a row lacks, and a view's columns have no rules of their own.
        if table.fills_rows || !matches!(table.kind, TableKind::Table | TableKind::PartitionedTable)
        {
            return None;
        }
        let server_gives = |column: &Column| {
            grant.preset.contains_key(&column.name)
                || version.is_some_and(|version| version.name == column.name)
                || self.settings.encryption.indexes(table, column)
        };
        let mut required = table.columns.iter().filter(|column| column.required()).peekable();
        let sealed = required.peek().map(|_| self.sealed()).unwrap_or_default();
        required.find(|column| {
            let cipher = sealed.get(&column.name).map(Arc::as_ref);
            let given =
                self.column(column, cipher).is_some_and(|visible| visible.column.can_insert);
            !given && !server_gives(column)
        })
    }

    /// The actions that the role has grants for, whether or not PostgreSQL allows them.
    pub(super) fn granted(&self) -> Actions {
        Action::ALL.into_iter().filter(|action| self.first(*action).is_some()).collect()
    }

    /// The grant that decides on an allowed action.
    pub(super) fn grant(&self, action: Action) -> Option<&'r Grant> {
        self.first(action).filter(|_| self.actions.contains(action))
    }

    fn first(&self, action: Action) -> Option<&'r Grant> {
        self.role.deciding(action, &self.table.name).map(|(_, grant)| grant)
    }

    /// Whether PostgreSQL and the settings allow the action at all.
    fn allows(&self, action: Action) -> bool {
        let privileges = &self.table.privileges;
        match action {
            Action::Select => privileges.select,
            Action::Insert => privileges.insert,
            Action::Update => privileges.update,
            Action::Archive | Action::Restore => {
                let settable = |column: &Column| column.can_update && column.generated.is_none();
                privileges.update && self.archive.is_some_and(settable)
            }
            Action::Delete => privileges.delete && self.settings.archive.allow_hard_delete,
        }
    }

    /// The ciphers of encrypted columns, visible or not, by column name.
    pub(super) fn sealed(&self) -> BTreeMap<String, Arc<Sealed>> {
        let encrypted = self.table.columns.iter().filter(|column| self.is_encrypted(column));
        let sealed = encrypted.filter_map(|column| {
            let sealed = self.settings.encryption.sealed(self.table, column, self.opens(column))?;
            Some((column.name.clone(), Arc::new(sealed)))
        });
        sealed.collect()
    }

    fn is_encrypted(&self, column: &Column) -> bool {
        self.settings.encryption.names(self.table, column)
    }

    /// Whether the role reads the column decrypted.
    fn opens(&self, column: &Column) -> bool {
        let select = self.grant(Action::Select);
        select.is_some_and(|grant| grant.columns.decrypt.contains(&column.name))
    }

    /// The column as it exists for the role, if it does.
    pub(super) fn column(&self, column: &Column, cipher: Option<&Sealed>) -> Option<Visible> {
        let select = self.grant(Action::Select);
        let encrypted = self.is_encrypted(column);
        // Blind indexes are hidden from everyone.
        let filled = self.settings.encryption.indexes(self.table, column);
        let barred = self.barred(column, cipher).is_some();
        let writes = |action: Action| {
            self.grant(action).filter(|_| !barred).is_some_and(|grant| {
                grant.writes(&column.name) && self.barred_by(grant, column).is_none()
            })
        };
        let can_select = column.can_select
            && !filled
            && select.is_some_and(|grant| {
                grant.shows(column) && (grant.names(&column.name) || !self.betrays(grant, column))
            });
        let can_insert = column.can_insert && writes(Action::Insert);
        let can_update = column.can_update && !self.counts_in(column) && writes(Action::Update);
        if !(can_select || can_insert || can_update) {
            return None;
        }
        let mask = match encrypted && !(cipher.is_some() && self.opens(column)) {
            true => Some(Mask::Full),
            // By writing what it is computed from, values could be tried.
            false if column.generated.is_some() && self.writes() => {
                self.mask(column).map(|mask| if mask == Mask::Hash { Mask::Full } else { mask })
            }
            false => self.mask(column),
        };
        let marks = self.settings.columns.of_column(&self.table.name, column);
        let closed = encrypted || mask.is_some();
        let column = Column { can_select, can_insert, can_update, ..column.clone() };
        Some(Visible { column, exposure: Exposure { mask, marks, closed } })
    }

    /// The mask under which a grant shows the column.
    fn mask(&self, column: &Column) -> Option<Mask> {
        self.grant(Action::Select)?.columns.mask.get(&column.name).copied()
    }

    /// Whether the role gives values to columns of the table.
    fn writes(&self) -> bool {
        [Action::Insert, Action::Update].into_iter().any(|action| self.grant(action).is_some())
    }

    /// Why no grant lets callers write the column, if none does.
    pub(super) fn barred(&self, column: &Column, cipher: Option<&Sealed>) -> Option<&'static str> {
        if column.read_only() {
            return Some("PostgreSQL fills it");
        }
        if self.settings.encryption.indexes(self.table, column) {
            return Some("the server fills it");
        }
        // What cannot be encrypted is not written; through a view, the blind index would be left as it is.
        if self.is_encrypted(column) && (cipher.is_none() || column.origin.is_some()) {
            return Some("it cannot be encrypted here");
        }
        // A new row may begin at what the database asks for.
        if self.counts_in(column) && !column.required() {
            return Some("the server counts changes in it");
        }
        let reads_decrypted = self.opens(column) || !self.is_encrypted(column);
        if self.mask(column) == Some(Mask::Hash) && reads_decrypted {
            return Some("its mask would show the hash of any value that is written");
        }
        // Whoever reads other columns of the rows is not to learn this one's values by refused writes.
        let clear = |grant: &Grant| {
            column.can_select
                && grant.shows(column)
                && !grant.columns.mask.contains_key(&column.name)
                && reads_decrypted
        };
        let select = self.grant(Action::Select);
        let index = cipher.and_then(Sealed::index);
        let tells =
            || index.into_iter().chain([column]).any(|column| self.is_told_by_writes(column));
        let told = select.is_some_and(|grant| !clear(grant)) && tells();
        told.then_some("it is in a key, and refused writes would tell what select does not show")
    }

    /// Why the grant does not let callers write the column, whatever it lists.
    pub(super) fn barred_by(&self, grant: &Grant, column: &Column) -> Option<&'static str> {
        let archives = self.archive.is_some_and(|archive| archive.name == column.name);
        if !grant.shows(column) {
            Some("the grant does not show it")
        } else if grant.preset.contains_key(&column.name) {
            Some("the grant presets it")
        } else if archives && self.is_bound_to_archive(grant) {
            Some("archive and restore set it")
        } else {
            None
        }
    }

    /// Whether the server counts in the column: whoever could set it would undo what another caller's version tells.
    fn counts_in(&self, column: &Column) -> bool {
        self.version.is_some_and(|version| version.name == column.name)
    }

    /// Whether the column is computed from one of which the grant does not show all.
    fn betrays(&self, grant: &Grant, column: &Column) -> bool {
        let mut all = self.table.columns.iter();
        all.any(|origin| {
            let masked = grant.columns.mask.contains_key(&origin.name);
            let sealed = self.is_encrypted(origin) && !self.opens(origin)
                || self.settings.encryption.indexes(self.table, origin);
            column.generated_from.contains(&origin.number)
                && (!grant.shows(origin) || masked || sealed)
        })
    }

    /// Whether there is more to archiving or restoring a row than to what else the grant is about: then only those
    /// tools set the archive column.
    fn is_bound_to_archive(&self, grant: &Grant) -> bool {
        [Action::Archive, Action::Restore].into_iter().any(|action| {
            let confirm = self.role.confirm.union(grant.confirm).contains(action);
            confirm || !self.grant(action).is_some_and(|other| std::ptr::eq(other, grant))
        })
    }

    /// Whether a refused write would tell that another row has the value.
    fn is_told_by_writes(&self, column: &Column) -> bool {
        let Some((position, _)) = self.table.column(&column.name) else { return true };
        let keys = self.table.keys();
        let mut keys = keys.map(|key| &key.columns);
        let telling = |index: &&Index| index.unique || index.exclusion.is_some();
        let mut indexes = self.table.indexes.iter().filter(telling).map(|index| &index.mentions);
        keys.any(|columns| columns.contains(&position))
            || indexes.any(|columns| columns.contains(&position))
    }

    /// What the grants add to the actions that they allow.
    pub(super) fn rules(&self) -> BTreeMap<Action, Rules> {
        let rules = self.actions.iter().filter_map(|action| {
            let grant = self.grant(action)?;
            let preset = grant.preset.iter().filter_map(|(name, value)| {
                Some((self.table.column(name)?.1.clone(), value.clone()))
            });
            let preset: Vec<(Column, Value)> = preset.collect();
            let unfit = preset.len() < grant.preset.len() && grant.is_about(&self.table.name);
            let confirm = self.role.confirm.union(grant.confirm).contains(action);
            Some((action, Rules { rows: grant.rows.clone(), preset, unfit, confirm }))
        });
        rules.collect()
    }
}
