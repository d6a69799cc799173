//! Violations of keys: unique constraints, foreign keys and exclusion constraints.
//!
//! Partitions have constraints with names of their own. Errors contain the name of the table's constraint.

use tokio_postgres::error::DbError;

use super::place::{Place, shown};
use super::words::{ViolatedKey, quotes};
use crate::error::{Code, Error, step};
use crate::name::TableName;
use crate::policy::{Action, TableView, View};
use crate::schema::{ForeignKey, Key, Table, TableKind};

pub(super) fn unique(answer: &DbError, place: &Place<'_>) -> Error {
    let error =
        Error::new(Code::UniqueViolation, "a row with the same key exists").at(place.written());
    let table = &place.table.table;
    if table.kind == TableKind::PartitionedTable
        && let Some(key) = key_of_partition(answer, table)
    {
        return same_key(key, None, place);
    }
    let Some(name) = answer.constraint() else { return error };
    let mut keys = table.keys();
    let Some(key) = keys.find(|key| key.name == name && place.is_of(answer, &key.columns)) else {
        // A unique index on an expression, or a key with columns that the caller does not see.
        let mut indexes = table.indexes.iter().filter(|_| place.is_own(answer));
        let Some(index) = indexes.find(|index| index.name == name) else { return error };
        let parts = index.parts.join(", ");
        let hint = format!("no two rows have the same {parts}: change the value");
        return error.constraint(name).hint(match place.given {
            Some(_) => format!("{hint}, or insert with \"on_conflict\": {{\"do\": \"nothing\"}}"),
            None => hint,
        });
    };
    // A view may have other names for the columns. What a trigger or a referential action writes may be values of rows that the
    // caller does not see; only of such a write does the answer say where it was.
    let seen = place.table.is_open() || answer.where_().is_none();
    let told = ViolatedKey::of(answer).filter(|_| place.is_own(answer) && seen);
    same_key(key, told.as_ref(), place)
}

/// The key that a partition reports as violated: its own index has another name but the same columns.
fn key_of_partition<'t>(answer: &DbError, table: &'t Table) -> Option<&'t Key> {
    let mut keys = table.keys();
    keys.find(|key| is_told(answer, table, &key.columns))
}

/// The foreign key that a partition reports as violated.
fn reference_of_partition<'t>(answer: &DbError, table: &'t Table) -> Option<&'t ForeignKey> {
    table.foreign_keys.iter().find(|key| is_told(answer, table, &key.columns))
}

/// Whether the answer's DETAIL is about these columns: "Key (device, at)=(7, …) …".
fn is_told(answer: &DbError, table: &Table, columns: &[usize]) -> bool {
    let names = columns.iter().map(|column| table.columns[*column].name.as_str());
    ViolatedKey::of(answer).is_some_and(|key| key.names(names))
}

/// The error about a key that already exists, which PostgreSQL's DETAIL may contain.
fn same_key(key: &Key, told: Option<&ViolatedKey>, place: &Place<'_>) -> Error {
    let table = &place.table.table;
    let columns: Vec<&str> =
        key.columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let message = match told {
        Some(told) => format!("a row with {} exists", shown(&told.shown())),
        None => format!("a row with the same {} exists", columns.join(", ")),
    };
    if let Some(given) = place.given
        && let [position] = key.columns.as_slice()
        && let column = &table.columns[*position]
        && column.is_numbered()
        && given.iter().all(|known| known.name != column.name)
    {
        let error = Error::new(
            Code::UniqueViolation,
            format!("the database generates this key, and {message}"),
        );
        let error = error.at(place.written()).hint(
            "the sequence is behind the existing rows, which the database's maintainer can fix (setval); the call is correct",
        );
        return named(error, &key.name, table);
    }
    let is_computed = |column: &usize| table.columns[*column].generated.is_some();
    let computed = key.columns.iter().any(is_computed);
    let at = match columns.as_slice() {
        [column] if !computed => format!("{}{}", place.written(), step(column)),
        _ => place.written(),
    };
    let mut hint = String::from(match computed {
        true => "the database computes part of this key from other columns: change their values",
        false => "change the value",
    });
    // An upsert looks for existing rows by the values that are given.
    if key.arbiter && place.given.is_some() && !computed {
        hint.push_str(", or insert with on_conflict on this key");
    }
    if place.table.actions.contains(Action::Restore) {
        hint.push_str("; if that row is archived, restore it");
    }
    named(Error::new(Code::UniqueViolation, message).at(at).hint(hint), &key.name, table)
}

