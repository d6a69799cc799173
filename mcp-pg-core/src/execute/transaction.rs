//! A transaction as the caller's database role, and the reading of rows.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::Object;
use futures_util::{StreamExt, pin_mut};
use rustls::ClientConfig;
use serde_json::Value;
use tokio_postgres::types::Type;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::append::{Append, Ending};
use super::database::Failure;
use crate::error::{Code, Error, Result};
use crate::plan::{Operand, Source};
use crate::request::Isolation;
use crate::statement::Statement;
use crate::value::{self, Raw, Text};

/// Who the caller is to PostgreSQL, for one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The role to become; the login if absent.
    pub role: Option<String>,
    /// Settings by name.
    pub settings: Vec<(String, String)>,
}

impl Identity {
    /// Whether there is nothing to set.
    pub fn is_login(&self) -> bool {
        self.role.is_none() && self.settings.is_empty()
    }
}

/// How many rows of an answer are kept; the rest is only counted.
#[derive(Debug, Clone, Copy)]
pub struct Keep {
    /// Rows.
    pub rows: u64,
    /// Bytes of their JSON.
    pub bytes: usize,
}

/// The rows of a statement.
#[derive(Debug, Default)]
pub struct Fetched {
    /// The kept rows, a value for each output.
    pub rows: Vec<Vec<Value>>,
    /// How many rows there were.
    pub count: u64,
    /// Where related rows were cut: positions of the row and of the output.
    pub cut: Vec<(usize, usize)>,
    /// Bytes of the first row that was not kept for its size.
    pub too_large: Option<usize>,
    /// Rows that the statement read or wrote, by PostgreSQL's count.
    pub affected: Option<u64>,
}

/// A connection on loan. Dropped in the middle of a statement, that is cancelled in PostgreSQL and the
/// connection is not used again; dropped in a transaction, that is rolled back.
#[derive(Debug)]
pub(super) struct Lease {
    object: Option<Object>,
    state: State,
    /// How to connect for a cancellation.
    tls: Arc<ClientConfig>,
}

/// What a connection is in the middle of.
#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Transaction,
    Statement,
}

impl Lease {
    pub(super) fn new(object: Object, tls: Arc<ClientConfig>) -> Self {
        Self { object: Some(object), state: State::Idle, tls }
    }

    /// The connection, from now on in the middle of a statement.
    pub(super) fn client(&mut self) -> Result<&mut Object> {
        self.state = State::Statement;
        self.object
            .as_mut()
            .ok_or_else(|| Error::new(Code::Internal, "a connection was used after its return"))
    }

    /// The statement has ended; its transaction may be open.
    fn open(&mut self) {
        self.state = State::Transaction;
    }

    /// Nothing is under way, and no transaction is open.
    pub(super) fn done(&mut self) {
        self.state = State::Idle;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(object) = self.object.take() else { return };
        if let State::Idle = self.state {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            drop(Object::take(object));
            return;
        };
        if let State::Transaction = self.state {
            runtime.spawn(async move {
                let rollback = object.execute_typed("ROLLBACK", &[]);
                if !matches!(tokio::time::timeout(PATIENCE, rollback).await, Ok(Ok(_))) {
                    drop(Object::take(object));
                }
            });
            return;
        }
        let client = Object::take(object);
        let token = client.cancel_token();
        let tls = MakeRustlsConnect::new(ClientConfig::clone(&self.tls));
        runtime.spawn(async move {
            // Closing the connection alone would let the statement run on to its end.
            if !client.is_closed() {
                let cancelled = tokio::time::timeout(PATIENCE, token.cancel_query(tls)).await;
                tracing::debug!(?cancelled, "cancelled the statement of an abandoned call");
            }
            drop(client);
        });
    }
}

/// An open transaction. Dropped without commit, it is rolled back.
#[derive(Debug)]
pub struct Transaction {
    lease: Lease,
    identity: Identity,
    isolation: Option<Isolation>,
    begun: bool,
}

impl Transaction {
    pub(super) fn new(lease: Lease, identity: Identity, isolation: Option<Isolation>) -> Self {
        Self { lease, identity, isolation, begun: false }
    }

