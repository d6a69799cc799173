//! The statement of a file, with `$n` for `:name`, and what can be learned from its words without PostgreSQL.

use std::collections::HashSet;

use super::declared::Declared;
use super::header::Header;
use super::token::{Kind, Token};
use crate::name::nearest;
use crate::policy::{Action, Actions};

/// A statement with numbered parameters.
#[derive(Debug)]
pub struct Sql {
    /// The text, with `$n` for the parameter at `n - 1`.
    pub(super) text: String,
    pub(super) verb: Verb,
    /// The table of an UPDATE or DELETE, without its schema.
    pub(super) target: Option<String>,
    pub(super) parameters: Vec<Used>,
    /// Every name in the text, spelled as in the catalogue.
    pub(super) names: HashSet<String>,
    pieces: Vec<Piece>,
}

/// A parameter in the text.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) name: String,
    /// The byte offset of its first use in the file.
    pub(super) offset: usize,
    /// The columns that it is compared with.
    pub(super) compared: Vec<String>,
}

/// The kind of a statement, by its first word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// SELECT, VALUES, TABLE, a parenthesis.
    Select,
    /// WITH: the statement may write.
    With,
    /// INSERT, UPDATE, DELETE or MERGE. PostgreSQL reports the number of affected rows.
    Change(Actions),
    /// CALL.
    Call,
}

/// A piece of the rewritten text, and its byte offset in the file.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    offset: usize,
    /// Whether it was inserted for the parameter at `offset`.
    put: bool,
}

impl Sql {
    /// Rewrites the statement in `body`, a part of the file. An error has a message and its offset.
    pub(super) fn number(
        text: &str,
        body: &[Token],
        header: &Header,
    ) -> Result<Self, (String, usize)> {
        let code: Vec<Token> =
            body.iter().copied().filter(|token| token.kind != Kind::Comment).collect();
        let code = one_statement(&code)?;
        let Some((first, last)) = code.first().zip(code.last()) else {
            return Err(("there is no statement".into(), 0));
        };
        let names = names(text, code);
        let verb = verb(spelled(text, first), &names).map_err(|message| (message, first.start))?;
        let writing = match verb {
            Verb::Change(_) | Verb::Call => Some(first),
            Verb::With => writing_part(text, code),
            Verb::Select => None,
        };
        if let Some(token) = writing.filter(|_| !header.writes) {
            let part = spelled(text, token).to_uppercase();
            return Err((format!("{part} writes: add -- @writes"), token.start));
        }

        let mut sql = Self {
            text: String::new(),
            verb,
            target: target(text, code),
            parameters: Vec::new(),
            names,
            pieces: Vec::new(),
        };
        let mut from = first.start;
        for (index, token) in code.iter().enumerate() {
            let Kind::Parameter { bracketed } = token.kind else { continue };
            let name = spelled(text, token).trim_start_matches(':');
            let declared = header.parameters.iter().find(|declared| declared.name == name);
            // `[:n]` may be a slice up to the column `n`.
            if bracketed && declared.is_none() {
                continue;
            }
            sql.copy(text, from, token.start);
            from = token.end;
            if let Some(wrong) = declared.and_then(Declared::wrong_type) {
                return Err(wrong);
            }
            let number = sql.used(name, token.start, compared(text, code, index));
            sql.put_number(number, token.start, declared);
        }
        sql.copy(text, from, last.end);
        sql.uses_all(&header.parameters)?;
        Ok(sql)
    }

    /// Inserts `$number`, cast to the declared type, for the parameter at `offset`.
    fn put_number(&mut self, number: usize, offset: usize, declared: Option<&Declared>) {
        // `a:b` are two words, `a$1` would be one. PostgreSQL takes every character beyond ASCII for a letter.
        let letter = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || matches!(c, '_' | '$');
        if self.text.ends_with(letter) {
            self.put(" ", offset);
        }
        match declared.and_then(|declared| Some((declared, declared.type_name.as_ref()?))) {
            Some((declared, type_name)) => {
                self.put(&format!("(${number}"), offset);
                self.put(&format!("::{type_name})"), declared.offset);
            }
            None => self.put(&format!("${number}"), offset),
        }
    }

