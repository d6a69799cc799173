//! The words of requests that several rooms of `plan` read or write in advice, besides the operators and the names of
//! the schema.

use serde_json::{Map, Value};

/// The members of a condition that combine others.
pub(crate) const LOGICAL: [&str; 3] = ["and", "or", "not"];

/// The members of a condition on many related rows.
pub(crate) const QUANTIFIERS: [&str; 4] = ["some", "none", "every", COUNT];

/// The quantifier, and the total, that is the number of rows.
pub(crate) const COUNT: &str = "count";

/// The member for conditions on computed values.
pub(crate) const COMPUTE: &str = "compute";

/// The form of such a condition, for messages.
pub(in crate::plan) const COMPUTE_FORM: &str =
    "{\"compute\": {\"subtract\": [\"quantity\", \"reserved\"], \"lt\": 5}}";

/// The condition on the related rows that a count or total is about.
pub(crate) const WHERE: &str = "where";

/// The member beside `search` that names its language.
pub(in crate::plan) const LANGUAGE: &str = "language";

/// The member that names the unit of a difference.
pub(in crate::plan) const UNIT: &str = "unit";

/// The member that names a field of a point in time.
pub(in crate::plan) const PART: &str = "part";

/// The time zone of a field or a truncation.
pub(in crate::plan) const TIME_ZONE: &str = "time_zone";

/// The members beside the operators of a condition, apart from what is computed.
pub(in crate::plan) const BESIDE: [&str; 7] =
    ["column", "path", PART, TIME_ZONE, LANGUAGE, UNIT, WHERE];

/// The members that an object may have beside what it computes, in any part of a request that is no condition.
pub(crate) const OPTIONS: [&str; 21] = [
    "column",
    "columns",
    "path",
    "direction",
    "nulls",
    "rank",
    "language",
    "distance",
    "as",
    "bucket",
    PART,
    TIME_ZONE,
    EACH,
    UNIT,
    "fraction",
    "order_by",
    "limit",
    "include",
    "archived",
    "do",
    "update",
];

/// The units of truncation.
pub(in crate::plan) const BUCKETS: [&str; 8] =
    ["second", "minute", "hour", "day", "week", "month", "quarter", "year"];

/// The fields, with PostgreSQL's names for them. Weekdays begin with Monday, 1.
pub(in crate::plan) const PARTS: [(&str, &str); 8] = [
    ("minute", "minute"),
    ("hour", "hour"),
    ("weekday", "isodow"),
    ("day", "day"),
    ("week", "week"),
    ("month", "month"),
    ("quarter", "quarter"),
    ("year", "year"),
];

/// What says that the elements of a list, or the rows of a relation, make the groups.
pub(in crate::plan) const EACH: &str = "each";

/// The member of a row that contains the version that the caller read.
pub(in crate::plan) const VERSION: &str = "_version";

/// The computations that can be assigned.
pub(in crate::plan) const ASSIGNED: [&str; 11] = [
    "$increment",
    "$compute",
    "$column",
    "$now",
    "$default",
    "$append",
    "$remove",
    "$merge",
    "$set",
    "$ref",
    "$literal",
];

/// The computation that other databases call so.
pub(in crate::plan) fn computation_meant(key: &str) -> Option<&'static str> {
    match key {
        "$inc" | "$add" | "$plus" | "$dec" | "$decrement" | "$sub" | "$subtract" | "$minus" => {
            Some("$increment")
        }
        "$push" | "$addToSet" | "$concat" => Some("$append"),
        "$currentDate" => Some("$now"),
        "$pull" | "$pullAll" | "$unset" | "$delete" | "$without" => Some("$remove"),
        "$eval" | "$expr" | "$sql" | "$raw" | "$mul" | "$multiply" | "$divide" => Some("$compute"),
        _ => None,
    }
}

/// The form of the time since a point in time, for messages.
pub(in crate::plan) const SINCE: &str =
    "{\"subtract\": [{\"$now\": true}, \"created_at\"]} is a number of days";

/// Whether an object has a member. It has a few, and is asked for each name that there is: to compare them is faster than
/// to compute a hash each time.
pub(in crate::plan) fn has(object: &Map<String, Value>, name: &str) -> bool {
    object.keys().any(|key| key == name)
}

/// The field with this name, or with this name in other languages.
pub(in crate::plan) fn part_named_so(word: &str) -> Option<&'static str> {
    PARTS.into_iter().map(|(name, _)| name).find(|name| *name == word).or_else(|| part_meant(word))
}

/// The field with this name in other languages, unless it is the name of a unit.
pub(in crate::plan) fn part_meant(word: &str) -> Option<&'static str> {
    match word.to_ascii_lowercase().replace(['_', ' ', '-'], "").as_str() {
        "weekday" | "weekdays" | "dow" | "isodow" | "dayofweek" | "dayname" => Some("weekday"),
        "hourofday" | "houroftheday" => Some("hour"),
        "dayofmonth" => Some("day"),
        "monthofyear" | "monthname" => Some("month"),
        "weekofyear" | "isoweek" | "calendarweek" => Some("week"),
        _ => None,
    }
}

/// How groups by the many rows that a relation leads to are written.
pub(in crate::plan) fn each_of_rows(column: &str) -> String {
    format!("{{\"column\": {column:?}, \"each\": true}} counts a row once for each of them")
}

/// How groups by the elements of a column are written.
pub(in crate::plan) fn each_element(column: &str) -> String {
    format!("{{\"column\": {column:?}, \"each\": true}} groups by the elements of lists")
}
