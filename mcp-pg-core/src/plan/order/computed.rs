//! Computed sort keys, given as expressions or by their names among the columns.

use serde_json::{Map, Value};

use super::sort::choice;
use crate::error::Result;
use crate::plan::expression::operation;
use crate::plan::{Expression, Scope, Shown, Sort, SortKey};
use crate::policy::TableView;
use crate::request::check_members;

impl<'v> Scope<'v> {
    /// `{"multiply": ["price", "quantity"], "direction": "desc", "nulls": "last"}`, or a total of related rows.
    pub(super) fn sort_by_computed(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Sort<'v>> {
        let of = self.arithmetic(table, object, at)?;
        let key = directed(of, object, operation::members(object).into_iter().flatten());
        key.map_err(|error| error.inside(at))
    }
}

/// The sort key for the name of a returned value.
pub(super) fn sort_by_label<'v>(
    item: &Value,
    shown: &[Shown<'v>],
    at: &str,
) -> Result<Option<Sort<'v>>> {
    let find = |name: &str| {
        shown.iter().enumerate().find_map(|(index, shown)| match shown {
            Shown::Computed(computed) if computed.name == name => Some((index, &computed.of)),
            _ => None,
        })
    };
    let labelled = |(index, _): (usize, _), key| Sort { shown: Some(index), ..key };
    match item {
        Value::String(text) => {
            let own = find(text).map(|found| (found, false));
            let found = own.or_else(|| Some((find(text.strip_prefix('-')?)?, true)));
            Ok(found
                .map(|(found, descending)| labelled(found, key(found.1.clone(), descending, None))))
        }
        Value::Object(object) => {
            let Some(found) = object.get("column").and_then(Value::as_str).and_then(find) else {
                return Ok(None);
            };
            let key = directed(found.1.clone(), object, ["column"].into_iter());
            key.map(|key| Some(labelled(found, key))).map_err(|error| error.inside(at))
        }
        _ => Ok(None),
    }
}

/// A sort key whose object contains one member that selects it, and its direction.
fn directed<'v>(
    of: Expression<'v>,
    object: &Map<String, Value>,
    what: impl Iterator<Item = &'static str>,
) -> Result<Sort<'v>> {
    let known: Vec<&str> = what.chain(["direction", "nulls"]).collect();
    check_members(object, known.into_iter(), "a computed sort key has no member")?;
    let descending = choice(object, "direction", "asc", "desc")?.unwrap_or_default();
    Ok(key(of, descending, choice(object, "nulls", "first", "last")?))
}

fn key<'v>(of: Expression<'v>, descending: bool, nulls_last: Option<bool>) -> Sort<'v> {
    // A row that nothing is related to has no mean to be sorted by, nor what is computed of one.
    let last = (!of.totals().is_empty()).then_some(true);
    let key = match of {
        Expression::Column(reached) => SortKey::Value(reached),
        of => SortKey::Computed(Box::new(of)),
    };
    let sort = Sort::by(key, descending);
    let nulls_last = nulls_last.or(last).unwrap_or(sort.nulls_last);
    Sort { nulls_last, ..sort }
}
