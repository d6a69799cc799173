//! Reads files that the operator names, without blocking.
//!
//! A server rereads them while it runs. A pipe in place of a file must not block it, nor an endless file.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

/// The most bytes of a file.
const BYTES_MOST: u64 = 4 << 20;

/// The content of a file.
///
/// # Errors
///
/// It cannot be read, is a pipe or a socket, or is too large.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    // Opening a pipe blocks until it has a writer.
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

/// The content of a text file.
///
/// # Errors
///
/// As [`read`], or it is not UTF-8.
pub(crate) fn read_text(path: &Path) -> io::Result<String> {
    String::from_utf8(read(path)?).map_err(|_| io::Error::other("it is not UTF-8"))
}

/// Whether every user of this machine can read it; false if that is unknown.
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
