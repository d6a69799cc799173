//! Conditions on computed values: `{"compute": {"subtract": ["quantity", "reserved"], "lt": 5}}`, or on fields of
//! points in time: `{"born": {"part": "month", "eq": 5}}`; on the number of related rows.

use serde_json::{Map, Value};

use super::compared::Left;
use super::comparison::Test;
use super::filter::{Parser, Size, one_or, wrong};
use crate::error::{Code, Result, below};
use crate::plan::expression::operation;
use crate::plan::grammar::{COMPUTE, COMPUTE_FORM, COUNT, PART, TIME_ZONE, WHERE};
use crate::plan::{Cut, Expression, Hop, Predicate, Reached, Scope, Total};
use crate::policy::TableView;

/// Whether a member of a condition is this one: a column may have the same name.
pub(super) fn is_computed(table: &TableView, name: &str, value: &Value) -> bool {
    let asks = || value.as_object().is_some_and(|object| operation::members(object).is_some());
    name == COMPUTE && (asks() || table.column(name).is_none())
}

impl<'v> Scope<'v> {
    /// The condition of a total or a measure at `at`, which may have none, and its size.
    ///
    /// # Errors
    ///
    /// As [`filter`](super::filter::filter); `invalid_value` if it is no object.
    pub(in crate::plan) fn condition_of(
        &self,
        table: &'v TableView,
        total: &Map<String, Value>,
        at: &str,
    ) -> Result<(Predicate<'v>, Size)> {
        match total.get(WHERE) {
            None | Some(Value::Null) => Ok((Predicate::always(), Size::default())),
            Some(Value::Object(inner)) => self.measured(table, inner, &below(at, WHERE)),
            Some(_) => Err(wrong("where is a condition object", &below(at, WHERE))),
        }
    }
}

impl<'v> Parser<'_, 'v> {
    /// The condition on the result of arithmetic.
    pub(super) fn of_computed(
        &mut self,
        table: &'v TableView,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let asked =
            value.as_object().and_then(|object| Some((object, operation::members(object)?)));
        let Some((members, computing)) = asked else {
            return Err(
                wrong("expected arithmetic, and an operator beside it", at).hint(COMPUTE_FORM)
            );
        };
        let (arithmetic, tests): (Map<_, _>, Map<_, _>) =
            owned(members).partition(|(key, _)| computing.contains(&key.as_str()));
        if tests.is_empty() {
            return Err(
                wrong("an operator is missing beside the arithmetic", at).hint(COMPUTE_FORM)
            );
        }
        let of = self.scope.expression(table, &Value::Object(arithmetic), at)?;
        self.totals = of.totals().iter().map(|total| total.depth).fold(self.totals, usize::max);
        // Each operator tests the whole expression.
        for _ in 0..of.parts().saturating_mul(tests.len()) {
            self.count(at)?;
        }
        self.tested(table, &Left::new(of), &Value::Object(tests), at)
    }

    /// The condition on a field of a point in time.
    pub(super) fn of_part(
        &mut self,
        table: &'v TableView,
        of: Reached<'v>,
        members: &Map<String, Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let (cut, tests): (Map<_, _>, Map<_, _>) =
            owned(members).partition(|(key, _)| [PART, TIME_ZONE].contains(&key.as_str()));
        let asked = Cut::asked(self.scope, &cut, &of, &of.column.name, at);
        let Some(cut) = asked.map_err(|error| error.inside(at))? else {
            return Err(wrong("a part is named, such as \"month\"", &below(at, PART)));
        };
        let name = of.column.name.clone();
        let value = Expression::Part { of: Box::new(Expression::Column(of)), cut };
        let tested = self.tested(table, &Left::new(value), &Value::Object(tests), at);
        tested.map_err(|error| match error.code() {
            Code::InvalidValue => error.hint(format!(
                "beside part, a number is compared with the part; {name} itself in a condition of its own, joined by \"and\""
            )),
            _ => error,
        })
    }

    /// `{"count": {"gte": 3}, "where": {…}}`.
    pub(super) fn counted(
        &mut self,
        subject: &'v TableView,
        hop: &Hop<'v>,
        test: &Value,
        condition: Option<&Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let filter = match condition {
            None | Some(Value::Null) => Predicate::always(),
            Some(Value::Object(inner)) => self.of_related(hop, inner, &below(at, WHERE))?,
            Some(_) => {
                return Err(wrong("expected a condition object", &below(at, WHERE)));
            }
        };
        let at = below(at, COUNT);
        let value = Expression::Total(Box::new(Total::count(hop.clone(), filter)));
        self.tested(subject, &Left::new(value), test, &at)
    }

    /// The condition that a value passes tests, of which some may compare it with other values of the row.
    pub(super) fn tested(
        &mut self,
        table: &'v TableView,
        left: &Left<'v>,
        tests: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let (mut all, rest) = self.beside(table, left, tests, at)?;
        if let Some(rest) = rest {
            all.push(left.tested(self.test(&left.column, &rest, at)?));
        }
        Ok(one_or(all, Predicate::All))
    }
}

fn owned(members: &Map<String, Value>) -> impl Iterator<Item = (String, Value)> + '_ {
    members.iter().map(|(key, value)| (key.clone(), value.clone()))
}

impl<'v> Left<'v> {
    /// The condition that the value passes a test.
    pub(super) fn tested(&self, (test, path): Test) -> Predicate<'v> {
        let computed =
            |comparison| Predicate::Computed { value: Box::new(self.value.clone()), comparison };
        match &self.value {
            Expression::Column(_) => test.of(&self.column, path.as_ref()),
            value if value.counted().is_some() => computed(test),
            _ => test.each(&computed),
        }
    }
}
