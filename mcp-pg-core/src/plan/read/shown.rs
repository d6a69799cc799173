//! Returned values of a row: columns, members of their JSON, and computed values.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::{Code, Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::operation;
use crate::plan::label::{given_name, label};
use crate::plan::{Expression, Reached, Scope};
use crate::policy::{Marks, TableView};
use crate::request::check_members;
use crate::schema::RelationKind;

/// The forms of a returned value, for messages.
const FORM: &str = "\"name\", \"customer.name\", {\"column\": \"name\", \"as\": \"title\"}, or {\"column\": \"details\", \"path\": [\"address\", \"zip\"], \"as\": \"zip\"} inside JSON";

/// A returned value of a row.
#[derive(Debug, Clone)]
pub enum Shown<'v> {
    /// The column at a position.
    Column(usize),
    /// A member of a column's JSON, a computed value, or a column under another name.
    Computed(Box<Computed<'v>>),
    /// A column of a to-one related row; or one of the row itself under another name, if it is masked or encrypted.
    Related {
        /// Its name, as in the request.
        name: String,
        /// The column.
        of: Box<Reached<'v>>,
    },
}

/// A value of a row that is not a whole column.
#[derive(Debug, Clone)]
pub struct Computed<'v> {
    /// Its name in the reply.
    pub name: String,
    /// The expression.
    pub of: Expression<'v>,
}

impl Shown<'_> {
    /// The positions of the columns it is computed from.
    pub(crate) fn own_columns(&self) -> Vec<usize> {
        match self {
            Shown::Column(position) => vec![*position],
            Shown::Computed(computed) => computed.of.own_columns().collect(),
            Shown::Related { of, .. } => of.own_columns().collect(),
        }
    }

    /// Its marks in a row of the table.
    pub fn marks(&self, table: &TableView) -> Marks {
        match self {
            Shown::Column(position) => table.marks(*position),
            Shown::Computed(computed) => computed.of.marks(table),
            Shown::Related { of, .. } => of.owner(table).marks(of.position),
        }
    }

    /// Its name in the reply.
    pub fn name<'s>(&'s self, table: &'s TableView) -> &'s str {
        match self {
            Shown::Column(position) => &table.table.columns[*position].name,
            Shown::Computed(computed) => &computed.name,
            Shown::Related { name, .. } => name,
        }
    }

    /// Whether it is a masked value of a row of the table, of which more is sent than whether there is one.
    pub(crate) fn is_masked(&self, table: &TableView) -> bool {
        let mask = match self {
            Shown::Column(position) => table.mask(*position),
            Shown::Related { of, .. } => of.owner(table).mask(of.position),
            // Parts of masked columns are not returned.
            Shown::Computed(_) => None,
        };
        mask.is_some_and(|mask| !mask.is_constant())
    }

    /// Whether it is the whole column at a position.
    pub fn is(&self, position: usize) -> bool {
        matches!(self, Shown::Column(own) if *own == position)
    }
}

