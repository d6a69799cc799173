//! The binary form of records and arrays, in which included rows arrive.

use crate::error::{Code, Error, Result};

/// A field of a record: the OID of its type, and its bytes; `None` is null.
pub type FieldBytes<'a> = (u32, Option<&'a [u8]>);

/// The fields of a record in binary form, read one after the other.
///
/// # Errors
///
/// `internal` if the bytes are not a record, found here or at a field.
pub fn fields(raw: &[u8]) -> Result<impl Iterator<Item = Result<FieldBytes<'_>>>> {
    let mut wire = Wire(raw);
    let count = wire.count()?;
    Ok((0..count).map(move |_| Ok((wire.int()?.cast_unsigned(), wire.bytes()?))))
}

/// The elements of a one-dimensional array in binary form; `None` is null.
///
/// # Errors
///
/// `internal` if the bytes are not such an array.
pub fn elements(raw: &[u8]) -> Result<Vec<Option<&[u8]>>> {
    let mut wire = Wire(raw);
    let dimensions = wire.int()?;
    // The null flag and the element's OID.
    wire.int()?;
    wire.int()?;
    if dimensions == 0 {
        return Ok(Vec::new());
    }
    let count = wire.count()?;
    // The lower bound.
    wire.int()?;
    (0..count).map(|_| wire.bytes()).collect()
}

struct Wire<'a>(&'a [u8]);

impl<'a> Wire<'a> {
    fn int(&mut self) -> Result<i32> {
        let (int, rest) = self.0.split_first_chunk().ok_or_else(malformed)?;
        self.0 = rest;
        Ok(i32::from_be_bytes(*int))
    }

    /// A number of items of at least four bytes each.
    fn count(&mut self) -> Result<usize> {
        let count = usize::try_from(self.int()?).map_err(|_| malformed())?;
        if count > self.0.len() / 4 { Err(malformed()) } else { Ok(count) }
    }

    fn bytes(&mut self) -> Result<Option<&'a [u8]>> {
        let length = self.int()?;
        if length == -1 {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| malformed())?;
        let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(malformed)?;
        self.0 = rest;
        Ok(Some(bytes))
    }
}

fn malformed() -> Error {
    Error::new(Code::Internal, "related rows came in a form that they do not have")
}
