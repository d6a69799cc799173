//! `setup-sql`: what a database needs for this server, as SQL for a person to read and run.
//!
//! One file for each thing that is made. Knows the settings; connects to nothing.

mod login;

use std::io::{self, Write};

use mcp_pg_core::Settings;

/// Prints the statements for these settings.
pub(super) fn print(settings: &Settings, out: &mut (dyn Write + Send)) -> io::Result<()> {
    login::print(settings, out)
}
