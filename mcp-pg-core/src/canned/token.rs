//! Splits SQL text into tokens, like PostgreSQL's scanner but only as precisely as is needed to find each `:name`.

/// A token, from one byte offset to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The kind of a [`Token`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// `-- …` or `/* … */`.
    Comment,
    /// A keyword or an unquoted name.
    Word,
    /// A name in double quotes.
    Name,
    /// A string in single or dollar quotes.
    Text,
    Number,
    /// `:name`. Directly within brackets it may be the upper bound of a slice instead.
    Parameter {
        bracketed: bool,
    },
    /// `$1`.
    Numbered,
    /// An operator, including `::` and `:=`.
    Operator,
    /// Any other character.
    Symbol(char),
}

/// A construct that is not closed, and its offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unclosed {
    pub(super) what: &'static str,
    pub(super) start: usize,
}

/// The tokens of the text, without white space.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unclosed> {
    let mut scanner = Scanner { text, at: 0, open: Vec::new() };
    let mut tokens: Vec<Token> = Vec::new();
    while let Some(c) = scanner.peek() {
        let start = scanner.at;
        if c.is_whitespace() {
            scanner.at += c.len_utf8();
            continue;
        }
        let kind = scanner.token(c, tokens.last())?;
        tokens.push(Token { kind, start, end: scanner.at });
    }
    Ok(tokens)
}

struct Scanner<'t> {
    text: &'t str,
    at: usize,
    /// The open brackets and parentheses, and whether each may contain a slice.
    open: Vec<bool>,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        let rest = self.rest();
        self.at += rest.find(|c| !wanted(c)).unwrap_or(rest.len());
    }

    /// Reads the token that begins with `c`.
    fn token(&mut self, c: char, before: Option<&Token>) -> Result<Kind, Unclosed> {
        let rest = self.rest();
        if rest.starts_with("--") {
            self.skip_while(|c| !matches!(c, '\n' | '\r'));
            return Ok(Kind::Comment);
        }
        if rest.starts_with("/*") {
            return self.block_comment();
        }
        let second = rest.chars().nth(1);
        match c {
            '\'' => self.quoted('\'', false, "a text"),
            '"' => self.quoted('"', false, "a name"),
            'e' | 'E' if second == Some('\'') => {
                self.at += 1;
                self.quoted('\'', true, "a text")
            }
            '$' => self.dollar(),
            ':' if matches!(second, Some(':' | '=')) => {
                self.at += 2;
                Ok(Kind::Operator)
            }
            ':' if second.is_some_and(begins_word) => Ok(self.parameter(before)),
            _ if begins_word(c) => {
                self.skip_while(|c| begins_word(c) || c.is_numeric() || c == '$');
                Ok(Kind::Word)
            }
            _ if c.is_ascii_digit() => {
                self.skip_while(|c| c.is_ascii_alphanumeric() || c == '.' || c == '_');
                Ok(Kind::Number)
            }
            _ if is_operator(c) => {
                self.operator();
                Ok(Kind::Operator)
            }
            _ => {
                match c {
                    '(' => self.open.push(false),
                    '[' => self.open.push(!self.constructs(before)),
                    ')' | ']' => {
                        self.open.pop();
                    }
                    _ => {}
                }
                self.at += c.len_utf8();
                Ok(Kind::Symbol(c))
            }
        }
    }

    /// Reads `:name`, or the colon of a slice.
    fn parameter(&mut self, before: Option<&Token>) -> Kind {
        // `a[low:high]`: the colon directly follows the lower bound.
        let bound = before.is_some_and(|before| {
            before.end == self.at
                && !matches!(before.kind, Kind::Operator | Kind::Symbol('[' | '(' | ','))
        });
        self.at += 1;
        let bracketed = self.open.last().is_some_and(|slice| *slice);
        if bracketed && bound {
            return Kind::Symbol(':');
        }
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        Kind::Parameter { bracketed }
    }

    /// Whether a bracket after `before` constructs an array, in `ARRAY[…]` or nested in one, rather than a subscript.
    fn constructs(&self, before: Option<&Token>) -> bool {
        let Some(before) = before else { return false };
        let word = self.text.get(before.start..before.end).unwrap_or_default();
        match before.kind {
            Kind::Word => word.eq_ignore_ascii_case("array"),
            Kind::Symbol('[' | ',') => self.open.last() == Some(&false),
            _ => false,
        }
    }

    /// Reads operator characters, up to a comment.
    fn operator(&mut self) {
        let rest = self.rest();
        let run = rest.find(|c| !is_operator(c)).unwrap_or(rest.len());
        let run = rest.get(..run).unwrap_or_default();
        let comment = ["--", "/*"].into_iter().filter_map(|comment| run.find(comment)).min();
        self.at += comment.unwrap_or(run.len());
    }

    fn block_comment(&mut self) -> Result<Kind, Unclosed> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            let rest = self.rest();
            if rest.starts_with("/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with("*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Ok(Kind::Comment);
                }
            } else {
                match self.peek() {
                    Some(c) => self.at += c.len_utf8(),
                    None => return Err(Unclosed { what: "a comment", start }),
                }
            }
        }
    }

    /// Reads a string or a name from its first quote. A doubled quote is part of it; with `escapes`, so is a
    /// character after a backslash, also in a text that goes on after a line break.
    fn quoted(&mut self, quote: char, escapes: bool, what: &'static str) -> Result<Kind, Unclosed> {
        let start = self.at;
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '\\' if escapes => {
                    self.at += self.peek().map_or(0, char::len_utf8);
                }
                _ if c != quote => {}
                _ if self.peek() == Some(quote) => self.at += 1,
                _ if escapes && self.goes_on() => {}
                _ => return Ok(if quote == '"' { Kind::Name } else { Kind::Text }),
            }
        }
        Err(Unclosed { what, start })
    }

    /// Skips white space with a line break and the quote after it, if both are there.
    fn goes_on(&mut self) -> bool {
        let (rest, line) = (self.rest(), ['\n', '\r']);
        let next = rest.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
        let between = rest.len() - next.len();
        let on =
            next.starts_with('\'') && rest.get(..between).is_some_and(|gap| gap.contains(line));
        if on {
            self.at += between + 1;
        }
        on
    }

    /// `$1`, `$$ … $$` or `$tag$ … $tag$`.
    fn dollar(&mut self) -> Result<Kind, Unclosed> {
        let start = self.at;
        self.at += 1;
        if self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.skip_while(|c| c.is_ascii_digit());
            return Ok(Kind::Numbered);
        }
        if self.peek().is_some_and(begins_word) {
            self.skip_while(|c| begins_word(c) || c.is_numeric());
        }
        if self.peek() != Some('$') {
            self.at = start + 1;
            return Ok(Kind::Symbol('$'));
        }
        self.at += 1;
        let tag = self.text.get(start..self.at).unwrap_or_default();
        match self.rest().find(tag) {
            Some(end) => {
                self.at += end + tag.len();
                Ok(Kind::Text)
            }
            None => Err(Unclosed { what: "a text", start }),
        }
    }
}

