//! The files of canned queries.

use std::fs;
use std::io::Read as _;
use std::path::Path;

use super::Fault;

/// The maximum size of a file, in bytes.
const FILE_MOST: u64 = 256 * 1024;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The file's name without `.sql`: the tool's name.
    pub name: String,
    /// The path, for messages.
    pub path: String,
    /// The text.
    pub text: String,
}

/// Whether the file contains a canned query: `*.sql`, in upper or lower case.
pub fn is_query(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("sql"))
}

/// Reads the `*.sql` files of a directory, sorted by name. A file that cannot be read is a fault.
pub fn files(directory: &Path) -> (Vec<File>, Vec<Fault>) {
    let mut faults = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) => {
            let place = directory.display().to_string();
            return (Vec::new(), vec![Fault::new(place, format!("cannot be read: {error}"))]);
        }
    };
    let mut files = Vec::new();
    for path in entries.filter_map(|entry| entry.ok().map(|entry| entry.path())) {
        if !is_query(&path) {
            continue;
        }
        let Some(name) = path.file_stem().and_then(|name| name.to_str()) else { continue };
        // An editor's backup or lock file.
        if name.starts_with(['.', '#']) {
            continue;
        }
        let shown = path.display().to_string();
        match read(&path) {
            Ok(text) => files.push(File { name: name.to_owned(), path: shown, text }),
            Err(error) => faults.push(Fault::new(shown, format!("cannot be read: {error}"))),
        }
    }
    files.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
    (files, faults)
}

fn read(path: &Path) -> std::io::Result<String> {
    // Reading a pipe would block.
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MOST {
        return Err(std::io::Error::other(format!("it has more than {FILE_MOST} bytes")));
    }
    let line =
        |bytes: &[u8], at: usize| 1 + bytes.iter().take(at).filter(|byte| **byte == b'\n').count();
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line(error.as_bytes(), error.utf8_error().valid_up_to());
        std::io::Error::other(format!("line {line} is not UTF-8"))
    })?;
    // Neither a text of PostgreSQL nor a message to it can contain NUL.
    if let Some(at) = text.find('\0') {
        let line = line(text.as_bytes(), at);
        return Err(std::io::Error::other(format!("line {line} has a NUL byte")));
    }
    // Some editors begin files with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map_or_else(|| text.clone(), str::to_owned))
}