    /// Runs a statement; the first one takes BEGIN and the identity with it in the same round trip.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub async fn run(
        &mut self,
        statement: &Statement<'_>,
        parameters: &[Text],
        keep: Keep,
    ) -> Result<Fetched, Failure> {
        let Self { lease, identity, isolation, begun } = self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *isolation));
        let work = async {
            let prepared = prepare(client, statement).await?;
            fetch(client, prepared, statement, parameters, keep).await
        };
        // Boxed, here and below: futures are moved into each other, and this one is large.
        let fetched = inside(client, begin, Box::pin(work)).await;
        lease.open();
        fetched
    }

    /// Runs the only statement of a transaction: from BEGIN to COMMIT in one round trip.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub async fn run_alone(
        self,
        statement: &Statement<'_>,
        parameters: &[Text],
        keep: Keep,
    ) -> Result<Fetched, Failure> {
        let Self { mut lease, identity, isolation, .. } = self;
        let client: &Object = lease.client()?;
        // Prepared before anything is sent: else COMMIT would go out while the statement waits for that.
        let prepared = prepare(client, statement).await?;
        let commit = client.prepare_cached("COMMIT").await.map_err(Failure::Database)?;
        let work = async {
            let (fetched, committed) = tokio::join!(
                biased;
                fetch(client, prepared, statement, parameters, keep),
                client.execute(&commit, &[]),
            );
            let fetched = fetched?;
            committed.map_err(Failure::Database)?;
            Ok(fetched)
        };
        let fetched = inside(client, Some((&identity, isolation)), Box::pin(work)).await;
        lease.done();
        fetched
    }

    /// Has deferrable constraints checked at the end instead of with each statement.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub async fn defer_constraints(&mut self) -> Result<(), Failure> {
        self.control("SET CONSTRAINTS ALL DEFERRED").await
    }

    /// Checks the constraints that were deferred, now instead of at the commit.
    ///
    /// # Errors
    ///
    /// The first violation.
    pub async fn check_constraints(&mut self) -> Result<(), Failure> {
        self.control("SET CONSTRAINTS ALL IMMEDIATE").await
    }

    /// Marks a place to come back to.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub async fn savepoint(&mut self) -> Result<(), Failure> {
        self.control("SAVEPOINT step").await
    }

    /// Goes back to the last savepoint.
    ///
    /// # Errors
    ///
    /// PostgreSQL's.
    pub async fn back(&mut self) -> Result<(), Failure> {
        self.control("ROLLBACK TO SAVEPOINT step").await
    }

    /// Commits, with rows of the server's own if there are any: both or neither, in one round trip.
    ///
    /// # Errors
    ///
    /// A deferred constraint's violation, a serialization failure; or a lost connection, after which only
    /// the database knows whether it was committed: see [`Failure::rolled_back`]. `audit_unavailable` if the
    /// rows are refused.
    pub async fn commit(mut self, append: Option<&Append<'_>>) -> Result<(), Failure> {
        if let Some(append) = append {
            return self.commit_with(append).await;
        }
        let committed = self.control("COMMIT").await;
        // After a failed COMMIT no transaction is open either.
        self.lease.done();
        committed
    }

    async fn commit_with(mut self, append: &Append<'_>) -> Result<(), Failure> {
        let Self { lease, identity, isolation, begun } = &mut self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *isolation));
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
    pub async fn rollback(mut self) -> Result<(), Failure> {
        if !self.begun {
            return Ok(());
        }
        self.control("ROLLBACK").await?;
        self.lease.done();
        Ok(())
    }

    async fn control(&mut self, command: &'static str) -> Result<(), Failure> {
        let Self { lease, identity, isolation, begun } = self;
        let client: &Object = lease.client()?;
        let begin = (!std::mem::replace(begun, true)).then_some((&*identity, *isolation));
        let work =
            async { client.execute_typed(command, &[]).await.map(drop).map_err(Failure::Database) };
        let done = inside(client, begin, work).await;
        lease.open();
        done
    }
}

/// Does the work after the messages that begin its transaction, without waiting for their answers.
async fn inside<T>(
    client: &Object,
    begin: Option<(&Identity, Option<Isolation>)>,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some((identity, isolation)) = begin else { return work.await };
    // Prepared before anything of the transaction is sent, so that the messages stay in order.
    let begin = client.prepare_cached(opening(isolation)).await.map_err(Failure::Database)?;
    let become_caller = become_caller(client, identity).await.map_err(Failure::Database)?;
    let (begun, became, done) = tokio::join!(
        biased;
        client.execute(&begin, &[]),
        become_caller,
        work,
    );
    begun.and(became).map_err(Failure::Database)?;
    done
}

fn opening(isolation: Option<Isolation>) -> &'static str {
    match isolation {
        None => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        Some(Isolation::Serializable) => "BEGIN ISOLATION LEVEL SERIALIZABLE READ WRITE",
        Some(Isolation::RepeatableRead) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ WRITE",
        Some(Isolation::ReadCommitted) => "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    }
}

