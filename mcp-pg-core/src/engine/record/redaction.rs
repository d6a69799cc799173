//! Redaction: which values of a call the audit log may contain.
//!
//! Arguments are recognised by their names only, because refused and invalid calls are recorded, too.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::hidden_names::Hidden;
use crate::plan::grammar::{COMPUTE, COUNT, LOGICAL, OPTIONS, QUANTIFIERS, WHERE};
use crate::plan::{Function, operations};
use crate::policy::{AuditDetail, AuditValues, TableView, View};
use crate::request::Request;
use crate::schema::Operator;

/// Decides which values are recorded.
pub(super) struct Redaction {
    values: AuditValues,
    images: bool,
    hidden: Hidden,
    /// Whether the arguments are those of a canned query.
    declared: bool,
}

/// Arguments that are conditions, including names and syntax of other languages.
const CONDITIONS: [&str; 9] = [
    "where",
    "having",
    "filter",
    "filters",
    "condition",
    "conditions",
    "criteria",
    "match",
    "predicate",
];

/// Other arguments that refer to columns.
const WRITTEN: [&str; 5] = ["order_by", "columns", "group_by", "sql", "query"];

/// Arguments that are rows.
const ROWS: [&str; 2] = ["data", "updates"];

/// Whether a member computes with columns. A count names a relation alone.
fn is_operation(name: &str) -> bool {
    name != COUNT && operations().any(|operation| operation == name)
}

/// Whether a member of a condition is neither a column nor a relation.
fn is_logical(name: &str) -> bool {
    LOGICAL.contains(&name) || QUANTIFIERS.contains(&name) || [WHERE, COMPUTE].contains(&name)
}

/// Whether a member has a meaning in a sort key, a group, a measure, what is computed, or what is included.
fn is_option(name: &str) -> bool {
    name == COMPUTE
        || OPTIONS.contains(&name)
        || CONDITIONS.contains(&name)
        || operations().chain(Function::names()).any(|operation| operation == name)
}

/// The place of a value in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The arguments of a tool, or of an operation of a transaction.
    Arguments,
    /// The measures of an aggregate, by any names.
    Measures,
    /// In an argument that is none of those below.
    Part,
    /// The related rows to include, by relation.
    Include,
    /// In one of [`CONDITIONS`], or in an unknown argument.
    Condition,
    /// In one of [`WRITTEN`].
    Written,
    /// A row or rows in one of [`ROWS`].
    Rows,
    /// In the value of a column.
    Value,
}

/// The place of a value, and the table whose columns are named there, if it is known.
#[derive(Clone, Copy)]
struct At<'r> {
    place: Place,
    table: Option<&'r TableView>,
}

/// A redacted value.
struct Kept {
    value: Value,
    /// Whether it contains the name of a column whose values are hidden.
    speaks: bool,
    /// Whether it is an order by distance from a value.
    near: bool,
}

impl Kept {
    fn redacted(self) -> Self {
        Self { value: json!("[redacted]"), ..self }
    }
}

impl Redaction {
    /// The redaction for these settings and a role's view. Without a view, it is unknown which columns are hidden,
    /// and all values are.
    pub(super) fn new(detail: &AuditDetail, view: Option<Arc<View>>) -> Self {
        let values = if view.is_some() { detail.values } else { AuditValues::None };
        let hidden = Hidden::new(values, view);
        Self { values, images: detail.images, hidden, declared: false }
    }

    /// Notes that values under the first name of each pair belong to the column with the second.
    pub(super) fn mean<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        self.hidden.mean(names);
    }

    /// The same for a canned query, whose arguments are recorded.
    pub(super) fn declare<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        self.declared = true;
        self.mean(names);
    }

    /// Whether images of rows are recorded.
    pub(super) fn keeps_images(&self) -> bool {
        self.images && self.values != AuditValues::None
    }

    /// The arguments of a call with hidden values replaced. In a `refused` call, values under unknown names are
    /// replaced, too: they may belong to any column.
    pub(super) fn arguments(&self, arguments: &Map<String, Value>, refused: bool) -> Value {
        let strict = refused && !self.declared && self.hidden.any();
        Walk { redaction: self, hidden: &self.hidden, strict }
            .object(arguments, At { place: Place::Arguments, table: None })
            .value
    }

    /// A row with hidden values replaced, whatever its values contain.
    pub(super) fn row(&self, row: &Map<String, Value>) -> Value {
        let kept = |(name, value): (&String, &Value)| match self.hidden.has(name) {
            true => (name.clone(), json!("[redacted]")),
            false => (name.clone(), value.clone()),
        };
        Value::Object(row.iter().map(kept).collect())
    }
}

/// A traversal of a call's arguments, which visits each part once.
struct Walk<'r> {
    redaction: &'r Redaction,
    hidden: &'r Hidden,
    /// Whether values under unknown names are replaced.
    strict: bool,
}

