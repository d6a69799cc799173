//! Pages that begin after a row: conditions on the rows that follow it, in a form for which an index can be used.

use std::collections::BTreeSet;

use sea_query::{Asterisk, DynIden, Expr, ExprTrait, Query, SelectStatement, UnionType};

use super::predicate::{Conditions, any_of, constant, null, typed};
use super::select::rows;
use super::{named, version_column};
use crate::plan::{After, Operand, SelectPlan, Shown, Sort, SortKey, Total};
use crate::schema::{Column, Index};

/// The most sort keys of a page that is read in parts. Each key makes up to two parts.
const KEYS_MOST: usize = 4;

/// The rows of the plan that follow a row, without a select list and order.
pub(super) fn after(
    plan: &SelectPlan<'_>,
    after: &After,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> SelectStatement {
    let keys = plan.order.iter().zip(&after.values);
    let keys = keys.map(|(sort, value)| Key { sort, value, computed: None });
    let mut keys: Vec<Key<'_>> = keys.collect();
    let beyond = match in_one_comparison(&plan.order) {
        true => row_beyond(&keys, alias, conditions),
        false => {
            let any = match seeks(plan) {
                true => {
                    let parts = parts(&keys, alias, conditions);
                    if parts.len() > 1 {
                        return in_parts(plan, parts, alias, conditions);
                    }
                    any_of(parts)
                }
                false => any_beyond(&mut keys, alias, conditions),
            };
            match first_bound(&keys, alias, conditions) {
                Some(bound) => bound.and(any),
                None => any,
            }
        }
    };
    let mut query = rows(plan, alias, conditions);
    query.and_where(beyond);
    query
}

/// A sort key, and its value in the row.
struct Key<'k> {
    sort: &'k Sort<'k>,
    value: &'k Operand,
    /// What it is in the rows to compare, if a subquery has computed it.
    computed: Option<Expr>,
}

