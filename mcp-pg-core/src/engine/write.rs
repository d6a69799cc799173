//! Requests that write: alone or several in a transaction, guarded, recorded, then committed.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Map, Value};

use super::operation::{Done, Given, Operation};
use super::record::Record;
use super::{Engine, identity, rows};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Transaction, ViolatedKey};
use crate::plan::{Earlier, Plan, Scope};
use crate::policy::{Action, TableView};
use crate::reply::{Committed, RowSet};
use crate::request::{self, Isolation, Request};

impl Engine {
    /// Runs one write in a transaction of its own, again if PostgreSQL asks for it.
    pub(super) async fn write(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        record: &mut Record<'_>,
    ) -> Result<RowSet> {
        let derived = OnceLock::new();
        let operation = Operation::new(scope, request, String::new(), &self.cursors, &derived)?;
        let dry_run = operation.dry_run;
        let mut tries = Tries::of(scope);
        let done = loop {
            match self.attempt(scope, &operation, dry_run, record).await {
                Err(error) if tries.again(&error).await => record.forget(),
                result => break result?,
            }
        };
        let (set, _) = written(scope, &operation, done, dry_run, scope.view.limits.max_reply_bytes);
        Ok(set)
    }

    async fn attempt(
        &self,
        scope: &Scope<'_>,
        operation: &Operation<'_>,
        dry_run: bool,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        // One snapshot for the look before and the write after: both see the same rows.
        let isolation = Some(Isolation::RepeatableRead);
        let mut transaction = self.database.begin(identity(scope), isolation).await?;
        let done = self.operate(&mut transaction, scope, operation, &[], record).await?;
        let operations = std::slice::from_ref(operation);
        let did = (&[done.reached][..], std::slice::from_ref(&done.after));
        self.conclude(transaction, scope, operations, did, dry_run, record).await?;
        Ok(done)
    }

    /// Runs several operations in one transaction.
    pub(super) async fn transaction(
        &self,
        scope: &Scope<'_>,
        request: &request::Transaction,
        record: &mut Record<'_>,
    ) -> Result<Committed> {
        let most = scope.view.limits.max_operations;
        let steps = &request.operations;
        if steps.is_empty() {
            return Err(Error::new(Code::MissingValue, "there is no operation").at("/operations"));
        }
        if steps.len() > most {
            let message = format!("a transaction may have {most} operations, not {}", steps.len());
            return Err(Error::exceeded("max_operations", message).at("/operations"));
        }
        let at = |index: usize| format!("/operations/{index}");
        let mut requests = Vec::with_capacity(steps.len());
        let mut named: Vec<(Option<&str>, &TableView)> = Vec::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let request = step.request().map_err(|error| error.inside(&at(index)))?;
            let table = request.table().unwrap_or_default();
            let table = scope
                .view
                .table(table)
                .map_err(|error| error.inside(&format!("{}/table", at(index))))?;
            let name = step.name.as_deref();
            if name.is_some() && named.iter().any(|(known, _)| *known == name) {
                return Err(Error::new(Code::InvalidValue, "two operations have the same name")
                    .at(format!("{}/as", at(index))));
            }
            named.push((name, table));
            requests.push(request);
        }
        let earlier = requests.iter().zip(named).map(|(request, (name, table))| {
            let columns = match request {
                Request::Select(select) => select.columns.as_deref(),
                _ => None,
            };
            Earlier { name, table, columns }
        });
        let earlier: Vec<Earlier<'_>> = earlier.collect();
        let derived: Vec<OnceLock<Box<TableView>>> =
            steps.iter().map(|_| OnceLock::new()).collect();
        let dry_run = request.dry_run.unwrap_or_default();
        let mut operations = Vec::with_capacity(steps.len());
        for (index, (request, derived)) in requests.iter().zip(&derived).enumerate() {
            let scope = Scope { earlier: &earlier[..index], ..*scope };
            let operation = Operation::new(&scope, request, at(index), &self.cursors, derived);
            let operation = operation.map_err(|error| error.inside(&at(index)))?;
            operations.push(Operation { dry_run, ..operation });
        }

