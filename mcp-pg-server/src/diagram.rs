//! The visible tables and their references, as Mermaid text or SVG.
//!
//! Knows what a caller sees, but not who asks.

mod mermaid;
mod picture;

use std::collections::BTreeSet;

use mcp_pg_core::Error;
use mcp_pg_core::policy::{TableView, View};
use mcp_pg_core::schema::{Relation, RelationKind, Table, TableKind};

/// Tables with their columns and references.
#[derive(Debug, Default)]
pub(crate) struct Diagram {
    tables: Vec<Entity>,
}

#[derive(Debug)]
struct Entity {
    name: String,
    columns: Vec<Attribute>,
    references: Vec<Reference>,
}

#[derive(Debug)]
struct Attribute {
    name: String,
    type_name: String,
    primary: bool,
    foreign: bool,
}

/// A foreign key to another table of the diagram.
#[derive(Debug)]
struct Reference {
    label: String,
    table: String,
    /// Whether the column may be null, or the other table is a view, which may leave rows out.
    optional: bool,
    /// Whether at most one row has the same value.
    unique: bool,
}

impl Diagram {
    /// All tables that the role sees.
    pub(crate) fn whole(view: &View) -> Self {
        Self::of(view, &(0..view.tables().len()).collect())
    }

    /// The tables that are at most `depth` relations away from one.
    pub(crate) fn around(view: &View, table: &str, depth: usize) -> Result<Self, Error> {
        let centre = view.table(table)?.name();
        let mut near: BTreeSet<usize> =
            view.tables().iter().position(|table| table.name() == centre).into_iter().collect();
        for _ in 0..depth {
            let tables = near.iter().filter_map(|position| view.at(*position));
            let relations = tables.flat_map(|table| &table.relations);
            let further: Vec<usize> = relations
                .filter(|relation| relation.kind != RelationKind::ManyToMany)
                .map(|relation| relation.table)
                .collect();
            let known = near.len();
            near.extend(further);
            if near.len() == known {
                break;
            }
        }
        Ok(Self::of(view, &near))
    }

    fn of(view: &View, positions: &BTreeSet<usize>) -> Self {
        let tables = positions.iter().filter_map(|position| view.at(*position));
        Self { tables: tables.map(|table| Entity::new(view, table, positions)).collect() }
    }
}

impl Entity {
    fn new(view: &View, table: &TableView, shown: &BTreeSet<usize>) -> Self {
        let definition = &table.table;
        let references = || {
            table.relations.iter().filter(|relation| {
                relation.kind == RelationKind::ToOne && shown.contains(&relation.table)
            })
        };
        let in_key = |position| {
            definition.primary_key.as_ref().is_some_and(|key| key.columns.contains(&position))
        };
        let refers = |position| {
            references().any(|relation| relation.columns.iter().any(|(own, _)| *own == position))
        };
        Self {
            name: view.display(table),
            columns: definition
                .columns
                .iter()
                .enumerate()
                .map(|(position, column)| Attribute {
                    name: column.name.clone(),
                    type_name: column.type_name.clone(),
                    primary: in_key(position),
                    foreign: refers(position),
                })
                .collect(),
            references: references()
                .filter_map(|relation| {
                    let other = view.at(relation.table)?;
                    let own = || relation.columns.iter().map(|(own, _)| *own);
                    let nullable =
                        |own: usize| definition.columns.get(own).is_some_and(|c| c.nullable);
                    let mut keys = definition.keys();
                    let is_view =
                        matches!(other.table.kind, TableKind::View | TableKind::MaterializedView);
                    let same = |other: &&Relation| {
                        other.name == relation.name && other.table == relation.table
                    };
                    // Of several references to the same table, each is labelled with its columns.
                    let shared = relation.name == relation.unambiguous
                        || references().filter(same).nth(1).is_some();
                    let label = match shared {
                        true => names(definition, relation),
                        false => relation.name.clone(),
                    };
                    Some(Reference {
                        label,
                        table: view.display(other),
                        optional: is_view || own().any(nullable),
                        unique: keys
                            .any(|key| key.columns.iter().all(|c| own().any(|own| own == *c))),
                    })
                })
                .collect(),
        }
    }
}

/// The columns of a reference.
fn names(table: &Table, relation: &Relation) -> String {
    let own = relation.columns.iter().filter_map(|(own, _)| table.columns.get(*own));
    own.map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ")
}
