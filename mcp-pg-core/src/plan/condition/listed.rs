//! Conditions that a value is one of a list, or none of it.

use serde_json::Value;

use super::comparison::{Comparison, no_dates};
use super::filter::Parser;
use crate::error::{Result, below};
use crate::plan::expression::now;
use crate::plan::{Operand, Predicate, Slot};
use crate::schema::{DataType, Family, Operator};

impl<'v> Parser<'_, 'v> {
    /// One of a list, or none of it; null is one of the values here, though not to SQL.
    pub(super) fn list(
        &mut self,
        column: &Slot<'v>,
        path: Option<&Operand>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let (scope, negated) = (self.scope, operator == Operator::NotIn);
        self.scope.short(value, at)?;
        let items: Vec<(Option<usize>, &Value)> = match value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| (Some(index), item)).collect()
            }
            lone => vec![(None, lone)],
        };
        // Every row meets that, which no write is to take for a condition, or none does.
        if items.is_empty() {
            return Ok(if negated { Predicate::always() } else { Predicate::never() });
        }
        let place = |index: Option<usize>| match index {
            Some(index) => below(at, &index.to_string()),
            None => at.to_owned(),
        };
        let (nulls, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(_, item)| literal(item).is_null());
        if path.is_some()
            && let Some((index, _)) = items.iter().find(|(_, item)| now::asked(item).is_some())
        {
            return Err(no_dates(&place(*index)));
        }
        // What an earlier operation gives is no part of a list that is known now.
        let (references, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(_, item)| is_reference(item));
        let data_type = match path {
            None => &column.data_type,
            Some(_) => DataType::jsonb(),
        };
        let type_name = if path.is_none() { &column.type_name } else { &data_type.name };
        let test = |comparison| Predicate::Test {
            column: column.clone(),
            path: path.cloned(),
            comparison,
        };
        let equal = |(index, item): &(Option<usize>, &Value)| {
            let operand = scope.operand_of(data_type, type_name, item, &place(*index))?;
            Ok(test(Comparison::Binary(Operator::Eq, operand)))
        };
        // An array of arrays would be one flat list to PostgreSQL.
        let listed = if data_type.family() == Family::Array {
            let any = Predicate::Any(items.iter().map(equal).collect::<Result<_>>()?);
            if negated { Predicate::Not(Box::new(any)) } else { any }
        } else {
            let list = DataType::list_of(data_type);
            let values = items.iter().map(|(_, item)| literal(item).clone()).collect();
            let operand = scope.operand_of(&list, &list.name, &Value::Array(values), at);
            let operand = operand.or_else(|error| {
                // Its place counts without the nulls: whichever item is wrong says it right.
                let each = items.iter().map(|(index, item)| {
                    scope.operand_of(data_type, type_name, item, &place(*index))
                });
                each.collect::<Result<Vec<_>>>().and(Err(error))
            })?;
            test(Comparison::Listed(negated, operand))
        };
        let referred: Vec<_> = references.iter().map(equal).collect::<Result<_>>()?;
        let listed = match (referred.is_empty(), negated) {
            (true, _) => listed,
            (false, false) => Predicate::Any([vec![listed], referred].concat()),
            (false, true) => {
                Predicate::All(vec![listed, Predicate::Not(Box::new(Predicate::Any(referred)))])
            }
        };
        Ok(match (nulls.is_empty(), negated) {
            (true, _) => listed,
            (false, false) => Predicate::Any(vec![listed, test(Comparison::Null(true))]),
            (false, true) => Predicate::All(vec![listed, test(Comparison::Null(false))]),
        })
    }
}

/// Whether a value is `{"$ref": …}`.
fn is_reference(value: &Value) -> bool {
    value.as_object().is_some_and(|object| object.len() == 1 && object.contains_key("$ref"))
}

/// What a value is, be it spelled `{"$literal": …}` or not.
fn literal(value: &Value) -> &Value {
    let members = value.as_object().filter(|members| members.len() == 1);
    members.and_then(|members| members.get("$literal")).unwrap_or(value)
}
