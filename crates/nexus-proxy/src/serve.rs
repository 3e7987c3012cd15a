//! Taking connections in, and telling of refusals, no more of either than is good.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use nexus_core::network::Target;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::listener::Accepting;
use crate::{Refusal, Rules};

/// Connections of one attempt at a time. More wait; a build that fetches its packages has some tens.
const CONNECTIONS: usize = 256;
/// A request's head, at most: many times what any program sends.
const HEAD: usize = 64 * 1024;
/// A head comes within this, or the connection is closed; also one that is kept and not used.
const HEAD_TIME: Duration = Duration::from_secs(90);
/// The time in which the same refusal is told once.
const AGAIN: Duration = Duration::from_secs(10);
/// Refused targets to remember: an agent can invent any number.
const REMEMBERED: usize = 256;
/// After an accept that failed, for want of descriptors say.
const PAUSE: Duration = Duration::from_millis(100);

/// Shared by the connections of one attempt.
pub(crate) struct Shared {
    pub(crate) rules: Rules,
    told: Box<dyn Fn(Refusal) + Send + Sync>,
    last: Mutex<HashMap<Target, Instant>>,
    pub(crate) closing: CancellationToken,
}

impl Shared {
    pub(crate) fn refuse(&self, refusal: Refusal) {
        let now = Instant::now();
        {
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.retain(|_, at| now.duration_since(*at) < AGAIN);
            // When that many are refused at a time nobody reads on.
            if last.contains_key(&refusal.target) || last.len() >= REMEMBERED {
                return;
            }
            last.insert(refusal.target.clone(), now);
        }
        (self.told)(refusal);
    }
}

pub(crate) async fn serve(
    listener: Accepting,
    rules: Rules,
    told: Box<dyn Fn(Refusal) + Send + Sync>,
    closing: CancellationToken,
) {
    let shared = Arc::new(Shared { rules, told, last: Mutex::default(), closing });
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    while let Ok(permit) = Arc::clone(&room).acquire_owned().await {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!("the proxy of an agent could not accept: {error}");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let held = Arc::new(permit);
        let shared = Arc::clone(&shared);
        let closing = shared.closing.clone();
        let service = service_fn(move |request| {
            let (shared, held) = (Arc::clone(&shared), Arc::clone(&held));
            async move { Ok::<_, std::convert::Infallible>(shared.answer(request, held).await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIME)
            .max_buf_size(HEAD)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // It has told the agent what there is to tell.
        tokio::spawn(closing.run_until_cancelled_owned(connection));
    }
}
