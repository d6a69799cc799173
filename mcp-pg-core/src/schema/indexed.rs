//! Indexes on members of JSON documents.

use super::{Column, Kind, Part, Table};
use crate::name::quoted;

impl Table {
    /// The text of the JSON member at this path, written as in the first part of an index of the table; `None` if
    /// there is no such index.
    pub(crate) fn indexed_text(&self, column: &Column, keys: &[String]) -> Option<Column> {
        let parts = forms(keys).into_iter().find(|parts| self.begins_with(column, parts))?;
        parts.into_iter().try_fold(column.clone(), |whole, part| whole.part(part))
    }

    fn begins_with(&self, column: &Column, parts: &[Part]) -> bool {
        let seekable = |method: &str| matches!(method, "btree" | "hash");
        let mut indexes = self.indexes.iter().filter(|index| seekable(&index.method));
        let name = &column.name;
        let base = &column.data_type.base().name;
        let domain = matches!(column.data_type.kind, Kind::Domain { .. });
        let written = [name.clone(), quoted(name)];
        let written = written.map(|name| {
            let whole = if domain { format!("{name}::{base}") } else { name };
            parts.iter().fold(whole, printed)
        });
        indexes.any(|index| index.parts.first().is_some_and(|first| written.contains(first)))
    }
}

/// The equivalent expressions for the member at a path.
fn forms(keys: &[String]) -> Vec<Vec<Part>> {
    let mut forms = Vec::with_capacity(2);
    // `->` takes a text as a key, never as an array index. `#>>` may take it as either.
    if let Some((last, before)) = keys.split_last()
        && !keys.iter().any(|key| is_place(key))
    {
        let before = before.iter().cloned().map(Part::Member);
        forms.push(before.chain([Part::Text(last.clone())]).collect());
    }
    if keys.iter().all(|key| is_plain(key)) {
        forms.push(vec![Part::TextAt(format!("{{{}}}", keys.join(",")))]);
    }
    forms
}

/// Whether `#>>` may take the key as an array index.
fn is_place(key: &str) -> bool {
    key.trim_start().starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-'))
}

/// Whether PostgreSQL prints the key without quotes in an array.
fn is_plain(key: &str) -> bool {
    let marked = |c: char| c.is_whitespace() || matches!(c, '"' | '\\' | '{' | '}' | ',');
    !key.is_empty() && !key.contains(marked) && !key.eq_ignore_ascii_case("null")
}

/// The part of the expression `whole`, as PostgreSQL prints it.
fn printed(whole: String, part: &Part) -> String {
    match part {
        Part::Member(key) => format!("({whole} -> {}::text)", literal(key)),
        Part::Text(key) => format!("({whole} ->> {}::text)", literal(key)),
        Part::TextAt(path) => format!("({whole} #>> {}::text[])", literal(path)),
        Part::Lower | Part::Upper | Part::Field(_) | Part::Element(_) => whole,
    }
}

fn literal(text: &str) -> String {
    let quoted = text.replace('\'', "''").replace('\\', "\\\\");
    if text.contains('\\') { format!("E'{quoted}'") } else { format!("'{quoted}'") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_printed_as_postgresql_does() {
        let printed = |keys: &[&str]| {
            let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
            let whole = || "m".to_owned();
            forms(&keys).iter().map(|parts| parts.iter().fold(whole(), printed)).collect::<Vec<_>>()
        };
        for (keys, forms) in [
            (&["s"][..], &["(m ->> 's'::text)", "(m #>> '{s}'::text[])"][..]),
            (
                &["a", "it's"],
                &["((m -> 'a'::text) ->> 'it''s'::text)", "(m #>> '{a,it''s}'::text[])"],
            ),
            (&["a\\b"], &["(m ->> E'a\\\\b'::text)"]),
            (&["a b"], &["(m ->> 'a b'::text)"]),
            (&["a", "0"], &["(m #>> '{a,0}'::text[])"]),
            (&["null", " 1"], &[]),
        ] {
            assert_eq!(printed(keys), forms, "{keys:?}");
        }
    }
}
