//! Groups and measures: together they are a derived table.

use std::sync::{Arc, OnceLock};

use serde_json::{Map, Value};

use super::combined::Combined;
use super::element::{self, Unnested};
use super::measure::{Function, Measure, measure};
use crate::error::{Code, Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::cut::{Cut, text};
use crate::plan::expression::operation;
use crate::plan::grammar::{EACH, PART, TIME_ZONE};
use crate::plan::label::{label, named};
use crate::plan::{
    Arithmetic, Computed, Expression, Node, Reached, RowFilter, Scope, Shown, Sort, SortKey,
};
use crate::policy::{Action, Marks, TableView};
use crate::request::{Aggregate, Select, check_members};
use crate::schema::{Column, DataType};

/// Groups of rows, and their measures.
#[derive(Debug, Clone)]
pub struct Grouping<'v> {
    /// The table.
    pub table: &'v TableView,
    /// The condition that its rows must meet.
    pub filter: RowFilter<'v>,
    /// The groups: values that the rows of a group share.
    pub groups: Vec<Group<'v>>,
    /// The measures of each group.
    pub measures: Vec<Measure<'v>>,
    /// What is computed from groups and measures, which are columns of the table that they are.
    pub computed: Vec<Computed<'v>>,
}

/// What the rows of a group share.
#[derive(Debug, Clone)]
pub struct Group<'v> {
    /// Its name in the reply.
    pub name: String,
    /// The value that is the same in all of them, or whose `cut` is.
    pub of: Expression<'v>,
    /// The part of a point in time that is the same, if not all of it.
    pub cut: Option<Cut>,
    /// What makes several groups of one row.
    pub each: Option<Unnested>,
}

impl<'v> Group<'v> {
    /// A group by the whole of a value.
    fn whole(name: String, of: Expression<'v>) -> Self {
        Self { name, of, cut: None, each: None }
    }

    /// Whether both are of the rows that the same relation leads to.
    fn is_of_the_rows_of(&self, other: &Self) -> bool {
        let ways = [self, other].map(|group| match (&group.each, group.of.column()) {
            (Some(Unnested::Rows { before }), Some(of)) => {
                let way = of.hops.iter().take(before + 1);
                Some(way.map(|hop| &hop.relation.unambiguous).collect::<Vec<_>>())
            }
            _ => None,
        });
        ways[0].is_some() && ways[0] == ways[1]
    }

    fn data_type(&self) -> Arc<DataType> {
        let of = self.of.data_type();
        match (&self.cut, &self.each) {
            (Some(cut), _) => cut.data_type(&of),
            (None, Some(Unnested::Elements(element))) => Arc::clone(element),
            (None, Some(Unnested::Rows { .. }) | None) => of,
        }
    }
}

