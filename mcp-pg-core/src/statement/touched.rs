//! How many rows a transaction has written.

use super::{Output, Statement};
use crate::value::Decoder;

/// The rows that the transaction has written so far, and those of earlier transactions of the session that
/// the statistics do not have yet: the difference of two tells what was written between them.
pub fn touched() -> Statement<'static> {
    Statement {
        sql: "SELECT coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::bigint::text \
              FROM pg_catalog.pg_stat_xact_user_tables"
            .into(),
        parameters: Vec::new(),
        outputs: vec![Output::value("touched", Decoder::plain_text())],
        recurring: true,
    }
}
