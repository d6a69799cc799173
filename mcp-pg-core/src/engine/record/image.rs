//! Images of rows in a record: before and after a write.

use serde_json::{Map, Value, json};

use super::redaction::Redaction;
use crate::audit::PART_MOST;

/// Rows as they were or are, with what may not be kept replaced: all of them, or none if a record has no room
/// for them.
#[derive(Default)]
pub(super) struct Image {
    rows: Vec<Value>,
    /// Those of its JSON, as far as it was given the rows.
    bytes: usize,
    /// Whether there are more rows.
    cut: bool,
}

impl Image {
    /// Adds rows; `cut` says that some are missing.
    pub(super) fn add(&mut self, rows: &[Map<String, Value>], cut: bool, redaction: &Redaction) {
        self.cut |= cut;
        for row in rows {
            let row = redaction.row(row);
            self.bytes += row.to_string().len() + 1;
            self.rows.push(row);
            if self.bytes > PART_MOST {
                self.rows.clear();
            }
        }
    }

    /// What a record holds of it.
    pub(super) fn kept(&self) -> Option<Value> {
        let Self { rows, bytes, cut } = self;
        match bytes {
            _ if *cut => Some(json!({"omitted": format!("more than {bytes} bytes")})),
            0 => None,
            1..=PART_MOST => Some(rows.iter().cloned().collect()),
            _ => Some(json!({"omitted": format!("{} bytes", bytes + 1)})),
        }
    }
}
