//! The life of one attempt as a pure machine: inputs and the time go in, actions come out.
//!
//! The worker performs the actions and reports what became of them; everything that has to be decided is decided here.

use std::time::Duration;

use crate::budget::{Judgement, Spent, WARN_AT};
use crate::event::{Failure, FailureKind};
use crate::run::{Ending, Run, Said};

mod conclusion;
mod message;
mod policy;
#[cfg(test)]
mod tests;
mod word;

pub use conclusion::Conclusion;
pub(crate) use conclusion::LOST;
use conclusion::{by_exit, note, weight};
pub use message::{Action, ExitStatus, Input, Signal};
pub use policy::Policy;

/// The time that an agent may live on that has said how its run ended: some never exit by themselves.
const LINGER: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Starting,
    Running,
    /// The tree is being ended, by the rung reached at `since`; then `then` is concluded.
    Ending {
        then: Conclusion,
        rung: Signal,
        since: Duration,
    },
    Done,
}

/// One attempt.
#[derive(Clone, Debug)]
pub struct Attempt {
    policy: Policy,
    state: State,
    /// Asked to end before there was anything to end.
    doomed: Option<Conclusion>,
    exit: Option<ExitStatus>,
    /// Of an agent that speaks in messages: what it has said.
    run: Option<Run>,
    /// The spending of earlier attempts.
    spent: Spent,
    warned: bool,
    /// When it said how its run ended.
    said_end: Option<Duration>,
    /// It ends by itself, or is ended because it has said that it is done: what it has said decides.
    by_itself: bool,
    /// When its process was started.
    began: Duration,
    /// When it was last seen to live: it printed something, or used the processor.
    last_sign: Duration,
    output: u64,
}

impl Attempt {
    /// An attempt that begins at time zero; `spent` is what the task's attempts before have spent.
    #[must_use]
    pub const fn new(policy: Policy, spent: Spent) -> Self {
        Self {
            policy,
            state: State::Starting,
            doomed: None,
            exit: None,
            run: None,
            spent,
            warned: false,
            said_end: None,
            by_itself: false,
            began: Duration::ZERO,
            last_sign: Duration::ZERO,
            output: 0,
        }
    }

    /// The same, of an agent that speaks in messages, by which it is judged.
    #[must_use]
    pub fn speaking(policy: Policy, run: Run, spent: Spent) -> Self {
        Self { run: Some(run), ..Self::new(policy, spent) }
    }

    /// The run of its agent, if that speaks in messages.
    #[must_use]
    pub const fn run(&self) -> Option<&Run> {
        self.run.as_ref()
    }

