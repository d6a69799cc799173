//! A canned query before PostgreSQL describes it: its header, and its text with `$n` for `:name`.

use super::declared::Declared;
use super::directory::File;
use super::fault::Fault;
use super::function::Call;
use super::header::{self, Header, Line};
use super::sql::Sql;
use super::token::{Kind, Token, tokens};

/// A canned query that PostgreSQL has yet to describe.
#[derive(Debug)]
pub struct Source {
    /// The tool's name.
    pub name: String,
    /// The file's path, or the function's signature.
    pub place: String,
    /// The statement or function.
    pub body: Body,
    pub(super) header: Header,
    /// The text to which positions refer.
    pub(super) text: String,
}

/// The statement or function of a [`Source`].
#[derive(Debug)]
pub enum Body {
    /// A statement from a file.
    Statement(Sql),
    /// A function of the database.
    Function(Call),
}

impl Source {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// Errors in its header or text that can be found without PostgreSQL.
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
        let late = body.iter().filter(|token| token.kind == Kind::Comment);
        let mut late = late.flat_map(|token| lines(&text, *token));
        if let Some((directive, line)) =
            late.find_map(|line| Some((header::directive(line.text)?, line)))
        {
            let message = format!("@{directive} must stand before the statement");
            return fault(message, line.offset);
        }
        if header.tool.is_some() {
            return fault(
                "@tool belongs in comments of functions: a file is named like its tool".into(),
                0,
            );
        }
        if let Some(message) = header.contradiction() {
            return fault(message.into(), 0);
        }
        match Sql::number(&text, body, &header) {
            Ok(sql) => Ok(Self { name, place: path, body: Body::Statement(sql), header, text }),
            Err((message, offset)) => fault(message, offset),
        }
    }

    /// The text that PostgreSQL prepares in order to describe the query.
    pub fn statement(&self) -> String {
        match &self.body {
            Body::Statement(sql) => sql.text.clone(),
            Body::Function(call) => call.statement(|_| true),
        }
    }

    /// Whether it may write.
    pub fn writes(&self) -> bool {
        self.header.writes
    }

    /// A fault at a character of [`Source::statement`], counted from 1.
    pub fn fault(&self, message: impl Into<String>, position: Option<usize>) -> Fault {
        let fault = Fault::new(&self.place, message);
        match (&self.body, position) {
            (Body::Statement(sql), Some(position)) => fault.at(&self.text, sql.offset(position)),
            (Body::Statement(sql), None) => match sql.begins() {
                Some(offset) => fault.at(&self.text, offset),
                None => fault,
            },
            (Body::Function(_), _) => fault,
        }
    }

    /// PostgreSQL's message, with the parameter's name for `$n`.
    pub fn with_names(&self, message: &str) -> String {
        let Body::Statement(sql) = &self.body else { return message.to_owned() };
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

    /// Line and column of its `@roles`, otherwise of its statement.
    pub(super) fn roles_position(&self) -> Option<(usize, usize)> {
        let named = self.header.roles_offset;
        let named = named.map(|offset| Fault::new("", "").at(&self.text, offset));
        named.unwrap_or_else(|| self.fault("", None)).position
    }

    pub(super) fn declared(&self, name: &str) -> Option<&Declared> {
        self.header.parameters.iter().find(|declared| declared.name == name)
    }

    /// A fault of a parameter, at its declaration or otherwise at its first use.
    pub(super) fn parameter_fault(&self, name: &str, message: impl Into<String>) -> Fault {
        let fault = Fault::new(&self.place, message);
        let used = match &self.body {
            Body::Statement(sql) => sql.parameters.iter().find(|used| used.name == name),
            Body::Function(_) => None,
        };
        let offset = self.declared(name).map(|declared| declared.offset);
        match offset.or(used.map(|used| used.offset)) {
            Some(offset) => fault.at(&self.text, offset),
            None => fault,
        }
    }
}

/// Checks that clients accept the name as a tool's name.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(format!("{name:?} is not a tool name: up to 64 letters, digits, _ and -"))
}

