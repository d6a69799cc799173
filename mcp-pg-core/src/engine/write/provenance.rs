//! Where an operation's values come from, if it takes them from other columns, by arithmetic or from rows of earlier operations
//! of its transaction: the marks of those columns go along.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Earlier, Plan, Reference};
use crate::policy::{Marks, TableView};

/// Columns of an operation's rows with values of others, by name.
#[derive(Debug, Default)]
pub(in crate::engine) struct Provenance(BTreeMap<String, Origin>);

/// Where the values of a column come from.
#[derive(Debug, Default)]
struct Origin {
    marks: Marks,
    /// The columns that they come from, at first or on the way.
    columns: BTreeSet<String>,
}

impl Provenance {
    /// What an operation on the table computes for columns from marked ones, and does not mark itself; or gives of such
    /// as groups and measures.
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

    /// Adds what it takes by references, each for a column, from operations before it; of those, what they take.
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

    /// The columns, each with one that its values come from.
    pub(in crate::engine) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(column, origin)| {
            origin.columns.iter().map(move |of| (column.as_str(), of.as_str()))
        })
    }

    /// The columns that take sensitive values, each with those that they come from in parentheses.
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

    /// Whether a column takes what outsiders wrote.
    pub(in crate::engine) fn holds_untrusted(&self) -> bool {
        self.0.values().any(|origin| origin.marks.untrusted)
    }

    /// Whether this column does.
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
