//! Keys with both of their tables, and the columns that name them.

use std::collections::{HashMap, HashSet};

use super::Rank;
use crate::name::TableName;
use crate::schema::{Column, DataType, ForeignKey, RelationNames, Table};

/// A key with both of its tables.
pub(super) struct Link<'a> {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Pairs of column positions: in the referencing table, and in the referenced one.
    pub(super) columns: Vec<(usize, usize)>,
    pub(super) constraint: &'a str,
    /// Whether this is a logical key, not a foreign key.
    pub(super) logical: bool,
    /// Whether it leads to a view although the table beneath is in the schema, too.
    pub(super) beside: bool,
    /// Whether several rows of its target may match: a view without a key there.
    pub(super) several: bool,
    /// Whether it leads from a table to a view of the same table, or back: to other rows of it.
    pub(super) within: bool,
    /// The names that a directive gives to its relations.
    pub(super) named: &'a RelationNames,
    pub(super) from_name: &'a TableName,
    pub(super) to_name: &'a TableName,
    /// The key's columns.
    pub(super) stems: Vec<Stem<'a>>,
    /// The position among them of the one that names the key.
    pub(super) naming: Option<usize>,
}

/// A key column's name, and that name without the suffix `_id` or `Id`.
pub(super) struct Stem<'a> {
    pub(super) short: &'a str,
    pub(super) whole: &'a str,
}

/// The keys of the table at `from`, and where each leads.
pub(super) fn links<'a>(
    tables: &'a [Table],
    by_name: &HashMap<TableName, usize>,
    views: &HashMap<&TableName, Vec<usize>>,
    from: usize,
) -> Vec<Link<'a>> {
    let Some(table) = tables.get(from) else { return Vec::new() };
    let mut seen = HashSet::new();
    let mut links = Vec::new();
    let mut add = |key: &'a ForeignKey, to: usize, logical: bool, beside: bool| {
        let link = link(tables, from, key, to, logical, beside);
        links.extend(link.filter(|link| seen.insert((link.to, link.columns.clone()))));
    };
    for key in &table.foreign_keys {
        by_name.get(&key.table).into_iter().for_each(|to| add(key, *to, false, false));
    }
    for key in &table.logical_keys {
        by_name.get(&key.table).into_iter().for_each(|to| add(key, *to, true, false));
    }
    let logical = table.logical_keys.iter().map(|key| (key, true));
    for (key, logical) in table.foreign_keys.iter().map(|key| (key, false)).chain(logical) {
        let there = by_name.contains_key(&key.table);
        // A view leads to a table rather than to all the views of it.
        if !(logical && there) {
            let views = views.get(&key.table).into_iter().flatten();
            views.for_each(|view| add(key, *view, true, there));
        }
    }
    links
}

/// The link from a key to its table, or to a view that shows the referenced columns.
fn link<'a>(
    tables: &'a [Table],
    from: usize,
    key: &'a ForeignKey,
    to: usize,
    logical: bool,
    beside: bool,
) -> Option<Link<'a>> {
    let (table, other) = (tables.get(from)?, tables.get(to)?);
    let own = logical && is_own(table, key);
    if own && other.name != key.table {
        return None;
    }
    let (mut columns, mut stems) = (Vec::new(), Vec::new());
    for (position, reference) in key.columns.iter().zip(&key.references) {
        let here = table.columns.get(*position)?;
        let (there, far) = match other.name == key.table {
            true => other.column(reference)?,
            false => other.columns.iter().enumerate().find(|(_, column)| {
                let origin = column.origin.as_ref();
                origin
                    .is_some_and(|origin| origin.table == key.table && origin.column == *reference)
            })?,
        };
        if !here.can_select || !far.can_select || overflows(here, far) {
            return None;
        }
        columns.push((*position, there));
        stems.push(stem(&here.name));
    }
    let refers = |column: &usize| columns.iter().any(|(_, there)| there == column);
    let one = other.name == key.table || other.row_keys().any(|own| own.columns.iter().all(refers));
    (!columns.is_empty()).then_some(Link {
        from,
        to,
        columns,
        constraint: &key.name,
        logical,
        beside,
        several: !one,
        within: logical && !own && (table.name == key.table || shows(table, &key.table)),
        named: &key.relation_names,
        from_name: &table.name,
        to_name: &other.name,
        naming: table.naming(key),
        stems,
    })
}

