//! Masked values: PostgreSQL sends no more of them than their masks need, so that large ones take no memory.

use sea_query::{Expr, ExprTrait, Func, Value};

use super::predicate::constant;
use crate::policy::{Mask, TableView};
use crate::schema::oid;
use crate::value::Decoder;

/// The most bytes of a text that are sent. An address is shorter.
const WHOLE: i32 = 1000;

/// What of a masked column is sent.
#[derive(Clone, Copy)]
enum Sent {
    /// Whether there is a value.
    Presence,
    /// A text, unless it is long.
    Text(Mask),
}

fn sent(table: &TableView, position: usize) -> Option<Sent> {
    let mask = table.mask(position)?;
    let column = table.table.columns.get(position)?;
    let is_text = || matches!(column.data_type.base().oid, oid::TEXT | oid::VARCHAR);
    match mask {
        Mask::Full | Mask::Null => Some(Sent::Presence),
        Mask::Email | Mask::Last4 | Mask::Hash => {
            (is_text() && table.sealed(&column.name).is_none()).then_some(Sent::Text(mask))
        }
    }
}

/// The decoder of what is sent, if it is not the whole value.
pub(super) fn decoder(table: &TableView, position: usize) -> Option<&'static Decoder> {
    sent(table, position).map(|sent| match sent {
        Sent::Presence => Decoder::boolean(),
        Sent::Text(_) => Decoder::plain_text(),
    })
}

/// What is sent of the value, if it is not the whole.
pub(super) fn expression(table: &TableView, position: usize, value: &Expr) -> Option<Expr> {
    let value = || value.clone();
    let number = |number: i32| Expr::Constant(Value::Int(Some(number)));
    let text = |text: &str| Expr::Constant(text.into());
    let cut: Expr = match sent(table, position)? {
        Sent::Presence => {
            // A composite of nulls is a value, too.
            let there = Expr::from(Func::cust("pg_catalog.num_nonnulls").arg(value()));
            return Some(Func::cust("NULLIF").args([there.eq(number(1)), constant(false)]).into());
        }
        Sent::Text(Mask::Last4) => {
            Func::cust("pg_catalog.right").args([value().cast_as("text"), number(8)]).into()
        }
        // Long values that are equal have the same mask all the same.
        Sent::Text(Mask::Hash) => {
            let encoding = Expr::from(Func::cust("pg_catalog.getdatabaseencoding"));
            let bytes =
                Func::cust("pg_catalog.convert_to").args([value().cast_as("text"), encoding]);
            let digest = Expr::from(Func::cust("pg_catalog.sha256").arg(bytes));
            Func::cust("pg_catalog.encode").args([digest, text("hex")]).into()
        }
        // No address, so that nothing of it is shown.
        Sent::Text(_) => text(""),
    };
    let size = Expr::from(Func::cust("pg_catalog.octet_length").arg(value()));
    let long = size.gt(number(WHOLE));
    Some(Expr::case(long, cut).finally(value().cast_as("text")).into())
}
