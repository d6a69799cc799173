//! A transaction as the caller's database role.

use std::time::Duration;

use deadpool_postgres::Object;
use tokio::time::{Instant, timeout};
use tokio_postgres::error::SqlState;

use super::append::{Append, Ending};
use super::connection::Lease;
use super::fetch::{Fetched, Keep, fetch, is_abandoned, prepare};
use super::identity::{Identity, become_caller, not_become};
use super::refusal::Failure;
use crate::error::{Code, Error, Result};
use crate::schema::ReadOnly;
use crate::statement::Statement;
use crate::value::Text;

/// The maximum size of the rows, in bytes of JSON, that a transaction keeps in memory at once.
const HELD_MOST: usize = 16 * 1024 * 1024;

/// What a transaction may do, and how far it is kept from others' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Read(Isolation),
    Write(Isolation),
}

impl Mode {
    /// Reads, all of one snapshot. A standby can do that, too.
    pub(crate) const SNAPSHOT: Self = Self::Read(Isolation::RepeatableRead);
    /// A write, which finds the rows that it looked at.
    pub(crate) const CHANGE: Self = Self::Write(Isolation::RepeatableRead);

    pub(crate) fn writes(self) -> bool {
        matches!(self, Self::Write(_))
    }
}

/// An open transaction. It is rolled back when it is dropped without a commit. Once its statements together have taken longer
/// than allowed, further ones fail with `timeout`.
#[derive(Debug)]
pub(crate) struct Transaction {
    lease: Lease,
    identity: Identity,
    mode: Mode,
    begun: bool,
    since: Instant,
    patience: Duration,
    /// How many bytes of rows its statements may still return.
    room: usize,
    /// Whether there is a savepoint to go back to.
    marked: bool,
}

impl Transaction {
    pub(super) fn new(
        mut lease: Lease,
        identity: Identity,
        mode: Mode,
        patience: Duration,
    ) -> Self {
        if identity.restore {
            lease.change();
        }
        let patience = identity.statement_timeout().map_or(patience, |one| patience.max(one));
        Self {
            lease,
            identity,
            mode,
            begun: false,
            since: Instant::now(),
            patience,
            room: HELD_MOST,
            marked: false,
        }
    }

    /// The time that is left for statements.
    fn left(&self) -> Duration {
        self.patience.saturating_sub(self.since.elapsed())
    }

