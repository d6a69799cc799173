//! Computations that a write requests of PostgreSQL: `{"$increment": 1}`, `{"$set": {…}}`.

use serde_json::{Map, Value};

use super::assign::{Assign, Put, Written, is_operand};
use crate::error::{Code, Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::reached::steps;
use crate::plan::expression::{moved, now};
use crate::plan::{Expression, Operand, Scope};
use crate::policy::TableView;
use crate::request::Archived;
use crate::schema::{Column, DataType, Family, Kind};
use crate::value::Span;

/// A requested computation.
pub(super) struct Computation<'r> {
    /// The column that it is assigned to.
    pub(super) column: &'r Column,
    /// Its name.
    pub(super) key: &'r str,
    /// Its argument.
    pub(super) argument: &'r Value,
    /// The argument's place.
    pub(super) at: &'r str,
}

/// The computations that use the existing row's value.
pub(super) const OF_OLD: [&str; 7] =
    ["$increment", "$compute", "$column", "$append", "$remove", "$merge", "$set"];

impl<'v> Scope<'v> {
    /// The assignment for a computation.
    ///
    /// # Errors
    ///
    /// `invalid_value`, `unknown_operator`, or as [`Scope::arithmetic`].
    pub(super) fn computed(
        &self,
        table: &'v TableView,
        asked: &Computation<'_>,
        written: Written,
    ) -> Result<Assign<'v>> {
        let Computation { column, key, argument, at } = *asked;
        let base = column.data_type.base();
        if written == Written::New && OF_OLD.contains(&key) {
            let error =
                asked.wrong(format!("{key} changes an existing value, and a new row has none"));
            return Err(match key {
                "$increment" if base.is_amount() => {
                    let key = table.row_key().unwrap_or_default().iter();
                    let key = key.map(|at| table.table.columns[*at].name.as_str());
                    let key = Value::from(key.collect::<Vec<_>>());
                    error.hint(format!(
                        "\"on_conflict\": {{\"columns\": {key}, \"do\": \"update\"}} adds it to the existing row, and a new row gets the amount"
                    ))
                }
                _ => error,
            });
        }
        // Null instead of what an archived row holds would be lost data.
        let kept = self.among(Some(Archived::Include));
        match key {
            "$default" if *argument == Value::Bool(true) => Ok(Assign::Default),
            "$default" => Err(asked.wrong("$default takes true")),
            "$now" if base.is_moment() => {
                Ok(now::offset(self, argument, at)?.map_or(Assign::Now, Assign::FromNow))
            }
            "$now" => Err(asked.needs("a date or time")),
            "$increment" if base.is_amount() => Ok(Assign::Increment(self.taken(asked)?)),
            "$increment" if base.is_interval() => Ok(Assign::Move(self.taken(asked)?)),
            "$increment" if base.is_moment() => self.later(asked).map(Assign::Move),
            "$increment" => {
                let error = asked.needs("a number, or a date or time");
                Err(match base.kind {
                    Kind::Range(_) => error.hint("read the rows, and write each range as a whole: updates may be a list, each with its key"),
                    _ => error,
                })
            }
            "$compute" => kept.arithmetic_for(table, asked).map(Assign::Compute),
            "$column" => kept.copied(table, asked).map(Assign::Compute),
            "$append" => match base.family() {
                Family::Array | Family::Json | Family::Text => {
                    Ok(Assign::Append(self.taken(asked)?))
                }
                _ => Err(asked.needs("an array, a text or jsonb")),
            },
            "$remove" => match base.family() {
                Family::Array if base.equality => Ok(Assign::Remove(self.taken(asked)?)),
                Family::Json => self.keys_of(asked).map(Assign::Remove),
                _ => Err(asked.needs("an array, or the names of members of jsonb")),
            },
            "$merge" if base.family() == Family::Json && argument.is_object() => {
                Ok(Assign::Merge(self.taken(asked)?))
            }
            "$merge" => Err(asked.needs("jsonb and an object")),
            "$set" if base.family() == Family::Json => self.put(asked).map(Assign::Set),
            "$set" if column.has_parts() => {
                Err(asked.needs("jsonb").hint("give the whole value, with what stays as it is"))
            }
            "$set" => Err(asked.needs("jsonb").hint("give the value itself")),
            _ => Err(advice::unknown_computation(key).at(at)),
        }
    }

    /// The argument as a value of the column's type.
    pub(super) fn taken(&self, asked: &Computation<'_>) -> Result<Operand> {
        let Computation { column, key, argument, at } = *asked;
        if argument.is_null() {
            return Err(asked.wrong(format!("{key} does not accept null")));
        }
        // A single element becomes a list of one: with an object, JSON's `||` would merge members instead.
        let lists = matches!(column.data_type.family(), Family::Array | Family::Json);
        let one = matches!(key, "$append" | "$remove")
            && lists
            && !argument.is_array()
            && !is_operand(argument);
        let list = one.then(|| Value::Array(vec![argument.clone()]));
        let nothing = argument.as_array().into_iter().flatten().any(Value::is_null);
        if key == "$remove" && nothing {
            return Err(asked.wrong("$remove does not accept null"));
        }
        self.operand(column, list.as_ref().unwrap_or(argument), at)
    }

    /// The expression of a `$compute`.
    fn arithmetic_for(
        &self,
        table: &'v TableView,
        asked: &Computation<'_>,
    ) -> Result<Expression<'v>> {
        let base = asked.column.data_type.base();
        let dates = base.has_day() && asked.argument.is_object();
        if !base.is_amount() && !dates {
            let error = asked.needs("a number");
            return Err(match base.is_moment() {
                _ if asked.argument.is_string() => error.hint(format!(
                    "{{\"$column\": {}}} is the value of that column",
                    asked.argument
                )),
                true => error.hint("{\"$increment\": \"1 month\"} moves it by so much"),
                false => error,
            });
        }
        match asked.argument {
            Value::Object(argument) => {
                let of = self.written_expression(table, argument, asked.at)?;
                if !of.totals().is_empty() {
                    return Err(asked.wrong("$compute takes no totals of related rows").hint(
                        "aggregate gives them, within the same transaction too: {\"$ref\": \"0.total\"} is what its row has",
                    ));
                }
                let Column { name, type_name, .. } = asked.column;
                match of.data_type().has_day() == base.has_day() {
                    true => Ok(of),
                    false => Err(asked
                        .wrong(format!(
                            "{name} is {type_name}, and the result is {}",
                            of.data_type().name
                        ))
                        .hint(moved::FORM)),
                }
            }
            _ => Err(asked.wrong("$compute takes arithmetic").hint(format!(
                "{{\"$compute\": {{\"multiply\": [{:?}, 1.1]}}}}; also add, subtract, divide",
                asked.column.name
            ))),
        }
    }

    /// The value of another column, of a part of one, or of a related row's column.
    fn copied(&self, table: &'v TableView, asked: &Computation<'_>) -> Result<Expression<'v>> {
        let of = match asked.argument {
            // Arithmetic is only possible in `$compute`.
            Value::Object(object) if !object.contains_key("column") => &Value::Null,
            of => of,
        };
        let copied = self.expression(table, of, asked.at)?;
        let (own, other) = (asked.column.data_type.base(), copied.data_type());
        let other = other.base();
        let alike = [DataType::is_number, DataType::has_day, DataType::is_json];
        let alike = alike.iter().any(|kind| kind(own) && kind(other));
        let texts = [own, other].iter().all(|end| end.family() == Family::Text);
        if own.oid == other.oid || alike || texts {
            return Ok(copied);
        }
        let Column { name, type_name, .. } = asked.column;
        Err(asked.wrong(format!("{name} is {type_name}, and what it is set to {}", other.name)))
    }

    /// The interval to add to a point in time.
    fn later(&self, asked: &Computation<'_>) -> Result<Operand> {
        let Value::String(text) = asked.argument else {
            return Err(asked.needs("a span of time").hint("{\"$increment\": \"1 month\"}"));
        };
        let span = Span::parse(text).map_err(|error| error.at(asked.at))?;
        let Column { name, type_name, data_type, .. } = asked.column;
        match (data_type.has_day(), data_type.is_timestamp()) {
            (true, false) if !span.is_of_days() => Err(asked
                .wrong(format!("{name} is {type_name}, which can only be moved by whole days"))),
            (false, _) if !span.is_of_hours() => Err(asked.wrong(format!(
                "{name} is {type_name}, which can only be moved by hours, minutes and seconds"
            ))),
            _ => Ok(self.text(span.interval(), asked.at)),
        }
    }

    /// Names of members of a JSON object, as a `text[]`.
    fn keys_of(&self, asked: &Computation<'_>) -> Result<Operand> {
        let Computation { argument, at, .. } = *asked;
        let list = Value::Array(match argument {
            Value::Array(names) => names.clone(),
            name => vec![name.clone()],
        });
        self.short(&list, at)?;
        if !list.as_array().into_iter().flatten().all(Value::is_string) {
            let error = asked.wrong("$remove takes the name of a member, or a list of names");
            return Err(
                error.hint("{\"$remove\": \"color\"}, {\"$remove\": [\"color\", \"size\"]}")
            );
        }
        self.operand_of(DataType::texts(), "text[]", &list, at)
    }

    /// `{"path": ["limits", "users"], "value": 50}`.
    fn put(&self, asked: &Computation<'_>) -> Result<Put> {
        let members = asked.argument.as_object().filter(|members| members.len() == 2);
        let (Some(path), Some(value)) = (
            members.and_then(|members| members.get("path")),
            members.and_then(|members| members.get("value")),
        ) else {
            let error = asked.wrong("$set takes a path and a value");
            return Err(
                error.hint("{\"$set\": {\"path\": [\"limits\", \"users\"], \"value\": 50}}")
            );
        };
        let at = below(asked.at, "path");
        // Reports what is wrong with a path.
        self.path(path, &at)?;
        let path: Vec<String> = steps(path).collect();
        let most = self.view.limits.max_depth;
        if path.len() > most {
            let message =
                format!("a path to be set may have at most {most} steps, not {}", path.len());
            return Err(Error::exceeded("max_depth", message).at(at));
        }
        let list = DataType::texts();
        let way = |length| self.operand_of(list, "text[]", &Value::from(&path[..length]), &at);
        let ways = (1..=path.len()).map(way).collect::<Result<_>>()?;
        let null = Map::from_iter([("$literal".to_owned(), Value::Null)]);
        // Within JSON, null is a value.
        let value = if value.is_null() { &Value::Object(null) } else { value };
        let value = self.operand(asked.column, value, &below(asked.at, "value"))?;
        Ok(Put { path, ways, value })
    }
}

impl Computation<'_> {
    fn wrong(&self, message: impl Into<String>) -> Error {
        Error::new(Code::InvalidValue, message).at(self.at)
    }

    pub(super) fn needs(&self, what: &str) -> Error {
        let Column { name, type_name, .. } = self.column;
        self.wrong(format!("{} needs {what}; {name} is {type_name}", self.key))
    }
}
