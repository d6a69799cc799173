//! What the engine knows at one moment: the settings, the schema as each database role sees it, the views made from
//! both so far, and the canned queries. It is never changed, only replaced, so each call sees a consistent state.

mod canned;
mod reload;
mod unnameable;
mod waiting;
mod watch;

pub use watch::Change;

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::OwnedMutexGuard;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use crate::error::{Code, Error, Result};
use crate::execute::{Database, unassumable};
use crate::plan::Misfit;
use crate::policy::{Principal, Role, Settings, Unfit, View};
use crate::schema::{Schema, Signature};
use canned::Canned;
use unnameable::unnameable;

/// The interval at which a replaced catalogue is checked for remaining calls.
const RETIRING: Duration = Duration::from_millis(100);

pub(in crate::engine) struct Catalogue {
    pub(in crate::engine) settings: Arc<Settings>,
    pub(in crate::engine) canned: Canned,
    /// When reading it began.
    begun: Instant,
    /// Read shortly before the catalogue.
    pub(in crate::engine) signature: Signature,
    /// The schema as each database role sees it; `None` is the login.
    schemas: HashMap<Option<String>, Seen>,
    /// The database roles that the login cannot become, with PostgreSQL's reasons.
    unassumed: BTreeMap<String, String>,
    /// One view for each role of the settings, made at its first use.
    views: Vec<OnceLock<Arc<View>>>,
    /// The grants of each role that do not fit.
    unfit: Vec<Unfit>,
}

/// The schema that a database role sees.
struct Seen {
    schema: Arc<Schema>,
    /// All of it as a view, for the row conditions of grants.
    everything: OnceLock<Arc<View>>,
}

