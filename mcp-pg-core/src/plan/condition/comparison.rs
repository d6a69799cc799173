//! Conditions on a column: operators and their operands.

use serde_json::{Map, Value};

use super::area::{area, require_near};
use super::document::require_operator;
use super::filter::{Parser, one_or, wrong};
use super::fraction;
use crate::error::{Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::now;
use crate::plan::grammar::LANGUAGE;
use crate::plan::{Operand, Predicate, Scope, Slot, Words};
use crate::schema::{Column, DataType, Family, Kind, Operator};
use crate::value::{self, RANGE};

/// A test of a value.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// IS NULL, or IS NOT NULL.
    Null(bool),
    /// An operator between the value and an operand of the same type, or of the type it takes.
    Binary(Operator, Operand),
    /// The text matches words.
    Search(Words),
    /// Equal to one of the elements of an array, or (negated) to none.
    Listed(bool, Operand),
    /// A range or multirange contains one value or one range, of this type.
    ContainsElement(String, Operand),
    /// A range or multirange contains a range or multirange of this type. Null for an empty one, which every range
    /// contains.
    ContainsSome(String, Operand),
    /// A point lies in an area of this type.
    ContainedBy(String, Operand),
    /// All of these; true if there are none.
    All(Vec<Comparison>),
    /// At least one of these; false if there are none.
    Any(Vec<Comparison>),
    /// Not this.
    Not(Box<Comparison>),
}

/// The test of a value, and the path if it is a test of a part of JSON.
pub(super) type Test = (Comparison, Option<Operand>);

impl Comparison {
    /// Whether few values are likely to pass.
    pub(super) fn is_selective(&self) -> bool {
        use Operator::{Eq, Ilike, Imatches, Like, Matches};
        match self {
            Comparison::Binary(operator, _) => {
                matches!(operator, Eq | Like | Ilike | Matches | Imatches)
            }
            Comparison::Listed(negated, _) => !negated,
            Comparison::Search(_) => true,
            _ => false,
        }
    }

    /// The condition that the column's value, or the part of its JSON at a path, passes the test.
    pub(super) fn of<'v>(self, column: &Slot<'v>, path: Option<&Operand>) -> Predicate<'v> {
        self.each(&|comparison| {
            let (column, path) = (column.clone(), path.cloned());
            Predicate::Test { column, path, comparison }
        })
    }

    /// The same with a condition for each of the tests in it.
    pub(super) fn each<'v>(self, of: &impl Fn(Self) -> Predicate<'v>) -> Predicate<'v> {
        let all = |parts: Vec<Self>| parts.into_iter().map(|part| part.each(of)).collect();
        match self {
            Comparison::All(parts) => Predicate::All(all(parts)),
            Comparison::Any(parts) => Predicate::Any(all(parts)),
            Comparison::Not(inner) => Predicate::Not(Box::new(inner.each(of))),
            comparison => of(comparison),
        }
    }
}

