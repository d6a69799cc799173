//! `on_conflict`: what happens to existing rows.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::assign::{Assign, Written, is_operand, not_shown};
use super::change::{assignments, counted, touchable};
use super::insert::Given;
use super::whole::require_whole;
use crate::error::{Code, Error, Result, below};
use crate::plan::{Expression, Predicate, Scope};
use crate::policy::{Action, TableView};
use crate::request::{Archived, ConflictAction, OnConflict};
use crate::schema::{Column, Family, Index, Key, TableKind};

/// A unique key, and what happens to existing rows with the same key values.
#[derive(Debug, Clone)]
pub struct Arbiter<'v> {
    /// The columns of the key. Empty for any key; existing rows then stay as they are.
    pub columns: Vec<&'v Column>,
    /// Whether the key treats nulls as equal.
    pub nulls_equal: bool,
    /// The index, if it is a partial one.
    pub partial: Option<&'v Index>,
    /// What existing rows are set to. If empty, they stay as they are.
    pub set: Vec<(&'v Column, Overwrite<'v>)>,
    /// Which existing rows the caller may change.
    pub filter: Predicate<'v>,
    /// The condition that changed rows must meet for the caller to be allowed the change.
    pub check: Predicate<'v>,
}

/// What a column of an existing row is set to.
#[derive(Debug, Clone)]
pub enum Overwrite<'v> {
    /// The value of the new row.
    Given,
    /// The old value plus that of the new row.
    Added,
    /// Another value.
    Assign(Assign<'v>),
}

