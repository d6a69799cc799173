//! Reduces a table to what exists for a role.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::rights::{Exposure, Rights, Rules, Visible};
use super::sealed::Sealed;
use super::{Action, Actions, MaskKey, Role, Settings, Unfit};
use crate::schema::{Check, Column, ForeignKey, Index, Key, Table, TableKind};

/// What belongs to a reduced table besides the table itself.
pub(super) struct Extra {
    pub(super) actions: Actions,
    pub(super) granted: Actions,
    pub(super) archive: Option<Column>,
    pub(super) version: Option<Column>,
    pub(super) hidden_key: Vec<Column>,
    pub(super) found_by_hidden: bool,
    pub(super) exposures: Vec<Exposure>,
    pub(super) mask_key: Option<MaskKey>,
    pub(super) sealed: BTreeMap<String, Arc<Sealed>>,
    pub(super) rules: BTreeMap<Action, Rules>,
}

/// Reduces the table to what exists for the role; `None` if nothing does.
pub(super) fn reduce(
    table: &Table,
    role: &Role,
    settings: &Settings,
    unfit: &Unfit,
) -> Option<(Table, Extra)> {
    if table.of_extension && !role.grants.iter().any(|grant| grant.is_about(&table.name)) {
        return None;
    }
    let rights = Rights::new(table, role, settings, unfit);
    if rights.actions.is_empty() {
        return None;
    }

    let sealed = rights.sealed();
    // Where each column stands among those that are left.
    let mut kept = Vec::with_capacity(table.columns.len());
    let mut visible: Vec<Visible> = Vec::new();
    for column in &table.columns {
        let cipher = sealed.get(&column.name).map(Arc::as_ref);
        let left = rights.column(column, cipher);
        kept.push(left.is_some().then_some(visible.len()));
        visible.extend(left);
    }
    hide_origins(&mut visible);
    let key = table.primary_key.iter().flat_map(|key| &key.columns);
    let hidden_key = key.filter(|position| kept[**position].is_none());
    let hidden_key = hidden_key.map(|position| &table.columns[*position]);
    let hidden_key = hidden_key.filter(|column| column.can_select);

    // The estimate counts rows that a row condition hides.
    let all_rows = rights.grant(Action::Select).is_some_and(|grant| grant.rows.is_none());
    let reduced = Table {
        estimated_rows: table.estimated_rows.filter(|_| all_rows),
        columns: visible.iter().map(|visible| visible.column.clone()).collect(),
        // The names of others are none of the caller's business either.
        ancestors: settings.encryption.above(table).cloned().collect(),
        ..speaking_of(table, &visible, &kept)
    };
    let extra = Extra {
        actions: rights.actions,
        granted: rights.granted(),
        archive: rights.archive.cloned(),
        version: rights.version.cloned(),
        hidden_key: hidden_key.cloned().collect(),
        found_by_hidden: found_by_hidden(table, &visible, &kept),
        exposures: visible.iter().map(|visible| visible.exposure).collect(),
        mask_key: settings.mask_key.clone(),
        rules: rights.rules(),
        sealed,
    };
    Some((reduced, extra))
}

/// Whether PostgreSQL may find rows in the order of a column that is hidden or closed: by an index, also one beneath a view or
/// a foreign table, or by partition.
fn found_by_hidden(table: &Table, visible: &[Visible], kept: &[Option<usize>]) -> bool {
    let is_shown = |position: &usize| {
        let visible = kept.get(*position).copied().flatten().and_then(|new| visible.get(new));
        visible.is_some_and(|visible| is_open(visible) && visible.exposure.mask.is_none())
    };
    let beneath =
        table.is_spread() || matches!(table.kind, TableKind::View | TableKind::ForeignTable);
    table.indexes.iter().any(|index| !index.mentions.iter().all(is_shown))
        || beneath && !(0..table.columns.len()).all(|position| is_shown(&position))
}

/// Hides the expression of a generated column unless all columns in it are visible.
fn hide_origins(visible: &mut [Visible]) {
    let seen: Vec<i16> = visible.iter().filter(|v| is_open(v)).map(|v| v.column.number).collect();
    for Visible { column, .. } in visible {
        if !column.generated_from.iter().all(|number| seen.contains(number)) {
            column.generated = Some("…".to_owned());
        }
    }
}

/// Whether the column can be read, and also be used in conditions, orders and keys.
fn is_open(visible: &Visible) -> bool {
    visible.column.can_select && !visible.exposure.closed
}

/// The table without its columns, and without the keys, checks and indexes that mention a column which is hidden or closed.
/// The positions in the others are those among the `visible` columns; `kept` maps old positions to new ones.
fn speaking_of(table: &Table, visible: &[Visible], kept: &[Option<usize>]) -> Table {
    let place = |position: &usize| {
        let new = (*kept.get(*position)?)?;
        visible.get(new).is_some_and(is_open).then_some(new)
    };
    let translate = |positions: &[usize]| positions.iter().map(place).collect::<Option<Vec<_>>>();
    let key = |key: &Key| Some(Key { columns: translate(&key.columns)?, ..key.clone() });
    let referring =
        |key: &ForeignKey| Some(ForeignKey { columns: translate(&key.columns)?, ..key.clone() });
    Table {
        name: table.name.clone(),
        oid: table.oid,
        kind: table.kind,
        comment: table.comment.clone(),
        owner: table.owner.clone(),
        directives: Vec::new(),
        estimated_rows: None,
        of_extension: table.of_extension,
        fills_rows: table.fills_rows,
        fills_updates: table.fills_updates,
        has_heirs: table.has_heirs,
        ancestors: Vec::new(),
        primary_key: table.primary_key.as_ref().and_then(key),
        unique_keys: filtered(&table.unique_keys, key),
        foreign_keys: filtered(&table.foreign_keys, referring),
        logical_keys: filtered(&table.logical_keys, referring),
        checks: filtered(&table.checks, |check| {
            Some(Check { columns: translate(&check.columns)?, ..check.clone() })
        }),
        indexes: filtered(&table.indexes, |index| {
            Some(Index {
                columns: translate(&index.columns)?,
                mentions: translate(&index.mentions)?,
                ..index.clone()
            })
        }),
        columns: Vec::new(),
        row_security: table.row_security,
        privileges: table.privileges,
    }
}

fn filtered<T>(all: &[T], keep: impl Fn(&T) -> Option<T>) -> Vec<T> {
    all.iter().filter_map(keep).collect()
}
