//! Conditions: random ones, their JSON, and whether a row meets them by SQL's logic of three values.

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::operator::{at_path, operators, patterned, test};
use super::value::{Kind, json_at};
use super::world::{Many, Row, World};

/// A condition on a row.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// All of several; written as one object if no name stands twice in it.
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    /// Operators and operands on a column, or on a part of it.
    Column {
        name: String,
        kind: Kind,
        path: Option<Vec<String>>,
        tests: Vec<(&'static str, Value)>,
    },
    Related {
        relation: usize,
        name: &'static str,
        quantifier: &'static str,
        inner: Box<Condition>,
    },
    /// A number compares with another of the row; or, as much as that, their difference with 0.
    Compared {
        left: String,
        operator: &'static str,
        right: String,
        difference: bool,
    },
    /// So many related rows meet a condition.
    Counted {
        relation: usize,
        name: &'static str,
        operator: &'static str,
        number: usize,
        inner: Box<Condition>,
    },
}

/// Columns that conditions may speak of, with values that occur there.
pub(crate) struct Subject<'w> {
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) rows: Vec<&'w Row>,
    /// The table, for conditions on related rows.
    pub(crate) table: Option<usize>,
}

impl<'w> Subject<'w> {
    pub(crate) fn table(world: &'w World, table: usize) -> Self {
        let (columns, rows) = (&world.tables[table].columns, &world.tables[table].rows);
        Subject { columns: columns.clone(), rows: rows.iter().collect(), table: Some(table) }
    }

    /// A value of a column, or null.
    fn value(&self, name: &str, choices: &mut Choices<'_>) -> Value {
        match self.rows.len() {
            0 => Value::Null,
            _ => choices.pick(&self.rows)[name].clone(),
        }
    }
}

