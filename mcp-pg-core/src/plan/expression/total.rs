//! Totals of related rows as a value of the row itself: `{"sum": "orders.total", "where": {"status": "paid"}}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::arithmetic::{Arithmetic, Parser};
use super::reached::first_step;
use crate::error::{Code, Error, Result, below};
use crate::plan::grammar::has;
use crate::plan::{Expression, Function, Hop, Predicate, Reached, Scope};
use crate::policy::TableView;
use crate::schema::{DataType, Relation, RelationKind};

/// A function of the rows that a to-many relation leads to.
///
/// Of no rows a count and a sum are 0, and all else is null.
#[derive(Debug, Clone)]
pub struct Total<'v> {
    /// The function: a count, sum, mean, least or greatest value.
    pub function: Function,
    /// The way to the rows.
    pub hop: Hop<'v>,
    /// The condition on them.
    pub filter: Predicate<'v>,
    /// The value of each of them; none if they are only counted.
    pub of: Option<Expression<'v>>,
    /// The columns of that value, as the row itself reaches them.
    pub(in crate::plan) columns: Vec<Reached<'v>>,
    /// The number of parts of the condition.
    pub(in crate::plan) conditions: usize,
    /// How deeply totals are nested: 1 for one without others in it.
    pub(in crate::plan) depth: usize,
    /// Whether it is the bare number of rows, a `bigint`, which no arithmetic uses.
    pub bare: bool,
}

/// The functions, by the names that requests have for them.
const FUNCTIONS: [(&str, Function); 5] = [
    ("count", Function::Count),
    ("sum", Function::Sum),
    ("avg", Function::Avg),
    ("min", Function::Min),
    ("max", Function::Max),
];

/// How one is written.
const FORM: &str =
    "{\"sum\": \"orders.total\", \"where\": {…}}, {\"count\": \"orders\"}; also avg, min, max";

impl<'v> Total<'v> {
    /// The number of rows.
    pub(in crate::plan) fn count(hop: Hop<'v>, filter: Predicate<'v>) -> Self {
        let (function, columns) = (Function::Count, Vec::new());
        Self { function, hop, filter, of: None, columns, conditions: 0, depth: 1, bare: true }
    }

    /// The names of the functions.
    pub(in crate::plan) fn names() -> impl Iterator<Item = &'static str> + Clone {
        FUNCTIONS.into_iter().map(|(name, _)| name)
    }

    /// The function that an object asks for, and its name, if it asks for a total.
    pub(in crate::plan) fn asked(object: &Map<String, Value>) -> Option<(&'static str, Function)> {
        let mut functions = FUNCTIONS.into_iter();
        functions.find(|(name, _)| has(object, name)).filter(|_| !has(object, "column"))
    }

    /// The columns that it is a total of, as the row itself reaches them.
    pub(super) fn columns(&self) -> &[Reached<'v>] {
        &self.columns
    }

    /// Positions of the columns by which the row finds the others.
    pub(super) fn own_columns(&self) -> impl Iterator<Item = usize> {
        self.hop.relation.columns.iter().map(|(ours, _)| *ours)
    }

    /// Whether it may be null: of no rows, what is no count and no sum.
    pub(super) fn may_be_null(&self) -> bool {
        !matches!(self.function, Function::Count | Function::Sum)
    }

    /// How many parts it has.
    pub(in crate::plan) fn parts(&self) -> usize {
        1 + self.conditions + self.of.as_ref().map_or(0, Expression::parts)
    }

    /// The column whose type it has: a point in time or a text is the first or the last of several. All else is a
    /// number.
    pub(super) fn like(&self) -> Option<&Reached<'v>> {
        self.of.as_ref()?.like().filter(|of| of.data_type().has_ends())?;
        self.columns.first()
    }

    pub(crate) fn data_type(&self) -> Arc<DataType> {
        match self.like() {
            Some(of) => of.data_type().shared_base(),
            None if self.bare => Arc::clone(DataType::bigint()),
            None => Arc::clone(DataType::numeric()),
        }
    }
}

