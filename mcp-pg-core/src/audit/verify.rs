//! Verifies the chain of an audit log.
//!
//! Knows the chain, but not the content of records.

mod table;

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Take};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Deserialize;

pub(crate) use table::Ledgers;

use super::chain::{self, Head, LINE_MOST, Unreadable};
use super::log::{target, wait};
use super::rotation;

/// How long a server may hold the file's lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result of [`verify`] for a complete log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The number of records.
    pub records: u64,
    /// The hash of the last record; 64 zeros if there is none. Stored elsewhere, it can later prove that no records
    /// were removed from the end.
    pub last_hash: String,
}

/// The first fault of a log. All lines before it are valid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The line, from 1. For a table, the position.
    pub line: u64,
    /// The `seq` of the record, if it can be read.
    pub seq: Option<u64>,
    /// What is wrong with it.
    pub reason: Reason,
}

/// The kind of fault in a line of an audit log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its hash is not that of its content: it was changed.
    Altered,
    /// Its number does not follow the one before: records were removed, inserted or moved.
    OutOfSequence {
        /// The expected number.
        expected: u64,
    },
    /// Its `prev` is not the hash of the record before, which was replaced.
    Unlinked,
    /// It names the end of another chain that does not exist: records were removed.
    Untied,
    /// It is not an audit record.
    NotARecord,
    /// It is the last line and has no newline: its write was interrupted, and never reported as done.
    Torn,
    /// The rest of the log cannot be read.
    Unreadable(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Altered => f.write_str("its hash is not that of its content: it was changed"),
            Reason::OutOfSequence { expected } => write!(
                f,
                "number {expected} should be here: records were removed, inserted or moved"
            ),
            Reason::Unlinked => f.write_str(
                "its prev is not the hash of the record before: one of them was replaced",
            ),
            Reason::Untied => f.write_str(
                "it names a record of another chain that is not there: that one was removed or replaced",
            ),
            Reason::NotARecord => f.write_str("it is not an audit record"),
            Reason::Torn => f.write_str(
                "the last line is torn: a crash cut the writing short, before anyone was told that \
                 the record is kept; the server cuts it off when it next starts",
            ),
            Reason::Unreadable(error) => write!(f, "the log cannot be read on: {error}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(seq) = self.seq {
            write!(f, " (seq {seq})")?;
        }
        write!(f, ": {}", self.reason)
    }
}

impl std::error::Error for Fault {}

/// Verifies every record's hash, its number and its link to the one before, in one pass and with the memory of the
/// longest line.
///
/// The log alone does not show whether records were removed from its end: compare [`Verified::last_hash`] with one
/// stored elsewhere. Nor does it show that all records from some point on were replaced by a new chain. For the file
/// of a running server, see [`snapshot`].
///
/// # Errors
///
/// The first fault.
///
/// ```
/// use mcp_pg_core::audit::{Reason, verify};
///
/// assert_eq!(verify(&b""[..]).unwrap().records, 0);
/// assert_eq!(verify(&b"{}\n"[..]).unwrap_err().reason, Reason::NotARecord);
/// ```
pub fn verify(log: impl BufRead) -> Result<Verified, Fault> {
    let head = go_on(Head::start(), log)?;
    Ok(Verified { records: head.seq, last_hash: head.hash })
}

/// Verifies the current state of a running server's file, after all parts that were rotated from it: see
/// [`FileSink::rotating`](super::FileSink::rotating). The inner result is the first fault, with the file that
/// contains it.
///
/// # Errors
///
/// A file cannot be opened or read.
pub fn verify_file(path: &Path) -> io::Result<Result<Verified, (PathBuf, Fault)>> {
    verify_parts(path, None)
}

/// The same if older parts were moved away: the first record that is there has to follow the record with this hash.
///
/// # Errors
///
/// Those of [`verify_file`].
pub fn verify_file_after(
    path: &Path,
    hash: &str,
) -> io::Result<Result<Verified, (PathBuf, Fault)>> {
    verify_parts(path, Some(hash))
}

