//! Redaction: which values of a call the audit may hold.
//!
//! Knows arguments by their names alone: what was refused, or never understood, is recorded too.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::hidden_names::Hidden;
use crate::policy::{AuditDetail, AuditValues, View};
use crate::request::Request;
use crate::schema::Operator;

/// Which values the audit may not hold.
pub(super) struct Redaction {
    values: AuditValues,
    images: bool,
    hidden: Hidden,
    /// Whether the arguments are those of a canned query.
    declared: bool,
}

/// Arguments that are conditions, and that callers may write in another language or call otherwise.
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

/// Others that speak of columns.
const WRITTEN: [&str; 5] = ["order_by", "columns", "group_by", "sql", "query"];

/// The same of those that are rows.
const ROWS: [&str; 2] = ["data", "updates"];

/// What computes with columns.
const COMPUTED: [&str; 4] = ["add", "subtract", "multiply", "divide"];

/// What stands in conditions beside columns and relations.
const LOGICAL: [&str; 9] =
    ["and", "or", "not", "some", "none", "every", "count", "where", "compute"];

/// Where a value stands in a call.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Among the arguments of a tool, or of an operation of a transaction.
    Arguments,
    /// In another argument than those below.
    Part,
    /// In what [`CONDITIONS`] names, or in what is no argument.
    Condition,
    /// In what [`WRITTEN`] names.
    Written,
    /// A row in what [`ROWS`] names, or several.
    Rows,
    /// In the value of a column.
    Value,
}

/// A value as it is kept.
struct Kept {
    value: Value,
    /// Whether it names a column, in whatever place, whose values are not.
    speaks: bool,
    /// Whether it is an order that asks how near rows are to a value.
    near: bool,
}

impl Kept {
    fn redacted(self) -> Self {
        Self { value: json!("[redacted]"), ..self }
    }
}

impl Redaction {
    /// By the settings, and what the caller's role sees. Without a view nothing tells what is to be hidden, and all
    /// values are.
    pub(super) fn new(detail: &AuditDetail, view: Option<Arc<View>>) -> Self {
        let values = if view.is_some() { detail.values } else { AuditValues::None };
        let hidden = Hidden::new(values, view);
        Self { values, images: detail.images, hidden, declared: false }
    }

    /// Values under the one name are those of a column of the other.
    pub(super) fn mean<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        self.hidden.mean(names);
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

    /// The arguments of a call with what may not be kept replaced. If it was `refused`, so is what is under no name that
    /// means something: it may be the value of any column.
    pub(super) fn arguments(&self, arguments: &Map<String, Value>, refused: bool) -> Value {
        let strict = refused && !self.declared && self.hidden.any();
        Walk { redaction: self, hidden: &self.hidden, strict }
            .object(arguments, Place::Arguments)
            .value
    }

    /// The same of a row: what is in a value is the value's.
    pub(super) fn row(&self, row: &Map<String, Value>) -> Value {
        let kept = |(name, value): (&String, &Value)| match self.hidden.has(name) {
            true => (name.clone(), json!("[redacted]")),
            false => (name.clone(), value.clone()),
        };
        Value::Object(row.iter().map(kept).collect())
    }
}

/// A way through the arguments of a call, which looks at each part of them once.
struct Walk<'r> {
    redaction: &'r Redaction,
    hidden: &'r Hidden,
    /// Whether nothing is kept that stands under no name which means something.
    strict: bool,
}

/// The members of an object, in view of each other.
struct Members<'m> {
    place: Place,
    /// `{"column": "email", "eq": …}` is as much about it as `{"email": …}`.
    column: Option<&'m str>,
    /// Whether there is arithmetic among them.
    computes: bool,
}

