//! Getting an attempt started: its workspace, its prompt, its process.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nexus_container::ContainerSpec;
use nexus_core::agent::Inject;
use nexus_core::attempt::Policy;
use nexus_core::department::{SandboxTier, WorkspaceMode};
use nexus_core::event::{Failure, FailureKind, Protection};
use nexus_core::protect::Plan;
use nexus_core::task::{QueueEntry, Task};
use nexus_process::{
    Command, Events, Launch, Limits, OutputPolicy, Overlay, Redactor, Stdin, StdinWriter, Tree, Watch, is_shortage,
    resolve_secret, user_environment,
};
use nexus_workspace::{Prepared, WorkspaceError};

use super::brief::{Outfit, PromptFile, outfit};
use super::door::Door;
use super::gateway::{self, Gateway, Terms};
use super::output::Notes;
use super::speech::Speech;
use super::terminals::Terminals;
use super::warm::warm;
use super::{Job, contain};
use crate::former;
use crate::node::Node;
use crate::outside;
use crate::protector::Own;

/// A running agent.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) tree: Tree,
    pub(super) events: Events,
    pub(super) workspace: Prepared,
    pub(super) prompt: Option<PromptFile>,
    /// Who reads what it says.
    pub(super) speech: Option<Speech>,
    pub(super) terminals: Option<Terminals>,
    pub(super) door: Option<Door>,
    pub(super) protection: Protection,
    pub(super) gateway: Option<Gateway>,
    /// Of a tree that isn't among this machine's processes.
    pub(super) vitals: Option<Watch>,
}

/// Why nothing runs, and the workspace if there is one already.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub(super) failure: Failure,
    pub(super) workspace: Option<Prepared>,
}

/// Longest wait between two tries while the machine has run out of something.
const LONGEST: Duration = Duration::from_secs(5);

