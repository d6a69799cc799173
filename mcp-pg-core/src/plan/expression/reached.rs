//! What a sort key, a group or a measure is of: a column of the row or of one that it leads to, or a member of the
//! JSON in it.

use std::sync::Arc;

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::plan::hop::ambiguous;
use crate::plan::{Hop, Operand, Scope, Slot, advice};
use crate::policy::TableView;
use crate::schema::{DataType, Found, Relation};

/// A column of a table, or of the one row that is related to it; or what its JSON has at a path.
#[derive(Debug, Clone)]
pub struct Reached<'v> {
    /// The way to the related row; empty for the row itself.
    pub hops: Vec<Hop<'v>>,
    /// The column, or a part of what it holds.
    pub column: Slot<'v>,
    /// Its position in its table.
    pub position: usize,
    /// The path to a member of its JSON, as a `text[]`; JSON's null there is no value.
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

    /// The table that has the column, for rows of another.
    pub fn owner<'t>(&self, table: &'t TableView) -> &'t TableView
    where
        'v: 't,
    {
        self.hops.last().map_or(table, |hop| hop.table)
    }

    /// Positions of the columns of the row itself that it takes, or by which it finds the related row.
    pub(crate) fn own_columns(&self) -> impl Iterator<Item = usize> {
        let first = self.hops.first();
        let by = first.into_iter().flat_map(|hop| &hop.relation.columns).map(|(ours, _)| *ours);
        first.is_none().then_some(self.position).into_iter().chain(by)
    }

    /// `column`, or `relation.column`, for rows of the table: also of a part of its values.
    pub fn path(&self, table: &TableView) -> String {
        let hops = self.hops.iter().map(|hop| hop.subject.relation_name(hop.relation));
        let column = &self.owner(table).table.columns[self.position];
        let path: Vec<&str> = hops.chain([column.name.as_str()]).collect();
        path.join(".")
    }

    /// Whether the values have a day: points in time.
    pub(super) fn is_day(&self) -> bool {
        self.member.is_none() && self.column.data_type.has_day()
    }

    /// What the same column has at a path.
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
    /// The column that a name means, or `relation.column`, `relation.relation.column` and so on.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `unknown_relation`, `ambiguous_relation`, `limit_exceeded`, or `invalid_value` for a
    /// relation to many rows.
    pub fn reach(&self, table: &'v TableView, name: &str) -> Result<Reached<'v>> {
        self.reach_by(table, name, TableView::usable, 0)
    }

    /// [`Scope::reach`] where one of the relations may lead to many rows.
    pub(in crate::plan) fn reach_each(
        &self,
        table: &'v TableView,
        name: &str,
    ) -> Result<Reached<'v>> {
        self.reach_by(table, name, TableView::usable, 1)
    }

    /// [`Scope::reach`] for a value that is only shown: it may be masked or encrypted.
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
        let (mut table, mut name) = (table, name);
        let mut hops: Vec<Hop<'v>> = Vec::new();
        loop {
            let own = table.column(name).is_some();
            let (relation, rest) = match first_step(table, name) {
                // Groups and distinct rows are related to none.
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
            let hop = self.hop(table, found)?;
            if is_itself(&hop, relation) {
                return Err(ambiguous(relation, &[&found.unambiguous]).hint(format!(
                    "{rest:?} is a column of the row itself, \"{}.{rest}\" of the row that it refers to",
                    table.relation_name(found)
                )));
            }
            let many = !hop.is_to_one();
            if many && to_many == 0 {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("{relation:?} is a to-many relation, which has no single value"),
                )
                .hint(format!("begin at {} instead", hop.table.name())));
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
    /// `invalid_value` if the path is none; `limit_exceeded`.
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
        self.operand_of(DataType::texts(), "text[]", &Value::Array(steps), at)
    }
}

/// The keys and indexes of a path as text.
pub(in crate::plan) fn steps(path: &Value) -> impl Iterator<Item = String> {
    let steps = path.as_array().into_iter().flatten();
    steps.map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
}

/// Whether a name is that of the table itself, and of a relation only as the table that it leads to: before a column, SQL
/// means the row's own by it.
fn is_itself(hop: &Hop<'_>, name: &str) -> bool {
    let relation = hop.relation;
    hop.subject.name() == hop.table.name()
        && relation.alias.as_deref() == Some(name)
        && relation.name != name
        && relation.unambiguous != name
}

/// The relation that `relation.column` begins with, and the rest: up to the first dot, unless a relation is known
/// whose name has dots of its own.
fn first_step<'n>(table: &TableView, name: &'n str) -> Option<(&'n str, &'n str)> {
    let first = name.split_once('.')?;
    // The relations are looked for in the name, not each part of the name among the relations: it may be any length.
    let parted = table.relations.iter().flat_map(Relation::names).filter_map(|known| {
        let rest = name.strip_prefix(known)?.strip_prefix('.')?;
        Some((&name[..known.len()], rest))
    });
    let one = |relation| matches!(Relation::find(&table.relations, relation), Found::One(_));
    let known = parted.filter(|(relation, _)| one(relation)).min_by_key(|(one, _)| one.len());
    Some(known.unwrap_or(first))
}
