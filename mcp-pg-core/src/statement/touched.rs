//! How many rows a transaction has written, and whether it has written at all.

use super::{Output, Statement};
use crate::value::Decoder;

/// The number of rows that the transaction has written, plus those of earlier transactions of the session that are
/// not yet in the statistics. The difference of two such numbers is what was written in between. Null if PostgreSQL
/// does not track counts.
pub fn touched() -> Statement<'static> {
    Statement {
        sql: "SELECT CASE WHEN pg_catalog.current_setting('track_counts')::pg_catalog.bool \
              THEN coalesce(pg_catalog.sum(n_tup_ins + n_tup_upd + n_tup_del), 0)::pg_catalog.int8::text END \
              FROM pg_catalog.pg_stat_xact_user_tables"
            .into(),
        parameters: Vec::new(),
        outputs: vec![Output::value("touched", Decoder::plain_text())],
        recurring: true,
        named: false,
    }
}

/// Whether the transaction has written anything: PostgreSQL assigns transaction IDs only to those that write.
pub fn written() -> Statement<'static> {
    Statement {
        sql: "SELECT pg_catalog.pg_current_xact_id_if_assigned() IS NOT NULL".into(),
        parameters: Vec::new(),
        outputs: vec![Output::value("written", Decoder::boolean())],
        recurring: true,
        named: false,
    }
}