impl<'v> Arbiter<'v> {
    /// For rows that give the columns `given`.
    pub(super) fn new(
        scope: &Scope<'v>,
        table: &'v TableView,
        request: &OnConflict,
        given: &[&'v Column],
    ) -> Result<Self> {
        let Target { columns, nulls_equal, partial } = match &request.columns {
            Some(names) => key_of(table, names)?,
            None if request.action == ConflictAction::Nothing => Target::default(),
            None => {
                let message = "which key's rows are to be updated is not given";
                return Err(no_key(table, Code::MissingValue, message));
            }
        };
        let columns: Vec<&'v Column> =
            columns.iter().map(|column| &table.table.columns[*column]).collect();
        let mut set = match request.action {
            ConflictAction::Nothing => Vec::new(),
            ConflictAction::Update => overwritten(scope, table, request, given, &columns)?,
        };
        if set.is_empty() {
            return Ok(Self {
                columns,
                nulls_equal,
                partial,
                set,
                filter: Predicate::always(),
                check: Predicate::always(),
            });
        }
        let indexes = |(column, set): &(&'v Column, Overwrite<'v>)| match set {
            Overwrite::Given => table.sealed(&column.name)?.index(),
            Overwrite::Added | Overwrite::Assign(_) => None,
        };
        let indexes: Vec<&'v Column> = set.iter().filter_map(indexes).collect();
        set.extend(indexes.into_iter().map(|column| (column, Overwrite::Given)));
        let presets = scope.presets(table, Action::Update)?;
        set.extend(presets.into_iter().map(|(column, set)| (column, Overwrite::Assign(set))));
        let counted = counted(table, |column| set.iter().any(|(known, _)| known.name == column));
        set.extend(counted.map(|(column, next)| (column, Overwrite::Assign(next))));
        let filter = touchable(scope, table, Action::Update, Archived::Exclude)?;
        let check = scope.visible(table, Action::Update)?;
        let filter = Predicate::All(filter.into());
        Ok(Self { columns, nulls_equal, partial, set, filter, check })
    }
}

impl Arbiter<'_> {
    /// Refuses a partial value in the rows that existing rows would get.
    pub(super) fn require_whole(
        &self,
        rows: &[Given<'_>],
        at: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let given =
            |(_, overwrite): &&(&Column, Overwrite<'_>)| matches!(overwrite, Overwrite::Given);
        for (index, row) in rows.iter().enumerate() {
            for (column, _) in self.set.iter().filter(given) {
                if let Some(value) = row.get(&column.name).filter(|value| !is_operand(value)) {
                    let at = below(&at(index), &column.name);
                    require_whole(&column.data_type, value, &at)?;
                }
            }
        }
        Ok(())
    }

    /// Refuses a row without a value that existing rows would get, which would be the column's default; and a row
    /// whose key the database makes, because a sequence that lags behind may return the key of any row.
    pub(super) fn require_given(
        &self,
        table: &TableView,
        rows: &[Given<'_>],
        given: &[&Column],
        at: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let overwritten = |(column, overwrite): &&(&Column, Overwrite<'_>)| {
            matches!(overwrite, Overwrite::Given) && given.iter().any(|one| one.name == column.name)
        };
        let made = |column: &&&Column| {
            let fixed = column.has_fixed_default() && !table.table.fills_rows;
            !self.set.is_empty() && !fixed && !table.is_preset(&column.name, Action::Insert)
        };
        for (index, row) in rows.iter().enumerate() {
            let mut made = self.columns.iter().filter(made);
            let left = |column: &&&Column| {
                row.get(&column.name).is_none_or(|value| {
                    value.get("$default").is_some() || value.is_null() && !column.nullable
                })
            };
            if let Some(column) = made.find(left) {
                let name = &column.name;
                let message = format!(
                    "the row has no {name}, which the database generates, so it does not say which row to update"
                );
                let otherwise = "name another key, or leave on_conflict out for a new row";
                let error = Error::new(Code::MissingValue, message).at(below(&at(index), name));
                return Err(error.hint(match column.read_only() {
                    true => format!("no row can give it: {otherwise}"),
                    false => format!("give it to update the row that has it, {otherwise}"),
                }));
            }
            let mut missing = self.set.iter().filter(overwritten).map(|(column, _)| &column.name);
            if let Some(name) = missing.find(|name| !row.contains_key(*name)) {
                return Err(Error::new(
                    Code::MissingValue,
                    format!(
                        "other rows give {name}: without it, an existing row would get its default"
                    ),
                )
                .at(below(&at(index), name))
                .hint("give it in each row, or name in on_conflict.update what all rows give"));
            }
        }
        Ok(())
    }

    /// Refuses a masked value that existing rows would get.
    pub(super) fn require_own(
        &self,
        table: &TableView,
        rows: &[Given<'_>],
        at: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let overwritten = self.set.iter().filter(|(_, set)| matches!(set, Overwrite::Given));
        for (column, _) in overwritten {
            for (index, row) in rows.iter().enumerate() {
                let Some(value) = row.get(&column.name) else { continue };
                let at = below(&at(index), &column.name);
                not_shown(table, &column.name, value, Written::Old, &at)?;
            }
        }
        Ok(())
    }
}

/// The key that `on_conflict.columns` selects.
#[derive(Default)]
struct Target<'v> {
    columns: &'v [usize],
    nulls_equal: bool,
    partial: Option<&'v Index>,
}

/// The keys that `on_conflict` can use.
fn keys(table: &TableView) -> impl Iterator<Item = &Key> {
    table.table.keys().filter(|key| key.arbiter)
}

/// The error about `on_conflict.columns`, with the possible keys.
fn no_key(table: &TableView, code: Code, message: &str) -> Error {
    let whole: Vec<&[usize]> = keys(table).map(|key| key.columns.as_slice()).collect();
    let partial = partial(table).map(|index| index.columns.as_slice());
    let partial: BTreeSet<&[usize]> = partial.filter(|columns| !whole.contains(columns)).collect();
    // In the form of the argument: each is a list.
    let names = whole.into_iter().chain(partial).map(|columns| {
        let names: Vec<&str> =
            columns.iter().map(|column| table.table.columns[*column].name.as_str()).collect();
        Value::from(names).to_string()
    });
    Error::new(code, message).at("/on_conflict/columns").allowed(names)
}

/// Unique partial indexes on plain columns. Indexes of exclusion constraints, and indexes whose predicate uses the
/// whole row (by the table's name), are left out.
fn partial(table: &TableView) -> impl Iterator<Item = &Index> {
    table.table.indexes.iter().filter(|index| {
        let predicate = index.predicate.as_ref();
        index.unique
            && index.exclusion.is_none()
            && index.parts.len() == index.columns.len()
            && predicate.is_some_and(|predicate| !predicate.contains(".*"))
    })
}

/// The key with these columns, in any order.
fn key_of<'v>(table: &'v TableView, names: &[String]) -> Result<Target<'v>> {
    let mut wanted = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let at = format!("/on_conflict/columns/{index}");
        wanted.push(table.usable(name).map_err(|error| error.inside(&at))?);
    }
    let is_wanted = |columns: &[usize]| {
        columns.len() == wanted.len() && columns.iter().all(|column| wanted.contains(column))
    };
    if let Some(key) = keys(table).find(|key| is_wanted(&key.columns)) {
        return Ok(Target { columns: &key.columns, nulls_equal: key.nulls_equal, partial: None });
    }
    let mut partial = partial(table).filter(|index| is_wanted(&index.columns));
    match (partial.next(), partial.next()) {
        // The catalogue query does not tell whether nulls are equal in an index. Assuming so, no row is missed.
        (Some(index), None) => {
            Ok(Target { columns: &index.columns, nulls_equal: true, partial: Some(index) })
        }
        (Some(_), Some(_)) => {
            let message = "several partial indexes are unique over these columns";
            Err(Error::new(Code::InvalidValue, message).at("/on_conflict/columns"))
        }
        _ => Err(none_of(table, &wanted)),
    }
}

