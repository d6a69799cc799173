//! Returned values of written rows: columns, and members of their JSON.

use serde_json::Value;

use crate::error::{Code, Error, Result, below};
use crate::plan::expression::reached::steps;
use crate::plan::label::given_name;
use crate::plan::{Scope, Shown};
use crate::policy::TableView;

/// A returned value of a written row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Returned {
    /// Its name in the reply.
    pub name: String,
    /// The position of its column.
    pub position: usize,
    /// The path to it in the column's JSON; empty for the whole column.
    pub path: Vec<String>,
}

impl Returned {
    /// The value within a column's value. Null if the JSON has nothing there, as PostgreSQL's `#>`.
    pub fn within(&self, column: &Value) -> Value {
        let member = self.path.iter().try_fold(column, |value, step| match value {
            Value::Object(members) => members.get(step),
            Value::Array(items) => {
                let index: i64 = step.parse().ok()?;
                let place = usize::try_from(index.unsigned_abs()).ok()?;
                let place = if index < 0 { items.len().checked_sub(place)? } else { place };
                items.get(place)
            }
            _ => None,
        });
        member.cloned().unwrap_or_default()
    }
}

impl<'v> Scope<'v> {
    /// The values that `returning` requests; all readable columns without it.
    ///
    /// # Errors
    ///
    /// As [`Scope::shown`], and `invalid_value` for computed values.
    pub(super) fn returned(
        &self,
        table: &'v TableView,
        items: Option<&[Value]>,
    ) -> Result<Vec<Returned>> {
        const AT: &str = "/returning";
        let shown = self.shown(table, items, AT)?;
        let returned = shown.iter().map(|shown| {
            let name = shown.name(table).to_owned();
            let (position, path) = match shown {
                Shown::Column(position) => (*position, Vec::new()),
                Shown::Computed(computed) => {
                    let items = items.unwrap_or_default();
                    let place = items.iter().position(|item| is_named(item, &name));
                    let item = place.and_then(|place| items.get(place));
                    let own = computed.of.column().filter(|reached| reached.hops.is_empty());
                    let Some(reached) = own else {
                        let message = "written rows are returned as they are: nothing is computed";
                        let at = below(AT, &place.unwrap_or_default().to_string());
                        return Err(Error::new(Code::InvalidValue, message)
                            .at(at)
                            .hint("a select computes with them"));
                    };
                    let path = item.and_then(|item| item.get("path"));
                    (reached.position, path.into_iter().flat_map(steps).collect())
                }
                Shown::Related { of, .. } if of.hops.is_empty() => (of.position, Vec::new()),
                Shown::Related { of, .. } => {
                    let items = items.unwrap_or_default();
                    let place =
                        items.iter().position(|item| *item == name || is_named(item, &name));
                    let place = place.unwrap_or_default();
                    let path = match name.contains('.') {
                        true => name.clone(),
                        false => of.path(table),
                    };
                    let (relation, column) = path.split_once('.').unwrap_or_default();
                    let message = "columns of related rows come with include";
                    return Err(Error::new(Code::InvalidValue, message)
                        .at(below(AT, &place.to_string()))
                        .hint(format!(
                            "\"include\": {{{relation:?}: {{\"columns\": [{column:?}]}}}}"
                        )));
                }
            };
            Ok(Returned { name, position, path })
        });
        returned.collect()
    }
}

/// Whether an item's name in the reply is this one.
fn is_named(item: &Value, name: &str) -> bool {
    let given = item.as_object().and_then(given_name);
    given.is_some_and(|given| given == name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Returned;

    #[test]
    fn a_path_finds_what_postgresql_finds() {
        let value = json!({"a": [{"b": null}, 2, [3]], "1": "one", "": {"c": true}});
        for (path, expected) in [
            (vec!["a", "0"], json!({"b": null})),
            (vec!["a", "-1", "0"], json!(3)),
            (vec!["a", "-4"], json!(null)),
            (vec!["a", "3"], json!(null)),
            (vec!["a", "x"], json!(null)),
            (vec!["a", "0", "b", "c"], json!(null)),
            (vec!["1"], json!("one")),
            (vec!["1", "0"], json!(null)),
            (vec!["", "c"], json!(true)),
        ] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            let returned = Returned { name: String::new(), position: 0, path };
            assert_eq!(returned.within(&value), expected, "{:?}", returned.path);
        }
    }
}
