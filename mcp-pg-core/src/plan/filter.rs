//! Conditions: a `where` object → a tree of tests on columns and related rows.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::hop::ambiguous;
use super::{Hop, Operand, Scope};
use crate::error::{Code, Error, Result, step};
use crate::policy::{Action, TableView};
use crate::schema::{Column, DataType, Family, Found, Kind, Operator, Relation};

/// A condition on a row.
#[derive(Debug, Clone)]
pub enum Predicate<'v> {
    /// All hold; true if there are none.
    All(Vec<Predicate<'v>>),
    /// One holds at least; false if there are none.
    Any(Vec<Predicate<'v>>),
    /// It does not hold.
    Not(Box<Predicate<'v>>),
    /// A column's value passes a test.
    Test {
        /// The column.
        column: &'v Column,
        /// The keys and indexes of a part of a JSON value, as a `text[]`.
        path: Option<Operand>,
        /// The test.
        comparison: Comparison,
    },
    /// Related rows pass a condition.
    Related {
        /// The way to them.
        hop: Box<Hop<'v>>,
        /// How many of the rows.
        quantifier: Quantifier,
        /// The condition.
        filter: Box<Predicate<'v>>,
    },
}

/// What a value is tested for.
#[derive(Debug, Clone)]
pub enum Comparison {
    /// IS NULL, or IS NOT NULL.
    Null(bool),
    /// An operator between the value and an operand of the same type, or of the type it takes.
    Binary(Operator, Operand),
    /// Equal to one of the elements of an array, or (negated) to none.
    Listed(bool, Operand),
    /// A range or multirange contains one value or one range, of this type.
    ContainsElement(String, Operand),
}

/// How many related rows must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantifier {
    /// At least one.
    Some,
    /// None.
    None,
    /// All, of which there may be none.
    Every,
}

/// The condition of a `where` object, at `at` in the arguments.
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
    Parser { scope, nodes: 0 }.object(table, object, at, 0)
}

struct Parser<'s, 'v> {
    scope: &'s Scope<'v>,
    nodes: usize,
}

