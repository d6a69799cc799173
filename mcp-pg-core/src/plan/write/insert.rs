//! New rows.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::assign::{Assign, Written, first_version, not_shown};
use crate::error::{Code, Error, Result, below};
use crate::plan::{Arbiter, Dotted, Include, Operand, Overwrite, Predicate, Returned, Scope};
use crate::policy::{Action, Sealed, TableView};
use crate::request::Insert;
use crate::schema::{Column, TableKind};

/// Rows to add.
#[derive(Debug, Clone)]
pub struct InsertPlan<'v> {
    /// The table.
    pub table: &'v TableView,
    /// The columns that at least one row gives.
    pub columns: Vec<&'v Column>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Assign<'v>>>,
    /// What to do about existing rows.
    pub arbiter: Option<Arbiter<'v>>,
    /// The condition that its rows must meet for the caller to be allowed to add them.
    pub check: Predicate<'v>,
    /// Positions of the columns to return.
    pub returning: Vec<Returned>,
    /// Columns of related rows to return, whose relations are among `includes`.
    pub dotted: Vec<Dotted>,
    /// Related rows to return with each.
    pub includes: Vec<Include<'v>>,
    /// Roll back in the end.
    pub dry_run: bool,
    /// Whether the request has a list of rows: then places in it have an index.
    pub list: bool,
}

/// The maximum number of values that a request may insert.
const VALUES_MOST: usize = 1_000_000;

impl<'v> InsertPlan<'v> {
    /// The plan of an insert.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub fn new(scope: &Scope<'v>, request: &Insert) -> Result<Self> {
        let table = scope.table(&request.table, Action::Insert)?;
        let (rows, list) = rows(&request.data, "/data", "row")?;
        few_rows(scope, rows.len())?;
        let at = |index: usize| if list { format!("/data/{index}") } else { "/data".to_owned() };
        let others = |error: Error, counted: Option<&[&Column]>| {
            with_others(error, scope, table, &rows, counted, &at)
        };
        let uncounted = request.on_conflict.is_none().then_some(&[][..]);
        let mut columns =
            given_columns(scope, table, &rows, &at).map_err(|error| others(error, uncounted))?;
        Self::few(rows.len() * columns.len())?;
        let presets = scope.presets(table, Action::Insert)?;
        let given = columns.len();
        // Blind indexes of what is given, in the order of their columns.
        let indexes = columns.iter().filter_map(|column| table.sealed(&column.name)?.index());
        let indexes: Vec<&'v Column> = indexes.collect();
        columns.extend(indexes);
        columns.extend(presets.iter().map(|(column, _)| *column));
        let first = version(table, &presets);
        let begins = first.as_ref().map(|(column, _)| *column);
        let is_given = |column: &&Column| columns.iter().any(|known| known.name == column.name);
        columns.extend(begins.filter(|begins| !is_given(begins)));

        let arbiter = request.on_conflict.as_ref();
        let mut arbiter = arbiter
            .map(|on_conflict| Arbiter::new(scope, table, on_conflict, &columns[..given]))
            .transpose()?;
        let counted = match &mut arbiter {
            Some(arbiter) => arbiter.count_up(table, &rows, &at)?,
            None => Vec::new(),
        };
        let planned = rows.iter().enumerate().map(|(index, row)| {
            let at = at(index);
            require(table, row, &presets, begins, &at)?;
            let mut values = given_values(scope, table, &columns[..given], &counted, row, &at)?;
            values.extend(presets.iter().map(|(_, set)| set.clone()));
            begin(&columns, &mut values, first.as_ref(), row);
            Ok(values)
        });
        let planned: Result<Vec<Vec<Assign<'v>>>> = planned.collect();
        let planned = planned.map_err(|error| others(error, Some(&counted)))?;

        if let Some(arbiter) = &arbiter {
            arbiter.require_given(table, &rows, &columns[..given], &at)?;
            arbiter.require_own(table, &rows, &at)?;
            arbiter.require_whole(&rows, &at)?;
        }
        let (returning, mut dotted) = scope.returned(table, request.returning.as_deref())?;
        let include = request.include.as_ref();
        Ok(Self {
            table,
            columns,
            rows: planned,
            arbiter,
            check: scope.visible(table, Action::Insert)?,
            includes: scope.returned_related(table, &returning, &mut dotted, include)?,
            returning,
            dotted,
            dry_run: request.dry_run.unwrap_or_default(),
            list,
        })
    }
}

impl<'v> InsertPlan<'v> {
    /// The columns that its row at a position gives, or that at least one gives.
    pub fn given(&self, row: Option<usize>) -> Vec<&Column> {
        let rows = match row {
            Some(row) => self.rows.get(row..=row),
            None => Some(self.rows.as_slice()),
        };
        let gives = |place: usize| {
            let mut assigned = rows.into_iter().flatten().filter_map(|row| row.get(place));
            assigned.any(|assign| !assign.is_generated())
        };
        let columns = self.columns.iter().enumerate();
        columns.filter(|(place, _)| gives(*place)).map(|(_, column)| *column).collect()
    }