/// The members of an object, and what each tells about the others.
struct Members<'r, 'm> {
    at: At<'r>,
    /// The table that a `where` beside them is about: that of the rows that are counted or summed.
    counted: Option<&'r TableView>,
    /// The column named by a member: `{"column": "email", "eq": …}` is a condition on it like `{"email": …}`.
    column: Option<&'m str>,
    /// Whether any member is arithmetic.
    computes: bool,
}

impl<'r> Walk<'r> {
    fn object(&self, object: &Map<String, Value>, mut at: At<'r>) -> Kept {
        let place = at.place;
        if place == Place::Arguments {
            at.table =
                object.get("table").and_then(Value::as_str).and_then(|of| self.hidden.table(of));
        }
        let counted = self.counted(object, at.table);
        let column = object.get("column").and_then(Value::as_str);
        let computes = object.keys().any(|name| is_operation(name));
        let members = Members { at, counted, column, computes };
        let near = object.contains_key("rank") || object.contains_key("distance");
        let kept: Vec<(&String, Kept)> = object
            .iter()
            .map(|(name, member)| (name, self.value(member, self.inside(&members, name))))
            .collect();
        let speaks = |is_meant: &dyn Fn(&str) -> bool| {
            kept.iter().any(|(name, kept)| kept.speaks && is_meant(name))
        };
        let about_columns = speaks(&|name| matches!(name, "measures" | "group_by"));
        let ordered = about_columns || speaks(&|name| name == "columns");
        // Operands compared with a computed value reveal the columns that it is computed from.
        let tested = object.keys().any(|name| Operator::parse(name).is_some());
        let computed = tested && speaks(&|name| is_operation(name) || name == COMPUTE);
        let hidden = column.is_some_and(|name| self.hidden.has(name))
            || place == Place::Condition
                && object.values().any(|member| self.hidden.is_name(member));
        let is_argument = matches!(place, Place::Arguments | Place::Part);
        let withheld = |name: &str, kept: &Kept| match name {
            // A cursor contains sort keys, which are values.
            "cursor" if is_argument => self.hidden.any(),
            // Groups and measures can have any names.
            "having" if is_argument => about_columns,
            // So can columns. Their neighbours are values only in an order by distance.
            "order_by" if is_argument => kept.near && ordered,
            _ if place == Place::Value => false,
            COMPUTE => kept.speaks,
            name => computed && (is_operation(name) || Operator::parse(name).is_some()),
        };
        let mut all = Kept { value: Value::Null, speaks: false, near };
        let member = |(name, kept): (&String, Kept)| {
            all.speaks |= kept.speaks || self.hidden.has(name);
            let beside = hidden && name != "column" && !self.hidden.is_name(&object[name]);
            let kept = match withheld(name, &kept)
                || self.hidden.has(name)
                || beside
                || self.strict && !self.is_matched(&members, name, &object[name])
            {
                true => kept.redacted().value,
                false => kept.value,
            };
            match self.is_text(place) && self.hidden.is_told_by(name) {
                true => ("[redacted]".to_owned(), kept),
                false => (name.clone(), kept),
            }
        };
        let told: Map<String, Value> = kept.into_iter().map(member).collect();
        Kept { value: told.into(), ..all }
    }

    fn value(&self, value: &Value, at: At<'r>) -> Kept {
        match value {
            Value::Object(members) => self.object(members, at),
            Value::Array(items) => self.list(items, at),
            leaf => self.leaf(leaf, at),
        }
    }

    fn list(&self, items: &[Value], at: At<'r>) -> Kept {
        let is_name = |item: &Value| {
            self.hidden.is_name(item)
                || item.as_str().is_some_and(|name| self.hidden.is_column(name))
        };
        // `["email", "=", …]`
        let told = at.place == Place::Condition
            && items.iter().any(|item| self.hidden.is_name(item))
            && !items.iter().all(is_name);
        let items: Vec<Kept> = items.iter().map(|item| self.value(item, at)).collect();
        let kept = Kept {
            speaks: items.iter().any(|item| item.speaks),
            near: items.iter().any(|item| item.near),
            value: items.into_iter().map(|item| item.value).collect(),
        };
        if told { kept.redacted() } else { kept }
    }

    fn leaf(&self, leaf: &Value, at: At<'r>) -> Kept {
        let place = at.place;
        let inner = leaf.as_str().and_then(|text| self.parsed(text, place));
        let inner = inner.map(|inner| (self.value(&inner, at), inner));
        let speaks = self.hidden.is_name(leaf);
        let mut kept = Kept { value: leaf.clone(), speaks, near: false };
        let told =
            leaf.as_str().is_some_and(|text| self.is_text(place) && self.hidden.is_told_by(text));
        if let Some((within, inner)) = inner {
            (kept.speaks, kept.near) = (speaks || within.speaks, within.near);
            if told || within.value != inner {
                kept.value = Value::String(within.value.to_string());
            }
            return kept;
        }
        let is_name = || leaf.as_str().is_some_and(|name| self.hidden.is_column(name));
        let lost = self.strict
            && matches!(place, Place::Condition | Place::Rows)
            && !(leaf.is_null() || leaf.is_boolean() || is_name());
        match leaf {
            _ if self.redaction.values == AuditValues::None && !leaf.is_null() => {
                Kept { value: json!("[omitted]"), ..kept }
            }
            _ if told || lost => kept.redacted(),
            _ => kept,
        }
    }

