//! The pace of one agent's connection: no more is read of it while much is unanswered, or answered and not taken.
//!
//! rmcp reads as fast as it can, and keeps every answer until it is written; a client that asks and never reads would
//! fill this process's memory.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::RoleServer;
use rmcp::model::{ClientNotification, ClientRequest, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use tokio::sync::Notify;

/// Requests that may be under way at a time. Twice as many as calls that may wait, so that these leave room for what is answered
/// at once, and for a cancellation of theirs.
const ROOM: usize = 64;
/// The room of a request whose answer may be a MiB.
const LARGE: usize = 8;

/// A transport that reads its peer's next message when there is room for it.
pub(crate) struct Paced<T> {
    transport: T,
    load: Arc<Load>,
    /// Read, and not let in yet.
    held: Option<RxJsonRpcMessage<RoleServer>>,
}

impl<T> Paced<T> {
    pub(crate) fn new(transport: T) -> Self {
        Self { transport, load: Arc::default(), held: None }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Paced<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        item: TxJsonRpcMessage<RoleServer>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // From here on until it is written or given up, both of which end the future.
        let unwritten = self.load.answer(&item);
        let send = self.transport.send(item);
        async move {
            let sent = send.await;
            drop(unwritten);
            sent
        }
    }

    /// Loses nothing if it is dropped before it is done.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleServer>> {
        if self.held.is_none() {
            self.load.until(|load| load.sum() < ROOM).await;
            self.held = Some(self.transport.receive().await?);
        }
        if let Some(JsonRpcMessage::Request(request)) = &self.held {
            let (id, room) = (&request.id, room_of(&request.request));
            // One whose id is in use waits for that: of the two, one answer would come.
            self.load.until(|load| load.has_room(room) && !load.asked.contains_key(id)).await;
            self.load.now().asked.insert(id.clone(), room);
        }
        if let Some(JsonRpcMessage::Notification(notification)) = &self.held
            && let ClientNotification::CancelledNotification(cancelled) = &notification.notification
            && let Some(id) = &cancelled.params.request_id
        {
            // It may be that no answer comes any more. Whoever answers it still is bounded by what may wait at a time.
            self.load.now().asked.remove(id);
        }
        self.held.take()
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.transport.close().await
    }
}

const fn room_of(request: &ClientRequest) -> usize {
    match request {
        ClientRequest::ReadResourceRequest(_) => LARGE,
        _ => 1,
    }
}

#[derive(Default)]
struct Load {
    now: Mutex<Now>,
    less: Notify,
}

#[derive(Default)]
struct Now {
    /// Requests that are being answered, with the room of each.
    asked: HashMap<RequestId, usize>,
    /// Room of the messages that are being written.
    unwritten: usize,
}

impl Now {
    fn sum(&self) -> usize {
        self.unwritten + self.asked.values().sum::<usize>()
    }

    fn has_room(&self, room: usize) -> bool {
        self.sum() + room <= ROOM
    }
}

impl Load {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is one who waits: whoever reads.
    async fn until(&self, fits: impl Fn(&Now) -> bool) {
        while !fits(&self.now()) {
            self.less.notified().await;
        }
    }

    /// The answer to a request is now being written.
    fn answer(self: &Arc<Self>, item: &TxJsonRpcMessage<RoleServer>) -> Unwritten {
        let id = match item {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            _ => None,
        };
        let mut now = self.now();
        let room = id.and_then(|id| now.asked.remove(id)).unwrap_or(1);
        now.unwritten += room;
        drop(now);
        // The id is free again.
        self.less.notify_one();
        Unwritten { load: self.clone(), room }
    }
}

/// A message that is being written.
struct Unwritten {
    load: Arc<Load>,
    room: usize,
}

impl Drop for Unwritten {
    fn drop(&mut self) {
        self.load.now().unwritten -= self.room;
        self.load.less.notify_one();
    }
}

#[cfg(test)]
mod tests;
