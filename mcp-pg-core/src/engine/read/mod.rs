//! Requests that read.

mod explain;
mod hint;
mod indexable;

use std::sync::OnceLock;

use serde_json::Value;

use crate::engine::record::Record;
use crate::engine::{Engine, identity, notes, rows};
use crate::error::{Code, Error, Result, step};
use crate::execute::{Fetched, Keep, Place, TooLarge, refusal};
use crate::plan::{Cursor, Query, Scope, SelectPlan, Start};
use crate::policy::View;
use crate::reply::RowSet;
use crate::request::{Aggregate, Count, Select};
use crate::statement::{self, Statement};

/// The most bytes of a cursor that holds sort keys. A reply can exceed its limit by little more than this.
const CURSOR_MOST: usize = 4096;

impl Engine {
    pub(in crate::engine) async fn select(
        &self,
        scope: &Scope<'_>,
        request: &Select,
        record: &mut Record<'_>,
    ) -> Result<RowSet> {
        let derived = OnceLock::new();
        let plan = SelectPlan::new(scope, request, &self.cursors, &derived)?;
        self.read(scope, &plan, record).await
    }

    pub(in crate::engine) async fn aggregate(
        &self,
        scope: &Scope<'_>,
        request: &Aggregate,
        record: &mut Record<'_>,
    ) -> Result<RowSet> {
        let derived = OnceLock::new();
        let plan = SelectPlan::aggregate(scope, request, &self.cursors, &derived)?;
        self.read(scope, &plan, record).await
    }

    async fn read(
        &self,
        scope: &Scope<'_>,
        plan: &SelectPlan<'_>,
        record: &mut Record<'_>,
    ) -> Result<RowSet> {
        let page = statement::select(plan, scope.view.texts());
        let counting = statement::counting(plan);
        // The page comes last, because it may be given up.
        let statements: Vec<&Statement<'_>> = counting.iter().chain([&page]).collect();
        let mut fetched = self.fetch(scope, plan, &statements, record).await?;
        let mut set = self.page(scope, plan, &page, fetched.pop().unwrap_or_default())?;
        set.label_untrusted(plan.marked(|marks| marks.untrusted));
        if let Some(counted) = fetched.first() {
            add_count(&mut set, plan, counted);
        }
        record.rows(set.row_count);
        record.sensitive(|| plan.sensitive());
        Ok(set)
    }

