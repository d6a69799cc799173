//! Rights that canned queries need and that PostgreSQL does not give to their roles.

use crate::engine::Engine;
use crate::error::Result;

impl Engine {
    /// Tries, in transactions that are rolled back, whether each role may run the canned queries that it has, and call the functions
    /// whose `@roles` name it. Returns what PostgreSQL refuses, each finding as a sentence that begins with the query's place.
    ///
    /// A query is not run but explained. CALL cannot be, nor is known what a function needs beyond EXECUTE.
    ///
    /// # Errors
    ///
    /// `database_unavailable`.
    pub async fn refused_queries(&self) -> Result<Vec<String>> {
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
            let Some(explain) = query.explained() else { continue };
            for role in roles.iter().filter(|role| query.is_for(role)) {
                let message =
                    self.database.right_refused(role.database_role.as_deref(), &explain).await?;
                refused.extend(message.map(|message| {
                    query
                        .fault(format!("roles.{} may not run it: {message}", role.name))
                        .to_string()
                }));
            }
        }
        Ok(refused)
    }
}
