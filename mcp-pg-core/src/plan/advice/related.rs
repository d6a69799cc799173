//! Advice for conditions on related rows.

use serde_json::{Map, Value};

use crate::error::{Code, Error};
use crate::plan::grammar::{QUANTIFIERS, WHERE};
use crate::plan::{Arithmetic, Hop, Reached, Scope, Total};
use crate::policy::TableView;
use crate::schema::{Column, Operator, Relation, RelationKind};
use crate::value;

impl<'v> Scope<'v> {
    /// The error for a relation whose value is not a condition object.
    pub(in crate::plan) fn unrelated(
        &self,
        subject: &TableView,
        hop: &Hop<'_>,
        value: &Value,
    ) -> Error {
        let error = Error::new(Code::InvalidValue, "a relation takes a condition object");
        let nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if nothing && !hop.is_to_one() {
            let name = subject.relation_name(hop.relation);
            return error.hint(format!("{{{name:?}: {{\"none\": {{}}}}}} finds those without any"));
        }
        let own = match hop.relation.columns.as_slice() {
            [(own, _)] if hop.is_to_one() => subject.table.columns.get(*own),
            _ => None,
        };
        let given =
            if value.is_string() || value.is_number() { value.to_string() } else { "…".into() };
        error.hint(match own.filter(|own| own.can_select) {
            // A text may be the name of the row; what only the key can be is the key.
            Some(own) if is_key(own, value) => format!("{{{:?}: {given}}}", own.name),
            _ => related(subject, hop, &example(hop.table, &given)),
        })
    }

    /// The error for a to-one relation that is compared, or asked whether it is null, as a column is.
    pub(in crate::plan) fn not_nullable(
        &self,
        subject: &TableView,
        hop: &Hop<'_>,
        (key, value): (&str, &Value),
    ) -> Option<Error> {
        let other = hop.table;
        if other.column(key).is_some() || other.relations_named(key).next().is_some() {
            return None;
        }
        let name = subject.relation_name(hop.relation);
        let null = matches!(key, "is_null" | "is_not_null") || value.is_null();
        let own = match hop.relation.columns.as_slice() {
            [(own, _)] => subject.table.columns.get(*own).filter(|own| own.can_select),
            _ => None,
        };
        let hint = match (Operator::parse(key), own) {
            _ if null && (Operator::parse(key).is_some() || key == "is_not_null") => format!(
                "null means that there is no related row: {{{name:?}: null}}, {{\"not\": {{{name:?}: null}}}}"
            ),
            (Some(_), Some(own)) => format!("{{{:?}: {{{key:?}: …}}}}", own.name),
            (Some(_), None) => related(subject, hop, &example(other, "…")),
            (None, _) => return None,
        };
        let error =
            Error::new(Code::UnknownOperator, format!("a to-one relation takes no {key:?}"));
        Some(error.hint(hint))
    }

    /// The error for a to-many relation without `some`, `none` or `every`.
    pub(in crate::plan) fn unquantified(
        &self,
        subject: &TableView,
        hop: &Hop<'_>,
        key: &str,
        value: &Value,
    ) -> Error {
        let error =
            Error::new(Code::UnknownOperator, format!("a to-many relation takes no {key:?}"))
                .allowed(QUANTIFIERS);
        let given = Some(value).filter(|value| value.is_object()).and_then(super::repeated);
        let name = subject.relation_name(hop.relation);
        let none =
            matches!((key, value), ("is_null", Value::Bool(true)) | ("exists", Value::Bool(false)));
        let condition = match (hop.table.readable(key), key) {
            (Ok(_), _) => format!("{{{key:?}: …}}"),
            (Err(_), "all") => {
                let condition = given.unwrap_or_else(|| example(hop.table, "…"));
                return error
                    .did_you_mean("every")
                    .hint(format!("{{{name:?}: {{\"every\": {condition}}}}}"));
            }
            (Err(_), "is_null" | "exists" | "not_exists") if none || key == "not_exists" => {
                return error
                    .hint(format!("{{{name:?}: {{\"none\": {}}}}}", given.unwrap_or("{}".into())));
            }
            (Err(_), "_aggregate" | "_count" | "aggregate") => {
                return error.hint(format!("{{{name:?}: {{\"count\": {{\"gte\": 3}}}}}}"));
            }
            (Err(_), function) if Total::names().any(|name| name == function) => {
                return error.hint(format!(
                    "{{\"compute\": {{{function:?}: \"{name}.…\", \"gt\": 100}}}}, with the condition on the rows at where beside it"
                ));
            }
            (Err(_), "exists" | "any" | "is_null") => given.unwrap_or_else(|| "{}".to_owned()),
            (Err(_), _) => example(hop.table, "…"),
        };
        error.hint(related(subject, hop, &condition))
    }

