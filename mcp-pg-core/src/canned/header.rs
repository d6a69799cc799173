//! The header comment of a canned query: a description, and one directive per line.
//!
//! ```text
//! -- The characters of a film and who played them.
//! -- @param title text: part of the film's title
//! -- @param limit integer = 20 {"minimum": 1, "maximum": 100}: most rows
//! -- @param tenant = claim:tenant_id
//! -- @roles analyst, operator
//! ```

use std::time::Duration;

use super::declared::Declared;
use crate::name::nearest;
use crate::policy::duration;
use crate::schema::clean;

/// A parsed header.
#[derive(Debug, Default)]
pub(super) struct Header {
    pub(super) description: Option<String>,
    pub(super) title: Option<String>,
    pub(super) roles: Option<Vec<String>>,
    /// The byte offset of `@roles`.
    pub(super) roles_offset: Option<usize>,
    pub(super) writes: bool,
    pub(super) timeout: Option<Duration>,
    pub(super) limit: Option<u64>,
    pub(super) max_rows: Option<u64>,
    pub(super) idempotent: bool,
    pub(super) additive: bool,
    pub(super) confirm: bool,
    /// `@tool`, with the name if it gives one.
    pub(super) tool: Option<Option<String>>,
    pub(super) parameters: Vec<Declared>,
}

/// A line of the comment without the comment's delimiters, and the byte offset of its text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line<'t> {
    pub(super) text: &'t str,
    pub(super) offset: usize,
}

/// An error in a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: String,
    pub(super) offset: usize,
}

const DIRECTIVES: [&str; 11] = [
    "param",
    "roles",
    "writes",
    "title",
    "timeout",
    "limit",
    "max_rows",
    "idempotent",
    "additive",
    "confirm",
    "tool",
];

/// Parses the lines of a comment.
pub(super) fn read<'t>(lines: impl IntoIterator<Item = Line<'t>>) -> Result<Header, Wrong> {
    let mut header = Header::default();
    let mut description = String::new();
    // The indentation of the last directive, if it is a `@param`, which following lines may continue.
    let mut open = None;
    for line in lines {
        let indent = line.text.len() - line.text.trim_start().len();
        let text = line.text.trim();
        let wrong = |message: String| Wrong { message, offset: line.offset + indent };
        let Some(directive) = text.strip_prefix('@') else {
            let marked =
                text.strip_suffix("@tool").filter(|text| text.ends_with(char::is_whitespace));
            if marked.is_some() {
                header.tool.get_or_insert_default();
            }
            let text = marked.map_or(text, str::trim_end);
            match header.parameters.last_mut().filter(|_| open.is_some_and(|open| indent > open)) {
                Some(last) if !text.is_empty() => extend(&mut last.description, text),
                _ => {
                    open = open.filter(|_| text.is_empty());
                    description.push_str(text);
                    description.push('\n');
                }
            }
            continue;
        };
        let (name, rest) = directive.split_once(char::is_whitespace).unwrap_or((directive, ""));
        let mut rest = rest.trim();
        // A single word is the tool's name; several are its description.
        if name == "tool" && rest.contains(char::is_whitespace) {
            description.push_str(rest);
            description.push('\n');
            rest = "";
        }
        header.take(name, rest, line.offset + indent).map_err(wrong)?;
        open = (name == "param").then_some(indent);
    }
    header.description = clean(&description);
    Ok(header)
}

fn extend(description: &mut Option<String>, text: &str) {
    let joined = match description.take() {
        Some(before) => format!("{before} {text}"),
        None => text.to_owned(),
    };
    *description = clean(&joined);
}

