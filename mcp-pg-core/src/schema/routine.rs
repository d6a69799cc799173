//! Functions and procedures as something to call: their arguments, one by one.

/// A function or procedure with a comment, and who may call it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Routine {
    /// The schema's name.
    pub schema: String,
    /// The routine's name; several may share it.
    pub name: String,
    /// The arguments as `pg_get_function_identity_arguments` prints them.
    pub identity: String,
    /// A procedure, which CALL runs.
    pub procedure: bool,
    /// It may write: neither STABLE nor IMMUTABLE.
    pub volatile: bool,
    /// It is not called where an argument is null.
    pub strict: bool,
    /// It returns rows whose columns only the caller could name.
    pub untyped: bool,
    /// The arguments, in order, without the columns of RETURNS TABLE.
    pub arguments: Vec<Argument>,
    /// The COMMENT, whole.
    pub comment: String,
    /// The role that owns it.
    pub owner: String,
    /// That is the owner of its schema or of the database, a superuser, or the login.
    pub vouched_for: bool,
    /// The database roles, of those asked about, that may call it; `None` is the login.
    pub executable_by: Vec<Option<String>>,
}

/// An argument of a [`Routine`].
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Argument {
    /// The name; `arg1` for the first if it has none.
    pub name: String,
    /// Whether the name is its own.
    pub named: bool,
    /// The type, as `format_type` prints it.
    pub type_name: String,
    /// Whether the type stands for others (anyelement), so that no value is of it.
    pub pseudo: bool,
    /// Which way it goes.
    pub mode: ArgumentMode,
    /// Whether it may be left out.
    pub default: bool,
    /// What it is then, as `pg_get_function_arg_default` prints it.
    pub expression: Option<String>,
}

/// Which way an [`Argument`] goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ArgumentMode {
    /// IN or INOUT.
    In,
    /// OUT.
    Out,
    /// VARIADIC: an array.
    Variadic,
}

impl Routine {
    /// `schema.name(integer, text)`
    pub fn signature(&self) -> String {
        format!("{}.{}({})", self.schema, self.name, self.identity)
    }
}
