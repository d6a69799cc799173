//! Advice for names in conditions that are neither columns nor relations.

use super::related::related;
use super::{in_json, is_arithmetic, own};
use crate::error::Error;
use crate::plan::grammar::{COMPUTE, COMPUTE_FORM};
use crate::plan::{Arithmetic, Hop, Scope, Total};
use crate::policy::{TableView, shown};

impl<'v> Scope<'v> {
    /// The error for a name in a condition that is neither a column nor a relation.
    pub(in crate::plan) fn unknown_condition(&self, table: &'v TableView, name: &str) -> Error {
        if table.is_write_only(name) {
            return table.unreadable(name);
        }
        let relations = table.relations.iter().map(|relation| table.relation_name(relation));
        let known: Vec<&str> = table.names_of(|_| true).chain(relations).collect();
        let error = table
            .unknown_column(name, |column| column.can_select)
            .nearest(name, known.iter().copied())
            .allowed(known.iter().copied());
        if let Some(nested) = self.nested(table, name) {
            return error.hint(format!("conditions on related rows nest: {nested}"));
        }
        if let Some((column, keys)) = in_json(table, name) {
            return error.hint(format!("{{{column:?}: {{\"path\": [{keys}], \"eq\": …}}}}"));
        }
        if let Some(hop) = self.beyond(table, name) {
            return error.hint(related(table, &hop, &format!("{{{name:?}: …}}")));
        }
        if table.is_derived()
            && let Some(column) = table.names_of(|_| true).last()
        {
            return error.hint(format!(
                "having uses the names of measures and groups: {{{column:?}: {{\"gt\": 5}}}}"
            ));
        }
        if let Some((column, operator)) = suffixed(table, name) {
            return error.hint(format!("{{{column:?}: {{{operator:?}: …}}}}"));
        }
        if let Some(column) = own(table, name) {
            return error.did_you_mean(column);
        }
        foreign_word(name, error)
    }

    /// `relation.column` as a nested condition, if the name is of that form.
    fn nested(&self, mut table: &'v TableView, mut name: &str) -> Option<String> {
        let mut hops: Vec<Hop<'v>> = Vec::new();
        while let Some((relation, rest)) = name.split_once('.') {
            if hops.len() == self.view.limits.max_depth {
                return None;
            }
            let hop = self.hop(table, self.relation(table, relation).ok()?).ok()?;
            (table, name) = (hop.table, rest);
            hops.push(hop);
        }
        let column = format!("{{{}: …}}", shown(name));
        let around = |condition: String, hop: &Hop<'_>| related(hop.subject, hop, &condition);
        (!hops.is_empty()).then(|| hops.iter().rev().fold(column, around))
    }
}

/// The column and the operator of `column__operator`, as in Django.
fn suffixed<'n>(table: &TableView, name: &'n str) -> Option<(&'n str, &'n str)> {
    let (column, operator) = name.split_once("__")?;
    table.usable(column).ok()?;
    let operator = match operator {
        "exact" => "eq",
        "iexact" | "icontains" | "istartswith" | "iendswith" => "ilike",
        "startswith" => "starts_with",
        "endswith" => "ends_with",
        "isnull" => "is_null",
        "regex" => "matches",
        operator => operator,
    };
    Some((column, operator))
}

/// Adds the equivalent of a word of another query language.
fn foreign_word(name: &str, error: Error) -> Error {
    match name.to_ascii_lowercase().trim_start_matches(['$', '_']) {
        meant @ ("and" | "or" | "not") => error.did_you_mean(meant),
        "is_null" | "is_not_null" => {
            error.hint("the column is the key: {\"shipped_at\": {\"is_null\": true}}")
        }
        "nor" => error.hint("{\"not\": {\"or\": [{…}, {…}]}}"),
        "some" | "none" | "every" => error.hint(
            "some, none and every follow the name of a to-many relation; a to-one relation takes the condition itself",
        ),
        "field" | "key" | "op" | "operator" | "value" => error
            .hint("the column and the operator are keys: {\"status\": \"new\", \"total\": {\"gt\": 100}}"),
        "compute" | "computed" | "expression" | "expr" => {
            error.did_you_mean(COMPUTE).hint(COMPUTE_FORM)
        }
        operator if Arithmetic::names().any(|name| name == operator) => error.hint(COMPUTE_FORM),
        function if Total::names().any(|name| name == function) => error.hint("{\"compute\": {\"sum\": \"orders.total\", \"where\": {…}, \"gt\": 100}}"),
        _ if name.contains('(') => {
            error.hint("give the column's own name; {\"ilike\": …} ignores case")
        }
        _ if is_arithmetic(name) => error.hint(COMPUTE_FORM),
        _ => error,
    }
}
