//! Upserts that count: `{"$increment": 1}` in a new row is added to the value of an existing row with the same key.

use serde_json::Value;

use super::arbiter::{Arbiter, Overwrite};
use super::assign::{Assign, fits};
use super::computation::Computation;
use super::insert::Given;
use crate::error::{Code, Error, Result, below};
use crate::plan::Scope;
use crate::policy::TableView;
use crate::schema::Column;

const INCREMENT: &str = "$increment";

impl<'v> Arbiter<'v> {
    /// Makes existing rows add the amounts that new rows give as `{"$increment": …}`. Returns these columns.
    ///
    /// # Errors
    ///
    /// `forbidden` for a column whose value the caller may not know; `invalid_value` if only some rows give an
    /// amount.
    pub(super) fn count_up(
        &mut self,
        table: &TableView,
        rows: &[Given<'_>],
        at: &dyn Fn(usize) -> String,
    ) -> Result<Vec<&'v Column>> {
        let counts = |row: &Given<'_>, column: &Column| {
            row.get(&column.name).is_some_and(|value| amount(value).is_some())
        };
        let mut counted = Vec::new();
        for (column, overwrite) in &mut self.set {
            let first = rows.iter().position(|row| counts(row, column));
            let Some(first) = first.filter(|_| matches!(overwrite, Overwrite::Given)) else {
                continue;
            };
            require_known(table, column, &below(&at(first), &column.name))?;
            if let Some(other) = rows.iter().position(|row| !counts(row, column)) {
                let message =
                    format!("other rows increment {}: either all rows do, or none", column.name);
                return Err(Error::new(Code::InvalidValue, message)
                    .at(below(&at(other), &column.name))
                    .hint("{\"$increment\": 1}, or a call of its own for this row"));
            }
            *overwrite = Overwrite::Added;
            counted.push(*column);
        }
        self.counts_all(rows, at)?;
        Ok(counted)
    }

    /// Refuses an amount for a column that existing rows keep, although others of theirs are set.
    fn counts_all(&self, rows: &[Given<'_>], at: &dyn Fn(usize) -> String) -> Result<()> {
        let known = |name: &str| {
            let set = self.set.iter().map(|(column, _)| *column);
            self.set.is_empty() || set.chain(self.columns.iter().copied()).any(|c| c.name == name)
        };
        for (index, row) in rows.iter().enumerate() {
            let mut amounts = row.iter().filter(|(_, value)| amount(value).is_some());
            if let Some((name, _)) = amounts.find(|(name, _)| !known(name)) {
                let message = format!(
                    "$increment adds to the existing row, whose {name} on_conflict.update leaves as it is"
                );
                return Err(Error::new(Code::InvalidValue, message)
                    .at(below(&below(&at(index), name), INCREMENT))
                    .hint(format!("name {name} in on_conflict.update, too")));
            }
        }
        Ok(())
    }
}

/// Refuses a computation with a value that the caller may not know, because an overflow would reveal it.
pub(super) fn require_known(table: &TableView, column: &Column, at: &str) -> Result<()> {
    let name = &column.name;
    let masked = table.table.column(name).and_then(|(position, _)| table.mask(position));
    let why = match masked {
        Some(_) => "is masked",
        None if !column.can_select => "cannot be read",
        None => return Ok(()),
    };
    let message = format!("{name} {why}: it can be set to a value, not computed");
    Err(Error::new(Code::Forbidden, message).at(at))
}

impl<'v> Scope<'v> {
    /// The value of a new row: the amount.
    ///
    /// # Errors
    ///
    /// `invalid_value`, inside `at`.
    pub(super) fn amount(&self, column: &Column, value: &Value, at: &str) -> Result<Assign<'v>> {
        let argument = amount(value).unwrap_or(value);
        let at = &below(at, INCREMENT);
        let asked = Computation { column, key: INCREMENT, argument, at };
        let base = column.data_type.base();
        if !base.is_amount() && !base.is_interval() {
            return Err(asked.needs("a number or an interval in a new row"));
        }
        let operand = self.taken(&asked)?;
        fits(column, &operand, at)?;
        Ok(Assign::Value(operand))
    }
}

/// The amount of a `$increment`.
fn amount(value: &Value) -> Option<&Value> {
    value.as_object().filter(|members| members.len() == 1)?.get(INCREMENT)
}
