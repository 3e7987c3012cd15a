//! Writing down how an attempt ended: until it is written, or somebody else has written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::{BusError, Claim};
use nexus_core::attempt::Conclusion;
use nexus_core::department::Department;
use nexus_core::due;
use nexus_core::event::{Outcome, STOPPING, What};
use nexus_core::fence::Fence;
use nexus_core::retry::{Next, Retry, next};

use crate::board::{Slot, Unfinished};
use crate::former::end_strays;
use crate::node::Node;
use crate::worklog;

/// Longest wait between two tries to write to a broker that is away.
const LONGEST: Duration = Duration::from_secs(5);
/// Refusals (not of room, and not of a broker that is away) after which an end is given up: with the pauses, a quarter of a
/// minute in which somebody may have mended a stream.
const REFUSALS: u32 = 8;

/// Writes what follows from `conclusion`. Returns whether the task ended well, or `None` when it goes on or is another's.
pub(crate) async fn conclude(
    node: &Node,
    claim: &Claim,
    conclusion: Conclusion,
    outcome: &Outcome,
    retry: &Retry,
) -> Option<bool> {
    // Much of what it may await is seldom awaited: in line, it would make every attempt that larger that ends with it.
    let end = Box::pin(async {
        if !is_over(&conclusion, outcome) {
            end_strays(node, claim.entry.task.id).await;
        }
        write(node, claim, conclusion, outcome, retry).await
    });
    tokio::select! {
        well = end => well,
        () = node.give_up.cancelled() => {
            tracing::warn!(task = %claim.entry.task.id, "its end could not be written; the next start puts it back");
            None
        }
    }
}

/// Its tree is gone; what a warden that was lost has left behind goes before anybody is told of an end that needs proof, as all need
/// but work that is done. A warden that has lived to say what was used is that proof: it had no child left, and whatever
/// detaches itself becomes its child. To look through a thousand processes for each of a thousand cancels takes half a minute.
pub(crate) fn is_over(conclusion: &Conclusion, outcome: &Outcome) -> bool {
    let has_word_of_warden = cfg!(target_os = "linux") && outcome.usage.is_some_and(|usage| usage.cpu_ms.is_some());
    *conclusion == Conclusion::Completed || has_word_of_warden
}

async fn write(
    node: &Node,
    claim: &Claim,
    mut conclusion: Conclusion,
    outcome: &Outcome,
    retry: &Retry,
) -> Option<bool> {
    let mut outcome = outcome.clone();
    let mut pause = Duration::from_millis(50);
    let mut refusals = 0;
    loop {
        let now = Timestamp::now();
        let said = outcome.clone();
        let run = outcome.run.as_ref();
        let next = next(conclusion.clone(), &claim.entry, retry);
        let end = worklog::end(&next, &outcome);
        let stops = matches!(&next, Next::Requeue(reason) if reason == STOPPING);
        let (written, well) = match next {
            Next::Complete => (claim.conclude(What::Completed { outcome: said }, now).await, Some(true)),
            Next::Cancel(reason) => {
                (claim.conclude(What::Cancelled { reason, outcome: Some(said) }, now).await, Some(false))
            }
            Next::Fail(failure) => (claim.conclude(What::Failed { failure, outcome: said }, now).await, Some(false)),
            Next::RetryAfter(failure, delay) => {
                let retry_at = due::after(now, delay);
                let what = What::AttemptFailed { failure, outcome: said, retry_at };
                (claim.conclude_and_retry(what, run, retry_at, now).await, None)
            }
            Next::Requeue(reason) => (claim.requeue(&reason, run, now).await, None),
            Next::Defer { reason, until } => (claim.defer(&reason, until, run, now).await, None),
        };
        let error = match written {
            Ok(seq) => {
                node.historian.wrote(seq);
                node.put_back.fetch_add(u64::from(stops), Ordering::AcqRel);
                worklog::ended(claim, &end);
                return well;
            }
            Err(BusError::Conflict) => match claim.look().await {
                Ok(Some(Fence::CancelRequested(reason))) => {
                    conclusion = Conclusion::Cancelled(reason);
                    // It may have ended well until now: "cancelled" needs the proof that completed work doesn't.
                    if !is_over(&conclusion, &outcome) {
                        end_strays(node, claim.entry.task.id).await;
                    }
                    continue;
                }
                Ok(Some(Fence::Lost)) => {
                    match claim.queue_next(now).await {
                        Ok(queued) => queued.into_iter().for_each(|seq| node.historian.wrote(seq)),
                        Err(error) => {
                            tracing::debug!(task = %claim.entry.task.id, "what follows waits for its lease: {error}");
                        }
                    }
                    tracing::warn!(task = %claim.entry.task.id, "somebody else owns the task now; nothing is written");
                    return None;
                }
                // What it had written itself, and not heard of: it goes on behind that.
                Ok(Some(Fence::Own)) => continue,
                Ok(None) => BusError::Conflict,
                Err(error) => error,
            },
            // Too large for this broker, say: how it ended matters more than its last words, which the log has.
            Err(BusError::Refused(cause)) if !(outcome.output.is_empty() && outcome.error_output.is_empty()) => {
                tracing::warn!(task = %claim.entry.task.id, "its end is written without its output: {cause}");
                outcome = Outcome { output: String::new(), error_output: String::new(), truncated: true, ..outcome };
                continue;
            }
            Err(error) => error,
        };
        let is_final = matches!(error, BusError::Refused(_) | BusError::Unreadable { .. } | BusError::Newer { .. });
        refusals += u32::from(is_final);
        if refusals >= REFUSALS {
            tracing::error!(
                task = %claim.entry.task.id,
                "the attempt's end can't be written, and is given up; the task is taken up again when its lease is over: {error}"
            );
            return None;
        }
        tracing::warn!(task = %claim.entry.task.id, "the attempt's end could not be written yet: {error}");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// For an end that is no failure of its agent's.
pub(crate) const fn unfailed(policy: &Department) -> Retry {
    Retry { policy: policy.retry, commands: false, random: 0.0 }
}

/// Gives back to the queue what a failed worker had in hand, when no process of it is alive.
pub(crate) async fn reclaim(node: &Node, slot: &Slot, reason: &str, policy: &Department) {
    if let Some(unfinished) = slot.abandon(|_| true) {
        put_back(node, slot, unfinished, reason, policy).await;
    }
}

/// The same, if it is this.
pub(crate) async fn reclaim_one(node: &Node, slot: &Slot, claim: &Arc<Claim>, reason: &str, policy: &Department) {
    if let Some(unfinished) = slot.abandon(|held| Arc::ptr_eq(held, claim)) {
        put_back(node, slot, unfinished, reason, policy).await;
    }
}

/// Gives back what was abandoned, when no process of it is alive.
pub(crate) async fn put_back(node: &Node, slot: &Slot, mut unfinished: Unfinished, reason: &str, policy: &Department) {
    tokio::select! {
        () = unfinished.over() => {}
        () = node.give_up.cancelled() => {
            tracing::warn!(task = %unfinished.claim.entry.task.id, "its processes could not be ended; the next start sees to it");
            return;
        }
    }
    let conclusion = Conclusion::Interrupted(reason.to_owned());
    conclude(node, &unfinished.claim, conclusion, &Outcome::default(), &unfailed(policy)).await;
    slot.left(&unfinished);
}
