//! The size of values as JSON text, which is measured without making the text.

use std::io::{self, Write};

use serde::Serialize;

/// The bytes that a value has as JSON.
pub(super) fn size(value: &(impl Serialize + ?Sized)) -> usize {
    let mut count = Count(0);
    // Only a map whose keys are not texts could fail.
    let _ = serde_json::to_writer(&mut count, value);
    count.0
}

struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
