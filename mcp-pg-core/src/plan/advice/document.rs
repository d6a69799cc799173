//! Advice for conditions on JSON documents.

use serde_json::{Map, Value};

use super::repeated;
use crate::error::{Code, Error};
use crate::plan::Slot;
use crate::schema::Operator;

/// The error for an object without an operator, which may mean members of the document or the whole.
pub(in crate::plan) fn not_a_document(column: &Slot<'_>, members: &Map<String, Value>) -> Error {
    let Some((key, value)) = members.iter().next() else { return missing(column, "") };
    let error = missing(column, key).hint(forms(column, members, key, value));
    match Operator::foreign(key).filter(|meant| column.data_type.has_operator(*meant)) {
        Some(meant) => error.did_you_mean(meant.as_str()),
        None => error,
    }
}

fn missing(column: &Slot<'_>, key: &str) -> Error {
    Error::new(
        Code::UnknownOperator,
        format!("{} is {}, which has no operator {key:?}", column.name, column.type_name),
    )
    .allowed(column.data_type.condition_keys())
}

/// The conditions that the object may mean.
fn forms(column: &Slot<'_>, members: &Map<String, Value>, key: &str, value: &Value) -> String {
    // What tests values is part of no document.
    if column.whole().is_some() && members.values().any(tests) {
        let mut all = Vec::new();
        each_test(&mut Vec::new(), members, &mut all);
        return match all.as_slice() {
            [one] => format!("{} tests one member", column.condition(one)),
            all => column.condition(&format!("\"and\": [{{{}}}]", all.join("}, {"))),
        };
    }
    let whole = repeated(&Value::Object(members.clone())).unwrap_or_else(|| "{…}".to_owned());
    let mut forms = Vec::new();
    if column.whole().is_some() {
        forms.push(format!("{} tests one member", column.condition(&by_path(vec![key], value))));
    }
    for (operator, what) in [(Operator::Contains, "some members"), (Operator::Eq, "the whole")] {
        if column.data_type.has_operator(operator) {
            let condition = column.condition(&format!("\"{operator}\": {whole}"));
            forms.push(format!("{condition} {what}"));
        }
    }
    forms.join(", ")
}

fn is_operator(key: &str) -> bool {
    Operator::parse(key).is_some()
}

/// Whether it has operators, at any depth.
fn tests(value: &Value) -> bool {
    let mut members = value.as_object().into_iter().flatten();
    members.any(|(key, value)| is_operator(key) || tests(value))
}

/// The conditions on members, some of which are tested within.
fn each_test<'v>(path: &mut Vec<&'v str>, members: &'v Map<String, Value>, all: &mut Vec<String>) {
    for (key, value) in members {
        path.push(key);
        match value
            .as_object()
            .filter(|inner| tests(value) && !inner.keys().any(|key| is_operator(key)))
        {
            Some(inner) => each_test(path, inner, all),
            None => all.push(by_path(path.clone(), value)),
        }
        path.pop();
    }
}

/// The condition on the member that a path and the object at its end lead to.
fn by_path<'v>(mut path: Vec<&'v str>, mut value: &'v Value) -> String {
    while let Some((key, inner)) = only(value).filter(|(key, _)| !is_operator(key)) {
        path.push(key);
        value = inner;
    }
    let text = repeated(value).unwrap_or_else(|| "…".to_owned());
    let tests = value.as_object().filter(|tests| !tests.is_empty());
    let tests = tests.filter(|tests| tests.keys().all(|key| is_operator(key)));
    let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
    match members.filter(|_| tests.is_some()) {
        Some(tests) => format!("\"path\": {path:?}, {tests}"),
        None => format!("\"path\": {path:?}, \"eq\": {text}"),
    }
}

fn only(value: &Value) -> Option<(&String, &Value)> {
    value.as_object().filter(|members| members.len() == 1)?.iter().next()
}
