//! Reads lines from standard input. The transport ignores lines that are not valid JSON; so they are replaced by a
//! request that reports the error, with the `id` as far as it can be found. So is JSON that is not a message but has an
//! `id`; after other JSON, to which the transport replies, a notification is added that reports it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use rmcp::model::RequestId;
use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::sync::CancellationToken;

use crate::handler::{BATCHES, NO_MESSAGE, UNREADABLE_METHOD};
use crate::json;

/// The most bytes of a line, which the transport would leave out if it were longer.
const LINE_MOST: usize = 16 << 20;

/// The bytes that are kept of a longer line, for its `id`.
const BEGINNING: usize = 64 * 1024;

/// The number of bytes to read at a time.
const CHUNK: usize = 16 * 1024;

/// Standard input whose end is reported, so that open streams do not keep the server waiting.
pub(super) struct Input<R> {
    input: R,
    left: CancellationToken,
    /// The bytes of an incomplete line.
    line: Vec<u8>,
    /// Whether the line is too long, of which only the beginning is kept.
    too_long: bool,
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
            too_long: false,
            passed: BytesMut::new(),
            begun: false,
            meta: None,
            batches: false,
            ended: false,
        }
    }

    /// Adds to the line.
    fn add(&mut self, part: &[u8]) {
        self.too_long |= self.line.len() + part.len() > LINE_MOST;
        if !self.too_long {
            self.line.extend_from_slice(part);
        } else if self.line.len() > BEGINNING {
            self.line.truncate(BEGINNING);
            self.line.shrink_to_fit();
        }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            let message = format!("this is too long: a line may have at most {LINE_MOST} bytes");
            tracing::warn!(
                "a line of the input is left out, because it has more than {LINE_MOST} bytes"
            );
            self.unreadable(json::id(&line), &message);
            return;
        }
        let read = json::check(&line, LINE_MOST).and_then(|()| serde_json::from_slice(&line));
        let error = match read {
            Ok(Value::Array(messages)) if self.batches && !messages.is_empty() => {
                for message in messages {
                    self.pass(&message, message.to_string().as_bytes());
                    self.end_message();
                }
                return;
            }
            Ok(message) => {
                self.batches |= begins_with(&message, BATCHES);
                self.pass(&message, &line);
                return;
            }
            Err(error) => error,
        };
        if line.iter().all(u8::is_ascii_whitespace) {
            return;
        }
        tracing::warn!("a line of the input is not a message: {error}");
        if let Some(call) = json::without_deep_arguments(&line, &error) {
            self.pass(&call, call.to_string().as_bytes());
            self.end_message();
        } else {
            self.unreadable(json::id(&line), &format!("this cannot be read as JSON: {error}"));
        }
    }

    /// Reports a line that cannot be read, as a request if its `id` is known.
    fn unreadable(&mut self, id: Option<Value>, message: &str) {
        if let Some(id) = id.filter(|_| self.begun) {
            let params = json!({"message": message, "_meta": self.meta});
            self.report(&json!({"jsonrpc": "2.0", "id": id, "method": *UNREADABLE_METHOD, "params": params}));
        }
    }

    /// Passes on a line of JSON. What is no message is reported, as a request if it has the `id` of one: the transport
    /// would answer it to nobody.
    fn pass(&mut self, message: &Value, line: &[u8]) {
        let Some(why) = json::misfit(message) else {
            self.begun = true;
            self.meta = self.meta.take().or_else(|| meta(message));
            self.passed.extend_from_slice(line);
            return;
        };
        let why = format!("this is not a JSON-RPC message: {why}");
        let answers = ["result", "error"].iter().any(|member| message.get(member).is_some());
        let id = message.get("id").filter(|id| !answers && RequestId::deserialize(*id).is_ok());
        if let Some(id) = id.filter(|_| self.begun) {
            let params = json!({"message": why, NO_MESSAGE: true, "_meta": self.meta});
            self.report(&json!({"jsonrpc": "2.0", "id": id, "method": *UNREADABLE_METHOD, "params": params}));
            return;
        }
        self.passed.extend_from_slice(line);
        if self.begun {
            let params = json!({"message": why});
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
                this.end_message();
                result?;
            }
            for part in read.filled().split_inclusive(|byte| *byte == b'\n') {
                this.add(part);
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
fn meta(request: &Value) -> Option<Value> {
    let meta = request.pointer("/params/_meta")?;
    meta.get("io.modelcontextprotocol/protocolVersion").map(|_| meta.clone())
}
