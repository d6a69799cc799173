//! Checks the records of an audit table, which are several chains tied to each other.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::{Fault, Reason, Verified};
use crate::audit::chain::{self, Head, Unreadable};

/// The chains of an audit table, as far as they have been read.
///
/// Checks every record's hash, that it follows the one before in its chain, and that the ends of other
/// chains that it ties in are there. As each record names those that were there before it, a removed one is
/// found unless no later record names it: records missing at the very end cannot be seen from the table
/// alone. Holds 16 bytes for each record.
#[derive(Debug, Default)]
pub(crate) struct Ledgers {
    heads: HashMap<String, Head>,
    known: HashSet<u128>,
    last: Option<String>,
    records: u64,
}

#[derive(Deserialize)]
struct Ties {
    chain: String,
    #[serde(default)]
    joins: Vec<String>,
}

impl Ledgers {
    /// Checks the next record, in the order of their positions.
    ///
    /// # Errors
    ///
    /// What is wrong with it; the ones before it are whole.
    pub(crate) fn check(&mut self, position: u64, record: &str) -> Result<(), Fault> {
        let fault = |seq, reason| Fault { line: position, seq, reason };
        let link = chain::read(record.as_bytes()).map_err(|unreadable| match unreadable {
            Unreadable::Malformed => fault(None, Reason::NotARecord),
            Unreadable::Altered { seq } => fault(seq, Reason::Altered),
        })?;
        let seq = link.head.seq;
        let ties: Ties =
            serde_json::from_str(record).map_err(|_| fault(Some(seq), Reason::NotARecord))?;
        let head = self.heads.entry(ties.chain).or_insert_with(Head::start);
        let expected = head.seq.saturating_add(1);
        if seq != expected {
            return Err(fault(Some(seq), Reason::OutOfSequence { expected }));
        }
        if link.prev != head.hash {
            return Err(fault(Some(seq), Reason::Unlinked));
        }
        if !ties.joins.iter().all(|hash| digest(hash).is_some_and(|d| self.known.contains(&d))) {
            return Err(fault(Some(seq), Reason::Untied));
        }
        self.known.extend(digest(&link.head.hash));
        self.last = Some(link.head.hash.clone());
        self.records += 1;
        *head = link.head;
        Ok(())
    }

    /// All records have been read, and all are whole.
    pub(crate) fn finish(self) -> Verified {
        let last_hash = self.last.unwrap_or_else(|| Head::start().hash);
        Verified { records: self.records, last_hash }
    }
}

/// The first half of a hash: more than anyone can make collide with a given one.
fn digest(hash: &str) -> Option<u128> {
    u128::from_str_radix(hash.get(..32)?, 16).ok()
}
