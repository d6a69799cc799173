//! Rows of `indexes.sql`, `foreign_keys.sql` and `checks.sql`.
//!
//! A key or index with a column that the login may not use is left out as a whole: without that column it would be
//! another key.

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::text::Texts as _;
use super::{Tables, comment, directive, owner};
use crate::name::TableName;
use crate::schema::{Check, Column, ForeignKey, Index, Key, RelationNames, Subject, Table};

pub(super) fn add_indexes(tables: &mut Tables, rows: &[Row]) -> Result<(), PgError> {
    for row in rows {
        if let Some(table) = owner(tables, row)? {
            if let Some(key) = key(table, row)? {
                match row.try_get("primary")? {
                    true => table.primary_key = Some(key),
                    false => table.unique_keys.push(key),
                }
            }
            table.indexes.extend(index(table, row)?);
        }
    }
    Ok(())
}

pub(super) fn add_foreign_keys(tables: &mut Tables, rows: &[Row]) -> Result<(), PgError> {
    for row in rows {
        let Some(table) = owner(tables, row)? else { continue };
        let Some(columns) = positions(&table.columns, row.try_get("columns")?) else { continue };
        let key = foreign_key(row, columns)?;
        if row.try_get("logical")? {
            table.logical_keys.push(key);
            continue;
        }
        table.directives.extend(directive(row, Subject::ForeignKey(key.name.clone()))?);
        table.foreign_keys.push(key);
    }
    Ok(())
}

/// The foreign key in a row of `foreign_keys.sql`, whose columns are at these positions.
pub(super) fn foreign_key(row: &Row, columns: Vec<usize>) -> Result<ForeignKey, PgError> {
    Ok(ForeignKey {
        name: row.text("name")?,
        columns,
        table: TableName { schema: row.text("other_schema")?, name: row.text("other_name")? },
        references: row.texts("other_columns")?,
        deferrable: row.try_get("deferrable")?,
        cascades: row.try_get("cascades")?,
        relation_names: RelationNames::default(),
        comment: comment(row)?,
    })
}

pub(super) fn add_checks(tables: &mut Tables, rows: &[Row]) -> Result<(), PgError> {
    for row in rows {
        let Some(table) = owner(tables, row)? else { continue };
        let Some(columns) = positions(&table.columns, row.try_get("columns")?) else { continue };
        let Some(definition) = row.text_or_null("definition")? else { continue };
        table.checks.push(Check {
            name: row.text("name")?,
            definition,
            columns,
            comment: comment(row)?,
        });
    }
    Ok(())
}

/// The key that a unique index is: without expressions, and over all rows.
fn key(table: &Table, row: &Row) -> Result<Option<Key>, PgError> {
    let unique: bool = row.try_get("unique")?;
    let partial = row.text_or_null("predicate")?.is_some();
    // An expression has the number 0, which is no column's.
    let columns = positions(&table.columns, row.try_get("columns")?);
    let Some(columns) = columns.filter(|_| unique && !partial) else { return Ok(None) };
    Ok(Some(Key {
        name: row.text("name")?,
        columns,
        arbiter: row.try_get("arbiter")?,
        nulls_equal: row.try_get("nulls_equal")?,
        comment: comment(row)?,
    }))
}

fn index(table: &Table, row: &Row) -> Result<Option<Index>, PgError> {
    let Some(mentions) = positions(&table.columns, row.try_get("mentions")?) else {
        return Ok(None);
    };
    // SQL repeats it.
    if !row.is_legible("predicate")? {
        return Ok(None);
    }
    let mut expressions = row.texts_or_null("expressions")?.into_iter();
    let (mut parts, mut columns) = (Vec::new(), Vec::new());
    for number in row.try_get::<_, Vec<i16>>("columns")? {
        match position(&table.columns, number) {
            Some(position) => {
                parts.extend(table.columns.get(position).map(|column| column.name.clone()));
                columns.push(position);
            }
            None => parts.extend(expressions.next().flatten()),
        }
    }
    Ok(Some(Index {
        name: row.text("name")?,
        parts,
        columns,
        method: row.try_get("method")?,
        unique: row.try_get("unique")?,
        exclusion: row.text_or_null("exclusion")?,
        predicate: row.text_or_null("predicate")?,
        by_bytes: row.try_get("by_bytes")?,
        mentions,
    }))
}

/// The positions of the columns with these numbers; `None` if any is missing.
fn positions(columns: &[Column], numbers: Vec<i16>) -> Option<Vec<usize>> {
    numbers.into_iter().map(|number| position(columns, number)).collect()
}

fn position(columns: &[Column], number: i16) -> Option<usize> {
    columns.binary_search_by_key(&number, |column| column.number).ok()
}
