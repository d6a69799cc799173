//! How many related rows a change looks up for its conditions and values.

use super::change::ChangePlan;
use crate::error::Result;
use crate::plan::read::joins::{Joins, few};
use crate::plan::{Node, Scope};

/// How many times as many related rows as one row's values may look up, those of a list may.
const LISTED: usize = 16;

impl<'v> ChangePlan<'v> {
    /// Refuses a plan whose statements would look up too many related rows.
    pub(super) fn few_joins(self, scope: &Scope<'v>) -> Result<Self> {
        let mut joins = Joins::new(scope);
        joins.look(None, Node::Filter(self.table, &self.filter));
        joins.few(scope, "/where")?;
        let (conditions, mut values) = (joins.count, 0);
        for (row, set) in self.effect.sets() {
            joins.count = conditions;
            set.iter()
                .filter_map(|(_, assign)| assign.computed())
                .for_each(|of| joins.look(None, Node::Value(of)));
            let at = row.map_or_else(|| "/updates".to_owned(), |row| format!("/updates/{row}"));
            joins.few(scope, &at)?;
            values += joins.count - conditions;
        }
        few(values, scope.view.limits.max_joins.saturating_mul(LISTED), "/updates")?;
        Ok(self)
    }
}
