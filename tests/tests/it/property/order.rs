//! Sort keys: random ones, their JSON, and the order that they give.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::choices::Choices;
use super::value::Kind;
use super::world::{Many, Row, World};

/// A sort key: a column, or one of a related row.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) column: Reached,
    descending: bool,
    nulls_last: Option<bool>,
}

/// A column of a row, or of the one row that is related to it.
#[derive(Debug, Clone)]
pub(crate) struct Reached {
    pub(crate) relation: Option<usize>,
    pub(crate) column: String,
    pub(crate) name: String,
    pub(crate) kind: Kind,
}

impl Reached {
    /// A column of a table or of a row that it is related to.
    pub(crate) fn random(
        world: &World,
        table: usize,
        choices: &mut Choices<'_>,
        fits: impl Fn(&Kind) -> bool,
    ) -> Option<Reached> {
        let to_one = |relation: &usize| world.relations[*relation].many == Many::ToOne;
        let relations: Vec<usize> = world.from(table).into_iter().filter(to_one).collect();
        let relation = match relations.is_empty() || !choices.chance(30) {
            true => None,
            false => Some(*choices.pick(&relations)),
        };
        let owner = relation.map_or(table, |relation| world.relations[relation].to);
        let columns = &world.tables[owner].columns;
        let columns: Vec<_> = columns.iter().filter(|(_, kind)| fits(kind)).collect();
        let (column, kind) = *(!columns.is_empty()).then(|| choices.pick(&columns))?;
        let name = match relation {
            None => column.clone(),
            Some(relation) => format!("{}.{column}", world.relations[relation].name),
        };
        Some(Reached { relation, column: column.clone(), name, kind: kind.clone() })
    }

    /// The value that a row has there.
    pub(crate) fn value<'w>(&self, world: &'w World, row: &'w Row, index: usize) -> &'w Value {
        match self.relation {
            None => &row[&self.column],
            Some(relation) => {
                let relation = &world.relations[relation];
                relation.rows[index].first().map_or(&Value::Null, |related| {
                    &world.tables[relation.to].rows[*related][&self.column]
                })
            }
        }
    }
}

impl Key {
    pub(crate) fn new(column: Reached, choices: &mut Choices<'_>) -> Key {
        let descending = choices.chance(40);
        let nulls_last = choices.chance(40).then(|| choices.chance(50));
        Key { column, descending, nulls_last }
    }

    pub(crate) fn json(&self) -> Value {
        let (name, descending) = (&self.column.name, self.descending);
        match self.nulls_last {
            None if descending => format!("-{name}").into(),
            None => name.as_str().into(),
            Some(last) => json!({
                "column": name,
                "direction": if descending { "desc" } else { "asc" },
                "nulls": if last { "last" } else { "first" },
            }),
        }
    }

    fn compare(&self, a: &Value, b: &Value) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (false, false) => {
                let order = self.column.kind.compare(a, b);
                if self.descending { order.reverse() } else { order }
            }
            (a, b) if a == b => Ordering::Equal,
            // Nulls count as the largest, unless the key says otherwise.
            (a, _) => match (a, self.nulls_last.unwrap_or(!self.descending)) {
                (true, true) | (false, false) => Ordering::Greater,
                _ => Ordering::Less,
            },
        }
    }
}

/// The keys, and after them those of the table that make the order total, in the last one's direction.
pub(crate) fn total(keys: &[Key], table_key: &[(String, Kind)]) -> Vec<Key> {
    let descending = keys.last().is_some_and(|key| key.descending);
    let own = table_key.iter().map(|(name, kind)| Key {
        column: Reached {
            relation: None,
            column: name.clone(),
            name: name.clone(),
            kind: kind.clone(),
        },
        descending,
        nulls_last: None,
    });
    keys.iter().cloned().chain(own).collect()
}

/// Sorts what `value` reads the keys' columns from.
pub(crate) fn sort<'w, T>(
    things: &mut [T],
    keys: &[Key],
    value: impl Fn(&T, &Reached) -> &'w Value,
) {
    things.sort_by(|a, b| {
        let each = keys.iter().map(|key| key.compare(value(a, &key.column), value(b, &key.column)));
        each.fold(Ordering::Equal, Ordering::then)
    });
}
