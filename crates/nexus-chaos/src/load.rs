//! The users: they ask for work all the time, ask again when no answer comes, cancel some of it, and put back what failed
//! once they have mended it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use nexus_bus::Client;
use nexus_core::api::CancelRequest;
use nexus_core::id::TaskId;
use nexus_core::refusal::RefusalKind;
use nexus_core::view::Status;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cli::Options;
use crate::client::{PATIENCE, PAUSE};
use crate::mark::Moment;
use crate::site::Site;
use crate::story::{Story, Violation, Wrong};
use crate::work::Order;

/// Submitters; each has one submission on its way at a time.
const LANES: u32 = 4;
/// Between two submissions of one submitter, about: five a second together, what two busy cores can keep up with.
const PACE: u64 = 800;
/// The same for long work: half of the workers stay free for what is taken over.
const SLOW_PACE: u64 = 4000;
/// A cancel is answered within its department's graces; this is for the worst that the faults do in between.
const CANCEL: Duration = Duration::from_secs(20);

/// The knowledge of the users.
#[derive(Debug)]
pub(crate) struct Load {
    client: Client,
    site: Site,
    story: Arc<Story>,
    /// All work is long.
    slow: bool,
    /// The part that makes this run's idempotency keys its own.
    key: String,
    acked: Mutex<BTreeMap<TaskId, Order>>,
    /// When a submission that was acknowledged was asked for (for the last time), and when the answer came.
    asks: Mutex<Vec<(Moment, Moment)>>,
    /// Tasks of which "cancelled" was said.
    cancelled: Mutex<BTreeSet<TaskId>>,
    tracker: TaskTracker,
    /// No more work is asked for, once there is enough.
    closing: CancellationToken,
    /// Nothing is asked any more.
    over: CancellationToken,
}

impl Load {
    /// Begins to ask for work: at least as many pieces of it as are asked for, and until [`Load::finish`].
    pub(crate) fn start(client: Client, site: Site, story: Arc<Story>, seed: u64, options: &Options) -> Arc<Self> {
        let load = Arc::new(Self {
            client,
            slow: options.unfenced,
            key: format!("chaos-{seed}-{}", story.begin().0),
            site,
            story,
            acked: Mutex::default(),
            asks: Mutex::default(),
            cancelled: Mutex::default(),
            tracker: TaskTracker::new(),
            closing: CancellationToken::new(),
            over: CancellationToken::new(),
        });
        for lane in 0..LANES {
            let rng = Rng::with_seed(seed.wrapping_mul(31).wrapping_add(u64::from(lane)));
            load.follow(Arc::clone(&load).lane(lane, options.tasks, rng));
        }
        load
    }

    /// Asks for no more; returns when every user has had the answers that it waits for, or `limit` has passed.
    pub(crate) async fn finish(&self, limit: Duration) {
        self.closing.cancel();
        self.tracker.close();
        if timeout(limit, self.tracker.wait()).await.is_err() {
            let what =
                format!("{} users still wait for an answer {limit:?} after everything was healed", self.tracker.len());
            self.story.wrong(Violation::new(Wrong::Company, None, what));
        }
        self.over.cancel();
        self.tracker.wait().await;
    }