impl<'v> Parser<'_, 'v> {
    /// The test of a value like those of a column.
    pub(super) fn test(&mut self, column: &Slot<'v>, value: &Value, at: &str) -> Result<Test> {
        let data_type = &column.data_type;
        let comparison = match value {
            Value::Null => Ok(Comparison::Null(true)),
            Value::Object(object) if is_operand(data_type, object) => {
                require_operator(column, value, at)?;
                self.operator(column, Operator::Eq, value, at)
                    .map_err(|error| advice::not_a_part(column, object, error))
            }
            Value::Object(object) => {
                let (path, data_type) = match object.get("path") {
                    Some(path) => (Some(self.path(column, path, at)?), DataType::jsonb()),
                    None => (None, data_type),
                };
                let mut all = Vec::with_capacity(object.len());
                for (key, value) in
                    object.iter().filter(|(key, _)| !beside(key, object, path.is_some()))
                {
                    let (place, at) = (at, below(at, key));
                    self.count(&at)?;
                    let operator = operator(column, data_type, key, path.is_some())
                        .map_err(|error| error.at(&at))?;
                    all.push(match &path {
                        None if operator == Operator::Search => {
                            let language = (object.get(LANGUAGE), &*below(place, LANGUAGE));
                            Comparison::Search(self.scope.search((value, &at), language)?)
                        }
                        None => self
                            .operator(column, operator, value, &at)
                            .map_err(|error| advice::not_a_column(value, error))?,
                        Some(_) => self.in_json(column, operator, value, &at)?,
                    });
                }
                if all.is_empty() {
                    let error = wrong("an operator is missing", at);
                    return Err(match path {
                        Some(_) => error.allowed(data_type.operators().map(Operator::as_str)),
                        None => error.allowed(data_type.condition_keys()),
                    });
                }
                return Ok((one_or(all, Comparison::All), path));
            }
            // A list for an operator that takes one value is a common mistake with one possible meaning.
            Value::Array(_)
                if !matches!(data_type.family(), Family::Array | Family::Json | Family::Range) =>
            {
                self.operator(column, Operator::In, value, at)
            }
            _ => {
                require_operator(column, value, at)?;
                self.operator(column, Operator::Eq, value, at)
                    .map_err(|error| advice::not_a_value(data_type, value, error))
            }
        };
        comparison.map(|comparison| (comparison, None))
    }

    /// The same by one operator.
    pub(super) fn operator(
        &mut self,
        column: &Slot<'v>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Comparison> {
        let scope = self.scope;
        let data_type = &column.data_type;
        if !data_type.has_operator(operator) {
            return Err(unknown_operator(column, data_type, operator.as_str(), false).at(at));
        }
        require_near(data_type, value, at)?;
        let bound = fraction::bound(data_type, operator, value);
        let value = bound.as_ref().unwrap_or(value);
        if let Some(null) = of_null(operator, value, at)? {
            return Ok(null);
        }
        Ok(match operator {
            Operator::In | Operator::NotIn => self
                .list(column, false, operator, value, at)
                .map_err(|error| advice::not_a_list(data_type, value, error))?,
            _ if value.is_null() => {
                return Err(wrong(format!("{operator} does not accept null"), at)
                    .hint("{\"is_null\": true} finds rows without a value"));
            }
            Operator::Contains | Operator::StartsWith | Operator::EndsWith
                if data_type.is_text() =>
            {
                let part = scope.part_of_text(operator, value, at)?;
                let blank = value.as_str().is_some_and(|text| text.ends_with(' '));
                match part {
                    // PostgreSQL matches patterns with the blanks, as replies show them. Without them, no index serves
                    // what texts begin with.
                    Comparison::Binary(_, pattern)
                        if data_type.is_padded() && operator != Operator::StartsWith && !blank =>
                    {
                        Comparison::Binary(Operator::EndsWith, pattern)
                    }
                    part => part,
                }
            }
            Operator::Like | Operator::Ilike | Operator::Matches | Operator::Imatches => {
                Comparison::Binary(operator, scope.pattern(operator, value, at)?)
            }
            Operator::HasKey => Comparison::Binary(operator, self.keys(value, at)?),
            Operator::Contains | Operator::ContainedBy | Operator::Overlaps => {
                self.containment(column, operator, value, at)?
            }
            _ => Comparison::Binary(operator, self.same(column, operator, value, at)?),
        })
    }

    /// `contains`, `contained_by` or `overlaps` between a column's value and an operand of its type, or one of the parts of
    /// its type: an element, a range, an area.
    fn containment(
        &self,
        column: &Slot<'v>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Comparison> {
        let (scope, data_type) = (self.scope, &column.data_type);
        if operator == Operator::Contains
            && let Some(part) = contained(data_type, value)
        {
            let operand = scope.operand_of(part, &part.name, value, at)?;
            return Ok(match may_be_empty(scope, part) {
                true => Comparison::ContainsSome(part.name.clone(), operand),
                false => Comparison::ContainsElement(part.name.clone(), operand),
            });
        }
        match data_type.family() {
            Family::Point if operator == Operator::ContainedBy => {
                let area = area(value, at)?;
                let operand = scope.operand_of(area, &area.name, value, at)?;
                Ok(Comparison::ContainedBy(area.name.clone(), operand))
            }
            Family::Array if !value.is_array() && !value.is_object() => {
                let list = Value::from(vec![value.clone()]);
                Ok(Comparison::Binary(operator, self.same(column, operator, &list, at)?))
            }
            _ => {
                scope.short(value, at)?;
                let operand = self.same(column, operator, value, at)?;
                Ok(match operator == Operator::Contains && may_be_empty(scope, data_type) {
                    true => Comparison::ContainsSome(data_type.base().name.clone(), operand),
                    false => Comparison::Binary(operator, operand),
                })
            }
        }
    }

    /// An operand of the column's own type.
    fn same(
        &self,
        column: &Slot<'v>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Operand> {
        let operand = self.scope.operand(column, value, at);
        operand.map_err(|error| advice::not_a_range(column, operator, value, error))
    }

    /// The keys of a `has_key`: one, or several.
    fn keys(&self, value: &Value, at: &str) -> Result<Operand> {
        self.scope.short(value, at)?;
        if value.is_array() {
            return self.scope.operand_of(DataType::texts(), "text[]", value, at);
        }
        // What is wrong with one key is wrong at this place, not in a list.
        self.scope.encoded(DataType::text(), "text", value, at)?;
        self.scope.encoded(DataType::texts(), "text[]", &Value::from(vec![value.clone()]), at)
    }

    /// A test of a part of a JSON value: text operators see its text, the others its JSON.
    fn in_json(
        &mut self,
        column: &Slot<'v>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Comparison> {
        // JSON null counts as null, too.
        if let Some(null) = of_null(operator, value, at)? {
            return Ok(null);
        }
        let jsonb = DataType::jsonb();
        Ok(match operator {
            Operator::In | Operator::NotIn => self.list(column, true, operator, value, at)?,
            Operator::Like | Operator::Ilike | Operator::Matches | Operator::Imatches => {
                Comparison::Binary(operator, self.scope.pattern(operator, value, at)?)
            }
            Operator::StartsWith | Operator::EndsWith => {
                self.scope.part_of_text(operator, value, at)?
            }
            Operator::HasKey => Comparison::Binary(operator, self.keys(value, at)?),
            _ if now::asked(value).is_some() => return Err(no_dates(at)),
            _ => Comparison::Binary(operator, self.scope.operand_of(jsonb, "jsonb", value, at)?),
        })
    }

    fn path(&self, column: &Column, path: &Value, at: &str) -> Result<Operand> {
        let at = below(at, "path");
        if !column.data_type.is_json() {
            return Err(unknown_operator(column, &column.data_type, "path", false).at(at));
        }
        self.scope.path(path, &at)
    }
}

