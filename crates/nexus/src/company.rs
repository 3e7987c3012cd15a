//! A company in this process: everything wired together, from the configuration to the web page.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nexus_broker::{Broker, DataDirLock};
use nexus_bus::{Bus, Client};
use nexus_config::{Here, Loaded, Override, Settings, Source};
use nexus_core::company::Company as Charter;
use nexus_core::overview::ProcessInfo;
use nexus_runtime::{LedgerError, Runtime, RuntimeOptions, StartError};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::PlaceArgs;
use crate::exit::Exit;
use crate::place::{self, Address};
use crate::reception::Reception;

mod in_force;
mod process;
mod stores;

pub(crate) use in_force::in_force;
pub(crate) use stores::{bounds, broker, external, history_url, streams};

/// A company that runs in this process.
pub(crate) struct Company {
    pub(crate) client: Client,
    pub(crate) process: ProcessInfo,
    /// The newest one.
    pub(crate) charter: Charter,
    /// The settings at its start; some of them stay as they were.
    settings: Settings,
    runtime: Runtime,
    broker: Option<Broker>,
    shutdown: CancellationToken,
    serving: Option<JoinHandle<()>>,
    reloads: Option<tokio::sync::mpsc::Receiver<Result<Loaded, nexus_config::ConfigErrors>>>,
    data_dir: PathBuf,
    _lock: DataDirLock,
}

/// The parts of a company besides running tasks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Extras {
    /// Serve HTTP, at this address or the configured one.
    pub(crate) web: bool,
    pub(crate) listen: Option<SocketAddr>,
    /// For a client, wherever that stands: no configuration counts that only lies there, and a free port does where that
    /// address is taken.
    pub(crate) for_client: bool,
    /// The file that standard error goes to, where that is known.
    pub(crate) log: Option<PathBuf>,
    /// Go on with whatever ledger is found.
    pub(crate) new_ledger: bool,
}

/// The configuration that is meant.
pub(crate) fn source(place: &PlaceArgs, listen: Option<SocketAddr>) -> Source {
    let set = |key: &str, flag: &str, value: String| Override { key: key.to_owned(), value, flag: flag.to_owned() };
    let listen = listen.map(|addr| set("web.listen", "--listen", addr.to_string()));
    let nats = place.nats.clone().map(|url| set("nats.url", "--nats", url));
    let creds = place.creds.as_ref().map(|file| set("nats.creds", "--creds", file.display().to_string()));
    let overrides = listen.into_iter().chain(nats).chain(creds).collect();
    let here = place::trust().map_or(Here::Ignored, Here::Trusted);
    Source::of_process(place.config.clone(), here, overrides)
}

impl Company {
    /// Starts a company; when this returns, it takes work.
    pub(crate) async fn start(place: &PlaceArgs, extras: Extras) -> Result<Self, Exit> {
        let mut source = source(place, extras.listen);
        if extras.for_client {
            source.here = Here::Ignored;
        }
        let loaded = nexus_config::load(&source).map_err(Exit::config)?;
        if let Some(untrusted) = &loaded.untrusted {
            tracing::warn!(target: "nexus_config", "{untrusted}");
        }
        let data_dir = place::data_dir(place)?;
        // Refused before anything is made there, but where a company has been: what its attempts have left can go then.
        if !data_dir.join("private").is_dir() {
            place::has_room(&data_dir)?;
        }
        let lock = place::lock(&data_dir).await?;
        for removed in nexus_runtime::make_room_to_start(&data_dir) {
            tracing::warn!(target: "nexus_runtime", "{removed}");
        }
        place::has_room(&data_dir)?;
        let node =
            place::node_id(&data_dir).map_err(|error| Exit::failure(format!("{}: {error}", data_dir.display())))?;
        // Before anything is started: a taken port is said at once.
        let door = match extras.web {
            true => Some(process::open(loaded.settings.web.listen, extras.for_client, &data_dir).await?),
            false => None,
        };
        let (broker, access) = broker(&loaded.settings, &lock).await?;
        let (bus, unfenced) = fences(Bus::connect(&access, "nexus").await?);
        if let Some(broker) = &broker {
            tokio::spawn(tell_of_the_disk(broker.store(), bus.clone(), data_dir.clone()));
            // All but the ledger can be made anew as it was.
            let spared = (!extras.new_ledger).then_some(nexus_bus::LEDGER);
            broker.put_aside(&bus.inventory().await?, spared);
        }
        let streams = streams(&loaded);
        if broker.is_none() {
            bus.suits(&streams).await?;
        }
        let web = door.as_ref().map(|(bound, _)| bound.addr());
        let process = process::info(&loaded, &data_dir, extras.log, &access, web);
        let options = RuntimeOptions {
            node,
            data_dir: data_dir.clone(),
            history_url: history_url(&loaded.settings, &data_dir),
            streams,
            lease: loaded.settings.bus.lease.get(),
            alone: broker.is_some() || unfenced,
            guard: guard().filter(|_| !unfenced),
            receptionist: Some(Arc::new(Reception(Client::new(bus.clone())))),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            process: process.clone(),
            new_ledger: extras.new_ledger,
            checkouts: bounds(&loaded.settings),
            faults: std::env::var_os("NEXUS_FAULTS").is_some_and(|value| value == "1"),
        };
        let runtime = Runtime::start(bus.clone(), loaded.company.clone(), options)
            .await
            .map_err(|error| not_started(&error, broker.as_ref(), &data_dir))?;
        let client = Client::new(bus);
        let shutdown = CancellationToken::new();
        let serving = door.map(|(bound, token)| {
            let mcp = nexus_mcp::http_service(client.clone(), bound.addr(), shutdown.clone());
            tokio::spawn(bound.serve(client.clone(), mcp, token, shutdown.clone()))
        });
        let reloads = extras.web.then(|| nexus_config::watch(source, &loaded));
        Address::new(&access, &process)
            .write(&data_dir)
            .map_err(|error| Exit::failure(format!("{}: {error}", data_dir.display())))?;
        let Loaded { company: charter, settings, .. } = loaded;
        Ok(Self {
            client,
            process,
            charter,
            settings,
            runtime,
            broker,
            shutdown,
            serving,
            reloads,
            data_dir,
            _lock: lock,
        })
    }

