//! Advice for conditions in PostgREST's URL syntax, with the operator in the text: `ilike.*river*`.

use serde_json::{Value, json};

use crate::schema::DataType;

/// The equivalent condition, if the text has this syntax.
pub(in crate::plan) fn undotted(text: &str, data_type: &DataType) -> Option<String> {
    let (negated, rest) = match text.strip_prefix("not.") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (operator, operand) = rest.split_once('.')?;
    let value = |text: &str| -> Value {
        let number = Some(text).filter(|_| !data_type.is_text());
        number.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| text.into())
    };
    let condition = match operator {
        "eq" | "gt" | "gte" | "lt" | "lte" => json!({operator: value(operand)}),
        "neq" => json!({"ne": value(operand)}),
        "like" | "ilike" => json!({operator: operand.replace('*', "%")}),
        "match" => json!({"matches": operand}),
        "imatch" => json!({"imatches": operand}),
        "fts" | "plfts" | "phfts" | "wfts" => json!({"search": operand}),
        "in" => {
            let items = operand.strip_prefix('(')?.strip_suffix(')')?;
            json!({"in": items.split(',').map(value).collect::<Vec<_>>()})
        }
        "is" if operand.eq_ignore_ascii_case("null") => json!({"is_null": !negated}),
        "is" => json!({"eq": operand.parse::<bool>().ok()?}),
        _ => return None,
    };
    let around = negated && condition.get("is_null").is_none();
    Some(if around { format!("{{\"not\": {{…: {condition}}}}}") } else { condition.to_string() })
}

#[cfg(test)]
mod tests {
    use super::undotted;
    use crate::schema::DataType;

    #[test]
    fn operators_in_texts_are_told_as_keys() {
        let text = |given: &str| undotted(given, DataType::text());
        assert_eq!(text("eq.The River").as_deref(), Some(r#"{"eq":"The River"}"#));
        assert_eq!(text("ilike.*river*").as_deref(), Some(r#"{"ilike":"%river%"}"#));
        assert_eq!(text("in.(a,b)").as_deref(), Some(r#"{"in":["a","b"]}"#));
        assert_eq!(text("not.is.null").as_deref(), Some(r#"{"is_null":false}"#));
        assert_eq!(text("not.eq.a").as_deref(), Some(r#"{"not": {…: {"eq":"a"}}}"#));
        assert_eq!(undotted("gt.100", DataType::numeric()).as_deref(), Some(r#"{"gt":100}"#));
        for plain in ["The River", "is.it", "in.side", "a.b", ""] {
            assert_eq!(text(plain), None);
        }
    }
}
