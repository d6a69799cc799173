//! Diagrams in Mermaid's syntax for entity-relationship diagrams.

use std::fmt::Write as _;

use super::{Diagram, Entity};

impl Diagram {
    /// The text. After `most` bytes it is cut, with a line that says so.
    pub(crate) fn mermaid(&self, most: usize) -> String {
        let mut text = String::from("erDiagram\n");
        for (position, table) in self.tables.iter().enumerate() {
            let part = entity(table);
            if text.len() + part.len() > most {
                let _ = writeln!(text, "    %% cut: {} more tables", self.tables.len() - position);
                break;
            }
            text.push_str(&part);
        }
        text
    }
}

/// A table with its columns, and a line for each reference.
fn entity(table: &Entity) -> String {
    let name = quoted(&table.name);
    let mut part = format!("    {name} {{\n");
    for column in &table.columns {
        let key = match (column.primary, column.foreign) {
            (true, true) => " PK,FK",
            (true, false) => " PK",
            (false, true) => " FK",
            (false, false) => "",
        };
        let _ = writeln!(part, "        {} {}{key}", word(&column.type_name), word(&column.name));
    }
    part.push_str("    }\n");
    for reference in &table.references {
        let one = if reference.optional { "o|" } else { "||" };
        let many = if reference.unique { "|o" } else { "}o" };
        let (other, label) = (quoted(&reference.table), quoted(&reference.label));
        let _ = writeln!(part, "    {name} {many}--{one} {other} : {label}");
    }
    part
}

/// Words that Mermaid takes for a kind of key wherever an attribute is possible, in any case.
const KEYS: [&str; 3] = ["pk", "fk", "uk"];

/// A quoted name, without characters that end a quotation or a line or begin a comment or HTML tag.
fn quoted(name: &str) -> String {
    let odd = |c: char| matches!(c, '"' | '%' | '\\' | '<' | '>') || c.is_control();
    let name: String = name.chars().map(|c| if odd(c) { '_' } else { c }).collect();
    format!("\"{name}\"")
}

/// A word for types and attributes: it begins with a letter, contains no spaces, and is none of [`KEYS`].
fn word(name: &str) -> String {
    let mut word: String =
        name.chars().map(|c| if c.is_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !word.starts_with(|c: char| c.is_alphabetic()) {
        word.insert(0, 'x');
    }
    if KEYS.iter().any(|key| key.eq_ignore_ascii_case(&word)) {
        word.push('_');
    }
    word
}

#[cfg(test)]
mod tests {
    use super::super::{Attribute, Reference};
    use super::*;

    #[test]
    fn names_that_mean_something_to_mermaid_are_others() {
        for (name, expected) in [
            ("pk", "pk_"),
            ("FK", "FK_"),
            ("Uk", "Uk_"),
            ("pkg", "pkg"),
            ("my pk", "my_pk"),
            ("1st", "x1st"),
            ("größe", "größe"),
            ("%", "x_"),
        ] {
            assert_eq!(word(name), expected);
        }
        for (name, expected) in [
            ("<script>", "\"_script_\""),
            ("50% off", "\"50_ off\""),
            ("a\\b", "\"a_b\""),
            ("say \"x\"\n", "\"say _x__\""),
        ] {
            assert_eq!(quoted(name), expected);
        }
    }

    #[test]
    fn a_table_with_keys_and_references() {
        let column = |name: &str, type_name: &str, primary, foreign| Attribute {
            name: name.into(),
            type_name: type_name.into(),
            primary,
            foreign,
        };
        let table = Entity {
            name: "sales.Order \"Lines\"".into(),
            columns: vec![
                column("id", "integer", true, false),
                column("film id", "character varying(10)", false, true),
            ],
            references: [(true, false), (false, true)]
                .map(|(optional, unique)| Reference {
                    label: "film".into(),
                    table: "film".into(),
                    optional,
                    unique,
                })
                .into(),
        };
        assert_eq!(
            entity(&table),
            "    \"sales.Order _Lines_\" {\n\
             \x20       integer id PK\n\
             \x20       character_varying_10_ film_id FK\n\
             \x20   }\n\
             \x20   \"sales.Order _Lines_\" }o--o| \"film\" : \"film\"\n\
             \x20   \"sales.Order _Lines_\" |o--|| \"film\" : \"film\"\n"
        );
    }
}
