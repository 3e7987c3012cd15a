//! A company's life on this node: begun, reloaded, stopped; and its CEO restarted should it fail.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use nexus_bus::{Bus, BusError, StreamOptions};
use nexus_core::company::Company;
use nexus_core::id::NodeId;
use nexus_core::lease::{Holder, Terms};
use nexus_core::overview::ProcessInfo;
use nexus_core::restart::{RestartHistory, Verdict};
use nexus_core::task::STORED_VERSION;
use nexus_history::{History, HistoryError};
use nexus_process::Sampler;
use nexus_process::guard::{Guard, GuardSpec};
use nexus_workspace::{Bounds, Workspaces};
use ractor::{Actor, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::accounts::Accounts;
use crate::backlog::{Backlog, Fill};
use crate::board::Board;
use crate::ceo::orphans::{self, OrphanError};
use crate::ceo::reign::Reigns;
use crate::ceo::{Ceo, CeoMsg};
use crate::conclude::reclaim;
use crate::engine::Engines;
use crate::former::{self, PutBackError};
use crate::gate::Roster;
use crate::historian::Historian;
use crate::janitor;
use crate::ledger_memory::{LedgerError, LedgerMemory};
use crate::node::Node;
use crate::projects::Projects;
use crate::protector::Protector;
use crate::purse::Purses;
use crate::reception::Receptionist;
use crate::staff_book::StaffBook;
use crate::tenure::Tenure;
use crate::trees::Trees;

/// Where and how a company runs.
#[derive(Clone, Debug)]
pub struct RuntimeOptions {
    /// This machine's data directory, by name; stable over restarts.
    pub node: NodeId,
    pub data_dir: PathBuf,
    /// `sqlite:PATH` or `postgres://...`.
    pub history_url: String,
    pub streams: StreamOptions,
    /// The time for which a node that gives no sign of life keeps what it has in hand; a task without a renewal, three times that.
    pub lease: Duration,
    /// No other node can reach the broker, because it is this company's own: nothing is given up when it can't be reached.
    pub alone: bool,
    /// A program that, started as `PROGRAM guard NAME VALUE`, calls [`nexus_process::guard::watch`]. None: what a killed
    /// company leaves behind is ended by its next start.
    pub guard: Option<PathBuf>,
    /// Who serves the company's tools to its agents; none: they get none.
    pub receptionist: Option<Arc<dyn Receptionist>>,
    /// The bounds of prepared checkouts.
    pub checkouts: Bounds,
    pub version: String,
    /// The process that this is, for people to be told of it.
    pub process: ProcessInfo,
    /// Go on with whatever ledger is found, though another one is known, or none is there any more.
    pub new_ledger: bool,
    /// Obey orders that break things on purpose. Tests only.
    pub faults: bool,
}

/// Why a company could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Bus(#[from] BusError),
    #[error("{0}")]
    Ledger(#[from] LedgerError),
    #[error("the history: {0}")]
    History(#[from] HistoryError),
    #[error(
        "the node {other} shares this broker and has a lease of {theirs} ms, but this one has {ours} ms; \
         set [bus] lease to the same on all nodes"
    )]
    LeaseDiffers { other: NodeId, theirs: u64, ours: u64 },
    #[error("the guard, which ends agents when the company is killed, could not be started: {0}")]
    Guard(std::io::Error),
    #[error(
        "whether processes of the last run are left can't be seen in /proc ({0}); make room for it, and start again"
    )]
    Unseen(String),
    #[error("processes of the last run can't be ended (pids {0:?}); end them, or restart the machine")]
    Leftover(Vec<u32>),
    #[error("the CEO could not start: {0}")]
    Ceo(String),
}

impl From<OrphanError> for StartError {
    fn from(error: OrphanError) -> Self {
        match error {
            OrphanError::Bus(error) => Self::Bus(error),
            OrphanError::History(error) => Self::History(error),
        }
    }
}

impl From<PutBackError> for StartError {
    fn from(error: PutBackError) -> Self {
        match error {
            PutBackError::Bus(error) => Self::Bus(error),
            PutBackError::History(error) => Self::History(error),
        }
    }
}

/// The guard of this run, if the system has any.
async fn guard(program: PathBuf, holder: &Holder) -> std::io::Result<Guard> {
    let args = ["guard".into(), former::RUN.into(), holder.run.to_string().into()].into();
    Guard::start(GuardSpec { program, args }).await
}

/// Beyond the graces: for KILL to work, and the last events to be written.
const LAST: Duration = Duration::from_secs(5);