    /// Refuses parameters that are declared but not used.
    fn uses_all(&self, declared: &[Declared]) -> Result<(), (String, usize)> {
        let used = || self.parameters.iter().map(|used| used.name.as_str());
        match declared.iter().find(|declared| used().all(|name| name != declared.name)) {
            None => Ok(()),
            Some(unused) => {
                let hint = nearest(&unused.name, used())
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                let message = format!("the statement has no parameter :{}{hint}", unused.name);
                Err((message, unused.offset))
            }
        }
    }

    fn copy(&mut self, text: &str, from: usize, to: usize) {
        self.pieces.push(Piece { start: self.text.len(), offset: from, put: false });
        self.text.push_str(text.get(from..to).unwrap_or_default());
    }

    fn put(&mut self, text: &str, offset: usize) {
        self.pieces.push(Piece { start: self.text.len(), offset, put: true });
        self.text.push_str(text);
    }

    /// The number of the parameter that is used at `offset`.
    fn used(&mut self, name: &str, offset: usize, compared: Option<String>) -> usize {
        let position = self.parameters.iter().position(|used| used.name == name);
        let position = position.unwrap_or_else(|| {
            self.parameters.push(Used { name: name.to_owned(), offset, compared: Vec::new() });
            self.parameters.len() - 1
        });
        if let Some(used) = self.parameters.get_mut(position) {
            used.compared.extend(compared);
        }
        position + 1
    }

    /// The byte offset of the statement in the file.
    pub(super) fn begins(&self) -> Option<usize> {
        self.pieces.first().map(|piece| piece.offset)
    }

    /// The byte offset in the file of a character of the rewritten text.
    pub(super) fn offset(&self, position: usize) -> usize {
        let byte = self.text.char_indices().nth(position.saturating_sub(1));
        let byte = byte.map_or(self.text.len(), |(byte, _)| byte);
        let piece = self.pieces.iter().rev().find(|piece| piece.start <= byte);
        piece.map_or(0, |piece| match piece.put {
            true => piece.offset,
            false => piece.offset + byte - piece.start,
        })
    }
}

fn spelled<'t>(text: &'t str, token: &Token) -> &'t str {
    text.get(token.start..token.end).unwrap_or_default()
}

/// The only statement of a file, without the semicolons after it.
fn one_statement(code: &[Token]) -> Result<&[Token], (String, usize)> {
    let ending = code.iter().rev().take_while(|token| token.kind == Kind::Symbol(';')).count();
    let code = code.get(..code.len() - ending).unwrap_or_default();
    let second =
        code.windows(2).find(|pair| matches!(pair, [one, _] if one.kind == Kind::Symbol(';')));
    if let Some(second) = second {
        let offset = second.last().map_or(0, |token| token.start);
        return Err(("a file must have exactly one statement".into(), offset));
    }
    match code.iter().find(|token| token.kind == Kind::Numbered) {
        Some(numbered) => Err(("write :name for a parameter, not $1".into(), numbered.start)),
        None => Ok(code),
    }
}

/// The verb of a data-modifying statement, in or after WITH. Such words may also be names of columns, but then are
/// not followed by the words that follow these verbs.
fn writing_part<'c>(text: &str, code: &'c [Token]) -> Option<&'c Token> {
    let word = |token: &Token| text.get(token.start..token.end).unwrap_or_default().to_lowercase();
    code.windows(3).find_map(|tokens| {
        let [before, verb, next] = tokens else { return None };
        let begins = matches!(before.kind, Kind::Symbol('(' | ')'));
        let goes_on = match (&*word(verb), &*word(next)) {
            ("insert" | "merge", "into") | ("delete", "from") | ("update", "only") => true,
            ("update", _) => {
                let named = code.iter().skip_while(|token| token.start <= verb.start).take(6);
                named.map(word).any(|word| word == "set")
            }
            _ => false,
        };
        (begins && goes_on).then_some(verb)
    })
}

