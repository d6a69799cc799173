//! Deletes under row-level security. PostgreSQL shows a locking SELECT only the rows that the policies for UPDATE
//! allow, which says nothing about deletes. So rows are not read before they are deleted: RETURNING tells which were,
//! and the transaction is rolled back if these are not allowed.

use super::change::{Changed, enough, gone_with_them, nothing_found, of_few, too_many};
use super::order;
use super::version::Versions;
use crate::engine::confirm::{Affected, facts};
use crate::engine::notes;
use crate::engine::record::Record;
use crate::engine::transaction::{ALL, Done, Run, image_room, objects};
use crate::error::{Code, Error, Result};
use crate::execute::{Keep, Transaction};
use crate::plan::ChangePlan;
use crate::statement;

impl Run<'_, '_> {
    pub(in crate::engine) async fn remove_unseen(
        &self,
        transaction: &mut Transaction,
        plan: &ChangePlan<'_>,
        record: &mut Record<'_>,
    ) -> Result<Done> {
        let dry_run = self.operation.dry_run;
        let images = record.keeps_images() && !dry_run;
        let asked = record.consent.is_some();
        let known = asked || plan.versioned();
        let returned = self.operation.returned(images || known);
        let removals = statement::changes(plan, &returned, asked);
        let bytes = if known { ALL.bytes } else { image_room(self.scope) };
        let keep = Keep::new(plan.max_rows.saturating_add(1), bytes);
        let Changed { mut rows, count, cut } =
            self.apply(transaction, plan, &removals, keep, record).await?;
        order::sort(plan, &returned, &returned, &mut rows);
        if count > plan.max_rows {
            return Err(too_many(plan, count));
        }
        if known && cut {
            let message = "the rows are too large to be changed at once";
            return Err(Error::new(Code::LimitExceeded, message).at("/where"));
        }
        if let (Some(version), [removal]) = (&plan.if_version, removals.as_slice()) {
            let most = self.scope.view.limits.max_reply_bytes;
            let versions = Versions { plan, statement: removal, width: returned.len(), most };
            versions.unchanged(&rows, version)?;
        }
        let mut notes = Vec::from_iter(notes::archived(plan.table, &plan.filter));
        notes.extend(plan.filter.midnight(plan.table));
        enough(plan, count, || of_few(plan, count, &notes))?;
        if count == 0 {
            return Ok(Done { notes: nothing_found(plan, notes), ..Done::default() });
        }
        notes.extend(plan.remarks());
        notes.extend(gone_with_them(self.scope.view, plan));
        let apart = returned.len() + usize::from(plan.versioned());
        let facts = if asked {
            facts(plan.table, &plan.table.steady_order(), &returned, apart, &rows)
        } else {
            Vec::new()
        };
        let after = removals.first().map(|removal| objects(removal, rows, returned.len()));
        let after = after.unwrap_or_default();
        let before = if images || dry_run { after.clone() } else { Vec::new() };
        let affected = Affected { rows: count, facts, ..Affected::default() };
        let before_cut = images && cut;
        Ok(Done {
            before,
            after,
            count,
            affected,
            before_cut,
            after_cut: cut,
            notes,
            related: None,
        })
    }
}
