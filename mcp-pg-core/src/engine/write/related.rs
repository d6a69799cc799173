//! Related rows of written rows, read before the commit.

use serde_json::{Map, Value};

use crate::engine::record::Record;
use crate::engine::transaction::Run;
use crate::engine::{Engine, rows};
use crate::error::Result;
use crate::execute::{Keep, Transaction};
use crate::plan::{Dotted, Operand};
use crate::reply::Rows;
use crate::request::Format;
use crate::{statement, value};

impl Engine {
    /// The included relations of each written row, as far as a reply shows them.
    pub(in crate::engine) async fn related(
        &self,
        transaction: &mut Transaction,
        run: &Run<'_, '_>,
        written: &[Map<String, Value>],
        record: &mut Record<'_>,
    ) -> Result<Option<Vec<Map<String, Value>>>> {
        let includes = run.operation.plan.includes();
        let table = run.operation.table();
        let Some(key) = table.row_key().filter(|_| !includes.is_empty()) else { return Ok(None) };
        let columns = &table.table.columns;
        let key: Vec<_> = key.iter().map(|column| &columns[*column]).collect();
        let limits = &run.scope.view.limits;
        let most = usize::try_from(limits.max_rows).unwrap_or(usize::MAX);
        let shown = written.iter().take(most);
        let values = shown.map(|row| {
            let values = key.iter().map(|column| {
                let value = row.get(&column.name).unwrap_or(&Value::Null);
                let text = value::encode(&column.data_type, &column.type_name, value)?;
                Ok(Operand::own(text))
            });
            values.collect::<Result<Vec<_>>>()
        });
        let values: Vec<Vec<Operand>> = values.collect::<Result<_>>()?;
        let mut related = vec![Map::new(); values.len()];
        if values.is_empty() {
            return Ok(Some(related));
        }
        let statement = statement::related(table, &key, &values, includes);
        let keep = Keep::new(u64::MAX, limits.max_reply_bytes);
        let fetched = run.statement(transaction, &statement, keep, record).await?;
        let positions: Vec<Option<usize>> = fetched
            .rows
            .iter()
            .map(|row| row.last()?.as_u64().and_then(|position| usize::try_from(position).ok()))
            .collect();
        if fetched.too_large.is_some() {
            // Rows whose related rows were not read are not shown either.
            related.truncate(fetched.rows.len());
        }
        let outputs = statement.outputs.get(..includes.len()).unwrap_or_default();
        let names = rows::names(outputs);
        let (_, members, _) = rows::shape(names, outputs, fetched.rows, &fetched.cut, Format::Json);
        let members = members.map(Rows::into_values).unwrap_or_default();
        for (position, members) in positions.into_iter().zip(members) {
            if let (Some(place), Value::Object(members)) =
                (position.and_then(|position| related.get_mut(position)), members)
            {
                *place = flat(members, run.operation.plan.dotted());
            }
        }
        Ok(Some(related))
    }
}

/// The members of a row with the columns of related rows in the place of those rows.
fn flat(mut members: Map<String, Value>, dotted: &[Dotted]) -> Map<String, Value> {
    let value =
        |of: &Dotted| members.get(&of.relation).and_then(|row| row.get(&of.column)).cloned();
    let values: Vec<Value> = dotted.iter().map(|of| value(of).unwrap_or_default()).collect();
    // A value may have the name of such a relation.
    members.retain(|name, _| !dotted.iter().any(|of| of.relation == *name));
    members.extend(dotted.iter().map(|of| of.name.clone()).zip(values));
    members
}
