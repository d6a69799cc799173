//! Aggregates: random ones, their JSON, and the groups that answer them.

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::condition::{Condition, Subject};
use super::order::{Key, Reached, sort, total};
use super::value::{Kind, Number};
use super::world::{Row, World, archived};

#[derive(Debug, Clone)]
pub(crate) struct Aggregate {
    table: usize,
    condition: Option<Condition>,
    groups: Vec<Group>,
    measures: Vec<Measure>,
    having: Option<Condition>,
    order: Vec<Key>,
    pub(crate) limit: Option<usize>,
}

#[derive(Debug, Clone)]
struct Group {
    column: Reached,
    name: String,
    /// How many characters of a point in time are kept, and what is put for the rest.
    bucket: Option<(&'static str, usize, &'static str)>,
}

#[derive(Debug, Clone)]
struct Measure {
    name: String,
    function: &'static str,
    of: Option<Reached>,
    /// Another number, and whether it is taken away instead of added.
    with: Option<(bool, Reached)>,
    condition: Option<Condition>,
}

const BUCKETS: [(&str, usize, &str); 4] = [
    ("year", 4, "-01-01T00:00:00+00:00"),
    ("month", 7, "-01T00:00:00+00:00"),
    ("day", 10, "T00:00:00+00:00"),
    ("hour", 13, ":00:00+00:00"),
];

impl Aggregate {
    pub(crate) fn random(world: &World, choices: &mut Choices<'_>) -> Aggregate {
        let table = choices.below(world.tables.len());
        let subject = Subject::table(world, table);
        let condition = choices.chance(50).then(|| Condition::random(world, &subject, choices, 1));
        let mut groups: Vec<Group> = Vec::new();
        for _ in 0..choices.below(3) {
            if let Some(group) = Group::random(world, table, choices)
                && !groups.iter().any(|known| known.name == group.name)
            {
                groups.push(group);
            }
        }
        let mut measures = vec![Measure::rows()];
        for index in 0..choices.below(3) {
            measures.extend(Measure::random(world, &subject, table, index, choices));
        }
        let mut aggregate = Aggregate {
            table,
            condition,
            groups,
            measures,
            having: None,
            order: vec![],
            limit: None,
        };

        // What the groups and measures are is a table again.
        let derived = aggregate.derived();
        let rows: Vec<Row> =
            aggregate.all(world).into_iter().map(|row| row.as_object().cloned().unwrap()).collect();
        let exact = |(name, _): &&(String, Kind)| !aggregate.is_mean(name);
        let columns: Vec<(String, Kind)> = derived.iter().filter(exact).cloned().collect();
        let subject = Subject { columns, rows: rows.iter().collect(), table: None };
        if !subject.columns.is_empty() && choices.chance(30) {
            aggregate.having = Some(Condition::random(world, &subject, choices, 2));
        }
        let sortable: Vec<_> = derived.iter().filter(|(_, kind)| kind.has_order()).collect();
        for _ in 0..choices.below(3) {
            if sortable.is_empty() {
                break;
            }
            let (name, kind) = (*choices.pick(&sortable)).clone();
            if !aggregate.order.iter().any(|key| key.column.name == name) {
                let column = Reached { relation: None, column: name.clone(), name, kind };
                aggregate.order.push(Key::new(column, choices));
            }
        }
        aggregate.limit = choices.chance(50).then(|| 1 + choices.below(10));
        aggregate
    }

    /// Whether a column is a mean, which has more digits than a test can give back.
    fn is_mean(&self, name: &str) -> bool {
        self.measures.iter().any(|measure| measure.name == name && measure.function == "avg")
    }

    fn derived(&self) -> Vec<(String, Kind)> {
        let groups =
            self.groups.iter().map(|group| (group.name.clone(), group.column.kind.clone()));
        let measures = self.measures.iter().map(|measure| {
            let kind = match (measure.function, &measure.of) {
                ("min" | "max", Some(of)) => of.kind.clone(),
                _ => Kind::Number,
            };
            (measure.name.clone(), kind)
        });
        groups.chain(measures).collect()
    }

