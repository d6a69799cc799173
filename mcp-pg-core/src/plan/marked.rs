//! The marked columns in a plan's result.

use super::{Dotted, Expression, Grouping, Include, Plan, Reached, SelectPlan, Shown};
use crate::policy::{Marks, TableView};

/// A value in the reply that comes from marked columns.
struct Marked {
    /// Its name in the reply: `name`, or `relation.name` for related rows.
    name: String,
    /// The marked columns that it is computed from.
    of: Vec<String>,
}

/// The marks to look for.
type Wanted = fn(Marks) -> bool;

impl Plan<'_> {
    /// Names of the values in the reply that come from sensitive columns, with those columns in parentheses if their
    /// names differ.
    pub fn sensitive(&self) -> Vec<String> {
        self.all_marked(|marks| marks.sensitive).into_iter().map(Marked::told).collect()
    }

    /// Names of the values in the reply that outsiders wrote: from untrusted columns, or from those of the plan's
    /// table for which `besides` is true.
    pub fn untrusted(&self, besides: &dyn Fn(&str) -> bool) -> Vec<String> {
        let untrusted = self.all_marked(|marks| marks.untrusted);
        let mut names = untrusted.into_iter().map(|marked| marked.name).collect();
        let columns = &self.table().table.columns;
        let more = self.returning().iter().filter(|one| besides(&columns[one.position].name));
        add(&mut names, more.map(|returned| returned.name.as_str()));
        names
    }

    fn all_marked(&self, wanted: Wanted) -> Vec<Marked> {
        match self {
            Plan::Select(plan) => plan.all_marked(wanted),
            Plan::Insert(_) | Plan::Change(_) => {
                let mut of_related = Vec::new();
                related(self.includes(), "", wanted, &mut of_related);
                let of_related = of_related.into_iter().flat_map(|marked| self.renamed(marked));
                self.returned_marked(wanted).into_iter().chain(of_related).collect()
            }
        }
    }

    /// [`Plan::sensitive`] of the written rows, without related rows.
    pub(crate) fn sensitive_of_rows(&self) -> Vec<String> {
        self.returned_marked(|marks| marks.sensitive).into_iter().map(Marked::told).collect()
    }

    /// A value of a related row under the names that the reply has for it.
    fn renamed(&self, marked: Marked) -> Vec<Marked> {
        let is = |dotted: &&Dotted| {
            marked.name.strip_prefix(&dotted.relation).and_then(|rest| rest.strip_prefix('.'))
                == Some(&dotted.column)
        };
        let names = self.dotted().iter().filter(is).map(|dotted| dotted.name.clone());
        let named = names.map(|name| Marked { name, of: marked.of.clone() });
        let named: Vec<Marked> = named.collect();
        if named.is_empty() { vec![marked] } else { named }
    }

    fn returned_marked(&self, wanted: Wanted) -> Vec<Marked> {
        let table = self.table();
        let marked = self.returning().iter().filter(|one| wanted(table.marks(one.position)));
        let marked = marked.map(|one| {
            let column = table.table.columns[one.position].name.clone();
            Marked { name: one.name.clone(), of: vec![column] }
        });
        marked.collect()
    }
}