fn begins_word(c: char) -> bool {
    c.is_alphabetic() || c == '_' || (!c.is_ascii() && !c.is_whitespace())
}

fn is_operator(c: char) -> bool {
    "+-*/<>=~!@#%^&|`?".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parameters of a text. Those directly within brackets are marked.
    fn parameters(text: &str) -> Vec<String> {
        let tokens = tokens(text).unwrap_or_else(|unclosed| panic!("{text}: {unclosed:?}"));
        tokens
            .iter()
            .filter_map(|token| match token.kind {
                Kind::Parameter { bracketed } => {
                    let name = &text[token.start + 1..token.end];
                    Some(if bracketed { format!("[{name}]") } else { name.to_owned() })
                }
                _ => None,
            })
            .collect()
    }

    #[test]
    fn only_parameters_are_parameters() {
        for (text, expected) in [
            ("a = :a AND b=:b", &["a", "b"][..]),
            ("(:a,:b_2);:c", &["a", "b_2", "c"]),
            ("':no' || :a || 'it''s :no'", &["a"]),
            (r"E'\':no' || :a || e'\\' || :b", &["a", "b"]),
            (r"'\' || :a", &["a"]),
            ("\":no\" = :a AND \"x\"\":no\" = 1", &["a"]),
            ("$$:no$$ || $t$ :no $$ $t$ || :a", &["a"]),
            ("a$b = :a AND x$y$z = :b", &["a", "b"]),
            ("-- :no\n:a /* :no /* :no */ :no */ :b", &["a", "b"]),
            ("a::int = :a::int AND a :: text = :b", &["a", "b"]),
            ("f(x := :a, y => :b)", &["a", "b"]),
            ("j ? :a AND j ?| :b AND j @> :c AND j #>> '{a}' = :d", &["a", "b", "c", "d"]),
            ("a*-:a", &["a"]),
            ("a +--:no\n:a", &["a"]),
            ("a */* :no */ :a", &["a"]),
            ("x[1:2] || x[lo:hi] || x[f(1):hi] || x[y[1]:hi]", &[]),
            ("x[:n] || x[1: :n]", &["[n]", "[n]"]),
            ("ARRAY[:a, (:b)] || array [[:a], [x[lo:hi], x[:n]]]", &["a", "b", "a", "[n]"]),
            ("x[f(:a, y[lo:hi])] || (:b)", &["a", "b"]),
            ("CASE WHEN a THEN :a END", &["a"]),
            ("U&'d:no' || b':no' || :a", &["a"]),
            ("1e5 + 0x1F + :a", &["a"]),
            ("größe = :größe", &["größe"]),
            (": a :1 :'no' :\"no\"", &[]),
        ] {
            assert_eq!(parameters(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_ended_is_told() {
        for (text, what, start) in [
            ("a 'b", "a text", 2),
            ("a $x$ $$", "a text", 2),
            ("\"a", "a name", 0),
            ("/* /* */", "a comment", 0),
            (r"E'\'", "a text", 1),
        ] {
            assert_eq!(tokens(text), Err(Unclosed { what, start }), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_parted_or_refused(text in "[ -~\n\u{e4}]{0,40}") {
            if let Ok(tokens) = tokens(&text) {
                let mut end = 0;
                for token in tokens {
                    assert!(token.start >= end && token.end > token.start);
                    assert!(text[end..token.start].chars().all(char::is_whitespace));
                    end = token.end;
                }
            }
        }
    }
}
