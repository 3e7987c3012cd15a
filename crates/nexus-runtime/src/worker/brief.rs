//! The start of an attempt's agent: its prompt, its own files, and who reads what it says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_acp::{Conversation, WorkspaceFiles};
use nexus_agents::{Brief, Launch, ToolServer, adapter};
use nexus_core::agent::{AgentKind, AgentSpec};
use nexus_core::department::{Approval, Department, SandboxTier, WorkspaceMode};
use nexus_core::event::{Failure, FailureKind};
use nexus_core::prompt::Prompt;
use nexus_core::protect::Plan;
use nexus_core::question::RunMark;
use nexus_core::task::Task;
use nexus_process::{Beneath, is_shortage};
use nexus_workspace::Prepared;

use super::Job;
use super::door::Door;
use super::launch::NotSpawned;
use super::output::Notes;
use super::prompt::{Setting, compose};
use super::side::SideDir;
use super::speech::Speech;
use super::terminals::Terminals;
use crate::node::Node;
use crate::protector::{Home, protected};

/// An agent that is ready to be started.
#[derive(Debug)]
pub(super) struct Outfit {
    pub(super) launch: Launch,
    /// Who reads its output, if it speaks in messages.
    pub(super) speech: Option<Speech>,
    /// The files that were written for it, and what holds them.
    /// Commands that are run for it, if any are.
    pub(super) terminals: Option<Terminals>,
    pub(super) readable: Vec<PathBuf>,
    pub(super) prompt: Option<PromptFile>,
    /// Its way to the company's tools.
    pub(super) door: Option<Door>,
}

/// A prompt in a file; removed when the attempt is over, however it ends.
#[derive(Debug)]
pub(super) struct PromptFile(PathBuf);

impl Drop for PromptFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(path = %self.0.display(), "a prompt file was not removed: {error}");
        }
    }
}

/// Decides how the agent is started, and writes what it needs for that.
pub(super) async fn outfit(
    node: &Node,
    job: &Job,
    plan: Plan,
    workspace: &Prepared,
    notes: &Notes,
) -> Result<Outfit, NotSpawned> {
    let entry = &job.claim.entry;
    let prompt = &told(node, job, workspace).await?;
    let door = Door::open(node, job, plan).await.unwrap_or_else(|why| {
        // It can do its work without.
        notes.note(why);
        None
    });
    let tools = door.as_ref().map(Door::tool_server);
    let mut outfit = match adapter(job.agent.kind) {
        None if job.agent.kind == AgentKind::Acp => conversing(job, plan, prompt, workspace, tools.as_ref())?,
        None => {
            let file = node.prompts.join(format!("{}-{}.md", entry.task.id, entry.attempt));
            let launch = nexus_agents::launch(&job.agent, prompt, file)?;
            Outfit { launch, speech: None, terminals: None, readable: Vec::new(), prompt: None, door: None }
        }
        Some(adapter) => {
            let no_place = |message| NotSpawned::Failed(Failure { kind: FailureKind::Spawn, message });
            let home = node.protector.home(plan, entry.task.id).await.map_err(no_place)?;
            let private = node.protector.private_place(entry.task.id, "agent").await.map_err(no_place)?;
            let brief = Brief {
                spec: &job.agent,
                entry,
                prompt,
                workspace: &workspace.path,
                home: &home.inside,
                home_outside: &home.outside,
                private: &private,
                resume: job.resume(),
                tools: tools.as_ref(),
                approval: job.policy.approval,
                confined: plan.sandbox.is_some(),
                as_root: nexus_process::is_root(),
            };
            let launch = adapter.launch(&brief)?;
            let side_dir = launch.side_dir.as_deref().map(|dir| side_dir(dir, &home, plan, &job.agent));
            let mut speech = Speech::new(adapter.reader(&brief), side_dir);
            speech.begin().await;
            Outfit { launch, speech: Some(speech), terminals: None, readable: vec![private], prompt: None, door: None }
        }
    };
    if let Some((path, text)) = outfit.launch.prompt_file.take() {
        let prompt = PromptFile(path);
        written(&prompt.0, &text, "prompt").await?;
        outfit.readable.push(prompt.0.clone());
        outfit.prompt = Some(prompt);
    }
    for (path, text) in std::mem::take(&mut outfit.launch.files) {
        written(&path, &text, "settings").await?;
    }
    if let Some(door) = door {
        outfit.readable.extend(door.readable());
        outfit.launch.env.push(door.variable());
        outfit.door = Some(door);
    }
    Ok(outfit)
}

/// Where an agent's side file is, as the company sees it. A confined agent may have replaced every part of that below its home, and
/// below what it has of the user's.
fn side_dir(dir: &Path, home: &Home, plan: Plan, spec: &AgentSpec) -> SideDir {
    let Some(below) = dir.strip_prefix(&home.outside).ok().filter(|_| plan.sandbox.is_some()) else {
        return SideDir::new(dir, Path::new(""));
    };
    let of_users = spec.home.iter().find_map(|part| Some((part.path(), below.strip_prefix(part.path()).ok()?)));
    match (of_users, std::env::home_dir()) {
        (Some((part, below)), Some(users)) => SideDir::new(&users.join(part), below),
        _ => SideDir::new(&home.outside, below),
    }
}

