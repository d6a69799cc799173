//! The length in a declared type: `bit(3)`, `char(3)`, `varchar(20)`. The cast to it would cut, or fill up, a value of another
//! length.

use crate::error::{Code, Error, Result};
use crate::schema::{DataType, oid};

/// Refuses a text that the cast to its declared type would change.
///
/// # Errors
///
/// `invalid_value`.
pub(super) fn require(data_type: &DataType, type_name: &str, text: &str) -> Result<()> {
    let base = data_type.base().oid;
    let declared = type_name.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    let most: Option<usize> = declared.and_then(|(length, _)| length.trim().parse().ok());
    let length = match base {
        oid::BPCHAR => text.trim_end_matches(' ').chars().count(),
        oid::BIT | oid::VARBIT | oid::VARCHAR => text.chars().count(),
        _ => return Ok(()),
    };
    let digits = || text.chars().all(|digit| matches!(digit, '0' | '1'));
    let fits = |most| match base {
        oid::BIT => length == most || !digits(),
        oid::VARBIT => length <= most || !digits(),
        _ => length <= most,
    };
    if most.is_none_or(fits) {
        return Ok(());
    }
    let message = format!("a value of length {length} does not fit {type_name}");
    Err(Error::new(Code::InvalidValue, message).at(""))
}
