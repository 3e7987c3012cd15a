//! The CEO: an actor that takes work and questions, decides where they belong, and supervises the departments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{Ask, CeoService, Question, Responder};
use nexus_core::api::{Accepted, DepartmentState as Condition};
use nexus_core::company::Company;
use nexus_core::id::DepartmentName;
use nexus_core::refusal::{Refusal, RefusalKind};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::department::DepartmentMsg;
use crate::node::Node;

mod cancel;
mod letters;
mod overview;
mod staff;
mod submit;

use staff::Child;

/// What the CEO is told.
#[derive(Debug)]
pub(crate) enum CeoMsg {
    /// A question over NATS. The permit bounds how many are in hand.
    Ask(Box<Ask>, OwnedSemaphorePermit),
    /// Work asked for by a letter; whoever brought it waits for the answer.
    Submit(Box<submit::Order>, oneshot::Sender<Result<Accepted, Refusal>>),
    /// The configuration has changed.
    Reload(Arc<Company>),
    /// The configuration was changed into one that can't be used: the last good one stays.
    ConfigError(Option<String>),
    /// Stop: take no more work, give what runs `grace`, and leave when all departments have.
    Leave { grace: Duration },
    /// Don't wait any longer.
    Hurry,
    /// A department's restart is due.
    Start(DepartmentName),
}

#[derive(Debug)]
pub(crate) struct Ceo;

#[derive(Debug)]
pub(crate) struct CeoState {
    node: Arc<Node>,
    company: Arc<Company>,
    departments: BTreeMap<DepartmentName, Child>,
    config_error: Option<String>,
    /// What its clock shows, `now`, begins at the restarts' window: so that a failure before it began has a place there.
    began: Instant,
    origin: Duration,
    leaving: bool,
    service: Option<CeoService>,
    long: Arc<Semaphore>,
    letters: letters::Post,
    timers: Vec<AbortOnDropHandle<()>>,
    _asks: AbortOnDropHandle<()>,
}

/// Questions that are being answered at once. Each may hold a task's description (128 KiB): 32 MiB at most.
const IN_HAND: usize = 256;
/// How long a start waits for its triggers to listen.
const LISTEN: Duration = Duration::from_secs(5);
/// Cancels under way at once: each is a small task that waits for an agent's end.
const LONG: usize = 4096;

impl Actor for Ceo {
    type Msg = CeoMsg;
    type State = CeoState;
    type Arguments = (Arc<Node>, Arc<Company>);

    async fn pre_start(
        &self,
        myself: ActorRef<CeoMsg>,
        (node, company): (Arc<Node>, Arc<Company>),
    ) -> Result<CeoState, ActorProcessingErr> {
        let (service, mut questions) = node.bus.serve_ceo(&node.version).await?;
        let ceo = myself.clone();
        let asks = tokio::spawn(async move {
            let in_hand = Arc::new(Semaphore::new(IN_HAND));
            while let Some(ask) = questions.recv().await {
                let Ok(permit) = Arc::clone(&in_hand).acquire_owned().await else { return };
                if ceo.cast(CeoMsg::Ask(Box::new(ask), permit)).is_err() {
                    return;
                }
            }
        });
        let letters = letters::Post::open(Arc::clone(&node), myself.clone());
        let mut state = CeoState {
            node,
            company: Arc::clone(&company),
            departments: BTreeMap::new(),
            config_error: None,
            began: Instant::now(),
            origin: company.restart.within.get(),
            leaving: false,
            service: Some(service),
            long: Arc::new(Semaphore::new(LONG)),
            letters,
            timers: Vec::new(),
            _asks: AbortOnDropHandle::new(asks),
        };
        let listening = state.letters.follow(&company);
        state.reload(&myself, company).await;
        // "Ready" includes the triggers, unless the broker is slow: then they follow.
        let _ = tokio::time::timeout(LISTEN, futures_util::future::join_all(listening)).await;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<CeoMsg>,
        message: CeoMsg,
        state: &mut CeoState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            CeoMsg::Ask(ask, permit) => state.answer(&myself, *ask, permit).await,
            CeoMsg::Submit(order, reply) => {
                let plan = state.plan(*order);
                let node = Arc::clone(&state.node);
                tokio::spawn(async move {
                    let result = match plan {
                        Ok(plan) => plan.carry_out(&node).await,
                        Err(refusal) => Err(refusal),
                    };
                    let _ = reply.send(result);
                });
            }
            CeoMsg::Reload(company) => {
                if !state.leaving {
                    state.letters.follow(&company);
                    state.reload(&myself, company).await;
                }
            }
            CeoMsg::ConfigError(error) => state.config_error = error,
            CeoMsg::Leave { grace } => state.leave(&myself, grace),
            CeoMsg::Hurry => {
                for actor in state.departments.values().filter_map(|child| child.actor.as_ref()) {
                    let _ = actor.cast(DepartmentMsg::Hurry { reason: STOPPING.to_owned() });
                }
            }
            CeoMsg::Start(name) => state.start(&myself, &name).await,
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<CeoMsg>,
        event: SupervisionEvent,
        state: &mut CeoState,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(who, cause) => {
                if let Some(name) = state.name_of(&who) {
                    state.failed(&myself, &name, &cause.to_string());
                }
            }
            SupervisionEvent::ActorTerminated(who, ..) => {
                if let Some(name) = state.name_of(&who) {
                    state.left(&myself, &name).await;
                }
            }
            _ => {}
        }
        if state.leaving && state.departments.values().all(|child| child.actor.is_none()) {
            myself.stop(Some("left".to_owned()));
        }
        Ok(())
    }
}

