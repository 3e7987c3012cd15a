//! A department: an actor that supervises its workers and its intake, and gives up when they fail too often.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{Order, Waiting};
use nexus_core::id::WorkerName;
use nexus_core::restart::{RestartHistory, Verdict};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::conclude::put_back;
use crate::intake::{Intake, IntakeMsg};
use crate::node::{Charter, Node};
use crate::worker::{Worker, WorkerArgs, WorkerMsg};

/// Messages to a department.
#[derive(Debug)]
pub(crate) enum DepartmentMsg {
    /// Work under this charter from now on; what runs is finished under the old one.
    Charter(Arc<Charter>),
    /// Take nothing more, and leave when the last worker has. After `grace` (if any) running work is interrupted.
    Leave { grace: Option<Duration>, reason: String },
    /// Interrupt what runs, now.
    Hurry { reason: String },
    /// An order that came over NATS.
    Order(Order, Option<Waiting>),
    /// A worker's restart is due.
    StartWorker(WorkerName),
    /// The intake's restart is due.
    StartIntake,
}

#[derive(Debug)]
pub(crate) struct Department;

#[derive(Debug)]
pub(crate) struct DepartmentState {
    node: Arc<Node>,
    charter: Arc<Charter>,
    workers: BTreeMap<WorkerName, ActorRef<WorkerMsg>>,
    intake: Option<ActorRef<IntakeMsg>>,
    /// In memory only: a crash loop of workers that is begun anew by a restart of the company ends in failures of this
    /// department again, and those are on the ledger.
    restarts: RestartHistory,
    began: Instant,
    leaving: bool,
    /// Restarts and deadlines that are due later; each is a message to ourselves, dropped with us.
    timers: Vec<AbortOnDropHandle<()>>,
    _orders: AbortOnDropHandle<()>,
}

impl Actor for Department {
    type Msg = DepartmentMsg;
    type State = DepartmentState;
    type Arguments = (Arc<Node>, Arc<Charter>);

