//! From a delivery to a claim: is it still to be done, and by which agent?

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use nexus_agents::{Choice, Wish};
use nexus_bus::{BusError, Claim, Delivery};
use nexus_core::account::wait;
use nexus_core::agent::AgentSpec;
use nexus_core::assign::nobody;
use nexus_core::attempt::Conclusion;
use nexus_core::event::{Outcome, What};
use nexus_core::id::AgentName;
use nexus_core::refusal::Refusal;
use nexus_core::task::{QueueEntry, Task};
use nexus_core::turn::{self, Arrival, Turn, Wait};
use ractor::ActorRef;
use tokio::sync::oneshot;

use super::IntakeMsg;
use crate::board::{Slot, Taking};
use crate::conclude::{conclude, reclaim, reclaim_one, unfailed};
use crate::gate::{gate, stands};
use crate::node::{Charter, Node};
use crate::seldom::Seldom;
use crate::worker::{Hold, Job, WorkerMsg};
use crate::worklog;

/// Wait before a delivery comes again that could not be dealt with for now.
const AGAIN: Duration = Duration::from_secs(1);
/// Wait before a task is looked at again that a worker of this node is about to let go of: it has written down how the
/// attempt ended, as a rule, and has only to say so.
const A_MOMENT: Duration = Duration::from_millis(20);
/// Looks at a task that changes under our hands, or whose holder is about to leave, before its delivery is given back.
const LOOKS: u32 = 10;

/// Wait before what a failed worker had in hand is looked at once more. Whoever supervises it sees to that, and knows why it
/// failed; but a worker that is killed with its department may be handed a task after that was looked for.
const SUPERVISED: Duration = Duration::from_secs(1);

/// Wait before work comes again that a newer nexus has to do: another node that was upgraded may have it then.
const UPGRADED: Duration = Duration::from_secs(60);

/// One delivery on its way to a worker.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) node: Arc<Node>,
    pub(super) charter: Arc<Charter>,
    pub(super) intake: ActorRef<IntakeMsg>,
    pub(super) delivery: Delivery,
    /// That there is work for a newer nexus is said by this.
    pub(super) newer: Arc<Seldom>,
    pub(super) hold: Hold,
}

/// Why a delivery didn't become an attempt.
enum Declined {
    /// Nothing more is to be done about it.
    Dropped(Delivery),
    /// Not by this nexus, but by a newer one.
    Newer(Delivery, BusError),
    /// Not now.
    Later(Delivery, Duration),
    /// The broker is away, or this node was. Nothing is said: that might be heard when another node has the task. The lease
    /// lapses.
    Left,
}

impl Admission {
    /// Claims the task for a worker and hands it over, or makes the worker idle again.
    pub(super) async fn run(self, slot: Arc<Slot>, worker: ActorRef<WorkerMsg>) {
        let Self { node, charter, intake, delivery, newer, hold } = self;
        let (job, taking) = match claim(&node, &charter, &slot, delivery, hold).await {
            Ok(claimed) => claimed,
            Err(declined) => {
                match declined {
                    Declined::Dropped(delivery) => node.bus.drop_delivery(&delivery).await,
                    // What may be somebody else's by now would be taken from them: that lapses by itself.
                    Declined::Later(..) if !hold.is_ours(&node) => {}
                    Declined::Later(delivery, after) => node.bus.return_delivery(&delivery, after).await,
                    Declined::Newer(delivery, error) => {
                        if newer.is_time() {
                            tracing::warn!(department = %charter.name, "has tasks that wait: {error}");
                        }
                        node.bus.return_delivery(&delivery, UPGRADED).await;
                    }
                    Declined::Left => {}
                }
                let _ = intake.cast(IntakeMsg::Idle { slot, worker });
                return;
            }
        };
        let policy = Arc::clone(&job.policy);
        let taken = slot.take(Arc::clone(&job.claim));
        drop(taking);
        if !taken {
            // A worker that offered itself twice, around a restart of the intake.
            let busy = Conclusion::Interrupted("its worker was busy".to_owned());
            conclude(&node, &job.claim, busy, &Outcome::default(), &unfailed(&policy)).await;
            return;
        }
        let claim = Arc::clone(&job.claim);
        let (over, ended) = oneshot::channel();
        if worker.cast(WorkerMsg::Run(Box::new(job), over)).is_err() {
            reclaim(&node, &slot, "its worker had failed", &policy).await;
        } else if ended.await.is_err() {
            tokio::time::sleep(SUPERVISED).await;
            reclaim_one(&node, &slot, &claim, "its worker failed", &policy).await;
        }
    }
}

