//! A task that waits is put on the queue of another department.

use jiff::Timestamp;
use nexus_bus::BusError;
use nexus_core::api::{Accepted, MoveRequest};
use nexus_core::company::Company;
use nexus_core::event::{Event, What};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::revival::later;
use nexus_core::route;
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::Status;

use super::able;
use super::overview::find;
use crate::node::Node;

pub(super) async fn relocate(node: &Node, company: &Company, request: &MoveRequest) -> Result<Accepted, Refusal> {
    node.bus.room()?;
    let view = find(node, &request.task_id).await?;
    let (id, to) = (view.task_id, route::named(company, &request.department)?);
    let conflict = |message: String| Refusal::new(RefusalKind::Conflict, message);
    if view.status != Status::Queued {
        let help = format!("only a task that waits can be moved: nexus status {id}");
        return Err(conflict(format!("task {id} is {}", view.status.as_str())).with_help(help));
    }
    if view.department == to {
        return Err(conflict(format!("task {id} waits in {to} already")));
    }
    let (agent, task_type) = (view.preferred_agent.as_ref(), view.task_type.as_str());
    route::fits(company, &to, agent, task_type)?;
    able::check(node, company, &to, agent, task_type).await?;
    let last = node.bus.last_event(id).await?;
    let Some(task) = node.bus.known(id).await? else { return Err(Refusal::not_found(&id.to_string())) };
    let waits = last.as_ref().is_none_or(|last| {
        matches!(
            last.event.what,
            What::Interrupted { .. } | What::Deferred { .. } | What::AttemptFailed { .. } | What::Retried { .. }
        )
    });
    if !waits || task.department != view.department {
        return Err(conflict(format!("task {id} was changed by somebody else just now")));
    }
    let now = Timestamp::now();
    let from = task.department.clone();
    let attempt = last.as_ref().map_or(0, |last| last.event.attempt);
    let until = task.not_before.filter(|due| *due > now);
    let left = What::Deferred { reason: format!("moved to {to}"), until, run: None };
    let left = Event::new(id, from.clone(), attempt, now, left);
    let came = Event::new(id, to.clone(), 0, now, What::Retried { reason: format!("moved from {from}") });
    let entry = later(&QueueEntry::first(Task { department: to, ..task }), now);
    let expect = last.map_or(0, |last| last.seq);
    let seq = node.bus.append_and_move((&left, expect), &came, &entry).await.map_err(|error| match error {
        BusError::Conflict => conflict(format!("task {id} was changed by somebody else just now")),
        error => error.into(),
    })?;
    node.historian.wrote_with_entry(seq);
    Ok(Accepted {
        task_id: id,
        department: entry.task.department,
        assigned_agent: entry.task.preferred_agent,
        task_type: entry.task.task_type,
        duplicate: false,
        estimated_ms: None,
        note: None,
    })
}
