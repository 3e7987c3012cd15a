//! The cases that every database must pass. Each gets an empty one of its own.

use std::collections::BTreeSet;

use nexus_core::api::ListRequest;
use nexus_core::event::What;
use nexus_core::id::{NodeId, TaskId};
use nexus_core::spend::day;
use nexus_core::view::{Record, Status};
use nexus_history::{Bound, History, HistoryError, Resolved};

use crate::records::{
    at, child, completed, department, entry, event, failure, id, numbered, outcome, progressed, started,
};

async fn filled(url: &str, records: impl IntoIterator<Item = Record>) -> History {
    let history = History::open(url).await.unwrap();
    let batch = numbered(records);
    history.fold(&batch, batch.len() as u64).await.unwrap();
    history
}

pub(crate) async fn a_reopened_history_goes_on(url: &str) {
    let history = History::open(url).await.unwrap();
    assert_eq!(history.position().await.unwrap(), 0);
    assert_eq!(history.bind("NEXUS_TASKS 2026-01-01").await.unwrap(), Bound::New);
    history.fold(&numbered([entry(1, "qa", 1)]), 7).await.unwrap();
    history.close().await;

    let history = History::open(url).await.unwrap();
    assert_eq!(history.bind("NEXUS_TASKS 2026-01-01").await.unwrap(), Bound::Same);
    assert_eq!(history.position().await.unwrap(), 7);
    // Redelivered: neither counted twice nor moved back.
    history.fold(&numbered([entry(1, "qa", 1)]), 3).await.unwrap();
    assert_eq!(history.position().await.unwrap(), 7);
    assert_eq!(history.counts().await.unwrap().total(Status::Queued), 1);
    history.close().await;
}

pub(crate) async fn another_ledger_clears(url: &str) {
    let history = History::open(url).await.unwrap();
    history.bind("one").await.unwrap();
    history.fold(&numbered([entry(1, "qa", 1)]), 1).await.unwrap();
    assert_eq!(history.bind("two").await.unwrap(), Bound::Replaced);
    assert_eq!(history.position().await.unwrap(), 0);
    assert!(history.dump().await.unwrap().is_empty());
    assert_eq!(history.counts().await.unwrap().total(Status::Queued), 0);
    history.close().await;
}

pub(crate) async fn what_another_program_cleared_is_not_folded_on(url: &str) {
    let (ours, theirs) = (History::open(url).await.unwrap(), History::open(url).await.unwrap());
    ours.bind("one").await.unwrap();
    ours.fold(&numbered([entry(1, "qa", 1)]), 1).await.unwrap();
    theirs.clear().await.unwrap();
    let refused = ours.fold(&[(2, entry(2, "qa", 2))], 2).await;
    assert!(matches!(refused, Err(HistoryError::Cleared { .. })), "{refused:?}");
    assert_eq!(ours.bind("one").await.unwrap(), Bound::Same);
    assert_eq!(ours.position().await.unwrap(), 0);
    ours.fold(&numbered([entry(1, "qa", 1), entry(2, "qa", 2)]), 2).await.unwrap();
    assert_eq!(ours.dump().await.unwrap().len(), 2);
    ours.close().await;
    theirs.close().await;
}

