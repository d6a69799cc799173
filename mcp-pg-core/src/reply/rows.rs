//! The rows of a reply: their values, and once for all rows the names of these.
//!
//! Objects, which repeat the names in every row, are only made when the reply becomes JSON.

use std::borrow::Cow;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value};

/// Rows, which are arrays of objects in JSON, or arrays of arrays with `format: "columns"`.
///
/// ```
/// # use mcp_pg_core::reply::Rows;
/// # use serde_json::json;
/// let rows = Rows::from(vec![json!({"id": 7, "title": "Alien"})]);
/// let titles: Vec<_> = rows.iter().filter_map(|row| row.get("title")?.as_str()).collect();
/// assert_eq!(titles, ["Alien"]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Rows(Form);

#[derive(Debug, Clone, PartialEq)]
enum Form {
    /// The values of each row, in the order of the names.
    Named {
        names: Arc<[String]>,
        rows: Vec<Vec<Value>>,
        /// Members that only some rows have, with the value true: the row's index and the member's name, in the order
        /// of the rows.
        marks: Vec<(usize, String)>,
    },
    /// Rows that are JSON already.
    Values(Vec<Value>),
}

/// A row of [`Rows`].
#[derive(Debug, Clone, Copy)]
pub struct Row<'r>(Fields<'r>);

#[derive(Debug, Clone, Copy)]
enum Fields<'r> {
    /// The names, the values, and the marks of this row.
    Named(&'r [String], &'r [Value], &'r [(usize, String)]),
    Value(&'r Value),
}

/// The value of a mark.
static TRUE: Value = Value::Bool(true);

impl Rows {
    /// Rows whose first values have these names. `marks` are members of single rows with the value true, in the order of
    /// the rows.
    pub(crate) fn named(
        names: Arc<[String]>,
        rows: Vec<Vec<Value>>,
        marks: Vec<(usize, String)>,
    ) -> Self {
        Self(Form::Named { names, rows, marks })
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        match &self.0 {
            Form::Named { rows, .. } => rows.len(),
            Form::Values(rows) => rows.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows, in order.
    pub fn iter(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.len()).filter_map(|index| self.row(index))
    }

    /// The row at an index.
    pub fn row(&self, index: usize) -> Option<Row<'_>> {
        Some(Row(match &self.0 {
            Form::Named { names, rows, marks } => {
                let begin = marks.partition_point(|(row, _)| *row < index);
                let end = marks.partition_point(|(row, _)| *row <= index);
                Fields::Named(names, rows.get(index)?, marks.get(begin..end)?)
            }
            Form::Values(rows) => Fields::Value(rows.get(index)?),
        }))
    }

    /// The rows as JSON.
    pub fn into_values(self) -> Vec<Value> {
        let (names, rows, marks) = match self.0 {
            Form::Values(rows) => return rows,
            Form::Named { names, rows, marks } => (names, rows, marks),
        };
        let object = |row: Vec<Value>| names.iter().cloned().zip(row).collect::<Map<_, _>>();
        let mut objects: Vec<Map<String, Value>> = rows.into_iter().map(object).collect();
        for (row, mark) in marks {
            if let Some(row) = objects.get_mut(row) {
                row.insert(mark, Value::Bool(true));
            }
        }
        objects.into_iter().map(Value::Object).collect()
    }
}

impl<'r> Row<'r> {
    /// The value of a row's member, also of one that only some rows have, such as `orders_truncated`. With
    /// `format: "columns"`, rows have no members.
    pub fn get(&self, name: &str) -> Option<&'r Value> {
        match self.0 {
            Fields::Named(names, values, marks) => {
                let mut named = names.iter().zip(values);
                let value = named.find(|(known, _)| *known == name).map(|(_, value)| value);
                value.or_else(|| marks.iter().any(|(_, mark)| mark == name).then_some(&TRUE))
            }
            Fields::Value(value) => value.get(name),
        }
    }
}

impl From<Vec<Value>> for Rows {
    fn from(rows: Vec<Value>) -> Self {
        Self(Form::Values(rows))
    }
}

impl Serialize for Rows {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (names, rows, marks) = match &self.0 {
            Form::Values(rows) => return rows.serialize(serializer),
            Form::Named { names, rows, marks } => (names, rows, marks),
        };
        let mut array = serializer.serialize_seq(Some(rows.len()))?;
        let mut marks = marks.as_slice();
        for (index, values) in rows.iter().enumerate() {
            let own = marks.iter().take_while(|(row, _)| *row == index).count();
            let (own, others) = marks.split_at(own);
            array.serialize_element(&Object { names, values, marks: own })?;
            marks = others;
        }
        array.end()
    }
}

struct Object<'r> {
    names: &'r [String],
    values: &'r [Value],
    marks: &'r [(usize, String)],
}

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(None)?;
        for (name, value) in self.names.iter().zip(self.values) {
            object.serialize_entry(name, value)?;
        }
        for (_, mark) in self.marks {
            object.serialize_entry(mark, &true)?;
        }
        object.end()
    }
}

impl JsonSchema for Rows {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Rows".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<Value>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn both_ways_to_json_agree() {
        let names: Arc<[String]> = ["id".to_owned(), "items".to_owned()].into();
        let values = vec![
            vec![json!(1), json!([2]), json!("a sort key")],
            vec![json!(3), json!([])],
            vec![json!(4), json!([5])],
        ];
        let mark = |row| (row, "items_truncated".to_owned());
        let rows = Rows::named(names, values, vec![mark(0), mark(2)]);
        let expected = json!([{"id": 1, "items": [2], "items_truncated": true}, {"id": 3, "items": []},
            {"id": 4, "items": [5], "items_truncated": true}]);
        assert_eq!(serde_json::to_value(&rows).unwrap(), expected);
        assert_eq!(rows.row(1).and_then(|row| row.get("id")), Some(&json!(3)));
        let marks: Vec<_> = rows.iter().map(|row| row.get("items_truncated").cloned()).collect();
        assert_eq!(marks, [Some(json!(true)), None, Some(json!(true))]);
        assert_eq!(Value::from(rows.into_values()), expected);
    }
}
