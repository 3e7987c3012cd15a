//! From a delivery to a claim: is it still to be done, and by which agent?

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Claim, Delivery, Last};
use nexus_core::event::What;
use nexus_core::intake::{Admission as Verdict, admit};
use nexus_core::refusal::Refusal;
use nexus_core::task::QueueEntry;
use ractor::ActorRef;

use super::IntakeMsg;
use crate::board::Slot;
use crate::conclude::reclaim;
use crate::node::{Charter, Node};
use crate::worker::{Job, WorkerMsg};

/// Wait before a delivery comes again that could not be dealt with for now.
const AGAIN: Duration = Duration::from_secs(1);

/// One delivery on its way to a worker.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) node: Arc<Node>,
    pub(super) charter: Arc<Charter>,
    pub(super) intake: ActorRef<IntakeMsg>,
    pub(super) delivery: Delivery,
}

/// Why a delivery didn't become an attempt.
enum Declined {
    /// Nothing more is to be done about it.
    Dropped(Delivery),
    /// Not now.
    Later(Delivery, Duration),
}

impl Admission {
    /// Claims the task for a worker and hands it over, or makes the worker idle again.
    pub(super) async fn run(self, slot: Arc<Slot>, worker: ActorRef<WorkerMsg>) {
        let Self { node, charter, intake, delivery } = self;
        let job = match claim(&node, &charter, &slot, delivery).await {
            Ok(job) => job,
            Err(declined) => {
                match declined {
                    Declined::Dropped(delivery) => node.bus.drop_delivery(&delivery).await,
                    Declined::Later(delivery, after) => node.bus.return_delivery(&delivery, after).await,
                }
                let _ = intake.cast(IntakeMsg::Idle { slot, worker });
                return;
            }
        };
        slot.take(Arc::clone(&job.claim));
        let policy = Arc::clone(&job.policy);
        if worker.cast(WorkerMsg::Run(Box::new(job))).is_err() {
            reclaim(&node, &slot, "its worker had failed", &policy).await;
        }
    }

    /// Lets somebody else have it.
    pub(super) async fn give_back(self) {
        self.node.bus.return_delivery(&self.delivery, Duration::ZERO).await;
    }
}

async fn claim(node: &Node, charter: &Charter, slot: &Slot, delivery: Delivery) -> Result<Job, Declined> {
    let now = Timestamp::now();
    let entry = match &delivery.entry {
        Ok(entry) => entry.clone(),
        Err(error) => {
            tracing::error!(department = %charter.name, "a queue entry can't be read and goes to the dead letters: {error}");
            let refusal = Refusal::invalid(error.to_string());
            let buried = node.bus.bury(charter.name.as_str(), &delivery.subject, &delivery.payload, refusal, now).await;
            return Err(if buried.is_ok() { Declined::Dropped(delivery) } else { Declined::Later(delivery, AGAIN) });
        }
    };
    // Refused means that the task has changed under our hands. It is looked at again here, and not given back: what is
    // delivered a second time counts as lapsed.
    for fresh in [true, false, false] {
        let expect = match expectation(node, &entry, &delivery, fresh).await {
            Ok(Some(expect)) => expect,
            Ok(None) => return Err(Declined::Dropped(delivery)),
            Err(error) => {
                tracing::warn!(task = %entry.task.id, "could not be taken: {error}");
                return Err(Declined::Later(delivery, AGAIN));
            }
        };
        let usable = |name: &_| charter.agents.get(name).is_some_and(|spec| nexus_agents::is_installed(spec));
        let preferred = entry.task.preferred_agent.as_ref().filter(|agent| charter.agents.contains_key(*agent));
        let chosen = nexus_agents::choose(preferred, &charter.policy.agents, usable);
        let Some((name, agent)) = chosen.and_then(|name| Some((name.clone(), Arc::clone(charter.agents.get(name)?))))
        else {
            tracing::error!(department = %charter.name, "has no agent that it could use");
            return Err(Declined::Later(delivery, AGAIN));
        };
        let holder = (node.id.clone(), slot.worker.clone(), name);
        match Claim::start(node.bus.clone(), &delivery, entry.clone(), expect, holder, now).await {
            Ok((claim, seq)) => {
                node.historian.wrote(seq);
                return Ok(Job { claim: Arc::new(claim), policy: Arc::clone(&charter.policy), agent });
            }
            Err(BusError::Conflict) => {}
            Err(error) => {
                tracing::warn!("a task could not be started: {error}");
                return Err(Declined::Later(delivery, AGAIN));
            }
        }
    }
    Err(Declined::Later(delivery, AGAIN))
}

/// The sequence that `started` has to expect; `None`: there is nothing to do.
async fn expectation(
    node: &Node,
    entry: &QueueEntry,
    delivery: &Delivery,
    fresh: bool,
) -> Result<Option<u64>, BusError> {
    // What was never started has no events; where that is wrong, the start itself is refused.
    if fresh && !delivery.redelivered && entry.attempt == 1 && entry.interruptions == 0 {
        return Ok(Some(0));
    }
    let last = node.bus.last_event(entry.task.id).await?;
    match admit(entry, last.as_ref().map(|last| (&last.event, last.seq))) {
        Verdict::Start { expect } => Ok(Some(expect)),
        Verdict::Drop => Ok(None),
        Verdict::Held => {
            // Delivered again while an attempt of this very entry is on the ledger: that attempt's lease has lapsed, and
            // its holder has ended its agent before that. The task goes back to the queue as interrupted, and this
            // delivery is over. Another entry of the same task (it was cancelled while it waited, and retried) is
            // dropped: the attempt goes on.
            let lapsed = |last: &Last| match &last.event.what {
                What::Started { delivery: earlier, .. } => delivery.redelivered && delivery.is_again(earlier),
                _ => delivery.redelivered,
            };
            let Some(last) = last.filter(lapsed) else { return Ok(None) };
            node.bus.requeue_orphan(&last, "its worker's lease lapsed", Timestamp::now()).await?;
            Ok(None)
        }
    }
}
