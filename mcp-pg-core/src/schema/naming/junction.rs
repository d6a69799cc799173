//! Junction tables, whose rows relate rows of two other tables.

use std::collections::HashSet;

use super::{Link, Rank};
use crate::schema::{Key, Table, TableKind};

/// Two keys that make their table a junction.
pub(super) struct Pair<'l, 'a> {
    /// The keys.
    pub(super) ends: [&'l Link<'a>; 2],
    /// The rank of the relation between their tables.
    pub(super) rank: Rank,
    /// Whether several rows of the junction may relate the same two rows.
    pub(super) repeats: bool,
}

/// The pairs of keys that are both in the table's primary key, or together are a unique key. Neither may contain the
/// other.
pub(super) fn junctions<'l, 'a>(table: &Table, links: &'l [Link<'a>]) -> Vec<Pair<'l, 'a>> {
    let set = |key: &Key| -> HashSet<usize> { key.columns.iter().copied().collect() };
    let own = |link: &Link<'_>| -> HashSet<usize> { link.columns.iter().map(|p| p.0).collect() };
    let primary = table.primary_key.as_ref().map(set).unwrap_or_default();
    let keys: Vec<HashSet<usize>> = table.keys().map(set).collect();
    let parts: Vec<(&Link<'a>, HashSet<usize>)> =
        links.iter().map(|link| (link, own(link))).collect();
    let mut pairs = Vec::new();
    for (place, (near, here)) in parts.iter().enumerate() {
        for (far, there) in parts.iter().skip(place + 1) {
            let both: HashSet<usize> = here | there;
            // Declared keys can make a table a junction. Keys that a view has from the tables beneath it cannot make
            // it one.
            let views = [TableKind::View, TableKind::MaterializedView];
            let declared = !views.contains(&table.kind) && !near.beside && !far.beside;
            let known = declared || !(near.logical && far.logical);
            let apart = !here.is_subset(there) && !there.is_subset(here);
            let repeats = !keys.contains(&both);
            let within = apart && both.is_subset(&primary);
            if !known || here.len().max(there.len()) == both.len() || repeats && !within {
                continue;
            }
            let nothing_else = (0..table.columns.len())
                .all(|column| both.contains(&column) || primary.contains(&column));
            let rank = match within {
                _ if !repeats && (both == primary || nothing_else) => Rank::Key,
                true => Rank::Wide,
                false => Rank::Entity,
            };
            pairs.push(Pair { ends: [*near, *far], rank, repeats });
        }
    }
    pairs
}
