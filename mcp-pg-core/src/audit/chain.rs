//! The chain of records: which bytes are hashed, and how a line is written and read.
//!
//! Knows bytes only, not files; of a record, only its place in the chain.
//!
//! A line is a JSON object whose first member is `seq` and whose last two are `prev` and `hash`:
//!
//! ```text
//! {"seq":7, …the event… ,"prev":"<64 hex digits>","hash":"<64 hex digits>"}
//! ```
//!
//! `hash` is the SHA-256, in lower-case hex, of the bytes of the line without its `,"hash":"…"` and
//! without the newline: of what would be the line if there were no hash. `prev` is the `hash` of the line
//! before, 64 zeros in the first. `seq` counts from 1.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::name::hex;

/// The most bytes of a line, with its newline. A longer record is refused.
pub(super) const LINE_MOST: usize = 16 << 20;

/// The text around the hash at the end of a line.
const HASH_OPENS: &[u8] = b",\"hash\":\"";
const HASH_CLOSES: &[u8] = b"\"}";
const HASH_DIGITS: usize = 64;

/// The most bytes of a line besides the event: `seq`, `prev`, `hash` and the newline.
pub(super) const FRAME_MOST: usize = 256;

/// The end of a chain, which the next record continues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The last record's number; 0 before the first.
    pub(super) seq: u64,
    /// The last record's hash; 64 zeros before the first.
    pub(super) hash: String,
}

/// Why a line is not a valid record.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// It does not have the form of a record.
    Malformed,
    /// Its hash is not that of its content.
    Altered {
        /// Its `seq`.
        seq: Option<u64>,
    },
}

/// The place of a valid record in the chain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The hash of the record before.
    pub(super) prev: String,
    /// The end of the chain after this record.
    pub(super) head: Head,
}

impl Head {
    /// The end before the first record.
    pub(super) fn start() -> Self {
        Self { seq: 0, hash: "0".repeat(HASH_DIGITS) }
    }

    /// Appends the next line of the chain, with its newline, to `lines`. Returns the new end.
    ///
    /// `event` is a JSON object of at least one member, as text.
    pub(super) fn append(&self, event: &[u8], lines: &mut Vec<u8>) -> Head {
        let members = members(event);
        let seq = self.seq.saturating_add(1);
        let begin = lines.len();
        lines.extend_from_slice(format!("{{\"seq\":{seq},").as_bytes());
        lines.extend_from_slice(members);
        lines.extend_from_slice(format!(",\"prev\":\"{}\"", self.hash).as_bytes());
        let hash = hash(lines.get(begin..).unwrap_or_default());
        lines.extend_from_slice(HASH_OPENS);
        lines.extend_from_slice(hash.as_bytes());
        lines.extend_from_slice(HASH_CLOSES);
        lines.push(b'\n');
        Head { seq, hash }
    }
}

/// The content between the braces of a JSON object.
pub(super) fn members(object: &[u8]) -> &[u8] {
    let members = object.strip_prefix(b"{").unwrap_or(object);
    members.strip_suffix(b"}").unwrap_or(members)
}

/// Reads a line without its newline, and verifies its hash.
pub(super) fn read(line: &[u8]) -> Result<Link, Unreadable> {
    #[derive(Deserialize)]
    struct Place {
        seq: u64,
        prev: String,
    }
    let (body, written) = split(line).ok_or(Unreadable::Malformed)?;
    let place = serde_json::from_slice::<Place>(line);
    if hash(body).as_bytes() != written {
        return Err(Unreadable::Altered { seq: place.ok().map(|place| place.seq) });
    }
    let Place { seq, prev } = place.map_err(|_| Unreadable::Malformed)?;
    let hash = String::from_utf8_lossy(written).into_owned();
    Ok(Link { prev, head: Head { seq, hash } })
}

/// A line without the hash and the closing brace, and the digits of the hash.
fn split(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, digits) = {
        let open = line.strip_suffix(HASH_CLOSES)?;
        open.split_at_checked(open.len().checked_sub(HASH_DIGITS)?)?
    };
    Some((rest.strip_suffix(HASH_OPENS)?, digits))
}

/// SHA-256 of a line's members with the closing brace, in lower-case hex.
fn hash(members: &[u8]) -> String {
    hex(&Sha256::new().chain_update(members).chain_update(b"}").finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_hashed_without_its_hash() {
        let mut line = Vec::new();
        let head = Head::start().append(br#"{"id":"a"}"#, &mut line);
        let zeros = "0".repeat(64);
        let bare = format!(r#"{{"seq":1,"id":"a","prev":"{zeros}"}}"#);
        let digest = hex(&Sha256::digest(bare.as_bytes()));
        let expected = format!("{},\"hash\":\"{digest}\"}}\n", &bare[..bare.len() - 1]);
        assert_eq!(String::from_utf8(line).unwrap(), expected);
        assert_eq!(head, Head { seq: 1, hash: digest });
    }

    #[test]
    fn what_is_written_is_read() {
        let mut lines = Vec::new();
        let first = Head::start().append(br#"{"id":"a"}"#, &mut lines);
        let begin = lines.len();
        let second = first.append(br#"{"hash":"in the event"}"#, &mut lines);
        let link = read(&lines[begin..lines.len() - 1]).unwrap();
        assert_eq!(link, Link { prev: first.hash, head: second });
        assert!(lines.len() - begin <= FRAME_MOST);
    }

    #[test]
    fn what_is_no_record_is_told_from_a_changed_one() {
        let mut line = Vec::new();
        Head::start().append(br#"{"id":"a"}"#, &mut line);
        line.pop();
        for cut in [0, 1, 2, 66, 75, line.len() - 1] {
            assert_eq!(read(&line[..cut]), Err(Unreadable::Malformed));
        }
        let changed = String::from_utf8(line).unwrap().replace("\"a\"", "\"b\"");
        assert_eq!(read(changed.as_bytes()), Err(Unreadable::Altered { seq: Some(1) }));
    }
}
