//! A department's intake: takes exactly as many tasks from its queues as workers are idle, or about to be, and hands each to one.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use jiff::{SignedDuration, Timestamp};
use nexus_bus::{BusError, Delivery, Queues};
use nexus_core::id::WorkerName;
use nexus_core::intake::Shares;
use nexus_core::lane::Lane;
use nexus_core::offers::Offers;
use nexus_process::clock::since_boot;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::AbortOnDropHandle;

use crate::board::Slot;
use crate::gate::gate;
use crate::node::{Charter, Node};
use crate::seldom::Seldom;
use crate::worker::{Hold, WorkerMsg};

mod admit;

/// Messages to an intake.
#[derive(Debug)]
pub(crate) enum IntakeMsg {
    /// This worker is free.
    Idle { slot: Arc<Slot>, worker: ActorRef<WorkerMsg> },
    /// This worker will be free in a moment: it is about to write down how its task ended. What comes next can be fetched meanwhile.
    Soon(WorkerName),
    /// This worker is leaving: nothing more for it.
    Gone(WorkerName),
    /// Something may wait in this lane.
    Wake(Lane),
    /// Time to look everywhere: a redelivery and a retry that came due wake nobody.
    LookAgain,
    /// The queues are open.
    Opened(Box<Queues>),
    /// The result of a pull.
    Pulled { queues: Box<Queues>, lane: Lane, asked: usize, hold: Hold, brought: Result<Vec<Delivery>, BusError> },
    /// From now on work under this charter.
    Charter(Arc<Charter>),
    /// Take nothing more.
    Close,
    /// Take work again.
    Reopen,
}

/// A result of a pull, on its way to a worker.
#[derive(Debug)]
struct Fetched {
    delivery: Delivery,
    lane: Lane,
    hold: Hold,
}

#[derive(Debug)]
pub(crate) struct Intake;

#[derive(Debug)]
pub(crate) struct IntakeState {
    node: Arc<Node>,
    charter: Arc<Charter>,
    shares: Shares,
    /// Here while no pull is under way: there is one at a time.
    queues: Option<Box<Queues>>,
    /// Woken while a pull was under way: what it says of that lane may be old.
    woken: [bool; Lane::COUNT],
    offers: Offers<(Arc<Slot>, ActorRef<WorkerMsg>), Fetched>,
    closed: bool,
    newer: Arc<Seldom>,
    opening: Option<AbortOnDropHandle<()>>,
    /// When its agents can work again, if they can't now.
    opens: Option<(Timestamp, AbortOnDropHandle<()>)>,
    _owned: [AbortOnDropHandle<()>; 3],
}

/// The time after which an idle department looks by itself. Eleven small requests each time: next to nothing.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
/// Wait after a pull or an opening that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(500);

impl Actor for Intake {
    type Msg = IntakeMsg;
    type State = IntakeState;
    type Arguments = (Arc<Node>, Arc<Charter>);

