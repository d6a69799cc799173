//! Assignments to a column: a value, or a computation by PostgreSQL.

use serde_json::{Map, Value};

use super::computation::Computation;
use super::whole::require_whole;
use crate::error::{Code, Error, Result, below};
use crate::plan::advice;
use crate::plan::expression::period;
use crate::plan::grammar::ASSIGNED;
use crate::plan::{Expression, Operand, Period, Scope, Source};
use crate::policy::{Action, Mask, Sealed, TableView};
use crate::schema::{Column, Family, Identity, TableKind};
use crate::value::Decimal;

/// An assignment to a column.
#[derive(Debug, Clone)]
pub enum Assign<'v> {
    /// This value.
    Value(Operand),
    /// The column's default.
    Default,
    /// This value instead of the default: the database generated it before, in the run that the user agreed to.
    Again(Operand),
    /// The transaction's time.
    Now,
    /// The transaction's time plus an offset.
    FromNow(Operand),
    /// A range one of whose bounds is the transaction's time plus an offset.
    Period(Box<Period>),
    /// The old value plus this.
    Increment(Operand),
    /// The old value plus this, or this if the old value is null.
    Count(Operand),
    /// The old point in time, moved by this; or the old interval plus this.
    Move(Operand),
    /// A number computed from the old row.
    Compute(Expression<'v>),
    /// The old array, text or JSON array, with this after it.
    Append(Operand),
    /// The old array without the elements of this one, or the old JSON without the members of these names.
    Remove(Operand),
    /// The old JSON object, with these members over it.
    Merge(Operand),
    /// The old JSON with a value set at a path. Missing objects on the path are created.
    Set(Put),
}

/// A value at a path in JSON.
#[derive(Debug, Clone)]
pub struct Put {
    /// The keys and indexes of the path.
    pub path: Vec<String>,
    /// The prefixes of the path by increasing length, as `text[]`. The last one is the whole path.
    pub ways: Vec<Operand>,
    /// The value.
    pub value: Operand,
}

impl<'v> Assign<'v> {
    /// Its operand, if it has one.
    pub fn operand(&self) -> Option<&Operand> {
        match self {
            Assign::Default | Assign::Now | Assign::Period(_) | Assign::Compute(_) => None,
            Assign::Value(operand)
            | Assign::Again(operand)
            | Assign::FromNow(operand)
            | Assign::Increment(operand)
            | Assign::Count(operand)
            | Assign::Move(operand)
            | Assign::Append(operand)
            | Assign::Remove(operand)
            | Assign::Merge(operand) => Some(operand),
            Assign::Set(put) => Some(&put.value),
        }
    }

    /// Its expression, if it is computed from the row.
    pub fn computed(&self) -> Option<&Expression<'v>> {
        match self {
            Assign::Compute(expression) => Some(expression),
            _ => None,
        }
    }

    /// Its value, if it is only that.
    pub fn value(&self) -> Option<&Operand> {
        match self {
            Assign::Value(operand) | Assign::Again(operand) => Some(operand),
            _ => None,
        }
    }

    /// Whether the database chooses the value, or chose it before.
    pub(crate) fn is_generated(&self) -> bool {
        matches!(self, Assign::Default | Assign::Again(_))
    }
}