/// Whether a view refers by the columns of a key to that key: to the row that it shows.
fn is_own(view: &Table, key: &ForeignKey) -> bool {
    key.columns.iter().zip(&key.references).all(|(position, reference)| {
        let origin = view.columns.get(*position).and_then(|column| column.origin.as_ref());
        origin.is_some_and(|origin| origin.table == key.table && origin.column == *reference)
    })
}

/// Whether a view shows columns of the table.
fn shows(view: &Table, table: &TableName) -> bool {
    let mut origins = view.columns.iter().filter_map(|column| column.origin.as_ref());
    origins.any(|origin| origin.table == *table)
}

impl Table {
    /// The position among a key's columns of the one that names it: its only one; among several, the only one that is in no
    /// other key to another table, or else the only one that is not in the primary key. Where each key begins with the same
    /// `tenant_id`, that is the other column.
    pub(crate) fn naming(&self, key: &ForeignKey) -> Option<usize> {
        if key.columns.len() == 1 {
            return Some(0);
        }
        let only = |shared: &[usize]| {
            let mut own = (0..).zip(&key.columns).filter(|(_, column)| !shared.contains(column));
            own.next().filter(|_| own.next().is_none()).map(|(position, _)| position)
        };
        let others = self.foreign_keys.iter().chain(&self.logical_keys);
        let others = others.filter(|other| other.columns != key.columns);
        let others: Vec<usize> = others.flat_map(|other| other.columns.iter().copied()).collect();
        let primary = self.primary_key.as_ref().map_or(&[][..], |primary| &primary.columns);
        only(&others).or_else(|| only(primary))
    }
}

/// Whether comparing the columns casts a `numeric` to a float, which fails for numbers out of range: a row that the
/// caller does not see could fail the call.
fn overflows(here: &Column, far: &Column) -> bool {
    let [here, far] = [here, far].map(|column| column.data_type.base());
    let numeric = DataType::numeric().oid;
    here.is_float() && far.oid == numeric || far.is_float() && here.oid == numeric
}

/// `customer_id`, `customerId`, `CustomerID` and `Customer Id` without the suffix. A name that consists of the suffix stays.
pub(super) fn stem(column: &str) -> Stem<'_> {
    let camel = |rest: &&str| rest.ends_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
    let short = ["_id", "_Id", "_ID", " id", " Id", " ID"]
        .into_iter()
        .find_map(|suffix| column.strip_suffix(suffix))
        .or_else(|| column.strip_suffix("Id").filter(camel))
        .or_else(|| column.strip_suffix("ID").filter(camel))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(column);
    Stem { short, whole: column }
}

impl Link<'_> {
    /// The column that names the key.
    pub(super) fn naming(&self) -> Option<&Stem<'_>> {
        self.stems.get(self.naming?)
    }

    /// What tells the key from others: the column that names it, or all of them.
    pub(super) fn by(&self) -> String {
        self.naming().map_or_else(|| self.stem(), |stem| stem.short.to_owned())
    }

    /// The key's columns as one name: `tenant_order` for `(tenant_id, order_id)`.
    pub(super) fn stem(&self) -> String {
        let shorts: Vec<&str> = self.stems.iter().map(|stem| stem.short).collect();
        shorts.join("_")
    }

    /// The rank of the relation to its target, or of the one from there.
    pub(super) fn rank(&self) -> Rank {
        if self.logical { Rank::Logical } else { Rank::Key }
    }

    /// The same pairs from the side of the referenced table.
    pub(super) fn reversed(&self) -> Vec<(usize, usize)> {
        self.columns.iter().map(|(here, there)| (*there, *here)).collect()
    }
}
