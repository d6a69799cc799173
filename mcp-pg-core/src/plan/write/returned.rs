//! Returned values of written rows: columns, and members of their JSON.

use serde_json::{Map, Value, json};

use crate::error::{Code, Error, Result, below};
use crate::plan::expression::reached::steps;
use crate::plan::label::given_name;
use crate::plan::{Include, Scope, Shown};
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

/// A returned column of a to-one related row, as in `partner.name`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dotted {
    /// Its name in the reply.
    pub name: String,
    /// The included relation that has it, which the reply does not show.
    pub relation: String,
    /// The column's name in that.
    pub column: String,
}

/// The argument.
const AT: &str = "/returning";

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
    ) -> Result<(Vec<Returned>, Vec<Dotted>)> {
        let shown = self.shown(table, items, AT)?;
        let items = items.unwrap_or_default();
        let wrong = |message: &str, place: Option<usize>| {
            let at = below(AT, &place.unwrap_or_default().to_string());
            Error::new(Code::InvalidValue, message).at(at)
        };
        let (mut returned, mut dotted) = (Vec::with_capacity(shown.len()), Vec::new());
        for shown in &shown {
            let name = shown.name(table).to_owned();
            let of = match shown {
                Shown::Column(position) => {
                    returned.push(Returned { name, position: *position, path: Vec::new() });
                    continue;
                }
                Shown::Computed(computed) => computed.of.column(),
                Shown::Related { of, .. } => Some(&**of),
            };
            let place = items.iter().position(|item| *item == name || is_named(item, &name));
            let Some(of) = of else {
                let message = "written rows are returned as they are: nothing is computed";
                return Err(wrong(message, place).hint("a select computes with them"));
            };
            let column = of.column.name.clone();
            match of.hops.as_slice() {
                [] => {
                    let path = place.and_then(|place| items.get(place)?.get("path"));
                    let path = path.into_iter().flat_map(steps).collect();
                    returned.push(Returned { name, position: of.position, path });
                }
                [hop] if of.member.is_none() => {
                    let relation = hop.subject.relation_name(hop.relation).to_owned();
                    dotted.push(Dotted { name, relation, column });
                }
                _ => {
                    let path = of.path(table);
                    let (relation, column) = path.split_once('.').unwrap_or_default();
                    let message = "columns of rows further away come with include";
                    let hint =
                        format!("\"include\": {{{relation:?}: {{\"columns\": [{column:?}]}}}}");
                    return Err(wrong(message, place).hint(hint));
                }
            }
        }
        Ok((returned, dotted))
    }

    /// The related rows that come with written ones: those of `include`, and those that have the columns `dotted`.
    ///
    /// # Errors
    ///
    /// As [`Scope::written_includes`], and `invalid_value` for a relation that is asked for in both ways.
    pub(super) fn returned_related(
        &self,
        table: &'v TableView,
        returned: &[Returned],
        dotted: &mut [Dotted],
        include: Option<&Map<String, Value>>,
    ) -> Result<Vec<Include<'v>>> {
        let names = returned.iter().map(|returned| returned.name.as_str());
        let names: Vec<&str> = names.chain(dotted.iter().map(|of| of.name.as_str())).collect();
        let mut includes = self.written_includes(table, &names, include)?;
        if dotted.is_empty() {
            return Ok(includes);
        }
        let mut asked: Map<String, Value> = Map::new();
        for Dotted { relation, column, .. } in &*dotted {
            let options = asked.entry(relation.clone()).or_insert_with(|| json!({"columns": []}));
            if let Some(columns) = options["columns"].as_array_mut() {
                columns.push(column.as_str().into());
            }
        }
        let further = self.written_includes(table, &[], Some(&asked));
        let further = further.map_err(|error| error.at(AT))?;
        for (relation, include) in asked.keys().zip(&further) {
            let same = |known: &&Include<'_>| known.name == include.name;
            if includes.iter().any(|known| same(&known)) {
                let message = format!("{relation} is included: its columns are named there");
                return Err(Error::new(Code::InvalidValue, message).at(AT));
            }
            let of = dotted.iter_mut().filter(|dotted| dotted.relation == *relation);
            of.for_each(|dotted| dotted.relation = include.name.to_owned());
        }
        includes.extend(further);
        self.few_joined(includes)
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
