//! Selects: random ones, their JSON, and the rows that answer them.

use serde_json::{Map, Value, json};

use super::choices::Choices;
use super::condition::{Condition, Subject};
use super::order::{Key, Reached, sort, total};
use super::value::{Kind, json_at};
use super::world::{Many, Row, World, archived};

/// Rows of a table, or rows related to one: a select and an include are the same but for the archived ones.
#[derive(Debug, Clone)]
pub(crate) struct Select {
    pub(crate) table: usize,
    columns: Option<Vec<String>>,
    members: Vec<Member>,
    condition: Option<Condition>,
    includes: Vec<(usize, Include)>,
    order: Vec<Key>,
    pub(crate) limit: Option<usize>,
    pub(crate) offset: Option<usize>,
    archived: Option<&'static str>,
}

/// What the JSON of a column has at a path.
#[derive(Debug, Clone)]
struct Member {
    name: String,
    column: String,
    path: Vec<String>,
}

#[derive(Debug, Clone)]
enum Include {
    Rows(Box<Select>),
    Count(Option<Condition>),
}

impl Select {
    pub(crate) fn random(world: &World, choices: &mut Choices<'_>) -> Select {
        let table = choices.below(world.tables.len());
        let mut select = Select::of(world, table, choices, 0);
        // No more than a dozen pages.
        let least = 1 + world.tables[table].rows.len() / 12;
        select.limit = choices.chance(70).then(|| least + choices.below(30));
        select.offset = choices.chance(15).then(|| choices.below(20));
        let has_archive = world.tables[table].columns.iter().any(|(name, _)| name == "archived_at");
        select.archived = match choices.below(6) {
            4 => Some("include"),
            5 if has_archive => Some("only"),
            3 => Some("exclude"),
            _ => None,
        };
        select
    }

    fn of(world: &World, table: usize, choices: &mut Choices<'_>, depth: usize) -> Select {
        let subject = Subject::table(world, table);
        let names: Vec<String> = subject.columns.iter().map(|(name, _)| name.clone()).collect();
        let columns = choices.chance(60).then(|| choices.some(&names));
        let documents = subject.columns.iter().filter(|(_, kind)| *kind == Kind::Json);
        let documents: Vec<&String> = documents.map(|(name, _)| name).collect();
        let parts = match columns.is_some() && !documents.is_empty() && choices.chance(50) {
            true => 1 + choices.below(2),
            false => 0,
        };
        let members = (0..parts).map(|n| Member::random(&documents, n, choices)).collect();
        let condition =
            choices.chance(70).then(|| Condition::random(world, &subject, choices, depth));
        let mut order: Vec<Key> = Vec::new();
        for _ in 0..choices.below(3) {
            if let Some(column) = Reached::random(world, table, choices, Kind::has_order)
                && !order.iter().any(|key| key.column.name == column.name)
            {
                order.push(Key::new(column, choices));
            }
        }
        let mut includes: Vec<(usize, Include)> = Vec::new();
        let relations = world.from(table);
        let many = |relation: &&usize| world.relations[**relation].many == Many::ToMany;
        let many: Vec<usize> = relations.iter().filter(many).copied().collect();
        if !many.is_empty() && choices.chance(20) {
            let place = choices.below(order.len() + 1);
            order.insert(place, Key::counting(world, *choices.pick(&many), choices));
        }
        if depth < 2 && !relations.is_empty() && choices.chance(50) {
            for _ in 0..1 + choices.below(2) {
                let relation = *choices.pick(&relations);
                if !includes.iter().any(|(known, _)| *known == relation) {
                    includes.push((relation, Include::random(world, relation, choices, depth)));
                }
            }
        }
        Select {
            table,
            columns,
            members,
            condition,
            includes,
            order,
            limit: None,
            offset: None,
            archived: None,
        }
    }

    /// The arguments of the call.
    pub(crate) fn json(&self, world: &World) -> Value {
        let mut arguments = self.members(world);
        arguments.insert("table".into(), world.tables[self.table].name.into());
        for (name, value) in
            [("offset", self.offset.map(Value::from)), ("archived", self.archived.map(Value::from))]
        {
            arguments.extend(value.map(|value| (name.to_owned(), value)));
        }
        arguments.into()
    }

