//! Texts of the catalogue.
//!
//! A database without an encoding (`SQL_ASCII`) holds whatever bytes its clients sent. `settings.sql` has it send them as they
//! are, so that one of them does not keep everything else from being read.

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;
use tokio_postgres::types::{FromSql, Type};

/// The texts of a row. Bytes that are not UTF-8 become replacement characters.
pub(super) trait Texts {
    fn text(&self, column: &str) -> Result<String, PgError>;
    /// `None` if it is null.
    fn text_or_null(&self, column: &str) -> Result<Option<String>, PgError>;
    fn texts(&self, column: &str) -> Result<Vec<String>, PgError>;
    fn texts_or_null(&self, column: &str) -> Result<Vec<Option<String>>, PgError>;
    /// Whether none was replaced in a text: SQL can name only what is legible.
    fn is_legible(&self, column: &str) -> Result<bool, PgError>;
    /// The same of a list of texts.
    fn are_legible(&self, column: &str) -> Result<bool, PgError>;
}

impl Texts for Row {
    fn text(&self, column: &str) -> Result<String, PgError> {
        self.try_get(column).map(|Text(text)| text)
    }

    fn text_or_null(&self, column: &str) -> Result<Option<String>, PgError> {
        self.try_get(column).map(|text: Option<Text>| text.map(|Text(text)| text))
    }

    fn texts(&self, column: &str) -> Result<Vec<String>, PgError> {
        let texts: Vec<Text> = self.try_get(column)?;
        Ok(texts.into_iter().map(|Text(text)| text).collect())
    }

    fn texts_or_null(&self, column: &str) -> Result<Vec<Option<String>>, PgError> {
        let texts: Vec<Option<Text>> = self.try_get(column)?;
        Ok(texts.into_iter().map(|text| text.map(|Text(text)| text)).collect())
    }

    fn is_legible(&self, column: &str) -> Result<bool, PgError> {
        self.try_get(column).map(|legible: Option<Legible>| legible.is_none_or(|Legible(is)| is))
    }

    fn are_legible(&self, column: &str) -> Result<bool, PgError> {
        let each: Vec<Legible> = self.try_get(column)?;
        Ok(each.into_iter().all(|Legible(is)| is))
    }
}

struct Text(String);

impl<'a> FromSql<'a> for Text {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(String::from_utf8_lossy(raw).into_owned()))
    }

    fn accepts(of: &Type) -> bool {
        <&str>::accepts(of)
    }
}

struct Legible(bool);

impl<'a> FromSql<'a> for Legible {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(std::str::from_utf8(raw).is_ok()))
    }

    fn accepts(of: &Type) -> bool {
        <&str>::accepts(of)
    }
}
