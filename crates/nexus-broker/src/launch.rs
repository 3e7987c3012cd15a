//! One start of the server, up to the moment it takes clients.

use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use nexus_process::daemon::{self, Daemon, DaemonSpec, leftover};
use notify::Watcher as _;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::conf::{self, Choices, Sync};
use crate::error::BrokerError;
use crate::files::{Files, Identity, write_private};
use crate::info;

/// The parts of a server to start.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) files: Files,
    pub(crate) identity: Identity,
    pub(crate) sync: Sync,
    pub(crate) max_payload: u32,
    pub(crate) ready_within: Duration,
}

/// A server that takes clients.
pub(crate) struct Server {
    pub(crate) daemon: Daemon,
    pub(crate) port: u16,
}

/// The longest time that a server may take to end when it is asked to: it writes out what it has.
pub(crate) const GRACE: Duration = Duration::from_secs(10);

/// Go returns memory late: left alone, draining a million tasks grew the heap to 1.6 GB around some 0.4 GB of live data.
/// Above this it collects harder. It is a soft limit, so a larger store still works.
const MEMORY: &str = "1GiB";

/// A watch can miss an event on a network file system: then the file is found this late.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// True if nobody else listens on a port of the loopback address.
pub(crate) fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

impl Launch {
    /// Ends a server that an earlier run left behind, if there is one.
    pub(crate) async fn end_leftover(&self) {
        let Some(pid) = self.files.recorded_pid() else { return };
        if leftover::end(pid, self.files.config().as_os_str(), GRACE).await {
            tracing::warn!(pid, "ended the nats-server that an earlier run left behind");
        }
    }

    /// Starts a server on `port`, or on one the system picks, and waits until it takes clients.
    pub(crate) async fn start(&self, port: Option<u16>) -> Result<Server, BrokerError> {
        let written = |result: std::io::Result<()>| {
            result.map_err(|source| BrokerError::Files { dir: self.files.dir().to_owned(), source })
        };
        written(self.files.prepare())?;
        let choices = Choices { port, sync: self.sync, max_payload: self.max_payload };
        let config = conf::render(&self.files, &self.identity, choices);
        written(write_private(&self.files.config(), config.as_bytes()))?;
        // The watch stands before the server can write what is watched for.
        let (watch, changed) = self.watch_ports();
        let logged = fs::metadata(self.files.log()).map_or(0, |log| log.len());
        let mut daemon = daemon::start(&self.spec()).await?;
        let pid = daemon.pid();
        let ready = async {
            tokio::select! {
                exit = daemon.wait() => Err(self.ended(exit, logged)),
                port = self.announced(pid, &changed) => Ok(port),
            }
        };
        let port = timeout(self.ready_within, ready)
            .await
            .map_err(|_| BrokerError::NotReady { limit: self.ready_within, log: self.files.log() })??;
        drop(watch);
        info::check(port, &self.identity.name).await.map_err(|reason| BrokerError::Stranger { port, reason })?;
        Ok(Server { daemon, port })
    }

    fn spec(&self) -> DaemonSpec {
        let mut env: Vec<(OsString, OsString)> = vec![("GOMEMLIMIT".into(), MEMORY.into())];
        // Windows opens no socket without it.
        env.extend(std::env::var_os("SystemRoot").map(|root| ("SystemRoot".into(), root)));
        let args = vec!["--config".into(), self.files.config().into_os_string()];
        DaemonSpec { program: self.program.clone(), args, env, output: self.files.output() }
    }

    fn watch_ports(&self) -> (Option<notify::RecommendedWatcher>, Arc<Notify>) {
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        let watch = notify::recommended_watcher(move |_| tell.notify_one()).and_then(|mut watcher| {
            watcher.watch(&self.files.ports(), notify::RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        // Without a watch (no inotify left) the file is only looked for again and again.
        (watch.ok(), changed)
    }

    async fn announced(&self, pid: u32, changed: &Notify) -> u16 {
        loop {
            if let Some(port) = self.files.announced_port(pid) {
                return port;
            }
            tokio::select! {
                () = changed.notified() => {}
                () = sleep(LOOK_AGAIN) => {}
            }
        }
    }

    fn ended(&self, exit: std::io::Result<ExitStatus>, logged: u64) -> BrokerError {
        let exit = exit.map_or_else(|error| error.to_string(), |status| status.to_string());
        let reason = self.last_words(logged).unwrap_or_else(|| "it gave no reason".to_owned());
        BrokerError::Ended { exit, reason, log: self.files.log() }
    }

    /// Its last words: printed (its configuration is wrong), or logged as an error after `logged` bytes.
    pub(crate) fn last_words(&self, logged: u64) -> Option<String> {
        let printed = fs::read(self.files.output()).unwrap_or_default();
        let log = fs::read(self.files.log()).unwrap_or_default();
        let new = log.get(usize::try_from(logged).ok()?..).unwrap_or(&log);
        let printed = String::from_utf8_lossy(&printed);
        let new = String::from_utf8_lossy(new);
        let error = new.lines().rev().find_map(|line| Some(line.split_once("[FTL] ").or(line.split_once("[ERR] "))?.1));
        printed.lines().rev().find(|line| !line.trim().is_empty()).or(error).map(str::to_owned)
    }
}