/// Whether the written row is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is inserted.
    New,
    /// It exists.
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
            return Err(advice::not_written(table, name, error));
        };
        if may(column) {
            return Ok(column);
        }
        let reason = if column.generated.is_some() {
            "PostgreSQL computes it"
        } else if column.identity == Some(Identity::Always) {
            "PostgreSQL generates it: leave it out"
        } else if table.archive.as_ref().is_some_and(|archive| archive.name == column.name) {
            "archive sets it, and restore clears it"
        } else if table.version.as_ref().is_some_and(|version| version.name == column.name) {
            "the server counts changes in it"
        } else if table.is_preset(&column.name, written.action()) {
            "the server sets it: leave it out"
        } else if table.table.kind == TableKind::View {
            "through this view it can only be read"
        } else if column.can_select {
            "the caller's role may only read it"
        } else {
            match written {
                Written::New => "the caller's role may only change it in rows that exist",
                Written::Old => "the caller's role may only set it in new rows",
            }
        };
        Err(Error::new(
            Code::ReadOnlyColumn,
            format!("{} cannot be written: {reason}", column.name),
        )
        .allowed(table.table.columns.iter().filter(|c| may(c)).map(|c| c.name.as_str())))
    }

    /// The assignment that `value` requests for `column`.
    ///
    /// # Errors
    ///
    /// `invalid_value`, `not_null_violation` or `unknown_operator`, at `at` or inside it.
    pub(crate) fn assign(
        &self,
        table: &'v TableView,
        column: &Column,
        value: &Value,
        written: Written,
        at: &str,
    ) -> Result<Assign<'v>> {
        if let Value::Object(object) = value
            && let Some((key, argument)) = lone_operator(object)
            && !matches!(key, "$ref" | "$literal")
        {
            let computation = Computation { column, key, argument, at: &below(at, key) };
            return self.computed(table, &computation, written);
        }
        if let Some(error) =
            value.as_object().and_then(|object| no_document(column, object, written))
        {
            return Err(error.at(at));
        }
        if column.data_type.is_amount() && value.as_str().is_some_and(|text| text.starts_with('+'))
        {
            let error = Error::new(Code::InvalidValue, "a number is written without a plus sign");
            return Err(advice::not_computed(column, value, written, error.at(at)));
        }
        if period::asked(value)
            && let Some(period) = self.period(&column.data_type, value, at)?
        {
            if written == Written::Old {
                require_whole(&column.data_type, value, at)?;
            }
            return Ok(Assign::Period(Box::new(period)));
        }
        let operand = self.operand(column, value, at).map_err(|error| match is_operand(value) {
            true => error,
            false => match self.set_by_name(table, column, value) {
                Some(hint) => error.hint(hint),
                None => advice::not_computed(column, value, written, error),
            },
        })?;
        // A trigger may fill the column, so PostgreSQL decides.
        let filled = match written {
            Written::New => table.table.fills_rows,
            Written::Old => table.table.fills_updates,
        };
        if operand.is_null() && !column.nullable && !filled {
            return Err(no_null(column, written).at(at));
        }
        fits(column, &operand, at).map_err(|error| {
            match self.set_by_name(table, column, value) {
                Some(hint) => error.hint(hint),
                None => error,
            }
        })?;
        if written == Written::Old && !is_operand(value) {
            require_whole(&column.data_type, value, at)?;
        }
        Ok(Assign::Value(operand))
    }
}

/// The error for null in a column that does not accept it, with PostgreSQL's code.
pub(super) fn not_null(column: &Column) -> Error {
    let message = format!("{} does not accept null", column.name);
    Error::new(Code::NotNullViolation, message).sqlstate("23502")
}

/// The same, with a hint.
fn no_null(column: &Column, written: Written) -> Error {
    not_null(column).hint(match written {
        _ if column.data_type.is_json() && column.default.is_some() => {
            "{\"$default\": true} sets its default, and {\"$literal\": null} JSON's null"
        }
        _ if column.data_type.is_json() => "{\"$literal\": null} is JSON's null",
        Written::New if column.identity.is_some() => "leave it out: PostgreSQL generates it",
        Written::New if !column.required() => {
            "leave it out, or give {\"$default\": true}: it has a default"
        }
        Written::Old if column.default.is_some() => "{\"$default\": true} sets its default",
        _ => "give a value",
    })
}

/// Refuses a masked value: writing back what was read would destroy the real value.
pub(super) fn not_shown(
    table: &TableView,
    name: &str,
    value: &Value,
    written: Written,
    at: &str,
) -> Result<()> {
    let mask = table.table.column(name).and_then(|(position, _)| table.mask(position));
    if mask == Some(Mask::Null) && value.is_null() && written == Written::Old {
        return Err(Error::new(
            Code::InvalidValue,
            format!("null is what the mask of {name} shows"),
        )
        .at(at)
        .hint(format!(
            "leave {name} out, and it stays as it is; {{\"$literal\": null}} takes its value away"
        )));
    }
    let value = match value.as_object().and_then(lone_operator) {
        Some(("$literal", literal)) => literal,
        _ => value,
    };
    let message = if mask.is_some_and(|mask| mask.shows(value)) {
        format!("this is what the mask of {name} shows, not a value")
    } else if table.sealed(name).is_some() && Sealed::is_undecipherable(value) {
        format!(
            "this stands for a value of {name} that could not be decrypted, and is not a value itself"
        )
    } else {
        return Ok(());
    };
    Err(Error::new(Code::InvalidValue, message)
        .at(at)
        .hint(format!("leave {name} out, and it stays as it is")))
}

