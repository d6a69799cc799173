//! Reads PostgreSQL's messages, whose language the database chooses by `lc_messages`.
//!
//! Only used for what is in none of the answer's fields.

use serde_json::{Map, Value};
use tokio_postgres::error::DbError;

/// The key in the DETAIL of a violated constraint: "Key (room, day)=(7, 2024-01-31) already exists."
#[derive(Debug, PartialEq)]
pub(crate) struct ViolatedKey {
    columns: String,
    values: String,
}

impl ViolatedKey {
    /// The key, if the answer contains it.
    pub(crate) fn of(answer: &DbError) -> Option<Self> {
        Self::told(answer.detail()?)
    }

    fn told(detail: &str) -> Option<Self> {
        let (_, rest) = detail.split_once('(')?;
        let (columns, rest) = rest.split_once(")=(")?;
        // For an exclusion constraint, the key of the existing row follows.
        let rest = rest.split_once(&format!("({columns})=(")).map_or(rest, |(first, _)| first);
        // A value may contain a parenthesis, too, so the last one ends the list.
        let (values, _) = rest.rsplit_once(')')?;
        Some(Self { columns: columns.to_owned(), values: values.to_owned() })
    }

    /// Whether the key has these columns.
    pub(super) fn names<'a>(&self, columns: impl Iterator<Item = &'a str>) -> bool {
        self.names_told().eq(columns)
    }

    /// The key as PostgreSQL writes it: `(room, day)=(7, 2024-01-31)`.
    pub(super) fn shown(&self) -> String {
        format!("({})=({})", self.columns, self.values)
    }

    /// Whether a row has this key, as far as PostgreSQL's texts equal the row's JSON.
    pub(crate) fn is_of(&self, row: &Map<String, Value>) -> bool {
        let values: Option<Vec<String>> = self
            .names_told()
            .map(|name| match row.get(name)? {
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            })
            .collect();
        values.is_some_and(|values| values.join(", ") == self.values)
    }

    fn names_told(&self) -> impl Iterator<Item = &str> {
        self.columns.split(", ").map(|name| name.trim_matches('"'))
    }
}

/// Whether a message quotes no value. PostgreSQL puts values in quotation marks: ASCII ones, or those of the
/// messages' language (»…«, « … », „… “). Some translations leave them out.
pub(super) fn quotes_nothing(sentence: &str) -> bool {
    sentence.is_ascii() && !sentence.contains(is_mark)
}

/// Whether a message contains this text in quotation marks.
pub(super) fn quotes(sentence: &str, text: &str) -> bool {
    !text.is_empty()
        && sentence.match_indices(text).any(|(start, _)| {
            let (before, after) = (&sentence[..start], &sentence[start + text.len()..]);
            before.trim_end().ends_with(is_mark) && after.trim_start().starts_with(is_mark)
        })
}

/// Whether UTF8 is the last of the encodings that a message quotes: the one that has no such character.
pub(super) fn is_towards_utf8(sentence: &str) -> bool {
    let after = sentence.rsplit_once("UTF8").map(|(_, after)| after);
    after.is_some_and(|after| after.chars().filter(|c| is_mark(*c)).count() <= 1)
}

/// Whether the character can be a quotation mark in some language.
fn is_mark(c: char) -> bool {
    matches!(c, '"' | '\'' | '`') || !c.is_ascii() && !c.is_alphanumeric() && !c.is_whitespace()
}

/// The number of the parameter that could not be parsed, from the answer's CONTEXT: "unnamed portal parameter $3",
/// since PostgreSQL 16 also with the value. Lines of functions come before it.
pub(super) fn parameter_number(context: &str) -> Option<usize> {
    let last = context.lines().next_back()?;
    numbered(context).or_else(|| numbered(last))
}

