//! `audit verify`: verifies the chains of the audit log.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use mcp_pg_core::audit::{self, Fault, Reason, Verified};
use mcp_pg_core::verify_table;

use super::{Exit, Failure};
use crate::cli::{Audit, Common};
use crate::config::{Config, Database, Environment};

/// A log without its beginning may be one whose older parts were moved away.
const MOVED: &str =
    "if older parts were moved away, give the hash of the last record in them: --after HASH";

/// Verifies the given file; without one, the file and the table of the configuration.
pub(super) async fn verify(
    common: &Common,
    config: Config,
    environment: &Environment,
    Audit::Verify { file: named, after }: Audit,
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    let table = config.settings.audit.table.filter(|_| named.is_none());
    let is_named = named.is_some();
    let file = named.or(config.audit_file.map(|file| file.path));
    if after.is_some() && file.is_none() {
        return Err(Failure::usage("--after needs the name of the audit log, or audit.file"));
    }
    if file.is_none() && table.is_none() {
        return Err(Failure::usage(
            "name the audit log, or set audit.file or audit.table in the configuration",
        ));
    }
    let mut exit = Exit::Done;
    if let Some(file) = &file
        && !is_named
        && matches!(file.try_exists(), Ok(false))
    {
        writeln!(
            out,
            "{}: there is no such file: it is gone, or nothing is recorded yet",
            file.display()
        )?;
        exit = Exit::Finding;
    } else if let Some(file) = file {
        exit = match verified(&file, after.as_deref())? {
            Ok(verified) => whole(&file.display(), &verified, out)?,
            Err((part, fault)) => {
                broken(&part.display(), "line", &fault, out)?;
                if fault.line == 1 && fault.reason == (Reason::OutOfSequence { expected: 1 }) {
                    writeln!(out, "{MOVED}")?;
                }
                Exit::Finding
            }
        };
    }
    if let Some(table) = table {
        let url = common.database_url.clone().or(config.database_url);
        let (database, tls) = Database { url }.resolve(environment)?;
        let log = format!("table {table}");
        let found = match verify_table(database, tls, &table).await? {
            Ok(verified) => whole(&log, &verified, out)?,
            Err(fault) => broken(&log, "position", &fault, out)?,
        };
        if found == Exit::Finding {
            exit = found;
        }
    }
    Ok(exit)
}

fn verified(
    file: &Path,
    after: Option<&str>,
) -> Result<Result<Verified, (PathBuf, Fault)>, Failure> {
    let verified = match after {
        Some(hash) => audit::verify_file_after(file, hash),
        None => audit::verify_file(file),
    };
    verified.map_err(|error| Failure::usage(format!("cannot read {}: {error}", file.display())))
}

fn whole(log: &dyn Display, verified: &Verified, out: &mut (dyn Write + Send)) -> io::Result<Exit> {
    writeln!(out, "{log}: {} records, unbroken", verified.records)?;
    writeln!(out, "last hash: {}", verified.last_hash)?;
    Ok(Exit::Done)
}

fn broken(
    log: &dyn Display,
    place: &str,
    fault: &Fault,
    out: &mut (dyn Write + Send),
) -> io::Result<Exit> {
    write!(out, "{log}: broken at {place} {}", fault.line)?;
    if let Some(seq) = fault.seq {
        write!(out, " (seq {seq})")?;
    }
    writeln!(out, ": {}", fault.reason)?;
    Ok(Exit::Finding)
}