impl Seen {
    /// The role's grants that do not fit the schema, each of which is logged as a warning, or added to `faults`, which may be
    /// the same for several roles.
    fn unfit(&self, role: &Role, settings: &Settings, faults: &mut BTreeSet<String>) -> Unfit {
        let mut unfit = Unfit::default();
        faults.extend(role.too_late(&self.schema));
        faults.extend(unfit.bar_without_columns(role, &self.schema, settings));
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
    /// Reads the catalogue. Canned queries with a fault keep their version in `before`.
    pub(in crate::engine) async fn read(
        database: &Database,
        settings: Arc<Settings>,
        before: Option<&Catalogue>,
    ) -> Result<Self> {
        let begun = Instant::now();
        // Read first, so that every later change is noticed, even if some are noticed twice.
        let signature = match database.signature(&settings.watched_schemas(), None).await {
            Err(error) => return Err(unnameable(database, &settings, error).await),
            Ok(signature) => signature,
        };
        let mut schemas = HashMap::new();
        let mut unassumed = BTreeMap::new();
        let mut misfits = None;
        // PostgreSQL reports the rights of a role to that role, so the schema is read as each role.
        let roles = settings.roles.iter().map(|role| role.database_role.clone());
        for role in std::iter::once(None).chain(roles) {
            let Entry::Vacant(place) = schemas.entry(role) else { continue };
            if let Some(role) = place.key()
                && let Some(reason) = database.role_refused(role).await?
            {
                // This is a fault of that role alone: the others are served.
                unassumed.insert(role.clone(), reason);
                continue;
            }
            let (schema, misdeclared) =
                read_schema(database, &settings, place.key().as_deref()).await?;
            // A database role may see less than the login, so only the login's faults count, unless the login sees nothing.
            // `check` reports them, too.
            if misfits.is_none() && !schema.tables.is_empty() {
                misfits = Some(misdeclared);
            }
            place.insert(Seen { schema: Arc::new(schema), everything: OnceLock::new() });
        }
        for misfit in misfits.iter().flatten() {
            tracing::warn!("{misfit}");
        }
        let assumed: Vec<Option<String>> = schemas.keys().cloned().collect();
        let canned = before.map(|before| &before.canned);
        let canned = Canned::read(database, &settings, &assumed, canned).await?;
        let views = settings.roles.iter().map(|_| OnceLock::new()).collect();
        let mut faults = BTreeSet::new();
        let unfit = settings.roles.iter().map(|role| {
            let seen = schemas.get(&role.database_role);
            seen.map(|seen| seen.unfit(role, &settings, &mut faults)).unwrap_or_default()
        });
        let unfit = unfit.collect();
        faults.extend(without_tables(&settings, schemas.values().map(|seen| &*seen.schema)));
        faults.iter().for_each(|fault| tracing::warn!("{fault}"));
        let read = Self { settings, canned, begun, signature, schemas, unassumed, views, unfit };
        read.tell_unassumed(before);
        Ok(read)
    }

    /// Logs the database roles that the login cannot become, unless it could not before, either.
    fn tell_unassumed(&self, before: Option<&Self>) {
        for role in &self.settings.roles {
            let known = before.and_then(|before| before.unassumed(role));
            if let Some(reason) = self.unassumed(role).filter(|_| known.is_none()) {
                tracing::error!("{reason}; until it can, calls of the role are refused");
            }
        }
    }

    /// Why the login cannot become the role's database role, as a sentence that begins with the key in the configuration;
    /// `None` if it can.
    pub(in crate::engine) fn unassumed(&self, role: &Role) -> Option<String> {
        let name = role.database_role.as_ref()?;
        let reason = self.unassumed.get(name)?;
        Some(format!(
            "roles.{}.database_role: the login cannot become {name:?}: {reason}; setup-sql prints what it takes",
            role.name
        ))
    }

    /// Whether the login cannot become a database role of a caller, or a canned query could not be described for now.
    pub(in crate::engine) fn is_partial(&self) -> bool {
        !self.unassumed.is_empty() || self.canned.waits()
    }

    /// Whether a database role or a canned query can be used that could not be when this was read.
    pub(in crate::engine) async fn can_be_completed(&self, database: &Database) -> bool {
        for role in self.unassumed.keys() {
            if matches!(database.role_refused(role).await, Ok(None)) {
                return true;
            }
        }
        self.canned.waits_no_more(database).await
    }

    /// [`Catalogue::read`] in a thread of its own, including the views that `before` has: for a large schema this
    /// takes many milliseconds, in which the runtime's threads should serve calls. The thread reads to the end even if the
    /// caller gives up, so it holds `alone` as well: however many give up, one reads at a time.
    pub(in crate::engine) async fn read_beside(
        database: Database,
        settings: Arc<Settings>,
        before: Arc<Self>,
        alone: Arc<OwnedMutexGuard<()>>,
    ) -> Result<Self> {
        let runtime = Handle::current();
        let reading = spawn_blocking(move || {
            let _alone = alone;
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

    /// Drops the catalogue in a thread of its own, once the calls that use it have ended.
    pub(in crate::engine) async fn retire(mut self: Arc<Self>) {
        while let Err(used) = Arc::try_unwrap(self).map(|unused| spawn_blocking(|| drop(unused))) {
            self = used;
            sleep(RETIRING).await;
        }
    }

    /// The schema that the login sees.
    pub(in crate::engine) fn schema(&self) -> Arc<Schema> {
        self.schemas.get(&None).map(|seen| Arc::clone(&seen.schema)).unwrap_or_default()
    }

    /// The schema that the database role of these callers sees, or the login if they have none or it cannot become it.
    pub(in crate::engine) fn schema_of(&self, role: &Role) -> Arc<Schema> {
        let seen = self.schemas.get(&role.database_role);
        seen.map_or_else(|| self.schema(), |seen| Arc::clone(&seen.schema))
    }

    /// The schemas of all database roles, the login's first.
    pub(in crate::engine) fn schemas(&self) -> Vec<&Schema> {
        let roles = self.schemas.iter().filter(|(role, _)| role.is_some()).map(|(_, seen)| seen);
        self.schemas.get(&None).into_iter().chain(roles).map(|seen| &*seen.schema).collect()
    }

    /// The callers' database roles, each with the schema that it sees.
    pub(in crate::engine) fn of_database_roles(&self) -> Vec<(&str, &Schema)> {
        self.schemas
            .iter()
            .filter_map(|(role, seen)| Some((role.as_deref()?, &*seen.schema)))
            .collect()
    }

    /// The view of the caller's role.
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
        // The schema is read for every database role that the login can become.
        let seen = self.schemas.get(&role.database_role).ok_or_else(unassumable)?;
        let Seen { schema, everything } = seen;
        let made = || Arc::new(View::sharing(everything, schema, role, &self.settings, unfit));
        Ok(Arc::clone(view.get_or_init(made)))
    }

    /// Makes the views that `before` has.
    fn prepare(&self, before: &Self) {
        let made = before.settings.roles.iter().zip(&before.views);
        for (role, _) in made.filter(|(_, view)| view.get().is_some()) {
            // A removed role has no view.
            let _ = self.view(&Principal::new("", &role.name));
        }
    }

    /// Whether every role has the same settings, tables and tools as in `other`.
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

/// The columns to be encrypted whose table is in none of the schemas, each as a sentence.
fn without_tables<'s>(
    settings: &'s Settings,
    schemas: impl Iterator<Item = &'s Schema> + Clone,
) -> impl Iterator<Item = String> {
    let is_known = move |name: &str| {
        let mut tables = schemas.clone().flat_map(|schema| &schema.tables);
        tables.any(|table| name.starts_with(&format!("{}.", table.name)))
    };
    let gone = settings.encryption.columns.iter().filter(move |name| !is_known(name));
    gone.map(|name| {
        format!("encryption.columns: there is no table of {name}; under another name, it is not encrypted")
    })
}

/// The schema as a database role sees it, or the login, without what callers are never served; and the declared relations that do
/// not fit it.
async fn read_schema(
    database: &Database,
    settings: &Settings,
    role: Option<&str>,
) -> Result<(Schema, Vec<String>)> {
    let schema = database.schema(&settings.schemas, role).await?;
    let schema = schema.obeying(&settings.comments.owners);
    // Callers may neither write to the audit table nor read it.
    let schema = match &settings.audit.table {
        Some(audit) => schema.without(audit),
        None => schema,
    };
    Ok(schema.declaring(&settings.relations))
}
