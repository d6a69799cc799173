//! Makes the relations of all tables from their foreign keys, and names them.
//!
//! Short names are for people and may be shared; the unambiguous one is a table's relation's own. Names are
//! given on the whole schema, so they mean the same to every role.

use std::collections::{HashMap, HashSet};

use super::{ForeignKey, Junction, Relation, RelationKind, RelationNames, Table};
use crate::name::TableName;

/// The relations of each table, by the table's position: to one, to many, then through junctions.
///
/// A key is left out if it leads to a table that is not in `tables`, if the login cannot read a column at
/// either end, or if an earlier key of the table pairs the same columns: it leads to the same rows.
pub(super) fn relations(
    tables: &[Table],
    by_name: &HashMap<TableName, usize>,
) -> Vec<Vec<Relation>> {
    let links: Vec<Vec<Link<'_>>> =
        (0..tables.len()).map(|from| links(tables, by_name, from)).collect();
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
        for (near, far) in junctions(table, links) {
            add(near.to, many_to_many(near, far));
            add(far.to, many_to_many(far, near));
        }
    }
    drafts.into_iter().map(name_apart).collect()
}

/// A foreign key whose both ends are known.
struct Link<'a> {
    from: usize,
    to: usize,
    /// Pairs of column positions: in the referencing table, and in the referenced one.
    columns: Vec<(usize, usize)>,
    constraint: &'a str,
    /// What a directive calls its relations.
    named: &'a RelationNames,
    from_name: &'a TableName,
    to_name: &'a TableName,
    /// The key's columns, each as a short name.
    stems: Vec<Stem<'a>>,
}

/// A key column's name, and the same without what says that it is a key.
struct Stem<'a> {
    short: &'a str,
    whole: &'a str,
}

/// A relation whose unambiguous name is yet to be chosen: the first of `forms` that no other has.
struct Draft {
    relation: Relation,
    forms: Vec<String>,
}

fn links<'a>(
    tables: &'a [Table],
    by_name: &HashMap<TableName, usize>,
    from: usize,
) -> Vec<Link<'a>> {
    let Some(table) = tables.get(from) else { return Vec::new() };
    let mut seen = HashSet::new();
    let link = |key: &'a ForeignKey| {
        let to = *by_name.get(&key.table)?;
        let other = tables.get(to)?;
        let (mut columns, mut stems) = (Vec::new(), Vec::new());
        for (position, reference) in key.columns.iter().zip(&key.references) {
            let here = table.columns.get(*position)?;
            let (there, far) = other.column(reference)?;
            if !here.can_select || !far.can_select {
                return None;
            }
            columns.push((*position, there));
            stems.push(stem(&here.name));
        }
        let new = seen.insert((to, columns.clone()));
        (new && !columns.is_empty()).then_some(Link {
            from,
            to,
            columns,
            constraint: &key.name,
            named: &key.relation_names,
            from_name: &table.name,
            to_name: &other.name,
            stems,
        })
    };
    table.foreign_keys.iter().filter_map(link).collect()
}

/// `customer_id` and `customerId` without their last word; a name that is nothing else stays.
fn stem(column: &str) -> Stem<'_> {
    let camel = |rest: &&str| rest.ends_with(|c: char| c.is_lowercase() || c.is_ascii_digit());
    let short = column
        .strip_suffix("_id")
        .or_else(|| column.strip_suffix("_ID"))
        .or_else(|| column.strip_suffix("Id").filter(camel))
        .filter(|rest| !rest.is_empty())
        .unwrap_or(column);
    Stem { short, whole: column }
}

impl Link<'_> {
    /// The key's columns as one word: `tenant_order` for `(tenant_id, order_id)`.
    fn stem(&self) -> String {
        let shorts: Vec<&str> = self.stems.iter().map(|stem| stem.short).collect();
        shorts.join("_")
    }

    /// The same pairs as seen from the referenced table.
    fn reversed(&self) -> Vec<(usize, usize)> {
        self.columns.iter().map(|(here, there)| (*there, *here)).collect()
    }
}

