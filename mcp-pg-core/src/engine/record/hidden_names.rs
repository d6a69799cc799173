//! Names whose values must not be in the audit log.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::Value;

use crate::policy::{AuditValues, TableView, View};
use crate::schema::Relation;

/// Words that a text may contain besides names of columns, without containing a value.
const DIRECTIONS: [&str; 5] = ["asc", "desc", "nulls", "first", "last"];

/// Longer texts are not taken for lists of names.
const NAMES_MOST: usize = 500;

/// The names of columns whose values are not recorded, and of arguments that stand for such columns.
pub(super) struct Hidden {
    values: AuditValues,
    view: Option<Arc<View>>,
    /// Arguments and result columns of a call, in lower case, with the columns that they stand for.
    meant: HashMap<String, HashSet<String>>,
    /// The number of names that were looked up.
    #[cfg(test)]
    pub(super) asked: std::sync::atomic::AtomicUsize,
}

impl Hidden {
    /// The names for a role's view. Without a view, all columns are hidden.
    pub(super) fn new(values: AuditValues, view: Option<Arc<View>>) -> Self {
        Self {
            values,
            view,
            meant: HashMap::new(),
            #[cfg(test)]
            asked: Default::default(),
        }
    }

    /// Notes that values under the first name of each pair belong to the column with the second.
    pub(super) fn mean<'n>(&mut self, names: impl Iterator<Item = (&'n str, &'n str)>) {
        for (given, column) in names {
            self.meant.entry(given.to_lowercase()).or_default().insert(column.to_lowercase());
        }
    }

    /// Whether there are any.
    pub(super) fn any(&self) -> bool {
        self.names().any(|names| !names.is_empty())
    }

    /// Whether values under this name are masked, sensitive or encrypted in any table. The name may also be written
    /// with a relation, in another case, with an operator (`pay__gt`), or as a field (`$pay`).
    pub(super) fn has(&self, name: &str) -> bool {
        if !self.any() {
            return false;
        }
        #[cfg(test)]
        self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = name.to_lowercase();
        let meant = self.meant.get(&name).into_iter().flatten().map(String::as_str);
        let mut names = [name.as_str()].into_iter().chain(meant).flat_map(|name| {
            let last = name.rsplit('.').next().unwrap_or_default().trim_start_matches('$');
            [name, last].into_iter().chain(last.split("__"))
        });
        names.any(|name| self.names().any(|hidden| hidden.contains(name)))
    }

    /// Whether the value is such a name.
    pub(super) fn is_name(&self, value: &Value) -> bool {
        value.as_str().is_some_and(|name| self.has(name))
    }

    /// Whether it is the name of any column.
    pub(super) fn is_column(&self, name: &str) -> bool {
        let last = name.rsplit('.').next().unwrap_or_default();
        self.view.as_ref().is_some_and(|view| view.has_column(last))
    }

    /// The table that a call names.
    pub(super) fn table(&self, name: &str) -> Option<&TableView> {
        self.view.as_ref()?.table(name).ok()
    }

    /// The table to which relations lead, named by a path such as `order.customer`.
    pub(super) fn led_to<'h>(&'h self, table: &'h TableView, path: &str) -> Option<&'h TableView> {
        path.split('.').try_fold(table, |table, name| {
            let is_called = |relation: &&Relation| relation.names().any(|known| known == name);
            let relation = table.relations.iter().find(is_called)?;
            self.view.as_ref()?.at(relation.table)
        })
    }

    /// Whether it is the name of a column of the table, or of one to which relations lead from it.
    pub(super) fn is_column_of(&self, table: &TableView, name: &str) -> bool {
        table.table.column(name).is_some()
            || name.rsplit_once('.').is_some_and(|(path, column)| {
                let related = self.led_to(table, path);
                related.is_some_and(|related| related.table.column(column).is_some())
            })
    }

    /// Whether it is the name of a relation.
    pub(super) fn is_relation(&self, name: &str) -> bool {
        self.view.as_ref().is_some_and(|view| view.has_relation(name))
    }

    /// Whether a text such as `email = 'x'` mentions such a column, and so may contain a value of it.
    pub(super) fn is_told_by(&self, text: &str) -> bool {
        // `relation.column` is one word.
        let is_part = |letter: char| letter.is_alphanumeric() || matches!(letter, '_' | '.');
        if text.chars().all(is_part) {
            return false;
        }
        let words = || text.split(|letter| !is_part(letter)).filter(|word| !word.is_empty());
        let speaks = |word: &str| word.split('.').any(|part| self.has(part));
        let is_name = |word: &str| {
            let direction = DIRECTIONS.contains(&word.to_lowercase().as_str());
            direction || self.has(word) || self.is_column(word)
        };
        // Names with other characters than those of words.
        let spelled = |names: &HashSet<String>| {
            let mut odd = names.iter().filter(|name| !name.chars().all(is_part)).peekable();
            let text = odd.peek().map(|_| text.to_lowercase());
            text.is_some_and(|text| odd.any(|name| text != *name && text.contains(name.as_str())))
        };
        self.names().any(spelled)
            || words().any(speaks) && (text.len() > NAMES_MOST || !words().all(is_name))
    }

    /// The names of columns whose values are not recorded, in lower case.
    fn names(&self) -> impl Iterator<Item = &HashSet<String>> {
        let full = self.values == AuditValues::Full;
        self.view.iter().flat_map(move |view| {
            // Masked and encrypted values are not recorded in any case.
            let sensitive = [view.sensitive_names()].into_iter().filter(move |_| !full);
            [view.masked_names(), view.encrypted_names()].into_iter().chain(sensitive)
        })
    }
}
