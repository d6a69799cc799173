//! What a column is set to: a value, or something that PostgreSQL computes.

use serde_json::{Map, Value};

use super::{Operand, Scope, Source};
use crate::error::{Code, Error, Result, below};
use crate::policy::{Action, TableView};
use crate::schema::{Column, Family, Identity};
use crate::value::Decimal;

/// What becomes of a column in a written row.
#[derive(Debug, Clone)]
pub enum Assign {
    /// This value.
    Value(Operand),
    /// The column's default.
    Default,
    /// The transaction's time.
    Now,
    /// The old value plus this.
    Increment(Operand),
    /// The same, and this where there is no old value.
    Count(Operand),
    /// The old array, text or JSON array, with this after it.
    Append(Operand),
    /// The old JSON object, with these members over it.
    Merge(Operand),
}

impl Assign {
    /// The value that it takes, if it takes one.
    pub fn operand(&self) -> Option<&Operand> {
        match self {
            Assign::Default | Assign::Now => None,
            Assign::Value(operand)
            | Assign::Increment(operand)
            | Assign::Count(operand)
            | Assign::Append(operand)
            | Assign::Merge(operand) => Some(operand),
        }
    }
}

/// Which kind of row is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// A new one.
    New,
    /// An existing one.
    Old,
}

impl Written {
    fn action(self) -> Action {
        match self {
            Self::New => Action::Insert,
            Self::Old => Action::Update,
        }
    }
}

/// What a column can be set to besides a value.
pub(super) const COMPUTED: [&str; 7] =
    ["$increment", "$now", "$default", "$append", "$merge", "$ref", "$literal"];

impl<'v> Scope<'v> {
    /// The column of this name, if callers may write it.
    ///
    /// # Errors
    ///
    /// `unknown_column`, or `read_only_column` with the reason.
    pub fn writable(
        &self,
        table: &'v TableView,
        name: &str,
        written: Written,
    ) -> Result<&'v Column> {
        let may = |column: &Column| match written {
            Written::New => column.can_insert,
            Written::Old => column.can_update,
        };
        let Some((_, column)) = table.table.column(name) else {
            let error = table.unknown_column(name, may);
            return Err(super::advice::not_written(table, name, error));
        };
        if may(column) {
            return Ok(column);
        }
        if !column.can_select {
            return Err(table.unknown_column(name, may));
        }
        let reason = if column.generated.is_some() {
            "PostgreSQL computes it"
        } else if column.identity == Some(Identity::Always) {
            "PostgreSQL numbers it: leave it out"
        } else if table.archive.as_ref().is_some_and(|archive| archive.name == column.name) {
            "archive sets it, and restore clears it"
        } else if table.version.as_ref().is_some_and(|version| version.name == column.name) {
            "the server counts changes in it"
        } else if table.is_preset(&column.name, written.action()) {
            "the server sets it: leave it out"
        } else {
            "the caller's role may read it only"
        };
        Err(Error::new(
            Code::ReadOnlyColumn,
            format!("{} cannot be written: {reason}", column.name),
        )
        .allowed(table.table.columns.iter().filter(|c| may(c)).map(|c| c.name.as_str())))
    }

    /// What `value` asks to be done to `column`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, `not_null_violation` or `unknown_operator`, at `at` or inside it.
    pub fn assign(
        &self,
        column: &Column,
        value: &Value,
        written: Written,
        at: &str,
    ) -> Result<Assign> {
        if let Value::Object(object) = value
            && let Some((key, argument)) = lone_operator(object)
            && !matches!(key, "$ref" | "$literal")
        {
            return self.computed(column, key, argument, written, &below(at, key));
        }
        if let Some(key) = value.as_object().and_then(crowded_operator) {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{key} stands alone, and here are other members beside it"),
            )
            .at(at)
            .hint("{\"$literal\": {…}} writes an object as it is"));
        }
        let operand = self
            .operand(column, value, at)
            .map_err(|error| super::advice::not_computed(column, value, written, error))?;
        if operand.is_null() && !column.nullable {
            return Err(Error::new(
                Code::NotNullViolation,
                format!("{} takes no null", column.name),
            )
            .at(at)
            .hint(match column.default {
                _ if column.data_type.is_json() => "{\"$literal\": null} is JSON's null",
                Some(_) => "{\"$default\": true} sets its default",
                None => "give a value",
            }));
        }
        fits(column, &operand, at)?;
        Ok(Assign::Value(operand))
    }

    fn computed(
        &self,
        column: &Column,
        key: &str,
        argument: &Value,
        written: Written,
        at: &str,
    ) -> Result<Assign> {
        let base = column.data_type.base();
        let flag = |assign: Assign| match argument {
            Value::Bool(true) => Ok(assign),
            _ => Err(Error::new(Code::InvalidValue, format!("{key} takes true")).at(at)),
        };
        let needs = |what: &str| {
            Err(Error::new(
                Code::InvalidValue,
                format!("{key} needs {what}; {} is {}", column.name, column.type_name),
            )
            .at(at))
        };
        if written == Written::New && matches!(key, "$increment" | "$append" | "$merge") {
            return Err(Error::new(
                Code::InvalidValue,
                format!("{key} changes an existing value, and a new row has none"),
            )
            .at(at));
        }
        // One element is a list of one: beside an object, JSON's `||` would put members over its own.
        let one = key == "$append"
            && matches!(base.family(), Family::Array | Family::Json)
            && !argument.is_array()
            && !is_operand(argument);
        let list = one.then(|| Value::Array(vec![argument.clone()]));
        let operand = || match argument {
            Value::Null => {
                Err(Error::new(Code::InvalidValue, format!("{key} takes no null")).at(at))
            }
            argument => self.operand(column, list.as_ref().unwrap_or(argument), at),
        };
        match key {
            "$default" => flag(Assign::Default),
            "$now" if base.is_moment() => flag(Assign::Now),
            "$now" => needs("a date or time"),
            "$increment" if base.is_amount() => Ok(Assign::Increment(operand()?)),
            "$increment" => needs("a number"),
            "$append" => match base.family() {
                Family::Array | Family::Json | Family::Text => Ok(Assign::Append(operand()?)),
                _ => needs("an array, a text or jsonb"),
            },
            "$merge" if base.family() == Family::Json && argument.is_object() => {
                Ok(Assign::Merge(operand()?))
            }
            "$merge" => needs("jsonb and an object"),
            _ => Err(super::advice::unknown_computation(key).at(at)),
        }
    }
}