    async fn pre_start(
        &self,
        myself: ActorRef<DepartmentMsg>,
        (node, charter): (Arc<Node>, Arc<Charter>),
    ) -> Result<DepartmentState, ActorProcessingErr> {
        let orders = tokio::spawn(listen(Arc::clone(&node), Arc::clone(&charter), myself.clone()));
        let mut state = DepartmentState {
            node,
            charter,
            workers: BTreeMap::new(),
            intake: None,
            restarts: RestartHistory::default(),
            began: Instant::now(),
            leaving: false,
            timers: Vec::new(),
            _orders: AbortOnDropHandle::new(orders),
        };
        state.start_intake(&myself).await?;
        state.resize(&myself).await?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<DepartmentMsg>,
        message: DepartmentMsg,
        state: &mut DepartmentState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            DepartmentMsg::Charter(charter) => {
                state.charter = charter;
                state.stay();
                if let Some(intake) = &state.intake {
                    let _ = intake.cast(IntakeMsg::Charter(Arc::clone(&state.charter)));
                }
                state.resize(&myself).await?;
            }
            DepartmentMsg::Leave { grace, reason } => state.leave(&myself, grace, reason),
            DepartmentMsg::Hurry { reason } => state.tell_all(|| WorkerMsg::Interrupt(reason.clone())),
            DepartmentMsg::Order(order, waiting) => state.order(order, waiting),
            DepartmentMsg::StartWorker(name) => {
                // A reload may have started it meanwhile: one to a place.
                let is_missing = !state.workers.contains_key(&name);
                if !state.leaving && is_missing && state.wanted().any(|wanted| wanted == name) {
                    state.start_worker(&myself, name).await?;
                }
            }
            DepartmentMsg::StartIntake => {
                if !state.leaving {
                    state.start_intake(&myself).await?;
                }
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<DepartmentMsg>,
        event: SupervisionEvent,
        state: &mut DepartmentState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, cause) => state.failed(&myself, &who, &cause.to_string()),
            SupervisionEvent::ActorTerminated(who, _, reason) => {
                if let Some(name) = state.worker_of(&who) {
                    state.workers.remove(&name);
                    state.retired(name.clone());
                    // It was told to leave, and is wanted again since.
                    if !state.leaving && state.wanted().any(|wanted| wanted == name) {
                        let _ = myself.cast(DepartmentMsg::StartWorker(name));
                    }
                } else if state.is_intake(&who) && !state.leaving {
                    return state.failed(&myself, &who, &reason.unwrap_or_else(|| "ended".to_owned()));
                }
                if state.leaving && state.workers.is_empty() {
                    myself.stop(Some("left".to_owned()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

impl DepartmentState {
    /// Names of the workers that the charter asks for.
    fn wanted(&self) -> impl Iterator<Item = WorkerName> + use<> {
        (0..self.charter.policy.workers).filter_map(|n| WorkerName::new(format!("worker-{n}")).ok())
    }

    /// Starts workers that are missing, and retires those that are too many.
    async fn resize(&mut self, myself: &ActorRef<DepartmentMsg>) -> Result<(), ActorProcessingErr> {
        if self.leaving {
            return Ok(());
        }
        let wanted: Vec<_> = self.wanted().collect();
        for name in wanted.iter().filter(|name| !self.workers.contains_key(*name)).cloned().collect::<Vec<_>>() {
            self.start_worker(myself, name).await?;
        }
        for (_, worker) in self.workers.iter().filter(|(name, _)| !wanted.contains(name)) {
            let _ = worker.cast(WorkerMsg::Retire);
        }
        Ok(())
    }

    async fn start_worker(
        &mut self,
        myself: &ActorRef<DepartmentMsg>,
        name: WorkerName,
    ) -> Result<(), ActorProcessingErr> {
        let slot = self.node.board.slot(&self.charter.name, &name);
        // What its predecessor was handed at the moment of its end: with full hands it would do nothing, ever.
        if let Some(unfinished) = slot.abandon(|_| true) {
            let (node, slot, policy) = (Arc::clone(&self.node), Arc::clone(&slot), Arc::clone(&self.charter.policy));
            tokio::spawn(async move { put_back(&node, &slot, unfinished, "its worker failed", &policy).await });
        }
        let args = WorkerArgs { node: Arc::clone(&self.node), slot, intake: self.intake.clone() };
        let (worker, _) = Actor::spawn_linked(None, Worker, args, myself.get_cell()).await?;
        tracing::debug!(department = %self.charter.name, worker = %name, "started");
        self.workers.insert(name, worker);
        Ok(())
    }

    async fn start_intake(&mut self, myself: &ActorRef<DepartmentMsg>) -> Result<(), ActorProcessingErr> {
        let args = (Arc::clone(&self.node), Arc::clone(&self.charter));
        let (intake, _) = Actor::spawn_linked(None, Intake, args, myself.get_cell()).await?;
        self.intake = Some(intake.clone());
        self.tell_all(|| WorkerMsg::Intake(intake.clone()));
        Ok(())
    }

    /// A child failed: it is replaced, or this department fails in its turn.
    fn failed(
        &mut self,
        myself: &ActorRef<DepartmentMsg>,
        who: &ActorCell,
        cause: &str,
    ) -> Result<(), ActorProcessingErr> {
        let department = &self.charter.name;
        let (what, restart) = match self.worker_of(who) {
            Some(name) => {
                self.workers.remove(&name);
                let slot = self.node.board.slot(department, &name);
                slot.restarted();
                // Taken now, so that it can't be what its successor is handed.
                if let Some(unfinished) = slot.abandon(|_| true) {
                    let (node, policy) = (Arc::clone(&self.node), Arc::clone(&self.charter.policy));
                    // Not ours to drop: the task goes back to the queue whatever becomes of this department.
                    tokio::spawn(async move { put_back(&node, &slot, unfinished, "its worker failed", &policy).await });
                }
                (name.to_string(), DepartmentMsg::StartWorker(name))
            }
            None if self.is_intake(who) => {
                self.intake = None;
                ("intake".to_owned(), DepartmentMsg::StartIntake)
            }
            None => return Ok(()),
        };
        if self.leaving {
            if self.workers.is_empty() {
                myself.stop(Some("left".to_owned()));
            }
            return Ok(());
        }
        match self.restarts.record(&self.charter.policy.restart, self.began.elapsed()) {
            Verdict::RestartAfter(delay) => {
                tracing::warn!(%department, "{what} failed and is replaced: {cause}");
                self.later(myself, delay, restart);
                Ok(())
            }
            Verdict::Escalate => {
                let policy = &self.charter.policy.restart;
                Err(format!(
                    "more than {} failures of its workers within {}; the last: {what}: {cause}",
                    policy.max_restarts, policy.within
                )
                .into())
            }
        }
    }

    /// A worker left as it was told to. A task that was handed to it at that very moment goes back to the queue.
    fn retired(&self, name: WorkerName) {
        let (node, policy) = (Arc::clone(&self.node), Arc::clone(&self.charter.policy));
        let department = self.charter.name.clone();
        let back = self.wanted().any(|wanted| wanted == name) && !self.leaving;
        let slot = node.board.slot(&department, &name);
        let unfinished = slot.abandon(|_| true);
        tokio::spawn(async move {
            if let Some(unfinished) = unfinished {
                put_back(&node, &slot, unfinished, "its worker was leaving", &policy).await;
            }
            if !back {
                node.board.remove(&slot);
            }
        });
    }

    /// The file of a department that was leaving is back.
    fn stay(&mut self) {
        if !std::mem::take(&mut self.leaving) {
            return;
        }
        if let Some(intake) = &self.intake {
            let _ = intake.cast(IntakeMsg::Reopen);
        }
        self.tell_all(|| WorkerMsg::Stay);
    }

    fn leave(&mut self, myself: &ActorRef<DepartmentMsg>, grace: Option<Duration>, reason: String) {
        self.leaving = true;
        if let Some(intake) = &self.intake {
            let _ = intake.cast(IntakeMsg::Close);
        }
        self.tell_all(|| WorkerMsg::Retire);
        if let Some(grace) = grace {
            self.later(myself, grace, DepartmentMsg::Hurry { reason });
        }
        if self.workers.is_empty() {
            myself.stop(Some("left".to_owned()));
        }
    }

    fn order(&self, order: Order, waiting: Option<Waiting>) {
        let (task, message) = match order {
            Order::Answer { task, question, allow } => {
                let answered = self.node.board.answer(task, question, allow);
                if let Some(waiting) = waiting {
                    tokio::spawn(waiting.tell(answered));
                }
                return;
            }
            Order::Cancel { task, reason } => (task, WorkerMsg::Cancel { task, reason }),
            Order::Panic { task } if self.node.faults => (task, WorkerMsg::Panic),
            Order::Panic { .. } => return,
        };
        let holder = self.node.board.holder(task).and_then(|slot| self.workers.get(&slot.worker));
        let Some(worker) = holder else {
            // The one who waits for the cancel looks at the ledger, which tells more than we could.
            tracing::debug!(%task, "an order for a task that nobody has here");
            return;
        };
        let _ = worker.cast(message);
    }

    fn tell_all(&self, message: impl Fn() -> WorkerMsg) {
        for worker in self.workers.values() {
            let _ = worker.cast(message());
        }
    }

    fn later(&mut self, myself: &ActorRef<DepartmentMsg>, delay: Duration, message: DepartmentMsg) {
        if delay.is_zero() {
            // A timer's clock knows whole milliseconds.
            let _ = myself.cast(message);
            return;
        }
        self.timers.retain(|timer| !timer.is_finished());
        let actor = myself.clone();
        self.timers.push(AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = actor.cast(message);
        })));
    }

    fn worker_of(&self, who: &ActorCell) -> Option<WorkerName> {
        self.workers.iter().find(|(_, worker)| worker.get_id() == who.get_id()).map(|(name, _)| name.clone())
    }

    fn is_intake(&self, who: &ActorCell) -> bool {
        self.intake.as_ref().is_some_and(|intake| intake.get_id() == who.get_id())
    }
}

async fn listen(node: Arc<Node>, charter: Arc<Charter>, department: ActorRef<DepartmentMsg>) {
    let mut orders = loop {
        match node.bus.orders(&node.id, &charter.name).await {
            Ok(orders) => break orders,
            Err(error) => {
                tracing::warn!(department = %charter.name, "can't be given orders yet: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    };
    while let Some((order, waiting)) = orders.next().await {
        if department.cast(DepartmentMsg::Order(order, waiting)).is_err() {
            return;
        }
    }
}
