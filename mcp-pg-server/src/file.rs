//! Files that the operator names: read whole, and never waited for.
//!
//! A server reads them again while it runs: a pipe in the place of one must not stop it, nor may one that has no end.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// Most bytes of a file.
const BYTES_MOST: u64 = 4 << 20;

/// What is in the file.
///
/// # Errors
///
/// It cannot be read, or is a pipe or a socket, or too large.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // To open a pipe is to wait for who writes to it.
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        let kind = std::fs::metadata(path)?.file_type();
        if kind.is_fifo() || kind.is_socket() {
            return Err(io::Error::other("it is a pipe or a socket, not a file"));
        }
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(BYTES_MOST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > BYTES_MOST {
        true => Err(io::Error::other(format!("it has more than {BYTES_MOST} bytes"))),
        false => Ok(bytes),
    }
}

/// The same as text.
///
/// # Errors
///
/// As [`read`]; or it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Whether every user of this machine may read it; no, if nobody knows.
pub(crate) fn is_open_to_all(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::metadata(path).is_ok_and(|file| file.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
