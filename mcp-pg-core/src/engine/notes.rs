//! Notes in a reply about rows that are missing or unexpected.

use serde_json::{Map, Value, json};

use crate::plan::{Hop, Include, Measure, Query, RowFilter, SelectPlan, Shown, Start};
use crate::policy::TableView;
use crate::request::{Aggregate, Select};

/// The notes of a page. `first` is the index of the first included relation in a row; `more` tells whether another
/// page follows.
pub(super) fn of_page(
    plan: &SelectPlan<'_>,
    rows: &[Vec<Value>],
    first: usize,
    more: bool,
) -> Vec<String> {
    let (table, filter) = plan.source();
    let further = !matches!(plan.start, Start::Offset(0));
    let asked_for = archived(table, filter);
    let why = match asked_for {
        Some(_) => Vec::new(),
        None => why_nothing(plan, rows, further),
    };
    let parent = unseen_parent(plan, rows, first);
    let nulls = nulls_first(plan, rows, first).filter(|_| !further);
    let remarks = if further { Vec::new() } else { plan.remarks() };
    let notes = asked_for.into_iter().chain(plan.midnight()).chain(why).chain(remarks);
    let mut notes: Vec<String> = notes.chain(parent).chain(nulls).collect();
    if plan.shows_nothing() && !rows.is_empty() {
        notes.push("columns is empty, so the rows show none: leave it out to get all".to_owned());
    }
    let found = Some(filter).filter(|_| !rows.is_empty());
    notes.extend(found.and_then(|filter| filter.wants_none()).map(without));
    notes.extend(unseen_beyond(plan, rows));
    notes.extend(limited(plan).filter(|_| more));
    // Groups have a key: themselves.
    let steady = plan.keyset || plan.single || plan.grouping.is_some() && !plan.moves();
    if (more || further) && !steady {
        notes.push(unsteady(plan));
    }
    notes
}

/// The note on a limit that was lowered.
fn limited(plan: &SelectPlan<'_>) -> Option<String> {
    let (Query::Select(Select { limit, .. }) | Query::Aggregate(Aggregate { limit, .. })) =
        plan.query;
    let most = plan.limit;
    limit
        .filter(|limit| *limit > most)
        .map(|_| format!("a reply has at most {most} rows: the next page begins at next_cursor"))
}

/// The notes on why there is nothing, where the caller's condition may have matched no row.
fn why_nothing(plan: &SelectPlan<'_>, rows: &[Vec<Value>], further: bool) -> Vec<String> {
    let (table, filter) = plan.source();
    let nothing = match &plan.grouping {
        // Without groups there is one row, even if the table is empty.
        Some(grouping) if grouping.groups.is_empty() => {
            rows.iter().flatten().all(|value| value.is_null() || *value == 0)
        }
        _ => rows.is_empty() && !further && plan.limit > 0,
    };
    if !nothing {
        return Vec::new();
    }
    if let Some(doubt) = filter.doubt().or_else(|| plan.without_elements()) {
        return vec![doubt];
    }
    // Rows that matched may have no values to measure, or be in groups that `having` leaves out.
    let matched_none = match &plan.grouping {
        Some(grouping) if grouping.groups.is_empty() => {
            grouping.measures.iter().any(Measure::counts_all)
        }
        Some(_) => !plan.filter.caller.restricts(),
        None => true,
    };
    let archived = matched_none.then(|| beside_the_archive(table, filter)).flatten();
    let notes: Vec<String> =
        archived.into_iter().chain(letters_of_any_case(table, filter)).collect();
    if notes.is_empty() { plan.empty_groups().into_iter().collect() } else { notes }
}

/// The note on a text that may exist in other letter case, unless the text is among those that no row has.
pub(super) fn letters_of_any_case(table: &TableView, filter: &RowFilter<'_>) -> Option<String> {
    filter.letters_of_any_case().filter(|_| filter.unlisted(table).is_empty())
}

/// The note on a condition on the archive column while archived rows are left out.
pub(super) fn archived(table: &TableView, filter: &RowFilter<'_>) -> Option<String> {
    let column = filter.beside_archive(table)?;
    let name = &column.name;
    Some(format!(
        "archived rows are left out, so {name} is null in every row: to see archived rows, give \"archived\": \"only\" or \"include\""
    ))
}

/// The note on archived rows, if the caller's condition matches no other rows.
fn beside_the_archive(table: &TableView, filter: &RowFilter<'_>) -> Option<String> {
    let archive = table.archive.as_ref()?;
    let among = if table.is_open() { "" } else { " among those visible to the caller" };
    (!filter.caller.is_empty() && filter.leaves_out(archive)).then(|| {
        format!(
            "no row matches where{among}; archived rows were left out: \"archived\": \"include\" includes them"
        )
    })
}

/// The note on a related row that is missing, perhaps because it is archived or hidden.
fn unseen_parent(plan: &SelectPlan<'_>, rows: &[Vec<Value>], first: usize) -> Option<String> {
    let absent =
        |index: usize| rows.iter().any(|row| row.get(first + index).is_some_and(Value::is_null));
    let mut includes = plan.includes.iter().enumerate();
    let (include, unseen) = includes.find_map(|(index, include)| {
        let unseen = include.hop.unseen().filter(|_| include.hop.is_to_one())?;
        absent(index).then_some((include, unseen))
    })?;
    let name = include.name;
    let reasons = match include.filter.is_always() {
        true => "there is none",
        false => "there is none, if it does not meet its where",
    };
    let note = format!("{name} is null if {reasons} or if it is {unseen}");
    Some(match include.hop.leaves_out_archived() {
        true => format!(
            "{note}: \"include\": {{\"{name}\": {{\"archived\": \"include\"}}}} shows archived ones, too"
        ),
        false => note,
    })
}

