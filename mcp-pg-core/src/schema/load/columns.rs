//! Rows of `columns.sql`.

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::text::Texts as _;
use super::{Tables, comment, directive, owner, types::Types};
use crate::schema::{Collation, Column, ColumnHints, Identity, Subject, Table};

/// Adds the columns to their tables, and returns the names of those that SQL cannot name. `first` is the prefix removed from
/// type names: the first configured schema.
pub(super) fn add(
    tables: &mut Tables,
    rows: &[Row],
    types: &mut Types,
    first: &str,
) -> Result<Vec<String>, PgError> {
    let mut illegible = Vec::new();
    for row in rows {
        if let Some(table) = owner(tables, row)? {
            let column = column(table, row, types, first)?;
            if !(row.is_legible("name")? && row.is_legible("type_name")?) {
                illegible.push(format!("{}.{}", table.name, column.name));
                continue;
            }
            // Columns without any right are left out; so are those of which the only right cannot be used, such as
            // INSERT on a materialised view.
            if column.can_select || column.can_insert || column.can_update {
                let subject = Subject::Column(column.name.clone());
                table.directives.extend(directive(row, subject)?);
                table.columns.push(column);
            }
        }
    }
    Ok(illegible)
}

fn column(table: &Table, row: &Row, types: &mut Types, first: &str) -> Result<Column, PgError> {
    let data_type = types.get(row.try_get("type")?);
    let collation = match row.try_get::<_, Option<u32>>("collation")? {
        Some(oid) => Collation { oid, deterministic: row.try_get("deterministic")? },
        None => Collation::default(),
    };
    let data_type = data_type.with(collation);
    let type_name = row.text("type_name")?;
    let expression = row.text_or_null("expression")?;
    let (default, generated) = match row.try_get("generated")? {
        true => (None, Some(expression.unwrap_or_default())),
        false => (expression, None),
    };
    Ok(Column {
        parts: Vec::new(),
        name: row.text("name")?,
        alias: None,
        number: row.try_get("number")?,
        nullable: !row.try_get::<_, bool>("not_null")? && !data_type.refuses_null(),
        may_be_null: !row.try_get::<_, bool>("never_null")?,
        data_type,
        type_name: type_name.strip_prefix(first).unwrap_or(&type_name).to_owned(),
        default,
        default_refused: row.try_get("default_refused")?,
        identity: match row.try_get("identity")? {
            "a" => Some(Identity::Always),
            "d" => Some(Identity::ByDefault),
            _ => None,
        },
        generated,
        generated_from: row.try_get("generated_from")?,
        origin: None,
        comment: comment(row)?,
        hints: ColumnHints::default(),
        can_select: row.try_get("can_select")?,
        can_insert: table.privileges.insert && row.try_get("can_insert")?,
        insert_granted: table.privileges.insert && row.try_get("can_insert")?,
        can_update: table.privileges.update && row.try_get("can_update")?,
    })
}
