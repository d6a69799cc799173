//! The current canned queries: read from files and functions and described by PostgreSQL. Keeps the faults of those
//! that are not served, or are served in their last valid version.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::waiting::{Tries, Waiting};
use crate::canned::{self, Fault, Query, Source};
use crate::error::Result;
use crate::execute::{Database, Refused, Right};
use crate::name::nearest;
use crate::policy::{Role, Settings};
use crate::request::Request;
use crate::schema::Described;

#[derive(Default)]
pub(in crate::engine) struct Canned {
    queries: BTreeMap<String, Arc<Query>>,
    pub(in crate::engine) faults: Vec<Fault>,
    /// A query that PostgreSQL refused to describe for a reason that passes.
    waiting: Option<Arc<Waiting>>,
    /// When the queries that are refused to a role are tried again: a right to what is in none of the served schemas is no
    /// change that is noticed.
    refused: Option<Tries>,
    /// Queries that PostgreSQL refused to run although it had described them.
    broken: Mutex<BTreeSet<String>>,
}

impl Canned {
    /// Reads all queries, and which of the database roles may call each function. One that has a fault keeps its version in
    /// `before`.
    pub(in crate::engine) async fn read(
        database: &Database,
        settings: &Settings,
        roles: &[Option<String>],
        before: Option<&Canned>,
    ) -> Result<Self> {
        let mut canned = Self::default();
        let mut sources = canned.files(settings).await;
        sources.extend(canned.functions(database, settings, roles).await?);
        let sources = canned.named(sources);
        let mut queries = canned.described(database, settings, sources).await?;
        queries.iter().for_each(|query| canned.check_roles(query, settings));
        note_refusals(database, &mut queries, settings, roles).await?;
        for query in queries {
            if !query.refused.is_empty() {
                canned.refused.get_or_insert_with(Tries::new);
            }
            canned.queries.insert(query.name.clone(), Arc::new(query));
        }
        if let Some(before) = before {
            canned.keep(before, settings);
        }
        canned.report(before, settings);
        Ok(canned)
    }

    /// The query with this name, for any role.
    pub(in crate::engine) fn of_name(&self, name: &str) -> Option<&Arc<Query>> {
        self.queries.get(name)
    }

    /// The query with this name, if the role has it.
    pub(in crate::engine) fn query(&self, name: &str, role: &Role) -> Option<&Arc<Query>> {
        self.of_name(name).filter(|query| query.is_for(role))
    }

    /// All queries, by name.
    pub(in crate::engine) fn all(&self) -> impl Iterator<Item = &Arc<Query>> {
        self.queries.values()
    }

