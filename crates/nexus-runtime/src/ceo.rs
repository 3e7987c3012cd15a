//! The CEO: an actor that takes work and questions, decides where they belong, and supervises the departments.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nexus_bus::{Ask, Question, Responder};
use nexus_core::api::{Accepted, DepartmentState as Condition};
use nexus_core::company::Company;
use nexus_core::event::STOPPING;
use nexus_core::id::DepartmentName;
use nexus_core::refusal::{Refusal, RefusalKind};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::department::DepartmentMsg;
use crate::node::Node;

mod able;
mod agents;
mod answer;
mod cancel;
mod family;
mod letters;
mod message;
mod office;
pub(crate) mod orphans;
pub(crate) mod overview;
pub(crate) mod reign;
mod relocate;
mod staff;
mod submit;
mod uncommitted;
mod watchman;

use office::Office;
use reign::Reign;
use staff::Child;

/// Messages to the CEO.
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
    /// This CEO takes work and answers from now on.
    Reign,
    /// It could not take work a moment ago.
    Reopen,
    /// Another node's CEO may do so from now on.
    Abdicate,
}

#[derive(Debug)]
pub(crate) struct Ceo;

#[derive(Debug)]
pub(crate) struct CeoState {
    node: Arc<Node>,
    company: Arc<Company>,
    departments: BTreeMap<DepartmentName, Child>,
    config_error: Option<String>,
    /// Its clock, `now`, begins at the restarts' window: so that a failure before it began has a place there.
    began: Instant,
    origin: Duration,
    leaving: bool,
    /// While it reigns.
    office: Option<Office>,
    reign: Reign,
    long: Arc<Semaphore>,
    timers: Vec<AbortOnDropHandle<()>>,
    _watchman: AbortOnDropHandle<()>,
    _orphans: AbortOnDropHandle<()>,
}

/// The longest wait of a start for its triggers to listen.
const LISTEN: Duration = Duration::from_secs(5);
/// Wait before a broker that didn't answer is asked again.
const AGAIN: Duration = Duration::from_millis(500);
/// Cancels and looks at projects under way at once: each is a small task that waits for an agent's end, or for git.
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
        let held = reign::at_once(&node).await?;
        let reigns = held.is_some();
        let reign = Reign::begin(Arc::clone(&node), myself.clone(), held);
        let mut office = if reigns { Some(Office::open(&node, &myself).await?) } else { None };
        if !reigns {
            tracing::info!("another node's CEO takes work; this one stands by, and its departments work");
        }
        let listening = office.as_mut().map(|office| office.letters.follow(&company)).unwrap_or_default();
        let watchman = AbortOnDropHandle::new(tokio::spawn(watchman::watch(Arc::clone(&node))));
        let orphans = AbortOnDropHandle::new(tokio::spawn(orphans::watch(Arc::clone(&node))));
        let mut state = CeoState {
            node,
            company: Arc::clone(&company),
            departments: BTreeMap::new(),
            config_error: None,
            began: Instant::now(),
            origin: company.restart.within.get(),
            leaving: false,
            office,
            reign,
            long: Arc::new(Semaphore::new(LONG)),
            timers: Vec::new(),
            _watchman: watchman,
            _orphans: orphans,
        };
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
            // Another node's CEO has been asked the same, and answers.
            CeoMsg::Ask(..) if !state.node.reigns.now() => {}
            CeoMsg::Ask(ask, permit) => state.answer(&myself, *ask, permit).await,
            CeoMsg::Submit(_, reply) if !state.node.reigns.now() => {
                let _ = reply.send(Err(Refusal::new(RefusalKind::Stopped, "another node's CEO takes work")));
            }
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
                    if let Some(office) = &mut state.office {
                        office.letters.follow(&company);
                    }
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
            CeoMsg::Reign => state.open_office(&myself).await,
            CeoMsg::Reopen if state.node.reigns.now() => state.open_office(&myself).await,
            CeoMsg::Reopen => {}
            CeoMsg::Abdicate => state.office = None,
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
                // A node that dies meanwhile is noticed when its lease has lapsed.
                let grace = self.longest_grace() + self.node.terms.lease();
                let place = Arc::clone(&self.long).try_acquire_owned();
                // It takes as long as the agent takes to end: others don't wait for that.
                drop(permit);
                reply(None, answer, async move {
                    let _place = place.map_err(|_| too_many())?;
                    cancel::cancel(&node, &request, grace).await
                });
            }
            Question::Retry(task) => reply(permit, answer, async move { submit::retry(&node, &task.task_id).await }),
            Question::Move(request) => {
                let company = Arc::clone(&self.company);
                reply(permit, answer, async move { relocate::relocate(&node, &company, &request).await });
            }
            Question::Uncommitted(task) => {
                let company = Arc::clone(&self.company);
                let place = Arc::clone(&self.long).try_acquire_owned();
                // It takes seconds in a big repository: others don't wait for that.
                drop(permit);
                reply(None, answer, async move {
                    let _place = place.map_err(|_| too_many())?;
                    uncommitted::look(&node, &company, &task.task_id).await
                });
            }
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
            Question::Answer(request) => reply(permit, answer, async move { answer::answer(&node, &request).await }),
            Question::Message(request) => {
                let department = message::addressee(&self.company, &request);
                reply(permit, answer, async move { message::leave(&node, department?, request).await });
            }
            Question::Agents => {
                let answered = self.agents();
                reply(permit, answer, async move { Ok(answered) });
            }
            Question::AgentsClear(request) => {
                let answered = self.clear(&request.agent);
                reply(permit, answer, async move {
                    // Said when it is on the ledger; a broker that is away couldn't carry the answer either.
                    let _ = tokio::time::timeout(LISTEN, node.accounts.written()).await;
                    answered
                });
            }
            Question::Overview => {
                let company = overview::company(self);
                reply(permit, answer, async move { overview::whole(&node, company).await });
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
        if self.node.alone {
            // Nobody else could answer: what becomes of the work can be asked to the end.
            if let Some(office) = &mut self.office {
                office.letters.close();
            }
        } else {
            if let Some(office) = self.office.take() {
                tokio::spawn(office.close());
            }
            self.reign.end();
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

    /// Takes work and answers, unless it does so already.
    async fn open_office(&mut self, myself: &ActorRef<CeoMsg>) {
        if self.leaving || self.office.is_some() {
            return;
        }
        match Office::open(&self.node, myself).await {
            Ok(mut office) => {
                tracing::info!("this node's CEO takes work from now on");
                office.letters.follow(&self.company);
                self.office = Some(office);
            }
            Err(error) => {
                tracing::warn!("this node's CEO can't take work yet: {error}");
                let ceo = myself.clone();
                self.timers.retain(|timer| !timer.is_finished());
                self.timers.push(AbortOnDropHandle::new(tokio::spawn(async move {
                    tokio::time::sleep(AGAIN).await;
                    let _ = ceo.cast(CeoMsg::Reopen);
                })));
            }
        }
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
    Refusal::new(RefusalKind::Busy, format!("{LONG} requests that take long are under way"))
        .with_help("try again in a moment")
}

/// Finds the answer beside the CEO, which goes on with the next question.
fn reply<T: serde::Serialize + Send + 'static>(
    permit: impl Into<Option<OwnedSemaphorePermit>>,
    answer: Responder,
    work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
) {
    let permit = permit.into();
    // Boxed, as it is large and spawning moves it several times.
    tokio::spawn(Box::pin(async move {
        answer.reply(work.await).await;
        drop(permit);
    }));
}
