//! A parameter's declaration in a header: `@param NAME TYPE [= DEFAULT] [{RULES}] [: DESCRIPTION]`.

use serde_json::Value;

use super::rules::Rules;
use super::token::{Kind, tokens};
use crate::schema::clean;

/// The form of a declaration, for messages.
const FORM: &str = "write @param NAME TYPE [= DEFAULT]: description";

/// The message about what looks like a claim and is none: callers could give the value themselves.
const CLAIM: &str = "this is no claim: write = claim:NAME, without a blank; a text stands in quotes, as in = 'claim'";

/// A parameter's declaration.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) type_name: Option<String>,
    pub(super) given: Given,
    pub(super) rules: Rules,
    pub(super) description: Option<String>,
    /// The declaration's byte offset in the text.
    pub(super) offset: usize,
}

/// The source of a parameter's value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// The caller, who must give it.
    Required,
    /// The caller, otherwise this default.
    Default(Value),
    /// The claim with this name. Callers do not see the parameter.
    Claim(String),
}

impl Declared {
    /// `NAME [TYPE] [= DEFAULT] [{RULES}] [: DESCRIPTION]`
    pub(super) fn read(text: &str, offset: usize) -> Result<Self, String> {
        let (declaration, description) = split_description(text);
        let (declared, rest) = split_where(declaration, |_, rest| rest.starts_with(['=', '{']));
        let (default, rules) = match rest.strip_prefix('=') {
            // A default may be an object, too.
            Some(rest) => {
                let (default, rules) = split_where(rest.trim(), |before, rest| {
                    !before.is_empty() && rest.starts_with('{')
                });
                (Some(default.trim()), rules)
            }
            None => (None, rest),
        };
        let declared = declared.trim();
        let (name, type_name) = declared.split_once(char::is_whitespace).unwrap_or((declared, ""));
        let name = name.strip_prefix(':').unwrap_or(name);
        // Either of them may end with `?`, which makes the parameter optional.
        let (name, optional_name) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if !begins || !letters.all(|c| c.is_alphanumeric() || c == '_') {
            return Err(format!("{name:?} is not a parameter name: {FORM}"));
        }
        let (type_name, optional) = match type_name.trim().strip_suffix('?') {
            Some(type_name) => (type_name.trim(), true),
            None => (type_name.trim(), false),
        };
        let given = match default {
            Some("") => return Err(format!("there is no default after =: {FORM}")),
            Some(default) => match default.strip_prefix("claim:").filter(|claim| !claim.is_empty())
            {
                Some(claim) => Given::Claim(claim.to_owned()),
                None if is_like_claim(default) => return Err(CLAIM.into()),
                None => Given::Default(value(default)),
            },
            None if description.is_some_and(begins_with_claim) => return Err(CLAIM.into()),
            None if optional || optional_name => Given::Default(Value::Null),
            None => Given::Required,
        };
        Ok(Self {
            name: name.to_owned(),
            type_name: (!type_name.is_empty()).then(|| type_name.to_owned()),
            given,
            rules: match rules {
                "" => Rules::default(),
                rules => Rules::read(rules)?,
            },
            description: description.and_then(clean),
            offset,
        })
    }
}

impl Declared {
    /// The message about a malformed type, and its offset.
    pub(super) fn wrong_type(&self) -> Option<(String, usize)> {
        let type_name = self.type_name.as_ref().filter(|name| !is_type_name(name))?;
        let message = format!("{type_name:?} is not a type name: {FORM}");
        Some((message, self.offset))
    }
}

