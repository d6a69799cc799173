//! The select list of a view in the text of PostgreSQL's query tree: which columns it shows unchanged.
//!
//! The text is a nest of `{NODE :field value …}` and `(…)`; a backslash takes the meaning from what follows.
//! Only the fields of the outermost query's target entries are looked at, which every version has.

/// A column of a select list that is a column of some relation, unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    /// Its number in the select list.
    pub(super) number: i16,
    /// The relation's OID.
    pub(super) table: u32,
    /// The column's number there.
    pub(super) column: i16,
}

/// The shown columns of the outermost query.
pub(super) fn shown(tree: &str) -> Vec<Shown> {
    const QUERY: usize = 1;
    const ENTRY: usize = 2;
    let mut found = Vec::new();
    let mut depth: usize = 0;
    let mut in_list = false;
    let mut field = "";
    let (mut number, mut table, mut column, mut junk) = (0, 0, 0, false);
    for token in tokens(tree) {
        match token {
            "{" => {
                depth += 1;
                if depth == ENTRY {
                    (number, table, column, junk) = (0, 0, 0, false);
                }
            }
            "}" => {
                if in_list && depth == ENTRY && table != 0 && column > 0 && !junk {
                    found.push(Shown { number, table, column });
                }
                depth = depth.saturating_sub(1);
            }
            token if depth == QUERY && token.starts_with(':') => in_list = token == ":targetList",
            token if in_list && depth == ENTRY => match field {
                ":resno" => number = token.parse().unwrap_or_default(),
                ":resorigtbl" => table = token.parse().unwrap_or_default(),
                ":resorigcol" => column = token.parse().unwrap_or_default(),
                ":resjunk" => junk = token == "true",
                _ => {}
            },
            _ => {}
        }
        field = token;
    }
    found
}

/// Braces and parentheses, and the words between them.
fn tokens(tree: &str) -> impl Iterator<Item = &str> {
    let bracket = |c: char| matches!(c, '{' | '}' | '(' | ')');
    let mut rest = tree;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let mut escaped = false;
        let end = match bracket(first) {
            true => 1,
            false => rest
                .find(|c: char| {
                    let plain = !escaped;
                    escaped = plain && c == '\\';
                    plain && (bracket(c) || c.is_whitespace())
                })
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

#[cfg(test)]
mod tests {
    use super::{Shown, shown};

    #[test]
    fn only_the_outermost_list_counts() {
        let entry = |number: i32, name: &str, expression: &str, origin: &str, junk: bool| {
            format!(
                "{{TARGETENTRY :expr {expression} :resno {number} :resname {name} \
                 :ressortgroupref 0 {origin} :resjunk {junk}}} "
            )
        };
        let origin = |table: u32, column: i16| format!(":resorigtbl {table} :resorigcol {column}");
        let var = "{VAR :varno 1}";
        let inner = format!("{{QUERY :targetList ({})}}", entry(1, "x", var, &origin(9, 9), false));
        let tree = [
            "({QUERY :cteList <> :rtable ({RANGETBLENTRY :subquery ".to_owned(),
            inner.clone(),
            "}) :targetList (".to_owned(),
            entry(1, "a\\ \\}b", var, &origin(16, 2), false),
            entry(2, "c", &format!("{{SUBLINK :subselect {inner}}}"), &origin(0, 0), false),
            entry(3, "d", var, &origin(16, 4), true),
            entry(4, "e", var, &origin(17, 1), false),
            ") :sortClause ({SORTGROUPCLAUSE :resno 7 :resorigtbl 5 :resorigcol 5})})".to_owned(),
        ];
        assert_eq!(
            shown(&tree.concat()),
            [Shown { number: 1, table: 16, column: 2 }, Shown { number: 4, table: 17, column: 1 }]
        );
        assert_eq!(shown(""), []);
        assert_eq!(shown("}}} :targetList {{{ \\"), []);
    }
}
