//! Encodes literals of arrays, composites, ranges and multiranges.

use serde_json::{Map, Value};

use super::Target;
use super::example;
use crate::error::{Code, Error, Result, step};
use crate::schema::{DataType, Field, Kind};
use crate::value::scalar::Scalar;

impl Target<'_> {
    pub(super) fn array(
        self,
        element: &DataType,
        delimiter: char,
        value: &Value,
    ) -> Result<String> {
        let items = match value {
            Value::Array(items) => items,
            Value::String(literal)
                if literal.starts_with('{')
                    || literal.starts_with('[') && literal.contains("]=") =>
            {
                return Ok(literal.clone());
            }
            _ => return Err(self.refuse(value)),
        };
        let target = self.part(element)?;
        let lengths = if may_be_array(target.data_type) {
            // If an element may be a JSON array, arrays within are elements.
            vec![items.len()]
        } else {
            dimensions(value)
        };
        if lengths.len() > DIMENSIONS_MOST {
            return Err(Error::new(Code::InvalidValue, "the array has too many dimensions")
                .at("")
                .hint(format!("PostgreSQL's arrays have at most {DIMENSIONS_MOST}")));
        }
        let mut literal = String::new();
        target.dimension(&lengths, delimiter, value, &mut literal)?;
        // PostgreSQL has only one empty array, whatever its dimensions.
        Ok(if lengths.contains(&0) { "{}".to_owned() } else { literal })
    }

    /// Writes an array of these lengths, or an element if no length is left. `self` is the target of the elements.
    fn dimension(
        self,
        lengths: &[usize],
        delimiter: char,
        value: &Value,
        literal: &mut String,
    ) -> Result<()> {
        let Some((&length, inner)) = lengths.split_first() else {
            match self.encode(value)? {
                Some(text) => quote(&text, literal),
                None => literal.push_str("NULL"),
            }
            return Ok(());
        };
        let items = value.as_array().filter(|items| items.len() == length).ok_or_else(|| {
            let message = "the arrays within an array must all have the same length";
            Error::new(Code::InvalidValue, message)
                .at("")
                .hint(format!("expected {length} items here"))
        })?;
        literal.push('{');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                literal.push(delimiter);
            }
            self.dimension(inner, delimiter, item, literal)
                .map_err(|error| error.inside(&step(index)))?;
        }
        literal.push('}');
        Ok(())
    }

    pub(super) fn composite(self, fields: &[Field], value: &Value) -> Result<String> {
        let object = match value {
            Value::Object(object) => object,
            Value::String(literal) if literal.starts_with('(') => return Ok(literal.clone()),
            _ => return Err(self.refuse(value)),
        };
        let names = || fields.iter().map(|field| field.name.as_str());
        self.known_keys(object, names)?;
        let mut literal = String::from("(");
        for (position, field) in fields.iter().enumerate() {
            if position > 0 {
                literal.push(',');
            }
            self.member(&field.data_type, object, &field.name, &mut literal)?;
        }
        literal.push(')');
        Ok(literal)
    }

    pub(super) fn range(self, subtype: &DataType, value: &Value) -> Result<String> {
        let object = match value {
            Value::Object(object) => object,
            Value::String(literal) if literal.starts_with(['[', '(']) || literal == "empty" => {
                return Ok(literal.clone());
            }
            _ => return Err(self.refuse(value)),
        };
        self.known_keys(object, || RANGE.into_iter())?;
        let given = |name: &str| object.get(name).filter(|value| !value.is_null());
        let bounds = given("bounds").map_or(Some("[)"), Value::as_str);
        let (start, end) = match bounds {
            Some("[)") => ('[', ')'),
            Some("[]") => ('[', ']'),
            Some("(]") => ('(', ']'),
            Some("()") => ('(', ')'),
            Some("empty") if given("lower").is_none() && given("upper").is_none() => {
                return Ok("empty".to_owned());
            }
            _ => {
                return Err(Error::new(Code::InvalidValue, "these are not bounds of a range")
                    .at("/bounds")
                    .hint("\"empty\" is for a range with neither lower nor upper")
                    .allowed(["[)", "[]", "(]", "()", "empty"]));
            }
        };
        let ends = [given("lower"), given("upper")];
        let is_same = ends[0].is_some_and(|lower| !lower.is_object()) && ends[0] == ends[1];
        if given("bounds").is_none() && is_same {
            let message = "the range would be empty: without bounds, it does not include upper";
            return Err(Error::new(Code::InvalidValue, message).at("").hint("\"bounds\": \"[]\""));
        }
        let mut literal = String::from(start);
        self.member(subtype, object, "lower", &mut literal)?;
        literal.push(',');
        self.member(subtype, object, "upper", &mut literal)?;
        literal.push(end);
        Ok(literal)
    }

    pub(super) fn multirange(self, range: &DataType, value: &Value) -> Result<String> {
        let ranges = match value {
            Value::Array(ranges) => ranges,
            Value::String(literal) if literal.starts_with('{') => return Ok(literal.clone()),
            _ => return Err(self.refuse(value)),
        };
        let target = self.part(range)?;
        let mut literal = String::from("{");
        for (index, range) in ranges.iter().enumerate() {
            if index > 0 {
                literal.push(',');
            }
            let encoded = target
                .encode(range)
                .and_then(|text| text.ok_or_else(|| target.refuse(range)))
                .map_err(|error| error.inside(&step(index)))?;
            literal.push_str(&encoded);
        }
        literal.push('}');
        Ok(literal)
    }

    /// Writes a field or bound; nothing if it is null or absent.
    fn member(
        self,
        data_type: &DataType,
        object: &Map<String, Value>,
        name: &str,
        literal: &mut String,
    ) -> Result<()> {
        let encoded = self
            .part(data_type)?
            .encode(object.get(name).unwrap_or(&Value::Null))
            .map_err(|error| error.inside(&step(name)))?;
        if let Some(text) = encoded {
            quote(&text, literal);
        }
        Ok(())
    }

    fn known_keys<'n, I>(self, object: &Map<String, Value>, names: impl Fn() -> I) -> Result<()>
    where
        I: Iterator<Item = &'n str>,
    {
        let Some(key) = object.keys().find(|key| names().all(|name| name != key.as_str())) else {
            return Ok(());
        };
        let message = format!("{} has no field {}", self.name, example::quoted(key));
        Err(Error::new(Code::InvalidValue, message)
            .at(step(key))
            .allowed(names())
            .nearest(key, names()))
    }
}