    fn members(&self, world: &World) -> Map<String, Value> {
        let mut members = Map::new();
        if let Some(columns) = &self.columns {
            let columns = columns.iter().map(|name| json!(name));
            let parts = self.members.iter().map(Member::json);
            members.insert("columns".into(), columns.chain(parts).collect());
        }
        if let Some(condition) = &self.condition {
            members.insert("where".into(), condition.json().into());
        }
        if !self.order.is_empty() {
            members.insert("order_by".into(), self.order.iter().map(Key::json).collect());
        }
        if let Some(limit) = self.limit {
            members.insert("limit".into(), limit.into());
        }
        if !self.includes.is_empty() {
            let includes = self.includes.iter().map(|(relation, include)| {
                let options = match include {
                    Include::Rows(select) => select.members(world),
                    Include::Count(condition) => {
                        let mut options = Map::from_iter([("count".to_owned(), json!(true))]);
                        options.extend(
                            condition.iter().map(|c| ("where".to_owned(), c.json().into())),
                        );
                        options
                    }
                };
                (world.relations[*relation].name.to_owned(), Value::Object(options))
            });
            members.insert("include".into(), includes.collect());
        }
        members
    }

    /// All rows, whatever the limit and offset.
    pub(crate) fn rows(&self, world: &World) -> Vec<Value> {
        let world = match (self.archived, &world.whole) {
            (Some("include"), Some(whole)) => whole,
            _ => world,
        };
        let table = &world.tables[self.table];
        let all = (0..table.rows.len()).filter(|index| match self.archived {
            Some("include") => true,
            Some("only") => archived(&table.rows[*index]),
            _ => !archived(&table.rows[*index]),
        });
        self.among(world, all)
    }

    /// Those of these rows that are wanted, in their order.
    fn among(&self, world: &World, rows: impl Iterator<Item = usize>) -> Vec<Value> {
        let table = &world.tables[self.table];
        let meets = |index: &usize| {
            let holds = |condition: &Condition| condition.holds(world, &table.rows[*index], *index);
            self.condition.as_ref().is_none_or(|condition| holds(condition) == Some(true))
        };
        let mut found: Vec<usize> = rows.filter(meets).collect();
        let key: Vec<_> =
            table.key.iter().map(|name| (name.clone(), table.kind(name).clone())).collect();
        let order = total(&self.order, &key);
        sort(&mut found, &order, |index, key| key.value(world, &table.rows[*index], *index));
        found.into_iter().map(|index| self.row(world, &table.rows[index], index)).collect()
    }

    fn row(&self, world: &World, row: &Row, index: usize) -> Value {
        let wanted = |name: &str| {
            self.columns.as_ref().is_none_or(|columns| columns.iter().any(|column| column == name))
        };
        let shown = row.iter().filter(|(name, _)| wanted(name));
        let mut shown: Row = shown.map(|(name, value)| (name.clone(), value.clone())).collect();
        for Member { name, column, path } in &self.members {
            let part = json_at(&row[column], path);
            shown.insert(name.clone(), part.cloned().unwrap_or_default());
        }
        for (relation, include) in &self.includes {
            let relation = &world.relations[*relation];
            let related = relation.rows[index].iter().copied();
            let value = match include {
                Include::Count(condition) => {
                    let table = &world.tables[relation.to];
                    let meets = |index: &usize| {
                        condition.as_ref().is_none_or(|condition| {
                            condition.holds(world, &table.rows[*index], *index) == Some(true)
                        })
                    };
                    related.filter(meets).count().into()
                }
                Include::Rows(select) => {
                    let mut rows = select.among(world, related);
                    if rows.len() > select.limit.unwrap_or(100) {
                        rows.truncate(select.limit.unwrap_or(100));
                        shown.insert(format!("{}_truncated", relation.name), true.into());
                    }
                    match relation.many {
                        Many::ToOne => rows.into_iter().next().unwrap_or_default(),
                        Many::ToMany => rows.into(),
                    }
                }
            };
            shown.insert(relation.name.to_owned(), value);
        }
        shown.into()
    }
}

impl Member {
    fn random(documents: &[&String], number: usize, choices: &mut Choices<'_>) -> Member {
        let column = (*choices.pick(documents)).clone();
        let path = vec![(*choices.pick(&["a", "b", "0", "c", "theme", "notify"])).to_owned()];
        let path = if choices.chance(30) { [path, vec!["0".into()]].concat() } else { path };
        Member { name: format!("part {number}"), column, path }
    }

    fn json(&self) -> Value {
        json!({"column": self.column, "path": self.path, "as": self.name})
    }
}

impl Include {
    fn random(world: &World, relation: usize, choices: &mut Choices<'_>, depth: usize) -> Include {
        let relation = &world.relations[relation];
        if relation.many == Many::ToMany && choices.chance(25) {
            let subject = Subject::table(world, relation.to);
            let condition =
                choices.chance(50).then(|| Condition::random(world, &subject, choices, depth + 2));
            return Include::Count(condition);
        }
        let mut select = Select::of(world, relation.to, choices, depth + 1);
        match relation.many {
            Many::ToOne => select.order.clear(),
            Many::ToMany => select.limit = choices.chance(50).then(|| 1 + choices.below(4)),
        }
        Include::Rows(Box::new(select))
    }
}
