//! Rows of `tables.sql`.

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::text::Texts as _;
use super::{Tables, comment, directive, name, owner};
use crate::schema::{Privileges, RowSecurity, Subject, Table, TableKind};

/// The tables. The names of those that SQL cannot name are added to `illegible`.
pub(super) fn read(rows: &[Row], illegible: &mut Vec<String>) -> Result<Tables, PgError> {
    let mut tables = Tables::new();
    for row in rows {
        let table = table(row)?;
        match row.is_legible("name")? {
            true => drop(tables.insert(table.oid, table)),
            false => illegible.push(table.name.to_string()),
        }
    }
    Ok(tables)
}

/// Adds to each table the tables that it inherits from.
pub(super) fn add_ancestors(tables: &mut Tables, rows: &[Row]) -> Result<(), PgError> {
    for row in rows {
        if let Some(table) = owner(tables, row)? {
            table.ancestors.push(name(row)?);
        }
    }
    Ok(())
}

fn table(row: &Row) -> Result<Table, PgError> {
    let owner = row.try_get("owner")?;
    let forced = row.try_get("row_security_forced")?;
    Ok(Table {
        name: name(row)?,
        oid: row.try_get("oid")?,
        kind: match row.try_get("kind")? {
            "v" => TableKind::View,
            "m" => TableKind::MaterializedView,
            "f" => TableKind::ForeignTable,
            "p" => TableKind::PartitionedTable,
            _ => TableKind::Table,
        },
        comment: comment(row)?,
        owner: row.text("owned_by")?,
        directives: directive(row, Subject::Table)?.into_iter().collect(),
        estimated_rows: row
            .try_get::<_, Option<f64>>("estimated_rows")?
            .map(|rows| rows.round() as u64),
        of_extension: row.try_get("of_extension")?,
        fills_rows: row.try_get("fills_rows")?,
        fills_updates: row.try_get("fills_updates")?,
        has_heirs: row.try_get("has_heirs")?,
        ancestors: Vec::new(),
        columns: Vec::new(),
        primary_key: None,
        unique_keys: Vec::new(),
        foreign_keys: Vec::new(),
        logical_keys: Vec::new(),
        checks: Vec::new(),
        indexes: Vec::new(),
        row_security: RowSecurity {
            enabled: row.try_get("row_security")?,
            forced,
            bypassed: row.try_get("bypasses_row_security")? || (owner && !forced),
        },
        privileges: Privileges {
            select: row.try_get("can_select")?,
            select_whole: row.try_get("can_select_whole")?,
            insert: row.try_get("can_insert")?,
            update: row.try_get("can_update")?,
            delete: row.try_get("can_delete")?,
            owner,
        },
    })
}