impl<'v> Grouping<'v> {
    /// The groups and measures of an aggregate, and the table that they are, which `derived` keeps.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub fn new(
        scope: &Scope<'v>,
        request: &Aggregate,
        derived: &'v OnceLock<Box<TableView>>,
    ) -> Result<(Self, &'v TableView)> {
        let table = scope.table(&request.table, Action::Select)?;
        let filter = scope.row_filter(table, request.filter.as_ref(), request.archived)?;
        scope.few(request.group_by.as_ref().map_or(0, Vec::len), "groups", "/group_by")?;
        scope.few(request.measures.len(), "measures", "/measures")?;
        let groups = request.group_by.iter().flatten().enumerate().map(|(index, item)| {
            let at = below("/group_by", &index.to_string());
            match item.as_object().filter(|object| operation::members(object).is_some()) {
                Some(object) => computed(scope, table, object, &at),
                None => group(scope, table, item, &at).map_err(|error| error.inside(&at)),
            }
        });
        let groups: Vec<Group<'v>> = groups.collect::<Result<_>>()?;
        unnested_once(&groups)?;
        let (combined, measures) = Combined::apart(&request.measures);
        let measures = measures.map(|(name, item)| measure(scope, table, name, item));
        let measures: Vec<Measure<'v>> = measures.collect::<Result<_>>()?;
        if request.measures.is_empty() {
            return Err(Error::new(Code::MissingValue, "there is nothing to measure")
                .at("/measures")
                .hint("{\"n\": {\"count\": \"*\"}}"));
        }
        for (index, group) in groups.iter().enumerate() {
            let twice = groups[..index].iter().any(|known| known.name == group.name);
            if twice || request.measures.contains_key(&group.name) {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("two columns of the reply are called {:?}", group.name),
                )
                .at(format!("/group_by/{index}"))
                .hint("{\"column\": …, \"as\": \"another name\"}"));
            }
        }
        let mut grouping = Self { table, filter, groups, measures, computed: Vec::new() };
        let combined = combined.in_order(&grouping)?;
        let derived = derived.get_or_init(|| Box::new(grouping.derived_with(combined.columns())));
        grouping.computed = combined.expressions(scope, &grouping, derived)?;
        Ok((grouping, derived))
    }

    /// The different combinations of a select's columns: groups of which nothing is measured.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub(in crate::plan) fn distinct(scope: &Scope<'v>, request: &Select) -> Result<Self> {
        let table = scope.table(&request.table, Action::Select)?;
        let filter = scope.row_filter(table, request.filter.as_ref(), request.archived)?;
        let shown = scope.shown(table, request.columns.as_deref(), "/columns")?;
        if shown.is_empty() {
            return Err(
                Error::new(Code::MissingValue, "distinct rows need a column").at("/columns")
            );
        }
        let groups = shown.into_iter().map(|shown| {
            let position = match shown {
                Shown::Computed(computed) => {
                    if let Some(of) = computed.of.column().filter(|of| of.member.is_none()) {
                        told_apart(&of.column)?;
                    }
                    return Ok(Group::whole(computed.name, computed.of));
                }
                Shown::Column(position) => position,
                Shown::Related { name, of } => {
                    // Masked and encrypted ones, which can be shown, cannot be told apart.
                    let of = scope.reach(table, &of.path(table))?;
                    told_apart(&of.column)?;
                    return Ok(Group::whole(name, Expression::Column(of)));
                }
            };
            let column = &table.table.columns[position];
            table.usable(&column.name)?;
            told_apart(column)?;
            let of = Reached { hops: Vec::new(), column: column.into(), position, member: None };
            let of = Expression::Column(of);
            Ok(Group::whole(column.name.clone(), of))
        });
        let groups = groups.collect::<Result<_>>();
        let groups = groups.map_err(|error: Error| error.inside("/columns"))?;
        Ok(Self { table, filter, groups, measures: Vec::new(), computed: Vec::new() })
    }

    /// Whether the order of groups depends on the current time: what they are groups of, or a measure that the order
    /// names, with the rows that it is measured of.
    pub(in crate::plan) fn moves(&self, order: &[Sort<'v>]) -> bool {
        let beyond = |of: &Reached<'_>| of.position >= self.groups.len();
        let measured = |sort: &Sort<'_>| match &sort.key {
            SortKey::Computed(of) => of.columns().into_iter().any(beyond),
            key => key.reached().is_some_and(beyond),
        };
        match order.iter().any(measured) {
            true => Node::Grouping(self).moves(),
            false => self.groups.iter().any(|group| group.of.moves()),
        }
    }

    /// What the group or measure of this name is taken of.
    pub(in crate::plan) fn made_from(&self, name: &str) -> Option<&Expression<'v>> {
        let group = self.groups.iter().find(|group| group.name == name).map(|group| &group.of);
        let measure = || self.measures.iter().find(|measure| measure.name == name)?.of.as_ref();
        group.or_else(measure)
    }

    /// The table that the groups and measures are.
    pub fn derived(&self) -> TableView {
        self.derived_with(std::iter::empty())
    }

    /// The same with further columns.
    fn derived_with(
        &self,
        further: impl Iterator<Item = (String, Arc<DataType>, Marks)>,
    ) -> TableView {
        let all = self.columns().chain(further);
        TableView::derived(self.table, all, self.groups.len())
    }

    /// Names, types and marks of the groups and measures.
    pub(super) fn columns(&self) -> impl Iterator<Item = (String, Arc<DataType>, Marks)> {
        let groups = self
            .groups
            .iter()
            .map(|group| (group.name.clone(), group.data_type(), group.of.marks(self.table)));
        let measures = self.measures.iter().map(|measure| {
            // Of one row, a total and a mean are its value.
            let shown = match (measure.function, &measure.of) {
                (Function::Count | Function::CountDistinct, _) | (_, None) => Marks::default(),
                (_, Some(of)) => of.marks(self.table),
            };
            (measure.name.clone(), Arc::clone(&measure.data_type), shown)
        });
        groups.chain(measures)
    }
}