        let run = Together {
            isolation: request.isolation.unwrap_or_default(),
            dry_run,
            referring: serde_json::to_string(steps).is_ok_and(|text| text.contains("\"$ref\"")),
        };
        let mut tries = Tries::of(scope);
        let results = loop {
            match self.attempt_all(scope, &operations, &run, record).await {
                Err(error) if tries.again(&error).await => record.forget(),
                result => break result?,
            }
        };
        Ok(Committed { committed: !dry_run, dry_run: dry_run.then_some(true), results })
    }

    async fn attempt_all(
        &self,
        scope: &Scope<'_>,
        operations: &[Operation<'_>],
        run: &Together,
        record: &mut Record<'_>,
    ) -> Result<Vec<RowSet>> {
        // Selects alone see one snapshot, on a standby too.
        let isolation = operations.iter().any(Operation::writes).then_some(run.isolation);
        let mut transaction = self.database.begin(identity(scope), isolation).await?;
        if isolation.is_some() {
            let deferring = transaction.defer_constraints().await;
            deferring.map_err(|failure| deferred(failure, scope, operations, &[]))?;
        }
        let mut given: Vec<Vec<Map<String, Value>>> = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        let mut reached = Vec::with_capacity(operations.len());
        // The results share the room of one reply.
        let mut room = scope.view.limits.max_reply_bytes;
        for operation in operations {
            let inside = |error: Error| error.inside(&operation.at);
            let (set, rows) = if let Plan::Select(plan) = &operation.plan {
                reached.push(0);
                self.select_within(&mut transaction, scope, plan, &given, room, record)
                    .await
                    .map_err(inside)?
            } else {
                let done = self
                    .operate(&mut transaction, scope, operation, &given, record)
                    .await
                    .map_err(inside)?;
                reached.push(done.reached);
                written(scope, operation, done, run.dry_run, room)
            };
            results.push(set);
            // For those that refer to them, and to tell which of them the commit refuses.
            given.push(rows);
            if !run.referring && transaction.is_crowded() {
                given.iter_mut().for_each(|rows| *rows = Vec::new());
                transaction.let_go();
            }
            if operations.len() > 1 {
                let spent = results.last().and_then(|set| serde_json::to_vec(set).ok());
                room = room.saturating_sub(spent.map_or(0, |text| text.len()));
            }
        }
        let did = (reached.as_slice(), given.as_slice());
        self.conclude(transaction, scope, operations, did, run.dry_run, record).await?;
        Ok(results)
    }

    /// Keeps the record, then commits; or rolls back what is a dry run, or was not agreed to. The operations reached so
    /// many rows each, and gave these.
    async fn conclude(
        &self,
        transaction: Transaction,
        scope: &Scope<'_>,
        operations: &[Operation<'_>],
        (reached, given): (&[u64], &Given),
        dry_run: bool,
        record: &mut Record<'_>,
    ) -> Result<()> {
        let refused = |failure| deferred(failure, scope, operations, given);
        let agreed = match &record.consent {
            Some(consent) if !dry_run => consent.check(scope, operations, reached),
            _ => Ok(()),
        };
        let writes = operations.iter().any(Operation::writes).then_some(agreed);
        self.finish(transaction, writes, dry_run, record, &refused).await
    }

    /// The same for any transaction, whose failures are told by `refused`; `writes` says of one that writes
    /// whether that was agreed to.
    pub(super) async fn finish(
        &self,
        mut transaction: Transaction,
        writes: Option<Result<()>>,
        dry_run: bool,
        record: &mut Record<'_>,
        refused: &(dyn Fn(Failure) -> Error + Sync),
    ) -> Result<()> {
        if dry_run {
            record.forget_images();
            // What the commit would have found.
            transaction.check_constraints().await.map_err(refused)?;
            return transaction.rollback().await.map_err(refused);
        }
        let Some(agreed) = writes else {
            return transaction.commit(None).await.map_err(refused);
        };
        let entry = match agreed {
            Ok(()) => record.intend().await,
            Err(error) => Err(error),
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                transaction.rollback().await.map_err(refused)?;
                return Err(error);
            }
        };
        let committed = self.sinks.commit(transaction, entry).await;
        if committed.is_ok() {
            record.committed();
        }
        committed.map_err(|failure| {
            let error = refused(failure);
            if error.code() != Code::DatabaseUnavailable {
                return error;
            }
            Error::new(Code::DatabaseUnavailable, "the connection was lost during the commit")
                .hint("the write may have happened: read the rows before trying again")
                .retryable(false)
                .caused_by(error)
        })
    }
}

/// How the operations of a transaction run.
struct Together {
    isolation: Isolation,
    dry_run: bool,
    /// Whether one may refer to the rows of another, which must be held for that.
    referring: bool,
}

