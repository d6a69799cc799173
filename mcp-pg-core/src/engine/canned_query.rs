//! Calls of canned queries: read in a transaction that only reads, or write guarded and recorded.

use serde_json::{Map, Value};

use super::confirm::Consent;
use super::record::Record;
use super::transaction::ALL;
use super::transaction::Retries;
use super::transaction::undo;
use super::{Engine, identity};
use crate::canned::Query;
use crate::error::{Agreement, Code, Error, Result};
use crate::execute::{Fetched, Identity, Keep, is_stale, query_refusal, texts};
use crate::plan::Scope;
use crate::policy::Principal;
use crate::reply::{QueryResult, Reply, Rows};
use crate::request::{Isolation, unknown_tool};
use crate::statement::{self, Statement};

/// A call of a tool that is not built in.
pub(super) struct QueryCall<'c> {
    pub(super) caller: &'c Principal,
    pub(super) tool: &'c str,
    pub(super) arguments: &'c Map<String, Value>,
    /// What the user has agreed to.
    pub(super) agreed: Option<&'c Agreement>,
}

/// A call of a query that is about to run.
struct Call<'c> {
    scope: &'c Scope<'c>,
    query: &'c Query,
    statement: &'c Statement<'c>,
    identity: Identity,
    keep: Keep,
}

/// What the caller of a query that writes may say besides its parameters.
struct WriteArguments {
    dry_run: bool,
    /// Most rows that may be written.
    max_rows: Option<u64>,
}

impl Engine {
    /// Answers the call.
    pub(super) async fn answer_query(
        &self,
        asked: &QueryCall<'_>,
        record: &mut Record<'_>,
    ) -> Result<Reply> {
        let result = match self.run_query(asked, record).await {
            // Boxed, like writes below: futures are moved into each other, and calls that read need no room for these.
            Err(error) if is_stale(&error) => Box::pin(self.run_again(asked, record, error)).await,
            result => result,
        };
        result.map(Reply::Query)
    }

