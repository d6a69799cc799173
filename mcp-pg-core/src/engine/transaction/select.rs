//! A select among the operations of a transaction.

use serde_json::{Map, Value};

use super::run::{ALL, Run};
use crate::engine::read::{add_count, keep, slow};
use crate::engine::record::Record;
use crate::engine::size::size;
use crate::engine::{Engine, rows};
use crate::error::{Code, Error, Result};
use crate::execute::{TooLarge, Transaction};
use crate::plan::SelectPlan;
use crate::reply::RowSet;
use crate::statement;

impl Engine {
    /// A select among the operations of a transaction. All rows of its page are returned if later operations may take
    /// values of them; those for which there is `room` are shown.
    pub(in crate::engine) async fn select_within(
        &self,
        transaction: &mut Transaction,
        run: &Run<'_, '_>,
        plan: &SelectPlan<'_>,
        room: usize,
        record: &mut Record<'_>,
    ) -> Result<(RowSet, Vec<Map<String, Value>>)> {
        let scope = run.scope;
        let page = statement::select(plan, scope.view.texts());
        let fetched = run.statement(transaction, &page, keep(scope, plan), record).await;
        let mut fetched = fetched.map_err(|error| slow(scope.view, plan, error))?;
        let small = |row: TooLarge| row.bytes <= scope.view.limits.max_reply_bytes;
        if fetched.rows.is_empty() && fetched.too_large.is_some_and(small) {
            return Err(Error::new(
                Code::LimitExceeded,
                "the earlier operations hold all the rows that there is room for",
            )
            .hint("give them a smaller limit, or fewer columns"));
        }
        let limit = usize::try_from(plan.limit).unwrap_or(usize::MAX);
        let object =
            |row: &Vec<Value>| rows::object(&page.outputs, row.clone(), plan.columns.len());
        let referred = fetched.rows.iter().take(if run.is_referred { limit } else { 0 });
        let rows = referred.map(object).collect();
        let fetched_rows = fetched.rows.len();
        if room < scope.view.limits.max_reply_bytes {
            let mut left = room;
            let fits = fetched.rows.iter().take_while(|row| {
                let row = rows::object(&page.outputs, row.to_vec(), page.outputs.len());
                let rest = left.checked_sub(size(&row));
                left = rest.unwrap_or_default();
                rest.is_some()
            });
            let fits = fits.count();
            fetched.rows.truncate(fits);
        }
        let cut = fetched.rows.len() < fetched_rows.min(limit);
        if cut {
            // No single row is too large: earlier results took the room.
            fetched.too_large = None;
        }
        let mut set = self.page(scope, plan, &page, fetched)?;
        set.label_untrusted(
            plan.untrusted(&|column| run.operation.provenance.is_untrusted(column)),
        );
        if cut {
            set.notes.push("the results of a transaction share the room of one reply".to_owned());
        }
        if let Some(counting) = statement::counting(plan) {
            let counted = run.statement(transaction, &counting, ALL, record).await?;
            add_count(&mut set, plan, &counted);
        }
        record.rows(set.row_count);
        record.sensitive(|| run.operation.sensitive());
        Ok((set, rows))
    }
}
