//! Subscriptions to changes, in sessions and streams.
//!
//! Knows callers and their limits. The notifications are made by the [`subscriber`](crate::subscriber).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use mcp_pg_core::{Engine, Principal};
use rmcp::model::SubscriptionFilter;
use rmcp::service::SubscriptionContext;
use rmcp::{ErrorData, Peer, RoleServer};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::auth::Standing;
use crate::slots::Slots;
use crate::subscriber::{Beginning, Sink, Snapshot, Topics, WATCHED_MOST, notify};
use crate::{reply, resources};

/// The most open streams of a caller.
const STREAMS_MOST: usize = 32;

/// How long a stream may outlive its token, because clocks differ.
const SKEW: Duration = Duration::from_secs(30);

/// The subscriptions of one handler.
pub(crate) struct Subscriptions {
    session: Option<Session>,
    /// The open streams of each caller.
    streams: Slots,
    stop: CancellationToken,
    hang_up: watch::Sender<()>,
}

/// The only client of a session.
struct Session {
    /// What it is notified of.
    topics: Arc<Topics>,
    /// When it was greeted, until its notifications begin.
    greeted: Mutex<Option<Beginning>>,
    /// Ends the notifications.
    _stop: DropGuard,
}

/// The arrival of a request for a stream. rmcp acknowledges the request before it calls the handler, and changes in
/// between must be notified, too.
#[derive(Clone)]
pub(crate) struct Arrival(Arc<Mutex<Option<Beginning>>>);

impl Arrival {
    /// The arrival of a request just received.
    pub(crate) fn now(engine: &Engine, caller: &Principal) -> Self {
        Self(Arc::new(Mutex::new(Some(Beginning::now(engine, caller)))))
    }
}

impl Subscriptions {
    /// For a transport with one session, which ends when `stop` is cancelled.
    pub(crate) fn of_session(stop: CancellationToken) -> Self {
        let session = Some(Session {
            topics: Arc::new(Topics::new(true, true)),
            greeted: Mutex::default(),
            _stop: stop.clone().drop_guard(),
        });
        Self { session, streams: Slots::default(), stop, hang_up: watch::Sender::default() }
    }

    /// For a transport without sessions. Its streams end when `stop` is cancelled; open streams also end when
    /// `hang_up` is sent to.
    pub(crate) fn of_streams(stop: CancellationToken, hang_up: watch::Sender<()>) -> Self {
        Self { session: None, streams: Slots::default(), stop, hang_up }
    }

    pub(crate) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Notes that the session's client is to be notified of changes from now on.
    pub(crate) fn greet(&self, engine: &Engine, caller: &Principal) {
        if let Some(session) = &self.session {
            *locked(&session.greeted) = Some(Beginning::now(engine, caller));
        }
    }

    /// Begins to notify the session's client.
    pub(crate) fn begin_session(
        &self,
        engine: Arc<Engine>,
        caller: Principal,
        peer: Peer<RoleServer>,
    ) {
        let Some(session) = &self.session else { return };
        let greeted = locked(&session.greeted).take();
        let beginning = greeted.unwrap_or_else(|| Beginning::now(&engine, &caller));
        let sink = Sink::Session(peer);
        let notifying = notify(engine, caller, session.topics.clone(), sink, beginning);
        tokio::spawn(self.stop.clone().run_until_cancelled_owned(notifying));
    }

    /// The session's client subscribes to a resource.
    pub(crate) fn watch(
        &self,
        engine: &Engine,
        caller: &Principal,
        uri: &str,
    ) -> Result<(), ErrorData> {
        let topics = self.topics()?;
        let view = engine.view(caller).map_err(|error| reply::protocol_error(&error))?;
        if !resources::is_fixed(uri) {
            resources::table(&view, uri).map_err(|error| resources::protocol_error(uri, &error))?;
        }
        match topics.watch(Snapshot::now(engine, caller).as_ref(), uri) {
            true => Ok(()),
            false => Err(ErrorData::invalid_params(
                format!("a client may subscribe to {WATCHED_MOST} resources"),
                None,
            )),
        }
    }

    /// The session's client unsubscribes from a resource.
    pub(crate) fn unwatch(&self, uri: &str) -> Result<(), ErrorData> {
        self.topics()?.unwatch(uri);
        Ok(())
    }

    fn topics(&self) -> Result<&Topics, ErrorData> {
        self.session.as_ref().map(|session| &*session.topics).ok_or_else(|| {
            ErrorData::invalid_request(
                "this transport has no sessions: use subscriptions/listen, of protocol 2026-07-28",
                None,
            )
        })
    }

    /// Notifies the client of a stream until it disconnects, the server stops, or its credentials expire.
    pub(crate) async fn stream(
        &self,
        engine: Arc<Engine>,
        caller: Principal,
        cx: &SubscriptionContext,
    ) -> Result<(), ErrorData> {
        let Some(_place) = self.streams.take(caller.key(), STREAMS_MOST) else {
            return Err(ErrorData::invalid_request(
                format!("a caller may hold at most {STREAMS_MOST} streams open"),
                None,
            ));
        };
        let accepted = cx.accepted();
        let topics = Arc::new(Topics::new(
            accepted.tools_list_changed == Some(true),
            accepted.resources_list_changed == Some(true),
        ));
        let extensions = &cx.request_context().extensions;
        let http = extensions.get::<http::request::Parts>();
        let arrival = extensions.get().or_else(|| http?.extensions.get());
        let beginning = arrival
            .and_then(|Arrival(beginning)| locked(beginning).take())
            .unwrap_or_else(|| Beginning::now(&engine, &caller));
        for uri in accepted.resource_subscriptions.iter().flatten() {
            topics.watch(beginning.snapshot(), uri);
        }
        let mut hang_up = self.hang_up.subscribe();
        let refused = async {
            let standing = http.and_then(|http| Some((http, http.extensions.get::<Standing>()?)));
            match standing {
                Some((http, standing)) => standing.clone().ended(http, &caller).await,
                None => hang_up.changed().await.unwrap_or_default(),
            }
        };
        let left = left(&caller);
        let expiry = async {
            match left {
                Some(left) => tokio::time::sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = cx.cancelled() => {}
            () = self.stop.cancelled() => {}
            () = refused => {}
            () = expiry => {}
            () = notify(engine, caller.clone(), topics, Sink::Stream(cx.sink().clone()), beginning) => {}
        }
        Ok(())
    }
}

/// The time until the caller's token expires, if it came with one.
fn left(caller: &Principal) -> Option<Duration> {
    let expires = caller.claims.get("exp")?.as_f64()?;
    let expires = Duration::try_from_secs_f64(expires).ok()?;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Some(expires.saturating_add(SKEW).saturating_sub(now))
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of a filter that any client may request. What its role does not see is never notified.
pub(crate) fn acceptable(requested: &SubscriptionFilter) -> SubscriptionFilter {
    let mut accepted = requested.clone();
    if let Some(uris) = &mut accepted.resource_subscriptions {
        uris.retain(|uri| resources::is_fixed(uri) || resources::is_table(uri));
        uris.truncate(WATCHED_MOST);
    }
    accepted
}
