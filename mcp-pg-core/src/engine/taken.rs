//! Values that an operation of a transaction takes from rows of earlier ones: what is to be known of those goes along.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Earlier, Reference};
use crate::policy::Marks;

/// Columns of an operation's rows with values of earlier ones, by name.
#[derive(Debug, Default)]
pub(super) struct Taken(BTreeMap<String, Origin>);

/// Whence the values of a column are.
#[derive(Debug, Default)]
struct Origin {
    marks: Marks,
    /// The columns that they come from, at first or on the way.
    columns: BTreeSet<String>,
}

impl Taken {
    /// By the references of an operation, each for a column; of those before it, what they are and take.
    pub(super) fn new(
        references: &[(String, Reference)],
        earlier: &[Earlier<'_>],
        before: &[&Taken],
    ) -> Self {
        let mut taken = Self::default();
        for (column, Reference { operation, column: of, .. }) in references {
            let Some(table) = earlier.get(*operation).map(|earlier| earlier.table) else {
                continue;
            };
            let own = table.table.column(of).map(|(position, _)| table.marks(position));
            let passed_on = before.get(*operation).and_then(|taken| taken.0.get(of));
            let all = own.into_iter().chain(passed_on.map(|origin| origin.marks));
            let origin = taken.0.entry(column.clone()).or_default();
            for marks in all {
                origin.marks.sensitive |= marks.sensitive;
                origin.marks.untrusted |= marks.untrusted;
            }
            origin.columns.insert(of.clone());
            origin.columns.extend(passed_on.into_iter().flat_map(|origin| origin.columns.clone()));
        }
        taken
    }

    /// The columns, each with one that its values come from.
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(column, origin)| {
            origin.columns.iter().map(move |of| (column.as_str(), of.as_str()))
        })
    }

    /// The columns that take sensitive values, each with those that they come from in parentheses.
    pub(super) fn sensitive(&self) -> impl Iterator<Item = String> {
        let sensitive = self.0.iter().filter(|(_, origin)| origin.marks.sensitive);
        sensitive.map(|(column, origin)| {
            let columns: Vec<&str> = origin.columns.iter().map(String::as_str).collect();
            match column.as_str() {
                "" => columns.join(", "),
                column => format!("{column} ({})", columns.join(", ")),
            }
        })
    }

    /// Whether the column takes what outsiders wrote.
    pub(super) fn is_untrusted(&self, column: &str) -> bool {
        self.0.get(column).is_some_and(|origin| origin.marks.untrusted)
    }
}
