//! An attempt that fills the disk: it is ended, before everybody else waits for its end.

use std::sync::Arc;
use std::time::Duration;

use nexus_core::attempt::Input;
use nexus_core::event::{Failure, FailureKind};
use nexus_core::id::TaskId;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::disk::Found;
use crate::node::Node;

/// The wait before the next look at the disk.
const LOOK: Duration = Duration::from_secs(2);

/// Tells the attempt when it has filled the disk, until it has ended.
pub(super) async fn watch(node: Arc<Node>, task: TaskId, found: Option<Found>, inputs: mpsc::Sender<Input>) {
    let Some(found) = found else { return };
    loop {
        sleep(LOOK).await;
        // How much is free costs a system call; who has it, a walk.
        if !node.protector.is_short() {
            continue;
        }
        if let Some(place) = node.protector.filled_by(task, found).await {
            tracing::warn!(%task, "has filled the disk and is ended: {place}");
            let message = format!("filled the disk: most of it was in {place}");
            let failure = Failure { kind: FailureKind::FileSize, message };
            if inputs.send(Input::Exceeded(failure)).await.is_err() {
                return;
            }
        }
    }
}