/// Longest wait for a person who is asked for a permission: silence is a no.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// An agent that is talked to by ACP, in which it is told all that others are told when they are started.
fn conversing(
    job: &Job,
    plan: Plan,
    prompt: &str,
    workspace: &Prepared,
    tools: Option<&ToolServer>,
) -> Result<Outfit, NotSpawned> {
    let spec = &job.agent;
    let (program, args) = spec.command.split_first().ok_or_else(|| Failure {
        kind: FailureKind::Spawn,
        message: "the agent has no command; give it one in nexus.toml".to_owned(),
    })?;
    let launch = Launch {
        program: program.clone(),
        args: args.iter().chain(&spec.args).cloned().collect(),
        ..Launch::default()
    };
    let approval = job.policy.approval;
    let brief = nexus_acp::Brief {
        prompt: prompt.to_owned(),
        cwd: workspace.path.clone(),
        servers: tools.into_iter().cloned().collect(),
        resume: job.resume().map(str::to_owned),
        approval,
        variables: spec.env.keys().chain(spec.secrets.keys()).cloned().collect(),
        patience: PATIENCE,
        mark: RunMark::new(fastrand::u32(..)),
        has_asked: job.claim.is_resumed(),
    };
    let place = place_of(&job.claim.entry.task, workspace);
    let writes = approval != Approval::Reject;
    let files = WorkspaceFiles::open(place, workspace.path.clone(), writes, protected(workspace)).map_err(|error| {
        let message = format!("no workspace: {}: {error}; is it a link?", workspace.path.display());
        Failure { kind: FailureKind::Workspace, message }
    })?;
    let terminals = has_terminals(&job.policy, plan).then(|| Terminals::new(workspace.root()));
    let runs = terminals.clone().map(|terminals| Arc::new(terminals) as Arc<dyn nexus_acp::Terminals>);
    let speech = Speech::conversing(Conversation::with_terminals(brief, Some(Arc::new(files)), runs));
    Ok(Outfit { launch, speech: Some(speech), terminals, readable: Vec::new(), prompt: None, door: None })
}

/// A workspace as the directory that only the company or the user can replace, and what lies below that, which an agent could have
/// replaced by a link: in a workspace of its own, or anywhere where one asked for a task in its own project.
fn place_of<'a>(task: &Task, workspace: &'a Prepared) -> (&'a Path, &'a Path) {
    let holder = match (workspace.mode, task.parent) {
        (WorkspaceMode::InPlace, Some(_)) => workspace.path.ancestors().last().unwrap_or(workspace.root()),
        _ => workspace.root(),
    };
    (holder, workspace.path.strip_prefix(holder).unwrap_or(Path::new("")))
}

/// True if an agent may have commands run for it. Where it may not it runs them itself, and is asked or refused for each;
/// nor may it where a limit is for all that it runs together, as each command is a tree of its own, or where all is in a
/// container.
fn has_terminals(policy: &Department, plan: Plan) -> bool {
    let limits = &policy.limits;
    let counts_together = limits.memory.is_some() || limits.processes.is_some() || limits.cpu.is_some();
    policy.approval == Approval::Allow && !counts_together && plan.sandbox != Some(SandboxTier::Container)
}

/// Composes the prompt. What an agent of a model is told is stored, word for word.
async fn told(node: &Node, job: &Job, workspace: &Prepared) -> Result<String, NotSpawned> {
    let entry = &job.claim.entry;
    let task = &entry.task;
    let messages = match job.agent.takes_role() {
        true => node.bus.messages(&task.department, MESSAGES).await.unwrap_or_default(),
        false => Vec::new(),
    };
    let messages: Vec<_> = messages.into_iter().map(|message| message.shortened().quoted()).collect();
    let departments = node.directory.load_full();
    let uncommitted = match job.agent.takes_role() {
        true => workspace.uncommitted().await,
        false => None,
    };
    let setting = Setting {
        uncommitted: uncommitted.as_ref(),
        workspace: &workspace.path,
        branch: workspace.branch.as_deref(),
        departments: &departments,
        messages: &messages,
    };
    let mut text = compose(&job.agent, &job.policy, task, &setting)?;
    if job.resume().is_some() {
        text = format!("{GO_ON}{text}");
    }
    if job.agent.kind.is_model() {
        let (task_id, department, agent) = (task.id, task.department.clone(), job.claim.agent.clone());
        let at = Timestamp::now();
        let prompt = Prompt { task_id, department, attempt: entry.attempt, agent, at, text: text.clone() };
        let stored = node.bus.store_prompt(prompt).await;
        stored.map_err(|error| NotSpawned::new(format!("its prompt can't be stored: {error}"), true))?;
    }
    Ok(text)
}

/// The newest messages to its department that an agent is shown.
const MESSAGES: u32 = 10;

/// The first words to an agent that goes on with a session: it knows the rest, as far as it had come.
const GO_ON: &str = "You were interrupted while you worked on this task. Look at what you have done by now, and go on from \
                     there. What you were told:\n\n";

async fn written(path: &Path, text: &str, what: &str) -> Result<(), NotSpawned> {
    write_private(path, text).await.map_err(|error| {
        let message = format!("the {what} file {}: {error}", path.display());
        NotSpawned::new(message, is_shortage(&error))
    })
}

/// Writes a file that only its owner can read, in a directory of the company's own: what an earlier attempt may have put there
/// is not written to, and no link in its place is followed.
async fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let (path, text) = (path.to_owned(), text.to_owned());
    let write = move || {
        let no_name = || std::io::Error::from(std::io::ErrorKind::InvalidInput);
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(no_name)?;
        let directory = path.parent().ok_or_else(no_name)?;
        let (holder, below) = (directory.parent().ok_or_else(no_name)?, directory.file_name().ok_or_else(no_name)?);
        std::fs::create_dir_all(holder)?;
        Beneath::open(holder)?.make(Path::new(below))?.replace(name, text.as_bytes())
    };
    tokio::task::spawn_blocking(write).await.map_err(std::io::Error::other)?
}
