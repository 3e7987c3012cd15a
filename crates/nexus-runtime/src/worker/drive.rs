//! One attempt from its claim to its last event: reports what happens to the pure machine and performs what it says.

use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use nexus_core::attempt::{Action, Attempt, Conclusion, ExitStatus, Input, Policy, Signal};
use nexus_core::budget::Judgement;
use nexus_core::department::Limits;
use nexus_core::event::{Failure, FailureKind, Outcome};
use nexus_core::retry::Retry;
use nexus_core::run::Run;
use nexus_process::{Event, Events};
use nexus_workspace::Finish;
use ractor::ActorRef;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;

use super::body::{Body, excess, meanwhile, next_look, next_refusal, stirred, too_big_a_file};
use super::filling;
use super::gateway::Gateway;
use super::launch::start;
use super::output::Output;
use super::renewal::renew;
use super::speech::{Heard, Meanwhile, Speech};
use super::spending::Spending;
use super::telling::Telling;
use super::{Job, WorkerMsg};
use crate::board::Slot;
use crate::conclude::{conclude, is_over};
use crate::gate::settle;
use crate::node::Node;

/// Everything one attempt needs.
#[derive(Debug)]
pub(super) struct Drive {
    pub(super) node: Arc<Node>,
    pub(super) slot: Arc<Slot>,
    pub(super) job: Job,
    pub(super) inputs: mpsc::Receiver<Input>,
    /// The other end of `inputs`, for the lease's renewal.
    pub(super) interrupts: mpsc::Sender<Input>,
    /// Whose attempt it is.
    pub(super) worker: ActorRef<WorkerMsg>,
}

impl Drive {
    /// Runs the attempt and writes down how it ended; returns whether the task ended well, `None` if it goes on.
    pub(super) async fn run(mut self) -> Option<bool> {
        let node = Arc::clone(&self.node);
        let claim = Arc::clone(&self.job.claim);
        let lease = renew(Arc::clone(&claim), Arc::clone(&node), self.job.hold, self.interrupts.clone());
        let lease = AbortOnDropHandle::new(tokio::spawn(lease));
        let began = Instant::now();
        let (policy, commands) = (self.job.policy.retry, self.job.agent.runs_commands());
        let retry = Retry { policy, commands, random: fastrand::f64() };
        let (conclusion, outcome) = match self.log().await {
            Ok(output) => match self.used_up() {
                Some(failure) => {
                    output.finish().await;
                    (Conclusion::Failed(failure), Outcome::default())
                }
                None => self.live(output, began, &retry).await,
            },
            Err(message) => {
                let failure = Failure { kind: FailureKind::Spawn, message };
                (Conclusion::Interrupted(failure.message), Outcome::default())
            }
        };
        let outcome = Outcome { duration_ms: millis(began.elapsed()), ..outcome };
        let conclusion = settle(&node, &claim, conclusion).await;
        let task = claim.entry.task.id;
        let keeps = node.protector.keeps(task);
        // Not where more than a way to the server lies between: what is fetched is kept from others.
        if !keeps && is_over(&conclusion, &outcome) {
            // A worker that is gone has nothing to do next.
            let _ = self.worker.cast(WorkerMsg::Ending);
        }
        let well = conclude(&node, &claim, conclusion, &outcome, &retry).await;
        if keeps && well.is_some() {
            node.protector.forget(task).await;
        }
        drop(lease);
        well
    }

    /// The end of the workspace, with the agent's uncommitted files.
    fn finish(&self, conclusion: &Conclusion) -> Finish {
        let task = &self.job.claim.entry.task;
        let commit = || nexus_core::commit::message(&task.description, task.id);
        match conclusion {
            Conclusion::Completed => Finish::Completed { commit: self.job.policy.workspace.commit.then(commit) },
            _ => Finish::Unfinished,
        }
    }

    /// The failure of an attempt whose task has spent all that it may.
    fn used_up(&self) -> Option<Failure> {
        let budget = self.job.policy.limits.budget();
        match budget.judge(&self.job.claim.entry.spent, "the task") {
            Judgement::Over(words) => Some(Failure { kind: FailureKind::Budget, message: format!("{words} (limits)") }),
            _ => None,
        }
    }

    async fn log(&self) -> Result<Output, String> {
        let claim = &self.job.claim;
        let (task, attempt) = (&claim.entry.task, claim.entry.attempt);
        let writer = self.node.bus.log_writer(&task.department, task.id, attempt, claim.began_behind()).await;
        writer.map(Output::new).map_err(|error| format!("its log could not be opened: {error}"))
    }

