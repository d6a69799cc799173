//! Updates and deletes: reads and locks the rows, checks them, and writes no more of them than is allowed.

use std::collections::HashMap;

use serde_json::Value;

use super::columns::looked_at;
use super::document;
use super::each::{each_is_one, position};
use super::version::Versions;
use super::{lost_members, nulls, order};
use crate::engine::confirm::{Affected, Fact, Generated, Values, facts, keys};
use crate::engine::notes;
use crate::engine::record::Record;
use crate::engine::transaction::{ALL, Done, Part, Run, allowed, image_room, is_of_list, objects};
use crate::error::{Code, Error, Result};
use crate::execute::{Fetched, Keep, Transaction, texts};
use crate::plan::{ChangePlan, Effect, NamedRow};
use crate::policy::{Action, TableView, View};
use crate::statement::{self, Statement};
use crate::value;

/// The rows that a change will write.
struct Found {
    rows: Fetched,
    notes: Vec<String>,
}

/// The rows after a change.
#[derive(Default)]
pub(in crate::engine) struct Changed {
    pub(in crate::engine) rows: Vec<Vec<Value>>,
    pub(in crate::engine) count: u64,
    /// Whether `rows` is incomplete.
    pub(in crate::engine) cut: bool,
}

impl Run<'_, '_> {
    pub(in crate::engine) async fn change(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        if plan.is_unseen() {
            return self.remove_unseen(transaction, plan, record).await;
        }
        // A dry run is not recorded, and shows no more than what is requested.
        let dry_run = self.operation.dry_run;
        let images = record.keeps_images() && !dry_run;
        let asked = record.consent.is_some();
        let looked_at = looked_at(plan, images, asked, dry_run);
        let lock = statement::lock(plan, &looked_at, asked);
        let Found { rows: mut found, mut notes } =
            self.look(transaction, plan, &lock, &looked_at, record).await?;
        enough(plan, found.count, || of_few(plan, found.count, &notes))?;
        if found.count == 0 {
            return Ok(Done { notes: nothing_found(plan, notes), ..Done::default() });
        }
        notes.extend(plan.remarks());
        notes.extend(gone_with_them(self.scope.view, plan));
        notes.extend(lost_members::note(plan, &found.rows, &looked_at));
        let reaching = if asked { plan.reaching() } else { Vec::new() };
        let followed = asked && self.operation.is_followed;
        let rekeyed = if followed { plan.rekeyed() } else { Vec::new() };
        // Of rows that stay, notes and the places of errors need the other columns, too.
        let stays = dry_run && !self.operation.removes();
        let returned = self.operation.returned(images || stays || !reaching.is_empty());
        let paired = found.count > 1 && !rekeyed.is_empty();
        let changes = statement::changes(plan, &returned, paired);
        let kept = self.kept(record);
        let mut changed = self.apply(transaction, plan, &changes, kept, record).await?;
        let count = changed.count;
        if count > plan.max_rows {
            return Err(self.count_too_many(transaction, plan, record).await);
        }
        if count < found.count {
            let left = found.count - count;
            notes.push(format!(
                "rows that match where, but that a database trigger left unchanged or changed differently: {left}"
            ));
            enough(plan, count, || notes.clone())?;
        }
        match plan.effect.each() {
            Some(_) => changed.rows.sort_by_key(|row| position(row, 1)),
            None if images || dry_run => {
                let both: Vec<usize> =
                    returned.iter().copied().filter(|one| looked_at.contains(one)).collect();
                order::sort(plan, &both, &looked_at, &mut found.rows);
                order::sort(plan, &both, &returned, &mut changed.rows);
            }
            None => order::sort(plan, &returned, &returned, &mut changed.rows),
        }
        let mut told = Vec::new();
        if asked {
            let apart = looked_at.len() + usize::from(plan.versioned());
            let key = plan.table.steady_order();
            told = facts(plan.table, &key, &looked_at, apart, &found.rows);
        }
        if !reaching.is_empty() {
            let values = keys(&reaching, &returned, &changed.rows);
            let rows = keys(&plan.table.steady_order(), &returned, &changed.rows).into_iter();
            told.extend(rows.zip(values).map(|(row, values)| Fact::Computed(row, values)));
        }
        let mut generated = Generated::default();
        if asked && let ([_], [_]) = (found.rows.as_slice(), changed.rows.as_slice()) {
            generated.keep(self.operation, &returned, (0..).zip(&changed.rows));
        }
        if !rekeyed.is_empty() {
            let former = former(plan, &looked_at, &found.rows, returned.len(), &changed.rows);
            let values = keys(&rekeyed, &returned, &changed.rows);
            let pairs = former.into_iter().zip(values);
            told.extend(pairs.map(|(key, values)| Fact::Rekeyed(key, values)));
        }
        let before_cut = images && found.too_large.is_some();
        let before = match images || dry_run {
            true => objects(&lock, found.rows, looked_at.len()),
            false => Vec::new(),
        };
        let after = changes.first().map(|change| objects(change, changed.rows, returned.len()));
        let after = after.unwrap_or_default();
        notes.extend(nulls::notes(&self.operation.plan, &after));
        let affected = Affected {
            rows: found.count.max(count),
            facts: told,
            generated,
            ..Affected::default()
        };
        let after_cut = changed.cut;
        Ok(Done { before, after, count, affected, before_cut, after_cut, notes, related: None })
    }

