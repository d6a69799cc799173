//! Notes on what a condition or measure leaves out because related rows are archived.

use crate::plan::{Hop, Node, Predicate, Quantifier, RowFilter};
use crate::policy::TableView;

/// How a request would include the archived rows that others refer to.
pub(super) struct Included<'t> {
    table: &'t TableView,
    /// Whether the request can say it, and the column that tells which rows are archived, if that would include the table's own
    /// archived rows, too.
    by: Option<Option<&'t str>>,
}

/// What becomes of a row whose related row is not there.
#[derive(Clone, Copy)]
struct Tested {
    /// Whether a value that is null leaves it out, instead of being shown.
    leaves_out: bool,
    /// Whether it meets a condition because it does not meet what is negated.
    negated: bool,
}

impl<'t> Included<'t> {
    /// In a request for these rows of the table.
    pub(super) fn of(table: &'t TableView, filter: &RowFilter<'_>) -> Self {
        let archive = table.archive.as_ref().filter(|archive| filter.leaves_out(archive));
        let archive = archive.filter(|archive| table.usable(&archive.name).is_ok());
        Self { table, by: Some(archive.map(|archive| archive.name.as_str())) }
    }

    /// In a request that has no such argument.
    pub(super) fn never(table: &'t TableView) -> Self {
        Self { table, by: None }
    }

    /// Adds the notes on the caller's conditions and measures.
    pub(super) fn without_archived(&self, plan: Node<'_, '_>, notes: &mut Vec<String>) {
        let tested = Tested { leaves_out: false, negated: false };
        plan.each_related(tested, &mut |hop, found| {
            let note = self.note(hop, found);
            if !notes.contains(&note) {
                notes.push(note);
            }
        });
    }

    fn note(&self, hop: &Hop<'_>, found: bool) -> String {
        let relation = hop.subject.relation_name(hop.relation);
        let own = hop.subject.name() == self.table.name();
        let rows = if own { "rows".to_owned() } else { format!("rows of {}", hop.subject.name()) };
        let (fate, would) = match found {
            true => ("meet what is negated", "tests"),
            false => ("are left out", "includes"),
        };
        // Below another relation, the condition on the archive would be that of the rows there.
        let note = match hop.is_to_one() {
            true => format!("{rows} whose {relation} is archived {fate}"),
            // Whether that finds more rows or fewer, or makes a number smaller, is the request's own.
            false => format!("archived rows of {relation} are left out"),
        };
        match self.by.filter(|_| own) {
            Some(Some(archive)) => format!(
                "{note}: \"archived\": \"include\" with {{{archive:?}: null}} in where {would} them, too"
            ),
            Some(None) => format!("{note}: \"archived\": \"include\" {would} them, too"),
            None => note,
        }
    }
}

impl<'v> Node<'_, 'v> {
    /// Calls `look` for each step of the caller that archived rows are left out of, but for those that only show or sort; and
    /// whether the rows from which a to-one step starts are found for that.
    fn each_related(self, tested: Tested, look: &mut dyn FnMut(&Hop<'v>, bool)) {
        let leads = |hop: &Hop<'_>| hop.is_to_one() && hop.leaves_out_archived();
        let many = |hop: &Hop<'_>| !hop.is_to_one() && hop.leaves_out_archived();
        let leaves_out = true;
        let tested = match self {
            Node::Condition(_, Predicate::Not(_)) => {
                Tested { leaves_out, negated: !tested.negated }
            }
            Node::Condition(_, Predicate::Related { hop, quantifier, filter }) => {
                let found = tested.negated != (*quantifier != Quantifier::Some);
                if many(hop) {
                    look(hop, false);
                } else if leads(hop) && !(found && filter.is_empty()) {
                    // Of `{"customer": null}` there is a note of its own.
                    look(hop, found);
                }
                Tested { leaves_out, negated: tested.negated != (*quantifier == Quantifier::None) }
            }
            Node::Condition(..) => Tested { leaves_out, ..tested },
            Node::Total(total) => {
                if many(&total.hop) {
                    look(&total.hop, false);
                }
                Tested { leaves_out, negated: false }
            }
            Node::Measure(..) => Tested { leaves_out, negated: false },
            Node::Sort(_) => return,
            Node::Reached(of) => {
                let mut hops = of.hops.iter().filter(|hop| tested.leaves_out && leads(hop));
                hops.next().into_iter().for_each(|hop| look(hop, false));
                return;
            }
            _ => tested,
        };
        self.each_of_caller(&mut |node| node.each_related(tested, look));
    }
}
