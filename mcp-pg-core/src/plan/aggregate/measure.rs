//! Measures: aggregate functions over the rows of a group.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::share::SHARE;
use crate::error::{Code, Error, Result, below, step};
use crate::plan::advice;
use crate::plan::grammar::has;
use crate::plan::{Expression, Operand, Predicate, Reached, Scope};
use crate::policy::TableView;
use crate::schema::{DataType, Family, Kind, oid};

/// A measure of a group.
#[derive(Debug, Clone)]
pub struct Measure<'v> {
    /// Its name in the reply.
    pub name: String,
    /// How it is computed.
    pub function: Function,
    /// The fraction, for a percentile.
    pub fraction: Option<Operand>,
    /// The measured value; whole rows if absent.
    pub of: Option<Expression<'v>>,
    /// The type of the measure.
    pub data_type: Arc<DataType>,
    /// The condition on the rows that count.
    pub filter: Predicate<'v>,
}

impl Measure<'_> {
    /// Whether it is the number of all rows of a group.
    pub(crate) fn counts_all(&self) -> bool {
        self.function == Function::Count && self.of.is_none() && !self.filter.restricts()
    }
}

/// An aggregate function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Function {
    /// The number of values.
    Count,
    /// The number of different values.
    CountDistinct,
    /// The sum.
    Sum,
    /// The mean.
    Avg,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The standard deviation of a sample.
    Stddev,
    /// The variance of a sample.
    Variance,
    /// A percentile, interpolated between values.
    Percentile,
}

/// The percentile of which every request has the fraction in its name.
const MEDIAN: &str = "median";

impl Function {
    const ALL: [(&'static str, Function); 10] = [
        ("count", Function::Count),
        ("count_distinct", Function::CountDistinct),
        ("sum", Function::Sum),
        ("avg", Function::Avg),
        ("min", Function::Min),
        ("max", Function::Max),
        ("stddev", Function::Stddev),
        ("variance", Function::Variance),
        (MEDIAN, Function::Percentile),
        ("percentile", Function::Percentile),
    ];

    /// Whether only numbers among the members of JSON are measured so.
    pub(crate) fn is_of_numbers(self) -> bool {
        !matches!(self, Function::Count | Function::CountDistinct)
    }

    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.into_iter().map(|(name, _)| name)
    }

    /// The type of the measure, if the value can be measured so. Members of JSON count as far as they are numbers, where
    /// numbers are wanted.
    fn of(self, value: &Expression<'_>) -> Option<Arc<DataType>> {
        match value.column() {
            Some(reached) if reached.member.is_some() && self.is_of_numbers() => {
                self.of_type(DataType::numeric())
            }
            _ => self.of_type(&value.data_type()),
        }
    }

