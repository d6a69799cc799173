//! Operands of sort keys, groups and measures: a column of the row or of a related one, or a member of its JSON.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::plan::hop::ambiguous;
use crate::plan::{Hop, Operand, Scope, Slot, advice};
use crate::policy::TableView;
use crate::schema::{DataType, Found, Relation};

/// A column of a table or of a to-one related row, or a value at a path in its JSON.
#[derive(Debug, Clone)]
pub struct Reached<'v> {
    /// The hops to the related row; empty for the row itself.
    pub hops: Vec<Hop<'v>>,
    /// The column, or a part of it.
    pub column: Slot<'v>,
    /// The column's position in its table.
    pub position: usize,
    /// The path in the column's JSON, as a `text[]`. JSON null there is SQL NULL.
    pub member: Option<Operand>,
}

impl<'v> Reached<'v> {
    /// The type of the value.
    pub fn data_type(&self) -> Arc<DataType> {
        match self.member {
            Some(_) => Arc::clone(DataType::jsonb()),
            None => Arc::clone(&self.column.data_type),
        }
    }

    /// The table of the column, for rows of `table`.
    pub fn owner<'t>(&self, table: &'t TableView) -> &'t TableView
    where
        'v: 't,
    {
        self.hops.last().map_or(table, |hop| hop.table)
    }

    /// Positions of the row's own columns that it uses, including those by which the related row is found.
    pub(crate) fn own_columns(&self) -> impl Iterator<Item = usize> {
        let first = self.hops.first();
        let by = first.into_iter().flat_map(|hop| &hop.relation.columns).map(|(ours, _)| *ours);
        first.is_none().then_some(self.position).into_iter().chain(by)
    }

    /// `column` or `relation.column`, for rows of the table. A part has its path appended.
    pub fn path(&self, table: &TableView) -> String {
        let hops = self.hops.iter().map(|hop| hop.subject.relation_name(hop.relation));
        let column = &self.owner(table).table.columns[self.position];
        let path: Vec<&str> = hops.chain([column.name.as_str()]).collect();
        path.join(".")
    }

    /// Whether the values contain a date.
    pub(super) fn is_day(&self) -> bool {
        self.member.is_none() && self.column.data_type.has_day()
    }

    /// The value at a path in the same column.
    ///
    /// # Errors
    ///
    /// As [`Scope::path`].
    pub(in crate::plan) fn at_path(
        self,
        scope: &Scope<'v>,
        path: &Value,
        at: &str,
    ) -> Result<Self> {
        let (column, rest) = scope.part(&self.column, path, at)?;
        let member = rest.map(|rest| scope.path(&rest, at)).transpose()?;
        Ok(Self { column, member, ..self })
    }
}

impl<'v> Scope<'v> {
    /// The column with this name, or `relation.column`, `relation.relation.column` and so on.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `unknown_relation`, `ambiguous_relation`, `limit_exceeded`, or `invalid_value` for a to-many
    /// relation.
    pub fn reach(&self, table: &'v TableView, name: &str) -> Result<Reached<'v>> {
        self.reach_by(table, name, TableView::usable, 0)
    }

    /// [`Scope::reach`], where one of the relations may be to-many.
    pub(in crate::plan) fn reach_each(
        &self,
        table: &'v TableView,
        name: &str,
    ) -> Result<Reached<'v>> {
        self.reach_by(table, name, TableView::usable, 1)
    }

