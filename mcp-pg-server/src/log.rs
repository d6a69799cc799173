//! Formats the log: one line for each event, even if names or messages contain line breaks.

use std::io::{self, Write};

use mcp_pg_core::name::in_a_line;

/// Writes each event to standard error as one line.
pub(crate) struct Lines;

impl Write for Lines {
    /// Called once for each event.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = in_a_line(text.trim_end_matches('\n'));
        line.push('\n');
        io::stderr().write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
