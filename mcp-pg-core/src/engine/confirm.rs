//! Writes that the user must agree to: they are done, counted, and rolled back unless exactly this was
//! agreed to before.
//!
//! Knows what must be agreed to and what the user is told; not how the user is asked.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::operation::Operation;
use crate::error::{Code, Error, Question, Result};
use crate::plan::{Plan, Scope};
use crate::policy::Action;
use crate::request::Request;

/// Most characters of the request in a question.
const REQUEST_MOST: usize = 1_000;

/// A request, and the plan that the user has agreed to if there is one.
pub(super) struct Consent {
    request: Value,
    agreed: Option<String>,
}

impl Consent {
    /// For a role that must ask; none for the others.
    pub(super) fn new(scope: &Scope<'_>, request: &Request, agreed: Option<&str>) -> Option<Self> {
        (scope.view.confirms() || scope.view.role.confirm_after_untrusted).then(|| Self {
            request: serde_json::to_value(request).unwrap_or_default(),
            agreed: agreed.map(str::to_owned),
        })
    }

    /// Refuses unless the user has agreed to what the operations have just done to so many rows each.
    pub(super) fn check(
        &self,
        scope: &Scope<'_>,
        operations: &[Operation<'_>],
        touched: &[u64],
    ) -> Result<()> {
        let mut asked = Vec::new();
        let mut place = None;
        // What outsiders wrote may have asked for what comes after it was read.
        let mut led = false;
        for (operation, rows) in operations.iter().zip(touched) {
            let careful = led && operation.writes();
            if *rows > 0 && (careful || must_ask(operation)) {
                let plural = if *rows == 1 { "row" } else { "rows" };
                let table = scope.view.display(operation.table());
                let after = if careful { ", after reading what outsiders wrote" } else { "" };
                asked.push(format!("{} {rows} {plural} of {table}{after}", operation.action()));
                place.get_or_insert(operation.at.as_str());
            }
            led |= scope.view.role.confirm_after_untrusted && operation.reads_untrusted();
        }
        let Some(place) = place else { return Ok(()) };
        let plan = self.plan(scope, touched);
        if self.agreed.as_ref() == Some(&plan) {
            return Ok(());
        }
        let asked = asked.join(", ");
        let text = format!("Allow this: {asked}? The request is {}", self.shown());
        let error = Error::new(Code::Forbidden, format!("the user must agree first: {asked}"))
            .hint("this works only through a client that can ask its user")
            .asking(Question { text, plan });
        Err(if place.is_empty() { error } else { error.at(place) })
    }

    /// A digest of who does what to how many rows.
    fn plan(&self, scope: &Scope<'_>, touched: &[u64]) -> String {
        let caller = scope.caller;
        let plan = json!([caller.subject, caller.role, caller.claims, self.request, touched]);
        let digest = Sha256::digest(plan.to_string().as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The request as the user reads it: without what it does not say, and with nothing that hides or turns
    /// around what is beside it.
    fn shown(&self) -> String {
        let mut request = self.request.clone();
        if let Value::Object(members) = &mut request {
            members.retain(|_, value| !value.is_null());
        }
        let text = request.to_string();
        let mut shown = String::new();
        for (place, c) in text.chars().enumerate() {
            if place == REQUEST_MOST {
                shown.push('…');
                break;
            }
            match c {
                ' '..='~' => shown.push(c),
                _ if c.is_alphanumeric() => shown.push(c),
                _ => shown.extend(c.escape_unicode()),
            }
        }
        shown
    }
}

fn must_ask(operation: &Operation<'_>) -> bool {
    let table = operation.table();
    let updates = match &operation.plan {
        Plan::Insert(plan) => plan.arbiter.as_ref().is_some_and(|arbiter| !arbiter.set.is_empty()),
        _ => false,
    };
    table.confirms(operation.action()) || updates && table.confirms(Action::Update)
}
