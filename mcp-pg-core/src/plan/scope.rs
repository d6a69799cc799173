//! Where a request is planned: for whom, under which rules, after which operations.

use serde_json::{Map, Value, json};

use super::operand::Reference;
use super::write::assign::Written;
use super::{Assign, Operand, Predicate};
use crate::error::{Code, Error, Result, below};
use crate::policy::{Action, Principal, Settings, TableView, View, claim};
use crate::request::{Archived, Count};
use crate::schema::{Column, DataType, Operator, TableKind};
use crate::value;

/// Everything that planning may look at besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'v> {
    /// The schema as the caller's role sees it.
    pub view: &'v View,
    /// The rules that hold for every caller.
    pub settings: &'v Settings,
    /// Who asks.
    pub caller: &'v Principal,
    /// The operations before this one in the same transaction, which `$ref` may name.
    pub earlier: &'v [Earlier<'v>],
    /// Which related rows there are, as far as the archive goes.
    pub related: Archived,
}

/// An operation of a transaction, as later ones may refer to it.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'v> {
    /// Its `as`.
    pub name: Option<&'v str>,
    /// Its table.
    pub table: &'v TableView,
    /// The columns that its rows have; all of the table if it does not say.
    pub columns: Option<&'v [Value]>,
}

impl Earlier<'_> {
    /// The position of a column that its rows have.
    fn column(&self, name: &str) -> Result<usize> {
        let position = self.table.readable(name)?;
        match self.columns {
            Some(columns) if !columns.iter().any(|column| *column == name || *column == "*") => {
                let message = format!("the rows of that operation have no column {name:?}");
                Err(Error::new(Code::UnknownColumn, message)
                    .allowed(columns.iter().filter_map(Value::as_str))
                    .hint("name it in the columns of that operation"))
            }
            _ => Ok(position),
        }
    }
}

impl<'v> Scope<'v> {
    /// The scope of a request that stands for itself.
    pub fn new(view: &'v View, settings: &'v Settings, caller: &'v Principal) -> Self {
        Self { view, settings, caller, earlier: &[], related: Archived::Exclude }
    }

