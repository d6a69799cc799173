//! Values with several parts: bounds of a range, fields of a composite, also within arrays and multiranges. An update must
//! give all of them.

use serde_json::Value;

use crate::error::{Code, Error, Result, below};
use crate::schema::{DataType, Kind};

/// Refuses an object without all parts, because an update would remove the missing ones.
///
/// # Errors
///
/// `missing_value`, inside `at`.
pub(super) fn require_whole(data_type: &DataType, value: &Value, at: &str) -> Result<()> {
    let members = match value {
        Value::Object(members) => members,
        Value::Array(items) => return require_items_whole(data_type, items, at),
        _ => return Ok(()),
    };
    let fields = match &data_type.base().kind {
        Kind::Composite(fields) => fields.as_slice(),
        _ => &[],
    };
    let ends: &[&str] = match &data_type.base().kind {
        Kind::Range(_) if members.get("bounds").is_none_or(|bounds| bounds != "empty") => {
            &["lower", "upper"]
        }
        _ => &[],
    };
    let mut parts = fields.iter().map(|field| field.name.as_str()).chain(ends.iter().copied());
    if let Some(missing) = parts.find(|part| !members.contains_key(*part)) {
        let message = format!("{missing} is missing: a write replaces the whole value");
        return Err(Error::new(Code::MissingValue, message)
            .at(below(at, missing))
            .hint("give the parts to keep, too; null means none"));
    }
    for field in fields {
        if let Some(value) = members.get(&field.name) {
            require_whole(&field.data_type, value, &below(at, &field.name))?;
        }
    }
    Ok(())
}

fn require_items_whole(data_type: &DataType, items: &[Value], at: &str) -> Result<()> {
    let part = match &data_type.base().kind {
        Kind::Array { element, .. } => element,
        Kind::Multirange(range) => range,
        _ => return Ok(()),
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("{at}/{index}");
        match item {
            // Of an array of several dimensions.
            Value::Array(items) => require_items_whole(data_type, items, &at)?,
            item => require_whole(part, item, &at)?,
        }
    }
    Ok(())
}
