//! The engine: a request of a known caller in, an answer out, and a record of it in the audit.
//!
//! The only room that knows every other. It decides nothing itself: rights are the view's, meaning the
//! plan's, text the statement's.

mod canned;
mod catalogue;
mod change;
mod commit;
mod confirm;
mod excerpt;
mod explain;
mod follow;
mod identity;
mod insert;
mod journal;
mod list_tables;
mod merge;
mod operation;
mod query;
mod read;
mod record;
mod redaction;
mod related;
mod reload;
mod rows;
mod sinks;
mod transaction;
mod tries;
mod write;

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde_json::{Map, Value};
use tokio::sync::broadcast;
use tokio_postgres::Config;

use catalogue::Catalogue;
use confirm::Consent;
pub use follow::Change;
pub use identity::RefusedSetting;
use identity::identity;
pub use journal::verify_table;
pub use record::Origin;
use record::Record;
use sinks::Sinks;

use crate::audit::AuditSink;
use crate::canned::{Fault, Query};
use crate::error::{Agreement, Code, Error, Result};
use crate::execute::{Database, Posture, has_password, is_stale};
use crate::plan::{CursorKey, Scope};
use crate::policy::{Action, MaskKey, Principal, Settings, View};
use crate::reply::Reply;
use crate::request::{Request, check_depth};
use crate::schema::Schema;

/// Answers requests on one database. Share it: every method takes `&self`.
///
/// ```no_run
/// use mcp_pg_core::request::Select;
/// use mcp_pg_core::{Engine, Principal, Reply, Request, Settings};
/// use serde_json::json;
///
/// # async fn example() -> mcp_pg_core::Result<()> {
/// let database = "postgres://app@localhost/shop".parse().expect("a valid URL");
/// let engine = Engine::connect(database, Settings::default()).await?;
/// let caller = Principal::new("nightly-report", "analyst");
/// let request = Select {
///     table: "orders".into(),
///     filter: json!({"status": "open"}).as_object().cloned(),
///     ..Select::default()
/// };
/// if let Reply::Rows(rows) = engine.handle(&caller, Request::Select(request)).await? {
///     println!("{} open orders", rows.row_count);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    database: Database,
    catalogue: ArcSwap<Catalogue>,
    cursors: CursorKey,
    sinks: Sinks,
    reloading: tokio::sync::Mutex<()>,
    /// How many readings of the catalogue have begun, and which of them was the last to be taken over.
    readings: AtomicU64,
    read: AtomicU64,
    changes: broadcast::Sender<Change>,
}

/// Changes that a slow receiver may be behind.
const CHANGES_MOST: usize = 64;

/// How long to wait at the end for calls that were given up.
const CLOSING: Duration = Duration::from_secs(6);

/// How often a call is tried again while others change the schema.
const STALE_MOST: u32 = 5;

/// The most bytes of arguments that the record of a call holds which was refused before anybody looked at them.
const REFUSED_MOST: usize = 4 << 10;

impl Engine {
    /// Connects and reads the schema.
    ///
    /// # Errors
    ///
    /// `database_unavailable` if nothing answers or the login is refused; `audit_unavailable` if the audit
    /// table is not there, or not the login's to read and add to.
    pub async fn connect(database: Config, mut settings: Settings) -> Result<Self> {
        let cursors = CursorKey::new(&login_secret("mcp-pg cursor", &database))?;
        settings.mask_key = settings.mask_key.or_else(|| match has_password(&database) {
            true => Some(MaskKey::new(&login_secret("mcp-pg mask", &database))),
            // Whoever knows the login could make a key that is made from that alone.
            false => MaskKey::random(),
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
            sinks,
            reloading: tokio::sync::Mutex::new(()),
            readings: AtomicU64::new(0),
            read: AtomicU64::new(0),
            changes: broadcast::Sender::new(CHANGES_MOST),
        })
    }

    /// Keeps a record of every call in `sink`, besides the table of the settings and other sinks.
    pub fn audited(mut self, sink: Arc<dyn AuditSink>) -> Self {
        self.sinks.add(sink);
        self
    }

