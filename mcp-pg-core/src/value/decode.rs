//! PostgreSQL values to JSON. A decoder is built once for a column and used for each of its values.

mod binary;
mod literal;
mod text;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use serde_json::Value;

use super::scalar::Scalar;
use crate::error::{Code, Error, Result};
use crate::schema::{DataType, Kind, oid};

/// Turns a column's bytes into JSON. See the [table of forms](super).
///
/// ```
/// use mcp_pg_core::schema::DataType;
/// use mcp_pg_core::value::Decoder;
///
/// let decoder = Decoder::for_type(DataType::bigint());
/// assert!(!decoder.as_text());
/// assert_eq!(decoder.decode(Some(&[0, 0, 0, 0, 0, 0, 0, 42])).unwrap(), 42);
/// assert!(decoder.decode(None).unwrap().is_null());
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    form: Arc<Form>,
    as_text: bool,
    /// The OIDs of the type and of its base, one of which PostgreSQL reports for the column. `None` for values that
    /// are selected as text.
    oids: Option<[u32; 2]>,
}

/// The structure of a type as far as decoding needs it, without domains.
#[derive(Debug)]
enum Form {
    Scalar(Scalar),
    Array { element: Box<Form>, delimiter: u8 },
    Composite(Vec<(String, Form)>),
    Range(Box<Form>),
    Multirange(Box<Form>),
}

impl Decoder {
    /// The decoder for a column of this type.
    pub fn for_type(data_type: &DataType) -> Self {
        let form = Form::of(data_type);
        // Types that only exist within a query have no OID to check.
        let as_text = !form.has_binary() || data_type.oid == 0;
        let oids = (!as_text).then(|| [data_type.oid, data_type.base().oid]);
        Self { form: Arc::new(form), as_text, oids }
    }

    /// The decoder for an expression of type `text`.
    pub(crate) fn plain_text() -> &'static Self {
        static TEXT: LazyLock<Decoder> =
            LazyLock::new(|| Decoder { oids: None, ..Decoder::for_type(DataType::text()) });
        &TEXT
    }

    /// The decoder for an expression of type `bigint`.
    pub fn bigint() -> &'static Self {
        static BIGINT: LazyLock<Decoder> = LazyLock::new(|| Decoder::for_type(DataType::bigint()));
        &BIGINT
    }

    /// The decoder for an expression of type `numeric`.
    pub fn numeric() -> &'static Self {
        static NUMERIC: LazyLock<Decoder> =
            LazyLock::new(|| Decoder::for_type(DataType::numeric()));
        &NUMERIC
    }

    /// The decoder for an expression of type `double precision`.
    pub fn double() -> &'static Self {
        static DOUBLE: LazyLock<Decoder> = LazyLock::new(|| Decoder::for_type(DataType::double()));
        &DOUBLE
    }

    /// The decoder for an expression of type `jsonb`.
    pub fn jsonb() -> &'static Self {
        static JSONB: LazyLock<Decoder> = LazyLock::new(|| Decoder::for_type(DataType::jsonb()));
        &JSONB
    }

    /// The decoder for an expression of type `boolean`.
    pub fn boolean() -> &'static Self {
        static BOOLEAN: LazyLock<Decoder> =
            LazyLock::new(|| Decoder::for_type(DataType::boolean()));
        &BOOLEAN
    }

    /// Whether the column must be selected as `CAST(column AS text)`.
    ///
    /// If not, it must be selected as it is, and fetched in binary format.
    pub fn as_text(&self) -> bool {
        self.as_text
    }

    /// Whether it is selected as a text.
    pub(crate) fn is_text(&self) -> bool {
        self.as_text || matches!(*self.form, Form::Scalar(Scalar::Text))
    }

    /// Whether its JSON is the text that is selected.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(*self.form, Form::Scalar(Scalar::Text | Scalar::Other))
    }

    /// The function that tells what a value in JSON is, if it is one.
    pub(crate) fn json_type(&self) -> Option<&'static str> {
        match &*self.form {
            Form::Scalar(Scalar::Json) => Some("pg_catalog.json_typeof"),
            Form::Scalar(Scalar::Jsonb) => Some("pg_catalog.jsonb_typeof"),
            _ => None,
        }
    }

    /// The function that makes the bytes that are sent of a value; `None` if no value is long.
    pub(crate) fn sender(&self) -> Option<&'static str> {
        match &*self.form {
            _ if self.as_text => Some("pg_catalog.textsend"),
            Form::Scalar(scalar) => scalar.sender(self.oids.map_or(oid::TEXT, |[_, base]| base)),
            _ => Some("pg_catalog.array_send"),
        }
    }

    /// Checks that the bytes have the type that the decoder was built for.
    ///
    /// # Errors
    ///
    /// `internal`: the column's type was changed since the schema was read.
    pub fn expect(&self, oid: u32) -> Result<()> {
        match self.oids {
            Some(oids) if !oids.contains(&oid) => Err(changed()),
            _ => Ok(()),
        }
    }

    /// The JSON of a value's bytes, which must be in the form given by [`Decoder::as_text`]. `None` is null.
    ///
    /// Bytes that are not UTF-8, which a database in `SQL_ASCII` may contain, become replacement characters.
    ///
    /// # Errors
    ///
    /// `internal` if the bytes are not of the type: it was changed since the schema was read, or the column was
    /// selected in the other form.
    pub fn decode(&self, raw: Option<&[u8]>) -> Result<Value> {
        match raw {
            None => Ok(Value::Null),
            Some(raw) if self.as_text => self.form.text(&lossy(raw)),
            Some(raw) => self.form.binary(raw),
        }
        .map_err(|Malformed| changed())
    }

    /// The JSON of a value's text form.
    ///
    /// # Errors
    ///
    /// `internal` if the text is none of the type's.
    pub(crate) fn read(data_type: &DataType, text: &str) -> Result<Value> {
        Form::of(data_type).text(text).map_err(|Malformed| changed())
    }
}