/// A company at work.
#[derive(Debug)]
pub struct Runtime {
    node: Arc<Node>,
    ceo: Arc<ArcSwapOption<ActorRef<CeoMsg>>>,
    company: Arc<ArcSwap<Company>>,
    stopping: Arc<AtomicBool>,
    ended: watch::Receiver<Option<Result<(), String>>>,
    _root: AbortOnDropHandle<()>,
    janitor: AbortOnDropHandle<()>,
    _room: AbortOnDropHandle<()>,
    memory: LedgerMemory,
}

impl Runtime {
    /// Starts a company. When this returns it takes work.
    pub async fn start(bus: Bus, company: Company, options: RuntimeOptions) -> Result<Self, StartError> {
        let mut memory = LedgerMemory::read(&options.data_dir);
        let history = History::open(&options.history_url).await?;
        if options.new_ledger {
            memory.forget();
        } else if let Some(ledger) = history.ledger().await? {
            memory.folded(&ledger, history.position().await?);
        }
        memory.check(bus.ledger().await?.as_ref())?;
        if options.alone {
            bus.call_here();
        }
        let ledger = bus.prepare(&options.streams).await?;
        if let Some(found) = bus.ledger().await? {
            memory.begin(&found, Timestamp::now())?;
        }
        let purses = Arc::new(Purses::default());
        purses.set(&company);
        let historian =
            Historian::start(bus.clone(), history, &ledger, options.streams.retention, Arc::clone(&purses)).await?;
        let accounts = Accounts::open(bus.clone()).await?;
        let staff = StaffBook::open(bus.clone(), &options.node).await?;
        let terms = Terms::new(options.lease);
        let holder = Holder {
            v: STORED_VERSION,
            node: options.node.clone(),
            run: uuid::Uuid::new_v4(),
            lease_ms: u64::try_from(options.lease.as_millis()).unwrap_or(u64::MAX),
            beat: 0,
            agents: None,
        };
        let roster = Roster::default();
        crate::outside::tell();
        let guard = match options.guard {
            Some(program) => Some(guard(program, &holder).await.map_err(StartError::Guard)?),
            None => None,
        };
        let tenure = Tenure::begin(&bus, (&holder, &roster), terms, options.alone, guard).await?;
        let protector = Protector::look(&options.data_dir, &options.node);
        protector.clear();
        let node = Arc::new(Node {
            id: options.node,
            bus,
            historian,
            backlog: Backlog::default(),
            fill: Fill::new(options.streams.ledger_bytes),
            projects: Projects::new(&options.data_dir),
            trees: Trees::default(),
            board: Board::default(),
            staff,
            accounts,
            purses,
            roster,
            workspaces: Workspaces::new(options.data_dir.join("workspaces")).bounded(options.checkouts),
            prompts: options.data_dir.join("prompts"),
            sampler: Arc::new(Sampler::new()),
            protector,
            engines: Engines::new(&options.data_dir),
            directory: ArcSwap::from_pointee(company.departments.clone()),
            receptionist: options.receptionist,
            company: company.name.clone(),
            holder,
            terms,
            alone: options.alone,
            tenure,
            reigns: Reigns::default(),
            give_up: CancellationToken::new(),
            put_back: AtomicU64::default(),
            version: options.version,
            process: options.process,
            faults: options.faults,
        });
        node.historian.caught_up().await;
        former::requeue(&node).await?;
        // Before anything of it could start again.
        orphans::end_all(&node).await?;
        let company = Arc::new(company);
        let (first, join) = Actor::spawn(None, Ceo, (Arc::clone(&node), Arc::clone(&company)))
            .await
            .map_err(|error| StartError::Ceo(error.to_string()))?;
        let ceo = Arc::new(ArcSwapOption::from_pointee(first));
        let company = Arc::new(ArcSwap::new(company));
        let stopping = Arc::new(AtomicBool::new(false));
        let root = Root {
            node: Arc::clone(&node),
            ceo: Arc::clone(&ceo),
            company: Arc::clone(&company),
            stopping: Arc::clone(&stopping),
        };
        let janitor = AbortOnDropHandle::new(tokio::spawn(janitor::clean(Arc::clone(&node), Arc::clone(&company))));
        let room = AbortOnDropHandle::new(tokio::spawn(janitor::keep_room(Arc::clone(&node))));
        let (sender, ended) = watch::channel(None);
        let root = tokio::spawn(async move {
            let how = root.run(join).await;
            sender.send_replace(Some(how));
        });
        Ok(Self {
            node,
            ceo,
            company,
            stopping,
            ended,
            memory,
            _root: AbortOnDropHandle::new(root),
            janitor,
            _room: room,
        })
    }

    /// Goes by this configuration from now on; running work is finished under the old one.
    pub fn reload(&self, company: Company) {
        let company = Arc::new(company);
        self.company.store(Arc::clone(&company));
        self.tell(CeoMsg::Reload(company));
    }

