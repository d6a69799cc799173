//! The tables of a database in memory: their rows as PostgreSQL's own JSON, and how they are related.

use std::collections::HashMap;
use std::sync::Arc;

use mcp_pg_tests::Database;
use serde_json::{Map, Value};
use tokio_postgres::Client;

use super::value::Kind;

pub(crate) type Row = Map<String, Value>;

/// All tables.
pub(crate) struct World {
    pub(crate) tables: Arc<Vec<Table>>,
    pub(crate) relations: Vec<Relation>,
    /// The same world, in which archived rows are related to others as well.
    pub(crate) whole: Option<Box<World>>,
}

pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) key: Vec<String>,
    pub(crate) rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Many {
    ToOne,
    ToMany,
}

/// A way from a table to another.
pub(crate) struct Relation {
    pub(crate) from: usize,
    pub(crate) name: &'static str,
    pub(crate) many: Many,
    pub(crate) to: usize,
    /// For each row of `from`, the related rows: archived ones only in a world that is whole.
    pub(crate) rows: Vec<Vec<usize>>,
}

/// A relation as a test states it: from, name, how many, to, and the pairs of columns; with a table in
/// between, those of the first half and then those of the second.
pub(crate) type Stated = (
    &'static str,
    &'static str,
    Many,
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<(&'static str, &'static [(&'static str, &'static str)])>,
);

impl World {
    pub(crate) async fn load(
        database: &Database,
        tables: &[&'static str],
        relations: &[Stated],
    ) -> World {
        let client = database.client().await;
        client.execute("SET TIME ZONE 'UTC'", &[]).await.unwrap();
        let mut loaded = Vec::new();
        for name in tables {
            loaded.push(Table::load(&client, name).await);
        }
        let tables = Arc::new(loaded);
        let mut whole = World { tables: Arc::clone(&tables), relations: Vec::new(), whole: None };
        whole.relations = relations.iter().map(|stated| whole.relation(stated, true)).collect();
        let mut world = World { tables, relations: Vec::new(), whole: None };
        world.relations = relations.iter().map(|stated| world.relation(stated, false)).collect();
        World { whole: Some(Box::new(whole)), ..world }
    }

    pub(crate) fn named(&self, name: &str) -> usize {
        self.tables.iter().position(|table| table.name == name).expect(name)
    }

    /// The relations that start from a table.
    pub(crate) fn from(&self, table: usize) -> Vec<usize> {
        (0..self.relations.len()).filter(|index| self.relations[*index].from == table).collect()
    }

    fn relation(&self, (from, name, many, to, columns, through): &Stated, whole: bool) -> Relation {
        let (from, to) = (self.named(from), self.named(to));
        let rows = match through {
            None => self.pairs(from, to, columns, whole),
            Some((junction, beyond)) => {
                let junction = self.named(junction);
                let near = self.pairs(from, junction, columns, whole);
                let far = self.pairs(junction, to, beyond, whole);
                near.iter()
                    .map(|rows| rows.iter().flat_map(|row| far[*row].clone()).collect())
                    .collect()
            }
        };
        Relation { from, name, many: *many, to, rows }
    }

    /// For each row of a table those of another whose columns have the same values.
    fn pairs(
        &self,
        from: usize,
        to: usize,
        columns: &[(&str, &str)],
        whole: bool,
    ) -> Vec<Vec<usize>> {
        let key = |row: &Row, names: Vec<&str>| -> Option<String> {
            let values = names.iter().map(|name| {
                let value = row.get(*name).expect(name);
                (!value.is_null()).then(|| value.to_string())
            });
            values.collect()
        };
        let mut by_key: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, row) in self.tables[to].rows.iter().enumerate() {
            if archived(row) && !whole {
                continue;
            }
            if let Some(key) = key(row, columns.iter().map(|pair| pair.1).collect()) {
                by_key.entry(key).or_default().push(index);
            }
        }
        let rows = self.tables[from].rows.iter().map(|row| {
            let key = key(row, columns.iter().map(|pair| pair.0).collect());
            key.and_then(|key| by_key.get(&key)).cloned().unwrap_or_default()
        });
        rows.collect()
    }
}

/// Whether a row is archived.
pub(crate) fn archived(row: &Row) -> bool {
    row.get("archived_at").is_some_and(|at| !at.is_null())
}

impl Table {
    async fn load(client: &Client, name: &'static str) -> Table {
        let rows = client.query(&format!("SELECT to_json(t)::text FROM {name} t"), &[]).await;
        let rows = rows.unwrap();
        let rows = rows.iter().map(|row| serde_json::from_str(row.get(0)).unwrap());
        let columns = client
            .query(
                "SELECT attname::text, typname::text, ARRAY(SELECT enumlabel::text FROM pg_enum \
                 WHERE enumtypid = atttypid ORDER BY enumsortorder), \
                 attnum = ANY((SELECT conkey FROM pg_constraint WHERE conrelid = attrelid AND contype = 'p')::int2[]) \
                 FROM pg_attribute JOIN pg_type ON pg_type.oid = atttypid \
                 WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
                &[&name],
            )
            .await
            .unwrap();
        let key = columns.iter().filter(|row| row.get(3)).map(|row| row.get(0)).collect();
        let columns = columns.iter().map(|row| {
            let labels: Vec<String> = row.get(2);
            (row.get(0), Kind::of(row.get(1), labels))
        });
        Table { name, columns: columns.collect(), key, rows: rows.collect() }
    }

    pub(crate) fn kind(&self, column: &str) -> &Kind {
        &self.columns.iter().find(|(name, _)| name == column).expect(column).1
    }
}
