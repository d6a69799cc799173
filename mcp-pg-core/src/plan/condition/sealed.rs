//! The conditions on encrypted columns that are possible.

use serde_json::{Map, Value};

use super::filter::wrong;
use crate::error::{Code, Error, Result, below};
use crate::plan::Scope;
use crate::policy::{Sealed, TableView};
use crate::schema::{Column, Operator};

/// The operators of a blind index.
const OPERATORS: [Operator; 3] = [Operator::Eq, Operator::In, Operator::IsNull];

impl Scope<'_> {
    /// The condition on the blind index for a condition on an encrypted column.
    ///
    /// # Errors
    ///
    /// `unknown_operator` for anything but equality, `invalid_value` if it is not a plain value.
    pub(super) fn indexed(
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
pub(in crate::plan) fn literal<'a>(value: &'a Value, at: &str) -> Result<(&'a Value, String)> {
    let Value::Object(object) = value else { return Ok((value, at.to_owned())) };
    match object.get("$literal") {
        Some(literal) if object.len() == 1 => Ok((literal, format!("{at}/$literal"))),
        _ => Err(wrong("an encrypted column takes a plain value", at)),
    }
}
