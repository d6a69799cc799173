//! Builds the relations of all tables from their keys, and names them.
//!
//! A short name may be shared by several relations of a table; its unambiguous name belongs to one. Names are chosen
//! among the given tables only: the relations that a role sees are named separately, so that no name reveals a hidden
//! table.

mod junction;
mod link;

use std::collections::{HashMap, HashSet};

use self::junction::{Pair, junctions};
use self::link::{Link, links};
use super::{Junction, Relation, RelationKind, Table};
use crate::name::TableName;

/// The relations of each table, by the table's position: to one, to many, then through junctions.
///
/// Follows foreign keys and logical keys. A key to a table also leads to each view that shows the referenced columns:
/// to one row if the view has a key there, otherwise to many. Relations from logical keys and to views never take a
/// name from those of foreign keys.
///
/// A key is left out if it leads to a table that is not in `tables`, if the login cannot read a column at either end,
/// or if an earlier key pairs the same columns.
pub(super) fn relations(
    tables: &[Table],
    by_name: &HashMap<TableName, usize>,
) -> Vec<Vec<Relation>> {
    let views = views(tables);
    let links: Vec<Vec<Link<'_>>> =
        (0..tables.len()).map(|from| links(tables, by_name, &views, from)).collect();
    let mut drafts: Vec<Vec<Draft>> = tables.iter().map(|_| Vec::new()).collect();
    let mut add = |table: usize, draft: Draft| {
        if let Some(drafts) = drafts.get_mut(table) {
            drafts.push(draft);
        }
    };
    for link in links.iter().flatten() {
        add(link.from, to_one(link));
    }
    for link in links.iter().flatten() {
        add(link.to, to_many(link));
    }
    for (table, links) in tables.iter().zip(&links) {
        for Pair { ends: [near, far], rank, repeats } in junctions(table, links) {
            add(near.to, many_to_many(near, far, rank, repeats));
            add(far.to, many_to_many(far, near, rank, repeats));
        }
    }
    drafts.into_iter().map(name_apart).collect()
}

/// The views that show columns of each table, by the table's name.
fn views(tables: &[Table]) -> HashMap<&TableName, Vec<usize>> {
    let mut views: HashMap<&TableName, Vec<usize>> = HashMap::new();
    for (position, table) in tables.iter().enumerate() {
        for origin in table.columns.iter().filter_map(|column| column.origin.as_ref()) {
            let views = views.entry(&origin.table).or_default();
            if views.last() != Some(&position) {
                views.push(position);
            }
        }
    }
    views
}

/// A relation whose unambiguous name is not chosen yet. It becomes the first of `forms` that no other relation has.
struct Draft {
    relation: Relation,
    rank: Rank,
    /// For a relation to one row: the key's column, without the suffix.
    own: Option<String>,
    forms: Vec<String>,
}

/// The source of a relation. Relations of a later rank take no names from those of an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Foreign keys.
    Key,
    /// Logical keys.
    Logical,
    /// A junction whose primary key has further columns, such as a date or a language.
    Wide,
    /// A table that relates others but is an entity of its own, such as a review. Only the unambiguous name is used.
    Entity,
}