impl Header {
    /// The message about a directive for writes in a query that only reads.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        if self.writes {
            return None;
        }
        if self.confirm {
            return Some("@confirm is for queries that write, and this one only reads");
        }
        self.max_rows
            .map(|_| "@max_rows is for queries that write, and this one only reads: @limit bounds a reply")
    }

    fn take(&mut self, directive: &str, rest: &str, offset: usize) -> Result<(), String> {
        match directive {
            "param" => {
                let declared = Declared::read(rest, offset)?;
                if self.parameters.iter().any(|known| known.name == declared.name) {
                    return Err(format!("the parameter {} is declared twice", declared.name));
                }
                self.parameters.push(declared);
            }
            "roles" => {
                self.roles_offset.get_or_insert(offset);
                let names = rest.split(',').map(str::trim).filter(|name| !name.is_empty());
                self.roles.get_or_insert_default().extend(names.map(str::to_owned));
            }
            "writes" => self.writes = flag(directive, rest)?,
            "idempotent" => self.idempotent = flag(directive, rest)?,
            "additive" => self.additive = flag(directive, rest)?,
            "confirm" => self.confirm = flag(directive, rest)?,
            "title" => once(directive, &mut self.title, clean(rest))?,
            "timeout" => once(directive, &mut self.timeout, Some(timeout(rest)?))?,
            "limit" => once(directive, &mut self.limit, Some(count(directive, rest)?))?,
            "max_rows" => once(directive, &mut self.max_rows, Some(count(directive, rest)?))?,
            "tool" => self.tool = Some((!rest.is_empty()).then(|| rest.to_owned())),
            _ => {
                return Err(match nearest(directive, DIRECTIVES) {
                    Some(near) => format!("there is no @{directive}; did you mean @{near}?"),
                    None => {
                        format!("there is no @{directive}; there are @{}", DIRECTIVES.join(", @"))
                    }
                });
            }
        }
        Ok(())
    }
}

/// The directive of a line, if it is one.
pub(super) fn directive(line: &str) -> Option<&'static str> {
    let name = line.trim().strip_prefix('@')?.split_whitespace().next()?;
    DIRECTIVES.into_iter().find(|directive| *directive == name)
}

fn once<T>(directive: &str, place: &mut Option<T>, value: Option<T>) -> Result<(), String> {
    if place.is_some() {
        return Err(format!("@{directive} is given twice"));
    }
    *place = value;
    Ok(())
}

fn flag(directive: &str, rest: &str) -> Result<bool, String> {
    match rest {
        "" => Ok(true),
        _ => Err(format!("@{directive} must stand alone on its line")),
    }
}

fn count(directive: &str, rest: &str) -> Result<u64, String> {
    let number = rest.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("@{directive} takes a whole number, 1 or more"))
}

