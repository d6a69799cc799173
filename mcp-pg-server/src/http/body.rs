//! Bodies of requests: how large they are, how slow, and how much of them is held at one time.
//!
//! A message takes many times its own size once it is taken apart: so large ones wait for room, which each has until it is
//! answered.

use std::collections::HashMap;
use std::fmt::Display;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::StatusCode;
use http_body::Body;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

/// Most bytes of a body that takes no room.
const SMALL: usize = 64 << 10;

/// How many bodies of the largest size there is room for: one of each caller's.
const LARGEST: usize = 4;

/// Bytes of one permit.
const UNIT: usize = 1 << 10;

/// How bodies are read.
pub(super) struct Bodies {
    /// Most bytes of one.
    most: usize,
    /// How long a client may take over one, and one may wait for room.
    patience: Duration,
    all: Arc<Semaphore>,
    /// The room of each caller whose bodies take some.
    own: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The room of a body that was read.
#[must_use = "others have the room once this is dropped"]
pub(super) struct Room {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Bodies {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        let all = Arc::new(Semaphore::new(units(most).saturating_mul(LARGEST)));
        Self { most, patience, all, own: Mutex::default() }
    }

    /// The whole body, or what to answer to whoever sends too much or takes too long.
    pub(super) async fn read<B>(
        &self,
        caller: &str,
        body: B,
    ) -> Result<(Bytes, Option<Room>), StatusCode>
    where
        B: Body + Send + 'static,
        B::Error: Display,
    {
        let size = body.size_hint().upper().and_then(|size| usize::try_from(size).ok());
        let size = size.map_or(self.most, |size| size.min(self.most));
        let mut body = pin!(Limited::new(body.map_err(|error| error.to_string()), self.most));
        let mut held = BytesMut::new();
        let mut room = None;
        let mut end = Instant::now() + self.patience;
        loop {
            let frame = match timeout_at(end, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => return Ok((held.freeze(), room)),
                Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
                Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
            };
            let Ok(data) = frame.into_data() else { continue };
            if room.is_none() && held.len() + data.remaining() > SMALL {
                let waits = Instant::now();
                room = Some(self.room(caller, size).await?);
                end += waits.elapsed();
            }
            held.put(data);
        }
    }

    /// Waits for room, at first for the caller's own: whoever has much under way keeps nobody else waiting.
    async fn room(&self, caller: &str, size: usize) -> Result<Room, StatusCode> {
        let permits = u32::try_from(units(size)).unwrap_or(u32::MAX);
        let own = self.own_room(caller);
        let room = async {
            let own = own.acquire_many_owned(permits).await.ok()?;
            let all = Arc::clone(&self.all).acquire_many_owned(permits).await.ok()?;
            Some(Room { _own: own, _all: all })
        };
        let room = timeout(self.patience, room).await.ok().flatten();
        room.ok_or(StatusCode::TOO_MANY_REQUESTS)
    }

    fn own_room(&self, caller: &str) -> Arc<Semaphore> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = own.get(caller).and_then(Weak::upgrade) {
            return known;
        }
        own.retain(|_, room| room.strong_count() > 0);
        let room = Arc::new(Semaphore::new(units(self.most)));
        own.insert(caller.to_owned(), Arc::downgrade(&room));
        room
    }
}

fn units(bytes: usize) -> usize {
    bytes.div_ceil(UNIT)
}

#[cfg(test)]
mod tests {
    use http_body_util::Full;

    use super::*;

    async fn read(bodies: &Bodies, caller: &str, size: usize) -> Result<Option<Room>, StatusCode> {
        let body = Full::new(Bytes::from(vec![b' '; size]));
        bodies.read(caller, body).await.map(|(_, room)| room)
    }

    #[tokio::test]
    async fn large_bodies_wait_for_room() {
        let bodies = Bodies::new(200_000, Duration::from_millis(200));
        let first = read(&bodies, "ann", 150_000).await.unwrap();
        assert!(first.is_some());
        assert_eq!(read(&bodies, "ann", 150_000).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
        // A small one, and those of others.
        assert!(read(&bodies, "ann", SMALL).await.unwrap().is_none());
        let mut others = Vec::new();
        for other in ["bob", "cyn", "dee"] {
            others.push(read(&bodies, other, 200_000).await.unwrap());
        }
        assert_eq!(read(&bodies, "eve", 200_000).await.err(), Some(StatusCode::TOO_MANY_REQUESTS));
        drop(first);
        assert!(read(&bodies, "ann", 150_000).await.unwrap().is_some());
        assert_eq!(read(&bodies, "ann", 200_001).await.err(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    }
}
