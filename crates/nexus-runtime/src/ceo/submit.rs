//! Work comes in: checked, routed, and put on the ledger.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use nexus_bus::{BusError, Submitted, new_traceparent};
use nexus_core::api::Accepted;
use nexus_core::budget::Spent;
use nexus_core::company::Company;
use nexus_core::event::{Event, What};
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::revival::later;
use nexus_core::route::{Route, route};
use nexus_core::task::{QueueEntry, Submission, Task};
use nexus_core::view::Status;

use super::overview::find;
use super::{able, family};
use crate::node::Node;

/// A submission and where it came from.
#[derive(Debug)]
pub(crate) struct Order {
    pub(crate) submission: Submission,
    pub(crate) traceparent: Option<String>,
}

/// A submission that belongs somewhere.
#[derive(Debug)]
pub(super) struct Plan {
    order: Order,
    route: Route,
    bound: u64,
    company: Arc<Company>,
    workers: u32,
}

/// Decides where a submission belongs. `stopped` says why a department takes no work, if it doesn't.
pub(super) fn plan(
    company: &Arc<Company>,
    order: Order,
    stopped: impl FnOnce(&DepartmentName) -> Option<String>,
) -> Result<Plan, Refusal> {
    let route = route(company, &order.submission)?;
    if let Some(reason) = stopped(&route.department) {
        let message = format!("the department {} is stopped: {reason}", route.department);
        return Err(Refusal::new(RefusalKind::Stopped, message).with_help(super::staff::way_out(&route.department)));
    }
    let policy = company.departments.get(&route.department);
    let (bound, workers) = policy.map_or((0, 0), |policy| (policy.queue.max_waiting, policy.workers));
    Ok(Plan { order, route, bound, company: Arc::clone(company), workers })
}

impl Plan {
    /// Puts the task on the ledger. The answer is given when it is there.
    pub(super) async fn carry_out(self, node: &Node) -> Result<Accepted, Refusal> {
        let Self { order, route, bound, company, workers } = self;
        let submission = order.submission;
        let id = submission.keyed_id().unwrap_or_else(|| TaskId::from_uuid(uuid::Uuid::new_v4()));
        // A key that is known is answered as it was the first time, whatever has changed in between.
        if submission.idempotency_key.is_some()
            && let Some(task) = node.bus.known(id).await?
        {
            return accept(node, same(task, &submission.description, &submission.task_type)?, true).await;
        }
        let agent = route.preferred_agent.as_ref();
        able::check(node, &company, &route.department, agent, &submission.task_type).await?;
        let asker = match submission.parent_task_id {
            Some(asker) => Some(family::known(node, asker).await?),
            None => None,
        };
        let project = match &asker {
            Some(asker) => family::project(node, &submission.project_path, asker).await?,
            None => project(node, &submission.project_path).await?,
        };
        node.fill.check(&node.bus).await?;
        let (department, note) = (route.department.clone(), route.note.clone());
        // Held until the task is on the ledger: nobody else asks for one in this tree meanwhile, and no cancel of it passes by.
        let family = match asker {
            Some(asker) => Some(family::admit(node, asker, &company, &department, workers).await?),
            None => None,
        };
        let state = node.historian.state();
        let counted = state.counts.of(&department, Status::Queued);
        let place = node.backlog.reserve(&department, bound, counted, state.position).map_err(|waiting| {
            let message =
                format!("the department {department} is busy: {waiting} tasks wait, and its bound is {bound}");
            Refusal::new(RefusalKind::Busy, message)
                .with_help(format!("try again later, or raise queue.max_waiting in departments/{department}.toml"))
        })?;
        let entry = QueueEntry::first(Task {
            traceparent: Some(order.traceparent.unwrap_or_else(new_traceparent)),
            parent: family.as_ref().map(|family| family.parent),
            ..route.task(submission, id, project, Timestamp::now())
        });
        let submitted = node.bus.submit(&entry).await?;
        let task = entry.task;
        match submitted {
            Submitted::New(seq) => {
                place.filled(seq);
                node.historian.wrote(seq);
                Ok(Accepted { note, ..accept(node, task, false).await? })
            }
            Submitted::Known(known) => accept(node, same(*known, &task.description, &task.task_type)?, true).await,
        }
    }
}

