//! `call`: one tool call from the shell.

use mcp_pg_core::audit::Client;
use mcp_pg_core::{Agreement, Engine, Error, Origin, Principal, Reply};
use serde_json::{Map, Value};

use crate::call::Call;

/// The result of the call. With `yes`, every confirmation that it asks for is given.
pub(super) async fn answer(
    engine: &Engine,
    caller: &Principal,
    tool: &str,
    arguments: Map<String, Value>,
    yes: bool,
) -> Result<Value, Error> {
    let origin = Origin { transport: "cli".into(), client: Client::default() };
    let call = Call { engine, caller, origin: &origin, tool };
    call.find_tool(&arguments).await?;
    let first = call.run(arguments.clone(), None).await;
    let question = first.as_ref().err().and_then(Error::question).filter(|_| yes);
    let answer = match question {
        None => first,
        Some(question) => {
            let agreed = Agreement { plan: question.plan.clone(), number: None };
            call.run(arguments, Some(&agreed)).await
        }
    };
    let told = answer.map_err(|error| match error.question() {
        Some(_) => error.hint("--yes agrees to it"),
        None => error,
    });
    told.and_then(Reply::into_value)
}
