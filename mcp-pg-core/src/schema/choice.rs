//! The values to which a check constraint limits a column of texts.

use super::Table;
use crate::name::quoted;
use crate::schema::key::Check;

/// The casts that PostgreSQL prints after constants and columns of the types of texts.
const CASTS: [&str; 4] = ["::text", "::character varying", "::bpchar", "::name"];

impl Table {
    /// The values of which a check constraint demands one in the column, if it does no more than that.
    pub(crate) fn choices(&self, position: usize) -> Option<Vec<String>> {
        let column = &self.columns[position];
        let mut checks = self.checks.iter().filter(|check| check.columns == [position]);
        checks.find_map(|check| check.choices(&column.name))
    }
}

impl Check {
    /// The values of `column IN (…)` and `column = ANY (ARRAY[…])` as `pg_get_constraintdef` prints them.
    pub(crate) fn choices(&self, column: &str) -> Option<Vec<String>> {
        let rule = self.definition.strip_prefix("CHECK (")?.strip_suffix(')')?;
        let rest = rule.strip_prefix(&quoted(column)).or_else(|| rule.strip_prefix(column))?;
        let rest = after_casts(rest).strip_prefix(" = ")?;
        let Some(list) = rest.strip_prefix("ANY (ARRAY[") else {
            let (value, rest) = constant(rest)?;
            return rest.is_empty().then(|| vec![value]);
        };
        let list = ["]::text[])", "]::character varying[])", "]::bpchar[])", "])"]
            .into_iter()
            .find_map(|end| list.strip_suffix(end))?;
        let mut values = Vec::new();
        let mut rest = list;
        loop {
            let (value, further) = constant(rest)?;
            values.push(value);
            match further.strip_prefix(", ") {
                Some(further) => rest = further,
                None => return further.is_empty().then_some(values),
            }
        }
    }
}

/// The constant text at the beginning, and what follows it and its casts.
fn constant(text: &str) -> Option<(String, &str)> {
    let mut rest = text.strip_prefix('\'')?;
    let mut value = String::new();
    loop {
        let (part, further) = rest.split_once('\'')?;
        value.push_str(part);
        match further.strip_prefix('\'') {
            Some(further) => {
                value.push('\'');
                rest = further;
            }
            None => return Some((value, after_casts(further))),
        }
    }
}

fn after_casts(mut text: &str) -> &str {
    while let Some(rest) = CASTS.iter().find_map(|cast| text.strip_prefix(cast)) {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::schema::Check;

    #[test]
    fn the_printed_forms_of_lists() {
        let choices = |column: &str, definition: &str| {
            let (name, columns) = ("c".to_owned(), vec![0]);
            let check = Check { name, definition: definition.to_owned(), columns, comment: None };
            check.choices(column).map(|values| values.join("|"))
        };
        for (definition, expected) in [
            ("CHECK (s = ANY (ARRAY['a'::text, 'it''s'::text]))", Some("a|it's")),
            (
                "CHECK (s::text = ANY (ARRAY['a'::character varying, 'b, c'::character varying]::text[]))",
                Some("a|b, c"),
            ),
            ("CHECK (s::text = ANY (ARRAY['a'::character varying::text]))", Some("a")),
            ("CHECK (s = 'x'::bpchar)", Some("x")),
            ("CHECK (\"s\" = 'x'::text)", Some("x")),
            ("CHECK (s = ANY (ARRAY['a'::text])) NOT VALID", None),
            ("CHECK (s = ANY (ARRAY['a'::text]) OR s IS NULL)", None),
            ("CHECK (s <> 'a'::text)", None),
            ("CHECK (s = ANY (ARRAY[E'a\\\\b'::text]))", None),
            ("CHECK (s = ANY (ARRAY[lower('a'::text)]))", None),
            ("CHECK (lower(s) = 'a'::text)", None),
            ("CHECK (state = 'a'::text)", None),
        ] {
            assert_eq!(choices("s", definition).as_deref(), expected, "{definition}");
        }
    }
}
