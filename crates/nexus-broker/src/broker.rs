//! A company's running broker: what clients need to reach it, how it is, and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use nexus_core::restart::RestartPolicy;
use semver::Version;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::conf::Sync;
use crate::error::BrokerError;
use crate::files::Files;
use crate::install::install;
use crate::launch::{Launch, Server, is_free};
use crate::lock::DataDirLock;
use crate::progress::Progress;
use crate::store::{Store, Watcher};
use crate::supervise::{Status, Supervisor};
use crate::tools::{Candidate, Origin, Tools, find};

/// The server to start, and its place. The lock proves that no other company works in the data directory.
#[derive(Clone, Debug)]
pub struct BrokerOptions {
    pub lock: DataDirLock,
    pub tools: Tools,
    pub sync: Sync,
    /// The largest message. The server discourages more than the default, 8 MiB.
    pub max_payload: u32,
    /// The longest time that a start may take: a server loads a million waiting tasks in 10 to 14 s.
    pub ready_within: Duration,
    /// The bounds of its failures.
    pub restart: RestartPolicy,
}

impl BrokerOptions {
    #[must_use]
    pub fn new(lock: DataDirLock, tools: Tools) -> Self {
        Self {
            lock,
            tools,
            sync: Sync::default(),
            max_payload: 8 * 1024 * 1024,
            ready_within: Duration::from_secs(300),
            restart: RestartPolicy::default(),
        }
    }
}

/// A server that runs and is kept running. Dropping it kills the server; [`Broker::stop`] ends it in order.
#[derive(Debug)]
pub struct Broker {
    port: u16,
    user: String,
    password: Secret,
    server: Candidate,
    status: watch::Receiver<Status>,
    store: watch::Receiver<Store>,
    log: PathBuf,
    store_dir: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    supervisor: Option<JoinHandle<()>>,
    _lock: DataDirLock,
}

struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(secret)")
    }
}

/// Finds a server (installs one where there is none), starts it, and returns once it takes clients.
///
/// # Errors
/// When no usable server is found and none can be installed, or the server doesn't start.
pub async fn start(
    options: &BrokerOptions,
    progress: impl Fn(Progress) + Send + std::marker::Sync,
) -> Result<Broker, BrokerError> {
    let server = choose(&options.tools, &progress).await?;
    let files = Files::of(options.lock.dir());
    let mut launch = Launch {
        program: server.path.clone(),
        identity: files.load_identity(),
        files,
        sync: options.sync,
        max_payload: options.max_payload,
        ready_within: options.ready_within,
    };
    launch.end_leftover().await;
    progress(Progress::Starting { version: server.version.clone(), path: server.path.clone() });
    let started = on_kept_port(&launch, &progress).await?;
    launch.identity.port = Some(started.port);
    launch
        .files
        .save_identity(&launch.identity)
        .map_err(|source| BrokerError::Files { dir: launch.files.dir().to_owned(), source })?;
    progress(Progress::Ready { port: started.port });
    Ok(supervise(options, server, launch, started))
}

async fn choose(
    tools: &Tools,
    progress: &(impl Fn(Progress) + Send + std::marker::Sync),
) -> Result<Candidate, BrokerError> {
    let found = find(tools).await;
    if let Some(chosen) = found.chosen {
        found.rejected.into_iter().for_each(|rejected| progress(Progress::Rejected(rejected)));
        return Ok(chosen);
    }
    for rejected in found.rejected {
        if rejected.origin == Origin::Setting {
            return Err(BrokerError::Setting(rejected));
        }
        progress(Progress::Rejected(rejected));
    }
    let installed = install(tools, progress).await?;
    Ok(Candidate { path: installed.path, version: installed.version, origin: Origin::Tools })
}

/// The port of the last start, so that programs that were told it find the company again; else any.
async fn on_kept_port(launch: &Launch, progress: &impl Fn(Progress)) -> Result<Server, BrokerError> {
    let Some(port) = launch.identity.port else { return launch.start(None).await };
    if is_free(port) {
        match launch.start(Some(port)).await {
            // Somebody took the port in between.
            Err(BrokerError::Ended { .. }) if !is_free(port) => {}
            result => return result,
        }
    }
    progress(Progress::PortTaken { port });
    launch.start(None).await
}

fn supervise(options: &BrokerOptions, server: Candidate, launch: Launch, started: Server) -> Broker {
    let (status, seen) = watch::channel(Status::Running { pid: started.daemon.pid() });
    let (stop, stopped) = oneshot::channel();
    let port = started.port;
    let (user, password) = (launch.identity.user.clone(), launch.identity.password.clone());
    let (log, store_dir) = (launch.files.log(), launch.files.store());
    let (store, seen_store) = watch::channel(Store::Well);
    // One at a time: while the server is restarted, there is nothing new to say about it.
    let (stuck, restarts) = mpsc::channel(1);
    tokio::spawn(Watcher::new(launch.files.store(), launch.files.log(), store).run(stuck));
    let supervisor =
        Supervisor { launch, policy: options.restart, status, store: seen_store.clone(), restarts, stop: stopped };
    Broker {
        port,
        user,
        password: Secret(password),
        server,
        status: seen,
        store: seen_store,
        log,
        store_dir,
        stop: Some(stop),
        supervisor: Some(tokio::spawn(supervisor.run(started))),
        _lock: options.lock.clone(),
    }
}

impl Broker {
    /// `nats://127.0.0.1:PORT`, the same for the broker's whole life.
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    #[must_use]
    pub fn password(&self) -> &str {
        &self.password.0
    }

    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.server.version
    }

    /// The program that runs, and where it was found.
    #[must_use]
    pub const fn server(&self) -> &Candidate {
        &self.server
    }

    /// The server's process, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        match *self.status.borrow() {
            Status::Running { pid } => Some(pid),
            _ => None,
        }
    }

    /// The server's own log.
    #[must_use]
    pub fn log(&self) -> &std::path::Path {
        &self.log
    }

    /// The server's complaints since it was started last, in its own words.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        crate::complaints::of_last_start(&self.log)
    }

    /// The state of the server, now and from now on.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Puts aside what of its store the server could not read: everything but `taken`, its streams and their consumers, and
    /// the stream `spared`.
    pub fn put_aside(&self, taken: &BTreeMap<String, BTreeSet<String>>, spared: Option<&str>) {
        crate::mend::put_aside(&self.store_dir, taken, spared);
    }

    /// The room in its store, now and from now on.
    #[must_use]
    pub fn store(&self) -> watch::Receiver<Store> {
        self.store.clone()
    }

    /// Ends the server (TERM; KILL after 10 s) and returns when its process is gone.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        if let Some(supervisor) = self.supervisor.take() {
            // It fails only if it panicked, and then the server went with it.
            let _ = supervisor.await;
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(supervisor) = &self.supervisor {
            supervisor.abort();
        }
    }
}
