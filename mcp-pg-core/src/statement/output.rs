//! How the columns of a statement's rows become JSON.

use serde_json::{Map, Value};

use crate::error::Result;
use crate::policy::{Mask, MaskKey, Sealed};
use crate::value::{Decoder, elements, fields, local};

/// A member of a statement's rows.
#[derive(Debug, Clone)]
pub struct Output<'v> {
    /// Its name in the reply.
    pub name: &'v str,
    /// How to read it.
    pub reader: Reader<'v>,
}

/// How an [`Output`] is read.
#[derive(Debug, Clone)]
pub enum Reader<'v> {
    /// A value.
    Value {
        /// From which bytes.
        decoder: &'v Decoder,
        /// How to open it, if it is encrypted and the role may.
        sealed: Option<&'v Sealed>,
        /// What of it is shown.
        mask: Option<(Mask, Option<&'v MaskKey>)>,
    },
    /// A point in time, from itself and, in the column after it, what the clocks of a time zone show then.
    Local,
    /// A related row, as an object; null if there is none.
    Row(Vec<Output<'v>>),
    /// Related rows, as an array of objects.
    Rows {
        /// Their members.
        outputs: Vec<Output<'v>>,
        /// Most of them; the statement reads one more.
        most: usize,
        /// The member that is added if there were more.
        mark: String,
    },
}

impl<'v> Output<'v> {
    /// A member that is one value.
    pub fn value(name: &'v str, decoder: &'v Decoder) -> Self {
        Self { name, reader: Reader::Value { decoder, sealed: None, mask: None } }
    }

    /// How many columns of the statement's rows it is read from.
    pub fn width(&self) -> usize {
        match self.reader {
            Reader::Local => 2,
            Reader::Value { .. } | Reader::Row(_) | Reader::Rows { .. } => 1,
        }
    }

    /// The JSON of the member, whose bytes come as a type; and whether it lacks some related rows.
    ///
    /// # Errors
    ///
    /// `internal` if the bytes are not of the type.
    pub fn read(&self, oid: u32, raw: Option<&[u8]>) -> Result<(Value, bool)> {
        let Some(raw) = raw else { return Ok((Value::Null, false)) };
        match &self.reader {
            Reader::Value { decoder, sealed, mask } => {
                decoder.expect(oid)?;
                let value = decoder.decode(Some(raw))?;
                let value = match sealed {
                    None => value,
                    Some(sealed) => sealed.open(&value),
                };
                Ok((
                    match mask {
                        None => value,
                        Some((mask, key)) => mask.apply(&value, *key),
                    },
                    false,
                ))
            }
            // Without those clocks, in UTC.
            Reader::Local => Ok((local(Some(raw), None)?, false)),
            Reader::Row(outputs) => Ok((row(outputs, raw)?, false)),
            Reader::Rows { outputs, most, .. } => {
                let elements = elements(raw)?;
                // As of the whole reply: who asks for none knows that there may be some.
                let cut = elements.len() > *most && *most > 0;
                let rows = elements.into_iter().take(*most).flatten();
                let rows: Result<Vec<Value>> = rows.map(|raw| row(outputs, raw)).collect();
                Ok((Value::Array(rows?), cut))
            }
        }
    }

    /// The bytes of the member, without those that a mask hides: their number would tell something of them.
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

    /// The member that says that this one was cut, for related rows.
    pub fn mark(&self) -> Option<&str> {
        match &self.reader {
            Reader::Rows { mark, .. } => Some(mark),
            _ => None,
        }
    }
}

/// The bytes of a related row, as [`Output::weight`] counts them; of one that cannot be read, none, since that is told later.
fn weight(outputs: &[Output<'_>], raw: &[u8]) -> usize {
    let Ok(fields) = fields(raw) else { return 0 };
    let members = outputs.iter().zip(fields).filter_map(|(output, field)| {
        let (_, raw) = field.ok()?;
        Some(output.weight(raw?))
    });
    members.sum()
}

/// A related row as an object.
fn row(outputs: &[Output<'_>], raw: &[u8]) -> Result<Value> {
    let mut members = Map::with_capacity(outputs.len());
    for (output, field) in outputs.iter().zip(fields(raw)?) {
        let (oid, raw) = field?;
        let (value, cut) = output.read(oid, raw)?;
        members.insert(output.name.to_owned(), value);
        if let (true, Some(mark)) = (cut, output.mark()) {
            members.insert(mark.to_owned(), Value::Bool(true));
        }
    }
    Ok(Value::Object(members))
}
