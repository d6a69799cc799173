//! Several operations in one transaction: all or none take effect. Each runs as it would alone, and sees the effects
//! of those before it.

mod commit;
mod operation;
mod retry;
mod run;
mod select;
mod single;

pub(super) use commit::undo;
pub(super) use operation::{Operation, Part};
pub(super) use retry::{Retries, Turns};
pub(super) use run::{ALL, Done, Given, Run, allowed, image_room, is_of_list, objects};

use std::sync::OnceLock;

use serde_json::{Map, Value};

use crate::engine::confirm::{Affected, Consent, Fact, Times};
use crate::engine::record::Record;
use crate::engine::size::size;
use crate::engine::write::Provenance;
use crate::engine::{Engine, identity};
use crate::error::{Agreement, Code, Error, Result};
use crate::execute::{Isolation, Mode};
use crate::plan::{Earlier, InsertPlan, Plan, Reference, Scope, Source};
use crate::policy::TableView;
use crate::reply::{Committed, RowSet};
use crate::request::{self, Request};
use commit::deferred;
use single::written;

/// The note on a transaction that continues although an operation's condition matched no row.
const GOES_ON: &str = "the other operations are done all the same: \"min_rows\": 1 stops them";

/// How the operations of a transaction run.
struct Together {
    isolation: Isolation,
    /// The references between operations. The rows that they refer to are kept for that.
    references: Vec<Taken>,
}

/// A reference of an operation.
struct Taken {
    reference: Reference,
    /// Whether the value of a new row is only stored in another new row, and so leads to no existing one.
    is_stored: bool,
}

impl Together {
    /// Binds the confirmation to facts about the last operation: values that others take from its rows, which the
    /// request does not contain.
    fn bind(
        &self,
        operations: &[Operation<'_>],
        times: &mut Times,
        affected: &mut Affected,
        given: &Given,
    ) {
        let Some((index, rows)) = given.iter().enumerate().next_back() else { return };
        let operation = &operations[index];
        let table = operation.table();
        operation.plan.each_assigned(|column, assign| {
            let Some(Source::Reference { reference, .. }) = assign.value().map(|set| &set.source)
            else {
                return;
            };
            let source = operations[reference.operation].table();
            if let Some(value) = value(reference, given) {
                times.pass_on((table, &column.name), (source, &reference.column), value);
            }
        });
        times.add(operation, &affected.met, rows);
        let is_insert = matches!(operation.plan, Plan::Insert(_));
        let leads = |taken: &&Taken| taken.reference.operation == index && !taken.is_stored;
        let taken = self.references.iter().filter(leads);
        affected.facts.extend(taken.filter_map(|Taken { reference, .. }| {
            let (position, column) = table.table.column(&reference.column)?;
            let mut text = value(reference, given)?.to_string();
            if times.has(table, &column.name, &text) {
                text.clear();
            }
            let key = row(reference, given).filter(|_| !is_insert);
            Some(Fact::Taken(key.and_then(|row| operation.key(row)), (position, text)))
        }));
    }
}

/// The row to which a reference leads; the first, if there may be several.
fn row<'g>(reference: &Reference, given: &'g Given) -> Option<&'g Map<String, Value>> {
    let row = usize::try_from(reference.row.unwrap_or_default()).ok()?;
    given.get(reference.operation)?.get(row)
}

/// The value of a reference.
fn value<'g>(reference: &Reference, given: &'g Given) -> Option<&'g Value> {
    row(reference, given)?.get(&reference.column)
}

/// An operation of the request.
struct Step<'s> {
    name: Option<&'s str>,
    table: &'s TableView,
    request: Request,
}