    pub(crate) fn acked(&self) -> BTreeMap<TaskId, Order> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn asks(&self) -> Vec<(Moment, Moment)> {
        self.asks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn cancelled(&self) -> BTreeSet<TaskId> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn follow(&self, user: impl Future<Output = ()> + Send + 'static) {
        let over = self.over.clone();
        self.tracker.spawn(async move {
            over.run_until_cancelled(user).await;
        });
    }

    async fn lane(self: Arc<Self>, lane: u32, least: u32, mut rng: Rng) {
        for n in (lane..).step_by(LANES as usize) {
            if self.closing.is_cancelled() && n >= least {
                return;
            }
            let (order, pace) = match self.slow {
                true => (Order::long(n, &mut rng), SLOW_PACE),
                false => (Order::draw(n, &mut rng), PACE),
            };
            let mends = rng.bool();
            if let Some(task) = self.submit(&order).await {
                if let Some(after) = order.cancel_after {
                    self.follow(Arc::clone(&self).cancel(task, after));
                } else if order.plan.broken && mends {
                    self.follow(Arc::clone(&self).mend(task, order));
                }
            }
            sleep(Duration::from_millis(rng.u64(pace / 2..pace * 3 / 2))).await;
        }
    }

    /// Asks until there is an answer: only that counts as acknowledged.
    async fn submit(&self, order: &Order) -> Option<TaskId> {
        let submission = order.submission(&self.site, &self.key);
        loop {
            let asked = Moment::now();
            match timeout(PATIENCE, self.client.submit(&submission)).await {
                Ok(Ok(accepted)) => {
                    self.asks.lock().unwrap_or_else(PoisonError::into_inner).push((asked, Moment::now()));
                    let task = accepted.task_id;
                    self.story.tell(format!("accepted {task} duplicate={} {order:?}", accepted.duplicate));
                    self.acked.lock().unwrap_or_else(PoisonError::into_inner).insert(task, order.clone());
                    return Some(task);
                }
                Ok(Err(refusal)) if is_final(refusal.kind) => {
                    let what = format!("a sound submission was refused: {refusal:?}");
                    self.story.wrong(Violation::new(Wrong::Company, None, what));
                    return None;
                }
                Ok(Err(refusal)) => self.story.tell(format!("submission {}: {refusal}", order.plan.n)),
                Err(_) => self.story.tell(format!("submission {}: no answer", order.plan.n)),
            }
            sleep(PAUSE).await;
        }
    }

    /// Cancels until it is answered how the task has ended, and looks at once whether that is so.
    async fn cancel(self: Arc<Self>, task: TaskId, after: Duration) {
        sleep(after).await;
        let request = CancelRequest { task_id: task.to_string(), reason: Some("chaos".to_owned()) };
        loop {
            let answer = timeout(CANCEL, self.client.cancel(&request)).await;
            let status = match &answer {
                Ok(Ok(_)) => Some(Status::Cancelled),
                Ok(Err(refusal)) if refusal.kind == RefusalKind::Conflict => self.status(task).await,
                _ => None,
            };
            self.story.tell(format!("cancel of {task}: {answer:?}"));
            match status {
                Some(Status::Cancelled) => {
                    self.prove_gone(task).await;
                    self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).insert(task);
                    return;
                }
                Some(status) if status.is_terminal() => return,
                _ => sleep(PAUSE * 4).await,
            }
        }
    }

    async fn prove_gone(&self, task: TaskId) {
        let lock = self.site.lock(task);
        let alive = tokio::task::spawn_blocking(move || crate::processes::working_on(task, &lock)).await;
        if let Ok(Some(alive)) = alive {
            let what = format!("\"cancelled\" was answered, and {alive}");
            self.story.wrong(Violation::new(Wrong::EarlyCancel, Some(task), what));
        }
    }

    async fn status(&self, task: TaskId) -> Option<Status> {
        let answer = timeout(PATIENCE, self.client.status(&task.to_string())).await;
        answer.ok()?.ok().map(|status| status.task.status)
    }

    /// Mends what a task needs once it has failed, and puts it back.
    async fn mend(self: Arc<Self>, task: TaskId, order: Order) {
        loop {
            match self.status(task).await {
                Some(Status::Failed) => break,
                Some(status) if status.is_terminal() => return,
                _ => sleep(PAUSE * 10).await,
            }
        }
        if let Err(error) = std::fs::write(self.site.mended(order.plan.n), "") {
            return self.story.tell(format!("{task} could not be mended: {error}"));
        }
        loop {
            let answer = timeout(PATIENCE, self.client.retry(&task.to_string())).await;
            self.story.tell(format!("retry of {task}: {answer:?}"));
            match answer {
                Ok(Ok(_)) => return,
                // An earlier answer was lost: it has been put back.
                Ok(Err(refusal)) if refusal.kind == RefusalKind::Conflict => return,
                _ => sleep(PAUSE).await,
            }
        }
    }
}

/// A refusal that asking again can't change.
const fn is_final(kind: RefusalKind) -> bool {
    matches!(
        kind,
        RefusalKind::InvalidInput
            | RefusalKind::UnknownDepartment
            | RefusalKind::UnknownAgent
            | RefusalKind::AgentNotInDepartment
            | RefusalKind::NoAgent
            | RefusalKind::NotFound
            | RefusalKind::Ambiguous
            | RefusalKind::Limit
            | RefusalKind::Conflict
    )
}