    /// Runs a statement. The first one is sent with BEGIN and the identity in one round trip. The rows of all
    /// statements share one limit, in addition to what `keep` allows.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(crate) async fn run(
        &mut self,
        statement: &Statement<'_>,
        parameters: &[Text<'_>],
        keep: Keep,
    ) -> Result<Fetched, Failure> {
        let left = self.left();
        let Self { lease, identity, mode, begun, room, .. } = self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *mode));
        let keep = Keep { bytes: keep.bytes.min(*room), ..keep };
        let work = async {
            let prepared = prepare(client, statement).await?;
            fetch(client, prepared, statement, parameters, keep).await
        };
        // Boxed, here and below: futures are moved into each other, and this one is large.
        let fetched = timeout(left, inside(client, begin, Box::pin(work))).await;
        // An abandoned statement still runs; the lease has it cancelled.
        let fetched = fetched.map_err(|_| out_of_time())?;
        // So does one whose rows nobody takes.
        if !is_abandoned(&fetched) {
            lease.open();
        }
        let fetched = fetched?;
        lease.received(fetched.received);
        *room = room.saturating_sub(fetched.bytes);
        Ok(fetched)
    }

    /// Whether little room is left for further rows.
    pub(crate) fn is_crowded(&self) -> bool {
        self.room < HELD_MOST / 2
    }

    /// Notes that earlier rows are no longer in memory, so that there is room for others.
    pub(crate) fn let_go(&mut self) {
        self.room = HELD_MOST;
    }

    /// Runs the only statement of a transaction: once it is prepared, all from BEGIN to COMMIT is one round trip.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(crate) async fn run_alone(
        self,
        statement: &Statement<'_>,
        parameters: &[Text<'_>],
        keep: Keep,
    ) -> Result<Fetched, Failure> {
        let left = self.left();
        let Self { mut lease, identity, mode, .. } = self;
        let client: &Object = lease.client()?;
        let commit = client.prepare_cached("COMMIT").await.map_err(Failure::Database)?;
        let (mut ended, mut abandoned) = (false, false);
        let work = async {
            // Prepared as the caller's role, which may see what the login may not. COMMIT must not be sent before.
            let prepared = prepare(client, statement).await?;
            ended = true;
            let fetch = async {
                let fetched = fetch(client, prepared, statement, parameters, keep).await;
                // COMMIT would be answered only after the rows that nobody takes.
                if is_abandoned(&fetched) { Err(fetched) } else { Ok(fetched) }
            };
            let commit = async { Ok(client.execute(&commit, &[]).await) };
            match tokio::try_join!(biased; fetch, commit) {
                Ok((fetched, committed)) => {
                    let fetched = fetched?;
                    committed.map_err(Failure::Database)?;
                    Ok(fetched)
                }
                Err(fetched) => {
                    abandoned = true;
                    fetched
                }
            }
        };
        let work = inside(client, Some((&identity, mode)), Box::pin(work));
        let fetched = timeout(left, work).await.map_err(|_| unanswered())?;
        match (abandoned, ended) {
            // The lease has the statement cancelled.
            (true, _) => {}
            (_, true) => lease.done(),
            (_, false) => lease.open(),
        }
        lease.received(fetched.as_ref().map_or(0, |fetched| fetched.received));
        fetched
    }

    /// Runs all statements of a transaction that reads. Only the last one may be given up, because the others need the connection.
    ///
    /// # Errors
    ///
    /// PostgreSQL's, with the statement's position.
    pub(super) async fn run_all(
        mut self,
        statements: &[&Statement<'_>],
        parameters: &[Vec<Text<'_>>],
        keep: Keep,
    ) -> Result<Vec<Fetched>, (usize, Failure)> {
        let mut all = Vec::with_capacity(statements.len());
        for (index, (statement, parameters)) in statements.iter().zip(parameters).enumerate() {
            let part = keep.part && index + 1 == statements.len();
            let fetched = self.run(statement, parameters, Keep { part, ..keep }).await;
            all.push(fetched.map_err(|failure| (index, failure))?);
        }
        if !all.last().is_some_and(|last| last.given_up) {
            self.commit(None).await.map_err(|failure| (0, failure))?;
        }
        Ok(all)
    }

    /// Defers deferrable constraints to the end of the transaction.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(crate) async fn defer_constraints(&mut self) -> Result<(), Failure> {
        self.step("SET CONSTRAINTS ALL DEFERRED").await
    }

    /// Checks the deferred constraints now.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub(crate) async fn check_constraints(&mut self) -> Result<(), Failure> {
        self.step("SET CONSTRAINTS ALL IMMEDIATE").await
    }

    /// Sets a savepoint, which replaces the one before.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(crate) async fn savepoint(&mut self) -> Result<(), Failure> {
        // Otherwise it would be nested in the previous one.
        if std::mem::replace(&mut self.marked, true) {
            self.step("RELEASE SAVEPOINT step").await?;
        }
        self.step("SAVEPOINT step").await
    }

    /// Rolls back to the last savepoint.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub(crate) async fn back(&mut self) -> Result<(), Failure> {
        self.step("ROLLBACK TO SAVEPOINT step").await
    }

    /// Commits, together with rows of the server's own if there are any, in one round trip.
    ///
    /// # Errors
    ///
    /// A violation of a deferred constraint, a serialization failure, or a lost connection, after which it is unknown whether it
    /// was committed: see [`Failure::rolled_back`]. `audit_unavailable` if the rows are refused.
    pub(crate) async fn commit(mut self, append: Option<&Append<'_>>) -> Result<(), Failure> {
        if let Some(append) = append {
            return self.commit_with(append).await;
        }
        let committed = self.control("COMMIT").await;
        // After a failed COMMIT no transaction is open either.
        self.lease.done();
        committed
    }

    async fn commit_with(mut self, append: &Append<'_>) -> Result<(), Failure> {
        let Self { lease, identity, mode, begun, .. } = &mut self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *mode));
        let ended = match Ending::prepare(client, append, identity.role.as_deref()).await {
            Ok(ending) => inside(client, begin, ending.send(client)).await,
            Err(failure) => Err(failure),
        };
        match &ended {
            Ok(()) => lease.done(),
            Err(_) => lease.open(),
        }
        ended
    }

    /// Rolls back.
    ///
    /// # Errors
    ///
    /// The connection's.
    pub(crate) async fn rollback(mut self) -> Result<(), Failure> {
        if !self.begun {
            return Ok(());
        }
        self.control("ROLLBACK").await?;
        self.lease.done();
        Ok(())
    }

    /// Runs a command that does not end the transaction.
    async fn step(&mut self, command: &'static str) -> Result<(), Failure> {
        timeout(self.left(), self.control(command)).await.map_err(|_| out_of_time())?
    }

    async fn control(&mut self, command: &'static str) -> Result<(), Failure> {
        let Self { lease, identity, mode, begun, .. } = self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *mode));
        let work =
            async { client.execute_typed(command, &[]).await.map(drop).map_err(Failure::Database) };
        let done = inside(client, begin, work).await;
        lease.open();
        done
    }
}

fn out_of_time() -> Failure {
    Error::new(Code::Timeout, "the transaction took longer than allowed, and was rolled back")
        .hint("do less in one transaction, or narrow the conditions")
        .into()
}

/// The error of a read that the database has not even ended by its own timeout.
pub(super) fn unanswered() -> Failure {
    Error::new(Code::Timeout, "the database did not answer in time").hint("try again later").into()
}

/// Runs `work` after the messages that begin its transaction, without waiting for their answers.
async fn inside<T>(
    client: &Object,
    begin: Option<(&Identity, Mode)>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some((identity, mode)) = begin else { return work.await };
    // Prepared before anything of the transaction is sent, so that the messages stay in order.
    let begin = client.prepare_cached(opening(mode)).await.map_err(Failure::Database)?;
    let become_caller = become_caller(client, identity).await.map_err(Failure::Database)?;
    let (begun, became, done) = tokio::join!(
        biased;
        client.execute(&begin, &[]),
        become_caller,
        work,
    );
    begun.map_err(not_begun)?;
    became.map_err(not_become)?;
    done
}

fn not_begun(error: tokio_postgres::Error) -> Failure {
    match error.code() {
        // The only error of a BEGIN that writes.
        Some(&SqlState::FEATURE_NOT_SUPPORTED) => {
            ReadOnly::Standby.refusal().caused_by(error).into()
        }
        _ => Failure::Database(error),
    }
}

/// How far a transaction is kept from others' changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Isolation {
    Serializable,
    RepeatableRead,
    ReadCommitted,
}

fn opening(mode: Mode) -> &'static str {
    use Isolation::{ReadCommitted, RepeatableRead, Serializable};
    match mode {
        Mode::Read(Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY",
        Mode::Read(RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Mode::Read(ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY",
        Mode::Write(Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
        Mode::Write(RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
        Mode::Write(ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    }
}
