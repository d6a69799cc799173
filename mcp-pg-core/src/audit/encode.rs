//! Events as the text of records, with limits.
//!
//! Knows sizes and JSON, but not where the record is written.

use serde::Deserialize;
use serde_json::{Value, json};

use super::chain::{FRAME_MOST, LINE_MOST};
use super::{Event, unavailable};
use crate::error::{Code, Error, Result};

/// The most bytes of the arguments, an image or the statements in a record.
pub(crate) const PART_MOST: usize = 1 << 20;

/// The most bytes of a tool's or client's name, which clients choose.
const NAME_MOST: usize = 256;

/// A name, shortened.
pub(crate) fn name(given: &str) -> String {
    match given.get(..given.floor_char_boundary(NAME_MOST)) {
        Some(start) if start.len() < given.len() => format!("{start}… ({} bytes)", given.len()),
        _ => given.to_owned(),
    }
}

/// An event as the text of its record, without its place in a chain.
#[derive(Debug)]
pub(crate) struct Encoded(Vec<u8>);

impl TryFrom<Event> for Encoded {
    type Error = Error;

    /// Replaces parts of more than 1 MiB. `audit_unavailable` if the rest is too large.
    fn try_from(event: Event) -> Result<Self> {
        encode(event).map(Self)
    }
}

impl Encoded {
    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The `id` of the record.
    pub(crate) fn id(&self) -> Option<String> {
        #[derive(Deserialize)]
        struct Named {
            id: String,
        }
        serde_json::from_slice::<Named>(&self.0).ok().map(|named| named.id)
    }

    /// The size in bytes, which is far below 4 GiB.
    pub(super) fn size(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}

fn encode(mut event: Event) -> Result<Vec<u8>> {
    let mut text = serialise(&event)?;
    if text.len() > PART_MOST {
        for part in [&mut event.arguments, &mut event.before, &mut event.after] {
            if let Some(value) = part
                && let Some(mark) = omitted(&serialise(value)?)
            {
                *value = mark;
            }
        }
        if let Some(mark) = omitted(&serialise(&event.sql)?) {
            event.sql = vec![mark.to_string()];
        }
        text = serialise(&event)?;
    }
    if text.len() > LINE_MOST - FRAME_MOST {
        return Err(unavailable("the record is too large"));
    }
    Ok(text)
}

/// The replacement of a part, if it is too large.
fn omitted(text: &[u8]) -> Option<Value> {
    (text.len() > PART_MOST).then(|| json!({"omitted": format!("{} bytes", text.len())}))
}

fn serialise(value: &impl serde::Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| {
        Error::new(Code::Internal, "the audit record cannot be written as JSON").caused_by(error)
    })
}
