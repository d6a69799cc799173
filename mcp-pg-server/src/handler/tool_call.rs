//! A tool call: admitted, counted, looked up, confirmed if necessary, and run.

use mcp_pg_core::{Agreement, Code, Error, Principal, Reply, Request};
use rmcp::model::{CallToolRequestParams, CallToolResponse, InputRequiredResult, InputResponses};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value};

use super::{Handler, Parts};
use crate::call::Call;
use crate::confirm::{self, Means};
use crate::reply;

/// How often the user is asked within one call, if the effect changes after each answer.
const QUESTIONS_MOST: u32 = 3;

/// The answer to a call.
enum Answer {
    Reply(Reply),
    /// The client has to ask its user.
    Question(InputRequiredResult),
}

impl Handler {
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Parts { engine, limiter, metrics, .. } = &*self.0;
        let origin = &self.origin(cx);
        let tool = &*request.name;
        let arguments = request.arguments.unwrap_or_default();
        let caller = match self.caller(cx) {
            Ok(caller) => caller,
            Err(error) => {
                let nobody = Principal::unknown("none");
                engine.refuse(&nobody, origin, tool, arguments, &error).await;
                return Ok(reply::result(Err(error)).into());
            }
        };
        let call = Call { engine, caller, origin, tool };
        // A name that was not looked up may be anything.
        let known = Request::TOOLS.contains(&tool);
        let mut running = metrics.begin(if known { tool } else { "other" });
        // Refused calls count, too, so that they cannot be used to try things without limit.
        let outcome = match limiter.admit(caller) {
            Ok(_permit) => {
                if let Err(error) = call.find_tool(&arguments).await {
                    running.code = error.code().as_str();
                    return Err(reply::protocol_error(&error));
                }
                running.tool = tool;
                match self.agreed(
                    caller,
                    request.request_state.as_deref(),
                    request.input_responses.as_ref(),
                ) {
                    Ok(agreed) => self.run(&call, cx, arguments, agreed).await,
                    Err(error) => {
                        call.refuse(arguments, &error).await;
                        Err(error)
                    }
                }
            }
            Err(error) => {
                call.refuse(arguments, &error).await;
                Err(error)
            }
        };
        running.code = code(tool, &outcome);
        Ok(match outcome {
            Ok(Answer::Question(question)) => question.into(),
            Ok(Answer::Reply(answer)) => reply::result(Ok(answer)).into(),
            Err(error) => reply::result(Err(error)).into(),
        })
    }

    /// The user's confirmation, if the request contains one.
    fn agreed(
        &self,
        caller: &Principal,
        state: Option<&str>,
        responses: Option<&InputResponses>,
    ) -> Result<Option<Agreement>, Error> {
        match &self.0.questions {
            Some(questions) => questions.answer(caller, state, responses),
            None => Ok(None),
        }
    }

    /// Runs the call, after asking the user if it needs that.
    async fn run(
        &self,
        call: &Call<'_>,
        cx: &RequestContext<RoleServer>,
        mut arguments: Map<String, Value>,
        mut agreed: Option<Agreement>,
    ) -> Result<Answer, Error> {
        let Parts { subscriptions, questions, .. } = &*self.0;
        // The engine refuses and records a caller without a role.
        let may_ask = call.engine.may_ask(call.caller, call.tool).unwrap_or_default();
        let mut left = QUESTIONS_MOST;
        loop {
            let again = may_ask.then(|| arguments.clone());
            let outcome = call.run(arguments, agreed.as_ref()).await;
            let (Err(error), Some(again)) = (&outcome, again) else {
                return outcome.map(Answer::Reply);
            };
            let Some(question) = error.question() else { return outcome.map(Answer::Reply) };
            match Means::of(cx, subscriptions.has_session()) {
                Means::Again => {
                    return match questions.as_ref().and_then(|all| all.put(question, call.caller)) {
                        Some(result) => Ok(Answer::Question(result)),
                        None => outcome.map(Answer::Reply),
                    };
                }
                Means::Session if left > 0 => {
                    left -= 1;
                    let answer = confirm::ask(&cx.peer, question).await;
                    let agrees =
                        answer.and_then(|yes| yes.then_some(()).ok_or_else(confirm::declined));
                    if let Err(error) = agrees {
                        call.refuse(again, &error).await;
                        return Err(error);
                    }
                    agreed = Some(Agreement { plan: question.plan.clone(), number: None });
                    arguments = again;
                }
                Means::Older => return outcome.map(Answer::Reply).map_err(confirm::too_old),
                Means::Session | Means::None => return outcome.map(Answer::Reply),
            }
        }
    }
}

/// The code of the outcome; logs internal errors.
fn code(tool: &str, outcome: &Result<Answer, Error>) -> &'static str {
    let code = match outcome {
        Ok(Answer::Reply(_)) => "ok",
        // Nothing was done yet, which is also what the record says.
        Ok(Answer::Question(_)) => Code::Forbidden.as_str(),
        Err(error) => error.code().as_str(),
    };
    // The engine logs once that the database is unavailable.
    if let Err(error) = outcome
        && error.code() == Code::Internal
    {
        tracing::error!(tool, code, cause = error.cause(), "a call failed");
    }
    code
}
