//! The next task is fetched in time, and not before.

use crate::company::{company, department};
use crate::support::{Gate, Server, within};

/// The pull for the next task doesn't wait for the way of the last one's end: it is sent before that is acknowledged. (As a rule: what
/// sends it may be kept from running for longer than that way takes.)
#[tokio::test(flavor = "multi_thread")]
async fn the_next_task_is_fetched_while_the_end_of_the_last_is_written() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let bus = server.bus().await;
    let mut ahead = 0;
    for _ in 0..20 {
        let gate = Gate::new(server.dir.path());
        let first = office.submit("qa", &gate.command()).await;
        office.pid(first).await;
        let second = office.submit("qa", "true").await;
        let mut sent = bus.listen("$JS.>").await.unwrap();
        gate.open().await;
        loop {
            let message = within("the end of the first delivery", sent.next()).await.unwrap();
            if message.subject.starts_with("$JS.API.CONSUMER.MSG.NEXT.NEXUS_TASKS.qa-") {
                // Nothing is pulled while the only worker has its hands full.
                ahead += 1;
                break;
            }
            if message.subject.starts_with("$JS.ACK.NEXUS_TASKS.qa-") && message.payload == "+ACK" {
                break;
            }
        }
        for task in [first, second] {
            office.completed(task, (1, 0)).await;
        }
    }
    assert!(ahead > 0, "asked for only once the end was written, each time");
    office.stop().await;
}
