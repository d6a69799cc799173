//! The plans of update, archive, restore and delete.

use serde_json::{Map, Value};

use super::assign::{Assign, Written, next_version, not_shown};
use super::computation::OF_OLD;
use super::count::require_known;
use crate::error::{Code, Error, Result, below};
use crate::plan::read::select;
use crate::plan::{
    Dotted, Each, Expression, Include, Operand, Predicate, Returned, RowFilter, Scope, filter,
};
use crate::policy::{Action, TableView};
use crate::request::{Archived, Change, Delete, Update};
use crate::schema::Column;

/// Rows to change or delete.
#[derive(Debug, Clone)]
pub struct ChangePlan<'v> {
    /// The table.
    pub table: &'v TableView,
    /// The action, for the audit log and for messages.
    pub action: Action,
    /// The condition that rows to change must meet.
    pub filter: RowFilter<'v>,
    /// The change.
    pub effect: Effect<'v>,
    /// The condition that changed rows must still meet for the caller to be allowed the change.
    pub check: Predicate<'v>,
    /// The maximum number of rows it may affect.
    pub max_rows: u64,
    /// The number of rows that it must meet.
    pub min_rows: u64,
    /// The version that the rows must still have.
    pub if_version: Option<String>,
    /// The columns to return of each row.
    pub returning: Vec<Returned>,
    /// Columns of related rows to return, whose relations are among `includes`.
    pub dotted: Vec<Dotted>,
    /// Related rows to return with each.
    pub includes: Vec<Include<'v>>,
    /// Whether to roll back in the end.
    pub dry_run: bool,
}

/// PostgreSQL must still be able to read one row more.
const MAX_ROWS_MOST: u64 = i64::MAX as u64 - 1;

/// The change to the rows of a [`ChangePlan`].
#[derive(Debug, Clone)]
pub enum Effect<'v> {
    /// Columns are set to the same values in every row.
    Set(Vec<(&'v Column, Assign<'v>)>),
    /// Columns are set to different values in each row.
    SetEach(Each<'v>),
    /// The rows are deleted.
    Remove,
}

impl<'v> Effect<'v> {
    /// The rows that the request identifies one by one.
    pub fn each(&self) -> Option<&Each<'v>> {
        match self {
            Effect::SetEach(each) => Some(each),
            Effect::Set(_) | Effect::Remove => None,
        }
    }

    /// The assignments: the same for all rows (`None`), or those of each listed row, with its index in the list.
    pub fn sets(&self) -> impl Iterator<Item = (Option<usize>, &[(&'v Column, Assign<'v>)])> {
        let same = match self {
            Effect::Set(set) => Some((None, set.as_slice())),
            Effect::SetEach(_) | Effect::Remove => None,
        };
        let rows = self.each().into_iter().flat_map(Each::rows);
        same.into_iter().chain(rows.map(|row| (Some(row.index), row.set.as_slice())))
    }
}

/// The arguments that all these requests have.
struct Common<'r> {
    action: Action,
    table: &'r str,
    filter: &'r Map<String, Value>,
    archived: Archived,
    max_rows: Option<u64>,
    min_rows: Option<u64>,
    if_version: Option<&'r Value>,
    returning: Option<&'r [Value]>,
    include: Option<&'r Map<String, Value>>,
    dry_run: Option<bool>,
    /// The number of rows that the request lists, which then needs no condition.
    named: Option<usize>,
}

impl<'v> ChangePlan<'v> {
    /// Whether any row must have the version that the caller read.
    pub fn versioned(&self) -> bool {
        self.if_version.is_some() || self.effect.each().is_some_and(Each::versioned)
    }

    /// The columns that are set to computed values, each with its expression.
    pub fn computed(&self) -> Vec<(&'v Column, &Expression<'v>)> {
        let sets = self.effect.sets().flat_map(|(_, set)| set);
        sets.filter_map(|(column, assign)| Some((*column, assign.computed()?))).collect()
    }

