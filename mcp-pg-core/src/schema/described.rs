//! The parameters and columns of a described statement.

use std::sync::Arc;

use super::{ColumnOrigin, DataType};

/// The types of a statement's parameters and columns, as PostgreSQL infers them.
#[derive(Debug, Clone, Default)]
pub struct Described {
    /// The types of its parameters, in order.
    pub parameters: Vec<Arc<DataType>>,
    /// Its columns, in order.
    pub columns: Vec<DescribedColumn>,
    /// Whether it may run code of the database that changes the session.
    pub coded: bool,
}

/// A column of a statement's rows.
#[derive(Debug, Clone)]
pub struct DescribedColumn {
    /// Its name.
    pub name: String,
    /// Its type.
    pub data_type: Arc<DataType>,
    /// The column of a table or view that it shows unchanged, if any.
    pub origin: Option<ColumnOrigin>,
    /// Whether that column is part of its table's primary key.
    pub in_key: bool,
}
