//! Rows of `routines.sql`.

use tokio_postgres::Row;
use tokio_postgres::error::Error as PgError;

use super::text::Texts as _;
use crate::name::TableName;
use crate::schema::{Argument, ArgumentMode, Routine};

pub(super) fn read(row: &Row) -> Result<Routine, PgError> {
    let types = row.texts("types")?;
    let pseudo: Vec<bool> = row.try_get("pseudo")?;
    let names = row.texts("names")?;
    let modes: Vec<String> = row.try_get("modes")?;
    let defaults: i32 = row.try_get("defaults")?;
    let expressions = row.texts_or_null("expressions")?;
    let mut arguments = Vec::with_capacity(types.len());
    for (position, (type_name, pseudo)) in types.into_iter().zip(pseudo).enumerate() {
        let mode = match modes.get(position).map_or("i", String::as_str) {
            "t" => continue,
            "o" => ArgumentMode::Out,
            "v" => ArgumentMode::Variadic,
            _ => ArgumentMode::In,
        };
        let name = names.get(position).filter(|name| !name.is_empty()).cloned();
        arguments.push(Argument {
            named: name.is_some(),
            name: name.unwrap_or_else(|| format!("arg{}", position + 1)),
            type_name,
            // The result of an OUT argument has a concrete type.
            pseudo: pseudo && mode != ArgumentMode::Out,
            mode,
            default: false,
            expression: expressions.get(position).cloned().flatten(),
        });
    }
    let inputs = arguments.iter_mut().rev().filter(|a| a.mode != ArgumentMode::Out);
    inputs.take(usize::try_from(defaults).unwrap_or_default()).for_each(|a| a.default = true);
    let table = row.text_or_null("row_schema")?;
    let table = table.zip(row.text_or_null("row_table")?);
    let columns = table.as_ref().map(|_| row.texts("row_columns")).transpose()?;
    let executable_by = row.texts("executable_by")?;
    Ok(Routine {
        schema: row.text("schema")?,
        name: row.text("name")?,
        identity: row.text("identity")?,
        procedure: row.try_get("procedure")?,
        volatile: row.try_get::<_, bool>("volatile")? || row.try_get::<_, bool>("procedure")?,
        strict: row.try_get("strict")?,
        untyped: row.try_get("untyped")?,
        uncallable: row.try_get("uncallable")?,
        rows: table.map(|(schema, name)| TableName { schema, name }).zip(columns),
        arguments,
        comment: row.text("comment")?,
        owner: row.text("owner")?,
        vouched_for: row.try_get("vouched_for")?,
        executable_by: executable_by
            .into_iter()
            .map(|role| Some(role).filter(|role| !role.is_empty()))
            .collect(),
    })
}
