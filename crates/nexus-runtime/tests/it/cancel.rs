//! "Cancelled" is said when nothing of the task is alive, and never of what had ended.

use std::time::Duration;

use nexus_core::api::{CancelRequest, Cancelled};
use nexus_core::event::{Event, Hold, What};
use nexus_core::id::TaskId;
use nexus_core::refusal::{Refusal, RefusalKind};
use nexus_core::view::Status;

use crate::company::{company, department};
use crate::support::{Office, Server, eventually, is_alive};

async fn cancel(office: &Office, task: TaskId) -> Result<Cancelled, Refusal> {
    office.client.cancel(&CancelRequest { task_id: task.to_string(), reason: Some("not needed".into()) }).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_cancelled_while_it_runs_and_while_it_waits_and_not_after_its_end() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    // Two processes, neither of which ends by INT alone.
    let running = office.submit("qa", "trap '' INT; sleep 1000 & wait").await;
    let waiting = office.submit("qa", "touch ran").await;
    let pid = office.pid(running).await;
    assert_eq!(cancel(&office, waiting).await.unwrap().was, Status::Queued);
    let answer = cancel(&office, running).await.unwrap();
    assert!(!is_alive(pid), "the answer comes after the end");
    assert_eq!((answer.task_id, answer.was), (running, Status::Running));
    for task in [running, waiting] {
        let view = office.status(task).await.task;
        assert_eq!((view.status, view.error.as_deref()), (Status::Cancelled, Some("not needed")));
        let refusal = cancel(&office, task).await.unwrap_err();
        assert_eq!(
            (refusal.kind, refusal.message),
            (RefusalKind::Conflict, format!("task {task} is cancelled already"))
        );
    }
    let last = office.submit("qa", "true").await;
    office.completed(last, (1, 0)).await;
    assert_eq!(cancel(&office, last).await.unwrap_err().kind, RefusalKind::Conflict);
    assert!(!server.dir.path().join("ran").exists(), "what was cancelled while it waited never ran");
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cancels_at_once_of_what_runs_both_see_its_end() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let task = office.submit("qa", "exec sleep 1000").await;
    let pid = office.pid(task).await;
    let (one, two) = tokio::join!(cancel(&office, task), cancel(&office, task));
    assert!(!is_alive(pid));
    assert_eq!((one.unwrap().was, two.unwrap().was), (Status::Running, Status::Running));
    assert_eq!(office.status(task).await.task.status, Status::Cancelled);
    office.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_cancels_at_once_of_what_waits_one_did_it() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let running = office.submit("qa", "exec sleep 1000").await;
    office.pid(running).await;
    for _ in 0..10 {
        let task = office.submit("qa", "true").await;
        let answers = tokio::join!(cancel(&office, task), cancel(&office, task));
        let won = [&answers.0, &answers.1].into_iter().filter(|answer| answer.is_ok()).count();
        assert_eq!(won, 1, "{answers:?}");
        assert!([answers.0, answers.1].into_iter().filter_map(Result::err).all(|e| e.kind == RefusalKind::Conflict));
    }
    office.stop().await;
}

/// A cancel meets a start: whoever writes first, it ends as cancelled or refuses because it had ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_right_after_the_submission_tells_the_truth() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(4))])).await;
    for n in 0..20 {
        let task = office.submit("qa", &format!("echo {n}")).await;
        let answer = cancel(&office, task).await;
        let view = office.end(task).await;
        let expected = if answer.is_ok() { Status::Cancelled } else { Status::Completed };
        assert_eq!(view.status, expected, "{answer:?}");
    }
    office.stop().await;
}

/// Such as when the CEO that was asked has died right after it wrote that down.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancel_whose_order_got_lost_is_carried_out_all_the_same() {
    let server = Server::start().await;
    let office = server.open_with(company([("qa", department(1))]), Duration::from_secs(1), &server.access).await;
    let task = office.submit("qa", "exec sleep 1000").await;
    let pid = office.pid(task).await;
    let last = office.bus.last_event(task).await.unwrap().unwrap();
    let What::Started { node, delivery, .. } = last.event.what else { panic!("{last:?}") };
    let asked = What::CancelRequested { reason: "not needed".into(), of: Some(Hold { node, delivery }) };
    let event = Event::new(task, last.event.department, last.event.attempt, jiff::Timestamp::now(), asked);
    office.bus.append(&event, last.seq, None).await.unwrap();
    assert_eq!(office.end(task).await.status, Status::Cancelled);
    assert!(!is_alive(pid));
    office.stop().await;
}

/// It has left the process group, and can be known by its mark alone.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn what_has_left_its_group_is_gone_when_the_cancel_is_answered() {
    let server = Server::start().await;
    let office = server.open(company([("qa", department(1))])).await;
    let task = office.submit("qa", "setsid sh -c 'echo $$ > stray; exec sleep 1000' & exec sleep 1000").await;
    let written = async || std::fs::read_to_string(server.dir.path().join("stray")).ok()?.trim().parse::<u32>().ok();
    eventually("a stray", written).await;
    cancel(&office, task).await.unwrap();
    // Without any time, it only looks.
    let left = nexus_process::end_marked("NEXUS_TASK_ID", &task.to_string(), Duration::ZERO).await;
    assert!(left.alive.is_empty(), "the answer comes after its end");
    office.stop().await;
}
