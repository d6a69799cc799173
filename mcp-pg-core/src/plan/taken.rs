//! What an operation takes from other columns: of the rows themselves, of related ones, of those that earlier operations of
//! its transaction gave.

use serde_json::{Map, Value};

use super::{ChangePlan, Effect, Expression, Overwrite, Plan, Reference, Scope};
use crate::policy::TableView;
use crate::schema::Column;

impl<'v> Plan<'v> {
    /// The columns that get what is computed from rows, each with that.
    pub fn computed(&self) -> Vec<(&'v Column, &Expression<'v>)> {
        let overwritten = match self {
            Plan::Select(_) => None,
            Plan::Insert(plan) => plan.arbiter.as_ref().map(|arbiter| &arbiter.set),
            Plan::Change(plan) => return plan.computed(),
        };
        let overwritten = overwritten.into_iter().flatten();
        let computed = overwritten.filter_map(|(column, overwrite)| match overwrite {
            Overwrite::Assign(assign) => Some((*column, assign.computed()?)),
            Overwrite::Given => None,
        });
        computed.collect()
    }
}

impl<'v> ChangePlan<'v> {
    /// [`Plan::computed`] for existing rows.
    pub fn computed(&self) -> Vec<(&'v Column, &Expression<'v>)> {
        let set = match &self.effect {
            Effect::Set(set) => set.iter().collect(),
            Effect::SetEach(each) => each.rows().flat_map(|row| &row.set).collect(),
            Effect::Remove => Vec::new(),
        };
        let computed = set.into_iter();
        computed.filter_map(|(column, assign)| Some((*column, assign.computed()?))).collect()
    }

    /// Positions of the columns that get something computed from related rows, which is another only if those are.
    pub fn reaching(&self) -> Vec<usize> {
        let reaches = |expression: &Expression<'_>| {
            !expression.moves() && expression.columns().iter().any(|of| !of.hops.is_empty())
        };
        let computed = self.computed().into_iter().filter(|(_, computed)| reaches(computed));
        computed.filter_map(|(column, _)| Some(self.table.table.column(&column.name)?.0)).collect()
    }
}

impl Scope<'_> {
    /// All references in the arguments of an operation on the table, each with the name of the column that gets its value or
    /// is compared with it; empty where none is told.
    pub fn taken_from_earlier(
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

    /// Those in an object that stands under these names.
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
            // JSON sent as a string.
            Value::String(text) if text.contains("$ref") => {
                if let Ok(inner @ (Value::Object(_) | Value::Array(_))) = serde_json::from_str(text)
                {
                    self.take_from(table, &inner, under, taken);
                }
            }
            _ => {}
        }
    }

    /// The column that a value under these names belongs to. What stands within a column's value is no column, whatever it
    /// is called; where none is the table's own, they lead to a related one.
    fn taking<'n>(&self, table: &TableView, under: &'n [String]) -> &'n str {
        let names = || under.iter().filter_map(|name| name.rsplit('.').next());
        let own = names().find(|name| table.table.column(name).is_some());
        own.or_else(|| names().rev().find(|name| self.view.has_column(name))).unwrap_or_default()
    }
}
