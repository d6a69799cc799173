//! How many related rows a request reaches for its values and conditions. PostgreSQL plans the joins of a query in a time and
//! memory that grow with the square of their number, and meanwhile hears no timeout.

use crate::error::{Error, Result};
use crate::plan::{Hop, Include, Node, Scope, SelectPlan, Shown};
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
        let row = Some(joins.row());
        let (table, filter) = self.source();
        joins.look(None, Node::Filter(table, filter));
        joins.few(scope, "/where")?;
        match &self.grouping {
            Some(grouping) => {
                grouping.groups.iter().for_each(|group| joins.look(row, Node::Value(&group.of)));
                joins.few(scope, "/group_by")?;
                let measures = grouping.measures.iter();
                measures.for_each(|measure| joins.look(row, Node::Measure(table, measure)));
                joins.few(scope, "/measures")?;
            }
            None => {
                self.columns.iter().for_each(|shown| joins.look(row, Node::Shown(shown)));
                joins.few(scope, "/columns")?;
                self.order.iter().for_each(|sort| joins.look(row, Node::Sort(sort)));
                joins.few(scope, "/order_by")?;
                self.includes.iter().for_each(|include| joins.look(row, Node::Include(include)));
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
        includes.iter().for_each(|include| joins.look(None, Node::Include(include)));
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

    /// Refuses too many, as the part of the request at this place has made them.
    pub(in crate::plan) fn few(&self, scope: &Scope<'_>, at: &str) -> Result<()> {
        few(self.count, self.most, at)?;
        scope.few(self.computed, "computed columns", at)
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
        Node::Hop(hop).each(&mut |node| self.look(None, node));
    }

    /// What a part of a plan joins to a row. Without one it is a condition's, which looks up each related row anew.
    pub(in crate::plan) fn look(&mut self, row: Option<usize>, node: Node<'_, '_>) {
        if self.count > self.most {
            return;
        }
        let row = match node {
            Node::Reached(of) => {
                return match row {
                    Some(row) => self.hops(row, &of.hops),
                    None => of.hops.iter().for_each(|hop| self.way(hop)),
                };
            }
            Node::Hop(hop) => return self.way(hop),
            Node::Include(include) => return self.included(include),
            Node::Total(total) => {
                total.columns.iter().for_each(|of| self.look(row, Node::Reached(of)));
                // It is a query of its own.
                Some(self.row())
            }
            Node::Filter(..) | Node::Condition(..) => None,
            Node::Shown(Shown::Computed(_)) => {
                self.computed += 1;
                row
            }
            _ => row,
        };
        node.each(&mut |node| self.look(row, node));
    }

    /// Related rows, which are a query of its own.
    fn included(&mut self, include: &Include<'_>) {
        let row = self.row();
        self.look(None, Node::Condition(include.hop.table, &include.hop.visible));
        Node::Include(include).each(&mut |node| match node {
            Node::Hop(_) => {}
            node => self.look(Some(row), node),
        });
    }
}

/// Refuses more related rows than `most`.
pub(in crate::plan) fn few(count: usize, most: usize, at: &str) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    let message = format!("a request may reach at most {most} related rows");
    Err(Error::exceeded("max_joins", message)
        .at(at)
        .hint("columns of the same related row count once, each condition on one counts: ask for fewer relations, or in several requests"))
}