    async fn live(&mut self, mut output: Output, began: Instant, retry: &Retry) -> (Conclusion, Outcome) {
        let policy = &self.job.policy;
        let timeout = self.job.claim.entry.task.timeout_seconds;
        let terms = Policy::new(&policy.limits, &policy.stop, timeout);
        let (resumed, spent) = (self.job.resume(), self.job.claim.entry.spent);
        let mut attempt = match self.job.agent.kind.is_model() {
            true => Attempt::speaking(terms, Run::new(resumed), spent),
            false => Attempt::new(terms, spent),
        };
        if let Some(session) = resumed {
            let words = format!("goes on with the session {session} of {}", self.job.claim.agent);
            output.note(words, Timestamp::now());
        }
        let node = Arc::clone(&self.node);
        let (id, disk) = (self.job.claim.entry.task.id, self.node.protector.disk());
        let filling = filling::watch(Arc::clone(&node), id, disk, self.interrupts.clone());
        let filling = AbortOnDropHandle::new(tokio::spawn(filling));
        let mut telling = Telling::new(Arc::clone(&self.job.claim), began);
        let task = &self.job.claim.entry.task;
        let mut spending = Spending::new(Arc::clone(&self.node), task.id, task.department.clone(), began);
        let mut body = Body::default();
        let settling = AtomicBool::new(false);
        let mut starting: Option<Pin<Box<dyn Future<Output = _> + Send + '_>>> =
            Some(Box::pin(start(&node, &self.job, output.notes(), &settling)));
        let mut abandoned = false;
        let mut watch = None;
        let mut seen = 0;
        let conclusion = 'life: loop {
            let mut actions = Vec::new();
            let input = tokio::select! {
                biased;
                Some(input) = self.inputs.recv() => input,
                () = std::future::ready(()), if abandoned => {
                    abandoned = false;
                    Input::NotStarted(failure())
                }
                started = wait_for(&mut starting) => {
                    starting = None;
                    let input = body.arrive(started, &self.slot);
                    watch = body.watch(&node);
                    input
                }
                happened = meanwhile(&mut body.speech) => {
                    let heard = match (happened, &mut body.speech) {
                        (Meanwhile::Heard(heard), _) => heard,
                        (Meanwhile::SideFile, Some(speech)) => speech.aside().await,
                        (Meanwhile::SideFile, None) => continue,
                    };
                    // Looking at its side file is no sign of it: what is new there is.
                    if heard.is_nothing() {
                        continue;
                    }
                    actions = listen(heard, &mut attempt, &mut output, &self.slot, began);
                    Input::Output(0)
                }
                () = stirred(body.terminals.as_ref()) => Input::Worked,
                written = telling.written() => {
                    if let Some(seq) = written {
                        node.historian.wrote(seq);
                    }
                    continue;
                }
                // Time is spent without a word, too.
                () = spending.due(), if attempt.is_running() && body.speech.is_some() => Input::Tick,
                refusal = next_refusal(&mut body.gateway) => {
                    output.note(refusal, Timestamp::now());
                    continue;
                }
                vitals = next_look(&mut watch) => {
                    let worked = vitals.worked != seen;
                    seen = vitals.worked;
                    match body.excess(vitals, &policy.limits) {
                        Some(failure) => Input::Exceeded(failure),
                        None if worked => Input::Worked,
                        None => continue,
                    }
                }
                () = until(attempt.deadline().map(|deadline| began + deadline)) => Input::Tick,
                event = next_event(&mut body.events, &mut output) => {
                    if let Some(failure) = too_big_a_file(event.as_ref(), &policy.limits) {
                        actions = attempt.step(Input::Exceeded(failure), began.elapsed());
                    }
                    match event {
                        Some(Event::Output { stream, lines, bytes }) if body.speech.is_some() => {
                            let heard = body.speech.as_mut().map(|speech| speech.take(stream, lines));
                            let heard = heard.unwrap_or_default();
                            actions.extend(listen(heard, &mut attempt, &mut output, &self.slot, began));
                            Input::Output(bytes)
                        }
                        Some(Event::TreeGone) | None => {
                            if let Some(mut speech) = body.speech.take() {
                                let heard = speech.finish(attempt.exit()).await;
                                actions.extend(listen(heard, &mut attempt, &mut output, &self.slot, began));
                            }
                            // Nothing of the attempt is left only when nothing is left of these.
                            if let Some(terminals) = body.terminals.take() {
                                terminals.end().await;
                            }
                            Input::TreeGone
                        }
                        event => hear(event, &mut output, &self.slot, &policy.limits),
                    }
                }
            };
            // What ended while this node had no lease was ended by its guard, or for somebody else: it says nothing of
            // the agent.
            if !node.tenure.holds(self.job.hold.term) {
                actions.extend(attempt.step(Input::LeaseLost, began.elapsed()));
            }
            // An agent that nobody listens to, because its log has no room, is not idle, and neither is one that waits for
            // somebody's answer.
            if input == Input::Tick && (output.is_full() || body.asks()) {
                attempt.step(Input::Output(0), began.elapsed());
            }
            actions.extend(attempt.step(input, began.elapsed()));
            if attempt.is_running() {
                if let Some(run) = attempt.run() {
                    telling.tell(run.report());
                }
                let (input, words) = spending.tell(&attempt);
                actions.extend(words.map(Action::Note));
                actions.extend(input.into_iter().flat_map(|input| attempt.step(input, began.elapsed())));
            }
            for action in actions {
                match action {
                    // What is asked for in its own words ends in order; what doesn't end by that is signalled in a moment.
                    Action::Signal(Signal::Interrupt) if body.speech.as_ref().is_some_and(Speech::cancel) => {
                        body.terminals.iter().for_each(|terminals| terminals.signal(Signal::Interrupt));
                    }
                    Action::Signal(signal) => {
                        if let Some(tree) = &body.tree {
                            tree.signal(signal);
                        }
                        body.terminals.iter().for_each(|terminals| terminals.signal(signal));
                    }
                    // Too late: what is being started is heard of in a moment.
                    Action::Abandon if settling.load(Ordering::Acquire) => {}
                    // Dropped, it ends the tools that it was using; nothing of the agent is there yet.
                    Action::Abandon => abandoned = starting.take().is_some(),
                    Action::Note(text) => output.note(text, Timestamp::now()),
                    Action::Conclude(conclusion) => break 'life conclusion,
                }
            }
        };
        drop((starting, filling));
        for refusal in body.gateway.take().into_iter().flat_map(Gateway::rest) {
            output.note(refusal, Timestamp::now());
        }
        self.slot.ended();
        // Before anything more is written: on a disk that its own files fill, its end could not be told.
        let mut removed = Vec::from_iter(node.protector.make_room(id).await);
        if let Some(disk) = disk.filter(|_| matches!(conclusion, Conclusion::Failed(_) | Conclusion::Cancelled(_))) {
            removed.extend(node.protector.remove_written(id, disk).await);
        }
        removed.into_iter().for_each(|removed| output.note(removed, Timestamp::now()));
        let (exit_code, signal) = match attempt.exit() {
            Some(ExitStatus::Code(code)) => (Some(code), None),
            Some(ExitStatus::Signal(signal)) => (None, Some(signal)),
            None => (None, None),
        };
        let workspace = match body.workspace.take() {
            Some(workspace) => Some(Box::new(node.workspaces.finish(workspace, self.finish(&conclusion)).await)),
            None => None,
        };
        if let Some(notice) = retry.notice(&conclusion, &self.job.claim.entry) {
            output.note(notice, Timestamp::now());
        }
        let ends = match conclusion {
            Conclusion::Lost => output.abandon(),
            _ => output.finish().await,
        };
        if let Some(lines) = ends.log_lines {
            self.job.claim.logged(lines);
        }
        // Of an agent that speaks in messages the last of them is what it has to say; its stream is for machines.
        let (output, cut) = match attempt.run() {
            Some(run) => (run.message().0.to_owned(), run.message().1),
            None => (ends.output, false),
        };
        let outcome = Outcome {
            exit_code,
            signal,
            output,
            error_output: ends.error_output,
            truncated: ends.truncated || cut,
            log_lines: ends.log_lines.unwrap_or_default(),
            duration_ms: 0,
            workspace,
            usage: body.usage(),
            protection: body.protection,
            run: attempt.run().map(|run| run.report().clone()),
        };
        (conclusion, outcome)
    }
}

