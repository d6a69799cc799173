//! New rows.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::assign::{Assign, Written, not_shown};
use super::change::{counted, touchable};
use super::{Include, Predicate, Scope};
use crate::error::{Code, Error, Result, step};
use crate::policy::{Action, Sealed, TableView};
use crate::request::{Archived, ConflictAction, Insert, OnConflict};
use crate::schema::{Column, TableKind};

/// Rows to add.
#[derive(Debug, Clone)]
pub struct InsertPlan<'v> {
    /// The table.
    pub table: &'v TableView,
    /// The columns that at least one row gives.
    pub columns: Vec<&'v Column>,
    /// The rows, each as long as `columns`.
    pub rows: Vec<Vec<Assign>>,
    /// What to do about existing rows.
    pub arbiter: Option<Arbiter<'v>>,
    /// What its rows must meet in the end for the caller to have been allowed to add them.
    pub check: Predicate<'v>,
    /// Positions of the columns to return.
    pub returning: Vec<usize>,
    /// Related rows to return with each.
    pub includes: Vec<Include<'v>>,
    /// Roll back in the end.
    pub dry_run: bool,
    /// Whether the caller sent a list of rows: a place in it then has an index.
    pub list: bool,
}

/// A key whose existing rows are met instead of violated.
#[derive(Debug, Clone)]
pub struct Arbiter<'v> {
    /// The key's columns; none for any key, whose rows then get nothing.
    pub columns: Vec<&'v Column>,
    /// What an existing row gets; nothing if empty.
    pub set: Vec<(&'v Column, Overwrite)>,
    /// Which existing rows the caller may change.
    pub filter: Predicate<'v>,
    /// What these must meet in the end for the caller to have been allowed the change.
    pub check: Predicate<'v>,
}

/// What an existing row's column gets.
#[derive(Debug, Clone)]
pub enum Overwrite {
    /// The value that the new row would have had.
    Given,
    /// Something else.
    Assign(Assign),
}

impl<'v> InsertPlan<'v> {
    /// The plan of an insert.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub fn new(scope: &Scope<'v>, request: &Insert) -> Result<Self> {
        let table = scope.table(&request.table, Action::Insert)?;
        let (rows, list) = rows(&request.data, "/data", "row")?;
        let most = scope.view.limits.max_insert_rows;
        if rows.len() > most {
            let message = format!("one insert may have {most} rows, not {}", rows.len());
            return Err(Error::exceeded("max_insert_rows", message).at("/data"));
        }

        let at = |index: usize| if list { format!("/data/{index}") } else { "/data".to_owned() };
        let mut columns: Vec<&'v Column> = Vec::new();
        let mut named: HashSet<&str> = HashSet::new();
        for (index, row) in rows.iter().enumerate() {
            for name in row.keys() {
                if named.insert(name) {
                    let place = || format!("{}{}", at(index), step(name));
                    columns.push(
                        scope
                            .writable(table, name, Written::New)
                            .map_err(|error| error.at(place()))?,
                    );
                }
            }
        }
        let presets = scope.presets(table, Action::Insert)?;
        let given = columns.len();
        // Blind indexes of what is given, in the order of their columns.
        let sealed: Vec<&'v Sealed> =
            columns.iter().filter_map(|column| table.sealed(&column.name)).collect();
        columns.extend(sealed.iter().filter_map(|sealed| sealed.index()));
        columns.extend(presets.iter().map(|(column, _)| *column));

        let mut planned = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            let at = at(index);
            require(table, row, &presets, &at)?;
            let mut values = Vec::with_capacity(columns.len());
            let mut indexes = Vec::with_capacity(sealed.len());
            for column in &columns[..given] {
                let at = format!("{at}{}", step(&column.name));
                let (value, sealed) = (row.get(&column.name), table.sealed(&column.name));
                value.map_or(Ok(()), |value| not_shown(table, &column.name, value, &at))?;
                values.push(match (value, sealed) {
                    (Some(value), Some(sealed)) => {
                        let set = scope.assign_sealed(sealed, column, value, &at)?;
                        let mut set = set.into_iter().map(|(_, assign)| assign);
                        let written = set.next().unwrap_or(Assign::Default);
                        indexes.extend(set);
                        written
                    }
                    (Some(value), None) => scope.assign(column, value, Written::New, &at)?,
                    (None, sealed) => {
                        indexes.extend(sealed.and_then(Sealed::index).map(|_| Assign::Default));
                        Assign::Default
                    }
                });
            }
            values.extend(indexes);
            values.extend(presets.iter().map(|(_, operand)| Assign::Value(operand.clone())));
            planned.push(values);
        }

        let arbiter = match &request.on_conflict {
            None => None,
            Some(on_conflict) => {
                let arbiter = arbiter(scope, table, on_conflict, &columns[..given])?;
                arbiter.require_given(&rows, &columns[..given], &at)?;
                Some(arbiter)
            }
        };
        let returning = scope.columns(table, request.returning.as_deref(), "/returning")?;
        Ok(Self {
            table,
            columns,
            rows: planned,
            arbiter,
            check: scope.visible(table, Action::Insert)?,
            includes: scope.written_includes(table, &returning, request.include.as_ref())?,
            returning,
            dry_run: request.dry_run.unwrap_or_default(),
            list,
        })
    }
}

impl InsertPlan<'_> {
    /// Whether there is anything that its rows must meet in the end.
    pub fn is_checked(&self) -> bool {
        let checks = self.arbiter.iter().map(|arbiter| &arbiter.check).chain([&self.check]);
        !checks.into_iter().all(Predicate::is_always)
    }
}

