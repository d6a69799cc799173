//! Notes on what a condition or measure leaves out because related rows are archived or not visible to the
//! caller.

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
    /// Whether it would count in a total or measure.
    counts: bool,
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
        let tested = Tested { leaves_out: false, negated: false, counts: false };
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
        let note = match hop.unseen().filter(|_| hop.is_to_one()) {
            Some(unseen) => format!("{rows} whose {relation} is {unseen} {fate}"),
            // Whether that finds more rows or fewer, or makes a number smaller, is the request's own.
            None => format!("archived rows of {relation} are left out"),
        };
        let all = !hop.is_to_one() || hop.table.is_open();
        let them = if all { "them" } else { "those of archived ones" };
        match self.by.filter(|_| own && hop.leaves_out_archived()) {
            Some(Some(archive)) => format!(
                "{note}: \"archived\": \"include\" with {{{archive:?}: null}} in where {would} {them}, too"
            ),
            Some(None) => format!("{note}: \"archived\": \"include\" {would} {them}, too"),
            None => note,
        }
    }
}

impl<'v> Node<'_, 'v> {
    /// Calls `look` for each step of the caller that rows are left out of, but for those that only show or sort; and whether
    /// the rows from which a to-one step starts are found for that.
    ///
    /// That a condition on hidden rows does not find them is no surprise: only archived ones count there.
    fn each_related(self, tested: Tested, look: &mut dyn FnMut(&Hop<'v>, bool)) {
        let leads = |hop: &Hop<'_>, counts: bool| {
            hop.is_to_one() && (hop.leaves_out_archived() || counts && !hop.table.is_open())
        };
        let many = |hop: &Hop<'_>| !hop.is_to_one() && hop.leaves_out_archived();
        let leaves_out = true;
        let tested = match self {
            Node::Condition(_, Predicate::Not(_)) => {
                Tested { leaves_out, negated: !tested.negated, ..tested }
            }
            Node::Condition(_, Predicate::Related { hop, quantifier, filter }) => {
                let found = tested.negated != (*quantifier != Quantifier::Some);
                if many(hop) {
                    look(hop, false);
                } else if leads(hop, found) && !(found && filter.is_empty()) {
                    // Of `{"customer": null}` there is a note of its own.
                    look(hop, found);
                }
                let negated = tested.negated != (*quantifier == Quantifier::None);
                Tested { leaves_out, negated, ..tested }
            }
            Node::Condition(..) => Tested { leaves_out, ..tested },
            Node::Total(total) => {
                if many(&total.hop) {
                    look(&total.hop, false);
                }
                Tested { leaves_out, negated: false, counts: true }
            }
            Node::Measure(..) => Tested { leaves_out, negated: false, counts: true },
            Node::Sort(_) => return,
            Node::Reached(of) => {
                let mut hops =
                    of.hops.iter().filter(|hop| tested.leaves_out && leads(hop, tested.counts));
                hops.next().into_iter().for_each(|hop| look(hop, false));
                return;
            }
            _ => tested,
        };
        self.each_of_caller(&mut |node| node.each_related(tested, look));
    }
}