    /// The table that a request names.
    ///
    /// # Errors
    ///
    /// `unknown_table`; `forbidden` or `not_archivable` if the role may not do `action` there.
    pub fn table(&self, name: &str, action: Action) -> Result<&'v TableView> {
        let table = self.view.table(name).map_err(|error| error.inside("/table"))?;
        table.require(action)?;
        Ok(table)
    }

    /// Refuses a list of more columns than allowed.
    pub(super) fn few_columns(&self, table: &TableView, count: usize, at: &str) -> Result<()> {
        let most = self.view.limits.max_list.max(table.table.columns.len());
        if count <= most {
            return Ok(());
        }
        let message = format!("a list may have {most} columns, not {count}");
        Err(Error::exceeded("max_list", message).at(at))
    }

    /// The column of a name to return, or all for `*`.
    pub(super) fn named(&self, table: &'v TableView, name: &str, at: &str) -> Result<Vec<usize>> {
        if name == "*" {
            return Ok(table.readable_columns().collect());
        }
        let column = table.readable(name);
        let column = column.map_err(|error| self.not_returned(table, name, error.inside(at)))?;
        Ok(vec![column])
    }

    /// A value for a column, checked and encoded; or the promise of one, for `{"$ref": …}`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at `at` or inside it.
    pub fn operand(&self, column: &Column, value: &Value, at: &str) -> Result<Operand> {
        self.operand_of(&column.data_type, &column.type_name, value, at)
    }

    /// [`Scope::operand`] for a type that need not be a column's own.
    ///
    /// # Errors
    ///
    /// `invalid_value`, at `at` or inside it.
    pub fn operand_of(
        &self,
        data_type: &DataType,
        type_name: &str,
        value: &Value,
        at: &str,
    ) -> Result<Operand> {
        match value {
            Value::Object(object) if object.len() == 1 => match object.iter().next() {
                Some((key, reference)) if key == "$ref" => {
                    let at = format!("{at}/$ref");
                    let reference = self.reference(reference, &at)?;
                    return Ok(Operand::reference(reference, data_type, type_name, at));
                }
                // JSON has a null of its own, which is a value.
                Some((key, Value::Null)) if key == "$literal" && data_type.is_json() => {
                    return Ok(Operand::text(Some("null".into()), format!("{at}/$literal")));
                }
                Some((key, literal)) if key == "$literal" => {
                    return self.text(data_type, type_name, literal, &format!("{at}/$literal"));
                }
                _ => {}
            },
            _ => {}
        }
        if data_type.is_json() {
            self.computes_nothing_inside(value, at)?;
        }
        self.text(data_type, type_name, value, at)
    }

    /// Refuses JSON in which there is a reference to an earlier operation, or what would be computed if it were the whole
    /// value: it would be written as it stands.
    fn computes_nothing_inside(&self, value: &Value, at: &str) -> Result<()> {
        match value {
            Value::Array(items) => items.iter().enumerate().try_for_each(|(index, item)| {
                self.computes_nothing_inside(item, &format!("{at}/{index}"))
            }),
            Value::Object(members) => {
                let lone = members.iter().next().filter(|_| members.len() == 1);
                let what = match lone {
                    Some((key, given)) if key == "$ref" => {
                        self.referred(given, at).is_ok().then_some("a reference")
                    }
                    Some((key, Value::Bool(true) | Value::String(_))) if key == "$now" => {
                        Some("$now")
                    }
                    Some((key, Value::Number(_))) if key == "$increment" => Some("$increment"),
                    Some((key, Value::Bool(true))) if key == "$default" => Some("$default"),
                    _ => None,
                };
                if let (Some(what), Some((key, _))) = (what, lone) {
                    let message =
                        format!("{what} is the whole value of a column, not a part of one");
                    return Err(Error::new(Code::InvalidValue, message).at(below(at, key)).hint(
                        "give the value itself; {\"$literal\": …} writes JSON as it stands",
                    ));
                }
                members.iter().try_for_each(|(name, member)| {
                    self.computes_nothing_inside(member, &below(at, name))
                })
            }
            _ => Ok(()),
        }
    }

    fn text(
        &self,
        data_type: &DataType,
        type_name: &str,
        value: &Value,
        at: &str,
    ) -> Result<Operand> {
        let text = value::encode(data_type, type_name, value).map_err(|error| error.inside(at))?;
        Ok(Operand::text(text, at))
    }

    fn reference(&self, given: &Value, at: &str) -> Result<Reference> {
        self.referred(given, at).map_err(|error| match super::advice::reference(given) {
            Some(meant) if self.referred(&Value::from(meant.as_str()), at).is_ok() => {
                error.did_you_mean(meant)
            }
            _ => error,
        })
    }

    /// The row and column that `"op.column"` or `"op.2.column"` means.
    pub(super) fn referred(&self, given: &Value, at: &str) -> Result<Reference> {
        let wrong = |message: String| {
            let names = self.earlier.iter().enumerate().map(|(index, earlier)| {
                earlier.name.map_or_else(|| index.to_string(), str::to_owned)
            });
            Error::new(Code::InvalidValue, message)
                .at(at)
                .hint("\"name.column\" takes the column from the row of an earlier operation of the transaction; \"0.column\" from that of the first")
                .allowed(names)
        };
        let Some((called, rest)) = given.as_str().and_then(|text| text.split_once('.')) else {
            return Err(wrong("a $ref is \"operation.column\"".into()));
        };
        let found =
            self.earlier.iter().position(|earlier| earlier.name == Some(called)).or_else(|| {
                called.parse().ok().filter(|index: &usize| *index < self.earlier.len())
            });
        let Some(operation) = found else {
            return Err(wrong(format!("no earlier operation is called {called:?}")));
        };
        let earlier = &self.earlier[operation];
        let (row, column) = match earlier.column(rest) {
            Ok(column) => (None, column),
            Err(error) => match rest.split_once('.') {
                Some((row, name)) if row.parse::<u32>().is_ok() => {
                    (row.parse().ok(), earlier.column(name).map_err(|error| error.inside(at))?)
                }
                _ => return Err(error.inside(at)),
            },
        };
        if let Some(instead) = earlier.table.shown_instead(column) {
            let name = &earlier.table.table.columns[column].name;
            let message = format!("{name} is {instead}: what is shown instead is no value of it");
            return Err(Error::new(Code::Forbidden, message).at(at));
        }
        let column = earlier.table.table.columns[column].name.clone();
        Ok(Reference { operation, called: called.to_owned(), row, column })
    }

    /// How rows are counted. The planner's estimates speak of all rows: where some are hidden, as views may hide some,
    /// the others are counted exactly.
    pub(super) fn count(
        &self,
        wanted: Option<Count>,
        table: &TableView,
        filter: &Predicate<'_>,
    ) -> Count {
        let views = || table.table.kind == TableKind::View || filter.reaches_view();
        match wanted.unwrap_or_default() {
            Count::Estimated if self.view.hides_rows() || views() => Count::Exact,
            count => count,
        }
    }

    /// A value of a grant, in which `"claim:NAME"` is a claim of the caller; `None` for an absent or null
    /// claim, and for a list of nulls. A claim is a value whatever it holds: an object in it is no condition, and a null in a
    /// list is nothing.
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

    /// [`Scope::granted`] of an object.
    pub(super) fn granted_object(
        &self,
        members: &Map<String, Value>,
    ) -> Option<Map<String, Value>> {
        let granted = |(name, member): (&String, &Value)| {
            // What holds nothing is found everywhere.
            let sought = Operator::parse(name).is_some_and(Operator::finds_nothing_everywhere);
            (!sought || self.claims_hold(member)).then_some(())?;
            Some((name.clone(), self.granted(member)?))
        };
        members.iter().map(granted).collect()
    }

    /// Whether each claim in a value of a grant holds something, and no null.
    fn claims_hold(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => text.strip_prefix("claim:").is_none_or(|name| {
                let claim = claim(&self.caller.claims, name);
                claim.is_some_and(|claim| match &*claim {
                    Value::Null => false,
                    Value::String(text) => !text.is_empty(),
                    Value::Array(items) => !items.is_empty() && !items.contains(&Value::Null),
                    Value::Object(members) => !members.is_empty(),
                    Value::Bool(_) | Value::Number(_) => true,
                })
            }),
            Value::Array(items) => items.iter().all(|item| self.claims_hold(item)),
            Value::Object(members) => members.values().all(|member| self.claims_hold(member)),
            _ => true,
        }
    }

    /// What the server sets in a write.
    ///
    /// # Errors
    ///
    /// `forbidden` if the caller lacks the claim, or it does not fit; `internal` if a preset does not fit the table.
    pub fn presets(
        &self,
        table: &'v TableView,
        action: Action,
    ) -> Result<Vec<(&'v Column, Assign<'v>)>> {
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
                            Code::Internal,
                            "a preset of the role does not fit its column",
                        ),
                        false => Error::new(
                            Code::Forbidden,
                            "a claim of the caller does not fit what this write sets",
                        ),
                    };
                    unfit.caused_by(error)
                };
                // Nowhere in the arguments.
                let at = format!("preset:{}", column.name);
                match table.sealed(&column.name) {
                    Some(sealed) => self.assign_sealed(sealed, column, &value, &at).map_err(unfit),
                    None if self.settings.encryption.names(table.name(), column) => {
                        Err(Error::new(Code::Internal, "a preset column cannot be encrypted"))
                    }
                    None => {
                        let set = self.assign(table, column, &value, Written::New, &at);
                        Ok(vec![(column, set.map_err(unfit)?)])
                    }
                }
            })
            .collect::<Result<Vec<Vec<_>>>>()
            .map(|sets| sets.into_iter().flatten().collect())
    }
}

/// Whether there is an object in the value, or it is one.
fn holds_objects(value: &Value) -> bool {
    match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().any(holds_objects),
        _ => false,
    }
}