    /// The place of the member with this name, and its table.
    fn inside(&self, members: &Members<'r, '_>, name: &str) -> At<'r> {
        let At { place: outside, table } = members.at;
        let place = self.place(members, name);
        let is_relation = match (outside, place) {
            (Place::Include, _) => true,
            (Place::Condition, Place::Condition) => {
                !is_logical(name) && self.hidden.is_relation(name)
            }
            _ => false,
        };
        let table = match is_relation {
            true => table.and_then(|table| self.hidden.led_to(table, name)),
            false if name == WHERE => members.counted,
            false => table,
        };
        At { place, table }
    }

    /// The table of the rows that an object counts or sums, such as `{"sum": "orders.total"}`; otherwise its own.
    fn counted(
        &self,
        object: &Map<String, Value>,
        table: Option<&'r TableView>,
    ) -> Option<&'r TableView> {
        let mut operands = object.iter().filter(|(name, _)| *name == COUNT || is_operation(name));
        let Some(path) = operands.find_map(|(_, operand)| operand.as_str()) else { return table };
        let led_to = |path: &str| self.hidden.led_to(table?, path);
        let before = || path.rsplit_once('.').and_then(|(before, _)| led_to(before));
        led_to(path).or_else(before).or(table)
    }

    /// Whether it is the name of a column; in a refused call, of the table that is meant there.
    fn is_column(&self, members: &Members<'_, '_>, name: &str) -> bool {
        match (self.strict, members.at.table) {
            (false, _) => self.hidden.is_column(name),
            (true, table) => table.is_some_and(|table| self.hidden.is_column_of(table, name)),
        }
    }

    fn place(&self, members: &Members<'_, '_>, name: &str) -> Place {
        let place = members.at.place;
        let beside = members.column.is_some();
        match place {
            Place::Arguments | Place::Part if name == "include" => Place::Include,
            Place::Include | Place::Measures => Place::Part,
            Place::Arguments if name == "measures" => Place::Measures,
            // A total has a condition of its own wherever it stands.
            Place::Arguments | Place::Part | Place::Written if CONDITIONS.contains(&name) => {
                Place::Condition
            }
            Place::Arguments | Place::Part if WRITTEN.contains(&name) => Place::Written,
            Place::Arguments | Place::Part if ROWS.contains(&name) => Place::Rows,
            // Of `on_conflict`.
            Place::Part if name == "update" => Place::Rows,
            Place::Arguments if name == "operations" => Place::Arguments,
            Place::Arguments if self.strict && !Request::has_argument(name) => Place::Condition,
            Place::Arguments => Place::Part,
            Place::Rows => Place::Value,
            Place::Condition if is_operation(name) && !self.is_column(members, name) => {
                Place::Written
            }
            // In a refused call anything may stand there.
            Place::Condition if name == COUNT && !self.strict => Place::Value,
            Place::Condition if members.computes && Operator::parse(name).is_some() => Place::Value,
            Place::Condition | Place::Written if beside || self.is_column(members, name) => {
                Place::Value
            }
            place => place,
        }
    }

    /// Whether the name of a member is known at its place, or what it names is no value.
    fn is_matched(&self, members: &Members<'_, '_>, name: &str, value: &Value) -> bool {
        let is_column = |name: &str| self.is_column(members, name);
        let operator = Operator::parse(name).is_some();
        match (members.at.place, members.column) {
            (Place::Condition, Some(column)) => name == "column" || is_column(column),
            (Place::Condition, None) => {
                let computes = operator || is_operation(name);
                is_column(name)
                    || self.hidden.is_relation(name)
                    || is_logical(name)
                    || members.computes && computes
            }
            (Place::Rows, _) => is_column(name) || name == "_version",
            (Place::Include | Place::Measures, _) => !operator,
            (Place::Part | Place::Written, _) => {
                let part = value.is_object() && !operator || value.is_boolean() || value.is_null();
                part || is_option(name) || is_column(name)
            }
            (Place::Arguments | Place::Value, _) => true,
        }
    }

    /// Whether a text at this place may refer to columns. It cannot as the value of a column or of a canned query's
    /// argument.
    fn is_text(&self, place: Place) -> bool {
        match place {
            Place::Value => false,
            Place::Arguments | Place::Measures | Place::Part | Place::Include => {
                !self.redaction.declared
            }
            Place::Condition | Place::Written | Place::Rows => true,
        }
    }

    /// Parses an argument that is the text of JSON.
    fn parsed(&self, text: &str, place: Place) -> Option<Value> {
        let looked_at = place != Place::Value && self.hidden.any();
        let json = looked_at && text.trim_start().starts_with(['{', '[']);
        json.then(|| serde_json::from_str(text).ok())?
    }
}

#[cfg(test)]
mod tests;
