//! The engine: answers the requests of authenticated callers, and records them in the audit log.
//!
//! The only module that uses all the others. It makes no decisions of its own: rights come from the view, meaning
//! from the plan, SQL text from the statement. The path of a call:
//!
//! 1. [`call`] or [`canned_query`] takes the arguments, with the current [`catalogue`], and opens a [`record`].
//!
//! 2. [`read`] fetches a page and its notes; [`transaction`] runs operations that write, each by [`mod@write`].
//!
//! 3. [`confirm`] refuses what the user has not confirmed yet.
//!
//! 4. The transaction commits together with its [`record`].

mod call;
mod canned_query;
mod catalogue;
mod confirm;
mod finding;
mod health;
mod identity;
mod list_tables;
mod notes;
mod read;
mod record;
mod rows;
mod size;
mod transaction;
mod write;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{broadcast, watch};
use tokio_postgres::Config;

use catalogue::Catalogue;
pub use catalogue::Change;
pub use health::Health;
pub use identity::RefusedSetting;
use identity::identity;
use record::Sinks;
pub use record::{Origin, verify_table};
use transaction::Turns;

use crate::audit::AuditSink;
use crate::canned::{Fault, Query};
use crate::error::Result;
use crate::execute::{Database, Posture, has_password};
use crate::plan::CursorKey;
use crate::policy::{MaskKey, Principal, Role, Settings, View};
use crate::schema::Schema;

/// Answers requests on one database.
///
/// It has a pool of connections, the schema, and the settings. Put it into an [`Arc`] to share it: all methods after
/// [`connect`](Self::connect) and [`audited`](Self::audited) take `&self`. Use it from one runtime: a connection that was made in
/// another works only while that one runs.
///
/// | method | for |
/// |---|---|
/// | [`handle`](Self::handle), [`call`](Self::call) | requests built in Rust, and tool calls in JSON |
/// | [`follow`](Self::follow), [`reload`](Self::reload), [`reconfigure`](Self::reconfigure) | a changed schema, and new settings |
/// | [`view`](Self::view), [`queries`](Self::queries) | what a caller may see, and which tools of the operator's own it has |
/// | [`findings`](Self::findings), [`faults`](Self::faults), [`posture`](Self::posture) | mistakes in the settings and in canned queries, and what the login may do |
/// | [`ready`](Self::ready), [`health`](Self::health), [`close`](Self::close) | whether it works, and its end |
///
/// For an example, see the [crate's documentation](crate).
pub struct Engine {
    database: Database,
    catalogue: ArcSwap<Catalogue>,
    cursors: CursorKey,
    turns: Turns,
    sinks: Sinks,
    /// Held while the catalogue is read and replaced, also by a thread whose caller no longer waits.
    reloading: Arc<tokio::sync::Mutex<()>>,
    /// Held while a call checks whether an unknown name is new. One call at a time, so that a caller who guesses
    /// names does not take connections from others.
    looking: tokio::sync::Mutex<()>,
    /// Whether the last attempt to reload the schema failed.
    unread: AtomicBool,
    changes: broadcast::Sender<Change>,
    /// Whether [`Engine::follow`] has tried to listen.
    attentive: watch::Sender<bool>,
}

/// How many changes a slow receiver may be behind.
const CHANGES_MOST: usize = 64;

/// How long closing waits for abandoned calls.
const CLOSING: Duration = Duration::from_secs(6);

impl Engine {
    /// Connects and reads the schema.
    ///
    /// The parameters of the connection can be parsed from a URL: `"postgres://app@localhost/shop".parse()`. The number of
    /// connections, timeouts, and how the server's certificate is verified are settings.
    ///
    /// # Errors
    ///
    /// `database_unavailable` if the database does not answer or refuses the login; `audit_unavailable` if the audit table does
    /// not exist, or the login may not read and insert rows.
    pub async fn connect(database: Config, mut settings: Settings) -> Result<Self> {
        let password = database.get_password().filter(|_| has_password(&database));
        let cursors = match password {
            Some(password) => CursorKey::of_password(password, login("mcp-pg cursor", &database)),
            None => CursorKey::new(&login("mcp-pg cursor", &database)),
        };
        settings.check_limits()?;
        settings.qualify_grants();
        settings.mask_key = settings.mask_key.or_else(|| match password {
            Some(password) => Some(MaskKey::of_password(password, login("mcp-pg mask", &database))),
            // Whoever knows the login could compute a key that is derived from nothing else.
            None => MaskKey::random(),
        });
        let config = database.clone();
        let database = Database::new(database, &settings)?;
        database.keeps_sessions().await?;
        let sinks = Sinks::open(config, &settings).await?;
        let catalogue = Catalogue::read(&database, Arc::new(settings), None).await?;
        Ok(Self {
            database,
            catalogue: ArcSwap::from_pointee(catalogue),
            cursors,
            turns: Turns::default(),
            sinks,
            reloading: Arc::default(),
            looking: tokio::sync::Mutex::new(()),
            unread: AtomicBool::new(false),
            changes: broadcast::Sender::new(CHANGES_MOST),
            attentive: watch::Sender::new(false),
        })
    }

