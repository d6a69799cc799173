//! Writes that need the user's confirmation. They are executed and then rolled back, unless the user has confirmed
//! exactly this effect before. What cannot be rolled back is not executed at all.
//!
//! The confirmed run gives new rows the values that the database generated in the run before, so that the effects of both
//! can be compared as they are.
//!
//! Knows what needs a confirmation and what the user is shown, but not how the user is asked.

mod affected;
mod excerpt;
mod generated;
mod times;

pub(super) use affected::{Affected, Fact, Values, facts, keys};
pub(super) use generated::Generated;
pub(super) use times::Times;

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::canned::Query;
use crate::engine::transaction::Operation;
use crate::error::{Agreement, Code, Error, Question, Result};
use crate::execute::Known;
use crate::name::hex;
use crate::plan::{Plan, Scope};
use crate::policy::Action;
use crate::request::Request;
use excerpt::{excerpt, name};

/// A request, and what the user has confirmed, if anything.
pub(in crate::engine) struct Consent {
    request: Value,
    agreed: Option<Agreement>,
    known: Arc<Known>,
}

impl Consent {
    /// The consent that the operations need, for which it prepares them; `None` if they need none: then they need not tell
    /// which rows they reach.
    pub(in crate::engine) fn prepare(
        scope: &Scope<'_>,
        (tool, arguments): (&str, &impl Serialize),
        agreed: Option<&Agreement>,
        known: &Arc<Known>,
        operations: &mut [Operation<'_>],
    ) -> Option<Self> {
        is_needed(scope, operations).then(|| {
            let consent = Self {
                // With the tool, because archive and restore have the same arguments.
                request: json!({"tool": tool, "arguments": arguments}),
                agreed: agreed.cloned(),
                known: Arc::clone(known),
            };
            consent.give_again(scope, operations);
            consent
        })
    }

    /// The consent that a canned query needs.
    pub(in crate::engine) fn of_query(
        scope: &Scope<'_>,
        query: &Query,
        arguments: &Map<String, Value>,
        agreed: Option<&Agreement>,
        known: &Arc<Known>,
    ) -> Option<Self> {
        query.confirms(&scope.view.role).then(|| Self {
            request: json!({"tool": query.name, "arguments": arguments}),
            agreed: agreed.cloned(),
            known: Arc::clone(known),
        })
    }

    /// The confirmation's number.
    pub(in crate::engine) fn number(&self) -> Option<&str> {
        self.agreed.as_ref()?.number.as_deref()
    }

    /// Gives the operations what the database generated for them in the run that the user agreed to, if it was one of
    /// this request by this caller.
    fn give_again(&self, scope: &Scope<'_>, operations: &mut [Operation<'_>]) {
        let mut parts = self.agreed.iter().flat_map(|agreed| agreed.plan.splitn(3, ' ')).skip(1);
        if let (Some(origin), Some(generated)) = (parts.next(), parts.next())
            && origin == self.digest(scope, &json!(generated))
        {
            generated::give_again(generated, operations, self.known.reads_last_numbers());
        }
    }

    /// Refuses unless the user has confirmed this query, the number of rows that it has just written, if known, and
    /// their keys as far as it returns them.
    pub(in crate::engine) fn check_query(
        &self,
        scope: &Scope<'_>,
        query: &Query,
        touched: Option<u64>,
        which: &[String],
    ) -> Result<()> {
        let asked = match touched {
            Some(rows) => {
                let plural = if rows == 1 { "row" } else { "rows" };
                format!("{}, which writes {rows} {plural}", query.name)
            }
            None => query.name.clone(),
        };
        // The confirmation is for this text of the query.
        self.agree(scope, &json!([query.digest, touched, which]), &asked, "")
    }

