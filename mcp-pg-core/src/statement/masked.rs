//! What is sent of a masked value: not more than its mask needs, so that neither PostgreSQL nor the server gathers long values
//! that nobody is shown.

use sea_query::{BinOper, Expr, ExprTrait, Func, Value as Literal};
use serde_json::Value;

use super::text;
use crate::error::Result;
use crate::policy::{Mask, MaskKey, Sealed, TableView};
use crate::value::Decoder;

/// The longest value that is sent as it is, in bytes. An address, a number or a token has fewer.
const MOST: i32 = 1024;

/// The bytes at the end of a text that contain more characters than `last4` takes.
const END: i32 = 36;

/// What counts for a masked value where sizes are added up: the size of the longest mask, since its own would reveal something.
pub(super) fn padding() -> Expr {
    Func::cust("pg_catalog.repeat").args([text("x"), number(64)]).into()
}

/// The first byte of what is sent: whether the value follows, or something in its place.
const WHOLE: &str = "\\x01";
const REPLACED: &str = "\\x00";

/// How a masked value is read.
#[derive(Debug, Clone, Copy)]
pub struct Masked<'v> {
    mask: Mask,
    key: Option<&'v MaskKey>,
}

impl<'v> Masked<'v> {
    /// That of the column at a position, if it is masked.
    pub(super) fn of(table: &'v TableView, position: usize) -> Option<Self> {
        table.masking(position).map(|(mask, key)| Self { mask, key })
    }

    /// The mask of a value that [`masked`] sent as bytes of the type `oid`.
    pub(super) fn read(
        self,
        decoder: &Decoder,
        sealed: Option<&Sealed>,
        oid: u32,
        raw: &[u8],
    ) -> Result<Value> {
        let shown = |value: &Value| self.mask.apply(value, self.key);
        let decoded = |raw: &[u8]| {
            let value = decoder.decode(Some(raw))?;
            Ok(shown(&sealed.map_or(value.clone(), |sealed| sealed.open(&value))))
        };
        if self.mask.is_constant() {
            return Ok(shown(&Value::Bool(true)));
        }
        match (decoder.sender(), raw) {
            (None, raw) => {
                decoder.expect(oid)?;
                decoded(raw)
            }
            (Some(_), [1, whole @ ..]) => decoded(whole),
            (Some(_), replaced) => Ok(self.mask.apply_to_long(replaced, self.key)),
        }
    }
}

/// What is sent of a value of the column at a position, of which `value` is the form that its decoder reads; the value itself
/// if the column is not masked.
pub(super) fn masked(value: Expr, table: &TableView, position: usize) -> Expr {
    let Some(mask) = table.mask(position) else { return value };
    let decoder = table.decoder(position);
    if mask.is_constant() {
        return whether(value, decoder);
    }
    // Short ones, such as numbers and times.
    let Some(sender) = decoder.sender() else { return value };
    let sealed = table.sealed(&table.table.columns[position].name).is_some();
    let sent = Expr::from(Func::cust(sender).arg(value.clone()));
    // The length of a text is known without reading it.
    let length = Func::cust("pg_catalog.octet_length");
    let length = length.arg(if decoder.is_text() { value } else { sent.clone() });
    let long = match mask {
        Mask::Last4 if decoder.is_plain() && !sealed => joined(WHOLE, end(sent.clone())),
        // Equal values have equal hashes, however long they are. Those of the same encrypted value differ.
        Mask::Hash if !sealed => {
            joined(REPLACED, Func::cust("pg_catalog.sha256").arg(sent.clone()).into())
        }
        _ => bytes(REPLACED),
    };
    let is_long = Expr::from(length).gt(number(MOST));
    Expr::case(is_long, long).finally(joined(WHOLE, sent)).into()
}

/// Whether there is a value: a constant, or null.
fn whether(value: Expr, decoder: &Decoder) -> Expr {
    let there = match decoder.json_type() {
        // The null of JSON is none.
        Some(json_type) => Expr::from(Func::cust(json_type).arg(value)).ne(text("null")),
        // Not IS NOT NULL, which is false for a composite that has a field without a value.
        None => {
            let none = Expr::Keyword(sea_query::Keyword::Null);
            value.binary(BinOper::Custom("IS DISTINCT FROM"), none)
        }
    };
    Expr::case(there, text("")).into()
}

/// The last bytes. A position before the first byte is that of the first.
fn end(sent: Expr) -> Expr {
    let length = Expr::from(Func::cust("pg_catalog.octet_length").arg(sent.clone()));
    Func::cust("pg_catalog.substr").args([sent, length.sub(number(END - 1))]).into()
}

fn joined(first: &str, rest: Expr) -> Expr {
    Func::cust("pg_catalog.byteacat").args([bytes(first), rest]).into()
}

fn bytes(bytes: &str) -> Expr {
    text(bytes).cast_as("bytea")
}

fn number(number: i32) -> Expr {
    Expr::Constant(Literal::Int(Some(number)))
}
