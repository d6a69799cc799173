//! Reads lines from standard input. The transport ignores lines that are not valid JSON; so they are replaced by a
//! request that reports the error, with the `id` as far as it can be found. After JSON that is not a message, to
//! which the transport replies, a notification is added that reports it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use rmcp::model::{JsonRpcVersion2_0, RequestId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::handler::{BATCHES, UNREADABLE_METHOD};
use crate::json;

/// The number of bytes to read at a time.
const CHUNK: usize = 16 * 1024;

/// The members of a message that are needed here.
#[derive(Deserialize)]
struct Message {
    #[serde(rename = "jsonrpc")]
    _version: JsonRpcVersion2_0,
    #[serde(rename = "id", default, deserialize_with = "some_id")]
    _id: Option<RequestId>,
    method: Option<String>,
    result: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

/// Parses an `id`; null counts as absent.
fn some_id<'d, D: Deserializer<'d>>(id: D) -> Result<Option<RequestId>, D::Error> {
    RequestId::deserialize(id).map(Some)
}

/// Standard input whose end is reported, so that open streams do not keep the server waiting.
pub(super) struct Input<R> {
    input: R,
    left: CancellationToken,
    /// The bytes of an incomplete line.
    line: Vec<u8>,
    /// Lines to pass on.
    passed: BytesMut,
    /// Whether the session has begun, which it does with a valid message.
    begun: bool,
    /// The `_meta` of a request, since revision 2026-07-28: no request is answered without it.
    meta: Option<Value>,
    /// Whether the session's revision has batches.
    batches: bool,
    ended: bool,
}

impl<R> Input<R> {
    pub(super) fn new(input: R, left: CancellationToken) -> Self {
        Self {
            input,
            left,
            line: vec![],
            passed: BytesMut::new(),
            begun: false,
            meta: None,
            batches: false,
            ended: false,
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        let read = json::check(&line).and_then(|()| serde_json::from_slice(&line));
        let error = match read {
            Ok(Value::Array(messages)) if self.batches && !messages.is_empty() => {
                for message in messages {
                    self.pass(message.to_string().as_bytes());
                    self.end_message();
                }
                return;
            }
            Ok(message) => {
                self.batches |= begins_with(&message, BATCHES);
                self.pass(&line);
                return;
            }
            Err(error) => error,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        tracing::warn!("a line of the input is not a message: {error}");
        if let Some(call) = json::without_deep_arguments(&line, &error) {
            self.pass(call.to_string().as_bytes());
            self.end_message();
        } else if let Some(id) = json::id(&line).filter(|_| self.begun) {
            let message = format!("this cannot be read as JSON: {error}");
            let params = json!({"message": message, "_meta": self.meta});
            self.report(&json!({"jsonrpc": "2.0", "id": id, "method": *UNREADABLE_METHOD, "params": params}));
        }
    }

    /// Passes on a line of JSON.
    fn pass(&mut self, line: &[u8]) {
        self.passed.extend_from_slice(line);
        let read = serde_json::from_slice(line);
        let why = match read {
            Ok(Message { method: None, result: None, error: None, .. }) => "no method".to_owned(),
            // serde would parse an array as the members of a message, in order.
            Ok(_) if line.trim_ascii_start().starts_with(b"{") => {
                self.begun = true;
                if self.meta.is_none() {
                    self.meta = meta(line);
                }
                return;
            }
            Ok(_) => "a list".to_owned(),
            Err(error) => error.to_string(),
        };
        if self.begun {
            let params = json!({"message": format!("this is not a JSON-RPC message: {why}")});
            self.report(&json!({"jsonrpc": "2.0", "method": *UNREADABLE_METHOD, "params": params}));
        }
    }

    fn end_message(&mut self) {
        if !self.passed.is_empty() && !self.passed.ends_with(b"\n") {
            self.passed.extend_from_slice(b"\n");
        }
    }

    fn report(&mut self, message: &Value) {
        self.end_message();
        self.passed.extend_from_slice(message.to_string().as_bytes());
        self.passed.extend_from_slice(b"\n");
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while this.passed.is_empty() && !this.ended {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            let result = ready!(Pin::new(&mut this.input).poll_read(context, &mut read));
            if result.is_err() || read.filled().is_empty() {
                this.ended = true;
                this.left.cancel();
                this.end_line();
                result?;
            }
            for part in read.filled().split_inclusive(|byte| *byte == b'\n') {
                this.line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    this.end_line();
                }
            }
        }
        let count = this.passed.len().min(buffer.remaining());
        buffer.put_slice(&this.passed[..count]);
        this.passed.advance(count);
        Poll::Ready(Ok(()))
    }
}

/// Whether the message begins a session of this revision.
fn begins_with(message: &Value, revision: &str) -> bool {
    let version = message.pointer("/params/protocolVersion");
    message.get("method").is_some_and(|method| method == "initialize")
        && version.is_some_and(|version| version == revision)
}

/// The `_meta` of a request of revision 2026-07-28 or later.
fn meta(request: &[u8]) -> Option<Value> {
    #[derive(Deserialize)]
    struct Request {
        params: Parameters,
    }
    #[derive(Deserialize)]
    struct Parameters {
        #[serde(rename = "_meta")]
        meta: Value,
    }
    let Request { params } = serde_json::from_slice(request).ok()?;
    let named = params.meta.get("io.modelcontextprotocol/protocolVersion").is_some();
    named.then_some(params.meta)
}
