//! Numbers computed from the columns of a row, and from the rows related to it.
//!
//! Computations cannot fail, whatever the values: numbers of any type become `numeric`, those with more than 500
//! digits become null, and division by zero gives null. So no error reveals a row that the caller does not see.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::elapsed::elapsed;
use super::moved;
use super::now;
use super::operation::{self, Operation};
use crate::error::{Code, Error, Result, below};
use crate::plan::advice::unknown_arithmetic;
use crate::plan::grammar::{UNIT, has};
use crate::plan::{Earlier, Expression, Reached, Scope, Source, Unit};
use crate::policy::TableView;
use crate::request::check_members;
use crate::schema::{DataType, Found, Relation};

/// The form of an operand, for messages.
const FORM: &str = "a column \"price\", a number, or {\"multiply\": [\"price\", \"quantity\"]}; also add, subtract, divide";

/// The most parts of a computed value: with more, a product could overflow `numeric`, and tell of rows that are hidden.
pub const ARITHMETIC_MOST: usize = 256;

/// The most digits of a number in a computation.
pub const DIGITS: u16 = 500;

/// An arithmetic operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    /// The sum.
    Add,
    /// The difference.
    Subtract,
    /// The product.
    Multiply,
    /// The quotient; null for a divisor of zero.
    Divide,
    /// The greatest multiple of the second number, which is positive, that does not exceed the first.
    Bucket,
}

impl Arithmetic {
    const ALL: [(&'static str, Arithmetic); 4] = [
        ("add", Arithmetic::Add),
        ("subtract", Arithmetic::Subtract),
        ("multiply", Arithmetic::Multiply),
        ("divide", Arithmetic::Divide),
    ];

    /// The operations' names in requests.
    pub(in crate::plan) fn names() -> impl Iterator<Item = &'static str> + Clone {
        Self::ALL.into_iter().map(|(name, _)| name)
    }

    /// The operation of an object and its name, if it is arithmetic.
    pub(in crate::plan) fn asked(
        object: &Map<String, Value>,
    ) -> Option<(&'static str, Arithmetic)> {
        Self::ALL.into_iter().find(|(name, _)| has(object, name))
    }

    fn takes(self, operands: usize) -> bool {
        match self {
            Arithmetic::Add | Arithmetic::Multiply => operands >= 2,
            Arithmetic::Subtract | Arithmetic::Divide | Arithmetic::Bucket => operands == 2,
        }
    }
}

impl<'v> Scope<'v> {
    /// The value that is measured: a column, `{"column": …, "path": […]}` for a member of its JSON, or a computed
    /// value.
    ///
    /// # Errors
    ///
    /// As [`Scope::reach`] and [`Scope::arithmetic`], at `at` or inside it.
    pub(in crate::plan) fn expression(
        &self,
        table: &'v TableView,
        of: &Value,
        at: &str,
    ) -> Result<Expression<'v>> {
        match of {
            Value::Object(object) if !object.contains_key("column") => {
                check_one(object, at)?;
                self.arithmetic(table, object, at)
            }
            of => self.column_or_member(table, of, at).map(Expression::Column),
        }
    }

    /// As [`Scope::expression`], for a value that is written: values of earlier rows may be all that is in it.
    ///
    /// # Errors
    ///
    /// As [`Scope::expression`].
    pub(in crate::plan) fn written_expression(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Expression<'v>> {
        if object.contains_key("column") {
            return self.expression(table, &Value::Object(object.clone()), at);
        }
        check_one(object, at)?;
        let expression = Parser { scope: self, table, nodes: 0 }.computed(object, at, 0)?;
        if expression.is_constant() && !expression.refers() {
            return Err(no_columns(at).hint(FORM));
        }
        Ok(expression)
    }

    /// The arithmetic of an object, which may have further members.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `unknown_relation`, `forbidden` for a masked or encrypted column, `invalid_value` for
    /// something that is not a number, or `limit_exceeded`.
    pub(in crate::plan) fn arithmetic(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Expression<'v>> {
        let expression = Parser { scope: self, table, nodes: 0 }.computed(object, at, 0)?;
        if expression.is_constant() {
            return Err(no_columns(at).hint(FORM));
        }
        Ok(expression)
    }

    fn column_or_member(&self, table: &'v TableView, of: &Value, at: &str) -> Result<Reached<'v>> {
        let reach = |name: &str, at: &str| {
            self.reach(table, name).map_err(|error| self.not_reached(table, name, error.inside(at)))
        };
        match of {
            Value::String(name) => reach(name, at),
            Value::Object(object) => {
                check_members(object, ["column", "path"].into_iter(), "a value has no member")
                    .map_err(|error| error.inside(at))?;
                let at_column = below(at, "column");
                let Some(name) = object.get("column").and_then(Value::as_str) else {
                    return Err(unfit().at(at_column));
                };
                let reached = reach(name, &at_column)?;
                match object.get("path").filter(|path| !path.is_null()) {
                    Some(path) => reached.at_path(self, path, &below(at, "path")),
                    None => Ok(reached),
                }
            }
            _ => Err(unfit().at(at)),
        }
    }
}