impl<'v> Parser<'_, 'v> {
    fn object(
        &mut self,
        table: &'v TableView,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Predicate<'v>> {
        self.count(at, depth)?;
        if let Some((name, rest)) = spelled_out(table, object) {
            return self.named(table, name, &Value::Object(rest), at, at, depth);
        }
        let mut all = Vec::with_capacity(object.len());
        for (name, value) in object {
            let at = format!("{at}{}", step(name));
            all.push(match name.as_str() {
                "and" => Predicate::All(self.several(table, value, &at, depth)?),
                "or" => Predicate::Any(self.several(table, value, &at, depth)?),
                "not" => match value {
                    Value::Object(inner) => {
                        Predicate::Not(Box::new(self.object(table, inner, &at, depth + 1)?))
                    }
                    _ => return Err(wrong("not takes a condition object", &at)),
                },
                _ => self.named(table, name, value, &at, &at, depth)?,
            });
        }
        Ok(one_or(all, Predicate::All))
    }

    fn several(
        &mut self,
        table: &'v TableView,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<Vec<Predicate<'v>>> {
        let conditions = match value {
            Value::Array(conditions) => conditions.as_slice(),
            Value::Object(_) => std::slice::from_ref(value),
            _ => return Err(wrong("a list of condition objects is wanted", at)),
        };
        if conditions.is_empty() {
            return Err(wrong("the list of conditions is empty", at));
        }
        let conditions = conditions.iter().enumerate().map(|(index, condition)| {
            let at = if value.is_array() { format!("{at}/{index}") } else { at.to_owned() };
            match condition {
                Value::Object(inner) => self.object(table, inner, &at, depth + 1),
                _ => Err(wrong("a condition is an object", &at)),
            }
        });
        conditions.collect()
    }

    /// A condition on a column or relation; `name_at` is where the name itself stands.
    fn named(
        &mut self,
        table: &'v TableView,
        name: &str,
        value: &Value,
        name_at: &str,
        at: &str,
        depth: usize,
    ) -> Result<Predicate<'v>> {
        self.count(at, depth)?;
        if table.table.column(name).is_some_and(|(_, column)| column.can_select) {
            let position = table.usable(name).map_err(|error| error.inside(name_at))?;
            return self.column(&table.table.columns[position], value, at);
        }
        match Relation::find(&table.relations, name) {
            Found::One(relation) => self.related(table, relation, value, at, depth),
            Found::Unknown => {
                let relations = table.relations.iter().map(|relation| relation.name.as_str());
                let columns = table.table.columns.iter().filter(|column| column.can_select);
                let known: Vec<&str> =
                    columns.map(|column| column.name.as_str()).chain(relations).collect();
                Err(table
                    .unknown_column(name, |column| column.can_select)
                    .nearest(name, known)
                    .at(name_at))
            }
            Found::Ambiguous(names) => Err(ambiguous(name, &names).at(name_at)),
        }
    }

    fn related(
        &mut self,
        subject: &'v TableView,
        relation: &'v Relation,
        value: &Value,
        at: &str,
        depth: usize,
    ) -> Result<Predicate<'v>> {
        let hop = self.scope.hop(subject, relation).map_err(|error| error.at(at))?;
        let object = match value {
            Value::Object(object) => object,
            Value::Null if hop.is_to_one() => {
                return self.quantified(hop, Quantifier::None, &Map::new(), at, depth);
            }
            _ => return Err(wrong("a relation takes a condition object", at)),
        };
        if hop.is_to_one() {
            return self.quantified(hop, Quantifier::Some, object, at, depth);
        }
        let mut all = Vec::with_capacity(object.len());
        for (key, inner) in object {
            let quantifier = match key.as_str() {
                "some" => Quantifier::Some,
                "none" => Quantifier::None,
                "every" => Quantifier::Every,
                _ => {
                    return Err(Error::new(
                        Code::UnknownOperator,
                        format!("a relation to many rows takes no {key:?}"),
                    )
                    .at(format!("{at}{}", step(key)))
                    .allowed(["some", "none", "every"])
                    .hint("{\"orders\": {\"some\": {\"total\": {\"gt\": 100}}}}"));
                }
            };
            let at = format!("{at}{}", step(key));
            let Value::Object(inner) = inner else {
                return Err(wrong("a condition object is wanted", &at));
            };
            all.push(self.quantified(hop.clone(), quantifier, inner, &at, depth)?);
        }
        if all.is_empty() {
            return Err(wrong("say how many of the related rows: some, none or every", at));
        }
        Ok(one_or(all, Predicate::All))
    }

    fn quantified(
        &mut self,
        hop: Hop<'v>,
        quantifier: Quantifier,
        object: &Map<String, Value>,
        at: &str,
        depth: usize,
    ) -> Result<Predicate<'v>> {
        let filter = Box::new(self.object(hop.table, object, at, depth + 1)?);
        Ok(Predicate::Related { hop: Box::new(hop), quantifier, filter })
    }

    fn column(&mut self, column: &'v Column, value: &Value, at: &str) -> Result<Predicate<'v>> {
        let data_type = &column.data_type;
        match value {
            Value::Null => Ok(test(column, Comparison::Null(true))),
            Value::Object(object) if is_operand(data_type, object) => {
                self.operator(column, Operator::Eq, value, at)
            }
            Value::Object(object) => {
                let (path, data_type) = match object.get("path") {
                    Some(path) => (Some(self.path(column, path, at)?), Arc::new(DataType::jsonb())),
                    None => (None, Arc::clone(data_type)),
                };
                let mut all = Vec::with_capacity(object.len());
                for (key, value) in
                    object.iter().filter(|(key, _)| *key != "path" || path.is_none())
                {
                    let at = format!("{at}{}", step(key));
                    self.count(&at, 0)?;
                    let operator = operator(column, &data_type, key, path.is_some())
                        .map_err(|error| error.at(&at))?;
                    all.push(match &path {
                        None => self.operator(column, operator, value, &at)?,
                        Some(path) => self.at_path(column, path, operator, value, &at)?,
                    });
                }
                if all.is_empty() {
                    return Err(wrong("an operator is missing", at)
                        .allowed(data_type.operators().map(Operator::as_str)));
                }
                Ok(one_or(all, Predicate::All))
            }
            // A list for one value is a common slip, and can only mean this.
            Value::Array(_)
                if !matches!(data_type.family(), Family::Array | Family::Json | Family::Range) =>
            {
                self.operator(column, Operator::In, value, at)
            }
            _ => self.operator(column, Operator::Eq, value, at),
        }
    }

    fn operator(
        &mut self,
        column: &'v Column,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let scope = self.scope;
        let data_type = &column.data_type;
        if !data_type.has_operator(operator) {
            return Err(unknown_operator(column, data_type, operator.as_str()).at(at));
        }
        let same = |value: &Value| scope.operand(column, value, at);
        let comparison = match operator {
            Operator::IsNull => match value {
                Value::Bool(null) => Comparison::Null(*null),
                _ => return Err(wrong("is_null takes true or false", at)),
            },
            Operator::Eq if value.is_null() => Comparison::Null(true),
            Operator::Ne if value.is_null() => Comparison::Null(false),
            Operator::In | Operator::NotIn => {
                return self.list(column, None, operator, value, at);
            }
            Operator::IsDistinctFrom => Comparison::Binary(operator, same(value)?),
            _ if value.is_null() => {
                return Err(wrong(format!("{operator} takes no null"), at)
                    .hint("{\"is_null\": true} finds rows without a value"));
            }
            Operator::Contains | Operator::StartsWith | Operator::EndsWith
                if data_type.is_text() =>
            {
                let text = self.pattern(value, at)?;
                let escaped = escape_like(&text);
                let pattern = match operator {
                    Operator::StartsWith => format!("{escaped}%"),
                    Operator::EndsWith => format!("%{escaped}"),
                    _ => format!("%{escaped}%"),
                };
                Comparison::Binary(Operator::Like, Operand::text(Some(pattern), at))
            }
            Operator::Like | Operator::Ilike | Operator::Matches | Operator::Imatches => {
                Comparison::Binary(operator, Operand::text(Some(self.pattern(value, at)?), at))
            }
            Operator::Search => {
                Comparison::Binary(operator, Operand::text(Some(self.pattern(value, at)?), at))
            }
            Operator::HasKey => Comparison::Binary(operator, self.keys(value, at)?),
            Operator::Contains if let Some(part) = contained(data_type, value) => {
                let operand = scope.operand_of(part, &part.name, value, at)?;
                Comparison::ContainsElement(part.name.clone(), operand)
            }
            Operator::Contains | Operator::ContainedBy | Operator::Overlaps
                if data_type.family() == Family::Array
                    && !value.is_array()
                    && !value.is_object() =>
            {
                Comparison::Binary(operator, same(&Value::from(vec![value.clone()]))?)
            }
            Operator::Contains | Operator::ContainedBy | Operator::Overlaps => {
                self.bounded(value, at)?;
                Comparison::Binary(operator, same(value)?)
            }
            _ => Comparison::Binary(operator, same(value)?),
        };
        Ok(test(column, comparison))
    }

    /// One of a list, or none of it; null is one of the values here, though not to SQL.
    fn list(
        &mut self,
        column: &'v Column,
        path: Option<&Operand>,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let (scope, negated) = (self.scope, operator == Operator::NotIn);
        self.bounded(value, at)?;
        let items: Vec<(String, &Value)> = match value {
            Value::Array(items) => {
                let places = items.iter().enumerate();
                places.map(|(index, item)| (format!("{at}/{index}"), item)).collect()
            }
            lone => vec![(at.to_owned(), lone)],
        };
        let (nulls, items): (Vec<_>, Vec<_>) =
            items.into_iter().partition(|(_, item)| item.is_null());
        let jsonb;
        let data_type = match path {
            None => &column.data_type,
            Some(_) => {
                jsonb = Arc::new(DataType::jsonb());
                &jsonb
            }
        };
        let type_name = if path.is_none() { &column.type_name } else { &data_type.name };
        let test = |comparison| Predicate::Test { column, path: path.cloned(), comparison };
        // An array of arrays would be one flat list to PostgreSQL.
        let listed = if data_type.family() == Family::Array {
            let each = items.iter().map(|(at, item)| {
                let operand = scope.operand_of(data_type, type_name, item, at)?;
                Ok(test(Comparison::Binary(Operator::Eq, operand)))
            });
            let any = Predicate::Any(each.collect::<Result<_>>()?);
            if negated { Predicate::Not(Box::new(any)) } else { any }
        } else {
            let list = DataType::list_of(data_type);
            let values = items.iter().map(|(_, item)| (*item).clone()).collect();
            let operand = scope.operand_of(&list, &list.name, &Value::Array(values), at);
            let operand = operand.or_else(|error| {
                // Its place counts without the nulls: whichever item is wrong says it right.
                let each =
                    items.iter().map(|(at, item)| scope.operand_of(data_type, type_name, item, at));
                each.collect::<Result<Vec<_>>>().and(Err(error))
            })?;
            test(Comparison::Listed(negated, operand))
        };
        Ok(match (nulls.is_empty(), negated) {
            (true, _) => listed,
            (false, false) => Predicate::Any(vec![listed, test(Comparison::Null(true))]),
            (false, true) => Predicate::All(vec![listed, test(Comparison::Null(false))]),
        })
    }

    /// Refuses a list that is too long.
    fn bounded(&self, value: &Value, at: &str) -> Result<()> {
        let most = self.scope.settings.limits.max_list;
        match value.as_array().map(Vec::len) {
            Some(length) if length > most => Err(Error::new(
                Code::LimitExceeded,
                format!("a list may have {most} values, not {length}"),
            )
            .at(at)),
            _ => Ok(()),
        }
    }

    /// The keys of a `has_key`: one, or several.
    fn keys(&self, value: &Value, at: &str) -> Result<Operand> {
        self.bounded(value, at)?;
        let keys = if value.is_array() { value.clone() } else { Value::from(vec![value.clone()]) };
        let list = DataType::list_of(&Arc::new(DataType::text()));
        self.scope.operand_of(&list, "text[]", &keys, at)
    }

    /// A test of a part of a JSON value: text operators see its text, the others its JSON.
    fn at_path(
        &mut self,
        column: &'v Column,
        path: &Operand,
        operator: Operator,
        value: &Value,
        at: &str,
    ) -> Result<Predicate<'v>> {
        let jsonb = DataType::jsonb();
        let comparison = match operator {
            Operator::IsNull => match value {
                Value::Bool(null) => Comparison::Null(*null),
                _ => return Err(wrong("is_null takes true or false", at)),
            },
            Operator::Eq if value.is_null() => Comparison::Null(true),
            Operator::Ne if value.is_null() => Comparison::Null(false),
            Operator::In | Operator::NotIn => {
                return self.list(column, Some(path), operator, value, at);
            }
            Operator::Like | Operator::Ilike | Operator::Matches | Operator::Imatches => {
                Comparison::Binary(operator, Operand::text(Some(self.pattern(value, at)?), at))
            }
            Operator::HasKey => Comparison::Binary(operator, self.keys(value, at)?),
            _ => Comparison::Binary(operator, self.scope.operand_of(&jsonb, "jsonb", value, at)?),
        };
        Ok(Predicate::Test { column, path: Some(path.clone()), comparison })
    }

    fn path(&mut self, column: &Column, path: &Value, at: &str) -> Result<Operand> {
        let at = format!("{at}/path");
        self.bounded(path, &at)?;
        if !matches!(column.data_type.base().oid, 114 | 3802) {
            return Err(unknown_operator(column, &column.data_type, "path").at(at));
        }
        let steps: Option<Vec<Value>> = path.as_array().map(Vec::as_slice).and_then(|steps| {
            let text = |step: &Value| match step {
                Value::String(_) => Some(step.clone()),
                Value::Number(index) => Some(Value::String(index.to_string())),
                _ => None,
            };
            steps.iter().map(text).collect()
        });
        let Some(steps) = steps.filter(|steps| !steps.is_empty()) else {
            return Err(
                wrong("a path is a list of keys and indexes", &at).hint("[\"address\", \"zip\"]")
            );
        };
        let list = DataType::list_of(&Arc::new(DataType::text()));
        self.scope.operand_of(&list, "text[]", &Value::Array(steps), &at)
    }

    fn pattern(&self, value: &Value, at: &str) -> Result<String> {
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            _ => return Err(wrong("a text is wanted", at)),
        };
        let most = self.scope.settings.limits.max_pattern;
        if text.len() > most {
            return Err(Error::new(
                Code::LimitExceeded,
                format!("a pattern may have {most} bytes, not {}", text.len()),
            )
            .at(at));
        }
        if text.contains('\0') {
            return Err(wrong("text cannot hold NUL", at));
        }
        Ok(text)
    }

    fn count(&mut self, at: &str, depth: usize) -> Result<()> {
        let limits = &self.scope.settings.limits;
        self.nodes += 1;
        let (what, most) = if depth > limits.max_depth {
            ("nested", limits.max_depth)
        } else if self.nodes > limits.max_nodes {
            ("made of", limits.max_nodes)
        } else {
            return Ok(());
        };
        let unit = if what == "nested" { "levels deep" } else { "parts" };
        Err(Error::new(
            Code::LimitExceeded,
            format!("a condition may be {what} {most} {unit}, and no more"),
        )
        .at(at))
    }
}

