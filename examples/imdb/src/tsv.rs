//! Reads a file of tab-separated values whose first line names the columns. Knows no table and no database.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skip {
    /// It has too few fields, or something that is not what its column holds.
    Unreadable,
    /// It is about a title or a person that no file has.
    Unknown,
}

/// An open file, read for `N` of its columns.
pub(crate) struct Reader<const N: usize> {
    path: PathBuf,
    input: BufReader<File>,
    positions: [usize; N],
    line: String,
}

impl<const N: usize> Reader<N> {
    /// Opens a file and finds the columns; an error if one is missing.
    pub(crate) fn open(path: &Path, columns: [&str; N]) -> io::Result<Reader<N>> {
        let in_file =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(in_file)?);
        let mut header = String::new();
        input.read_line(&mut header).map_err(in_file)?;
        let mut positions = [0; N];
        for (position, column) in positions.iter_mut().zip(columns) {
            let found = header.trim_end().split('\t').position(|name| name == column);
            *position = found.ok_or_else(|| {
                in_file(io::Error::new(io::ErrorKind::InvalidData, format!("no column {column}")))
            })?;
        }
        Ok(Reader { path: path.to_owned(), input, positions, line: String::new() })
    }

    /// The fields of the next row, or nothing at the end.
    pub(crate) fn next_row(&mut self) -> io::Result<Option<Result<[&str; N], Skip>>> {
        self.line.clear();
        let read = self.input.read_line(&mut self.line);
        if read.map_err(|error| in_file(&self.path, &error))? == 0 {
            return Ok(None);
        }
        let fields: Vec<&str> = self.line.trim_end_matches(['\n', '\r']).split('\t').collect();
        let mut row = [""; N];
        for (field, position) in row.iter_mut().zip(self.positions) {
            match fields.get(position) {
                Some(found) => *field = found,
                None => return Ok(Some(Err(Skip::Unreadable))),
            }
        }
        Ok(Some(Ok(row)))
    }
}

fn in_file(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// A field that may be missing, which the files write as `\N`.
pub(crate) fn optional(field: &str) -> Option<&str> {
    (field != r"\N").then_some(field)
}

/// The number of a title or person: the digits of `tt0111161`.
pub(crate) fn key(field: &str) -> Result<i32, Skip> {
    number(field.trim_start_matches(|c: char| c.is_ascii_lowercase()))
}

/// A whole number.
pub(crate) fn number(field: &str) -> Result<i32, Skip> {
    field.parse().map_err(|_| Skip::Unreadable)
}

/// A whole number that may be missing.
pub(crate) fn optional_number(field: &str) -> Result<Option<i32>, Skip> {
    optional(field).map(number).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_what_they_mean() {
        assert_eq!(key("tt0111161"), Ok(111_161));
        assert_eq!(key("nm0000151"), Ok(151));
        assert_eq!(key("tt"), Err(Skip::Unreadable));
        assert_eq!(optional_number(r"\N"), Ok(None));
        assert_eq!(optional_number("1994"), Ok(Some(1994)));
        assert_eq!(optional_number("Drama"), Err(Skip::Unreadable));
    }
}
