//! Checks that JSON is unambiguous and a message, and finds the `id` of a malformed one.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fmt;

use rmcp::model::{JsonRpcVersion2_0, RequestId};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Value, json};

/// The most characters of a name in an error.
const NAME_MOST: usize = 64;

/// How many bytes of the largest message there may be for each value in it. Parsed, a value takes far more than it may
/// take as text.
const BYTES: usize = 8;

/// What an object or list counts for: each has room of its own.
const OPENED: usize = 4;

/// Parses any JSON without keeping it, and refuses duplicate names in an object, and more values than are left.
#[derive(Clone, Copy)]
struct Distinct<'l>(&'l Cell<usize>);

/// A name of a member, borrowed unless it has escapes.
#[derive(serde::Deserialize, PartialEq, Eq, Hash)]
struct Name<'d>(#[serde(borrow)] Cow<'d, str>);

impl Distinct<'_> {
    fn take<E: Error>(self, values: usize) -> Result<(), E> {
        match self.0.get().checked_sub(values) {
            Some(left) => self.0.set(left),
            None => {
                return Err(E::custom(
                    "it has more values than one for every 8 bytes of the largest message, of which an object or list counts as four",
                ));
            }
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Distinct<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Distinct<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.take(OPENED)?;
        let mut names = HashSet::new();
        while let Some(name) = members.next_key::<Name<'de>>()? {
            members.next_value_seed(self)?;
            if let Some(Name(name)) = names.replace(name) {
                let name: String = name.chars().take(NAME_MOST).collect();
                return Err(A::Error::custom(format!("{name:?} appears twice in an object")));
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.take(OPENED)?;
        while items.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.take(1)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.take(1)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.take(1)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.take(1)
    }
}

/// Refuses invalid JSON, and JSON with a duplicate name in an object: some programs read the first value, others the
/// last, so that the client, a proxy and this server might disagree. Also refuses more values than a message of `most`
/// bytes may have.
///
/// # Errors
///
/// What is wrong, and where in the text.
pub(crate) fn check(json: &[u8], most: usize) -> serde_json::Result<()> {
    let left = Cell::new(most / BYTES);
    let mut json = serde_json::Deserializer::from_slice(json);
    Distinct(&left).deserialize(&mut json)?;
    json.end()
}

/// Why JSON is not a message of JSON-RPC 2.0, if it is not.
pub(crate) fn misfit(json: &Value) -> Option<String> {
    #[derive(serde::Deserialize)]
    struct Message {
        #[serde(rename = "jsonrpc")]
        _version: JsonRpcVersion2_0,
        #[serde(rename = "id", default, deserialize_with = "some_id")]
        _id: Option<RequestId>,
        method: Option<String>,
        result: Option<IgnoredAny>,
        error: Option<IgnoredAny>,
    }
    // serde would take a list for the members, in order.
    if json.is_array() {
        return Some("a list".to_owned());
    }
    match Message::deserialize(json) {
        Ok(Message { method: None, result: None, error: None, .. }) => Some("no method".to_owned()),
        Ok(_) => {
            let params =
                json.get("params").filter(|params| !params.is_object() && !params.is_null());
            params.map(|_| "params must be an object".to_owned())
        }
        Err(error) => Some(error.to_string()),
    }
}

/// Parses an `id`; null is none.
fn some_id<'d, D: Deserializer<'d>>(id: D) -> Result<Option<RequestId>, D::Error> {
    RequestId::deserialize(id).map(Some)
}

/// The member of a tool call's parameters that says that its arguments are nested too deeply to be read.
pub(crate) const TOO_DEEP: &str = "tooDeep";

/// A tool call without its arguments, if their depth is what keeps the message from being read.
pub(crate) fn without_deep_arguments(json: &[u8], error: &serde_json::Error) -> Option<Value> {
    #[derive(serde::Deserialize)]
    struct Call {
        id: Value,
        jsonrpc: Value,
        method: String,
        params: Parameters,
    }
    #[derive(serde::Deserialize)]
    struct Parameters {
        name: Value,
        #[serde(rename = "arguments")]
        _arguments: IgnoredAny,
        #[serde(rename = "_meta")]
        meta: Option<Value>,
    }
    // serde_json has no other way to tell.
    if !error.to_string().starts_with("recursion limit exceeded") {
        return None;
    }
    let Call { id, jsonrpc, method, params } = serde_json::from_slice(json).ok()?;
    // A text in place of the arguments is not taken for any.
    let mut given = json!({"name": params.name, "arguments": "", TOO_DEEP: true});
    if let (Some(meta), Some(given)) = (params.meta, given.as_object_mut()) {
        given.insert("_meta".to_owned(), meta);
    }
    let call = json!({"jsonrpc": jsonrpc, "id": id, "method": method, "params": given});
    (method == "tools/call").then_some(call)
}

/// The `id` of a malformed message: that member of the outermost object, as far as it can be found.
pub(crate) fn id(line: &[u8]) -> Option<Value> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = line.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => {
                let end = text_end(line, at + 1)?;
                let rest = line.get(end..)?.trim_ascii_start();
                if depth == 1 && line.get(at..end) == Some(b"\"id\"") && rest.starts_with(b":") {
                    return value(rest.get(1..)?.trim_ascii_start());
                }
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The end of a string that begins here.
fn text_end(line: &[u8], begin: usize) -> Option<usize> {
    let mut at = begin;
    loop {
        match line.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A number or string, as an `id` is.
fn value(rest: &[u8]) -> Option<Value> {
    let end = match rest.first()? {
        b'"' => text_end(rest, 1)?,
        _ => rest.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'-')?,
    };
    // Of a fraction, the digits before the point would be another message's id.
    let ends = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}');
    rest.get(end).filter(|byte| ends(byte))?;
    serde_json::from_slice(rest.get(..end)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 4 << 20;

    #[test]
    fn values_are_counted() {
        for (value, most) in
            [("0", 1), ("\"x\"", 1), ("null", 1), ("{}", 4), ("{\"\":0}", 5), ("[]", 4)]
        {
            for (more, passes) in [(0, true), (1, false)] {
                let count = (MOST / BYTES - OPENED) / most + more;
                let list = format!("[{}]", vec![value; count].join(","));
                assert_eq!(check(list.as_bytes(), MOST).is_ok(), passes, "{count} of {value}");
            }
        }
    }

    #[test]
    fn a_name_stands_once_in_an_object() {
        for (json, distinct) in [
            (r#"{"a": 1, "b": {"a": -1, "c": [null, true, 1.5, "x"]}}"#, true),
            (r#"[{"a": 1}, {"a": 1}]"#, true),
            (r#"{"a": 1, "b": 2, "a": 1}"#, false),
            (r#"{"a": 1, "\u0061": 1}"#, false),
            (r#"{"a": [{"b": {"c": 1, "c": 2}}]}"#, false),
            ("{", false),
            ("{} {}", false),
        ] {
            assert_eq!(check(json.as_bytes(), MOST).is_ok(), distinct, "{json}");
        }
    }

    #[test]
    fn the_id_is_that_of_the_message() {
        for (line, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"params":{"id":1e400}}"#, Some(json!(7))),
            (r#"{"params":{"id":1,"x":"\ud800"},"id" : "a\"b" }"#, Some(json!("a\"b"))),
            (r#"{"params":{"where":[[[[{"id":3}]]]]}}"#, None),
            (r#"{"method":"\"id\":5"}"#, None),
            (r#"{"id":null,"#, None),
            (r#"{"id":"#, None),
            (r#"{"id":"x"#, None),
            (r#"{"id":1.5,"a":1,"a":1}"#, None),
            (r#"{"id":1e5,"a":1,"a":1}"#, None),
            (r#"{"id"}"#, None),
            ("}]\"\\", None),
            ("", None),
        ] {
            assert_eq!(id(line.as_bytes()), expected, "{line}");
        }
    }

    #[test]
    fn a_call_is_read_however_deep_its_arguments_are() {
        let call = |method: &str, arguments: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":7,"method":"{method}","params":{{"name":"select","_meta":{{"a":1}},"arguments":{arguments}}}}}"#
            )
        };
        let deep = ["[".repeat(50_000), "]".repeat(50_000)].concat();
        let read = |text: &str| {
            let error = check(text.as_bytes(), MOST).unwrap_err();
            without_deep_arguments(text.as_bytes(), &error)
        };
        let expected = json!({"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "select", "arguments": "", "tooDeep": true, "_meta": {"a": 1}}});
        assert_eq!(read(&call("tools/call", &deep)), Some(expected));
        assert_eq!(read(&call("tools/list", &deep)), None);
        assert_eq!(read(&call("tools/call", &deep[1..])), None);
        assert_eq!(read(&call("tools/call", r#"{"a":1,"a":2}"#)), None);
    }
}
