//! A person's answer to what an agent asks for: passed on to the node that has its task in hand, which alone knows what is open.

use nexus_core::api::{AnswerRequest, Answered};
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;

use super::overview::find;
use crate::node::Node;

pub(super) async fn answer(node: &Node, request: &AnswerRequest) -> Result<Answered, Refusal> {
    let task = find(node, &request.task_id).await?;
    let id = task.task_id;
    if task.status != Status::Running {
        let why = format!("task {id} is {}; its agent asks for nothing", task.status.as_str());
        return Err(Refusal::new(RefusalKind::Conflict, why));
    }
    let holder = task.node.as_ref().unwrap_or(&node.id);
    node.bus.answer(holder, &task.department, (id, request.question, request.allow)).await
}
