//! A tool call, from its admission to the tool's result: counted, looked up, confirmed if it must be, run.

use std::time::Instant;

use mcp_pg_core::{Agreement, Code, Error, Origin, Principal, Reply, Request};
use rmcp::model::{CallToolRequestParams, CallToolResponse, InputRequiredResult};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer};
use serde_json::{Map, Value};

use super::{Handler, Inner};
use crate::confirm::{self, Means};
use crate::{call, reply};

/// How often the user is asked within one call: again if what was agreed to is another thing by then.
const QUESTIONS_MOST: u32 = 3;

/// What a call comes to.
enum Answer {
    Reply(Reply),
    /// The client is to ask its user.
    Question(InputRequiredResult),
}

impl Handler {
    pub(super) async fn call(
        &self,
        request: CallToolRequestParams,
        cx: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let began = Instant::now();
        let Inner { engine, limiter, metrics, .. } = &*self.0;
        let origin = self.origin(cx);
        let arguments = request.arguments.unwrap_or_default();
        let caller = match self.caller(cx) {
            Ok(caller) => caller,
            Err(error) => {
                let nobody = Principal::unknown("none");
                engine.refuse(&nobody, &origin, &request.name, arguments, &error);
                return Ok(reply::result(Err(error)).into());
            }
        };
        // What is refused counts too: it must not be a way to try things without bound.
        let admitted = limiter.admit(&caller);
        let tool = &*request.name;
        if admitted.is_ok()
            && let Err(error) = call::find_tool(engine, &caller, &origin, tool, &arguments)
        {
            metrics.record("other", error.code().as_str(), began.elapsed());
            return Err(reply::protocol_error(&error));
        }
        let outcome = match admitted {
            Ok(_permit) => {
                let agreed = match (&self.0.questions, &request.request_state) {
                    (Some(questions), Some(state)) => {
                        questions.answer(&caller, state, request.input_responses.as_ref())
                    }
                    _ => Ok(None),
                };
                match agreed {
                    Ok(agreed) => self.run(&caller, &origin, tool, arguments, agreed, cx).await,
                    Err(error) => {
                        engine.refuse(&caller, &origin, tool, arguments, &error);
                        Err(error)
                    }
                }
            }
            Err(error) => {
                engine.refuse(&caller, &origin, tool, arguments, &error);
                Err(error)
            }
        };
        let code = match &outcome {
            Ok(Answer::Reply(_)) => "ok",
            // Nothing was done yet: so says its record, too.
            Ok(Answer::Question(_)) => Code::Forbidden.as_str(),
            Err(error) => error.code().as_str(),
        };
        // A name that was not looked up could be any.
        let limited = code == Code::RateLimited.as_str() && !Request::TOOLS.contains(&tool);
        let label = if limited { "other" } else { tool };
        metrics.record(label, code, began.elapsed());
        if let Err(error) = &outcome
            && matches!(error.code(), Code::Internal | Code::DatabaseUnavailable)
        {
            tracing::error!(tool, code, cause = error.cause(), "a call failed");
        }
        Ok(match outcome {
            Ok(Answer::Question(question)) => question.into(),
            Ok(Answer::Reply(answer)) => reply::result(Ok(answer)).into(),
            Err(error) => reply::result(Err(error)).into(),
        })
    }

    /// Runs the call, after asking the user if it needs that.
    async fn run(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        mut arguments: Map<String, Value>,
        mut agreed: Option<Agreement>,
        cx: &RequestContext<RoleServer>,
    ) -> Result<Answer, Error> {
        let Inner { engine, subscriptions, questions, .. } = &*self.0;
        // A caller without a role is the engine's to refuse, and to record.
        let may_ask = engine.may_ask(caller, tool).unwrap_or_default();
        let mut left = QUESTIONS_MOST;
        loop {
            let again = may_ask.then(|| arguments.clone());
            let outcome = call::run(engine, caller, origin, tool, arguments, agreed.as_ref()).await;
            let (Err(error), Some(again)) = (&outcome, again) else {
                return outcome.map(Answer::Reply);
            };
            let Some(question) = error.question() else { return outcome.map(Answer::Reply) };
            match Means::of(cx, subscriptions.has_session()) {
                Means::Again => {
                    return match questions.as_ref().and_then(|all| all.put(question, caller)) {
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
                        engine.refuse(caller, origin, tool, again, &error);
                        return Err(error);
                    }
                    agreed = Some(Agreement { plan: question.plan.clone(), number: None });
                    arguments = again;
                }
                Means::Session | Means::None => return outcome.map(Answer::Reply),
            }
        }
    }
}
