//! Inserts: as many rows per statement as possible; all rows or none.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::nulls;
use crate::engine::confirm::{Affected, facts, keys};
use crate::engine::record::Record;
use crate::engine::transaction::{ALL, Done, Part, Run, allowed, image_room, is_of_list, objects};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Fetched, Keep, Transaction, texts};
use crate::plan::InsertPlan;
use crate::schema::TableKind;
use crate::statement::{self, INSERT_PARAMETERS, Statement};

impl Run<'_, '_> {
    pub(in crate::engine) async fn insert(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        let total = plan.rows.len();
        let shown = self.operation.dry_run || record.keeps_images();
        // For a confirmation, all overwritten rows must be identified.
        let asked = record.consent.is_some();
        let overwritten = Overwritten::of(plan, shown || asked);
        let returned = self.operation.returned(shown || asked);
        let step = INSERT_PARAMETERS / plan.columns.len().max(1);
        let affected = Affected { rows: total as u64, ..Affected::default() };
        let mut done = Done { affected, ..Done::default() };
        let mut room = if asked { ALL.bytes } else { image_room(self.scope) };
        let mut kept = self.kept(record);
        for start in (0..total).step_by(step) {
            let range = start..total.min(start + step);
            if total > 1 {
                transaction.savepoint().await.map_err(|failure| self.refused(failure))?;
            }
            let existing =
                overwritten.as_ref().and_then(|_| statement::existing(plan, range.clone(), asked));
            let mut found = Fetched::default();
            if let Some(existing) = &existing {
                let keep = Keep::new(u64::MAX, room);
                found = match self.statement(transaction, existing, keep, record).await {
                    Err(error) if total > 1 && is_of_list(&error, "/data") => {
                        let culprit = self.culprit(transaction, plan, range).await;
                        return Err(culprit.unwrap_or(error));
                    }
                    found => found?,
                };
                room = room.saturating_sub(found.bytes);
                done.before_cut |= found.too_large.is_some();
            }
            let added =
                self.added(transaction, plan, range.clone(), (&returned, kept), record).await?;
            kept.bytes = kept.bytes.saturating_sub(added.fetched.bytes);
            allowed(&added.fetched, self)?;
            if asked {
                self.tell(&mut done, plan, overwritten.as_ref(), &added, range);
            }
            let Added { insert, returned, fetched } = added;
            if let Some(overwritten) = &overwritten {
                let rows = overwritten.rows(found, &fetched)?;
                let (read, apart) = (&overwritten.columns, overwritten.columns.len());
                done.affected.facts.extend(facts(
                    plan.table,
                    &overwritten.told(),
                    read,
                    apart,
                    &rows,
                ));
                if let Some(existing) = existing {
                    done.before.extend(objects(&existing, rows, returned.len()));
                }
            }
            done.count += fetched.count;
            done.after_cut |= fetched.too_large.is_some();
            done.after.extend(objects(&insert, fetched.rows, returned.len()));
        }
        if asked && done.before_cut {
            let message = "the existing rows are too large to be overwritten at once";
            return Err(Error::new(Code::LimitExceeded, message).at("/data"));
        }
        let left = (total as u64).saturating_sub(done.count);
        done.notes.extend((left > 0).then(|| format!("{}: {left}", left_out(plan))));
        done.notes.extend((left == 0).then(|| meets_none(plan)).flatten());
        done.notes.extend(nulls::notes(&self.operation.plan, &done.after));
        Ok(done)
    }

