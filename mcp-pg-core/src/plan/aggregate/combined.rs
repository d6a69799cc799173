//! Measures that are computed from other measures: `{"share": {"divide": ["no_show", "n"]}}`.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::share::{self, SHARE};
use crate::error::{Code, Error, Result, below};
use crate::plan::expression::is_digits;
use crate::plan::grammar::{UNIT, has};
use crate::plan::{ARITHMETIC_MOST, Arithmetic, Computed, Expression, Function, Grouping, Scope};
use crate::policy::{Marks, TableView};
use crate::request::check_members;
use crate::schema::DataType;

/// How one is written, and how what is measured of computed values.
const FORM: &str = "{\"share\": {\"divide\": [\"paid\", \"n\"]}} computes with other measures, {\"sum\": {\"multiply\": […]}} with columns";

/// The greatest length of measures that a hint repeats.
const FORM_MOST: usize = 600;

/// The measures of a request that are computed from others.
pub(super) struct Combined<'r> {
    measures: Vec<One<'r>>,
}

struct One<'r> {
    name: &'r str,
    asked: &'r Map<String, Value>,
    /// What is to be known of all that it is computed from.
    marks: Marks,
}

/// The object of a measure that is arithmetic, or a share.
fn asked(item: &Value) -> Option<&Map<String, Value>> {
    item.as_object().filter(|object| Arithmetic::asked(object).is_some() || has(object, SHARE))
}

impl<'r> Combined<'r> {
    /// Those of some measures, and the others.
    pub(super) fn apart(
        measures: &'r Map<String, Value>,
    ) -> (Self, impl Iterator<Item = (&'r String, &'r Value)>) {
        let combined = measures.iter().filter_map(|(name, item)| {
            Some(One { name, asked: asked(item)?, marks: Marks::default() })
        });
        let others = measures.iter().filter(|(_, item)| asked(item).is_none());
        (Self { measures: combined.collect() }, others)
    }

    /// The same in an order in which each stands after those that it is computed from.
    ///
    /// # Errors
    ///
    /// `unknown_column` for what is neither a measure nor a group, `invalid_value` for what is computed from itself.
    pub(super) fn in_order(self, grouping: &Grouping<'_>) -> Result<Self> {
        if self.measures.is_empty() {
            return Ok(self);
        }
        let mut known: Vec<(String, Marks)> =
            grouping.columns().map(|(name, _, marks)| (name, marks)).collect();
        let own: Vec<&str> = self.measures.iter().map(|measure| measure.name).collect();
        let groups: Vec<String> = known.iter().map(|(name, _)| name.clone()).collect();
        let names = groups.iter().map(String::as_str).chain(own.iter().copied());
        let names: Vec<&str> = names.collect();
        for measure in &self.measures {
            measure.check(grouping.table, &names)?;
        }
        let mut left = self.measures;
        let mut measures: Vec<One<'r>> = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let marks = |measure: &One<'_>| {
                measure.operands(&names).iter().try_fold(Marks::default(), |all, (_, name)| {
                    let (_, marks) = known.iter().find(|(known, _)| known == name)?;
                    Some(all.union(*marks))
                })
            };
            let next = left.iter().enumerate().find_map(|(index, one)| Some((index, marks(one)?)));
            let Some((index, marks)) = next else {
                let name = left.first().map_or("", |measure| measure.name);
                let message = format!("{name} is computed from itself");
                return Err(Error::new(Code::InvalidValue, message).at(below("/measures", name)));
            };
            let measure = left.remove(index);
            known.push((measure.name.to_owned(), marks));
            measures.push(One { marks, ..measure });
        }
        Ok(Self { measures })
    }

    /// Names, types and marks.
    pub(super) fn columns(&self) -> impl Iterator<Item = (String, Arc<DataType>, Marks)> {
        let column =
            |one: &One<'_>| (one.name.to_owned(), Arc::clone(DataType::numeric()), one.marks);
        self.measures.iter().map(column)
    }

    /// What they are, in terms of the columns of `derived` that are none of them.
    ///
    /// # Errors
    ///
    /// As [`Scope::expression`]; `limit_exceeded` for what is made of too many parts in the end.
    pub(super) fn expressions<'v>(
        &self,
        scope: &Scope<'v>,
        grouping: &Grouping<'v>,
        derived: &'v TableView,
    ) -> Result<Vec<Computed<'v>>> {
        let first = derived.table.columns.len() - self.measures.len();
        let mut all: Vec<Computed<'v>> = Vec::with_capacity(self.measures.len());
        for measure in &self.measures {
            let at = below("/measures", measure.name);
            let share = has(measure.asked, SHARE);
            let of = match share {
                true => scope.by_itself(derived, measure.asked, &at),
                false => scope.arithmetic(derived, measure.asked, &at),
            };
            let of = of.map_err(|error| match measure.named_first() {
                Some(hint) => error.hint(hint),
                None => error,
            })?;
            if !of.data_type().is_exact() {
                let message = "what is computed from measures is a number";
                return Err(Error::new(Code::InvalidValue, message).at(at).hint(FORM));
            }
            let part = |position: usize| all.get(position.checked_sub(first)?).map(|one| &one.of);
            // PostgreSQL writes each out anew wherever it is named.
            let most = scope.view.limits.max_nodes.min(ARITHMETIC_MOST);
            if of.parts_with(&part) > most {
                let message = format!(
                    "with all that it is computed from, a measure may have at most {most} parts"
                );
                return Err(Error::exceeded("max_nodes", message).at(at));
            }
            let of = match (share, of.with(&part)) {
                (true, by_itself) => grouping.share(by_itself, &at)?,
                (false, of) => of,
            };
            all.push(Computed { name: measure.name.to_owned(), of });
        }
        Ok(all)
    }
}