impl<'v> Scope<'v> {
    /// Which rows exist for the caller at all: the condition of the grant for `action`.
    ///
    /// A claim that the caller lacks leaves no row.
    ///
    /// # Errors
    ///
    /// `internal` if the condition in the configuration does not fit the table.
    pub fn visible(&self, table: &'v TableView, action: Action) -> Result<Predicate<'v>> {
        let Some((whole, rule)) = table.row_rule(action) else { return Ok(Predicate::All(vec![])) };
        match self.granted(&Value::Object(rule.clone())) {
            Some(Value::Object(rule)) => filter(self, whole, &rule, "").map_err(|error| {
                Error::new(Code::Internal, "the role's row condition does not fit the table")
                    .caused_by(error)
            }),
            _ => Ok(Predicate::Any(vec![])),
        }
    }
}

/// `{"column": "or", …}`: the name and the rest, unless it is a condition on a column called "column".
fn spelled_out<'a>(
    table: &TableView,
    object: &'a Map<String, Value>,
) -> Option<(&'a str, Map<String, Value>)> {
    let name = object.get("column")?.as_str()?;
    let operators = object.keys().any(|key| parse_operator(key).is_some() || key == "path");
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

/// Whether an object stands for a value of the type, not for operators.
fn is_operand(data_type: &DataType, object: &Map<String, Value>) -> bool {
    if object.len() == 1 && object.keys().all(|key| key == "$ref" || key == "$literal") {
        return true;
    }
    let holds_objects = match &data_type.base().kind {
        Kind::Range(_) | Kind::Composite(_) => true,
        _ => data_type.family() == Family::Json,
    };
    holds_objects && !object.keys().any(|key| parse_operator(key).is_some() || key == "path")
}

/// The type of `value` where a range or multirange is to contain it and it is no value of the same type.
fn contained<'a>(data_type: &'a DataType, value: &Value) -> Option<&'a DataType> {
    let is_range = match value {
        Value::Object(_) => true,
        Value::String(text) => text.starts_with(['[', '(']) || text == "empty",
        _ => false,
    };
    match &data_type.base().kind {
        Kind::Range(element) => (!is_range).then_some(element),
        Kind::Multirange(range) if is_range => Some(range),
        Kind::Multirange(range) => match (&range.base().kind, value) {
            (_, Value::Array(_)) => None,
            (_, Value::String(text)) if text.starts_with('{') => None,
            (Kind::Range(element), _) => Some(element),
            _ => None,
        },
        _ => None,
    }
}

