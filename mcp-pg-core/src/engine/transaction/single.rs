//! A single write: guarded, recorded and committed in a transaction of its own.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::operation::Operation;
use super::retry::Retries;
use super::run::Done;
use crate::engine::confirm::Consent;
use crate::engine::record::Record;
use crate::engine::{Engine, identity, rows, size};
use crate::error::{Agreement, Result};
use crate::execute::Mode;
use crate::plan::Scope;
use crate::reply::RowSet;
use crate::request::Request;

impl Engine {
    /// Runs a write in a transaction of its own, and retries it after serialization failures.
    pub(in crate::engine) async fn write(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        agreed: Option<&Agreement>,
        record: &mut Record<'_>,
    ) -> Result<RowSet> {
        let derived = OnceLock::new();
        let mut operation = Operation::new(scope, request, String::new(), &self.cursors, &derived)?;
        let known = self.database.known();
        let operations = std::slice::from_mut(&mut operation);
        record.consent =
            Consent::prepare(scope, (request.tool(), request), agreed, known, operations);
        record.meant(operation.provenance.names());
        let table = operation.table().name().to_string();
        let mut retries = Retries::of(scope, &self.turns, &table);
        let done = loop {
            match self.attempt(scope, &operation, record).await {
                Err(error) if retries.again(&error).await => record.forget(),
                result => break result?,
            }
        };
        let (set, _) = written(scope, &operation, done, scope.view.limits.max_reply_bytes);
        Ok(set)
    }

    async fn attempt(
        &self,
        scope: &Scope<'_>,
        operation: &Operation<'_>,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        // The rows are read and then written in the same snapshot.
        let mut transaction = self.database.begin(identity(scope), Mode::CHANGE).await?;
        let done = self.operate(&mut transaction, scope, operation, &[], record).await?;
        let operations = std::slice::from_ref(operation);
        let did = (std::slice::from_ref(&done.affected), std::slice::from_ref(&done.after));
        self.conclude(transaction, scope, operations, did, record).await?;
        Ok(done)
    }
}

/// The reply to a write, with as many rows as fit into `room` bytes, and all rows for later operations.
pub(in crate::engine) fn written(
    scope: &Scope<'_>,
    operation: &Operation<'_>,
    done: Done,
    room: usize,
) -> (RowSet, Vec<Map<String, Value>>) {
    let (table, dry_run) = (operation.table(), operation.dry_run);
    let most = usize::try_from(scope.view.limits.max_rows).unwrap_or(usize::MAX);
    let (rows, before) = match operation.shows_nothing() {
        true => (Vec::new(), Vec::new()),
        false => fitting(operation, &done, most, room),
    };
    let truncated = !operation.shows_nothing() && (rows.len() as u64) < done.count;
    let mut notes = done.notes;
    if truncated {
        let (count, shown) = (done.count, rows.len());
        notes.push(format!("the reply has room for {shown} of the {count} rows"));
    }
    let after = match operation.removes() {
        true => Vec::new(),
        false => rows.clone(),
    };
    let (before, after) = match dry_run {
        false => (None, None),
        true => (Some(before), Some(after)),
    };
    let mut set = RowSet {
        table: table.name().to_string(),
        rows: Some(rows.into()),
        row_count: done.count,
        truncated,
        dry_run: dry_run.then_some(true),
        before,
        after,
        notes,
        ..RowSet::default()
    };
    let taken = |column: &str| operation.provenance.is_untrusted(column);
    set.label_untrusted(operation.plan.untrusted(&taken));
    (set, done.after)
}

/// At most the first `most` rows, as far as they fit: after the write and, in a dry run, before it.
fn fitting(
    operation: &Operation<'_>,
    done: &Done,
    most: usize,
    room: usize,
) -> (Vec<Value>, Vec<Value>) {
    let (table, returning, dry_run) =
        (operation.table(), operation.plan.returning(), operation.dry_run);
    // Related rows may have been read for some of the rows only, if they are large.
    let complete = done.related.as_ref().map_or(usize::MAX, Vec::len).min(done.after.len());
    let related = done.related.as_deref().unwrap_or_default();
    let (mut rows, mut before) = (Vec::new(), Vec::new());
    let mut left = room;
    // A dry run shows the same number of rows before and after the write.
    for index in 0..complete.max(done.before.len()).min(most) {
        let row = done.after.get(..complete).and_then(|after| after.get(index)).map(|row| {
            let mut row = rows::pick(row, table, returning);
            row.extend(related.get(index).cloned().unwrap_or_default());
            Value::Object(row)
        });
        let old = done.before.get(index).filter(|_| dry_run);
        let old = old.map(|row| Value::Object(rows::pick(row, table, returning)));
        let size = |row: &Option<Value>| row.as_ref().map_or(0, size::size);
        let times = if dry_run && !operation.removes() { 2 } else { 1 };
        let Some(rest) = left.checked_sub(size(&row) * times + size(&old)) else { break };
        left = rest;
        rows.extend(row);
        before.extend(old);
    }
    (rows, before)
}
