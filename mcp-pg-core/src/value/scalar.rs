//! Scalar types, by the format of their values.

use crate::schema::{DataType, Kind, oid};

/// The format of a scalar type's values, on the wire and in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scalar {
    Bool,
    Int2,
    Int4,
    Int8,
    Oid,
    Float4,
    Float8,
    Numeric,
    /// Text, and every type that is sent as text, such as enums.
    Text,
    /// `"char"`: one byte, not necessarily a letter.
    Char,
    Uuid,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Json,
    Jsonb,
    Bytea,
    Inet,
    /// Any other type, of which only the text form is used.
    Other,
}

impl Scalar {
    /// The format of a scalar type.
    pub(super) fn of(data_type: &DataType) -> Self {
        if matches!(data_type.kind, Kind::Enum(_)) {
            return Self::Text;
        }
        // Built-in types have fixed OIDs: see PostgreSQL's src/include/catalog/pg_type.dat.
        match data_type.oid {
            16 => Self::Bool,
            17 => Self::Bytea,
            18 => Self::Char,
            19 | 25 | 1042 | 1043 => Self::Text,
            20 => Self::Int8,
            21 => Self::Int2,
            23 => Self::Int4,
            26 => Self::Oid,
            114 => Self::Json,
            700 => Self::Float4,
            701 => Self::Float8,
            869 => Self::Inet,
            1082 => Self::Date,
            1083 => Self::Time,
            1114 => Self::Timestamp,
            1184 => Self::TimestampTz,
            1700 => Self::Numeric,
            2950 => Self::Uuid,
            3802 => Self::Jsonb,
            _ => Self::Other,
        }
    }

    /// The function that makes the binary form of values that may be long; `None` if no value of the type is.
    pub(super) fn sender(self, type_oid: u32) -> Option<&'static str> {
        Some(match self {
            Self::Numeric => "pg_catalog.numeric_send",
            // Labels of enums and names are short.
            Self::Text => match type_oid {
                oid::BPCHAR => "pg_catalog.bpcharsend",
                oid::TEXT | oid::VARCHAR => "pg_catalog.textsend",
                _ => return None,
            },
            Self::Json => "pg_catalog.json_send",
            Self::Jsonb => "pg_catalog.jsonb_send",
            Self::Bytea => "pg_catalog.byteasend",
            _ => return None,
        })
    }

    /// Whether the binary form is decoded. The text form always is.
    pub(super) fn has_binary(self) -> bool {
        !matches!(self, Self::Inet | Self::Other)
    }
}
