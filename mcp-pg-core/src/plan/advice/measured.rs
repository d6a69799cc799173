//! Advice for mistaken measures and groups.

use serde_json::{Value, json};

use super::function::instead;
use crate::error::{Code, Error};
use crate::plan::grammar::{BUCKETS, each_element, each_of_rows, part_meant};
use crate::plan::{Expression, Scope};
use crate::policy::TableView;
use crate::schema::DataType;

/// The error for a member of a measure that is not a function.
pub(in crate::plan) fn unknown_measure(name: &str, functions: &[&str]) -> Error {
    let error = Error::new(Code::UnknownOperator, format!("there is no measure {name:?}"))
        .allowed(functions.iter().copied());
    match name.to_ascii_lowercase().as_str() {
        "average" | "mean" => error.did_you_mean("avg"),
        "total" => error.did_you_mean("sum"),
        "maximum" => error.did_you_mean("max"),
        "minimum" => error.did_you_mean("min"),
        "stddev_samp" | "standard_deviation" | "std" | "sd" => error.did_you_mean("stddev"),
        "var" | "var_samp" => error.did_you_mean("variance"),
        "distinct" | "unique" => error.did_you_mean("count_distinct"),
        "percentile_cont" | "percentile_disc" | "quantile" => {
            error.did_you_mean("percentile").hint("{\"percentile\": \"amount\", \"fraction\": 0.9}")
        }
        "array_agg" | "string_agg" | "json_agg" | "jsonb_agg" | "group_concat" | "listagg" | "collect" | "values" | "names" => {
            error.hint("\"group_by\": [\"name\"] gives each value a row; select reads them all")
        }
        "bool_or" | "any" | "some" | "bool_and" | "every" | "all" => error.hint(
            "{\"count\": \"*\", \"where\": {\"done\": true}} is more than 0 where it holds once; with false, 0 where it always does",
        ),
        "percent" | "percentage" | "percent_of_total" | "ratio" | "ratio_to_report" | "proportion" => {
            error.hint("of all groups: {\"revenue\": {\"sum\": \"amount\"}, \"part\": {\"share\": \"revenue\"}}")
        }
        "filter" | "condition" => error.did_you_mean("where"),
        "as" | "name" | "alias" | "label" => {
            error.hint("its name is the key of a measure: {\"total\": {\"sum\": \"amount\"}}")
        }
        "fn" | "func" | "function" | "op" | "operation" | "type" | "agg" | "aggregate"
        | "column" | "field" | "of" => {
            error.hint("the function is the key, the column its value: {\"sum\": \"amount\"}")
        }
        name => match instead(name) {
            Some(hint) => error.hint(hint),
            None => error.nearest(name, functions.iter().copied()),
        },
    }
}

/// The error for a value of many related rows, of which there is a total first.
pub(in crate::plan) fn of_many<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    (function, of): (&str, &Value),
    error: Error,
) -> Error {
    let total = json!({function: of});
    // The one error of a value that a total of the same name would be.
    let many = error.code() == Code::InvalidValue && of.is_string();
    if !many || scope.expression(table, &total, "").is_err() {
        return error;
    }
    error.hint(format!(
        "a total of them is one value of each row, to be measured: {{{function:?}: {total}}}"
    ))
}

/// The error for a value that the function cannot measure. For booleans, the advice is to count rows.
pub(in crate::plan) fn not_measured(function: &str, of: &Expression<'_>, error: Error) -> Error {
    match of.column() {
        Some(reached)
            if reached.hops.is_empty()
                && reached.data_type().base().oid == DataType::boolean().oid =>
        {
            let name = &reached.column.name;
            let holds = format!("{{\"count\": \"*\", \"where\": {{{name:?}: true}}}}");
            error.hint(match function {
                "avg" => format!(
                    "the share is a measure of two: {{\"yes\": {holds}, \"n\": {{\"count\": {name:?}}}, \"share\": \
                     {{\"divide\": [\"yes\", \"n\"]}}}}"
                ),
                _ => format!("{holds} counts the rows where it holds"),
            })
        }
        _ => error,
    }
}

/// The error for a group that is not a column, perhaps because it is a function of one.
pub(in crate::plan) fn not_a_group<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    name: &str,
    error: Error,
) -> Error {
    let mut words =
        name.split(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | '.'));
    let lower = name.to_ascii_lowercase();
    let extracted = lower.starts_with("extract") || lower.starts_with("date_part");
    let bucket = words.clone().find(|word| BUCKETS.contains(&word.to_ascii_lowercase().as_str()));
    let part = words.clone().find_map(part_meant);
    let readable = |word: &&str| table.column(word).is_some();
    let column = words.find(readable).filter(|column| *column != name);
    let bucket = bucket.filter(|bucket| *bucket != name).map(str::to_ascii_lowercase);
    if let (Some(column), true) =
        (column, ["unnest", "array_elements"].iter().any(|word| lower.contains(word)))
    {
        return error.hint(each_element(column));
    }
    if let Some((column, cut)) = name.rsplit_once('.')
        && table.column(column).is_some_and(|(_, column)| column.data_type.is_moment())
        && BUCKETS.contains(&cut)
    {
        return error.hint(format!("{{\"column\": {column:?}, \"bucket\": {cut:?}}}"));
    }
    match (part.map(str::to_owned).or(bucket), column) {
        (Some(cut), Some(column)) => {
            let member = if part.is_some() || extracted { "part" } else { "bucket" };
            error.hint(format!("{{\"column\": {column:?}, {member:?}: {cut:?}}}"))
        }
        _ if name.contains(',') => error.hint("one name each: [\"status\", \"customer.country\"]"),
        _ if error.code() != Code::AmbiguousRelation && scope.reach_each(table, name).is_ok() => {
            error.hint(each_of_rows(name))
        }
        _ => scope.not_reached(table, name, error),
    }
}
