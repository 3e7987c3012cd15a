//! The ends of tasks, as they are told on NATS.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tokio::sync::oneshot;

use crate::LoadError;
use crate::error::nats;

/// The state of a task: whichever comes first, its end or somebody who waits for it.
enum Known {
    Ended(Result<Instant, String>),
    Awaited(oneshot::Sender<Result<Instant, String>>),
}

#[derive(Default)]
struct Ends {
    of: HashMap<String, Known>,
    completed: usize,
}

/// A subscription to the events of some, such as a department's; only their subjects and headers are read, to be light.
pub(crate) struct Watch(Arc<Mutex<Ends>>);

fn lock(ends: &Mutex<Ends>) -> MutexGuard<'_, Ends> {
    ends.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watch {
    pub(crate) async fn begin(nats_client: &async_nats::Client, events: String) -> Result<Self, LoadError> {
        let mut events = nats_client.subscribe(events).await.map_err(nats)?;
        // The server has taken the subscription when it answers what was sent after it.
        let echo = nats_client.new_inbox();
        let mut echoed = nats_client.subscribe(echo.clone()).await.map_err(nats)?;
        nats_client.publish(echo, bytes::Bytes::new()).await.map_err(nats)?;
        echoed.next().await;
        let ends = Arc::new(Mutex::new(Ends::default()));
        let told = Arc::clone(&ends);
        tokio::spawn(async move {
            while let Some(message) = events.next().await {
                let kind = message.headers.as_ref().and_then(|headers| headers.get("ce-type"));
                let end = match kind.map(async_nats::HeaderValue::as_str) {
                    Some("nexus.task.completed") => Ok(Instant::now()),
                    Some(kind @ ("nexus.task.failed" | "nexus.task.cancelled")) => Err(kind.to_owned()),
                    _ => continue,
                };
                let Some(id) = message.subject.rsplit('.').next() else { continue };
                let mut ends = lock(&told);
                ends.completed += usize::from(end.is_ok());
                match ends.of.remove(id) {
                    Some(Known::Awaited(waiter)) => drop(waiter.send(end)),
                    _ => drop(ends.of.insert(id.to_owned(), Known::Ended(end))),
                }
            }
        });
        Ok(Self(ends))
    }

    /// Waits until a task is completed, and says when that was told; any other end is an error.
    pub(crate) async fn end_of(&self, id: &str, longest: Duration) -> Result<Instant, LoadError> {
        let waiter = {
            let mut ends = lock(&self.0);
            match ends.of.remove(id) {
                Some(Known::Ended(end)) => return end.map_err(|kind| unmet(id, &kind)),
                _ => {
                    let (sender, receiver) = oneshot::channel();
                    ends.of.insert(id.to_owned(), Known::Awaited(sender));
                    receiver
                }
            }
        };
        match tokio::time::timeout(longest, waiter).await {
            Ok(Ok(end)) => end.map_err(|kind| unmet(id, &kind)),
            _ => Err(unmet(id, "nothing that ends it")),
        }
    }

    pub(crate) fn completed(&self) -> usize {
        lock(&self.0).completed
    }
}

fn unmet(id: &str, kind: &str) -> LoadError {
    LoadError::Unmet(format!("task {id} was to be completed, and there was {kind}"))
}