fn verify_parts(
    path: &Path,
    after: Option<&str>,
) -> io::Result<Result<Verified, (PathBuf, Fault)>> {
    let path = target(path);
    let file = rotation::file_of(&path);
    let mut parts = Vec::new();
    let mut least = u64::MAX;
    let mut before = Some(path);
    while let Some(part) = before {
        let mut log = snapshot(&part)?;
        before = match first_seq(&mut log)? {
            // A forged number must not lead to an endless loop.
            Some(seq) if seq < least => {
                least = seq;
                seq.checked_sub(1).map(|seq| rotation::name(&file, seq))
            }
            None if parts.is_empty() => rotation::newest(&file)?.map(|(_, part)| part),
            _ => None,
        };
        before = before.filter(|part| part.exists());
        parts.push((part, log));
    }
    let before = least.checked_sub(1).filter(|_| least < u64::MAX).unwrap_or_default();
    let mut head = match after {
        Some(hash) => Head { seq: before, hash: hash.to_owned() },
        None => Head::start(),
    };
    let gone = head.seq;
    for (path, log) in parts.into_iter().rev() {
        head = match go_on(head, log) {
            Ok(head) => head,
            Err(fault) => return Ok(Err((path, fault))),
        };
    }
    Ok(Ok(Verified { records: head.seq.saturating_sub(gone), last_hash: head.hash }))
}

/// The number of the first record. The log is left at its beginning.
fn first_seq(log: &mut BufReader<Take<File>>) -> io::Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Place {
        seq: u64,
    }
    let mut line = Vec::new();
    log.by_ref().take(LINE_MOST as u64).read_until(b'\n', &mut line)?;
    let limit = log.get_ref().limit() + log.buffer().len() as u64 + line.len() as u64;
    let mut file = log.get_ref().get_ref().try_clone()?;
    file.rewind()?;
    *log = BufReader::new(file.take(limit));
    // An invalid record is reported when the file is verified.
    Ok(serde_json::from_slice::<Place>(&line).ok().map(|place| place.seq))
}

/// Verifies a log that continues from `head`, and returns the new head.
fn go_on(mut head: Head, mut log: impl BufRead) -> Result<Head, Fault> {
    let mut line = Vec::new();
    for place in 1.. {
        let fault = |seq, reason| Fault { line: place, seq, reason };

        line.clear();
        let read = log.by_ref().take(LINE_MOST as u64).read_until(b'\n', &mut line);
        let size = read.map_err(|error| fault(None, Reason::Unreadable(error.to_string())))?;
        if size == 0 {
            break;
        }
        let Some(record) = line.strip_suffix(b"\n") else {
            let reason = if size < LINE_MOST { Reason::Torn } else { Reason::NotARecord };
            return Err(fault(None, reason));
        };
        let link = chain::read(record).map_err(|unreadable| match unreadable {
            Unreadable::Malformed => fault(None, Reason::NotARecord),
            Unreadable::Altered { seq } => fault(seq, Reason::Altered),
        })?;
        let expected = head.seq.saturating_add(1);
        if link.head.seq != expected {
            return Err(fault(Some(link.head.seq), Reason::OutOfSequence { expected }));
        }
        if link.prev != head.hash {
            return Err(fault(Some(expected), Reason::Unlinked));
        }
        head = link.head;
    }
    Ok(head)
}