    /// Gives its rows values that the database generated for a column before. Rows that have a value keep it.
    pub(crate) fn generate_again(&mut self, column: &'v Column, values: Vec<Option<String>>) {
        let known = self.columns.iter().position(|known| known.name == column.name);
        let place = known.unwrap_or(self.columns.len());
        if known.is_none() {
            self.columns.push(column);
            self.rows.iter_mut().for_each(|row| row.push(Assign::Default));
        }
        for (row, value) in self.rows.iter_mut().zip(values) {
            if let (Some(assign @ Assign::Default), Some(value)) = (row.get_mut(place), value) {
                *assign = Assign::Again(Operand::own(Some(value)));
            }
        }
    }

    /// Whether its row at a position, or any, has such a value of a column.
    pub(crate) fn repeats(&self, row: Option<usize>, column: &str) -> bool {
        let Some(place) = self.columns.iter().position(|known| known.name == column) else {
            return false;
        };
        let mut rows = self.rows.iter().enumerate();
        rows.any(|(index, assigns)| {
            row.is_none_or(|row| row == index)
                && matches!(assigns.get(place), Some(Assign::Again(_)))
        })
    }

    /// The columns of existing rows to which `on_conflict.update` gives values of its own, and whether a new row gives null.
    pub(crate) fn updated(&self) -> Vec<(&Column, bool)> {
        let null = |set: &Assign<'_>| matches!(set, Assign::Value(value) if value.is_null());
        let gives_null = |column: &Column| {
            let place = self.columns.iter().position(|known| known.name == column.name);
            place.is_some_and(|place| self.rows.iter().any(|row| row.get(place).is_some_and(null)))
        };
        let set = self.arbiter.iter().flat_map(|arbiter| &arbiter.set);
        let own = set.filter(|(_, set)| matches!(set, Overwrite::Assign(_)));
        own.map(|(column, _)| (*column, gives_null(column))).collect()
    }

    /// Refuses too many values in the inserts of a request. Each row of an insert has one for every column that any of its rows
    /// gives.
    ///
    /// # Errors
    ///
    /// `limit_exceeded`
    pub(crate) fn few(values: usize) -> Result<()> {
        if values <= VALUES_MOST {
            return Ok(());
        }
        let message = format!("a request may insert at most {VALUES_MOST} values, not {values}");
        Err(Error::new(Code::LimitExceeded, message)
            .at("/data")
            .hint("each row counts with all columns that any row of its insert gives: insert rows with the same columns together"))
    }

    /// The number of its values.
    pub(crate) fn values(&self) -> usize {
        self.rows.len() * self.columns.len()
    }

    /// Whether there is a condition that its rows must meet.
    pub(crate) fn is_checked(&self) -> bool {
        let checks = self.arbiter.iter().map(|arbiter| &arbiter.check).chain([&self.check]);
        !checks.into_iter().all(Predicate::is_always)
    }
}

fn few_rows(scope: &Scope<'_>, rows: usize) -> Result<()> {
    let most = scope.view.limits.max_insert_rows;
    if rows <= most {
        return Ok(());
    }
    let message = format!("one insert may have at most {most} rows, not {rows}");
    Err(Error::exceeded("max_insert_rows", message).at("/data"))
}

/// A row as the request gives it, or as it was read from text.
pub(super) type Given<'r> = Cow<'r, Map<String, Value>>;

/// The rows at `at`, and whether they are a list; `what` is how messages call one.
pub(super) fn rows<'r>(given: &'r Value, at: &str, what: &str) -> Result<(Vec<Given<'r>>, bool)> {
    let wrong = |at: String| {
        Error::new(Code::InvalidValue, format!("each {what} is an object of columns and values"))
            .at(at)
            .hint("{\"name\": \"Ada\"}, or a list of such objects")
    };
    match given {
        Value::Object(row) => Ok((vec![Cow::Borrowed(row)], false)),
        Value::Array(rows) if rows.is_empty() => {
            Err(Error::new(Code::MissingValue, format!("there is no {what}")).at(at))
        }
        Value::Array(rows) => rows
            .iter()
            .enumerate()
            .map(|(index, row)| match row {
                Value::Object(row) => Ok(Cow::Borrowed(row)),
                _ => Err(wrong(format!("{at}/{index}"))),
            })
            .collect::<Result<_>>()
            .map(|rows| (rows, true)),
        // JSON sent as a string.
        Value::String(text) => match serde_json::from_str(text) {
            Ok(inner @ (Value::Object(_) | Value::Array(_))) => {
                let (rows, list) = rows(&inner, at, what)?;
                Ok((rows.into_iter().map(|row| Cow::Owned(row.into_owned())).collect(), list))
            }
            _ => Err(wrong(at.to_owned())),
        },
        _ => Err(wrong(at.to_owned())),
    }
}