    /// Someone changed the schema under the query: once more, described anew.
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
        // Its own instead of the database's; a role's stays the longest that there is.
        let longest = view.role.limits.statement_timeout;
        if let Some(timeout) =
            query.timeout.filter(|own| longest.is_none_or(|longest| *own < longest))
        {
            let milliseconds = timeout.as_millis().to_string();
            identity.settings.push(("statement_timeout".into(), milliseconds));
        }
        identity.restore = query.coded;
        let rows = query.limit.min(limits.max_rows);
        let keep = Keep { rows, bytes: limits.max_reply_bytes };
        let call = Call { scope: &scope, query, statement: &statement, identity, keep };
        if query.writes {
            let own = WriteArguments::read(query, arguments, limits.max_write_rows)?;
            // A dry run undoes what it does; what cannot be undone is asked about all the same.
            if !own.dry_run || !query.is_counted() {
                record.consent = Consent::of_query(&scope, query, arguments, agreed);
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

    async fn write_retried(
        &self,
        call: &Call<'_>,
        own: &WriteArguments,
        record: &mut Record<'_>,
    ) -> Result<QueryResult> {
        let mut retries = Retries::of(call.scope, &self.turns, &call.query.name);
        loop {
            match self.write_query(call, own, record).await {
                Err(error) if retries.again(&error).await => record.forget(),
                result => return result,
            }
        }
    }

    async fn write_query(
        &self,
        call: &Call<'_>,
        own: &WriteArguments,
        record: &mut Record<'_>,
    ) -> Result<QueryResult> {
        let Call { scope, query, statement, keep, .. } = call;
        let refused = |failure| query_refusal(failure, scope.view, &statement.parameters);
        // One snapshot, as for every write.
        let isolation = Some(Isolation::RepeatableRead);
        let mut transaction = self.database.begin(call.identity.clone(), isolation).await?;
        let touched = statement::touched();
        let one = Keep { rows: 1, bytes: usize::MAX };
        let statistics = own.max_rows.is_some() && !query.is_counted();
        let mut before = 0;
        if statistics {
            let counted = transaction.run(&touched, &[], one).await.map_err(&refused)?;
            before = super::read::number(&counted).ok_or_else(|| {
                let what = "the rows that it would write cannot be limited: PostgreSQL does not count them";
                Error::new(Code::DatabaseError, what).hint("the operator can set track_counts = on")
            })?;
        }
        let parameters = texts(&statement.parameters, &[])?;
        let asked = record.consent.is_some() && !query.key_columns().is_empty();
        // Which rows they are must be known of all of them, unless there are more than there may be.
        let read = match (asked, own.max_rows) {
            (true, Some(most)) => Keep { rows: most, bytes: usize::MAX },
            (true, None) => ALL,
            (false, _) => *keep,
        };
        let fetched = transaction.run(statement, &parameters, read).await;
        let mut fetched = fetched.map_err(&refused)?;
        let rows = if statistics {
            let counted = transaction.run(&touched, &[], one).await.map_err(&refused)?;
            super::read::number(&counted).unwrap_or_default().saturating_sub(before)
        } else {
            fetched.affected.unwrap_or_default().max(fetched.count)
        };
        if let Some(most) = own.max_rows.filter(|most| rows > *most) {
            let error = Error::new(
                Code::TooManyRows,
                format!("{} would touch {rows} rows, and may touch {most}", query.name),
            )
            .row_count(rows);
            return Err(match query.max_rows {
                Some(_) => error.hint("give arguments that match fewer rows"),
                None => error
                    .at("/max_rows")
                    .hint(format!("give \"max_rows\": {rows} if all of them are meant")),
            });
        }
        let which = if asked { call.which(&fetched)? } else { Vec::new() };
        fetched.narrow(*keep, &statement.outputs);
        let mut result = call.result(fetched)?;
        call.note(&result, record);
        if !query.has_columns() && query.is_statement() {
            result.row_count = rows;
        }
        if record.keeps_images() {
            let rows = result.rows.clone().map(Rows::into_values).unwrap_or_default();
            let rows = rows.into_iter().filter_map(|row| match row {
                Value::Object(row) => Some(row),
                _ => None,
            });
            record.after(&Vec::from_iter(rows), result.truncated);
        }
        record.rows(rows);
        if own.dry_run {
            undo(transaction, record, refused).await?;
        } else {
            let agreed = match record.consent.as_ref().filter(|_| query.is_counted()) {
                Some(consent) if rows > 0 => consent.check_query(scope, query, Some(rows), &which),
                // What triggers do instead of it is not counted.
                Some(consent) => {
                    let written = statement::written();
                    let written = transaction.run(&written, &[], one).await.map_err(&refused)?;
                    match written.rows.first().and_then(|row| row.first()) {
                        Some(Value::Bool(false)) => Ok(()),
                        _ => consent.check_query(scope, query, None, &[]),
                    }
                }
                None => Ok(()),
            };
            self.commit(transaction, agreed, record, &refused).await?;
        }
        result.dry_run = own.dry_run.then_some(true);
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
        // A function that returns nothing has a row with nothing in it.
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

    /// What tells the rows that it changed or removed from others, sorted, as far as it returns that.
    fn which(&self, fetched: &Fetched) -> Result<Vec<String>> {
        if fetched.too_large.is_some() {
            let message = "the rows are too large to ask the user about all of them";
            return Err(Error::new(Code::LimitExceeded, message));
        }
        let places = self.query.key_columns();
        let key = |row: &Vec<Value>| {
            let values = places.iter().filter_map(|place| row.get(*place));
            Value::from_iter(values.cloned()).to_string()
        };
        let mut which: Vec<String> = fetched.rows.iter().map(key).collect();
        which.sort_unstable();
        Ok(which)
    }

    /// Notes the sensitive columns that the reply has values of.
    fn note(&self, result: &QueryResult, record: &mut Record<'_>) {
        if result.row_count > 0 {
            record.sensitive(|| self.query.sensitive(self.scope.view));
        }
    }
}

impl WriteArguments {
    fn read(query: &Query, arguments: &Map<String, Value>, usual: u64) -> Result<Self> {
        let given = |name: &str| arguments.get(name).filter(|value| !value.is_null());
        let wrong = |name: &str, what: &str, value: &Value| {
            Error::new(Code::InvalidValue, format!("expected {what}, got {value}"))
                .at(format!("/{name}"))
        };
        let dry_run = match given("dry_run") {
            None => false,
            Some(Value::Bool(dry_run)) => *dry_run,
            Some(other) => return Err(wrong("dry_run", "true or false", other)),
        };
        let max_rows = match (query.max_rows, given("max_rows")) {
            (Some(most), _) => Some(most),
            // What a function writes is its own affair, unless its author sets a bound.
            (None, _) if !query.is_statement() => None,
            (None, None) => Some(usual),
            (None, Some(value)) => {
                let most = value.as_u64().filter(|most| *most > 0);
                Some(most.ok_or_else(|| wrong("max_rows", "a whole number, 1 or more", value))?)
            }
        };
        Ok(Self { dry_run, max_rows })
    }
}