    pub(crate) fn json(&self, world: &World) -> Value {
        let measures = self.measures.iter().map(|measure| {
            let mut options = Map::from_iter([(measure.function.to_owned(), measure.operand())]);
            options.extend(measure.condition.iter().map(|c| ("where".to_owned(), c.json().into())));
            (measure.name.clone(), Value::Object(options))
        });
        let mut arguments = Map::from_iter([
            ("table".to_owned(), json!(world.tables[self.table].name)),
            ("measures".to_owned(), measures.collect()),
        ]);
        if !self.groups.is_empty() {
            arguments.insert("group_by".into(), self.groups.iter().map(Group::json).collect());
        }
        for (name, condition) in [("where", &self.condition), ("having", &self.having)] {
            arguments.extend(condition.iter().map(|c| (name.to_owned(), c.json().into())));
        }
        if !self.order.is_empty() {
            arguments.insert("order_by".into(), self.order.iter().map(Key::json).collect());
        }
        arguments.extend(self.limit.map(|limit| ("limit".to_owned(), limit.into())));
        arguments.into()
    }

    /// All groups that meet `having`, in order.
    pub(crate) fn rows(&self, world: &World) -> Vec<Value> {
        let mut rows = self.all(world);
        rows.retain(|row| {
            let holds = |having: &Condition| having.holds(world, row.as_object().unwrap(), 0);
            self.having.as_ref().is_none_or(|having| holds(having) == Some(true))
        });
        let key: Vec<(String, Kind)> = self.derived().into_iter().take(self.groups.len()).collect();
        let order = total(&self.order, &key);
        let mut places: Vec<usize> = (0..rows.len()).collect();
        sort(&mut places, &order, |place, key| rows[*place][&key.column.column].clone());
        places.into_iter().map(|place| rows[place].clone()).collect()
    }

    fn all(&self, world: &World) -> Vec<Value> {
        let table = &world.tables[self.table];
        let mut groups: Vec<(Vec<Value>, Vec<usize>)> = Vec::new();
        if self.groups.is_empty() {
            groups.push(Default::default());
        }
        for (index, row) in table.rows.iter().enumerate() {
            let meets = |condition: &Condition| condition.holds(world, row, index) == Some(true);
            if archived(row) || !self.condition.as_ref().is_none_or(meets) {
                continue;
            }
            let values = self.groups.iter().map(|group| group.value(world, row, index));
            let values: Vec<Value> = values.collect();
            let same = |known: &[Value]| {
                self.groups.iter().zip(known.iter().zip(&values)).all(|(group, (a, b))| {
                    match (a.is_null(), b.is_null()) {
                        (false, false) => group.column.kind.equal(a, b),
                        (a, b) => a == b,
                    }
                })
            };
            match groups.iter_mut().find(|(known, _)| same(known)) {
                Some((_, rows)) => rows.push(index),
                None => groups.push((values, vec![index])),
            }
        }
        let rows = groups.into_iter().map(|(values, rows)| {
            let names = self.groups.iter().map(|group| group.name.clone());
            let measures = self
                .measures
                .iter()
                .map(|measure| (measure.name.clone(), measure.value(world, self.table, &rows)));
            Value::Object(names.zip(values).chain(measures).collect())
        });
        rows.collect()
    }
}

impl Group {
    fn random(world: &World, table: usize, choices: &mut Choices<'_>) -> Option<Group> {
        let column = Reached::random(world, table, choices, |kind| kind.has_order())?;
        let owner = column.relation.map_or(table, |relation| world.relations[relation].to);
        // A date has no hours, and infinity no months.
        let is_time = column.kind == Kind::Moment
            && world.tables[owner].rows.iter().all(|row| {
                row[&column.column].as_str().is_none_or(|text| text.ends_with("+00:00"))
            });
        let bucket = (is_time && choices.chance(80)).then(|| *choices.pick(&BUCKETS));
        let name = if bucket.is_some() { "bucket".into() } else { column.name.clone() };
        Some(Group { column, name, bucket })
    }