impl<'v> Parser<'_, 'v> {
    /// The total that an object asks for by the name of a function.
    pub(super) fn total(
        &mut self,
        object: &Map<String, Value>,
        (name, function): (&'static str, Function),
        outside: &str,
        depth: usize,
    ) -> Result<Expression<'v>> {
        let at = below(outside, name);
        let argument = object.get(name).unwrap_or(&Value::Null);
        let Some(relation) = relation(self.table, function, argument) else {
            return Err(not_related(self.scope, self.table, name, argument).at(at));
        };
        let scope = self.scope;
        let hop = to_many(scope, self.table, (name, argument), relation);
        let hop = hop.map_err(|error| error.at(&at))?;
        let (filter, size) = scope.condition_of(hop.table, object, outside)?;
        for _ in 0..size.parts {
            self.count(outside, depth)?;
        }
        let of = match (function, within(argument, &format!("{relation}."))) {
            (Function::Count, _) => None,
            (_, Some(within)) => {
                Some(self.totalled(function, &within, hop.table, &at, depth + 1)?)
            }
            (_, None) => {
                let message = format!("{name} takes columns of {relation} alone");
                return Err(Error::new(Code::InvalidValue, message).at(at).hint(format!(
                    "{{{name:?}: {{\"multiply\": [\"{relation}.…\", \"{relation}.…\"]}}}}"
                )));
            }
        };
        let inner = of.iter().flat_map(Expression::totals).map(|total| total.depth);
        let nested = 1 + inner.fold(size.totals, usize::max);
        let most = scope.view.limits.max_depth;
        if nested > most {
            let message = format!("totals may be nested at most {most} levels deep");
            return Err(Error::exceeded("max_depth", message).at(outside));
        }
        let along = |of: &Reached<'v>| {
            let hops = std::iter::once(&hop).chain(&of.hops).cloned().collect();
            Reached { hops, ..of.clone() }
        };
        let columns = of.iter().flat_map(Expression::columns).map(along).collect();
        let (conditions, depth) = (size.parts, nested);
        let total = Total { function, hop, filter, of, columns, conditions, depth, bare: false };
        Ok(Expression::Total(Box::new(total)))
    }

    /// The value of each related row, of which there is to be a total.
    fn totalled(
        &mut self,
        function: Function,
        of: &Value,
        table: &'v TableView,
        at: &str,
        depth: usize,
    ) -> Result<Expression<'v>> {
        let outside = std::mem::replace(&mut self.table, table);
        let of = self.operand(of, at, depth);
        let measured = of.and_then(|of| match self.measured(&of, function) {
            Ok(()) => Ok(of),
            Err(error) => Err(error.at(at)),
        });
        self.table = outside;
        measured
    }

    /// Refuses a value that a function does not apply to.
    fn measured(&self, of: &Expression<'v>, function: Function) -> Result<()> {
        let one_of_them = matches!(function, Function::Min | Function::Max);
        match of.data_type().has_ends() && one_of_them {
            true => Ok(()),
            false => self.number(of),
        }
    }
}

/// The name of the relation in the argument of a total.
fn relation<'n>(table: &TableView, function: Function, argument: &'n Value) -> Option<&'n str> {
    let relation = match function {
        Function::Count => argument.as_str(),
        _ => first_step(table, first_name(argument)?).map(|(relation, _)| relation),
    };
    relation.filter(|relation| *relation != "*")
}

/// The way to the rows of a to-many relation.
fn to_many<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    (function, argument): (&str, &Value),
    relation: &str,
) -> Result<Hop<'v>> {
    let found = scope.relation_to_many(table, relation);
    let hop = found.and_then(|found| scope.hop(table, found))?;
    if !hop.is_to_one() {
        return Ok(hop);
    }
    let rest = first_name(argument).and_then(|name| name.strip_prefix(relation)?.strip_prefix('.'));
    let rest = rest.unwrap_or_default();
    let next = first_step(hop.table, rest).map_or(rest, |(next, _)| next);
    if hop.table.column(rest).is_none() && scope.relation_to_many(hop.table, next).is_ok() {
        let message = format!(
            "a total begins with a to-many relation of {}, and {relation:?} is a to-one relation",
            table.name()
        );
        return Err(Error::new(Code::InvalidValue, message).hint(format!(
            "a select from {} has {{{function:?}: {rest:?}}} for each of its rows",
            hop.table.name()
        )));
    }
    let message = format!("{relation:?} is a to-one relation, whose columns need no {function}");
    let error = Error::new(Code::InvalidValue, message);
    Err(error.hint(format!("the column itself: \"{relation}.…\"")))
}

/// The first column's name in what is computed.
fn first_name(of: &Value) -> Option<&str> {
    match of {
        Value::String(name) => Some(name),
        Value::Array(items) => items.iter().find_map(first_name),
        Value::Object(members) => {
            members.iter().filter(|(name, _)| holds_names(name)).find_map(|(_, of)| first_name(of))
        }
        _ => None,
    }
}

/// The same computation with the names that columns have in the related rows; `None` if one is of other rows.
fn within(of: &Value, relation: &str) -> Option<Value> {
    match of {
        Value::String(name) => name.strip_prefix(relation).map(Value::from),
        Value::Array(items) => items.iter().map(|item| within(item, relation)).collect(),
        Value::Object(members) => {
            let member = |(name, of): (&String, &Value)| {
                let of = if holds_names(name) { within(of, relation)? } else { of.clone() };
                Some((name.clone(), of))
            };
            members.iter().map(member).collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        other => Some(other.clone()),
    }
}

/// Whether names of columns stand in the member of this name.
fn holds_names(member: &str) -> bool {
    member == "column" || Arithmetic::names().chain(Total::names()).any(|name| name == member)
}

/// The error of a total of what is not related, with a relation of the table as an example: one that has the column.
fn not_related<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    function: &str,
    argument: &Value,
) -> Error {
    let counts = function == "count";
    let what = if counts { "the name" } else { "a column" };
    let message = format!("{function} takes {what} of a to-many relation here");
    let error = Error::new(Code::InvalidValue, message);
    let many = table.relations.iter().filter(|relation| relation.kind != RelationKind::ToOne);
    let column = first_name(argument).filter(|_| !counts).unwrap_or_default();
    let has = |relation: &&Relation| {
        scope.hop(table, relation).is_ok_and(|hop| hop.table.usable(column).is_ok())
    };
    let column = match (many.clone().find(has), many.clone().next()) {
        (Some(relation), _) => format!("{}.{column}", table.relation_name(relation)),
        (None, Some(relation)) if counts => table.relation_name(relation).to_owned(),
        (None, Some(relation)) => format!("{}.…", table.relation_name(relation)),
        (None, None) => return error.hint(FORM),
    };
    error.hint(format!(
        "{{{function:?}: {column:?}}} is a total of related rows for each row; aggregate has totals of the rows themselves"
    ))
}
