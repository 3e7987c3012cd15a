//! The rules that hold at every step, and at the end.

use nexus_core::attempt::ExitStatus;
use nexus_core::event::{Event, FailureKind, What};

use crate::agents::is_good;
use crate::ledger::Task;
use crate::world::Sim;

/// The ledger's story of a task so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    last: Option<Event>,
    /// Attempts that failed since the task was submitted, or retried by hand.
    used: u32,
}

/// Nothing follows an end but a retry, and no attempt begins while another one is open.
fn may_follow(last: Option<&Event>, what: &What) -> bool {
    let is_open = last.is_some_and(|last| last.what.delivery().is_some());
    let has_ended = last.is_some_and(|last| last.what.is_terminal());
    match what {
        What::Started { .. } => !is_open && !has_ended,
        What::Retried { .. } => has_ended,
        What::Cancelled { .. } => !has_ended,
        _ => is_open,
    }
}

impl Sim {
    pub(crate) fn check_event(&mut self, task: Task, by: usize, event: &Event) {
        let name = event.what.name();
        self.say(|| format!("ledger: task {task}: {name} of attempt {}, by node {by}", event.attempt));
        let story = &self.stories[task];
        let last = story.last.clone();
        if !may_follow(last.as_ref(), &event.what) {
            let before = last.as_ref().map(|last| last.what.name());
            self.wrong(format!("task {task}: {name} follows {before:?}"));
        }
        let used = self.stories[task].used;
        let alive = self.trees.iter().position(|tree| tree.alive && tree.task == task);
        match &event.what {
            What::Started { .. } if event.attempt != used + 1 => {
                self.wrong(format!("task {task}: attempt {} starts after {used} failures", event.attempt));
            }
            What::Started { .. } | What::CancelRequested { .. } => {}
            // Whatever says that an attempt is over says that nothing of it is left.
            _ => {
                if let Some(tree) = alive {
                    self.wrong(format!("task {task}: {name}, but tree {tree} lives"));
                }
            }
        }
        if let What::AttemptFailed { failure, .. } | What::Failed { failure, .. } = &event.what {
            let delivery = last.as_ref().and_then(|last| last.what.delivery().map(str::to_owned));
            let tree = self.trees.iter().find(|tree| tree.task == task && Some(&tree.token) == delivery.as_ref());
            let own = tree.and_then(|tree| tree.own_end);
            let fair = match failure.kind {
                FailureKind::Exit => own.is_some_and(|end| !is_good(end)),
                FailureKind::Signal => matches!(own, Some(ExitStatus::Signal(_))),
                FailureKind::WallTime | FailureKind::Interruptions => true,
                _ => false,
            };
            if !fair {
                self.wrong(format!("task {task}: {name} ({failure:?}), but its agent's own end was {own:?}"));
            }
        }
        if let What::Completed { .. } = &event.what {
            let delivery = last.as_ref().and_then(|last| last.what.delivery().map(str::to_owned));
            let tree = self.trees.iter().find(|tree| tree.task == task && Some(&tree.token) == delivery.as_ref());
            if !tree.and_then(|tree| tree.own_end).is_some_and(is_good) {
                self.wrong(format!("task {task}: completed, but its agent never ended well"));
            }
        }
        let story = &mut self.stories[task];
        match &event.what {
            What::AttemptFailed { .. } => story.used += 1,
            What::Retried { .. } => story.used = 0,
            _ => {}
        }
        story.last = Some(event.clone());
        self.count(name);
    }

    pub(crate) fn is_over(&self) -> bool {
        let ended = |story: &Story| story.last.as_ref().is_some_and(|last| last.what.is_terminal());
        self.jobs.iter().all(|job| job.acknowledged) && self.stories.iter().all(ended)
    }

    pub(crate) fn check_end(&self) -> Result<(), String> {
        match self.trees.iter().position(|tree| tree.alive) {
            Some(tree) => Err(format!("every task has ended, but tree {tree} lives")),
            None => Ok(()),
        }
    }

    /// Why a run that should be over isn't.
    pub(crate) fn unended(&self) -> String {
        let describe = |(task, story): (usize, &Story)| {
            let last = story.last.as_ref().map(|last| last.what.name());
            let acknowledged = self.jobs[task].acknowledged;
            let ended = story.last.as_ref().is_some_and(|last| last.what.is_terminal());
            (!ended).then(|| format!("task {task} (acknowledged: {acknowledged}) was left at {last:?}"))
        };
        let left: Vec<_> = self.stories.iter().enumerate().filter_map(describe).collect();
        format!("lost: {}", left.join("; "))
    }
}
