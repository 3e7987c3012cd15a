//! A worker: an actor that owns one attempt at a time. Its failure is its own, and its department replaces it.

use std::sync::Arc;
use std::time::Duration;

use nexus_bus::Claim;
use nexus_core::agent::AgentSpec;
use nexus_core::attempt::Input;
use nexus_core::department::Department;
use nexus_core::id::TaskId;
use nexus_process::clock::since_boot;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::board::Slot;
use crate::intake::IntakeMsg;
use crate::node::Node;
use crate::tenure::Term;

mod body;
mod brief;
mod contain;
mod door;
mod drive;
mod filling;
mod gateway;
mod launch;
mod output;
mod prompt;
mod renewal;
mod side;
mod speech;
mod spending;
mod telling;
mod terminals;
mod warm;

#[cfg(target_os = "linux")]
pub(crate) use door::pipes::writable as door_pipes;
pub(crate) use gateway::PORT as PROXY_PORT;

/// Messages to a worker.
#[derive(Debug)]
pub(crate) enum WorkerMsg {
    /// Work on this; only sent to a worker that has offered itself. It is told when the work is over, and dropped when the
    /// worker fails.
    Run(Box<Job>, oneshot::Sender<()>),
    /// End this task's attempt: somebody asked for its cancel.
    Cancel { task: TaskId, reason: String },
    /// End whatever runs and give it back to the queue.
    Interrupt(String),
    /// The attempt is over, and is about to be written down.
    Ending,
    /// The attempt is over and written down.
    Ended { well: Option<bool> },
    /// The driver of the attempt has failed.
    Crashed(String),
    /// Offer yourself to this intake from now on.
    Intake(ActorRef<IntakeMsg>),
    /// Leave when nothing is in hand any more.
    Retire,
    /// Don't leave after all.
    Stay,
    /// Fail. Tests only.
    Panic,
}

/// A task in the hands of a worker.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) claim: Arc<Claim>,
    /// The department's policy as it was when the attempt began; a change applies to the next.
    pub(crate) policy: Arc<Department>,
    pub(crate) agent: Arc<AgentSpec>,
    pub(crate) hold: Hold,
}

/// Since when a task is this node's to work on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hold {
    /// In which it was asked for.
    pub(crate) term: Term,
    /// When it was asked for, by [`since_boot`]: its lease runs from then at the latest.
    pub(crate) since: Duration,
}

impl Job {
    /// The session that an attempt before has left, if this one can go on with it.
    pub(crate) fn resume(&self) -> Option<&str> {
        let resume = self.claim.entry.resume.as_ref()?;
        let is_ours = resume.agent == self.claim.agent && resume.node == self.claim.node;
        let can = nexus_agents::adapter(self.agent.kind).is_none_or(|adapter| adapter.resumes());
        (is_ours && can && self.agent.kind.is_model()).then_some(&*resume.session)
    }
}

impl Hold {
    /// True if most of the lease is still to come.
    pub(crate) fn is_fresh(&self, node: &Node) -> bool {
        node.tenure.holds(self.term) && since_boot() < self.since + node.terms.task().period()
    }

    /// True if an attempt that was not renewed yet may go on.
    pub(crate) fn is_held(&self, node: &Node) -> bool {
        node.alone || node.tenure.holds(self.term) && self.is_ours(node)
    }

    /// True if nobody else can have got it, if it was not renewed yet.
    pub(crate) fn is_ours(&self, node: &Node) -> bool {
        since_boot() < self.since + node.terms.task().held()
    }
}

#[derive(Debug)]
pub(crate) struct Worker;

#[derive(Debug)]
pub(crate) struct WorkerArgs {
    pub(crate) node: Arc<Node>,
    pub(crate) slot: Arc<Slot>,
    pub(crate) intake: Option<ActorRef<IntakeMsg>>,
}

#[derive(Debug)]
pub(crate) struct WorkerState {
    node: Arc<Node>,
    slot: Arc<Slot>,
    intake: Option<ActorRef<IntakeMsg>>,
    running: Option<Running>,
    retiring: bool,
}

#[derive(Debug)]
struct Running {
    inputs: mpsc::Sender<Input>,
    task: TaskId,
    _driver: AbortOnDropHandle<()>,
}

/// Inputs on their way to an attempt: each kind matters once, and there are few kinds.
const INPUTS: usize = 16;

impl Actor for Worker {
    type Msg = WorkerMsg;
    type State = WorkerState;
    type Arguments = WorkerArgs;

