//! SELECT: the page, the count of all rows, and the planner's estimate of it.

use std::sync::Arc;

use sea_query::{
    DynIden, ExplainFormat, ExplainStatement, Expr, ExprTrait, Func, IntoIden, Query,
    SelectStatement,
};

use super::include::{decoder, included, order_by, shown};
use super::parameters::{build, build_explain};
use super::predicate::{Conditions, constant};
use super::{Output, Reader, SUBJECT, Statement, aliased, as_shown, local, seek, version};
use crate::plan::{SelectPlan, Shape, Shown, Sort, SortKey, Start};
use crate::policy::{TableView, Text, Texts};
use crate::request::Count;
use crate::value::Decoder;

/// The greatest offset whose statement is worth preparing. Each offset has its own text.
const OFFSET_RECURRING: u64 = 100;

/// The statement that reads a page and one row more, which shows whether there is another page.
///
/// Its rows contain the plan's columns, the version if requested, the included relations, and the sort keys that a
/// cursor needs and that are not among the columns.
///
/// The text is made once for all plans of the same shape, if they are likely to recur.
pub fn select<'v>(plan: &'v SelectPlan<'v>, texts: &Texts) -> Statement<'v> {
    let outputs = outputs(plan);
    // Every page has its own offset. The first pages are requested often, those far down rarely.
    let recurring = plan.start.skipped() <= OFFSET_RECURRING;
    let shape = Shape::of(plan);
    if let Some(text) = texts.get(&shape.key) {
        let operands = text.operands.iter().filter_map(|position| shape.operands.get(*position));
        let parameters = operands.map(|operand| (*operand).clone()).collect();
        return Statement {
            sql: Arc::clone(&text.sql),
            parameters,
            outputs,
            recurring,
            named: false,
        };
    }
    let mut conditions = Conditions::default();
    let text = build(&page(plan, &mut conditions));
    let operands = conditions.parameters.among(&text, &shape.operands);
    let statement = Statement { recurring, ..conditions.parameters.finish(text, outputs) };
    if let Some(operands) = operands.filter(|_| recurring) {
        texts.keep(shape.key, Text { sql: Arc::clone(&statement.sql), operands });
    }
    statement
}

/// The statement that explains how PostgreSQL would read the page. Its rows are lines of EXPLAIN's JSON.
pub fn explain<'v>(plan: &'v SelectPlan<'v>, analyze: bool) -> Statement<'v> {
    let mut conditions = Conditions::default();
    let query = page(plan, &mut conditions);
    // VERBOSE adds the tables' schemas.
    let explain = ExplainStatement::new().format(ExplainFormat::Json).verbose(true);
    let explain = explain.statement(query);
    let explain = if analyze { explain.analyze() } else { explain };
    let lines = vec![Output::value("plan", Decoder::plain_text())];
    conditions.parameters.finish(build_explain(&explain), lines)
}

/// How the rows of a page are decoded.
fn outputs<'v>(plan: &'v SelectPlan<'v>) -> Vec<Output<'v>> {
    let mut outputs: Vec<Output<'v>> = shown(plan.table, &plan.columns).collect();
    for (output, shown) in outputs.iter_mut().zip(&plan.columns) {
        if local::zone(plan, shown).is_some() {
            output.reader = Reader::Local;
        }
    }
    if plan.with_version {
        outputs.push(Output::value("_version", Decoder::plain_text()));
    }
    outputs.extend(included(&plan.includes));
    let keys = cursor_keys(plan);
    outputs.extend(keys.map(|sort| Output::value(key_name(&sort.key), key_decoder(plan, sort))));
    outputs
}

/// The sort keys that a cursor needs and that are not among the columns.
fn cursor_keys<'p, 'v>(plan: &'p SelectPlan<'v>) -> impl Iterator<Item = &'p Sort<'v>> {
    plan.order.iter().filter(|sort| plan.keyset && plan.shows(sort).is_none())
}

/// The position in the select list of a computed sort key that is returned, or of a total. ORDER BY refers to it, so
/// that it is evaluated once.
fn place(plan: &SelectPlan<'_>, sort: &Sort<'_>) -> Option<u64> {
    let SortKey::Computed(of) = &sort.key else { return None };
    if let Some(shown) = plan.shows(sort) {
        return Some(shown as u64 + 1);
    }
    if of.totals().is_empty() || key_decoder(plan, sort).as_text() {
        return None;
    }
    let after = cursor_keys(plan).skip_while(|key| !std::ptr::eq(*key, sort)).count();
    (after > 0).then(|| (outputs(plan).len() - after + 1) as u64)
}