    /// [`Scope::reach`] for a returned value, which may be masked or encrypted.
    pub(in crate::plan) fn reach_shown(
        &self,
        table: &'v TableView,
        name: &str,
    ) -> Result<Reached<'v>> {
        self.reach_by(table, name, TableView::readable, 0)
    }

    fn reach_by(
        &self,
        table: &'v TableView,
        name: &str,
        find: fn(&TableView, &str) -> Result<usize>,
        mut to_many: usize,
    ) -> Result<Reached<'v>> {
        let (begin, mut table, mut name) = (table, table, name);
        let mut hops: Vec<Hop<'v>> = Vec::new();
        loop {
            let own = table.column(name).is_some();
            let (relation, rest) = match first_step(table, name) {
                // Groups and distinct rows have no relations.
                Some(step) if !own && !table.is_derived() => step,
                _ => {
                    let position = find(table, name)?;
                    let column = Slot::Whole(&table.table.columns[position]);
                    return Ok(Reached { hops, column, position, member: None });
                }
            };
            let most = self.view.limits.max_depth;
            if hops.len() == most {
                let message = format!("a column may be at most {most} relations away");
                return Err(Error::exceeded("max_depth", message));
            }
            let found =
                self.relation_to_one(table, relation).map_err(|error| {
                    match advice::own(table, name) {
                        Some(column) if hops.is_empty() => error.did_you_mean(column),
                        _ => error,
                    }
                })?;
            let mut hop = self.hop(table, found)?;
            if to_many > 0 && is_itself(&hop, relation) {
                // The rows that refer to this one have that name, too.
                hop = self.hop(table, self.relation_to_many(table, relation)?)?;
            } else if is_itself(&hop, relation) {
                return Err(ambiguous(relation, &[&found.unambiguous]).hint(format!(
                    "{rest:?} is a column of the row itself, \"{}.{rest}\" of the row that it refers to",
                    table.relation_name(found)
                )));
            }
            let many = !hop.is_to_one();
            if many && to_many == 0 {
                return Err(no_single_value(
                    relation,
                    rest,
                    Some(hop.table).filter(|end| end.name() != begin.name()),
                ));
            }
            to_many -= usize::from(many);
            table = hop.table;
            name = rest;
            hops.push(hop);
        }
    }

    /// A path into JSON, as a `text[]`.
    ///
    /// # Errors
    ///
    /// `invalid_value` if it is not a path; `limit_exceeded`.
    pub(in crate::plan) fn path(&self, path: &Value, at: &str) -> Result<Operand> {
        let wrong = |message: String| Error::new(Code::InvalidValue, message).at(at);
        self.short(path, at)?;
        let steps: Option<Vec<Value>> = path.as_array().map(Vec::as_slice).and_then(|steps| {
            let text = |step: &Value| match step {
                Value::String(_) => Some(step.clone()),
                Value::Number(index) => Some(Value::String(index.to_string())),
                _ => None,
            };
            steps.iter().map(text).collect()
        });
        let Some(steps) = steps.filter(|steps| !steps.is_empty()) else {
            let error = wrong("a path is a list of keys and indexes".to_owned());
            let keys = path.as_str().map(|path| path.split('.').collect::<Vec<_>>());
            return Err(error.hint(format!("{:?}", keys.unwrap_or(vec!["address", "zip"]))));
        };
        self.encoded(DataType::texts(), "text[]", &Value::Array(steps), at)
    }
}

/// The error for a column of many related rows. `instead` is the table where a request may begin, in which it is a column.
fn no_single_value(relation: &str, rest: &str, instead: Option<&TableView>) -> Error {
    let message = format!("{relation:?} is a to-many relation, which has no single value");
    let total = format!(
        "a total of its rows is one value: {{\"sum\": \"{relation}.{rest}\"}}, also avg, min, max, {{\"count\": {relation:?}}}"
    );
    let begin = instead.map(|table| format!("; or begin at {}", table.name())).unwrap_or_default();
    Error::new(Code::InvalidValue, message).hint(total + &begin)
}

/// The keys and indexes of a path as texts.
pub(in crate::plan) fn steps(path: &Value) -> impl Iterator<Item = String> {
    let steps = path.as_array().into_iter().flatten();
    steps.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
}

/// Whether a name is that of the table itself, and a relation has it only as the name of its table. Before a column,
/// SQL takes such a name for the table itself.
fn is_itself(hop: &Hop<'_>, name: &str) -> bool {
    let relation = hop.relation;
    hop.subject.name() == hop.table.name()
        && relation.alias.as_deref() == Some(name)
        && relation.name != name
        && relation.unambiguous != name
}

/// The relation and the rest of `relation.column`: split at the first dot, unless a relation's name contains dots.
pub(super) fn first_step<'n>(table: &TableView, name: &'n str) -> Option<(&'n str, &'n str)> {
    let first = name.split_once('.')?;
    // Searches the name for each relation, not the relations for each part of the name, which may be long.
    let parted = table.relations.iter().flat_map(Relation::names).filter_map(|known| {
        let rest = name.strip_prefix(known)?.strip_prefix('.')?;
        Some((&name[..known.len()], rest))
    });
    let one = |relation| matches!(Relation::find(&table.relations, relation), Found::One(_));
    let known = parted.filter(|(relation, _)| one(relation)).min_by_key(|(one, _)| one.len());
    Some(known.unwrap_or(first))
}
