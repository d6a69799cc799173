//! Names of schemas in the settings that the database's encoding cannot hold.

use crate::error::{Code, Error};
use crate::execute::Database;
use crate::policy::Settings;

/// PostgreSQL's SQLSTATE for a character that the other encoding lacks.
const UNTRANSLATABLE: &str = "22P05";

/// The error of comparing the catalogue. If a schema is to blame, the key in the configuration that names it.
pub(super) async fn unnameable(database: &Database, settings: &Settings, error: Error) -> Error {
    if error.get_sqlstate() != Some(UNTRANSLATABLE) {
        return error;
    }
    let schemas = settings.schemas.iter().map(|name| ("database.schemas", name));
    let functions = settings.queries.functions.iter().map(|name| ("queries.functions", name));
    for (key, name) in schemas.chain(functions) {
        let alone = database.signature(std::slice::from_ref(name), None).await;
        if alone.is_err_and(|error| error.get_sqlstate() == Some(UNTRANSLATABLE)) {
            let encoding = "SELECT pg_catalog.current_setting('server_encoding')";
            let encoding = database.column(encoding).await.unwrap_or_default().join("");
            let message = format!(
                "{key}: there is no schema {name:?}: the database's encoding, {encoding}, lacks a character of it"
            );
            return Error::new(Code::InvalidValue, message);
        }
    }
    error
}
