//! Tasks that are asked for on behalf of others: what is admitted, and what becomes of them when their parent ends.

use std::time::Duration;

use nexus_core::api::{Accepted, CancelRequest, MessageRequest};
use nexus_core::company::{Company, Delegation};
use nexus_core::department::Department;
use nexus_core::event::{Event, What};
use nexus_core::id::{DepartmentName, TaskId};
use nexus_core::message::Sender;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::task::Submission;
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::{Gate, Office, Server, UNLESS_GO, eventually, go, is_alive, within};

async fn ask(office: &Office, parent: TaskId, department: &str, command: &str) -> Result<Accepted, Refusal> {
    let submission = Submission { parent_task_id: Some(parent), ..office.work(department, command) };
    office.client.submit(&submission).await
}

async fn child(office: &Office, parent: TaskId, department: &str, command: &str) -> TaskId {
    ask(office, parent, department, command).await.unwrap().task_id
}

fn two(limits: Delegation) -> Company {
    Company { delegation: limits, ..company([("product", department(2)), ("qa", department(8))]) }
}

async fn cancel(office: &Office, task: TaskId) {
    let request = CancelRequest { task_id: task.to_string(), reason: None };
    within("a cancel", office.client.cancel(&request)).await.unwrap();
}

fn name(name: &str) -> DepartmentName {
    name.parse().unwrap()
}

const SLEEP: &str = "exec sleep 1000";

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_exactly_however_many_ask_at_once_and_over_restarts() {
    let server = Server::start().await;
    let limits = Delegation { max_depth: 2, max_children: 5, max_tree: 6 };
    let office = server.open(two(limits)).await;
    let gate = Gate::new(server.dir.path());
    let root = office.submit("product", &gate.command()).await;
    office.pid(root).await;
    let asked = (0..12).map(|_| ask(&office, root, "qa", UNLESS_GO));
    let (admitted, refused): (Vec<_>, Vec<_>) =
        futures_util::future::join_all(asked).await.into_iter().partition(Result::is_ok);
    assert_eq!((admitted.len(), refused.len()), (5, 7));
    let refusal = refused.into_iter().next().unwrap().unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Limit);
    assert!(refusal.message.contains("[delegation] max_children is 5"), "{refusal}");
    let first = admitted.into_iter().next().unwrap().unwrap().task_id;
    office.pid(first).await;
    let view = office.status(first).await.task;
    assert_eq!(view.parent.map(|parent| (parent.task_id, parent.root, parent.depth)), Some((root, root, 1)));
    let grandchild = child(&office, first, "qa", UNLESS_GO).await;
    let refusal = ask(&office, first, "qa", "true").await.unwrap_err();
    assert!(refusal.message.contains("max_tree is 6"), "{refusal}");
    office.pid(grandchild).await;
    let refusal = ask(&office, grandchild, "qa", "true").await.unwrap_err();
    assert!(refusal.message.contains("max_depth is 2"), "{refusal}");
    office.runtime.stop(Duration::ZERO);
    within("the end", office.runtime.ended()).await.unwrap();

    // Another run counts the same.
    let office = server.open(two(limits)).await;
    office.pid(root).await;
    let refusal = ask(&office, root, "qa", "true").await.unwrap_err();
    assert!(refusal.message.contains("max_children is 5"), "{refusal}");
    go(&server);
    cancel(&office, root).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_runs_asks_and_never_for_what_would_wait_for_it() {
    let server = Server::start().await;
    let office = server.open(company([("product", department(1)), ("qa", department(1))])).await;
    let missing = TaskId::from_idempotency_key("nobody");
    assert_eq!(ask(&office, missing, "qa", "true").await.unwrap_err().kind, RefusalKind::NotFound);
    let root = office.submit("product", SLEEP).await;
    let waiting = office.submit("product", "true").await;
    office.pid(root).await;
    let refusal = ask(&office, waiting, "qa", "true").await.unwrap_err();
    assert_eq!((refusal.kind, refusal.message.ends_with("is waiting")), (RefusalKind::Conflict, true), "{refusal}");
    let refusal = ask(&office, root, "product", "true").await.unwrap_err();
    assert_eq!(refusal.kind, RefusalKind::Limit);
    assert!(refusal.message.contains("product has 1 workers") && refusal.message.contains(&root.to_string()));
    let below = child(&office, root, "qa", SLEEP).await;
    office.pid(below).await;
    for department in ["product", "qa"] {
        let refusal = ask(&office, below, department, "true").await.unwrap_err();
        assert!(refusal.message.contains("it would wait for them"), "{refusal}");
    }
    cancel(&office, root).await;
    assert_eq!(ask(&office, root, "qa", "true").await.unwrap_err().kind, RefusalKind::Conflict);
    office.completed(waiting, (1, 0)).await;
    office.stop().await;
}

