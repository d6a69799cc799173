//! The plan of a select or aggregate.

use std::sync::OnceLock;

use serde::Serialize;
use serde_json::{Map, Value};

use super::cursor::{Sorted, SortedMembers, binding};
use crate::error::{Code, Error, Result};
use crate::plan::grammar::VERSION;
use crate::plan::order::sort::make_total;
use crate::plan::{
    Comparison, CursorKey, Grouping, Include, Node, Predicate, RowFilter, Scope, Shown, Sort,
    SortKey, Start, filter,
};
use crate::policy::{Action, TableView};
use crate::request::{Aggregate, Archived, Count, Format, Select};
use crate::schema::TableKind;

/// Rows to read.
#[derive(Debug, Clone)]
pub struct SelectPlan<'v> {
    /// The table.
    pub table: &'v TableView,
    /// For an aggregate: the groups and measures, which are the rows of the derived table.
    pub grouping: Option<Box<Grouping<'v>>>,
    /// The returned values of each row.
    pub columns: Vec<Shown<'v>>,
    /// The included relations.
    pub includes: Vec<Include<'v>>,
    /// The condition on rows, without that of the page.
    pub filter: RowFilter<'v>,
    /// The sort keys. They end with a key of the table, so that the order is total, or else with what distinguishes
    /// rows best.
    pub order: Vec<Sort<'v>>,
    /// Whether the order is total. Pages then begin after a row, otherwise at an offset.
    pub keyset: bool,
    /// Whether the filter gives the values of a key, so that there is at most one row. The order is then empty.
    pub single: bool,
    /// Where the page begins.
    pub start: Start,
    /// The most rows to return.
    pub limit: u64,
    /// Whether to add `_version`.
    pub with_version: bool,
    /// Whether and how to count all rows that meet the filter.
    pub count: Count,
    /// The format of the rows.
    pub format: Format,
    /// The request, to which its cursors are bound.
    pub query: Query<'v>,
}