fn to_one(link: &Link<'_>) -> Draft {
    let name = match (&link.named.to_one, link.stems.as_slice()) {
        (Some(name), _) => name,
        (None, [stem]) if stem.short != stem.whole => stem.short,
        _ => &link.to_name.name,
    };
    Draft {
        relation: Relation {
            name: name.to_owned(),
            unambiguous: String::new(),
            kind: RelationKind::ToOne,
            table: link.to,
            columns: link.columns.clone(),
            junction: None,
            constraint: link.constraint.to_owned(),
        },
        // Constraint names are unique within their table.
        forms: Vec::new(),
    }
}

fn to_many(link: &Link<'_>) -> Draft {
    let (table, by) = (link.from_name, link.stem());
    Draft {
        relation: Relation {
            name: link.named.to_many.as_ref().unwrap_or(&table.name).clone(),
            unambiguous: String::new(),
            kind: RelationKind::ToMany,
            table: link.from,
            columns: link.reversed(),
            junction: None,
            constraint: link.constraint.to_owned(),
        },
        forms: vec![format!("{}_by_{by}", table.name), format!("{table}_by_{by}")],
    }
}

/// The relation of `near`'s referenced table to `far`'s, through the table that has both keys.
fn many_to_many(near: &Link<'_>, far: &Link<'_>) -> Draft {
    let (table, junction, by) = (far.to_name, near.from_name, near.stem());
    Draft {
        relation: Relation {
            name: table.name.clone(),
            unambiguous: String::new(),
            kind: RelationKind::ManyToMany,
            table: far.to,
            columns: near.reversed(),
            junction: Some(Junction { table: near.from, columns: far.columns.clone() }),
            constraint: near.constraint.to_owned(),
        },
        forms: vec![
            format!("{}_via_{}", table.name, junction.name),
            format!("{}_via_{}_by_{by}", table.name, junction.name),
            format!("{table}_via_{junction}_by_{by}"),
        ],
    }
}

/// The pairs of keys that together are the table's primary key, neither of them alone.
fn junctions<'l, 'a>(table: &Table, links: &'l [Link<'a>]) -> Vec<(&'l Link<'a>, &'l Link<'a>)> {
    let primary: HashSet<usize> =
        table.primary_key.iter().flat_map(|key| key.columns.iter().copied()).collect();
    let own =
        |link: &Link<'_>| -> HashSet<usize> { link.columns.iter().map(|pair| pair.0).collect() };
    let parts: Vec<(&Link<'a>, HashSet<usize>)> = links
        .iter()
        .map(|link| (link, own(link)))
        .filter(|(_, columns)| columns.is_subset(&primary) && columns.len() < primary.len())
        .collect();
    let mut pairs = Vec::new();
    for (place, (near, here)) in parts.iter().enumerate() {
        for (far, there) in parts.iter().skip(place + 1) {
            if here.union(there).count() == primary.len() {
                pairs.push((*near, *far));
            }
        }
    }
    pairs
}

/// Gives each of one table's relations the first of its forms that no other claims; constraint names go
/// first. What still collides is numbered.
fn name_apart(mut drafts: Vec<Draft>) -> Vec<Relation> {
    let mut taken: HashSet<String> = HashSet::new();
    for draft in drafts.iter_mut().filter(|draft| draft.relation.kind == RelationKind::ToOne) {
        draft.relation.unambiguous = draft.relation.constraint.clone();
        taken.insert(draft.relation.unambiguous.clone());
    }
    let longest = drafts.iter().map(|draft| draft.forms.len()).max().unwrap_or(0);
    for round in 0..longest {
        let mut claims: HashMap<String, usize> = HashMap::new();
        for form in drafts.iter().filter_map(|draft| draft.claim(round)) {
            *claims.entry(form.to_owned()).or_default() += 1;
        }
        for draft in &mut drafts {
            let Some(form) = draft.claim(round) else { continue };
            if claims.get(form) == Some(&1) && !taken.contains(form) {
                let form = form.to_owned();
                taken.insert(form.clone());
                draft.relation.unambiguous = form;
            }
        }
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
    drafts.into_iter().map(|draft| draft.relation).collect()
}

impl Draft {
    /// The name that the draft asks for in this round, if it has none yet.
    fn claim(&self, round: usize) -> Option<&str> {
        let open = self.relation.unambiguous.is_empty();
        self.forms.get(round).filter(|_| open).map(String::as_str)
    }
}

#[cfg(test)]
mod tests;