impl Condition {
    pub(crate) fn random(
        world: &World,
        subject: &Subject<'_>,
        choices: &mut Choices<'_>,
        depth: usize,
    ) -> Condition {
        let several = |choices: &mut Choices<'_>| {
            (0..1 + choices.below(3))
                .map(|_| Condition::random(world, subject, choices, depth + 1))
                .collect()
        };
        let form = if depth > 3 { 0 } else { choices.below(10) };
        match form {
            6 => Condition::All(several(choices)),
            7 => Condition::Any(several(choices)),
            8 => Condition::Not(Box::new(Condition::random(world, subject, choices, depth + 1))),
            4 | 5 | 9 => match subject.table.map(|table| world.from(table)) {
                Some(relations) if !relations.is_empty() => {
                    let relation = *choices.pick(&relations);
                    let related = &world.relations[relation];
                    let quantifier = match related.many {
                        Many::ToOne => "",
                        Many::ToMany => choices.pick(&["some", "none", "every"]),
                    };
                    let inner = Subject::table(world, related.to);
                    let inner = Box::new(Condition::random(world, &inner, choices, depth + 1));
                    let name = related.name;
                    if related.many == Many::ToMany && choices.chance(25) {
                        let operator = *choices.pick(&["eq", "ne", "gt", "gte", "lt", "lte"]);
                        let number = choices.below(4);
                        return Condition::Counted { relation, name, operator, number, inner };
                    }
                    Condition::Related { relation, name, quantifier, inner }
                }
                _ => Condition::column(subject, choices),
            },
            3 => Condition::compared(subject, choices),
            _ => Condition::column(subject, choices),
        }
    }

    fn compared(subject: &Subject<'_>, choices: &mut Choices<'_>) -> Condition {
        let numbers = subject.columns.iter().filter(|(_, kind)| *kind == Kind::Number);
        let numbers: Vec<&String> = numbers.map(|(name, _)| name).collect();
        if numbers.len() < 2 {
            return Condition::column(subject, choices);
        }
        let left = (*choices.pick(&numbers)).clone();
        // No column is compared with itself.
        let others: Vec<&String> = numbers.into_iter().filter(|name| **name != left).collect();
        let right = (*choices.pick(&others)).clone();
        let operator = *choices.pick(&["eq", "ne", "gt", "gte", "lt", "lte"]);
        // Beside what is no number, and between two infinities, there is no difference.
        let finite = |value: &Value| {
            value.as_str().is_none_or(|text| text.parse().is_ok_and(f64::is_finite))
        };
        let finite = subject.rows.iter().all(|row| finite(&row[&left]) && finite(&row[&right]));
        let difference = finite && choices.chance(40);
        Condition::Compared { left, operator, right, difference }
    }

    fn column(subject: &Subject<'_>, choices: &mut Choices<'_>) -> Condition {
        let (name, kind) = choices.pick(&subject.columns).clone();
        let value = |choices: &mut Choices<'_>| subject.value(&name, choices);
        if kind == Kind::Json && choices.chance(50) {
            let path = vec![(*choices.pick(&["a", "b", "0", "c", "theme"])).to_owned()];
            let path = if choices.chance(30) { [path, vec!["0".into()]].concat() } else { path };
            let part = json_at(&value(choices), &path).cloned().unwrap_or(json!("x"));
            let test = match choices.below(8) {
                0 | 1 => ("eq", part),
                6 => ("gte", part),
                7 => ("lt", part),
                2 => ("ne", part),
                3 => ("in", json!([part, "x", 1])),
                4 => ("is_null", json!(choices.chance(50))),
                _ => ("like", json!("%o%")),
            };
            return Condition::Column { name, kind, path: Some(path), tests: vec![test] };
        }
        let mut tests: Vec<(&'static str, Value)> = Vec::new();
        for _ in 0..1 + choices.below(3) / 2 {
            let operator = *choices.pick(&operators(&kind));
            if tests.iter().any(|(known, _)| *known == operator) {
                continue;
            }
            let operand = match operator {
                "is_null" => json!(choices.chance(50)),
                "in" | "not_in" => {
                    (0..choices.below(5)).map(|_| value(choices)).collect::<Vec<_>>().into()
                }
                "eq" | "ne" | "is_distinct_from" => value(choices),
                _ => match value(choices) {
                    Value::Null => continue,
                    operand => patterned(&kind, operator, operand, choices),
                },
            };
            tests.push((operator, operand));
        }
        if tests.is_empty() {
            tests.push(("is_null", json!(true)));
        }
        Condition::Column { name, kind, path: None, tests }
    }

    /// The condition as a `where` object.
    pub(crate) fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let (name, value) = match self {
            Condition::All(parts) => {
                let objects: Vec<Map<String, Value>> = parts.iter().map(Condition::json).collect();
                let names: Vec<&String> = objects.iter().flat_map(Map::keys).collect();
                let twice =
                    |name: &&String| names.iter().filter(|other| other == &name).count() > 1;
                if !names.iter().any(twice) {
                    return objects.into_iter().flatten().collect();
                }
                ("and".to_owned(), json!(objects))
            }
            Condition::Any(parts) => {
                ("or".to_owned(), parts.iter().map(|part| Value::Object(part.json())).collect())
            }
            Condition::Not(inner) => ("not".to_owned(), inner.json().into()),
            Condition::Column { name, kind, path, tests } => {
                let short = path.is_none() && *kind != Kind::Json;
                match tests.as_slice() {
                    [("eq", value)] if short => (name.clone(), value.clone()),
                    tests => {
                        let tests =
                            tests.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
                        let mut object: Map<String, Value> = tests.collect();
                        if let Some(path) = path {
                            object.insert("path".into(), json!(path));
                        }
                        (name.clone(), object.into())
                    }
                }
            }
            Condition::Related { name, quantifier: "", inner, .. } => {
                ((*name).to_owned(), inner.json().into())
            }
            Condition::Related { name, quantifier, inner, .. } => {
                ((*name).to_owned(), json!({*quantifier: inner.json()}))
            }
            Condition::Compared { left, operator, right, difference: false } => {
                (left.clone(), json!({*operator: {"$column": right}}))
            }
            Condition::Compared { left, operator, right, difference: true } => {
                ("compute".to_owned(), json!({"subtract": [left, right], *operator: 0}))
            }
            Condition::Counted { name, operator, number, inner, .. } => {
                let count = json!({"count": {*operator: number}, "where": inner.json()});
                ((*name).to_owned(), count)
            }
        };
        object.insert(name, value);
        object
    }

    /// Whether a row meets it: `index` is its place in its table.
    pub(crate) fn holds(&self, world: &World, row: &Row, index: usize) -> Option<bool> {
        let each = |parts: &[Condition], decisive: bool| {
            let results: Vec<_> = parts.iter().map(|part| part.holds(world, row, index)).collect();
            match () {
                () if results.contains(&Some(decisive)) => Some(decisive),
                () if results.contains(&None) => None,
                () => Some(!decisive),
            }
        };
        match self {
            Condition::All(parts) => each(parts, false),
            Condition::Any(parts) => each(parts, true),
            Condition::Not(inner) => inner.holds(world, row, index).map(|holds| !holds),
            Condition::Column { name, kind, path, tests } => {
                let results: Vec<Option<bool>> = tests
                    .iter()
                    .map(|(operator, operand)| match path {
                        None => test(kind, &row[name], operator, operand),
                        Some(path) => at_path(json_at(&row[name], path), operator, operand),
                    })
                    .collect();
                match () {
                    () if results.contains(&Some(false)) => Some(false),
                    () if results.contains(&None) => None,
                    () => Some(true),
                }
            }
            Condition::Compared { left, operator, right, .. } => {
                let (left, right) = (&row[left], &row[right]);
                let known = !left.is_null() && !right.is_null();
                known.then(|| test(&Kind::Number, left, operator, right)).flatten()
            }
            Condition::Counted { relation, operator, number, inner, .. } => {
                let count = met(world, *relation, inner, index).filter(|met| *met).count();
                test(&Kind::Number, &json!(count), operator, &json!(number))
            }
            Condition::Related { relation, quantifier, inner, .. } => {
                let mut related = met(world, *relation, inner, index);
                Some(match *quantifier {
                    "none" => !related.any(|holds| holds),
                    "every" => related.all(|holds| holds),
                    _ => related.any(|holds| holds),
                })
            }
        }
    }
}

/// Of each row that is related to the one at `index`, whether it meets a condition.
fn met<'w>(
    world: &'w World,
    relation: usize,
    condition: &'w Condition,
    index: usize,
) -> impl Iterator<Item = bool> + 'w {
    let relation = &world.relations[relation];
    let rows = &world.tables[relation.to].rows;
    let met = move |index: &usize| condition.holds(world, &rows[*index], *index) == Some(true);
    relation.rows[index].iter().map(met)
}