/// The error with the constraint's name, except for a view, where it would reveal the table beneath.
fn named(error: Error, name: &str, table: &Table) -> Error {
    if table.kind == TableKind::View { error } else { error.constraint(name) }
}

/// The table that PostgreSQL names, if the caller sees it.
fn told_table<'v>(answer: &DbError, view: &'v View) -> Option<&'v TableView> {
    view.named(&TableName::new(answer.schema()?, answer.table()?))
}

/// The table whose row is still referenced, if that is the error and the caller sees the foreign key.
pub(crate) fn referred<'v>(answer: &DbError, view: &'v View) -> Option<&'v TableName> {
    let other = told_table(answer, view)?;
    let mut keys = other.table.foreign_keys.iter();
    let key = keys.find(|key| answer.constraint() == Some(&key.name))?;
    let is_left = told_left(answer, key, &other.table) == Some(true);
    is_left.then_some(&key.table)
}

pub(super) fn exclusion(answer: &DbError, place: &Place<'_>) -> Error {
    let refused = |message: String| Error::new(Code::ExclusionViolation, message);
    let table = &place.table.table;
    // Whether the caller may see the constraint is decided by its index.
    let mut indexes = table.indexes.iter().filter(|_| !place.is_elsewhere(answer));
    let index = indexes.find(|index| Some(index.name.as_str()) == answer.constraint());
    let Some(index) = index else {
        return refused("an existing row excludes this one".to_owned()).at(place.written());
    };
    // What stands only in its WHERE does not collide; expressions have no columns of their own.
    let is_plain = index.columns.len() == index.parts.len();
    let compared = if is_plain { &index.columns } else { &index.mentions };
    let columns = compared.iter().filter_map(|column| table.columns.get(*column));
    let columns: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let at = match columns.as_slice() {
        [column] => format!("{}{}", place.written(), step(column)),
        _ => place.written(),
    };
    let by = if columns.is_empty() { "" } else { ", by its " };
    refused(format!("an existing row excludes this one{by}{}", columns.join(", ")))
        .at(at)
        .constraint(&index.name)
        .hint("select rows whose values are the same or overlap, and choose others")
}

pub(super) fn foreign(answer: &DbError, place: &Place<'_>) -> Error {
    let name = answer.constraint().unwrap_or_default();
    let table = &place.table.table;
    let mut keys = table.foreign_keys.iter().chain(&table.logical_keys);
    let key = keys.find(|key| key.name == name && place.is_of(answer, &key.columns));
    match key.map(|key| (key, is_left(answer, key, place))) {
        Some((key, Some(false))) => return named(missing_row(key, place), name, table),
        Some((_, None)) => return either().at(place.written()),
        Some((_, Some(true))) | None => {}
    }
    let partitioned = table.kind == TableKind::PartitionedTable;
    if partitioned
        && place.values.is_some()
        && let Some(key) = reference_of_partition(answer, table)
    {
        return missing_row(key, place).constraint(&key.name);
    }
    // Rows of another table refer to this one. The caller may not see that table.
    let known = told_table(answer, place.view).and_then(|other| {
        let mut keys = other.table.foreign_keys.iter();
        // A foreign key to a partitioned table has a constraint for each partition, each with its own name.
        let key = match partitioned {
            true => keys.find(|key| key.table == table.name),
            false => keys.find(|key| key.name == name),
        };
        Some((other, key?))
    });
    let at = if place.values.is_some() { place.written() } else { "/where".to_owned() };
    match known {
        // Nothing refers to a new row.
        Some((other, key))
            if told_left(answer, key, &other.table).or(place.given.map(|_| false)) == Some(false) =>
        {
            missing_elsewhere(key, other, place).constraint(&key.name)
        }
        Some((other, key)) => Error::new(
            Code::ForeignKeyViolation,
            format!("rows of {} refer to this row", place.view.display(other)),
        )
        .constraint(&key.name)
        .hint(if place.values.is_some() {
            "do not change the key that they refer to"
        } else if place.table.actions.contains(Action::Archive) {
            "archive the row instead, or delete or change those rows first, perhaps in the same transaction"
        } else {
            "delete or change those rows first, perhaps in the same transaction"
        }),
        None => either(),
    }
    .at(at)
}

