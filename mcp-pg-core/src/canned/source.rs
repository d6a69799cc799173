//! A canned query before PostgreSQL has seen it: what its header says, and its text with `$n` for `:name`.

use std::collections::HashSet;

use super::directory::File;
use super::fault::Fault;
use super::function::Call;
use super::header::{self, Declared, Header, Line};
use super::token::{Kind, Token, tokens};
use crate::name::nearest;

/// A query that was read and is still to be described by PostgreSQL.
#[derive(Debug)]
pub struct Source {
    /// The tool's name.
    pub name: String,
    /// The file's path, or the function's signature.
    pub place: String,
    /// What it runs.
    pub origin: Origin,
    pub(super) header: Header,
    /// The text that positions are told in.
    pub(super) text: String,
}

/// What a [`Source`] runs.
#[derive(Debug)]
pub enum Origin {
    /// A statement of a file.
    Statement(Sql),
    /// A function of the database.
    Function(Call),
}

/// A statement with numbered parameters.
#[derive(Debug)]
pub struct Sql {
    /// The text, with `$n` for the parameter at `n - 1`.
    pub(super) text: String,
    pub(super) verb: Verb,
    pub(super) parameters: Vec<Used>,
    /// Every name in the text, as the catalogue spells it.
    pub(super) names: HashSet<String>,
    pieces: Vec<Piece>,
}

/// A parameter in the text.
#[derive(Debug)]
pub(super) struct Used {
    pub(super) name: String,
    /// Where it stands first, in the file.
    pub(super) offset: usize,
    /// The columns that it is compared with.
    pub(super) compared: Vec<String>,
}

/// What a statement begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// SELECT, VALUES, TABLE, a parenthesis.
    Select,
    /// WITH: what follows may write.
    With,
    /// INSERT, UPDATE, DELETE, MERGE.
    Change,
    /// CALL.
    Call,
}

/// A piece of the numbered text, and where in the file it comes from.
#[derive(Debug, Clone, Copy)]
struct Piece {
    start: usize,
    offset: usize,
    /// All of it stands at `offset`: it was put there.
    put: bool,
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// What is wrong with its header or its text, as far as that can be told without PostgreSQL.
    pub fn read(file: File) -> Result<Self, Fault> {
        let File { name, path, text } = file;
        let fault = |message: String, offset| Err(Fault::new(&path, message).at(&text, offset));
        check_name(&name).map_err(|message| Fault::new(&path, message))?;
        let tokens = match tokens(&text) {
            Ok(tokens) => tokens,
            Err(unclosed) => {
                return fault(format!("{} is not closed", unclosed.what), unclosed.start);
            }
        };
        let leading = tokens.iter().take_while(|token| token.kind == Kind::Comment).count();
        let (comments, body) = tokens.split_at(leading);
        let header = match header::read(comments.iter().flat_map(|token| lines(&text, *token))) {
            Ok(header) => header,
            Err(wrong) => return fault(wrong.message, wrong.offset),
        };
        if header.tool.is_some() {
            return fault(
                "@tool is for comments of functions: a file's name is its tool's".into(),
                0,
            );
        }
        match Sql::number(&text, body, &header) {
            Ok(sql) => Ok(Self { name, place: path, origin: Origin::Statement(sql), header, text }),
            Err((message, offset)) => fault(message, offset),
        }
    }

    /// The text that tells PostgreSQL all about the query.
    pub fn statement(&self) -> String {
        match &self.origin {
            Origin::Statement(sql) => sql.text.clone(),
            Origin::Function(call) => call.statement(|_| true).0,
        }
    }

    /// Whether it may write.
    pub fn writes(&self) -> bool {
        self.header.writes
    }

    /// A fault at a character of [`Source::statement`], counted from 1.
    pub fn fault(&self, message: impl Into<String>, position: Option<usize>) -> Fault {
        let fault = Fault::new(&self.place, message);
        match (&self.origin, position) {
            (Origin::Statement(sql), Some(position)) => fault.at(&self.text, sql.offset(position)),
            (Origin::Statement(sql), None) => match sql.pieces.first() {
                Some(first) => fault.at(&self.text, first.offset),
                None => fault,
            },
            (Origin::Function(_), _) => fault,
        }
    }

