//! Conditions between two columns of a row.

use serde_json::{Map, Value};

use super::Predicate;
use super::filter::{Parser, one_or, wrong};
use crate::error::{Result, below};
use crate::policy::TableView;
use crate::schema::{Column, DataType, Operator};

/// The operators that take another column.
const OPERATORS: [Operator; 7] = [
    Operator::Eq,
    Operator::Ne,
    Operator::Gt,
    Operator::Gte,
    Operator::Lt,
    Operator::Lte,
    Operator::IsDistinctFrom,
];

impl<'v> Parser<'_, 'v> {
    /// The condition on a column if it speaks of another: `{"gt": {"$column": "due_at"}}`.
    pub(super) fn beside(
        &mut self,
        table: &'v TableView,
        column: &'v Column,
        value: &Value,
        at: &str,
    ) -> Result<Option<Predicate<'v>>> {
        let Some(members) = value.as_object().filter(|_| !column.data_type.is_json()) else {
            return Ok(None);
        };
        if let Some(name) = another(value) {
            return compared(table, column, Operator::Eq, name, at).map(Some);
        }
        if !members.values().any(|member| another(member).is_some()) {
            return Ok(None);
        }
        let mut rest = Map::new();
        let mut all = Vec::with_capacity(members.len());
        for (key, member) in members {
            let Some(name) = another(member) else {
                rest.insert(key.clone(), member.clone());
                continue;
            };
            let at = below(at, key);
            self.count(&at, 0)?;
            let known = OPERATORS.into_iter().filter(|known| column.data_type.has_operator(*known));
            let Some(operator) = known.clone().find(|known| known.as_str() == key) else {
                let known: Vec<&str> = known.map(Operator::as_str).collect();
                return Err(super::advice::unknown_operator(column, key, &known).at(at));
            };
            all.push(compared(table, column, operator, name, &at)?);
        }
        if !rest.is_empty() {
            all.push(self.column(column, &Value::Object(rest), at)?);
        }
        Ok(Some(one_or(all, Predicate::All)))
    }
}

/// The name in `{"$column": name}`.
fn another(value: &Value) -> Option<&Value> {
    value.as_object().filter(|members| members.len() == 1)?.get("$column")
}

fn compared<'v>(
    table: &'v TableView,
    left: &'v Column,
    operator: Operator,
    name: &Value,
    at: &str,
) -> Result<Predicate<'v>> {
    let at = below(at, "$column");
    let Some(name) = name.as_str() else { return Err(wrong("a column's name is wanted", &at)) };
    let position = table.usable(name).map_err(|error| error.inside(&at))?;
    let right = &table.table.columns[position];
    if !left.data_type.has_operator(operator) || !is_alike(&left.data_type, &right.data_type) {
        let types = (&left.type_name, &right.type_name);
        let message = format!("{} is {}, and {name} is {}", left.name, types.0, types.1);
        let alike = table.readable_columns().map(|position| &table.table.columns[position]);
        let alike = alike.filter(|other| {
            is_alike(&left.data_type, &other.data_type)
                && !std::ptr::eq(*other, left)
                && table.usable(&other.name).is_ok()
        });
        return Err(wrong(message, &at)
            .hint("columns of the same type and collation are compared, or numbers")
            .allowed(alike.map(|other| other.name.as_str())));
    }
    Ok(Predicate::Compared { left, operator, right })
}

/// Whether values of the types compare with each other.
fn is_alike(one: &DataType, other: &DataType) -> bool {
    let (one, other) = (one.base(), other.base());
    one.oid == other.oid && one.collation.goes_with(other.collation)
        || one.is_number() && other.is_number()
}
