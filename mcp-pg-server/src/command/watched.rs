//! Detects changes to the files of a configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use mcp_pg_core::canned::is_query;
use tokio::task::spawn_blocking;

use crate::auth::KeySource;
use crate::config::Config;

/// The polling interval. A change counts once two polls in a row find the same state, because editors may write in
/// several steps.
const LOOK: Duration = Duration::from_millis(500);

/// The configuration's own file, if there is one, and the files that it names.
#[derive(Clone)]
pub(super) struct Watched {
    file: Option<PathBuf>,
    named: Vec<PathBuf>,
    known: BTreeMap<PathBuf, Stamp>,
}

/// The modification time and size of a file, and what distinguishes it from another file with the same time and size:
/// some deployments give all files the same time.
type Stamp = (SystemTime, u64, Option<[i64; 3]>);

impl Watched {
    /// Watches `file` and the files that the configuration names, which have not been read yet.
    pub(super) fn new(file: Option<PathBuf>, config: &Config) -> Self {
        let mut watched = Self { file, named: named(config), known: BTreeMap::new() };
        watched.note();
        watched
    }

    /// The configuration's own file.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Notes the current state of all known files. Called before they are read.
    pub(super) fn note(&mut self) {
        self.known = stamps(&self.paths());
    }

    /// Watches the files that this configuration names, which have not been read yet.
    pub(super) fn name(&mut self, config: &Config) {
        let own = self.file.as_ref().and_then(|file| self.known.remove_entry(file));
        self.named = named(config);
        self.note();
        // The file itself was read before, so changes since then must be noticed.
        self.known.extend(own);
    }

    /// Waits until the files differ from the noted state, and are stable.
    pub(super) async fn changed(&self) {
        let mut last = None;
        loop {
            tokio::time::sleep(LOOK).await;
            let paths = self.paths();
            // On a disk that does not answer, this waits.
            let Ok(now) = spawn_blocking(move || stamps(&paths)).await else { continue };
            let now = Some(now).filter(|now| *now != self.known);
            if now.is_some() && now == last {
                return;
            }
            last = now;
        }
    }

    fn paths(&self) -> Vec<PathBuf> {
        self.file.iter().chain(&self.named).cloned().collect()
    }
}

/// The state of these files, and of the queries in these directories.
fn stamps(paths: &[PathBuf]) -> BTreeMap<PathBuf, Stamp> {
    let files = paths.iter().flat_map(|path| match path.read_dir() {
        Ok(entries) => {
            let files = entries.filter_map(|entry| entry.ok().map(|entry| entry.path()));
            files.filter(|file| is_query(file)).collect()
        }
        Err(_) => vec![path.clone()],
    });
    files.filter_map(|file| stamp(&file).map(|stamp| (file, stamp))).collect()
}

/// The directory of canned queries, and the files of the issuer's keys, the encryption keys and the server's
/// certificate.
fn named(config: &Config) -> Vec<PathBuf> {
    let jwt = config.auth.as_ref().and_then(|auth| auth.jwt.as_ref());
    let keys = jwt.and_then(|jwt| match &jwt.keys {
        KeySource::PublicKeyFile(path) | KeySource::JwksFile(path) => Some(path),
        KeySource::JwksUrl(_) => None,
    });
    let queries = config.settings.queries.directory.iter();
    let certificate = config.server.certificate.iter().flat_map(|(chain, key)| [chain, key]);
    let files = queries.chain(keys).chain(&config.encryption_key_file).chain(certificate);
    files.cloned().collect()
}

fn stamp(file: &Path) -> Option<Stamp> {
    let file = std::fs::metadata(file).ok()?;
    #[cfg(unix)]
    let identity = {
        use std::os::unix::fs::MetadataExt as _;
        Some([file.ino().cast_signed(), file.ctime(), file.ctime_nsec()])
    };
    #[cfg(not(unix))]
    let identity = None;
    Some((file.modified().ok()?, file.len(), identity))
}
