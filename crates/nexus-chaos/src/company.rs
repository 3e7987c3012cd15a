//! The company under test: one node with a private broker, or two nodes on a broker of the harness's own, each started,
//! ended and watched as a service manager would.

use std::process::Stdio;
use std::time::Duration;

use nexus_broker::{Broker, BrokerOptions, DataDir, Tools};
use nexus_bus::{Access, Bus, Client, Credentials};
use nexus_core::id::NodeId;
use nexus_core::restart::RestartPolicy;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;
use tokio::sync::Mutex;

use crate::cli::{Mode, Options};
use crate::disk::Disk;
use crate::error::HarnessError;
use crate::mark::Moment;
use crate::processes;
use crate::proxy::Proxy;
use crate::site::Site;
use crate::story::{Story, Violation, Wrong};

/// The lease of a node in the runs; a task's own is three times as long.
pub(crate) const LEASE: Duration = Duration::from_secs(2);
/// The longest time that a start may take on a busy machine: only a fault reaches it.
const READY: Duration = Duration::from_secs(60);
/// The longest time that a stop may take: both graces, and a broker that writes out what it has.
const STOP: Duration = Duration::from_secs(60);
/// The time between two looks at a node that should be running.
const LOOK: Duration = Duration::from_millis(100);

/// One `nexus up`.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) name: &'static str,
    site: Site,
    program: std::path::PathBuf,
    server: std::path::PathBuf,
    unfenced: bool,
    /// The way to a shared broker, and who it is there.
    pub(crate) way: Option<(Proxy, Credentials)>,
    /// Held by whoever does something to it; empty while it is down.
    pub(crate) child: Mutex<Option<Child>>,
}

/// All of a run's company.
#[derive(Debug)]
pub(crate) struct Company {
    pub(crate) nodes: Vec<Node>,
    pub(crate) bus: Bus,
    pub(crate) client: Client,
    pub(crate) disk: Option<Disk>,
    broker: Option<Broker>,
    tools: Tools,
    site: Site,
}

impl Company {
    pub(crate) async fn start(site: &Site, mode: Mode, options: &Options, story: &Story) -> Result<Self, HarnessError> {
        let program = site.program("nexus", &options.nexus)?;
        let tools = Tools::new(Some(options.server.clone()), site.root().join("tools"));
        let node = |name, way| Node {
            name,
            site: site.clone(),
            program: program.clone(),
            server: options.server.clone(),
            unfenced: options.unfenced,
            way,
            child: Mutex::new(None),
        };
        let (nodes, broker, disk) = match mode {
            Mode::Solo => {
                let disk = if options.with_disk() { Disk::mount(&site.data("a"))? } else { None };
                (vec![node("a", None)], None, disk)
            }
            Mode::Pair => {
                let broker = shared(site, &tools).await?;
                let mut nodes = Vec::new();
                for name in ["a", "b"] {
                    nodes.push(node(name, Some((Proxy::start(broker.port()).await?, credentials(&broker)))));
                }
                (nodes, Some(broker), None)
            }
        };
        for node in &nodes {
            node.start(&mut *node.child.lock().await, story).await?;
        }
        let access = match &broker {
            Some(broker) => Access { url: broker.url(), credentials: credentials(broker), ..Access::default() },
            None => crate::client::private(&site.data("a"))?,
        };
        let bus = crate::client::connect(&access).await?;
        Ok(Self { nodes, client: Client::new(bus.clone()), bus, disk, broker, tools, site: site.clone() })
    }

    /// The nats-server's process, while it runs.
    pub(crate) async fn broker_pid(&self) -> Option<u32> {
        match &self.broker {
            Some(broker) => broker.pid(),
            None => nexus_broker::status(&self.tools, &self.site.data("a")).await.running.map(|server| server.pid),
        }
    }

    /// Starts a node again that ended without being told to, and says so. Never returns.
    pub(crate) async fn keep_up(&self, story: &Story) {
        loop {
            tokio::time::sleep(LOOK).await;
            for node in &self.nodes {
                let Ok(mut child) = node.child.try_lock() else { continue };
                if let Some(Ok(Some(status))) = child.as_mut().map(Child::try_wait) {
                    let what = format!("node {} ended by itself: {status}", node.name);
                    story.wrong(Violation::new(Wrong::Company, None, what));
                    *child = None;
                    let _ = node.start(&mut child, story).await;
                }
            }
        }
    }

    /// Stops everything as its user would.
    pub(crate) async fn stop(self, story: &Story) {
        self.bus.closing();
        for node in &self.nodes {
            let mut child = node.child.lock().await;
            node.stop(&mut child, story).await;
        }
        if let Some(broker) = self.broker {
            broker.stop().await;
        }
    }
}

/// A broker for two nodes, of the same kind as a private one.
async fn shared(site: &Site, tools: &Tools) -> Result<Broker, HarnessError> {
    let failed = |error: String| HarnessError::Broker(error);
    let lock = DataDir::lock(&site.data("broker")).map_err(|error| failed(error.to_string()))?;
    let mut options = BrokerOptions::new(lock, tools.clone());
    // It is killed on purpose, and more often than a sound one fails.
    options.restart = RestartPolicy { max_restarts: 10_000, ..RestartPolicy::default() };
    nexus_broker::start(&options, |_| {}).await.map_err(|error| failed(error.to_string()))
}