    /// Positions of the columns that are set to values computed from related rows, and so depend on them.
    pub(crate) fn reaching(&self) -> Vec<usize> {
        let reaches = |expression: &Expression<'_>| {
            !expression.moves() && expression.columns().iter().any(|of| !of.hops.is_empty())
        };
        let computed = self.computed().into_iter().filter(|(_, computed)| reaches(computed));
        computed.filter_map(|(column, _)| Some(self.table.table.column(&column.name)?.0)).collect()
    }

    /// Whether its rows cannot be read before the write. A locking SELECT shows the rows that the policies for UPDATE
    /// allow, which says nothing about a delete.
    pub(crate) fn is_unseen(&self) -> bool {
        matches!(self.effect, Effect::Remove) && self.table.table.row_security.applies()
    }

    /// The plan of an update.
    ///
    /// # Errors
    ///
    /// Errors in the request, with their place.
    pub fn update(scope: &Scope<'v>, request: &Update) -> Result<Self> {
        let scope = &scope.among(request.archived);
        let (rows, list) = super::insert::rows(&request.updates, "/updates", "update")?;
        let mut plan = Self::common(
            scope,
            &Common {
                action: Action::Update,
                table: &request.table,
                filter: &request.filter,
                archived: request.archived.unwrap_or_default(),
                max_rows: request.max_rows,
                min_rows: request.min_rows,
                if_version: request.if_version.as_ref(),
                returning: request.returning.as_deref(),
                include: request.include.as_ref(),
                dry_run: request.dry_run,
                named: list.then_some(rows.len()),
            },
        )?;
        plan.effect = match rows.as_slice() {
            [row] if !list => {
                let set = assignments(scope, plan.table, row.iter(), "/updates")?;
                let presets = scope.presets(plan.table, Action::Update)?;
                Effect::Set(completed(plan.table, set, &presets))
            }
            rows if plan.if_version.is_none() => {
                Effect::SetEach(Each::new(scope, plan.table, rows)?)
            }
            _ => {
                return Err(Error::new(Code::InvalidValue, "each row has a version of its own")
                    .at("/if_version")
                    .hint("give _version in each of the updates"));
            }
        };
        plan.check = scope.visible(plan.table, Action::Update)?;
        plan.few_joins(scope)
    }

    /// The plan of an archive or restore.
    ///
    /// # Errors
    ///
    /// Errors in the request, with their place.
    pub fn archive(scope: &Scope<'v>, request: &Change, action: Action) -> Result<Self> {
        let restore = action == Action::Restore;
        let mut plan = Self::common(
            scope,
            &Common {
                action,
                table: &request.table,
                filter: &request.filter,
                archived: if restore { Archived::Only } else { Archived::Exclude },
                max_rows: request.max_rows,
                min_rows: request.min_rows,
                if_version: request.if_version.as_ref(),
                returning: request.returning.as_deref(),
                include: request.include.as_ref(),
                dry_run: request.dry_run,
                named: None,
            },
        )?;
        let Some(column) = &plan.table.archive else {
            return Err(Error::new(Code::Internal, "an archivable table without its column"));
        };
        let value = if restore { Assign::Value(Operand::own(None)) } else { Assign::Now };
        let presets = scope.presets(plan.table, action)?;
        plan.effect = Effect::Set(completed(plan.table, vec![(column, value)], &presets));
        plan.few_joins(scope)
    }

    /// The plan of a delete.
    ///
    /// # Errors
    ///
    /// Errors in the request, with their place.
    pub fn delete(scope: &Scope<'v>, request: &Delete) -> Result<Self> {
        let plan = Self::common(
            &scope.among(request.archived),
            &Common {
                action: Action::Delete,
                table: &request.table,
                filter: &request.filter,
                archived: request.archived.unwrap_or_default(),
                max_rows: request.max_rows,
                min_rows: request.min_rows,
                if_version: request.if_version.as_ref(),
                returning: request.returning.as_deref(),
                include: None,
                dry_run: request.dry_run,
                named: None,
            },
        )?;
        plan.few_joins(scope)
    }

    fn common(scope: &Scope<'v>, request: &Common<'_>) -> Result<Self> {
        let action = request.action;
        let table = scope.table(request.table, action)?;
        let caller = filter(scope, table, request.filter, "/where")?;
        if !caller.restricts() && request.named.is_none() {
            return Err(Error::new(Code::WhereRequired, format!("{action} needs a condition"))
                .at("/where")
                .hint("name the rows, for example {\"id\": 1}; max_rows allows more than one"));
        }
        let if_version = request.if_version.filter(|version| !version.is_null());
        let if_version = if_version.map(|version| read_version(table, version, "/if_version"));
        // By default, all listed rows may be changed.
        let default_rows = match request.named {
            Some(named) => named as u64,
            None => scope.view.limits.max_write_rows,
        };
        let max_rows = request.max_rows.unwrap_or(default_rows).min(MAX_ROWS_MOST);
        let min_rows = request.min_rows.unwrap_or_default();
        if min_rows > max_rows {
            let message = format!("min_rows is {min_rows}, and max_rows is {max_rows}");
            let error = Error::new(Code::InvalidValue, message).at("/min_rows");
            return Err(error.hint(match request.named.map(|named| named as u64) {
                Some(named) if named < min_rows => {
                    format!("a list of {named} changes {named} rows at most")
                }
                _ => format!("give \"max_rows\": {min_rows}, or more"),
            }));
        }
        let (returning, mut dotted) = scope.returned(table, request.returning)?;
        if action == Action::Delete && !dotted.is_empty() {
            let message = "nothing is read of rows that are related to deleted ones";
            return Err(Error::new(Code::InvalidValue, message)
                .at("/returning")
                .hint("a select before it, in one transaction"));
        }
        let [archive, readable, writable] = touchable(scope, table, action, request.archived)?;
        Ok(Self {
            table,
            action,
            filter: RowFilter { caller, archive, role: vec![readable, writable] },
            effect: Effect::Remove,
            check: Predicate::always(),
            max_rows,
            min_rows,
            if_version: if_version.transpose()?,
            includes: scope.returned_related(table, &returning, &mut dotted, request.include)?,
            returning,
            dotted,
            dry_run: request.dry_run.unwrap_or_default(),
        })
    }
}

