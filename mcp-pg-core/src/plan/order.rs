//! Sort keys.

use serde_json::Value;

use super::{Hop, Scope};
use crate::error::{Code, Error, Result, step};
use crate::policy::TableView;
use crate::schema::Column;

/// A sort key: a column, a direction, and where nulls go.
#[derive(Debug, Clone)]
pub struct Sort<'v> {
    /// The related row whose column it is; the row's own if absent.
    pub hop: Option<Box<Hop<'v>>>,
    /// The column.
    pub column: &'v Column,
    /// Its position in its table.
    pub position: usize,
    /// Whether it may be null.
    pub nullable: bool,
    /// Largest first.
    pub descending: bool,
    /// Nulls after all values.
    pub nulls_last: bool,
}

impl<'v> Sort<'v> {
    /// A key on a table's own column, with nulls where PostgreSQL puts them: they count as the largest.
    pub fn new(table: &'v TableView, position: usize, descending: bool) -> Self {
        let column = &table.table.columns[position];
        let nullable = column.nullable;
        Self { hop: None, column, position, nullable, descending, nulls_last: !descending }
    }

    fn same(&self, other: &Self) -> bool {
        let constraint = |sort: &Self| sort.hop.as_ref().map(|hop| hop.relation.constraint.clone());
        self.position == other.position && constraint(self) == constraint(other)
    }
}

/// Appends a key that no two rows share, if the table has one; says whether it has.
pub(super) fn make_total<'v>(table: &'v TableView, order: &mut Vec<Sort<'v>>) -> bool {
    let Some(key) = table.row_key() else { return false };
    // Reading on in the direction of the last key lets one index serve the whole order.
    let descending = order.last().is_some_and(|sort| sort.descending);
    for position in key {
        let sort = Sort::new(table, *position, descending);
        if !order.iter().any(|known| known.same(&sort)) {
            order.push(sort);
        }
    }
    true
}

impl<'v> Scope<'v> {
    /// The sort keys of `order_by`.
    ///
    /// # Errors
    ///
    /// `unknown_column`, or `invalid_value` for a type that has no order.
    pub fn order(&self, table: &'v TableView, order_by: Option<&[Value]>) -> Result<Vec<Sort<'v>>> {
        let mut keys: Vec<Sort<'v>> = Vec::new();
        for (index, item) in order_by.unwrap_or_default().iter().enumerate() {
            let at = format!("/order_by/{index}");
            let key = self.sort(table, item).map_err(|error| error.inside(&at))?;
            // A second key on the same column can change nothing.
            if !keys.iter().any(|known| known.same(&key)) {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn sort(&self, table: &'v TableView, item: &Value) -> Result<Sort<'v>> {
        let wrong = |message: &str| {
            Error::new(Code::InvalidValue, message).hint(
                "\"name\", \"-name\" for descending, or {\"column\": \"name\", \"direction\": \"desc\", \"nulls\": \"last\"}",
            )
        };
        match item {
            Value::String(text) => {
                // A column may be called "-x": its own name comes first.
                let (name, descending) = match text.strip_prefix('-') {
                    Some(rest) if table.table.column(text).is_none() => (rest, true),
                    _ => (text.as_str(), false),
                };
                self.sortable(table, name, descending)
            }
            Value::Object(object) => {
                const MEMBERS: [&str; 3] = ["column", "direction", "nulls"];
                if let Some(unknown) = object.keys().find(|key| !MEMBERS.contains(&key.as_str())) {
                    return Err(Error::new(
                        Code::UnknownArgument,
                        format!("a sort key has no member {unknown:?}"),
                    )
                    .at(step(unknown))
                    .nearest(unknown, MEMBERS)
                    .allowed(MEMBERS));
                }
                let Some(name) = object.get("column").and_then(Value::as_str) else {
                    return Err(wrong("a sort key needs a column").at("/column"));
                };
                let choice = |member: &str, first: &str, second: &str| match object.get(member) {
                    None | Some(Value::Null) => Ok(None),
                    Some(Value::String(text)) if text.eq_ignore_ascii_case(first) => {
                        Ok(Some(false))
                    }
                    Some(Value::String(text)) if text.eq_ignore_ascii_case(second) => {
                        Ok(Some(true))
                    }
                    Some(_) => Err(wrong(&format!("{member} is {first:?} or {second:?}"))
                        .at(step(member))
                        .allowed([first, second])),
                };
                let descending = choice("direction", "asc", "desc")?.unwrap_or(false);
                let nulls_last = choice("nulls", "first", "last")?;
                let key = self
                    .sortable(table, name, descending)
                    .map_err(|error| error.inside("/column"))?;
                Ok(Sort { nulls_last: nulls_last.unwrap_or(key.nulls_last), ..key })
            }
            _ => Err(wrong("a sort key is a column's name or an object")),
        }
    }

    /// A key on a column, or on `relation.column` of a to-one relation.
    fn sortable(&self, table: &'v TableView, name: &str, descending: bool) -> Result<Sort<'v>> {
        let reached = self.reach(table, name)?;
        let column = reached.column;
        if !column.data_type.ordering {
            let owner = reached.hop.as_ref().map_or(table, |hop| hop.table);
            let columns = owner.table.columns.iter();
            let sortable = columns.filter(|column| column.can_select && column.data_type.ordering);
            return Err(Error::new(
                Code::InvalidValue,
                format!("{} is {}, which has no order", column.name, column.type_name),
            )
            .allowed(sortable.map(|column| column.name.as_str())));
        }
        Ok(Sort {
            nullable: column.nullable || reached.hop.is_some(),
            hop: reached.hop.map(Box::new),
            column,
            position: reached.position,
            descending,
            nulls_last: !descending,
        })
    }

    /// The column that a name or `relation.column` means.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `unknown_relation`, `ambiguous_relation`, or `invalid_value` for a relation to
    /// many rows.
    pub fn reach(&self, table: &'v TableView, name: &str) -> Result<Reached<'v>> {
        let own = table.table.column(name).is_some_and(|(_, column)| column.can_select);
        let (relation, rest) = match name.split_once('.') {
            Some(parts) if !own => parts,
            _ => {
                let position = table.usable(name)?;
                let column = &table.table.columns[position];
                return Ok(Reached { hop: None, column, position });
            }
        };
        let hop = self.hop(table, self.relation(table, relation)?)?;
        if !hop.is_to_one() {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{relation:?} leads to many rows, of which none gives the value"),
            ));
        }
        let position = hop.table.usable(rest)?;
        Ok(Reached { column: &hop.table.table.columns[position], position, hop: Some(hop) })
    }
}

/// A column of a table, or of the one row that is related to it.
#[derive(Debug)]
pub struct Reached<'v> {
    /// The way to the related row.
    pub hop: Option<Hop<'v>>,
    /// The column.
    pub column: &'v Column,
    /// Its position in its table.
    pub position: usize,
}
