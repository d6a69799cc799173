//! Lists of updates: rows identified by key, each with its own values.

use std::collections::{BTreeSet, HashMap};
use std::mem::{Discriminant, discriminant};

use serde_json::{Map, Value};

use super::change::{Assignment, assignments, completed, read_version};
use super::insert::Given;
use crate::error::{Code, Error, Result, below, step};
use crate::plan::grammar::VERSION;
use crate::plan::{Assign, Operand, Scope};
use crate::policy::{Action, TableView};
use crate::schema::{Column, Key};

/// Rows identified by a key, each with its assignments.
#[derive(Debug, Clone)]
pub struct Each<'v> {
    /// The columns of the key.
    pub key: Vec<&'v Column>,
    /// The rows, in batches that assign to the same columns in the same way.
    pub batches: Vec<Vec<NamedRow<'v>>>,
}

/// A row of an [`Each`].
#[derive(Debug, Clone)]
pub struct NamedRow<'v> {
    /// Its index in the list.
    pub index: usize,
    /// The values of the key.
    pub key: Vec<Operand>,
    /// Its assignments.
    pub set: Vec<(&'v Column, Assign<'v>)>,
    /// The version that the row must still have.
    pub version: Option<String>,
}

/// The most batches of a list, each of which is a statement.
const WAYS_MOST: usize = 100;

impl<'v> Each<'v> {
    /// The rows of an `updates` list.
    pub(super) fn new(
        scope: &Scope<'v>,
        table: &'v TableView,
        updates: &[Given<'_>],
    ) -> Result<Self> {
        let most = scope.view.limits.max_insert_rows;
        if updates.len() > most {
            let message = format!("one update may name at most {most} rows, not {}", updates.len());
            return Err(Error::exceeded("max_insert_rows", message).at("/updates"));
        }
        let columns = &table.table.columns;
        let key = key(table, updates)?;
        let key: Vec<&'v Column> = key.columns.iter().map(|c| &columns[*c]).collect();
        let mut presets = None;
        let mut batches: Vec<Vec<NamedRow<'v>>> = Vec::new();
        let mut shapes: HashMap<Shape<'v>, usize> = HashMap::new();
        for (index, update) in updates.iter().enumerate() {
            let row = named(scope, table, &key, &mut presets, (index, update));
            let row = row.map_err(|error| {
                let rest = updates.iter().enumerate().skip(index + 1);
                error.also(rest.filter_map(|(index, update)| {
                    named(scope, table, &key, &mut presets, (index, update)).err()
                }))
            })?;
            let shape = row.set.iter().map(|(column, assign)| {
                let fixed = fixed(assign, update.get(&column.name));
                (column.number, discriminant(assign), fixed)
            });
            let batch = *shapes.entry(shape.collect()).or_insert_with(|| {
                batches.push(Vec::new());
                batches.len() - 1
            });
            batches[batch].push(row);
            if batches.len() > WAYS_MOST {
                let message = format!(
                    "the rows of a list may be set in at most {WAYS_MOST} ways, each with its own columns or arithmetic"
                );
                return Err(Error::new(Code::LimitExceeded, message)
                    .at(format!("/updates/{index}"))
                    .hint("send the other rows in a call of their own"));
            }
        }
        Ok(Self { key, batches })
    }

    /// The rows, batch by batch.
    pub fn rows(&self) -> impl Iterator<Item = &NamedRow<'v>> {
        self.batches.iter().flatten()
    }

    /// Whether the column belongs to the key.
    pub(crate) fn is_named_by(&self, column: &Column) -> bool {
        self.key.iter().any(|key| key.name == column.name)
    }

    /// The key's columns, unless it is the primary key.
    pub(crate) fn other_key(&self, table: &TableView) -> Option<String> {
        let columns = &table.table.columns;
        let primary = table.table.primary_key.as_ref().is_some_and(|primary| {
            primary.columns.iter().all(|column| self.is_named_by(&columns[*column]))
                && primary.columns.len() == self.key.len()
        });
        let names: Vec<&str> = self.key.iter().map(|column| column.name.as_str()).collect();
        (!primary).then(|| names.join(", "))
    }

    /// Whether any row must have a given version.
    pub fn versioned(&self) -> bool {
        self.rows().any(|row| row.version.is_some())
    }
}

/// The columns that a row sets, and how. Rows of a batch must agree in everything that is not a parameter.
type Shape<'v> = Vec<(i16, Discriminant<Assign<'v>>, Option<String>)>;

/// The part of an assignment that is not a parameter of the statement, as text.
fn fixed(assign: &Assign<'_>, given: Option<&Value>) -> Option<String> {
    match assign {
        Assign::Compute(_) | Assign::Period(_) => given.map(Value::to_string),
        Assign::Set(put) => Some(Value::from(put.path.as_slice()).to_string()),
        _ => None,
    }
}

