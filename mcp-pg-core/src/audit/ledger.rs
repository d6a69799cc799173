//! The records of a table that several processes and concurrent transactions write to: which chain each
//! one continues, and which ends of other chains it ties in.
//!
//! Knows text and hashes; not the table, nor how a transaction ends before it is told.
//!
//! A transaction that is under way holds a chain of its own: another one begins or continues a different
//! chain. So none waits for another, and one that is rolled back leaves its chain where it was. As a new
//! chain would be lost without a trace if all of its records were deleted, each record ties in the ends of
//! other chains that no record has named before (`joins`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::json;

use super::Encoded;
use super::chain::{Head, members};

/// Most ends of other chains that one record ties in.
const JOINS_MOST: usize = 64;

/// The chains of this process in one audit table.
#[derive(Debug)]
pub(crate) struct Ledger {
    chains: Mutex<Chains>,
    letters: Letters,
}

/// Which letters a database takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    /// All: its encoding is UTF8.
    All,
    /// Those of ASCII. Others are written as the escapes of JSON, which stand in the text itself: of an escape,
    /// PostgreSQL wants the letter as soon as it looks into the text.
    Ascii,
}

#[derive(Debug, Default)]
struct Chains {
    /// Those that no transaction holds; the last one is used next.
    idle: Vec<Chain>,
    /// Hashes of records that no other one names yet.
    loose: Vec<String>,
}

#[derive(Debug)]
struct Chain {
    id: String,
    head: Head,
}

/// Records for one transaction, at the end of a chain that nobody else continues until it is settled.
///
/// Dropped unsettled, as when the connection is lost during the commit, its chain is not continued: it may
/// end with these records, or before them.
#[derive(Debug)]
pub(crate) struct Entry {
    ledger: Arc<Ledger>,
    chain: Option<Chain>,
    next: Head,
    joins: Vec<String>,
    records: Vec<String>,
}

impl Ledger {
    /// Goes on after the newest records of the table, in any order: it ties in those that none of the
    /// others names.
    pub(crate) fn after<'a>(
        newest: impl IntoIterator<Item = &'a str>,
        letters: Letters,
    ) -> Arc<Self> {
        #[derive(Deserialize)]
        struct Ends {
            hash: String,
            prev: String,
            #[serde(default)]
            joins: Vec<String>,
        }
        let read =
            newest.into_iter().filter_map(|record| serde_json::from_str::<Ends>(record).ok());
        let ends: Vec<Ends> = read.collect();
        let named =
            |hash: &String| ends.iter().any(|end| end.prev == *hash || end.joins.contains(hash));
        let loose = ends.iter().map(|end| &end.hash).filter(|hash| !named(hash)).cloned().collect();
        Arc::new(Self { chains: Mutex::new(Chains { idle: Vec::new(), loose }), letters })
    }

    /// The records of these events, to be written in one transaction and then settled.
    pub(crate) fn entry<'a>(
        self: &Arc<Self>,
        events: impl IntoIterator<Item = &'a Encoded>,
    ) -> Entry {
        let (chain, joins) = self.chains().take();
        let mut next = chain.head.clone();
        let mut records = Vec::new();
        for event in events {
            let mut record = Vec::new();
            let joins = if records.is_empty() { joins.as_slice() } else { &[] };
            next =
                next.append(&placed(&chain.id, joins, event.as_bytes(), self.letters), &mut record);
            record.pop();
            records.push(String::from_utf8_lossy(&record).into_owned());
        }
        Entry { ledger: Arc::clone(self), chain: Some(chain), next, joins, records }
    }

    fn chains(&self) -> MutexGuard<'_, Chains> {
        self.chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Chains {
    /// A chain that nobody holds, and the loose ends that its next record names.
    fn take(&mut self) -> (Chain, Vec<String>) {
        let chain = self.idle.pop().unwrap_or_else(|| Chain {
            id: uuid::Uuid::now_v7().simple().to_string(),
            head: Head::start(),
        });
        self.loose.retain(|hash| *hash != chain.head.hash);
        let joins = self.loose.drain(..self.loose.len().min(JOINS_MOST)).collect();
        (chain, joins)
    }
}

impl Entry {
    /// The records, in their order.
    pub(crate) fn records(&self) -> &[String] {
        &self.records
    }

    /// The transaction was committed.
    pub(crate) fn kept(mut self) {
        if let Some(mut chain) = self.chain.take() {
            chain.head = self.next.clone();
            let mut chains = self.ledger.chains();
            chains.loosen(&chain.head);
            chains.idle.push(chain);
        }
    }

    /// The transaction was rolled back, for certain.
    pub(crate) fn undone(mut self) {
        if let Some(chain) = self.chain.take() {
            let mut chains = self.ledger.chains();
            chains.loose.append(&mut self.joins);
            chains.loosen(&chain.head);
            chains.idle.push(chain);
        }
    }
}

impl Chains {
    /// No record names this end, as far as is known.
    fn loosen(&mut self, end: &Head) {
        if end.seq > 0 {
            self.loose.push(end.hash.clone());
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Some(chain) = self.chain.take() {
            let mut chains = self.ledger.chains();
            chains.loose.append(&mut self.joins);
            chains.loosen(&chain.head);
        }
    }
}

/// The event with its chain before it and the joined ends after it.
fn placed(chain: &str, joins: &[String], event: &[u8], letters: Letters) -> Vec<u8> {
    let mut text = format!("{{\"chain\":\"{chain}\",").into_bytes();
    match letters {
        Letters::All => without_nul(members(event), b"\\ufffd", &mut text),
        Letters::Ascii => {
            let mut all = Vec::new();
            without_nul(members(event), b"\\\\ufffd", &mut all);
            in_ascii(&all, &mut text);
        }
    }
    if !joins.is_empty() {
        text.extend_from_slice(format!(",\"joins\":{}", json!(joins)).as_bytes());
    }
    text.push(b'}');
    text
}

/// Copies JSON text with this mark for each NUL: PostgreSQL cannot take such a text apart.
fn without_nul(json: &[u8], mark: &[u8], copy: &mut Vec<u8>) {
    let mut rest = json;
    while let Some(place) = rest.iter().position(|byte| *byte == b'\\') {
        let (before, escape) = rest.split_at(place);
        copy.extend_from_slice(before);
        let width = if escape.starts_with(b"\\u0000") { 6 } else { escape.len().min(2) };
        let (escape, after) = escape.split_at(width);
        copy.extend_from_slice(if width == 6 { mark } else { escape });
        rest = after;
    }
    copy.extend_from_slice(rest);
}

/// Copies JSON text, each letter beyond ASCII as the text of its escape.
fn in_ascii(json: &[u8], copy: &mut Vec<u8>) {
    for letter in String::from_utf8_lossy(json).chars() {
        match u8::try_from(letter) {
            Ok(byte) if byte.is_ascii() => copy.push(byte),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    copy.extend_from_slice(format!("\\\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
}
