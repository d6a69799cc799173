//! Writes to encrypted columns, and the conditions on them that are possible.

use serde_json::{Map, Value};

use super::assign::not_null;
use crate::error::{Code, Error, Result, below};
use crate::plan::condition::filter::wrong;
use crate::plan::{Assign, Scope};
use crate::policy::{Sealed, TableView};
use crate::schema::{Column, Operator};

/// The operators of a blind index.
const OPERATORS: [Operator; 3] = [Operator::Eq, Operator::In, Operator::IsNull];

impl<'v> Scope<'v> {
    /// The assignments to an encrypted column and to its blind index.
    ///
    /// # Errors
    ///
    /// `invalid_value` at `at` if it is not a plain value of the column's type.
    pub(in crate::plan) fn assign_sealed(
        &self,
        sealed: &'v Sealed,
        column: &'v Column,
        value: &Value,
        at: &str,
    ) -> Result<Vec<(&'v Column, Assign<'v>)>> {
        let (value, at) = literal(value, at)?;
        if value.is_null() && !column.nullable {
            return Err(not_null(column).at(at));
        }
        // Checked like a value that is not encrypted: text, or base64.
        self.operand(column, value, &at)?;
        let written = self.operand(column, &sealed.seal(value)?, &at)?;
        let mut set = vec![(column, Assign::Value(written))];
        if let Some(index) = sealed.index() {
            set.push((index, Assign::Value(self.operand(index, &sealed.digest(value), &at)?)));
        }
        Ok(set)
    }

    /// The condition on the blind index for a condition on an encrypted column.
    ///
    /// # Errors
    ///
    /// `unknown_operator` for anything but equality, `invalid_value` if it is not a plain value.
    pub(in crate::plan) fn indexed(
        &self,
        table: &TableView,
        column: &Column,
        sealed: &Sealed,
        value: &Value,
        at: &str,
    ) -> Result<Value> {
        let digest = |value: &Value, at: &str| -> Result<Value> {
            let (value, at) = literal(value, at)?;
            self.operand(column, value, &at)?;
            Ok(sealed.digest(value))
        };
        let list = |items: &[Value], at: &str| -> Result<Value> {
            items.iter().enumerate().map(|(i, item)| digest(item, &format!("{at}/{i}"))).collect()
        };
        match value {
            Value::Object(object) if object.is_empty() => Err(wrong("an operator is missing", at)),
            Value::Object(object)
                if !["$literal", "$ref"].iter().any(|key| object.contains_key(*key)) =>
            {
                let mut tests = Map::new();
                for (key, operand) in object {
                    let at = below(at, key);
                    let test = match (key.as_str(), operand) {
                        ("eq", operand) => digest(operand, &at)?,
                        ("in", Value::Array(items)) => list(items, &at)?,
                        ("in", item) => Value::Array(vec![digest(item, &at)?]),
                        ("is_null", flag) => flag.clone(),
                        _ => {
                            return Err(Error::new(
                                Code::UnknownOperator,
                                format!(
                                    "{} of {} is encrypted: it can only be tested for equality",
                                    column.name,
                                    table.name()
                                ),
                            )
                            .at(at)
                            .allowed(OPERATORS.map(Operator::as_str)));
                        }
                    };
                    tests.insert(key.clone(), test);
                }
                Ok(Value::Object(tests))
            }
            Value::Array(items) => list(items, at),
            value => digest(value, at),
        }
    }
}

/// The value and its place. A value to encrypt must be known to the server.
fn literal<'a>(value: &'a Value, at: &str) -> Result<(&'a Value, String)> {
    let Value::Object(object) = value else { return Ok((value, at.to_owned())) };
    match object.get("$literal") {
        Some(literal) if object.len() == 1 => Ok((literal, format!("{at}/$literal"))),
        _ => Err(wrong("an encrypted column takes a plain value", at)),
    }
}
