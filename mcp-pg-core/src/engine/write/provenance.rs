//! The columns from which an operation takes values, by arithmetic or from rows of earlier operations of its
//! transaction. Their marks apply to the result, too.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Earlier, Plan, Reference};
use crate::policy::{Marks, TableView};

/// The columns that take values from others, by name.
#[derive(Debug, Default)]
pub(in crate::engine) struct Provenance(BTreeMap<String, Origin>);

/// The source of a column's values.
#[derive(Debug, Default)]
struct Origin {
    marks: Marks,
    /// The columns that the values come from, directly and indirectly.
    columns: BTreeSet<String>,
}

impl Provenance {
    /// What an operation on the table computes from marked columns: for columns without these marks, or for groups
    /// and measures.
    pub(in crate::engine) fn computed(plan: &Plan<'_>, table: &TableView) -> Self {
        let mut taken = Self::default();
        if let Plan::Select(plan) = plan {
            for (name, marks, columns) in plan.totals() {
                taken.origin(name).add(marks, columns);
            }
        }
        for (column, expression) in plan.computed() {
            let own = table.table.column(&column.name).map(|(position, _)| table.marks(position));
            let own = own.unwrap_or_default();
            for reached in expression.columns() {
                let marks = reached.owner(table).marks(reached.position);
                if marks.sensitive && !own.sensitive || marks.untrusted && !own.untrusted {
                    taken.origin(&column.name).add(marks, [reached.path(table)]);
                }
            }
        }
        taken
    }

    /// Adds the references of an operation to earlier ones, including what these take from others.
    pub(in crate::engine) fn refer(
        &mut self,
        references: &[(String, Reference)],
        earlier: &[Earlier<'_>],
        before: &[&Provenance],
    ) {
        for (column, Reference { operation, column: of, .. }) in references {
            let Some(table) = earlier.get(*operation).map(Earlier::rows) else {
                continue;
            };
            let own = table.table.column(of).map(|(position, _)| table.marks(position));
            let origin = self.origin(column);
            origin.add(own.unwrap_or_default(), [of.clone()]);
            if let Some(passed_on) = before.get(*operation).and_then(|taken| taken.0.get(of)) {
                origin.add(passed_on.marks, passed_on.columns.iter().cloned());
            }
        }
    }

    fn origin(&mut self, column: &str) -> &mut Origin {
        self.0.entry(column.to_owned()).or_default()
    }

    /// The columns, each with a column that its values come from.
    pub(in crate::engine) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(column, origin)| {
            origin.columns.iter().map(move |of| (column.as_str(), of.as_str()))
        })
    }

    /// The columns that take sensitive values, each with their sources in parentheses.
    pub(in crate::engine) fn sensitive(&self) -> impl Iterator<Item = String> {
        let sensitive = self.0.iter().filter(|(_, origin)| origin.marks.sensitive);
        sensitive.map(|(column, origin)| {
            let columns: Vec<&str> = origin.columns.iter().map(String::as_str).collect();
            match column.as_str() {
                "" => columns.join(", "),
                column => format!("{column} ({})", columns.join(", ")),
            }
        })
    }

    /// Whether any column takes values that outsiders wrote.
    pub(in crate::engine) fn holds_untrusted(&self) -> bool {
        self.0.values().any(|origin| origin.marks.untrusted)
    }

    /// Whether this column takes such values.
    pub(in crate::engine) fn is_untrusted(&self, column: &str) -> bool {
        self.0.get(column).is_some_and(|origin| origin.marks.untrusted)
    }
}

impl Origin {
    fn add(&mut self, marks: Marks, columns: impl IntoIterator<Item = String>) {
        self.marks = self.marks.union(marks);
        self.columns.extend(columns);
    }
}
