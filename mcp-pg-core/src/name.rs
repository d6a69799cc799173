//! Names of tables, and which known name a mistyped one was meant to be.
//!
//! Knows spelling only: whether a name exists is up to `schema`, and whether a caller may know it up to `policy`.

use std::fmt;

/// The schema and name of a table, spelled as the catalogue has them.
///
/// ```
/// use mcp_pg_core::TableName;
///
/// let name = TableName::new("public", "Order Lines");
/// assert_eq!(name.to_string(), "public.Order Lines");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableName {
    /// The schema's name, unquoted.
    pub schema: String,
    /// The table's name, unquoted.
    pub name: String,
}

impl TableName {
    /// A name from its two parts, both unquoted.
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Self {
        Self { schema: schema.into(), name: name.into() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [&self.schema, ".", &self.name].into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// A name quoted as an SQL identifier.
///
/// ```
/// assert_eq!(mcp_pg_core::name::quoted("a \"b\""), "\"a \"\"b\"\"\"");
/// ```
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let halves = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    let mut text = String::with_capacity(2 * bytes.len());
    text.extend(halves.filter_map(|half| char::from_digit(half.into(), 16)));
    text
}

/// Whether a character is invisible or changes how others are displayed: control, bidirectional and zero-width characters,
/// except line breaks and tabs.
pub(crate) fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text in one line, for logs and terminals: invisible characters and line breaks are escaped.
///
/// ```
/// assert_eq!(mcp_pg_core::name::in_a_line("a\nb\u{1b}[31m"), "a\\u{a}b\\u{1b}[31m");
/// ```
pub fn in_a_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || is_hidden(c) {
            true => line.extend(c.escape_unicode()),
            false => line.push(c),
        }
    }
    line
}

/// The known name that `given` was probably meant to be, if one is near enough.
///
/// Case is ignored. Up to a third of the letters may differ, or two if that is more; in names of up to four letters, two only
/// if the first one is the same. If no name is that near, it is the only name that begins or ends with `given` as a word, or else the only one that
/// begins with it, or with words that differ from it in one letter. Pass only names that the caller may know.
///
/// ```
/// use mcp_pg_core::name::nearest;
///
/// assert_eq!(nearest("custmers", ["orders", "customers"]), Some("customers"));
/// assert_eq!(nearest("country", ["billing_country", "billing_city"]), Some("billing_country"));
/// assert_eq!(nearest("ord", ["bad", "orders"]), Some("orders"));
/// assert_eq!(nearest("suplier", ["supplier_id", "sku"]), Some("supplier_id"));
/// assert_eq!(nearest("zebra", ["orders", "customers"]), None);
/// ```
pub fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a longer name, and the distance is quadratic in the length.
    const LONGEST: usize = 128;
    if given.chars().count() > LONGEST {
        return None;
    }
    let given = given.to_lowercase();
    let length = given.chars().count();
    let most = (length / 3).max(2);
    // Half of a short name is no misspelling of it, unless it begins alike.
    let likely = |distance: usize, lower: &str| {
        length > 4 || distance < 2 || lower.chars().next() == given.chars().next()
    };
    let known: Vec<(&str, String)> = known
        .into_iter()
        .filter(|name| name.len() <= LONGEST)
        .map(|name| (name, name.to_lowercase()))
        .collect();
    let near = known
        .iter()
        .map(|(name, lower)| (strsim::damerau_levenshtein(&given, lower), *name, lower))
        .filter(|(distance, name, _)| *distance <= most && *distance < name.chars().count())
        .filter(|(distance, _, lower)| likely(*distance, lower))
        .min_by_key(|(distance, ..)| *distance)
        .map(|(_, name, _)| name);
    let only = |is_longer: &dyn Fn(&str) -> bool| {
        let mut longer = known.iter().filter(|(_, lower)| is_longer(lower));
        longer.next().filter(|_| longer.next().is_none()).map(|(name, _)| *name)
    };
    let (first, last) = (format!("{given}_"), format!("_{given}"));
    near.or_else(|| only(&|lower| lower.starts_with(&first) || lower.ends_with(&last)))
        .or_else(|| only(&|lower| length > 2 && lower.starts_with(&given)))
        .or_else(|| only(&|lower| length > 4 && begins_like(lower, &given)))
}

/// Whether the first words of a name differ from `given` in one letter.
fn begins_like(name: &str, given: &str) -> bool {
    let ends = name.match_indices('_').filter(|(end, _)| end.abs_diff(given.len()) <= 4);
    ends.map(|(end, _)| &name[..end]).any(|words| strsim::damerau_levenshtein(words, given) <= 1)
}

/// A name as an error message shows it: quoted, and cut if it is very long.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    match name.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}", format!("{}…", &name[..end])),
        None => format!("{name:?}"),
    }
}