/// The request, without the page.
#[derive(Debug, Clone, Copy)]
pub enum Query<'v> {
    /// Rows.
    Select(&'v Select),
    /// Groups of rows.
    Aggregate(&'v Aggregate),
}

impl<'v> SelectPlan<'v> {
    /// Whether it returns all readable columns in the table's order.
    pub(crate) fn is_whole(&self) -> bool {
        let all = self.table.readable_columns();
        self.grouping.is_none()
            && self.columns.len() == all.clone().count()
            && self.columns.iter().zip(all).all(|(shown, position)| shown.is(position))
    }

    /// The table whose rows are read, and the condition on them. For an aggregate, these are the rows that are
    /// grouped.
    pub fn source(&self) -> (&'v TableView, &RowFilter<'v>) {
        match &self.grouping {
            Some(grouping) => (grouping.table, &grouping.filter),
            None => (self.table, &self.filter),
        }
    }

    /// Whether its order depends on the current time.
    pub(crate) fn moves(&self) -> bool {
        let grouped = self.grouping.as_ref().is_some_and(|grouping| grouping.moves(&self.order));
        grouped || self.order.iter().any(|sort| Node::Sort(sort).moves())
    }

    /// Whether its rows are empty objects, although the table has readable columns.
    pub(crate) fn shows_nothing(&self) -> bool {
        let nothing = self.columns.is_empty() && self.includes.is_empty() && !self.with_version;
        nothing && self.table.readable_columns().next().is_some()
    }

    /// The plan of a select. `derived` keeps the derived table of distinct rows alive, which only this plan uses.
    ///
    /// # Errors
    ///
    /// Errors in the request, with their place.
    pub fn new(
        scope: &Scope<'v>,
        request: &'v Select,
        cursors: &CursorKey,
        derived: &'v OnceLock<Box<TableView>>,
    ) -> Result<Self> {
        let scope = &scope.among(request.archived);
        if request.distinct == Some(true) {
            return Self::distinct(scope, request, cursors, derived);
        }
        let table = scope.table(&request.table, Action::Select)?;
        let columns = scope.shown(table, request.columns.as_deref(), "/columns")?;
        let names: Vec<&str> = columns.iter().map(|shown| shown.name(table)).collect();
        let filter = scope.row_filter(table, request.filter.as_ref(), request.archived)?;
        let with_version = request.with_version.unwrap_or_default();
        let plan = Self::of(scope, table, filter, &columns, Query::Select(request))?;
        if with_version && !has_version(table) {
            return Err(Error::new(
                Code::InvalidValue,
                format!("rows of {} have no version", table.name()),
            )
            .at("/with_version"));
        }
        if with_version && names.contains(&VERSION) {
            let message = format!("rows of {} have a column _version of their own", table.name());
            return Err(Error::new(Code::InvalidValue, message)
                .at("/with_version")
                .hint("leave that column out of columns"));
        }
        let plan = plan.page(scope, cursors)?;
        let plan = Self {
            includes: scope.includes(table, &names, request.include.as_ref())?,
            columns,
            with_version,
            count: scope.count(request.count, table, &plan.filter),
            format: request.format.unwrap_or_default(),
            ..plan
        };
        plan.few_joins(scope)
    }

    /// The plan of a select of distinct rows, which is an aggregate without measures.
    fn distinct(
        scope: &Scope<'v>,
        request: &'v Select,
        cursors: &CursorKey,
        derived: &'v OnceLock<Box<TableView>>,
    ) -> Result<Self> {
        let refuse = |at: &str| {
            let message =
                "a distinct row stands for several rows, and has no such thing of its own";
            Err(Error::new(Code::InvalidValue, message)
                .at(at)
                .hint("aggregate with group_by counts them"))
        };
        if request.include.as_ref().is_some_and(|include| !include.is_empty()) {
            return refuse("/include");
        }
        if request.with_version == Some(true) {
            return refuse("/with_version");
        }
        let grouping = Grouping::distinct(scope, request)?;
        let derived = derived.get_or_init(|| Box::new(grouping.derived()));
        let all = RowFilter::of_caller(Predicate::always());
        let plan = Self::of(scope, derived, all, &[], Query::Select(request))?;
        let format = request.format.unwrap_or_default();
        Self { format, ..plan }.grouped(scope, grouping, request.count, cursors)
    }

    /// The plan of an aggregate, which is a select from the derived table of its groups. `derived` keeps that table
    /// alive.
    ///
    /// # Errors
    ///
    /// Errors in the request, with their place.
    pub fn aggregate(
        scope: &Scope<'v>,
        request: &'v Aggregate,
        cursors: &CursorKey,
        derived: &'v OnceLock<Box<TableView>>,
    ) -> Result<Self> {
        let scope = &scope.among(request.archived);
        let (grouping, derived) = Grouping::new(scope, request, derived)?;
        let having = match &request.having {
            Some(object) => filter(scope, derived, object, "/having")?,
            None => Predicate::always(),
        };
        let having = RowFilter::of_caller(having);
        let plan = Self::of(scope, derived, having, &[], Query::Aggregate(request))?;
        plan.grouped(scope, grouping, request.count, cursors)
    }

    /// The plan of groups, which are the rows of the derived table.
    fn grouped(
        self,
        scope: &Scope<'v>,
        grouping: Grouping<'v>,
        count: Option<Count>,
        cursors: &CursorKey,
    ) -> Result<Self> {
        let keyset = self.keyset && !grouping.moves(&self.order);
        let plan = Self { keyset, ..self }.page(scope, cursors)?;
        let plan = Self {
            columns: plan.table.readable_columns().map(Shown::Column).collect(),
            count: scope.count(count, grouping.table, &grouping.filter),
            grouping: Some(Box::new(grouping)),
            ..plan
        };
        plan.few_joins(scope)
    }

    /// The plan of a table's rows that meet a condition, with an order that may refer to `shown` values; as yet without columns.
    fn of(
        scope: &Scope<'v>,
        table: &'v TableView,
        filter: RowFilter<'v>,
        shown: &[Shown<'v>],
        query: Query<'v>,
    ) -> Result<Self> {
        let order_by = match query {
            Query::Select(Select { order_by, .. })
            | Query::Aggregate(Aggregate { order_by, .. }) => order_by.as_deref(),
        };
        let mut order = scope.order(table, order_by, shown, "/order_by")?;
        let single = filter.is_single(table);
        if single {
            order.clear();
        }
        // A group's values identify it; a single row of totals needs no key.
        let hidden = table.found_by_hidden || Node::Filter(table, &filter).is_found_by_hidden();
        let keyset = !single && make_total(table, hidden, &mut order);
        // A sort key that depends on the time has changed when the next page is read.
        let keyset = keyset && !order.iter().any(|sort| Node::Sort(sort).moves());
        Ok(Self {
            table,
            grouping: None,
            columns: Vec::new(),
            includes: Vec::new(),
            filter,
            order,
            keyset,
            single,
            start: Start::Offset(0),
            limit: scope.view.limits.max_rows,
            with_version: false,
            count: Count::None,
            format: Format::Json,
            query,
        })
    }

    /// Adds the requested page.
    fn page(self, scope: &Scope<'v>, cursors: &CursorKey) -> Result<Self> {
        let (limit, offset, cursor) = match self.query {
            Query::Select(Select { limit, offset, cursor, .. })
            | Query::Aggregate(Aggregate { limit, offset, cursor, .. }) => (limit, offset, cursor),
        };
        // Some clients fill in every argument; an empty cursor means none.
        let start = match cursor.as_ref().filter(|cursor| !cursor.is_empty()) {
            None => Start::offset(*offset)?,
            Some(_) if offset.is_some_and(|offset| offset > 0) => {
                return Err(Error::new(Code::InvalidValue, "a cursor says where the page begins")
                    .at("/offset")
                    .hint("leave out offset, or cursor"));
            }
            Some(cursor) => {
                let cursor = cursors.open(cursor, &self.binding(scope)?)?;
                Start::at(cursor, &self.order, self.keyset)?
            }
        };
        let limits = &scope.view.limits;
        let limit = limit.unwrap_or(limits.default_rows).min(limits.max_rows);
        Ok(Self { start, limit, ..self })
    }

    /// The index of the returned value that a cursor can use for this sort key.
    pub fn shows(&self, sort: &Sort<'_>) -> Option<usize> {
        if let SortKey::Computed(_) = sort.key {
            return sort.shown;
        }
        let position = sort.key.own_column().filter(|_| !sort.is_kept_as_text())?;
        let name = &self.table.table.columns[position].name;
        let open = self.table.mask(position).is_none() && self.table.sealed(name).is_none();
        self.columns.iter().position(|shown| shown.is(position)).filter(|_| open)
    }

    /// The data to which its cursors are bound.
    ///
    /// # Errors
    ///
    /// `internal` if the request has no JSON form.
    pub fn binding(&self, scope: &Scope<'_>) -> Result<Vec<u8>> {
        match self.query {
            Query::Select(Select { filter, order_by, archived, columns, distinct, .. }) => {
                let query = asked_for(self.table, filter, order_by, *archived);
                match (distinct, sorted_by(columns, order_by)) {
                    (Some(true), _) => binding(scope, &(query, ("distinct", sorted(columns)))),
                    (_, labelled) if labelled.is_empty() => binding(scope, &query),
                    (_, labelled) => binding(scope, &(query, ("columns", labelled))),
                }
            }
            Query::Aggregate(request) => {
                let Aggregate { filter, order_by, archived, .. } = request;
                let Aggregate { measures, group_by, having, .. } = request;
                let query = asked_for(self.table, filter, order_by, *archived);
                let having = having.as_ref().map(SortedMembers);
                binding(scope, &(query, (SortedMembers(measures), sorted(group_by), having)))
            }
        }
    }
}

/// The part of a request to which a cursor is bound. Absent and empty arguments are the same, as are the names of a
/// table.
fn asked_for<'r>(
    table: &'r TableView,
    filter: &'r Option<Map<String, Value>>,
    order_by: &'r Option<Vec<Value>>,
    archived: Option<Archived>,
) -> impl Serialize + 'r {
    let filter = filter.as_ref().filter(|filter| !filter.is_empty()).map(SortedMembers);
    let order_by = sorted(order_by).filter(|order_by| !order_by.is_empty());
    let name = table.name();
    ((&name.schema, &name.name), filter, order_by, archived.unwrap_or_default())
}

