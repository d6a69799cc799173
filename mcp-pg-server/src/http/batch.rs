//! JSON-RPC batches, which only revision 2025-03-26 has. Each message is handled as if it were sent alone.

use std::convert::Infallible;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tower::Service as _;

use super::McpService;
use crate::auth::Sender;
use crate::handler::BATCHES;

/// The most messages of a batch.
const MOST: usize = 50;

/// After this many bytes of answers, further messages are refused: all answers are held until the last one is
/// complete.
const BYTES_MOST: usize = 4 << 20;

/// The message of that refusal.
const LARGE: &str = "the answers of the batch are large: send this message alone";

/// The messages of a batch, if the client may send one: it names that revision, or none.
pub(super) fn messages(headers: &HeaderMap, body: &Bytes) -> Option<Vec<Value>> {
    let revision = headers.get("mcp-protocol-version");
    let is_list = body.trim_ascii_start().starts_with(b"[");
    if !is_list || revision.is_some_and(|revision| revision != BATCHES) {
        return None;
    }
    serde_json::from_slice(body).ok().filter(|messages: &Vec<Value>| !messages.is_empty())
}

impl McpService {
    /// The answers to the messages, one after the other, as a JSON array. `None` if all are notifications.
    pub(super) async fn each(
        mut self,
        mut head: Parts,
        mut sender: Sender,
        messages: Vec<Value>,
    ) -> Response<BoxBody<Bytes, Infallible>> {
        if messages.len() > MOST {
            self.gate.unread(&sender, StatusCode::PAYLOAD_TOO_LARGE).await;
            let error = error(&Value::Null, &format!("a batch may have at most {MOST} messages"));
            return answer(StatusCode::PAYLOAD_TOO_LARGE, error);
        }
        let mut answers = Vec::new();
        let mut refused = None;
        for (index, message) in messages.into_iter().enumerate() {
            if answers.len() > BYTES_MOST {
                self.gate.unread(&sender, StatusCode::PAYLOAD_TOO_LARGE).await;
                put(&mut answers, &left(&message, LARGE));
                continue;
            }
            // A key may be revoked or a token may expire while earlier messages are handled.
            if index > 0 && refused.is_none() {
                match self.gate.admit(&mut head).await {
                    Ok(again) => sender = again,
                    // The refusal is already recorded.
                    Err(refusal) => {
                        let (status, reason) = (refusal.status(), reason(refusal).await);
                        put(&mut answers, &left(&message, &reason));
                        refused = Some((status, reason));
                        continue;
                    }
                }
            }
            if let Some((status, reason)) = &refused {
                self.gate.unread(&sender, *status).await;
                put(&mut answers, &left(&message, reason));
                continue;
            }
            let mut request = Request::new(Full::<Bytes>::from(message.to_string()));
            request.method_mut().clone_from(&head.method);
            request.uri_mut().clone_from(&head.uri);
            request.headers_mut().clone_from(&head.headers);
            request.headers_mut().remove(header::CONTENT_LENGTH);
            request.extensions_mut().clone_from(&head.extensions);
            let Ok(answered) = self.mcp.call(request).await;
            self.gate.unread(&sender, answered.status()).await;
            // A foreign origin or host applies to every message.
            if answered.status() == StatusCode::FORBIDDEN {
                return answered;
            }
            put(&mut answers, &told(&message, answered).await);
        }
        if answers.is_empty() {
            return answer(StatusCode::ACCEPTED, Bytes::new());
        }
        answers.push(b']');
        answer(StatusCode::OK, answers.into())
    }
}

/// Appends an answer to the JSON array, unless it is empty.
fn put(answers: &mut Vec<u8>, text: &[u8]) {
    if !text.is_empty() {
        answers.push(if answers.is_empty() { b'[' } else { b',' });
        answers.extend_from_slice(text);
    }
}

/// The answer to a message that was not handled. A notification has none.
fn left(message: &Value, reason: &str) -> Bytes {
    message.get("id").map_or_else(Bytes::new, |id| error(id, reason))
}

/// The message of a refusal.
async fn reason(refusal: Response<Full<Bytes>>) -> String {
    let status = refusal.status();
    let Ok(body) = refusal.into_body().collect().await;
    let told: Option<Value> = serde_json::from_slice(&body.to_bytes()).ok();
    let message = told.as_ref().and_then(|told| told.pointer("/error/message")?.as_str());
    message.map_or_else(|| status.to_string(), str::to_owned)
}

/// The answer to a message. A stream, which does not end, is not an answer.
async fn told(message: &Value, answered: Response<BoxBody<Bytes, Infallible>>) -> Bytes {
    let content_type = answered.headers().get(header::CONTENT_TYPE);
    let id = message.get("id").unwrap_or(&Value::Null);
    if content_type.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return error(id, "a batch cannot contain a stream");
    }
    let status = answered.status();
    let Ok(body) = answered.into_body().collect().await;
    let body = body.to_bytes();
    let failed = status.is_client_error() || status.is_server_error();
    match serde_json::from_slice::<IgnoredAny>(&body) {
        Ok(_) => body,
        Err(_) if failed => error(id, String::from_utf8_lossy(&body).trim()),
        Err(_) => Bytes::new(),
    }
}

fn error(id: &Value, message: &str) -> Bytes {
    let error = json!({"code": -32600, "message": message});
    json!({"jsonrpc": "2.0", "id": id, "error": error}).to_string().into()
}

fn answer(status: StatusCode, text: Bytes) -> Response<BoxBody<Bytes, Infallible>> {
    let empty = text.is_empty();
    let mut answer = Response::new(Full::from(text).boxed());
    *answer.status_mut() = status;
    if !empty {
        let json = HeaderValue::from_static("application/json");
        answer.headers_mut().insert(header::CONTENT_TYPE, json);
    }
    answer
}