impl<'r> One<'r> {
    /// The names that it is computed from, with their places. What is no name, but a number, is none.
    fn operands(&self, known: &[&str]) -> Vec<(String, &'r str)> {
        let mut operands = Vec::new();
        gather(self.asked, &below("/measures", self.name), &mut operands);
        operands.retain(|(_, name)| known.contains(name) || !is_digits(name));
        operands
    }

    /// The hint for measures within it, which have to be measures of the request.
    fn named_first(&self) -> Option<String> {
        let mut measures = Map::new();
        let combined = with_names(&Value::Object(self.asked.clone()), &mut measures);
        if measures.is_empty() {
            return None;
        }
        measures.insert(self.name.to_owned(), combined);
        let measures = Value::Object(measures).to_string();
        let form = if measures.len() > FORM_MOST { "{…}" } else { &measures };
        Some(format!("what is computed with has a name of its own: \"measures\": {form}"))
    }

    /// Refuses names that are no measures, and what stands beside the arithmetic.
    fn check(&self, table: &TableView, known: &[&str]) -> Result<()> {
        let at = below("/measures", self.name);
        let arithmetic = Arithmetic::asked(self.asked).map(|(name, _)| [name, UNIT]);
        let members = match has(self.asked, SHARE) {
            true => vec![SHARE],
            false => arithmetic.into_iter().flatten().collect(),
        };
        let members = members.into_iter();
        check_members(self.asked, members, "what is computed from measures has no member")
            .map_err(|error| {
                error.inside(&at).hint("those that it is computed from have a where")
            })?;
        let mut operands = self.operands(known).into_iter();
        let Some((at, name)) = operands.find(|(_, name)| !known.contains(name)) else {
            return Ok(());
        };
        let error = Error::new(Code::UnknownColumn, format!("there is no measure {name:?}"));
        let error = error.at(at).allowed(known.iter().copied().filter(|known| *known != self.name));
        let column = name.split('.').next().is_some_and(|name| {
            let relation =
                table.relations.iter().any(|relation| relation.names().any(|n| n == name));
            relation || table.readable(name).is_ok()
        });
        let form = if has(self.asked, SHARE) { share::FORM } else { FORM };
        Err(match column {
            true => error.hint(form),
            false => error.nearest(name, known.iter().copied()).hint(form),
        })
    }
}

/// An item with names in the place of its measures, which are put into `measures`.
fn with_names(item: &Value, measures: &mut Map<String, Value>) -> Value {
    match item {
        Value::Object(object) if Function::names().any(|name| object.contains_key(name)) => {
            let name = format!("m{}", measures.len() + 1);
            measures.insert(name.clone(), item.clone());
            name.into()
        }
        Value::Object(object) => {
            let members = object.iter();
            members.map(|(key, item)| (key.clone(), with_names(item, measures))).collect()
        }
        Value::Array(items) => items.iter().map(|item| with_names(item, measures)).collect(),
        other => other.clone(),
    }
}

/// The names in the lists of an arithmetic, and their places.
fn gather<'r>(object: &'r Map<String, Value>, at: &str, names: &mut Vec<(String, &'r str)>) {
    for (key, items) in object {
        let at = below(at, key);
        if let Some(name) = items.as_str().filter(|_| key == SHARE) {
            names.push((at.clone(), name));
        }
        for (index, item) in items.as_array().into_iter().flatten().enumerate() {
            let at = below(&at, &index.to_string());
            match item {
                Value::String(name) => names.push((at, name)),
                Value::Object(inner) => match inner.get("column") {
                    Some(Value::String(name)) => names.push((below(&at, "column"), name)),
                    _ => gather(inner, &at, names),
                },
                _ => {}
            }
        }
    }
}

impl<'v> Expression<'v> {
    /// How many parts it has, with other values in the place of the columns of some positions.
    fn parts_with<'e>(&self, put: &impl Fn(usize) -> Option<&'e Self>) -> usize
    where
        'v: 'e,
    {
        match self {
            Expression::Column(reached) => put(reached.position).map_or(1, Self::parts),
            Expression::Computed(_, operands) => {
                operands.iter().map(|operand| operand.parts_with(put)).sum::<usize>() + 1
            }
            Expression::Number(_)
            | Expression::Given(..)
            | Expression::Now(_)
            | Expression::Period(_) => 1,
            Expression::Part { of, .. } => of.parts_with(put) + 1,
            Expression::Moved(_) => 2,
            Expression::Elapsed(ends, _) => {
                ends.iter().map(|end| end.parts_with(put)).sum::<usize>() + 1
            }
            Expression::Total(total) => total.parts(),
            Expression::Whole(of) => of.parts_with(put) + 1,
        }
    }

    /// How many parts it has.
    pub(in crate::plan) fn parts(&self) -> usize {
        self.parts_with(&|_| None)
    }

    /// The same with other values in the place of the columns of some positions.
    fn with<'e>(self, put: &impl Fn(usize) -> Option<&'e Self>) -> Self
    where
        'v: 'e,
    {
        match self {
            Expression::Column(ref reached) => match put(reached.position) {
                Some(other) => other.clone(),
                None => self,
            },
            Expression::Computed(arithmetic, operands) => {
                let operands = operands.into_iter().map(|operand| operand.with(put));
                Expression::Computed(arithmetic, operands.collect())
            }
            other => other,
        }
    }
}
