//! What of a call's values the audit may hold.
//!
//! Knows arguments by their names alone: what was refused, or never understood, is recorded too.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::policy::{AuditDetail, AuditValues, View};
use crate::schema::Operator;

/// Which values the audit may not hold.
pub(super) struct Redaction {
    values: AuditValues,
    images: bool,
    view: Option<Arc<View>>,
    /// Names, in small letters, of arguments and columns of a call, and of the columns that are meant by them.
    meant: Vec<(String, String)>,
    /// Whether the arguments are those of a canned query.
    declared: bool,
}

/// Arguments that are conditions, and that callers may write in another language.
const CONDITIONS: [&str; 3] = ["where", "having", "filter"];

/// Others that speak of columns.
const WRITTEN: [&str; 5] = ["order_by", "columns", "group_by", "sql", "query"];

/// The same of those that are rows.
const ROWS: [&str; 2] = ["data", "updates"];

/// What computes with columns.
const COMPUTED: [&str; 4] = ["add", "subtract", "multiply", "divide"];

/// What a text may say about columns without a value among it.
const DIRECTIONS: [&str; 5] = ["asc", "desc", "nulls", "first", "last"];

/// Longer texts are taken for more than names.
const NAMES_MOST: usize = 500;

/// Where a value stands in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the arguments.
    Argument,
    /// In what [`CONDITIONS`] names.
    Condition,
    /// In what [`WRITTEN`] names.
    Written,
    /// A row in what [`ROWS`] names, or several.
    Rows,
    /// In the value of a column.
    Value,
}

impl Redaction {
    /// By the settings, and what the caller's role sees. Without a view nothing tells what is to be hidden, and all
    /// values are.
    pub(super) fn new(detail: &AuditDetail, view: Option<Arc<View>>) -> Self {
        let values = if view.is_some() { detail.values } else { AuditValues::None };
        Self { values, images: detail.images, view, meant: Vec::new(), declared: false }
    }