/// Each of two trees asks for the department whose only worker the other one holds, at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn two_trees_never_wait_for_each_other() {
    let server = Server::start().await;
    let office = server.open(company([("product", department(1)), ("qa", department(1))])).await;
    let roots = [office.submit("product", SLEEP).await, office.submit("qa", SLEEP).await];
    for root in roots {
        office.pid(root).await;
    }
    let (one, two) = tokio::join!(ask(&office, roots[0], "qa", "true"), ask(&office, roots[1], "product", "true"));
    let (admitted, holder, refused) = match (one, two) {
        (Ok(admitted), Err(refused)) => (admitted, roots[0], refused),
        (Err(refused), Ok(admitted)) => (admitted, roots[1], refused),
        both => panic!("{both:?}"),
    };
    assert_eq!(refused.kind, RefusalKind::Limit);
    assert!(
        refused.message.contains("might never be done") && refused.message.contains(&holder.to_string()),
        "{refused}"
    );
    let other = roots.into_iter().find(|root| *root != holder).unwrap();
    cancel(&office, other).await;
    office.completed(admitted.task_id, (1, 0)).await;
    cancel(&office, holder).await;
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_its_parents_and_finds_what_an_attempt_before_has_asked_for() {
    let server = Server::start().await;
    let office = server.open(two(Delegation::default())).await;
    let parents = [office.submit("product", SLEEP).await, office.submit("product", SLEEP).await];
    let mut found = Vec::new();
    for parent in [parents[0], parents[0], parents[1]] {
        office.pid(parent).await;
        let key = Some("the same".to_owned());
        let submission = Submission { parent_task_id: Some(parent), idempotency_key: key, ..office.work("qa", "true") };
        found.push(office.client.submit(&submission).await.unwrap());
    }
    assert_eq!(found.iter().map(|accepted| accepted.duplicate).collect::<Vec<_>>(), [false, true, false]);
    assert!(found[0].task_id == found[1].task_id && found[1].task_id != found[2].task_id);
    for parent in parents {
        cancel(&office, parent).await;
    }
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_is_answered_when_nothing_of_the_tree_is_alive_and_nothing_slips_in() {
    let server = Server::start().await;
    let office = server.open(two(Delegation::default())).await;
    let root = office.submit("product", SLEEP).await;
    office.pid(root).await;
    let below = child(&office, root, "qa", "trap '' INT; sleep 1000 & wait").await;
    let mut pids = vec![office.pid(below).await];
    let deepest = child(&office, below, "qa", SLEEP).await;
    pids.push(office.pid(deepest).await);
    let delayed = Submission {
        parent_task_id: Some(below),
        not_before: Some("2099-01-01T00:00:00Z".parse().unwrap()),
        ..office.work("qa", "touch ran")
    };
    let delayed = office.client.submit(&delayed).await.unwrap().task_id;
    let finished = child(&office, root, "qa", "true").await;
    office.completed(finished, (1, 0)).await;
    // Others go on asking meanwhile.
    let asking = async {
        let mut admitted = Vec::new();
        loop {
            match ask(&office, root, "qa", SLEEP).await {
                Ok(accepted) => admitted.push(accepted.task_id),
                Err(refusal) if refusal.kind == RefusalKind::Limit => tokio::task::yield_now().await,
                Err(_) => return admitted,
            }
        }
    };
    let ((), admitted) = tokio::join!(cancel(&office, root), asking);
    assert!(pids.into_iter().all(|pid| !is_alive(pid)), "the answer comes after the end of all");
    for (task, parent) in [(below, root), (deepest, below), (delayed, below)] {
        let view = office.status(task).await.task;
        let reason = format!("its parent {parent} was cancelled");
        assert_eq!((view.status, view.error), (Status::Cancelled, Some(reason)), "{task}");
    }
    for task in admitted {
        assert_eq!(office.status(task).await.task.status, Status::Cancelled);
    }
    assert_eq!(office.status(finished).await.task.status, Status::Completed);
    let refusal = office.client.retry(&deepest.to_string()).await.unwrap_err();
    assert!(refusal.message.contains("its parent") && refusal.help.unwrap().contains(&below.to_string()));
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_parent_takes_its_children_along_and_a_completed_one_does_not() {
    let server = Server::start().await;
    let office = server.open(two(Delegation::default())).await;
    let gates = [Gate::new(server.dir.path()), Gate::new(server.dir.path())];
    let failing =
        Submission { max_attempts: Some(1), ..office.work("product", &format!("{}; exit 1", gates[0].command())) };
    let failing = office.client.submit(&failing).await.unwrap().task_id;
    let completing = office.submit("product", &gates[1].command()).await;
    let mut children = Vec::new();
    for parent in [failing, completing] {
        office.pid(parent).await;
        children.push(child(&office, parent, "qa", UNLESS_GO).await);
    }
    let pid = office.pid(children[0]).await;
    let below = child(&office, children[0], "qa", SLEEP).await;
    for (gate, task) in gates.iter().zip([failing, completing]) {
        gate.open().await;
        office.end(task).await;
    }
    let reasons = [
        (children[0], format!("its parent {failing} failed")),
        (below, format!("its parent {} was cancelled", children[0])),
    ];
    for (task, reason) in reasons {
        let view = office.end(task).await;
        assert_eq!((view.status, view.error), (Status::Cancelled, Some(reason)));
    }
    eventually("its end", async || (!is_alive(pid)).then_some(())).await;
    assert_eq!(office.status(children[1]).await.task.status, Status::Running);
    // By the name of the one that asked for it, for as long as there is something to cancel.
    let request = CancelRequest { task_id: completing.to_string(), reason: None };
    let cancelled = within("a cancel", office.client.cancel(&request)).await.unwrap();
    assert_eq!((cancelled.task_id, cancelled.was), (completing, Status::Completed));
    assert_eq!(office.status(children[1]).await.task.status, Status::Cancelled);
    assert_eq!(office.status(completing).await.task.status, Status::Completed);
    let refusal = within("a refusal", office.client.cancel(&request)).await.unwrap_err();
    assert_eq!((refusal.kind, refusal.message.ends_with("is completed already")), (RefusalKind::Conflict, true));
    // One that was put back may have others.
    office.client.retry(&failing.to_string()).await.unwrap();
    office.client.retry(&children[0].to_string()).await.unwrap();
    cancel(&office, failing).await;
    office.stop().await;
}

/// The company dies between the parent's end and that of its children.
#[tokio::test(flavor = "multi_thread")]
async fn children_end_with_their_parent_though_a_crash_lies_between() {
    let server = Server::start().await;
    let office = server.open(two(Delegation::default())).await;
    let root = office.submit("product", SLEEP).await;
    office.pid(root).await;
    let running = child(&office, root, "qa", "touch ran-$NEXUS_ATTEMPT; exec sleep 1000").await;
    let pid = office.pid(running).await;
    let below = child(&office, running, "qa", SLEEP).await;
    office.pid(below).await;
    office.runtime.stop(Duration::ZERO);
    within("the end", office.runtime.ended()).await.unwrap();
    assert!(!is_alive(pid));
    // Written as whoever was asked would have, who died then.
    let last = office.bus.last_event(root).await.unwrap().unwrap();
    let what = What::Cancelled { reason: "not needed".into(), outcome: None };
    let event = Event::new(root, last.event.department, last.event.attempt, jiff::Timestamp::now(), what);
    office.bus.append(&event, last.seq, None).await.unwrap();
    for name in std::fs::read_dir(server.dir.path()).unwrap().flatten().map(|entry| entry.path()) {
        if name.file_name().unwrap().to_str().unwrap().starts_with("ran") {
            std::fs::remove_file(name).unwrap();
        }
    }

    let office = server.open(two(Delegation::default())).await;
    for (task, parent) in [(running, root), (below, running)] {
        let view = office.status(task).await.task;
        let reason = format!("its parent {parent} was cancelled");
        assert_eq!((view.status, view.error), (Status::Cancelled, Some(reason)));
        let events = office.client.past_events(Some(task), 100).await.unwrap();
        assert_eq!(events.iter().filter(|event| matches!(event.what, What::Cancelled { .. })).count(), 1);
    }
    let ran = |entry: std::fs::DirEntry| entry.file_name().to_string_lossy().starts_with("ran");
    assert!(!std::fs::read_dir(server.dir.path()).unwrap().flatten().any(ran), "it was not begun again");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_for_departments_that_there_are() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let leave = async |department: &str, text: &str| {
        let request = MessageRequest { department: department.into(), text: text.into(), from: None };
        office.client.send_message(&request).await.map_err(|refusal| refusal.kind)
    };
    assert_eq!(leave("qa", "one").await.unwrap().text, "one");
    leave("qa", "two").await.unwrap();
    assert_eq!(leave("nobody", "x").await.unwrap_err(), RefusalKind::UnknownDepartment);
    assert_eq!(leave("qa", "").await.unwrap_err(), RefusalKind::InvalidInput);
    let read = office.client.messages("qa", 1).await.unwrap();
    assert_eq!(read.iter().map(|message| message.text.as_str()).collect::<Vec<_>>(), ["two"]);
    assert_eq!(office.client.messages("nobody", 1).await.unwrap_err().kind, RefusalKind::UnknownDepartment);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_leaves_messages_where_its_department_may_ask() {
    let server = Server::start().await;
    let asking = Department { delegates_to: Some(vec![name("qa")]), ..department(1) };
    let departments = [("product", asking), ("qa", department(1)), ("engineering", department(1))];
    let office = server.open(company(departments)).await;
    let from = Sender { task_id: TaskId::from_idempotency_key("sender"), department: name("product") };
    let leave = async |department: &str| {
        let request = MessageRequest { department: department.into(), text: "x".into(), from: Some(from.clone()) };
        office.client.send_message(&request).await.map_err(|refusal| refusal.kind)
    };
    for told in ["qa", "product"] {
        leave(told).await.unwrap();
    }
    assert_eq!(leave("engineering").await.unwrap_err(), RefusalKind::Limit);
    assert!(office.client.messages("engineering", 1).await.unwrap().is_empty());
    office.stop().await;
}
