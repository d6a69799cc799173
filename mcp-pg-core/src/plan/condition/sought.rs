//! Additional conditions that let an index on the text of a JSON member be used.

use std::sync::Arc;

use serde_json::Value;

use super::comparison::Comparison;
use super::filter::Parser;
use crate::error::{Result, below};
use crate::plan::expression::reached::steps;
use crate::plan::{Predicate, Slot};
use crate::policy::TableView;
use crate::schema::{DataType, Operator};
use crate::value::Decoder;

impl<'v> Parser<'_, 'v> {
    /// A test of a member's text that every row passes which meets the condition, if an index of the table begins
    /// with that text. The condition itself stays, because the index does not distinguish a number from its text.
    pub(super) fn sought(
        &self,
        table: &TableView,
        column: &Slot<'v>,
        value: &Value,
        at: &str,
    ) -> Result<Option<Predicate<'v>>> {
        let path = value.get("path").filter(|_| column.data_type.is_json());
        let (Some(path), Some(whole)) = (path, column.whole()) else { return Ok(None) };
        let keys: Vec<String> = steps(path).collect();
        let Some(text) = table.table.indexed_text(whole, &keys) else { return Ok(None) };
        let texts = |list: &Vec<Value>| !list.is_empty() && list.iter().all(Value::is_string);
        let comparison = match (value.get("eq"), value.get("in")) {
            (Some(equal @ Value::String(_)), _) => {
                let operand =
                    self.scope.operand_of(DataType::text(), "text", equal, &below(at, "eq"))?;
                Comparison::Binary(Operator::Eq, operand)
            }
            (_, Some(any @ Value::Array(list))) if texts(list) => {
                let operand =
                    self.scope.operand_of(DataType::texts(), "text[]", any, &below(at, "in"))?;
                Comparison::Listed(false, operand)
            }
            _ => return Ok(None),
        };
        let decoder = Decoder::for_type(&text.data_type);
        let column = Slot::Part { whole, part: Arc::new((text, decoder)) };
        Ok(Some(Predicate::Test { column, path: None, comparison }))
    }
}
