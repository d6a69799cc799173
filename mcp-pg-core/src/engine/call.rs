//! A call, from its arguments to the reply and its record; run again if the schema changes meanwhile.

use std::borrow::Borrow;

use serde_json::{Map, Value};

use super::Engine;
use super::canned_query::QueryCall;
use super::identity::of_absent_claims;
use super::record::{Origin, Record};
use crate::error::{Agreement, Code, Error, Result};
use crate::execute::is_stale;
use crate::plan::Scope;
use crate::policy::{Action, Principal, View};
use crate::reply::Reply;
use crate::request::{Request, Singles, check_depth, check_depth_of};

/// The most attempts of a call while others change the schema.
const STALE_MOST: u32 = 5;

/// The maximum size of the arguments, in bytes, in the record of a call that was refused before they were read.
const REFUSED_MOST: usize = 4 << 10;

impl Engine {
    /// Answers a request, owned or borrowed, and records it.
    ///
    /// # Errors
    ///
    /// Why the request cannot be answered. A failed request has no effect.
    pub async fn handle(&self, caller: &Principal, request: impl Borrow<Request>) -> Result<Reply> {
        self.handle_agreed(caller, &Origin::default(), request, None).await
    }

    /// Like [`Engine::handle`], with where the request came from, for the record, and the user's confirmation, if there is one:
    /// the answer to the [`Question`](crate::Question) of an earlier refusal.
    ///
    /// # Errors
    ///
    /// As [`Engine::call_agreed`].
    pub async fn handle_agreed(
        &self,
        caller: &Principal,
        origin: &Origin,
        request: impl Borrow<Request>,
        agreed: Option<&Agreement>,
    ) -> Result<Reply> {
        let request = request.borrow();
        let depth = check_depth_of(request);
        let arguments = || match depth.is_ok().then(|| serde_json::to_value(request)) {
            Some(Ok(Value::Object(arguments))) => {
                arguments.into_iter().filter(|(_, value)| !value.is_null()).collect()
            }
            _ => Map::new(),
        };
        let mut record = Record::new(self, caller, origin, request.tool(), arguments);
        let result = match depth {
            Ok(()) => self.answer(caller, request, agreed, &mut record).await,
            Err(error) => Err(error),
        };
        record.settle(result).await
    }

    /// Answers a tool call with JSON arguments. It is recorded in any case.
    ///
    /// ```
    /// use mcp_pg_core::{Engine, Origin, Principal, Result};
    /// use serde_json::json;
    ///
    /// # async fn example(engine: &Engine) -> Result<()> {
    /// let caller = Principal::new("nightly-report", "analyst");
    /// let arguments = json!({"table": "orders", "where": {"status": "open"}, "limit": 10});
    /// let arguments = arguments.as_object().cloned().unwrap_or_default();
    /// let reply = engine.call(&caller, &Origin::default(), "select", arguments).await?;
    /// println!("{}", reply.into_value()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Why the call cannot be answered, with the place in the arguments.
    pub async fn call(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
    ) -> Result<Reply> {
        self.call_agreed(caller, origin, tool, arguments, None).await
    }

    /// Like [`Engine::call`], with the user's confirmation, if there is one: the answer to the [`Question`](crate::Question) of an
    /// earlier refusal.
    ///
    /// # Errors
    ///
    /// As [`Engine::call`]. `forbidden` with a new question if the confirmation was for something else: another call, or other
    /// rows. `forbidden` without a question if the number of the confirmation is in the audit table already. Without a number or
    /// an audit table the engine does not know that it was used: forget the plan once it was answered.
    pub async fn call_agreed(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
        agreed: Option<&Agreement>,
    ) -> Result<Reply> {
        let depth = check_depth(&arguments);
        let noted = || if depth.is_ok() { arguments.clone() } else { Map::new() };
        let mut record = Record::new(self, caller, origin, tool, noted);
        let singles = if depth.is_ok() { Singles::of(&arguments) } else { Singles::default() };
        let result = match depth {
            Err(error) => Err(error),
            Ok(()) if !Request::TOOLS.contains(&tool) => {
                let asked = QueryCall { caller, tool, arguments: &arguments, agreed };
                self.answer_query(&asked, &mut record).await
            }
            Ok(()) => match Request::parse(tool, arguments) {
                Ok(request) => self.answer(caller, &request, agreed, &mut record).await,
                Err(error) => Err(error),
            },
        };
        record.settle(result.map_err(|error| singles.placed(error))).await
    }

    /// Whether a call of this tool may need the user's confirmation.
    ///
    /// # Errors
    ///
    /// `forbidden` if there is no such role.
    pub fn may_ask(&self, caller: &Principal, tool: &str) -> Result<bool> {
        let catalogue = self.catalogue.load();
        let view = catalogue.view(caller)?;
        let query = catalogue.canned.query(tool, &view.role);
        Ok(match query {
            Some(query) => query.confirms(&view.role),
            None => !Request::READS.contains(&tool) && view.may_ask(),
        })
    }

