//! SQL texts that are kept for a view.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Most texts of a view: requests can take many shapes.
const TEXTS_MOST: usize = 500;

/// Most bytes of a text and of what it is known by. Requests that are larger are rare, and their texts not what they wait for.
const BYTES_MOST: usize = 16 * 1024;

/// Texts by the shape of what they were made from: `statement` makes and reads them, and nothing here does.
#[derive(Debug, Default)]
pub struct Texts(RwLock<HashMap<Vec<u8>, Arc<Text>>>);

/// A statement's text.
#[derive(Debug)]
pub(crate) struct Text {
    /// The text.
    pub(crate) sql: Arc<str>,
    /// Which operand of the shape each parameter is.
    pub(crate) operands: Vec<usize>,
}

impl Texts {
    /// The text that was kept for a shape.
    pub(crate) fn get(&self, shape: &[u8]) -> Option<Arc<Text>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(shape).cloned()
    }

    /// Keeps a text for others of the shape.
    pub(crate) fn keep(&self, shape: Vec<u8>, text: Text) {
        if shape.len() + text.sql.len() > BYTES_MOST {
            return;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= TEXTS_MOST {
            known.clear();
        }
        known.insert(shape, Arc::new(text));
    }
}
