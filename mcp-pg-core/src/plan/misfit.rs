//! Row conditions and presets of grants that do not fit their tables.

use std::fmt;

use serde_json::{Map, Value, json};

use super::expression::operation;
use super::grammar::BESIDE;
use super::{Arithmetic, Scope, Written, filter};
use crate::error::{Code, Error, step};
use crate::policy::{Action, Actions, Grant, Principal, Role, Settings, TableView, Unfit, View};
use crate::schema::Operator;

/// A row condition or preset of a grant that does not fit a table.
///
/// Its [`Display`](fmt::Display) names the key in the configuration, the table and the fault.
#[derive(Debug)]
pub struct Misfit<'v> {
    role: String,
    grant: usize,
    key: &'static str,
    table: &'v TableView,
    error: Error,
    /// The actions that it makes impossible for every caller.
    barred: Actions,
}

impl<'v> Misfit<'v> {
    /// The misfits of a role's grants. `whole` is [`View::everything`].
    pub fn of_role(role: &Role, whole: &'v View, settings: &Settings) -> Vec<Self> {
        let caller = Principal::new("", "");
        let scope = Scope::new(whole, settings, &caller);
        let mut all = Vec::new();
        for (position, grant) in role.grants.iter().enumerate() {
            if grant.rows.is_none() && grant.preset.is_empty() {
                continue;
            }
            for table in whole.tables().iter().filter(|table| role.decides(position, table.name()))
            {
                let condition = of_condition(&scope, table, grant).into_iter();
                let found = condition.chain(of_presets(&scope, table, grant));
                all.extend(found.map(|(key, error, barred)| Self {
                    role: role.name.clone(),
                    grant: position,
                    key,
                    table,
                    error,
                    barred,
                }));
            }
        }
        all
    }

    /// Adds its consequences for the grant.
    pub(crate) fn bar(&self, unfit: &mut Unfit) {
        unfit.bar(self.grant, self.table.name(), self.barred);
    }
}

impl fmt::Display for Misfit<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { role, grant, key, table, error, .. } = self;
        write!(f, "roles.{role}.grants[{grant}].{key}: {}: {error}", table.name())
    }
}

type Found = (&'static str, Error, Actions);

fn of_condition(scope: &Scope<'_>, table: &TableView, grant: &Grant) -> Option<Found> {
    let rows = grant.rows.as_ref()?;
    let known = without_claims(rows);
    let error = filter(scope, table, &known, "").err()?;
    let error = no_value(&error).filter(|_| known != *rows).unwrap_or(error);
    // A claim may change a condition's values, but not its names.
    let names = [Code::UnknownColumn, Code::UnknownRelation, Code::AmbiguousRelation];
    let barred = match known == *rows || names.contains(&error.code()) {
        true => Action::ALL.into_iter().collect(),
        false => Actions::NONE,
    };
    Some(("rows", error, barred))
}

/// The error if a claim is compared with a relation: a test for null stands in its place.
fn no_value(error: &Error) -> Option<Error> {
    let place = error.get_at().and_then(|at| at.strip_suffix(&step(Operator::IsNull.as_str())));
    let (_, name) = place.filter(|_| error.code() == Code::UnknownOperator)?.rsplit_once('/')?;
    let message = format!("{name} is a relation: a claim is compared with a column");
    Some(Error::new(Code::UnknownColumn, message))
}

fn of_presets<'v>(scope: &Scope<'v>, table: &'v TableView, grant: &Grant) -> Vec<Found> {
    let all: Actions = Action::ALL.into_iter().collect();
    let writes = all.without(Action::Select).without(Action::Delete);
    let fault = |(name, value): (&String, &Value)| {
        let (_, column) = table.table.column(name)?;
        // An encrypted column is written as another type.
        let encrypted = scope.settings.encryption.names(&table.table, column);
        let fixed = !is_claim(value) && !encrypted;
        if column.read_only() {
            let error = Error::new(Code::ReadOnlyColumn, format!("PostgreSQL fills {name}"));
            return Some(("preset", error, writes));
        }
        let set = || scope.assign(table, column, value, Written::New, &format!("/{name}"));
        let error = fixed.then(set)?.err()?;
        Some(("preset", error, writes))
    };
    grant.preset.iter().filter_map(fault).collect()
}

/// The condition without the parts that depend on claims.
fn without_claims(rows: &Map<String, Value>) -> Map<String, Value> {
    let mut left: Map<String, Value> =
        rows.iter().filter_map(|(name, value)| known(name, value)).collect();
    let tests = |members: &Map<String, Value>| members.keys().any(|name| is_operator(name));
    let beside = |name: &String| {
        BESIDE.contains(&name.as_str()) || operation::names().any(|known| known == name)
    };
    // Without its operator, a test is replaced by a test for null, which every column has.
    if tests(rows) && !left.is_empty() && left.keys().all(beside) {
        left.insert(Operator::IsNull.as_str().to_owned(), Value::Bool(true));
    }
    left
}

/// A member without its claims; `None` if nothing remains.
fn known(name: &str, value: &Value) -> Option<(String, Value)> {
    let value = match value {
        // A claim in arithmetic is a number.
        Value::Array(items) if Arithmetic::names().any(|known| known == name) => {
            let number = |item: &Value| if is_claim(item) { json!(1) } else { item.clone() };
            Some(items.iter().map(number).collect())
        }
        // The list is a claim, or contains one.
        Value::Array(items) if items.iter().any(is_claim) => None,
        Value::Array(items) => Some(
            items
                .iter()
                .map(|item| match item {
                    Value::Object(inner) => Value::Object(without_claims(inner)),
                    item => item.clone(),
                })
                .collect(),
        ),
        Value::Object(inner) => {
            let left = without_claims(inner);
            (!left.is_empty() || inner.is_empty()).then_some(Value::Object(left))
        }
        value => (!is_claim(value)).then(|| value.clone()),
    };
    match value {
        Some(value) => Some((name.to_owned(), value)),
        None if name == "path" || name.starts_with('$') || is_operator(name) => None,
        None if BESIDE.contains(&name) => Some((name.to_owned(), Value::Null)),
        // Every column can be tested for null, and no relation.
        None => Some((name.to_owned(), json!({Operator::IsNull.as_str(): true}))),
    }
}

fn is_operator(name: &str) -> bool {
    Operator::parse(name).is_some()
}

fn is_claim(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("claim:"))
}
