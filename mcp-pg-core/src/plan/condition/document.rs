//! Conditions on JSON documents that consist of several conditions on the same column.

use serde_json::{Map, Value};

use super::filter::{Parser, one_or, wrong};
use crate::error::{Result, below};
use crate::plan::advice;
use crate::plan::{Predicate, Slot};
use crate::policy::TableView;

/// The form of a condition on a member.
const PART: &str = "{\"path\": [\"key\"], \"eq\": …}";

/// The words that join conditions.
const JOINING: [&str; 3] = ["and", "or", "not"];

impl<'v> Parser<'_, 'v> {
    /// `{"and": [{"path": ["name"], "eq": "dark"}, …]}`, `or` and `not` on a JSON column; `None` for other conditions.
    pub(super) fn joined(
        &mut self,
        table: &'v TableView,
        position: usize,
        value: &Value,
        at: &str,
    ) -> Result<Option<Predicate<'v>>> {
        let joins = |members: &&Map<String, Value>| {
            !members.is_empty() && members.keys().all(|key| JOINING.contains(&key.as_str()))
        };
        let json = table.table.columns[position].data_type.is_json();
        let Some(members) = value.as_object().filter(|members| json && joins(members)) else {
            return Ok(None);
        };
        let all = members.iter().map(|(key, value)| {
            let at = below(at, key);
            if key == "not" {
                return Ok(Predicate::Not(Box::new(self.part(table, position, value, &at)?)));
            }
            let Some(parts) = value.as_array().filter(|parts| !parts.is_empty()) else {
                let error = wrong(format!("{key} takes a list of condition objects"), &at);
                return Err(error.hint(format!("[{PART}, {{…}}]")));
            };
            let parts = parts.iter().enumerate().map(|(index, part)| {
                self.part(table, position, part, &below(&at, &index.to_string()))
            });
            let parts = parts.collect::<Result<_>>()?;
            Ok(if key == "or" { Predicate::Any(parts) } else { Predicate::All(parts) })
        });
        Ok(Some(one_or(all.collect::<Result<_>>()?, Predicate::All)))
    }

    fn part(
        &mut self,
        table: &'v TableView,
        position: usize,
        condition: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        if !condition.is_object() {
            return Err(wrong("a condition is an object", at).hint(PART));
        }
        self.deeper(at, |parser| parser.of_column(table, position, condition, at))
    }
}

/// Refuses what would be compared with whole documents, although conditions on their members may be meant: an object without an
/// operator, and a list of conditions.
///
/// # Errors
///
/// `unknown_operator`, `invalid_value`.
pub(super) fn require_operator(column: &Slot<'_>, value: &Value, at: &str) -> Result<()> {
    let is_condition = |item: &Value| {
        let members = item.as_object();
        members.is_some_and(|members| members.len() > 1 && members.contains_key("path"))
    };
    match value {
        _ if !column.data_type.is_json() => Ok(()),
        Value::Object(members) => match members.keys().next() {
            Some(key) if key != "$ref" && key != "$literal" => {
                Err(advice::not_a_document(column, members).at(below(at, key)))
            }
            Some(_) => Ok(()),
            None => Err(wrong("an operator is missing", at).hint(column.condition("\"eq\": {}"))),
        },
        Value::Array(items) if items.iter().any(is_condition) => {
            let hint = column.condition(&format!("\"and\": [{PART}, {{…}}]"));
            Err(wrong("a list of conditions is joined by and, or by or", at).hint(hint))
        }
        _ => Ok(()),
    }
}
