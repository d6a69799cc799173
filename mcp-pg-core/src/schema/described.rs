//! What a statement takes and gives.

use std::sync::Arc;

use super::DataType;

/// The types of a statement's parameters and columns, as PostgreSQL infers them.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// The types of its parameters, in order.
    pub parameters: Vec<Arc<DataType>>,
    /// The names and types of its columns, in order.
    pub columns: Vec<(String, Arc<DataType>)>,
    /// Whether it may run code that changes the session.
    pub coded: bool,
}