    async fn pre_start(&self, _: ActorRef<WorkerMsg>, args: WorkerArgs) -> Result<WorkerState, ActorProcessingErr> {
        let WorkerArgs { node, slot, intake } = args;
        Ok(WorkerState { node, slot, intake, running: None, retiring: false })
    }

    async fn post_start(&self, myself: ActorRef<WorkerMsg>, state: &mut WorkerState) -> Result<(), ActorProcessingErr> {
        state.offer(&myself);
        Ok(())
    }

    async fn handle(
        &self,
        myself: ActorRef<WorkerMsg>,
        message: WorkerMsg,
        state: &mut WorkerState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            WorkerMsg::Run(job, over) => state.run(&myself, *job, over),
            WorkerMsg::Cancel { task, reason } => state.tell(Some(task), Input::Cancel(reason)),
            WorkerMsg::Interrupt(reason) => state.tell(None, Input::Interrupt(reason)),
            WorkerMsg::Ending => state.offer_soon(),
            WorkerMsg::Ended { well } => {
                state.slot.finish(well);
                state.running = None;
                state.next(&myself);
            }
            WorkerMsg::Crashed(cause) => return Err(cause.into()),
            WorkerMsg::Intake(intake) => {
                state.intake = Some(intake);
                if state.running.is_none() {
                    state.offer(&myself);
                }
            }
            WorkerMsg::Retire => {
                state.retiring = true;
                if let Some(intake) = &state.intake {
                    let _ = intake.cast(IntakeMsg::Gone(state.slot.worker.clone()));
                }
                if state.running.is_none() {
                    state.next(&myself);
                }
            }
            WorkerMsg::Stay => {
                state.retiring = false;
                if state.running.is_none() {
                    state.offer(&myself);
                }
            }
            #[expect(clippy::panic, reason = "the fault that this order is for")]
            WorkerMsg::Panic => panic!("a worker was told to panic"),
        }
        Ok(())
    }
}

impl WorkerState {
    fn run(&mut self, myself: &ActorRef<WorkerMsg>, job: Job, over: oneshot::Sender<()>) {
        let (inputs, receiver) = mpsc::channel(INPUTS);
        let task = job.claim.entry.task.id;
        let presence = self.slot.enter();
        let attempt = drive::Drive {
            node: Arc::clone(&self.node),
            slot: Arc::clone(&self.slot),
            job,
            inputs: receiver,
            interrupts: inputs.clone(),
            worker: myself.clone(),
        };
        let give_up = self.node.give_up.clone();
        // Boxed, as it is large and spawning moves it several times.
        let driver = AbortOnDropHandle::new(tokio::spawn(Box::pin(async move {
            let _presence = presence;
            let well = tokio::select! {
                well = attempt.run() => well,
                // Dropping it kills the agent.
                () = give_up.cancelled() => None,
            };
            let _ = over.send(());
            well
        })));
        let worker = myself.clone();
        let watcher = tokio::spawn(async move {
            // A worker that is gone needs no answer: whoever supervises it looks at its slot.
            let _ = match driver.await {
                Ok(well) => worker.cast(WorkerMsg::Ended { well }),
                Err(error) => worker.cast(WorkerMsg::Crashed(error.to_string())),
            };
        });
        self.running = Some(Running { inputs, task, _driver: AbortOnDropHandle::new(watcher) });
    }

    fn tell(&self, task: Option<TaskId>, input: Input) {
        if let Some(running) = &self.running
            && task.is_none_or(|task| task == running.task)
            && running.inputs.try_send(input).is_err()
        {
            tracing::debug!(task = %running.task, "the attempt is ending already");
        }
    }

    fn next(&self, myself: &ActorRef<WorkerMsg>) {
        if self.retiring {
            myself.stop(Some("retired".to_owned()));
        } else {
            self.offer(myself);
        }
    }

    /// The next task can be fetched while the end of the last one is written down.
    fn offer_soon(&self) {
        if let Some(intake) = self.intake.as_ref().filter(|_| !self.retiring) {
            let _ = intake.cast(IntakeMsg::Soon(self.slot.worker.clone()));
        }
    }

    fn offer(&self, myself: &ActorRef<WorkerMsg>) {
        if let Some(intake) = &self.intake
            && !self.retiring
        {
            // An intake that is gone is being replaced, and its replacement asks again.
            let _ = intake.cast(IntakeMsg::Idle { slot: Arc::clone(&self.slot), worker: myself.clone() });
        }
    }
}
