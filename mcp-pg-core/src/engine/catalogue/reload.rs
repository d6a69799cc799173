//! Reloading: the schema and the settings are read again and replaced as a whole.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tokio::sync::OwnedMutexGuard;

use super::Catalogue;
use crate::engine::{Change, Engine};
use crate::error::Result;
use crate::execute::Posture;
use crate::policy::Settings;
use crate::schema::Signature;

impl Engine {
    /// Reads the schema and the canned queries again; returns whether anything has changed. A query that has become faulty keeps
    /// its last valid version. Running calls finish with the schema they began with. If the future is dropped, nothing is
    /// replaced; what is being read is read to its end, and the next call waits for that.
    ///
    /// # Errors
    ///
    /// `database_unavailable`. The old schema then stays in use.
    pub async fn reload(&self) -> Result<bool> {
        let before = self.catalogue.load_full();
        let called = Instant::now();
        let alone = self.alone().await;
        let current = self.catalogue.load_full();
        // Otherwise another task has read the catalogue since this call began to wait.
        if current.begun <= called {
            let settings = Arc::clone(&current.settings);
            let read = Catalogue::read_beside(
                self.database.clone(),
                settings,
                current,
                Arc::clone(&alone),
            );
            let read = read.await;
            self.unread.store(read.is_err(), Ordering::Relaxed);
            self.replace(read?);
        }
        Ok(!self.catalogue.load().same(&before))
    }

    /// Reloads if the schema's signature is no longer the catalogue's, or what could not be used can be now. Returns
    /// false if that failed, which is logged.
    pub(super) async fn keep_up(&self, catalogue: &Catalogue, now: &Signature) -> bool {
        if *now == catalogue.signature && !catalogue.can_be_completed(&self.database).await {
            return true;
        }
        let read = self.reload().await;
        if let Err(error) = &read {
            tracing::warn!(%error, "the schema has changed and could not be read; the previous one stays in use");
        }
        read.is_ok()
    }

    /// Reloads if the catalogue has changed, after PostgreSQL found a statement stale. Returns whether the current
    /// catalogue is not `used`. If it is, the statement was prepared before the last change.
    pub(in crate::engine) async fn refresh(&self, used: &Arc<Catalogue>) -> Result<bool> {
        let fresh = self.look(used).await?;
        if !fresh {
            self.database.forget_statements();
        }
        Ok(fresh)
    }

    /// The same for a call that names something unknown to `used`, which may be new. Returns false also if the
    /// database cannot be asked, or if another such call is about to ask.
    pub(in crate::engine) async fn is_outdated(&self, used: &Arc<Catalogue>) -> bool {
        let Ok(_alone) = self.looking.try_lock() else { return false };
        self.look(used).await.unwrap_or(false)
    }

    async fn look(&self, used: &Arc<Catalogue>) -> Result<bool> {
        let catalogue = self.catalogue.load_full();
        let known = &catalogue.signature;
        let schemas = catalogue.settings.watched_schemas();
        if self.database.signature(&schemas, Some(known)).await? != *known {
            self.reload().await?;
        }
        Ok(!Arc::ptr_eq(used, &self.catalogue.load()))
    }

    /// Replaces the settings, and reads the schema again; returns whether anything has changed. Running calls finish with the
    /// settings they began with. If the future is dropped, the old settings stay in use, as with [`Engine::reload`].
    ///
    /// The connections, with their number and timeouts, and the audit table cannot be replaced: the engine keeps those it was
    /// connected with, although [`Engine::settings`] then shows the new number and timeouts.
    ///
    /// # Errors
    ///
    /// `database_unavailable`. The old settings then stay in use.
    pub async fn reconfigure(&self, settings: Settings) -> Result<bool> {
        self.reconfigure_if(settings, |_| Ok(())).await
    }

    /// Like [`Engine::reconfigure`], but only if `accept` accepts the login's posture under the new settings.
    ///
    /// # Errors
    ///
    /// As [`Engine::reconfigure`], and those of `accept`. The old settings then stay in use.
    pub async fn reconfigure_if(
        &self,
        mut settings: Settings,
        accept: impl FnOnce(&Posture) -> Result<()>,
    ) -> Result<bool> {
        settings.check_limits()?;
        settings.qualify_grants();
        let before = self.catalogue.load_full();
        settings.audit.table.clone_from(&before.settings.audit.table);
        settings.mask_key = settings.mask_key.or_else(|| before.settings.mask_key.clone());
        let alone = self.alone().await;
        let (database, current) = (self.database.clone(), self.catalogue.load_full());
        let (settings, held) = (Arc::new(settings), Arc::clone(&alone));
        let read = Catalogue::read_beside(database, settings, current, held).await?;
        accept(&self.posture_by(&read).await?)?;
        self.unread.store(false, Ordering::Relaxed);
        self.replace(read);
        Ok(!self.catalogue.load().same(&before))
    }

    /// Waits until no other task reads the catalogue.
    async fn alone(&self) -> Arc<OwnedMutexGuard<()>> {
        Arc::new(Arc::clone(&self.reloading).lock_owned().await)
    }

    /// The caller must hold `reloading`.
    fn replace(&self, catalogue: Catalogue) {
        let before = self.catalogue.load_full();
        let same = catalogue.same(&before);
        self.catalogue.store(Arc::new(catalogue));
        self.database.forget_statements();
        tokio::spawn(before.retire());
        if !same {
            tracing::info!("the schema or the settings have changed");
            self.tell(Change::Catalogue);
        }
    }
}
