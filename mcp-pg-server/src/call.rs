//! One tool call over any transport; contains its panics.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use mcp_pg_core::{Agreement, Code, Engine, Error, Origin, Principal, Reply, Request};
use serde_json::{Map, Value};

use crate::tools;

/// Whether there is a tool of this name; else an error, which is audited.
///
/// One that the caller's role can use on no table is the engine's to refuse: it knows why.
pub(crate) async fn find_tool(
    engine: &Engine,
    caller: &Principal,
    origin: &Origin,
    tool: &str,
    arguments: &Map<String, Value>,
) -> Result<(), Error> {
    if Request::TOOLS.contains(&tool) {
        return Ok(());
    }
    let found = engine.queries(caller).and_then(|queries| {
        if queries.iter().any(|query| query.name == tool) {
            return Ok(());
        }
        let actions = engine.view(caller)?.actions();
        let own = || queries.iter().map(|query| query.name.as_str());
        let names = || tools::names(actions).map(|name| name as &str).chain(own());
        Err(Error::new(Code::UnknownArgument, format!("there is no tool {tool:?}"))
            .nearest(tool, names())
            .allowed(names()))
    });
    if let Err(error) = &found {
        engine.refuse(caller, origin, tool, arguments.clone(), error).await;
    }
    found
}

/// Runs the call, to which the user may have agreed; a panic becomes an `internal` error.
pub(crate) async fn run(
    engine: &Engine,
    caller: &Principal,
    origin: &Origin,
    tool: &str,
    arguments: Map<String, Value>,
    agreed: Option<&Agreement>,
) -> Result<Reply, Error> {
    // The engine's shared state is behind locks and swaps of its own; a call's own state is gone.
    match AssertUnwindSafe(engine.call_agreed(caller, origin, tool, arguments, agreed))
        .catch_unwind()
        .await
    {
        Ok(outcome) => outcome,
        // Its record is the engine's.
        Err(_panic) => Err(Error::new(Code::Internal, "a fault in this server ended the call")),
    }
}
