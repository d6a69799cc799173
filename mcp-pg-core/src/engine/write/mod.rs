//! The writes of an operation: rows that are added, changed or deleted within an open transaction, never more of them
//! than the request allows.

mod change;
mod delete;
mod document;
mod each;
mod insert;
mod lost_members;
mod provenance;
mod related;
mod version;

pub(super) use provenance::Provenance;
