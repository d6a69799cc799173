//! Comparisons with values that are not in the request: columns of the row or of a related one, the number of related
//! rows, computed values, the current time.

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use super::filter::{Parser, wrong};
use crate::error::{Code, Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::now::{self, NOW, Now};
use crate::plan::expression::period;
use crate::plan::grammar::{COMPUTE, COUNT, PART, SINCE};
use crate::plan::{Expression, Predicate, Reached, Scope, Slot};
use crate::policy::TableView;
use crate::schema::{Column, DataType, Family, Operator};

/// The operators for another column or the current time.
const OPERATORS: [Operator; 7] = [
    Operator::Eq,
    Operator::Ne,
    Operator::Gt,
    Operator::Gte,
    Operator::Lt,
    Operator::Lte,
    Operator::IsDistinctFrom,
];

/// The further operators of ranges and arrays.
const OF_MANY: [Operator; 3] = [Operator::Contains, Operator::ContainedBy, Operator::Overlaps];

/// A value that is compared or tested.
pub(super) struct Left<'v> {
    pub(super) value: Expression<'v>,
    /// The column whose type it has. A number has a column that is in no table.
    pub(super) column: Slot<'v>,
}

/// A right side that is not a value of the request.
enum Other<'r> {
    Column(&'r Value),
    Now(&'r Value),
    Period(&'r Value),
}

impl<'r> Other<'r> {
    fn of(value: &'r Value) -> Option<Self> {
        let members = value.as_object().filter(|members| members.len() == 1);
        let column = members.and_then(|members| members.get("$column")).map(Self::Column);
        let column = column.or_else(|| now::asked(value).map(Self::Now));
        column.or_else(|| period::asked(value).then_some(Self::Period(value)))
    }

    /// Whether a list contains any of these.
    fn among(list: &Value) -> bool {
        match list {
            Value::Array(items) => items.iter().any(|item| Other::of(item).is_some()),
            lone => Other::of(lone).is_some(),
        }
    }
}

/// Whether the operator takes a list: `Some(true)` for `not_in`, `Some(false)` for `in`.
fn listed(operator: &str) -> Option<bool> {
    match Operator::parse(operator)? {
        Operator::In => Some(false),
        Operator::NotIn => Some(true),
        _ => None,
    }
}

/// The remaining part of a condition, which compares with values of the request.
type Rest<'r> = Option<Cow<'r, Value>>;

impl<'v> Parser<'_, 'v> {
    /// The conditions that compare a value with another one: `{"gt": {"$column": "due_at"}}`, and the remaining part.
    pub(super) fn beside<'r>(
        &mut self,
        table: &'v TableView,
        left: &Left<'v>,
        value: &'r Value,
        at: &str,
    ) -> Result<(Vec<Predicate<'v>>, Rest<'r>)> {
        let members = value.as_object().filter(|_| !left.column.data_type.is_json());
        let Some(members) = members else { return Ok((Vec::new(), Some(Cow::Borrowed(value)))) };
        if let Some(other) = Other::of(value) {
            return Ok((vec![self.compared(table, left, Operator::Eq, &other, at)?], None));
        }
        let speaks = |(key, member): (&String, &Value)| match listed(key) {
            Some(_) => Other::among(member),
            None => Other::of(member).is_some(),
        };
        if !members.iter().any(speaks) {
            return Ok((Vec::new(), Some(Cow::Borrowed(value))));
        }
        let mut rest = Map::new();
        let mut all = Vec::with_capacity(members.len());
        for (key, member) in members {
            if !speaks((key, member)) {
                rest.insert(key.clone(), member.clone());
                continue;
            }
            let at = below(at, key);
            self.count(&at)?;
            if let Some(negated) = listed(key) {
                all.push(self.listed(table, left, negated, member, &at)?);
                continue;
            }
            let Some(other) = Other::of(member) else { continue };
            let mut known = left.known(&other);
            let Some(operator) = known.clone().find(|known| known.as_str() == key) else {
                let known: Vec<&str> = known.by_ref().map(Operator::as_str).collect();
                return Err(left.unknown(key, &known).at(at));
            };
            all.push(self.compared(table, left, operator, &other, &at)?);
        }
        let rest = (!rest.is_empty()).then(|| Cow::Owned(Value::Object(rest)));
        Ok((all, rest))
    }

    /// `in` or `not_in` with a list that contains other values.
    fn listed(
        &mut self,
        table: &'v TableView,
        left: &Left<'v>,
        negated: bool,
        list: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        self.scope.short(list, at)?;
        let items = match list {
            Value::Array(items) => items.as_slice(),
            lone => std::slice::from_ref(lone),
        };
        let items = items.iter().enumerate().map(|(index, item)| {
            let at = if list.is_array() { below(at, &index.to_string()) } else { at.to_owned() };
            self.count(&at)?;
            match Other::of(item) {
                Some(other) => self.compared(table, left, Operator::Eq, &other, &at),
                None => {
                    let test = self.operator(&left.column, Operator::Eq, item, &at)?;
                    Ok(left.tested((test, None)))
                }
            }
        });
        let any = Predicate::Any(items.collect::<Result<_>>()?);
        Ok(if negated { Predicate::Not(Box::new(any)) } else { any })
    }

    fn compared(
        &self,
        table: &'v TableView,
        left: &Left<'v>,
        operator: Operator,
        other: &Other<'_>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let right = match other {
            Other::Column(name) => self.other_column(table, left, operator, name, at)?,
            Other::Now(given) => left.now(self.scope, operator, given, at)?,
            Other::Period(given) => {
                let period = self.scope.period(&left.column.data_type, given, at)?;
                let period = period.ok_or_else(|| left.no_day(at))?;
                Expression::Period(Box::new(period))
            }
        };
        let left = Box::new(left.value.clone());
        Ok(Predicate::Compared { left, operator, right: Box::new(right) })
    }

    fn other_column(
        &self,
        table: &'v TableView,
        left: &Left<'v>,
        operator: Operator,
        name: &Value,
        at: &str,
    ) -> Result<Expression<'v>> {
        let at = below(at, "$column");
        let Some(name) = name.as_str() else {
            return Err(wrong("expected a column's name", &at));
        };
        let right = self
            .scope
            .reach(table, name)
            .map_err(|error| self.scope.not_reached(table, name, error.inside(&at)))?;
        // As in SQL, a name in a subquery may be that of the outer query.
        if !self.outer.is_empty() && left.is(&right) {
            return Err(self.scope.itself(table, &right, &self.outer).at(at));
        }
        let data_type = &left.column.data_type;
        let fits = is_alike(data_type, &right.column.data_type)
            || operator == Operator::Contains && holds(data_type, &right.column.data_type);
        if data_type.has_operator(operator) && fits {
            return Ok(Expression::Column(right));
        }
        let types = (&left.column.type_name, &right.column.type_name);
        let message = format!("{} is {}, and {name} is {}", left.column.name, types.0, types.1);
        let alike = table.names_of(|other| {
            is_alike(data_type, &other.data_type)
                && left.column.whole().is_none_or(|column| !std::ptr::eq(other, column))
                && table.usable(&other.name).is_ok()
        });
        let error = wrong(message, &at).allowed(alike);
        Err(match holds(&right.column.data_type, data_type) {
            true => error.hint(format!(
                "{{{name:?}: {{\"contains\": {{\"$column\": {:?}}}}}}}",
                left.column.name
            )),
            false => error.hint(
                "columns of the same type and collation are compared, or texts, or numbers, or dates and timestamps",
            ),
        })
    }
}