impl Arbiter<'_> {
    /// Refuses a row without a value for what existing rows get: they would get the column's default.
    fn require_given(
        &self,
        rows: &[Given<'_>],
        given: &[&Column],
        at: &dyn Fn(usize) -> String,
    ) -> Result<()> {
        let overwritten = |(column, overwrite): &&(&Column, Overwrite)| {
            matches!(overwrite, Overwrite::Given) && given.iter().any(|one| one.name == column.name)
        };
        for (index, row) in rows.iter().enumerate() {
            let mut missing = self.set.iter().filter(overwritten).map(|(column, _)| &column.name);
            if let Some(name) = missing.find(|name| !row.contains_key(*name)) {
                return Err(Error::new(
                    Code::MissingValue,
                    format!(
                        "other rows give {name}: without it, an existing row would get its default"
                    ),
                )
                .at(format!("{}{}", at(index), step(name)))
                .hint("give it in each row, or name in on_conflict.update what all rows give"));
            }
        }
        Ok(())
    }
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

/// Refuses a row that leaves out a column which nothing would fill.
fn require(
    table: &TableView,
    row: &Map<String, Value>,
    presets: &[(&Column, super::Operand)],
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
    });
    match missing {
        None => Ok(()),
        Some(column) => Err(Error::new(
            Code::MissingValue,
            format!("{} ({}) is required", column.name, column.type_name),
        )
        .at(format!("{at}{}", step(&column.name)))
        .hint("it takes no null and has no default")),
    }
}

fn arbiter<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    request: &OnConflict,
    given: &[&'v Column],
) -> Result<Arbiter<'v>> {
    let keys = || {
        let keys = table.table.primary_key.iter().chain(&table.table.unique_keys);
        keys.filter(|key| key.arbiter)
    };
    let refused = |code: Code, message: &str| {
        let names = keys().map(|key| {
            let names: Vec<&str> =
                key.columns.iter().map(|c| table.table.columns[*c].name.as_str()).collect();
            names.join(", ")
        });
        Error::new(code, message).at("/on_conflict/columns").allowed(names)
    };
    let nothing = |columns: &[&'v Column]| Arbiter {
        columns: columns.to_vec(),
        set: vec![],
        filter: Predicate::All(vec![]),
        check: Predicate::All(vec![]),
    };
    let Some(names) = &request.columns else {
        return match request.action {
            ConflictAction::Nothing => Ok(nothing(&[])),
            ConflictAction::Update => {
                Err(refused(Code::MissingValue, "which key's rows are to be updated is not given"))
            }
        };
    };
    let mut wanted = Vec::with_capacity(names.len());
    for (index, name) in names.iter().enumerate() {
        let at = format!("/on_conflict/columns/{index}");
        wanted.push(table.usable(name).map_err(|error| error.inside(&at))?);
    }
    let key = keys().find(|key| {
        key.columns.len() == wanted.len()
            && key.columns.iter().all(|column| wanted.contains(column))
    });
    let Some(key) = key else {
        let message = "these columns are no primary or unique key of the table";
        let error = refused(Code::InvalidValue, message);
        let partly = table.table.indexes.iter().any(|index| {
            index.unique && wanted.iter().all(|column| index.mentions.contains(column))
        });
        return Err(match partly {
            true => error.hint("an index that is unique on some rows only, or on an expression, or checked later, is none"),
            false => error,
        });
    };
    let columns: Vec<&Column> = key.columns.iter().map(|c| &table.table.columns[*c]).collect();
    if request.action == ConflictAction::Nothing {
        return Ok(nothing(&columns));
    }

    table.require(Action::Update).map_err(|error| error.at("/on_conflict/do"))?;
    let mut set: Vec<(&'v Column, Overwrite)> = Vec::new();
    match &request.update {
        Some(names) if names.is_empty() => {
            return Err(Error::new(Code::MissingValue, "no column is to be updated")
                .at("/on_conflict/update")
                .hint("leave it out for all that the rows give, or do \"nothing\""));
        }
        Some(names) => {
            for (index, name) in names.iter().enumerate() {
                if names[..index].contains(name) {
                    continue;
                }
                let at = format!("/on_conflict/update/{index}");
                let column =
                    scope.writable(table, name, Written::Old).map_err(|error| error.at(&at))?;
                if !given.iter().any(|known| known.name == *name) {
                    return Err(Error::new(Code::MissingValue, format!("no row gives {name:?}"))
                        .at(at)
                        .allowed(given.iter().map(|column| column.name.as_str())));
                }
                set.push((column, Overwrite::Given));
            }
        }
        None => set.extend(
            given
                .iter()
                .filter(|column| column.can_update)
                .filter(|column| !columns.iter().any(|key| key.name == column.name))
                .map(|column| (*column, Overwrite::Given)),
        ),
    }
    if set.is_empty() {
        return Ok(nothing(&columns));
    }
    let indexes = |(column, _): &(&'v Column, Overwrite)| table.sealed(&column.name)?.index();
    let indexes: Vec<&'v Column> = set.iter().filter_map(indexes).collect();
    set.extend(indexes.into_iter().map(|column| (column, Overwrite::Given)));
    for (column, operand) in scope.presets(table, Action::Update)? {
        set.push((column, Overwrite::Assign(Assign::Value(operand))));
    }
    let counted = counted(table, |column| set.iter().any(|(known, _)| known.name == column));
    set.extend(counted.map(|(column, next)| (column, Overwrite::Assign(next))));
    let filter = touchable(scope, table, Action::Update, Archived::Exclude)?;
    let check = scope.visible(table, Action::Update)?;
    Ok(Arbiter { columns, set, filter: Predicate::All(filter.into()), check })
}
