//! A canned query that PostgreSQL has described: ready to be listed and called.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::column::{Column, Frame, columns};
use super::fault::Fault;
use super::function::{Call, Input};
use super::parameter::Parameter;
use super::source::{Body, Source};
use super::sql::{Sql, Verb};
use crate::error::{Code, Error, Result, step};
use crate::plan::Operand;
use crate::policy::{Action, Marks, Role, View};
use crate::schema::{Described, DescribedColumn};
use crate::statement::{Output, Statement};

/// A canned query, or a function as a tool.
#[derive(Debug)]
pub struct Query {
    /// The tool's name.
    pub name: String,
    /// The file's path, or the function's signature.
    pub place: String,
    /// Line and column where the statement begins, and where its roles are named.
    position: Option<(usize, usize)>,
    roles_position: Option<(usize, usize)>,
    /// A title for people.
    pub title: Option<String>,
    /// What it returns or does.
    pub description: Option<String>,
    /// Its parameters, including claims.
    pub parameters: Vec<Parameter>,
    /// The roles that have it as a tool. If absent, see [`Query::is_for`].
    pub roles: Option<Vec<String>>,
    /// Whether it may write.
    pub writes: bool,
    /// Whether it may run code of the database that changes the session.
    pub coded: bool,
    /// Whether repeating a call has no further effect.
    pub idempotent: bool,
    /// Whether it only inserts rows.
    pub additive: bool,
    /// Whether it needs the user's confirmation, whatever the role.
    confirm: bool,
    /// PostgreSQL's `statement_timeout` for it.
    pub timeout: Option<Duration>,
    /// The maximum number of rows in a reply.
    pub limit: u64,
    /// The maximum number of rows that a write may affect, if its header says so.
    pub max_rows: Option<u64>,
    /// A digest of everything about it that a caller can see.
    pub digest: u64,
    pub(super) columns: Vec<Column>,
    column_names: Arc<[String]>,
    /// What its statement is put between.
    frame: Option<Frame>,
    /// The database roles, or the login, that PostgreSQL does not let run it, with its messages.
    pub(crate) refused: BTreeMap<Option<String>, String>,
    /// The names in the text, including those of its tables.
    pub(super) names: HashSet<String>,
    pub(super) text: Text,
}

/// The statement that is sent.
#[derive(Debug)]
pub(super) enum Text {
    Fixed {
        sql: Arc<str>,
        verb: Verb,
        /// The table of an UPDATE or DELETE.
        target: Option<String>,
    },
    Call(Box<Call>),
}

/// The arguments of every query that writes.
pub(super) const WRITE_ARGUMENTS: [&str; 2] = ["dry_run", "max_rows"];

impl Query {
    /// A query whose replies have at most `most` rows.
    ///
    /// # Errors
    ///
    /// Why it cannot be a tool.
    pub fn new(source: Source, described: Described, most: u64) -> Result<Self, Fault> {
        let columns = columns(&source, &described)?;
        if let (Body::Statement(_), false, []) =
            (&source.body, source.header.writes, &described.columns[..])
        {
            let message = "it returns no columns: add -- @writes if it writes";
            return Err(source.fault(message, None));
        }
        let parameters = parameters(&source, &described)?;
        let digest = digest(&source, &described, &parameters);
        let whole = source.fault("", None);
        let (position, roles_position) = (whole.position, source.roles_position());
        let is_function = matches!(source.body, Body::Function(_));
        let coded = described.coded || source.header.writes || is_function;
        let Source { name, place, body, header, .. } = source;
        let limit = header.limit.unwrap_or(most).min(most);
        let verb = match &body {
            Body::Statement(sql) => sql.verb,
            Body::Function(call) if call.procedure() => Verb::Call,
            Body::Function(_) => Verb::Select,
        };
        let frame = Frame::new(&columns, verb, header.writes, limit);
        let frame = frame.map_err(|message| Fault { message, ..whole })?;
        let (names, text) = match body {
            Body::Statement(Sql { text, verb, target, names, .. }) => {
                let sql = framed(frame.as_ref(), text).into();
                (names, Text::Fixed { sql, verb, target })
            }
            Body::Function(call) => (HashSet::new(), Text::Call(Box::new(call))),
        };
        Ok(Self {
            name,
            place,
            position,
            roles_position,
            title: header.title,
            description: header.description,
            parameters,
            roles: header.roles,
            writes: header.writes,
            coded,
            idempotent: header.idempotent || !header.writes,
            additive: header.additive,
            confirm: header.confirm,
            timeout: header.timeout,
            limit,
            max_rows: header.max_rows,
            digest,
            column_names: columns.iter().map(|column| column.name.clone()).collect(),
            columns,
            frame,
            refused: BTreeMap::new(),
            names,
            text,
        })
    }

