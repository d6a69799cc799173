//! Sort keys: random ones, their JSON, and the order that they give.

use std::cmp::Ordering;

use serde_json::{Value, json};

use super::choices::Choices;
use super::condition::{Condition, Subject};
use super::value::Kind;
use super::world::{Many, Row, World};

/// A sort key: a column, or one of a related row; or how many related rows meet a condition.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) column: Reached,
    counted: Option<Condition>,
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
        Key { column, counted: None, descending, nulls_last }
    }

    /// A key that counts the rows of a relation to many.
    pub(crate) fn counting(world: &World, relation: usize, choices: &mut Choices<'_>) -> Key {
        let (name, to) = (world.relations[relation].name, world.relations[relation].to);
        let column = Reached {
            relation: Some(relation),
            column: String::new(),
            name: format!("{name} counted"),
            kind: Kind::Number,
        };
        let condition = Condition::random(world, &Subject::table(world, to), choices, 2);
        let descending = choices.chance(60);
        Key { column, counted: Some(condition), descending, nulls_last: None }
    }

    /// The value that a row has there.
    pub(crate) fn value(&self, world: &World, row: &Row, index: usize) -> Value {
        let (Some(condition), Some(relation)) = (&self.counted, self.column.relation) else {
            return self.column.value(world, row, index).clone();
        };
        let relation = &world.relations[relation];
        let rows = &world.tables[relation.to].rows;
        let related = relation.rows[index].iter();
        let met =
            related.filter(|index| condition.holds(world, &rows[**index], **index) == Some(true));
        met.count().into()
    }

    pub(crate) fn json(&self) -> Value {
        let (name, descending) = (&self.column.name, self.descending);
        if let Some(condition) = &self.counted {
            let direction = if descending { "desc" } else { "asc" };
            let relation = name.trim_end_matches(" counted");
            return json!({"count": relation, "where": condition.json(), "direction": direction});
        }
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
        counted: None,
        descending,
        nulls_last: None,
    });
    keys.iter().cloned().chain(own).collect()
}

/// Sorts what `value` reads the keys' values from.
pub(crate) fn sort<T>(things: &mut [T], keys: &[Key], value: impl Fn(&T, &Key) -> Value) {
    things.sort_by(|a, b| {
        let each = keys.iter().map(|key| key.compare(&value(a, key), &value(b, key)));
        each.fold(Ordering::Equal, Ordering::then)
    });
}