/// Refuses a value that exceeds the column's length or precision. PostgreSQL would refuse it without saying which one
/// of several values is wrong.
pub(super) fn fits(column: &Column, operand: &Operand, at: &str) -> Result<()> {
    let Source::Text(Some(text)) = &operand.source else { return Ok(()) };
    let refuse = |message: String| Err(Error::new(Code::InvalidValue, message).at(at));
    if let Some((most, _)) = column.precision() {
        let whole = Decimal::of(text).and_then(|number| number.whole_digits());
        return match whole.filter(|whole| *whole > most) {
            Some(whole) => refuse(format!(
                "the value overflows {}: {} takes {most} digits before the point, not {whole}",
                column.name, column.type_name
            )),
            None => Ok(()),
        };
    }
    let bounds = column.type_name.strip_suffix(')').and_then(|name| name.split_once('('));
    let Some((name, Ok(most))) = bounds.map(|(name, most)| (name, most.parse::<usize>())) else {
        return Ok(());
    };
    let bits = || text.bytes().all(|digit| matches!(digit, b'0' | b'1'));
    match name {
        "character varying" | "character" => {
            // Excess spaces are removed silently.
            let given = text.trim_end_matches(' ').chars().count();
            match given > most {
                true => refuse(format!(
                    "the value is too long: {} takes {most} characters, not {given}",
                    column.name
                )),
                false => Ok(()),
            }
        }
        "bit" if bits() && text.len() != most => refuse(format!(
            "the value has the wrong length: {} takes {most} bits, not {}",
            column.name,
            text.len()
        )),
        "bit varying" if bits() && text.len() > most => refuse(format!(
            "the value is too long: {} takes {most} bits, not {}",
            column.name,
            text.len()
        )),
        _ => Ok(()),
    }
}

/// `{"$name": argument}`.
fn lone_operator(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (key, argument) = object.iter().next()?;
    (object.len() == 1 && key.starts_with('$')).then_some((key.as_str(), argument))
}

/// The error for an object that looks like a computation in a wrong form, and would be written as a document.
fn no_document(column: &Column, object: &Map<String, Value>, written: Written) -> Option<Error> {
    let wrong = |message: String| Some(Error::new(Code::InvalidValue, message));
    let literal = "{\"$literal\": {…}} writes an object as it is";
    if let Some(key) = crowded_operator(object) {
        let message = format!("{key} must be the only member of its object");
        return wrong(message).map(|error| error.hint(literal));
    }
    let path = object.get("path").filter(|path| path.is_array() && object.len() == 2)?;
    let value = ["value", "eq", "set"].into_iter().find_map(|name| object.get(name))?;
    if !column.data_type.is_json() {
        return None;
    }
    let message = format!("this would replace the whole value of {}", column.name);
    let set = format!("{{\"$set\": {{\"path\": {path}, \"value\": {value}}}}}");
    wrong(message).map(|error| match written {
        Written::Old if column.data_type.family() == Family::Json => {
            error.hint(format!("{set} changes what is at the path; {literal}"))
        }
        _ => error.hint(literal),
    })
}

/// The computation in an object that also has other members, and would be written as a document.
fn crowded_operator(object: &Map<String, Value>) -> Option<&str> {
    let mut keys = object.keys().map(String::as_str).filter(|_| object.len() > 1);
    keys.find(|key| ASSIGNED.contains(key))
}

/// Whether it stands for a value: `{"$ref": …}` or `{"$literal": …}`.
pub(super) fn is_operand(value: &Value) -> bool {
    let operator = value.as_object().and_then(lone_operator);
    operator.is_some_and(|(key, _)| matches!(key, "$ref" | "$literal"))
}

/// Increments a version column.
pub(super) fn next_version(column: &Column) -> Assign<'static> {
    let one = || Operand::own(Some("1".into()));
    match (column.data_type.is_timestamp(), column.may_be_null) {
        (true, _) => Assign::Now,
        (false, true) => Assign::Count(one()),
        (false, false) => Assign::Increment(one()),
    }
}

/// The first value of a version column.
pub(super) fn first_version(column: &Column) -> Assign<'static> {
    match column.data_type.is_timestamp() {
        true => Assign::Now,
        false => Assign::Value(Operand::own(Some("1".into()))),
    }
}