fn to_one(link: &Link<'_>) -> Draft {
    let name = match (&link.named.to_one, link.naming()) {
        (Some(name), _) if !link.beside => name,
        (_, Some(stem)) if !link.beside && stem.short != stem.whole => stem.short,
        _ => &link.to_name.name,
    };
    Draft {
        relation: Relation {
            alias: (*name != *link.to_name.name && !link.beside).then(|| link.to_name.name.clone()),
            name: name.to_owned(),
            unambiguous: String::new(),
            shared: Vec::new(),
            kind: if link.several { RelationKind::ToMany } else { RelationKind::ToOne },
            table: link.to,
            columns: link.columns.clone(),
            junction: None,
            constraint: link.constraint.to_owned(),
        },
        // By the view's own name, one would expect the view of the same row.
        rank: if link.within && link.beside { Rank::Entity } else { link.rank() },
        own: link.naming().filter(|_| !link.beside).map(|stem| stem.short.to_owned()),
        // Constraint names are unique within a table. Logical keys of views have none.
        forms: match link.logical {
            false => Vec::new(),
            // The name with "by" is that of the relation back, to many.
            true if link.within => {
                let (to, by) = (link.to_name, link.by());
                let first = link.beside.then(|| format!("{}_by_{by}", to.name));
                let others = [format!("{by}_{}", to.name), format!("{by}_{to}")];
                first.into_iter().chain(others).collect()
            }
            true => {
                let (to, by, all) = (link.to_name, link.by(), link.stem());
                vec![
                    format!("{}_by_{by}", to.name),
                    format!("{}_by_{all}", to.name),
                    format!("{to}_by_{all}"),
                ]
            }
        },
    }
}

fn to_many(link: &Link<'_>) -> Draft {
    let (table, by, all) = (link.from_name, link.by(), link.stem());
    let wholes: Vec<&str> = link.stems.iter().map(|stem| stem.whole).collect();
    let whole = if by == all { wholes.join("_") } else { all.clone() };
    Draft {
        relation: Relation {
            name: link.named.to_many.as_ref().unwrap_or(&table.name).clone(),
            alias: (whole != by).then(|| format!("{}_by_{whole}", table.name)),
            unambiguous: String::new(),
            shared: Vec::new(),
            kind: RelationKind::ToMany,
            table: link.from,
            columns: link.reversed(),
            junction: None,
            constraint: link.constraint.to_owned(),
        },
        // One would expect the rows of a view's own name to be other ones; not those of a given name.
        rank: if link.within && link.named.to_many.is_none() { Rank::Entity } else { link.rank() },
        own: None,
        forms: vec![
            format!("{}_by_{by}", table.name),
            format!("{}_by_{whole}", table.name),
            format!("{table}_by_{all}"),
        ],
    }
}

/// The relation from `near`'s referenced table to `far`'s, through the table that has both keys.
fn many_to_many(near: &Link<'_>, far: &Link<'_>, rank: Rank, repeats: bool) -> Draft {
    let (table, junction, all) = (far.to_name, near.from_name, near.stem());
    Draft {
        relation: Relation {
            name: table.name.clone(),
            alias: None,
            unambiguous: String::new(),
            shared: Vec::new(),
            kind: RelationKind::ManyToMany,
            table: far.to,
            columns: near.reversed(),
            junction: Some(Junction { table: near.from, columns: far.columns.clone(), repeats }),
            constraint: near.constraint.to_owned(),
        },
        rank: near.rank().max(far.rank()).max(rank),
        own: None,
        forms: vec![
            format!("{}_via_{}", table.name, junction.name),
            format!("{}_via_{}_by_{}", table.name, junction.name, near.by()),
            format!("{}_via_{}_by_{all}", table.name, junction.name),
            format!("{table}_via_{junction}_by_{all}"),
        ],
    }
}