    /// The role's queries, by name.
    pub(in crate::engine) fn of_role<'c>(
        &'c self,
        role: &'c Role,
    ) -> impl Iterator<Item = &'c Arc<Query>> {
        self.queries.values().filter(|query| query.is_for(role))
    }

    /// Whether PostgreSQL refused the query even after it was described again, so that another attempt is useless.
    pub(in crate::engine) fn is_broken(&self, name: &str) -> bool {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    pub(in crate::engine) fn note_broken(&self, name: &str) {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned());
    }

    /// Whether callers have the same tools as in `other`.
    pub(in crate::engine) fn same(&self, other: &Self) -> bool {
        let seen = |query: &Arc<Query>| (query.digest, query.refused.clone());
        self.queries.values().map(seen).eq(other.queries.values().map(seen))
    }

    async fn files(&mut self, settings: &Settings) -> Vec<Source> {
        let Some(directory) = settings.queries.directory.clone() else { return Vec::new() };
        let place = directory.display().to_string();
        let read = tokio::task::spawn_blocking(move || canned::files(&directory)).await;
        let (files, faults) = read.unwrap_or_else(|error| {
            (Vec::new(), vec![Fault::new(place, format!("cannot be read: {error}"))])
        });
        self.faults.extend(faults);
        self.sound(files.into_iter().map(|file| Source::read(file).map(Some)))
    }

    async fn functions(
        &mut self,
        database: &Database,
        settings: &Settings,
        roles: &[Option<String>],
    ) -> Result<Vec<Source>> {
        let schemas = &settings.queries.functions;
        if schemas.is_empty() {
            return Ok(Vec::new());
        }
        let routines = database.routines(schemas, roles).await?;
        for schema in schemas {
            if !routines.iter().any(|routine| routine.schema == *schema) {
                let message =
                    format!("no function of the schema {schema:?} has @tool in its comment");
                self.faults.push(Fault::new("queries.functions", message));
            }
        }
        let mut sources = self.sound(
            routines
                .into_iter()
                .map(|routine| Source::of_routine(routine, &settings.comments.owners)),
        );
        Source::tell_apart(&mut sources);
        Ok(sources)
    }

    /// The sources without faults. Faults are noted.
    fn sound(&mut self, read: impl Iterator<Item = Result<Option<Source>, Fault>>) -> Vec<Source> {
        let mut sources = Vec::new();
        for source in read {
            match source {
                Ok(source) => sources.extend(source),
                Err(fault) => self.faults.push(fault),
            }
        }
        sources
    }

    /// The sources whose name is unique.
    fn named(&mut self, sources: Vec<Source>) -> Vec<Source> {
        let mut named: Vec<Source> = Vec::with_capacity(sources.len());
        for source in sources {
            let other = named.iter().find(|known| known.name == source.name);
            let taken = match other {
                _ if Request::TOOLS.contains(&source.name.as_str()) => {
                    Some(format!("{} is the name of a built-in tool: choose another", source.name))
                }
                Some(other) => {
                    let (place, name) = (&other.place, &source.name);
                    Some(format!(
                        "{place} already has the tool name {name}: choose another, for a function by @tool NAME"
                    ))
                }
                None => None,
            };
            match taken {
                Some(message) => self.faults.push(Fault::new(&source.place, message)),
                None => named.push(source),
            }
        }
        named
    }

    async fn described(
        &mut self,
        database: &Database,
        settings: &Settings,
        sources: Vec<Source>,
    ) -> Result<Vec<Query>> {
        let texts: Vec<String> = sources.iter().map(Source::statement).collect();
        let signatures = self.describe(database, &texts).await?;
        let mut queries = Vec::with_capacity(sources.len());
        // The greatest limit of all roles. Each call is limited by its role.
        let roles = settings.roles.iter().map(|role| role.limits.over(&settings.limits).max_rows);
        let most = roles.max().unwrap_or(settings.limits.max_rows);
        for (source, signature) in sources.into_iter().zip(signatures) {
            match query(source, signature, most) {
                Ok(query) => queries.push(query),
                Err(fault) => self.faults.push(fault),
            }
        }
        let queries = self.with_sound_defaults(database, queries).await?;
        // The sent statement wraps the query, so it must be possible to prepare it, too.
        let sent: Vec<String> = queries.iter().map(Query::sent).collect();
        let signatures = self.describe(database, &sent).await?;
        let mut good = Vec::with_capacity(queries.len());
        for (query, signature) in queries.into_iter().zip(signatures) {
            match signature {
                Ok(_) => good.push(query),
                Err(refused) => self.faults.push(query.fault(refused.message)),
            }
        }
        Ok(good)
    }

    async fn describe(
        &mut self,
        database: &Database,
        texts: &[String],
    ) -> Result<Vec<Result<Described, Refused>>> {
        let described = database.described(texts).await?;
        let passing = |described: &Result<_, Refused>| {
            described.as_ref().is_err_and(|refused| refused.passing)
        };
        let waiting = described.iter().position(passing).and_then(|position| texts.get(position));
        let waiting = waiting.map(|text| Arc::new(Waiting::new(text.clone())));
        self.waiting = self.waiting.take().or(waiting);
        Ok(described)
    }

    /// Whether a query waits for something that passes, or for a right.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some() || self.refused.is_some()
    }

    /// Whether the query that waits can be tried again with success, or is refused for another reason; or a query is no
    /// longer refused to a role.
    pub(super) async fn waits_no_more(&self, database: &Database) -> bool {
        if let Some(waiting) = &self.waiting
            && waiting.is_over(database).await
        {
            return true;
        }
        let Some(tries) = self.refused.as_ref().filter(|tries| tries.are_due()) else {
            return false;
        };
        let refused: BTreeSet<_> = self.queries.values().flat_map(|q| q.refused.keys()).collect();
        for role in refused {
            let theirs = self.queries.values().filter(|query| query.refused.contains_key(role));
            let explains = Vec::from_iter(theirs.filter_map(|query| query.explained()));
            let rights = database.rights(role.as_deref(), &explains).await;
            if rights.is_ok_and(|rights| rights.contains(&Right::Held)) {
                return true;
            }
        }
        tries.put_off(Instant::now());
        false
    }

    /// The queries whose defaults PostgreSQL accepts.
    async fn with_sound_defaults(
        &mut self,
        database: &Database,
        queries: Vec<Query>,
    ) -> Result<Vec<Query>> {
        let mut sound = Vec::with_capacity(queries.len());
        for query in queries {
            let defaults = query.untried_defaults();
            let texts = defaults.iter().map(|(data_type, text, _)| (*data_type, text.clone()));
            let refusals = database.tried(texts).await?;
            let mut faults = defaults
                .into_iter()
                .zip(refusals)
                .filter_map(|((_, _, fault), refusal)| Some((fault, refusal?)));
            match faults.next() {
                Some((fault, refusal)) => {
                    let message = format!("{}: {refusal}", fault.message);
                    self.faults.push(Fault { message, ..fault });
                }
                None => sound.push(query),
            }
        }
        Ok(sound)
    }

    fn check_roles(&mut self, query: &Query, settings: &Settings) {
        let known: Vec<&str> = settings.roles.iter().map(|role| role.name.as_str()).collect();
        let built_in = Role::built_in();
        // A query for the built-in roles may exist although roles are configured.
        let is_known = |name: &String| {
            known.contains(&name.as_str()) || built_in.iter().any(|role| role.name == *name)
        };
        let unknown: Vec<&String> =
            query.roles.iter().flatten().filter(|name| !is_known(name)).collect();
        if let Some(first) = unknown.first() {
            let near = nearest(first, known.iter().copied()).filter(|_| unknown.len() == 1);
            let rest = match near {
                Some(near) => format!("did you mean {near}?"),
                None => format!("there are {}", known.join(", ")),
            };
            let unknown: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
            let message = format!("there is no role {}; {rest}", unknown.join(" or "));
            self.faults.push(query.roles_fault(message));
        } else if !settings.roles.iter().any(|role| query.is_for(role)) {
            let meant = settings.roles.iter().filter(|role| query.is_meant_for(role));
            let message = match (query.barred(meant), &query.roles) {
                (Some(barred), _) => barred,
                (None, None) => "no role may use it: name roles with @roles".to_owned(),
                (None, Some(_)) => "no role has it".to_owned(),
            };
            self.faults.push(query.roles_fault(message));
        }
    }

    /// Keeps the last valid version of queries that now have a fault, and when one that still waits is tried again.
    fn keep(&mut self, before: &Self, settings: &Settings) {
        if let (Some(waiting), Some(known)) = (&mut self.waiting, &before.waiting)
            && waiting.is_of(known)
        {
            *waiting = Arc::clone(known);
        }
        let directory = settings.queries.directory.as_ref();
        let directory = directory.map(|directory| directory.display().to_string());
        for fault in &mut self.faults {
            for (name, query) in &before.queries {
                let its_own = query.place == fault.place;
                let all = query.is_statement() && directory.as_ref() == Some(&fault.place);
                if (its_own || all) && !self.queries.contains_key(name) {
                    self.queries.insert(name.clone(), Arc::clone(query));
                    fault.served = true;
                }
            }
        }
    }

    /// Logs the faults and the refusals that are not in `before`.
    fn report(&self, before: Option<&Self>, settings: &Settings) {
        for query in self.queries.values() {
            let before = before.and_then(|before| before.of_name(&query.name));
            let known = before.map(|before| before.refusals(&settings.roles)).unwrap_or_default();
            for refusal in query.refusals(&settings.roles) {
                if !known.contains(&refusal) {
                    tracing::warn!("{refusal}; the role does not have the tool");
                }
            }
        }
        let known = before.map_or(&[][..], |before| &before.faults);
        for fault in self.faults.iter().filter(|fault| !known.contains(fault)) {
            tracing::warn!("{fault}");
        }
    }
}