fn credentials(broker: &Broker) -> Credentials {
    Credentials::UserPassword { user: broker.user().to_owned(), password: broker.password().to_owned() }
}

impl Node {
    /// Its name on the ledger, once it has had a first start.
    pub(crate) fn id(&self) -> Option<NodeId> {
        let text = std::fs::read_to_string(self.site.data(self.name).join("node")).ok()?;
        NodeId::new(text.trim()).ok()
    }

    pub(crate) fn pid(child: &Option<Child>) -> Option<u32> {
        child.as_ref().and_then(Child::id)
    }

    /// Starts it, and returns when it says that it is ready. A start that fails, because another fault fell into it, is
    /// made again, as a service manager would.
    pub(crate) async fn start(&self, child: &mut Option<Child>, story: &Story) -> Result<Moment, HarnessError> {
        let deadline = tokio::time::Instant::now() + READY;
        while tokio::time::Instant::now() < deadline {
            let mut lines = BufReader::new(self.spawn(child)?).lines();
            let ready = tokio::time::timeout_at(deadline, lines.next_line()).await;
            let at = Moment::now();
            if matches!(&ready, Ok(Ok(Some(line))) if line.starts_with("nexus ready")) {
                story.tell(format!("node {} is ready (pid {:?})", self.name, Self::pid(child)));
                // What it prints later must not fill the pipe.
                tokio::spawn(async move { while matches!(lines.next_line().await, Ok(Some(_))) {} });
                return Ok(at);
            }
            story.tell(format!("node {} could not start: {ready:?}", self.name));
            self.kill(child).await;
            tokio::time::sleep(LOOK).await;
        }
        let what = format!("node {} did not start within {READY:?}", self.name);
        story.wrong(Violation::new(Wrong::Company, None, what));
        Err(HarnessError::NotReady(format!("node {}", self.name), READY, self.site.log(self.name)))
    }

    /// Starts it, and doesn't wait for it.
    pub(crate) fn spawn(&self, child: &mut Option<Child>) -> Result<tokio::process::ChildStdout, HarnessError> {
        let log = std::fs::File::options().create(true).append(true).open(self.site.log(self.name));
        #[expect(clippy::disallowed_types, reason = "the program under test is started as its user starts it")]
        let mut command = tokio::process::Command::new(&self.program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"NEXUS_")) {
            command.env_remove(name);
        }
        command.arg("--data-dir").arg(self.site.data(self.name)).arg("--config").arg(self.site.config());
        command.args(["up", "--listen", "127.0.0.1:0"]);
        command.env("NEXUS_FAULTS", "1").env("NEXUS_BROKER__SERVER", &self.server);
        if self.unfenced {
            command.env("NEXUS_UNFENCED", "1");
        }
        if let Some((proxy, Credentials::UserPassword { user, password })) = &self.way {
            command.args(["--nats", &proxy.url()]);
            command.env("NEXUS_NATS__USER", user).env("NEXUS_NATS__PASSWORD", password);
        }
        command.current_dir(self.site.project()).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
        command.stderr(log.map_err(HarnessError::io("a node's log"))?);
        let mut started = command.spawn().map_err(HarnessError::io("starting nexus"))?;
        let stdout = started.stdout.take();
        *child = Some(started);
        stdout.ok_or_else(|| HarnessError::io("starting nexus")(std::io::Error::other("it has no output")))
    }

    /// Kills it without a word.
    pub(crate) async fn kill(&self, child: &mut Option<Child>) {
        if let Some(mut child) = child.take() {
            let _ = child.kill().await;
        }
    }

    /// Stops it by SIGTERM; it has to end well.
    pub(crate) async fn stop(&self, child: &mut Option<Child>, story: &Story) {
        let Some(mut ending) = child.take() else { return };
        if let Some(pid) = ending.id() {
            processes::signal(pid, Signal::TERM);
        }
        let ended = tokio::time::timeout(STOP, ending.wait()).await;
        if !matches!(&ended, Ok(Ok(status)) if status.success()) {
            let what = format!("node {} was told to stop and did not end well: {ended:?}", self.name);
            story.wrong(Violation::new(Wrong::Company, None, what));
            let _ = ending.kill().await;
        }
    }
}

/// The nats-server that `nexus` uses, installed if there is none.
pub(crate) async fn server(nexus: &std::path::Path) -> Result<std::path::PathBuf, HarnessError> {
    #[derive(serde::Deserialize)]
    struct Installed {
        path: std::path::PathBuf,
    }
    #[expect(clippy::disallowed_types, reason = "the program under test is started as its user starts it")]
    let mut command = tokio::process::Command::new(nexus);
    let output = command.args(["-o", "json", "broker", "install"]).stdin(Stdio::null()).output().await;
    let output = output.map_err(HarnessError::io("nexus broker install"))?;
    let installed = serde_json::from_slice::<Installed>(&output.stdout);
    installed
        .map(|installed| installed.path)
        .map_err(|_| HarnessError::Broker(String::from_utf8_lossy(&output.stderr).into_owned()))
}
