//! An estimate of a text's length in tokens.

/// About how many tokens a text has: those of common models' vocabularies, or some more.
///
/// Five letters are a token, as are three digits; marks and letters beyond ASCII stand alone.
pub(super) fn tokens(text: &str) -> usize {
    let mut tokens = 0;
    let (mut letters, mut digits) = (0_usize, 0_usize);
    for c in text.chars() {
        letters = if c.is_ascii_alphabetic() { letters + 1 } else { 0 };
        digits = if c.is_ascii_digit() { digits + 1 } else { 0 };
        tokens += match (letters, digits) {
            (0, 0) => usize::from(c != ' '),
            (0, digits) => usize::from(digits % 3 == 1),
            (letters, _) => usize::from(letters % 5 == 1),
        };
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With the numbers of OpenAI's `cl100k_base`.
    #[test]
    fn no_text_has_many_more_or_fewer() {
        for (text, known) in [
            ("\"wide_0407\", ", 7),
            (
                "- \"wide_0393\" (0 rows); one \"key_0\", \"key_1\", \"key_2\", \"key_3\"; many \"wide_0403\", \
                 \"wide_0410\", \"wide_0417\"; \"Table 393 of 1000\"\n",
                60,
            ),
            ("\"Orders of users; their lines are in order_items.\"", 12),
            ("\"CustomerOrderLineItems\", \"tblInvHdrRef\", \"nicer_but_slower_film_list\"", 22),
            ("\"جدول_العملاء\", ", 12),
            ("\"Größenübersicht\"", 8),
        ] {
            let guessed = tokens(text);
            assert!(
                (known..=known + known / 2).contains(&guessed),
                "{guessed}, not {known}: {text}"
            );
        }
    }
}
