//! The present: tasks, workers, departments. Read from the history, once it holds what the asker may know of.

use std::collections::BTreeSet;

use jiff::{Timestamp, Zoned};
use nexus_bus::Bus;
use nexus_core::api::{
    DepartmentInfo, DepartmentState as Condition, Departments, ListRequest, TaskPage, TaskStatus, WorkerStats,
};
use nexus_core::id::DepartmentName;
use nexus_core::overview::{DepartmentLoad, Overview};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::route::no_such_department;
use nexus_core::view::{Status, TaskView};
use nexus_history::{Counts, HistoryError, Resolved};

use super::CeoState;
use crate::gate::{gate, waits};
use crate::historian::{Historian, refused};
use crate::node::Node;

/// Bytes of a status beside the task: its last line, what its agent asks for, and why it waits.
const LIVE: usize = 32 * 1024;

/// The task that an id, or an unambiguous beginning of one, names.
pub(super) async fn find(node: &Node, task: &str) -> Result<TaskView, Refusal> {
    find_in(&node.historian, &node.bus, task).await
}

/// The same, of a ledger and its history alone.
pub(crate) async fn find_in(historian: &Historian, bus: &Bus, task: &str) -> Result<TaskView, Refusal> {
    let history = match historian.current().await {
        Ok(history) => history,
        // The ledger itself tells of a task whose whole id is known.
        Err(refusal) => {
            let Ok(id) = task.parse() else { return Err(refusal) };
            return bus.view(id).await?.ok_or_else(|| Refusal::not_found(task));
        }
    };
    let id = match history.resolve(task).await.map_err(|error| refused(&error))? {
        Resolved::One(id) => id,
        Resolved::None => return Err(Refusal::not_found(task)),
        Resolved::Many(ids) => {
            let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
            return Err(Refusal::new(RefusalKind::Ambiguous, format!("{task} could be any of {}", ids.join(", ")))
                .with_help("give more of the id"));
        }
    };
    let view = history.get(id).await.map_err(|error| refused(&error))?;
    view.ok_or_else(|| Refusal::not_found(task))
}

pub(super) async fn status(node: &Node, task: &str) -> Result<TaskStatus, Refusal> {
    let task = find(node, task).await?;
    let live = if task.status == Status::Running {
        let workers = node.board.workers(&node.id, &node.sampler).await;
        workers.into_iter().find(|worker| worker.current_task == Some(task.task_id)).and_then(|worker| worker.live)
    } else {
        None
    };
    let task = fitting(task, node.bus.payload_limit());
    let is_due = task.not_before.is_none_or(|due| due <= Timestamp::now());
    let is_queued = task.status == Status::Queued;
    let waits = if is_queued { waits(node, &task.department, task.task_id, is_due) } else { None };
    Ok(TaskStatus { task, live, waits })
}

/// A task whose status fits into one answer: without the outputs of its result where these are too long.
pub(crate) fn fitting(mut task: TaskView, limit: usize) -> TaskView {
    // Whatever else the answer says.
    let limit = limit.saturating_sub(LIVE);
    let bytes = serde_json::to_vec(&task).map_or(0, |json| json.len());
    if let Some(result) = task.result.as_mut().filter(|_| bytes > limit) {
        result.forget_outputs();
    }
    task
}

/// The tasks that fit; a department that nobody knows is a mistake.
pub(super) async fn list(node: &Node, request: &ListRequest) -> Result<TaskPage, Refusal> {
    // With what was counted, the names of departments are known that are gone.
    node.historian.current().await?;
    if let Some(name) = &request.department {
        let (roster, counts) = (node.roster.load(), node.historian.state().counts);
        let known: BTreeSet<&str> = roster.keys().chain(counts.departments()).map(DepartmentName::as_str).collect();
        if !known.contains(name.as_str()) {
            return Err(no_such_department(name, &known.into_iter().collect::<Vec<_>>()));
        }
    }
    list_in(&node.historian, request).await
}

/// The same, of a ledger and its history alone.
pub(crate) async fn list_in(historian: &Historian, request: &ListRequest) -> Result<TaskPage, Refusal> {
    let history = historian.current().await?;
    history.list(request).await.map_err(|error| match error {
        HistoryError::Cursor(_) => {
            Refusal::invalid(error.to_string()).with_help("a cursor is `next_cursor` of the page before, unchanged")
        }
        error => refused(&error),
    })
}

pub(super) async fn workers(node: &Node) -> Result<WorkerStats, Refusal> {
    node.historian.current().await?;
    let counts = node.historian.state().counts;
    Ok(WorkerStats {
        tasks_queued: counts.total(Status::Queued),
        tasks_processed: counts.ended(),
        workers: node.board.workers(&node.id, &node.sampler).await,
    })
}