/// Parses arithmetic, and counts its parts.
pub(super) struct Parser<'s, 'v> {
    pub(super) scope: &'s Scope<'v>,
    pub(super) table: &'v TableView,
    nodes: usize,
}

impl<'v> Parser<'_, 'v> {
    fn computed(
        &mut self,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Expression<'v>> {
        self.count(at, depth)?;
        let (name, arithmetic) = match Operation::asked(object) {
            Some((name, Operation::Arithmetic(arithmetic))) => (name, arithmetic),
            Some((name, Operation::Total(function))) => {
                return self.total(object, (name, function), at, depth);
            }
            None => return Err(unfit().at(at)),
        };
        let unit = Unit::asked(object, at)?;
        let (outside, at) = (at, below(at, name));
        let items = object.get(name).and_then(Value::as_array).map(Vec::as_slice);
        let Some(items) = items.filter(|items| arithmetic.takes(items.len())) else {
            let message = match arithmetic.takes(3) {
                true => format!("{name} takes a list of two values or more"),
                false => format!("{name} takes a list of two values"),
            };
            return Err(Error::new(Code::InvalidValue, message)
                .at(at)
                .hint(format!("{{{name:?}: [\"price\", 2]}}")));
        };
        let places = (0..items.len()).map(|index| below(&at, &index.to_string()));
        let places: Vec<String> = places.collect();
        if arithmetic == Arithmetic::Subtract
            && let ([later, earlier], [first, second]) = (items, places.as_slice())
            && items.iter().any(|item| now::asked(item).is_some())
        {
            let unit = unit.unwrap_or(Unit::Days);
            return self.since([(later, first), (earlier, second)], unit, &at, depth);
        }
        if let Some(moved) = self.moved(arithmetic, items, &places, depth)? {
            return match unit {
                None => Ok(moved),
                Some(_) => Err(no_unit(outside)),
            };
        }
        let operands = items.iter().zip(&places);
        let operands = operands.map(|(item, at)| self.operand(item, at, depth + 1));
        let operands: Vec<Expression<'v>> = operands.collect::<Result<_>>()?;
        if arithmetic == Arithmetic::Subtract
            && let [later, earlier] = operands.as_slice()
            && let Some(elapsed) = elapsed([later, earlier], unit.unwrap_or(Unit::Days))
        {
            return elapsed.map_err(|error| error.at(at));
        }
        if unit.is_some() {
            return Err(no_unit(outside));
        }
        for (operand, at) in operands.iter().zip(places) {
            self.number(operand).map_err(|error| error.at(at))?;
        }
        Ok(Expression::Computed(arithmetic, operands))
    }

    pub(super) fn operand(
        &mut self,
        item: &Value,
        at: &str,
        depth: usize,
    ) -> Result<Expression<'v>> {
        match item {
            item if is_constant(self.table, item) => {
                self.count(at, depth)?;
                let number = self.scope.operand_of(DataType::numeric(), "numeric", item, at)?;
                Ok(Expression::Number(number))
            }
            Value::Object(object) if object.len() == 1 && has(object, "$ref") => {
                self.count(at, depth)?;
                self.given(item, at)
            }
            Value::Object(object) if !object.contains_key("column") => {
                check_one(object, at)?;
                self.computed(object, at, depth)
            }
            _ => {
                self.count(at, depth)?;
                let reached = self.scope.column_or_member(self.table, item, at);
                Ok(Expression::Column(reached.map_err(|error| match moved::is_span(item) {
                    true => error.hint(moved::FORM),
                    false => error,
                })?))
            }
        }
    }

    /// The value of an earlier operation's row: a point in time if that is what its column holds, else a number.
    fn given(&self, item: &Value, at: &str) -> Result<Expression<'v>> {
        let operand = self.scope.operand_of(DataType::numeric(), "numeric", item, at)?;
        let Source::Reference { reference, .. } = &operand.source else {
            return Ok(Expression::Number(operand));
        };
        let earlier = self.scope.earlier.get(reference.operation).map(Earlier::rows);
        let column = earlier.and_then(|rows| rows.table.column(&reference.column));
        match column.map(|(_, column)| column.data_type.shared_base()) {
            Some(moment) if moment.has_day() => {
                let operand = self.scope.operand_of(&moment, &moment.name, item, at)?;
                Ok(Expression::Given(operand, moment))
            }
            _ => Ok(Expression::Given(operand, Arc::clone(DataType::numeric()))),
        }
    }

    /// Refuses a column without numbers.
    pub(super) fn number(&self, operand: &Expression<'v>) -> Result<()> {
        if let Expression::Given(_, moment) = operand
            && moment.has_day()
        {
            let message = format!("the value referred to is {}, not a number", moment.name);
            return Err(Error::new(Code::InvalidValue, message));
        }
        let Some(reached) = operand.like() else { return Ok(()) };
        let column = &reached.column;
        if reached.member.is_some() || column.data_type.is_amount() {
            return Ok(());
        }
        let message = format!("{} is {}, not a number", column.name, column.type_name);
        let error = Error::new(Code::InvalidValue, message);
        if reached.is_day() {
            let between = "{\"subtract\": [\"later\", \"earlier\"]}";
            return Err(error.hint(format!(
                "{between} of two points in time is a number of days; \"unit\": \"hours\" beside it, of hours; {} is another",
                moved::FORM
            )));
        }
        let owner = reached.owner(self.table);
        Err(error.allowed(owner.names_of(|column| column.data_type.is_amount())))
    }

    pub(super) fn count(&mut self, at: &str, depth: usize) -> Result<()> {
        let limits = &self.scope.view.limits;
        let parts = limits.max_nodes.min(ARITHMETIC_MOST);
        self.nodes += 1;
        let (bound, most) = if depth > limits.max_depth {
            let most = limits.max_depth;
            ("max_depth", format!("be nested at most {most} levels deep"))
        } else if self.nodes > parts {
            ("max_nodes", format!("have at most {parts} parts"))
        } else {
            return Ok(());
        };
        Err(Error::exceeded(bound, format!("a computed value may {most}")).at(at))
    }
}

