//! The property that all rests on: what SQL holds is the fold of the ledger, whatever the batches and redeliveries.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use nexus_core::api::ListRequest;
use nexus_core::budget::Spent;
use nexus_core::event::What;
use nexus_core::spend::{Expense, Spending, day, expense};
use nexus_core::task::{QueueEntry, Task};
use nexus_core::view::{Record, Status, TaskView, fold};
use nexus_history::{Counts, History};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::records::{at, department, event, failure, folded, id, outcome, progressed, started, task};

const DEPARTMENTS: [&str; 2] = ["engineering", "qa"];

#[derive(Clone, Debug)]
struct Batch {
    records: Vec<Record>,
    /// The number of the records before that come once more.
    again: usize,
    /// Messages behind its last record that say nothing of a task.
    silent: u64,
}

fn record() -> impl Strategy<Value = Record> {
    let words = prop_oneof![any::<String>(), Just("a\u{0}b".to_owned()), Just("é".repeat(2048))];
    (0..6_u128, 0..12_u8, 0..4_u32, 0..5_000_000_i64, 0..1_000_i64, words).prop_map(
        |(n, kind, attempt, micros, nanos, words)| {
            let name = DEPARTMENTS[usize::from(n % 2 == 0)];
            let reason = words.clone();
            let what = match kind {
                0 => {
                    let created: Timestamp = at(micros) + SignedDuration::from_nanos(nanos);
                    let task = Task { task_type: words, ..task(id(n), name, created) };
                    return Record::Entry(QueueEntry { attempt, interruptions: attempt, ..QueueEntry::first(task) });
                }
                1 | 2 => started(if attempt % 2 == 0 { "here" } else { "there" }),
                3 => What::CancelRequested { reason, of: None },
                4 => What::Interrupted { reason, run: None },
                5 => What::AttemptFailed { failure: failure(&words), outcome: outcome(u64::MAX), retry_at: at(micros) },
                6 => What::Retried { reason },
                7 => What::Completed { outcome: outcome(micros.unsigned_abs()) },
                8 | 9 => progressed(micros.unsigned_abs(), attempt),
                10 => What::Deferred { reason, until: None, run: None },
                _ if attempt == 0 => What::Failed { failure: failure(&words), outcome: outcome(1) },
                _ => What::Cancelled { reason, outcome: None },
            };
            event(n, name, attempt, micros, what)
        },
    )
}

fn batch() -> impl Strategy<Value = Batch> {
    (prop::collection::vec(record(), 0..90), 0..20_usize, 0..3_u64).prop_map(|(records, again, silent)| Batch {
        records,
        again,
        silent,
    })
}

async fn play(history: &History, batches: Vec<Batch>) -> Result<(), TestCaseError> {
    history.clear().await.unwrap();
    let mut ledger: Vec<(u64, Record)> = Vec::new();
    let mut upto = 0;
    for batch in batches {
        let from = ledger.len().saturating_sub(batch.again);
        for record in batch.records {
            upto += 1;
            ledger.push((upto, record));
        }
        upto += batch.silent;
        history.fold(&ledger[from..], upto).await.unwrap();
        prop_assert_eq!(history.position().await.unwrap(), upto);
    }
    let expected = folded(ledger.iter().map(|(_, record)| record));
    let mut counts = Counts::default();
    for view in expected.values() {
        counts.add(view.department.clone(), view.status, 1);
        let stored = history.get(view.task_id).await.unwrap();
        prop_assert_eq!(stored.as_ref(), Some(view));
    }
    prop_assert_eq!(history.dump().await.unwrap(), expected);
    prop_assert_eq!(history.counts().await.unwrap(), counts);
    prop_assert_eq!(
        history.spent(day(at(0))).await.unwrap(),
        (upto, spending(ledger.iter().map(|(_, record)| record)))
    );
    let every = history.list(&ListRequest::default()).await.unwrap();
    prop_assert_eq!(every.total, history.dump().await.unwrap().len() as u64);
    let key = |task: &TaskView| (task.created_at.as_microsecond(), task.task_id);
    let descending = every.tasks.windows(2).all(|pair| key(&pair[0]) > key(&pair[1]));
    prop_assert!(descending, "out of order");
    Ok(())
}

/// The ledger's spending; everything in it is of one day.
fn spending<'a>(records: impl Iterator<Item = &'a Record>) -> Spending {
    let (mut views, mut sums) = (BTreeMap::new(), BTreeMap::<_, Spent>::new());
    for record in records {
        let before: Option<TaskView> = views.remove(&record.task_id());
        let after = fold(before.clone(), record);
        if let Some(Expense { purse, spent }) = expense(before.as_ref(), after.as_ref(), record) {
            let sum = sums.entry((purse.department, purse.agent)).or_default();
            *sum = sum.plus(spent);
        }
        views.extend(after.map(|view| (view.task_id, view)));
    }
    let most = u64::try_from(i64::MAX).unwrap();
    let mut spending = Spending::default();
    for ((department, agent), sum) in sums {
        spending.add(department, agent, Spent { wall_ms: sum.wall_ms.min(most), ..sum });
    }
    spending
}

/// One history for all cases, cleared before each.
pub(crate) fn equal_the_fold_in_memory(runtime: &tokio::runtime::Runtime, url: &str, cases: u32) {
    let history = runtime.block_on(History::open(url)).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let plan = prop::collection::vec(batch(), 1..5);
    TestRunner::new(config).run(&plan, |batches| runtime.block_on(play(&history, batches))).unwrap();
    assert_eq!(runtime.block_on(history.counts()).unwrap().of(&department("nowhere"), Status::Queued), 0);
    runtime.block_on(history.close());
}
