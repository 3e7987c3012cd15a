//! Names of subjects and streams. Everything that is written into a subject is a typed id, so no token can be forged.

use nexus_core::id::{AgentName, DepartmentName, NodeId, TaskId};
use nexus_core::lane::Lane;
use nexus_core::lease::LeaseKey;

pub const TASKS: &str = "NEXUS_TASKS";
pub(crate) const LOGS: &str = "NEXUS_LOGS";
pub(crate) const DEAD: &str = "NEXUS_DEAD";
pub(crate) const MESSAGES: &str = "NEXUS_MESSAGES";
pub(crate) const INBOX: &str = "NEXUS_INBOX";
/// The stream of the KV bucket `nexus_lease`.
pub(crate) const LEASES: &str = "KV_nexus_lease";

pub(crate) const ALL_QUEUES: &str = "nexus.queue.*.*.*";
pub(crate) const ALL_EVENTS: &str = "nexus.event.*.*";
pub(crate) const ALL_SCHEDULES: &str = "nexus.schedule.*";
pub(crate) const ALL_STAFF: &str = "nexus.staff.*.*";
pub(crate) const ALL_ACCOUNTS: &str = "nexus.account.*";
pub(crate) const ALL_LOGS: &str = "nexus.log.*.*";
pub(crate) const ALL_PROMPTS: &str = "nexus.prompt.*.*";
pub(crate) const ALL_DEAD: &str = "nexus.dead.*.*";
pub(crate) const ALL_MESSAGES: &str = "nexus.message.*";
pub(crate) const ALL_INBOXES: &str = "nexus.inbox.*";
pub(crate) const ALL_LEASES: &str = "$KV.nexus_lease.>";
pub(crate) const ALL_NODES: &str = "$KV.nexus_lease.node.*";
pub(crate) const CEO: &str = "nexus.ceo";

pub(crate) fn queue(department: &DepartmentName, lane: Lane, task: TaskId) -> String {
    format!("nexus.queue.{department}.{lane}.{task}")
}

/// Whatever department and lane a task waits in.
pub(crate) fn any_queue(task: TaskId) -> String {
    format!("nexus.queue.*.*.{task}")
}

/// A task's entries in any lane of a department.
pub(crate) fn queue_of(department: &DepartmentName, task: TaskId) -> String {
    format!("nexus.queue.{department}.*.{task}")
}

/// All tasks that wait in one lane of a department.
pub(crate) fn queue_filter(department: &DepartmentName, lane: Lane) -> String {
    format!("nexus.queue.{department}.{lane}.*")
}

pub(crate) fn event(department: &DepartmentName, task: TaskId) -> String {
    format!("nexus.event.{department}.{task}")
}

pub(crate) fn any_event(task: TaskId) -> String {
    format!("nexus.event.*.{task}")
}

pub(crate) fn schedule(task: TaskId) -> String {
    format!("nexus.schedule.{task}")
}

pub(crate) fn log(department: &DepartmentName, task: TaskId) -> String {
    format!("nexus.log.{department}.{task}")
}

pub(crate) fn any_log(task: TaskId) -> String {
    format!("nexus.log.*.{task}")
}

pub(crate) fn prompt(department: &DepartmentName, task: TaskId) -> String {
    format!("nexus.prompt.{department}.{task}")
}

pub(crate) fn any_prompt(task: TaskId) -> String {
    format!("nexus.prompt.*.{task}")
}

pub(crate) fn inbox(department: &str) -> String {
    format!("nexus.inbox.{department}")
}

/// The messages to a department.
pub(crate) fn message(department: &DepartmentName) -> String {
    format!("nexus.message.{department}")
}

pub(crate) fn dead(department: &str, id: &str) -> String {
    format!("nexus.dead.{department}.{id}")
}

pub(crate) fn any_dead(task: TaskId) -> String {
    format!("nexus.dead.*.{task}")
}

/// The record of a department's failures on a node.
pub(crate) fn staff(node: &NodeId, department: &DepartmentName) -> String {
    format!("nexus.staff.{node}.{department}")
}

/// The same of all departments of a node.
pub(crate) fn staff_of(node: &NodeId) -> String {
    format!("nexus.staff.{node}.*")
}

/// The record of an account of agents.
pub(crate) fn account(account: &AgentName) -> String {
    format!("nexus.account.{account}")
}

pub(crate) fn lease(key: &LeaseKey) -> String {
    format!("$KV.nexus_lease.{key}")
}

/// Core NATS, nothing stored: something may wait in a department.
pub(crate) fn wake(department: &DepartmentName) -> String {
    format!("nexus.wake.{department}")
}

/// Core NATS, nothing stored: orders to the department on one node.
pub(crate) fn control(node: &NodeId, department: &DepartmentName) -> String {
    format!("nexus.control.{node}.{department}")
}
