//! The board: what each worker of this node has in hand, kept beside the actors so that it outlives their failure.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use nexus_acp::Conversation;
use nexus_bus::Claim;
use nexus_core::api::{Answered, Live, WorkerInfo};
use nexus_core::event::Protection;
use nexus_core::id::{DepartmentName, NodeId, TaskId, WorkerName};
use nexus_core::question::{NotOpen, OpenQuestion, QuestionId};
use nexus_core::refusal::Refusal;
use nexus_core::run::RunReport;
use nexus_process::{Gone, Sample, Sampler, Target, Tree, Watch};
use tokio::sync::watch;
use tokio::time::Instant;

/// All workers of a node.
#[derive(Debug, Default)]
pub(crate) struct Board {
    slots: Mutex<BTreeMap<(DepartmentName, WorkerName), Arc<Slot>>>,
    /// Tasks that are about to be started, at most one a worker; and the one that the janitor tidies up after.
    taking: Mutex<BTreeSet<TaskId>>,
    /// Deliveries that were given back for a whole lease, by their entry: the event that the task's attempt stood at, and
    /// when. Forgotten after a few leases; until then at most what other nodes have in hand.
    deferred: Mutex<BTreeMap<u64, (u64, Instant)>>,
}

/// One worker's place, whichever actor holds it at the moment.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) department: DepartmentName,
    pub(crate) worker: WorkerName,
    hand: Mutex<Hand>,
    /// Tasks that failed workers of this place had in hand and that aren't written down yet: one at a time, but for a broker
    /// that is away, and then at most one a restart, which the department bounds.
    leaving: watch::Sender<Vec<TaskId>>,
    completed: AtomicU64,
    failed: AtomicU64,
    restarts: AtomicU64,
}

#[derive(Debug, Default)]
struct Hand {
    claim: Option<Arc<Claim>>,
    /// True once the task that drives the attempt is over.
    left: Option<watch::Receiver<bool>>,
    gone: Option<Gone>,
    pid: Option<u32>,
    target: Option<Target>,
    /// Of a tree that isn't among this machine's processes.
    vitals: Option<Watch>,
    protection: Option<Protection>,
    last_line: Option<(String, Timestamp)>,
    run: Option<RunReport>,
    /// The conversation with its agent, which alone knows its questions.
    conversation: Option<Conversation>,
}

/// The attempt that a failed worker had in hand.
#[derive(Debug)]
pub(crate) struct Unfinished {
    pub(crate) claim: Arc<Claim>,
    left: Option<watch::Receiver<bool>>,
    gone: Option<Gone>,
}

/// Held by whoever drives an attempt; dropping it says that nothing more is done for it.
#[derive(Debug)]
pub(crate) struct Presence(watch::Sender<bool>);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// A task that nobody else on this node takes up until this is dropped.
#[derive(Debug)]
pub(crate) struct Taking<'a> {
    board: &'a Board,
    task: TaskId,
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        lock(&self.board.taking).remove(&self.task);
    }
}

impl Unfinished {
    /// Waits until nobody drives the attempt any more and no process of it is alive.
    pub(crate) async fn over(&mut self) {
        if let Some(left) = &mut self.left {
            // An error means that the sender is gone, which is the same.
            let _ = left.wait_for(|left| *left).await;
        }
        if let Some(gone) = self.gone.take() {
            gone.wait().await;
        }
    }
}

/// Characters of a last line that are shown.
const SHOWN: usize = 200;

impl Board {
    /// The place of a worker, made when it is asked for first.
    pub(crate) fn slot(&self, department: &DepartmentName, worker: &WorkerName) -> Arc<Slot> {
        let mut slots = lock(&self.slots);
        let slot = slots.entry((department.clone(), worker.clone())).or_insert_with(|| {
            Arc::new(Slot {
                department: department.clone(),
                worker: worker.clone(),
                hand: Mutex::default(),
                leaving: watch::Sender::default(),
                completed: AtomicU64::default(),
                failed: AtomicU64::default(),
                restarts: AtomicU64::default(),
            })
        });
        Arc::clone(slot)
    }

    /// Takes a worker's place off the board that has left for good; one that was made anew since then stays.
    pub(crate) fn remove(&self, slot: &Arc<Slot>) {
        let key = (slot.department.clone(), slot.worker.clone());
        let mut slots = lock(&self.slots);
        if slots.get(&key).is_some_and(|known| Arc::ptr_eq(known, slot)) && slot.is_empty() {
            slots.remove(&key);
        }
    }

    /// The places of one department, or of all.
    pub(crate) fn slots(&self, department: Option<&DepartmentName>) -> Vec<Arc<Slot>> {
        let slots = lock(&self.slots);
        slots.values().filter(|slot| department.is_none_or(|name| slot.department == *name)).cloned().collect()
    }

