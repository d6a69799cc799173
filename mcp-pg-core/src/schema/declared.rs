//! Relations that the configuration declares, where no foreign key exists.

use std::collections::BTreeSet;

use super::{Column, Family, ForeignKey, Found, Relation, RelationNames, Schema, TableKind};
use crate::name::{TableName, nearest};

/// A relation between tables or views that the configuration declares. PostgreSQL does not enforce it. If a foreign
/// key relates the same columns, or that of a table whose columns a view shows, the declaration only names its relations.
///
/// ```
/// use mcp_pg_core::schema::DeclaredRelation;
///
/// let sales_to_shops = DeclaredRelation {
///     table: "sales_by_store".into(),
///     columns: vec!["store".into()],
///     to: "store".into(),
///     references: vec!["store_id".into()],
///     ..DeclaredRelation::default()
/// };
/// # drop(sales_to_shops);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeclaredRelation {
    /// The referring table or view: `name`, or `schema.name`.
    pub table: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// The table or view that they refer to.
    pub to: String,
    /// The columns there, paired with `columns`; those of its primary key if empty.
    pub references: Vec<String>,
    /// The name of the relation to the one row; chosen by the usual rules if absent.
    pub name: Option<String>,
    /// The name of the relation to the many rows; chosen by the usual rules if absent.
    pub inverse: Option<String>,
}