/// Why work is interrupted when the company stops.
const STOPPING: &str = "the company is stopping";

impl CeoState {
    async fn answer(&mut self, myself: &ActorRef<CeoMsg>, ask: Ask, permit: OwnedSemaphorePermit) {
        let Ask { question, traceparent, answer } = ask;
        let node = Arc::clone(&self.node);
        match question {
            Question::Submit(submission) => {
                let plan = self.plan(submit::Order { submission: *submission, traceparent });
                reply(permit, answer, async move { plan?.carry_out(&node).await });
            }
            Question::Cancel(request) => {
                let grace = self.longest_grace();
                let place = Arc::clone(&self.long).try_acquire_owned();
                // It takes as long as the agent takes to end: others don't wait for that.
                drop(permit);
                reply(None, answer, async move {
                    let _place = place.map_err(|_| too_many())?;
                    cancel::cancel(&node, &request, grace).await
                });
            }
            Question::Retry(task) => reply(permit, answer, async move { submit::retry(&node, &task.task_id).await }),
            Question::Status(task) => {
                reply(permit, answer, async move { overview::status(&node, &task.task_id).await });
            }
            Question::List(request) => reply(permit, answer, async move { overview::list(&node, &request).await }),
            Question::Workers => reply(permit, answer, async move { overview::workers(&node).await }),
            Question::Departments => {
                let answered = overview::departments(self);
                reply(permit, answer, async move { Ok(answered) });
            }
            Question::Resume(request) => {
                let answered = self.resume(myself, &request.department).await;
                reply(permit, answer, async move {
                    // Said when it is on the ledger; a broker that is away couldn't carry the answer either.
                    let _ = tokio::time::timeout(LISTEN, node.staff.written()).await;
                    answered
                });
            }
            Question::Rebuild => reply(permit, answer, async move { overview::rebuild(&node).await }),
            Question::Ping => reply(permit, answer, async move { Ok(()) }),
        }
    }

    fn plan(&self, order: submit::Order) -> Result<submit::Plan, Refusal> {
        if self.leaving {
            return Err(Refusal::new(RefusalKind::Stopped, STOPPING).with_help("submit it again when it is up again"));
        }
        submit::plan(&self.company, order, |department| {
            let child = self.departments.get(department)?;
            (child.condition == Condition::Stopped).then(|| child.reason.clone().unwrap_or_default())
        })
    }

    fn leave(&mut self, myself: &ActorRef<CeoMsg>, grace: Duration) {
        self.leaving = true;
        self.letters.close();
        if let Some(service) = self.service.take() {
            tokio::spawn(service.stop());
        }
        for actor in self.departments.values().filter_map(|child| child.actor.as_ref()) {
            let _ = actor.cast(DepartmentMsg::Leave { grace: Some(grace), reason: STOPPING.to_owned() });
        }
        if self.departments.values().all(|child| child.actor.is_none()) {
            myself.stop(Some("left".to_owned()));
        }
    }

    /// The time since some point before it began.
    fn now(&self) -> Duration {
        self.origin + self.began.elapsed()
    }

    /// The longest that any department's agents may take to end.
    fn longest_grace(&self) -> Duration {
        let grace = |policy: &Arc<nexus_core::department::Department>| {
            policy.stop.interrupt_grace.get() + policy.stop.terminate_grace.get()
        };
        self.company.departments.values().map(grace).max().unwrap_or_default()
    }

    fn name_of(&self, who: &ActorCell) -> Option<DepartmentName> {
        let is = |child: &Child| child.actor.as_ref().is_some_and(|actor| actor.get_id() == who.get_id());
        self.departments.iter().find(|(_, child)| is(child)).map(|(name, _)| name.clone())
    }
}

fn too_many() -> Refusal {
    Refusal::new(RefusalKind::Busy, format!("{LONG} cancels are under way")).with_help("try again in a moment")
}

/// Finds the answer beside the CEO, which goes on with the next question.
fn reply<T: serde::Serialize + Send + 'static>(
    permit: impl Into<Option<OwnedSemaphorePermit>>,
    answer: Responder,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) {
    let permit = permit.into();
    tokio::spawn(async move {
        answer.reply(work.await).await;
        drop(permit);
    });
}