    /// A fault at its statement.
    pub fn fault(&self, message: impl Into<String>) -> Fault {
        Fault { position: self.position, ..Fault::new(&self.place, message) }
    }

    /// A fault at its `@roles`.
    pub(crate) fn roles_fault(&self, message: impl Into<String>) -> Fault {
        Fault { position: self.roles_position, ..Fault::new(&self.place, message) }
    }

    /// The defaults of parameters that only PostgreSQL can check, by type and text, each with the fault if it is refused.
    pub(crate) fn untried_defaults(&self) -> Vec<(u32, String, Fault)> {
        let untried = self.parameters.iter().filter_map(|parameter| {
            let (value, data_type, text) = parameter.untried_default()?;
            let message = format!("the default {value}");
            let fault = Fault { position: parameter.position, ..Fault::new(&self.place, message) };
            Some((data_type, text, fault))
        });
        untried.collect()
    }

    /// Whether PostgreSQL reports how many rows it writes. If not, functions may write, only PostgreSQL's statistics count the
    /// rows, and a rollback may not undo everything.
    pub(crate) fn is_counted(&self) -> bool {
        matches!(self.text, Text::Fixed { verb: Verb::Change(_), .. })
    }

    /// Whether it only deletes rows, so that those which it returns are gone.
    pub(crate) fn removes(&self) -> bool {
        let Text::Fixed { verb: Verb::Change(actions), .. } = &self.text else { return false };
        actions.iter().all(|action| action == Action::Delete)
    }

    /// Whether it needs the user's confirmation for this role: its header says so, or it may be an action that the role has to
    /// confirm.
    pub fn confirms(&self, role: &Role) -> bool {
        let may = |action| match (&self.text, self.additive) {
            (_, true) => action == Action::Insert,
            (Text::Fixed { verb: Verb::Change(actions), .. }, false) => actions.contains(action),
            (_, false) => true,
        };
        self.writes && (self.confirm || role.confirm.iter().any(may))
    }

    /// Whether it is a statement of a file, not a function.
    pub(crate) fn is_statement(&self) -> bool {
        matches!(self.text, Text::Fixed { .. })
    }

    /// The names of its columns that show an untrusted column of a table unchanged.
    pub fn untrusted(&self, view: &View) -> Vec<String> {
        self.marked(view, |marks| marks.untrusted).map(|(column, _)| column.to_owned()).collect()
    }

    /// The names of its columns that show a sensitive column of a table unchanged, followed by that column's name in parentheses
    /// if it is a different one.
    pub fn sensitive(&self, view: &View) -> Vec<String> {
        let told = |(name, of): (&str, &str)| match name == of {
            true => name.to_owned(),
            false => format!("{name} ({of})"),
        };
        self.marked(view, |marks| marks.sensitive).map(told).collect()
    }