    /// PostgreSQL's sentence, with the parameters by the names that the file gives them.
    pub fn with_names(&self, message: &str) -> String {
        let Origin::Statement(sql) = &self.origin else { return message.to_owned() };
        let mut parts = message.split('$');
        let mut named = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            let (number, rest) = part.split_at(digits);
            let number = number.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
            match number.and_then(|number| sql.parameters.get(number)) {
                Some(used) => named.push_str(&format!(":{}{rest}", used.name)),
                None => named.push_str(&format!("${part}")),
            }
        }
        if message.starts_with("could not determine data type") {
            named.push_str(": declare its type with @param");
        }
        named
    }

    pub(super) fn declared(&self, name: &str) -> Option<&Declared> {
        self.header.parameters.iter().find(|declared| declared.name == name)
    }

    /// The fault of a parameter: where it is declared, else where it is used.
    pub(super) fn parameter_fault(&self, name: &str, message: impl Into<String>) -> Fault {
        let fault = Fault::new(&self.place, message);
        let used = match &self.origin {
            Origin::Statement(sql) => sql.parameters.iter().find(|used| used.name == name),
            Origin::Function(_) => None,
        };
        let offset = self.declared(name).map(|declared| declared.offset);
        match offset.or(used.map(|used| used.offset)) {
            Some(offset) => fault.at(&self.text, offset),
            None => fault,
        }
    }
}

/// Whether clients accept it as a tool's name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!("{name:?} is no name of a tool: up to 64 letters, digits, _ and -"))
}

/// The lines of a comment, without its marks.
fn lines(text: &str, token: Token) -> Vec<Line<'_>> {
    let comment = text.get(token.start..token.end).unwrap_or_default();
    if let Some(line) = comment.strip_prefix("--") {
        return vec![Line { text: line, offset: token.start + 2 }];
    }
    let inner = comment.strip_prefix("/*").and_then(|comment| comment.strip_suffix("*/"));
    let mut offset = token.start + 2;
    let mut all = Vec::new();
    for line in inner.unwrap_or_default().split('\n') {
        // ` * ` before each line is a habit, not text.
        let star = line.len() - line.trim_start().trim_start_matches('*').len();
        all.push(Line { text: line.get(star..).unwrap_or_default(), offset: offset + star });
        offset += line.len() + 1;
    }
    all
}

impl Sql {
    fn number(text: &str, body: &[Token], header: &Header) -> Result<Self, (String, usize)> {
        let code: Vec<Token> =
            body.iter().copied().filter(|token| token.kind != Kind::Comment).collect();
        let ending = code.iter().rev().take_while(|token| token.kind == Kind::Symbol(';')).count();
        let code = code.get(..code.len() - ending).unwrap_or_default();
        let Some((first, last)) = code.first().zip(code.last()) else {
            return Err(("there is no statement".into(), 0));
        };
        let word = |token: &Token| text.get(token.start..token.end).unwrap_or_default();
        if let Some(second) =
            code.windows(2).find(|pair| matches!(pair, [one, _] if one.kind == Kind::Symbol(';')))
        {
            return Err((
                "a file has one statement".into(),
                second.last().map_or(0, |token| token.start),
            ));
        }
        if let Some(numbered) = code.iter().find(|token| token.kind == Kind::Numbered) {
            return Err(("write :name for a parameter, not $1".into(), numbered.start));
        }
        let verb = verb(word(first)).map_err(|message| (message, first.start))?;
        if matches!(verb, Verb::Change | Verb::Call) && !header.writes {
            let message = format!("{} writes: say so with -- @writes", word(first).to_uppercase());
            return Err((message, first.start));
        }

        let mut sql = Self {
            text: String::new(),
            verb,
            parameters: Vec::new(),
            names: names(text, code),
            pieces: Vec::new(),
        };
        let mut from = first.start;
        for (index, token) in code.iter().enumerate() {
            let Kind::Parameter { bracketed } = token.kind else { continue };
            let name = word(token).trim_start_matches(':');
            let declared = header.parameters.iter().find(|declared| declared.name == name);
            // `[:n]` may be a slice up to a column.
            if bracketed && declared.is_none() {
                continue;
            }
            sql.copy(text, from, token.start);
            from = token.end;
            let compared = compared(text, code, index);
            let number = sql.used(name, token.start, compared);
            // `a:b` are two words, `a$1` is one.
            if sql.text.ends_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '$')) {
                sql.put(" ", token.start);
            }
            match declared.and_then(|declared| Some((declared, declared.type_name.as_ref()?))) {
                Some((declared, type_name)) => {
                    sql.put(&format!("(${number}"), token.start);
                    sql.put(&format!("::{type_name})"), declared.offset);
                }
                None => sql.put(&format!("${number}"), token.start),
            }
        }
        sql.copy(text, from, last.end);

        for declared in &header.parameters {
            if !sql.parameters.iter().any(|used| used.name == declared.name) {
                let used = sql.parameters.iter().map(|used| used.name.as_str());
                let hint = nearest(&declared.name, used)
                    .map(|near| format!("; did you mean {near}?"))
                    .unwrap_or_default();
                let message = format!("the statement has no parameter :{}{hint}", declared.name);
                return Err((message, declared.offset));
            }
        }
        Ok(sql)
    }

    fn copy(&mut self, text: &str, from: usize, to: usize) {
        self.pieces.push(Piece { start: self.text.len(), offset: from, put: false });
        self.text.push_str(text.get(from..to).unwrap_or_default());
    }

    fn put(&mut self, text: &str, offset: usize) {
        self.pieces.push(Piece { start: self.text.len(), offset, put: true });
        self.text.push_str(text);
    }

    /// The number of the parameter, which is used at `offset`.
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

    /// Where in the file a character of the numbered text comes from.
    fn offset(&self, position: usize) -> usize {
        let byte = self.text.char_indices().nth(position.saturating_sub(1));
        let byte = byte.map_or(self.text.len(), |(byte, _)| byte);
        let piece = self.pieces.iter().rev().find(|piece| piece.start <= byte);
        piece.map_or(0, |piece| match piece.put {
            true => piece.offset,
            false => piece.offset + byte - piece.start,
        })
    }
}

