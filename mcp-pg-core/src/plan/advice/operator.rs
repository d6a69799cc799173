//! Operators that a type has not: what was probably meant.

use super::COMPUTED;
use crate::error::{Code, Error};
use crate::plan::expression::cut;
use crate::schema::{Column, Family, Operator};

/// The error of an operator that the type of a column, or of a part of its JSON, has not.
pub(in crate::plan) fn unknown_operator(column: &Column, name: &str, known: &[&str]) -> Error {
    let error = Error::new(
        Code::UnknownOperator,
        format!("{} is {}, which has no operator {name:?}", column.name, column.type_name),
    )
    .allowed(known.iter().copied());
    let has = |operator: Operator| known.contains(&operator.as_str());
    let foreign = Operator::foreign(name).filter(|meant| has(*meant));
    let data_type = &column.data_type;
    let moment = data_type.has_day();
    let plain = name.to_ascii_lowercase().replace(['$', '_', ' '], "");
    match plain.as_str() {
        "between" if data_type.is_timestamp() => {
            error.hint("{\"gte\": the first day, \"lt\": the day after the last}")
        }
        "between" => error.hint("{\"gte\": least, \"lte\": most}"),
        "op" | "operator" | "value" => {
            error.hint(format!("the operator is a key: {{{:?}: {{\"eq\": value}}}}", column.name))
        }
        "or" | "and" => error.hint(format!(
            "{name} wraps conditions: {{{name:?}: [{{{:?}: {{…}}}}, {{…}}]}}",
            column.name
        )),
        "isnotnull" | "notnull" | "isnot" => error.hint("{\"is_null\": false}"),
        "any" if data_type.family() == Family::Array => error.did_you_mean("contains"),
        "like" | "ilike" | "startswith" | "endswith" | "matches"
            if data_type.family() == Family::Array =>
        {
            error.hint("{\"contains\": [\"x\"]} finds arrays with this whole element")
        }
        "exists" => error.hint("{\"is_null\": false}, or {\"is_null\": true}"),
        "not" => error.hint(format!(
            "{{\"ne\": value}}, or around the condition: {{\"not\": {{{:?}: {{…}}}}}}",
            column.name
        )),
        "icontains" | "iexact" | "istartswith" | "iendswith" | "iequals"
            if has(Operator::Ilike) =>
        {
            error.hint("{\"ilike\": \"%text%\"}, where % stands for any letters")
        }
        "year" | "date" | "bucket" if moment => {
            error.hint("{\"gte\": \"2024-01-01\", \"lt\": \"2025-01-01\"}")
        }
        word if let Some(part) = cut::part_named_so(word).filter(|_| moment) => {
            error.hint(format!("{{\"part\": {part:?}, \"eq\": …}}"))
        }
        "timezone" if moment => {
            error.hint("{\"part\": \"hour\", \"time_zone\": \"Europe/Berlin\", \"eq\": 9}")
        }
        "compute" | "add" | "subtract" | "multiply" | "divide" => error.hint(COMPUTED),
        "contains" | "matches" | "like" | "ilike" if has(Operator::Search) => {
            error.hint("{\"search\": \"fresh fish\"} finds words")
        }
        "like" | "ilike" | "startswith" | "matches" if data_type.family() == Family::Tree => {
            error.hint("{\"contained_by\": \"a.b\"} finds a.b and what is below it")
        }
        "mode" | "caseinsensitive" | "insensitive" if has(Operator::Ilike) => {
            error.hint("{\"ilike\": \"%text%\"} ignores case")
        }
        "like" | "ilike" | "startswith" | "contains" if data_type.family() == Family::Network => {
            error.hint("{\"contained_by\": \"10.0.0.0/8\"} finds the addresses of a network")
        }
        "like" | "ilike" | "startswith" | "contains" if moment => {
            error.hint("{\"gte\": \"2024-01-01\", \"lt\": \"2024-02-01\"}")
        }
        "path" if data_type.is_text() => error.hint(format!(
            "{} is text, also where it holds JSON: {{\"like\": …}} and {{\"contains\": …}} look through it",
            column.name
        )),
        // Its members have the operators of texts and numbers.
        _ if data_type.is_json()
            && !has(Operator::Like)
            && Operator::parse(name).or(foreign).is_some() =>
        {
            error.hint(format!(
                "{{{:?}: {{\"path\": [\"key\"], {name:?}: …}}}} looks at a member",
                column.name
            ))
        }
        _ if data_type.family() == Family::Pairs && Operator::parse(name).is_none() => {
            let key = if name == "path" { "key" } else { name };
            error.hint(format!("{{{:?}: {{\"contains\": {{{key:?}: \"value\"}}}}}}", column.name))
        }
        _ if foreign.is_none()
            && let Some(negated) = negated(&plain, known) =>
        {
            error.hint(format!(
                "around the condition: {{\"not\": {{{:?}: {{{negated:?}: …}}}}}}",
                column.name
            ))
        }
        _ => match foreign {
            Some(meant) => error.did_you_mean(meant.as_str()),
            // An operator of other types was not mistyped.
            None if Operator::parse(name).is_some() => error,
            None => error.nearest(name, known.iter().copied()),
        },
    }
}

/// Which of the operators `notlike` and its kind say the opposite of.
fn negated<'k>(plain: &str, known: &[&'k str]) -> Option<&'k str> {
    let plain = plain.strip_prefix("not").or_else(|| plain.strip_prefix('n'))?;
    known.iter().copied().find(|known| known.replace('_', "") == plain)
}