/// Whether an operand is a number of the request, which may be given as its digits: a column or relation that is
/// called like this wins, except in `{"$literal": …}`.
fn is_constant(table: &TableView, item: &Value) -> bool {
    match item {
        Value::Number(_) => true,
        Value::String(text) => {
            let name = text.split('.').next().unwrap_or_default();
            let relation = || Relation::find(&table.relations, name);
            is_digits(text) && table.column(text).is_none() && relation() == Found::Unknown
        }
        Value::Object(object) if object.len() == 1 => match object.get("$literal") {
            Some(Value::String(text)) => is_digits(text),
            literal => literal.is_some_and(Value::is_number),
        },
        _ => false,
    }
}

/// Whether a text is a number without an exponent, and short enough to compute with.
pub(in crate::plan) fn is_digits(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= DIGITS.into() && digits(whole) && digits(fraction)
}

/// Refuses an object with no operation or with several.
fn check_one(object: &Map<String, Value>, at: &str) -> Result<()> {
    let beside = operation::members(object).map(|[_, beside]| beside).unwrap_or(UNIT);
    let named = || object.keys().filter(|key| *key != beside);
    let other = named().find(|key| operation::names().all(|name| name != key.as_str()));
    match other {
        Some(other) => Err(unknown_arithmetic(other).at(below(at, other))),
        None if named().count() == 1 => Ok(()),
        None => Err(unfit().at(at)),
    }
}

/// The error for a unit without a difference of times.
fn no_unit(at: &str) -> Error {
    let message = "a unit goes with the difference of two points in time";
    let error = Error::new(Code::InvalidValue, message).at(below(at, UNIT));
    error.hint("{\"subtract\": [\"later\", \"earlier\"], \"unit\": \"hours\"}")
}

pub(super) fn no_columns(at: &str) -> Error {
    Error::new(Code::InvalidValue, "there is no column to compute with").at(at)
}

fn unfit() -> Error {
    Error::new(Code::InvalidValue, "expected a column's name, or a computation").hint(FORM)
}
