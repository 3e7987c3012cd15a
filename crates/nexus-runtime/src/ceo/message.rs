//! Messages to departments: checked, and kept for whoever works there next.

use jiff::Timestamp;
use nexus_core::api::MessageRequest;
use nexus_core::company::Company;
use nexus_core::id::DepartmentName;
use nexus_core::message::{Message, check, check_count};
use nexus_core::refusal::Refusal;
use nexus_core::{route, tree};

use crate::node::Node;

/// The department that a message is for. A task may leave one where it may ask for tasks, and in its own department: what is
/// said there is read by an agent as well.
pub(super) fn addressee(company: &Company, request: &MessageRequest) -> Result<DepartmentName, Refusal> {
    let department = route::named(company, &request.department)?;
    if let Some(from) = request.from.as_ref().filter(|from| from.department != department) {
        tree::may_ask(company, &from.department, &department)?;
    }
    Ok(department)
}

pub(super) async fn leave(
    node: &Node,
    department: DepartmentName,
    request: MessageRequest,
) -> Result<Message, Refusal> {
    check(&request.text)?;
    node.bus.room()?;
    // Held until the message is kept: what is counted stays as it is.
    let _alone = match &request.from {
        Some(from) => {
            let alone = node.trees.alone(from.task_id).await;
            check_count(from.task_id, node.bus.messages_of(from.task_id).await?)?;
            Some(alone)
        }
        None => None,
    };
    let message = Message::new(department, request.text, request.from, Timestamp::now());
    node.bus.send_message(&message).await?;
    Ok(message)
}