    /// Refuses unless the user has confirmed what the operations have just done to these rows.
    pub(in crate::engine) fn check(
        &self,
        scope: &Scope<'_>,
        operations: &[Operation<'_>],
        affected: &[Affected],
    ) -> Result<()> {
        let mut asked = Vec::new();
        let mut place = None;
        let careful = led(scope, operations).into_iter();
        for ((operation, reached), careful) in operations.iter().zip(affected).zip(careful) {
            let rows = &reached.rows;
            if *rows > 0 && (careful || must_ask(operation)) {
                let plural = if *rows == 1 { "row" } else { "rows" };
                let table = name(&scope.view.display(operation.table()));
                let after = if careful { ", after reading untrusted data" } else { "" };
                let over = match (&operation.plan, reached.told()) {
                    (Plan::Select(_) | Plan::Change(_), _) | (_, 0) => String::new(),
                    (Plan::Insert(_), 1) => ", overwriting 1 existing row".to_owned(),
                    (Plan::Insert(_), met) => format!(", overwriting {met} existing rows"),
                };
                let action = operation.action();
                asked.push(format!("{action} {rows} {plural} of {table}{over}{after}"));
                place.get_or_insert(operation.at.as_str());
            }
        }
        let Some(place) = place else { return Ok(()) };
        let effect = affected.iter().map(Affected::effect).collect();
        self.agree(scope, &effect, &asked.join(", "), &generated::text(affected))
            .map_err(|error| if place.is_empty() { error } else { error.at(place) })
    }

    /// Refuses unless the user has confirmed the request with this effect, which `asked` describes. `generated` is what
    /// the database generated in this run.
    fn agree(&self, scope: &Scope<'_>, effect: &Value, asked: &str, generated: &str) -> Result<()> {
        let digest = self.digest(scope, effect);
        let confirmed = |agreed: &Agreement| agreed.plan.split(' ').next() == Some(&digest);
        if self.agreed.as_ref().is_some_and(confirmed) {
            return Ok(());
        }
        let plan = match generated {
            "" => digest,
            _ => format!("{digest} {} {generated}", self.digest(scope, &json!(generated))),
        };
        let text = format!("Allow this: {asked}? The request is {}", excerpt(self.shown()));
        Err(Error::new(Code::Forbidden, format!("the user must agree first: {asked}"))
            .hint(match &self.agreed {
                None => "this works only through a client that can ask its user",
                Some(_) => "the user agreed to something else: rows have changed, or the database gives rows other values each time; in that case, write in several calls",
            })
            .asking(Question { text, plan }))
    }

    /// The part of the request that the user is shown: without a built-in tool's name, which `asked` contains.
    fn shown(&self) -> &Value {
        let is_built_in =
            |tool: &Value| tool.as_str().is_some_and(|tool| Request::TOOLS.contains(&tool));
        let arguments = self.request.get("arguments");
        let built_in = self.request.get("tool").is_some_and(is_built_in);
        arguments.filter(|_| built_in).unwrap_or(&self.request)
    }

    /// A digest of the database, the caller, the request, and its effect or what was generated for it.
    fn digest(&self, scope: &Scope<'_>, of: &Value) -> String {
        let caller = scope.caller;
        let (database, caller_is) = (self.known.id(), [&caller.subject, &caller.role]);
        let whole = json!([database.as_str(), caller_is, caller.claims, self.request, of]);
        hex(&Sha256::digest(whole.to_string().as_bytes()))
    }
}

/// Whether some of the operations need a confirmation: not if they are rolled back.
fn is_needed(scope: &Scope<'_>, operations: &[Operation<'_>]) -> bool {
    let is_led = || led(scope, operations).contains(&true);
    !operations.iter().any(|operation| operation.dry_run)
        && (operations.iter().any(must_ask) || is_led())
}

/// Which operations write after one that read text by outsiders, who may have prompted them.
fn led(scope: &Scope<'_>, operations: &[Operation<'_>]) -> Vec<bool> {
    let mut led = false;
    let is_led = |operation: &Operation<'_>| {
        let careful = led && operation.writes();
        led |= scope.view.role.confirm_after_untrusted && operation.reads_untrusted();
        careful
    };
    operations.iter().map(is_led).collect()
}

fn must_ask(operation: &Operation<'_>) -> bool {
    let table = operation.table();
    let updates = match &operation.plan {
        Plan::Insert(plan) => plan.arbiter.as_ref().is_some_and(|arbiter| !arbiter.set.is_empty()),
        _ => false,
    };
    table.confirms(operation.action()) || updates && table.confirms(Action::Update)
}