    /// Records a call that was refused before the engine got it; returns once the record is queued.
    ///
    /// The record contains only the size of arguments of more than 4 KiB: no limits on their content or frequency were applied
    /// yet.
    pub async fn refuse(
        &self,
        caller: &Principal,
        origin: &Origin,
        tool: &str,
        arguments: Map<String, Value>,
        error: &Error,
    ) {
        Record::new(self, caller, origin, tool, || arguments).refused(error, REFUSED_MOST).await;
    }

    /// Answers a request that does not need the database, and records it like a call.
    ///
    /// # Errors
    ///
    /// Those of `answer`; `audit_unavailable` if reads wait for their records.
    pub async fn recorded<T>(
        &self,
        caller: &Principal,
        origin: &Origin,
        request: &str,
        arguments: Map<String, Value>,
        answer: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let record = Record::new(self, caller, origin, request, || arguments);
        let answer = answer();
        record.settle(answer).await
    }

    async fn answer(
        &self,
        caller: &Principal,
        request: &Request,
        agreed: Option<&Agreement>,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        let mut left = STALE_MOST;
        let mut looked = false;
        loop {
            // One catalogue for the whole attempt. A replacement is used from the next attempt on.
            let catalogue = self.catalogue.load_full();
            let view = catalogue.view(caller)?;
            record.begin(&view, &catalogue.settings);
            record.table(&view, request);
            let scope = Scope::new(&view, &catalogue.settings, caller);
            match self.run(&scope, request, agreed, record).await {
                // The schema was changed after the plan was made: try again with the new one.
                Err(error) if is_stale(&error) && left > 0 => {
                    let fresh = Box::pin(self.refresh(&catalogue)).await?;
                    // If nothing has changed, one more attempt replaces statements that were prepared before the
                    // change.
                    left = if fresh { left - 1 } else { 0 };
                    record.forget();
                }
                Err(error) if names_unknown(&error) && !looked => {
                    looked = true;
                    if !Box::pin(self.is_outdated(&catalogue)).await {
                        return Err(error);
                    }
                    record.forget();
                }
                Err(error) if error.code() == Code::Timeout => {
                    record.late(&view, request);
                    return Err(error);
                }
                answer => return answer.map_err(|error| of_absent_claims(&scope, error)),
            }
        }
    }

    async fn run(
        &self,
        scope: &Scope<'_>,
        request: &Request,
        agreed: Option<&Agreement>,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        usable(scope.view, request)?;
        match request {
            Request::ListTables(request) => self.list_tables(scope, request).map(Reply::Tables),
            Request::DescribeTable(request) => {
                let table = scope.view.table(&request.table);
                let table = table.map_err(|error| error.inside("/table"))?;
                Ok(Reply::Table(scope.view.describe(table)))
            }
            Request::Select(request) => self.select(scope, request, record).await.map(Reply::Rows),
            // Boxed, so that the future of a select does not reserve space for these.
            Request::Aggregate(request) => {
                Box::pin(self.aggregate(scope, request, record)).await.map(Reply::Rows)
            }
            Request::Explain(request) => {
                Box::pin(self.explain(scope, request, record)).await.map(Reply::Plan)
            }
            Request::Transaction(request) => {
                Box::pin(self.transaction(scope, request, agreed, record))
                    .await
                    .map(Reply::Transaction)
            }
            request => Box::pin(self.write(scope, request, agreed, record)).await.map(Reply::Rows),
        }
    }
}

/// Whether something that a request names does not exist or is hidden from the role. Both must take the same time. It may be
/// the label of an enum, too, or what makes rows archivable.
fn names_unknown(error: &Error) -> bool {
    match error.code() {
        Code::UnknownTable | Code::UnknownColumn | Code::UnknownRelation | Code::NotArchivable => {
            true
        }
        Code::InvalidValue => !error.get_allowed().is_empty(),
        _ => false,
    }
}

/// Refuses a tool that takes no table name if the role can use it on no table. Other tools refuse each table.
fn usable(view: &View, request: &Request) -> Result<()> {
    let (needed, verb) = match request {
        Request::ListTables(_) => (view.actions(), "use"),
        Request::Transaction(_) => (view.actions().without(Action::Select), "write to"),
        _ => return Ok(()),
    };
    let writes = matches!(request, Request::Transaction(_));
    match (needed.is_empty(), view.read_only().filter(|_| writes)) {
        (true, Some(read_only)) => Err(read_only.refusal()),
        (true, None) => {
            // The message does not reveal whether there are no such tables, or none for this role.
            let schemas = view.schemas().join(", ");
            let message =
                format!("there is no table in {schemas} that the caller's role may {verb}");
            Err(Error::new(Code::Forbidden, message)
                .hint("an operator can grant it more, or serve other schemas"))
        }
        (false, _) => Ok(()),
    }
}
