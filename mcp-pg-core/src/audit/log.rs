//! The audit file: locked, continued, appended to in batches, and rotated.
//!
//! Knows files and the chain, but not events or queues.

use std::fs::{self, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use super::chain::{self, Head, LINE_MOST};
use super::rotation;

/// An append-only file of chained records, to which other processes may append, too.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    limits: Limits,
    /// The file's state after this process last wrote to it.
    known: End,
}

/// The limits of a file's size and of waiting for its lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The size at which the file is rotated; `None` for never.
    pub(super) bytes: Option<NonZeroU64>,
    /// How long to wait for the lock.
    pub(super) patience: Duration,
}

/// A file, and its valid length and head.
#[derive(Debug)]
struct End {
    /// Held open, so that no other file gets the same identity.
    file: File,
    length: u64,
    head: Head,
}

impl Log {
    /// Opens or creates the file and finds the end of its chain.
    ///
    /// # Errors
    ///
    /// The file cannot be opened, read or written, its last complete line is not a record, or another process holds
    /// its lock too long.
    pub(super) fn open(path: &Path, limits: Limits) -> io::Result<Self> {
        let known = find_end(path, lock(path, limits.patience)?, None)?;
        known.file.unlock()?;
        Ok(Self { path: path.to_owned(), limits, known })
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes the events, all or none. Returns once they are synced to disk.
    ///
    /// # Errors
    ///
    /// As [`Log::open`]; also if records that this process has written are missing from the file. The next call
    /// starts from the beginning.
    pub(super) fn append<'a>(
        &mut self,
        events: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> io::Result<()> {
        let (mut end, lines) = loop {
            let end = self.end()?;
            let mut head = end.head.clone();
            let mut lines = Vec::new();
            for event in events.clone() {
                head = head.append(event, &mut lines);
            }
            let length = end.length.saturating_add(lines.len() as u64);
            if end.length == 0 || self.limits.bytes.is_none_or(|most| length <= most.get()) {
                break (End { head, ..end }, lines);
            }
            // Other processes that wait for this file will notice that its name has changed.
            let path = target(&self.path);
            fs::rename(&path, rotation::name(&path, end.head.seq))?;
            self.known = end;
        };
        if let Err(error) = end.file.write_all(&lines).and_then(|()| end.file.sync_data()) {
            // Closing the file releases the lock.
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

    /// The locked file and the end of its chain.
    fn end(&self) -> io::Result<End> {
        // Opened for each batch, because the file may have been moved away, or its disk may have returned.
        let file = lock(&self.path, self.limits.patience)?;
        let same = identity(&file.metadata()?) == identity(&self.known.file.metadata()?);
        let end = find_end(&self.path, file, same.then_some(&self.known))?;
        if end.head.seq < self.known.head.seq {
            if end.head.seq > 0 && end.length == 0 {
                return Err(invalid(
                    "it was moved away alone: its older parts end before it; put it back, or move them away, too",
                ));
            }
            tracing::warn!(file = %self.path.display(), "the audit file was replaced; going on in the new one");
        }
        Ok(end)
    }
}

/// Where the file is, if its path is a symbolic link: its rotated parts are there, too.
pub(super) fn target(path: &Path) -> PathBuf {
    let is_link = fs::symlink_metadata(path).is_ok_and(|known| known.is_symlink());
    let target = is_link.then(|| path.canonicalize().ok()).flatten();
    target.unwrap_or_else(|| path.to_owned())
}

/// Opens or creates the file, and waits for its lock.
fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let deadline = Instant::now() + patience;
    let file = loop {
        let file = options.open(path)?;
        if !file.metadata()?.is_file() {
            return Err(invalid("it is not a regular file"));
        }
        wait(deadline, || file.try_lock())?;
        // While this process waited, another one may have rotated the file.
        match fs::metadata(path) {
            Ok(current) if identity(&current) == identity(&file.metadata()?) => break file,
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    };
    if cfg!(unix) && file.metadata()?.len() == 0 {
        // A crash could lose a new file unless its directory is synced, too.
        File::open(rotation::directory(&target(path)))?.sync_all()?;
    }
    Ok(file)
}

/// Tries to lock until the deadline, because another process may have stopped while it holds the lock.
pub(super) fn wait(
    deadline: Instant,
    mut attempt: impl FnMut() -> Result<(), TryLockError>,
) -> io::Result<()> {
    let mut pause = Duration::from_micros(100);
    loop {
        match attempt() {
            Ok(()) => return Ok(()),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                let reason = "another process does not let go of its lock";
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason));
            }
            Err(TryLockError::WouldBlock) => {
                thread::sleep(pause);
                pause = (pause * 2).min(Duration::from_millis(5));
            }
        }
    }
}

/// The end of the chain in a locked file. `known` is its end after this process last wrote.
fn find_end(path: &Path, file: File, known: Option<&End>) -> io::Result<End> {
    let length = file.metadata()?.len();
    if let Some(known) = known.filter(|known| known.length == length) {
        return Ok(End { file, length, head: known.head.clone() });
    }
    let last = last_line(&file, length)?;
    if known.is_some_and(|known| last.end < known.length) {
        return Err(invalid("records are gone from its end; keep it, and move it away to go on"));
    }
    let head = match last.is_empty() {
        true => before(path)?,
        false => read_head(&file, &last)?,
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

/// The head that a new file continues: that of the newest rotated part.
fn before(path: &Path) -> io::Result<Head> {
    let Some((seq, rotated)) = rotation::newest(&target(path))? else { return Ok(Head::start()) };
    let file = File::open(rotated)?;
    let last = last_line(&file, file.metadata()?.len())?;
    match read_head(&file, &last) {
        Ok(head) if head.seq == seq => Ok(head),
        _ => Err(invalid(
            "the file that was rotated before it does not end with the record of its name",
        )),
    }
}

fn read_head(file: &File, last: &Range<u64>) -> io::Result<Head> {
    let line = read_range(file, last)?;
    let link = chain::read(line.strip_suffix(b"\n").unwrap_or(&line));
    Ok(link.map_err(|_| invalid("its last line is not an audit record, or was changed"))?.head)
}

/// The range of the last complete line with its newline; empty if there is none.
fn last_line(file: &File, length: u64) -> io::Result<Range<u64>> {
    let end = line_start(file, length)?;
    Ok(line_start(file, end.saturating_sub(1))?..end)
}

/// The beginning of the line with this offset.
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

/// The identity of a file, whatever its name.
#[cfg(unix)]
fn identity(metadata: &Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

#[cfg(not(unix))]
fn identity(metadata: &Metadata) -> Option<std::time::SystemTime> {
    metadata.created().ok()
}
