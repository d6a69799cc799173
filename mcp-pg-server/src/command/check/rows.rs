//! Row conditions of grants that fit no row of their tables.

use mcp_pg_core::policy::{Action, Role};
use mcp_pg_core::schema::{Found, Relation, RelationKind, Schema};
use serde_json::{Map, Value};

/// The findings on `rows` of a role's grants.
pub(super) fn of_rows(role: &Role, schema: &Schema, findings: &mut Vec<String>) {
    for (position, grant) in role.grants.iter().enumerate() {
        let Some(rows) = &grant.rows else { continue };
        // The first grant that matches decides.
        let decides = |action: &Action, table: usize| {
            let name = &schema.tables[table].name;
            let earlier = &role.grants[..position];
            !earlier.iter().any(|other| other.actions.contains(*action) && other.matches(name))
        };
        for (table, named) in schema.tables.iter().enumerate() {
            let decided = grant.actions.iter().any(|action| decides(&action, table));
            if decided
                && grant.matches(&named.name)
                && let Some((at, name)) = unknown(schema, table, rows)
            {
                findings.push(format!(
                    "roles.{}.grants[{position}].rows: {} has no column or relation {name:?}",
                    role.name, schema.tables[at].name
                ));
            }
        }
    }
}

/// The first name of a condition that its table does not have, and that table.
fn unknown(schema: &Schema, table: usize, rows: &Map<String, Value>) -> Option<(usize, String)> {
    let inside = |table: usize, value: &Value| -> Option<(usize, String)> {
        match value {
            Value::Object(inner) => unknown(schema, table, inner),
            Value::Array(parts) => parts
                .iter()
                .filter_map(Value::as_object)
                .find_map(|part| unknown(schema, table, part)),
            _ => None,
        }
    };
    rows.iter().find_map(|(name, value)| match name.as_str() {
        "and" | "or" | "not" => inside(table, value),
        // What is spelled out may have any name.
        _ if rows.contains_key("column") => None,
        _ if schema.tables[table].column(name).is_some() => None,
        _ => match Relation::find(&schema.relations[table], name) {
            Found::One(relation) if relation.kind == RelationKind::ToOne => {
                inside(relation.table, value)
            }
            Found::One(relation) => {
                value.as_object()?.values().find_map(|value| inside(relation.table, value))
            }
            _ => Some((table, name.clone())),
        },
    })
}
