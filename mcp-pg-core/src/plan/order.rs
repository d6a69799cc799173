//! Sort keys.

use serde_json::Value;

use super::Scope;
use crate::error::{Code, Error, Result};
use crate::policy::TableView;

/// A sort key: a column, a direction, and where nulls go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sort {
    /// Position of the column.
    pub column: usize,
    /// Largest first.
    pub descending: bool,
    /// Nulls after all values.
    pub nulls_last: bool,
}

impl Sort {
    /// A key in a direction, with nulls where PostgreSQL puts them: they count as the largest.
    pub fn new(column: usize, descending: bool) -> Self {
        Self { column, descending, nulls_last: !descending }
    }
}

impl<'v> Scope<'v> {
    /// The sort keys of `order_by`.
    ///
    /// # Errors
    ///
    /// `unknown_column`, or `invalid_value` for a type that has no order.
    pub fn order(&self, table: &'v TableView, order_by: Option<&[Value]>) -> Result<Vec<Sort>> {
        let mut keys: Vec<Sort> = Vec::new();
        for (index, item) in order_by.unwrap_or_default().iter().enumerate() {
            let at = format!("/order_by/{index}");
            let key = sort(table, item).map_err(|error| error.inside(&at))?;
            // A second key on the same column can change nothing.
            if !keys.iter().any(|known| known.column == key.column) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

fn sort(table: &TableView, item: &Value) -> Result<Sort> {
    let wrong = |message: &str| {
        Error::new(Code::InvalidValue, message).hint(
            "\"name\", \"-name\" for descending, or {\"column\": \"name\", \"direction\": \"desc\", \"nulls\": \"last\"}",
        )
    };
    match item {
        Value::String(text) => {
            // A column may be called "-x": its own name comes first.
            let (name, descending) = match text.strip_prefix('-') {
                Some(rest) if table.table.column(text).is_none() => (rest, true),
                _ => (text.as_str(), false),
            };
            Ok(Sort::new(sortable(table, name)?, descending))
        }
        Value::Object(object) => {
            const MEMBERS: [&str; 3] = ["column", "direction", "nulls"];
            if let Some(unknown) = object.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
                return Err(Error::new(
                    Code::UnknownArgument,
                    format!("a sort key has no member {unknown:?}"),
                )
                .at(crate::error::step(unknown))
                .nearest(unknown, MEMBERS)
                .allowed(MEMBERS));
            }
            let Some(name) = object.get("column").and_then(Value::as_str) else {
                return Err(wrong("a sort key needs a column").at("/column"));
            };
            let column = sortable(table, name).map_err(|error| error.inside("/column"))?;
            let choice = |member: &str, first: &str, second: &str| match object
                .get(member)
                .map(|value| value.as_str().unwrap_or_default())
            {
                None => Ok(None),
                Some(text) if text.eq_ignore_ascii_case(first) => Ok(Some(false)),
                Some(text) if text.eq_ignore_ascii_case(second) => Ok(Some(true)),
                Some(_) => Err(wrong(&format!("{member} is {first:?} or {second:?}"))
                    .at(crate::error::step(member))
                    .allowed([first, second])),
            };
            let key = Sort::new(column, choice("direction", "asc", "desc")?.unwrap_or(false));
            Ok(match choice("nulls", "first", "last")? {
                Some(nulls_last) => Sort { nulls_last, ..key },
                None => key,
            })
        }
        _ => Err(wrong("a sort key is a column's name or an object")),
    }
}

fn sortable(table: &TableView, name: &str) -> Result<usize> {
    let position = table.usable(name)?;
    let column = &table.table.columns[position];
    if column.data_type.ordering {
        return Ok(position);
    }
    let sortable = table.table.columns.iter().filter(|c| c.can_select && c.data_type.ordering);
    Err(Error::new(
        Code::InvalidValue,
        format!("{} is {}, which has no order", column.name, column.type_name),
    )
    .allowed(sortable.map(|column| column.name.as_str())))
}
