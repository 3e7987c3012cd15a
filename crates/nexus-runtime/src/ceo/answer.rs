//! A person's answer to what an agent asks for: passed on to whoever has its task in hand.

use nexus_bus::Order;
use nexus_core::api::{AnswerRequest, Answered};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;

use super::overview::status;
use crate::node::Node;

pub(super) async fn answer(node: &Node, request: &AnswerRequest) -> Result<Answered, Refusal> {
    let known = status(node, &request.task_id).await?;
    let task = &known.task;
    let id = task.task_id;
    let conflict = |why: String| Err(Refusal::new(RefusalKind::Conflict, why));
    if task.status != Status::Running {
        return conflict(format!("task {id} is {}; its agent asks for nothing", task.status.as_str()));
    }
    let holder = task.node.as_ref().unwrap_or(&node.id);
    let asked = known.live.and_then(|live| live.asks);
    // What runs on another node is known there.
    if asked.is_none() && *holder == node.id {
        return conflict(format!("the agent of task {id} asks for nothing at the moment"));
    }
    let order = Order::Answer { task: id, allow: request.allow };
    node.bus.order(holder, &task.department, &order).await?;
    Ok(Answered { task_id: id, asked, allowed: request.allow })
}
