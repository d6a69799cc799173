//! Which marked columns a plan gives values of.

use super::{ChangePlan, Include, InsertPlan, Plan, SelectPlan, Shown};
use crate::policy::{Marks, TableView};

impl Plan<'_> {
    /// Names of the columns whose values the reply shows and whose marks are `wanted`: `column`, or
    /// `relation.column` for related rows.
    pub fn marked(&self, wanted: fn(Marks) -> bool) -> Vec<String> {
        match self {
            Plan::Select(plan) => plan.marked(wanted),
            Plan::Insert(InsertPlan { table, returning, includes, .. })
            | Plan::Change(ChangePlan { table, returning, includes, .. }) => {
                let mut names = Vec::new();
                let returned = returning.iter().filter(|one| wanted(table.marks(one.position)));
                names.extend(returned.map(|returned| returned.name.clone()));
                related(includes, "", wanted, &mut names);
                names
            }
        }
    }
}

impl SelectPlan<'_> {
    /// [`Plan::marked`] for a select or aggregate.
    pub fn marked(&self, wanted: fn(Marks) -> bool) -> Vec<String> {
        let mut names = Vec::new();
        shown(self.table, &self.columns, "", wanted, &mut names);
        related(&self.includes, "", wanted, &mut names);
        names
    }
}

/// [`Plan::marked`] for related rows alone.
pub fn marked(includes: &[Include<'_>], wanted: fn(Marks) -> bool) -> Vec<String> {
    let mut names = Vec::new();
    related(includes, "", wanted, &mut names);
    names
}

fn shown(
    table: &TableView,
    shown: &[Shown<'_>],
    prefix: &str,
    wanted: fn(Marks) -> bool,
    names: &mut Vec<String>,
) {
    let marked = shown.iter().filter(|shown| wanted(shown.marks(table)));
    names.extend(marked.map(|shown| format!("{prefix}{}", shown.name(table))));
}

fn related(
    includes: &[Include<'_>],
    prefix: &str,
    wanted: fn(Marks) -> bool,
    names: &mut Vec<String>,
) {
    for include in includes.iter().filter(|include| !include.counted) {
        let prefix = format!("{prefix}{}.", include.name);
        shown(include.hop.table, &include.columns, &prefix, wanted, names);
        related(&include.includes, &prefix, wanted, names);
    }
}