/// The name of a sort key, for the error about a row that is too large.
fn key_name<'v>(key: &'v SortKey<'v>) -> &'v str {
    let computed = match key {
        SortKey::Computed(of) => of.columns().first().copied(),
        _ => None,
    };
    key.reached().or(computed).map_or("", |of| &of.column.name)
}

fn key_decoder<'v>(plan: &SelectPlan<'v>, sort: &'v Sort<'v>) -> &'v Decoder {
    match &sort.key {
        _ if sort.is_kept_as_text() => Decoder::plain_text(),
        SortKey::Value(of) => {
            let whole = || of.owner(plan.table).decoder(of.position);
            of.column.decoder().unwrap_or_else(whole)
        }
        SortKey::Computed(of) => decoder(plan.table, of),
        SortKey::Rank(..) | SortKey::Distance(..) | SortKey::Place => Decoder::double(),
    }
}

/// The statement of a page; [`outputs`] decodes its rows.
fn page(plan: &SelectPlan<'_>, conditions: &mut Conditions) -> SelectStatement {
    let alias = SUBJECT.into_iden();
    conditions.single = plan.single;
    let mut query = match &plan.start {
        Start::After(after) => seek::after(plan, after, &alias, conditions),
        Start::Offset(_) => rows(plan, &alias, conditions),
    };

    if plan.is_whole() {
        // Rendering all columns is most of the work, so it is done once for each table.
        let list = plan.table.column_list(|| column_list(plan.table, &alias));
        if !list.is_empty() {
            query.expr(Expr::Custom(list.to_owned().into()));
        }
    } else {
        let expressions = conditions.shown(plan.table, &plan.columns, &alias);
        for (expression, shown) in expressions.into_iter().zip(&plan.columns) {
            if let (Some(zone), Shown::Column(position)) = (local::zone(plan, shown), shown) {
                let name = plan.table.table.columns[*position].identifier();
                query.exprs(local::beside(&mut conditions.parameters, &alias, name, zone));
            } else {
                query.expr(expression);
            }
        }
    }
    if plan.with_version {
        query.expr(version(plan.table, &alias));
    }
    query.exprs(conditions.includes(&plan.includes, &alias));
    for sort in cursor_keys(plan) {
        let key = conditions.cursor_key(sort, &alias);
        let text = sort.is_kept_as_text() || key_decoder(plan, sort).as_text();
        query.expr(if text { key.cast_as("text") } else { key });
    }
    if outputs(plan).is_empty() {
        query.expr(constant(true));
    }

    for sort in &plan.order {
        let key = match place(plan, sort) {
            Some(place) => Expr::Constant(place.into()),
            None => conditions.sort_key(sort, &alias),
        };
        order_by(&mut query, sort, key);
    }
    if let offset @ 1.. = plan.start.skipped() {
        query.offset(offset);
    }
    conditions.close(plan, &mut query, &alias);
    if !plan.single {
        query.limit(plan.limit.saturating_add(1));
    }
    query
}

impl Conditions {
    /// Adds to a query with all its expressions what these need: joins, and checks of values.
    fn close(&mut self, plan: &SelectPlan<'_>, query: &mut SelectStatement, alias: &DynIden) {
        self.narrow_totals(plan.table, &plan.filter, alias);
        self.join(query, alias);
        for guard in self.guarded() {
            query.and_where(guard);
        }
    }
}

/// The readable columns as the text of a select list.
fn column_list(table: &TableView, alias: &DynIden) -> String {
    let mut all = Query::select();
    all.exprs(as_shown(table, alias, table.readable_columns()));
    build(&all).sql.strip_prefix("SELECT ").unwrap_or_default().to_owned()
}

/// The statement that counts all rows of the query, not only the page's; or the EXPLAIN that returns the planner's
/// estimate as lines of JSON.
pub fn counting<'v>(plan: &SelectPlan<'v>) -> Option<Statement<'v>> {
    if plan.count == Count::None {
        return None;
    }
    let mut conditions = Conditions::default();
    let alias = SUBJECT.into_iden();
    let mut query = rows(plan, &alias, &mut conditions);
    conditions.close(plan, &mut query, &alias);
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

/// The rows that meet the plan's filter, on every page. Joins are to be added.
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
    let filter =
        conditions.before_joins(alias, |conditions| conditions.filter(&plan.filter, alias));
    query.and_where_option(filter);
    query
}
