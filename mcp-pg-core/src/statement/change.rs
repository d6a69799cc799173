//! Writes to existing rows: the locking SELECT before the write, UPDATE and DELETE.

use sea_query::{DynIden, Expr, ExprTrait, Func, IntoIden, LockType, Query, SelectStatement};

use super::assign;
use super::named::{self, Named};
use super::parameters::build;
use super::predicate::{Conditions, constant};
use super::{Output, SUBJECT, Statement, aliased, apart, operand, outputs, version};
use crate::plan::{Assign, ChangePlan, Effect, NamedRow, Operand};
use crate::schema::{Column, TableKind};
use crate::value::Decoder;

/// The alias of a table's rows as they were before a change.
const FORMER: &str = "former";

/// The statement that locks and reads the rows of a change before they are changed.
///
/// Its rows contain the columns at the positions `looked_at`; the version, if the plan asks for it; for a table
/// without a key, the values that identify the row, if the user is `asked` to confirm; and the position in the
/// request's list of rows, if it has one. It reads one row more than the plan allows.
pub fn lock<'v>(plan: &ChangePlan<'v>, looked_at: &[usize], asked: bool) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = concerned(plan, &alias, &mut conditions);
    let (expressions, mut columns) = outputs(plan.table, &alias, looked_at.iter().copied());
    query.exprs(expressions);
    let named = plan.effect.each().is_some();
    if plan.versioned() {
        query.expr(version(plan.table, &alias));
        columns.push(Output::value("_version", Decoder::plain_text()));
    }
    if asked {
        let (expressions, others) = apart(plan.table, &alias);
        query.exprs(expressions);
        columns.extend(others);
    }
    if named {
        let (position, output) = named::position();
        query.expr(position);
        columns.push(output);
    }
    if columns.is_empty() {
        query.expr(constant(true));
    }
    query.limit(plan.max_rows.saturating_add(1));
    // The rows of a view may not be lockable, and a lock requires the privilege UPDATE. Without locks, a concurrent
    // change makes the following statement fail, and the transaction is retried.
    let table = &plan.table.table;
    if table.kind != TableKind::View && table.privileges.update {
        match named {
            false => query.lock_exclusive(),
            true => query.lock_with_tables(LockType::Update, [SUBJECT]),
        };
    }
    conditions.parameters.finish(build(&query), columns)
}

/// The statement that counts the rows of a change.
pub fn affected<'v>(plan: &ChangePlan<'v>) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = concerned(plan, &alias, &mut conditions);
    query.expr(Func::count(Expr::col(sea_query::Asterisk)).cast_as("text"));
    let output = Output::value("count", Decoder::plain_text());
    conditions.parameters.finish(build(&query), vec![output])
}

/// The rows of a change, without a select list.
fn concerned(
    plan: &ChangePlan<'_>,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> SelectStatement {
    let mut query = Query::select();
    query.from(aliased(plan.table, alias));
    if let Some(each) = plan.effect.each() {
        let positions = each.rows().map(|row| row.index);
        let values: Vec<&[Operand]> = each.rows().map(|row| row.key.as_slice()).collect();
        let named = Named::new(positions, &each.key, values, Some("/updates"), conditions);
        query.from(named.table()).and_where(named::is_named(&each.key, alias));
    }
    for condition in met(plan, alias, conditions) {
        query.and_where(condition);
    }
    query
}

/// The conditions on the rows of a change.
fn met(plan: &ChangePlan<'_>, alias: &DynIden, conditions: &mut Conditions) -> Vec<Expr> {
    let filter = conditions.filter(&plan.filter, alias);
    filter.into_iter().chain(conditions.guarded()).collect()
}

/// The statements that write: one, or one for each batch of the request's list of rows.
///
/// Their rows contain the `returned` columns and the position in the request's list, if it has one. If rows are
/// `told` apart, rows that are set to the same values have the key that they had before. For rows that
/// were not read before they are deleted, these follow: the version, if the plan asks for it, and for a table without
/// a key the values that identify the row, if they are told apart. Last comes whether the row meets the plan's check.
pub fn changes<'v>(plan: &ChangePlan<'v>, returned: &[usize], told: bool) -> Vec<Statement<'v>> {
    match &plan.effect {
        Effect::Set(set) => vec![update(plan, set, returned, told)],
        Effect::SetEach(each) => {
            // Several batches rarely have the same sizes again.
            let recurring = each.batches.len() == 1;
            let change = |rows: &Vec<NamedRow<'v>>| Statement {
                recurring,
                ..update_each(plan, &each.key, rows, returned)
            };
            each.batches.iter().map(change).collect()
        }
        Effect::Remove => vec![remove(plan, returned, told)],
    }
}