pub(crate) async fn paging_shows_each_task_once_while_others_arrive(url: &str) {
    // Many with the same time: the id settles their order.
    let history = filled(url, (0..57).map(|n| entry(n, "qa", i64::try_from(n / 10).unwrap()))).await;
    let mut query = ListRequest { limit: Some(10), ..ListRequest::default() };
    let mut seen = Vec::new();
    loop {
        let page = history.list(&query).await.unwrap();
        seen.extend(page.tasks.iter().map(|task| task.task_id));
        let new = 1000 + seen.len() as u64;
        history.fold(&[(new, entry(u128::from(new), "qa", 9_000_000))], new).await.unwrap();
        query.cursor = page.next_cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let expected: Vec<TaskId> = (0..57).rev().map(id).collect();
    assert_eq!(seen, expected);
    history.close().await;
}

pub(crate) async fn lists_are_filtered(url: &str) {
    let mut records = Vec::new();
    for n in 0..40 {
        let name = if n % 2 == 0 { "qa" } else { "product" };
        records.push(entry(n, name, i64::try_from(n).unwrap()));
        if n % 4 >= 2 {
            records.push(event(n, name, 1, 100, started("here")));
        }
        if n % 8 >= 6 {
            records.push(event(n, name, 1, 200, completed(5)));
        }
    }
    let history = filled(url, records).await;
    let everything = history.dump().await.unwrap();
    for name in [None, Some("qa"), Some("product"), Some("nobody")] {
        for status in [&[][..], &[Status::Queued], &[Status::Completed, Status::Queued], &Status::ALL] {
            let fits = |task: &&nexus_core::view::TaskView| {
                name.is_none_or(|name| task.department.as_str() == name)
                    && (status.is_empty() || status.contains(&task.status))
            };
            let expected: BTreeSet<TaskId> = everything.values().filter(fits).map(|task| task.task_id).collect();
            let query =
                ListRequest { department: name.map(str::to_owned), status: status.to_vec(), ..ListRequest::default() };
            let page = history.list(&query).await.unwrap();
            assert_eq!(page.total, expected.len() as u64, "{query:?}");
            assert_eq!(page.tasks.iter().map(|task| task.task_id).collect::<BTreeSet<_>>(), expected, "{query:?}");
            assert_eq!(page.next_cursor, None);
        }
    }
    let running = history.running_on(&NodeId::new("here").unwrap()).await.unwrap();
    assert_eq!(running.len(), 10);
    assert!(history.running_on(&NodeId::new("there").unwrap()).await.unwrap().is_empty());
    history.close().await;
}

pub(crate) async fn trees_are_counted_and_orphans_found(url: &str) {
    let cancelled = || What::Cancelled { reason: "x".to_owned(), outcome: None };
    let failed = || What::Failed { failure: failure("no"), outcome: outcome(1) };
    let history = filled(
        url,
        [
            entry(1, "product", 1),
            child(2, 1, 1, 2),
            child(3, 1, 1, 3),
            child(4, 2, 1, 4),
            event(3, "qa", 1, 5, completed(1)),
            entry(10, "product", 1),
            child(11, 10, 10, 2),
        ],
    )
    .await;
    let counts = async |n| (history.children(id(n)).await.unwrap(), history.tree_size(id(n)).await.unwrap());
    assert_eq!((counts(1).await, counts(2).await, counts(10).await), ((2, 3), (1, 0), (1, 1)));
    let ids = |views: Vec<nexus_core::view::TaskView>| views.iter().map(|view| view.task_id).collect::<Vec<_>>();
    assert_eq!(ids(history.tree(id(1)).await.unwrap()), [id(2), id(3), id(4)]);
    for (status, total) in [(&[][..], 2), (&[Status::Completed], 1), (&[Status::Failed], 0)] {
        let query = ListRequest { parent: Some(id(1)), status: status.to_vec(), ..ListRequest::default() };
        let page = history.list(&query).await.unwrap();
        assert_eq!((page.total, page.tasks.len()), (total, usize::try_from(total).unwrap()), "{query:?}");
        assert!(page.tasks.iter().all(|task| task.parent.unwrap().task_id == id(1)));
    }
    for (root, parent, total) in [(1, None, 3), (1, Some(2), 1), (10, Some(2), 0), (10, None, 1)] {
        let query = ListRequest { root: Some(id(root)), parent: parent.map(id), ..ListRequest::default() };
        let page = history.list(&query).await.unwrap();
        assert_eq!((page.total, page.tasks.len()), (total, usize::try_from(total).unwrap()), "{query:?}");
    }
    let orphans = async || {
        let mut found: Vec<_> = history.orphans().await.unwrap();
        found.sort_by_key(|(view, _)| view.task_id);
        found.into_iter().map(|(view, how)| (view.task_id, how)).collect::<Vec<_>>()
    };
    assert_eq!(orphans().await, []);
    let waiting = async |name| ids(history.waiting(&department(name)).await.unwrap());
    let begun = [(8, event(10, "product", 1, 6, started("here"))), (9, event(4, "qa", 1, 7, started("here")))];
    assert_eq!(waiting("product").await, []);
    history.fold(&begun, 9).await.unwrap();
    // The first hasn't begun, and the last has asked for nothing.
    assert_eq!((waiting("product").await, waiting("qa").await), (vec![id(10)], vec![]));
    let ends = [(10, event(1, "product", 1, 8, cancelled())), (11, event(10, "product", 1, 9, failed()))];
    history.fold(&ends, 11).await.unwrap();
    assert_eq!(waiting("product").await, []);
    // Its grandchild isn't one before its child is cancelled, and what has ended is none.
    assert_eq!(orphans().await, [(id(2), Status::Cancelled), (id(11), Status::Failed)]);
    history.fold(&[(12, event(2, "qa", 1, 10, cancelled()))], 12).await.unwrap();
    assert_eq!(orphans().await, [(id(4), Status::Cancelled), (id(11), Status::Failed)]);
    history.close().await;
}

pub(crate) async fn a_long_page_ends_early(url: &str) {
    let long = |n: u128| match entry(n, "qa", 1) {
        Record::Entry(mut entry) => {
            entry.task.description = "x".repeat(200 * 1024);
            Record::Entry(entry)
        }
        other => other,
    };
    let history = filled(url, (0..9).map(long)).await;
    let first = history.list(&ListRequest::default()).await.unwrap();
    assert_eq!((first.total, first.tasks.len()), (9, 3));
    let query = ListRequest { cursor: first.next_cursor, ..ListRequest::default() };
    assert_eq!(history.list(&query).await.unwrap().tasks[0].task_id, id(5));
    history.close().await;
}

pub(crate) async fn a_false_cursor_is_refused(url: &str) {
    let history = History::open(url).await.unwrap();
    for cursor in ["", "x", &"0".repeat(47), &"g".repeat(48), &"é".repeat(24), &"0".repeat(400)] {
        let query = ListRequest { cursor: Some(cursor.to_owned()), ..ListRequest::default() };
        let refused = history.list(&query).await;
        assert!(matches!(refused, Err(HistoryError::Cursor(_))), "{cursor}: {refused:?}");
    }
    history.close().await;
}

pub(crate) async fn prefixes_resolve(url: &str) {
    let base = 0x0198_c1aa_bbcc_7dde_8000_0000_0000_0000_u128;
    let other = 0xffff_ffff_ffff_ffff_ffff_ffff_ffff_ffff_u128;
    let ids = (0..7).map(|n| base + n).chain([other]);
    let history = filled(url, ids.map(|n| entry(n, "qa", 1))).await;
    for (prefix, expected) in [
        (id(base).to_string(), Resolved::One(id(base))),
        (id(base).to_string().replace('-', "").to_uppercase(), Resolved::One(id(base))),
        ("ffff".to_owned(), Resolved::One(id(other))),
        ("ffff-f".to_owned(), Resolved::One(id(other))),
        ("fff".to_owned(), Resolved::None),
        ("ffffe".to_owned(), Resolved::None),
        ("'; drop".to_owned(), Resolved::None),
        (format!("{}0", id(base)), Resolved::None),
        (String::new(), Resolved::None),
        ("0198c".to_owned(), Resolved::Many((0..5).map(|n| id(base + n)).collect())),
    ] {
        assert_eq!(history.resolve(&prefix).await.unwrap(), expected, "{prefix}");
    }
    history.close().await;
}

pub(crate) async fn an_estimate_is_the_median_of_the_latest(url: &str) {
    let history = History::open(url).await.unwrap();
    let qa = department("qa");
    assert_eq!(history.estimate_ms(&qa, "code_generation").await.unwrap(), None);
    // The first ten are too old to count: 20 newer ones took 1, 2 ... 20.
    let runs = |n: u128| if n < 10 { 100_000 } else { u64::try_from(n).unwrap() - 9 };
    let records = (0..30).flat_map(|n| {
        let ended = event(n, "qa", 1, 1_000 + i64::try_from(n).unwrap(), completed(runs(n)));
        [entry(n, "qa", 1), event(n, "qa", 1, 2, started("here")), ended]
    });
    let batch = numbered(records);
    history.fold(&batch, 90).await.unwrap();
    assert_eq!(history.estimate_ms(&qa, "code_generation").await.unwrap(), Some(10));
    assert_eq!(history.estimate_ms(&qa, "review").await.unwrap(), None);
    assert_eq!(history.estimate_ms(&department("product"), "code_generation").await.unwrap(), None);
    history.close().await;
}

pub(crate) async fn finished_tasks_expire(url: &str) {
    let failed = What::Failed { failure: failure("no"), outcome: outcome(1) };
    let history = filled(
        url,
        [
            entry(1, "qa", 1),
            event(1, "qa", 1, 10, completed(1)),
            entry(2, "qa", 1),
            event(2, "qa", 1, 20, failed.clone()),
            entry(3, "qa", 1),
            // Failed long ago, and put back since.
            entry(4, "qa", 1),
            event(4, "qa", 1, 5, failed),
            event(4, "qa", 0, 6, What::Retried { reason: "once more".to_owned() }),
        ],
    )
    .await;
    assert_eq!(history.expired(at(10), 10).await.unwrap(), []);
    assert_eq!(history.expired(at(30), 10).await.unwrap(), [id(1), id(2)]);
    assert_eq!(history.expired(at(30), 1).await.unwrap(), [id(1)]);
    history.forget(&[id(1), id(2), id(99)]).await.unwrap();
    assert_eq!(history.expired(at(30), 10).await.unwrap(), []);
    assert_eq!(history.dump().await.unwrap().into_keys().collect::<Vec<_>>(), [id(3), id(4)]);
    let counts = history.counts().await.unwrap();
    assert_eq!((counts.total(Status::Queued), counts.ended()), (2, 0));
    assert_eq!(history.position().await.unwrap(), 8);
    history.close().await;
}

pub(crate) async fn what_has_failed_since_is_counted(url: &str) {
    let failed = |n| What::Failed { failure: failure("no"), outcome: outcome(n) };
    let history = filled(
        url,
        [
            entry(1, "qa", 1),
            event(1, "qa", 1, 9, failed(1)),
            entry(2, "qa", 1),
            event(2, "qa", 1, 10, failed(1)),
            entry(3, "qa", 1),
            event(3, "qa", 1, 20, failed(1)),
            entry(4, "product", 1),
            event(4, "product", 1, 20, failed(1)),
            entry(5, "qa", 1),
            event(5, "qa", 1, 20, completed(1)),
        ],
    )
    .await;
    let since = |micros| history.failed_since(at(micros));
    assert_eq!(since(10).await.unwrap(), [(department("product"), 1), (department("qa"), 2)].into());
    assert_eq!(since(21).await.unwrap(), [].into());
    history.close().await;
}

/// `run` runs SQL on the database, past the history.
pub(crate) async fn what_was_spent_is_kept_by_day_and_outlives_its_tasks(url: &str) {
    const DAY: i64 = 86_400_000_000;
    let history = filled(
        url,
        [
            entry(1, "qa", 1),
            event(1, "qa", 1, 10, started("here")),
            event(1, "qa", 1, 20, progressed(100, 1)),
            event(1, "qa", 1, DAY, completed(7)),
            entry(2, "product", DAY),
            event(2, "product", 1, DAY, started("here")),
            event(2, "product", 1, DAY, progressed(30, 2)),
        ],
    )
    .await;
    let check = async |micros, upto, of: Option<&str>, expected: (u64, u64, u64)| {
        let (position, spending) = history.spent(day(at(micros))).await.unwrap();
        let spent = spending.of(of.map(department).as_ref());
        assert_eq!((position, (spent.tokens, spent.turns, spent.wall_ms)), (upto, expected), "{of:?}");
    };
    check(0, 7, None, (100, 1, 0)).await;
    check(DAY, 7, None, (30, 2, 7)).await;
    check(DAY, 7, Some("qa"), (0, 0, 7)).await;
    check(DAY, 7, Some("product"), (30, 2, 0)).await;
    check(2 * DAY, 7, None, (0, 0, 0)).await;
    history.forget(&[id(1)]).await.unwrap();
    history.fold(&[(8, event(2, "product", 1, DAY, progressed(50, 3)))], 8).await.unwrap();
    check(0, 8, None, (100, 1, 0)).await;
    check(DAY, 8, None, (50, 3, 7)).await;
    history.clear().await.unwrap();
    check(DAY, 0, None, (0, 0, 0)).await;
    history.close().await;
}

pub(crate) async fn versions_are_told_apart(url: &str, run: impl AsyncFn(&'static str)) {
    let history = filled(url, [entry(1, "qa", 1)]).await;
    history.close().await;
    run("UPDATE nexus_meta SET version = 99").await;
    let refused = History::open(url).await;
    assert!(matches!(refused, Err(HistoryError::Newer { found: 99, .. })), "{refused:?}");
    // An older one is made anew: its ledger is folded again.
    run("UPDATE nexus_meta SET version = 0").await;
    let history = History::open(url).await.unwrap();
    assert_eq!(history.position().await.unwrap(), 0);
    assert!(history.dump().await.unwrap().is_empty());
    history.close().await;
    run("UPDATE nexus_meta SET version = 99").await;
    History::discard(url).await.unwrap();
    History::open(url).await.unwrap().close().await;
}

/// Calls `$run` with the name and the function of every case above.
macro_rules! cases {
    ($run:ident) => {
        $run! {
            a_reopened_history_goes_on,
            another_ledger_clears,
            what_another_program_cleared_is_not_folded_on,
            paging_shows_each_task_once_while_others_arrive,
            lists_are_filtered,
            trees_are_counted_and_orphans_found,
            a_long_page_ends_early,
            a_false_cursor_is_refused,
            prefixes_resolve,
            an_estimate_is_the_median_of_the_latest,
            finished_tasks_expire,
            what_has_failed_since_is_counted,
            what_was_spent_is_kept_by_day_and_outlives_its_tasks
        }
    };
}
pub(crate) use cases;
