//! Row conditions and presets of grants, with the caller's claims filled in.

use serde_json::{Map, Value, json};

use super::{Assign, Predicate, Scope, Written, filter};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, TableView, claim};
use crate::request::Archived;
use crate::schema::{Column, Operator};

impl<'v> Scope<'v> {
    /// The condition of the grant for `action`, which rows must meet to exist for the caller.
    ///
    /// Without a required claim, no rows exist.
    ///
    /// # Errors
    ///
    /// `forbidden` if a claim does not fit the condition, or the condition does not fit the table.
    pub fn visible(&self, table: &'v TableView, action: Action) -> Result<Predicate<'v>> {
        let Some(rule) = table.row_rule(action) else { return Ok(Predicate::always()) };
        let Some(granted) = self.granted_object(rule) else {
            return Ok(Predicate::never());
        };
        let unfit = || {
            let message = "the row condition of the caller's role does not fit the table";
            Error::new(Code::Forbidden, message)
        };
        let whole = self.view.whole().ok_or_else(unfit)?;
        let table = whole.named(table.name()).ok_or_else(unfit)?;
        // The role's condition does not depend on the request.
        let related = Archived::Exclude;
        let scope = Scope { view: whole, earlier: &[], related, of_grant: true, ..*self };
        filter(&scope, table, &granted, "").map_err(|error| {
            let misfit = match error.code() {
                // Faults in the configuration are found by `check`.
                Code::InvalidValue | Code::UnknownOperator if granted != *rule => {
                    let message = "a claim of the caller does not fit what its role may see";
                    Error::new(Code::Forbidden, message)
                }
                _ => unfit(),
            };
            misfit.caused_by(error.inside("rule:"))
        })
    }

    /// A value of a grant with `"claim:NAME"` replaced by the caller's claim; `None` if the claim is absent or null,
    /// or a list of nulls. A claim is always a value: an object in it is not a condition, and nulls in a list are
    /// removed.
    pub fn granted(&self, value: &Value) -> Option<Value> {
        match value {
            Value::String(text) => match text.strip_prefix("claim:") {
                Some(name) => match &*claim(&self.caller.claims, name)? {
                    Value::Null => None,
                    claim if holds_objects(claim) => Some(json!({ "$literal": claim })),
                    Value::Array(items) => {
                        let known: Vec<&Value> =
                            items.iter().filter(|item| !item.is_null()).collect();
                        let nulls_alone = known.is_empty() && !items.is_empty();
                        (!nulls_alone).then(|| known.into_iter().cloned().collect())
                    }
                    claim => Some(claim.clone()),
                },
                None => Some(value.clone()),
            },
            Value::Array(items) => items.iter().map(|item| self.granted(item)).collect(),
            Value::Object(members) => self.granted_object(members).map(Value::Object),
            other => Some(other.clone()),
        }
    }

    /// [`Scope::granted`] for an object.
    pub(super) fn granted_object(
        &self,
        members: &Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let granted = |(name, member): (&String, &Value)| {
            // An empty operand of these would match every row.
            let sought = Operator::parse(name).is_some_and(Operator::finds_nothing_everywhere);
            (!sought || self.claims_hold(member)).then_some(())?;
            Some((name.clone(), self.granted(member)?))
        };
        members.iter().map(granted).collect()
    }

    /// Whether all claims in a value of a grant are neither empty nor contain null.
    fn claims_hold(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.strip_prefix("claim:").is_none_or(|name| {
                let claim = claim(&self.caller.claims, name);
                claim.is_some_and(|claim| holds_something(&claim))
            }),
            Value::Array(items) => items.iter().all(|item| self.claims_hold(item)),
            Value::Object(members) => members.values().all(|member| self.claims_hold(member)),
            _ => true,
        }
    }

    /// The columns that the server sets in a write, with their values.
    ///
    /// # Errors
    ///
    /// `forbidden` if the caller lacks the claim, or a claim or preset does not fit; `internal` if a preset is of an encrypted column
    /// that cannot be.
    pub fn presets(
        &self,
        table: &'v TableView,
        action: Action,
    ) -> Result<Vec<(&'v Column, Assign<'v>)>> {
        let scope = Scope { of_grant: true, ..*self };
        table
            .presets(action)?
            .iter()
            .map(|(column, value)| {
                let fixed = value;
                let value = self.granted(value).ok_or_else(|| {
                    Error::new(Code::Forbidden, "the caller lacks a claim that this write needs")
                })?;
                let unfit = |error: Error| {
                    let unfit = match value == *fixed {
                        true => Error::new(
                            Code::Forbidden,
                            "a preset of the role does not fit its column",
                        )
                        .hint("the server's maintainer has to fix it: the command check says more"),
                        false => Error::new(
                            Code::Forbidden,
                            "a claim of the caller does not fit what this write sets",
                        ),
                    };
                    unfit.caused_by(error.inside(&format!("preset:{}", column.name)))
                };
                match table.sealed(&column.name) {
                    Some(sealed) => scope.assign_sealed(sealed, column, &value, "").map_err(unfit),
                    None if self.settings.encryption.names(&table.table, column) => {
                        Err(Error::new(Code::Internal, "a preset column cannot be encrypted"))
                    }
                    None => {
                        let set = scope.assign(table, column, &value, Written::New, "");
                        Ok(vec![(column, set.map_err(unfit)?)])
                    }
                }
            })
            .collect::<Result<Vec<Vec<_>>>>()
            .map(|sets| sets.into_iter().flatten().collect())
    }
}

/// Whether the value is or contains an object.
fn holds_objects(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_objects),
        _ => false,
    }
}

/// Whether a claim is neither empty nor contains null. A list of lists must contain no empty one, because PostgreSQL
/// takes a list of empty lists for an empty one.
fn holds_something(claim: &Value) -> bool {
    match claim {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(items) => {
            let item = |item: &Value| item.is_string() || holds_something(item);
            !items.is_empty() && items.iter().all(item)
        }
        Value::Object(members) => !members.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
