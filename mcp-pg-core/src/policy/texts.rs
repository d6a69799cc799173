//! SQL texts that are kept for a view.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// The maximum number of texts per view: requests can take many shapes.
const TEXTS_MOST: usize = 500;

/// The maximum size of a text and its key, in bytes. Larger requests are rare, and making their text is not what takes time.
const BYTES_MOST: usize = 16 * 1024;

/// SQL texts by the shape of the plan they were made from. Only `statement` makes and reads them.
#[derive(Debug, Default)]
pub struct Texts(RwLock<HashMap<Vec<u8>, Arc<Text>>>);

/// A statement's text.
#[derive(Debug)]
pub(crate) struct Text {
    /// The text.
    pub(crate) sql: Arc<str>,
    /// For each parameter, the position of its operand in the shape.
    pub(crate) operands: Vec<usize>,
}

impl Texts {
    /// The text kept for a shape.
    pub(crate) fn get(&self, shape: &[u8]) -> Option<Arc<Text>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(shape).cloned()
    }

    /// Keeps a text for later plans of the same shape.
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
