//! Joins to related rows, at most one for each relation of a query.

use sea_query::{DynIden, Expr, ExprTrait, Func, Query, SelectStatement, TableRef};

use super::predicate::{Conditions, all_of, null};
use super::{column, operand};
use crate::plan::{Hop, Predicate, Quantifier};
use crate::policy::TableView;

/// A related row, or a total of such rows, that expressions use.
#[derive(Debug)]
pub(super) struct Join {
    pub(super) from: DynIden,
    pub(super) what: Joined,
    pub(super) table: TableRef,
    pub(super) alias: DynIden,
    pub(super) on: Expr,
    /// Of totals: the columns by which they are found, by their position, and those of the related rows.
    pub(super) keys: Vec<(usize, Expr)>,
}

/// What is joined.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Joined {
    /// The row at the end of a relation of this name. The table is identified by its view: relations of another
    /// role's view may have the same names and lead elsewhere.
    Row(String, *const TableView),
    /// A total, identified by its place in the plan.
    Total(*const ()),
}

impl Conditions {
    /// The alias of the row at the end of a hop, which is joined to the query with the row under `alias`.
    pub(super) fn joined(&mut self, hop: &Hop<'_>, alias: &DynIden) -> DynIden {
        let what = Joined::Row(hop.relation.unambiguous.clone(), std::ptr::from_ref(hop.table));
        if let Some(joined) = self.found(alias, &what) {
            return joined;
        }
        let (table, other, on) = match hop.is_keyed() {
            true => {
                let other = self.alias();
                let on = self.led_to(hop, alias, &other);
                (end(hop, &other), other, on)
            }
            false => {
                let firsts = self.firsts(hop);
                let other = self.alias();
                let on = paired(hop, alias, hop.table, &other);
                (TableRef::SubQuery(Box::new(firsts), other.clone()), other, on)
            }
        };
        let keys = Vec::new();
        self.joins.push(Join { from: alias.clone(), what, table, alias: other.clone(), on, keys });
        other
    }

    /// Whether the row at the end of a hop can be joined: a key guarantees that there is at most one, or all rows are reduced
    /// to such at once, because PostgreSQL would read the whole table for each row otherwise. For a single row it may.
    pub(super) fn joins_row(&self, hop: &Hop<'_>) -> bool {
        !self.apart && (hop.is_keyed() || !self.single && hop.has_firsts())
    }

    /// The rows to which a hop without a key leads, of which each has other values in the columns by which it is found.
    /// [`the_one`] takes the same.
    fn firsts(&mut self, hop: &Hop<'_>) -> SelectStatement {
        let (columns, other) = (&hop.table.table.columns, self.alias());
        let named = |position: usize| (other.clone(), columns[position].identifier().to_owned());
        let keys = || hop.relation.columns.iter().map(|(_, theirs)| named(*theirs));
        let mut rows = Query::select();
        rows.distinct_on(keys()).columns(hop.table.readable_columns().map(named));
        rows.from(end(hop, &other));
        rows.and_where_option(self.expression(&hop.visible, &other));
        for key in keys().chain(hop.table.steady_order().into_iter().map(named)) {
            rows.order_by(key, sea_query::Order::Asc);
        }
        rows
    }

    /// The alias of what is joined already.
    pub(super) fn found(&self, from: &DynIden, what: &Joined) -> Option<DynIden> {
        let same = |join: &&Join| join.from == *from && join.what == *what;
        self.joins.iter().find(same).map(|join| join.alias.clone())
    }

    /// The join condition of a hop from the row under `near` to the row under `far`.
    fn led_to(&mut self, hop: &Hop<'_>, near: &DynIden, far: &DynIden) -> Expr {
        let on = paired(hop, near, hop.table, far);
        match self.expression(&hop.visible, far) {
            Some(visible) => on.and(visible),
            None => on,
        }
    }

    /// The conditions on the rows under `alias`, which use the joined related rows where the query has them instead
    /// of another subquery.
    pub(super) fn joined_conditions<'p, 'v: 'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p Predicate<'v>>,
        alias: &DynIden,
    ) -> Option<Expr> {
        let parts = parts.into_iter().filter_map(|part| self.joined_condition(part, alias));
        parts.reduce(Expr::and)
    }

    fn joined_condition(&mut self, predicate: &Predicate<'_>, alias: &DynIden) -> Option<Expr> {
        match predicate {
            Predicate::All(parts) => self.joined_conditions(parts, alias),
            Predicate::Related { hop, quantifier: Quantifier::Some, filter } => {
                let joined = self.already_joined(hop, alias);
                let (Some(joined), Some((_, key))) = (joined, hop.relation.columns.first()) else {
                    return self.expression(predicate, alias);
                };
                let key = &hop.table.table.columns[*key];
                let found = null(column(&joined, key), &key.data_type, false);
                Some(match self.expression(filter, &joined) {
                    Some(filter) => found.and(filter),
                    None => found,
                })
            }
            _ => self.expression(predicate, alias),
        }
    }

    /// The alias of the row at the end of a hop, if that row is already joined.
    fn already_joined(&mut self, hop: &Hop<'_>, alias: &DynIden) -> Option<DynIden> {
        let same = |join: &&Join| join.from == *alias && join.table == end(hop, &join.alias);
        let joins = self.joins.iter().filter(same);
        let joins: Vec<_> = joins.map(|join| (join.alias.clone(), join.on.clone())).collect();
        let mut joins = joins.into_iter();
        let (other, _) = joins.find(|(other, on)| self.led_to(hop, alias, other) == *on)?;
        Some(other)
    }

    /// Adds to a query the joins that its expressions need from the row under `alias`.
    pub(super) fn join(&mut self, query: &mut SelectStatement, alias: &DynIden) {
        let mut known = vec![alias.clone()];
        // A join must follow the one from which it starts.
        let reached = |join: &mut Join| {
            let reached = known.contains(&join.from);
            known.extend(reached.then(|| join.alias.clone()));
            reached
        };
        for join in self.joins.extract_if(.., reached) {
            query.left_join(join.table, join.on);
        }
    }
}

/// Reduces the rows at the end of a hop to one. If no key guarantees that there is only one, it is always the same
/// one.
pub(super) fn the_one(rows: &mut SelectStatement, hop: &Hop<'_>, alias: &DynIden) {
    if !hop.is_keyed() {
        for position in hop.table.steady_order() {
            let column = column(alias, &hop.table.table.columns[position]);
            rows.order_by_expr(column, sea_query::Order::Asc);
        }
    }
    rows.limit(1);
}

/// The table at the end of a hop, under an alias. With `ONLY` if the hop leads to the table's own rows.
pub(super) fn end(hop: &Hop<'_>, alias: &DynIden) -> TableRef {
    if !hop.leads_to_its_own() {
        return super::aliased(hop.table, alias);
    }
    let table = hop.table.name();
    let only = Func::cust("ONLY").arg(Expr::col((table.schema.clone(), table.name.clone())));
    TableRef::FunctionCall(only, alias.clone())
}

/// The equality of the columns that pair the row under `near`, from which a hop leads, with those under `far` of the
/// other table or of the junction.
pub(super) fn paired(hop: &Hop<'_>, near: &DynIden, table: &TableView, far: &DynIden) -> Expr {
    let of = |table: &TableView, alias: &DynIden, position: usize| {
        operand(alias, &table.table.columns[position])
    };
    let pairs = hop.relation.columns.iter();
    let pairs =
        pairs.map(|(ours, theirs)| of(table, far, *theirs).eq(of(hop.subject, near, *ours)));
    all_of(pairs)
}
