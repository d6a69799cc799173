//! What an operation of a transaction takes from the rows of earlier ones.

use serde_json::{Map, Value};

use super::{Reference, Scope};

impl Scope<'_> {
    /// All references in the arguments of an operation, each with the name of the column that gets its value or is compared
    /// with it; empty where none is told.
    pub fn taken_from_earlier(&self, arguments: &Map<String, Value>) -> Vec<(String, Reference)> {
        let mut taken = Vec::new();
        self.take(arguments, &mut Vec::new(), &mut taken);
        taken
    }

    /// Those in an object that stands under these names.
    fn take(
        &self,
        members: &Map<String, Value>,
        under: &mut Vec<String>,
        taken: &mut Vec<(String, Reference)>,
    ) {
        if let (1, Some(given)) = (members.len(), members.get("$ref")) {
            if let Ok(reference) = self.referred(given, "") {
                let names = under.iter().rev().filter_map(|name| name.rsplit('.').next());
                let column = names.into_iter().find(|name| self.is_column(name));
                taken.push((column.unwrap_or_default().to_owned(), reference));
            }
            return;
        }
        let beside = members.get("column").and_then(Value::as_str);
        for (name, member) in members {
            under.push(beside.unwrap_or(name).to_owned());
            self.take_from(member, under, taken);
            under.pop();
        }
    }

    fn take_from(
        &self,
        value: &Value,
        under: &mut Vec<String>,
        taken: &mut Vec<(String, Reference)>,
    ) {
        match value {
            Value::Object(members) => self.take(members, under, taken),
            Value::Array(items) => {
                items.iter().for_each(|item| self.take_from(item, under, taken));
            }
            // JSON sent as a string.
            Value::String(text) if text.contains("$ref") => {
                if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
                {
                    self.take_from(&inner, under, taken);
                }
            }
            _ => {}
        }
    }

    fn is_column(&self, name: &str) -> bool {
        self.view.tables().iter().any(|table| table.table.column(name).is_some())
    }
}
