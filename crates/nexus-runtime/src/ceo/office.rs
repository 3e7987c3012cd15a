//! The CEO's office: where questions are answered and letters taken. Only one node's is open at a time.

use std::sync::Arc;

use nexus_bus::{BusError, CeoService};
use ractor::ActorRef;
use tokio::sync::Semaphore;
use tokio_util::task::AbortOnDropHandle;

use super::{CeoMsg, letters};
use crate::node::Node;

/// Closed when it is dropped.
#[derive(Debug)]
pub(super) struct Office {
    pub(super) letters: letters::Post,
    service: CeoService,
    asks: AbortOnDropHandle<()>,
}

/// Questions that are being answered at once. Each may hold a task's description (128 KiB): 32 MiB at most.
const IN_HAND: usize = 256;

impl Office {
    /// Opens it. What other nodes' CEOs have answered so far is known here before anything is asked.
    pub(super) async fn open(node: &Arc<Node>, ceo: &ActorRef<CeoMsg>) -> Result<Self, BusError> {
        node.historian.wrote(node.bus.ledger_end().await?);
        let (service, mut questions) = node.bus.serve_ceo(&node.version).await?;
        let asked = ceo.clone();
        let asks = tokio::spawn(async move {
            let in_hand = Arc::new(Semaphore::new(IN_HAND));
            while let Some(ask) = questions.recv().await {
                let Ok(permit) = Arc::clone(&in_hand).acquire_owned().await else { return };
                if asked.cast(CeoMsg::Ask(Box::new(ask), permit)).is_err() {
                    return;
                }
            }
        });
        let letters = letters::Post::open(Arc::clone(node), ceo.clone());
        Ok(Self { letters, service, asks: AbortOnDropHandle::new(asks) })
    }

    /// Closes it in order: what was asked until now is answered.
    pub(super) async fn close(mut self) {
        self.letters.close();
        self.service.stop().await;
        drop(self.asks);
    }
}