impl<'v> Scope<'v> {
    /// The returned values that a list requests; all readable columns without a list.
    ///
    /// # Errors
    ///
    /// `unknown_column`, `forbidden` for a part of a masked or encrypted column, `missing_value`, `invalid_value`, or
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
        let computed = items.iter().filter(|item| item.is_object()).count();
        self.few(computed, "computed columns", at)?;
        let (mut all, mut labels) = (Vec::new(), BTreeSet::new());
        let mut seen = vec![false; table.table.columns.len()];
        for (index, item) in items.iter().enumerate() {
            let place = || below(at, &index.to_string());
            // Nearly all items are names of columns.
            let column =
                item.as_str().filter(|name| *name != "*").and_then(|name| table.column(name));
            let meant = match column {
                Some((position, _)) => vec![Shown::Column(position)],
                None => self.item(table, item, &place())?,
            };
            for shown in meant {
                let again = match &shown {
                    Shown::Column(position) => std::mem::replace(&mut seen[*position], true),
                    Shown::Computed(_) | Shown::Related { .. } => items[..index].contains(item),
                };
                // A value that is requested twice is one member of the row.
                if again {
                    continue;
                }
                let clashes = match &shown {
                    Shown::Column(_) => labels.contains(shown.name(table)),
                    Shown::Computed(_) | Shown::Related { .. } => {
                        let name = shown.name(table);
                        let column = table.table.column(name);
                        column.is_some_and(|(position, _)| seen[position])
                            || !labels.insert(name.to_owned())
                    }
                };
                if clashes {
                    let message =
                        format!("two columns of the reply are called {:?}", shown.name(table));
                    return Err(Error::new(Code::InvalidValue, message)
                        .at(place())
                        .hint("{\"column\": \"customer.name\", \"as\": \"customer_name\"} gives a column another name"));
                }
                all.push(shown);
            }
        }
        Ok(all)
    }

    fn item(&self, table: &'v TableView, item: &Value, at: &str) -> Result<Vec<Shown<'v>>> {
        match item {
            Value::String(name) => {
                // Checked first, because the search for what an unknown name may mean takes long.
                if table.column(name).is_none()
                    && let Some(related) = self.related(table, name, at)
                {
                    let of = Box::new(related?);
                    return Ok(vec![Shown::Related { name: name.clone(), of }]);
                }
                let columns = self
                    .named(table, name, at)
                    .map_err(|error| advice::in_json_shown(table, name, error))?;
                Ok(columns.into_iter().map(Shown::Column).collect())
            }
            Value::Object(object) => {
                if operation::members(object).is_none() {
                    return self.member(table, object, at);
                }
                let of = self.arithmetic(table, object, at)?;
                let name = label(object, at)?;
                Ok(vec![Shown::Computed(Box::new(Computed { name, of }))])
            }
            _ => {
                let message = "expected a column's name, or an object for a part of a column";
                Err(Error::new(Code::InvalidValue, message).at(at).hint(FORM))
            }
        }
    }

    /// The column of `relation.column`, if the relation is to-one.
    fn related(&self, table: &'v TableView, name: &str, at: &str) -> Option<Result<Reached<'v>>> {
        let (relation, rest) = name.split_once('.')?;
        match self.reach_shown(table, name) {
            Ok(reached) => Some(Ok(reached)),
            Err(error) => {
                let relation = self.relation_to_one(table, relation).ok()?;
                let to_one = relation.kind == RelationKind::ToOne && !rest.ends_with('*');
                let told = error.code() != Code::InvalidValue;
                (to_one && told).then(|| Err(error.inside(at)))
            }
        }
    }

    /// `{"column": "details", "path": ["address", "zip"], "as": "zip"}`, or `{"column": "customer.name", "as": "name"}`.
    fn member(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Vec<Shown<'v>>> {
        const MEMBERS: [&str; 3] = ["column", "path", "as"];
        let wrong = |code, message: &str, member: &str| {
            Error::new(code, message).at(below(at, member)).hint(FORM)
        };
        check_members(object, MEMBERS.into_iter(), "a column to return has no member")
            .map_err(|error| advice::or_computed(object, &MEMBERS, error.inside(at).hint(FORM)))?;
        let Some(item @ Value::String(column)) = object.get("column") else {
            return Err(wrong(Code::MissingValue, "expected a column's name", "column"));
        };
        let name = given_name(object).filter(|name| !name.contains('\0'));
        let name = name.ok_or_else(|| wrong(Code::InvalidValue, "as is a text", "as"))?;
        let path = object.get("path").filter(|path| !path.is_null());
        let at_column = below(at, "column");
        if path.is_none() && name == *column {
            return self.item(table, item, &at_column);
        }
        let unknown = |error: Error| self.not_returned(table, column, error.inside(&at_column));
        let of = match (self.reach(table, column), path) {
            (Ok(whole), Some(path)) => whole.at_path(self, path, &below(at, "path"))?,
            (Ok(whole), None) => whole,
            // What is masked or encrypted can be shown, and nothing else.
            (Err(error), None) if error.code() == Code::Forbidden => {
                let of = Box::new(self.reach_shown(table, column).map_err(unknown)?);
                return Ok(vec![Shown::Related { name, of }]);
            }
            (Err(error), _) => return Err(unknown(error)),
        };
        Ok(vec![Shown::Computed(Box::new(Computed { name, of: Expression::Column(of) }))])
    }

    /// Refuses too many columns.
    fn few_columns(&self, table: &TableView, count: usize, at: &str) -> Result<()> {
        let most = self.view.limits.max_list.max(table.table.columns.len());
        if count <= most {
            return Ok(());
        }
        let message = format!("a list may have at most {most} columns, not {count}");
        Err(Error::exceeded("max_list", message).at(at))
    }

    /// The columns for a name; all for `*`.
    fn named(&self, table: &'v TableView, name: &str, at: &str) -> Result<Vec<usize>> {
        if name == "*" {
            return Ok(table.readable_columns().collect());
        }
        let column = table.readable(name);
        let column = column.map_err(|error| self.not_returned(table, name, error.inside(at)))?;
        Ok(vec![column])
    }
}
