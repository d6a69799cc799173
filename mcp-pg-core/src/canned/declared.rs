//! A parameter as a header declares it: `@param NAME TYPE [= DEFAULT] [{RULES}] [: DESCRIPTION]`.

use serde_json::Value;

use super::rules::Rules;
use crate::schema::clean;

/// A parameter as it is declared.
#[derive(Debug)]
pub(super) struct Declared {
    pub(super) name: String,
    pub(super) type_name: Option<String>,
    pub(super) given: Given,
    pub(super) rules: Rules,
    pub(super) description: Option<String>,
    /// Where in the text the declaration stands.
    pub(super) offset: usize,
}

/// Where a parameter's value comes from.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Given {
    /// From the caller, who must give it.
    Required,
    /// From the caller, else this value.
    Default(Value),
    /// From the claim of this name; unknown to the caller.
    Claim(String),
}

impl Declared {
    /// `NAME [TYPE] [= DEFAULT] [{RULES}] [: DESCRIPTION]`
    pub(super) fn read(text: &str, offset: usize) -> Result<Self, String> {
        const FORM: &str = "write @param NAME TYPE [= DEFAULT]: description";
        let (declaration, description) = split_description(text);
        let (declaration, rules) =
            match outside_quotes(declaration, |_, rest| rest.starts_with('{')) {
                Some(at) => (&declaration[..at], Some(&declaration[at..])),
                None => (declaration, None),
            };
        let (declared, default) = match outside_quotes(declaration, |before, rest| {
            rest.starts_with('=') && before.ends_with(char::is_whitespace)
        }) {
            Some(at) => (&declaration[..at], Some(declaration[at + 1..].trim())),
            None => (declaration, None),
        };
        let declared = declared.trim();
        let (name, type_name) = declared.split_once(char::is_whitespace).unwrap_or((declared, ""));
        let name = name.strip_prefix(':').unwrap_or(name);
        // Either of them may say that the value may be left out.
        let (name, optional_name) = match name.strip_suffix('?') {
            Some(name) => (name, true),
            None => (name, false),
        };
        let mut letters = name.chars();
        let begins = letters.next().is_some_and(|c| c.is_alphabetic() || c == '_');
        if !begins || !letters.all(|c| c.is_alphanumeric() || c == '_') {
            return Err(format!("{name:?} is no name of a parameter: {FORM}"));
        }
        let (type_name, optional) = match type_name.trim().strip_suffix('?') {
            Some(type_name) => (type_name.trim(), true),
            None => (type_name.trim(), false),
        };
        let given = match default {
            Some("") => return Err(format!("there is no default behind =: {FORM}")),
            Some(default) => match default.strip_prefix("claim:") {
                Some("") => return Err("write = claim:NAME".into()),
                Some(claim) => Given::Claim(claim.to_owned()),
                None => Given::Default(value(default)),
            },
            None if optional || optional_name => Given::Default(Value::Null),
            None => Given::Required,
        };
        Ok(Self {
            name: name.to_owned(),
            type_name: (!type_name.is_empty()).then(|| type_name.to_owned()),
            given,
            rules: match rules {
                Some(rules) => Rules::read(rules)?,
                None => Rules::default(),
            },
            description: description.and_then(clean),
            offset,
        })
    }
}

/// What stands before and behind the first colon that ends a word, outside of quotes and brackets.
fn split_description(text: &str) -> (&str, Option<&str>) {
    let colon = outside_quotes(text, |_, rest| {
        rest.strip_prefix(':').is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
    });
    match colon {
        Some(at) => (&text[..at], text.get(at + 1..)),
        None => (text, None),
    }
}

/// The first offset outside of quotes, and of brackets opened before it, where `found` says so of what is
/// before and from there on.
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
                    '\'' | '"' => quote = Some(c),
                    '{' | '[' | '(' => depth += 1,
                    '}' | ']' | ')' => depth = depth.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }
    None
}

/// A default: JSON, a text in SQL's quotes, or a text as it stands.
fn value(text: &str) -> Value {
    if let Ok(value) = serde_json::from_str(text) {
        return value;
    }
    let quoted = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\''));
    Value::String(quoted.map_or_else(|| text.to_owned(), |text| text.replace("''", "'")))
}
