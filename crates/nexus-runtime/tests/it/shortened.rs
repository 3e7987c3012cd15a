//! An id that is shortened names its task in every request.

use serde_json::json;

use crate::company::{company, department};
use crate::support::Server;
use crate::wire::Wire;

#[tokio::test(flavor = "multi_thread")]
async fn the_beginning_of_an_id_is_enough() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let mut wire = Wire::open(&server).await;
    let task = office.submit("qa", "exit 1").await;
    office.end(task).await;
    let id = task.to_string();
    for (verb, pointer) in [("status", "/ok/task/task_id"), ("uncommitted", "/ok/task_id"), ("retry", "/ok/task_id")] {
        let request = json!({ "task_id": &id[..8] }).to_string();
        let answer = wire.ask(&format!("nexus.ceo.{verb}"), &request).await;
        assert_eq!(answer.pointer(pointer), Some(&json!(id)), "{verb}: {answer:#}");
    }
    office.end(task).await;
    office.stop().await;
}