/// Opens an audit file for [`verify`] in its current state, while servers continue to write to it.
///
/// Waits until no record is being written, and ignores later records.
///
/// # Errors
///
/// The file cannot be opened, is a pipe or similar, or its lock is held for too long.
pub fn snapshot(path: &Path) -> io::Result<BufReader<Take<File>>> {
    // Opening a pipe blocks until it has a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    wait(Instant::now() + PATIENCE, || file.try_lock_shared())?;
    let length = file.metadata()?.len();
    file.unlock()?;
    Ok(BufReader::new(file.take(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of four records, as lines with their newlines.
    fn lines() -> Vec<String> {
        let mut head = Head::start();
        let record = |id: u32| {
            let mut line = Vec::new();
            head = head.append(format!("{{\"id\":\"call {id}\"}}").as_bytes(), &mut line);
            String::from_utf8(line).unwrap()
        };
        (1..=4).map(record).collect()
    }

    fn fault(lines: &[String]) -> (u64, Option<u64>, Reason) {
        let Fault { line, seq, reason } = verify(lines.concat().as_bytes()).unwrap_err();
        (line, seq, reason)
    }

    #[test]
    fn a_whole_log_passes() {
        let lines = lines();
        let verified = verify(lines.concat().as_bytes()).unwrap();
        assert_eq!(verified.records, 4);
        assert!(lines[3].contains(&verified.last_hash));
    }

    #[test]
    fn any_changed_byte_is_found_in_its_line() {
        let lines = lines();
        let whole = lines.concat();
        let second = lines[0].len()..lines[0].len() + lines[1].len();
        for place in second {
            let mut changed = whole.clone().into_bytes();
            changed[place] ^= 1;
            assert_eq!(verify(&changed[..]).unwrap_err().line, 2, "byte {place}");
        }
        let mut changed = lines;
        changed[1] = changed[1].replace("call 2", "call 9");
        assert_eq!(fault(&changed), (2, Some(2), Reason::Altered));
    }

    #[test]
    fn removed_moved_and_inserted_records_are_found() {
        let mut removed = lines();
        removed.remove(1);
        assert_eq!(fault(&removed), (2, Some(3), Reason::OutOfSequence { expected: 2 }));

        let mut headless = lines();
        headless.remove(0);
        assert_eq!(fault(&headless), (1, Some(2), Reason::OutOfSequence { expected: 1 }));

        let mut moved = lines();
        moved.swap(1, 2);
        assert_eq!(fault(&moved), (2, Some(3), Reason::OutOfSequence { expected: 2 }));

        let mut repeated = lines();
        repeated.insert(2, repeated[1].clone());
        assert_eq!(fault(&repeated), (3, Some(2), Reason::OutOfSequence { expected: 3 }));

        let mut replaced = lines();
        let mut forged = Vec::new();
        let first = chain::read(replaced[0].trim_end().as_bytes()).unwrap().head;
        first.append(br#"{"id":"forged"}"#, &mut forged);
        replaced[1] = String::from_utf8(forged).unwrap();
        assert_eq!(fault(&replaced), (3, Some(3), Reason::Unlinked));

        let mut foreign = lines();
        foreign.insert(2, "\n".into());
        assert_eq!(fault(&foreign), (3, None, Reason::NotARecord));
    }

    #[test]
    fn a_torn_end_is_told_apart() {
        let whole = lines().concat();
        let last = lines()[3].len();
        for cut in [1, 2, last - 1] {
            let torn = verify(&whole.as_bytes()[..whole.len() - cut]).unwrap_err();
            assert_eq!(torn, Fault { line: 4, seq: None, reason: Reason::Torn });
        }
    }

    #[test]
    fn a_log_whose_beginning_was_moved_away_follows_the_hash_that_was_kept() {
        let directory = std::env::temp_dir().join(format!("mcp-pg-parts-{}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        let log = directory.join("audit.jsonl");
        let lines = lines();
        let hash = |line: usize| chain::read(lines[line].trim_end().as_bytes()).unwrap().head.hash;
        std::fs::write(rotation::name(&log, 3), lines[1..3].concat()).unwrap();
        std::fs::write(&log, &lines[3]).unwrap();
        let (_, headless) = verify_file(&log).unwrap().unwrap_err();
        assert_eq!(headless.reason, Reason::OutOfSequence { expected: 1 });
        let whole = Verified { records: 3, last_hash: hash(3) };
        assert_eq!(verify_file_after(&log, &hash(0)).unwrap(), Ok(whole));
        let (part, other) = verify_file_after(&log, &hash(1)).unwrap().unwrap_err();
        assert_eq!((part, other.reason), (rotation::name(&log, 3), Reason::Unlinked));
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn only_a_file_is_verified() {
        for path in ["/dev/null", "/dev", "/dev/zero"] {
            let refused = verify_file(Path::new(path)).unwrap_err();
            assert_eq!(refused.to_string(), "it is not a regular file", "{path}");
        }
    }

    #[test]
    fn an_endless_line_does_not_fill_the_memory() {
        let endless = BufReader::new(io::repeat(b'x'));
        assert_eq!(verify(endless).unwrap_err().reason, Reason::NotARecord);
    }
}
