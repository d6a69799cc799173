//! Canned queries that write: guarded, confirmed, recorded, and retried after serialization failures.

use serde_json::{Map, Value};

use super::Call;
use crate::canned::Query;
use crate::engine::Engine;
use crate::engine::read::number;
use crate::engine::record::Record;
use crate::engine::transaction::{ALL, Retries, undo};
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Fetched, Keep, Mode, Transaction, query_refusal, texts};
use crate::reply::{QueryResult, Rows};
use crate::statement;

/// Keeps the only row of a result.
const ONE: Keep = Keep::new(1, usize::MAX);

/// The arguments of a query that writes, besides its parameters.
pub(super) struct WriteArguments {
    pub(super) dry_run: bool,
    /// The most rows that may be written.
    max_rows: Option<u64>,
}

impl Engine {
    pub(super) async fn write_retried(
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
        // One snapshot, as for all writes.
        let mut transaction = self.database.begin(call.identity.clone(), Mode::CHANGE).await?;
        let asked = record.consent.is_some() && !call.query.key_columns().is_empty();
        let (mut fetched, rows) = call.write(&mut transaction, own, asked).await?;
        if let Some(most) = own.max_rows.filter(|most| rows > *most) {
            return Err(call.too_many(rows, most));
        }
        let which = if asked { call.which(&fetched)? } else { Vec::new() };
        fetched.narrow(call.keep, &call.statement.outputs);
        let mut result = call.result(fetched)?;
        call.note(&result, record);
        if !call.query.has_columns() && call.query.is_statement() {
            result.row_count = rows;
        }
        if record.keeps_images() {
            let (rows, cut) = (objects(&result), result.truncated);
            match call.query.removes() {
                true => record.before(&rows, cut),
                false => record.after(&rows, cut),
            }
        }
        record.rows(rows);
        let refused = |failure| call.refused(failure);
        if own.dry_run {
            undo(transaction, record, refused).await?;
        } else {
            let agreed = call.agreed(&mut transaction, record, rows, &which).await?;
            self.commit(transaction, agreed, record, &refused).await?;
        }
        result.dry_run = own.dry_run.then_some(true);
        Ok(result)
    }
}

impl Call<'_> {
    fn refused(&self, failure: Failure) -> Error {
        query_refusal(failure, self.scope.view, &self.statement.parameters)
    }

    /// Runs the statement and returns its rows and the number of written rows. If the user is to be `asked`, all rows
    /// are read, unless they exceed the limit.
    async fn write(
        &self,
        transaction: &mut Transaction,
        own: &WriteArguments,
        asked: bool,
    ) -> Result<(Fetched, u64)> {
        let statistics = own.max_rows.is_some() && !self.query.is_counted();
        let before = match statistics {
            true => self.touched(transaction).await?,
            false => 0,
        };
        let parameters = texts(&self.statement.parameters, &[])?;
        let keep = match (asked, own.max_rows) {
            (true, Some(most)) => Keep::new(most, usize::MAX),
            (true, None) => ALL,
            (false, _) => self.keep,
        };
        let fetched = transaction.run(self.statement, &parameters, keep).await;
        let fetched = fetched.map_err(|failure| self.refused(failure))?;
        let rows = match statistics {
            true => self.touched(transaction).await?.saturating_sub(before),
            false => fetched.affected.unwrap_or_default().max(fetched.count),
        };
        Ok((fetched, rows))
    }

    /// The number of rows that the transaction has written so far, from PostgreSQL's statistics.
    async fn touched(&self, transaction: &mut Transaction) -> Result<u64> {
        let counted = transaction.run(&statement::touched(), &[], ONE).await;
        let counted = counted.map_err(|failure| self.refused(failure))?;
        number(&counted).ok_or_else(|| {
            let what =
                "the rows that it would write cannot be limited: PostgreSQL does not count them";
            Error::new(Code::DatabaseError, what).hint("the operator can set track_counts = on")
        })
    }

    fn too_many(&self, rows: u64, most: u64) -> Error {
        let message = format!("{} would touch {rows} rows, and may touch {most}", self.query.name);
        let error = Error::new(Code::TooManyRows, message).row_count(rows);
        match self.query.max_rows {
            Some(_) => error.hint("give arguments that match fewer rows"),
            None => error
                .at("/max_rows")
                .hint(format!("give \"max_rows\": {rows} if all of them are meant")),
        }
    }

    /// Checks the user's confirmation of what was written, where it is asked for after the write.
    async fn agreed(
        &self,
        transaction: &mut Transaction,
        record: &Record<'_>,
        rows: u64,
        which: &[String],
    ) -> Result<Result<()>> {
        let Some(consent) = record.consent.as_ref().filter(|_| self.query.is_counted()) else {
            return Ok(Ok(()));
        };
        if rows > 0 {
            return Ok(consent.check_query(self.scope, self.query, Some(rows), which));
        }
        // Writes by triggers are not counted.
        let written = transaction.run(&statement::written(), &[], ONE).await;
        let written = written.map_err(|failure| self.refused(failure))?;
        Ok(match written.rows.first().and_then(|row| row.first()) {
            Some(Value::Bool(false)) => Ok(()),
            _ => consent.check_query(self.scope, self.query, None, &[]),
        })
    }

    /// The keys of the changed or deleted rows, sorted, as far as the query returns them.
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
}

/// The rows of a result for the audit log.
fn objects(result: &QueryResult) -> Vec<Map<String, Value>> {
    let rows = result.rows.clone().map(Rows::into_values).unwrap_or_default();
    let rows = rows.into_iter().filter_map(|row| match row {
        Value::Object(row) => Some(row),
        _ => None,
    });
    rows.collect()
}

impl WriteArguments {
    pub(super) fn read(query: &Query, arguments: &Map<String, Value>, usual: u64) -> Result<Self> {
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
            // The number of rows that a function writes is limited only if its author says so.
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
