//! How many related rows a request reaches for its values and conditions. PostgreSQL plans the joins of a query in a time and
//! memory that grow with the square of their number, and meanwhile hears no timeout.

use crate::error::{Error, Result};
use crate::plan::{
    Expression, Hop, Include, Predicate, Scope, SelectPlan, Shown, Sort, SortKey, Total,
};
use crate::schema::Relation;

/// Counts the joins of a request: each relation on the way from a row counts once for all values beyond it, and each time in
/// conditions.
#[derive(Debug)]
pub(in crate::plan) struct Joins {
    most: usize,
    pub(in crate::plan) count: usize,
    /// The number of returned values that are not whole columns. Each may hold as much as the document that it is part of.
    computed: usize,
    /// Rows that are joined, each by a relation of an earlier one; `None` for those that a query begins with.
    rows: Vec<Option<(usize, *const Relation)>>,
}

impl<'v> SelectPlan<'v> {
    /// Refuses a plan whose statement would join too many rows.
    pub(super) fn few_joins(self, scope: &Scope<'v>) -> Result<Self> {
        let mut joins = Joins::new(scope);
        let row = joins.row();
        self.source().1.parts().for_each(|part| joins.condition(part));
        joins.few(scope, "/where")?;
        match &self.grouping {
            Some(grouping) => {
                for group in &grouping.groups {
                    joins.expression(row, &group.of);
                }
                joins.few(scope, "/group_by")?;
                for measure in &grouping.measures {
                    measure.of.iter().for_each(|of| joins.expression(row, of));
                    joins.condition(&measure.filter);
                }
                joins.few(scope, "/measures")?;
            }
            None => {
                joins.shown(row, &self.columns);
                joins.few(scope, "/columns")?;
                joins.sorted(row, &self.order);
                joins.few(scope, "/order_by")?;
                joins.included(&self.includes);
                joins.few(scope, "/include")?;
            }
        }
        Ok(self)
    }
}

impl<'v> Scope<'v> {
    /// Refuses includes whose statement would join too many rows.
    pub(in crate::plan) fn few_joined(
        &self,
        includes: Vec<Include<'v>>,
    ) -> Result<Vec<Include<'v>>> {
        let mut joins = Joins::new(self);
        joins.included(&includes);
        joins.few(self, "/include")?;
        Ok(includes)
    }
}

impl Joins {
    pub(in crate::plan) fn new(scope: &Scope<'_>) -> Self {
        Self { most: scope.view.limits.max_joins, count: 0, computed: 0, rows: Vec::new() }
    }

    /// A row that a query of its own begins with.
    fn row(&mut self) -> usize {
        self.rows.push(None);
        self.rows.len() - 1
    }

    pub(in crate::plan) fn few(&self, scope: &Scope<'_>, at: &str) -> Result<()> {
        let most = self.most;
        if self.count <= most {
            return scope.few(self.computed, "computed columns", at);
        }
        let message = format!("a request may reach at most {most} related rows");
        Err(Error::exceeded("max_joins", message)
            .at(at)
            .hint("columns of the same related row count once, each condition on one counts: ask for fewer relations, or in several requests"))
    }

    fn hops(&mut self, mut row: usize, hops: &[Hop<'_>]) {
        for hop in hops {
            let step = Some((row, std::ptr::from_ref(hop.relation)));
            row = self.rows.iter().position(|known| *known == step).unwrap_or_else(|| {
                self.way(hop);
                self.rows.push(step);
                self.rows.len() - 1
            });
            if self.count > self.most {
                return;
            }
        }
    }

    /// A hop, with the conditions on the rows to which it leads.
    fn way(&mut self, hop: &Hop<'_>) {
        self.count += 1;
        self.condition(&hop.visible);
        hop.junction.iter().for_each(|(_, visible)| self.condition(visible));
    }

    fn expression(&mut self, row: usize, of: &Expression<'_>) {
        for reached in of.columns() {
            self.hops(row, &reached.hops);
        }
        of.totals().into_iter().for_each(|total| self.total(total));
    }

    /// A total, which is a query of its own.
    fn total(&mut self, total: &Total<'_>) {
        self.way(&total.hop);
        self.condition(&total.filter);
        if let Some(of) = total.of.as_ref().filter(|_| self.count <= self.most) {
            let row = self.row();
            self.expression(row, of);
        }
    }

    /// A condition. Each of its parts reaches related rows anew.
    pub(in crate::plan) fn condition(&mut self, predicate: &Predicate<'_>) {
        match predicate {
            _ if self.count > self.most => {}
            Predicate::All(parts) | Predicate::Any(parts) => {
                parts.iter().for_each(|part| self.condition(part));
            }
            Predicate::Not(inner) => self.condition(inner),
            Predicate::Test { .. } => {}
            Predicate::Computed { value, .. } => self.compared(value),
            Predicate::Compared { left, right, .. } => {
                [left, right].into_iter().for_each(|side| self.compared(side));
            }
            Predicate::Related { hop, filter, .. } => {
                self.way(hop);
                self.condition(filter);
            }
        }
    }

    /// A side of a comparison, each of whose columns is looked up by itself.
    pub(in crate::plan) fn compared(&mut self, of: &Expression<'_>) {
        for hop in of.columns().into_iter().flat_map(|reached| &reached.hops) {
            self.way(hop);
        }
        of.totals().into_iter().for_each(|total| self.total(total));
    }

    fn shown(&mut self, row: usize, shown: &[Shown<'_>]) {
        for shown in shown {
            match shown {
                Shown::Column(_) => {}
                Shown::Computed(computed) => {
                    self.computed += 1;
                    self.expression(row, &computed.of);
                }
                Shown::Related { of, .. } => self.hops(row, &of.hops),
            }
        }
    }

    fn sorted(&mut self, row: usize, order: &[Sort<'_>]) {
        for sort in order {
            match &sort.key {
                SortKey::Value(of) | SortKey::Rank(of, _) | SortKey::Distance(of, _) => {
                    self.hops(row, &of.hops);
                }
                SortKey::Computed(of) => self.expression(row, of),
                SortKey::Place => {}
            }
        }
    }

    fn included(&mut self, includes: &[Include<'_>]) {
        for include in includes {
            let row = self.row();
            // The include itself is a query of its own.
            self.condition(&include.hop.visible);
            self.condition(&include.filter);
            self.shown(row, &include.columns);
            self.sorted(row, &include.order);
            self.included(&include.includes);
        }
    }
}
