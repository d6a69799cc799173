//! Decodes the binary formats of PostgreSQL's `…send` functions.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Form, Malformed, lossy};
use crate::value::scalar::Scalar;
use crate::value::{datetime, json, numeric};

impl Form {
    pub(super) fn binary(&self, raw: &[u8]) -> Result<Value, Malformed> {
        match self {
            Self::Scalar(scalar) => scalar.binary(raw),
            Self::Array { element, .. } => match **element {
                Self::Scalar(element) => array(element, raw),
                _ => Err(Malformed),
            },
            Self::Composite(_) | Self::Range(_) | Self::Multirange(_) => Err(Malformed),
        }
    }
}

impl Scalar {
    fn binary(self, raw: &[u8]) -> Result<Value, Malformed> {
        Ok(match self {
            Self::Bool => Value::from(fixed::<1>(raw)? != [0]),
            Self::Int2 => Value::from(i16::from_be_bytes(fixed(raw)?)),
            Self::Int4 => Value::from(i32::from_be_bytes(fixed(raw)?)),
            Self::Int8 => numeric::from_integer(i64::from_be_bytes(fixed(raw)?)),
            Self::Oid => Value::from(u32::from_be_bytes(fixed(raw)?)),
            Self::Float4 => numeric::from_real(f32::from_be_bytes(fixed(raw)?)),
            Self::Float8 => numeric::from_double(f64::from_be_bytes(fixed(raw)?)),
            Self::Numeric => numeric::from_binary(raw).ok_or(Malformed)?,
            Self::Text => Value::from(lossy(raw)),
            Self::Char => character(raw),
            Self::Uuid => uuid::Uuid::from_bytes(fixed(raw)?).to_string().into(),
            Self::Date => datetime::date(i32::from_be_bytes(fixed(raw)?)),
            Self::Time => datetime::time(i64::from_be_bytes(fixed(raw)?)),
            Self::Timestamp => datetime::timestamp(i64::from_be_bytes(fixed(raw)?), ""),
            Self::TimestampTz => datetime::timestamp(i64::from_be_bytes(fixed(raw)?), "Z"),
            Self::Json => json::decode(&lossy(raw)),
            Self::Jsonb => match raw {
                [1, text @ ..] => json::decode(&lossy(text)),
                _ => return Err(Malformed),
            },
            Self::Bytea => Value::from(STANDARD.encode(raw)),
            Self::Inet | Self::Other => return Err(Malformed),
        })
    }
}

/// A `"char"`: zero is the empty string, a byte beyond ASCII is written in octal, as PostgreSQL 16 does.
fn character(raw: &[u8]) -> Value {
    match raw {
        [] | [0] => Value::from(""),
        [byte @ 0x80..=0xff] => Value::from(format!("\\{byte:03o}")),
        _ => Value::from(lossy(raw)),
    }
}

fn fixed<const N: usize>(raw: &[u8]) -> Result<[u8; N], Malformed> {
    raw.try_into().map_err(|_| Malformed)
}

/// PostgreSQL's MAXDIM, the most dimensions of an array.
const DIMENSIONS_MOST: usize = 6;

fn array(element: Scalar, raw: &[u8]) -> Result<Value, Malformed> {
    let mut rest = raw;
    let dimensions = usize::try_from(int(&mut rest)?).map_err(|_| Malformed)?;
    // The null flag and the element's OID, which are not needed.
    int(&mut rest)?;
    int(&mut rest)?;
    if dimensions == 0 {
        return Ok(Value::Array(Vec::new()));
    }
    let mut lengths = [0; DIMENSIONS_MOST];
    let lengths = lengths.get_mut(..dimensions).ok_or(Malformed)?;
    for length in lengths.iter_mut() {
        *length = usize::try_from(int(&mut rest)?).map_err(|_| Malformed)?;
        // The lower bound, which JSON arrays do not have.
        int(&mut rest)?;
    }
    let array = dimension(element, lengths, &mut rest)?;
    if rest.is_empty() { Ok(array) } else { Err(Malformed) }
}

fn dimension(element: Scalar, lengths: &[usize], rest: &mut &[u8]) -> Result<Value, Malformed> {
    let Some((&length, inner)) = lengths.split_first() else {
        return match int(rest)? {
            -1 => Ok(Value::Null),
            length => {
                let length = usize::try_from(length).map_err(|_| Malformed)?;
                let (raw, after) = rest.split_at_checked(length).ok_or(Malformed)?;
                *rest = after;
                element.binary(raw)
            }
        };
    };
    // Every element takes at least the four bytes of its length.
    if length == 0 || length > rest.len() / 4 {
        return Err(Malformed);
    }
    let mut items = Vec::with_capacity(length);
    for _ in 0..length {
        items.push(dimension(element, inner, rest)?);
    }
    Ok(Value::Array(items))
}

fn int(rest: &mut &[u8]) -> Result<i32, Malformed> {
    let (int, after) = rest.split_first_chunk().ok_or(Malformed)?;
    *rest = after;
    Ok(i32::from_be_bytes(*int))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ints(words: &[i32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn scalars() {
        for (scalar, raw, expected) in [
            (Scalar::Bool, vec![1], json!(true)),
            (Scalar::Int2, vec![0xff, 0xfe], json!(-2)),
            (Scalar::Int8, i64::MAX.to_be_bytes().to_vec(), json!("9223372036854775807")),
            (Scalar::Oid, vec![0xff; 4], json!(u32::MAX)),
            (Scalar::Float4, 0.1_f32.to_be_bytes().to_vec(), json!(0.1)),
            (Scalar::Float8, f64::NAN.to_be_bytes().to_vec(), json!("NaN")),
            (Scalar::Text, "né".into(), json!("né")),
            (Scalar::Char, vec![0], json!("")),
            (Scalar::Char, vec![b'x'], json!("x")),
            (Scalar::Char, vec![0xe9], json!("\\351")),
            (Scalar::Uuid, vec![0x11; 16], json!("11111111-1111-1111-1111-111111111111")),
            (Scalar::Json, br#"{"a": 1}"#.to_vec(), json!({"a": 1})),
            (Scalar::Jsonb, b"\x01[null]".to_vec(), json!([null])),
            (Scalar::Bytea, vec![0, 0xff], json!("AP8=")),
        ] {
            assert_eq!(scalar.binary(&raw), Ok(expected), "{scalar:?}");
        }
        assert_eq!(Scalar::Jsonb.binary(b"\x02{}"), Err(Malformed));
        assert_eq!(Scalar::Int4.binary(&[0; 5]), Err(Malformed));
    }

    #[test]
    fn arrays() {
        for (words, expected) in [
            (&[0, 0, 23][..], Ok(json!([]))),
            (&[1, 1, 23, 3, 1, 4, 7, -1, 4, 9], Ok(json!([7, null, 9]))),
            (&[2, 0, 23, 1, 0, 2, 5, 4, 1, 4, 2], Ok(json!([[1, 2]]))),
            (&[1, 0, 23, i32::MAX, 1, 4, 7], Err(Malformed)),
            (&[2, 0, 23, 1, 1, 0, 1, 4, 7], Err(Malformed)),
            (&[i32::MAX, 0, 23], Err(Malformed)),
            (&[-1, 0, 23], Err(Malformed)),
            (&[1, 0, 23, 1, 1, 4, 7, 8], Err(Malformed)),
            (&[1, 0, 23, 1, 1, 400, 7], Err(Malformed)),
        ] {
            assert_eq!(array(Scalar::Int4, &ints(words)), expected, "{words:?}");
        }
    }
}
