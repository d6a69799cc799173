//! The scope of planning: the caller's view, the settings, and earlier operations.

use serde_json::Value;

use super::Earlier;
use crate::error::{Error, Result};
use crate::policy::{Action, Principal, Settings, TableView, View};
use crate::request::Archived;

/// Everything that a plan depends on besides the request.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'v> {
    /// The schema as the caller's role sees it.
    pub view: &'v View,
    /// The settings.
    pub settings: &'v Settings,
    /// The caller.
    pub caller: &'v Principal,
    /// The earlier operations in the same transaction, which `$ref` can refer to.
    pub earlier: &'v [Earlier<'v>],
    /// Whether related rows are archived ones, others, or both.
    pub related: Archived,
    /// Whether a grant of the role is planned, and not arguments: its values have no place in them.
    pub of_grant: bool,
}

impl<'v> Scope<'v> {
    /// The scope of a single request.
    pub fn new(view: &'v View, settings: &'v Settings, caller: &'v Principal) -> Self {
        Self { view, settings, caller, earlier: &[], related: Archived::Exclude, of_grant: false }
    }

    /// The table that a request names.
    ///
    /// # Errors
    ///
    /// `unknown_table`; `forbidden` or `not_archivable` if the role may not do `action` there.
    pub fn table(&self, name: &str, action: Action) -> Result<&'v TableView> {
        let table = self.view.table(name).map_err(|error| error.inside("/table"))?;
        table.require(action)?;
        Ok(table)
    }

    /// Refuses too many items of a kind.
    pub(super) fn few(&self, count: usize, what: &str, at: &str) -> Result<()> {
        let most = self.view.limits.max_keys;
        if count <= most {
            return Ok(());
        }
        let message = format!("a request may have at most {most} {what}, not {count}");
        Err(Error::exceeded("max_keys", message).at(at))
    }

    /// Refuses a list with too many values.
    pub(super) fn short(&self, value: &Value, at: &str) -> Result<()> {
        let most = self.view.limits.max_list;
        match value.as_array().map(Vec::len) {
            Some(length) if length > most => {
                let message = format!("a list may have at most {most} values, not {length}");
                Err(Error::exceeded("max_list", message).at(at))
            }
            _ => Ok(()),
        }
    }
}