    /// The hint for a condition on a column that was meant for the referenced row.
    pub(in crate::plan) fn refers(
        &self,
        table: &'v TableView,
        column: &Column,
        key: &str,
    ) -> Option<String> {
        let (position, _) = table.table.column(&column.name)?;
        table.relations.iter().find_map(|relation| {
            let refers = relation.kind == RelationKind::ToOne
                && relation.columns.iter().any(|(own, _)| *own == position);
            let hop = self.hop(table, relation).ok().filter(|_| refers)?;
            let known = hop.table.readable(key).is_ok() || self.relation(hop.table, key).is_ok();
            known.then_some(())?;
            let condition = related(table, &hop, &format!("{{{key:?}: …}}"));
            Some(format!("of the row that it refers to: {condition}"))
        })
    }
}

impl<'v> Scope<'v> {
    /// The hint for a key that is compared with a text, which may be the name of the row that it refers to.
    pub(in crate::plan) fn named_by(
        &self,
        table: &'v TableView,
        column: &Column,
        value: &Value,
    ) -> Option<String> {
        let hop = self.hop_of(table, column, value)?;
        let given = super::repeated(value)?;
        Some(related(table, &hop, &example(hop.table, &given)))
    }

    /// The same for a key that is set to such a text, or to an object with columns of that row.
    pub(in crate::plan) fn set_by_name(
        &self,
        table: &'v TableView,
        column: &Column,
        value: &Value,
    ) -> Option<String> {
        let row = value.as_object().filter(|object| Arithmetic::asked(object).is_none());
        let hop = match row {
            Some(_) => self.hop_by(table, column)?,
            None => self.hop_of(table, column, value)?,
        };
        let [(_, key)] = hop.relation.columns.as_slice() else { return None };
        let key = &hop.table.table.columns.get(*key).filter(|key| key.can_select)?.name;
        let described = |row: &&Map<String, Value>| {
            !row.is_empty() && row.keys().all(|name| hop.table.readable(name).is_ok())
        };
        let given = row.and_then(|row| row.get(WHERE).unwrap_or(value).as_object());
        let given = given.filter(described).and_then(|row| super::repeated(&row.clone().into()));
        let mut columns = hop.table.readable_columns().map(|at| &hop.table.table.columns[at]);
        let text = columns.find(|column| column.data_type.is_text() && column.name != *key);
        let condition = match (given, row, text) {
            (Some(given), ..) => given,
            (None, Some(_), _) => "{…}".to_owned(),
            (None, None, Some(text)) => {
                format!("{{{:?}: {}}}", text.name, super::repeated(value)?)
            }
            (None, None, None) => return None,
        };
        let other = hop.table.name();
        Some(format!(
            "{} is the {key} of a row of {other}: select it where {condition}",
            column.name
        ))
    }

