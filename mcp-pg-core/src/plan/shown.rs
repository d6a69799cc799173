//! What is returned of a row: columns, and members of the JSON in them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Reached, Scope};
use crate::error::{Code, Error, Result, below};
use crate::policy::TableView;
use crate::request::check_members;

/// How a member is written.
const FORM: &str = "\"name\", or {\"column\": \"details\", \"path\": [\"address\", \"zip\"], \"as\": \"zip\"} inside JSON";

/// A value of the row that a reply shows.
#[derive(Debug, Clone)]
pub enum Shown<'v> {
    /// The column at a position.
    Column(usize),
    /// What the JSON of a column has at a path.
    Member(Box<Member<'v>>),
}

/// A part of a column's JSON.
#[derive(Debug, Clone)]
pub struct Member<'v> {
    /// Its name in the reply.
    pub name: String,
    /// Of which column, at which path.
    pub of: Reached<'v>,
}

impl Shown<'_> {
    /// The position of the column that it is, or is a part of.
    pub fn position(&self) -> usize {
        match self {
            Shown::Column(position) => *position,
            Shown::Member(member) => member.of.position,
        }
    }

    /// Its name in the reply.
    pub fn name<'s>(&'s self, table: &'s TableView) -> &'s str {
        match self {
            Shown::Column(position) => &table.table.columns[*position].name,
            Shown::Member(member) => &member.name,
        }
    }

    /// Whether it is the whole column at a position.
    pub fn is(&self, position: usize) -> bool {
        matches!(self, Shown::Column(own) if *own == position)
    }
}

impl<'v> Scope<'v> {
    /// The columns, and the members of JSON in them, that a list asks for; all columns without one.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `forbidden` for a member of a masked or encrypted column, `invalid_value`, or
    /// `limit_exceeded`, at `at`.
    pub fn shown(
        &self,
        table: &'v TableView,
        items: Option<&[Value]>,
        at: &str,
    ) -> Result<Vec<Shown<'v>>> {
        let Some(items) = items else {
            return Ok(table.readable_columns().map(Shown::Column).collect());
        };
        self.few_columns(table, items.len(), at)?;
        let members = items.iter().filter(|item| item.is_object()).count();
        self.few(members, "members of JSON", at)?;
        let (mut all, mut members) = (Vec::new(), BTreeSet::new());
        let mut seen = vec![false; table.table.columns.len()];
        for (index, item) in items.iter().enumerate() {
            let place = below(at, &index.to_string());
            for shown in self.item(table, item, &place)? {
                let again = match &shown {
                    Shown::Column(position) => std::mem::replace(&mut seen[*position], true),
                    Shown::Member(_) => items[..index].contains(item),
                };
                // What is asked for twice is one member of the row.
                if again {
                    continue;
                }
                let clashes = match &shown {
                    Shown::Column(_) => members.contains(shown.name(table)),
                    Shown::Member(member) => {
                        let column = table.table.column(&member.name);
                        column.is_some_and(|(position, _)| seen[position])
                            || !members.insert(member.name.clone())
                    }
                };
                if clashes {
                    let message =
                        format!("two columns of the reply are called {:?}", shown.name(table));
                    return Err(Error::new(Code::InvalidValue, message)
                        .at(place)
                        .hint("{\"column\": …, \"path\": […], \"as\": \"another name\"}"));
                }
                all.push(shown);
            }
        }
        Ok(all)
    }

    fn item(&self, table: &'v TableView, item: &Value, at: &str) -> Result<Vec<Shown<'v>>> {
        match item {
            Value::String(name) => {
                let columns = self.named(table, name, at);
                let columns =
                    columns.map_err(|error| super::advice::in_json_shown(table, name, error));
                Ok(columns?.into_iter().map(Shown::Column).collect())
            }
            Value::Object(object) => {
                let member = self.shown_member(table, object, at)?;
                Ok(vec![Shown::Member(Box::new(member))])
            }
            _ => {
                let message = "a column's name is wanted, or an object for a part of its JSON";
                Err(Error::new(Code::InvalidValue, message).at(at).hint(FORM))
            }
        }
    }

    /// `{"column": "details", "path": ["address", "zip"], "as": "zip"}`.
    fn shown_member(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Member<'v>> {
        const MEMBERS: [&str; 3] = ["column", "path", "as"];
        let wrong = |code, message: &str, member: &str| {
            Error::new(code, message).at(below(at, member)).hint(FORM)
        };
        check_members(object, MEMBERS.into_iter(), "a column to return has no member")
            .map_err(|error| error.inside(at).hint(FORM))?;
        let Some(column) = object.get("column").and_then(Value::as_str) else {
            return Err(wrong(Code::MissingValue, "a column's name is wanted", "column"));
        };
        let Some(path) = object.get("path").filter(|path| !path.is_null()) else {
            let message = "a path into the column's JSON is wanted; whole columns keep their names";
            return Err(wrong(Code::MissingValue, message, "path"));
        };
        let position = table.usable(column).map_err(|error| {
            self.not_returned(table, column, error.inside(&below(at, "column")))
        })?;
        let own = &table.table.columns[position];
        let whole = Reached { hops: Vec::new(), column: own, position, member: None };
        let of = whole.at_path(self, path, &below(at, "path"))?;
        let name = match object.get("as") {
            None | Some(Value::Null) => super::aggregate::named(column, Some(path)),
            Some(Value::String(name)) if !name.contains('\0') => name.clone(),
            Some(_) => return Err(wrong(Code::InvalidValue, "as is a text", "as")),
        };
        Ok(Member { name, of })
    }
}
