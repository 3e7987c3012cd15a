//! Kind `command`: any program. Its output is the log, its exit code says how it went.

use std::path::{Path, PathBuf};

use nexus_core::agent::{AgentSpec, PromptVia};
use nexus_core::event::{Failure, FailureKind};
use nexus_core::task::QueueEntry;

use crate::adapter::Launch;

/// The variables that tell every agent, of whatever kind, its task.
#[must_use]
pub fn variables(spec: &AgentSpec, entry: &QueueEntry, workspace: &Path) -> Vec<(String, String)> {
    let task = &entry.task;
    let mut env: Vec<_> = spec.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut set = |name: &str, value: String| env.push((name.to_owned(), value));
    set("NEXUS_TASK_ID", task.id.to_string());
    set("NEXUS_ATTEMPT", entry.attempt.to_string());
    set("NEXUS_WORKSPACE", workspace.display().to_string());
    set("NEXUS_DEPARTMENT", task.department.to_string());
    if let Some(context) = &task.context {
        set("NEXUS_CONTEXT", serde_json::Value::Object(context.clone()).to_string());
    }
    if let Some(traceparent) = &task.traceparent {
        set("TRACEPARENT", traceparent.clone());
    }
    env
}

/// The start of a plain command with `prompt`; `prompt_file` is where that may be put. Its environment is [`variables`].
pub fn launch(spec: &AgentSpec, prompt: &str, prompt_file: PathBuf) -> Result<Launch, Failure> {
    let (program, args) = spec.command.split_first().ok_or_else(|| Failure {
        kind: FailureKind::Spawn,
        message: "the agent has no command; give it one in nexus.toml".to_owned(),
    })?;
    let mut launch = Launch { program: program.clone(), args: args.to_vec(), ..Launch::default() };
    match spec.prompt {
        PromptVia::Arg => launch.args.push(prompt.to_owned()),
        PromptVia::None => {}
        PromptVia::Stdin => launch.stdin = Some(prompt.to_owned()),
        PromptVia::File => {
            launch.env.push(("NEXUS_PROMPT_FILE".to_owned(), prompt_file.display().to_string()));
            launch.prompt_file = Some((prompt_file, prompt.to_owned()));
        }
    }
    Ok(launch)
}

#[cfg(test)]
mod tests;