fn verb(word: &str, names: &HashSet<String>) -> Result<Verb, String> {
    use Action::{Archive, Delete, Insert, Restore, Update};
    let change = |actions: &[Action]| Verb::Change(actions.iter().copied().collect());
    Ok(match word.to_lowercase().as_str() {
        "select" | "values" | "table" | "(" => Verb::Select,
        "with" => Verb::With,
        // ON CONFLICT may update.
        "insert" if names.contains("conflict") => change(&[Insert, Update]),
        "insert" => change(&[Insert]),
        // Archiving is an UPDATE, too.
        "update" => change(&[Update, Archive, Restore]),
        "delete" => change(&[Delete]),
        "merge" => change(&[Insert, Update, Archive, Restore, Delete]),
        "call" => Verb::Call,
        _ => {
            return Err(format!(
                "a canned query is a SELECT, WITH, VALUES, INSERT, UPDATE, DELETE, MERGE or CALL, not {word}"
            ));
        }
    })
}

/// A token as a name, spelled as in the catalogue.
fn name(text: &str, token: &Token) -> Option<String> {
    let text = text.get(token.start..token.end)?;
    match token.kind {
        Kind::Word => Some(text.to_lowercase()),
        Kind::Name => Some(text.trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    }
}

/// The table of an UPDATE or DELETE.
fn target(text: &str, code: &[Token]) -> Option<String> {
    let word = |token: &Token| spelled(text, token).to_lowercase();
    let (verb, rest) = code.split_first()?;
    if !matches!(&*word(verb), "update" | "delete") {
        return None;
    }
    let mut rest = rest.iter().skip_while(|token| matches!(&*word(token), "from" | "only" | "("));
    let mut target = name(text, rest.next()?);
    while rest.next().is_some_and(|token| token.kind == Kind::Symbol('.')) {
        target = name(text, rest.next()?);
    }
    target
}

fn names(text: &str, code: &[Token]) -> HashSet<String> {
    code.iter().filter_map(|token| name(text, token)).collect()
}

/// The column that the parameter at `index` is compared with, judging by the neighbouring tokens: `column = :a`,
/// `column LIKE '%' || :a`, `column = ANY(:a)`, `:a < column`.
fn compared(text: &str, code: &[Token], index: usize) -> Option<String> {
    const COMPARISONS: [&str; 16] = [
        "=", "<>", "!=", "<", ">", "<=", ">=", "~", "~*", "@>", "<@", "&&", "@@", "like", "ilike",
        "in",
    ];
    const BETWEEN: [&str; 7] = ["(", "any", "all", "some", "||", "lower", "upper"];
    let word = |token: &Token| text.get(token.start..token.end).unwrap_or_default().to_lowercase();
    let mut before = code.get(..index)?.iter().rev();
    let comparison =
        before.find(|token| token.kind != Kind::Text && !BETWEEN.contains(&&*word(token)));
    if comparison.is_some_and(|token| COMPARISONS.contains(&&*word(token))) {
        let column = before.find(|token| word(token) != "not" && word(token) != ")");
        return column.and_then(|token| name(text, token));
    }
    let mut after = code.get(index + 1..)?.iter();
    if !COMPARISONS.contains(&&*word(after.next()?)) {
        return None;
    }
    let mut column = name(text, after.next()?)?;
    while after.next().is_some_and(|token| word(token) == ".") {
        column = name(text, after.next()?)?;
    }
    Some(column)
}

#[cfg(test)]
mod tests {
    use super::super::{Body, File, Source};

    #[test]
    fn the_compared_column_is_found() {
        for (text, column) in [
            ("SELECT 1 FROM t WHERE t.title ILIKE '%' || :p || '%'", Some("title")),
            ("SELECT 1 FROM t WHERE id = ANY (:p)", Some("id")),
            ("SELECT 1 FROM t WHERE \"Key\" >= :p", Some("Key")),
            ("SELECT 1 FROM t WHERE name NOT LIKE :p", Some("name")),
            ("SELECT 1 FROM t WHERE :p < t.born", Some("born")),
            ("SELECT 1 FROM t LIMIT :p", None),
            ("SELECT :p", None),
        ] {
            let source = Source::read(File {
                name: "query".into(),
                path: "query.sql".into(),
                text: text.into(),
            });
            let source = source.unwrap();
            let Body::Statement(sql) = &source.body else { panic!() };
            assert_eq!(sql.parameters[0].compared.first().map(String::as_str), column, "{text}");
        }
    }
}
