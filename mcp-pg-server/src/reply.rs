//! Replies and errors in the protocol's forms.

use mcp_pg_core::{Code, Error, Reply};
use rmcp::ErrorData;
use rmcp::model::{CallToolResult, ContentBlock, CustomResult, ErrorCode};
use serde_json::{Value, json};

/// A server-defined JSON-RPC code for requests that are valid, but cannot be answered now.
const NOT_NOW: ErrorCode = ErrorCode(-32000);

/// A tool's result: the reply or the error, as structured content and as text.
pub(crate) fn result(outcome: Result<Reply, Error>) -> CallToolResult {
    match outcome.and_then(Reply::into_value).and_then(structured) {
        Ok(result) => result,
        Err(error) => CallToolResult::structured_error(error_object(&error)),
    }
}

/// Like [`CallToolResult::structured`], which takes several times as long to write the text of many rows.
fn structured(value: Value) -> Result<CallToolResult, Error> {
    let text = serde_json::to_string(&value)
        .map_err(|error| Error::new(Code::Internal, "a reply has no JSON form").caused_by(error))?;
    let mut result = CallToolResult::success(vec![ContentBlock::text(text)]);
    result.structured_content = Some(value);
    Ok(result)
}

/// The result for a place where rmcp expects a custom one.
pub(crate) fn custom(result: &CallToolResult) -> Result<CustomResult, ErrorData> {
    let value = serde_json::to_value(result);
    value.map(CustomResult::new).map_err(|_| ErrorData::internal_error("no JSON form", None))
}

/// `{"error": {…}}`.
pub(crate) fn error_object(error: &Error) -> Value {
    json!({ "error": error })
}

/// An error of a request other than a tool call.
pub(crate) fn protocol_error(error: &Error) -> ErrorData {
    let message = error.to_string();
    let data = Some(error_object(error));
    match error.code() {
        Code::Internal | Code::DatabaseUnavailable | Code::DatabaseError => {
            ErrorData::internal_error(message, data)
        }
        Code::RateLimited | Code::AuditUnavailable => ErrorData::new(NOT_NOW, message, data),
        _ => ErrorData::invalid_params(message, data),
    }
}

/// The error for a cursor of another list, or of a list that has changed.
pub(crate) fn stale_cursor() -> ErrorData {
    let message = "the cursor does not belong to the list as it is now; start again without it";
    ErrorData::invalid_params(message, None)
}
