//! SELECT: the page, the count, and the planner's estimate of it.

use sea_query::{
    DynIden, ExplainFormat, ExplainStatement, Expr, ExprTrait, Func, IntoIden, Query,
    SelectStatement,
};

use super::parameters::{build, build_explain};
use super::predicate::{Conditions, constant};
use super::{Output, SUBJECT, Statement, aliased, expressions, readers, seek, version};
use crate::plan::{Measured, SelectPlan, Start};
use crate::policy::TableView;
use crate::request::Count;
use crate::value::Decoder;

/// The greatest offset whose statement is worth preparing: each has a text of its own.
const OFFSET_RECURRING: u64 = 100;

/// The statement that reads a page and one row more, which tells whether there is another page.
///
/// Its rows hold the plan's columns, the version if wanted, the included relations, and last the sort keys
/// that a cursor needs and that are not among the columns.
pub fn select<'v>(plan: &'v SelectPlan<'v>) -> Statement<'v> {
    let mut conditions = Conditions::default();
    let (query, columns) = page(plan, &mut conditions);
    let mut statement = conditions.parameters.finish(build(&query), columns);
    // Every page has an offset of its own: the first ones are asked for again, those far down hardly.
    statement.recurring =
        matches!(plan.start, Start::Offset(..=OFFSET_RECURRING) | Start::After(_));
    statement
}

/// The statement that asks how PostgreSQL would read the page; the rows are lines of EXPLAIN's JSON.
pub fn explain<'v>(plan: &'v SelectPlan<'v>, analyze: bool) -> Statement<'v> {
    let mut conditions = Conditions::default();
    let (query, _) = page(plan, &mut conditions);
    // VERBOSE tells the schemas of tables.
    let explain = ExplainStatement::new().format(ExplainFormat::Json).verbose(true);
    let explain = explain.statement(query);
    let explain = if analyze { explain.analyze() } else { explain };
    let lines = vec![Output::value("plan", Decoder::plain_text())];
    conditions.parameters.finish(build_explain(&explain), lines)
}

fn page<'v>(
    plan: &'v SelectPlan<'v>,
    conditions: &mut Conditions,
) -> (SelectStatement, Vec<Output<'v>>) {
    let alias = SUBJECT.into_iden();
    let mut query = match &plan.start {
        Start::After(values) => seek::after(plan, values, &alias, conditions),
        Start::Offset(_) => rows(plan, &alias, conditions),
    };

    let mut columns;
    if plan.is_whole() {
        // Rendering all columns is most of the work: done once for a table.
        let list = plan.table.column_list(|| column_list(plan.table, &alias));
        if !list.is_empty() {
            query.expr(Expr::Custom(list.to_owned().into()));
        }
        columns = readers(plan.table, plan.table.readable_columns());
    } else {
        let (shown, outputs) = conditions.shown(plan.table, &plan.columns, &alias);
        query.exprs(shown);
        columns = outputs;
    }
    if plan.with_version {
        query.expr(version(plan.table, &alias));
        columns.push(Output::value("_version", Decoder::plain_text()));
    }
    let (related, nested) = conditions.includes(&plan.includes, &alias);
    query.exprs(related);
    columns.extend(nested);
    if plan.keyset {
        for sort in plan.order.iter().filter(|sort| plan.shows(sort).is_none()) {
            let owner = sort.hops.last().map_or(plan.table, |hop| hop.table);
            let decoder = match sort.measured {
                _ if sort.is_kept_as_text() => Decoder::plain_text(),
                Measured::Value => owner.decoder(sort.position),
                Measured::Count(_) => Decoder::bigint(),
                _ => Decoder::double(),
            };
            let key = conditions.cursor_key(sort, &alias);
            let text = sort.is_kept_as_text() || decoder.as_text();
            query.expr(if text { key.cast_as("text") } else { key });
            columns.push(Output::value(&sort.column.name, decoder));
        }
    }
    if columns.is_empty() {
        query.expr(constant(true));
    }

    conditions.sort(&mut query, &plan.order, &alias);
    if let Start::Offset(offset @ 1..) = plan.start {
        query.offset(offset);
    }
    conditions.join(&mut query, &alias);
    if !plan.single {
        query.limit(plan.limit.saturating_add(1));
    }
    (query, columns)
}

/// The readable columns as the text of a select list.
fn column_list(table: &TableView, alias: &DynIden) -> String {
    let mut all = Query::select();
    all.exprs(expressions(table, alias, table.readable_columns()));
    build(&all).sql.strip_prefix("SELECT ").unwrap_or_default().to_owned()
}

/// The statement that counts all rows of the query, not only the page's; or asks the planner how many it
/// expects, which is answered in lines of EXPLAIN's JSON.
pub fn counting<'v>(plan: &SelectPlan<'v>) -> Option<Statement<'v>> {
    if plan.count == Count::None {
        return None;
    }
    let mut conditions = Conditions::default();
    let mut query = rows(plan, &SUBJECT.into_iden(), &mut conditions);
    let built = match plan.count {
        Count::None | Count::Exact => {
            query.expr(Func::count(Expr::col(sea_query::Asterisk)).cast_as("text"));
            build(&query)
        }
        Count::Estimated => {
            query.expr(constant(true));
            let explain = ExplainStatement::new().format(ExplainFormat::Json).statement(query);
            build_explain(&explain)
        }
    };
    let output = Output::value("count", Decoder::plain_text());
    Some(conditions.parameters.finish(built, vec![output]))
}

/// The rows that meet the plan's filter, wherever the page is.
pub(super) fn rows(
    plan: &SelectPlan<'_>,
    alias: &DynIden,
    conditions: &mut Conditions,
) -> SelectStatement {
    let mut query = Query::select();
    match &plan.grouping {
        None => query.from(aliased(plan.table, alias)),
        Some(grouping) => query.from_subquery(conditions.grouping(grouping), alias.clone()),
    };
    if let Some(filter) = conditions.expression(&plan.filter, alias) {
        query.and_where(filter);
    }
    query
}