fn update<'v>(
    plan: &ChangePlan<'v>,
    set: &[(&Column, Assign<'_>)],
    returned: &[usize],
    told: bool,
) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::apart();
    let mut query = Query::update();
    query.table(aliased(plan.table, &alias));
    for (target, assign) in set {
        let value = conditions.assigned(target, assign, &alias, &Conditions::given);
        query.value(target.name.clone(), value);
    }
    for condition in met(plan, &alias, &mut conditions) {
        query.and_where(condition);
    }
    let key = plan.table.row_key().filter(|_| told).unwrap_or_default();
    let before = FORMER.into_iden();
    let (expressions, outputs) = outputs(plan.table, &before, key.iter().copied());
    if !key.is_empty() {
        query.from(aliased(plan.table, &before));
    }
    for part in key.iter().map(|position| &plan.table.table.columns[*position]) {
        query.and_where(operand(&alias, part).eq(operand(&before, part)));
    }
    let former = expressions.into_iter().zip(outputs).collect();
    let (returning, columns) = returning(plan, returned, former, &alias, &mut conditions);
    query.returning(Query::returning().exprs(returning));
    conditions.parameters.finish(build(&query), columns)
}

fn remove<'v>(plan: &ChangePlan<'v>, returned: &[usize], told: bool) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = Query::delete();
    query.from_table(aliased(plan.table, &alias));
    for condition in met(plan, &alias, &mut conditions) {
        query.and_where(condition);
    }
    let mut known = Vec::new();
    if plan.is_unseen() && plan.versioned() {
        let output = Output::value("_version", Decoder::plain_text());
        known.push((version(plan.table, &alias), output));
    }
    if plan.is_unseen() && told {
        let (expressions, others) = apart(plan.table, &alias);
        known.extend(expressions.into_iter().zip(others));
    }
    let (returning, columns) = returning(plan, returned, known, &alias, &mut conditions);
    query.returning(Query::returning().exprs(returning));
    conditions.parameters.finish(build(&query), columns)
}

/// The RETURNING clause, and how to read its columns.
fn returning<'v>(
    plan: &ChangePlan<'v>,
    returned: &[usize],
    told: Vec<(Expr, Output<'v>)>,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> (Vec<Expr>, Vec<Output<'v>>) {
    let (mut returning, mut columns) = outputs(plan.table, alias, returned.iter().copied());
    let check = conditions.expression(&plan.check, alias).unwrap_or_else(|| constant(true));
    let check = (check, Output::value("_check", Decoder::boolean()));
    for (expression, output) in told.into_iter().chain([check]) {
        returning.push(expression);
        columns.push(output);
    }
    (returning, columns)
}

/// The statement of [`changes`] for one batch of the named rows, which assign to the same columns in the same way.
pub fn update_each<'v>(
    plan: &ChangePlan<'v>,
    key: &[&Column],
    rows: &[NamedRow<'v>],
    returned: &[usize],
) -> Statement<'v> {
    const AT: Option<&str> = Some("/updates");
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::apart();
    let values: Vec<&[Operand]> = rows.iter().map(|row| row.key.as_slice()).collect();
    let positions = rows.iter().map(|row| row.index);
    let mut named = Named::new(positions, key, values, AT, &mut conditions);
    let mut query = Query::update();
    query.table(aliased(plan.table, &alias));
    for (place, (target, assign)) in rows.first().into_iter().flat_map(|row| &row.set).enumerate() {
        let name = format!("v{place}");
        if assign.operand().is_some() {
            let operands = rows.iter().filter_map(|row| row.set.get(place)?.1.operand().cloned());
            let data_type = assign::data_type(target, assign);
            named.add(&data_type, &name, operands.collect(), AT, &mut conditions);
        }
        let value = conditions.assigned(target, assign, &alias, &|_, _| named::member(&name));
        query.value(target.name.clone(), value);
    }
    query.from(named.table()).and_where(named::is_named(key, &alias));
    for condition in met(plan, &alias, &mut conditions) {
        query.and_where(condition);
    }
    let (returning, columns) =
        returning(plan, returned, vec![named::position()], &alias, &mut conditions);
    query.returning(Query::returning().exprs(returning));
    conditions.parameters.finish(build(&query), columns)
}
