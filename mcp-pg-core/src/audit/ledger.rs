//! Assigns records of the audit table to chains. Several processes and concurrent transactions write to the table.
//!
//! Knows text and hashes, but not the table, nor how a transaction ends until it is told.
//!
//! Each running transaction holds a chain of its own; another one continues or begins a different chain. So no
//! transaction waits for another, and one that is rolled back leaves its chain unchanged. If all records of a chain
//! were deleted, nothing in it would show that. So each record also names the ends of other chains that no record has
//! named before (`joins`).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Deserialize;
use serde_json::json;

use super::Encoded;
use super::chain::{Head, members};

/// The most ends of other chains that a record names.
const JOINS_MOST: usize = 64;

/// This process's chains in an audit table.
#[derive(Debug)]
pub(crate) struct Ledger {
    chains: Mutex<Chains>,
    letters: Letters,
}

/// The characters that the database's encoding accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Letters {
    /// All, in UTF8.
    All,
    /// ASCII. Other characters are written as JSON escapes, and these are escaped once more: PostgreSQL converts an
    /// escape to the character as soon as it reads the JSON.
    Ascii,
}

#[derive(Debug, Default)]
struct Chains {
    /// Chains that no transaction holds. The last one is used next.
    idle: Vec<Chain>,
    /// Hashes of records that no other record names yet.
    loose: Vec<String>,
}

#[derive(Debug)]
struct Chain {
    id: String,
    head: Head,
}

/// The records of a transaction, at the end of a chain that is held until the transaction has ended.
///
/// If this is dropped, because the connection was lost during the commit, the chain is not continued: it may end with
/// these records or before them.
#[derive(Debug)]
pub(crate) struct Entry {
    ledger: Arc<Ledger>,
    chain: Option<Chain>,
    next: Head,
    joins: Vec<String>,
    records: Vec<String>,
}

impl Ledger {
    /// Continues after the newest records of the table, given in any order, by naming those that none of the others
    /// names.
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

    /// The records of these events, for one transaction.
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
    /// A chain that no transaction holds, and the ends that its next record names.
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
    /// The records, in order.
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

    /// The transaction was certainly rolled back.
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
    /// Notes that no record names this end.
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

/// The event between its chain and the named ends.
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

/// Copies JSON text with this mark in place of each NUL, which PostgreSQL's JSON cannot contain.
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

/// Copies JSON text with each character beyond ASCII escaped twice.
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