impl Schema {
    /// The schema with these relations added, and the faults found: declarations that do not fit the tables, which
    /// are left out, and names that are already taken.
    ///
    /// The faults are messages for the operator. Each begins with the declaration's place in the list.
    pub fn declaring(mut self, declared: &[DeclaredRelation]) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let mut keys: Vec<(usize, ForeignKey)> = Vec::new();
        for (index, relation) in declared.iter().enumerate() {
            match self.key(relation) {
                Ok(key) => keys.push(key),
                Err(reason) => faults.push(format!("relations[{index}].{reason}")),
            }
        }
        if keys.is_empty() {
            return (self, faults);
        }
        for (table, key) in keys {
            let Some(table) = self.tables.get_mut(table) else { continue };
            // A declaration's names take precedence over those in the foreign key's comment.
            let mut known = table.foreign_keys.iter_mut().chain(&mut table.logical_keys);
            match known.find(|known| same(known, &key)) {
                Some(known) => {
                    let (given, names) = (key.relation_names, &mut known.relation_names);
                    names.to_one = given.to_one.or(names.to_one.take());
                    names.to_many = given.to_many.or(names.to_many.take());
                }
                None => table.logical_keys.push(key),
            }
        }
        let renewed = self.renewed();
        faults.extend(declared.iter().enumerate().flat_map(|(index, relation)| {
            let fault = move |fault: String| format!("relations[{index}].{fault}");
            renewed.unkeyed(relation).into_iter().chain(renewed.unnamed(relation)).map(fault)
        }));
        (renewed, faults)
    }

    /// That no key of the table makes the referenced columns unique, so that a row may refer to several rows. Of a view, not all keys
    /// are known; where none is, nothing is told.
    fn unkeyed(&self, declared: &DeclaredRelation) -> Option<String> {
        let (_, key) = self.key(declared).ok()?;
        let table = self.table(&key.table)?;
        let name = |position: &usize| table.columns.get(*position).map(|column| &column.name);
        let refers = |position| name(position).is_some_and(|name| key.references.contains(name));
        let unique = table.keys().any(|own| own.columns.iter().all(refers));
        let stored = matches!(table.kind, TableKind::Table | TableKind::PartitionedTable);
        let known = stored || table.keys().next().is_some();
        (known && !unique).then(|| {
            format!(
                "references: {} has no key of {}: of several rows with the same values, any one is shown",
                table.name,
                key.references.join(", ")
            )
        })
    }

    /// The names in a declaration that are already taken.
    fn unnamed(&self, declared: &DeclaredRelation) -> Vec<String> {
        let key = self.key(declared).ok();
        key.map_or_else(Vec::new, |(from, key)| self.taken(from, &key, ["name", "inverse"]))
    }

    /// The names that are given to the relations of a key of a table, but are already taken. Each message begins with what
    /// the name is called there.
    pub(super) fn taken(&self, from: usize, key: &ForeignKey, called: [&str; 2]) -> Vec<String> {
        let Some(to) = self.position(&key.table) else { return Vec::new() };
        let there = |name: &String| Some(self.tables.get(to)?.column(name)?.0);
        let there = key.references.iter().filter_map(there);
        let pairs: BTreeSet<(usize, usize)> = key.columns.iter().copied().zip(there).collect();
        let is_of_key = |relation: &Relation| {
            relation.table == to
                && relation.columns.iter().copied().collect::<BTreeSet<_>>() == pairs
        };
        // Not all columns can be read.
        if !self.relations.get(from).is_some_and(|relations| relations.iter().any(is_of_key)) {
            return Vec::new();
        }
        let back = pairs.iter().map(|(here, there)| (*there, *here)).collect();
        let [to_one, to_many] = called;
        let ends = [
            (to_one, &key.relation_names.to_one, from, to, pairs),
            (to_many, &key.relation_names.to_many, to, from, back),
        ];
        let faults = ends.into_iter().filter_map(|(called, name, here, there, pairs)| {
            let (name, table) = (name.as_ref()?, self.tables.get(here)?);
            if table.column(name).is_some() {
                return Some(format!("{called}: {} has a column {name:?}", table.name));
            }
            match Relation::find(self.relations.get(here)?, name) {
                Found::One(relation)
                    if relation.table == there
                        && relation.columns.iter().copied().collect::<BTreeSet<_>>() == pairs =>
                {
                    None
                }
                _ => Some(format!("{called}: {} has another relation {name:?}", table.name)),
            }
        });
        faults.collect()
    }

    /// The declaration as a logical key, and the position of its table.
    fn key(&self, declared: &DeclaredRelation) -> Result<(usize, ForeignKey), String> {
        let table = self.called(&declared.table).map_err(|reason| format!("table: {reason}"))?;
        let to = self.called(&declared.to).map_err(|reason| format!("to: {reason}"))?;
        let (from, other) = (&self.tables[table], &self.tables[to]);
        let references: Vec<String> = match (declared.references.as_slice(), &other.primary_key) {
            ([], Some(key)) => {
                key.columns.iter().map(|column| other.columns[*column].name.clone()).collect()
            }
            ([], None) => {
                return Err(format!("references: {} has no primary key; name columns", other.name));
            }
            (named, _) => named.to_vec(),
        };
        if declared.columns.is_empty() || declared.columns.len() != references.len() {
            return Err(format!(
                "columns: there are {}, and {} that they refer to",
                declared.columns.len(),
                references.len()
            ));
        }
        let mut columns = Vec::with_capacity(references.len());
        for (name, reference) in declared.columns.iter().zip(&references) {
            let (position, column) =
                named(&from.columns, name).map_err(|reason| format!("columns: {reason}"))?;
            let (_, referenced) = named(&other.columns, reference)
                .map_err(|reason| format!("references: {reason}"))?;
            if !comparable(column, referenced) {
                return Err(format!(
                    "columns: {name} is {}, and {reference} is {}",
                    column.type_name, referenced.type_name
                ));
            }
            columns.push(position);
        }
        let key = ForeignKey {
            name: format!("declared_{}", declared.columns.join("_")),
            columns,
            table: other.name.clone(),
            references,
            deferrable: false,
            cascades: false,
            comment: None,
            relation_names: RelationNames {
                to_one: declared.name.clone(),
                to_many: declared.inverse.clone(),
            },
        };
        Ok((table, key))
    }

    /// The position of the table called `name` or `schema.name`.
    fn called(&self, name: &str) -> Result<usize, String> {
        let bare = self.tables.iter().position(|table| table.name.name == name);
        let full = || {
            name.match_indices('.')
                .find_map(|(dot, _)| self.position(&TableName::new(&name[..dot], &name[dot + 1..])))
        };
        bare.or_else(full).ok_or_else(|| {
            let names = self.tables.iter().map(|table| table.name.name.as_str());
            format!("there is no table {name:?}{}", hint(name, names))
        })
    }
}

/// Whether both keys pair the same columns.
fn same(one: &ForeignKey, other: &ForeignKey) -> bool {
    let pairs = |key: &ForeignKey| -> BTreeSet<(usize, String)> {
        key.columns.iter().copied().zip(key.references.iter().cloned()).collect()
    };
    one.table == other.table && pairs(one) == pairs(other)
}

fn named<'a>(columns: &'a [Column], name: &str) -> Result<(usize, &'a Column), String> {
    columns.iter().enumerate().find(|(_, column)| column.name == name).ok_or_else(|| {
        let names = columns.iter().map(|column| column.name.as_str());
        format!("there is no column {name:?}{}", hint(name, names))
    })
}

fn hint<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map(|near| format!("; did you mean {near}?")).unwrap_or_default()
}

/// Whether PostgreSQL has an `=` between the two columns' types.
fn comparable(one: &Column, other: &Column) -> bool {
    let (one, other) = (one.data_type.base(), other.data_type.base());
    let exact = one.is_exact() && other.is_exact();
    let text = one.family() == Family::Text && other.family() == Family::Text;
    one.equality && (one.oid == other.oid || exact || text)
}