/// Gives each of a table's relations the first of its forms that no other claims: constraint names first, then rank
/// after rank. Relations that still collide are numbered.
fn name_apart(mut drafts: Vec<Draft>) -> Vec<Relation> {
    let mut taken: HashSet<String> = HashSet::new();
    drafts.sort_by_key(|draft| draft.rank);
    let keys = drafts.partition_point(|draft| draft.rank == Rank::Key);
    for draft in drafts.iter_mut().take(keys).filter(|draft| draft.is_to_one()) {
        draft.relation.unambiguous = draft.relation.constraint.clone();
        taken.insert(draft.relation.unambiguous.clone());
    }
    // The names so far, and whether each is that of a relation through a junction.
    let mut names: HashSet<(String, bool)> = HashSet::new();
    for ranked in drafts.chunk_by_mut(|one, next| one.rank == next.rank) {
        choose(ranked, &mut taken);
        if ranked.first().is_some_and(|draft| draft.rank == Rank::Key) {
            yield_to_columns(ranked);
        }
        for Draft { relation, rank, .. } in &mut *ranked {
            // What several junctions lead to is ambiguous, whatever else is in their keys.
            let is_named = |junction: bool| names.contains(&(relation.name.clone(), junction));
            let known = taken.contains(&relation.name)
                || is_named(false)
                || *rank != Rank::Wide && is_named(true);
            if *rank == Rank::Entity || *rank > Rank::Key && known {
                let name = std::mem::replace(&mut relation.name, relation.unambiguous.clone());
                // What joins two other tables never has their names.
                if *rank == Rank::Entity && relation.junction.is_none() {
                    relation.shared.push(name);
                }
            }
        }
        names.extend(ranked.iter().map(|Draft { relation, .. }| {
            (relation.name.clone(), relation.kind == RelationKind::ManyToMany)
        }));
    }
    drafts.into_iter().map(|draft| draft.relation).collect()
}

/// A name that is the column of one key belongs to that key alone. Of several keys to one table, none is named after the table:
/// its name is an alias of all of them.
fn yield_to_columns(drafts: &mut [Draft]) {
    let own: HashSet<String> = drafts.iter().filter_map(|draft| draft.own.clone()).collect();
    let mut keys: HashMap<usize, usize> = HashMap::new();
    for Draft { relation, .. } in drafts.iter().filter(|draft| draft.is_to_one()) {
        *keys.entry(relation.table).or_default() += 1;
    }
    for draft in drafts.iter_mut().filter(|draft| draft.is_to_one()) {
        let Draft { relation, own: stem, .. } = draft;
        let is_own = stem.as_ref() == Some(&relation.name);
        let after_table = relation.alias.is_none() && !is_own;
        if after_table && (own.contains(&relation.name) || keys.get(&relation.table) > Some(&1)) {
            // A key column's name stands for its relation wherever no column can stand.
            let name = stem.clone().filter(|_| own.contains(&relation.name));
            let name = name.unwrap_or_else(|| relation.unambiguous.clone());
            relation.alias = Some(std::mem::replace(&mut relation.name, name));
        }
        relation.alias = relation.alias.take().filter(|alias| !own.contains(alias));
    }
}

fn choose(drafts: &mut [Draft], taken: &mut HashSet<String>) {
    let longest = drafts.iter().map(|draft| draft.forms.len()).max().unwrap_or(0);
    for round in 0..longest {
        let mut claims: HashMap<String, usize> = HashMap::new();
        for form in drafts.iter().filter_map(|draft| draft.claim(round)) {
            *claims.entry(form.to_owned()).or_default() += 1;
        }
        for draft in &mut *drafts {
            let Some(form) = draft.claim(round) else { continue };
            let form = form.to_owned();
            if claims.get(&form) != Some(&1) {
                draft.relation.shared.push(form);
            } else if taken.insert(form.clone()) {
                draft.relation.unambiguous = form;
            }
        }
        taken.extend(claims.into_iter().filter(|(_, claims)| *claims > 1).map(|(form, _)| form));
    }
    let mut number = 1;
    for draft in drafts.iter_mut().filter(|draft| draft.relation.unambiguous.is_empty()) {
        while draft.relation.unambiguous.is_empty() {
            number += 1;
            let form = format!("{}_{number}", draft.forms.last().unwrap_or(&draft.relation.name));
            if taken.insert(form.clone()) {
                draft.relation.unambiguous = form;
            }
        }
    }
}

impl Draft {
    fn is_to_one(&self) -> bool {
        self.relation.kind == RelationKind::ToOne
    }

    /// The name that the draft asks for in this round, if it has none yet.
    fn claim(&self, round: usize) -> Option<&str> {
        let open = self.relation.unambiguous.is_empty();
        self.forms.get(round).filter(|_| open).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
