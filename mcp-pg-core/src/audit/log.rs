//! The audit file itself: found, locked, continued and appended to, one batch of records at a time.
//!
//! Knows files and the chain; not events, queues or who waits.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::chain::{self, Head, LINE_MOST};

/// An append-only file of chained records, which other processes may append to as well.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// The file as this process last left it.
    known: End,
}

/// A file, and how far it is a whole chain.
#[derive(Debug)]
struct End {
    /// Held open, so that its identity is not given to another file.
    file: File,
    length: u64,
    head: Head,
}

impl Log {
    /// Opens or creates the file and finds the end of its chain.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, read or written, or its last complete line is not a record.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let known = find_end(lock(path)?, None)?;
        known.file.unlock()?;
        Ok(Self { path: path.to_owned(), known })
    }

    /// Where the file is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Chains and writes the events, all or none; returns once they would survive a crash.
    ///
    /// # Errors
    ///
    /// As [`Log::open`]; also where records that this process has written are gone from the file. The
    /// next call tries again from the start.
    pub(super) fn append<'a>(&mut self, events: impl Iterator<Item = &'a [u8]>) -> io::Result<()> {
        // Opened anew for each batch: the file may have been moved away, or its disk have come back.
        let file = lock(&self.path)?;
        let same = identity(&file.metadata()?) == identity(&self.known.file.metadata()?);
        if !same {
            tracing::warn!(file = %self.path.display(), "the audit file was replaced; going on in the new one");
        }
        let mut end = find_end(file, same.then_some(&self.known))?;

        let mut lines = Vec::new();
        for event in events {
            end.head = end.head.append(event, &mut lines);
        }
        if let Err(error) = end.file.write_all(&lines).and_then(|()| end.file.sync_data()) {
            // Closing the file, on the way out, releases the lock.
            if let Err(error) = end.file.set_len(end.length) {
                tracing::error!(file = %self.path.display(), %error, "cannot take back half-written audit records");
            }
            return Err(error);
        }
        end.length = end.length.saturating_add(lines.len() as u64);
        end.file.unlock()?;
        self.known = end;
        Ok(())
    }
}

/// Opens or creates the file and waits until no other process is writing to it.
fn lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    file.lock()?;
    if cfg!(unix) && file.metadata()?.len() == 0 {
        // A new file is lost in a crash unless its directory is written, too.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(file)
}

/// The end of the chain in a locked file, of which `known` was the end when this process last wrote.
fn find_end(file: File, known: Option<&End>) -> io::Result<End> {
    let length = file.metadata()?.len();
    if let Some(known) = known.filter(|known| known.length == length) {
        return Ok(End { file, length, head: known.head.clone() });
    }
    let last = last_line(&file, length)?;
    if known.is_some_and(|known| last.end < known.length) {
        return Err(invalid("records are gone from its end; keep it, and move it away to go on"));
    }
    let head = if last.is_empty() {
        Head::start()
    } else {
        let line = read_range(&file, &last)?;
        let link = chain::read(line.strip_suffix(b"\n").unwrap_or(&line));
        link.map_err(|_| invalid("its last line is not an audit record, or was changed"))?.head
    };
    if last.end < length {
        tracing::warn!(
            bytes = length - last.end,
            "the audit file ends in a torn record, which was never acknowledged; cutting it off"
        );
        file.set_len(last.end)?;
    }
    Ok(End { file, length: last.end, head })
}

/// Where the last complete line is, newline included; empty if there is none.
fn last_line(file: &File, length: u64) -> io::Result<Range<u64>> {
    let end = line_start(file, length)?;
    Ok(line_start(file, end.saturating_sub(1))?..end)
}

/// Where the line that `offset` is in begins: after the last newline before it.
fn line_start(file: &File, offset: u64) -> io::Result<u64> {
    const BLOCK: u64 = 64 << 10;
    let mut end = offset;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let block = read_range(file, &(start..end))?;
        if let Some(newline) = block.iter().rposition(|byte| *byte == b'\n') {
            return Ok(start + newline as u64 + 1);
        }
        end = start;
    }
    Ok(0)
}

fn read_range(mut file: &File, range: &Range<u64>) -> io::Result<Vec<u8>> {
    let size = range.end.saturating_sub(range.start);
    if size > LINE_MOST as u64 {
        return Err(invalid("its last line is longer than any audit record"));
    }
    file.seek(SeekFrom::Start(range.start))?;
    let mut bytes = Vec::new();
    file.take(size).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn invalid(reason: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// What tells a file from another that has taken its name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Option<std::time::SystemTime> {
    metadata.created().ok()
}