/// Whether a text can only be the name of a type, such as `numeric(10, 2)[]`. It becomes part of the statement.
fn is_type_name(text: &str) -> bool {
    // The words that can follow the first one in SQL's names of types.
    const FURTHER: [&str; 16] = [
        "array",
        "char",
        "character",
        "day",
        "hour",
        "minute",
        "month",
        "precision",
        "second",
        "time",
        "to",
        "varying",
        "with",
        "without",
        "year",
        "zone",
    ];
    let Ok(tokens) = tokens(text) else { return false };
    let mut open = None;
    let mut before = None;
    for token in &tokens {
        let word = text.get(token.start..token.end).unwrap_or_default().to_lowercase();
        let fits = match (token.kind, open) {
            (Kind::Word | Kind::Name, None) => {
                matches!(before, None | Some(Kind::Symbol('.')))
                    || token.kind == Kind::Word && FURTHER.contains(&&*word)
            }
            (Kind::Symbol('.'), None) => matches!(before, Some(Kind::Word | Kind::Name)),
            (Kind::Symbol(bracket @ ('(' | '[')), None) => {
                open = Some(bracket);
                before.is_some()
            }
            (Kind::Symbol(')'), Some('(')) | (Kind::Symbol(']'), Some('[')) => {
                open = None;
                true
            }
            (Kind::Number, Some(_)) => true,
            (Kind::Word | Kind::Name | Kind::Symbol(','), Some('(')) => true,
            (Kind::Operator, Some('(')) => word == "-",
            _ => false,
        };
        if !fits {
            return false;
        }
        before = Some(token.kind);
    }
    open.is_none() && before.is_some_and(|last| last != Kind::Symbol('.'))
}

/// Splits at the first colon that ends a word, outside of quotes and brackets.
fn split_description(text: &str) -> (&str, Option<&str>) {
    let colon = outside_quotes(text, |_, rest| {
        rest.strip_prefix(':').is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    match colon {
        Some(at) => (&text[..at], text.get(at + 1..)),
        None => (text, None),
    }
}

/// Splits at the first offset that [`outside_quotes`] finds.
fn split_where(text: &str, found: impl Fn(&str, &str) -> bool) -> (&str, &str) {
    text.split_at(outside_quotes(text, found).unwrap_or(text.len()))
}

/// The first offset, outside of quotes and brackets, at which `found` is true of the texts before and after it. An
/// apostrophe within a word, as in "it's", is not a quote.
fn outside_quotes(text: &str, found: impl Fn(&str, &str) -> bool) -> Option<usize> {
    let mut quote = None;
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None => {
                if depth == 0 && found(&text[..at], &text[at..]) {
                    return Some(at);
                }
                match c {
                    '\'' | '"' if !text[..at].ends_with(char::is_alphanumeric) => quote = Some(c),
                    '{' | '[' | '(' => depth += 1,
                    '}' | ']' | ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }
    None
}

/// Whether a default is meant to be a claim: its first word says so. One in quotes is a text.
fn is_like_claim(default: &str) -> bool {
    let default = default.trim_start_matches(['=', ' ', ':']);
    let word = default.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    ["claim", "claims"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

/// Whether a description is meant to be the source of the value: `: claim:NAME`, `: = claim:NAME`.
fn begins_with_claim(description: &str) -> bool {
    let text = description.trim_start();
    if text.starts_with('=') {
        return is_like_claim(text);
    }
    let (word, name) = text.split_once(':').unwrap_or_default();
    is_like_claim(word) && name.starts_with(|c: char| !c.is_whitespace())
}

/// A default: JSON, SQL's NULL, a quoted SQL string, or plain text.
fn value(text: &str) -> Value {
    if text.eq_ignore_ascii_case("null") {
        return Value::Null;
    }
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    Value::String(quoted.map_or_else(|| text.to_owned(), |text| text.replace("''", "'")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_nothing_but_its_name() {
        for name in [
            "int",
            "numeric(10, -2)[]",
            "timestamp(3) with time zone",
            "double precision",
            "interval day to second(3)",
            "integer array[3][]",
            "app.\"My type\"[]",
            "geometry(Point, 4326)",
            "größe",
        ] {
            assert!(is_type_name(name), "{name}");
        }
        for text in [
            "int + 1",
            "int=5",
            "int or true",
            "int)::text",
            "numeric(10",
            "int is null",
            "app.",
            "int /* x */",
            "int collate",
            "int, 1",
            "numeric((1))",
            "[]",
            "int:x",
            "int $1",
            "text 'a'",
            "int[1:2]",
        ] {
            assert!(!is_type_name(text), "{text}");
        }
    }
}
