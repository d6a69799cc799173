//! Totals of related rows, as correlated subqueries. Where no index finds the related rows of one row, the totals of
//! all rows are computed at once, and joined.

use sea_query::{
    Asterisk, DynIden, Expr, ExprTrait, Func, Query, SelectStatement, TableRef, Value,
};

use super::include::subquery;
use super::join::{Join, Joined, end};
use super::predicate::{Conditions, all_of};
use super::{aliased, named, one, operand};
use crate::plan::{Function, Predicate, RowFilter, Total};
use crate::policy::TableView;

/// The name of the total in a derived table.
const TOTAL: &str = "c0";

impl Conditions {
    /// The total of the rows related to the one under `alias`.
    pub(super) fn total(&mut self, total: &Total<'_>, alias: &DynIden) -> Expr {
        if total.hop.is_slow() && self.joins_totals(alias) {
            let joined = self.joined_total(total, alias);
            return of_any(total, named(&joined, TOTAL));
        }
        let (mut rows, value) = self.totalled(total, alias);
        rows.expr(value);
        subquery(rows)
    }

    /// Whether the total meets a condition, which may use it several times although it is computed once.
    ///
    /// Where no index finds the related rows, the total is a count or a sum, which are never null.
    pub(super) fn total_meets(
        &mut self,
        total: &Total<'_>,
        alias: &DynIden,
        mut condition: impl FnMut(&mut Self, Expr) -> Expr,
    ) -> Expr {
        if !total.hop.is_slow() {
            let (mut rows, value) = self.totalled(total, alias);
            rows.expr_as(value, TOTAL);
            return self.any(rows, |conditions, row| condition(conditions, named(row, TOTAL)));
        }
        let (totals, _) = self.totals(total);
        let met = self.any(totals, |conditions, row| {
            let met = condition(conditions, named(row, TOTAL));
            same_row(total, row, alias).and(met)
        });
        let none = zero().cast_as(total.data_type().name.clone());
        let none = condition(self, none);
        let (mut rows, _) = self.met(&total.hop, &total.filter, alias);
        rows.expr(one());
        met.or(none.and(Expr::exists(rows).not()))
    }

    /// Whether a derived table has a row that meets the condition, which may use a value of the row several times
    /// although that is computed once.
    fn any(
        &mut self,
        rows: SelectStatement,
        condition: impl FnOnce(&mut Self, &DynIden) -> Expr,
    ) -> Expr {
        let row = self.alias();
        let mut met = Query::select();
        met.expr(one());
        met.from_subquery(rows, row.clone());
        met.and_where(condition(self, &row));
        Expr::exists(met)
    }

    /// The alias of the totals of all rows, which are joined to the query with the row under `alias`.
    fn joined_total(&mut self, total: &Total<'_>, alias: &DynIden) -> DynIden {
        let what = Joined::Total(std::ptr::from_ref(total).cast());
        if let Some(joined) = self.found(alias, &what) {
            return joined;
        }
        let (totals, keys) = self.totals(total);
        let joined = self.alias();
        let ours = total.hop.relation.columns.iter().map(|(ours, _)| *ours);
        self.joins.push(Join {
            from: alias.clone(),
            what,
            keys: ours.zip(keys).collect(),
            table: TableRef::SubQuery(Box::new(totals), joined.clone()),
            alias: joined.clone(),
            on: same_row(total, &joined, alias),
        });
        joined
    }