    /// Runs the statements of a plan that only reads, in one snapshot.
    pub(in crate::engine) async fn fetch(
        &self,
        scope: &Scope<'_>,
        plan: &SelectPlan<'_>,
        statements: &[&Statement<'_>],
        record: &mut Record<'_>,
    ) -> Result<Vec<Fetched>> {
        for statement in statements {
            record.statement(&statement.sql);
        }
        let fetched = self.database.read(identity(scope), statements, keep(scope, plan)).await;
        fetched.map_err(|(index, failure)| {
            let place = Place {
                view: scope.view,
                table: plan.table,
                values: None,
                written: None,
                given: None,
                updated: &[],
                parameters: &statements[index].parameters,
            };
            slow(scope.view, plan, refusal(failure, &place))
        })
    }

    /// The reply, from the result of [`statement::select`].
    pub(in crate::engine) fn page(
        &self,
        scope: &Scope<'_>,
        plan: &SelectPlan<'_>,
        statement: &Statement<'_>,
        fetched: Fetched,
    ) -> Result<RowSet> {
        let Fetched { mut rows, count, cut, too_large, .. } = fetched;
        if let (Some(row), true) = (too_large, rows.is_empty()) {
            return Err(no_room(scope, plan, statement, row));
        }
        let limit = usize::try_from(plan.limit).unwrap_or(usize::MAX);
        rows.truncate(limit);
        let more = count > rows.len() as u64;
        let width = plan.columns.len() + usize::from(plan.with_version) + plan.includes.len();
        let next = match rows.last() {
            Some(last) if more => Some(self.cursor(scope, plan, last, width, rows.len())?),
            _ => None,
        };
        let first = width - plan.includes.len();
        let mut notes = notes::of_page(plan, &rows, first, more);
        notes.extend(next.as_ref().and_then(|next| next.note.map(str::to_owned)));
        notes.extend(notes::cut_include(plan, &rows, first, &cut));
        let row_count = rows.len() as u64;
        let outputs = statement.outputs.get(..width).unwrap_or_default();
        let names = match plan.is_whole() && width == plan.columns.len() {
            true => plan.table.column_names(),
            false => rows::names(outputs),
        };
        let (columns, rows, text) = rows::shape(names, outputs, rows, &cut, plan.format);
        Ok(RowSet {
            table: plan.table.name().to_string(),
            columns,
            rows,
            text,
            row_count,
            truncated: more && limit > 0,
            next_cursor: next.map(|next| next.cursor),
            notes,
            ..RowSet::default()
        })
    }

    fn cursor(
        &self,
        scope: &Scope<'_>,
        plan: &SelectPlan<'_>,
        last: &[Value],
        width: usize,
        rows: usize,
    ) -> Result<Next> {
        let binding = plan.binding(scope)?;
        let mut note = None;
        if plan.keyset {
            let mut further = last.iter().skip(width);
            let key = |sort| match plan.shows(sort) {
                Some(shown) => last.get(shown),
                None => further.next(),
            };
            let keys = plan.order.iter().map_while(key).cloned().collect();
            let cursor = self.cursors.seal(&Cursor::Key(keys), &binding)?;
            if cursor.len() <= CURSOR_MOST {
                return Ok(Next { cursor, note });
            }
            note = Some(
                "the last row's sort keys are too long for a cursor: the next page is counted by offset, and shifts when rows are added, removed or changed",
            );
        }
        let cursor = self.cursors.seal(&plan.start.further(rows as u64), &binding)?;
        Ok(Next { cursor, note })
    }
}

/// The error of a read, which says what index is missing if it took too long for want of one: trying again would not help.
pub(in crate::engine) fn slow(view: &View, plan: &SelectPlan<'_>, error: Error) -> Error {
    // query_canceled: by statement_timeout, not lock_timeout.
    if error.code() != Code::Timeout || error.get_sqlstate() != Some("57014") {
        return error;
    }
    match hint::unindexed(view, &indexable::columns(plan)).join(", ") {
        lacks if lacks.is_empty() => error,
        lacks => error
            .hint(format!(
                "{lacks}: the whole table is read; ask for fewer rows, by their key, or for an index"
            ))
            .retryable(false),
    }
}

/// The error if not even the first row fits into a reply, at the part that takes most of it.
fn no_room(
    scope: &Scope<'_>,
    plan: &SelectPlan<'_>,
    statement: &Statement<'_>,
    row: TooLarge,
) -> Error {
    let most = scope.view.limits.max_reply_bytes;
    let message = format!("one row has {} bytes, and a reply may have at most {most}", row.bytes);
    let error = Error::exceeded("max_reply_bytes", message);
    let includes = plan.columns.len() + usize::from(plan.with_version);
    let include = row.largest.checked_sub(includes).and_then(|index| plan.includes.get(index));
    match (include, statement.outputs.get(row.largest)) {
        (Some(include), _) => error
            .at(format!("/include{}", step(include.name)))
            .hint(format!("use a smaller limit or fewer columns for {}", include.name)),
        (None, _) if matches!(plan.query, Query::Aggregate(_)) => {
            error.at("/group_by").hint("group by shorter values")
        }
        (None, Some(output)) => error
            .at("/columns")
            .hint(format!("choose columns without the large ones: most of it is {}", output.name)),
        (None, None) => error.at("/columns").hint("choose columns without the large ones"),
    }
}

/// The cursor of the next page, and a note about it.
struct Next {
    cursor: String,
    note: Option<&'static str>,
}

/// Keeps one row more than the page, which shows whether there is another page.
pub(in crate::engine) fn keep(scope: &Scope<'_>, plan: &SelectPlan<'_>) -> Keep {
    Keep::new(plan.limit.saturating_add(1), scope.view.limits.max_reply_bytes)
}

/// Adds the result of [`statement::counting`].
pub(in crate::engine) fn add_count(set: &mut RowSet, plan: &SelectPlan<'_>, counted: &Fetched) {
    if plan.count == Count::Estimated {
        let before = match plan.start {
            Start::Offset(offset) if set.row_count > 0 || offset == 0 => Some(offset),
            _ => None,
        };
        let shown = before.unwrap_or_default().saturating_add(set.row_count);
        set.count = match before {
            // The page contains the last row, so the count is exact.
            Some(_) if !set.truncated && plan.limit > 0 => Some(shown),
            _ => estimate(counted).map(|rows| rows.max(shown)),
        };
        set.count_estimated = Some(true);
    } else {
        set.count = number(counted);
    }
}

/// The only value of a result, as a number.
pub(in crate::engine) fn number(fetched: &Fetched) -> Option<u64> {
    fetched.rows.first()?.first()?.as_str()?.parse().ok()
}

/// The number of rows that the planner expects, from EXPLAIN's JSON.
fn estimate(fetched: &Fetched) -> Option<u64> {
    let plan: Value = serde_json::from_str(&joined_lines(fetched)).ok()?;
    plan.pointer("/0/Plan/Plan Rows")?.as_u64()
}

/// A text that was returned one line per row.
pub(in crate::engine) fn joined_lines(fetched: &Fetched) -> String {
    let lines = fetched.rows.iter().filter_map(|row| row.first()?.as_str());
    lines.collect::<Vec<_>>().join("\n")
}
