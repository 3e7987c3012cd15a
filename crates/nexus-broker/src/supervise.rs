//! Keeps the server running: restarted on its port and store, and given up when it fails too often.

use std::fs;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nexus_core::restart::{RestartHistory, RestartPolicy, Verdict};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;

use crate::launch::{GRACE, Launch, Server};
use crate::store::{Store, Stuck};

/// The state of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    Running {
        pid: u32,
    },
    /// It ended by itself, or could not be started again; the next start is `after` from when this was said.
    Restarting {
        reason: String,
        after: Duration,
        /// The failures since the company started.
        failures: u64,
    },
    /// It failed too often and is not started again.
    Failed {
        reason: String,
        failures: u64,
    },
    /// It was stopped, as asked.
    Stopped,
}

/// Between two tries to start on a disk that has no room: soon enough for who has just made some.
const AGAIN: Duration = Duration::from_secs(2);

/// One supervised server. Runs until it is told to stop, `stop`'s other half is dropped, or the server fails too often.
pub(crate) struct Supervisor {
    pub(crate) launch: Launch,
    pub(crate) policy: RestartPolicy,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) store: watch::Receiver<Store>,
    pub(crate) restarts: mpsc::Receiver<Stuck>,
    pub(crate) stop: oneshot::Receiver<()>,
}

impl Supervisor {
    pub(crate) async fn run(mut self, mut server: Server) {
        let (mut history, begun) = (RestartHistory::default(), Instant::now());
        let port = server.port;
        loop {
            let logged = fs::metadata(self.launch.files.log()).map_or(0, |log| log.len());
            let (mut reason, mut by_disk) = tokio::select! {
                exit = server.daemon.wait() => (self.exit_reason(exit, logged), !self.store.borrow().is_well()),
                Some(Stuck { reason, by_disk }) = self.restarts.recv() => {
                    if let Err(error) = server.daemon.terminate(GRACE).await {
                        tracing::warn!(%error, "nats-server was told to end, but not how it ended");
                    }
                    (format!("nats-server stored nothing any more: {reason}"), by_disk)
                }
                _ = &mut self.stop => {
                    if let Err(error) = server.daemon.terminate(GRACE).await {
                        tracing::warn!(%error, "nats-server was told to end, but not how it ended");
                    }
                    self.status.send_replace(Status::Stopped);
                    return;
                }
            };
            let mut after = Duration::ZERO;
            server = loop {
                // A full disk says nothing about the server, which must still be there when there is room again.
                if !by_disk {
                    let verdict = history.record(&self.policy, begun.elapsed());
                    let failures = history.total();
                    let Verdict::RestartAfter(pause) = verdict else {
                        tracing::error!(%reason, failures, "nats-server failed too often and is not started again");
                        self.status.send_replace(Status::Failed { reason, failures });
                        return;
                    };
                    after = pause;
                }
                let failures = history.total();
                let when = if after.is_zero() { "at once".to_owned() } else { format!("in {after:?}") };
                tracing::warn!(%reason, failures, "nats-server is started again {when}");
                self.status.send_replace(Status::Restarting { reason: reason.clone(), after, failures });
                let restarted = async {
                    sleep(after).await;
                    self.launch.start(Some(port)).await
                };
                tokio::select! {
                    started = restarted => match started {
                        Ok(server) => break server,
                        Err(error) => {
                            reason = error.to_string();
                            by_disk = !self.store.borrow().is_well();
                            after = AGAIN;
                        }
                    },
                    _ = &mut self.stop => {
                        self.status.send_replace(Status::Stopped);
                        return;
                    }
                }
            };
            // What was found before the start is about the server that was.
            while self.restarts.try_recv().is_ok() {}
            self.status.send_replace(Status::Running { pid: server.daemon.pid() });
        }
    }

    fn exit_reason(&self, exit: io::Result<ExitStatus>, logged: u64) -> String {
        let exit = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
        match self.launch.last_words(logged) {
            Some(words) => format!("nats-server ended ({exit}): {words}"),
            None => format!("nats-server ended ({exit})"),
        }
    }
}
