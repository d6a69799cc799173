//! Totals: groups and measures, which together are a table that only this query has.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Operand, Predicate, Reached, Scope, filter};
use crate::error::{Code, Error, Result, step};
use crate::policy::{Action, Marks, TableView};
use crate::request::{Aggregate, Select, check_members};
use crate::schema::{Column, DataType, Family, Kind};

/// Rows gathered into groups, and what is measured of each.
#[derive(Debug, Clone)]
pub struct Grouping<'v> {
    /// The table.
    pub table: &'v TableView,
    /// What its rows must meet.
    pub filter: Predicate<'v>,
    /// What the rows of a group share.
    pub groups: Vec<Group<'v>>,
    /// What is measured of each group.
    pub measures: Vec<Measure<'v>>,
}

/// What the rows of a group share.
#[derive(Debug, Clone)]
pub struct Group<'v> {
    /// Its name in the reply.
    pub name: String,
    /// Of what.
    pub of: Reached<'v>,
    /// How much of a point in time, and in which time zone.
    pub bucket: Option<(&'static str, Option<Operand>)>,
}

/// What is measured of a group.
#[derive(Debug, Clone)]
pub struct Measure<'v> {
    /// Its name in the reply.
    pub name: String,
    /// How.
    pub function: Function,
    /// Of what; of whole rows if absent.
    pub of: Option<Reached<'v>>,
    /// The type of the measure.
    pub data_type: Arc<DataType>,
    /// Of which rows of the group.
    pub filter: Predicate<'v>,
}

/// How a measure is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// How many.
    Count,
    /// How many different ones.
    CountDistinct,
    /// Their total.
    Sum,
    /// Their mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
}

impl Function {
    const ALL: [(&'static str, Function); 6] = [
        ("count", Function::Count),
        ("count_distinct", Function::CountDistinct),
        ("sum", Function::Sum),
        ("avg", Function::Avg),
        ("min", Function::Min),
        ("max", Function::Max),
    ];

    /// Whether only numbers among the members of JSON are measured so.
    pub fn is_of_numbers(self) -> bool {
        !matches!(self, Function::Count | Function::CountDistinct)
    }

    fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(name, _)| name)
    }

    /// The type of the measure, if what is reached can be measured so. Members of JSON count as far as they are
    /// numbers, where numbers are wanted.
    fn of(self, reached: &Reached<'_>) -> Option<Arc<DataType>> {
        match reached.member {
            Some(_) if self.is_of_numbers() => Some(Arc::new(DataType::numeric())),
            Some(_) => Some(Arc::new(DataType::bigint())),
            None => self.of_type(&reached.column.data_type),
        }
    }

    /// The type of the measure, if values of this type can be measured so.
    fn of_type(self, data_type: &Arc<DataType>) -> Option<Arc<DataType>> {
        const SMALL: [u32; 2] = [21, 23];
        let base = data_type.shared_base();
        let built_in = |data_type: DataType| Some(Arc::new(data_type));
        let number = base.is_number();
        match self {
            Function::Count => built_in(DataType::bigint()),
            // It sorts; types such as xid can only be hashed.
            Function::CountDistinct => data_type.ordering.then(|| Arc::new(DataType::bigint())),
            Function::Sum if SMALL.contains(&base.oid) => built_in(DataType::bigint()),
            Function::Sum | Function::Avg if base.oid == 20 => built_in(DataType::numeric()),
            Function::Avg if SMALL.contains(&base.oid) => built_in(DataType::numeric()),
            Function::Avg if base.oid == 700 => built_in(DataType::double()),
            // Numbers beyond those, money and intervals keep their type.
            Function::Sum if number || matches!(base.oid, 790 | 1186) => Some(base),
            Function::Avg if number || base.oid == 1186 => Some(base),
            Function::Sum | Function::Avg => None,
            Function::Min | Function::Max => {
                let other = matches!(base.oid, 26 | 790 | 869 | 1186 | 3220);
                let made = matches!(base.kind, Kind::Enum(_) | Kind::Array { .. }) && base.ordering;
                match base.oid {
                    // varchar, name and "char" have no aggregates of their own: those of text are taken.
                    18 | 19 | 1043 => built_in(DataType::text()),
                    _ => (number
                        || base.is_moment()
                        || other
                        || made
                        || base.family() == Family::Text)
                        .then_some(base),
                }
            }
        }
    }
}