/// The reply to a write, with rows of as many bytes as there is room for; and all rows, for later operations.
fn written(
    scope: &Scope<'_>,
    operation: &Operation<'_>,
    done: Done,
    dry_run: bool,
    room: usize,
) -> (RowSet, Vec<Map<String, Value>>) {
    let names = operation.returning();
    let limits = &scope.view.limits;
    let most = usize::try_from(limits.max_rows).unwrap_or(usize::MAX);
    let removed = operation.removes();
    // What is related was read for some of the rows, if it is large.
    let complete = done.related.as_ref().map_or(usize::MAX, Vec::len).min(done.after.len());
    let related = done.related.unwrap_or_default();
    let (mut rows, mut before) = (Vec::new(), Vec::new());
    let mut left = room;
    // The rows before and after count like the rows: a dry run shows as much of each.
    for index in 0..complete.max(done.before.len()).min(most) {
        let row = done.after.get(..complete).and_then(|after| after.get(index)).map(|row| {
            let mut row = rows::pick(row, &names);
            row.extend(related.get(index).cloned().unwrap_or_default());
            Value::Object(row)
        });
        let old = done.before.get(index).filter(|_| dry_run);
        let old = old.map(|row| Value::Object(rows::pick(row, &names)));
        let size = |row: &Option<Value>| row.as_ref().map_or(0, |row| row.to_string().len());
        let times = if dry_run && !removed { 2 } else { 1 };
        let Some(rest) = left.checked_sub(size(&row) * times + size(&old)) else { break };
        left = rest;
        rows.extend(row);
        before.extend(old);
    }
    let truncated = (rows.len() as u64) < done.count;
    let mut notes = done.notes;
    if truncated {
        let (count, shown) = (done.count, rows.len());
        notes.push(format!("the reply has room for {shown} of the {count} rows"));
    }
    let after = match removed {
        true => Vec::new(),
        false => rows.clone(),
    };
    let (before, after) = match dry_run {
        false => (None, None),
        true => (Some(before), Some(after)),
    };
    let mut set = RowSet {
        table: operation.table().name().to_string(),
        rows: Some(rows.into()),
        row_count: done.count,
        truncated,
        dry_run: dry_run.then_some(true),
        before,
        after,
        notes,
        ..RowSet::default()
    };
    set.label_untrusted(operation.plan.marked(|marks| marks.untrusted));
    (set, done.after)
}

/// The error of a constraint that was checked only at the end: at the row that PostgreSQL tells of, among those
/// `written`, else at the only operation that can be meant.
fn deferred(
    failure: Failure,
    scope: &Scope<'_>,
    operations: &[Operation<'_>],
    written: &Given,
) -> Error {
    let answer = match &failure {
        Failure::Database(error) => error.as_db_error(),
        Failure::Own(_) => None,
    };
    let is_named = |operation: &Operation<'_>| {
        let table = operation.table().name();
        answer.is_some_and(|answer| {
            answer.table() == Some(&table.name) && answer.schema() == Some(&table.schema)
        })
    };
    let writes = || operations.iter().enumerate().filter(|(_, operation)| operation.writes());
    let named = || writes().filter(|(_, operation)| is_named(operation));
    let key = answer.and_then(ViolatedKey::of);
    let at_fault = key.and_then(|key| {
        named().rev().find_map(|(index, operation)| {
            let rows = written.get(index)?;
            let row = rows.iter().position(|row| key.is_of(row))?;
            Some((operation, Some((row, rows.len()))))
        })
    });
    let (operation, row) = match (at_fault, named().next(), named().nth(1)) {
        (Some(found), ..) => found,
        (None, Some((_, operation)), None) => (operation, None),
        // A trigger wrote elsewhere, or any of several operations did it.
        (None, ..) => match (writes().next(), writes().nth(1)) {
            (Some((_, operation)), None) => (operation, None),
            (Some((_, operation)), Some(_)) => {
                return operation.refused(failure, scope, &[], None).at("/operations");
            }
            (None, _) => return Error::new(Code::Internal, "a transaction that writes nothing"),
        },
    };
    // Of the rows that it lists, if all were written, the places are the same.
    let listed = operation.listed();
    let row = row.filter(|(_, of)| listed == Some(*of)).map(|(row, _)| row);
    let error = operation.refused(failure, scope, &[], row);
    match (listed, row, error.pointer()) {
        (Some(_), None, Some(_)) if operation.action() == Action::Insert => error.at("/data"),
        (Some(_), None, Some(_)) => error.at("/updates"),
        _ => error,
    }
    .inside(&operation.at)
}

/// How often and when a transaction is run again.
pub(super) struct Tries {
    left: u32,
    pause: Duration,
}

impl Tries {
    pub(super) fn of(scope: &Scope<'_>) -> Self {
        Self { left: scope.settings.concurrency.retries, pause: Duration::from_millis(5) }
    }

    /// Whether to run again, after a pause: PostgreSQL asked for it, and it was not too often.
    pub(super) async fn again(&mut self, error: &Error) -> bool {
        if error.code() != Code::SerializationFailure || self.left == 0 {
            return false;
        }
        self.left -= 1;
        // Transactions that collided and wait equally long would collide again.
        let spread = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
        tokio::time::sleep(self.pause + self.pause * spread / 256).await;
        self.pause *= 2;
        true
    }
}
