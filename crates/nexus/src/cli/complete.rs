//! Words that a shell completes: tasks, departments and agents, as the company that is up knows them.
//!
//! Nothing is started for it and nothing is said: where no company answers at once, what the configuration names has to do.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use nexus_bus::Client;
use nexus_core::api::ListRequest;
use nexus_core::brief::brief;
use nexus_core::refusal::Refusal;
use nexus_core::view::{Status, TaskView};

use super::PlaceArgs;
use crate::company::source;
use crate::{place, show};

/// The variable by which a shell asks for completions.
pub(crate) const COMPLETE: &str = "_NEXUS_COMPLETE";
/// The longest that somebody who has pressed Tab is kept waiting.
const PATIENCE: Duration = Duration::from_millis(700);
/// Tasks that are offered, the newest.
const OFFERED: u32 = 50;

pub(super) fn tasks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offered(current, &[]))
}

/// Tasks that have not ended.
pub(super) fn active_tasks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offered(current, &[Status::Queued, Status::Running]))
}

/// Tasks that can be put back on the queue.
pub(super) fn failed_tasks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offered(current, &[Status::Failed, Status::Cancelled]))
}

/// Tasks that have ended.
pub(super) fn ended_tasks() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| offered(current, &[Status::Completed, Status::Failed, Status::Cancelled]))
}

pub(super) fn departments() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let answer = asked(async |client| client.departments().await);
        let names: Vec<_> = match answer {
            Some(answer) => {
                let named = |info: nexus_core::api::DepartmentInfo| (info.name.to_string(), info.description);
                answer.departments.into_iter().map(named).collect()
            }
            None => configured(|company| {
                let departments = company.departments.iter();
                departments.map(|(name, policy)| (name.to_string(), policy.description.clone())).collect()
            }),
        };
        candidates(current, names)
    })
}

pub(super) fn agents() -> ArgValueCompleter {
    ArgValueCompleter::new(|current: &OsStr| {
        let answer = asked(async |client| client.agents().await);
        let names: Vec<_> = match answer {
            Some(answer) => answer
                .agents
                .into_iter()
                .map(|agent| {
                    let state = if agent.installed { agent.state.as_str() } else { "not installed" };
                    (agent.name.to_string(), state.to_owned())
                })
                .collect(),
            None => configured(|company| {
                company.agents.iter().map(|(name, spec)| (name.to_string(), spec.kind.as_str().to_owned())).collect()
            }),
        };
        candidates(current, names)
    })
}

fn offered(current: &OsStr, status: &[Status]) -> Vec<CompletionCandidate> {
    let request = ListRequest { status: status.to_vec(), limit: Some(OFFERED), ..ListRequest::default() };
    let page = asked(async |client| client.list(&request).await);
    let tasks = page.map(|page| page.tasks).unwrap_or_default();
    let ids: Vec<_> = tasks.iter().map(|task| task.task_id).collect();
    let typed = current.to_string_lossy();
    let named = |task: &TaskView| {
        let short = brief(task.task_id, &ids);
        // Who has typed more of an id gets the rest of it.
        let id = if short.starts_with(&*typed) { short } else { task.task_id.to_string() };
        let words = show::short(&task.description, 60);
        (id, format!("{} {}  {words}", task.status.as_str(), show::age(task.created_at)))
    };
    candidates(current, tasks.iter().map(named).collect())
}

fn candidates(current: &OsStr, names: Vec<(String, String)>) -> Vec<CompletionCandidate> {
    let typed = current.to_string_lossy();
    let fitting = names.into_iter().filter(|(name, _)| name.starts_with(&*typed)).enumerate();
    fitting
        .map(|(order, (name, help))| {
            // In the order in which they came, which is the newest first.
            CompletionCandidate::new(name).help((!help.is_empty()).then(|| help.into())).display_order(Some(order))
        })
        .collect()
}

/// The answer of the company that is up, if it has one at once.
fn asked<T>(question: impl AsyncFnOnce(&Client) -> Result<T, Refusal>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let answer = runtime.block_on(async {
        let answer = async { question(&place::open(&meant()).await.ok()?).await.ok() };
        tokio::time::timeout(PATIENCE, answer).await.ok().flatten()
    });
    runtime.shutdown_background();
    answer
}

/// What the configuration has to say that a company would start with.
fn configured<T: Default>(read: impl FnOnce(&nexus_core::company::Company) -> T) -> T {
    nexus_config::load(&source(&meant(), None)).map(|loaded| read(&loaded.company)).unwrap_or_default()
}

/// The company that is meant by the line so far.
fn meant() -> PlaceArgs {
    let words: Vec<_> = std::env::args().collect();
    let value = |name: &str| {
        let after = words.iter().position(|word| word == name).and_then(|at| words.get(at + 1).cloned());
        after.or_else(|| words.iter().find_map(|word| Some(word.strip_prefix(name)?.strip_prefix('=')?.to_owned())))
    };
    let path = |name: &str, variable: &str| {
        value(name).map(PathBuf::from).or_else(|| std::env::var_os(variable).map(PathBuf::from))
    };
    PlaceArgs {
        data_dir: path("--data-dir", "NEXUS_DATA_DIR"),
        nats: value("--nats"),
        creds: value("--creds").map(PathBuf::from),
        config: path("--config", "NEXUS_CONFIG"),
    }
}
