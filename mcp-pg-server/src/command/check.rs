//! `check`: what the login could do beyond its task, and mistakes in the configuration.

mod columns;
mod queries;
mod views;
mod withheld;

pub(super) use columns::counted;

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use mcp_pg_core::audit::FileSink;
use mcp_pg_core::name::in_a_line;
use mcp_pg_core::policy::{Mask, Role, Settings};
use mcp_pg_core::{Engine, Posture};

use super::session::Session;
use super::{Exit, Failure, listen, posture};
use crate::cli::Common;
use crate::config::{Config, ConfigError, Environment};
use crate::file;

/// Prints what is found; [`Exit::Finding`] if anything.
pub(super) async fn check(
    common: &Common,
    mut config: Config,
    environment: &Environment,
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    let settings = config.settings.clone();
    let mut notes = of_files_and_limits(&config);
    let credentials = config.auth.as_ref().map(|auth| auth.credentials());
    // Not opened by the session: that would make the file, as another user perhaps than the one who is to write it.
    let audit_file = config.audit_file.take();
    let mut findings = Vec::from_iter(audit_file.and_then(|file| unusable(&file.path)));
    findings.extend(listen::certificate(&config).err().map(|error| error.to_string()));
    let session = as_far_as_sound(common, config, environment, &mut findings).await?;
    let known = session.engine.posture().await?;
    print_posture(&known, out)?;
    let unread = match &credentials {
        Some(Ok(credentials)) => credentials.unread().await,
        _ => None,
    };
    if matches!(&credentials, Some(Ok(credentials)) if credentials.has_private_keys()) {
        notes.push(
            "auth.jwt: the key set holds private or symmetric keys, which make tokens: only public ones belong here"
                .to_owned(),
        );
    }
    let seen = posture::seen(&session.engine);
    notes.extend(of_database(&session.engine, &settings, &known));
    notes.extend(counted(&settings, &seen));
    notes.extend(columns::uncounted(&settings, &seen));
    notes.extend(views::unbound(&session.engine, &settings, &known));
    notes.extend(queries::untold(&session.engine, &settings));
    notes.extend(queries::refused_by_clients(&session.engine, &settings));
    notes.extend(withheld::of_roles(&session.engine, &settings, &known.login));
    for note in notes {
        writeln!(out, "note: {}", in_a_line(&note))?;
    }
    findings.extend(posture::findings(&known));
    findings.extend(credentials.and_then(Result::err).map(|error| error.to_string()));
    findings.extend(unread);
    findings.extend(session.engine.faults().iter().map(ToString::to_string));
    findings.extend(session.engine.refused_settings().await?.into_iter().map(|refused| {
        format!("roles.{}.session.{}: {}", refused.role, refused.setting, refused.message)
    }));
    findings.extend(session.engine.refused_queries());
    findings.extend(of_server(&settings, &known));
    findings.extend(session.engine.findings());
    for finding in &findings {
        writeln!(out, "finding: {}", in_a_line(finding))?;
    }
    session.close().await?;
    if findings.is_empty() {
        writeln!(out, "no findings")?;
        Ok(Exit::Done)
    } else {
        Ok(Exit::Finding)
    }
}

/// Prints all that keeps the configuration from being used, and fails for the first.
pub(super) fn unusable_configuration(
    faults: &[ConfigError],
    out: &mut (dyn Write + Send),
) -> Result<Exit, Failure> {
    for fault in faults {
        writeln!(out, "finding: {}", in_a_line(&fault.to_string()))?;
    }
    let first = faults.first().map(ToString::to_string).unwrap_or_default();
    Err(Failure::usage(match faults.len().saturating_sub(1) {
        0 => first,
        more => format!("{first}\nand {more} more"),
    }))
}

/// What is worth a look in the configuration, before any database is known.
fn of_files_and_limits(config: &Config) -> Vec<String> {
    let every = &config.request_limits.every;
    let bounds = [
        ("requests_per_minute", every.requests_per_minute.is_none()),
        ("concurrency", every.concurrency.is_none()),
    ];
    let unlimited = bounds.into_iter().filter(|(_, absent)| *absent && config.auth.is_some());
    let unlimited = unlimited.map(|(key, _)| {
        format!("one caller over HTTP can use up the server: limits.{key} is not set")
    });
    let open = open_secrets(config).into_iter().map(|file| {
        format!("every user of this machine can read {}: run chmod o= on it", file.display())
    });
    let apart = config.server.state_key.is_some() && config.settings.audit.table.is_none();
    let apart = apart.then(|| {
        "processes that share the state key can each use a confirmation once; with audit.table, it can be used only once by all of them"
            .to_owned()
    });
    unlimited.chain(open).chain(apart).collect()
}