impl<'v> Left<'v> {
    pub(super) fn new(value: Expression<'v>) -> Self {
        let column = value.like().map_or_else(|| number(&value).into(), |of| of.column.clone());
        Self { value, column }
    }

    /// Whether it is the same column of the same row.
    fn is(&self, other: &Reached<'_>) -> bool {
        let Expression::Column(own) = &self.value else { return false };
        let is_whole = |column: &Reached<'_>| {
            column.hops.is_empty() && column.member.is_none() && column.column.whole().is_some()
        };
        is_whole(own) && is_whole(other) && own.position == other.position
    }

    /// The operators between the two values.
    fn known(&self, other: &Other<'_>) -> impl Iterator<Item = Operator> + Clone + use<> {
        let data_type = Arc::clone(&self.column.data_type);
        let of_many = match (other, data_type.family()) {
            // A range contains the current time or does not.
            (Other::Now(_), Family::Range) => &OF_MANY[..1],
            (Other::Column(_), Family::Range | Family::Array) | (Other::Period(_), _) => {
                &OF_MANY[..]
            }
            _ => &[],
        };
        let has = move |known: &Operator| data_type.has_operator(*known);
        OPERATORS.into_iter().chain(of_many.iter().copied()).filter(has)
    }

    /// The error for an operator that is not possible between the two values.
    fn unknown(&self, key: &str, known: &[&str]) -> Error {
        let own = Operator::parse(key).filter(|own| self.column.data_type.has_operator(*own));
        match own {
            Some(own) => {
                let message = format!("{own} takes a value, and no other column");
                Error::new(Code::UnknownOperator, message).allowed(known.iter().copied())
            }
            None => advice::unknown_operator(&self.column, key, known),
        }
    }

    fn now(
        &self,
        scope: &Scope<'v>,
        operator: Operator,
        given: &Value,
        at: &str,
    ) -> Result<Expression<'v>> {
        if let Expression::Part { of, cut } = &self.value {
            let now = Now::beside(scope, &of.data_type(), given, at)?.map(Expression::Now);
            let of_now = |now| Expression::Part { of: Box::new(now), cut: cut.clone() };
            return now.map(of_now).ok_or_else(|| self.no_day(at));
        }
        let data_type = match self.column.data_type.bound() {
            Some(bound) if operator == Operator::Contains => bound,
            _ => &self.column.data_type,
        };
        let now = Now::beside(scope, data_type, given, at)?;
        now.map(Expression::Now).ok_or_else(|| self.no_day(at))
    }

    fn no_day(&self, at: &str) -> Error {
        let Column { name, type_name, .. } = &*self.column;
        let error =
            wrong(format!("{name} is {type_name}, and $now a date or timestamp"), &below(at, NOW));
        match (&self.value, self.column.data_type.bound()) {
            (_, Some(bound)) if bound.has_day() => error.hint("{\"contains\": {\"$now\": true}}"),
            (Expression::Column(_) | Expression::Part { .. }, _) => error,
            (value, _) if value.counted().is_some() => error,
            _ => error.hint(SINCE),
        }
    }
}

