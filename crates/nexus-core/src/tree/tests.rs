use jiff::Timestamp;

use super::*;
use crate::task::QueueEntry;

fn id(n: u128) -> TaskId {
    TaskId::from_uuid(uuid::Uuid::from_u128(n))
}

fn department(name: &str) -> DepartmentName {
    DepartmentName::new(name).unwrap()
}

/// The way up from the task that asks, by departments; all of them run.
fn way(departments: &[&str]) -> Vec<Link> {
    let link = |(n, name): (usize, &&str)| Link {
        task: id(n as u128 + 1),
        department: department(name),
        standing: Standing::Running,
    };
    departments.iter().enumerate().map(link).collect()
}

/// The task that asks at the lower end of this way.
fn asker(way: Vec<Link>, children: u64, tree: u64) -> Asker {
    let depth = u32::try_from(way.len()).unwrap() - 1;
    Asker { root: way.last().unwrap().task, depth, way, children, tree, waiting: Vec::new() }
}

/// Each tree alone could go on, but each waits for a worker that the other one holds.
#[test]
fn the_last_worker_is_not_left_to_those_that_wait() {
    let refused = |departments: &[&str], waiting: &[u128], workers| {
        let waiting = waiting.iter().copied().map(id).collect();
        let asker = Asker { waiting, ..asker(way(departments), 0, 0) };
        let refusal = asker.admit(&LIMITS, &department("qa"), workers).err()?;
        assert_eq!(refusal.kind, RefusalKind::Limit);
        Some(refusal.message)
    };
    for (departments, waiting, workers, is_refused) in [
        (&["product"][..], &[][..], 1, false),
        (&["product"], &[8], 1, true),
        (&["product"], &[8], 2, false),
        (&["product"], &[8, 9], 2, true),
        // The one that asks will wait too; it is counted once.
        (&["qa"], &[8], 2, true),
        (&["qa"], &[1], 2, false),
        (&["qa"], &[1, 8], 3, false),
        (&["qa", "product"], &[1, 8, 9], 3, true),
    ] {
        let message = refused(departments, waiting, workers);
        assert_eq!(message.is_some(), is_refused, "{departments:?} {waiting:?} {workers}: {message:?}");
        assert!(
            message.is_none_or(|message| message.contains("never be done") && message.contains(&id(8).to_string()))
        );
    }
}

const LIMITS: Delegation = Delegation { max_depth: 2, max_children: 3, max_tree: 5 };

#[test]
fn limits_are_named_with_the_way_out() {
    let asker = |departments: &[&str], children, tree| asker(way(departments), children, tree);
    let table = [
        (asker(&["product"], 0, 0), 1, None),
        (asker(&["engineering", "product"], 2, 4), 1, None),
        (asker(&["engineering", "engineering", "product"], 0, 0), 1, Some("max_depth")),
        (asker(&["product"], 3, 3), 1, Some("max_children")),
        (asker(&["engineering", "product"], 0, 5), 1, Some("max_tree")),
        (asker(&["qa"], 0, 0), 1, Some("workers")),
        (asker(&["qa"], 0, 0), 2, None),
        (asker(&["engineering", "qa"], 0, 0), 1, Some("workers")),
        (asker(&["qa", "qa"], 0, 0), 2, Some("workers")),
    ];
    for (asker, workers, limit) in table {
        let admitted = asker.admit(&LIMITS, &department("qa"), workers);
        match (limit, admitted) {
            (None, Ok(parent)) => {
                let depth = u32::try_from(asker.way.len()).unwrap();
                let expected = Parent { task_id: id(1), root: id(u128::from(depth)), depth };
                assert_eq!(parent, expected, "{asker:?}");
            }
            (Some(limit), Err(refusal)) => {
                assert_eq!(refusal.kind, RefusalKind::Limit, "{refusal}");
                let help = refusal.help.unwrap();
                assert!(refusal.message.contains(limit) && help.contains(limit), "{} / {help}", refusal.message);
            }
            (limit, admitted) => panic!("{asker:?} {workers}: {limit:?}, but {admitted:?}"),
        }
    }
    let nobody = Delegation { max_depth: 0, ..LIMITS };
    let refusal = asker(&["product"], 0, 0).admit(&nobody, &department("qa"), 1).unwrap_err();
    assert!(refusal.message.contains("max_depth is 0"), "{refusal}");
}

#[test]
fn only_what_runs_and_is_not_about_to_end_can_ask() {
    use Standing::{Ended, Ending, Running, Waiting};
    let admitted = |parent, first| {
        let mut way = way(&["engineering", "product"]);
        (way[0].standing, way[1].standing) = (parent, first);
        asker(way, 0, 0).admit(&LIMITS, &department("qa"), 1).map_err(|refusal| refusal.kind)
    };
    for (parent, first, is_admitted) in [
        (Running, Running, true),
        // The first has ended well, or its attempt was interrupted: its children go on.
        (Running, Ended(Status::Completed), true),
        (Running, Waiting, true),
        (Running, Ending, false),
        (Running, Ended(Status::Cancelled), false),
        (Running, Ended(Status::Failed), false),
        (Waiting, Running, false),
        (Ending, Running, false),
        (Ended(Status::Completed), Running, false),
    ] {
        let expected = if is_admitted { None } else { Some(RefusalKind::Conflict) };
        assert_eq!(admitted(parent, first).err(), expected, "{parent:?} {first:?}");
    }
    // A worker that isn't taken any more is not waited for.
    let mut way = way(&["engineering", "qa"]);
    way[1].standing = Ended(Status::Completed);
    assert!(asker(way, 0, 0).admit(&LIMITS, &department("qa"), 1).is_ok());
}

#[test]
fn what_is_below_a_task_comes_after_its_parent() {
    let view = |n: u128, parent: Option<u128>| {
        let json = serde_json::json!({
            "id": id(n), "department": "qa", "description": "x", "task_type": "t", "project_path": "/", "priority": 5,
            "created_at": Timestamp::UNIX_EPOCH,
            "parent": parent.map(|parent| Parent { task_id: id(parent), root: id(1), depth: 1 }),
        });
        TaskView::new(&QueueEntry::first(serde_json::from_value(json).unwrap()))
    };
    let tree = || vec![view(5, Some(4)), view(4, Some(2)), view(3, Some(1)), view(2, Some(1)), view(1, None)];
    let ids = |of| below(id(of), tree()).iter().map(|view| view.task_id).collect::<Vec<_>>();
    assert_eq!(ids(1), [id(3), id(2), id(4), id(5)]);
    assert_eq!(ids(2), [id(4), id(5)]);
    assert_eq!(ids(5), []);
    for (status, word) in
        [(Status::Cancelled, Some("was cancelled")), (Status::Failed, Some("failed")), (Status::Completed, None)]
    {
        let reason = orphaned(id(1), status);
        assert_eq!(reason.as_deref().map(|reason| reason.starts_with("its parent 0000")), word.map(|_| true));
        assert!(word.is_none_or(|word| reason.unwrap().ends_with(word)));
    }
}
