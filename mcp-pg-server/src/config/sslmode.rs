//! Parses `sslmode`, `sslrootcert` and `gssencmode`, which the driver does not support as libpq does, out of a
//! connection string.

use percent_encoding::percent_decode_str;

/// The TLS parameters of a connection string.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) mode: Option<String>,
    pub(super) root_certificate: Option<String>,
}

impl Asked {
    /// Stores the value, if it is one of these parameters.
    fn take(&mut self, key: &str, value: String) -> bool {
        match key {
            // GSSAPI encryption is not supported, so only `require` is an error.
            "gssencmode" => return value != "require",
            "sslmode" => self.mode = Some(value),
            "sslrootcert" => self.root_certificate = Some(value),
            _ => return false,
        }
        true
    }
}

/// Splits a connection string into the other parameters and these.
pub(super) fn split(text: &str) -> (String, Asked) {
    let mut asked = Asked::default();
    let is_url = text.starts_with("postgres://") || text.starts_with("postgresql://");
    let rest = match text.split_once('?') {
        Some((url, query)) if is_url => {
            let kept: Vec<&str> = query
                .split('&')
                .filter(|pair| {
                    let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                    let value = percent_decode_str(value).decode_utf8_lossy();
                    !asked.take(key, value.into_owned())
                })
                .collect();
            if kept.is_empty() { url.to_owned() } else { format!("{url}?{}", kept.join("&")) }
        }
        _ if is_url => text.to_owned(),
        _ => {
            let mut kept = String::new();
            let mut left = text.trim_start();
            while let Some((pair, key, value, after)) = pair(left) {
                if !asked.take(key, value) {
                    kept.push_str(pair);
                    kept.push(' ');
                }
                left = after;
            }
            // The driver reports malformed pairs.
            kept + left
        }
    };
    (rest, asked)
}

/// The first `key = value`: its text, the key, the value without quotes, and the rest.
fn pair(text: &str) -> Option<(&str, &str, String, &str)> {
    let (key, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let mut value = String::new();
    let mut characters = rest.char_indices().peekable();
    let quoted = characters.next_if(|(_, c)| *c == '\'').is_some();
    let mut end = rest.len();
    while let Some((at, c)) = characters.next() {
        match c {
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => {
                end = at + 1;
                break;
            }
            c if !quoted && c.is_whitespace() => {
                end = at;
                break;
            }
            c => value.push(c),
        }
    }
    let after = rest.get(end..)?;
    let whole = text.get(..text.len() - after.len())?;
    Some((whole, key.trim(), value, after.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sslmode_and_sslrootcert_are_taken_out_of_urls_and_pairs() {
        for (text, rest, mode, root) in [
            ("postgres://a@h/d", "postgres://a@h/d", None, None),
            ("postgres://a@h/d?sslmode=verify-full", "postgres://a@h/d", Some("verify-full"), None),
            (
                "postgresql://h/d?connect_timeout=3&sslrootcert=%2Fca%20x.pem&sslmode=require&options=-c",
                "postgresql://h/d?connect_timeout=3&options=-c",
                Some("require"),
                Some("/ca x.pem"),
            ),
            ("postgres://h/d?gssencmode=prefer", "postgres://h/d", None, None),
            ("host=h gssencmode=require", "host=h gssencmode=require", None, None),
            ("host=h sslmode=disable user=a", "host=h user=a", Some("disable"), None),
            (
                r"password = 'a b\' sslmode=no' sslrootcert='/c a.pem' host=h",
                r"password = 'a b\' sslmode=no' host=h",
                None,
                Some("/c a.pem"),
            ),
            ("host=h sslmode", "host=h sslmode", None, None),
            ("", "", None, None),
        ] {
            let (kept, asked) = split(text);
            assert_eq!(kept.trim_end(), rest, "{text}");
            assert_eq!((asked.mode.as_deref(), asked.root_certificate.as_deref()), (mode, root));
        }
    }
}