    /// The newest configuration can't be used, and why; `None`: it can again, and it is the one that runs.
    pub fn config_error(&self, error: Option<String>) {
        self.tell(CeoMsg::ConfigError(error));
    }

    /// Stops: nothing more is taken, what runs gets `grace` and then goes back to the queue.
    pub fn stop(&self, grace: Duration) {
        self.stopping.store(true, Ordering::Release);
        self.tell(CeoMsg::Leave { grace });
        self.give_up_after(grace + LAST);
    }

    /// The tasks that went back to the queue because of the stop.
    #[must_use]
    pub fn put_back(&self) -> u64 {
        self.node.put_back.load(Ordering::Acquire)
    }

    /// Doesn't wait for the grace of a stop.
    pub fn hurry(&self) {
        self.tell(CeoMsg::Hurry);
        self.give_up_after(LAST);
    }

    /// Work that can't be ended or written down by then is left: the next start finds it on the ledger.
    fn give_up_after(&self, delay: Duration) {
        let stops = self.company.load().departments.values().map(|policy| policy.stop).collect::<Vec<_>>();
        let ladder = stops.iter().map(|stop| stop.interrupt_grace.get() + stop.terminate_grace.get()).max();
        let (node, delay) = (Arc::clone(&self.node), delay + ladder.unwrap_or_default());
        let ended = self.ended.clone();
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if ended.borrow().is_none() {
                tracing::warn!(
                    "the stop takes too long; what could not be ended or written is put back by the next start"
                );
            }
            node.give_up.cancel();
        });
    }

    /// Returns when the company has stopped: as it was told to, or because its CEO failed too often.
    pub async fn ended(&self) -> Result<(), String> {
        let mut how = self.ended.clone();
        let ended = match how.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or(Ok(())),
            Err(_) => Err("its root failed".to_owned()),
        };
        self.janitor.abort();
        // A broker that is away for longer than that keeps nobody from leaving.
        let written = async { tokio::join!(self.node.staff.written(), self.node.accounts.written()) };
        let written = tokio::time::timeout(LAST, written);
        tokio::select! {
            () = async {
                drop(written.await);
                self.node.bus.flush().await;
                self.memory.end(&self.node.bus, self.node.alone).await;
            } => {}
            // A broker that hasn't answered until now isn't waited for again.
            () = self.node.give_up.cancelled() => {}
        }
        self.node.tenure.end().await;
        self.node.bus.closing();
        self.node.historian.close().await;
        self.node.protector.wardens.close().await;
        ended
    }

    fn tell(&self, message: CeoMsg) {
        if let Some(ceo) = &*self.ceo.load() {
            let _ = ceo.cast(message);
        }
    }
}

/// Supervises the CEO.
struct Root {
    node: Arc<Node>,
    ceo: Arc<ArcSwapOption<ActorRef<CeoMsg>>>,
    company: Arc<ArcSwap<Company>>,
    stopping: Arc<AtomicBool>,
}

impl Root {
    async fn run(self, mut join: JoinHandle<()>) -> Result<(), String> {
        let (began, mut restarts) = (Instant::now(), RestartHistory::default());
        loop {
            let _ = join.await;
            self.ceo.store(None);
            self.reclaim_all().await;
            if self.stopping.load(Ordering::Acquire) {
                return Ok(());
            }
            let company = self.company.load_full();
            join = loop {
                match restarts.record(&company.restart, began.elapsed()) {
                    Verdict::RestartAfter(delay) => tokio::time::sleep(delay).await,
                    Verdict::Escalate => return Err("its CEO failed too often".to_owned()),
                }
                tracing::error!("the CEO failed and is restarted");
                match Actor::spawn(None, Ceo, (Arc::clone(&self.node), Arc::clone(&company))).await {
                    Ok((ceo, join)) => {
                        self.ceo.store(Some(Arc::new(ceo)));
                        break join;
                    }
                    Err(error) => tracing::error!("the CEO could not start: {error}"),
                }
            };
        }
    }

    /// With the CEO went all actors below it: what they had in hand goes back to the queue, and what failed workers had is on its
    /// way there.
    async fn reclaim_all(&self) {
        let company = self.company.load_full();
        let default = Arc::new(nexus_core::department::Department::default());
        for slot in self.node.board.slots(None) {
            let policy = company.departments.get(&slot.department).unwrap_or(&default);
            reclaim(&self.node, &slot, "the CEO failed", policy).await;
            // A CEO that is restarted need not wait for that; whoever stops has to, or it is left to the next start.
            if self.stopping.load(Ordering::Acquire) {
                tokio::select! {
                    () = slot.cleared() => {}
                    () = self.node.give_up.cancelled() => {}
                }
            }
        }
    }
}
