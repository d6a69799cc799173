//! Unknown arguments, and the ones that were probably meant: SQL, object-relational mappers and document databases
//! have other names for the same.

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, step};
use crate::name::nearest;

/// Arguments, and their names elsewhere: in lower case, without `_`, `-` and `$`.
const ELSEWHERE: [(&str, &[&str]); 24] = [
    ("table", &["tablename", "from", "into", "collection", "entity", "model", "name", "target"]),
    ("where", &["filter", "filters", "condition", "conditions", "criteria", "match", "predicate"]),
    ("columns", &["fields", "select", "projection", "attributes", "properties", "target", "keys"]),
    ("returning", &["return", "columns", "fields", "select", "output"]),
    ("include", &["join", "joins", "expand", "with", "relations", "populate", "embed", "related"]),
    ("order_by", &["sort", "sortby", "order", "ordering", "orderings"]),
    ("limit", &["top", "first", "take", "max", "maxrows", "pagesize", "perpage", "rows", "size"]),
    ("max_rows", &["limit", "max", "maxaffected"]),
    (
        "min_rows",
        &["expect", "expected", "expectrows", "min", "minaffected", "atleast", "required"],
    ),
    ("offset", &["skip", "start"]),
    ("cursor", &["after", "nextcursor", "pagetoken", "page", "token"]),
    ("measures", &["metrics", "aggregates", "aggregations", "functions", "function", "aggregate"]),
    ("group_by", &["group", "groups", "dimensions", "by"]),
    ("data", &["values", "row", "rows", "record", "records", "items", "payload", "document"]),
    ("updates", &["set", "data", "values", "changes", "change", "patch", "update", "fields"]),
    ("on_conflict", &["upsert", "conflict", "onduplicate", "onconflictdo"]),
    ("do", &["action", "resolution", "then"]),
    ("if_version", &["version", "etag", "ifmatch"]),
    ("search", &["query", "q", "text", "term", "keyword", "keywords", "filter"]),
    ("column", &["field", "col", "of", "property", "name"]),
    ("direction", &["dir", "order", "desc", "asc", "sort"]),
    ("bucket", &["interval", "granularity", "unit", "trunc", "datetrunc", "period"]),
    ("part", &["extract", "datepart", "field"]),
    ("as", &["alias", "name", "label"]),
];

/// The most further names that an error lists, if several are unknown.
const MOST_TOLD: usize = 8;

/// Refuses an object with a member that is not among `known`. `lacking` begins the message.
pub(crate) fn check_members<'k>(
    object: &Map<String, Value>,
    known: impl Iterator<Item = &'k str> + Clone,
    lacking: &str,
) -> Result<()> {
    let Some(given) = unknown(object, known.clone()) else { return Ok(()) };
    let absent = known.clone().filter(|name| !object.contains_key(*name));
    let error = Error::new(Code::UnknownArgument, format!("{lacking} {given:?}")).at(step(given));
    let error = meant(error, given, absent.clone()).allowed(known.clone());
    // All in one error: a caller who uses the names of another interface has several wrong.
    let others =
        object.keys().map(String::as_str).filter(|key| known.clone().all(|name| name != *key));
    let others = others.skip(1).take(MOST_TOLD).map(|other| {
        match here(other, absent.clone()).or_else(|| nearest(other, absent.clone())) {
            Some(name) => format!("{other:?} is {name:?} here"),
            None => format!("{other:?} is unknown, too"),
        }
    });
    let others: Vec<String> = others.collect();
    Err(if others.is_empty() { error } else { error.hint(others.join(", ")) })
}

/// The first member that is not among `known`.
pub(super) fn unknown<'o, 'k>(
    object: &'o Map<String, Value>,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Option<&'o str> {
    object.keys().map(String::as_str).find(|key| known.clone().all(|name| name != *key))
}

/// The place of the feature that an argument with this name would be for.
pub(super) fn elsewhere(unknown: &str) -> Option<&'static str> {
    match unknown.to_ascii_lowercase().replace('_', "").as_str() {
        "groupby" | "having" | "measures" | "aggregates" | "aggregations" => {
            Some("the tool aggregate groups rows, counts and totals them")
        }
        "sql" | "query" | "statement" => {
            Some("SQL is not accepted: name the table, and describe the request in JSON")
        }
        "schema" => Some("a table of another schema is \"schema.name\""),
        "page" => Some("offset skips rows; cursor continues where the previous page ended"),
        "args" | "arguments" | "params" | "parameters" | "input" | "request" => {
            Some("give the arguments themselves")
        }
        _ => None,
    }
}

/// The error about an unknown argument, with the one of `known` that was probably meant: the equivalent of `given` in
/// another interface, otherwise the nearest name.
pub(super) fn meant<'k>(
    error: Error,
    given: &str,
    known: impl Iterator<Item = &'k str> + Clone,
) -> Error {
    match here(given, known.clone()).or_else(|| nearest(given, known)) {
        Some(name) => error.did_you_mean(name),
        None => error,
    }
}

/// The one of `known` that other interfaces call `given`.
fn here<'k>(given: &str, known: impl Iterator<Item = &'k str> + Clone) -> Option<&'k str> {
    let given = given.to_ascii_lowercase().replace(['_', '-', '$'], "");
    ELSEWHERE
        .iter()
        .filter(|(_, elsewhere)| elsewhere.contains(&given.as_str()))
        .find_map(|(here, _)| known.clone().find(|name| name == here))
}

#[cfg(test)]
mod tests {
    use super::here;

    #[test]
    fn what_others_call_an_argument_is_found_among_those_that_there_are() {
        assert_eq!(here("filters", ["table", "where"].into_iter()), Some("where"));
        assert_eq!(here("limit", ["table", "max_rows"].into_iter()), Some("max_rows"));
        assert_eq!(here("fields", ["table", "where"].into_iter()), None);
    }
}