/// The error for a row of another table, such as one that a trigger writes, which lacks the row that it refers to.
fn missing_elsewhere(key: &ForeignKey, other: &TableView, place: &Place<'_>) -> Error {
    let columns = key.columns.iter().filter_map(|column| other.table.columns.get(*column));
    let columns: Vec<&str> = columns.map(|column| column.name.as_str()).collect();
    let (columns, keys) = (columns.join(", "), key.references.join(", "));
    let of = place.view.display(other);
    let written = format!("{columns} of a row of {of}, which is written with it,");
    let message = match place.view.named(&key.table) {
        Some(end) => format!(
            "{written} must be the {keys} of a row of {}, and there is no such row",
            place.view.display(end)
        ),
        None => format!("{written} refers to a row that does not exist"),
    };
    Error::new(Code::ForeignKeyViolation, message)
}

fn either() -> Error {
    Error::new(
        Code::ForeignKeyViolation,
        "other rows refer to this row, or it refers to one that does not exist",
    )
}

/// Whether the remaining rows refer to a row that was removed or changed (true), or the written rows refer to a row
/// that does not exist (false). `None` if that is unknown, as it may be if both ends of the key are in one table.
fn is_left(answer: &DbError, key: &ForeignKey, place: &Place<'_>) -> Option<bool> {
    if place.values.is_none() {
        return Some(true);
    }
    let table = &place.table.table;
    // PostgreSQL shows the key only to those who may read all of it. Without it, an insert is assumed to lack the
    // referenced row.
    let told = told_left(answer, key, table).or(place.given.map(|_| false));
    let written = |name: &str| place.writes(name);
    told.or_else(|| {
        let referring = key.columns.iter().any(|column| written(&table.columns[*column].name));
        let referred = key.references.iter().any(|name| written(name));
        (referring != referred).then_some(referred)
    })
}

/// The same from PostgreSQL's answer: DETAIL names the key's columns in this table, and the table at the other end.
fn told_left(answer: &DbError, key: &ForeignKey, table: &Table) -> Option<bool> {
    let origins = key.columns.iter().map(|column| {
        let column = &table.columns[*column];
        column.origin.as_ref().map_or(&column.name, |origin| &origin.column)
    });
    let referring: Vec<&str> = origins.map(String::as_str).collect();
    let told = ViolatedKey::of(answer).filter(|_| referring != key.references);
    match told {
        Some(told) if told.names(referring.into_iter()) => return Some(false),
        Some(told) if told.names(key.references.iter().map(String::as_str)) => return Some(true),
        _ => {}
    }
    let detail = answer.detail()?;
    match (quotes(detail, &key.table.name), answer.table().map(|name| quotes(detail, name))?) {
        (true, false) => Some(false),
        (false, true) => Some(true),
        _ => None,
    }
}

fn missing_row(key: &ForeignKey, place: &Place<'_>) -> Error {
    let columns: Vec<&str> =
        key.columns.iter().map(|column| place.table.table.columns[*column].name.as_str()).collect();
    let readable = |other: &&TableView| {
        key.references
            .iter()
            .all(|name| other.table.column(name).is_some_and(|(_, column)| column.can_select))
    };
    let error = match place.view.named(&key.table).filter(readable) {
        Some(other) => Error::new(
            Code::ForeignKeyViolation,
            format!(
                "{} must be the {} of a row of {}, and there is no such row",
                columns.join(", "),
                key.references.join(", "),
                place.view.display(other),
            ),
        )
        .hint(format!(
            "select the row in {0} to find its {1}, or insert it first, or in the same transaction",
            place.view.display(other),
            key.references.join(", "),
        )),
        None => Error::new(
            Code::ForeignKeyViolation,
            format!("{} refers to a row that does not exist", columns.join(", ")),
        ),
    };
    match (columns.as_slice(), place.values) {
        ([column], Some(values)) => error.at(format!("{values}{}", step(column))),
        (_, Some(values)) => error.at(values),
        _ => error,
    }
}
