//! Encrypted columns: which they are, who reads them, and where their blind index is.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cipher::{ColumnCipher, KeyRing};
use crate::error::Result;
use crate::name::TableName;
use crate::schema::{Column, Table, oid};
use crate::value;

/// The columns that the server encrypts, and with which keys.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Encryption {
    /// `schema.table.column`, spelled as in the catalogue.
    pub columns: Vec<String>,
    /// The blind index of a column: a column of the same table with a keyed hash of the value, by which equal values are found.
    pub blind_index: BTreeMap<String, String>,
    /// The keys. Without them, encrypted columns are neither read nor written.
    pub keys: Option<Arc<KeyRing>>,
}

/// Shown for a value that cannot be decrypted: it was not written by this server, or its key is lost.
const UNDECIPHERABLE: &str = "[undecipherable]";

/// An encrypted column, as one role may use it.
#[derive(Debug, Clone)]
pub struct Sealed {
    cipher: ColumnCipher,
    form: Form,
    index: Option<(Column, Form)>,
    opened: bool,
}

/// The type in which a column stores encrypted values or a blind index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Bytes,
}

impl Form {
    fn of(column: &Column) -> Option<Self> {
        match column.data_type.base().oid {
            oid::TEXT => Some(Self::Text),
            oid::BYTEA => Some(Self::Bytes),
            // Sealed values are longer than plain ones.
            oid::VARCHAR if column.type_name == "character varying" => Some(Self::Text),
            _ => None,
        }
    }
}

impl Encryption {
    /// Checks that an encrypted column, and its blind index if it has one, can be used as such.
    ///
    /// # Errors
    ///
    /// What is wrong, as a sentence.
    pub fn check(&self, table: &Table, column: &Column) -> Result<(), String> {
        let name = format!("{}.{}", table.name, column.name);
        if Form::of(column).is_none() {
            return Err(format!("{name} is {}: text and bytea can be encrypted", column.type_name));
        }
        if column.default.is_some() || column.generated.is_some() {
            return Err(format!("{name} has a default, which PostgreSQL writes as it is"));
        }
        let position = table.column(&column.name).map(|(position, _)| position);
        let keys = table.keys().map(|key| &key.columns);
        let foreign = table.foreign_keys.iter().map(|key| &key.columns);
        let indexes = table.indexes.iter().map(|index| &index.mentions);
        if keys.chain(foreign).chain(indexes).any(|all| position.is_some_and(|p| all.contains(&p)))
        {
            return Err(format!(
                "{name} is in a key or index, which cannot compare encrypted values"
            ));
        }
        let held = self.holder(table, column).map(|(table, column)| format!("{table}.{column}"));
        let Some(index) = held.and_then(|held| self.blind_index.get(&held)) else { return Ok(()) };
        match table.column(index) {
            None => Err(format!("{name}: its blind index {index:?} is no column of the table")),
            Some((_, index)) if index.name == column.name || Form::of(index).is_none() => {
                Err(format!("{name}: its blind index must be another column, of text or bytea"))
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether the column is encrypted: it is configured so itself, inherited from such a column, or shows one in a view.
    pub fn names(&self, table: &Table, column: &Column) -> bool {
        self.holder(table, column).is_some()
    }

    /// Whether the column is the blind index of another one of the table, is inherited from one, or shows one in a view.
    pub(super) fn indexes(&self, table: &Table, column: &Column) -> bool {
        if self.blind_index.is_empty() {
            return false;
        }
        let (mut tables, column) = holders(table, column);
        tables.any(|table| {
            let of_table = |name: &str| name.strip_prefix(&format!("{table}.")).is_some();
            self.blind_index.iter().any(|(name, index)| index == column && of_table(name))
        })
    }

    /// The tables that the table inherits from and that have encrypted columns.
    pub(super) fn above<'t>(&self, table: &'t Table) -> impl Iterator<Item = &'t TableName> {
        table.ancestors.iter().filter(|above| {
            let of_table = |name: &String| name.starts_with(&format!("{above}."));
            self.columns.iter().any(of_table)
        })
    }

    /// The table and column under whose names the values are encrypted, if they are. Rows of child tables are read with
    /// those of their parents: all of them are encrypted as the values of the furthest parent that is named.
    fn holder<'t>(&self, table: &'t Table, column: &'t Column) -> Option<(&'t TableName, &'t str)> {
        if self.columns.is_empty() {
            return None;
        }
        let (mut tables, column) = holders(table, column);
        let table = tables.find(|table| self.columns.contains(&format!("{table}.{column}")))?;
        Some((table, column))
    }

