//! Functions and procedures that callers use as tools, with their arguments.

use crate::name::TableName;

/// A function or procedure with a comment, and the roles that may call it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Routine {
    /// The schema's name.
    pub schema: String,
    /// The routine's name; several may share it.
    pub name: String,
    /// The arguments as `pg_get_function_identity_arguments` prints them.
    pub identity: String,
    /// Whether it is a procedure, run by CALL.
    pub procedure: bool,
    /// Whether it may write: it is neither STABLE nor IMMUTABLE.
    pub volatile: bool,
    /// Whether it is STRICT: not called if an argument is null.
    pub strict: bool,
    /// Whether it returns `record` without OUT columns, so that only a column definition list in the call names them.
    pub untyped: bool,
    /// Whether it can be no tool: an aggregate, a window function or a trigger function.
    pub uncallable: bool,
    /// The table or view whose rows it returns, and the names of their columns, in order.
    pub rows: Option<(TableName, Vec<String>)>,
    /// The arguments in order, without the columns of RETURNS TABLE.
    pub arguments: Vec<Argument>,
    /// The whole COMMENT.
    pub comment: String,
    /// The owner.
    pub owner: String,
    /// Whether the owner is also the owner of the schema or of the database, a superuser, or the login.
    pub vouched_for: bool,
    /// Those of the requested database roles that may call it; `None` is the login.
    pub executable_by: Vec<Option<String>>,
}

/// An argument of a [`Routine`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Argument {
    /// The name; `arg1`, `arg2`, … for arguments without one.
    pub name: String,
    /// Whether the argument has a name.
    pub named: bool,
    /// The type, as `format_type` prints it.
    pub type_name: String,
    /// Whether the type is a pseudo-type such as `anyelement`, which no value has.
    pub pseudo: bool,
    /// The direction.
    pub mode: ArgumentMode,
    /// Whether it has a default.
    pub default: bool,
    /// The default, as `pg_get_function_arg_default` prints it.
    pub expression: Option<String>,
}

/// The direction of an [`Argument`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArgumentMode {
    /// IN or INOUT.
    In,
    /// OUT.
    Out,
    /// VARIADIC: the last argument, an array.
    Variadic,
}

impl Routine {
    /// `schema.name(integer, text)`
    pub fn signature(&self) -> String {
        format!("{}.{}({})", self.schema, self.name, self.identity)
    }
}