    async fn pre_start(
        &self,
        myself: ActorRef<IntakeMsg>,
        (node, charter): (Arc<Node>, Arc<Charter>),
    ) -> Result<IntakeState, ActorProcessingErr> {
        let opening = tokio::spawn(open_queues(Arc::clone(&node), Arc::clone(&charter), myself.clone()));
        let listening = tokio::spawn(listen(Arc::clone(&node), Arc::clone(&charter), myself.clone()));
        let attending = tokio::spawn(attend(Arc::clone(&node), myself.clone()));
        let looking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(LOOK_AGAIN);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                ticks.tick().await;
                if myself.cast(IntakeMsg::LookAgain).is_err() {
                    return;
                }
            }
        });
        Ok(IntakeState {
            node,
            charter,
            shares: Shares::default(),
            queues: None,
            woken: [false; Lane::COUNT],
            offers: Offers::default(),
            closed: false,
            newer: Arc::default(),
            opening: Some(AbortOnDropHandle::new(opening)),
            opens: None,
            _owned: [looking, listening, attending].map(AbortOnDropHandle::new),
        })
    }

    async fn handle(
        &self,
        myself: ActorRef<IntakeMsg>,
        message: IntakeMsg,
        state: &mut IntakeState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            IntakeMsg::Idle { slot, worker } => {
                if let Some((who, task)) = state.offers.idle(slot.worker.clone(), (slot, worker)) {
                    state.admit(&myself, who, task);
                }
            }
            IntakeMsg::Soon(name) => state.offers.soon(name, since_boot()),
            IntakeMsg::Wake(lane) => {
                state.woken[lane.index()] = true;
                state.shares.woken(lane);
            }
            IntakeMsg::LookAgain => {
                let late = state.offers.late(since_boot());
                state.give_back(late);
                state.shares.woken_all();
            }
            IntakeMsg::Opened(queues) => {
                state.queues = Some(queues);
                state.shares.woken_all();
            }
            IntakeMsg::Pulled { queues, lane, asked, hold, brought } => {
                // A refusal means that the queue isn't what it was, such as deleted by hand: it is made anew.
                if matches!(brought, Err(BusError::Refused(_))) {
                    let opening = open_queues(Arc::clone(&state.node), Arc::clone(&state.charter), myself.clone());
                    state.opening = Some(AbortOnDropHandle::new(tokio::spawn(opening)));
                } else {
                    state.queues = Some(queues);
                }
                state.pulled(&myself, lane, asked, hold, brought);
            }
            IntakeMsg::Charter(charter) => state.charter = charter,
            IntakeMsg::Gone(name) => {
                let left = state.offers.gone(&name);
                state.give_back(left);
            }
            IntakeMsg::Close => {
                state.closed = true;
                let left = state.offers.close();
                state.give_back(left);
            }
            IntakeMsg::Reopen => state.closed = false,
        }
        state.pull(&myself);
        Ok(())
    }
}

impl IntakeState {
    /// Starts a pull, if a worker is idle, or will be soon, and something may wait.
    fn pull(&mut self, myself: &ActorRef<IntakeMsg>) {
        let asked = self.offers.wanted();
        // Without the node's lease nothing is begun; looking again finds out when it is back.
        if self.closed || asked == 0 || self.queues.is_none() {
            return;
        }
        let Some(term) = self.node.tenure.term() else { return };
        if let Some(closed) = gate(&self.node, &self.charter, Timestamp::now()) {
            return self.wait_until(closed.until, myself);
        }
        self.opens = None;
        let Some(lane) = self.shares.pick() else { return };
        let Some(mut queues) = self.queues.take() else { return };
        // The broker counts from when it delivers, and that may be long before it is looked at here: this process may be
        // stopped in between. It can't be before it was asked for.
        let hold = Hold { term, since: since_boot() };
        self.woken = [false; Lane::COUNT];
        let intake = myself.clone();
        tokio::spawn(async move {
            let brought = queues.pull(lane, asked).await;
            if brought.is_err() {
                tokio::time::sleep(AFTER_FAILURE).await;
            }
            // An intake that is gone has no use for it: the lease of what was brought lapses, and it comes again.
            let _ = intake.cast(IntakeMsg::Pulled { queues, lane, asked, hold, brought });
        });
    }

    /// Looks again when its agents can work; what opens them before is heard of.
    fn wait_until(&mut self, until: Timestamp, myself: &ActorRef<IntakeMsg>) {
        if self.opens.as_ref().is_some_and(|(at, _)| *at == until) {
            return;
        }
        let intake = myself.clone();
        let timer = tokio::spawn(async move {
            let delay = until.duration_since(Timestamp::now());
            tokio::time::sleep(delay.max(SignedDuration::ZERO).unsigned_abs()).await;
            let _ = intake.cast(IntakeMsg::LookAgain);
        });
        self.opens = Some((until, AbortOnDropHandle::new(timer)));
    }

