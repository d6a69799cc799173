//! Parses `where` objects to predicates.

use serde_json::{Map, Value};

use super::compared::Left;
use super::computed::is_computed;
use crate::error::{Code, Error, Result, below};
use crate::plan::grammar::{COUNT, PART, QUANTIFIERS, WHERE};
use crate::plan::hop::ambiguous;
use crate::plan::{Expression, Hop, Predicate, Quantifier, Reached, Scope, Slot};
use crate::policy::TableView;
use crate::schema::{Found, Operator, Relation};

/// The condition of a `where` object, which is at `at` in the arguments.
///
/// # Errors
///
/// `unknown_column`, `unknown_relation`, `unknown_operator`, `invalid_value`, `limit_exceeded`.
pub fn filter<'v>(
    scope: &Scope<'v>,
    table: &'v TableView,
    object: &Map<String, Value>,
    at: &str,
) -> Result<Predicate<'v>> {
    scope.measured(table, object, at).map(|(condition, _)| condition)
}

/// How large a condition is.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::plan) struct Size {
    /// Its parts, including those of the conditions of totals in it.
    pub(in crate::plan) parts: usize,
    /// How deeply totals are nested in it.
    pub(in crate::plan) totals: usize,
}

impl<'v> Scope<'v> {
    /// As [`filter`], with the size of the condition.
    ///
    /// # Errors
    ///
    /// As [`filter`].
    pub(in crate::plan) fn measured(
        &self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<(Predicate<'v>, Size)> {
        let mut parser = Parser { scope: self, nodes: 0, depth: 0, outer: Vec::new(), totals: 0 };
        let condition = parser.object(table, object, at)?;
        Ok((condition, Size { parts: parser.nodes, totals: parser.totals }))
    }
}

/// Parses conditions, and counts their parts.
pub(super) struct Parser<'s, 'v> {
    pub(super) scope: &'s Scope<'v>,
    nodes: usize,
    /// The number of enclosing conditions.
    depth: usize,
    /// The steps to the row that the condition is about, from the table where it begins, and their tables of origin.
    pub(super) outer: Vec<(&'v TableView, &'v Relation)>,
    /// How deeply totals are nested.
    pub(super) totals: usize,
}

impl<'v> Parser<'_, 'v> {
    fn object(
        &mut self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        self.deeper(at, |parser| parser.members(table, object, at))
    }