/// The columns that at least one of the rows gives.
fn given_columns<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    rows: &[Given<'_>],
    at: &dyn Fn(usize) -> String,
) -> Result<Vec<&'v Column>> {
    let mut columns = Vec::new();
    let mut named: HashSet<&str> = HashSet::new();
    for (index, row) in rows.iter().enumerate() {
        for name in row.keys() {
            if named.insert(name) {
                let column = scope.writable(table, name, Written::New);
                columns.push(column.map_err(|error| error.at(below(&at(index), name)))?);
            }
        }
    }
    Ok(columns)
}

/// The error, with the places of mistakes in other rows. Which columns are `counted` up may not be known: then their values
/// are not looked at.
fn with_others<'v>(
    error: Error,
    scope: &Scope<'v>,
    table: &'v TableView,
    rows: &[Given<'_>],
    counted: Option<&[&Column]>,
    at: &dyn Fn(usize) -> String,
) -> Error {
    let Ok(presets) = scope.presets(table, Action::Insert) else { return error };
    let first = version(table, &presets);
    let begins = first.as_ref().map(|(column, _)| *column);
    let look = |index: usize, row: &Given<'_>| {
        let at = at(index);
        let columns = given_columns(scope, table, std::slice::from_ref(row), &|_| at.clone())?;
        require(table, row, &presets, begins, &at)?;
        let values = counted.map(|counted| given_values(scope, table, &columns, counted, row, &at));
        values.transpose().map(drop)
    };
    error.also(rows.iter().enumerate().filter_map(|(index, row)| look(index, row).err()))
}

/// What a row has in the columns that are `given`, in some of which it is `counted` up, and then in the blind indexes of those.
fn given_values<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    given: &[&'v Column],
    counted: &[&Column],
    row: &Map<String, Value>,
    at: &str,
) -> Result<Vec<Assign<'v>>> {
    let mut values = Vec::with_capacity(given.len());
    let mut indexes = Vec::new();
    for column in given {
        let at = below(at, &column.name);
        let (value, sealed) = (row.get(&column.name), table.sealed(&column.name));
        value.map_or(Ok(()), |value| not_shown(table, &column.name, value, Written::New, &at))?;
        values.push(match (value, sealed) {
            (Some(value), Some(sealed)) => {
                let set = scope.assign_sealed(sealed, column, value, &at)?;
                let mut set = set.into_iter().map(|(_, assign)| assign);
                let written = set.next().unwrap_or(Assign::Default);
                indexes.extend(set);
                written
            }
            (Some(value), None) if counted.iter().any(|counted| counted.name == column.name) => {
                scope.amount(column, value, &at)?
            }
            (Some(value), None) => scope.assign(table, column, value, Written::New, &at)?,
            (None, sealed) => {
                indexes.extend(sealed.and_then(Sealed::index).map(|_| Assign::Default));
                Assign::Default
            }
        });
    }
    values.extend(indexes);
    Ok(values)
}

/// The version that a new row begins with, where it has to be given.
fn version<'v>(
    table: &'v TableView,
    presets: &[(&Column, Assign<'v>)],
) -> Option<(&'v Column, Assign<'v>)> {
    let column = table.version.as_ref()?;
    let preset = presets.iter().any(|(preset, _)| preset.name == column.name);
    (column.can_insert && column.required() && !preset).then(|| (column, first_version(column)))
}

/// Gives the row the first version, unless it has one of its own.
fn begin<'v>(
    columns: &[&Column],
    values: &mut Vec<Assign<'v>>,
    first: Option<&(&'v Column, Assign<'v>)>,
    row: &Map<String, Value>,
) {
    let Some((column, first)) = first.filter(|(column, _)| !row.contains_key(&column.name)) else {
        return;
    };
    match columns
        .iter()
        .position(|known| known.name == column.name)
        .and_then(|at| values.get_mut(at))
    {
        Some(value) => *value = first.clone(),
        None => values.push(first.clone()),
    }
}

/// Refuses a row that leaves out a column which nothing would fill.
fn require(
    table: &TableView,
    row: &Map<String, Value>,
    presets: &[(&Column, Assign<'_>)],
    begins: Option<&Column>,
    at: &str,
) -> Result<()> {
    // A trigger may fill what a row lacks, and a view's columns have no rules of their own.
    if table.table.fills_rows || table.table.kind == TableKind::View {
        return Ok(());
    }
    let missing = table.table.columns.iter().find(|column| {
        column.can_insert
            && column.required()
            && !row.contains_key(&column.name)
            && !presets.iter().any(|(preset, _)| preset.name == column.name)
            && begins.is_none_or(|begins| begins.name != column.name)
    });
    match missing {
        None => Ok(()),
        Some(column) => Err(Error::new(
            Code::MissingValue,
            format!("{} ({}) is required", column.name, column.type_name),
        )
        .at(below(at, &column.name))
        .hint(match column.default_refused {
            true => "it does not accept null, and its default uses a sequence that the caller's role may not use",
            false => "it does not accept null and has no default",
        })),
    }
}
