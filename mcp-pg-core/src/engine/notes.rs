//! What a reply says besides its rows: why there may be others.

use serde_json::Value;

use crate::plan::{Include, Predicate, SelectPlan, Sort, Start};
use crate::policy::TableView;

/// The notes of a page of a read, of which `first` is the place of the first include in a row; `more`: there is a page
/// after it.
pub(super) fn of_page(
    plan: &SelectPlan<'_>,
    rows: &[Vec<Value>],
    first: usize,
    more: bool,
) -> Vec<String> {
    let (table, filter) = match &plan.grouping {
        Some(grouping) => (grouping.table, &grouping.filter),
        None => (plan.table, &plan.filter),
    };
    let further = !matches!(plan.start, Start::Offset(0));
    let nothing = match &plan.grouping {
        // Without groups there is one row, also over no rows.
        Some(grouping) if grouping.groups.is_empty() => {
            rows.iter().flatten().all(|value| value.is_null() || *value == 0)
        }
        _ => rows.is_empty() && !further && plan.limit > 0,
    };
    let asked_for = archived(table, filter);
    let elsewhere = || match asked_for {
        Some(_) => None,
        None => filter
            .doubt()
            .or_else(|| beside_the_archive(table, filter))
            .or_else(|| filter.letters_of_any_case()),
    };
    let why = nothing.then(elsewhere).flatten();
    let mut notes: Vec<String> =
        asked_for.into_iter().chain(why).chain(archived_parent(plan, rows, first)).collect();
    if plan.shows_nothing() && !rows.is_empty() {
        notes.push("columns is empty, so that the rows show none: leave it out for all".to_owned());
    }
    if (more || further) && !plan.keyset && !plan.single && plan.grouping.is_none() {
        notes.push(unsteady(plan));
    }
    notes
}

/// What to say where a condition asks for archived rows, and they are left out.
pub(super) fn archived(table: &TableView, filter: &Predicate<'_>) -> Option<String> {
    let column = filter.beside_archive(table)?;
    let name = &column.name;
    Some(format!(
        "archived rows are left out, so no row has a value of {name}: for those that have, give \"archived\": \"only\" or \"include\""
    ))
}

/// What to say of rows that were not looked at, where the caller's condition found nothing.
fn beside_the_archive(table: &TableView, filter: &Predicate<'_>) -> Option<String> {
    let archive = table.archive.as_ref()?;
    (filter.is_asked() && filter.leaves_out(archive)).then(|| {
        "no row meets where, archived ones left out: with \"archived\": \"include\" they are looked at, too"
            .to_owned()
    })
}

/// What to say of a related row that is not there: it may be archived.
fn archived_parent(plan: &SelectPlan<'_>, rows: &[Vec<Value>], first: usize) -> Option<String> {
    let absent =
        |index: usize| rows.iter().any(|row| row.get(first + index).is_some_and(Value::is_null));
    let left_out = |Include { hop, .. }: &Include<'_>| {
        let archive = hop.table.archive.as_ref();
        hop.is_to_one() && archive.is_some_and(|archive| hop.visible.leaves_out(archive))
    };
    let mut includes = plan.includes.iter().enumerate();
    let (_, include) = includes.find(|(index, include)| left_out(include) && absent(*index))?;
    let name = include.name;
    Some(format!(
        "{name} is null where there is none, or an archived one: \"include\": {{\"{name}\": {{\"archived\": \"include\"}}}} shows those, too"
    ))
}

/// What to say of pages that no key holds together.
fn unsteady(plan: &SelectPlan<'_>) -> String {
    let name = plan.table.name();
    if plan.order.is_empty() {
        format!(
            "{name} has no key and the request no order_by: pages may repeat rows and leave some out"
        )
    } else if plan.order.iter().any(Sort::moves) {
        "the order is by the present: pages are told by their offset, and shift when rows come, go or change".to_owned()
    } else {
        format!(
            "{name} has no key: pages are told by their offset, and shift when rows come, go or change"
        )
    }
}