/// The number in "unnamed portal parameter $3", in any language: only words precede it, unlike in an SQL statement.
fn numbered(line: &str) -> Option<usize> {
    let (words, rest) = line.split_once('$')?;
    let plain = |c: char| c.is_alphabetic() || matches!(c, ' ' | ',' | '-');
    if !words.chars().all(plain) || words.ends_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_seen_in_any_language() {
        for sentence in ["division by zero", "integer out of range", "la division par zero"] {
            assert!(quotes_nothing(sentence), "{sentence}");
        }
        for sentence in [
            "invalid input syntax for type integer: \"x\"",
            "ungültige Eingabesyntax für Typ integer: »x«",
            "Zahl »x« ist zu lang",
            "la sintaxis de entrada no es valida para tipo integer: «x»",
            "syntaxe en entree invalide pour le type integer : « x »",
            "nieprawidlowa skladnia dla typu integer: \u{201e}x\u{201d}",
            "sintassi di input non valida per il tipo integer: 'x'",
            "整数型「x」",
        ] {
            assert!(!quotes_nothing(sentence), "{sentence}");
            assert!(quotes(sentence, "x") && !quotes(sentence, "y"), "{sentence}");
        }
        assert!(!quotes_nothing("tsquery-ში სიტყვა ძალიან გრძელია: x"));
        assert!(!quotes("time zone \"Mars\" not recognized", "zone"));
    }

    #[test]
    fn the_encoding_that_lacks_a_character_is_the_last() {
        let message = |from, to| {
            format!(
                "character with byte sequence 0x81 in encoding \"{from}\" has no equivalent in encoding \"{to}\""
            )
        };
        assert!(is_towards_utf8(&message("WIN1252", "UTF8")));
        assert!(!is_towards_utf8(&message("UTF8", "WIN1252")));
        let japanese = "符号化方式\"WIN1252\"においてバイト列0x81である文字は、符号化方式\"UTF8\"で等価な文字を持ちません";
        assert!(is_towards_utf8(japanese));
    }

    #[test]
    fn a_key_is_found_in_any_language() {
        let key = |columns: &str, values: &str| {
            Some(ViolatedKey { columns: columns.to_owned(), values: values.to_owned() })
        };
        for (detail, told) in [
            ("Key (room, day)=(7, 2024-01-31) already exists.", key("room, day", "7, 2024-01-31")),
            ("Schlüssel »(note)=(a) b)« existiert bereits.", key("note", "a) b")),
            ("Key (lower(a))=(x) already exists.", key("lower(a)", "x")),
            ("テーブル\"self\"にキー(up)=(99)がありません", key("up", "99")),
            ("Ключ \"(up)=(99)\" уже существует.", key("up", "99")),
            (
                "Key (during)=([1,5)) conflicts with existing key (during)=([2,3)).",
                key("during", "[1,5)"),
            ),
            ("Key is not present in table \"self\".", None),
        ] {
            assert_eq!(ViolatedKey::told(detail), told, "{detail}");
        }
    }

    #[test]
    fn a_parameter_is_found_in_any_language() {
        for (context, number) in [
            ("unnamed portal parameter $3", Some(3)),
            ("unnamed portal parameter $12 = 'a $1\nb'", Some(12)),
            ("PL/pgSQL function f(text) line 1 at RAISE\nunnamed portal parameter $2", Some(2)),
            ("unbenanntes Portal Parameter $1", Some(1)),
            ("paramètre de portail non nommé $1", Some(1)),
            ("неименованный портал, параметр $4", Some(4)),
            ("이름없는 포탈 $5 매개 변수", Some(5)),
            ("SQL statement \"SELECT 1 FROM ONLY \"public\".\"a\" x WHERE \"id\" = $1\"", None),
            ("PL/pgSQL function f$1() line 3 at RAISE", None),
            ("SQL statement \"SELECT $1\"\nPL/pgSQL function f() line 3 at SQL statement", None),
        ] {
            assert_eq!(parameter_number(context), number, "{context}");
        }
    }
}