    /// Inserts the rows of a range, and returns them with the `returned` columns. Returns none if only the audit log
    /// would keep them and row-level security hides one.
    async fn added<'s, 'v>(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'v>,
        range: Range<usize>,
        (mut returned, keep): (&'s [usize], Keep),
        record: &mut Record<'_>,
    ) -> Result<Added<'s, 'v>> {
        let mut insert = statement::insert(plan, range.clone(), returned)?;
        let for_audit = self.operation.returns_nothing() && !returned.is_empty();
        if for_audit && may_be_hidden(plan) {
            if let Some(fetched) =
                self.shown(transaction, plan, range.clone(), (&insert, keep)).await?
            {
                record.statement(&insert.sql);
                return Ok(Added { insert, returned, fetched });
            }
            returned = &[];
            insert = statement::insert(plan, range.clone(), returned)?;
        }
        record.statement(&insert.sql);
        let fetched = self.add(transaction, plan, range, (&insert, keep)).await?;
        Ok(Added { insert, returned, fetched })
    }

    /// Inserts the rows and returns them for the audit log; `None`, with nothing inserted, if row-level security
    /// hides one.
    async fn shown(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        range: Range<usize>,
        (insert, keep): (&Statement<'_>, Keep),
    ) -> Result<Option<Fetched>> {
        let parameters = texts(&insert.parameters, self.given)?;
        transaction.savepoint().await.map_err(|failure| self.refused(failure))?;
        match transaction.run(insert, &parameters, keep).await {
            Ok(inserted) => Ok(Some(inserted)),
            Err(failure) if failure.is_for_want_of_rights() => {
                transaction.back().await.map_err(|failure| self.refused(failure))?;
                Ok(None)
            }
            Err(failure) => Err(self.fault(transaction, plan, range, insert, failure).await),
        }
    }

    /// Inserts the rows of a range. If they are refused, finds the row at fault.
    async fn add(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        range: Range<usize>,
        (insert, keep): (&Statement<'_>, Keep),
    ) -> Result<Fetched> {
        let parameters = texts(&insert.parameters, self.given)?;
        match transaction.run(insert, &parameters, keep).await {
            Ok(inserted) => Ok(inserted),
            Err(failure) => Err(self.fault(transaction, plan, range, insert, failure).await),
        }
    }

    /// The error of the rows of a range that were refused, at the row at fault if it is one.
    async fn fault(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        range: Range<usize>,
        insert: &Statement<'_>,
        failure: Failure,
    ) -> Error {
        let alone = plan.rows.len() == 1;
        let row = (alone && plan.list).then_some(0);
        let part = row.map_or(Part::Rows, Part::Row);
        let mut error = self.operation.refused(failure, self.scope, &insert.parameters, part);
        if error.code() == Code::Forbidden && may_be_hidden(plan) && self.operation.at.is_empty() {
            error = error.hint(
                "if row-level security only hides the new row from you, \"returning\": [] adds it without reading it",
            );
        }
        if alone || error.get_sqlstate().is_none() || error.is_retryable() {
            return error;
        }
        self.culprit(transaction, plan, range).await.unwrap_or(error)
    }

    /// The error of the first row at fault in `rows`, which fail together. Bisects the range.
    async fn culprit(
        &self,
        transaction: &mut Transaction,
        plan: &InsertPlan<'_>,
        mut rows: Range<usize>,
    ) -> Option<Error> {
        let keep = Keep::new(0, 0);
        while !rows.is_empty() {
            transaction.back().await.ok()?;
            let half = rows.start..rows.start + rows.len().div_ceil(2);
            let statement = statement::insert(plan, half.clone(), &[]).ok()?;
            let parameters = texts(&statement.parameters, self.given).ok()?;
            match transaction.run(&statement, &parameters, keep).await {
                Ok(_) => {
                    // These rows stay, because later ones may depend on them.
                    transaction.savepoint().await.ok()?;
                    rows.start = half.end;
                }
                Err(failure) if half.len() == 1 => {
                    let parameters = &statement.parameters;
                    let part = Part::Row(half.start);
                    return Some(self.operation.refused(failure, self.scope, parameters, part));
                }
                Err(_) => rows = half,
            }
        }
        None
    }
}

/// The rows that a statement inserted.
struct Added<'s, 'v> {
    insert: Statement<'v>,
    /// Positions of the returned columns.
    returned: &'s [usize],
    fetched: Fetched,
}

impl Run<'_, '_> {
    /// Notes which rows were overwritten, what the database generated for new ones, and by which values later
    /// operations may find them.
    fn tell(
        &self,
        done: &mut Done,
        plan: &InsertPlan<'_>,
        overwritten: Option<&Overwritten<'_, '_>>,
        added: &Added<'_, '_>,
        range: Range<usize>,
    ) {
        let rows = &added.fetched.rows;
        let is_new = |row: &Vec<Value>| overwritten.map_or(Some(true), |known| known.is_new(row));
        let places = (done.after.len()..).zip(rows);
        let met = places.filter(|(_, row)| is_new(row) == Some(false)).map(|(place, _)| place);
        done.affected.met.extend(met);
        // If any row was left out, nobody knows which.
        if rows.len() == range.len() {
            let new = range.zip(rows).filter(|(_, row)| is_new(row) == Some(true));
            done.affected.generated.keep(self.operation, added.returned, new);
        }
        if self.operation.is_followed {
            done.affected.added.extend(keys(&plan.told(), added.returned, rows));
        }
    }
}

/// Whether row-level security may let the caller insert these rows but not see them, in which case PostgreSQL refuses
/// to return them.
fn may_be_hidden(plan: &InsertPlan<'_>) -> bool {
    plan.table.table.row_security.applies() && plan.arbiter.is_none() && !plan.is_checked()
}

/// The note on an `on_conflict` that no existing row can meet, because the database numbers the rows of each key.
fn meets_none(plan: &InsertPlan<'_>) -> Option<String> {
    let arbiter = plan.arbiter.as_ref()?;
    let table = &plan.table.table;
    let is_stored = matches!(table.kind, TableKind::Table | TableKind::PartitionedTable);
    if !is_stored || !arbiter.columns.is_empty() {
        return None;
    }
    let given = plan.given(None);
    let numbered = |position: &usize| {
        let column = &table.columns[*position];
        column.is_numbered() && !given.iter().any(|given| given.name == column.name)
    };
    let mut keys = table.indexes.iter().filter(|index| index.unique || index.exclusion.is_some());
    keys.all(|key| key.mentions.iter().any(numbered)).then(|| {
        format!(
            "on_conflict changes nothing here: no unique key of {} is in what is given, so the same row can be added again",
            plan.table.name()
        )
    })
}

/// The note on rows that were not inserted.
fn left_out(plan: &InsertPlan<'_>) -> String {
    let trigger = "that a database trigger skipped or redirected";
    let why = match &plan.arbiter {
        Some(arbiter) if arbiter.set.is_empty() => match plan.table.archive {
            _ if arbiter.columns.is_empty() && excludes(plan) => {
                "rows skipped because of an existing row with the same key, or one that an exclusion constraint does not allow beside them"
            }
            Some(_) => "rows skipped because an existing row, archived or not, has the same key",
            None => "rows skipped because an existing row has the same key",
        },
        Some(_) => "rows not updated because they are archived or out of the caller's reach",
        None => return format!("rows {trigger}"),
    };
    match plan.table.table.fills_rows {
        true => format!("{why}, or {trigger}"),
        false => why.to_owned(),
    }
}

fn excludes(plan: &InsertPlan<'_>) -> bool {
    plan.table.table.indexes.iter().any(|index| index.exclusion.is_some())
}

/// Determines which rows an upsert overwrites, and that none was missed. Rows are read with all readable columns.
struct Overwritten<'p, 'v> {
    plan: &'p InsertPlan<'v>,
    columns: Vec<usize>,
}

impl<'p, 'v> Overwritten<'p, 'v> {
    /// For an upsert that may change existing rows, which were read before.
    fn of(plan: &'p InsertPlan<'v>, looked_at: bool) -> Option<Self> {
        let changes = plan.arbiter.as_ref().is_some_and(|arbiter| !arbiter.set.is_empty());
        (looked_at && changes)
            .then(|| Self { plan, columns: plan.table.readable_columns().collect() })
    }

    /// The columns that identify an overwritten row: those of its key, and of the key on which the rows conflict.
    fn told(&self) -> Vec<usize> {
        let mut told = self.plan.table.steady_order();
        let arbiter = self.plan.arbiter.iter().flat_map(|arbiter| &arbiter.columns);
        told.extend(arbiter.filter_map(|of| Some(self.plan.table.table.column(&of.name)?.0)));
        told
    }

    /// The rows among `found` that were overwritten.
    fn rows(&self, found: Fetched, inserted: &Fetched) -> Result<Vec<Vec<Value>>> {
        let (tells, overlooks) =
            (statement::tells_new(self.plan), statement::may_overlook(self.plan));
        let met = |row: &&Vec<Value>| !tells || self.says(row, 0);
        let met: Vec<&Vec<Value>> = inserted.rows.iter().filter(met).collect();
        let unnamed = |row: &&Vec<Value>| overlooks && self.says(row, usize::from(tells));
        if met.iter().any(unnamed) || tells && met.len() as u64 > found.count {
            return Err(unseen());
        }
        let mut rows = found.rows;
        if !tells || met.len() >= rows.len() {
            return Ok(rows);
        }
        let keys: HashSet<String> = met.into_iter().map(|row| self.key(row)).collect();
        let mut seen = HashSet::new();
        let is_met =
            |row: &&Vec<Value>| keys.contains(&self.key(row)) && seen.insert(self.key(row));
        let those: Vec<Vec<Value>> = rows.iter().filter(is_met).cloned().collect();
        // Values of a key that are now written differently identify nothing.
        if those.len() == keys.len() {
            rows = those;
        }
        Ok(rows)
    }

    /// Whether a row of the upsert is new; `None` if that is unknown.
    fn is_new(&self, row: &[Value]) -> Option<bool> {
        statement::tells_new(self.plan).then(|| !self.says(row, 0))
    }

    /// The flag at an index after the columns of a row.
    fn says(&self, row: &[Value], place: usize) -> bool {
        row.get(self.columns.len() + place) == Some(&Value::Bool(true))
    }

    /// The values of the key on which rows conflict.
    fn key(&self, row: &[Value]) -> String {
        let key = self.plan.arbiter.iter().flat_map(|arbiter| &arbiter.columns);
        let columns = &self.plan.table.table.columns;
        let place = |name: &str| self.columns.iter().position(|at| columns[*at].name == name);
        let values = key.filter_map(|column| row.get(place(&column.name)?));
        Value::from_iter(values.cloned()).to_string()
    }
}

/// The error of an upsert that changed rows which were not read before, because its values do not identify them.
fn unseen() -> Error {
    let message = "an existing row conflicts through a value that a default or a trigger gives, so its previous state is not known";
    Error::new(Code::Conflict, message)
        .at("/on_conflict")
        .hint("give all columns of the key in data, as the table stores them, or update the row")
}
