//! A parameter of a canned query: its type, the source of its value, and the values that it accepts.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::declared::{self, Declared};
use super::function::Input;
use super::length;
use super::rules::Rules;
use crate::error::{Code, Error, Result, step};
use crate::policy::claim;
use crate::schema::{DataType, Kind, clean};
use crate::value::{self, Decoder};

/// A parameter of a canned query.
#[derive(Debug, Clone)]
pub struct Parameter {
    /// The argument's name.
    pub name: String,
    /// Its type.
    pub data_type: Arc<DataType>,
    type_name: String,
    given: Given,
    /// Whether null is a value of its own. If not, null means that the argument is not given.
    nullable: bool,
    rules: Rules,
    description: Option<String>,
    /// Line and column of its declaration, or of its first use.
    pub(super) position: Option<(usize, usize)>,
    /// Columns that it is compared with. Their comment describes the parameter if the header does not.
    compared: Vec<String>,
}

/// The source of the value.
#[derive(Debug, Clone, PartialEq)]
enum Given {
    /// The caller, who must give it.
    Required,
    /// The caller, otherwise this default.
    Default(Value),
    /// The caller, otherwise the function's own default.
    Omitted,
    /// The claim with this name.
    Claim(String),
}

impl Parameter {
    /// A parameter of this type, with its declaration if it has one.
    ///
    /// # Errors
    ///
    /// A message about a default or rule that does not fit the type.
    pub(super) fn new(
        input: Input<'_>,
        data_type: Arc<DataType>,
        declared: Option<&Declared>,
        compared: Vec<String>,
    ) -> Result<Self, String> {
        let given = match declared.map(|declared| &declared.given) {
            Some(declared::Given::Default(value)) => Given::Default(value.clone()),
            Some(declared::Given::Claim(claim)) => Given::Claim(claim.clone()),
            _ if input.default => Given::Omitted,
            _ => Given::Required,
        };
        let type_name = declared.and_then(|declared| declared.type_name.clone());
        let mut parameter = Self {
            name: input.name.to_owned(),
            type_name: type_name.unwrap_or_else(|| data_type.name.clone()),
            data_type,
            given,
            nullable: input.nullable,
            rules: declared.map(|declared| declared.rules.clone()).unwrap_or_default(),
            description: declared.and_then(|declared| declared.description.clone()),
            position: None,
            compared,
        };
        parameter.rules.check_type(&parameter.data_type)?;
        if let Given::Default(value) = &parameter.given
            && !value.is_null()
        {
            let fits = parameter.encode(value, usize::MAX);
            fits.map_err(|error| format!("the default {value}: {}", error.message()))?;
        }
        Ok(parameter)
    }

    /// Whether callers can give it.
    pub(crate) fn is_argument(&self) -> bool {
        !matches!(self.given, Given::Claim(_))
    }

    /// The default with its type and text, if only PostgreSQL can check it.
    pub(super) fn untried_default(&self) -> Option<(&Value, u32, String)> {
        let Given::Default(value) = &self.given else { return None };
        if !value::is_left_to_postgresql(&self.data_type) {
            return None;
        }
        let text = value::encode(&self.data_type, &self.type_name, value).ok()??;
        Some((value, self.data_type.oid, text))
    }

    /// The columns that it is compared with or assigned to, as far as the text shows this.
    pub(super) fn compared(&self) -> &[String] {
        &self.compared
    }

    /// Whether callers must give it.
    pub(crate) fn is_required(&self) -> bool {
        self.given == Given::Required
    }

