//! What revision 2026-07-28 asks of messages over HTTP and rmcp does not do.

use std::convert::Infallible;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, StatusCode};
use http_body_util::combinators::BoxBody;
use rmcp::model::ProtocolVersion;
use serde_json::Value;

use super::unread;

const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const INITIALIZE: &str = "initialize";

/// Adds the header `Mcp-Method` to a notification, of which it is not required. Returns the `id` of an `initialize`, a method
/// that the revision has no more.
pub(super) fn fit(head: &mut Parts, body: &[u8]) -> Option<Value> {
    let newest = ProtocolVersion::V_2026_07_28;
    if head.headers.get(VERSION).is_none_or(|version| version != newest.as_str()) {
        return None;
    }
    let named = head.headers.get(METHOD);
    if named.is_some_and(|method| method != INITIALIZE) {
        return None;
    }
    let message: Value = serde_json::from_slice(body).ok()?;
    let method = message.get("method")?.as_str()?;
    let id = message.get("id");
    if id.is_none() && named.is_none() {
        head.headers.insert(METHOD, HeaderValue::from_str(method).ok()?);
    }
    id.filter(|id| method == INITIALIZE && !id.is_null()).cloned()
}

/// The response to `initialize`, which rmcp would answer, too.
pub(super) fn without_handshake(
    answer: http::Response<BoxBody<Bytes, Infallible>>,
    id: Value,
) -> http::Response<BoxBody<Bytes, Infallible>> {
    match answer.status() {
        StatusCode::OK | StatusCode::BAD_REQUEST => unread::unknown_method(id, INITIALIZE),
        _ => answer,
    }
}
