//! Texts in SQL that a person will run.

/// A text as SQL takes it.
pub(super) fn literal(text: &str) -> String {
    // E'' reads backslashes the same whatever standard_conforming_strings is.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}