/// The name and type of a number.
fn number(value: &Expression<'_>) -> &'static Column {
    static NUMBERS: LazyLock<[Column; 3]> = LazyLock::new(|| {
        let numeric = DataType::numeric();
        let numbers = [(COUNT, DataType::bigint()), (PART, numeric), (COMPUTE, numeric)];
        numbers.map(|(name, data_type)| {
            Column::computed(name.to_owned(), name.to_owned(), Arc::clone(data_type))
        })
    });
    let [count, part, computed] = &*NUMBERS;
    match value {
        Expression::Part { .. } => part,
        value if value.counted().is_some() => count,
        _ => computed,
    }
}

/// Whether a range or multirange of the first type can contain values of the second: an element or a range.
fn holds(ranges: &DataType, other: &DataType) -> bool {
    let other = other.base();
    let element = ranges.bound().is_some_and(|bound| {
        let bound = bound.base();
        bound.oid == other.oid && bound.collation.goes_with(other.collation)
            || bound.is_timestamp() && other.is_timestamp()
    });
    element || ranges.range().is_some_and(|range| range.base().oid == other.oid)
}

/// Whether values of the types can be compared.
fn is_alike(one: &DataType, other: &DataType) -> bool {
    let (one, other) = (one.base(), other.base());
    one.oid == other.oid && one.collation.goes_with(other.collation)
        || one.is_text() && other.is_text() && one.collation.goes_with(other.collation)
        || one.is_number() && other.is_number()
        || one.has_day() && other.has_day()
}