fn named<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    key: &[&'v Column],
    presets: &mut Option<Vec<Assignment<'v>>>,
    (index, update): (usize, &Map<String, Value>),
) -> Result<NamedRow<'v>> {
    let at = format!("/updates/{index}");
    let mut values = Vec::with_capacity(key.len());
    for column in key {
        let at = below(&at, &column.name);
        let value = update.get(&column.name).unwrap_or(&Value::Null);
        let operand = scope.operand(column, value, &at)?;
        if operand.is_null() {
            return Err(Error::new(
                Code::InvalidValue,
                "a key that names a row does not accept null",
            )
            .at(at));
        }
        values.push(operand);
    }
    let own = table.table.column(VERSION).is_some();
    let version = if own { None } else { update.get(VERSION) };
    let version = version.map(|version| read_version(table, version, &format!("{at}/{VERSION}")));
    let version = version.transpose()?;
    let names_row =
        |name: &str| !own && name == VERSION || key.iter().any(|column| column.name == name);
    let rest = update.iter().filter(|(name, _)| !names_row(name));
    let set = assignments(scope, table, rest, &at)?;
    // Planned once, but after the first row: what is wrong with the caller's own values is said first.
    let presets = match presets {
        Some(known) => known,
        None => presets.insert(scope.presets(table, Action::Update)?),
    };
    let mut set = completed(table, set, presets);
    // The order of columns does not matter.
    set.sort_by_key(|(column, _)| column.number);
    Ok(NamedRow { index, key: values, set, version })
}

/// The key that names the rows: the primary key, otherwise the only unique key that every item gives.
fn key<'v>(table: &'v TableView, updates: &[Given<'_>]) -> Result<&'v Key> {
    let primary = table.table.primary_key.as_ref().filter(|_| !table.table.has_heirs);
    let holds = |update: &Given<'_>, columns: &[usize]| {
        columns.iter().all(|column| update.contains_key(name(table, *column)))
    };
    // One that only some items give is a slip: to those, another key would give a new primary key.
    if let Some(key) = primary
        && updates.iter().any(|update| holds(update, &key.columns))
    {
        return match updates.iter().all(|update| holds(update, &key.columns)) {
            true => Ok(key),
            false => Err(lacking(table, key, updates)),
        };
    }
    let given = |columns: &[usize]| {
        !columns.is_empty() && updates.iter().all(|update| holds(update, columns))
    };
    let keys: Vec<&Key> = table.table.row_keys().filter(|key| given(&key.columns)).collect();
    let indexes = table.table.indexes.iter().filter(|index| index.unique).map(|index| {
        let plain = index.parts.len() == index.columns.len();
        if plain { &index.columns } else { &index.mentions }
    });
    let unique = keys.iter().map(|key| &key.columns).chain(indexes.filter(|index| given(index)));
    let unique: BTreeSet<BTreeSet<usize>> =
        unique.map(|columns| columns.iter().copied().collect()).collect();
    match (keys.first(), table.table.row_keys().next()) {
        (Some(key), _) if unique.len() == 1 => Ok(key),
        (Some(_), _) => Err(several(table, primary, &unique)),
        (None, Some(first)) => Err(lacking(table, first, updates)),
        (None, None) => Err(keyless(table)),
    }
}

fn name(table: &TableView, column: usize) -> &str {
    &table.table.columns[column].name
}

/// The names of a key's columns, as text.
fn names(table: &TableView, columns: impl IntoIterator<Item = usize>) -> String {
    let names: Vec<&str> = columns.into_iter().map(|column| name(table, column)).collect();
    names.join(", ")
}

/// The error about an item without a column of the key.
fn lacking(table: &TableView, key: &Key, updates: &[Given<'_>]) -> Error {
    let lacking = updates.iter().enumerate().find_map(|(index, update)| {
        let mut columns = key.columns.iter().map(|column| name(table, *column));
        Some((index, columns.find(|column| !update.contains_key(*column))?))
    });
    let (index, column) = lacking.unwrap_or_default();
    Error::new(Code::MissingValue, format!("{column} is missing, which names the row"))
        .at(format!("/updates/{index}{}", step(column)))
        .hint("each of a list of updates holds the columns of a key")
        .allowed(table.table.row_keys().map(|key| names(table, key.columns.iter().copied())))
}

/// The error about items that hold several keys, one of which may be meant to be set.
fn several(table: &TableView, primary: Option<&Key>, held: &BTreeSet<BTreeSet<usize>>) -> Error {
    let held: Vec<String> =
        held.iter().map(|key| format!("({})", names(table, key.iter().copied()))).collect();
    let message = format!(
        "the updates hold several keys, {}: which one names the row is not given",
        held.join(" and ")
    );
    let alone = "one update for each row, with a where that names it";
    Error::new(Code::MissingValue, message)
        .at("/updates")
        .hint(match primary {
            Some(key) => {
                format!(
                    "give the primary key ({}), or {alone}",
                    names(table, key.columns.iter().copied())
                )
            }
            None => alone.to_owned(),
        })
        .allowed(table.table.row_keys().map(|key| names(table, key.columns.iter().copied())))
}

fn keyless(table: &TableView) -> Error {
    let message = match table.table.has_heirs {
        true => format!(
            "{} has no key to name its rows by: rows of tables that inherit from it may have the same",
            table.name()
        ),
        false => format!("{} has no key to name its rows by", table.name()),
    };
    Error::new(Code::InvalidValue, message)
        .at("/updates")
        .hint("give an object, and name the rows in where")
}
