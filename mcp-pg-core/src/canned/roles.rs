//! The roles that have a canned query.

use std::collections::BTreeSet;

use super::fault::Fault;
use super::query::{Query, Text};
use crate::policy::{Action, Role};

impl Query {
    /// Whether the role has the tool.
    ///
    /// If the header names no roles, those have it for which it adds nothing: they may read all tables without restriction and, if
    /// it writes, also insert and update.
    pub fn is_for(&self, role: &Role) -> bool {
        self.is_meant_for(role)
            && match &self.text {
                Text::Fixed { .. } => !self.refused.contains_key(&role.database_role),
                Text::Call(call) => call.executable_by().contains(&role.database_role),
            }
    }

    /// Whether the role would have the tool if it had the rights on the function, or on what the query reads and writes.
    pub(crate) fn is_meant_for(&self, role: &Role) -> bool {
        match &self.roles {
            Some(roles) => roles.contains(&role.name),
            None => {
                role.is_unrestricted(Action::Select)
                    && (!self.writes
                        || role.is_unrestricted(Action::Insert)
                            && role.is_unrestricted(Action::Update))
            }
        }
    }

    /// Of each role that would have the query, but may not run it, a fault with PostgreSQL's message.
    pub(crate) fn refusals(&self, roles: &[Role]) -> Vec<Fault> {
        let meant = roles.iter().filter(|role| self.is_meant_for(role));
        let refused = meant.filter_map(|role| Some((role, self.refused.get(&role.database_role)?)));
        let told = |(role, message): (&Role, &String)| {
            self.fault(format!("roles.{} may not run it: {message}", role.name))
        };
        refused.map(told).collect()
    }

    /// That these roles, if there are any, may not call the function, and what would let them.
    pub(crate) fn barred<'r>(&self, roles: impl Iterator<Item = &'r Role>) -> Option<String> {
        let (mut names, mut grantees) = (Vec::new(), BTreeSet::new());
        for role in roles {
            names.push(format!("roles.{}", role.name));
            grantees.insert(role.database_role.as_deref().unwrap_or("the login"));
        }
        let (names, grantees) = (names.join(", "), Vec::from_iter(grantees).join(", "));
        (!names.is_empty()).then(|| {
            format!(
                "{names} may not call it: GRANT EXECUTE ON ROUTINE {} TO {grantees}, and USAGE on its schema",
                self.place
            )
        })
    }
}
