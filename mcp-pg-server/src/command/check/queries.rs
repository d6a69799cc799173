//! Notes on canned queries whose confirmations cannot identify rows, and on those that clients refuse.

use std::collections::BTreeSet;

use mcp_pg_core::policy::Settings;
use mcp_pg_core::{Engine, Principal};

/// The most characters of a tool's description that all providers of models take.
const DESCRIPTION_MOST: usize = 1_024;

/// The most characters of a tool's name that leave room for the server's, which many clients put before it. Providers
/// take 64.
const NAME_MOST: usize = 48;

/// Notes on queries whose tools some clients and providers refuse, with all others.
pub(super) fn refused_by_clients(engine: &Engine, settings: &Settings) -> Vec<String> {
    let mut notes = BTreeSet::new();
    for role in &settings.roles {
        let caller = Principal::new("check", &role.name);
        for query in engine.queries(&caller).unwrap_or_default() {
            let place = &query.place;
            let length = query.description.as_deref().unwrap_or_default().chars().count();
            if length > DESCRIPTION_MOST {
                notes.insert(format!(
                    "{place}: the description has {length} characters, and some providers of models refuse a request with more than {DESCRIPTION_MOST}"
                ));
            }
            if query.name.len() > NAME_MOST {
                notes.insert(format!(
                    "{place}: clients that put the server's name before {}, which has {} characters, may exceed the 64 that providers of models take",
                    query.name,
                    query.name.len()
                ));
            }
        }
    }
    notes.into_iter().collect()
}

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
