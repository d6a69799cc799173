//! Writes to rows that exist: the locking SELECT that looks first, UPDATE and DELETE.

use sea_query::extension::postgres::PgBinOper;
use sea_query::{DynIden, Expr, ExprTrait, Func, IntoIden, Query};

use super::parameters::build;
use super::predicate::{Conditions, constant};
use super::{Output, SUBJECT, Statement, aliased, column, outputs, version};
use crate::plan::{Assign, ChangePlan, Effect};
use crate::schema::{Column, TableKind};
use crate::value::Decoder;

/// The statement that locks the rows a change is about, and reads them as they are.
///
/// Its rows hold all readable columns, then the version if the plan asks for one. It reads one row more
/// than the plan allows.
pub fn lock<'v>(plan: &ChangePlan<'v>) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = Query::select();
    query.from(aliased(plan.table, &alias));
    let (expressions, mut columns) = outputs(plan.table, &alias, plan.table.readable_columns());
    query.exprs(expressions);
    if plan.if_version.is_some() {
        query.expr(version(plan.table, &alias));
        columns.push(Output::value("_version", Decoder::plain_text()));
    }
    if columns.is_empty() {
        query.expr(constant(true));
    }
    if let Some(filter) = conditions.expression(&plan.filter, &alias) {
        query.and_where(filter);
    }
    query.limit(plan.max_rows.saturating_add(1));
    // A view may be one whose rows PostgreSQL cannot lock, and locks take the right to update. Without one,
    // a concurrent change makes the statement after this one fail, and the transaction run again.
    let table = &plan.table.table;
    if table.kind != TableKind::View && table.privileges.update {
        query.lock_exclusive();
    }
    conditions.parameters.finish(build(&query), columns)
}

/// The statement that counts the rows a change is about.
pub fn affected<'v>(plan: &ChangePlan<'v>) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let mut query = Query::select();
    query.from(aliased(plan.table, &alias));
    query.expr(Func::count(Expr::col(sea_query::Asterisk)).cast_as("text"));
    if let Some(filter) = conditions.expression(&plan.filter, &alias) {
        query.and_where(filter);
    }
    let output = Output::value("count", Decoder::plain_text());
    conditions.parameters.finish(build(&query), vec![output])
}

/// The statement that changes the rows.
///
/// Its rows hold all readable columns, then whether the row still meets the plan's check.
pub fn change<'v>(plan: &ChangePlan<'v>) -> Statement<'v> {
    let alias = SUBJECT.into_iden();
    let mut conditions = Conditions::default();
    let (mut returning, mut columns) = outputs(plan.table, &alias, plan.table.readable_columns());
    let built = match &plan.effect {
        Effect::Set(set) => {
            let mut query = Query::update();
            query.table(aliased(plan.table, &alias));
            for (target, assign) in set {
                let value = assigned(target, assign, &alias, &mut conditions);
                query.value(target.name.clone(), value);
            }
            if let Some(filter) = conditions.expression(&plan.filter, &alias) {
                query.and_where(filter);
            }
            returning
                .push(conditions.expression(&plan.check, &alias).unwrap_or_else(|| constant(true)));
            query.returning(Query::returning().exprs(returning));
            build(&query)
        }
        Effect::Remove => {
            let mut query = Query::delete();
            query.from_table(aliased(plan.table, &alias));
            if let Some(filter) = conditions.expression(&plan.filter, &alias) {
                query.and_where(filter);
            }
            returning.push(constant(true));
            query.returning(Query::returning().exprs(returning));
            build(&query)
        }
    };
    columns.push(Output::value("_check", Decoder::boolean()));
    conditions.parameters.finish(built, columns)
}

/// What a column of an existing row is set to.
pub(super) fn assigned(
    target: &Column,
    assign: &Assign,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> Expr {
    let old = column(alias, target);
    let parameters = &mut conditions.parameters;
    match assign {
        Assign::Value(operand) => parameters.add(operand),
        Assign::Default => Expr::Keyword(sea_query::Keyword::Default),
        Assign::Now => Expr::current_timestamp(),
        Assign::Increment(operand) => old.add(parameters.add(operand)),
        Assign::Append(operand) | Assign::Merge(operand) => {
            let longer = old.binary(PgBinOper::Concatenate, parameters.add(operand));
            // What is added to nothing is all there is.
            Func::coalesce([longer, parameters.add(operand)]).into()
        }
    }
}