    /// The text of the value; `Some(None)` is null. `None` if the statement is to be built without the parameter.
    pub(super) fn value(
        &self,
        arguments: &Map<String, Value>,
        claims: &Map<String, Value>,
        list_most: usize,
    ) -> Result<Option<Option<String>>> {
        let argument = arguments.get(&self.name);
        let argument = argument.filter(|value| self.nullable || !value.is_null());
        match (&self.given, argument) {
            (Given::Claim(name), _) => {
                let claim = claim(claims, name).unwrap_or_default();
                // The caller did not give the value, and an error must not show it.
                let unfit =
                    || Error::new(Code::Forbidden, "a claim of the caller does not fit the query");
                // A text may be one that the caller chose, and is no list whatever it contains.
                if claim.is_string() && matches!(self.data_type.base().kind, Kind::Array { .. }) {
                    return Err(unfit());
                }
                let text = value::encode(&self.data_type, &self.type_name, &claim);
                text.map(Some).map_err(|error| unfit().caused_by(error))
            }
            (_, Some(Value::Null)) => Ok(Some(None)),
            (_, Some(argument)) => {
                let text = self.encode(argument, list_most);
                text.map(Some).map_err(|error| error.inside(&step(&self.name)))
            }
            (Given::Default(value), None) => {
                value::encode(&self.data_type, &self.type_name, value).map(Some)
            }
            (Given::Omitted, None) => Ok(None),
            (Given::Required, None) => Err(Error::new(
                Code::MissingValue,
                format!("{} ({}) is required", self.name, self.type_name),
            )
            .at(step(&self.name))),
        }
    }

    fn encode(&self, value: &Value, list_most: usize) -> Result<Option<String>> {
        match (&self.data_type.base().kind, value) {
            (Kind::Array { .. }, Value::Array(items)) => {
                let most = self.rules.max_items.unwrap_or(list_most);
                require_few(self.check_items(items)?, most)?;
            }
            // A list may be given as a literal, whose items PostgreSQL checks.
            (Kind::Array { .. }, _) if self.rules.restrict() => {
                return Err(Error::new(Code::InvalidValue, "expected a list").at(""));
            }
            (Kind::Array { .. }, Value::String(literal)) => {
                let most = self.rules.max_items.unwrap_or(list_most);
                require_few(literal.matches(',').count() + 1, most)?;
            }
            (Kind::Array { .. }, _) => {}
            _ => self.rules.check(value)?,
        }
        let text = value::encode(&self.data_type, &self.type_name, value)?;
        if let Some(text) = &text {
            length::require(&self.data_type, &self.type_name, text)?;
        }
        Ok(text)
    }

    /// Checks the items of a list and of the lists in it, and returns their number.
    fn check_items(&self, items: &[Value]) -> Result<usize> {
        let checked = items.iter().enumerate().map(|(position, item)| {
            let checked = match item {
                Value::Array(items) => self.check_items(items),
                item => self.rules.check(item).map(|()| 1),
            };
            checked.map_err(|error| error.inside(&format!("/{position}")))
        });
        checked.sum()
    }

    /// The JSON Schema of the argument. `comment` looks up the comment of a column by its name.
    pub(super) fn schema(&self, comment: impl Fn(&str) -> Option<String>) -> Map<String, Value> {
        let mut schema = value::accepted(&self.data_type);
        match &self.data_type.base().kind {
            Kind::Array { element, .. } => {
                if self.rules.restrict() {
                    // No rule accepts null.
                    let mut items = value::accepted(element);
                    self.rules.describe(&mut items);
                    schema.insert("items".into(), items.into());
                }
                if let Some(most) = self.rules.max_items {
                    schema.insert("maxItems".into(), most.into());
                }
            }
            _ => self.rules.describe(&mut schema),
        }
        // Where null is no value, it means that the argument is not given, as everywhere.
        if self.nullable {
            schema = value::or_null(schema);
        }
        let described = self.description.clone();
        let described = described.or_else(|| self.compared.iter().find_map(|name| comment(name)));
        if let Some(description) = described.as_deref().and_then(clean) {
            schema.insert("description".into(), description.into());
        }
        if let Given::Default(value) = &self.given
            && !value.is_null()
        {
            schema.insert("default".into(), self.as_read(value));
        }
        schema
    }

    /// The value in the form in which replies have it, which is that of the schema: a list instead of `{1,2}`.
    fn as_read(&self, value: &Value) -> Value {
        let text = value::encode(&self.data_type, &self.type_name, value);
        let read = text.ok().flatten().and_then(|text| Decoder::read(&self.data_type, &text).ok());
        read.unwrap_or_else(|| value.clone())
    }
}

fn require_few(items: usize, most: usize) -> Result<()> {
    if items <= most {
        return Ok(());
    }
    let message = format!("the list has {items} items: at most {most}");
    Err(Error::new(Code::LimitExceeded, message).at(""))
}
