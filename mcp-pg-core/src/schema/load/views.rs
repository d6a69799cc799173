//! Rows of `view_rules.sql` and `origins.sql`: where the columns of views come from, and which keys they
//! show.

use std::collections::HashMap;

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::Tables;
use super::target_list::{Shown, shown};
use crate::name::TableName;
use crate::schema::{ColumnOrigin, ForeignKey, RelationNames, TableKind};

/// How many views may lie on one another.
const DEPTH_MOST: usize = 32;

/// What each view's select list shows, by the view's OID.
pub(super) struct Rules(HashMap<u32, Vec<Shown>>);

impl Rules {
    pub(super) fn read(rows: &[Row]) -> Result<Self, PgError> {
        let rule = |row: &Row| Ok((row.try_get("view")?, shown(row.try_get("tree")?)));
        rows.iter().map(rule).collect::<Result<_, PgError>>().map(Self)
    }

    /// The tables beneath all views.
    pub(super) fn tables(&self) -> Vec<u32> {
        let all = self.0.values().flatten().filter_map(|shown| self.origin(*shown, 0));
        let mut tables: Vec<u32> = all.map(|(table, _)| table).collect();
        tables.sort_unstable();
        tables.dedup();
        tables
    }

    /// The table and column beneath all views.
    fn origin(&self, shown: Shown, depth: usize) -> Option<(u32, i16)> {
        match self.0.get(&shown.table) {
            None => Some((shown.table, shown.column)),
            Some(_) if depth == DEPTH_MOST => None,
            Some(list) => {
                let next = list.iter().find(|next| next.number == shown.column)?;
                self.origin(*next, depth + 1)
            }
        }
    }
}

/// Notes the origins of the views' columns, and the keys that they show; `names` and `keys` are of the tables
/// beneath.
pub(super) fn add(
    tables: &mut Tables,
    rules: &Rules,
    names: &[Row],
    keys: &[Row],
) -> Result<(), PgError> {
    let mut origins: HashMap<(u32, i16), ColumnOrigin> = HashMap::new();
    for row in names {
        let table = TableName { schema: row.try_get("schema")?, name: row.try_get("name")? };
        let origin = ColumnOrigin { table, column: row.try_get("column")? };
        origins.insert((row.try_get("table")?, row.try_get("number")?), origin);
    }
    let mut by_table: HashMap<u32, Vec<&Row>> = HashMap::new();
    for row in keys {
        by_table.entry(row.try_get("table")?).or_default().push(row);
    }
    for (oid, table) in tables.iter_mut() {
        if !matches!(table.kind, TableKind::View | TableKind::MaterializedView) {
            continue;
        }
        let mut shown: Vec<(usize, (u32, i16))> = Vec::new();
        for item in rules.0.get(oid).into_iter().flatten() {
            let position = table.columns.binary_search_by_key(&item.number, |column| column.number);
            if let (Ok(position), Some(origin)) = (position, rules.origin(*item, 0))
                && let Some(known) = origins.get(&origin)
            {
                table.columns[position].origin = Some(known.clone());
                shown.push((position, origin));
            }
        }
        let mut beneath: Vec<u32> = shown.iter().map(|(_, (table, _))| *table).collect();
        beneath.sort_unstable();
        beneath.dedup();
        for row in beneath.iter().filter_map(|table| by_table.get(table)).flatten() {
            table.logical_keys.extend(keys_of(row, &shown)?);
        }
    }
    Ok(())
}

/// The key of a row of `foreign_keys.sql` as a view shows it: a key of one column once for each place where
/// the view has it, as it has after a join of a table with itself.
fn keys_of(row: &Row, shown: &[(usize, (u32, i16))]) -> Result<Vec<ForeignKey>, PgError> {
    let table: u32 = row.try_get("table")?;
    let places = |number: i16| {
        shown.iter().filter(move |(_, origin)| *origin == (table, number)).map(|(place, _)| *place)
    };
    let numbers: Vec<i16> = row.try_get("columns")?;
    let columns: Vec<Vec<usize>> = match numbers.as_slice() {
        [number] => places(*number).map(|place| vec![place]).collect(),
        numbers => {
            let first: Option<Vec<usize>> =
                numbers.iter().map(|number| places(*number).next()).collect();
            first.into_iter().collect()
        }
    };
    let key = |columns: Vec<usize>| {
        Ok(ForeignKey {
            name: row.try_get("name")?,
            columns,
            table: TableName {
                schema: row.try_get("other_schema")?,
                name: row.try_get("other_name")?,
            },
            references: row.try_get("other_columns")?,
            deferrable: false,
            cascades: false,
            comment: None,
            relation_names: RelationNames::default(),
        })
    };
    columns.into_iter().map(key).collect()
}
