//! Kind `command`: any program. Its output is the log, its exit code says how it went.

use std::path::{Path, PathBuf};

use nexus_core::agent::{AgentSpec, PromptVia};
use nexus_core::event::{Failure, FailureKind};
use nexus_core::task::QueueEntry;

/// How an agent is started for one attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    pub program: String,
    pub args: Vec<String>,
    /// Set over the environment that every agent gets.
    pub env: Vec<(String, String)>,
    /// Written to its standard input, which is closed otherwise.
    pub stdin: Option<String>,
    /// To be written before it starts, for the owner only.
    pub prompt_file: Option<(PathBuf, String)>,
}

/// How `spec` is started for an attempt in `workspace`; `prompt_file` is where a prompt may be put.
pub fn launch(spec: &AgentSpec, entry: &QueueEntry, workspace: &Path, prompt_file: PathBuf) -> Result<Launch, Failure> {
    let task = &entry.task;
    let (program, args) = spec.command.split_first().ok_or_else(|| Failure {
        kind: FailureKind::Spawn,
        message: "the agent has no command; give it one in nexus.toml".to_owned(),
    })?;
    let mut launch = Launch {
        program: program.clone(),
        args: args.to_vec(),
        env: spec.env.iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
        stdin: None,
        prompt_file: None,
    };
    let mut set = |name: &str, value: String| launch.env.push((name.to_owned(), value));
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
    match spec.prompt {
        PromptVia::Arg => launch.args.push(task.description.clone()),
        PromptVia::Stdin => launch.stdin = Some(task.description.clone()),
        PromptVia::File => {
            launch.env.push(("NEXUS_PROMPT_FILE".to_owned(), prompt_file.display().to_string()));
            launch.prompt_file = Some((prompt_file, task.description.clone()));
        }
    }
    Ok(launch)
}

#[cfg(test)]
mod tests;
