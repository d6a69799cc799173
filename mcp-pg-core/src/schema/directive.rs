//! Directives: a last line `@mcp {…}` in a COMMENT, with instructions for this server about the object.
//!
//! Whoever owns an object can write its comment. So directives are first read as text, and take effect only if the
//! configuration trusts the object's owner: see [`Schema::obeying`].

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Key, Schema, Table, TableKind, clean};

/// A directive as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Directive {
    /// The object that it describes.
    pub subject: Subject,
    /// The JSON text.
    pub text: String,
}

/// The object that a [`Directive`] describes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The table itself.
    Table,
    /// A column.
    Column(String),
    /// A foreign key.
    ForeignKey(String),
}

/// What directives say about a column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ColumnHints {
    /// The column does not exist for callers, unless a grant names it.
    pub hidden: bool,
    /// Values are personal or confidential: the audit log records who read them.
    pub sensitive: bool,
    /// Values were written by outsiders.
    pub untrusted: bool,
    /// Example values.
    pub examples: Vec<Value>,
    /// The unit of its numbers.
    pub unit: Option<String>,
}

/// The short names that a directive gives to a foreign key's relations.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct RelationNames {
    /// The relation to the referenced row.
    pub to_one: Option<String>,
    /// The relation to the referencing rows.
    pub to_many: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTable {
    key: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct OfColumn {
    hidden: bool,
    sensitive: bool,
    untrusted: bool,
    examples: Vec<Value>,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
struct OfForeignKey {
    relation: Option<String>,
    inverse: Option<String>,
}

const MARK: &str = "@mcp";
const EXAMPLES_MOST: usize = 10;
/// The most characters of a name, unit or example.
const TEXT_MOST: usize = 63;

/// Splits a comment into its text and the JSON text of the directive in its last line, if there is one.
pub(super) fn split(comment: &str) -> (&str, Option<&str>) {
    let comment = comment.trim_end();
    let (rest, line) = comment.rsplit_once('\n').unwrap_or(("", comment));
    match line.trim_start().strip_prefix(MARK) {
        Some(json)
            if json.is_empty() || json.starts_with(|c: char| c.is_whitespace() || c == '{') =>
        {
            (rest, Some(json.trim()))
        }
        _ => (comment, None),
    }
}

impl Schema {
    /// The schema with the directives of these owners' objects applied. All other directives are dropped.
    pub fn obeying(mut self, owners: &[String]) -> Self {
        let (mut faults, mut distrusted) = (Vec::new(), BTreeSet::new());
        let mut obeyed = false;
        for table in &mut self.tables {
            for directive in std::mem::take(&mut table.directives) {
                if !owners.contains(&table.owner) {
                    distrusted.insert(table.owner.clone());
                    continue;
                }
                let fault = match &directive.subject {
                    Subject::Table => of_table(table, &directive.text),
                    Subject::Column(name) => of_column(table, name, &directive.text),
                    Subject::ForeignKey(name) => of_foreign_key(table, name, &directive.text),
                };
                match fault {
                    Ok(()) => obeyed = true,
                    Err(reason) => {
                        let part = match &directive.subject {
                            Subject::Table => String::new(),
                            Subject::Column(name) | Subject::ForeignKey(name) => format!(".{name}"),
                        };
                        faults.push(format!("comment on {}{part}: {MARK}: {reason}", table.name));
                    }
                }
            }
        }
        let directives = Directives { faults, distrusted: distrusted.into_iter().collect() };
        if !obeyed {
            return Self { directives, ..self };
        }
        // Relations and their names depend on keys and directives.
        let mut renewed = Self { directives, ..self }.renewed();
        let taken = renewed.unnamed_by_directives();
        renewed.directives.faults.extend(taken);
        renewed
    }

    /// The names that directives give to relations, but that are already taken.
    fn unnamed_by_directives(&self) -> Vec<String> {
        let tables = self.tables.iter().enumerate();
        let keys = tables
            .flat_map(|(from, table)| table.foreign_keys.iter().map(move |key| (from, table, key)));
        let faults = keys.flat_map(|(from, table, key)| {
            let taken = self.taken(from, key, ["relation", "inverse"]).into_iter();
            taken.map(move |taken| {
                format!("comment on {}.{}: {MARK}: {taken}", table.name, key.name)
            })
        });
        faults.collect()
    }
}

/// The result of applying the directives of a [`Schema`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// Messages about directives that could not be read. They have no effect.
    pub faults: Vec<String>,
    /// Owners who are not trusted, and whose directives were dropped.
    pub distrusted: Vec<String>,
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn of_table(table: &mut Table, text: &str) -> Result<(), String> {
    let OfTable { key } = parse(text)?;
    let is_view = matches!(table.kind, TableKind::View | TableKind::MaterializedView);
    if table.primary_key.is_some() && !is_view {
        return Err("the table has a primary key".to_owned());
    }
    let position = |name: &String| {
        let found = table.column(name).map(|(position, _)| position);
        found.ok_or_else(|| format!("there is no column {name:?}"))
    };
    let columns = key.iter().map(position).collect::<Result<Vec<_>, _>>()?;
    if columns.is_empty() {
        return Err("a key has columns".to_owned());
    }
    // The directive's key becomes the primary key. The primary key that a view shows of its table stays as a unique
    // key.
    table.unique_keys.extend(table.primary_key.take());
    let same = |key: &Key| {
        key.columns.len() == columns.len() && columns.iter().all(|c| key.columns.contains(c))
    };
    let key = match table.unique_keys.iter().position(same) {
        Some(known) => table.unique_keys.remove(known),
        None => {
            Key { name: String::new(), columns, arbiter: false, nulls_equal: true, comment: None }
        }
    };
    table.primary_key = Some(key);
    Ok(())
}

fn of_column(table: &mut Table, name: &str, text: &str) -> Result<(), String> {
    let OfColumn { hidden, sensitive, untrusted, examples, unit } = parse(text)?;
    if examples.len() > EXAMPLES_MOST {
        return Err(format!("there may be {EXAMPLES_MOST} examples"));
    }
    for example in &examples {
        match example {
            Value::String(text) => shown(text)?,
            other => shown(&other.to_string())?,
        }
    }
    unit.as_deref().map_or(Ok(()), shown)?;
    if let Some(column) = table.columns.iter_mut().find(|column| column.name == name) {
        column.hints = ColumnHints { hidden, sensitive, untrusted, examples, unit };
    }
    Ok(())
}

fn of_foreign_key(table: &mut Table, name: &str, text: &str) -> Result<(), String> {
    let OfForeignKey { relation, inverse } = parse(text)?;
    for name in [&relation, &inverse].into_iter().flatten() {
        shown(name)?;
        if name.contains('.') {
            return Err(format!("{name:?}: a relation's name has no dot"));
        }
    }
    if let Some(key) = table.foreign_keys.iter_mut().find(|key| key.name == name) {
        key.relation_names = RelationNames { to_one: relation, to_many: inverse };
    }
    Ok(())
}

/// Refuses a text with characters that must not be shown, or that is too long.
fn shown(text: &str) -> Result<(), String> {
    match clean(text) {
        Some(same) if same == text && text.chars().count() <= TEXT_MOST => Ok(()),
        _ => Err(format!("{text:?} is empty, longer than {TEXT_MOST} characters, or hides some")),
    }
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn only_the_last_line_is_a_directive() {
        for (comment, text, directive) in [
            ("A price.\n@mcp {\"unit\": \"EUR\"}", "A price.", Some("{\"unit\": \"EUR\"}")),
            ("A price.\r\n  @mcp{} \n", "A price.\r", Some("{}")),
            ("@mcp {\"hidden\": true}", "", Some("{\"hidden\": true}")),
            ("A price.\n@mcp", "A price.", Some("")),
            ("A price.\n@mcp nonsense", "A price.", Some("nonsense")),
            ("Ask the team @mcp {}", "Ask the team @mcp {}", None),
            ("@mcp {}\nA price.", "@mcp {}\nA price.", None),
            ("A price.\n@mcpx {}", "A price.\n@mcpx {}", None),
            ("", "", None),
        ] {
            assert_eq!(split(comment), (text, directive), "{comment:?}");
        }
    }
}
