//! Where a page of rows begins.

use serde_json::Value;

use crate::error::{Code, Error, Result};
use crate::plan::{Cursor, Operand, Sort};

/// Where a page begins.
#[derive(Debug, Clone)]
pub enum Start {
    /// After this number of rows.
    Offset(u64),
    /// After a row.
    After(After),
}

/// The row that a page begins after.
#[derive(Debug, Clone)]
pub struct After {
    /// Its sort keys.
    pub values: Vec<Operand>,
    /// Its sort keys, as in the cursor.
    pub(in crate::plan) keys: Vec<Value>,
    /// The number of rows after it that are left out, too.
    pub skip: u64,
}

impl Start {
    /// After this number of rows; at the beginning if absent.
    pub(super) fn offset(offset: Option<u64>) -> Result<Self> {
        let offset = offset.unwrap_or_default();
        match i64::try_from(offset) {
            Ok(_) => Ok(Self::Offset(offset)),
            Err(_) => Err(Error::new(Code::InvalidValue, "the offset is too large").at("/offset")),
        }
    }

    /// At the place in a cursor.
    pub(super) fn at(cursor: Cursor, order: &[Sort<'_>], keyset: bool) -> Result<Self> {
        let (keys, skip) = match cursor {
            Cursor::Offset(offset) => {
                return Self::offset(Some(offset)).map_err(|_| super::cursor::invalid());
            }
            Cursor::Key(keys) => (keys, 0),
            Cursor::Past(keys, skip) => (keys, skip),
        };
        if !keyset || keys.len() != order.len() || i64::try_from(skip).is_err() {
            return Err(super::cursor::invalid());
        }
        let value = |(sort, key): (&Sort<'_>, &Value)| {
            let text = sort.encode(key).map_err(|_| super::cursor::invalid())?;
            Ok(Operand::own(text))
        };
        let values = order.iter().zip(&keys).map(value).collect::<Result<_>>()?;
        Ok(Self::After(After { values, keys, skip }))
    }

    /// The cursor of the page that begins this number of rows later.
    pub fn further(&self, rows: u64) -> Cursor {
        match self {
            Self::Offset(offset) => Cursor::Offset(offset.saturating_add(rows)),
            Self::After(after) => Cursor::Past(after.keys.clone(), after.skip.saturating_add(rows)),
        }
    }

    /// The number of rows that OFFSET skips.
    pub fn skipped(&self) -> u64 {
        match self {
            Self::Offset(offset) => *offset,
            Self::After(after) => after.skip,
        }
    }
}