fn parse_operator(name: &str) -> Option<Operator> {
    Operator::ALL.iter().copied().find(|operator| operator.as_str() == name)
}

fn operator(column: &Column, data_type: &DataType, name: &str, path: bool) -> Result<Operator> {
    let offered = |operator: Operator| {
        data_type.has_operator(operator)
            || path
                && matches!(
                    operator,
                    Operator::Like | Operator::Ilike | Operator::Matches | Operator::Imatches
                )
    };
    parse_operator(name)
        .filter(|operator| offered(*operator))
        .ok_or_else(|| unknown_operator(column, data_type, name))
}

fn unknown_operator(column: &Column, data_type: &DataType, name: &str) -> Error {
    let offered: Vec<&str> = data_type.operators().map(Operator::as_str).collect();
    Error::new(
        Code::UnknownOperator,
        format!("{} is {}, which has no operator {name:?}", column.name, column.type_name),
    )
    .nearest(name, offered.iter().copied())
    .allowed(offered)
}

fn test(column: &Column, comparison: Comparison) -> Predicate<'_> {
    Predicate::Test { column, path: None, comparison }
}

fn one_or<'v>(
    mut all: Vec<Predicate<'v>>,
    several: impl FnOnce(Vec<Predicate<'v>>) -> Predicate<'v>,
) -> Predicate<'v> {
    match all.pop() {
        Some(one) if all.is_empty() => one,
        Some(last) => {
            all.push(last);
            several(all)
        }
        None => several(all),
    }
}

fn wrong(message: impl Into<String>, at: &str) -> Error {
    Error::new(Code::InvalidValue, message).at(at)
}

/// The text as a LIKE pattern that matches nothing else.
fn escape_like(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
