//! What of a call's values the audit may hold.
//!
//! Knows arguments by their names alone: what was refused, or never understood, is recorded too.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::policy::{AuditDetail, AuditValues, View};

/// Which values the audit may not hold.
pub(super) struct Redaction {
    values: AuditValues,
    images: bool,
    view: Option<Arc<View>>,
    /// Names, in small letters, of arguments and columns of a call, and of the columns that are meant by them.
    meant: Vec<(String, String)>,
}

impl Redaction {
    /// By the settings, and what the caller's role sees. Without a view nothing tells what is to be hidden, and all
    /// values are.
    pub(super) fn new(detail: &AuditDetail, view: Option<Arc<View>>) -> Self {
        let values = if view.is_some() { detail.values } else { AuditValues::None };
        Self { values, images: detail.images, view, meant: Vec::new() }
    }

    /// Values under the one name are those of a column of the other.
    pub(super) fn mean<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        let names = names.map(|(given, column)| (given.to_lowercase(), column.to_lowercase()));
        self.meant.extend(names);
    }

    /// Whether rows as they were and are may be kept.
    pub(super) fn keeps_images(&self) -> bool {
        self.images && self.values != AuditValues::None
    }

    /// The members with what may not be kept replaced.
    pub(super) fn object(&self, members: &Map<String, Value>) -> Value {
        // `{"column": "email", "eq": …}` is as much about it as `{"email": …}`.
        let named = members.get("column").and_then(Value::as_str);
        let hidden = named.is_some_and(|name| self.hides(name));
        let speaks = |name: &str| members.get(name).is_some_and(|about| self.speaks(about));
        let member = |(name, member): (&String, &Value)| {
            let keys = match name.as_str() {
                // A cursor holds sort keys, which are values.
                "cursor" => self.hides_some(),
                // Groups and measures go by any name.
                "having" => speaks("measures") || speaks("group_by"),
                // As columns do; what stands beside one is a value only where rows are ordered by how near they are to it.
                "order_by" => {
                    self.is_near(member)
                        && ["measures", "group_by", "columns"].into_iter().any(speaks)
                }
                _ => false,
            };
            let member = match keys || self.hides(name) || hidden && name != "column" {
                true => json!("[redacted]"),
                false => self.apply(member),
            };
            (name.clone(), member)
        };
        members.iter().map(member).collect::<Map<_, _>>().into()
    }

    fn apply(&self, value: &Value) -> Value {
        match value {
            Value::Object(members) => self.object(members),
            Value::Array(items) => items.iter().map(|item| self.apply(item)).collect(),
            leaf if self.values == AuditValues::None && !leaf.is_null() => json!("[omitted]"),
            leaf => match self.parsed(leaf) {
                Some(inner) => Value::String(self.apply(&inner).to_string()),
                None => leaf.clone(),
            },
        }
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
        let Some(view) = self.view.as_ref().filter(|_| self.hides_some()) else { return false };
        let name = name.to_lowercase();
        let last = name.rsplit('.').next().unwrap_or_default();
        let meant = self.meant.iter().filter(|(given, _)| *given == name);
        let columns = meant.map(|(_, column)| column.as_str());
        [name.as_str(), last].into_iter().chain(columns).any(|name| {
            // Encrypted is encrypted wherever it is kept.
            view.encrypted_names().contains(name)
                || self.values != AuditValues::Full
                    && (view.masked_names().contains(name) || view.sensitive_names().contains(name))
        })
    }

    fn hides_some(&self) -> bool {
        self.view.as_ref().is_some_and(|view| {
            !view.encrypted_names().is_empty()
                || self.values != AuditValues::Full
                    && !(view.masked_names().is_empty() && view.sensitive_names().is_empty())
        })
    }
}
