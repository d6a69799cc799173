//! One tool call, whoever carries it: is there such a tool, what came of it, and no panic beyond here.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use mcp_pg_core::{Code, Engine, Error, Origin, Principal, Reply, Request};
use serde_json::{Map, Value};

use crate::tools;

/// The tool of this name; else an error, which is audited.
///
/// One that the caller's role can use on no table is the engine's to refuse: it knows why.
pub(crate) fn find_tool(
    engine: &Engine,
    caller: &Principal,
    origin: &Origin,
    tool: &str,
    arguments: &Map<String, Value>,
) -> Result<&'static str, Error> {
    let actions = engine.view(caller)?.actions();
    if let Some(name) = Request::TOOLS.into_iter().find(|name| *name == tool) {
        return Ok(name);
    }
    let error = Error::new(Code::UnknownArgument, format!("there is no tool {tool:?}"))
        .nearest(tool, tools::names(actions))
        .allowed(tools::names(actions));
    engine.refuse(caller, origin, tool, arguments.clone(), &error);
    Err(error)
}

/// Runs the call, of which `agreed` is the plan if the user has agreed to one; a panic becomes an `internal` error.
pub(crate) async fn run(
    engine: &Engine,
    caller: &Principal,
    origin: &Origin,
    tool: &str,
    arguments: Map<String, Value>,
    agreed: Option<&str>,
) -> Result<Reply, Error> {
    // The engine's shared state is behind locks and swaps of its own; a call's own state is gone.
    match AssertUnwindSafe(engine.call_agreed(caller, origin, tool, arguments, agreed))
        .catch_unwind()
        .await
    {
        Ok(outcome) => outcome,
        Err(_panic) => {
            let error = Error::new(Code::Internal, "a fault in this server ended the call");
            // The arguments went down with it.
            engine.refuse(caller, origin, tool, Map::new(), &error);
            Err(error)
        }
    }
}
