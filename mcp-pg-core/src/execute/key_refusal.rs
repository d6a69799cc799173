//! What PostgreSQL's refusals of keys mean: unique ones, references, exclusions.
//!
//! Partitions refuse under names of their own; what is told is the name that the table has for it.

use serde_json::{Map, Value};
use tokio_postgres::error::DbError;

use super::place::{Place, shown};
use crate::error::{Code, Error, step};
use crate::name::TableName;
use crate::policy::{Action, TableView, View};
use crate::schema::{ForeignKey, Key, Table, TableKind};

/// The key that a violated constraint is about: "Key (room, day)=(7, 2024-01-31) already exists."
#[derive(Debug)]
pub(crate) struct ViolatedKey {
    columns: String,
    values: String,
}

impl ViolatedKey {
    /// The key, if PostgreSQL tells it.
    pub(crate) fn of(answer: &DbError) -> Option<Self> {
        let (columns, rest) = answer.detail()?.strip_prefix("Key (")?.split_once(")=(")?;
        // A value may hold a parenthesis, too: the last one ends the list.
        let (values, _) = rest.rsplit_once(") ")?;
        Some(Self { columns: columns.to_owned(), values: values.to_owned() })
    }

    /// Whether a row has this key, as far as its JSON and PostgreSQL's text are the same.
    pub(crate) fn is_of(&self, row: &Map<String, Value>) -> bool {
        let values: Option<Vec<String>> = self
            .columns
            .split(", ")
            .map(|name| match row.get(name.trim_matches('"'))? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })
            .collect();
        values.is_some_and(|values| values.join(", ") == self.values)
    }
}

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
    let mut keys = table.primary_key.iter().chain(&table.unique_keys);
    let Some(key) = keys.find(|key| key.name == name && place.is_of(answer, &key.columns)) else {
        // An index over an expression, or a key with columns that the caller does not know.
        let mut indexes = table.indexes.iter().filter(|_| place.is_own(answer));
        let Some(index) = indexes.find(|index| index.name == name) else { return error };
        return error.constraint(name).hint(format!(
            "no two rows have the same {}: change the value",
            index.parts.join(", ")
        ));
    };
    // "Key (email)=(ada@example.com) already exists." A view may have other names for the columns.
    let values = answer
        .detail()
        .filter(|_| place.is_own(answer))
        .and_then(|detail| detail.strip_prefix("Key "))
        .and_then(|detail| detail.split_once(" already exists").map(|(values, _)| values));
    same_key(key, values, place)
}

/// The key that a partition says is violated: its own index has another name, but the same columns.
fn key_of_partition<'t>(answer: &DbError, table: &'t Table) -> Option<&'t Key> {
    let mut keys = table.primary_key.iter().chain(&table.unique_keys);
    keys.find(|key| is_told(answer, table, &key.columns))
}

/// The reference that a partition says leads nowhere.
fn reference_of_partition<'t>(answer: &DbError, table: &'t Table) -> Option<&'t ForeignKey> {
    table.foreign_keys.iter().find(|key| is_told(answer, table, &key.columns))
}

/// Whether the detail of the answer is about these columns: "Key (device, at)=(7, …) …".
fn is_told(answer: &DbError, table: &Table, columns: &[usize]) -> bool {
    let told = answer.detail().and_then(|detail| detail.strip_prefix("Key (")?.split_once(")=("));
    told.is_some_and(|(told, _)| {
        let told = told.split(", ").map(|name| name.trim_matches('"'));
        told.eq(columns.iter().map(|column| table.columns[*column].name.as_str()))
    })
}

