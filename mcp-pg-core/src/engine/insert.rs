//! New rows: as many in a statement as it takes, and all of them or none.

use std::ops::Range;

use serde_json::Value;

use super::operation::{ALL, Done, Reached, Run, allowed, image_room, objects};
use super::record::Record;
use crate::error::{Code, Error, Result};
use crate::execute::{Fetched, Keep, Transaction, texts};
use crate::plan::InsertPlan;
use crate::statement::{self, INSERT_PARAMETERS, Statement};

impl Run<'_, '_> {
    pub(super) async fn insert(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        let width = plan.table.readable_columns().count();
        let total = plan.rows.len();
        let shown = self.operation.dry_run || record.keeps_images();
        let returned = self.operation.returned(shown);
        let step = INSERT_PARAMETERS / plan.columns.len().max(1);
        let reached = Reached { rows: total as u64, which: Vec::new() };
        let mut done = Done { reached, ..Done::default() };
        let mut room = image_room(self.scope);
        for start in (0..total).step_by(step) {
            let range = start..total.min(start + step);
            if total > 1 {
                transaction.savepoint().await.map_err(|failure| self.refused(failure))?;
            }
            let mut known = 0;
            if shown && let Some(existing) = statement::existing(plan, range.clone()) {
                let keep = Keep { rows: u64::MAX, bytes: room };
                let found = self.statement(transaction, &existing, keep, record).await?;
                known = if statement::tells_new(plan) { found.count } else { 0 };
                room = room.saturating_sub(found.bytes);
                done.before_cut |= found.too_large.is_some();
                done.before.extend(objects(&existing, found.rows, width));
            }
            let insert = statement::insert(plan, range.clone(), &returned)?;
            record.statement(&insert.sql);
            let inserted = self.add(transaction, plan, range, &insert).await?;
            allowed(&inserted, self)?;
            if shown && met(&inserted, returned.len()) > known {
                return Err(unseen());
            }
            done.count += inserted.count;
            done.after_cut |= inserted.too_large.is_some();
            done.after.extend(objects(&insert, inserted.rows, returned.len()));
        }
        let left = (total as u64).saturating_sub(done.count);
        done.notes.extend((left > 0).then(|| format!("{}: {left}", left_out(plan))));
        Ok(done)
    }

    /// Adds the rows of a range; if that is refused, tells which one is at fault.
    async fn add(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        range: Range<usize>,
        insert: &Statement<'_>,
    ) -> Result<Fetched> {
        let parameters = texts(&insert.parameters, self.given)?;
        let failure = match transaction.run(insert, &parameters, ALL).await {
            Ok(inserted) => return Ok(inserted),
            Err(failure) => failure,
        };
        let alone = plan.rows.len() == 1;
        let row = (alone && plan.list).then_some(0);
        let error = self.operation.refused(failure, self.scope, &insert.parameters, row);
        if alone || error.get_sqlstate().is_none() || error.is_retryable() {
            return Err(error);
        }
        Err(self.culprit(transaction, plan, range).await.unwrap_or(error))
    }

    /// The refusal of the first row at fault among those in `rows`, which fail together: half of them is tried at a
    /// time.
    async fn culprit(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        mut rows: Range<usize>,
    ) -> Option<Error> {
        let keep = Keep { rows: 0, bytes: 0 };
        while !rows.is_empty() {
            transaction.back().await.ok()?;
            let half = rows.start..rows.start + rows.len().div_ceil(2);
            let statement = statement::insert(plan, half.clone(), &[]).ok()?;
            let parameters = texts(&statement.parameters, self.given).ok()?;
            match transaction.run(&statement, &parameters, keep).await {
                Ok(_) => {
                    // These stay, for those that come after them.
                    transaction.savepoint().await.ok()?;
                    rows.start = half.end;
                }
                Err(failure) if half.len() == 1 => {
                    let parameters = &statement.parameters;
                    let row = Some(half.start);
                    return Some(self.operation.refused(failure, self.scope, parameters, row));
                }
                Err(_) => rows = half,
            }
        }
        None
    }
}

/// Why some rows were not added.
fn left_out(plan: &InsertPlan<'_>) -> String {
    let trigger = "that a trigger of the database's kept out, or put elsewhere";
    let why = match &plan.arbiter {
        Some(arbiter) if arbiter.set.is_empty() => {
            "rows whose key another row has, which was left as it is"
        }
        Some(_) => {
            "rows that were left as they are, because they are archived or out of the caller's reach"
        }
        None => return format!("rows {trigger}"),
    };
    match plan.table.table.fills_rows {
        true => format!("{why}, or {trigger}"),
        false => why.to_owned(),
    }
}

/// How many of the rows that an insert returned were there before, or may have been unseen if they do not tell; behind
/// so many columns.
fn met(inserted: &Fetched, width: usize) -> u64 {
    let existed =
        |row: &&Vec<Value>| row.len() == width + 2 && row.get(width) == Some(&Value::Bool(true));
    inserted.rows.iter().filter(existed).count() as u64
}

/// Refuses an upsert that changed rows which its own values did not name: they were not looked at before.
fn unseen() -> Error {
    let message = "an existing row is met by a value that a default or a trigger gives, and how it was is not known";
    Error::new(Code::Conflict, message)
        .at("/on_conflict")
        .hint("give all columns of the key in data, as the table keeps them; or update the row")
}
