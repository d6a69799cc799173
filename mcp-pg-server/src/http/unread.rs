//! Answers to requests that cannot be read.

use std::convert::Infallible;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};

use crate::json;

/// The response for this status, without details about the request.
pub(super) fn refusal(status: StatusCode) -> http::Response<BoxBody<Bytes, Infallible>> {
    let mut answer = http::Response::new(Full::from(format!("{status}\n")).boxed());
    *answer.status_mut() = status;
    answer
}

/// The response to a body that is not valid JSON, or that is ambiguous.
pub(super) fn malformed(
    body: &[u8],
    error: &serde_json::Error,
) -> http::Response<BoxBody<Bytes, Infallible>> {
    let code = if error.is_data() { -32600 } else { -32700 };
    bad_request(json::id(body), code, &format!("the body cannot be read as JSON: {error}"))
}

/// The response to JSON that is not a JSON-RPC message.
pub(super) fn not_a_message(body: &[u8]) -> http::Response<BoxBody<Bytes, Infallible>> {
    let read: Value = serde_json::from_slice(body).unwrap_or_default();
    let message = match json::misfit(&read).filter(|_| read.is_object()) {
        Some(why) => format!("the body is not a JSON-RPC 2.0 message: {why}"),
        None => {
            "the body is not one JSON-RPC 2.0 message; batches exist only in revision 2025-03-26"
                .to_owned()
        }
    };
    bad_request(json::id(body), -32600, &message)
}

/// The response to a request for a method that does not exist.
pub(super) fn unknown_method(
    id: Value,
    method: &str,
) -> http::Response<BoxBody<Bytes, Infallible>> {
    let mut answer = bad_request(Some(id), -32601, method);
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
}

fn bad_request(
    id: Option<Value>,
    code: i32,
    message: &str,
) -> http::Response<BoxBody<Bytes, Infallible>> {
    let error = json!({"code": code, "message": message});
    let body = json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string();
    let mut answer = http::Response::new(Full::from(body).boxed());
    *answer.status_mut() = StatusCode::BAD_REQUEST;
    let json = HeaderValue::from_static("application/json");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}
