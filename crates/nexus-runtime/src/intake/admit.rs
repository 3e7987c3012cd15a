//! From a delivery to a claim: is it still to be done, and by which agent?

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Claim, Delivery};
use nexus_core::attempt::Conclusion;
use nexus_core::event::Outcome;
use nexus_core::event::What;
use nexus_core::intake::{Admission as Verdict, admit};
use nexus_core::refusal::Refusal;
use nexus_core::task::QueueEntry;
use ractor::ActorRef;

use super::IntakeMsg;
use crate::board::Slot;
use crate::conclude::{conclude, reclaim};
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
        let policy = Arc::clone(&job.policy);
        if !slot.take(Arc::clone(&job.claim)) {
            // A worker that offered itself twice, around a restart of the intake.
            let busy = Conclusion::Interrupted("its worker was busy".to_owned());
            conclude(&node, &job.claim, busy, &Outcome::default(), &policy).await;
            return;
        }
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
        let expect = match turn(node, &entry, &delivery, fresh).await {
            Ok(Turn::Start(expect)) => expect,
            Ok(Turn::Drop) => return Err(Declined::Dropped(delivery)),
            Ok(Turn::Later(after)) => return Err(Declined::Later(delivery, after)),
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

/// What a delivery's turn is.
enum Turn {
    /// Start, expecting this sequence.
    Start(u64),
    /// There is nothing to do.
    Drop,
    /// It can't be told yet.
    Later(Duration),
}

async fn turn(node: &Node, entry: &QueueEntry, delivery: &Delivery, fresh: bool) -> Result<Turn, BusError> {
    // What was never started has no events; where that is wrong, the start itself is refused.
    if fresh && !delivery.redelivered && entry.attempt == 1 && entry.interruptions == 0 {
        return Ok(Turn::Start(0));
    }
    let Some(last) = node.bus.last_event(entry.task.id).await? else { return Ok(Turn::Start(0)) };
    match admit(entry, Some((&last.event, last.seq))) {
        Verdict::Start { expect } => return Ok(Turn::Start(expect)),
        Verdict::Drop => return Ok(Turn::Drop),
        Verdict::Held => {}
    }
    match &last.event.what {
        // Another entry of a task that was retried: the attempt goes on, and has a delivery of its own.
        What::Started { delivery: earlier, .. } if !(delivery.redelivered && delivery.is_again(earlier)) => {
            return Ok(Turn::Drop);
        }
        // The event doesn't say whose delivery it is about: its holder, if there is one, ends it soon.
        What::CancelRequested { .. } if node.board.holder(entry.task.id).is_some() => return Ok(Turn::Later(AGAIN)),
        What::CancelRequested { .. } if !delivery.redelivered => return Ok(Turn::Later(node.lease)),
        _ => {}
    }
    // Delivered again while an attempt is on the ledger: that attempt's lease has lapsed, and its holder has ended its
    // agent before that. The task goes back to the queue as interrupted, and this delivery is over.
    node.bus.requeue_orphan(&last, "its worker's lease lapsed", Timestamp::now()).await?;
    Ok(Turn::Drop)
}