impl Engine {
    /// Runs several operations in one transaction.
    pub(in crate::engine) async fn transaction(
        &self,
        scope: &Scope<'_>,
        request: &request::Transaction,
        agreed: Option<&Agreement>,
        record: &mut Record<'_>,
    ) -> Result<Committed> {
        let steps = read_steps(scope, &request.operations)?;
        let derived: Vec<OnceLock<Box<TableView>>> =
            steps.iter().map(|_| OnceLock::new()).collect();
        let earlier = steps.iter().zip(&derived).map(|(step, derived)| {
            let (columns, totals) = match &step.request {
                Request::Select(select) => (select.columns.as_deref(), None),
                Request::Aggregate(_) => (None, Some(derived)),
                _ => (None, None),
            };
            Earlier { name: step.name, table: step.table, columns, totals }
        });
        let earlier: Vec<Earlier<'_>> = earlier.collect();
        let dry_run = request.dry_run.unwrap_or_default();
        let mut operations = Vec::with_capacity(steps.len());
        let (mut references, mut values) = (Vec::new(), 0);
        for (index, (step, derived)) in steps.iter().zip(&derived).enumerate() {
            let at = place(index);
            let scope = Scope { earlier: &earlier[..index], ..*scope };
            let operation =
                Operation::new(&scope, &step.request, at.clone(), &self.cursors, derived);
            let mut operation = operation.map_err(|error| error.inside(&at))?;
            if let Plan::Insert(plan) = &operation.plan {
                values += plan.values();
                InsertPlan::few(values).map_err(|error| error.inside(&at))?;
            }
            let arguments = &request.operations[index].arguments;
            let known = scope.taken_from_earlier(step.table, arguments);
            let before: Vec<&Provenance> =
                operations.iter().map(|known: &Operation<'_>| &known.provenance).collect();
            operation.provenance.refer(&known, scope.earlier, &before);
            record.meant(operation.provenance.names());
            let stores = adds_only(&operation);
            references.extend(known.into_iter().map(|(_, reference)| {
                let source = operations.get(reference.operation);
                Taken { is_stored: stores && source.is_some_and(adds_only), reference }
            }));
            operations.push(Operation { dry_run, ..operation });
        }
        let (asked, known) = (("transaction", request), self.database.known());
        record.consent = Consent::prepare(scope, asked, agreed, known, &mut operations);
        if record.consent.is_some() {
            note_followed(&mut operations);
        }

        let run = Together {
            isolation: match request.isolation.unwrap_or_default() {
                request::Isolation::Serializable => Isolation::Serializable,
                request::Isolation::RepeatableRead | request::Isolation::ReadCommitted => {
                    Isolation::RepeatableRead
                }
            },
            references,
        };
        let written = operations.iter().find(|operation| operation.writes());
        let table = written.map(|operation| operation.table().name().to_string());
        let table = table.unwrap_or_default();
        let mut retries = Retries::of(scope, &self.turns, &table);
        let results = loop {
            match self.attempt_all(scope, &operations, &run, record).await {
                Err(error) if retries.again(&error).await => record.forget(),
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
        let mode = match operations.iter().any(Operation::writes) {
            true => Mode::Write(run.isolation),
            false => Mode::Read(run.isolation),
        };
        let mut transaction = self.database.begin(identity(scope), mode).await?;
        if mode.writes() {
            let deferring = transaction.defer_constraints().await;
            deferring.map_err(|failure| deferred(failure, scope, operations, &[]))?;
        }
        let mut given: Vec<Vec<Map<String, Value>>> = Vec::with_capacity(operations.len());
        let mut results = Vec::with_capacity(operations.len());
        let mut affected = Vec::with_capacity(operations.len());
        let mut times = Times::default();
        // All results share the size limit of one reply.
        let mut room = scope.view.limits.max_reply_bytes;
        for operation in operations {
            let inside = |error: Error| error.inside(&operation.at);
            let mut reach = Affected::default();
            let (set, rows) = if let Plan::Select(plan) = &operation.plan {
                let is_referred = !run.references.is_empty();
                let run = Run { scope, operation, given: &given, is_referred };
                self.select_within(&mut transaction, &run, plan, room, record)
                    .await
                    .map_err(inside)?
            } else {
                let mut done = self
                    .operate(&mut transaction, scope, operation, &given, record)
                    .await
                    .map_err(inside)?;
                reach = std::mem::take(&mut done.affected);
                let (mut set, rows) = written(scope, operation, done, room);
                let met_none = matches!(operation.plan, Plan::Change(_)) && set.row_count == 0;
                set.notes.extend((met_none && operations.len() > 1).then(|| GOES_ON.to_owned()));
                (set, rows)
            };
            results.push(set);
            // Kept for references, and to find the operation that a failed commit is about.
            given.push(rows);
            if record.consent.is_some() {
                run.bind(operations, &mut times, &mut reach, &given);
            }
            affected.push(reach);
            if run.references.is_empty() && transaction.is_crowded() {
                given.iter_mut().for_each(|rows| *rows = Vec::new());
                transaction.let_go();
            }
            if operations.len() > 1 {
                room = room.saturating_sub(results.last().map_or(0, size));
            }
        }
        let did = (affected.as_slice(), given.as_slice());
        self.conclude(transaction, scope, operations, did, record).await?;
        Ok(results)
    }
}

/// Whether the operation changes no existing rows.
fn adds_only(operation: &Operation<'_>) -> bool {
    matches!(&operation.plan, Plan::Insert(plan) if plan.arbiter.is_none())
}

/// Notes which operations are followed by others that may change the same rows.
fn note_followed(operations: &mut [Operation<'_>]) {
    for index in 0..operations.len() {
        if let Some((earlier, later)) = operations[index..].split_first_mut() {
            earlier.is_followed = later.iter().any(|later| later.follows(earlier));
        }
    }
}

/// The operations of a transaction. Names must be unique.
fn read_steps<'s>(scope: &Scope<'s>, steps: &'s [request::Step]) -> Result<Vec<Step<'s>>> {
    if steps.is_empty() {
        return Err(Error::new(Code::MissingValue, "there is no operation").at("/operations"));
    }
    let most = scope.view.limits.max_operations;
    if steps.len() > most {
        let message =
            format!("a transaction may have at most {most} operations, not {}", steps.len());
        return Err(Error::exceeded("max_operations", message).at("/operations"));
    }
    let mut read: Vec<Step<'_>> = Vec::with_capacity(steps.len());
    for (index, step) in steps.iter().enumerate() {
        let at = place(index);
        let request = step.request().map_err(|error| match error.get_at() {
            Some("/operation") => error.allowed(operations(scope)).inside(&at),
            _ => error.inside(&at),
        })?;
        let table = scope.view.table(request.table().unwrap_or_default());
        let table = table.map_err(|error| error.inside("/table").inside(&at))?;
        let name = step.name.as_deref();
        if name.is_some() && read.iter().any(|known| known.name == name) {
            return Err(
                Error::new(Code::InvalidValue, "two operations have the same name").at(at + "/as")
            );
        }
        read.push(Step { name, table, request });
    }
    Ok(read)
}

/// The operations that the role can use on some table.
fn operations(scope: &Scope<'_>) -> impl Iterator<Item = &'static str> {
    let actions = scope.view.actions();
    request::Step::OPERATIONS.into_iter().filter(move |operation| {
        let needs = if *operation == "aggregate" { "select" } else { operation };
        actions.iter().any(|action| action.as_str() == needs)
    })
}

fn place(index: usize) -> String {
    format!("/operations/{index}")
}
