//! A table with only what exists for a role: the one place where rights are decided.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::sealed::Sealed;
use super::{Action, Actions, Grant, Marks, Mask, MaskKey, Role, Settings};
use crate::name::TableName;
use crate::schema::{Column, DataType, ForeignKey, Key, Table};

/// What a reduced table has besides itself.
pub(super) struct Extra {
    pub(super) name: TableName,
    pub(super) actions: Actions,
    pub(super) granted: Actions,
    pub(super) archive: Option<Column>,
    pub(super) version: Option<Column>,
    pub(super) masks: Vec<Option<Mask>>,
    pub(super) mask_key: Option<MaskKey>,
    pub(super) marks: Vec<Marks>,
    /// Which columns can be read, and nothing else: masked and encrypted ones.
    pub(super) closed: Vec<bool>,
    pub(super) sealed: BTreeMap<String, Arc<Sealed>>,
    pub(super) rules: BTreeMap<Action, Rules>,
}

/// What a grant adds to an action.
#[derive(Debug, Clone, Default)]
pub(super) struct Rules {
    pub(super) rows: Option<Map<String, Value>>,
    pub(super) preset: Vec<(Column, Value)>,
    pub(super) confirm: bool,
}

/// The table with only what exists for the role; `None` if nothing does.
pub(super) fn reduce(table: &Table, role: &Role, settings: &Settings) -> Option<(Table, Extra)> {
    // For each action the first grant that matches decides, so that grants never add up to more than
    // any one of them says.
    let grant_for = |action: Action| {
        role.grants
            .iter()
            .find(|grant| grant.actions.contains(action) && grant.matches(&table.name))
    };
    let archive = table
        .column(&settings.archive.column)
        .map(|(_, column)| column)
        .filter(|column| is_moment(&column.data_type) && column.nullable)
        .cloned();
    let version = table.column(&settings.concurrency.version_column).map(|(_, column)| column);
    // What cannot count changes tells nothing of them: the row's system version does.
    let version = version.filter(|column| counts(column)).cloned();

    let may = |action: Action| match action {
        Action::Select => table.privileges.select,
        Action::Insert => table.privileges.insert,
        Action::Update => table.privileges.update,
        Action::Archive | Action::Restore => {
            archive.as_ref().is_some_and(|column| column.can_update && column.generated.is_none())
        }
        Action::Delete => table.privileges.delete && settings.archive.allow_hard_delete,
    };
    let select = grant_for(Action::Select).filter(|_| may(Action::Select));
    // PostgreSQL needs SELECT for any write with a condition.
    let actions: Actions = Action::ALL
        .into_iter()
        .filter(|action| may(*action) && grant_for(*action).is_some())
        .filter(|action| matches!(action, Action::Select | Action::Insert) || select.is_some())
        .collect();
    if actions.is_empty() {
        return None;
    }
    let granted = |action: Action| grant_for(action).filter(|_| actions.contains(action));
    let (insert, update) = (granted(Action::Insert), granted(Action::Update));
    let may_archive = actions.contains(Action::Archive) && actions.contains(Action::Restore);

    let mut kept = vec![None; table.columns.len()];
    let mut columns = Vec::new();
    let mut masks = Vec::new();
    let mut marks = Vec::new();
    let mut closed = Vec::new();
    let mut sealed = BTreeMap::new();
    let encryption = &settings.encryption;
    for (position, column) in table.columns.iter().enumerate() {
        let mut column = column.clone();
        let writable = |grant: Option<&Grant>, own: bool| {
            own && grant.is_some_and(|grant| {
                grant.shows(&column)
                    && grant.writes(&column.name)
                    && !grant.preset.contains_key(&column.name)
            })
        };
        let archives = archive.as_ref().is_some_and(|archive| archive.name == column.name);
        let can_insert = writable(insert, column.can_insert && !column.read_only());
        let can_update = writable(update, column.can_update && !column.read_only());
        let encrypted = encryption.names(&table.name, &column.name);
        let opened =
            encrypted && select.is_some_and(|grant| grant.columns.decrypt.contains(&column.name));
        let cipher = encrypted.then(|| encryption.sealed(table, &column, opened)).flatten();
        // Nobody sees what the server fills, and what cannot be encrypted is not written.
        let filled = encryption.indexes(table, &column.name);
        let fixed = filled || encrypted && cipher.is_none();
        let (can_insert, can_update) = (can_insert && !fixed, can_update && !fixed);
        if let Some(cipher) = cipher {
            sealed.insert(column.name.clone(), Arc::new(cipher));
        }
        column.can_insert = can_insert && (!archives || may_archive);
        column.can_update = can_update && (!archives || may_archive);
        column.can_select =
            column.can_select && !filled && select.is_some_and(|grant| grant.shows(&column));
        if !(column.can_select || column.can_insert || column.can_update) {
            continue;
        }
        kept[position] = Some(columns.len());
        let mask = select.and_then(|grant| grant.columns.mask.get(&column.name).copied());
        let readable = opened && sealed.contains_key(&column.name);
        let mask = if encrypted && !readable { Some(Mask::Full) } else { mask };
        closed.push(encrypted || mask.is_some());
        masks.push(mask);
        let mark = settings.columns.of(&table.name, &column.name);
        marks.push(Marks {
            sensitive: mark.sensitive || column.hints.sensitive,
            untrusted: mark.untrusted || column.hints.untrusted,
        });
        columns.push(column);
    }

    // What a generated column is computed from is told only to those who see all of it.
    let seen: Vec<i16> = columns
        .iter()
        .zip(&closed)
        .filter(|(column, closed)| column.can_select && !**closed)
        .map(|(column, _)| column.number)
        .collect();
    for column in &mut columns {
        if !column.generated_from.iter().all(|number| seen.contains(number)) {
            column.generated = Some("…".to_owned());
        }
    }

    // A key, check or index that speaks of a column that does not exist, or is closed, does not exist.
    let translate = |positions: &[usize]| -> Option<Vec<usize>> {
        positions
            .iter()
            .map(|position| {
                let new = (*kept.get(*position)?)?;
                (columns.get(new).is_some_and(|c: &Column| c.can_select) && !closed[new])
                    .then_some(new)
            })
            .collect()
    };
    let referring =
        |key: &ForeignKey| Some(ForeignKey { columns: translate(&key.columns)?, ..key.clone() });
    let reduced = Table {
        name: table.name.clone(),
        oid: table.oid,
        kind: table.kind,
        comment: table.comment.clone(),
        owner: table.owner.clone(),
        directives: Vec::new(),
        // How many rows others have is none of the caller's business.
        estimated_rows: table.estimated_rows.filter(|_| select.is_some_and(|s| s.rows.is_none())),
        fills_rows: table.fills_rows,
        primary_key: table
            .primary_key
            .as_ref()
            .and_then(|key| Some(Key { columns: translate(&key.columns)?, ..key.clone() })),
        unique_keys: filtered(&table.unique_keys, |key| {
            Some(Key { columns: translate(&key.columns)?, ..key.clone() })
        }),
        foreign_keys: filtered(&table.foreign_keys, referring),
        logical_keys: filtered(&table.logical_keys, referring),
        checks: filtered(&table.checks, |check| {
            Some(crate::schema::Check { columns: translate(&check.columns)?, ..check.clone() })
        }),
        indexes: filtered(&table.indexes, |index| {
            Some(crate::schema::Index {
                columns: translate(&index.columns)?,
                mentions: translate(&index.mentions)?,
                ..index.clone()
            })
        }),
        columns: Vec::new(),
        row_security: table.row_security,
        privileges: table.privileges,
    };
    let rules: BTreeMap<Action, Rules> = actions
        .iter()
        .filter_map(|action| {
            let grant = grant_for(action)?;
            let preset = grant
                .preset
                .iter()
                .filter_map(|(name, value)| Some((table.column(name)?.1.clone(), value.clone())));
            let confirm = role.confirm.union(grant.confirm).contains(action);
            Some((action, Rules { rows: grant.rows.clone(), preset: preset.collect(), confirm }))
        })
        .collect();
    let granted = Action::ALL.into_iter().filter(|action| grant_for(*action).is_some()).collect();
    let extra = Extra {
        name: table.name.clone(),
        actions,
        granted,
        archive,
        version,
        masks,
        mask_key: settings.mask_key.clone(),
        marks,
        closed,
        sealed,
        rules,
    };
    Some((Table { columns, ..reduced }, extra))
}

fn filtered<T>(all: &[T], keep: impl Fn(&T) -> Option<T>) -> Vec<T> {
    all.iter().filter_map(keep).collect()
}

/// Whether the column can count the changes of its row: a number, or a timestamp.
fn counts(column: &Column) -> bool {
    let counting = matches!(column.data_type.base().oid, 20 | 21 | 23 | 1114 | 1184 | 1700);
    counting && column.generated.is_none()
}

/// Whether the type can hold when something happened: timestamp with or without time zone, date.
fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type.base().oid, 1082 | 1114 | 1184)
}
