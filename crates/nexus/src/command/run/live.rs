//! The live line of a run: the tasks that its own one waits for, or the time that its agent has worked.

use std::time::Duration;

use jiff::Timestamp;
use nexus_bus::Client;
use nexus_core::api::{ListRequest, TaskStatus};
use nexus_core::refusal::Refusal;
use nexus_core::view::{Status, TaskView};
use tokio::time::sleep;

use crate::show::{self, Live};

/// The pause between two looks.
const PAUSE: Duration = Duration::from_secs(1);
/// Tasks that are looked through for those that come later.
const LOOKED_AT: u32 = 200;

/// Keeps the line true, until it is dropped.
pub(super) async fn keep(client: Client, task: String, live: Live) {
    if !live.is_shown() {
        return;
    }
    // What ends at once needs no line.
    sleep(PAUSE / 2).await;
    loop {
        // Where no answer comes, the line stays as it is: the run itself finds out.
        if let Ok(text) = look(&client, &task).await {
            live.say(&text);
        }
        sleep(PAUSE).await;
    }
}

async fn look(client: &Client, task: &str) -> Result<String, Refusal> {
    let status = client.status(task).await?;
    if status.task.status != Status::Queued {
        return Ok(running(&status, Timestamp::now()));
    }
    if let Some(due) = status.task.not_before.filter(|due| *due > Timestamp::now()) {
        return Ok(format!("queued: waits until {}", show::time(due)));
    }
    let department = status.task.department.clone();
    let request = ListRequest {
        department: Some(department.to_string()),
        status: vec![Status::Queued],
        limit: Some(LOOKED_AT),
        ..ListRequest::default()
    };
    let page = client.list(&request).await?;
    let later = page.tasks.iter().filter(|other| comes_later(other, &status.task)).count() as u64;
    let departments = client.departments().await?.departments;
    let (busy, workers) =
        departments.iter().find(|info| info.name == department).map_or((0, 0), |info| (info.busy, info.workers));
    Ok(queued(page.total.saturating_sub(later + 1), busy, workers, status.waits.as_deref()))
}

/// Of two tasks that wait: the later one has a lower priority, was asked for later, or waits for its time.
fn comes_later(other: &TaskView, than: &TaskView) -> bool {
    use std::cmp::Ordering::{Equal, Greater, Less};

    let waits_longer = other.not_before > than.not_before;
    let by_priority = match other.priority.cmp(&than.priority) {
        Less => true,
        Equal => other.created_at > than.created_at,
        Greater => false,
    };
    other.task_id != than.task_id && (waits_longer || by_priority)
}

/// `queued: behind 2, all 3 workers busy`.
fn queued(behind: u64, busy: u32, workers: u32, waits: Option<&str>) -> String {
    let mut parts = Vec::new();
    if behind > 0 {
        parts.push(format!("behind {behind}"));
    }
    match (busy, workers) {
        _ if waits.is_some() => parts.extend(waits.map(str::to_owned)),
        (1, 1) => parts.push("the worker is busy".to_owned()),
        (busy, workers) if busy >= workers && workers > 0 => parts.push(format!("all {workers} workers busy")),
        (busy, workers) => parts.push(format!("{busy} of {workers} workers busy")),
    }
    format!("queued: {}", parts.join(", "))
}

/// `running 1:12 · claude · last output 40 s ago`.
fn running(status: &TaskStatus, now: Timestamp) -> String {
    let task = &status.task;
    let secs = |since: Timestamp| now.duration_since(since).as_secs().max(0);
    let mut parts = vec![match task.attempt_started_at.or(task.started_at) {
        Some(since) => format!("{} {}", task.status.as_str(), clock(secs(since))),
        None => task.status.as_str().to_owned(),
    }];
    if task.attempt > 1 {
        parts.push(format!("attempt {}", task.attempt));
    }
    parts.extend(task.assigned_agent.as_ref().map(ToString::to_string));
    let live = status.live.as_ref();
    parts.extend(live.and_then(|live| live.asks.as_ref()).map(|asks| format!("asks: {asks}")));
    parts.extend(live.and_then(|live| live.run.as_ref()).and_then(|run| run.doing.clone()));
    let silent = live.and_then(|live| live.last_output_at).map(secs);
    parts.push(match silent {
        Some(0..=1) => "output now".to_owned(),
        Some(secs) => format!("last output {secs} s ago"),
        None => "no output yet".to_owned(),
    });
    parts.join(" · ")
}

/// Seconds as a stopwatch shows them.
fn clock(secs: i64) -> String {
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, minutes, secs) => format!("{minutes}:{secs:02}"),
        (hours, minutes, secs) => format!("{hours}:{minutes:02}:{secs:02}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopwatch() {
        for (secs, said) in [(0, "0:00"), (72, "1:12"), (3599, "59:59"), (3600, "1:00:00"), (36_061, "10:01:01")] {
            assert_eq!(clock(secs), said);
        }
    }

    #[test]
    fn who_is_waited_for() {
        for (behind, busy, workers, waits, said) in [
            (4, 3, 3, None, "queued: behind 4, all 3 workers busy"),
            (0, 1, 1, None, "queued: the worker is busy"),
            (0, 1, 3, None, "queued: 1 of 3 workers busy"),
            (1, 0, 3, Some("claude is limited"), "queued: behind 1, claude is limited"),
        ] {
            assert_eq!(queued(behind, busy, workers, waits), said);
        }
    }
}