/// Refuses what the mask of a column shows: whoever writes back what was read would lose the real value.
pub(super) fn not_shown(table: &TableView, name: &str, value: &Value, at: &str) -> Result<()> {
    let mask = table.table.column(name).and_then(|(position, _)| table.mask(position));
    match mask.is_some_and(|mask| mask.shows(value)) {
        false => Ok(()),
        true => Err(Error::new(
            Code::InvalidValue,
            format!("this is what the mask of {name} shows, not a value"),
        )
        .at(at)
        .hint(format!("leave {name} out, and it stays as it is"))),
    }
}

/// Refuses a value that is too large for the column's length or precision: PostgreSQL would too, but among
/// several values it does not say which.
fn fits(column: &Column, operand: &Operand, at: &str) -> Result<()> {
    let Source::Text(Some(text)) = &operand.source else { return Ok(()) };
    let bounds = column.type_name.strip_suffix(')').and_then(|name| name.split_once('('));
    let Some((name, bounds)) = bounds else { return Ok(()) };
    let refuse = |message: String| Err(Error::new(Code::InvalidValue, message).at(at));
    match name {
        "character varying" | "character" => {
            // Spaces too many are cut off without a word.
            let length = text.trim_end_matches(' ').chars().count();
            match bounds.parse::<usize>() {
                Ok(most) if length > most => refuse(format!(
                    "the value is too long: {} takes {most} characters, not {length}",
                    column.name
                )),
                _ => Ok(()),
            }
        }
        "numeric" => {
            let (precision, scale) = bounds.split_once(',').unwrap_or((bounds, "0"));
            let bounds = (
                precision.parse::<i64>(),
                scale.parse::<i64>(),
                Decimal::of(text).and_then(|number| number.whole_digits()),
            );
            match bounds {
                (Ok(precision), Ok(scale), Some(whole)) if whole > precision - scale => {
                    refuse(format!(
                        "the value overflows {}: {} takes {} digits before the point, not {whole}",
                        column.name,
                        column.type_name,
                        precision - scale
                    ))
                }
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// `{"$name": argument}`.
fn lone_operator(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, argument) = object.iter().next()?;
    (object.len() == 1 && key.starts_with('$')).then_some((key.as_str(), argument))
}

/// The operator of an object that has other members too: as a document it would be written as it stands.
fn crowded_operator(object: &Map<String, Value>) -> Option<&str> {
    let mut keys = object.keys().map(String::as_str).filter(|_| object.len() > 1);
    keys.find(|key| COMPUTED.contains(key))
}

/// Whether it stands for a value: `{"$ref": …}` or `{"$literal": …}`.
fn is_operand(value: &Value) -> bool {
    let operator = value.as_object().and_then(lone_operator);
    operator.is_some_and(|(key, _)| matches!(key, "$ref" | "$literal"))
}

/// What makes a version column count a change.
pub(super) fn next_version(column: &Column) -> Assign {
    let one = || Operand::text(Some("1".into()), "");
    match (column.data_type.is_timestamp(), column.may_be_null) {
        (true, _) => Assign::Now,
        (false, true) => Assign::Count(one()),
        (false, false) => Assign::Increment(one()),
    }
}

/// What a version column begins with.
pub(super) fn first_version(column: &Column) -> Assign {
    match column.data_type.is_timestamp() {
        true => Assign::Now,
        false => Assign::Value(Operand::text(Some("1".into()), "")),
    }
}