/// What a point in time can be cut to.
const BUCKETS: [&str; 8] = ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

impl<'v> Grouping<'v> {
    /// The groups and measures of an aggregate.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub fn new(scope: &Scope<'v>, request: &Aggregate) -> Result<Self> {
        let table = scope.table(&request.table, Action::Select)?;
        let filter = scope.asked(table, request.filter.as_ref(), request.archived)?;
        scope.few(request.group_by.as_ref().map_or(0, Vec::len), "groups", "/group_by")?;
        scope.few(request.measures.len(), "measures", "/measures")?;
        let groups = request.group_by.iter().flatten().enumerate().map(|(index, item)| {
            let at = format!("/group_by/{index}");
            group(scope, table, item, &at).map_err(|error| error.inside(&at))
        });
        let groups: Vec<Group<'v>> = groups.collect::<Result<_>>()?;
        let measures =
            request.measures.iter().map(|(name, item)| measure(scope, table, name, item));
        let measures: Vec<Measure<'v>> = measures.collect::<Result<_>>()?;
        if measures.is_empty() {
            return Err(Error::new(Code::MissingValue, "there is nothing to measure")
                .at("/measures")
                .hint("{\"n\": {\"count\": \"*\"}}"));
        }
        for (index, group) in groups.iter().enumerate() {
            let twice = groups[..index].iter().any(|known| known.name == group.name);
            if twice || measures.iter().any(|measure| measure.name == group.name) {
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("two columns of the reply are called {:?}", group.name),
                )
                .at(format!("/group_by/{index}"))
                .hint("{\"column\": …, \"as\": \"another name\"}"));
            }
        }
        Ok(Self { table, filter, groups, measures })
    }

    /// The different combinations of a select's columns: groups of which nothing is measured.
    ///
    /// # Errors
    ///
    /// Whatever is wrong with the request, with its place.
    pub(super) fn distinct(scope: &Scope<'v>, request: &Select) -> Result<Self> {
        let table = scope.table(&request.table, Action::Select)?;
        let filter = scope.asked(table, request.filter.as_ref(), request.archived)?;
        let positions = scope.columns(table, request.columns.as_deref(), "/columns")?;
        if positions.is_empty() {
            return Err(
                Error::new(Code::MissingValue, "distinct rows need a column").at("/columns")
            );
        }
        let groups = positions.into_iter().map(|position| {
            let column = &table.table.columns[position];
            table.usable(&column.name)?;
            told_apart(column)?;
            let of = Reached { hops: Vec::new(), column, position, member: None };
            Ok(Group { name: column.name.clone(), of, bucket: None })
        });
        let groups = groups.collect::<Result<_>>();
        let groups = groups.map_err(|error: Error| error.inside("/columns"))?;
        Ok(Self { table, filter, groups, measures: Vec::new() })
    }

    /// The table that the groups and measures are.
    pub fn derived(&self) -> TableView {
        let groups = self.groups.iter().map(|group| {
            let data_type = match &group.bucket {
                Some(_) => group.of.column.data_type.shared_base(),
                None => group.of.data_type(),
            };
            (group.name.clone(), data_type, marks(self.table, &group.of))
        });
        let measures = self.measures.iter().map(|measure| {
            let shown = match (measure.function, &measure.of) {
                (Function::Min | Function::Max, Some(of)) => marks(self.table, of),
                _ => Marks::default(),
            };
            (measure.name.clone(), Arc::clone(&measure.data_type), shown)
        });
        TableView::derived(self.table, groups.chain(measures), self.groups.len())
    }
}

