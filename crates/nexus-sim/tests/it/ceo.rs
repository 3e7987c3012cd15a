//! Requests of people: a submission until it is acknowledged, a cancel, a retry.

use nexus_core::cancel::{Step, step};
use nexus_core::event::What;
use nexus_core::lane::Lane;
use nexus_core::task::QueueEntry;

use crate::intake::node_of;
use crate::ledger::{Body, Millis, Outgoing, Pattern, Task};
use crate::node::{Local, Then};
use crate::wire::{Ask, Told};
use crate::world::{Happening, Sim, Wish};

/// The time that somebody waits for an acknowledgement before asking again, and for a cancel.
const PATIENCE: Millis = 8_000;
const CANCEL: Millis = 60_000;
const LOOK: Millis = 1_000;

impl Sim {
    pub(crate) fn wish(&mut self, task: Task, wish: Wish) {
        let job = &self.jobs[task];
        if (wish == Wish::Submit) == job.acknowledged {
            return;
        }
        if wish == Wish::Submit {
            self.after(PATIENCE, Happening::User { task, wish });
        }
        let well: Vec<_> = (0..self.nodes.len()).filter(|node| self.nodes[*node].is_well()).collect();
        let Some(node) = self.rng.choice(well) else { return };
        self.say(|| format!("node {node} is asked to {wish:?} task {task}"));
        match wish {
            Wish::Submit if self.jobs[task].work.not_before.is_some() => {
                self.ask(node, Ask::Known(task), Then::SubmitUnlessKnown(task));
            }
            Wish::Submit => self.submit(node, task),
            Wish::Cancel => {
                let deadline = self.now + CANCEL;
                self.soon(node, 0, Local::CancelLook { task, asked: false, deadline });
            }
            Wish::Retry => self.ask(node, Ask::LastEvent(task), Then::RetryLooked(task)),
        }
    }

    pub(crate) fn submit_unless_known(&mut self, node: usize, task: Task, told: &Told) {
        match told {
            Told::Known(true) => self.jobs[task].acknowledged = true,
            Told::Known(false) => self.submit(node, task),
            _ => {}
        }
    }

    fn submit(&mut self, node: usize, task: Task) {
        let (entry, id) = (self.entry(task), self.id());
        let lane = entry.task.priority.into();
        let body = match self.jobs[task].work.not_before {
            Some(due) => {
                let due = u64::try_from(due.as_millisecond()).unwrap().div_ceil(1_000) * 1_000;
                Body::Scheduled(entry, due)
            }
            None => Body::Entry(entry),
        };
        let first = Outgoing { task, body, lane, expect: Some((Pattern::AnyQueue, 0)), id };
        self.ask(node, Ask::Append(vec![first]), Then::Submitted(task));
    }

    /// Refused means that it is there.
    pub(crate) fn submitted(&mut self, task: Task, told: &Told) {
        if matches!(told, Told::Stored(_) | Told::Conflict) {
            self.jobs[task].acknowledged = true;
        }
    }

    pub(crate) fn cancel_looked(&mut self, node: usize, task: Task, asked: bool, deadline: Millis, told: Told) {
        let Told::Event(last) = told else { return };
        let reason = "cancelled on request".to_owned();
        let (attempt, what, expect, holder) = match step(last.as_ref().map(|(event, seq)| (event, *seq))) {
            Step::Ended(_) => {
                if asked {
                    self.count("cancels that were carried out");
                }
                return;
            }
            Step::Cancel { attempt, expect } => (attempt, What::Cancelled { reason, outcome: None }, expect, None),
            Step::Ask { of, attempt, expect } => {
                let holder = node_of(&of.node);
                (attempt, What::CancelRequested { reason, of: Some(of) }, expect, Some(holder))
            }
            Step::Tell { of } => {
                let holder = of.map_or(node, |of| node_of(&of.node));
                return self.tell(node, task, holder, deadline);
            }
        };
        let event = self.event(task, attempt, what);
        let batch = vec![self.message(task, event, Some(expect))];
        self.ask(node, Ask::Append(batch), Then::CancelWritten { task, holder, deadline });
    }

    pub(crate) fn cancel_written(
        &mut self,
        node: usize,
        task: Task,
        holder: Option<usize>,
        deadline: Millis,
        told: &Told,
    ) {
        match (told, holder) {
            (Told::Stored(_), Some(holder)) => self.tell(node, task, holder, deadline),
            (Told::Stored(_), None) => self.count("cancels at once"),
            (Told::Conflict, _) => self.soon(node, 1, Local::CancelLook { task, asked: false, deadline }),
            _ => {}
        }
    }

    /// The order may get lost; so the ledger is looked at, and the holder told again.
    fn tell(&mut self, node: usize, task: Task, holder: usize, deadline: Millis) {
        let lost = self.nodes[node].cut || self.nodes[holder].cut || (self.stormy && self.rng.u8(..10) == 0);
        if !lost && self.broker_up {
            let delay = self.rng.u64(0..5);
            self.soon(holder, delay, Local::Cancel(task));
        }
        if self.now < deadline {
            self.soon(node, LOOK, Local::CancelLook { task, asked: true, deadline });
        }
    }

    pub(crate) fn retry_looked(&mut self, node: usize, task: Task, told: Told) {
        if let Told::Event(Some((event, seq))) = told
            && matches!(event.what, What::Failed { .. } | What::Cancelled { .. })
        {
            self.ask(node, Ask::LastEntry(task), Then::RetryEntry(task, seq));
        }
    }

    pub(crate) fn retry_entry(&mut self, node: usize, task: Task, expect: u64, told: Told) {
        let Told::Entry(Some((entry, _))) = told else { return };
        let what = What::Retried { reason: "asked for".to_owned() };
        let lane = Lane::after(&what, entry.task.priority);
        let next = QueueEntry { attempt: 1, interruptions: 0, queued_at: self.timestamp(), ..entry };
        let event = self.event(task, 0, what);
        let (retried, id) = (self.message(task, event, Some(expect)), self.id());
        let next = Outgoing { task, body: Body::Entry(next), lane, expect: None, id };
        self.ask(node, Ask::Append(vec![retried, next]), Then::Nothing);
    }
}