/// Prepares and starts. A machine that is short of something (disk, open files, processes), or a workspace that a person has open,
/// is no fault of the agent's: it is waited for, within the attempt, until whoever waits for this drops it.
///
/// While `settling` is true it must not be dropped: a process may have been started, and only what this returns knows of it.
pub(super) async fn start(node: &Node, job: &Job, notes: Notes, settling: &AtomicBool) -> Result<Started, NotStarted> {
    let mut pause = Duration::from_millis(100);
    let mut told = None;
    let mut ready = None;
    loop {
        let cause = match step(node, job, &mut ready, &notes, settling).await {
            Ok(started) => return Ok(started),
            Err(NotSpawned::Failed(failure)) => {
                return Err(NotStarted { failure, workspace: ready.map(|ready| ready.workspace) });
            }
            Err(NotSpawned::Short(cause)) => format!("the machine has what it needs: {cause}"),
            Err(NotSpawned::InUse) => "its workspace is no longer open in `nexus shell`".to_owned(),
        };
        if told.as_ref() != Some(&cause) {
            tracing::warn!(task = %job.claim.entry.task.id, "the agent's start waits until {cause}");
            notes.note(format!("the start waits until {cause}"));
            told = Some(cause);
        }
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// A workspace in which an agent can be started.
struct Ready {
    workspace: Prepared,
    /// The directory that lies below the agent's home.
    home: Option<PathBuf>,
}

async fn step(
    node: &Node,
    job: &Job,
    kept: &mut Option<Ready>,
    notes: &Notes,
    settling: &AtomicBool,
) -> Result<Started, NotSpawned> {
    let task = &job.claim.entry.task;
    let plan = node.protector.plan(&job.policy).map_err(NotSpawned::unprotected)?;
    let ready = match kept.take() {
        Some(ready) => ready,
        None => {
            let wanted = job.policy.workspace.wanted(plan.sandbox.is_some()).for_task(task.include_uncommitted);
            still_there(task).await?;
            let mountable = job.policy.workspace.layers && plan.mounts_layers(job.agent.kind);
            match node.workspaces.prepare(wanted, task.id, Path::new(&task.project_path), mountable).await {
                Ok(workspace) => {
                    workspace.notes.iter().for_each(|note| notes.note(note.clone()));
                    let workspace = is_the_project(task, workspace)?;
                    let home = warm(node, job, plan, &workspace, notes).await;
                    // Landlock alone leaves all that is private to a task to the agent, the layers of a home too.
                    let home = home.filter(|_| plan.sandbox == Some(SandboxTier::Namespaces));
                    let begun = node.protector.begin_home(task.id, home.as_deref()).await;
                    begun.map_err(|why| NotSpawned::new(why, false))?;
                    Ready { workspace, home }
                }
                Err(error) if error.is_shortage() => return Err(NotSpawned::Short(format!("no workspace: {error}"))),
                // Whoever opened it leaves some time.
                Err(WorkspaceError::InUse) => return Err(NotSpawned::InUse),
                Err(error) => {
                    let message = format!("no workspace: {error}");
                    return Err(NotSpawned::Failed(Failure { kind: FailureKind::Workspace, message }));
                }
            }
        }
    };
    match spawn(node, job, plan, &ready, notes, settling).await {
        Ok(Spawned { tree, events, prompt, speech, terminals, door, gateway, vitals }) => {
            let protection = node.protector.describe(plan, &job.policy);
            let workspace = ready.workspace;
            Ok(Started { tree, events, workspace, prompt, speech, terminals, door, protection, gateway, vitals })
        }
        Err(error) => {
            settling.store(false, Ordering::Release);
            *kept = Some(ready);
            Err(error)
        }
    }
}

/// The project of a task that another one has asked for was held against that one's with no link in it: a link that was
/// put there since would lead elsewhere.
async fn still_there(task: &Task) -> Result<(), NotSpawned> {
    let path = Path::new(&task.project_path);
    if task.parent.is_none() || tokio::fs::canonicalize(path).await.is_ok_and(|found| found == path) {
        return Ok(());
    }
    Err(replaced(task))
}

/// The agent that has asked for a task may have put a link there after that look, too: a workspace in place would be where it
/// leads. From here on the path is taken without following links.
fn is_the_project(task: &Task, workspace: Prepared) -> Result<Prepared, NotSpawned> {
    let is_elsewhere = workspace.mode == WorkspaceMode::InPlace && workspace.path != Path::new(&task.project_path);
    if task.parent.is_some() && is_elsewhere { Err(replaced(task)) } else { Ok(workspace) }
}

fn replaced(task: &Task) -> NotSpawned {
    let message = format!(
        "the project {} is not what it was when this task was asked for: it is gone, or a link; ask for it anew",
        task.project_path
    );
    NotSpawned::Failed(Failure { kind: FailureKind::Workspace, message })
}

/// Why nothing was started by one try.
pub(super) enum NotSpawned {
    Failed(Failure),
    /// The machine is short of something; it may work in a moment.
    Short(String),
    /// Somebody has the workspace open, and will leave.
    InUse,
}

impl From<Failure> for NotSpawned {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl NotSpawned {
    /// It isn't run without what its department demands.
    fn unprotected(message: String) -> Self {
        Self::Failed(Failure { kind: FailureKind::Protection, message })
    }

    /// Why, as a sentence.
    pub(super) fn reason(self) -> String {
        match self {
            Self::Failed(failure) => failure.message,
            Self::Short(cause) => cause,
            Self::InUse => WorkspaceError::InUse.to_string(),
        }
    }

    pub(super) fn new(message: String, is_shortage: bool) -> Self {
        match is_shortage {
            true => Self::Short(message),
            false => Self::Failed(Failure { kind: FailureKind::Spawn, message }),
        }
    }
}

struct Spawned {
    tree: Tree,
    events: Events,
    prompt: Option<PromptFile>,
    speech: Option<Speech>,
    terminals: Option<Terminals>,
    door: Option<Door>,
    gateway: Option<Gateway>,
    vitals: Option<Watch>,
}

async fn spawn(
    node: &Node,
    job: &Job,
    plan: Plan,
    Ready { workspace, home }: &Ready,
    notes: &Notes,
    settling: &AtomicBool,
) -> Result<Spawned, NotSpawned> {
    let entry = &job.claim.entry;
    let Outfit { launch, speech, terminals, readable, prompt, door } =
        outfit(node, job, plan, workspace, notes).await?;
    let variables = nexus_agents::variables(&job.agent, entry, &workspace.path);
    let mut own: Vec<(String, String)> = Vec::new();
    let set = job.policy.environment.set.iter().map(|(name, value)| (name.clone(), value.clone()));
    own.extend(set.chain(launch.env).chain(variables).chain(former::marks(node, entry.task.id)));
    let mark = former::own_mark(node, entry.task.id);
    let stdin = match launch.stdin {
        Some(text) => Stdin::Bytes(text.into_bytes().into()),
        None if speech.as_ref().is_some_and(|speech| speech.conversation().is_some()) => Stdin::Piped,
        None => Stdin::Closed,
    };
    let secrets = secrets(job).await.map_err(|message| NotSpawned::new(message, false))?;
    let logins = outside::secrets().iter().map(String::as_str);
    let redact = Redactor::new(secrets.iter().map(|secret| secret.value.as_str()).chain(logins));
    let terms = gateway::terms(job, &secrets).map_err(NotSpawned::unprotected)?;
    let proxy = terms.iter().flat_map(|_| gateway::variables());
    let handed = secrets.into_iter().filter(|secret| secret.inject.is_none());
    own.extend(proxy.chain(handed.map(|secret| (secret.name, secret.value))));
    let output = OutputPolicy { redact, ..OutputPolicy::default() };
    if plan.sandbox == Some(SandboxTier::Container) {
        let command = [vec![launch.program], launch.args].concat();
        let env = [contain::environment(job), own].concat();
        let program = contain::Program { command, env, stdin, limits: limits(&job.policy.limits), readable: &readable };
        let mut spec = contain::spec(node, job, workspace, program).await.map_err(NotSpawned::unprotected)?;
        let gateway = match terms {
            Some(terms) => Some(relayed(node, job, &mut spec, terms).await?),
            None => None,
        };
        let started = contained(node, job, &spec, &output, settling).await?;
        let nexus_container::Started { tree, events, vitals, stdin, .. } = started;
        connect(speech.as_ref(), stdin);
        return Ok(Spawned { tree, events, prompt, speech, terminals: None, door, gateway, vitals: Some(vitals) });
    }
    let mut env = user_environment(&job.policy.environment.pass);
    env.extend(outside::variables(&job.policy.sandbox.network));
    env.extend(own.into_iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let mut command = Command::new(launch.program, &workspace.path).args(launch.args).env(env).stdin(stdin);
    let confined = node.protector.confine(plan, job, workspace, Own::Task(&readable), &mut command).await;
    let confinement = confined.map_err(NotSpawned::unprotected)?;
    let mut overlays: Vec<Overlay> = workspace.overlay().into_iter().collect();
    if let Some(lower) = home {
        let over = node.protector.home_over(entry.task.id, lower.clone()).await;
        overlays.push(over.map_err(|why| NotSpawned::new(why, false))?);
    }
    still_holds(node, job)?;
    workspace.begin().map_err(|error| NotSpawned::new(format!("no workspace: {error}"), error.is_shortage()))?;
    let launch = Launch {
        command,
        limits: limits(&job.policy.limits),
        confinement,
        overlays,
        kill_after: kill_after(job),
        mark,
        output,
    };
    settling.store(true, Ordering::Release);
    let started = node.protector.wardens.start(&launch).await;
    let started = started.map_err(|error| NotSpawned::new(error.to_string(), error.is_shortage()))?;
    let nexus_process::Started { tree, events, listener, stdin } = started;
    if let Some(terminals) = &terminals {
        terminals.equip(node, launch, terms.clone());
    }
    connect(speech.as_ref(), stdin);
    let gateway = match open(terms, listener) {
        Ok(gateway) => gateway,
        Err(error) => {
            // Somebody may try again, or write down that nothing runs: only when that is so.
            let gone = tree.gone();
            drop(tree);
            gone.wait().await;
            return Err(error);
        }
    };
    Ok(Spawned { tree, events, prompt, speech, terminals, door, gateway, vitals: None })
}

/// The conversation begins.
fn connect(speech: Option<&Speech>, stdin: Option<StdinWriter>) {
    if let (Some(speech), Some(stdin)) = (speech, stdin) {
        speech.connect(stdin);
    }
}

pub(super) fn open(terms: Option<Terms>, listener: Option<TcpListener>) -> Result<Option<Gateway>, NotSpawned> {
    match (terms, listener) {
        (None, _) => Ok(None),
        (Some(_), None) => Err(NotSpawned::unprotected("its sandbox has no place for a proxy".to_owned())),
        (Some(terms), Some(listener)) => {
            let opened = Gateway::open(listener, terms);
            Ok(Some(opened.map_err(|error| NotSpawned::new(format!("its proxy: {error}"), is_shortage(&error)))?))
        }
    }
}

/// Its work may be somebody else's by now; the attempt is told so, and this is not what it says of it.
fn still_holds(node: &Node, job: &Job) -> Result<(), NotSpawned> {
    let holds = node.tenure.holds(job.hold.term);
    if holds { Ok(()) } else { Err(NotSpawned::new("its lease has lapsed".to_owned(), false)) }
}

#[cfg(unix)]
async fn relayed(node: &Node, job: &Job, spec: &mut ContainerSpec, terms: Terms) -> Result<Gateway, NotSpawned> {
    let listener = contain::by_relay(node, job, spec).await.map_err(NotSpawned::unprotected)?;
    Gateway::open(listener, terms).map_err(|error| NotSpawned::new(format!("its proxy: {error}"), is_shortage(&error)))
}

#[cfg(not(unix))]
async fn relayed(_: &Node, _: &Job, _: &mut ContainerSpec, _: Terms) -> Result<Gateway, NotSpawned> {
    let message = "a container's network is \"full\" or \"none\" here (sandbox.network): lists need Linux";
    Err(NotSpawned::unprotected(message.to_owned()))
}

async fn contained(
    node: &Node,
    job: &Job,
    spec: &ContainerSpec,
    output: &OutputPolicy,
    settling: &AtomicBool,
) -> Result<nexus_container::Started, NotSpawned> {
    let engine = node.engines.get().await.map_err(|error| NotSpawned::unprotected(error.to_string()))?;
    still_holds(node, job)?;
    settling.store(true, Ordering::Release);
    engine.start(spec, output).await.map_err(|error| match error.is_absence() {
        true => NotSpawned::unprotected(error.to_string()),
        false => NotSpawned::new(error.to_string(), false),
    })
}

pub(super) fn limits(limits: &nexus_core::department::Limits) -> Limits {
    Limits {
        memory: limits.memory.map(|size| size.bytes()),
        processes: limits.processes,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a few thousands")]
        cpu_milli: limits.cpu.map(|cpu| (cpu * 1000.0).ceil() as u32),
        open_files: limits.open_files.map(u64::from),
        file_size: limits.file_size.map(|size| size.bytes()),
    }
}

/// One secret of an agent, in clear.
pub(super) struct Secret {
    pub(super) name: String,
    pub(super) value: String,
    /// The agent itself doesn't get it.
    pub(super) inject: Option<Inject>,
}

/// The agent's own secrets, had anew for each attempt: they may have been changed.
async fn secrets(job: &Job) -> Result<Vec<Secret>, String> {
    let mut secrets = Vec::new();
    for (name, source) in &job.agent.secrets {
        let value = resolve_secret(source).await.map_err(|error| format!("the secret {name} of the agent: {error}"))?;
        secrets.push(Secret { name: name.clone(), value, inject: source.inject.clone() });
    }
    Ok(secrets)
}

/// Later than whatever this side does about an attempt that takes too long: the warden's own end is for a company that
/// stands still.
pub(super) fn kill_after(job: &Job) -> Option<Duration> {
    let QueueEntry { task, spent, .. } = &job.claim.entry;
    let policy = Policy::new(&job.policy.limits, &job.policy.stop, task.timeout_seconds);
    Some(policy.longest(spent)? + policy.interrupt_grace + policy.terminate_grace + MARGIN)
}

const MARGIN: Duration = Duration::from_secs(10);
