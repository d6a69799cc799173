//! Calls of canned queries: reads in a read-only transaction, and writes that are guarded and recorded.

mod right;
mod write;

use serde_json::{Map, Value};

use crate::canned::Query;
use crate::engine::confirm::Consent;
use crate::engine::record::Record;
use crate::engine::{Engine, identity};
use crate::error::{Agreement, Code, Error, Result};
use crate::execute::{Fetched, Identity, Keep, is_stale, query_refusal};
use crate::plan::Scope;
use crate::policy::{Principal, milliseconds};
use crate::reply::{QueryResult, Reply, Rows};
use crate::request::unknown_tool;
use crate::statement::Statement;
use write::WriteArguments;

/// A call of a tool that is not built in.
pub(in crate::engine) struct QueryCall<'c> {
    pub(in crate::engine) caller: &'c Principal,
    pub(in crate::engine) tool: &'c str,
    pub(in crate::engine) arguments: &'c Map<String, Value>,
    /// The user's confirmation.
    pub(in crate::engine) agreed: Option<&'c Agreement>,
}

/// A call of a query.
struct Call<'c> {
    scope: &'c Scope<'c>,
    query: &'c Query,
    statement: &'c Statement<'c>,
    identity: Identity,
    keep: Keep,
}

impl Engine {
    /// Answers the call.
    pub(in crate::engine) async fn answer_query(
        &self,
        asked: &QueryCall<'_>,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        let result = match self.run_query(asked, record).await {
            // Boxed, as are writes below, so that the future of a read does not reserve space for these.
            Err(error) if is_stale(&error) => Box::pin(self.run_again(asked, record, error)).await,
            result => result,
        };
        result.map(Reply::Query)
    }

    /// The schema was changed after the query was described: describe and run it again.
    async fn run_again(
        &self,
        asked: &QueryCall<'_>,
        record: &mut Record<'_>,
        stale: Error,
    ) -> Result<QueryResult> {
        let catalogue = self.catalogue.load_full();
        if !catalogue.canned.is_broken(asked.tool) {
            self.reload().await?;
        } else if !self.refresh(&catalogue).await? {
            return Err(stale);
        }
        record.forget();
        let again = self.run_query(asked, record).await;
        if again.as_ref().is_err_and(is_stale) {
            self.catalogue.load().canned.note_broken(asked.tool);
        }
        again
    }

    async fn run_query(
        &self,
        asked: &QueryCall<'_>,
        record: &mut Record<'_>,
    ) -> Result<QueryResult> {
        let QueryCall { caller, tool, arguments, agreed } = *asked;
        let catalogue = self.catalogue.load_full();
        let view = catalogue.view(caller)?;
        record.begin(&view, &catalogue.settings);
        let Some(query) = catalogue.canned.query(tool, &view.role) else {
            let own = catalogue.canned.of_role(&view.role).map(|query| query.name.as_str());
            return Err(unknown_tool(tool, &Vec::from_iter(own)));
        };
        record.operation("canned");
        record.declared(query.meant());
        let settings = &catalogue.settings;
        let scope = Scope::new(&view, settings, caller);
        let limits = &view.limits;
        let statement = query.statement(arguments, &caller.claims, limits.max_list)?;
        record.statement(&statement.sql);
        let mut identity = identity(&scope);
        // The query's own timeout replaces the database's, but never exceeds that of the role.
        let longest = view.role.limits.statement_timeout;
        if let Some(timeout) =
            query.timeout.filter(|own| longest.is_none_or(|longest| *own < longest))
        {
            identity.settings.push(("statement_timeout".into(), milliseconds(timeout)));
        }
        identity.restore = query.coded;
        let rows = query.limit.min(limits.max_rows);
        let keep = Keep::new(rows, limits.max_reply_bytes);
        let call = Call { scope: &scope, query, statement: &statement, identity, keep };
        if query.writes {
            let own = WriteArguments::read(query, arguments, limits.max_write_rows)?;
            // A dry run is rolled back. What cannot be rolled back needs a confirmation even then.
            if !own.dry_run || !query.is_counted() {
                record.consent =
                    Consent::of_query(&scope, query, arguments, agreed, self.database.known());
            }
            if let Some(consent) = record.consent.as_ref().filter(|_| !query.is_counted()) {
                consent.check_query(&scope, query, None, &[])?;
            }
            return Box::pin(self.write_retried(&call, &own, record)).await;
        }
        let (identity, database) = (call.identity.clone(), &self.database);
        let read = match query.coded {
            true => database.read_once(identity, &[&statement], keep).await,
            false => database.read(identity, &[&statement], keep).await,
        };
        let fetched =
            read.map_err(|(_, failure)| query_refusal(failure, &view, &statement.parameters))?;
        let result = call.result(fetched.into_iter().next().unwrap_or_default())?;
        call.note(&result, record);
        record.rows(result.row_count);
        Ok(result)
    }
}

impl Call<'_> {
    fn result(&self, fetched: Fetched) -> Result<QueryResult> {
        if let (Some(row), true) = (fetched.too_large, fetched.rows.is_empty()) {
            let most = self.keep.bytes;
            let message =
                format!("one row has {} bytes, and a reply may have at most {most}", row.bytes);
            return Err(Error::new(Code::LimitExceeded, message));
        }
        let width = self.statement.outputs.len();
        // A function that returns `void` has one row without columns.
        let rows = match width {
            0 => Rows::from(Vec::new()),
            _ => Rows::named(self.query.column_names(), fetched.rows, Vec::new()),
        };
        let row_count = rows.len() as u64;
        let truncated = width > 0 && fetched.count > row_count;
        let notes = match truncated {
            true => vec![format!(
                "there are more rows than the {row_count} that this reply has room for: narrow the arguments"
            )],
            false => Vec::new(),
        };
        let query = self.query.name.clone();
        let mut result = QueryResult {
            query,
            rows: Some(rows),
            row_count,
            truncated,
            next_cursor: None,
            dry_run: None,
            untrusted: Vec::new(),
            notes,
        };
        result.label_untrusted(self.query.untrusted(self.scope.view));
        Ok(result)
    }

    /// Notes the sensitive columns of which the reply contains values.
    fn note(&self, result: &QueryResult, record: &mut Record<'_>) {
        if result.row_count > 0 {
            record.sensitive(|| self.query.sensitive(self.scope.view));
        }
    }
}
