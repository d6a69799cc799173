//! Parses the notation that literals of arrays, composites and ranges share: items between delimiters, quoted if they
//! contain one.

use std::borrow::Cow;

use super::Malformed;

/// A literal, parsed from left to right.
pub(super) struct Literal<'a> {
    rest: &'a str,
}

/// The text between two delimiters.
pub(super) struct Item<'a> {
    pub(super) text: Cow<'a, str>,
    /// Whether it was quoted. Unquoted, NULL and the empty text are not values.
    pub(super) quoted: bool,
}

impl<'a> Literal<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn starts_with(&self, marks: &str) -> bool {
        self.rest.starts_with(marks)
    }

    /// Skips the delimiter, if it is next.
    pub(super) fn eat(&mut self, mark: u8) -> bool {
        let found = self.rest.as_bytes().first() == Some(&mark);
        if found {
            self.advance(1);
        }
        found
    }

    /// Skips the delimiter, which must be next.
    pub(super) fn expect(&mut self, mark: u8) -> Result<(), Malformed> {
        if self.eat(mark) { Ok(()) } else { Err(Malformed) }
    }

    /// Skips one of the delimiters, which must be next.
    pub(super) fn expect_any(&mut self, marks: &[u8]) -> Result<u8, Malformed> {
        let mark = marks.iter().copied().find(|&mark| self.eat(mark));
        mark.ok_or(Malformed)
    }

    /// Skips the word, if it is next.
    pub(super) fn eat_word(&mut self, word: &str) -> bool {
        let found = self.rest.starts_with(word);
        if found {
            self.advance(word.len());
        }
        found
    }

    fn advance(&mut self, length: usize) {
        self.rest = self.rest.get(length..).unwrap_or_default();
    }

    /// Reads up to the first of these delimiters that is not quoted, which is left to read.
    pub(super) fn item(&mut self, ends: &[u8]) -> Item<'a> {
        let bytes = self.rest.as_bytes();
        let plain = bytes
            .iter()
            .position(|byte| matches!(byte, b'"' | b'\\') || ends.contains(byte))
            .unwrap_or(bytes.len());
        if !matches!(bytes.get(plain), Some(b'"' | b'\\')) {
            let text = self.rest.get(..plain).unwrap_or_default();
            self.advance(plain);
            return Item { text: Cow::Borrowed(text), quoted: false };
        }
        self.quoted_item(ends)
    }

    fn quoted_item(&mut self, ends: &[u8]) -> Item<'a> {
        let mut text = String::new();
        let mut inside = false;
        let mut was_quoted = false;
        let mut characters = self.rest.char_indices().peekable();
        let mut end = self.rest.len();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
                // Within quotes, a doubled quote stands for one.
                '"' if inside && characters.next_if(|&(_, next)| next == '"').is_some() => {
                    text.push('"');
                }
                '"' => {
                    inside = !inside;
                    was_quoted = true;
                }
                mark if !inside && u8::try_from(mark).is_ok_and(|mark| ends.contains(&mark)) => {
                    end = at;
                    break;
                }
                other => text.push(other),
            }
        }
        self.advance(end);
        Item { text: Cow::Owned(text), quoted: was_quoted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_end_at_marks_outside_quotes() {
        for (text, item, quoted, rest) in [
            ("abc,d", "abc", false, ",d"),
            ("", "", false, ""),
            (r#""",x"#, "", true, ",x"),
            (r#""a,}b"}"#, "a,}b", true, "}"),
            (r#""a\"b\\",x"#, r#"a"b\"#, true, ",x"),
            (r#""a""b",x"#, r#"a"b"#, true, ",x"),
            (r#"é\,"è",x"#, "é,è", true, ",x"),
            (r#""open"#, "open", true, ""),
            ("a\\", "a", false, ""),
        ] {
            let mut literal = Literal::new(text);
            let found = literal.item(b",}");
            assert_eq!((&*found.text, found.quoted, literal.rest), (item, quoted, rest), "{text}");
        }
    }
}