    /// Every worker, with what is alive of its task.
    pub(crate) async fn workers(&self, node: &NodeId, sampler: &Arc<Sampler>) -> Vec<WorkerInfo> {
        let slots = self.slots(None);
        let targets: Vec<Target> = slots.iter().filter_map(|slot| lock(&slot.hand).target).collect();
        let sampler = Arc::clone(sampler);
        // It reads /proc, which blocks.
        let samples = tokio::task::spawn_blocking(move || sampler.sample(&targets)).await.unwrap_or_default();
        slots.iter().map(|slot| slot.info(node, &samples)).collect()
    }

    /// The worker that has a task in hand.
    pub(crate) fn holder(&self, task: TaskId) -> Option<Arc<Slot>> {
        self.slots(None).into_iter().find(|slot| slot.task() == Some(task))
    }

    /// Answers a question of the agent that works on a task here.
    pub(crate) fn answer(&self, task: TaskId, named: Option<QuestionId>, allow: bool) -> Result<Answered, Refusal> {
        let holder = self.holder(task).ok_or(NotOpen::Nothing);
        let answered = holder.and_then(|slot| slot.answer(task, named, allow));
        let OpenQuestion { question, what } = answered.map_err(|not_open| not_open.refusal(task, allow))?;
        Ok(Answered { task_id: task, question, asked: Some(what), allowed: allow })
    }

    /// True while something of an attempt may be alive here, or about to be: in a worker's hands, on its way there, or left
    /// behind by one that failed.
    pub(crate) fn holds(&self, task: TaskId) -> bool {
        // In the order of a task's way, so that it isn't overlooked on it.
        lock(&self.taking).contains(&task) || self.has_in_hand(task)
    }

    fn has_in_hand(&self, task: TaskId) -> bool {
        let left = |slot: &Arc<Slot>| slot.leaving.borrow().contains(&task);
        self.slots(None).iter().any(|slot| slot.task() == Some(task) || left(slot))
    }

    /// A delivery is given back for a whole lease, as its task's attempt stood at this event.
    pub(crate) fn defer(&self, entry: u64, event: u64, lease: Duration) {
        let mut deferred = lock(&self.deferred);
        deferred.retain(|_, (_, since)| since.elapsed() < lease * 4);
        deferred.insert(entry, (event, Instant::now()));
    }

    /// True when that was a whole lease ago, and the attempt stands where it stood.
    pub(crate) fn waited(&self, entry: u64, event: u64, lease: Duration) -> bool {
        let deferred = lock(&self.deferred);
        deferred.get(&entry).is_some_and(|(stood, since)| *stood == event && since.elapsed() >= lease)
    }

    /// Takes up a task that is about to be started here, until it is in a worker's hands; none: it is taken up already.
    pub(crate) fn take_up(&self, task: TaskId) -> Option<Taking<'_>> {
        lock(&self.taking).insert(task).then(|| Taking { board: self, task })
    }

    /// Takes up a task of which nothing is alive here, so that nothing of it is started meanwhile; none: something may be.
    pub(crate) fn take_up_idle(&self, task: TaskId) -> Option<Taking<'_>> {
        let taking = self.take_up(task)?;
        // Looked at last: from now on nobody puts it into a worker's hands.
        (!self.has_in_hand(task)).then_some(taking)
    }
}

impl Slot {
    /// A task is in this worker's hands from now on; false: they are full.
    pub(crate) fn take(&self, claim: Arc<Claim>) -> bool {
        let mut hand = lock(&self.hand);
        let free = hand.claim.is_none();
        if free {
            *hand = Hand { claim: Some(claim), ..Hand::default() };
        }
        free
    }

    /// Somebody drives the attempt until the presence is dropped.
    pub(crate) fn enter(&self) -> Presence {
        let (sender, receiver) = watch::channel(false);
        lock(&self.hand).left = Some(receiver);
        Presence(sender)
    }

    /// The agent runs.
    pub(crate) fn runs(&self, tree: &Tree, vitals: Option<Watch>, protection: Protection) {
        let mut hand = lock(&self.hand);
        hand.protection = Some(protection);
        hand.pid = Some(tree.pid());
        hand.target = tree.target();
        hand.vitals = vitals;
        hand.gone = Some(tree.gone());
    }

    /// The agent printed a line.
    pub(crate) fn said(&self, line: &str, at: Timestamp) {
        let shown = line.chars().take(SHOWN).collect();
        lock(&self.hand).last_line = Some((shown, at));
    }

    /// The progress of its agent's run.
    pub(crate) fn progressed(&self, run: &RunReport) {
        lock(&self.hand).run = Some(run.clone());
    }

    /// Its agent is talked to.
    pub(crate) fn converses(&self, conversation: Conversation) {
        lock(&self.hand).conversation = Some(conversation);
    }

