//! Commands that an agent has the company run for it (ACP's terminals): each is a tree of its own, started as the agent's own
//! was, in the same sandbox and with the same marks. The attempt isn't over before all of them are gone.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use nexus_acp::{Errand, Later, Printed, Terminal};
use nexus_core::attempt::{ExitStatus, Signal};
use nexus_process::{Command, Event, Launch, Sampler, SpawnError, Stdin, Tree, Wardens};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use super::gateway::Terms;
use super::launch::open;
use crate::node::Node;

mod kept;

use kept::Kept;

/// All the commands of one attempt. Clones are the same ones.
#[derive(Clone)]
pub(super) struct Terminals {
    shared: Arc<Shared>,
}

impl std::fmt::Debug for Terminals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminals").field("alive", &*self.shared.alive.borrow()).finish_non_exhaustive()
    }
}

struct Shared {
    /// The workspace, all of it.
    root: PathBuf,
    /// The means by which the agent was started.
    means: OnceLock<Means>,
    trees: Mutex<Trees>,
    /// Those that are being started, or aren't gone.
    alive: watch::Sender<usize>,
    /// One of them has done something.
    stirs: Notify,
}

#[derive(Clone)]
struct Means {
    launch: Launch,
    /// Of the proxy that each has, where its network is limited.
    terms: Option<Terms>,
    wardens: Wardens,
    sampler: Arc<Sampler>,
}

#[derive(Debug, Default)]
struct Trees {
    /// The attempt is being ended: no more are started.
    closed: bool,
    running: HashMap<u64, Arc<Tree>>,
    numbers: u64,
}

impl Terminals {
    /// `root`: where its commands may be run. They are started once it is equipped.
    pub(super) fn new(root: &Path) -> Self {
        let shared = Shared {
            root: root.to_owned(),
            means: OnceLock::new(),
            trees: Mutex::default(),
            alive: watch::Sender::new(0),
            stirs: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The agent was started, so.
    pub(super) fn equip(&self, node: &Node, launch: Launch, terms: Option<Terms>) {
        let launch = Launch { command: launch.command.stdin(Stdin::Closed), ..launch };
        let (wardens, sampler) = (node.protector.wardens.clone(), Arc::clone(&node.sampler));
        // It is started once.
        let _ = self.shared.means.set(Means { launch, terms, wardens, sampler });
    }

    /// Signals all of them, and starts none any more.
    pub(super) fn signal(&self, signal: Signal) {
        let mut trees = self.shared.trees();
        trees.closed = true;
        trees.running.values().for_each(|tree| tree.signal(signal));
    }

    /// Ends what is left of them; returns when none is alive.
    pub(super) async fn end(&self) {
        let mut alive = self.shared.alive.subscribe();
        loop {
            self.signal(Signal::Kill);
            // Again, as with the agent's own: a process forked meanwhile escapes it once.
            if timeout(KILL_AGAIN, alive.wait_for(|alive| *alive == 0)).await.is_ok() {
                return;
            }
        }
    }

    /// One of them works or prints: so does its agent. To be dropped and called again at will.
    pub(super) async fn stirred(&self) {
        self.shared.stirs.notified().await;
    }
}

impl Shared {
    fn trees(&self) -> MutexGuard<'_, Trees> {
        self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The command to start.
    ///
    /// # Errors
    /// Why it isn't, for the agent.
    fn command(&self, of_agent: &Command, errand: Errand) -> Result<Command, String> {
        let Errand { command, args, env, cwd, .. } = errand;
        let cwd = match cwd {
            Some(cwd) => self.below(&of_agent.cwd.join(cwd))?,
            None => of_agent.cwd.clone(),
        };
        // A whole line, which the protocol doesn't know, but agents do.
        let is_line = args.is_empty() && command.contains(char::is_whitespace);
        let (program, args) = if is_line { ("sh".to_owned(), vec!["-c".to_owned(), command]) } else { (command, args) };
        // Marks are the company's own.
        let env = env.into_iter().filter(|(name, _)| !name.starts_with("NEXUS_"));
        let env = env.map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let of_agent = of_agent.env.iter().cloned();
        Ok(Command::new(program, cwd).args(args).env(of_agent.chain(env)))
    }

    /// A directory of the workspace. Of what lies elsewhere nothing is told, nor whether it is there.
    fn below(&self, cwd: &Path) -> Result<PathBuf, String> {
        let root = self.root.canonicalize().map_err(|error| format!("{}: {error}", self.root.display()))?;
        let found = cwd.canonicalize().ok().filter(|found| found.starts_with(&root) && found.is_dir());
        found.ok_or_else(|| format!("{} is no directory in the workspace, {}", cwd.display(), root.display()))
    }
}

/// Trees that aren't gone: more than may be open at a time, as one that was released takes a moment to end.
const MOST: usize = 32;
/// Between two kills of what isn't gone yet.
const KILL_AGAIN: Duration = Duration::from_millis(200);

/// Counts one that isn't gone.
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|alive| *alive += 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive = alive.saturating_sub(1));
    }
}