/// Refuses groups that make several of a row in more than one way: rows would multiply, of lists of thousands into
/// billions.
fn unnested_once(groups: &[Group<'_>]) -> Result<()> {
    let mut unnested = groups.iter().enumerate().filter(|(_, group)| group.each.is_some());
    let Some((_, first)) = unnested.next() else { return Ok(()) };
    match unnested.find(|(_, group)| !group.is_of_the_rows_of(first)) {
        None => Ok(()),
        Some((index, _)) => {
            let message = "each can be used for the elements of one list, or for columns of one relation only";
            Err(Error::new(Code::InvalidValue, message).at(format!("/group_by/{index}/each")))
        }
    }
}

/// Refuses a column whose values have no `=`.
fn told_apart(column: &Column) -> Result<()> {
    if column.data_type.equality {
        return Ok(());
    }
    let (name, type_name) = (&column.name, &column.type_name);
    let message = format!("{name} is {type_name}, whose values cannot be compared");
    Err(Error::new(Code::InvalidValue, message))
}

/// `{"subtract": ["shipped_at", "created_at"], "as": "days"}`.
fn computed<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    object: &Map<String, Value>,
    at: &str,
) -> Result<Group<'v>> {
    let of = scope.arithmetic(table, object, at)?;
    Ok(Group::whole(label(object, at)?, of))
}

fn group<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    item: &Value,
    place: &str,
) -> Result<Group<'v>> {
    const MEMBERS: [&str; 7] = ["column", "path", "bucket", PART, TIME_ZONE, EACH, "as"];
    let wrong = |message: &str| {
        Error::new(Code::InvalidValue, message).hint(
            "\"status\", or {\"column\": \"created_at\", \"bucket\": \"month\", \"as\": \"month\"}",
        )
    };
    let (name, options) = match item {
        Value::String(name) => (name.as_str(), &Map::new()),
        Value::Object(options) => {
            check_members(options, MEMBERS.into_iter(), "a group has no member")
                .map_err(|error| advice::or_computed(options, &MEMBERS, error))
                .map_err(|error| element::not_asked(options, error))?;
            let name = options.get("column").and_then(Value::as_str);
            (name.ok_or_else(|| wrong("a group needs a column").at("/column"))?, options)
        }
        _ => return Err(wrong("a group is a column's name or an object")),
    };
    let at = if item.is_object() { "/column" } else { "" };
    let reached = match element::is_asked(options)? {
        true => scope.reach_each(table, name),
        false => scope.reach(table, name),
    };
    let reached =
        reached.map_err(|error| advice::not_a_group(scope, table, name, error.inside(at)))?;
    let path = options.get("path").filter(|path| !path.is_null());
    let mut of = match path {
        Some(path) => reached.at_path(scope, path, "/path")?,
        None => reached,
    };
    if let Some(member) = &mut of.member {
        member.move_inside(place);
    }
    let each = element::asked(options, &of, table)?;
    if of.member.is_none() && !matches!(each, Some(Unnested::Elements(_))) {
        told_apart(&of.column).map_err(|error| error.inside(at))?;
    }
    let called = named(name, path);
    let width = scope.width(options, &of, &called, place)?;
    let cut = match width {
        Some(_) => None,
        None => Cut::asked(scope, options, &of, &called, place)?,
    };
    let name = text(options, "as")?.map_or(called, str::to_owned);
    let of = Expression::Column(of);
    let of = match width {
        Some(width) => {
            Expression::Computed(Arithmetic::Bucket, vec![of, Expression::Number(width)])
        }
        None => of,
    };
    Ok(Group { name, of, cut, each })
}
