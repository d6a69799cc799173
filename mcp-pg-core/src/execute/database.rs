//! The database: reads, transactions, and the connections they use.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::Object;
use rustls::ClientConfig;
use tokio::time::{sleep, timeout};
use tokio_postgres::types::Type;
use tokio_postgres::{Config, IsolationLevel};
use tokio_util::task::TaskTracker;

use super::connection::{
    Connections, Lease, Pool, SessionSettings, client_config, is_shared, shared, unavailable,
    unconnected,
};
use super::fetch::{Fetched, Keep, fetch, is_abandoned, prepare, texts};
use super::identity::{BECOME, Identity};
use super::known::Known;
use super::listen::Listener;
use super::refusal::Failure;
use super::transaction::{Mode, Transaction, unanswered};
use crate::error::Result;
use crate::policy::Settings;
use crate::schema::{DatabaseId, ReadOnly, Schema, SessionCode, Signature, Watch};
use crate::statement::Statement;

/// How long a connection may be idle before TCP keepalives are sent, unless the URL says.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// How long to wait before another connection is used in place of one that was cut.
const CUT: Duration = Duration::from_millis(20);

/// If a statement was cut within this time, its connection was lost before.
const SOON: Duration = Duration::from_secs(1);

/// How much longer than its statement timeout a read is waited for: a process that was stopped, or a network, ends none.
const GRACE: Duration = Duration::from_secs(5);

/// The database, through a bounded pool of read-only sessions.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    pool: Pool,
    /// One connection that callers cannot keep busy: the catalogue is read on it.
    apart: Pool,
    config: Config,
    /// For connections outside the pool: to cancel, to listen.
    tls: Arc<ClientConfig>,
    session: Arc<SessionSettings>,
    /// How long a transaction may take.
    patience: Duration,
    /// How long a read may take.
    deadline: Duration,
    /// What the last look found out.
    known: Arc<Known>,
    /// Connections in use, and those that are being cleaned up.
    under_way: TaskTracker,
}

impl Database {
    /// A pool for `config`. It connects when it is first used.
    ///
    /// # Errors
    ///
    /// `internal` if there is no Tokio runtime.
    pub(crate) fn new(mut config: Config, settings: &Settings) -> Result<Self> {
        let timeouts = settings.timeouts;
        config.connect_timeout(timeouts.connect);
        // Of a host that is gone without a word, calls would learn after two hours.
        if config.get_keepalives_idle() > KEEPALIVE && config.get_keepalives_interval().is_none() {
            config.keepalives_idle(KEEPALIVE).keepalives_interval(KEEPALIVE).keepalives_retries(3);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(KEEPALIVE * 3);
        }
        if config.get_application_name().is_none() {
            config.application_name("mcp-pg");
        }
        let session = Arc::new(SessionSettings::new(&timeouts));
        let tls = client_config(&settings.tls)?;
        let most = settings.limits.max_connections;
        let pool = |most| Pool::new(config.clone(), tls.clone(), session.clone(), &timeouts, most);
        let (pool, apart) = (pool(most)?, pool(1)?.quiet());
        Ok(Self {
            pool,
            apart,
            config,
            tls: Arc::new(tls),
            session,
            patience: timeouts.transaction,
            deadline: match timeouts.statement {
                Duration::ZERO => Duration::MAX,
                statement => timeouts.transaction.max(statement.saturating_add(GRACE)),
            },
            known: Arc::default(),
            under_way: TaskTracker::new(),
        })
    }

    /// The same, without messages in the log when the database is unavailable: others log them.
    pub(crate) fn quiet(self) -> Self {
        Self { pool: self.pool.quiet(), ..self }
    }

    /// The state of its connections.
    pub(crate) fn connections(&self) -> Connections {
        self.pool.connections()
    }