impl SelectPlan<'_> {
    /// Names of the values in the reply that come from columns with the `wanted` marks.
    pub fn marked(&self, wanted: Wanted) -> Vec<String> {
        self.all_marked(wanted).into_iter().map(|marked| marked.name).collect()
    }

    /// [`Plan::untrusted`] for a select or aggregate.
    pub fn untrusted(&self, besides: &dyn Fn(&str) -> bool) -> Vec<String> {
        let mut names = self.marked(|marks| marks.untrusted);
        let columns = &self.table.table.columns;
        let more = self.columns.iter().filter(|shown| {
            shown.own_columns().into_iter().any(|column| besides(&columns[column].name))
        });
        add(&mut names, more.map(|shown| shown.name(self.table)));
        names
    }

    /// [`Plan::sensitive`] for a select or aggregate.
    pub fn sensitive(&self) -> Vec<String> {
        self.all_marked(|marks| marks.sensitive).into_iter().map(Marked::told).collect()
    }

    /// The groups and measures that come from marked columns, each with its marks and those columns.
    pub fn totals(&self) -> Vec<(&str, Marks, Vec<String>)> {
        let Some(grouping) = &self.grouping else { return Vec::new() };
        let wanted = |marks: Marks| marks.sensitive || marks.untrusted;
        let columns = self.table.table.columns.iter().enumerate();
        let marked = columns.map(|(position, column)| (column, self.table.marks(position)));
        let marked = marked.filter(|(_, marks)| wanted(*marks));
        let totals = marked.map(|(column, marks)| {
            (column.name.as_str(), marks, made_from(grouping, &column.name, wanted))
        });
        totals.collect()
    }

    fn all_marked(&self, wanted: Wanted) -> Vec<Marked> {
        let mut all = Vec::new();
        shown(self.table, &self.columns, "", wanted, &mut all);
        if let Some(grouping) = &self.grouping {
            for marked in &mut all {
                marked.of = made_from(grouping, &marked.name, wanted);
            }
        }
        related(&self.includes, "", wanted, &mut all);
        all
    }
}

impl Marked {
    fn told(self) -> String {
        match self.of.as_slice() {
            [] => self.name,
            [column] if self.name == *column => self.name,
            columns => format!("{} ({})", self.name, columns.join(", ")),
        }
    }
}

/// Adds the names that are not in the list yet.
fn add<'n>(names: &mut Vec<String>, more: impl Iterator<Item = &'n str>) {
    for name in more {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
}

/// [`SelectPlan::marked`] for related rows only.
pub fn marked(includes: &[Include<'_>], wanted: Wanted) -> Vec<String> {
    let mut all = Vec::new();
    related(includes, "", wanted, &mut all);
    all.into_iter().map(|marked| marked.name).collect()
}

fn shown(
    table: &TableView,
    shown: &[Shown<'_>],
    prefix: &str,
    wanted: Wanted,
    all: &mut Vec<Marked>,
) {
    let marked = shown.iter().filter(|shown| wanted(shown.marks(table)));
    all.extend(marked.map(|shown| {
        let of = match shown {
            Shown::Column(position) => vec![table.table.columns[*position].name.clone()],
            Shown::Computed(computed) => columns(&computed.of, table, wanted),
            Shown::Related { of, .. } => vec![of.path(table)],
        };
        let of = of.into_iter().map(|column| format!("{prefix}{column}")).collect();
        Marked { name: format!("{prefix}{}", shown.name(table)), of }
    }));
}

/// The columns in an expression with the wanted marks: `column`, or `relation.column`.
fn columns(of: &Expression<'_>, table: &TableView, wanted: Wanted) -> Vec<String> {
    let marked = |reached: &&Reached<'_>| wanted(reached.owner(table).marks(reached.position));
    let mut names: Vec<String> =
        of.columns().into_iter().filter(marked).map(|reached| reached.path(table)).collect();
    names.dedup();
    names
}

/// The marked columns that a group or measure is computed from.
fn made_from(grouping: &Grouping<'_>, name: &str, wanted: Wanted) -> Vec<String> {
    let of = |name: &str| {
        let of = grouping.made_from(name);
        of.map_or_else(Vec::new, |of| columns(of, grouping.table, wanted))
    };
    let computed = grouping.computed.iter().find(|computed| computed.name == name);
    let Some(computed) = computed else { return of(name) };
    let parts = computed.of.columns();
    let mut names: Vec<String> = parts.into_iter().flat_map(|part| of(&part.column.name)).collect();
    names.dedup();
    names
}

fn related(includes: &[Include<'_>], prefix: &str, wanted: Wanted, all: &mut Vec<Marked>) {
    for include in includes.iter().filter(|include| !include.counted) {
        let prefix = format!("{prefix}{}.", include.name);
        shown(include.hop.table, &include.columns, &prefix, wanted, all);
        related(&include.includes, &prefix, wanted, all);
    }
}
