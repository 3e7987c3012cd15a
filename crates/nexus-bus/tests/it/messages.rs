//! Messages to departments: bounded, the newest are kept, each department's its own.

use jiff::Timestamp;
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::message::{MAX_KEPT, Message, Sender};

use crate::support::{Server, qa};

#[tokio::test]
async fn the_newest_are_kept_and_read_in_order() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let product = DepartmentName::new("product").unwrap();
    let message = |to: &DepartmentName, text: String| Message::new(to.clone(), text, None, Timestamp::UNIX_EPOCH);
    bus.send_message(&message(&product, "of product".into())).await.unwrap();
    for n in 0..=MAX_KEPT {
        bus.send_message(&message(&qa(), n.to_string())).await.unwrap();
    }
    server.raw().await.request("nexus.message.qa", "{}".into()).await.unwrap();
    let texts = async |of: &DepartmentName, limit| {
        bus.messages(of, limit).await.unwrap().into_iter().map(|message| message.text).collect::<Vec<_>>()
    };
    assert_eq!(texts(&product, 5).await, ["of product"]);
    assert_eq!(texts(&qa(), 2).await, [MAX_KEPT - 1, MAX_KEPT].map(|n| n.to_string()));
    // Two had to go: one for the last, one for what can't be read.
    assert_eq!(texts(&qa(), 1000).await.first().unwrap(), "2");
    assert!(texts(&DepartmentName::new("nobody").unwrap(), 5).await.is_empty());
    // Those of one task are counted, wherever it has left them.
    let [sender, other] = ["sender", "other"].map(TaskId::from_idempotency_key);
    for (task_id, to) in [(sender, &product), (sender, &qa()), (other, &qa())] {
        let from = Some(Sender { task_id, department: product.clone() });
        bus.send_message(&Message { from, ..message(to, "x".into()) }).await.unwrap();
    }
    assert_eq!((bus.messages_of(sender).await.unwrap(), bus.messages_of(other).await.unwrap()), (2, 1));
}
