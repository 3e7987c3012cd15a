//! Messages to departments: checked, and kept for whoever works there next.

use jiff::Timestamp;
use nexus_core::api::MessageRequest;
use nexus_core::id::DepartmentName;
use nexus_core::message::{Message, check};
use nexus_core::refusal::Refusal;

use crate::node::Node;

pub(super) async fn leave(
    node: &Node,
    department: DepartmentName,
    request: MessageRequest,
) -> Result<Message, Refusal> {
    check(&request.text)?;
    node.bus.room()?;
    let message = Message::new(department, request.text, request.from, Timestamp::now());
    node.bus.send_message(&message).await?;
    Ok(message)
}