/// The lines of a comment, without its delimiters.
fn lines(text: &str, token: Token) -> Vec<Line<'_>> {
    let comment = text.get(token.start..token.end).unwrap_or_default();
    if let Some(line) = comment.strip_prefix("--") {
        return vec![Line { text: line, offset: token.start + 2 }];
    }
    let inner = comment.strip_prefix("/*").and_then(|comment| comment.strip_suffix("*/"));
    let mut offset = token.start + 2;
    let mut all = Vec::new();
    for line in inner.unwrap_or_default().split('\n') {
        // ` * ` at the beginning of a line is decoration. The indentation after it decides what the line belongs to.
        let starred = line.trim_start().strip_prefix('*');
        let star = starred.map_or(0, |rest| line.len() - rest.trim_start_matches('*').len());
        all.push(Line { text: line.get(star..).unwrap_or_default(), offset: offset + star });
        offset += line.len() + 1;
    }
    all
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
            (
                "WITH a AS (SELECT CAST(update AS text), (delete)) TABLE a",
                "WITH a AS (SELECT CAST(update AS text), (delete)) TABLE a",
            ),
            ("-- x\nSELECT ':a' -- :b\n, :c -- end\n;\n-- more", "SELECT ':a' -- :b\n, $1"),
            ("-- @param a integer[]\nSELECT 1 = ANY(:a)", "SELECT 1 = ANY(($1::integer[]))"),
            ("SELECT x[:n], x[1:2], :m::text", "SELECT x[:n], x[1:2], $1::text"),
            ("-- @param n integer\nSELECT x[:n]", "SELECT x[($1::integer)]"),
            ("/* A. */ VALUES (:a)", "VALUES ($1)"),
            ("SELECT E'a' \n 'b\\':c', :d", "SELECT E'a' \n 'b\\':c', $1"),
            ("SELECT 'a' \n 'b\\', :d", "SELECT 'a' \n 'b\\', $1"),
            ("SELECT 1 LIMIT:a", "SELECT 1 LIMIT $1"),
            ("SELECT x AND:a:b", "SELECT x AND $1 $2"),
            ("SELECT \u{ad}:a", "SELECT \u{ad} $1"),
        ] {
            assert_eq!(read(text).unwrap().statement(), expected, "{text}");
        }
    }

    #[test]
    fn faults_tell_their_place() {
        for (text, expected) in [
            ("", "query.sql:1:1: there is no statement"),
            ("SELECT 1;\n SELECT 2", "query.sql:2:2: a file must have exactly one statement"),
            ("SELECT\n  'abc", "query.sql:2:3: a text is not closed"),
            ("-- @writes\nDROP TABLE x", "query.sql:2:1: a canned query is a SELECT"),
            ("DELETE FROM x", "query.sql:1:1: DELETE writes: add -- @writes"),
            ("WITH a AS (DELETE FROM x RETURNING 1) TABLE a", "query.sql:1:12: DELETE writes"),
            ("WITH a AS (SELECT 1) UPDATE s.x AS y SET a = 1", "query.sql:1:22: UPDATE writes"),
            ("SELECT $1", "query.sql:1:8: write :name for a parameter"),
            ("-- A\n-- @parm x", "query.sql:2:4: there is no @parm; did you mean @param?"),
            (
                "-- @param tilte text\nSELECT :title",
                "query.sql:1:4: the statement has no parameter :tilte; did you mean title?",
            ),
            ("-- @confirm\nSELECT 1", "query.sql:1:1: @confirm is for queries that write"),
            ("-- @max_rows 5\nSELECT 1", "query.sql:1:1: @max_rows is for queries that write"),
            ("-- @tool x\nSELECT 1", "query.sql:1:1: @tool belongs in comments of functions"),
            ("SELECT 1\n-- @roles admin", "query.sql:2:3: @roles must stand before the statement"),
            (
                "SELECT 1 /* a\n * @writes */",
                "query.sql:2:3: @writes must stand before the statement",
            ),
            ("-- @limit 5\n-- @limit 6\nSELECT 1", "query.sql:2:4: @limit is given twice"),
            (
                "-- @param a int {\"pattern\": \"(\"}\nSELECT :a",
                "query.sql:1:4: pattern: unclosed group",
            ),
            (
                "-- @param a int {\"minimum\": 2, \"maximum\": 1}\nSELECT :a",
                "query.sql:1:4: the minimum 2 is more than the maximum 1",
            ),
        ] {
            let fault = read(text).unwrap_err().to_string();
            assert!(fault.starts_with(expected), "{text}: {fault}");
        }
    }

    #[test]
    fn lines_of_a_block_go_on_like_others() {
        for text in [
            "/*\n@param t text: part of\n    the title\nFinds films.\n*/ SELECT :t",
            "/*\n * @param t text: part of\n *    the title\n * Finds films.\n */ SELECT :t",
            "/* Finds films.\n   @param t text: part of\n     the title */ SELECT :t",
            "-- @param t text: part of\n--   the title\n-- Finds films.\nSELECT :t",
        ] {
            let header = read(text).unwrap().header;
            assert_eq!(header.description.as_deref(), Some("Finds films."), "{text}");
            let parameter = header.parameters[0].description.as_deref();
            assert_eq!(parameter, Some("part of the title"), "{text}");
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
}