/// What makes the transaction the caller's, ready to be sent.
async fn become_caller<'a>(
    client: &'a Object,
    identity: &'a Identity,
) -> Result<impl Future<Output = Result<u64, tokio_postgres::Error>> + 'a, tokio_postgres::Error> {
    // The role comes last: the settings are the login's to make.
    let settings = identity.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let role = identity.role.iter().map(|role| ("role", role.as_str()));
    let parameters: Vec<&str> =
        settings.chain(role).flat_map(|(name, value)| [name, value]).collect();
    let calls: Vec<String> = (1..=parameters.len())
        .step_by(2)
        .map(|name| format!("pg_catalog.set_config(${name}, ${}, true)", name + 1))
        .collect();
    let prepared = match calls.is_empty() {
        true => None,
        false => Some(client.prepare_cached(&format!("SELECT {}", calls.join(", "))).await?),
    };
    Ok(async move {
        match prepared {
            None => Ok(0),
            Some(prepared) => client.execute_raw(&prepared, parameters).await,
        }
    })
}

/// The parameters as PostgreSQL gets them; `results` are the rows of earlier operations, by name of the
/// column.
///
/// # Errors
///
/// `invalid_value` where a reference leads to no row, or to a value that does not fit.
pub fn texts(
    operands: &[Operand],
    results: &[Vec<serde_json::Map<String, Value>>],
) -> Result<Vec<Text>> {
    operands.iter().map(|operand| text(operand, results).map(Text)).collect()
}

fn text(
    operand: &Operand,
    results: &[Vec<serde_json::Map<String, Value>>],
) -> Result<Option<String>> {
    match &operand.source {
        Source::Text(text) => Ok(text.clone()),
        Source::Reference { reference, data_type, type_name } => {
            let rows = results.get(reference.operation).map_or(&[][..], Vec::as_slice);
            let value = rows.get(reference.row).and_then(|row| row.get(&reference.column));
            let Some(value) = value else {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("operation {} gave {} rows", reference.operation, rows.len()),
                )
                .at(&operand.at));
            };
            value::encode(data_type, type_name, value).map_err(|error| error.at(&operand.at))
        }
        Source::List(values) => {
            let values: Vec<Option<String>> =
                values.iter().map(|value| text(value, results)).collect::<Result<_>>()?;
            Ok(Some(value::text_array(values.iter().map(Option::as_deref))))
        }
    }
}

/// Most prepared statements of one connection: requests can take many shapes, and each holds memory in
/// PostgreSQL.
const PREPARED_MOST: usize = 500;

pub(super) async fn prepare(
    client: &Object,
    statement: &Statement<'_>,
) -> Result<Option<tokio_postgres::Statement>, Failure> {
    if !statement.recurring {
        return Ok(None);
    }
    if client.statement_cache.size() >= PREPARED_MOST {
        client.statement_cache.clear();
    }
    client.prepare_cached(&statement.sql).await.map(Some).map_err(Failure::Database)
}

/// Sends a statement, which is prepared if it recurs, and reads its rows.
pub(super) async fn fetch(
    client: &Object,
    prepared: Option<tokio_postgres::Statement>,
    statement: &Statement<'_>,
    parameters: &[Text],
    keep: Keep,
) -> Result<Fetched, Failure> {
    let rows = match &prepared {
        Some(prepared) => client.query_raw(prepared, parameters).await,
        // PostgreSQL infers the types of unknown parameters here too.
        None => {
            let typed = parameters.iter().map(|text| (text, Type::UNKNOWN));
            client.query_typed_raw(&statement.sql, typed).await
        }
    }
    .map_err(Failure::Database)?;
    pin_mut!(rows);
    let mut fetched = Fetched::default();
    let mut bytes = 0;
    while let Some(row) = rows.next().await {
        let row = row.map_err(Failure::Database)?;
        fetched.count += 1;
        if fetched.count > keep.rows || fetched.too_large.is_some() {
            continue;
        }
        let mut values = Vec::with_capacity(statement.outputs.len());
        let mut size = 2;
        for (index, (output, column)) in statement.outputs.iter().zip(row.columns()).enumerate() {
            let Raw(raw) = row.try_get(index).map_err(Failure::Database)?;
            let (value, cut) = output.read(column.type_().oid(), raw)?;
            size += output.name.len() + 4 + json_size(&value);
            values.push(value);
            if cut {
                fetched.cut.push((fetched.rows.len(), index));
            }
        }
        if bytes + size > keep.bytes {
            fetched.too_large = Some(size);
            continue;
        }
        bytes += size;
        fetched.rows.push(values);
    }
    fetched.affected = rows.rows_affected();
    Ok(fetched)
}

/// Roughly the bytes of a value's JSON: escapes count as one.
fn json_size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 5,
        Value::Number(_) => 8,
        Value::String(text) => text.len() + 2,
        Value::Array(items) => 2 + items.iter().map(|item| json_size(item) + 1).sum::<usize>(),
        Value::Object(members) => {
            2 + members.iter().map(|(key, item)| key.len() + 4 + json_size(item)).sum::<usize>()
        }
    }
}
