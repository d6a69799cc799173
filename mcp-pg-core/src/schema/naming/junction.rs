//! Tables whose rows relate rows of two others.

use std::collections::HashSet;

use super::{Link, Rank};
use crate::schema::{Key, Table, TableKind};

/// Two keys of a junction.
pub(super) struct Pair<'l, 'a> {
    /// They.
    pub(super) ends: [&'l Link<'a>; 2],
    /// What the relation between them comes of.
    pub(super) rank: Rank,
    /// Whether its rows may have both alike.
    pub(super) repeats: bool,
}

/// The pairs of foreign keys that are in the table's primary key, neither of them alone; or that are a unique key.
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
            // Keys that are declared make a junction of a table, those that views have of tables beneath none of a view.
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