/// The note on a null column of a related row, which may be archived or hidden.
fn unseen_beyond(plan: &SelectPlan<'_>, rows: &[Vec<Value>]) -> Option<String> {
    let reached = |index: usize| {
        let of = match (&plan.grouping, plan.columns.get(index)?) {
            (Some(grouping), _) => {
                let group = grouping.groups.get(index)?;
                Some(&group.of).filter(|_| group.each.is_none())?
            }
            (None, Shown::Related { of, .. }) => return Some(vec![&**of]),
            (None, Shown::Computed(computed)) => &computed.of,
            (None, Shown::Column(_)) => return None,
        };
        of.totals().is_empty().then(|| of.columns())
    };
    let null = |index: usize| rows.iter().any(|row| row.get(index).is_some_and(Value::is_null));
    (0..plan.columns.len()).find_map(|index| {
        let of = reached(index)?;
        let hops = || of.iter().flat_map(|of| &of.hops);
        let mut causes: Vec<String> = Vec::new();
        for hop in hops() {
            let relation = hop.subject.relation_name(hop.relation);
            let cause = hop.unseen().map(|unseen| format!("{relation} is {unseen}"));
            causes.extend(cause.filter(|cause| !causes.contains(cause)));
        }
        (null(index) && !causes.is_empty()).then_some(())?;
        let name = plan.columns[index].name(plan.table);
        let note = format!("{name} is also null if {}", causes.join(", or "));
        Some(match hops().any(Hop::leaves_out_archived) {
            true => format!("{note}: \"archived\": \"include\" includes archived rows"),
            false => note,
        })
    })
}

/// The note on nulls at the beginning of a descending order. `first` is as in [`of_page`].
fn nulls_first(plan: &SelectPlan<'_>, rows: &[Vec<Value>], first: usize) -> Option<String> {
    let (order_by, limit) = match plan.query {
        Query::Select(Select { order_by, limit, .. })
        | Query::Aggregate(Aggregate { order_by, limit, .. }) => (order_by.as_ref()?, limit),
    };
    let sort = plan.order.first().filter(|sort| sort.descending && !sort.nulls_last)?;
    let place = match plan.shows(sort) {
        Some(shown) => shown,
        None if plan.keyset => first + plan.includes.len(),
        None => return None,
    };
    limit.filter(|_| rows.first().and_then(|row| row.get(place)).is_some_and(Value::is_null))?;
    let mut key = match order_by.first()? {
        Value::String(name) => Map::from_iter([("column".into(), name.strip_prefix('-')?.into())]),
        Value::Object(key) if !key.contains_key("nulls") => key.clone(),
        _ => return None,
    };
    key.insert("direction".into(), "desc".into());
    key.insert("nulls".into(), "last".into());
    let key = Value::Object(key);
    Some(format!("rows without a value come first: \"order_by\": [{key}] puts them last"))
}

/// The note on rows without a related row, which may have one that is archived or hidden.
fn without(hop: &Hop<'_>) -> String {
    let name = hop.subject.relation_name(hop.relation);
    let unseen = hop.unseen().unwrap_or("archived");
    let found = format!("{{{name:?}: null}} also finds rows whose {name} is {unseen}");
    let columns = &hop.subject.table.columns;
    let key = hop.relation.columns.iter().map(|(own, _)| columns[*own].name.as_str());
    match key.collect::<Vec<_>>().as_slice() {
        [key] if hop.subject.usable(key).is_ok() => {
            format!("{found}: {{{key:?}: null}} tests the key alone")
        }
        _ if hop.table.is_open() => format!("{found}: with \"archived\": \"include\" it does not"),
        _ => found,
    }
}

/// The note on related rows that a limit cut off: how to read the rest of one row's.
pub(super) fn cut_include(
    plan: &SelectPlan<'_>,
    rows: &[Vec<Value>],
    first: usize,
    cut: &[(usize, usize)],
) -> Option<String> {
    let (row, include) = cut.iter().find_map(|(row, output)| {
        Some((rows.get(*row)?, plan.includes.get(output.checked_sub(first)?)?))
    })?;
    let cut = format!("some rows have more {} than its limit", include.name);
    Some(match further(plan, row, include) {
        Some(call) => format!(
            "{cut}: select {call} reads on for one row, with the other options of the include"
        ),
        None => cut,
    })
}

/// The arguments of a select for the rest of a row's related rows, if its key is shown.
fn further(plan: &SelectPlan<'_>, row: &[Value], include: &Include<'_>) -> Option<Value> {
    let Hop { relation, table, junction: None, .. } = &include.hop else { return None };
    let pairs = relation.columns.iter().map(|(own, theirs)| {
        plan.table.usable(&plan.table.table.columns[*own].name).ok()?;
        let shown = plan.columns.iter().position(|shown| shown.is(*own))?;
        let name = &table.table.columns[*theirs].name;
        table.usable(name).ok()?;
        Some((name.clone(), row.get(shown)?.clone()))
    });
    let condition: Map<String, Value> = pairs.collect::<Option<_>>()?;
    Some(json!({"table": table.name().to_string(), "where": condition, "offset": include.limit}))
}

/// The note on pages of rows without a key, which may overlap.
fn unsteady(plan: &SelectPlan<'_>) -> String {
    let name = plan.table.name();
    if plan.order.is_empty() {
        format!("{name} has no key and the request has no order_by: pages may repeat or skip rows")
    } else if plan.moves() {
        "the order depends on the present: pages are counted by offset, and shift when rows are added, removed or changed".to_owned()
    } else {
        format!(
            "{name} has no key: pages are counted by offset, and shift when rows are added, removed or changed"
        )
    }
}
