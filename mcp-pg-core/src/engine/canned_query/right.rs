//! Rights that canned queries need and that PostgreSQL does not give to their roles.

use crate::engine::Engine;

impl Engine {
    /// The canned queries that PostgreSQL does not let their roles run, and the functions that it does not let those call whom
    /// `@roles` names, each as a sentence that begins with the query's place. These roles do not have the tool.
    pub fn refused_queries(&self) -> Vec<String> {
        let catalogue = self.catalogue.load_full();
        let roles = &catalogue.settings.roles;
        let mut refused = Vec::new();
        for query in catalogue.canned.all() {
            // That nobody may call it is among the faults.
            let called = query.roles.is_some() && roles.iter().any(|role| query.is_for(role));
            let lacking = roles
                .iter()
                .filter(|role| called && query.is_meant_for(role) && !query.is_for(role));
            refused
                .extend(query.barred(lacking).map(|barred| query.roles_fault(barred).to_string()));
            refused.extend(query.refusals(roles).iter().map(ToString::to_string));
        }
        refused
    }
}
