//! The transcripts in the documentation: each call in them gets the documented reply.
//!
//! A call is a block of `js`, its reply the following block of `json`. In a reply, `"…"` matches any value, any
//! further elements at the end of an array, and as a key any further members. All times match each other.

use serde_json::{Map, Value};

/// A tool call in a document, and the reply that it shows.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) tool: String,
    pub(crate) arguments: Value,
    pub(crate) reply: Value,
}

/// The exchanges of a document, in order.
pub(crate) fn read(document: &str) -> Vec<Exchange> {
    let mut exchanges = Vec::new();
    let mut blocks = document.split("\n```").skip(1).step_by(2);
    while let Some(block) = blocks.next() {
        let Some(call) = block.strip_prefix("js\n") else { continue };
        let (tool, arguments) = call.trim().split_once('(').expect("a call");
        let arguments = arguments.strip_suffix(')').expect("the end of a call");
        let reply = blocks.next().and_then(|block| block.strip_prefix("json\n"));
        let reply = reply.unwrap_or_else(|| panic!("no reply to {call}"));
        exchanges.push(Exchange {
            tool: tool.to_owned(),
            arguments: serde_json::from_str(arguments).unwrap_or_else(|e| panic!("{e}: {call}")),
            reply: serde_json::from_str(reply).unwrap_or_else(|e| panic!("{e}: {reply}")),
        });
    }
    exchanges
}

/// Whether a reply is what a document shows.
pub(crate) fn matches(shown: &Value, real: &Value) -> bool {
    const MORE: &str = "…";
    match (shown, real) {
        (Value::String(shown), _) if shown == MORE => true,
        (Value::String(shown), Value::String(real)) => {
            shown == real || (is_moment(shown) && is_moment(real))
        }
        (Value::Array(shown), Value::Array(real)) => match shown.split_last() {
            Some((Value::String(last), first)) if last == MORE => {
                first.len() <= real.len() && first.iter().zip(real).all(|(s, r)| matches(s, r))
            }
            _ => shown.len() == real.len() && shown.iter().zip(real).all(|(s, r)| matches(s, r)),
        },
        (Value::Object(shown), Value::Object(real)) => {
            let mut named: Map<String, Value> = shown.clone();
            let whole = named.shift_remove(MORE).is_none();
            (!whole || named.len() == real.len())
                && named.iter().all(|(k, s)| real.get(k).is_some_and(|r| matches(s, r)))
        }
        _ => shown == real,
    }
}

/// `2026-01-02T03:04:05.678Z`
fn is_moment(text: &str) -> bool {
    let form: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    form.starts_with("0000-00-00T00:00:00") && form.ends_with('Z')
}