    /// Refuses a pooler that passes sessions from one client to another: the session settings that make callers read-only and
    /// limit their time would apply to other clients, and not reliably to this server.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn keeps_sessions(&self) -> Result<()> {
        let _first = self.lease().await?;
        if self.connections().most < 2 {
            return Ok(());
        }
        match self.pool.get().await {
            Err(error) if is_shared(&error) => Err(shared()),
            // A login may have no more than one.
            _ => Ok(()),
        }
    }

    /// Reads the schema as the login sees it, or a role that it becomes.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or whatever PostgreSQL refuses.
    pub(crate) async fn schema(&self, names: &[String], role: Option<&str>) -> Result<Schema> {
        // What is dropped while the catalogue is read makes PostgreSQL fail with an internal error.
        const DROPPED: &str = "XX000";
        let mut left = 3;
        loop {
            match self.read_schema(names, role).await {
                Err(error) if error.get_sqlstate() == Some(DROPPED) && left > 0 => left -= 1,
                result => return result,
            }
        }
    }

    async fn read_schema(&self, names: &[String], role: Option<&str>) -> Result<Schema> {
        let mut lease = self.lease_apart().await?;
        let client = lease.client()?;
        let read = async {
            let transaction = snapshot(client).await?;
            if let Some(role) = role {
                let became = transaction.query_typed(BECOME, &[(&role, Type::TEXT)]).await;
                became.map_err(unavailable)?;
            }
            let mut schema = Schema::read(&transaction, names).await?;
            transaction.commit().await.map_err(unavailable)?;
            schema.read_only = schema.read_only.or(self.read_only());
            Ok(schema)
        };
        let read = read.await;
        // Whatever came of it, it has ended: a transaction that was given up is rolled back.
        lease.done();
        read
    }

    /// The current signature of the schemas, for comparison with that of another time. If it is not the `earlier` one,
    /// code that is new may have run: each session is restored before its next use.
    ///
    /// # Errors
    ///
    /// `database_unavailable`, or whatever PostgreSQL refuses.
    pub(crate) async fn signature(
        &self,
        names: &[String],
        earlier: Option<&Signature>,
    ) -> Result<Signature> {
        let mut lease = self.lease_apart().await?;
        let client: &mut Object = lease.client()?;
        let read = async {
            let polled = Watch::prepare(client).await?.poll(client, names, earlier).await?;
            let code = match earlier == Some(&polled.signature) {
                true => None,
                false => Some((SessionCode::read(client).await?, DatabaseId::read(client).await?)),
            };
            Ok((polled.signature, code))
        };
        let read = read.await;
        lease.done();
        let (signature, code) = read?;
        if let Some((code, id)) = code {
            self.known.note(code, id);
            self.session.doubt();
        }
        Ok(signature)
    }

    /// What the last look at the catalogue found out.
    pub(crate) fn known(&self) -> &Arc<Known> {
        &self.known
    }

    /// A session outside the pool that listens for notifications of triggers.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn listen(&self) -> Result<Listener> {
        Listener::connect(&self.config, &self.tls).await
    }

    /// Runs statements that only read, in one snapshot if there are several. The last one is given up if it goes on and on with
    /// rows that are not kept. If the connection was cut before they began, as happens to idle connections, they are run a second
    /// time. Statements that are ended later are not.
    ///
    /// # Errors
    ///
    /// The connection's, or PostgreSQL's with the statement's position.
    pub(crate) async fn read(
        &self,
        identity: Identity,
        statements: &[&Statement<'_>],
        keep: Keep,
    ) -> Result<Vec<Fetched>, (usize, Failure)> {
        let keep = Keep { part: true, ..keep };
        let mut sent = Instant::now();
        match self.read_from(identity.clone(), statements, keep, &mut sent).await {
            Err((_, failure)) if failure.is_cut() && sent.elapsed() < SOON => {
                // The other connections have been cut with it: their ends are heard of by then.
                sleep(CUT).await;
                Box::pin(self.read_once(identity, statements, keep)).await
            }
            result => result,
        }
    }

    /// [`Database::read`] of statements with effects that a rollback may not undo: they are run only once, to their end.
    ///
    /// # Errors
    ///
    /// The connection's, or PostgreSQL's with the statement's position.
    pub(crate) async fn read_once(
        &self,
        identity: Identity,
        statements: &[&Statement<'_>],
        keep: Keep,
    ) -> Result<Vec<Fetched>, (usize, Failure)> {
        self.read_from(identity, statements, keep, &mut Instant::now()).await
    }

    /// Notes when the statements are about to be `sent`.
    async fn read_from(
        &self,
        mut identity: Identity,
        statements: &[&Statement<'_>],
        keep: Keep,
        sent: &mut Instant,
    ) -> Result<Vec<Fetched>, (usize, Failure)> {
        let none = |failure: Failure| (0, failure);
        let parameters: Vec<_> = statements
            .iter()
            .map(|statement| texts(&statement.parameters, &[]))
            .collect::<Result<_>>()
            .map_err(|error| none(error.into()))?;
        let mut lease = self.lease().await.map_err(|error| none(error.into()))?;
        // Only now: while this waited for the connection, there may have been a look.
        identity.restore |= self.known.is_coded(Mode::SNAPSHOT);
        *sent = Instant::now();
        match (statements, parameters.as_slice()) {
            // One statement is its own transaction, and every session is read-only.
            ([statement], [parameters]) if identity.is_login() => {
                let client = lease.client().map_err(|error| none(error.into()))?;
                let work = async {
                    let prepared = prepare(client, statement).await?;
                    fetch(client, prepared, statement, parameters, keep).await
                };
                let fetched =
                    timeout(self.deadline, work).await.unwrap_or_else(|_| Err(unanswered()));
                // A statement whose rows nobody takes still runs; the lease has it cancelled.
                if !is_abandoned(&fetched) {
                    lease.done();
                }
                let fetched = fetched.map_err(none)?;
                lease.received(fetched.received);
                Ok(vec![fetched])
            }
            ([statement], [parameters]) => {
                let transaction = Transaction::new(lease, identity, Mode::SNAPSHOT, self.deadline);
                // Boxed, like the next, so that the future of the first case need not have room for theirs.
                let fetched = Box::pin(transaction.run_alone(statement, parameters, keep)).await;
                Ok(vec![fetched.map_err(none)?])
            }
            _ => {
                let transaction = Transaction::new(lease, identity, Mode::SNAPSHOT, self.patience);
                Box::pin(transaction.run_all(statements, &parameters, keep)).await
            }
        }
    }

    /// A transaction, which begins with its first statement.
    ///
    /// # Errors
    ///
    /// `database_unavailable`; `forbidden` if it is to write, but the login or the database is set to be read-only.
    pub(crate) async fn begin(&self, mut identity: Identity, mode: Mode) -> Result<Transaction> {
        let lease = self.lease().await?;
        // Only now: while this waited for the connection, there may have been a look.
        identity.restore |= self.known.is_coded(mode);
        match self.read_only() {
            Some(read_only) if mode.writes() => Err(read_only.refusal()),
            _ => Ok(Transaction::new(lease, identity, mode, self.patience)),
        }
    }

    /// Whether the login or the database is set to be read-only, as the newest session has found it.
    pub(crate) fn read_only(&self) -> Option<ReadOnly> {
        self.session.read_only().then_some(ReadOnly::Setting)
    }

    /// Forgets all prepared statements, when the schema has changed.
    pub(crate) fn forget_statements(&self) {
        self.pool.forget_statements();
    }

    pub(super) fn has_password(&self) -> bool {
        has_password(&self.config)
    }

    pub(super) fn has_short_password(&self) -> bool {
        self.has_password()
            && self.config.get_password().is_some_and(|password| password.len() < LONG)
    }

    /// Checks that the database answers.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub(crate) async fn ready(&self) -> Result<()> {
        let mut lease = self.lease().await?;
        let client = lease.client()?;
        let answered = client.execute_typed("SELECT 1", &[]).await;
        lease.done();
        answered.map(drop).map_err(unavailable)
    }

    /// Waits until no connection is in use, and the statements of abandoned calls are cancelled.
    pub(crate) async fn idle(&self) {
        self.under_way.close();
        self.under_way.wait().await;
    }

    /// The connection for the catalogue; one of the pool if the login may have no more.
    pub(super) async fn lease_apart(&self) -> Result<Lease> {
        let under_way = self.under_way.token();
        match self.apart.get().await {
            Ok(connection) => {
                self.pool.found();
                Ok(Lease::new(connection, self.tls.clone(), self.session.clone(), under_way))
            }
            Err(_) => self.lease().await,
        }
    }

    /// A connection from the pool.
    pub(super) async fn lease(&self) -> Result<Lease> {
        let under_way = self.under_way.token();
        let connection = self.connection().await?;
        Ok(Lease::new(connection, self.tls.clone(), self.session.clone(), under_way))
    }

    async fn connection(&self) -> Result<Object> {
        self.pool.get().await.map_err(unconnected)
    }
}

/// The minimum size, in bytes, of a password that cannot be found by trying.
const LONG: usize = 12;

/// Whether the login has a password.
pub(crate) fn has_password(config: &Config) -> bool {
    config.get_password().is_some_and(|password| !password.is_empty())
}

/// A read-only transaction with one snapshot.
pub(super) async fn snapshot(client: &mut Object) -> Result<deadpool_postgres::Transaction<'_>> {
    client
        .build_transaction()
        .isolation_level(IsolationLevel::RepeatableRead)
        .read_only(true)
        .start()
        .await
        .map_err(unavailable)
}