impl Walk<'_> {
    fn object(&self, object: &Map<String, Value>, place: Place) -> Kept {
        let column = object.get("column").and_then(Value::as_str);
        let computes = object.keys().any(|name| COMPUTED.contains(&name.as_str()));
        let members = Members { place, column, computes };
        let near = object.contains_key("rank") || object.contains_key("distance");
        let kept: Vec<(&String, Kept)> = object
            .iter()
            .map(|(name, member)| (name, self.value(member, self.inside(&members, name))))
            .collect();
        let speaks = |names: &[&str]| {
            kept.iter().any(|(name, kept)| kept.speaks && names.contains(&name.as_str()))
        };
        let about_columns = speaks(&["measures", "group_by"]);
        let ordered = about_columns || speaks(&["columns"]);
        // What is computed from columns is compared with values that tell of them.
        let tested = object.keys().any(|name| Operator::parse(name).is_some());
        let computed = tested && (speaks(&COMPUTED) || speaks(&["compute"]));
        let hidden = column.is_some_and(|name| self.hidden.has(name))
            || place == Place::Condition
                && object.values().any(|member| self.hidden.is_name(member));
        let is_argument = matches!(place, Place::Arguments | Place::Part);
        let withheld = |name: &str, kept: &Kept| match name {
            // A cursor holds sort keys, which are values.
            "cursor" if is_argument => self.hidden.any(),
            // Groups and measures go by any name.
            "having" if is_argument => about_columns,
            // As columns do; what stands beside one is a value only where rows are ordered by how near they are to it.
            "order_by" if is_argument => kept.near && ordered,
            _ if place == Place::Value => false,
            "compute" => kept.speaks,
            name => computed && (COMPUTED.contains(&name) || Operator::parse(name).is_some()),
        };
        let mut all = Kept { value: Value::Null, speaks: false, near };
        let member = |(name, kept): (&String, Kept)| {
            all.speaks |= kept.speaks || self.hidden.has(name);
            let beside = hidden && name != "column" && !self.hidden.is_name(&object[name]);
            let kept = match withheld(name, &kept)
                || self.hidden.has(name)
                || beside
                || self.strict && !self.is_matched(&members, name)
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

    fn value(&self, value: &Value, place: Place) -> Kept {
        match value {
            Value::Object(members) => self.object(members, place),
            Value::Array(items) => self.list(items, place),
            leaf => self.leaf(leaf, place),
        }
    }

    fn list(&self, items: &[Value], place: Place) -> Kept {
        let is_name = |item: &Value| {
            self.hidden.is_name(item)
                || item.as_str().is_some_and(|name| self.hidden.is_column(name))
        };
        // `["email", "=", …]`
        let told = place == Place::Condition
            && items.iter().any(|item| self.hidden.is_name(item))
            && !items.iter().all(is_name);
        let items: Vec<Kept> = items.iter().map(|item| self.value(item, place)).collect();
        let kept = Kept {
            speaks: items.iter().any(|item| item.speaks),
            near: items.iter().any(|item| item.near),
            value: items.into_iter().map(|item| item.value).collect(),
        };
        if told { kept.redacted() } else { kept }
    }

    fn leaf(&self, leaf: &Value, place: Place) -> Kept {
        let inner = leaf.as_str().and_then(|text| self.parsed(text, place));
        let inner = inner.map(|inner| (self.value(&inner, place), inner));
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

    /// Where the member of this name stands.
    fn inside(&self, members: &Members<'_>, name: &str) -> Place {
        let place = members.place;
        let beside = members.column.is_some();
        match place {
            Place::Arguments | Place::Part if CONDITIONS.contains(&name) => Place::Condition,
            Place::Arguments | Place::Part if WRITTEN.contains(&name) => Place::Written,
            Place::Arguments | Place::Part if ROWS.contains(&name) => Place::Rows,
            Place::Arguments if name == "operations" => Place::Arguments,
            Place::Arguments if self.strict && !Request::has_argument(name) => Place::Condition,
            Place::Arguments => Place::Part,
            Place::Rows => Place::Value,
            Place::Condition if COMPUTED.contains(&name) && !self.hidden.is_column(name) => {
                Place::Written
            }
            Place::Condition if name == "count" => Place::Value,
            Place::Condition if members.computes && Operator::parse(name).is_some() => Place::Value,
            Place::Condition | Place::Written if beside || self.hidden.is_column(name) => {
                Place::Value
            }
            place => place,
        }
    }

    /// Whether the name of a member means something where it stands.
    fn is_matched(&self, members: &Members<'_>, name: &str) -> bool {
        let is_column = |name: &str| self.hidden.is_column(name);
        let operator = Operator::parse(name).is_some();
        match (members.place, members.column) {
            (Place::Condition, Some(column)) => name == "column" || is_column(column),
            (Place::Condition, None) => {
                let computes = operator || COMPUTED.contains(&name);
                is_column(name)
                    || self.hidden.is_relation(name)
                    || LOGICAL.contains(&name)
                    || members.computes && computes
            }
            (Place::Rows, _) => is_column(name) || name == "_version",
            (Place::Part, _) => !operator,
            (Place::Arguments | Place::Written | Place::Value, _) => true,
        }
    }

    /// Whether a text there may be one about columns: it is not where it is the value of one, as it is in what a query of
    /// people's own is given.
    fn is_text(&self, place: Place) -> bool {
        match place {
            Place::Value => false,
            Place::Arguments | Place::Part => !self.redaction.declared,
            Place::Condition | Place::Written | Place::Rows => true,
        }
    }

    /// Arguments may come as text of JSON.
    fn parsed(&self, text: &str, place: Place) -> Option<Value> {
        let looked_at = place != Place::Value && self.hidden.any();
        let json = looked_at && text.trim_start().starts_with(['{', '[']);
        json.then(|| serde_json::from_str(text).ok())?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::policy::{Action, Role, Settings};
    use crate::schema::Schema;

    /// Names that are looked up in arguments in which many members stand so deep.
    fn looked_up(depth: usize, around: impl Fn(Value) -> Value) -> usize {
        let mut settings = Settings::default();
        settings.columns.sensitive = vec!["public.people.pay".into()];
        let role = Role::everywhere("reader", Action::ALL);
        let view = View::new(&Schema::default(), &role, &settings);
        let redaction = Redaction::new(&settings.audit, Some(Arc::new(view)));
        let members: Map<String, Value> =
            (0..2_000).map(|number| (format!("k{number}"), json!(number))).collect();
        let nested = (0..depth).fold(json!(members), |inner, _| around(inner));
        let arguments = json!({"table": "people", "where": nested, "measures": nested});
        redaction.arguments(arguments.as_object().unwrap_or(&Map::new()), true);
        redaction.hidden.asked.load(Ordering::Relaxed)
    }

    #[test]
    fn each_part_is_looked_at_once_however_deep() {
        let around: [fn(Value) -> Value; 5] = [
            |inner| json!({"having": 1, "measures": inner}),
            |inner| json!({"order_by": inner, "columns": 1}),
            |inner| json!({"compute": inner}),
            |inner| json!({"add": inner, "eq": 1}),
            |inner| json!([{"or": [inner]}]),
        ];
        for around in around {
            let (flat, deep) = (looked_up(0, around), looked_up(80, around));
            assert!(deep < 2 * flat, "{}: {flat}, {deep}", around(json!(0)));
        }
    }
}