/// The failure of an attempt that was ended before its agent was started; why it was, the machine knows.
fn failure() -> Failure {
    Failure { kind: FailureKind::Workspace, message: "it was not started".to_owned() }
}

/// Shows what an agent says, and tells its attempt.
fn listen(heard: Heard, attempt: &mut Attempt, output: &mut Output, slot: &Slot, began: Instant) -> Vec<Action> {
    let now = Timestamp::now();
    if let Some(last) = output.say(heard.lines, now) {
        slot.said(&last, now);
    }
    let is_news = !heard.said.is_empty();
    let mut actions = Vec::new();
    for said in heard.said {
        actions.extend(attempt.step(Input::Said(said), began.elapsed()));
    }
    if let Some(run) = attempt.run().filter(|_| is_news) {
        slot.progressed(run.report());
    }
    actions
}

fn hear(event: Option<Event>, output: &mut Output, slot: &Slot, limits: &Limits) -> Input {
    match event {
        Some(Event::Output { stream, lines, bytes }) => {
            let now = Timestamp::now();
            if let Some(last) = output.take(stream, lines, now) {
                slot.said(&last, now);
            }
            Input::Output(bytes)
        }
        Some(Event::LimitHit(limit)) => Input::Exceeded(excess(limit, limits)),
        Some(Event::LeaderExited(status)) => Input::LeaderExited(status),
        Some(Event::TreeGone) | None => Input::TreeGone,
    }
}

/// The next event, once the log has room for what it may bring: otherwise the agent waits.
async fn next_event(events: &mut Option<Events>, output: &mut Output) -> Option<Event> {
    let Some(reader) = events else { return pending().await };
    output.room().await;
    let event = reader.next().await;
    if event.is_none() {
        *events = None;
    }
    event
}

async fn wait_for<T>(future: &mut Option<Pin<Box<dyn Future<Output = T> + Send + '_>>>) -> T {
    match future {
        Some(future) => future.await,
        None => pending().await,
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
