//! References to rows of earlier operations in a transaction: `{"$ref": "order.id"}`.

use std::sync::OnceLock;

use serde_json::{Map, Value};

use super::{Scope, advice};
use crate::error::{Code, Error, Result};
use crate::policy::TableView;

/// A column of a row that an earlier operation of the same transaction returns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The position of the operation.
    pub operation: usize,
    /// The operation's name in messages: its `as` or its position.
    pub called: String,
    /// The position of the row. Without one, all rows must have the same value.
    pub row: Option<u32>,
    /// The column's name.
    pub column: String,
}

/// An operation of a transaction, as later ones may refer to it.
#[derive(Debug, Clone, Copy)]
pub struct Earlier<'v> {
    /// Its `as`.
    pub name: Option<&'v str>,
    /// Its table.
    pub table: &'v TableView,
    /// The columns of its rows; all of the table if absent.
    pub columns: Option<&'v [Value]>,
    /// For an aggregate, the derived table of its groups and measures, once it is planned.
    pub totals: Option<&'v OnceLock<Box<TableView>>>,
}

impl<'v> Earlier<'v> {
    /// The table whose rows it returns.
    pub fn rows(&self) -> &'v TableView {
        self.totals.and_then(OnceLock::get).map_or(self.table, Box::as_ref)
    }

    /// The position of a column of its rows.
    fn column(&self, name: &str) -> Result<usize> {
        let position = self.rows().readable(name).map_err(|error| match self.shown(name) {
            Some(shown) => advice::not_referred(name, shown),
            None => error,
        })?;
        match self.columns {
            Some(columns) if !columns.iter().any(|column| *column == name || *column == "*") => {
                let message = format!("the rows of that operation have no column {name:?}");
                Err(Error::new(Code::UnknownColumn, message)
                    .allowed(columns.iter().filter_map(Value::as_str))
                    .hint("name it in the columns of that operation"))
            }
            _ => Ok(position),
        }
    }

    /// What is shown of its rows by this name: a value that is not one of their columns.
    fn shown(&self, name: &str) -> Option<&'v Value> {
        let named =
            |item: &&Value| **item == name || item.get("as").is_some_and(|given| given == name);
        self.columns?.iter().find(named)
    }
}

impl Scope<'_> {
    pub(super) fn reference(&self, given: &Value, at: &str) -> Result<Reference> {
        self.referred(given, at).map_err(|error| match advice::reference(given) {
            Some(meant) if self.referred(&Value::from(meant.as_str()), at).is_ok() => {
                error.did_you_mean(meant)
            }
            _ => error,
        })
    }

    /// The earlier operation with whose name and a dot a text begins, and what follows. A name may contain dots.
    fn operation_named<'t>(&self, text: &'t str) -> Option<(usize, &'t str)> {
        let after = |name: Option<&str>| text.strip_prefix(name?)?.strip_prefix('.');
        let all = self.earlier.iter().enumerate();
        let found = all.filter_map(|(index, earlier)| Some((index, after(earlier.name)?)));
        found.min_by_key(|(_, rest)| rest.len())
    }

    /// The reference in `"op.column"` or `"op.2.column"`.
    pub(super) fn referred(&self, given: &Value, at: &str) -> Result<Reference> {
        let wrong = |message: String| {
            let names = self.earlier.iter().enumerate().map(|(index, earlier)| {
                earlier.name.map_or_else(|| index.to_string(), str::to_owned)
            });
            Error::new(Code::InvalidValue, message)
                .at(at)
                .hint("\"name.column\" takes the column from the row of an earlier operation of the transaction; \"0.column\" from that of the first")
                .allowed(names)
        };
        let Some((text, (called, rest))) =
            given.as_str().and_then(|text| Some((text, text.split_once('.')?)))
        else {
            return Err(wrong("a $ref is \"operation.column\"".into()));
        };
        let numbered = || called.parse().ok().filter(|index: &usize| *index < self.earlier.len());
        let Some((operation, rest)) =
            self.operation_named(text).or_else(|| numbered().map(|index| (index, rest)))
        else {
            return Err(wrong(match called.parse::<u32>() {
                Ok(number) => format!("operation {number} is not an earlier one"),
                Err(_) => format!("no earlier operation is called {called:?}"),
            }));
        };
        let earlier = &self.earlier[operation];
        let (row, column) = match earlier.column(rest) {
            Ok(column) => (None, column),
            Err(error) => match rest.split_once('.') {
                Some((row, name)) if row.parse::<u32>().is_ok() => {
                    (row.parse().ok(), earlier.column(name).map_err(|error| error.inside(at))?)
                }
                _ => return Err(error.inside(at)),
            },
        };
        if let Some(instead) = earlier.rows().shown_instead(column) {
            let name = &earlier.rows().table.columns[column].name;
            let message = format!("{name} is {instead}: what is shown instead is not its value");
            return Err(Error::new(Code::Forbidden, message).at(at));
        }
        let column = earlier.rows().table.columns[column].name.clone();
        Ok(Reference { operation, called: called.to_owned(), row, column })
    }

    /// All references in the arguments of an operation on the table, each with the column that takes or is compared
    /// with the value; empty if that is unknown.
    pub(crate) fn taken_from_earlier(
        &self,
        table: &TableView,
        arguments: &Map<String, Value>,
    ) -> Vec<(String, Reference)> {
        let mut taken = Vec::new();
        for argument in arguments.values() {
            self.take_from(table, argument, &mut Vec::new(), &mut taken);
        }
        taken
    }

    /// Adds the references in a value, which is under these names.
    fn take(
        &self,
        table: &TableView,
        members: &Map<String, Value>,
        under: &mut Vec<String>,
        taken: &mut Vec<(String, Reference)>,
    ) {
        if let (1, Some(given)) = (members.len(), members.get("$ref")) {
            if let Ok(reference) = self.referred(given, "") {
                taken.push((self.taking(table, under).to_owned(), reference));
            }
            return;
        }
        let beside = members.get("column").and_then(Value::as_str);
        for (name, member) in members {
            under.push(beside.unwrap_or(name).to_owned());
            self.take_from(table, member, under, taken);
            under.pop();
        }
    }

    fn take_from(
        &self,
        table: &TableView,
        value: &Value,
        under: &mut Vec<String>,
        taken: &mut Vec<(String, Reference)>,
    ) {
        match value {
            Value::Object(members) => self.take(table, members, under, taken),
            Value::Array(items) => {
                items.iter().for_each(|item| self.take_from(table, item, under, taken));
            }
            // JSON in a string, in which letters may be escaped.
            Value::String(text) if text.contains("$ref") || text.contains("\\u") => {
                if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
                {
                    self.take_from(table, &inner, under, taken);
                }
            }
            _ => {}
        }
    }

    /// The column that takes a value under these names: the first one that is a column of the table, because names
    /// within its value are not columns. Without one, the last name that is a column of any table.
    fn taking<'n>(&self, table: &TableView, under: &'n [String]) -> &'n str {
        let names = || under.iter().filter_map(|name| name.rsplit('.').next());
        let own = names().find(|name| table.table.column(name).is_some());
        own.or_else(|| names().rev().find(|name| self.view.has_column(name))).unwrap_or_default()
    }
}
