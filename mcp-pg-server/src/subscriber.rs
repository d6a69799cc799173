//! The notifications of one client.
//!
//! A notification only says that something changed which the client's role sees, never what. Each subscriber has its
//! own task, so that a client that does not read delays no other.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mcp_pg_core::canned::Query;
use mcp_pg_core::policy::View;
use mcp_pg_core::{Change, Engine, Principal, TableName};
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::SubscriptionSink;
use rmcp::{Peer, RoleServer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::{resources, tools};

/// The most resources that a client can watch.
pub(crate) const WATCHED_MOST: usize = 200;

/// How long a client may leave a notification unread before it is disconnected.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client is notified of.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    /// URIs of watched resources, with a digest of their content when the client was last notified.
    watched: Mutex<BTreeMap<String, Option<u64>>>,
}

impl Topics {
    /// These lists, and no resources yet.
    pub(crate) fn new(tools: bool, resources: bool) -> Self {
        Self { tools, resources, watched: Mutex::default() }
    }

    /// Watches another resource, whose content is that of `snapshot`. Returns false if there are too many.
    pub(crate) fn watch(&self, snapshot: Option<&Snapshot>, uri: &str) -> bool {
        let held = snapshot.and_then(|snapshot| snapshot.held(uri));
        let mut watched = self.watched();
        if watched.len() >= WATCHED_MOST && !watched.contains_key(uri) {
            return false;
        }
        watched.insert(uri.to_owned(), held);
        true
    }

    pub(crate) fn unwatch(&self, uri: &str) {
        self.watched().remove(uri);
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<u64>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The channel to a client.
pub(crate) enum Sink {
    /// A session that began with `initialize`.
    Session(Peer<RoleServer>),
    /// The stream of one `subscriptions/listen`.
    Stream(SubscriptionSink),
}

impl Sink {
    /// Sends a notification, unless the client is gone or does not read.
    async fn send(&self, notification: Notification) -> Result<(), Disconnected> {
        let sent = async {
            match self {
                Self::Session(peer) => match notification {
                    Notification::Tools => peer.notify_tool_list_changed().await,
                    Notification::Resources => peer.notify_resource_list_changed().await,
                    Notification::Resource(uri) => {
                        peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri))
                            .await
                    }
                }
                .map_err(|_| Disconnected),
                Self::Stream(stream) => match notification {
                    Notification::Tools => stream.notify_tool_list_changed().await,
                    Notification::Resources => stream.notify_resource_list_changed().await,
                    Notification::Resource(uri) => stream.notify_resource_updated(uri).await,
                }
                .map_err(|_| Disconnected),
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.map_err(|_| Disconnected)?
    }
}

/// A notification.
enum Notification {
    /// The list of tools has changed.
    Tools,
    /// The list of resources has changed.
    Resources,
    /// The resource with this URI has changed.
    Resource(String),
}

/// The client has disconnected.
struct Disconnected;

/// What a caller's role sees at one moment.
pub(crate) struct Snapshot {
    view: Arc<View>,
    queries: Vec<Arc<Query>>,
}

impl Snapshot {
    /// What the role sees now; `None` if there is no such role.
    pub(crate) fn now(engine: &Engine, caller: &Principal) -> Option<Self> {
        Some(Self { view: engine.view(caller).ok()?, queries: engine.queries(caller).ok()? })
    }

    /// A digest of the lists of tools and resources, with their content.
    fn lists(&self) -> u64 {
        digest((self.view.digest, tools::list(&self.view, &self.queries).digest))
    }

    /// A digest of a resource's content; `None` if it does not exist for the caller.
    fn held(&self, uri: &str) -> Option<u64> {
        match resources::table(&self.view, uri) {
            Ok(table) => {
                let mut description = self.view.describe_whole(table);
                // ANALYZE changes it, which is no change of the table.
                description.remove("estimated_rows");
                Some(digest(serde_json::Value::Object(description).to_string()))
            }
            Err(_) if uri == resources::ROLE => {
                Some(digest(resources::role(&self.view, &self.queries).to_string()))
            }
            Err(_) => resources::is_fixed(uri).then_some(self.view.digest),
        }
    }
}

/// The moment from which a client is notified of changes.
pub(crate) struct Beginning {
    changes: Receiver<Change>,
    snapshot: Option<Snapshot>,
}

impl Beginning {
    /// The current moment.
    pub(crate) fn now(engine: &Engine, caller: &Principal) -> Self {
        // In this order, a change in between is part of the snapshot and not notified.
        let changes = engine.changes();
        Self { changes, snapshot: Snapshot::now(engine, caller) }
    }

    /// What the caller saw at that moment.
    pub(crate) fn snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }
}

/// Notifies a client of changes until it disconnects.
pub(crate) async fn notify(
    engine: Arc<Engine>,
    caller: Principal,
    topics: Arc<Topics>,
    sink: Sink,
    beginning: Beginning,
) {
    let Beginning { mut changes, snapshot } = beginning;
    let mut lists = snapshot.as_ref().map(Snapshot::lists);
    // It holds a catalogue, which should not be kept.
    drop(snapshot);
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            // The client was slow, and all that it missed is one change.
            Err(RecvError::Lagged(_)) => Change::Missed,
            Err(RecvError::Closed) => return,
        };
        let snapshot = Snapshot::now(&engine, &caller);
        let now = match change {
            Change::Rows(_) => lists,
            _ => snapshot.as_ref().map(Snapshot::lists),
        };
        let mut notifications = Vec::new();
        if std::mem::replace(&mut lists, now) != now {
            notifications.extend(topics.tools.then_some(Notification::Tools));
            notifications.extend(topics.resources.then_some(Notification::Resources));
        }
        notifications.extend(
            changed_resources(snapshot.as_ref(), &topics, &change)
                .into_iter()
                .map(Notification::Resource),
        );
        drop(snapshot);
        for notification in notifications {
            if sink.send(notification).await.is_err() {
                return;
            }
        }
    }
}

/// The watched resources that a change affects, as far as the caller may know.
fn changed_resources(snapshot: Option<&Snapshot>, topics: &Topics, change: &Change) -> Vec<String> {
    let mut touched = Vec::new();
    for (uri, known) in topics.watched().iter_mut() {
        let mut another = || {
            let now = snapshot.and_then(|snapshot| snapshot.held(uri));
            std::mem::replace(known, now) != now
        };
        let touches = match change {
            Change::Catalogue => another(),
            Change::Rows(tables) => may_follow(snapshot, uri, Some(tables)),
            // `Missed`: anything may have changed.
            _ => another() || may_follow(snapshot, uri, None),
        };
        if touches {
            touched.push(uri.clone());
        }
    }
    touched
}

/// Whether the resource is one of `tables`, all of whose rows the caller may read. Otherwise the caller could learn
/// when hidden rows change.
fn may_follow(
    snapshot: Option<&Snapshot>,
    uri: &str,
    tables: Option<&BTreeSet<TableName>>,
) -> bool {
    let Some(snapshot) = snapshot else { return false };
    resources::table(&snapshot.view, uri).is_ok_and(|table| {
        table.is_open() && tables.is_none_or(|tables| tables.contains(table.name()))
    })
}

fn digest(value: impl Hash) -> u64 {
    let mut digest = DefaultHasher::new();
    value.hash(&mut digest);
    digest.finish()
}