    /// Reads and locks the rows. Refuses if there are too many, or if they are not those that the caller means.
    async fn look(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
        lock: &Statement<'_>,
        looked_at: &[usize],
        record: &mut Record<'_>,
    ) -> Result<Found> {
        // All rows must be identified, with their versions; their images need not be complete.
        let known = plan.versioned() || record.consent.is_some();
        let added_to = !document::columns(plan).is_empty();
        let compared = known || added_to || plan.effect.each().is_some();
        let bytes = if compared { ALL.bytes } else { image_room(self.scope) };
        let keep = Keep::new(plan.max_rows.saturating_add(1), bytes);
        let unchecked = has_unchecked_keys(plan);
        if unchecked {
            transaction.savepoint().await.map_err(|failure| self.refused(failure))?;
        }
        let mut rows = match self.statement(transaction, lock, keep, record).await {
            Ok(rows) => rows,
            // Few rows are found at once, so others must hold their locks.
            Err(error) if error.code() == Code::Timeout => {
                let hint = "another transaction may have locked the rows: try again later, or narrow where";
                return Err(error.hint(hint));
            }
            Err(error) if unchecked && is_of_list(&error, place(plan)) => {
                return Err(self.culprit_of(transaction, plan).await.unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        if rows.count > plan.max_rows {
            return Err(self.count_too_many(transaction, plan, record).await);
        }
        if compared && rows.too_large.is_some() {
            let message = "the rows are too large to be changed at once";
            return Err(Error::new(Code::LimitExceeded, message).at("/where"));
        }
        let mut notes = Vec::from_iter(notes::archived(plan.table, &plan.filter));
        notes.extend(plan.filter.midnight(plan.table));
        let most = self.scope.view.limits.max_reply_bytes;
        let versions = Versions { plan, statement: lock, width: looked_at.len(), most };
        match (plan.effect.each(), &plan.if_version) {
            (Some(each), _) => {
                notes.extend(each_is_one(&versions, each, &mut rows, looked_at)?);
                notes.extend(
                    each.other_key(plan.table).map(|key| format!("rows were matched by {key}")),
                );
            }
            (None, Some(version)) => versions.unchanged(&rows.rows, version)?,
            (None, None) => {}
        }
        document::check(plan, &rows.rows, looked_at)?;
        Ok(Found { rows, notes })
    }

    /// Runs the statements of a change. If one is refused, finds the row at fault.
    pub(in crate::engine) async fn apply(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
        changes: &[Statement<'_>],
        keep: Keep,
        record: &mut Record<'_>,
    ) -> Result<Changed> {
        let several = plan.effect.each().is_some_and(|each| each.rows().nth(1).is_some());
        if several {
            transaction.savepoint().await.map_err(|failure| self.refused(failure))?;
        }
        let mut changed = Changed::default();
        for change in changes {
            record.statement(&change.sql);
            let parameters = texts(&change.parameters, self.given)?;
            let fetched = match transaction.run(change, &parameters, keep).await {
                Ok(fetched) => fetched,
                Err(failure) => {
                    let row = (!several).then(|| only(plan)).flatten();
                    let parameters = &change.parameters;
                    let part = row.map_or(Part::Rows, Part::Row);
                    let error = self.operation.refused(failure, self.scope, parameters, part);
                    if !several || error.get_sqlstate().is_none() || error.is_retryable() {
                        return Err(error);
                    }
                    return Err(self.culprit_of(transaction, plan).await.unwrap_or(error));
                }
            };
            changed.count += fetched.count;
            changed.cut |= fetched.too_large.is_some();
            allowed(&fetched, self)?;
            changed.rows.extend(fetched.rows);
        }
        Ok(changed)
    }
}

/// The keys that changed rows had before, as far as known. They were found with the columns `looked_at`, and returned
/// with `width` columns.
fn former(
    plan: &ChangePlan<'_>,
    looked_at: &[usize],
    found: &[Vec<Value>],
    width: usize,
    changed: &[Vec<Value>],
) -> Vec<Option<Values>> {
    let Some(key) = plan.table.row_key() else { return vec![None; changed.len()] };
    let before = keys(key, looked_at, found);
    if plan.effect.each().is_some() {
        let places = found.iter().map(|row| position(row, 0));
        let by_place: HashMap<usize, Values> = places.zip(before).collect();
        return changed.iter().map(|row| by_place.get(&position(row, 1)).cloned()).collect();
    }
    let of = |row: &Vec<Value>| match before.as_slice() {
        [only] => Some(only.clone()),
        _ => {
            let values = row.get(width..width + key.len())?;
            Some(key.iter().copied().zip(values.iter().map(Value::to_string)).collect())
        }
    };
    changed.iter().map(of).collect()
}

/// The notes on a change that matched no row.
pub(in crate::engine) fn nothing_found(
    plan: &ChangePlan<'_>,
    mut notes: Vec<String>,
) -> Vec<String> {
    notes.extend(plan.filter.doubt());
    notes.extend(beside_the_archive(plan));
    notes.extend(out_of_reach(plan));
    if notes.is_empty() {
        notes.extend(notes::letters_of_any_case(plan.table, &plan.filter));
    }
    notes.extend(plan.remarks());
    if notes.is_empty() && plan.effect.each().is_none() {
        notes.push("no row matches where".to_owned());
    }
    notes
}

/// Refuses a change of fewer rows than it must reach.
pub(in crate::engine) fn enough(
    plan: &ChangePlan<'_>,
    rows: u64,
    why: impl FnOnce() -> Vec<String>,
) -> Result<()> {
    let least = plan.min_rows;
    if rows >= least {
        return Ok(());
    }
    let (action, plural) = (plan.action, if rows == 1 { "row" } else { "rows" });
    let message = format!("{action} reached {rows} {plural}, fewer than min_rows {least}");
    let then = "nothing was changed: read the rows as they are now".to_owned();
    let hint = why().into_iter().chain([then]).collect::<Vec<_>>().join("; ");
    Err(Error::new(Code::Conflict, message).at(place(plan)).hint(hint))
}

/// Why a change met so few rows, as far as known.
pub(in crate::engine) fn of_few(plan: &ChangePlan<'_>, rows: u64, notes: &[String]) -> Vec<String> {
    let notes = notes.to_vec();
    if rows == 0 { nothing_found(plan, notes) } else { notes }
}

/// The argument that names the rows.
fn place(plan: &ChangePlan<'_>) -> &'static str {
    if plan.effect.each().is_some() { "/updates" } else { "/where" }
}

/// The error `too_many_rows`, with the number of rows.
pub(in crate::engine) fn too_many(plan: &ChangePlan<'_>, rows: u64) -> Error {
    let (action, most) = (plan.action, plan.max_rows);
    Error::new(
        Code::TooManyRows,
        format!("{action} would touch {rows} rows, and max_rows is {most}"),
    )
    .at(place(plan))
    .row_count(rows)
    .hint(format!("narrow where, or give \"max_rows\": {rows} if all of them are meant"))
}

/// The note on other tables that lose rows by a delete (ON DELETE CASCADE).
pub(in crate::engine) fn gone_with_them(view: &View, plan: &ChangePlan<'_>) -> Option<String> {
    let goes = |other: &&TableView| {
        let mut keys = other.table.foreign_keys.iter().chain(&other.table.logical_keys);
        keys.any(|key| key.cascades && key.table == *plan.table.name())
    };
    let tables = view.tables().iter().filter(goes);
    let tables: Vec<String> = tables.map(|other| view.display(other)).collect();
    (matches!(plan.effect, Effect::Remove) && !tables.is_empty()).then(|| {
        format!("rows that refer to these are deleted with them: of {}", tables.join(", "))
    })
}

/// The note on archived rows that the change did not consider, if it matched no others.
fn beside_the_archive(plan: &ChangePlan<'_>) -> Option<String> {
    let archive = plan.table.archive.as_ref()?;
    match plan.action {
        Action::Restore => Some("no archived row matches where".to_owned()),
        _ if plan.filter.leaves_out(archive) => {
            Some("no row matches where; archived rows were left out".to_owned())
        }
        _ => None,
    }
}

/// The note on rows that a select may show but the change cannot write.
fn out_of_reach(plan: &ChangePlan<'_>) -> Option<String> {
    plan.table.table.row_security.applies().then(|| {
        "no row matches where among those that the table's row-level security lets the caller change".to_owned()
    })
}

impl Run<'_, '_> {
    /// The error `too_many_rows`, after counting the rows.
    async fn count_too_many(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
        record: &mut Record<'_>,
    ) -> Error {
        let affected = statement::affected(plan);
        transaction.let_go();
        let rows = match self.statement(transaction, &affected, ALL, record).await {
            Ok(counted) => crate::engine::read::number(&counted),
            Err(error) => return error,
        };
        too_many(plan, rows.unwrap_or(plan.max_rows.saturating_add(1)))
    }

    /// Finds the first of the named rows that cannot be changed, by changing each alone.
    async fn culprit_of(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
    ) -> Option<Error> {
        transaction.back().await.ok()?;
        let each = plan.effect.each()?;
        let keep = Keep::new(0, 0);
        let mut rows: Vec<&NamedRow<'_>> = each.rows().collect();
        rows.sort_by_key(|row| row.index);
        for row in rows {
            let change = statement::update_each(plan, &each.key, std::slice::from_ref(row), &[]);
            let parameters = texts(&change.parameters, self.given).ok()?;
            if let Err(failure) = transaction.run(&change, &parameters, keep).await {
                let parameters = &change.parameters;
                let part = Part::Row(row.index);
                return Some(self.operation.refused(failure, self.scope, parameters, part));
            }
        }
        None
    }
}

/// Whether PostgreSQL alone can tell whether the keys of several named rows are values of their types.
fn has_unchecked_keys(plan: &ChangePlan<'_>) -> bool {
    let each = plan.effect.each().filter(|each| each.rows().nth(1).is_some());
    let mut key = each.iter().flat_map(|each| &each.key);
    key.any(|column| value::is_left_to_postgresql(&column.data_type))
}

/// The position of the named row, if there is only one.
fn only(plan: &ChangePlan<'_>) -> Option<usize> {
    plan.effect.each()?.rows().next().map(|row| row.index)
}