/// Notes to which database roles of callers, among those that the login can become, PostgreSQL refuses each query, which is not run
/// but explained. CALL cannot be, and who may call a function is known. At the first lock the rest is left to the calls.
async fn note_refusals(
    database: &Database,
    queries: &mut [Query],
    settings: &Settings,
    roles: &[Option<String>],
) -> Result<()> {
    for role in roles {
        let theirs = settings.roles.iter().filter(|known| known.database_role == *role);
        let theirs = Vec::from_iter(theirs);
        let is_meant = |query: &Query| theirs.iter().any(|role| query.is_meant_for(role));
        let meant = queries.iter_mut().filter(|query| is_meant(query));
        let (meant, explains): (Vec<_>, Vec<_>) =
            meant.filter_map(|query| query.explained().map(|explain| (query, explain))).unzip();
        if explains.is_empty() {
            continue;
        }
        for (query, right) in
            meant.into_iter().zip(database.rights(role.as_deref(), &explains).await?)
        {
            match right {
                Right::Held => {}
                Right::Lacking(message) => {
                    query.refused.insert(role.clone(), message);
                }
                Right::Unknown => return Ok(()),
            }
        }
    }
    Ok(())
}

fn query(source: Source, signature: Result<Described, Refused>, most: u64) -> Result<Query, Fault> {
    match signature {
        Ok(signature) => Query::new(source, signature, most),
        Err(Refused { message, position, .. }) => {
            // "could not determine data type of parameter $1": with the name that the author knows.
            let mut message = source.with_names(&message);
            let said = message.split(". ").next().unwrap_or_default();
            // "operator does not exist: integer = integer[]", in any language.
            if said.contains(" = ") && said.ends_with("[]") {
                message.push_str(". Compare with an array by = ANY (:ids), not by IN");
            }
            Err(source.fault(message, position))
        }
    }
}