/// Whether one row comparison selects the rows that follow: all keys have the same direction, and there are no nulls.
fn in_one_comparison(order: &[Sort<'_>]) -> bool {
    let descending = order.first().is_some_and(|sort| sort.descending);
    order.iter().all(|sort| !sort.nullable && sort.descending == descending)
}

fn row_beyond(keys: &[Key<'_>], alias: &DynIden, conditions: &mut Conditions) -> Expr {
    let pairs =
        keys.iter().map(|key| (conditions.cursor_key(key.sort, alias), key.operand(conditions)));
    let (left, right): (Vec<Expr>, Vec<Expr>) = pairs.unzip();
    let (left, right) = match <[Expr; 1]>::try_from(left) {
        Ok([left]) => (left, right.into_iter().next().unwrap_or_else(|| constant(false))),
        Err(left) => (Expr::tuple(left), Expr::tuple(right)),
    };
    match keys.first().is_some_and(|key| key.sort.descending) {
        true => left.lt(right),
        false => left.gt(right),
    }
}

/// Whether any of [`parts`] is met. A total is computed once for all of them.
fn any_beyond(keys: &mut [Key<'_>], alias: &DynIden, conditions: &mut Conditions) -> Expr {
    match keys.iter().find_map(Key::total) {
        None => any_of(parts(keys, alias, conditions)),
        Some(total) => conditions.total_meets(total, alias, |conditions, value| {
            if let Some(key) = keys.iter_mut().find(|key| key.total().is_some()) {
                key.computed = Some(value);
            }
            any_beyond(keys, alias, conditions)
        }),
    }
}

/// Conditions of which each following row meets exactly one: beyond in the first key, or equal there and beyond in
/// the second, and so on.
fn parts(keys: &[Key<'_>], alias: &DynIden, conditions: &mut Conditions) -> Vec<Expr> {
    let mut parts = Vec::new();
    for (index, key) in keys.iter().enumerate() {
        for beyond in key.beyond(alias, conditions) {
            let equal = keys.iter().take(index);
            parts.push(equal.fold(beyond, |all, key| all.and(key.same(alias, conditions))));
        }
    }
    parts
}

/// A condition on the first key that follows from all of [`parts`], for which an index can be used.
fn first_bound(keys: &[Key<'_>], alias: &DynIden, conditions: &mut Conditions) -> Option<Expr> {
    let key = keys.first()?;
    let sort = key.sort;
    let last = sort.nullable && sort.nulls_last;
    if key.value.is_null() || last || sort.key.column().is_none() {
        return None;
    }
    let (left, right) = (conditions.cursor_key(sort, alias), key.operand(conditions));
    Some(if sort.descending { left.lte(right) } else { left.gte(right) })
}

impl<'k> Key<'k> {
    /// The total of related rows that it is, unless that is computed already, or joined.
    fn total(&self) -> Option<&'k Total<'k>> {
        match &self.sort.key {
            SortKey::Computed(of) if self.computed.is_none() => {
                of.total().filter(|total| !total.hop.is_slow())
            }
            _ => None,
        }
    }

    /// What is compared with the value.
    fn key(&self, alias: &DynIden, conditions: &mut Conditions) -> Expr {
        match &self.computed {
            Some(computed) => computed.clone(),
            None => conditions.cursor_key(self.sort, alias),
        }
    }

    fn operand(&self, conditions: &mut Conditions) -> Expr {
        let parameter = conditions.parameters.add(self.value);
        match &self.sort.key {
            SortKey::Value(of) if of.member.is_some() => parameter.cast_as("jsonb"),
            SortKey::Value(of) => typed(parameter, &of.column.data_type, ""),
            SortKey::Rank(..) | SortKey::Distance(..) | SortKey::Computed(_) | SortKey::Place => {
                parameter
            }
        }
    }

    fn missing(&self, wanted: bool, alias: &DynIden, conditions: &mut Conditions) -> Expr {
        let key = self.key(alias, conditions);
        match self.sort.key.column() {
            Some(of) => null(key, &of.column.data_type, wanted),
            None if wanted => key.is_null(),
            None => key.is_not_null(),
        }
    }

    fn same(&self, alias: &DynIden, conditions: &mut Conditions) -> Expr {
        match self.value.is_null() {
            true => self.missing(true, alias, conditions),
            false => self.key(alias, conditions).eq(self.operand(conditions)),
        }
    }

    fn beyond(&self, alias: &DynIden, conditions: &mut Conditions) -> Vec<Expr> {
        let sort = self.sort;
        match (self.value.is_null(), sort.nulls_last) {
            (true, true) => Vec::new(),
            (true, false) => vec![self.missing(false, alias, conditions)],
            (false, nulls_last) => {
                let key = self.key(alias, conditions);
                let value = self.operand(conditions);
                let beyond = if sort.descending { key.lt(value) } else { key.gt(value) };
                let mut beyond = vec![beyond];
                if nulls_last && sort.nullable {
                    beyond.push(self.missing(true, alias, conditions));
                }
                beyond
            }
        }
    }
}

/// Whether an index begins with the first sort key, so that each part can begin with an index seek. Without one, each
/// part would read the whole table.
fn seeks(plan: &SelectPlan<'_>) -> bool {
    let own = |sort: &Sort<'_>| sort.key.own_column().is_some();
    let columns = &plan.table.table.columns;
    let begins = |index: &Index| {
        let plain = index.method == "btree" && index.predicate.is_none();
        let free = |position: &&usize| {
            columns.get(**position).is_some_and(|column: &Column| !plan.filter.fixes(column))
        };
        let first = plan.order.first().and_then(|sort| sort.key.own_column());
        plain
            && index.parts.len() == index.columns.len()
            && index.columns.iter().find(free).copied() == first
    };
    plan.grouping.is_none()
        && plan.order.len() <= KEYS_MOST
        && plan.order.iter().all(own)
        && plan.table.table.indexes.iter().any(begins)
}

/// The first page of each part, combined by UNION ALL. PostgreSQL merges them and reads no more of each than it
/// needs.
fn in_parts(
    plan: &SelectPlan<'_>,
    parts: Vec<Expr>,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> SelectStatement {
    let names = needed(plan);
    let mut parts = parts.into_iter().map(|part| {
        let mut query = rows(plan, alias, conditions);
        conditions.join(&mut query, alias);
        query.exprs(names.iter().map(|name| named(alias, name)));
        if names.is_empty() {
            query.expr(constant(true));
        }
        query.and_where(part);
        conditions.sort(&mut query, &plan.order, alias);
        query.limit(plan.limit.saturating_add(1).saturating_add(plan.start.skipped()));
        query
    });
    let mut all = Query::select();
    // Without this level, the order and limit of the first part would apply to all.
    all.column(Asterisk);
    all.from_subquery(parts.next().unwrap_or_default(), alias.clone());
    all.unions(parts.map(|part| (UnionType::All, part)));
    let mut query = Query::select();
    query.from_subquery(all, alias.clone());
    query
}

/// The columns of the plan's table that the page uses outside of its conditions.
fn needed<'p>(plan: &'p SelectPlan<'_>) -> BTreeSet<&'p str> {
    let columns = &plan.table.table.columns;
    let related = plan.includes.iter().flat_map(|include| &include.hop.relation.columns);
    let positions = plan.columns.iter().flat_map(Shown::own_columns);
    let positions = positions.chain(plan.order.iter().filter_map(|sort| sort.key.own_column()));
    let positions = positions.chain(related.map(|(ours, _)| *ours));
    let mut names: BTreeSet<&str> =
        positions.filter_map(|position| columns.get(position)).map(Column::identifier).collect();
    names.extend(plan.with_version.then(|| version_column(plan.table)));
    names
}