/// The error of a key that a row has already; `values` are what PostgreSQL says of the key's.
fn same_key(key: &Key, values: Option<&str>, place: &Place<'_>) -> Error {
    let table = &place.table.table;
    let columns: Vec<&str> =
        key.columns.iter().map(|column| table.columns[*column].name.as_str()).collect();
    let message = match values {
        Some(values) => format!("a row with {} exists", shown(values)),
        None => format!("a row with the same {} exists", columns.join(", ")),
    };
    let at = match columns.as_slice() {
        [column] => format!("{}{}", place.written(), step(column)),
        _ => place.written(),
    };
    let hint = match place.table.actions.contains(Action::Restore) {
        true => {
            "change the value, or insert with on_conflict on this key; if that row is archived, restore it"
        }
        false => "change the value, or insert with on_conflict on this key",
    };
    named(Error::new(Code::UniqueViolation, message).at(at).hint(hint), &key.name, table)
}

/// The error with the constraint's name; not at a view, where that tells of the table beneath.
fn named(error: Error, name: &str, table: &Table) -> Error {
    if table.kind == TableKind::View { error } else { error.constraint(name) }
}

/// The table whose row others still refer to, if that is what PostgreSQL says and the caller knows the reference.
pub(crate) fn referred<'v>(answer: &DbError, view: &'v View) -> Option<&'v TableName> {
    answer.detail().filter(|detail| detail.contains("still referenced"))?;
    let other = view.tables().iter().find(|other| {
        answer.table() == Some(&other.name().name) && answer.schema() == Some(&other.name().schema)
    })?;
    let mut keys = other.table.foreign_keys.iter();
    keys.find(|key| answer.constraint() == Some(&key.name)).map(|key| &key.table)
}

pub(super) fn exclusion(answer: &DbError, place: &Place<'_>) -> Error {
    let refused = |message: String| Error::new(Code::ExclusionViolation, message);
    let table = &place.table.table;
    // The constraint's index tells whether the caller may know of it.
    let mut indexes = table.indexes.iter().filter(|_| !place.is_elsewhere(answer));
    let index = indexes.find(|index| Some(index.name.as_str()) == answer.constraint());
    let Some(index) = index else {
        return refused("an existing row excludes this one".to_owned()).at(place.written());
    };
    let columns = index.mentions.iter().filter_map(|column| table.columns.get(*column));
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
    // Rows of a table that refers to itself fail in both ways; PostgreSQL tells which in words alone.
    let left = place.values.is_none()
        || answer.detail().is_some_and(|detail| detail.contains("still referenced"));
    let mut keys = table.foreign_keys.iter().chain(&table.logical_keys);
    if !left
        && let Some(key) = keys.find(|key| key.name == name && place.is_of(answer, &key.columns))
    {
        return named(missing_row(key, place), name, table);
    }
    let partitioned = table.kind == TableKind::PartitionedTable;
    if partitioned
        && !left
        && let Some(key) = reference_of_partition(answer, table)
    {
        return missing_row(key, place).constraint(&key.name);
    }
    // Rows of another table refer to this one; the caller may not know that table.
    let other = place.view.tables().iter().find(|other| {
        answer.table() == Some(&other.name().name) && answer.schema() == Some(&other.name().schema)
    });
    let known = other.and_then(|other| {
        let mut keys = other.table.foreign_keys.iter();
        // What refers to a partitioned table has a constraint for each partition, with names of their own.
        let key = match partitioned {
            true => keys.find(|key| key.table == table.name),
            false => keys.find(|key| key.name == name),
        };
        Some((other, key?))
    });
    let at = if place.values.is_some() { place.written() } else { "/where".to_owned() };
    match known {
        Some((other, key)) => Error::new(
            Code::ForeignKeyViolation,
            format!("rows of {} refer to this row", place.view.display(other)),
        )
        .constraint(&key.name)
        .hint(if place.values.is_some() {
            "leave the key that they refer to as it is"
        } else if place.table.actions.contains(Action::Archive) {
            "archive the row instead, or delete or change those rows first, perhaps in the same transaction"
        } else {
            "delete or change those rows first, perhaps in the same transaction"
        }),
        None => {
            Error::new(Code::ForeignKeyViolation, "other rows refer to this row, or it to none")
        }
    }
    .at(at)
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
        .hint("insert that row first, or in the same transaction"),
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
