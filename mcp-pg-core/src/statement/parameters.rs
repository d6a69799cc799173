//! Parameters, numbered as they come to stand in the text.

use sea_query::{Expr, PostgresQueryBuilder, QueryStatementWriter, Value, Values};

use super::{Output, Statement};
use crate::plan::Operand;

/// The parameters of a statement in the making.
#[derive(Debug, Default)]
pub(super) struct Parameters(Vec<Operand>);

impl Parameters {
    /// A place in the text for an operand.
    pub(super) fn add(&mut self, operand: &Operand) -> Expr {
        // sea-query carries the operand's position to where the value comes to stand.
        let position = i64::try_from(self.0.len()).unwrap_or(i64::MAX);
        self.0.push(operand.clone());
        Expr::Value(Value::BigInt(Some(position)))
    }

    /// The finished statement.
    pub(super) fn finish<'v>(
        self,
        built: (String, Values),
        outputs: Vec<Output<'v>>,
    ) -> Statement<'v> {
        let (sql, Values(values)) = built;
        // Most often each stands once, in the order in which they were added.
        let is_at = |(place, value): (usize, &Value)| matches!(value, Value::BigInt(Some(position)) if usize::try_from(*position) == Ok(place));
        if values.len() == self.0.len() && values.iter().enumerate().all(is_at) {
            return Statement { sql, parameters: self.0, outputs, recurring: true };
        }
        let parameters = values
            .into_iter()
            .map(|value| match value {
                Value::BigInt(Some(position)) => usize::try_from(position)
                    .ok()
                    .and_then(|position| self.0.get(position).cloned())
                    .unwrap_or_else(|| Operand::text(None, "")),
                // LIMIT and OFFSET, which sea-query makes parameters by itself.
                Value::BigUnsigned(Some(number)) => Operand::text(Some(number.to_string()), ""),
                _ => Operand::text(None, ""),
            })
            .collect();
        Statement { sql, parameters, outputs, recurring: true }
    }
}

/// The text of a query for PostgreSQL.
pub(super) fn build(query: &impl QueryStatementWriter) -> (String, Values) {
    query.build(PostgresQueryBuilder)
}