/// The version that the caller read, which the row must still have.
pub(super) fn read_version(table: &TableView, version: &Value, at: &str) -> Result<String> {
    let wrong = |message: String| Err(Error::new(Code::InvalidValue, message).at(at));
    match version {
        _ if !select::has_version(table) => {
            wrong(format!("rows of {} have no version", table.name()))
        }
        Value::String(version) => Ok(version.clone()),
        Value::Number(version) => Ok(version.to_string()),
        _ => wrong("a version is the _version that select gave".to_owned()),
    }
}

/// An assignment to a column.
pub(super) type Assignment<'v> = (&'v Column, Assign<'v>);

/// The caller's assignments to an existing row.
pub(super) fn assignments<'v, 'r>(
    scope: &Scope<'v>,
    table: &'v TableView,
    updates: impl IntoIterator<Item = (&'r String, &'r Value)>,
    at: &str,
) -> Result<Vec<Assignment<'v>>> {
    let mut set = Vec::new();
    for (name, value) in updates {
        let at = below(at, name);
        let column = scope.writable(table, name, Written::Old).map_err(|error| error.at(&at))?;
        not_shown(table, name, value, Written::Old, &at)?;
        if is_computed(value) {
            require_known(table, column, &at)?;
        }
        match table.sealed(&column.name) {
            Some(sealed) => set.extend(scope.assign_sealed(sealed, column, value, &at)?),
            None => set.push((column, scope.assign(table, column, value, Written::Old, &at)?)),
        }
    }
    match set.is_empty() {
        true => Err(Error::new(Code::MissingValue, "nothing to update").at(at)),
        false => Ok(set),
    }
}

/// The assignments to an existing row with those of the server: the role's presets, and the version.
pub(super) fn completed<'v>(
    table: &'v TableView,
    mut set: Vec<Assignment<'v>>,
    presets: &[Assignment<'v>],
) -> Vec<Assignment<'v>> {
    set.extend_from_slice(presets);
    set.extend(counted(table, |column| set.iter().any(|(known, _)| known.name == column)));
    set
}

/// Whether a value is computed from the existing row.
fn is_computed(value: &Value) -> bool {
    let mut members = value.as_object().into_iter().flatten();
    members.any(|(key, _)| OF_OLD.contains(&key.as_str()))
}

/// Increments the version column, unless it `is_set` by a preset.
pub(super) fn counted(
    table: &TableView,
    is_set: impl FnOnce(&str) -> bool,
) -> Option<(&Column, Assign<'static>)> {
    let column = table.version.as_ref()?;
    (column.can_update && !is_set(&column.name)).then(|| (column, next_version(column)))
}

/// The condition on existing rows that a write may change: those that the caller may read and write, according to the
/// archive rule.
pub(super) fn touchable<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    action: Action,
    archived: Archived,
) -> Result<[Predicate<'v>; 3]> {
    Ok([
        scope.archived(table, archived)?,
        scope.visible(table, Action::Select)?,
        scope.visible(table, action)?,
    ])
}
