//! SELECT: the page, the count, and the planner's estimate of it.

use sea_query::{
    DynIden, ExplainFormat, ExplainStatement, Expr, ExprTrait, Func, IntoIden,
    PostgresQueryBuilder, Query, SelectStatement,
};

use super::parameters::build;
use super::predicate::{Conditions, constant, null, typed};
use super::{Output, SUBJECT, Statement, aliased, expressions, readers, version};
use crate::plan::{Measured, Operand, SelectPlan, Sort, Start};
use crate::policy::TableView;
use crate::request::Count;
use crate::value::Decoder;

/// The statement that reads a page and one row more, which tells whether there is another page.
///
/// Its rows hold the plan's columns, the version if wanted, the included relations, and last the sort keys
/// that a cursor needs.
pub fn select<'v>(plan: &SelectPlan<'v>) -> Statement<'v> {
    let mut conditions = Conditions::default();
    let (query, columns) = page(plan, &mut conditions);
    conditions.parameters.finish(build(&query), columns)
}

/// The statement that asks how PostgreSQL would read the page; the rows are lines of EXPLAIN's JSON.
pub fn explain<'v>(plan: &SelectPlan<'v>, analyze: bool) -> Statement<'v> {
    let mut conditions = Conditions::default();
    let (query, _) = page(plan, &mut conditions);
    let explain = ExplainStatement::new().format(ExplainFormat::Json).statement(query);
    let explain = if analyze { explain.analyze() } else { explain };
    let lines = vec![Output::value("plan", Decoder::plain_text())];
    conditions.parameters.finish(explain.build(PostgresQueryBuilder), lines)
}

fn page<'v>(
    plan: &SelectPlan<'v>,
    conditions: &mut Conditions,
) -> (SelectStatement, Vec<Output<'v>>) {
    let alias = SUBJECT.into_iden();
    let mut query = rows(plan, &alias, conditions);

    let mut columns = readers(plan.table, plan.columns.iter().copied());
    if plan.is_whole() {
        // Rendering all columns is most of the work: done once for a table.
        let list = plan.table.column_list(|| column_list(plan.table, &alias));
        if !list.is_empty() {
            query.expr(Expr::Custom(list.to_owned().into()));
        }
    } else {
        query.exprs(expressions(plan.table, &alias, plan.columns.iter().copied()));
    }
    if plan.with_version {
        query.expr(version(plan.table, &alias));
        columns.push(Output::value("_version", Decoder::plain_text()));
    }
    let (related, nested) = conditions.includes(&plan.includes, &alias);
    query.exprs(related);
    columns.extend(nested);
    if plan.keyset {
        for sort in &plan.order {
            let owner = sort.hop.as_ref().map_or(plan.table, |hop| hop.table);
            let decoder = match sort.measured {
                Measured::Value => owner.decoder(sort.position),
                _ => Decoder::double(),
            };
            let key = conditions.cursor_key(sort, &alias);
            query.expr(if decoder.as_text() { key.cast_as("text") } else { key });
            columns.push(Output::value(&sort.column.name, decoder));
        }
    }
    if columns.is_empty() {
        query.expr(constant(true));
    }

    conditions.sort(&mut query, &plan.order, &alias);
    match &plan.start {
        Start::Offset(0) => {}
        Start::Offset(offset) => {
            query.offset(*offset);
        }
        Start::After(values) => {
            let beyond = after(&plan.order, values, &alias, conditions);
            query.and_where(beyond);
        }
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
    let (text, _) = build(&all);
    text.strip_prefix("SELECT ").unwrap_or_default().to_owned()
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
            explain.build(PostgresQueryBuilder)
        }
    };
    let output = Output::value("count", Decoder::plain_text());
    Some(conditions.parameters.finish(built, vec![output]))
}

/// The rows that meet the plan's filter, wherever the page is.
fn rows(plan: &SelectPlan<'_>, alias: &DynIden, conditions: &mut Conditions) -> SelectStatement {
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

/// Rows that come after the one with these sort keys.
fn after(
    order: &[Sort<'_>],
    values: &[Option<String>],
    alias: &DynIden,
    conditions: &mut Conditions,
) -> Expr {
    let keys: Vec<(Expr, &Sort<'_>, &Option<String>)> = order
        .iter()
        .zip(values)
        .map(|(sort, value)| (conditions.cursor_key(sort, alias), sort, value))
        .collect();
    let mut operand = |sort: &Sort<'_>, value: &Option<String>| {
        let parameter = conditions.parameters.add(&Operand::text(value.clone(), ""));
        match sort.measured {
            Measured::Value => typed(parameter, &sort.column.data_type, ""),
            _ => parameter,
        }
    };
    let missing = |key: Expr, sort: &Sort<'_>, wanted: bool| match sort.measured {
        Measured::Value => null(key, &sort.column.data_type, wanted),
        _ if wanted => key.is_null(),
        _ => key.is_not_null(),
    };

    // One comparison of rows is what an index can seek by; it needs one direction and no nulls.
    let never_null = order.iter().all(|sort| !sort.nullable);
    let descending = order.first().is_some_and(|sort| sort.descending);
    if never_null && order.iter().all(|sort| sort.descending == descending) {
        let (left, right): (Vec<Expr>, Vec<Expr>) =
            keys.into_iter().map(|(key, sort, value)| (key, operand(sort, value))).unzip();
        let (left, right) = match <[Expr; 1]>::try_from(left) {
            Ok([left]) => (left, right.into_iter().next().unwrap_or_else(|| constant(false))),
            Err(left) => (Expr::tuple(left), Expr::tuple(right)),
        };
        return if descending { left.lt(right) } else { left.gt(right) };
    }

    // Else: beyond in the first key, or equal there and beyond in the second, and so on.
    let mut any: Option<Expr> = None;
    for (index, (key, sort, value)) in keys.iter().enumerate() {
        let beyond = match (value, sort.nulls_last) {
            (None, true) => continue,
            (None, false) => missing(key.clone(), sort, false),
            (Some(_), nulls_last) => {
                let right = operand(sort, value);
                let key = key.clone();
                let beyond =
                    if sort.descending { key.clone().lt(right) } else { key.clone().gt(right) };
                match nulls_last && sort.nullable {
                    true => beyond.or(missing(key, sort, true)),
                    false => beyond,
                }
            }
        };
        let mut all = beyond;
        for (key, sort, value) in keys.iter().take(index) {
            let same = match value {
                None => missing(key.clone(), sort, true),
                Some(_) => key.clone().eq(operand(sort, value)),
            };
            all = all.and(same);
        }
        any = Some(match any {
            None => all,
            Some(any) => any.or(all),
        });
    }
    let any = any.unwrap_or_else(|| constant(false));
    // Said once more of the first key alone, it is what an index can seek by.
    match keys.into_iter().next() {
        Some((key, sort, value @ Some(_)))
            if !(sort.nullable && sort.nulls_last) && matches!(sort.measured, Measured::Value) =>
        {
            let right = operand(sort, value);
            let bound = if sort.descending { key.lte(right) } else { key.gte(right) };
            bound.and(any)
        }
        _ => any,
    }
}