    fn marked<'q>(
        &'q self,
        view: &View,
        wanted: fn(Marks) -> bool,
    ) -> impl Iterator<Item = (&'q str, &'q str)> {
        self.columns.iter().filter_map(move |column| {
            let of = column.origin.as_ref()?;
            let marked = wanted(view.marks_of(&of.table, &of.column));
            marked.then_some((column.name.as_str(), of.column.as_str()))
        })
    }

    /// The names of its columns and parameters that stand for a column of a table, with that column's name: columns that show it
    /// unchanged, and parameters that are compared with it.
    pub fn meant(&self) -> impl Iterator<Item = (&str, &str)> {
        let shown = self.columns.iter().filter_map(|column| {
            let of = column.origin.as_ref()?;
            Some((column.name.as_str(), of.column.as_str()))
        });
        let compared = self.parameters.iter().flat_map(|parameter| {
            let columns = parameter.compared().iter();
            columns.map(|column| (parameter.name.as_str(), column.as_str()))
        });
        shown.chain(compared)
    }

    /// The names of its columns.
    pub(crate) fn column_names(&self) -> Arc<[String]> {
        Arc::clone(&self.column_names)
    }

    /// Whether its rows have columns.
    pub(crate) fn has_columns(&self) -> bool {
        !self.columns.is_empty()
    }

    /// The statement for a call. A list may have at most `list_most` items.
    ///
    /// # Errors
    ///
    /// `unknown_argument`, `missing_value`, `invalid_value` or `limit_exceeded`, with its place.
    pub fn statement(
        &self,
        arguments: &Map<String, Value>,
        claims: &Map<String, Value>,
        list_most: usize,
    ) -> Result<Statement<'_>> {
        if let Some(unknown) = arguments.keys().find(|name| !self.knows(name)) {
            return Err(Error::new(
                Code::UnknownArgument,
                format!("{} has no argument {unknown:?}", self.name),
            )
            .at(step(unknown))
            .nearest(unknown, self.arguments())
            .allowed(self.arguments()));
        }
        let mut values = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let value = parameter.value(arguments, claims, list_most)?;
            values.push(value.map(|text| match parameter.is_argument() {
                true => Operand::argument(text, step(&parameter.name)),
                false => Operand::own(text),
            }));
        }
        let sql = match &self.text {
            Text::Fixed { sql, .. } => Arc::clone(sql),
            Text::Call(call) => {
                if call.by_position()
                    && let Some(gap) = values.iter().position(Option::is_none)
                    && values.iter().skip(gap).any(Option::is_some)
                    && let Some(parameter) = self.parameters.get(gap)
                {
                    let message = format!("{} is required before those after it", parameter.name);
                    return Err(Error::new(Code::MissingValue, message).at(step(&parameter.name)));
                }
                let sql = call.statement(|input| matches!(values.get(input), Some(Some(_))));
                framed(self.frame.as_ref(), sql).into()
            }
        };
        Ok(Statement {
            sql,
            parameters: values.into_iter().flatten().collect(),
            outputs: self
                .columns
                .iter()
                .map(|column| Output::value(&column.name, &column.decoder))
                .collect(),
            recurring: true,
            named: self.frame.is_none(),
        })
    }

    /// The statement with all parameters given.
    pub fn sent(&self) -> String {
        match &self.text {
            Text::Fixed { sql, .. } => sql.to_string(),
            Text::Call(call) => framed(self.frame.as_ref(), call.statement(|_| true)),
        }
    }

    /// What explains the statement, and the number of its parameters; nothing explains a function or CALL.
    pub(crate) fn explained(&self) -> Option<(String, usize)> {
        match &self.text {
            Text::Fixed { sql, verb, .. } if *verb != Verb::Call => {
                Some((format!("EXPLAIN {sql}"), self.parameters.len()))
            }
            _ => None,
        }
    }

    /// The names of its arguments.
    pub fn arguments(&self) -> impl Iterator<Item = &str> {
        let own = self.parameters.iter().filter(|parameter| parameter.is_argument());
        own.map(|parameter| parameter.name.as_str()).chain(self.write_arguments())
    }

    /// The arguments that every write has.
    pub(super) fn write_arguments(&self) -> impl Iterator<Item = &str> {
        let (writes, bound) = (self.writes, self.max_rows.is_some() || !self.is_statement());
        WRITE_ARGUMENTS.into_iter().filter(move |name| writes && !(bound && *name == "max_rows"))
    }

    fn knows(&self, name: &str) -> bool {
        self.arguments().any(|known| known == name)
    }
}

fn framed(frame: Option<&Frame>, sql: String) -> String {
    match frame {
        Some(frame) => frame.around(&sql),
        None => sql,
    }
}

fn parameters(source: &Source, described: &Described) -> Result<Vec<Parameter>, Fault> {
    let wanted: Vec<(Input<'_>, &[String])> = match &source.body {
        Body::Statement(sql) => {
            let input = |name| Input { name, default: false, nullable: false };
            let used = sql.parameters.iter();
            used.map(|used| (input(used.name.as_str()), used.compared.as_slice())).collect()
        }
        Body::Function(call) => call.inputs().map(|input| (input, &[][..])).collect(),
    };
    let mut parameters = Vec::with_capacity(wanted.len());
    for ((input, compared), data_type) in wanted.into_iter().zip(&described.parameters) {
        let (name, data_type) = (input.name, Arc::clone(data_type));
        let declared = source.declared(name);
        let mut parameter = Parameter::new(input, data_type, declared, compared.to_vec())
            .map_err(|message| source.parameter_fault(name, message))?;
        parameter.position = source.parameter_fault(name, "").position;
        if source.header.writes && parameter.is_argument() && WRITE_ARGUMENTS.contains(&name) {
            let message = format!("every query that writes has an argument {name} of its own");
            return Err(source.parameter_fault(name, message));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

/// A digest of everything about the query that a caller can see.
fn digest(source: &Source, described: &Described, parameters: &[Parameter]) -> u64 {
    let mut hasher = DefaultHasher::new();
    (&source.name, &source.text, source.statement()).hash(&mut hasher);
    for DescribedColumn { name, data_type, .. } in &described.columns {
        (name, &data_type.name).hash(&mut hasher);
    }
    for parameter in parameters {
        (&parameter.name, &parameter.data_type).hash(&mut hasher);
    }
    // Some properties of a function are not in its comment: whether it writes, its defaults, and who may execute it.
    if let Body::Function(call) = &source.body {
        call.hash(&mut hasher);
    }
    hasher.finish()
}
