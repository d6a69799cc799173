//! `setup-sql`: what a database needs for this server, as SQL for a person to read and run.
//!
//! One file for each thing that is made. Knows the settings; connects to nothing.

mod audit;
mod functions;
mod login;
mod owner;
mod quote;
mod search_path;
mod trigger;

use std::io::{self, Write};

use mcp_pg_core::Settings;

/// Prints the statements for these settings; changed rows of the tables in `notify` are to be told.
pub(super) fn print(
    settings: &Settings,
    notify: &[String],
    out: &mut (dyn Write + Send),
) -> io::Result<()> {
    writeln!(
        out,
        "-- Whoever runs this runs no function of others: names without a schema are PostgreSQL's own.\n\
         SET search_path = pg_catalog, pg_temp;\n\
         -- All of it, or nothing.\n\
         BEGIN READ WRITE;"
    )?;
    owner::print_before(settings, out)?;
    login::print(settings, out)?;
    if settings.queries.directory.is_some() {
        writeln!(
            out,
            "-- Canned queries need the rights that their own text needs; check reports those that are missing."
        )?;
    }
    trigger::print_schema(out)?;
    trigger::print_rows(notify, &settings.schemas, out)?;
    audit::print(settings, out)?;
    owner::print_after(settings, !notify.is_empty(), out)?;
    writeln!(out, "\nCOMMIT;\nRESET search_path;")
}