    /// The cipher of an encrypted column; `None` if there is no key or the column cannot hold encrypted values.
    pub(super) fn sealed(&self, table: &Table, column: &Column, opened: bool) -> Option<Sealed> {
        let (holder, name) = self.holder(table, column)?;
        let ring = Arc::clone(self.keys.as_ref()?);
        let index = self.blind_index.get(&format!("{holder}.{name}"));
        // A view may not show the index.
        let index = index.filter(|_| ring.can_index() && column.origin.is_none());
        let index = index.and_then(|index| table.column(index)).and_then(|(_, index)| {
            Some((Column { can_select: false, ..index.clone() }, Form::of(index)?))
        });
        let cipher = ColumnCipher::new(ring, &holder.schema, &holder.name, name);
        Some(Sealed { cipher, form: Form::of(column)?, index, opened })
    }
}

/// The tables that can have encryption configured for a column, the furthest parent first, and the column's name there. For a
/// column of a view that shows a table's column unchanged, those of that column.
fn holders<'t>(
    table: &'t Table,
    column: &'t Column,
) -> (impl Iterator<Item = &'t TableName>, &'t str) {
    let (ancestors, table, column) = match &column.origin {
        Some(origin) => (&origin.ancestors, &origin.table, &origin.column),
        None => (&table.ancestors, &table.name, &column.name),
    };
    (ancestors.iter().chain([table]), column)
}

impl Sealed {
    /// Whether the role reads decrypted values.
    pub fn opened(&self) -> bool {
        self.opened
    }

    /// The blind index.
    pub fn index(&self) -> Option<&Column> {
        self.index.as_ref().map(|(column, _)| column)
    }

    /// Decrypts a value of the column.
    pub fn open(&self, value: &Value) -> Value {
        let Value::String(text) = value else { return value.clone() };
        let plain = match self.form {
            Form::Text => self.cipher.open(text).and_then(|plain| String::from_utf8(plain).ok()),
            // Bytes are base64 in JSON, whatever they hold.
            Form::Bytes => STANDARD
                .decode(text)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .and_then(|sealed| self.cipher.open(&sealed))
                .map(|plain| STANDARD.encode(plain)),
        };
        Value::String(plain.unwrap_or_else(|| UNDECIPHERABLE.to_owned()))
    }

    /// Whether this is what is shown for a value that cannot be decrypted.
    pub(crate) fn is_undecipherable(value: &Value) -> bool {
        *value == *UNDECIPHERABLE
    }

    /// Encrypts a value. Both are JSON values of the column's type; null stays null.
    ///
    /// # Errors
    ///
    /// `internal` if it cannot be encrypted.
    pub fn seal(&self, value: &Value) -> Result<Value> {
        let Some(plain) = self.plain(value) else { return Ok(Value::Null) };
        let sealed = self.cipher.seal(&plain)?;
        Ok(Value::String(match self.form {
            Form::Text => sealed,
            Form::Bytes => STANDARD.encode(sealed),
        }))
    }

    /// The blind index of a plain value, as JSON; null stays null.
    pub fn digest(&self, value: &Value) -> Value {
        let plain = self.plain(value);
        let digest = plain.and_then(|plain| self.cipher.index(&plain));
        // Base64 is what JSON has for bytes; as text it is itself.
        digest.map_or(Value::Null, |digest| Value::String(STANDARD.encode(digest)))
    }

    fn plain(&self, value: &Value) -> Option<Vec<u8>> {
        match (value, self.form) {
            (Value::Null, _) => None,
            (Value::String(text), Form::Text) => Some(text.clone().into_bytes()),
            (Value::String(text), Form::Bytes) => Some(value::bytes(text).unwrap_or_default()),
            (other, _) => Some(other.to_string().into_bytes()),
        }
    }
}