/// The test for null, if the operator with this value is one.
fn of_null(operator: Operator, value: &Value, at: &str) -> Result<Option<Comparison>> {
    match operator {
        Operator::IsNull => match value {
            Value::Bool(null) => Ok(Some(Comparison::Null(*null))),
            _ => Err(wrong("is_null takes true or false, without quotes", at)),
        },
        Operator::Eq if value.is_null() => Ok(Some(Comparison::Null(true))),
        Operator::Ne | Operator::IsDistinctFrom if value.is_null() => {
            Ok(Some(Comparison::Null(false)))
        }
        _ => Ok(None),
    }
}

/// The error for the current time as an operand of JSON.
pub(super) fn no_dates(at: &str) -> Error {
    wrong("JSON has no dates, so $now cannot be compared with it", at)
        .hint("give the text that it holds, such as \"2024-01-31\"")
}

/// Whether an object is a value of the type, rather than operators.
fn is_operand(data_type: &DataType, object: &Map<String, Value>) -> bool {
    if object.len() == 1 && object.keys().all(|key| key == "$ref" || key == "$literal") {
        return true;
    }
    let holds_objects = match &data_type.base().kind {
        // Of another object, the operators are more likely to be misspelled than all members.
        Kind::Range(_) => {
            object.is_empty() || RANGE.iter().any(|member| object.contains_key(*member))
        }
        Kind::Composite(_) => true,
        _ => data_type.is_json(),
    };
    holds_objects && !object.keys().any(|key| Operator::parse(key).is_some() || key == "path")
}

/// The type of `value`, if a range, multirange or geometric type can contain it and it is not of the same type.
fn contained<'a>(data_type: &'a DataType, value: &Value) -> Option<&'a DataType> {
    let is_range = match value {
        Value::Object(_) => true,
        Value::String(text) => text.starts_with(['[', '(']) || text == "empty",
        _ => false,
    };
    match &data_type.base().kind {
        Kind::Base if data_type.family() == Family::Area => {
            value::is_point(value).then(DataType::point)
        }
        Kind::Range(element) => (!is_range).then_some(element),
        Kind::Multirange(range) if is_range => Some(range),
        Kind::Multirange(range) => match (&range.base().kind, value) {
            (_, Value::Array(_)) => None,
            (_, Value::String(text)) if text.starts_with('{') => None,
            (Kind::Range(element), _) => Some(element),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a claim may be an empty range, which everything contains. A row condition with it would match all rows.
fn may_be_empty(scope: &Scope<'_>, part: &DataType) -> bool {
    part.family() == Family::Range && scope.of_grant
}

/// Whether a member of a condition belongs to an operator.
fn beside(key: &str, object: &Map<String, Value>, path: bool) -> bool {
    match key {
        "path" => path,
        LANGUAGE => object.contains_key(Operator::Search.as_str()),
        _ => false,
    }
}

fn operator(column: &Column, data_type: &DataType, name: &str, path: bool) -> Result<Operator> {
    Operator::parse(name)
        .filter(|operator| offered(data_type, path).any(|offered| offered == *operator))
        .ok_or_else(|| unknown_operator(column, data_type, name, path))
}

/// The operators of a type. A member of a JSON document also has those of its text.
fn offered(data_type: &DataType, path: bool) -> impl Iterator<Item = Operator> {
    use Operator::{EndsWith, Ilike, Imatches, Like, Matches, StartsWith};
    let of_text = [Like, Ilike, StartsWith, EndsWith, Matches, Imatches];
    data_type.operators().chain(of_text.into_iter().filter(move |_| path))
}

fn unknown_operator(column: &Column, data_type: &DataType, name: &str, path: bool) -> Error {
    let known: Vec<&str> = match path {
        true => offered(data_type, path).map(Operator::as_str).collect(),
        false => data_type.condition_keys().collect(),
    };
    advice::unknown_operator(column, name, &known)
}
