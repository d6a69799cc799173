//! Writes rows in the text format of PostgreSQL's `COPY … FROM STDIN`.

use std::fmt::Write as _;

/// A value of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    Number(Option<i32>),
    Boolean(bool),
    Text(Option<&'a str>),
    List(&'a [&'a str]),
}

/// Rows that are ready to be sent.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    text: String,
}

impl Rows {
    pub(crate) fn push(&mut self, fields: &[Field<'_>]) {
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                self.text.push('\t');
            }
            match *field {
                // Writing into a string does not fail.
                Field::Number(Some(number)) => _ = write!(self.text, "{number}"),
                Field::Number(None) | Field::Text(None) => self.text.push_str(r"\N"),
                Field::Boolean(value) => self.text.push(if value { 't' } else { 'f' }),
                Field::Text(Some(text)) => self.escaped(text),
                Field::List(items) => self.escaped(&array(items)),
            }
        }
        self.text.push('\n');
    }

    /// Bytes that wait to be sent.
    pub(crate) fn len(&self) -> usize {
        self.text.len()
    }

    /// Takes what waits to be sent.
    pub(crate) fn take(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    fn escaped(&mut self, text: &str) {
        for character in text.chars() {
            match character {
                '\\' => self.text.push_str(r"\\"),
                '\n' => self.text.push_str(r"\n"),
                '\r' => self.text.push_str(r"\r"),
                '\t' => self.text.push_str(r"\t"),
                other => self.text.push(other),
            }
        }
    }
}

/// An array in PostgreSQL's text form, every item in quotes.
fn array(items: &[&str]) -> String {
    let quote = |item: &&str| format!("\"{}\"", item.replace('\\', r"\\").replace('"', "\\\""));
    format!("{{{}}}", items.iter().map(quote).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let mut rows = Rows::default();
        rows.push(&[
            Field::Number(Some(7)),
            Field::Number(None),
            Field::Boolean(true),
            Field::Text(Some("a\\b\tc")),
            Field::Text(None),
            Field::List(&["x,y", "q\"\\"]),
        ]);
        assert_eq!(rows.take(), "7\t\\N\tt\ta\\\\b\\tc\t\\N\t{\"x,y\",\"q\\\\\"\\\\\\\\\"}\n");
    }
}
