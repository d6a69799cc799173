//! The notifications of one client.
//!
//! It is told only that something which its role sees is new, never what. Each subscriber has a task of its
//! own, so that a client which does not read keeps nobody else waiting.

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

/// Most resources that one client watches.
pub(crate) const WATCHED_MOST: usize = 200;

/// How long a client may leave a message unread before it is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client wants to hear of.
#[derive(Debug, Default)]
pub(crate) struct Topics {
    pub(crate) tools: bool,
    pub(crate) resources: bool,
    /// Addresses of resources, with a digest of what each held when the client was last told.
    watched: Mutex<BTreeMap<String, Option<u64>>>,
}

impl Topics {
    /// The lists, and these resources.
    pub(crate) fn new(tools: bool, resources: bool) -> Self {
        Self { tools, resources, watched: Mutex::default() }
    }

    /// Watches one more resource, for what it does not hold in this `sight`; false if there are too many.
    pub(crate) fn watch(&self, sight: Option<&Sight>, uri: &str) -> bool {
        let held = sight.and_then(|sight| sight.held(uri));
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

/// The way to a client.
pub(crate) enum Sink {
    /// A session that began with `initialize`.
    Session(Peer<RoleServer>),
    /// The stream of one `subscriptions/listen`.
    Stream(SubscriptionSink),
}

impl Sink {
    /// Sends, unless the client is gone or does not read.
    async fn send(&self, news: News) -> Result<(), Gone> {
        let sent = async {
            match self {
                Self::Session(peer) => match news {
                    News::Tools => peer.notify_tool_list_changed().await,
                    News::Resources => peer.notify_resource_list_changed().await,
                    News::Resource(uri) => {
                        peer.notify_resource_updated(ResourceUpdatedNotificationParam::new(uri))
                            .await
                    }
                }
                .map_err(|_| Gone),
                Self::Stream(stream) => match news {
                    News::Tools => stream.notify_tool_list_changed().await,
                    News::Resources => stream.notify_resource_list_changed().await,
                    News::Resource(uri) => stream.notify_resource_updated(uri).await,
                }
                .map_err(|_| Gone),
            }
        };
        tokio::time::timeout(PATIENCE, sent).await.map_err(|_| Gone)?
    }
}

/// What a client may be told.
enum News {
    /// The list of tools is another.
    Tools,
    /// The list of resources is another.
    Resources,
    /// The resource at this address is another.
    Resource(String),
}

/// The client is not there any more.
struct Gone;

/// What a caller's role finds at one moment.
pub(crate) struct Sight {
    view: Arc<View>,
    queries: Vec<Arc<Query>>,
}

impl Sight {
    /// What it finds now; nothing if there is no such role.
    pub(crate) fn now(engine: &Engine, caller: &Principal) -> Option<Self> {
        Some(Self { view: engine.view(caller).ok()?, queries: engine.queries(caller).ok()? })
    }

    /// A digest of the lists of tools and resources, and of all that they stand for.
    fn lists(&self) -> u64 {
        let tools = serde_json::to_string(&tools::list(&self.view, &self.queries)).ok();
        digest((self.view.digest, tools))
    }

    /// A digest of what a resource holds; none if it does not exist for the caller.
    fn held(&self, uri: &str) -> Option<u64> {
        match resources::table(&self.view, uri) {
            Ok(table) => {
                let mut description = self.view.describe(table);
                // ANALYZE moves it, which is no change of the table.
                description.remove("estimated_rows");
                Some(digest(serde_json::Value::Object(description).to_string()))
            }
            Err(_) => resources::is_fixed(uri).then_some(self.view.digest),
        }
    }
}

/// A moment from which on a client is to be told of changes.
pub(crate) struct Beginning {
    changes: Receiver<Change>,
    sight: Option<Sight>,
}

impl Beginning {
    /// From now on.
    pub(crate) fn now(engine: &Engine, caller: &Principal) -> Self {
        // In this order: what changes in between is in sight, and no news.
        let changes = engine.changes();
        Self { changes, sight: Sight::now(engine, caller) }
    }

    /// What the caller found then.
    pub(crate) fn sight(&self) -> Option<&Sight> {
        self.sight.as_ref()
    }
}

/// Tells a client of changes until it is gone.
pub(crate) async fn tell(
    engine: Arc<Engine>,
    caller: Principal,
    topics: Arc<Topics>,
    sink: Sink,
    beginning: Beginning,
) {
    let Beginning { mut changes, sight } = beginning;
    let mut lists = sight.as_ref().map(Sight::lists);
    // It belongs to a catalogue that need not be kept.
    drop(sight);
    loop {
        let change = match changes.recv().await {
            Ok(change) => change,
            // The client was slow: what it missed is one change.
            Err(RecvError::Lagged(_)) => Change::Missed,
            Err(RecvError::Closed) => return,
        };
        let sight = Sight::now(&engine, &caller);
        let now = match change {
            Change::Rows(_) => lists,
            Change::Catalogue | Change::Missed => sight.as_ref().map(Sight::lists),
        };
        let mut news = Vec::new();
        if std::mem::replace(&mut lists, now) != now {
            news.extend(topics.tools.then_some(News::Tools));
            news.extend(topics.resources.then_some(News::Resources));
        }
        news.extend(touched(sight.as_ref(), &topics, &change).into_iter().map(News::Resource));
        drop(sight);
        for news in news {
            if sink.send(news).await.is_err() {
                return;
            }
        }
    }
}

/// The watched resources that a change concerns, as far as the caller may know.
fn touched(sight: Option<&Sight>, topics: &Topics, change: &Change) -> Vec<String> {
    let mut touched = Vec::new();
    for (uri, known) in topics.watched().iter_mut() {
        let mut another = || {
            let now = sight.and_then(|sight| sight.held(uri));
            std::mem::replace(known, now) != now
        };
        let touches = match change {
            Change::Catalogue => another(),
            Change::Rows(tables) => open(sight, uri, Some(tables)),
            Change::Missed => another() || open(sight, uri, None),
        };
        if touches {
            touched.push(uri.clone());
        }
    }
    touched
}

/// Whether the resource is a table, one of `tables`, all of whose rows the caller may read: else it could learn when
/// rows change that are hidden from it.
fn open(sight: Option<&Sight>, uri: &str, tables: Option<&BTreeSet<TableName>>) -> bool {
    let Some(sight) = sight else { return false };
    resources::table(&sight.view, uri).is_ok_and(|table| {
        table.is_open() && tables.is_none_or(|tables| tables.contains(table.name()))
    })
}

fn digest(value: impl Hash) -> u64 {
    let mut digest = DefaultHasher::new();
    value.hash(&mut digest);
    digest.finish()
}