    /// Values under the one name are those of a column of the other.
    pub(super) fn mean<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        let names = names.map(|(given, column)| (given.to_lowercase(), column.to_lowercase()));
        self.meant.extend(names);
    }

    /// The same of a canned query, whose arguments these are.
    pub(super) fn declare<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        self.declared = true;
        self.mean(names);
    }

    /// Whether rows as they were and are may be kept.
    pub(super) fn keeps_images(&self) -> bool {
        self.images && self.values != AuditValues::None
    }

    /// The arguments of a call with what may not be kept replaced.
    pub(super) fn arguments(&self, arguments: &Map<String, Value>) -> Value {
        self.object(arguments, Place::Argument)
    }

    /// The same of a row.
    pub(super) fn row(&self, row: &Map<String, Value>) -> Value {
        self.object(row, Place::Value)
    }

    fn object(&self, members: &Map<String, Value>, place: Place) -> Value {
        // `{"column": "email", "eq": …}` is as much about it as `{"email": …}`.
        let named = members.get("column").and_then(Value::as_str);
        let hidden = named.is_some_and(|name| self.hides(name))
            || place == Place::Condition && members.values().any(|member| self.is_hidden(member));
        let speaks = |name: &str| members.get(name).is_some_and(|about| self.speaks(about));
        // What is computed from columns is compared with values that tell of them.
        let tested = members.keys().any(|name| Operator::parse(name).is_some());
        let computed = tested && COMPUTED.into_iter().any(speaks);
        let compares = |name: &str| COMPUTED.contains(&name) || Operator::parse(name).is_some();
        let member = |(name, member): (&String, &Value)| {
            let keys = match name.as_str() {
                // A cursor holds sort keys, which are values.
                "cursor" => self.hides_some(),
                "compute" => self.speaks(member),
                // Groups and measures go by any name.
                "having" => speaks("measures") || speaks("group_by"),
                // As columns do; what stands beside one is a value only where rows are ordered by how near they are to it.
                "order_by" => {
                    self.is_near(member)
                        && ["measures", "group_by", "columns"].into_iter().any(speaks)
                }
                name => computed && compares(name),
            };
            let beside = hidden && name != "column" && !self.is_hidden(member);
            let member = match keys || self.hides(name) || beside {
                true => json!("[redacted]"),
                false => self.apply(member, self.inside(place, name, named.is_some())),
            };
            match self.tells(name, place) {
                true => ("[redacted]".to_owned(), member),
                false => (name.clone(), member),
            }
        };
        members.iter().map(member).collect::<Map<_, _>>().into()
    }

    fn apply(&self, value: &Value, place: Place) -> Value {
        match value {
            Value::Object(members) => self.object(members, place),
            // `["email", "=", …]`
            Value::Array(items)
                if place == Place::Condition
                    && items.iter().any(|item| self.is_hidden(item))
                    && !items.iter().all(|item| self.is_name(item)) =>
            {
                json!("[redacted]")
            }
            Value::Array(items) => items.iter().map(|item| self.apply(item, place)).collect(),
            leaf if self.values == AuditValues::None && !leaf.is_null() => json!("[omitted]"),
            leaf => match self.parsed(leaf) {
                Some(inner) => Value::String(self.apply(&inner, place).to_string()),
                None if leaf.as_str().is_some_and(|text| self.tells(text, place)) => {
                    json!("[redacted]")
                }
                None => leaf.clone(),
            },
        }
    }

    /// Where the member of this name stands, `beside` the name of a column or not.
    fn inside(&self, place: Place, name: &str, beside: bool) -> Place {
        match place {
            Place::Argument if CONDITIONS.contains(&name) => Place::Condition,
            Place::Argument if WRITTEN.contains(&name) => Place::Written,
            Place::Argument if ROWS.contains(&name) => Place::Rows,
            Place::Rows => Place::Value,
            Place::Condition | Place::Written if beside || self.is_column(name) => Place::Value,
            place => place,
        }
    }

    /// Whether it is the name of a column whose values are not kept.
    fn is_hidden(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|name| self.hides(name))
    }

    /// Whether it is the name of a column.
    fn is_name(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|name| self.hides(name) || self.is_column(name))
    }

    fn is_column(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or_default();
        self.view.as_ref().is_some_and(|view| view.has_column(last))
    }

    /// Whether a text such as `email = 'x'` speaks of a column whose values are not kept, and may hold one.
    fn tells(&self, text: &str, place: Place) -> bool {
        // `relation.column` is one word.
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
        // A query of people's own has texts for arguments.
        if place == Place::Value
            || place == Place::Argument && self.declared
            || text.chars().all(is_part)
        {
            return false;
        }
        let words = || text.split(|letter| !is_part(letter)).filter(|word| !word.is_empty());
        let speaks = |word: &str| word.split('.').any(|part| self.hides(part));
        let is_name = |word: &str| {
            let direction = DIRECTIONS.contains(&word.to_lowercase().as_str());
            direction || self.hides(word) || self.is_column(word)
        };
        // Names that are no words.
        let spelled = |names: &HashSet<String>| {
            let mut odd = names.iter().filter(|name| !name.chars().all(is_part)).peekable();
            let text = odd.peek().map(|_| text.to_lowercase());
            text.is_some_and(|text| odd.any(|name| text != *name && text.contains(name.as_str())))
        };
        self.hidden().any(spelled)
            || words().any(speaks) && (text.len() > NAMES_MOST || !words().all(is_name))
    }

    /// Whether an order asks how near rows are to a value.
    fn is_near(&self, order: &Value) -> bool {
        match order {
            Value::Object(key) => key.contains_key("rank") || key.contains_key("distance"),
            Value::Array(keys) => keys.iter().any(|key| self.is_near(key)),
            text => self.parsed(text).is_some_and(|order| self.is_near(&order)),
        }
    }

    /// Arguments may come as text of JSON.
    fn parsed(&self, value: &Value) -> Option<Value> {
        let text = value.as_str().filter(|_| self.hides_some())?;
        let json = text.trim_start().starts_with(['{', '[']);
        serde_json::from_str(text).ok().filter(|_| json)
    }

    /// Whether it names a column, in whatever place, whose values are not kept.
    fn speaks(&self, about: &Value) -> bool {
        match about {
            Value::Object(members) => {
                members.iter().any(|(name, member)| self.hides(name) || self.speaks(member))
            }
            Value::Array(items) => items.iter().any(|item| self.speaks(item)),
            Value::String(name) => {
                self.hides(name) || self.parsed(about).is_some_and(|inner| self.speaks(&inner))
            }
            _ => false,
        }
    }

    /// Whether values under this name are masked, sensitive or encrypted somewhere. Names are taken as they may have
    /// been meant: of a related row, in letters of another size.
    fn hides(&self, name: &str) -> bool {
        if !self.hides_some() {
            return false;
        }
        let name = name.to_lowercase();
        let meant = self.meant.iter().filter(|(given, _)| *given == name);
        let columns = meant.map(|(_, column)| column.as_str());
        let mut names = [name.as_str()].into_iter().chain(columns).flat_map(|name| {
            let last = name.rsplit('.').next().unwrap_or_default();
            [name, last]
        });
        names.any(|name| self.hidden().any(|hidden| hidden.contains(name)))
    }

    fn hides_some(&self) -> bool {
        self.hidden().any(|names| !names.is_empty())
    }

    /// Names of columns whose values are not kept.
    fn hidden(&self) -> impl Iterator<Item = &HashSet<String>> {
        let full = self.values == AuditValues::Full;
        self.view.iter().flat_map(move |view| {
            // Encrypted is encrypted wherever it is kept.
            let others = [view.masked_names(), view.sensitive_names()];
            [view.encrypted_names()].into_iter().chain(others.into_iter().filter(move |_| !full))
        })
    }
}
