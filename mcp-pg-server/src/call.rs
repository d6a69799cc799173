//! One tool call over any transport; contains its panics.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use mcp_pg_core::{Agreement, Code, Engine, Error, Origin, Principal, Reply, Request};
use serde_json::{Map, Value};

use crate::tools;

/// Who calls which tool, and from where.
pub(crate) struct Call<'c> {
    pub(crate) engine: &'c Engine,
    pub(crate) caller: &'c Principal,
    pub(crate) origin: &'c Origin,
    pub(crate) tool: &'c str,
}

impl Call<'_> {
    /// Whether the tool exists; if not, the error is recorded.
    ///
    /// A tool that the caller's role can use on no table is found: the engine refuses it, since it knows why.
    pub(crate) async fn find_tool(&self, arguments: &Map<String, Value>) -> Result<(), Error> {
        let Self { engine, caller, tool, .. } = *self;
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
            self.refuse(arguments.clone(), error).await;
        }
        found
    }

    /// Runs the call, to which the user may have agreed. A panic becomes an `internal` error.
    pub(crate) async fn run(
        &self,
        arguments: Map<String, Value>,
        agreed: Option<&Agreement>,
    ) -> Result<Reply, Error> {
        let Self { engine, caller, origin, tool } = *self;
        // The engine's shared state is behind locks and swaps of its own; a call's own state is gone.
        match AssertUnwindSafe(engine.call_agreed(caller, origin, tool, arguments, agreed))
            .catch_unwind()
            .await
        {
            Ok(outcome) => outcome,
            // The engine has recorded it.
            Err(_panic) => Err(Error::new(Code::Internal, "a fault in this server ended the call")),
        }
    }

    /// Records that the call was refused before the engine ran it.
    pub(crate) async fn refuse(&self, arguments: Map<String, Value>, error: &Error) {
        self.engine.refuse(self.caller, self.origin, self.tool, arguments, error).await;
    }
}
