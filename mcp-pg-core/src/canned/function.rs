//! Calls of functions and procedures: arguments are passed by name, and those with a default may be left out.

use super::fault::Fault;
use super::header::{self, Line};
use super::source::{Body, Source, check_name};
use crate::name::quoted;
use crate::schema::{ArgumentMode, ColumnOrigin, Routine};

/// A call, before it is known which arguments are given.
#[derive(Debug, Hash)]
pub struct Call {
    routine: Box<Routine>,
}

/// An input argument.
#[derive(Debug, Clone, Copy)]
pub(super) struct Input<'r> {
    /// The argument's name; `arg1`, `arg2`, … if it has none.
    pub(super) name: &'r str,
    /// Whether the function has a default for it.
    pub(super) default: bool,
    /// Whether null is a value of its own, rather than an argument that is not given.
    pub(super) nullable: bool,
}

impl Source {
    /// Reads a routine, if its comment marks it as a tool. `owners` may make tools in addition to the trusted owners
    /// of [`Routine`].
    ///
    /// # Errors
    ///
    /// Errors in its comment, and arguments or results that callers could not give or read.
    pub(crate) fn of_routine(routine: Routine, owners: &[String]) -> Result<Option<Self>, Fault> {
        let text = routine.comment.clone();
        let place = routine.signature();
        let mut offset = 0;
        let lines = text.split('\n').map(|line| {
            let here = Line { text: line, offset };
            offset += line.len() + 1;
            here
        });
        let trusted = routine.vouched_for || owners.contains(&routine.owner);
        let mut header = match header::read(lines) {
            Ok(header) if trusted || header.tool.is_none() => header,
            _ if !trusted => return Err(distrusted(&routine)),
            Ok(header) => header,
            Err(wrong) => return Err(Fault::new(&place, wrong.message).at(&text, wrong.offset)),
        };
        let Some(named) = header.tool.take() else { return Ok(None) };
        let name = named.unwrap_or_else(|| routine.name.clone());
        check_name(&name).map_err(|message| Fault::new(&place, message))?;
        if routine.uncallable {
            let message = "an aggregate, a window function or a trigger function cannot be called";
            return Err(Fault::new(&place, message));
        }
        if let Some(argument) = routine.arguments.iter().find(|argument| argument.pseudo) {
            let type_name = &argument.type_name;
            return Err(Fault::new(&place, format!("{type_name} is no type that JSON can give")));
        }
        if routine.untyped {
            let message = "it returns record without declaring its columns: use RETURNS TABLE";
            return Err(Fault::new(&place, message));
        }
        header.writes = routine.volatile;
        if let Some(message) = header.contradiction() {
            return Err(Fault::new(&place, message));
        }
        let call = Call { routine: Box::new(routine) };
        for declared in &header.parameters {
            if !call.inputs().any(|input| input.name == declared.name) {
                let message = format!("there is no argument {}", declared.name);
                return Err(Fault::new(&place, message).at(&text, declared.offset));
            }
            if declared.type_name.is_some() {
                let message = "the function defines the type: write @param NAME: description";
                return Err(Fault::new(&place, message).at(&text, declared.offset));
            }
        }
        Ok(Some(Self { name, place, body: Body::Function(call), header, text }))
    }

    /// The column of a table that has this position in the rows, if the source is a function that returns rows of the table.
    pub(super) fn row_column(&self, position: usize) -> Option<ColumnOrigin> {
        let Body::Function(call) = &self.body else { return None };
        let (table, columns) = call.routine.rows.as_ref()?;
        let (table, column) = (table.clone(), columns.get(position)?.clone());
        Some(ColumnOrigin { table, column, defaulted: false, ancestors: Vec::new() })
    }

    /// Distinguishes the tools of overloaded routines by adding their arguments to the name; where these have the same
    /// names, too, with their types.
    pub(crate) fn tell_apart(sources: &mut [Self]) {
        let names: Vec<String> = sources.iter().map(|source| source.name.clone()).collect();
        // A tool with an explicit name does not take the routine's name.
        let own = sources.iter().filter(|source| source.has_own_name());
        let own: Vec<String> = own.map(|source| source.name.clone()).collect();
        let is_overloaded = |source: &Self| {
            source.has_own_name() && own.iter().filter(|name| **name == source.name).count() > 1
        };
        let forms = sources.iter().filter(|source| is_overloaded(source));
        let forms: Vec<String> =
            forms.filter_map(|source| source.name_with_inputs(false)).collect();
        for source in sources.iter_mut().filter(|source| is_overloaded(source)) {
            let alike = |form: &String| forms.iter().filter(|other| *other == form).count() > 1;
            let form = source.name_with_inputs(false);
            let name = match form.as_ref().is_some_and(alike) {
                true => source.name_with_inputs(true),
                false => form,
            };
            let free = name.filter(|name| !names.contains(name) && check_name(name).is_ok());
            if let Some(name) = free {
                source.name = name;
            }
        }
        sources.sort_by_key(|source| !source.has_own_name());
    }