    /// Answers a question that the agent of this task asks.
    pub(crate) fn answer(&self, task: TaskId, named: Option<QuestionId>, allow: bool) -> Result<OpenQuestion, NotOpen> {
        let hand = lock(&self.hand);
        let is_its = hand.claim.as_ref().is_some_and(|claim| claim.entry.task.id == task);
        let conversation = hand.conversation.as_ref().filter(|_| is_its).ok_or(NotOpen::Nothing)?;
        conversation.answer(named, allow)
    }

    /// No process of the agent is alive any more.
    pub(crate) fn ended(&self) {
        let mut hand = lock(&self.hand);
        (hand.pid, hand.target, hand.vitals, hand.conversation) = (None, None, None, None);
    }

    /// The attempt is over and written down.
    pub(crate) fn finish(&self, well: Option<bool>) {
        *lock(&self.hand) = Hand::default();
        match well {
            Some(true) => self.completed.fetch_add(1, Ordering::Relaxed),
            Some(false) => self.failed.fetch_add(1, Ordering::Relaxed),
            None => 0,
        };
    }

    fn info(&self, node: &NodeId, samples: &HashMap<Target, Sample>) -> WorkerInfo {
        let hand = lock(&self.hand);
        let sample = hand.target.and_then(|target| samples.get(&target).copied());
        let sample = sample.or_else(|| hand.vitals.as_ref().map(|watch| watch.last().into()));
        let questions = hand.conversation.as_ref().map(Conversation::questions).unwrap_or_default();
        let live = hand.claim.as_ref().map(|_| Live {
            pid: hand.pid,
            processes: sample.map_or(0, |sample| sample.processes),
            cpu_percent: sample.map_or(0.0, |sample| sample.cpu_percent),
            rss_bytes: sample.map_or(0, |sample| sample.rss_bytes),
            last_line: hand.last_line.as_ref().map(|(line, _)| line.clone()),
            last_output_at: hand.last_line.as_ref().map(|(_, at)| *at),
            protection: hand.protection.clone(),
            run: hand.run.clone(),
            asks: questions.first().map(|open| open.what.clone()),
            questions,
        });
        WorkerInfo {
            worker_id: self.worker.clone(),
            department: self.department.clone(),
            node: node.clone(),
            is_busy: hand.claim.is_some(),
            current_task: hand.claim.as_ref().map(|claim| claim.entry.task.id),
            tasks_completed: self.completed.load(Ordering::Relaxed),
            tasks_failed: self.failed.load(Ordering::Relaxed),
            restarts: self.restarts.load(Ordering::Relaxed),
            live,
        }
    }

    pub(crate) fn restarted(&self) {
        self.restarts.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a failed worker's attempt, if it is `wanted`; the hands are empty then, but the task is not [`Self::left`]
    /// yet.
    pub(crate) fn abandon(&self, wanted: impl FnOnce(&Arc<Claim>) -> bool) -> Option<Unfinished> {
        let mut hand = lock(&self.hand);
        if !hand.claim.as_ref().is_some_and(wanted) {
            return None;
        }
        let Hand { claim, left, gone, .. } = std::mem::take(&mut *hand);
        let claim = claim?;
        // Before the hands are seen to be empty: at no moment is the task in neither.
        self.leaving.send_modify(|leaving| leaving.push(claim.entry.task.id));
        Some(Unfinished { claim, left, gone })
    }

    /// No process of it is alive, and what became of it is written down.
    pub(crate) fn left(&self, unfinished: &Unfinished) {
        self.leaving.send_modify(|leaving| leaving.retain(|task| *task != unfinished.claim.entry.task.id));
    }

    /// Waits until nothing is left of what was abandoned here: whoever abandoned it sees to that.
    pub(crate) async fn cleared(&self) {
        // An error means that this place is gone, which it isn't.
        let _ = self.leaving.subscribe().wait_for(Vec::is_empty).await;
    }

    fn is_empty(&self) -> bool {
        self.task().is_none() && self.leaving.borrow().is_empty()
    }

    pub(crate) fn task(&self) -> Option<TaskId> {
        lock(&self.hand).claim.as_ref().map(|claim| claim.entry.task.id)
    }
}

/// Nothing panics while it holds one of these locks for the few lines it needs; a poisoned one is as good as new.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tidied_up_is_not_started_and_the_other_way_round() {
        let board = Board::default();
        let [one, other] = ["one", "other"].map(TaskId::from_idempotency_key);
        let starting = board.take_up(one).unwrap();
        assert!(board.take_up_idle(one).is_none() && board.holds(one));
        drop(starting);
        let tidied = board.take_up_idle(one).unwrap();
        assert!(board.take_up(one).is_none() && board.take_up(other).is_some());
        drop(tidied);
        assert!(!board.holds(one));
        // What a failed worker has left is alive, and is nobody's to tidy up.
        let slot = board.slot(&"work".parse().unwrap(), &"worker-0".parse().unwrap());
        slot.leaving.send_modify(|leaving| leaving.push(one));
        assert!(board.take_up_idle(one).is_none());
        assert!(board.take_up(one).is_some(), "a refusal holds nothing");
    }
}
