//! Functions and procedures, as lists show them.

/// A function or procedure that the login may call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// The schema's name.
    pub schema: String,
    /// The function's name; several may share it.
    pub name: String,
    /// The arguments as `pg_get_function_identity_arguments` prints them. They distinguish overloads.
    pub arguments: String,
    /// The result type; `None` for a procedure.
    pub result: Option<String>,
    /// The COMMENT, shortened and without control characters. It is text that others wrote.
    pub comment: Option<String>,
}
