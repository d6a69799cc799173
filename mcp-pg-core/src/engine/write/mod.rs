//! The writes of an operation: inserts, changes or deletes rows in an open transaction, and no more of them than the
//! request allows.

mod change;
mod columns;
mod delete;
mod document;
mod each;
mod insert;
mod lost_members;
mod nulls;
mod order;
mod provenance;
mod related;
mod version;

pub(super) use nulls::still_null;
pub(super) use provenance::Provenance;