/// Refuses a column whose values have no `=`.
fn told_apart(column: &Column) -> Result<()> {
    if column.data_type.equality {
        return Ok(());
    }
    let (name, type_name) = (&column.name, &column.type_name);
    let message = format!("{name} is {type_name}, whose values cannot be told apart");
    Err(Error::new(Code::InvalidValue, message))
}

/// The marks of a column that a group or measure shows values of.
fn marks(table: &TableView, of: &Reached<'_>) -> Marks {
    of.hops.last().map_or(table, |hop| hop.table).marks(of.position)
}

fn group<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    item: &Value,
    place: &str,
) -> Result<Group<'v>> {
    const MEMBERS: [&str; 5] = ["column", "path", "bucket", "time_zone", "as"];
    let wrong = |message: &str| {
        Error::new(Code::InvalidValue, message).hint(
            "\"status\", or {\"column\": \"created_at\", \"bucket\": \"month\", \"as\": \"month\"}",
        )
    };
    let (name, options) = match item {
        Value::String(name) => (name.as_str(), None),
        Value::Object(options) => {
            check_members(options, MEMBERS.into_iter(), "a group has no member")?;
            let name = options.get("column").and_then(Value::as_str);
            (name.ok_or_else(|| wrong("a group needs a column").at("/column"))?, Some(options))
        }
        _ => return Err(wrong("a group is a column's name or an object")),
    };
    let at = if options.is_some() { "/column" } else { "" };
    let reached = scope.reach(table, name).map_err(|error| {
        super::advice::not_a_group(scope, table, name, &BUCKETS, error.inside(at))
    })?;
    let path = options.and_then(|options| options.get("path")).filter(|path| !path.is_null());
    let mut of = match path {
        Some(path) => reached.at_path(scope, path, "/path")?,
        None => reached,
    };
    if let Some(member) = &mut of.member {
        member.at.insert_str(0, place);
    }
    let column = of.column;
    if of.member.is_none() {
        told_apart(column).map_err(|error| error.inside(at))?;
    }
    let text = |member: &str| match options.and_then(|options| options.get(member)) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if !text.contains('\0') => Ok(Some(text.as_str())),
        Some(_) => Err(wrong(&format!("{member} is a text")).at(step(member))),
    };
    let bucket = match text("bucket")? {
        None => None,
        Some(_) if !of.data_type().has_day() => {
            let type_name = if path.is_some() { "jsonb" } else { &column.type_name };
            return Err(Error::new(
                Code::InvalidValue,
                format!("{} is {type_name}, not a point in time", named(name, path)),
            )
            .at("/bucket"));
        }
        Some(wanted) => Some(known_bucket(wanted).map_err(|error| error.at("/bucket"))?),
    };
    let zone = text("time_zone")?;
    if zone.is_some() && (bucket.is_none() || column.data_type.base().oid != 1184) {
        return Err(
            wrong("a time zone goes with a bucket of a timestamp with time zone").at("/time_zone")
        );
    }
    Ok(Group {
        name: text("as")?.map_or_else(|| named(name, path), str::to_owned),
        of,
        bucket: bucket.map(|bucket| {
            let at = format!("{place}/time_zone");
            (bucket, zone.map(|zone| Operand::text(Some(zone.to_owned()), at)))
        }),
    })
}

fn known_bucket(wanted: &str) -> Result<&'static str> {
    BUCKETS.into_iter().find(|bucket| *bucket == wanted).ok_or_else(|| {
        Error::new(Code::InvalidValue, format!("there is no bucket {wanted:?}"))
            .nearest(wanted, BUCKETS)
            .allowed(BUCKETS)
    })
}

/// What a group is called unless it says: its column, and the path into that.
fn named(column: &str, path: Option<&Value>) -> String {
    let steps = path.and_then(Value::as_array).into_iter().flatten();
    steps.fold(column.to_owned(), |name, step| match step {
        Value::String(step) => format!("{name}.{step}"),
        step => format!("{name}.{step}"),
    })
}

