//! The end of a transaction that writes: it is recorded and committed, or rolled back.

use super::operation::{Operation, Part};
use super::run::Given;
use crate::engine::Engine;
use crate::engine::confirm::Affected;
use crate::engine::record::Record;
use crate::error::{Code, Error, Result};
use crate::execute::{Failure, Transaction, ViolatedKey, referred};
use crate::plan::Scope;
use crate::policy::Action;

impl Engine {
    /// Records and commits the transaction. Rolls back a dry run, or what the user has not confirmed.
    pub(in crate::engine) async fn conclude(
        &self,
        transaction: Transaction,
        scope: &Scope<'_>,
        operations: &[Operation<'_>],
        (affected, given): (&[Affected], &Given),
        record: &mut Record<'_>,
    ) -> Result<()> {
        let refused = |failure| deferred(failure, scope, operations, given);
        if operations.iter().any(|operation| operation.dry_run) {
            return undo(transaction, record, refused).await;
        }
        if !operations.iter().any(Operation::writes) {
            let read = |failure| match operations.first() {
                Some(operation) => operation.refused(failure, scope, &[], Part::Look),
                None => refused(failure),
            };
            return transaction.commit(None).await.map_err(read);
        }
        let agreed = match &record.consent {
            Some(consent) => consent.check(scope, operations, affected),
            None => Ok(()),
        };
        self.commit(transaction, agreed, record, &refused).await
    }

    /// Commits if the user has confirmed it, if necessary, and the record is stored; otherwise rolls back. `refused`
    /// makes the error of a failure.
    pub(in crate::engine) async fn commit(
        &self,
        transaction: Transaction,
        agreed: Result<()>,
        record: &mut Record<'_>,
        refused: &(dyn Fn(Failure) -> Error + Sync),
    ) -> Result<()> {
        let entry = match agreed {
            Ok(()) => record.intend().await,
            Err(error) => Err(error),
        };
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                // If the connection is lost here, nothing is committed either, and the caller must hear of the refusal.
                transaction.rollback().await.ok();
                return Err(error);
            }
        };
        let committed = self.sinks.commit(transaction, entry).await;
        if committed.is_ok() {
            record.committed();
        }
        committed.map_err(|failure| {
            let error = refused(failure);
            if error.code() != Code::DatabaseUnavailable {
                return error;
            }
            Error::new(Code::DatabaseUnavailable, "the connection was lost during the commit")
                .hint("the write may have happened: read the rows before trying again")
                .retryable(false)
                .caused_by(error)
        })
    }
}

/// Rolls back a dry run, after checking deferred constraints.
pub(in crate::engine) async fn undo(
    mut transaction: Transaction,
    record: &mut Record<'_>,
    refused: impl Fn(Failure) -> Error,
) -> Result<()> {
    record.forget_images();
    transaction.check_constraints().await.map_err(&refused)?;
    transaction.rollback().await.map_err(&refused)
}

/// The error of a deferred constraint: at the row that PostgreSQL reports, if it is among the `written` ones,
/// otherwise at the only operation that is possible.
pub(in crate::engine) fn deferred(
    failure: Failure,
    scope: &Scope<'_>,
    operations: &[Operation<'_>],
    written: &Given,
) -> Error {
    let answer = match &failure {
        Failure::Database(error) => error.as_db_error(),
        Failure::Own(_) => None,
    };
    // The fault is in the referenced row, not in those that refer to it.
    let left = answer.and_then(|answer| referred(answer, scope.view));
    let is_named = |operation: &Operation<'_>| {
        let table = operation.table().name();
        match left {
            Some(left) => left == table,
            None => answer.is_some_and(|answer| {
                answer.table() == Some(&table.name) && answer.schema() == Some(&table.schema)
            }),
        }
    };
    let writes = || operations.iter().enumerate().filter(|(_, operation)| operation.writes());
    let named = || writes().filter(|(_, operation)| is_named(operation));
    let key = answer.and_then(ViolatedKey::of);
    let at_fault = key.and_then(|key| {
        named().rev().find_map(|(index, operation)| {
            let rows = written.get(index)?;
            let row = rows.iter().position(|row| key.is_of(row))?;
            Some((operation, Some((row, rows.len()))))
        })
    });
    let (operation, row) = match (at_fault, named().next(), named().nth(1)) {
        (Some(found), ..) => found,
        (None, Some((_, operation)), None) => (operation, None),
        // A trigger wrote to another table, or several operations are possible.
        (None, ..) => match (writes().next(), writes().nth(1)) {
            (Some((_, operation)), None) => (operation, None),
            (Some((_, operation)), Some(_)) => {
                return operation.refused(failure, scope, &[], Part::Rows).at("/operations");
            }
            (None, _) => return Error::new(Code::Internal, "a transaction that writes nothing"),
        },
    };
    // If all listed rows were written, their indexes are the same.
    let listed = operation.listed();
    let row = row.filter(|(_, of)| listed == Some(*of)).map(|(row, _)| row);
    let error = operation.refused(failure, scope, &[], row.map_or(Part::Rows, Part::Row));
    match (listed, row, error.get_at()) {
        (Some(_), None, Some(_)) if operation.action() == Action::Insert => error.at("/data"),
        (Some(_), None, Some(_)) => error.at("/updates"),
        _ => error,
    }
    .inside(&operation.at)
}
