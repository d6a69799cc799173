//! The names of rotated parts of an audit file: the file's name with the number of the part's last record.
//!
//! Knows only names. `audit.jsonl.000000000042` ends with record 42, and the part that continues it begins with
//! record 43. So the part before any part can be found by name.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// The name of the part that ends with record `seq`.
pub(super) fn name(path: &Path, seq: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    // Padded, so that directory listings are in order.
    name.push(format!(".{seq:012}"));
    name.into()
}

/// The newest part, with the number of its last record.
pub(super) fn newest(path: &Path) -> io::Result<Option<(u64, PathBuf)>> {
    let mut newest = None;
    for entry in directory(path).read_dir()? {
        let part = path.with_file_name(entry?.file_name());
        if let Some(seq) = seq(path, &part)
            && newest.as_ref().is_none_or(|(known, _)| *known < seq)
        {
            newest = Some((seq, part));
        }
    }
    Ok(newest)
}

/// The file that a part was rotated from; otherwise the path itself.
pub(super) fn file_of(part: &Path) -> PathBuf {
    let name = part.with_extension("");
    if seq(&name, part).is_some() { name } else { part.to_owned() }
}

/// The directory that the file is in.
pub(super) fn directory(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

/// The number in a part's name.
fn seq(path: &Path, part: &Path) -> Option<u64> {
    let seq = part.extension()?.to_str()?.parse().ok()?;
    let same: OsString = name(path, seq).into();
    (same == part.as_os_str()).then_some(seq)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_told_by_its_name() {
        let path = Path::new("logs/audit.jsonl");
        let part = name(path, 42);
        assert_eq!(part, Path::new("logs/audit.jsonl.000000000042"));
        assert_eq!(seq(path, &part), Some(42));
        assert_eq!(file_of(&part), path);
        assert_eq!(seq(path, &name(path, u64::MAX)), Some(u64::MAX));
        for other in ["logs/audit.jsonl.42", "logs/other.000000000042", "logs/audit.jsonl"] {
            assert_eq!(seq(path, Path::new(other)), None, "{other}");
        }
        for whole in ["logs/audit.jsonl.42", "logs/audit.jsonl"] {
            assert_eq!(file_of(Path::new(whole)), Path::new(whole));
        }
    }
}