/// The error about columns that are not a key.
fn none_of(table: &TableView, wanted: &[usize]) -> Error {
    let message = "these columns are not a primary or unique key of the table";
    let error = no_key(table, Code::InvalidValue, message);
    let partly =
        table.table.indexes.iter().any(|index| {
            index.unique && wanted.iter().all(|column| index.mentions.contains(column))
        });
    let of_some = table.table.kind == TableKind::View
        && table.table.keys().any(|key| {
            key.columns.len() == wanted.len() && key.columns.iter().all(|one| wanted.contains(one))
        });
    match (partly, of_some) {
        (_, true) => error.hint("of a view, only one that shows all rows of its table has keys for on_conflict: insert into the table, or without on_conflict"),
        (true, false) => {
            error.hint("a unique index over an expression, or a deferrable one, does not count")
        }
        (false, false) => error,
    }
}

/// The columns that existing rows get: the listed ones, or all given ones without the key.
fn overwritten<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    request: &OnConflict,
    given: &[&'v Column],
    key: &[&'v Column],
) -> Result<Vec<(&'v Column, Overwrite<'v>)>> {
    table.require(Action::Update).map_err(|error| error.at("/on_conflict/do"))?;
    let Some(update) = &request.update else {
        let own =
            |column: &&&Column| column.can_update && !key.iter().any(|key| key.name == column.name);
        return Ok(given.iter().filter(own).map(|column| (*column, Overwrite::Given)).collect());
    };
    let read = match update {
        // JSON sent as a string.
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    };
    match read.as_ref().unwrap_or(update) {
        Value::Array(names) => copied(scope, table, names, given),
        Value::Object(values) => computed(scope, table, values, key),
        _ => Err(Error::new(
            Code::InvalidValue,
            "on_conflict.update is a list of columns, or an object of columns and values",
        )
        .at(UPDATE)
        .hint("[\"name\"], or {\"quantity\": {\"$increment\": 1}}")),
    }
}

/// The argument that says what becomes of existing rows.
const UPDATE: &str = "/on_conflict/update";

/// The columns that existing rows get as the new row gives them.
fn copied<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    names: &[Value],
    given: &[&'v Column],
) -> Result<Vec<(&'v Column, Overwrite<'v>)>> {
    if names.is_empty() {
        return Err(Error::new(Code::MissingValue, "there is no column to update")
            .at(UPDATE)
            .hint("leave it out for all that the rows give, or do \"nothing\""));
    }
    let mut set = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            continue;
        }
        let at = format!("{UPDATE}/{index}");
        let Value::String(name) = name else {
            let message = "a column to update is given by its name";
            return Err(Error::new(Code::InvalidValue, message).at(at));
        };
        let column = scope.writable(table, name, Written::Old).map_err(|error| error.at(&at))?;
        if !given.iter().any(|known| known.name == *name) {
            return Err(Error::new(Code::MissingValue, format!("no row gives {name:?}"))
                .at(at)
                .allowed(given.iter().map(|column| column.name.as_str())));
        }
        set.push((column, Overwrite::Given));
    }
    Ok(set)
}

/// What existing rows are set to, as an update would.
fn computed<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    values: &Map<String, Value>,
    key: &[&'v Column],
) -> Result<Vec<(&'v Column, Overwrite<'v>)>> {
    let set = assignments(scope, table, values, UPDATE)?;
    for (column, assign) in &set {
        let related = |computed: &Expression<'_>| {
            computed.columns().iter().any(|reached| !reached.hops.is_empty())
        };
        let within = matches!(
            assign,
            Assign::Append(_) | Assign::Remove(_) | Assign::Merge(_) | Assign::Set(_)
        );
        let why = if key.iter().any(|key| key.name == column.name) {
            "is of the key by which rows conflict"
        } else if within && column.data_type.family() == Family::Json {
            "can be set as a whole here, because the existing row is not read before"
        } else if assign.computed().is_some_and(related) {
            "takes a value of a related row, which is for updates"
        } else {
            continue;
        };
        return Err(Error::new(Code::InvalidValue, format!("{} {why}", column.name))
            .at(below(UPDATE, &column.name))
            .hint(
                "an insert that does \"nothing\", and an update of the row, in one transaction",
            ));
    }
    Ok(set.into_iter().map(|(column, assign)| (column, Overwrite::Assign(assign))).collect())
}