pub(super) async fn rebuild(node: &Node) -> Result<u64, Refusal> {
    node.historian.rebuild().await?;
    let counts = node.historian.state().counts;
    Ok(Status::ALL.into_iter().map(|status| counts.total(status)).sum())
}

pub(super) fn departments(state: &CeoState) -> Departments {
    let counts = state.node.historian.state().counts;
    let info = |(name, child): (&DepartmentName, &super::Child)| info(state, &counts, name, child);
    let is_gone = |name: &&DepartmentName| !state.departments.contains_key(*name);
    let gone = counts.departments().filter(is_gone).filter_map(|name| gone(&counts, name));
    Departments {
        company: state.company.name.clone(),
        default_department: state.company.default_department.clone(),
        departments: state.departments.iter().map(info).chain(gone).collect(),
        config_error: state.config_error.clone(),
        stopping: state.leaving,
    }
}

/// The company as a whole, but for the numbers that the history has.
pub(super) fn company(state: &CeoState) -> Overview {
    let load = |(name, child): (&DepartmentName, &super::Child)| DepartmentLoad {
        name: name.clone(),
        state: child.condition,
        workers: child.charter.policy.workers,
        busy: busy(state, name),
        queued: 0,
        running: 0,
        failed_today: 0,
    };
    Overview {
        company: state.company.name.clone(),
        node: state.node.id.clone(),
        process: state.node.process.clone(),
        departments: state.departments.iter().map(load).collect(),
        stopping: state.leaving,
        config_error: state.config_error.clone(),
    }
}

/// The company as a whole.
pub(super) async fn whole(node: &Node, mut company: Overview) -> Result<Overview, Refusal> {
    let history = node.historian.current().await?;
    let midnight = Zoned::now().start_of_day().map_or(Timestamp::UNIX_EPOCH, |midnight| midnight.timestamp());
    let failed = history.failed_since(midnight).await.map_err(|error| refused(&error))?;
    let counts = node.historian.state().counts;
    for load in &mut company.departments {
        load.queued = counts.of(&load.name, Status::Queued);
        load.running = counts.of(&load.name, Status::Running);
        load.failed_today = failed.get(&load.name).copied().unwrap_or(0);
    }
    Ok(company)
}

fn busy(state: &CeoState, name: &DepartmentName) -> u32 {
    let busy = state.node.board.slots(Some(name)).iter().filter(|slot| slot.task().is_some()).count();
    u32::try_from(busy).unwrap_or(u32::MAX)
}

/// One of them.
pub(super) fn department(state: &CeoState, name: &DepartmentName) -> Option<DepartmentInfo> {
    let child = state.departments.get(name)?;
    Some(info(state, &state.node.historian.state().counts, name, child))
}

/// A department that isn't in the configuration, if tasks wait for it.
fn gone(counts: &Counts, name: &DepartmentName) -> Option<DepartmentInfo> {
    let queued = counts.of(name, Status::Queued);
    let ways = format!(
        "put departments/{name}.toml back, or nexus move or nexus cancel each (nexus list --department {name})"
    );
    (queued > 0).then(|| DepartmentInfo {
        name: name.clone(),
        description: String::new(),
        state: Condition::Gone,
        reason: Some(format!("there is no such department now, and {queued} tasks wait for it: {ways}")),
        agents: Vec::new(),
        task_types: Vec::new(),
        workers: 0,
        busy: 0,
        queued,
        restarts: 0,
        failures: 0,
        since: None,
        waits: None,
        warning: None,
    })
}

fn info(state: &CeoState, counts: &Counts, name: &DepartmentName, child: &super::Child) -> DepartmentInfo {
    let policy = &child.charter.policy;
    let record = state.node.staff.get(name);
    let is_down = matches!(child.condition, Condition::Stopped | Condition::Restarting);
    let now = Timestamp::now();
    DepartmentInfo {
        name: name.clone(),
        description: policy.description.clone(),
        state: child.condition,
        reason: child.reason.clone().filter(|_| child.condition != Condition::Running),
        agents: policy.agents.clone(),
        task_types: policy.task_types.clone(),
        workers: policy.workers,
        busy: busy(state, name),
        queued: counts.of(name, Status::Queued),
        restarts: child.restarts.total(),
        failures: record.as_ref().map_or(0, |record| record.total),
        since: record.filter(|_| is_down).map(|record| record.at),
        waits: gate(&state.node, &child.charter, now).map(|closed| closed.why),
        warning: state.node.purses.warning(name, now),
    }
}
