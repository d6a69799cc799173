//! Hints about missing indexes.

use super::explain::MANY;
use super::indexable::{Sought, Tested};
use crate::name::quoted;
use crate::plan::Node;
use crate::policy::{TableView, View};
use crate::schema::{Column, Index, TableKind, oid};

/// Hints about compared columns without an index, in large tables that are read as a whole.
///
/// `read_whole` are the tables that are read as a whole, each with a flag for partitions: PostgreSQL may have skipped
/// others.
pub(super) fn hints(
    view: &View,
    tested: Vec<Tested<'_>>,
    read_whole: &[(&TableView, bool)],
) -> Vec<String> {
    let mut hints = Vec::new();
    let tested: Vec<Tested<'_>> = tested.into_iter().filter(|one| is_told(view, one)).collect();
    let together = |one: &Tested<'_>, next: &Tested<'_>| {
        one.relation.is_some() && one.relation == next.relation
    };
    for columns in tested.chunk_by(together) {
        let [Tested { table, .. }, ..] = columns else { continue };
        let whole = read_whole.iter().find(|(whole, _)| whole.name().name == table.name().name);
        let Some((_, part)) = whole.filter(|_| is_large(table)) else { continue };
        let read = if *part { "whole partitions" } else { "the whole table" };
        for (lack, remedy) in lacks(columns, &view.display(table)) {
            let hint = format!("{lack}: the filter reads {read}{remedy}");
            if !hints.contains(&hint) {
                hints.push(hint);
            }
        }
    }
    hints
}

/// Adds the keys that are missing where a relation leads to one of several rows.
pub(super) fn unkeyed(view: &View, node: Node<'_, '_>, hints: &mut Vec<String>) {
    if let Node::Hop(hop) = node
        && hop.has_firsts()
    {
        let columns = &hop.table.table.columns;
        let keys = hop.relation.columns.iter().filter_map(|(_, theirs)| columns.get(*theirs));
        let keys: Vec<String> = keys.map(|column| identifier(&column.name)).collect();
        let hint = format!(
            "no unique index on {} ({}): the whole table is read to find the one related row",
            view.display(hop.table),
            keys.join(", ")
        );
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    node.each_of_caller(&mut |node| unkeyed(view, node, hints));
}

/// The indexes that are missing in large tables to find related rows.
pub(super) fn unindexed(view: &View, tested: &[Tested<'_>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let relations = tested.chunk_by(|one, next| one.relation == next.relation);
    for columns in relations.filter(|columns| columns.iter().all(|one| one.relation.is_some())) {
        let [first, ..] = columns else { continue };
        let told = is_large(first.table) && columns.iter().all(|one| is_told(view, one));
        let name = view.display(first.table);
        // An index on one of several columns will do.
        if told && columns.iter().all(|one| lack(one, &name).is_some()) {
            let lack = lacks(columns, &name).into_iter().map(|(lack, _)| lack).next();
            all.extend(lack.filter(|lack| !all.contains(lack)));
        }
    }
    all
}

/// What is missing for columns of the table called `name` that are compared together.
fn lacks(columns: &[Tested<'_>], name: &str) -> Vec<(String, String)> {
    let bare = |one: &Tested<'_>| leading(one.table, one.column).next().is_none();
    if columns.len() > 1 && columns.iter().all(bare) {
        let names: Vec<&str> = columns.iter().map(|one| one.column.name.as_str()).collect();
        return vec![(format!("no index on {name}.({})", names.join(", ")), String::new())];
    }
    columns.iter().filter_map(|one| lack(one, name)).collect()
}

/// Whether the caller may know of the column: those that the operator's own conditions compare may be hidden.
fn is_told(view: &View, tested: &Tested<'_>) -> bool {
    let known = view.named(tested.table.name());
    known.is_some_and(|known| known.readable(&tested.column.name).is_ok())
}

/// Whether reading the whole table takes long. A view has no indexes of its own.
fn is_large(table: &TableView) -> bool {
    let own = !matches!(table.table.kind, TableKind::View | TableKind::ForeignTable);
    own && table.table.estimated_rows.is_none_or(|rows| rows as f64 >= MANY)
}

/// Why no index of the table called `name` can be used, and which could; `None` if there is one.
fn lack(tested: &Tested<'_>, name: &str) -> Option<(String, String)> {
    let (table, column) = (tested.table, tested.column);
    if let Sought::Member { keys, text } = &tested.sought
        && !keys.is_empty()
    {
        return member(table, column, name, keys, *text);
    }
    let column_name = &column.name;
    let lack = match leading(table, column).next() {
        None => format!("no index on {name}.{column_name}"),
        Some(partial) if leading(table, column).all(|index| index.predicate.is_some()) => {
            format!("no index on all of {name}.{column_name}, {} has some rows alone", partial.name)
        }
        Some(ordered) if tested.sought == Sought::Beginning && is_ordered_by_bytes(column) => {
            let serves = |index: &Index| index.by_bytes || index.method != "btree";
            if leading(table, column).any(serves) {
                return None;
            }
            let column = identifier(column_name);
            return Some((
                format!("{} does not serve prefixes of {name}.{column_name}", ordered.name),
                format!("; an index on ({column} text_pattern_ops) would avoid that"),
            ));
        }
        Some(_) => return None,
    };
    Some((lack, String::new()))
}

/// The same for a member of JSON, whose text is compared or not.
fn member(
    table: &TableView,
    column: &Column,
    name: &str,
    keys: &[String],
    text: Option<bool>,
) -> Option<(String, String)> {
    let whole = identifier(&column.name);
    let remedy = match (text, keys) {
        (Some(true), _) if table.table.indexed_text(column, keys).is_some() => return None,
        (Some(true), [key]) => {
            let key = key.replace('\'', "''");
            format!("; an index on (({whole} ->> '{key}')) would avoid that")
        }
        (Some(true), keys) => {
            let path = keys.join(",").replace('\'', "''");
            format!("; an index on (({whole} #>> '{{{path}}}')) would avoid that")
        }
        // `json` has no operators.
        (Some(false), _) if column.data_type.is_jsonb() => {
            format!("; contains finds it by a GIN index on ({whole} jsonb_path_ops)")
        }
        (Some(false) | None, _) => String::new(),
    };
    let path = keys.join(".");
    Some((format!("no index on {path} within {name}.{}", column.name), remedy))
}

/// Whether the column's type has the operator class `text_pattern_ops`.
fn is_ordered_by_bytes(column: &Column) -> bool {
    matches!(column.data_type.base().oid, oid::TEXT | oid::VARCHAR)
}

/// The name as an SQL identifier.
fn identifier(name: &str) -> String {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match name.chars().all(plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// The visible indexes whose first column is this one.
fn leading<'t>(table: &'t TableView, column: &'t Column) -> impl Iterator<Item = &'t Index> {
    let indexes = table.table.indexes.iter();
    indexes.filter(|index| index.parts.first() == Some(&column.name))
}