    /// Runs until `stop` says so, or something that can't be mended has failed. `hurry` cuts the grace short.
    pub(crate) async fn run(
        mut self,
        stop: impl Future<Output = ()>,
        hurry: impl Future<Output = ()>,
    ) -> Result<(), Exit> {
        let mut reloads = self.reloads.take();
        let mut broker = self.broker.as_ref().map(Broker::status);
        let reason = tokio::select! {
            () = stop => None,
            ended = self.runtime.ended() => Some(ended.err().unwrap_or_else(|| "it ended by itself".to_owned())),
            cause = broker_failed(&mut broker) => Some(cause),
            never = keep_up(&self.runtime, &self.settings, &mut self.charter, &mut reloads) => match never {},
        };
        if let Some(reason) = reason {
            self.close().await;
            return Err(Exit::failure(format!("the company has stopped: {reason}")));
        }
        self.stop(hurry).await;
        Ok(())
    }

    /// Stops: what runs gets its grace and then goes back to the queue.
    pub(crate) async fn stop(self, hurry: impl Future<Output = ()>) {
        let grace = self.charter.shutdown_grace.get();
        let sooner = if std::io::stderr().is_terminal() { " (Ctrl-C again: at once)" } else { "" };
        tracing::info!(target: "nexus_ceo", "stopping; agents have {}{sooner}", self.charter.shutdown_grace);
        self.shutdown.cancel();
        self.runtime.stop(grace);
        tokio::pin!(hurry);
        let mut hurried = false;
        loop {
            tokio::select! {
                ended = self.runtime.ended() => {
                    if let Err(cause) = ended {
                        tracing::error!("while stopping: {cause}");
                    }
                    break;
                }
                () = &mut hurry, if !hurried => {
                    hurried = true;
                    self.runtime.hurry();
                }
            }
        }
        self.close().await;
    }

    async fn close(mut self) {
        let put_back = self.runtime.put_back();
        self.shutdown.cancel();
        if let Some(serving) = self.serving.take() {
            let _ = serving.await;
        }
        Address::remove(&self.data_dir);
        let _ = std::fs::remove_file(process::socket(&self.data_dir));
        if let Some(broker) = self.broker.take() {
            broker.stop().await;
        }
        match put_back {
            0 => tracing::info!(target: "nexus_ceo", "stopped"),
            1 => tracing::info!(target: "nexus_ceo", "stopped; 1 task went back to the queue"),
            many => tracing::info!(target: "nexus_ceo", "stopped; {many} tasks went back to the queue"),
        }
    }
}

