//! What the engine knows at one moment: the settings, the schema as each database role sees it, the views
//! made from both so far, and the canned queries. Never changed, only replaced, so that each call sees a consistent whole.

mod canned;
mod reload;
mod watch;

pub use watch::Change;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::error::{Code, Error, Result};
use crate::execute::Database;
use crate::plan::Misfit;
use crate::policy::{Principal, Role, Settings, Unfit, View};
use crate::schema::{Schema, Signature};
use canned::Canned;

/// How often to look whether calls still use a catalogue that was replaced.
const RETIRING: Duration = Duration::from_millis(100);

pub(in crate::engine) struct Catalogue {
    pub(in crate::engine) settings: Arc<Settings>,
    pub(in crate::engine) canned: Canned,
    /// Of the catalogue shortly before it was read.
    pub(in crate::engine) signature: Signature,
    /// As each database role sees it; none is the login.
    schemas: HashMap<Option<String>, Seen>,
    /// One for each role of the settings, made when it is first asked for.
    views: Vec<OnceLock<Arc<View>>>,
    /// What each of those roles is granted in vain.
    unfit: Vec<Unfit>,
}

/// The schema as a database role sees it.
struct Seen {
    schema: Arc<Schema>,
    /// All of it as a view, for the conditions of grants.
    everything: OnceLock<Arc<View>>,
}

impl Seen {
    /// What the role is granted in vain, with a warning of each.
    fn unfit(&self, role: &Role, settings: &Settings) -> Unfit {
        let mut unfit = Unfit::default();
        if role.grants.iter().all(|grant| grant.rows.is_none() && grant.preset.is_empty()) {
            return unfit;
        }
        let make = || Arc::new(View::everything(&self.schema, settings));
        for misfit in Misfit::of_role(role, self.everything.get_or_init(make), settings) {
            tracing::warn!("{misfit}");
            misfit.bar(&mut unfit);
        }
        unfit
    }
}

impl Catalogue {
    /// Reads all of it; canned queries that have become faulty stay as they were `before`.
    pub(in crate::engine) async fn read(
        database: &Database,
        settings: Arc<Settings>,
        before: Option<&Catalogue>,
    ) -> Result<Self> {
        // First: what changes after this is noticed, if need be twice.
        let signature = database.signature(&settings.watched_schemas(), None).await?;
        let mut schemas = HashMap::new();
        // PostgreSQL tells each role what it may do: that is read as the role itself.
        let roles = settings.roles.iter().map(|role| role.database_role.clone());
        for role in std::iter::once(None).chain(roles) {
            if let Entry::Vacant(place) = schemas.entry(role) {
                let schema = database.schema(&settings.schemas, place.key().as_deref()).await?;
                let schema = schema.obeying(&settings.comments.owners);
                // Nobody may write to the audit's table, or learn from it what others do.
                let schema = match &settings.audit.table {
                    Some(audit) => schema.without(audit),
                    None => schema,
                };
                let (schema, faults) = schema.declaring(&settings.relations);
                // A role may lack what the login has, so only its own faults count; `check` tells them too.
                for fault in faults.iter().filter(|_| place.key().is_none()) {
                    tracing::warn!("{fault}");
                }
                place.insert(Seen { schema: Arc::new(schema), everything: OnceLock::new() });
            }
        }
        let before = before.map(|before| &before.canned);
        let canned = Canned::read(database, &settings, before).await?;
        let views = settings.roles.iter().map(|_| OnceLock::new()).collect();
        let unfit = settings.roles.iter().map(|role| {
            let seen = schemas.get(&role.database_role);
            seen.map(|seen| seen.unfit(role, &settings)).unwrap_or_default()
        });
        let unfit = unfit.collect();
        Ok(Self { settings, signature, canned, schemas, views, unfit })
    }

