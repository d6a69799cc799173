//! Writes to encrypted columns.

use serde_json::Value;

use super::assign::not_null;
use crate::error::Result;
use crate::plan::condition::sealed::literal;
use crate::plan::{Assign, Scope};
use crate::policy::Sealed;
use crate::schema::Column;

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
}