fn sorted(items: &Option<Vec<Value>>) -> Option<Vec<Sorted<'_>>> {
    items.as_ref().map(|items| items.iter().map(Sorted).collect())
}

/// The returned values that the order refers to by name and that are not whole columns.
fn sorted_by<'r>(
    columns: &'r Option<Vec<Value>>,
    order_by: &Option<Vec<Value>>,
) -> Vec<Sorted<'r>> {
    let by = |name: &str| {
        order_by.iter().flatten().any(|key| match key {
            Value::String(text) => text.strip_prefix('-').unwrap_or(text) == name || text == name,
            key => key["column"] == name,
        })
    };
    let labelled = |item: &&Value| {
        item.as_object().and_then(crate::plan::label::given_name).is_some_and(|name| by(&name))
    };
    columns.iter().flatten().filter(labelled).map(Sorted).collect()
}

/// Whether rows of the table have a version: a version column, or the system column `xmin`.
pub(in crate::plan) fn has_version(table: &TableView) -> bool {
    table.told_version().is_some() || table.table.has_system_columns()
}

impl<'v> Scope<'v> {
    /// The condition of a read.
    pub(in crate::plan) fn row_filter(
        &self,
        table: &'v TableView,
        condition: Option<&Map<String, Value>>,
        archived: Option<Archived>,
    ) -> Result<RowFilter<'v>> {
        let caller = match condition {
            Some(object) => filter(self, table, object, "/where")?,
            None => Predicate::always(),
        };
        let archive = self.archived(table, archived.unwrap_or_default())?;
        Ok(RowFilter { caller, archive, role: vec![self.visible(table, Action::Select)?] })
    }

    /// The condition for the request's `archived` argument.
    ///
    /// # Errors
    ///
    /// `not_archivable` if archived rows are requested of a table without an archive column.
    pub fn archived(&self, table: &'v TableView, archived: Archived) -> Result<Predicate<'v>> {
        let null = |null| match &table.archive {
            Some(column) => {
                let comparison = Comparison::Null(null);
                Predicate::Test { column: column.into(), path: None, comparison }
            }
            None => Predicate::always(),
        };
        match archived {
            Archived::Include => Ok(Predicate::always()),
            Archived::Exclude => Ok(null(true)),
            Archived::Only if table.archive.is_some() => Ok(null(false)),
            Archived::Only => Err(Error::new(
                Code::NotArchivable,
                format!("{} has no archive column, so none of its rows is archived", table.name()),
            )
            .at("/archived")),
        }
    }

    /// How rows are counted. The planner's estimate is about all rows, so if some are hidden, perhaps by a view, the
    /// others are counted exactly.
    fn count(&self, wanted: Option<Count>, table: &TableView, filter: &RowFilter<'_>) -> Count {
        let reaches_view = || Node::Filter(table, filter).reaches_view();
        let views = || table.table.kind == TableKind::View || reaches_view();
        match wanted.unwrap_or_default() {
            Count::Estimated if self.view.hides_rows() || views() => Count::Exact,
            count => count,
        }
    }
}