    /// A condition within another one.
    pub(super) fn deeper(
        &mut self,
        at: &str,
        parse: impl FnOnce(&mut Self) -> Result<Predicate<'v>>,
    ) -> Result<Predicate<'v>> {
        let most = self.scope.view.limits.max_depth;
        if self.depth > most {
            let message = format!("a condition may be nested at most {most} levels deep");
            return Err(Error::exceeded("max_depth", message).at(at));
        }
        self.count(at)?;
        self.depth += 1;
        let condition = parse(self);
        self.depth -= 1;
        condition
    }

    /// A condition on related rows.
    pub(super) fn of_related(
        &mut self,
        hop: &Hop<'v>,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        self.outer.push((hop.subject, hop.relation));
        let condition = self.object(hop.table, object, at);
        self.outer.pop();
        condition
    }

    fn members(
        &mut self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        if let Some((name, rest)) = spelled_out(table, object) {
            return self.named(table, name, &Value::Object(rest), &below(at, "column"), at);
        }
        let mut all = Vec::with_capacity(object.len());
        for (name, value) in object {
            let at = below(at, name);
            all.push(match name.as_str() {
                "and" => Predicate::All(self.several(table, value, &at)?),
                "or" if value.as_object().is_some_and(|members| members.len() > 1) => {
                    // All members of an object must hold, which may not be what `or` means here.
                    return Err(wrong("or takes a list of condition objects", &at)
                        .hint("[{\"status\": \"new\"}, {\"total\": {\"gt\": 100}}]"));
                }
                "or" => Predicate::Any(self.several(table, value, &at)?),
                "not" => match value {
                    Value::Object(inner) => {
                        Predicate::Not(Box::new(self.object(table, inner, &at)?))
                    }
                    _ => {
                        let error = wrong("not takes a condition object", &at);
                        return Err(match table.table.column("not") {
                            Some(_) => error.hint(
                                "the column of that name is {\"column\": \"not\", \"eq\": …}",
                            ),
                            None => error.hint("{\"not\": {\"status\": \"new\"}}"),
                        });
                    }
                },
                name if is_computed(table, name, value) => self.of_computed(table, value, &at)?,
                _ => self.named(table, name, value, &at, &at)?,
            });
        }
        Ok(one_or(all, Predicate::All))
    }

    fn several(
        &mut self,
        table: &'v TableView,
        value: &Value,
        at: &str,
    ) -> Result<Vec<Predicate<'v>>> {
        let conditions = match value {
            Value::Array(conditions) => conditions.as_slice(),
            Value::Object(_) => std::slice::from_ref(value),
            _ => {
                let error = wrong("expected a list of condition objects", at);
                let logical = at.rsplit('/').next().unwrap_or_default();
                return Err(match table.column(logical) {
                    Some(_) => error.hint(format!(
                        "the column of that name is reached as {{\"column\": {logical:?}, \"eq\": …}}"
                    )),
                    None => error,
                });
            }
        };
        if conditions.is_empty() {
            return Err(wrong("the list of conditions is empty", at));
        }
        let conditions = conditions.iter().enumerate().map(|(index, condition)| {
            let at = if value.is_array() { below(at, &index.to_string()) } else { at.to_owned() };
            match condition {
                Value::Object(inner) => self.object(table, inner, &at),
                _ => Err(wrong("a condition is an object", &at)),
            }
        });
        conditions.collect()
    }

    /// A condition on a column or relation. `name_at` is the place of the name.
    fn named(
        &mut self,
        table: &'v TableView,
        name: &str,
        value: &Value,
        name_at: &str,
        at: &str,
    ) -> Result<Predicate<'v>> {
        self.count(at)?;
        if table.column(name).is_some() {
            let position = table.readable(name).map_err(|error| error.inside(name_at))?;
            if let Some(sealed) = table.sealed(name)
                && let Some(index) = sealed.index()
                && sealed.opened()
                && table.mask(position).is_none()
            {
                let column = &table.table.columns[position];
                let value = self.scope.indexed(table, column, sealed, value, at)?;
                let column = index.into();
                let (test, path) = self.test(&column, &value, at)?;
                return Ok(test.of(&column, path.as_ref()));
            }
            let position = table.usable(name).map_err(|error| error.inside(name_at))?;
            return self.of_column(table, position, value, at);
        }
        match Relation::find(&table.relations, name) {
            Found::One(relation) => self.related(table, relation, value, at),
            Found::Unknown => Err(self.scope.unknown_condition(table, name).at(name_at)),
            Found::Ambiguous(_) if is_quantified(value) => {
                let relation = self.scope.relation_to_many(table, name);
                let relation = relation.map_err(|error| error.at(name_at))?;
                self.related(table, relation, value, at)
            }
            Found::Ambiguous(names) => Err(ambiguous(name, &names).at(name_at)),
        }
    }

    /// A condition on a column of the table, which may be compared with other values of its row.
    pub(super) fn of_column(
        &mut self,
        table: &'v TableView,
        position: usize,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        if let Some(joined) = self.joined(table, position, value, at)? {
            return Ok(joined);
        }
        let column = Slot::Whole(&table.table.columns[position]);
        let (column, value) = match (value, value.get("path")) {
            (Value::Object(members), Some(path)) if column.has_parts() => {
                let (part, rest) = self.scope.part(&column, path, &below(at, "path"))?;
                let mut members = members.clone();
                members.remove("path");
                members.extend(rest.map(|rest| ("path".to_owned(), rest)));
                (part, &Value::Object(members))
            }
            _ => (column, value),
        };
        let left = Reached { hops: Vec::new(), column: column.clone(), position, member: None };
        if let Some(members) = value.as_object().filter(|members| members.contains_key(PART))
            && column.data_type.is_moment()
        {
            return self.of_part(table, left, members, at);
        }
        let left = Left::new(Expression::Column(left));
        let (mut all, rest) = self.beside(table, &left, value, at)?;
        if let Some(rest) = rest {
            let test = self.test(&column, &rest, at).map_err(|error| {
                let key =
                    error.get_at().and_then(|pointer| pointer.strip_prefix(at)?.strip_prefix('/'));
                let hint = match error.code() {
                    Code::UnknownOperator => {
                        key.and_then(|key| self.scope.refers(table, &column, key))
                    }
                    Code::InvalidValue => self.scope.named_by(table, &column, &rest),
                    _ => None,
                };
                match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                }
            })?;
            let test = left.tested(test);
            match self.sought(table, &column, &rest, at)? {
                None if all.is_empty() => return Ok(test),
                sought => all.extend([test].into_iter().chain(sought)),
            }
        }
        Ok(one_or(all, Predicate::All))
    }

    fn related(
        &mut self,
        subject: &'v TableView,
        relation: &'v Relation,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let hop = self.scope.hop(subject, relation).map_err(|error| error.at(at))?;
        let object = match value {
            Value::Object(object) => object,
            Value::Null if hop.is_to_one() => {
                return self.quantified(hop, Quantifier::None, &Map::new(), at);
            }
            _ => {
                return Err(self.scope.unrelated(subject, &hop, value).at(at));
            }
        };
        if hop.is_to_one() {
            let asked = object.iter().find_map(|(key, value)| {
                Some((key, self.scope.not_nullable(subject, &hop, (key, value))?))
            });
            if let Some((key, error)) = asked
                && spelled_out(hop.table, object).is_none()
            {
                return Err(error.at(below(at, key)));
            }
            return self.quantified(hop, Quantifier::Some, object, at);
        }
        let mut all = Vec::with_capacity(object.len());
        for (key, inner) in object {
            let quantifier = match key.as_str() {
                COUNT => {
                    let condition = object.get(WHERE);
                    all.push(self.counted(subject, &hop, inner, condition, at)?);
                    continue;
                }
                WHERE if object.contains_key(COUNT) => continue,
                "some" => Quantifier::Some,
                "none" => Quantifier::None,
                "every" => Quantifier::Every,
                _ => {
                    let error = self.scope.unquantified(subject, &hop, key, inner);
                    return Err(error.at(below(at, key)));
                }
            };
            let at = below(at, key);
            let Value::Object(inner) = inner else {
                let hint = format!("{{{key:?}: {{}}}} speaks of whatever rows are related");
                return Err(wrong("expected a condition object", &at).hint(hint));
            };
            all.push(self.quantified(hop.clone(), quantifier, inner, &at)?);
        }
        if all.is_empty() {
            return Err(wrong("say how many of the related rows: some, none, every or count", at));
        }
        Ok(one_or(all, Predicate::All))
    }

    fn quantified(
        &mut self,
        hop: Hop<'v>,
        quantifier: Quantifier,
        object: &Map<String, Value>,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let filter = Box::new(self.of_related(&hop, object, at)?);
        Ok(Predicate::Related { hop: Box::new(hop), quantifier, filter })
    }

    /// Refuses more parts than a condition may have.
    pub(super) fn count(&mut self, at: &str) -> Result<()> {
        let most = self.scope.view.limits.max_nodes;
        self.nodes += 1;
        if self.nodes <= most {
            return Ok(());
        }
        let message = format!("a condition may have at most {most} parts");
        Err(Error::exceeded("max_nodes", message).at(at))
    }
}

/// `{"column": "or", …}`: the name and the rest. Not if the condition is on a column named "column".
fn spelled_out<'a>(
    table: &TableView,
    object: &'a Map<String, Value>,
) -> Option<(&'a str, Map<String, Value>)> {
    let name = object.get("column")?.as_str()?;
    let operators = object.keys().any(|key| Operator::parse(key).is_some() || key == "path");
    if table.table.column("column").is_some() && !operators {
        return None;
    }
    let rest: Map<String, Value> = object
        .iter()
        .filter(|(key, _)| *key != "column")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Some((name, rest))
}

/// Whether a condition contains a quantifier, so that it is not a condition on a single row.
fn is_quantified(value: &Value) -> bool {
    value.as_object().is_some_and(|object| QUANTIFIERS.iter().any(|key| object.contains_key(*key)))
}

pub(super) fn one_or<T>(mut all: Vec<T>, several: impl FnOnce(Vec<T>) -> T) -> T {
    match all.pop() {
        Some(one) if all.is_empty() => one,
        Some(last) => {
            all.push(last);
            several(all)
        }
        None => several(all),
    }
}

pub(in crate::plan) fn wrong(message: impl Into<String>, at: &str) -> Error {
    Error::new(Code::InvalidValue, message).at(at)
}