/// The text, with replacement characters for bytes that are not UTF-8. Nearly all texts are, and checking first is
/// much faster.
fn lossy(raw: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(raw) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => String::from_utf8_lossy(raw),
    }
}

fn changed() -> Error {
    Error::new(Code::Internal, "a value came in a form that its column's type does not have")
        .hint("the type may have changed since the schema was read: try again")
        // PostgreSQL's SQLSTATE for a prepared statement whose result columns have changed.
        .sqlstate("0A000")
}

impl Form {
    fn of(data_type: &DataType) -> Self {
        let data_type = data_type.base();
        match &data_type.kind {
            Kind::Array { element, delimiter } => Self::Array {
                element: Box::new(Self::of(element)),
                delimiter: u8::try_from(*delimiter).unwrap_or(b','),
            },
            Kind::Composite(fields) => Self::Composite(
                fields
                    .iter()
                    .map(|field| (field.name.clone(), Self::of(&field.data_type)))
                    .collect(),
            ),
            Kind::Range(subtype) => Self::Range(Box::new(Self::of(subtype))),
            Kind::Multirange(range) => Self::Multirange(Box::new(Self::of(range))),
            Kind::Base | Kind::Enum(_) | Kind::Domain { .. } => Self::Scalar(Scalar::of(data_type)),
        }
    }

    fn has_binary(&self) -> bool {
        match self {
            Self::Scalar(scalar) => scalar.has_binary(),
            Self::Array { element, .. } => {
                matches!(**element, Self::Scalar(scalar) if scalar.has_binary())
                    && !element.may_be_array()
            }
            Self::Composite(_) | Self::Range(_) | Self::Multirange(_) => false,
        }
    }

    /// Whether the JSON of a value may be an array, and so be mistaken for a dimension.
    fn may_be_array(&self) -> bool {
        matches!(
            self,
            Self::Array { .. } | Self::Multirange(_) | Self::Scalar(Scalar::Json | Scalar::Jsonb)
        )
    }
}

/// The bytes are not a value of the type.
#[derive(Debug, PartialEq)]
struct Malformed;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::value::sample;

    #[test]
    fn binary_only_where_understood() {
        let integer = sample::base(23, "integer");
        let interval = sample::base(1186, "interval");
        for (data_type, as_text) in [
            (integer.clone(), false),
            (sample::array(&integer), false),
            (sample::domain(&sample::array(&integer)), false),
            (sample::array(&sample::domain(&integer)), false),
            (sample::array(&sample::domain(&sample::array(&integer))), true),
            (sample::array(&sample::base(3802, "jsonb")), true),
            (sample::labels(&["a"]), false),
            (interval.clone(), true),
            (sample::array(&interval), true),
            (sample::range(&integer), true),
            (sample::composite(&[("a", &integer)]), true),
            (sample::base(22, "int2vector"), true),
        ] {
            assert_eq!(Decoder::for_type(&data_type).as_text(), as_text, "{}", data_type.name);
        }
    }

    #[test]
    fn bytes_of_another_type_are_an_error() {
        let decoder = Decoder::for_type(&sample::base(23, "integer"));
        assert_eq!(decoder.decode(Some(b"123")).unwrap_err().code(), Code::Internal);
        let decoder = Decoder::for_type(&sample::base(25, "text"));
        assert_eq!(decoder.decode(Some(b"a\xff")).unwrap(), json!("a\u{fffd}"));
    }
}
