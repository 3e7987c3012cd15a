//! Messages to departments, and reading them.

use nexus_core::api::MessageRequest;
use nexus_core::message::{DEFAULT_READ, MAX_KEPT, Sender};

use crate::answer::{MessageList, Said, Sent};
use crate::args::{ReadMessages, SendMessage, limit_to};
use crate::fault::Fault;
use crate::server::Server;

pub(super) async fn send(server: &Server, args: SendMessage) -> Result<Sent, Fault> {
    let sender = server.scope.as_ref();
    let from = sender.map(|scope| Sender { task_id: scope.task, department: scope.department.clone() });
    let request = MessageRequest { department: args.department, text: args.text, from };
    let kept = server.client.send_message(&request).await?;
    let message = format!("Whoever works in {} next is shown it", kept.department);
    Ok(Sent { status: Said::Success, department: kept.department, message })
}

pub(super) async fn read(server: &Server, args: ReadMessages) -> Result<MessageList, Fault> {
    let limit = limit_to(args.limit, DEFAULT_READ, MAX_KEPT)?;
    let own = server.scope.as_ref().map(|scope| scope.department.to_string());
    if let Some((own, asked)) = own.as_ref().zip(args.department.as_ref())
        && own != asked
    {
        let message = format!("an agent can read the messages of its own department, which is {own}, and no others'");
        return Err(Fault::argument("department", &message));
    }
    let department = args.department.or(own).ok_or_else(|| {
        Fault::argument("department", "the argument \"department\" is missing: whose messages are asked for?")
    })?;
    let messages = server.client.messages(&department, limit).await?;
    let department = department.parse().map_err(|error| Fault::argument("department", &format!("{error}")))?;
    Ok(MessageList { status: Said::Success, department, messages: messages.into_iter().map(Into::into).collect() })
}