    /// The rules that hold for every caller, as they are now.
    pub fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.catalogue.load().settings)
    }

    /// The schema as the caller's role sees it.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role.
    pub fn view(&self, caller: &Principal) -> Result<Arc<View>> {
        self.catalogue.load().view(caller)
    }

    /// The schema as the login sees it.
    pub fn schema(&self) -> Arc<Schema> {
        self.catalogue.load().schema()
    }

    /// The canned queries and functions that the caller has as tools, by name.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role.
    pub fn queries(&self, caller: &Principal) -> Result<Vec<Arc<Query>>> {
        let catalogue = self.catalogue.load();
        let view = catalogue.view(caller)?;
        Ok(catalogue.canned.of_role(&view.role).cloned().collect())
    }

    /// What is wrong with canned queries and functions that are meant to be tools.
    pub fn faults(&self) -> Vec<Fault> {
        self.catalogue.load().canned.faults.clone()
    }

    /// How many audit records were given up so far: no sink could keep them, and no more could wait.
    pub fn lost_records(&self) -> u64 {
        self.sinks.lost()
    }

    /// Answers a request, or one that is lent, and records it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the request from being answered; nothing is half done.
    pub async fn handle(&self, caller: &Principal, request: impl Borrow<Request>) -> Result<Reply> {
        let request = request.borrow();
        let arguments = || match serde_json::to_value(request) {
            Ok(Value::Object(arguments)) => {
                arguments.into_iter().filter(|(_, value)| !value.is_null()).collect()
            }
            _ => Map::new(),
        };
        let origin = Origin { transport: "library".into(), ..Origin::default() };
        let mut record = Record::new(self, caller, &origin, request.tool(), arguments);
        let result = self.answer(caller, request, None, &mut record).await;
        record.settle(result).await
    }

    /// Answers a tool call with JSON arguments, and records it, whatever becomes of it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the call from being answered, with its place in the arguments.
    pub async fn call(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<Reply> {
        self.call_agreed(caller, origin, tool, arguments, None).await
    }

    /// The same for a call that the user may have agreed to: to the [`Question`](crate::Question) of an earlier
    /// refusal.
    ///
    /// # Errors
    ///
    /// As [`Engine::call`]; `forbidden` with a new question if this is not what was agreed to, because the
    /// call is another one, or would touch another number of rows by now; without one if it was used before.
    pub async fn call_agreed(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
        agreed: Option<&Agreement>,
    ) -> Result<Reply> {
        let depth = check_depth(&arguments);
        let noted = || if depth.is_ok() { arguments.clone() } else { Map::new() };
        let mut record = Record::new(self, caller, origin, tool, noted);
        let result = match depth {
            Err(error) => Err(error),
            Ok(()) if !Request::TOOLS.contains(&tool) => {
                self.answer_query(caller, tool, &arguments, agreed, &mut record).await
            }
            Ok(()) => match Request::parse(tool, arguments) {
                Ok(request) => self.answer(caller, &request, agreed, &mut record).await,
                Err(error) => Err(error),
            },
        };
        record.settle(result).await
    }

    /// Whether the caller's user may have to agree to a call of this tool before it is done.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role.
    pub fn may_ask(&self, caller: &Principal, tool: &str) -> Result<bool> {
        let catalogue = self.catalogue.load();
        let view = catalogue.view(caller)?;
        let query = catalogue.canned.query(tool, &view.role);
        Ok(query.map_or_else(|| view.may_ask(), |query| query.confirms(&view.role)))
    }

    /// Records a call that was refused before it came here; returns once there is a place for the record.
    ///
    /// Of arguments that take more than 4 KiB only the size is kept: nobody has looked at them, and limits on what they
    /// may be or how often they may come were not asked yet, or are reached.
    pub async fn refuse(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
        error: &Error,
    ) {
        let noted = || {
            let size = serde_json::to_string(&arguments).map_or(0, |text| text.len());
            match size {
                ..=REFUSED_MOST => arguments,
                _ => Map::from_iter([("omitted".to_owned(), format!("{size} bytes").into())]),
            }
        };
        Record::new(self, caller, origin, tool, noted).refused(error).await;
    }

    /// Answers a request that needs nothing but the view of its caller, and records it like a call.
    ///
    /// # Errors
    ///
    /// The answer's; `audit_unavailable` where reads are to wait for their records.
    pub async fn recorded<T>(
        &self,
        caller: &Principal,
        origin: &Origin,
        request: &str,
        arguments: Map<String, Value>,
        answer: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let record = Record::new(self, caller, origin, request, || arguments);
        let answer = answer();
        record.settle(answer).await
    }

    async fn answer(
        &self,
        caller: &Principal,
        request: &Request,
        agreed: Option<&Agreement>,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        let mut left = STALE_MOST;
        loop {
            // One for the whole attempt: what is swapped meanwhile is for the next one.
            let catalogue = self.catalogue.load_full();
            let view = catalogue.view(caller)?;
            record.begin(&view, &catalogue.settings);
            record.table(&view, request);
            let scope = Scope { view: &view, settings: &catalogue.settings, caller, earlier: &[] };
            record.consent = Consent::new(&scope, request, agreed);
            match self.run(&scope, request, record).await {
                // Someone changed the schema under the plan: again, with the new one.
                Err(error) if is_stale(&error) && left > 0 => {
                    let fresh = Box::pin(self.refresh(&catalogue)).await?;
                    // Without news, one more attempt is for statements that were prepared before.
                    left = if fresh { left - 1 } else { 0 };
                    record.forget();
                }
                answer => return answer,
            }
        }
    }

    async fn run(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        usable(scope.view, request)?;
        match request {
            Request::ListTables(request) => self.list_tables(scope, request).map(Reply::Tables),
            Request::DescribeTable(request) => {
                let table = scope.view.table(&request.table);
                let table = table.map_err(|error| error.inside("/table"))?;
                Ok(Reply::Table(scope.view.describe(table)))
            }
            Request::Select(request) => self.select(scope, request, record).await.map(Reply::Rows),
            // Boxed, so that the future of a select need not have room for theirs.
            Request::Aggregate(request) => {
                Box::pin(self.aggregate(scope, request, record)).await.map(Reply::Rows)
            }
            Request::Explain(request) => {
                Box::pin(self.explain(scope, request, record)).await.map(Reply::Plan)
            }
            Request::Transaction(request) => {
                Box::pin(self.transaction(scope, request, record)).await.map(Reply::Transaction)
            }
            request => Box::pin(self.write(scope, request, record)).await.map(Reply::Rows),
        }
    }

    /// Answers if the database does.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn ready(&self) -> Result<()> {
        self.database.ready().await
    }

    /// What the login may do beyond its grants.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn posture(&self) -> Result<Posture> {
        self.posture_by(&self.catalogue.load_full()).await
    }

    async fn posture_by(&self, catalogue: &Catalogue) -> Result<Posture> {
        self.database.posture(&catalogue.schema(), &catalogue.of_database_roles()).await
    }

    /// Waits until the calls that were given up have left the database, and every record is kept: before the process
    /// ends. Those that go on are not waited for longer than some seconds.
    ///
    /// # Errors
    ///
    /// `audit_unavailable`.
    pub async fn close(&self) -> Result<()> {
        let _ = tokio::time::timeout(CLOSING, self.database.idle()).await;
        self.flush().await
    }

    /// Waits until every record is kept.
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

/// Refuses a tool that names no table and that the role can use on none: others find none of that name.
fn usable(view: &View, request: &Request) -> Result<()> {
    let (needed, what) = match request {
        Request::ListTables(_) => (view.actions(), "use any table"),
        Request::Transaction(_) => (view.actions().without(Action::Select), "write to any table"),
        _ => return Ok(()),
    };
    match needed.is_empty() {
        true => Err(Error::new(Code::Forbidden, format!("the caller's role may not {what}"))
            .hint("an operator can grant it more, or serve other schemas")),
        false => Ok(()),
    }
}

/// What all processes that serve this database as this login know, and callers do not.
fn login_secret(purpose: &str, database: &Config) -> Vec<u8> {
    let mut secret = purpose.as_bytes().to_vec();
    for part in [
        database.get_user().unwrap_or_default().as_bytes(),
        database.get_password().unwrap_or_default(),
        database.get_dbname().unwrap_or_default().as_bytes(),
    ] {
        secret.push(0);
        secret.extend_from_slice(part);
    }
    secret
}