    /// The same on a thread of its own, with the views that `before` has, so that no call waits for them: a wide
    /// schema is work of many milliseconds, and the runtime's threads belong to the calls.
    pub(in crate::engine) async fn read_beside(
        database: Database,
        settings: Arc<Settings>,
        before: Arc<Self>,
    ) -> Result<Self> {
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            runtime.block_on(async {
                let read = Self::read(&database, settings, Some(&before)).await?;
                read.prepare(&before);
                Ok(read)
            })
        });
        reading.await.unwrap_or_else(|fault| {
            Err(Error::new(Code::Internal, "the schema could not be read").caused_by(fault))
        })
    }

    /// Frees it on a thread of its own, once the calls that began with it are done.
    pub(in crate::engine) async fn retire(mut self: Arc<Self>) {
        while let Err(used) = Arc::try_unwrap(self).map(|unused| spawn_blocking(|| drop(unused))) {
            self = used;
            sleep(RETIRING).await;
        }
    }

    /// The schema as the login sees it.
    pub(in crate::engine) fn schema(&self) -> Arc<Schema> {
        self.schemas.get(&None).map(|seen| Arc::clone(&seen.schema)).unwrap_or_default()
    }

    /// The schema as the database role of these callers sees it, or the login where they have none.
    pub(in crate::engine) fn schema_of(&self, role: &Role) -> Arc<Schema> {
        let seen = self.schemas.get(&role.database_role);
        seen.map(|seen| Arc::clone(&seen.schema)).unwrap_or_default()
    }

    /// The schema as each database role sees it, the login's first.
    pub(in crate::engine) fn schemas(&self) -> Vec<&Schema> {
        let roles = self.schemas.iter().filter(|(role, _)| role.is_some()).map(|(_, seen)| seen);
        self.schemas.get(&None).into_iter().chain(roles).map(|seen| &*seen.schema).collect()
    }

    /// The callers' database roles, and the schema as each sees it.
    pub(in crate::engine) fn of_database_roles(&self) -> Vec<(&str, &Schema)> {
        self.schemas
            .iter()
            .filter_map(|(role, seen)| Some((role.as_deref()?, &*seen.schema)))
            .collect()
    }

    /// The schema as the caller's role sees it.
    pub(in crate::engine) fn view(&self, caller: &Principal) -> Result<Arc<View>> {
        let mut roles = self.settings.roles.iter().zip(&self.views).zip(&self.unfit);
        let known = roles.find(|((role, _), _)| role.name == caller.role);
        let Some(((role, view), unfit)) = known else {
            let message = "this server does not know the caller's role";
            return Err(Error::new(Code::Forbidden, message));
        };
        if let Some(view) = view.get() {
            return Ok(Arc::clone(view));
        }
        let Seen { schema, everything } = self
            .schemas
            .get(&role.database_role)
            .ok_or_else(|| Error::new(Code::Internal, "the role's schema was not read"))?;
        let made = || Arc::new(View::sharing(everything, schema, role, &self.settings, unfit));
        Ok(Arc::clone(view.get_or_init(made)))
    }

    /// Makes the views that `before` has.
    fn prepare(&self, before: &Self) {
        let made = before.settings.roles.iter().zip(&before.views);
        for (role, _) in made.filter(|(_, view)| view.get().is_some()) {
            // A role that is gone has no view.
            let _ = self.view(&Principal::new("", &role.name));
        }
    }

    /// Whether every role finds the same settings, tables and tools as in `other`.
    pub(in crate::engine) fn same(&self, other: &Self) -> bool {
        self.settings == other.settings
            && self.canned.same(&other.canned)
            && self.schemas.len() == other.schemas.len()
            && self.schemas.iter().all(|(role, seen)| {
                let known = other.schemas.get(role);
                known.is_some_and(|known| {
                    known.schema.fingerprint == seen.schema.fingerprint
                        && known.schema.read_only == seen.schema.read_only
                        && known.schema.languages == seen.schema.languages
                })
            })
    }
}
