//! Comments, made safe to show.

use crate::name::is_hidden;

/// The longest comment that is kept, in characters.
pub const COMMENT_MOST: usize = 2_000;

/// The text without control, bidirectional and zero-width characters, shortened to a fixed length; `None` if nothing
/// is left.
///
/// Whoever owns a table can write its comment, so a comment must not be able to hide text from people or to flood a
/// model. Line breaks and tabs are kept.
///
/// ```
/// use mcp_pg_core::schema::clean;
///
/// assert_eq!(clean("net\u{202e}price\u{0}\u{200b}").as_deref(), Some("netprice"));
/// assert_eq!(clean(" \n"), None);
/// ```
pub fn clean(text: &str) -> Option<String> {
    let mut kept = text.chars().filter(|c| !is_hidden(*c));
    let mut out: String = kept.by_ref().take(COMMENT_MOST).collect();
    if kept.next().is_some() {
        out.push('…');
    }
    let out = out.trim();
    (!out.is_empty()).then(|| out.to_owned())
}