    /// Restricts the totals that are joined to the row under `alias` to those of rows that meet the filter, as far as
    /// that is about the row's own columns. PostgreSQL would compute the totals of all rows otherwise. Where most rows meet it,
    /// finding these once more takes longer.
    pub(super) fn narrow_totals(
        &mut self,
        table: &TableView,
        filter: &RowFilter<'_>,
        alias: &DynIden,
    ) {
        let parts = std::iter::once(&filter.caller).chain(&filter.role);
        let own: Vec<&Predicate<'_>> = parts.flat_map(Predicate::own_part).collect();
        if !own.iter().any(|part| part.is_selective()) {
            return;
        }
        let mut joins = std::mem::take(&mut self.joins);
        let totals = |join: &&mut Join| join.from == *alias && !join.keys.is_empty();
        for join in joins.iter_mut().filter(totals) {
            let TableRef::SubQuery(totals, _) = &mut join.table else { continue };
            let row = self.alias();
            let Some(met) = self.all(own.iter().copied(), &row) else { break };
            let mut keys = Query::select();
            keys.from(aliased(table, &row)).and_where(met);
            let ours = join.keys.iter().map(|(ours, _)| &table.table.columns[*ours]);
            keys.exprs(ours.map(|column| operand(&row, column)));
            let theirs = join.keys.iter().map(|(_, theirs)| theirs.clone());
            totals.and_where(Expr::tuple(theirs).in_subquery(keys));
        }
        self.joins = joins;
    }

    /// The totals of all rows that have related ones, by the columns that relate them, and these columns.
    fn totals(&mut self, total: &Total<'_>) -> (SelectStatement, Vec<Expr>) {
        let (hop, other) = (&total.hop, self.alias());
        let mut rows = Query::select();
        rows.from(end(hop, &other));
        let (mut rows, other) = self.existing(rows, hop, other);
        rows.and_where_option(self.expression(&total.filter, &other));
        let theirs = hop.relation.columns.iter();
        let theirs = theirs.map(|(_, theirs)| operand(&other, &hop.table.table.columns[*theirs]));
        let keys: Vec<Expr> = theirs.collect();
        for (part, key) in keys.iter().enumerate() {
            rows.expr_as(key.clone(), key_name(part)).add_group_by([key.clone()]);
        }
        let value = self.function(total, &other);
        rows.expr_as(value, TOTAL);
        self.join(&mut rows, &other);
        (rows, keys)
    }

    /// The related rows, and the total of them.
    fn totalled(&mut self, total: &Total<'_>, alias: &DynIden) -> (SelectStatement, Expr) {
        let (mut rows, other) = self.met(&total.hop, &total.filter, alias);
        let value = self.function(total, &other);
        self.join(&mut rows, &other);
        (rows, value)
    }

    /// The function of the rows under an alias.
    ///
    /// Computing it cannot fail: the values of the rows have few enough digits for their sum.
    fn function(&mut self, total: &Total<'_>, other: &DynIden) -> Expr {
        let value = match &total.of {
            None => Expr::col(Asterisk),
            Some(of) if of.data_type().has_ends() => self.computed(of, other),
            Some(of) => self.operand(of, other).divided(),
        };
        match total.function {
            Function::Sum => of_any(total, Func::sum(value).into()),
            Function::Avg => Func::avg(value).into(),
            Function::Min => in_type(total, Func::min(value).into()),
            Function::Max => in_type(total, Func::max(value).into()),
            _ if total.bare => Func::count(value).into(),
            _ => Expr::expr(Func::count(value)).cast_as("numeric"),
        }
    }
}

/// The least or greatest value in the type of the values.
fn in_type(total: &Total<'_>, end: Expr) -> Expr {
    let data_type = total.data_type();
    if data_type.ends_in_text() { end.cast_as(data_type.name.clone()) } else { end }
}

/// A total that may be of no rows: a count and a sum are 0 then.
fn of_any(total: &Total<'_>, value: Expr) -> Expr {
    match total.function {
        Function::Avg | Function::Min | Function::Max => value,
        _ => Func::coalesce([value, zero()]).into(),
    }
}

fn zero() -> Expr {
    Expr::Constant(Value::BigInt(Some(0)))
}

/// Whether a row of the derived totals is that of the row under `alias`.
fn same_row(total: &Total<'_>, totals: &DynIden, alias: &DynIden) -> Expr {
    let hop = &total.hop;
    let pairs = hop.relation.columns.iter().enumerate().map(|(part, (ours, _))| {
        let own = operand(alias, &hop.subject.table.columns[*ours]);
        named(totals, &key_name(part)).eq(own)
    });
    all_of(pairs)
}

fn key_name(part: usize) -> String {
    format!("k{part}")
}
