//! Texts in SQL that a person will run.

/// A text as SQL takes it.
pub(super) fn literal(text: &str) -> String {
    // E'' reads backslashes the same whatever standard_conforming_strings is.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A DO statement of this body, between dollar quotes whose tag it does not contain.
pub(super) fn block(body: &str) -> String {
    let mut tag = String::from("$mcp_pg");
    while body.contains(&tag) {
        tag.push('_');
    }
    format!("DO {tag}${body}{tag}$;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_does_not_end_within_its_body() {
        assert_eq!(block("x"), "DO $mcp_pg$x$mcp_pg$;");
        assert_eq!(block("$mcp_pg$"), "DO $mcp_pg_$$mcp_pg$$mcp_pg_$;");
        assert_eq!(block("x$mcp_pg"), "DO $mcp_pg_$x$mcp_pg$mcp_pg_$;");
    }
}