/// The literal of a `text[]` with these elements; `None` is null.
pub fn text_array<'a>(elements: impl IntoIterator<Item = Option<&'a str>>) -> String {
    let mut literal = String::from("{");
    for (index, element) in elements.into_iter().enumerate() {
        if index > 0 {
            literal.push(',');
        }
        match element {
            None => literal.push_str("NULL"),
            Some(text) => quote(text, &mut literal),
        }
    }
    literal.push('}');
    literal
}

/// The members of a range.
pub(crate) const RANGE: [&str; 3] = ["lower", "upper", "bounds"];

/// PostgreSQL's MAXDIM, the most dimensions of an array.
const DIMENSIONS_MOST: usize = 6;

/// The length of each dimension, measured along the first items.
fn dimensions(value: &Value) -> Vec<usize> {
    // One more than allowed is enough to see that there are too many.
    std::iter::successors(value.as_array(), |items| items.first()?.as_array())
        .map(Vec::len)
        .take(DIMENSIONS_MOST + 1)
        .collect()
}

/// Whether the JSON of a value of the type may be an array.
fn may_be_array(data_type: &DataType) -> bool {
    match data_type.kind {
        Kind::Array { .. } | Kind::Multirange(_) => true,
        Kind::Base => matches!(Scalar::of(data_type), Scalar::Json | Scalar::Jsonb),
        _ => false,
    }
}

/// Writes an item of a literal, quoted unless it clearly needs no quotes.
fn quote(text: &str, literal: &mut String) {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'+' | b':');
    if !text.is_empty() && text.bytes().all(plain) && !text.eq_ignore_ascii_case("null") {
        literal.push_str(text);
        return;
    }
    literal.push('"');
    for character in text.chars() {
        if matches!(character, '"' | '\\') {
            literal.push('\\');
        }
        literal.push(character);
    }
    literal.push('"');
}
