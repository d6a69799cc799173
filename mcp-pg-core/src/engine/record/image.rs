//! Images: rows in a record, before and after a write.

use serde_json::{Map, Value, json};

use super::redaction::Redaction;
use crate::audit::PART_MOST;
use crate::engine::size::size;

/// Rows, with hidden values replaced: all of them, or none if a record has no room for them.
#[derive(Default)]
pub(super) struct Image {
    rows: Vec<Value>,
    /// The size of the JSON in bytes, as far as rows were added.
    bytes: usize,
    /// Whether further rows are missing.
    cut: bool,
}

impl Image {
    /// Adds rows. `cut` tells that further rows are missing.
    pub(super) fn add(&mut self, rows: &[Map<String, Value>], cut: bool, redaction: &Redaction) {
        self.cut |= cut;
        for row in rows {
            let row = redaction.row(row);
            self.bytes += size(&row) + 1;
            self.rows.push(row);
            if self.bytes > PART_MOST {
                self.rows.clear();
            }
        }
    }

    /// The rows for the record.
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