    /// Adds a sink for the records of every call, besides the audit table of the settings and other sinks.
    pub fn audited(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.sinks.add(sink);
        self
    }

    /// The current settings.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.catalogue.load().settings)
    }

    /// The schema as the caller's role currently sees it.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role, or the login cannot become its database role.
    pub fn view(&self, caller: &Principal) -> Result<Arc<View>> {
        self.catalogue.load().view(caller)
    }

    /// Whether there is such a role. Unlike [`Engine::view`], this does not ask whether the login can become its database role.
    pub fn has_role(&self, name: &str) -> bool {
        self.settings().roles.iter().any(|role| role.name == name)
    }

    /// Why all calls of a role are refused: the login cannot become its database role. A sentence that begins with the key in
    /// the configuration file; `None` if it can.
    pub fn refused_role(&self, name: &str) -> Option<String> {
        let catalogue = self.catalogue.load();
        let role = catalogue.settings.roles.iter().find(|role| role.name == name)?;
        catalogue.unassumed(role)
    }

    /// The schema as the login currently sees it. A login that may do nothing by itself sees none.
    pub fn schema(&self) -> Arc<Schema> {
        self.catalogue.load().schema()
    }

    /// The schema as the role's database role currently sees it; as the login does, if the role has none or the login cannot
    /// become it.
    pub fn schema_of(&self, role: &Role) -> Arc<Schema> {
        self.catalogue.load().schema_of(role)
    }

    /// The canned queries and functions that the caller has as tools, by name. If the database takes no writes, those
    /// that write are left out.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role.
    pub fn queries(&self, caller: &Principal) -> Result<Vec<Arc<Query>>> {
        let catalogue = self.catalogue.load();
        let view = catalogue.view(caller)?;
        let read_only = view.read_only().is_some();
        let queries = catalogue.canned.of_role(&view.role);
        Ok(queries.filter(|query| !(read_only && query.writes)).cloned().collect())
    }

    /// The faults of canned queries and functions that are meant to be tools.
    pub fn faults(&self) -> Vec<Fault> {
        self.catalogue.load().canned.faults.clone()
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn ready(&self) -> Result<()> {
        self.database.ready().await
    }

    /// The login's rights beyond its grants, and other findings about the security of the database.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn posture(&self) -> Result<Posture> {
        self.posture_by(&self.catalogue.load_full()).await
    }

    async fn posture_by(&self, catalogue: &Catalogue) -> Result<Posture> {
        let audit = catalogue.settings.audit.table.as_ref();
        self.database.posture(&catalogue.schema(), &catalogue.of_database_roles(), audit).await
    }

    /// Waits until the statements of abandoned calls have ended, for at most six seconds, and until every record is
    /// written. Call this before the process ends.
    ///
    /// # Errors
    ///
    /// `audit_unavailable`.
    pub async fn close(&self) -> Result<()> {
        let _ = tokio::time::timeout(CLOSING, self.database.idle()).await;
        self.flush().await
    }

    /// Waits until every record is written.
    ///
    /// # Errors
    ///
    /// `audit_unavailable`.
    pub async fn flush(&self) -> Result<()> {
        self.sinks.flush().await
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("settings", &self.settings()).finish_non_exhaustive()
    }
}

/// Identifies this login at this database, without its password: the same for all processes that serve it.
fn login(purpose: &str, database: &Config) -> Vec<u8> {
    let user = database.get_user().unwrap_or_default();
    let name = database.get_dbname().unwrap_or_default();
    [purpose, user, name].join("\0").into_bytes()
}