fn timeout(text: &str) -> Result<Duration, String> {
    duration(text).ok_or_else(|| "@timeout takes a duration such as 500ms, 5s or 2m".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::canned::declared::Given;

    fn header(text: &str) -> Result<Header, Wrong> {
        let mut offset = 0;
        let lines: Vec<Line<'_>> = text
            .split('\n')
            .map(|text| {
                let line = Line { text, offset };
                offset += text.len() + 1;
                line
            })
            .collect();
        read(lines)
    }

    #[test]
    fn a_header_is_read_whole() {
        let header = header(
            " The characters of a film\n and who played them.\n \n @title Who played whom\n \
             @param title text: part of the title: any part\n     of it\n \
             @param limit integer = 20 {\"minimum\": 1, \"maximum\": 100}: most rows\n \
             @param since timestamp with time zone = '2020-01-01 10:00': from then on\n \
             @param kind text = null\n @param ids integer[]?\n @param more?\n @param price numeric(10, 2)\n \
             @param tenant = claim:tenant_id\n @param plain\n @param near int=5: no spaces\n \
             @param none text = NULL\n @param object jsonb = {\"a\": {\"b\": 1}} {\"maxLength\": 9}: an object\n \
             @roles analyst, operator\n @timeout 2s\n @limit 50",
        )
        .unwrap();
        assert_eq!(
            header.description.as_deref(),
            Some("The characters of a film\nand who played them.")
        );
        assert_eq!(header.title.as_deref(), Some("Who played whom"));
        assert_eq!(header.roles.unwrap(), ["analyst", "operator"]);
        assert_eq!(header.timeout, Some(Duration::from_secs(2)));
        assert_eq!(header.limit, Some(50));
        assert!(!header.writes);
        let all: Vec<_> = header
            .parameters
            .iter()
            .map(|p| (&*p.name, p.type_name.as_deref(), p.given.clone(), p.description.as_deref()))
            .collect();
        let default = |value| Given::Default(value);
        assert_eq!(
            all,
            [
                ("title", Some("text"), Given::Required, Some("part of the title: any part of it")),
                ("limit", Some("integer"), default(json!(20)), Some("most rows")),
                (
                    "since",
                    Some("timestamp with time zone"),
                    default(json!("2020-01-01 10:00")),
                    Some("from then on")
                ),
                ("kind", Some("text"), default(Value::Null), None),
                ("ids", Some("integer[]"), default(Value::Null), None),
                ("more", None, default(Value::Null), None),
                ("price", Some("numeric(10, 2)"), Given::Required, None),
                ("tenant", None, Given::Claim("tenant_id".into()), None),
                ("plain", None, Given::Required, None),
                ("near", Some("int"), default(json!(5)), Some("no spaces")),
                ("none", Some("text"), default(Value::Null), None),
                ("object", Some("jsonb"), default(json!({"a": {"b": 1}})), Some("an object")),
            ]
        );
    }

    #[test]
    fn a_text_that_begins_like_a_claim_stands_in_quotes() {
        let text =
            " @param a text = 'claim:x'\n @param b text = claimant\n @param c: the claim: which";
        let header = header(text).unwrap();
        let given: Vec<_> = header.parameters.iter().map(|p| p.given.clone()).collect();
        let texts = ["claim:x", "claimant"].map(|text| Given::Default(json!(text)));
        assert_eq!(given[..2], texts);
        assert_eq!(given[2], Given::Required);
    }

    #[test]
    fn an_apostrophe_swallows_no_rules() {
        let text = " @param q text = it's {\"maxItems\": 3} : what it's\n @param r = 'a''b: {'";
        let header = header(text).unwrap();
        let [q, r] = header.parameters.as_slice() else { panic!("two parameters") };
        assert_eq!(
            (&q.given, &r.given),
            (&Given::Default(json!("it's")), &Given::Default(json!("a'b: {")))
        );
        assert_eq!((q.rules.max_items, q.description.as_deref()), (Some(3), Some("what it's")));
    }

    #[test]
    fn what_stands_further_in_than_a_parameter_goes_on_with_it() {
        for (text, parameter, description) in [
            // The usual indentation in a function's comment.
            (
                "\n  Moves money.\n  @tool\n  @param a: how\n    much\n  Returns it.",
                Some("how much"),
                "Moves money.\nReturns it.",
            ),
            ("@param a: how\n  much\nMoves money.\n  Now.", Some("how much"), "Moves money.\nNow."),
            ("@param a: how\n@roles x\n  Moves money.", Some("how"), "Moves money."),
            ("@param a\n much", Some("much"), ""),
        ] {
            let header = header(text).unwrap();
            assert_eq!(header.parameters[0].description.as_deref(), parameter, "{text}");
            assert_eq!(header.description.unwrap_or_default(), description, "{text}");
        }
    }

    #[test]
    fn a_tool_is_marked_on_a_line_of_its_own_or_beside_its_description() {
        for (text, tool, description) in [
            ("Moves money.\n@tool", Some(None), Some("Moves money.")),
            ("@tool transfer\nMoves money.", Some(Some("transfer")), Some("Moves money.")),
            ("@tool Moves money.", Some(None), Some("Moves money.")),
            ("Moves money. @tool", Some(None), Some("Moves money.")),
            ("Not a @tool.", None, Some("Not a @tool.")),
            ("mail@tool", None, Some("mail@tool")),
        ] {
            let header = header(text).unwrap();
            assert_eq!(header.tool.as_ref().map(Option::as_deref), tool, "{text}");
            assert_eq!(header.description.as_deref(), description, "{text}");
        }
    }

    #[test]
    fn a_wrong_line_says_what_would_be_right() {
        for (text, message, offset) in [
            (" x\n @parm a", "there is no @parm; did you mean @param?", 4),
            (" @param 1a text", "\"1a\" is not a parameter name", 1),
            (" @param a text =", "there is no default after =", 1),
            (" @param a text\n @param a", "the parameter a is declared twice", 16),
            (" @param a text {minimum: 1}", "is not JSON such as", 1),
            (" @param a text {\"maxmum\": 1}", "did you mean maximum?", 1),
            (" @param a = claim: tenant", "this is no claim: write = claim:NAME", 1),
            (" @param a text = claim: tenant", "this is no claim", 1),
            (" @param a = claim:", "this is no claim", 1),
            (" @param a = claim :tenant", "this is no claim", 1),
            (" @param a = Claim:tenant", "this is no claim", 1),
            (" @param a = claims:tenant", "this is no claim", 1),
            (" @param a = claim.tenant", "this is no claim", 1),
            (" @param a: claim:tenant", "this is no claim", 1),
            (" @param a: = claim:tenant", "this is no claim", 1),
            (" @param a: =claim: tenant", "this is no claim", 1),
            (" @param a text == claim:tenant", "this is no claim", 1),
            (" @timeout soon", "a duration such as", 1),
            (" @limit 0", "a whole number, 1 or more", 1),
            (" @writes yes", "@writes must stand alone", 1),
        ] {
            let wrong = header(text).unwrap_err();
            assert!(wrong.message.contains(message), "{text}: {}", wrong.message);
            assert_eq!(wrong.offset, offset, "{text}");
        }
    }
}
