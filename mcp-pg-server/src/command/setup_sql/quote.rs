//! Quotes texts for the printed SQL.

/// A text as a string literal.
pub(super) fn literal(text: &str) -> String {
    // E'' does not depend on standard_conforming_strings.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A list of texts as string literals.
pub(super) fn literals(texts: &[String]) -> String {
    let literals: Vec<String> = texts.iter().map(|text| literal(text)).collect();
    literals.join(", ")
}

/// A DO statement with this body, in dollar quotes whose tag is not in the body.
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
