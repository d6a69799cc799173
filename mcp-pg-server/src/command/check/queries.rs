//! Notes on canned queries whose confirmations cannot identify rows.

use mcp_pg_core::policy::Settings;
use mcp_pg_core::{Engine, Principal};

/// Notes on queries with a confirmation that change or delete rows without returning the key.
pub(super) fn untold(engine: &Engine, settings: &Settings) -> Vec<String> {
    let mut notes = Vec::new();
    for role in &settings.roles {
        let (caller, schema) = (Principal::new("check", &role.name), engine.schema_of(role));
        for query in engine.queries(&caller).unwrap_or_default() {
            let Some(table) = query.untold(&schema).filter(|_| query.confirms(role)) else {
                continue;
            };
            let note = format!(
                "{}: the user agrees to a number of rows, not to which ones: RETURNING lacks the primary key of {}",
                query.place, table.name
            );
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    notes
}
