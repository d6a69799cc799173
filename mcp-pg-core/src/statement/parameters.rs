//! Parameters, numbered in the order in which they appear in the text.

use std::fmt::{self, Write};

use sea_query::{
    ExplainStatement, Expr, PostgresQueryBuilder, QueryBuilder, QueryStatementWriter, SqlWriter,
    Value,
};

use super::{Output, Statement};
use crate::plan::Operand;

/// The parameters of a statement that is being built.
#[derive(Debug, Default)]
pub(super) struct Parameters {
    operands: Vec<Operand>,
    /// The operand of the plan that each was made from.
    origins: Vec<*const Operand>,
}

impl Parameters {
    /// Adds a parameter for an operand of the plan.
    pub(super) fn add(&mut self, operand: &Operand) -> Expr {
        self.push(operand.clone(), operand)
    }

    /// Adds a parameter for an operand that the plan does not have.
    pub(super) fn add_own(&mut self, operand: Operand) -> Expr {
        self.push(operand, std::ptr::null())
    }

    fn push(&mut self, operand: Operand, origin: *const Operand) -> Expr {
        self.operands.push(operand);
        self.origins.push(origin);
        place(self.operands.len() - 1)
    }

    /// The parameter of an operand that is used several times. PostgreSQL takes two expressions for the same, and
    /// evaluates them once, only if they use the same parameters.
    pub(super) fn share(&mut self, operand: &Operand) -> Expr {
        place(self.shared(operand))
    }

    /// The position of the parameter of [`Parameters::share`].
    pub(super) fn shared(&mut self, operand: &Operand) -> usize {
        let known = self.origins.iter().position(|origin| std::ptr::eq(*origin, operand));
        known.unwrap_or_else(|| {
            self.add(operand);
            self.operands.len() - 1
        })
    }

    /// Adds another parameter for the operand at a position.
    pub(super) fn twin(&mut self, position: usize) -> Expr {
        let operand = self.operands.get(position).cloned().unwrap_or_else(|| Operand::own(None));
        let origin = self.origins.get(position).copied().unwrap_or(std::ptr::null());
        self.push(operand, origin)
    }

    /// For each parameter of a text, its position among `operands`; `None` if any is not among them.
    pub(super) fn among(&self, text: &Text, operands: &[&Operand]) -> Option<Vec<usize>> {
        let origins = text.positions.iter().map(|position| self.origins.get(*position));
        origins
            .map(|origin| {
                let origin = origin?;
                operands.iter().position(|operand| std::ptr::eq(*operand, *origin))
            })
            .collect()
    }

    /// The finished statement.
    pub(super) fn finish<'v>(self, text: Text, outputs: Vec<Output<'v>>) -> Statement<'v> {
        let Text { sql, positions } = text;
        // Usually each operand is used once, in the order in which they were added.
        let parameters = match positions.iter().copied().eq(0..self.operands.len()) {
            true => self.operands,
            false => {
                let operand = |position| self.operands.get(position).cloned();
                let operand = |position| operand(position).unwrap_or_else(|| Operand::own(None));
                positions.into_iter().map(operand).collect()
            }
        };
        Statement { sql: sql.into(), parameters, outputs, recurring: true, named: false }
    }
}

/// A placeholder: sea-query passes the operand's position on to where the text is written.
pub(super) fn place(position: usize) -> Expr {
    Expr::Value(Value::BigInt(Some(i64::try_from(position).unwrap_or(i64::MAX))))
}

/// The text of a statement, and for each of its parameters the position of the operand.
#[derive(Debug, Default)]
pub(super) struct Text {
    pub(super) sql: String,
    positions: Vec<usize>,
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.sql.write_str(text)
    }

    // sea-query writes identifiers one character at a time.
    fn write_char(&mut self, c: char) -> fmt::Result {
        self.sql.write_char(c)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sql)
    }
}

impl SqlWriter for Text {
    fn push_param<T: QueryBuilder>(&mut self, value: Value, _: &T) {
        // Writing to a string cannot fail.
        let _ = match value {
            // The numbers of LIMIT and OFFSET are literals. For a parameter the planner assumes a tenth of the rows,
            // and would not keep the generic plan of a prepared statement.
            Value::BigUnsigned(Some(number)) => write!(self.sql, "{number}"),
            position => {
                // `add` makes no other values.
                let position = match position {
                    Value::BigInt(Some(position)) => usize::try_from(position).ok(),
                    _ => None,
                };
                let position = position.unwrap_or(usize::MAX);
                let known = self.positions.iter().position(|known| *known == position);
                let number = known.unwrap_or_else(|| {
                    self.positions.push(position);
                    self.positions.len() - 1
                });
                write!(self.sql, "${}", number + 1)
            }
        };
    }

    fn as_writer(&mut self) -> &mut dyn Write {
        self
    }
}

/// The text of a query, in PostgreSQL's dialect.
pub(super) fn build(query: &impl QueryStatementWriter) -> Text {
    let mut text = Text { sql: String::with_capacity(256), positions: Vec::new() };
    query.build_collect_into(PostgresQueryBuilder, &mut text);
    text
}

/// The same for EXPLAIN.
pub(super) fn build_explain(explain: &ExplainStatement) -> Text {
    let mut text = Text::default();
    explain.build_collect_into(PostgresQueryBuilder, &mut text);
    text
}
