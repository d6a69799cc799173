//! Advice for names of columns to return.

use super::{ARITHMETIC, in_json, is_arithmetic, own};
use crate::error::Error;
use crate::plan::Scope;
use crate::policy::{TableView, shown};

impl<'v> Scope<'v> {
    /// The error for a name that is not a column to return.
    pub(in crate::plan) fn not_returned(
        &self,
        table: &'v TableView,
        name: &str,
        error: Error,
    ) -> Error {
        if table.is_write_only(name) {
            return error;
        }
        if let Some((relation, rest)) = name.split_once('.') {
            if let Some(column) = own(table, name) {
                return error.did_you_mean(column);
            }
            let own = |name: &&str| table.readable(name).is_ok();
            if self.relation(table, relation).is_ok() {
                return error.hint(columns_of(relation, &shown(rest)));
            }
            if let Some(column) = name.rsplit('.').next().filter(own) {
                return error.did_you_mean(column);
            }
            let is_name = relation.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
            if is_name && !table.is_derived() && table.column(relation).is_none() {
                return match self.relation(table, relation) {
                    Err(unknown) => unknown.at(error.get_at().unwrap_or_default()),
                    Ok(_) => error,
                };
            }
        }
        if self.relation(table, name).is_ok() {
            return error.hint(format!("related rows: \"include\": {{{name:?}: true}}"));
        }
        if let Some(hop) = self.beyond(table, name) {
            let relation = table.relation_name(hop.relation);
            return error.hint(columns_of(relation, &format!("{name:?}")));
        }
        if is_arithmetic(name) {
            return error.hint(ARITHMETIC);
        }
        if let Some((called, arguments)) = name.split_once('(')
            && !called.contains(',')
        {
            return error.hint(self.called(table, called.trim(), arguments));
        }
        in_sql(table, name, error)
    }

    /// The hint for `relation(column, …)`, as PostgREST writes it, and for the call of a function.
    fn called(&self, table: &'v TableView, called: &str, arguments: &str) -> String {
        if self.relation(table, called).is_err() {
            return "columns are returned as they are; the tool aggregate counts, totals and groups"
                .to_owned();
        }
        let columns = arguments.trim_end_matches(')').split(',');
        let columns: Vec<String> = columns.map(|name| format!("{:?}", name.trim())).collect();
        columns_of(called, &columns.join(", "))
    }
}

/// The hint that columns of a related row are returned by `include`.
fn columns_of(relation: &str, columns: &str) -> String {
    format!("related rows: \"include\": {{{relation:?}: {{\"columns\": [{columns}]}}}}")
}

/// Adds the equivalent of `a, b`, `distinct a`, `b: a` and `a as b`.
fn in_sql(table: &TableView, name: &str, error: Error) -> Error {
    if name.contains(',') {
        return error.hint("one name each: [\"id\", \"name\"]");
    }
    let (distinct, rest) = name.split_once(' ').unwrap_or_default();
    if distinct.eq_ignore_ascii_case("distinct") {
        return error.hint(format!("\"columns\": [{:?}], \"distinct\": true", rest.trim()));
    }
    if let Some((label, column)) = name.split_once(':')
        && table.readable(column).is_ok()
    {
        return error.hint(format!("{{\"column\": {column:?}, \"as\": {label:?}}}"));
    }
    match name.split_whitespace().next() {
        Some(first) if first != name && table.readable(first).is_ok() => {
            error.did_you_mean(first).hint("columns keep their names")
        }
        _ => error,
    }
}

/// Adds the form of a path into JSON, if the name looks like one.
pub(in crate::plan) fn in_json_shown(table: &TableView, name: &str, error: Error) -> Error {
    match in_json(table, name) {
        Some((column, keys)) => {
            error.hint(format!("{{\"column\": {column:?}, \"path\": [{keys}]}}"))
        }
        None => error,
    }
}
