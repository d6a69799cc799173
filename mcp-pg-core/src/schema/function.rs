//! Functions and procedures: what they are called with and what people wrote of them.

/// A function or procedure that the login may call.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Function {
    /// The schema's name.
    pub schema: String,
    /// The function's name; several may share it.
    pub name: String,
    /// The arguments as `pg_get_function_identity_arguments` prints them: what tells overloads apart.
    pub arguments: String,
    /// What it returns; `None` for a procedure.
    pub result: Option<String>,
    /// The COMMENT, bounded and without control characters: other people's text.
    pub comment: Option<String>,
}