/// Applies changes of the configuration as they come.
async fn keep_up(
    runtime: &Runtime,
    started_with: &Settings,
    charter: &mut Charter,
    reloads: &mut Option<tokio::sync::mpsc::Receiver<Result<Loaded, nexus_config::ConfigErrors>>>,
) -> std::convert::Infallible {
    while let Some(changes) = reloads {
        match changes.recv().await {
            Some(Ok(loaded)) => {
                if loaded.company != *charter {
                    tracing::info!(target: "nexus_config", "the configuration has changed and is in force");
                    charter.clone_from(&loaded.company);
                }
                let waiting = differing(started_with, &loaded.settings).join(", ");
                if !waiting.is_empty() {
                    tracing::warn!(target: "nexus_config", "what has changed in {waiting} needs a restart of the company");
                }
                runtime.reload(loaded.company);
                runtime.config_error(None);
            }
            Some(Err(errors)) => {
                tracing::error!(target: "nexus_config", "the changed configuration can't be used; the last good one stays:\n{errors}");
                runtime.config_error(Some(errors.to_string()));
            }
            None => *reloads = None,
        }
    }
    std::future::pending().await
}

/// The tables of `nexus.toml` that say something else than what the company was started with.
fn differing(started_with: &Settings, now: &Settings) -> Vec<&'static str> {
    // `[apply]` is for the command alone, which reads it itself.
    let Settings { nats, bus, broker, history, web, apply: _, workspaces } = started_with;
    let tables = [
        ("[nats]", *nats != now.nats),
        ("[bus]", *bus != now.bus),
        ("[broker]", *broker != now.broker),
        ("[history]", *history != now.history),
        ("[web]", *web != now.web),
        ("[workspaces]", *workspaces != now.workspaces),
    ];
    tables.into_iter().filter(|(_, differs)| *differs).map(|(table, _)| table).collect()
}

async fn broker_failed(status: &mut Option<tokio::sync::watch::Receiver<nexus_broker::Status>>) -> String {
    if let Some(status) = status
        && let Ok(failed) = status.wait_for(|status| matches!(status, nexus_broker::Status::Failed { .. })).await
        && let nexus_broker::Status::Failed { reason, failures } = &*failed
    {
        return format!(
            "its broker has failed too often ({failures} times since the start, at last because {reason}); what was \
             accepted is kept, and `nexus up` goes on with it"
        );
    }
    std::future::pending().await
}

/// The program that guards the agents of this one: itself, whatever has become of its file.
fn guard() -> Option<PathBuf> {
    cfg!(target_os = "linux").then(|| PathBuf::from("/proc/self/exe"))
}

/// Breaks the promise that no task runs twice at a time, if a debug build is told to, so that the fault harness can show
/// that it notices: whether it did.
fn fences(bus: Bus) -> (Bus, bool) {
    #[cfg(debug_assertions)]
    if std::env::var_os("NEXUS_UNFENCED").is_some_and(|value| value == "1") {
        return (bus.without_fences(), true);
    }
    (bus, false)
}

/// Says why not, and, where the ledger is gone, what its server says and what can be done.
fn not_started(error: &StartError, broker: Option<&Broker>, data_dir: &Path) -> Exit {
    let exit = Exit::failure(format!("the company could not start: {error}"));
    if !matches!(error, StartError::Ledger(LedgerError::Gone { .. } | LedgerError::Another { .. })) {
        return exit;
    }
    let dir = data_dir.display();
    let mut help = format!(
        "put {dir} back from a copy; or start afresh with another --data-dir (or this one moved away); or let \
         `nexus up --new-ledger` go on with whatever is found, and forget what was known"
    );
    if let Some(broker) = broker {
        let said: String = broker.complaints().iter().map(|line| format!("\n  {line}")).collect();
        if !said.is_empty() {
            help = format!("its server says:{said}\n{help}");
        }
    }
    exit.with_help(help)
}

/// Lets new work be refused while the broker's disk has no room; ends with the broker.
async fn tell_of_the_disk(mut store: tokio::sync::watch::Receiver<nexus_broker::Store>, bus: Bus, data_dir: PathBuf) {
    // Looked for once each time that it becomes full: it is a walk through all that is there.
    let mut big = None;
    loop {
        let now = store.borrow_and_update().clone();
        bus.set_trouble(trouble(&now, big.as_ref()));
        match &now {
            nexus_broker::Store::Full { .. } if big.is_none() => {
                let data_dir = data_dir.clone();
                let found = tokio::task::spawn_blocking(move || nexus_runtime::biggest(&data_dir)).await;
                big = Some(found.ok().flatten().unwrap_or_default());
                bus.set_trouble(trouble(&now, big.as_ref()));
            }
            nexus_broker::Store::Full { .. } => {}
            _ => big = None,
        }
        if store.changed().await.is_err() {
            return;
        }
    }
}

/// The store's trouble, as a sentence; `big` names what holds most of the data directory.
fn trouble(store: &nexus_broker::Store, big: Option<&String>) -> Option<String> {
    let big = big.filter(|big| !big.is_empty()).map(|big| format!("; most of it is in {big}"));
    (!store.is_well()).then(|| format!("{store}{}", big.unwrap_or_default()))
}