    /// What is measured, and the type of the measure.
    fn measured<'v>(
        self,
        scope: &Scope<'v>,
        table: &'v TableView,
        of: &Value,
        spelling: &str,
        at: &str,
    ) -> Result<(Expression<'v>, Arc<DataType>)> {
        let wrong = |message: String| {
            Error::new(Code::InvalidValue, message).at(at).allowed(measurable(table, self))
        };
        if *of == "*" {
            return Err(wrong(format!("{spelling} takes one column"))
                .hint("{\"count\": \"*\"} counts rows"));
        }
        let of = scope
            .expression(table, of, at)
            .map_err(|error| advice::of_many(scope, table, (spelling, of), error))?;
        if let Some(data_type) = self.of(&of) {
            return Ok((of, data_type));
        }
        let what = of.column().map_or_else(String::new, |Reached { column, .. }| {
            format!(" to {} ({})", column.name, column.type_name)
        });
        let error = wrong(format!("{spelling} does not apply{what}"));
        Err(advice::not_measured(spelling, &of, error))
    }

    /// The type of the measure, if values of this type can be measured so.
    fn of_type(self, data_type: &Arc<DataType>) -> Option<Arc<DataType>> {
        const SMALL: [u32; 2] = [oid::SMALLINT, oid::INTEGER];
        let base = data_type.shared_base();
        let built_in = |data_type: &Arc<DataType>| Some(Arc::clone(data_type));
        let number = base.is_number();
        match self {
            Function::Count => built_in(DataType::bigint()),
            // It sorts; types such as xid can only be hashed.
            Function::CountDistinct => data_type.ordering.then(|| Arc::clone(DataType::bigint())),
            Function::Sum if SMALL.contains(&base.oid) => built_in(DataType::bigint()),
            Function::Sum | Function::Avg if base.oid == oid::BIGINT => {
                built_in(DataType::numeric())
            }
            Function::Avg if SMALL.contains(&base.oid) => built_in(DataType::numeric()),
            Function::Avg if base.oid == oid::REAL => built_in(DataType::double()),
            // Times of day are taken for how long after midnight they are.
            Function::Sum | Function::Avg if base.oid == oid::TIME => {
                built_in(DataType::interval())
            }
            // Numbers beyond those, money and intervals keep their type.
            Function::Sum if number || base.oid == oid::MONEY || base.is_interval() => Some(base),
            Function::Avg if number || base.is_interval() => Some(base),
            Function::Sum | Function::Avg => None,
            Function::Stddev | Function::Variance if base.is_float() => {
                built_in(DataType::double())
            }
            Function::Stddev | Function::Variance => {
                number.then(|| Arc::clone(DataType::numeric()))
            }
            Function::Percentile if number => built_in(DataType::double()),
            Function::Percentile => base.is_interval().then_some(base),
            Function::Min | Function::Max => {
                let other = matches!(
                    base.oid,
                    oid::OID | oid::TID | oid::MONEY | oid::INET | oid::INTERVAL | oid::PG_LSN
                );
                let made = matches!(base.kind, Kind::Enum(_) | Kind::Array { .. }) && base.ordering;
                match base.oid {
                    _ if base.ends_in_text() => built_in(DataType::text()),
                    // Nor has cidr: those of inet are.
                    oid::CIDR => built_in(DataType::inet()),
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

/// What a measure may have beside its function.
const BESIDE: [&str; 2] = ["where", "fraction"];

/// The measure of this name that `item` asks for.
pub(super) fn measure<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    name: &str,
    item: &Value,
) -> Result<Measure<'v>> {
    let at = || below("/measures", name);
    let empty = Map::new();
    let options = item.as_object().unwrap_or(&empty);
    let functions: Vec<_> =
        Function::ALL.into_iter().filter(|(name, _)| has(options, name)).collect();
    let unknown = options.keys().find(|key| {
        !BESIDE.contains(&key.as_str()) && !Function::names().any(|name| name == key.as_str())
    });
    if let Some(unknown) = unknown {
        let functions: Vec<&str> = Function::names().collect();
        return Err(advice::unknown_measure(unknown, &functions).at(at() + &step(unknown)));
    }
    let [(spelling, function)] = functions.as_slice() else {
        return Err(Error::new(Code::InvalidValue, "a measure is one function of one column")
            .at(at())
            .hint(match Function::names().chain([SHARE]).any(|function| function == name) {
                true => format!("a measure has a name first: {{\"n\": {{{name:?}: {item}}}}}"),
                false => "{\"sum\": \"amount\"}, or {\"count\": \"*\", \"where\": {…}}".to_owned(),
            })
            .allowed(Function::names()));
    };
    let (of, data_type) = match options.get(*spelling).unwrap_or(&Value::Null) {
        Value::String(all) if all == "*" && *function == Function::Count => {
            (None, Arc::clone(DataType::bigint()))
        }
        of => {
            let (of, data_type) =
                function.measured(scope, table, of, spelling, &below(&at(), spelling))?;
            (Some(of), data_type)
        }
    };
    let (filter, _) = scope.condition_of(table, options, &at())?;
    let fraction = fraction(scope, spelling, *function, options.get("fraction"), &at())?;
    let (name, function) = (name.to_owned(), *function);
    Ok(Measure { name, function, fraction, of, data_type, filter })
}

/// What part of all values lies below the measure, for a percentile.
fn fraction(
    scope: &Scope<'_>,
    spelling: &str,
    function: Function,
    given: Option<&Value>,
    at: &str,
) -> Result<Option<Operand>> {
    let at = below(at, "fraction");
    let wrong = |code, message: String| {
        let error = Error::new(code, message).at(&at);
        error.hint("{\"percentile\": \"amount\", \"fraction\": 0.9}")
    };
    let given = given.filter(|given| !given.is_null());
    let fraction = match (function, given) {
        (Function::Percentile, None) if spelling == MEDIAN => 0.5,
        (Function::Percentile, given) if spelling != MEDIAN => {
            let wanted = "a percentile needs a fraction, a number from 0 to 1".to_owned();
            let Some(given) = given else { return Err(wrong(Code::MissingValue, wanted)) };
            let within = given.as_f64().filter(|fraction| (0.0..=1.0).contains(fraction));
            within.ok_or_else(|| wrong(Code::InvalidValue, wanted))?
        }
        (_, None) => return Ok(None),
        (_, Some(_)) => {
            return Err(wrong(Code::UnknownArgument, format!("{spelling} has no fraction")));
        }
    };
    Ok(Some(scope.text(fraction.to_string(), at)))
}

/// The columns of the table that can be measured so.
fn measurable(table: &TableView, function: Function) -> impl Iterator<Item = &str> {
    table.names_of(move |column| function.of_type(&column.data_type).is_some())
}
