//! Messages to departments: checked, and kept for whoever works there next.

use jiff::Timestamp;
use nexus_core::api::MessageRequest;
use nexus_core::id::DepartmentName;
use nexus_core::message::{Message, check, check_count};
use nexus_core::refusal::Refusal;

use crate::node::Node;

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