fn measure<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    name: &str,
    item: &Value,
) -> Result<Measure<'v>> {
    let at = || format!("/measures{}", step(name));
    let empty = Map::new();
    let options = item.as_object().unwrap_or(&empty);
    let functions: Vec<_> =
        Function::ALL.into_iter().filter(|(f, _)| options.contains_key(*f)).collect();
    let unknown = options
        .keys()
        .find(|key| *key != "where" && !Function::names().any(|function| function == key.as_str()));
    if let Some(unknown) = unknown {
        let functions: Vec<&str> = Function::names().collect();
        return Err(super::advice::unknown_measure(unknown, &functions).at(at() + &step(unknown)));
    }
    let [(spelling, function)] = functions.as_slice() else {
        return Err(Error::new(Code::InvalidValue, "a measure is one function of one column")
            .at(at())
            .hint(match Function::names().any(|function| function == name) {
                true => format!("a measure has a name first: {{\"n\": {{{name:?}: {item}}}}}"),
                false => "{\"sum\": \"amount\"}, or {\"count\": \"*\", \"where\": {…}}".to_owned(),
            })
            .allowed(Function::names()));
    };
    let inside = || format!("{}/{spelling}", at());
    let (of, data_type) = match options.get(*spelling) {
        Some(Value::String(all)) if all == "*" && *function == Function::Count => {
            (None, Arc::new(DataType::bigint()))
        }
        Some(Value::String(all)) if all == "*" => {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{spelling} is taken of one column"),
            )
            .at(inside())
            .allowed(measurable(table, *function))
            .hint("{\"count\": \"*\"} counts rows"));
        }
        of => {
            let of = measured(scope, table, of, &inside())?;
            let Some(data_type) = function.of(&of) else {
                let column = of.column;
                return Err(Error::new(
                    Code::InvalidValue,
                    format!("{spelling} does not apply to {} ({})", column.name, column.type_name),
                )
                .at(inside())
                .allowed(measurable(table, *function)));
            };
            (Some(of), data_type)
        }
    };
    let asked = match options.get("where") {
        None | Some(Value::Null) => Predicate::All(vec![]),
        Some(Value::Object(object)) => filter(scope, table, object, &(at() + "/where"))?,
        Some(_) => {
            return Err(
                Error::new(Code::InvalidValue, "where is a condition object").at(at() + "/where")
            );
        }
    };
    Ok(Measure { name: name.to_owned(), function: *function, of, data_type, filter: asked })
}

/// What a measure is taken of: a column, or `{"column": …, "path": […]}` for a member of its JSON.
fn measured<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    of: Option<&Value>,
    at: &str,
) -> Result<Reached<'v>> {
    const MEMBERS: [&str; 2] = ["column", "path"];
    let wanted = || {
        Error::new(Code::InvalidValue, "a column's name is wanted")
            .hint("{\"count\": \"*\"}, {\"sum\": \"amount\"} or {\"sum\": {\"column\": \"details\", \"path\": [\"price\"]}}")
    };
    let reach = |name: &str, at: &str| {
        scope.reach(table, name).map_err(|error| scope.not_reached(table, name, error.inside(at)))
    };
    match of {
        Some(Value::String(name)) => reach(name, at),
        Some(Value::Object(object)) => {
            check_members(object, MEMBERS.into_iter(), "what is measured has no member")
                .map_err(|error| error.inside(at))?;
            let at_column = format!("{at}/column");
            let Some(name) = object.get("column").and_then(Value::as_str) else {
                return Err(wanted().at(at_column));
            };
            let reached = reach(name, &at_column)?;
            match object.get("path").filter(|path| !path.is_null()) {
                Some(path) => reached.at_path(scope, path, &format!("{at}/path")),
                None => Ok(reached),
            }
        }
        _ => Err(wanted().at(at)),
    }
}

/// The columns of the table that can be measured so.
fn measurable(table: &TableView, function: Function) -> impl Iterator<Item = &str> {
    let columns = table.table.columns.iter();
    let fit = columns
        .filter(move |column| column.can_select && function.of_type(&column.data_type).is_some());
    fit.map(|column| column.name.as_str())
}
