//! Limits the size of request bodies, the time to receive them, and the memory that they take.
//!
//! A parsed message takes several times its own size. So a large body waits for room, and keeps it until it is
//! answered. Only received bytes take room, so a slow sender does not delay others.

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

/// The most bytes of a body that takes no room.
const SMALL: usize = 64 << 10;

/// The number of complete bodies of the maximum size for which there is room, of which each caller can have one.
const LARGEST: usize = 4;

/// The same for bodies that are being received.
const COMING: usize = 16;

/// The bytes of one permit.
const UNIT: usize = 1 << 10;

/// Reads bodies.
pub(super) struct Bodies {
    /// The most bytes of one body.
    most: usize,
    /// How long a client may take to send a body, and how long a body waits for room.
    patience: Duration,
    coming: Arc<Semaphore>,
    whole: Arc<Semaphore>,
    /// The room of each caller with large bodies.
    own: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The room taken by a body: its maximum size in the caller's share, the received bytes, and once it is complete, its
/// parsed size.
#[must_use = "others have the room once this is dropped"]
pub(super) struct Room {
    _own: OwnedSemaphorePermit,
    come: OwnedSemaphorePermit,
    whole: Option<OwnedSemaphorePermit>,
}

impl Bodies {
    pub(super) fn new(most: usize, patience: Duration) -> Self {
        let room = |bodies| Arc::new(Semaphore::new(units(most).saturating_mul(bodies)));
        Self { most, patience, coming: room(COMING), whole: room(LARGEST), own: Mutex::default() }
    }

    /// The most bytes of one body.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// Reads a whole body, or returns the response to a client that sends too much or too slowly.
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
        let mut room: Option<Room> = None;
        let mut end = Instant::now() + self.patience;
        loop {
            let frame = match timeout_at(end, body.frame()).await {
                Ok(Some(Ok(frame))) => frame,
                Ok(None) => {
                    if let Some(room) = &mut room {
                        room.whole = Some(self.wait(&self.whole, held.len()).await?);
                    }
                    return Ok((held.freeze(), room));
                }
                Ok(Some(Err(error))) if error.is::<LengthLimitError>() => {
                    return Err(StatusCode::PAYLOAD_TOO_LARGE);
                }
                Ok(Some(Err(_))) => return Err(StatusCode::BAD_REQUEST),
                Err(_) => return Err(StatusCode::REQUEST_TIMEOUT),
            };
            let Ok(data) = frame.into_data() else { continue };
            let come = held.len() + data.remaining();
            if come > SMALL {
                let waits = Instant::now();
                room = Some(self.room(caller, size, come, room).await?);
                end += waits.elapsed();
            }
            held.put(data);
        }
    }

    /// Waits for room, first in the caller's own share, so that a caller with many large bodies does not delay
    /// others.
    async fn room(
        &self,
        caller: &str,
        size: usize,
        come: usize,
        before: Option<Room>,
    ) -> Result<Room, StatusCode> {
        let Some(mut room) = before else {
            let own = self.wait(&self.own_room(caller), size).await?;
            let come = self.wait(&self.coming, come).await?;
            return Ok(Room { _own: own, come, whole: None });
        };
        let more = units(come).saturating_sub(room.come.num_permits());
        if more > 0 {
            room.come.merge(self.wait(&self.coming, more * UNIT).await?);
        }
        Ok(room)
    }

    async fn wait(
        &self,
        room: &Arc<Semaphore>,
        bytes: usize,
    ) -> Result<OwnedSemaphorePermit, StatusCode> {
        let permits = u32::try_from(units(bytes)).unwrap_or(u32::MAX);
        let room = timeout(self.patience, Arc::clone(room).acquire_many_owned(permits)).await;
        room.ok().and_then(Result::ok).ok_or(StatusCode::TOO_MANY_REQUESTS)
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
    use std::convert::Infallible;

    use futures_util::{StreamExt as _, stream};
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

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
        // Small bodies, and those of other callers.
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

    #[tokio::test]
    async fn what_has_not_come_takes_no_room() {
        let bodies = Arc::new(Bodies::new(200_000, Duration::from_secs(5)));
        let callers = (0..LARGEST).map(|caller| {
            let bodies = Arc::clone(&bodies);
            tokio::spawn(async move {
                let begun = Bytes::from(vec![b' '; 70_000]);
                let begun = stream::iter([Ok::<_, Infallible>(Frame::data(begun))]);
                let body = StreamBody::new(begun.chain(stream::pending()));
                bodies.read(&caller.to_string(), body).await.map(drop)
            })
        });
        let callers: Vec<_> = callers.collect();
        tokio::time::sleep(Duration::from_millis(100)).await;
        let read = timeout(Duration::from_secs(1), read(&bodies, "eve", 200_000)).await;
        assert!(read.unwrap().unwrap().is_some());
        callers.iter().for_each(|caller| caller.abort());
    }
}