    /// The step to the row that a key refers to, if the key is given a text that may be the row's name.
    fn hop_of(&self, table: &'v TableView, column: &Column, value: &Value) -> Option<Hop<'v>> {
        let is_name = |text: &str| {
            text.chars().all(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-'))
                && text.chars().any(char::is_alphabetic)
        };
        value.as_str().filter(|text| is_name(text))?;
        let hop = self.hop_by(table, column)?;
        let mut columns = hop.table.readable_columns().map(|at| &hop.table.table.columns[at]);
        columns.any(|column| column.data_type.is_text()).then_some(hop)
    }

    /// The step to the row that a key of one column refers to.
    fn hop_by(&self, table: &'v TableView, column: &Column) -> Option<Hop<'v>> {
        let (position, _) = table.table.column(&column.name)?;
        table.relations.iter().find_map(|relation| {
            let alone = matches!(relation.columns.as_slice(), [(own, _)] if *own == position);
            let to_one = alone && relation.kind == RelationKind::ToOne;
            self.hop(table, relation).ok().filter(|_| to_one)
        })
    }

    /// The error for a column of related rows that is compared with itself. `outer` are the steps that led to the row.
    pub(in crate::plan) fn itself(
        &self,
        table: &'v TableView,
        column: &Reached<'_>,
        outer: &[(&'v TableView, &'v Relation)],
    ) -> Error {
        let name = &column.column.name;
        let message = format!("{name} is compared with itself, a column of {}", table.name());
        let error = Error::new(Code::InvalidValue, message);
        let Some(((subject, relation), before)) = outer.split_last() else { return error };
        // The hint for the row from which the last step started, if that has the column.
        let way = match relation.kind {
            RelationKind::ToOne => Some(format!(
                "compare them in the outer row: {{{name:?}: {{\"$column\": \"{}.{name}\"}}}}",
                subject.relation_name(relation)
            )),
            _ => self.back(table, relation).map(|back| {
                format!(
                    "$column names a column of the related row; of the row that this one refers to it is {{\"$column\": \"{}.{name}\"}}",
                    table.relation_name(back)
                )
            }),
        };
        // Of two outer rows, the one of the same table is meant.
        let twice = before.iter().any(|(subject, _)| subject.name() == table.name());
        let way = way.filter(|_| !twice && subject.usable(name).is_ok());
        error.hint(way.unwrap_or_else(|| format!(
            "$column names a column of the related row; columns of the outer row cannot be reached here: read the rows of {}, and compare them yourself",
            table.name()
        )))
    }

    /// The to-one relation of the table that leads back along a to-many one.
    fn back(&self, table: &'v TableView, relation: &Relation) -> Option<&'v Relation> {
        let columns = relation.columns.iter().map(|(ours, theirs)| (*theirs, *ours));
        let mut relations = table.relations.iter();
        relations.find(|back| {
            back.kind == RelationKind::ToOne
                && relation.junction.is_none()
                && back.constraint == relation.constraint
                && back.columns.iter().copied().eq(columns.clone())
        })
    }
}

/// Whether a value of a relation is meant for its key: a number, or what is a value of the key's type and no mere text.
fn is_key(own: &Column, value: &Value) -> bool {
    let data_type = &own.data_type;
    let read = || value::encode(data_type, &own.type_name, value).is_ok();
    value.is_number() || value.is_string() && !data_type.is_text() && read()
}

/// The condition on the related rows.
pub(super) fn related(subject: &TableView, hop: &Hop<'_>, condition: &str) -> String {
    let name = subject.relation_name(hop.relation);
    match hop.is_to_one() {
        true => format!("{{{name:?}: {condition}}}"),
        false => format!("{{{name:?}: {{\"some\": {condition}}}}}"),
    }
}

/// A condition on the first text column, as an example.
fn example(table: &TableView, value: &str) -> String {
    let mut columns = table.readable_columns().map(|column| &table.table.columns[column]);
    let text = columns.clone().find(|column| column.data_type.is_text());
    let name = text.or_else(|| columns.next()).map_or("…", |column| &column.name);
    format!("{{{name:?}: {value}}}")
}