    fn pulled(
        &mut self,
        myself: &ActorRef<IntakeMsg>,
        lane: Lane,
        asked: usize,
        hold: Hold,
        brought: Result<Vec<Delivery>, BusError>,
    ) {
        let brought = match brought {
            Ok(brought) => brought,
            Err(error) => {
                tracing::warn!(department = %self.charter.name, "nothing could be taken from the queue: {error}");
                return;
            }
        };
        if brought.is_empty() {
            self.shares.returned(lane);
        }
        if brought.len() < asked && !self.woken[lane.index()] {
            self.shares.drained(lane);
        }
        for delivery in brought {
            // Closed while the pull was under way: somebody else may have it.
            let fetched = Fetched { delivery, lane, hold };
            let given = if self.closed { Err(fetched) } else { self.offers.give(fetched) };
            match given {
                Ok(Some((who, task))) => self.admit(myself, who, task),
                Ok(None) => {}
                Err(task) => self.give_back([task]),
            }
        }
    }

    /// Has a worker's task claimed for it.
    fn admit(
        &self,
        myself: &ActorRef<IntakeMsg>,
        (slot, worker): (Arc<Slot>, ActorRef<WorkerMsg>),
        Fetched { delivery, hold, .. }: Fetched,
    ) {
        let admission = admit::Admission {
            node: Arc::clone(&self.node),
            charter: Arc::clone(&self.charter),
            intake: myself.clone(),
            newer: Arc::clone(&self.newer),
            delivery,
            hold,
        };
        // As it is large, and spawning moves it several times.
        tokio::spawn(Box::pin(admission.run(slot, worker)));
    }

    /// Lets somebody else have what nobody here will do.
    fn give_back(&self, tasks: impl IntoIterator<Item = Fetched>) {
        for Fetched { delivery, lane, hold } in tasks {
            let (node, department) = (Arc::clone(&self.node), self.charter.name.clone());
            tokio::spawn(async move {
                // What may be somebody else's by now would be taken from them, and so it would by what is heard of only when the
                // broker is back: that lapses by itself.
                if node.bus.flush().await && hold.is_ours(&node) {
                    node.bus.return_delivery(&delivery, Duration::ZERO).await;
                    node.bus.wake(&department, lane).await;
                }
            });
        }
    }
}

impl Drop for IntakeState {
    /// However it ends: what was brought need not wait for its lease to lapse.
    fn drop(&mut self) {
        let left = self.offers.close();
        if tokio::runtime::Handle::try_current().is_ok() {
            self.give_back(left);
        }
    }
}

async fn open_queues(node: Arc<Node>, charter: Arc<Charter>, intake: ActorRef<IntakeMsg>) {
    loop {
        match Queues::open(node.bus.clone(), charter.name.clone(), node.terms.task().lease()).await {
            Ok(queues) => {
                let _ = intake.cast(IntakeMsg::Opened(Box::new(queues)));
                return;
            }
            Err(error) => tracing::warn!(department = %charter.name, "the queues could not be opened yet: {error}"),
        }
        tokio::time::sleep(AFTER_FAILURE).await;
    }
}

/// Tells an intake that accounts have changed, or what may be spent.
async fn attend(node: Arc<Node>, intake: ActorRef<IntakeMsg>) {
    let (mut accounts, mut purses) = (node.accounts.changes(), node.purses.changes());
    loop {
        let changed = tokio::select! {
            changed = accounts.changed() => changed,
            changed = purses.changed() => changed,
        };
        if changed.is_err() || intake.cast(IntakeMsg::LookAgain).is_err() {
            return;
        }
    }
}

async fn listen(node: Arc<Node>, charter: Arc<Charter>, intake: ActorRef<IntakeMsg>) {
    let mut wakes = loop {
        match Queues::wakes(&node.bus, &charter.name).await {
            Ok(wakes) => break Box::pin(wakes),
            Err(error) => tracing::warn!(department = %charter.name, "can't be woken yet: {error}"),
        }
        tokio::time::sleep(AFTER_FAILURE).await;
    };
    while let Some(lane) = wakes.next().await {
        if intake.cast(IntakeMsg::Wake(lane)).is_err() {
            return;
        }
    }
}