async fn accept(node: &Node, task: Task, duplicate: bool) -> Result<Accepted, Refusal> {
    let estimated_ms = node.historian.estimate(&task.department, &task.task_type).await;
    Ok(Accepted {
        task_id: task.id,
        department: task.department,
        assigned_agent: task.preferred_agent,
        task_type: task.task_type,
        duplicate,
        estimated_ms,
        note: None,
    })
}

/// A key names one piece of work: used again for another, it would lose that one.
fn same(task: Task, description: &str, task_type: &str) -> Result<Task, Refusal> {
    if task.description == description && task.task_type == task_type {
        return Ok(task);
    }
    let message = format!("the idempotency key is that of task {}, which asks for something else", task.id);
    Err(Refusal::new(RefusalKind::Conflict, message).with_help("use a key of its own for every piece of work"))
}

/// The project's directory, absolute; it has to be there.
async fn project(node: &Node, path: &str) -> Result<String, Refusal> {
    let refused = |why: String| {
        Refusal::invalid(format!("project_path \"{path}\" {why}"))
            .with_help("name a directory that exists on the machine where the company runs")
    };
    let absolute = std::path::absolute(Path::new(path)).map_err(|error| refused(format!("is no path: {error}")))?;
    node.projects.check(&absolute).await?;
    utf8(absolute).map_err(refused)
}

fn utf8(path: PathBuf) -> Result<String, String> {
    path.into_os_string().into_string().map_err(|_| "is not valid UTF-8".to_owned())
}

/// Puts a failed or cancelled task back on the queue, its attempts and interruptions counted from the start. It still doesn't
/// start before the time that it was asked for.
pub(super) async fn retry(node: &Node, task: &str) -> Result<Accepted, Refusal> {
    node.bus.room()?;
    let view = find(node, task).await?;
    let id = view.task_id;
    let conflict = |message: String| Refusal::new(RefusalKind::Conflict, message);
    let last = node.bus.last_event(id).await?;
    let ended = last.as_ref().map(|last| &last.event.what);
    let last = match ended {
        Some(What::Failed { .. } | What::Cancelled { .. }) => last,
        Some(What::Completed { .. }) => return Err(conflict(format!("task {id} was completed; delegate it anew"))),
        _ => return Err(conflict(format!("task {id} has not ended; there is nothing to retry"))),
    };
    let Some((last, entry)) = last.zip(node.bus.last_entry(id).await?) else {
        return Err(Refusal::not_found(&id.to_string()));
    };
    family::goes_on(node, &entry.task).await?;
    let now = Timestamp::now();
    let what = What::Retried { reason: "asked for".to_owned() };
    let event = Event::new(id, entry.task.department.clone(), 0, now, what);
    let again =
        QueueEntry { attempt: 1, interruptions: 0, spent: Spent::default(), resume: None, ..later(&entry, now) };
    let due = again.task.not_before.filter(|due| *due > now);
    let written = match due {
        Some(due) => node.bus.append_and_schedule(&event, last.seq, &again, due).await,
        None => node.bus.append_and_queue(&event, last.seq, &again).await,
    };
    let seq = written.map_err(|error| match error {
        BusError::Conflict => conflict(format!("task {id} was changed by somebody else just now")),
        error => error.into(),
    })?;
    node.historian.wrote_with_entry(seq);
    if let Err(error) = node.bus.exhume_task(&again.task.department, id, seq).await {
        // It goes when the history has come that far.
        tracing::debug!(task = %id, "its dead letter could not be taken away yet: {error}");
    }
    Ok(Accepted {
        task_id: id,
        department: again.task.department,
        assigned_agent: again.task.preferred_agent,
        task_type: again.task.task_type,
        duplicate: false,
        estimated_ms: None,
        note: due.map(|due| format!("it does not start before {due:.0}, as it was asked for")),
    })
}