/// One of them, for who asked for it.
struct Handle {
    tree: Arc<Tree>,
    kept: Arc<Kept>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl nexus_acp::Terminals for Terminals {
    fn create(&self, errand: Errand) -> Later<Result<Box<dyn Terminal>, String>> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            let Some(means) = shared.means.get().cloned() else { return Err("nothing can be started yet".to_owned()) };
            let keep = errand.keep;
            let command = shared.command(&means.launch.command, errand)?;
            let means = Means { launch: Launch { command, ..means.launch }, ..means };
            let alive = {
                let trees = shared.trees();
                if trees.closed {
                    return Err("the task is being ended".to_owned());
                }
                if *shared.alive.borrow() >= MOST {
                    return Err("too many that were released haven't ended yet".to_owned());
                }
                Alive::new(&shared.alive)
            };
            let (told, handle) = oneshot::channel();
            // A task of its own, which nobody drops halfway: what was started is seen to its end.
            tokio::spawn(run(Arc::downgrade(&shared), means, keep, told, alive));
            drop(shared);
            let handle = handle.await.map_err(|_| "the company is being stopped".to_owned())??;
            Ok(Box::new(handle) as Box<dyn Terminal>)
        })
    }
}

impl Terminal for Handle {
    fn output(&self) -> Printed {
        // In this order: of what has ended all is there.
        let exit = *self.ended.borrow();
        let (text, truncated) = self.kept.text_and_more();
        Printed { text, truncated, exit }
    }

    fn ended(&self) -> Later<ExitStatus> {
        let mut ended = self.ended.clone();
        Box::pin(async move {
            let exit = ended.wait_for(Option::is_some).await;
            // Nobody tells any more: the company is being stopped.
            exit.ok().and_then(|exit| *exit).unwrap_or(KILLED)
        })
    }

    fn kill(&self) {
        self.tree.signal(Signal::Kill);
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.kill();
    }
}

const KILLED: ExitStatus = ExitStatus::Signal(9);

/// Starts one, and reads what it prints until nothing of it is alive.
/// Why a command could not be started. A confined agent is told of programs outside of its reach nothing, nor whether they are
/// there.
fn said(error: &SpawnError, launch: &Launch) -> String {
    let is_of_program = matches!(
        error,
        SpawnError::NotFound(_)
            | SpawnError::NotExecutable(_)
            | SpawnError::NotInPath { .. }
            | SpawnError::OutOfReach(_)
            | SpawnError::Interpreter(_)
            | SpawnError::Format(_)
    );
    match launch.confinement.is_some() && is_of_program {
        true => format!("`{}` is no program that can be run here", launch.command.program.to_string_lossy()),
        false => error.to_string(),
    }
}

async fn run(
    shared: Weak<Shared>,
    means: Means,
    keep: usize,
    told: oneshot::Sender<Result<Handle, String>>,
    alive: Alive,
) {
    let Means { launch, terms, wardens, sampler } = means;
    let started = match wardens.start(&launch).await {
        Ok(started) => started,
        Err(error) => {
            let _ = told.send(Err(said(&error, &launch)));
            return;
        }
    };
    // What it refuses the command is told.
    let gateway = match open(terms, started.listener) {
        Ok(gateway) => gateway,
        Err(_) => {
            let gone = started.tree.gone();
            drop((started.tree, started.events));
            let _ = told.send(Err("its sandbox has no proxy".to_owned()));
            return gone.wait().await;
        }
    };
    let (gone, tree, kept) = (started.tree.gone(), Arc::new(started.tree), Arc::new(Kept::new(keep)));
    let (ended, end) = watch::channel(None);
    let mut vitals = tree.target().map(|target| sampler.watch(target));
    let mut number = None;
    if let Some(shared) = shared.upgrade() {
        let mut trees = shared.trees();
        if trees.closed {
            tree.signal(Signal::Kill);
        }
        trees.numbers += 1;
        number = Some(trees.numbers);
        let key = trees.numbers;
        trees.running.insert(key, Arc::clone(&tree));
    }
    // Held by the attempt and by who asked for it: when both have dropped it, it is killed.
    let held = Arc::downgrade(&tree);
    let _ = told.send(Ok(Handle { tree, kept: Arc::clone(&kept), ended: end }));
    let stir = || shared.upgrade().into_iter().for_each(|shared| shared.stirs.notify_one());
    let mut events = started.events;
    let (mut exit, mut seen) = (None, 0);
    loop {
        let event = tokio::select! {
            event = events.next() => event,
            looked = look(&mut vitals) => {
                if std::mem::replace(&mut seen, looked) != looked {
                    stir();
                }
                continue;
            }
        };
        match event {
            Some(Event::Output { lines, .. }) => {
                kept.push(&lines);
                stir();
            }
            Some(Event::LeaderExited(status)) => {
                exit = Some(status);
                // What it leaves behind ends with it, as nobody could ask for it any more.
                held.upgrade().into_iter().for_each(|tree| tree.signal(Signal::Kill));
            }
            Some(Event::LimitHit(_)) => held.upgrade().into_iter().for_each(|tree| tree.signal(Signal::Kill)),
            Some(Event::TreeGone) | None => break,
        }
    }
    gone.wait().await;
    drop(gateway);
    if let (Some(shared), Some(number)) = (shared.upgrade(), number) {
        shared.trees().running.remove(&number);
    }
    ended.send_replace(Some(exit.unwrap_or(KILLED)));
    drop(alive);
}

async fn look(watch: &mut Option<nexus_process::Watch>) -> u64 {
    match watch {
        Some(watch) => watch.next().await.worked,
        None => std::future::pending().await,
    }
}