fn verb(word: &str) -> Result<Verb, String> {
    Ok(match word.to_lowercase().as_str() {
        "select" | "values" | "table" | "(" => Verb::Select,
        "with" => Verb::With,
        "insert" | "update" | "delete" | "merge" => Verb::Change,
        "call" => Verb::Call,
        _ => {
            return Err(format!(
                "a canned query is a SELECT, WITH, VALUES, INSERT, UPDATE, DELETE, MERGE or CALL, not {word}"
            ));
        }
    })
}

/// The name that a token is, as the catalogue spells it.
fn name(text: &str, token: &Token) -> Option<String> {
    let text = text.get(token.start..token.end)?;
    match token.kind {
        Kind::Word => Some(text.to_lowercase()),
        Kind::Name => Some(text.trim_matches('"').replace("\"\"", "\"")),
        _ => None,
    }
}

fn names(text: &str, code: &[Token]) -> HashSet<String> {
    code.iter().filter_map(|token| name(text, token)).collect()
}

/// The column that the parameter at `index` is compared with, as far as its neighbours tell:
/// `column = :a`, `column LIKE '%' || :a`, `column = ANY(:a)`, `:a < column`.
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
    use super::*;

    fn read(text: &str) -> Result<Source, Fault> {
        let (name, path) = ("query".into(), "query.sql".into());
        Source::read(File { name, path, text: text.into() })
    }

    #[test]
    fn names_become_numbers() {
        for (text, expected) in [
            ("SELECT :a, :b, :a;", "SELECT $1, $2, $1"),
            ("-- x\nSELECT ':a' -- :b\n, :c -- end\n;\n-- more", "SELECT ':a' -- :b\n, $1"),
            ("-- @param a integer[]\nSELECT 1 = ANY(:a)", "SELECT 1 = ANY(($1::integer[]))"),
            ("SELECT x[:n], x[1:2], :m::text", "SELECT x[:n], x[1:2], $1::text"),
            ("-- @param n integer\nSELECT x[:n]", "SELECT x[($1::integer)]"),
            ("/* A. */ VALUES (:a)", "VALUES ($1)"),
            ("SELECT 1 LIMIT:a", "SELECT 1 LIMIT $1"),
            ("SELECT x AND:a:b", "SELECT x AND $1 $2"),
        ] {
            assert_eq!(read(text).unwrap().statement(), expected, "{text}");
        }
    }

    #[test]
    fn faults_tell_their_place() {
        for (text, expected) in [
            ("", "query.sql:1:1: there is no statement"),
            ("SELECT 1;\n SELECT 2", "query.sql:2:2: a file has one statement"),
            ("SELECT\n  'abc", "query.sql:2:3: a text is not closed"),
            ("-- @writes\nDROP TABLE x", "query.sql:2:1: a canned query is a SELECT"),
            ("DELETE FROM x", "query.sql:1:1: DELETE writes: say so with -- @writes"),
            ("SELECT $1", "query.sql:1:8: write :name for a parameter"),
            ("-- A\n-- @parm x", "query.sql:2:4: there is no @parm; did you mean @param?"),
            (
                "-- @param tilte text\nSELECT :title",
                "query.sql:1:4: the statement has no parameter :tilte; did you mean title?",
            ),
            ("-- @tool x\nSELECT 1", "query.sql:1:1: @tool is for comments of functions"),
        ] {
            let fault = read(text).unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn positions_lead_back_to_the_file() {
        let source = read("-- @param a integr\n--\nSELECT ö, :a,\n wrong").unwrap();
        let text = source.statement();
        assert_eq!(text, "SELECT ö, ($1::integr),\n wrong");
        let position = |part: &str| text[..text.find(part).unwrap()].chars().count() + 1;
        for (part, place) in [("ö", (3, 8)), ("$1", (3, 11)), ("integr", (1, 4)), ("wrong", (4, 2))]
        {
            let fault = source.fault("x", Some(position(part)));
            assert_eq!(fault.position, Some(place), "{part}");
        }
    }

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
            let source = read(text).unwrap();
            let Origin::Statement(sql) = &source.origin else { panic!() };
            assert_eq!(sql.parameters[0].compared.first().map(String::as_str), column, "{text}");
        }
    }
}