/// What is worth a look in the database, or in what the configuration says of it.
fn of_database(engine: &Engine, settings: &Settings, known: &Posture) -> Vec<String> {
    let seen = posture::seen(engine);
    let owners = seen.iter().flat_map(|schema| &schema.directives.distrusted);
    let distrusted = BTreeSet::from_iter(owners).into_iter().map(|owner| {
        format!("@mcp in comments of {owner} has no effect: comments.owners does not name it")
    });
    let open = known.open_schemas.iter().map(|schema| {
        format!(
            "everyone may create functions in {schema}, which can shadow PostgreSQL's own: REVOKE CREATE ON SCHEMA {schema} FROM PUBLIC"
        )
    });
    let hashing = settings.roles.iter().filter(|role| !known.password && hashes(role));
    let hashing = hashing.map(|role| {
        format!(
            "the login has no password to make a key from: the mask hash of roles.{} changes with each start",
            role.name
        )
    });
    let short = known.short_password.then(|| {
        "the login's password is short: the keys of cursors, and of the mask hash, are derived from it, so whoever has one of these can try passwords; a random one of 16 characters cannot be guessed"
            .to_owned()
    });
    let audit = settings.audit.table.as_ref().filter(|_| known.may_change_audit);
    let audit = audit.map(|table| {
        format!(
            "the login may change or remove records of {table}: give the table to another role, and run what setup-sql prints"
        )
    });
    let read_only =
        engine.schema().read_only.map(|reason| format!("no writes are offered: {reason}"));
    let shown = columns::shown_encrypted(settings, &seen)
        .into_iter()
        .map(|column| format!("the view column {column} shows an encrypted one: it is read-only"));
    let views = views::of_views(engine, settings, &known.leaky_views);
    let without = columns::without_sequence(engine, settings, &known.login);
    let without = without.into_iter().chain(columns::lacking(engine, settings));
    distrusted
        .chain(open)
        .chain(hashing)
        .chain(short)
        .chain(audit)
        .chain(read_only)
        .chain(shown)
        .chain(views)
        .chain(without)
        .collect()
}

/// A session, without the audit table if one cannot be opened with it; that is a finding, then.
async fn as_far_as_sound(
    common: &Common,
    mut config: Config,
    environment: &Environment,
    findings: &mut Vec<String>,
) -> Result<Session, Failure> {
    let failure = match Session::open(common, config.clone(), environment).await {
        Err(failure) if failure.exit != Exit::NoDatabase => failure,
        result => return result,
    };
    config.settings.audit.table = None;
    // Whatever else is at fault leaves nothing to look at.
    let session = Session::open(common, config, environment).await?;
    findings.push(failure.message);
    Ok(session)
}

/// Why nothing can be written to the audit file, or its chain cannot be continued, or why no file can be made.
fn unusable(path: &Path) -> Option<String> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let error = match OpenOptions::new().append(true).open(path) {
        Ok(_) => {
            let refused = FileSink::open(path).err()?;
            return Some(format!("audit.file: {}", refused.message()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            std::fs::read_dir(folder.unwrap_or(Path::new("."))).err()?
        }
        Err(error) => error,
    };
    Some(format!("audit.file: {}: {error}", path.display()))
}

fn hashes(role: &Role) -> bool {
    role.grants.iter().flat_map(|grant| grant.columns.mask.values()).any(|mask| *mask == Mask::Hash)
}

/// The files with keys that are not kept from other users.
fn open_secrets(config: &Config) -> Vec<PathBuf> {
    let certificate = config.server.certificate.iter().map(|(_, key)| key);
    let files =
        config.encryption_key_file.iter().chain(&config.server.state_key_file).chain(certificate);
    files.filter(|path| file::is_open_to_all(path)).cloned().collect()
}

fn print_posture(posture: &Posture, out: &mut (dyn Write + Send)) -> std::io::Result<()> {
    let yes = |is: bool| if is { "yes" } else { "no" };
    let roles = match posture.member_of.as_slice() {
        [] => "none".to_owned(),
        roles => roles.join(", "),
    };
    writeln!(out, "PostgreSQL:           {}", posture.server_version)?;
    writeln!(out, "standby:              {}", yes(posture.standby))?;
    writeln!(out, "login:                {}", posture.login)?;
    writeln!(out, "superuser:            {}", yes(posture.superuser))?;
    writeln!(out, "BYPASSRLS:            {}", yes(posture.bypass_rls))?;
    writeln!(out, "CREATEROLE, CREATEDB: {}", yes(posture.creates))?;
    writeln!(out, "owns visible tables:  {}", posture.owned_tables.len())?;
    writeln!(out, "may SET ROLE to:      {roles}")
}

/// What keeps the server from what is configured, as far as the engine does not know it.
fn of_server(settings: &Settings, known: &Posture) -> Vec<String> {
    let mut findings = posture::unserved(known);
    if let Some(table) = settings.audit.table.as_ref().filter(|_| known.lacks_audit) {
        findings.push(format!(
            "audit.table: {} may not insert into {table}, so no write is answered: run what setup-sql prints",
            known.login
        ));
    }
    if known.standby && settings.audit.table.is_some() {
        findings.push(
            "audit.table: this database is a standby, which takes no records; name an audit.file"
                .into(),
        );
    }
    findings
}
