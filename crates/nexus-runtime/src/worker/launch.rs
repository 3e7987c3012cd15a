//! Getting an attempt started: its workspace, its prompt, its process.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use nexus_core::event::{Failure, FailureKind};
use nexus_process::{Command, Events, OutputPolicy, Stdin, Tree, user_environment};
use nexus_workspace::Prepared;

use super::Job;
use crate::former;
use crate::node::Node;

/// What runs.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) tree: Tree,
    pub(super) events: Events,
    pub(super) workspace: Prepared,
    pub(super) prompt: Option<PromptFile>,
}

/// Why nothing runs, and the workspace if there is one already.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub(super) failure: Failure,
    pub(super) workspace: Option<Prepared>,
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

pub(super) async fn start(node: &Node, job: &Job) -> Result<Started, NotStarted> {
    let task = &job.claim.entry.task;
    let prepared = node.workspaces.prepare(job.policy.workspace.mode, task.id, Path::new(&task.project_path)).await;
    let workspace = prepared.map_err(|error| NotStarted {
        failure: Failure { kind: FailureKind::Workspace, message: format!("no workspace: {error}") },
        workspace: None,
    })?;
    match spawn(node, job, &workspace).await {
        Ok((tree, events, prompt)) => Ok(Started { tree, events, workspace, prompt }),
        Err(failure) => Err(NotStarted { failure, workspace: Some(workspace) }),
    }
}

async fn spawn(node: &Node, job: &Job, workspace: &Prepared) -> Result<(Tree, Events, Option<PromptFile>), Failure> {
    let entry = &job.claim.entry;
    let failed = |message: String| Failure { kind: FailureKind::Spawn, message };
    let file = node.prompts.join(format!("{}-{}.md", entry.task.id, entry.attempt));
    let launch = nexus_agents::launch(&job.agent, entry, &workspace.path, file)?;
    let prompt = match launch.prompt_file {
        Some((path, text)) => {
            let prompt = PromptFile(path);
            write_private(&prompt.0, &text)
                .await
                .map_err(|error| failed(format!("the prompt file {}: {error}", prompt.0.display())))?;
            Some(prompt)
        }
        None => None,
    };
    let mut env = user_environment(&job.policy.environment.pass);
    let set = job.policy.environment.set.iter().map(|(name, value)| (name.clone(), value.clone()));
    let marks = [(former::MARK.to_owned(), node.id.to_string()), (former::RUN.to_owned(), node.holder.run.to_string())];
    env.extend(set.chain(launch.env).chain(marks).map(|(name, value)| (OsString::from(name), OsString::from(value))));
    let stdin = launch.stdin.map_or(Stdin::Closed, |text| Stdin::Bytes(text.into_bytes().into()));
    let command = Command::new(launch.program, &workspace.path).args(launch.args).env(env).stdin(stdin);
    // Its work may be somebody else's by now; the attempt is told so, and this is not what it says of it.
    if !node.tenure.holds(job.term) {
        return Err(failed("its lease has lapsed".to_owned()));
    }
    let (tree, events) = Tree::spawn(&command, OutputPolicy::default()).map_err(|error| failed(error.to_string()))?;
    Ok((tree, events, prompt))
}

/// Writes a file that only its owner can read.
async fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use tokio::io::AsyncWriteExt;

    if let Some(parent) = path.parent() {
        tokio::fs::create_dir_all(parent).await?;
    }
    let mut options = tokio::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    options.mode(0o600);
    let mut file = options.open(path).await?;
    file.write_all(text.as_bytes()).await?;
    file.flush().await
}