    fn json(&self) -> Value {
        match &self.bucket {
            None => self.column.name.as_str().into(),
            Some((bucket, _, _)) => json!({
                "column": self.column.name, "bucket": bucket, "time_zone": "UTC", "as": self.name,
            }),
        }
    }

    fn value(&self, world: &World, row: &Row, index: usize) -> Value {
        let value = self.column.value(world, row, index);
        match (&self.bucket, value) {
            (Some((_, length, rest)), Value::String(text)) => {
                format!("{}{rest}", &text[..*length]).into()
            }
            _ => value.clone(),
        }
    }
}

impl Measure {
    fn rows() -> Measure {
        Measure { name: "n".into(), function: "count", of: None, with: None, condition: None }
    }

    fn random(
        world: &World,
        subject: &Subject<'_>,
        table: usize,
        index: usize,
        choices: &mut Choices<'_>,
    ) -> Option<Measure> {
        let function = *choices.pick(&["count", "sum", "avg", "min", "max", "count_distinct"]);
        let fits = |kind: &Kind| match function {
            "sum" | "avg" => *kind == Kind::Number,
            "min" | "max" => kind.has_order() && !matches!(kind, Kind::Boolean | Kind::Uuid),
            "count_distinct" => kind.has_order(),
            _ => true,
        };
        let of = match function {
            "count" if choices.chance(60) => None,
            _ => Some(Reached::random(world, table, choices, fits)?),
        };
        let condition = choices.chance(25).then(|| Condition::random(world, subject, choices, 2));
        let number = of.as_ref().filter(|of| of.kind == Kind::Number && choices.chance(40));
        let with = number.and_then(|_| {
            let other = Reached::random(world, table, choices, |kind| *kind == Kind::Number)?;
            Some((choices.chance(50), other))
        });
        Some(Measure { name: format!("m{index}"), function, of, with, condition })
    }

    /// What the function is of, as a request has it.
    fn operand(&self) -> Value {
        let name = self.of.as_ref().map_or("*", |of| of.name.as_str());
        match &self.with {
            None => json!(name),
            Some((true, other)) => json!({"subtract": [name, other.name]}),
            Some((false, other)) => json!({"add": [name, other.name]}),
        }
    }

    /// What the function is of, in a row.
    fn taken(&self, of: &Reached, world: &World, row: &Row, index: usize) -> Value {
        let value = of.value(world, row, index);
        let Some((minus, other)) = &self.with else { return value.clone() };
        let other = other.value(world, row, index);
        if value.is_null() || other.is_null() {
            return Value::Null;
        }
        let (one, other) = (Number::of(value), Number::of(other));
        if *minus { one.minus(other).over(1) } else { one.add(other).over(1) }
    }

    fn value(&self, world: &World, table: usize, rows: &[usize]) -> Value {
        let all = &world.tables[table].rows;
        let meets = |index: &&usize| {
            let holds = |condition: &Condition| condition.holds(world, &all[**index], **index);
            self.condition.as_ref().is_none_or(|condition| holds(condition) == Some(true))
        };
        let rows = rows.iter().filter(meets);
        let Some(of) = &self.of else { return rows.count().into() };
        let values = rows.map(|index| self.taken(of, world, &all[*index], *index));
        let values: Vec<Value> = values.filter(|value| !value.is_null()).collect();
        let values: Vec<&Value> = values.iter().collect();
        let sum = || values.iter().map(|value| Number::of(value)).reduce(Number::add);
        match self.function {
            "count" => values.len().into(),
            "count_distinct" => {
                let mut distinct: Vec<&Value> = Vec::new();
                for value in values {
                    if !distinct.iter().any(|known| of.kind.equal(known, value)) {
                        distinct.push(value);
                    }
                }
                distinct.len().into()
            }
            "sum" => sum().map_or(Value::Null, |sum| sum.over(1)),
            "avg" => sum().map_or(Value::Null, |sum| sum.over(values.len())),
            "min" => {
                values.into_iter().min_by(|a, b| of.kind.compare(a, b)).cloned().unwrap_or_default()
            }
            _ => {
                values.into_iter().max_by(|a, b| of.kind.compare(a, b)).cloned().unwrap_or_default()
            }
        }
    }
}
