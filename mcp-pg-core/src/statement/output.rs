//! How the columns of a statement's rows are decoded to JSON.

use serde_json::{Map, Value};

use super::masked::Masked;
use crate::error::{Error, Result, step};
use crate::policy::Sealed;
use crate::value::{Decoder, elements, fields, local};

/// A member of a row in the reply.
#[derive(Debug, Clone)]
pub struct Output<'v> {
    /// Its name in the reply.
    pub name: &'v str,
    /// How it is decoded.
    pub reader: Reader<'v>,
}

/// How an [`Output`] is decoded.
#[derive(Debug, Clone)]
pub enum Reader<'v> {
    /// A value.
    Value {
        /// Decodes the bytes.
        decoder: &'v Decoder,
        /// How to decrypt the value, if it is encrypted and the role may read it.
        sealed: Option<&'v Sealed>,
        /// How it is masked.
        mask: Option<Masked<'v>>,
    },
    /// A point in time with the offset of its time zone, from two columns: the point in time, and its local time.
    Local,
    /// A related row as an object; null if there is none.
    Row(Vec<Output<'v>>),
    /// Related rows, as an array of objects.
    Rows {
        /// Their members.
        outputs: Vec<Output<'v>>,
        /// The most of them. The statement reads one more.
        most: usize,
        /// The most bytes of each. A longer one was cut; one without any was left out, because all are too long.
        longest: usize,
        /// The name of the member that is added if there are more.
        mark: String,
    },
}

impl<'v> Output<'v> {
    /// A member that is a single value.
    pub fn value(name: &'v str, decoder: &'v Decoder) -> Self {
        Self { name, reader: Reader::Value { decoder, sealed: None, mask: None } }
    }

    /// The number of columns of the statement's rows that it is decoded from.
    pub fn width(&self) -> usize {
        match self.reader {
            Reader::Local => 2,
            Reader::Value { .. } | Reader::Row(_) | Reader::Rows { .. } => 1,
        }
    }

    /// Decodes the member from bytes of the type `oid`. The flag tells whether related rows were left out.
    ///
    /// # Errors
    ///
    /// `internal` if the bytes are not of the type.
    pub fn read(&self, oid: u32, raw: Option<&[u8]>) -> Result<(Value, bool)> {
        let Some(raw) = raw else { return Ok((Value::Null, false)) };
        match &self.reader {
            Reader::Value { decoder, sealed, mask: Some(mask) } => {
                Ok((mask.read(decoder, *sealed, oid, raw)?, false))
            }
            Reader::Value { decoder, sealed, mask: None } => {
                decoder.expect(oid)?;
                let value = decoder.decode(Some(raw))?;
                Ok((if let Some(sealed) = sealed { sealed.open(&value) } else { value }, false))
            }
            // Without the local time, in UTC.
            Reader::Local => Ok((local(Some(raw), None)?, false)),
            Reader::Row(outputs) => Ok((self.row(outputs, raw)?, false)),
            Reader::Rows { outputs, most, longest, .. } => {
                let elements = elements(raw)?;
                let fits = |raw: &[u8]| (1..=*longest).contains(&raw.len());
                if !elements.iter().flatten().all(|raw| fits(raw)) {
                    return Err(self.too_long());
                }
                // As for the whole reply: a limit of 0 is not reported as a cut.
                let cut = elements.len() > *most && *most > 0;
                let rows = elements.into_iter().take(*most).flatten();
                let rows: Result<Vec<Value>> = rows.map(|raw| self.row(outputs, raw)).collect();
                Ok((Value::Array(rows?), cut))
            }
        }
    }

    /// A related row as an object.
    fn row(&self, outputs: &[Output<'_>], raw: &[u8]) -> Result<Value> {
        let place = || format!("/include{}", step(self.name));
        let mut members = Map::with_capacity(outputs.len());
        for (output, field) in outputs.iter().zip(fields(raw)?) {
            let (oid, raw) = field?;
            let (value, cut) = output.read(oid, raw).map_err(|error| error.inside(&place()))?;
            members.insert(output.name.to_owned(), value);
            if let (true, Some(mark)) = (cut, output.mark()) {
                members.insert(mark.to_owned(), Value::Bool(true));
            }
        }
        Ok(Value::Object(members))
    }

    /// The error if related rows have more bytes than there is room for.
    fn too_long(&self) -> Error {
        let name = self.name;
        Error::exceeded("max_reply_bytes", format!("the rows of {name} have too many bytes"))
            .at(format!("/include{}", step(name)))
            .hint(format!(
                "use a smaller limit for {name}, or leave out its long columns or what it includes"
            ))
    }

    /// The size of the member in bytes. Masked values count nothing, because their size would reveal something.
    pub fn weight(&self, raw: &[u8]) -> usize {
        match &self.reader {
            Reader::Value { mask: Some(_), .. } => 0,
            Reader::Value { .. } | Reader::Local => raw.len(),
            Reader::Row(outputs) => weight(outputs, raw),
            Reader::Rows { outputs, most, .. } => {
                let elements = elements(raw).unwrap_or_default();
                elements.into_iter().take(*most).flatten().map(|raw| weight(outputs, raw)).sum()
            }
        }
    }

    /// The name of the member that reports that related rows were left out.
    pub fn mark(&self) -> Option<&str> {
        match &self.reader {
            Reader::Rows { mark, .. } => Some(mark),
            _ => None,
        }
    }
}

/// The size of a related row, as [`Output::weight`] counts it; 0 if it cannot be decoded, which is reported later.
fn weight(outputs: &[Output<'_>], raw: &[u8]) -> usize {
    let Ok(fields) = fields(raw) else { return 0 };
    let members = outputs.iter().zip(fields).filter_map(|(output, field)| {
        let (_, raw) = field.ok()?;
        Some(output.weight(raw?))
    });
    members.sum()
}
