//! Parameters in PostgreSQL's text format.

use std::borrow::Cow;
use std::error::Error;

use bytes::BytesMut;
use postgres_types::{Format, IsNull, ToSql, Type, to_sql_checked};

/// The text of a value, for a parameter of any type; `None` is SQL NULL.
///
/// PostgreSQL infers the parameter's type from its place in the statement and parses the text as that type, so this
/// serves every type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text<'t>(pub Option<Cow<'t, str>>);

impl ToSql for Text<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        Ok(match &self.0 {
            Some(text) => {
                out.extend_from_slice(text.as_bytes());
                IsNull::No
            }
            None => IsNull::Yes,
        })
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}