async fn claim<'a>(
    node: &'a Node,
    charter: &Charter,
    slot: &Slot,
    delivery: Delivery,
    hold: Hold,
) -> Result<(Job, Taking<'a>), Declined> {
    let now = Timestamp::now();
    // Somebody else may get it any moment: this process was stopped, say, while it was brought.
    if !hold.is_fresh(node) {
        return Err(Declined::Left);
    }
    let entry = match &delivery.entry {
        Ok(entry) => entry.clone(),
        Err(error @ BusError::Newer { .. }) => {
            let error = error.clone();
            return Err(Declined::Newer(delivery, error));
        }
        Err(error) => {
            tracing::error!(department = %charter.name, "a queue entry can't be read and goes to the dead letters: {error}");
            let refusal = Refusal::invalid(error.to_string());
            let burying = node.bus.bury(charter.name.as_str(), &delivery.subject, &delivery.payload, refusal, now);
            let buried = Box::pin(burying).await;
            return Err(if buried.is_ok() { Declined::Dropped(delivery) } else { Declined::Later(delivery, AGAIN) });
        }
    };
    // Refused means that the task has changed under our hands. It is looked at again here, and not given back: nothing
    // calls for what is given back.
    let mut away = false;
    for look in 0..LOOKS {
        let expect = match turn(node, &entry, &delivery, look == 0).await {
            Ok(Turn::Start { expect }) => expect,
            Ok(Turn::Drop | Turn::Revive | Turn::QueueNext) => return Err(Declined::Dropped(delivery)),
            Ok(Turn::Later(Wait::Holder)) => {
                away = false;
                tokio::time::sleep(A_MOMENT).await;
                continue;
            }
            Ok(Turn::Later(Wait::Lease)) => return Err(Declined::Later(delivery, node.terms.task().lease())),
            Err(error @ BusError::Newer { .. }) => return Err(Declined::Newer(delivery, error)),
            Err(BusError::Unreachable(cause)) => {
                tracing::warn!(task = %entry.task.id, "could not be taken yet: {cause}");
                away = true;
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(error) => {
                tracing::warn!(task = %entry.task.id, "could not be taken: {error}");
                return Err(Declined::Later(delivery, AGAIN));
            }
        };
        // What has changed since it was asked for: nothing is held that can't be done.
        if node.purses.closed(&charter.name, now).is_some() {
            return Err(Declined::Later(delivery, Duration::ZERO));
        }
        let (reason, until) = match choose(node, charter, &entry, now) {
            Chosen::Agent(name, agent) => {
                // In hand before the ledger says so: what a second delivery finds there is never taken for nobody's.
                let Some(taking) = node.board.take_up(entry.task.id) else {
                    tokio::time::sleep(A_MOMENT).await;
                    continue;
                };
                let holder = (node.id.clone(), slot.worker.clone(), name);
                match Claim::start(node.bus.clone(), &delivery, entry.clone(), expect, holder, now).await {
                    Ok((claim, seq)) => {
                        node.historian.wrote(seq);
                        worklog::started(&claim);
                        if !hold.is_held(node) {
                            let late = Conclusion::Interrupted("its lease had ended before it was begun".to_owned());
                            conclude(node, &claim, late, &Outcome::default(), &unfailed(&charter.policy)).await;
                            return Err(Declined::Dropped(delivery));
                        }
                        let job = Job { claim: Arc::new(claim), policy: Arc::clone(&charter.policy), agent, hold };
                        return Ok((job, taking));
                    }
                    Err(BusError::Conflict) => away = false,
                    // Perhaps it was: then the next look finds an attempt of ours that nobody has in hand.
                    Err(BusError::Unreachable(cause)) => {
                        tracing::warn!(task = %entry.task.id, "it isn't known whether it was started: {cause}");
                        away = true;
                        drop(taking);
                        tokio::time::sleep(AGAIN).await;
                    }
                    Err(error) => {
                        tracing::warn!("a task could not be started: {error}");
                        return Err(Declined::Later(delivery, AGAIN));
                    }
                }
                continue;
            }
            Chosen::Gate => return Err(Declined::Later(delivery, Duration::ZERO)),
            Chosen::Wait(reason, until) => (reason, until),
        };
        match Box::pin(node.bus.put_off(&entry, expect, &reason, until, now)).await {
            Ok(seq) => {
                node.historian.wrote_with_entry(seq);
                return Err(Declined::Dropped(delivery));
            }
            Err(BusError::Conflict) => away = false,
            // Perhaps it was: then the next look finds that there is nothing to do.
            Err(BusError::Unreachable(cause)) => {
                tracing::warn!(task = %entry.task.id, "it isn't known whether it was put off: {cause}");
                away = true;
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => {
                tracing::warn!(task = %entry.task.id, "could not be put off: {error}");
                return Err(Declined::Later(delivery, AGAIN));
            }
        }
    }
    Err(if away { Declined::Left } else { Declined::Later(delivery, AGAIN) })
}

/// What becomes of a task that could be begun.
enum Chosen {
    Agent(AgentName, Arc<AgentSpec>),
    /// Nothing of this department can be: its gate is closed.
    Gate,
    /// It waits for an agent until then, while other tasks go on.
    Wait(String, Timestamp),
}

/// Which agent gets it.
fn choose(node: &Node, charter: &Charter, entry: &QueueEntry, now: Timestamp) -> Chosen {
    let task = &entry.task;
    let preferred = task.preferred_agent.as_ref();
    let resume = entry.resume.as_ref().filter(|resume| resume.node == node.id).map(|resume| &resume.agent);
    let candidates = charter.candidates(&task.task_type);
    let stands = |agent: &AgentName| stands(node, charter, agent, now);
    let until = |opens: Timestamp| wait(opens, now);
    match nexus_agents::choose(Wish { preferred, resume }, &candidates, stands) {
        Choice::Agent(name) => match charter.agents.get(name) {
            Some(agent) => Chosen::Agent(name.clone(), Arc::clone(agent)),
            None => {
                let why = format!("the department {} does not list the agent {name} any more", charter.name);
                Chosen::Wait(format!("{why}; {}", way_out(task)), until(Timestamp::MAX))
            }
        },
        Choice::Wait(name, closed) => Chosen::Wait(format!("{name}: {}", closed.why), until(closed.until)),
        // Others of the department may be open, which run commands.
        Choice::Closed(_) if gate(node, charter, now).is_some() => Chosen::Gate,
        Choice::Closed(closed) => Chosen::Wait(closed.why, until(closed.until)),
        Choice::Nobody => {
            let refusal = nobody(&charter.name, &charter.policy, &charter.agents, &task.task_type);
            Chosen::Wait(format!("{refusal}; {}", way_out(task)), until(Timestamp::MAX))
        }
    }
}

/// What can be done about a task that no agent of its department takes.
fn way_out(task: &Task) -> String {
    format!("change its agents, or nexus move {0} --department X, or nexus cancel {0}", task.id)
}

/// Decides what is done with a delivery, and does it where something is to be written for it: then nothing is left to do.
async fn turn(node: &Node, entry: &QueueEntry, delivery: &Delivery, fresh: bool) -> Result<Turn, BusError> {
    let (seq, redelivered) = (delivery.seq(), delivery.redelivered);
    let mut arrival = Arrival { seq, redelivered, again: false, ours: false, held: false, waited: false };
    if let Some(expect) = turn::expected(entry, arrival).filter(|_| fresh) {
        return Ok(Turn::Start { expect });
    }
    // Looked at before the ledger: whoever takes the task in hand after that has written so.
    arrival.held = node.board.holds(entry.task.id);
    let last = node.bus.last_event(entry.task.id).await?;
    let lease = node.terms.task().lease();
    let open = last.as_ref().map(|last| &last.event.what);
    arrival.again = open.and_then(What::delivery).is_some_and(|earlier| delivery.is_again(earlier));
    arrival.ours = open.and_then(What::node) == Some(&node.id);
    arrival.waited = last.as_ref().is_some_and(|last| node.board.waited(seq, last.seq, lease));
    let turn = turn::turn(entry, arrival, last.as_ref().map(|last| (&last.event, last.seq)));
    if let (Turn::Later(Wait::Lease), Some(last)) = (turn, &last) {
        node.board.defer(seq, last.seq, lease);
    }
    if let (Turn::Revive, Some(last)) = (turn, &last) {
        // Where that is refused, somebody else has said how it goes on.
        let requeued = Box::pin(node.bus.requeue_orphan(last, "its worker's lease lapsed", Timestamp::now())).await?;
        requeued.into_iter().for_each(|(_, written)| node.historian.wrote(written));
    }
    if let (Turn::QueueNext, Some(last)) = (turn, &last) {
        let queued = Box::pin(node.bus.queue_next(last, entry, Timestamp::now())).await?;
        queued.into_iter().for_each(|written| node.historian.wrote(written));
    }
    Ok(turn)
}