    /// Its agent is at work, and nobody is ending it.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state == State::Running
    }

    /// When `Tick` is due next, if at all.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Running => {
                let idle = self.policy.idle_time.map(|idle| self.last_sign + idle);
                let over = self.said_end.map(|end| end + LINGER);
                let limits = idle.into_iter().chain(self.policy.wall_time).chain(self.first_event());
                limits.chain(self.time_is_spent()).chain(over).min()
            }
            State::Ending { rung: Signal::Interrupt, since, .. } => Some(*since + self.policy.interrupt_grace),
            State::Ending { rung: Signal::Terminate, since, .. } => Some(*since + self.policy.terminate_grace),
            // KILL again until the tree is gone: a process forked while the signal was delivered escapes it once.
            State::Ending { rung: Signal::Kill, since, .. } => Some(*since + KILL_AGAIN),
            // Preparing counts: a workspace that takes for ever is a run that takes for ever.
            State::Starting if self.doomed.is_none() => {
                self.policy.wall_time.into_iter().chain(self.time_is_spent()).min()
            }
            State::Starting | State::Done => None,
        }
    }

    /// When its first word is due, while it isn't there.
    fn first_event(&self) -> Option<Duration> {
        let is_silent = self.run.as_ref().is_some_and(|run| !run.has_begun());
        is_silent.then_some(self.began + self.policy.first_event)
    }

    /// When the task's budget of time has to be looked at: to warn of it, and when it is used up.
    fn time_is_spent(&self) -> Option<Duration> {
        let whole = Spent::time(self.policy.budget.wall_time?.get()).wall_ms;
        let due = if self.warned { whole } else { whole.saturating_mul(WARN_AT).div_ceil(100) };
        // What has said that it is done has taken what it has taken.
        self.said_end.is_none().then(|| Duration::from_millis(due.saturating_sub(self.spent.wall_ms)))
    }

    /// The leader's end, once it has come.
    #[must_use]
    pub const fn exit(&self) -> Option<ExitStatus> {
        self.exit
    }

    /// Takes one input at `now` and says what to do.
    pub fn step(&mut self, input: Input, now: Duration) -> Vec<Action> {
        match input {
            Input::Spawned => self.spawned(now),
            Input::NotStarted(failure) => self.not_started(failure),
            Input::Output(bytes) => self.wrote(bytes, now),
            Input::Worked => {
                self.last_sign = now;
                Vec::new()
            }
            Input::Said(said) => self.said(&said, now),
            // What has said that it is done has cost what it has cost.
            Input::Defer { .. } if self.said_end.is_some() => Vec::new(),
            Input::Defer { reason, until } => self.end(Conclusion::Deferred { reason, until }, Signal::Kill, now),
            Input::Exceeded(failure) if self.state == State::Running => {
                self.end(Conclusion::Failed(failure), Signal::Kill, now)
            }
            Input::Exceeded(_) => Vec::new(),
            Input::LeaderExited(status) => self.leader_exited(status, now),
            Input::TreeGone => self.tree_gone(),
            Input::Cancel(reason) => self.end(Conclusion::Cancelled(reason), Signal::Interrupt, now),
            Input::Interrupt(reason) => self.end(Conclusion::Interrupted(reason), Signal::Interrupt, now),
            Input::LeaseLost => self.end(Conclusion::Lost, Signal::Kill, now),
            Input::Tick => self.tick(now),
        }
    }

    fn spawned(&mut self, now: Duration) -> Vec<Action> {
        if self.state != State::Starting {
            return Vec::new();
        }
        self.state = State::Running;
        (self.began, self.last_sign) = (now, now);
        match self.doomed.take() {
            Some(then) => self.end(then, Signal::Kill, now),
            None => Vec::new(),
        }
    }

    fn not_started(&mut self, failure: Failure) -> Vec<Action> {
        if self.state != State::Starting {
            return Vec::new();
        }
        self.state = State::Done;
        vec![Action::Conclude(self.doomed.take().unwrap_or(Conclusion::Failed(failure)))]
    }

    fn wrote(&mut self, bytes: u64, now: Duration) -> Vec<Action> {
        self.last_sign = now;
        self.output = self.output.saturating_add(bytes);
        match self.policy.output {
            Some(limit) if self.output > limit && self.state == State::Running => {
                let message = format!("printed more than its limit of {limit} bytes (limits.output)");
                self.end(Conclusion::Failed(Failure { kind: FailureKind::Output, message }), Signal::Kill, now)
            }
            _ => Vec::new(),
        }
    }

    fn said(&mut self, said: &Said, now: Duration) -> Vec<Action> {
        let Some(run) = &mut self.run else { return Vec::new() };
        run.hear(said);
        match said {
            Said::Ended(Ending::Failed(trouble)) if trouble.is_of_account() && self.state == State::Running => {
                // It would try again and again, and each time in vain.
                self.said_end = Some(now);
                self.end_by_itself(Signal::Interrupt, now)
            }
            Said::Ended(_) => {
                self.said_end.get_or_insert(now);
                Vec::new()
            }
            Said::Tokens(_) | Said::Turns(_) | Said::Cost(_) => self.judge(Signal::Kill, now),
            _ => Vec::new(),
        }
    }

    /// Looks at what the task has spent by now; what is over its budget is ended, by `first` at first.
    fn judge(&mut self, first: Signal, now: Duration) -> Vec<Action> {
        if !matches!(self.state, State::Starting | State::Running) {
            return Vec::new();
        }
        let by_now = self.run.as_ref().map_or_else(|| Spent::time(now), |run| Spent::of(run.report(), now));
        let spent = self.spent.plus(by_now);
        match self.policy.budget.judge(&spent, "the task") {
            Judgement::Within => Vec::new(),
            Judgement::Near(_) if self.warned => Vec::new(),
            Judgement::Near(words) => {
                self.warned = true;
                self.run.iter_mut().for_each(|run| run.warn(&words));
                vec![Action::Note(format!("{words} (limits)"))]
            }
            // What has said that it is done has cost what it has cost.
            Judgement::Over(_) if self.said_end.is_some() => Vec::new(),
            Judgement::Over(message) => {
                let message = format!("{message} (limits)");
                self.end(Conclusion::Failed(Failure { kind: FailureKind::Budget, message }), first, now)
            }
        }
    }

    /// Ends what is over by its own word.
    fn end_by_itself(&mut self, first: Signal, now: Duration) -> Vec<Action> {
        self.by_itself = true;
        self.state = State::Ending { then: Conclusion::Completed, rung: first, since: now };
        vec![Action::Signal(first)]
    }

    fn leader_exited(&mut self, status: ExitStatus, now: Duration) -> Vec<Action> {
        if self.exit.is_none() {
            self.exit = Some(status);
        }
        if self.state != State::Running {
            return Vec::new();
        }
        // What the leader left behind ends with it: an attempt's processes don't outlive the attempt.
        self.by_itself = true;
        self.state = State::Ending { then: by_exit(status), rung: Signal::Terminate, since: now };
        vec![Action::Signal(Signal::Terminate)]
    }

    fn tree_gone(&mut self) -> Vec<Action> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Ending { then, .. } => {
                let by_word = self.run.as_mut().filter(|_| self.by_itself);
                vec![Action::Conclude(by_word.map_or(then, |run| word::conclusion(run, self.exit)))]
            }
            other => {
                self.state = other;
                Vec::new()
            }
        }
    }

    fn end(&mut self, then: Conclusion, first: Signal, now: Duration) -> Vec<Action> {
        match &mut self.state {
            State::Done => Vec::new(),
            State::Starting => {
                let first_reason = self.doomed.is_none();
                if self.doomed.as_ref().is_none_or(|doomed| weight(doomed) < weight(&then)) {
                    self.doomed = Some(then);
                }
                if first_reason { vec![Action::Abandon] } else { Vec::new() }
            }
            State::Running => {
                let note = note(&then);
                self.state = State::Ending { then, rung: first, since: now };
                note.into_iter().map(Action::Note).chain([Action::Signal(first)]).collect()
            }
            State::Ending { then: current, rung, since } => {
                if weight(current) < weight(&then) {
                    *current = then;
                    self.by_itself = false;
                }
                if first == Signal::Kill && *rung != Signal::Kill {
                    (*rung, *since) = (Signal::Kill, now);
                    return vec![Action::Signal(Signal::Kill)];
                }
                Vec::new()
            }
        }
    }

    fn tick(&mut self, now: Duration) -> Vec<Action> {
        match self.deadline() {
            Some(deadline) if deadline <= now => {}
            _ => return Vec::new(),
        }
        if matches!(self.state, State::Running) && self.said_end.is_some_and(|end| end + LINGER <= now) {
            return self.end_by_itself(Signal::Terminate, now);
        }
        if matches!(self.state, State::Starting | State::Running) {
            if self.time_is_spent().is_some_and(|due| due <= now) {
                return self.judge(Signal::Interrupt, now);
            }
            let failure = self.overdue(now);
            return self.end(Conclusion::Failed(failure), Signal::Interrupt, now);
        }
        let State::Ending { rung, since, .. } = &mut self.state else { return Vec::new() };
        *rung = match rung {
            Signal::Interrupt => Signal::Terminate,
            Signal::Terminate | Signal::Kill => Signal::Kill,
        };
        *since = now;
        vec![Action::Signal(*rung)]
    }

    fn overdue(&self, now: Duration) -> Failure {
        match self.policy.wall_time {
            Some(wall) if wall <= now => Failure {
                kind: FailureKind::WallTime,
                message: format!("ran longer than its {} (limits.wall_time or the task's time-out)", seconds(wall)),
            },
            _ if self.first_event().is_some_and(|due| due <= now) => Failure {
                kind: FailureKind::IdleTime,
                message: format!("said nothing for {} (limits.first_event)", seconds(self.policy.first_event)),
            },
            _ => Failure {
                kind: FailureKind::IdleTime,
                message: format!(
                    "printed nothing and did nothing for {} (limits.idle_time)",
                    seconds(self.policy.idle_time.unwrap_or_default())
                ),
            },
        }
    }
}

/// The time between two KILLs while something of the tree is still there.
const KILL_AGAIN: Duration = Duration::from_millis(100);

fn seconds(duration: Duration) -> String {
    crate::units::Span::from(duration).to_string()
}
