//! Keeps the server running: restarted on its port and store, and given up when it fails too often.

use std::fs;
use std::io;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use nexus_core::restart::{RestartHistory, RestartPolicy, Verdict};
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use crate::launch::{GRACE, Launch, Server};

/// How the server is.
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

/// One supervised server. Runs until it is told to stop, `stop`'s other half is dropped, or the server fails too often.
pub(crate) struct Supervisor {
    pub(crate) launch: Launch,
    pub(crate) policy: RestartPolicy,
    pub(crate) status: watch::Sender<Status>,
    pub(crate) stop: oneshot::Receiver<()>,
}

impl Supervisor {
    pub(crate) async fn run(mut self, mut server: Server) {
        let (mut history, begun) = (RestartHistory::default(), Instant::now());
        let port = server.port;
        loop {
            let logged = fs::metadata(self.launch.files.log()).map_or(0, |log| log.len());
            let exit = tokio::select! {
                exit = server.daemon.wait() => exit,
                _ = &mut self.stop => {
                    if let Err(error) = server.daemon.terminate(GRACE).await {
                        tracing::warn!(%error, "nats-server was told to end, but not how it ended");
                    }
                    self.status.send_replace(Status::Stopped);
                    return;
                }
            };
            let mut reason = self.exit_reason(exit, logged);
            server = loop {
                let verdict = history.record(&self.policy, begun.elapsed());
                let failures = history.total();
                let Verdict::RestartAfter(after) = verdict else {
                    tracing::error!(%reason, failures, "nats-server failed too often and is not started again");
                    self.status.send_replace(Status::Failed { reason, failures });
                    return;
                };
                let when = if after.is_zero() { "at once".to_owned() } else { format!("in {after:?}") };
                tracing::warn!(%reason, failures, "nats-server is started again {when}");
                self.status.send_replace(Status::Restarting { reason, after, failures });
                let restarted = async {
                    sleep(after).await;
                    self.launch.start(Some(port)).await
                };
                tokio::select! {
                    started = restarted => match started {
                        Ok(server) => break server,
                        Err(error) => reason = error.to_string(),
                    },
                    _ = &mut self.stop => {
                        self.status.send_replace(Status::Stopped);
                        return;
                    }
                }
            };
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
