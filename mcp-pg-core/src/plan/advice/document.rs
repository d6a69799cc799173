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
    .allowed(column.data_type.operators().map(Operator::as_str))
}

/// The conditions that the object may mean.
fn forms(column: &Slot<'_>, members: &Map<String, Value>, key: &str, value: &Value) -> String {
    let whole = repeated(&Value::Object(members.clone())).unwrap_or_else(|| "{…}".to_owned());
    let mut forms = Vec::new();
    if column.whole().is_some() {
        forms.push(format!("{} tests one member", column.condition(&by_path(key, value))));
    }
    for (operator, what) in [(Operator::Contains, "some members"), (Operator::Eq, "the whole")] {
        if column.data_type.has_operator(operator) {
            let condition = column.condition(&format!("\"{operator}\": {whole}"));
            forms.push(format!("{condition} {what}"));
        }
    }
    forms.join(", ")
}

/// The condition on the member that the object leads to.
fn by_path(key: &str, mut value: &Value) -> String {
    let is_operator = |key: &str| Operator::parse(key).is_some();
    let mut path = vec![key];
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