    /// The name of a routine's tool, followed by its arguments' names and possibly `typed`.
    fn name_with_inputs(&self, typed: bool) -> Option<String> {
        let Body::Function(call) = &self.body else { return None };
        let mut name = self.name.clone();
        let arguments = call.routine.arguments.iter();
        for argument in arguments.filter(|argument| argument.mode != ArgumentMode::Out) {
            name.push('_');
            name.push_str(&argument.name);
            if typed {
                name.push('_');
                name.extend(argument.type_name.chars().map(|letter| match letter {
                    letter if letter.is_ascii_alphanumeric() => letter.to_ascii_lowercase(),
                    _ => '_',
                }));
            }
        }
        Some(name)
    }

    /// Whether the tool has the name of its routine.
    fn has_own_name(&self) -> bool {
        matches!(&self.body, Body::Function(call) if call.routine.name == self.name)
    }
}

/// The fault of a routine that is marked as a tool, but whose owner is not trusted. It is not a fault of the comment:
/// an earlier version of the tool is not served on.
fn distrusted(routine: &Routine) -> Fault {
    let message = format!(
        "{} says @tool and has no effect: {}, who owns it, is not named, and owns neither schema nor database",
        routine.signature(),
        routine.owner
    );
    Fault::new("comments.owners", message)
}

impl Call {
    /// The input arguments, in order.
    pub(super) fn inputs(&self) -> impl Iterator<Item = Input<'_>> {
        self.routine.arguments.iter().filter(|argument| argument.mode != ArgumentMode::Out).map(
            |argument| Input {
                name: &argument.name,
                default: argument.default,
                nullable: !self.routine.strict,
            },
        )
    }

    /// Whether it is a procedure.
    pub(super) fn procedure(&self) -> bool {
        self.routine.procedure
    }

    /// The database roles that may call it; `None` is the login.
    pub(super) fn executable_by(&self) -> &[Option<String>] {
        &self.routine.executable_by
    }

    /// The call with the inputs that are `given` (by position).
    pub(super) fn statement(&self, given: impl Fn(usize) -> bool) -> String {
        let routine = &self.routine;
        let mut list = Vec::new();
        let (mut input, mut number) = (0, 0);
        // An argument without a name is passed by position.
        let by_name = !self.by_position();
        let inputs = self.inputs().count();
        // PostgreSQL does not find a VARIADIC function if some arguments are left out, so they are passed as their
        // defaults.
        let whole =
            routine.arguments.iter().any(|argument| argument.mode == ArgumentMode::Variadic)
                && (0..inputs).any(&given);
        for argument in &routine.arguments {
            let label =
                if by_name { format!("{} => ", quoted(&argument.name)) } else { String::new() };
            if argument.mode == ArgumentMode::Out {
                if routine.procedure {
                    list.push(format!("{label}NULL"));
                }
                continue;
            }
            input += 1;
            let variadic = if argument.mode == ArgumentMode::Variadic { "VARIADIC " } else { "" };
            if !given(input - 1) {
                let expression = argument.expression.as_ref().filter(|_| whole);
                list.extend(expression.map(|default| format!("{variadic}{label}({default})")));
                continue;
            }
            number += 1;
            list.push(format!("{variadic}{label}(${number}::{})", argument.type_name));
        }
        let verb = if routine.procedure { "CALL" } else { "SELECT * FROM" };
        let (schema, name) = (quoted(&routine.schema), quoted(&routine.name));
        format!("{verb} {schema}.{name}({})", list.join(", "))
    }

    /// Whether any input is passed by position, so that those before it must be given, too.
    pub(super) fn by_position(&self) -> bool {
        !self.routine.arguments.iter().all(|argument| argument.named)
    }
}
